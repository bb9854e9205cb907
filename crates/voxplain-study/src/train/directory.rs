//! The run directory at the start of a training: a new one, or the one that the same training began.

use super::{dataset::Dataset, options::TrainOptions};
use crate::{
    run::{Manifest, Run, cohort_hash},
    setting::{FORCE, OUT},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{io::ErrorKind, path::Path};
use voxplain_core::{Error, Result, remedy};

/// What `config.toml` holds.
#[derive(Serialize)]
struct Config<'a> {
    cohort: &'a Path,
    train: &'a TrainOptions,
}

/// Opens the run in `out` to go on with it, or creates it.
///
/// # Errors
/// There is a run of other options, volumes, labels or of another version, and it is not to be replaced (`force`); or
/// the directory is not empty and no run.
pub(super) fn open_or_create(
    dataset: &Dataset<'_>,
    options: &TrainOptions,
    folds: usize,
    out: &Path,
    force: bool,
) -> Result<Run> {
    let manifest = manifest(dataset, options, folds)?;
    if out.join("manifest.json").is_file() {
        match Run::open(out) {
            Ok(run) if !force => {
                return match difference(&run.manifest, &manifest, &dataset.cohort.path) {
                    None => Ok(run),
                    Some(what) => Err(Error::file(
                        out,
                        format!("there is a run already, and {what}"),
                        remedy!["use another ", OUT, ", the same options to go on, or ", FORCE, " to replace it"],
                    )),
                };
            }
            Err(e) if !force => return Err(e),
            _ => clear(out)?,
        }
    } else if !is_free(out)? {
        return Err(Error::file(
            out,
            "is not a run, and not empty",
            remedy!["give a new directory to ", OUT, "; ", FORCE, " replaces runs alone"],
        ));
    }
    let cohort = manifest.cohort.clone();
    Run::create(out, manifest, &Config { cohort: &cohort, train: options })
}

fn manifest(dataset: &Dataset<'_>, options: &TrainOptions, folds: usize) -> Result<Manifest> {
    let cohort = dataset.cohort;
    Ok(Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        cohort: std::path::absolute(&cohort.path).map_err(Error::io(&cohort.path))?,
        cohort_hash: cohort_hash(cohort),
        label: options.label.clone(),
        classes: dataset.classes.clone(),
        folds,
        seed: options.seed,
        options: serde_json::to_value(options)
            .map_err(|e| Error::request(format!("the options cannot be written as JSON: {e}"), "report this"))?,
    })
}

/// Whether nothing is there, or an empty directory.
fn is_free(out: &Path) -> Result<bool> {
    if out.is_file() {
        return Ok(false);
    }
    match out.read_dir() {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::io(out)(e)),
    }
}

/// Why a run is not the one that this training would make.
fn difference(found: &Manifest, now: &Manifest, cohort: &Path) -> Option<String> {
    if found.options != now.options {
        Some(format!("it was made with other options ({})", changes(&found.options, &now.options)))
    } else if found.cohort_hash != now.cohort_hash || found.classes != now.classes {
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

/// Removes what a run holds, and nothing that it could not have made. The manifest goes last, so that an interrupted
/// removal can be asked for again.
fn clear(out: &Path) -> Result<()> {
    let mut paths: Vec<_> = ["folds", "group", "figures", "metrics.json", "report.html", "config.toml"]
        .iter()
        .map(|name| out.join(name))
        .collect();
    for entry in out.read_dir().map_err(Error::io(out))? {
        let path = entry.map_err(Error::io(out))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_subject = name.starts_with("sub-") && path.is_dir();
        if is_subject || (name.starts_with("predictions") && name.ends_with(".tsv")) {
            paths.push(path);
        }
    }
    paths.push(out.join("manifest.json"));
    for path in paths {
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io(&path)(e)),
            _ => {}
        }
    }
    Ok(())
}
