//! [`SampleNorm`]: normalisation by a sample's own statistics.

use super::shape::within;
use super::slot::{Slot, Start, slots};
use crate::Tensor;
use serde::{Deserialize, Serialize};

/// What a mean and a variance are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormOver {
    /// Groups of channels that lie side by side, with all their voxels: as many groups as channels is instance
    /// normalisation, one group is layer normalisation of the whole sample.
    Groups(usize),
    /// All channels of one voxel: layer normalisation over channels, as ConvNeXt has it.
    Channels,
}

/// Normalisation by a sample's own statistics, in training and outside: `weight (x - mean) / sqrt(variance + epsilon) + bias`,
/// the variance biased. Of features `[F]`, every feature is a channel of one voxel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleNorm {
    /// Channels.
    pub channels: usize,
    /// What statistics are of.
    pub over: NormOver,
    /// Scale of each channel.
    #[serde(skip)]
    pub weight: Tensor,
    /// Shift of each channel.
    #[serde(skip)]
    pub bias: Tensor,
    /// Added to the variance; 1e-5 in PyTorch.
    pub epsilon: f32,
}

slots! {
    SampleNorm { weight, bias, channels, .. }, visit => {
        visit(Slot::new("weight", [*channels], Start::Constant(1.0), weight));
        visit(Slot::new("bias", [*channels], Start::Constant(0.0), bias));
    }
}

impl SampleNorm {
    /// Epsilon 1e-5 as in PyTorch; scale 1 and shift 0.
    pub fn new(channels: usize, over: NormOver) -> Self {
        Self { channels, over, weight: Tensor::default(), bias: Tensor::default(), epsilon: 1e-5 }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        if input.first() != Some(&self.channels) {
            return Err(format!("found shape {input:?}, expected {} channels", self.channels));
        }
        if let NormOver::Groups(groups) = self.over
            && (groups == 0 || !self.channels.is_multiple_of(groups))
        {
            return Err(format!("found {groups} groups of {} channels, expected a divisor", self.channels));
        }
        within("epsilon", self.epsilon, self.epsilon > 0.0 && self.epsilon.is_finite(), "above 0")?;
        Ok(input.to_vec())
    }

    /// Calls `visit` with each set of places of a sample that is normalised together, and the number of voxels of a channel.
    pub(crate) fn sets(&self, shape: &[usize], mut visit: impl FnMut(&[usize])) {
        let voxels: usize = shape[1..].iter().product();
        let mut set = Vec::new();
        match self.over {
            NormOver::Groups(groups) => {
                let length = self.channels / groups * voxels;
                for group in 0..groups {
                    set.clear();
                    set.extend(group * length..(group + 1) * length);
                    visit(&set);
                }
            }
            NormOver::Channels => {
                for voxel in 0..voxels {
                    set.clear();
                    set.extend((0..self.channels).map(|channel| channel * voxels + voxel));
                    visit(&set);
                }
            }
        }
    }

    /// Whether both differ in nothing but their weights.
    pub(super) fn same_geometry(&self, other: &Self) -> bool {
        let of = |norm: &Self| (norm.channels, norm.over, norm.epsilon.to_bits());
        of(self) == of(other)
    }
}
