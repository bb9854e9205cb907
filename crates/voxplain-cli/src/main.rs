//! The command `voxplain`: typed flags to library configuration to one call.

mod cli;
mod pipeline;
mod session;
mod terminal;
mod verb;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
