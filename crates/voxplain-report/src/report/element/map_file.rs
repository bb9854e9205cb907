//! Maps and brains as they are on disk.

use std::path::Path;
use voxplain_core::{Error, Result};
use voxplain_study::map::read_image;
use voxplain_volume::Volume;

/// A volume with RAS+ axes.
///
/// # Errors
/// It cannot be read, or holds a value that is no number.
pub(in crate::report) fn read_map(path: &Path) -> Result<Volume> {
    let volume = read_image(path)?.to_ras();
    if let Some(value) = volume.data().iter().find(|v| !v.is_finite()) {
        return Err(Error::file(path, format!("holds the value {value}"), "make it again: it is to hold numbers only"));
    }
    Ok(volume)
}

/// A file's name without its folder.
pub(in crate::report) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
