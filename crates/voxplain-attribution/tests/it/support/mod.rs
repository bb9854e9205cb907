//! What several tests use.

mod mrinet;
mod networks;
mod witness;

pub(crate) use mrinet::mrinet;
pub(crate) use networks::*;
pub(crate) use witness::witness;
