//! Files that are read: opened only where they are files.
//!
//! A named pipe that nobody writes to would be waited for without end, and a device has no end at all. What is given as an
//! input is read more than once (its hash, its header, its values), which neither allows.

use crate::fault::NoFile;
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Opens a file to be read.
///
/// # Errors
/// What the system said; a named pipe, a socket or a device ([`Fault::IsNoFile`](crate::Fault::IsNoFile)).
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before it is opened: to open a pipe waits for who writes to it.
    refuse(&path.metadata()?)?;
    File::open(path)
}

/// All bytes of a file.
///
/// # Errors
/// Those of [`open`]; what the system said while it was read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let size = file.metadata().map_or(0, |meta| meta.len());
    let mut bytes = Vec::new();
    // A size is believed only as far as memory goes.
    let _ = bytes.try_reserve(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All text of a file.
///
/// # Errors
/// Those of [`read`]; bytes that are no UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is no text in UTF-8"))
}

#[cfg(unix)]
fn refuse(meta: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = meta.file_type();
    let what = if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "device"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, NoFile(what)))
}

#[cfg(not(unix))]
fn refuse(_: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "text").unwrap();
        assert_eq!((read(&file).unwrap(), read_to_string(&file).unwrap()), (b"text".to_vec(), "text".to_owned()));
        std::fs::write(&file, [0xff]).unwrap();
        assert_eq!(read_to_string(&file).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read(folder.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_would_be_waited_for_is_refused_at_once() {
        use crate::Fault;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for (path, what) in [(pipe.as_path(), "named pipe"), (&link, "named pipe"), (Path::new("/dev/zero"), "device")]
        {
            let error = read(path).unwrap_err();
            assert_eq!(Fault::of(&error), Fault::IsNoFile);
            assert_eq!(error.to_string(), format!("is a {what}, where a file is expected"));
        }
    }
}
