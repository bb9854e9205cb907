//! Writing to stderr, which may be a file on a full disk or a pipe that nobody reads.

use std::io::Write as _;

/// A line. Where it cannot be written there is no other place to say so, and the work goes on.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
