//! [`train_table`]: linear models on a table of measurements, with the folds, metrics and sentences of a network.

use super::{
    TrainingMetrics,
    baselines::describe_tuned,
    classes,
    metrics::{self, Classifier, First},
    options::TrainOptions,
    value::{self, TaskKind},
    value_metrics::{self, Predictor},
};
use crate::{
    cohort::{PERSON, bare, is_missing},
    comparators::{
        self, ClassificationTask, Features, MAJORITY_CLASS, TRAINING_MEAN, TRAINING_MEDIAN, ValueTask, named,
    },
    folds::{self, Sample, Split, SplitScheme, Units},
    imbalance::Learnt,
    listed::{counted, does, have, listed},
    model::Quantity,
    morphometry::{Morphometry, is_no_measurement},
    recode::refuse_recode,
    run::{Metrics, PredictedValue, Prediction, ValueMetrics, read_json, write_predictions, write_values},
    setting::{COVARIATES, FORCE, GROUP, KEEP_GOING, OUT},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Progress, Result, atomic_file, random::Seed, remedy};
use voxplain_nn::Engine;
use voxplain_stats::{FoldPrediction, ValuePrediction};

/// Name of logistic regression on the table.
pub const LOGISTIC_TABLE: &str = "logistic-table";
/// Name of the support vector machine on the table.
pub const SVM_TABLE: &str = "svm-table";
/// Name of ridge regression on the table.
pub const RIDGE_TABLE: &str = "ridge-table";

/// The model of classes that others are compared with.
const LOGISTIC: First = First { name: LOGISTIC_TABLE, called: "logistic regression", held_out: true };
/// The model of values that others are compared with.
const RIDGE: First = First { name: RIDGE_TABLE, called: "ridge regression", held_out: true };

/// Settings that are of tables too; all others are of networks.
const OF_TABLES: [&str; 13] = [
    "label",
    "task",
    "unit",
    "missing",
    "positive",
    "folds",
    "holdout",
    "group",
    "covariates",
    "class-weights",
    "seed",
    "keep-going",
    "test",
];

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
    /// The options, as JSON.
    pub options: serde_json::Value,
    /// Rows that were left out.
    pub left_out: Vec<String>,
}

/// The rows of a table that are learnt from.
struct Rows {
    ids: Vec<String>,
    labels: Vec<usize>,
    classes: Vec<String>,
    values: Option<Vec<f64>>,
    /// The column, the group of each row, and the names of the groups.
    groups: Option<(String, Vec<usize>, Vec<String>)>,
    features: Features,
    columns: Vec<String>,
    covariates: Option<Features>,
    left_out: Vec<String>,
}

/// Fits linear models to a table of measurements (CSV or TSV, a row for each person) in folds, as networks are trained on a cohort: logistic
/// regression and a support vector machine for classes, ridge regression for a value, their penalties chosen inside the training part. Writes
/// predictions, metrics and a record into the directory `out`.
///
/// Rows of one id stay on one side of every split. Columns of words, and those that by their names measure no brain, are not learnt from.
///
/// # Errors
/// Options of networks; a table that cannot be read, that gives the label away, or that holds one row under two ids; too few people; a
/// directory with something else in it.
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
    let units = rows.groups.as_ref().map(|(column, of, names)| Units {
        of,
        names,
        noun: if column == PERSON { "people" } else { "groups" },
    });
    let of_classes: &[String] = if rows.values.is_some() { &[] } else { &rows.classes };
    let sample = Sample {
        labels: &rows.labels,
        classes: of_classes,
        units,
        seed: Seed::new(options.seed),
        missing: &options.missing,
    };
    sample.check(&splits, options.split)?;
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let record = TableRecord {
        version: env!("CARGO_PKG_VERSION").into(),
        table: std::path::absolute(path).map_err(Error::io(path))?,
        hash: blake3::hash(&bytes).to_hex().to_string(),
        columns: rows.columns.clone(),
        options: serde_json::to_value(options)
            .map_err(|e| Error::request(format!("the options cannot be written as JSON: {e}"), "report this"))?,
        left_out: rows.left_out.clone(),
    };
    let place = Place::open(out, &record, force)?;
    let metrics = match &rows.values {
        None => TrainingMetrics::Classes(Box::new(of_classes_of(&rows, options, (&splits, &place), engine, progress)?)),
        Some(values) => {
            TrainingMetrics::Value(Box::new(of_values_of(&rows, values, options, (&splits, &place), progress)?))
        }
    };
    match &metrics {
        TrainingMetrics::Classes(metrics) => atomic_file::write_json(&place.file("metrics.json"), metrics)?,
        TrainingMetrics::Value(metrics) => atomic_file::write_json(&place.file("metrics.json"), metrics)?,
    }
    Ok(TableTraining { out: out.to_owned(), metrics, left_out: rows.left_out })
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
struct Place(PathBuf);

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Of the first model, or of another by its name.
    fn predictions(&self, at: usize, name: &str) -> PathBuf {
        self.file(&if at == 0 { "predictions.tsv".to_owned() } else { format!("predictions-{name}.tsv") })
    }

    /// Makes the directory, or takes that of the same training; one of another is replaced with `force`.
    fn open(out: &Path, record: &TableRecord, force: bool) -> Result<Self> {
        let place = Self(out.to_owned());
        let file = place.file("table.json");
        let is_empty = match out.read_dir() {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(Error::io(out)(e)),
        };
        if file.is_file() {
            if !force && read_json::<TableRecord>(&file)? != *record {
                return Err(Error::file(
                    out,
                    "there is a training on a table already, of another table or other options",
                    remedy!["use another ", OUT, ", or ", FORCE, " to replace it"],
                ));
            }
            for entry in std::fs::read_dir(out).map_err(Error::io(out))? {
                let path = entry.map_err(Error::io(out))?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name == "metrics.json" || (name.starts_with("predictions") && name.ends_with(".tsv")) {
                    std::fs::remove_file(&path).map_err(Error::io(&path))?;
                }
            }
        } else if !is_empty {
            return Err(Error::file(
                out,
                "is not empty, and no training on a table",
                remedy!["give a new directory to ", OUT],
            ));
        }
        std::fs::create_dir_all(out).map_err(Error::io(out))?;
        atomic_file::write_json(&file, record)?;
        Ok(place)
    }
}

impl Rows {
    fn of(table: &Morphometry, options: &TrainOptions, progress: &dyn Progress) -> Result<Self> {
        let read = &table.table;
        let cell =
            |row: usize, column: usize| read.rows[row][column].as_deref().filter(|c| !is_missing(c, &options.missing));
        let label = read.column(&options.label)?;
        let id = |row: usize| bare(read.rows[row][table.id_column].as_deref().unwrap_or_default()).to_owned();
        if let Some(row) = (0..read.rows.len()).find(|&row| id(row).is_empty()) {
            return Err(Error::file(
                &table.path,
                format!("row {} has no value in the column of ids, {}", row + 1, table.id_column()),
                "give every row the id of its person",
            ));
        }
        let group = options.group.as_deref().map(|name| read.column(name)).transpose()?;
        let lacks = |row: &usize| cell(*row, label).is_none() || group.is_some_and(|g| cell(*row, g).is_none());
        let (without, rows): (Vec<usize>, Vec<usize>) = (0..read.rows.len()).partition(lacks);
        let left_out: Vec<String> = without.iter().map(|&row| id(row)).collect();
        if !left_out.is_empty() {
            let of = options.group.as_ref().map_or_else(String::new, |group| format!(" or {group}"));
            let what = format!(
                "{} of {} {} no {}{of}: {}",
                left_out.len(),
                counted(read.rows.len(), "row"),
                have(left_out.len()),
                options.label,
                listed(&left_out, 8)
            );
            if !options.keep_going {
                return Err(Error::file(&table.path, what, remedy!["fill it in, or leave them out with ", KEEP_GOING]));
            }
            progress.warn(&format!("left out: {what}"));
        }
        let ids: Vec<String> = rows.iter().map(|&row| id(row)).collect();
        let labelled: Vec<&str> = rows.iter().filter_map(|&row| cell(row, label)).collect();
        let kind = options.task.unwrap_or_else(|| value::kind(&labelled));
        let (classes, labels, values) = match kind {
            TaskKind::Class => {
                let classes = classes::of(&labelled, &options.label, &[], options.task.is_some())?;
                let class = |cell: &&str| classes.iter().position(|c| c == cell);
                let labels = labelled.iter().filter_map(class).collect();
                (classes, labels, None)
            }
            TaskKind::Value => {
                let names: Vec<&str> = ids.iter().map(String::as_str).collect();
                let of = value::of(&labelled, &names, &options.label)?;
                let folds = match options.split {
                    SplitScheme::Folds(k) => k,
                    SplitScheme::Holdout(_) => 5,
                };
                let (labels, bins) = value::bins(&of, (of.len() / folds.max(1)).clamp(1, 10));
                (bins, labels, Some(of))
            }
        };
        let groups = match group {
            Some(column) => {
                let cells: Vec<&str> = rows.iter().filter_map(|&row| cell(row, column)).collect();
                Some(numbered(options.group.as_deref().unwrap_or_default(), &cells))
            }
            None => {
                let names: Vec<&str> = ids.iter().map(String::as_str).collect();
                let repeated = read_repeated(&names);
                (repeated > 0).then(|| {
                    progress.note(&format!(
                        "{} of the column {} {} in several rows: they are taken for rows of one person, who stays on one side of every split",
                        counted(repeated, "id"),
                        table.id_column(),
                        does(repeated, "stands", "stand")
                    ));
                    numbered(PERSON, &names)
                })
            }
        };
        let covariates = match options.covariates.as_slice() {
            [] => None,
            terms => {
                let mut of = Vec::new();
                for term in terms {
                    let (name, _) = named(term);
                    if name == options.label {
                        return Err(Error::request(
                            format!("the covariate {name} is the label itself"),
                            remedy!["leave it out of ", COVARIATES],
                        ));
                    }
                    let column = read.column(name)?;
                    let cells: Vec<Option<&str>> = rows.iter().map(|&row| cell(row, column)).collect();
                    let learnt = match &values {
                        Some(values) => Learnt::Values(values),
                        None => Learnt::Classes(&labels, &classes),
                    };
                    let leave = remedy!["leave it out of ", COVARIATES, ": who knows it knows the label"];
                    refuse_recode((name, &cells), (&options.label, learnt), leave)?;
                    of.push((term.clone(), cells));
                }
                Some(Features::of(&of, rows.len(), &options.missing)?)
            }
        };
        if let Some(of) = &covariates {
            progress.note(&format!("covariates: {}", of.describe()));
        }
        let own = |name: &&String| {
            **name == options.label
                || options.group.as_ref() == Some(*name)
                || options.covariates.iter().any(|term| named(term).0 == name.as_str())
        };
        let by_name: Vec<&str> = read
            .columns
            .iter()
            .enumerate()
            .filter(|(at, name)| *at != table.id_column && !own(name) && is_no_measurement(name))
            .map(|(_, name)| name.as_str())
            .collect();
        let mut apart: Vec<&str> = read.columns.iter().filter(own).map(String::as_str).collect();
        apart.extend(&by_name);
        let found = table.measured(&rows, &apart, &options.missing)?;
        found.refuse_label(&labelled, values.as_deref(), &[])?;
        refuse_copies(table, &found.columns, &ids)?;
        progress.note(&found.describe());
        if !by_name.is_empty() {
            progress.note(&format!(
                "not learnt from, since by {} the brain: {}",
                does(by_name.len(), "its name it is no measurement of", "their names they are no measurements of"),
                by_name.join(", ")
            ));
        }
        let columns = found.columns.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { ids, labels, classes, values, groups, features: found.features(), columns, covariates, left_out })
    }

    fn group_of(&self) -> Option<&[usize]> {
        self.groups.as_ref().map(|(_, of, _)| of.as_slice())
    }

    /// Number of people, where rows are of people with several.
    fn people(&self) -> Option<usize> {
        self.groups.as_ref().filter(|(column, ..)| column == PERSON).map(|(_, _, names)| names.len())
    }

    fn grouped_by(&self) -> Option<String> {
        self.groups.as_ref().map(|(column, ..)| column.clone())
    }

    fn method(&self, options: &TrainOptions, table: &str) -> String {
        let scheme = match options.split {
            SplitScheme::Folds(k) => format!("{k}-fold cross-validation"),
            SplitScheme::Holdout(share) => format!("{} % held out once", (share * 1000.0).round() / 10.0),
        };
        let by = if self.values.is_some() { "balanced over bins of the value" } else { "stratified by class" };
        let groups = match &self.groups {
            None => String::new(),
            Some((column, ..)) if column == PERSON => "; no person on both sides of a split".to_owned(),
            Some((column, ..)) => format!("; no group ({column}) on both sides of a split"),
        };
        format!(
            "{scheme}, {by}{groups}. {} of {table}; columns are standardised and penalties chosen inside the training part. Numbers pool what each row was said \
             by a model that never saw it",
            counted(self.columns.len(), "column")
        ) + ". Differences are paired by row."
    }
}

/// How many ids stand in more than one row.
fn read_repeated(ids: &[&str]) -> usize {
    let mut of = BTreeMap::<&str, usize>::new();
    ids.iter().for_each(|id| *of.entry(id).or_default() += 1);
    of.values().filter(|n| **n > 1).count()
}

/// Groups by their names, in order.
fn numbered(column: &str, cells: &[&str]) -> (String, Vec<usize>, Vec<String>) {
    let names: Vec<&str> = cells.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let of = cells.iter().filter_map(|cell| names.binary_search(cell).ok()).collect();
    (column.to_owned(), of, names.into_iter().map(str::to_owned).collect())
}

/// Refuses rows of two ids whose measurements are the same, number by number: one would be on both sides of a split.
fn refuse_copies(table: &Morphometry, columns: &[(String, Vec<Option<f64>>)], ids: &[String]) -> Result<()> {
    if columns.len() < 3 {
        // Two rounded numbers may well be the same.
        return Ok(());
    }
    let mut seen = BTreeMap::<Vec<Option<u64>>, usize>::new();
    let mut copies = Vec::new();
    for row in 0..ids.len() {
        let key: Vec<Option<u64>> = columns.iter().map(|(_, cells)| cells[row].map(f64::to_bits)).collect();
        if key.iter().all(Option::is_none) {
            continue;
        }
        match seen.get(&key) {
            Some(&other) if ids[other] != ids[row] => copies.push(format!("{} and {}", ids[other], ids[row])),
            Some(_) => {}
            None => {
                seen.insert(key, row);
            }
        }
    }
    if copies.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} of different ids with the same measurements: {}",
        counted(copies.len(), "pair"),
        listed(&copies, 8)
    );
    Err(Error::file(
        &table.path,
        what,
        remedy!["keep one row of each, or put those of one person in one group with ", GROUP],
    ))
}

fn of_classes_of(
    rows: &Rows,
    options: &TrainOptions,
    (splits, place): (&[Split], &Place),
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Metrics> {
    let positive = match &options.positive {
        None => rows.classes.len() - 1,
        Some(name) => rows.classes.iter().position(|c| c == name).ok_or_else(|| {
            Error::request(
                format!("there is no class {name} in {}", options.label),
                format!("the classes are: {}", rows.classes.join(", ")),
            )
        })?,
    };
    let classes = rows.classes.len();
    let task = ClassificationTask {
        labels: &rows.labels,
        groups: rows.group_of(),
        classes,
        splits,
        balanced: options.balanced,
    };
    let (seed, pool) = (Seed::new(options.seed), engine.thread_pool());
    let width = counted(rows.columns.len(), "column");
    let logistic = pool.install(|| comparators::logistic_features(&rows.features, &task, seed, progress))?;
    let mut all = vec![Classifier::new(
        LOGISTIC_TABLE,
        describe_tuned(&format!("logistic regression on {width}"), logistic.untuned),
        logistic.predictions,
    )];
    match pool.install(|| comparators::svm_features(&rows.features, &task, seed, progress))? {
        Some(found) => all.push(Classifier::new(
            SVM_TABLE,
            describe_tuned(
                &format!("linear support vector machine on {width}, with Platt's probabilities"),
                found.untuned,
            ),
            found.predictions,
        )),
        None => progress.warn(
            "no support vector machine: its penalty and probability take two people (or groups) of each class in every training part",
        ),
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
    metrics.method = rows.method(options, "the table");
    metrics.summary = metrics::summary(&metrics, LOGISTIC, None);
    if let Some(alike) = metrics::pairs_alike(&all[0].predictions, &metrics.classes, LOGISTIC) {
        metrics.summary.insert(1.min(metrics.summary.len()), alike);
    }
    Ok(metrics)
}

fn of_values_of(
    rows: &Rows,
    values: &[f64],
    options: &TrainOptions,
    (splits, place): (&[Split], &Place),
    progress: &dyn Progress,
) -> Result<ValueMetrics> {
    let task = ValueTask { values, groups: rows.group_of(), splits };
    progress.go_on()?;
    let width = counted(rows.columns.len(), "column");
    let mut all = vec![
        Predictor::new(
            RIDGE_TABLE,
            &format!("ridge regression on {width}, the penalty chosen inside the training part"),
            comparators::ridge_features(&rows.features, &task),
        ),
        Predictor::new(TRAINING_MEAN, "the mean of the people trained on", comparators::training_mean(&task)),
        Predictor::new(TRAINING_MEDIAN, "the median of the people trained on", comparators::training_median(&task)),
    ];
    if let Some(features) = &rows.covariates {
        let description = format!("ridge regression on {}", features.describe());
        let predictions = comparators::ridge_features(features, &task);
        all.push(Predictor::new(comparators::COVARIATES, &description, predictions));
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
    metrics.method = rows.method(options, "the table");
    metrics.summary = value_metrics::summary(&metrics, RIDGE, None);
    Ok(metrics)
}
