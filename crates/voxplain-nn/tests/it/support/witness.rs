//! Where the test data is. `VOXPLAIN_DATA` names the folder; without it, `../shared` beside the project.

use std::path::{Path, PathBuf};

/// A file of the test data. Absent, it fails the test under `CI=true`; elsewhere the test says that it
/// is skipped, and should return.
pub(crate) fn witness(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("VOXPLAIN_DATA").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").is_err(), "test data missing: {}", path.display());
    eprintln!("skipped: {} is missing (set VOXPLAIN_DATA)", path.display());
    None
}
