//! Convolutions of 3 x 3 x 3 by Winograd's F(2, 3) on all three axes (Winograd 1980; Lavin and Gray 2016): tiles of
//! 4 x 4 x 4 inputs give 2 x 2 x 2 outputs with 64 multiplications per pair of channels instead of 216.
//!
//! Along one axis, with `d` the input, `g` the taps and `y` the output:
//!
//! ```text
//! v = (d0 - d2, d1 + d2, d2 - d1, d1 - d3)          input   B^T d
//! u = (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2)    weights G g
//! y = (m0 + m1 + m2, m1 - m2 - m3),  m = u v        output  A^T m
//! ```
//!
//! A task takes up to 26 tiles of one sample through three stages, in scratch that stays in its core's cache:
//!
//! ```text
//! x [c/16][i][j][k][16] --B^T d B--> v [64][tile][c] --64 products--> m [64][tile][32] --A^T m A--> bias, ReLU,
//!                                    u [64][o/16][c][16] ----^        for 2 blocks at a time       pool --> out
//! ```
//!
//! The output tile is the window of a 2 x 2 x 2 max-pool, so a pooled block never writes its un-pooled activation.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::scratch::Cpu;
use super::shape::{Conv, LANES, Layout};

/// Products per tile and pair of channels.
pub(super) const POINTS: usize = 64;
/// Rows of the largest register tile.
const ROWS: usize = 13;
/// Most tiles of a task.
const TILES: usize = 2 * ROWS;

/// Whether the transforms can take this convolution.
pub(crate) fn fits(conv: &Conv) -> bool {
    let window = &conv.window;
    conv.input.layout == Layout::Blocked
        && window.kernel == [3; 3]
        && window.is_dense()
        && window.padding.iter().all(|&p| p <= 2)
        && conv.input.channels >= LANES
        && conv.output.channels >= LANES
}

/// The convolution of the backward pass: the same transforms, in and out exchanged.
pub(crate) fn backward(conv: &Conv) -> Conv {
    let mut window = conv.window;
    window.padding = window.padding.map(|p| 2 - p);
    Conv { input: conv.output, output: conv.input, window }
}

/// Floats of transformed weights.
pub(crate) fn packed_len(conv: &Conv) -> usize {
    POINTS * conv.output.blocks() * conv.input.blocks() * LANES * LANES
}

/// Floats of scratch per thread.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    POINTS * (point_step(conv.input.blocks() * LANES) + point_step(2 * LANES))
}

/// Distance between the points of a task: one cache line more than a power of two's multiple, lest all 64 points of
/// a tile fall on the same few sets of the first-level cache.
fn point_step(channels: usize) -> usize {
    TILES * channels + LANES
}

/// Transforms weights `[out][in][27]`, each output channel times its scale, to `[64][out / 16][in][16]`. With
/// `reversed` they are those of [`backward`]: `[in][out][27]` with taps in reverse, and the scale is that of `in`.
pub(crate) fn pack(isa: Isa, conv: &Conv, weights: &[f32], scale: Option<&[f32]>, reversed: bool, packed: &mut [f32]) {
    let (input, output) = (conv.input, conv.output);
    assert_eq!(weights.len(), input.channels * output.channels * 27);
    assert_eq!(packed.len(), packed_len(conv));
    let width = input.blocks() * LANES;
    let shared = Shared::new(packed);
    parallel(output.blocks() * input.blocks(), |task| {
        let (block, inner) = (task % output.blocks(), task / output.blocks());
        for i in inner * LANES..(inner + 1) * LANES {
            let mut taps = [0f32; 27 * LANES];
            if i < input.channels {
                for lane in 0..LANES.min(output.channels - block * LANES) {
                    let o = block * LANES + lane;
                    let (at, factor) = if reversed {
                        ((i * output.channels + o) * 27, scale.map_or(1.0, |s| s[i]))
                    } else {
                        ((o * input.channels + i) * 27, scale.map_or(1.0, |s| s[o]))
                    };
                    for (tap, w) in weights[at..at + 27].iter().enumerate() {
                        taps[if reversed { 26 - tap } else { tap } * LANES + lane] = w * factor;
                    }
                }
            }
            let mut points = [0f32; POINTS * LANES];
            dispatch(isa, Weights { taps: &taps, points: &mut points });
            for (point, values) in points.chunks_exact(LANES).enumerate() {
                // SAFETY: every task has its own block and input channels.
                let to = unsafe { shared.piece(((point * output.blocks() + block) * width + i) * LANES, LANES) };
                to.copy_from_slice(values);
            }
        }
    });
}

/// `G g` along all axes, for sixteen output channels.
struct Weights<'a> {
    taps: &'a [f32; 27 * LANES],
    points: &'a mut [f32; POINTS * LANES],
}

/// Along one axis.
#[inline(always)]
unsafe fn weight_points<V: Lanes>(g: [V; 3]) -> [V; 4] {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let half = V::splat(0.5);
        let ends = g[0].add(g[2]);
        [g[0], ends.add(g[1]).mul(half), ends.sub(g[1]).mul(half), g[2]]
    }
}

impl Kernel for Weights<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: the arrays have the sizes that are indexed; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            let mut a = [zero; 27];
            for (tap, a) in a.iter_mut().enumerate() {
                *a = V::load(self.taps.as_ptr().add(tap * LANES));
            }
            let mut b = [zero; 36];
            for r in 0..9 {
                b[r * 4..r * 4 + 4].copy_from_slice(&weight_points([a[r * 3], a[r * 3 + 1], a[r * 3 + 2]]));
            }
            let mut c = [zero; 48];
            for i in 0..3 {
                for q in 0..4 {
                    let p = weight_points([b[i * 12 + q], b[i * 12 + 4 + q], b[i * 12 + 8 + q]]);
                    for (e, p) in p.into_iter().enumerate() {
                        c[i * 16 + e * 4 + q] = p;
                    }
                }
            }
            for q in 0..16 {
                for (e, p) in weight_points([c[q], c[16 + q], c[32 + q]]).into_iter().enumerate() {
                    p.store(self.points.as_mut_ptr().add((e * 16 + q) * LANES));
                }
            }
        }
    }
}

/// What happens to a tile's outputs.
#[derive(Debug)]
pub(crate) enum Finish<'a> {
    /// Bias is added, and negative values cut off if asked for.
    Store {
        /// Whether to cut off.
        relu: bool,
    },
    /// Bias, ReLU and the largest of the tile; where it was, if asked for: 0 to 7 in C order, and 0 when the ReLU
    /// cut all off (the first of equals).
    Pool {
        /// One byte per pooled value.
        taps: Option<&'a mut [u8]>,
    },
}

/// Convolves a batch; `bias` is `[out padded to 16]`.
pub(crate) fn forward(
    cpu: Cpu<'_>,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    (weights, bias): (&[f32], &[f32]),
    finish: Finish<'_>,

    out: &mut [f32],
) {
    assert!(fits(conv));
    let (input, output) = (conv.input, conv.output);
    for axis in 0..3 {
        assert_eq!(input.size[axis] + 2 * conv.window.padding[axis], output.size[axis] + 2);
    }
    assert!(x.len() >= batch * input.len());
    assert_eq!(weights.len(), packed_len(conv));
    assert_eq!(bias.len(), output.blocks() * LANES);
    let (relu, pool, taps) = match finish {
        Finish::Store { relu } => (relu, false, None),
        Finish::Pool { taps } => (true, true, taps),
    };
    let tiles = if pool { output.size.map(|s| s / 2) } else { output.size.map(|s| s.div_ceil(2)) };
    let count: usize = tiles.iter().product();
    let of_out = if pool { count * output.blocks() * LANES } else { output.len() };
    assert!(out.len() >= batch * of_out);
    let taps = taps.map(|taps| {
        assert!(taps.len() >= batch * of_out);
        Shared::new(taps)
    });
    let out = Shared::new(out);
    // Few tasks are spread evenly over the threads; how tiles are grouped does not change their values.
    let mut tasks = count.div_ceil(TILES);
    let threads = rayon::current_num_threads();
    if tasks * batch < 4 * threads {
        while !(tasks * batch).is_multiple_of(threads) {
            tasks += 1;
        }
    }
    let chunk = count.div_ceil(tasks);
    let tasks = count.div_ceil(chunk);
    parallel(batch * tasks, |task| {
        let (sample, first) = (task / tasks, task % tasks * chunk);
        let x = &x[sample * input.len()..][..input.len()];
        cpu.scratch.lend(scratch_len(conv), |scratch| {
            let (v, m) = scratch.split_at_mut(POINTS * point_step(input.blocks() * LANES));
            let count = chunk.min(count - first);
            let work = Chunk {
                conv,
                x,
                weights,
                bias,
                relu,
                pool,
                tiles,
                first,
                count,
                start: sample * of_out,
                v,
                m,
                out: &out,
                taps: taps.as_ref(),
            };
            dispatch(cpu.isa, work);
        });
    });
}

/// Some tiles of one sample.
struct Chunk<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    relu: bool,
    pool: bool,
    tiles: [usize; 3],
    first: usize,
    count: usize,
    /// Where the sample starts in `out`.
    start: usize,
    v: &'a mut [f32],
    m: &'a mut [f32],
    out: &'a Shared<'a, f32>,
    taps: Option<&'a Shared<'a, u8>>,
}

/// `B^T d` along one axis.
#[inline(always)]
pub(super) unsafe fn input_points<V: Lanes>(d: [V; 4]) -> [V; 4] {
    // SAFETY: the caller vouches for the instructions.
    unsafe { [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])] }
}

/// `A^T m` along one axis.
#[inline(always)]
pub(super) unsafe fn output_points<V: Lanes>(m: [V; 4]) -> [V; 2] {
    // SAFETY: the caller vouches for the instructions.
    unsafe { [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])] }
}

/// The sixteen points of a 4 x 4 x 4 tile whose index along `i` is `E`; they go to `v + p * step`. Slice by slice all that
/// is on the way fits in registers.
#[inline(always)]
unsafe fn transform_slice<V: Lanes, const E: usize>(x: *const f32, slab: usize, row: usize, v: *mut f32, step: usize) {
    // SAFETY: the caller gives a tile within the input and room for 16 points.
    unsafe {
        let zero = V::splat(0.0);
        let mut p = [[zero; 4]; 4];
        for j in 0..4 {
            let mut d = [zero; 4];
            for k in 0..4 {
                let x = x.add(j * row + k * LANES);
                d[k] = match E {
                    0 => V::load(x).sub(V::load(x.add(2 * slab))),
                    1 => V::load(x.add(slab)).add(V::load(x.add(2 * slab))),
                    2 => V::load(x.add(2 * slab)).sub(V::load(x.add(slab))),
                    _ => V::load(x.add(slab)).sub(V::load(x.add(3 * slab))),
                };
            }
            p[j] = input_points(d);
        }
        for q in 0..4 {
            let c = input_points([p[0][q], p[1][q], p[2][q], p[3][q]]);
            for e in 0..4 {
                c[e].store(v.add((e * 4 + q) * step));
            }
        }
    }
}

/// Where a volume's block lies, for tiles that may reach beyond it.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    /// Voxels along `(i, j, k)`.
    pub(super) size: [usize; 3],
    /// Tile `(0, 0, 0)` begins so far before the volume.
    pub(super) padding: [usize; 3],
}

/// Room for a tile that reaches beyond its volume.
#[repr(align(64))]
pub(super) struct Tile([f32; POINTS * LANES]);

impl Tile {
    /// Zeros.
    pub(super) fn new() -> Self {
        Self([0.0; POINTS * LANES])
    }
}

impl Tiles {
    /// Transforms the tile at position `at` (in tiles); beyond the volume there are zeros.
    ///
    /// # Safety
    ///
    /// `x` is a block of a volume of this size; `v` has room for 64 points `step` apart.
    #[inline(always)]
    unsafe fn transform<V: Lanes>(&self, x: *const f32, at: [usize; 3], room: &mut Tile, v: *mut f32, step: usize) {
        // SAFETY: the tile is there, and `v` is as the caller says.
        unsafe {
            let (x, slab, row) = self.find::<V>(x, at, room);
            transform_slice::<V, 0>(x, slab, row, v, step);
            transform_slice::<V, 1>(x, slab, row, v.add(16 * step), step);
            transform_slice::<V, 2>(x, slab, row, v.add(32 * step), step);
            transform_slice::<V, 3>(x, slab, row, v.add(48 * step), step);
        }
    }

    /// Transforms the tile to the sixteen points whose index along `i` is `E`.
    ///
    /// # Safety
    ///
    /// As [`Tiles::transform`], for 16 points.
    #[inline(always)]
    pub(super) unsafe fn transform_slice<V: Lanes, const E: usize>(
        &self,
        x: *const f32,
        at: [usize; 3],
        room: &mut Tile,
        v: *mut f32,
        step: usize,
    ) {
        // SAFETY: the tile is there, and `v` is as the caller says.
        unsafe {
            let (x, slab, row) = self.find::<V>(x, at, room);
            transform_slice::<V, E>(x, slab, row, v, step);
        }
    }

    /// The tile, and the distances of its planes and rows: where it is when it lies inside the volume, else put
    /// together in `room`.
    ///
    /// # Safety
    ///
    /// `x` is a block of a volume of this size.
    #[inline(always)]
    unsafe fn find<V: Lanes>(&self, x: *const f32, at: [usize; 3], room: &mut Tile) -> (*const f32, usize, usize) {
        let (row, slab) = (self.size[2] * LANES, self.size[1] * self.size[2] * LANES);
        // Twice the tile's position is its first voxel, counted from the padding's start.
        let mut inside = true;
        for a in 0..3 {
            inside &= 2 * at[a] >= self.padding[a] && 2 * at[a] + 4 <= self.size[a] + self.padding[a];
        }
        // SAFETY: a tile inside the volume is read where it is, any other voxel by voxel after a check.
        unsafe {
            if inside {
                let [i, j, k] = [2 * at[0] - self.padding[0], 2 * at[1] - self.padding[1], 2 * at[2] - self.padding[2]];
                return (x.add(i * slab + j * row + k * LANES), slab, row);
            }
            let zero = V::splat(0.0);
            // First and one past the last of the tile's four that lie within the volume, along each axis.
            let mut span = [[0; 2]; 3];
            for a in 0..3 {
                let first = 2 * at[a];
                let end = (self.size[a] + self.padding[a]).saturating_sub(first).min(4);
                span[a] = [self.padding[a].saturating_sub(first).min(end), end];
            }
            for line in 0..16 {
                let [i, j] = [line / 4, line % 4];
                let here = i >= span[0][0] && i < span[0][1] && j >= span[1][0] && j < span[1][1];
                let to = room.0.as_mut_ptr().add(line * 4 * LANES);
                for k in 0..4 {
                    let mut value = zero;
                    if here && k >= span[2][0] && k < span[2][1] {
                        let [i, j, k] = [2 * at[0] + i, 2 * at[1] + j, 2 * at[2] + k];
                        let [i, j, k] = [i - self.padding[0], j - self.padding[1], k - self.padding[2]];
                        value = V::load(x.add(i * slab + j * row + k * LANES));
                    }
                    value.store(to.add(k * LANES));
                }
            }
            (room.0.as_ptr(), 16 * LANES, 4 * LANES)
        }
    }
}

/// `T` tiles times `B` blocks of output channels at one point: `m[t][b] = sum over c of v[t][c] u[b][c]`.
///
/// # Safety
///
/// `v` has `T` rows of `channels`, `u` `B` blocks of `channels` lanes, `m` room for `T` rows of 32.
#[inline(always)]
unsafe fn multiply<V: Lanes, const T: usize, const B: usize>(
    v: *const f32,
    channels: usize,
    u: *const f32,
    m: *mut f32,
) {
    // SAFETY: as the function's.
    unsafe {
        let mut sum = [[V::splat(0.0); T]; B];
        for c in 0..channels {
            let mut w = [V::splat(0.0); B];
            for b in 0..B {
                w[b] = V::load(u.add((b * channels + c) * LANES));
            }
            for t in 0..T {
                let value = V::splat(*v.add(t * channels + c));
                for b in 0..B {
                    sum[b][t] = value.mul_add(w[b], sum[b][t]);
                }
            }
        }
        for b in 0..B {
            for t in 0..T {
                sum[b][t].store(m.add(t * 2 * LANES + b * LANES));
            }
        }
    }
}

/// Rows `0..count` of one point, in register tiles.
#[inline(always)]
unsafe fn multiply_rows<V: Lanes, const B: usize>(
    count: usize,
    v: *const f32,
    channels: usize,
    u: *const f32,
    m: *mut f32,
) {
    let most = V::ROWS.min(ROWS);
    let size = count.div_ceil(count.div_ceil(most));
    let mut row = 0;
    while row < count {
        let rows = size.min(count - row);
        macro_rules! sizes {
            ($($t:literal)*) => {
                match rows {
                    // SAFETY: the caller gives `count` rows.
                    $($t if $t <= V::ROWS => unsafe {
                        multiply::<V, $t, B>(v.add(row * channels), channels, u, m.add(row * 2 * LANES));
                    },)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13);
        row += rows;
    }
}

/// The eight outputs of a tile, in C order; point `p` is read at `m + p * step`.
#[inline(always)]
unsafe fn finish_tile<V: Lanes>(m: *const f32, step: usize) -> [V; 8] {
    // SAFETY: the caller gives 64 points.
    unsafe {
        let mut out = [V::splat(0.0); 8];
        for i in 0..2 {
            let mut r = [[V::splat(0.0); 4]; 2];
            for k in 0..4 {
                let mut column = [V::splat(0.0); 4];
                for j in 0..4 {
                    let m = m.add((j * 4 + k) * step);
                    let at1 = V::load(m.add(16 * step));
                    let at2 = V::load(m.add(32 * step));
                    column[j] =
                        if i == 0 { V::load(m).add(at1).add(at2) } else { at1.sub(at2).sub(V::load(m.add(48 * step))) };
                }
                let c = output_points(column);
                r[0][k] = c[0];
                r[1][k] = c[1];
            }
            for j in 0..2 {
                let c = output_points(r[j]);
                out[i * 4 + j * 2] = c[0];
                out[i * 4 + j * 2 + 1] = c[1];
            }
        }
        out
    }
}

/// The largest of eight values plus bias, cut off at zero, and which it was (0 when cut off), as whole numbers.
///
/// # Safety
///
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn pool_eight<V: Lanes>(values: [V; 8], bias: V) -> (V, V) {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let zero = V::splat(0.0);
        let (mut max, mut which) = (values[0], zero);
        let mut index = zero;
        let one = V::splat(1.0);
        for value in &values[1..] {
            index = index.add(one);
            let larger = value.greater(max);
            max = V::select(larger, *value, max);
            which = V::select(larger, index, which);
        }
        let max = max.add(bias);
        (zero.max(max), V::select(max.greater(zero), which, zero))
    }
}

impl Chunk<'_> {
    #[inline(always)]
    unsafe fn transform_input<V: Lanes>(&mut self) {
        let input = self.conv.input;
        let channels = input.blocks() * LANES;
        let tiles = Tiles { size: input.size, padding: self.conv.window.padding };
        let mut room = Tile::new();
        for tile in 0..self.count {
            let at = self.position(tile);
            for block in 0..input.blocks() {
                // SAFETY: blocks lie within the sample, points within the scratch of `scratch_len`.
                unsafe {
                    let x = self.x.as_ptr().add(block * input.voxels() * LANES);
                    let v = self.v.as_mut_ptr().add(tile * channels + block * LANES);
                    tiles.transform::<V>(x, at, &mut room, v, point_step(channels));
                }
            }
        }
    }

    #[inline(always)]
    fn position(&self, tile: usize) -> [usize; 3] {
        let (tile, [_, j, k]) = (self.first + tile, self.tiles);
        [tile / (j * k), tile / k % j, tile % k]
    }

    /// Products and outputs of `B` blocks of output channels.
    #[inline(always)]
    unsafe fn blocks<V: Lanes, const B: usize>(&mut self, first: usize) {
        let (input, output) = (self.conv.input, self.conv.output);
        let channels = input.blocks() * LANES;
        let step = point_step(2 * LANES);
        // SAFETY: `forward` has checked the sizes of weights and bias; scratch is of `scratch_len`.
        unsafe {
            for point in 0..POINTS {
                let u = self.weights.as_ptr().add((point * output.blocks() + first) * channels * LANES);
                let v = self.v.as_ptr().add(point * point_step(channels));
                multiply_rows::<V, B>(self.count, v, channels, u, self.m.as_mut_ptr().add(point * step));
            }
            let [_, tj, tk] = self.tiles;
            let all = self.tiles[0] * tj * tk;
            let zero = V::splat(0.0);
            for tile in 0..self.count {
                let [i, j, k] = self.position(tile);
                for b in 0..B {
                    let block = first + b;
                    let bias = V::load(self.bias.as_ptr().add(block * LANES));
                    let values = finish_tile::<V>(self.m.as_ptr().add(tile * 2 * LANES + b * LANES), step);
                    if self.pool {
                        let at = self.start + (block * all + self.first + tile) * LANES;
                        let (max, which) = pool_eight(values, bias);
                        // Each tile has its own place in the output, which no other task writes.
                        max.store(self.out.piece(at, LANES).as_mut_ptr());
                        if let Some(taps) = self.taps {
                            which.store_bytes(taps.piece(at, LANES).as_mut_ptr());
                        }
                        continue;
                    }
                    for (index, value) in values.into_iter().enumerate() {
                        let [i, j, k] = [2 * i + index / 4, 2 * j + index / 2 % 2, 2 * k + index % 2];
                        if i < output.size[0] && j < output.size[1] && k < output.size[2] {
                            let voxel = ((block * output.size[0] + i) * output.size[1] + j) * output.size[2] + k;
                            let value = value.add(bias);
                            let value = if self.relu { zero.max(value) } else { value };
                            value.store(self.out.piece(self.start + voxel * LANES, LANES).as_mut_ptr());
                        }
                    }
                }
            }
        }
    }
}

impl Kernel for Chunk<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let blocks = self.conv.output.blocks();
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            self.transform_input::<V>();
            let mut block = 0;
            while block < blocks {
                if V::BLOCKS == 2 && block + 1 < blocks {
                    self.blocks::<V, 2>(block);
                    block += 2;
                } else {
                    self.blocks::<V, 1>(block);
                    block += 1;
                }
            }
        }
    }
}
