//! [`Finding`]: something odd about a file, with a remedy.

use serde::Serialize;

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// Results may be wrong.
    Warning,
    /// Not to be used as it is.
    Error,
}

/// Something odd about a file that was read all the same, with a remedy.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

impl Finding {
    /// A finding, in one line.
    pub(crate) fn new(id: &'static str, level: Level, what: impl Into<String>, remedy: &str) -> Self {
        Self { id, level, what: what.into(), remedy: remedy.to_owned() }
    }
}
