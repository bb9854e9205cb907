//! [`Plan`]: all that is decided before a network is trained: who is learnt from, in which folds, and beside what.

use super::{Training, baselines::Tables};
use super::{
    TrainingMetrics, classes, copies,
    dataset::Dataset,
    fold::Trainer,
    freeze,
    initial::InitialWeights,
    matched::{self, TrainedOnMatched},
    observer::TrainingObserver,
    options::TrainOptions,
    persons::{self, Grouping},
    soft_labels, stratify, value, value_metrics, words,
};
use crate::{
    cohort::Cohort,
    folds::{self, Split},
    imbalance::Imbalance,
    listed::counted,
    model::NetworkKind,
    run::{NearDuplicates, Run},
    setting::INIT,
};
use voxplain_core::{Progress, Result, random::Seed, remedy, seal};
use voxplain_nn::{Engine, SoftLabels};

/// What a training will do. The same cohort and options give the same plan, on every machine.
pub(super) struct Plan<'a> {
    pub(super) dataset: Dataset<'a>,
    /// With the width and the hash of the initial model.
    pub(super) options: &'a TrainOptions,
    pub(super) splits: Vec<Split>,
    /// The bins of each fold; none where there are no soft labels.
    pub(super) bins: Vec<SoftLabels>,
    matching: Option<TrainedOnMatched>,
    imbalance: Imbalance,
    tables: Tables,
    initial: Option<InitialWeights>,
    /// The class to detect.
    positive: usize,
}

impl<'a> Plan<'a> {
    /// Decides everything, and says what the user should know of it. Nothing is written. `options` are resolved.
    ///
    /// # Errors
    /// The options make no sense for this cohort; too few subjects of a class.
    pub(super) fn of(cohort: &'a Cohort, options: &'a TrainOptions, progress: &dyn Progress) -> Result<Self> {
        options.augment.check_on(&cohort.preparation)?;
        if let Some(what) = cohort.unchecked() {
            progress.note(&what);
        }
        let kind = NetworkKind::named(&options.model)?;
        if let Some(what) = value::announced(cohort, options) {
            progress.note(&what);
        }
        if let Some((what, remedy)) = value::doubted(cohort, options) {
            progress.advise(&what, &remedy);
        }
        words::of_table(cohort, options, progress)?;
        let dataset = Dataset::new(cohort, options)?;
        words::of_dataset(&dataset, options, progress);
        // A value is another one at every age.
        if dataset.values.is_none()
            && let Some(change) =
                dataset.persons.as_ref().and_then(|of| persons::who_change(of, &dataset.labels, &options.label))
        {
            progress.note(&change);
        }
        if let Some(set) = &options.test {
            progress.note(&format!(
                "{} with {set} are a test set: in no fold, and asked about only when that is asked for",
                counted(dataset.test.len(), cohort.noun())
            ));
            if let Some(what) = dataset.about_test(options)? {
                progress.warn(&what);
            }
        }
        let group = options.group.as_deref().unwrap_or_default();
        let test = options.test.as_ref().map_or("", |set| set.column.as_str());
        let left_out = [
            (options.label.as_str(), &dataset.left_out),
            (group, &dataset.without_group),
            (test, &dataset.without_test),
        ];
        for (column, left) in left_out {
            if !left.is_empty() {
                progress.warn(&format!(
                    "{} without {column} {} left out: {}",
                    counted(left.len(), cohort.noun()),
                    if left.len() == 1 { "is" } else { "are" },
                    left.join(", ")
                ));
            }
        }
        // A network that the grid is too small for, or folds that cannot be, must be known before anything is written.
        let network = kind.network(cohort.preparation.input_shape(), options.width(), dataset.task().outputs())?;
        freeze::check(&options.freeze, &network)?;
        if !options.freeze.is_empty() && options.init.is_none() {
            progress.advise(
                "parts of the network are not trained, and keep weights drawn at random",
                &remedy!["start from a model that has learnt something, with ", INIT],
            );
        }
        // What a network sees in part alone, as a strided shortcut does everywhere, is left to the look at the model.
        let initial = InitialWeights::of(options, &dataset, &network, progress)?;
        if let Some(unseen) = dataset.unseen(&network)?.filter(|unseen| unseen.share > 0.0) {
            let of = match dataset.brains_looked_at() {
                some if some < dataset.len() => {
                    format!(" (the share of the mask over {some} of {} subjects)", dataset.len())
                }
                _ => String::new(),
            };
            let what = format!("on this grid the network {unseen}{of}");
            // A rim, as on the default grid, is no reason to stop; much of the brain is.
            if unseen.is_much() {
                progress.warn(&what);
            } else {
                progress.note(&what);
            }
        }
        classes::about_hidden(&dataset.classes, &options.label).iter().for_each(|what| progress.warn(what));
        let groups = dataset.groups();
        let splits = folds::splits(&dataset.labels, groups, options.split, Seed::new(options.seed))?;
        dataset.check_splits(&splits, options)?;
        let (splits, balance) = stratify::balanced(&dataset, splits, options)?;
        balance.iter().for_each(|what| progress.note(what));
        dataset.refuse_divided_duplicates(&splits)?;
        let strata = (dataset.stratum(), dataset.classes.as_slice());
        let uneven = |groups: &Grouping| folds::uneven(&splits, &dataset.labels, strata, groups.noun());
        if let Some(what) = dataset.grouping.as_ref().and_then(uneven) {
            progress.warn(&what);
        }
        let (splits, matching) = matched::matched(&dataset, splits, options)?;
        if let Some(matching) = &matching {
            progress.note(&matching.sentence("matching.json of the run"));
        }
        let tables = Tables::of(&dataset, options, progress)?;
        let bins = soft_labels::of_folds(&dataset, &splits, options)?;
        soft_labels::announce(&dataset, &splits, &bins, progress);
        // A class that is not there is said before anything is written.
        let positive = if dataset.values.is_some() { 0 } else { dataset.positive(options)? };
        let learnt = (options.label.as_str(), dataset.learnt());
        let imbalance = Imbalance::of(dataset.cohort, &dataset.subjects, learnt, &options.missing, options.seed)?;
        progress.note(&imbalance.sentence("imbalance.json of the run"));
        Ok(Self { dataset, options, splits, bins, matching, imbalance, tables, initial, positive })
    }

    /// Looks for people on both sides of a split who may be one.
    ///
    /// # Errors
    /// There are some, and they are not to be trained on.
    pub(super) fn near_duplicates(&self, engine: &Engine, progress: &dyn Progress) -> Result<NearDuplicates> {
        copies::look(&self.dataset, &self.splits, self.options, engine, progress)
    }

    /// Writes what describes the people into the run. A file that has it already is left alone: others may read it.
    pub(super) fn describe(&self, run: &Run) -> Result<()> {
        seal::write_if_other(&run.layout().imbalance(), &self.imbalance)?;
        match &self.matching {
            Some(matching) => seal::write_if_other(&run.layout().matching(), matching),
            None => Ok(()),
        }
    }

    /// What trains the folds of this run.
    pub(super) fn trainer<'b>(
        &'b self,
        run: &'b Run,
        engine: &'b Engine,
        progress: &'b dyn Progress,
        observer: &'b dyn TrainingObserver,
    ) -> Trainer<'b> {
        Trainer {
            dataset: &self.dataset,
            splits: &self.splits,
            bins: &self.bins,
            options: self.options,
            initial: self.initial.as_ref(),
            run,
            engine,
            progress,
            observer,
        }
    }

    /// Trains the folds that are not trained yet, judges all of them beside the comparators, and writes predictions and metrics.
    pub(super) fn judge(&self, trainer: &Trainer<'_>) -> Result<Training> {
        let metrics = match &self.dataset.values {
            Some(values) => TrainingMetrics::Value(Box::new(value_metrics::judged(trainer, values, &self.tables)?)),
            None => TrainingMetrics::Classes(Box::new(super::judged(trainer, self.positive, &self.tables)?)),
        };
        let Dataset { left_out, without_group, .. } = &self.dataset;
        let (left_out, without_group) = (left_out.clone(), without_group.clone());
        Ok(Training { run: trainer.run.clone(), metrics, left_out, without_group })
    }
}
