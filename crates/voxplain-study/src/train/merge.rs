//! [`merge`]: a run whose folds were trained by several processes, counted together.

use super::{
    Training, copies, directory, fold::Trainer, observer::TrainingObserver, options::TrainOptions, plan::Plan,
};
use crate::{
    cohort::Cohort,
    run::Run,
    setting::{INIT, REGION_VOLUMES},
};
use std::path::PathBuf;
use voxplain_core::{Claim, Error, Progress, Result, Setting, remedy};
use voxplain_nn::Engine;

/// Counts together the folds of a run that several processes trained ([`train_folds`](super::train_folds)): checks that all have a network and
/// were made alike, fits the comparators, and writes predictions and metrics. The run is then the same, byte for byte, as one that
/// [`train`](super::train()) made alone.
///
/// # Errors
/// A fold has no network, or one that was made otherwise than the run says; the cohort is not there or has changed; another process is at
/// work there.
pub fn merge(run: &Run, engine: &Engine, progress: &dyn Progress, observer: &dyn TrainingObserver) -> Result<Training> {
    Claim::refuse_other(&run.path)?;
    if !run.untrained().is_empty() {
        return Err(run.unfinished());
    }
    let recorded: TrainOptions = serde_json::from_value(run.manifest.options.clone()).map_err(|e| {
        Error::file(
            run.layout().manifest(),
            format!("its options are none of this version ({}): {e}", env!("CARGO_PKG_VERSION")),
            remedy![format!("merge it with version {}, which made it", run.manifest.version)],
        )
    })?;
    let cohort = Cohort::open(&run.cohort()?.path)?;
    let options = TrainOptions {
        init: place(run, INIT, recorded.init.clone())?,
        region_volumes: place(run, REGION_VOLUMES, recorded.region_volumes.clone())?,
        ..recorded.clone()
    };
    options.check()?;
    let options = options.resolved()?;
    let plan = Plan::of(&cohort, &options, progress)?;
    directory::refuse_other_plan(run, &plan)?;
    let mut run = run.clone();
    let _claim = run.claim("merge", progress)?;
    if run.manifest.near_duplicates.is_none() {
        copies::record(&mut run, plan.near_duplicates(engine, progress)?)?;
    }
    plan.describe(&run)?;
    // Models name what they began from as the run does, not as the file is found from here.
    plan.judge(&Trainer { options: &recorded, ..plan.trainer(&run, engine, progress, observer) })
}

/// Where a file of the options lies: `config.toml` has its path from the run.
fn place(run: &Run, setting: Setting, recorded: Option<PathBuf>) -> Result<Option<PathBuf>> {
    let Some(recorded) = recorded else { return Ok(None) };
    let config = run.train_section()?;
    let path = config.get(setting.name()).and_then(toml::Value::as_str);
    Ok(Some(path.map_or(recorded, |path| run.path.join(path))))
}
