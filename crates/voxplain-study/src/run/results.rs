//! What training leaves beside the models: [`Metrics`] and the learning curve's [`Epoch`].

use crate::{
    cohort::{Headcount, PERSON},
    comparators::Chosen,
};
use serde::{Deserialize, Serialize};
use voxplain_stats::{Classification, Comparison};

/// `metrics.json`: the network and the comparators on the same held-out subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Names of the classes, in the order of every list here.
    pub classes: Vec<String>,
    /// The class that sensitivity and AUC are about.
    pub positive: String,
    /// BLAKE3 of the models whose predictions these are, fold by fold; none in runs of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// What the numbers are and how the intervals were found.
    pub method: String,
    /// Number of people whose images the held-out subjects are; absent where every image is of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
    /// The column of the groups that no split divides and that intervals are over: `person` where people have several images, else
    /// what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouped_by: Option<String>,
    /// Whether rows of a table are judged, and no images; unknown, and then not so, in files of older versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rows: bool,
    /// Metrics of each classifier: the network first, then the comparators.
    #[serde(rename = "judgements")]
    pub classifiers: Vec<ClassifierMetrics>,
    /// The network against each comparator.
    pub comparisons: Vec<Comparison>,
    /// Whether the network does better than guessing; absent in runs of older versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chance: Option<Chance>,
    /// Spearman's rank correlation, over subjects, of the network's probability of the positive class with the volume of the mask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub volume_correlation: Option<f64>,
    /// The network group by group (site by site), where there are at most [`GroupMetrics::MAX`] groups.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<GroupMetrics>,
    /// The result in words, a sentence each.
    pub summary: Vec<String>,
}

/// The network beside guessing: always saying the largest class, and an area under the curve of 0.5.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// The largest class.
    pub majority: String,
    /// Share of right answers of always saying so.
    pub accuracy: f64,
    /// What the intervals allow to say.
    pub verdict: ChanceVerdict,
}

/// What intervals allow to say about a classifier beside guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChanceVerdict {
    /// It orders subjects better than chance, and is right more often than always saying the largest class.
    Better,
    /// It orders subjects better than chance, but is not shown to be right more often than always saying the largest class.
    OrderAlone,
    /// It is not shown to do better.
    NotShown,
    /// It does worse.
    Worse,
    /// There is no interval to tell by.
    Unknown,
}

/// The network on the subjects of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupMetrics {
    /// The value in the column of groups.
    pub group: String,
    /// Held-out subjects.
    pub subjects: usize,
    /// Number of people whose images these are; absent where every image is of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
    /// Share of them that were told right.
    pub accuracy: f64,
    /// Area under the curve; absent where the group lacks a class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc: Option<f64>,
}

impl GroupMetrics {
    /// How many images of how many people these are.
    pub fn headcount(&self) -> Headcount {
        Headcount { scans: self.subjects, people: self.people, rows: false }
    }

    /// With more groups than this (families), rows of groups say nothing.
    pub const MAX: usize = 20;
}

/// Metrics of one classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierMetrics {
    /// `cnn`, `mask-volume`, `linear-voxels`.
    pub classifier: String,
    /// What it is, in words.
    pub description: String,
    /// What it chose inside the training part of each fold; absent where it chooses nothing, and from files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// The metrics.
    #[serde(flatten)]
    pub classification: Classification,
}

/// One line of `history.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Learning rate at its end.
    pub learning_rate: f64,
    /// Mean cross-entropy over the epoch, in nats, or loss of standardised values, or divergence of soft labels in nats, as trained (augmented, with dropout).
    pub loss: f64,
    /// Share told right while training, of classes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy: Option<f64>,
    /// Mean absolute error while training, of values, in their unit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<f64>,
    /// The same on the part of the training fold set aside for early stopping, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f64>,
    /// Share told right there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
    /// Mean absolute error there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_error: Option<f64>,
}

impl Metrics {
    /// Metrics of the classifier of that name.
    pub fn of(&self, classifier: &str) -> Option<&Classification> {
        self.classifiers.iter().find(|j| j.classifier == classifier).map(|j| &j.classification)
    }

    /// How many images of how many people were held out.
    pub fn headcount(&self) -> Headcount {
        let scans = self.classifiers.first().map_or(0, |c| c.classification.subjects);
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

/// What is independent where splits divide no group of this column.
pub(super) fn independent(grouped_by: Option<&str>) -> String {
    match grouped_by {
        None => "subjects".to_owned(),
        Some(PERSON) => "people".to_owned(),
        Some(column) => format!("groups ({column})"),
    }
}

/// A sentence with groups called people where they are.
pub(super) fn said_of_groups(grouped_by: Option<&str>, why: &str) -> String {
    if grouped_by == Some(PERSON) {
        why.replace("groups are too few", "people are too few").replace("group is too few", "person is too few")
    } else {
        why.to_owned()
    }
}
