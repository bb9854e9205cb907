//! Running the command.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The command with these words, in a folder.
pub(crate) fn voxplain(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxplain"));
    command.args(words).current_dir(folder).env("COLUMNS", "100").env_remove("NO_COLOR").env_remove("VOXPLAIN_ISA");
    command
}

/// What it wrote to stdout, then what it wrote to stderr.
pub(crate) fn text(output: &Output) -> String {
    let mut text = String::from_utf8(output.stdout.clone()).unwrap();
    text.push_str(&String::from_utf8(output.stderr.clone()).unwrap());
    text
}
