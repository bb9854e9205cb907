//! Documents of JSON that hold a checksum of themselves, [`write()`] and [`read`], and those of other files: [`vouch`] and [`Checksums`].

mod checksums;

pub use checksums::Checksums;

use crate::{Error, Remedy, Result, atomic_file, hash_bytes, input};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The key of the checksum, the last of a document; as sidecars of BIDS write their keys where the others are written so.
const KEYS: [&str; 2] = ["checksum", "Checksum"];

/// Writes an object as [`atomic_file::write_json`] does, with BLAKE3 of the rest as its last key. A document without keys is written as
/// it is.
///
/// ```
/// use voxplain_core::seal;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.json");
/// seal::write(&path, &serde_json::json!({ "shape": [2, 3] }))?;
/// let value: serde_json::Value = seal::read(&path, "make it again")?;
/// assert_eq!(value["shape"][1], 3);
/// let other = std::fs::read_to_string(&path)?.replace('3', "4");
/// std::fs::write(&path, other)?;
/// assert!(seal::read::<serde_json::Value>(&path, "make it again").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`atomic_file::write_json`].
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    atomic_file::write_json(path, &sealed(path, value)?)
}

/// [`write()`] where the file is not there or holds something else ([`atomic_file::write_json_if_other`]).
///
/// # Errors
/// Those of [`atomic_file::write_json_if_other`].
pub fn write_if_other(path: &Path, value: &impl Serialize) -> Result<()> {
    atomic_file::write_json_if_other(path, &sealed(path, value)?)
}

/// [`write()`] where there is no such file, and never over one that came meanwhile ([`atomic_file::create`]). Whether this process made it.
///
/// # Errors
/// Those of [`atomic_file::create`].
pub fn create(path: &Path, value: &impl Serialize) -> Result<bool> {
    atomic_file::create(path, &atomic_file::json(path, &sealed(path, value)?)?)
}

/// [`write()`] of a document that says that a result is there: see [`atomic_file::declare`].
///
/// # Errors
/// Those of [`atomic_file::declare`].
pub fn declare(path: &Path, value: &impl Serialize, vouched: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    atomic_file::declare(path, &sealed(path, value)?, vouched)
}

/// [`declare`] of a document that also holds BLAKE3 of each file that it vouches for, as [`Checksums`] reads it. The files, in the
/// folder of the document or below, are written first: a process that is killed in between leaves files that do not fit the document
/// of before, and says so until they are made again.
///
/// # Errors
/// Those of [`declare`]; a file that cannot be read.
pub fn vouch(path: &Path, value: &impl Serialize, vouched: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let vouched: Vec<PathBuf> = vouched.into_iter().collect();
    let mut value = as_json(path, value)?;
    if let Value::Object(keys) = &mut value {
        keys.insert(checksums::KEY.to_owned(), Checksums::of(path, &vouched)?.into_json());
    }
    declare(path, &value, vouched)
}

fn as_json(path: &Path, value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))
}

fn sealed(path: &Path, value: &impl Serialize) -> Result<Value> {
    let mut value = as_json(path, value)?;
    if let Value::Object(keys) = &mut value {
        KEYS.iter().for_each(|key| _ = keys.shift_remove(*key));
    }
    let checksum = checksum(&value);
    if let Value::Object(keys) = &mut value
        && let Some(first) = keys.keys().next()
    {
        let key = KEYS[usize::from(first.starts_with(char::is_uppercase))];
        keys.insert(key.to_owned(), checksum.into());
    }
    Ok(value)
}

/// Reads a document; `remedy` is what to do where it is damaged. One without a checksum, of an older version, is taken as it is.
///
/// # Errors
/// [`Error::Io`]; the document is none, of another kind, or no longer the one that was written.
pub fn read<T: DeserializeOwned>(path: &Path, remedy: impl Into<Remedy>) -> Result<T> {
    let text = input::read(path).map_err(Error::io(path))?;
    open(&text).map_err(|what| Error::file(path, what, remedy))
}

/// [`read`] of a document that vouches for files; those that are there are compared with their [`Checksums`]. `remedy` is what makes
/// all of them again.
///
/// # Errors
/// Those of [`read`] and of [`Checksums::check`].
pub fn read_with_files<T: DeserializeOwned>(path: &Path, remedy: impl Into<Remedy>) -> Result<T> {
    let remedy = remedy.into();
    let value = read(path, remedy.clone())?;
    Checksums::read(path, remedy.clone())?.check_all(remedy)?;
    Ok(value)
}

/// [`read`] of bytes; the error is in words.
///
/// # Errors
/// Those of [`read`].
pub fn open<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let foreign = |e: serde_json::Error| format!("is not as voxplain writes it: {e}");
    let mut value: Value = serde_json::from_slice(text).map_err(foreign)?;
    let found = value.as_object_mut().and_then(|keys| KEYS.iter().find_map(|key| keys.shift_remove(*key)));
    if found.is_some_and(|found| found != checksum(&value)) {
        return Err("is not what was written: its content does not fit its checksum (a damaged disk, a copy that broke off, or a change by \
                    hand)"
            .into());
    }
    serde_json::from_value(value).map_err(foreign)
}

/// BLAKE3 of a document as compact JSON.
fn checksum(value: &Value) -> String {
    hash_bytes(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keys_are_written_as_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for (value, key) in [(json!({ "Method": 1 }), "Checksum"), (json!({ "method": 1 }), "checksum")] {
            write(&path, &value).unwrap();
            let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert!(written[key].is_string());
            assert_eq!(read::<Value>(&path, "").unwrap(), value);
            // What was read with its checksum is written with a new one.
            write(&path, &written).unwrap();
            assert_eq!(read::<Value>(&path, "").unwrap(), value);
        }
        write(&path, &json!([1])).unwrap();
        assert_eq!(read::<Value>(&path, "").unwrap(), json!([1]));
        // Of an older version.
        std::fs::write(&path, "{\"a\": 1.50}").unwrap();
        assert_eq!(read::<Value>(&path, "").unwrap(), json!({ "a": 1.5 }));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_gives_another_value(
            numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 0..4),
            whole: i64, text in "[ -~é\u{1}]{0,12}", place: usize, bit in 0u8..8,
        ) {
            let value = json!({ "numbers": numbers, "whole": whole, "nested": { "text": text, "none": null } });
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.json");
            write(&path, &value).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            prop_assert_eq!(&open::<Value>(&bytes).unwrap(), &value);
            let at = place % bytes.len();
            bytes[at] ^= 1 << bit;
            // A flip in the name of the checksum makes it a key of nobody.
            if let Ok(mut read) = open::<Value>(&bytes) {
                let keys = read.as_object_mut().unwrap();
                keys.retain(|key, _| value.get(key).is_some());
                prop_assert_eq!(read, value);
            }
        }
    }
}
