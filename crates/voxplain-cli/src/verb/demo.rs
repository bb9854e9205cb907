//! `voxplain demo`.

use crate::{
    pipeline::{Pipeline, Reader},
    session::{Outcome, Session},
};
use clap::Args;
use std::path::PathBuf;
use voxplain::{cohort::CohortLayout, run::RunLayout};

/// Simulate, train, explain, compare with the truth, report.
///
/// Makes simulated brains of two classes that differ in one known place, trains a network to tell them apart, explains
/// the held-out brains by the three methods of Kan et al. 2020 and by HiRes-CAM, measures how much of each map lies
/// where the difference is and whether the network changes its mind without what they name, and writes a page to read.
/// It takes about a minute on two cores and needs no data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain demo
  voxplain demo --out /tmp/look --subjects 40 --seed 7")]
pub(crate) struct Demo {
    /// Directory to make.
    #[arg(long, value_name = "DIR", default_value = "voxplain-demo")]
    out: PathBuf,
    /// Number of simulated people.
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = clap::value_parser!(u16).range(16..))]
    subjects: u16,
    /// Where all chance comes from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u32,
    /// Start over, replacing what is there.
    #[arg(long)]
    force: bool,
}

impl Demo {
    /// `read` reads the words of a command line.
    pub(crate) fn run(&self, session: &Session, read: Reader) -> anyhow::Result<Outcome> {
        let (cohort, run) = (self.out.join("cohort"), self.out.join("run"));
        let config = include_str!("demo.toml").parse::<toml::Table>().map(|mut config| {
            let path = |p: &PathBuf| toml::Value::String(p.display().to_string());
            config.insert("cohort".into(), path(&cohort));
            config.insert("run".into(), path(&run));
            for (section, key, value) in [
                ("simulate", "subjects", toml::Value::Integer(self.subjects.into())),
                ("simulate", "seed", toml::Value::Integer(self.seed.into())),
                ("simulate", "force", toml::Value::Boolean(self.force)),
                ("train", "seed", toml::Value::Integer(self.seed.into())),
                ("train", "force", toml::Value::Boolean(self.force)),
                ("explain", "force", toml::Value::Boolean(self.force)),
                ("regions", "atlas", path(&CohortLayout::at(&cohort).atlas())),
                ("regions", "labels", path(&CohortLayout::at(&cohort).atlas_labels())),
                ("regions", "out", path(&RunLayout::at(&run).regions().join("phantom.tsv"))),
            ] {
                if let Some(toml::Value::Table(section)) = config.get_mut(section) {
                    section.insert(key.into(), value);
                }
            }
            if !cfg!(feature = "report") {
                config.remove("report");
            }
            config.to_string()
        })?;
        let outcome = session.in_one_document(|| Pipeline::parse(&config)?.run(session, read))?;
        let (cohort, run) = (CohortLayout::at(&cohort), RunLayout::at(&run));
        let maps = run.subject("*").join("");
        let mut made = vec![(maps, "the maps of the held-out brains"), (cohort.truth(), "the truth")];
        if cfg!(feature = "report") {
            made.insert(0, (run.report(), "the page"));
        }
        let lines = made.iter().map(|(path, what)| format!("\n  {}  {what}", path.display()));
        session.say(&format!("\nLook at{}", lines.collect::<String>()));
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use crate::pipeline::Pipeline;

    #[test]
    fn its_configuration_is_one() {
        Pipeline::parse(include_str!("demo.toml")).unwrap();
    }
}
