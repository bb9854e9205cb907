//! Work that several processes share, as tasks of an array do: the result is that of one process, byte for byte, also where tasks are killed.

use crate::{
    crash::{copy, images, made},
    support::{text, voxplain},
};
use std::{fs, path::Path, process::Stdio, thread::sleep, time::Instant};
use voxplain::random::Seed;

/// The command as task `task` of so many, numbered from 0, as SLURM says it.
fn task(folder: &Path, words: &[&str], task: usize, of: usize) -> std::process::Command {
    let mut command = voxplain(folder, words);
    let last = (of - 1).to_string();
    let variables = [("ID", task.to_string()), ("MIN", "0".into()), ("MAX", last), ("COUNT", of.to_string())];
    variables.iter().for_each(|(name, value)| _ = command.env(format!("SLURM_ARRAY_TASK_{name}"), value));
    command.env("SLURM_ARRAY_TASK_STEP", "1").args(["--threads", "1"]);
    command
}

fn done(folder: &Path, words: &[&str]) -> String {
    let output = voxplain(folder, words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    text(&output)
}

const SIMULATE: &str = "simulate --subjects 12 --grid 24x28x24 --spacing 7 --out cohort";
const TRAIN: &str = "train cohort --label label --folds 3 --epochs 2 --width 2 --near-duplicates warn --out run";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn tasks_of_an_array_train_the_run_of_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &words(SIMULATE));
    let begun = Instant::now();
    done(folder, &words(TRAIN));
    let takes = begun.elapsed();
    let (run, calm) = (folder.join("run"), folder.join("calm"));
    fs::rename(&run, &calm).unwrap();

    let train = [&words(TRAIN)[..], &["--shard", "auto"]].concat();
    let mut random = Seed::new(15).random();
    // Each task is killed somewhere, in an order of its own.
    for n in [2, 0, 1] {
        let mut child = task(folder, &train, n, 3).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(takes.mul_f64(random.range(0.02, 0.5)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // What is missing is named with the command that makes it.
    let output = task(folder, &train, 1, 3).output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && said.contains("shard 2 of 3 has 1 of 3 folds: 1\n"), "{said}");
    let output = voxplain(folder, &["merge", "run"]).output().unwrap();
    let said = text(&output);
    if output.status.code() == Some(1) {
        assert!(said.contains("run: training is not finished: "), "{said}");
        let command = said.lines().find_map(|line| line.split_once("these folds alone: voxplain ")).unwrap().1;
        assert!(command.starts_with("train ") && command.contains(" --out run --fold "), "{command}");
        done(folder, &words(command));
    } else {
        assert!(output.status.success(), "{said}");
    }
    // Whoever comes again finds nothing to do.
    for n in 0..3 {
        let output = task(folder, &train, n, 3).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("1 fold asked for: 0 trained now, 1 there before"), "{}", text(&output));
    }
    let merged = done(folder, &["merge", "run"]);
    // Where tasks had ended before they were to be killed, the first had something to count.
    let counted = said.contains("held out") && merged.starts_with("all folds are counted");
    assert!(counted || merged.contains("held out"), "{said}\n{merged}");
    same(&made(&run), &made(&calm));
}

fn same<T: PartialEq>(
    found: &std::collections::BTreeMap<std::path::PathBuf, T>,
    whole: &std::collections::BTreeMap<std::path::PathBuf, T>,
) {
    assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    for (file, bytes) in whole {
        assert!(found[file] == *bytes, "{} differs", file.display());
    }
}

#[test]
fn shards_explain_everybody_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &words(SIMULATE));
    done(folder, &words(TRAIN));
    let [run, before, calm] = ["run", "before", "calm"].map(|name| folder.join(name));
    copy(&run, &before);
    let explain = words("explain run --method grad-cam,saliency --set grad-cam.rectify=true");
    let begun = Instant::now();
    done(folder, &explain);
    let takes = begun.elapsed();
    fs::rename(&run, &calm).unwrap();
    fs::rename(&before, &run).unwrap();

    let share = [&explain[..], &["--shard", "auto"]].concat();
    let mut child = task(folder, &share, 1, 3).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(takes.mul_f64(0.2));
    child.kill().unwrap();
    child.wait().unwrap();
    // Two at the same time.
    let both = [2, 0].map(|n| task(folder, &share, n, 3).stdout(Stdio::null()).spawn().unwrap());
    for mut one in both {
        assert!(one.wait().unwrap().success());
    }
    let output = voxplain(folder, &["merge", "run"]).output().unwrap();
    let said = text(&output);
    assert!(said.starts_with("all folds are counted"), "{said}");
    if output.status.code() == Some(1) {
        // The command that makes those that are missing.
        let command = said.lines().find_map(|line| line.strip_prefix("  voxplain ")).unwrap();
        assert!(command.starts_with("explain run --method "), "{command}");
    } else {
        assert!(output.status.success(), "{said}");
    }
    let output = task(folder, &share, 1, 3).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("shard 2 of 3 has 4 of 12 subjects: "), "{}", text(&output));
    done(folder, &["merge", "run"]);
    same(&made(&run), &made(&calm));

    // Curves of deletion and insertion, the same.
    let evaluate = words("evaluate run --metric deletion,insertion --method grad-cam --steps 4 --quiet");
    copy(&run, &before);
    let whole = done(folder, &evaluate);
    fs::remove_dir_all(&calm).unwrap();
    fs::rename(&run, &calm).unwrap();
    fs::rename(&before, &run).unwrap();
    let share = [&evaluate[..], &["--shard", "auto"]].concat();
    for n in [1, 0, 1] {
        let output = task(folder, &share, n, 2).output().unwrap();
        assert!(output.status.success() && text(&output).contains("12 curves of 6 subjects, "), "{}", text(&output));
        assert!(!run.join("evaluation/deletion.json").exists());
    }
    let merged = done(folder, &evaluate);
    same(&made(&run), &made(&calm));
    assert_eq!(merged, whole);
}

#[test]
fn shards_count_the_permutations_of_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &words(SIMULATE));
    done(folder, &words(&TRAIN.replace("--epochs 2 --width 2", "--epochs 1 --width 1")));
    let [run, before, calm] = ["run", "before", "calm"].map(|name| folder.join(name));
    for of in
        ["permute run --classifier linear-voxels --permutations 41", "permute run --classifier cnn --permutations 3"]
    {
        copy(&run, &before);
        let permute = words(of);
        let whole = done(folder, &permute);
        fs::rename(&run, &calm).unwrap();
        copy(&before, &run);
        let share = [&permute[..], &["--shard", "auto"]].concat();
        let both = [0, 2].map(|n| task(folder, &share, n, 3).stdout(Stdio::null()).spawn().unwrap());
        for mut one in both {
            assert!(one.wait().unwrap().success());
        }
        // One that is killed, and two that come again for nothing; the second third is left to the last call.
        let mut child = task(folder, &share, 1, 3).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(std::time::Duration::from_millis(100));
        child.kill().unwrap();
        child.wait().unwrap();
        let again = task(folder, &share, 0, 3).output().unwrap();
        assert!(text(&again).contains("counted, 0 of them now"), "{}", text(&again));
        assert!(run.join("permutations").read_dir().unwrap().count() >= 2);
        let merged = done(folder, &permute);
        assert_eq!(merged.lines().next(), whole.lines().next());
        same(&made(&run), &made(&calm));
        fs::remove_dir_all(&run).unwrap();
        fs::remove_dir_all(&calm).unwrap();
        fs::rename(&before, &run).unwrap();
    }
}

#[test]
fn shards_compare_the_maps_of_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &words(SIMULATE));
    done(folder, &words(&TRAIN.replace("--epochs 2 --width 2", "--epochs 1 --width 1")));
    done(folder, &words("explain run --method saliency --quiet"));
    let [run, before, calm] = ["run", "before", "calm"].map(|name| folder.join(name));
    let compare = words("compare run --design label --permutations 60 --cluster 1");
    copy(&run, &before);
    let whole = done(folder, &compare);
    fs::rename(&run, &calm).unwrap();
    fs::rename(&before, &run).unwrap();
    let share = [&compare[..], &["--shard", "auto"]].concat();
    let both = [3, 1].map(|n| task(folder, &share, n, 4).stdout(Stdio::null()).spawn().unwrap());
    for mut one in both {
        assert!(one.wait().unwrap().success());
    }
    let mut child = task(folder, &share, 2, 4).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(std::time::Duration::from_millis(60));
    child.kill().unwrap();
    child.wait().unwrap();
    let status = text(&voxplain(folder, &["status", "run"]).output().unwrap());
    assert!(
        status.contains("compare/saliency_label/shards.json (the command that began it goes on with it)"),
        "{status}"
    );
    // What is missing is named with a command that makes it, wherever that is given.
    let merge = ["merge", "run/compare/saliency_label"];
    let mut commands = Vec::new();
    loop {
        let output = voxplain(folder, &merge).output().unwrap();
        if output.status.success() {
            assert_eq!(text(&output).lines().next(), whole.lines().next());
            break;
        }
        let said = text(&output);
        assert!(said.contains(" missing of 4"), "{said}");
        let command = said.lines().find_map(|line| line.split_once("count what is missing: voxplain ")).unwrap().1;
        let command = command.trim_end_matches(", and the others alike").to_owned();
        let elsewhere = tempfile::tempdir().unwrap();
        done(elsewhere.path(), &words(&command));
        commands.push(command);
    }
    assert!((1..=2).contains(&commands.len()) && commands[0].contains(" --shard 1/4"), "{commands:?}");
    same(&made(&run), &made(&calm));
    // Whoever comes again finds nothing to do.
    assert!(done(folder, &merge).contains("is whole: there is nothing to do"));
    let again = text(&task(folder, &share, 0, 4).output().unwrap());
    assert!(again.contains("15 permutations counted, 0 of them now"), "{again}");
    same(&made(&run), &made(&calm));
    let force = [&compare[..], &["--shard", "1/3", "--force"]].concat();
    assert_eq!(voxplain(folder, &force).output().unwrap().status.code(), Some(2));
}

#[test]
fn shards_prepare_the_cohort_of_one_machine() {
    const PREPARE: &str =
        "prepare images --participants people.csv --whole-head --grid 24x28x24 --spacing 7 --out cohort";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &words(&SIMULATE.replace("--out cohort", "--out simulated")));
    images(folder);
    // One who cannot be prepared.
    fs::write(folder.join("images/sub-35_T1w.nii.gz"), "no image").unwrap();
    let table = fs::read_to_string(folder.join("people.csv")).unwrap();
    fs::write(folder.join("people.csv"), format!("{table}sub-35,1\n")).unwrap();
    let prepare = [&words(PREPARE)[..], &["--keep-going"]].concat();
    let whole = done(folder, &prepare);
    let [cohort, calm, shards] = ["cohort", "calm", "cohort.shards"].map(|name| folder.join(name));
    fs::rename(&cohort, &calm).unwrap();
    let made_alone = made(&calm);

    let share = [&prepare[..], &["--shard", "auto"]].concat();
    // More shards than people, and one of them with nobody that can be prepared; then few.
    for of in [9, 3, 1] {
        for n in 1..of {
            let output = task(folder, &share, n, of).output().unwrap();
            assert!(output.status.success(), "{n} of {of}: {}", text(&output));
        }
        let output = voxplain(folder, &["merge", "cohort"]).output().unwrap();
        if of > 1 {
            assert_eq!(output.status.code(), Some(1), "{}", text(&output));
            assert!(text(&output).contains(&format!("shard 1 is missing of {of}")), "{}", text(&output));
            assert!(text(&output).contains(&format!("--shard 1/{of}")), "{}", text(&output));
            let status = text(&voxplain(folder, &["status", "cohort"]).output().unwrap());
            assert!(status.contains("is prepared in shards, in cohort.shards"), "{status}");
        }
        // Another number of shards, or other options.
        let output = task(folder, &share, 0, of + 1).output().unwrap();
        if of > 1 {
            assert!(text(&output).contains(&format!("was begun in {of} shards, and this is one of {}", of + 1)));
            let other = [&share[..], &["--normalize", "zscore"]].concat();
            let output = task(folder, &other, 0, of).output().unwrap();
            assert!(text(&output).contains("a cohort that is made with other options ("), "{}", text(&output));
        } else {
            fs::remove_dir_all(&shards).unwrap();
        }
        let mut child = task(folder, &share, 0, of).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(std::time::Duration::from_millis(30));
        child.kill().unwrap();
        child.wait().unwrap();
        for _ in 0..2 {
            let output = task(folder, &share, 0, of).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        }
        let merged = done(folder, &["merge", "cohort"]);
        same(&made(&cohort), &made_alone);
        assert!(!shards.exists());
        let first = |text: &str| text.lines().next().unwrap().to_owned();
        assert_eq!(first(&merged), first(&whole));
        // Who comes late finds the cohort.
        let output = task(folder, &share, 0, of).output().unwrap();
        assert!(output.status.success() && text(&output).contains("there is nothing to do"), "{}", text(&output));
        assert!(!shards.exists());
        fs::remove_dir_all(&cohort).unwrap();
    }
    // Without leave to go on nobody is left out.
    let strict = [&words(PREPARE)[..], &["--shard", "auto"]].concat();
    let codes: Vec<_> = (0..2).map(|n| task(folder, &strict, n, 2).output().unwrap().status.code()).collect();
    assert!(codes.contains(&Some(0)) && codes.contains(&Some(1)), "{codes:?}");
    let output = voxplain(folder, &["merge", "cohort"]).output().unwrap();
    assert!(text(&output).contains(" is missing of 2"), "{}", text(&output));
}

#[test]
fn what_is_no_shard_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &words(SIMULATE));
    for (status, shard, what) in [
        (2, "0/3", "there is no shard 0 of 3: shards are counted from 1 to 3"),
        (2, "3", "`3` is no shard; write its number, from 1, and how many there are, as in --shard 2/8"),
        (1, "auto", "this is no task of an array: none of $SLURM_ARRAY_TASK_ID"),
    ] {
        let words = [&words(TRAIN)[..], &["--shard", shard]].concat();
        let mut command = voxplain(folder.path(), &words);
        for variable in ["SLURM_ARRAY_TASK_ID", "SGE_TASK_ID", "PBS_ARRAY_INDEX", "PBS_ARRAYID"] {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", text(&output));
        assert!(text(&output).contains(what), "{}", text(&output));
    }
    let both = [&words(TRAIN)[..], &["--shard", "1/3", "--force"]].concat();
    assert_eq!(voxplain(folder.path(), &both).output().unwrap().status.code(), Some(2));
}
