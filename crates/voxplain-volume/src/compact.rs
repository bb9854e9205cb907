//! [`compact`]: a volume as a few bytes, for pages that carry their images with them.

use crate::nifti::{self, Stored};
use crate::{Error, Grid, Labels, Result, Volume};
use std::io::Write as _;

/// A volume as gzipped NIfTI-1 in memory, its values rounded to whole multiples of `step` (so off by at most half of
/// it, and 0 stays 0) and stored as `uint8` or `int16` with that slope.
///
/// Where the largest |value| is more than 32767 steps, the step is widened until it is not. Values that are no numbers
/// are stored as 0. Equal volumes give equal bytes.
///
/// # Errors
/// A step that is not above 0; an axis of more than 32767 voxels.
pub fn compact(volume: &Volume, step: f64) -> Result<Vec<u8>> {
    if !(step > 0.0 && step.is_finite()) {
        return Err(Error::Grid(format!("values cannot be rounded to multiples of {step}")));
    }
    let number = |v: f32| if v.is_finite() { f64::from(v) } else { 0.0 };
    let most = volume.data().iter().fold(0.0f64, |m, &v| m.max(number(v).abs()));
    // The slope is kept as f32, and readers multiply by that: so do we.
    let slope = f64::from(single(step.max(most / 32_767.0)));
    let slope = if most / slope > 32_767.0 { f64::from(single(slope).next_up()) } else { slope };
    #[expect(clippy::cast_possible_truncation, reason = "at most 32767 by the choice of the slope")]
    let stored: Vec<i16> = volume.data().iter().map(|&v| (number(v) / slope).round() as i16).collect();
    encode(volume.grid(), &stored, slope, 0)
}

/// Labels as gzipped NIfTI-1 in memory, stored as `uint8` or `int16`.
///
/// # Errors
/// A label beyond 32767; an axis of more than 32767 voxels.
pub fn compact_labels(labels: &Labels) -> Result<Vec<u8>> {
    let stored = labels.data().iter().map(|&l| {
        i16::try_from(l)
            .map_err(|_| Error::Grid(format!("label {l} does not fit into 16 bits: number the labels anew")))
    });
    encode(labels.grid(), &stored.collect::<Result<Vec<_>>>()?, 1.0, 1002)
}

#[expect(clippy::cast_possible_truncation, reason = "NIfTI-1 keeps its slope as f32")]
fn single(x: f64) -> f32 {
    x as f32
}

fn encode(grid: &Grid, values: &[i16], slope: f64, intent: i16) -> Result<Vec<u8>> {
    let bytes = values.iter().all(|v| (0..=255).contains(v));
    let (code, bytes_per_value) = if bytes { (2, 1) } else { (4, 2) };
    let header = nifti::encode(grid, &Stored { code, bytes_per_value, form_code: 2, intent, description: "" });
    let mut header = header
        .ok_or_else(|| Error::Grid(format!("shape {:?}: NIfTI-1 allows 32767 voxels along an axis", grid.shape)))?;
    header[112..116].copy_from_slice(&single(slope).to_le_bytes());
    let [ni, nj, nk] = grid.shape;
    let mut raw = Vec::with_capacity(header.len() + grid.len() * 2);
    raw.extend(header);
    for k in 0..nk {
        for j in 0..nj {
            for i in 0..ni {
                let value = values[grid.index(i, j, k)].to_le_bytes();
                raw.extend(&value[..if bytes { 1 } else { 2 }]);
            }
        }
    }
    let fault = |e: std::io::Error| Error::Grid(format!("a volume cannot be compressed: {e}"));
    let mut gz = flate2::GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), flate2::Compression::best());
    gz.write_all(&raw).map_err(fault)?;
    gz.finish().map_err(fault)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use crate::{Affine, Mask, ReadOptions, read, read_labels};
    use proptest::prelude::*;

    fn back(bytes: &[u8]) -> Volume {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.nii.gz");
        std::fs::write(&path, bytes).unwrap();
        read(&path, &ReadOptions::default()).unwrap().volume
    }

    fn line(values: &[f32]) -> Volume {
        let grid = Grid::new([values.len(), 1, 1], Affine::from_spacing_origin([2.0; 3], [-4.0, 5.0, 6.0])).unwrap();
        Volume::new(grid, values.to_vec()).unwrap()
    }

    #[test]
    fn by_hand() {
        // Steps of a half: -1.3 is nearest to -1.5, 0.2 to 0, 0.3 to 0.5, 7 is itself; NaN becomes 0.
        let v = line(&[-1.3, 0.0, 0.2, 0.3, 7.0, f32::NAN]);
        let bytes = compact(&v, 0.5).unwrap();
        assert_eq!(back(&bytes).data(), [-1.5, 0.0, 0.0, 0.5, 7.0, 0.0]);
        assert_eq!(back(&bytes).grid(), v.grid());
        assert_eq!(compact(&v, 0.5).unwrap(), bytes);
        // A value of 70000 steps: the step is widened, and 0 stays 0.
        let wide = back(&compact(&line(&[0.0, -70_000.0, 3.0]), 1.0).unwrap());
        assert_eq!(wide.data()[0], 0.0);
        assert!((wide.data()[2] - 70_000.0 / 32_767.0).abs() < 1e-5);
        assert!((wide.data()[1] + 70_000.0).abs() < 0.01);
        for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(compact(&v, step).is_err());
        }
    }

    #[test]
    fn labels_come_back_as_they_are() {
        let grid = Grid::new([3, 2, 2], Affine::from_spacing_origin([1.0; 3], [0.5; 3])).unwrap();
        for most in [12u32, 246, 2035] {
            let labels = Labels::from_fn(grid, |[i, j, k]| if i == 2 { most } else { (i + 3 * j + 6 * k) as u32 });
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("l.nii.gz");
            std::fs::write(&path, compact_labels(&labels).unwrap()).unwrap();
            assert_eq!(read_labels(&path).unwrap().0, labels);
        }
        assert!(compact_labels(&Mask::filled(grid, true).map(|_| 40_000)).unwrap_err().to_string().contains("40000"));
    }

    proptest! {
        #[test]
        fn off_by_half_a_step_at_most(values in prop::collection::vec(-50.0f32..50.0, 1..40), step in 0.01f64..3.0) {
            let v = line(&values);
            for (now, then) in back(&compact(&v, step).unwrap()).data().iter().zip(&values) {
                prop_assert!(f64::from((now - then).abs()) <= step * 0.500_001 + 1e-5, "{now} {then} {step}");
            }
        }
    }
}
