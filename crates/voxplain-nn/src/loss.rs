//! [`CrossEntropy`]: how far predictions are from the labels; [`ValueLoss`]: how far they are from numbers.

use crate::{Error, Network, OpClass, Result};
use serde::{Deserialize, Serialize};
use voxplain_core::log_sum_exp;

/// Cross-entropy of the softmax, averaged over the batch with class weights:
/// `L = sum_n w[y_n] (-log p_n[y_n]) / sum_n w[y_n]`, as PyTorch's `cross_entropy` and `nll_loss` with `weight`.
///
/// With label smoothing `e` (Szegedy et al. 2016) the truth is `1 - e` of the label and `e / K` of each of the `K` classes, as PyTorch's
/// `label_smoothing`: `L = sum_n ((1 - e) w[y_n] (-log p_n[y_n]) + e / K sum_c w[c] (-log p_n[c])) / sum_n w[y_n]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropy {
    /// Weight of each class; all 1 when `None`.
    pub weights: Option<Vec<f32>>,
    /// Whether outputs are log-probabilities already (a network that ends in [`crate::Op::LogSoftmax`]) and not logits.
    pub log_probabilities: bool,
    /// Label smoothing, from 0 (none) to 1.
    #[serde(default)]
    pub smoothing: f64,
}

impl CrossEntropy {
    /// The loss that fits a network's last operation, all classes weighing the same.
    pub fn of(network: &Network) -> Self {
        let log_probabilities = match network.nodes()[network.output().0].op.class() {
            OpClass::LogSoftmax => true,
            OpClass::Input
            | OpClass::Layer
            | OpClass::Affine
            | OpClass::Activation(_)
            | OpClass::MaxPool(_)
            | OpClass::Prelu(_)
            | OpClass::SampleNorm(_)
            | OpClass::Product
            | OpClass::Identity
            | OpClass::Sum
            | OpClass::Concat
            | OpClass::Softmax => false,
        };
        Self { weights: None, log_probabilities, smoothing: 0.0 }
    }

    /// The same loss with the [`class_weights`] of these labels.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub fn balanced(self, labels: &[usize], classes: usize) -> Self {
        let weights = class_weights(labels, classes).into_iter().map(|weight| weight as f32).collect();
        Self { weights: Some(weights), ..self }
    }

    fn weight(&self, label: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights.get(label).map_or(0.0, |&w| f64::from(w)))
    }

    /// What the labels weigh together: the loss of a batch is the mean of its parts' by these weights.
    pub fn total(&self, labels: &[usize]) -> f64 {
        labels.iter().map(|&label| self.weight(label)).sum()
    }

    /// The loss of outputs `[n, classes]` against labels `[n]`; `gradient` (`[n, classes]`) receives its gradient
    /// with respect to the outputs. Sums are taken in double precision.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
    pub fn evaluate(&self, outputs: &[f32], labels: &[usize], gradient: &mut [f32]) -> Result<f64> {
        let classes = if labels.is_empty() { 0 } else { outputs.len() / labels.len() };
        if classes == 0 || classes * labels.len() != outputs.len() || gradient.len() != outputs.len() {
            return Err(Error::Request(format!(
                "loss: found {} outputs and {} gradients for {} labels, expected a row for each label",
                outputs.len(),
                gradient.len(),
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|&&label| label >= classes) {
            return Err(Error::Request(format!("loss: found label {label}, expected one below {classes}")));
        }
        if let Some(weights) = self.weights.as_ref().filter(|weights| weights.len() != classes) {
            return Err(Error::Request(format!("loss: found {} class weights, expected {classes}", weights.len())));
        }
        let weight = |label: usize| self.weight(label);
        let total = self.total(labels);
        if total.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
            return Err(Error::Request(format!("loss: the class weights of the batch sum to {total}, expected more")));
        }
        let mut loss = 0.0;
        let rows = outputs.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
        for ((row, gradient), &label) in rows.zip(labels) {
            let share = weight(label) / total;
            let normalizer = if self.log_probabilities { 0.0 } else { log_sum_exp(row) };
            if self.smoothing > 0.0 {
                loss += self.smoothed((row, normalizer), label, gradient) / total;
                gradient.iter_mut().for_each(|g| *g = (f64::from(*g) / total) as f32);
                continue;
            }
            loss += share * (normalizer - f64::from(row[label]));
            for (class, (gradient, &output)) in gradient.iter_mut().zip(row).enumerate() {
                let probability = if self.log_probabilities { 0.0 } else { (f64::from(output) - normalizer).exp() };
                let truth = f64::from(u8::from(class == label));
                *gradient = (share * (probability - truth)) as f32;
            }
        }
        Ok(loss)
    }
}

impl CrossEntropy {
    /// The weighted loss of one sample with a smoothed label; `gradient` receives its gradient. Neither is divided by the weights' sum.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
    fn smoothed(&self, (row, normalizer): (&[f32], f64), label: usize, gradient: &mut [f32]) -> f64 {
        let even = self.smoothing / row.len() as f64;
        let truth = |class: usize| {
            let own = if class == label { (1.0 - self.smoothing) * self.weight(label) } else { 0.0 };
            own + even * self.weight(class)
        };
        let mass: f64 = (0..row.len()).map(truth).sum();
        let mut loss = 0.0;
        for (class, (gradient, &output)) in gradient.iter_mut().zip(row).enumerate() {
            let log = f64::from(output) - normalizer;
            loss -= truth(class) * log;
            let said = if self.log_probabilities { 0.0 } else { mass * log.exp() };
            *gradient = (said - truth(class)) as f32;
        }
        loss
    }
}

/// How far one predicted number of each sample is from the true one, averaged over the batch. With the error `e = z - y`:
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueLoss {
    /// `e²`, the mean squared error.
    #[default]
    Mse,
    /// `|e|`, the mean absolute error; its slope at 0 is 0.
    Mae,
    /// `e² / 2` up to `|e| = 1`, and `|e| - 1/2` beyond (Huber 1964, with PyTorch's default of 1): errors are counted in
    /// the unit of the targets, which are best standardised.
    Huber,
}

impl ValueLoss {
    /// Its name: `mse`, `mae`, `huber`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::Huber => "huber",
        }
    }

    /// The loss of outputs `[n]` against `targets` `[n]`; `gradient` (`[n]`) receives its gradient with respect to the
    /// outputs. Sums are taken in double precision.
    ///
    /// # Errors
    /// Not as many outputs as targets, or none; a target that is not finite.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
    pub fn evaluate(self, outputs: &[f32], targets: &[f64], gradient: &mut [f32]) -> Result<f64> {
        if targets.is_empty() || outputs.len() != targets.len() || gradient.len() != targets.len() {
            return Err(Error::Request(format!(
                "loss: found {} outputs and {} gradients for {} values, expected one of each",
                outputs.len(),
                gradient.len(),
                targets.len()
            )));
        }
        if let Some(target) = targets.iter().find(|target| !target.is_finite()) {
            return Err(Error::Request(format!("loss: found the value {target}, expected a number")));
        }
        let n = targets.len() as f64;
        let mut loss = 0.0;
        for ((&output, target), gradient) in outputs.iter().zip(targets).zip(gradient) {
            let error = f64::from(output) - target;
            let (value, slope) = match self {
                Self::Mse => (error * error, 2.0 * error),
                Self::Mae => (error.abs(), if error == 0.0 { 0.0 } else { error.signum() }),
                Self::Huber if error.abs() <= 1.0 => (error * error / 2.0, error),
                Self::Huber => (error.abs() - 0.5, error.signum()),
            };
            loss += value / n;
            *gradient = (slope / n) as f32;
        }
        Ok(loss)
    }
}

/// The weight of each class that makes all classes count alike: `n / (classes * n_c)` for `n` labels, `n_c` of them of
/// class `c` (scikit-learn's `balanced`). Their mean over the labels is 1. A class without labels has weight 0.
///
/// ```
/// assert_eq!(voxplain_nn::loss::class_weights(&[0, 0, 0, 1], 2), [2.0 / 3.0, 2.0]);
/// ```
pub fn class_weights(labels: &[usize], classes: usize) -> Vec<f64> {
    let weight = |class| match labels.iter().filter(|&&label| label == class).count() {
        0 => 0.0,
        count => labels.len() as f64 / (classes * count) as f64,
    };
    (0..classes).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By hand: probabilities 1/3, 2/3 and 1/2, 1/2; weights 1 and 3 for labels 1 and 0.
    #[test]
    fn weighted_means_are_those_by_hand() {
        let loss = CrossEntropy { weights: Some(vec![3.0, 1.0]), log_probabilities: false, smoothing: 0.0 };
        let mut gradient = [0.0; 4];
        let value = loss.evaluate(&[0.0, 2f32.ln(), 5.0, 5.0], &[1, 0], &mut gradient).unwrap();
        assert!((value - (1.5f64.ln() + 3.0 * 2f64.ln()) / 4.0).abs() < 1e-7);
        let expected = [1.0 / 12.0, -1.0 / 12.0, -3.0 / 8.0, 3.0 / 8.0];
        assert!(gradient.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7), "{gradient:?}");
        let balanced = CrossEntropy::default().balanced(&[0, 0, 0, 1], 2);
        assert_eq!(balanced.weights.unwrap(), [2.0 / 3.0, 2.0]);
    }

    /// Two classes, smoothing 0.2: of the label 0.9, of the other 0.1. With probabilities 1/3 and 2/3 and label 1:
    /// -0.1 ln(1/3) - 0.9 ln(2/3), and the gradient is p less the truth.
    #[test]
    fn smoothed_labels_by_hand() {
        let loss = CrossEntropy { smoothing: 0.2, ..CrossEntropy::default() };
        let mut gradient = [0.0; 2];
        let value = loss.evaluate(&[0.0, 2f32.ln()], &[1], &mut gradient).unwrap();
        assert!((value - (0.1 * 3f64.ln() + 0.9 * 1.5f64.ln())).abs() < 1e-7, "{value}");
        assert!((gradient[0] - (1.0 / 3.0 - 0.1)).abs() < 1e-7 && (gradient[1] - (2.0 / 3.0 - 0.9)).abs() < 1e-7);
    }

    #[test]
    fn bad_labels_and_sizes_are_refused() {
        let loss = CrossEntropy::default();
        assert!(loss.evaluate(&[0.0; 4], &[2, 0], &mut [0.0; 4]).unwrap_err().to_string().contains("label 2"));
        assert!(loss.evaluate(&[0.0; 3], &[0, 0], &mut [0.0; 3]).is_err());
        assert!(loss.evaluate(&[], &[], &mut []).is_err());
        let loss = CrossEntropy { weights: Some(vec![0.0, 1.0]), ..loss };
        assert!(loss.evaluate(&[0.0; 2], &[0], &mut [0.0; 2]).is_err(), "nothing to average over");
    }

    /// Errors -2, 0.5 and 0: squares 4, 0.25, 0; sizes 2, 0.5, 0; Huber 1.5, 0.125, 0.
    #[test]
    fn losses_of_values_by_hand() {
        let mut gradient = [0.0; 3];
        let mut of = |loss: ValueLoss| {
            let value = loss.evaluate(&[1.0, 2.5, -1.0], &[3.0, 2.0, -1.0], &mut gradient).unwrap();
            (value * 3.0, gradient.map(|g| g * 3.0))
        };
        assert_eq!(of(ValueLoss::Mse), (4.25, [-4.0, 1.0, 0.0]));
        assert_eq!(of(ValueLoss::Mae), (2.5, [-1.0, 1.0, 0.0]));
        assert_eq!(of(ValueLoss::Huber), (1.625, [-1.0, 0.5, 0.0]));
        let refused = |outputs: &[f32], targets: &[f64]| {
            ValueLoss::Mse.evaluate(outputs, targets, &mut vec![0.0; outputs.len()]).is_err()
        };
        assert!(refused(&[], &[]) && refused(&[1.0], &[1.0, 2.0]) && refused(&[1.0], &[f64::NAN]));
    }

    proptest! {
        /// The gradient is the slope, for errors of either size.
        #[test]
        fn gradients_of_values_are_slopes(
            outputs in proptest::collection::vec(-4f32..4.0, 5), targets in proptest::collection::vec(-4f64..4.0, 5),
        ) {
            for loss in [ValueLoss::Mse, ValueLoss::Mae, ValueLoss::Huber] {
                let mut gradient = [0.0; 5];
                loss.evaluate(&outputs, &targets, &mut gradient).unwrap();
                for at in 0..5 {
                    // A corner of the loss has no slope.
                    let error = (f64::from(outputs[at]) - targets[at]).abs();
                    if error < 0.01 || (error - 1.0).abs() < 0.01 {
                        continue;
                    }
                    let moved = |step: f32| {
                        let mut moved = outputs.clone();
                        moved[at] += step;
                        let step = f64::from(moved[at]) - f64::from(outputs[at]);
                        (loss.evaluate(&moved, &targets, &mut [0.0; 5]).unwrap(), step)
                    };
                    let ((above, up), (below, down)) = (moved(4e-3), moved(-4e-3));
                    let slope = (above - below) / (up - down);
                    prop_assert!((slope - f64::from(gradient[at])).abs() < 1e-5, "{loss:?}: {slope} {}", gradient[at]);
                }
            }
        }

        /// The gradient is the slope, for logits and for log-probabilities.
        #[test]
        fn gradients_are_slopes(
            logits in proptest::collection::vec(-4f32..4.0, 6), log_probabilities: bool, smoothing in prop_oneof![Just(0.0), 0.0..1.0],
        ) {
            let labels = [2, 0];
            let loss = CrossEntropy { weights: Some(vec![0.5, 1.0, 2.0]), log_probabilities, smoothing };
            let mut gradient = [0.0; 6];
            loss.evaluate(&logits, &labels, &mut gradient).unwrap();
            for at in 0..6 {
                let moved = |step: f32| {
                    let mut moved = logits.clone();
                    moved[at] += step;
                    let step = f64::from(moved[at]) - f64::from(logits[at]);
                    (loss.evaluate(&moved, &labels, &mut [0.0; 6]).unwrap(), step)
                };
                let ((above, up), (below, down)) = (moved(1e-2), moved(-1e-2));
                let slope = (above - below) / (up - down);
                prop_assert!((slope - f64::from(gradient[at])).abs() < 1e-4, "{slope} {}", gradient[at]);
            }
        }
    }
}
