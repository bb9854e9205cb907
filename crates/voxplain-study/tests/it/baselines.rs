//! Baselines with a tuned penalty, and those of tables, beside scikit-learn.

use serde_json::Value;
use voxplain_core::{Silent, random::Seed};
use voxplain_stats::FoldPrediction;
use voxplain_study::{
    comparators::{
        ClassificationTask, Features, ValueTask, boosting_features, boosting_values, covariates, inner_products,
        logistic_of_gram, logistic_voxels, ridge_features, ridge_voxels, svm_voxels,
    },
    folds::{Split, SplitScheme, splits},
};

const TRAIN: usize = 40;

fn reference() -> Value {
    serde_json::from_str(include_str!("fixtures/baselines.json")).unwrap()
}

fn of<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Trained on the first 40 and asked about the others.
fn split(count: usize) -> [Split; 1] {
    [Split { train: (0..TRAIN).collect(), test: (TRAIN..count).collect() }]
}

fn inner(labels: &[usize]) -> String {
    let seed = Seed::new(3).child("inner").index(0);
    let folds = splits(&labels[..TRAIN], None, SplitScheme::Folds(5), seed).unwrap();
    (0..TRAIN).map(|n| folds.iter().position(|fold| fold.test.contains(&n)).unwrap().to_string()).collect()
}

fn close(found: &[FoldPrediction], expected: &[Vec<f64>], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        for (a, b) in found.probabilities.iter().zip(expected) {
            assert!((a - b).abs() < tolerance, "{what}: {:?} and {expected:?}", found.probabilities);
        }
    }
}

/// scikit-learn 1.9: `LogisticRegression` of two and three classes and `SVC` with Platt's probabilities, each with the C of the least loss in
/// the same inner folds.
#[test]
fn tuned_as_scikit_learn() {
    let all = reference();
    let x: Vec<Vec<f32>> = of(&all["x"]);
    let gram = inner_products(x.len(), |n| Ok(x[n].clone())).unwrap();
    let splits = split(x.len());
    for classes in [2, 3] {
        let labels: Vec<usize> = of(&all[format!("truth{classes}")]);
        assert_eq!(all[format!("inner{classes}")].as_str().unwrap(), inner(&labels), "the folds of the generator");
        let task = ClassificationTask { labels: &labels, groups: None, classes, splits: &splits, balanced: false };
        let found = logistic_voxels(&gram, &task, Seed::new(3), &Silent).unwrap();
        assert_eq!(found.chosen.untuned(), 0);
        let expected: Vec<Vec<f64>> = of(&all[format!("logistic{classes}")]["probabilities"]);
        close(&found.predictions, &expected, 1e-5, "logistic");
        let power = all[format!("logistic{classes}")]["power"].as_i64().unwrap();
        assert_eq!(found.chosen.folds, [[10f64.powi(-i32::try_from(power).unwrap())]]);
        if classes == 2 {
            let found = svm_voxels(&gram, &task, Seed::new(3), &Silent).unwrap().unwrap();
            let expected: Vec<f64> = of(&all["svm"]["probabilities"]);
            let expected: Vec<Vec<f64>> = expected.into_iter().map(|p| vec![1.0 - p, p]).collect();
            close(&found.predictions, &expected, 1e-3, "svm");
            assert_eq!(
                found.chosen.folds,
                [[10f64.powi(-i32::try_from(all["svm"]["power"].as_i64().unwrap()).unwrap())]]
            );
        }
    }
}

/// scikit-learn 1.9: standardised and one-hot columns, in `LogisticRegression(C=1)` and `RidgeCV`; one of those asked about is of a site
/// that nobody trained on is of.
#[test]
fn covariates_as_scikit_learn() {
    let all = reference();
    let (age, site): (Vec<f64>, Vec<String>) = (of(&all["age"]), of(&all["site"]));
    let written: Vec<String> = age.iter().map(f64::to_string).collect();
    let terms = [
        ("age".to_owned(), written.iter().map(|v| Some(v.as_str())).collect()),
        ("site".to_owned(), site.iter().map(|v| Some(v.as_str())).collect()),
    ];
    let features = Features::of(&terms, age.len(), &[]).unwrap();
    let splits = split(age.len());
    let labels: Vec<usize> = of(&all["truth2"]);
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
    let expected: Vec<Vec<f64>> = of(&all["covariates"]);
    close(&covariates(&features, &task), &expected, 1e-5, "covariates");
    let values: Vec<f64> = of(&all["value"]);
    let task = ValueTask { values: &values, groups: None, splits: &splits };
    let expected: Vec<f64> = of(&all["ridge"]);
    for (found, expected) in ridge_features(&features, &task).predictions.iter().zip(expected) {
        assert!((found.predicted - expected).abs() < 1e-6, "{} {expected}", found.predicted);
    }
}

/// The trees of scikit-learn 1.9, of two and three classes and of a value, with cells without a value; as many of them as have the least loss
/// in the same inner folds, but for three that hang on which of two equally good splits is taken there.
#[test]
fn boosting_as_scikit_learn() {
    let all: Value = serde_json::from_str(include_str!("fixtures/boosting.json")).unwrap();
    let x: Vec<Vec<Option<f64>>> = of(&all["x"]);
    let train = 160;
    let written: Vec<Vec<Option<String>>> =
        x.iter().map(|row| row.iter().map(|v| v.map(|v| v.to_string())).collect()).collect();
    let terms: Vec<(String, Vec<Option<&str>>)> =
        (0..x[0].len()).map(|c| (format!("c{c}"), written.iter().map(|row| row[c].as_deref()).collect())).collect();
    let features = Features::of(&terms, x.len(), &[]).unwrap();
    let inner = |labels: &[usize]| {
        let seed = Seed::new(3).child("inner").index(0);
        let folds = splits(&labels[..train], None, SplitScheme::Folds(5), seed).unwrap();
        (0..train)
            .map(|n| folds.iter().position(|fold| fold.test.contains(&n)).unwrap().to_string())
            .collect::<String>()
    };
    let splits = [Split { train: (0..train).collect(), test: (train..x.len()).collect() }];
    for classes in [2, 3] {
        let labels: Vec<usize> = of(&all[format!("truth{classes}")]);
        assert_eq!(all["inner"][classes.to_string()].as_str().unwrap(), inner(&labels), "the folds of the generator");
        let task = ClassificationTask { labels: &labels, groups: None, classes, splits: &splits, balanced: false };
        let found = boosting_features(&features, &task, Seed::new(3), &Silent).unwrap().unwrap();
        let expected: Vec<Vec<Vec<f64>>> = of(&all[format!("said{classes}")]);
        let found: Vec<f64> = found.predictions.iter().flat_map(|p| p.probabilities.clone()).collect();
        is_one_of(&found, &expected.iter().map(|stage| stage.concat()).collect::<Vec<_>>(), 1e-9);
    }
    let values: Vec<f64> = of(&all["value"]);
    assert_eq!(all["inner"]["value"].as_str().unwrap(), inner(&vec![0; values.len()]), "the folds of the generator");
    let task = ValueTask { values: &values, groups: None, splits: &splits };
    let found = boosting_values(&features, &task, Seed::new(3), &Silent).unwrap().unwrap();
    let found: Vec<f64> = found.predictions.iter().map(|p| p.predicted).collect();
    is_one_of(&found, &of::<Vec<Vec<f64>>>(&all["said_value"]), 1e-6);
}

/// What is said after one of these stages.
fn is_one_of(found: &[f64], stages: &[Vec<f64>], tolerance: f64) {
    let near = |stage: &Vec<f64>| found.iter().zip(stage).all(|(a, b)| (a - b).abs() < tolerance);
    assert!(stages.iter().all(|stage| stage.len() == found.len()) && stages.iter().any(near), "{found:?}\n{stages:?}");
}

/// Nobody's own label reaches what is said of them, also where the penalty is chosen.
#[test]
fn a_label_does_not_reach_its_own_prediction() {
    let mut random = Seed::new(8).random();
    let x: Vec<Vec<f32>> = (0..36).map(|_| (0..40).map(|_| random.normal() as f32).collect()).collect();
    let gram = inner_products(36, |n| Ok(x[n].clone())).unwrap();
    let mut labels: Vec<usize> = (0..36).map(|n| n % 2).collect();
    let groups: Vec<usize> = (0..36).map(|n| n / 4).collect();
    let splits = splits(&labels, Some(&groups), SplitScheme::Folds(3), Seed::new(0)).unwrap();
    let said = |labels: &[usize], subject: usize| {
        let task = ClassificationTask { labels, groups: Some(&groups), classes: 2, splits: &splits, balanced: true };
        let logistic = logistic_voxels(&gram, &task, Seed::new(1), &Silent).unwrap();
        let svm = svm_voxels(&gram, &task, Seed::new(1), &Silent).unwrap().unwrap();
        let of = |all: &[FoldPrediction]| all.iter().find(|p| p.subject == subject).unwrap().probabilities.clone();
        [of(&logistic.predictions), of(&svm.predictions)]
    };
    let before = said(&labels, 7);
    labels[7] = 1 - labels[7];
    assert_eq!(said(&labels, 7), before);
}

/// Where a class has one person in the training part, no penalty is chosen, and a support vector machine has no probability.
#[test]
fn too_few_for_inner_folds() {
    let x: Vec<Vec<f32>> = (0..8).map(|n| vec![n as f32, (n * n % 5) as f32]).collect();
    let gram = inner_products(8, |n| Ok(x[n].clone())).unwrap();
    let labels = [0, 0, 0, 1, 0, 0, 1, 0];
    let splits = [Split { train: (0..6).collect(), test: vec![6, 7] }];
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
    assert_eq!(logistic_voxels(&gram, &task, Seed::new(0), &Silent).unwrap().chosen.untuned(), 1);
    assert!(svm_voxels(&gram, &task, Seed::new(0), &Silent).unwrap().is_none());
}

/// The maps of a fold, written out: weights give the differences of logits (and decision values of a ridge regression), and the pattern is
/// the covariance of a voxel with the decision value, divided by the variance of that.
#[test]
fn maps_of_linear_models_are_those_of_the_voxels() {
    let all = reference();
    let x: Vec<Vec<f32>> = of(&all["x"]);
    let gram = inner_products(x.len(), |n| Ok(x[n].clone())).unwrap();
    let splits = split(x.len());
    let labels: Vec<usize> = of(&all["truth2"]);
    let values: Vec<f64> = of(&all["value"]);
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: true };
    let logistic = logistic_voxels(&gram, &task, Seed::new(3), &Silent).unwrap();
    let svm = svm_voxels(&gram, &task, Seed::new(3), &Silent).unwrap().unwrap();
    let of_value = ValueTask { values: &values, groups: None, splits: &splits };
    let ridge = ridge_voxels(&gram, &of_value);
    let logits: Vec<f64> =
        logistic.predictions.iter().map(|p| (p.probabilities[1] / p.probabilities[0]).ln()).collect();
    let predicted: Vec<f64> = ridge.predictions.iter().map(|p| p.predicted).collect();
    for (model, said) in
        [(&logistic.linear[0], Some(logits)), (&svm.linear[0], None), (&ridge.linear[0], Some(predicted))]
    {
        let sum = |counts: &[f64], v: usize| (0..TRAIN).map(|n| counts[n] * f64::from(x[n][v])).sum::<f64>();
        let map = |counts: &[f64]| (0..x[0].len()).map(|v| sum(counts, v)).collect::<Vec<f64>>();
        let (weights, pattern) = (map(&model.weights), map(&model.pattern));
        let decide = |n: usize| weights.iter().zip(&x[n]).map(|(w, x)| w * f64::from(*x)).sum::<f64>();
        if let Some(said) = said {
            for (n, said_of) in said.iter().enumerate() {
                let difference = decide(TRAIN + n) - decide(TRAIN);
                assert!((difference - (said_of - said[0])).abs() < 1e-4, "{n}: {difference} {}", said_of - said[0]);
            }
        }
        let decided: Vec<f64> = (0..TRAIN).map(decide).collect();
        let mean = decided.iter().sum::<f64>() / TRAIN as f64;
        let variance = decided.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / TRAIN as f64;
        for v in 0..x[0].len() {
            let covariance = (0..TRAIN).map(|n| f64::from(x[n][v]) * (decided[n] - mean)).sum::<f64>() / TRAIN as f64;
            let expected = covariance / variance;
            assert!((pattern[v] - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{v}: {} {expected}", pattern[v]);
        }
    }
}

/// What is left of the volumes when columns are regressed out, written out voxel by voxel, gives the same predictions.
#[test]
fn covariates_are_regressed_out_voxel_by_voxel() {
    let all = reference();
    let x: Vec<Vec<f32>> = of(&all["x"]);
    let age: Vec<f64> = of(&all["age"]);
    let labels: Vec<usize> = of(&all["truth2"]);
    let written: Vec<String> = age.iter().map(f64::to_string).collect();
    let terms = [("age".to_owned(), written.iter().map(|v| Some(v.as_str())).collect())];
    let features = Features::of(&terms, age.len(), &[]).unwrap();
    let splits = split(x.len());
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
    let gram = inner_products(x.len(), |n| Ok(x[n].clone())).unwrap();
    let found = logistic_of_gram(&gram, &features, &task, Seed::new(3), &Silent).unwrap();
    let mean = |of: &dyn Fn(usize) -> f64| (0..TRAIN).map(of).sum::<f64>() / TRAIN as f64;
    let centre = mean(&|n| age[n]);
    let left: Vec<Vec<f32>> = (0..x.len())
        .map(|n| {
            let voxel = |v: usize| {
                let value = |n: usize| f64::from(x[n][v]);
                let slope = mean(&|n| (age[n] - centre) * value(n)) / mean(&|n| (age[n] - centre).powi(2));
                (value(n) - mean(&value) - slope * (age[n] - centre)) as f32
            };
            (0..x[0].len()).map(voxel).collect()
        })
        .collect();
    let gram = inner_products(x.len(), |n| Ok(left[n].clone())).unwrap();
    let expected = logistic_voxels(&gram, &task, Seed::new(3), &Silent).unwrap();
    let expected: Vec<Vec<f64>> = expected.predictions.into_iter().map(|p| p.probabilities).collect();
    close(&found.predictions, &expected, 1e-4, "residuals");
    let plain = logistic_voxels(&inner_products(x.len(), |n| Ok(x[n].clone())).unwrap(), &task, Seed::new(3), &Silent);
    assert_ne!(plain.unwrap().predictions, found.predictions);
}
