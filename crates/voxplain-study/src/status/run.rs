//! [`RunStatus`]: a run of networks.

use super::{
    Damaged, Lack, Made,
    size::{Size, sizes},
    table::sentences,
    train_again,
};
use crate::{
    compare,
    confounds::Confounds,
    evaluation::{faithfulness, truth},
    folder::{self, name_of},
    group::GroupSummary,
    listed::{counted, listed},
    map::record_path,
    model::Task,
    regions::RegionRecord,
    run::{Models, PermutationTest, Run, RunMaps, Staleness, read_json},
    setting::{CLASSIFIER, FORCE, METHOD, METRIC},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::SystemTime,
};
use voxplain_attribution::{GuidedBackprop, HiresCam, MeaningfulPerturbation, Method as _};
use voxplain_core::{
    Action, Claim, Error, Occupied, Progress, Result, remedy,
    seal::{self, Checksums},
};

/// What there is in a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// The directory.
    pub path: PathBuf,
    /// The version of voxplain that made it.
    pub version: String,
    /// Who is at work there.
    pub at_work: Occupied,
    /// Where its cohort was found; `null` where it was not.
    pub cohort: Option<PathBuf>,
    /// Why it was not, in words.
    pub cohort_problem: Option<String>,
    /// The column that is predicted.
    pub label: String,
    /// What is predicted: `classes` or `value`.
    #[serde(flatten)]
    pub task: Task,
    /// Number of folds (1 for a hold-out).
    pub folds: usize,
    /// How many of them have a network.
    pub trained: usize,
    /// Folds whose training has begun and not ended.
    pub in_training: Vec<UnfinishedFold>,
    /// Subjects that were held out by any fold; `null` where not every fold has begun.
    pub held_out: Option<usize>,
    /// `metrics.json`; `null` where training has not ended.
    pub metrics: Option<Made>,
    /// The result out of fold, as `metrics.json` has it, a sentence each.
    pub headline: Vec<String>,
    /// Each method that there are maps of.
    pub methods: Vec<MethodStatus>,
    /// Maps of groups.
    pub group: Option<Made>,
    /// Measures of maps: `localisation`, `deletion`, `insertion`.
    pub evaluations: Vec<Made>,
    /// Comparisons in `compare/`.
    pub comparisons: Vec<Made>,
    /// Permutation tests, by classifier.
    pub permutations: Vec<Made>,
    /// Tables of regions in `regions/`.
    pub regions: Vec<Made>,
    /// How much of the result confounds explain.
    pub confounds: Option<Made>,
    /// Maps that are not as they were written, or whose record, mask or image in another space is not. Without `all_read` those that show it without
    /// being read.
    pub damaged_maps: Vec<PathBuf>,
    /// That labels in the table were changed after training, or why that is not known, in a sentence; `null` where they were not, or there is no
    /// cohort.
    pub changed_labels: Option<String>,
    /// The report; its problem is what was made after it, by the times of the files.
    pub report: Option<Made>,
    /// Comparisons and permutation tests that were stopped before their end: the same command goes on with each.
    pub unfinished: Vec<PathBuf>,
    /// Models and records of folds that are not as they were written.
    pub damaged: Vec<Damaged>,
    /// Whether every image was read, or only what is read for the rest.
    pub all_read: bool,
    /// What its parts take.
    pub sizes: Vec<Size>,
    #[serde(skip)]
    pub(super) lacks: Vec<Lack>,
}

/// A fold whose training has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UnfinishedFold {
    /// Its number, from 0.
    pub fold: usize,
    /// Epochs that are done.
    pub epochs: usize,
    /// Epochs that it may take at most; `null` where the manifest does not say.
    pub of: Option<u64>,
}

/// What there is of a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MethodStatus {
    /// Its name.
    pub method: String,
    /// Subjects with a map by the models of the run.
    pub maps: usize,
    /// Maps by other models than those that the run has now: they are left out of everything.
    pub by_other_models: usize,
    /// Maps without a record: they were not finished, and are left out.
    pub unfinished: usize,
    /// Maps that are not as they were written, or whose record is not.
    pub damaged: usize,
    /// Whether the group maps that count have it.
    pub in_group: bool,
    /// The measures of maps that count and have it.
    pub evaluated: Vec<String>,
    /// The comparisons that count and are of it.
    pub compared: Vec<String>,
}

impl RunStatus {
    /// What there is in a run. Nothing is written. With `check` every image is read and compared with its hash.
    ///
    /// # Errors
    /// A folder that cannot be read. What is damaged in it is said, and no error.
    pub fn of(run: &Run, check: Option<&dyn Progress>) -> Result<Self> {
        let (manifest, layout) = (&run.manifest, run.layout());
        let trained = |fold: &usize| layout.fold(*fold).model().is_file();
        let epochs = manifest.options["epochs"].as_u64();
        let in_training = (0..manifest.folds)
            .filter(|fold| !trained(fold) && layout.fold(*fold).folder().is_dir())
            .map(|fold| UnfinishedFold { fold, epochs: run.history(fold).map_or(0, |of| of.len()), of: epochs })
            .collect();
        let (models, damaged) = run.models_there()?;
        let mut damaged: Vec<Damaged> = damaged.iter().map(Damaged::of).collect();
        let splits: Vec<Result<_>> = (0..manifest.folds).map(|fold| run.split(fold)).collect();
        let is_there = |fold: &usize| layout.fold(*fold).split().is_file();
        let unread =
            (0..manifest.folds).zip(&splits).filter(|(fold, _)| is_there(fold)).filter_map(|(_, of)| of.as_ref().err());
        damaged.extend(unread.map(Damaged::of));
        let splits: Result<Vec<_>> = splits.into_iter().collect();
        if check.is_some() {
            damaged.extend(beside_models(run)?);
        }
        let (cohort, cohort_problem) = match run.cohort() {
            Ok(cohort) => (Some(cohort.path), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let document = layout.metrics().is_file().then(|| read_json::<Value>(&layout.metrics()));
        let metrics = document.as_ref().map(|_| {
            let read = run.metrics().map(|_| ()).and_then(|()| run.value_metrics().map(|_| ()));
            Made::new("metrics", layout.metrics(), &read)
        });
        let group = GroupSummary::read(run);
        let (evaluations, evaluated) = evaluations(run);
        let comparisons = compare::comparisons(run)?;
        let mut maps = run.maps_by(&models)?;
        if let Some(progress) = check {
            maps.check_images(progress)?;
        }
        let mut status = Self {
            path: run.path.clone(),
            version: manifest.version.clone(),
            at_work: Claim::look(&run.path)?,
            cohort,
            cohort_problem,
            label: manifest.label.clone(),
            task: manifest.task.clone(),
            folds: manifest.folds,
            trained: (0..manifest.folds).filter(trained).count(),
            in_training,
            held_out: splits.ok().map(|splits| splits.iter().map(|split| split.test.len()).sum()),
            metrics,
            headline: document.and_then(Result::ok).map(|metrics| sentences(&metrics)).unwrap_or_default(),
            methods: methods(&maps, &group, &evaluated, &comparisons),
            group: made("group", layout.group().summary(), &group),
            evaluations,
            comparisons: comparisons
                .iter()
                .map(|(folder, read)| Made::new(name_of(folder), compare::summary_of(folder), read))
                .collect(),
            permutations: permutations(run, &models)?,
            regions: regions(run, &models)?,
            confounds: made("confounds", layout.confounds(), &Confounds::read(run)),
            damaged_maps: damaged_maps(&maps),
            changed_labels: changed_labels(run),
            report: None,
            unfinished: unfinished(run)?,
            damaged,
            all_read: check.is_some(),
            sizes: sizes(&run.path, |name| part(name).to_owned())?,
            lacks: Vec::new(),
        };
        status.report = report(run, &status)?;
        status.lacks = lacks(run, &status);
        Ok(status)
    }
}

/// What is damaged of the files that nothing else of the status reads: maps of linear baselines, learning curves, what goes with the label.
fn beside_models(run: &Run) -> Result<Vec<Damaged>> {
    let layout = run.layout();
    let again = remedy!["make it again: ", Action::new("run").on(layout.config())];
    let mut found: Vec<Error> = Vec::new();
    // That the document itself is damaged is said where it stands.
    if let Ok(known) = Checksums::read(&layout.metrics(), again.clone()) {
        let linear = layout.linear();
        let ours = known.files().filter(|file| file.parent() == Some(linear.folder()));
        found.extend(ours.filter_map(|file| known.check(&file, again.clone()).err()));
    }
    let has = |fold: &usize| layout.fold(*fold).model().is_file() && layout.fold(*fold).history().is_file();
    found.extend((0..run.manifest.folds).filter(has).filter_map(|fold| run.history(fold).err()));
    found.extend(run.imbalance().err());
    match found.iter().position(Error::is_of_machine) {
        Some(at) => Err(found.swap_remove(at)),
        None => Ok(found.iter().map(Damaged::of).collect()),
    }
}

fn damaged_maps(maps: &RunMaps) -> Vec<PathBuf> {
    maps.stale().iter().filter(|map| map.why == Staleness::Damaged).map(|map| map.path.clone()).collect()
}

/// That labels were changed after training, or why that is not known, in words.
fn changed_labels(run: &Run) -> Option<String> {
    // Why there is no cohort stands where the cohort does.
    let cohort = run.cohort().ok()?;
    match run.changed_labels(&cohort) {
        Ok(changed) => changed.map(|changed| changed.sentence()),
        Err(error) => Some(format!("whether labels were changed after training is not known: {error}")),
    }
}

impl RunStatus {
    /// Whether anything is not as it was written.
    pub fn is_damaged(&self) -> bool {
        let made = [&self.metrics, &self.group, &self.confounds].into_iter().flatten();
        let lists = [&self.evaluations, &self.comparisons, &self.permutations, &self.regions];
        !self.damaged.is_empty()
            || !self.damaged_maps.is_empty()
            || made.chain(lists.into_iter().flatten()).any(|made| made.damaged)
    }
}

/// Something that may not be there.
fn made<T>(name: &str, file: PathBuf, read: &Result<Option<T>>) -> Option<Made> {
    (!matches!(read, Ok(None))).then(|| Made::new(name, file, read))
}

fn methods(
    maps: &RunMaps,
    group: &Result<Option<GroupSummary>>,
    evaluated: &[(String, BTreeSet<String>)],
    comparisons: &[(PathBuf, Result<compare::CompareSummary>)],
) -> Vec<MethodStatus> {
    let mut of: BTreeMap<String, MethodStatus> = BTreeMap::new();
    let new = |method: &str| MethodStatus {
        method: method.to_owned(),
        maps: maps.subjects(method).count(),
        by_other_models: 0,
        unfinished: 0,
        damaged: 0,
        in_group: group.as_ref().is_ok_and(|g| g.iter().flat_map(|g| &g.methods).any(|m| m.method == method)),
        evaluated: evaluated.iter().filter(|(_, of)| of.contains(method)).map(|(metric, _)| metric.clone()).collect(),
        compared: comparisons
            .iter()
            .filter(|(_, read)| read.as_ref().is_ok_and(|summary| summary.method.as_deref() == Some(method)))
            .map(|(folder, _)| name_of(folder))
            .collect(),
    };
    for method in maps.methods() {
        of.insert(method.clone(), new(&method));
    }
    for map in maps.stale() {
        // A map without a record has the method as its file is named.
        let known = of.keys().find(|known| crate::map::desc(known) == crate::map::desc(&map.method)).cloned();
        let method = known.unwrap_or_else(|| map.method.clone());
        let entry = of.entry(method.clone()).or_insert_with(|| new(&method));
        match map.why {
            Staleness::OtherModel => entry.by_other_models += 1,
            Staleness::Unfinished => entry.unfinished += 1,
            Staleness::Damaged => entry.damaged += 1,
        }
    }
    of.into_values().collect()
}

/// The measures of maps that are there, and the methods that those which count are of.
fn evaluations(run: &Run) -> (Vec<Made>, Vec<(String, BTreeSet<String>)>) {
    let layout = run.layout().evaluation();
    let (mut all, mut of) = (Vec::new(), Vec::new());
    let mut add = |metric: &str, read: Result<Option<BTreeSet<String>>>| {
        all.extend(made(metric, layout.summary(metric), &read));
        if let Ok(Some(methods)) = read {
            of.push((metric.to_owned(), methods));
        }
    };
    add("localisation", truth::read_found(run).map(|of| of.map(|of| of.into_iter().map(|m| m.method).collect())));
    for metric in [faithfulness::Metric::Deletion, faithfulness::Metric::Insertion] {
        let read = faithfulness::Summary::read(run, metric);
        add(metric.word(), read.map(|of| of.map(|of| of.found.into_iter().map(|m| m.method).collect())));
    }
    (all, of)
}

fn permutations(run: &Run, models: &Models) -> Result<Vec<Made>> {
    let layout = run.layout();
    let mut files = entries(&layout.permutations())?;
    files.retain(|file| layout.is_permutation_test(file));
    let now = models.all();
    let test = |file: PathBuf| {
        let classifier = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let again = Action::new("permute").on(&run.path).with(CLASSIFIER, &classifier);
        let read: Result<PermutationTest> = seal::read(&file, remedy!["test again: ", again.clone().switch(FORCE)]);
        let read = read.and_then(|test| match test.models == now {
            true => Ok(test),
            false => Err(Error::file(
                &file,
                "was made when the run had other models than now",
                remedy!["test again: ", again.switch(FORCE)],
            )),
        });
        Made::new(classifier, file, &read)
    };
    Ok(files.into_iter().map(test).collect())
}

fn regions(run: &Run, models: &Models) -> Result<Vec<Made>> {
    Ok(run
        .layout()
        .region_tables()?
        .into_iter()
        .map(|table| {
            Made::new(
                table.file_stem().unwrap_or_default().to_string_lossy(),
                table.clone(),
                &RegionRecord::check(run, models, &table),
            )
        })
        .collect())
}

/// What was stopped before its end, by the file that says so.
fn unfinished(run: &Run) -> Result<Vec<PathBuf>> {
    let layout = run.layout();
    let mut files = entries(&layout.permutations())?;
    files.retain(|file| layout.is_unfinished_permutation_test(file) || layout.is_shard_of_permutation_test(file, None));
    files.extend(entries(&layout.compare())?.into_iter().filter_map(|folder| compare::begun_of(&folder)));
    Ok(files)
}

/// The entries of a folder, by name; none where it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_dir() { folder::entries(folder) } else { Ok(Vec::new()) }
}

/// Which part of a run an entry of its folder belongs to.
fn part(name: &str) -> &str {
    match name {
        "folds" | "group" | "linear" | "evaluation" | "regions" | "compare" | "permutations" => name,
        "figures" => "report",
        _ if name.starts_with("report.") || name.starts_with("report_") => "report",
        _ if name.starts_with("sub-") => "maps",
        _ => "documents and predictions",
    }
}

/// The report, with what was made after it.
fn report(run: &Run, status: &RunStatus) -> Result<Option<Made>> {
    let file = run.layout().report();
    if !file.is_file() {
        return Ok(None);
    }
    let parts = [&status.metrics, &status.group, &status.confounds].into_iter().flatten();
    let lists = [&status.evaluations, &status.comparisons, &status.permutations, &status.regions];
    let mut shown: Vec<PathBuf> = parts.chain(lists.into_iter().flatten()).map(|made| made.file.clone()).collect();
    for folder in entries(&run.path)?.iter().filter(|entry| name_of(entry).starts_with("sub-") && entry.is_dir()) {
        shown.extend(
            entries(folder)?.iter().filter(|map| crate::map::files_of(map).is_some()).map(|map| record_path(map)),
        );
    }
    let at = |file: &Path| file.metadata().and_then(|meta| meta.modified());
    let made = at(&file).map_err(Error::io(&file))?;
    // What has no time, or went away meanwhile, says nothing.
    let newest: Option<(SystemTime, PathBuf)> =
        shown.into_iter().filter_map(|file| Some((at(&file).ok()?, file))).max();
    let problem = newest
        .filter(|(time, _)| *time > made)
        .map(|(_, newer)| format!("{}: is older than {}", file.display(), place_in(&run.path, &newer)));
    let remedy = problem.as_ref().map(|_| remedy!["make it again: ", Action::new("report").on(&run.path)]);
    Ok(Some(Made { name: "report".into(), file, problem, damaged: false, remedy }))
}

/// What is missing, in the order of the work: first what a page needs, then what shows how far maps can be trusted.
fn lacks(run: &Run, status: &RunStatus) -> Vec<Lack> {
    let on_run = |verb: &'static str| Action::new(verb).on(&run.path);
    let counts = |made: &Option<Made>| made.as_ref().is_some_and(Made::counts);
    let mut lacks = Vec::new();
    // A learning curve is made again with its model alone, which is not removed by itself: its remedy says so.
    let is_curve = |of: &&Damaged| of.file.file_name().is_some_and(|name| name == "history.jsonl");
    let names: Vec<String> =
        status.damaged.iter().filter(|of| !is_curve(of)).map(|of| place_in(&run.path, &of.file)).collect();
    if !names.is_empty() {
        lacks.push(Lack::new(
            format!("whole files in place of those that are damaged: {}", names.join(", ")),
            train(run, status),
        ));
    }
    if !counts(&status.metrics) {
        let what = match (status.trained == status.folds, &status.metrics) {
            (_, Some(_)) => "metrics of the models that the run has now".to_owned(),
            (true, None) => "metrics: all networks are trained, and what they say is not yet counted".to_owned(),
            (false, None) => {
                let (folds, trained) = (counted(status.folds, "fold"), status.trained);
                let missing = listed(run.untrained(), 12);
                format!("training: {trained} of {folds} have a network; without one: {missing}")
            }
        };
        lacks.push(Lack::new(what, train(run, status)));
    }
    if status.trained == 0 {
        return lacks;
    }
    let first = [HiresCam::NAME, GuidedBackprop::NAME, MeaningfulPerturbation::NAME].join(",");
    let current: Vec<&MethodStatus> = status.methods.iter().filter(|method| method.maps > 0).collect();
    if current.is_empty() {
        let methods: Vec<&str> = status.methods.iter().map(|method| method.method.as_str()).collect();
        let methods = if methods.is_empty() { first } else { methods.join(",") };
        lacks.push(Lack::new("maps", on_run("explain").with(METHOD, methods)));
    } else {
        let few = |method: &&MethodStatus| {
            method.by_other_models + method.unfinished + method.damaged > 0
                || status.held_out.is_some_and(|all| method.maps < all)
        };
        let few: Vec<&MethodStatus> = status.methods.iter().filter(few).collect();
        if !few.is_empty() {
            let names: Vec<&str> = few.iter().map(|method| method.method.as_str()).collect();
            let what = format!("maps by {} of some who were held out", names.join(", "));
            lacks.push(Lack::new(what, on_run("explain").with(METHOD, names.join(","))));
        }
        let alone: Vec<&str> = current.iter().filter(|of| !of.in_group).map(|of| of.method.as_str()).collect();
        if !alone.is_empty() {
            lacks.push(Lack::new(format!("group maps by {}", alone.join(", ")), on_run("group")));
        }
    }
    if !counts(&status.report) {
        let what = if status.report.is_some() { "a report of what is there now" } else { "a report" };
        lacks.push(Lack::new(what, on_run("report")));
    }
    let curves = |metric: &str| status.evaluations.iter().any(|made| made.name == metric && made.counts());
    if !current.is_empty() && status.task.value().is_none() && !(curves("deletion") && curves("insertion")) {
        let step = on_run("evaluate").with(METRIC, "deletion,insertion");
        lacks.push(Lack::new("deletion and insertion curves: do maps name what the network uses?", step));
    }
    lacks
}

/// A file of a run, from its directory.
fn place_in(run: &Path, file: &Path) -> String {
    file.strip_prefix(run).unwrap_or(file).display().to_string()
}

/// The step that goes on with the training.
fn train(run: &Run, status: &RunStatus) -> Action {
    let config = run.layout().config();
    if config.is_file() {
        return Action::new("run").on(config);
    }
    // A process that was killed at the start wrote the manifest alone.
    let cohort = status.cohort.clone().unwrap_or_else(|| run.manifest.cohort.path().to_owned());
    train_again(&cohort, &run.manifest.options, &run.path)
}
