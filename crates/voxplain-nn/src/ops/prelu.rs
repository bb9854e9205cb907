//! [`Prelu`]: a ReLU with a trained slope below zero.

use super::slot::{Slot, Start, slots};
use crate::{Activation, Tensor};
use serde::{Deserialize, Serialize};

/// `x` where positive, else `weight x`, with a weight for each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prelu {
    /// Channels.
    pub channels: usize,
    /// Slope of each channel below zero.
    #[serde(skip)]
    pub weight: Tensor,
}

slots! {
    Prelu { weight, channels }, visit => {
        visit(Slot::new("weight", [*channels], Start::Constant(0.25), weight));
    }
}

impl Prelu {
    /// Slope 0.25, as PyTorch's default.
    pub fn new(channels: usize) -> Self {
        Self { channels, weight: Tensor::default() }
    }

    /// What it is to the values of a channel.
    pub(crate) fn of_channel(&self, channel: usize) -> Activation {
        Activation::LeakyRelu { slope: self.weight.data()[channel] }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        if input.first() != Some(&self.channels) {
            return Err(format!("found shape {input:?}, expected {} channels", self.channels));
        }
        Ok(input.to_vec())
    }
}
