//! [`Header`]: what a file says about itself, whatever its format; and recognising formats by content.

use crate::{Affine, Dtype, Error, Finding, Level, Result, mgh, nifti};
use serde::Serialize;
use std::path::Path;

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
    pub(crate) pair: bool,
    /// Where the values start.
    #[serde(skip)]
    pub(crate) offset: u64,
    /// What was odd while parsing.
    #[serde(skip)]
    pub(crate) findings: Vec<Finding>,
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
    pub(crate) fn volume_bytes(&self) -> u64 {
        (self.space().iter().product::<usize>() * self.stored.size()) as u64
    }
}

/// Bytes from the start of a file that are enough to recognise every format: the NIfTI-2 header.
pub(crate) const HEAD: u64 = 540;

/// Parses the first [`HEAD`] bytes (fewer where the file is shorter) of a header file.
pub(crate) fn parse(path: &Path, head: &[u8]) -> Result<Header> {
    if let Some((what, hint)) = stranger(head) {
        return Err(Error::file(path, what, hint));
    }
    if let Some(kind) = nifti::Kind::of(head) {
        return nifti::parse(path, head, kind);
    }
    if mgh::is_mgh(head) {
        return mgh::parse(path, head);
    }
    Err(Error::file(
        path,
        "is no NIfTI, Analyze or MGH image: none of their marks was found",
        "name a .nii, .nii.gz, .hdr/.img, .mgh or .mgz file; if this is one, it is damaged",
    ))
}

/// Formats that are something else, by their first bytes: what it is, and what to do.
fn stranger(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str = "convert it to NIfTI first";
    let text = || String::from_utf8_lossy(&head[..head.len().min(400)]).trim_start().to_owned();
    let known: &[(&[u8], &str, &str)] = &[
        (b"\x89PNG", "is a PNG picture, not a volume", "name the NIfTI file that it was drawn from"),
        (b"\xff\xd8\xff", "is a JPEG picture, not a volume", "name the NIfTI file that it was drawn from"),
        (b"\x93NUMPY", "is a NumPy array, without an affine", "pass it as a ready tensor, with a table and an affine"),
        (b"PK\x03\x04", "is a ZIP archive", "unpack it and name the image inside"),
        (b"BZh", "is compressed with bzip2", "unpack it (bunzip2) or compress it with gzip"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it (zstd -d) or compress it with gzip"),
        (b"\xfd7zXZ", "is compressed with xz", "unpack it (xz -d) or compress it with gzip"),
        (b"\x1f\x9d", "is compressed with compress", "unpack it (uncompress) or compress it with gzip"),
        (b"\x1f\x8b", "is gzipped twice", "unpack it once with gunzip"),
        (b"\x89HDF", "is an HDF5 file (perhaps MINC 2)", "convert it to NIfTI first, for MINC with mnc2nii"),
        (b"CDF\x01", "is a netCDF file (perhaps MINC 1)", "convert it to NIfTI first, for MINC with mnc2nii"),
        (b"NRRD", "is an NRRD image", CONVERT),
        (b"ObjectType", "is a MetaImage header", CONVERT),
        (b"\xff\xff\xfe", "is a FreeSurfer surface, not a volume", "name a volume such as brain.mgz or orig.mgz"),
        (b"\xff\xff\xff", "is a FreeSurfer surface measure, not a volume", "name a volume such as brain.mgz"),
        (b"version https://git-lfs", "is a Git LFS pointer, not the image", "fetch the content: git lfs pull"),
    ];
    if head.is_empty() {
        return Some(("is empty", "copy or download it again"));
    }
    if let Some((_, what, hint)) = known.iter().find(|(mark, ..)| head.starts_with(mark)) {
        return Some((what, hint));
    }
    if head.get(128..132) == Some(b"DICM") {
        return Some(("is a DICOM file", "convert the series to NIfTI first: dcm2niix FOLDER"));
    }
    let text = text();
    if text.starts_with("<?xml") || text.starts_with("<GIFTI") {
        let gifti = text.contains("GIFTI");
        let what = if gifti { "is a GIFTI surface, not a volume" } else { "is an XML file, not a volume" };
        return Some((what, "name a volume (NIfTI or MGH)"));
    }
    if text.starts_with("<!DOCTYPE") || text.starts_with("<html") {
        return Some(("is a web page, not an image", "the download failed: open it to see why"));
    }
    if text.contains("annex/objects") && !text.contains('\0') {
        return Some(("is a git-annex pointer, not the image", "fetch the content: datalad get or git annex get"));
    }
    None
}

/// Numbers at fixed places of a header, in its byte order. Places past the end read as zero; lengths are checked before.
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) big: bool,
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

    pub(crate) fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.raw(at))
    }

    pub(crate) fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.raw(at))
    }

    pub(crate) fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.raw(at))
    }

    pub(crate) fn f32(&self, at: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.raw(at)))
    }

    pub(crate) fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.raw(at))
    }

    /// A text field: up to its first zero byte, trimmed.
    pub(crate) fn text(&self, at: usize, len: usize) -> String {
        let raw = self.bytes.get(at..at + len).unwrap_or_default();
        let raw = &raw[..raw.iter().position(|&b| b == 0).unwrap_or(raw.len())];
        raw.iter().map(|&b| char::from(b)).filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
    }
}

/// Axes made at least three; an error text where they cannot be those of an image.
pub(crate) fn checked_shape(axes: &[i64], size: usize) -> std::result::Result<Vec<usize>, String> {
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

/// A finding, in one line.
pub(crate) fn finding(id: &'static str, level: Level, what: impl Into<String>, remedy: &str) -> Finding {
    Finding { id, level, what: what.into(), remedy: remedy.to_owned() }
}
