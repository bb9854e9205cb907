//! [`train`]: a network for every fold, its predictions for the subjects held out, and the comparators beside it.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | what can be chosen |
//! | `augmentation.rs` | random changes of the volumes |
//! | `dataset.rs` | the labelled subjects of the cohort |
//! | `persons.rs` | who stays on one side of every split |
//! | `copies.rs` | who may be one person, on both sides of a split |
//! | `directory.rs` | the run directory, new or gone on with |
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
pub(crate) mod metrics;
mod mixup;
mod observer;
mod options;
mod permute;
mod persons;
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
pub use observer::TrainingObserver;
pub use options::{OptimizerName, ScheduleKind, TrainOptions};
pub use permute::{PermuteOptions, permute};
pub use tabular::{
    BOOSTING_TABLE, LOGISTIC_TABLE, NearRows, RIDGE_TABLE, SVM_TABLE, TableCopies, TableRecord, TableTraining,
    train_table,
};
pub use value::TaskKind;
pub use voxplain_nn::{SoftLabels, ValueLoss};

use crate::{
    cohort::Cohort,
    comparators::{self, ClassificationTask, Gram},
    folds,
    imbalance::Imbalance,
    listed::counted,
    model::NetworkKind,
    run::{Metrics, Run, ValueMetrics},
    setting::INIT,
};
use baselines::Tables;
use dataset::Dataset;
use fold::Trainer;
use initial::InitialWeights;
use metrics::{CNN, Classifier, describe_network};
use persons::Grouping;
use serde::Serialize;
use std::path::Path;
use voxplain_core::{Claim, Progress, Result, atomic_file, random::Seed, remedy, seal};
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
    options.check()?;
    options.augment.check_on(&cohort.preparation)?;
    if let Some(what) = cohort.unchecked() {
        progress.note(&what);
    }
    let options = &options.resolved()?;
    // Not after the search for copies: that takes its time.
    Claim::refuse_other(out)?;
    let kind = NetworkKind::named(&options.model)?;
    if let Some(what) = value::announced(cohort, options) {
        progress.note(&what);
    }
    if let Some((what, remedy)) = value::doubted(cohort, options) {
        progress.advise(&what, &remedy);
    }
    words::of_table(cohort, options, progress)?;
    let dataset = Dataset::new(cohort, options)?;
    words::of_dataset(&dataset, options, progress);
    // A value is another one at every age.
    if dataset.values.is_none()
        && let Some(change) =
            dataset.persons.as_ref().and_then(|of| persons::who_change(of, &dataset.labels, &options.label))
    {
        progress.note(&change);
    }
    if let Some(set) = &options.test {
        progress.note(&format!(
            "{} with {set} are a test set: in no fold, and asked about only when that is asked for",
            counted(dataset.test.len(), cohort.noun())
        ));
        if let Some(what) = dataset.about_test(options)? {
            progress.warn(&what);
        }
    }
    let group = options.group.as_deref().unwrap_or_default();
    let test = options.test.as_ref().map_or("", |set| set.column.as_str());
    let left_out =
        [(options.label.as_str(), &dataset.left_out), (group, &dataset.without_group), (test, &dataset.without_test)];
    for (column, left) in left_out {
        if !left.is_empty() {
            progress.warn(&format!(
                "{} without {column} {} left out: {}",
                counted(left.len(), cohort.noun()),
                if left.len() == 1 { "is" } else { "are" },
                left.join(", ")
            ));
        }
    }
    // A network that the grid is too small for, or folds that cannot be, must be known before anything is written.
    let network = kind.network(cohort.preparation.input_shape(), options.width(), dataset.task().outputs())?;
    freeze::check(&options.freeze, &network)?;
    if !options.freeze.is_empty() && options.init.is_none() {
        progress.advise(
            "parts of the network are not trained, and keep weights drawn at random",
            &remedy!["start from a model that has learnt something, with ", INIT],
        );
    }
    // What a network sees in part alone, as a strided shortcut does everywhere, is left to the look at the model.
    let initial = InitialWeights::of(options, &dataset, &network, progress)?;
    if let Some(unseen) = dataset.unseen(&network)?.filter(|unseen| unseen.share > 0.0) {
        let of = match dataset.brains_looked_at() {
            some if some < dataset.len() => {
                format!(" (the share of the mask over {some} of {} subjects)", dataset.len())
            }
            _ => String::new(),
        };
        let what = format!("on this grid the network {unseen}{of}");
        // A rim, as on the default grid, is no reason to stop; much of the brain is.
        if unseen.is_much() {
            progress.warn(&what);
        } else {
            progress.note(&what);
        }
    }
    let groups = dataset.groups();
    let splits = folds::splits(&dataset.labels, groups, options.split, Seed::new(options.seed))?;
    dataset.check_splits(&splits, options)?;
    let (splits, balance) = stratify::balanced(&dataset, splits, options)?;
    balance.iter().for_each(|what| progress.note(what));
    dataset.refuse_divided_duplicates(&splits)?;
    let strata = (dataset.stratum(), dataset.classes.as_slice());
    let uneven = |groups: &Grouping| folds::uneven(&splits, &dataset.labels, strata, groups.noun());
    if let Some(what) = dataset.grouping.as_ref().and_then(uneven) {
        progress.warn(&what);
    }
    let (splits, matching) = matched::matched(&dataset, splits, options)?;
    if let Some(matching) = &matching {
        progress.note(&matching.sentence("matching.json of the run"));
    }
    let tables = Tables::of(&dataset, options, progress)?;
    let bins = soft_labels::of_folds(&dataset, &splits, options)?;
    soft_labels::announce(&dataset, &splits, &bins, progress);
    // A class that is not there is said before anything is written.
    let positive = if dataset.values.is_some() { 0 } else { dataset.positive(options)? };

    let near_duplicates = copies::look(&dataset, &splits, options, engine, progress)?;
    let imbalance = imbalance(&dataset, options)?;
    progress.note(&imbalance.sentence("imbalance.json of the run"));

    let mut claimed = directory::open_or_create(&dataset, options, (splits.len(), &bins), out, force, progress)?;
    let run = &mut claimed.run;
    copies::record(run, near_duplicates)?;
    atomic_file::write_json(&run.layout().imbalance(), &imbalance)?;
    if let Some(matching) = &matching {
        atomic_file::write_json(&run.layout().matching(), matching)?;
    }
    let trainer = Trainer {
        dataset: &dataset,
        splits: &splits,
        bins: &bins,
        options,
        initial: initial.as_ref(),
        run,
        engine,
        progress,
        observer,
    };
    let metrics = match &dataset.values {
        Some(values) => TrainingMetrics::Value(Box::new(value_metrics::judged(&trainer, values, &tables)?)),
        None => TrainingMetrics::Classes(Box::new(judged(&trainer, positive, &tables)?)),
    };
    let run = claimed.run.clone();
    Ok(Training { run, metrics, left_out: dataset.left_out.clone(), without_group: dataset.without_group.clone() })
}

/// What goes with the label beside the images, among the people of the folds.
fn imbalance(dataset: &Dataset<'_>, options: &TrainOptions) -> Result<Imbalance> {
    let learnt = (options.label.as_str(), dataset.learnt());
    Imbalance::of(dataset.cohort, &dataset.subjects, learnt, &options.missing, options.seed)
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
    seal::declare(&run.layout().metrics(), &metrics, run.layout().vouched_by_metrics()?)?;
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
        "logistic regression on the first {}{} principal components of the prepared volumes",
        if all_have { "" } else { "at most " },
        comparators::COMPONENTS
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
