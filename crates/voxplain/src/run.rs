//! INTERIM CONTRACT (owner: train): [`Run`], a directory that holds everything made from one configuration.

use crate::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A directory that holds everything made from one configuration, in the manner of BIDS derivatives:
/// `dataset_description.json`, `config.toml`, `manifest.json`, `folds/fold-0/model.safetensors`,
/// `predictions.tsv`, `metrics.json`, `sub-<id>/...`, `group/`, `figures/`, `report.html`.
#[derive(Clone, Debug)]
pub struct Run {
    /// The directory.
    pub path: PathBuf,
    /// What it was made from.
    pub manifest: Manifest,
}

/// What a run was made from and with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of voxplain that made it.
    pub version: String,
    /// The cohort's directory, absolute.
    pub cohort: PathBuf,
    /// BLAKE3 over the hashes of the cohort's subjects.
    pub cohort_hash: String,
    /// The label column.
    pub label: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Number of folds (1 for a hold-out).
    pub folds: usize,
    /// The seed everything was drawn from.
    pub seed: u64,
    /// The command's options as JSON.
    pub options: serde_json::Value,
}

/// One row of `predictions.tsv`: what a model that never saw the subject said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The subject's id.
    pub participant_id: String,
    /// The fold whose model was asked.
    pub fold: usize,
    /// The true class.
    pub truth: String,
    /// The class with the largest logit.
    pub predicted: String,
    /// Probability of each class, in the order of the classes (columns `p_<class>`).
    pub probabilities: Vec<f64>,
}

impl Run {
    /// Opens a run directory.
    pub fn open(_path: &Path) -> Result<Self> {
        todo!()
    }

    /// `folds/fold-<n>/model.safetensors`.
    pub fn model_path(&self, fold: usize) -> PathBuf {
        self.path.join(format!("folds/fold-{fold}/model.safetensors"))
    }

    /// Reads `predictions.tsv`, held-out subjects only.
    pub fn predictions(&self) -> Result<Vec<Prediction>> {
        todo!()
    }

    /// `sub-<id>/sub-<id>[_<entities>]_desc-<method without hyphens>_attribution.nii.gz`;
    /// `entities` is `""`, `"space-native"` or `"res-native"`.
    pub fn map_path(&self, id: &str, entities: &str, method: &str) -> PathBuf {
        let method = method.replace('-', "");
        let entities = if entities.is_empty() { String::new() } else { format!("_{entities}") };
        self.path.join(format!("sub-{id}/sub-{id}{entities}_desc-{method}_attribution.nii.gz"))
    }
}
