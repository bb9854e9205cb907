//! [`Regression`]: how near numbers are predicted, over subjects, with intervals.
//!
//! Everything here takes one [`ValuePrediction`] per subject, made by a model that never saw the subject, pooled over the
//! folds. Intervals are over subjects, or over groups where subjects come in groups, by influence values: what each subject
//! adds to a number. Quantiles are Student's with one degree of freedom less than there are subjects (groups).
//!
//! | number | interval |
//! |---|---|
//! | mean absolute error, root of the mean squared error | on the scale of the logarithm |
//! | R² | on the scale of `log(1 - R²)` |
//! | Pearson's r | Fisher's z, its variance by influence and not less than `1 / (n - 3)` |
//! | mean error, slope of the error, difference of mean absolute errors | Student's t |
//!
//! Fewer than [`MIN_UNITS`] subjects (groups) give no interval. How often these intervals hold the true value is measured by
//! `cargo run --release -p voxplain-stats --example coverage`.

use crate::classification::influence::Influence;
use crate::classification::interval::{Clusters, MIN_GROUPS};
use crate::{Estimate, student_t, two_sided_p};
use serde::{Deserialize, Serialize};

/// The fewest independent subjects, or groups, that numbers about values get an interval for.
pub const MIN_UNITS: usize = MIN_GROUPS;

/// The least rise of the predicted value with the true one by which predictions are corrected for their bias. Our choice:
/// a division by less would blow up errors tenfold.
const MIN_RISE: f64 = 0.1;

/// The number predicted for one held-out subject, by the model of a fold that was not trained on this subject.
#[derive(Clone, Debug, PartialEq)]
pub struct ValuePrediction {
    /// Position of the subject, the same for every predictor that is compared.
    pub subject: usize,
    /// The fold whose model predicted.
    pub fold: usize,
    /// The true value.
    pub truth: f64,
    /// The predicted value.
    pub predicted: f64,
    /// Mean of the true values that the model of the fold was trained on.
    pub training_mean: f64,
    /// The group that the subject belongs to (a family); `None` for all subjects where there are no groups.
    pub group: Option<usize>,
}

impl ValuePrediction {
    /// Predicted minus true value.
    pub fn error(&self) -> f64 {
        self.predicted - self.truth
    }
}

/// How near one fold came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldError {
    /// The fold.
    pub fold: usize,
    /// Held-out subjects.
    pub subjects: usize,
    /// Mean absolute error.
    pub mae: f64,
}

/// How near numbers are predicted. Every number is finite; what cannot be had is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Held-out subjects.
    pub subjects: usize,
    /// Mean of the errors' sizes.
    pub mae: Estimate,
    /// Square root of the mean squared error.
    pub rmse: Estimate,
    /// `1 - sum e² / sum (y - m)²`, where `m` is the mean of the values that the fold was trained on; below 0 for a predictor
    /// that is worse than this mean. Absent where all values are that mean.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r2: Option<Estimate>,
    /// Pearson's correlation of predicted and true values, pooled over folds; absent where either does not vary, as where a
    /// predictor says one value in each fold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r: Option<Estimate>,
    /// Mean error: predicted minus true.
    pub mean_error: Estimate,
    /// Slope of the error on the true value: 0 without bias, -1 where the prediction does not follow the value at all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error_slope: Option<Estimate>,
    /// Fold by fold.
    pub folds: Vec<FoldError>,
}

/// One predictor against another, on the same subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueComparison {
    /// The one.
    pub of: String,
    /// The other.
    pub with: String,
    /// Mean absolute error of the one minus that of the other, paired by subject: below 0 where the one is nearer.
    pub mae_difference: Estimate,
    /// Corrected resampled t of the folds' mean absolute errors (Nadeau and Bengio 2003); absent for fewer than three folds
    /// or when the folds do not differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrected_t: Option<f64>,
    /// Its two-sided p, with one degree of freedom less than there are folds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrected_p: Option<f64>,
}

/// Predictions corrected for their bias: predicted values that are drawn to the mean are stretched by the line of predicted on
/// true values, `predicted = a + c * true`, to `(predicted - a) / c` (Cole et al. 2018). The line of a fold is that of the
/// out-of-fold predictions of all other folds, so that no true value of a held-out subject enters its own correction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BiasCorrection {
    /// Intercept `a` and rise `c` of the line of each fold, in their order.
    pub lines: Vec<[f64; 2]>,
    /// The numbers after correction.
    pub corrected: Regression,
}

/// A number and what each subject adds to it, with the units that are independent.
struct Intervals {
    clusters: Clusters,
}

impl Intervals {
    fn over(predictions: &[ValuePrediction]) -> Self {
        Self { clusters: Clusters::of_groups(&predictions.iter().map(|p| p.group).collect::<Vec<_>>()) }
    }

    /// Why no interval can be given, where none can.
    fn none(&self) -> Option<String> {
        self.clusters.few_groups()
    }

    /// The interval that is `half` quantiles of the standard error to either side on a scale: `there` is the influence on that
    /// scale and `back` leads from it to the number.
    fn on_scale(
        &self,
        value: f64,
        there: &Influence,
        (freedom, least): (usize, f64),
        back: impl Fn(f64) -> f64,
    ) -> Estimate {
        let none = |why: String| Estimate { value, low: None, high: None, interval: why };
        if let Some(why) = self.none() {
            return none(why);
        }
        let error = self.clusters.covariance(there, there).max(0.0).sqrt().max(least);
        let half = student_t(0.975, (self.clusters.count - freedom) as f64) * error;
        let (a, b) = (back(there.value - half), back(there.value + half));
        if !(a.is_finite() && b.is_finite()) {
            return none("none: the number is at the end of its range".into());
        }
        let name = if self.clusters.grouped { "clustered-t" } else { "t" };
        Estimate { value, low: Some(a.min(b)), high: Some(a.max(b)), interval: name.into() }
    }

    fn plain(&self, number: &Influence, freedom: usize) -> Estimate {
        self.on_scale(number.value, number, (freedom, 0.0), |x| x)
    }

    /// A positive mean, or its power, by its logarithm.
    fn by_logarithm(&self, mean: &Influence, power: f64) -> Estimate {
        let of = mean.of.iter().map(|x| power * x / mean.value).collect();
        let there = Influence { value: power * mean.value.ln(), of };
        self.on_scale(mean.value.powf(power), &there, (1, 0.0), f64::exp)
    }
}

fn mean_of(x: impl Iterator<Item = f64>) -> Option<Influence> {
    let x: Vec<f64> = x.collect();
    let n = x.len() as f64;
    (!x.is_empty()).then(|| {
        let value = x.iter().sum::<f64>() / n;
        Influence { value, of: x.iter().map(|x| (x - value) / n).collect() }
    })
}

/// Means, sums of squares and of products of two rows of numbers about their means.
fn moments(x: &[f64], y: &[f64]) -> (f64, f64, f64, f64, f64) {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let pairs = || x.iter().zip(y).map(|(x, y)| (x - mx, y - my));
    let of = |f: fn(f64, f64) -> f64| pairs().map(|(x, y)| f(x, y)).sum::<f64>();
    (mx, my, of(|x, _| x * x), of(|_, y| y * y), of(|x, y| x * y))
}

/// Whether a sum of squares is more than round-off of numbers of this size.
fn varies(squares: f64, x: &[f64]) -> bool {
    squares > x.len() as f64 * (1e-9 * x.iter().fold(0.0f64, |m, x| m.max(x.abs()))).powi(2)
}

/// Whether predicted values differ within a fold: the means of folds alone go against the values held out, by construction.
fn varies_in_folds(predictions: &[ValuePrediction]) -> bool {
    predictions.iter().any(|p| {
        let first = predictions.iter().find(|other| other.fold == p.fold);
        first.is_some_and(|first| first.predicted != p.predicted)
    })
}

impl Regression {
    /// The numbers; `None` without any prediction.
    pub fn of(predictions: &[ValuePrediction]) -> Option<Self> {
        let intervals = Intervals::over(predictions);
        let errors: Vec<f64> = predictions.iter().map(ValuePrediction::error).collect();
        let truth: Vec<f64> = predictions.iter().map(|p| p.truth).collect();
        let predicted: Vec<f64> = predictions.iter().map(|p| p.predicted).collect();
        let squared = mean_of(errors.iter().map(|e| e * e))?;
        let apart = mean_of(predictions.iter().map(|p| (p.truth - p.training_mean).powi(2)))?;
        let r2 = (apart.value > 0.0).then(|| {
            let ratio = squared.value / apart.value;
            let of = squared.of.iter().zip(&apart.of).map(|(e, d)| e / squared.value - d / apart.value).collect();
            intervals.on_scale(1.0 - ratio, &Influence { value: ratio.ln(), of }, (1, 0.0), |x| 1.0 - x.exp())
        });
        let (mt, mp, tt, pp, tp) = moments(&truth, &predicted);
        let r = (varies(tt, &truth) && varies(pp, &predicted) && varies_in_folds(predictions)).then(|| {
            let r = (tp / (tt * pp).sqrt()).clamp(-1.0, 1.0);
            let of = predictions.iter().map(|p| {
                let (x, y) = ((p.truth - mt) / tt.sqrt(), (p.predicted - mp) / pp.sqrt());
                (x * y - r * (x * x + y * y) / 2.0) / (1.0 - r * r)
            });
            let there = Influence { value: r.atanh(), of: of.collect() };
            let least = 1.0 / (intervals.clusters.count as f64 - 3.0).max(1.0).sqrt();
            intervals.on_scale(r, &there, (1, least), f64::tanh)
        });
        Some(Self {
            subjects: predictions.len(),
            mae: intervals.by_logarithm(&mean_of(errors.iter().map(|e| e.abs()))?, 1.0),
            rmse: intervals.by_logarithm(&squared, 0.5),
            r2,
            r,
            mean_error: intervals.plain(&mean_of(errors.iter().copied())?, 1),
            error_slope: slope(&truth, &errors).map(|slope| intervals.plain(&slope, 2)),
            folds: fold_errors(predictions),
        })
    }
}

/// The slope of the least-squares line of `y` on `x`; `None` where `x` does not vary.
fn slope(x: &[f64], y: &[f64]) -> Option<Influence> {
    let (mx, my, xx, _, xy) = moments(x, y);
    (varies(xx, x)).then(|| {
        let slope = xy / xx;
        let of = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my - slope * (x - mx)) / xx).collect();
        Influence { value: slope, of }
    })
}

/// Mean absolute error fold by fold.
fn fold_errors(predictions: &[ValuePrediction]) -> Vec<FoldError> {
    let last = predictions.iter().map(|p| p.fold).max().unwrap_or(0);
    let of = |fold: usize| {
        let of: Vec<f64> = predictions.iter().filter(|p| p.fold == fold).map(|p| p.error().abs()).collect();
        let n = of.len();
        (n > 0).then(|| FoldError { fold, subjects: n, mae: of.iter().sum::<f64>() / n as f64 })
    };
    (0..=last).filter_map(of).collect()
}

impl ValueComparison {
    /// Compares two predictors subject by subject; `None` when the predictions are not of the same subjects and folds.
    pub fn of(
        (name, predictions): (&str, &[ValuePrediction]),
        (other_name, others): (&str, &[ValuePrediction]),
    ) -> Option<Self> {
        let same = |(a, b): (&ValuePrediction, &ValuePrediction)| {
            a.subject == b.subject && a.truth == b.truth && a.fold == b.fold && a.group == b.group
        };
        if predictions.len() != others.len() || !predictions.iter().zip(others).all(same) {
            return None;
        }
        let differences = predictions.iter().zip(others).map(|(a, b)| a.error().abs() - b.error().abs());
        let mae_difference = Intervals::over(predictions).plain(&mean_of(differences)?, 1);
        let t = corrected_t(&fold_errors(predictions), &fold_errors(others));
        Some(Self {
            of: name.into(),
            with: other_name.into(),
            mae_difference,
            corrected_t: t.map(|(t, _)| t),
            corrected_p: t.map(|(t, freedom)| two_sided_p(t, freedom)),
        })
    }
}

/// Nadeau and Bengio 2003, equation 9, of the folds' differences, with its degrees of freedom.
fn corrected_t(a: &[FoldError], b: &[FoldError]) -> Option<(f64, f64)> {
    let k = a.len() as f64;
    if a.len() < 3 || a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a.mae - b.mae).collect();
    let mean = differences.iter().sum::<f64>() / k;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (k - 1.0);
    let t = mean / ((1.0 / k + 1.0 / (k - 1.0)) * variance).sqrt();
    t.is_finite().then_some((t, k - 1.0))
}

impl BiasCorrection {
    /// The correction of these predictions.
    ///
    /// # Errors
    /// Why there is none, in words: one fold, too few others to fit a line to, or a line that hardly rises.
    pub fn of(predictions: &[ValuePrediction]) -> Result<Self, String> {
        let (lines, corrected) = Self::correct(predictions)?;
        let corrected = Regression::of(&corrected).ok_or("there are no predictions")?;
        Ok(Self { lines, corrected })
    }

    fn correct(predictions: &[ValuePrediction]) -> Result<(Vec<[f64; 2]>, Vec<ValuePrediction>), String> {
        let last = predictions.iter().map(|p| p.fold).max().unwrap_or(0);
        if predictions.iter().all(|p| p.fold == last) {
            return Err("it takes predictions of other folds, and there is one fold".into());
        }
        let mut lines = Vec::new();
        for fold in 0..=last {
            let others: Vec<&ValuePrediction> = predictions.iter().filter(|p| p.fold != fold).collect();
            if others.len() < MIN_UNITS {
                return Err(format!("{} people of other folds are too few to fit a line to", others.len()));
            }
            let truth: Vec<f64> = others.iter().map(|p| p.truth).collect();
            let predicted: Vec<f64> = others.iter().map(|p| p.predicted).collect();
            let (mt, mp, ..) = moments(&truth, &predicted);
            let rise = slope(&truth, &predicted).map_or(0.0, |slope| slope.value);
            if rise < MIN_RISE {
                return Err(format!(
                    "predictions rise by {rise:.2} where the true value rises by 1 (others than fold {fold}), and at least \
                     {MIN_RISE} is needed"
                ));
            }
            lines.push([mp - rise * mt, rise]);
        }
        let corrected = predictions.iter().map(|p| {
            let [a, c] = lines[p.fold];
            ValuePrediction { predicted: (p.predicted - a) / c, ..p.clone() }
        });
        let corrected = corrected.collect();
        Ok((lines, corrected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(pairs: &[(f64, f64)], folds: usize) -> Vec<ValuePrediction> {
        let of = |(n, &(truth, predicted)): (usize, &(f64, f64))| ValuePrediction {
            subject: n,
            fold: n % folds,
            truth,
            predicted,
            training_mean: 40.0,
            group: None,
        };
        pairs.iter().enumerate().map(of).collect()
    }

    /// Errors 2, -4, 0, 3, -1 of 20, 30, 40, 50, 60 where training has a mean of 40.
    #[test]
    fn five_people_by_hand() {
        let five = predictions(&[(20.0, 22.0), (30.0, 26.0), (40.0, 40.0), (50.0, 53.0), (60.0, 59.0)], 1);
        let found = Regression::of(&five).unwrap();
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        near(found.mae.value, 2.0);
        near(found.rmse.value, 6f64.sqrt()); // 4 + 16 + 0 + 9 + 1 = 30 over 5
        near(found.r2.unwrap().value, 1.0 - 30.0 / 1000.0);
        near(found.mean_error.value, 0.0);
        // Sum of (y - 40) e = -20 * 2 + 10 * 4 + 10 * 3 - 20 = 10, over 1000.
        near(found.error_slope.unwrap().value, 0.01);
        // Predicted have a mean of 40 and squares of 324 + 196 + 0 + 169 + 361 = 1050; products 360 + 140 + 0 + 130 + 380 = 1010.
        near(found.r.unwrap().value, 1010.0 / (1000.0 * 1050.0f64).sqrt());
        assert_eq!(found.mae.interval, "none: 5 subjects are too few, at least 10 are needed");
        assert_eq!(found.mae.ends(), None);
        near(found.folds[0].mae, 2.0);
    }

    /// The mean itself: R² 0, no correlation, errors that fall by 1 for each unit.
    #[test]
    fn saying_the_mean_explains_nothing() {
        let twelve: Vec<(f64, f64)> = (0..12).map(|n| (35.0 + f64::from(n), 40.0)).collect();
        let found = Regression::of(&predictions(&twelve, 6)).unwrap();
        assert_eq!(found.r2.as_ref().unwrap().value, 0.0);
        assert_eq!(found.r2.unwrap().ends(), Some((0.0, 0.0)));
        assert_eq!(found.r, None);
        assert!((found.error_slope.unwrap().value + 1.0).abs() < 1e-12);
        let why = BiasCorrection::of(&predictions(&twelve, 6)).unwrap_err();
        assert!(why.contains("rise by 0.00"), "{why}");
        assert!(BiasCorrection::of(&predictions(&twelve, 1)).unwrap_err().contains("one fold"));
    }

    /// Student's t of the differences by hand: sizes of errors 1 and 3 (six of each) against 2 everywhere.
    #[test]
    fn differences_are_paired() {
        let pairs = |errors: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
            (0..12).map(|n| (40.0 + n as f64, 40.0 + n as f64 + errors(n))).collect()
        };
        let one = predictions(&pairs(&|n| if n % 2 == 0 { 1.0 } else { -3.0 }), 4);
        let other = predictions(&pairs(&|_| 2.0), 4);
        let found = ValueComparison::of(("a", &one), ("b", &other)).unwrap();
        let (low, high) = found.mae_difference.ends().unwrap();
        let half = student_t(0.975, 11.0) * (12.0f64 / 11.0 / 12.0).sqrt();
        assert!((high - half).abs() < 1e-12 && (low + half).abs() < 1e-12, "{low} {high}");
        assert!(ValueComparison::of(("a", &one), ("b", &other[1..])).is_none());
    }

    /// Predictions that are half as far from 50 as they should be are put right by the lines of the other folds.
    #[test]
    fn a_linear_bias_is_undone() {
        let half: Vec<(f64, f64)> = (0..20).map(|n| (f64::from(n), 50.0 + 0.5 * (f64::from(n) - 50.0))).collect();
        let found = BiasCorrection::of(&predictions(&half, 4)).unwrap();
        assert!(
            found.lines.iter().all(|l| (l[0] - 25.0).abs() < 1e-9 && (l[1] - 0.5).abs() < 1e-12),
            "{:?}",
            found.lines
        );
        assert!(found.corrected.mae.value < 1e-9);
    }

    /// Two scans of each of ten people that are the same: the interval of ten.
    #[test]
    fn groups_are_the_unit() {
        let ten: Vec<(f64, f64)> = (0..10).map(|n| (f64::from(n), f64::from(n) + f64::from(n % 3))).collect();
        let alone = Regression::of(&predictions(&ten, 1)).unwrap();
        let mut twice = predictions(&ten, 1);
        twice.extend(predictions(&ten, 1));
        twice.iter_mut().enumerate().for_each(|(n, p)| p.group = Some(n % 10));
        let twice = Regression::of(&twice).unwrap();
        for (a, b) in [(&alone.mae, &twice.mae), (&alone.rmse, &twice.rmse), (&alone.mean_error, &twice.mean_error)] {
            assert!((a.low.unwrap() - b.low.unwrap()).abs() < 1e-12 && b.interval == "clustered-t");
        }
    }
}
