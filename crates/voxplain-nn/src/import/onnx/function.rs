//! Functions of single values: activations that exporters write as several operators, recognised by what they give.
//!
//! `x * sigmoid(x)`, `x * relu6(x + 3) / 6`, `0.5 x (1 + erf(x / sqrt 2))`: a chain of operators that work value by value,
//! from one value and constants, is a function of that value, however it is written. It is followed at fixed points and
//! compared with the activations that the engine has.

use crate::Activation;
use crate::reference::activation::forward;
use std::cmp::Ordering;
use std::rc::Rc;

/// Points that functions are compared at, denser near 0.
const POINTS: usize = 129;
/// The furthest of them.
const FURTHEST: f64 = 25.0;
/// Functions that differ by no more than this (of 1, or of the value where that is larger) are the same: constants of
/// files are single precision.
const SAME: f64 = 2e-6;

/// The values of a function at the points.
pub(super) type Samples = Rc<[f64]>;

fn point(n: usize) -> f64 {
    let t = 2.0 * n as f64 / (POINTS - 1) as f64 - 1.0;
    t * t.abs() * FURTHEST
}

/// Those of `x` itself.
pub(super) fn identity() -> Samples {
    (0..POINTS).map(point).collect()
}

/// The samples of a function of functions; nothing where it has no value at a point.
pub(super) fn compose(of: &[&Samples], function: impl Fn(&[f64]) -> Option<f64>) -> Option<Samples> {
    let mut values = vec![0.0; of.len()];
    (0..POINTS)
        .map(|n| {
            values.iter_mut().zip(of).for_each(|(value, samples)| *value = samples[n]);
            function(&values)
        })
        .collect()
}

/// Those of a constant.
pub(super) fn constant(value: f64) -> Samples {
    vec![value; POINTS].into()
}

/// Whether it gives each value as it is, to the last digit: a small number added is none to [`activation`], but an epsilon to
/// a normalisation.
pub(super) fn is_identity(samples: &Samples) -> bool {
    samples.iter().enumerate().all(|(n, &value)| (value - point(n)).abs() <= 1e-12 * point(n).abs())
}

/// Whether it is a line: a scale and a shift, which are no activation.
fn is_line(samples: &Samples) -> bool {
    let (last, middle) = (samples[POINTS - 1], samples[POINTS / 2]);
    same(samples, |x| middle + (last - middle) / FURTHEST * x)
}

/// The activation that gives these values, if there is one.
#[expect(clippy::cast_possible_truncation, reason = "parameters are single precision, as the file has them")]
pub(super) fn activation(samples: &Samples) -> Option<Activation> {
    let at = |x: f64| {
        let t = (x / FURTHEST).abs().sqrt() * x.signum();
        let n = ((t + 1.0) / 2.0 * (POINTS - 1) as f64).round();
        // The points are known ones: 0, and the two ends.
        samples[n as usize]
    };
    if is_line(samples) {
        return None;
    }
    let (low, middle, high) = (at(-FURTHEST), at(0.0), at(FURTHEST));
    let fixed = [
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Elu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::HardSwish,
        Activation::Mish,
        Activation::Softplus,
    ];
    // A step to the right of 0, where a hard sigmoid is still a line.
    let (near, next) = (POINTS / 2 + 1, point(POINTS / 2 + 1));
    let scale = high / FURTHEST;
    let with_parameters = [
        Activation::LeakyRelu { slope: (low / -FURTHEST) as f32 },
        Activation::ScaledElu { alpha: (-low / scale / (1.0 - (-FURTHEST).exp())) as f32, scale: scale as f32 },
        Activation::HardSigmoid { slope: ((samples[near] - middle) / next) as f32, offset: middle as f32 },
        Activation::Clip { low: low as f32, high: f32::INFINITY },
        Activation::Clip { low: f32::NEG_INFINITY, high: high as f32 },
        Activation::Clip { low: low as f32, high: high as f32 },
    ];
    let fits = |activation: &Activation| {
        let exists = match activation {
            Activation::Clip { low, high } => low.partial_cmp(high) == Some(Ordering::Less),
            // Where the next point is at its end already it may be a step (`x > 0`), whose slope no point tells.
            Activation::HardSigmoid { slope, .. } => *slope > 0.0 && samples[near] < 1.0,
            _ => true,
        };
        exists && same(samples, |x| forward(*activation, x))
    };
    fixed.into_iter().chain(with_parameters).find(fits)
}

fn same(samples: &Samples, function: impl Fn(f64) -> f64) -> bool {
    samples.iter().enumerate().all(|(n, &value)| {
        let expected = function(point(n));
        value.is_finite() && (value - expected).abs() <= SAME * expected.abs().max(1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: impl Fn(f64) -> f64) -> Option<Activation> {
        activation(&compose(&[&identity()], |x| Some(function(x[0]))).unwrap())
    }

    /// The same functions written in other ways, with constants of single precision.
    #[test]
    fn activations_are_found_however_they_are_written() {
        let relu6 = |x: f64| x.clamp(0.0, 6.0);
        assert_eq!(of(|x| x * (relu6(x + 3.0) / 6.0)), Some(Activation::HardSwish));
        assert_eq!(of(|x| x / (1.0 + (-x).exp())), Some(Activation::Silu));
        assert_eq!(of(|x| x * (1.0 + x.exp()).ln().tanh()), Some(Activation::Mish));
        assert_eq!(of(|x| 0.5 * x * (1.0 + libm::erf(x / f64::from(2f32.sqrt())))), Some(Activation::Gelu));
        let tanh = |x: f64| (f64::from(0.797_884_6f32) * (x + f64::from(0.044_715f32) * x * x * x)).tanh();
        assert_eq!(of(|x| 0.5 * x * (1.0 + tanh(x))), Some(Activation::GeluTanh));
        assert_eq!(of(|x| x.max(0.2 * x)), Some(Activation::LeakyRelu { slope: 0.2 }));
        assert_eq!(of(relu6), Some(Activation::Clip { low: 0.0, high: 6.0 }));
        assert_eq!(of(|x| x.max(-2.0)), Some(Activation::Clip { low: -2.0, high: f32::INFINITY }));
        assert_eq!(of(|x| relu6(x + 3.0) / 6.0), Some(Activation::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 }));
        let selu = |x: f64| 1.050_701 * if x > 0.0 { x } else { 1.673_263_2 * x.exp_m1() };
        assert_eq!(of(selu), Some(Activation::ScaledElu { alpha: 1.673_263_2, scale: 1.050_701 }));
        assert_eq!(
            of(|x| if x > 0.0 { x } else { 0.5 * x.exp_m1() }),
            Some(Activation::ScaledElu { alpha: 0.5, scale: 1.0 })
        );
        assert_eq!(of(|x| if x > 20.0 { x } else { (1.0 + x.exp()).ln() }), Some(Activation::Softplus));
        // Steps, as `nn.Threshold` and `Heaviside` are written with, rising and falling.
        for step in
            [|x: f64| f64::from(x > 0.0), |x| f64::from(x >= 0.0), |x| f64::from(x <= 0.0), |x| f64::from(x < 0.0)]
        {
            assert_eq!(of(step), None);
        }
        assert_eq!(of(|x| if x <= 0.0 { 0.0 } else { x }), Some(Activation::Relu));
        assert_eq!((of(|x| x * x), of(|x| x + 1e-6), of(|x| 2.0 * x), of(|_| f64::NAN)), (None, None, None, None));
        assert!(is_identity(&identity()) && !is_identity(&compose(&[&identity()], |x| Some(x[0] + 1e-6)).unwrap()));
    }
}
