//! How good a classifier is, and how far a map can be trusted.

pub mod localisation;

pub use localisation::{Localisation, Relevance};
