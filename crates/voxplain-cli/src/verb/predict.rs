//! `voxplain predict`.

use super::train;
use crate::{
    argument::{self, Intensities},
    session::{Outcome, Session},
    shell::Shell,
};
use clap::Args;
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    Error,
    cohort::Cohort,
    explain::Images,
    model::Model,
    plural::counted,
    predict::{ExternallyTested, Models, People, PredictOptions, Predictions, predict, predict_test_set},
    prepare::MaskRule,
    run::Run,
    stats::significant,
};

/// Say what a network makes of people whom it has never seen: classes with probabilities, or values.
///
/// Of a RUN all fold models are asked, and the answer is their mean, with the standard deviation over them; of a MODEL that one.
/// Where the table has the label, the answers are tested: AUC, accuracy, calibration (or errors of a value) with intervals, beside what
/// the run had out of fold and beside its baselines, fitted on its own people. People whom a model was trained on are found by their
/// volumes, or by the pattern of their brains, and refused.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("people").args(["cohort", "input", "test"]).required(true), after_help = "\
Examples:
  voxplain predict run --cohort other --out other.tsv
  voxplain predict run --test
  voxplain predict run --cohort other --label gender --rename m=M,f=F --out other.tsv
  voxplain predict run/folds/fold-0/model.safetensors --input scan.nii.gz --mask mask.nii.gz")]
pub(crate) struct Predict {
    /// A run, or a model file.
    #[arg(value_name = "RUN|MODEL")]
    what: PathBuf,
    /// The subjects of this cohort, prepared as that of the models.
    #[arg(long, value_name = "COHORT", conflicts_with = "input")]
    cohort: Option<PathBuf>,
    /// These images, prepared as the training images were.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    input: Vec<PathBuf>,
    /// The test set of the run (`train --test`), once: a second time is refused, but with --force. The answers go into the run.
    #[arg(long, conflicts_with_all = ["cohort", "input", "out", "label", "subjects", "in_sample"])]
    test: bool,
    /// Where the table goes; what was tested goes beside it as .json [default: the table is printed].
    #[arg(long, value_name = "TSV")]
    out: Option<PathBuf>,
    /// The column of the true classes or values [default: the one that was learnt, where the table has it].
    #[arg(long, value_name = "COLUMN", requires = "cohort")]
    label: Option<String>,
    /// What words of that column are called by the models, by comma.
    #[arg(long, value_name = "WORD=CLASS", value_delimiter = ',', value_parser = renamed, conflicts_with = "input")]
    rename: Vec<(String, String)>,
    /// Words of the table that stand for no value, beside the usual ones.
    #[arg(long, value_name = "WORDS", value_delimiter = ',', allow_hyphen_values = true, conflicts_with = "input")]
    missing: Vec<String>,
    /// Only these people, by comma.
    #[arg(long, value_name = "ID[,ID...]", value_delimiter = ',')]
    subjects: Option<Vec<String>>,
    /// Predict people too whom a model was trained on; they are marked, and count in no metric.
    #[arg(long)]
    in_sample: bool,
    /// What to do about people so like one of the run's own people that both may be one person.
    #[arg(long, value_enum, default_value_t = train::NearDuplicates::Refuse, conflicts_with = "test")]
    near_duplicates: train::NearDuplicates,
    /// Do without the baselines of the run, which take its cohort.
    #[arg(long)]
    no_baselines: bool,
    /// Where the run's own cohort lies, for its baselines [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    run_cohort: Option<PathBuf>,
    /// With one image, for models of several channels: the file of another channel, FLAIR=flair.nii.gz [default: looked for beside the
    /// image by its name in BIDS].
    #[arg(long = "channel", value_name = "NAME=FILE", value_parser = argument::channel, requires = "input", conflicts_with = "cohort")]
    channels: Vec<(String, PathBuf)>,
    /// Brain masks of the images: one file for all, the ending of a file for each, a folder of masks, or `nonzero` [default: nonzero].
    #[arg(long, value_name = "SUFFIX|FOLDER|FILE|nonzero", requires = "input", conflicts_with = "cohort")]
    mask: Option<MaskRule>,
    /// The value above which a voxel of a mask is in the brain.
    #[arg(long, value_name = "VALUE", value_parser = argument::threshold, allow_hyphen_values = true, requires = "mask", conflicts_with = "cohort")]
    mask_threshold: Option<f64>,
    /// How intensities of the images are normalised [default: as the model says].
    #[arg(long, value_enum, requires = "input", conflicts_with = "cohort")]
    normalize: Option<Intensities>,
    /// End with status 0 although of some nothing could be said.
    #[arg(long)]
    keep_going: bool,
    /// Replace the table that is there; ask about the test set again.
    #[arg(long)]
    force: bool,
}

/// For clap: a word, and what a model calls it.
fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((word, class)) if !word.is_empty() && !class.is_empty() => Ok((word.to_owned(), class.to_owned())),
        _ => Err("write the word of the table and the class, as in m=M".into()),
    }
}

impl Predict {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        if let Some(out) = &self.out {
            for path in [out.clone(), out.with_extension("json")] {
                if path.exists() && !self.force {
                    return Err(Error::file(
                        path,
                        "is there already",
                        "choose another --out, or replace it with --force",
                    )
                    .into());
                }
            }
            if out.extension().is_some_and(|ending| ending == "json") {
                return Err(Error::file(
                    out,
                    "would be both the table and what was tested",
                    "give --out a name that ends in .tsv",
                )
                .into());
            }
        }
        let options = PredictOptions {
            subjects: self.subjects.clone(),
            label: self.label.clone(),
            rename: self.rename.clone(),
            missing: self.missing.clone(),
            in_sample: self.in_sample,
            baselines: !self.no_baselines,
            near_duplicates: self.near_duplicates.into(),
        };
        let engine = session.engine()?;
        let cohort = self.cohort.as_deref().map(Cohort::open).transpose()?;
        let images = Images {
            files: self.input.clone(),
            channels: self.channels.clone(),
            mask: self.mask.clone().unwrap_or_default(),
            mask_threshold: self.mask_threshold,
            normalize: self.normalize.map(Into::into),
        };
        let people = cohort.as_ref().map_or(People::Images(&images), People::Cohort);
        let made = if self.test {
            if !self.what.is_dir() {
                return Err(Error::file(&self.what, "is no run, and only runs have a test set", "give the run").into());
            }
            let run = Run::open(&self.what)?.with_cohort(self.run_cohort.as_deref());
            predict_test_set(&run, &options, self.force, &engine, session.progress())?
        } else if self.what.is_dir() {
            let run = Run::open(&self.what)?.with_cohort(self.run_cohort.as_deref());
            predict(Models::Run(&run), &people, &options, &engine, session.progress())?
        } else {
            let model = Model::read(&self.what)?;
            predict(Models::One(&model), &people, &options, &engine, session.progress())?
        };
        if let Some(out) = &self.out {
            made.write(out)?;
        }
        session.result(&made, &in_words(&made, self.out.is_none()))?;
        for failure in made.failures.iter().take(SHOWN) {
            session.say(&failure.error);
        }
        if made.failures.len() > SHOWN {
            session.say(&format!("and {} more (--json names all)", made.failures.len() - SHOWN));
        }
        if let Some(remedy) = made.failures.iter().find_map(|failure| failure.remedy.as_ref()) {
            session.say(&format!("hint: {}", remedy.render(&Shell)));
        }
        if let Some(out) = &self.out {
            session.say(&format!("{} in {}", counted(made.people.len(), "row"), out.display()));
        }
        Ok(if made.failures.is_empty() || self.keep_going { Outcome::Done } else { Outcome::Incomplete })
    }
}

/// Failures that the terminal shows.
const SHOWN: usize = 10;

/// The rows, where they are not written; the metrics; what else is to be known.
fn in_words(made: &Predictions, with_rows: bool) -> String {
    let mut text = String::new();
    if with_rows && !made.people.is_empty() {
        rows(&mut text, made);
    }
    match &made.tested {
        Some(ExternallyTested::Classes(of)) => text.push_str(&train::table(&of.metrics, "these people")),
        Some(ExternallyTested::Value(of)) => text.push_str(&train::value_table(&of.metrics, "these people")),
        None => {}
    }
    for note in &made.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn rows(text: &mut String, made: &Predictions) {
    let classes = made.task.classes();
    let several = made.models.len() > 1;
    let _ = write!(text, "{:<28} {:<12} {:<12}", "", "truth", "predicted");
    for class in classes {
        let _ = write!(text, " {:>10}", format!("p {class}"));
    }
    text.push_str(if several { "   sd over models\n" } else { "\n" });
    for answer in &made.people {
        let short = |word: &str| word.parse::<f64>().map_or_else(|_| word.to_owned(), |v| significant(v, 4));
        let (truth, predicted) = match classes {
            [] => (answer.truth.as_deref().map_or("-".into(), short), short(&answer.predicted)),
            _ => (answer.truth.clone().unwrap_or_else(|| "-".into()), answer.predicted.clone()),
        };
        let _ = write!(text, "{:<28} {truth:<12} {predicted:<12}", answer.participant_id);
        if !classes.is_empty() {
            answer.mean.iter().for_each(|p| {
                let _ = write!(text, " {p:>10.3}");
            });
        }
        if several {
            let largest = answer.spread.iter().copied().fold(0.0, f64::max);
            let _ = write!(text, " {:>16}", significant(largest, 3));
        }
        text.push_str(if answer.in_sample == Some(true) { "  TRAINED ON\n" } else { "\n" });
        for finding in &answer.findings {
            let _ = writeln!(text, "  {finding}");
        }
    }
    text.push('\n');
}
