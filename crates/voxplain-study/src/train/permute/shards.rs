//! Permutations that several processes share: each keeps what it counted in a file of its own.

use super::{Counting, PermuteOptions, Unfinished};
use crate::{folder::entries, run::Run, shard::Shard};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};
use voxplain_core::{Claim, Error, Result, seal};

/// What there is of a shard of permutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountedShard {
    /// Number of its permutations that are counted; of all where the test is done.
    pub permutations: usize,
    /// Number of these that were counted now.
    pub now: usize,
    /// Whether the whole test was there already.
    pub tested: bool,
}

/// The numbers of permutations, by the number of each.
pub(super) type Rows = BTreeMap<usize, Vec<f64>>;

/// What to do about a file of a shard that is damaged.
const AGAIN: &str = "remove the file: its permutations are then counted again";

/// Counts the permutations of a shard that are not counted yet.
pub(super) fn count(
    run: &Run,
    options: &PermuteOptions,
    shard: Shard,
    counting: &Counting<'_>,
) -> Result<CountedShard> {
    let (classifier, layout) = (options.classifier.as_str(), run.layout());
    let (number, of) = (shard.number(), shard.of());
    let (part, doing) = (format!("permute-{classifier}-{number}-of-{of}"), format!("permute, shard {shard}"));
    let _claim = Claim::take_part(&run.path, &part, &doing, counting.progress)?;
    std::fs::create_dir_all(layout.permutations()).map_err(Error::io(&layout.permutations()))?;
    let units: Vec<usize> = shard.units(counting.shuffles.len()).collect();
    counting.progress.note(&shard.describe(&units, counting.shuffles.len(), "permutation"));
    let file = layout.shard_of_permutation_test(classifier, shard);
    let mut rows = Vec::new();
    if file.is_file() {
        let before: Unfinished = seal::read(&file, AGAIN)?;
        if before.key == counting.key && before.rows.len() <= units.len() {
            rows = before.rows;
        }
    }
    let before = rows.len();
    counting.count(&units, &mut rows, &Rows::new(), &mut |rows| {
        seal::write(&file, &Unfinished { key: counting.key.to_owned(), rows: rows.to_vec() })
    })?;
    Ok(CountedShard { permutations: rows.len(), now: rows.len() - before, tested: false })
}

/// What shards have counted of a test, by the number of the permutation, and the files that it stands in. `numbers` are in each row.
pub(super) fn counted(
    run: &Run,
    options: &PermuteOptions,
    key: &str,
    permutations: usize,
    numbers: usize,
) -> Result<(Rows, Vec<PathBuf>)> {
    let layout = run.layout();
    let (mut known, mut files) = (Rows::new(), Vec::new());
    for file in entries(&layout.permutations())? {
        if !layout.is_shard_of_permutation_test(&file, Some(&options.classifier)) {
            continue;
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let shard = name.rsplit_once("_shard-").and_then(|(_, shard)| shard.replace("-of-", "/").parse::<Shard>().ok());
        let (Some(shard), Unfinished { key: of, rows }) = (shard, seal::read(&file, AGAIN)?) else { continue };
        if of == key && rows.iter().all(|row| row.len() == numbers) {
            known.extend(shard.units(permutations).zip(rows));
            files.push(file);
        }
    }
    Ok((known, files))
}
