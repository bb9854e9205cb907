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
    // A model leaves for other programs, once.
    let export = "export run/folds/fold-1/model.safetensors --onnx net.onnx";
    let (done, words) = run(&first, export);
    assert!(done && words.contains("[N, 1, 30, 36, 30] (voxels of 6 x 6 x 6 mm"), "{words}");
    let (done, words) = run(&first, export);
    assert!(!done && words.contains("net.onnx: is there already") && words.contains("--force"), "{words}");
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

#[test]
fn what_another_training_left_is_neither_shown_nor_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let train = "train cohort --label label --folds 2 --batch 4 --width 2 --out run";
    for line in [
        "simulate --out cohort --subjects 8 --grid 30x36x30 --spacing 6".into(),
        format!("{train} --epochs 1"),
        "explain run --method saliency".into(),
        "group run".into(),
        "evaluate run --metric deletion".into(),
    ] {
        let (done, words) = run(folder.path(), &line);
        assert!(done, "{line}: {words}");
    }
    std::fs::write(at("run/notes.txt"), "of the user").unwrap();
    for part in ["group", "evaluation", "sub-001"] {
        std::fs::rename(at("run").join(part), at(part)).unwrap();
    }
    let (done, words) = run(folder.path(), &format!("{train} --epochs 2 --force"));
    assert!(done, "{words}");
    assert!(!at("run/sub-002").exists(), "maps of the network of before");
    assert!(at("run/notes.txt").exists(), "what the user put there stays");
    // What was saved from the first network is put back beside the second.
    for part in ["group", "evaluation", "sub-001"] {
        std::fs::rename(at(part), at("run").join(part)).unwrap();
    }
    let (done, words) = run(folder.path(), "report run");
    assert!(done, "{words}");
    for file in ["group/summary.json", "evaluation/deletion.json", "sub-001_desc-saliency_attribution.nii.gz"] {
        assert!(words.contains(file), "{file}: {words}");
    }
    let page = std::fs::read_to_string(at("run/report.html")).unwrap();
    assert!(!page.contains("saliency: mean map"), "the page shows the map of another network");
    let (done, words) = run(folder.path(), "group run");
    assert!(!done && words.contains("no maps of the models that it has now"), "{words}");
}
