//! What a study does, from outside: cohorts, runs, explanations, evaluation, atlases.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test fails by panicking, may print, and works on small numbers"
)]

mod alignment;
mod atlas;
mod baselines;
mod channels;
mod compare;
mod confounds;
mod curves;
mod explain;
mod faithfulness;
mod import;
mod leaks;
mod leftover;
mod place;
mod predict;
mod prepare;
mod run;
mod sessions;
mod simulate;
mod sources;
mod status;
mod support;
mod table;
mod units;
