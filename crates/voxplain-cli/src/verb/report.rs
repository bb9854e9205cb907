//! `voxplain report`.

use crate::{
    pipeline::Needs,
    session::{Outcome, Session},
    shell::Shell,
};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use voxplain::{
    report::{ReportOptions, Reported, report},
    run::RunLayout,
};

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
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
    /// Make the page and all figures again, also where nothing has changed.
    #[arg(long)]
    force: bool,
}

/// The result as JSON.
#[derive(Serialize)]
struct Document<'a> {
    page: &'a Path,
    bytes: usize,
    figures: &'a [PathBuf],
    volumes: &'a [PathBuf],
    methods_text: &'a [PathBuf],
    quality: Option<&'a Path>,
    missing: Vec<Missing<'a>>,
    warnings: &'a [String],
    as_it_was: bool,
}

/// A part that is not there yet, and the command that makes it.
#[derive(Serialize)]
struct Missing<'a> {
    what: &'a str,
    command: &'a str,
}

impl<'a> Document<'a> {
    fn new(made: &'a Reported) -> Self {
        let missing = made.missing.iter().map(|m| Missing { what: &m.what, command: &m.command });
        Self {
            page: &made.page,
            bytes: made.bytes,
            figures: &made.figures,
            volumes: &made.volumes,
            methods_text: &made.methods_text,
            quality: made.quality.as_deref(),
            missing: missing.collect(),
            warnings: &made.warnings,
            as_it_was: made.as_it_was,
        }
    }
}

impl Report {
    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        Needs { on: Some(("run", self.directory.clone())), cohort: self.cohort.clone(), ..Needs::default() }
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let options = ReportOptions { out: self.out.clone(), cohort: self.cohort.clone(), force: self.force };
        let made = report(&self.directory, &options, &Shell, session.progress())?;
        for warning in &made.warnings {
            session.progress().warn(warning);
        }
        let mut text = format!(
            "{}  ({:.1} MB)\n{} figures in {}",
            made.page.display(),
            made.bytes as f64 / 1e6,
            made.figures.len(),
            RunLayout::at(&self.directory).figures().display()
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
        let document = Document::new(&made);
        for part in &document.missing {
            text.push_str(&format!("\nnot there yet: {}\n  {}", part.what, part.command));
        }
        session.result(&document, &text)?;
        if made.as_it_was {
            session.say("nothing has changed since it was made: it stands as it was (--force makes it again)");
        }
        session.say("next: open the page in a browser");
        Ok(Outcome::Done)
    }
}
