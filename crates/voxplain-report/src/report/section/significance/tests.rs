use crate::report::tests::{IDS, add_maps, add_regions, is_safe, made_run, report, script};
use std::path::Path;
use voxplain_core::{Silent, atomic_file};
use voxplain_study::{
    compare::{CompareOptions, RegionMeasure, compare_run},
    group::{GroupOptions, group},
    run::{PermutationTest, PermutedNumber, Run},
};

fn compared(run: &Run, regions: Option<RegionMeasure>) {
    let everyone = serde_json::json!({ "train": [], "test": (0..IDS.len()).collect::<Vec<_>>() });
    atomic_file::write_json(&run.layout().fold(0).split(), &everyone).unwrap();
    let folder = run.path.parent().unwrap();
    let atlas = regions.map(|_| (folder.join("halves.nii.gz"), folder.join("halves.tsv")));
    let options = CompareOptions { design: "label".into(), regions, atlas, ..CompareOptions::default() };
    compare_run(run, &options, &Silent).unwrap();
}

fn permuted(run: &Run, models: Vec<String>) {
    let test = PermutationTest {
        version: "0".into(),
        key: "k".into(),
        classifier: "linear-voxels".into(),
        models,
        label: "sex".into(),
        permutations: 4,
        all: false,
        possible: 20.0,
        least_p: 0.2,
        exchange: "labels are permuted freely".into(),
        options: None,
        seed: 0,
        numbers: vec![PermutedNumber {
            name: "AUC".into(),
            smaller_is_better: false,
            observed: 0.9,
            permuted: vec![0.4, 0.5, 0.5, 0.7],
            p: 0.2,
        }],
        summary: vec!["A sentence of the permutation test.".into()],
    };
    std::fs::create_dir_all(run.layout().permutations()).unwrap();
    atomic_file::write_json(&run.layout().permutation_test("linear-voxels"), &test).unwrap();
}

fn page(run: &Run) -> String {
    std::fs::read_to_string(report(&run.path, None::<&Path>).unwrap().page).unwrap()
}

#[test]
fn tests_are_shown_while_their_maps_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    add_maps(&run, "saliency");
    // Without a mean brain statistics are drawn by themselves, and not in the viewer.
    compared(&run, None);
    let html = page(&run);
    assert!(html.contains("Tests of maps") && html.contains("saliency: sex"));
    group(&run, &GroupOptions::default(), &Silent).unwrap();
    add_regions(&run);
    compared(&run, Some(RegionMeasure::Mean));
    permuted(&run, run.models().unwrap().all());
    let html = page(&run);
    is_safe(&html);
    // 3 against 3 can show nothing, and the page says so.
    assert!(html.contains("Nothing can be shown: 20 arrangements are possible"));
    assert!(html.contains("A sentence of the permutation test.") && html.contains("true labels: 0.9"));
    assert!(html.contains("in each region (halves.nii.gz)"));
    let index: serde_json::Value = serde_json::from_str(script(&html, "index")).unwrap();
    let scene = index["scenes"].as_array().unwrap().iter().find(|s| s["key"] == "test-saliency_sex").unwrap();
    assert_eq!(scene["group"], true);
    let shown: Vec<&str> = scene["maps"].as_array().unwrap().iter().map(|m| m["method"].as_str().unwrap()).collect();
    assert_eq!(shown, ["saliency_sex: t at every voxel", "saliency_sex: 1 - p, corrected"]);
    assert_eq!(index["methods"]["saliency_sex: t at every voxel"]["units"], "t(4)");
    for figure in [
        "compare-saliency-sex_desc-cuts",
        "compare-saliency-sex-halves-mean_desc-regions",
        "permutations_desc-linearvoxels",
    ] {
        assert!(run.layout().figures().join(format!("{figure}.svg")).is_file(), "{figure}");
    }
    // Of other maps or models nothing is shown, and that is said.
    let sidecar = run.layout().map(IDS[0], "saliency").path().to_str().unwrap().replace(".nii.gz", ".json");
    let text = std::fs::read_to_string(&sidecar).unwrap();
    let other = text.replace("\"Class\": 1", "\"Class\": 0");
    assert_ne!(text, other);
    std::fs::write(&sidecar, other).unwrap();
    permuted(&run, vec!["another".into()]);
    let html = page(&run);
    assert!(!html.contains("<h2>Tests of maps"));
    assert!(html.contains("A comparison is left out") && html.contains("A permutation test is left out"));
    assert!(!html.contains("A sentence of the permutation test."));
}
