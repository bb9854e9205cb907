//! What several tests need.

use std::path::{Path, PathBuf};

/// A file of the test data: below the folder that `VOXPLAIN_DATA` names, by default `../shared` beside the checkout.
/// Where it is missing the test fails under `CI=true`; elsewhere it says that it is skipped, and is to return.
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
