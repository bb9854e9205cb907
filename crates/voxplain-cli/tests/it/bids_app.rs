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
        ("[train]\nlabel = 'sex'\nout = 'x'", "a.toml: [train] out: a BIDS App says itself where things lie"),
        ("[[regions]]\natlas = 'a'", "[regions]: the following required arguments were not provided: --labels"),
        ("[explain]\nmethod = 'saliency'", "[explain] of the configuration is not for this: nothing is trained"),
    ] {
        fs::write(&config, text).unwrap();
        is("bids new group --config plans/a.toml", 1, &[words]);
        assert!(!folder.join("new").exists() && !folder.join("plans/new").exists());
    }
    fs::write(&config, "[train]\nlabel = 'sex'\nfolds = 2").unwrap();
    // Too few of a class for the folds that are asked for: `train` says it, of the cohort in OUT.
    is("bids out group --config plans/a.toml", 1, &["$ voxplain train --folds=2 --label=sex --out="]);
}

/// What stands between two pieces of a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("{after:?} is not in {rest}")).0
}

/// A dataset that says that it is one.
fn described(folder: &Path) {
    dataset(folder);
    fs::write(folder.join("bids/dataset_description.json"), r#"{"Name":"Heads","BIDSVersion":"1.10.0"}"#).unwrap();
}

fn is(folder: &Path, line: &str, status: i32, words: &[&str]) -> String {
    let output = app(folder, line);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(status), "{line}: {said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{line}: {word:?} is not in {said}"));
    said
}

#[test]
fn a_command_that_is_printed_prepares_the_others_alike() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    described(folder);
    fs::remove_file(folder.join("bids/dataset_description.json")).unwrap();
    let how = "--mask nonzero --normalize zscore --dtype float16 --origin -84,-98,-84 --exclude acq-* --run 1,none \
               --skip-bids-validation";
    let run = |said: &str, before: &str, after: &str| {
        let line = between(said, before, after).strip_prefix("voxplain bids-app ").unwrap().replace('\'', "");
        is(folder, &line, 0, &["done"]);
    };
    let said =
        is(folder, "bids out group --participant-label 00 --skip-bids-validation", 1, &["no participant is prepared"]);
    let begin = between(&said, "begin with the participants: ", "\n");
    assert_eq!(begin, "voxplain bids-app bids out participant --skip-bids-validation --participant-label 00");
    is(folder, &format!("bids out participant --participant-label 00 01 {GRID} {how}"), 0, &["2 of 2"]);
    let said = is(folder, "bids out group --skip-bids-validation", 1, &["1 of 3 is not prepared: 02"]);
    run(&said, "prepare them: ", "; or leave");
    is(folder, "bids out group --skip-bids-validation", 0, &["3 subjects on", "kept in half precision"]);
}

#[test]
fn what_cannot_work_is_refused_before_the_first_person() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    described(folder);
    let regions = "[[regions]]\natlas = 'gone.nii.gz'\nlabels = 'gone.txt'";
    let explain = "[explain]\nmethod = 'kernel-shap'";
    let truth = "[evaluate]\ntruth = 'gone.nii.gz'";
    let init = "[train]\nlabel = 'sex'\ninit = 'gone.safetensors'";
    for (config, words) in [
        (regions, "[regions]: gone.txt: is not there"),
        (explain, "give a label image and its table: `atlas = \"FILE\"` in [explain] of the file of --config"),
        (truth, "gone.nii.gz: there is no such file"),
        (init, "[train]: gone.safetensors: is not there"),
    ] {
        fs::write(folder.join("a.toml"), config).unwrap();
        for level in ["participant", "group", "group --label sex"] {
            is(folder, &format!("bids out {level} --config a.toml"), 1, &[words]);
        }
    }
    for level in ["participant", "group", "group --label sex"] {
        is(folder, &format!("bids out {level} --method nope"), 1, &["[explain]: there is no method \"nope\""]);
        is(folder, &format!("bids out {level} --model gone.safetensors"), 1, &["gone.safetensors: is not there"]);
        is(folder, &format!("bids out {level} --model bids/participants.tsv"), 1, &["give a model file"]);
    }
    is(folder, "bids out participant --session-label 7", 1, &["none has ses-7", "change or leave out --session-label"]);
    assert!(!folder.join("out").exists());
    is(folder, &format!("bids out participant --keep-going {GRID}"), 0, &["3 of 4"]);
    is(folder, "bids out group --label gender", 1, &["no column `gender`", "the table has: participant_id, sex"]);
    assert!(!folder.join("out/cohort").exists() && !folder.join("out/run").exists());
    is(
        folder,
        "bids out participant --participant-label 00 --spacing 6",
        1,
        &["is prepared already, with other options", "give --grid 24x28x24 --spacing 7 as before, choose another OUT"],
    );
}

#[test]
fn a_model_is_asked_about_people_who_are_prepared_already() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    described(folder);
    for line in [
        "simulate --subjects 8 --grid 24x28x24 --spacing 7 --seed 5 --out others --quiet",
        "train others --label label --folds 2 --epochs 1 --width 2 --near-duplicates off --out run --quiet",
    ] {
        let output = voxplain(folder, &line.split(' ').collect::<Vec<_>>()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let model = "--model run/folds/fold-0/model.safetensors --method saliency";
    // Where the volumes lie that the model was trained on.
    let trained_on = voxplain::cohort::Cohort::open(&folder.join("others")).unwrap();
    let [x, y, z] = trained_on.volume(0).unwrap().grid().affine.apply([0.0; 3]);
    is(folder, &format!("bids out participant --keep-going {GRID} --origin={x},{y},{z}"), 0, &["3 of 4"]);
    let volumes = || fs::metadata(folder.join("out/prepared/sub-00/volumes.npy")).unwrap().modified().unwrap();
    let before = volumes();
    is(folder, &format!("bids out participant --keep-going {model}"), 0, &["3 of 4 participants done"]);
    assert_eq!(volumes(), before, "nobody is prepared again");
    assert!(folder.join("out/sub-00/anat/sub-00_desc-saliency_attribution.nii.gz").is_file());
    // What one class is called in the table is a key of the configuration.
    let said = is(folder, &format!("bids out group {model} --label sex"), 1, &["words that are no class of the model"]);
    assert!(said.contains("in [predict] of the file of --config") && !said.contains("--rename"), "{said}");
    is(folder, &format!("bids out group {model}"), 0, &["out/report.html"]);
    // Another model is asked about everybody by the command that is printed.
    let other = "--model run/folds/fold-1/model.safetensors";
    let said = is(folder, &format!("bids out group {other}"), 1, &["3 participants have maps by another model"]);
    let line = between(&said, "about everybody: voxplain bids-app ", "\n");
    assert!(line.ends_with("--method saliency"), "{line}");
    is(folder, &format!("{line} --keep-going"), 0, &["3 of 4"]);
    is(folder, &format!("bids out group {other}"), 0, &["out/report.html"]);
}
