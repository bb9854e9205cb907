//! The engine, its operations and the rules of relevance, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, says what it found or skipped, and works on small numbers"
)]

mod engine_arrays;
mod engine_reference;
mod export;
mod joining;
mod onnx;
mod optimizers;
mod reach;
mod reference_arrays;
mod reference_gradients;
mod relevance;
mod support;
