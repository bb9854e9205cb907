//! [`Estimate`]: a number with its interval, and the intervals of single shares and areas.

use serde::{Deserialize, Serialize};

/// The normal quantile of 0.975.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// A number with its interval over subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end of the 95 % interval; absent where none can be given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub high: Option<f64>,
    /// How the interval was found (`wilson`, `newcombe`, `clustered-wilson`, ...), or why there is none (`none: ...`).
    pub interval: String,
}

impl Estimate {
    /// Both ends of the interval, where there is one.
    pub fn ends(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }

    /// A number with the percentiles, 2.5 and 97.5, of what resamples gave.
    pub(crate) fn percentiles(value: f64, mut drawn: Vec<f64>, resamples: usize) -> Self {
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in a list")]
            let n = (share * (drawn.len() - 1) as f64).round() as usize;
            drawn[n]
        };
        let interval = format!("percentiles of {resamples} resamples of people, each matched anew");
        Self { value, low: Some(at(0.025)), high: Some(at(0.975)), interval }
    }

    /// A share among so many independent subjects, with Wilson's score interval.
    pub fn share(right: usize, of: usize) -> Self {
        let p = right as f64 / of as f64;
        let (low, high) = wilson(p, of as f64, Z);
        Self { value: p, low: Some(low), high: Some(high), interval: "wilson".into() }
    }
}

/// Wilson's score interval (Wilson 1927) of a share among `n` subjects, which need not be a whole number.
pub(crate) fn wilson(p: f64, n: f64, z: f64) -> (f64, f64) {
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    // Round-off must not push an end past the value where the share is 0 or 1.
    ((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0))
}

/// Newcombe's method 5 (Newcombe 2006, Stat Med 25:559): the areas `t` with `|value - t| <= z sqrt(V(t))`, where `V` is the variance of
/// Hanley and `McNeil` with both class sizes in the correction replaced by their mean. It stays open at 1.
pub(crate) fn newcombe(value: f64, m: f64, n: f64, z: f64) -> (f64, f64) {
    let correction = (m + n) / 2.0 - 1.0;
    let variance =
        |t: f64| t * (1.0 - t) / (m * n) * (1.0 + correction * (1.0 - t) / (2.0 - t) + correction * t / (1.0 + t));
    let inside = |t: f64| (value - t).abs() <= z * variance(t).max(0.0).sqrt();
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
    (end(0.0), end(1.0))
}
