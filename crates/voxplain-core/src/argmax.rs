//! [`argmax`]: where the largest value is.

/// Position of the largest value, the first of equal ones; 0 for no values. NaN is never larger than another value.
///
/// ```
/// assert_eq!(voxplain_core::argmax(&[0.2, 0.5, 0.5]), 1);
/// ```
pub fn argmax<T: PartialOrd>(values: impl IntoIterator<Item = T>) -> usize {
    let mut values = values.into_iter();
    let Some(mut largest) = values.next() else { return 0 };
    let mut at = 0;
    for (n, value) in values.enumerate() {
        if value > largest {
            (largest, at) = (value, n + 1);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_and_never_a_nan() {
        assert_eq!(argmax([3.0, 1.0, 3.0, f64::NAN]), 0);
        assert_eq!(argmax([f32::NAN, 2.0]), 0);
        assert_eq!(argmax([0.0f32, -0.0, 1.0].iter().rev()), 0);
        assert_eq!(argmax::<f32>([]), 0);
    }
}
