//! Batch normalisation: by given statistics (an affine map per channel) and by the batch's.

use super::buffer::{Shared, parallel};
use super::elementwise::passes;
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::{LANES, Volume};
use crate::ReluRule;

/// `scale * x + shift` per channel, both padded to 16; cut off below zero if asked for.
pub(crate) fn affine(
    isa: Isa,
    (volume, batch): (&Volume, usize),
    x: &[f32],
    (scale, shift): (&[f32], &[f32]),
    relu: bool,
    out: &mut [f32],
) {
    blocks(volume, batch, out, |block, start, out| {
        let lanes = block % volume.blocks() * LANES..;
        let x = &x[start..start + out.len()];
        dispatch(isa, Affine { x, scale: &scale[lanes.clone()][..LANES], shift: &shift[lanes][..LANES], relu, out });
    });
}

/// `scale * x` per channel padded to 16, where a ReLU of output `y` lets `x` through, if there is one.
pub(crate) fn scale(
    isa: Isa,
    (volume, batch): (&Volume, usize),
    x: &[f32],
    passed: Option<(ReluRule, &[f32])>,
    scale: &[f32],
    out: &mut [f32],
) {
    blocks(volume, batch, out, |block, start, out| {
        let scale = &scale[block % volume.blocks() * LANES..][..LANES];
        let part = start..start + out.len();
        let x = &x[part.clone()];
        match passed {
            None => dispatch(isa, Affine { x, scale, shift: &[0.0; LANES], relu: false, out }),
            Some((rule, y)) => dispatch(isa, Passed { x, rule, y: &y[part], scale, out }),
        }
    });
}

/// Hands out the blocks of a batch in parts: block number over the batch, where the part starts, the part.
fn blocks(volume: &Volume, batch: usize, out: &mut [f32], work: impl Fn(usize, usize, &mut [f32]) + Sync + Send) {
    let (of_block, slab) = (volume.voxels() * LANES, volume.size[1] * volume.size[2] * LANES);
    let depth = volume.size[0];
    assert!(out.len() >= batch * volume.len());
    let shared = Shared::new(out);
    parallel(batch * volume.blocks() * depth, |task| {
        let start = task / depth * of_block + task % depth * slab;
        // SAFETY: slabs do not overlap.
        work(task / depth, start, unsafe { shared.piece(start, slab) });
    });
}

struct Affine<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    relu: bool,
    out: &'a mut [f32],
}

impl Affine<'_> {
    #[inline(always)]
    unsafe fn values<V: Lanes, const RELU: bool>(self) {
        // SAFETY: chunks, scale and shift are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let (scale, shift) = (V::load(self.scale.as_ptr()), V::load(self.shift.as_ptr()));
            let zero = V::splat(0.0);
            for (out, x) in self.out.chunks_exact_mut(LANES).zip(self.x.chunks_exact(LANES)) {
                let value = V::load(x.as_ptr()).mul_add(scale, shift);
                if RELU { zero.max(value) } else { value }.store(out.as_mut_ptr());
            }
        }
    }
}

impl Kernel for Affine<'_> {
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

struct Passed<'a> {
    x: &'a [f32],
    rule: ReluRule,
    y: &'a [f32],
    scale: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Passed<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let values = self.x.chunks_exact(LANES).zip(self.y.chunks_exact(LANES));
        // SAFETY: chunks and scale are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let (scale, zero) = (V::load(self.scale.as_ptr()), V::splat(0.0));
            for (out, (x, y)) in self.out.chunks_exact_mut(LANES).zip(values) {
                let x = V::load(x.as_ptr());
                let passed = V::select(passes::<V>(self.rule, V::load(y.as_ptr()), x), x, zero);
                passed.mul(scale).store(out.as_mut_ptr());
            }
        }
    }
}

/// Mean and biased variance of a batch, per channel padded to 16.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    /// Mean.
    pub(crate) mean: Vec<f32>,
    /// Biased variance.
    pub(crate) variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub(crate) inverse: Vec<f32>,
    /// Sums of slabs.
    parts: Vec<[[f32; LANES]; 2]>,
}

impl Moments {
    /// Room for a volume's.
    pub(crate) fn new(volume: &Volume, batch: usize) -> Self {
        let channels = volume.blocks() * LANES;
        Self {
            mean: vec![0.0; channels],
            variance: vec![0.0; channels],
            inverse: vec![0.0; channels],
            parts: vec![Default::default(); volume.blocks() * batch * volume.size[0]],
        }
    }

    /// Sums of slabs.
    pub(super) fn parts(&self) -> &[[[f32; LANES]; 2]] {
        &self.parts
    }

    /// Room for sums of slabs.
    pub(super) fn parts_mut(&mut self) -> &mut [[[f32; LANES]; 2]] {
        &mut self.parts
    }

    /// Measures a batch. Sums are taken of differences to each channel's first value, so that a large mean does not
    /// drown the variance, slab by slab and then over slabs in order.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "statistics are f32")]
    pub(crate) fn measure(&mut self, isa: Isa, volume: &Volume, batch: usize, x: &[f32], epsilon: f32) {
        let (of_block, slab) = (volume.voxels() * LANES, volume.size[1] * volume.size[2] * LANES);
        let of_channel = batch * volume.size[0];
        let (depth, blocks) = (volume.size[0], volume.blocks());
        let parts = &mut self.parts[..blocks * of_channel];
        let shared = Shared::new(parts);
        parallel(blocks * of_channel, |task| {
            let (block, sample, z) = (task / of_channel, task % of_channel / depth, task % depth);
            let start = sample * volume.len() + block * of_block + z * slab;
            // SAFETY: every task has its own sums.
            let sums = unsafe { shared.piece(task, 1) };
            sums[0] = dispatch(isa, Sums { x: &x[start..start + slab], first: &x[block * of_block..][..LANES] });
        });
        let count = (batch * volume.voxels()) as f64;
        for (block, parts) in parts.chunks_exact(of_channel).enumerate() {
            for lane in 0..LANES {
                let (mut sum, mut squares) = (0f64, 0f64);
                for part in parts {
                    sum += f64::from(part[0][lane]);
                    squares += f64::from(part[1][lane]);
                }
                let channel = block * LANES + lane;
                let shift = sum / count;
                let variance = (squares / count - shift * shift).max(0.0);
                self.mean[channel] = (f64::from(x[block * of_block + lane]) + shift) as f32;
                self.variance[channel] = variance as f32;
                self.inverse[channel] = (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32;
            }
        }
    }

    /// Gradients of scale and shift: sums of `g * (x - mean) * inverse` and of `g`, over `[channels]`; of `g` only what a ReLU
    /// of output `y` lets through, if there is one.
    #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub(crate) fn weight_gradients(
        &mut self,
        isa: Isa,
        (volume, batch): (&Volume, usize),
        (x, gradient, y): (&[f32], &[f32], Option<&[f32]>),
        (scale, shift): (&mut [f32], &mut [f32]),
    ) {
        let (of_block, slab) = (volume.voxels() * LANES, volume.size[1] * volume.size[2] * LANES);
        let of_channel = batch * volume.size[0];
        let (depth, blocks) = (volume.size[0], volume.blocks());
        let parts = &mut self.parts[..blocks * of_channel];
        let shared = Shared::new(parts);
        let mean = &self.mean;
        parallel(blocks * of_channel, |task| {
            let (block, sample, z) = (task / of_channel, task % of_channel / depth, task % depth);
            let start = sample * volume.len() + block * of_block + z * slab;
            // SAFETY: every task has its own sums.
            let sums = unsafe { shared.piece(task, 1) };
            let [x, gradient] = [x, gradient].map(|values| &values[start..start + slab]);
            let y = y.map(|y| &y[start..start + slab]);
            sums[0] = dispatch(isa, Products { x, gradient, y, mean: &mean[block * LANES..][..LANES] });
        });
        for (channel, (scale, shift)) in scale.iter_mut().zip(shift).enumerate() {
            let (mut products, mut sum) = (0f64, 0f64);
            for part in &parts[channel / LANES * of_channel..][..of_channel] {
                sum += f64::from(part[0][channel % LANES]);
                products += f64::from(part[1][channel % LANES]);
            }
            *scale = (products * f64::from(self.inverse[channel])) as f32;
            *shift = sum as f32;
        }
    }
}

struct Sums<'a> {
    x: &'a [f32],
    first: &'a [f32],
}

impl Kernel for Sums<'_> {
    type Output = [[f32; LANES]; 2];
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> Self::Output {
        let mut out = [[0f32; LANES]; 2];
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let first = V::load(self.first.as_ptr());
            let mut sums = [V::splat(0.0); 4];
            let mut squares = sums;
            for (at, x) in self.x.chunks_exact(LANES).enumerate() {
                let d = V::load(x.as_ptr()).sub(first);
                sums[at % 4] = sums[at % 4].add(d);
                squares[at % 4] = d.mul_add(d, squares[at % 4]);
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(out[0].as_mut_ptr());
            squares[0].add(squares[1]).add(squares[2].add(squares[3])).store(out[1].as_mut_ptr());
        }
        out
    }
}

struct Products<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    y: Option<&'a [f32]>,
    mean: &'a [f32],
}

impl Products<'_> {
    #[inline(always)]
    unsafe fn sums<V: Lanes, const RELU: bool>(self) -> [[f32; LANES]; 2] {
        let mut out = [[0f32; LANES]; 2];
        let y = self.y.unwrap_or(self.x).chunks_exact(LANES);
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let (mean, zero) = (V::load(self.mean.as_ptr()), V::splat(0.0));
            let (mut sum, mut products) = (zero, zero);
            for ((x, g), y) in self.x.chunks_exact(LANES).zip(self.gradient.chunks_exact(LANES)).zip(y) {
                let mut g = V::load(g.as_ptr());
                if RELU {
                    g = V::select(V::load(y.as_ptr()).greater(zero), g, zero);
                }
                sum = sum.add(g);
                products = V::load(x.as_ptr()).sub(mean).mul_add(g, products);
            }
            sum.store(out[0].as_mut_ptr());
            products.store(out[1].as_mut_ptr());
        }
        out
    }
}

impl Kernel for Products<'_> {
    type Output = [[f32; LANES]; 2];
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> Self::Output {
        // SAFETY: the caller vouches for the instructions.
        unsafe { if self.y.is_some() { self.sums::<V, true>() } else { self.sums::<V, false>() } }
    }
}

/// What the backward pass through a batch normalisation needs, per channel padded to 16: the gradient of the input is
/// `gain * g + slope * x + offset`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backward {
    /// Factor of the gradient.
    pub(crate) gain: Vec<f32>,
    /// Factor of the input.
    pub(crate) slope: Vec<f32>,
    /// The rest.
    pub(crate) offset: Vec<f32>,
}

impl Backward {
    /// Room for a volume's.
    pub(crate) fn new(volume: &Volume) -> Self {
        let zeros = vec![0.0; volume.blocks() * LANES];
        Self { gain: zeros.clone(), slope: zeros.clone(), offset: zeros }
    }

    /// From the gradients of scale and shift of a batch with `count` values per channel.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "statistics are f32")]
    pub(crate) fn set(&mut self, moments: &Moments, weight: &[f32], scale: &[f32], shift: &[f32], count: usize) {
        for (channel, ((weight, scale), shift)) in weight.iter().zip(scale).zip(shift).enumerate() {
            let inverse = f64::from(moments.inverse[channel]);
            let gain = f64::from(*weight) * inverse;
            let slope = -gain * inverse * f64::from(*scale) / count as f64;
            self.gain[channel] = gain as f32;
            self.slope[channel] = slope as f32;
            self.offset[channel] =
                (-gain * f64::from(*shift) / count as f64 - slope * f64::from(moments.mean[channel])) as f32;
        }
    }
}

/// Gradient of a normalisation's input `x` from that of its output, of which only what a ReLU of output `y` lets through
/// counts, if there is one. Without `x` it is taken from where the gradient goes.
pub(crate) fn backward(
    isa: Isa,
    (volume, batch): (&Volume, usize),
    (x, gradient, y): (Option<&[f32]>, &[f32], Option<&[f32]>),
    factors: &Backward,
    out: &mut [f32],
) {
    blocks(volume, batch, out, |block, start, out| {
        let lanes = block % volume.blocks() * LANES;
        let of = |v: &[f32]| {
            let mut out = [0f32; LANES];
            out.copy_from_slice(&v[lanes..][..LANES]);
            out
        };
        let part = start..start + out.len();
        dispatch(
            isa,
            InputGradient {
                x: x.map(|x| &x[part.clone()]),
                gradient: &gradient[part.clone()],
                y: y.map(|y| &y[part]),
                gain: of(&factors.gain),
                slope: of(&factors.slope),
                offset: of(&factors.offset),
                out,
            },
        );
    });
}

struct InputGradient<'a> {
    x: Option<&'a [f32]>,
    gradient: &'a [f32],
    y: Option<&'a [f32]>,
    gain: [f32; LANES],
    slope: [f32; LANES],
    offset: [f32; LANES],
    out: &'a mut [f32],
}

impl InputGradient<'_> {
    #[inline(always)]
    unsafe fn values<V: Lanes, const RELU: bool>(self) {
        let (len, gradient) = (self.out.len(), self.gradient);
        let y = self.y.unwrap_or(gradient);
        assert!(gradient.len() == len && y.len() == len && self.x.is_none_or(|x| x.len() == len));
        let out = self.out.as_mut_ptr();
        // Each value is read before the gradient takes its place.
        let x = self.x.map_or(out.cast_const(), <[f32]>::as_ptr);
        // SAFETY: all are of the same length by the assertion, in chunks of sixteen floats, as factors are; the caller vouches
        // for the instructions.
        unsafe {
            let (gain, slope, offset) =
                (V::load(self.gain.as_ptr()), V::load(self.slope.as_ptr()), V::load(self.offset.as_ptr()));
            let zero = V::splat(0.0);
            for at in (0..len / LANES * LANES).step_by(LANES) {
                let rest = V::load(x.add(at)).mul_add(slope, offset);
                let mut g = V::load(gradient.as_ptr().add(at));
                if RELU {
                    g = V::select(V::load(y.as_ptr().add(at)).greater(zero), g, zero);
                }
                g.mul_add(gain, rest).store(out.add(at));
            }
        }
    }
}

impl Kernel for InputGradient<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            if self.y.is_some() {
                self.values::<V, true>();
            } else {
                self.values::<V, false>();
            }
        }
    }
}
