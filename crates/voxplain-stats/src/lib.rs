//! Statistics over subjects and maps: how well classes are told apart ([`Classification`], [`Calibration`]) with
//! intervals, similarity of maps, and statistics voxel by voxel. Needs no network.

pub mod calibration;
pub mod classification;
mod interval;
mod number;
pub mod roc;
mod similarity;
mod voxelwise;

pub use calibration::{Bin, Calibration};
pub use classification::{Classification, Comparison, Estimate, FEWEST_GROUPS, FoldPrediction};
pub use interval::{Interval, student_t, two_sided_p};
pub use number::{cell, significant};
pub use similarity::{Overlap, PERCENTS, Top, overlap, pearson, ranks, spearman};
pub use voxelwise::Statistic;

use voxplain_core::{Error, Result};
