//! `voxplain group`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Average maps over groups and compare methods.
#[derive(Debug, Args)]
pub(crate) struct Group {}

impl Group {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain group` is not built yet")
    }
}
