//! [`Aim`]: the score that a mask is to change.

use crate::Objective;
use serde::{Deserialize, Serialize};

/// Which score the mask is to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The log-odds of the explained class (for a difference of classes, the score as asked for).
    #[default]
    LogOdds,
    /// The score as asked for.
    Score,
}

impl Aim {
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
    #[expect(clippy::cast_possible_truncation, reason = "the walk back takes float32")]
    pub(crate) fn seed(self, objective: &Objective, logits: &[f32], weight: f64, seed: &mut [f32]) {
        if self.is_log_odds(objective, logits) {
            let total = others(objective.class, logits);
            for (k, s) in seed.iter_mut().enumerate() {
                let slope = if k == objective.class { 1.0 } else { -(f64::from(logits[k]) - total).exp() };
                *s = (weight * slope) as f32;
            }
        } else {
            objective.seed(logits, seed);
            seed.iter_mut().for_each(|s| *s = (weight * f64::from(*s)) as f32);
        }
    }
}

/// `log sum of exp z` over the other classes.
fn others(class: usize, logits: &[f32]) -> f64 {
    let rest = || logits.iter().enumerate().filter(move |(k, _)| *k != class).map(|(_, &z)| f64::from(z));
    let most = rest().fold(f64::NEG_INFINITY, f64::max);
    most + rest().map(|z| (z - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Score;

    #[test]
    fn log_odds_by_hand_and_by_difference() {
        // Against two others of logit 0: p = e^z / (e^z + 2).
        let logits = [3.0f32, 0.0, 0.0];
        let objective = Objective { class: 0, minus: None, score: Score::Logit };
        assert!((Aim::LogOdds.value(&objective, &logits) - (3.0 - 2f64.ln())).abs() < 1e-12);
        let mut seed = [0.0; 3];
        Aim::LogOdds.seed(&objective, &logits, 2.0, &mut seed);
        assert_eq!(seed, [2.0, -1.0, -1.0]);
    }
}
