//! [`Pool3d`]: the largest value or the mean of windows, and the mean of a whole channel.

use super::shape;
use serde::{Deserialize, Serialize};

/// Most values of the window of a max-pool: the position of the largest is two bytes.
const MOST_TAPS: usize = 1 << 16;

/// Geometry of a pooling window.
///
/// It takes `[C, i, j, k]` and gives `[C, i', j', k']` with
/// `i' = (i + padding + padding at the end - dilation (kernel - 1) - 1) / stride + 1`, rounded down, or up with
/// [`Pool3d::ceil`]. As in PyTorch, a last window that would begin behind the volume is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool3d {
    /// Size of the window along `(i, j, k)`.
    pub kernel: [usize; 3],
    /// Step along `(i, j, k)`.
    pub stride: [usize; 3],
    /// Padding on both sides.
    pub padding: [usize; 3],
    /// Padding at the end where it is another one than at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_end: Option<[usize; 3]>,
    /// Distance between the values of a window.
    #[serde(default = "ones", skip_serializing_if = "is_ones")]
    pub dilation: [usize; 3],
    /// Whether a last window that reaches beyond the padding counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ceil: bool,
    /// Whether a mean is that of the values inside the volume alone, and padding does not count as zeros.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inside: bool,
}

const fn ones() -> [usize; 3] {
    [1; 3]
}

fn is_ones(lengths: &[usize; 3]) -> bool {
    *lengths == ones()
}

impl Pool3d {
    /// Windows that touch and do not overlap: the stride is the kernel, as PyTorch's default.
    pub fn new(kernel: [usize; 3]) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: [0; 3],
            padding_end: None,
            dilation: ones(),
            ceil: false,
            inside: false,
        }
    }

    /// The same with another step.
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// The same with padding on both sides.
    pub fn with_padding(self, padding: [usize; 3]) -> Self {
        Self { padding, ..self }
    }

    /// Padding at the end.
    pub(crate) fn end(&self) -> [usize; 3] {
        self.padding_end.unwrap_or(self.padding)
    }

    /// How many windows there are along each axis of a volume.
    pub(crate) fn positions(&self, volume: [usize; 3]) -> Result<[usize; 3], String> {
        let Self { kernel, stride, padding, dilation, .. } = *self;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!(
                "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1 along every axis"
            ));
        }
        let mut positions = [0; 3];
        for axis in 0..3 {
            positions[axis] = self.along(axis, volume[axis])?.ok_or_else(|| {
                format!(
                    "found a volume of {volume:?}, expected one at least as large as the kernel {kernel:?} \
                     (padding {padding:?}, dilation {dilation:?})"
                )
            })?;
        }
        Ok(positions)
    }

    /// Along one axis; none where the window is larger than the volume with its padding.
    fn along(&self, axis: usize, length: usize) -> Result<Option<usize>, String> {
        let (stride, dilation, start, end) =
            (self.stride[axis], self.dilation[axis], self.padding[axis], self.end()[axis]);
        let Some(span) = (self.kernel[axis] - 1).checked_mul(dilation).and_then(|span| span.checked_add(1)) else {
            return Ok(None);
        };
        if start.max(end) > span / 2 {
            return Err(format!(
                "found padding {:?} and {:?}, expected at most half of the kernel {:?}",
                self.padding,
                self.end(),
                self.kernel
            ));
        }
        // No overflow: paddings are less than the span, and that no more than what is padded.
        let Some(room) = length.checked_add(start + end).and_then(|padded| padded.checked_sub(span)) else {
            return Ok(None);
        };
        let mut count = if self.ceil { room.div_ceil(stride) } else { room / stride } + 1;
        if self.ceil && (count - 1) * stride >= length + start {
            count -= 1;
        }
        // A window with gaps may begin before a short volume and have no value inside it.
        let holds = |window: usize| {
            let before = start.saturating_sub(window * stride);
            let tap = before.div_ceil(dilation);
            tap < self.kernel[axis] && tap * dilation + window * stride - start < length
        };
        if !(0..count).take_while(|window| window * stride < start).all(holds) {
            return Err(format!("found a volume of length {length}, expected one that every window has a value in"));
        }
        Ok(Some(count))
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, i, j, k] = shape::volume(input)?;
        let [i, j, k] = self.positions([i, j, k])?;
        Ok(vec![channels, i, j, k])
    }

    /// Of the largest values: where they are must be found again.
    pub(super) fn max_output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let taps = self.kernel.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
        if taps.is_none_or(|taps| taps > MOST_TAPS) {
            return Err(format!("found a kernel {:?}, expected at most {MOST_TAPS} values of a maximum", self.kernel));
        }
        self.output_shape(input)
    }

    /// What the sum of the window at a position is divided by for its mean.
    pub(crate) fn divisor(&self, volume: [usize; 3], at: [usize; 3]) -> usize {
        let along = |axis: usize| {
            let start = at[axis] * self.stride[axis];
            let (before, length) = (self.padding[axis], volume[axis]);
            let counts = |tap: &usize| {
                let place = start + tap * self.dilation[axis];
                if self.inside {
                    (before..before + length).contains(&place)
                } else {
                    place < before + length + self.end()[axis]
                }
            };
            (0..self.kernel[axis]).filter(counts).count()
        };
        along(0) * along(1) * along(2)
    }

    /// Whether every mean is divided by the same number.
    pub(crate) fn divides_evenly(&self) -> bool {
        !self.ceil && (!self.inside || (self.padding == [0; 3] && self.end() == [0; 3]))
    }
}

/// Of the mean of each channel: `[C, i, j, k]` to `[C]`.
pub(super) fn global_output_shape(input: &[usize]) -> Result<Vec<usize>, String> {
    let [channels, ..] = shape::volume(input)?;
    Ok(vec![channels])
}
