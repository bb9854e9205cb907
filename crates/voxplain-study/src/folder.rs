//! What lies in a folder.

use std::path::{Path, PathBuf};
use voxplain_core::{Error, Result};

/// The entries of a folder, by name.
///
/// # Errors
/// It cannot be read.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths =
        entries.map(|entry| entry.map(|e| e.path()).map_err(Error::io(folder))).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// A folder, and no link to one: what a link leads to is not voxplain's.
pub(crate) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// The last part of a path.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
