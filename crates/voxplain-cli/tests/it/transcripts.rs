//! What people see on a terminal, word for word: `transcripts/*.txt`. A file holds commands (`$ ...`), each followed by what
//! it wrote to stdout and stderr and its exit status if that is not 0. `UPDATE_TRANSCRIPTS=1` writes them anew, to be read
//! before they are committed.

use crate::support::{text, voxplain};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Runs the commands of a transcript again and compares.
fn same(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
    let wanted = std::fs::read_to_string(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.nii.gz"), "no image at all").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("wrong.toml"), "[trian]\nlabel = 'sex'\n").unwrap();
    let mut found = String::new();
    for line in wanted.lines().filter_map(|l| l.strip_prefix("$ voxplain ")) {
        let output = voxplain(folder.path(), &line.split(' ').collect::<Vec<_>>()).output().unwrap();
        found.push_str(&format!("$ voxplain {line}\n{}", text(&output)));
        if !output.status.success() {
            found.push_str(&format!("(exit status {})\n", output.status.code().unwrap()));
        }
        found.push('\n');
    }
    assert!(!found.contains('\u{1b}'), "colours in a pipe");
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    assert!(found == wanted, "{name} has changed; now it is\n{found}");
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    same("errors");
}

#[test]
fn help_teaches() {
    same("help");
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&voxplain(folder.path(), &["--help"]).output().unwrap());
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let verbs: Vec<&str> = verbs
        .lines()
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.strip_prefix("  ").filter(|l| !l.starts_with(' ')))
        .map(|l| l.split(' ').next().unwrap())
        .filter(|v| *v != "help")
        .collect();
    assert!(verbs.len() > 14 && verbs.contains(&"plot"), "{verbs:?}");
    let output = voxplain(folder.path(), &["man", "pages"]).output().unwrap();
    assert!(output.status.success());
    for verb in &verbs {
        let page = std::fs::read_to_string(folder.path().join(format!("pages/voxplain-{verb}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains("Examples:") && page.contains("threads"), "{verb}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = voxplain(folder.path(), &["completions", shell]).output().unwrap();
        let script = text(&output);
        assert!(verbs.iter().all(|v| script.contains(v)) && script.contains("threads"), "{shell}");
    }
    // What was written for bash is bash.
    let script = folder.path().join("voxplain.bash");
    std::fs::write(&script, text(&voxplain(folder.path(), &["completions", "bash"]).output().unwrap())).unwrap();
    if let Ok(status) = Command::new("bash").arg("-n").arg(&script).status() {
        assert!(status.success());
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_command_says_how_to_go_on_and_does() {
    let folder = tempfile::tempdir().unwrap();
    let words =
        ["simulate", "--out", "cohort", "--subjects", "12", "--grid", "40x48x40", "--spacing", "4", "--threads", "1"];
    let running = voxplain(folder.path(), &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once some brains are there.
    let begun = Instant::now();
    let partial = folder.path().join("cohort.partial");
    let there = || std::fs::read_dir(&partial).is_ok_and(|entries| entries.count() > 5);
    while !there() && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupt = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let stopped = running.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(130));
    let said = text(&stopped);
    assert!(said.contains("stopping after this step (Ctrl-C again: at once)"), "{said}");
    let again = format!("hint: what is finished is kept; go on with: voxplain {}", words.join(" "));
    assert!(said.contains("error: interrupted") && said.contains(&again), "{said}");
    assert!(!folder.path().join("cohort").exists(), "a cohort appears whole or not at all");

    let again = voxplain(folder.path(), &words).output().unwrap();
    assert!(again.status.success(), "{}", text(&again));
    let whole = tempfile::tempdir().unwrap();
    assert!(voxplain(whole.path(), &words).output().unwrap().status.success());
    for file in ["volumes.npy", "masks.npy", "participants.tsv"] {
        let bytes = |folder: &Path| std::fs::read(folder.join("cohort").join(file)).unwrap();
        assert!(bytes(folder.path()) == bytes(whole.path()), "{file} differs from that of an uninterrupted run");
    }
}

/// Interrupts a command somewhere between its start and its end, and gives what it said.
///
/// A signal that comes before the command listens ends it at once, and one that comes after its work finds nothing to stop:
/// then it is tried again with more or less patience.
#[cfg(unix)]
fn interrupted(folder: &Path, words: &[&str]) -> String {
    let mut wait = 40;
    for _ in 0..60 {
        let running = voxplain(folder, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
        let output = running.wait_with_output().unwrap();
        match output.status.code() {
            Some(130) => return text(&output),
            Some(0) => wait = wait * 3 / 4,
            _ => wait = wait * 7 / 5 + 1,
        }
    }
    panic!("{words:?} cannot be interrupted");
}

#[test]
#[cfg(unix)]
fn every_long_command_can_be_interrupted_says_how_to_go_on_and_names_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let whole = |words: &[&str]| {
        let output = voxplain(here, words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        text(&output)
    };
    let split = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    whole(&["simulate", "--out", "cohort", "--subjects", "8", "--grid", "30x36x30", "--spacing", "6"]);
    // Stopped, then whole: each says what there is and the command that comes next.
    for (line, next) in [
        (
            "train cohort --label label --folds 2 --epochs 3 --batch 2 --width 2 --out run",
            "next: voxplain explain run --method hires-cam",
        ),
        ("explain run --method hires-cam,smoothgrad", "next: voxplain group run"),
        ("group run", "next: voxplain report run"),
        (
            "regions run --atlas cohort/atlas.nii.gz --labels cohort/atlas.tsv --out run/regions/phantom.tsv",
            "next: voxplain report run",
        ),
        ("evaluate run", "next: voxplain report run"),
        ("report run", "next: open the page in a browser"),
    ] {
        let words = split(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = interrupted(here, &words);
        assert!(said.contains(&format!("what is finished is kept; go on with: voxplain {line}")), "{line}: {said}");
        assert!(!said.contains("is skipped"), "{line}: {said}");
        let said = whole(&words);
        assert!(said.contains(next), "{line}: {said}");
    }
    let images = here.join("images");
    std::fs::create_dir(&images).unwrap();
    for n in 1..=8 {
        for (from, to) in [("mean_brain", "T1w"), ("brain_mask", "mask")] {
            std::fs::copy(here.join(format!("run/group/{from}.nii.gz")), images.join(format!("sub-0{n}_{to}.nii.gz")))
                .unwrap();
        }
    }
    let words = ["prepare", "images", "--mask", "_mask.nii.gz", "--out", "prepared"];
    let said = interrupted(here, &words);
    assert!(
        said.contains(&format!("go on with: voxplain {}", words.join(" "))) && !said.contains("is skipped"),
        "{said}"
    );
    assert!(whole(&words).contains("next: voxplain train prepared --label COLUMN --out RUN"));
    let said = interrupted(here, &["demo", "--out", "a demo"]);
    assert!(said.contains("go on with: voxplain demo --out 'a demo'"), "{said}");
}

#[test]
fn a_view_without_a_terminal_is_lines_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = voxplain(
        folder.path(),
        &["simulate", "--out", "cohort", "--subjects", "8", "--grid", "30x36x30", "--spacing", "6"],
    )
    .output()
    .unwrap();
    assert!(output.status.success());
    let words = [
        "train", "cohort", "--label", "label", "--folds", "2", "--epochs", "1", "--width", "2", "--out", "run",
        "--live",
    ];
    let output = voxplain(folder.path(), &words).output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && said.contains("--live draws on a terminal, and there is none"), "{said}");
    assert!(!said.contains('\u{1b}'));
}
