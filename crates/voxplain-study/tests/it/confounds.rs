//! What confounds explain.

use crate::support::engine;
use voxplain_core::Silent;
use voxplain_study::{
    confounds::{AS_IS, ConfoundOptions, Confounds, confounds},
    folds::SplitScheme,
    simulate::{SimulateOptions, simulate},
    train::{TrainOptions, train},
};

/// Cases are larger by size alone: what the linear model has is gone with the volume of the masks, an arm that is the run itself differs in
/// nothing, and the volumes tell the volume. A run on other people is refused.
#[test]
fn size_explains_a_difference_of_size() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, subjects: usize, seed: u64| {
        let options = SimulateOptions {
            subjects,
            shape: [22, 28, 22],
            spacing: 7.0,
            effects: Vec::new(),
            size_effect: 0.15,
            seed,
            ..SimulateOptions::default()
        };
        let cohort = simulate(&folder.path().join(name), &options, false, &Silent).unwrap();
        let options = TrainOptions {
            label: "label".into(),
            epochs: 1,
            width: Some(1),
            split: SplitScheme::Folds(4),
            ..TrainOptions::default()
        };
        let out = folder.path().join(format!("{name}-run"));
        train(&cohort, &options, &out, false, &engine(2), &Silent, &Silent).unwrap().run
    };
    let run = made("a", 40, 5);
    let arms = [("itself".to_owned(), run.clone())];
    let found = confounds(&run, &arms, &ConfoundOptions::default(), &engine(2), &Silent).unwrap();
    let row = |model: &str, arm: &str| found.arms.iter().find(|a| a.model == model && a.arm == arm).unwrap();
    assert_eq!(row("cnn", "itself").difference.as_ref().unwrap().value, 0.0);
    let linear = row("logistic-voxels", "itself").difference.as_ref().unwrap().value;
    assert!(linear.abs() < 1e-9, "{linear}");
    let (whole, without) =
        (row("logistic-voxels", AS_IS), row("logistic-voxels", "without mask volume, voxel by voxel"));
    assert!(whole.area.value > 0.8, "{whole:?}");
    let gone = without.explained.as_ref().unwrap().value;
    assert!(gone > 0.5 && without.difference.as_ref().unwrap().value < 0.0, "{without:?}");
    // By hand: 1 less the ratio of both, above 0.5.
    assert!((gone - (1.0 - (without.area.value - 0.5) / (whole.area.value - 0.5))).abs() < 1e-12);
    assert!(found.reverse[0].of == "mask volume" && found.reverse[0].r.value > 0.8, "{:?}", found.reverse);
    assert_eq!(found.summary.len(), found.arms.len() + found.reverse.len());
    assert_eq!(Confounds::read(&run).unwrap(), Some(found));
    let arms = [("others".to_owned(), made("b", 24, 6))];
    let error = confounds(&run, &arms, &ConfoundOptions::default(), &engine(2), &Silent).unwrap_err().to_string();
    assert!(error.contains("the arm others says nothing of"), "{error}");
    let label = ConfoundOptions { covariates: vec!["label".into()] };
    assert!(confounds(&run, &[], &label, &engine(2), &Silent).unwrap_err().to_string().contains("is the label itself"));
}
