//! [`Size`]: what the parts of a folder take on the disk.

use serde::Serialize;
use std::path::Path;
use voxplain_core::{Error, Result};

/// The files of a part, and their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Which part: `folds`, `maps`, `volumes.npy`.
    pub part: String,
    /// Number of files.
    pub files: usize,
    /// Their lengths together.
    pub bytes: u64,
}

/// The sizes of what lies in a folder, by the part that each entry of it belongs to, largest first. What a link leads to is not counted.
pub(super) fn sizes(folder: &Path, part: impl Fn(&str) -> String) -> Result<Vec<Size>> {
    let mut sizes: Vec<Size> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let part = part(&path.file_name().unwrap_or_default().to_string_lossy());
        let (files, bytes) = size_of(&path)?;
        match sizes.iter_mut().find(|size| size.part == part) {
            Some(size) => (size.files, size.bytes) = (size.files + files, size.bytes + bytes),
            None => sizes.push(Size { part, files, bytes }),
        }
    }
    sizes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.part.cmp(&b.part)));
    Ok(sizes)
}

/// Number and length of the files at a path and below it. What goes away while it is counted is not there.
fn size_of(path: &Path) -> Result<(usize, u64)> {
    use std::io::ErrorKind::NotFound;
    let meta = match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == NotFound => return Ok((0, 0)),
        other => other.map_err(Error::io(path))?,
    };
    if !meta.is_dir() {
        return Ok((1, meta.len()));
    }
    let entries = match std::fs::read_dir(path) {
        Err(e) if e.kind() == NotFound => return Ok((0, 0)),
        other => other.map_err(Error::io(path))?,
    };
    let mut sum = (0, 0);
    for entry in entries {
        let (files, bytes) = size_of(&entry.map_err(Error::io(path))?.path())?;
        sum = (sum.0 + files, sum.1 + bytes);
    }
    Ok(sum)
}

/// Bytes as a person reads them: `812 bytes`, `1.5 kB`, `23 MB`.
pub fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return voxplain_core::plural::counted(usize::try_from(bytes).unwrap_or(0), "byte");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    // 999.5 kB is a megabyte, once it is rounded.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    if value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_by_people() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (23_400_000, "23 MB"),
            (5_000_000_000_000_000, "5000 TB"),
        ];
        for (bytes, words) in cases {
            assert_eq!(bytes_in_words(bytes), words);
        }
    }

    #[test]
    fn every_file_is_counted_once_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("sub-1/deep")).unwrap();
        std::fs::create_dir(at("sub-2")).unwrap();
        for (name, bytes) in [("sub-1/a", 3), ("sub-1/deep/b", 4), ("sub-2/c", 5), ("d", 100)] {
            std::fs::write(at(name), vec![0; bytes]).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), at("round")).unwrap();
        let found =
            sizes(folder.path(), |name| if name.starts_with("sub-") { "maps".into() } else { name.into() }).unwrap();
        let of = |part: &str| found.iter().find(|size| size.part == part).map(|size| (size.files, size.bytes));
        assert_eq!((of("maps"), of("d")), (Some((3, 12)), Some((1, 100))));
        assert!(of("round").is_none_or(|(files, _)| files == 1));
        assert_eq!(found[0].part, "d", "largest first");
    }
}
