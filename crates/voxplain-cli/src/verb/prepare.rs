//! `voxplain prepare`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Bring every image of a cohort to one grid.
#[derive(Debug, Args)]
pub(crate) struct Prepare {}

impl Prepare {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain prepare` is not built yet")
    }
}
