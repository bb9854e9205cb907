//! Hears what is said while something is done.

use std::sync::Mutex;
use voxplain_core::Progress;

/// Hears warnings and notes, with their remedies in the words of the library.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<String>>);

impl Progress for Heard {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize, _: &str) {}
    fn end(&self) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Heard {
    /// The sentences that begin so.
    pub(crate) fn starting(&self, with: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.starts_with(with)).cloned().collect()
    }

    /// The sentences that hold this.
    pub(crate) fn about(&self, what: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(what)).cloned().collect()
    }
}
