//! [`Place`]: the folder of the results of a comparison, and what is there already.

use super::CompareSummary;
use crate::setting::{FORCE, OUT};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Remedy, Result, atomic_file, remedy, seal};
use voxplain_stats::inference::Counts;

/// The folder of the results.
pub(super) struct Place {
    folder: PathBuf,
    pub(super) key: String,
}

/// `unfinished.json`: what was counted before an interruption.
#[derive(Serialize, Deserialize)]
struct Unfinished {
    key: String,
    counts: Counts,
}

pub(super) const UNFINISHED: &str = "unfinished.json";

/// `summary.json` in the folder of a comparison.
pub(crate) fn summary_of(folder: &Path) -> PathBuf {
    folder.join("summary.json")
}

/// `unfinished.json` in the folder of a comparison: what was counted before an interruption.
pub(crate) fn unfinished_of(folder: &Path) -> PathBuf {
    folder.join(UNFINISHED)
}

/// `values.partial` in the folder of a comparison: the values of all maps, while it works with more than memory holds.
pub(crate) fn scratch_of(folder: &Path) -> PathBuf {
    folder.join("values.partial")
}

/// What to do about results that are damaged.
fn again() -> Remedy {
    remedy!["compare again, with ", FORCE]
}

impl Place {
    pub(super) fn at(folder: &Path, key: &str, force: bool) -> Result<Self> {
        let place = Self { folder: folder.to_owned(), key: key.to_owned() };
        let other = |what: &str| {
            Err(Error::file(
                folder,
                what.to_owned(),
                remedy!["choose another folder with ", OUT, ", or replace it with ", FORCE],
            ))
        };
        if !folder.exists() {
            return Ok(place);
        }
        if !folder.is_dir() {
            return other("is no folder");
        }
        let mut entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
        // A process that was killed before it came to anything leaves a file that is not whole.
        let is_empty = entries.all(|entry| entry.is_ok_and(|entry| atomic_file::is_part(&entry.path())));
        let ours = place.summary().is_file() || place.file(UNFINISHED).is_file();
        if !is_empty && !ours {
            return Err(Error::file(
                folder,
                "is a folder with other files in it",
                remedy!["choose another with ", OUT],
            ));
        }
        if place.summary().is_file() && !force {
            let summary: CompareSummary = seal::read(&place.summary(), again())?;
            if summary.key != key {
                return other("holds a comparison that was made of other data or in another way");
            }
        }
        if force && ours {
            place.clear()?;
        }
        Ok(place)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn summary(&self) -> PathBuf {
        summary_of(&self.folder)
    }

    pub(super) fn scratch(&self) -> PathBuf {
        scratch_of(&self.folder)
    }

    /// The result, where it is whole.
    pub(super) fn finished(&self) -> Result<Option<CompareSummary>> {
        let summary = self.summary();
        if summary.is_file() { seal::read_with_files(&summary, again()).map(Some) } else { Ok(None) }
    }

    /// Makes the folder, with a file that says whose it is before anything else: a process that is killed leaves one that is known.
    pub(super) fn begin(&self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        // Of a process that was killed, and that had less memory to put them into than this one.
        let scratch = self.scratch();
        if scratch.is_file() {
            std::fs::remove_file(&scratch).map_err(Error::io(&scratch))?;
        }
        if self.counts()?.is_some() { Ok(()) } else { self.write(&Counts::default()) }
    }

    /// What was counted before, of the same analysis.
    pub(super) fn counts(&self) -> Result<Option<Counts>> {
        let path = self.file(UNFINISHED);
        if !path.is_file() {
            return Ok(None);
        }
        let before: Unfinished = seal::read(&path, "remove it: what it has counted is then counted again")?;
        Ok((before.key == self.key).then_some(before.counts))
    }

    pub(super) fn keep(&self, counts: &Counts) -> Result<()> {
        if counts.done == 0 { Ok(()) } else { self.write(counts) }
    }

    fn write(&self, counts: &Counts) -> Result<()> {
        seal::write(&self.file(UNFINISHED), &Unfinished { key: self.key.clone(), counts: counts.clone() })
    }

    /// Removes what an earlier comparison wrote, by the names in its summary.
    fn clear(&self) -> Result<()> {
        let mut names = vec![UNFINISHED.to_owned()];
        if self.summary().is_file() {
            // Of a damaged one the names are not known; its maps are written over.
            let before: Result<CompareSummary> = seal::read(&self.summary(), again());
            // First, so that a half-removed result is none.
            std::fs::remove_file(self.summary()).map_err(Error::io(&self.summary()))?;
            let files = before.map(|before| before.files).unwrap_or_default();
            names.extend(files.iter().map(|file| file.file.clone()));
            names.extend(files.iter().map(|file| file.file.replace(".nii.gz", ".json")));
            names.extend(["clusters.tsv", "design.tsv", "regions.tsv"].map(str::to_owned));
        }
        for name in names {
            let path = self.file(&name);
            if path.is_file() {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }
}
