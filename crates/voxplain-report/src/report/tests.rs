//! A small made run, from group maps to the page.

#![expect(clippy::cast_possible_truncation, reason = "values are drawn in f64 and held as the volumes are")]

use super::{
    Part, ReportOptions, Reported, Site,
    element::Placed,
    section::{
        self,
        maps::{MethodMaps, keep_small},
    },
};
use crate::figure::Figure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{path::Path, sync::LazyLock};
use voxplain_attribution::{Record, Score, Target};
use voxplain_core::{Action, Library, Result, Silent, Table, Vocabulary as _, atomic_file, visible};
use voxplain_nn::{Conv3d, Linear, Network, Op};
use voxplain_stats::{Classification, FoldPrediction, Interval, Top};
use voxplain_study::{
    alike::Copies,
    atlas::{Atlas, MapName, RegionTable},
    cohort::{Cohort, Normalize, Placement, Preparation, Subject},
    evaluation::faithfulness::{MethodCurves, Metric, Ranking, Settings, Substrate, Summary, Verdict as Judged},
    explain::steps_again,
    folds::Split,
    group::{GroupOptions, GroupSummary, Level, group},
    model::{Card, Model, Task},
    regions::{RegionOptions, measure_regions},
    run::{
        AlikePair, ClassifierMetrics, HeldForTest, Manifest, Metrics, NearDuplicates, Prediction, Run, RunLayout,
        cohort_hash, read_json, write_predictions,
    },
    setting::METRIC,
};
use voxplain_volume::{Affine, Grid, Mask, ReadOptions, Volume, WriteOptions, expand, read, write, write_labels};

/// A name that must come out as text, with what a terminal would obey, what puts others in another order, and what is not seen. It is a
/// class here, for a class is shown nearly everywhere.
const EVIL: &str = "<script>alert(1)</script>\u{1b}\u{202e}\u{200b}";
/// An id that must come out as text; unlike a class it is also part of paths.
const EVIL_ID: &str = "<img src=x onerror=hacked=1>\u{202e}\u{feff}";
/// The model of the run: a network that sees every voxel.
static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let mut network = Network::new([1, 12, 14, 10]);
    network.then("features.10", Conv3d::new(1, 2, [3; 3]).with_padding([1; 3])).unwrap();
    network.then("mean", Op::GlobalAvgPool).unwrap();
    network.then("linear", Linear::new(2, 2)).unwrap();
    network.initialize(1);
    let card = Card {
        architecture: "small".into(),
        task: Task::classes_named(["F".into(), EVIL.into()]),
        label: "sex".into(),
        preparation: preparation(),
        grid_unknown: false,
        sealed: true,
        trained_on: IDS.map(str::to_owned).into(),
        training: serde_json::json!({}),
    };
    Model { network, card }
});
pub(super) const IDS: [&str; 6] = ["a1", "b2", "c3", "d4", EVIL_ID, "f6"];

pub(super) fn report(directory: &Path, out: Option<&Path>) -> Result<Reported> {
    let options = ReportOptions { out: out.map(Path::to_owned), ..ReportOptions::default() };
    super::report(directory, &options, &Library, &Silent)
}

fn lattice(n: usize) -> Grid {
    // Every head lies elsewhere: the grids differ by a shift.
    let shift = n as f64;
    Grid::new([12, 14, 10], Affine::from_spacing_origin([8.0; 3], [-44.0 + shift, -60.0 - shift, -30.0 + 2.0 * shift]))
        .unwrap()
}

/// Where voxel `(i, j, k)` lies from the middle of the lattice, mm.
fn from_middle(v: [usize; 3]) -> [f64; 3] {
    [v[0] as f64 * 8.0 - 44.0, v[1] as f64 * 8.0 - 52.0, v[2] as f64 * 8.0 - 36.0]
}

fn brain(v: [usize; 3]) -> bool {
    let [x, y, z] = from_middle(v);
    (x / 40.0).powi(2) + (y / 50.0).powi(2) + (z / 34.0).powi(2) < 1.0
}

/// Subject n: `n + 1` times a pattern that is 1 to 2 in the left hemisphere's brain, and -1 right of it for odd n.
fn value(n: usize, method: &str, v: [usize; 3]) -> f32 {
    let [x, y, _] = from_middle(v);
    let front = (y + 52.0) / 104.0;
    let pattern = match method {
        "grad-cam" if x < 0.0 => 1.0 + front,
        "grad-cam" if n % 2 == 1 => -1.0,
        "grad-cam" => 0.0,
        _ if x > 0.0 => 1.0 + front,
        _ => 0.1 * front,
    };
    if brain(v) { (pattern * (n + 1) as f64) as f32 } else { 0.0 }
}

fn preparation() -> Preparation {
    Preparation {
        shape: [12, 14, 10],
        spacing: [8.0; 3],
        normalize: Normalize::Robust,
        placement: Placement::MaskCentre,
        template: None,
        whole_head: false,
        channels: Vec::new(),
    }
}

pub(super) fn made_run(folder: &Path) -> Run {
    let people: Vec<(Subject, Volume, Mask)> = IDS
        .iter()
        .enumerate()
        .map(|(n, id)| {
            let mask = Mask::from_fn(lattice(n), brain);
            let volume = mask.map(|&m| if m { 1.0 + 0.1 * n as f32 } else { 0.0 });
            (Subject::new(*id, &volume, &mask), volume, mask)
        })
        .collect();
    let truth = |n: usize| if n.is_multiple_of(2) { "F" } else { EVIL };
    let participants = Table {
        columns: vec!["sex".into(), "age".into(), "site".into()],
        rows: (0..6)
            .map(|n| vec![Some(truth(n).into()), Some((30 + n).to_string()), Some("<b>here</b>".into())])
            .collect(),
    };
    let cohort = Cohort::write(&folder.join("cohort"), &preparation(), &participants, &people).unwrap();
    let classes = vec!["F".to_owned(), EVIL.to_owned()];
    let manifest = Manifest {
        version: "0".into(),
        cohort: cohort.path.clone().into(),
        cohort_hash: cohort_hash(&cohort),
        label: "sex".into(),
        task: Task::classes_named(classes.clone()),
        folds: 1,
        seed: 3,
        options: serde_json::json!({}),
        test: None,
        left_out: Default::default(),
        soft_labels: Vec::new(),
        near_duplicates: None,
    };
    let run = Run::create(&folder.join("run"), manifest, &serde_json::json!({"epochs": 2})).unwrap();
    let model = run.layout().fold(0).model();
    std::fs::create_dir_all(model.parent().unwrap()).unwrap();
    MODEL.write(&model).unwrap();
    // The last is told wrong.
    let predictions: Vec<Prediction> = (0..6)
        .map(|n| {
            let right = n < 5;
            let said = if right { truth(n) } else { "F" };
            let p = if said == "F" { 0.9 - 0.1 * n as f64 } else { 0.1 };
            Prediction {
                participant_id: IDS[n].into(),
                fold: 0,
                truth: truth(n).into(),
                predicted: said.into(),
                probabilities: vec![p, 1.0 - p],
            }
        })
        .collect();
    write_predictions(&run.path.join("predictions.tsv"), &classes, &predictions).unwrap();
    let by_fold: Vec<FoldPrediction> = predictions
        .iter()
        .enumerate()
        .map(|(subject, p)| FoldPrediction {
            subject,
            truth: usize::from(p.truth != "F"),
            predicted: usize::from(p.predicted != "F"),
            probabilities: p.probabilities.clone(),
            fold: 0,
            group: None,
        })
        .collect();
    let metrics = Metrics {
        classes: classes.clone(),
        positive: EVIL.into(),
        models: vec![],
        method: EVIL.into(),
        people: None,
        grouped_by: None,
        rows: false,
        classifiers: vec![ClassifierMetrics {
            chosen: None,
            classifier: "cnn".into(),
            description: EVIL.into(),
            classification: Classification::of(&by_fold, 2, 1).unwrap(),
        }],
        comparisons: vec![],
        chance: None,
        volume_correlation: None,
        groups: vec![],
        summary: vec![format!("Told right: 5 of 6. {EVIL}")],
    };
    atomic_file::write_json(&run.path.join("metrics.json"), &metrics).unwrap();
    run
}

fn record(id: &str, method: &str) -> Record {
    serde_json::from_value(serde_json::json!({
        "Method": method, "Subject": id, "Target": "class 1, logit", "Class": 1, "Score": 0.5,
        "Classes": ["F", EVIL], "Logits": [0.1, 0.5], "Truth": 1, "Units": "logit", "Sign": EVIL,
        "Parameters": {"layer": "features.10"}, "RulesApplied": null, "Measured": null,
        "Passes": {"Forward": 1, "Backward": 1}, "Requested": [Target::Predicted, Score::Logit], "Compat": null,
        "Model": MODEL.hash(), "Input": "i", "InSample": false, "Warnings": [EVIL], "Version": "0",
    }))
    .unwrap()
}

pub(super) fn add_maps(run: &Run, method: &str) {
    for (n, id) in IDS.iter().enumerate() {
        let path = run.layout().map(id, method).path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let map = Volume::from_fn(lattice(n), |v| value(n, method, v));
        write(&path, &map, &WriteOptions::default()).unwrap();
        let sidecar = path.to_str().unwrap().replace(".nii.gz", ".json");
        atomic_file::write_json(Path::new(&sidecar), &record(id, method)).unwrap();
    }
}

/// The steps that make the maps again have what the maps were asked: target, scale, options, atlas, people.
#[test]
fn the_steps_that_make_maps_again_say_all_that_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    let said = || -> Vec<String> {
        let steps = steps_again(&run, &run.maps().unwrap()).unwrap();
        steps.iter().map(|step| Library.action(step).replace(&run.path.display().to_string(), "RUN")).collect()
    };
    add_maps(&run, "grad-cam");
    add_maps(&run, "saliency");
    // Their layer is not that of the default, and saliency has no such option.
    assert_eq!(said(), ["explain RUN with `method` = grad-cam,saliency, `set` = grad-cam.layer=features.10"]);
    let change = |id: &str, method: &str, of: &dyn Fn(&mut serde_json::Value)| {
        let file = run.layout().map(id, method).path().to_str().unwrap().replace(".nii.gz", ".json");
        let mut record = voxplain_core::seal::read(Path::new(&file), "").unwrap();
        of(&mut record);
        atomic_file::write_json(Path::new(&file), &record).unwrap();
    };
    for id in IDS {
        change(id, "grad-cam", &|r| {
            r["Parameters"] = serde_json::json!({"layer": "last", "rectify": true});
            r["Requested"] = serde_json::json!([{"difference": [0, 1]}, "log-prob"]);
            r["Classes"] = serde_json::json!(["1", "0"]);
        });
    }
    // One was made in another way.
    change(IDS[1], "saliency", &|r| {
        r["Atlas"] = serde_json::json!({"Image": "/a.nii.gz", "Labels": "/a.tsv", "Hash": "h"});
        r["InSample"] = true.into();
    });
    let mut others: Vec<&str> = IDS.iter().copied().filter(|id| *id != IDS[1]).collect();
    others.sort_unstable();
    let mut expected = [
        format!("explain RUN with `method` = saliency, `subjects` = {}", others.join(",")),
        format!(
            "explain RUN with `method` = saliency, `atlas` = /a.nii.gz, `labels` = /a.tsv, `in-sample`, `subjects` = {}",
            IDS[1]
        ),
        "explain RUN with `method` = grad-cam, `set` = grad-cam.rectify=true, `target` = diff:1,0, `score` = log-prob"
            .into(),
    ];
    expected.sort();
    let mut said = said();
    said.sort();
    assert_eq!(said, expected);
}

fn group_map(run: &Run, name: &str) -> Volume {
    read(&run.path.join("group").join(name), &ReadOptions::default()).unwrap().volume
}

#[test]
fn group_maps_are_the_statistics_of_their_people() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    assert!(group(&run, &GroupOptions::default(), &Silent).unwrap_err().to_string().contains("no maps yet"));
    add_maps(&run, "grad-cam");
    add_maps(&run, "saliency");
    let summary = group(&run, &GroupOptions::default(), &Silent).unwrap();
    assert_eq!(summary, GroupSummary::read(&run).unwrap().unwrap());
    let names: Vec<(&str, usize)> = summary.groups.iter().map(|g| (g.name.as_str(), g.subjects.len())).collect();
    assert_eq!(
        names,
        [
            ("group-all", 6),
            ("label-F", 3),
            ("label-scriptalert1script", 3),
            ("outcome-tp", 2),
            ("outcome-tn", 3),
            ("outcome-fn", 1)
        ]
    );
    // Women are 0, 2, 4: 1, 3 and 5 times the pattern. Slowly, voxel by voxel:
    let (mean, median, sd, sign) = (
        group_map(&run, "label-F_stat-mean_desc-gradcam_attribution.nii.gz"),
        group_map(&run, "label-F_stat-median_desc-gradcam_attribution.nii.gz"),
        group_map(&run, "label-F_stat-sd_desc-gradcam_attribution.nii.gz"),
        group_map(&run, "group-all_stat-sign_desc-gradcam_attribution.nii.gz"),
    );
    for n in 0..mean.grid().len() {
        let v = mean.grid().voxel(n);
        let one = value(0, "grad-cam", v);
        assert!((mean.data()[n] - 3.0 * one).abs() < 1e-5 && (median.data()[n] - 3.0 * one).abs() < 1e-5);
        assert!((sd.data()[n] - 2.0 * one.abs()).abs() < 1e-5);
        let expected = if !brain(v) {
            0.0
        } else if from_middle(v)[0] < 0.0 {
            1.0
        } else {
            -0.5
        };
        assert_eq!(sign.data()[n], expected, "{v:?}");
    }
    // The lattice's middle is the origin: left of the brain is negative x.
    let centre = mean.grid().center();
    assert!(centre.iter().all(|c| c.abs() < 1e-4), "{centre:?}");
    // One subject has no standard deviation.
    assert!(!run.path.join("group/outcome-fn_stat-sd_desc-gradcam_attribution.nii.gz").exists());

    // Opposite hemispheres: correlation below 0, no overlap of the top 10 %.
    let find = |measure: &str, percent: Option<f64>| {
        summary
            .similarity
            .iter()
            .find(|r| {
                r.level == Level::Subjects
                    && r.group == "group-all"
                    && r.measure == measure
                    && r.percent == percent
                    && r.top != Some(Top::Positive)
            })
            .unwrap()
    };
    assert!(find("spearman", None).value.unwrap().mean < 0.0);
    assert_eq!(find("dice", Some(10.0)).value.unwrap().mean, 0.0);
    assert!(find("dice", Some(10.0)).corrected.unwrap().mean < 0.0);
    // Twice the same bytes.
    let bytes = |name: &str| std::fs::read(run.path.join("group").join(name)).unwrap();
    let names =
        ["summary.json", "similarity.tsv", "label-F_stat-mean_desc-gradcam_attribution.nii.gz", "mean_brain.nii.gz"];
    let before = names.map(bytes);
    group(&run, &GroupOptions::default(), &Silent).unwrap();
    assert!(before == names.map(bytes));
}

#[test]
fn missing_maps_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    add_maps(&run, "grad-cam");
    std::fs::remove_file(run.layout().map("c3", "grad-cam").path()).unwrap();
    let error = group(&run, &GroupOptions::default(), &Silent).unwrap_err();
    assert!(error.to_string().contains("no map of 1 of 6 subjects: c3"), "{error}");
    let options = GroupOptions { keep_going: true, ..GroupOptions::default() };
    let summary = group(&run, &options, &Silent).unwrap();
    assert_eq!(summary.groups[0].subjects.len(), 5);
    assert_eq!(summary.methods[0].missing, ["c3"]);
    assert!(summary.warnings[0].contains("c3"));
    // A map that is not a number anywhere stops everything.
    let path = run.layout().map("d4", "grad-cam").path();
    let mut map = read(&path, &ReadOptions::default()).unwrap().volume;
    map.data_mut()[7] = f32::NAN;
    write(&path, &map, &WriteOptions::default()).unwrap();
    let error = group(&run, &options, &Silent).unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
}

/// An atlas of two halves in the world of all subjects, and the region table made with it.
pub(super) fn add_regions(run: &Run) {
    let folder = run.path.parent().unwrap();
    let grid = Grid::new([60, 60, 60], Affine::from_spacing_origin([4.0; 3], [-118.0, -118.0, -118.0])).unwrap();
    let labels = Volume::from_fn(grid, |[i, ..]| if i < 30 { 1u32 } else { 2 });
    write_labels(&folder.join("halves.nii.gz"), &labels, &WriteOptions::default()).unwrap();
    std::fs::write(folder.join("halves.tsv"), "index\tname\themisphere\n1\t<i>west</i>\tleft\n2\teast\tright\n")
        .unwrap();
    let what = RegionOptions {
        atlas: folder.join("halves.nii.gz").to_str().unwrap().to_owned(),
        labels: folder.join("halves.tsv"),
        mask: None,
        mask_threshold: None,
        cohort: None,
        channel: None,
        allow_mismatch: false,
    };
    let table = measure_regions(std::slice::from_ref(&run.path), &what, &Silent).unwrap();
    table.write(&run.path.join("regions/halves.tsv"), &what).unwrap();
}

/// A cohort that is named must be the run's; one that is merely missing leaves gaps, and the page says which.
#[test]
fn a_cohort_that_is_named_must_be_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    let with = |cohort: &Path| {
        let options = ReportOptions { cohort: Some(cohort.to_owned()), ..ReportOptions::default() };
        super::report(&run.path, &options, &Library, &Silent)
    };
    let own = run.cohort().unwrap();
    assert!(with(&own.path).is_ok());
    let mask = Mask::from_fn(lattice(0), brain);
    let volume = mask.map(|&m| f32::from(u8::from(m)));
    let participants = Table { columns: vec!["sex".into()], rows: vec![vec![Some("F".into())]] };
    let other = folder.path().join("other");
    Cohort::write(&other, &own.preparation, &participants, &[(Subject::new("a1", &volume, &mask), volume, mask)])
        .unwrap();
    std::fs::remove_file(run.layout().report()).unwrap();
    for (path, word) in [(other, "not those that"), (folder.path().join("nowhere"), "nowhere")] {
        let error = with(&path).unwrap_err();
        assert!(error.to_string().contains(word) && error.remedy().is_some(), "{error}");
        let error = Site::open(&run.path, Some(&path), &Library, &Silent).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(!run.layout().report().exists(), "no page");
    std::fs::rename(&own.path, folder.path().join("moved")).unwrap();
    let made = report(&run.path, None).unwrap();
    assert!(made.warnings.iter().any(|w| w.contains("the viewer, the pictures of people")), "{:?}", made.warnings);
}

/// A page of which nothing has changed stands; whatever it is made from, was made into, or is asked for makes it anew.
#[test]
fn a_report_of_which_nothing_has_changed_stands() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    add_maps(&run, "grad-cam");
    add_regions(&run);
    let made = || report(&run.path, None).unwrap();
    let first = made();
    let html = std::fs::read_to_string(&first.page).unwrap();
    is_safe(&html);
    assert!(!first.as_it_was && html.len() == first.bytes && !first.missing.is_empty());
    let again = made();
    assert!(again.as_it_was);
    assert_eq!(Reported { as_it_was: false, ..again }, first);
    assert_eq!(std::fs::read_to_string(&first.page).unwrap(), html);
    // The run's own cohort by any name is the run's own cohort.
    let cohort = run.cohort().unwrap().path;
    let named =
        ReportOptions { cohort: Some(cohort.join("..").join(cohort.file_name().unwrap())), ..ReportOptions::default() };
    assert!(super::report(&run.path, &named, &Library, &Silent).unwrap().as_it_was);
    // Each of these is an input or an output; once it is as it was, the page stands again.
    let inputs = [
        run.layout().manifest(),
        run.layout().map("a1", "grad-cam").path(),
        run.cohort().unwrap().layout().participants(),
        run.path.join("regions/halves.json"),
        folder.path().join("halves.nii.gz"),
        first.figures[0].with_extension("png"),
        first.page.clone(),
        first.methods_text[0].clone(),
    ];
    for file in &inputs {
        let (was, html) = (std::fs::read(file).unwrap(), std::fs::read(&first.page).unwrap());
        let mut changed = was.clone();
        // JSON and tables take a space, and a page a comment, without being others to a reader.
        changed.push(b' ');
        std::fs::write(file, changed).unwrap();
        let key = super::made::key(&run.path, &first.page, None, &Library).unwrap();
        assert!(key.and_then(|key| super::made::unchanged(&first.page, &key)).is_none(), "{}", file.display());
        std::fs::write(file, was).unwrap();
        std::fs::write(&first.page, html).unwrap();
        assert!(made().as_it_was, "{}", file.display());
    }
    // Another vocabulary has other words, and force makes all.
    struct Other;
    impl voxplain_core::Vocabulary for Other {
        fn setting(&self, setting: voxplain_core::Setting, _: Option<&str>) -> String {
            setting.name().into()
        }
        fn action(&self, action: &Action) -> String {
            format!("do {}", action.verb)
        }
    }
    assert!(!super::report(&run.path, &ReportOptions::default(), &Other, &Silent).unwrap().as_it_was);
    assert!(!made().as_it_was);
    let force = ReportOptions { force: true, ..ReportOptions::default() };
    let forced = super::report(&run.path, &force, &Library, &Silent).unwrap();
    assert!(!forced.as_it_was && std::fs::read_to_string(&first.page).unwrap() == html);
}

/// Maps beside a mask that was given: where it lies, what was measured, and what is said where the mask has changed since.
#[test]
fn the_truth_has_its_section_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    for method in ["grad-cam", "saliency"] {
        add_maps(&run, method);
    }
    let page = || {
        let made = report(&run.path, None).unwrap();
        (made.warnings, made.missing, std::fs::read_to_string(made.page).unwrap())
    };
    let shown = |html: &str| html.contains("Truth: do maps lie where the classes differ?");
    let (_, missing, html) = page();
    assert!(!shown(&html) && !missing.iter().any(|m| m.what.contains("truth")));
    let split = Split { train: Vec::new(), test: (0..IDS.len()).collect() };
    atomic_file::write_json(&run.layout().fold(0).split(), &split).unwrap();
    // The left half of the field of view.
    let cohort = run.cohort().unwrap();
    let left = Volume::from_fn(cohort.grid(), |[i, ..]| f32::from(u8::from(i < 6)));
    let file = folder.path().join("left.nii.gz");
    write(&file, &left, &WriteOptions::default()).unwrap();
    let options = voxplain_study::evaluation::truth::Options { truth: Some(file.clone()), ..Default::default() };
    let found = voxplain_study::evaluation::truth::evaluate(&run, &options, &Silent).unwrap();
    let (_, _, html) = page();
    assert!(shown(&html) && html.contains("left.nii.gz, which has 840 voxels (430 cm³) on their grid."));
    assert!(html.contains("Where the classes differ") && html.contains("Relevance is |value|."));
    // Grad-CAM is larger on the left, and the table has what was measured.
    let all = found.iter().find(|row| row.method == "grad-cam" && row.class.is_none()).unwrap();
    assert!(all.enrichment.unwrap().mean > 1.2, "{all:?}");
    let cell = format!("<td>{:.1}</td>\n<td>{:.2}</td>", 100.0 * all.mass.unwrap().mean, all.enrichment.unwrap().mean);
    assert!(html.replace("</td><td>", "</td>\n<td>").contains(&cell), "{cell}");
    // Another mask under that name is not taken for it.
    write(&file, &left.map(|v| 1.0 - v), &WriteOptions::default()).unwrap();
    let (_, _, html) = page();
    assert!(shown(&html) && html.contains("holds something else now") && !html.contains("Where the classes differ<"));
    // What was measured of other maps is left out.
    let summary = run.layout().evaluation().summary("localisation");
    let text = std::fs::read_to_string(&summary).unwrap();
    let digest = voxplain_study::evaluation::truth::read_found(&run).unwrap().unwrap();
    assert_eq!(digest, found);
    let stale = text.replacen(&all.models[0], "another", 1);
    std::fs::write(&summary, stale).unwrap();
    let (warnings, _, html) = page();
    assert!(!shown(&html) && warnings.iter().any(|w| w.contains("How much of the maps lies in the truth is left out")));
}

/// Tables that are not of the run's models, or not as this version writes them, are left out, and the page says which and why.
#[test]
fn tables_of_regions_that_do_not_count_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    add_maps(&run, "grad-cam");
    add_regions(&run);
    let table = run.path.join("regions/halves.tsv");
    let record = run.path.join("regions/halves.json");
    let page = || {
        let made = report(&run.path, None).unwrap();
        (made.warnings, std::fs::read_to_string(made.page).unwrap())
    };
    let shown = |html: &str| html.contains("-regions\"><details open><summary><h2>Regions</h2>");
    let (warnings, html) = page();
    assert!(shown(&html) && !warnings.iter().any(|w| w.contains("region table")), "{warnings:?}");
    assert!(html.contains("&lt;i&gt;west&lt;/i&gt;"), "of the means");

    let good: serde_json::Value = read_json(&record).unwrap();
    let left_out = |why: &str| {
        let (warnings, html) = page();
        assert!(!shown(&html), "{why}");
        let named = |w: &&String| w.contains("A region table is left out") && w.contains("halves") && w.contains(why);
        assert_eq!(warnings.iter().filter(named).count(), 1, "{why}: {warnings:?}");
    };
    // Another model, one more model, and none named.
    for (models, why) in [
        (serde_json::json!(["another"]), "other models than those that the run has now"),
        (serde_json::json!([good["models"][0], "another"]), "other models than those that the run has now"),
        (serde_json::Value::Null, "does not say which models"),
    ] {
        let mut stale = good.clone();
        stale["models"] = models;
        atomic_file::write_json(&record, &stale).unwrap();
        left_out(why);
    }
    // Maps were made in another way since.
    let mut stale = good.clone();
    let (_, digest) = stale["made_from"]["grad-cam"].as_object_mut().unwrap().iter_mut().next().unwrap();
    *digest = "another".into();
    atomic_file::write_json(&record, &stale).unwrap();
    left_out("was made from other maps of grad-cam than those there now");
    atomic_file::write_json(&record, &good).unwrap();
    assert!(shown(&page().1));
    // What is not combined is in the methods text.
    let text = std::fs::read_to_string(run.path.join("report_methods.md")).unwrap();
    assert!(!run.layout().group().summary().is_file() && text.contains("made by grad-cam [@selvaraju2017]"), "{text}");
    // Its means are gone.
    let means = RunLayout::region_means(&table);
    let kept = std::fs::read(&means).unwrap();
    std::fs::remove_file(&means).unwrap();
    left_out("no means of them in halves_means.tsv");
    std::fs::write(&means, kept).unwrap();
    // A number that was changed.
    let kept = std::fs::read_to_string(&table).unwrap();
    std::fs::write(&table, kept.replacen("0.", "1.", 1)).unwrap();
    left_out("halves.tsv: is not what was written");
    std::fs::write(&table, &kept).unwrap();
    assert!(shown(&page().1));
    // A table as older versions wrote it.
    let mut old = good.clone();
    assert!(old.as_object_mut().unwrap().remove("checksums").is_some());
    atomic_file::write_json(&record, &old).unwrap();
    std::fs::write(&table, "map\tmethod\tn\tregion\nmean of maps\tgrad-cam\t6\t1\n").unwrap();
    left_out("not as this version writes it");
}

/// What a page's script element of that id holds.
pub(super) fn script<'a>(html: &'a str, name: &str) -> &'a str {
    let (_, rest) = html.split_once(&format!("-{name}\">")).unwrap_or_else(|| panic!("no {name}"));
    rest.split_once("</script>").unwrap().0
}

/// The bytes of a volume that the page carries.
fn bytes_of(html: &str, n: &serde_json::Value) -> Vec<u8> {
    STANDARD.decode(script(html, &format!("volume-{n}"))).unwrap()
}

/// The brain that a scene of the page lies over.
fn brain_of(html: &str, scene: &serde_json::Value) -> Volume {
    expand(&bytes_of(html, &scene["brain"]), None).unwrap()
}

/// Labels that the page carries.
fn labels_of(html: &str, n: &serde_json::Value) -> Volume {
    let bytes = bytes_of(html, n);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.nii.gz");
    std::fs::write(&path, bytes).unwrap();
    read(&path, &ReadOptions::default()).unwrap().volume
}

#[test]
fn the_viewer_holds_what_was_made_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    add_maps(&run, "grad-cam");
    add_maps(&run, "saliency");
    group(&run, &GroupOptions::default(), &Silent).unwrap();
    add_regions(&run);
    let made = report(&run.path, None).unwrap();
    let html = std::fs::read_to_string(&made.page).unwrap();
    is_safe(&html);
    assert_eq!(made.volumes, [] as [std::path::PathBuf; 0]);
    let index: serde_json::Value = serde_json::from_str(script(&html, "index")).unwrap();
    let scenes = index["scenes"].as_array().unwrap();
    let keys: Vec<&str> = scenes.iter().map(|s| s["key"].as_str().unwrap()).collect();
    assert_eq!(&keys[..3], ["group-all", "label-F", "label-scriptalert1script"]);
    // The one told wrong comes first among the subjects.
    let first = keys.iter().position(|k| k.starts_with("sub-")).unwrap();
    assert_eq!((keys[first], keys.len() - first), ("sub-f6", 6 + 3));
    assert!(keys.contains(&visible(&format!("sub-{EVIL_ID}")).as_ref()));
    assert_eq!(index["atlases"][0]["regions"]["1"]["words"], "<i>west</i> (left)");
    assert_eq!(index["methods"]["grad-cam"]["units"], "logit");

    for (n, id) in IDS.iter().enumerate() {
        let scene = scenes.iter().find(|s| s["key"] == *visible(&format!("sub-{id}"))).unwrap();
        for map in scene["maps"].as_array().unwrap() {
            let method = map["method"].as_str().unwrap();
            let inside = brain_of(&html, scene).map(|v| *v > 0.0);
            let shown = expand(&bytes_of(&html, &map["volume"]), Some(&inside)).unwrap();
            assert_eq!(*shown.grid(), lattice(n));
            let most = map["most"].as_f64().unwrap();
            for (at, now) in shown.data().iter().enumerate() {
                let then = value(n, method, lattice(n).voxel(at));
                assert!(f64::from((now - then).abs()) <= 0.01001 * most, "{id} {method}: {now}, not {then}");
            }
        }
        // Labels are looked up where voxels are: the halves meet at x = 0 in the world, not in the array.
        let labels = labels_of(&html, &scene["labels"][0]);
        for (at, label) in labels.data().iter().enumerate() {
            let x = lattice(n).affine.apply(lattice(n).voxel(at).map(|v| v as f64))[0];
            if x.abs() > 4.0 {
                assert_eq!(*label, if x < 0.0 { 1.0 } else { 2.0 }, "{id}: x = {x}");
            }
        }
        // The crosshair begins at the largest |value| of the first map: the front of the left hemisphere.
        let start: Vec<f64> =
            scene["maps"][0]["start"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let middle = lattice(n).center();
        assert!(start[0] < middle[0] && start[1] > middle[1] + 30.0, "{id}: {start:?}");
    }
    // In the group's world, mm from the centre, the halves lie as most subjects have them.
    let labels = labels_of(&html, &scenes[0]["labels"][0]);
    let of = |i: usize| labels.at(i, 7, 5);
    assert_eq!((of(0), of(11)), (1.0, 2.0));

    // A record of an older version holds paths as they were typed: here, by someone who stood in the run.
    let record = run.path.join("regions/halves.json");
    let mut old: serde_json::Value = read_json(&record).unwrap();
    (old["survey"]["atlas"], old["survey"]["labels"]) = ("../halves.nii.gz".into(), "../halves.tsv".into());
    atomic_file::write_json(&record, &old).unwrap();
    report(&run.path, None).unwrap();
    let again = std::fs::read_to_string(&made.page).unwrap();
    assert_eq!(script(&again, "index"), script(&html, "index"));

    // With no room but for the first scene, the rest goes to files; the next report takes them away again.
    let small = super::report_within(0, &run.path, (None, None), &Library, &Silent).unwrap();
    assert_eq!(small.volumes.len(), scenes.len() - 1);
    assert!(small.volumes[0].ends_with("report_volumes/1.js") && small.bytes < made.bytes);
    let folder = run.path.join("report_volumes");
    std::fs::write(folder.join("mine.js"), "x").unwrap();
    assert_eq!(report(&run.path, None).unwrap().bytes, made.bytes);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "files of others stay");
}

#[test]
fn a_site_gives_on_request_what_a_page_carries() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    assert!(Site::open(folder.path(), None, &Library, &Silent).unwrap_err().to_string().contains("is no run"));
    add_maps(&run, "grad-cam");
    add_maps(&run, "saliency");
    group(&run, &GroupOptions::default(), &Silent).unwrap();
    add_regions(&run);
    let site = Site::open(&run.path, None, &Library, &Silent).unwrap();
    let Some(Part::Page(page)) = site.part("").unwrap() else { panic!("no page") };
    is_safe(&page);
    assert!(page.contains(&format!("'nonce-{}'", site.nonce())) && !page.contains("-volume-0\">"));
    assert!(!run.path.join("report.html").exists() && !run.path.join("figures").exists(), "nothing is written");
    let shell: serde_json::Value = serde_json::from_str(script(&page, "index")).unwrap();

    let carried = std::fs::read_to_string(report(&run.path, None).unwrap().page).unwrap();
    let index: serde_json::Value = serde_json::from_str(script(&carried, "index")).unwrap();
    let scenes = index["scenes"].as_array().unwrap();
    assert_eq!((site.scenes(), shell["scenes"].as_array().unwrap().len()), (scenes.len(), scenes.len()));
    for (n, scene) in scenes.iter().enumerate() {
        assert_eq!(shell["scenes"][n]["key"], scene["key"]);
        assert!(shell["scenes"][n]["maps"].is_null());
        let name = shell["scenes"][n]["file"].as_str().unwrap();
        let Some(Part::Script(script_)) = site.part(name).unwrap() else { panic!("no {name}") };
        let json = |line: usize| -> serde_json::Value {
            let line = script_.lines().nth(line).unwrap();
            let (_, rest) = line.split_once("),").unwrap();
            serde_json::from_str(rest.strip_suffix(");").unwrap()).unwrap()
        };
        let (volumes, given) = (json(0), json(1)[n.to_string()].clone());
        let same = |here: &serde_json::Value, there: &serde_json::Value| {
            assert_eq!(volumes[here.to_string()], script(&carried, &format!("volume-{there}")), "{name}");
        };
        same(&given["brain"], &scene["brain"]);
        same(&given["labels"][0], &scene["labels"][0]);
        for (m, (here, there)) in
            given["maps"].as_array().unwrap().iter().zip(scene["maps"].as_array().unwrap()).enumerate()
        {
            same(&here["volume"], &there["volume"]);
            assert_eq!((&here["most"], &here["method"]), (&there["most"], &there["method"]));
            // And the map itself, byte for byte.
            let (method, key) = (here["method"].as_str().unwrap(), scene["key"].as_str().unwrap());
            let file = match key.strip_prefix("sub-") {
                Some(shown) => {
                    let id = IDS.iter().find(|id| visible(id) == shown).unwrap();
                    run.layout().map(id, method).path()
                }
                None => {
                    run.path.join(format!("group/{key}_stat-mean_desc-{}_attribution.nii.gz", method.replace('-', "")))
                }
            };
            assert_eq!(here["file"], format!("maps/{n}-{m}.nii.gz"));
            let Some(Part::Map(bytes, called)) = site.part(here["file"].as_str().unwrap()).unwrap() else { panic!() };
            assert_eq!(
                (bytes, called),
                (std::fs::read(&file).unwrap(), file.file_name().unwrap().to_str().unwrap().to_owned())
            );
        }
        assert_eq!(given["atlases"][0]["regions"]["1"]["words"], "<i>west</i> (left)");
        assert_eq!(given["methods"]["grad-cam"]["units"], "logit");
    }
    for name in [
        "manifest.json",
        "../manifest.json",
        "scenes/../manifest.json",
        "/etc/passwd",
        "scenes/99.js",
        "scenes/+1.js",
        "scenes/01.js",
        "scenes/-1.js",
        "maps/0-9.nii.gz",
        "maps/99-0.nii.gz",
        "maps/0.nii.gz",
        "scenes/1.js/",
        "scenes/\u{0}",
    ] {
        assert_eq!(site.part(name).unwrap(), None, "{name}");
    }
    // A damaged map is an error with its name, not a panic, and the others can still be seen.
    std::fs::write(run.layout().map("a1", "saliency").path(), "no image").unwrap();
    let of = |key: &str| scenes.iter().position(|s| s["key"] == key).unwrap();
    let error = site.part(&format!("scenes/{}.js", of("sub-a1"))).unwrap_err().to_string();
    assert!(error.contains("sub-a1_desc-saliency"), "{error}");
    assert!(site.part(&format!("scenes/{}.js", of("sub-b2"))).unwrap().is_some());
}

/// Pages for the tests in a browser (`tests/browser`), in the folder that `VOXPLAIN_PAGES` names.
#[test]
fn pages_for_the_browser() {
    let Some(pages) = std::env::var_os("VOXPLAIN_PAGES") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    add_maps(&run, "grad-cam");
    add_maps(&run, "saliency");
    group(&run, &GroupOptions::default(), &Silent).unwrap();
    add_regions(&run);
    let atlas = Atlas::open(&folder.path().join("halves.nii.gz"), &folder.path().join("halves.tsv"), false).unwrap();
    let mut expected = serde_json::Map::new();
    for (n, id) in IDS.iter().enumerate() {
        let mask = Mask::from_fn(lattice(n), brain);
        let of = |method: &str| {
            let map = Volume::from_fn(lattice(n), |v| value(n, method, v));
            let mut table = RegionTable::default();
            table.measure(&MapName::default(), &map, &atlas, Some(&mask)).unwrap();
            let rows = table.rows.iter().filter_map(|r| Some((r.id?, (r.voxels, r.enrichment, r.mean))));
            serde_json::json!(rows.collect::<std::collections::BTreeMap<_, _>>())
        };
        expected.insert(
            visible(id).into_owned(),
            serde_json::json!({"grad-cam": of("grad-cam"), "saliency": of("saliency")}),
        );
    }
    std::fs::create_dir_all(Path::new(&pages).join("made")).unwrap();
    atomic_file::write_json(&Path::new(&pages).join("made/regions.json"), &expected).unwrap();
    for (name, max) in [("made", super::viewer::MAX_PAGE_BYTES), ("made-small", 0)] {
        let page = Path::new(&pages).join(name).join("report.html");
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        super::report_within(max, &run.path, (Some(&page), None), &Library, &Silent).unwrap();
    }
}

/// No name from data is markup, nothing is fetched, nothing runs but the page's own scripts.
pub(super) fn is_safe(html: &str) {
    // The scripts of folds and of the viewer and, as text, the library and the volumes.
    let elements: Vec<&str> = html.split("<script").skip(1).map(|s| s.split('>').next().unwrap()).collect();
    for element in &elements {
        let (running, text) = (element.contains(" nonce=\""), element.contains(" type=\"text/plain\""));
        assert!(running || text || element.contains(" type=\"application/json\""), "<script{element}>");
    }
    assert!(elements.iter().filter(|e| e.contains("nonce")).count() <= 2);
    let page = html.split("<script").next().unwrap();
    assert!(
        !page.contains("<img src=x") && !page.contains("<b>here") && !page.contains("<i>west"),
        "data became markup"
    );
    if visible(html) != html {
        let raw: Vec<char> = html.chars().filter(|c| visible(c.encode_utf8(&mut [0; 4])) != c.to_string()).collect();
        panic!("hidden characters are in the page as they are: {raw:?}");
    }
    // The font of figures is the only thing that styles bring, and it is in the page.
    let html = page.replace("url(\"data:font/ttf;base64,", "");
    for fetched in [" src=\"http", "href=\"http", "url(", "@import", "<link", "<iframe", "javascript:", " onload"] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    assert!(html.contains("default-src 'none'"));
    // Pictures are text too, in which any three letters may stand together.
    let words: String = html
        .split("base64,")
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { &part[part.find('"').unwrap()..] })
        .collect();
    assert!(!words.contains("NaN"));
}

/// One method whose areas are below those of its random orders.
fn faithfulness(metric: Metric) -> Summary {
    let around =
        |mean: f64| Interval { mean, low: Some(mean - 0.1), high: Some(mean + 0.1), n: 6, ..Interval::default() };
    let settings = Settings { steps: 2, substrates: vec![Substrate::Blur], ..Settings::default() };
    Summary {
        channels: Vec::new(),
        made_from: Default::default(),
        metric,
        better: metric.better().into(),
        whole_heads: None,
        models: vec![MODEL.hash()],
        settings,
        block_voxels: [2, 2, 1],
        found: vec![MethodCurves {
            method: EVIL.into(),
            substrate: Substrate::Blur,
            ranking: Ranking::Signed,
            maps: 6,
            auc: around(0.4),
            random: around(0.7),
            difference: around(-0.3),
            wins: 1.0,
            verdict: if metric == Metric::Deletion { Judged::Better } else { Judged::Worse },
            curve: [0.9, 0.3, 0.1].map(around).to_vec(),
            random_curve: [0.9, 0.8, 0.1].map(around).to_vec(),
        }],
        version: "0".into(),
    }
}

#[test]
fn the_page_tells_what_there_is_and_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let run = made_run(folder.path());
    let page = |run: &Run| {
        let made = report(&run.path, None).unwrap();
        let html = std::fs::read_to_string(&made.page).unwrap();
        is_safe(&html);
        (made, html)
    };
    let (made, html) = page(&run);
    assert!(made.missing.iter().any(|m| m.command.starts_with("explain ")), "{:?}", made.missing);
    assert!(html.contains("Told right: 5 of 6. &lt;script&gt;") && html.contains("Not there yet"));

    add_maps(&run, "grad-cam");
    add_maps(&run, "saliency");
    let (made, _) = page(&run);
    assert!(made.missing.iter().any(|m| m.command.starts_with("group ")), "{:?}", made.missing);

    group(&run, &GroupOptions::default(), &Silent).unwrap();
    std::fs::create_dir_all(run.path.join("regions")).unwrap();
    let people =
        "method\tmap\tregion\tname\themisphere\tvoxels\tmean\tshare_positive\tshare_negative\tenrichment\tnote\n";
    let person = "grad-cam\tm\t1\tinsula\tleft\t10\t1\t0.5\t0.1\t0.5\tn/a\n";
    std::fs::write(run.path.join("regions/made.tsv"), format!("{people}{person}{person}")).unwrap();
    let row = |name: &str, e: f64| {
        format!("grad-cam\t1\t{name}\tleft\t6\t10\t1\t0.5\t0.4\t0.6\t0.1\t0\t0.2\t{e}\t{}\t{}\n", e - 0.1, e + 0.1)
    };
    let head = "method\tregion\tname\themisphere\tn\tvoxels\tmean\tshare_positive\tshare_positive_low\tshare_positive_high\tshare_negative\tshare_negative_low\tshare_negative_high\tenrichment\tenrichment_low\tenrichment_high\n";
    std::fs::write(run.path.join("regions/made_means.tsv"), format!("{head}{}{}", row(EVIL, 2.5), row("insula", 0.5)))
        .unwrap();
    let (made, _) = page(&run);
    assert_eq!(
        made.missing.iter().map(|m| m.command.clone()).collect::<Vec<_>>(),
        [Library.action(&Action::new("evaluate").on(&run.path).with(METRIC, "deletion,insertion"))]
    );
    std::fs::create_dir_all(run.path.join("evaluation")).unwrap();
    for metric in [Metric::Deletion, Metric::Insertion] {
        let path = run.path.join(format!("evaluation/{}.json", metric.word()));
        atomic_file::write_json(&path, &faithfulness(metric)).unwrap();
    }
    let (made, html) = page(&run);
    assert_eq!(made.missing, []);
    assert!(html.contains("id=\"v") && html.contains("-faithfulness\"><details open><summary><h2>Faithfulness"));
    // Curves of some of the people are made again of these alone.
    let path = run.path.join("evaluation/insertion.json");
    let mut some = serde_json::to_value(faithfulness(Metric::Insertion)).unwrap();
    some["made_from"] = serde_json::json!({"grad-cam": {"gone": "0", "too": "0"}});
    atomic_file::write_json(&path, &some).unwrap();
    assert!(!html.contains("gone,too") && page(&run).1.contains("gone,too"));
    atomic_file::write_json(&path, &faithfulness(Metric::Insertion)).unwrap();
    // The area, its control and the difference, with a true minus sign, of each metric.
    assert_eq!(html.matches("<td>\u{2212}0.300 [\u{2212}0.400,\u{a0}\u{2212}0.200]</td>").count(), 2);
    assert_eq!(html.matches("<td>better than random</td>").count(), 1);
    assert_eq!(html.matches("<td>worse than random</td>").count(), 1);
    assert!(html.contains("in blocks of 2 × 2 × 1 voxels, 2 steps"));
    assert!(html.len() < 10_000_000);
    // Everyone is there, the one told wrong first, with a picture per method.
    assert!(html.find("<strong>f6</strong>").unwrap() < html.find("<strong>a1</strong>").unwrap());
    // And everyone once more among the brains.
    assert_eq!(html.matches("<img ").count(), 12 + 6);
    assert!(
        html.contains("6 subjects are too few") && html.contains("alt=\"Axial and sagittal cut of the brain of f6")
    );
    let table = Table::read(made.quality.as_ref().unwrap()).unwrap();
    let ids: Vec<_> = table.rows.iter().map(|r| r[0].clone().unwrap()).collect();
    assert_eq!(ids, IDS.map(|id| format!("sub-{id}")));
    assert!(made.quality.as_ref().unwrap().ends_with("report_quality.tsv"));
    assert_eq!(html.matches("told wrong</span>").count(), 1);
    assert!(html.contains("group-all") || html.contains("all subjects (n = 6)"));
    assert!(html.contains("insula") && html.contains("2.50 [2.40, 2.60]"));
    for stem in [
        "mask-overlap",
        "group-all_stat-mean_desc-gradcam_mosaic",
        "method-gallery",
        "method-contours",
        "similarity-dice",
        "roc",
        "calibration",
        "confusion",
        "regions-made_desc-gradcam",
        "deletion-insertion",
    ] {
        for kind in ["svg", "png"] {
            assert!(run.path.join(format!("figures/{stem}.{kind}")).is_file(), "{stem}.{kind}");
        }
    }
    // The methods text says what the records say, with the works it cites and no others.
    let [text, references] = ["methods.md", "references.bib"]
        .map(|f| std::fs::read_to_string(run.path.join(format!("report_{f}"))).unwrap());
    assert_eq!(made.methods_text.len(), 2);
    assert!(
        text.contains(r"The cohort has 6 subjects (3 F, 3 <script>alert(1)</script>\u{1b}\u{202e}\u{200b})"),
        "{text}"
    );
    assert!(text.contains("12 × 14 × 10 voxels of 8 × 8 × 8 mm") && text.contains("not registered"), "{text}");
    assert!(text.contains("made by grad-cam [@selvaraju2017]") && text.contains("saliency [@simonyan2014]"), "{text}");
    assert!(text.contains("regions of: made (cite the atlas of this table)."), "{text}");
    // The options of this run are not those of training, so nothing is said of a network.
    assert!(!text.contains("Adam") && !text.contains("epochs"), "{text}");
    let keys: Vec<&str> = references.split('@').skip(1).map(|r| r.split(['{', ',']).nth(1).unwrap()).collect();
    assert_eq!(keys, ["wilson1927", "newcombe2006", "selvaraju2017", "simonyan2014", "petsiuk2018"]);
    assert!(text.contains("deletion and insertion curves [@petsiuk2018] of 6 subjects"), "{text}");
    assert!(text.contains("blurred by a Gaussian (standard deviation 10 mm)") && !text.contains("Laplace"), "{text}");
    assert!(text.trim_end().ends_with("kept with the run."), "the last paragraph stays the last: {text}");
    assert!(keys.iter().all(|k| text.contains(&format!("[@{k}]"))));
    assert!(html.contains(&run.manifest.cohort_hash), "provenance");
    // Twice the same bytes.
    assert_eq!(page(&run).1, html);
}

/// Of each kind of leak: what an old run does not say, what a new one does, and the test set with what came out.
#[test]
fn leakage_is_told_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = made_run(folder.path());
    add_maps(&run, "saliency");
    let told = |run: &Run| {
        let of = section::leakage::of_run(run, Some(&run.cohort().unwrap()), &run.maps().unwrap());
        let rows = of.table.rows.into_iter().map(|row| (row[0].clone(), row[1..].join(" | "))).collect();
        let rows: std::collections::BTreeMap<String, String> = rows;
        (rows, of.test_set)
    };
    let (rows, test_set) = told(&run);
    assert!(rows["Near duplicates"].starts_with("Not recorded: the version that trained this run did not look."));
    assert!(rows["Test set used for choices"].starts_with("No test set was set apart."));
    // Its folds have not begun.
    assert!(rows["Duplicates"].starts_with("Not checked: "), "{rows:?}");
    assert!(rows["Families and sites"].starts_with("No groups were named"));
    assert!(test_set.is_empty() && rows.len() == 12);
    let pair = |one: &str, likeness| AlikePair {
        one: one.into(),
        other: "z".into(),
        likeness,
        mirrored: likeness > 0.8,
        channel: None,
    };
    let found = NearDuplicates {
        people: 6,
        limit: Some(0.6),
        pairs: vec![pair("x", 0.97)],
        next: Some(pair("y", 0.31)),
        ..NearDuplicates::default()
    };
    run.manifest.near_duplicates = Some(found.clone());
    run.manifest.options = serde_json::json!({"group": "site", "stratify": ["age"], "match": ["mask_volume"], "early-stop": 3, "init": "m", "init-hash": "h"});
    run.manifest.test = Some(HeldForTest {
        set: "site=B".parse().unwrap(),
        subjects: vec![IDS[5].into()],
        asked_before: vec!["a day".into()],
    });
    let split = Split { train: vec![0, 1, 2], test: vec![3, 4] };
    let file = run.layout().fold(0).split();
    std::fs::write(&file, serde_json::to_string(&split).unwrap()).unwrap();
    let (rows, test_set) = told(&run);
    let near = &rows["Near duplicates"];
    assert!(near.contains("from a likeness of 0.60 on two may be one person. | 1 pair on both sides, trained on knowingly: x and z (likeness 0.97, mirrored). The next are y and z (likeness 0.31)."), "{near}");
    assert!(rows["Duplicates"].contains("None on both sides of a split."));
    assert!(rows["Covariates"].contains("balanced by the label and by age"));
    assert!(rows["Covariates"].contains("matched on mask_volume, by its training part alone"));
    assert!(rows["Options chosen by results"].starts_with("The epoch is chosen by a part of the training people"));
    assert!(rows["Ancestors of the model"].starts_with("Training began from m (BLAKE3 h)."));
    assert!(rows["Test set used for choices"].contains("It was asked about once, on a day."));
    assert_eq!(test_set.len(), 3);
    assert!(
        test_set[0].starts_with("1 subject with site = B is a test set") && test_set[2].contains(IDS[5]),
        "{test_set:?}"
    );
    // Only those held out are counted where maps are described.
    let maps = run.maps().unwrap();
    let described = voxplain_study::group::describe_maps(&run, &maps, &["saliency"]).unwrap();
    assert_eq!(described.iter().map(|of| of.subjects).sum::<usize>(), 5);
    atomic_file::write_json(
        &run.layout().test_metrics(),
        &serde_json::json!({"asked": ["now"], "metrics": {"summary": ["So it is."]}}),
    )
    .unwrap();
    assert!(
        told(&run).1.contains(&"What came out: So it is. The rest stands in predictions-test-set.json.".to_owned())
    );
    std::fs::write(run.layout().test_metrics(), "{").unwrap();
    assert!(told(&run).1[2].starts_with("What came out cannot be read: "));
    // What was asked for is said.
    run.manifest.near_duplicates = Some(NearDuplicates { asked: Copies::Off, ..NearDuplicates::default() });
    assert!(told(&run).0["Near duplicates"].starts_with("Not looked for, as was asked"));
    run.manifest.near_duplicates = Some(NearDuplicates { limit: None, people: 6, ..NearDuplicates::default() });
    assert!(told(&run).0["Near duplicates"].starts_with("6 brains could not be compared"));
}

#[test]
fn figures_without_room_are_left_out_and_named() {
    let figure = |stem: &str, bytes: usize| {
        let drawn = Figure { svg: "x".repeat(bytes), alt: String::new(), width: 10.0 };
        Placed::new(stem, drawn, "its caption")
    };
    let method = |name: &str| MethodMaps {
        name: name.into(),
        facts: vec![],
        warnings: vec![],
        figures: vec![figure(&format!("{name}-all"), 1_000_000), figure(&format!("{name}-women"), 10)],
    };
    let mut methods = [method("a"), method("b")];
    // 0.7 and 1 MB fit into 2.6 MB; the next does not, nor does what comes after.
    keep_small(&[figure("gallery", 700_000)], &mut methods);
    let shown: Vec<bool> = methods.iter().flat_map(|m| &m.figures).map(|f| !f.svg.is_empty()).collect();
    assert_eq!(shown, [true, false, false, false]);
    assert_eq!(methods[0].figures[0].caption, "its caption");
    assert!(methods[1].figures[0].caption.contains("figures/b-all.svg"), "{}", methods[1].figures[0].caption);
    assert_eq!(methods[1].figures[0].figure.svg.len(), 1_000_000, "the file is written all the same");
    // Both classes of the first method fit, one class of the second would: it has none.
    let by_class = |name: &str| MethodMaps {
        figures: ["all", "women", "men"].map(|of| figure(&format!("{name}-{of}"), 500_000)).into(),
        ..method(name)
    };
    let mut methods = [by_class("a"), by_class("b")];
    keep_small(&[figure("gallery", 100_000)], &mut methods);
    let shown: Vec<bool> = methods.iter().flat_map(|m| &m.figures).map(|f| !f.svg.is_empty()).collect();
    assert_eq!(shown, [true, true, true, true, false, false]);
}

#[test]
fn a_folder_of_maps_has_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    let map = Volume::from_fn(lattice(0), |v| value(1, "grad-cam", v));
    write(&folder.path().join("scan_desc-gradcam_attribution.nii.gz"), &map, &WriteOptions::default()).unwrap();
    atomic_file::write_json(&folder.path().join("scan_desc-gradcam_attribution.json"), &record(EVIL, "grad-cam"))
        .unwrap();
    let out = folder.path().join("page.html");
    let made = report(folder.path(), Some(&out)).unwrap();
    let html = std::fs::read_to_string(&out).unwrap();
    is_safe(&html);
    assert!(html.contains("&lt;script&gt;alert(1)") && made.figures.len() == 1);
    // Without the image the map lies over its field of view; with it, over the brain.
    let index: serde_json::Value = serde_json::from_str(script(&html, "index")).unwrap();
    assert!(brain_of(&html, &index["scenes"][0]).data().iter().all(|v| *v > 0.0));
    let image = Volume::from_fn(lattice(0), |v| if brain(v) { 2.0 + v[0] as f32 } else { 0.0 });
    write(&folder.path().join("scan_desc-input_image.nii.gz"), &image, &WriteOptions::default()).unwrap();
    report(folder.path(), Some(&out)).unwrap();
    let html = std::fs::read_to_string(&out).unwrap();
    let index: serde_json::Value = serde_json::from_str(script(&html, "index")).unwrap();
    let shown = brain_of(&html, &index["scenes"][0]);
    for (n, v) in shown.data().iter().enumerate() {
        assert_eq!(*v > 0.0, brain(lattice(0).voxel(n)));
    }
    // Lighter to the right, as the image is.
    assert!(shown.at(3, 7, 5) < shown.at(8, 7, 5));
    // One map needs no gallery; a second of the same image makes one, a map of another image does not stand in it.
    assert!(!folder.path().join("figures/method-gallery.svg").exists());
    for (image, method, word) in [("scan", "saliency", "saliency"), ("other", "random", "random")] {
        let stem = format!("{image}_desc-{word}_attribution");
        write(&folder.path().join(format!("{stem}.nii.gz")), &map, &WriteOptions::default()).unwrap();
        atomic_file::write_json(&folder.path().join(format!("{stem}.json")), &record(EVIL, method)).unwrap();
    }
    let made = report(folder.path(), Some(&out)).unwrap();
    let svg = std::fs::read_to_string(folder.path().join("figures/method-gallery.svg")).unwrap();
    let contours = std::fs::read_to_string(folder.path().join("figures/method-contours.svg")).unwrap();
    assert!(contours.contains(">saliency<") && contours.contains(">grad-cam<"));
    assert!(
        made.quality.is_none() && svg.contains(">saliency<") && svg.contains(">grad-cam<") && !svg.contains(">random<")
    );
    is_safe(&std::fs::read_to_string(&out).unwrap());
    let empty = tempfile::tempdir().unwrap();
    assert!(report(empty.path(), None).unwrap_err().to_string().contains("neither a run"));
    assert!(report(Path::new("/nowhere/at/all"), None).is_err());
}
