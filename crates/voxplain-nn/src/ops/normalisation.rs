//! [`BatchNorm`]: batch normalisation.

use super::shape::within;
use super::slot::{Slot, Start, slots};
use crate::Tensor;
use serde::{Deserialize, Serialize};

/// Parameters and statistics of a batch normalisation over the channel axis; all `[C]`.
///
/// Outside training it is `y = scale x + shift` by its running statistics ([`BatchNorm::scale_and_shift`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Scale (PyTorch's `weight`).
    #[serde(skip)]
    pub weight: Tensor,
    /// Shift (PyTorch's `bias`).
    #[serde(skip)]
    pub bias: Tensor,
    /// Mean used outside training.
    #[serde(skip)]
    pub running_mean: Tensor,
    /// Variance used outside training.
    #[serde(skip)]
    pub running_var: Tensor,
    /// Added to the variance; 1e-5 in PyTorch.
    pub epsilon: f32,
    /// Share of the batch's statistics in each update of the running ones; 0.1 in PyTorch.
    pub momentum: f32,
}

slots! {
    BatchNorm { weight, bias, running_mean, running_var, channels, .. }, visit => {
        let [zero, one] = [Start::Constant(0.0), Start::Constant(1.0)];
        visit(Slot::new("weight", [*channels], one, weight));
        visit(Slot::new("bias", [*channels], zero, bias));
        visit(Slot::new("running_mean", [*channels], zero, running_mean).untrained());
        visit(Slot::new("running_var", [*channels], one, running_var).untrained());
    }
}

impl BatchNorm {
    /// Epsilon 1e-5 and momentum 0.1 as in PyTorch; scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            weight: Tensor::default(),
            bias: Tensor::default(),
            running_mean: Tensor::default(),
            running_var: Tensor::default(),
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }

    /// What it does outside training, channel by channel: `y = scale x + shift`, with
    /// `scale = weight / sqrt(running_var + epsilon)` and `shift = bias - running_mean scale`.
    pub fn scale_and_shift(&self) -> impl Iterator<Item = (f64, f64)> {
        (0..self.channels).map(|channel| {
            let at = |tensor: &Tensor| f64::from(tensor.data()[channel]);
            let scale = at(&self.weight) / (at(&self.running_var) + f64::from(self.epsilon)).sqrt();
            (scale, at(&self.bias) - at(&self.running_mean) * scale)
        })
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        if input.first() != Some(&self.channels) {
            return Err(format!("found shape {input:?}, expected {} channels", self.channels));
        }
        within("epsilon", self.epsilon, self.epsilon > 0.0 && self.epsilon.is_finite(), "above 0")?;
        within("momentum", self.momentum, (0.0..=1.0).contains(&self.momentum), "0 to 1")?;
        Ok(input.to_vec())
    }

    /// Whether both differ in nothing but their weights and statistics.
    pub(super) fn same_geometry(&self, other: &Self) -> bool {
        let of = |norm: &Self| (norm.channels, norm.epsilon.to_bits(), norm.momentum.to_bits());
        of(self) == of(other)
    }
}
