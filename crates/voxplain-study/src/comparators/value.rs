//! Simple predictors of a value, on the folds of the network.

use super::{
    Features, Gram, LinearFold, centred, check,
    chosen::{Choice, Chosen},
    span::Span,
};
use crate::folds::Split;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use std::collections::BTreeMap;
use voxplain_core::Result;
use voxplain_stats::ValuePrediction;

/// Name of the predictor that says the mean of the people trained on.
pub const TRAINING_MEAN: &str = "training-mean";

/// Name of the predictor that says the median of the people trained on.
pub const TRAINING_MEDIAN: &str = "training-median";

/// Name of the linear predictor.
pub const RIDGE_VOXELS: &str = "ridge-voxels";

/// Penalties of [`ridge_voxels`], as powers of ten times the mean squared distance of the training volumes from their mean: from
/// nearly none to nearly all.
const PENALTIES: [f64; 17] =
    [-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0];

/// What a tuned predictor says.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedValues {
    /// One for each held-out subject.
    pub predictions: Vec<ValuePrediction>,
    /// What was chosen in each fold.
    pub chosen: Chosen,
    /// The model of each fold as sums of its training volumes (or rows); of ridge regression.
    pub linear: Vec<LinearFold>,
}

/// A task of values: the value of each subject and the folds, the same for every predictor.
#[derive(Clone, Copy, Debug)]
pub struct ValueTask<'a> {
    /// The value of each subject.
    pub values: &'a [f64],
    /// The group of each subject, where there are groups.
    pub groups: Option<&'a [usize]>,
    /// The folds.
    pub splits: &'a [Split],
}

impl ValueTask<'_> {
    /// Mean of the values that a fold trains on.
    fn mean(&self, fold: usize) -> f64 {
        let train = &self.splits[fold].train;
        train.iter().map(|&n| self.values[n]).sum::<f64>() / train.len() as f64
    }

    /// The prediction for a held-out subject.
    pub(crate) fn prediction(&self, subject: usize, fold: usize, predicted: f64) -> ValuePrediction {
        ValuePrediction {
            subject,
            fold,
            truth: self.values[subject],
            predicted,
            training_mean: self.mean(fold),
            group: self.groups.map(|groups| groups[subject]),
        }
    }

    /// Predictions by what `fit` finds for the held-out subjects of each split.
    fn cross_predict(&self, fit: impl Fn(&Split, f64) -> Vec<f64>) -> Vec<ValuePrediction> {
        let mut all = Vec::new();
        for (fold, split) in self.splits.iter().enumerate() {
            let predicted = fit(split, self.mean(fold));
            all.extend(split.test.iter().zip(predicted).map(|(&n, value)| self.prediction(n, fold, value)));
        }
        all
    }
}

/// The mean of the training subjects, whatever the image.
pub fn training_mean(task: &ValueTask<'_>) -> Vec<ValuePrediction> {
    task.cross_predict(|split, mean| vec![mean; split.test.len()])
}

/// The median of the training subjects, whatever the image: of all constants the one with the least mean absolute error among
/// them. Where values are skewed, it is ahead of the mean.
pub fn training_median(task: &ValueTask<'_>) -> Vec<ValuePrediction> {
    task.cross_predict(|split, _| {
        let mut of: Vec<f64> = split.train.iter().map(|&n| task.values[n]).collect();
        of.sort_by(f64::total_cmp);
        let (low, high) = (of.get(of.len().saturating_sub(1) / 2), of.get(of.len() / 2));
        let median = f64::midpoint(low.copied().unwrap_or(0.0), high.copied().unwrap_or(0.0));
        vec![median; split.test.len()]
    })
}

/// The least-squares line on the logarithm of the volume of the mask. `volumes` is the volume of the mask (mm³) of each subject of
/// the task.
///
/// # Errors
/// A volume is not positive.
pub fn mask_volume_line(volumes: &[f64], task: &ValueTask<'_>) -> Result<Vec<ValuePrediction>> {
    check(volumes)?;
    let logs: Vec<f64> = volumes.iter().map(|v| v.ln()).collect();
    Ok(task.cross_predict(|split, mean| {
        let centre = split.train.iter().map(|&n| logs[n]).sum::<f64>() / split.train.len() as f64;
        let (mut squares, mut products) = (0.0, 0.0);
        for &n in &split.train {
            squares += (logs[n] - centre).powi(2);
            products += (logs[n] - centre) * (task.values[n] - mean);
        }
        let slope = if squares > 1e-18 { products / squares } else { 0.0 };
        split.test.iter().map(|&n| mean + slope * (logs[n] - centre)).collect()
    }))
}

/// Ridge regression on the prepared volumes, from their inner products: the linear map of least squared error plus a penalty on
/// the squares of its weights. The intercept has no penalty. The penalty of a fold is, of `PENALTIES`, the one of the least
/// squared error when each training subject (or group) is left out of the training part.
pub fn ridge_voxels(gram: &Gram, task: &ValueTask<'_>) -> TunedValues {
    if gram.is_exact() {
        let part = |of: &[usize], split: &Split| gram.centred(&split.train, of);
        ridge(task, |split| Part::Products([part(&split.train, split), part(&split.test, split)]))
    } else {
        ridge(task, |split| Part::Span(gram.span(split)))
    }
}

/// The same on columns of a table.
pub fn ridge_features(features: &Features, task: &ValueTask<'_>) -> TunedValues {
    ridge(task, |split| {
        let (train, test) = features.rows(&split.train, &split.test);
        let [train, test] = centred(&train, &test);
        Part::Products([&train * train.transpose(), test * train.transpose()])
    })
}

/// What ridge regression of a fold is found from, all less the mean of the training part.
enum Part {
    /// Inner products of the training part with itself, and of the held-out (rows) with it.
    Products([DMatrix<f64>; 2]),
    /// Coordinates.
    Span(Span),
}

/// Ridge regression in each fold.
fn ridge(task: &ValueTask<'_>, part: impl Fn(&Split) -> Part) -> TunedValues {
    let tried = [0, PENALTIES.len() - 1].map(|n| 10f64.powf(PENALTIES[n]));
    let chosen = Chosen { what: Choice::Penalty, tried, folds: Vec::new() };
    let mut all = TunedValues { predictions: Vec::new(), chosen, linear: Vec::new() };
    for (fold, split) in task.splits.iter().enumerate() {
        let (said, linear, penalty) = tuned_ridge(&part(split), task, (split, task.mean(fold)));
        all.predictions.extend(split.test.iter().zip(said).map(|(&n, value)| task.prediction(n, fold, value)));
        all.chosen.folds.push(vec![penalty]);
        all.linear.push(linear);
    }
    all
}

/// The values of the held-out subjects of a split; the model; and the penalty, in units of [`PENALTIES`].
fn tuned_ridge(part: &Part, task: &ValueTask<'_>, (split, mean): (&Split, f64)) -> (Vec<f64>, LinearFold, f64) {
    let groups = task.groups.map(|groups| split.train.iter().map(|&n| groups[n]).collect::<Vec<_>>());
    let values = DVector::from_iterator(split.train.len(), split.train.iter().map(|&n| task.values[n] - mean));
    let ridge = match part {
        Part::Products([train, _]) => Ridge::new(train.clone(), values),
        Part::Span(span) => Ridge::of_rows(&span.train, values),
    };
    let penalty = ridge.best_penalty(&units(split.train.len(), groups.as_deref()));
    let coefficients = ridge.coefficients(penalty * ridge.unit());
    let (decided, found, counts) = match part {
        Part::Products([train, test]) => {
            (train * &coefficients, test * &coefficients, coefficients.iter().copied().collect())
        }
        Part::Span(span) => {
            let direction = span.train.tr_mul(&coefficients);
            (&span.train * &direction, &span.test * &direction, span.counts(&direction))
        }
    };
    let linear = LinearFold::of(counts, decided.as_slice());
    (found.iter().map(|value| mean + value).collect(), linear, penalty)
}

/// Positions of the members of each group; of each subject by itself where there are none.
fn units(count: usize, groups: Option<&[usize]>) -> Vec<Vec<usize>> {
    let Some(groups) = groups else { return (0..count).map(|n| vec![n]).collect() };
    let mut of = BTreeMap::<usize, Vec<usize>>::new();
    groups.iter().enumerate().for_each(|(n, &group)| of.entry(group).or_default().push(n));
    of.into_values().collect()
}

/// Ridge regression in the space of the subjects.
struct Ridge {
    /// Of the inner products; those of 0 may be absent.
    eigenvalues: DVector<f64>,
    eigenvectors: DMatrix<f64>,
    /// The values less their mean, and the same along the eigenvectors.
    values: DVector<f64>,
    along: DVector<f64>,
}

impl Ridge {
    /// Of centred inner products and centred values.
    fn new(products: DMatrix<f64>, values: DVector<f64>) -> Self {
        let SymmetricEigen { eigenvalues, eigenvectors } = SymmetricEigen::new(products);
        Self { along: eigenvectors.tr_mul(&values), eigenvalues, eigenvectors, values }
    }

    /// Of centred rows, fewer columns than rows: the products of rows have the eigenvalues of those of columns.
    fn of_rows(rows: &DMatrix<f64>, values: DVector<f64>) -> Self {
        let eigen = SymmetricEigen::new(rows.transpose() * rows);
        let largest = eigen.eigenvalues.iter().copied().fold(0.0, f64::max);
        let kept: Vec<usize> = (0..rows.ncols()).filter(|&c| eigen.eigenvalues[c] > largest * 1e-12).collect();
        let axes = DMatrix::from_fn(rows.ncols(), kept.len(), |a, c| {
            eigen.eigenvectors[(a, kept[c])] / eigen.eigenvalues[kept[c]].sqrt()
        });
        let (eigenvalues, eigenvectors) =
            (DVector::from_fn(kept.len(), |c, _| eigen.eigenvalues[kept[c]]), rows * axes);
        Self { along: eigenvectors.tr_mul(&values), eigenvalues, eigenvectors, values }
    }

    /// Weight of each training subject's inner products.
    fn coefficients(&self, penalty: f64) -> DVector<f64> {
        let shrunk = self.along.zip_map(&self.eigenvalues, |a, l| a / (l.max(0.0) + penalty));
        &self.eigenvectors * shrunk
    }

    /// The mean squared distance from the mean, which penalties are in units of.
    fn unit(&self) -> f64 {
        let unit = self.eigenvalues.iter().map(|l| l.max(0.0)).sum::<f64>() / self.values.len() as f64;
        if unit > 0.0 { unit } else { 1.0 }
    }

    /// The penalty of the least error, in units of that distance.
    fn best_penalty(&self, units: &[Vec<usize>]) -> f64 {
        let (tried, unit) = (PENALTIES.map(|power| 10f64.powf(power)), self.unit());
        // From the largest down, so that of equals the largest is taken.
        let errors = tried.iter().rev().map(|&penalty| (penalty, self.left_out(penalty * unit, units)));
        let best =
            errors.fold((tried[tried.len() - 1], f64::INFINITY), |best, at| if at.1 < best.1 { at } else { best });
        best.0
    }

    /// Sum of squared errors when each unit is left out: `(I - H_gg)^-1 r_g`, where `H` is the matrix that makes fitted of true
    /// values, intercept included, and `r` are the residuals. It is the same as fitting anew without the unit.
    fn left_out(&self, penalty: f64, units: &[Vec<usize>]) -> f64 {
        let n = self.values.len() as f64;
        let kept = self.eigenvalues.map(|l| l.max(0.0) / (l.max(0.0) + penalty));
        let vectors = &self.eigenvectors;
        let residuals = &self.values - vectors * self.along.component_mul(&kept);
        let hat = |a: usize, b: usize| {
            1.0 / n + (0..kept.len()).map(|c| vectors[(a, c)] * vectors[(b, c)] * kept[c]).sum::<f64>()
        };
        let error = |unit: &Vec<usize>| {
            let size = unit.len();
            let rest = DMatrix::from_fn(size, size, |a, b| f64::from(u8::from(a == b)) - hat(unit[a], unit[b]));
            let of = DVector::from_iterator(size, unit.iter().map(|&n| residuals[n]));
            rest.lu().solve(&of).map_or(f64::INFINITY, |error| error.norm_squared())
        };
        units.iter().map(error).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::inner_products;
    use super::*;
    use crate::folds::{SplitScheme, splits};
    use voxplain_core::random::Seed;

    #[expect(clippy::cast_possible_truncation, reason = "volumes are f32")]
    fn volumes(count: usize, size: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut random = Seed::new(seed).random();
        (0..count).map(|_| (0..size).map(|_| random.normal() as f32).collect()).collect()
    }

    /// Leaving out by the formula is fitting anew without the unit, and coefficients are those of the normal equations.
    #[test]
    fn left_out_is_fitted_without() {
        let (count, penalty) = (9, 0.7);
        let x = volumes(count, 4, 3);
        let y: Vec<f64> = (0..count).map(|n| f64::from(x[n][0]) + 0.3 * n as f64 + 20.0).collect();
        let fit = |train: &[usize], test: usize| -> f64 {
            let m = train.len() as f64;
            let mean_y = train.iter().map(|&n| y[n]).sum::<f64>() / m;
            let mean_x: Vec<f64> = (0..4).map(|f| train.iter().map(|&n| f64::from(x[n][f])).sum::<f64>() / m).collect();
            let rows = DMatrix::from_fn(train.len(), 4, |a, f| f64::from(x[train[a]][f]) - mean_x[f]);
            let targets = DVector::from_iterator(train.len(), train.iter().map(|&n| y[n] - mean_y));
            let normal = rows.tr_mul(&rows) + DMatrix::identity(4, 4) * penalty;
            let weights = normal.lu().solve(&rows.tr_mul(&targets)).unwrap();
            mean_y + (0..4).map(|f| weights[f] * (f64::from(x[test][f]) - mean_x[f])).sum::<f64>()
        };
        let gram = inner_products(count, |n| Ok(x[n].clone())).unwrap();
        let all: Vec<usize> = (0..count).collect();
        let mean = y.iter().sum::<f64>() / count as f64;
        let ridge = Ridge::new(gram.centred(&all, &all), DVector::from_iterator(count, y.iter().map(|v| v - mean)));
        let groups = [0, 0, 1, 1, 1, 2, 3, 4, 5];
        for units in [units(count, None), units(count, Some(&groups))] {
            let mut expected = 0.0;
            for unit in &units {
                let rest: Vec<usize> = all.iter().copied().filter(|n| !unit.contains(n)).collect();
                expected += unit.iter().map(|&n| (fit(&rest, n) - y[n]).powi(2)).sum::<f64>();
            }
            let found = ridge.left_out(penalty, &units);
            assert!((found / expected - 1.0).abs() < 1e-8, "{found} {expected}");
        }
    }

    #[test]
    fn a_signal_is_found_and_noise_is_not() {
        let x = volumes(60, 30, 5);
        let signal: Vec<f64> = x.iter().map(|v| 50.0 + 10.0 * f64::from(v[0] - v[7])).collect();
        let mut random = Seed::new(9).random();
        let noise: Vec<f64> = (0..60).map(|_| 50.0 + 10.0 * random.normal()).collect();
        let gram = inner_products(60, |n| Ok(x[n].clone())).unwrap();
        let splits = splits(&vec![0; 60], None, SplitScheme::Folds(5), Seed::new(0)).unwrap();
        let size = |all: &[ValuePrediction]| all.iter().map(|p| p.error().abs()).sum::<f64>() / 60.0;
        let of = |values: &[f64]| {
            let task = ValueTask { values, groups: None, splits: &splits };
            (size(&ridge_voxels(&gram, &task).predictions), size(&training_mean(&task)))
        };
        let ((found, mean), (of_noise, mean_of_noise)) = (of(&signal), of(&noise));
        assert!(found < 0.1 * mean, "{found} {mean}");
        assert!(of_noise > 0.85 * mean_of_noise, "{of_noise} {mean_of_noise}");
    }

    /// A line through volumes e^0, e^1 and e^2 (times 1e6) of the values 10, 20, 30; and the mean.
    #[test]
    fn a_line_by_hand() {
        let volumes = [0.0f64, 1.0, 2.0, 5.0].map(|x| 1e6 * x.exp());
        let values = [10.0, 20.0, 30.0, 0.0];
        let splits = [Split { train: vec![0, 1, 2], test: vec![3] }];
        let task = ValueTask { values: &values, groups: None, splits: &splits };
        let line = mask_volume_line(&volumes, &task).unwrap();
        assert!((line[0].predicted - 60.0).abs() < 1e-9 && line[0].training_mean == 20.0, "{line:?}");
        assert_eq!(training_mean(&task)[0].predicted, 20.0);
        assert!(mask_volume_line(&[0.0; 4], &task).is_err());
    }
}
