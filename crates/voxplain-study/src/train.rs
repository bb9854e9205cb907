//! [`train`]: a network for every fold, what it says of those it never saw, and what simple classifiers say.

mod augmentation;
mod checkpoint;
mod data;
mod fit;
pub mod folds;
mod judge;
mod observer;
mod options;

pub use augmentation::Augment;
pub use folds::{Holding, Split};
pub use observer::TrainingObserver;
pub use options::{Rate, TrainOptions};

use crate::{
    Error, Progress, Result, atomic_file,
    baseline::{self, Said, Task},
    cohort::Cohort,
    model::{Card, Model, mrinet},
    run::{Manifest, Metrics, Prediction, Run, cohort_hash, write_predictions},
    stats::classification::fold_scores,
};
use data::Data;
use std::path::Path;
use voxplain_core::argmax;
use voxplain_nn::{Engine, random::Seed};

/// What training leaves.
#[derive(Debug)]
pub struct Training {
    /// The directory.
    pub run: Run,
    /// How well the classes are told apart.
    pub metrics: Metrics,
    /// Subjects that were left out because they have no label.
    pub left_out: Vec<String>,
}

/// Trains on a cohort into the directory `out`, and judges everyone by a model that never saw them.
///
/// A fold that is finished is not trained again, one that was interrupted goes on after its last whole epoch, and the
/// outcome is the same bytes. A directory made with other options, or from other volumes, is refused; with `force`
/// what it holds is replaced.
pub fn train(
    cohort: &Cohort,
    options: &TrainOptions,
    out: &Path,
    force: bool,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<Training> {
    options.check()?;
    let data = Data::of(cohort, options)?;
    if !data.left_out.is_empty() {
        progress.warn(&format!(
            "{} subjects without {} are left out: {}",
            data.left_out.len(),
            options.label,
            data.left_out.join(", ")
        ));
    }
    // A network that the grid is too small for, or folds that cannot be, must be known before anything is written.
    mrinet(cohort.preparation.shape, options.width, data.classes.len())?;
    let positive = data.positive(options)?;
    let seed = Seed::new(options.seed);
    let splits = folds::splits(&data.labels, data.groups.as_deref(), options.holding, seed)?;
    folds::check(&splits, &data.labels, data.groups.as_deref(), &data.classes, options.holding)?;

    let run = open_or_create(cohort, options, &data, splits.len(), out, force)?;
    progress.begin("folds", splits.len());
    let mut said = Vec::new();
    let trained: Result<()> = splits.iter().enumerate().try_for_each(|(fold, split)| {
        let of_fold = one_fold(fold, split, &run, &data, options, engine, progress, observer)?;
        fold_scores(&judge::fold_predictions(&of_fold, &data), data.classes.len(), positive)
            .iter()
            .for_each(|s| observer.fold(s));
        said.extend(of_fold);
        progress.advance(1, "");
        Ok(())
    });
    progress.end();
    trained?;

    let task = Task { labels: &data.labels, classes: data.classes.len(), splits: &splits, balanced: options.balanced };
    let mut all = vec![(judge::CNN.to_owned(), judge::describe_network(options), said)];
    all.extend(baselines(&data, &task, engine, progress)?);
    for (name, _, said) in &mut all {
        said.sort_by_key(|s| s.subject);
        let file = if name == judge::CNN { "predictions.tsv".into() } else { format!("predictions-{name}.tsv") };
        write_predictions(&run.path.join(file), &data.classes, &predictions(said, &data))?;
    }
    let metrics = engine.install(|| judge::metrics(&all, &data, positive, options));
    atomic_file::write_json(&run.path.join("metrics.json"), &metrics)?;
    Ok(Training { run, metrics, left_out: data.left_out.clone() })
}

/// What the network of a fold says of the held-out, trained where it is not yet.
fn one_fold(
    fold: usize,
    split: &Split,
    run: &Run,
    data: &Data<'_>,
    options: &TrainOptions,
    engine: &Engine,
    progress: &dyn Progress,
    observer: &dyn TrainingObserver,
) -> Result<Vec<Said>> {
    let folder = run.fold_path(fold);
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let in_cohort = |of: &[usize]| of.iter().map(|&n| data.subjects[n]).collect();
    let positions = Split { train: in_cohort(&split.train), test: in_cohort(&split.test) };
    atomic_file::write_json(&folder.join("split.json"), &positions)?;
    let path = run.model_path(fold);
    if !path.is_file() {
        let seed = Seed::new(options.seed).child(&format!("fold-{fold}"));
        let fit = fit::Fit { fold, train: &split.train, data, options, engine, seed, folder: &folder };
        let (network, epochs) = fit.run(progress, observer)?;
        let hashes = split.train.iter().map(|&n| data.cohort.subjects[data.subjects[n]].hash.clone());
        let card = Card {
            architecture: options.model.clone(),
            classes: data.classes.clone(),
            label: options.label.clone(),
            preparation: data.cohort.preparation.clone(),
            grid_unknown: false,
            trained_on: hashes.collect(),
            training: serde_json::json!({
                "seed": options.seed,
                "fold": fold,
                "epochs": epochs,
                "version": env!("CARGO_PKG_VERSION"),
                "options": options,
            }),
        };
        Model { network, card }.write(&path)?;
        checkpoint::remove(&folder);
    }
    // What is judged is the file, not what happens to be in memory.
    let model = Model::read(&path)?;
    let seen = split.test.iter().find(|&&n| model.has_seen(&data.cohort.subjects[data.subjects[n]].hash));
    if let Some(&n) = seen {
        return Err(Error::Subject {
            subject: data.cohort.subjects[data.subjects[n]].id.clone(),
            what: format!("is held out in fold {fold}, but a subject with the same volume was trained on"),
            remedy: "remove the duplicate from the cohort, or put both in one group (--group)".into(),
        });
    }
    let outputs = fit::infer(&model.network, &split.test, data, options.batch, engine)?;
    Ok(split.test.iter().zip(outputs).map(|(&subject, probabilities)| Said { subject, fold, probabilities }).collect())
}

/// The simple classifiers on the same folds; one that the data do not allow is left out with a warning.
fn baselines(
    data: &Data<'_>,
    task: &Task<'_>,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Vec<(String, String, Vec<Said>)>> {
    let mut all = Vec::new();
    let volumes: Vec<f64> = data.subjects.iter().map(|&n| data.cohort.subjects[n].brain_volume).collect();
    match baseline::brain_volume(&volumes, task) {
        Ok(said) => all.push((
            baseline::BRAIN_VOLUME.to_owned(),
            "logistic regression on the logarithm of the brain's volume".to_owned(),
            said,
        )),
        Err(e) => progress.warn(&format!("no baseline by brain volume: {e}")),
    }
    progress.begin("linear baseline", baseline::reads(data.len()));
    let gram = engine.install(|| {
        baseline::inner_products(data.len(), |n| {
            progress.go_on()?;
            progress.advance(1, "");
            data.volume(n)
        })
    });
    progress.end();
    let gram = gram?;
    all.push((
        baseline::LINEAR_VOXELS.to_owned(),
        format!(
            "logistic regression on the first {} principal components of the prepared volumes",
            baseline::COMPONENTS
        ),
        baseline::linear_voxels(&gram, task),
    ));
    Ok(all)
}

fn predictions(said: &[Said], data: &Data<'_>) -> Vec<Prediction> {
    said.iter()
        .map(|s| Prediction {
            participant_id: data.cohort.subjects[data.subjects[s.subject]].id.clone(),
            fold: s.fold,
            truth: data.classes[data.labels[s.subject]].clone(),
            predicted: data.classes[argmax(&s.probabilities)].clone(),
            probabilities: s.probabilities.clone(),
        })
        .collect()
}

/// The run's directory: a new one, or the one that the same options made.
fn open_or_create(
    cohort: &Cohort,
    options: &TrainOptions,
    data: &Data<'_>,
    folds: usize,
    out: &Path,
    force: bool,
) -> Result<Run> {
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        cohort: std::path::absolute(&cohort.path).map_err(Error::io(&cohort.path))?,
        cohort_hash: cohort_hash(cohort),
        label: options.label.clone(),
        classes: data.classes.clone(),
        folds,
        seed: options.seed,
        options: serde_json::to_value(options).unwrap_or_default(),
    };
    if out.join("manifest.json").is_file() {
        match Run::open(out) {
            Ok(run) if !force => {
                let found = &run.manifest;
                let difference = if found.options != manifest.options {
                    Some(format!("it was made with other options ({})", differences(&found.options, &manifest.options)))
                } else if found.cohort_hash != manifest.cohort_hash || found.classes != manifest.classes {
                    Some(format!("it was made from other volumes or labels than those of {}", cohort.path.display()))
                } else if found.version != manifest.version {
                    Some(format!("version {} made it, this is {}", found.version, manifest.version))
                } else {
                    None
                };
                return match difference {
                    None => Ok(run),
                    Some(what) => Err(Error::file(
                        out,
                        format!("there is a run already, and {what}"),
                        "use another --out, the same options to go on, or --force to replace it",
                    )),
                };
            }
            Err(e) if !force => return Err(e),
            _ => clear(out)?,
        }
    } else if out.is_file() || out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::file(
            out,
            "is not a run, and not empty",
            "give a new directory to --out; --force replaces runs alone",
        ));
    }
    #[derive(serde::Serialize)]
    struct Config<'a> {
        cohort: &'a Path,
        train: &'a TrainOptions,
    }
    let cohort = manifest.cohort.clone();
    Run::create(out, manifest, &Config { cohort: &cohort, train: options })
}

/// `epochs 10, now 20; seed 1, now 2`.
fn differences(found: &serde_json::Value, now: &serde_json::Value) -> String {
    let empty = serde_json::Map::new();
    let (found, now) = (found.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let mut keys: Vec<_> = found.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let text = |v: Option<&serde_json::Value>| v.map_or_else(|| "none".to_owned(), ToString::to_string);
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
    let entries = out.read_dir().map_err(Error::io(out))?.flatten();
    paths.extend(entries.map(|e| e.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name.starts_with("sub-") && path.is_dir()) || (name.starts_with("predictions") && name.ends_with(".tsv"))
    }));
    paths.push(out.join("manifest.json"));
    for path in paths {
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&path)(e)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
