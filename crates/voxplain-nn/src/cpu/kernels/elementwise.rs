//! Value by value: activations, sums, masks.

use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::{LANES, Volume};
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
            Self::GeluTanh => x * gelu_gate(x),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::ScaledElu { alpha, scale } => scale * if x > 0.0 { x } else { alpha * x.exp_m1() },
            Self::Silu => x * sigmoid(x),
            Self::Mish => x * softplus(x).tanh(),
            Self::Softplus => softplus(x),
            Self::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Clip { low, high } => x.clamp(low, high),
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
            Self::GeluTanh => {
                // The gate g is (1 + tanh(u)) / 2, so that its derivative is 2 g (1 - g) u'.
                let gate = gelu_gate(x);
                gate + 2.0 * x * gate * (1.0 - gate) * SQRT_2_PI * (1.0 + 3.0 * GELU_CUBE * x * x)
            }
            Self::Sigmoid => {
                let y = sigmoid(x);
                y * (1.0 - y)
            }
            Self::Tanh => {
                let y = x.tanh();
                1.0 - y * y
            }
            Self::ScaledElu { alpha, scale } => scale * if x > 0.0 { 1.0 } else { alpha * x.exp() },
            Self::Silu => {
                let y = sigmoid(x);
                y * (1.0 + x * (1.0 - y))
            }
            Self::Mish => {
                let t = softplus(x).tanh();
                t + x * (1.0 - t * t) * sigmoid(x)
            }
            Self::Softplus => sigmoid(x),
            Self::HardSigmoid { slope, offset } => {
                let y = slope * x + offset;
                if y > 0.0 && y < 1.0 { slope } else { 0.0 }
            }
            Self::HardSwish => {
                if x <= -3.0 {
                    0.0
                } else if x < 3.0 {
                    x / 3.0 + 0.5
                } else {
                    1.0
                }
            }
            Self::Clip { low, high } => {
                if x > low && x < high {
                    1.0
                } else {
                    0.0
                }
            }
        }
    }
}

/// The factor of the cube in the hyperbolic tangent of [`Activation::GeluTanh`].
const GELU_CUBE: f32 = 0.044_715;
/// `sqrt(2 / pi)`.
const SQRT_2_PI: f32 = 0.797_884_6;

/// What [`Activation::GeluTanh`] multiplies with.
fn gelu_gate(x: f32) -> f32 {
    sigmoid(2.0 * SQRT_2_PI * (x + GELU_CUBE * x * x * x))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + exp(x))`, without an overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
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

/// `out = a + b`, cut off below zero if asked for.
pub(crate) fn sum(isa: Isa, (a, b): (&[f32], &[f32]), relu: bool, out: &mut [f32]) {
    assert!(a.len() == out.len() && b.len() == out.len());
    out.par_chunks_mut(PART).zip(a.par_chunks(PART)).zip(b.par_chunks(PART)).for_each(|((out, a), b)| {
        dispatch(isa, Sum { a, b, relu, out });
    });
}

struct Sum<'a> {
    a: &'a [f32],
    b: &'a [f32],
    relu: bool,
    out: &'a mut [f32],
}

impl Sum<'_> {
    #[inline(always)]
    unsafe fn values<V: Lanes, const RELU: bool>(self) {
        let values = self.a.chunks_exact(LANES).zip(self.b.chunks_exact(LANES));
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            for (out, (a, b)) in self.out.chunks_exact_mut(LANES).zip(values) {
                let sum = V::load(a.as_ptr()).add(V::load(b.as_ptr()));
                if RELU { zero.max(sum) } else { sum }.store(out.as_mut_ptr());
            }
        }
    }
}

impl Kernel for Sum<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            if self.relu {
                self.values::<V, true>();
            } else {
                self.values::<V, false>();
            }
        }
    }
}

/// `out *= factor`, value by value.
pub(crate) fn multiply(factor: &[f32], out: &mut [f32]) {
    each(factor, out, |factor, out| {
        for (o, f) in out.iter_mut().zip(factor) {
            *o *= f;
        }
    });
}

/// `out = x` where positive, else `slope x`, with a slope per channel padded to 16.
pub(crate) fn prelu(volume: &Volume, slope: &[f32], x: &[f32], out: &mut [f32]) {
    by_channel(volume, x, out, |channels, x, out| {
        for ((o, x), slope) in out.iter_mut().zip(x).zip(&slope[channels..][..LANES]) {
            *o = if *x > 0.0 { *x } else { slope * x };
        }
    });
}

/// `gradient *= 1` where `x` is positive, else the slope of its channel.
pub(crate) fn prelu_gradient(volume: &Volume, slope: &[f32], x: &[f32], gradient: &mut [f32]) {
    by_channel(volume, x, gradient, |channels, x, gradient| {
        for ((g, x), slope) in gradient.iter_mut().zip(x).zip(&slope[channels..][..LANES]) {
            if *x <= 0.0 {
                *g *= slope;
            }
        }
    });
}

/// Gradient of the slopes.
#[allow(clippy::cast_possible_truncation, reason = "gradients are f32, sums are not")]
pub(crate) fn slope_gradient(volume: &Volume, batch: usize, x: &[f32], gradient: &[f32], slopes: &mut [f32]) {
    let voxels = volume.voxels();
    slopes.par_iter_mut().enumerate().for_each(|(channel, slope)| {
        let mut sum = 0.0;
        for sample in 0..batch {
            let start = sample * volume.len() + channel / LANES * voxels * LANES + channel % LANES;
            for at in (start..start + voxels * LANES).step_by(LANES) {
                sum += f64::from(gradient[at]) * f64::from(x[at].min(0.0));
            }
        }
        *slope = sum as f32;
    });
}

/// `out = x` times one value for each channel of each sample, `[C]` padded to 16.
pub(crate) fn multiply_channels(volume: &Volume, factor: &[f32], x: &[f32], out: &mut [f32]) {
    let of_block = volume.voxels() * LANES;
    out.par_chunks_exact_mut(of_block).zip(x.par_chunks_exact(of_block)).zip(factor.par_chunks_exact(LANES)).for_each(
        |((out, x), factor)| {
            for (out, x) in out.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
                for ((o, x), f) in out.iter_mut().zip(x).zip(factor) {
                    *o = x * f;
                }
            }
        },
    );
}

/// Gradient of that factor: sums over the voxels of each channel.
#[allow(clippy::cast_possible_truncation, reason = "gradients are f32, sums are not")]
pub(crate) fn factor_gradient(volume: &Volume, x: &[f32], gradient: &[f32], out: &mut [f32]) {
    let of_block = volume.voxels() * LANES;
    out.par_chunks_exact_mut(LANES)
        .zip(x.par_chunks_exact(of_block))
        .zip(gradient.par_chunks_exact(of_block))
        .for_each(|((out, x), gradient)| {
            let mut sums = [0f64; LANES];
            for (x, g) in x.chunks_exact(LANES).zip(gradient.chunks_exact(LANES)) {
                for ((sum, x), g) in sums.iter_mut().zip(x).zip(g) {
                    *sum += f64::from(*x) * f64::from(*g);
                }
            }
            out.iter_mut().zip(sums).for_each(|(o, sum)| *o = sum as f32);
        });
}

/// Adds to each channel of a batch a value of its own for each sample.
pub(crate) fn add_channels(volume: &Volume, shift: &[f32], out: &mut [f32]) {
    let of_block = volume.voxels() * LANES;
    out.par_chunks_exact_mut(of_block).zip(shift.par_chunks_exact(LANES)).for_each(|(out, shift)| {
        for out in out.chunks_exact_mut(LANES) {
            out.iter_mut().zip(shift).for_each(|(o, s)| *o += s);
        }
    });
}

/// Adds to each channel of a batch a value of its own, the same for all samples.
pub(crate) fn add_bias(volume: &Volume, bias: &[f32], out: &mut [f32]) {
    out.par_chunks_exact_mut(volume.len()).for_each(|sample| add_channels(volume, bias, sample));
}

/// Gradient of what [`add_channels`] adds: sums over the voxels of each channel.
#[allow(clippy::cast_possible_truncation, reason = "gradients are f32, sums are not")]
pub(crate) fn shift_gradient(volume: &Volume, gradient: &[f32], out: &mut [f32]) {
    let of_block = volume.voxels() * LANES;
    out.par_chunks_exact_mut(LANES).zip(gradient.par_chunks_exact(of_block)).for_each(|(out, gradient)| {
        let mut sums = [0f64; LANES];
        for g in gradient.chunks_exact(LANES) {
            sums.iter_mut().zip(g).for_each(|(sum, g)| *sum += f64::from(*g));
        }
        out.iter_mut().zip(sums).for_each(|(o, sum)| *o = sum as f32);
    });
}

/// Calls `work` with the sixteen channels of each voxel: the first of them, their values, and what is written.
fn by_channel(volume: &Volume, x: &[f32], out: &mut [f32], work: impl Fn(usize, &[f32], &mut [f32]) + Sync + Send) {
    let (of_block, blocks) = (volume.voxels() * LANES, volume.blocks());
    out.par_chunks_exact_mut(of_block).zip(x.par_chunks_exact(of_block)).enumerate().for_each(|(block, (out, x))| {
        let first = block % blocks * LANES;
        out.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)).for_each(|(out, x)| work(first, x, out));
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
