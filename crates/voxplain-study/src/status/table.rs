//! [`TableStatus`]: a training on a table.

use super::{
    Lack, Made,
    size::{Size, sizes},
    train_again,
};
use crate::{run::read_json, train::TableRecord};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use voxplain_core::{Claim, Error, Occupied, Result, hash_bytes, remedy, seal};

/// What there is in the directory of a training on a table.
#[derive(Clone, Debug, Serialize)]
pub struct TableStatus {
    /// The directory.
    pub path: PathBuf,
    /// The version of voxplain that made it.
    pub version: String,
    /// Who is at work there.
    pub at_work: Occupied,
    /// The table.
    pub table: PathBuf,
    /// Why it cannot be taken for the table that was learnt from, in words; `null` where it can.
    pub table_problem: Option<String>,
    /// The column that is predicted.
    pub label: Option<String>,
    /// Number of columns that are learnt from.
    pub columns: usize,
    /// Number of rows that were left out.
    pub left_out: usize,
    /// `metrics.json`; `null` where training has not ended.
    pub metrics: Option<Made>,
    /// The result out of fold, as `metrics.json` has it, a sentence each.
    pub headline: Vec<String>,
    /// What its files take.
    pub sizes: Vec<Size>,
    #[serde(skip)]
    pub(super) lacks: Vec<Lack>,
}

impl TableStatus {
    /// What there is in a directory that `train TABLE` made.
    ///
    /// # Errors
    /// `table.json` is not there or damaged.
    pub fn of(path: &Path) -> Result<Self> {
        let record: TableRecord = read_json(&TableRecord::path(path))?;
        let file = path.join("metrics.json");
        let train = train_again(&record.table, &record.options, path);
        let read =
            file.is_file().then(|| seal::read_with_files::<Value>(&file, remedy!["train again: ", train.clone()]));
        let metrics = read.as_ref().map(|read| Made::new("metrics", file, read));
        let mut lacks = Vec::new();
        if metrics.as_ref().is_none_or(|made| !made.counts()) {
            lacks.push(Lack::new("metrics: training has not ended", train));
        }
        let table_problem = match voxplain_core::input::read(&record.table) {
            Err(e) => Some(Error::io(&record.table)(e).to_string()),
            Ok(bytes) if hash_bytes(&bytes) != record.hash => Some("was changed since".to_owned()),
            Ok(_) => None,
        };
        Ok(Self {
            path: path.to_owned(),
            version: record.version,
            at_work: Claim::look(path)?,
            table: record.table,
            table_problem,
            label: record.options["label"].as_str().map(str::to_owned),
            columns: record.columns.len(),
            left_out: record.left_out.len(),
            metrics,
            headline: read.and_then(Result::ok).map(|metrics| sentences(&metrics)).unwrap_or_default(),
            sizes: sizes(path, str::to_owned)?,
            lacks,
        })
    }
}

/// The sentences of `metrics.json`.
pub(super) fn sentences(metrics: &Value) -> Vec<String> {
    let said = metrics["summary"].as_array();
    said.into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)).collect()
}
