//! [`ConvTranspose3d`]: the transposed convolution, which makes volumes larger.

use super::shape;
use super::slot::{Slot, Start, complete_bias, slots};
use crate::Tensor;
use serde::{Deserialize, Serialize};

/// Weights and geometry of a transposed convolution.
///
/// Each value of the input adds the kernel, times itself, to the output, a stride apart: what a convolution of the same
/// kernel hands back to its input. It takes `[input, i, j, k]` and gives `[output, i', j', k']` with
/// `i' = (i - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`, as PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose3d {
    /// `[in, out / groups, ki, kj, kk]`.
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
    /// Voxels of the output from one value of the input to the next.
    pub stride: [usize; 3],
    /// Voxels of the output that are cut off on both sides.
    pub padding: [usize; 3],
    /// Voxels at the end that are cut off less. More than were cut off are nobody's, and hold the bias. Below zero where
    /// the end loses more than the start, which ONNX can say and PyTorch cannot.
    pub output_padding: [isize; 3],
    /// Distance between kernel taps.
    pub dilation: [usize; 3],
    /// Groups of channels: those of the output see those of the input of their own group alone.
    #[serde(default = "shape::one", skip_serializing_if = "shape::is_one")]
    pub groups: usize,
}

slots! {
    ConvTranspose3d { weight, bias, input, output, kernel, groups, .. }, visit => {
        let [i, j, k] = *kernel;
        // A number of groups that divides nothing is refused with its shape.
        let seen = *output / (*groups).max(1);
        // PyTorch takes the second axis of the weight for the fan, whatever the layer does with it.
        let start = Start::Uniform { fan_in: kernel.iter().fold(seen, |product, &length| product.saturating_mul(length)) };
        visit(Slot::new("weight", [*input, seen, i, j, k], start, weight));
        if let Some(bias) = bias {
            visit(Slot::new("bias", [*output], start, bias));
        }
    }
}

impl ConvTranspose3d {
    /// A transposed convolution with a bias, stride 1, nothing cut off and no dilation. Its weights come from
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
            output_padding: [0; 3],
            dilation: [1; 3],
            groups: 1,
        }
    }

    /// The same with another step along `(i, j, k)`.
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// The same with voxels cut off on both sides.
    pub fn with_padding(self, padding: [usize; 3]) -> Self {
        Self { padding, ..self }
    }

    /// The same with another number of voxels at the end.
    pub fn with_output_padding(self, output_padding: [isize; 3]) -> Self {
        Self { output_padding, ..self }
    }

    /// The same with another distance between kernel taps.
    pub fn with_dilation(self, dilation: [usize; 3]) -> Self {
        Self { dilation, ..self }
    }

    /// The same in groups of channels.
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same without a bias, as before a normalisation.
    pub fn without_bias(self) -> Self {
        Self { bias: None, has_bias: false, ..self }
    }

    /// Channels of the output of each group.
    pub(crate) fn of_group(&self) -> usize {
        self.output / self.groups
    }

    /// Makes room for the bias that it says it has; refuses one that it says it has not.
    pub(super) fn complete(&mut self) -> Result<(), String> {
        complete_bias(&mut self.bias, self.has_bias)
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, size @ ..] = shape::volume(input)?;
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
        let Self { kernel, stride, padding, output_padding, dilation, .. } = self;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!(
                "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1 along every axis"
            ));
        }
        let mut shape = vec![self.output];
        for (axis, length) in size.into_iter().enumerate() {
            let length = self.along(axis, length).ok_or_else(|| {
                format!(
                    "padding {padding:?} and output padding {output_padding:?} leave nothing of a volume of {size:?} \
                     (kernel {kernel:?}, stride {stride:?}, dilation {dilation:?}), or far too much"
                )
            })?;
            shape.push(length);
        }
        Ok(shape)
    }

    /// The length of the output along one axis, if it has one.
    fn along(&self, axis: usize, length: usize) -> Option<usize> {
        let steps = length.checked_sub(1)?.checked_mul(self.stride[axis])?;
        let span = (self.kernel[axis] - 1).checked_mul(self.dilation[axis])?.checked_add(1)?;
        let all = steps.checked_add(span)?.checked_add_signed(self.output_padding[axis])?;
        all.checked_sub(self.padding[axis].checked_mul(2)?).filter(|&length| length > 0)
    }

    /// Whether both differ in nothing but their weights.
    pub(super) fn same_geometry(&self, other: &Self) -> bool {
        let of = |conv: &Self| {
            let window = (conv.kernel, conv.stride, conv.padding, conv.output_padding, conv.dilation);
            (conv.has_bias, conv.input, conv.output, conv.groups, window)
        };
        of(self) == of(other)
    }
}
