//! `voxplain run`.

use crate::{
    pipeline::{Pipeline, Reader, Work},
    session::{Outcome, Session},
    template::template,
};
use clap::{Args, Command};
use serde_json::json;
use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};
use voxplain::Error;

/// Do the whole pipeline as a configuration file says.
///
/// A section is a verb and a key one of its flags without the dashes, so that `voxplain VERB --help` explains the file.
/// Sections are run in the order of the work; what is there already is not made again, so an interrupted pipeline
/// goes on where it stopped. Paths are relative to the file. --init writes a file to begin with, with every key there is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain run --init project.toml             a file with every section and key, to fill in
  voxplain run project.toml

A file:
  cohort = \"work/cohort\"
  run = \"work/sex\"

  [prepare]
  source = \"bids\"
  mask = \"_desc-brain_mask.nii.gz\"

  [train]
  label = \"sex\"
  group = \"family\"

  [explain]
  method = [\"guided-backprop\", \"hires-cam\", \"meaningful-perturbation\"]

  [group]

  [[regions]]
  atlas = \"atlases/BN_Atlas_246_1mm.nii.gz\"
  labels = \"atlases/BN_Atlas_246.txt\"
  out = \"work/sex/regions/brainnetome.tsv\"

  [report]")]
pub(crate) struct Run {
    /// The configuration file.
    #[arg(value_name = "CONFIG.toml", required_unless_present = "init")]
    config: Option<PathBuf>,
    /// Write a new configuration file, with a comment on each key and the value that it has by default, and do nothing else.
    #[arg(long, value_name = "CONFIG.toml", conflicts_with = "config")]
    init: Option<PathBuf>,
}

impl Run {
    /// `command` is the whole command.
    pub(crate) fn run(&self, session: &Session, read: Reader, command: &Command) -> anyhow::Result<Outcome> {
        if let Some(file) = &self.init {
            return init(file, session, read.work, command);
        }
        let config = self.config.as_deref().unwrap_or(Path::new(""));
        if let Some(folder) = config.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            session.say(&format!("paths, and commands that are named, are relative to {}", folder.display()));
        }
        session.in_one_document(|| Pipeline::read(config)?.run(session, read))
    }
}

/// Writes a file to begin with; one that is there stays.
fn init(
    file: &Path,
    session: &Session,
    work: fn(&[String]) -> anyhow::Result<Work>,
    command: &Command,
) -> anyhow::Result<Outcome> {
    let text = template(command, &|line| work(line).is_ok());
    let mut new = File::options().write(true).create_new(true).open(file).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Error::file(file, "is there already, and nothing is written over it", "give a new file to --init")
        }
        _ => Error::io(file)(e),
    })?;
    new.write_all(text.as_bytes()).map_err(Error::io(file))?;
    session.result(&json!({ "file": file }), &format!("written to {}; fill in what stands in <>", file.display()))?;
    session.next(["run", &file.display().to_string()]);
    Ok(Outcome::Done)
}
