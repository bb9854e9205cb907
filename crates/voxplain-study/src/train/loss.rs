//! [`LossKind`]: by which loss a value is learnt; [`Objective`]: that loss on the values of a fold.

use super::value::Standard;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use voxplain_core::Result;
use voxplain_nn::{SoftLabels, ValueLoss};

/// By which loss a value is learnt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossKind {
    /// By the error of one output, on the scale where the values trained on have a mean of 0 and a standard deviation of 1.
    Error(ValueLoss),
    /// By soft labels (Peng et al. 2021): one output for each bin of values, see [`SoftLabels`].
    SoftLabels {
        /// Width of a bin, in the unit of the value.
        width: f64,
    },
}

impl LossKind {
    /// The published width of a bin: a year.
    pub const WIDTH: f64 = 1.0;

    /// What soft labels are called.
    pub(super) const SOFT: &str = "soft-labels";
}

/// The mean squared error.
impl Default for LossKind {
    fn default() -> Self {
        Self::Error(ValueLoss::default())
    }
}

/// `mse`, `mae`, `huber`; `soft-labels`, or `soft-labels=2` with the width of a bin where it is not 1.
impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(loss) => f.write_str(loss.name()),
            Self::SoftLabels { width } if *width == Self::WIDTH => f.write_str(Self::SOFT),
            Self::SoftLabels { width } => write!(f, "{}={width}", Self::SOFT),
        }
    }
}

impl FromStr for LossKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(loss) = [ValueLoss::Mse, ValueLoss::Mae, ValueLoss::Huber].into_iter().find(|l| l.name() == text) {
            return Ok(Self::Error(loss));
        }
        match text.split_once('=').map_or((text, None), |(kind, width)| (kind, Some(width))) {
            (Self::SOFT, None) => Ok(Self::SoftLabels { width: Self::WIDTH }),
            (Self::SOFT, Some(width)) => match width.trim().parse::<f64>() {
                Ok(width) if width.is_finite() && width > 0.0 => Ok(Self::SoftLabels { width }),
                Ok(_) | Err(_) => Err(format!("`{width}` in `{text}` is no width of a bin, which is a number above 0")),
            },
            _ => Err(format!(
                "`{text}` is unknown; there are: mse, mae, huber, {0}, and {0}=WIDTH with the width of a bin",
                Self::SOFT
            )),
        }
    }
}

impl Serialize for LossKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LossKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// What is made smaller where a value is learnt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Objective {
    /// The error of the standardised value.
    Error(ValueLoss, Standard),
    /// The divergence of distributions over bins.
    SoftLabels(SoftLabels),
}

impl Objective {
    /// What the network is to give for a value: it on the scale of training. Of soft labels, the value itself.
    pub(super) fn target(self, value: f64) -> f64 {
        match self {
            Self::Error(_, standard) => standard.standardised(value),
            Self::SoftLabels(_) => value,
        }
    }

    /// The mean loss of outputs for these targets, and its gradient.
    pub(super) fn evaluate(self, outputs: &[f32], targets: &[f64], gradient: &mut [f32]) -> Result<f64> {
        Ok(match self {
            Self::Error(loss, _) => loss.evaluate(outputs, targets, gradient)?,
            Self::SoftLabels(bins) => bins.evaluate(outputs, targets, gradient)?,
        })
    }

    /// The sum of the sizes of the errors of outputs for these targets, in the unit of the value.
    pub(super) fn errors(self, outputs: &[f32], targets: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Error(_, standard) => {
                let sizes = outputs.iter().zip(targets).map(|(&z, target)| (f64::from(z) - target).abs());
                standard.scale * sizes.sum::<f64>()
            }
            Self::SoftLabels(bins) => {
                let rows = outputs.chunks_exact(bins.bins());
                rows.zip(targets).map(|(row, target)| (bins.expectation(row) - target).abs()).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_said_in_words() {
        for text in ["mse", "mae", "huber", "soft-labels", "soft-labels=2.5"] {
            let loss: LossKind = text.parse().unwrap();
            assert_eq!(loss.to_string(), text);
            let json = serde_json::to_string(&loss).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<LossKind>(&json).unwrap(), loss);
        }
        assert_eq!("soft-labels=1".parse(), Ok(LossKind::SoftLabels { width: 1.0 }));
        let error = |text: &str| text.parse::<LossKind>().unwrap_err();
        assert!(error("l1").contains("there are: mse, mae, huber, soft-labels"));
        for text in
            ["soft-labels=", "soft-labels=0", "soft-labels=-1", "soft-labels=inf", "soft-labels=nan", "soft-labels=1y"]
        {
            assert!(error(text).contains("no width of a bin"), "{text}");
        }
    }

    /// Bins 0 to 1, 1 to 2, 2 to 3 with shares 1/4, 1/2, 1/4: 1.5, which is 1.5 too much for 0.
    #[test]
    fn errors_are_in_the_unit() {
        let objective = Objective::SoftLabels(SoftLabels::new(0.0, 1.0, 3).unwrap());
        let (row, even) = ([0.0, 2f32.ln(), 0.0], [0.0; 3]);
        let sum = objective.errors(&[row, even].concat(), [0.0, 2.0].into_iter());
        assert!((sum - 2.0).abs() < 1e-6, "{sum}");
        let standard = Standard { mean: 50.0, scale: 10.0 };
        let error = Objective::Error(ValueLoss::Mse, standard);
        assert!((error.errors(&[1.0, -1.0], [60.0, 45.0].into_iter().map(|v| error.target(v))) - 5.0).abs() < 1e-12);
    }
}
