//! What the targets share: the inputs they begin with, and bytes as a file.

pub mod seeds;

use std::{cell::RefCell, path::Path};
use tempfile::TempDir;

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Calls `read` with a file of this name that holds these bytes.
///
/// # Panics
/// The temporary folder cannot be written.
pub fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("the temporary folder can be written");
        read(&path);
    });
}

/// The parts of an input: the first byte chooses, the rest is read.
pub fn chosen(data: &[u8], of: usize) -> (usize, &[u8]) {
    match data {
        [first, rest @ ..] => (usize::from(*first) % of, rest),
        [] => (0, data),
    }
}
