//! Files that appear whole: written beside their place, then renamed.

use crate::{Error, Result};
use serde::Serialize;
use std::{io::Write, path::Path};

/// Writes a file so that it is there with all its bytes or not there at all; replaces what was there before.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".part-");
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes a file like any other (the umask applies).
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(Error::io(path))?;
    file.write_all(bytes).map_err(Error::io(path))?;
    file.persist(path).map_err(|e| Error::io(path)(e.error))?;
    Ok(())
}

/// Writes a value as indented JSON, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))?;
    bytes.push(b'\n');
    write(path, &bytes)
}
