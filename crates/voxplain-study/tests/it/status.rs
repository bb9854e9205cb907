//! What there is in a run or a cohort is said as it is.

use crate::support::{SHAPE, cohort, engine, explain_run, small_run, write_model};
use std::path::Path;
use voxplain_core::{Claim, Occupied, Silent, remedy, seal};
use voxplain_study::{
    cohort::{Begun, CohortLayout, Writer},
    group::{GroupOptions, group},
    run::Run,
    status::{MethodStatus, RunStatus, Status, status, status_of_all},
    train::{TrainOptions, train_table},
};

fn of_run(path: &Path) -> RunStatus {
    match status(path).unwrap() {
        Status::Run(run) => *run,
        other => panic!("{other:?}"),
    }
}

/// The next step, as a program would take it.
fn next(path: &Path) -> Option<String> {
    status(path).unwrap().next().cloned().map(|step| remedy![step].to_string())
}

fn lacks(path: &Path) -> Vec<String> {
    status(path).unwrap().lacks().iter().map(|lack| lack.what.clone()).collect()
}

#[test]
fn of_a_run_maps_are_counted_and_what_does_not_count_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let path = &run.path;
    let found = of_run(path);
    assert_eq!((found.folds, found.trained, found.held_out), (1, 1, Some(2)));
    assert_eq!(found.at_work, Occupied::Nobody);
    assert_eq!(found.cohort.as_deref(), Some(folder.path().join("cohort").as_path()));
    assert!(found.metrics.is_none() && found.headline.is_empty() && found.in_training.is_empty());
    let maps: Vec<_> = found.methods.iter().map(|m| (m.method.as_str(), m.maps, m.in_group)).collect();
    assert_eq!(maps, [("input-x-gradient", 2, false), ("saliency", 2, false)]);
    assert_eq!(
        lacks(path),
        [
            "metrics: all networks are trained, and what they say is not yet counted",
            "group maps by input-x-gradient, saliency",
            "a report",
            "deletion and insertion curves: do maps name what the network uses?",
        ]
    );
    assert_eq!(next(path), Some(format!("run {}", path.join("config.toml").display())));
    // Every file is in one part.
    let files: usize = found.sizes.iter().map(|size| size.files).sum();
    let mut there = 0;
    let mut folders = vec![path.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() { folders.push(entry) } else { there += 1 }
        }
    }
    assert_eq!(files, there);

    // Group maps of one method, a map that was not finished, and one person without.
    let options = GroupOptions { methods: vec!["saliency".into()], ..GroupOptions::default() };
    group(&run, &options, &Silent).unwrap();
    std::fs::remove_file(run.layout().map("p2", "input-x-gradient").record()).unwrap();
    let found = of_run(path);
    let [other, saliency] = &found.methods[..] else { panic!("{:?}", found.methods) };
    assert!(saliency.in_group && !other.in_group && found.group.unwrap().counts());
    assert_eq!((other.maps, other.unfinished, other.by_other_models), (1, 1, 0));
    assert!(lacks(path).contains(&"maps by input-x-gradient of some who were held out".to_owned()));

    // A report, and what was made after it.
    std::fs::write(run.layout().report(), "<html>").unwrap();
    assert!(of_run(path).report.unwrap().counts());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    std::fs::File::options().append(true).open(run.layout().group().summary()).unwrap().set_modified(later).unwrap();
    let problem = of_run(path).report.unwrap().problem.unwrap();
    assert!(problem.ends_with("report.html: is older than group/summary.json"), "{problem}");

    // Other models: nothing counts that was made of those before.
    write_model(run.layout(), &cohort(&folder.path().join("again"), 0), 1);
    let found = of_run(path);
    assert!(found.methods.iter().all(|m| m.maps == 0 && !m.in_group));
    assert_eq!(found.methods.iter().map(|m| m.by_other_models).sum::<usize>(), 3);
    assert!(found.group.unwrap().problem.unwrap().contains("other models"));
    // In the order of the work; the method that had a map of everyone and the other one.
    assert!(lacks(path).contains(&"maps".to_owned()));
}

/// What is damaged is named, and the rest is said as it is; the next step mends it.
#[test]
fn of_a_run_what_is_damaged_is_named_and_the_rest_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let (path, layout) = (&run.path, run.layout());
    let models = run.models().unwrap().all();
    // As training writes it, so that it is known which models the maps are by.
    seal::vouch(
        &layout.metrics(),
        &serde_json::json!({ "models": models, "summary": ["said"] }),
        [layout.predictions()],
    )
    .unwrap();
    let count =
        |found: &RunStatus, of: fn(&MethodStatus) -> usize| -> Vec<usize> { found.methods.iter().map(of).collect() };
    let damage = |file: &Path| {
        let whole = std::fs::read(file).unwrap();
        let mut other = whole.clone();
        let at = other.len() / 2;
        other[at] ^= 1;
        std::fs::write(file, other).unwrap();
        whole
    };
    // The record of a map: that map does not count, and is made again by the next step.
    damage(&layout.map("p2", "input-x-gradient").record());
    let found = of_run(path);
    assert_eq!((count(&found, |m| m.maps), count(&found, |m| m.damaged)), (vec![1, 2], vec![1, 0]));
    let lack = status(path).unwrap().lacks().iter().find(|lack| lack.what.starts_with("maps by")).cloned().unwrap();
    assert_eq!(lack.what, "maps by input-x-gradient of some who were held out");
    assert!(remedy![lack.step].to_string().ends_with("with `method` = input-x-gradient"));
    assert!(explain_run(&run, &["input-x-gradient"]).failures.is_empty());
    assert_eq!(count(&of_run(path), |m| m.damaged), [0, 0]);

    // An image: one without content at once, one with a flipped bit where every image is read.
    let image = layout.map("p3", "saliency").path();
    let whole = std::fs::read(&image).unwrap();
    std::fs::write(&image, "").unwrap();
    assert_eq!(count(&of_run(path), |m| m.damaged), [0, 1]);
    std::fs::write(&image, &whole).unwrap();
    damage(&image);
    assert_eq!(count(&of_run(path), |m| m.damaged), [0, 0]);
    let Status::Run(all) = status_of_all(path, &Silent).unwrap() else { panic!() };
    assert_eq!((count(&all, |m| m.maps), count(&all, |m| m.damaged)), (vec![2, 1], vec![0, 1]));
    assert!(explain_run(&run, &["saliency"]).maps.iter().any(|map| !map.reused));
    let Status::Run(all) = status_of_all(path, &Silent).unwrap() else { panic!() };
    assert_eq!(count(&all, |m| m.damaged), [0, 0]);

    // What lies beside the maps of a subject: their mask.
    let all = || match status_of_all(path, &Silent).unwrap() {
        Status::Run(run) => *run,
        other => panic!("{other:?}"),
    };
    let mask = layout.map("p3", "saliency").input_mask();
    let whole = damage(&mask);
    let found = all();
    assert_eq!(found.damaged_maps, ["input-x-gradient", "saliency"].map(|method| layout.map("p3", method).path()));
    explain_run(&run, &["saliency", "input-x-gradient"]);
    assert!(all().damaged_maps.is_empty() && std::fs::read(&mask).unwrap() == whole);

    // Tables and maps of linear baselines that metrics vouch for.
    let linear = layout.linear().brain_mask();
    std::fs::create_dir_all(layout.linear().folder()).unwrap();
    std::fs::copy(&mask, &linear).unwrap();
    seal::vouch(
        &layout.metrics(),
        &serde_json::json!({ "models": models, "summary": ["said"] }),
        [layout.predictions(), linear.clone()],
    )
    .unwrap();
    assert!(all().damaged.is_empty());
    let whole = damage(&linear);
    let found = all();
    assert_eq!((found.damaged.len(), &found.damaged[0].file), (1, &linear), "{:?}", found.damaged);
    assert!(of_run(path).damaged.is_empty(), "images are read where that is asked for");
    std::fs::write(&linear, whole).unwrap();

    // A model: its maps are still its own, and the next step trains the fold again.
    let model = layout.fold(0).model();
    let whole = damage(&model);
    let found = of_run(path);
    assert_eq!((found.damaged.len(), &found.damaged[0].file), (1, &model));
    assert!(found.damaged[0].what.contains("is not the model that was written"), "{:?}", found.damaged);
    assert_eq!((count(&found, |m| m.maps), count(&found, |m| m.by_other_models)), (vec![2, 2], vec![0, 0]));
    assert_eq!(lacks(path)[0], "whole files in place of those that are damaged: folds/fold-0/model.safetensors");
    assert_eq!(next(path), Some(format!("run {}", layout.config().display())));
    for error in [run.models().unwrap_err(), run.model(0).unwrap_err()] {
        let text = format!("{error}; {}", error.remedy().unwrap());
        assert!(text.contains("model.safetensors: is not the model") && text.contains("config.toml"), "{text}");
    }
    std::fs::write(&model, whole).unwrap();
    let whole = damage(&layout.fold(0).split());
    let found = of_run(path);
    assert_eq!((found.damaged.len(), found.held_out), (1, None));
    std::fs::write(layout.fold(0).split(), whole).unwrap();
    assert!(of_run(path).damaged.is_empty());
}

#[test]
fn of_a_cohort_a_damaged_volume_is_found_where_all_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let made = cohort(folder.path(), 0);
    let look = || {
        let Status::Cohort(found) = status_of_all(&made.path, &Silent).unwrap() else { panic!() };
        found
    };
    assert!(look().damaged.is_empty() && look().all_read);
    let volumes = made.layout().volumes();
    let mut bytes = std::fs::read(&volumes).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    std::fs::write(&volumes, bytes).unwrap();
    let found = look();
    assert_eq!(found.damaged.len(), 1);
    assert!(found.damaged[0].what.contains(&format!("the volume of subject {}", made.subjects[3].id)), "{found:?}");
    assert!(found.damaged[0].remedy.is_some() && next(&made.path).is_some());
    assert_eq!(status_of_all(&made.path, &Silent).unwrap().next(), None, "nobody is told to train on it");
}

#[test]
fn a_run_says_who_is_at_work_and_how_far_training_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let claim = run.claim("explain", &Silent).unwrap();
    let found = of_run(&run.path);
    let Occupied::AtWork(worker) = &found.at_work else { panic!("{:?}", found.at_work) };
    assert_eq!((worker.doing.as_str(), worker.process), ("explain", std::process::id()));
    assert_eq!(next(&run.path), None, "who is at work is waited for");
    drop(claim);
    std::fs::remove_file(run.layout().fold(0).model()).unwrap();
    let epochs = [1, 2, 3].map(|epoch| format!("{{\"epoch\":{epoch},\"learning_rate\":0.1,\"loss\":0.5}}"));
    std::fs::write(run.layout().fold(0).history(), epochs.join("\n")).unwrap();
    let found = of_run(&run.path);
    assert_eq!(found.trained, 0);
    assert_eq!((found.in_training[0].fold, found.in_training[0].epochs), (0, 3));
    assert_eq!(lacks(&run.path), ["training: 0 of 1 fold have a network; without one: 0"]);
    // Killed before the configuration was written: the options are in the manifest.
    std::fs::remove_file(run.layout().config()).unwrap();
    assert!(next(&run.path).unwrap().starts_with("train "), "{:?}", next(&run.path));
    // A cohort that is not there any more is said, and the rest with it.
    std::fs::remove_dir_all(folder.path().join("cohort")).unwrap();
    assert!(of_run(&run.path).cohort_problem.unwrap().contains("is not found"));
    // A run that was damaged is no status.
    std::fs::write(run.layout().manifest(), "{").unwrap();
    assert!(status(&run.path).unwrap_err().to_string().contains("manifest.json"));
}

#[test]
fn of_a_cohort_whether_it_is_finished_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let made = cohort(folder.path(), 0);
    let Status::Cohort(found) = status(&made.path).unwrap() else { panic!() };
    assert_eq!((found.subjects, found.people, found.shape), (4, None, SHAPE));
    assert_eq!(found.columns, ["sex"]);
    assert!(found.replaced_by.is_none());
    let train = format!("train {} with `label` = COLUMN, `out` = RUN", made.path.display());
    assert_eq!(next(&made.path), Some(train));

    let path = folder.path().join("other");
    let begin = || {
        let made_by = serde_json::json!({ "command": "prepare", "options": { "seed": 3 } });
        match Writer::begin(&path, &made_by, [1, 8, 9, 7].into(), 6, false, &Silent).unwrap() {
            Begun::Open(writer) => *writer,
            Begun::Complete(_) => panic!(),
        }
    };
    let writer = begin();
    writer.put(4, &made.subjects[0], &[made.volume(0).unwrap()], &made.mask(0).unwrap()).unwrap();
    let unfinished = |path: &Path| match status(path).unwrap() {
        Status::UnfinishedCohort(found) => *found,
        other => panic!("{other:?}"),
    };
    let found = unfinished(&path);
    assert_eq!((found.prepared, found.planned, found.shape), (1, Some(6), Some(SHAPE)));
    assert!(matches!(found.at_work, Occupied::AtWork(_)) && found.command() == Some("prepare"));
    drop(writer);
    // By both of its names.
    let partial = CohortLayout::at(&path).partial();
    assert_eq!(unfinished(&path).path, partial);
    assert_eq!(unfinished(&partial).at_work, Occupied::Nobody);
    // Its plan was damaged: what is there is said.
    std::fs::write(partial.join("plan.json"), "{").unwrap();
    assert_eq!(unfinished(&path).begun_with, None);
}

#[test]
fn of_a_table_and_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rows: String =
        (0..40).map(|n| format!("p{n},{},{},{}\n", ["a", "b"][n % 2], n % 2 * 3 + n % 7, n * 7 % 11)).collect();
    std::fs::write(at("t.csv"), format!("sub_id,group,left,right\n{rows}")).unwrap();
    let options = TrainOptions { label: "group".into(), ..TrainOptions::default() };
    train_table(&at("t.csv"), &options, &at("out"), false, &engine(1), &Silent).unwrap();
    let of_table = || match status(&at("out")).unwrap() {
        Status::Table(found) => *found,
        other => panic!("{other:?}"),
    };
    let found = of_table();
    assert_eq!((found.columns, found.left_out, found.label.as_deref()), (2, 0, Some("group")));
    assert!(found.table_problem.is_none() && found.metrics.unwrap().counts() && !found.headline.is_empty());
    assert_eq!(next(&at("out")), None);
    // Stopped before its end, and the table was changed.
    std::fs::remove_file(at("out/metrics.json")).unwrap();
    std::fs::write(at("t.csv"), "sub_id,group,left\n").unwrap();
    assert_eq!(of_table().table_problem.as_deref(), Some("was changed since"));
    assert!(next(&at("out")).unwrap().starts_with("train "));

    let error = |path: &Path| status(path).unwrap_err().to_string();
    std::fs::create_dir(at("empty")).unwrap();
    assert!(error(&at("empty")).contains("neither a run nor a cohort"));
    assert!(error(&at("none")).contains("is not there"));
    assert!(error(&at("t.csv")).contains("is a file"));
    let claim = Claim::take(&at("empty"), "train", &Silent).unwrap();
    assert!(error(&at("empty")).contains("voxplain train (process"));
    drop(claim);
}

#[test]
fn what_status_reads_it_does_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let before = all(folder.path());
    for path in [&run.path, &folder.path().join("cohort")] {
        status(path).unwrap();
    }
    assert_eq!(all(folder.path()), before);
    Run::open(&run.path).unwrap();
}

/// Every file below a folder with when it was written.
fn all(folder: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
            files.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
        }
    }
    files.sort();
    files
}
