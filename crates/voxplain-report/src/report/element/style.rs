//! What the figures of a page have in common.

/// Percentile of |value| that ends the range of colours. Our choice: a few voxels then do not darken all others.
pub(in crate::report) const PERCENTILE: f64 = 99.5;
/// Width of figures across the page and in a column, mm.
pub(in crate::report) const PAGE: f64 = 180.0;
pub(in crate::report) const COLUMN: f64 = 86.0;
