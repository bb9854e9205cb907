//! INTERIM CONTRACT (owner: train): [`Model`], a network with what it expects and who it was trained on.

use crate::{Result, cohort::Preparation};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path};
use voxplain_nn::Network;

/// A network with the input it expects, the names of its classes and who it was trained on.
/// One `.safetensors` file; everything but the weights is in its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network; its output is one logit per class (a final log-softmax is allowed).
    pub network: Network,
    /// What is kept beside the weights.
    pub card: Card,
}

/// What a model file says besides its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// `mrinet`, ...
    pub architecture: String,
    /// Names of the classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// The column they come from, `Sex`.
    pub label: String,
    /// How its inputs are prepared. `Placement` may be absent for imported checkpoints, whose grid is not known:
    /// they take any image of their shape.
    pub preparation: Preparation,
    /// Whether the world position of the grid is unknown (an imported checkpoint).
    pub grid_unknown: bool,
    /// [`crate::cohort::Subject::hash`] of everyone it was trained on (validation for early stopping included).
    pub trained_on: BTreeSet<String>,
    /// Seed, fold, epochs and so on, as JSON.
    pub training: serde_json::Value,
}

impl Model {
    /// Reads a model file; never runs code from it.
    pub fn read(_path: &Path) -> Result<Self> {
        todo!()
    }

    /// Writes a model file, whole or not at all.
    pub fn write(&self, _path: &Path) -> Result<()> {
        todo!()
    }

    /// BLAKE3 of the file's bytes, to name the model in sidecars.
    pub fn hash(&self) -> String {
        todo!()
    }

    /// Whether the subject of that hash was trained on.
    pub fn has_seen(&self, subject_hash: &str) -> bool {
        self.card.trained_on.contains(subject_hash)
    }
}

/// The paper's network: three times convolution (3 x 3 x 3, valid), batch-norm, ReLU, max-pool 2; then dropout 0.5
/// and one linear layer. Node names as in the published `best_model_all_grad`: `features.0` ... `features.10`,
/// `classifier.0` (max-pool), `classifier.1` (flatten), `classifier.2` (dropout), `classifier.3` (linear).
pub fn mrinet(_shape: [usize; 3], _width: usize, _classes: usize) -> Result<Network> {
    todo!()
}
