use super::super::{
    tests::{Interrupting, cohort, engine, options},
    train,
};
use super::*;
use std::{collections::BTreeSet, sync::atomic::AtomicUsize};
use voxplain_stats::inference::{Blocks, Design, Exchange};

fn trained(folder: &Path, people: usize, options: &TrainOptions) -> Run {
    let cohort = cohort(&folder.join("cohort"), people);
    train(&cohort, options, &folder.join("run"), false, &engine(2), &Silent, &Silent).unwrap().run
}

fn ask(classifier: &str, permutations: usize) -> PermuteOptions {
    PermuteOptions { classifier: classifier.into(), permutations, ..PermuteOptions::default() }
}

/// The labels as they are give what the run has in its files: the test is of the same function of the labels.
#[test]
fn the_labels_as_they_are_give_the_runs_own_numbers() {
    for label in ["group", "score"] {
        let folder = tempfile::tempdir().unwrap();
        let options = TrainOptions { label: label.into(), epochs: 2, ..options() };
        let run = trained(folder.path(), 12, &options);
        let cohort = run.cohort().unwrap();
        let dataset = Dataset::new(&cohort, &options).unwrap();
        let of_classes = [CNN, LINEAR_VOXELS, LOGISTIC_VOXELS, SVM_VOXELS, MASK_VOLUME];
        let all: &[&str] = if label == "group" { &of_classes } else { &[CNN, RIDGE_VOXELS, MASK_VOLUME] };
        let engine = engine(2);
        for &classifier in all {
            let subject = Subject::of(&run, &dataset, &options, classifier, &engine, &Silent).unwrap();
            let observed = subject.observed(&run).unwrap();
            let own = Shuffle::identity(dataset.len());
            let again = match classifier {
                CNN => subject.network(None, &own, &folder.path().join("work"), &Silent).unwrap(),
                _ => subject.comparator(&subject.labels(&own)).unwrap(),
            };
            assert_eq!(observed.len(), 2);
            for (a, b) in observed.iter().zip(&again) {
                // Files hold six digits.
                assert!(a.name == b.name && (a.value - b.value).abs() < 1e-4, "{classifier}: {} {}", a.value, b.value);
            }
        }
    }
}

/// Interrupted twice and gone on with, the result is the same; nothing of the work stays.
#[test]
fn it_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), 12, &TrainOptions { epochs: 1, ..options() });
    let (options, engine) = (ask(CNN, 3), engine(2));
    let whole = permute(&run, &options, &engine, &Silent).unwrap();
    assert_eq!((whole.permutations, whole.all, whole.possible), (3, false, 924.0));
    assert_eq!(permute(&run, &options, &engine, &Silent).unwrap(), whole);
    let file = run.layout().permutation_test(CNN);
    std::fs::remove_file(&file).unwrap();
    let mut interrupted = 0;
    for looks in (1..).step_by(3) {
        match permute(&run, &options, &engine, &Interrupting(AtomicUsize::new(looks))) {
            Err(Error::Interrupted) => interrupted += 1,
            other => {
                assert_eq!(other.unwrap(), whole);
                break;
            }
        }
    }
    assert!(interrupted > 1);
    let left: Vec<_> = std::fs::read_dir(run.layout().permutations()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [file]);
    // Killed when the result was whole, and what led to it not yet taken away.
    let counted = run.layout().unfinished_permutation_test(CNN);
    std::fs::write(&counted, "{}").unwrap();
    assert_eq!(permute(&run, &options, &engine, &Silent).unwrap(), whole);
    assert!(!counted.exists());
    // Another question is not answered by what is there.
    let other = permute(&run, &PermuteOptions { seed: 1, ..options.clone() }, &engine, &Silent).unwrap_err();
    assert!(other.to_string().contains("is there already"), "{other}");
    let forced = permute(&run, &PermuteOptions { seed: 1, force: true, ..options }, &engine, &Silent).unwrap();
    assert_ne!(forced.numbers[0].permuted, whole.numbers[0].permuted);
    // A run that is trained again has none of it.
    let found = run.permutation_tests().unwrap();
    assert_eq!((found.current.len(), found.stale.len(), found.damaged.len()), (1, 0, 0));
    // One that is damaged ends nothing but itself.
    std::fs::write(run.layout().permutation_test(MASK_VOLUME), "garbage").unwrap();
    let found = run.permutation_tests().unwrap();
    assert_eq!((found.current.len(), found.damaged.len()), (1, 1));
    std::fs::remove_file(run.layout().permutation_test(MASK_VOLUME)).unwrap();
    let nothing: Vec<PathBuf> = crate::run::clear(&run.path).unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
}

/// Where labels have nothing to do with the images, p is below a level as often as the level says.
#[test]
fn without_a_signal_p_keeps_its_level() {
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { epochs: 1, ..options() };
    let run = trained(folder.path(), 20, &options);
    let cohort = run.cohort().unwrap();
    let dataset = Dataset::new(&cohort, &options).unwrap();
    let engine = engine(2);
    let mut subject = Subject::of(&run, &dataset, &options, MASK_VOLUME, &engine, &Silent).unwrap();
    let (mut below, studies) = (0, 400);
    for study in 0..studies {
        let mut random = Seed::new(17).index(study).random();
        // All masks of this cohort are one size.
        subject.fitted = Fitted::Volumes((0..20).map(|_| 1e6 * (0.1 * random.normal()).exp()).collect());
        let design = Design::new(vec![
            ("1".into(), vec![1.0; 20]),
            ("label".into(), dataset.labels.iter().map(|&l| l as f64).collect()),
        ])
        .unwrap();
        let shuffles = Shuffles::new(&design, &Exchange::default(), 19, Seed::new(study)).unwrap();
        let area = |shuffle: &Shuffle| subject.comparator(&subject.labels(shuffle)).unwrap()[0].value;
        let number = PermutedNumber {
            name: "AUC".into(),
            smaller_is_better: false,
            observed: area(&Shuffle::identity(20)),
            permuted: (0..19).map(|n| area(&shuffles.get(n))).collect(),
            p: 1.0,
        };
        below += usize::from(number.reached() == 0);
    }
    // 0.05 of 400: 20, with a standard deviation of 4.4. Ties make it rarer, never more often.
    assert!((6..=34).contains(&below), "{below} of {studies}");
}

#[test]
fn labels_stay_in_their_blocks_and_groups() {
    let folder = tempfile::tempdir().unwrap();
    let grouped = TrainOptions { epochs: 1, group: Some("family".into()), ..options() };
    let run = trained(folder.path(), 12, &grouped);
    let cohort = run.cohort().unwrap();
    let dataset = Dataset::new(&cohort, &grouped).unwrap();
    // Each family has one of both classes: labels are exchanged within them, unless one says otherwise.
    let (usual, words) = exchange(&dataset, &grouped, &ask(MASK_VOLUME, 50)).unwrap();
    assert!(words.contains("within groups (column family)") && matches!(usual.blocks, Blocks::Within(_)), "{words}");
    let (all, _) = shuffles(&dataset, &usual, &ask(MASK_VOLUME, 100)).unwrap();
    assert_eq!(all.len(), 63);
    let asked = PermuteOptions { block_kind: Some(BlockKind::Whole), ..ask(MASK_VOLUME, 50) };
    let (whole, words) = exchange(&dataset, &grouped, &asked).unwrap();
    assert!(words.contains("between groups of one size (column family)"), "{words}");
    // In this order: to exchange families changes nothing.
    let nothing = shuffles(&dataset, &whole, &ask(MASK_VOLUME, 50)).unwrap_err();
    assert!(nothing.to_string().contains("labels cannot be exchanged"), "{nothing}");
    let both = PermuteOptions { blocks: Some("family".into()), ..ask(MASK_VOLUME, 50) };
    assert!(exchange(&dataset, &grouped, &both).unwrap_err().to_string().contains("stay together"));
    // Within families: 2^6 arrangements, of which one exchanges the names of the classes.
    let free = options();
    let dataset = Dataset::new(&cohort, &free).unwrap();
    let (within, _) = exchange(&dataset, &free, &both).unwrap();
    let (all, least) = shuffles(&dataset, &within, &ask(MASK_VOLUME, 100)).unwrap();
    assert_eq!((all.len(), least), (63, 2.0 / 64.0));
    let families: BTreeSet<bool> =
        (0..all.len()).map(|n| all.get(n).order.iter().enumerate().all(|(to, from)| to / 2 == from / 2)).collect();
    assert_eq!(families, BTreeSet::from([true]));
}

/// Whatever the order of the table, all arrangements are the choices of four of eight, each once.
#[test]
fn all_arrangements_differ() {
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { epochs: 1, ..options() };
    let run = trained(folder.path(), 8, &options);
    let cohort = run.cohort().unwrap();
    let dataset = Dataset::new(&cohort, &options).unwrap();
    let engine = engine(1);
    let tables =
        [[0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1], [1, 0, 0, 1, 1, 1, 0, 0]];
    for labels in tables {
        let dataset = dataset.relabelled(labels.to_vec(), None);
        let subject = Subject::of(&run, &dataset, &options, MASK_VOLUME, &engine, &Silent).unwrap();
        let (all, _) = shuffles(&dataset, &Exchange::default(), &ask(MASK_VOLUME, 100)).unwrap();
        let mut seen: BTreeSet<Vec<usize>> = (0..all.len()).map(|n| subject.labels(&all.get(n)).labels).collect();
        assert!(seen.iter().all(|l| l.iter().sum::<usize>() == 4));
        seen.insert(labels.to_vec());
        assert_eq!((all.len(), seen.len()), (69, 70), "{labels:?}");
    }
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), 12, &TrainOptions { epochs: 1, ..options() });
    let refused = |options: &PermuteOptions| permute(&run, options, &engine(1), &Silent).unwrap_err().to_string();
    assert!(refused(&ask("majority-class", 10)).contains("no classifier of this run that is tested"));
    assert!(refused(&ask("ridge-voxels", 10)).contains("no classifier"));
    assert!(refused(&ask(CNN, 0)).contains("0 permutations"));
    let column = PermuteOptions { blocks: Some("site".into()), ..ask(MASK_VOLUME, 10) };
    assert!(refused(&column).contains("site"));
    // Somebody's label is another one now.
    let table = folder.path().join("cohort/participants.tsv");
    let text = std::fs::read_to_string(&table).unwrap();
    let changed = text.replacen("00\ta", "00\tb", 1);
    assert_ne!(text, changed);
    std::fs::write(&table, changed).unwrap();
    let said = refused(&ask(MASK_VOLUME, 10));
    assert!(said.contains("00 is a there"), "{said}");
    // Two scans of each of six people, as it says now: other folds.
    let person = |(n, line): (usize, &str)| match n.checked_sub(1) {
        None => format!("{line}\tperson\n"),
        Some(n) => format!("{line}\tp{}{}\n", n % 2, n / 4),
    };
    std::fs::write(&table, text.lines().enumerate().map(person).collect::<String>()).unwrap();
    let said = refused(&ask(MASK_VOLUME, 10));
    assert!(said.contains("would hold out others than it did"), "{said}");
    std::fs::write(&table, text).unwrap();
    assert!(permute(&run, &ask(MASK_VOLUME, 10), &engine(1), &Silent).is_ok());
}

/// Observed 0.8; permuted 0.5, 0.8 and 0.9: two reach it, p = 3 / 4; of an error, 0.5 and 0.8 do.
#[test]
fn by_hand() {
    let number = |smaller_is_better| PermutedNumber {
        name: "AUC".into(),
        smaller_is_better,
        observed: 0.8,
        permuted: vec![0.5, 0.8, 0.9],
        p: 1.0,
    };
    assert_eq!((number(false).reached(), number(true).reached()), (2, 2));
    assert_eq!(PermutedNumber { permuted: vec![0.7, 0.81, 0.9], ..number(true) }.reached(), 1);
    // numpy.percentile([0.5, 0.8, 0.9], [2.5, 97.5])
    let [low, high] = number(false).middle();
    assert!((low - 0.515).abs() < 1e-12 && (high - 0.895).abs() < 1e-12, "{low} {high}");
}
