//! [`Logistic`]: logistic regression with an L2 penalty.

use nalgebra::{DMatrix, DVector};
use voxplain_core::{log_sum_exp, softmax};

/// Multinomial logistic regression. The first class is the reference class, so that two classes give binary logistic
/// regression.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// Intercept and coefficients of each class but the first: `[classes - 1][1 + features]`.
    pub(super) weights: Vec<Vec<f64>>,
}

impl Logistic {
    /// Minimises `sum of weight * cross-entropy + |coefficients|² / (2 c)` by Newton's method. Intercepts are not
    /// penalised; `c` is scikit-learn's `C`. `rows` has a row of features for each subject; `labels` are below
    /// `classes`.
    pub fn fit(rows: &DMatrix<f64>, labels: &[usize], sample_weights: &[f64], classes: usize, c: f64) -> Self {
        let (n, width) = (rows.nrows(), rows.ncols() + 1);
        let others = classes - 1;
        let x = DMatrix::from_fn(n, width, |s, f| if f == 0 { 1.0 } else { rows[(s, f - 1)] });
        // Intercepts get a penalty too small to matter, which keeps the Hessian invertible without data.
        let penalty = |f: usize| if f == 0 { 1e-9 } else { 1.0 / c };
        let objective = |w: &DVector<f64>| {
            let fit = Self::unpack(w, others, width);
            let data: f64 = (0..n)
                .map(|s| {
                    let logits = fit.logits(x.row(s).iter().skip(1).copied());
                    -sample_weights[s] * (logits[labels[s]] - log_sum_exp(&logits))
                })
                .sum();
            data + (0..w.len()).map(|p| penalty(p % width) * w[p] * w[p] / 2.0).sum::<f64>()
        };
        let mut w = DVector::zeros(others * width);
        let mut value = objective(&w);
        for _ in 0..100 {
            let fit = Self::unpack(&w, others, width);
            let mut gradient = DVector::from_fn(w.len(), |p, _| penalty(p % width) * w[p]);
            let mut hessian = DMatrix::from_diagonal(&DVector::from_fn(w.len(), |p, _| penalty(p % width)));
            for s in 0..n {
                let p = fit.probabilities_of(x.row(s).iter().skip(1).copied());
                for a in 0..others {
                    let error = p[a + 1] - f64::from(u8::from(labels[s] == a + 1));
                    for f in 0..width {
                        gradient[a * width + f] += sample_weights[s] * error * x[(s, f)];
                    }
                    for b in 0..others {
                        let curve = sample_weights[s] * p[a + 1] * (f64::from(u8::from(a == b)) - p[b + 1]);
                        for f in 0..width {
                            let scaled = curve * x[(s, f)];
                            for g in 0..width {
                                hessian[(a * width + f, b * width + g)] += scaled * x[(s, g)];
                            }
                        }
                    }
                }
            }
            let Some(step) = hessian.cholesky().map(|h| h.solve(&gradient)) else { break };
            let (mut share, mut next) = (1.0, &w - &step);
            while objective(&next) > value && share > 1e-8 {
                share /= 2.0;
                next = &w - &step * share;
            }
            let after = objective(&next);
            if after >= value {
                break;
            }
            let gain = value - after;
            (w, value) = (next, after);
            if gain <= 1e-12 * value.abs() {
                break;
            }
        }
        Self::unpack(&w, others, width)
    }

    /// Probability of each class for one row of features, in the order of the classes.
    pub fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        self.probabilities_of(row.iter().copied())
    }

    fn probabilities_of(&self, row: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
        softmax(&self.logits(row))
    }

    fn logits(&self, row: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
        let of = |w: &Vec<f64>| w[0] + w[1..].iter().zip(row.clone()).map(|(w, x)| w * x).sum::<f64>();
        std::iter::once(0.0).chain(self.weights.iter().map(of)).collect()
    }

    fn unpack(w: &DVector<f64>, others: usize, width: usize) -> Self {
        Self { weights: (0..others).map(|a| w.as_slice()[a * width..(a + 1) * width].to_vec()).collect() }
    }
}
