//! [`Comparison`]: one classifier against another, on the same subjects.

use super::fold_scores;
use super::influence::Influence;
use super::interval::Intervals;
use crate::{Estimate, FoldPrediction, two_sided_p};
use serde::{Deserialize, Serialize};

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
    /// The same of the mean over the classes of the area of each against the rest; more than two classes only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub macro_auc_difference: Option<Estimate>,
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

impl Comparison {
    /// The difference of the areas that the results are told by ([`Classification::area`](crate::Classification::area)).
    pub fn area_difference(&self) -> Option<&Estimate> {
        self.macro_auc_difference.as_ref().or(self.auc_difference.as_ref())
    }

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
        let rest = |of: &[FoldPrediction]| {
            let areas = Influence::versus_rest(of, classes).filter(|areas| areas.len() > 2)?;
            let mean = Influence::average(&areas)?;
            Some((areas, mean))
        };
        let macros = rest(predictions).zip(rest(others));
        let t = corrected_t(predictions, others, classes, positive);
        Some(Self {
            of: name.into(),
            with: other_name.into(),
            auc_difference: areas.0.zip(areas.1).map(|(one, other)| intervals.area_difference(&one, &other, two)),
            macro_auc_difference: macros
                .map(|(one, other)| intervals.mean_area_difference((&one.0, &one.1), (&other.0, &other.1))),
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

/// Nadeau and Bengio 2003, equation 9: `mean / sqrt((1 / k + test / train) * variance)` of the fold differences in
/// accuracy, test and train sizes being those of an average fold; with its degrees of freedom.
pub(super) fn corrected_t(
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
