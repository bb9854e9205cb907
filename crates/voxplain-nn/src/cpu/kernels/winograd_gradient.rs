//! Gradients of weights in Winograd's domain: `dg = G^T [ (B^T d B) (A dy A^T) ] G`, summed over tiles.
//!
//! The 64 points fall into four slices by their index along `i`, and a slice can be transformed by itself at no extra
//! arithmetic: only the loads are repeated. A task takes one slice of a fixed part of the batch's tiles, some dozens at a
//! time, through both transforms into scratch that stays in its core's cache, and adds their products to sums of
//! its own:
//!
//! ```text
//! x  --B^T d B, slice e--> v [16][tile][in]  --+
//!                                              +--> u [part][16 e + point][in][out] += v^T w
//! dy --A dy A^T, slice e-> w [16][tile][out] --+
//! ```
//!
//! The parts are fixed, and so is the order of tiles within them: sums do not depend on threads.

use super::buffer::{Shared, parallel};
use super::lanes::{Kernel, Lanes, dispatch};
use super::scratch::Cpu;
use super::shape::{Conv, LANES};
use super::winograd::{POINTS, Place, SLICE, Tiles, fits};

/// Tiles that are transformed before they are multiplied.
const TILES: usize = 64;
/// Parts of the batch's tiles with sums of their own.
const PARTS: usize = 4;

fn parts(conv: &Conv, batch: usize) -> usize {
    (batch * tiles(conv).iter().product::<usize>()).div_ceil(TILES).min(PARTS)
}

fn tiles(conv: &Conv) -> [usize; 3] {
    conv.output.size.map(|s| s.div_ceil(2))
}

/// Channels in whole blocks, in and out.
fn widths(conv: &Conv) -> [usize; 2] {
    [conv.input.blocks() * LANES, conv.output.blocks() * LANES]
}

/// Floats of the parts' sums.
pub(crate) fn sums_len(conv: &Conv, batch: usize) -> usize {
    let [input, output] = widths(conv);
    parts(conv, batch) * POINTS * input * output
}

/// Floats of scratch per thread.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    widths(conv).iter().map(|&channels| SLICE * point_step(channels)).sum()
}

/// Distance between points: one cache line more than a power of two's multiple, lest all points of a tile fall on
/// the same sets of the caches.
fn point_step(channels: usize) -> usize {
    TILES * channels + LANES
}

/// Gradient of the weights, `[out][in][27]`; `sums` is of [`sums_len`] and holds anything.
pub(crate) fn weight_gradient(
    cpu: Cpu<'_>,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    gradient: &[f32],
    sums: &mut [f32],
    weights: &mut [f32],
) {
    assert!(fits(conv));
    let (input, output) = (conv.input, conv.output);
    assert!(x.len() >= batch * input.len() && gradient.len() >= batch * output.len());
    assert_eq!(weights.len(), input.channels * output.channels * 27);
    let [ins, outs] = widths(conv);
    let of_slice = SLICE * ins * outs;
    let parts = parts(conv, batch);
    let sums = &mut sums[..sums_len(conv, batch)];
    let all = batch * tiles(conv).iter().product::<usize>();
    let shared = Shared::new(sums);
    parallel(4 * parts, |task| {
        let (slice, part) = (task % 4, task / 4);
        // SAFETY: every task has its own slice of its own part.
        let u = unsafe { shared.piece(task * of_slice, of_slice) };
        let tiles = [all * part / parts, all * (part + 1) / parts];
        cpu.scratch.lend(scratch_len(conv), |scratch| {
            let (v, w) = scratch.split_at_mut(SLICE * point_step(ins));
            dispatch(cpu.isa, Slice { conv, x, gradient, slice, tiles, v, w, u });
        });
    });
    let sums = &*sums;
    let shared = Shared::new(weights);
    parallel(input.channels, |channel| {
        for block in 0..output.blocks() {
            let mut taps = [0f32; 27 * LANES];
            let at = channel * outs + block * LANES;
            dispatch(cpu.isa, Finish { sums, parts, step: ins * outs, at, taps: &mut taps });
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

/// One slice of some tiles of the batch.
struct Slice<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    gradient: &'a [f32],
    slice: usize,
    /// First and one past the last.
    tiles: [usize; 2],
    v: &'a mut [f32],
    w: &'a mut [f32],
    u: &'a mut [f32],
}

/// `A dy` along one axis.
#[inline(always)]
unsafe fn spread<V: Lanes>(a: V, b: V) -> [V; 4] {
    // SAFETY: the caller vouches for the instructions.
    unsafe { [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)] }
}

impl Slice<'_> {
    /// Both transforms of one tile, into row `row` of `v` and `w`.
    #[inline(always)]
    unsafe fn transform<V: Lanes, const E: usize>(&mut self, tile: usize, row: usize, place: &mut Place) {
        let (input, output) = (self.conv.input, self.conv.output);
        let [ins, outs] = widths(self.conv);
        let [ti, tj, tk] = tiles(self.conv);
        let (sample, at) = (tile / (ti * tj * tk), tile % (ti * tj * tk));
        let at = [at / (tj * tk), at / tk % tj, at % tk];
        let tiles = Tiles { size: input.size, padding: self.conv.window.padding };
        tiles.find(at, place);
        // SAFETY: samples and blocks lie within `x` and `gradient`, whose sizes `weight_gradient` has checked, voxels
        // are checked here; `v` and `w` have room for `TILES` rows of every point.
        unsafe {
            for block in 0..input.blocks() {
                let x = self.x.as_ptr().add(sample * input.len() + block * input.voxels() * LANES);
                let v = self.v.as_mut_ptr().add(row * ins + block * LANES);
                tiles.transform_slice::<V, E>(x, place, v, point_step(ins));
            }
            let zero = V::splat(0.0);
            let [i, j, k] = [2 * at[0], 2 * at[1], 2 * at[2]];
            let (slab, line) = (output.size[1] * output.size[2] * LANES, output.size[2] * LANES);
            let within = [i + 1 < output.size[0], j + 1 < output.size[1], k + 1 < output.size[2]];
            for block in 0..output.blocks() {
                let g = self.gradient.as_ptr().add(sample * output.len() + block * output.voxels() * LANES);
                let g = g.add(i * slab + j * line + k * LANES);
                let mut rows = [[zero; 4]; 2];
                for b in 0..2 {
                    let mut d = [zero; 2];
                    for c in 0..2 {
                        if (b == 1 && !within[1]) || (c == 1 && !within[2]) {
                            continue;
                        }
                        let g = g.add(b * line + c * LANES);
                        let first = if E < 3 { V::load(g) } else { zero };
                        let second = if E > 0 && within[0] { V::load(g.add(slab)) } else { zero };
                        d[c] = if E == 1 { first.add(second) } else { first.sub(second) };
                    }
                    rows[b] = spread(d[0], d[1]);
                }
                let w = self.w.as_mut_ptr().add(row * outs + block * LANES);
                for q in 0..4 {
                    let m = spread(rows[0][q], rows[1][q]);
                    for e in 0..4 {
                        m[e].store(w.add((e * 4 + q) * point_step(outs)));
                    }
                }
            }
        }
    }

    /// `u[in][out] (+)= sum over tiles of v[tile][in] w[tile][out]` at one point, for `I` input channels by `B` blocks of
    /// output channels.
    #[inline(always)]
    unsafe fn multiply<V: Lanes, const I: usize, const B: usize>(
        &mut self,
        (point, count, more): (usize, usize, bool),
        i: usize,
        block: usize,
    ) {
        let [ins, outs] = widths(self.conv);
        // SAFETY: `run` keeps channels and blocks within their widths and `count` within `TILES`.
        unsafe {
            let v = self.v.as_ptr().add(point * point_step(ins) + i);
            let w = self.w.as_ptr().add(point * point_step(outs) + block * LANES);
            let u = self.u.as_mut_ptr().add((point * ins + i) * outs + block * LANES);
            let mut sum = [[V::splat(0.0); I]; B];
            if more {
                for b in 0..B {
                    for c in 0..I {
                        sum[b][c] = V::load(u.add(c * outs + b * LANES));
                    }
                }
            }
            for t in 0..count {
                let mut g = [V::splat(0.0); B];
                for b in 0..B {
                    g[b] = V::load(w.add(t * outs + b * LANES));
                }
                for c in 0..I {
                    let value = V::splat(*v.add(t * ins + c));
                    for b in 0..B {
                        sum[b][c] = value.mul_add(g[b], sum[b][c]);
                    }
                }
            }
            for b in 0..B {
                for c in 0..I {
                    sum[b][c].store(u.add(c * outs + b * LANES));
                }
            }
        }
    }
}

impl Kernel for Slice<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let [ins, outs] = widths(self.conv);
        assert!(self.v.len() >= SLICE * point_step(ins) && self.w.len() >= SLICE * point_step(outs));
        assert!(self.u.len() == SLICE * ins * outs);
        let blocks = outs / LANES;
        let mut place = Place::new();
        for first in (self.tiles[0]..self.tiles[1]).step_by(TILES) {
            let count = TILES.min(self.tiles[1] - first);
            // SAFETY: rows, channels and blocks lie within scratch and sums by the assertions; the caller vouches for
            // the instructions.
            unsafe {
                for row in 0..count {
                    match self.slice {
                        0 => self.transform::<V, 0>(first + row, row, &mut place),
                        1 => self.transform::<V, 1>(first + row, row, &mut place),
                        2 => self.transform::<V, 2>(first + row, row, &mut place),
                        _ => self.transform::<V, 3>(first + row, row, &mut place),
                    }
                }
                for point in 0..SLICE {
                    let what = (point, count, first > self.tiles[0]);
                    let mut block = 0;
                    while block < blocks {
                        if V::BLOCKS == 2 && block + 1 < blocks {
                            for i in (0..ins).step_by(8) {
                                self.multiply::<V, 8, 2>(what, i, block);
                            }
                            block += 2;
                        } else {
                            for i in (0..ins).step_by(4) {
                                self.multiply::<V, 4, 1>(what, i, block);
                            }
                            block += 1;
                        }
                    }
                }
            }
        }
    }
}

/// `G^T u G` along all axes, for one input channel and sixteen output channels; `u` is the sum of the parts'.
struct Finish<'a> {
    sums: &'a [f32],
    parts: usize,
    /// From point to point.
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
        assert!(self.sums.len() >= (self.parts * POINTS - 1) * self.step + self.at + LANES);
        // SAFETY: all points of all parts lie within the sums by the assertion; the caller vouches for the
        // instructions.
        unsafe {
            let zero = V::splat(0.0);
            let mut b = [zero; 48];
            for q in 0..16 {
                let mut u = [zero; 4];
                for c in 0..4 {
                    for part in 0..self.parts {
                        let at = (part * POINTS + q * 4 + c) * self.step + self.at;
                        u[c] = u[c].add(V::load(self.sums.as_ptr().add(at)));
                    }
                }
                let p = tap_points(u);
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
