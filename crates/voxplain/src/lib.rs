//! What did the 3D network see in the brain?
//!
//! voxplain trains 3D convolutional classifiers on T1-weighted volumes and shows, voxel by voxel and in
//! the subject's own space, what they used, with evidence of how far each map can be trusted.
//!
//! The parts, in the order data flows: [`cohort`] (people and their prepared volumes), [`prepare`] and
//! [`simulate`] (which make cohorts), [`model`], [`train`], [`baseline`], [`attribution`], [`evaluation`],
//! [`atlas`] and [`stats`], [`report`]; [`doctor`] looks whether all works on a machine; [`run`] is the directory that holds what they make.

pub mod atlas;
pub mod attribution;
pub mod baseline;
pub mod cohort;
pub mod doctor;
pub mod error;
pub mod evaluation;
pub mod explain;
pub mod figure;
pub mod group;
pub mod memory;
pub mod model;
pub mod prepare;
pub mod progress;
pub mod report;
pub mod run;
pub mod simulate;
pub mod stats;
pub mod table;
pub mod train;
mod whole;

pub use error::{Error, Result};
pub use progress::{Progress, Silent};
pub use {voxplain_nn as nn, voxplain_volume as volume};
