//! [`Warning`]: something that the reader of a page should know.

use voxplain_core::{Error, Remedy, Vocabulary};

/// A sentence and, where it is known, what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Warning {
    what: String,
    remedy: Option<Remedy>,
}

impl From<String> for Warning {
    fn from(what: String) -> Self {
        Self { what, remedy: None }
    }
}

impl Warning {
    /// A sentence with its remedy.
    pub(in crate::report) fn new(what: impl Into<String>, remedy: Remedy) -> Self {
        Self { what: what.into(), remedy: Some(remedy) }
    }

    /// What is left out of the page (`The curves of deletion are left out`), and why.
    pub(in crate::report) fn left_out(what: &str, error: &Error) -> Self {
        Self { what: format!("{what}: {error}"), remedy: error.remedy() }
    }

    /// In the words of a front end.
    pub(in crate::report) fn words(&self, vocabulary: &dyn Vocabulary) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}; {}", self.what, remedy.render(vocabulary)),
            None => self.what.clone(),
        }
    }
}
