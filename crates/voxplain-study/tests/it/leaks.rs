//! What must not be on both sides of a split: copies of an image, the test set, people of whom the table does not say.

use crate::support::engine;
use std::path::Path;
use voxplain_attribution::choose;
use voxplain_core::{Silent, Table};
use voxplain_study::{
    cohort::{Cohort, Subject},
    explain::{ExplainOptions, Inputs, explain},
    folds::SplitScheme,
    model::Model,
    predict::{Models, People, PredictOptions, Predictions, predict, predict_test_set},
    run::Run,
    simulate::{SimulateOptions, simulate},
    train::{Copies, TrainOptions, train},
};
use voxplain_volume::{Mask, Volume};

const PEOPLE: usize = 12;

/// What makes a copy of an image.
type Change = dyn Fn(Volume, Mask) -> (Volume, Mask);

/// Twelve simulated people, with these columns, and copies of some of them behind.
fn cohort(
    folder: &Path,
    name: &str,
    copies: &[(usize, &Change)],
    columns: &[(&str, &dyn Fn(usize) -> &'static str)],
) -> Cohort {
    let made = folder.join("simulated");
    let options = SimulateOptions { subjects: PEOPLE, shape: [26, 30, 24], spacing: 6.5, ..SimulateOptions::default() };
    let own = simulate(&made, &options, true, &Silent).unwrap();
    let mut people: Vec<(Subject, Volume, Mask)> =
        (0..PEOPLE).map(|n| (own.subjects[n].clone(), own.volume(n).unwrap(), own.mask(n).unwrap())).collect();
    let mut from: Vec<usize> = (0..PEOPLE).collect();
    for (n, copy) in copies {
        let (volume, mask) = copy(own.volume(*n).unwrap(), own.mask(*n).unwrap());
        people.push((Subject::new(format!("copy{n}"), &volume, &mask), volume, mask));
        from.push(*n);
    }
    let label = |n: usize| Some(if n % 2 == 1 { "case" } else { "control" }.to_owned());
    let rows = from.iter().enumerate().map(|(at, &n)| {
        let cell = |of: &dyn Fn(usize) -> &'static str| Some(of(at).to_owned()).filter(|cell| !cell.is_empty());
        std::iter::once(label(n)).chain(columns.iter().map(|(_, of)| cell(of))).collect()
    });
    let names = std::iter::once("label").chain(columns.iter().map(|(name, _)| *name)).map(str::to_owned);
    let table = Table { columns: names.collect(), rows: rows.collect() };
    Cohort::write(&folder.join(name), &own.preparation, &table, &people).unwrap()
}

fn options() -> TrainOptions {
    TrainOptions {
        label: "label".into(),
        epochs: 1,
        width: Some(1),
        split: SplitScheme::Folds(2),
        ..TrainOptions::default()
    }
}

fn trained(cohort: &Cohort, options: &TrainOptions, out: &Path) -> voxplain_core::Result<Run> {
    train(cohort, options, out, false, &engine(2), &Silent, &Silent).map(|made| made.run)
}

/// Darker, brighter, and a voxel to the right.
fn changed(volume: Volume, mask: Mask) -> (Volume, Mask) {
    let moved = |i: usize| i.saturating_sub(1);
    let values = Volume::from_fn(*volume.grid(), |[i, j, k]| 1.7 * volume.at(moved(i), j, k) + 0.3);
    let mask = Volume::from_fn(*mask.grid(), |[i, j, k]| mask.at(moved(i), j, k));
    (Volume::from_fn(*values.grid(), |[i, j, k]| if mask.at(i, j, k) { values.at(i, j, k) } else { 0.0 }), mask)
}

#[test]
fn a_copy_is_refused_by_both_names_unless_one_goes_on_knowingly() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Who is in which fold follows from the seed: one of these divides the two.
    let with = cohort(
        folder.path(),
        "with",
        &[(4, &changed)],
        &[("who", &|n| {
            if n == 4 || n == PEOPLE { "x" } else { ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"][n] }
        })],
    );
    let divided = (0..8).find_map(|seed| {
        let options = TrainOptions { seed, ..options() };
        trained(&with, &options, &at(&format!("run{seed}"))).err().map(|error| (options, error))
    });
    let (options, error) = divided.expect("a seed that divides the two");
    let what = error.to_string();
    assert!(
        what.contains("so alike that they may be one person") && what.contains("005 and copy4 (likeness 1.00)"),
        "{what}"
    );
    assert!(error.remedy().unwrap().to_string().contains("`near-duplicates` = warn"), "{:?}", error.remedy());
    assert!(!at(&format!("run{}", options.seed)).exists());
    let run =
        trained(&with, &TrainOptions { near_duplicates: Copies::Warn, ..options.clone() }, &at("warned")).unwrap();
    let record = Run::open(&run.path).unwrap().manifest.near_duplicates.unwrap();
    assert_eq!((record.people, record.pairs.len(), record.asked), (PEOPLE + 1, 1, Copies::Warn));
    assert_eq!((record.pairs[0].one.as_str(), record.pairs[0].other.as_str()), ("005", "copy4"));
    let run = trained(&with, &TrainOptions { near_duplicates: Copies::Off, ..options.clone() }, &at("unseen")).unwrap();
    assert_eq!(run.manifest.near_duplicates.unwrap().limit, None);
    // In one group they are on one side.
    let grouped = TrainOptions { group: Some("who".into()), ..options };
    let run = trained(&with, &grouped, &at("grouped")).unwrap();
    let record = run.manifest.near_duplicates.unwrap();
    assert!(record.pairs.is_empty() && record.limit.is_some() && record.next.unwrap().likeness < 0.6);
}

#[test]
fn a_copy_in_the_test_set_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let site = |n: usize| if n >= PEOPLE - 2 { "B" } else { "A" };
    let with = cohort(folder.path(), "with", &[(4, &changed)], &[("site", &site)]);
    let set = TrainOptions { test: Some("site=B".parse().unwrap()), ..options() };
    let error = trained(&with, &set, &folder.path().join("run")).unwrap_err().to_string();
    assert!(error.contains("005 and copy4"), "{error}");
}

#[test]
fn the_test_set_is_known_to_every_model_and_every_cell() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Of the last two the table does not say where they were scanned; sites are numbers of a spreadsheet.
    let site = |n: usize| if n >= 10 { "" } else { ["1.0", "2.0"][usize::from(n >= 8)] };
    let held = |n: usize| if n >= 8 { "yes" } else { "" };
    let own = cohort(folder.path(), "own", &[], &[("site", &site), ("held", &held)]);
    let set = |text: &str, keep_going| TrainOptions { test: Some(text.parse().unwrap()), keep_going, ..options() };
    let error = trained(&own, &set("site=2", false), &at("run")).unwrap_err();
    assert!(
        error.to_string().contains("2 of 12 subjects have no site") && error.to_string().contains("sub-011, sub-012"),
        "{error}"
    );
    let run = trained(&own, &set("site=2", true), &at("run")).unwrap();
    let test = run.manifest.test.clone().unwrap();
    assert_eq!(
        (test.subjects.join(" "), run.manifest.left_out["site"].join(" ")),
        ("009 010".into(), "011 012".into())
    );
    assert_eq!(run.members().unwrap().len(), 8);
    // A column in which the test set alone is marked says of all others that they are not in it.
    let marked = trained(&own, &set("held=yes", false), &at("marked")).unwrap();
    assert_eq!((marked.manifest.test.as_ref().unwrap().subjects.len(), marked.members().unwrap().len()), (4, 8));
    // The model of a fold by itself, also where its file lies elsewhere, does not answer for the test set.
    let file = at("model.safetensors");
    std::fs::copy(run.layout().fold(0).model(), &file).unwrap();
    let model = Model::read(&file).unwrap();
    let ask = |ids: &[&str]| {
        let subjects = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        let options = PredictOptions { subjects, ..PredictOptions::default() };
        predict(Models::One(&model), &People::Cohort(&own), &options, &engine(2), &Silent).unwrap()
    };
    let refused = ask(&["009", "011"]);
    assert_eq!((refused.people.len(), refused.people[0].participant_id.as_str()), (1, "011"));
    assert!(refused.failures[0].error.contains("is in the test set (site = 2)"), "{:?}", refused.failures);
    // Nor is anybody of it explained before the test; thereafter the run explains them by name.
    let methods = || choose::<&str>(&["saliency"], &[], None).unwrap();
    let explained = |inputs: Inputs<'_>, out: &str| {
        let (subjects, out) = (Some(vec!["009".to_owned()]), Some(at(out)));
        let options = ExplainOptions { methods: methods(), subjects, out, ..ExplainOptions::default() };
        explain(&engine(2), inputs, &options, &Silent)
    };
    let early = explained(Inputs::Run(&run), "early").unwrap_err();
    assert!(
        early.to_string().contains("009: is in the test set (site = 2), about which the run was not asked"),
        "{early}"
    );
    let by_model = explained(Inputs::Cohort(&model, &own), "by_model").unwrap();
    assert!(by_model.failures[0].error.contains("is in the test set (site = 2)"), "{by_model:?}");
    predict_test_set(&run, &PredictOptions::default(), false, &engine(2), &Silent).unwrap();
    let after = explained(Inputs::Run(&run), "after").unwrap();
    assert!(after.failures.is_empty() && at("after/sub-009").is_dir(), "{after:?}");
    // One number in two spellings may be two things.
    let site = |n: usize| ["1", "01", "2"][n % 3];
    let twice = cohort(folder.path(), "twice", &[], &[("site", &site)]);
    let error = trained(&twice, &set("site=1", false), &at("none")).unwrap_err().to_string();
    assert!(error.contains("writes that number in several ways: `01`, `1`"), "{error}");
}

#[test]
fn one_image_under_several_ids_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let own = cohort(folder.path(), "own", &[], &[]);
    let run = trained(&own, &options(), &folder.path().join("run")).unwrap();
    let options =
        SimulateOptions { subjects: 4, shape: [26, 30, 24], spacing: 6.5, seed: 9, ..SimulateOptions::default() };
    let other = simulate(&folder.path().join("other"), &options, false, &Silent).unwrap();
    let people: Vec<(Subject, Volume, Mask)> = [0, 1, 2, 3, 1]
        .iter()
        .enumerate()
        .map(|(at, &n)| {
            let (volume, mask) = (other.volume(n).unwrap(), other.mask(n).unwrap());
            (Subject::new(format!("new{at}"), &volume, &mask), volume, mask)
        })
        .collect();
    let rows = (0..5).map(|n| vec![Some(if n % 2 == 0 { "control" } else { "case" }.to_owned())]).collect();
    let table = Table { columns: vec!["label".into()], rows };
    let twice = Cohort::write(&folder.path().join("twice"), &other.preparation, &table, &people).unwrap();
    let ask = |people: &Cohort| {
        predict(Models::Run(&run), &People::Cohort(people), &PredictOptions::default(), &engine(2), &Silent).unwrap()
    };
    let said = |made: &Predictions| made.notes.iter().any(|note| note.contains("new1 and new4"));
    assert!(said(&ask(&twice)) && !said(&ask(&other)));
}

#[test]
fn folds_are_balanced_by_covariates() {
    let folder = tempfile::tempdir().unwrap();
    let site = |n: usize| ["A", "A", "B", "B"][n % 4];
    let code = |n: usize| ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"][n];
    let own = cohort(folder.path(), "own", &[], &[("site", &site), ("one", &|_| "1"), ("code", &code)]);
    let asked =
        |columns: &[&str]| TrainOptions { stratify: columns.iter().map(|c| (*c).to_owned()).collect(), ..options() };
    for seed in 0..4 {
        let options = TrainOptions { seed, ..asked(&["site"]) };
        let run = trained(&own, &options, &folder.path().join(format!("run{seed}"))).unwrap();
        for fold in 0..2 {
            let held = run.split(fold).unwrap().test;
            let count = |want: &dyn Fn(usize) -> bool| held.iter().filter(|n| want(**n)).count();
            // Three of each class and three of each site; a class is of six, a site too.
            assert_eq!((count(&|n| n % 2 == 0), count(&|n| site(n) == "A")), (3, 3), "seed {seed} fold {fold}");
        }
    }
    for (columns, words) in [
        (&["label"][..], "balanced by the label, label, anyway"),
        (&["one"], "one value, 1, for everybody"),
        (&["site", "site"], "named twice"),
        (&["code"], "nearly everybody has another one"),
        (&["place"], "place"),
    ] {
        let error = trained(&own, &asked(columns), &folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Other people are answered for; a copy of one of the run's, in other intensities and moved, is not, unless one goes on knowingly.
#[test]
fn a_copy_of_one_of_the_runs_people_is_not_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    let own = cohort(folder.path(), "own", &[], &[]);
    let run = trained(&own, &options(), &folder.path().join("run")).unwrap();
    // Others, and behind them a copy of one of the run's people and one of one of the others.
    let made = folder.path().join("others");
    let simulation =
        SimulateOptions { subjects: 5, shape: [26, 30, 24], spacing: 6.5, seed: 77, ..SimulateOptions::default() };
    let others = simulate(&made, &simulation, true, &Silent).unwrap();
    let mut people: Vec<(Subject, Volume, Mask)> = (0..5)
        .map(|n| {
            let (volume, mask) = (others.volume(n).unwrap(), others.mask(n).unwrap());
            (Subject::new(format!("other{n}"), &volume, &mask), volume, mask)
        })
        .collect();
    let scaled = |of: &Cohort, n: usize| {
        let volume = of.volume(n).unwrap();
        let mask = of.mask(n).unwrap();
        (Volume::new(*volume.grid(), volume.data().iter().map(|v| 1.3 * v + 0.01).collect()).unwrap(), mask)
    };
    for (id, of, n) in [("known", &own, 4), ("twice", &others, 2)] {
        let (volume, mask) = scaled(of, n);
        people.push((Subject::new(id, &volume, &mask), volume, mask));
    }
    let label = |n: usize| vec![Some(if n % 2 == 1 { "case" } else { "control" }.to_owned())];
    let table = Table { columns: vec!["label".into()], rows: (0..people.len()).map(label).collect() };
    let asked = Cohort::write(&folder.path().join("asked"), &own.preparation, &table, &people).unwrap();
    let ask = |options: PredictOptions| {
        predict(Models::Run(&run), &People::Cohort(&asked), &options, &engine(2), &Silent).unwrap()
    };
    let refused = ask(PredictOptions::default());
    let failures: Vec<(&str, &str)> =
        refused.failures.iter().map(|f| (f.participant_id.as_str(), f.error.as_str())).collect();
    assert_eq!((refused.people.len(), failures.len(), failures[0].0), (6, 1, "known"), "{failures:?}");
    let of = &own.subjects[4].id;
    assert!(failures[0].1.contains(&format!("so like {of} of the run's own people (likeness 1.00)")), "{failures:?}");
    let among = |made: &Predictions| made.notes.iter().any(|note| note.contains("other2 and twice (likeness 1.00)"));
    assert!(among(&refused), "{:?}", refused.notes);
    let warned = ask(PredictOptions { near_duplicates: Copies::Warn, ..PredictOptions::default() });
    assert!(warned.failures.is_empty() && among(&warned));
    let note = warned.notes.iter().find(|note| note.contains(&format!("{of} and known"))).unwrap();
    assert!(note.contains("what is said of them is no evidence; they count in the metrics"), "{note}");
    let off = ask(PredictOptions { near_duplicates: Copies::Off, ..PredictOptions::default() });
    assert!(off.failures.is_empty() && !off.notes.iter().any(|note| note.contains("likeness")), "{:?}", off.notes);
    // The run's own people are themselves.
    let held_out = predict(
        Models::Run(&run),
        &People::Cohort(&own),
        &PredictOptions { in_sample: true, ..PredictOptions::default() },
        &engine(2),
        &Silent,
    );
    assert!(!held_out.unwrap().notes.iter().any(|note| note.contains("likeness")));
}
