//! `voxplain explain`.

use crate::{
    argument::{self, Intensities},
    pipeline::{Makes, Needs},
    plan::Asked,
    session::{Outcome, Session},
    shell::Shell,
    terminal,
};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use voxplain::plural::counted;
use voxplain::{
    Error, Vocabulary as _,
    attribution::{self, AnyMethod, Compat, METHODS, OptionKind, Score},
    cohort::Cohort,
    explain::{self, AtlasFiles, ExplainOptions, ExplainSummary, Images, Inputs, explain},
    model::Model,
    prepare::MaskRule,
    run::Run,
    shard::Share,
};

/// The setting of that flag.
const IN_SAMPLE: voxplain::Setting = voxplain::Setting::new("in-sample");

/// Show, voxel by voxel, what a network used.
///
/// Given a RUN, explains every subject by the fold model that never saw it, into the run. Given a MODEL, explains the
/// subjects of a cohort or image files, into --out. Maps are signed and raw, each with a record (.json) of how it was made;
/// for subjects and images that were prepared from files there is a second map in the space of the image
/// (_space-native), and for class activation maps one at their own resolution (_res-native). Of a network of several channels
/// the map is the sum over them, with one of each beside it (_channel-FLAIR), where the method tells them apart. What is
/// there already is not made again.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(crate) struct Explain {
    /// A run, or a model file.
    #[arg(value_name = "RUN|MODEL")]
    what: PathBuf,
    /// Explain the subjects of this cohort by the model; for a run, where its own cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT", conflicts_with = "input")]
    cohort: Option<PathBuf>,
    /// Explain these images by the model, prepared as its training images were.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    input: Vec<PathBuf>,
    /// With one image, for a model of several channels: the file of another channel, FLAIR=flair.nii.gz [default: looked for beside
    /// the image by its name in BIDS: sub-1_FLAIR.nii.gz beside sub-1_T1w.nii.gz].
    #[arg(long = "channel", value_name = "NAME=FILE", value_parser = argument::channel, requires = "input", conflicts_with = "cohort")]
    channels: Vec<(String, PathBuf)>,
    /// The methods, by comma; `all` for every one that can work here.
    #[arg(long = "method", value_name = "M[,M...]", required = true, value_delimiter = ',')]
    methods: Vec<String>,
    /// What to explain: predicted, true, class:K or diff:A,B; classes by name, or by position from 0 [default: predicted].
    #[arg(long, value_name = "TARGET", value_parser = target)]
    target: Option<String>,
    /// On which scale.
    #[arg(long, value_enum, default_value_t = Scale::Logit)]
    score: Scale,
    /// Where maps go [default for a run: the run].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Put the maps of a cohort's subjects where BIDS derivatives have them, DIR/sub-01/[ses-1/]anat.
    #[arg(long, requires = "out")]
    bids: bool,
    /// Options of methods; below is a list.
    #[arg(long = "set", value_name = "KEY=VALUE", num_args = 1..)]
    settings: Vec<String>,
    /// Label image for methods by region, in the space of the grid that the model takes.
    #[arg(long, value_name = "FILE", requires = "labels")]
    atlas: Option<PathBuf>,
    /// The table of its labels (csv, tsv or txt); `freesurfer` is FreeSurferColorLUT.txt in $FREESURFER_HOME.
    #[arg(long, value_name = "FILE", requires = "atlas", value_parser = argument::labels)]
    labels: Option<PathBuf>,
    /// Go on when label image and table do not match; names may then be wrong.
    #[arg(long, requires = "atlas")]
    allow_mismatch: bool,
    /// Reproduce an older behaviour: that of the code published with Kan et al. 2020.
    #[arg(long, value_name = "YEAR", value_enum)]
    compat: Option<Older>,
    /// Explain subjects also by models that were trained on them; each record then says so.
    #[arg(long)]
    in_sample: bool,
    /// Only these subjects, by comma.
    #[arg(long, value_name = "ID[,ID...]", value_delimiter = ',')]
    subjects: Option<Vec<String>>,
    /// Only the I-th of N shares of them, in the order of their ids (the first is of shard 1), or auto: as the variables of SLURM or SGE say
    /// of a task of an array. Several processes, also on several machines, may explain shares of one run at the same time.
    #[arg(long, value_name = "I/N|auto", value_parser = argument::share)]
    shard: Option<Share>,
    /// Brain masks of the images: one file for all, the ending of a file for each, a folder of masks (names begin with those of
    /// the images), or `nonzero`: where the image differs from its background, for skull-stripped images [default: nonzero].
    #[arg(long, value_name = "SUFFIX|FOLDER|FILE|nonzero", requires = "input", conflicts_with = "cohort")]
    mask: Option<MaskRule>,
    /// The value above which a voxel of a mask is in the brain, for masks with soft edges or other codes [default: a mask
    /// must hold 0 and one other value, or labels].
    #[arg(long, value_name = "VALUE", value_parser = argument::threshold, allow_hyphen_values = true, requires = "mask", conflicts_with = "cohort")]
    mask_threshold: Option<f64>,
    /// How intensities of the images are normalised [default: as the model says].
    #[arg(long, value_enum, requires = "input", conflicts_with = "cohort")]
    normalize: Option<Intensities>,
    /// End with status 0 although some subjects could not be explained.
    #[arg(long)]
    keep_going: bool,
    /// Memory for the network's values, such as 2GiB: fewer volumes are then worked on at once [default: what
    /// is free].
    #[arg(long, value_name = "SIZE", value_parser = argument::bytes)]
    memory: Option<usize>,
    /// Make maps on the model's grid alone, and not in the space of the images too.
    #[arg(long)]
    no_native: bool,
    /// Make maps again that are there already.
    #[arg(long)]
    force: bool,
}

/// On which scale a score is taken.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scale {
    /// The network's output before softmax.
    Logit,
    /// Logarithm of the softmax.
    LogProb,
    /// The softmax.
    Prob,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Older {
    /// That of Kan et al. 2020.
    #[value(name = "2020")]
    Y2020,
}

/// The form of a target is known before its classes are.
fn target(text: &str) -> Result<String, String> {
    let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    match (kind, rest) {
        ("predicted" | "true" | "value", None) => Ok(text.to_owned()),
        ("class", Some(k)) if !k.is_empty() => Ok(text.to_owned()),
        ("diff", Some(pair)) if pair.split(',').filter(|c| !c.is_empty()).count() == 2 => Ok(text.to_owned()),
        _ => Err("write predicted, true, class:K or diff:A,B, or value of a network that predicts one".into()),
    }
}

/// Methods and their options, from the library's own list.
fn after_help() -> String {
    let mut text = String::from(
        "Examples:
  voxplain explain run --method guided-backprop,hires-cam,meaningful-perturbation
  voxplain explain run --method all --target diff:male,female
  voxplain explain run --method hires-cam --shard 1/8    then 2/8 and so on elsewhere
  voxplain explain model.safetensors --input scan.nii.gz --mask mask.nii.gz --method saliency --out maps

Methods:\n",
    );
    for entry in METHODS {
        let _ = writeln!(text, "  {:<24} {}", entry.name, entry.summary);
    }
    text.push_str("\nOptions of methods, with their defaults:\n");
    for entry in METHODS {
        for (key, value) in (entry.defaults)().as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let setting = format!("{}.{key}={value}", entry.name);
            let Some(option) = entry.options.iter().find(|option| option.key == key) else {
                let _ = writeln!(text, "  --set {setting}");
                continue;
            };
            let expected = match option.kind {
                OptionKind::Baseline => list(entry.baselines.iter().map(ToString::to_string)),
                _ => option.expected(),
            };
            let _ = writeln!(text, "  --set {setting:<48} {} ({expected})", option.help);
        }
    }
    text.push_str(
        "\nExamples:
  voxplain explain run --method guided-backprop,grad-cam,meaningful-perturbation
  voxplain explain run --method kernel-shap --atlas BN_Atlas_246_1mm.nii.gz --labels BN_Atlas_246.txt
  voxplain explain run --method hires-cam --target class:male --subjects 0012,0034
  voxplain explain model.safetensors --input t1.nii.gz --method saliency --out maps",
    );
    text
}

fn list(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

impl Explain {
    /// What is asked for, for who measures it.
    pub(crate) fn asked(&self) -> anyhow::Result<Asked> {
        Ok(Asked::Explain(self.what.clone(), Box::new(self.options()?)))
    }

    /// What it takes and makes.
    pub(crate) fn needs(&self) -> anyhow::Result<Needs> {
        let files = [("atlas", &self.atlas), ("labels", &self.labels)];
        let files = files.into_iter().filter_map(|(key, file)| Some((key, file.clone()?)));
        let every = self.methods.iter().any(|name| name.trim() == "all");
        let methods = || self.chosen().map(|of| of.iter().map(|method| method.name().to_owned()).collect());
        Ok(Needs {
            on: Some(("run", self.what.clone())),
            cohort: self.cohort.clone(),
            files: files.chain(self.input.iter().map(|file| ("input", file.clone()))).collect(),
            makes: if self.out.is_some() { Makes::Nothing } else { Makes::Maps((!every).then(methods).transpose()?) },
            ..Needs::default()
        })
    }

    /// The methods.
    fn chosen(&self) -> voxplain::Result<Vec<Box<dyn AnyMethod>>> {
        attribution::choose(&self.methods, &self.settings, self.compat.map(|Older::Y2020| Compat::Y2020))
    }

    /// Refuses methods and options of theirs that there are not.
    pub(crate) fn check_options(&self) -> anyhow::Result<()> {
        Ok(self.chosen().map(|_| ())?)
    }

    /// Refuses methods, classes and atlases that cannot work with the model, or with any where a run is not there yet.
    pub(crate) fn check(&self, session: &Session) -> anyhow::Result<()> {
        if self.what.is_file() && self.cohort.is_none() && self.input.is_empty() {
            return Err(Self::nothing().into());
        }
        let model = self.what.is_file().then(|| Model::read(&self.what)).transpose()?;
        Ok(explain::check(&session.engine()?, model.as_ref(), &self.options()?)?)
    }

    /// A model by itself has nobody to explain.
    fn nothing() -> Error {
        Error::request("nothing to explain", "give images with --input or a cohort with --cohort")
    }

    fn options(&self) -> anyhow::Result<ExplainOptions> {
        let compat = self.compat.map(|Older::Y2020| Compat::Y2020);
        let atlas = self.atlas.clone().zip(self.labels.clone()).map(|(image, labels)| AtlasFiles {
            image,
            labels,
            allow_mismatch: self.allow_mismatch,
        });
        Ok(ExplainOptions {
            methods: self.chosen()?,
            target: self.target.clone(),
            score: match self.score {
                Scale::Logit => Score::Logit,
                Scale::LogProb => Score::LogProb,
                Scale::Prob => Score::Prob,
            },
            compat,
            atlas,
            out: self.out.clone(),
            bids: self.bids,
            subjects: self.subjects.clone(),
            shard: argument::shard(self.shard)?,
            in_sample: self.in_sample,
            force: self.force,
            no_native: self.no_native,
            where_possible: self.methods.iter().any(|name| name.trim() == "all"),
            memory: self.memory.or_else(argument::free_memory),
        })
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let options = self.options()?;
        let engine = session.engine()?;
        let made = if self.what.is_dir() {
            let run = Run::open(&self.what)?.with_cohort(self.cohort.as_deref());
            let others = match &self.cohort {
                Some(path) => run.check_cohort(&Cohort::open(path)?).is_err(),
                None => !self.input.is_empty(),
            };
            if others {
                let model = run.layout().fold(0).model();
                let error = Error::request(
                    "a run explains the subjects it was made from",
                    format!("give one of its models, such as {}", model.display()),
                );
                return Err(error.into());
            }
            explain(&engine, Inputs::Run(&run), &options, session.progress())?
        } else {
            let model = Model::read(&self.what)?;
            match &self.cohort {
                Some(path) => {
                    let cohort = Cohort::open(path)?;
                    explain(&engine, Inputs::Cohort(&model, &cohort), &options, session.progress())?
                }
                None if self.input.is_empty() => return Err(Self::nothing().into()),
                None => explain(&engine, Inputs::Images(&model, &self.images()), &options, session.progress())?,
            }
        };
        let each = session.global.verbose || made.maps.len() <= FEW;
        session.result(&document(&made), &table(&made, each))?;
        self.close(&made, session);
        let complete = made.failures.is_empty();
        Ok(match made.interrupted {
            true => Outcome::Stopped,
            false if complete || self.keep_going => Outcome::Done,
            false => Outcome::Incomplete,
        })
    }

    fn images(&self) -> Images {
        Images {
            files: self.input.clone(),
            channels: self.channels.clone(),
            mask: self.mask.clone().unwrap_or_default(),
            mask_threshold: self.mask_threshold,
            normalize: self.normalize.map(Into::into),
        }
    }

    /// What is missing, and what to do next.
    fn close(&self, made: &ExplainSummary, session: &Session) {
        if !made.left_out.is_empty() {
            session.say(&format!(
                "{} were left out, as every model of the run was trained on them or on another image of the person ({} explains them too)",
                made.left_out.len(),
                Shell.setting(IN_SAMPLE, None)
            ));
        }
        if !made.failures.is_empty() {
            let mut subjects: Vec<_> = made.failures.iter().map(|f| f.subject.as_str()).collect();
            subjects.dedup();
            session.say(&format!("{} could not be made: {}", counted(made.failures.len(), "map"), subjects.join(", ")));
            if let Some(remedy) = made.failures.iter().find_map(|f| f.remedy.as_ref()) {
                session.say(&format!("hint: {}", remedy.render(&Shell)));
            }
        }
        if made.interrupted {
            session.say(&format!("stopped before the end; {}", terminal::go_on()));
        } else if self.what.is_dir() && self.out.is_none() && self.shard.is_none() && !made.maps.is_empty() {
            session.next(["group", &self.what.display().to_string()]);
        }
    }
}

/// The result for `--json`.
fn document(made: &ExplainSummary) -> serde_json::Value {
    let mut document = json!(made);
    for (n, failure) in made.failures.iter().enumerate() {
        document["failures"][n]["hint"] = json!(failure.remedy.as_ref().map(|r| r.render(&Shell)));
    }
    document
}

/// So many maps have a line each without being asked for.
const FEW: usize = 10;

/// One line per map, or per method; warnings once below.
fn table(made: &ExplainSummary, each: bool) -> String {
    let mut text = if each { maps(made) } else { methods(made) };
    // What differs by its numbers alone is said once, with those of the first map.
    let plain = |warning: &str| warning.replace(|c: char| c.is_ascii_digit() || "+-.".contains(c), "");
    let mut warnings: Vec<(&str, &str, usize, bool)> = Vec::new();
    for map in &made.maps {
        for warning in &map.warnings {
            match warnings.iter_mut().find(|(m, w, ..)| *m == map.method && plain(w) == plain(warning)) {
                Some((_, first, count, differ)) => (*count, *differ) = (*count + 1, *differ || first != warning),
                None => warnings.push((&map.method, warning, 1, false)),
            }
        }
    }
    for (method, warning, count, differ) in warnings {
        let of = if differ { "; numbers of the first" } else { "" };
        let _ = writeln!(text, "\n{method} ({}{of}): {warning}", counted(count, "map"));
    }
    if let Some(channels) = made.about_channels() {
        let _ = writeln!(text, "\n{channels}");
    }
    if let Some(imported) = made.imported() {
        let _ = writeln!(text, "\n{imported}");
    }
    if let Some(heads) = made.whole_heads() {
        let _ = writeln!(text, "\n{heads}");
    }
    text
}

fn maps(made: &ExplainSummary) -> String {
    let mut text =
        format!("{:<24} {:<24} {:<34} {:>10} {:>8}  map\n", "subject", "method", "target", "score", "seconds");
    for map in &made.maps {
        let seconds = if map.reused { "there".to_owned() } else { format!("{:.2}", map.seconds) };
        let _ = writeln!(
            text,
            "{:<24} {:<24} {:<34} {:>10.4} {:>8}  {}",
            map.subject,
            map.method,
            map.target,
            map.score,
            seconds,
            short(&map.map)
        );
    }
    text
}

/// How many maps of each method there are, how many of them were there before, and what the others took.
fn methods(made: &ExplainSummary) -> String {
    let mut text = format!("{:<24} {:>6} {:>8} {:>12}  maps in\n", "method", "maps", "there", "seconds each");
    let mut seen: Vec<&str> = Vec::new();
    for map in &made.maps {
        if seen.contains(&map.method.as_str()) {
            continue;
        }
        seen.push(&map.method);
        let of = || made.maps.iter().filter(|other| other.method == map.method);
        let there = of().filter(|map| map.reused).count();
        let now = of().count() - there;
        let seconds: f64 = of().filter(|map| !map.reused).map(|map| map.seconds).sum();
        let each = if now == 0 { "-".to_owned() } else { format!("{:.2}", seconds / now as f64) };
        // Maps of a run lie in a folder of each subject.
        let folder = map.map.parent().unwrap_or(Path::new(""));
        let one = folder.file_name().is_some_and(|name| *name == *format!("sub-{}", map.subject));
        let place = if one { folder.with_file_name("sub-*") } else { folder.to_path_buf() };
        let _ = writeln!(text, "{:<24} {:>6} {there:>8} {each:>12}  {}", map.method, of().count(), short(&place));
    }
    text.push_str("(-v: a line for each map)\n");
    text
}

fn short(path: &Path) -> String {
    path.display().to_string()
}
