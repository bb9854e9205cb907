//! What a convolution hands back to its input, gathered: each voxel from the taps that led to it alone. Of a stride of two
//! these are an eighth of all, which [`super::direct`] would take of a gradient spread out with zeros.
//!
//! Voxels a stride apart have the same taps, and their gradients lie side by side: a tile is a row of such voxels.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::{Conv, LANES, Volume};

/// Zeros before the gradient of the output, so that every tap of every voxel lies in it.
pub(crate) fn before(conv: &Conv) -> [usize; 3] {
    let window = &conv.window;
    std::array::from_fn(|axis| {
        let reach = (window.kernel[axis] - 1) * window.dilation[axis];
        reach.saturating_sub(window.padding[axis]) / window.stride[axis]
    })
}

/// The gradient of the output with zeros around it.
pub(crate) fn surrounded(conv: &Conv) -> Volume {
    let (window, before) = (&conv.window, before(conv));
    let size = std::array::from_fn(|axis| {
        let last = (conv.input.size[axis] - 1 + window.padding[axis]) / window.stride[axis];
        before[axis] + conv.output.size[axis].max(last + 1)
    });
    Volume::blocked(conv.output.channels, size)
}

/// The taps of a voxel that led anywhere, along one axis: from the first on, every so many.
#[derive(Clone, Copy)]
struct Taps {
    first: usize,
    /// Where the gradient of the first lies; that of the next lies [`Geometry::back`] before it.
    place: usize,
}

/// What all voxels of a convolution have in common.
#[derive(Clone, Copy)]
struct Geometry<'a> {
    conv: &'a Conv,
    /// The gradient of the output with zeros around it.
    from: Volume,
    before: [usize; 3],
    /// From one tap that leads anywhere to the next.
    step: [usize; 3],
    /// And from its gradient to the next's.
    back: [usize; 3],
}

impl<'a> Geometry<'a> {
    fn new(conv: &'a Conv) -> Self {
        let window = &conv.window;
        let step = std::array::from_fn(|axis| {
            let (mut a, mut b) = (window.stride[axis], window.dilation[axis]);
            while b > 0 {
                (a, b) = (b, a % b);
            }
            window.stride[axis] / a
        });
        let back = std::array::from_fn(|axis| step[axis] * window.dilation[axis] / window.stride[axis]);
        Self { conv, from: surrounded(conv), before: before(conv), step, back }
    }

    /// Of a voxel along an axis.
    #[inline(always)]
    fn taps(&self, axis: usize, voxel: usize) -> Taps {
        let window = &self.conv.window;
        let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
        // Shifted by whole strides, so that nothing that leads anywhere is below zero.
        let sum = voxel + window.padding[axis] + self.before[axis] * stride;
        let mut first = 0;
        while first < self.step[axis] {
            let offset = first * dilation;
            if offset <= sum && (sum - offset).is_multiple_of(stride) {
                return Taps { first, place: (sum - offset) / stride };
            }
            first += 1;
        }
        Taps { first: usize::MAX, place: 0 }
    }
}

/// The gradient of an input in blocks, plus a bias, from that of the output with zeros around it; `weights` as
/// [`super::direct::pack_backward`] packs them.
pub(crate) fn backward(
    isa: Isa,
    conv: &Conv,
    batch: usize,
    gradient: &[f32],
    weights: &[f32],
    bias: &[f32],
    out: &mut [f32],
) {
    let geometry = Geometry::new(conv);
    let (from, to) = (geometry.from, Volume::blocked(conv.input.channels, conv.input.size));
    assert!(gradient.len() >= batch * from.len() && out.len() >= batch * to.len());
    assert_eq!(weights.len(), to.blocks() * from.blocks() * conv.window.taps() * LANES * LANES);
    assert_eq!(bias.len(), to.blocks() * LANES);
    let (pairs, depth, plane) = (to.blocks().div_ceil(2), to.size[0], to.size[1] * to.size[2] * LANES);
    let shared = Shared::new(out);
    parallel(batch * pairs * depth, |task| {
        let (z, pair, sample) = (task % depth, task / depth % pairs, task / depth / pairs);
        let gradient = &gradient[sample * from.len()..][..from.len()];
        let piece = |block: usize| ((sample * to.blocks() + block) * depth + z) * plane;
        let (first, second) = (2 * pair, 2 * pair + 1);
        let rest = Rows { geometry, gradient, weights, bias, z };
        if second < to.blocks() {
            // SAFETY: planes of different tasks and blocks do not overlap.
            let out = unsafe { [shared.piece(piece(first), plane), shared.piece(piece(second), plane)] };
            dispatch(isa, Blocks { rest, first, out });
        } else {
            // SAFETY: as above.
            let out = unsafe { [shared.piece(piece(first), plane)] };
            dispatch(isa, Blocks { rest, first, out });
        }
    });
}

/// One plane of the input, and what it is made of.
struct Rows<'a> {
    geometry: Geometry<'a>,
    gradient: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    z: usize,
}

/// Its rows of `B` blocks of channels.
struct Blocks<'a, const B: usize> {
    rest: Rows<'a>,
    first: usize,
    out: [&'a mut [f32]; B],
}

macro_rules! sizes {
    ($count:expr, $tile:ident => $work:expr) => {
        sizes!(@ $count, $tile => $work; 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $count:expr, $tile:ident => $work:expr; $($t:literal)*) => {
        match $count {
            $($t if $t <= V::ROWS => {
                const $tile: usize = $t;
                $work
            })*
            _ => unreachable!("a tile of {} positions", $count),
        }
    };
}

impl<const B: usize> Kernel for Blocks<'_, B> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { rest, first, out } = self;
        let (size, step) = (rest.geometry.conv.input.size, rest.geometry.conv.window.stride[2]);
        for y in 0..size[1] {
            for phase in 0..step.min(size[2]) {
                let all = (size[2] - phase).div_ceil(step);
                let length = all.div_ceil(all.div_ceil(V::ROWS));
                let mut done = 0;
                while done < all {
                    let (count, k) = (length.min(all - done), phase + done * step);
                    sizes!(count, T => {
                        let at = |t: usize| (y * size[2] + k + t * step) * LANES;
                        // SAFETY: `backward` has checked the sizes, and every tap lies in what is surrounded by zeros; voxels
                        // are those of the plane.
                        unsafe {
                            if B <= V::BLOCKS {
                                let sums = blocks::<V, T, B>(&rest, first, [rest.z, y, k]);
                                for b in 0..B {
                                    for t in 0..T {
                                        sums[b][t].store(out[b][at(t)..][..LANES].as_mut_ptr());
                                    }
                                }
                            } else {
                                for b in 0..B {
                                    let [sums] = blocks::<V, T, 1>(&rest, first + b, [rest.z, y, k]);
                                    for t in 0..T {
                                        sums[t].store(out[b][at(t)..][..LANES].as_mut_ptr());
                                    }
                                }
                            }
                        }
                    });
                    done += count;
                }
            }
        }
    }
}

/// `T` voxels a stride apart, from `at` on, of `B` blocks.
///
/// # Safety
///
/// The gradient holds all taps of all voxels, the weights and the bias `B` blocks from `first` on.
#[inline(always)]
unsafe fn blocks<V: Lanes, const T: usize, const B: usize>(
    rows: &Rows<'_>,
    first: usize,
    at: [usize; 3],
) -> [[V; T]; B] {
    let Geometry { conv, from, step, back, .. } = rows.geometry;
    let ([ki, kj, kk], taps) = (conv.window.kernel, conv.window.taps());
    let [of_i, of_j, of_k] = [0, 1, 2].map(|axis| rows.geometry.taps(axis, at[axis]));
    let of_block = from.blocks() * taps * LANES * LANES;
    // SAFETY: as the function's.
    unsafe {
        let mut sums = [[V::splat(0.0); T]; B];
        for b in 0..B {
            sums[b] = [V::load(rows.bias.as_ptr().add((first + b) * LANES)); T];
        }
        let (mut ti, mut i) = (of_i.first, of_i.place);
        while ti < ki {
            let (mut tj, mut j) = (of_j.first, of_j.place);
            while tj < kj {
                let (mut tk, mut k) = (of_k.first, of_k.place);
                while tk < kk {
                    let tap = taps - 1 - ((ti * kj + tj) * kk + tk);
                    for plane in 0..from.blocks() {
                        let voxel = ((plane * from.size[0] + i) * from.size[1] + j) * from.size[2] + k;
                        let g = rows.gradient.as_ptr().add(voxel * LANES);
                        let w = rows.weights.as_ptr().add(first * of_block + (plane * taps + tap) * LANES * LANES);
                        for c in 0..LANES {
                            let mut weights = [V::splat(0.0); B];
                            for b in 0..B {
                                weights[b] = V::load(w.add(b * of_block + c * LANES));
                            }
                            for t in 0..T {
                                let g = V::splat(*g.add(t * LANES + c));
                                for b in 0..B {
                                    sums[b][t] = g.mul_add(weights[b], sums[b][t]);
                                }
                            }
                        }
                    }
                    (tk, k) = (tk + step[2], k.wrapping_sub(back[2]));
                }
                (tj, j) = (tj + step[1], j.wrapping_sub(back[1]));
            }
            (ti, i) = (ti + step[0], i.wrapping_sub(back[0]));
        }
        sums
    }
}

/// Floats of packed weights for [`narrow`].
pub(crate) fn narrow_len(conv: &Conv) -> usize {
    conv.input.channels * conv.window.taps() * conv.output.blocks() * LANES
}

/// Weights `[out][in][taps]` for [`narrow`], those of an output times its scale: by channel of the input, tap and block.
pub(crate) fn pack_narrow(conv: &Conv, weights: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
    let (taps, row) = (conv.window.taps(), conv.output.blocks() * LANES);
    assert_eq!(weights.len(), conv.output.channels * conv.input.channels * taps);
    for (out, of_out) in weights.chunks_exact(conv.input.channels * taps).enumerate() {
        let factor = scale.map_or(1.0, |scale| scale[out]);
        for (at, w) in of_out.iter().enumerate() {
            packed[at * row + out] = w * factor;
        }
    }
}

/// The gradient of an input of few channels that lie as planes, from that of the output with zeros around it: sixteen
/// channels of the gradient at once, added up at the end.
pub(crate) fn narrow(isa: Isa, conv: &Conv, batch: usize, gradient: &[f32], weights: &[f32], out: &mut [f32]) {
    let geometry = Geometry::new(conv);
    let (from, to) = (geometry.from, conv.input);
    assert!(gradient.len() >= batch * from.len() && out.len() >= batch * to.len());
    assert_eq!(weights.len(), narrow_len(conv));
    for out in out[..batch * to.len()].chunks_exact_mut(to.len()) {
        out[to.values()..].fill(0.0);
    }
    let (channels, depth, plane) = (to.channels, to.size[0], to.size[1] * to.size[2]);
    let shared = Shared::new(out);
    parallel(batch * channels * depth, |task| {
        let (z, channel, sample) = (task % depth, task / depth % channels, task / depth / channels);
        let gradient = &gradient[sample * from.len()..][..from.len()];
        let weights = &weights[channel * conv.window.taps() * from.blocks() * LANES..];
        // SAFETY: planes of different tasks do not overlap.
        let out = unsafe { shared.piece(sample * to.len() + (channel * depth + z) * plane, plane) };
        dispatch(isa, Narrow { rest: Rows { geometry, gradient, weights, bias: &[], z }, out });
    });
}

/// One plane of one channel.
struct Narrow<'a> {
    rest: Rows<'a>,
    out: &'a mut [f32],
}

impl Kernel for Narrow<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { rest, out } = self;
        let (size, step) = (rest.geometry.conv.input.size, rest.geometry.conv.window.stride[2]);
        for y in 0..size[1] {
            for phase in 0..step.min(size[2]) {
                let all = (size[2] - phase).div_ceil(step);
                let length = all.div_ceil(all.div_ceil(V::ROWS));
                let mut done = 0;
                while done < all {
                    let (count, k) = (length.min(all - done), phase + done * step);
                    sizes!(count, T => {
                        // SAFETY: `narrow` has checked the sizes, and every tap lies in what is surrounded by zeros.
                        let sums = unsafe { sums::<V, T>(&rest, [rest.z, y, k]) };
                        for t in 0..T {
                            let mut lanes = [0f32; LANES];
                            // SAFETY: sixteen floats.
                            unsafe { sums[t].store(lanes.as_mut_ptr()) };
                            out[y * size[2] + k + t * step] = lanes.iter().sum();
                        }
                    });
                    done += count;
                }
            }
        }
    }
}

/// `T` voxels a stride apart, from `at` on: sums that are still to be added over lanes.
///
/// # Safety
///
/// The gradient holds all taps of all voxels, the weights all taps.
#[inline(always)]
unsafe fn sums<V: Lanes, const T: usize>(rows: &Rows<'_>, at: [usize; 3]) -> [V; T] {
    let Geometry { conv, from, step, back, .. } = rows.geometry;
    let [ki, kj, kk] = conv.window.kernel;
    let [of_i, of_j, of_k] = [0, 1, 2].map(|axis| rows.geometry.taps(axis, at[axis]));
    // SAFETY: as the function's.
    unsafe {
        let mut sums = [V::splat(0.0); T];
        let (mut ti, mut i) = (of_i.first, of_i.place);
        while ti < ki {
            let (mut tj, mut j) = (of_j.first, of_j.place);
            while tj < kj {
                let (mut tk, mut k) = (of_k.first, of_k.place);
                while tk < kk {
                    let w = rows.weights.as_ptr().add(((ti * kj + tj) * kk + tk) * from.blocks() * LANES);
                    for plane in 0..from.blocks() {
                        let voxel = ((plane * from.size[0] + i) * from.size[1] + j) * from.size[2] + k;
                        let (g, w) = (rows.gradient.as_ptr().add(voxel * LANES), V::load(w.add(plane * LANES)));
                        for t in 0..T {
                            sums[t] = V::load(g.add(t * LANES)).mul_add(w, sums[t]);
                        }
                    }
                    (tk, k) = (tk + step[2], k.wrapping_sub(back[2]));
                }
                (tj, j) = (tj + step[1], j.wrapping_sub(back[1]));
            }
            (ti, i) = (ti + step[0], i.wrapping_sub(back[0]));
        }
        sums
    }
}
