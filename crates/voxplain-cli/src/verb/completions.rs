//! `voxplain completions`.

use crate::session::Outcome;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write as _;

/// Print completions for a shell.
///
/// The shell then completes verbs, flags and their values with the tab key.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain completions bash > ~/.local/share/bash-completion/completions/voxplain
  voxplain completions zsh > ~/.zfunc/_voxplain
  voxplain completions fish > ~/.config/fish/completions/voxplain.fish")]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Of this command.
    pub(crate) fn run(&self, mut command: Command) -> anyhow::Result<Outcome> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command, "voxplain", &mut text);
        match std::io::stdout().write_all(&text) {
            // The reader has seen enough.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(Outcome::Done),
            other => Ok(other.map(|()| Outcome::Done)?),
        }
    }
}
