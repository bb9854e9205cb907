//! [`Schedule`]: how the learning rate changes from epoch to epoch.

use serde::{Deserialize, Serialize};

/// How the learning rate changes; epochs (or steps) count from 0. PyTorch's closed forms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// It does not.
    #[default]
    Constant,
    /// Times `factor` after every so many epochs.
    Step {
        /// Epochs between changes.
        every: u64,
        /// What the rate is multiplied with.
        factor: f64,
    },
    /// Times `factor` at each of the given epochs.
    MultiStep {
        /// Epochs at which it changes.
        at: Vec<u64>,
        /// What the rate is multiplied with.
        factor: f64,
    },
    /// Up in even steps over so many epochs, of which the first has `1 / (epochs + 1)` of the first rate (gradual warm-up, Goyal et al. 2017),
    /// and then as another schedule has it.
    Warmup {
        /// Epochs below the first rate.
        epochs: u64,
        /// What follows; its epochs count from the end of the warm-up.
        then: Box<Self>,
    },
    /// From the first rate to `last` along half a cosine (Loshchilov and Hutter 2017), and `last` from there on.
    Cosine {
        /// Epochs until it is there.
        epochs: u64,
        /// The final rate.
        last: f64,
    },
}

impl Schedule {
    /// The learning rate of an epoch, for the first epoch's rate.
    pub fn rate(&self, first: f64, epoch: u64) -> f64 {
        // Beyond any number of changes that leaves a rate above zero; exact in an i32.
        let power = |factor: f64, changes: u64| factor.powi(i32::try_from(changes).unwrap_or(i32::MAX));
        match self {
            Self::Constant => first,
            Self::Step { every, factor } => first * power(*factor, epoch.checked_div(*every).unwrap_or(0)),
            Self::MultiStep { at, factor } => {
                first * power(*factor, at.iter().filter(|&&at| at <= epoch).count() as u64)
            }
            Self::Warmup { epochs, then } => match epoch.checked_sub(*epochs) {
                None => first * (epoch + 1) as f64 / (epochs + 1) as f64,
                Some(after) => then.rate(first, after),
            },
            Self::Cosine { epochs, last } => {
                let share = if epoch >= *epochs { 1.0 } else { epoch as f64 / *epochs as f64 };
                last + (first - last) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_change_when_they_should() {
        let rates = |schedule: &Schedule| -> Vec<f64> { (0..6).map(|epoch| schedule.rate(1.0, epoch)).collect() };
        assert_eq!(rates(&Schedule::Constant), [1.0; 6]);
        assert_eq!(rates(&Schedule::Step { every: 2, factor: 0.5 }), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        assert_eq!(rates(&Schedule::Step { every: 0, factor: 0.5 }), [1.0; 6]);
        assert_eq!(rates(&Schedule::MultiStep { at: vec![1, 4], factor: 0.5 }), [1.0, 0.5, 0.5, 0.5, 0.25, 0.25]);
        let cosine = rates(&Schedule::Cosine { epochs: 4, last: 0.2 });
        for (rate, expected) in
            cosine.iter().zip([1.0, 0.6 + 0.4 * 0.5f64.sqrt(), 0.6, 0.6 - 0.4 * 0.5f64.sqrt(), 0.2, 0.2])
        {
            assert!((rate - expected).abs() < 1e-12, "{cosine:?}");
        }
        // Two epochs of warm-up: a third, two thirds, and the cosine from its start.
        let warm = Schedule::Warmup { epochs: 2, then: Box::new(Schedule::Cosine { epochs: 4, last: 0.2 }) };
        for (rate, expected) in rates(&warm).iter().zip([1.0 / 3.0, 2.0 / 3.0].iter().chain(&cosine)) {
            assert!((rate - expected).abs() < 1e-12, "{warm:?}");
        }
        let text = r#"{"kind":"multi-step","at":[3],"factor":0.1}"#;
        assert_eq!(serde_json::from_str::<Schedule>(text).unwrap(), Schedule::MultiStep { at: vec![3], factor: 0.1 });
    }
}
