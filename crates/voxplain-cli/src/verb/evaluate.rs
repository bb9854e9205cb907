//! `voxplain evaluate`.

use crate::session::{Outcome, Session};
use clap::{Args, ValueEnum};
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    evaluation::{
        Relevance,
        truth::{self, Found},
    },
    run::Run,
    stats::Interval,
};

/// Measure how far the maps of a run can be trusted.
///
/// The metric there is so far, `localisation`, compares each map with the truth that a simulation planted, inside the
/// subject's brain. Writes RUN/evaluation/localisation.tsv (one row a map) and localisation.json.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain evaluate run
  voxplain evaluate run --method hires-cam,saliency --relevance positive --json")]
pub(crate) struct Evaluate {
    /// The run.
    run: PathBuf,
    /// What to measure.
    #[arg(long, value_name = "M,...", value_enum, value_delimiter = ',', default_value = "localisation")]
    metric: Vec<Metric>,
    /// Only these methods [default: all that the run has maps of].
    #[arg(long, value_name = "M", value_delimiter = ',')]
    method: Option<Vec<String>>,
    /// Mask of the truth [default: truth.nii.gz of the cohort].
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Which part of a map counts as relevance.
    #[arg(long, value_enum, default_value_t = Part::Absolute)]
    relevance: Part,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Metric {
    /// How much of a map lies where the truth is.
    Localisation,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Absolute values: for or against.
    Absolute,
    /// Positive values alone: what spoke for the explained score.
    Positive,
}

impl Evaluate {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let run = Run::open(&self.run)?;
        for Metric::Localisation in &self.metric {
            let options = truth::Options {
                methods: self.method.clone(),
                truth: self.truth.clone(),
                relevance: match self.relevance {
                    Part::Absolute => Relevance::Absolute,
                    Part::Positive => Relevance::Positive,
                },
            };
            let found = truth::compare(&run, &options, session.progress())?;
            session.result(&found, &in_words(&found))?;
        }
        session.say(&format!("tables in {}", self.run.join("evaluation").display()));
        session.say(&format!("next: voxplain report {}", self.run.display()));
        Ok(Outcome::Done)
    }
}

fn in_words(found: &[Found]) -> String {
    let mut text = String::new();
    if let Some(first) = found.first() {
        let _ = writeln!(
            text,
            "The truth takes {:.2} % of the brain. Means over subjects [95 % interval]:\n\n\
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
        let show = |i: Option<Interval>, scale: f64, digits: usize| match i {
            None => "n/a".to_owned(),
            Some(Interval { mean, low: Some(low), high: Some(high), .. }) => {
                format!("{:.digits$} [{:.digits$}, {:.digits$}]", scale * mean, scale * low, scale * high)
            }
            Some(Interval { mean, .. }) => format!("{:.digits$}", scale * mean),
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
    text
}
