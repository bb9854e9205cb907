//! [`TextTable`]: a table of the page.

use serde::Serialize;

/// A table as it is shown: every cell is text.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::report) struct TextTable {
    pub(in crate::report) head: Vec<String>,
    pub(in crate::report) rows: Vec<Vec<String>>,
    /// Below it.
    pub(in crate::report) note: String,
}
