//! The models of a run, and what was made by them: [`Models`].

use super::Run;
use crate::model::Model;
use std::path::Path;
use voxplain_attribution::Explainer;
use voxplain_core::{Error, Fault, Remedy, Result, hash_bytes, remedy};
use voxplain_nn::Engine;

/// The model of a fold, with the hash that everything made by it names.
#[derive(Clone, Debug)]
pub struct FoldModel {
    /// The model.
    pub model: Model,
    /// BLAKE3 of its file.
    pub hash: String,
}

impl FoldModel {
    /// The model ready to be explained on an engine; records of its maps name [`FoldModel::hash`].
    ///
    /// # Errors
    /// Those of [`Explainer::new`].
    pub fn explainer(&self, engine: &Engine) -> Result<Explainer> {
        Explainer::of_task(engine, &self.model.network, self.model.card.task.clone(), self.hash.clone())
    }
}

/// The models that a run has now, by the hashes of their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    /// By fold; `None` for one that is not trained yet.
    of_folds: Vec<Option<String>>,
}

impl Models {
    /// The hash of a fold's model, where it is trained.
    pub fn of_fold(&self, fold: usize) -> Option<&str> {
        self.of_folds.get(fold)?.as_deref()
    }

    /// The hashes of all, fold by fold.
    pub fn all(&self) -> Vec<String> {
        self.of_folds.iter().flatten().cloned().collect()
    }

    /// Whether the model of that hash is one of them.
    pub fn have(&self, hash: &str) -> bool {
        self.of_folds.iter().flatten().any(|h| h == hash)
    }

    /// Those of them that are among `hashes`, fold by fold: how a record of many maps names its models.
    pub fn among<'a>(&self, hashes: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let hashes: Vec<&str> = hashes.into_iter().collect();
        self.of_folds.iter().flatten().filter(|h| hashes.contains(&h.as_str())).cloned().collect()
    }

    /// Refuses a file that was made by other models than these, by the hashes that it names; `again` says how to make it
    /// anew.
    ///
    /// # Errors
    /// It names another model, or none (older versions did not).
    pub fn check(&self, file: &Path, made_by: &[String], again: impl Into<Remedy>) -> Result<()> {
        let others = made_by.iter().filter(|hash| !self.have(hash)).count();
        let what = match (made_by.len(), others) {
            (0, _) => "does not say which models it was made from: an older version wrote it",
            (_, 0) => return Ok(()),
            _ => "was made from other models than those that the run has now",
        };
        Err(Error::file(file, what, again))
    }
}

impl Run {
    /// Reads the model of a fold.
    ///
    /// # Errors
    /// It is not trained yet, or the file is damaged.
    pub fn model(&self, fold: usize) -> Result<FoldModel> {
        let path = self.layout().fold(fold).model();
        let read = Model::read_with_hash(&path).map_err(|e| match e {
            Error::File { path, what, .. } if path.is_file() => Error::file(path, what, self.train_again()),
            other => other,
        });
        let (model, hash) = self.finished(read).map_err(|e| match e.fault() {
            Some(Fault::Missing) => Error::file(
                &path,
                format!("is not there any more: the network of fold {fold} was removed, or a copy broke off"),
                self.train_again(),
            ),
            _ => e,
        })?;
        Ok(FoldModel { model, hash })
    }

    /// The models that the run has now. Their files are read, and not kept.
    ///
    /// # Errors
    /// A file that cannot be read, or is not the model that was written.
    pub fn models(&self) -> Result<Models> {
        let (models, damaged) = self.models_there()?;
        damaged.into_iter().next().map_or(Ok(models), Err)
    }

    /// [`Run::models`], with why those do not count that are damaged: by hash they are what `metrics.json` says that they were, where it
    /// does, so that what they made is still known as theirs.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn models_there(&self) -> Result<(Models, Vec<Error>)> {
        let mut damaged = Vec::new();
        let mut of_folds = Vec::with_capacity(self.manifest.folds);
        for fold in 0..self.manifest.folds {
            let path = self.layout().fold(fold).model();
            of_folds.push(match voxplain_core::input::read(&path) {
                Ok(bytes) if Model::is_whole(&bytes) => Some(hash_bytes(&bytes)),
                Ok(_) => {
                    let what = "is not the model that was written (a damaged disk, a copy that broke off, or a change by another program)";
                    damaged.push(Error::file(&path, what, self.train_again()));
                    self.judged_models().get(fold).cloned()
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                Err(e) => return Err(Error::io(&path)(e)),
            });
        }
        Ok((Models { of_folds }, damaged))
    }

    /// The hashes of the models, fold by fold, when `metrics.json` was written; none where it does not say.
    fn judged_models(&self) -> Vec<String> {
        let read = crate::run::read_json::<serde_json::Value>(&self.layout().metrics());
        let models =
            read.ok().and_then(|metrics| serde_json::from_value::<Vec<String>>(metrics["models"].clone()).ok());
        models.filter(|models| models.len() == self.manifest.folds).unwrap_or_default()
    }

    /// How a model that is damaged is made again.
    fn train_again(&self) -> Remedy {
        remedy!["copy it again from where it was made, or train this fold again, and no other: ", self.go_on()]
    }
}
