//! One raw head (axes PSR, scaled values) against nibabel, nilearn and `scipy`, as `reference/generate.py` ran them.

use crate::support::witness;
use std::path::PathBuf;
use voxplain_volume::{Affine, Border, Grid, Interpolation, ReadOptions, Volume, npy, read};

fn head() -> Option<Volume> {
    let source = witness("reference/arrays/image_source.json")?;
    let source: serde_json::Value = serde_json::from_slice(&std::fs::read(source).unwrap()).unwrap();
    let path = witness(&format!("data/cohort_ixi/t1/{}", source["file"].as_str().unwrap()))?;
    Some(read(&path, &ReadOptions::default()).unwrap().volume)
}

fn array(name: &str) -> Option<npy::NpyArray> {
    let path: PathBuf = witness(&format!("reference/arrays/image_{name}.npy"))?;
    Some(npy::read(path).unwrap())
}

/// Slice `k` of a volume, `[i][j]`.
fn slice(v: &Volume, k: usize) -> Vec<f32> {
    let [ni, nj, _] = v.shape();
    (0..ni * nj).map(|n| v.at(n / nj, n % nj, k)).collect()
}

/// Largest difference, relative to the largest value.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let apart = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    f64::from(apart / largest)
}

#[test]
fn mean_and_sd_are_numpys() {
    let (Some(head), Some(want)) = (head(), array("mean_std")) else { return };
    let s = head.summary(None).unwrap();
    println!("mean {} sd {}, NumPy {:?}", s.mean, s.sd, want.data);
    assert!((s.mean / f64::from(want.data[0]) - 1.0).abs() < 1e-6);
    assert!((s.sd / f64::from(want.data[1]) - 1.0).abs() < 1e-6);
}

#[test]
fn ras_is_nibabels_canonical() {
    let (Some(head), Some(want), Some(affine)) = (head(), array("ras_slice45"), array("ras_affine")) else { return };
    assert_eq!(head.orientation().codes(), "PSR");
    let ras = head.to_ras();
    let rows = Affine::from_rows(std::array::from_fn(|r| std::array::from_fn(|c| f64::from(affine.data[r * 4 + c]))));
    assert!(ras.grid().affine.approx_eq(&rows, 1e-4), "{:?} {rows:?}", ras.grid().affine);
    let apart = apart(&slice(&ras, 45), &want.data);
    println!("canonical slice: {apart:e}");
    assert_eq!(apart, 0.0);
}

#[test]
fn linear_resampling_is_nilearns() {
    let (Some(head), Some(want)) = (head(), array("resampled_linear_3mm")) else { return };
    let origin = head.to_ras().grid().affine.origin();
    let grid = Grid::new([60, 60, 45], Affine::from_spacing_origin([3.0; 3], origin)).unwrap();
    for v in [&head, &head.to_ras()] {
        let out = v.resample(&grid, Interpolation::Linear, 0.0);
        println!("3 mm: {:e}", apart(out.data(), &want.data));
        assert!(apart(out.data(), &want.data) < 1e-6);
    }
}

#[test]
fn smoothing_is_nilearns() {
    let (Some(head), Some(want)) = (head(), array("smooth_fwhm8")) else { return };
    let sigma = 8.0 / (8.0 * 2f64.ln()).sqrt();
    let apart = apart(&slice(&head.smooth(sigma, Border::Reflect), 45), &want.data);
    println!("FWHM 8 mm: {apart:e}");
    assert!(apart < 1e-6);
}
