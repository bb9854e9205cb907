//! [`ValueMetrics`]: what training leaves beside the models of a value; [`PredictedValue`], a row of its `predictions.tsv`.

use super::results::{independent, said_of_groups};
use crate::{cohort::Headcount, comparators::Chosen, model::Quantity};
use serde::{Deserialize, Serialize};
use std::path::Path;
use voxplain_core::{Error, Remedy, Result, Table};
use voxplain_stats::{BiasCorrection, Regression, ValueComparison};

/// `metrics.json` of a run that predicts a value: the network and the comparators on the same held-out subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueMetrics {
    /// The value that is predicted.
    pub value: Quantity,
    /// BLAKE3 of the models whose predictions these are, fold by fold.
    pub models: Vec<String>,
    /// What the numbers are and how the intervals were found.
    pub method: String,
    /// Number of people whose images the held-out subjects are; absent where every image is of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
    /// The column of the groups that no split divides and that intervals are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouped_by: Option<String>,
    /// Whether rows of a table are judged, and no images; unknown, and then not so, in files of older versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rows: bool,
    /// Metrics of each predictor: the network first, then the comparators.
    pub predictors: Vec<PredictorMetrics>,
    /// The network against each comparator.
    pub comparisons: Vec<ValueComparison>,
    /// Whether the network does better than saying the mean of the people trained on.
    pub verdict: ValueVerdict,
    /// The network's predictions corrected for their bias; absent where they cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<BiasCorrection>,
    /// Why there is no correction, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_correction: Option<String>,
    /// Spearman's rank correlation, over subjects, of the network's prediction with the volume of the mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_correlation: Option<f64>,
    /// The network group by group (site by site), where there are at most [`GroupMetrics::MAX`](super::GroupMetrics::MAX) groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupErrors>,
    /// The result in words, a sentence each.
    pub summary: Vec<String>,
}

/// What intervals allow to say about a predictor beside the mean of the people trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueVerdict {
    /// Its mean absolute error is smaller.
    Better,
    /// It is not shown to be smaller.
    NotShown,
    /// It is larger.
    Worse,
    /// There is no interval to tell by.
    Unknown,
}

/// Metrics of one predictor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictorMetrics {
    /// `cnn`, `training-mean`, `mask-volume`, `ridge-voxels`.
    pub predictor: String,
    /// What it is, in words.
    pub description: String,
    /// What it chose inside the training part of each fold; absent where it chooses nothing, and from files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// The metrics.
    #[serde(flatten)]
    pub regression: Regression,
}

/// The network on the subjects of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupErrors {
    /// The value in the column of groups.
    pub group: String,
    /// Held-out subjects.
    pub subjects: usize,
    /// Number of people whose images these are; absent where every image is of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean error: predicted minus true.
    pub mean_error: f64,
}

impl GroupErrors {
    /// How many images of how many people these are.
    pub fn headcount(&self) -> Headcount {
        Headcount { scans: self.subjects, people: self.people, rows: false }
    }
}

impl ValueMetrics {
    /// Metrics of the predictor of that name.
    pub fn of(&self, predictor: &str) -> Option<&Regression> {
        self.predictors.iter().find(|p| p.predictor == predictor).map(|p| &p.regression)
    }

    /// How many images of how many people were held out.
    pub fn headcount(&self) -> Headcount {
        let scans = self.predictors.first().map_or(0, |p| p.regression.subjects);
        Headcount { scans, people: self.people, rows: self.rows }
    }

    /// What a held-out image is called: a `scan` (of a table a `row`) where people have several, else a `subject`.
    pub fn noun(&self) -> &'static str {
        self.headcount().noun()
    }

    /// What is independent, and intervals are over: `subjects`, `people`, `groups (site)`.
    pub fn independent(&self) -> String {
        independent(self.grouped_by.as_deref())
    }

    /// Why there is no interval, with groups called people where they are.
    pub fn said_of_groups(&self, why: &str) -> String {
        said_of_groups(self.grouped_by.as_deref(), why)
    }
}

/// One row of `predictions.tsv` of a value: what a model that never saw the subject said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedValue {
    /// The subject's id.
    pub participant_id: String,
    /// The fold whose model was asked.
    pub fold: usize,
    /// The true value.
    pub truth: f64,
    /// The predicted value.
    pub predicted: f64,
}

impl PredictedValue {
    /// Predicted minus true value.
    pub fn error(&self) -> f64 {
        self.predicted - self.truth
    }
}

pub(super) fn read(path: &Path, again: Remedy) -> Result<Vec<PredictedValue>> {
    let table = Table::read(path)?;
    let [id, fold, truth, predicted] = ["participant_id", "fold", "truth", "predicted"].map(|name| table.column(name));
    let (id, fold, truth, predicted) = (id?, fold?, truth?, predicted?);
    let row = |row: &[Option<String>]| -> Option<PredictedValue> {
        let number = |at: usize| row[at].as_ref()?.parse().ok().filter(|v: &f64| v.is_finite());
        let id = row[id].as_ref()?;
        Some(PredictedValue {
            participant_id: id.strip_prefix("sub-").unwrap_or(id).to_owned(),
            fold: row[fold].as_ref()?.parse().ok()?,
            truth: number(truth)?,
            predicted: number(predicted)?,
        })
    };
    let rows = table.rows.iter().enumerate();
    rows.map(|(n, cells)| {
        let what = || format!("row {} is no prediction of a value", n + 1);
        row(cells).ok_or_else(|| Error::file(path, what(), again.clone()))
    })
    .collect()
}

/// Writes `predictions.tsv` of a value, with a column of errors.
///
/// # Errors
/// The file cannot be written.
pub fn write_values(path: &Path, predictions: &[PredictedValue]) -> Result<()> {
    let columns = ["participant_id", "fold", "truth", "predicted", "error"].map(String::from).to_vec();
    let row = |p: &PredictedValue| {
        let cells = [
            format!("sub-{}", p.participant_id),
            p.fold.to_string(),
            p.truth.to_string(),
            p.predicted.to_string(),
            p.error().to_string(),
        ];
        cells.into_iter().map(Some).collect()
    };
    Table { columns, rows: predictions.iter().map(row).collect() }.write_tsv(path)
}
