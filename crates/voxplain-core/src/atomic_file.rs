//! Files that are there with all their bytes or not at all: written beside their place, then renamed.
//!
//! Whoever reads such a file while it is written sees what was there before, and a process that ends half way leaves
//! no half file behind. (A machine that loses power may still lose the file: nothing is flushed to the disk here.)

use crate::{Error, Remedy, Result};
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
    if !folder.is_dir() {
        let what = if folder.exists() { "is no folder" } else { "is not there" };
        let kind = if folder.exists() { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
        return Err(io::Error::new(kind, format!("its folder {} {what}", folder.display())));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".part-");
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes a file like any other (the umask applies).
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // The system's own words name the part file, which nobody knows.
    let in_folder =
        |e: io::Error| io::Error::new(e.kind(), format!("{} (in the folder {})", e.kind(), folder.display()));
    let mut file = builder.tempfile_in(folder).map_err(in_folder)?;
    content(&mut file)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Refuses to write over a file that is read for it, whatever the two are called: by links, by other spellings of the path.
///
/// # Errors
/// `out` is one of `sources`.
pub fn refuse_source<'a>(
    out: &Path,
    sources: impl IntoIterator<Item = &'a Path>,
    remedy: impl Into<Remedy>,
) -> Result<()> {
    let Some(source) = sources.into_iter().find(|source| is_same(out, source)) else { return Ok(()) };
    let what = if out == source {
        "is read for what would be written over it".to_owned()
    } else {
        format!("is the same file as {}, which is read for what would be written over it", source.display())
    };
    Err(Error::file(out, what, remedy))
}

/// Whether two paths lead to one file. What cannot be asked for is not there, and no file.
fn is_same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let place = |path: &Path| path.metadata().ok().map(|of| (of.dev(), of.ino()));
        if place(a).is_some_and(|of_a| place(b) == Some(of_a)) {
            return true;
        }
    }
    a.canonicalize().ok().is_some_and(|of_a| b.canonicalize().ok() == Some(of_a))
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
    fn a_source_is_found_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        write(&at("a"), b"source").unwrap();
        write(&at("b"), b"source").unwrap();
        let refused = |out: &Path| refuse_source(out, [at("b").as_path(), &at("a")], "write elsewhere").is_err();
        let a = folder.path().join("sub/../a");
        assert!(refused(&at("a")) && refused(&a) && refused(&at("b")));
        assert!(!refused(&at("c")) && !refused(&at("sub")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
            fs::hard_link(at("a"), at("other name")).unwrap();
            assert!(refused(&at("link")) && refused(&at("other name")));
            let error = refuse_source(&at("link"), [at("a").as_path()], "write elsewhere").unwrap_err().to_string();
            assert!(error.contains("is the same file as") && error.contains("/a, which is read"), "{error}");
        }
        write(&at("copy"), b"source").unwrap();
        assert!(!refused(&at("copy")));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("none/a"), b"").unwrap_err().to_string();
        assert!(error.ends_with("none is not there") && !error.contains(".part"), "{error}");
        write(&folder.path().join("file"), b"").unwrap();
        let error = write(&folder.path().join("file/a"), b"").unwrap_err().to_string();
        assert!(error.ends_with("file is no folder"), "{error}");
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
