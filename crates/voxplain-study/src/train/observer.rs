//! [`TrainingObserver`]: what training finds out, beside how far it is.

use crate::run::Epoch;
use voxplain_core::Silent;
use voxplain_stats::classification::FoldScore;

/// Hears the learning curves and the scores of folds while a network is trained.
pub trait TrainingObserver: Send + Sync {
    /// The learning curve of a fold has another point.
    fn epoch(&self, _fold: usize, _epoch: &Epoch) {}
    /// A fold is trained: how it did on those it never saw.
    fn fold(&self, _score: &FoldScore) {}
}

impl TrainingObserver for Silent {}
