//! What several tests use.

mod heard;
mod networks;
mod runs;
mod witness;

pub(crate) use heard::Heard;
pub(crate) use networks::{SHAPE, engine, explainer_of, grid, linear, volume};
pub(crate) use runs::{brain, cohort, explain_run, long_ago, small_run, write_model};
pub(crate) use witness::witness;
