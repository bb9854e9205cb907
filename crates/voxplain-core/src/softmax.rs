//! [`softmax`] and [`log_sum_exp`] of a few logits, in double precision.

/// `log(sum(exp(x)))`, in double precision and without overflow; minus infinity for no values.
///
/// ```
/// let x = voxplain_core::log_sum_exp(&[1000.0f32, 1000.0]);
/// assert_eq!(x, 1000.0 + 2f64.ln());
/// ```
pub fn log_sum_exp<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let largest = values.iter().map(|&x| x.into()).fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + values.iter().map(|&x| (x.into() - largest).exp()).sum::<f64>().ln()
}

/// Probabilities of logits, `exp(x_k) / sum exp(x)`: they sum to 1.
///
/// ```
/// let p = voxplain_core::softmax(&[0.0, 3f64.ln()]);
/// assert!((p[0] - 0.25).abs() < 1e-15 && (p[1] - 0.75).abs() < 1e-15);
/// ```
pub fn softmax<T: Copy + Into<f64>>(logits: &[T]) -> Vec<f64> {
    let total = log_sum_exp(logits);
    logits.iter().map(|&x| (x.into() - total).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_stay_finite() {
        let logits = [-3.0e4f32, 4.0e4, 4.0e4];
        assert_eq!(log_sum_exp(&logits), 4.0e4 + 2f64.ln());
        assert!(softmax(&logits).iter().zip([0.0, 0.5, 0.5]).all(|(p, expected)| (p - expected).abs() < 1e-11));
        assert_eq!(log_sum_exp::<f64>(&[]), f64::NEG_INFINITY);
        assert!(softmax::<f32>(&[]).is_empty());
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[0.0, f64::INFINITY]), f64::INFINITY);
        assert!(log_sum_exp(&[0.0, f64::NAN]).is_nan());
    }
}
