//! [`Run`]: a directory that holds everything made from one configuration.

mod maps;
mod predictions;
mod results;

pub use predictions::Prediction;
pub use predictions::write as write_predictions;
pub use results::{Chance, ChanceVerdict, ClassifierMetrics, Epoch, GroupMetrics, Metrics};

use crate::{cohort::Cohort, folds::Split};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Result, atomic_file};

/// A directory that holds everything made from one configuration, in the manner of BIDS derivatives:
/// `dataset_description.json`, `config.toml`, `manifest.json`, `folds/fold-0/{model.safetensors, history.jsonl,
/// split.json}`, `predictions.tsv` (and `predictions-<comparator>.tsv`), `metrics.json`, `sub-<id>/...`, `group/`,
/// `figures/`, `report.html`.
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

/// A subject and the fold whose model never saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// Position in the cohort.
    pub subject: usize,
    /// The fold.
    pub fold: usize,
}

impl Run {
    /// Opens a run directory.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join("manifest.json");
        if !file.is_file() {
            return Err(Error::file(
                path,
                "not a run: it has no manifest.json",
                "give a directory that `voxplain train --out` made",
            ));
        }
        let manifest: Manifest = read_json(&file)?;
        if manifest.classes.len() < 2 || manifest.folds == 0 {
            return Err(Error::file(
                &file,
                format!("found {} classes and {} folds", manifest.classes.len(), manifest.folds),
                "the manifest is damaged: train again with --force",
            ));
        }
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// `folds/fold-<n>`.
    pub fn fold_path(&self, fold: usize) -> PathBuf {
        self.path.join(format!("folds/fold-{fold}"))
    }

    /// `folds/fold-<n>/model.safetensors`.
    pub fn model_path(&self, fold: usize) -> PathBuf {
        self.fold_path(fold).join("model.safetensors")
    }

    /// The cohort it was trained on; refused when its subjects are no longer the same.
    pub fn cohort(&self) -> Result<Cohort> {
        let cohort = Cohort::open(&self.manifest.cohort)?;
        self.check_cohort(&cohort)?;
        Ok(cohort)
    }

    /// Refuses a cohort that is not the one trained on.
    pub fn check_cohort(&self, cohort: &Cohort) -> Result<()> {
        if cohort_hash(cohort) == self.manifest.cohort_hash {
            return Ok(());
        }
        Err(Error::file(
            &cohort.path,
            format!("the volumes are not those that {} was trained on", self.path.display()),
            "give the cohort of the run, or train again",
        ))
    }

    /// Who was trained on and who was held out in a fold.
    pub fn split(&self, fold: usize) -> Result<Split> {
        read_json(&self.fold_path(fold).join("split.json"))
    }

    /// Every subject that a fold's model never saw, fold by fold; `cohort` must be the run's own.
    pub fn held_out(&self, cohort: &Cohort) -> Result<Vec<HeldOut>> {
        self.check_cohort(cohort)?;
        let mut all = Vec::new();
        for fold in 0..self.manifest.folds {
            let split = self.split(fold)?;
            if let Some(&n) = split.test.iter().find(|&&n| n >= cohort.subjects.len() || split.train.contains(&n)) {
                return Err(Error::file(
                    self.fold_path(fold).join("split.json"),
                    format!("subject number {n} is not one that can be held out"),
                    "the run is damaged: train again with --force",
                ));
            }
            all.extend(split.test.into_iter().map(|subject| HeldOut { subject, fold }));
        }
        Ok(all)
    }

    /// Reads `predictions.tsv`, held-out subjects only.
    pub fn predictions(&self) -> Result<Vec<Prediction>> {
        predictions::read(&self.path.join("predictions.tsv"), &self.manifest.classes)
    }

    /// Reads `predictions-<name>.tsv`: the predictions of a comparator for the same subjects.
    pub fn comparator_predictions(&self, name: &str) -> Result<Vec<Prediction>> {
        predictions::read(&self.path.join(format!("predictions-{name}.tsv")), &self.manifest.classes)
    }

    /// Reads `metrics.json`.
    pub fn metrics(&self) -> Result<Metrics> {
        read_json(&self.path.join("metrics.json"))
    }

    /// Reads the learning curve of a fold, one entry per epoch.
    pub fn history(&self, fold: usize) -> Result<Vec<Epoch>> {
        let path = self.fold_path(fold).join("history.jsonl");
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        text.lines()
            .enumerate()
            .map(|(n, line)| {
                serde_json::from_str(line)
                    .map_err(|e| Error::file(&path, format!("line {}: {e}", n + 1), "train again with --force"))
            })
            .collect()
    }

    /// `sub-<id>/sub-<id>[_<entities>]_desc-<method without hyphens>_attribution.nii.gz`;
    /// `entities` is `""`, `"space-native"` or `"res-native"`.
    pub fn map_path(&self, id: &str, entities: &str, method: &str) -> PathBuf {
        let method = method.replace('-', "");
        let entities = if entities.is_empty() { String::new() } else { format!("_{entities}") };
        self.path.join(format!("sub-{id}/sub-{id}{entities}_desc-{method}_attribution.nii.gz"))
    }

    /// Writes what says that a directory is a run: `manifest.json` (last), `config.toml`, `dataset_description.json`.
    pub fn create(path: &Path, manifest: Manifest, config: &impl Serialize) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::io(path))?;
        let description = serde_json::json!({
            "Name": "voxplain run",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{ "Name": "voxplain", "Version": manifest.version }],
        });
        atomic_file::write_json(&path.join("dataset_description.json"), &description)?;
        let config = toml::to_string(config)
            .map_err(|e| Error::request(format!("the options cannot be written as TOML: {e}"), "report this"))?;
        atomic_file::write(&path.join("config.toml"), config.as_bytes())?;
        atomic_file::write_json(&path.join("manifest.json"), &manifest)?;
        Ok(Self { path: path.to_owned(), manifest })
    }
}

/// BLAKE3 over the hashes of a cohort's subjects, in order.
pub fn cohort_hash(cohort: &Cohort) -> String {
    let mut hasher = blake3::Hasher::new();
    for subject in &cohort.subjects {
        hasher.update(subject.hash.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// Reads a JSON file of a run.
///
/// # Errors
/// The file is missing or not as it was written.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::file(path, format!("not as voxplain writes it: {e}"), "train again with --force"))
}
