//! INTERIM CONTRACT (owner: volume): what a file holds, reading and writing.

use crate::{Labels, Result, Volume};
use std::path::Path;

/// What a file holds: values in the file's own axis order, and how they were found.
#[derive(Clone, Debug)]
pub struct Image {
    /// The values (scaled by slope and intercept), on the file's grid and in its axis order.
    pub volume: Volume,
    /// Three letters, `RAS`, `LPI`, ...: where each array axis points to.
    pub axis_codes: String,
    /// The stored type, in NumPy's words: `uint8`, `int16`, `float32`, ...
    pub stored_type: String,
    /// `NIfTI-1`, `NIfTI-2`, `Analyze 7.5`, `MGH`.
    pub format: &'static str,
    /// The NIfTI codes of qform and sform (0 for formats without).
    pub form_codes: [i16; 2],
    /// What is odd about the file, and what to do about it.
    pub findings: Vec<Finding>,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// Results may be wrong.
    Warning,
    /// Not to be used as it is.
    Error,
}

/// Something odd about a file, with a remedy.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Finding {
    /// A stable identifier, `zero-origin`, `forms-disagree`, ...
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// What to take from a file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Which volume of a 4D file (from 0); without it a file of several is refused.
    pub volume: Option<usize>,
}

/// How to store a volume. Values are stored as float32 unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// The NIfTI code of qform and sform: 1 scanner, 2 aligned, 4 MNI. 0 is taken as 2.
    pub form_code: i16,
    /// At most 79 bytes of description.
    pub description: String,
    /// Store as `uint8`/`int16`/`int32` labels instead: refused where a value is not such a number.
    pub integer: bool,
}

/// Reads a NIfTI-1, NIfTI-2, Analyze or MGH file, recognised by content, gzipped or not.
pub fn read(_path: &Path, _options: &ReadOptions) -> Result<Image> {
    todo!()
}

/// Reads integer labels exactly; a value that is no whole number is refused. File's axis order.
pub fn read_labels(_path: &Path) -> Result<(Labels, Vec<Finding>)> {
    todo!()
}

/// Writes NIfTI-1, gzipped if the name ends in `.gz`, whole or not at all (written beside, then renamed).
pub fn write(_path: &Path, _volume: &Volume, _options: &WriteOptions) -> Result<()> {
    todo!()
}
