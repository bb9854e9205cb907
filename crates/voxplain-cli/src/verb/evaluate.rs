//! `voxplain evaluate`.

use crate::{
    argument,
    pipeline::{Maps, Needs},
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};
use voxplain::plural::counted;
use voxplain::{
    Error,
    evaluation::{
        Relevance, faithfulness,
        truth::{self, MethodLocalisation},
    },
    random::Seed,
    run::Run,
    shard::Share,
    stats::Interval,
};

/// Measure how far the maps of a run can be trusted.
///
/// `localisation` compares each map with the truth that a simulation planted, inside the subject's brain.
///
/// `deletion` replaces the brain's voxels in the order of the map, 1 % at a time, and follows the probability of the explained
/// class: the faster it falls (the lower the area under the curve), the better the map. `insertion` puts them back, in the same
/// order, into an image without a brain: the higher the area, the better. Both stand beside a random order that is as
/// smooth as the map. docs/evaluation.md says more.
///
/// Writes RUN/evaluation/METRIC.tsv (one row a map) and METRIC.json, and for deletion and insertion the curves of each map,
/// which are not made again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain evaluate run
  voxplain evaluate run --metric deletion,insertion
  voxplain evaluate run --metric deletion --substrate blur --steps 20 --subjects 0012,0034
  voxplain evaluate run --metric deletion,insertion --shard 1/8    then 2/8 and so on elsewhere, at last without
  voxplain evaluate run --method hires-cam,saliency --relevance positive --json")]
pub(crate) struct Evaluate {
    /// The run.
    run: PathBuf,
    /// What to measure [default: localisation where the truth is known, else deletion,insertion].
    #[arg(long, value_name = "M,...", value_enum, value_delimiter = ',')]
    metric: Vec<Metric>,
    /// Only these methods [default: all that the run has maps of].
    #[arg(long, value_name = "M", value_delimiter = ',')]
    method: Option<Vec<String>>,
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
    /// Mask of the truth [default: truth.nii.gz of the cohort].
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// A voxel belongs to the truth where its value is above this [default: the file must hold 0 and one other value].
    #[arg(long, value_name = "VALUE", value_parser = argument::threshold, allow_hyphen_values = true)]
    mask_threshold: Option<f64>,
    /// Which part of a map counts as relevance [default: absolute for localisation; for
    /// deletion and insertion absolute for methods that show sensitivity, signed for those that show contributions].
    #[arg(long, value_enum)]
    relevance: Option<Part>,
    /// Steps of deletion and insertion, each of an equal part of the brain.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// What stands where the brain was taken out by deletion and insertion.
    #[arg(long, value_name = "S,...", value_enum, value_delimiter = ',', default_values = ["blur", "harmonic"])]
    substrate: Vec<Substrate>,
    /// Deletion and insertion of these subjects alone, by comma.
    #[arg(long, value_name = "ID[,ID...]", value_delimiter = ',')]
    subjects: Option<Vec<String>>,
    /// Make the deletion and insertion curves of the I-th of N shares of the subjects alone, in the order of their ids, or auto: as the variables
    /// of SLURM or SGE say of a task of an array. Nothing is counted together: the same command without --shard does that, when all are there.
    #[arg(long, value_name = "I/N|auto", value_parser = argument::share, requires = "metric")]
    shard: Option<Share>,
    /// Memory for the network's values, such as 2GiB: fewer volumes are then worked on at once [default: what
    /// is free].
    #[arg(long, value_name = "SIZE", value_parser = argument::bytes)]
    memory: Option<usize>,
    /// Make curves again that are there already.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Metric {
    /// How much of a map lies where the truth is.
    Localisation,
    /// How fast the probability falls when the most relevant is taken out first.
    Deletion,
    /// How fast it rises when the most relevant is put back first.
    Insertion,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Signed values: what spoke for the explained class first, what spoke against it last.
    Signed,
    /// Absolute values: for or against.
    Absolute,
    /// Positive values alone: what spoke for the explained score.
    Positive,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Substrate {
    /// The image, smoothed by a Gaussian with a standard deviation of 10 mm.
    Blur,
    /// What surrounds the hole, continued as smoothly as can be.
    Harmonic,
}

impl Evaluate {
    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        Needs {
            on: Some(("run", self.run.clone())),
            cohort: self.cohort.clone(),
            files: self.truth.iter().map(|file| ("truth", file.clone())).collect(),
            maps: self.method.clone().map_or(Maps::All, Maps::Of),
            ..Needs::default()
        }
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let run = Run::open(&self.run)?.with_cohort(self.cohort.as_deref());
        let metrics = self.metrics(&run)?;
        let curves: Vec<faithfulness::Metric> = metrics.iter().filter_map(|m| m.of_curves()).collect();
        if let Some(shard) = argument::shard(self.shard)? {
            if metrics.contains(&Metric::Localisation) {
                anyhow::bail!(
                    "localisation takes no share of the subjects: leave out --shard, or --metric localisation"
                );
            }
            let options = self.faithfulness(&run, curves);
            let made = faithfulness::evaluate_shard(&session.engine()?, &run, &options, shard, session.progress())?;
            let curves = counted(made.curves, "curve");
            session
                .result(&made, &format!("{curves} of {}, {} made now", counted(made.subjects, "subject"), made.now))?;
            return Ok(Outcome::Done);
        }
        let (mut documents, mut text) = (serde_json::Map::new(), String::new());
        if metrics.contains(&Metric::Localisation) {
            let found = truth::evaluate(&run, &self.localisation()?, session.progress())?;
            text.push_str(&in_words(&found, run.cohort()?.preparation.organ()));
            documents.insert("localisation".into(), serde_json::to_value(&found)?);
        }
        if !curves.is_empty() {
            let options = self.faithfulness(&run, curves);
            for summary in faithfulness::evaluate(&session.engine()?, &run, &options, session.progress())? {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&table(&summary));
                documents.insert(summary.metric.word().into(), serde_json::to_value(&summary)?);
            }
        }
        // One metric is its own document.
        let document = match documents.len() {
            1 => documents.into_iter().next().map_or(Value::Null, |(_, only)| only),
            _ => json!(documents),
        };
        session.result(&document, &text)?;
        session.say(&format!("tables in {}", run.layout().evaluation().folder().display()));
        session.next(["report", &self.run.display().to_string()]);
        Ok(Outcome::Done)
    }

    /// Refuses a truth that is not there.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(truth) = self.truth.as_ref().filter(|truth| !truth.is_file()) {
            return Err(
                Error::file(truth, "there is no such file", "give the image of where classes truly differ").into()
            );
        }
        Ok(())
    }

    /// The metrics, each once.
    fn metrics(&self, run: &Run) -> voxplain::Result<Vec<Metric>> {
        if self.metric.is_empty() {
            let cohort = run.cohort()?;
            let known = self.truth.is_some() || (cohort.layout().truth().is_file() && !truth::plants_nothing(&cohort)?);
            let default = if known { vec![Metric::Localisation] } else { vec![Metric::Deletion, Metric::Insertion] };
            return Ok(default);
        }
        let mut metrics = Vec::new();
        for &metric in &self.metric {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        Ok(metrics)
    }

    fn localisation(&self) -> voxplain::Result<truth::Options> {
        let relevance = match self.relevance {
            None | Some(Part::Absolute) => Relevance::Absolute,
            Some(Part::Positive) => Relevance::Positive,
            Some(Part::Signed) => {
                return Err(Error::request(
                    "localisation of signed relevance: a share of it inside the truth has no meaning where signs cancel",
                    "take --relevance absolute or positive for localisation",
                ));
            }
        };
        Ok(truth::Options {
            methods: self.method.clone(),
            truth: self.truth.clone(),
            threshold: self.mask_threshold,
            relevance,
        })
    }

    fn faithfulness(&self, run: &Run, metrics: Vec<faithfulness::Metric>) -> faithfulness::Options {
        let mut substrates = Vec::new();
        for substrate in &self.substrate {
            let substrate = match substrate {
                Substrate::Blur => faithfulness::Substrate::Blur,
                Substrate::Harmonic => faithfulness::Substrate::Harmonic,
            };
            if !substrates.contains(&substrate) {
                substrates.push(substrate);
            }
        }
        let settings = faithfulness::Settings {
            steps: self.steps.into(),
            substrates,
            ranking: match self.relevance {
                None => faithfulness::Ranking::ByMethod,
                Some(Part::Signed) => faithfulness::Ranking::Signed,
                Some(Part::Absolute) => faithfulness::Ranking::Absolute,
                Some(Part::Positive) => faithfulness::Ranking::Positive,
            },
            seed: Seed::new(run.manifest.seed),
            ..faithfulness::Settings::default()
        };
        faithfulness::Options {
            metrics,
            methods: self.method.clone(),
            subjects: self.subjects.clone(),
            settings,
            memory: self.memory.or_else(argument::free_memory),
            force: self.force,
        }
    }
}

impl Metric {
    const fn of_curves(self) -> Option<faithfulness::Metric> {
        match self {
            Self::Localisation => None,
            Self::Deletion => Some(faithfulness::Metric::Deletion),
            Self::Insertion => Some(faithfulness::Metric::Insertion),
        }
    }
}

/// `0.412 [0.380, 0.444]`.
fn show(interval: &Interval, scale: f64, digits: usize) -> String {
    let Interval { mean, low, high, .. } = interval;
    match (low, high) {
        (Some(low), Some(high)) => {
            format!("{:.digits$} [{:.digits$}, {:.digits$}]", scale * mean, scale * low, scale * high)
        }
        _ => format!("{:.digits$}", scale * mean),
    }
}

/// Deletion or insertion.
fn table(summary: &faithfulness::Summary) -> String {
    let maps = summary.found.iter().map(|f| f.maps).max().unwrap_or(0);
    let block = summary.block_voxels.map(|n| n.to_string()).join(" x ");
    let mut text = format!(
        "{} ({} is better): area under the probability of the explained class, means over {} [95 % interval].\n\
         Voxels by {}, in blocks of {block}.\n\n\
         {:<24} {:<10} {:<10} {:<22} {:<22} {:<24} {:<10} {:<6} verdict\n",
        if summary.metric == faithfulness::Metric::Deletion { "Deletion" } else { "Insertion" },
        summary.better,
        counted(maps, "map"),
        summary.ranking(),
        "",
        "order",
        "substrate",
        "AUC",
        "AUC, random order",
        "difference",
        "better in",
        "ICC",
    );
    let mut before = "";
    for found in &summary.found {
        let _ = writeln!(
            text,
            "{:<24} {:<10} {:<10} {:<22} {:<22} {:<24} {:<10} {:<6} {}",
            if found.method == before { "" } else { &found.method },
            if found.method == before { "" } else { found.ranking.word() },
            found.substrate.word(),
            show(&found.auc, 1.0, 3),
            show(&found.random, 1.0, 3),
            show(&found.difference, 1.0, 3),
            format!("{:.0} %", 100.0 * found.wins),
            found.difference.intraclass.map_or_else(|| "n/a".to_owned(), |icc| format!("{icc:.2}")),
            found.verdict.words(),
        );
        before = &found.method;
    }
    let _ = writeln!(text, "\n{}\nICC: intraclass correlation of the differences by model.", summary.about_intervals());
    if let Some(channels) = summary.about_channels() {
        let _ = writeln!(text, "{channels}");
    }
    if let Some(heads) = &summary.whole_heads {
        let _ = writeln!(text, "{heads}");
    }
    text
}

fn in_words(found: &[MethodLocalisation], organ: &str) -> String {
    let mut text = String::new();
    if let Some(first) = found.first() {
        let _ = writeln!(
            text,
            "The truth takes {:.2} % of the {organ}. Means over maps [95 % interval]:\n\n\
             {:<24} {:<12} {:<22} {:<20} {:<22} most relevant voxel",
            100.0 * first.chance.mean,
            "",
            "true class",
            "relevance inside, %",
            "times chance",
            "AUC (chance 0.5)"
        );
    }
    for row in found {
        let show = |i: Option<Interval>, scale: f64, digits: usize| {
            i.map_or_else(|| "n/a".to_owned(), |i| show(&i, scale, digits))
        };
        let hits = row.hits.map_or_else(|| "n/a".to_owned(), |h| format!("inside in {:.0} %", 100.0 * h));
        let _ = writeln!(
            text,
            "{:<24} {:<12} {:<22} {:<20} {:<22} {hits}",
            if row.class.is_none() { row.method.as_str() } else { "" },
            row.class.as_deref().unwrap_or("all"),
            show(row.mass, 100.0, 1),
            show(row.enrichment, 1.0, 2),
            show(Some(row.auc), 1.0, 3),
        );
        if row.empty > 0 {
            let _ = writeln!(text, "{:<37} {} of {} maps are zero everywhere", "", row.empty, row.maps);
        }
    }
    let all: Vec<Interval> = found.iter().flat_map(|row| [row.mass, row.enrichment, Some(row.auc)]).flatten().collect();
    if let Some(about) = Interval::explain(&all) {
        let several = found.len() > 1 && all.iter().any(|i| i.ends().is_some());
        let _ = writeln!(text, "\n{about}{}", if several { " Rows are not corrected for their number." } else { "" });
    }
    if let Some(heads) = found.iter().find_map(|row| row.whole_heads.as_ref()) {
        let _ = writeln!(text, "\n{heads}");
    }
    text
}
