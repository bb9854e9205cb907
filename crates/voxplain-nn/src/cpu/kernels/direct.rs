//! Convolution as it is written: one tap after the other, for any window.
//!
//! A register tile holds [`Lanes::BLOCKS`] blocks of output channels at up to [`Lanes::ROWS`] positions along `k`; per
//! tap and input channel it loads the weights once and one input value per position.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch, total};
use super::shape::{Conv, LANES};

/// Weights `[out][in][taps]` as `[out / 16][in / unit][taps][unit][16]`, each output channel times its scale.
pub(crate) fn pack(conv: &Conv, weights: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
    let (unit, planes, taps) = (conv.input.unit(), conv.input.planes(), conv.window.taps());
    assert_eq!(weights.len(), conv.output.channels * conv.input.channels * taps);
    assert_eq!(packed.len(), packed_len(conv));
    packed.fill(0.0);
    for (out, of_out) in weights.chunks_exact(conv.input.channels * taps).enumerate() {
        let factor = scale.map_or(1.0, |s| s[out]);
        for (input, of_in) in of_out.chunks_exact(taps).enumerate() {
            for (tap, w) in of_in.iter().enumerate() {
                let plane = (out / LANES * planes + input / unit) * taps + tap;
                packed[(plane * unit + input % unit) * LANES + out % LANES] = w * factor;
            }
        }
    }
}

/// The weights of [`Conv::backward`]: in and out exchanged, taps in reverse.
pub(crate) fn pack_backward(conv: &Conv, weights: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
    let (taps, blocks) = (conv.window.taps(), conv.output.blocks());
    assert_eq!(weights.len(), conv.output.channels * conv.input.channels * taps);
    assert_eq!(packed.len(), packed_len(&conv.backward()));
    packed.fill(0.0);
    for (out, of_out) in weights.chunks_exact(conv.input.channels * taps).enumerate() {
        let factor = scale.map_or(1.0, |s| s[out]);
        for (input, of_in) in of_out.chunks_exact(taps).enumerate() {
            for (tap, w) in of_in.iter().enumerate() {
                let plane = (input / LANES * blocks + out / LANES) * taps + (taps - 1 - tap);
                packed[(plane * LANES + out % LANES) * LANES + input % LANES] = w * factor;
            }
        }
    }
}

/// Floats of packed weights.
pub(crate) fn packed_len(conv: &Conv) -> usize {
    conv.output.blocks() * conv.input.planes() * conv.window.taps() * conv.input.unit() * LANES
}

/// Convolves a batch without padding; `bias` is `[out padded to 16]`.
pub(crate) fn forward(isa: Isa, conv: &Conv, batch: usize, x: &[f32], weights: &[f32], bias: &[f32], out: &mut [f32]) {
    let (input, output) = (conv.input, conv.output);
    assert_eq!(conv.window.padding, [0; 3]);
    for axis in 0..3 {
        let w = &conv.window;
        let reach = (output.size[axis] - 1) * w.stride[axis] + (w.kernel[axis] - 1) * w.dilation[axis];
        assert!(reach < input.size[axis]);
    }
    assert!(x.len() >= batch * input.len() && out.len() >= batch * output.len());
    assert_eq!(weights.len(), packed_len(conv));
    assert_eq!(bias.len(), output.blocks() * LANES);
    let pairs = output.blocks().div_ceil(2);
    let depth = output.size[0];
    let plane = output.size[1] * output.size[2] * LANES;
    let shared = Shared::new(out);
    parallel(batch * depth * pairs, |task| {
        let (pair, z, sample) = (task % pairs, task / pairs % depth, task / pairs / depth);
        let first = pair * 2;
        let count = (output.blocks() - first).min(2);
        let start = |block: usize| sample * output.len() + (block * depth + z) * plane;
        // SAFETY: every task writes its own plane of its own blocks.
        let out = unsafe {
            [
                shared.piece(start(first), plane),
                shared.piece(start(first + count - 1) + plane * (2 - count), plane * (count - 1)),
            ]
        };
        let x = &x[sample * input.len()..][..input.len()];
        dispatch(isa, Plane { conv, x, weights, bias, z, first, count, out });
    });
}

/// One plane of one or two blocks of output channels.
struct Plane<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    z: usize,
    first: usize,
    count: usize,
    out: [&'a mut [f32]; 2],
}

/// Distances in floats between what a tile reads.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    /// Kernel sizes.
    pub(super) kernel: [usize; 3],
    /// Planes of the input.
    pub(super) planes: usize,
    /// From one plane of the input to the next.
    pub(super) plane: usize,
    /// From tap to tap along each axis.
    pub(super) tap: [usize; 3],
    /// From position to position along `k`.
    pub(super) position: usize,
    /// From one output block's weights to the next's.
    pub(super) weights: usize,
}

impl Steps {
    /// Of a convolution without padding.
    pub(super) fn of(conv: &Conv) -> Self {
        let (unit, size) = (conv.input.unit(), conv.input.size);
        let (row, slab) = (size[2] * unit, size[1] * size[2] * unit);
        let dilation = conv.window.dilation;
        Self {
            kernel: conv.window.kernel,
            planes: conv.input.planes(),
            plane: size[0] * slab,
            tap: [dilation[0] * slab, dilation[1] * row, dilation[2] * unit],
            position: conv.window.stride[2] * unit,
            weights: conv.input.planes() * conv.window.taps() * unit * LANES,
        }
    }
}

/// `T` positions of `B` blocks.
///
/// # Safety
///
/// `x` reaches all taps of all positions, `w` all weights of `B` blocks.
#[inline(always)]
pub(super) unsafe fn tile<V: Lanes, const T: usize, const B: usize, const U: usize>(
    steps: &Steps,
    x: *const f32,
    mut w: *const f32,
    start: [V; B],
) -> [[V; T]; B] {
    // SAFETY: as the function's.
    unsafe {
        let mut sum = [[start[0]; T]; B];
        for (s, b) in sum.iter_mut().zip(start) {
            *s = [b; T];
        }
        for plane in 0..steps.planes {
            for i in 0..steps.kernel[0] {
                for j in 0..steps.kernel[1] {
                    let mut at = x.add(plane * steps.plane + i * steps.tap[0] + j * steps.tap[1]);
                    for _ in 0..steps.kernel[2] {
                        for c in 0..U {
                            let mut weights = [start[0]; B];
                            for b in 0..B {
                                weights[b] = V::load(w.add(b * steps.weights));
                            }
                            w = w.add(LANES);
                            for t in 0..T {
                                let v = V::splat(*at.add(t * steps.position + c));
                                for b in 0..B {
                                    sum[b][t] = v.mul_add(weights[b], sum[b][t]);
                                }
                            }
                        }
                        at = at.add(steps.tap[2]);
                    }
                }
            }
        }
        sum
    }
}

/// `count` positions (at most [`Lanes::ROWS`]) of `B` blocks, stored.
///
/// # Safety
///
/// As [`tile`]; `out` has room for the positions of each block.
#[inline(always)]
unsafe fn positions<V: Lanes, const B: usize, const U: usize>(
    count: usize,
    steps: &Steps,
    x: *const f32,
    w: *const f32,
    start: [V; B],
    out: [*mut f32; B],
) {
    macro_rules! sizes {
        ($($t:literal)*) => {
            match count {
                $($t if $t <= V::ROWS => {
                    // SAFETY: as the function's.
                    let sum = unsafe { tile::<V, $t, B, U>(steps, x, w, start) };
                    for b in 0..B {
                        for t in 0..$t {
                            // SAFETY: as the function's.
                            unsafe { sum[b][t].store(out[b].add(t * LANES)) };
                        }
                    }
                })*
                _ => unreachable!("a tile of {count} positions"),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

impl Plane<'_> {
    #[inline(always)]
    unsafe fn rows<V: Lanes, const B: usize, const U: usize>(&mut self, first: usize) {
        let (conv, size) = (self.conv, self.conv.output.size);
        let steps = Steps::of(conv);
        let tiles = size[2].div_ceil(V::ROWS);
        let length = size[2].div_ceil(tiles);
        let (row, slab) = (
            conv.input.size[2] * steps.position / conv.window.stride[2],
            conv.input.size[1] * conv.input.size[2] * conv.input.unit(),
        );
        // SAFETY: `forward` has checked that the window stays within the input and that weights and output have
        // their sizes; the last tile of a row ends with it.
        unsafe {
            let mut start = [V::splat(0.0); B];
            for b in 0..B {
                start[b] = V::load(self.bias.as_ptr().add((first + b) * LANES));
            }
            let w = self.weights.as_ptr().add(first * steps.weights);
            for y in 0..size[1] {
                let x = self.x.as_ptr().add(self.z * conv.window.stride[0] * slab + y * conv.window.stride[1] * row);
                let mut k = 0;
                while k < size[2] {
                    let count = length.min(size[2] - k);
                    let mut out = [std::ptr::null_mut(); B];
                    for b in 0..B {
                        out[b] = self.out[first - self.first + b].as_mut_ptr().add((y * size[2] + k) * LANES);
                    }
                    positions::<V, B, U>(count, &steps, x.add(k * steps.position), w, start, out);
                    k += count;
                }
            }
        }
    }
}

impl Kernel for Plane<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            match (self.count.min(V::BLOCKS), self.conv.input.unit()) {
                (2, LANES) => self.rows::<V, 2, LANES>(self.first),
                (2, _) => self.rows::<V, 2, 1>(self.first),
                (_, LANES) => {
                    for b in 0..self.count {
                        self.rows::<V, 1, LANES>(self.first + b);
                    }
                }
                _ => {
                    for b in 0..self.count {
                        self.rows::<V, 1, 1>(self.first + b);
                    }
                }
            }
        }
    }
}

/// Most taps along `k` that one pass over the gradient takes.
const TAPS: usize = 7;
/// Parts of the batch's planes that weight gradients are summed over before they are added up: fixed, so that results
/// do not depend on the number of threads.
const PARTS: usize = 16;

/// Floats of scratch for [`weight_gradient`].
pub(crate) fn gradient_scratch(conv: &Conv, batch: usize) -> usize {
    parts(conv, batch) * packed_len(conv)
}

fn parts(conv: &Conv, batch: usize) -> usize {
    (batch * conv.output.size[0]).min(PARTS)
}

/// Gradient of the weights, `[out][in][taps]`, from a padded input and the gradient of the output.
pub(crate) fn weight_gradient(
    isa: Isa,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    gradient: &[f32],
    scratch: &mut [f32],
    weights: &mut [f32],
) {
    let (input, output) = (conv.input, conv.output);
    assert_eq!(conv.window.padding, [0; 3]);
    assert!(x.len() >= batch * input.len() && gradient.len() >= batch * output.len());
    for axis in 0..3 {
        let w = &conv.window;
        assert!((output.size[axis] - 1) * w.stride[axis] + (w.kernel[axis] - 1) * w.dilation[axis] < input.size[axis]);
    }
    let (unit, taps, planes) = (input.unit(), conv.window.taps(), input.planes());
    assert_eq!(weights.len(), output.channels * input.channels * taps);
    let parts = parts(conv, batch);
    let len = packed_len(conv);
    let scratch = &mut scratch[..parts * len];
    scratch.fill(0.0);
    // All taps of the usual first layer fit in registers: one pass over the gradient.
    let all = unit == 1 && conv.window.kernel == [3; 3];
    let rows = if all { 1 } else { conv.window.kernel[0] * conv.window.kernel[1] };
    let piece = taps / rows * unit * LANES;
    let count = output.blocks() * planes * rows;
    let slabs = batch * output.size[0];
    let shared = Shared::new(scratch);
    parallel(parts * count, |task| {
        let (row, plane, block) = (task % rows, task / rows % planes, task / rows / planes % output.blocks());
        let part = task / count;
        // SAFETY: every task has its own part, block, plane and row of taps.
        let sum = unsafe { shared.piece(part * len + (task % count) * piece, piece) };
        for slab in slabs * part / parts..slabs * (part + 1) / parts {
            dispatch(
                isa,
                Correlate {
                    conv,
                    x,
                    gradient,
                    sample: slab / output.size[0],
                    z: slab % output.size[0],
                    block,
                    plane,
                    row,
                    all,
                    sum,
                },
            );
        }
    });
    for (out, of_out) in weights.chunks_exact_mut(input.channels * taps).enumerate() {
        for (channel, of_in) in of_out.chunks_exact_mut(taps).enumerate() {
            for (tap, w) in of_in.iter_mut().enumerate() {
                let plane = (out / LANES * planes + channel / unit) * taps + tap;
                let at = (plane * unit + channel % unit) * LANES + out % LANES;
                *w = (0..parts).map(|part| scratch[part * len + at]).sum();
            }
        }
    }
}

/// Adds what one plane of the gradient gives to the weights of one row of taps.
struct Correlate<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    gradient: &'a [f32],
    sample: usize,
    z: usize,
    block: usize,
    plane: usize,
    row: usize,
    /// Whether all 3 x 3 x 3 taps are taken, not one row of them.
    all: bool,
    /// `[kk][unit][16]`, or `[27][16]`.
    sum: &'a mut [f32],
}

impl Correlate<'_> {
    /// `N` sums that differ by `step` floats in the input.
    #[inline(always)]
    unsafe fn sums<V: Lanes, const N: usize>(&mut self, first: usize, offset: usize, step: usize) {
        let (input, output, window) = (self.conv.input, self.conv.output, self.conv.window);
        let unit = input.unit();
        let (row, slab) = (input.size[2] * unit, input.size[1] * input.size[2] * unit);
        let (ki, kj) = (self.row / window.kernel[1], self.row % window.kernel[1]);
        // SAFETY: `weight_gradient` has checked that every tap of every position lies within the input, and the
        // sizes of gradient and sums.
        unsafe {
            let mut sum = [V::splat(0.0); N];
            for y in 0..output.size[1] {
                let x = self.x.as_ptr().add(
                    self.sample * input.len()
                        + self.plane * input.voxels() * unit
                        + (self.z * window.stride[0] + ki * window.dilation[0]) * slab
                        + (y * window.stride[1] + kj * window.dilation[1]) * row
                        + offset,
                );
                let g = self.gradient.as_ptr().add(
                    self.sample * output.len()
                        + (((self.block * output.size[0] + self.z) * output.size[1] + y) * output.size[2]) * LANES,
                );
                for k in 0..output.size[2] {
                    let v = V::load(g.add(k * LANES));
                    for n in 0..N {
                        sum[n] = V::splat(*x.add(k * window.stride[2] * unit + n * step)).mul_add(v, sum[n]);
                    }
                }
            }
            for n in 0..N {
                let to = self.sum[(first + n) * LANES..][..LANES].as_mut_ptr();
                V::load(to).add(sum[n]).store(to);
            }
        }
    }
}

impl Correlate<'_> {
    /// The sums of all 27 taps over a planar input.
    #[inline(always)]
    unsafe fn all_taps<V: Lanes>(&mut self) {
        let (input, output, window) = (self.conv.input, self.conv.output, self.conv.window);
        let (row, slab) = (input.size[2], input.size[1] * input.size[2]);
        let [di, dj, dk] = window.dilation;
        // SAFETY: `weight_gradient` has checked that every tap of every position lies within the input, and the
        // sizes of gradient and sums.
        unsafe {
            let mut sum = [V::splat(0.0); 27];
            for y in 0..output.size[1] {
                let x = self.x.as_ptr().add(
                    self.sample * input.len()
                        + self.plane * input.voxels()
                        + self.z * window.stride[0] * slab
                        + y * window.stride[1] * row,
                );
                let g = self.gradient.as_ptr().add(
                    self.sample * output.len()
                        + (((self.block * output.size[0] + self.z) * output.size[1] + y) * output.size[2]) * LANES,
                );
                for k in 0..output.size[2] {
                    let v = V::load(g.add(k * LANES));
                    let x = x.add(k * window.stride[2]);
                    for i in 0..3 {
                        for j in 0..3 {
                            for l in 0..3 {
                                let tap = (i * 3 + j) * 3 + l;
                                let value = V::splat(*x.add(i * di * slab + j * dj * row + l * dk));
                                sum[tap] = value.mul_add(v, sum[tap]);
                            }
                        }
                    }
                }
            }
            for (tap, sum) in sum.into_iter().enumerate() {
                let to = self.sum[tap * LANES..][..LANES].as_mut_ptr();
                V::load(to).add(sum).store(to);
            }
        }
    }
}

impl Kernel for Correlate<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        if self.all {
            // SAFETY: the caller vouches for the instructions.
            unsafe { self.all_taps::<V>() };
            return;
        }
        let kernel = self.conv.window.kernel[2];
        let step = self.conv.window.dilation[2] * self.conv.input.unit();
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            if self.conv.input.unit() == LANES {
                for tap in 0..kernel {
                    self.sums::<V, LANES>(tap * LANES, tap * step, 1);
                }
            } else {
                let mut tap = 0;
                while tap < kernel {
                    let count = (kernel - tap).min(TAPS);
                    let at = tap * step;
                    match count {
                        1 => self.sums::<V, 1>(tap, at, step),
                        2 => self.sums::<V, 2>(tap, at, step),
                        3 => self.sums::<V, 3>(tap, at, step),
                        4 => self.sums::<V, 4>(tap, at, step),
                        5 => self.sums::<V, 5>(tap, at, step),
                        6 => self.sums::<V, 6>(tap, at, step),
                        _ => self.sums::<V, TAPS>(tap, at, step),
                    }
                    tap += count;
                }
            }
        }
    }
}

/// Sum of a gradient over batch and voxels, per channel.
pub(crate) fn bias_gradient(isa: Isa, conv: &Conv, batch: usize, gradient: &[f32], bias: &mut [f32]) {
    let output = conv.output;
    assert!(gradient.len() >= batch * output.len());
    assert_eq!(bias.len(), output.channels);
    let of_block = output.voxels() * LANES;
    let sums = std::sync::Mutex::new(bias);
    parallel(output.blocks(), |block| {
        let mut sum = [0f64; LANES];
        for sample in 0..batch {
            let g = &gradient[sample * output.len() + block * of_block..][..of_block];
            for part in g.chunks(LANES * 1024) {
                for (s, v) in sum.iter_mut().zip(dispatch(isa, ChannelSum(part))) {
                    *s += f64::from(v);
                }
            }
        }
        let mut bias = sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (b, s) in bias.iter_mut().skip(block * LANES).take(LANES).zip(sum) {
            #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
            {
                *b = s as f32;
            }
        }
    });
}

/// Lane-wise sum of blocks.
struct ChannelSum<'a>(&'a [f32]);

impl Kernel for ChannelSum<'_> {
    type Output = [f32; LANES];
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> [f32; LANES] {
        let mut out = [0f32; LANES];
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let mut sum = V::splat(0.0);
            for chunk in self.0.chunks_exact(LANES) {
                sum = sum.add(V::load(chunk.as_ptr()));
            }
            sum.store(out.as_mut_ptr());
        }
        out
    }
}

/// `a . b`, summed in a fixed order.
pub(crate) struct Dot<'a>(pub(crate) &'a [f32], pub(crate) &'a [f32]);

impl Kernel for Dot<'_> {
    type Output = f32;
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f32 {
        let (a, b) = (self.0, self.1);
        assert!(a.len() == b.len() && a.len() % LANES == 0);
        // SAFETY: both have whole blocks of lanes; the caller vouches for the instructions.
        unsafe {
            let mut sum = [V::splat(0.0); 4];
            let blocks = a.len() / LANES;
            for block in 0..blocks {
                let at = block * LANES;
                sum[block % 4] = V::load(a.as_ptr().add(at)).mul_add(V::load(b.as_ptr().add(at)), sum[block % 4]);
            }
            total(sum[0].add(sum[1]).add(sum[2].add(sum[3])))
        }
    }
}
