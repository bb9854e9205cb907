//! What simple classifiers reach on the same folds: a network is worth its maps only where it beats them.
//!
//! * [`brain_volume`]: logistic regression on the logarithm of the brain's volume. For sex, size alone tells more
//!   than three in four apart; a network that does no better may have learnt nothing else.
//! * [`linear_voxels`]: the first 40 principal components of the prepared volumes, standardised, and logistic
//!   regression on them.
//!
//! Everything is fitted inside the training part of each fold. Nothing is tuned: both penalties are 1 (the default
//! of most software), the number of components is fixed.

mod gram;
mod logistic;

pub(crate) use gram::reads;
pub use gram::{Gram, inner_products};
pub use logistic::Logistic;

use crate::{Error, Result, train::Split};
use nalgebra::DMatrix;
use voxplain_nn::loss::class_weights;

/// Name of the classifier by brain volume.
pub const BRAIN_VOLUME: &str = "brain-volume";

/// Name of the linear classifier.
pub const LINEAR_VOXELS: &str = "linear-voxels";

/// Principal components that [`linear_voxels`] keeps, where there are as many subjects. Our choice, after the
/// published linear results on such volumes.
pub const COMPONENTS: usize = 40;

/// The true classes, who is held out when, and what an error costs: the same for every classifier.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The class of each subject.
    pub labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
    /// The folds.
    pub splits: &'a [Split],
    /// Whether each class weighs as much as any other.
    pub balanced: bool,
}

/// What a classifier said of one held-out subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The subject's position in the task.
    pub subject: usize,
    /// The fold.
    pub fold: usize,
    /// Probability of each class.
    pub probabilities: Vec<f64>,
}

impl Task<'_> {
    /// Weight of each training subject in the loss, given their classes.
    fn sample_weights(&self, labels: &[usize]) -> Vec<f64> {
        if !self.balanced {
            return vec![1.0; labels.len()];
        }
        let of_class = class_weights(labels, self.classes);
        labels.iter().map(|&label| of_class[label]).collect()
    }

    /// Fits on the features of the training part and judges the held-out, fold by fold. `features` gives the rows of
    /// both parts of a split, one column per feature.
    fn judge(&self, features: impl Fn(&Split) -> (DMatrix<f64>, DMatrix<f64>)) -> Vec<Said> {
        let mut all = Vec::new();
        for (fold, split) in self.splits.iter().enumerate() {
            let (train, test) = features(split);
            let labels: Vec<_> = split.train.iter().map(|&n| self.labels[n]).collect();
            let fit = Logistic::fit(&train, &labels, &self.sample_weights(&labels), self.classes, 1.0);
            all.extend(split.test.iter().zip(test.row_iter()).map(|(&subject, row)| {
                let row: Vec<f64> = row.iter().copied().collect();
                Said { subject, fold, probabilities: fit.probabilities(&row) }
            }));
        }
        all
    }
}

/// Logistic regression on the logarithm of the brain's volume (mm³, one per subject of the task), standardised.
pub fn brain_volume(volumes: &[f64], task: &Task<'_>) -> Result<Vec<Said>> {
    if let Some(n) = volumes.iter().position(|v| !v.is_finite() || *v <= 0.0) {
        return Err(Error::request(
            format!("subject number {} has a brain volume of {} mm³", n + 1, volumes[n]),
            "check the brain masks of the cohort",
        ));
    }
    let logs: Vec<f64> = volumes.iter().map(|v| v.ln()).collect();
    Ok(task.judge(|split| {
        let n = split.train.len() as f64;
        let mean = split.train.iter().map(|&s| logs[s]).sum::<f64>() / n;
        let deviation = (split.train.iter().map(|&s| (logs[s] - mean).powi(2)).sum::<f64>() / n).sqrt();
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        let column = |of: &[usize]| DMatrix::from_iterator(of.len(), 1, of.iter().map(|&s| (logs[s] - mean) / scale));
        (column(&split.train), column(&split.test))
    }))
}

/// Logistic regression on standardised principal components, from the inner products between all volumes.
pub fn linear_voxels(gram: &Gram, task: &Task<'_>) -> Vec<Said> {
    task.judge(|split| gram.principal_components(&split.train, &split.test, COMPONENTS))
}

#[cfg(test)]
mod tests;
