//! Areas under receiver operating characteristics, by ranks.

use super::FoldPrediction;

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
