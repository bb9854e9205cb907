//! `voxplain import`.

use crate::session::{Outcome, Session};
use clap::Args;

/// Turn a PyTorch checkpoint into a model file.
#[derive(Debug, Args)]
pub(crate) struct Import {}

impl Import {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let _ = session;
        anyhow::bail!("`voxplain import` is not built yet")
    }
}
