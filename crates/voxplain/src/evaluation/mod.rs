//! How good a classifier is, and how far a map can be trusted.

pub mod calibration;
pub mod classification;
pub mod faithfulness;
pub mod localisation;
pub mod truth;

pub use calibration::{Bin, Calibration};
pub use classification::{Classification, Comparison, Estimate, Resampling, Verdict};
pub use localisation::{Localisation, Relevance};
