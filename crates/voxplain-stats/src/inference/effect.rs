//! Effect sizes from a t: [`hedges_g`] and [`partial_r`].

use crate::estimate::Z;
use serde::{Deserialize, Serialize};

/// An effect size with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectSize {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Hedges' g of two groups of `a` and `b` subjects from the t of their difference with so many degrees of freedom, other terms of the
/// model held constant: `J t sqrt(1/a + 1/b)`, with `J = 1 - 3 / (4 freedom - 1)`. The interval takes the variance of large samples,
/// `(a + b) / (a b) + g^2 / (2 (a + b))` (Hedges and Olkin 1985).
pub fn hedges_g(t: f64, freedom: f64, [a, b]: [usize; 2]) -> EffectSize {
    let (a, b) = (a as f64, b as f64);
    let g = (1.0 - 3.0 / (4.0 * freedom - 1.0)) * t * (1.0 / a + 1.0 / b).sqrt();
    let half = Z * ((a + b) / (a * b) + g * g / (2.0 * (a + b))).sqrt();
    EffectSize { value: g, low: g - half, high: g + half }
}

/// The partial correlation of a covariate with the values from its t: `t / sqrt(t^2 + freedom)`, with the interval of Fisher's z,
/// whose variance is `1 / (freedom - 1)` (n - 3 less the number of other covariates, for a model with an intercept).
pub fn partial_r(t: f64, freedom: f64) -> EffectSize {
    let r = t / (t * t + freedom).sqrt();
    let (z, half) = (r.atanh(), if freedom > 1.0 { Z / (freedom - 1.0).sqrt() } else { f64::INFINITY });
    EffectSize { value: r, low: (z - half).tanh(), high: (z + half).tanh() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Two groups of 8: J = 1 - 3 / 55, g = J * 2 * 0.5.
        let g = hedges_g(2.0, 14.0, [8, 8]);
        let value = 1.0 - 3.0 / 55.0;
        assert!((g.value - value).abs() < 1e-15);
        assert!((g.high - value - 1.959_964 * (0.25 + value * value / 32.0).sqrt()).abs() < 1e-6);
        // r = 0.6 with 16 degrees of freedom: t = 0.6 * 4 / 0.8 = 3.
        let r = partial_r(3.0, 16.0);
        assert!((r.value - 0.6).abs() < 1e-15);
        assert!((r.low - (0.6f64.atanh() - 1.959_964 / 15f64.sqrt()).tanh()).abs() < 1e-6, "{r:?}");
    }
}
