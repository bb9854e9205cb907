//! `voxplain man`.

use crate::session::{Outcome, Session};
use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man as Page;
use std::path::PathBuf;

/// Write the manual pages: voxplain.1 and one for each verb.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain man ~/.local/share/man/man1
  voxplain man pages")]
pub(crate) struct Man {
    /// Directory to write into; made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    /// Of this command.
    pub(crate) fn run(&self, mut command: Command, session: &Session) -> anyhow::Result<Outcome> {
        let place = || self.directory.display().to_string();
        std::fs::create_dir_all(&self.directory).with_context(place)?;
        // Fills in what verbs inherit, so that their pages have the flags that every verb understands.
        command.build();
        let mut written = Vec::new();
        let verbs: Vec<Command> = command.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect();
        for command in std::iter::once(command).chain(verbs) {
            let page = Page::new(command);
            let mut text = Vec::new();
            page.render(&mut text)?;
            let file = self.directory.join(page.get_filename());
            std::fs::write(&file, text).with_context(|| file.display().to_string())?;
            written.push(file);
        }
        session.result(&written, &format!("{} pages in {}", written.len(), place()))?;
        session.say(&format!("read one: man {}", self.directory.join("voxplain-explain.1").display()));
        Ok(Outcome::Done)
    }
}
