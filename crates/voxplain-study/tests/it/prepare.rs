//! Preparing cohorts from files, from outside.

use crate::support::{Heard, witness};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use voxplain_core::{Progress, Result, Silent};
use voxplain_study::{
    cohort::{Cohort, Normalize, Placement, Preparation, VolumeType},
    prepare::{MaskRule, PrepareOptions, PrepareSummary, Space, prepare, prepare_image},
    setting::{DTYPE, MASK, WHOLE_HEAD},
};
use voxplain_volume::{
    Affine, Grid, Interpolation, MaskOptions, Orientation, ReadOptions, Volume, WriteOptions, npy, read, read_mask,
    write,
};

/// A head of 2 mm voxels: an ellipsoid brain (brighter on the right, a spot far left) in a bright skull.
pub(crate) fn head(shift: f64) -> (Volume, Volume) {
    let grid = Grid::new([56, 64, 52], Affine::from_spacing_origin([2.0; 3], [-55.0, -63.0, -51.0])).unwrap();
    let radius = |p: [f64; 3], r: [f64; 3]| (0..3).map(|a| ((p[a] - shift) / r[a]).powi(2)).sum::<f64>().sqrt();
    let value = |v: [usize; 3]| {
        let p = grid.affine.apply(v.map(|n| n as f64));
        let r = radius(p, [28.0, 36.0, 24.0]);
        let spot = if (0..3).map(|a| (p[a] - [-18.0, 4.0, 2.0][a]).powi(2)).sum::<f64>() < 36.0 { 300.0 } else { 0.0 };
        if r < 1.0 {
            (500.0 + 4.0 * p[0] + 2.0 * p[1] + p[2] + spot, 1.0)
        } else if (1.1..1.3).contains(&r) {
            (2000.0, 0.0)
        } else {
            (0.0, 0.0)
        }
    };
    (Volume::from_fn(grid, |v| value(v).0 as f32), Volume::from_fn(grid, |v| value(v).1 as f32))
}

pub(crate) fn save(path: &Path, volume: &Volume) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(path, volume, &WriteOptions::default()).unwrap();
}

pub(crate) fn small() -> PrepareOptions {
    PrepareOptions { shape: Some([24, 30, 22]), spacing: Some([3.0; 3]), ..PrepareOptions::default() }
}

/// A folder `t1` of heads with masks in `masks`, and a table with one row per subject.
fn dataset(dir: &Path, ids: &[&str]) -> PrepareOptions {
    for (n, id) in ids.iter().enumerate() {
        let (head, mask) = head(n as f64);
        save(&dir.join(format!("t1/{id}_T1.nii.gz")), &head);
        save(&dir.join(format!("masks/{id}_T1_brain.nii.gz")), &mask);
    }
    let rows: String = ids.iter().enumerate().map(|(n, id)| format!("{id};{}\n", ["M", "n/a"][n % 2])).collect();
    fs::write(dir.join("people.csv"), format!("\u{feff}who;sex\n{rows}")).unwrap();
    PrepareOptions {
        participants: Some(dir.join("people.csv")),
        id_column: Some("who".into()),
        mask: MaskRule::Suffix("_brain.nii.gz".into()),
        ..small()
    }
}

pub(crate) fn run(source: &Path, out: &Path, options: &PrepareOptions) -> Result<PrepareSummary> {
    prepare(source, out, options, &Silent)
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |e: fs::DirEntry| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap());
    fs::read_dir(path).unwrap().map(|e| entry(e.unwrap())).collect()
}

/// Half precision: the values of single precision, each rounded to the nearest that 11 binary digits hold, and hashed so.
#[test]
fn half_precision_keeps_the_nearest_values() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b"]);
    let half = PrepareOptions { dtype: VolumeType::Float16, ..options.clone() };
    let of =
        |name: &str, options| run(&dir.path().join("t1"), &dir.path().join(name), options).unwrap().cohort.unwrap();
    let (single, half) = (of("single", &options), of("half", &half));
    assert_eq!(Cohort::open(&half.path).unwrap().dtype, VolumeType::Float16);
    let array = npy::Reader::open(half.layout().volumes()).unwrap();
    assert_eq!(array.dtype(), voxplain_volume::Dtype::Float16);
    for n in 0..2 {
        let (exact, kept) = (single.volume(n).unwrap(), half.volume(n).unwrap());
        let mut changed = 0;
        for (exact, kept) in exact.data().iter().zip(kept.data()) {
            let bound = (f64::from(exact.abs()) / 2048.0).max(2f64.powi(-25));
            assert!(f64::from((exact - kept).abs()) <= bound, "{exact} {kept}");
            changed += usize::from(exact != kept);
        }
        assert!(changed > 1000, "{changed}");
        assert_eq!(half.subjects[n].hash, voxplain_core::hash_values(kept.data()));
        assert_eq!(single.mask(n).unwrap(), half.mask(n).unwrap());
        assert_eq!(single.subjects[n].source_hash, half.subjects[n].source_hash);
    }
    // The same command finds it; another type is another cohort.
    let again = PrepareOptions { dtype: VolumeType::Float16, ..options.clone() };
    assert_eq!(run(&dir.path().join("t1"), &half.path, &again).unwrap().resumed, 2);
    assert!(
        run(&dir.path().join("t1"), &half.path, &options).unwrap_err().to_string().contains("made with other options")
    );
}

/// A cohort grows: who was prepared from the same bytes is taken over, and every byte is as if all were prepared at once.
#[test]
fn people_are_taken_over_from_another_cohort() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b", "c", "d"]);
    let (source, out) = (dir.path().join("t1"), |name: &str| dir.path().join(name));
    let few = PrepareOptions { exclude: Some("d_".into()), keep_going: true, ..options.clone() };
    assert_eq!(run(&source, &out("few"), &few).unwrap().prepared, 3);
    // The image of one, and the mask of another, change.
    let (image, mask) = head(1.0);
    save(&source.join("b_T1.nii.gz"), &image.map(|v| v + 1.0));
    let mut smaller = mask;
    let half = smaller.grid().len() / 2;
    smaller.data_mut()[..half].fill(0.0);
    save(&dir.path().join("masks/c_T1_brain.nii.gz"), &smaller);
    run(&source, &out("anew"), &options).unwrap();
    let said = Heard::default();
    let with = |reuse: &str, options: &PrepareOptions| PrepareOptions { reuse: Some(out(reuse)), ..options.clone() };
    prepare(&source, &out("grown"), &with("few", &options), &said).unwrap();
    assert!(files(&out("anew")) == files(&out("grown")));
    let note = |taken: usize| format!("of 4 subjects, {taken} taken over as they are in {}", out("few").display());
    assert_eq!(said.about("taken over"), [note(1)]);
    // What is damaged there is prepared anew, and said.
    let mut bytes = fs::read(out("few").join("volumes.npy")).unwrap();
    bytes[300] ^= 64;
    fs::write(out("few").join("volumes.npy"), bytes).unwrap();
    let said = Heard::default();
    prepare(&source, &out("kept"), &with("few", &options), &said).unwrap();
    assert!(files(&out("anew")) == files(&out("kept")));
    assert_eq!(said.about("taken over"), [format!("{}; 1 more is damaged there and was prepared anew", note(0))]);
    // Another way of preparing, and itself.
    let error = |name: &str, options| run(&source, &out(name), &options).unwrap_err().to_string();
    let coarse = PrepareOptions { spacing: Some([9.0; 3]), normalize: Normalize::Zscore, ..options.clone() };
    assert!(error("x", with("few", &coarse)).contains("prepared in another way (the grid, the intensities)"));
    assert!(error("few", with("few", &options)).contains("cannot be made from itself"));
    assert!(error("x", with("none", &options)).contains("is not there"));
    assert!(!out("x").exists());
}

/// What half precision does not hold is refused by name, and never becomes infinite.
#[test]
fn values_too_large_for_half_precision_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a"]);
    let (image, _) = head(0.0);
    save(&dir.path().join("t1/a_T1.nii.gz"), &image.map(|v| v * 1000.0));
    let options = PrepareOptions { dtype: VolumeType::Float16, normalize: Normalize::None, ..options };
    let summary = run(&dir.path().join("t1"), &dir.path().join("out"), &options).unwrap();
    let failure = &summary.failed[0];
    assert!(failure.what.contains("half precision holds 65504 at most"), "{}", failure.what);
    assert!(failure.remedy.as_ref().unwrap().names(DTYPE));
}

#[test]
fn a_folder_with_masks_next_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["b-2", "a-1", "c"]);
    let summary = run(&dir.path().join("t1"), &dir.path().join("out"), &options).unwrap();
    assert_eq!((summary.prepared, summary.failed.len(), summary.findings.len()), (3, 0, 0), "{summary:?}");
    let cohort = Cohort::open(&dir.path().join("out")).unwrap();
    assert_eq!(cohort.subjects.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["b-2", "a-1", "c"]);
    assert_eq!(cohort.column("participant_id").unwrap()[0], Some("sub-b-2"));
    assert_eq!(cohort.column("sex").unwrap(), [Some("M"), None, Some("M")]);
    // The brain is 4/3 pi 28 36 24 mm³, and its centre of gravity the middle of the grid.
    for (n, subject) in cohort.subjects.iter().enumerate() {
        let truth = 4.0 / 3.0 * std::f64::consts::PI * 28.0 * 36.0 * 24.0;
        assert!((subject.mask_volume / truth - 1.0).abs() < 0.01, "{}", subject.mask_volume);
        assert!(subject.grid.center().iter().all(|c| (c - n as f64).abs() < 0.2), "{:?}", subject.grid.center());
        assert_eq!(subject.native.unwrap(), *head(0.0).0.grid());
        // Which file the mask is, so that maps can say it too.
        let (mask, file) = (subject.mask.as_ref().unwrap(), format!("masks/{}_T1_brain.nii.gz", subject.id));
        assert!(mask.file.ends_with(&file) && Path::new(&mask.file).is_absolute(), "{mask:?}");
        assert_eq!(mask.hash, voxplain_core::hash_file(Path::new(&mask.file)).unwrap());
        assert!((mask.volume * 1000.0 / truth - 1.0).abs() < 0.01 && mask.threshold == 0.5, "{mask:?}");
        let (volume, mask) = (cohort.volume(n).unwrap(), cohort.mask(n).unwrap());
        // A voxel belongs when more than half of it does: the volume stays, but for the curvature of the surface.
        let kept = mask.count() as f64 * 27.0 / truth;
        assert!((0.99..1.01).contains(&kept), "{kept}");
        assert!(volume.data().iter().zip(mask.data()).all(|(v, m)| *m || *v == 0.0));
        // Nothing of the skull, at 2000, leaked in: robust values stay small.
        assert!(volume.data().iter().all(|v| v.abs() < 5.0));
        // The right is brighter than the left: left stays left.
        let mean = |right: bool| {
            let at: Vec<f32> = (0..volume.grid().len())
                .filter(|m| mask.data()[*m] && (volume.grid().voxel(*m)[0] >= 12) == right)
                .map(|m| volume.data()[m])
                .collect();
            at.iter().sum::<f32>() / at.len() as f32
        };
        assert!(mean(true) > mean(false) + 0.5);
    }
}

#[test]
fn every_axis_order_and_a_stripped_image_give_the_same_volume() {
    let dir = tempfile::tempdir().unwrap();
    let (head, mask) = head(0.0);
    let preparation = Preparation {
        shape: [24, 30, 22],
        spacing: [3.0; 3],
        normalize: Normalize::Zscore,
        placement: Placement::MaskCentre,
        template: None,
        whole_head: false,
        channels: Vec::new(),
    };
    let file = |name: &str, volume: &Volume| {
        let path = dir.path().join(name);
        save(&path, volume);
        path
    };
    let reference = {
        let (h, m) = (file("h.nii", &head), file("m.nii", &mask));
        prepare_image(&h, Some(&read_mask(&m, &MaskOptions::default()).unwrap()), &preparation).unwrap()
    };
    assert!(reference.findings.is_empty(), "{:?}", reference.findings);
    for codes in ["LPS", "PSR", "AIL", "LAS", "SRP"] {
        let order = Orientation::from_codes(codes).unwrap();
        let h = file(&format!("{codes}.nii.gz"), &head.reorient(order));
        let m = file(&format!("{codes}_m.nii"), &mask);
        let prepared = prepare_image(&h, Some(&read_mask(&m, &MaskOptions::default()).unwrap()), &preparation).unwrap();
        assert_eq!(prepared.volume, reference.volume, "{codes}");
        assert_eq!(prepared.mask, reference.mask, "{codes}");
        assert_eq!(prepared.native.orientation().codes(), codes);
    }
    let stripped = Volume::from_fn(*head.grid(), |[i, j, k]| head.at(i, j, k) * mask.at(i, j, k));
    let stripped = prepare_image(&file("s.nii", &stripped), None, &preparation).unwrap();
    assert_eq!(stripped.volume, reference.volume);
    assert_eq!(stripped.mask_volume, reference.mask_volume);
    // A finer mask elsewhere in space is brought over by its affine.
    let fine = Grid::new([112, 128, 104], Affine::from_spacing_origin([1.0; 3], [-55.5, -63.5, -51.5])).unwrap();
    let fine = file("fine.nii", &mask.resample(&fine, Interpolation::Nearest, 0.0));
    let prepared =
        prepare_image(&file("h.nii", &head), Some(&read_mask(&fine, &MaskOptions::default()).unwrap()), &preparation)
            .unwrap();
    assert_eq!(prepared.mask, reference.mask);
    assert_eq!(prepared.volume, reference.volume);
}

#[test]
fn what_is_wrong_with_an_image_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (head, mask) = head(0.0);
    let preparation = Preparation {
        shape: [24, 30, 22],
        spacing: [3.0; 3],
        normalize: Normalize::Robust,
        placement: Placement::MaskCentre,
        template: None,
        whole_head: false,
        channels: Vec::new(),
    };
    let [h, m] = ["h.nii", "m.nii"].map(|n| dir.path().join(n));
    let attempt = |image: &Volume, mask: &Volume, preparation: &Preparation| {
        save(&h, image);
        save(&m, mask);
        let mask = read_mask(&m, &MaskOptions::default()).map_err(voxplain_core::Error::from)?;
        prepare_image(&h, Some(&mask), preparation)
    };
    let error = |image: &Volume, mask: &Volume| attempt(image, mask, &preparation).unwrap_err().to_string();
    let mut nan = head.clone();
    *nan.data_mut().get_mut(head.grid().index(28, 32, 26)).unwrap() = f32::NAN;
    assert!(error(&nan, &mask).contains("1 voxel in the brain mask is NaN"));
    assert!(error(&head.map(|_| 7.0), &mask).contains("all values are 7"));
    assert!(error(&head, &mask.map(|_| 0.0)).contains("mask is empty"));
    let far = Grid::new(mask.shape(), Affine::from_spacing_origin([2.0; 3], [400.0, 0.0, 0.0])).unwrap();
    let elsewhere = Volume::new(far, mask.data().to_vec()).unwrap();
    assert!(error(&head, &elsewhere).contains("not in the same space"));
    let tight = Preparation { shape: [24, 20, 22], ..preparation.clone() };
    let cut = attempt(&head, &mask, &tight).unwrap();
    assert!(cut.findings[0].contains("outside the grid; one of 24x26x22 would hold it"), "{:?}", cut.findings);
    // A ball of 95 mm is 3.6 l: no brain.
    let wide = Grid::new([50; 3], Affine::from_spacing_origin([4.0; 3], [-98.0; 3])).unwrap();
    let ball = Volume::from_fn(wide, |voxel| {
        let off = wide.affine.apply(voxel.map(|v| v as f64)).iter().map(|x| x * x).sum::<f64>();
        if off < 95.0 * 95.0 { 100.0 + voxel[0] as f32 } else { 0.0 }
    });
    save(&h, &ball);
    let preparation = Preparation { shape: [90; 3], ..preparation };
    let error = prepare_image(&h, None, &preparation).unwrap_err();
    assert!(error.to_string().contains("looks like a whole head: 3.5") || error.to_string().contains("3.6"), "{error}");
    assert!(error.remedy().unwrap().to_string().contains("`mask`"));
    let whole = prepare_image(&h, None, &Preparation { whole_head: true, ..preparation }).unwrap();
    assert!(whole.findings.is_empty() && (whole.mask_volume - 3.59e6).abs() < 0.05e6, "{:?}", whole.mask_volume);
}

#[test]
fn leftovers_are_named_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b"]);
    let (head, mask) = head(0.0);
    save(&dir.path().join("t1/x_T1.nii.gz"), &head);
    save(&dir.path().join("masks/x_T1_brain.nii.gz"), &mask);
    fs::write(dir.path().join("people.csv"), "who;sex\na;M\nb;F\ny;F\n").unwrap();
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    let error = run(&source, &out, &options).unwrap_err().to_string();
    assert_eq!(error, "1 image has no row in the table: x_T1.nii.gz; 1 row has no image: y");
    assert!(!out.exists());
    let summary = run(&source, &out, &PrepareOptions { keep_going: true, ..options.clone() }).unwrap();
    assert_eq!((summary.prepared, summary.without_image.as_slice()), (2, &["y".to_owned()][..]));
    // An explicit filter may leave rows out, too; but not one that has no image at all.
    let options = PrepareOptions { include: Some("a_*".into()), force: true, ..options };
    let error = run(&source, &out, &options).unwrap_err().to_string();
    assert_eq!(error, "1 row has no image: y");
    fs::write(dir.path().join("people.csv"), "who;sex\na;M\nb;F\n").unwrap();
    assert_eq!(run(&source, &out, &options).unwrap().prepared, 1);
    // The source that holds the masks as well does not take them for images.
    fs::write(dir.path().join("people.csv"), "who;sex\na;M\nb;F\nx;F\n").unwrap();
    let options = PrepareOptions { include: None, ..options };
    assert_eq!(run(dir.path(), &out, &options).unwrap().prepared, 3);
}

#[test]
fn a_subject_that_fails_is_skipped_named_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b", "c"]);
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    let broken = source.join("b_T1.nii.gz");
    let whole = fs::read(&broken).unwrap();
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    fs::remove_file(dir.path().join("masks/c_T1_brain.nii.gz")).unwrap();
    let summary = run(&source, &out, &options).unwrap();
    assert!(summary.cohort.is_none() && !out.exists());
    assert_eq!(summary.prepared, 1);
    assert_eq!(summary.failed.iter().map(|f| f.subject.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert!(summary.failed[1].what.contains("there is no mask"), "{:?}", summary.failed[1]);
    let summary = run(&source, &out, &PrepareOptions { keep_going: true, ..options }).unwrap();
    assert_eq!((summary.resumed, summary.prepared, summary.failed.len()), (1, 1, 2));
    assert_eq!(Cohort::open(&out).unwrap().column("who").unwrap(), [Some("a")]);
}

/// Asks to stop after some subjects.
struct Stop(AtomicUsize);

impl Progress for Stop {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    }
    fn end(&self) {}
    fn warn(&self, _: &str) {}
    fn interrupted(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[test]
fn interrupted_and_resumed_equals_uninterrupted_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b", "c", "d", "e"]);
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    let pool = |n: usize| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    pool(1).install(|| run(&source, &dir.path().join("once"), &options)).unwrap();
    let stop = Stop(AtomicUsize::new(2));
    let error = pool(2).install(|| prepare(&source, &out, &options, &stop)).unwrap_err();
    assert!(error.to_string().contains("interrupted") && !out.exists());
    let zscore = PrepareOptions { normalize: Normalize::Zscore, ..options.clone() };
    let refused = run(&source, &out, &zscore).unwrap_err();
    assert!(refused.remedy().unwrap().to_string().contains("`force`"), "{refused}");
    let summary = pool(3).install(|| run(&source, &out, &options)).unwrap();
    assert!((2..5).contains(&summary.resumed), "{}", summary.resumed);
    assert!(files(&out) == files(&dir.path().join("once")));
    // Once more: nothing to do. With other options: refused, or replaced.
    assert_eq!(run(&source, &out, &options).unwrap().resumed, 5);
    assert!(run(&source, &out, &zscore).is_err());
    run(&source, &out, &PrepareOptions { force: true, ..zscore }).unwrap();
    assert!(files(&out)["volumes.npy"] != files(&dir.path().join("once"))["volumes.npy"]);
}

#[test]
fn tables_of_paths_and_ready_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let (head, mask) = head(0.0);
    let stripped = Volume::from_fn(*head.grid(), |[i, j, k]| head.at(i, j, k) * mask.at(i, j, k));
    save(&dir.path().join("deep/er/scan.nii.gz"), &stripped);
    let table = dir.path().join("t.tsv");
    fs::write(&table, "participant_id\tfile\tage\ns1\tdeep/er/scan.nii.gz\t30\ns2\tn/a\t40\n").unwrap();
    let options = PrepareOptions { path_column: Some("file".into()), keep_going: true, ..small() };
    let summary = run(&table, &dir.path().join("paths"), &options).unwrap();
    assert_eq!((summary.prepared, summary.without_image.len()), (1, 1));
    // The same image as an array, on its own grid: taken as it is.
    let doubled: Vec<f32> = head.map(|_| 0.0).into_data().into_iter().chain(stripped.data().to_vec()).collect();
    let mut doubled = doubled;
    doubled[..stripped.data().len()].copy_from_slice(&stripped.map(|v| 2.0 * v).into_data());
    let array = dir.path().join("x.npy");
    npy::write(&array, &[2, 56, 64, 52], &doubled).unwrap();
    let people = dir.path().join("people.csv");
    fs::write(&people, "index,participant_id\n1,one\n0,two\n").unwrap();
    let options =
        PrepareOptions { participants: Some(people.clone()), spacing: Some([2.0; 3]), ..PrepareOptions::default() };
    assert!(
        run(&array, &dir.path().join("x"), &options).unwrap_err().remedy().unwrap().to_string().contains("`origin`")
    );
    let options = PrepareOptions { space: Space::Origin([-55.0, -63.0, -51.0]), normalize: Normalize::None, ..options };
    run(&array, &dir.path().join("x"), &options).unwrap();
    let cohort = Cohort::open(&dir.path().join("x")).unwrap();
    assert_eq!(cohort.grid(), *head.grid());
    assert_eq!(cohort.volume(0).unwrap(), stripped);
    assert_eq!(cohort.volume(1).unwrap(), stripped.map(|v| 2.0 * v));
    fs::write(&people, "index,participant_id\n1,one\n2,two\n").unwrap();
    assert!(run(&array, &dir.path().join("y"), &options).unwrap_err().to_string().contains("index `2`"));
}

#[test]
fn ids_that_repeat_across_sites_are_refused() {
    let Some(table) = witness("data/tables/openneuro546_freesurfer.csv") else { return };
    let dir = tempfile::tempdir().unwrap();
    save(&dir.path().join("img/sub-1_T1w.nii"), &head(0.0).0);
    let options = PrepareOptions { participants: Some(table), id_column: Some("sub_id".into()), ..small() };
    let error = run(&dir.path().join("img"), &dir.path().join("out"), &options).unwrap_err();
    assert!(error.to_string().contains("28 values of `sub_id` stand in more than one row"), "{error}");
}

#[test]
fn real_heads_go_to_the_grid_and_back() {
    let Some(folder) = witness("data/cohort_ixi/t1") else { return };
    let image = folder.join("IXI013-HH-1212_T1.nii.gz");
    let mask = folder.join("../dlmuse/IXI013-HH-1212_T1_DLMUSE.nii.gz");
    let preparation = Preparation {
        shape: [90, 108, 90],
        spacing: [2.0; 3],
        normalize: Normalize::None,
        placement: Placement::MaskCentre,
        template: None,
        whole_head: false,
        channels: Vec::new(),
    };
    let prepared =
        prepare_image(&image, Some(&read_mask(&mask, &MaskOptions::default()).unwrap()), &preparation).unwrap();
    let source = read(&image, &ReadOptions::default()).unwrap();
    assert_eq!((prepared.native.shape, source.axis_codes.as_str()), ([120, 120, 90], "PSR"));
    // Back on the native grid, deep in the brain, the values are those of the file but for two interpolations.
    let back = prepared.volume.resample(&prepared.native, Interpolation::Linear, 0.0);
    let brain = read(&mask, &ReadOptions::default()).unwrap().volume;
    assert_eq!(prepared.mask_volume, brain.data().iter().filter(|v| **v != 0.0).count() as f64 * 8.0);
    let weight = prepared.mask.map(|m| f32::from(u8::from(*m))).resample(&prepared.native, Interpolation::Linear, 0.0);
    let inside: Vec<usize> = (0..brain.data().len()).filter(|n| weight.data()[*n] == 1.0).collect();
    assert!(inside.len() as f64 > 0.7 * prepared.mask_volume / 8.0);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let var = |v: &[f64], m: f64| v.iter().map(|a| (a - m).powi(2)).sum::<f64>();
    // Correlation and means of the file's values with those that came back, `step` voxels further along the last axis.
    let beside = |step: usize| {
        let (x, y): (Vec<f64>, Vec<f64>) =
            inside.iter().map(|n| (f64::from(source.volume.data()[*n]), f64::from(back.data()[n + step]))).unzip();
        let (mx, my) = (mean(&x), mean(&y));
        let cov: f64 = x.iter().zip(&y).map(|(a, b)| (a - mx) * (b - my)).sum();
        (cov / (var(&x, mx) * var(&y, my)).sqrt(), my / mx)
    };
    // Two interpolations between voxels of one size blur; a voxel of shift costs much more.
    let ((r, ratio), (shifted, _)) = (beside(0), beside(1));
    assert!(r > 0.95 && r > shifted + 0.05 && (ratio - 1.0).abs() < 0.01, "r {r}, shifted {shifted}, means {ratio}");
}

#[test]
fn a_bids_dataset_brings_its_own_table() {
    let dir = tempfile::tempdir().unwrap();
    let (head, mask) = head(0.0);
    let path = |id: &str, what: &str| -> PathBuf { dir.path().join(format!("sub-{id}/anat/sub-{id}_{what}.nii.gz")) };
    for id in ["01", "02"] {
        save(&path(id, "T1w"), &head);
        save(&path(id, "desc-brain_mask"), &mask);
    }
    fs::write(dir.path().join("participants.tsv"), "participant_id\tsex\nsub-02\tF\nsub-01\tM\n").unwrap();
    let options = PrepareOptions { mask: MaskRule::Suffix("_desc-brain_mask.nii.gz".into()), ..small() };
    let out = dir.path().join("derivatives/cohort");
    run(dir.path(), &out, &options).unwrap();
    assert_eq!(Cohort::open(&out).unwrap().column("sex").unwrap(), [Some("F"), Some("M")]);
    save(&dir.path().join("sub-01/anat/sub-01_run-2_T1w.nii.gz"), &head);
    let error = run(dir.path(), &out, &PrepareOptions { force: true, ..options }).unwrap_err().to_string();
    assert!(error.contains("more than one image") && error.contains("sub-01_run-2_T1w.nii.gz"), "{error}");
}

/// What is advised about the subjects that failed, in the words of the library.
fn advice(summary: &PrepareSummary) -> Vec<String> {
    summary.failed.iter().map(|f| f.remedy.as_ref().unwrap().to_string()).collect()
}

#[test]
fn a_threshold_without_masks_is_refused_and_must_be_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b"]);
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    for mask in [MaskRule::Unstated, MaskRule::Nonzero] {
        let stated = PrepareOptions { mask, mask_threshold: Some(0.5), ..options.clone() };
        let error = run(&source, &out, &stated).unwrap_err();
        assert!(error.to_string().contains("a threshold for masks is stated (0.5), but there are no masks"), "{error}");
        assert!(error.remedy().unwrap().to_string().contains("leave out `mask-threshold`"));
    }
    for no_number in [f64::NAN, f64::INFINITY] {
        let stated = PrepareOptions { mask_threshold: Some(no_number), ..options.clone() };
        let error = run(&source, &out, &stated).unwrap_err().to_string();
        assert!(error.contains(&format!("cannot be cut at {no_number}")), "{error}");
    }
    assert!(!out.exists());
    let stated = PrepareOptions { mask_threshold: Some(0.5), ..options };
    assert_eq!(run(&source, &out, &stated).unwrap().prepared, 2);
}

#[test]
fn advice_about_one_mask_leaves_the_others_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b", "c"]);
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    let mask = head(0.0).1;
    let put = |id: &str, of: &dyn Fn(f32) -> f32| {
        save(&dir.path().join(format!("masks/{id}_T1_brain.nii.gz")), &mask.map(|v| of(*v)));
    };
    // Above 1.5 nothing of the others is left; above 0 they stay as they are.
    put("b", &|v| v + 1.0);
    let found = advice(&run(&source, &out, &options).unwrap());
    assert!(found[0].contains("(1 above 1.5)") && found[0].contains("could change the others"), "{found:?}");
    put("b", &|v| 2.0 * v - 1.0);
    let found = advice(&run(&source, &out, &PrepareOptions { force: true, ..options.clone() }).unwrap());
    assert!(found[0].contains("`mask-threshold` = 0"), "{found:?}");
    // Two that need two thresholds; and where all are bad, one that goes on is still told what to do.
    put("a", &|v| v + 1.0);
    put("b", &|v| v + 2.0);
    put("c", &|v| v + 2.0);
    let all = PrepareOptions { force: true, keep_going: true, ..options.clone() };
    let summary = run(&source, &out, &all).unwrap();
    assert!(summary.cohort.is_none() && summary.prepared == 0 && !out.exists());
    assert!(advice(&summary).iter().all(|a| a.contains("no threshold fits all of them")), "{:?}", advice(&summary));
    put("a", &|v| v + 2.0);
    assert!(advice(&run(&source, &out, &all).unwrap()).iter().all(|a| a.contains("`mask-threshold` = 2.5")));
}

#[test]
fn stripped_brains_among_whole_heads_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let grid = Grid::new([40; 3], Affine::from_spacing_origin([4.0; 3], [-78.0; 3])).unwrap();
    let ball = |radius: f64| {
        Volume::from_fn(grid, |voxel| {
            let off = grid.affine.apply(voxel.map(|v| v as f64)).iter().map(|x| x * x).sum::<f64>();
            if off < radius * radius { 100.0 + ((voxel[0] * 7 + voxel[1] * 3) % 50) as f32 } else { 0.0 }
        })
    };
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    for id in ["a", "b", "c"] {
        save(&source.join(format!("{id}.nii.gz")), &ball(68.0));
    }
    let options = PrepareOptions { whole_head: true, shape: Some([50; 3]), ..small() };
    let heard = Heard::default();
    prepare(&source, &out, &options, &heard).unwrap();
    let warnings = heard.0.lock().unwrap().clone();
    let about: Vec<&String> = warnings.iter().filter(|w| w.contains("skull-stripped")).collect();
    assert_eq!(
        about,
        [
            "all 3 images hold no more than brains have (skull-stripped, or small heads), and are taken as whole heads all the same"
        ]
    );
    let words = Cohort::open(&out).unwrap().findings_in_words();
    assert!(words[0].contains("whatever they show of skull"), "{words:?}");
    assert!(words[1].contains("or a small head (3: a, b, c)"), "{words:?}");
    let one = tempfile::tempdir().unwrap();
    save(&one.path().join("x.nii.gz"), &ball(68.0));
    save(&one.path().join("y.nii.gz"), &ball(76.0).map(|v| v + 0.0));
    save(&one.path().join("z.nii.gz"), &ball(95.0));
    let heard = Heard::default();
    prepare(one.path(), &out, &PrepareOptions { force: true, ..options }, &heard).unwrap();
    let warnings = heard.0.lock().unwrap().clone();
    assert!(
        warnings.iter().any(|w| w.starts_with("2 of 3 images (x, y) hold no more than brains have")),
        "{warnings:?}"
    );
}

#[test]
fn an_image_of_one_value_or_in_metres_is_told_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.nii.gz");
    let preparation = Preparation {
        template: None,
        whole_head: false,
        channels: Vec::new(),
        shape: [24, 30, 22],
        spacing: [3.0; 3],
        normalize: Normalize::Robust,
        placement: Placement::MaskCentre,
    };
    let refused = |volume: &Volume| {
        save(&file, volume);
        prepare_image(&file, None, &preparation).unwrap_err().to_string()
    };
    let (head, _) = head(0.0);
    assert!(refused(&head.map(|_| 7.0)).ends_with("all values are 7"));
    assert!(refused(&head.map(|_| 0.0)).ends_with("all values are 0"));
    let nan = Volume::from_fn(*head.grid(), |[i, j, k]| if head.at(i, j, k) > 0.0 { f32::NAN } else { 0.0 });
    assert!(refused(&nan).ends_with("all values that are numbers are 0"));
    for (factor, unit) in [(0.001, "in metres it would be"), (1000.0, "in micrometres it would be")] {
        let grid =
            Grid::new(head.shape(), Affine::from_spacing_origin([2.0 * factor; 3], [-60.0 * factor; 3])).unwrap();
        let what = refused(&Volume::new(grid, head.data().to_vec()).unwrap());
        assert!(what.contains(unit) && !what.contains(" 0.0 x"), "{what}");
    }
}

#[test]
fn slices_of_a_head_and_what_is_infinite_without_a_mask() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.nii.gz");
    let preparation = |whole_head| Preparation {
        template: None,
        whole_head,
        channels: Vec::new(),
        shape: [24, 30, 22],
        spacing: [6.0; 3],
        normalize: Normalize::Robust,
        placement: Placement::MaskCentre,
    };
    let prepared = |volume: &Volume, whole_head| {
        save(&file, volume);
        prepare_image(&file, None, &preparation(whole_head))
    };
    // A ball of 1.4 l, textured, and 40 mm of one of 3.6 l.
    let ball = |shape: [usize; 3], radius: f64, air: f32| {
        let middle = shape.map(|n| (n as f64 - 1.0) / 2.0);
        let grid = Grid::new(shape, Affine::from_spacing_origin([4.0; 3], middle.map(|m| -4.0 * m))).unwrap();
        Volume::from_fn(grid, |at| {
            let off = (0..3).map(|a| (4.0 * (at[a] as f64 - middle[a])).powi(2)).sum::<f64>().sqrt();
            if off < radius { 300.0 + ((at[0] * 7 + at[1] * 3 + at[2] * 11) % 601) as f32 } else { air }
        })
    };
    let slab = ball([60, 10, 60], 95.0, 0.0);
    let error = prepared(&slab, false).unwrap_err();
    assert!(error.to_string().contains("there is no brain mask, and the image is cut off"), "{error}");
    let remedy = error.remedy().unwrap();
    assert!(remedy.names(WHOLE_HEAD) && remedy.names(MASK), "{remedy}");
    assert!(prepared(&slab, true).is_ok());
    let brain = ball([60; 3], 70.0, 0.0);
    let plain = prepared(&brain, false).unwrap();
    assert!(plain.findings.is_empty(), "{:?}", plain.findings);
    for (air, kind) in [(f32::NEG_INFINITY, "infinite"), (f32::INFINITY, "infinite"), (f32::NAN, "NaN")] {
        let other = prepared(&ball([60; 3], 70.0, air), false).unwrap();
        assert_eq!((&other.volume, &other.mask), (&plain.volume, &plain.mask), "{air}");
        assert_eq!(other.findings.len(), 1, "{:?}", other.findings);
        assert!(other.findings[0].ends_with(&format!("voxels are {kind}; they are taken as outside the brain")));
    }
}

#[test]
fn what_failed_for_all_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["a", "b"]);
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    let coded = |low: f32| {
        for (n, id) in ["a", "b"].iter().enumerate() {
            let mask = head(n as f64).1.map(|v| v + low);
            save(&dir.path().join(format!("masks/{id}_T1_brain.nii.gz")), &mask);
        }
    };
    coded(1.0);
    for keep_going in [false, true] {
        let summary = run(&source, &out, &PrepareOptions { keep_going, ..options.clone() }).unwrap();
        assert_eq!((summary.prepared, summary.failed.len()), (0, 2));
        assert!(!dir.path().join("out.partial").exists() && !out.exists());
    }
    let summary = run(&source, &out, &PrepareOptions { mask_threshold: Some(1.5), ..options.clone() }).unwrap();
    assert_eq!(summary.prepared, 2, "{:?}", summary.failed);
    // A mask without which nothing is right is named, and the subject once.
    coded(0.0);
    let mut one = head(0.0).1.map(|_| 0.0);
    let middle = one.data().len() / 2;
    one.data_mut()[middle] = 1.0;
    save(&dir.path().join("masks/a_T1_brain.nii.gz"), &one);
    fs::remove_file(dir.path().join("masks/b_T1_brain.nii.gz")).unwrap();
    let summary = run(&source, &dir.path().join("other"), &options).unwrap();
    assert!(summary.failed[0].what.contains("a_T1_brain.nii.gz"), "{:?}", summary.failed);
    assert!(!summary.failed[1].what.starts_with("subject"), "{:?}", summary.failed);
}

#[test]
fn filters_that_match_nothing_and_words_in_two_spellings_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let options = dataset(dir.path(), &["s1", "s01", "t3", "t4"]);
    fs::write(dir.path().join("people.csv"), "who;site\ns1;Bern\ns01;bern\nt3;Bern\nt4;Rome\n").unwrap();
    let (source, out) = (dir.path().join("t1"), dir.path().join("out"));
    let said = |options: &PrepareOptions| {
        let said = Heard::default();
        let summary = prepare(&source, &out, options, &said).unwrap();
        (said.0.into_inner().unwrap(), summary.cohort.unwrap())
    };
    let (words, cohort) = said(&PrepareOptions { exclude: Some("T4".into()), ..options.clone() });
    assert!(words.iter().any(|w| w.starts_with("`T4` is to be left out, and no image matches it")), "{words:?}");
    let spelled = "column site seems to spell one value in several ways: `Bern` (2) and `bern` (1)";
    assert!(words.iter().any(|w| w == spelled), "{words:?}");
    let near = "Ids that differ by zeros, signs or characters that look the same alone are taken for different people: \
                `s1` and `s01`.";
    assert!(cohort.findings_in_words().iter().any(|f| f == near), "{:?}", cohort.findings_in_words());
    let (words, _) = said(&PrepareOptions { exclude: Some("t4".into()), force: true, ..options });
    assert!(!words.iter().any(|w| w.contains("is to be left out")), "{words:?}");
    // One file where case does not count.
    let options = dataset(&dir.path().join("two"), &["a", "A"]);
    let error = run(&dir.path().join("two/t1"), &dir.path().join("none"), &options).unwrap_err();
    assert!(error.to_string().starts_with("the ids `a` and `A` are one name on file systems"), "{error}");
    assert!(!dir.path().join("none").exists());
}
