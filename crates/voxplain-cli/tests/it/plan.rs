//! A configuration as jobs whose time and memory are measured: what is said, not how long it took.

use crate::{
    crash::images,
    support::{text, voxplain},
};
use std::{fs, path::Path};

/// The script of a configuration.
fn plan(folder: &Path, more: &[&str]) -> String {
    let words = [&["plan", "project.toml", "--cpus", "1", "--quiet"], more].concat();
    let output = voxplain(folder, &words).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Images of people who were simulated.
fn heads(folder: &Path) {
    let simulate = "simulate --subjects 12 --grid 24x28x24 --spacing 7 --out simulated";
    let output = voxplain(folder, &simulate.split(' ').collect::<Vec<_>>()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    images(folder);
}

/// The line of a script that has all of these words.
fn line<'a>(script: &'a str, words: &[&str]) -> &'a str {
    let found = script.lines().find(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("{words:?}\n{script}"))
}

const STEPS: &str = r#"
[train]
label = "label"
folds = 3
epochs = 7
width = 2
[explain]
method = ["saliency", "cam"]
[group]
"#;

#[test]
fn what_there_is_not_yet_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let simulate = "[simulate]\nsubjects = 14\ngrid = \"24x28x24\"\nspacing = 7\n";
    fs::write(folder.join("project.toml"), format!("{simulate}{STEPS}")).unwrap();
    let slurm = ["--engine", "slurm", "--shards", "4"];
    let script = plan(folder, &[&slurm[..], &["--measure"]].concat());
    // 10 of 14 people in 3 batches of 4.
    line(
        &script,
        &["# train: time: 1 fold of 7 epochs, each of up to 3 batches of 4 at ", "a last look at all 14 people"],
    );
    line(&script, &["# train: memory: ", "MiB for a batch, as the network is compiled, and 1 MiB of volumes"]);
    let train = line(&script, &["submit train 1-3 "]);
    assert!(train.starts_with("memory=") && train.contains("M time=00:"), "{train}");
    // Three quarters of the memory are the network's.
    let given: u64 = train.strip_prefix("memory=").unwrap().split('M').next().unwrap().parse().unwrap();
    assert!(train.contains(&format!(" --memory={}MiB ", given * 3 / 4)), "{train}");
    // A method that cannot be made here is named, and the time is not guessed.
    line(&script, &["# explain: time not measured, since here no map could be made by cam ("]);
    assert!(line(&script, &["submit explain 1-4"]).starts_with("submit explain"), "{script}");
    assert!(line(&script, &["submit group"]).starts_with("submit group - "), "{script}");
    assert!(!folder.join("cohort").exists() && !folder.join("run").exists(), "nothing is made");

    let steps = STEPS.replace(", \"cam\"", "");
    fs::write(folder.join("project.toml"), format!("{simulate}{steps}")).unwrap();
    let script = plan(folder, &["--engine", "snakemake", "--shards", "4", "--measure", "--minutes", "33"]);
    line(&script, &["# explain: time: 4 of 14 people, for each saliency "]);
    line(&script, &["# explain: --minutes was given, and holds"]);
    line(&script, &["resources: mem_mb=", ", runtime=33"]);
    // Without a measurement everything is as it was said.
    let script = plan(folder, &["--engine", "shell", "--memory", "4GiB"]);
    assert!(script.contains("train --epochs=7") && script.contains(" --memory=3072MiB --shard=\"$n\"/3 "), "{script}");
    assert!(!script.contains("time:"), "{script}");
}

#[test]
fn an_image_is_prepared_and_what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    heads(folder);
    let prepare = "[prepare]\nsource = \"images\"\nparticipants = \"people.csv\"\nwhole-head = true\ngrid = \"24x28x24\"\nspacing = 7\n";
    let steps = STEPS.replace(", \"cam\"", "");
    fs::write(folder.join("project.toml"), format!("{prepare}{steps}")).unwrap();
    let script = plan(folder, &["--engine", "slurm", "--shards", "5", "--measure"]);
    line(&script, &["# prepare: time: 2 of 6 images at ", "(one was prepared here), one after the other"]);
    line(&script, &["# train: time: 1 fold of 7 epochs, each of up to 1 batch of 4 at "]);
    line(&script, &["# explain: time: 2 of 6 people, for each saliency "]);
    assert!(!folder.join("cohort").exists() && !folder.join("cohort.shards").exists(), "nothing is made");
    fs::write(folder.join("project.toml"), steps).unwrap();
    let slurm = ["plan", "project.toml", "--engine", "slurm"];
    let refused = voxplain(folder, &slurm).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("project.toml: [train]: cohort: cohort: is not there, and no step before makes it"),
        "{}",
        text(&refused)
    );
    // Where it will run it may be there.
    let script = plan(folder, &["--engine", "slurm", "--no-check"]);
    line(&script, &["submit train 1-3 "]);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    heads(folder);
    let prepare =
        "[prepare]\nsource = \"images\"\nparticipants = \"people.csv\"\nwhole-head = true\nout = \"work/c\"\n";
    let train = "[train]\nlabel = \"label\"\nfolds = 2\n";
    let explain = "[explain]\nmethod = [\"saliency\", \"grad-cam\"]\n";
    let whole = format!("{prepare}{train}{explain}");
    for (config, said) in [
        (whole.replace("\"images\"", "\"image\""), "[prepare]: image: there is no such file or folder"),
        (whole.replace("people.csv", "peple.csv"), "peple.csv"),
        (whole.replace("\"label\"", "\"Sex\""), "[train]: label: there is no column `Sex`"),
        (whole.replace("grad-cam", "grad-kam"), "[explain]: there is no method \"grad-kam\""),
        (format!("cohort = \"other\"\n{whole}"), "`cohort` is other, and `out` in [prepare] is work/c"),
        (
            format!("{whole}[compare]\ndesign = \"label\""),
            "[compare]: run will have maps of 2 methods: grad-cam, saliency",
        ),
        (
            format!("{whole}[compare]\ndesign = \"label * 2\"\nmethod = \"saliency\""),
            "[compare]: the design `label * 2`: `*` in",
        ),
        (
            format!("{whole}[compare]\ndesign = \"age\"\nmethod = \"saliency\"\n"),
            "[compare]: design: there is no column `age`",
        ),
        (
            format!("{whole}[group]\nmethod = \"hires-cam\""),
            "[group]: run will have no maps of `hires-cam`, but of grad-cam, saliency",
        ),
        (
            format!("{whole}[regions]\natlas = \"a.nii\"\nlabels = \"a.tsv\"\nout = \"b.tsv\""),
            "[regions]: atlas: a.nii: is not there",
        ),
        (whole.replace("grad-cam", "kernel-shap"), "[explain]: kernel-shap needs the regions of an atlas"),
        (whole.replace("folds", "fodls"), "[train]: unexpected argument '--fodls' found"),
    ] {
        fs::write(folder.join("project.toml"), config).unwrap();
        for verb in [&["plan", "project.toml", "--engine", "shell"][..], &["run", "project.toml"]] {
            let output = voxplain(folder, verb).output().unwrap();
            let text = text(&output);
            assert!(
                !output.status.success() && text.contains("project.toml: ") && text.contains(said),
                "{said}\n{text}"
            );
            assert!(!folder.join("work").exists());
        }
    }
    // `out` of the section that makes the cohort says where it is; there are no more tasks than people.
    fs::write(folder.join("project.toml"), &whole).unwrap();
    let script = plan(folder, &["--engine", "shell", "--shards", "40"]);
    line(&script, &["train --folds=2 ", " -- work/c"]);
    line(&script, &["prepare ", "--shard=\"$n\"/6 "]);
}
