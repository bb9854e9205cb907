//! Trees of empty files, for tests of what is found by names alone.

use std::fs;

/// A folder with these files, empty, in it.
pub(super) fn tree<T: AsRef<str>>(files: impl IntoIterator<Item = T>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    dir
}
