//! Pooling with any window, and means over whole volumes.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::norm::Backward;
use super::pointwise::Affine;
use super::shape::{LANES, Volume, Window};
use super::sparse::Pooled;
use crate::Pool3d;
use rayon::prelude::*;

/// The range of taps of a window at output position `p` that lie within `length` voxels, and the first voxel's index.
fn span(window: &Window, axis: usize, p: usize, length: usize) -> (std::ops::Range<usize>, usize) {
    let (at, padding, dilation) = (p * window.stride[axis], window.padding[axis], window.dilation[axis]);
    let (before, left) = (padding.saturating_sub(at), (length + padding).saturating_sub(at));
    // Divisions take longer than the rest; nearly no window has gaps.
    let (first, end) =
        if dilation == 1 { (before, left) } else { (before.div_ceil(dilation), left.div_ceil(dilation)) };
    (first..end.min(window.kernel[axis]), at + first * dilation - padding)
}

/// Taps of the window at one output voxel, as (tap, voxel) pairs in C order.
fn taps(window: &Window, size: [usize; 3], at: [usize; 3]) -> impl Iterator<Item = (usize, usize)> {
    let (i, i0) = span(window, 0, at[0], size[0]);
    let (j, j0) = span(window, 1, at[1], size[1]);
    let (k, k0) = span(window, 2, at[2], size[2]);
    let (kernel, [di, dj, dk]) = (window.kernel, window.dilation);
    i.enumerate().flat_map(move |(a, ti)| {
        let k = k.clone();
        j.clone().enumerate().flat_map(move |(b, tj)| {
            k.clone().enumerate().map(move |(c, tk)| {
                let voxel = ((i0 + a * di) * size[1] + j0 + b * dj) * size[2] + k0 + c * dk;
                ((ti * kernel[1] + tj) * kernel[2] + tk, voxel)
            })
        })
    })
}

/// How means are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    /// The window.
    pub(crate) window: Window,
    /// The pool, where its windows are divided by different numbers.
    pub(crate) pool: Option<Pool3d>,
}

impl Means {
    /// What the sum of the window at a position is divided by.
    #[allow(clippy::cast_precision_loss, reason = "windows are small")]
    fn divisor(&self, size: [usize; 3], at: [usize; 3]) -> f32 {
        self.pool.map_or_else(|| self.window.taps(), |pool| pool.divisor(size, at)) as f32
    }
}

/// Which tap of each window is largest, over a batch: one byte where that is enough. Empty where nobody asks.
#[derive(Debug)]
pub(crate) enum Winners {
    /// Of windows of up to 256 taps.
    Small(Vec<u8>),
    /// Of larger ones.
    Large(Vec<u16>),
}

impl Winners {
    /// Room for so many windows.
    pub(crate) fn new(window: &Window, len: usize) -> Self {
        if window.taps() <= 256 { Self::Small(vec![0; len]) } else { Self::Large(vec![0; len]) }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Small(taps) => taps.len(),
            Self::Large(taps) => taps.len() * size_of::<u16>(),
        }
    }
}

/// Largest value of each window and the tap it is at: the first of equals in C order. Padding never counts. The winners of the
/// batch begin at `first`.
pub(crate) fn max_forward(
    isa: Isa,
    window: &Window,
    shape: (&Volume, &Volume),
    batch: usize,
    x: &[f32],
    out: &mut [f32],
    (winners, first): (&mut Winners, usize),
) {
    let (input, output) = shape;
    let plane = output.size[1] * output.size[2] * LANES;
    let out = &mut out[..batch * output.len()];
    let of_plane = |task: usize| {
        let (z, volume) = (task % output.size[0], task / output.size[0]);
        let x = &x[volume * input.voxels() * LANES..][..input.voxels() * LANES];
        Max { window, input: input.size, output: output.size, z, x }
    };
    match winners {
        Winners::Small(taps) if taps.is_empty() => {
            out.par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
                dispatch(isa, Largest { max: of_plane(task), affine: None, out, taps: None });
            });
        }
        Winners::Small(taps) => {
            let taps = &mut taps[first..][..batch * output.len()];
            out.par_chunks_exact_mut(plane).zip(taps.par_chunks_exact_mut(plane)).enumerate().for_each(
                |(task, (out, taps))| {
                    dispatch(isa, Largest { max: of_plane(task), affine: None, out, taps: Some(taps) });
                },
            );
        }
        Winners::Large(taps) if taps.is_empty() => {
            out.par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
                dispatch(isa, LargestOfMany { max: of_plane(task), out, taps: &mut [] });
            });
        }
        Winners::Large(taps) => {
            let taps = &mut taps[first..][..batch * output.len()];
            out.par_chunks_exact_mut(plane).zip(taps.par_chunks_exact_mut(plane)).enumerate().for_each(
                |(task, (out, taps))| {
                    dispatch(isa, LargestOfMany { max: of_plane(task), out, taps });
                },
            );
        }
    }
}

/// The same of `relu(scale * x + shift)`, both per channel padded to 16, of windows of up to 256 taps.
pub(super) fn max_of_affine(
    isa: Isa,
    window: &Window,
    shape: (&Volume, &Volume),
    batch: usize,
    x: &[f32],
    (scale, shift): (&[f32], &[f32]),
    (out, taps): (&mut [f32], &mut [u8]),
) {
    let (input, output) = shape;
    let plane = output.size[1] * output.size[2] * LANES;
    let (out, taps) = (&mut out[..batch * output.len()], &mut taps[..batch * output.len()]);
    out.par_chunks_exact_mut(plane).zip(taps.par_chunks_exact_mut(plane)).enumerate().for_each(
        |(task, (out, taps))| {
            let (z, volume) = (task % output.size[0], task / output.size[0]);
            let x = &x[volume * input.voxels() * LANES..][..input.voxels() * LANES];
            let lanes = volume % input.blocks() * LANES..;
            let affine = Some((&scale[lanes.clone()][..LANES], &shift[lanes][..LANES]));
            let max = Max { window, input: input.size, output: output.size, z, x };
            dispatch(isa, Largest { max, affine, out, taps: Some(taps) });
        },
    );
}

/// One plane of the output, and the block of the input that it is of.
struct Max<'a> {
    window: &'a Window,
    input: [usize; 3],
    output: [usize; 3],
    z: usize,
    x: &'a [f32],
}

/// Of windows of up to 256 taps.
struct Largest<'a> {
    max: Max<'a>,
    /// Scale and shift of the block, where an affine map and a ReLU come first.
    affine: Option<(&'a [f32], &'a [f32])>,
    out: &'a mut [f32],
    taps: Option<&'a mut [u8]>,
}

impl Largest<'_> {
    /// `WHICH`: whether the winners are asked for. `AFFINE`: whether there is an affine map.
    #[inline(always)]
    #[allow(clippy::cast_precision_loss, reason = "taps of a window are small whole numbers")]
    unsafe fn plane<V: Lanes, const WHICH: bool, const AFFINE: bool>(self) {
        // SAFETY: both are of sixteen floats; the caller vouches for the instructions.
        let [scale, shift] = unsafe {
            let [scale, shift] = self.affine.map_or([&[0.0; LANES][..]; 2], |(scale, shift)| [scale, shift]);
            assert!(scale.len() == LANES && shift.len() == LANES);
            [V::load(scale.as_ptr()), V::load(shift.as_ptr())]
        };
        let Max { window, input, output, z, x } = self.max;
        let ([_, kj, kk], [di, dj, dk]) = (window.kernel, window.dilation);
        let (row, slab) = (input[2] * LANES, input[1] * input[2] * LANES);
        let (of_i, i0) = span(window, 0, z, input[0]);
        let mut taps = self.taps;
        for y in 0..output[1] {
            let (of_j, j0) = span(window, 1, y, input[1]);
            for k in 0..output[2] {
                let (of_k, k0) = span(window, 2, k, input[2]);
                let to = (y * output[2] + k) * LANES;
                if of_i.is_empty() || of_j.is_empty() || of_k.is_empty() {
                    continue;
                }
                let corner = &x[i0 * slab + j0 * row + k0 * LANES..];
                let last = (of_i.len() - 1) * di * slab + (of_j.len() - 1) * dj * row + (of_k.len() - 1) * dk * LANES;
                assert!(last + LANES <= corner.len());
                // SAFETY: the last tap lies within the block by the assertion; the caller vouches for the instructions.
                unsafe {
                    let corner = corner.as_ptr();
                    let mut max = V::load(corner);
                    if AFFINE {
                        max = max.mul_add(scale, shift);
                    }
                    let first = ((of_i.start * kj + of_j.start) * kk + of_k.start) as f32;
                    let mut which = V::splat(first);
                    let one = V::splat(1.0);
                    for i in 0..of_i.len() {
                        for j in 0..of_j.len() {
                            let x = corner.add(i * di * slab + j * dj * row);
                            let start = ((of_i.start + i) * kj + of_j.start + j) * kk + of_k.start;
                            let mut tap = V::splat(start as f32);
                            for k in 0..of_k.len() {
                                let mut value = V::load(x.add(k * dk * LANES));
                                if AFFINE {
                                    value = value.mul_add(scale, shift);
                                }
                                let larger = value.greater(max);
                                max = V::select(larger, value, max);
                                if WHICH {
                                    which = V::select(larger, tap, which);
                                    tap = tap.add(one);
                                }
                            }
                        }
                    }
                    if AFFINE {
                        max = V::splat(0.0).max(max);
                    }
                    max.store(self.out[to..][..LANES].as_mut_ptr());
                    if let Some(taps) = &mut taps {
                        which.store_bytes(taps[to..][..LANES].as_mut_ptr());
                    }
                }
            }
        }
    }
}

impl Kernel for Largest<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            match (self.taps.is_some(), self.affine.is_some()) {
                (true, true) => self.plane::<V, true, true>(),
                (true, false) => self.plane::<V, true, false>(),
                (false, true) => self.plane::<V, false, true>(),
                (false, false) => self.plane::<V, false, false>(),
            }
        }
    }
}

/// Of larger windows.
struct LargestOfMany<'a> {
    max: Max<'a>,
    out: &'a mut [f32],
    /// Empty where nobody asks.
    taps: &'a mut [u16],
}

impl Kernel for LargestOfMany<'_> {
    type Output = ();
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "taps of a window are small whole numbers"
    )]
    unsafe fn run<V: Lanes>(self) {
        let Max { window, input, output, z, x } = self.max;
        let mut index = [0f32; LANES];
        for (voxel, out) in self.out.chunks_exact_mut(LANES).enumerate() {
            let at = [z, voxel / output[2], voxel % output[2]];
            let mut best = None;
            for (tap, from) in taps(window, input, at) {
                // SAFETY: the slice is sixteen floats; the caller vouches for the instructions.
                unsafe {
                    let value = V::load(x[from * LANES..][..LANES].as_ptr());
                    let tap = V::splat(tap as f32);
                    best = Some(match best {
                        None => (value, tap),
                        Some((max, which)) => {
                            let larger = value.greater(max);
                            (V::select(larger, value, max), V::select(larger, tap, which))
                        }
                    });
                }
            }
            if let Some((max, which)) = best {
                // SAFETY: both have room for sixteen floats.
                unsafe {
                    max.store(out.as_mut_ptr());
                    which.store(index.as_mut_ptr());
                }
            }
            for (f, i) in self.taps.iter_mut().skip(voxel * LANES).take(LANES).zip(index) {
                *f = i as u16;
            }
        }
    }
}

/// Hands each window's gradient to the tap with the largest value.
pub(crate) fn max_backward(
    isa: Isa,
    window: &Window,
    shape: (&Volume, &Volume),
    batch: usize,
    gradient: &[f32],
    (winners, first): (&Winners, usize),
    out: &mut [f32],
) {
    let (input, output) = shape;
    let (len, of_block) = (batch * output.len(), output.voxels() * LANES);
    let out = &mut out[..batch * input.len()];
    match winners {
        Winners::Small(taps) => {
            let taps = &taps[first..][..len];
            let plane = input.size[1] * input.size[2] * LANES;
            out.par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
                let (z, block) = (task % input.size[0], task / input.size[0]);
                let gradient = &gradient[block * of_block..][..of_block];
                let taps = &taps[block * of_block..][..of_block];
                let (input, output) = (input.size, output.size);
                dispatch(isa, Gather { window, input, output, z, gradient, taps, norm: None, out });
            });
        }
        Winners::Large(taps) => {
            let taps = &taps[first..][..len];
            out.par_chunks_exact_mut(input.voxels() * LANES).enumerate().for_each(|(block, out)| {
                let of = |start: usize| start..start + of_block;
                scatter(window, (input, output), &gradient[of(block * of_block)], &taps[of(block * of_block)], out);
            });
        }
    }
}

/// The gradient of `x` behind a normalisation, a ReLU and a pool of windows of up to 256 taps: `gain * g + slope * x + offset`,
/// where `g` is what comes from the windows that let anything through. Without `x` it is taken from where the gradient goes.
pub(super) fn max_backward_normed(
    isa: Isa,
    window: &Window,
    shape: (&Volume, &Volume),
    batch: usize,
    (x, passed): (Option<&[f32]>, Pooled<'_>),
    factors: &Backward,
    out: &mut [f32],
) {
    let (input, output) = shape;
    let (plane, of_block) = (input.size[1] * input.size[2] * LANES, output.voxels() * LANES);
    let out = &mut out[..batch * input.len()];
    out.par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
        let (z, block) = (task % input.size[0], task / input.size[0]);
        let part = block * of_block..(block + 1) * of_block;
        let lanes = block % input.blocks() * LANES;
        let of = |v: &[f32]| std::array::from_fn(|lane| v[lanes + lane]);
        let norm = Some(Normed {
            x: x.map(|x| &x[task * plane..][..plane]),
            y: &passed.y[part.clone()],
            factors: [of(&factors.gain), of(&factors.slope), of(&factors.offset)],
        });
        let (gradient, taps) = (&passed.gradient[part.clone()], &passed.taps[part]);
        let (input, output) = (input.size, output.size);
        dispatch(isa, Gather { window, input, output, z, gradient, taps, norm, out });
    });
}

/// What a normalisation in front of the pool adds.
struct Normed<'a> {
    /// The plane of its input, if it does not lie where the gradient goes.
    x: Option<&'a [f32]>,
    /// The pooled block.
    y: &'a [f32],
    /// Gain, slope and offset.
    factors: [[f32; LANES]; 3],
}

/// What reaches one plane of the input, voxel by voxel from the windows that it lies in, in C order.
struct Gather<'a> {
    window: &'a Window,
    input: [usize; 3],
    output: [usize; 3],
    z: usize,
    gradient: &'a [f32],
    taps: &'a [u8],
    norm: Option<Normed<'a>>,
    out: &'a mut [f32],
}

/// Windows that a voxel lies in along an axis: the first, and the tap that it is of that. Of the next it is the tap that
/// lies `stride` before, if there is one.
#[inline(always)]
fn windows(window: &Window, axis: usize, voxel: usize, count: usize) -> std::ops::Range<usize> {
    let reach = (window.kernel[axis] - 1) * window.dilation[axis];
    let place = voxel + window.padding[axis];
    let first = place.saturating_sub(reach).div_ceil(window.stride[axis]);
    first..(place / window.stride[axis] + 1).min(count)
}

/// The tap of window `p` that a voxel is, if it is one.
#[inline(always)]
fn tap_of(window: &Window, axis: usize, voxel: usize, p: usize) -> Option<usize> {
    let offset = voxel + window.padding[axis] - p * window.stride[axis];
    if window.dilation[axis] == 1 {
        return Some(offset);
    }
    offset.is_multiple_of(window.dilation[axis]).then(|| offset / window.dilation[axis])
}

impl Gather<'_> {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "windows have up to 256 taps")]
    unsafe fn plane<V: Lanes, const NORM: bool>(self) {
        let Self { window, input, output, z, gradient, taps, norm, out } = self;
        let [_, kj, kk] = window.kernel;
        let of_i = windows(window, 0, z, output[0]);
        // SAFETY: slices of sixteen; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            let mut factors = [zero; 3];
            if let Some(norm) = &norm {
                for n in 0..3 {
                    factors[n] = V::load(norm.factors[n].as_ptr());
                }
            }
            let [gain, slope, offset] = factors;
            let pooled = norm.as_ref().map_or(gradient, |norm| norm.y);
            let before = norm.as_ref().and_then(|norm| norm.x);
            for y in 0..input[1] {
                let of_j = windows(window, 1, y, output[1]);
                for x in 0..input[2] {
                    let of_k = windows(window, 2, x, output[2]);
                    let mut sum = zero;
                    for i in of_i.clone() {
                        let Some(ti) = tap_of(window, 0, z, i) else { continue };
                        for j in of_j.clone() {
                            let Some(tj) = tap_of(window, 1, y, j) else { continue };
                            for k in of_k.clone() {
                                let Some(tk) = tap_of(window, 2, x, k) else { continue };
                                let at = ((i * output[1] + j) * output[2] + k) * LANES;
                                let (g, taps) = (&gradient[at..][..LANES], &taps[at..][..LANES]);
                                let mut here = V::bytes_equal(taps.as_ptr(), ((ti * kj + tj) * kk + tk) as u8);
                                if NORM {
                                    here = V::both(here, V::load(pooled[at..][..LANES].as_ptr()).greater(zero));
                                }
                                sum = sum.add(V::select(here, V::load(g.as_ptr()), zero));
                            }
                        }
                    }
                    let to = (y * input[2] + x) * LANES;
                    if NORM {
                        // It is read before the gradient takes its place.
                        let x = before.unwrap_or(&*out);
                        let rest = V::load(x[to..][..LANES].as_ptr()).mul_add(slope, offset);
                        sum = sum.mul_add(gain, rest);
                    }
                    sum.store(out[to..][..LANES].as_mut_ptr());
                }
            }
        }
    }
}

impl Kernel for Gather<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            if self.norm.is_some() {
                self.plane::<V, true>();
            } else {
                self.plane::<V, false>();
            }
        }
    }
}

/// One block of channels, from window to tap.
fn scatter(window: &Window, shape: (&Volume, &Volume), gradient: &[f32], taps: &[u16], out: &mut [f32]) {
    let (input, output) = shape;
    let ([_, kj, kk], [di, dj, dk]) = (window.kernel, window.dilation);
    out.fill(0.0);
    for (voxel, (gradient, taps)) in gradient.chunks_exact(LANES).zip(taps.chunks_exact(LANES)).enumerate() {
        let [i, j, k] = [
            voxel / (output.size[1] * output.size[2]) * window.stride[0],
            voxel / output.size[2] % output.size[1] * window.stride[1],
            voxel % output.size[2] * window.stride[2],
        ];
        for (lane, (g, tap)) in gradient.iter().zip(taps).enumerate() {
            let tap = usize::from(*tap);
            let at = ((i + tap / (kj * kk) * di - window.padding[0]) * input.size[1] + j + tap / kk % kj * dj
                - window.padding[1])
                * input.size[2]
                + k
                + tap % kk * dk
                - window.padding[2];
            out[at * LANES + lane] += g;
        }
    }
}

/// Mean of each window, of what `before` makes of each value.
pub(crate) fn mean_forward(
    isa: Isa,
    means: &Means,
    shape: (&Volume, &Volume),
    batch: usize,
    x: &[f32],
    before: Option<Affine<'_>>,
    out: &mut [f32],
) {
    let (input, output) = shape;
    let plane = output.size[1] * output.size[2] * LANES;
    out[..batch * output.len()].par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
        let (z, volume) = (task % output.size[0], task / output.size[0]);
        let x = &x[volume * input.voxels() * LANES..][..input.voxels() * LANES];
        let before = before.map(|before| {
            let lanes = volume % input.blocks() * LANES..;
            let [scale, shift] = [before.scale, before.shift].map(|factors| &factors[lanes.clone()][..LANES]);
            Affine { scale, shift, ..before }
        });
        dispatch(isa, Mean { means, input: input.size, output: output.size, z, x, before, out });
    });
}

/// One plane of a block of channels.
struct Mean<'a> {
    means: &'a Means,
    input: [usize; 3],
    output: [usize; 3],
    z: usize,
    x: &'a [f32],
    /// Of these sixteen channels.
    before: Option<Affine<'a>>,
    out: &'a mut [f32],
}

impl Mean<'_> {
    #[inline(always)]
    unsafe fn plane<V: Lanes, const BEFORE: bool, const RELU: bool>(self) {
        let Self { means, input, output, z, x, before, out } = self;
        let even = means.pool.is_none().then(|| 1.0 / means.divisor(input, [0; 3]));
        // SAFETY: factors are sixteen floats, and chunks; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            let (scale, shift) =
                before.map_or((zero, zero), |b| (V::load(b.scale.as_ptr()), V::load(b.shift.as_ptr())));
            for (voxel, out) in out.chunks_exact_mut(LANES).enumerate() {
                let at = [z, voxel / output[2], voxel % output[2]];
                let mut sum = zero;
                for (_, from) in taps(&means.window, input, at) {
                    let mut value = V::load(x[from * LANES..][..LANES].as_ptr());
                    if BEFORE {
                        value = value.mul_add(scale, shift);
                    }
                    sum = sum.add(if RELU { zero.max(value) } else { value });
                }
                if let Some(share) = even {
                    sum.mul(V::splat(share)).store(out.as_mut_ptr());
                } else {
                    sum.store(out.as_mut_ptr());
                    // The mean of equal values is that value, to the last digit: else rounding would choose the largest of
                    // means.
                    let divisor = means.divisor(input, at);
                    out.iter_mut().for_each(|o| *o /= divisor);
                }
            }
        }
    }
}

impl Kernel for Mean<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            match self.before.map(|before| before.relu) {
                None => self.plane::<V, false, false>(),
                Some(false) => self.plane::<V, true, false>(),
                Some(true) => self.plane::<V, true, true>(),
            }
        }
    }
}

/// Spreads each window's gradient evenly.
pub(crate) fn mean_backward(means: &Means, shape: (&Volume, &Volume), batch: usize, gradient: &[f32], out: &mut [f32]) {
    let (input, output) = shape;
    let window = &means.window;
    let even = means.pool.is_none().then(|| 1.0 / means.divisor(input.size, [0; 3]));
    out[..batch * input.len()].par_chunks_exact_mut(input.voxels() * LANES).enumerate().for_each(|(volume, out)| {
        out.fill(0.0);
        let gradient = &gradient[volume * output.voxels() * LANES..][..output.voxels() * LANES];
        for (voxel, g) in gradient.chunks_exact(LANES).enumerate() {
            let at = [
                voxel / (output.size[1] * output.size[2]),
                voxel / output.size[2] % output.size[1],
                voxel % output.size[2],
            ];
            let share = even.unwrap_or_else(|| 1.0 / means.divisor(input.size, at));
            for (_, to) in taps(window, input.size, at) {
                for (o, g) in out[to * LANES..][..LANES].iter_mut().zip(g) {
                    *o += g * share;
                }
            }
        }
    });
}

/// Mean of each channel, `[C]` padded to 16.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "values are f32")]
pub(crate) fn global_mean(volume: &Volume, batch: usize, x: &[f32], out: &mut [f32]) {
    let voxels = volume.voxels();
    out[..batch * volume.blocks() * LANES].par_chunks_exact_mut(LANES).enumerate().for_each(|(block, out)| {
        let mut sum = [0f64; LANES];
        for lanes in x[block * voxels * LANES..][..voxels * LANES].chunks_exact(LANES) {
            for (s, x) in sum.iter_mut().zip(lanes) {
                *s += f64::from(*x);
            }
        }
        for (o, s) in out.iter_mut().zip(sum) {
            *o = (s / voxels as f64) as f32;
        }
    });
}

/// Spreads each channel's gradient evenly.
#[allow(clippy::cast_precision_loss, reason = "volumes are small beside 2^24 voxels")]
pub(crate) fn global_mean_backward(volume: &Volume, batch: usize, gradient: &[f32], out: &mut [f32]) {
    let share = 1.0 / volume.voxels() as f32;
    let shared = Shared::new(&mut out[..batch * volume.len()]);
    let of_block = volume.voxels() * LANES;
    parallel(batch * volume.blocks(), |block| {
        // SAFETY: blocks do not overlap.
        let out = unsafe { shared.piece(block * of_block, of_block) };
        let gradient = &gradient[block * LANES..][..LANES];
        for lanes in out.chunks_exact_mut(LANES) {
            for (o, g) in lanes.iter_mut().zip(gradient) {
                *o = g * share;
            }
        }
    });
}
