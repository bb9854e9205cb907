//! [`merge`]: what several processes made of one run, of one cohort or of one comparison, put together.

use crate::{
    cohort::{Cohort, CohortLayout},
    compare::{self, CompareSummary, is_compared_in_shards, merge_comparison},
    explain::steps_again,
    listed::{counted, listed},
    prepare::{PrepareSummary, is_shared, merge_shards},
    run::{Run, RunLayout},
    setting::{METHOD, SHARD, SUBJECTS},
    status::Lack,
    train::{self, Training, TrainingObserver},
};
use std::{collections::BTreeSet, path::Path};
use voxplain_core::{Action, Error, Progress, Result, remedy};
use voxplain_nn::Engine;

/// What was put together.
#[derive(Debug)]
pub enum Merged {
    /// A run.
    Run(Box<MergedRun>),
    /// A cohort, of its shards.
    Cohort(Box<PrepareSummary>),
    /// A cohort that was put together before, or prepared at once: there is nothing to do.
    Whole(Box<Cohort>),
    /// A comparison, of its shards.
    Comparison(Box<CompareSummary>),
    /// A comparison that was put together before, or made at once: there is nothing to do.
    Compared(Box<CompareSummary>),
}

/// A run whose parts were put together.
#[derive(Debug)]
pub struct MergedRun {
    /// The run.
    pub run: Run,
    /// What its folds came to; `None` where they were counted before.
    pub training: Option<Box<Training>>,
    /// Maps that some who were held out lack, of methods that there are maps by, each with the step that makes them.
    pub lacking: Vec<Lack>,
}

/// Puts together what several processes made of the run, the cohort or the comparison with this path: of a cohort its shards
/// ([`merge_shards`]), of a run its folds ([`train::merge`]), of a comparison its shuffles ([`merge_comparison`]).
///
/// # Errors
/// There is none of these; a part is missing, and the error says how to make it; those of [`merge_shards`], [`train::merge`] and
/// [`merge_comparison`].
pub fn merge(
    folder: &Path,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<Merged> {
    if is_shared(folder) {
        return merge_shards(folder, progress).map(|summary| Merged::Cohort(Box::new(summary)));
    }
    if RunLayout::at(folder).manifest().is_file() {
        return merge_run(folder, engine, progress, observer).map(|merged| Merged::Run(Box::new(merged)));
    }
    // Who submits all jobs of a script again meets what an earlier one put together.
    if CohortLayout::at(folder).document().is_file() {
        return Cohort::open(folder).map(|cohort| Merged::Whole(Box::new(cohort)));
    }
    if is_compared_in_shards(folder) {
        return merge_comparison(folder, progress).map(|summary| Merged::Comparison(Box::new(summary)));
    }
    if let Some(summary) = compare::whole(folder)? {
        return Ok(Merged::Compared(Box::new(summary)));
    }
    let what = match folder.exists() {
        true => "is no run and no comparison, and no shards of a cohort were prepared for it",
        false => "is not there, and no shards of a cohort were prepared for it",
    };
    let [train, prepare, of_maps] = ["train", "prepare", "compare"].map(Action::new);
    let remedy = remedy![
        "give the directory that `",
        train,
        "`, `",
        prepare,
        "` or `",
        of_maps,
        "` with ",
        SHARD,
        " was to make"
    ];
    Err(Error::file(folder, what, remedy))
}

/// Counts the folds of a run where that was not done, and looks whether everybody who was held out has a map by each method that there are
/// maps by. Of maps nothing is of all people together.
fn merge_run(
    folder: &Path,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<MergedRun> {
    let run = Run::open(folder)?;
    let is_whole = run.untrained().is_empty() && run.layout().metrics().is_file();
    if is_whole && counted_models(&run)? == Some(run.models()?.all()) {
        let lacking = lacking(&run)?;
        return Ok(MergedRun { run, training: None, lacking });
    }
    let training = train::merge(&run, engine, progress, observer)?;
    let lacking = lacking(&training.run)?;
    Ok(MergedRun { run: training.run.clone(), training: Some(Box::new(training)), lacking })
}

/// The models that its metrics are of; none where these are damaged or of other models: folds are then counted again.
fn counted_models(run: &Run) -> Result<Option<Vec<String>>> {
    let of_classes = run.metrics().map(|metrics| metrics.map(|metrics| metrics.models));
    let found = of_classes.and_then(|models| match models {
        None => Ok(run.value_metrics()?.map(|metrics| metrics.models)),
        models => Ok(models),
    });
    match found {
        Err(error) if !error.is_of_machine() => Ok(None),
        found => found,
    }
}

/// Methods that not everybody who was held out has a map by.
fn lacking(run: &Run) -> Result<Vec<Lack>> {
    /// People who are named.
    const NAMED: usize = 12;
    let maps = run.maps()?;
    let methods = maps.methods();
    if methods.is_empty() {
        return Ok(Vec::new());
    }
    let cohort = run.cohort()?;
    let held_out = run.held_out(&cohort)?;
    let ids: BTreeSet<&str> = held_out.iter().map(|of| cohort.subjects[of.subject].id.as_str()).collect();
    let steps = steps_again(run, &maps)?;
    let mut lacking = Vec::new();
    for method in methods {
        let have: BTreeSet<&str> = maps.subjects(&method).collect();
        let without: Vec<&&str> = ids.difference(&have).collect();
        if without.is_empty() {
            continue;
        }
        let what =
            format!("maps by {method} of {}: {}", counted(without.len(), cohort.noun()), listed(&without, NAMED));
        // As the maps that are there were made: with the same target, options and atlas.
        let is_of = |step: &&Action| {
            step.settings.iter().any(|(setting, value)| {
                *setting == METHOD && value.as_deref().is_some_and(|names| names.split(',').any(|name| name == method))
            })
        };
        let mut step = steps.iter().find(is_of).cloned().unwrap_or_else(|| Action::new("explain").on(&run.path));
        step.settings.retain(|(setting, _)| *setting != SUBJECTS);
        lacking.push(Lack { what, step });
    }
    Ok(lacking)
}
