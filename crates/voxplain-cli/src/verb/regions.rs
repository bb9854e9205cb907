//! `voxplain regions`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Read maps off in the regions of an atlas.
#[derive(Debug, Args)]
pub(crate) struct Regions {}

impl Regions {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain regions` is not built yet")
    }
}
