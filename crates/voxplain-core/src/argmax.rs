//! [`argmax`]: where the largest value is.

/// Position of the largest value, the first of equal ones; 0 for no values. NaN is never larger than another value.
///
/// ```
/// assert_eq!(voxplain_core::argmax(&[0.2, 0.5, 0.5]), 1);
/// ```
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, n| if values[n] > values[best] { n } else { best })
}
