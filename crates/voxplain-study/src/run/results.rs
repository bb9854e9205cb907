//! What training leaves beside the models: [`Metrics`] and the learning curve's [`Epoch`].

use serde::{Deserialize, Serialize};
use voxplain_stats::{Classification, Comparison};

/// `metrics.json`: the network and the comparators on the same held-out subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Names of the classes, in the order of every list here.
    pub classes: Vec<String>,
    /// The class that sensitivity and AUC are about.
    pub positive: String,
    /// What the numbers are and how the intervals were found.
    pub method: String,
    /// Metrics of each classifier: the network first, then the comparators.
    #[serde(rename = "judgements")]
    pub classifiers: Vec<ClassifierMetrics>,
    /// The network against each comparator.
    pub comparisons: Vec<Comparison>,
    /// The result in words, a sentence each.
    pub summary: Vec<String>,
}

/// Metrics of one classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierMetrics {
    /// `cnn`, `brain-volume`, `linear-voxels`.
    pub classifier: String,
    /// What it is, in words.
    pub description: String,
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
    /// Mean cross-entropy over the epoch, in nats, as trained (augmented, with dropout).
    pub loss: f64,
    /// Share told right while training.
    pub accuracy: f64,
    /// Cross-entropy on the part of the training fold set aside for early stopping, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f64>,
    /// Share told right there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
}

impl Metrics {
    /// Metrics of the classifier of that name.
    pub fn of(&self, classifier: &str) -> Option<&Classification> {
        self.classifiers.iter().find(|j| j.classifier == classifier).map(|j| &j.classification)
    }
}
