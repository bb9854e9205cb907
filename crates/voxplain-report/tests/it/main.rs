//! Figures and reports as a caller gets them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, may print, and works on small numbers"
)]

mod figures;
mod golden;
mod support;
