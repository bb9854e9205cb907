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
use voxplain_core::{Error, Progress, Result, hash_values, random::Seed, remedy, seal};
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
        let split = &self.splits[fold];
        let files = self.run.layout().fold(fold);
        std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;
        let in_cohort = |of: &[usize]| of.iter().map(|&n| self.dataset.subjects[n]).collect();
        let positions = Split { train: in_cohort(&split.train), test: in_cohort(&split.test) };
        let path = files.model();
        let begun = path.is_file() || files.checkpoint().is_file();
        if begun && files.split().is_file() && read_json::<Split>(&files.split())? != positions {
            return Err(Error::file(
                files.split(),
                "this fold was begun with others held out: labels, groups or people of the cohort changed since",
                remedy!["use another ", OUT, ", or replace the run with ", FORCE],
            ));
        }
        seal::write(&files.split(), &positions)?;
        if !path.is_file() {
            self.train(fold)?.write(&path)?;
            checkpoint::remove(&files.checkpoint());
        }
        // What is evaluated is the file, not what happens to be in memory.
        let model = Model::read(&path)?;
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
        let (network, batch) = (&model.network, self.options.batch);
        if self.dataset.values.is_none() {
            return predict(network, &split.test, self.dataset, batch, self.engine);
        }
        let outputs = outputs(network, &split.test, self.dataset, batch, self.engine)?;
        Ok(outputs.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect())
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
        let card = Card {
            architecture: options.model.clone(),
            task: dataset.task(),
            label: options.label.clone(),
            preparation: dataset.cohort.preparation.clone(),
            grid_unknown: false,
            sealed: true,
            trained_on: train.iter().map(|&n| dataset.hash(n).to_owned()).collect(),
            training,
        };
        Ok(Model { network, card })
    }
}
