//! [`Trainer`]: the network of each fold, and its predictions for the subjects held out.

use super::{
    checkpoint,
    dataset::Dataset,
    fit::{Fit, Fitted},
    initial::InitialWeights,
    loss::Objective,
    observer::TrainingObserver,
    options::TrainOptions,
    predictions::{outputs, predict},
};
use crate::{
    folds::Split,
    model::{Card, Model},
    run::{Run, read_json},
    setting::{FORCE, GROUP, OUT},
};
use std::collections::BTreeSet;
use voxplain_core::{Error, Progress, Result, hash_file, hash_values, random::Seed, remedy, seal};
use voxplain_nn::{Engine, SoftLabels};

/// What the training of every fold shares.
pub(super) struct Trainer<'a> {
    pub(super) dataset: &'a Dataset<'a>,
    pub(super) splits: &'a [Split],
    /// The bins of each fold; none where there are no soft labels.
    pub(super) bins: &'a [SoftLabels],
    pub(super) options: &'a TrainOptions,
    /// Weights that training starts from, where they are not drawn.
    pub(super) initial: Option<&'a InitialWeights>,
    pub(super) run: &'a Run,
    pub(super) engine: &'a Engine,
    pub(super) progress: &'a dyn Progress,
    pub(super) observer: &'a dyn TrainingObserver,
}

impl Trainer<'_> {
    /// Out-of-fold predictions of the network for every held-out subject, fold by fold. `made` turns what the network of a fold
    /// says of a subject (by number) into one: the probability of each class, or the value. `told` is given those of each fold.
    pub(super) fn cross_validate<P>(
        &self,
        made: impl Fn(usize, usize, Vec<f64>) -> P,
        told: impl Fn(&[P]),
    ) -> Result<Vec<P>> {
        let folds = self.splits.len();
        self.progress.begin("folds", folds);
        let mut all = Vec::new();
        let trained: Result<()> = (0..folds).try_for_each(|fold| {
            let said = self.fold(fold)?;
            let subjects = self.splits[fold].test.iter();
            let of_fold: Vec<P> = subjects.zip(said).map(|(&n, said)| made(n, fold, said)).collect();
            told(&of_fold);
            all.extend(of_fold);
            self.progress.advance(1, "");
            Ok(())
        });
        self.progress.end();
        trained.map(|()| all)
    }

    /// What the model of a fold says of the subjects held out in it. The model is trained where there is none.
    fn fold(&self, fold: usize) -> Result<Vec<Vec<f64>>> {
        let model = self.ready(fold)?;
        let (network, batch, held_out) = (&model.network, self.options.batch, &self.splits[fold].test);
        if self.dataset.values.is_none() {
            return predict(network, held_out, self.dataset, batch, self.engine);
        }
        let outputs = outputs(network, held_out, self.dataset, batch, self.engine)?;
        Ok(outputs.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect())
    }

    /// The model of a fold, which is trained where there is none.
    ///
    /// # Errors
    /// The fold was begun with other people; the model that is there was made otherwise than this training would make it.
    pub(super) fn ready(&self, fold: usize) -> Result<Model> {
        let split = &self.splits[fold];
        let files = self.run.layout().fold(fold);
        std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;
        let in_cohort = |of: &[usize]| of.iter().map(|&n| self.dataset.subjects[n]).collect();
        let positions = Split { train: in_cohort(&split.train), test: in_cohort(&split.test) };
        let path = files.model();
        let others = || {
            Error::file(
                files.split(),
                "this fold was begun with others held out: labels, groups or people of the cohort changed since",
                remedy!["use another ", OUT, ", or replace the run with ", FORCE],
            )
        };
        let begun = path.is_file() || files.checkpoint().is_file();
        let mut is_known = true;
        match files.split().is_file().then(|| read_json::<Split>(&files.split())) {
            Some(Ok(split)) if begun && split != positions => return Err(others()),
            Some(Err(error)) if error.is_of_machine() => return Err(error),
            // Then the model itself says whom it was trained on; of a checkpoint nobody knows.
            Some(Err(error)) => {
                is_known = false;
                self.progress.warn(&format!("{error}; it is written again"));
                if !path.is_file() {
                    checkpoint::remove(&files.checkpoint());
                }
            }
            _ => {}
        }
        seal::write_if_other(&files.split(), &positions)?;
        if path.is_file() && !Model::is_whole(&voxplain_core::input::read(&path).map_err(Error::io(&path))?) {
            self.progress
                .warn(&format!("{} is not the model that was written; fold {fold} is trained again", path.display()));
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
        if !path.is_file() {
            self.train(fold)?.write(&path)?;
        }
        // Also that of a process that was killed between the two.
        checkpoint::remove(&files.checkpoint());
        // What is evaluated is the file, not what happens to be in memory.
        let model = Model::read(&path)?;
        let trained_on: BTreeSet<&str> = split.train.iter().map(|&n| self.dataset.hash(n)).collect();
        if !is_known && !trained_on.into_iter().eq(model.card.trained_on.iter().map(String::as_str)) {
            return Err(others());
        }
        if let Some(&n) = split.test.iter().find(|&&n| model.has_seen(self.dataset.hash(n))) {
            return Err(Error::subject(
                self.dataset.id(n),
                format!("is held out in fold {fold}, but a subject with the same volume was trained on"),
                remedy!["remove the duplicate from the cohort, or put both in one group (", GROUP, ")"],
            ));
        }
        let values = self.hash_of_values(&split.train);
        if values.is_some() && model.card.training["values"].as_str() != values.as_deref() {
            return Err(Error::file(
                &path,
                format!("this fold was trained on other values of {}: the table changed since", self.options.label),
                remedy!["use another ", OUT, ", or replace the run with ", FORCE],
            ));
        }
        if let Some(what) = self.made_otherwise(fold, &model.card) {
            return Err(Error::file(
                &path,
                format!("was made otherwise than this run is: {what}"),
                remedy![
                    format!("remove the folder {} and train the fold again", files.folder().display()),
                    ", or replace the run with ",
                    FORCE
                ],
            ));
        }
        Ok(model)
    }

    /// How the model of a fold differs from what is trained here: by its card, without what only training itself can tell.
    fn made_otherwise(&self, fold: usize, found: &Card) -> Option<String> {
        /// Known when the fold is trained.
        const FROM_TRAINING: [&str; 5] = ["epochs", "history", "standardised_by", "soft_labels", "values"];
        let expected = self.card(fold, &serde_json::Value::Null, None);
        let same = [
            ("network", found.architecture == expected.architecture),
            ("task", found.task == expected.task),
            ("label", found.label == expected.label),
            ("preparation", found.preparation == expected.preparation),
            ("people trained on", found.trained_on == expected.trained_on),
        ];
        if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
            return Some(format!("another {what}"));
        }
        let empty = serde_json::Map::new();
        let [found, expected] = [found, &expected].map(|card| card.training.as_object().unwrap_or(&empty));
        let mut keys = found.keys().chain(expected.keys()).filter(|key| !FROM_TRAINING.contains(&key.as_str()));
        keys.find(|key| found.get(*key) != expected.get(*key)).map(|key| match (found.get(key), expected.get(key)) {
            (Some(found), Some(expected)) if !found.is_object() && !found.is_array() => {
                format!("{key} {found}, expected {expected}")
            }
            _ => format!("other {key}"),
        })
    }

    /// BLAKE3 of the values of these subjects, where values are learnt.
    #[expect(clippy::cast_possible_truncation, reason = "a change of a table is larger")]
    fn hash_of_values(&self, subjects: &[usize]) -> Option<String> {
        let values = self.dataset.values_of(subjects)?;
        Some(hash_values(&values.iter().map(|v| *v as f32).collect::<Vec<_>>()))
    }

    /// Trains the model of a fold.
    fn train(&self, fold: usize) -> Result<Model> {
        let (dataset, options) = (self.dataset, self.options);
        let train = &self.splits[fold].train;
        let fit = Fit {
            fold,
            train,
            dataset,
            bins: self.bins.get(fold).copied(),
            options,
            initial: self.initial,
            engine: self.engine,
            seed: Seed::new(options.seed).child(&format!("fold-{fold}")),
            files: &self.run.layout().fold(fold),
        };
        let Fitted { network, epochs, objective } = fit.run(self.progress, self.observer)?;
        let mut card = self.card(fold, &epochs.into(), objective.as_ref());
        // The model vouches for its learning curve, which nothing else could make again.
        card.training["history"] = hash_file(&self.run.layout().fold(fold).history())?.into();
        Ok(Model { network, card })
    }

    /// The card of the model of a fold.
    fn card(&self, fold: usize, epochs: &serde_json::Value, objective: Option<&Objective>) -> Card {
        let (dataset, options) = (self.dataset, self.options);
        let train = &self.splits[fold].train;
        let mut training = serde_json::json!({
            "seed": options.seed,
            "fold": fold,
            "epochs": epochs,
            "version": env!("CARGO_PKG_VERSION"),
            "options": options.of_networks(),
        });
        // Arrays that others prepared: how an image becomes such an array is not known.
        let prepared = dataset.cohort.made_by["command"] == "prepare";
        if prepared && dataset.cohort.subjects.iter().all(|subject| subject.source.is_none()) {
            training["from_arrays"] = true.into();
        }
        if let Some(objective) = objective {
            match objective {
                Objective::Error(_, standard) => training["standardised_by"] = serde_json::json!(standard),
                Objective::SoftLabels(bins) => training["soft_labels"] = serde_json::json!(bins),
            }
            training["values"] = self.hash_of_values(train).into();
        }
        if let Some(set) = &options.test {
            let marks: Vec<&str> = dataset.test.iter().flat_map(|&n| dataset.cohort.subjects[n].marks()).collect();
            training["test_set"] = serde_json::json!({ "set": set.to_string(), "marks": marks });
        }
        let files: Vec<&str> = train.iter().flat_map(|&n| dataset.files(n)).collect();
        if !files.is_empty() {
            training["files"] = serde_json::json!(files);
        }
        if let Some(initial) = self.initial.filter(|initial| !initial.seen.is_empty()) {
            training["before"] = serde_json::json!(initial.seen);
        }
        Card {
            architecture: options.model.clone(),
            task: dataset.task(),
            label: options.label.clone(),
            preparation: dataset.cohort.preparation.clone(),
            grid_unknown: false,
            sealed: true,
            trained_on: train.iter().map(|&n| dataset.hash(n).to_owned()).collect(),
            training,
        }
    }
}
