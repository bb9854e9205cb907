//! [`Activation`]: functions of single values that are not linear.

use super::shape::within;

/// A function of single values that is not linear. It has no weights and leaves the shape as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu {
        /// Slope below zero.
        slope: f32,
    },
    /// `x` where positive, else `exp(x) - 1`.
    Elu,
    /// `x` times the probability that a standard normal number is below `x`.
    Gelu,
    /// [`Activation::Gelu`] as many networks compute it: `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `scale * x` where positive, else `scale * alpha * (exp(x) - 1)`: SELU, and ELU with an alpha of its own.
    ScaledElu {
        /// What it goes to far below zero, divided by `-scale`.
        alpha: f32,
        /// Slope above zero.
        scale: f32,
    },
    /// `x / (1 + exp(-x))`, also called swish.
    Silu,
    /// `x tanh(ln(1 + exp(x)))`.
    Mish,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `slope * x + offset`, cut off below 0 and above 1.
    HardSigmoid {
        /// Slope between the two ends.
        slope: f32,
        /// Value at zero.
        offset: f32,
    },
    /// `x` times the hard sigmoid of slope 1/6 and offset 1/2.
    HardSwish,
    /// `x` cut off below `low` and above `high`; either may be infinite.
    Clip {
        /// The least value.
        low: f32,
        /// The largest value.
        high: f32,
    },
}

impl Activation {
    pub(super) fn output_shape(self, input: &[usize]) -> Result<Vec<usize>, String> {
        match self {
            Self::LeakyRelu { slope } => within("slope", slope, slope.is_finite(), "a finite number")?,
            Self::ScaledElu { alpha, scale } => {
                within("alpha", alpha, alpha.is_finite(), "a finite number")?;
                within("scale", scale, scale.is_finite(), "a finite number")?;
            }
            Self::HardSigmoid { slope, offset } => {
                within("slope", slope, slope.is_finite() && slope > 0.0, "a finite number above 0")?;
                within("offset", offset, offset.is_finite(), "a finite number")?;
            }
            Self::Clip { low, high } => within("low", low, low < high, "a number below the high one")?,
            Self::Relu
            | Self::Elu
            | Self::Gelu
            | Self::GeluTanh
            | Self::Sigmoid
            | Self::Tanh
            | Self::Silu
            | Self::Mish
            | Self::Softplus
            | Self::HardSwish => {}
        }
        Ok(input.to_vec())
    }
}
