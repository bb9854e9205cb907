//! [`train_folds`]: some of the folds of a run, which others, on other machines, may train at the same time.

use super::{directory, observer::TrainingObserver, options::TrainOptions, plan::Plan};
use crate::{
    cohort::Cohort,
    listed::listed,
    run::{Run, RunLayout},
    setting::FOLD,
    shard::Shard,
};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path};
use voxplain_core::{Claim, Error, Progress, Result, atomic_file, plural::counted, remedy};
use voxplain_nn::Engine;

/// Which folds of a run are trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folds {
    /// These, by their numbers from 0.
    Numbered(Vec<usize>),
    /// Those of a shard: of fold `k` shard `1 + k mod N`.
    OfShard(Shard),
}

impl Folds {
    /// Their numbers, ascending, in a run of so many; says which they are where a shard does.
    fn of(&self, all: usize, progress: &dyn Progress) -> Result<Vec<usize>> {
        match self {
            Self::Numbered(numbers) => {
                if let Some(fold) = numbers.iter().find(|fold| **fold >= all) {
                    let what =
                        format!("there is no fold {fold}: this run has {}, counted from 0", counted(all, "fold"));
                    return Err(Error::request(
                        what,
                        remedy!["give ", FOLD, format!(" a number from 0 to {}", all - 1)],
                    ));
                }
                Ok(numbers.iter().copied().collect::<BTreeSet<_>>().into_iter().collect())
            }
            Self::OfShard(shard) => {
                let folds: Vec<usize> = shard.units(all).collect();
                progress.note(&shard.describe(&folds, all, "fold"));
                Ok(folds)
            }
        }
    }
}

/// What there is of a run after some of its folds were trained.
#[derive(Clone, Debug, Serialize)]
pub struct TrainedFolds {
    /// The run.
    #[serde(skip)]
    pub run: Run,
    /// The folds that were asked for; all of them have a network.
    pub folds: Vec<usize>,
    /// Those of them that were trained now.
    pub now: Vec<usize>,
    /// Folds of the run that have no network yet: others train them, or will.
    pub untrained: Vec<usize>,
    /// Ids of subjects that were left out because they have no label.
    pub left_out: Vec<String>,
}

/// Trains some folds of the run in `out`, those that have no network yet, and writes nothing but what belongs to them, and what says how the
/// run is made, which is the same whoever writes it. Several processes, on machines that share the directory, may do so at the same time, each
/// with folds of its own; [`merge`](super::merge()) counts what all have trained. The result is the same, byte for byte, as
/// that of [`train`](super::train()).
///
/// # Errors
/// Those of [`train`](super::train()); there is no such fold; another process trains one of them, or is at work on the whole run.
pub fn train_folds(
    cohort: &Cohort,
    options: &TrainOptions,
    folds: &Folds,
    out: &Path,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<TrainedFolds> {
    options.check()?;
    let options = &options.resolved()?;
    let plan = Plan::of(cohort, options, progress)?;
    let folds = folds.of(plan.splits.len(), progress)?;
    directory::refuse_others(out)?;
    let is_new = !out.exists();
    std::fs::create_dir_all(out).map_err(Error::io(out))?;
    let trained = fill(&plan, &folds, out, engine, progress, observer);
    if trained.is_err() && is_new {
        // Goes where nothing was written.
        let _ = std::fs::remove_dir(out);
    }
    let (run, now) = trained?;
    let untrained = run.untrained();
    if !untrained.is_empty() {
        let whose = listed(&untrained, 12);
        progress.note(&format!("{} of the run without a network yet: {whose}", counted(untrained.len(), "fold")));
    }
    Ok(TrainedFolds { run, folds, now, untrained, left_out: plan.dataset.left_out.clone() })
}

/// Claims the folds that have no network, in a directory that is there, and trains them. The run, and those folds.
fn fill(
    plan: &Plan<'_>,
    folds: &[usize],
    out: &Path,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<(Run, Vec<usize>)> {
    let is_there = |fold: &usize| RunLayout::at(out).fold(*fold).model().is_file();
    let now: Vec<usize> = folds.iter().copied().filter(|fold| !is_there(fold)).collect();
    let claim = |fold: &usize| Claim::take_part(out, &format!("fold-{fold}"), &format!("train, fold {fold}"), progress);
    let _claims = now.iter().map(claim).collect::<Result<Vec<_>>>()?;
    let run = directory::join(plan, out, || plan.near_duplicates(engine, progress))?;
    plan.describe(&run)?;
    let trainer = plan.trainer(&run, engine, progress, observer);
    let one = |&fold: &usize| -> Result<()> {
        let files = run.layout().fold(fold);
        // What one left half written that was killed here.
        if now.contains(&fold) && files.folder().is_dir() {
            atomic_file::sweep(files.folder())?;
        }
        trainer.ready(fold)?;
        progress.advance(1, "");
        Ok(())
    };
    progress.begin("folds", folds.len());
    let trained = folds.iter().try_for_each(one);
    progress.end();
    trained.map(|()| (run, now))
}
