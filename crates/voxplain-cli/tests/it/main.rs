//! The command as it is typed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(all(unix, feature = "report"))]
mod crash;
#[cfg(not(feature = "serve"))]
mod lacking;
mod moved;
#[cfg(feature = "serve")]
mod serve;
mod stopped;
mod support;
#[cfg(feature = "serve")]
mod transcripts;
