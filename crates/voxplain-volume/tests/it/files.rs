//! Every image of the test data: read as nibabel reads it, or refused with a clear error.

use crate::support::witness;
use serde_json::Value;
use std::path::Path;
use voxplain_volume::{Affine, Error, Grid, ReadOptions, Volume, WriteOptions, read, read_labels, write};

const NIBABEL: &str = include_str!("fixtures/nibabel.json");

/// Files that nibabel refuses and this crate reads, with the reason.
const READ_NEVERTHELESS: &[&str] = &[
    // A pair of which only one file is gzipped.
    "odd/nifti-rs/minimal2.hdr",
    "odd/nifti-rs/minimal2.img.gz",
];

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// What differs between a volume and nibabel's numbers about it.
fn difference(volume: &Volume, want: &Value) -> Option<String> {
    let shape: Vec<f64> = volume.shape().iter().map(|&n| n as f64).collect();
    if shape != numbers(&want["shape"]) {
        return Some(format!("shape {shape:?}, nibabel {}", want["shape"]));
    }
    let rows = want["affine"].as_array().unwrap();
    let affine = Affine::from_rows(std::array::from_fn(|r| std::array::from_fn(|c| rows[r][c].as_f64().unwrap())));
    if !volume.grid().affine.approx_eq(&affine, 1e-6) {
        return Some(format!("affine {:?}, nibabel {affine:?}", volume.grid().affine));
    }
    let (mut sum, mut size) = (0.0, 0.0f64);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut moments = [0.0; 3];
    let mut other = 0;
    for (n, &v) in volume.data().iter().enumerate() {
        let v = f64::from(v);
        if !v.is_finite() {
            other += 1;
            continue;
        }
        sum += v;
        size += v.abs();
        (min, max) = (min.min(v), max.max(v));
        for (m, x) in moments.iter_mut().zip(volume.grid().voxel(n)) {
            *m += v * x as f64;
        }
    }
    if min > max {
        (min, max) = (0.0, 0.0);
    }
    // Values are rounded to f32: 6e-8 of each.
    let longest = *volume.shape().iter().max().unwrap() as f64;
    let close = |got: f64, want: f64, scale: f64| (got - want).abs() <= 1e-7 * scale + 1e-12;
    let want_moments = numbers(&want["moments"]);
    let right = other == want["not_finite"].as_u64().unwrap()
        && close(sum, want["sum"].as_f64().unwrap(), size)
        && close(min, want["min"].as_f64().unwrap(), min.abs())
        && close(max, want["max"].as_f64().unwrap(), max.abs())
        && moments.iter().zip(&want_moments).all(|(m, w)| close(*m, *w, size * longest));
    (!right).then(|| format!("sum {sum}, range {min} to {max}, moments {moments:?}; nibabel {want}"))
}

#[test]
fn every_file_equals_nibabel_or_is_refused() {
    let Some(data) = witness("data") else { return };
    let table: serde_json::Map<String, Value> = serde_json::from_str(NIBABEL).unwrap();
    assert!(table.len() > 90, "{}", table.len());
    let (mut equal, mut refused, mut wrong) = (0, 0, Vec::new());
    for (name, want) in &table {
        let path = data.join(name);
        if want == "refused" {
            match read(&path, &ReadOptions::default()) {
                Ok(_) if READ_NEVERTHELESS.contains(&name.as_str()) => {}
                Ok(_) => wrong.push(format!("{name}: read, but nibabel refuses it")),
                Err(e) => {
                    assert!(e.to_string().contains(path.to_str().unwrap()), "{e}");
                    assert!(e.remedy().is_some_and(|r| !r.to_string().is_empty()), "{e}");
                    refused += 1;
                }
            }
            continue;
        }
        if want["volumes"] != 1 {
            let e = read(&path, &ReadOptions::default()).unwrap_err();
            assert!(e.to_string().contains("volumes"), "{e}");
        }
        for want in want["read"].as_array().unwrap() {
            let volume = want["volume"].as_u64().unwrap() as usize;
            match read(&path, &ReadOptions { volume: Some(volume), ..ReadOptions::default() }) {
                Ok(image) => {
                    match difference(&image.volume, want) {
                        Some(what) => wrong.push(format!("{name}: {what}")),
                        None => equal += 1,
                    }
                    let ras = read(&path, &ReadOptions { volume: Some(volume), ras: true }).unwrap();
                    // NaN is not equal to itself: bits are compared.
                    let bits = |v: &Volume| v.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    let turned = image.volume.to_ras();
                    assert_eq!((ras.volume.grid(), bits(&ras.volume)), (turned.grid(), bits(&turned)), "{name}");
                    assert_eq!((ras.native, ras.axis_codes), (*image.volume.grid(), image.axis_codes), "{name}");
                }
                Err(e) => wrong.push(format!("{name}: refused: {e}")),
            }
        }
    }
    println!("{} files: {equal} readings equal to nibabel's, {refused} files refused by both", table.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_two_halves_of_a_pair_are_the_whole() {
    let Some(folder) = witness("data/odd/nifti-rs") else { return };
    let whole = read(&folder.join("minimal.nii.gz"), &ReadOptions::default()).unwrap();
    for name in ["minimal.hdr", "minimal.img", "minimal.hdr.gz", "minimal.img.gz", "minimal2.hdr", "minimal2.img.gz"] {
        let half = read(&folder.join(name), &ReadOptions::default()).unwrap();
        assert_eq!(half.volume, whole.volume, "{name}");
    }
}

#[test]
fn refusals_say_what_it_is() {
    let Some(data) = witness("data") else { return };
    for (name, part) in [
        ("odd/nibabel/analyze.hdr", "analyze.img (or .img.gz) are missing"),
        ("odd/nifti-rs/avg152T1_LR_nifti.hdr.gz", "avg152T1_LR_nifti.img (or .img.gz) are missing"),
        ("odd/nifti-rs/complex/complex32.nii", "complex"),
        ("odd/niivue/complex.nii.gz", "complex"),
        ("odd/nifti-rs/rgb/3D.nii", "RGB"),
        ("odd/nifti-rs/rgba/4D.nii", "RGBA"),
        ("odd/nibabel/example4d.nii.gz", "holds 2 volumes"),
        ("odd/nifti-rs/README.md", "no NIfTI, Analyze or MGH"),
        ("cohort_ixi/participants.csv", "no NIfTI, Analyze or MGH"),
        ("cohort_ixi/ages.npy", "NumPy array"),
        ("cohort_ixi", "is a folder"),
        ("nothing.nii.gz", "No such file"),
    ] {
        let error = read(&data.join(name), &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn all_axis_orders_of_one_head_are_one_volume() {
    let Some(folder) = witness("data/odd/orient48") else { return };
    let ras = read(&folder.join("RAS.nii.gz"), &ReadOptions::default()).unwrap().volume;
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let image = read(&path, &ReadOptions::default()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(image.axis_codes, name[..3]);
        let turned = image.volume.to_ras();
        assert_eq!(turned.shape(), ras.shape(), "{name}");
        assert!(turned.grid().affine.approx_eq(&ras.grid().affine, 1e-4), "{name} {:?}", turned.grid().affine);
        assert_eq!(turned.data(), ras.data(), "{name}");
        assert_eq!(turned.reorient_like(image.volume.grid()).unwrap(), image.volume, "{name}");
        count += 1;
    }
    assert_eq!(count, 27);
}

#[test]
fn labels_are_read_exactly() {
    let Some(data) = witness("data") else { return };
    for (name, different, largest) in [
        ("atlases/BN_Atlas_246_1mm.nii.gz", 247, 246),
        ("atlases/AAL_2mm.nii.gz", 117, 116),
        ("atlases/aparc+aseg_DK_MNI_LIA_1mm.nii.gz", 0, 2035),
        ("atlases/JHU-WhiteMatter-labels-1mm.nii.gz", 49, 48),
        ("freesurfer/aparc.a2009s+aseg.mgz", 0, 12175),
    ] {
        let (labels, _) = read_labels(&data.join(name)).unwrap();
        let mut ids = labels.data().to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(*ids.last().unwrap(), largest, "{name}");
        assert!(different == 0 || ids.len() == different, "{name} {}", ids.len());
    }
    let error = read_labels(&data.join("templates/mni152nlin6_4mm_brain.nii.gz"));
    assert!(error.is_ok(), "whole numbers are labels, whatever they mean");
    let error = read_labels(&data.join("cohort_ixi/t1/IXI013-HH-1212_T1.nii.gz")).unwrap_err();
    assert!(matches!(error, Error::File { .. }) && error.to_string().contains("whole numbers"), "{error}");
}

#[test]
fn findings_name_what_is_odd() {
    let Some(data) = witness("data") else { return };
    for (name, id) in [
        ("atlases/JHU_MNI_SS_WMPM_Type-II.nii.gz", "zero-origin"),
        ("odd/nifti-rs/minimal.nii.gz", "no-spatial-code"),
        ("odd/niivue/shear.nii.gz", "sheared"),
        ("odd/niivue/shear.nii.gz", "anisotropic"),
        ("odd/niivue/low_res.nii.gz", "small-field-of-view"),
        ("atlases/AAL_2mm.nii.gz", "float-labels"),
        ("atlases/AAL_2mm.nii.gz", "left-handed"),
        ("atlases/BN_Atlas_246_1mm.nii.gz", "looks-like-labels"),
        ("atlases/JHU-WhiteMatter-labels-1mm.nii.gz", "intent"),
        ("templates/mni152nlin6_2mm_mask.nii.gz", "looks-like-mask"),
    ] {
        let image = read(&data.join(name), &ReadOptions::default()).unwrap();
        assert!(image.findings.iter().any(|f| f.id == id), "{name}: {:?}", image.findings);
        assert!(image.findings.iter().all(|f| !f.what.is_empty() && !f.remedy.is_empty()));
    }
}

#[test]
fn a_brain_on_another_background_is_no_atlas() {
    let grid = Grid::new([30; 3], Affine::from_spacing_origin([7.0; 3], [-100.0; 3])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.nii.gz");
    let is_labels = |air: f32, inside: &dyn Fn([usize; 3]) -> f32| {
        let near = |v: usize| (v as f64 - 15.0).powi(2);
        let volume = Volume::from_fn(grid, |v| if v.map(near).iter().sum::<f64>() < 80.0 { inside(v) } else { air });
        write(&path, &volume, &WriteOptions { integer: true, ..WriteOptions::default() }).unwrap();
        read(&path, &ReadOptions::default()).unwrap().findings.iter().any(|f| f.id.ends_with("-labels"))
    };
    for air in [0.0, 1000.0, -1.0, -1024.0] {
        assert!(!is_labels(air, &|[i, j, k]| air + 300.0 + ((i * 7 + j * 3 + k * 11) % 601) as f32), "{air}");
        assert!(is_labels(air, &|[i, ..]| if i < 15 { 7.0 } else { 9.0 }), "{air}");
    }
}

#[test]
fn good_images_have_no_warnings() {
    let Some(data) = witness("data") else { return };
    for name in [
        "templates/mni_icbm152_t1_sym_09a_1mm.nii.gz",
        "templates/mni152nlin6_2mm_T1w.nii.gz",
        "individual_t1/chris_t1.nii.gz",
        "freesurfer/brain.mgz",
        "cohort_ixi/t1/IXI013-HH-1212_T1.nii.gz",
    ] {
        let image = read(&data.join(name), &ReadOptions::default()).unwrap();
        let warnings: Vec<_> = image.findings.iter().filter(|f| f.level > voxplain_volume::Level::Note).collect();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
        let labels = ["looks-like-labels", "looks-like-mask", "float-labels"];
        assert!(!image.findings.iter().any(|f| labels.contains(&f.id)), "{name}: {:?}", image.findings);
    }
}

#[test]
fn damaged_files_of_fuzzers_are_refused() {
    let Some(folder) = witness("data/odd/nifti-rs/fuzz_artifacts") else { return };
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path: &Path = &entry.unwrap().path();
        let error = read(path, &ReadOptions::default()).unwrap_err();
        println!("{error}");
        assert!(error.remedy().is_some());
    }
}
