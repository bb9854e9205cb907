//! [`Outcome`]: how a prediction compares with the true class.

use super::Prediction;

/// How a prediction compares with the true class. Of two classes one is the positive one, and outcomes are true and false positives
/// and negatives; of more classes a prediction is correct or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The positive class, taken for it.
    TruePositive,
    /// The negative class, taken for it.
    TrueNegative,
    /// The negative class, taken for the positive one.
    FalsePositive,
    /// The positive class, taken for the negative one.
    FalseNegative,
    /// Of more than two classes: the true one.
    Correct,
    /// Of more than two classes: another than the true one.
    Incorrect,
}

impl Outcome {
    /// Of a prediction; `positive` is the positive class of two, by default the last.
    pub fn of(prediction: &Prediction, classes: &[String], positive: Option<&str>) -> Self {
        let right = prediction.truth == prediction.predicted;
        let [_, last] = classes else { return if right { Self::Correct } else { Self::Incorrect } };
        match (prediction.truth == positive.unwrap_or(last), right) {
            (true, true) => Self::TruePositive,
            (false, true) => Self::TrueNegative,
            (false, false) => Self::FalsePositive,
            (true, false) => Self::FalseNegative,
        }
    }

    /// As names of group maps and tables have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TruePositive => "tp",
            Self::TrueNegative => "tn",
            Self::FalsePositive => "fp",
            Self::FalseNegative => "fn",
            Self::Correct => "correct",
            Self::Incorrect => "incorrect",
        }
    }
}
