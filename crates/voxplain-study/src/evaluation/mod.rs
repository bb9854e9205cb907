//! How far maps can be trusted: [`truth`] compares them with a change that a simulation made ([`localisation`] has the measures),
//! [`faithfulness`] with what the network does when voxels are replaced.

pub mod faithfulness;
pub mod localisation;
pub mod truth;

pub use localisation::{Localisation, Relevance};
