//! `voxplain report`.

use crate::session::{Outcome, Session};
use clap::Args;
use std::path::PathBuf;
use voxplain::report::report;

/// One page with everything that was made.
///
/// Writes one HTML file that opens from disk and fetches nothing, and its figures as SVG and PNG into figures/. A run that
/// is not finished is reported as far as it is, with the commands that make the rest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain report run
  voxplain report maps --out maps.html")]
pub(crate) struct Report {
    /// A run, or a folder of maps that `voxplain explain --out` made.
    #[arg(value_name = "RUN|DIR")]
    directory: PathBuf,
    /// The page [default: report.html in the directory].
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let made = report(&self.directory, self.out.as_deref(), session.progress())?;
        for warning in &made.warnings {
            session.progress().warn(warning);
        }
        let mut text = format!(
            "{}  ({:.1} MB)\n{} figures in {}",
            made.page.display(),
            made.bytes as f64 / 1e6,
            made.figures.len(),
            self.directory.join("figures").display()
        );
        if let Some(folder) = made.volumes.first().and_then(|f| f.parent()) {
            text.push_str(&format!(
                "\n{} subjects or groups had no room in the page: keep {} beside it",
                made.volumes.len(),
                folder.display()
            ));
        }
        if let [methods, references] = &made.methods_text[..] {
            text.push_str(&format!("\nmethods text in {}, references in {}", methods.display(), references.display()));
        }
        if let Some(quality) = &made.quality {
            text.push_str(&format!("\nquality of the prepared volumes in {}", quality.display()));
        }
        for part in &made.missing {
            text.push_str(&format!("\nnot there yet: {}\n  {}", part.what, part.command));
        }
        session.result(&made, &text)?;
        session.say("next: open the page in a browser");
        Ok(Outcome::Done)
    }
}
