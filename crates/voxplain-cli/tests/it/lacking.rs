//! The command in a build that leaves out its server, and perhaps figures and reports.

use crate::support::{text, voxplain};
use std::path::Path;

fn said(line: &str) -> (Option<i32>, String) {
    let output = voxplain(Path::new("."), &line.split(' ').collect::<Vec<_>>()).output().unwrap();
    (output.status.code(), text(&output))
}

#[test]
fn serve_says_how_to_get_it() {
    let (status, said) = said("serve run --port 8080");
    assert_eq!(status, Some(1));
    assert!(
        said.contains("error: this voxplain was built without its server") && said.contains("--features serve"),
        "{said}"
    );
}

#[test]
fn help_says_what_is_missing() {
    let (_, help) = said("--help");
    assert!(help.contains("This voxplain was built without its server"), "{help}");
    assert_eq!(help.contains("without figures and reports"), !cfg!(feature = "report"), "{help}");
    let (_, help) = said("serve --help");
    assert!(help.contains("Not in this build"), "{help}");
}

#[test]
#[cfg(not(feature = "report"))]
fn without_reports_a_pipeline_with_one_is_refused_before_it_begins() {
    let (status, report) = said("report run");
    assert_eq!(status, Some(1));
    assert!(report.contains("built without figures and reports") && report.contains("--features report"), "{report}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "[simulate]\nsubjects = 8\n[report]\n").unwrap();
    let output = voxplain(folder.path(), &["run", "a.toml"]).output().unwrap();
    let refused = text(&output);
    assert!(
        output.status.code() == Some(1) && refused.contains("[report]: this voxplain was built without"),
        "{refused}"
    );
    assert!(!folder.path().join("cohort").exists());
}
