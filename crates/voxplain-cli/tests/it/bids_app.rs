//! `voxplain bids-app`: its arguments, and whom it names.

use crate::support::{text, voxplain};
use std::{fs, path::Path, process::Output};

/// A dataset of three heads, and a person who has none.
fn dataset(folder: &Path) {
    let line = "simulate --subjects 4 --grid 24x28x24 --spacing 7 --out simulated --quiet";
    assert!(voxplain(folder, &line.split(' ').collect::<Vec<_>>()).output().unwrap().status.success());
    let cohort = voxplain::cohort::Cohort::open(&folder.join("simulated")).unwrap();
    for n in 0..3 {
        let (volume, mask) = (cohort.volume(n).unwrap(), cohort.mask(n).unwrap());
        let inside =
            mask.data().iter().zip(volume.data()).map(|(&inside, v)| if inside { 500.0 + 100.0 * v } else { 0.0 });
        let image = voxplain::volume::Volume::new(*volume.grid(), inside.collect()).unwrap();
        let anat = folder.join(format!("bids/sub-0{n}/anat"));
        fs::create_dir_all(&anat).unwrap();
        let file = anat.join(format!("sub-0{n}_T1w.nii.gz"));
        voxplain::volume::write(&file, &image, &voxplain::volume::WriteOptions::default()).unwrap();
    }
    fs::create_dir_all(folder.join("bids/sub-09/func")).unwrap();
    fs::write(folder.join("bids/participants.tsv"), "participant_id\tsex\nsub-00\tF\nsub-01\tM\nsub-02\tF\n").unwrap();
}

fn app(folder: &Path, line: &str) -> Output {
    let words: Vec<&str> = std::iter::once("bids-app").chain(line.split_whitespace()).collect();
    voxplain(folder, &words).output().unwrap()
}

const GRID: &str = "--grid 24x28x24 --spacing 7";

#[test]
fn each_participant_and_then_all_together() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    dataset(folder);
    let is = |line: &str, status: i32, words: &[&str]| {
        let output = app(folder, line);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{line}: {word:?} is not in {said}"));
    };
    let of = |line: &str| format!("bids out participant {line} {GRID}");

    is(&of(""), 1, &["it has no dataset_description.json", "--skip-bids-validation"]);
    fs::write(folder.join("bids/dataset_description.json"), r#"{"Name":"Heads","BIDSVersion":"1.10.0"}"#).unwrap();
    is(&of("--participant-label 00 7"), 1, &["bids: it has no sub-7", "there are sub-00, sub-01, sub-02, sub-09"]);
    is("bids bids participant", 1, &["bids: is the dataset itself"]);
    is("bids out everybody", 2, &["participant, group"]);
    assert!(!folder.join("out").exists(), "nothing is made of what cannot be done");

    // In either spelling, with and without what BIDS puts before labels.
    is(
        &of("--participant_label sub-00 01 -w work --n_cpus 1 --mem_mb 500"),
        0,
        &["2 of 2 participants done", "nothing is kept in the working directory"],
    );
    assert!(folder.join("out/sub-00/anat/sub-00_res-voxplain_desc-brain_mask.nii.gz").is_file());
    is(
        "bids out group",
        1,
        &["1 of 3 is not prepared: 02", "voxplain bids-app bids out participant --participant-label 02"],
    );
    // All: whoever has no image is named, and the others are done.
    is(&of(""), 1, &["3 of 4 participants done", "sub-09: no folder anat in it"]);
    is(&of("--keep-going"), 0, &["3 of 4 participants done", "sub-09: no folder anat in it"]);
    is(
        "bids out group",
        0,
        &["3 subjects on 24 x 28 x 24", "next: voxplain train out/cohort --label COLUMN --out out/run"],
    );
    let output = app(folder, "bids out group --json");
    let documents: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(documents[0]["prepared"], 3);

    // A configuration is understood before anything is made, and its paths are its own.
    fs::create_dir(folder.join("plans")).unwrap();
    let config = folder.join("plans/a.toml");
    for (text, words) in [
        ("[prepare]\nmask = 'x'", "`prepare` is no part of a BIDS App: the participant level prepares"),
        ("[train]\nlabel = 'sex'\nepoch = 3", "[train]: unexpected argument '--epoch'"),
        ("cohort = 'c'", "cohort and run lie in OUT"),
    ] {
        fs::write(&config, text).unwrap();
        is("bids new group --config plans/a.toml", 1, &[words]);
        assert!(!folder.join("new").exists() && !folder.join("plans/new").exists());
    }
    fs::write(&config, "[train]\nlabel = 'sex'\nfolds = 2\n[[regions]]\natlas = 'gone.nii.gz'\nlabels = 'gone.txt'")
        .unwrap();
    // Too few of a class for the folds that are asked for: `train` says it, of the cohort in OUT.
    is("bids out group --config plans/a.toml", 1, &["$ voxplain train --folds=2 --label=sex --out="]);
}
