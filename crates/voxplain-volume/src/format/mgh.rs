//! The header of FreeSurfer's MGH and MGZ volumes (surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat).

use super::dtype::Dtype;
use super::header::{Fields, Header, checked_shape};
use crate::{Affine, Error, Finding, Level, Result};
use std::path::Path;

/// Bytes before the values.
const OFFSET: u64 = 284;

/// Parses the header; always big-endian.
pub(super) fn parse(path: &Path, head: &[u8]) -> Result<Header> {
    let f = Fields { bytes: head, big: true };
    let fail = |what: String, hint: &str| Err(Error::file(path, what, hint));
    let stored = match f.i32(20) {
        0 => Dtype::Uint8,
        1 => Dtype::Int32,
        3 => Dtype::Float32,
        4 => Dtype::Int16,
        10 => Dtype::Uint16,
        6 => return fail("holds tensors".into(), "convert it to one real number per voxel"),
        code => {
            return fail(
                format!(
                    "has the MGH type {code}, expected 0 (uint8), 1 (int32), 3 (float32), 4 (int16) or 10 (uint16)"
                ),
                "convert it with mri_convert",
            );
        }
    };
    let axes: Vec<i64> = (0..4).map(|a| i64::from(f.i32(4 + 4 * a))).collect();
    let shape = match checked_shape(&axes, stored.size()) {
        Ok(shape) => shape,
        Err(what) => return fail(what, "the header is damaged: copy or download the file again"),
    };
    let mut findings = Vec::new();
    let known = f.i16(28) > 0;
    let (sizes, directions, center) = if known {
        (
            std::array::from_fn(|a| f.f32(30 + 4 * a)),
            std::array::from_fn(|axis| std::array::from_fn(|w| f.f32(42 + 12 * axis + 4 * w))),
            std::array::from_fn(|w| f.f32(78 + 4 * w)),
        )
    } else {
        findings.push(Finding::new(
            "no-spatial-code",
            Level::Warning,
            "the file has no geometry (goodRASFlag 0): FreeSurfer's default is taken, 1 mm, axes to left, inferior, anterior",
            "write it again with the geometry of the image it was made from (mri_convert --in_like)",
        ));
        ([1.0; 3], [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], [0.0; 3])
    };
    // The centre is at voxel n / 2, not (n - 1) / 2.
    let linear: [[f64; 3]; 3] =
        std::array::from_fn(|w| std::array::from_fn(|axis: usize| directions[axis][w] * sizes[axis]));
    let affine = Affine::from_rows(std::array::from_fn(|w| {
        let half: f64 = (0..3).map(|a| linear[w][a] * shape[a] as f64 / 2.0).sum();
        [linear[w][0], linear[w][1], linear[w][2], center[w] - half]
    }));
    if affine.inverse().is_none() {
        return fail(
            format!("has an affine that cannot be inverted: {:?}", affine.rows()),
            "write it again with the geometry of the image it was made from (mri_convert --in_like)",
        );
    }
    Ok(Header {
        format: "MGH",
        big_endian: true,
        compressed: false,
        shape,
        stored,
        scaling: None,
        affine,
        affine_from: if known { "MGH" } else { "voxel sizes" },
        form_codes: [0, 0],
        qform: None,
        sform: None,
        voxel_sizes: sizes,
        unit: "mm",
        intent: 0,
        description: String::new(),
        pair: false,
        offset: OFFSET,
        findings,
    })
}
