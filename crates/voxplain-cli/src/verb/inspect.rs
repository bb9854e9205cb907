//! `voxplain inspect`.

use crate::session::{Outcome, Session};
use clap::Args;

/// What is in a file, and is it fit for use.
#[derive(Debug, Args)]
pub(crate) struct Inspect {}

impl Inspect {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain inspect` is not built yet")
    }
}
