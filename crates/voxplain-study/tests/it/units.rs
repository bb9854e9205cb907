//! A BIDS dataset that is prepared person by person, and put together.

use crate::sessions::{images, text};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};
use voxplain_core::{Progress, Result, Silent};
use voxplain_study::{
    cohort::Cohort,
    derivative::Derivatives,
    prepare::{
        EntityFilter, GatherOptions, PrepareOptions, PrepareSummary, Unit, gather_units, prepare, prepare_unit, units,
    },
};

const IMAGES: [&str; 4] = [
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-02/ses-10/anat/sub-02_ses-10_T1w.nii.gz",
    "sub-02/ses-2/anat/sub-02_ses-2_T1w.nii.gz",
    "sub-03/anat/sub-03_T1w.nii.gz",
];

/// A dataset of three people; the second has two sessions. The table has another order than the folders.
fn dataset(dir: &Path) -> PathBuf {
    let root = dir.join("bids");
    images(&root, &IMAGES);
    text(&root, "participants.tsv", "participant_id\tsex\nsub-03\tM\nsub-01\tF\nsub-02\tM\n");
    text(&root, "sub-02/sub-02_sessions.tsv", "session_id\tage\nses-2\t60\nses-10\t61\n");
    root
}

fn options() -> PrepareOptions {
    PrepareOptions { shape: Some([24, 28, 22]), spacing: Some([5.0; 3]), ..PrepareOptions::default() }
}

fn one(root: &Path, out: &Path, unit: &Unit, options: &PrepareOptions) -> Cohort {
    prepare_unit(root, unit, &Derivatives::at(out).unit(unit), options, &Silent).unwrap().cohort.unwrap()
}

fn gather(root: &Path, out: &Path, options: &GatherOptions) -> Result<PrepareSummary> {
    let derivatives = Derivatives::at(out);
    gather_units(root, &derivatives.prepared(), &derivatives.cohort(), options, &Silent)
}

#[test]
fn people_prepared_one_by_one_are_the_cohort_that_is_prepared_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dataset(dir.path()), dir.path().join("out"));
    let found = units(&root, &options()).unwrap();
    assert!(found.lacking.is_empty());
    let ids: Vec<String> = found.units.iter().map(Unit::id).collect();
    assert_eq!(ids, ["01", "02_ses-10", "02_ses-2", "03"]);
    for unit in found.units.iter().rev() {
        one(&root, &out, unit, &options());
    }
    let whole = dir.path().join("whole");
    let at_once = prepare(&root, &whole, &PrepareOptions { each_session: true, ..options() }, &Silent).unwrap();
    let gathered = gather(&root, &out, &GatherOptions::default()).unwrap();
    let cohort = gathered.cohort.unwrap();
    for file in ["volumes.npy", "masks.npy", "participants.tsv"] {
        assert_eq!(fs::read(whole.join(file)).unwrap(), fs::read(cohort.path.join(file)).unwrap(), "{file}");
    }
    let at_once = at_once.cohort.unwrap();
    assert_eq!(cohort.subjects, at_once.subjects);
    assert_eq!((&cohort.preparation, &cohort.inclusion), (&at_once.preparation, &at_once.inclusion));
    assert_eq!(cohort.participants.columns, ["participant_id", "sex", "age", "person", "session_id"]);
    assert_eq!(cohort.column("age").unwrap(), [None, None, Some("60"), Some("61")]);

    // A job that has the files of one person alone makes the same.
    let lone = dir.path().join("lone");
    let path = lone.join(IMAGES[1]);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(root.join(IMAGES[1]), &path).unwrap();
    let unit = Unit::of_id("02_ses-10");
    let alone = one(&lone, &dir.path().join("out2"), &unit, &options());
    let among = Cohort::open(&Derivatives::at(&out).unit(&unit)).unwrap();
    assert_eq!(alone.values(0).unwrap(), among.values(0).unwrap());
    assert_eq!(alone.subjects[0].hash, among.subjects[0].hash);
    assert_eq!(alone.inclusion, among.inclusion, "nothing is said of another session");

    // Nothing is made again; a table that has changed makes another cohort, which is asked for.
    assert_eq!(gather(&root, &out, &GatherOptions::default()).unwrap().prepared, 4);
    text(&root, "participants.tsv", "participant_id\tsex\nsub-03\tF\nsub-01\tF\nsub-02\tM\n");
    let error = gather(&root, &out, &GatherOptions::default()).unwrap_err();
    assert!(error.to_string().contains("there is already a cohort"), "{error}");
    let forced = gather(&root, &out, &GatherOptions { force: true, ..GatherOptions::default() }).unwrap();
    assert_eq!(forced.cohort.unwrap().column("sex").unwrap()[0], Some("F"));
}

#[test]
fn whoever_is_missing_or_made_otherwise_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dataset(dir.path()), dir.path().join("out"));
    let error = gather(&root, &out, &GatherOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("no participant is prepared"), "{error}");
    let of = |ids: &[&str], options: &PrepareOptions| {
        ids.iter().for_each(|id| _ = one(&root, &out, &Unit::of_id(id), options));
    };
    of(&["01", "02_ses-2"], &options());
    let error = gather(&root, &out, &GatherOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("2 of 4 are not prepared: 03, 02_ses-10"), "{error}");
    let remedy = error.remedy().unwrap().to_string();
    assert!(remedy.contains("participant") && remedy.contains("02") && remedy.contains("03"), "{remedy}");

    // Those who were asked for alone, or the others left out and counted.
    let asked = GatherOptions { labels: Some(vec!["01".into()]), ..GatherOptions::default() };
    assert_eq!(gather(&root, &out, &asked).unwrap().prepared, 1);
    let second = EntityFilter::new("ses", "2");
    let asked = GatherOptions { session: Some(second), force: true, ..GatherOptions::default() };
    let of_session = gather(&root, &out, &asked).unwrap().cohort.unwrap();
    assert_eq!(of_session.subjects[0].id, "02_ses-2");
    let without = GatherOptions { keep_going: true, force: true, ..GatherOptions::default() };
    let made = gather(&root, &out, &without).unwrap();
    assert_eq!(made.prepared, 2);
    let left: Vec<&str> = made.inclusion.left_out.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(left, ["03", "02_ses-10"]);

    of(&["02_ses-10", "03"], &PrepareOptions { spacing: Some([6.0; 3]), ..options() });
    let error = gather(&root, &out, &GatherOptions::default()).unwrap_err().to_string();
    assert!(error.ends_with("was prepared otherwise than sub-01: they differ in spacing"), "{error}");
}

#[test]
fn several_images_of_one_session_are_told_apart_and_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dataset(dir.path()), dir.path().join("out"));
    images(&root, &["sub-03/anat/sub-03_acq-fast_T1w.nii.gz"]);
    let unit = Unit::of_id("03");
    let place = Derivatives::at(&out).unit(&unit);
    let error = prepare_unit(&root, &unit, &place, &options(), &Silent).unwrap_err();
    let remedy = error.remedy().unwrap().to_string();
    assert!(error.to_string().contains("03: ") && remedy.contains("`acq` = fast or `acq` = none"), "{error} {remedy}");
    let chosen = PrepareOptions { entities: vec![EntityFilter::new("acq", "fast")], ..options() };
    let made = one(&root, &out, &unit, &chosen);
    assert!(made.subjects[0].source.as_ref().unwrap().ends_with("sub-03_acq-fast_T1w.nii.gz"));
    // The others have no such image, and are named.
    let found = units(&root, &chosen).unwrap();
    assert_eq!(found.units, [unit]);
    assert_eq!(found.lacking.iter().map(|f| f.subject.as_str()).collect::<Vec<_>>(), ["01", "02"]);
}

/// What is said.
#[derive(Debug, Default)]
struct Said(Mutex<Vec<String>>);

impl Progress for Said {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}

    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }

    fn note(&self, message: &str) {
        self.warn(message);
    }
}

#[test]
fn an_image_that_was_chosen_for_one_person_is_taken_whoever_comes_first() {
    for (entity, one_of, other) in [("run", "1", "2"), ("acq", "fast", "slow"), ("rec", "a", "b")] {
        for id in ["01", "02_ses-2", "03"] {
            let dir = tempfile::tempdir().unwrap();
            let (root, out) = (dir.path().join("bids"), dir.path().join("out"));
            let unit = Unit::of_id(id);
            let at = |value: &str| format!("{}/sub-{id}_{entity}-{value}_T1w.nii.gz", unit.folder().display());
            let two = [one_of, other].map(at);
            let own = format!("sub-{id}_T1w");
            let all = IMAGES.into_iter().filter(|image| !image.contains(&own)).chain(two.iter().map(String::as_str));
            images(&root, &all.collect::<Vec<_>>());
            text(&root, "participants.tsv", "participant_id\tsex\nsub-01\tF\nsub-02\tM\nsub-03\tM\n");
            for of in ["01", "02_ses-10", "02_ses-2", "03"].map(Unit::of_id) {
                if of != unit {
                    one(&root, &out, &of, &options());
                }
            }
            // Who is missing and has several images is told what chooses.
            let error = gather(&root, &out, &GatherOptions::default()).unwrap_err();
            assert!(error.to_string().ends_with(&format!("1 of 4 is not prepared: {id}")), "{error}");
            let remedy = error.remedy().unwrap().to_string();
            let chooses = format!("; of the images of {id} choose with `{entity}` = {one_of} or `{entity}` = {other}");
            assert!(
                remedy.contains("`participant-label` = ")
                    && remedy.contains("`grid` = 24x28x22, `spacing` = 5; or")
                    && remedy.ends_with(&chooses),
                "{remedy}"
            );

            let chosen = PrepareOptions { entities: vec![EntityFilter::new(entity, other)], ..options() };
            one(&root, &out, &unit, &chosen);
            let (said, derivatives) = (Said::default(), Derivatives::at(&out));
            let made =
                gather_units(&root, &derivatives.prepared(), &derivatives.cohort(), &GatherOptions::default(), &said);
            let cohort = made.unwrap().cohort.unwrap();
            assert_eq!(cohort.subjects.len(), 4);
            assert!(cohort.subjects[cohort.find(id).unwrap()].source.as_ref().unwrap().ends_with(at(other)));
            let said = said.0.into_inner().unwrap().join("\n");
            let taken = format!("is taken as it was prepared: {id} ({})", at(other));
            assert!(
                said.contains("the image of 1 participant was chosen by other options") && said.contains(&taken),
                "{said}"
            );

            // Asked for again without the choice it stays; another choice is another image.
            let said = Said::default();
            let place = derivatives.unit(&unit);
            prepare_unit(&root, &unit, &place, &options(), &said).unwrap().cohort.unwrap();
            let said = said.0.into_inner().unwrap().join("\n");
            assert!(said.contains(&format!("sub-{id} stays as it was prepared, from {}", at(other))), "{said}");
            let chosen = PrepareOptions { entities: vec![EntityFilter::new(entity, one_of)], ..options() };
            let error = prepare_unit(&root, &unit, &place, &chosen, &Silent).unwrap_err();
            assert!(error.to_string().ends_with(&format!("from {}, which is not chosen now", at(other))), "{error}");
            let remedy = error.remedy().unwrap().to_string();
            assert!(
                remedy.starts_with(&format!("give `{entity}` = {other} `grid` = 24x28x22 `spacing` = 5 as before")),
                "{remedy}"
            );
        }
    }
}

#[test]
fn who_is_prepared_stays_where_options_come_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    images(&root, &IMAGES[..1]);
    let (unit, place) = (Unit::of_id("01"), dir.path().join("out/prepared/sub-01"));
    let make = |options: &PrepareOptions| prepare_unit(&root, &unit, &place, options, &Silent);
    make(&PrepareOptions::default()).unwrap();
    let said = PrepareOptions { shape: Some([58, 70, 58]), spacing: Some([3.0; 3]), ..PrepareOptions::default() };
    assert_eq!(make(&said).unwrap().resumed, 1, "as it is by default");
    let other = PrepareOptions { spacing: Some([2.0; 3]), ..said };
    let error = make(&other).unwrap_err();
    assert!(error.to_string().ends_with("with other options: they differ in spacing"), "{error}");
    assert!(error.remedy().unwrap().to_string().starts_with("give no option of preparation as before"));
    assert_eq!(make(&PrepareOptions { force: true, ..other }).unwrap().resumed, 0);
}

#[test]
fn a_column_that_is_needed_is_missed_before_anything_is_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dataset(dir.path()), dir.path().join("out"));
    ["01", "02_ses-2", "02_ses-10", "03"].iter().for_each(|id| _ = one(&root, &out, &Unit::of_id(id), &options()));
    let needs = |columns: &[&str]| {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        gather(&root, &out, &GatherOptions { columns, ..GatherOptions::default() })
    };
    let error = needs(&["sex", "group"]).unwrap_err();
    assert!(error.to_string().ends_with("participants.tsv: there is no column `group`"), "{error}");
    let there = "the table has: sex, age, person, session_id";
    assert_eq!(error.remedy().unwrap().to_string(), there);
    assert!(!out.join("cohort").exists());
    needs(&["sex", "age"]).unwrap();
}

#[test]
fn derivatives_have_the_names_of_bids() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dataset(dir.path()), dir.path().join("out"));
    let unit = Unit::of_id("02_ses-2");
    let cohort = one(&root, &out, &unit, &options());
    let written = Derivatives::at(&out).write_prepared(&unit, &cohort, &root).unwrap();
    let names: Vec<String> = written.iter().map(|p| p.strip_prefix(&out).unwrap().display().to_string()).collect();
    assert_eq!(
        names,
        [
            "sub-02/ses-2/anat/sub-02_ses-2_res-voxplain_desc-preproc_T1w.nii.gz",
            "sub-02/ses-2/anat/sub-02_ses-2_res-voxplain_desc-brain_mask.nii.gz"
        ]
    );
    let image = voxplain_volume::read(&written[0], &voxplain_volume::ReadOptions::default()).unwrap().volume;
    assert_eq!(image.data(), cohort.volume(0).unwrap().data());
    assert!(image.grid().same_space(&cohort.subjects[0].grid, 1e-3));
    let about = |path: &Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(voxplain_study::map::record_path(path)).unwrap()).unwrap()
    };
    let (image, mask) = (about(&written[0]), about(&written[1]));
    assert_eq!(image["SkullStripped"], true);
    assert_eq!(image["Sources"][0], "bids:raw:sub-02/ses-2/anat/sub-02_ses-2_T1w.nii.gz");
    assert_eq!(mask["Resolution"], "24 x 28 x 22 voxels of 5 x 5 x 5 mm, the grid that a network of voxplain takes");
    assert_eq!(mask["Type"], "Brain");
}
