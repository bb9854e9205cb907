//! [`Checksums`]: what a document says of the bytes of files beside it.

use crate::{Error, Remedy, Result, hash_file};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The key in a document: an object of paths from its folder, each with BLAKE3 of the bytes.
pub(super) const KEY: &str = "checksums";

/// Tables and images have no place for a checksum that programs which read them would not stumble over. The document that says that they
/// are there has it.
///
/// ```
/// use voxplain_core::seal::{self, Checksums};
/// let folder = tempfile::tempdir()?;
/// let (table, document) = (folder.path().join("a.tsv"), folder.path().join("a.json"));
/// std::fs::write(&table, "n\n1\n")?;
/// seal::vouch(&document, &serde_json::json!({ "rows": 1 }), [table.clone()])?;
/// Checksums::read(&document, "make it again")?.check(&table, "make it again")?;
/// std::fs::write(&table, "n\n2\n")?;
/// assert!(Checksums::read(&document, "make it again")?.check(&table, "make it again").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    document: PathBuf,
    /// By the path from the folder of the document, with `/`.
    of: BTreeMap<String, String>,
}

impl Checksums {
    /// Of files as they are now.
    pub(super) fn of(document: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut all = Self { document: document.to_owned(), of: BTreeMap::new() };
        for file in files {
            if let Some(name) = all.name(file) {
                all.of.insert(name, hash_file(file)?);
            }
        }
        Ok(all)
    }

    /// What a document says; nothing where it is not there or, of an older version, has none. `remedy` is what to do where it is damaged.
    ///
    /// # Errors
    /// Those of [`read`](super::read), but for a document that is not there.
    pub fn read(document: &Path, remedy: impl Into<Remedy>) -> Result<Self> {
        let nothing = Self { document: document.to_owned(), of: BTreeMap::new() };
        if !document.is_file() {
            return Ok(nothing);
        }
        let value: Value = super::read(document, remedy)?;
        let pairs = value.get(KEY).and_then(Value::as_object).into_iter().flatten();
        let of = pairs.filter_map(|(name, hash)| Some((name.clone(), hash.as_str()?.to_owned()))).collect();
        Ok(Self { of, ..nothing })
    }

    /// The files that it knows, those that are there.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let folder = self.document.parent().unwrap_or(Path::new(""));
        self.of.keys().map(|name| folder.join(name)).filter(|file| file.is_file())
    }

    /// Refuses a file that is not the one that was written. Of one that the document does not know nothing is known.
    ///
    /// # Errors
    /// It is another, or cannot be read.
    pub fn check(&self, file: &Path, remedy: impl Into<Remedy>) -> Result<()> {
        let Some(expected) = self.name(file).and_then(|name| self.of.get(&name)) else { return Ok(()) };
        let found = hash_file(file)?;
        if found == *expected {
            return Ok(());
        }
        let document = self.document.file_name().unwrap_or_default().to_string_lossy();
        let what = format!(
            "is not what was written: its checksum is {}, and {document} has {} (a change by hand, a damaged disk, a copy that broke off, or a \
             command that was stopped)",
            short(&found),
            short(expected)
        );
        Err(Error::file(file, what, remedy))
    }

    /// [`Checksums::check`] of all that are there: what was taken away is missed where it is needed.
    ///
    /// # Errors
    /// As there, for the first in the order of their names.
    pub fn check_all(&self, remedy: impl Into<Remedy>) -> Result<()> {
        let remedy = remedy.into();
        self.files().try_for_each(|file| self.check(&file, remedy.clone()))
    }

    pub(super) fn into_json(self) -> Value {
        self.of.into_iter().map(|(name, hash)| (name, Value::String(hash))).collect::<serde_json::Map<_, _>>().into()
    }

    /// A file as the document names it.
    fn name(&self, file: &Path) -> Option<String> {
        let way = file.strip_prefix(self.document.parent()?).ok()?;
        let parts: Vec<_> = way.iter().map(|part| part.to_string_lossy()).collect();
        Some(parts.join("/"))
    }
}

/// As much of a checksum as a reader compares.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Table, seal};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_with_the_file_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        for name in ["a.tsv", "sub/b.tsv"] {
            std::fs::write(at(name), "n\n1\n").unwrap();
        }
        seal::vouch(&at("d.json"), &json!({ "n": 1 }), [at("a.tsv"), at("sub/b.tsv")]).unwrap();
        let read = || Checksums::read(&at("d.json"), "make it again");
        assert_eq!(read().unwrap().files().collect::<Vec<_>>(), [at("a.tsv"), at("sub/b.tsv")]);
        read().unwrap().check_all("make it again").unwrap();
        // The document itself is as `seal::read` has it, and what is in it is what was written.
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct D {
            n: u32,
        }
        assert_eq!(seal::read::<D>(&at("d.json"), "").unwrap(), D { n: 1 });
        std::fs::write(at("sub/b.tsv"), "n\n2\n").unwrap();
        let error = read().unwrap().check_all("make it again").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("b.tsv: is not what was written") && text.contains("d.json has"), "{text}");
        assert_eq!(error.remedy().unwrap().to_string(), "make it again");
        read().unwrap().check(&at("a.tsv"), "").unwrap();
        // What was taken away is missed by others; what nobody vouched for is not known.
        std::fs::remove_file(at("sub/b.tsv")).unwrap();
        std::fs::write(at("c.tsv"), "").unwrap();
        read().unwrap().check_all("").unwrap();
        read().unwrap().check(&at("c.tsv"), "").unwrap();
        // Of older versions, and of what is not there, nothing is known; what is damaged is not believed.
        seal::write(&at("d.json"), &json!({ "n": 1 })).unwrap();
        assert_eq!(read().unwrap().files().count(), 0);
        assert_eq!(Checksums::read(&at("none.json"), "").unwrap().files().count(), 0);
        std::fs::write(at("d.json"), "{").unwrap();
        assert!(read().is_err());
    }

    proptest! {
        #[test]
        fn no_flipped_bit_of_a_table_is_read(cells in prop::collection::vec("[a-z0-9.\t]{1,8}", 1..9), place: usize, bit in 0u8..8) {
            let folder = tempfile::tempdir().unwrap();
            let (table, document) = (folder.path().join("a.tsv"), folder.path().join("a.json"));
            let rows = cells.into_iter().map(|cell| vec![Some(cell)]).collect();
            Table { columns: vec!["n".into()], rows }.write_tsv(&table).unwrap();
            seal::vouch(&document, &json!({ "n": 1 }), [table.clone()]).unwrap();
            let mut bytes = std::fs::read(&table).unwrap();
            let at = place % bytes.len();
            bytes[at] ^= 1 << bit;
            std::fs::write(&table, bytes).unwrap();
            prop_assert!(Checksums::read(&document, "").unwrap().check(&table, "").is_err());
        }
    }
}
