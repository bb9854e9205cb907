//! How good a classifier is, and how far a map can be trusted.

pub mod faithfulness;
pub mod localisation;
pub mod truth;

pub use localisation::{Localisation, Relevance};
