//! Which format a file has, by its content: the one place where that is decided.

use super::header::{Fields, Header};
use super::{compression, mgh, nifti, npy};
use crate::{Error, Result};
use std::path::Path;

/// Bytes from the start of a file that are enough to recognise every format: the NIfTI-2 header.
pub(super) const HEAD: u64 = 540;

/// A format of images that is read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Nifti(nifti::Kind),
    Mgh,
}

impl Format {
    /// By the first [`HEAD`] bytes (fewer where the file is shorter), with gzip undone.
    fn of(head: &[u8]) -> Option<Self> {
        nifti_kind(head).map(Self::Nifti).or_else(|| is_mgh(head).then_some(Self::Mgh))
    }
}

/// Parses the first [`HEAD`] bytes (fewer where the file is shorter) of a header file, whatever its format.
pub(super) fn header(path: &Path, head: &[u8]) -> Result<Header> {
    if let Some((what, remedy)) = stranger(head) {
        return Err(Error::file(path, what, remedy));
    }
    let is_nii = path.to_str().map(str::to_lowercase).is_some_and(|p| p.ends_with(".nii") || p.ends_with(".nii.gz"));
    match Format::of(head) {
        Some(Format::Nifti(nifti::Kind::Analyze)) if is_nii => {
            let magic = String::from_utf8_lossy(head.get(344..348).unwrap_or_default()).replace('\0', "");
            let what = format!("is named like NIfTI, and its mark is `{magic}` where NIfTI has `n+1`");
            Err(Error::file(path, what, "the header is damaged: get the file again; a header of Analyze is named .hdr"))
        }
        Some(Format::Nifti(kind)) => nifti::parse(path, head, kind),
        Some(Format::Mgh) => mgh::parse(path, head),
        None => Err(Error::file(
            path,
            "is no NIfTI, Analyze or MGH image: none of their marks was found",
            "name a .nii, .nii.gz, .hdr/.img, .mgh or .mgz file; if this is one, it is damaged",
        )),
    }
}

/// Whether a file begins with a header of the NIfTI family. Of a pair, the values' file may begin like anything.
pub(super) fn has_nifti_header(head: &[u8]) -> bool {
    nifti_kind(head).is_some()
}

/// NIfTI by its magic, Analyze by the header's length alone.
fn nifti_kind(head: &[u8]) -> Option<nifti::Kind> {
    let size = head.get(..4)?;
    let is = |n: i32| size == n.to_le_bytes() || size == n.to_be_bytes();
    match head.get(344..348) {
        Some(b"n+1\0") => return Some(nifti::Kind::Nifti1 { single: true }),
        Some(b"ni1\0") => return Some(nifti::Kind::Nifti1 { single: false }),
        _ => {}
    }
    match head.get(4..8) {
        Some(b"n+2\0") if is(540) => return Some(nifti::Kind::Nifti2 { single: true }),
        Some(b"ni2\0") if is(540) => return Some(nifti::Kind::Nifti2 { single: false }),
        _ => {}
    }
    (is(348) && head.len() >= 348).then_some(nifti::Kind::Analyze)
}

/// MGH by its version 1, axes that are positive, and a type that exists: the format has no other mark.
fn is_mgh(head: &[u8]) -> bool {
    let f = Fields { bytes: head, big: true };
    head.len() >= 90 && f.i32(0) == 1 && (0..4).all(|a| f.i32(4 + 4 * a) > 0) && (0..=10).contains(&f.i32(20))
}

/// Formats that are something else, by their first bytes: what it is, and what to do.
fn stranger(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str = "convert it to NIfTI first";
    let text = || String::from_utf8_lossy(&head[..head.len().min(400)]).trim_start().to_owned();
    let known: &[(&[u8], &str, &str)] = &[
        (b"\x89PNG", "is a PNG picture, not a volume", "name the NIfTI file that it was drawn from"),
        (b"\xff\xd8\xff", "is a JPEG picture, not a volume", "name the NIfTI file that it was drawn from"),
        (npy::MARK, "is a NumPy array, without an affine", "pass it as a ready tensor, with a table and an affine"),
        (b"BZh", "is compressed with bzip2", "unpack it (bunzip2) or compress it with gzip"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it (zstd -d) or compress it with gzip"),
        (b"\xfd7zXZ", "is compressed with xz", "unpack it (xz -d) or compress it with gzip"),
        (b"\x1f\x9d", "is compressed with compress", "unpack it (uncompress) or compress it with gzip"),
        (&compression::GZIP, "is gzipped twice", "unpack it once with gunzip"),
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
    if let Some(archive) = archive(head) {
        return Some(archive);
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

/// What a ZIP archive is, by the name of the first file in it.
fn archive(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if !head.starts_with(b"PK\x03\x04") {
        return None;
    }
    let length = head.get(26..28).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    let name = head.get(30..head.len().min(30 + length)).unwrap_or_default();
    Some(if name.ends_with(b"/data.pkl") {
        ("is a file of PyTorch, no image", "a network comes in as ONNX: export it from PyTorch")
    } else if name.ends_with(b".npy") {
        ("is an archive of NumPy arrays (.npz), without an affine", "name the image that they were made of")
    } else {
        ("is a ZIP archive", "unpack it and name the image inside")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(head: &[u8]) -> String {
        header(Path::new("a"), head).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_image_is_named() {
        let mut dicom = vec![0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        // Of a ZIP archive the name of the first file has its length at byte 26, and begins at byte 30.
        let archive = |name: &str| {
            let mut head = b"PK\x03\x04".to_vec();
            head.resize(30, 0);
            head[26] = u8::try_from(name.len()).unwrap();
            [head, name.into(), b"content".to_vec()].concat()
        };
        for (head, word) in [
            (&b""[..], "empty"),
            (b"\x89PNG\r\n", "PNG"),
            (b"\x93NUMPY\x01", "NumPy"),
            (b"PK\x03\x04", "is a ZIP archive"),
            (&archive("image.nii"), "is a ZIP archive"),
            (&archive("x.npy"), ".npz"),
            (&archive("sd/data.pkl"), "PyTorch"),
            (&dicom, "DICOM"),
            (b"<?xml version=\"1.0\"?><GIFTI>", "GIFTI"),
            (b" <!DOCTYPE html>", "web page"),
            (b"../../.git/annex/objects/x", "git-annex"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
            (b"something else", "none of their marks"),
        ] {
            assert!(said(head).contains(word), "{word}: {}", said(head));
        }
    }

    #[test]
    fn each_format_by_its_mark() {
        use nifti::Kind;
        let at = |n: usize, place: usize, mark: &[u8], size: [u8; 4]| {
            let mut head = vec![0; n];
            head[..4].copy_from_slice(&size);
            head[place..place + mark.len()].copy_from_slice(mark);
            Format::of(&head)
        };
        let (one, two) = (348i32.to_le_bytes(), 540i32.to_be_bytes());
        assert_eq!(at(348, 344, b"n+1\0", one), Some(Format::Nifti(Kind::Nifti1 { single: true })));
        // A damaged length does not hide NIfTI-1, whose mark is unlike anything else.
        assert_eq!(at(348, 344, b"ni1\0", [9; 4]), Some(Format::Nifti(Kind::Nifti1 { single: false })));
        assert_eq!(at(540, 4, b"n+2\0", two), Some(Format::Nifti(Kind::Nifti2 { single: true })));
        assert_eq!(at(540, 4, b"n+2\0", [9; 4]), None);
        assert_eq!(at(348, 0, b"", one), Some(Format::Nifti(Kind::Analyze)));
        assert_eq!(at(347, 0, b"", one), None);
        let mut mgh = [0u8; 90];
        for n in 0..5 {
            mgh[4 * n + 3] = 1;
        }
        assert_eq!(Format::of(&mgh), Some(Format::Mgh));
        mgh[23] = 11;
        assert_eq!(Format::of(&mgh), None);
    }
}
