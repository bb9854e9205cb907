//! `voxplain group`.

use crate::{
    pipeline::{Maps, Needs},
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    group::{GroupOptions, GroupSummary, Level, Scale, group},
    run::Run,
    stats::significant,
};

/// Average maps over groups and compare methods.
///
/// Writes RUN/group/: mean, median, standard deviation and sign consistency of the maps of all subjects, of each true
/// class and of each outcome; the mean brain and its mask; similarity.tsv (Spearman, Pearson and chance-corrected Dice
/// of every two methods inside the brain) and summary.json.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain group run
  voxplain group run --method hires-cam,guided-backprop")]
pub(crate) struct Group {
    /// The run.
    run: PathBuf,
    /// Only these methods [default: all that the run has maps of].
    #[arg(long, value_name = "M", value_delimiter = ',')]
    method: Vec<String>,
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
    /// Leave out subjects whose maps are missing.
    #[arg(long)]
    keep_going: bool,
    /// How maps are scaled before they are combined.
    #[arg(long, value_enum, default_value = "model")]
    scale: ScaleChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScaleChoice {
    /// Each model's maps by one factor, to the same mean size: a fold with larger maps counts no more than others.
    Model,
    /// Each map to a mean absolute value of 1: every subject counts the same.
    Map,
    /// As they are.
    None,
}

impl From<ScaleChoice> for Scale {
    fn from(choice: ScaleChoice) -> Self {
        match choice {
            ScaleChoice::Model => Self::Model,
            ScaleChoice::Map => Self::Map,
            ScaleChoice::None => Self::None,
        }
    }
}

impl Group {
    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        Needs {
            on: Some(("run", self.run.clone())),
            cohort: self.cohort.clone(),
            maps: if self.method.is_empty() { Maps::All } else { Maps::Of(self.method.clone()) },
            ..Needs::default()
        }
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let run = Run::open(&self.run)?.with_cohort(self.cohort.as_deref());
        let options =
            GroupOptions { methods: self.method.clone(), keep_going: self.keep_going, scale: self.scale.into() };
        let summary = group(&run, &options, session.progress())?;
        for warning in &summary.warnings {
            session.progress().warn(warning);
        }
        session.result(&summary, &in_words(&summary))?;
        session.say(&format!("maps and tables in {}", run.layout().group().folder().display()));
        session.next(["report", &self.run.display().to_string()]);
        Ok(if summary.left_out.is_empty() { Outcome::Done } else { Outcome::Incomplete })
    }
}

/// The intraclass correlation by model.
fn intraclass(interval: Option<voxplain::stats::Interval>) -> String {
    interval.and_then(|i| i.intraclass).map_or_else(|| "n/a".to_owned(), |icc| significant(icc, 2))
}

fn in_words(summary: &GroupSummary) -> String {
    let mut text = String::new();
    for group in &summary.groups {
        let heads = group.headcount();
        let people = heads.people.map_or_else(String::new, |_| format!(" ({heads})"));
        let noun = heads.noun();
        let _ = writeln!(text, "{:<28} {:>4} {noun}s   {}{people}", group.name, heads.scans, group.title);
    }
    if let Some(heads) = &summary.whole_heads {
        let _ = writeln!(text, "\n{heads}");
    }
    if let Some(scale) = summary.about_scale() {
        let _ = writeln!(text, "\n{scale}");
    }
    if summary.similarity.is_empty() {
        return text;
    }
    let noun = summary.noun();
    let _ = writeln!(
        text,
        "\nAgreement of methods inside the mask, mean over {noun}s [95 % interval]; ICC: intraclass correlation by model (of Spearman):\n\
         {:<26} {:<26} {:<24} {:<32} ICC",
        "", "", "Spearman", "Dice, top 5 %, chance-corrected"
    );
    let rows = || summary.similarity.iter().filter(|r| r.level == Level::Subjects && r.group == "group-all");
    for row in rows().filter(|r| r.measure == "spearman") {
        let dice = rows().find(|d| d.measure == "dice" && (&d.a, &d.b) == (&row.a, &row.b) && d.percent == Some(5.0));
        let show = |i: Option<voxplain::stats::Interval>| match i {
            None => "n/a".to_owned(),
            Some(i) => match (i.low, i.high) {
                (Some(low), Some(high)) => {
                    format!("{} [{}, {}]", significant(i.mean, 3), significant(low, 3), significant(high, 3))
                }
                _ => significant(i.mean, 3),
            },
        };
        let _ = writeln!(
            text,
            "{:<26} {:<26} {:<24} {:<32} {}",
            row.a,
            row.b,
            show(row.value),
            show(dice.and_then(|d| d.corrected)),
            intraclass(row.value)
        );
    }
    if let Some(about) = summary.about_intervals() {
        let _ = writeln!(text, "\n{about}");
    }
    text
}
