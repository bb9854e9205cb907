//! INTERIM CONTRACT (owner: cohort): [`Table`], a CSV or TSV file as text with named columns.

use crate::Result;
use std::path::Path;

/// Rows of text under named columns, in the file's order. `n/a`, `NA`, `nan` and empty cells read as missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// One vector per row, as long as `columns`; missing cells are `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Reads CSV or TSV (by the header line: tab, else comma, else semicolon), with or without a byte-order mark.
    pub fn read(_path: &Path) -> Result<Self> {
        todo!()
    }

    /// Writes TSV atomically, missing as `n/a`.
    pub fn write_tsv(&self, _path: &Path) -> Result<()> {
        todo!()
    }

    /// Position of a column; the error lists the columns there are.
    pub fn column(&self, _name: &str) -> Result<usize> {
        todo!()
    }
}
