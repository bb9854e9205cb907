//! [`FoldPrediction`]: what a model said of a subject that it had not seen.

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
