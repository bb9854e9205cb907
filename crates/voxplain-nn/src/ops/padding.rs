//! [`Pad3d`]: a volume with more around it.

use super::shape::{self, within};
use serde::{Deserialize, Serialize};

/// A value put around a volume, `[C, i, j, k]` to `[C, before + i + after, ...]`.
///
/// Convolutions and pools have a padding of their own, the same on both sides; this one is for what differs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad3d {
    /// Voxels at the start of `(i, j, k)`.
    pub before: [usize; 3],
    /// Voxels at the end.
    pub after: [usize; 3],
    /// What they hold.
    pub value: f32,
}

impl Pad3d {
    /// Zeros around a volume.
    pub fn new(before: [usize; 3], after: [usize; 3]) -> Self {
        Self { before, after, value: 0.0 }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, space @ ..] = shape::volume(input)?;
        within("value", self.value, self.value.is_finite(), "a finite number")?;
        let mut shape = vec![channels];
        for ((length, before), after) in space.into_iter().zip(self.before).zip(self.after) {
            let length = before.checked_add(after).and_then(|more| more.checked_add(length));
            shape.push(length.ok_or("the padding is too large")?);
        }
        Ok(shape)
    }
}
