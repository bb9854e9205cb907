//! `voxplain bench`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Measure how fast the engine is on this machine.
#[derive(Debug, Args)]
pub(crate) struct Bench {}

impl Bench {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain bench` is not built yet")
    }
}
