//! Files that are there with all their bytes or not at all: written beside their place, then renamed.
//!
//! Whoever reads such a file while it is written sees what was there before, and a process that ends half way leaves
//! no half file behind. A machine that loses power may still lose what was written last, unless it was [`declare`]d: only there
//! is waited for the disk.
//!
//! A process that is killed leaves the file beside the place, `.part-…`. [`sweep`] takes away those whose process is gone.

use crate::{
    Error, Remedy, Result,
    claim::{self, Process},
    visible_json,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Writes `bytes` as the file `path`. A file that was there is replaced.
///
/// # Errors
/// [`Error::Io`], which names `path`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes)).map_err(Error::io(path))
}

/// [`write()`], and waits until the bytes are on the disk before they get their name, and then until the name is: for a file that says
/// that something is done.
///
/// # Errors
/// [`Error::Io`], which names `path`.
pub fn write_through(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, true, |file| file.write_all(bytes)).map_err(Error::io(path))?;
    // Names are kept by folders. Windows has no handle of one to wait for.
    if cfg!(unix) { sync(folder_of(path)) } else { Ok(()) }
}

/// Writes a value as indented JSON with a line feed at the end, as [`write()`] does. Characters that are not seen, or that a terminal obeys,
/// are written as `\u202e`: the values are the same.
///
/// # Errors
/// [`Error::Io`], or [`Error::File`] for a value that is no JSON (a map whose keys are no text).
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write(path, &json(path, value)?)
}

/// [`write_json`] where the file is not there or holds something else: a file that several processes write alike stays as it is under
/// those who read it.
///
/// # Errors
/// Those of [`write_json`].
pub fn write_json_if_other(path: &Path, value: &impl Serialize) -> Result<()> {
    write_if_other(path, &json(path, value)?)
}

/// [`write()`] where the file is not there or holds other bytes.
///
/// # Errors
/// Those of [`write()`].
pub fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    match fs::read(path) {
        Ok(found) if found == bytes => Ok(()),
        _ => write(path, bytes),
    }
}

/// Writes `bytes` as the file `path` where there is none, and never over one that came meanwhile: of several processes one makes it.
/// Whether this one did.
///
/// # Errors
/// [`Error::Io`], which names `path`.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let mut file = beside(path).map_err(Error::io(path))?;
    file.write_all(bytes).map_err(Error::io(path))?;
    match file.persist_noclobber(path).map_err(|e| e.error) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // No links there (FAT, some network drives): it is then written whole, and the last of two who come at once stays.
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            if path.exists() {
                Ok(false)
            } else {
                write(path, bytes).map(|()| true)
            }
        }
        Err(e) => Err(Error::io(path)(e)),
    }
}

/// A value as indented JSON.
pub(crate) fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let text =
        serde_json::to_string_pretty(value).map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))?;
    let mut bytes = visible_json(&text).into_owned().into_bytes();
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes the JSON that says that a result is there, when the files that it speaks for are on the disk, and is on the disk itself when
/// this returns: after a loss of power whoever reads it finds what it says.
///
/// # Errors
/// As for [`write_json`]; a file of `vouched` that is not there.
pub fn declare(path: &Path, value: &impl Serialize, vouched: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    settle(vouched)?;
    write_through(path, &json(path, value)?)
}

/// Waits until files, and their names, are on the disk.
///
/// # Errors
/// [`Error::Io`]: one that is not there, or that the disk did not take.
pub fn settle(files: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let mut folders = BTreeSet::new();
    for file in files {
        sync(&file)?;
        folders.insert(folder_of(&file).to_owned());
    }
    if cfg!(unix) {
        folders.iter().try_for_each(|folder| sync(folder))?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    // Windows flushes only what may be written to.
    let file = if cfg!(windows) { fs::OpenOptions::new().write(true).open(path) } else { File::open(path) };
    match file.and_then(|file| file.sync_all()) {
        // Some network drives have no folders to wait for.
        Err(e) if path.is_dir() && matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other.map_err(Error::io(path)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Writes what `content` writes, as [`write()`] does; where `content` fails, nothing is changed.
///
/// # Errors
/// What the system or `content` said, without the path.
pub fn write_with(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    put(path, false, content)
}

fn put(path: &Path, through: bool, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        let what = if folder.exists() { "is no folder" } else { "is not there" };
        let kind = if folder.exists() { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
        return Err(io::Error::new(kind, format!("its folder {} {what}", folder.display())));
    }
    let mut file = beside(path)?;
    content(&mut file)?;
    if through {
        file.as_file().sync_all()?;
    }
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// A new file in the folder of `path`, that goes away unless it is given a name.
pub(crate) fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = folder_of(path);
    let prefix = format!("{PART}{}-{}-", claim::machine(), std::process::id());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes a file like any other (the umask applies).
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // The library's own words name the part file, which nobody knows; what the system said is behind them.
    let in_folder = |e: io::Error| {
        let source = e.raw_os_error().map(io::Error::from_raw_os_error).or_else(|| {
            let inner = e.get_ref()?.source()?.downcast_ref::<io::Error>()?;
            inner.raw_os_error().map(io::Error::from_raw_os_error)
        });
        let source = source.unwrap_or_else(|| io::Error::from(e.kind()));
        io::Error::new(e.kind(), InFolder { folder: folder.to_owned(), source })
    };
    builder.tempfile_in(folder).map_err(in_folder)
}

/// Why no file can be made in a folder.
#[derive(Debug, thiserror::Error)]
#[error("{} (in the folder {})", crate::fault::words(source), folder.display())]
struct InFolder {
    folder: PathBuf,
    source: io::Error,
}

/// How the name of a file begins that is not whole yet: then come the machine, the process, and letters drawn at random.
const PART: &str = ".part-";

/// Whether a file has the name of one that is not whole yet.
pub fn is_part(file: &Path) -> bool {
    part(file).is_some()
}

/// The machine and the process that write it. A name that is only like ours is somebody's own.
fn part(file: &Path) -> Option<(String, u32)> {
    /// Letters of the machine, and letters drawn.
    const LETTERS: usize = 6;
    let name = file.file_name()?.to_str()?.strip_prefix(PART)?;
    let is_word = |text: &str| text.len() == LETTERS && text.bytes().all(|b| b.is_ascii_alphanumeric());
    match name.split('-').collect::<Vec<_>>()[..] {
        [machine, process, drawn] if is_word(machine) && is_word(drawn) => {
            Some((machine.to_owned(), process.parse().ok()?))
        }
        _ => None,
    }
}

/// Takes away what killed processes left unfinished in a folder and the folders in it, and says how many files that were. Links are
/// not followed.
///
/// # Errors
/// A folder that cannot be read, a file that cannot be removed.
pub fn sweep(folder: &Path) -> Result<usize> {
    let mut swept = 0;
    for file in abandoned(folder)? {
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io(&file)(e)),
            _ => swept += 1,
        }
    }
    Ok(swept)
}

/// The files that [`sweep`] takes away, in the order of their paths.
///
/// # Errors
/// A folder that cannot be read.
pub fn abandoned(folder: &Path) -> Result<Vec<PathBuf>> {
    /// Folders in folders: those of a run are not deeper.
    const DEPTH: usize = 6;
    let mut files = Vec::new();
    abandoned_to(folder, DEPTH, &mut files)?;
    files.sort();
    Ok(files)
}

fn abandoned_to(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        let kind = match entry.file_type() {
            // Another process, which shares the work, has given it its name meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(Error::io(&path))?,
        };
        if kind.is_dir() && depth > 0 {
            abandoned_to(&path, depth - 1, files)?;
        } else if kind.is_file() && is_abandoned(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether nobody writes the file any more.
fn is_abandoned(file: &Path) -> bool {
    /// Nobody writes on one file for so long; whether a process of another machine lives cannot be asked.
    const LONG: Duration = Duration::from_secs(3600);
    match part(file) {
        None => false,
        Some((machine, process)) if machine == claim::machine() => !Process::is_there(process),
        Some(_) => {
            let age = file.metadata().and_then(|meta| meta.modified()).map(|at| SystemTime::now().duration_since(at));
            age.is_ok_and(|age| age.is_ok_and(|age| age > LONG))
        }
    }
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

    #[test]
    fn what_is_declared_speaks_for_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("map"), b"values").unwrap();
        declare(&at("done.json"), &1, [at("map")]).unwrap();
        assert_eq!(fs::read_to_string(at("done.json")).unwrap(), "1\n");
        let error = declare(&at("other.json"), &1, [at("map"), at("none")]).unwrap_err();
        assert!(error.to_string().contains("none: is not there") && !at("other.json").exists(), "{error}");
    }

    #[test]
    fn leftovers_of_the_killed_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("sub-1/deep")).unwrap();
        // A process that has ended, and was waited for, is not there any more.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (machine, gone, us) = (claim::machine(), child.id(), std::process::id());
        let left = [format!(".part-{machine}-{gone}-aB3xYz"), format!("sub-1/deep/.part-{machine}-{gone}-abcdef")];
        let elsewhere = ".part-0a1b2c-1-abcdef";
        let kept = [
            format!(".part-{machine}-{us}-aB3xYz"),
            elsewhere.to_owned(),
            format!(".part-{machine}-{gone}-abc"),
            "sub-1/.part-xyz123".to_owned(),
            "sub-1/.part-mine.txt".to_owned(),
            "sub-1/part-xyz123".to_owned(),
            ".partial".to_owned(),
            ".part-".to_owned(),
        ];
        left.iter().chain(&kept).for_each(|name| fs::write(at(name), "x").unwrap());
        assert_eq!(sweep(folder.path()).unwrap(), left.len());
        left.iter().for_each(|name| assert!(!at(name).exists(), "{name}"));
        kept.iter().for_each(|name| assert!(at(name).exists(), "{name}"));
        // What another machine has not touched for long is nobody's.
        let old = File::options().write(true).open(at(elsewhere)).unwrap();
        old.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
        assert_eq!(sweep(folder.path()).unwrap(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_known_through_all_words() {
        let error = write_with(Path::new("/dev/shm/voxplain-full"), |_| {
            File::options().write(true).open("/dev/full")?.write_all(b"x")
        });
        assert_eq!(crate::Fault::of(&error.unwrap_err()), crate::Fault::DiskFull);
        let error = write(Path::new("/proc/voxplain"), b"x").unwrap_err();
        assert!(!error.to_string().contains(".part") && error.to_string().contains("in the folder /proc"), "{error}");
        assert!(error.fault().is_some_and(|fault| fault != crate::Fault::Other), "{error:?}");
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
