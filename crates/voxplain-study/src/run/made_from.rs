//! [`MadeFrom`]: which maps a file was made from.

use super::Run;
use crate::map::read_record_beside;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use voxplain_attribution::Record;
use voxplain_core::{Error, Remedy, Result, hash_bytes};

/// The maps that something was made from: by method and subject a digest of what their records say they are. Empty in files of
/// older versions, and where maps have no records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MadeFrom(BTreeMap<String, BTreeMap<String, String>>);

impl MadeFrom {
    /// Adds a map, by the digest of its record.
    pub(crate) fn add(&mut self, subject: &str, method: &str, digest: String) {
        self.0.entry(method.to_owned()).or_default().insert(subject.to_owned(), digest);
    }

    /// The subjects of its maps, in alphabetical order.
    pub fn subjects(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    /// Whether no map is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a file that was made from other maps than those that a run has now; `again` says how to make it anew. Maps that are
    /// no longer there are no others.
    ///
    /// # Errors
    /// The record of a map says that it was made in another way; a record that cannot be read.
    pub fn check(&self, run: &Run, file: &Path, again: impl Into<Remedy>) -> Result<()> {
        let mut others = Vec::new();
        for (method, subjects) in &self.0 {
            for (subject, was) in subjects {
                let now = read_record_beside(&run.layout().map(subject, method).path())?;
                if now.is_some_and(|record| digest(&record) != *was) {
                    others.push(method.as_str());
                    break;
                }
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let what = format!("was made from other maps of {} than those there now", others.join(", "));
        Err(Error::file(file, what, again))
    }
}

/// What a map is of, by whom and how, in 16 hexadecimal digits: the same for a map that is made again in the same way. What was
/// measured on the way, such as seconds, does not count.
pub(crate) fn digest(record: &Record) -> String {
    let Record { method, class, requested, parameters, compat, atlas, model, input, mask, .. } = record;
    let made = serde_json::json!([method, class, requested, parameters, compat, atlas, model, input, mask]);
    hash_bytes(made.to_string().as_bytes())[..16].to_owned()
}
