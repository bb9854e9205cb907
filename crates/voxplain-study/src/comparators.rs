//! Simple classifiers that the network is compared with, on the same folds. A network that does no better than these has
//! learnt nothing that its maps could show.
//!
//! * [`brain_volume`]: logistic regression on the logarithm of the brain volume. For sex, brain size alone classifies
//!   more than three subjects in four correctly.
//! * [`linear_voxels`]: the first 40 principal components of the prepared volumes, standardised, and logistic
//!   regression on them.
//!
//! Everything is fitted on the training subjects of each fold. No hyperparameter is tuned: the penalty of both
//! regressions is 1 (scikit-learn's default), the number of components is fixed.

mod gram;
mod logistic;

pub(crate) use gram::reads;
pub use gram::{Gram, inner_products};
pub use logistic::Logistic;

use crate::folds::Split;
use nalgebra::DMatrix;
use voxplain_core::{Error, Result};
use voxplain_nn::loss::class_weights;
use voxplain_stats::FoldPrediction;

/// Name of the classifier by brain volume.
pub const BRAIN_VOLUME: &str = "brain-volume";

/// Name of the linear classifier.
pub const LINEAR_VOXELS: &str = "linear-voxels";

/// Number of principal components of [`linear_voxels`], where there are as many subjects. Our choice, after the
/// published linear results on such volumes.
pub const COMPONENTS: usize = 40;

/// A classification task: the classes of the subjects and the folds, the same for every classifier.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The class of each subject.
    pub labels: &'a [usize],
    /// The group of each subject, where there are groups.
    pub groups: Option<&'a [usize]>,
    /// Number of classes.
    pub classes: usize,
    /// The folds.
    pub splits: &'a [Split],
    /// Whether every class has the same weight in the loss, whatever its size.
    pub balanced: bool,
}

impl Task<'_> {
    /// The prediction for a held-out subject.
    pub(crate) fn prediction(&self, subject: usize, fold: usize, probabilities: Vec<f64>) -> FoldPrediction {
        let group = self.groups.map(|groups| groups[subject]);
        FoldPrediction::new(subject, fold, self.labels[subject], group, probabilities)
    }

    /// Weight of each training subject in the loss, given their classes.
    fn sample_weights(&self, labels: &[usize]) -> Vec<f64> {
        if !self.balanced {
            return vec![1.0; labels.len()];
        }
        let of_class = class_weights(labels, self.classes);
        labels.iter().map(|&label| of_class[label]).collect()
    }

    /// Fits logistic regression on the training subjects of each fold and predicts the held-out ones. `features` gives
    /// the features of the training and of the held-out subjects of a split: a row for each subject.
    fn cross_predict(&self, features: impl Fn(&Split) -> (DMatrix<f64>, DMatrix<f64>)) -> Vec<FoldPrediction> {
        let mut all = Vec::new();
        for (fold, split) in self.splits.iter().enumerate() {
            let (train, test) = features(split);
            let labels: Vec<_> = split.train.iter().map(|&n| self.labels[n]).collect();
            let fit = Logistic::fit(&train, &labels, &self.sample_weights(&labels), self.classes, 1.0);
            all.extend(split.test.iter().zip(test.row_iter()).map(|(&subject, row)| {
                let row: Vec<f64> = row.iter().copied().collect();
                self.prediction(subject, fold, fit.probabilities(&row))
            }));
        }
        all
    }
}

/// Logistic regression on the logarithm of the brain volume, standardised. `volumes` is the brain volume (mm³) of each
/// subject of the task.
///
/// # Errors
/// A brain volume is not positive.
pub fn brain_volume(volumes: &[f64], task: &Task<'_>) -> Result<Vec<FoldPrediction>> {
    if let Some(n) = volumes.iter().position(|v| !v.is_finite() || *v <= 0.0) {
        return Err(Error::request(
            format!("subject number {} has a brain volume of {} mm³", n + 1, volumes[n]),
            "check the brain masks of the cohort",
        ));
    }
    let logs: Vec<f64> = volumes.iter().map(|v| v.ln()).collect();
    Ok(task.cross_predict(|split| {
        let n = split.train.len() as f64;
        let mean = split.train.iter().map(|&s| logs[s]).sum::<f64>() / n;
        let deviation = (split.train.iter().map(|&s| (logs[s] - mean).powi(2)).sum::<f64>() / n).sqrt();
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        let column = |of: &[usize]| DMatrix::from_iterator(of.len(), 1, of.iter().map(|&s| (logs[s] - mean) / scale));
        (column(&split.train), column(&split.test))
    }))
}

/// Logistic regression on standardised principal components, from the inner products of all volumes of the task.
pub fn linear_voxels(gram: &Gram, task: &Task<'_>) -> Vec<FoldPrediction> {
    task.cross_predict(|split| gram.principal_components(&split.train, &split.test, COMPONENTS))
}

#[cfg(test)]
mod tests;
