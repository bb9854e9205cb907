//! [`Progress`]: how long work says how far it is. The library prints nothing itself.

use crate::{Error, Remedy, Result};

/// Receives the progress of long work. Steps may nest: each `begin` has its `end`, and `advance` speaks of the innermost.
///
/// Called from any thread. What is told is for the eye alone: no result depends on it.
pub trait Progress: Send + Sync {
    /// A step of `total` parts begins.
    fn begin(&self, what: &str, total: usize);
    /// `parts` more parts of the innermost step are done; `detail` says what is worth seeing (`loss 0.412`).
    fn advance(&self, parts: usize, detail: &str);
    /// The innermost step ends.
    fn end(&self);
    /// Something that the user should know, once.
    fn warn(&self, message: &str);
    /// Something that the user should know, and what to do about it.
    fn advise(&self, message: &str, remedy: &Remedy) {
        self.warn(&format!("{message}; {remedy}"));
    }
    /// Something that is as it should be and good to know, once.
    fn note(&self, message: &str) {
        self.warn(message);
    }
    /// Whether the user has asked to stop. Long work then leaves what it has in a state to go on from.
    fn interrupted(&self) -> bool {
        false
    }
    /// [`Progress::interrupted`] as an error, so that long work can be left with `?`.
    ///
    /// # Errors
    /// [`Error::Interrupted`], where the user has asked to stop.
    fn go_on(&self) -> Result<()> {
        if self.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Shows nothing and never interrupts: for tests, and for callers that do not care.
///
/// ```
/// use voxplain_core::{Progress, Silent};
/// assert!(Silent.go_on().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}
    fn warn(&self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_to_stop_is_heard() {
        struct Stopped;
        impl Progress for Stopped {
            fn begin(&self, _: &str, _: usize) {}
            fn advance(&self, _: usize, _: &str) {}
            fn end(&self) {}
            fn warn(&self, _: &str) {}
            fn interrupted(&self) -> bool {
                true
            }
        }
        let error = Stopped.go_on().unwrap_err();
        assert!(matches!(error, Error::Interrupted) && error.remedy().is_some());
    }
}
