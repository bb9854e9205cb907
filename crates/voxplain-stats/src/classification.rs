//! [`Classification`]: how well classes are told apart, over subjects, with intervals.
//!
//! Everything here takes one [`FoldPrediction`] per subject, made by a model that never saw the subject, pooled
//! over the folds. Intervals are over subjects, or over groups where subjects come in groups: the spread of a few
//! dependent folds says little (their training sets overlap), so fold values are listed but make no interval.
//!
//! | number | over subjects | over groups |
//! |---|---|---|
//! | accuracy, sensitivity, specificity, recalls | Wilson's score interval (Wilson 1927) | the same with the effective number of subjects |
//! | balanced accuracy | recalls' intervals put together (Zou and Donner 2008) | Wilson's with the effective number |
//! | AUC of two classes | Newcombe's method 5 (Newcombe 2006): stays open at 1 | the same with class sizes over the inflation of the variance (Obuchowski 1997) |
//! | AUC of more classes | Wilson's with the effective number by DeLong's components | the same, over groups |
//! | Brier score | Student's t | Student's t of the groups |
//! | difference of AUCs | both intervals put together with their correlation (Zou 2007; DeLong et al. 1988) | the same, over groups |
//! | difference of accuracies | Bonett and Price 2012 | not narrower than Student's t of the groups |
//!
//! Over groups quantiles are Student's with one degree of freedom less than there are groups, and fewer than
//! [`FEWEST_GROUPS`] groups give no interval at all. How often these intervals hold the true value was measured:
//! `cargo run --release -p voxplain-stats --example coverage`.

mod area;
mod influence;
mod interval;

pub use area::{area_under_curve, macro_area_under_curve};
pub use interval::FEWEST_GROUPS;

use crate::two_sided_p;
use influence::Influence;
use interval::Intervals;
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
    /// Lower end of the 95 % interval; absent where none can be given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub high: Option<f64>,
    /// How the interval was found (`wilson`, `newcombe`, `clustered-wilson`, ...), or why there is none (`none: ...`).
    pub interval: String,
}

impl Estimate {
    /// Both ends of the interval, where there is one.
    pub fn ends(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }

    /// A share among so many independent subjects, with Wilson's score interval.
    pub fn share(right: usize, of: usize) -> Self {
        let p = right as f64 / of as f64;
        let (low, high) = interval::wilson(p, of as f64, interval::Z);
        Self { value: p, low: Some(low), high: Some(high), interval: "wilson".into() }
    }
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
    /// AUC of the one minus that of the other, paired by subject.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc_difference: Option<Estimate>,
    /// Accuracy of the one minus that of the other.
    pub accuracy_difference: Estimate,
    /// Corrected resampled t of the folds' accuracies (Nadeau and Bengio 2003); absent for fewer than three folds
    /// or when the folds do not differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrected_t: Option<f64>,
    /// Its two-sided p, with one degree of freedom less than there are folds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrected_p: Option<f64>,
}

impl Classification {
    /// The numbers for `classes` classes, the `positive`th being the one to detect. `None` without any prediction.
    pub fn of(predictions: &[FoldPrediction], classes: usize, positive: usize) -> Option<Self> {
        if predictions.is_empty() {
            return None;
        }
        let intervals = Intervals::over(predictions);
        let mut confusion = vec![vec![0; classes]; classes];
        for p in predictions {
            confusion[p.truth][p.predicted] += 1;
        }
        let recalls: Vec<_> = (0..classes).map(|c| Influence::recall(predictions, c)).collect();
        let recall: Vec<_> =
            recalls.iter().enumerate().map(|(c, r)| r.as_ref().map(|r| intervals.share(r, |p| p.truth == c))).collect();
        let (sensitivity, specificity) = match classes {
            2 => (recall[positive].clone(), recall[1 - positive].clone()),
            _ => (None, None),
        };
        let two = (classes == 2).then_some(positive);
        Some(Self {
            subjects: predictions.len(),
            accuracy: intervals.share(&Influence::accuracy(predictions)?, |_| true),
            balanced_accuracy: intervals
                .balanced_accuracy(&Influence::balanced_accuracy(predictions, classes)?, &recalls),
            auc: Influence::auc(predictions, classes, positive).map(|area| intervals.area(&area, two)),
            sensitivity,
            specificity,
            brier: intervals
                .mean(&Influence::brier(predictions, positive)?, (0.0, if classes == 2 { 1.0 } else { 2.0 })),
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
    ) -> Option<Self> {
        let same =
            |(a, b): (&FoldPrediction, &FoldPrediction)| a.truth == b.truth && a.fold == b.fold && a.group == b.group;
        if predictions.len() != others.len() || !predictions.iter().zip(others).all(same) {
            return None;
        }
        let intervals = Intervals::over(predictions);
        let areas = (Influence::auc(predictions, classes, positive), Influence::auc(others, classes, positive));
        let two = (classes == 2).then_some(positive);
        let t = corrected_t(predictions, others, classes, positive);
        Some(Self {
            of: name.into(),
            with: other_name.into(),
            auc_difference: areas.0.zip(areas.1).map(|(one, other)| intervals.area_difference(&one, &other, two)),
            accuracy_difference: intervals.accuracy_difference(
                &Influence::accuracy(predictions)?,
                others,
                &Influence::accuracy(others)?,
            ),
            corrected_t: t.map(|(t, _)| t),
            corrected_p: t.map(|(t, freedom)| two_sided_p(t, freedom)),
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
/// accuracy, test and train sizes being those of an average fold; with its degrees of freedom.
fn corrected_t(
    predictions: &[FoldPrediction],
    others: &[FoldPrediction],
    classes: usize,
    positive: usize,
) -> Option<(f64, f64)> {
    let (a, b) = (fold_scores(predictions, classes, positive), fold_scores(others, classes, positive));
    let k = a.len() as f64;
    if a.len() < 3 || a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.accuracy - b.accuracy).collect();
    let mean = differences.iter().sum::<f64>() / k;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (k - 1.0);
    let t = mean / ((1.0 / k + 1.0 / (k - 1.0)) * variance).sqrt();
    t.is_finite().then_some((t, k - 1.0))
}

#[cfg(test)]
mod tests;
