//! [`Place`]: the folder of the results of a comparison, and what is there already.

use super::{CompareSummary, DESIGN_TABLE};
use crate::{
    folder::{entries, name_of},
    run::Run,
    setting::{FORCE, OUT},
    shard::Shard,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_core::{Claim, Error, Progress, Remedy, Result, atomic_file, remedy, seal};
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

const UNFINISHED: &str = "unfinished.json";
const VALUES: &str = "values.partial";

/// What is of all shards of a comparison.
pub(super) const SHARDS: &str = "shards.json";

/// `summary.json` in the folder of a comparison.
pub(crate) fn summary_of(folder: &Path) -> PathBuf {
    folder.join("summary.json")
}

/// The file in the folder of a comparison that says that it was begun and not ended, where it was.
pub(crate) fn begun_of(folder: &Path) -> Option<PathBuf> {
    [SHARDS, UNFINISHED].map(|name| folder.join(name)).into_iter().find(|file| file.is_file())
}

/// What a comparison keeps in its folder while it is not ended: what was counted, and the values of all maps where it works with more than
/// memory holds. What says what the rest is comes last.
pub(crate) fn rests_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut rests = of_shards(folder)?;
    rests.extend([VALUES, UNFINISHED].map(|name| folder.join(name)).into_iter().filter(|file| file.is_file()));
    Ok(rests)
}

/// What is of shards: files of their own, then what is of all.
fn of_shards(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = entries(folder)?;
    files.retain(|file| is_of_shard(&name_of(file)) && file.is_file());
    files.extend(Some(folder.join(SHARDS)).filter(|file| file.is_file()));
    Ok(files)
}

/// `shard-2-of-8.json`: what a shard has counted.
pub(super) fn name_of_shard(shard: Shard) -> String {
    format!("shard-{}-of-{}.json", shard.number(), shard.of())
}

/// `values-2-of-8.partial`: [`VALUES`] of a shard.
fn values_of_shard(shard: Shard) -> String {
    format!("values-{}-of-{}.partial", shard.number(), shard.of())
}

/// Whether a file is named as one of a shard is.
fn is_of_shard(name: &str) -> bool {
    let inner = |before: &str, after: &str| name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let numbers = inner("shard-", ".json").or_else(|| inner("values-", ".partial"));
    let shard = numbers.and_then(|numbers| numbers.replace("-of-", "/").parse::<Shard>().ok());
    shard.is_some_and(|shard| [name_of_shard(shard), values_of_shard(shard)].iter().any(|of| of == name))
}

/// What to do about results that are damaged.
fn again() -> Remedy {
    remedy!["compare again, with ", FORCE]
}

impl Place {
    /// The folder, which need not be there; nothing is written.
    ///
    /// # Errors
    /// It holds other files, or another comparison that is not to be replaced.
    pub(super) fn at(folder: &Path, key: String, force: bool) -> Result<Self> {
        let place = Self { folder: folder.to_owned(), key };
        if !folder.exists() {
            return Ok(place);
        }
        if !folder.is_dir() {
            return Err(place.other("is no folder"));
        }
        let mut entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
        // A process that was killed before it came to anything leaves a file that is not whole, and its claim.
        let is_empty = entries
            .all(|entry| entry.is_ok_and(|entry| atomic_file::is_part(&entry.path()) || Claim::is_file(&entry.path())));
        if !is_empty && !place.is_ours() {
            return Err(Error::file(
                folder,
                "is a folder with other files in it",
                remedy!["choose another with ", OUT],
            ));
        }
        if place.summary().is_file() && !force {
            place.known()?;
        }
        Ok(place)
    }

    fn other(&self, what: &str) -> Error {
        let remedy = remedy!["choose another folder with ", OUT, ", or replace it with ", FORCE];
        Error::file(&self.folder, what.to_owned(), remedy)
    }

    fn is_ours(&self) -> bool {
        self.summary().is_file() || begun_of(&self.folder).is_some()
    }

    /// Refuses a result of another comparison.
    fn known(&self) -> Result<()> {
        let summary: CompareSummary = seal::read(&self.summary(), again())?;
        if summary.key == self.key {
            return Ok(());
        }
        Err(self.other("holds a comparison that was made of other data or in another way"))
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn summary(&self) -> PathBuf {
        summary_of(&self.folder)
    }

    /// Where values are kept while a process, or that of a shard, works with more of them than memory holds.
    pub(super) fn scratch(&self, shard: Option<Shard>) -> PathBuf {
        shard.map_or_else(|| self.file(VALUES), |shard| self.file(&values_of_shard(shard)))
    }

    /// Claims the run in which the folder lies, or the folder itself: all of it, or a shard.
    pub(super) fn claim(&self, shard: Option<Shard>, progress: &dyn Progress) -> Result<Claim> {
        let folder = self.claimed()?;
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let Some(shard) = shard else { return Claim::take(&folder, "compare", progress) };
        let (number, of) = (shard.number(), shard.of());
        let name: String =
            name_of(&self.folder).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let part = format!("compare-{name}-{number}-of-{of}");
        Claim::take_part(&folder, &part, &format!("compare, shard {shard}"), progress)
    }

    /// The folder that is claimed.
    fn claimed(&self) -> Result<PathBuf> {
        Ok(Run::around(&self.folder)?.unwrap_or_else(|| self.folder.clone()))
    }

    /// The result, where it is whole.
    pub(super) fn finished(&self) -> Result<Option<CompareSummary>> {
        if !self.summary().is_file() {
            return Ok(None);
        }
        self.known()?;
        seal::read_with_files(&self.summary(), again()).map(Some)
    }

    /// Makes the folder, with a file that says whose it is before anything else, unless `known` by that of shards: a process that is killed leaves
    /// one that is known.
    pub(super) fn begin(&self, scratch: &Path, known: bool) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        // Of a process that was killed, and that had less memory to put them into than this one.
        if scratch.is_file() {
            std::fs::remove_file(scratch).map_err(Error::io(scratch))?;
        }
        if known || self.counts()?.is_some() { Ok(()) } else { self.write(&Counts::default()) }
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

    /// Takes away what processes left that were killed when the result was whole. Where somebody is at work, it is theirs, and stays.
    pub(super) fn clear_left(&self) -> Result<()> {
        if Claim::clear(&self.claimed()?)? { self.clear_rests() } else { Ok(()) }
    }

    /// Takes away what was kept while the comparison was not ended.
    pub(super) fn clear_rests(&self) -> Result<()> {
        for file in rests_of(&self.folder)? {
            std::fs::remove_file(&file).map_err(Error::io(&file))?;
        }
        Ok(())
    }

    /// Removes what an earlier comparison wrote, by the names in its summary.
    pub(super) fn clear(&self) -> Result<()> {
        if self.summary().is_file() {
            // Of a damaged one the names are not known; its maps are written over.
            let before: Result<CompareSummary> = seal::read(&self.summary(), again());
            // First, so that a half-removed result is none.
            std::fs::remove_file(self.summary()).map_err(Error::io(&self.summary()))?;
            let files = before.map(|before| before.files).unwrap_or_default();
            let maps = files.iter().flat_map(|file| [file.file.clone(), file.file.replace(".nii.gz", ".json")]);
            let tables = ["clusters.tsv", DESIGN_TABLE, "regions.tsv"].map(str::to_owned);
            for path in maps.chain(tables).map(|name| self.file(&name)).filter(|path| path.is_file()) {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        self.clear_rests()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_shards_are_known_by_their_names() {
        for name in ["shard-1-of-1.json", "shard-12-of-340.json", "values-2-of-8.partial"] {
            assert!(is_of_shard(name), "{name}");
        }
        for name in [
            "shard-9-of-8.json",
            "shard-1.json",
            "shard-01-of-8.json",
            "values.partial",
            "shard-1-of-8.tsv",
            "shards.json",
        ] {
            assert!(!is_of_shard(name), "{name}");
        }
    }
}
