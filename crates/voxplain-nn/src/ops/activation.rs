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
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    pub(super) fn output_shape(self, input: &[usize]) -> Result<Vec<usize>, String> {
        match self {
            Self::LeakyRelu { slope } => within("slope", slope, slope.is_finite(), "a finite number")?,
            Self::Relu | Self::Elu | Self::Gelu | Self::Sigmoid | Self::Tanh => {}
        }
        Ok(input.to_vec())
    }
}
