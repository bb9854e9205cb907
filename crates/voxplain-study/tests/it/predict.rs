//! Predictions for people who were not trained on: those of the run itself where it held them out, and refusals.

use crate::support::engine;
use std::path::Path;
use voxplain_core::{Silent, Table};
use voxplain_study::{
    cohort::Cohort,
    folds::SplitScheme,
    predict::{ExternallyTested, Models, People, PredictOptions, Predictions, predict, predict_test_set},
    run::Run,
    simulate::{Effect, SimulateOptions, simulate},
    train::{TrainOptions, train},
};

fn simulated(path: &Path, subjects: usize, seed: u64) -> Cohort {
    let options = SimulateOptions {
        subjects,
        shape: [22, 28, 22],
        spacing: 7.0,
        effects: vec![Effect { region: "left-lateral-ventricle".into(), change: 0.8 }],
        size_effect: 0.05,
        seed,
        ..SimulateOptions::default()
    };
    simulate(path, &options, false, &Silent).unwrap()
}

fn trained(cohort: &Cohort, out: &Path, label: &str, split: SplitScheme) -> Run {
    let options = TrainOptions { label: label.into(), epochs: 2, width: Some(1), split, ..TrainOptions::default() };
    train(cohort, &options, out, false, &engine(2), &Silent, &Silent).unwrap().run
}

fn ask_of(run: &Run, cohort: &Cohort, ids: &[&str]) -> Predictions {
    let subjects = Some(ids.iter().map(|id| (*id).to_owned()).collect());
    ask(run, cohort, &PredictOptions { subjects, ..PredictOptions::default() }).unwrap()
}

fn ask(run: &Run, cohort: &Cohort, options: &PredictOptions) -> voxplain_core::Result<Predictions> {
    predict(Models::Run(run), &People::Cohort(cohort), options, &engine(2), &Silent)
}

/// Of a hold-out, whose one model was trained on the others alone, the answers for those held out are the run's own, and so are those of
/// its baselines, which are fitted anew.
#[test]
fn answers_for_those_held_out_are_the_runs_own() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = simulated(&folder.path().join("cohort"), 24, 3);
    let run = trained(&cohort, &folder.path().join("run"), "label", SplitScheme::Holdout(0.34));
    let own = run.predictions().unwrap();
    let options = PredictOptions {
        subjects: Some(own.iter().map(|p| p.participant_id.clone()).collect()),
        ..PredictOptions::default()
    };
    let made = ask(&run, &cohort, &options).unwrap();
    assert!(made.failures.is_empty() && made.people.len() == own.len());
    for (answer, own) in made.people.iter().zip(&own) {
        assert_eq!((&answer.participant_id, answer.truth.as_ref()), (&own.participant_id, Some(&own.truth)));
        assert_eq!((&answer.predicted, answer.in_sample, answer.spread.len()), (&own.predicted, Some(false), 0));
        assert!(answer.mean.iter().zip(&own.probabilities).all(|(a, b)| (a - b).abs() < 1e-6), "{answer:?} {own:?}");
    }
    let Some(ExternallyTested::Classes(tested)) = &made.tested else { panic!("{made:?}") };
    let metrics = run.metrics().unwrap().unwrap();
    assert_eq!(tested.metrics.positive, metrics.positive);
    for ours in &tested.metrics.classifiers {
        // The rank is among all people here.
        if ours.classifier == "mask-volume-rank" {
            continue;
        }
        let there = metrics.of(&ours.classifier).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-5;
        assert!(close(ours.classification.brier.value, there.brier.value), "{}", ours.classifier);
        assert_eq!(ours.classification.confusion, there.confusion, "{}", ours.classifier);
    }
    assert_eq!(tested.metrics.classifiers.len(), metrics.classifiers.len());
    assert_eq!(tested.out_of_fold.as_ref(), metrics.of("cnn"));
    // Everyone else was trained on: refused, or marked and counted in nothing.
    let all = ask(&run, &cohort, &PredictOptions::default()).unwrap();
    assert_eq!((all.people.len(), all.failures.len()), (own.len(), 24 - own.len()));
    let marked = ask(&run, &cohort, &PredictOptions { in_sample: true, ..PredictOptions::default() }).unwrap();
    assert_eq!(marked.people.iter().filter(|answer| answer.in_sample == Some(true)).count(), 24 - own.len());
    let Some(ExternallyTested::Classes(counted)) = &marked.tested else { panic!() };
    assert_eq!(counted.metrics.classifiers[0].classification, tested.metrics.classifiers[0].classification);
    // The table and what was tested.
    let out = folder.path().join("p.tsv");
    made.write(&out).unwrap();
    let table = Table::read(&out).unwrap();
    let columns = ["participant_id", "truth", "predicted", "p_case", "p_control", "in_sample"];
    assert_eq!((table.columns, table.rows.len()), (columns.map(String::from).to_vec(), own.len()));
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.with_extension("json")).unwrap()).unwrap();
    assert_eq!(document["metrics"]["judgements"][0]["classifier"], "cnn");
}

/// Other people: the mean of all folds, words in the models' language, and what is missing.
#[test]
fn other_people_are_tested_in_the_words_of_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = trained(&simulated(&at("own"), 24, 3), &at("run"), "label", SplitScheme::Folds(3));
    let mut other = simulated(&at("other"), 12, 9);
    let plain = ask(&run, &other, &PredictOptions::default()).unwrap();
    // The mean over the models, each asked alone.
    for answer in &plain.people {
        let alone: Vec<f64> = (0..3)
            .map(|fold| {
                let model = run.model(fold).unwrap().model;
                let options =
                    PredictOptions { subjects: Some(vec![answer.participant_id.clone()]), ..PredictOptions::default() };
                let made =
                    predict(Models::One(&model), &People::Cohort(&other), &options, &engine(1), &Silent).unwrap();
                made.people[0].mean[0]
            })
            .collect();
        assert!((alone.iter().sum::<f64>() / 3.0 - answer.mean[0]).abs() < 1e-12);
        let mean = alone.iter().sum::<f64>() / 3.0;
        let squares = alone.iter().map(|p| (p - mean).powi(2)).sum::<f64>();
        assert!(((squares / 2.0).sqrt() - answer.spread[0]).abs() < 1e-12);
    }
    assert!(
        plain.notes.iter().any(|note| note.contains("12 ids are such as people of the run's own cohort have")),
        "{:?}",
        plain.notes
    );
    // People of one class: nothing is told apart, and accuracy stands beside accuracy.
    let one_class = ask_of(&run, &other, &["001", "003", "005"]);
    let Some(ExternallyTested::Classes(alone)) = &one_class.tested else { panic!() };
    let words = alone.metrics.summary.join(" ");
    assert!(
        words.starts_with("All of these 3 subjects are control:") && alone.metrics.comparisons.is_empty(),
        "{words}"
    );
    let accuracy = run.metrics().unwrap().unwrap().of("cnn").unwrap().accuracy.value;
    assert!(words.contains(&format!("in the run, it was {accuracy:.2} (")), "{words}");
    let label = other.participants.column("label").unwrap();
    let word = |cell: &str| if cell == "case" { "patient" } else { "healthy" };
    for row in &mut other.participants.rows {
        row[label] = row[label].as_deref().map(|cell| word(cell).to_owned());
    }
    other.participants.rows[0][label] = None;
    let error = ask(&run, &other, &PredictOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`healthy` (5 rows), `patient` (6 rows)"), "{error}");
    let named = |pairs: &[(&str, &str)]| PredictOptions {
        rename: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ..PredictOptions::default()
    };
    let renamed = ask(&run, &other, &named(&[("patient", "case"), ("healthy", "control")])).unwrap();
    let Some(ExternallyTested::Classes(tested)) = &renamed.tested else { panic!() };
    assert_eq!((tested.metrics.classifiers[0].classification.subjects, renamed.people.len()), (11, 12));
    assert!(renamed.people[0].truth.is_none() && renamed.people[0].mean == plain.people[0].mean);
    assert_eq!(tested.metrics.classifiers.len(), 7);
    let wrong = ask(&run, &other, &named(&[("patient", "case"), ("healthy", "control"), ("ill", "case")])).unwrap_err();
    assert!(wrong.to_string().contains("no cell of the column label holds `ill`"), "{wrong}");
    // Baselines are not fitted on labels that were changed since.
    let mut own = Cohort::open(&at("own")).unwrap();
    own.participants.rows[0][label] = Some("case".into());
    own.participants.write_tsv(&own.layout().participants()).unwrap();
    let without = ask(&run, &other, &named(&[("patient", "case"), ("healthy", "control")])).unwrap();
    let Some(ExternallyTested::Classes(without)) = &without.tested else { panic!() };
    assert_eq!(without.metrics.classifiers.len(), 1);
    other.participants.columns[label] = "Label".into();
    let untold = ask(&run, &other, &PredictOptions::default()).unwrap();
    assert!(untold.tested.is_none());
    assert!(
        untold.notes.iter().any(|note| note.contains("no column label (but Label, which can be named)")),
        "{:?}",
        untold.notes
    );
}

/// Of a value: the mean of the models, errors beside the baselines, and R2 beside the mean that was trained on.
#[test]
fn values_of_other_people() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let own = simulated(&at("own"), 24, 3);
    let run = trained(&own, &at("run"), "age", SplitScheme::Folds(3));
    let other = simulated(&at("other"), 12, 9);
    let made = ask(&run, &other, &PredictOptions::default()).unwrap();
    let Some(ExternallyTested::Value(tested)) = &made.tested else { panic!("{made:?}") };
    let ages: Vec<f64> = other.column("age").unwrap().iter().map(|cell| cell.unwrap().parse().unwrap()).collect();
    let errors = made.people.iter().zip(&ages).map(|(answer, age)| (answer.mean[0] - age).abs());
    let mae = errors.sum::<f64>() / 12.0;
    let cnn = tested.metrics.of("cnn").unwrap();
    assert!((cnn.mae.value - mae).abs() < 1e-9);
    // The mean of the folds' means is that of all, where each person is trained on in two of three folds.
    let mean = own.column("age").unwrap().iter().map(|cell| cell.unwrap().parse::<f64>().unwrap()).sum::<f64>() / 24.0;
    let of_mean = ages.iter().map(|age| (age - mean).abs()).sum::<f64>() / 12.0;
    assert!((tested.metrics.of("training-mean").unwrap().mae.value - of_mean).abs() < 1e-9);
    let squares = |said: &dyn Fn(usize) -> f64| (0..12).map(|n| (said(n) - ages[n]).powi(2)).sum::<f64>();
    let r2 = 1.0 - squares(&|n| made.people[n].mean[0]) / squares(&|_| mean);
    assert!((cnn.r2.as_ref().unwrap().value - r2).abs() < 1e-9, "{cnn:?}");
    assert_eq!(tested.metrics.predictors.len(), 5);
    assert!(tested.out_of_fold.is_some());
}

/// Whoever is in the test set is in no fold, is asked about once, and the time is kept.
#[test]
fn a_test_set_is_asked_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut cohort = simulated(&at("cohort"), 24, 3);
    cohort.participants.columns.push("site".into());
    let site = |n: usize| if n < 16 { "A" } else { "B" };
    cohort.participants.rows.iter_mut().enumerate().for_each(|(n, row)| row.push(Some(site(n).into())));
    cohort.participants.write_tsv(&cohort.layout().participants()).unwrap();
    let options = |set: &str| TrainOptions {
        label: "label".into(),
        epochs: 1,
        width: Some(1),
        split: SplitScheme::Folds(2),
        test: Some(set.parse().unwrap()),
        ..TrainOptions::default()
    };
    let tried = |cohort: &Cohort, set: &str, out: &str| {
        train(cohort, &options(set), &at(out), false, &engine(2), &Silent, &Silent).map(|made| made.run)
    };
    let run = tried(&cohort, "site=B", "run").unwrap();
    assert_eq!(run.predictions().unwrap().len(), 16);
    assert_eq!(run.manifest.test.as_ref().unwrap().subjects.len(), 8);
    for fold in 0..2 {
        let split = run.split(fold).unwrap();
        assert!(split.train.iter().chain(&split.test).all(|n| *n < 16));
    }
    let ask = |again| predict_test_set(&run, &PredictOptions::default(), again, &engine(2), &Silent);
    let made = ask(false).unwrap();
    assert_eq!((made.people.len(), made.asked.len(), made.failures.len()), (8, 1, 0));
    let Some(ExternallyTested::Classes(tested)) = &made.tested else { panic!() };
    assert_eq!((tested.metrics.classifiers[0].classification.subjects, tested.metrics.classifiers.len()), (8, 7));
    let refused = ask(false).unwrap_err().to_string();
    assert!(
        refused.contains("the test set (site = B) was asked about already, on ") && refused.contains("GMT"),
        "{refused}"
    );
    assert_eq!(ask(true).unwrap().asked.len(), 2);
    assert!(run.layout().test_predictions().is_file());
    // By another way they are not asked about.
    let by_cohort = ask_of(&run, &cohort, &["017"]);
    assert!(
        by_cohort.people.is_empty() && by_cohort.failures[0].error.contains("is in the test set of the run"),
        "{by_cohort:?}"
    );
    // A run that takes the place of this one knows that it was asked.
    let anew = TrainOptions { seed: 1, ..options("site=B") };
    let replaced = train(&cohort, &anew, &at("run"), true, &engine(2), &Silent, &Silent).unwrap().run;
    assert_eq!(replaced.manifest.test.as_ref().unwrap().asked_before.len(), 2);
    let third = predict_test_set(&replaced, &PredictOptions::default(), false, &engine(2), &Silent).unwrap();
    assert!(
        third.asked.len() == 3 && third.notes.iter().any(|note| note.contains("asked about 3 times")),
        "{:?}",
        third.notes
    );
    // Nor does training begin from a model that knows them.
    let theirs = tried(&cohort, "site=A", "theirs");
    let theirs = theirs.unwrap_or_else(|e| panic!("{e}"));
    let from = TrainOptions { init: Some(theirs.layout().fold(0).model()), ..options("site=B") };
    let error = train(&cohort, &from, &at("none"), false, &engine(2), &Silent, &Silent).unwrap_err().to_string();
    assert!(error.contains("of the test set"), "{error}");
    // What cannot be one.
    for (set, words) in [
        ("label=case", "a class of the label itself"),
        ("site=C", "which nobody of the 24 subjects has; the column holds A, B"),
        ("place=A", "place"),
    ] {
        let error = tried(&cohort, set, "none").unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(!at("none").exists());
    // A person on both sides.
    cohort.participants.columns.push("person".into());
    let person = |n: usize| format!("p{}", if n == 20 { 2 } else { n });
    cohort.participants.rows.iter_mut().enumerate().for_each(|(n, row)| row.push(Some(person(n))));
    let error = tried(&cohort, "site=B", "none").unwrap_err().to_string();
    assert!(error.contains("in the test set (site = B) and in training: 003 and 021"), "{error}");
}
