//! What several tests use.

mod networks;
mod witness;

pub(crate) use networks::{SHAPE, engine, explainer_of, grid, linear, volume};
pub(crate) use witness::witness;
