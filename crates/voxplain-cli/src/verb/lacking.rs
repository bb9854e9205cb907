//! [`Lacking`]: a verb that this build leaves out, for want of a feature.

use clap::Args;

/// What is lacking without the feature `report`, and what to do.
#[cfg(not(feature = "report"))]
pub(crate) const REPORT: &str = "figures and reports (report, plot, serve)
hint: build it with the feature: cargo install --path crates/voxplain-cli --features report";

/// What is lacking without the feature `serve`, and what to do.
#[cfg(all(feature = "report", not(feature = "serve")))]
pub(crate) const SERVE: &str = "its server
hint: build it with the feature: cargo install --path crates/voxplain-cli --features serve; voxplain report RUN writes \
     the same page as a file";
#[cfg(not(feature = "report"))]
pub(crate) const SERVE: &str = "its server
hint: build it with the feature: cargo install --path crates/voxplain-cli --features serve";

/// Takes what the verb would take.
#[derive(Debug, Args)]
pub(crate) struct Lacking {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Lacking {
    /// That it is lacking.
    pub(crate) fn error(what: &str) -> anyhow::Error {
        anyhow::anyhow!("this voxplain was built without {what}")
    }
}
