//! What a softmax hands back: its mean slope between two inputs, for DeepLIFT, and its tangent, for relevance.

use crate::reference::activation::{softmax, softmax_backward};

/// Nodes and weights of Gauss and Legendre's rule with five points, on -1 to 1.
const GAUSS: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.538_469_310_105_683, 0.478_628_670_499_366_5),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

/// Most parts of the way that are summed over, and how far two logits may drift apart in one: a few digits more than single precision has.
const MOST_PARTS: f64 = 4096.0;
const DRIFT: f64 = 0.5;

/// The mean, over the straight way from `x0` to `x`, of what the gradient hands to the input of a softmax. It is to a function of many
/// values what the rescale rule `(y - y0) / (x - x0)` is to a function of one: times the difference of the inputs it sums to the
/// difference of the outputs (Aumann and Shapley 1974), and what is added to all inputs alike changes nothing.
#[expect(clippy::cast_possible_truncation, reason = "multipliers are float32")]
pub(super) fn mean_slope((x, x0): (&[f32], &[f32]), m: &[f32]) -> Vec<f32> {
    let doubles = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (x, x0, m) = (doubles(x), doubles(x0), doubles(m));
    let differences = x.iter().zip(&x0).map(|(x, x0)| x - x0);
    let [most, least] = [f64::max, f64::min].map(|of| differences.clone().reduce(of).unwrap_or(0.0));
    #[expect(clippy::cast_sign_loss, reason = "from 1 on")]
    let parts = ((most - least) / DRIFT).ceil().clamp(1.0, MOST_PARTS) as usize;
    let mut mean = vec![0.0; x.len()];
    for part in 0..parts {
        for (node, weight) in GAUSS {
            let at = (part as f64 + f64::midpoint(node, 1.0)) / parts as f64;
            let between: Vec<f64> = x.iter().zip(&x0).map(|(x, x0)| x0 + at * (x - x0)).collect();
            let slope = softmax_backward(&softmax(&between), &m);
            mean.iter_mut().zip(slope).for_each(|(mean, slope)| *mean += slope * weight / 2.0 / parts as f64);
        }
    }
    mean.into_iter().map(|m| m as f32).collect()
}

/// Relevance of a softmax `p` of `x` handed to its input by its tangent: `R_i = x_i (r_i - p_i sum_j r_j)` (Achtibat et al. 2024, arXiv
/// 2402.05602, proposition 3.1). What the constant of the tangent takes is not handed back.
#[expect(clippy::cast_possible_truncation, reason = "relevance is float32")]
pub(super) fn by_tangent(x: &[f32], p: &[f32], r: &[f32]) -> Vec<f32> {
    let all: f64 = r.iter().map(|&r| f64::from(r)).sum();
    let one = |((&x, &p), &r): ((&f32, &f32), &f32)| f64::from(x) * (f64::from(r) - f64::from(p) * all);
    x.iter().zip(p).zip(r).map(|triple| one(triple) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of two values, the first share is the logistic function `s` of their difference `d`: from `d0 = 0` to `d = ln 3` it rises from 1/2 to
    /// 3/4, so that its mean slope by `d` is `1 / (4 ln 3)`.
    #[test]
    fn two_values_have_the_slope_of_the_logistic_function() {
        let found = mean_slope((&[3f32.ln() + 5.0, 5.0], &[-1.0, -1.0]), &[1.0, 0.0]);
        let slope = 1.0 / (4.0 * 3f64.ln());
        assert!((f64::from(found[0]) - slope).abs() < 1e-6 && (f64::from(found[1]) + slope).abs() < 1e-6, "{found:?}");
        // Where nothing differs, the derivative: p (1 - p).
        let found = mean_slope((&[0.0, 3f32.ln()], &[0.0, 3f32.ln()]), &[1.0, 0.0]);
        assert!((found[0] - 3.0 / 16.0).abs() < 1e-6, "{found:?}");
    }

    /// Shares 1/4 and 3/4 of the numbers 0 and ln 3, relevance 1 and 2, 3 in all: 0, and ln 3 (2 - 9/4).
    #[test]
    fn the_tangent_by_hand() {
        let found = by_tangent(&[0.0, 3f32.ln()], &[0.25, 0.75], &[1.0, 2.0]);
        assert!(found[0] == 0.0 && (found[1] + 0.25 * 3f32.ln()).abs() < 1e-6, "{found:?}");
    }

    proptest! {
        /// Slopes times differences are the difference of the outputs, also where the softmax jumps; and a shift of all is none.
        #[test]
        fn slopes_sum_to_the_difference(
            pairs in proptest::collection::vec((-1f32..1.0, -1f32..1.0, -50f32..50.0), 1..9), size in 0.01f32..100.0, shift in -9f32..9.0
        ) {
            let column = |of: &dyn Fn(&(f32, f32, f32)) -> f32| pairs.iter().map(of).collect::<Vec<f32>>();
            let (x, x0, m) = (column(&|p| p.0 * size), column(&|p| p.1 * size), column(&|p| p.2));
            let score = |x: &[f32]| -> f64 {
                let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                softmax(&x).iter().zip(&m).map(|(p, m)| p * f64::from(*m)).sum()
            };
            let found = mean_slope((&x, &x0), &m);
            let sum: f64 = found.iter().zip(x.iter().zip(&x0)).map(|(m, (x, x0))| f64::from(*m) * (f64::from(*x) - f64::from(*x0))).sum();
            prop_assert!((sum - (score(&x) - score(&x0))).abs() < 1e-3, "{sum} {}", score(&x) - score(&x0));
            prop_assert!(found.iter().map(|&m| f64::from(m)).sum::<f64>().abs() < 1e-4);
            let shifted: Vec<f32> = x.iter().map(|x| x + shift).collect();
            for (a, b) in mean_slope((&shifted, &x0), &m).iter().zip(&found) {
                prop_assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}
