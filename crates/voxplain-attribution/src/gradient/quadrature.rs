//! Gauss-Legendre quadrature on `[0, 1]`.

use std::f64::consts::PI;

/// Nodes and weights of the Gauss-Legendre rule with `n` points on `[0, 1]`, nodes ascending: exact for polynomials of
/// degree up to `2 n - 1`.
///
/// Nodes are the roots of the Legendre polynomial `P_n`, found by Newton's method from
/// `cos(pi (k - 1/4) / (n + 1/2))` with the recurrence `k P_k = (2 k - 1) x P_(k-1) - (k - 1) P_(k-2)`; weights
/// `2 / ((1 - x^2) P_n'(x)^2)` (Abramowitz and Stegun 1964, 25.4.29), both then brought from `[-1, 1]` to `[0, 1]`.
pub(crate) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let mut rule: Vec<(f64, f64)> = (0..n)
        .map(|k| {
            let mut x = (PI * (k as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (value, derivative) = legendre(n, x);
                slope = derivative;
                let step = value / derivative;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect();
    rule.reverse();
    rule
}

/// `P_n(x)` and its derivative, for `n` of at least 1.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two and three points by hand: `1/2 -+ 1/(2 sqrt 3)`; `1/2 -+ sqrt(3/5)/2` with weights 5/18, 8/18.
    #[test]
    fn few_points_by_hand() {
        assert!(gauss_legendre(1).iter().all(|&(x, w)| (x - 0.5).abs() < 1e-15 && (w - 1.0).abs() < 1e-15));
        let two = gauss_legendre(2);
        assert!((two[0].0 - (0.5 - 0.5 / 3f64.sqrt())).abs() < 1e-15 && (two[0].1 - 0.5).abs() < 1e-15);
        let three = gauss_legendre(3);
        let expected =
            [(0.5 - 0.6f64.sqrt() / 2.0, 5.0 / 18.0), (0.5, 8.0 / 18.0), (0.5 + 0.6f64.sqrt() / 2.0, 5.0 / 18.0)];
        for ((x, w), (a, b)) in three.into_iter().zip(expected) {
            assert!((x - a).abs() < 1e-14 && (w - b).abs() < 1e-14);
        }
    }

    /// The integral of `t^d` over `[0, 1]` is `1 / (d + 1)`.
    #[test]
    fn polynomials_are_integrated_exactly() {
        for n in [1, 2, 5, 16, 64, 200] {
            let rule = gauss_legendre(n);
            assert!(
                rule.windows(2).all(|p| p[0].0 < p[1].0) && rule.iter().all(|&(x, w)| x > 0.0 && x < 1.0 && w > 0.0)
            );
            for degree in [0, 1, n, 2 * n - 1] {
                #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small")]
                let integral: f64 = rule.iter().map(|&(x, w)| w * x.powi(degree as i32)).sum();
                assert!(
                    (integral - 1.0 / (degree as f64 + 1.0)).abs() < 1e-13,
                    "{n} points, degree {degree}: {integral}"
                );
            }
        }
    }
}
