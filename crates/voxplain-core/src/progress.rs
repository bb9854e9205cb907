//! [`Progress`]: how long work tells how far it is. The library prints nothing itself.

use crate::{Error, Result};

/// Hears how far long work is. Steps may nest: `begin` fold, `begin` epoch, `end` epoch, `end` fold.
pub trait Progress: Send + Sync {
    /// A step of `total` parts begins.
    fn begin(&self, what: &str, total: usize);
    /// `parts` more parts of the innermost step are done; `detail` says what is worth seeing (`loss 0.412`).
    fn advance(&self, parts: usize, detail: &str);
    /// The innermost step ends.
    fn end(&self);
    /// Something that the user should know, once.
    fn warn(&self, message: &str);
    /// Whether the user has asked to stop; long work then leaves what it has in a state to continue from.
    fn interrupted(&self) -> bool {
        false
    }
    /// [`Progress::interrupted`] as an error, to leave long work with.
    ///
    /// # Errors
    /// [`Error::Interrupted`], where the user has asked to stop.
    fn go_on(&self) -> Result<()> {
        if self.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}
    fn warn(&self, _: &str) {}
}
