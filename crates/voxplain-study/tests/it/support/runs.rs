//! A run that is small enough to be made in a moment.

use super::{SHAPE, engine, grid, linear, volume};
use std::path::Path;
use voxplain_attribution::{Score, choose};
use voxplain_core::{Silent, Table};
use voxplain_nn::Network;
use voxplain_study::{
    cohort::{Cohort, Normalize, Placement, Preparation, Subject},
    explain::{ExplainOptions, ExplainSummary, Inputs, explain},
    folds::Split,
    model::{Card, Model, Task},
    run::{CohortPlace, Manifest, Prediction, Run, RunLayout, cohort_hash, write_predictions},
};
use voxplain_volume::{Mask, Volume};

/// A brain of 378 of the 504 voxels, none of them on the outer faces along i.
pub(crate) fn brain() -> Mask {
    Mask::from_fn(grid(SHAPE), |[i, j, k]| (1..7).contains(&i) && (i + j + k) % 21 != 0 || (i == 1 && j == 0))
}

/// A linear network; another one for every number.
pub(crate) fn network(number: usize) -> Network {
    linear(|[i, j, k]| 0.004 * ((i * 5 + j * 3 + k * 7 + number) % 9) as f32 - 0.016)
}

/// A cohort of four people in `folder/cohort`; another one for every number.
pub(crate) fn cohort(folder: &Path, number: usize) -> Cohort {
    let people: Vec<(Subject, Volume, Mask)> = (0..4)
        .map(|n| {
            let (image, mask) = (volume(SHAPE, n + 4 * number), brain());
            (Subject::new(format!("p{n}"), &image, &mask), image, mask)
        })
        .collect();
    let preparation = Preparation {
        template: None,
        whole_head: false,
        channels: Vec::new(),
        shape: SHAPE,
        spacing: [3.0; 3],
        normalize: Normalize::None,
        placement: Placement::Fixed(grid(SHAPE)),
    };
    let rows = (0..4).map(|n| vec![Some(classes()[n % 2].clone())]).collect();
    let participants = Table { columns: vec!["sex".into()], rows };
    Cohort::write(&folder.join("cohort"), &preparation, &participants, &people).unwrap()
}

fn classes() -> Vec<String> {
    vec!["female".to_owned(), "male".to_owned()]
}

/// Writes the model of fold 0, trained on the first two people.
pub(crate) fn write_model(run: RunLayout<'_>, cohort: &Cohort, number: usize) {
    let card = Card {
        architecture: "linear".into(),
        task: Task::classes_named(classes()),
        label: "sex".into(),
        preparation: cohort.preparation.clone(),
        grid_unknown: false,
        sealed: true,
        trained_on: cohort.subjects[..2].iter().map(|s| s.hash.clone()).collect(),
        training: serde_json::Value::Null,
    };
    let files = run.fold(0);
    std::fs::create_dir_all(files.folder()).unwrap();
    Model { network: network(number), card }.write(&files.model()).unwrap();
}

/// A run in `folder/run` of the cohort in `folder/cohort`, two of whose people were held out, with maps of two methods of them.
pub(crate) fn small_run(folder: &Path) -> Run {
    let cohort = cohort(folder, 0);
    let path = folder.join("run");
    let layout = RunLayout::at(&path);
    write_model(layout, &cohort, 0);
    let json = |path, value: serde_json::Value| std::fs::write(path, value.to_string()).unwrap();
    let split = Split { train: vec![0, 1], test: vec![2, 3] };
    json(layout.fold(0).split(), serde_json::to_value(split).unwrap());
    let manifest = Manifest {
        version: "test".into(),
        cohort: CohortPlace::new(&path, &cohort.path).unwrap(),
        cohort_hash: cohort_hash(&cohort),
        label: "sex".into(),
        task: Task::classes_named(classes()),
        folds: 1,
        seed: 4,
        options: serde_json::Value::Null,
        test: None,
        left_out: Default::default(),
        soft_labels: Vec::new(),
        near_duplicates: None,
    };
    let run = Run::create(&path, manifest, &serde_json::json!({})).unwrap();
    let predictions: Vec<Prediction> = [("p2", "female"), ("p3", "male")]
        .map(|(id, truth)| Prediction {
            participant_id: id.into(),
            fold: 0,
            truth: truth.into(),
            predicted: "male".into(),
            probabilities: vec![0.25, 0.75],
        })
        .to_vec();
    write_predictions(&layout.predictions(), &classes(), &predictions).unwrap();
    let made = explain_run(&run, &["saliency", "input-x-gradient"]);
    assert!(made.failures.is_empty() && made.maps.len() == 4);
    run
}

/// Explains the held-out of a run by these methods.
pub(crate) fn explain_run(run: &Run, methods: &[&str]) -> ExplainSummary {
    let options = ExplainOptions {
        methods: choose(methods, &[] as &[&str], None).unwrap(),
        target: None,
        score: Score::Logit,
        compat: None,
        atlas: None,
        out: None,
        bids: false,
        subjects: None,
        shard: None,
        in_sample: false,
        force: false,
        where_possible: false,
        memory: None,
        no_native: false,
    };
    explain(&engine(1), Inputs::Run(run), &options, &Silent).unwrap()
}

/// Lets a file be as if it was last written two hours ago: of a process of another machine it is then known that it is gone.
pub(crate) fn long_ago(file: &Path) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(7200)).unwrap();
}
