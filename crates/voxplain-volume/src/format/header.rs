//! [`Header`]: what a file says about itself, whatever its format.

use super::dtype::Dtype;
use crate::{Affine, Finding};
use serde::Serialize;

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Header {
    /// `NIfTI-1`, `NIfTI-2`, `Analyze 7.5`, `MGH`.
    pub format: &'static str,
    /// Whether numbers are stored with the high byte first.
    pub big_endian: bool,
    /// Whether the values are gzipped.
    pub compressed: bool,
    /// Length of every axis, at least three; a fourth and later ones count volumes.
    pub shape: Vec<usize>,
    /// The stored type.
    pub stored: Dtype,
    /// Slope and intercept that turn stored values into those that are meant; absent where nothing is scaled.
    pub scaling: Option<[f64; 2]>,
    /// Voxel index to RAS+ mm, by the rule of nibabel: sform if its code is set, else qform, else the voxel sizes alone.
    pub affine: Affine,
    /// What the affine was taken from: `sform`, `qform`, `voxel sizes`, `origin field`, `MGH`.
    pub affine_from: &'static str,
    /// The NIfTI codes of qform and sform (0 for formats without).
    pub form_codes: [i16; 2],
    /// The qform's affine, where its code is set and it can be computed.
    pub qform: Option<Affine>,
    /// The sform's affine, where its code is set.
    pub sform: Option<Affine>,
    /// Voxel sizes as the header gives them, apart from the affine.
    pub voxel_sizes: [f64; 3],
    /// Unit of space: `mm`, `m`, `um` or `unknown`.
    pub unit: &'static str,
    /// NIfTI intent code.
    pub intent: i32,
    /// The file's own words about itself.
    pub description: String,
    /// Whether values are in a second file (`.img`).
    #[serde(skip)]
    pub(super) pair: bool,
    /// Where the values start.
    #[serde(skip)]
    pub(super) offset: u64,
    /// What was odd while parsing.
    #[serde(skip)]
    pub(super) findings: Vec<Finding>,
}

impl Header {
    /// Number of volumes: the product of all axes after the third.
    pub fn volumes(&self) -> usize {
        self.shape[3..].iter().product()
    }

    /// Length of the three axes of space.
    pub fn space(&self) -> [usize; 3] {
        [self.shape[0], self.shape[1], self.shape[2]]
    }

    /// Bytes of one volume, as stored.
    pub(super) fn volume_bytes(&self) -> u64 {
        (self.space().iter().product::<usize>() * self.stored.size()) as u64
    }
}

/// Numbers at fixed places of a header, in its byte order. Places past the end read as zero; lengths are checked before.
pub(super) struct Fields<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big: bool,
}

impl Fields<'_> {
    fn raw<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut raw = [0; N];
        if let Some(found) = self.bytes.get(at..at + N) {
            raw.copy_from_slice(found);
        }
        if self.big {
            raw.reverse();
        }
        raw
    }

    pub(super) fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.raw(at))
    }

    pub(super) fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.raw(at))
    }

    pub(super) fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.raw(at))
    }

    pub(super) fn f32(&self, at: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.raw(at)))
    }

    pub(super) fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.raw(at))
    }

    /// A text field: up to its first zero byte, trimmed.
    pub(super) fn text(&self, at: usize, len: usize) -> String {
        let raw = self.bytes.get(at..at + len).unwrap_or_default();
        let raw = &raw[..raw.iter().position(|&b| b == 0).unwrap_or(raw.len())];
        raw.iter().map(|&b| char::from(b)).filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
    }
}

/// Axes made at least three; an error text where they cannot be those of an image.
pub(super) fn checked_shape(axes: &[i64], size: usize) -> Result<Vec<usize>, String> {
    let mut shape = Vec::new();
    for &n in axes {
        shape.push(
            usize::try_from(n).ok().filter(|&n| n > 0).ok_or_else(|| format!("has the impossible shape {axes:?}"))?,
        );
    }
    while shape.len() < 3 {
        shape.push(1);
    }
    let bytes = shape.iter().try_fold(size, |a, &b| a.checked_mul(b)).filter(|&n| isize::try_from(n).is_ok());
    bytes.ok_or_else(|| format!("has the impossible shape {axes:?}"))?;
    Ok(shape)
}
