//! Influence values: what each subject adds to a number's deviation from its true value.
//!
//! A number `T` of many subjects is, but for terms that vanish faster, its true value plus a sum of one value per subject.
//! The variance of `T` is that of the sum: over subjects that are independent, or over groups of subjects that are.

use crate::FoldPrediction;
use crate::roc::area_under_curve;

/// A number with the influence of each subject, in the order of the subjects.
#[derive(Clone, Debug)]
pub(crate) struct Influence {
    pub(crate) value: f64,
    pub(crate) of: Vec<f64>,
}

impl Influence {
    /// The mean of `x` over the subjects for whom it is there; `None` where that is nobody.
    fn mean(x: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let x: Vec<_> = x.collect();
        let n = x.iter().flatten().count() as f64;
        if n == 0.0 {
            return None;
        }
        let value = x.iter().flatten().sum::<f64>() / n;
        Some(Self { value, of: x.iter().map(|x| x.map_or(0.0, |x| (x - value) / n)).collect() })
    }

    /// The mean of several numbers of the same subjects; `None` for none.
    pub(super) fn average(numbers: &[Self]) -> Option<Self> {
        let count = numbers.len() as f64;
        let first = numbers.first()?;
        let at = |n: usize| numbers.iter().map(|i| i.of[n]).sum::<f64>() / count;
        Some(Self {
            value: numbers.iter().map(|i| i.value).sum::<f64>() / count,
            of: (0..first.of.len()).map(at).collect(),
        })
    }

    /// Share told right.
    pub(super) fn accuracy(predictions: &[FoldPrediction]) -> Option<Self> {
        Self::mean(predictions.iter().map(|p| Some(f64::from(u8::from(p.predicted == p.truth)))))
    }

    /// Share of a class told right.
    pub(super) fn recall(predictions: &[FoldPrediction], class: usize) -> Option<Self> {
        let right = |p: &FoldPrediction| (p.truth == class).then(|| f64::from(u8::from(p.predicted == class)));
        Self::mean(predictions.iter().map(right))
    }

    /// Mean of the recalls of the classes that occur.
    pub(super) fn balanced_accuracy(predictions: &[FoldPrediction], classes: usize) -> Option<Self> {
        let recalls: Vec<_> = (0..classes).filter_map(|c| Self::recall(predictions, c)).collect();
        Self::average(&recalls)
    }

    /// Mean squared error of the probabilities.
    pub(super) fn brier(predictions: &[FoldPrediction], positive: usize) -> Option<Self> {
        Self::mean(predictions.iter().map(|p| {
            let error = |(c, q): (usize, &f64)| (q - f64::from(u8::from(c == p.truth))).powi(2);
            Some(match p.probabilities.len() {
                2 => error((positive, &p.probabilities[positive])),
                _ => p.probabilities.iter().enumerate().map(error).sum(),
            })
        }))
    }

    /// The area under the curve of one class (`up`) against others by the probability of a class, with the structural
    /// components of DeLong et al. 1988 (Biometrics 44:837): for a positive the share of negatives below it less the
    /// area, over the number of positives, and the other way round. `None` where either side has nobody.
    fn against(predictions: &[FoldPrediction], up: usize, down: impl Fn(usize) -> bool, by: usize) -> Option<Self> {
        let scores = |is: &dyn Fn(usize) -> bool| {
            let mut of: Vec<f64> = predictions.iter().filter(|p| is(p.truth)).map(|p| p.probabilities[by]).collect();
            of.sort_by(f64::total_cmp);
            of
        };
        let (positives, negatives) = (scores(&|class| class == up), scores(&down));
        if positives.is_empty() || negatives.is_empty() {
            return None;
        }
        // Share of the others below a score, ties counted half.
        let below = |sorted: &[f64], x: f64| {
            let (less, not_more) = (sorted.partition_point(|&v| v < x), sorted.partition_point(|&v| v <= x));
            (less + not_more) as f64 / (2.0 * sorted.len() as f64)
        };
        let value = area_under_curve(&positives, &negatives)?;
        let of = |p: &FoldPrediction| {
            let x = p.probabilities[by];
            if p.truth == up {
                (below(&negatives, x) - value) / positives.len() as f64
            } else if down(p.truth) {
                (1.0 - below(&positives, x) - value) / negatives.len() as f64
            } else {
                0.0
            }
        };
        Some(Self { value, of: predictions.iter().map(of).collect() })
    }

    /// The area under the curve: of two classes, or the mean over ordered pairs of more.
    pub(super) fn auc(predictions: &[FoldPrediction], classes: usize, positive: usize) -> Option<Self> {
        if classes == 2 {
            return Self::against(predictions, positive, |class| class != positive, positive);
        }
        let pairs = (0..classes).flat_map(|a| (0..classes).filter(move |&b| b != a).map(move |b| (a, b)));
        let all: Option<Vec<_>> = pairs.map(|(a, b)| Self::against(predictions, a, |class| class == b, a)).collect();
        Self::average(&all?)
    }

    /// The area under the curve of each class against all others together, by its own probability. `None` where a class has nobody.
    pub(super) fn versus_rest(predictions: &[FoldPrediction], classes: usize) -> Option<Vec<Self>> {
        (0..classes).map(|class| Self::against(predictions, class, |other| other != class, class)).collect()
    }
}
