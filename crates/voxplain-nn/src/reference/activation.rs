//! Operations on single values, and the softmax.

use crate::{Activation, ReluRule, Rules};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

pub(crate) fn forward(of: Activation, x: f64) -> f64 {
    match of {
        // Written so that NaN stays NaN, as in every framework.
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                x * f64::from(slope)
            }
        }
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::Gelu => x * normal_distribution(x),
        Activation::GeluTanh => 0.5 * x * (1.0 + gelu_argument(x).tanh()),
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::ScaledElu { alpha, scale } => {
            f64::from(scale) * if x > 0.0 { x } else { f64::from(alpha) * x.exp_m1() }
        }
        Activation::Silu => x * sigmoid(x),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Softplus => softplus(x),
        Activation::HardSigmoid { slope, offset } => (f64::from(slope) * x + f64::from(offset)).clamp(0.0, 1.0),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Clip { low, high } => x.clamp(f64::from(low), f64::from(high)),
    }
}

/// What reaches `x` when `r` reaches `y`.
pub(crate) fn backward(of: Activation, rules: &Rules, x: f64, y: f64, r: f64) -> f64 {
    let slope = match of {
        Activation::Relu => {
            let passes = match rules.relu {
                ReluRule::Gradient => y > 0.0,
                ReluRule::Guided => y > 0.0 && r > 0.0,
                ReluRule::Deconvolution => r > 0.0,
            };
            f64::from(u8::from(passes))
        }
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(slope)
            }
        }
        Activation::Elu => {
            if x > 0.0 {
                1.0
            } else {
                y + 1.0
            }
        }
        Activation::Gelu => normal_distribution(x) + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt(),
        Activation::GeluTanh => {
            let t = gelu_argument(x).tanh();
            let inner = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (1.0 + 3.0 * GELU_CUBE * x * x);
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
        }
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Tanh => 1.0 - y * y,
        Activation::ScaledElu { alpha, scale } => {
            f64::from(scale) * if x > 0.0 { 1.0 } else { f64::from(alpha) * x.exp() }
        }
        Activation::Silu => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        Activation::Mish => {
            let t = softplus(x).tanh();
            t + x * (1.0 - t * t) * sigmoid(x)
        }
        Activation::Softplus => sigmoid(x),
        // At their corners as PyTorch has them: flat.
        Activation::HardSigmoid { slope, .. } => {
            if y > 0.0 && y < 1.0 {
                f64::from(slope)
            } else {
                0.0
            }
        }
        Activation::HardSwish => {
            if x <= -3.0 {
                0.0
            } else if x < 3.0 {
                x / 3.0 + 0.5
            } else {
                1.0
            }
        }
        Activation::Clip { low, high } => f64::from(u8::from(x > f64::from(low) && x < f64::from(high))),
    };
    slope * r
}

/// The factor of the cube in the hyperbolic tangent of [`Activation::GeluTanh`].
const GELU_CUBE: f64 = 0.044_715;

fn gelu_argument(x: f64) -> f64 {
    FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (x + GELU_CUBE * x * x * x)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + exp(x))`, without an overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Probability that a standard normal number is below `x`.
fn normal_distribution(x: f64) -> f64 {
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// The error function by its series `2 / sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!`, whose terms share a sign.
pub(crate) fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

pub(crate) fn softmax(x: &[f64]) -> Vec<f64> {
    log_softmax(x).into_iter().map(f64::exp).collect()
}

pub(crate) fn softmax_backward(y: &[f64], r: &[f64]) -> Vec<f64> {
    let mean: f64 = y.iter().zip(r).map(|(y, r)| y * r).sum();
    y.iter().zip(r).map(|(y, r)| y * (r - mean)).collect()
}

pub(super) fn log_softmax(x: &[f64]) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
    x.iter().map(|x| x - largest - sum.ln()).collect()
}

pub(super) fn log_softmax_backward(y: &[f64], r: &[f64]) -> Vec<f64> {
    let total: f64 = r.iter().sum();
    y.iter().zip(r).map(|(y, r)| r - y.exp() * total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, table 7.1, and the limits.
    #[test]
    fn the_error_function_has_its_tabled_values() {
        for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
            assert!((erf(x) - expected).abs() < 1e-10, "{x}");
            assert!((erf(-x) + expected).abs() < 1e-10, "{x}");
        }
        assert_eq!(erf(9.0), 1.0);
        assert!((erf(5.9) - 1.0).abs() < 1e-15);
        assert!(erf(f64::NAN).is_nan());
    }

    #[test]
    fn log_softmax_survives_large_numbers() {
        let y = log_softmax(&[1000.0, 1000.0 + 2f64.ln()]);
        assert!((y[0] - (1.0f64 / 3.0).ln()).abs() < 1e-12 && (y[1] - (2.0f64 / 3.0).ln()).abs() < 1e-12);
    }
}
