//! `voxplain confounds`.

use crate::session::{Outcome, Session};
use clap::Args;
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    confounds::{Arm, ConfoundOptions, Confounds as Found, confounds},
    matched::MatchOn,
    run::Run,
    stats::Estimate,
};

/// Say how much of what a run tells above chance each confound explains.
///
/// Of the network, other runs on the same people are the arms, such as one of a cohort whose brains were brought to one size
/// (prepare --align-size remove). Of logistic regression on the voxels, the volume of the masks and each of --covariates is regressed
/// out voxel by voxel, inside each training part. With --match every arm is also judged by held-out people of both classes who are alike.
/// Where the run and an arm have maps of one method, it is said how alike they are, beside how alike two folds of the run are. The reverse is
/// asked too: what the same volumes tell of the confounds. What is gone with a confound may have been signal that goes with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain confounds run
  voxplain confounds run --match mask_volume,age
  voxplain confounds run --arm 'size removed=run-one-size' --covariates age,site
  voxplain confounds run --arm 'trained on matched=run-matched' --match mask_volume,age --caliper 0.3")]
pub(crate) struct Confounds {
    /// The run, of classes.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Another run on the same people, by a name; may be given several times.
    #[arg(long, value_name = "NAME=RUN", value_parser = arm)]
    arm: Vec<(String, PathBuf)>,
    /// Columns of the table that are regressed out, each by itself and all together: age,site. Classes that are written as numbers:
    /// 'factor(site)'.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    covariates: Vec<String>,
    /// Columns on which the held-out of two classes are matched: mask_volume (the volume of the mask), age, site. Nothing is trained again.
    #[arg(long = "match", value_name = "COLUMNS", value_delimiter = ',')]
    matched: Vec<String>,
    /// How far apart the two of a pair may be in a number, in standard deviations [default: 0.2].
    #[arg(long, value_name = "SD", requires = "matched")]
    caliper: Option<f64>,
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
}

fn arm(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, run)) if !name.trim().is_empty() && !run.is_empty() => Ok((name.trim().to_owned(), run.into())),
        _ => Err("write a name and a run, as in 'size removed=run2'".into()),
    }
}

impl Confounds {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let run = Run::open(&self.run)?.with_cohort(self.cohort.as_deref());
        let arms = self
            .arm
            .iter()
            .map(|(name, path)| Ok((name.clone(), Run::open(path)?)))
            .collect::<voxplain::Result<Vec<_>>>()?;
        let matched = MatchOn { columns: self.matched.clone(), caliper: self.caliper };
        let options = ConfoundOptions { covariates: self.covariates.clone(), matched };
        let found = confounds(&run, &arms, &options, &session.engine()?, session.progress())?;
        session.result(&found, &table(&found))?;
        session.say(&format!("the same is in {}", run.layout().confounds().display()));
        Ok(Outcome::Done)
    }
}

/// A row for each arm, then the result in words.
fn table(found: &Found) -> String {
    let cell = |e: Option<&Estimate>, percent: bool| {
        let number = |v: f64| if percent { format!("{:.0} %", 100.0 * v) } else { format!("{v:.3}") };
        e.map_or_else(
            || "-".to_owned(),
            |e| match e.ends() {
                Some((low, high)) => format!("{} ({} to {})", number(e.value), number(low), number(high)),
                None => number(e.value),
            },
        )
    };
    let matched = found.matched.iter().flat_map(|matched| &matched.arms);
    let rows: Vec<(String, &Arm)> = found
        .arms
        .iter()
        .map(|arm| (arm.arm.clone(), arm))
        .chain(matched.map(|arm| (format!("{}, over matched pairs", arm.arm), arm)))
        .collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(34);
    let mut text =
        format!("{:<16} {:<width$} {:>26} {:>26} {:>26}\n", "model", "arm", found.measure, "difference", "explained");
    for (name, arm) in rows {
        let _ = writeln!(
            text,
            "{:<16} {name:<width$} {:>26} {:>26} {:>26}",
            arm.model,
            cell(Some(&arm.area), false),
            cell(arm.difference.as_ref(), false),
            cell(arm.explained.as_ref(), true)
        );
    }
    text.push('\n');
    for line in &found.summary {
        let _ = writeln!(text, "{line}");
    }
    text
}
