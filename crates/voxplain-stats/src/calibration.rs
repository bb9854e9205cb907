//! [`Calibration`]: whether a probability means what it says.

use super::Estimate;
use serde::Serialize;

/// One bin of predicted probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// From where to where; the upper end belongs to the next bin, but for the last.
    pub range: [f64; 2],
    /// Subjects in it.
    pub subjects: usize,
    /// Mean of their predicted probabilities.
    pub predicted: f64,
    /// Share of them that are of the positive class, with Wilson's interval (subjects taken as independent).
    pub observed: Estimate,
}

/// Predicted probabilities of the positive class beside what was there, bin by bin (a reliability diagram).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Bins of equal width from 0 to 1 that hold any subject, in order.
    pub bins: Vec<Bin>,
    /// Expected calibration error: the mean over subjects of |observed share - mean predicted probability| of their bin
    /// (Naeini, Cooper and Hauskrecht 2015, AAAI). Chance alone moves it above 0, the more so the fewer the subjects.
    pub expected_error: f64,
}

impl Calibration {
    /// From each subject's probability of the positive class (0 to 1) and whether the subject is of it, in `bins` bins;
    /// probability `p` falls into bin `floor(p bins)`. `None` without subjects or bins, or with a probability that is none.
    pub fn of(scores: &[(f64, bool)], bins: usize) -> Option<Self> {
        if scores.is_empty() || bins == 0 || scores.iter().any(|(p, _)| !(0.0..=1.0).contains(p)) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of bins")]
        let bin_of = |p: f64| ((p * bins as f64) as usize).min(bins - 1);
        let full: Vec<Bin> = (0..bins)
            .filter_map(|n| {
                let of: Vec<_> = scores.iter().filter(|(p, _)| bin_of(*p) == n).collect();
                let positive = of.iter().filter(|(_, is)| *is).count();
                (!of.is_empty()).then(|| Bin {
                    range: [n as f64 / bins as f64, (n + 1) as f64 / bins as f64],
                    subjects: of.len(),
                    predicted: of.iter().map(|(p, _)| p).sum::<f64>() / of.len() as f64,
                    observed: Estimate::share(positive, of.len()),
                })
            })
            .collect();
        let error = |b: &Bin| b.subjects as f64 * (b.observed.value - b.predicted).abs();
        let expected_error = full.iter().map(error).sum::<f64>() / scores.len() as f64;
        Some(Self { bins: full, expected_error })
    }

    /// Ten bins, as is common, from two hundred subjects on, five for fewer. Our choice: most bins then hold enough subjects
    /// for an interval that says something.
    pub const fn usual_bins(subjects: usize) -> usize {
        if subjects >= 200 { 10 } else { 5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // Two bins: 0.1 and 0.3 (one of two positive), then 0.5 (on the edge: the upper bin), 0.9 and 1.0 (two of three).
        let scores = [(0.9, true), (0.1, false), (0.5, false), (0.3, true), (1.0, true)];
        let c = Calibration::of(&scores, 2).unwrap();
        assert_eq!(
            c.bins.iter().map(|b| (b.range, b.subjects)).collect::<Vec<_>>(),
            [([0.0, 0.5], 2), ([0.5, 1.0], 3)]
        );
        assert!((c.bins[0].predicted - 0.2).abs() < 1e-12 && (c.bins[1].predicted - 0.8).abs() < 1e-12);
        assert_eq!((c.bins[0].observed.value, c.bins[1].observed.value), (0.5, 2.0 / 3.0));
        // 2/5 of 0.3 and 3/5 of 0.8 - 2/3.
        assert!((c.expected_error - (0.4 * 0.3 + 0.6 * (0.8 - 2.0 / 3.0))).abs() < 1e-12);
        // One of two by Wilson's formula: (1 + z²/2 ± z sqrt(1/2 + z²/4)) / (2 + z²), z² = 3.8415.
        let (z2, n) = (3.841_459f64, 2.0);
        let half = z2.sqrt() * (n * 0.25 + z2 / 4.0).sqrt() / (n + z2);
        assert!((c.bins[0].observed.low.unwrap() - (0.5 - half)).abs() < 1e-6);
        assert!((c.bins[0].observed.high.unwrap() - (0.5 + half)).abs() < 1e-6);
        // Empty bins are left out; what cannot be is refused.
        assert_eq!(Calibration::of(&[(0.95, true)], 10).unwrap().bins[0].range, [0.9, 1.0]);
        for bad in [&[][..], &[(1.1, true)], &[(f64::NAN, false)]] {
            assert!(Calibration::of(bad, 10).is_none());
        }
        assert!(Calibration::of(&scores, 0).is_none());
        assert_eq!([199, 200].map(Calibration::usual_bins), [5, 10]);
    }

    proptest! {
        // Everyone is in one bin, bins hold their means, intervals their shares; the error is that of saying the bin's
        // share in place of its mean, and 0 for one who always says what is there.
        #[test]
        fn laws(scores in prop::collection::vec((0.0..=1.0f64, any::<bool>()), 1..60), bins in 1usize..12) {
            let c = Calibration::of(&scores, bins).unwrap();
            prop_assert_eq!(c.bins.iter().map(|b| b.subjects).sum::<usize>(), scores.len());
            for b in &c.bins {
                prop_assert!(b.range[0] - 1e-12 <= b.predicted && b.predicted <= b.range[1] + 1e-12);
                let (low, high) = b.observed.ends().unwrap();
                prop_assert!(low <= b.observed.value && b.observed.value <= high);
            }
            prop_assert!((0.0..=1.0).contains(&c.expected_error));
            let sure: Vec<_> = scores.iter().map(|(_, is)| (f64::from(u8::from(*is)), *is)).collect();
            prop_assert_eq!(Calibration::of(&sure, bins.max(2)).unwrap().expected_error, 0.0);
        }
    }
}
