//! Training on a cohort, fold by fold.

pub mod folds;

pub use folds::{Holding, Split};
