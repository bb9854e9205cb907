//! [`ParetoTail`]: p-values below what so many shuffles can show, from the shape of the tail.

use serde::{Deserialize, Serialize};
use voxplain_core::random::{Random, Seed};

/// A generalised Pareto distribution fitted to the largest values of shuffles (Knijnenburg 2009; Winkler 2016, `NeuroImage` 141:502):
/// beyond a threshold `u`, `P(X > x) = share * (1 - k (x - u) / a)^(1 / k)`. It is an approximation: what it says beyond the
/// largest shuffle rests on the tail going on as it began.
///
/// Scale and shape are those of the moments (Hosking and Wallis 1987). A tail that by them would end is taken as an exponential one: where a
/// tail ends is not known from so few values, and p-values near the end would be far too small. The threshold is the lowest that leaves a quarter of the values or less
/// and at least [`ParetoTail::FEWEST`], by steps of a fortieth, whose fit is not refused at 0.05 by Anderson and Darling's statistic. What that
/// statistic is by chance is found by drawing from the distribution that was fitted and fitting again, in place of the published tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParetoTail {
    /// From which value on.
    pub threshold: f64,
    /// How many shuffles lie beyond.
    pub beyond: usize,
    /// Number of shuffles.
    pub of: usize,
    /// `a`.
    pub scale: f64,
    /// `k`: 0 is an exponential tail, below it the tail is longer.
    pub shape: f64,
}

/// Shapes nearer to 0 than this are exponential.
const EXPONENTIAL: f64 = 1e-8;
/// Times that the statistic of the fit is drawn.
const DRAWS: usize = 199;

impl ParetoTail {
    /// The fewest values that a tail is fitted to.
    pub const FEWEST: usize = 30;

    /// Of the values of shuffles, without that of the data as they are. `None` where they are too few, or no threshold fits.
    pub fn fit(values: &[f32]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        (1..=10).rev().find_map(|fortieths| {
            let beyond = n * fortieths / 40;
            if beyond < Self::FEWEST || beyond >= n {
                return None;
            }
            // Half way to the value below, so that the least value beyond is beyond.
            let threshold = f64::midpoint(sorted[n - beyond - 1], sorted[n - beyond]);
            let over: Vec<f64> = sorted[n - beyond..].iter().map(|v| v - threshold).collect();
            let (scale, shape) = unbounded(&over)?;
            fits(&over, scale, shape).then_some(Self { threshold, beyond, of: n, scale, shape })
        })
    }

    /// The share of shuffles that would reach a value, of a hundredth of a shuffle at least: farther out than a hundred times as many would
    /// reach, nothing tells that the tail goes on as it began. It falls as the value rises. `None` below the threshold.
    pub fn p(&self, value: f64) -> Option<f64> {
        let over = value - self.threshold;
        if over < 0.0 {
            return None;
        }
        let p = self.beyond as f64 / self.of as f64 * survival(over, self.scale, self.shape);
        Some(p.max(0.01 / self.of as f64))
    }
}

/// `P(X > x)` beyond the threshold.
fn survival(over: f64, scale: f64, shape: f64) -> f64 {
    if shape.abs() < EXPONENTIAL {
        return (-over / scale).exp();
    }
    (1.0 - shape * over / scale).max(0.0).powf(1.0 / shape)
}

/// Scale and shape from mean and variance; `None` where the values do not vary.
fn moments(over: &[f64]) -> Option<(f64, f64)> {
    let n = over.len() as f64;
    let mean = over.iter().sum::<f64>() / n;
    let variance = over.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let ratio = mean * mean / variance;
    (ratio.is_finite() && mean > 0.0).then(|| (mean * (ratio + 1.0) / 2.0, (ratio - 1.0) / 2.0))
}

/// The same, exponential where the tail would end.
fn unbounded(over: &[f64]) -> Option<(f64, f64)> {
    let (scale, shape) = moments(over)?;
    Some(if shape > 0.0 { (over.iter().sum::<f64>() / over.len() as f64, 0.0) } else { (scale, shape) })
}

/// Anderson and Darling's statistic of ascending values.
fn anderson_darling(over: &[f64], scale: f64, shape: f64) -> f64 {
    let n = over.len();
    let inside = |p: f64| p.clamp(1e-12, 1.0 - 1e-12);
    let upper: Vec<f64> = over.iter().map(|v| inside(survival(*v, scale, shape))).collect();
    let sum: f64 = (0..n).map(|i| (2 * i + 1) as f64 * ((1.0 - upper[i]).ln() + upper[n - 1 - i].ln())).sum();
    -(n as f64) - sum / n as f64
}

/// Whether the statistic of a fit is not among the largest twentieth of those by chance.
fn fits(over: &[f64], scale: f64, shape: f64) -> bool {
    let found = anderson_darling(over, scale, shape);
    let mut random = Seed::new(over.len() as u64).child("pareto").random();
    let larger = (0..DRAWS).filter(|_| {
        let mut drawn: Vec<f64> = (0..over.len()).map(|_| draw(&mut random, scale, shape)).collect();
        drawn.sort_by(f64::total_cmp);
        unbounded(&drawn).is_some_and(|(scale, shape)| anderson_darling(&drawn, scale, shape) >= found)
    });
    (larger.count() + 1) as f64 / (DRAWS + 1) as f64 > 0.05
}

/// A value of the distribution, by its inverse.
fn draw(random: &mut Random, scale: f64, shape: f64) -> f64 {
    let u = (1.0 - random.uniform()).max(1e-300);
    if shape.abs() < EXPONENTIAL { -scale * u.ln() } else { scale / shape * (1.0 - u.powf(shape)) }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "statistics are single precision")]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Uniform on 0 to 1 is k = 1, a = 1: mean 1/2, variance 1/12.
        let (scale, shape) = (1.0, 1.0);
        assert!((survival(0.25, scale, shape) - 0.75).abs() < 1e-12);
        assert_eq!(survival(1.5, scale, shape), 0.0);
        assert!((survival(2.0, 1.0, 0.0) - (-2.0f64).exp()).abs() < 1e-12);
        // k = -1/2, a = 1: (1 + y / 2)^-2.
        assert!((survival(2.0, 1.0, -0.5) - 0.25).abs() < 1e-12);
        // Mean 2, variance 4 (of 1, 1, 4 with n - 1: 3): ratio 4/3, a = 2 * 7/6, k = 1/6.
        let (scale, shape) = moments(&[1.0, 1.0, 4.0]).unwrap();
        assert!((scale - 7.0 / 3.0).abs() < 1e-12 && (shape - 1.0 / 6.0).abs() < 1e-12);
        assert!(moments(&[2.0, 2.0]).is_none());
        // One value at the median: -1 - (ln 0.5 + ln 0.5).
        assert!((anderson_darling(&[0.5], 1.0, 1.0) - (2.0 * 2f64.ln() - 1.0)).abs() < 1e-12);
    }

    #[test]
    fn far_values_of_known_tails() {
        let of = |n: usize, seed: u64, inverse: &dyn Fn(f64) -> f64| -> Vec<f32> {
            let mut random = Seed::new(seed).random();
            (0..n).map(|_| inverse(1.0 - random.uniform()) as f32).collect()
        };
        // Exponential: P(X > ln 1e5) = 1e-5, a hundred times less than 1000 shuffles show.
        for seed in 0..5 {
            let tail = ParetoTail::fit(&of(5000, seed, &|u| -u.ln())).unwrap();
            let p = tail.p(1e5f64.ln()).unwrap_or(0.0);
            assert!((1e-7..2e-4).contains(&p), "{p} {tail:?}");
            // Inside the values it is their share.
            let p = tail.p(20f64.ln()).unwrap();
            assert!((p - 0.05).abs() < 0.01, "{p}");
            assert_eq!(tail.p(1.0), None);
            assert_eq!(tail.p(100.0), Some(0.01 / 5000.0));
        }
        // No tail ends: the larger the value, the smaller p, and p is no smaller than that of a tail that does end.
        let mut random = Seed::new(5).random();
        let largest: Vec<f32> =
            (0..500).map(|_| (0..50).map(|_| random.normal().abs()).fold(0.0, f64::max) as f32).collect();
        let tail = ParetoTail::fit(&largest).unwrap();
        let p: Vec<f64> = (0..60).filter_map(|n| tail.p(3.0 + 0.1 * f64::from(n))).collect();
        assert!(p.len() > 40 && p.windows(2).all(|w| w[1] <= w[0]), "{p:?}");
        // P(max of 50 > 4.5) = 50 * 6.8e-6.
        assert!(tail.p(4.5).unwrap() > 3.4e-4, "{tail:?}");
        assert!(ParetoTail::fit(&of(100, 1, &|u| -u.ln())).is_none());
        assert!(ParetoTail::fit(&vec![1.0; 1000]).is_none());
    }

    /// A value from the same distribution as the shuffles has a p below a level as often as the level says.
    #[test]
    fn without_an_effect_p_keeps_its_level() {
        let (mut below, studies) = (0, 1500);
        for study in 0..studies {
            let mut random = Seed::new(3).index(study).random();
            let mut largest = || (0..20).map(|_| random.normal().abs()).fold(0.0, f64::max) as f32;
            let observed = largest();
            let shuffles: Vec<f32> = (0..200).map(|_| largest()).collect();
            let p = ParetoTail::fit(&shuffles).and_then(|tail| tail.p(f64::from(observed)));
            below += usize::from(p.is_some_and(|p| p < 0.01));
        }
        // At most 15 of 1500, with a standard deviation of 3.9: tails that would end are taken longer.
        assert!((1..=27).contains(&below), "{below} of {studies}");
    }
}
