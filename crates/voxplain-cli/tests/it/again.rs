//! The commands at the end of a report make its run again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

fn run(folder: &Path, words: &[&str]) {
    let made = Command::new(env!("CARGO_BIN_EXE_voxplain")).args(words).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// The commands of a page, as a reader copies them.
fn commands(page: &Path) -> String {
    let html = std::fs::read_to_string(page).unwrap();
    let (_, rest) = html.split_once("These commands make it again").unwrap();
    let (_, rest) = rest.split_once("<pre>").unwrap();
    let text = rest.split_once("</pre>").unwrap().0;
    let plain = [("&#x2f;", "/"), ("&#x27;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    plain.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// The bytes of all results in a folder, by their path: models, maps, tables.
fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".nii.gz") || name.ends_with(".safetensors") || name.ends_with(".tsv") {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Every verb that works on a run, with options that are not as they are by default and names that a shell would take apart.
#[test]
fn the_commands_of_a_page_make_its_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for place in [&first, &second] {
        std::fs::create_dir(place).unwrap();
        run(
            place,
            &[
                "simulate",
                "--subjects",
                "24",
                "--seed",
                "5",
                "--grid",
                "30x36x30",
                "--spacing",
                "6",
                "--out",
                "co hort",
            ],
        );
    }
    let steps: &[&[&str]] = &[
        &[
            "train",
            "co hort",
            "--label",
            "label",
            "--positive",
            "case",
            "--folds",
            "3",
            "--epochs",
            "1",
            "--width",
            "1",
            "--batch",
            "8",
            "--seed",
            "3",
            "--augment",
            "shift=1",
            "--class-weights",
            "balanced",
            "--covariates",
            "age",
            "--out",
            "it's a run",
        ],
        &["permute", "it's a run", "--classifier", "mask-volume", "--permutations", "7", "--seed", "2"],
        &[
            "explain",
            "it's a run",
            "--method",
            "saliency,grad-cam",
            "--set",
            "grad-cam.rectify=true",
            "--target",
            "class:case",
        ],
        &["group", "it's a run", "--scale", "map"],
        &["evaluate", "it's a run", "--metric", "localisation", "--relevance", "positive", "--method", "saliency"],
        &[
            "evaluate",
            "it's a run",
            "--metric",
            "deletion",
            "--steps",
            "4",
            "--substrate",
            "blur",
            "--method",
            "grad-cam",
        ],
        &[
            "regions",
            "it's a run",
            "--atlas",
            "co hort/atlas.nii.gz",
            "--labels",
            "co hort/atlas.tsv",
            "--out",
            "it's a run/regions/phantom.tsv",
        ],
        &[
            "compare",
            "it's a run",
            "--method",
            "saliency",
            "--design",
            "label + log(age)",
            "--permutations",
            "20",
            "--smooth",
            "8",
            "--tail",
            "greater",
            "--seed",
            "4",
        ],
        &["confounds", "it's a run", "--covariates", "age"],
        &["report", "it's a run"],
    ];
    for words in steps {
        run(&first, words);
    }
    let page = first.join("it's a run/report.html");
    let said = commands(&page);
    let verbs: Vec<&str> = said.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let order =
        ["train", "permute", "explain", "group", "evaluate", "evaluate", "regions", "compare", "confounds", "report"];
    assert_eq!(verbs, order, "{said}");
    // The second cohort is in the place that the commands name; the command is found as a user's is.
    let tools = folder.path().join("bin");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_voxplain"), tools.join("voxplain")).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    for line in said.lines() {
        let made = Command::new("sh").args(["-c", line]).current_dir(&second).env("PATH", &path).output().unwrap();
        assert!(made.status.success(), "{line}: {}", String::from_utf8_lossy(&made.stderr));
    }
    let (was, again) = (results(&first.join("it's a run")), results(&second.join("it's a run")));
    assert_eq!(was.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
    assert!(was.len() > 3 + 24 * 2 + 10, "{} files", was.len());
    for (file, bytes) in &was {
        assert!(again[file] == *bytes, "{}", file.display());
    }
    assert_eq!(commands(&second.join("it's a run/report.html")), said);
}
