//! The ROC curve (receiver operating characteristic) of a classifier of two classes, with a bootstrap band; and the area
//! under it.
//!
//! Scores are pairs: a subject's probability of the positive class (or any number that grows with it), and whether the
//! subject is positive.

use crate::FoldPrediction;
use voxplain_core::random::Seed;

/// Points of the curve from (0, 0) to (1, 1): one per distinct score, so that ties are a slope.
pub fn curve(scores: &[(f64, bool)]) -> Vec<[f64; 2]> {
    let positives = scores.iter().filter(|s| s.1).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return Vec::new();
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut alarms) = (0usize, 0usize);
    let mut points = vec![[0.0, 0.0]];
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        hits += tied.iter().filter(|s| s.1).count();
        alarms += tied.iter().filter(|s| !s.1).count();
        points.push([alarms as f64 / negatives as f64, hits as f64 / positives as f64]);
    }
    points
}

/// Height of a curve at a share of false alarms: the highest point there.
fn height(points: &[[f64; 2]], x: f64) -> f64 {
    let after = points.partition_point(|p| p[0] <= x);
    let Some(before) = points.get(after.saturating_sub(1)) else { return 0.0 };
    match points.get(after) {
        Some(next) if next[0] > before[0] => {
            before[1] + (next[1] - before[1]) * (x - before[0]) / (next[0] - before[0])
        }
        _ => before[1],
    }
}

/// Pointwise 95 % band at 101 shares of false alarms, from a bootstrap over subjects within classes.
pub fn band(scores: &[(f64, bool)], seed: u64) -> Vec<[f64; 3]> {
    const RESAMPLES: usize = 1000;
    let classes: [Vec<(f64, bool)>; 2] =
        [true, false].map(|class| scores.iter().copied().filter(|s| s.1 == class).collect());
    if classes.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let mut random = Seed::new(seed).child("roc-band").random();
    let mut heights = vec![Vec::new(); 101];
    for _ in 0..RESAMPLES {
        let mut drawn = Vec::with_capacity(scores.len());
        for class in &classes {
            drawn.extend((0..class.len()).map(|_| class[random.below(class.len())]));
        }
        let points = curve(&drawn);
        for (n, heights) in heights.iter_mut().enumerate() {
            heights.push(height(&points, n as f64 / 100.0));
        }
    }
    heights
        .into_iter()
        .enumerate()
        .map(|(n, mut h)| {
            h.sort_by(f64::total_cmp);
            // The 25th and 975th of 1000.
            [n as f64 / 100.0, h[24], h[974]]
        })
        .collect()
}

/// Share of pairs of one positive and one negative that are ordered rightly, ties counted half
/// (the Mann-Whitney statistic over the number of pairs). `None` when either side is empty.
pub fn area_under_curve(positives: &[f64], negatives: &[f64]) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> =
        positives.iter().map(|&p| (p, true)).chain(negatives.iter().map(|&p| (p, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Twice the number of rightly ordered pairs is a whole number: exact, whatever the order of summation.
    let (mut below, mut twice) = (0u64, 0u64);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let up = tied.iter().filter(|x| x.1).count() as u64;
        let down = tied.len() as u64 - up;
        twice += up * (2 * below + down);
        below += down;
    }
    Some(twice as f64 / (2.0 * positives.len() as f64 * negatives.len() as f64))
}

/// Mean over all pairs of classes of the area that tells the one from the other (the M of Hand and Till 2001,
/// Machine Learning 45:171, equation 7). `None` when a class is empty.
pub fn macro_area_under_curve(predictions: &[&FoldPrediction], classes: usize) -> Option<f64> {
    let scores = |of: usize, by: usize| {
        predictions.iter().filter(|v| v.truth == of).map(|v| v.probabilities[by]).collect::<Vec<_>>()
    };
    let (mut sum, mut pairs) = (0.0, 0.0);
    for a in 0..classes {
        for b in (0..classes).filter(|&b| b != a) {
            sum += area_under_curve(&scores(a, a), &scores(b, a))?;
            pairs += 1.0;
        }
    }
    (pairs > 0.0).then(|| sum / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curve_by_hand() {
        // Sorted: .9 +, .8 -, .8 +, .3 -: up a half; then both half a step; then right.
        let scores = [(0.8, false), (0.9, true), (0.3, false), (0.8, true)];
        let points = curve(&scores);
        assert_eq!(points, [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]);
        assert_eq!((height(&points, 0.0), height(&points, 0.25), height(&points, 0.7)), (0.5, 0.75, 1.0));
        assert!(curve(&[(0.5, true)]).is_empty());
    }

    #[test]
    fn the_band_holds_the_curve_and_is_the_same_each_time() {
        let scores: Vec<(f64, bool)> = (0..60).map(|n| (f64::from(n * 7 % 60), n * 7 % 60 + n % 13 > 33)).collect();
        let (points, band) = (curve(&scores), band(&scores, 5));
        let inside = band.iter().filter(|[x, low, high]| (*low..=*high).contains(&height(&points, *x))).count();
        assert!(inside >= 95, "{inside}");
        assert_eq!(band, super::band(&scores, 5));
        assert!(super::band(&[(0.1, true)], 5).is_empty());
    }
}
