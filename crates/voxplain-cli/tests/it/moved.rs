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
    // It comes back without a word about its images, and neither verb writes over what it reads, by whatever name.
    let (done, words) = run(&first, "import net.onnx --out back.safetensors");
    assert!(done && words.contains("It takes brains inside masks with voxels of 6 x 6 x 6 mm"), "{words}");
    assert!(words.contains("classes case, control") && words.contains("was not checked"), "{words}");
    let (done, words) = run(&first, "inspect back.safetensors");
    assert!(
        done && words.contains("The network was imported from net.onnx, and its outputs were not compared"),
        "{words}"
    );
    #[cfg(unix)]
    std::os::unix::fs::symlink("net.onnx", first.join("link.onnx")).unwrap();
    let before = ["net.onnx", "back.safetensors"].map(|name| std::fs::read(first.join(name)).unwrap());
    for line in [
        "import net.onnx --out net.onnx --force",
        "import net.onnx --out run/../net.onnx --force",
        #[cfg(unix)]
        "import link.onnx --out net.onnx --force",
        #[cfg(unix)]
        "import net.onnx --out link.onnx --force",
        "import net.onnx --like back.safetensors --out back.safetensors --force",
        "export back.safetensors --onnx back.safetensors --force",
    ] {
        let (done, words) = run(&first, line);
        assert!(!done && words.contains("is read for what would be written over it"), "{line}: {words}");
    }
    assert_eq!(before, ["net.onnx", "back.safetensors"].map(|name| std::fs::read(first.join(name)).unwrap()));
    for (line, told) in [
        (
            "import net.onnx --spacing 2 --out other.safetensors",
            "says voxels of 6 x 6 x 6 mm (voxplain exported it), and 2 x 2 x 2 mm",
        ),
        ("import net.onnx --out none/other.safetensors", "its folder none is not there"),
        ("inspect net.onnx", "is an ONNX file, and no model file of voxplain"),
        (
            "explain net.onnx --input a.nii --method saliency --out maps",
            "voxplain import net.onnx --out model.safetensors",
        ),
        ("export run --onnx other.onnx", "run/folds/fold-0/model.safetensors"),
    ] {
        let (done, words) = run(&first, line);
        assert!(!done && words.contains(told), "{line}: {words}");
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
