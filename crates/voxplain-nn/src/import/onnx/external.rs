//! [`External`]: values that an ONNX file keeps in files beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Files beside a model, from which ranges of bytes are read. A path leads to nothing outside the model's folder.
#[derive(Debug)]
pub(super) struct External {
    /// The folder of the model; none where it was given as bytes.
    folder: Option<PathBuf>,
    /// The name of a file that is not there.
    pub(super) missing: Option<String>,
    /// Whether one leads out of the folder.
    pub(super) outside: bool,
    /// Files that were read.
    pub(super) files: BTreeSet<PathBuf>,
}

impl External {
    pub(super) fn beside(model: &Path) -> Self {
        let folder = model.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        Self { folder: folder.map(Path::to_owned), ..Self::none() }
    }

    /// For a model that has no files beside it.
    pub(super) const fn none() -> Self {
        Self { folder: None, missing: None, outside: false, files: BTreeSet::new() }
    }

    /// The bytes of a tensor: `location` relative to the folder, `offset` and `length` where given.
    pub(super) fn read(&mut self, place: &BTreeMap<String, String>, expected: usize) -> Result<Vec<u8>, String> {
        let location = place.get("location").ok_or("its values are in a file that it does not name")?;
        let folder = self.folder.as_ref().ok_or_else(|| format!("its values are in {location}, which is not here"))?;
        let number = |key: &str| {
            place
                .get(key)
                .map(|text| text.parse::<u64>().map_err(|_| format!("found {key} {text:?}, expected a number")))
        };
        let offset = number("offset").transpose()?.unwrap_or(0);
        if let Some(length) = number("length").transpose()?
            && length != expected as u64
        {
            return Err(format!("found {length} bytes in {location}, expected {expected}"));
        }
        let named = Path::new(location);
        if named.components().all(|step| matches!(step, Component::Normal(_) | Component::CurDir))
            && !location.is_empty()
            && !folder.join(named).exists()
        {
            self.missing = Some(location.clone());
            let link = folder.join(named).read_link().map(|to| format!("a link to {}, ", to.display()));
            return Err(format!("its values are in {location}, {}which is not there", link.unwrap_or_default()));
        }
        let path = match inside(folder, location)? {
            Ok(path) => path,
            Err(what) => {
                self.outside = true;
                return Err(what);
            }
        };
        self.files.insert(path.clone());
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = voxplain_core::input::open(&path).map_err(wrong)?;
        let held = file.metadata().map_err(wrong)?.len();
        if offset.checked_add(expected as u64).is_none_or(|end| end > held) {
            return Err(format!("{} holds {held} bytes, expected {expected} from {offset} on", path.display()));
        }
        file.seek(SeekFrom::Start(offset)).map_err(wrong)?;
        let mut bytes = vec![0; expected];
        file.read_exact(&mut bytes).map_err(wrong)?;
        Ok(bytes)
    }
}

/// The path of a file in a folder, or why none: it leads out of it, by its names or by links.
fn inside(folder: &Path, location: &str) -> Result<Result<PathBuf, String>, String> {
    let out = |link: &str| {
        Ok(Err(format!("its values are in {location:?}, {link}which is outside of the folder of the file")))
    };
    let steps = Path::new(location).components();
    if location.is_empty() || !steps.clone().all(|step| matches!(step, Component::Normal(_) | Component::CurDir)) {
        return out("");
    }
    let path = folder.join(location);
    let real = |path: &Path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    let target = real(&path)?;
    if !target.starts_with(real(folder)?) {
        return out(&format!("a link to {}, ", target.display()));
    }
    Ok(Ok(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn ranges_are_read_and_nothing_outside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        std::fs::create_dir(&models).unwrap();
        std::fs::write(models.join("weights.bin"), b"0123456789").unwrap();
        std::fs::write(folder.path().join("secret"), b"0123456789").unwrap();
        let mut external = External::beside(&models.join("model.onnx"));
        let there = place(&[("location", "weights.bin"), ("offset", "3"), ("length", "4")]);
        assert_eq!(external.read(&there, 4).unwrap(), b"3456");
        assert_eq!(external.read(&place(&[("location", "./weights.bin")]), 10).unwrap(), b"0123456789");
        for location in ["../secret", "/etc/passwd", "a/../../secret", ""] {
            let error = external.read(&place(&[("location", location)]), 4).unwrap_err();
            assert!(error.contains("outside of the folder"), "{location}: {error}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret"), models.join("link")).unwrap();
            let error = external.read(&place(&[("location", "link")]), 4).unwrap_err();
            assert!(
                error.contains("a link to ") && error.contains("secret, which is outside of the folder"),
                "{error}"
            );
            std::os::unix::fs::symlink(folder.path().join("annex/object"), models.join("content")).unwrap();
            let error = external.read(&place(&[("location", "content")]), 4).unwrap_err();
            assert!(
                error.contains("in content, a link to ") && error.ends_with("annex/object, which is not there"),
                "{error}"
            );
            external.missing = None;
        }
        assert!(external.outside && external.files.iter().all(|file| file.ends_with("weights.bin")));
        let error = external.read(&there, 5).unwrap_err();
        assert!(error.contains("found 4 bytes in weights.bin, expected 5"), "{error}");
        let beyond = place(&[("location", "weights.bin"), ("offset", "18446744073709551615")]);
        assert!(external.read(&beyond, 4).unwrap_err().contains("holds 10 bytes"));
        assert!(external.read(&place(&[("location", "none")]), 4).unwrap_err().contains("not there"));
        assert_eq!(external.missing.as_deref(), Some("none"));
    }
}
