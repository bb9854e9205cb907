//! In which order subjects are shown.

use voxplain_study::run::Prediction;

/// The probability that was given to the true class.
pub(in crate::report) fn of_truth(classes: &[String], p: &Prediction) -> f64 {
    classes.iter().position(|c| *c == p.truth).map_or(0.0, |c| p.probabilities[c])
}

/// Wrong first, then by how sure the model was of the truth, least first: those to look at come first.
pub(in crate::report) fn order<'a>(classes: &[String], predictions: &'a [Prediction]) -> Vec<&'a Prediction> {
    let mut order: Vec<&Prediction> = predictions.iter().collect();
    order.sort_by(|a, b| {
        let right = |p: &Prediction| p.truth == p.predicted;
        right(a)
            .cmp(&right(b))
            .then(of_truth(classes, a).total_cmp(&of_truth(classes, b)))
            .then_with(|| a.participant_id.cmp(&b.participant_id))
    });
    order
}
