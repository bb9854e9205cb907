//! `voxplain demo`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Simulate, train, explain, compare with the truth, report.
#[derive(Debug, Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain demo` is not built yet")
    }
}
