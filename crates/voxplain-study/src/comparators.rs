//! Simple classifiers that the network is compared with, on the same folds. A network that does no better than these has
//! learnt nothing that its maps could show.
//!
//! * [`majority_class`]: whatever the image, the class that most training subjects have. What guessing comes to.
//! * [`mask_volume`]: logistic regression on the logarithm of the volume of the mask. For sex, brain size alone classifies
//!   more than three subjects in four correctly.
//! * [`volume_rank`]: the volume of the mask as it is, with nothing fitted but on which side each of two classes is. Folds then
//!   cost it nothing, as they cost a fit whose predictions are pooled over folds.
//! * [`linear_voxels`]: the first 40 principal components of the prepared volumes, standardised, and logistic
//!   regression on them.
//!
//! * [`logistic_voxels`] and [`svm_voxels`]: logistic regression and a support vector machine on the prepared volumes, whose penalty is
//!   chosen inside the training part.
//! * [`covariates`]: logistic regression on columns of the table of people, without an image.
//! * [`logistic_features`]: logistic regression on the columns of another table, such as volumes of regions; [`svm_features`] and
//!   [`boosting_features`] on the same.
//!
//! Of a value: [`training_mean`], [`mask_volume_line`] and [`ridge_voxels`], and [`ridge_features`] on columns of a table, whose
//! penalty is chosen inside the training part, and [`boosting_values`].
//!
//! Everything is fitted on the training subjects of each fold. Where no penalty is chosen it is 1 (scikit-learn's default), and the number
//! of components is fixed.

mod boosting;
mod chosen;
mod features;
mod gram;
mod logistic;
mod penalised;
mod span;
mod svm;
mod tree;
mod tuned;
mod value;

pub(crate) use boosting::MOST_STAGES;
pub use boosting::{boosting_features, boosting_values};
pub use chosen::{Choice, Chosen};
pub use features::Features;
pub(crate) use features::{Cells, named};
pub use gram::{EXACT, Gram, LANDMARKS, inner_products};
pub use logistic::Logistic;
pub use tuned::{LinearFold, Tuned, logistic_features, logistic_of_gram, logistic_voxels, svm_features, svm_voxels};
pub use value::{
    RIDGE_VOXELS, TRAINING_MEAN, TRAINING_MEDIAN, TunedValues, ValueTask, mask_volume_line, ridge_features,
    ridge_voxels, training_mean, training_median,
};

use crate::folds::Split;
use nalgebra::DMatrix;
use voxplain_core::{Error, Progress, Result};
use voxplain_nn::{Engine, loss::class_weights};
use voxplain_stats::FoldPrediction;

/// Name of the classifier that guesses.
pub const MAJORITY_CLASS: &str = "majority-class";

/// Name of the classifier by the volume of the mask without a fit.
pub const VOLUME_RANK: &str = "mask-volume-rank";

/// Name of the classifier by the volume of the mask.
pub const MASK_VOLUME: &str = "mask-volume";

/// Name of the linear classifier.
pub const LINEAR_VOXELS: &str = "linear-voxels";

/// Name of logistic regression on the volumes with a chosen penalty.
pub const LOGISTIC_VOXELS: &str = "logistic-voxels";

/// Name of the support vector machine on the volumes.
pub const SVM_VOXELS: &str = "svm-voxels";

/// Name of the model on columns of the table of people.
pub const COVARIATES: &str = "covariates";

/// Name of the model on volumes of regions.
pub const REGION_VOLUMES: &str = "region-volumes";

/// Number of principal components of [`linear_voxels`], where there are as many subjects. Our choice, after the
/// published linear results on such volumes.
pub const COMPONENTS: usize = 40;

/// A classification task: the classes of the subjects and the folds, the same for every classifier.
#[derive(Clone, Copy, Debug)]
pub struct ClassificationTask<'a> {
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

impl ClassificationTask<'_> {
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

/// The inner products of so many volumes, on the engine's threads; shown as a step, which can be interrupted.
pub(crate) fn gram(
    count: usize,
    engine: &Engine,
    progress: &dyn Progress,
    read: impl Fn(usize) -> Result<Vec<f32>> + Send + Sync,
) -> Result<Gram> {
    progress.begin("linear baseline", gram::reads(count));
    let gram = engine.thread_pool().install(|| {
        inner_products(count, |n| {
            progress.go_on()?;
            progress.advance(1, "");
            read(n)
        })
    });
    progress.end();
    gram
}

/// Rows less the mean of the training part.
fn centred(train: &DMatrix<f64>, test: &DMatrix<f64>) -> [DMatrix<f64>; 2] {
    let mean = train.row_mean();
    [train, test].map(|rows| {
        let mut rows = rows.clone();
        rows.row_iter_mut().for_each(|mut row| row -= &mean);
        rows
    })
}

/// The share of each class among the training subjects as its probability, for every held-out subject.
pub fn majority_class(task: &ClassificationTask<'_>) -> Vec<FoldPrediction> {
    let mut all = Vec::new();
    for (fold, split) in task.splits.iter().enumerate() {
        let share = |class: usize| {
            let of_class = split.train.iter().filter(|&&n| task.labels[n] == class).count();
            of_class as f64 / split.train.len() as f64
        };
        let shares: Vec<f64> = (0..task.classes).map(share).collect();
        all.extend(split.test.iter().map(|&subject| task.prediction(subject, fold, shares.clone())));
    }
    all
}

/// The rank of each subject's mask volume among all subjects of the task (0 to 1, ties in the middle) as the probability of
/// the class that has the larger masks on average among the training subjects. The logarithm has the same ranks.
/// `None` for more than two classes.
///
/// # Errors
/// A volume is not positive.
pub fn volume_rank(volumes: &[f64], task: &ClassificationTask<'_>) -> Result<Option<Vec<FoldPrediction>>> {
    check(volumes)?;
    if task.classes != 2 {
        return Ok(None);
    }
    let mut sorted = volumes.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |&v: &f64| {
        let (less, not_more) = (sorted.partition_point(|&w| w < v), sorted.partition_point(|&w| w <= v));
        (less + not_more) as f64 / (2.0 * volumes.len() as f64)
    };
    let ranks: Vec<f64> = volumes.iter().map(rank).collect();
    let mut all = Vec::new();
    for (fold, split) in task.splits.iter().enumerate() {
        let mean = |class: usize| {
            let of: Vec<f64> = split.train.iter().filter(|&&n| task.labels[n] == class).map(|&n| ranks[n]).collect();
            of.iter().sum::<f64>() / of.len().max(1) as f64
        };
        let larger = usize::from(mean(1) >= mean(0));
        all.extend(split.test.iter().map(|&subject| {
            let p = ranks[subject];
            let probabilities = if larger == 1 { vec![1.0 - p, p] } else { vec![p, 1.0 - p] };
            task.prediction(subject, fold, probabilities)
        }));
    }
    Ok(Some(all))
}

/// Logistic regression on the logarithm of the volume of the mask, standardised. `volumes` is the volume of the mask (mm³) of each
/// subject of the task.
///
/// # Errors
/// A volume is not positive.
pub fn mask_volume(volumes: &[f64], task: &ClassificationTask<'_>) -> Result<Vec<FoldPrediction>> {
    check(volumes)?;
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

/// Refuses volumes that are none.
fn check(volumes: &[f64]) -> Result<()> {
    match volumes.iter().position(|v| !v.is_finite() || *v <= 0.0) {
        Some(n) => Err(Error::request(
            format!("subject number {} has a mask volume of {} mm³", n + 1, volumes[n]),
            "check the brain masks of the cohort",
        )),
        None => Ok(()),
    }
}

/// Logistic regression on columns of the table of people, without an image.
pub fn covariates(features: &Features, task: &ClassificationTask<'_>) -> Vec<FoldPrediction> {
    task.cross_predict(|split| features.rows(&split.train, &split.test))
}

/// Logistic regression on standardised principal components, from the inner products of all volumes of the task.
pub fn linear_voxels(gram: &Gram, task: &ClassificationTask<'_>) -> Vec<FoldPrediction> {
    task.cross_predict(|split| gram.principal_components(split, COMPONENTS))
}

#[cfg(test)]
mod tests;
