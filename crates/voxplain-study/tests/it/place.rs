//! Where heads lie: those of a cohort, and those that a model takes.

use crate::support::{Heard, SHAPE, cohort, engine, grid, linear, volume};
use voxplain_attribution::{Score, choose};
use voxplain_core::Silent;
use voxplain_study::{
    cohort::{Placement, Preparation, Template},
    explain::{ExplainOptions, Inputs, explain},
    model::{Card, Model, Task},
    predict::{Models, People, PredictOptions, predict},
};
use voxplain_volume::{Sizes, WriteOptions, write};

/// Models and cohorts of every kind: each that does not fit is told in a warning, in the record of each map and beside each prediction;
/// of what fits nothing is said.
#[test]
fn heads_that_lie_otherwise_than_those_of_the_model_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut cohort = cohort(folder.path(), 0);
    let template = |name: &str, seed: usize| {
        let file = folder.path().join(name).join("brain.nii.gz");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        write(&file, &volume(SHAPE, seed), &WriteOptions::default()).unwrap();
        Template::new(&file, Sizes::Keep).unwrap()
    };
    let (one, other) = (template("one", 1), template("other", 2));
    let scaled = Template { sizes: Sizes::Remove, ..one.clone() };
    let kept = "heads turned to the template brain.nii.gz, each keeping its size";
    let fixed = Placement::Fixed(grid(SHAPE));
    let kinds = [
        (Placement::MaskCentre, None, "heads that lie as in the scanner, centred on each brain mask"),
        (fixed, None, "heads that lie as in their files, on one grid for all"),
        (fixed, Some(one), kept),
        (fixed, Some(other), kept),
        (fixed, Some(scaled), "heads turned to the template brain.nii.gz, and scaled to its size"),
    ];
    let prepared =
        |n: usize, of: &Preparation| Preparation { placement: kinds[n].0, template: kinds[n].1.clone(), ..of.clone() };
    let card = Card {
        architecture: "linear".into(),
        task: Task::classes_named(["female".into(), "male".into()]),
        label: "sex".into(),
        preparation: cohort.preparation.clone(),
        grid_unknown: false,
        sealed: true,
        trained_on: Default::default(),
        training: serde_json::Value::Null,
    };
    let mut model = Model { network: linear(|[i, ..]| 0.01 * i as f32), card };
    let request = |out: &str| ExplainOptions {
        methods: choose(&["saliency"], &[], None).unwrap(),
        target: Some("class:male".into()),
        score: Score::Logit,
        compat: None,
        atlas: None,
        out: Some(folder.path().join(out)),
        bids: false,
        subjects: Some(vec!["p0".into()]),
        shard: None,
        in_sample: false,
        force: true,
        memory: None,
        no_native: false,
        where_possible: false,
    };
    let told = |model: &Model, cohort: &_, words: &str| {
        let heard = Heard::default();
        let made = explain(&engine(1), Inputs::Cohort(model, cohort), &request("maps"), &heard).unwrap();
        let options = PredictOptions { subjects: Some(vec!["p0".into()]), ..PredictOptions::default() };
        let said = predict(Models::One(model), &People::Cohort(cohort), &options, &engine(1), &Silent).unwrap();
        let all = [
            heard.0.into_inner().unwrap().concat(),
            made.maps[0].warnings.join(" "),
            said.people[0].findings.join(" "),
        ];
        let told = all.clone().map(|text| text.contains(words));
        assert!(told == [told[0]; 3], "{words}: {all:?}");
        (told[0], all[0].clone())
    };
    for n in 0..kinds.len() {
        cohort.preparation = prepared(n, &cohort.preparation);
        for m in 0..kinds.len() {
            model.card.preparation = prepared(m, &cohort.preparation);
            // Of the templates one is another file.
            let another = [n, m].contains(&3) && n.min(m) >= 2 && n != m;
            let another = if another { " (another file of that name)" } else { "" };
            let words = format!("prepared from {}; the model takes {}{another}: what it says", kinds[n].2, kinds[m].2);
            let (is_told, heard) = told(&model, &cohort, &words);
            assert_eq!((is_told, heard.contains("the model takes heads")), (n != m, n != m), "{words}\n{heard}");
        }
    }
    // Imported by a version that did not ask: nothing is claimed.
    let told = |model: &Model, cohort: &_, words: &str| told(model, cohort, words).0;
    model.card.preparation = prepared(0, &cohort.preparation);
    model.card.training = serde_json::json!({"imported": true});
    assert!(told(&model, &cohort, "was not asked when an older version imported it"));
    assert!(!told(&model, &cohort, "the model takes heads that"));
    model.card.training = serde_json::json!({"imported": true, "placement_said": true});
    assert!(!told(&model, &cohort, "was not asked"));
    // What the people of an imported network were is not known, and not said.
    model.card.preparation.whole_head = true;
    assert!(told(&model, &cohort, "it is not known whether it was trained on brains inside masks as well"));
    assert!(!told(&model, &cohort, "never saw"));
    model.card.training = serde_json::Value::Null;
    assert!(told(&model, &cohort, "never saw an image of a brain inside a mask"));
    // Of a checkpoint nothing is known at all.
    model.card.grid_unknown = true;
    assert!(!told(&model, &cohort, "prepared from heads"));
}
