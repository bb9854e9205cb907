//! [`Svm`]: a support vector machine of two classes on inner products, and a probability from its decision value.

use nalgebra::DMatrix;

/// A support vector machine with the hinge loss (C-SVC; Cortes and Vapnik 1995): it minimises `|w|² / 2 + sum of C_n * hinge` over `w` and an
/// intercept without penalty. Its dual is solved by pairs of subjects, the second chosen by second-order information (Fan, Chen and
/// Lin 2005), as LIBSVM does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Svm {
    /// For each training subject its multiplier times its side, -1 or 1.
    pub(super) coefficients: Vec<f64>,
    intercept: f64,
}

/// How far the conditions of the optimum may be violated, where a margin is 1 wide, or as a share of the sum of the bounds where that is
/// less: decision values are then no larger.
const TOLERANCE: f64 = 1e-4;
/// Pairs that are changed at most, for each subject; what is found then is as good as it got.
const PAIRS: usize = 20_000;

/// The dual of a machine, which is solved for one bound after another, in rising order.
#[derive(Debug)]
pub(super) struct Dual<'a> {
    products: &'a DMatrix<f64>,
    /// -1 or 1.
    sides: &'a [f64],
    multipliers: Vec<f64>,
    /// Of the objective by each multiplier.
    gradient: Vec<f64>,
}

impl<'a> Dual<'a> {
    /// Of inner products of the training subjects, which are on these sides.
    pub(super) fn new(products: &'a DMatrix<f64>, sides: &'a [f64]) -> Self {
        Self { products, sides, multipliers: vec![0.0; sides.len()], gradient: vec![-1.0; sides.len()] }
    }

    /// The machine for these bounds, none of which may be below those of a call before.
    pub(super) fn solve(&mut self, bounds: &[f64]) -> Svm {
        let (count, sides, k) = (self.sides.len(), self.sides, self.products);
        let has_both = sides.iter().any(|s| *s > 0.0) && sides.iter().any(|s| *s < 0.0);
        if !has_both {
            // Nothing to tell apart: its side for all.
            let intercept = sides.first().copied().unwrap_or(0.0);
            return Svm { coefficients: vec![0.0; count], intercept };
        }
        let tolerance = TOLERANCE * bounds.iter().sum::<f64>().min(1.0);
        let (mut up, mut down) = (0.0, 0.0);
        for _ in 0..PAIRS.saturating_mul(count) {
            // Up: its multiplier times its side may rise; down: it may fall.
            let rises = |n: usize, a: &[f64]| if sides[n] > 0.0 { a[n] < bounds[n] } else { a[n] > 0.0 };
            let falls = |n: usize, a: &[f64]| if sides[n] > 0.0 { a[n] > 0.0 } else { a[n] < bounds[n] };
            let pull = |n: usize, g: &[f64]| -sides[n] * g[n];
            let mut first = None;
            up = f64::NEG_INFINITY;
            for n in (0..count).filter(|&n| rises(n, &self.multipliers)) {
                let of = pull(n, &self.gradient);
                if of > up {
                    (up, first) = (of, Some(n));
                }
            }
            let Some(first) = first else { break };
            let (mut second, mut gain) = (None, 0.0);
            down = f64::INFINITY;
            for n in (0..count).filter(|&n| falls(n, &self.multipliers)) {
                let of = pull(n, &self.gradient);
                down = down.min(of);
                let apart = up - of;
                if apart > 0.0 {
                    let curve = (k[(first, first)] + k[(n, n)] - 2.0 * k[(first, n)]).max(1e-12);
                    if apart * apart / curve > gain {
                        (gain, second) = (apart * apart / curve, Some((n, apart / curve)));
                    }
                }
            }
            let Some((second, wanted)) = second.filter(|_| up - down > tolerance) else { break };
            let room_up =
                if sides[first] > 0.0 { bounds[first] - self.multipliers[first] } else { self.multipliers[first] };
            let room_down =
                if sides[second] > 0.0 { self.multipliers[second] } else { bounds[second] - self.multipliers[second] };
            let step = wanted.min(room_up).min(room_down);
            for (n, room, sign) in [(first, room_up, 1.0), (second, room_down, -1.0)] {
                let side = sides[n] * sign;
                // At an end exactly, so that it is known to be there.
                self.multipliers[n] = if step < room {
                    self.multipliers[n] + side * step
                } else if side > 0.0 {
                    bounds[n]
                } else {
                    0.0
                };
            }
            for (n, gradient) in self.gradient.iter_mut().enumerate() {
                *gradient += sides[n] * step * (k[(n, first)] - k[(n, second)]);
            }
        }
        let inside = |n: &usize| self.multipliers[*n] > 0.0 && self.multipliers[*n] < bounds[*n];
        let free: Vec<f64> = (0..count).filter(inside).map(|n| -sides[n] * self.gradient[n]).collect();
        let intercept =
            if free.is_empty() { f64::midpoint(up, down) } else { free.iter().sum::<f64>() / free.len() as f64 };
        Svm { coefficients: self.multipliers.iter().zip(sides).map(|(a, side)| a * side).collect(), intercept }
    }
}

impl Svm {
    /// The decision value of others from their inner products with the training subjects: a row each. Above 0 is the side of 1.
    pub(super) fn decide(&self, products: &DMatrix<f64>) -> Vec<f64> {
        let of = |row: usize| {
            products.row(row).iter().zip(&self.coefficients).map(|(k, a)| k * a).sum::<f64>() + self.intercept
        };
        (0..products.nrows()).map(of).collect()
    }
}

/// The probability of a side from a decision value: `1 / (1 + exp(-(slope * value + intercept)))` (Platt 1999), fitted by Newton's method
/// (Lin, Lin and Weng 2007) to decision values of people whom the machine was not trained on, with Platt's targets, `(n + 1) / (n + 2)` and
/// `1 / (n + 2)` in place of 1 and 0. A slope below 0 would turn a machine round that found nothing: it is 0, and the probability is then the
/// share of the side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Platt {
    slope: f64,
    intercept: f64,
}

impl Platt {
    /// The fit to decision values, and the mean weighted log loss that is left; sides are -1 or 1.
    pub(super) fn fit(values: &[f64], sides: &[f64], weights: &[f64]) -> (Self, f64) {
        let positives = sides.iter().filter(|s| **s > 0.0).count() as f64;
        let negatives = sides.len() as f64 - positives;
        let targets: Vec<f64> = sides
            .iter()
            .map(|s| if *s > 0.0 { (positives + 1.0) / (positives + 2.0) } else { 1.0 / (negatives + 2.0) })
            .collect();
        let total = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let loss = |fit: &Self| {
            let of = |n: usize| {
                let logit = fit.slope * values[n] + fit.intercept;
                // log(1 + exp(logit)) - target * logit, without overflow.
                weights[n] * (logit.max(0.0) + (-logit.abs()).exp().ln_1p() - targets[n] * logit)
            };
            (0..values.len()).map(of).sum::<f64>() / total
        };
        let descend = |mut fit: Self, with_slope: bool| {
            let mut value = loss(&fit);
            for _ in 0..100 {
                let (mut g, mut h) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
                for n in 0..values.len() {
                    let p = 1.0 / (1.0 + (-(fit.slope * values[n] + fit.intercept)).exp());
                    let (error, curve) = (weights[n] * (p - targets[n]), weights[n] * p * (1.0 - p));
                    g = [g[0] + error * values[n], g[1] + error];
                    h = [h[0] + curve * values[n] * values[n], h[1] + curve * values[n], h[2] + curve];
                }
                let determinant = h[0] * h[2] - h[1] * h[1];
                let step = if with_slope && determinant > 1e-12 * h[0] * h[2] {
                    [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant]
                } else {
                    [0.0, g[1] / h[2]]
                };
                let mut share = 1.0;
                let moved = |share: f64| Self {
                    slope: fit.slope - share * step[0],
                    intercept: fit.intercept - share * step[1],
                };
                let mut next = moved(share);
                while loss(&next) > value && share > 1e-10 {
                    share /= 2.0;
                    next = moved(share);
                }
                let after = loss(&next);
                if after >= value || after.is_nan() {
                    break;
                }
                let gain = value - after;
                (fit, value) = (next, after);
                if gain < 1e-14 {
                    break;
                }
            }
            fit
        };
        let start = Self { slope: 0.0, intercept: ((positives + 1.0) / (negatives + 1.0)).ln() };
        let mut fit = descend(start, true);
        if fit.slope < 0.0 {
            fit = descend(start, false);
        }
        (fit, loss(&fit))
    }

    /// The probability of the side of 1.
    pub(super) fn probability(&self, value: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * value + self.intercept)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::random::Seed;

    /// Two subjects at -1 and 1: `w = 2a`, so that the margin is reached at `a = 1/2`, and with a bound below that at the bound.
    #[test]
    fn two_subjects_by_hand() {
        let products = DMatrix::from_row_slice(2, 2, &[1.0, -1.0, -1.0, 1.0]);
        let sides = [-1.0, 1.0];
        let mut dual = Dual::new(&products, &sides);
        let other = DMatrix::from_row_slice(1, 2, &[-3.0, 3.0]);
        let bounded = dual.solve(&[0.2; 2]);
        assert!((bounded.decide(&other)[0] - 3.0 * 0.4).abs() < 1e-9, "{bounded:?}");
        let free = dual.solve(&[9.0; 2]);
        assert!((free.decide(&other)[0] - 3.0).abs() < 1e-9, "{free:?}");
        // One side alone.
        assert_eq!(Dual::new(&products, &[1.0, 1.0]).solve(&[1.0; 2]).decide(&other), [1.0]);
    }

    /// No small change of the weights or the intercept lowers the primal objective, and warm and cold starts agree.
    #[test]
    fn the_optimum_is_one() {
        let mut random = Seed::new(6).random();
        let rows = DMatrix::from_fn(40, 3, |_, _| random.normal());
        let sides: Vec<f64> =
            (0..40).map(|n| if rows[(n, 0)] + 0.5 * random.normal() > 0.1 { 1.0 } else { -1.0 }).collect();
        let products = &rows * rows.transpose();
        let mut warm = Dual::new(&products, &sides);
        for c in [0.01, 0.3, 5.0] {
            let bounds: Vec<f64> = (0..40).map(|n| if n % 4 == 0 { 2.0 * c } else { c }).collect();
            let found = warm.solve(&bounds);
            let cold = Dual::new(&products, &sides).solve(&bounds);
            let weights = |svm: &Svm| rows.tr_mul(&nalgebra::DVector::from_column_slice(&svm.coefficients));
            let w = weights(&found);
            assert!((&w - weights(&cold)).norm() < 2e-3, "{c}");
            let objective = |w: &nalgebra::DVector<f64>, b: f64| {
                let hinge: f64 =
                    (0..40).map(|n| bounds[n] * (1.0 - sides[n] * ((rows.row(n) * w)[0] + b)).max(0.0)).sum();
                w.norm_squared() / 2.0 + hinge
            };
            let at = objective(&w, found.intercept);
            for _ in 0..200 {
                let moved = w.map(|w| w + 0.05 * random.normal());
                assert!(objective(&moved, found.intercept + 0.05 * random.normal()) > at - 1e-3 * c.max(0.01), "{c}");
            }
        }
    }

    /// Without slope the probability is Platt's share: 3 of 4 with targets 4/5 and 1/3.
    #[test]
    fn platt_by_hand() {
        let sides = [1.0, 1.0, 1.0, -1.0];
        let (fit, _) = Platt::fit(&[0.0; 4], &sides, &[1.0; 4]);
        let share = (3.0 * 0.8 + 1.0 / 3.0) / 4.0;
        assert!((fit.probability(5.0) - share).abs() < 1e-9, "{fit:?}");
        // Values that fall where the side is 1 are not turned round.
        let (fit, _) = Platt::fit(&[-2.0, -1.0, -1.5, 2.0], &sides, &[1.0; 4]);
        assert!(fit.slope == 0.0 && (fit.probability(-9.0) - share).abs() < 1e-9, "{fit:?}");
        let (fit, loss) = Platt::fit(&[2.0, 1.0, 1.5, -2.0], &sides, &[1.0; 4]);
        assert!(fit.slope > 0.0 && loss < 0.6 && fit.probability(2.0) > fit.probability(-2.0));
    }
}
