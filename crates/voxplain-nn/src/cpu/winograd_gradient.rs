//! Gradients of weights in Winograd's domain: `dg = G^T [ (B^T d B) (A dy A^T) ] G`, summed over tiles.
//!
//! Tiles of the whole batch are taken some hundreds at a time: first all threads transform inputs and gradients to
//! `v [64][tile][in]` and `w [64][tile][out]`, then each of the 64 points is a product of two matrices,
//! `u[in][out] += v^T w`, which one thread sums in the order of the tiles. So sums do not depend on threads.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::shape::{Conv, LANES};
use super::winograd::{POINTS, Tiles, fits};

/// Most tiles that are transformed before they are multiplied.
const TILES: usize = 256;
/// Tiles whose rows of `v` and `w` stay in the first-level cache while all sums take them.
const CACHED: usize = 48;
/// Tiles of one task of the transforms.
const TASK: usize = 8;

/// Floats of scratch.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    let (input, output) = (conv.input.blocks() * LANES, conv.output.blocks() * LANES);
    POINTS * (point_step(input) + point_step(output) + input * output)
}

/// Distance between points: one cache line more than a power of two's multiple, lest all 64 points of a tile fall on
/// the same sets of the caches.
fn point_step(channels: usize) -> usize {
    TILES * channels + LANES
}

/// Gradient of the weights, `[out][in][27]`.
pub(crate) fn weight_gradient(
    isa: Isa,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    gradient: &[f32],
    scratch: &mut [f32],
    weights: &mut [f32],
) {
    assert!(fits(conv));
    let (input, output) = (conv.input, conv.output);
    assert!(x.len() >= batch * input.len() && gradient.len() >= batch * output.len());
    assert_eq!(weights.len(), input.channels * output.channels * 27);
    let (channels, outs) = (input.blocks() * LANES, output.blocks() * LANES);
    let (v, rest) = scratch[..scratch_len(conv)].split_at_mut(POINTS * point_step(channels));
    let (w, u) = rest.split_at_mut(POINTS * point_step(outs));
    u.fill(0.0);
    let tiles = output.size.map(|s| s.div_ceil(2));
    let of_sample: usize = tiles.iter().product();
    let all = batch * of_sample;
    for first in (0..all).step_by(TILES) {
        let count = TILES.min(all - first);
        let (shared_v, shared_w) = (Shared::new(v), Shared::new(w));
        parallel(count.div_ceil(TASK), |task| {
            for tile in task * TASK..count.min((task + 1) * TASK) {
                let (sample, at) = ((first + tile) / of_sample, (first + tile) % of_sample);
                let at = [at / (tiles[1] * tiles[2]), at / tiles[2] % tiles[1], at % tiles[2]];
                let x = &x[sample * input.len()..][..input.len()];
                let gradient = &gradient[sample * output.len()..][..output.len()];
                dispatch(isa, Transform { conv, x, gradient, tile, at, v: &shared_v, w: &shared_w });
            }
        });
        let shared = Shared::new(u);
        let (v, w) = (&*v, &*w);
        parallel(POINTS, |point| {
            // SAFETY: every task has its own point.
            let u = unsafe { shared.piece(point * channels * outs, channels * outs) };
            let (v, w) = (&v[point * point_step(channels)..], &w[point * point_step(outs)..]);
            dispatch(isa, Multiply { count, channels, outs, v: &v[..count * channels], w: &w[..count * outs], u });
        });
    }
    let u = &*u;
    let shared = Shared::new(weights);
    parallel(input.channels, |channel| {
        for block in 0..output.blocks() {
            let mut taps = [0f32; 27 * LANES];
            dispatch(isa, Finish { u, step: channels * outs, at: channel * outs + block * LANES, taps: &mut taps });
            for lane in 0..LANES.min(output.channels - block * LANES) {
                // SAFETY: every task has its own input channel.
                let to = unsafe { shared.piece(((block * LANES + lane) * input.channels + channel) * 27, 27) };
                for (tap, to) in to.iter_mut().enumerate() {
                    *to = taps[tap * LANES + lane];
                }
            }
        }
    });
}

/// Both transforms of one tile.
struct Transform<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    gradient: &'a [f32],
    tile: usize,
    at: [usize; 3],
    v: &'a Shared<'a, f32>,
    w: &'a Shared<'a, f32>,
}

/// `A dy` along one axis.
#[inline(always)]
unsafe fn spread<V: Lanes>(a: V, b: V) -> [V; 4] {
    // SAFETY: the caller vouches for the instructions.
    unsafe { [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)] }
}

impl Kernel for Transform<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (input, output) = (self.conv.input, self.conv.output);
        let (channels, outs) = (input.blocks() * LANES, output.blocks() * LANES);
        let tiles = Tiles { size: input.size, padding: self.conv.window.padding };
        // SAFETY: each tile has its own rows of `v` and `w`, within the scratch of `scratch_len`; blocks lie within
        // the samples, voxels are checked.
        unsafe {
            for block in 0..input.blocks() {
                let mut points = [0f32; POINTS * LANES];
                tiles.transform::<V>(
                    self.x.as_ptr().add(block * input.voxels() * LANES),
                    self.at,
                    points.as_mut_ptr(),
                    LANES,
                );
                for point in 0..POINTS {
                    let to = self.v.piece(point * point_step(channels) + self.tile * channels + block * LANES, LANES);
                    V::load(points.as_ptr().add(point * LANES)).store(to.as_mut_ptr());
                }
            }
            let zero = V::splat(0.0);
            for block in 0..output.blocks() {
                let g = self.gradient.as_ptr().add(block * output.voxels() * LANES);
                let mut e = [[zero; 16]; 2];
                for a in 0..2 {
                    let mut r = [[zero; 4]; 2];
                    for b in 0..2 {
                        let [i, j] = [2 * self.at[0] + a, 2 * self.at[1] + b];
                        let mut d = [zero; 2];
                        for c in 0..2 {
                            let k = 2 * self.at[2] + c;
                            if i < output.size[0] && j < output.size[1] && k < output.size[2] {
                                d[c] = V::load(g.add(((i * output.size[1] + j) * output.size[2] + k) * LANES));
                            }
                        }
                        r[b] = spread(d[0], d[1]);
                    }
                    for q in 0..4 {
                        let m = spread(r[0][q], r[1][q]);
                        for k in 0..4 {
                            e[a][k * 4 + q] = m[k];
                        }
                    }
                }
                for q in 0..16 {
                    let m = spread(e[0][q], e[1][q]);
                    for k in 0..4 {
                        let to =
                            self.w.piece((k * 16 + q) * point_step(outs) + self.tile * outs + block * LANES, LANES);
                        m[k].store(to.as_mut_ptr());
                    }
                }
            }
        }
    }
}

/// `u[in][out] += sum over tiles of v[tile][in] w[tile][out]`.
struct Multiply<'a> {
    count: usize,
    channels: usize,
    outs: usize,
    v: &'a [f32],
    w: &'a [f32],
    u: &'a mut [f32],
}

impl Multiply<'_> {
    /// `I` input channels by `B` blocks of output channels.
    #[inline(always)]
    unsafe fn tile<V: Lanes, const I: usize, const B: usize>(&mut self, tiles: [usize; 2], i: usize, block: usize) {
        // SAFETY: `run` keeps rows and blocks within the matrices, whose sizes it has checked.
        unsafe {
            let mut sum = [[V::splat(0.0); I]; B];
            let v = self.v.as_ptr().add(i);
            let w = self.w.as_ptr().add(block * LANES);
            for t in tiles[0]..tiles[1] {
                let mut g = [V::splat(0.0); B];
                for b in 0..B {
                    g[b] = V::load(w.add(t * self.outs + b * LANES));
                }
                for c in 0..I {
                    let value = V::splat(*v.add(t * self.channels + c));
                    for b in 0..B {
                        sum[b][c] = value.mul_add(g[b], sum[b][c]);
                    }
                }
            }
            for b in 0..B {
                for c in 0..I {
                    let u = self.u.as_mut_ptr().add((i + c) * self.outs + (block + b) * LANES);
                    V::load(u).add(sum[b][c]).store(u);
                }
            }
        }
    }
}

impl Kernel for Multiply<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        assert!(self.v.len() == self.count * self.channels && self.w.len() == self.count * self.outs);
        assert!(self.u.len() == self.channels * self.outs);
        let blocks = self.outs / LANES;
        // SAFETY: channels and outputs are whole blocks, all within the matrices.
        unsafe {
            for first in (0..self.count).step_by(CACHED) {
                let tiles = [first, self.count.min(first + CACHED)];
                let mut block = 0;
                while block < blocks {
                    if V::BLOCKS == 2 && block + 1 < blocks {
                        for i in (0..self.channels).step_by(8) {
                            self.tile::<V, 8, 2>(tiles, i, block);
                        }
                        block += 2;
                    } else {
                        for i in (0..self.channels).step_by(4) {
                            self.tile::<V, 4, 1>(tiles, i, block);
                        }
                        block += 1;
                    }
                }
            }
        }
    }
}

/// `G^T u G` along all axes, for one input channel and sixteen output channels.
struct Finish<'a> {
    u: &'a [f32],
    step: usize,
    at: usize,
    taps: &'a mut [f32; 27 * LANES],
}

/// `G^T u` along one axis.
#[inline(always)]
unsafe fn tap_points<V: Lanes>(d: [V; 4]) -> [V; 3] {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let half = V::splat(0.5);
        let (sum, difference) = (d[1].add(d[2]).mul(half), d[1].sub(d[2]).mul(half));
        [d[0].add(sum), difference, sum.add(d[3])]
    }
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        assert!(self.u.len() >= (POINTS - 1) * self.step + self.at + LANES);
        // SAFETY: all points lie within `u` by the assertion; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            let at = |point: usize| self.u.as_ptr().add(point * self.step + self.at);
            let mut b = [zero; 48];
            for q in 0..16 {
                let p = tap_points([
                    V::load(at(q * 4)),
                    V::load(at(q * 4 + 1)),
                    V::load(at(q * 4 + 2)),
                    V::load(at(q * 4 + 3)),
                ]);
                b[q * 3..q * 3 + 3].copy_from_slice(&p);
            }
            let mut c = [zero; 36];
            for i in 0..4 {
                for k in 0..3 {
                    let row = |j: usize| b[(i * 4 + j) * 3 + k];
                    let p = tap_points([row(0), row(1), row(2), row(3)]);
                    for (j, p) in p.into_iter().enumerate() {
                        c[(i * 3 + j) * 3 + k] = p;
                    }
                }
            }
            for q in 0..9 {
                for (i, p) in tap_points([c[q], c[9 + q], c[18 + q], c[27 + q]]).into_iter().enumerate() {
                    p.store(self.taps.as_mut_ptr().add((i * 9 + q) * LANES));
                }
            }
        }
    }
}
