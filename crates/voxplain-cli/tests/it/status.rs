//! `status` names the next command until nothing is missing; `clean` asks before it takes anything away.

use crate::support::{text, voxplain};
use serde_json::Value;
use std::{fs, path::Path, process::Stdio};

fn done(folder: &Path, words: &[&str]) -> String {
    let output = voxplain(folder, words).args(["--threads", "2"]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn status(folder: &Path, of: &str) -> Value {
    serde_json::from_str(&done(folder, &["status", of, "--json"])).unwrap()
}

/// Does what status says comes next, until nothing is missing; gives the verbs in their order.
fn follow(folder: &Path) -> Vec<String> {
    let mut verbs = Vec::new();
    while let Some(next) = status(folder, "run")["next"].as_str() {
        let words: Vec<&str> = next.split(' ').collect();
        assert_eq!(words[0], "voxplain");
        assert!(verbs.len() < 12, "it never ends: {verbs:?}");
        done(folder, &words[1..]);
        verbs.push(words[1].to_owned());
    }
    verbs
}

#[test]
fn who_does_what_status_says_comes_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, &["simulate", "--subjects", "8", "--grid", "24x28x24", "--spacing", "7", "--out", "cohort"]);
    let of_cohort = status(folder, "cohort");
    assert_eq!((&of_cohort["kind"], &of_cohort["subjects"]), (&"cohort".into(), &8.into()));
    // A place of one's own is put in the place of RUN.
    let train = of_cohort["next"].as_str().unwrap();
    assert_eq!(train, "voxplain train cohort --label label --out RUN");
    let train = train.replace("RUN", "run");
    let mut words: Vec<&str> = train.split(' ').skip(1).collect();
    words.extend(["--folds", "2", "--epochs", "1", "--width", "1", "--near-duplicates", "warn"]);
    done(folder, &words);
    // As if it had been killed in its second fold.
    fs::remove_file(folder.join("run/metrics.json")).unwrap();
    fs::remove_file(folder.join("run/folds/fold-1/model.safetensors")).unwrap();
    let begun = status(folder, "run");
    assert_eq!((&begun["folds"], &begun["trained"], &begun["metrics"]), (&2.into(), &1.into(), &Value::Null));
    assert_eq!(begun["at_work"]["standing"], "nobody");
    assert_eq!(begun["next"], "voxplain run run/config.toml");
    done(folder, &["run", "run/config.toml"]);
    let explain = status(folder, "run")["next"].as_str().unwrap().to_owned();
    assert_eq!(explain, "voxplain explain run --method hires-cam,guided-backprop,meaningful-perturbation");
    // Two that take no time.
    done(folder, &["explain", "run", "--method", "hires-cam,saliency"]);
    // The report is older than the curves.
    assert_eq!(follow(folder), ["group", "report", "evaluate", "report"]);
    let whole = status(folder, "run");
    assert!(whole["missing"].as_array().unwrap().is_empty() && whole["headline"][0].is_string());
    assert!(
        whole["methods"].as_array().unwrap().iter().all(|method| method["maps"] == 8 && method["in_group"] == true)
    );
    let said = done(folder, &["status", "run"]);
    assert!(said.contains("2 of 2 trained") && said.contains("nothing is missing"), "{said}");

    // What lies beside a map, and nothing else reads: said by its map, with status 1, and made again by the step that is named.
    let beside = folder.join("run/sub-003/sub-003_res-native_desc-hirescam_attribution.nii.gz");
    let bytes = fs::read(&beside).unwrap();
    for damage in [Some(&bytes[..bytes.len() / 2]), None] {
        damage.map_or_else(|| fs::remove_file(&beside), |part| fs::write(&beside, part)).unwrap();
        let checked = voxplain(folder, &["status", "run", "--check"]).output().unwrap();
        let said = text(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(said.contains("sub-003_desc-hirescam_attribution.nii.gz"), "{said}");
        let next = said.lines().find_map(|line| line.strip_prefix("next")).unwrap().trim().to_owned();
        assert_eq!(next, "voxplain explain run --method hires-cam");
        done(folder, &next.split(' ').skip(1).collect::<Vec<_>>());
        assert!(fs::read(&beside).unwrap() == bytes);
        done(folder, &["status", "run", "--check"]);
    }

    // A table that a document vouches for, and one that counts no more because of what came later.
    for table in ["run/predictions.tsv", "run/group/similarity.tsv"].map(|table| folder.join(table)) {
        let text = fs::read_to_string(&table).unwrap();
        fs::write(&table, text.replacen('0', "1", 1)).unwrap();
        assert_eq!(
            voxplain(folder, &["status", "run"]).output().unwrap().status.code(),
            Some(1),
            "{}",
            table.display()
        );
        fs::write(&table, text).unwrap();
    }
    done(folder, &["explain", "run", "--method", "hires-cam", "--score", "prob", "--subjects", "003"]);
    let stale = status(folder, "run");
    assert!(stale["group"]["problem"].is_string() && stale["group"]["damaged"] == false, "{}", stale["group"]);
    done(folder, &["explain", "run", "--method", "hires-cam"]);
    follow(folder);

    // Maps go where that was agreed to, and status knows how they come back.
    let words = ["clean", "run", "--maps", "hires-cam"];
    let asked = voxplain(folder, &words).stdin(Stdio::null()).output().unwrap();
    assert_eq!(asked.status.code(), Some(1));
    let asked = text(&asked);
    assert!(asked.contains("there is no terminal to ask at") && asked.contains("--yes"), "{asked}");
    assert_eq!(status(folder, "run")["next"], Value::Null, "nothing was taken away");
    let took = done(folder, &["clean", "run", "--maps", "hires-cam", "--yes"]);
    assert!(took.contains("maps by hires-cam, which can be made again"), "{took}");
    assert_eq!(done(folder, &["clean", "run", "--yes"]).trim(), "nothing to take away");
    let left = status(folder, "run");
    assert!(left["methods"].as_array().unwrap().iter().all(|method| method["method"] != "hires-cam"));
}
