//! Commands that are stopped, and what their exit status says.

use crate::support::{text, voxplain};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn cohort(folder: &Path) {
    let words = ["simulate", "--out", "cohort", "--subjects", "8", "--grid", "30x36x30", "--spacing", "6"];
    let output = voxplain(folder, &words).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

const TRAIN: &[&str] = &[
    "train", "cohort", "--label", "label", "--folds", "2", "--epochs", "5000", "--batch", "4", "--width", "1", "--out",
    "run",
];

/// Training without end, once it has begun.
fn training(mut command: Command) -> Child {
    let folder = command.get_current_dir().unwrap().to_owned();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !folder.join("run/folds/fold-0/history.jsonl").exists() {
        assert!(began.elapsed() < Duration::from_secs(120), "training has not begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
}

#[test]
#[cfg(unix)]
fn what_a_scheduler_sends_stops_as_ctrl_c_does() {
    for signal in ["INT", "TERM", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        cohort(folder.path());
        let child = training(voxplain(folder.path(), TRAIN));
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {}", text(&output));
        let said = text(&output);
        let how = if signal == "INT" { "Ctrl-C".to_owned() } else { format!("SIG{signal}") };
        assert!(said.contains(&format!("stopping after this step ({how} again: at once)")), "{said}");
        assert!(
            said.contains("error: interrupted\nhint: what is finished is kept; go on with: voxplain train"),
            "{said}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_ignored_when_it_started_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    cohort(folder.path());
    // As nohup does it.
    let mut command = Command::new("sh");
    let line = format!("trap '' HUP; exec {} {}", env!("CARGO_BIN_EXE_voxplain"), TRAIN.join(" "));
    command.args(["-c", &line]).current_dir(folder.path());
    let child = training(command);
    send("HUP", &child);
    std::thread::sleep(Duration::from_millis(300));
    send("TERM", &child);
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert!(output.status.code() == Some(130) && said.contains("SIGTERM") && !said.contains("SIGHUP"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_its_messages_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    cohort(folder.path());
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let words = [
        "train", "cohort", "--label", "label", "--folds", "2", "--epochs", "1", "--batch", "4", "--width", "1",
        "--out", "run",
    ];
    assert_eq!(voxplain(folder.path(), &words).stdout(Stdio::null()).stderr(full()).status().unwrap().code(), Some(0));
    // An error that cannot be said is one all the same.
    assert_eq!(
        voxplain(folder.path(), &["inspect", "none.nii"]).stdout(Stdio::null()).stderr(full()).status().unwrap().code(),
        Some(1)
    );
    // A result that cannot be written was not given.
    let output = voxplain(folder.path(), &["inspect", "run"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
}

#[test]
fn a_wrong_command_line_is_2_and_what_fails_is_1() {
    let folder = tempfile::tempdir().unwrap();
    let status = |words: &[&str]| voxplain(folder.path(), words).output().unwrap().status.code();
    assert_eq!(status(&["train"]), Some(2));
    assert_eq!(status(&["inspect", "--nope"]), Some(2));
    assert_eq!(status(&["inspect", "none.nii"]), Some(1));
    assert_eq!(status(&["--version"]), Some(0));
}
