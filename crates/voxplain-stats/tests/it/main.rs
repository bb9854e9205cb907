//! Statistics beside numbers of other programs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calibration_line;
mod inference;
