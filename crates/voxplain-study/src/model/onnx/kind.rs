//! What a file is that is given as an ONNX file.

use crate::setting::ARCH;
use std::io::Read;
use std::path::Path;
use voxplain_core::{Error, Result, remedy};

/// Refuses what is known to be something else than an ONNX file, with its name.
pub(super) fn recognise(file: &Path) -> Result<()> {
    let start = start(file)?;
    let is_archive = start.starts_with(b"PK");
    // The name of the first file of an archive.
    let first = start.get(30..).unwrap_or_default();
    let first = &first[..first.len().min(start.get(26..28).map_or(0, |n| usize::from(n[0]) + 256 * usize::from(n[1])))];
    let of_torch = start.first() == Some(&0x80) || is_archive && first.contains(&b'/');
    if of_torch && !first.ends_with(b".npy") {
        return Err(Error::file(
            file,
            "is a PyTorch checkpoint: it holds weights and no network",
            remedy!["export the network with torch.onnx.export, or say which one it belongs to with ", ARCH],
        ));
    }
    let is = if start.is_empty() {
        "it is empty"
    } else if start.starts_with(b"version https://git-lfs") {
        return Err(Error::file(
            file,
            "is not an ONNX file: it is a pointer of Git LFS, not the file that it stands for",
            "fetch the file with git lfs pull",
        ));
    } else if is_archive && first.ends_with(b".npy") {
        "it holds arrays of NumPy (.npz)"
    } else if is_archive {
        "it is a zip archive"
    } else if start.starts_with(b"\x93NUMPY") {
        "it is an array of NumPy (.npy)"
    } else if start.starts_with(&[0x1f, 0x8b]) {
        "it is compressed by gzip"
    } else if start.starts_with(b"\x89HDF") {
        "it is an HDF5 file"
    } else if matches!(start.get(344..347), Some(b"n+1" | b"ni1")) || matches!(start.get(4..7), Some(b"n+2" | b"ni2")) {
        "it is a NIfTI image"
    } else if start.get(8) == Some(&b'{') && start.get(5..8) == Some(&[0; 3]) {
        "it is a safetensors file: weights, or a model of voxplain"
    } else if start.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace()) {
        "it is text"
    } else {
        return Ok(());
    };
    Err(Error::file(file, format!("is not an ONNX file: {is}"), "give the file that torch.onnx.export wrote"))
}

/// The first bytes of a file.
pub(super) fn start(file: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let open = voxplain_core::input::open(file).map_err(Error::io(file))?;
    open.take(400).read_to_end(&mut start).map_err(Error::io(file))?;
    Ok(start)
}

/// Whether a file begins as ONNX files do: with the version of their format, and then another field of them.
///
/// # Errors
/// It cannot be read.
pub fn is_onnx(file: &Path) -> Result<bool> {
    Ok(matches!(start(file)?.as_slice(), [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x28 | 0x3a | 0x42, ..]))
}
