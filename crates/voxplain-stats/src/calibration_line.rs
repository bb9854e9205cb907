//! [`CalibrationLine`]: by how much, and how steeply, the log odds that were said miss those that were there.

use crate::{Estimate, MIN_GROUPS, student_t};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A probability of the positive class, whether the subject is of it, and its group where there are groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// The probability, 0 to 1.
    pub probability: f64,
    /// Whether the subject is of the positive class.
    pub is_positive: bool,
    /// The group of the subject; `None` for all where each subject is independent.
    pub group: Option<usize>,
}

/// The logistic regression of the class on the log odds of the probability (Cox 1958, Biometrika 45:562; Van Calster et al. 2019,
/// BMC Medicine 17:230).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationLine {
    /// What is added to all log odds, their slope left at 1, so that as many are positive as were said: 0 where that is so, above 0
    /// where the positive class was said too rarely.
    pub intercept: Estimate,
    /// The slope of the line with its own intercept: below 1 where probabilities are too extreme, above 1 where they are too timid, 0
    /// where they say nothing. Absent where a line without bound fits best, as where the classes are told apart without a fault.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slope: Option<Estimate>,
}

/// Probabilities are taken as at least so far from 0 and 1: beyond it their log odds grow without bound.
const EDGE: f64 = 1e-6;

/// Sizes of coefficients that a fit that has an end does not reach.
const ENDLESS: f64 = 1e3;

fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(EDGE, 1.0 - EDGE);
    (p / (1.0 - p)).ln()
}

fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

impl CalibrationLine {
    /// Of these subjects. `None` where all are of one class, or a probability is none.
    ///
    /// Intervals are those of Wald, from the expected information; over groups from the sum of each group's scores (Liang and Zeger
    /// 1986) with Student's t of the groups less one, no narrower than without groups, and none below [`MIN_GROUPS`] groups.
    pub fn of(said: &[Said]) -> Option<Self> {
        if said.iter().any(|s| !(0.0..=1.0).contains(&s.probability)) {
            return None;
        }
        let [intercept, _] = fit(said, false)?;
        let estimate = |value: f64, at: usize, line: [f64; 2], sloped: bool| {
            let (error, quantile, how) = match spread(said, line, sloped) {
                Ok((variances, quantile, how)) => (variances[at].sqrt(), quantile, how),
                Err(why) => return Estimate { value, low: None, high: None, interval: why },
            };
            let half = quantile * error;
            Estimate { value, low: Some(value - half), high: Some(value + half), interval: how.into() }
        };
        let line = fit(said, true);
        Some(Self {
            intercept: estimate(intercept, 0, [intercept, 1.0], false),
            slope: line.map(|line| estimate(line[1], 1, line, true)),
        })
    }
}

/// Each subject's probability with the intercept of all added to its log odds. It is fitted on these same subjects: what is then found right
/// is more than it would be of others, though by one number alone. `None` where all are of one class.
///
/// An intercept for each from all others would not do: where the probabilities say little, the one who is left out tips it the other way, and
/// everybody is told wrong.
pub fn recalibrated(said: &[Said]) -> Option<Vec<f64>> {
    let [intercept, _] = fit(said, false)?;
    Some(said.iter().map(|s| logistic(log_odds(s.probability) + intercept)).collect())
}

/// Intercept and slope of the largest likelihood, the slope 1 unless it is `sloped`. Newton's method with halved steps.
fn fit(said: &[Said], sloped: bool) -> Option<[f64; 2]> {
    let positive = said.iter().filter(|s| s.is_positive).count();
    if positive == 0 || positive == said.len() {
        return None;
    }
    let likelihood = |[a, b]: [f64; 2]| -> f64 {
        let of = |s: &Said| {
            let z = a + b * log_odds(s.probability);
            let signed = if s.is_positive { z } else { -z };
            // ln(1 / (1 + exp(-signed)))
            if signed > 0.0 { -(-signed).exp().ln_1p() } else { signed - signed.exp().ln_1p() }
        };
        said.iter().map(of).sum()
    };
    let mut line = [0.0, 1.0];
    let mut now = likelihood(line);
    for _ in 0..200 {
        let (score, information) = derivatives(said, line);
        let step = if sloped {
            let inverse = inverse(information)?;
            [0, 1].map(|n| inverse[n][0] * score[0] + inverse[n][1] * score[1])
        } else {
            [score[0] / information[0][0], 0.0]
        };
        if step.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut share = 1.0;
        let next = loop {
            let next = [line[0] + share * step[0], line[1] + share * step[1]];
            if likelihood(next) >= now || share < 1e-9 {
                break next;
            }
            share /= 2.0;
        };
        let moved = (0..2).map(|n| (next[n] - line[n]).abs()).fold(0.0, f64::max);
        line = next;
        now = likelihood(line);
        if line.iter().any(|v| v.abs() > ENDLESS) {
            return None;
        }
        if moved < 1e-10 {
            // Classes that are told apart without a fault: the likelihood nears 1, and the line grows without end.
            return (!sloped || now < -1e-6).then_some(line);
        }
    }
    None
}

/// First derivatives of the log likelihood, and the expected information.
fn derivatives(said: &[Said], [a, b]: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let (mut score, mut information) = ([0.0; 2], [[0.0; 2]; 2]);
    for s in said {
        let x = [1.0, log_odds(s.probability)];
        let p = logistic(a + b * x[1]);
        let residual = f64::from(u8::from(s.is_positive)) - p;
        for n in 0..2 {
            score[n] += residual * x[n];
            (0..2).for_each(|m| information[n][m] += p * (1.0 - p) * x[n] * x[m]);
        }
    }
    (score, information)
}

fn inverse([[a, b], [c, d]]: [[f64; 2]; 2]) -> Option<[[f64; 2]; 2]> {
    let determinant = a * d - b * c;
    (determinant.abs() > 1e-12 * (a * d).abs()).then(|| [[d, -b], [-c, a]].map(|row| row.map(|v| v / determinant)))
}

/// Variances of intercept and slope at a line, the quantile that goes with them, and how they were found; or why there are none.
fn spread(said: &[Said], line: [f64; 2], sloped: bool) -> Result<([f64; 2], f64, &'static str), String> {
    let (_, information) = derivatives(said, line);
    let bread = match sloped {
        true => inverse(information).ok_or("none: the probabilities do not differ")?,
        false => [[1.0 / information[0][0], 0.0], [0.0; 2]],
    };
    let mut groups = BTreeMap::<usize, [f64; 2]>::new();
    for s in said {
        let Some(group) = s.group else {
            return Ok(([bread[0][0], bread[1][1]], crate::estimate::Z, "wald"));
        };
        let (score, _) = derivatives(std::slice::from_ref(s), line);
        let of = groups.entry(group).or_default();
        (0..2).for_each(|n| of[n] += score[n]);
    }
    let count = groups.len();
    if count < MIN_GROUPS {
        let are = if count == 1 { "group is" } else { "groups are" };
        return Err(format!("none: {count} {are} too few, at least {MIN_GROUPS} are needed"));
    }
    let scale = count as f64 / (count as f64 - 1.0);
    let variance = |n: usize| {
        let along = |of: &[f64; 2]| bread[n][0] * of[0] + bread[n][1] * of[1];
        // Residuals of one person can cancel (one scan of each class), which is no evidence: not less than of independent subjects.
        (scale * groups.values().map(|of| along(of).powi(2)).sum::<f64>()).max(bread[n][n])
    };
    Ok(([variance(0), variance(1)], student_t(0.975, count as f64 - 1.0), "clustered-wald"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(all: &[(f64, bool)]) -> Vec<Said> {
        all.iter().map(|&(probability, is_positive)| Said { probability, is_positive, group: None }).collect()
    }

    /// Everybody is said to be positive with a half, and three of four are: log odds of 3, information 4 times 3/16.
    #[test]
    fn by_hand() {
        let line = CalibrationLine::of(&said(&[(0.5, true), (0.5, true), (0.5, true), (0.5, false)])).unwrap();
        assert!((line.intercept.value - 3f64.ln()).abs() < 1e-9);
        let half = 1.959_964 / 0.75f64.sqrt();
        assert!((line.intercept.high.unwrap() - line.intercept.value - half).abs() < 1e-5);
        assert!(line.slope.is_none(), "one probability has no slope");
        // Two groups of 0.2 and 0.8, of which 1 in 4 and 3 in 4 are positive: the line goes through both.
        let two: Vec<_> = (0..8).map(|n| (if n < 4 { 0.2 } else { 0.8 }, n == 0 || n > 4)).collect();
        let line = CalibrationLine::of(&said(&two)).unwrap();
        assert!(line.intercept.value.abs() < 1e-9);
        assert!((line.slope.unwrap().value - 3f64.ln() / 4f64.ln()).abs() < 1e-9);
        // Without a fault, and of one class.
        assert!(
            CalibrationLine::of(&said(&[(0.9, true), (0.8, true), (0.1, false), (0.2, false)]))
                .unwrap()
                .slope
                .is_none()
        );
        assert!(CalibrationLine::of(&said(&[(0.9, true), (0.8, true)])).is_none());
        assert!(CalibrationLine::of(&said(&[(1.5, true), (0.8, false)])).is_none());
        // A half for four of whom one is positive becomes a quarter.
        let moved = recalibrated(&said(&[(0.5, true), (0.5, false), (0.5, false), (0.5, false)])).unwrap();
        assert!(moved.iter().all(|p| (p - 0.25).abs() < 1e-9));
        assert!(recalibrated(&said(&[(0.5, true)])).is_none());
    }

    proptest! {
        /// With the intercept added, as many are positive as are said; a shift of all log odds moves the intercept by as much the other
        /// way, and leaves the slope.
        #[test]
        fn laws(all in prop::collection::vec((0.02..0.98f64, any::<bool>()), 4..40), shift in -1.0..1.0f64) {
            let all = said(&all);
            let Some(line) = CalibrationLine::of(&all) else { return Ok(()) };
            let expected: f64 = all.iter().map(|s| logistic(log_odds(s.probability) + line.intercept.value)).sum();
            let there = all.iter().filter(|s| s.is_positive).count() as f64;
            prop_assert!((expected - there).abs() < 1e-6);
            let moved: Vec<Said> =
                all.iter().map(|s| Said { probability: logistic(log_odds(s.probability) + shift), ..*s }).collect();
            let other = CalibrationLine::of(&moved).unwrap();
            prop_assert!((other.intercept.value - line.intercept.value + shift).abs() < 1e-6);
            if let (Some(a), Some(b)) = (line.slope, other.slope) {
                prop_assert!((a.value - b.value).abs() < 1e-4 * a.value.abs().max(1.0), "{} {}", a.value, b.value);
            }
        }
    }
}
