//! `voxplain run`.

use crate::session::{Outcome, Session};
use clap::Args;

/// The whole pipeline from one configuration file.
#[derive(Debug, Args)]
pub(crate) struct Run {}

impl Run {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain run` is not built yet")
    }
}
