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
//! | AUC of more classes, over pairs | Wilson's with the effective number by DeLong's components | the same, over groups |
//! | AUC of a class against the rest | as that of two classes | as that of two classes |
//! | macro AUC, the mean of these | their intervals put together with their correlations | the same, over groups |
//! | Brier score | Student's t | Student's t of the groups |
//! | difference of AUCs | both intervals put together with their correlation (Zou 2007; DeLong et al. 1988) | the same, over groups |
//! | difference of accuracies | Bonett and Price 2012 | not narrower than Student's t of the groups |
//!
//! Over groups quantiles are Student's with one degree of freedom less than there are groups, and fewer than
//! [`MIN_GROUPS`] groups give no interval at all. How often these intervals hold the true value was measured:
//! `cargo run --release -p voxplain-stats --example coverage`.

mod comparison;
pub(crate) mod influence;
pub(crate) mod interval;

pub use comparison::Comparison;
pub use interval::MIN_GROUPS;

use crate::roc::{area_under_curve, macro_area_under_curve};
use crate::{Estimate, FoldPrediction};
use influence::Influence;
use interval::Intervals;
use serde::{Deserialize, Serialize};

/// How one fold did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// The fold.
    pub fold: usize,
    /// Held-out subjects.
    pub subjects: usize,
    /// Share of them that were told right.
    pub accuracy: f64,
    /// Area under the curve, of more than two classes the mean over pairs of classes; absent where the fold lacks a class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auc: Option<f64>,
}

/// More than two classes, each against all others together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneVersusRest {
    /// Mean over the classes of the areas, each class weighing the same (scikit-learn's `ovr` with `macro`).
    pub macro_auc: Estimate,
    /// Area under the curve of the probability of each class, in the order of the classes; ties counted half.
    pub auc: Vec<Estimate>,
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
    /// Each class against the rest; more than two classes only. Absent where a class is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub one_versus_rest: Option<OneVersusRest>,
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
            one_versus_rest: (classes > 2).then(|| OneVersusRest::of(&intervals, predictions, classes)).flatten(),
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

impl Classification {
    /// The area that the result is told by: of two classes the AUC, of more the macro AUC (in files of older versions, which lack it,
    /// the mean over pairs).
    pub fn area(&self) -> Option<&Estimate> {
        self.one_versus_rest.as_ref().map(|rest| &rest.macro_auc).or(self.auc.as_ref())
    }

    /// What [`Classification::area`] is called.
    pub fn area_name(&self) -> &'static str {
        if self.one_versus_rest.is_some() { "macro AUC" } else { "AUC" }
    }
}

impl OneVersusRest {
    fn of(intervals: &Intervals<'_>, predictions: &[FoldPrediction], classes: usize) -> Option<Self> {
        let areas = Influence::versus_rest(predictions, classes)?;
        let mean = Influence::average(&areas)?;
        Some(Self {
            macro_auc: intervals.mean_area(&areas, &mean),
            auc: areas.iter().enumerate().map(|(class, area)| intervals.area(area, Some(class))).collect(),
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

#[cfg(test)]
mod tests;
