//! Sums over the 3 x 3 x 3 patches of a volume of one channel: all that training needs of a first convolution besides
//! its pooled output.
//!
//! The output of such a convolution is linear in the 27 values of a patch, `x_p = w . patch_p + b`, so the statistics
//! of a batch normalisation after it follow from the mean `m` and the covariance `C` of the patches, and so do the
//! dense terms of the weight gradient:
//!
//! ```text
//! mean = w . m + b      variance = w^T C w
//! dw = gain * ( sum over maxima of g * patch  -  sum(g) m  -  dscale / deviation * C w )
//! ```
//!
//! with `g` the gradient that passes pool and ReLU (at most one position in eight), `dscale` the gradient of the
//! normalisation's scale, and patches counted from `m`. The un-pooled output, eight times as large as all else in the
//! network, is never written or read.
//!
//! `C` is summed plane by plane: two taps that lie `d` planes apart have the same products in any pair of planes `u`
//! and `u + d`, so a plane's products are computed once for the up to three pairs of taps that share them.

use super::buffer::{Shared, parallel};
use super::lanes::{Kernel, Lanes, dispatch, total};
use super::scratch::Cpu;
use super::shape::{Conv, LANES, Layout};
use super::sparse::Pooled;

/// Taps of a patch.
pub(crate) const TAPS: usize = 27;
/// Parts of the batch's planes with sums of their own: fixed, so that results do not depend on threads.
const PARTS: usize = 16;
/// Sums of a part: products of pairs of taps, then taps.
const SUMS: usize = TAPS * TAPS + TAPS;
/// Every so many voxels are looked at for the value that patches are counted from.
const SAMPLED: usize = 61;

/// Whether the first block can be trained from its patches.
pub(crate) fn fits(conv: &Conv) -> bool {
    let window = &conv.window;
    conv.input.layout == Layout::Planar
        && conv.input.channels == 1
        && window.kernel == [3; 3]
        && window.is_dense()
        && window.padding == [0; 3]
        && conv.output.size.iter().all(|&s| s >= 2)
}

/// Mean and covariance of the patches of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    /// A constant near the mean of the values, which sums are counted from lest they cancel.
    center: f32,
    /// Mean of each tap, counted from the center.
    mean: [f64; TAPS],
    covariance: Box<[[f64; TAPS]; TAPS]>,
    parts: Vec<f64>,
}

impl Default for Patches {
    fn default() -> Self {
        Self {
            center: 0.0,
            mean: [0.0; TAPS],
            covariance: Box::new([[0.0; TAPS]; TAPS]),
            parts: vec![0.0; PARTS * SUMS],
        }
    }
}

/// Floats of scratch per thread, for [`Patches::measure`] and [`Patches::correlate`].
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    let [_, j, k] = conv.input.size;
    (3 * j * k + 2 * LANES).max(conv.output.size[2] / 2 * 64)
}

impl Patches {
    /// Measures a batch.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts are small; a center")]
    pub(crate) fn measure(&mut self, cpu: Cpu<'_>, conv: &Conv, batch: usize, x: &[f32]) {
        assert!(fits(conv));
        let (input, output) = (conv.input, conv.output);
        let values =
            || (0..batch).flat_map(|sample| x[sample * input.len()..][..input.voxels()].iter().step_by(SAMPLED));
        self.center = (values().map(|&v| f64::from(v)).sum::<f64>() / values().count() as f64) as f32;
        let center = self.center;
        let planes = batch * input.size[0];
        let shared = Shared::new(&mut self.parts);
        parallel(PARTS, |part| {
            // SAFETY: every task has its own sums.
            let sums = unsafe { shared.piece(part * SUMS, SUMS) };
            sums.fill(0.0);
            cpu.scratch.lend(scratch_len(conv), |scratch| {
                for plane in planes * part / PARTS..planes * (part + 1) / PARTS {
                    let (sample, u) = (plane / input.size[0], plane % input.size[0]);
                    let x = &x[sample * input.len()..][..input.voxels()];
                    dispatch(cpu.isa, Products { conv, x, u, center, planes: scratch, sums });
                }
            });
        });
        let count = (batch * output.voxels()) as f64;
        let sum = |at: usize| (0..PARTS).map(|part| self.parts[part * SUMS + at]).sum::<f64>();
        for tap in 0..TAPS {
            self.mean[tap] = sum(TAPS * TAPS + tap) / count;
        }
        for a in 0..TAPS {
            for b in a..TAPS {
                let value = sum(a * TAPS + b) / count - self.mean[a] * self.mean[b];
                self.covariance[a][b] = value;
                self.covariance[b][a] = value;
            }
        }
    }

    /// Mean of `weights . patch`.
    pub(crate) fn mean_of(&self, weights: &[f32]) -> f64 {
        weights.iter().zip(&self.mean).map(|(&w, m)| f64::from(w) * (m + f64::from(self.center))).sum()
    }

    /// `C w`.
    pub(crate) fn covariance_with(&self, weights: &[f32]) -> [f64; TAPS] {
        self.covariance.each_ref().map(|row| row.iter().zip(weights).map(|(c, &w)| c * f64::from(w)).sum())
    }

    /// Biased variance of `weights . patch`.
    pub(crate) fn variance_of(&self, weights: &[f32]) -> f64 {
        let with = self.covariance_with(weights);
        with.iter().zip(weights).map(|(c, &w)| c * f64::from(w)).sum::<f64>().max(0.0)
    }

    /// Sums over the maxima of all windows of gradient times patch, counted from the center: calls `finish` with each
    /// output channel and its 27 sums. `sums` is of [`correlation_len`] and holds anything.
    pub(crate) fn correlate(
        &self,
        cpu: Cpu<'_>,
        conv: &Conv,
        (batch, x): (usize, &[f32]),
        pooled: Pooled<'_>,
        sums: &mut [f32],
        mut finish: impl FnMut(usize, [f64; TAPS]),
    ) {
        assert!(fits(conv));
        let (blocks, size) = (conv.output.blocks(), conv.output.size.map(|s| s / 2));
        let len = batch * blocks * size.iter().product::<usize>() * LANES;
        assert!([pooled.gradient.len(), pooled.y.len(), pooled.taps.len()].iter().all(|&l| l >= len));
        assert!(x.len() >= batch * conv.input.len());
        let of_task = LANES * WINDOWS;
        let sums = &mut sums[..correlation_len(conv)];
        let (planes, center) = (batch * size[0], self.center);
        let shared = Shared::new(sums);
        parallel(PARTS * blocks, |task| {
            let (block, part) = (task % blocks, task / blocks);
            // SAFETY: every task has its own sums.
            let sums = unsafe { shared.piece(task * of_task, of_task) };
            sums.fill(0.0);
            cpu.scratch.lend(scratch_len(conv), |windows| {
                for plane in planes * part / PARTS..planes * (part + 1) / PARTS {
                    let (sample, z) = (plane / size[0], plane % size[0]);
                    let x = &x[sample * conv.input.len()..][..conv.input.voxels()];
                    let at = (sample * blocks + block) * size[0] + z;
                    let row = size[1] * size[2] * LANES;
                    let pooled = Pooled {
                        gradient: &pooled.gradient[at * row..][..row],
                        y: &pooled.y[at * row..][..row],
                        taps: &pooled.taps[at * row..][..row],
                    };
                    dispatch(cpu.isa, Maxima { conv, size, z, x, center, pooled, windows, sums });
                }
            });
        });
        for channel in 0..conv.output.channels {
            let mut out = [0f64; TAPS];
            for (tap, out) in out.iter_mut().enumerate() {
                for position in 0..8 {
                    let [a, b, c] = [position / 4 + tap / 9, position / 2 % 2 + tap / 3 % 3, position % 2 + tap % 3];
                    let at = channel % LANES * WINDOWS + position * 64 + (a * 4 + b) * 4 + c;
                    let of = |part: usize| f64::from(sums[(part * blocks + channel / LANES) * of_task + at]);
                    *out += (0..PARTS).map(of).sum::<f64>();
                }
            }
            finish(channel, out);
        }
    }

    /// Mean of each tap, counted from the center, as [`Patches::correlate`] counts.
    pub(crate) fn mean(&self) -> &[f64; TAPS] {
        &self.mean
    }
}

/// Floats of [`Patches::correlate`]'s sums.
pub(crate) fn correlation_len(conv: &Conv) -> usize {
    PARTS * conv.output.blocks() * LANES * WINDOWS
}

/// Sums of one output channel: for each of the eight positions of a pooling window, the 4 x 4 x 4 voxels under it.
const WINDOWS: usize = 8 * 64;

/// Products of the taps in plane `u` with those in the planes up to two further on.
struct Products<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    u: usize,
    center: f32,
    planes: &'a mut [f32],
    sums: &'a mut [f64],
}

impl Products<'_> {
    /// `A` taps along `k` of row `j`, from the `from`-th on, by `B` taps of the plane `d` further on: row `j2`, or all
    /// three rows when `B` is 9.
    #[inline(always)]
    unsafe fn tile<V: Lanes, const A: usize, const B: usize>(
        &mut self,
        (j, from): (usize, usize),
        (d, j2): (usize, usize),
    ) {
        let [depth, rows, columns] = self.conv.output.size;
        let [_, height, width] = self.conv.input.size;
        // SAFETY: planes `u` to `u + d` are there with lanes to spare behind them.
        unsafe {
            let zero = V::splat(0.0);
            let mut sum = [[zero; B]; A];
            let near = self.planes.as_ptr().add(j * width + from);
            let far = self.planes.as_ptr().add((d * height + j2) * width);
            for y in 0..rows {
                let mut k = 0;
                while k < columns {
                    let (near, far) = (near.add(y * width + k), far.add(y * width + k));
                    let mut a = [zero; A];
                    for n in 0..A {
                        a[n] = V::load(near.add(n));
                    }
                    if k + LANES > columns {
                        let inside = first::<V>(columns - k);
                        for n in 0..A {
                            a[n] = V::select(inside, a[n], zero);
                        }
                    }
                    for m in 0..B {
                        let b = V::load(far.add(m / 3 * width + m % 3));
                        for n in 0..A {
                            sum[n][m] = a[n].mul_add(b, sum[n][m]);
                        }
                    }
                    k += LANES;
                }
            }
            for n in 0..A {
                for m in 0..B {
                    let product = f64::from(total(sum[n][m]));
                    for i in 0..3 - d {
                        if i <= self.u && self.u < i + depth {
                            let near = i * 9 + j * 3 + from + n;
                            let far = (i + d) * 9 + (j2 + m / 3) * 3 + m % 3;
                            self.sums[near * TAPS + far] += product;
                        }
                    }
                }
            }
        }
    }

    /// Sums of the nine taps in plane `u`.
    #[inline(always)]
    unsafe fn taps<V: Lanes>(&mut self) {
        let [depth, rows, columns] = self.conv.output.size;
        let width = self.conv.input.size[2];
        // SAFETY: as in `tile`.
        unsafe {
            for tap in 0..9 {
                let mut sum = V::splat(0.0);
                for y in 0..rows {
                    let x = self.planes.as_ptr().add((y + tap / 3) * width + tap % 3);
                    let mut k = 0;
                    while k < columns {
                        let value = V::load(x.add(k));
                        let inside = first::<V>((columns - k).min(LANES));
                        sum = sum.add(V::select(inside, value, V::splat(0.0)));
                        k += LANES;
                    }
                }
                let sum = f64::from(total(sum));
                for i in 0..3 {
                    if i <= self.u && self.u < i + depth {
                        self.sums[TAPS * TAPS + i * 9 + tap] += sum;
                    }
                }
            }
        }
    }
}

/// The first `count` lanes.
#[inline(always)]
#[allow(clippy::cast_precision_loss, reason = "at most sixteen")]
unsafe fn first<V: Lanes>(count: usize) -> V::Mask {
    const INDEX: [f32; LANES] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
    // SAFETY: the array is sixteen floats; the caller vouches for the instructions.
    unsafe { V::splat(count as f32).greater(V::load(INDEX.as_ptr())) }
}

impl Kernel for Products<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let [depth, height, width] = self.conv.input.size;
        let area = height * width;
        let ahead = (depth - self.u).min(3);
        assert!(self.planes.len() >= 3 * area + 2 * LANES);
        let center = self.center;
        let from = &self.x[self.u * area..][..ahead * area];
        for (to, x) in self.planes.iter_mut().zip(from) {
            *to = x - center;
        }
        // What a tile reads beyond the last row is cut off, but must be numbers.
        self.planes[ahead * area..ahead * area + 2 * LANES].fill(0.0);
        // SAFETY: the caller vouches for the instructions; tiles reach planes that are there.
        unsafe {
            self.taps::<V>();
            for d in 0..ahead {
                for j in 0..3 {
                    if V::BLOCKS == 2 {
                        self.tile::<V, 3, 9>((j, 0), (d, 0));
                    } else {
                        for j2 in 0..3 {
                            for from in 0..3 {
                                self.tile::<V, 1, 3>((j, from), (d, j2));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Adds what one plane of pooled voxels gives to the sums of sixteen output channels.
struct Maxima<'a> {
    conv: &'a Conv,
    size: [usize; 3],
    z: usize,
    x: &'a [f32],
    center: f32,
    pooled: Pooled<'a>,
    windows: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Kernel for Maxima<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let [_, height, width] = self.conv.input.size;
        let [_, rows, columns] = self.size;
        assert!(self.windows.len() >= columns * 64 && self.sums.len() == LANES * WINDOWS);
        for y in 0..rows {
            // The 4 x 4 x 4 voxels under each window of the row, side by side.
            for (k, window) in self.windows.chunks_exact_mut(64).take(columns).enumerate() {
                for line in 0..16 {
                    let at = ((2 * self.z + line / 4) * height + 2 * y + line % 4) * width + 2 * k;
                    let x = &self.x[at..at + 4];
                    let to = &mut window[4 * line..4 * line + 4];
                    for n in 0..4 {
                        to[n] = x[n] - self.center;
                    }
                }
            }
            for k in 0..columns {
                let at = (y * columns + k) * LANES;
                let taps = &self.pooled.taps[at..at + LANES];
                let gradient = &self.pooled.gradient[at..at + LANES];
                // SAFETY: slices are sixteen long; windows hold 64 floats, and a tap is one of eight, so that the
                // sums lie within their channel's; the caller vouches for the instructions.
                unsafe {
                    let zero = V::splat(0.0);
                    let window = self.windows.as_ptr().add(k * 64);
                    let mut voxels = [zero; 4];
                    for n in 0..4 {
                        voxels[n] = V::load(window.add(n * LANES));
                    }
                    let open = V::load(self.pooled.y[at..at + LANES].as_ptr()).greater(zero);
                    let mut open = V::bits(open);
                    while open != 0 {
                        let lane = open.trailing_zeros() as usize;
                        open &= open - 1;
                        let tap = usize::from(*taps.get_unchecked(lane)) % 8;
                        let g = V::splat(*gradient.get_unchecked(lane));
                        let to = self.sums.as_mut_ptr().add(lane * WINDOWS + tap * 64);
                        for n in 0..4 {
                            let to = to.add(n * LANES);
                            voxels[n].mul_add(g, V::load(to)).store(to);
                        }
                    }
                }
            }
        }
    }
}

/// The value of a convolution at one position.
pub(crate) fn value(conv: &Conv, x: &[f32], weights: &[f32], bias: f32, [i, j, k]: [usize; 3]) -> f64 {
    let [_, height, width] = conv.input.size;
    let taps = weights.iter().enumerate().map(|(tap, &w)| {
        let at = ((i + tap / 9) * height + j + tap / 3 % 3) * width + k + tap % 3;
        f64::from(w) * f64::from(x[at])
    });
    taps.sum::<f64>() + f64::from(bias)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::super::shape::{Volume, Window};
    use super::*;
    use crate::InstructionSet;
    use voxplain_core::random::Seed;

    /// A convolution of one channel on a small volume whose rows are longer than a register.
    fn conv() -> Conv {
        let window = Window { kernel: [3; 3], stride: [1; 3], padding: [0; 3], dilation: [1; 3] };
        let input = Volume { layout: Layout::Planar, channels: 1, size: [6, 5, 21] };
        Conv { input, output: Volume::blocked(20, [4, 3, 19]), window }
    }

    #[allow(clippy::cast_possible_truncation, reason = "volumes are f32")]
    fn volumes(conv: &Conv, batch: usize, mean: f64) -> Vec<f32> {
        let mut random = Seed::new(4).random();
        (0..batch * conv.input.len()).map(|_| (mean + random.normal()) as f32).collect()
    }

    /// Runs `work` on every instruction set of the machine.
    fn everywhere(conv: &Conv, work: impl Fn(Cpu<'_>)) {
        let mut scratch = Scratch::new(1);
        scratch.reserve(scratch_len(conv));
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            if let Ok(isa) = super::super::lanes::Isa::choose(Some(set)) {
                work(Cpu { isa, scratch: &scratch });
            }
        }
    }

    /// The patch at one position of one sample.
    fn patch(conv: &Conv, x: &[f32], sample: usize, [i, j, k]: [usize; 3]) -> [f64; TAPS] {
        let [_, height, width] = conv.input.size;
        std::array::from_fn(|tap| {
            let at = ((i + tap / 9) * height + j + tap / 3 % 3) * width + k + tap % 3;
            f64::from(x[sample * conv.input.len() + at])
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    #[test]
    fn mean_and_covariance_are_those_of_all_patches() {
        let conv = conv();
        // A mean a thousand times the deviation, as of raw scanner units, must not drown the covariance.
        for mean in [0.0, 1000.0] {
            let x = volumes(&conv, 3, mean);
            let [depth, rows, columns] = conv.output.size;
            let positions: Vec<_> = (0..3 * depth * rows * columns)
                .map(|n| {
                    let at = [n / (rows * columns) % depth, n / columns % rows, n % columns];
                    patch(&conv, &x, n / (depth * rows * columns), at)
                })
                .collect();
            let count = positions.len() as f64;
            let means: [f64; TAPS] = std::array::from_fn(|t| positions.iter().map(|p| p[t]).sum::<f64>() / count);
            let weights: Vec<f32> = (0..TAPS).map(|t| (t as f32 * 0.7).sin()).collect();
            everywhere(&conv, |cpu| {
                let mut patches = Patches::default();
                patches.measure(cpu, &conv, 3, &x);
                let scale = 1e-5;
                for a in 0..TAPS {
                    assert!((patches.mean[a] + f64::from(patches.center) - means[a]).abs() < scale * (1.0 + mean));
                    for b in 0..TAPS {
                        let slow = positions.iter().map(|p| (p[a] - means[a]) * (p[b] - means[b])).sum::<f64>() / count;
                        assert!((patches.covariance[a][b] - slow).abs() < scale, "{a} {b}");
                    }
                }
                // By the outputs themselves.
                let outputs: Vec<f64> =
                    positions.iter().map(|p| p.iter().zip(&weights).map(|(p, &w)| p * f64::from(w)).sum()).collect();
                let of_outputs = outputs.iter().sum::<f64>() / count;
                let variance = outputs.iter().map(|y| (y - of_outputs).powi(2)).sum::<f64>() / count;
                assert!((patches.mean_of(&weights) - of_outputs).abs() < scale * (1.0 + mean));
                assert!((patches.variance_of(&weights) / variance - 1.0).abs() < 1e-4);
            });
        }
    }

    #[test]
    fn maxima_are_correlated_with_their_patches() {
        let conv = conv();
        let (batch, blocks, size) = (2, conv.output.blocks(), conv.output.size.map(|s| s / 2));
        let x = volumes(&conv, batch, 5.0);
        let len = batch * blocks * size.iter().product::<usize>() * LANES;
        let mut random = Seed::new(7).random();
        #[allow(clippy::cast_possible_truncation, reason = "volumes are f32")]
        let mut draw = || random.normal() as f32;
        let (gradient, y): (Vec<f32>, Vec<f32>) = (0..len).map(|_| (draw(), draw())).unzip();
        let taps: Vec<u8> = (0..len).map(|n| u8::try_from(n * 7 % 8).unwrap()).collect();
        everywhere(&conv, |cpu| {
            let mut patches = Patches::default();
            patches.measure(cpu, &conv, batch, &x);
            let mut sums = vec![f32::NAN; correlation_len(&conv)];
            let pooled = Pooled { gradient: &gradient, y: &y, taps: &taps };
            let mut channels = 0;
            patches.correlate(cpu, &conv, (batch, &x), pooled, &mut sums, |channel, found| {
                channels += 1;
                let mut slow = [0.0; TAPS];
                for n in 0..batch * size.iter().product::<usize>() {
                    let voxels = size.iter().product::<usize>();
                    let (sample, voxel) = (n / voxels, n % voxels);
                    let at = ((sample * blocks + channel / LANES) * voxels + voxel) * LANES + channel % LANES;
                    if y[at] <= 0.0 {
                        continue;
                    }
                    let tap = usize::from(taps[at]);
                    let [i, j, k] = [voxel / (size[1] * size[2]), voxel / size[2] % size[1], voxel % size[2]];
                    let position = [2 * i + tap / 4, 2 * j + tap / 2 % 2, 2 * k + tap % 2];
                    let patch = patch(&conv, &x, sample, position);
                    for (sum, value) in slow.iter_mut().zip(patch) {
                        *sum += f64::from(gradient[at]) * (value - f64::from(patches.center));
                    }
                }
                for (found, slow) in found.iter().zip(slow) {
                    assert!((found - slow).abs() < 1e-4, "channel {channel}: {found} {slow}");
                }
            });
            assert_eq!(channels, 20);
        });
    }
}
