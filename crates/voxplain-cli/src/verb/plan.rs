//! `voxplain plan`.

use crate::{
    argument::bytes,
    pipeline::{Pipeline, Reader},
    plan::{self, Asked, Estimate, Measure, Resources, Stage},
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};
use voxplain::{Error, SplitScheme, TrainOptions, plural::counted};

/// Write a configuration as jobs for a cluster, to be read before they are run; nothing is submitted.
///
/// Preparation falls into parts by image, training by fold, explanation by person, comparison by permutation; each part is a task of its own, and what was made in parts is
/// put together by `voxplain merge`. Tasks share nothing while they run but the folders, which all machines must see at the same paths.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain plan project.toml --engine slurm --shards 50 --cpus 4 --memory 8GiB --minutes 120 > jobs.sh
  voxplain plan project.toml --engine slurm --shards 50 --cpus 4 --measure > jobs.sh
  voxplain plan project.toml --engine snakemake --shards 20 > Snakefile
  voxplain plan project.toml --engine shell --shards 8 > jobs.sh")]
pub(crate) struct PlanOf {
    /// The configuration file, as `voxplain run` takes it.
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// What the tasks are to be run by.
    #[arg(long, value_enum)]
    engine: Engine,
    /// Into how many tasks preparation, explanation and comparison fall; training falls into as many as it has folds, at most.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    shards: u16,
    /// Processors of each task.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    cpus: u16,
    /// Memory of each task [default: what --measure finds, else 8GiB]. Networks are told to take three quarters of it.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory: Option<usize>,
    /// The longest time that a task may take, in minutes [default: what --measure finds, else 240]. What is stopped then is gone on with by the next try.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    /// Estimate time and memory from a sample of the work on this machine: an image is prepared, some batches are trained, a map by each method is made.
    /// Comments in the plan say where each number comes from.
    #[arg(long)]
    measure: bool,
    /// Do not look whether the files, columns and methods that the configuration names are there: for a plan that is made where they cannot be
    /// seen.
    #[arg(long, conflicts_with = "measure")]
    no_check: bool,
}

/// `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// A script that submits arrays of jobs with `sbatch`.
    Slurm,
    /// A Snakefile.
    Snakemake,
    /// A plain shell script, one task after the other.
    Shell,
}

impl PlanOf {
    /// `asked` says what the words of a command line ask for.
    pub(crate) fn run(
        &self,
        session: &Session,
        read: Reader,
        asked: fn(&[String]) -> anyhow::Result<Asked>,
    ) -> anyhow::Result<Outcome> {
        let pipeline = Pipeline::read(&self.config)?;
        // A misspelt key should not show when a job has waited for a day.
        pipeline.work(read.work)?;
        let steps = pipeline.steps();
        let people = if self.no_check { vec![None; steps.len()] } else { pipeline.look_up(session, read)? };
        let folder = std::env::current_dir().map_err(Error::io(Path::new(".")))?;
        let shards = usize::from(self.shards);
        let given = (self.memory.map(|bytes| (bytes as u64).div_ceil(1 << 20)), self.minutes);
        let resources =
            Resources { cpus: self.cpus, memory: given.0.unwrap_or(MEMORY), minutes: given.1.unwrap_or(MINUTES) };
        let mut stages = Stage::of(steps, shards, &people, folds);
        let mut measure = self.measure.then(|| Measure::new(session, self.cpus)).transpose()?;
        for stage in &mut stages {
            let estimate = match &mut measure {
                Some(measure) => measure.step(&stage.name, asked(&stage.words)?, stage.shards.unwrap_or(1))?,
                None => Estimate::default(),
            };
            stage.sized(&estimate, given, resources);
        }
        let plan = plan::Plan { config: self.config.display().to_string(), folder, resources, stages };
        let text = match self.engine {
            Engine::Slurm => plan::slurm(&plan),
            Engine::Snakemake => plan::snakemake(&plan),
            Engine::Shell => plan::shell(&plan),
        };
        let tasks: usize = plan.stages.iter().map(|s| s.shards.unwrap_or(1) + usize::from(s.merge.is_some())).sum();
        session.result(&json!({ "script": text, "tasks": tasks }), &text)?;
        session.say(&format!(
            "{} in {}; read it before it is run",
            counted(tasks, "task"),
            counted(plan.stages.len(), "stage")
        ));
        Ok(Outcome::Done)
    }
}

/// Memory of a task of which nothing is said or known, MiB.
const MEMORY: u64 = 8 << 10;
/// Its minutes.
const MINUTES: u64 = 240;

/// How many folds a training has, by the words of its command line.
fn folds(words: &[String]) -> usize {
    let of = |flag: &str| words.iter().find_map(|word| word.strip_prefix(flag));
    if of("--holdout=").is_some() {
        return 1;
    }
    let default = match TrainOptions::default().split {
        SplitScheme::Folds(folds) => folds,
        SplitScheme::Holdout(_) => 1,
    };
    of("--folds=").and_then(|folds| folds.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_has_as_many_parts_as_folds() {
        let of = |line: &str| folds(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("train --folds=7 --label=sex -- c"), 7);
        assert_eq!(of("train --holdout=0.2 --label=sex -- c"), 1);
        assert_eq!(
            Some(of("train --label=sex -- c")),
            match TrainOptions::default().split {
                SplitScheme::Folds(folds) => Some(folds),
                SplitScheme::Holdout(_) => None,
            }
        );
    }
}
