//! [`AdamStep`]: one step of Adam for one value; whoever follows gradients by Adam does it by this.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Div, Mul, Sub};

/// Options of Adam and AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamOptions {
    /// Decay of the mean and of the mean square of gradients.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether to divide by the largest mean square so far (Reddi et al. 2018).
    pub amsgrad: bool,
}

impl Default for AdamOptions {
    /// Betas 0.9 and 0.999, epsilon 1e-8, no weight decay, amsgrad off.
    fn default() -> Self {
        Self { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

/// A precision that a step is computed in: `f32` in the order of PyTorch's operations, or `f64` in that of the paper's.
pub trait Precision:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + sealed::Sealed
{
    /// The nearest number.
    fn round(value: f64) -> Self;
    /// The number itself.
    fn widen(value: f32) -> Self;
    /// The nearest single.
    fn narrow(self) -> f32;
    /// The mean moved towards a value, of which it takes the share `take` and keeps `1 - take`.
    fn toward(self, value: Self, take: Self) -> Self;
    /// Its square root.
    fn root(self) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Precision for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
    fn round(value: f64) -> Self {
        value as Self
    }
    fn widen(value: f32) -> Self {
        value
    }
    fn narrow(self) -> f32 {
        self
    }
    fn toward(self, value: Self, take: Self) -> Self {
        self + take * (value - self)
    }
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Precision for f64 {
    fn round(value: f64) -> Self {
        value
    }
    fn widen(value: f32) -> Self {
        Self::from(value)
    }
    #[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
    fn narrow(self) -> f32 {
        self as f32
    }
    fn toward(self, value: Self, take: Self) -> Self {
        (1.0 - take) * self + take * value
    }
    fn root(self) -> Self {
        self.sqrt()
    }
}

/// What a step of Adam (Kingma and Ba 2015) is the same for all values: with gradient `g`,
/// `m += (1 - b1) (g - m)`, `v = b2 v + (1 - b2) g g`, `x -= rate m / (1 - b1^n) / (sqrt(v / (1 - b2^n)) + epsilon)`.
///
/// Means are kept as f32.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<F> {
    take_first: F,
    keep_second: F,
    take_second: F,
    step_size: F,
    root: F,
    epsilon: F,
}

impl<F: Precision> AdamStep<F> {
    /// Step number `step`, counted from 1, with a learning rate. Weight decay and amsgrad are the caller's.
    pub fn new(options: &AdamOptions, step: u64, rate: f64) -> Self {
        let power = |beta: f64| beta.powf(step as f64);
        let [take_first, take_second] = options.betas.map(|beta| F::round(1.0 - beta));
        Self {
            take_first,
            keep_second: F::round(options.betas[1]),
            take_second,
            step_size: F::round(rate / (1.0 - power(options.betas[0]))),
            root: F::round((1.0 - power(options.betas[1])).sqrt()),
            epsilon: F::round(options.epsilon),
        }
    }

    /// The value after the step, by its gradient. Advances the mean of its gradients, that of their squares and,
    /// where given, the largest of these, which then takes their place.
    #[inline(always)]
    pub fn advance(&self, value: F, gradient: F, first: &mut f32, second: &mut f32, largest: Option<&mut f32>) -> F {
        let mean = F::widen(*first).toward(gradient, self.take_first);
        let mut square = self.keep_second * F::widen(*second) + self.take_second * gradient * gradient;
        (*first, *second) = (mean.narrow(), square.narrow());
        if let Some(largest) = largest {
            *largest = largest.max(*second);
            square = F::widen(*largest);
        }
        value - self.step_size * mean / (square.root() / self.root + self.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: from means of zero, the first step is the learning rate against the sign of the gradient.
    #[test]
    fn the_first_step_has_the_length_of_the_rate() {
        for gradient in [3.0f64, -0.25] {
            let (mut first, mut second) = (0.0, 0.0);
            let step = AdamStep::<f64>::new(&AdamOptions::default(), 1, 0.125);
            let value = step.advance(1.0, gradient, &mut first, &mut second, None);
            assert!((value - (1.0 - 0.125 * gradient.signum())).abs() < 1e-8, "{value}");
            assert!((f64::from(first) - 0.1 * gradient).abs() < 1e-7);
            assert!((f64::from(second) - 0.001 * gradient * gradient).abs() < 1e-8);
        }
    }

    /// Both precisions go the same way; the largest square holds the step back after a large gradient.
    #[test]
    fn precisions_agree_and_the_largest_square_stays() {
        let options = AdamOptions { betas: [0.5, 0.75], ..AdamOptions::default() };
        let (mut single, mut double) = ((0.5f32, [0.0; 3]), (0.5f64, [0.0; 3]));
        for (step, gradient) in [4.0f32, 0.5, -0.25, 0.125].into_iter().enumerate() {
            let step = step as u64 + 1;
            let [first, second, largest] = &mut single.1;
            single.0 =
                AdamStep::<f32>::new(&options, step, 0.01).advance(single.0, gradient, first, second, Some(largest));
            let [first, second, largest] = &mut double.1;
            let advance = AdamStep::<f64>::new(&options, step, 0.01);
            double.0 = advance.advance(double.0, f64::from(gradient), first, second, Some(largest));
            assert!((f64::from(single.0) - double.0).abs() < 1e-6);
            assert_eq!(single.1[2], 4.0);
        }
    }
}
