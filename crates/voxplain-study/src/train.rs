//! [`train`]: a network for every fold, its predictions for the subjects held out, and the comparators beside it.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | what can be chosen |
//! | `augmentation.rs` | random changes of the volumes |
//! | `dataset.rs` | the labelled subjects of the cohort |
//! | `persons.rs` | who stays on one side of every split |
//! | `copies.rs` | who may be one person, on both sides of a split |
//! | `plan.rs` | all that is decided before a network is trained |
//! | `directory.rs` | the run directory, new or gone on with |
//! | `part.rs` | some of the folds, in a run that others train too |
//! | `merge.rs` | a run whose folds were trained by several |
//! | `fold.rs` | the model of a fold and its predictions |
//! | `fit.rs`, `checkpoint.rs`, `mixup.rs` | epochs, batches, steps of the optimiser |
//! | `initial.rs`, `freeze.rs` | weights of another model, and what is not trained |
//! | `stratify.rs` | folds balanced by covariates |
//! | `matched.rs` | training parts matched on covariates |
//! | `predictions.rs` | from a network to probabilities, from predictions to a table |
//! | `baselines.rs` | comparators with a tuned penalty, and those without an image |
//! | `linear_maps.rs` | maps of linear models on the voxels |
//! | `tabular.rs` | models on a table of measurements |
//! | `metrics.rs` | numbers and sentences about the predictions |
//! | `value.rs`, `loss.rs`, `soft_labels.rs` | labels that are numbers, by which loss, over which bins |
//! | `value_metrics.rs` | numbers and sentences about predicted values |
//! | `permute.rs` | the same on labels dealt out at random |
//! | `words.rs` | what is said about the words of the table |

mod ahead;
mod augmentation;
pub(crate) mod baselines;
mod checkpoint;
mod classes;
mod copies;
mod dataset;
mod directory;
mod fit;
mod fold;
mod freeze;
mod initial;
mod linear_maps;
mod loss;
mod matched;
mod merge;
pub(crate) mod metrics;
mod mixup;
mod observer;
mod options;
mod part;
mod permute;
mod persons;
mod plan;
mod predictions;
mod soft_labels;
mod stratify;
mod tabular;
mod value;
pub(crate) mod value_metrics;
mod words;

pub use crate::alike::Copies;
pub use augmentation::{AffineChange, Augmentation, Change};
pub use loss::LossKind;
pub use matched::{MatchedFold, TrainedOnMatched};
pub use merge::merge;
pub use observer::TrainingObserver;
pub use options::{OptimizerName, ScheduleKind, TrainOptions};
pub use part::{Folds, TrainedFolds, train_folds};
pub use permute::{CountedShard, PermuteOptions, permute, permute_shard};
pub use tabular::{
    BOOSTING_TABLE, LOGISTIC_TABLE, NearRows, RIDGE_TABLE, SVM_TABLE, TableCopies, TableRecord, TableTraining,
    train_table,
};
pub use value::TaskKind;
pub use voxplain_nn::{SoftLabels, ValueLoss};

use crate::{
    cohort::Cohort,
    comparators::{self, ClassificationTask, Gram},
    run::{Metrics, Run, ValueMetrics},
};
use baselines::Tables;
use dataset::Dataset;
use fold::Trainer;
use metrics::{CNN, Classifier, describe_network};
use plan::Plan;
use serde::Serialize;
use std::path::Path;
use voxplain_core::{Claim, Progress, Result, seal};
use voxplain_nn::Engine;
use voxplain_stats::fold_scores;

/// The result of a training.
#[derive(Debug)]
pub struct Training {
    /// The run directory.
    pub run: Run,
    /// Metrics of the network and of the comparators.
    pub metrics: TrainingMetrics,
    /// Ids of subjects that were left out because they have no label.
    pub left_out: Vec<String>,
    /// Ids of subjects that were left out because they have no group, where there are groups.
    pub without_group: Vec<String>,
}

/// Metrics of classes or of a value.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum TrainingMetrics {
    /// Of classes.
    Classes(Box<Metrics>),
    /// Of a value.
    Value(Box<ValueMetrics>),
}

impl TrainingMetrics {
    /// Those of classes; `None` where a value was learnt.
    pub fn classes(&self) -> Option<&Metrics> {
        match self {
            Self::Classes(metrics) => Some(metrics),
            Self::Value(_) => None,
        }
    }

    /// Those of a value; `None` where classes were learnt.
    pub fn value(&self) -> Option<&ValueMetrics> {
        match self {
            Self::Value(metrics) => Some(metrics),
            Self::Classes(_) => None,
        }
    }
}

/// Trains a network for every fold of a cohort and writes the run directory `out`: models, learning curves,
/// out-of-fold predictions and metrics.
///
/// A fold that is finished is not trained again. One that was interrupted goes on after its last complete epoch, and
/// the result is the same, byte for byte. A directory that was made with other options, or from other volumes, is
/// refused; with `force`, what it holds is replaced.
///
/// # Errors
/// The options make no sense, the cohort has no such column or too few subjects of a class, the directory belongs to
/// something else, or the work was interrupted.
pub fn train(
    cohort: &Cohort,
    options: &TrainOptions,
    out: &Path,
    force: bool,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<Training> {
    // Not after the search for copies: that takes its time.
    options.check()?;
    Claim::refuse_other(out)?;
    let options = &options.resolved()?;
    let plan = Plan::of(cohort, options, progress)?;
    let near_duplicates = plan.near_duplicates(engine, progress)?;
    let mut claimed = directory::open_or_create(&plan, out, force, progress)?;
    copies::record(&mut claimed.run, near_duplicates)?;
    plan.describe(&claimed.run)?;
    plan.judge(&plan.trainer(&claimed.run, engine, progress, observer))
}

/// Trains and evaluates a network for every fold, and the comparators; writes predictions and metrics.
fn judged(trainer: &Trainer<'_>, positive: usize, tables: &Tables) -> Result<Metrics> {
    let Trainer { dataset, splits, options, run, engine, progress, observer, .. } = *trainer;
    let task = dataset.classification(splits, options);
    let predictions = trainer.cross_validate(
        |subject, fold, probabilities| task.prediction(subject, fold, probabilities),
        |of_fold| fold_scores(of_fold, task.classes, positive).iter().for_each(|score| observer.fold(score)),
    )?;
    let mut classifiers = vec![Classifier::new(CNN, describe_network(options), predictions)];
    let gram = gram(dataset, engine, progress)?;
    classifiers.extend(comparators(dataset, &task, &gram, progress)?);
    // Decision values of linear models are of the second class of two.
    let second = dataset.classes[dataset.classes.len() - 1].as_str();
    let (more, models) = baselines::of_classes((&gram, tables, second), &task, options.seed, engine, progress)?;
    classifiers.extend(more);
    engine.thread_pool().install(|| linear_maps::write_all(run, dataset, splits, &models, progress))?;
    for classifier in &classifiers {
        let name = Some(classifier.name).filter(|name| *name != CNN);
        predictions::write(run, name, &classifier.predictions, dataset)?;
    }
    let mut metrics = engine.thread_pool().install(|| metrics::metrics(&classifiers, dataset, positive, options));
    metrics.models = run.models()?.all();
    seal::vouch(&run.layout().metrics(), &metrics, run.layout().vouched_by_metrics()?)?;
    Ok(metrics)
}

/// The comparators on the same folds. One that the data do not allow is left out with a warning.
fn comparators(
    dataset: &Dataset<'_>,
    task: &ClassificationTask<'_>,
    gram: &Gram,
    progress: &dyn Progress,
) -> Result<Vec<Classifier>> {
    let mut all = Vec::new();
    let volumes: Vec<f64> = (0..dataset.len()).map(|n| dataset.mask_volume(n)).collect();
    let volume = dataset.cohort.preparation.volume_name();
    let guess = "the class that most training subjects have, whatever the image".to_owned();
    all.push(Classifier::new(comparators::MAJORITY_CLASS, guess, comparators::majority_class(task)));
    match comparators::volume_rank(&volumes, task) {
        Ok(Some(predictions)) => {
            let description = format!("the {volume} as it is; nothing fitted but which class is the larger");
            all.push(Classifier::new(comparators::VOLUME_RANK, description, predictions));
        }
        // It is for two classes.
        Ok(None) => {}
        Err(e) => progress.warn(&format!("no baseline by the rank of the {volume}: {e}")),
    }
    match comparators::mask_volume(&volumes, task) {
        Ok(predictions) => {
            let description = format!("logistic regression on the logarithm of the {volume}");
            all.push(Classifier::new(comparators::MASK_VOLUME, description, predictions));
        }
        Err(e) => progress.warn(&format!("no baseline by {volume}: {e}")),
    }
    let predictions = comparators::linear_voxels(gram, task);
    // A fold of few volumes has fewer components.
    let all_have = task.splits.iter().all(|split| split.train.len() > comparators::COMPONENTS);
    let description = format!(
        "logistic regression on the first {}{} principal components of the prepared volumes{}",
        if all_have { "" } else { "at most " },
        comparators::COMPONENTS,
        gram.in_words()
    );
    all.push(Classifier::new(comparators::LINEAR_VOXELS, description, predictions));
    Ok(all)
}

/// The inner products of all volumes.
fn gram(dataset: &Dataset<'_>, engine: &Engine, progress: &dyn Progress) -> Result<Gram> {
    comparators::gram(dataset.len(), engine, progress, |n| dataset.volume(n))
}

#[cfg(test)]
mod tests;
