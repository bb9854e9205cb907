//! [`Linear`]: the fully connected layer; and the shape of the softmax and its logarithm, which come after it.

use super::shape;
use super::slot::{Slot, Start, slots};
use crate::Tensor;
use serde::{Deserialize, Serialize};

/// Weights of a fully connected layer, `y = W x + b`: `[input]` to `[output]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// `[out, in]`.
    #[serde(skip)]
    pub weight: Tensor,
    /// `[out]`.
    #[serde(skip)]
    pub bias: Tensor,
    /// Features in.
    pub input: usize,
    /// Features out.
    pub output: usize,
}

slots! {
    Linear { weight, bias, input, output }, visit => {
        let start = Start::Uniform { fan_in: *input };
        visit(Slot::new("weight", [*output, *input], start, weight));
        visit(Slot::new("bias", [*output], start, bias));
    }
}

impl Linear {
    /// A fully connected layer. Its weights come from [`crate::Network::initialize`] or a file.
    pub fn new(input: usize, output: usize) -> Self {
        Self { weight: Tensor::default(), bias: Tensor::default(), input, output }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let features = shape::flat(input)?;
        if features != self.input {
            return Err(format!("found {features} features, expected {}", self.input));
        }
        Ok(vec![self.output])
    }

    /// Whether both differ in nothing but their weights.
    pub(super) fn same_geometry(&self, other: &Self) -> bool {
        (self.input, self.output) == (other.input, other.output)
    }
}

/// Of the softmax and of its logarithm: `[F]` to `[F]`.
pub(super) fn softmax_output_shape(input: &[usize]) -> Result<Vec<usize>, String> {
    Ok(vec![shape::flat(input)?])
}
