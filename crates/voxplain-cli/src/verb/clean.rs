//! `voxplain clean`.

use crate::session::{Outcome, Session};
use clap::Args;
use serde::Serialize;
use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};
use voxplain::{Error, leftover::Leftovers, plural::counted, status::bytes_in_words};

/// Take away what stopped work left in a run or a cohort.
///
/// Taken away are files that killed processes left half written, permutation tests and comparisons that were stopped, checkpoints of folds
/// that are trained, and a cohort that was begun and not finished; with --maps the maps of methods, too. It says what and how much that is, and
/// asks first. Models, finished cohorts and results stay, and so does all that voxplain did not make.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain clean run
  voxplain clean run --maps smoothgrad,rise
  voxplain clean cohort --yes                  without a question, as in a script")]
pub(crate) struct Clean {
    /// A run, a training on a table, or a cohort.
    #[arg(value_name = "RUN|COHORT")]
    folder: PathBuf,
    /// Also the maps of these methods.
    #[arg(long, value_name = "M", value_delimiter = ',')]
    maps: Vec<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// What was taken away, as JSON.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    leftovers: &'a Leftovers,
    /// Whether it was taken away.
    removed: bool,
}

impl Clean {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let found = Leftovers::find(&self.folder, &self.maps)?;
        for stays in &found.stays {
            session.say(&format!("stays: {} ({})", stays.path.display(), stays.why));
        }
        let all = format!("{}, {}", counted(found.files(), "file"), bytes_in_words(found.bytes()));
        if found.files() == 0 {
            session.result(&Document { leftovers: &found, removed: false }, "nothing to take away")?;
            return Ok(Outcome::Done);
        }
        if !self.yes {
            for kind in &found.kinds {
                session.terminal().line(&format!("  {}, {}: {}", kind.count(), bytes_in_words(kind.bytes), kind.what));
            }
            // Who cannot be asked has not agreed.
            if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
                let what = format!("nothing was taken away: there is no terminal to ask at whether to ({all})");
                return Err(Error::file(&self.folder, what, "where all of it may go, say so with --yes").into());
            }
            if !asked(&all)? {
                session.result(&Document { leftovers: &found, removed: false }, "nothing was taken away")?;
                return Ok(Outcome::Done);
            }
        }
        found.remove(session.progress())?;
        let kinds = found
            .kinds
            .iter()
            .map(|kind| format!("took away {}, {}: {}", kind.count(), bytes_in_words(kind.bytes), kind.what));
        let text = kinds.chain([format!("{all} in all")]).collect::<Vec<_>>().join("\n");
        session.result(&Document { leftovers: &found, removed: true }, &text)?;
        Ok(Outcome::Done)
    }
}

/// Whether the user agrees; what is no yes is a no.
fn asked(all: &str) -> anyhow::Result<bool> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "take away {all}? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
