//! The run directory at the start of a training: a new one, or the one that the same training began.

use super::{copies, options::TrainOptions, plan::Plan};
use crate::listed::listed;
use crate::{
    folds::TestSet,
    run::{CohortPlace, HeldForTest, Manifest, NearDuplicates, Run, RunLayout, clear, cohort_hash},
    setting::{FORCE, INIT, OUT, REGION_VOLUMES},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{io::ErrorKind, path::Path};
use toml::Table;
use voxplain_core::{Claim, Error, Progress, Result, atomic_file, remedy, seal};

/// What `config.toml` holds: the training as `voxplain run` takes it, what is not as it is by default. Paths are from the file.
#[derive(Serialize)]
struct Config<'a> {
    cohort: &'a Path,
    /// The folder of the file itself.
    run: &'static str,
    train: Table,
}

impl<'a> Config<'a> {
    fn of(out: &Path, cohort: &'a Path, options: &TrainOptions) -> Result<Self> {
        let mut train = Table::new();
        for (setting, value) in options.settings() {
            let value = match value {
                None => toml::Value::Boolean(true),
                Some(path) if [INIT, REGION_VOLUMES].contains(&setting) => {
                    let place = CohortPlace::new(out, Path::new(&path))?;
                    toml::Value::String(place.path().to_string_lossy().into_owned())
                }
                Some(text) => as_written(text),
            };
            train.insert(setting.name().to_owned(), value);
        }
        Ok(Self { cohort, run: ".", train })
    }
}

/// A number, where it is written as numbers are; else text.
fn as_written(text: String) -> toml::Value {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(n), _) if n.to_string() == text => toml::Value::Integer(n),
        (_, Ok(x)) if x.is_finite() && x.to_string() == text => toml::Value::Float(x),
        _ => toml::Value::String(text),
    }
}

/// A run that this process alone trains.
pub(super) struct Claimed {
    pub(super) run: Run,
    /// Ends the claim when it is dropped.
    _claim: Claim,
}

/// Opens the run in `out` to go on with it, or creates it, and claims it. Says what it leaves of a directory that is replaced.
///
/// # Errors
/// There is a run of other options, volumes, labels or of another version, and it is not to be replaced (`force`);
/// the directory is not empty and no run; or another process is at work there.
pub(super) fn open_or_create(plan: &Plan<'_>, out: &Path, force: bool, progress: &dyn Progress) -> Result<Claimed> {
    let manifest = manifest(plan, out)?;
    refuse_others(out)?;
    let is_new = !out.exists();
    std::fs::create_dir_all(out).map_err(Error::io(out))?;
    let run = Claim::take(out, "train", progress).and_then(|claim| {
        refuse_others(out)?;
        Ok(Claimed { run: claimed(manifest, plan, out, force, progress)?, _claim: claim })
    });
    if run.is_err() && is_new {
        // Goes where nothing was written.
        let _ = std::fs::remove_dir(out);
    }
    run
}

/// Opens the run in `out` for some of its folds, or creates it: others may do the same at the same time, and each finds what the first
/// has written. `near_duplicates` looks for people who may be one, where that was not done yet. The directory is there, and folds are claimed.
///
/// # Errors
/// There is a run of other options, volumes, labels or of another version; the directory is not empty and no run.
pub(super) fn join(
    plan: &Plan<'_>,
    out: &Path,
    near_duplicates: impl FnOnce() -> Result<NearDuplicates>,
) -> Result<Run> {
    let mut now = manifest(plan, out)?;
    refuse_others(out)?;
    let path = RunLayout::at(out).manifest();
    if !path.is_file() {
        now.near_duplicates = Some(near_duplicates()?);
        // Of several that come at once one makes it, and all compare theirs with it.
        seal::create(&path, &now)?;
        let mut run = Run::open(out)?;
        refuse_difference(&run, &now, plan)?;
        // Of a whole training that came first and was stopped before it had looked.
        if run.manifest.near_duplicates.is_none() {
            copies::record(&mut run, now.near_duplicates.unwrap_or_default())?;
        }
        return described(run, plan);
    }
    let mut run = Run::open(out)?;
    refuse_difference(&run, &now, plan)?;
    if run.manifest.near_duplicates.is_none() {
        copies::record(&mut run, near_duplicates()?)?;
    }
    described(run, plan)
}

/// Refuses a run that is not in all the one that this training would make.
fn refuse_difference(run: &Run, now: &Manifest, plan: &Plan<'_>) -> Result<()> {
    let cohort = &plan.dataset.cohort.path;
    // Baselines too: whoever merges the folds fits them as the run says.
    let baselines = || {
        let changed = run.manifest.options != now.options;
        changed.then(|| format!("it was made with other options ({})", changes(&run.manifest.options, &now.options)))
    };
    match difference(&run.manifest, now, cohort).or_else(baselines) {
        None => Ok(()),
        Some(what) => Err(Error::file(
            &run.path,
            format!("there is a run already, and {what}"),
            remedy!["use another ", OUT, ", or the same options for all folds of a run"],
        )),
    }
}

/// Refuses a run whose folds cannot be counted together by this plan, which was made of the options that the run itself has.
///
/// # Errors
/// Its cohort changed since; another version made it.
pub(super) fn refuse_other_plan(run: &Run, plan: &Plan<'_>) -> Result<()> {
    let mut now = manifest(plan, &run.path)?;
    // Where these files lie seen from here.
    for path in [INIT, REGION_VOLUMES] {
        if let (Some(now), Some(of)) = (now.options.as_object_mut(), run.manifest.options.get(path.name())) {
            now.insert(path.name().to_owned(), of.clone());
        }
    }
    match difference(&run.manifest, &now, &plan.dataset.cohort.path) {
        None => Ok(()),
        Some(what) => Err(Error::file(
            &run.path,
            format!("its folds cannot be put together: {what}"),
            remedy!["train again, or give back the cohort as it was"],
        )),
    }
}

/// The run with the files that say how it is made, where they are not there yet.
fn described(run: Run, plan: &Plan<'_>) -> Result<Run> {
    let config = Config::of(&run.path, run.manifest.cohort.path(), plan.options)?;
    run.describe(&config)?;
    Ok(run)
}

/// [`open_or_create`] in a directory that is claimed.
fn claimed(mut manifest: Manifest, plan: &Plan<'_>, out: &Path, force: bool, progress: &dyn Progress) -> Result<Run> {
    let Plan { dataset, options, .. } = plan;
    if RunLayout::at(out).manifest().is_file() {
        match Run::open(out) {
            Ok(run) if !force => {
                return match difference(&run.manifest, &manifest, &dataset.cohort.path) {
                    None => found_at(run, &manifest, options),
                    Some(what) => Err(Error::file(
                        out,
                        format!("there is a run already, and {what}"),
                        remedy!["use another ", OUT, ", the same options to go on, or ", FORCE, " to replace it"],
                    )),
                };
            }
            Err(e) if !force => return Err(e),
            _ => {
                let times = asked_before(out, &manifest);
                if let Some(test) = manifest.test.as_mut().filter(|_| !times.is_empty()) {
                    progress.warn(&format!(
                        "the run that is replaced was asked about this test set on {}: what is changed since may have been chosen by it, and \
                         the new run says so",
                        times.join(", ")
                    ));
                    test.asked_before = times;
                }
                if let Some(before) = asked_otherwise(out, &manifest) {
                    progress.warn(&before);
                }
                keep_asked(out)?;
                replace(out, progress)?;
            }
        }
    }
    let cohort = manifest.cohort.clone();
    Run::create(out, manifest, &Config::of(out, cohort.path(), options)?)
}

/// The run with its cohort where it was found now: it may have been moved since. Baselines are fitted anew, so that their options may be
/// others.
fn found_at(mut run: Run, now: &Manifest, options: &TrainOptions) -> Result<Run> {
    // A process that was killed at the start wrote the manifest alone.
    let is_whole = run.layout().config().is_file() && run.layout().description().is_file();
    if run.manifest.options != now.options || !is_whole {
        run.manifest.cohort = now.cohort.clone();
        run.manifest.options = now.options.clone();
        let config = Config::of(&run.path, now.cohort.path(), options)?;
        return Run::create(&run.path, run.manifest, &config);
    }
    if run.manifest.cohort != now.cohort {
        run.manifest.cohort = now.cohort.clone();
        seal::write(&run.layout().manifest(), &run.manifest)?;
    }
    Ok(run)
}

/// Options as JSON without those that no network is trained by.
fn of_networks(options: &Value) -> Value {
    let mut options = options.clone();
    if let Some(of) = options.as_object_mut() {
        TrainOptions::OF_BASELINES.iter().for_each(|key| {
            of.remove(*key);
        });
    }
    options
}

/// Removes what voxplain made in a run that is replaced, and names what stays.
fn replace(out: &Path, progress: &dyn Progress) -> Result<()> {
    let left = clear(out)?;
    if !left.is_empty() {
        progress.warn(&format!(
            "{}: left as they are, since voxplain did not make them: {}",
            out.display(),
            listed(left.iter().map(|path| path.display()), 8)
        ));
    }
    Ok(())
}

fn manifest(plan: &Plan<'_>, out: &Path) -> Result<Manifest> {
    let Plan { dataset, options, splits, bins, .. } = plan;
    let cohort = dataset.cohort;
    Ok(Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        cohort: CohortPlace::new(out, &cohort.path)?,
        cohort_hash: cohort_hash(cohort),
        label: options.label.clone(),
        task: dataset.task(),
        folds: splits.len(),
        seed: options.seed,
        options: serde_json::to_value(options)
            .map_err(|e| Error::request(format!("the options cannot be written as JSON: {e}"), "report this"))?,
        test: options.test.clone().map(|set| HeldForTest {
            set,
            subjects: dataset.test.iter().map(|&n| cohort.subjects[n].id.clone()).collect(),
            asked_before: Vec::new(),
        }),
        left_out: dataset.left_out_by_column(options),
        soft_labels: bins.clone(),
        near_duplicates: None,
    })
}

/// Refuses a directory that is no run, unless nothing is in it but what a process leaves that was killed before it came to anything.
pub(super) fn refuse_others(out: &Path) -> Result<()> {
    if RunLayout::at(out).manifest().is_file() {
        return Ok(());
    }
    let is_nothing = |path: &Path| atomic_file::is_part(path) || Claim::is_file(path);
    let is_free = match out.read_dir() {
        Ok(entries) => {
            let entries = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
            entries.map_err(Error::io(out))?.iter().all(|path| is_nothing(path))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => true,
        Err(_) if out.is_file() => false,
        Err(e) => return Err(Error::io(out)(e)),
    };
    if is_free {
        return Ok(());
    }
    Err(Error::file(
        out,
        "is not a run, and not empty",
        remedy!["give a new directory to ", OUT, "; ", FORCE, " replaces runs alone"],
    ))
}

/// Writes into the manifest of a run that is replaced when it was asked about its test set, so that the record outlives a removal that is
/// interrupted.
fn keep_asked(out: &Path) -> Result<()> {
    // Of a manifest that cannot be read nothing is known.
    let Ok(mut old) = Run::open(out) else { return Ok(()) };
    let times = old.test_set_asked();
    match old.manifest.test.as_mut() {
        Some(test) if test.asked_before != times => test.asked_before = times,
        _ => return Ok(()),
    }
    seal::write(&old.layout().manifest(), &old.manifest)
}

/// Who is in the test set of a run.
fn tested(of: &Manifest) -> Option<(&TestSet, &[String])> {
    of.test.as_ref().map(|test| (&test.set, test.subjects.as_slice()))
}

/// When a run that is to be replaced was asked about its test set, where the new one has the same people in it.
fn asked_before(out: &Path, now: &Manifest) -> Vec<String> {
    let Ok(old) = Run::open(out) else { return Vec::new() };
    let same = old.manifest.test.as_ref().zip(now.test.as_ref()).is_some_and(|(old, now)| old.subjects == now.subjects);
    if same { old.test_set_asked() } else { Vec::new() }
}

/// That a run which is replaced was asked about a test set that the new one has not, in a sentence: its record goes with it.
fn asked_otherwise(out: &Path, now: &Manifest) -> Option<String> {
    let old = Run::open(out).ok()?;
    let test = old.manifest.test.as_ref()?;
    let times = old.test_set_asked();
    if times.is_empty() || now.test.as_ref().is_some_and(|now| now.subjects == test.subjects) {
        return None;
    }
    Some(format!(
        "the run that is replaced was asked about its test set ({}) on {}; the new run has not this test set, and the record is lost: those people are no \
         test set any more",
        test.set,
        times.join(", ")
    ))
}

/// Why a run is not the one that this training would make.
fn difference(found: &Manifest, now: &Manifest, cohort: &Path) -> Option<String> {
    if of_networks(&found.options) != of_networks(&now.options) {
        Some(format!("it was made with other options ({})", changes(&found.options, &now.options)))
    } else if found.cohort_hash != now.cohort_hash
        || found.task != now.task
        || tested(found) != tested(now)
        || found.soft_labels != now.soft_labels
    {
        Some(format!("it was made from other volumes or labels than those of {}", cohort.display()))
    } else if found.version != now.version {
        Some(format!("version {} made it, this is {}", found.version, now.version))
    } else {
        None
    }
}

/// The options that differ: `epochs 10, now 20; seed 1, now 2`.
fn changes(found: &Value, now: &Value) -> String {
    let empty = Map::new();
    let (found, now) = (found.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let mut keys: Vec<_> = found.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let text = |v: Option<&Value>| v.map_or_else(|| "none".to_owned(), ToString::to_string);
    keys.into_iter()
        .filter(|k| found.get(*k) != now.get(*k))
        .map(|k| format!("{k} {}, now {}", text(found.get(k)), text(now.get(k))))
        .collect::<Vec<_>>()
        .join("; ")
}
