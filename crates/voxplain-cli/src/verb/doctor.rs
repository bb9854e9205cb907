//! `voxplain doctor`.

use crate::session::{Outcome, Session};
use clap::Args;
use std::fmt::Write as _;
use voxplain::doctor::examine;

/// Look whether voxplain works on this machine.
///
/// Says which instructions the engine uses, how many threads and how much memory there are, and tests itself: the engine
/// against a slow reference in double precision, one thread against all, and a brain with one marked side written and
/// read back in all 48 axis orders. Ends with status 1 if anything is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain doctor
  voxplain doctor --threads 2 --json")]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let found = examine(&session.engine()?, session.progress())?;
        let mut text = format!("voxplain {}\n", env!("CARGO_PKG_VERSION"));
        for check in &found.checks {
            let _ = writeln!(text, "{:<5} {:<28} {}", if check.fine { "ok" } else { "WRONG" }, check.what, check.found);
        }
        session.result(&found, &text)?;
        let wrong = found.checks.iter().filter(|c| !c.fine).count();
        if wrong == 0 {
            session.say("all is well; next: voxplain demo");
            return Ok(Outcome::Done);
        }
        session.say(&format!("{wrong} checks failed: do not use results of this machine, and report what is above"));
        Ok(Outcome::Incomplete)
    }
}
