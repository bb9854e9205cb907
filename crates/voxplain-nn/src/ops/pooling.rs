//! [`Pool3d`]: the largest value or the mean of windows, and the mean of a whole channel.

use super::shape::{self, Sliding};
use serde::{Deserialize, Serialize};

/// Geometry of a pooling window.
///
/// It takes `[C, i, j, k]` and gives `[C, i', j', k']` with `i' = (i + 2 padding - kernel) / stride + 1`, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool3d {
    /// Size of the window along `(i, j, k)`.
    pub kernel: [usize; 3],
    /// Step along `(i, j, k)`.
    pub stride: [usize; 3],
    /// Padding on both sides.
    pub padding: [usize; 3],
}

impl Pool3d {
    /// Windows that touch and do not overlap: the stride is the kernel, as PyTorch's default.
    pub fn new(kernel: [usize; 3]) -> Self {
        Self { kernel, stride: kernel, padding: [0; 3] }
    }

    /// The same with another step.
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// The same with padding on both sides.
    pub fn with_padding(self, padding: [usize; 3]) -> Self {
        Self { padding, ..self }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, i, j, k] = shape::volume(input)?;
        let Self { kernel, stride, padding } = *self;
        if padding.iter().zip(kernel).any(|(&padding, kernel)| padding > kernel / 2) {
            return Err(format!("found padding {padding:?}, expected at most half of the kernel {kernel:?}"));
        }
        let [i, j, k] = Sliding { kernel, stride, padding, dilation: [1; 3] }.positions([i, j, k])?;
        Ok(vec![channels, i, j, k])
    }
}

/// Of the mean of each channel: `[C, i, j, k]` to `[C]`.
pub(super) fn global_output_shape(input: &[usize]) -> Result<Vec<usize>, String> {
    let [channels, ..] = shape::volume(input)?;
    Ok(vec![channels])
}
