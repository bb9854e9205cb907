//! Pooling with any window, and means over whole volumes.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::{LANES, Volume, Window};
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

/// Largest value of each window and the tap it is at: the first of equals in C order. Padding never counts.
pub(crate) fn max_forward(
    isa: Isa,
    window: &Window,
    shape: (&Volume, &Volume),
    batch: usize,
    x: &[f32],
    out: &mut [f32],
    taps: &mut [u16],
) {
    let (input, output) = shape;
    let plane = output.size[1] * output.size[2] * LANES;
    let (out, taps) = (&mut out[..batch * output.len()], &mut taps[..batch * output.len()]);
    out.par_chunks_exact_mut(plane).zip(taps.par_chunks_exact_mut(plane)).enumerate().for_each(
        |(task, (out, taps))| {
            let (z, volume) = (task % output.size[0], task / output.size[0]);
            let x = &x[volume * input.voxels() * LANES..][..input.voxels() * LANES];
            dispatch(isa, Max { window, input: input.size, output: output.size, z, x, out, taps });
        },
    );
}

struct Max<'a> {
    window: &'a Window,
    input: [usize; 3],
    output: [usize; 3],
    z: usize,
    x: &'a [f32],
    out: &'a mut [f32],
    taps: &'a mut [u16],
}

impl Kernel for Max<'_> {
    type Output = ();
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "taps of a window are small whole numbers"
    )]
    unsafe fn run<V: Lanes>(self) {
        let mut index = [0f32; LANES];
        let voxels = self.out.chunks_exact_mut(LANES).zip(self.taps.chunks_exact_mut(LANES));
        for (voxel, (out, found)) in voxels.enumerate() {
            let at = [self.z, voxel / self.output[2], voxel % self.output[2]];
            let mut best = None;
            for (tap, from) in taps(self.window, self.input, at) {
                // SAFETY: the slice is sixteen floats; the caller vouches for the instructions.
                unsafe {
                    let value = V::load(self.x[from * LANES..][..LANES].as_ptr());
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
            for (f, i) in found.iter_mut().zip(index) {
                *f = i as u16;
            }
        }
    }
}

/// Hands each window's gradient to the tap with the largest value.
pub(crate) fn max_backward(
    window: &Window,
    shape: (&Volume, &Volume),
    batch: usize,
    gradient: &[f32],
    taps: &[u16],
    out: &mut [f32],
) {
    let (input, output) = shape;
    let ([_, kj, kk], [di, dj, dk]) = (window.kernel, window.dilation);
    out[..batch * input.len()].par_chunks_exact_mut(input.voxels() * LANES).enumerate().for_each(|(volume, out)| {
        out.fill(0.0);
        let start = volume * output.voxels() * LANES;
        let of_volume =
            gradient[start..].chunks_exact(LANES).zip(taps[start..].chunks_exact(LANES)).take(output.voxels());
        for (voxel, (gradient, taps)) in of_volume.enumerate() {
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
    });
}

/// Mean of each window.
pub(crate) fn mean_forward(means: &Means, shape: (&Volume, &Volume), batch: usize, x: &[f32], out: &mut [f32]) {
    let (input, output) = shape;
    let window = &means.window;
    let even = means.pool.is_none().then(|| 1.0 / means.divisor(input.size, [0; 3]));
    let plane = output.size[1] * output.size[2] * LANES;
    out[..batch * output.len()].par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
        let (z, volume) = (task % output.size[0], task / output.size[0]);
        let x = &x[volume * input.voxels() * LANES..][..input.voxels() * LANES];
        for (voxel, out) in out.chunks_exact_mut(LANES).enumerate() {
            let at = [z, voxel / output.size[2], voxel % output.size[2]];
            out.fill(0.0);
            for (_, from) in taps(window, input.size, at) {
                for (o, x) in out.iter_mut().zip(&x[from * LANES..][..LANES]) {
                    *o += x;
                }
            }
            match even {
                Some(share) => out.iter_mut().for_each(|o| *o *= share),
                // The mean of equal values is that value, to the last digit: else rounding would choose the largest of means.
                None => {
                    let divisor = means.divisor(input.size, at);
                    out.iter_mut().for_each(|o| *o /= divisor);
                }
            }
        }
    });
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
