//! [`train_table`]: models on a table of measurements, with the folds, metrics and sentences of a network.
//!
//! | file | holds |
//! |---|---|
//! | `tabular/rows.rs` | the rows that are learnt from, and what is said of them |
//! | `tabular/giveaway.rs` | empty cells and single columns that tell the label |
//! | `tabular/copies.rs` | rows of two people that are nearly the same |

mod copies;
mod giveaway;
mod rows;

pub use copies::{NearRows, TableCopies};

use super::{
    TrainingMetrics,
    baselines::describe_tuned,
    metrics::{self, Classifier, First},
    options::TrainOptions,
    value_metrics::{self, Predictor},
};
use crate::{
    comparators::{self, ClassificationTask, MAJORITY_CLASS, MOST_STAGES, TRAINING_MEAN, TRAINING_MEDIAN, ValueTask},
    folder::entries,
    folds::{self, Sample, Split, Units},
    listed::counted,
    model::Quantity,
    morphometry::Morphometry,
    run::{Metrics, PredictedValue, Prediction, ValueMetrics, read_json, write_predictions, write_values},
    setting::{FORCE, OUT},
};
use rows::Rows;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_core::{Claim, Error, Progress, Result, atomic_file, random::Seed, remedy, seal};
use voxplain_nn::Engine;
use voxplain_stats::{FoldPrediction, ValuePrediction};

/// Name of logistic regression on the table.
pub const LOGISTIC_TABLE: &str = "logistic-table";
/// Name of the support vector machine on the table.
pub const SVM_TABLE: &str = "svm-table";
/// Name of gradient boosting on the table, of classes and of values.
pub const BOOSTING_TABLE: &str = "boosting-table";
/// Name of ridge regression on the table.
pub const RIDGE_TABLE: &str = "ridge-table";

/// The model of classes that others are compared with.
const LOGISTIC: First = First { name: LOGISTIC_TABLE, called: "logistic regression", held_out: true };
/// The model of values that others are compared with.
const RIDGE: First = First { name: RIDGE_TABLE, called: "ridge regression", held_out: true };

/// Settings that are of tables too; all others are of networks.
const OF_TABLES: [&str; 14] = [
    "label",
    "task",
    "unit",
    "missing",
    "positive",
    "folds",
    "holdout",
    "group",
    "covariates",
    "near-duplicates",
    "class-weights",
    "seed",
    "keep-going",
    "test",
];

/// What goes with the label beside what is learnt from.
const IMBALANCE: &str = "imbalance.json";

/// The result of a training on a table.
#[derive(Debug)]
pub struct TableTraining {
    /// Where it was written.
    pub out: PathBuf,
    /// Metrics of the first model and of those that it is compared with.
    pub metrics: TrainingMetrics,
    /// Ids of rows that were left out because they have no label or no group.
    pub left_out: Vec<String>,
}

/// `table.json`: from what a training on a table was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableRecord {
    /// Version of voxplain.
    pub version: String,
    /// The table.
    pub table: PathBuf,
    /// BLAKE3 of the file.
    pub hash: String,
    /// The columns that were learnt from.
    pub columns: Vec<String>,
    /// Columns of the table that were not, for what they hold, each with the reason; unknown in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_taken: Vec<(String, String)>,
    /// The options, as JSON.
    pub options: serde_json::Value,
    /// Rows that were left out.
    pub left_out: Vec<String>,
    /// Rows of different ids that are nearly the same; unknown in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_duplicates: Option<TableCopies>,
}

/// What is learnt of each row.
#[derive(Clone, Copy)]
enum Truth<'a> {
    /// A class.
    Classes(ClassTruth<'a>),
    /// A value.
    Values(&'a [f64]),
}

/// The class of each row, and the names of the classes.
#[derive(Clone, Copy)]
struct ClassTruth<'a> {
    labels: &'a [usize],
    names: &'a [String],
}

/// Fits models to a table of measurements (CSV or TSV, a row for each person) in folds, as networks are trained on a cohort: logistic
/// regression, a support vector machine and gradient boosting for classes, ridge regression and gradient boosting for a value; penalties and
/// numbers of trees are chosen inside the training part. Writes predictions, metrics and a record into the directory `out`.
///
/// Rows of one id stay on one side of every split. Columns of words, of row numbers, and those that by their names measure no brain, are not
/// learnt from.
///
/// # Errors
/// Options of networks; a table that cannot be read, whose ids would be a guess, that gives the label away by a column or by its empty cells,
/// or that holds nearly the same row under two ids; too few people; a directory with something else in it.
pub fn train_table(
    path: &Path,
    options: &TrainOptions,
    out: &Path,
    force: bool,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<TableTraining> {
    options.check()?;
    refuse_options_of_networks(options)?;
    let table = Morphometry::read(path)?;
    let rows = Rows::of(&table, options, progress)?;
    let splits = folds::splits(&rows.labels, rows.group_of(), options.split, Seed::new(options.seed))?;
    let units = rows.groups.as_ref().map(|groups| Units { of: &groups.of, names: &groups.names, noun: groups.noun() });
    let classes: &[String] = if rows.values.is_some() { &[] } else { &rows.classes };
    let sample =
        Sample { labels: &rows.labels, classes, units, seed: Seed::new(options.seed), missing: &options.missing };
    sample.check(&splits, options.split)?;
    // A class that is not there is said before anything is written.
    let positive = if rows.values.is_some() { 0 } else { positive(&rows, options)? };
    let pool = engine.thread_pool();
    let near_duplicates = pool.install(|| copies::look(&rows, &splits, options, progress))?;
    let models: &[&str] = match rows.truth() {
        Truth::Classes(_) => &["logistic regression", "a linear support vector machine", "gradient boosting"],
        Truth::Values(_) => &["ridge regression", "gradient boosting"],
    };
    progress.note(&rows.plan(options, models));
    if let Some(imbalance) = &rows.imbalance {
        progress.note(&imbalance.sentence_of_table("imbalance.json beside the result"));
    }
    let bytes = voxplain_core::input::read(path).map_err(Error::io(path))?;
    let record = TableRecord {
        version: env!("CARGO_PKG_VERSION").into(),
        table: std::path::absolute(path).map_err(Error::io(path))?,
        hash: blake3::hash(&bytes).to_hex().to_string(),
        columns: rows.measured.columns.iter().map(|(name, _)| name.clone()).collect(),
        not_taken: rows.measured.left_out().iter().map(|(name, why)| (name.clone(), (*why).to_owned())).collect(),
        options: serde_json::to_value(options)
            .map_err(|e| Error::request(format!("the options cannot be written as JSON: {e}"), "report this"))?,
        left_out: rows.left_out.clone(),
        near_duplicates: Some(near_duplicates),
    };
    let place = Place::open(out, &record, force, progress)?;
    if let Some(imbalance) = &rows.imbalance {
        seal::write(&place.file(IMBALANCE), imbalance)?;
    }
    let metrics = match &rows.values {
        None => TrainingMetrics::Classes(Box::new(
            pool.install(|| of_classes(&rows, positive, options, (&splits, &place), progress))?,
        )),
        Some(values) => TrainingMetrics::Value(Box::new(
            pool.install(|| of_values(&rows, values, options, (&splits, &place), progress))?,
        )),
    };
    match &metrics {
        TrainingMetrics::Classes(metrics) => seal::vouch(&place.file("metrics.json"), metrics, place.made()?)?,
        TrainingMetrics::Value(metrics) => seal::vouch(&place.file("metrics.json"), metrics, place.made()?)?,
    }
    Ok(TableTraining { out: out.to_owned(), metrics, left_out: rows.left_out })
}

impl TableRecord {
    /// `table.json` in the directory of a training on a table: it makes a directory one.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("table.json")
    }

    /// Whether it is of the same table and options as another, by the same version.
    fn is_of(&self, other: &Self) -> bool {
        (&self.version, &self.table, &self.hash, &self.options)
            == (&other.version, &other.table, &other.hash, &other.options)
    }
}

/// Refuses what has no meaning for a table.
fn refuse_options_of_networks(options: &TrainOptions) -> Result<()> {
    let other = options.settings().into_iter().find(|(setting, _)| !OF_TABLES.contains(&setting.name()));
    if let Some((setting, _)) = other {
        return Err(Error::request(
            format!("{} is an option of networks, and a table is learnt without one", setting.name()),
            remedy!["leave out ", setting],
        ));
    }
    if options.test.is_some() {
        return Err(Error::request(
            "a test set that is touched once is kept for networks alone",
            "make a table without these people",
        ));
    }
    Ok(())
}

/// The directory of a training on a table.
struct Place {
    folder: PathBuf,
    /// Ends the claim when it is dropped.
    _claim: Claim,
}

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Of the first model, or of another by its name.
    fn predictions(&self, at: usize, name: &str) -> PathBuf {
        self.file(&if at == 0 { "predictions.tsv".to_owned() } else { format!("predictions-{name}.tsv") })
    }

    /// Makes the directory, or takes that of the same training; one of another is replaced with `force`.
    fn open(out: &Path, record: &TableRecord, force: bool, progress: &dyn Progress) -> Result<Self> {
        let is_ours = TableRecord::path(out).is_file();
        if !is_ours
            && out.exists()
            && !entries(out)?.iter().all(|file| atomic_file::is_part(file) || Claim::is_file(file))
        {
            return Err(Error::file(
                out,
                "is not empty, and no training on a table",
                remedy!["give a new directory to ", OUT],
            ));
        }
        std::fs::create_dir_all(out).map_err(Error::io(out))?;
        let place = Self { folder: out.to_owned(), _claim: Claim::take(out, "train", progress)? };
        let file = TableRecord::path(out);
        if file.is_file() {
            if !force && !read_json::<TableRecord>(&file)?.is_of(record) {
                return Err(Error::file(
                    out,
                    "there is a training on a table already, of another table or other options",
                    remedy!["use another ", OUT, ", or ", FORCE, " to replace it"],
                ));
            }
            for path in place
                .made()?
                .into_iter()
                .chain([place.file("metrics.json"), place.file(IMBALANCE)])
                .filter(|path| path.is_file())
            {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        seal::write(&file, record)?;
        Ok(place)
    }

    /// The predictions that are there.
    fn made(&self) -> Result<Vec<PathBuf>> {
        let names = [
            LOGISTIC_TABLE,
            SVM_TABLE,
            BOOSTING_TABLE,
            RIDGE_TABLE,
            MAJORITY_CLASS,
            TRAINING_MEAN,
            TRAINING_MEDIAN,
            comparators::COVARIATES,
        ];
        let ours: Vec<PathBuf> = names.iter().flat_map(|name| [0, 1].map(|at| self.predictions(at, name))).collect();
        Ok(entries(&self.folder)?.into_iter().filter(|file| ours.contains(file)).collect())
    }
}

/// The position of the positive class.
fn positive(rows: &Rows, options: &TrainOptions) -> Result<usize> {
    let Some(name) = &options.positive else { return Ok(rows.classes.len() - 1) };
    rows.classes.iter().position(|c| c == name).ok_or_else(|| {
        Error::request(
            format!("there is no class {name} in {}", options.label),
            format!("the classes are: {}", rows.classes.join(", ")),
        )
    })
}

/// Gradient boosting in words.
fn describe_boosting(width: &str) -> String {
    format!(
        "gradient boosting of trees on {width}, their number (at most {MOST_STAGES}) chosen inside the training part"
    )
}

fn of_classes(
    rows: &Rows,
    positive: usize,
    options: &TrainOptions,
    (splits, place): (&[Split], &Place),
    progress: &dyn Progress,
) -> Result<Metrics> {
    let task = ClassificationTask {
        labels: &rows.labels,
        groups: rows.group_of(),
        classes: rows.classes.len(),
        splits,
        balanced: options.balanced,
    };
    let seed = Seed::new(options.seed);
    let width = counted(rows.features.len(), "column");
    let few = "two people (or groups) of each class in every training part";
    let logistic = comparators::logistic_features(&rows.features, &task, seed, progress)?;
    let mut all = vec![Classifier::tuned(
        LOGISTIC_TABLE,
        describe_tuned(&format!("logistic regression on {width}"), &logistic.chosen),
        logistic.predictions,
        logistic.chosen,
    )];
    match comparators::svm_features(&rows.features, &task, seed, progress)? {
        Some(found) => all.push(Classifier::tuned(
            SVM_TABLE,
            describe_tuned(
                &format!("linear support vector machine on {width}, with Platt's probabilities"),
                &found.chosen,
            ),
            found.predictions,
            found.chosen,
        )),
        None => progress.warn(&format!("no support vector machine: its penalty and probability take {few}")),
    }
    match comparators::boosting_features(&rows.features, &task, seed, progress)? {
        Some(found) => {
            let description = format!("{} ({})", describe_boosting(&width), found.chosen.in_words());
            all.push(Classifier::tuned(BOOSTING_TABLE, description, found.predictions, found.chosen));
        }
        None => progress.warn(&format!("no gradient boosting: the number of its trees takes {few}")),
    }
    let guess = "the class that most of the people trained on have".to_owned();
    all.push(Classifier::new(MAJORITY_CLASS, guess, comparators::majority_class(&task)));
    if let Some(features) = &rows.covariates {
        let description = format!("logistic regression on {}", features.describe());
        all.push(Classifier::new(comparators::COVARIATES, description, comparators::covariates(features, &task)));
    }
    for (at, classifier) in all.iter().enumerate() {
        let row = |p: &FoldPrediction| Prediction {
            participant_id: rows.ids[p.subject].clone(),
            fold: p.fold,
            truth: rows.classes[p.truth].clone(),
            predicted: rows.classes[p.predicted].clone(),
            probabilities: p.probabilities.clone(),
        };
        let predictions: Vec<Prediction> = classifier.predictions.iter().map(row).collect();
        write_predictions(&place.predictions(at, classifier.name), &rows.classes, &predictions)?;
    }
    let mut metrics = metrics::compared(&all, &rows.classes, positive, (rows.people(), rows.grouped_by()));
    metrics.rows = true;
    metrics.method = rows.method(options);
    metrics.summary = metrics::summary(&metrics, LOGISTIC, None);
    if let Some(alike) = metrics::pairs_alike(&all[0].predictions, &metrics.classes, LOGISTIC) {
        metrics.summary.insert(1.min(metrics.summary.len()), alike);
    }
    Ok(metrics)
}

fn of_values(
    rows: &Rows,
    values: &[f64],
    options: &TrainOptions,
    (splits, place): (&[Split], &Place),
    progress: &dyn Progress,
) -> Result<ValueMetrics> {
    let task = ValueTask { values, groups: rows.group_of(), splits };
    progress.go_on()?;
    let width = counted(rows.features.len(), "column");
    let mut all = vec![
        Predictor::tuned(
            RIDGE_TABLE,
            &format!("ridge regression on {width}, the penalty chosen inside the training part"),
            comparators::ridge_features(&rows.features, &task),
        ),
        Predictor::new(TRAINING_MEAN, "the mean of the people trained on", comparators::training_mean(&task)),
        Predictor::new(TRAINING_MEDIAN, "the median of the people trained on", comparators::training_median(&task)),
    ];
    match comparators::boosting_values(&rows.features, &task, Seed::new(options.seed), progress)? {
        Some(found) => all.push(Predictor::tuned(BOOSTING_TABLE, &describe_boosting(&width), found)),
        None => progress
            .warn("no gradient boosting: the number of its trees takes two people (or groups) in every training part"),
    }
    if let Some(features) = &rows.covariates {
        let description =
            format!("ridge regression on {}, the penalty chosen inside the training part", features.describe());
        let found = comparators::ridge_features(features, &task);
        all.push(Predictor::tuned(comparators::COVARIATES, &description, found));
    }
    for (at, predictor) in all.iter().enumerate() {
        let row = |p: &ValuePrediction| PredictedValue {
            participant_id: rows.ids[p.subject].clone(),
            fold: p.fold,
            truth: p.truth,
            predicted: p.predicted,
        };
        let predictions: Vec<PredictedValue> = predictor.predictions.iter().map(row).collect();
        write_values(&place.predictions(at, predictor.name), &predictions)?;
    }
    let value = Quantity { name: options.label.clone(), unit: options.unit.clone() };
    let mut metrics = value_metrics::compared(&all, &value, (rows.people(), rows.grouped_by()));
    metrics.rows = true;
    metrics.method = rows.method(options);
    metrics.summary = value_metrics::summary(&metrics, RIDGE, None);
    Ok(metrics)
}
