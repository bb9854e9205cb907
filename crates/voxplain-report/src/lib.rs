//! Figures of maps on brains ([`figure`]), and one page with everything that a run made ([`report`]).

pub mod figure;
pub mod report;
pub mod setting;

use voxplain_attribution as attribution;
#[cfg(test)]
use voxplain_core::Silent;
use voxplain_core::{Error, Progress, Result, Table, atomic_file};
use voxplain_stats as stats;
use voxplain_study::{atlas, cohort, evaluation, group, map, regions, run, train};
