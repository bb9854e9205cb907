//! [`Person`]: a held-out subject as the page speaks of it, and in which order subjects are shown.

use voxplain_stats::significant;
use voxplain_study::{
    model::Quantity,
    run::{PredictedValue, Prediction},
};

/// A held-out subject with what is said of it.
#[derive(Clone, Debug)]
pub(in crate::report) struct Person {
    /// The subject's id.
    pub(in crate::report) participant_id: String,
    /// The true class, or the true value with its unit.
    pub(in crate::report) truth: String,
    /// Whether another class was said; never of a value.
    pub(in crate::report) wrong: bool,
    /// `is F, said to be M; probability of the truth 0.31; fold 2`.
    pub(in crate::report) about: String,
}

impl Person {
    /// Of predictions of classes. Wrong first, then by how sure the model was of the truth, least first: those to look at come
    /// first.
    pub(in crate::report) fn of_classes(classes: &[String], predictions: &[Prediction]) -> Vec<Self> {
        let of_truth = |p: &Prediction| classes.iter().position(|c| *c == p.truth).map_or(0.0, |c| p.probabilities[c]);
        let right = |p: &Prediction| p.truth == p.predicted;
        let mut order: Vec<&Prediction> = predictions.iter().collect();
        order.sort_by(|a, b| {
            right(a)
                .cmp(&right(b))
                .then(of_truth(a).total_cmp(&of_truth(b)))
                .then_with(|| a.participant_id.cmp(&b.participant_id))
        });
        let person = |p: &Prediction| Self {
            participant_id: p.participant_id.clone(),
            truth: p.truth.clone(),
            wrong: !right(p),
            about: format!(
                "is {}, said to be {}; probability of the truth {:.2}; fold {}",
                p.truth,
                p.predicted,
                of_truth(p),
                p.fold
            ),
        };
        order.into_iter().map(person).collect()
    }

    /// Of predictions of a value, the largest error first.
    pub(in crate::report) fn of_values(value: &Quantity, predictions: &[PredictedValue]) -> Vec<Self> {
        let mut order: Vec<&PredictedValue> = predictions.iter().collect();
        order.sort_by(|a, b| {
            b.error().abs().total_cmp(&a.error().abs()).then_with(|| a.participant_id.cmp(&b.participant_id))
        });
        let number = |v: f64| significant(v, 4).replace('-', "\u{2212}");
        let person = |p: &PredictedValue| Self {
            participant_id: p.participant_id.clone(),
            truth: format!("{}{}", number(p.truth), value.suffix()),
            wrong: false,
            about: format!(
                "has {} {}{unit}, predicted {}{unit}; error {}{}{unit}; fold {}",
                value.name,
                number(p.truth),
                number(p.predicted),
                if p.error() > 0.0 { "+" } else { "" },
                number(p.error()),
                p.fold,
                unit = value.suffix(),
            ),
        };
        order.into_iter().map(person).collect()
    }
}
