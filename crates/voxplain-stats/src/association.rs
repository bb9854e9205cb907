//! [`Association`]: how two columns of a table go together, as an effect size with a p by permutation; and [`holm`].

use crate::inference::{EffectSize, hedges_g, partial_r};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use voxplain_core::random::Seed;

/// A column without gaps.
#[derive(Clone, Copy, Debug)]
pub enum Variable<'a> {
    /// Numbers.
    Numbers(&'a [f64]),
    /// Classes, from 0.
    Classes(&'a [usize]),
}

/// What an effect size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// Hedges' g of numbers in two classes, the later class less the first.
    HedgesG,
    /// The share of the variance of numbers that lies between more than two classes, 0 to 1.
    EtaSquared,
    /// Cramér's V of two columns of classes, 0 to 1.
    CramersV,
    /// Pearson's correlation of two columns of numbers.
    R,
}

impl EffectKind {
    /// `g`, `eta2`, `V`, `r`.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::HedgesG => "g",
            Self::EtaSquared => "eta2",
            Self::CramersV => "V",
            Self::R => "r",
        }
    }
}

/// How two columns go together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// What the effect is.
    pub kind: EffectKind,
    /// Its size.
    pub value: f64,
    /// Ends of its 95 % interval: of Hedges' g by the variance of large samples (Hedges and Olkin 1985), of r by Fisher's z; the others, which
    /// are never below 0, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Its upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Share of the permutations of one column, the observed one counted, that are as extreme: two-sided.
    pub p: f64,
}

impl Association {
    /// Of two columns of the same people, who are taken to be independent. `None` where a column does not vary, or for fewer than four
    /// people.
    pub fn of(one: Variable<'_>, other: Variable<'_>, permutations: usize, seed: Seed) -> Option<Self> {
        use Variable::{Classes, Numbers};
        let (kind, value, ends, p) = match (one, other) {
            (Numbers(a), Numbers(b)) => {
                let n = a.len();
                let (a, b) = (centred(a)?, centred(b)?);
                let products = |b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
                let r = (products(&b) / (squares(&a) * squares(&b)).sqrt()).clamp(-1.0, 1.0);
                let freedom = n as f64 - 2.0;
                let t = r * (freedom / (1.0 - r * r)).sqrt();
                let ends = if t.is_finite() { Some(partial_r(t, freedom)) } else { None };
                let p = extreme(b, permutations, seed, |b| products(b).abs());
                (EffectKind::R, r, ends, p)
            }
            (Numbers(values), Classes(classes)) | (Classes(classes), Numbers(values)) => {
                let values = centred(values)?;
                let (classes, count) = compact(classes)?;
                let mut sizes = vec![0.0f64; count];
                classes.iter().for_each(|&c| sizes[c] += 1.0);
                let total = squares(&values);
                let between = |values: &[f64]| {
                    let mut sums = vec![0.0; count];
                    classes.iter().zip(values).for_each(|(&c, v)| sums[c] += v);
                    sums.iter().zip(&sizes).map(|(sum, n)| sum * sum / n).sum::<f64>()
                };
                let share = (between(&values) / total).clamp(0.0, 1.0);
                let p = extreme(values.clone(), permutations, seed, between);
                if count > 2 {
                    (EffectKind::EtaSquared, share, None, p)
                } else {
                    let mean = |class: usize| {
                        let of = classes.iter().zip(&values).filter(|(c, _)| **c == class);
                        of.map(|(_, v)| v).sum::<f64>() / sizes[class]
                    };
                    let freedom = values.len() as f64 - 2.0;
                    let within = (total - between(&values)).max(0.0) / freedom;
                    let t = (mean(1) - mean(0)) / (within * (1.0 / sizes[0] + 1.0 / sizes[1])).sqrt();
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are counts")]
                    let effect = hedges_g(t, freedom, [sizes[0] as usize, sizes[1] as usize]);
                    // Without any spread within the classes there is no g.
                    if !t.is_finite() || freedom < 2.0 {
                        return None;
                    }
                    (EffectKind::HedgesG, effect.value, Some(effect), p)
                }
            }
            (Classes(one), Classes(other)) => {
                let ((one, rows), (other, columns)) = (compact(one)?, compact(other)?);
                let n = one.len() as f64;
                let sizes = |of: &[usize], count: usize| {
                    let mut sizes = vec![0.0f64; count];
                    of.iter().for_each(|&c| sizes[c] += 1.0);
                    sizes
                };
                let (a, b) = (sizes(&one, rows), sizes(&other, columns));
                let chi = |other: &[usize]| {
                    let mut cells = vec![0.0f64; rows * columns];
                    one.iter().zip(other).for_each(|(&r, &c)| cells[r * columns + c] += 1.0);
                    let of = |(cell, &count): (usize, &f64)| {
                        let expected = a[cell / columns] * b[cell % columns] / n;
                        (count - expected).powi(2) / expected
                    };
                    cells.iter().enumerate().map(of).sum::<f64>()
                };
                let v = (chi(&other) / (n * (rows.min(columns) - 1) as f64)).sqrt().min(1.0);
                let p = extreme(other, permutations, seed, chi);
                (EffectKind::CramersV, v, None, p)
            }
        };
        let ends: Option<EffectSize> = ends.filter(|e| e.low.is_finite() && e.high.is_finite());
        Some(Self { kind, value, low: ends.map(|e| e.low), high: ends.map(|e| e.high), p })
    }
}

/// Values less their mean; `None` where they do not vary, or are fewer than four.
fn centred(values: &[f64]) -> Option<Vec<f64>> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let centred: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let spread = (squares(&centred) / values.len().max(1) as f64).sqrt();
    (values.len() >= 4 && spread > 1e-12 * mean.abs() && spread > 0.0).then_some(centred)
}

fn squares(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum()
}

/// Classes without those that nobody is of, and how many are left; `None` where it is one, or for fewer than four people.
fn compact(classes: &[usize]) -> Option<(Vec<usize>, usize)> {
    let mut of: BTreeMap<usize, usize> = classes.iter().map(|&c| (c, 0)).collect();
    of.values_mut().enumerate().for_each(|(n, place)| *place = n);
    (classes.len() >= 4 && of.len() > 1).then(|| (classes.iter().map(|c| of[c]).collect(), of.len()))
}

/// The share of permutations, the observed order counted, whose statistic is at least the observed one, up to rounding.
fn extreme<T>(mut column: Vec<T>, permutations: usize, seed: Seed, statistic: impl Fn(&[T]) -> f64) -> f64 {
    let observed = statistic(&column);
    let least = observed - 1e-9 * observed.abs();
    let mut random = seed.random();
    let mut count = 1;
    for _ in 0..permutations {
        random.shuffle(&mut column);
        count += usize::from(statistic(&column) >= least);
    }
    count as f64 / (permutations + 1) as f64
}

/// p-values corrected for how many they are (Holm 1979): the chance of any false one among those at or below a level is at most that level,
/// whatever their dependence.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut before = 0.0f64;
    for (rank, &n) in order.iter().enumerate() {
        before = before.max((p[n] * (p.len() - rank) as f64).min(1.0));
        corrected[n] = before;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use Variable::{Classes, Numbers};
    use proptest::prelude::*;

    fn of(one: Variable<'_>, other: Variable<'_>) -> Association {
        Association::of(one, other, 999, Seed::new(1)).unwrap()
    }

    /// Means 2 and 5, variance 1 within each: t = 3 / sqrt(2/3), J = 1 - 3 / 15.
    #[test]
    fn by_hand() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let g = of(Numbers(&values), Classes(&[0, 0, 0, 1, 1, 1]));
        assert!(g.kind == EffectKind::HedgesG && (g.value - 0.8 * 3.0).abs() < 1e-12, "{g:?}");
        // Two of the 20 ways to divide six are as extreme.
        assert!((g.p - 0.1).abs() < 0.03, "{g:?}");
        // Between 3 * 1.5² * 2 = 13.5 of 17.5.
        let eta = of(Classes(&[0, 0, 1, 1, 7, 7]), Numbers(&values));
        assert!(eta.kind == EffectKind::EtaSquared && (eta.value - 16.0 / 17.5).abs() < 1e-12, "{eta:?}");
        // 3 1 / 1 3: chi² = 4 * 1 / 2 = 2 of 8.
        let v = of(Classes(&[0, 0, 0, 0, 1, 1, 1, 1]), Classes(&[0, 0, 0, 1, 1, 1, 1, 0]));
        assert!(v.kind == EffectKind::CramersV && (v.value - 0.5).abs() < 1e-12 && v.low.is_none(), "{v:?}");
        let r = of(Numbers(&[1.0, 2.0, 3.0, 4.0]), Numbers(&[1.0, 3.0, 2.0, 4.0]));
        assert!((r.value - 0.8).abs() < 1e-12, "{r:?}");
        // On a line there is no interval.
        let r = of(Numbers(&[1.0, 2.0, 3.0, 4.0]), Numbers(&[2.0, 4.0, 6.0, 8.0]));
        assert!(r.value == 1.0 && r.low.is_none(), "{r:?}");
        for (a, b) in
            [(&[1.0; 6], [0, 0, 0, 1, 1, 1]), (&values, [0; 6]), (&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], [0, 0, 0, 1, 1, 1])]
        {
            assert!(Association::of(Numbers(a), Classes(&b), 9, Seed::new(0)).is_none());
        }
    }

    #[test]
    fn holm_by_hand() {
        assert_eq!(holm(&[0.04, 0.01, 0.03, 0.5]), [0.09, 0.04, 0.09, 0.5]);
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        /// Columns without relation are called related in no more than their share of cases.
        #[test]
        fn p_of_nothing_is_even(seed in 0u64..4) {
            let mut below = 0;
            for study in 0..200 {
                let mut random = Seed::new(seed).index(study).random();
                let classes: Vec<usize> = (0..20).map(|_| random.below(3)).collect();
                let values: Vec<f64> = (0..20).map(|_| random.normal().exp()).collect();
                if let Some(found) = Association::of(Numbers(&values), Classes(&classes), 99, Seed::new(study)) {
                    below += usize::from(found.p <= 0.1);
                }
            }
            // 200 of 0.1: 20, standard deviation 4.2.
            prop_assert!(below < 38, "{below}");
        }
    }
}
