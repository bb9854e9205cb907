//! [`Classification`]: how well classes are told apart, over subjects, with intervals.
//!
//! Everything here takes one [`FoldPrediction`] per subject, pooled over the folds. Intervals are over subjects: the
//! spread of a few dependent folds says little (their training sets overlap), so fold values are listed but make no
//! interval.
//!
//! | number | interval |
//! |---|---|
//! | accuracy, sensitivity, specificity, recalls | Wilson's score interval (Wilson 1927) |
//! | AUC of two classes | Newcombe's method 5 for the Mann-Whitney statistic (Newcombe 2006, Stat Med 25:559): stays open at 1 |
//! | balanced accuracy, Brier score, AUC of more classes, all differences | percentiles of a bootstrap over subjects, within classes |
//! | everything, where subjects come in groups | percentiles of a bootstrap over groups |

mod area;
mod interval;

pub use area::{area_under_curve, macro_area_under_curve};
pub(super) use interval::wilson;
pub use interval::{Resamples, Resampling};

use serde::{Deserialize, Serialize};
use voxplain_core::argmax;

/// The prediction for one held-out subject, by the model of a fold that was not trained on this subject
/// (an out-of-fold prediction).
#[derive(Clone, Debug, PartialEq)]
pub struct FoldPrediction {
    /// Position of the subject, the same for every classifier that is compared.
    pub subject: usize,
    /// The fold whose model predicted.
    pub fold: usize,
    /// The true class.
    pub truth: usize,
    /// The predicted class: the one of the largest probability, the first of equal ones.
    pub predicted: usize,
    /// Probability of each class, in the order of the classes; they sum to 1.
    pub probabilities: Vec<f64>,
    /// The group that the subject belongs to (a family); `None` for all subjects where there are no groups.
    pub group: Option<usize>,
}

impl FoldPrediction {
    /// The prediction of these probabilities. `subject` is its position, `fold` the fold that holds it out, `truth`
    /// its class.
    pub fn new(subject: usize, fold: usize, truth: usize, group: Option<usize>, probabilities: Vec<f64>) -> Self {
        Self { subject, fold, truth, predicted: argmax(&probabilities), probabilities, group }
    }
}

/// A number with its interval over subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How the interval was found: `wilson`, `newcombe`, `bootstrap`, `group-bootstrap`.
    pub interval: String,
}

/// How one fold did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// The fold.
    pub fold: usize,
    /// Held-out subjects.
    pub subjects: usize,
    /// Share of them that were told right.
    pub accuracy: f64,
    /// Area under the curve; absent where the fold lacks a class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc: Option<f64>,
}

/// How well classes are told apart. Every number is finite; what cannot be had is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Held-out subjects.
    pub subjects: usize,
    /// Rows: true class, columns: predicted class, both in the order of the classes.
    pub confusion: Vec<Vec<usize>>,
    /// Share told right.
    pub accuracy: Estimate,
    /// Mean over the classes of the share told right.
    pub balanced_accuracy: Estimate,
    /// Area under the receiver operating characteristic of the positive class's probability, ties counted half;
    /// for more than two classes the mean over pairs of classes (Hand and Till 2001). Absent where a class is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc: Option<Estimate>,
    /// Share of the positive class told right; two classes only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sensitivity: Option<Estimate>,
    /// Share of the other class told right; two classes only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub specificity: Option<Estimate>,
    /// Mean squared error of the probabilities: of the positive class for two classes, summed over the classes
    /// for more (Brier 1950).
    pub brier: Estimate,
    /// Share of each class told right, in the order of the classes; absent for a class without subjects.
    pub recall: Vec<Option<Estimate>>,
    /// Fold by fold.
    pub folds: Vec<FoldScore>,
}

/// How one classifier does against another on the same subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The one.
    pub of: String,
    /// The other.
    pub with: String,
    /// AUC of the one minus that of the other, with a paired bootstrap over subjects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc_difference: Option<Estimate>,
    /// Accuracy of the one minus that of the other.
    pub accuracy_difference: Estimate,
    /// Corrected resampled t of the folds' accuracies (Nadeau and Bengio 2003); absent for fewer than three folds
    /// or when the folds do not differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrected_t: Option<f64>,
}

impl Classification {
    /// The numbers for `classes` classes, the `positive`th being the one to detect. `None` without any prediction.
    pub fn of(
        predictions: &[FoldPrediction],
        classes: usize,
        positive: usize,
        resampling: &Resampling,
    ) -> Option<Self> {
        if predictions.is_empty() {
            return None;
        }
        let resamples = Resamples::draw(predictions, classes, resampling);
        let mut confusion = vec![vec![0; classes]; classes];
        for v in predictions {
            confusion[v.truth][v.predicted] += 1;
        }
        let row = |c: usize| confusion[c].iter().sum::<usize>();
        let right: usize = (0..classes).map(|c| confusion[c][c]).sum();
        let share = |right: usize, of: usize, statistic: &(dyn Fn(&[&FoldPrediction]) -> Option<f64> + Sync)| {
            if of == 0 {
                None
            } else if resamples.grouped() {
                resamples.estimate(statistic)
            } else {
                Some(wilson(right, of))
            }
        };
        let recall: Vec<_> =
            (0..classes).map(|c| share(confusion[c][c], row(c), &move |v: &[&FoldPrediction]| recall(v, c))).collect();
        let auc_of = move |v: &[&FoldPrediction]| auc(v, classes, positive);
        let auc = if classes == 2 && !resamples.grouped() {
            let (m, n) = (row(positive), row(1 - positive));
            auc_of(&predictions.iter().collect::<Vec<_>>()).map(|value| interval::newcombe(value, m, n))
        } else {
            resamples.estimate(&auc_of)
        };
        let (sensitivity, specificity) = match classes {
            2 => (recall[positive].clone(), recall[1 - positive].clone()),
            _ => (None, None),
        };
        Some(Self {
            subjects: predictions.len(),
            accuracy: share(right, predictions.len(), &accuracy)?,
            balanced_accuracy: resamples.estimate(&move |v: &[&FoldPrediction]| balanced_accuracy(v, classes))?,
            auc,
            sensitivity,
            specificity,
            brier: resamples.estimate(&move |v: &[&FoldPrediction]| brier(v, positive))?,
            recall,
            confusion,
            folds: fold_scores(predictions, classes, positive),
        })
    }
}

impl Comparison {
    /// Compares two classifiers subject by subject; `None` when the predictions are not of the same subjects and folds.
    pub fn of(
        (name, predictions): (&str, &[FoldPrediction]),
        (other_name, others): (&str, &[FoldPrediction]),
        (classes, positive): (usize, usize),
        resampling: &Resampling,
    ) -> Option<Self> {
        let same = |(a, b): (&FoldPrediction, &FoldPrediction)| {
            (a.subject, a.fold, a.truth, a.group) == (b.subject, b.fold, b.truth, b.group)
        };
        if predictions.len() != others.len() || !predictions.iter().zip(others).all(same) {
            return None;
        }
        let resamples = Resamples::draw(predictions, classes, resampling);
        let auc_of = move |v: &[&FoldPrediction]| auc(v, classes, positive);
        Some(Self {
            of: name.into(),
            with: other_name.into(),
            auc_difference: resamples.difference(others, &auc_of),
            accuracy_difference: resamples.difference(others, &accuracy)?,
            corrected_t: corrected_t(predictions, others, classes, positive),
        })
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}

fn accuracy(predictions: &[&FoldPrediction]) -> Option<f64> {
    mean(predictions.iter().map(|v| f64::from(u8::from(v.predicted == v.truth))))
}

fn recall(predictions: &[&FoldPrediction], class: usize) -> Option<f64> {
    let of: Vec<_> = predictions.iter().copied().filter(|v| v.truth == class).collect();
    accuracy(&of)
}

/// The mean over the classes that occur.
fn balanced_accuracy(predictions: &[&FoldPrediction], classes: usize) -> Option<f64> {
    let recalls: Vec<f64> = (0..classes).filter_map(|c| recall(predictions, c)).collect();
    mean(recalls.into_iter())
}

fn brier(predictions: &[&FoldPrediction], positive: usize) -> Option<f64> {
    mean(predictions.iter().map(|v| {
        let error = |(c, p): (usize, &f64)| (p - f64::from(u8::from(c == v.truth))).powi(2);
        match v.probabilities.len() {
            2 => error((positive, &v.probabilities[positive])),
            _ => v.probabilities.iter().enumerate().map(error).sum(),
        }
    }))
}

fn auc(predictions: &[&FoldPrediction], classes: usize, positive: usize) -> Option<f64> {
    if classes == 2 {
        let of = |is: bool| {
            predictions
                .iter()
                .filter(|v| (v.truth == positive) == is)
                .map(|v| v.probabilities[positive])
                .collect::<Vec<_>>()
        };
        area_under_curve(&of(true), &of(false))
    } else {
        macro_area_under_curve(predictions, classes)
    }
}

/// The same measures fold by fold: accuracy and, for two classes, AUC of those that each fold held out.
pub fn fold_scores(predictions: &[FoldPrediction], classes: usize, positive: usize) -> Vec<FoldScore> {
    let last = predictions.iter().map(|v| v.fold).max().unwrap_or(0);
    (0..=last)
        .filter_map(|fold| {
            let of: Vec<_> = predictions.iter().filter(|v| v.fold == fold).collect();
            let accuracy = accuracy(&of)?;
            Some(FoldScore { fold, subjects: of.len(), accuracy, auc: auc(&of, classes, positive) })
        })
        .collect()
}

/// Nadeau and Bengio 2003, equation 9: `mean / sqrt((1 / k + test / train) * variance)` of the fold differences in
/// accuracy, test and train sizes being those of an average fold.
fn corrected_t(
    predictions: &[FoldPrediction],
    others: &[FoldPrediction],
    classes: usize,
    positive: usize,
) -> Option<f64> {
    let (a, b) = (fold_scores(predictions, classes, positive), fold_scores(others, classes, positive));
    let k = a.len() as f64;
    if a.len() < 3 || a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.accuracy - b.accuracy).collect();
    let mean = differences.iter().sum::<f64>() / k;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (k - 1.0);
    let t = mean / ((1.0 / k + 1.0 / (k - 1.0)) * variance).sqrt();
    t.is_finite().then_some(t)
}

#[cfg(test)]
mod tests;
