//! A table of measurements in place of volumes.

use std::path::{Path, PathBuf};
use voxplain_core::{Result, Silent, random::Seed};
use voxplain_nn::{Engine, EngineOptions};
use voxplain_study::{
    folds::SplitScheme,
    run::ChanceVerdict,
    train::{TableTraining, TrainOptions, train_table},
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
    let engine = Engine::new(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
    train_table(path, options, &folder.join("out"), force, &engine, &Silent)
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
    assert!(metrics.of("covariates").is_some() && metrics.of("cnn").is_none());
    assert!(
        metrics.summary[0].starts_with("Logistic regression tells a and b apart better than guessing"),
        "{:?}",
        metrics.summary
    );
    assert!(metrics.summary.iter().all(|line| !line.contains("CNN")), "{:?}", metrics.summary);
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
            all[2][4..].clone_from_slice(&first[4..]);
        },
        &group,
    );
    assert!(copies.ends_with("1 pair of different ids with the same measurements: p00 and p02"), "{copies}");
    let word = error(&|all| all[7][4] = "big".into(), &group);
    assert!(word.ends_with("column left holds `big` among numbers"), "{word}");
    let none = error(&|all| all[3][1] = String::new(), &group);
    assert!(none.ends_with("1 of 60 rows has no group: p03"), "{none}");
    let network = error(&|_| {}, &TrainOptions { epochs: 3, ..group.clone() });
    assert_eq!(network, "epochs is an option of networks, and a table is learnt without one");
    assert!(error(&|_| {}, &options("sex")).contains("there is no column `sex`"));
    assert!(
        error(&|all| all[0][0] = String::new(), &group).ends_with("row 1 has no value in the column of ids, sub_id")
    );
}
