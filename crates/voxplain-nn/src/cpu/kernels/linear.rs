//! Fully connected layers, softmax and log-softmax, on `[F]` padded with zeros to sixteens.

use super::direct::Dot;
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::LANES;
use rayon::prelude::*;

/// Sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Features in.
    pub(crate) input: usize,
    /// Features out.
    pub(crate) output: usize,
}

impl Sizes {
    /// Floats of a row of weights, and of an input.
    pub(crate) fn row(&self) -> usize {
        self.input.next_multiple_of(LANES)
    }

    /// Floats of an output.
    pub(crate) fn out(&self) -> usize {
        self.output.next_multiple_of(LANES)
    }
}

/// Weights `[out][in]` with rows padded by zeros.
pub(crate) fn pack(sizes: &Sizes, weights: &[f32], packed: &mut [f32]) {
    assert_eq!(packed.len(), sizes.row() * sizes.output);
    for (to, from) in packed.chunks_exact_mut(sizes.row()).zip(weights.chunks_exact(sizes.input)) {
        to[..from.len()].copy_from_slice(from);
        to[from.len()..].fill(0.0);
    }
}

/// `W x + b`.
pub(crate) fn forward(
    isa: Isa,
    sizes: &Sizes,
    x: &[f32],
    weights: &[f32],
    bias: &[f32],
    batch: usize,
    out: &mut [f32],
) {
    let (row, width) = (sizes.row(), sizes.out());
    out[..batch * width].par_chunks_exact_mut(width).zip(x.par_chunks_exact(row)).for_each(|(out, x)| {
        out.fill(0.0);
        for ((o, w), b) in out.iter_mut().zip(weights.chunks_exact(row)).zip(bias) {
            *o = b + dispatch(isa, Dot(w, x));
        }
    });
}

/// Gradient of the input.
pub(crate) fn backward(isa: Isa, sizes: &Sizes, gradient: &[f32], weights: &[f32], batch: usize, out: &mut [f32]) {
    let (row, width) = (sizes.row(), sizes.out());
    out[..batch * row].par_chunks_exact_mut(row).zip(gradient.par_chunks_exact(width)).for_each(|(out, gradient)| {
        out.fill(0.0);
        for (g, w) in gradient.iter().zip(weights.chunks_exact(row)) {
            dispatch(isa, Axpy { factor: *g, x: w, sum: out });
        }
    });
}

/// Gradients of weights `[out][in]` and bias.
pub(crate) fn weight_gradient(
    sizes: &Sizes,
    x: &[f32],
    gradient: &[f32],
    batch: usize,
    weights: &mut [f32],
    bias: &mut [f32],
) {
    let (row, width) = (sizes.row(), sizes.out());
    weights.par_chunks_exact_mut(sizes.input).enumerate().for_each(|(out, w)| {
        w.fill(0.0);
        for sample in 0..batch {
            let g = gradient[sample * width + out];
            for (w, x) in w.iter_mut().zip(&x[sample * row..]) {
                *w += g * x;
            }
        }
    });
    for (out, b) in bias.iter_mut().enumerate() {
        *b = (0..batch).map(|sample| gradient[sample * width + out]).sum();
    }
}

/// `sum += factor * x`.
struct Axpy<'a> {
    factor: f32,
    x: &'a [f32],
    sum: &'a mut [f32],
}

impl Kernel for Axpy<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let factor = V::splat(self.factor);
            for (sum, x) in self.sum.chunks_exact_mut(LANES).zip(self.x.chunks_exact(LANES)) {
                V::load(x.as_ptr()).mul_add(factor, V::load(sum.as_ptr())).store(sum.as_mut_ptr());
            }
        }
    }
}

/// `x - log sum exp x` over the features.
pub(crate) fn log_softmax(features: usize, batch: usize, x: &[f32], out: &mut [f32]) {
    let width = features.next_multiple_of(LANES);
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).take(batch) {
        let x = &x[..features];
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_sum = x.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
        out[features..].fill(0.0);
        for (o, x) in out.iter_mut().zip(x) {
            *o = x - max - log_sum;
        }
    }
}

/// `exp x / sum exp x` over the features.
pub(crate) fn softmax(features: usize, batch: usize, x: &[f32], out: &mut [f32]) {
    let width = features.next_multiple_of(LANES);
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).take(batch) {
        let x = &x[..features];
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = x.iter().map(|x| (x - max).exp()).sum();
        out[features..].fill(0.0);
        for (o, x) in out.iter_mut().zip(x) {
            *o = (x - max).exp() / sum;
        }
    }
}

/// Gradient of the input from the output `y` of the softmax: `y (g - sum y g)`.
pub(crate) fn softmax_backward(features: usize, batch: usize, y: &[f32], gradient: &[f32], out: &mut [f32]) {
    let width = features.next_multiple_of(LANES);
    let rows = y.chunks_exact(width).zip(gradient.chunks_exact(width)).zip(out.chunks_exact_mut(width));
    for ((y, gradient), out) in rows.take(batch) {
        let mean: f32 = y[..features].iter().zip(gradient).map(|(y, g)| y * g).sum();
        out[features..].fill(0.0);
        for ((o, y), g) in out.iter_mut().zip(&y[..features]).zip(gradient) {
            *o = y * (g - mean);
        }
    }
}

/// Gradient of the input from the output `y` of the log-softmax.
pub(crate) fn log_softmax_backward(features: usize, batch: usize, y: &[f32], gradient: &[f32], out: &mut [f32]) {
    let width = features.next_multiple_of(LANES);
    let rows = y.chunks_exact(width).zip(gradient.chunks_exact(width)).zip(out.chunks_exact_mut(width));
    for ((y, gradient), out) in rows.take(batch) {
        let sum: f32 = gradient[..features].iter().sum();
        out[features..].fill(0.0);
        for ((o, y), g) in out.iter_mut().zip(&y[..features]).zip(gradient) {
            *o = g - y.exp() * sum;
        }
    }
}
