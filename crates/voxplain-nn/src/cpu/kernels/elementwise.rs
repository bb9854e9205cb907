//! Value by value: activations, sums, masks.

use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::LANES;
use crate::{Activation, ReluRule};
use rayon::prelude::*;

/// Floats in a piece of work.
const PART: usize = 1 << 14;

impl Activation {
    fn value(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Self::Elu => {
                if x > 0.0 {
                    x
                } else {
                    x.exp_m1()
                }
            }
            Self::Gelu => x * normal_distribution(x),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
        }
    }

    /// Derivative at `x`.
    fn slope(self, x: f32) -> f32 {
        match self {
            Self::Relu => {
                if x > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
            Self::LeakyRelu { slope } => {
                if x > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Self::Elu => {
                if x > 0.0 {
                    1.0
                } else {
                    x.exp()
                }
            }
            Self::Gelu => {
                let density = (-0.5 * f64::from(x) * f64::from(x)).exp() * 0.398_942_280_401_432_7;
                #[allow(clippy::cast_possible_truncation, reason = "values are f32")]
                let density = density as f32;
                normal_distribution(x) + x * density
            }
            Self::Sigmoid => {
                let y = 1.0 / (1.0 + (-x).exp());
                y * (1.0 - y)
            }
            Self::Tanh => {
                let y = x.tanh();
                1.0 - y * y
            }
        }
    }
}

/// Distribution function of the standard normal.
#[allow(clippy::cast_possible_truncation, reason = "values are f32")]
fn normal_distribution(x: f32) -> f32 {
    (0.5 * libm::erfc(-f64::from(x) * std::f64::consts::FRAC_1_SQRT_2)) as f32
}

/// `out = activation(x)`.
pub(crate) fn activate(isa: Isa, activation: Activation, x: &[f32], out: &mut [f32]) {
    each(x, out, |x, out| {
        if activation == Activation::Relu {
            dispatch(isa, Relu { x, out });
        } else {
            for (o, x) in out.iter_mut().zip(x) {
                *o = activation.value(*x);
            }
        }
    });
}

/// `max(x, 0)` in place.
pub(crate) fn relu(isa: Isa, x: &mut [f32]) {
    x.par_chunks_mut(PART).for_each(|x| dispatch(isa, ReluInPlace(x)));
}

struct ReluInPlace<'a>(&'a mut [f32]);

impl Kernel for ReluInPlace<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            for x in self.0.chunks_exact_mut(LANES) {
                V::splat(0.0).max(V::load(x.as_ptr())).store(x.as_mut_ptr());
            }
        }
    }
}

/// `gradient *= activation'(x)`.
pub(crate) fn activation_gradient(activation: Activation, x: &[f32], gradient: &mut [f32]) {
    each(x, gradient, |x, gradient| {
        for (g, x) in gradient.iter_mut().zip(x) {
            *g *= activation.slope(*x);
        }
    });
}

/// What a ReLU with output `y` lets through, in place.
pub(crate) fn relu_gradient(isa: Isa, rule: ReluRule, y: &[f32], gradient: &mut [f32]) {
    each(y, gradient, |y, gradient| dispatch(isa, Mask { rule, y, gradient }));
}

/// `sum += x`.
pub(crate) fn add(isa: Isa, x: &[f32], sum: &mut [f32]) {
    each(x, sum, |x, sum| dispatch(isa, Add { x, sum }));
}

/// `out *= factor`, value by value.
pub(crate) fn multiply(factor: &[f32], out: &mut [f32]) {
    each(factor, out, |factor, out| {
        for (o, f) in out.iter_mut().zip(factor) {
            *o *= f;
        }
    });
}

fn each(x: &[f32], out: &mut [f32], work: impl Fn(&[f32], &mut [f32]) + Sync + Send) {
    assert_eq!(x.len(), out.len());
    assert_eq!(x.len() % LANES, 0);
    if x.len() <= PART {
        work(x, out);
    } else {
        out.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(out, x)| work(x, out));
    }
}

struct Relu<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Relu<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            for (out, x) in self.out.chunks_exact_mut(LANES).zip(self.x.chunks_exact(LANES)) {
                zero.max(V::load(x.as_ptr())).store(out.as_mut_ptr());
            }
        }
    }
}

struct Mask<'a> {
    rule: ReluRule,
    y: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for Mask<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            for (gradient, y) in self.gradient.chunks_exact_mut(LANES).zip(self.y.chunks_exact(LANES)) {
                let (g, y) = (V::load(gradient.as_ptr()), V::load(y.as_ptr()));
                V::select(passes::<V>(self.rule, y, g), g, zero).store(gradient.as_mut_ptr());
            }
        }
    }
}

/// Where a ReLU with output `y` lets `gradient` through.
///
/// # Safety
///
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn passes<V: Lanes>(rule: ReluRule, y: V, gradient: V) -> V::Mask {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let zero = V::splat(0.0);
        match rule {
            ReluRule::Gradient => y.greater(zero),
            ReluRule::Guided => V::both(y.greater(zero), gradient.greater(zero)),
            ReluRule::Deconvolution => gradient.greater(zero),
        }
    }
}

struct Add<'a> {
    x: &'a [f32],
    sum: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            for (sum, x) in self.sum.chunks_exact_mut(LANES).zip(self.x.chunks_exact(LANES)) {
                V::load(sum.as_ptr()).add(V::load(x.as_ptr())).store(sum.as_mut_ptr());
            }
        }
    }
}
