//! [`Penalised`]: logistic regression with an L2 penalty, of many columns.

use nalgebra::{DMatrix, DVector};
use voxplain_core::{log_sum_exp, softmax};

/// Logistic regression with an L2 penalty by truncated Newton steps: each is found by conjugate gradients, so that no matrix of all
/// columns by all columns is made. It is for as many columns as there are subjects; [`Logistic`](super::Logistic) is for few.
///
/// Two classes have one set of weights, more have one each (scikit-learn's convention for both), and intercepts have no penalty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Penalised {
    /// A column for each set of weights, the intercept last: `[columns + 1][sets]`.
    weights: DMatrix<f64>,
}

/// What is fitted: rows of the training part with a column of ones behind, their classes and weights in the loss.
#[derive(Debug)]
pub(super) struct Problem<'a> {
    rows: DMatrix<f64>,
    labels: &'a [usize],
    sample_weights: &'a [f64],
    classes: usize,
}

/// Newton steps at most. Each at least lowers the objective, so that what is left is an inexact optimum, never a wrong one.
const STEPS: usize = 60;
/// Steps of conjugate gradients for one of them at most.
const INNER: usize = 250;
/// The norm of the gradient, as a share of that of weights of 0, at which the optimum is reached.
const TOLERANCE: f64 = 1e-7;
/// A penalty on intercepts too small to matter.
const OF_INTERCEPT: f64 = 1e-9;

impl<'a> Problem<'a> {
    pub(super) fn new(rows: &DMatrix<f64>, labels: &'a [usize], sample_weights: &'a [f64], classes: usize) -> Self {
        let rows = rows.clone().insert_column(rows.ncols(), 1.0);
        Self { rows, labels, sample_weights, classes }
    }

    /// Sets of weights.
    fn sets(&self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }

    /// Logits of one row from the products with each set.
    fn logits(&self, products: &DMatrix<f64>, row: usize) -> Vec<f64> {
        logits(products.row(row).iter().copied(), self.classes)
    }

    /// The class that a set is of.
    fn class(&self, set: usize) -> usize {
        if self.classes == 2 { 1 } else { set }
    }

    fn penalties(&self, penalty: f64) -> DVector<f64> {
        let last = self.rows.ncols() - 1;
        DVector::from_fn(last + 1, |f, _| if f == last { OF_INTERCEPT } else { penalty })
    }

    /// `sum of weight * cross-entropy + penalty * |weights|² / 2`.
    fn objective(&self, weights: &DMatrix<f64>, penalties: &DVector<f64>) -> f64 {
        let products = &self.rows * weights;
        let data: f64 = (0..self.rows.nrows())
            .map(|n| {
                let logits = self.logits(&products, n);
                self.sample_weights[n] * (log_sum_exp(&logits) - logits[self.labels[n]])
            })
            .sum();
        let squares: f64 = weights
            .column_iter()
            .map(|set| set.iter().zip(penalties.iter()).map(|(w, p)| p * w * w).sum::<f64>())
            .sum();
        data + squares / 2.0
    }

    /// The fit for a penalty, from weights that are near.
    pub(super) fn fit(&self, penalty: f64, from: Option<&Penalised>) -> Penalised {
        let (columns, sets, count) = (self.rows.ncols(), self.sets(), self.rows.nrows());
        let penalties = self.penalties(penalty);
        let mut weights = from.map_or_else(|| DMatrix::zeros(columns, sets), |from| from.weights.clone());
        let squares = DVector::from_fn(columns, |f, _| self.rows.column(f).norm_squared());
        let gradient_at = |weights: &DMatrix<f64>| {
            let products = &self.rows * weights;
            let mut probabilities = DMatrix::zeros(count, self.classes);
            let mut residuals = DMatrix::zeros(count, sets);
            for n in 0..count {
                for (class, p) in softmax(&self.logits(&products, n)).into_iter().enumerate() {
                    probabilities[(n, class)] = p;
                }
                for set in 0..sets {
                    let truth = f64::from(u8::from(self.labels[n] == self.class(set)));
                    residuals[(n, set)] = self.sample_weights[n] * (probabilities[(n, self.class(set))] - truth);
                }
            }
            let mut gradient = self.rows.tr_mul(&residuals);
            for set in 0..sets {
                for f in 0..columns {
                    gradient[(f, set)] += penalties[f] * weights[(f, set)];
                }
            }
            (gradient, probabilities)
        };
        let at_zero = gradient_at(&DMatrix::zeros(columns, sets)).0.norm().max(f64::MIN_POSITIVE);
        let mut value = self.objective(&weights, &penalties);
        for _ in 0..STEPS {
            let (gradient, probabilities) = gradient_at(&weights);
            let norm = gradient.norm();
            if norm <= TOLERANCE * at_zero {
                break;
            }
            let curved = |v: &DMatrix<f64>| {
                let products = &self.rows * v;
                let bent = DMatrix::from_fn(count, sets, |n, set| {
                    let p = |set: usize| probabilities[(n, self.class(set))];
                    let mean: f64 = (0..sets).map(|other| p(other) * products[(n, other)]).sum();
                    self.sample_weights[n] * p(set) * (products[(n, set)] - mean)
                });
                let mut all = self.rows.tr_mul(&bent);
                for set in 0..sets {
                    for f in 0..columns {
                        all[(f, set)] += penalties[f] * v[(f, set)];
                    }
                }
                all
            };
            let mean_curve = |set: usize| {
                let of = |n: usize| {
                    let p = probabilities[(n, self.class(set))];
                    self.sample_weights[n] * p * (1.0 - p)
                };
                (0..count).map(of).sum::<f64>() / count as f64
            };
            let curves: Vec<f64> = (0..sets).map(mean_curve).collect();
            let scale = DMatrix::from_fn(columns, sets, |f, set| curves[set] * squares[f] + penalties[f]);
            let step = conjugate_gradients(curved, &gradient, &scale, (norm / at_zero).sqrt().min(0.1) * norm);
            let slope = -gradient.dot(&step);
            let (mut share, mut next) = (1.0, &weights - &step);
            let mut after = self.objective(&next, &penalties);
            while after > value + 1e-4 * share * slope && share > 1e-8 {
                share /= 2.0;
                next = &weights - &step * share;
                after = self.objective(&next, &penalties);
            }
            if after >= value {
                break;
            }
            (weights, value) = (next, after);
        }
        Penalised { weights }
    }
}

/// Solves `curved(x) = right` up to a residual of that norm, from 0; `scale` is the diagonal that it is like.
fn conjugate_gradients(
    curved: impl Fn(&DMatrix<f64>) -> DMatrix<f64>,
    right: &DMatrix<f64>,
    scale: &DMatrix<f64>,
    tolerance: f64,
) -> DMatrix<f64> {
    let mut found = DMatrix::zeros(right.nrows(), right.ncols());
    let mut residual = right.clone();
    let mut scaled = residual.component_div(scale);
    let mut direction = scaled.clone();
    let mut size = residual.dot(&scaled);
    for _ in 0..INNER {
        if residual.norm() <= tolerance {
            break;
        }
        let bent = curved(&direction);
        let curve = direction.dot(&bent);
        if curve <= 0.0 || !curve.is_finite() {
            break;
        }
        let length = size / curve;
        found += &direction * length;
        residual -= &bent * length;
        scaled = residual.component_div(scale);
        let next = residual.dot(&scaled);
        direction = &scaled + &direction * (next / size);
        size = next;
    }
    found
}

/// The logit of each class from the products of a row with each set of weights.
fn logits(products: impl Iterator<Item = f64>, classes: usize) -> Vec<f64> {
    if classes == 2 { std::iter::once(0.0).chain(products).collect() } else { products.collect() }
}

impl Penalised {
    /// The weights of the first set, without the intercept.
    pub(super) fn direction(&self) -> DVector<f64> {
        self.weights.column(0).rows(0, self.weights.nrows() - 1).into_owned()
    }

    /// The probability of each class for each row.
    pub(super) fn probabilities(&self, rows: &DMatrix<f64>, classes: usize) -> Vec<Vec<f64>> {
        let last = self.weights.nrows() - 1;
        let products = rows * self.weights.rows(0, last);
        let of = |n: usize| {
            let sets = (0..products.ncols()).map(|set| products[(n, set)] + self.weights[(last, set)]);
            softmax(&logits(sets, classes))
        };
        (0..rows.nrows()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Logistic;
    use super::*;
    use voxplain_core::random::Seed;

    /// Of few columns it is what Newton's method with the whole matrix finds.
    #[test]
    fn the_optimum_is_that_of_the_whole_matrix() {
        let mut random = Seed::new(3).random();
        let rows = DMatrix::from_fn(50, 6, |_, f| random.normal() * (1.0 + f as f64));
        let labels: Vec<usize> = (0..50).map(|n| usize::from(rows[(n, 1)] + random.normal() > 0.4)).collect();
        let weights: Vec<f64> = (0..50).map(|n| 1.0 + (n % 3) as f64).collect();
        let problem = Problem::new(&rows, &labels, &weights, 2);
        let mut before = None;
        for penalty in [100.0, 1.0, 0.01] {
            let found = problem.fit(penalty, before.as_ref());
            let exact = Logistic::fit(&rows, &labels, &weights, 2, 1.0 / penalty);
            for (n, found) in found.probabilities(&rows, 2).iter().enumerate() {
                let row: Vec<f64> = rows.row(n).iter().copied().collect();
                assert!((found[1] - exact.probabilities(&row)[1]).abs() < 1e-5, "{penalty} {n}");
            }
            before = Some(found);
        }
    }

    /// Of three classes the slow gradient is 0, and sets of weights sum to 0.
    #[test]
    fn three_classes_reach_the_optimum() {
        let mut random = Seed::new(5).random();
        let rows = DMatrix::from_fn(40, 3, |_, _| random.normal());
        let labels: Vec<usize> =
            (0..40).map(|s| usize::from(rows[(s, 0)] > 0.2) + usize::from(rows[(s, 1)] > 0.0)).collect();
        let ones = [1.0; 40];
        let problem = Problem::new(&rows, &labels, &ones, 3);
        let found = problem.fit(0.5, None);
        let penalties = problem.penalties(0.5);
        for f in 0..4 {
            for set in 0..3 {
                let moved = |by: f64| {
                    let mut weights = found.weights.clone();
                    weights[(f, set)] += by;
                    problem.objective(&weights, &penalties)
                };
                assert!(((moved(1e-4) - moved(-1e-4)) / 2e-4).abs() < 1e-4, "{f} {set}");
            }
            assert!(f == 3 || found.weights.row(f).sum().abs() < 1e-5);
        }
    }
}
