//! `voxplain report`.

use crate::session::{Outcome, Session};
use clap::Args;

/// One page with everything that was made.
#[derive(Debug, Args)]
pub(crate) struct Report {}

impl Report {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain report` is not built yet")
    }
}
