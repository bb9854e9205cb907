//! Ctrl-C: the first asks long work to stop, and what is finished is kept.

use crate::shell::command_line;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first Ctrl-C: long work then stops where it can go on from. The second one ends the program.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Asks long work to stop, and says whether it had been asked before.
pub(crate) fn interrupt() -> bool {
    INTERRUPTED.swap(true, Ordering::Relaxed)
}

/// Whether it has been asked.
pub(super) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// How to go on with what was stopped.
pub(crate) fn go_on() -> String {
    format!("what is finished is kept; go on with: {}", command_line(std::env::args().skip(1)))
}
