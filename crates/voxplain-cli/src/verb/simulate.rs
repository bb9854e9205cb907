//! `voxplain simulate`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Make a cohort of simulated brains with a known difference.
#[derive(Debug, Args)]
pub(crate) struct Simulate {}

impl Simulate {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain simulate` is not built yet")
    }
}
