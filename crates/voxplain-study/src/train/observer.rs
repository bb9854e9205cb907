//! [`TrainingObserver`]: receives the results of training as they come.

use crate::run::Epoch;
use voxplain_core::Silent;
use voxplain_stats::{FoldError, FoldScore};

/// Receives learning curves and scores while networks are trained. How far the work is, is told to a
/// [`Progress`](voxplain_core::Progress) instead.
///
/// Each method does nothing by default. [`Silent`] is an observer that ignores everything.
pub trait TrainingObserver: Send + Sync {
    /// An epoch of a fold has ended: another point of its learning curve.
    fn epoch(&self, _fold: usize, _epoch: &Epoch) {}
    /// The network of a fold is trained: its score on the subjects held out.
    fn fold(&self, _score: &FoldScore) {}
    /// The same of a network that predicts a value: its error on the subjects held out.
    fn fold_of_values(&self, _error: &FoldError) {}
}

impl TrainingObserver for Silent {}
