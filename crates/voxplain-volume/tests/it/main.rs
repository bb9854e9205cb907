//! What the crate does with files and phantoms, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test fails by panicking, on small numbers, and says what it measured or skipped"
)]

mod compact;
mod damage;
mod files;
mod left_right;
mod mask;
mod reference;
mod support;
