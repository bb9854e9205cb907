//! `voxplain serve`.

use crate::{
    server::Server,
    session::{Outcome, Session},
    shell::Shell,
    terminal,
};
use clap::Args;
use std::path::PathBuf;
use voxplain::report::Site;

/// Show a run's report from a server on this machine.
///
/// The page is that of `voxplain report`, but volumes are read when they are looked at: it opens at once for ten thousand
/// subjects too, and writes no files. The server listens on 127.0.0.1 alone, under an address with a random part that only
/// you are told; it can change nothing and gives only what the page shows. It runs until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain serve run
  voxplain serve run --port 8080

From another machine, through ssh: ssh -L 8080:127.0.0.1:8080 that-machine, then open the printed address here.")]
pub(crate) struct Serve {
    /// A run.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The port; 0 takes any that is free.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        /// The result as JSON.
        #[derive(serde::Serialize)]
        struct Document {
            url: String,
            scenes: usize,
        }
        let site = Site::open(&self.run, self.cohort.as_deref(), &Shell, session.progress())?;
        for warning in &site.warnings {
            session.progress().warn(warning);
        }
        let scenes = site.scenes();
        let server = Server::new(site, self.port)?;
        let url = server.url();
        session.result(&Document { url: url.clone(), scenes }, &url)?;
        terminal::say_when_stopped("stopping the server");
        session.say(&format!("{scenes} groups and subjects can be looked at; Ctrl-C ends it"));
        server.run(session.progress())?;
        session.say("stopped; nothing was written");
        Ok(Outcome::Done)
    }
}
