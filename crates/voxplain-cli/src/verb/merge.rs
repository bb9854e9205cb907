//! `voxplain merge`.

use super::{compare, prepare, train};
use crate::{
    session::{Outcome, Session},
    shell::Shell,
};
use clap::Args;
use serde::Serialize;
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    Cohort, Silent, Vocabulary as _,
    merge::{Merged, MergedRun, merge},
    plural::counted,
    train::TrainingMetrics,
};

/// Put together what several processes made of a run, a cohort or a comparison.
///
/// Of a cohort: shares that were prepared by `voxplain prepare --shard` become one cohort. Of a run: folds that were trained by `voxplain train --fold` or `--shard`, on one machine or on many, are counted together: it is checked that all
/// are there and were made alike, baselines are fitted, and predictions and metrics are written. Then it looks whether everybody who was held
/// out has a map by each method that there are maps by. Of a comparison, named by its folder: permutations that were counted by `voxplain compare
/// --shard` become one result. What is put together is the same, byte for byte, as if one process had made it. What is missing is named with
/// the command that makes it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain merge cohort
  voxplain merge run
  voxplain merge run/compare/hirescam_label")]
pub(crate) struct Merge {
    /// The run, the cohort that is to be, or the folder of the comparison.
    #[arg(value_name = "RUN|COHORT|COMPARISON")]
    folder: PathBuf,
}

/// The result as JSON.
#[derive(Serialize)]
struct Document<'a> {
    run: &'a std::path::Path,
    /// Whether folds were counted now.
    counted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a TrainingMetrics>,
    missing: Vec<Missing<'a>>,
}

#[derive(Serialize)]
struct Missing<'a> {
    what: &'a str,
    command: String,
}

impl Merge {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        match merge(&self.folder, &session.engine()?, session.progress(), &Silent)? {
            Merged::Run(merged) => of_run(&merged, session),
            Merged::Whole(cohort) => {
                let subjects = cohort.subjects.len();
                let text = format!(
                    "{} is whole, with {}: there is nothing to do",
                    self.folder.display(),
                    counted(subjects, "subject")
                );
                session.result(&serde_json::json!({ "cohort": self.folder, "subjects": subjects }), &text)?;
                Ok(Outcome::Done)
            }
            Merged::Comparison(summary) => {
                session.result(&summary, &compare::in_words(&summary))?;
                session.say(&format!("maps and tables in {}", self.folder.display()));
                Ok(Outcome::Done)
            }
            Merged::Compared(summary) => {
                let text = format!("{} is whole: there is nothing to do", self.folder.display());
                session.result(&summary, &text)?;
                Ok(Outcome::Done)
            }
            Merged::Cohort(summary) => {
                session.result(&prepare::document(&summary), &prepare::text(&summary))?;
                let cohort = self.folder.display().to_string();
                session.next(["train", &cohort, "--label", "COLUMN", "--out", "RUN"]);
                Ok(Outcome::Done)
            }
        }
    }
}

fn of_run(merged: &MergedRun, session: &Session) -> anyhow::Result<Outcome> {
    let missing: Vec<Missing<'_>> =
        (merged.lacking.iter()).map(|lack| Missing { what: &lack.what, command: Shell.action(&lack.step) }).collect();
    let mut text = match &merged.training {
        Some(training) => train::words(training, Cohort::open(&merged.run.cohort()?.path)?.noun()),
        None => "all folds are counted".to_owned(),
    };
    for Missing { what, command } in &missing {
        let _ = write!(text, "\nmissing: {what}\n  {command}");
    }
    let is_whole = missing.is_empty();
    let document = Document {
        run: &merged.run.path,
        counted: merged.training.is_some(),
        metrics: merged.training.as_ref().map(|training| &training.metrics),
        missing,
    };
    session.result(&document, &text)?;
    if merged.training.is_some() {
        train::next(&merged.run, session);
    }
    Ok(if is_whole { Outcome::Done } else { Outcome::Incomplete })
}
