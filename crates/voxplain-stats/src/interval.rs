//! [`Interval`]: a mean over subjects with its 95 % confidence interval.

use serde::{Deserialize, Serialize};

/// A mean over subjects with the 95 % interval of Student's t: mean ± t(0.975, n - 1) · s / √n.
///
/// `low` and `high` are absent for fewer than two values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Number of values.
    pub n: usize,
}

impl Interval {
    /// Of finite values; others must have been left out before. `None` for no value.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        if n == 1 {
            return Some(Self { mean, low: None, high: None, n });
        }
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let half = student_t(0.975, (n - 1) as f64) * (variance / n as f64).sqrt();
        Some(Self { mean, low: Some(mean - half), high: Some(mean + half), n })
    }
}

/// The quantile of Student's t distribution: `t` with `P(T <= t) = p`, for `p` in [0.5, 1), by bisection on the
/// regularised incomplete beta function (Abramowitz & Stegun 26.7.1 and 26.5.8).
pub fn student_t(p: f64, freedom: f64) -> f64 {
    let cdf = |t: f64| 1.0 - 0.5 * beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    let (mut low, mut high) = (0.0, 1.0);
    while cdf(high) < p && high < 1e300 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Probability that Student's t with so many degrees of freedom is at least as far from 0 as `t`, on either side.
pub fn two_sided_p(t: f64, freedom: f64) -> f64 {
    beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularised incomplete beta function `I_x(a, b)` by its continued fraction (Lentz's method).
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let guard = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / guard(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / guard(1.0 + term * d);
            c = guard(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() < 1e-16 * fraction.abs() {
            break;
        }
    }
    front * fraction
}

/// The logarithm of the gamma function for positive `x`: Stirling's series after shifting `x` above 12.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 12.0 {
        product *= x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles as printed in tables of the t distribution (e.g. Abramowitz & Stegun, table 26.10).
    #[test]
    fn quantiles_of_the_printed_tables() {
        for (freedom, t) in [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (9.0, 2.262), (30.0, 2.042), (120.0, 1.980)] {
            assert!((student_t(0.975, freedom) - t).abs() < 5e-4, "{freedom}: {}", student_t(0.975, freedom));
        }
        // With one degree of freedom the quantile is tan(pi (p - 1/2)).
        let cauchy = (std::f64::consts::PI * 0.475).tan();
        assert!((student_t(0.975, 1.0) / cauchy - 1.0).abs() < 1e-12);
        // With two, it is (2p - 1) sqrt(2 / (1 - (2p - 1)^2)).
        let two = 0.95 * (2.0 / (1.0 - 0.95f64.powi(2))).sqrt();
        assert!((student_t(0.975, 2.0) / two - 1.0).abs() < 1e-12);
    }

    #[test]
    fn p_is_the_inverse_of_the_quantile() {
        for freedom in [1.0, 2.0, 4.0, 9.0, 30.0, 120.0] {
            for p in [0.6, 0.9, 0.975, 0.999] {
                let t = student_t(p, freedom);
                assert!((two_sided_p(t, freedom) - 2.0 * (1.0 - p)).abs() < 1e-9, "{freedom} {p}");
                assert_eq!(two_sided_p(-t, freedom), two_sided_p(t, freedom));
            }
        }
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
    }

    #[test]
    fn interval_by_hand() {
        // Mean 2, s = 1, n = 3: 2 ± 4.30265 / sqrt(3).
        let i = Interval::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!((i.mean - 2.0).abs() < 1e-15 && (i.high.unwrap() - 2.0 - 2.484_138).abs() < 1e-5, "{i:?}");
        assert_eq!(Interval::of(&[5.0]).unwrap().low, None);
        assert_eq!(Interval::of(&[]), None);
    }
}
