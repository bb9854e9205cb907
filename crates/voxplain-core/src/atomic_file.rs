//! Files that are there with all their bytes or not at all: written beside their place, then renamed.
//!
//! Whoever reads such a file while it is written sees what was there before, and a process that ends half way leaves
//! no half file behind. (A machine that loses power may still lose the file: nothing is flushed to the disk here.)

use crate::{Error, Result};
use serde::Serialize;
use std::{
    io::{self, Write},
    path::Path,
};

/// Writes `bytes` as the file `path`. A file that was there is replaced.
///
/// # Errors
/// [`Error::Io`], which names `path`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes)).map_err(Error::io(path))
}

/// Writes a value as indented JSON with a line feed at the end, as [`write()`] does.
///
/// # Errors
/// [`Error::Io`], or [`Error::File`] for a value that is no JSON (a map whose keys are no text).
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Writes what `content` writes, as [`write()`] does; where `content` fails, nothing is changed.
///
/// # Errors
/// What the system or `content` said, without the path.
pub fn write_with(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".part-");
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes a file like any other (the umask applies).
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    content(&mut file)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old").unwrap();
        write_json(&path, &[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_failure_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(error.unwrap_err().to_string(), "no more");
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["a".to_owned()]));
        let error = write(&folder.path().join("missing/a"), b"").unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("missing/a")), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [plain, ours] = ["plain", "ours"].map(|name| folder.path().join(name));
        fs::write(&plain, b"").unwrap();
        write(&ours, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
