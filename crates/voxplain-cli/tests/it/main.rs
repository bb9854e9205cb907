//! The command as it is typed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(all(unix, feature = "report"))]
mod again;
mod bids_app;
#[cfg(all(unix, feature = "report"))]
mod crash;
#[cfg(not(feature = "serve"))]
mod lacking;
mod moved;
#[cfg(all(unix, feature = "report"))]
mod plan;
#[cfg(feature = "serve")]
mod serve;
#[cfg(all(unix, feature = "report"))]
mod shards;
#[cfg(feature = "report")]
mod status;
mod stopped;
mod support;
#[cfg(feature = "serve")]
mod transcripts;
