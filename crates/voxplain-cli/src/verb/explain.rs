//! `voxplain explain`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Show, voxel by voxel, what a network used.
#[derive(Debug, Args)]
pub(crate) struct Explain {}

impl Explain {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain explain` is not built yet")
    }
}
