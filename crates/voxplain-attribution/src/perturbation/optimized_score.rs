//! [`OptimizedScore`]: the score that the search for a mask is to change.

use crate::target::Objective;
use serde::{Deserialize, Serialize};
use voxplain_core::log_sum_exp;

/// Which score the search for a mask is to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizedScore {
    /// The log-odds of the explained class (for a difference of classes, the score as asked for).
    #[default]
    LogOdds,
    /// The score as asked for.
    Score,
}

impl OptimizedScore {
    fn is_log_odds(self, objective: &Objective, logits: &[f32]) -> bool {
        self == Self::LogOdds && objective.minus.is_none() && logits.len() > 1
    }

    /// What it is, in words.
    pub(crate) fn describe(self, objective: &Objective, logits: &[f32]) -> &'static str {
        if self.is_log_odds(objective, logits) { "log-odds of the explained class" } else { "the explained score" }
    }

    /// Its value at these logits.
    pub(crate) fn value(self, objective: &Objective, logits: &[f32]) -> f64 {
        if self.is_log_odds(objective, logits) {
            f64::from(logits[objective.class]) - others(objective.class, logits)
        } else {
            objective.value(logits)
        }
    }

    /// Writes `weight` times its gradient at the logits.
    #[expect(clippy::cast_possible_truncation, reason = "a backward pass takes float32")]
    pub(crate) fn output_gradient(self, objective: &Objective, logits: &[f32], weight: f64, gradient: &mut [f32]) {
        if self.is_log_odds(objective, logits) {
            let total = others(objective.class, logits);
            for (k, g) in gradient.iter_mut().enumerate() {
                let slope = if k == objective.class { 1.0 } else { -(f64::from(logits[k]) - total).exp() };
                *g = (weight * slope) as f32;
            }
        } else {
            objective.output_gradient(logits, gradient);
            gradient.iter_mut().for_each(|g| *g = (weight * f64::from(*g)) as f32);
        }
    }
}

/// `log sum of exp z` over the other classes.
fn others(class: usize, logits: &[f32]) -> f64 {
    let rest: Vec<f32> = logits.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, &z)| z).collect();
    log_sum_exp(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Score;

    #[test]
    fn log_odds_by_hand_and_by_difference() {
        // Against two others of logit 0: p = e^z / (e^z + 2).
        let logits = [3.0f32, 0.0, 0.0];
        let objective = Objective { class: 0, minus: None, score: Score::Logit };
        assert!((OptimizedScore::LogOdds.value(&objective, &logits) - (3.0 - 2f64.ln())).abs() < 1e-12);
        let mut gradient = [0.0; 3];
        OptimizedScore::LogOdds.output_gradient(&objective, &logits, 2.0, &mut gradient);
        assert_eq!(gradient, [2.0, -1.0, -1.0]);
    }
}
