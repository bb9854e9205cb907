//! [`Conv3d`]: convolution.

use super::shape::{self, Sliding};
use super::slot::{Slot, Start, complete_bias, slots};
use crate::Tensor;
use serde::{Deserialize, Serialize};

/// Weights and geometry of a convolution.
///
/// It is a cross-correlation, as in every framework. It takes `[input, i, j, k]` and gives `[output, i', j', k']`
/// with `i' = (i + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv3d {
    /// `[out, in / groups, ki, kj, kk]`.
    #[serde(skip)]
    pub weight: Tensor,
    /// `[out]`.
    #[serde(skip)]
    pub bias: Option<Tensor>,
    /// Whether there is a bias. It stands beside the bias so that a graph without weights is complete.
    pub has_bias: bool,
    /// Channels in.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Size of the kernel along `(i, j, k)`.
    pub kernel: [usize; 3],
    /// Step along `(i, j, k)`.
    pub stride: [usize; 3],
    /// Zeros added on both sides.
    pub padding: [usize; 3],
    /// Distance between kernel taps.
    pub dilation: [usize; 3],
    /// Groups of channels: those of the output see those of the input of their own group alone. As many as channels in
    /// is a depthwise convolution.
    #[serde(default = "shape::one", skip_serializing_if = "shape::is_one")]
    pub groups: usize,
}

slots! {
    Conv3d { weight, bias, input, output, kernel, groups, .. }, visit => {
        let [i, j, k] = *kernel;
        // A number of groups that divides nothing is refused with its shape.
        let seen = *input / (*groups).max(1);
        let start = Start::Uniform { fan_in: kernel.iter().fold(seen, |product, &length| product.saturating_mul(length)) };
        visit(Slot::new("weight", [*output, seen, i, j, k], start, weight));
        if let Some(bias) = bias {
            visit(Slot::new("bias", [*output], start, bias));
        }
    }
}

impl Conv3d {
    /// A convolution with a bias, stride 1, no padding and no dilation. Its weights come from
    /// [`crate::Network::initialize`] or a file.
    pub fn new(input: usize, output: usize, kernel: [usize; 3]) -> Self {
        Self {
            weight: Tensor::default(),
            bias: None,
            has_bias: true,
            input,
            output,
            kernel,
            stride: [1; 3],
            padding: [0; 3],
            dilation: [1; 3],
            groups: 1,
        }
    }

    /// The same with another step along `(i, j, k)`.
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// The same with zeros added on both sides.
    pub fn with_padding(self, padding: [usize; 3]) -> Self {
        Self { padding, ..self }
    }

    /// The same with another distance between kernel taps.
    pub fn with_dilation(self, dilation: [usize; 3]) -> Self {
        Self { dilation, ..self }
    }

    /// The same in groups of channels.
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Channels of the input that each channel of the output sees.
    pub(crate) fn seen(&self) -> usize {
        self.input / self.groups
    }

    /// The first channel of the input that a channel of the output sees.
    pub(crate) fn first_seen(&self, output: usize) -> usize {
        output / (self.output / self.groups) * self.seen()
    }

    /// The same without a bias, as before a batch normalisation.
    pub fn without_bias(self) -> Self {
        Self { bias: None, has_bias: false, ..self }
    }

    /// Makes room for the bias that it says it has; refuses one that it says it has not.
    pub(super) fn complete(&mut self) -> Result<(), String> {
        complete_bias(&mut self.bias, self.has_bias)
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, i, j, k] = shape::volume(input)?;
        if channels != self.input {
            return Err(format!("found {channels} channels, expected {}", self.input));
        }
        if self.output == 0 {
            return Err("found 0 output channels, expected at least 1".into());
        }
        if self.groups == 0 || !self.input.is_multiple_of(self.groups) || !self.output.is_multiple_of(self.groups) {
            return Err(format!(
                "found {} groups of {} channels in and {} out, expected a divisor of both",
                self.groups, self.input, self.output
            ));
        }
        let Self { kernel, stride, padding, dilation, .. } = *self;
        let [i, j, k] = Sliding { kernel, stride, padding, dilation }.positions([i, j, k])?;
        Ok(vec![self.output, i, j, k])
    }

    /// Whether both differ in nothing but their weights.
    pub(super) fn same_geometry(&self, other: &Self) -> bool {
        let of = |conv: &Self| {
            let window = (conv.kernel, conv.stride, conv.padding, conv.dilation);
            (conv.has_bias, conv.input, conv.output, conv.groups, window)
        };
        of(self) == of(other)
    }
}
