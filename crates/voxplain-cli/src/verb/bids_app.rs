//! `voxplain bids-app`.

use super::prepare::How;
use crate::{
    app::{App, AppWords, OF_MODEL, OF_TRAINING},
    pipeline::Reader,
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use voxplain::{
    Error,
    model::Model,
    prepare::{EntityFilter, GatherOptions, MaskRule, PrepareOptions},
};

/// Do as BIDS Apps do: each participant by itself, then all together.
///
/// `participant` prepares each person of the dataset (each session by itself), alone or with others, in any order and in as many processes as you like: the files are the same. With
/// --model it then says what the model makes of each, and explains it. `group` puts everybody together, with the labels of participants.tsv. With
/// --label (or --config) it trains, explains each by the model that never saw them, and writes group maps, regions and the report into
/// OUT/run; with --model it tests what the model says, and reads its maps off. OUT is a dataset of BIDS derivatives.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain bids-app bids out participant --participant-label 01 02 --mask _desc-brain_mask.nii.gz
  voxplain bids-app bids out group --label sex
  voxplain bids-app bids out group --config analysis.toml
  voxplain bids-app bids out participant --participant-label sub-01 --model model.safetensors --mask masks

A configuration has the sections of `voxplain run` but prepare, such as
  [train]
  label = \"sex\"
  folds = 10

  [explain]
  method = [\"guided-backprop\", \"hires-cam\"]

  [[regions]]
  atlas = \"BN_Atlas_246_1mm.nii.gz\"
  labels = \"BN_Atlas_246.txt\"")]
pub(crate) struct BidsApp {
    /// The BIDS dataset: raw, or derivatives such as fMRIPrep's.
    #[arg(value_name = "BIDS")]
    dataset: PathBuf,
    /// Where the derivatives go.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Each participant, or all together.
    #[arg(value_enum, value_name = "LEVEL")]
    level: Level,
    /// Only these participants, with or without sub- [default: all].
    #[arg(long, alias = "participant_label", value_name = "LABEL", num_args = 1..)]
    participant_label: Vec<String>,
    /// Only these sessions, with or without ses- [default: all, and images of no session].
    #[arg(long, alias = "session_label", value_name = "LABEL", num_args = 1..)]
    session_label: Vec<String>,
    /// A model that predicts and explains the participants. They are prepared as its training images were.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["channels", "whole_head", "grid", "spacing", "space", "origin", "align_size", "normalize"])]
    model: Option<PathBuf>,
    /// The column of participants.tsv that networks learn at the group level; with --model, that of the true answers.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The methods that explain, by comma [default: guided-backprop,hires-cam].
    #[arg(long = "method", value_name = "M[,M...]", value_delimiter = ',')]
    methods: Vec<String>,
    /// A file with sections of `voxplain run`: train, explain, group, regions, evaluate, report, and predict with --model. What flags say wins.
    #[arg(long, value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// The table of labels and covariates for the group level [default: participants.tsv of the dataset].
    #[arg(long, value_name = "TSV")]
    participants: Option<PathBuf>,
    /// Taken as other BIDS Apps take it; nothing is kept there, as all that is built lies in OUT.
    #[arg(short, long, alias = "work_dir", value_name = "WORK")]
    work_dir: Option<PathBuf>,
    /// Number of threads, as --threads.
    #[arg(long, aliases = ["n_cpus", "nprocs", "nthreads"], value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "threads")]
    pub(crate) n_cpus: Option<u16>,
    /// Megabytes that a network's values may take [default: what is free].
    #[arg(long, aliases = ["mem_mb", "mem"], value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    mem_mb: Option<u64>,
    /// Go on where the dataset has no dataset_description.json; nothing else is validated in any case.
    #[arg(long, aliases = ["skip_bids_validation", "skip-bids-validator", "skip_bids_validator"])]
    skip_bids_validation: bool,
    /// End with status 0 although some participants could not be done; at the group level, leave them out.
    #[arg(long)]
    keep_going: bool,
    /// Do again what is there already.
    #[arg(long)]
    force: bool,
    /// Which images, where their masks are, and what becomes of them: for the participant level.
    #[command(flatten, next_help_heading = "Preparation, at the participant level")]
    how: How,
}

/// What is done: the map or the reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Each participant by itself.
    Participant,
    /// All together.
    Group,
}

impl BidsApp {
    /// `read` reads the words of the verbs that it is made of, `command` has their flags.
    pub(crate) fn run(&self, session: &Session, read: Reader, command: &clap::Command) -> anyhow::Result<Outcome> {
        let sections: &[&str] = if self.model.is_some() { &OF_MODEL } else { &OF_TRAINING };
        AppWords::new(command, sections, self.level == Level::Group).speak();
        session.in_one_document(|| {
            let app = self.app()?;
            if self.work_dir.is_some() {
                session.progress().note("nothing is kept in the working directory: all that is built lies in OUT");
            }
            match self.level {
                Level::Participant => app.participants(session, read),
                Level::Group => app.group(session, read),
            }
        })
    }

    fn app(&self) -> anyhow::Result<App> {
        let description = self.dataset.join("dataset_description.json");
        if self.dataset.is_dir() && !description.is_file() && !self.skip_bids_validation {
            let error = Error::file(
                &self.dataset,
                "is no BIDS dataset: it has no dataset_description.json",
                "give the folder that holds it, or go on with --skip-bids-validation",
            );
            return Err(error.into());
        }
        let labels = bare_labels(&self.participant_label, "sub-");
        let session =
            bare_labels(&self.session_label, "ses-").map(|labels| EntityFilter::new("ses", &labels.join(",")));
        // A configuration may lie elsewhere, and its paths are relative to it.
        let place = |path: &Path| match self.config {
            Some(_) => std::path::absolute(path).map_err(Error::io(path)),
            None => Ok(path.to_owned()),
        };
        let mut prepare = self.how.options();
        prepare.entities.splice(0..0, session.clone());
        prepare.mask = match prepare.mask {
            MaskRule::File(file) => MaskRule::File(place(&file)?),
            MaskRule::Folder(folder, pattern) => MaskRule::Folder(place(&folder)?, pattern),
            rule => rule,
        };
        prepare.align = prepare.align.as_deref().map(place).transpose()?;
        let mut prepare = PrepareOptions { labels: labels.clone(), force: self.force, ..prepare };
        let model = self.model.as_deref().map(place).transpose()?;
        if let Some(model) = &model {
            prepare = prepare.like(&Model::read(model)?.card, model)?;
        }
        let (dataset, out) = (place(&self.dataset)?, place(&self.out)?);
        let participants = self.participants.as_deref().map(place).transpose()?;
        let mut sections = self.config.as_deref().map(App::sections).transpose()?.unwrap_or_default();
        let mut say = |section: &str, key: &str, value: toml::Value| {
            let section = sections.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            section.as_table_mut().map(|section| section.insert(key.to_owned(), value));
        };
        if let Some(label) = &self.label {
            say(if model.is_some() { "predict" } else { "train" }, "label", label.as_str().into());
        }
        if !self.methods.is_empty() {
            say("explain", "method", self.methods.clone().into());
        }
        Ok(App {
            dataset,
            out,
            prepare,
            gather: GatherOptions {
                labels,
                session,
                participants,
                keep_going: self.keep_going,
                force: self.force,
                columns: Vec::new(),
                model: model.clone(),
            },
            model,
            sections,
            memory: self.mem_mb.map(|megabytes| format!("{megabytes}MB")),
        })
    }
}

/// Labels without their `sub-` or `ses-`; nothing where none is named.
fn bare_labels(labels: &[String], prefix: &str) -> Option<Vec<String>> {
    let bare = |label: &String| label.strip_prefix(prefix).unwrap_or(label).to_owned();
    (!labels.is_empty()).then(|| labels.iter().map(bare).collect())
}
