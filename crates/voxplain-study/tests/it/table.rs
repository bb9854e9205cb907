//! A table of measurements in place of volumes.

use crate::support::Heard;
use std::path::{Path, PathBuf};
use voxplain_core::{Result, random::Seed};
use voxplain_nn::{Engine, EngineOptions};
use voxplain_study::{
    folds::SplitScheme,
    run::ChanceVerdict,
    train::{Copies, TableRecord, TableTraining, TaskKind, TrainOptions, train_table},
};

/// Thirty people, the first column larger in `b`; the last five rows are of people who are there already.
fn rows(signal: f64) -> Vec<Vec<String>> {
    let mut random = Seed::new(4).random();
    let mut row = |n: usize| {
        let class = n % 2;
        let left = signal * class as f64 + random.normal();
        vec![
            format!("p{n:02}"),
            ["a", "b"][class].to_owned(),
            ["X", "Y", "Z"][n % 3].to_owned(),
            format!("{}", 20 + 3 * n % 40),
            format!("{left:.4}"),
            format!("{:.4}", random.normal()),
            format!("{:.4}", random.normal()),
        ]
    };
    (0..60).chain(0..5).map(&mut row).collect()
}

fn written(folder: &Path, rows: &[Vec<String>]) -> PathBuf {
    let path = folder.join("t.csv");
    let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    std::fs::write(&path, format!("sub_id,group,site,age,left,right,thick\n{}\n", lines.join("\n"))).unwrap();
    path
}

fn go(folder: &Path, path: &Path, options: &TrainOptions, force: bool) -> Result<TableTraining> {
    hear(folder, path, options, force).0
}

fn hear(folder: &Path, path: &Path, options: &TrainOptions, force: bool) -> (Result<TableTraining>, Heard) {
    let engine = Engine::new(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
    let heard = Heard::default();
    (train_table(path, options, &folder.join("out"), force, &engine, &heard), heard)
}

fn options(label: &str) -> TrainOptions {
    TrainOptions { label: label.into(), split: SplitScheme::Folds(5), ..TrainOptions::default() }
}

/// What is there is found, with everyone on one side of each split; where nothing is, that is said.
#[test]
fn classes_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &rows(3.0));
    let with = TrainOptions { covariates: vec!["age".into(), "site".into()], ..options("group") };
    let found = go(folder.path(), &path, &with, false).unwrap();
    let metrics = found.metrics.classes().unwrap();
    assert_eq!((metrics.people, metrics.grouped_by.as_deref()), (Some(60), Some("person")));
    assert!(metrics.of("logistic-table").unwrap().auc.as_ref().unwrap().value > 0.9);
    assert!(metrics.of("svm-table").unwrap().auc.as_ref().unwrap().value > 0.9);
    assert!(metrics.of("boosting-table").unwrap().auc.as_ref().unwrap().value > 0.9);
    assert!(metrics.of("covariates").is_some() && metrics.of("cnn").is_none());
    assert!(
        metrics.summary[0].starts_with("Logistic regression tells a and b apart better than guessing"),
        "{:?}",
        metrics.summary
    );
    // Both rows of a person are held out in one fold.
    let predictions = std::fs::read_to_string(folder.path().join("out/predictions.tsv")).unwrap();
    let folds = |id: &str| -> Vec<String> {
        let of = predictions.lines().filter(|line| line.starts_with(&format!("sub-{id}\t")));
        of.map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect()
    };
    assert!(folds("p03").len() == 2 && folds("p03")[0] == folds("p03")[1], "{:?}", folds("p03"));
    // Again it is the same; other options need to be asked for.
    assert_eq!(&go(folder.path(), &path, &with, false).unwrap().metrics.classes().unwrap().summary, &metrics.summary);
    let error = go(folder.path(), &path, &options("group"), false).unwrap_err().to_string();
    assert!(error.ends_with("there is a training on a table already, of another table or other options"), "{error}");
    let path = written(folder.path(), &rows(0.0));
    let nothing = go(folder.path(), &path, &options("group"), true).unwrap();
    let metrics = nothing.metrics.classes().unwrap();
    assert_ne!(metrics.chance.as_ref().unwrap().verdict, ChanceVerdict::Better);
    assert!(!folder.path().join("out/predictions-covariates.tsv").exists(), "of the other options");
}

#[test]
fn a_value_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = rows(0.0);
    all.truncate(60);
    all.iter_mut().for_each(|row| {
        let age: f64 = row[3].parse().unwrap();
        let noise: f64 = row[4].parse().unwrap();
        row[4] = format!("{:.3}", 1000.0 - 5.0 * age + 3.0 * noise);
    });
    let path = written(folder.path(), &all);
    let found = go(folder.path(), &path, &options("age"), false).unwrap();
    let metrics = found.metrics.value().unwrap();
    assert!(metrics.of("ridge-table").unwrap().r2.as_ref().unwrap().value > 0.9, "{:?}", metrics.summary);
    assert!(metrics.of("boosting-table").unwrap().r2.as_ref().unwrap().value > 0.8, "{:?}", metrics.summary);
    assert!(
        metrics.summary[0].starts_with("Ridge regression predicts age better than the mean"),
        "{:?}",
        metrics.summary
    );
}

/// What is wrong with a table is said in one sentence, before anything is written.
#[test]
fn odd_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = |change: &dyn Fn(&mut Vec<Vec<String>>), options: &TrainOptions| {
        let mut all = rows(1.0);
        all.truncate(60);
        change(&mut all);
        let error = go(folder.path(), &written(folder.path(), &all), options, false).unwrap_err().to_string();
        assert!(!folder.path().join("out").exists(), "{error}");
        error
    };
    let group = options("group");
    let gives = error(
        &|all| all.iter_mut().for_each(|row| row[5] = if row[1] == "a" { "0".into() } else { "1".into() }),
        &group,
    );
    assert!(gives.ends_with("a column gives the label away: right"), "{gives}");
    let copies = error(
        &|all| {
            let first = all[0].clone();
            all[1..5].iter_mut().for_each(|row| row[4..].clone_from_slice(&first[4..]));
        },
        &group,
    );
    assert!(
        copies.contains(
            " pairs of rows are so alike that they may be of one person, and would be on both sides of a split: p00 and p0"
        ) && copies.contains(" (the same), "),
        "{copies}"
    );
    let word = error(&|all| all[7][4] = "big".into(), &group);
    assert!(word.ends_with("column left holds `big` among numbers, in row 8 (p07)"), "{word}");
    let none = error(&|all| all[3][1] = String::new(), &group);
    assert!(none.ends_with("1 of 60 rows has no group: p03"), "{none}");
    let network = error(&|_| {}, &TrainOptions { epochs: 3, ..group.clone() });
    assert_eq!(network, "epochs is an option of networks, and a table is learnt without one");
    assert!(error(&|_| {}, &options("sex")).contains("there is no column `sex`"));
    assert!(
        error(&|all| all[0][0] = String::new(), &group).ends_with("row 1 has no value in the column of ids, sub_id")
    );
    let ids = error(&|_| {}, &TrainOptions { task: Some(TaskKind::Class), ..options("sub_id") });
    assert!(ids.ends_with("the column sub_id is the label, and would be taken for the ids of people"), "{ids}");
    let divided = error(&|all| all[1][0] = "p00".into(), &TrainOptions { group: Some("site".into()), ..group });
    assert_eq!(divided, "column site divides p00, who is in group X and in group Y");
}

/// Before anything is trained it is said who is learnt from, from what, and how.
#[test]
fn it_is_said_what_will_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &rows(0.3));
    let (found, heard) = hear(folder.path(), &path, &options("group"), false);
    found.unwrap();
    let before = heard.starting("before training");
    assert_eq!(
        before[0],
        "before training: 65 rows of 60 people are learnt from; ids are those of the column sub_id; group: a (33), b (32). 5-fold \
         cross-validation, stratified by class; no person on both sides of a split. Logistic regression, a linear support vector machine and \
         gradient boosting are to be fitted to 3 columns: columns are standardised and penalties and numbers of trees chosen inside the \
         training part of each fold"
    );
    assert!(
        before[1].contains("no column is shown to go with group (60 people, of each the first row; 2 columns tested"),
        "{before:?}"
    );
    assert_eq!(before.len(), 2);
    let imbalance = std::fs::read_to_string(folder.path().join("out/imbalance.json")).unwrap();
    assert!(imbalance.contains("\"column\": \"age\"") && imbalance.contains("\"column\": \"site\""), "{imbalance}");
    assert_eq!(
        heard.starting("not learnt from"),
        ["not learnt from, since by their names they are no measurements of the brain: site, age"]
    );
    assert_eq!(heard.starting("t.csv"), ["t.csv: 3 columns of 65 subjects: left, right, thick"]);
}

/// No word is of a network, of two and three classes and of a value.
#[test]
fn no_word_is_of_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &rows(1.0));
    for label in ["group", "site", "age"] {
        let (found, heard) = hear(folder.path(), &path, &options(label), true);
        found.unwrap();
        let metrics = std::fs::read_to_string(folder.path().join("out/metrics.json")).unwrap();
        for text in std::iter::once(metrics).chain(heard.about("")) {
            let text = text.to_lowercase();
            assert!(!text.contains("cnn") && !text.contains("network") && !text.contains("image"), "{text}");
        }
    }
}

/// Empty cells in one class alone are refused, more of them in one than in the other are said, and those by chance are not.
#[test]
fn empty_cells_do_not_tell_the_class() {
    let folder = tempfile::tempdir().unwrap();
    let (group, age) = (options("group"), options("age"));
    let with = |is_empty: &dyn Fn(usize) -> bool, options: &TrainOptions| {
        let mut all = rows(0.0);
        all.truncate(60);
        all.iter_mut().enumerate().filter(|(n, _)| is_empty(*n)).for_each(|(_, row)| row[5] = String::new());
        hear(folder.path(), &written(folder.path(), &all), options, true)
    };
    // Rows of even numbers are of class a.
    let error = with(&|n| n % 4 == 0, &group).0.unwrap_err().to_string();
    assert!(
        error.starts_with(
            "empty cells give the label away, since they are in one class alone: right (empty in class a for 15 of 30, in class b for 0 of 30; p < 0.001)"
        ),
        "{error}"
    );
    let error = with(&|n| n % 2 == 0 || n > 50, &group).0.unwrap_err().to_string();
    assert!(error.contains("right (empty in class a for 30 of 30, in class b for 5 of 30; p < 0.001)"), "{error}");
    let (found, heard) = with(&|n| n % 4 == 0 || n == 1, &group);
    found.unwrap();
    let said =
        heard.starting("whether a cell is empty goes with group: right (empty in class a for 15 of 30, in class b for 1 of 30; p < 0.001)");
    assert_eq!(said.len(), 1, "{:?}", heard.0);
    let (found, heard) = with(&|n| n < 12, &group);
    found.unwrap();
    assert!(heard.about("empty goes").is_empty(), "{:?}", heard.0);
    assert!(heard.about("empty cells filled with the mean").len() == 1, "{:?}", heard.0);
    // One of 30 is no evidence.
    with(&|n| n == 2, &group).0.unwrap();
    // Of a value: ages rise from 20 to 59, over and over.
    let (found, heard) = with(&|n| 3 * n % 40 > 28, &age);
    found.unwrap();
    assert_eq!(heard.starting("whether a cell is empty goes with age: right (mean ").len(), 1, "{:?}", heard.0);
}

/// A column that tells the label by itself is named, and one that is as good as the others, or good by chance, is not.
#[test]
fn a_column_that_tells_the_label_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let with = |change: &dyn Fn(usize, &mut Vec<String>), label: &str| {
        let mut all = rows(0.3);
        all.truncate(60);
        all.iter_mut().enumerate().for_each(|(n, row)| change(n, row));
        let (found, heard) = hear(folder.path(), &written(folder.path(), &all), &options(label), true);
        found.unwrap();
        heard.about("by itself")
    };
    // A score of 20 and more in class b, with two who are not.
    let score = |n: usize, row: &mut Vec<String>| {
        let high = (n % 2 == 1) != (n == 8 || n == 15);
        row[5] = format!("{}", if high { 20 + n % 7 } else { 2 + n % 9 });
    };
    let said = with(&score, "group");
    assert!(said.len() == 1 && said[0].starts_with("1 column tells group by itself: right (AUC 0.9"), "{said:?}");
    assert!(said[0].contains("; the next has 0.") && said[0].ends_with("take it out of the table"), "{said:?}");
    assert!(with(&|_, _| {}, "group").is_empty());
    let other = |n: usize, row: &mut Vec<String>| {
        let age: f64 = row[3].parse().unwrap();
        row[5] = format!("{:.1}", 2.0 * age + (n % 5) as f64);
    };
    let said = with(&other, "age");
    assert!(said.len() == 1 && said[0].starts_with("1 column tells age by itself: right (r 0.99"), "{said:?}");
}

/// Sixty people with twelve measurements about 5, and one more who is somebody else by other numbers.
fn wide(seed: u64, copy: &dyn Fn(f64) -> f64) -> String {
    let mut random = Seed::new(seed).random();
    let mut all: Vec<Vec<f64>> = (0..60).map(|_| (0..12).map(|_| 5.0 + random.normal()).collect()).collect();
    all.push(all[10].iter().map(|v| copy(*v)).collect());
    let row = |(n, row): (usize, &Vec<f64>)| {
        let cells: Vec<String> = row.iter().map(|v| format!("{v:.4}")).collect();
        format!("p{n:02},{},{}", ["a", "b"][n / 2 % 2], cells.join(","))
    };
    let names: Vec<String> = (0..12).map(|c| format!("v{c}")).collect();
    let rows: Vec<String> = all.iter().enumerate().map(row).collect();
    format!("participant_id,group,{}\n{}\n", names.join(","), rows.join("\n"))
}

/// A row with other numbers is found: rounded, moved, scaled, with little noise; nobody else is.
#[test]
fn nearly_the_same_row_under_two_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let group = TrainOptions { split: SplitScheme::Folds(3), ..options("group") };
    let with = |seed: u64, copy: &dyn Fn(f64) -> f64, asked: Copies| {
        std::fs::write(&path, wide(seed, copy)).unwrap();
        hear(folder.path(), &path, &TrainOptions { near_duplicates: asked, ..group.clone() }, true)
    };
    let copies: [(&str, &dyn Fn(f64) -> f64); 5] = [
        ("the same", &|v| v),
        ("rounded", &|v| (v * 10.0).round() / 10.0),
        ("moved", &|v| v + 0.7),
        ("scaled", &|v| v * 1.1),
        ("noisy", &|v| v + 0.05 * (1000.0 * v).sin()),
    ];
    for (name, copy) in copies {
        for seed in 0..3 {
            let error = with(seed, copy, Copies::Refuse).0.err().map(|e| e.to_string());
            let error = error.unwrap_or_else(|| panic!("{name} {seed} was not found"));
            assert!(
                error.starts_with("1 pair of rows is so alike") && error.contains(": p10 and p60 ("),
                "{name}: {error}"
            );
        }
    }
    // People of whom none is another.
    for seed in 0..5 {
        let other = |v: f64| 5.0 + ((v * 1e4).sin() * 43.0).fract() * 1.7;
        with(seed, &other, Copies::Refuse).0.unwrap();
    }
    let (found, heard) = with(0, &|v| v + 0.7, Copies::Warn);
    found.unwrap();
    assert_eq!(heard.starting("1 pair of rows is so alike").len(), 1);
    let record: TableRecord =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("out/table.json")).unwrap()).unwrap();
    let copies = record.near_duplicates.unwrap();
    assert!(copies.pairs.len() == 1 && copies.pairs[0].distance < 0.1 && copies.next.unwrap().distance > 0.3);
    let (found, heard) = with(0, &|v| v, Copies::Off);
    found.unwrap();
    assert!(heard.about("alike").is_empty());
}

/// A decimal point that was lost, and a code for what is missing, are told; what is merely large is not.
#[test]
fn cells_far_from_all_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = rows(0.0);
    (all[7][5], all[9][6], all[11][4]) = ("2500".into(), "-999".into(), "4.5".into());
    let (found, heard) = hear(folder.path(), &written(folder.path(), &all), &options("group"), false);
    found.unwrap();
    let [told] = <[String; 1]>::try_from(heard.about("far from all others")).unwrap();
    assert!(
        told.starts_with("2 cells are far from all others of their column: right of p07 is 2500 (median "),
        "{told}"
    );
    assert!(told.contains("thick of p09 is -999 (median ") && !told.contains("p11"), "{told}");
}

/// Rows of one id with the same measurements are no leak, but count twice.
#[test]
fn a_row_that_counts_twice_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = rows(0.0);
    let first = all[0].clone();
    all[60][4..].clone_from_slice(&first[4..]);
    let (found, heard) = hear(folder.path(), &written(folder.path(), &all), &options("group"), false);
    found.unwrap();
    assert_eq!(
        heard.about("counts twice"),
        [
            "1 row has the measurements of another row on the same side of every split, number by number, and counts twice in all results: p00"
        ]
    );
}
