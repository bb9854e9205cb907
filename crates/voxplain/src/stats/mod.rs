//! Statistics over subjects: intervals, agreement of maps, group maps.

mod file;
mod interval;
mod number;

pub(crate) use file::write_whole;
pub use interval::{Interval, student_t};
pub use number::{cell, significant};
