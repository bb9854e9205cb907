//! What several tests use.

mod phantom;

pub(crate) use phantom::{decode, phantom};
