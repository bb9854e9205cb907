//! The command `voxplain`: typed flags to library configuration to one call.

#![allow(clippy::doc_markdown, reason = "doc comments are help texts, read on a terminal")]

mod app;
mod argument;
mod cli;
mod live;
mod pipeline;
mod plan;
#[cfg(feature = "serve")]
mod server;
mod session;
mod shell;
mod template;
mod terminal;
mod verb;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::Cli::read().run()
}
