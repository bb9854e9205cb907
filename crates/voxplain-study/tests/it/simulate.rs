//! Simulated cohorts, from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use voxplain_core::{Silent, Table};
use voxplain_study::{
    atlas::{Atlas, MapName, RegionTable},
    cohort::{Cohort, VolumeType},
    simulate::{Effect, SimulateOptions, simulate},
};
use voxplain_volume::{ReadOptions, Volume, read, read_labels};

fn options(subjects: usize) -> SimulateOptions {
    let effects = vec!["right-lateral-ventricle:+60%".parse::<Effect>().unwrap()];
    SimulateOptions { subjects, shape: [32, 38, 32], spacing: 5.0, effects, ..SimulateOptions::default() }
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |e: std::fs::DirEntry| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap());
    std::fs::read_dir(path).unwrap().map(|e| entry(e.unwrap())).collect()
}

#[test]
fn same_seed_same_bytes_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, threads: usize, seed: u64| {
        let path = dir.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| simulate(&path, &SimulateOptions { seed, ..options(3) }, false, &Silent)).unwrap();
        files(&path)
    };
    let (one, three, other) = (make("one", 1, 5), make("three", 3, 5), make("other", 1, 6));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one == three);
    assert!(one["volumes.npy"] != other["volumes.npy"]);
}

/// Half precision takes half of the bytes, and its values are those of single precision, rounded.
#[test]
fn half_precision_is_rounded() {
    let dir = tempfile::tempdir().unwrap();
    let make = |dtype: VolumeType| {
        let path = dir.path().join(dtype.words());
        simulate(&path, &SimulateOptions { dtype, ..options(2) }, false, &Silent).unwrap();
        let bytes = std::fs::metadata(path.join("volumes.npy")).unwrap().len();
        (Cohort::open(&path).unwrap().values(1).unwrap(), bytes)
    };
    let ((single, many), (half, few)) = (make(VolumeType::Float32), make(VolumeType::Float16));
    assert_eq!(many - 128, 2 * (few - 128), "a header of 128 bytes");
    assert!(single != half);
    assert!(single.iter().zip(&half).all(|(a, b)| (a - b).abs() <= a.abs() / 2048.0 + 3e-8));
}

#[test]
fn the_cohort_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    simulate(&path, &options(8), false, &Silent).unwrap();
    let cohort = Cohort::open(&path).unwrap();
    let labels = cohort.column("label").unwrap();
    assert_eq!(labels[..4], [Some("control"), Some("case"), Some("control"), Some("case")]);
    let mean = |column: &str, label: &str| {
        let cells = cohort.column(column).unwrap();
        let of: Vec<f64> = cells
            .iter()
            .zip(&labels)
            .filter(|(_, l)| **l == Some(label))
            .map(|(c, _)| c.unwrap().parse().unwrap())
            .collect();
        of.iter().sum::<f64>() / of.len() as f64
    };
    // The change that was asked for is in the case's volumes, on that side alone.
    let ratio = |region: &str| mean(&format!("volume_{region}"), "case") / mean(&format!("volume_{region}"), "control");
    let (right, left) = (ratio("right-lateral-ventricle"), ratio("left-lateral-ventricle"));
    assert!((right / left / 1.6 - 1.0).abs() < 0.15, "{right} {left}");
    // Right is where x is positive, in atlas and truth.
    let (atlas, _) = read_labels(&path.join("atlas.nii.gz")).unwrap();
    let truth = read(&path.join("truth.nii.gz"), &ReadOptions::default()).unwrap().volume;
    assert_eq!(truth.grid(), &cohort.grid());
    let centre = |inside: &dyn Fn(usize) -> bool| {
        let at: Vec<f64> = (0..atlas.grid().len())
            .filter(|n| inside(*n))
            .map(|n| atlas.grid().affine.apply(atlas.grid().voxel(n).map(|v| v as f64))[0])
            .collect();
        at.iter().sum::<f64>() / at.len() as f64
    };
    let index = |name: &str| {
        let table = Table::read(&path.join("atlas.tsv")).unwrap();
        table.rows.iter().find(|r| r[1].as_deref() == Some(name)).unwrap()[0]
            .as_deref()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    let right = index("right-lateral-ventricle");
    assert!(centre(&|n| atlas.data()[n] == right) > 8.0);
    assert!(centre(&|n| atlas.data()[n] == index("left-hippocampus")) < -15.0);
    assert!(centre(&|n| truth.data()[n] > 0.0) > 8.0);
    let truth_share = truth.data().iter().filter(|v| **v > 0.0).count() as f64 / cohort.mask(0).unwrap().count() as f64;
    assert!((0.005..0.08).contains(&truth_share), "{truth_share}");
    // Every region of the atlas table is in the atlas.
    let missing: Vec<u32> = (1..=37).filter(|l| !atlas.data().contains(l)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// On coarse grids small regions have no voxel: the table says so, the atlas opens, and they are rows with 0 voxels and a note.
#[test]
fn regions_that_a_coarse_grid_lost_are_rows_without_voxels() {
    let dir = tempfile::tempdir().unwrap();
    let mut lost = 0;
    for (spacing, shape) in [(7.0, [22, 27, 22]), (10.0, [16, 19, 16])] {
        let path = dir.path().join(format!("c{spacing}"));
        let effects = Vec::new();
        simulate(&path, &SimulateOptions { spacing, shape, effects, ..options(2) }, false, &Silent).unwrap();
        let (image, labels) = (path.join("atlas.nii.gz"), path.join("atlas.tsv"));
        let atlas = Atlas::open(&image, &labels, false).unwrap();
        assert_eq!(atlas.ids().count(), 37);
        let there: BTreeSet<u32> = atlas.labels.data().iter().copied().collect();
        let map = Volume::filled(*atlas.labels.grid(), 1.0);
        let mut table = RegionTable::default();
        table.measure(&MapName { map: "m".into(), ..MapName::default() }, &map, &atlas, None).unwrap();
        for row in &table.rows[..37] {
            let has = there.contains(&row.id.unwrap());
            lost += usize::from(!has);
            assert_eq!((row.voxels > 0, row.note.is_none()), (has, has), "{spacing} mm: {row:?}");
        }
    }
    assert!(lost > 0, "there is something to lose");
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (options, word) in [
        (SimulateOptions { subjects: 1, ..SimulateOptions::default() }, "two subjects"),
        (SimulateOptions { shape: [20, 20, 20], ..SimulateOptions::default() }, "does not hold"),
        (SimulateOptions { spacing: 0.0, ..SimulateOptions::default() }, "spacing"),
        (
            SimulateOptions {
                effects: vec![Effect { region: "left-toe".into(), change: 0.1 }],
                ..SimulateOptions::default()
            },
            "no region `left-toe`",
        ),
    ] {
        let error = simulate(&dir.path().join("c"), &options, false, &Silent).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!("left-toe:+10%".parse::<Effect>().unwrap_err().contains("left-hippocampus"));
    assert!("left-putamen:+900%".parse::<Effect>().is_err());
    assert_eq!("left-putamen:-8%".parse::<Effect>().unwrap().change, -0.08);
}

/// Makes a cohort to look at: `VOXPLAIN_LOOK=folder cargo test -p voxplain-study --test it look`.
#[test]
fn look() {
    let Some(folder) = std::env::var_os("VOXPLAIN_LOOK") else { return };
    let folder = Path::new(&folder);
    let fine = SimulateOptions { subjects: 2, shape: [160, 192, 160], spacing: 1.0, ..SimulateOptions::default() };
    simulate(&folder.join("fine"), &fine, true, &Silent).unwrap();
    let start = std::time::Instant::now();
    simulate(&folder.join("default"), &SimulateOptions::default(), true, &Silent).unwrap();
    println!("{:?}", start.elapsed());
}

/// What changes nothing is no truth: no effect, one of 0 %, the size of the whole brain alone.
#[test]
fn a_truth_has_voxels_where_something_differs() {
    use voxplain_study::evaluation::truth::plants_nothing;
    let folder = tempfile::tempdir().unwrap();
    let effect = |change: f64| vec![Effect { region: "left-lateral-ventricle".into(), change }];
    let cases = [(vec![], 0.0, true), (effect(0.0), 0.0, true), (vec![], 0.08, true), (effect(0.8), 0.08, false)];
    for (n, (effects, size_effect, nothing)) in cases.into_iter().enumerate() {
        let options = SimulateOptions { effects, size_effect, ..options(2) };
        let cohort = simulate(&folder.path().join(n.to_string()), &options, false, &Silent).unwrap();
        assert_eq!(plants_nothing(&cohort).unwrap(), nothing, "{n}");
    }
}
