//! How alike two maps are, voxel by voxel inside the brain.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which voxels count as the top of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Top {
    /// Those with the largest |value|, of either sign.
    Absolute,
    /// Those with the largest value, which must be above 0.
    Positive,
}

/// The overlap of the top voxels of two maps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Dice's coefficient of the two sets, which have the same volume.
    pub dice: f64,
    /// `(D - p) / (1 - p)` with `p` the part of the brain that each set takes: 0 is what chance gives, 1 is identity.
    pub corrected: f64,
}

/// The parts of the brain whose overlap is asked for, in per cent: top 1, 2, 5, 10, 20.
pub const PERCENTS: [f64; 5] = [1.0, 2.0, 5.0, 10.0, 20.0];

/// Pearson's correlation of two lists of values; `None` if one of them does not vary.
///
/// # Errors
/// Lists of different length.
pub fn pearson(a: &[f32], b: &[f32]) -> Result<Option<f64>> {
    same_length(a, b)?;
    let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    Ok(correlation(&wide(a), &wide(b)))
}

/// Spearman's correlation: Pearson's of the ranks, values that are equal sharing the mean of their ranks. `None` if
/// one of the lists does not vary.
///
/// # Errors
/// Lists of different length.
pub fn spearman(a: &[f32], b: &[f32]) -> Result<Option<f64>> {
    same_length(a, b)?;
    Ok(correlation(&ranks(a), &ranks(b)))
}

fn same_length(a: &[f32], b: &[f32]) -> Result<()> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(Error::request(
        format!("maps of {} and {} voxels cannot be compared", a.len(), b.len()),
        "compare maps on one grid, inside one mask",
    ))
}

/// Ranks from 1; equal values share the mean of their ranks (-0 equals 0).
pub fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = first as f64 + (run.len() as f64 + 1.0) / 2.0;
        run.iter().for_each(|&n| ranks[n] = mean);
        first += run.len();
    }
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len() as f64;
    let mean = |x: &[f64]| x.iter().sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
        ab += (x - ma) * (y - mb);
    }
    (aa > 0.0 && bb > 0.0).then(|| (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
}

/// The overlap of the top `percent` of the voxels of two maps given at the same voxels of one brain.
///
/// Each set has `k = round(n percent / 100)` voxels, at least one, so that volumes match; background does not count.
/// Where more voxels tie at the threshold than fit, each belongs in part, so that the set's volume is `k`; two parts
/// overlap in the lesser, so that a map overlaps itself wholly. `None` where a map has fewer than `k` voxels that are
/// off zero ([`Top::Absolute`]) or above it ([`Top::Positive`]): there is then no such set.
///
/// The code published with Kan et al. 2020 counts every voxel where two masks agree, background included, so that
/// disjoint masks of 2.67 % each score 0.9466; here they score 0, and a little less than 0 corrected for chance.
///
/// # Errors
/// Lists of different length.
pub fn overlap(a: &[f32], b: &[f32], percent: f64, top: Top) -> Result<Option<Overlap>> {
    same_length(a, b)?;
    let k = count(a.len(), percent);
    if k == 0 || k >= a.len() {
        return Ok(None);
    }
    let (Some(ta), Some(tb)) = (Threshold::of(a, k, top), Threshold::of(b, k, top)) else { return Ok(None) };
    let both: f64 = a.iter().zip(b).map(|(&x, &y)| ta.part(x).min(tb.part(y))).sum();
    let (dice, p) = (both / k as f64, k as f64 / a.len() as f64);
    Ok(Some(Overlap { dice, corrected: (dice - p) / (1.0 - p) }))
}

/// Number of voxels in the top `percent` of `n`: rounded, at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and n")]
fn count(n: usize, percent: f64) -> usize {
    if n == 0 { 0 } else { ((n as f64 * percent / 100.0).round().clamp(1.0, n as f64)) as usize }
}

/// What makes a voxel one of the top `k`.
struct Threshold {
    top: Top,
    /// The `k`th largest value.
    value: f32,
    /// How much of each voxel at the threshold belongs.
    part: f64,
}

impl Threshold {
    fn of(values: &[f32], k: usize, top: Top) -> Option<Self> {
        let mut sorted: Vec<f32> = values.iter().map(|&v| key(v, top)).collect();
        let (above, &mut value, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        if value <= 0.0 {
            return None;
        }
        let sure = above.iter().filter(|&&v| v > value).count();
        let tied = values.iter().filter(|&&v| key(v, top) == value).count();
        Some(Self { top, value, part: (k - sure) as f64 / tied as f64 })
    }

    fn part(&self, value: f32) -> f64 {
        match key(value, self.top) {
            v if v > self.value => 1.0,
            v if v == self.value => self.part,
            _ => 0.0,
        }
    }
}

fn key(value: f32, top: Top) -> f32 {
    match top {
        Top::Absolute => value.abs(),
        Top::Positive => value + 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // Ranks with ties: 10 and 10 share 2.5.
        assert_eq!(ranks(&[5.0, 10.0, 10.0, 20.0]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        // The textbook's case without ties: 1 - 6 Σd² / n(n²-1) with d = (0, -1, 1, -1, 1): 1 - 24/120.
        let rho = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[10.0, 30.0, 20.0, 50.0, 40.0]).unwrap().unwrap();
        assert!((rho - 0.8).abs() < 1e-15, "{rho}");
        let r = pearson(&[0.0, 1.0, 2.0], &[0.0, 1.0, 4.0]).unwrap().unwrap();
        assert!((r - 4.0 / (2.0f64 * 26.0 / 3.0).sqrt()).abs() < 1e-15, "{r}");
        assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]).unwrap(), None);
        assert!(spearman(&[1.0], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn disjoint_masks_score_nothing() {
        // The 2020 code gives 2 · 94.66 / (2 · 100) for masks of 2.67 % that share no voxel.
        let (mut a, mut b) = (vec![0.0; 10_000], vec![0.0; 10_000]);
        a[..267].fill(1.0);
        b[267..534].fill(1.0);
        let o = overlap(&a, &b, 2.67, Top::Positive).unwrap().unwrap();
        assert_eq!(o.dice, 0.0);
        assert!((o.corrected - -0.0267 / 0.9733).abs() < 1e-12);
        let agreement = a.iter().zip(&b).filter(|(x, y)| x == y).count();
        assert_eq!(agreement, 9466);
    }

    #[test]
    fn top_of_either_sign() {
        let a = [-9.0, 8.0, 0.1, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let b = [9.0, -8.0, 7.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(overlap(&a, &b, 20.0, Top::Absolute).unwrap().unwrap(), Overlap { dice: 1.0, corrected: 1.0 });
        // Positive: {1, 3} and {0, 2}.
        assert_eq!(overlap(&a, &b, 20.0, Top::Positive).unwrap().unwrap().dice, 0.0);
        // Only three and four values off zero: the top half does not exist.
        assert_eq!(overlap(&a, &b, 50.0, Top::Absolute).unwrap(), None);
        assert_eq!(overlap(&[0.0; 4], &[0.0; 4], 50.0, Top::Absolute).unwrap(), None);
        assert_eq!(overlap(&[], &[], 5.0, Top::Absolute).unwrap(), None);
    }

    #[test]
    fn ties_belong_in_part() {
        // k = 2; a holds voxel 0 wholly and each of 1, 2, 3 by a third; b holds 1 and 2: 2 · ⅓ of 2.
        let a = [5.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        let b = [0.0, 9.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let o = overlap(&a, &b, 25.0, Top::Absolute).unwrap().unwrap();
        assert!((o.dice - 1.0 / 3.0).abs() < 1e-15);
        assert!((overlap(&a, &a, 25.0, Top::Absolute).unwrap().unwrap().dice - 1.0).abs() < 1e-15);
    }

    /// Dice by its definition on index sets, for maps without ties.
    fn slow(a: &[f32], b: &[f32], k: usize) -> f64 {
        let set = |v: &[f32]| {
            let mut order: Vec<usize> = (0..v.len()).collect();
            order.sort_by(|&x, &y| v[y].abs().total_cmp(&v[x].abs()));
            order.truncate(k);
            order
        };
        let (a, b) = (set(a), set(b));
        2.0 * a.iter().filter(|n| b.contains(n)).count() as f64 / (a.len() + b.len()) as f64
    }

    fn slow_spearman(a: &[f32], b: &[f32]) -> f64 {
        // Rank = 1 + number below + half the number of other equals.
        let rank = |v: &[f32]| -> Vec<f64> {
            v.iter()
                .map(|x| {
                    let below = v.iter().filter(|y| *y < x).count() as f64;
                    let equal = v.iter().filter(|y| *y == x).count() as f64;
                    1.0 + below + (equal - 1.0) / 2.0
                })
                .collect()
        };
        let (ra, rb) = (rank(a), rank(b));
        let n = ra.len() as f64;
        let sum = |f: &dyn Fn(usize) -> f64| (0..ra.len()).map(f).sum::<f64>();
        let (sa, sb) = (sum(&|i| ra[i]), sum(&|i| rb[i]));
        let cov = n * sum(&|i| ra[i] * rb[i]) - sa * sb;
        cov / ((n * sum(&|i| ra[i] * ra[i]) - sa * sa).sqrt() * (n * sum(&|i| rb[i] * rb[i]) - sb * sb).sqrt())
    }

    proptest! {
        #[test]
        fn as_the_definitions_say(pairs in prop::collection::vec((-50i32..50, -50i32..50), 20..120), percent in 1.0f64..60.0) {
            // Distinct magnitudes for Dice: the value and a small part of its own for each voxel.
            let spread = |f: &dyn Fn(&(i32, i32)) -> i32| -> Vec<f32> {
                pairs.iter().enumerate().map(|(n, p)| {
                    let v = f(p) as f32;
                    v + v.signum() * 0.001 * n as f32 + if v == 0.0 { 0.001 * (n + 1) as f32 } else { 0.0 }
                }).collect()
            };
            let (a, b) = (spread(&|p| p.0), spread(&|p| p.1));
            let k = count(a.len(), percent);
            let o = overlap(&a, &b, percent, Top::Absolute).unwrap().unwrap();
            prop_assert!((o.dice - slow(&a, &b, k)).abs() < 1e-12);
            prop_assert!(o.corrected <= o.dice && o.dice <= 1.0 && o.dice >= 0.0);
            let back = overlap(&b, &a, percent, Top::Absolute).unwrap().unwrap();
            prop_assert_eq!(o, back);

            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().map(|p| (p.0 as f32, p.1 as f32)).unzip();
            if let Some(rho) = spearman(&a, &b).unwrap() {
                prop_assert!((rho - slow_spearman(&a, &b)).abs() < 1e-9);
                // Only the order counts.
                let cubed: Vec<f32> = a.iter().map(|x| x * x * x).collect();
                prop_assert!((rho - spearman(&cubed, &b).unwrap().unwrap()).abs() < 1e-12);
            }
        }
    }
}
