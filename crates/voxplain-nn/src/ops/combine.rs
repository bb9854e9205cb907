//! What joins branches: the sum, the product, and channels side by side.

/// Of the sum or product of two inputs: the first's, which the second has too, or of whose channels it has one value each.
pub(super) fn pair_output_shape(inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let (first, second) = (inputs[0], inputs[1]);
    if first != second && (second.len() != 1 || first.first() != second.first()) {
        return Err(format!(
            "found shapes {first:?} and {second:?}, expected them equal, or one value for each channel"
        ));
    }
    Ok(first.to_vec())
}

/// Of inputs side by side along the channel axis: their channels together, all else the same.
pub(super) fn concat_output_shape(inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let mut shape = inputs[0].to_vec();
    for other in &inputs[1..] {
        if other.len() != shape.len() || other[1..] != shape[1..] {
            return Err(format!("found shapes {inputs:?}, expected them equal in all axes but the first (channels)"));
        }
        shape[0] = shape[0].checked_add(other[0]).ok_or("too many channels")?;
    }
    Ok(shape)
}
