//! 95 % intervals: Wilson, Newcombe, bootstrap.

use super::{Estimate, FoldPrediction};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use voxplain_core::random::Seed;

/// The normal quantile of 0.975.
const Z: f64 = 1.959_963_984_540_054;

/// How the bootstrap is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resampling {
    /// Number of resamples; 2000 give the ends of a 95 % interval to about a tenth of its width.
    pub resamples: usize,
    /// What they are drawn from.
    pub seed: u64,
}

impl Resampling {
    /// 2000 resamples.
    pub fn seeded(seed: u64) -> Self {
        Self { resamples: 2000, seed }
    }
}

/// Wilson's score interval of a share.
pub(crate) fn wilson(right: usize, of: usize) -> Estimate {
    let (p, n) = (right as f64 / of as f64, of as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Round-off must not push an end past the value where the share is 0 or 1.
    let (low, high) = ((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0));
    Estimate { value: p, low, high, interval: "wilson".into() }
}

/// Newcombe's method 5: the areas `t` with `|value - t| <= z sqrt(V(t))`, where `V` is the variance of Hanley and `McNeil`
/// with both class sizes in the correction replaced by their mean.
pub(super) fn newcombe(value: f64, positives: usize, negatives: usize) -> Estimate {
    let (m, n) = (positives as f64, negatives as f64);
    let correction = (m + n) / 2.0 - 1.0;
    let variance =
        |t: f64| t * (1.0 - t) / (m * n) * (1.0 + correction * (1.0 - t) / (2.0 - t) + correction * t / (1.0 + t));
    let inside = |t: f64| (value - t).abs() <= Z * variance(t).sqrt();
    // `value` itself is inside (or is 0 or 1, where one end is); the ends 0 and 1 are outside: bisect between.
    let end = |limit: f64| {
        let (mut within, mut beyond) = (value, limit);
        if inside(limit) {
            return limit;
        }
        for _ in 0..60 {
            let middle = f64::midpoint(within, beyond);
            if inside(middle) { within = middle } else { beyond = middle }
        }
        within
    };
    Estimate { value, low: end(0.0), high: end(1.0), interval: "newcombe".into() }
}

/// Resampled sets of subjects: the same for every statistic, so that comparisons are paired.
#[derive(Clone, Debug)]
pub struct Resamples<'a> {
    predictions: &'a [FoldPrediction],
    draws: Vec<Vec<usize>>,
    grouped: bool,
}

impl<'a> Resamples<'a> {
    /// Draws subjects with replacement within each class; whole groups where there are any.
    pub fn draw(predictions: &'a [FoldPrediction], classes: usize, resampling: &Resampling) -> Self {
        let grouped = predictions.iter().any(|v| v.group.is_some());
        // What is drawn together, in strata that keep their sizes.
        let strata: Vec<Vec<Vec<usize>>> = if grouped {
            let mut groups = std::collections::BTreeMap::<_, Vec<usize>>::new();
            for (n, v) in predictions.iter().enumerate() {
                groups.entry(v.group.ok_or(n)).or_default().push(n);
            }
            vec![groups.into_values().collect()]
        } else {
            (0..classes)
                .map(|c| (0..predictions.len()).filter(|&n| predictions[n].truth == c).map(|n| vec![n]).collect())
                .collect()
        };
        let draws = (0..resampling.resamples)
            .map(|r| {
                let mut random = Seed::new(resampling.seed).child("bootstrap").index(r as u64).random();
                let mut draw = Vec::with_capacity(predictions.len());
                for stratum in strata.iter().filter(|s| !s.is_empty()) {
                    for _ in 0..stratum.len() {
                        draw.extend(&stratum[random.below(stratum.len())]);
                    }
                }
                draw
            })
            .collect();
        Self { predictions, draws, grouped }
    }

    /// Whether groups were drawn.
    pub fn grouped(&self) -> bool {
        self.grouped
    }

    /// A statistic of the subjects with its interval; `None` where it cannot be had, in the sample or in so many
    /// resamples that the interval would mean little (one in ten).
    pub fn estimate(&self, statistic: &(dyn Fn(&[&FoldPrediction]) -> Option<f64> + Sync)) -> Option<Estimate> {
        let value = statistic(&self.predictions.iter().collect::<Vec<_>>())?;
        self.percentiles(value, |draw| statistic(&draw.iter().map(|&n| &self.predictions[n]).collect::<Vec<_>>()))
    }

    /// A statistic of these subjects minus that of the same subjects as another classifier judged them.
    pub fn difference(
        &self,
        others: &[FoldPrediction],
        statistic: &(dyn Fn(&[&FoldPrediction]) -> Option<f64> + Sync),
    ) -> Option<Estimate> {
        let of = |draw: &[usize]| {
            let one = statistic(&draw.iter().map(|&n| &self.predictions[n]).collect::<Vec<_>>())?;
            Some(one - statistic(&draw.iter().map(|&n| &others[n]).collect::<Vec<_>>())?)
        };
        self.percentiles(of(&(0..others.len()).collect::<Vec<_>>())?, of)
    }

    fn percentiles(&self, value: f64, of: impl Fn(&[usize]) -> Option<f64> + Sync) -> Option<Estimate> {
        let mut values: Vec<f64> =
            self.draws.par_iter().filter_map(|draw| of(draw)).filter(|v| v.is_finite()).collect();
        if values.is_empty() || values.len() * 10 < self.draws.len() * 9 || !value.is_finite() {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let interval = if self.grouped { "group-bootstrap" } else { "bootstrap" };
        Some(Estimate {
            value,
            low: quantile(&values, 0.025),
            high: quantile(&values, 0.975),
            interval: interval.into(),
        })
    }
}

/// Linear between order statistics, as NumPy's default. `sorted` is not empty.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}
