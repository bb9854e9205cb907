//! [`Run`]: the directory of a training and of everything that was made with its models.

mod clear;
mod labels;
mod layout;
mod made_from;
mod manifest;
mod maps;
mod models;
mod outcome;
mod permuted;
pub(crate) mod place;
mod predictions;
mod results;
mod shared;
mod value_results;

pub use clear::clear;
pub use labels::ChangedLabels;
pub use layout::{EvaluationLayout, FoldLayout, GroupLayout, LinearLayout, PageLayout, RunLayout, figure_name};
pub use made_from::MadeFrom;
pub(crate) use made_from::digest;
pub use manifest::{AlikePair, HeldForTest, Manifest, NearDuplicates, cohort_hash};
pub use maps::{RunMaps, StaleMap, Staleness};
pub use models::{FoldModel, Models};
pub use outcome::Outcome;
pub use permuted::{PermutationTest, PermutationTests, PermutedNumber};
pub use place::CohortPlace;
pub use predictions::Prediction;
pub use predictions::write as write_predictions;
pub use results::{Chance, ChanceVerdict, ClassifierMetrics, Epoch, GroupMetrics, Metrics};
pub use value_results::{GroupErrors, PredictedValue, PredictorMetrics, ValueMetrics, ValueVerdict, write_values};

use crate::cohort::{Cohort, CohortLayout};
use crate::folds::Split;
use crate::imbalance::Imbalance;
use crate::listed::{counted, listed};
use crate::setting::{self, COHORT, FOLD, FORCE, INIT, OUT, REGION_VOLUMES};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    borrow::Cow,
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{
    Action, Claim, Error, Fault, Occupied, Progress, Remedy, Result, atomic_file, hash_file, remedy,
    seal::{self, Checksums},
    visible, visible_toml,
};

/// A run directory: models of all folds and everything that was made with them. [`RunLayout`] says which file holds what.
#[derive(Clone, Debug)]
pub struct Run {
    /// The directory.
    pub path: PathBuf,
    /// From what, and with which options, it was made.
    pub manifest: Manifest,
    /// Where the cohort lies, if the caller says so.
    cohort: Option<PathBuf>,
}

/// A subject and the fold in which it was held out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// Position in the cohort.
    pub subject: usize,
    /// The fold.
    pub fold: usize,
}

impl Run {
    /// Opens a run directory.
    ///
    /// # Errors
    /// It is none, or its manifest is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let file = RunLayout::at(path).manifest();
        if crate::train::TableRecord::path(path).is_file() {
            return Err(Error::file(
                path,
                "is a training on a table (table.json), which has no volumes and no maps",
                remedy!["`", Action::new("status").on(path), "` says what is in it; give a run of networks"],
            ));
        }
        if !file.is_file() {
            return Err(Error::file(
                path,
                "not a run: it has no manifest.json",
                remedy!["give a directory that `", Action::new("train").switch(OUT), "` made"],
            ));
        }
        let again = remedy![
            "give back the file that was written, or train again with ",
            FORCE,
            ": the options stand in config.toml beside it"
        ];
        let manifest: Manifest = seal::read(&file, again)?;
        let learnt = manifest.task.value().is_some() || manifest.task.classes().len() >= 2;
        if !learnt || manifest.folds == 0 {
            return Err(Error::file(
                &file,
                format!("found {} classes and {} folds", manifest.task.classes().len(), manifest.folds),
                remedy!["the manifest is damaged: train again with ", FORCE],
            ));
        }
        Ok(Self { path: path.to_owned(), manifest, cohort: None })
    }

    /// The same run, with its cohort looked for in this directory, where one is given, and nowhere else.
    #[must_use]
    pub fn with_cohort(mut self, path: Option<&Path>) -> Self {
        // The one that is found without being named keeps its name, so that naming it changes nothing that is written.
        let real = |path: &Path| path.canonicalize().ok();
        let same = |place: &PathBuf| path.is_some_and(|path| real(path).is_some() && real(place) == real(path));
        let own = self.manifest.cohort.candidates(&self.path).into_iter();
        let found = own.into_iter().find(|place| CohortLayout::at(place).document().is_file()).filter(same);
        self.cohort = found.or_else(|| path.map(Path::to_owned)).or(self.cohort);
        self
    }

    /// Where the cohort is looked for, where somebody said so ([`Run::with_cohort`]).
    pub(crate) fn named_cohort(&self) -> Option<&Path> {
        self.cohort.as_deref()
    }

    /// Claims the run for what is to be written into it (`explain`): one process writes at a time. Who only reads needs no claim.
    ///
    /// # Errors
    /// Another process is at work there; the folder cannot be written to.
    pub fn claim(&self, doing: &str, progress: &dyn Progress) -> Result<Claim> {
        Claim::take(&self.path, doing, progress)
    }

    /// [`Run::claim`] of the run in which a file or folder lies, or will; `None` where that is in no run.
    ///
    /// # Errors
    /// Those of [`Run::claim`].
    pub fn claim_around(path: &Path, doing: &str, progress: &dyn Progress) -> Result<Option<Claim>> {
        Self::around(path)?.map(|folder| Claim::take(&folder, doing, progress)).transpose()
    }

    /// [`Run::claim_around`] of a part of the run ([`Claim::take_part`]).
    ///
    /// # Errors
    /// Those of [`Claim::take_part`].
    pub(crate) fn claim_part_around(
        path: &Path,
        part: &str,
        doing: &str,
        progress: &dyn Progress,
    ) -> Result<Option<Claim>> {
        Self::around(path)?.map(|folder| Claim::take_part(&folder, part, doing, progress)).transpose()
    }

    /// The directory of the run in which a file or folder lies, or will.
    pub(crate) fn around(path: &Path) -> Result<Option<PathBuf>> {
        let path = std::path::absolute(path).map_err(Error::io(path))?;
        Ok(path.ancestors().find(|folder| RunLayout::at(folder).manifest().is_file()).map(Path::to_owned))
    }

    /// Takes away what a process left that was killed when its result was whole: its claim of the run around, and the file of what
    /// it had counted. Where somebody is at work, that is theirs, and stays.
    pub(crate) fn clear_counted(unfinished: &Path) -> Result<()> {
        let is_free = Self::around(unfinished)?.map_or(Ok(true), |folder| Claim::clear(&folder))?;
        if is_free && unfinished.is_file() {
            std::fs::remove_file(unfinished).map_err(Error::io(unfinished))?;
        }
        Ok(())
    }

    /// The folds that have no network yet.
    pub fn untrained(&self) -> Vec<usize> {
        (0..self.manifest.folds).filter(|&fold| !self.layout().fold(fold).model().is_file()).collect()
    }

    /// That the training of the run has not ended, and how it goes on.
    pub fn unfinished(&self) -> Error {
        /// Folds that are named in a command.
        const NAMED: usize = 12;
        let missing = self.untrained();
        // Who comes too early waits, and starts nothing beside.
        if let Ok(Occupied::AtWork(worker)) = Claim::look(&self.path)
            && worker.process != std::process::id()
        {
            let what = format!("training is not finished, and {worker} is at work here");
            return Error::Busy { path: self.path.clone(), what, remedy: "wait until it has ended".into() };
        }
        if missing.is_empty() {
            return Error::file(
                &self.path,
                "training is not finished: all networks are trained, and what they say is not yet counted",
                remedy!["count it: ", Action::new("merge").on(&self.path)],
            );
        }
        let folds = self.manifest.folds;
        let what = format!(
            "training is not finished: {} of {} have a network; without one: {}",
            folds - missing.len(),
            counted(folds, "fold"),
            listed(&missing, NAMED)
        );
        let again = Action::new("run").on(self.layout().config());
        let remedy = match self.train_step().filter(|_| missing.len() <= NAMED) {
            Some(step) => {
                let these = missing.iter().fold(step, |step, fold| step.with(FOLD, fold));
                remedy!["go on with it (what is finished is kept): ", again, ", or these folds alone: ", these]
            }
            None => remedy!["go on with it (what is finished is kept): ", again],
        };
        Error::file(&self.path, what, remedy)
    }

    /// The step that trains this run, as its `config.toml` says; `None` where there is none that can be understood.
    pub fn train_step(&self) -> Option<Action> {
        let section = self.train_section().ok()?;
        let place = |path: &str| self.path.join(path).display().to_string();
        let cohort = self.cohort.clone().or_else(|| self.manifest.cohort.candidates(&self.path).into_iter().next())?;
        let mut step = Action::new("train").on(cohort);
        for (key, value) in &section {
            let setting = *setting::ALL.iter().find(|setting| setting.name() == key)?;
            step = match value {
                toml::Value::Boolean(true) => step.switch(setting),
                toml::Value::String(path) if [INIT, REGION_VOLUMES].contains(&setting) => {
                    step.with(setting, place(path))
                }
                toml::Value::String(text) => step.with(setting, text),
                other => step.with(setting, other),
            };
        }
        Some(step.with(OUT, self.path.display()))
    }

    /// The options of its training, as `config.toml` has them: paths are relative to the run.
    ///
    /// # Errors
    /// The file cannot be read, or has no such section.
    pub(crate) fn train_section(&self) -> Result<toml::Table> {
        let file = self.layout().config();
        let text = voxplain_core::input::read_to_string(&file).map_err(Error::io(&file))?;
        let wrong = |what: String| Error::file(&file, what, "restore the file as training wrote it");
        let mut config: toml::Table = text.parse().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
        match config.remove("train") {
            Some(toml::Value::Table(section)) => Ok(section),
            _ => Err(wrong("it has no section [train]".to_owned())),
        }
    }

    /// What was read of a run, or that its training has not ended where the file is not there that says so, or a network of it.
    fn finished<T>(&self, read: Result<T>) -> Result<T> {
        read.map_err(|e| {
            let is_whole = self.layout().metrics().is_file() && self.untrained().is_empty();
            if e.fault() == Some(Fault::Missing) && !is_whole { self.unfinished() } else { e }
        })
    }

    /// Its files.
    pub fn layout(&self) -> RunLayout<'_> {
        RunLayout::at(&self.path)
    }

    /// The cohort it was trained on, where the manifest has it or [`Run::with_cohort`] says; its hash decides.
    ///
    /// # Errors
    /// It is not found, or what is found has other subjects.
    pub fn cohort(&self) -> Result<Cohort> {
        let places = match &self.cohort {
            Some(path) => vec![path.clone()],
            None => self.manifest.cohort.candidates(&self.path),
        };
        let mut wrong = None;
        for place in &places {
            if self.cohort.is_none() && !CohortLayout::at(place).document().is_file() {
                continue;
            }
            match Cohort::open(place).and_then(|cohort| self.check_cohort(&cohort).map(|()| cohort)) {
                Ok(cohort) => return Ok(cohort.with_missing(self.manifest.missing())),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        Err(wrong.unwrap_or_else(|| {
            let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
            let what = format!(
                "the cohort that this run was trained on is not found: there is none in {}",
                places.join(", nor in ")
            );
            Error::file(&self.path, what, remedy!["say where it lies with ", COHORT])
        }))
    }

    /// Refuses a cohort that is not the one trained on.
    ///
    /// # Errors
    /// Its subjects are others.
    pub fn check_cohort(&self, cohort: &Cohort) -> Result<()> {
        if cohort_hash(cohort) == self.manifest.cohort_hash {
            return Ok(());
        }
        Err(Error::file(
            &cohort.path,
            format!("the volumes are not those that {} was trained on", self.path.display()),
            remedy!["give the cohort of the run with ", COHORT, ", or train again"],
        ))
    }

    /// Who was trained on and who was held out in a fold.
    ///
    /// # Errors
    /// The fold has not begun, or the file is damaged.
    pub fn split(&self, fold: usize) -> Result<Split> {
        self.finished(self.read(&self.layout().fold(fold).split()))
    }

    /// When this run, or one that it replaced, was asked about the test set: what the record says, in words where it is damaged or lost.
    pub fn test_set_asked(&self) -> Vec<String> {
        let (table, document) = (self.layout().test_predictions(), self.layout().test_metrics());
        if !document.is_file() {
            let lost = || vec!["a day that is lost with its file".to_owned()];
            let before = self.manifest.test.iter().flat_map(|test| test.asked_before.iter().cloned());
            return if table.is_file() { lost() } else { before.collect() };
        }
        // A record that cannot be read is one that was written.
        let found = read_json::<serde_json::Value>(&document).ok();
        let times = found.and_then(|found| serde_json::from_value::<Vec<String>>(found["asked"].clone()).ok());
        times.filter(|times| !times.is_empty()).unwrap_or_else(|| vec!["a day that the file does not say".to_owned()])
    }

    /// Positions in the cohort of all who are in a fold, ascending.
    ///
    /// # Errors
    /// A fold has not begun, or its file is damaged.
    pub fn members(&self) -> Result<BTreeSet<usize>> {
        let mut members = BTreeSet::new();
        for fold in 0..self.manifest.folds {
            let split = self.split(fold)?;
            members.extend(split.train.into_iter().chain(split.test));
        }
        Ok(members)
    }

    /// Every subject that a fold's model never saw, fold by fold; `cohort` must be the run's own.
    ///
    /// # Errors
    /// Another cohort; folds that are damaged.
    pub fn held_out(&self, cohort: &Cohort) -> Result<Vec<HeldOut>> {
        self.check_cohort(cohort)?;
        let mut all = Vec::new();
        for fold in 0..self.manifest.folds {
            let split = self.split(fold)?;
            if let Some(&n) = split.test.iter().find(|&&n| n >= cohort.subjects.len() || split.train.contains(&n)) {
                return Err(Error::file(
                    self.layout().fold(fold).split(),
                    format!("subject number {n} is not one that can be held out"),
                    self.count_again(),
                ));
            }
            all.extend(split.test.into_iter().map(|subject| HeldOut { subject, fold }));
        }
        Ok(all)
    }

    /// Reads `predictions.tsv`, held-out subjects only.
    ///
    /// # Errors
    /// There is none, or it is damaged; the run predicts a value.
    pub fn predictions(&self) -> Result<Vec<Prediction>> {
        self.refuse_value("classes are compared here")?;
        self.predictions_in(&self.layout().predictions())
    }

    /// Reads `predictions-<comparator>.tsv`: the predictions of a comparator for the same subjects.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn comparator_predictions(&self, name: &str) -> Result<Vec<Prediction>> {
        self.refuse_value("classes are compared here")?;
        self.predictions_in(&self.layout().comparator_predictions(name))
    }

    /// Reads `predictions.tsv` of a run that predicts a value.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn value_predictions(&self) -> Result<Vec<PredictedValue>> {
        self.values_in(&self.layout().predictions())
    }

    /// Reads `predictions-<comparator>.tsv` of a run that predicts a value.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn comparator_values(&self, name: &str) -> Result<Vec<PredictedValue>> {
        self.values_in(&self.layout().comparator_predictions(name))
    }

    fn predictions_in(&self, file: &Path) -> Result<Vec<Prediction>> {
        let read = || predictions::read(file, self.manifest.task.classes(), self.count_again());
        self.finished(self.check(file).and_then(|()| read()))
    }

    fn values_in(&self, file: &Path) -> Result<Vec<PredictedValue>> {
        let read = || value_results::read(file, self.count_again());
        self.finished(self.check(file).and_then(|()| read()))
    }

    /// Refuses a file that training made beside its models (predictions, maps of linear baselines) and that is no longer
    /// the one that was written. Of runs of older versions nothing is known.
    ///
    /// # Errors
    /// It is another; `metrics.json`, which has the checksums, is damaged.
    pub fn check(&self, file: &Path) -> Result<()> {
        let checksums = Checksums::read(&self.layout().metrics(), self.count_again())?;
        if file.is_file() { checksums.check(file, self.count_again()) } else { Ok(()) }
    }

    /// Reads a document that training wrote beside its models.
    ///
    /// # Errors
    /// It is not there, or not as it was written.
    pub fn read<T: DeserializeOwned>(&self, file: &Path) -> Result<T> {
        seal::read(file, self.count_again())
    }

    /// How what training counted is made again from its models.
    pub(crate) fn count_again(&self) -> Remedy {
        remedy!["make it again from the models, which stay: ", self.go_on(), "; or give back the file that was written"]
    }

    /// The step that goes on with the training, and counts again what its models say.
    pub(super) fn go_on(&self) -> Action {
        Action::new("run").on(self.layout().config())
    }

    /// Refuses what has no meaning for a run that predicts a value; `why` says what it is.
    ///
    /// # Errors
    /// The run predicts a value.
    pub fn refuse_value(&self, why: &str) -> Result<()> {
        match self.manifest.task.value() {
            None => Ok(()),
            Some(value) => Err(Error::file(
                &self.path,
                format!("this run predicts a value, {value}, and {why}"),
                "use a run of classes for this",
            )),
        }
    }

    /// The groups of these people of its cohort (by position) that no split divides; of people with several images those of each person.
    ///
    /// # Errors
    /// The column of groups is not there, or people cannot be told.
    pub(crate) fn groups_of(&self, cohort: &Cohort, members: &[usize]) -> Result<Option<Vec<usize>>> {
        let column = self.manifest.options.get("group").and_then(|group| group.as_str());
        match (column, cohort.persons(members)?) {
            (Some(column), _) => {
                let cells = cohort.column(column)?;
                let cells: Vec<Option<&str>> = members.iter().map(|&n| cells[n]).collect();
                let mut names = cells.clone();
                names.sort_unstable();
                names.dedup();
                Ok(Some(cells.iter().map(|cell| names.binary_search(cell).unwrap_or_default()).collect()))
            }
            (None, persons) => Ok(persons.map(|persons| persons.of)),
        }
    }

    /// Reads `imbalance.json`; `None` in runs of older versions.
    ///
    /// # Errors
    /// It is damaged.
    pub fn imbalance(&self) -> Result<Option<Imbalance>> {
        let file = self.layout().imbalance();
        if file.is_file() { self.read(&file).map(Some) } else { Ok(None) }
    }

    /// Reads `metrics.json` of a run of classes; `None` where training has not ended, or the run predicts a value.
    ///
    /// # Errors
    /// It is damaged, or of other models than those that the run has now.
    pub fn metrics(&self) -> Result<Option<Metrics>> {
        if self.manifest.task.value().is_some() {
            return Ok(None);
        }
        let metrics: Option<Metrics> = self.any_metrics()?;
        if let Some(metrics) = metrics.as_ref().filter(|metrics| !metrics.models.is_empty()) {
            self.models_there()?.0.check(&self.layout().metrics(), &metrics.models, self.count_again())?;
        }
        Ok(metrics)
    }

    /// Reads `metrics.json` of a run that predicts a value; `None` where training has not ended, or the run is of classes.
    ///
    /// # Errors
    /// It is damaged, or of other models than those that the run has now.
    pub fn value_metrics(&self) -> Result<Option<ValueMetrics>> {
        if self.manifest.task.value().is_none() {
            return Ok(None);
        }
        let metrics: Option<ValueMetrics> = self.any_metrics()?;
        if let Some(metrics) = &metrics {
            self.models_there()?.0.check(&self.layout().metrics(), &metrics.models, self.count_again())?;
        }
        Ok(metrics)
    }

    fn any_metrics<M: DeserializeOwned>(&self) -> Result<Option<M>> {
        let (layout, again) = (self.layout(), self.count_again());
        let path = layout.metrics();
        if !path.is_file() {
            return Ok(None);
        }
        let metrics = seal::read(&path, again.clone())?;
        let checksums = Checksums::read(&path, again.clone())?;
        let tables = checksums.files().filter(|file| layout.is_out_of_fold(file));
        tables.into_iter().try_for_each(|table| checksums.check(&table, again.clone()))?;
        Ok(Some(metrics))
    }

    /// Reads the learning curve of a fold, one entry per epoch.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn history(&self, fold: usize) -> Result<Vec<Epoch>> {
        let path = self.layout().fold(fold).history();
        // While a fold is trained again the curve grows.
        if self.layout().fold(fold).model().is_file() && path.is_file() {
            let model = self.model(fold)?.model;
            let expected = model.card.training["history"].as_str();
            if expected.is_some_and(|expected| hash_file(&path).is_ok_and(|found| found != expected)) {
                let what = "is not what was written: it does not fit the checksum in the model (a change by hand, a damaged disk, or a copy that \
                            broke off)";
                return Err(Error::file(&path, what, self.curve_again(fold)));
            }
        }
        let text = voxplain_core::input::read_to_string(&path).map_err(Error::io(&path))?;
        text.lines()
            .enumerate()
            .map(|(n, line)| {
                serde_json::from_str(line)
                    .map_err(|e| Error::file(&path, format!("line {}: {e}", n + 1), self.curve_again(fold)))
            })
            .collect()
    }

    /// How the learning curve of a fold is made again: with its model, which the same seed makes the same.
    fn curve_again(&self, fold: usize) -> Remedy {
        let model = self.layout().fold(fold).model().display().to_string();
        remedy!["give back the file that was written; or remove ", model, ", and train this fold again: ", self.go_on()]
    }

    /// Writes what says that a directory is a run: `manifest.json` (first: whatever happens then, it is known as ours), `config.toml`,
    /// `dataset_description.json`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(path: &Path, manifest: Manifest, config: &impl Serialize) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::io(path))?;
        seal::write(&RunLayout::at(path).manifest(), &manifest)?;
        let run = Self { path: path.to_owned(), manifest, cohort: None };
        run.describe(config)?;
        Ok(run)
    }

    /// Writes `config.toml` and `dataset_description.json`, where they are not there or say something else.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn describe(&self, config: &impl Serialize) -> Result<()> {
        let layout = self.layout();
        let description = serde_json::json!({
            "Name": "voxplain run",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{ "Name": "voxplain", "Version": self.manifest.version }],
        });
        let config = toml::to_string(config)
            .map_err(|e| Error::request(format!("the options cannot be written as TOML: {e}"), "report this"))?;
        atomic_file::write_if_other(&layout.config(), shown(&config)?.as_bytes())?;
        atomic_file::write_json_if_other(&layout.description(), &description)
    }
}

/// A configuration with its hidden characters written out, the same values in the same order.
fn shown(config: &str) -> Result<Cow<'_, str>> {
    if visible(config) == config {
        return Ok(Cow::Borrowed(config));
    }
    let table: toml::Table = config
        .parse()
        .map_err(|e| Error::request(format!("the options are no TOML as they are written: {e}"), "report this"))?;
    let mut text = String::new();
    let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    let lines = |text: &mut String, of: &mut dyn Iterator<Item = (&String, &toml::Value)>| {
        for (key, value) in of {
            let value = value.as_str().map_or_else(|| value.to_string(), visible_toml);
            text.push_str(&format!("{key} = {value}\n"));
        }
    };
    lines(&mut text, &mut values.into_iter());
    for (name, table) in tables {
        text.push_str(&format!("\n[{name}]\n"));
        lines(&mut text, &mut table.as_table().into_iter().flatten());
    }
    Ok(Cow::Owned(text))
}

/// What to do about a run that is damaged.
fn again() -> Remedy {
    remedy!["train again with ", FORCE]
}

/// Reads a JSON file of a run.
///
/// # Errors
/// The file is missing or not as it was written.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    seal::read(path, again())
}
