//! Statistics over subjects: intervals, agreement of maps, group maps.

mod interval;
mod number;
mod similarity;
mod voxelwise;

pub use interval::{Interval, student_t};
pub use number::{cell, significant};
pub use similarity::{Overlap, PERCENTS, Top, overlap, pearson, ranks, spearman};
pub use voxelwise::Statistic;
