//! Statistics over subjects: intervals, agreement of maps, group maps.

mod interval;
mod number;

pub use interval::{Interval, student_t};
pub use number::{cell, significant};
