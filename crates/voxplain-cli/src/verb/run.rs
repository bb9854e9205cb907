//! `voxplain run`.

use crate::{
    pipeline::{Pipeline, Work},
    session::{Outcome, Session},
};
use clap::Args;
use std::path::PathBuf;

/// Do the whole pipeline as a configuration file says.
///
/// A section is a verb and a key one of its flags without the dashes, so that `voxplain VERB --help` explains the file.
/// Sections are run in the order of the work; what is there already is not made again, so an interrupted pipeline
/// goes on where it stopped. Paths are relative to the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
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
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
}

impl Run {
    /// `work` makes work of the words of a command line.
    pub(crate) fn run(
        &self,
        session: &Session,
        work: fn(&[String]) -> anyhow::Result<Work>,
    ) -> anyhow::Result<Outcome> {
        session.in_one_document(|| Pipeline::read(&self.config)?.run(session, work))
    }
}
