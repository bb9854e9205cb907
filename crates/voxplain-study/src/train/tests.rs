#![expect(clippy::cast_possible_truncation, reason = "values are drawn in f64 and held as the volumes are")]

use super::initial::InitialWeights;
use super::*;
use crate::model::mrinet;
use crate::run::{ChanceVerdict, RunLayout, ValueVerdict};
use crate::shard::Shard;
use crate::{
    cohort::{Begun, Normalize, Placement, Preparation, Subject, Writer},
    folds::{self, SplitScheme},
    model::{Card, Model, Task},
    run::Epoch,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use voxplain_core::{Error, Silent, Table, random::Seed};
use voxplain_nn::{EngineOptions, Network, Tensor};
use voxplain_stats::FoldScore;
use voxplain_volume::{Affine, Grid, Volume};

/// Brains of noise, with more in the middle for class `b`; families of two.
pub(super) fn cohort(folder: &Path, people: usize) -> Cohort {
    cohort_with(folder, people, |_, _| {})
}

/// The same, after a change of the volume of each subject.
fn cohort_with(folder: &Path, people: usize, change: impl Fn(usize, &mut Volume)) -> Cohort {
    let grid = Grid::new([22; 3], Affine::from_spacing_origin([8.0; 3], [0.0; 3])).unwrap();
    let mask = Volume::from_fn(grid, |v| v.iter().all(|x| (2..20).contains(x)));
    let mut rows = Vec::new();
    let members: Vec<_> = (0..people)
        .map(|n| {
            let mut random = Seed::new(99).index(n as u64).random();
            let class = n % 2;
            let mut volume = Volume::from_fn(grid, |v| {
                let inside = v.iter().all(|x| (2..20).contains(x));
                let middle = v.iter().all(|x| (8..14).contains(x));
                let value = random.normal() * 0.3 + if middle && class == 1 { 2.0 } else { 0.5 };
                if inside { value as f32 } else { 0.0 }
            });
            change(n, &mut volume);
            let id = format!("{n:02}");
            let row = [id.clone(), ["a", "b"][class].to_owned(), format!("family{}", n / 2), n.to_string()];
            rows.push(row.map(Some).to_vec());
            (Subject::new(id, &volume, &mask), volume, mask.clone())
        })
        .collect();
    let columns = ["participant_id", "group", "family", "score"].map(String::from).to_vec();
    let preparation = Preparation {
        shape: grid.shape,
        spacing: [8.0; 3],
        normalize: Normalize::None,
        placement: Placement::Fixed(grid),
        template: None,
        whole_head: false,
        channels: Vec::new(),
    };
    Cohort::write(folder, &preparation, &Table { columns, rows }, &members).unwrap()
}

pub(super) fn options() -> TrainOptions {
    TrainOptions {
        label: "group".into(),
        width: Some(1),
        split: SplitScheme::Folds(2),
        epochs: 3,
        batch: 4,
        learning_rate: 0.01,
        ..TrainOptions::default()
    }
}

pub(super) fn engine(threads: usize) -> Engine {
    Engine::new(EngineOptions { threads: Some(threads), ..EngineOptions::default() }).unwrap()
}

/// Every file of a run, without the path of the cohort.
fn files(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(at: &Path, all: &mut Vec<PathBuf>) {
        for entry in at.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, all) } else { all.push(path) }
        }
    }
    let mut all = Vec::new();
    walk(run, &mut all);
    all.into_iter().map(|p| (p.strip_prefix(run).unwrap().to_owned(), std::fs::read(&p).unwrap())).collect()
}

/// Interrupts after so many looks.
#[derive(Debug)]
pub(super) struct Interrupting(pub(super) AtomicUsize);

impl Progress for Interrupting {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}
    fn warn(&self, _: &str) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
    }
}

/// Keeps the epochs and the scores of folds.
#[derive(Debug, Default)]
struct Hearing {
    epochs: Mutex<Vec<(usize, Epoch)>>,
    folds: Mutex<Vec<FoldScore>>,
}

impl TrainingObserver for Hearing {
    fn epoch(&self, fold: usize, epoch: &Epoch) {
        self.epochs.lock().unwrap().push((fold, epoch.clone()));
    }
    fn fold(&self, score: &FoldScore) {
        self.folds.lock().unwrap().push(score.clone());
    }
}

#[test]
fn a_run_is_whole_and_the_same_whatever_the_threads_and_interruptions() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 16);
    // Who looks for copies asks too whether to stop, before anything is there to go on with.
    let options = TrainOptions { early_stop: Some(2), near_duplicates: Copies::Off, ..options() };
    let at = |name: &str| folder.path().join(name);
    let training = train(&cohort, &options, &at("one"), false, &engine(1), &Silent, &Silent).unwrap();
    let whole = files(&at("one"));

    let names: Vec<_> = whole.keys().map(|p| p.to_string_lossy().into_owned()).collect();
    for name in [
        "config.toml",
        "dataset_description.json",
        "manifest.json",
        "metrics.json",
        "predictions.tsv",
        "predictions-mask-volume.tsv",
        "predictions-linear-voxels.tsv",
        "folds/fold-0/model.safetensors",
        "folds/fold-1/history.jsonl",
        "folds/fold-1/split.json",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} is missing from {names:?}");
    }
    assert!(!names.iter().any(|n| n.contains("checkpoint")), "{names:?}");

    let hearing = Hearing::default();
    let two = train(&cohort, &options, &at("two"), false, &engine(2), &Silent, &hearing).unwrap().run;
    let (epochs, folds) = (hearing.epochs.into_inner().unwrap(), hearing.folds.into_inner().unwrap());
    let curves = (0..2).flat_map(|fold| two.history(fold).unwrap().into_iter().map(move |epoch| (fold, epoch)));
    assert_eq!(epochs, curves.collect::<Vec<_>>());
    // The folds as the metrics have them in the end.
    assert_eq!(folds, training.metrics.classes().unwrap().classifiers[0].classification.folds);
    assert_eq!(folds.iter().map(|f| f.subjects).sum::<usize>(), 16);
    assert!(files(&at("two")) == whole, "two threads do not give the same bytes as one");

    let mut stops = 0;
    for looks in 0.. {
        // Three batches an epoch: stopped in the first epoch, between epochs, in the second fold, not at all.
        let progress = Interrupting(AtomicUsize::new(1 + 2 * looks));
        match train(&cohort, &options, &at("three"), false, &engine(1), &progress, &Silent) {
            Ok(_) => break,
            Err(e) => assert!(e.remedy().unwrap().to_string().contains("run the same command again"), "{e}"),
        }
        stops += 1;
        assert!(stops < 30);
    }
    assert!(stops >= 3, "interrupted {stops} times only");
    assert!(files(&at("three")) == whole, "an interrupted run does not give the same bytes");
    // Killed when a model was written, and its checkpoint was still there.
    std::fs::write(at("three").join("folds/fold-1/checkpoint.safetensors"), "of no use").unwrap();
    std::fs::remove_file(at("three").join("metrics.json")).unwrap();
    train(&cohort, &options, &at("three"), false, &engine(1), &Silent, &Silent).unwrap();
    assert!(files(&at("three")) == whole, "a checkpoint stays beside the model");

    // What is read is what was written, and no model predicted a subject that it was trained on.
    let run = Run::open(&at("one")).unwrap();
    assert_eq!(run.manifest, training.run.manifest);
    assert_eq!(&run.metrics().unwrap().unwrap(), training.metrics.classes().unwrap());
    assert_eq!(training.metrics.classes().unwrap().models, run.models().unwrap().all());
    let predictions = run.predictions().unwrap();
    assert_eq!(predictions.len(), 16);
    let held_out = run.held_out(&run.cohort().unwrap()).unwrap();
    assert_eq!(held_out.len(), 16);
    for held in &held_out {
        let subject = &cohort.subjects[held.subject];
        let model = Model::read(&run.layout().fold(held.fold).model()).unwrap();
        assert!(!model.has_seen(&subject.hash));
        assert_eq!(model.card.trained_on.len(), 8);
        let prediction = predictions.iter().find(|p| p.participant_id == subject.id).unwrap();
        assert_eq!(prediction.fold, held.fold);
        assert!((prediction.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
    assert!(run.history(0).unwrap().iter().all(|e| e.validation_loss.is_some()));
}

#[test]
fn a_clear_difference_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 24);
    let options = TrainOptions { epochs: 12, augment: Augmentation::NONE, width: Some(2), ..options() };
    let out = folder.path().join("run");
    let training = train(&cohort, &options, &out, false, &engine(2), &Silent, &Silent).unwrap();
    let metrics = training.metrics.classes().unwrap();
    let auc = |name: &str| metrics.of(name).unwrap().auc.as_ref().unwrap().value;
    assert!(auc("cnn") > 0.9, "{}", auc("cnn"));
    assert_eq!(auc("linear-voxels"), 1.0);
    // All brains are of one size: nothing to tell by.
    assert_eq!(auc("mask-volume"), 0.5);
    assert_eq!(auc("mask-volume-rank"), 0.5);
    assert_eq!(metrics.of("majority-class").unwrap().accuracy.value, 0.5);
    assert_eq!((auc("logistic-voxels"), auc("svm-voxels")), (1.0, 1.0));
    assert_eq!(metrics.comparisons.len(), 6);
    assert_eq!(metrics.chance.as_ref().unwrap().verdict, ChanceVerdict::Better);
    // Guessing, mask volume without and with a fit, three linear models; brains of one size correlate with nothing.
    // And that the masks are no brains.
    assert_eq!(metrics.summary.len(), 7, "{:?}", metrics.summary);
    assert!(metrics.summary[6].starts_with("The masks of 24 of 24 subjects hold less than 700 or more than 2200 ml"));
    assert!(
        metrics.summary[0].starts_with("The CNN tells a and b apart better than guessing: AUC "),
        "{:?}",
        metrics.summary
    );
    assert_eq!(metrics.volume_correlation, None);
    // Two folds are too few for the second witness.
    let two = "The CNN is ahead of mask volume alone by the interval over subjects alone";
    assert!(metrics.summary[2].starts_with(two), "{:?}", metrics.summary);
    let losses: Vec<_> = training.run.history(0).unwrap().iter().map(|e| e.loss).collect();
    assert!(losses[11] < losses[0]);
    assert_eq!(losses.len(), 12);
}

/// A finished run is given baselines without a volume, and its networks stay as they are. A table that holds the label is refused before
/// anything is written.
#[test]
fn a_finished_run_takes_baselines_on() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    let go = |options: &TrainOptions| train(&cohort, options, &out, false, &engine(1), &Silent, &Silent);
    let plain = go(&options).unwrap();
    let models = |training: &Training| training.run.models().unwrap().all();
    let table = folder.path().join("volumes.csv");
    let rows: String = (0..12).map(|n| format!("{n:02},{}.5,{}\n", 10 + 7 * n % 11, n % 2)).collect();
    std::fs::write(&table, format!("id,left,class\n{rows}")).unwrap();
    let more =
        TrainOptions { covariates: vec!["score".into()], region_volumes: Some(table.clone()), ..options.clone() };
    let error = go(&more).unwrap_err().to_string();
    assert!(error.ends_with("a column gives the label away: class"), "{error}");
    let rows: String = (0..12).map(|n| format!("{n:02},{}.5,{}\n", 10 + 7 * n % 11, n * n)).collect();
    std::fs::write(&table, format!("id,left,right\n{rows}")).unwrap();
    let found = go(&more).unwrap();
    let metrics = found.metrics.classes().unwrap();
    assert!(metrics.of("covariates").is_some() && metrics.of("region-volumes").is_some());
    assert_eq!(models(&plain), models(&found));
    let reopened = Run::open(&out).unwrap();
    assert_eq!(reopened.manifest.options["covariates"], serde_json::json!(["score"]));
    // And gives them back.
    let plain = go(&options).unwrap();
    assert!(plain.metrics.classes().unwrap().of("covariates").is_none());
    let label = TrainOptions { covariates: vec!["group".into()], ..options };
    assert_eq!(go(&label).unwrap_err().to_string(), "the covariate group is the label itself");
}

/// A number that was changed in what training wrote beside its models is refused, with the file and the step that counts again; that step
/// makes the file as it was.
#[test]
fn what_was_changed_beside_the_models_is_refused_and_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    let go = || train(&cohort, &options, &out, false, &engine(1), &Silent, &Silent).unwrap().run;
    let run = go();
    let layout = run.layout();
    let linear = layout.linear();
    let of_svm = linear.map(None, "pattern", comparators::SVM_VOXELS, None);
    let change = |file: &Path| {
        let bytes = std::fs::read(file).unwrap();
        let mut other = bytes.clone();
        let at = other.iter().rposition(u8::is_ascii_digit).unwrap();
        other[at] = b'0' + (other[at] - b'0' + 1) % 10;
        std::fs::write(file, other).unwrap();
        bytes
    };
    let refused = |file: &Path, error: &Error| {
        let text = format!("{error}; {}", error.remedy().unwrap());
        let name = file.file_name().unwrap().to_string_lossy();
        assert!(text.contains(&format!("{name}: is not what was written")) && text.contains("config.toml"), "{text}");
    };
    for (name, file) in
        [(None, layout.predictions()), (Some("mask-volume"), layout.comparator_predictions("mask-volume"))]
    {
        let before = change(&file);
        let error = match name {
            None => run.predictions().unwrap_err(),
            Some(name) => run.comparator_predictions(name).unwrap_err(),
        };
        refused(&file, &error);
        refused(&file, &run.metrics().unwrap_err());
        go();
        assert_eq!(std::fs::read(&file).unwrap(), before);
        assert!(run.metrics().unwrap().is_some() && run.predictions().is_ok());
    }
    for file in [crate::map::record_path(&of_svm), of_svm, linear.mean_brain(), linear.brain_mask()] {
        let before = change(&file);
        refused(&file, &run.check(&file).unwrap_err());
        // What was measured of the predictions stands.
        assert!(run.metrics().is_ok());
        go();
        assert_eq!(std::fs::read(&file).unwrap(), before);
        run.check(&file).unwrap();
    }
    let curve = layout.fold(0).history();
    let before = change(&curve);
    refused(&curve, &run.history(0).unwrap_err());
    // Counting again does not vouch for it.
    go();
    refused(&curve, &run.history(0).unwrap_err());
    std::fs::write(&curve, before).unwrap();
    assert_eq!(run.history(0).unwrap().len(), 1);
    // A run of an older version is read as it is.
    let mut old: serde_json::Value = seal::read(&layout.metrics(), "").unwrap();
    assert!(old.as_object_mut().unwrap().remove("checksums").is_some());
    seal::write(&layout.metrics(), &old).unwrap();
    change(&layout.comparator_predictions("mask-volume"));
    assert!(run.comparator_predictions("mask-volume").is_ok() && run.metrics().unwrap().is_some());
}

/// A model or a record of a fold that is damaged is made again by the same training, which says so; the other folds stay.
#[test]
fn a_damaged_fold_is_trained_again_and_no_other() {
    #[derive(Default)]
    struct Warned(Mutex<Vec<String>>);
    impl Progress for Warned {
        fn begin(&self, _: &str, _: usize) {}
        fn advance(&self, _: usize, _: &str) {}
        fn end(&self) {}
        fn warn(&self, what: &str) {
            self.0.lock().unwrap().push(what.to_owned());
        }
        fn note(&self, _: &str) {}
    }
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    let go = |warned: &Warned| train(&cohort, &options, &out, false, &engine(1), warned, &Silent);
    let run = go(&Warned::default()).unwrap().run;
    let before = files(&out);
    let (model, split) = (run.layout().fold(1).model(), run.layout().fold(0).split());
    for (file, words) in [(&model, "fold 1 is trained again"), (&split, "it is written again")] {
        let mut bytes = std::fs::read(file).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(file, bytes).unwrap();
        let warned = Warned::default();
        go(&warned).unwrap();
        let said = warned.0.into_inner().unwrap();
        assert_eq!(said.iter().filter(|what| what.contains(words)).count(), 1, "{said:?}");
        assert!(files(&out) == before);
    }
    // A record that is damaged does not let a model pass that was trained on others.
    std::fs::copy(run.layout().fold(1).model(), run.layout().fold(0).model()).unwrap();
    std::fs::write(&split, "{").unwrap();
    let error = go(&Warned::default()).unwrap_err().to_string();
    assert!(error.contains("was begun with others held out") || error.contains("was trained on"), "{error}");
}

#[test]
fn a_run_is_not_mixed_with_another() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 8);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    let go = |options: &TrainOptions, force: bool| train(&cohort, options, &out, force, &engine(1), &Silent, &Silent);
    go(&options, false).unwrap();
    std::fs::create_dir(out.join("sub-00")).unwrap();
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let other = TrainOptions { seed: 5, ..options.clone() };
    let error = go(&other, false).unwrap_err();
    assert!(error.to_string().contains("seed 0, now 5"), "{error}");
    assert!(error.remedy().unwrap().to_string().contains("`force`"));
    go(&other, true).unwrap();
    assert_eq!(Run::open(&out).unwrap().manifest.seed, 5);
    assert!(!out.join("sub-00").exists() && out.join("notes.txt").exists());
    // A directory that is no run is nobody's to empty.
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.tex"), "mine").unwrap();
    let error = train(&cohort, &options, &foreign, true, &engine(1), &Silent, &Silent).unwrap_err();
    assert!(error.to_string().contains("not a run"), "{error}");
}

#[test]
fn families_stay_together_and_what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 8);
    let of = |change: fn(&mut TrainOptions)| {
        let mut options = TrainOptions { epochs: 1, ..options() };
        change(&mut options);
        let out = folder.path().join("run");
        let trained = train(&cohort, &options, &out, true, &engine(1), &Silent, &Silent);
        let error = trained.as_ref().err().map(ToString::to_string).unwrap_or_default();
        (trained.ok(), error)
    };
    let run = of(|o| o.group = Some("family".into())).0.unwrap().run;
    for fold in 0..2 {
        let split = run.split(fold).unwrap();
        assert!(split.test.iter().all(|t| split.test.contains(&(t ^ 1))), "{split:?}");
    }
    let metrics = run.metrics().unwrap().unwrap();
    let accuracy = &metrics.of("cnn").unwrap().accuracy;
    assert_eq!(
        (accuracy.low, accuracy.interval.as_str()),
        (None, "none: 4 groups are too few, at least 10 are needed")
    );
    assert_eq!(metrics.groups.iter().map(|g| g.subjects).collect::<Vec<_>>(), [2; 4]);
    assert!(metrics.summary[0].starts_with("Whether the CNN tells a and b apart better than guessing cannot be said"));
    assert!(of(|o| o.split = SplitScheme::Folds(5)).1.contains("4 subjects of class a"));
    let each = |o: &mut TrainOptions| (o.label, o.task) = ("score".into(), Some(TaskKind::Class));
    assert!(of(each).1.contains("is 1 subject of class 0"), "{}", of(each).1);
    assert!(of(|o| o.label = "sex".into()).1.contains("sex"));
    assert!(of(|o| o.positive = Some("c".into())).1.contains("no class c"));
    assert!(of(|o| o.batch = 1).1.contains("a batch of 1"));
    assert!(of(|o| o.learning_rate = f64::NAN).1.contains("learning rate of NaN"));
    assert!(of(|o| o.epochs = 0).1.contains("0 epochs"));
    assert_eq!(of(|o| o.split = SplitScheme::Holdout(0.5)).0.unwrap().run.predictions().unwrap().len(), 4);
}

/// One value that is none, or so large that nothing is left beside it, in one prepared volume: whether the subject is trained on,
/// validated on or held out first, it is named.
#[test]
fn a_subject_whose_values_are_no_numbers_is_named() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
        for subject in [0, 5, 7] {
            let folder = tempfile::tempdir().unwrap();
            let cohort = cohort_with(&folder.path().join("cohort"), 8, |n, volume| {
                if n == subject {
                    volume.data_mut()[11 * 22 * 22 + 11 * 22 + 11] = value;
                }
            });
            let out = folder.path().join("run");
            let error = train(&cohort, &options(), &out, false, &engine(1), &Silent, &Silent).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("subject {subject:02}")), "{value} in {subject}: {text}");
            assert!(error.remedy().is_some_and(|r| r.to_string().contains("inspect")), "{text}: {:?}", error.remedy());
        }
    }
}

/// Counts warnings about batches in parts.
#[derive(Debug, Default)]
struct Warned(AtomicUsize);

impl Progress for Warned {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}
    fn warn(&self, what: &str) {
        if what.contains("in parts of at most 2") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn a_batch_that_does_not_fit_goes_through_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let engine = engine(2);
    let network = mrinet([22; 3], 1, 2).unwrap();
    let plan = |batch| voxplain_nn::PlanOptions { purpose: voxplain_nn::Purpose::Train, batch, keep: Vec::new() };
    let room = |batch| engine.memory(&network, &plan(batch)).unwrap().total() as u64;
    let run = |memory| {
        let warned = Warned::default();
        let out = folder.path().join(format!("run-{memory}"));
        let done =
            train(&cohort, &TrainOptions { memory: Some(memory), ..options() }, &out, false, &engine, &warned, &Silent);
        (done, warned.0.into_inner())
    };
    // Every subject is predicted, in both folds, with a warning.
    let (done, warned) = run(room(2));
    assert_eq!(done.unwrap().run.predictions().unwrap().len(), 12);
    assert_eq!(warned, 2);
    assert_eq!(run(room(4)).1, 0);
    // Not even one: refused with what to do.
    let refused = run(1000).0.unwrap_err();
    assert!(
        refused.to_string().contains("one volume needs")
            && refused.remedy().unwrap().to_string().contains("more memory")
    );
}

#[test]
fn words_for_nothing_are_no_groups_and_one_group_has_one_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let mut cohort = cohort(&dir.path().join("c"), 8);
    cohort.participants.rows[3][2] = Some("Unknown".into());
    let strict = TrainOptions { group: Some("family".into()), ..options() };
    let error = Dataset::new(&cohort, &strict).unwrap_err();
    assert_eq!(error.to_string(), "1 of 8 subjects has no family: sub-03 (Unknown)");
    assert!(error.remedy().unwrap().to_string().contains("`keep-going`"));
    let without = TrainOptions { keep_going: true, ..strict.clone() };
    let dataset = Dataset::new(&cohort, &without).unwrap();
    assert_eq!((dataset.len(), dataset.labels.len(), dataset.without_group.as_slice()), (7, 7, &["03".to_owned()][..]));
    assert_eq!(dataset.groups().unwrap(), [0, 0, 1, 2, 2, 3, 3]);
    let more = TrainOptions { missing: vec!["family1".into()], ..without.clone() };
    assert_eq!(Dataset::new(&cohort, &more).unwrap().without_group, ["02", "03"]);
    cohort.participants.rows[0][2] = Some("Family 0".into());
    let error = Dataset::new(&cohort, &without).unwrap_err().to_string();
    assert_eq!(error, "column family seems to spell one group in several ways: `Family 0` (1) and `family0` (1)");
}

#[test]
fn a_column_of_one_value_or_none_says_what_was_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut cohort = cohort(&dir.path().join("c"), 8);
    let refused = |cohort: &Cohort, missing: &[&str], keep_going: bool| {
        let missing = missing.iter().map(|word| (*word).to_owned()).collect();
        let error = Dataset::new(cohort, &TrainOptions { missing, keep_going, ..options() }).unwrap_err();
        (error.to_string(), error.remedy().unwrap().to_string())
    };
    // A word of the Latin alphabet is meant by one of Cyrillic too.
    cohort.participants.rows.iter_mut().for_each(|row| {
        if row[1].as_deref() == Some("b") {
            row[1] = Some("\u{41c}".into());
        }
    });
    for keep_going in [false, true] {
        let (what, remedy) = refused(&cohort, &["M"], keep_going);
        let taken = "taken for no value: `\u{41c}` with Cyrillic U+041C (4)";
        assert_eq!(what, format!("column group has one value, `a` (4 of 8 subjects); {taken}"));
        assert!(remedy.starts_with("check what is given with `missing` (`M`), or name a column"), "{remedy}");
        // All are without: leaving all out is no way.
        let mut empty = cohort.clone();
        empty.participants.rows.iter_mut().for_each(|row| row[1] = Some("unknown".into()));
        let (what, remedy) = refused(&empty, &[], keep_going);
        assert_eq!(what, "column group has no value for any of 8 subjects; taken for no value: `unknown` (8)");
        assert_eq!(remedy, "fill it in, or name a column of 2 to 20 classes with `label`, such as family");
        empty.participants.rows.iter_mut().for_each(|row| row[1] = None);
        assert_eq!(refused(&empty, &[], keep_going).0, "column group has no value for any of 8 subjects");
    }
}

/// Keeps what is said.
#[derive(Debug, Default)]
struct Said(Mutex<Vec<String>>);

impl Progress for Said {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}
    fn warn(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }
}

/// What is said about the words of a table before training.
fn said(cohort: &Cohort, options: &TrainOptions) -> Vec<String> {
    let said = Said::default();
    words::of_table(cohort, options, &said).unwrap();
    words::of_dataset(&Dataset::new(cohort, options).unwrap(), options, &said);
    said.0.into_inner().unwrap()
}

#[test]
fn words_that_match_nothing_codes_and_two_spellings_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut cohort = cohort(&dir.path().join("c"), 12);
    assert_eq!(said(&cohort, &options()), [""; 0]);
    // 999 is 999.0; 99 is nowhere.
    cohort.participants.rows[3][1] = Some("999.0".into());
    let missing = |words: &[&str]| TrainOptions {
        missing: words.iter().map(|w| (*w).to_owned()).collect(),
        keep_going: true,
        ..options()
    };
    let dataset = Dataset::new(&cohort, &missing(&["999"])).unwrap();
    assert_eq!(
        (dataset.classes.as_slice(), dataset.left_out.as_slice()),
        (&["a".into(), "b".into()][..], &["03".into()][..])
    );
    assert_eq!(said(&cohort, &missing(&["999", "n/a"])), [""; 0]);
    for empty in ["", " ", "\u{200b}", "\u{2800}"] {
        let error = missing(&["999", empty]).check().unwrap_err().to_string();
        assert!(error.contains("a word for no value is empty"), "{error}");
    }
    assert_eq!(
        said(&cohort, &missing(&["999", "99"])),
        ["`99` is to stand for no value, but no cell of the table is `99`; column group holds 999.0, a, b"]
    );
    // Not named, it is a class, with a word of advice.
    assert_eq!(
        said(&cohort, &options()),
        [
            "a class of column group may be a code for no value: `999.0` (1); if so, name it with `missing` = 999.0 and leave \
          those subjects out with `keep-going`"
        ]
    );
    let by_family = TrainOptions { group: Some("family".into()), ..missing(&["999"]) };
    cohort.participants.rows[5][2] = Some("-99".into());
    let advice = said(&cohort, &by_family);
    assert!(
        advice[0].starts_with("a group of column family may be a code for no value: `-99` (1); if so"),
        "{advice:?}"
    );
    assert!(advice[0].contains("`missing` = 999,-99"), "{advice:?}");
    // A covariate in two spellings is said, and stops nothing.
    cohort.participants.columns.push("site".into());
    let site = |n: usize| ["London", "LONDON", "Bern"][n % 3].to_owned();
    cohort.participants.rows.iter_mut().enumerate().for_each(|(n, row)| row.push(Some(site(n))));
    assert_eq!(
        said(&cohort, &missing(&["999"])),
        ["column site seems to spell one value in several ways: `LONDON` (4) and `London` (4)"]
    );
}

#[test]
fn columns_that_cannot_be_labels_or_groups_are_refused_with_what_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut cohort = cohort(&dir.path().join("c"), 12);
    let refused = |cohort: &Cohort, options: TrainOptions| {
        let out = dir.path().join("run");
        let error = train(cohort, &options, &out, false, &engine(1), &Silent, &Silent).unwrap_err();
        (error.to_string(), error.remedy().unwrap().to_string())
    };
    let (what, remedy) = refused(&cohort, TrainOptions { group: Some("group".into()), ..options() });
    assert_eq!(what, "column group is to be both the label and the groups");
    assert!(remedy.ends_with("with `group`, or leave it out"), "{remedy}");
    let (what, remedy) = refused(&cohort, TrainOptions { label: "participant_id".into(), ..options() });
    assert_eq!(what, "column participant_id has another value for each of the 12 subjects, as ids have");
    assert_eq!(remedy, "name a column of 2 to 20 classes with `label`, such as group, family");
    cohort.participants.rows.iter_mut().for_each(|row| row[2] = Some("x".into()));
    let (what, remedy) = refused(&cohort, TrainOptions { group: Some("family".into()), ..options() });
    assert!(what.starts_with("column family holds one group: `x` for all 12 subjects"), "{what}");
    assert_eq!(remedy, "name a column of several groups with `group`, or leave it out");
    // Groups that are the classes by other names, and a class of one subject.
    cohort.participants.rows.iter_mut().enumerate().for_each(|(n, row)| row[2] = Some(["x", "y"][n % 2].to_owned()));
    let (what, remedy) = refused(&cohort, TrainOptions { group: Some("family".into()), ..options() });
    let recode = "column family is the label group by other names: each group has one class and each class one group";
    assert_eq!(what, format!("{recode} (`x` is a, `y` is b)"));
    assert!(remedy.ends_with("name other groups with `group`, or leave it out"), "{remedy}");
    // Of two classes none can be left out.
    cohort.participants.rows[1][2] = Some("z".into());
    let (what, remedy) = refused(&cohort, TrainOptions { group: Some("family".into()), ..options() });
    assert!(what.starts_with("there is 1 group with class a, fewer than"), "{what}");
    assert_eq!(
        remedy,
        "name other groups with `group` (or none), add subjects of class a, or name another label with `label`"
    );
    cohort.participants.rows[0][1] = Some("c".into());
    let (_, remedy) = refused(&cohort, options());
    assert_eq!(remedy, "leave class c out with `missing` = c and `keep-going`, or add subjects");
}

/// The cohort with another column in its table.
fn with_column(cohort: Cohort, name: &str, cell: impl Fn(usize) -> String) -> Cohort {
    let mut table = cohort.participants.clone();
    table.columns.push(name.into());
    table.rows.iter_mut().enumerate().for_each(|(n, row)| row.push(Some(cell(n))));
    table.write_tsv(&cohort.layout().participants()).unwrap();
    Cohort::open(&cohort.path).unwrap()
}

#[test]
fn images_of_one_person_stay_together_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    // Twelve people with two scans: classes a and b take turns, so that each person has both but for those of the last four.
    let cohort = cohort(&folder.path().join("cohort"), 24);
    let cohort =
        with_column(cohort, "person", |n| if n < 16 { format!("p{}", n / 2) } else { format!("q{}{}", n % 2, n / 4) });
    let cohort = with_column(cohort, "site", |n| format!("s{}", n / 4 % 3));
    let cohort = with_column(cohort, "odd", |n| format!("s{}", n % 3));
    let run = |change: fn(&mut TrainOptions), name: &str| {
        let mut options = TrainOptions { epochs: 2, early_stop: Some(1), ..options() };
        change(&mut options);
        train(&cohort, &options, &folder.path().join(name), false, &engine(1), &Silent, &Silent)
    };
    let persons = cohort.persons(&(0..24).collect::<Vec<_>>()).unwrap().unwrap();
    assert_eq!(persons.names.len(), 12);
    let divided =
        |one: &[usize], other: &[usize]| one.iter().any(|a| other.iter().any(|b| persons.of[*a] == persons.of[*b]));
    for (change, name) in [
        ((|_| ()) as fn(&mut TrainOptions), "folds"),
        (|o| o.split = SplitScheme::Holdout(0.3), "holdout"),
        (|o| o.group = Some("person".into()), "asked"),
    ] {
        let trained = run(change, name).unwrap();
        for fold in 0..trained.run.manifest.folds {
            let split = trained.run.split(fold).unwrap();
            assert!(!divided(&split.train, &split.test), "{name}: {split:?}");
        }
        let metrics = trained.metrics.classes().unwrap();
        assert_eq!(metrics.grouped_by.as_deref(), Some("person"));
        assert!(metrics.groups.is_empty());
        assert!(metrics.method.contains("8 people have images of more than one class"), "{}", metrics.method);
        let scans = metrics.headcount().to_string();
        assert!(metrics.method.contains(&format!("{scans} held out")), "{}", metrics.method);
        assert!(!metrics.method.contains("subject") && !metrics.summary.join(" ").contains("subject"), "{metrics:?}");
        if name == "folds" {
            assert_eq!(scans, "24 scans of 12 people");
            let accuracy = &metrics.of("cnn").unwrap().accuracy;
            assert_eq!(accuracy.interval, "clustered-wilson");
            assert!(metrics.summary[0].contains("of 24 held-out scans (of 12 people) right"), "{}", metrics.summary[0]);
        }
        if name == "holdout" {
            let summary = metrics.summary.join(" ");
            assert!(summary.contains("people are too few, at least 10 are needed"), "{summary}");
        }
    }
    // The set that early stopping sets aside is divided in the same way.
    let dataset = Dataset::new(&cohort, &TrainOptions { early_stop: Some(1), ..options() }).unwrap();
    let all: Vec<usize> = (0..24).collect();
    let splits = folds::splits(&dataset.labels, dataset.groups(), SplitScheme::Holdout(0.15), Seed::new(1)).unwrap();
    assert!(!divided(&splits[0].train, &splits[0].test) && all.len() == splits[0].train.len() + splits[0].test.len());
    // A column of coarser groups is used; one that divides a person is refused with both groups.
    let site = run(|o| (o.group, o.early_stop) = (Some("site".into()), None), "site").unwrap();
    let site = site.metrics.classes().unwrap();
    assert_eq!(site.groups.len(), 3);
    assert!(site.groups.iter().all(|g| g.people.is_some_and(|p| p < g.subjects)), "{:?}", site.groups);
    let error = run(|o| o.group = Some("odd".into()), "odd").unwrap_err();
    assert_eq!(error.to_string(), "column odd divides person p0: 00 is in group s0, 01 in group s1");
    assert!(error.remedy().unwrap().to_string().contains("`group`"));
}

#[test]
fn people_that_change_between_two_calls_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    train(&cohort, &options, &out, false, &engine(1), &Silent, &Silent).unwrap();
    // Six people with two scans of one class: other folds.
    let cohort = with_column(cohort, "person", |n| format!("p{}{}", n % 2, n / 4));
    let error = train(&cohort, &options, &out, false, &engine(1), &Silent, &Silent).unwrap_err();
    assert!(error.to_string().contains("begun with others held out"), "{error}");
}

#[test]
fn training_starts_from_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (first, engine) = (cohort(&at("cohort"), 24), engine(2));
    let options = TrainOptions { epochs: 8, ..options() };
    let model = {
        let trained = train(&first, &options, &at("first"), false, &engine, &Silent, &Silent).unwrap();
        trained.run.layout().fold(0).model()
    };
    // The same people: who is held out here would not be new to it.
    let from = TrainOptions { init: Some(model.clone()), epochs: 1, ..options.clone() };
    let error = train(&first, &from, &at("none"), false, &engine, &Silent, &Silent).unwrap_err().to_string();
    assert!(error.contains("was trained on 12 of the 24 people of this cohort"), "{error}");

    // Other people of the same classes: it starts where the other ended, in every tensor, and learns faster.
    let other = cohort_with(&at("other"), 12, |n, volume| {
        // One voxel of the brain: other volumes.
        volume.data_mut()[(4 * 22 + 4) * 22 + 4 + n % 4] += 0.125;
    });
    let said = |options: &TrainOptions, name: &str| {
        let heard = Hearing::default();
        let trained = train(&other, options, &at(name), false, &engine, &Silent, &heard).unwrap();
        let loss = heard.epochs.lock().unwrap()[0].1.loss;
        (trained, loss)
    };
    let (warm, loss) = said(&from, "warm");
    let (_, drawn) = said(&TrainOptions { epochs: 1, ..options.clone() }, "cold");
    assert!(loss < drawn, "{loss} from the model, {drawn} from nothing");
    let given = {
        let dataset = Dataset::new(&other, &from).unwrap();
        let mut network = mrinet([22; 3], 1, 2).unwrap();
        let initial = InitialWeights::of(&from, &dataset, &network, &Silent).unwrap().unwrap();
        initial.give(&mut network).unwrap();
        network
    };
    assert_eq!(given, Model::read(&model).unwrap().network);
    let hash = warm.run.manifest.options["init-hash"].as_str().unwrap();
    assert_eq!(hash, voxplain_core::hash_bytes(&std::fs::read(&model).unwrap()));

    // What is frozen stays as it was given, with its running statistics; the rest learns.
    let frozen = TrainOptions { freeze: vec!["features".into()], weight_decay: 0.1, ..from.clone() };
    let (kept, _) = said(&frozen, "frozen");
    let after = Model::read(&kept.run.layout().fold(0).model()).unwrap().network;
    for (p, before) in after.state().iter().zip(given.state()) {
        let same = p.tensor == before.tensor;
        assert_eq!(same, p.name.starts_with("features."), "{}", p.name);
    }
    assert_eq!(kept.run.manifest.options["freeze"][0], "features");
    let wrong = TrainOptions { freeze: vec!["feature".into()], ..from.clone() };
    let error = train(&other, &wrong, &at("none"), false, &engine, &Silent, &Silent).unwrap_err();
    let remedy = error.remedy().unwrap().to_string();
    assert!(remedy.contains(" features, features.0") && !remedy.contains("classifier"), "{remedy}");

    // Another network is refused, and so is a file that changed under a run that goes on.
    let wider = TrainOptions { width: Some(2), ..from.clone() };
    let error = train(&other, &wider, &at("none"), false, &engine, &Silent, &Silent).unwrap_err().to_string();
    assert!(error.contains("is not the network mrinet of width 2") && error.contains("features.0.weight"), "{error}");
    assert!(!at("none").exists());
    std::fs::copy(at("first").join("folds/fold-1/model.safetensors"), &model).unwrap();
    let error = train(&other, &from, &at("warm"), false, &engine, &Silent, &Silent).unwrap_err().to_string();
    assert!(error.contains("init-hash"), "{error}");

    // Other classes: the last layer is drawn anew.
    let three = with_column(other, "three", |n| ["x", "y", "z"][n % 3].into());
    let three_classes = TrainOptions { label: "three".into(), ..from };
    assert!(train(&three, &three_classes, &at("three"), false, &engine, &Silent, &Silent).is_ok());
}

/// With every choice of the recipe: two threads, parts of batches and interruptions give the same files, and the manifest has the choices.
#[test]
fn a_recipe_is_the_same_whatever_the_threads_and_interruptions() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 16);
    let at = |name: &str| folder.path().join(name);
    for (n, optimizer) in [OptimizerName::AdamW, OptimizerName::Sgd, OptimizerName::Sgd].into_iter().enumerate() {
        let (value, soft) = (n > 0, n == 2);
        let options = TrainOptions {
            optimizer,
            momentum: value.then_some(0.8),
            warmup: Some(1),
            clip_norm: Some(0.5),
            ema: Some(0.9),
            label_smoothing: (!value).then_some(0.1),
            mixup: Some(0.4),
            early_stop: (!value || soft).then_some(2),
            loss: soft.then_some(LossKind::SoftLabels { width: 2.0 }),
            label: if value { "score" } else { "group" }.into(),
            near_duplicates: Copies::Off,
            ..options()
        };
        let name = |kind: &str| at(&format!("{kind}{n}"));
        train(&cohort, &options, &name("one"), false, &engine(1), &Silent, &Silent).unwrap();
        let whole = files(&name("one"));
        train(&cohort, &options, &name("two"), false, &engine(2), &Silent, &Silent).unwrap();
        assert!(files(&name("two")) == whole, "two threads do not give the same bytes as one");
        let mut stops = 0;
        for looks in 0..40 {
            let progress = Interrupting(AtomicUsize::new(2 + 3 * looks));
            if train(&cohort, &options, &name("three"), false, &engine(1), &progress, &Silent).is_ok() {
                break;
            }
            stops += 1;
        }
        assert!((2..40).contains(&stops), "interrupted {stops} times");
        assert!(files(&name("three")) == whole, "an interrupted run does not give the same bytes");
        let run = Run::open(&name("one")).unwrap();
        let said = &run.manifest.options;
        assert_eq!(said["optimizer"], if value { "sgd" } else { "adamw" });
        assert_eq!(
            (said["ema"].as_f64(), said["mixup"].as_f64(), said["warmup"].as_u64()),
            (Some(0.9), Some(0.4), Some(1))
        );
        let rates: Vec<f64> = run.history(0).unwrap().iter().map(|e| e.learning_rate).collect();
        // Two batches: in the first epoch the rate goes up by thirds.
        assert!((rates[0] - 0.01 * 2.0 / 3.0).abs() < 1e-12, "{rates:?}");
    }
    // What is by default leaves no trace in the manifest.
    let plain = serde_json::to_value(TrainOptions::default()).unwrap();
    let new = ["optimizer", "momentum", "warmup", "clip-norm", "ema", "label-smoothing", "mixup"];
    assert!(new.iter().all(|name| plain.get(name).is_none()), "{plain}");
    let refused = |change: fn(&mut TrainOptions), part: &str| {
        let mut options = options();
        change(&mut options);
        let error = train(&cohort, &options, &at("no"), false, &engine(1), &Silent, &Silent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(|o| o.momentum = Some(0.9), "adam takes no momentum");
    refused(|o| o.warmup = Some(3), "a warm-up of 3 of 3 epochs");
    refused(|o| o.clip_norm = Some(f64::NAN), "a norm of NaN");
    refused(|o| o.ema = Some(1.0), "decay 1");
    refused(|o| o.label_smoothing = Some(-0.1), "smoothing by -0.1");
    refused(|o| o.mixup = Some(0.0), "mixup with 0");
    refused(|o| (o.label, o.label_smoothing) = ("score".into(), Some(0.1)), "no classes to give a share to");
}

/// Of three classes, one of which has four people: each is judged against the rest, and what is said holds.
#[test]
fn several_classes_are_judged_against_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let of = |n: usize| if n < 4 { "c" } else { ["a", "b"][n % 2] };
    let cohort = with_column(cohort(&folder.path().join("cohort"), 24), "three", |n| of(n).into());
    let options = TrainOptions { label: "three".into(), epochs: 1, ..options() };
    let trained = train(&cohort, &options, &folder.path().join("run"), false, &engine(2), &Silent, &Silent).unwrap();
    let metrics = trained.metrics.classes().unwrap();
    assert_eq!(&trained.run.metrics().unwrap().unwrap(), metrics);
    let cnn = metrics.of("cnn").unwrap();
    let rest = cnn.one_versus_rest.as_ref().unwrap();
    let predictions = trained.run.predictions().unwrap();
    // Pairs counted one by one.
    for (class, name) in ["a", "b", "c"].iter().enumerate() {
        let (own, others): (Vec<_>, Vec<_>) = predictions.iter().partition(|p| p.truth == *name);
        let wins = own.iter().flat_map(|p| others.iter().map(move |q| p.probabilities[class] - q.probabilities[class]));
        let won: f64 = wins.map(|d| if d > 0.0 { 1.0 } else { f64::from(u8::from(d == 0.0)) / 2.0 }).sum();
        let area = won / (own.len() * others.len()) as f64;
        assert!((rest.auc[class].value - area).abs() < 1e-9, "{name}: {} {area}", rest.auc[class].value);
    }
    assert_eq!(cnn.confusion.iter().map(|row| row.iter().sum::<usize>()).collect::<Vec<_>>(), [10, 10, 4]);
    let mean = rest.auc.iter().map(|e| e.value).sum::<f64>() / 3.0;
    assert!((rest.macro_auc.value - mean).abs() < 1e-12);
    assert!(metrics.comparisons.iter().all(|c| c.macro_auc_difference.is_some()));
    assert!(metrics.of("mask-volume-rank").is_none());
    let says = |part: &str| metrics.summary.iter().any(|line| line.contains(part));
    assert!(
        says("a, b and c") && says("macro AUC") && says("(mask-volume-rank) is one order of all subjects"),
        "{:?}",
        metrics.summary
    );
    assert!(says(&format!("for each class against the rest: a {:.2}", rest.auc[0].value)), "{:?}", metrics.summary);
}

/// Adds to what is in the middle of the brain.
fn brighter(volume: &mut Volume, by: f32) {
    let shape = volume.shape();
    for (at, value) in volume.data_mut().iter_mut().enumerate() {
        let voxel = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
        if voxel.iter().all(|x| (4..18).contains(x)) {
            *value += by;
        }
    }
}

/// A number that the middle of the brain shows is learnt, in its own unit, and the files say it.
#[test]
fn a_planted_value_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let people = 24;
    let cohort =
        cohort_with(&folder.path().join("cohort"), people, |n, volume| brighter(volume, 4.0 * n as f32 / 24.0));
    let options = TrainOptions {
        label: "score".into(),
        unit: Some("points".into()),
        width: Some(2),
        epochs: 25,
        split: SplitScheme::Folds(3),
        ..options()
    };
    let run = folder.path().join("run");
    let trained = train(&cohort, &options, &run, false, &engine(2), &Silent, &Silent).unwrap();
    let metrics = trained.metrics.value().unwrap();
    assert_eq!(&trained.run.value_metrics().unwrap().unwrap(), metrics);
    assert_eq!(trained.run.metrics().unwrap(), None);
    assert_eq!(metrics.verdict, ValueVerdict::Better, "{:?}", metrics.summary);
    assert!(metrics.summary[0].starts_with("The CNN predicts score better than the mean"), "{}", metrics.summary[0]);
    assert!(metrics.of("ridge-voxels").unwrap().mae.value < 0.4 * metrics.of("training-mean").unwrap().mae.value);
    // The model itself answers in points.
    let fold = trained.run.model(0).unwrap().model;
    assert_eq!(fold.card.task.to_string(), "score (points)");
    let predictions = trained.run.value_predictions().unwrap();
    assert_eq!(predictions.len(), people);
    let one = predictions.iter().find(|p| p.fold == 0).unwrap();
    let image = cohort.volume(cohort.find(&one.participant_id).unwrap()).unwrap();
    let case = voxplain_attribution::Case::new("one", &image);
    let said = fold.explainer(&engine(1)).unwrap().logits(&[case]).unwrap();
    assert!((f64::from(said[0][0]) - one.predicted).abs() < 1e-3, "{said:?} {one:?}");
    assert!(trained.run.predictions().unwrap_err().to_string().contains("predicts a value, score (points)"));
    let again = train(&cohort, &options, &run, false, &engine(1), &Silent, &Silent).unwrap();
    assert_eq!(again.metrics.value(), Some(metrics));
}

/// The same number by soft labels: the model answers in points, within the bins, and these are in the files.
#[test]
fn a_planted_value_is_learnt_by_soft_labels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let cohort = cohort_with(&at("cohort"), 24, |n, volume| brighter(volume, 4.0 * n as f32 / 24.0));
    let options = TrainOptions {
        label: "score".into(),
        unit: Some("points".into()),
        loss: Some(LossKind::SoftLabels { width: 1.0 }),
        width: Some(2),
        epochs: 25,
        split: SplitScheme::Folds(3),
        ..options()
    };
    let trained = train(&cohort, &options, &at("run"), false, &engine(2), &Silent, &Silent).unwrap();
    let metrics = trained.metrics.value().unwrap();
    assert_eq!(metrics.verdict, ValueVerdict::Better, "{:?}", metrics.summary);
    let manifest = &trained.run.manifest;
    assert_eq!((manifest.options["loss"].as_str(), manifest.soft_labels.len()), (Some("soft-labels"), 3));
    let predictions = trained.run.value_predictions().unwrap();
    for (fold, bins) in manifest.soft_labels.iter().enumerate() {
        let Model { network, card } = trained.run.model(fold).unwrap().model;
        assert_eq!(card.training["soft_labels"], serde_json::json!(bins));
        assert!(card.training.get("standardised_by").is_none());
        // From the values that this fold trains on.
        let of = |n: &usize| *n as f64;
        let values: Vec<f64> = trained.run.split(fold).unwrap().train.iter().map(of).collect();
        let [least, largest] = [f64::min, f64::max].map(|of| values.iter().copied().reduce(of).unwrap());
        assert_eq!(bins.range(), [least - 3.0, largest + 3.0]);
        let [.., softmax, expectation] = network.nodes() else { panic!("no nodes") };
        assert_eq!(
            (&softmax.op, expectation.name.as_str(), network.outputs()),
            (&voxplain_nn::Op::Softmax, "expectation", 1)
        );
        for p in predictions.iter().filter(|p| p.fold == fold) {
            assert!(bins.centre(0) <= p.predicted && p.predicted <= bins.centre(bins.bins() - 1), "{p:?}");
        }
    }
    let one = predictions.iter().find(|p| p.fold == 0).unwrap();
    let image = cohort.volume(cohort.find(&one.participant_id).unwrap()).unwrap();
    let case = || voxplain_attribution::Case::new("one", &image);
    let mut explainer = trained.run.model(0).unwrap().model.explainer(&engine(1)).unwrap();
    let said = explainer.logits(&[case()]).unwrap();
    assert!((f64::from(said[0][0]) - one.predicted).abs() < 1e-3, "{said:?} {one:?}");
    // The curve has the error in points: it falls below that of the mean, 6.
    let last = trained.run.history(0).unwrap().pop().unwrap();
    assert!(last.error.unwrap() < 4.0 && last.loss < 2.0, "{last:?}");
    // From its weights another training starts, by whatever loss: all but the last layer.
    let other = cohort_with(&at("other"), 12, |n, volume| brighter(volume, 0.3 * n as f32));
    for (name, loss) in [("mae", "mae"), ("wider", "soft-labels=2")] {
        let model = trained.run.layout().fold(0).model();
        let loss = Some(loss.parse().unwrap());
        let freeze = vec!["features".to_owned()];
        let from = TrainOptions {
            init: Some(model.clone()),
            loss,
            freeze,
            epochs: 2,
            split: SplitScheme::Folds(2),
            ..options.clone()
        };
        let run = train(&other, &from, &at(name), false, &engine(1), &Silent, &Silent).unwrap().run;
        let [before, after] = [model, run.layout().fold(0).model()].map(|path| Model::read(&path).unwrap().network);
        let weights = |net: &Network| net.state()[0].tensor.clone();
        assert_eq!(weights(&before), weights(&after));
        assert_eq!(after.outputs(), 1);
    }
}

/// Bins that make no sense are refused before anything is written, people beyond them are named, and other bins are another run.
#[test]
fn soft_labels_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plain = cohort(&at("cohort"), 16);
    let soft = |width: f64| TrainOptions {
        label: "score".into(),
        loss: Some(LossKind::SoftLabels { width }),
        epochs: 1,
        ..options()
    };
    let refused = |width: f64| {
        let error = train(&plain, &soft(width), &at("no"), false, &engine(1), &Silent, &Silent).unwrap_err();
        assert!(!at("no").exists());
        format!("{error} / {}", error.remedy().unwrap())
    };
    let narrow = refused(0.01);
    assert!(
        narrow.starts_with("a bin width of 0.01 is too narrow for soft labels: the people that fold 0 trains on have"),
        "{narrow}"
    );
    assert!(narrow.contains("300 are the most / give another width, such as `loss` = soft-labels=0.5"), "{narrow}");
    let wide = refused(6.0);
    assert!(wide.contains("too wide") && wide.contains("bins, and 4 are the fewest"), "{wide}");
    assert!(refused(-1.0).contains("in bins of width -1"));
    let error = train(
        &plain,
        &TrainOptions { label: "group".into(), ..soft(1.0) },
        &at("no"),
        false,
        &engine(1),
        &Silent,
        &Silent,
    );
    assert!(error.unwrap_err().to_string().contains("classes are learnt by cross-entropy"));

    // One person far beyond the others is held out somewhere.
    let far = |n: usize| if n == 5 { "40".to_owned() } else { format!("{n}") };
    let one_far = with_column(plain.clone(), "age", far);
    let (said, options) = (Said::default(), TrainOptions { label: "age".into(), ..soft(1.0) });
    train(&one_far, &options, &at("far"), false, &engine(1), &said, &Silent).unwrap();
    let said = said.0.into_inner().unwrap();
    let beyond: Vec<_> = said.iter().filter(|line| line.contains("where no prediction goes")).collect();
    assert!(
        beyond.len() == 1 && beyond[0].contains("1 of the 8 held out lies beyond") && beyond[0].ends_with(": 05 (40)"),
        "{said:?}"
    );
    let farther = with_column(plain, "age", |n| if n == 5 { "44".to_owned() } else { far(n) });
    let error = train(&farther, &options, &at("far"), false, &engine(1), &Silent, &Silent).unwrap_err().to_string();
    assert!(error.contains("made from other volumes or labels"), "{error}");
}

/// Of numbers that have nothing to do with the images nothing is claimed.
#[test]
fn a_value_without_signal_is_not_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 20);
    let options = TrainOptions { label: "score".into(), ..options() };
    let trained = train(&cohort, &options, &folder.path().join("run"), false, &engine(2), &Silent, &Silent).unwrap();
    let metrics = trained.metrics.value().unwrap();
    assert_ne!(metrics.verdict, ValueVerdict::Better, "{:?}", metrics.summary);
    assert!(!metrics.summary[0].starts_with("The CNN predicts score better"), "{:?}", metrics.summary);
    for (options, part) in [
        (TrainOptions { positive: Some("3".into()), ..options.clone() }, "there is no positive class"),
        (TrainOptions { balanced: true, ..options.clone() }, "there are no classes to weigh"),
        (TrainOptions { label: "group".into(), unit: Some("years".into()), ..options.clone() }, "classes have no unit"),
        (
            TrainOptions { label: "group".into(), task: Some(TaskKind::Value), ..options.clone() },
            "holds no number: 00 (a)",
        ),
    ] {
        let refused = train(&cohort, &options, &folder.path().join("no"), false, &engine(1), &Silent, &Silent);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// With a second channel of zeros, and first-layer weights of zero for it, a network of two channels is trained to the same predictions
/// as that of one, to rounding; and the first channel's weights become the same.
#[test]
fn a_channel_of_zeros_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let one = cohort(&at("one"), 12);
    let names = ["T1w".to_owned(), "FLAIR".to_owned()];
    let preparation = Preparation { channels: names.to_vec(), ..one.preparation.clone() };
    let made_by = serde_json::json!(0);
    let shape = preparation.input_shape();
    let Begun::Open(writer) = Writer::begin(&at("two"), &made_by, shape.into(), 12, false, &Silent).unwrap() else {
        panic!()
    };
    for (n, subject) in one.subjects.iter().enumerate() {
        let (volume, mask) = (one.volume(n).unwrap(), one.mask(n).unwrap());
        let both = [volume.clone(), volume.map(|_| 0.0)];
        let mut subject = Subject::of_channels(&subject.id, &names, &both, &mask);
        // Channels of one same content are refused, as images of one person.
        subject.channels[1].hash = format!("zeros {n}");
        writer.put(n, &subject, &both, &mask).unwrap();
    }
    let two = writer.finish(&preparation, &one.participants).unwrap();
    let mut small = mrinet([22; 3], 2, 2).unwrap();
    small.initialize(5);
    let mut wide = mrinet([2, 22, 22, 22], 2, 2).unwrap();
    let state = small.state().into_iter().map(|p| {
        let tensor = match p.name.as_str() {
            // `[out, in, 3, 3, 3]`
            "features.0.weight" => {
                let values = p.tensor.data().chunks_exact(27).flat_map(|w| [w, &[0.0; 27]].concat()).collect();
                Tensor::new([2, 2, 3, 3, 3], values)
            }
            _ => p.tensor.clone(),
        };
        (p.name.clone(), tensor)
    });
    wide.load_state(state.collect::<Vec<_>>()).unwrap();
    let engine = engine(2);
    let trained = |cohort: &Cohort, network: &Network, name: &str| {
        let card = Card {
            architecture: "mrinet".into(),
            task: Task::classes_named(["a".into(), "b".into()]),
            label: "group".into(),
            preparation: cohort.preparation.clone(),
            grid_unknown: false,
            sealed: true,
            trained_on: Default::default(),
            training: serde_json::Value::Null,
        };
        let init = at(&format!("{name}.safetensors"));
        Model { network: network.clone(), card }.write(&init).unwrap();
        // Weights that no gradient moves must not decay.
        let options = TrainOptions { width: Some(2), init: Some(init), weight_decay: 0.0, ..options() };
        train(cohort, &options, &at(name), false, &engine, &Silent, &Silent).unwrap().run
    };
    let (narrow_run, wide_run) = (trained(&one, &small, "run-one"), trained(&two, &wide, "run-two"));
    for (a, b) in narrow_run.predictions().unwrap().iter().zip(wide_run.predictions().unwrap()) {
        assert_eq!(a.participant_id, b.participant_id);
        for (p, q) in a.probabilities.iter().zip(&b.probabilities) {
            assert!((p - q).abs() < 1e-4, "{p} {q}");
        }
    }
    let weights = |run: &Run| run.model(0).unwrap().model.network.state()[0].tensor.data().to_vec();
    let (narrow, wide) = (weights(&narrow_run), weights(&wide_run));
    assert_eq!((narrow.len(), wide.len()), (2 * 27, 4 * 27));
    for (out, (small, wide)) in narrow.chunks_exact(27).zip(wide.chunks_exact(54)).enumerate() {
        for (a, b) in small.iter().zip(&wide[..27]) {
            assert!((a - b).abs() < 1e-4, "{out}: {a} {b}");
        }
        assert!(wide[27..].iter().all(|w| *w == 0.0), "nothing was learnt from zeros");
    }
    assert_ne!(weights(&narrow_run), small.state()[0].tensor.data(), "something was learnt");
    assert_eq!(wide_run.model(0).unwrap().model.card.preparation.channels, names);
    // A model of other channels, or of these in another order, is no start.
    let mut other = two.clone();
    other.preparation.channels.reverse();
    let options = TrainOptions { width: Some(2), init: Some(at("run-two.safetensors")), ..options() };
    let refused = |cohort: &Cohort| train(cohort, &options, &at("no"), false, &engine, &Silent, &Silent).unwrap_err();
    let error = refused(&other);
    assert!(error.to_string().ends_with("it has FLAIR, T1w; the model takes T1w, FLAIR, in this order"), "{error}");
    assert!(error.remedy().unwrap().to_string().ends_with("`channel` = T1w `channel` = FLAIR"), "{error:?}");
    let error = refused(&one).to_string();
    assert!(error.ends_with("it has one image of each person, without a name; the model takes T1w, FLAIR"), "{error}");
}

#[test]
fn channels_are_varied_alike() {
    let voxels = 4 * 5 * 6;
    let from: Vec<f32> = (0..2 * voxels).map(|n| (n % voxels) as f32 + 1.0).collect();
    let augment = Augmentation { flip_left_right: true, ..Augmentation::default() };
    let mut moved = 0;
    for seed in 0..20 {
        let mut to = vec![9.0; 2 * voxels];
        let place = augmentation::Place { shape: [4, 5, 6], spacing: [1.0; 3] };
        fit::vary(&augment, (&from, &[]), place, &mut to, (Seed::new(seed), &mut augmentation::Scratch::default()));
        assert_eq!(to[..voxels], to[voxels..]);
        moved += usize::from(to[..voxels] != from[..voxels]);
    }
    assert!(moved > 15);
}

/// Trains some folds of the run in a directory.
fn some(cohort: &Cohort, options: &TrainOptions, folds: &Folds, out: &Path) -> Result<TrainedFolds> {
    train_folds(cohort, options, folds, out, &engine(1), &Silent, &Silent)
}

#[test]
fn folds_that_several_train_make_the_run_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 18);
    let table = folder.path().join("regions.csv");
    let rows: String = (0..18).map(|n| format!("{n:02},{},{}\n", 100 + n % 5, 200 - n % 7)).collect();
    std::fs::write(&table, format!("participant_id,one,two\n{rows}")).unwrap();
    let options = TrainOptions {
        split: SplitScheme::Folds(3),
        epochs: 1,
        covariates: vec!["score".into()],
        region_volumes: Some(table),
        ..options()
    };
    let at = |name: &str| folder.path().join(name);
    train(&cohort, &options, &at("one"), false, &engine(2), &Silent, &Silent).unwrap();
    let whole = files(&at("one"));
    let merged = |name: &str| merge(&Run::open(&at(name)).unwrap(), &engine(1), &Silent, &Silent);

    for (n, order) in [[1, 2, 3], [3, 1, 2], [2, 3, 1]].into_iter().enumerate() {
        let name = format!("shards{n}");
        for (done, number) in order.into_iter().enumerate() {
            let shard = Folds::OfShard(Shard::new(number, 3).unwrap());
            let trained = some(&cohort, &options, &shard, &at(&name)).unwrap();
            assert_eq!((&trained.folds[..], &trained.now[..]), (&[number - 1][..], &[number - 1][..]));
            assert_eq!(trained.untrained.len(), 2 - done);
            if done < 2 {
                let error = merged(&name).unwrap_err();
                let missing = trained.untrained.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                assert!(error.to_string().ends_with(&format!("without one: {missing}")), "{error}");
                let remedy = error.remedy().unwrap().to_string();
                assert!(remedy.contains(&format!("`fold` = {}", trained.untrained[0])), "{remedy}");
            }
        }
        let training = merged(&name).unwrap();
        assert!(files(&at(&name)) == whole, "{order:?}: not the bytes of one machine");
        assert_eq!(training.run.models().unwrap().all().len(), 3);
        // Merged again nothing changes.
        merged(&name).unwrap();
        assert!(files(&at(&name)) == whole);
    }

    // All at the same time, of more shards than folds.
    let all = at("together");
    let work = |number: usize| some(&cohort, &options, &Folds::OfShard(Shard::new(number, 4).unwrap()), &all).unwrap();
    std::thread::scope(|scope| {
        let work = &work;
        let trained: Vec<_> = (1..=4).map(|number| scope.spawn(move || work(number))).collect();
        let of: Vec<Vec<usize>> = trained.into_iter().map(|one| one.join().unwrap().folds).collect();
        assert_eq!(of, [vec![0], vec![1], vec![2], vec![]]);
    });
    merged("together").unwrap();
    assert!(files(&all) == whole);

    // What is there is not trained again, and what is missing is, also by the ordinary training.
    std::fs::remove_file(RunLayout::at(&all).fold(1).model()).unwrap();
    let trained = some(&cohort, &options, &Folds::Numbered(vec![2, 1, 1, 0]), &all).unwrap();
    assert_eq!((trained.folds, trained.now), (vec![0, 1, 2], vec![1]));
    std::fs::remove_file(RunLayout::at(&all).fold(2).model()).unwrap();
    train(&cohort, &options, &all, false, &engine(1), &Silent, &Silent).unwrap();
    assert!(files(&all) == whole);
}

#[test]
fn folds_that_were_made_otherwise_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    let said = |error: Error| format!("{error}; {}", error.remedy().unwrap());

    let none = said(some(&cohort, &options, &Folds::Numbered(vec![0, 2]), &out).unwrap_err());
    assert!(none.contains("there is no fold 2: this run has 2 folds, counted from 0") && !out.exists(), "{none}");
    some(&cohort, &options, &Folds::Numbered(vec![0]), &out).unwrap();
    // Other options, also of what no network is trained by.
    for (other, what) in [
        (TrainOptions { seed: 1, ..options.clone() }, "seed 0, now 1"),
        (TrainOptions { covariates: vec!["score".into()], ..options.clone() }, "covariates none, now [\"score\"]"),
    ] {
        let refused = said(some(&cohort, &other, &Folds::Numbered(vec![1]), &out).unwrap_err());
        assert!(refused.contains(what) && refused.contains("the same options for all folds"), "{refused}");
        assert!(!RunLayout::at(&out).fold(1).folder().exists());
    }
    // A model of the other fold, or of a training of other options, in its place.
    some(&cohort, &options, &Folds::Numbered(vec![1]), &out).unwrap();
    let other = folder.path().join("other");
    let more = TrainOptions { learning_rate: 0.02, ..options.clone() };
    some(&cohort, &more, &Folds::Numbered(vec![1]), &other).unwrap();
    let layout = RunLayout::at(&out);
    let right = std::fs::read(layout.fold(1).model()).unwrap();
    for (wrong, what) in [
        (layout.fold(0).model(), "is held out in fold 1, but a subject with the same volume was trained on"),
        (RunLayout::at(&other).fold(1).model(), "was made otherwise than this run is: other options"),
    ] {
        std::fs::copy(&wrong, layout.fold(1).model()).unwrap();
        let refused = said(merge(&Run::open(&out).unwrap(), &engine(1), &Silent, &Silent).unwrap_err());
        assert!(refused.contains(what), "{refused}");
        assert!(!layout.metrics().exists());
    }
    std::fs::write(layout.fold(1).model(), right).unwrap();
    merge(&Run::open(&out).unwrap(), &engine(1), &Silent, &Silent).unwrap();
}

#[test]
fn a_fold_and_the_whole_run_are_not_worked_on_together() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort(&folder.path().join("cohort"), 12);
    let options = TrainOptions { epochs: 1, ..options() };
    let out = folder.path().join("run");
    let first = || some(&cohort, &options, &Folds::Numbered(vec![0]), &out);
    std::fs::create_dir(&out).unwrap();
    let other = Claim::take_part(&out, "fold-0", "train, fold 0", &Silent).unwrap();
    let error = first().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("voxplain train, fold 0 (process "), "{error}");
    // Another fold is free.
    some(&cohort, &options, &Folds::Numbered(vec![1]), &out).unwrap();
    let all = train(&cohort, &options, &out, true, &engine(1), &Silent, &Silent).unwrap_err();
    assert!(all.is_transient() && all.to_string().contains("voxplain train, fold 0 (process "), "{all}");
    let run = Run::open(&out).unwrap();
    assert!(run.claim("explain", &Silent).unwrap_err().is_transient());
    drop(other);
    first().unwrap();
    let whole = run.claim("explain", &Silent).unwrap();
    assert!(merge(&run, &engine(1), &Silent, &Silent).unwrap_err().is_transient());
    std::fs::remove_file(run.layout().fold(0).model()).unwrap();
    assert!(first().unwrap_err().is_transient());
    drop(whole);
    first().unwrap();
    merge(&run, &engine(1), &Silent, &Silent).unwrap();
}
