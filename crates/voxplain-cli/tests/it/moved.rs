//! A run that is moved: with its cohort it works as before; alone it says what it lacks.

use crate::support::{text, voxplain};
use std::path::Path;

fn run(folder: &Path, line: &str) -> (bool, String) {
    let output = voxplain(folder, &line.split(' ').collect::<Vec<_>>()).output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn a_run_moves_with_its_cohort_and_asks_for_it_without() {
    let folder = tempfile::tempdir().unwrap();
    let (first, both, alone) = (folder.path().join("first"), folder.path().join("both"), folder.path().join("alone"));
    std::fs::create_dir(&first).unwrap();
    for line in [
        "simulate --out cohort --subjects 8 --grid 30x36x30 --spacing 6",
        "train cohort --label label --folds 2 --epochs 1 --batch 4 --width 2 --out run",
        "explain run --method saliency",
    ] {
        let (done, words) = run(&first, line);
        assert!(done, "{line}: {words}");
    }
    std::fs::rename(&first, &both).unwrap();
    let (done, words) = run(&both, "group run");
    assert!(done, "{words}");

    std::fs::create_dir(&alone).unwrap();
    std::fs::rename(both.join("run"), alone.join("run")).unwrap();
    let (done, words) = run(&alone, "group run");
    assert!(!done && words.contains("the cohort that this run was trained on is not found"), "{words}");
    assert!(words.contains("--cohort"), "{words}");
    let (done, words) = run(&alone, "group run --cohort ../both/cohort");
    assert!(done, "{words}");
    // Another cohort is not taken.
    let (done, words) = run(&alone, "simulate --out other --subjects 8 --grid 30x36x30 --spacing 6 --seed 7");
    assert!(done, "{words}");
    let (done, words) = run(&alone, "group run --cohort other");
    assert!(!done, "{words}");
}
