//! `voxplain train`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Train and cross-validate a 3D CNN beside plain baselines.
#[derive(Debug, Args)]
pub(crate) struct Train {}

impl Train {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain train` is not built yet")
    }
}
