//! What the methods of attribution do, from outside: laws, definitions written out slowly, and maps beside those of other packages.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test fails by panicking, may print, and works on small numbers"
)]

mod baselines;
mod channels;
mod fixture;
mod laws;
mod methods;
mod perturbation;
mod reference;
mod support;
