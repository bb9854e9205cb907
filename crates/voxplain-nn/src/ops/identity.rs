//! What hands values on as they are, outside training: flatten and dropout.

use super::shape::{count, volume, within};

/// Of the flattened volume: `[C, i, j, k]` to `[C * i * j * k]`.
pub(super) fn flatten_output_shape(input: &[usize]) -> Result<Vec<usize>, String> {
    Ok(vec![count(&volume(input)?)?])
}

/// Of dropout with probability `p`: that of its input.
pub(super) fn dropout_output_shape(p: f32, input: &[usize]) -> Result<Vec<usize>, String> {
    within("p", p, (0.0..1.0).contains(&p), "0 to below 1")?;
    Ok(input.to_vec())
}
