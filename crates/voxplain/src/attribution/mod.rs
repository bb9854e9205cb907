//! INTERIM CONTRACT (owner: attribution): [`Attribution`], [`Target`], [`Score`] and the methods.

use serde::{Deserialize, Serialize};
use voxplain_volume::Volume;

/// Which output is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The class that the network predicts.
    #[default]
    Predicted,
    /// The subject's true class.
    True,
    /// That class.
    Class(usize),
    /// The first class's score minus the second's.
    Difference(usize, usize),
}

/// On which scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The network's output before softmax.
    #[default]
    Logit,
    /// Logarithm of the softmax.
    LogProb,
    /// The softmax.
    Prob,
}

/// A signed, un-normalised map with the score it explains and the record of how it was made.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// The map on the input grid.
    pub map: Volume,
    /// For class activation maps: the map at its own resolution, with its own affine.
    pub native_resolution: Option<Volume>,
    /// How it was made.
    pub record: Record,
}

/// How a map was made: the sidecar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// `grad-cam`, ...
    pub method: String,
    /// What was explained, in words: `class 1 (male), logit`.
    pub target: String,
    /// Position of the explained class.
    pub class: usize,
    /// Value of the explained score on this input.
    pub score: f64,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// All logits of this input.
    pub logits: Vec<f64>,
    /// Every option of the method.
    pub parameters: serde_json::Value,
    /// ReLUs a rule was applied to, of all: `[3, 3]`; absent for methods without a rule.
    pub rules_applied: Option<[usize; 2]>,
    /// What the method measured about itself (sums, residuals, scores before and after, passes, seconds).
    pub measured: serde_json::Value,
    /// BLAKE3 of the model file.
    pub model: String,
    /// False when the model never saw the subject; `None` when that cannot be known.
    pub in_sample: Option<bool>,
    /// Words of warning, for the reader of the map.
    pub warnings: Vec<String>,
    /// Version of voxplain.
    pub version: String,
}
