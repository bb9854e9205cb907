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
//! The 64 points fall into four slices by their index along `i`. A task takes some dozens of tiles of one sample and up to
//! eight blocks of output channels, slice by slice, so that a slice's weights stay in its core's second-level cache while up to 26
//! tiles at a time go through three stages. What the slices give is added up along `i`:
//!
//! ```text
//! x [c/16][i][j][k][16] --B^T d B--> v [16][tile][c] --16 products--> m [16][tile][32] --A^T m A--> four of a tile:
//!                                    u [16][o/16][c][16] ----^        for 2 blocks at a time        sums += ...
//!
//! sums [o/16][tile][8][16] --bias, ReLU, pool--> out
//! ```
//!
//! Tiles in a row share two of four columns, each of which is transformed along `i` and `j` once. While a point is multiplied,
//! what the next tiles are transformed from is asked for.
//!
//! The output tile is the window of a 2 x 2 x 2 max-pool, so a pooled block never writes its un-pooled activation.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch, prefetch};
use super::scratch::Cpu;
use super::shape::{Conv, LANES, Layout};

/// Products per tile and pair of channels.
pub(super) const POINTS: usize = 64;
/// Rows of the largest register tile.
const ROWS: usize = 13;
/// Most tiles that are transformed before they are multiplied.
const TILES: usize = 2 * ROWS;
/// Points of a slice.
pub(super) const SLICE: usize = POINTS / 4;
/// Most blocks of output channels of a task.
const BLOCKS: usize = 8;
/// Most sums of a task, in tiles times blocks: as much as the second-level cache holds beside the rest.
const SUMS: usize = 416;

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

/// Blocks of output channels of a task: of many an even share.
fn of_task(conv: &Conv) -> usize {
    let blocks = conv.output.blocks();
    blocks.div_ceil(blocks.div_ceil(BLOCKS)).next_multiple_of(2).min(blocks)
}

/// Floats of scratch per thread: of points in and out, and of sums.
fn parts(conv: &Conv) -> [usize; 3] {
    let sums = (SUMS / of_task(conv)).min(4 * TILES) * of_task(conv) * 8 * LANES;
    [SLICE * point_step(conv.input.blocks() * LANES), SLICE * point_step(2 * LANES), sums]
}

/// Floats of scratch per thread.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    parts(conv).iter().sum()
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
    let of_task = of_task(conv);
    let groups = output.blocks().div_ceil(of_task);
    let mut tasks = count.div_ceil((SUMS / of_task).min(4 * TILES));
    let threads = rayon::current_num_threads();
    if tasks * batch * groups < 4 * threads {
        while !(tasks * batch * groups).is_multiple_of(threads) {
            tasks += 1;
        }
    }
    let chunk = count.div_ceil(tasks);
    let tasks = count.div_ceil(chunk);
    parallel(batch * tasks * groups, |task| {
        let (sample, first, group) = (task / groups / tasks, task / groups % tasks * chunk, task % groups);
        let x = &x[sample * input.len()..][..input.len()];
        cpu.scratch.lend(scratch_len(conv), |scratch| {
            let [v, m, _] = parts(conv);
            let (v, rest) = scratch.split_at_mut(v);
            let (m, sums) = rest.split_at_mut(m);
            let count = chunk.min(count - first);
            let blocks = [group * of_task, output.blocks().min((group + 1) * of_task)];
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
                blocks,
                start: sample * of_out,
                v,
                m,
                sums,
                out: &out,
                taps: taps.as_ref(),
            };
            dispatch(cpu.isa, work);
        });
    });
}

/// Some tiles of one sample, and some blocks of output channels.
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
    /// The first block, and one past the last.
    blocks: [usize; 2],
    /// Where the sample starts in `out`.
    start: usize,
    v: &'a mut [f32],
    m: &'a mut [f32],
    /// `[block][tile][8][16]`.
    sums: &'a mut [f32],
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
///
/// # Safety
///
/// `x` gives a place for each voxel of the tile, and `v` has room for 16 points.
#[inline(always)]
unsafe fn transform_slice<V: Lanes, const E: usize>(x: impl Fn([usize; 3]) -> *const f32, v: *mut f32, step: usize) {
    // SAFETY: as the function's.
    unsafe {
        let zero = V::splat(0.0);
        let mut p = [[zero; 4]; 4];
        for j in 0..4 {
            let mut d = [zero; 4];
            for k in 0..4 {
                d[k] = match E {
                    0 => V::load(x([0, j, k])).sub(V::load(x([2, j, k]))),
                    1 => V::load(x([1, j, k])).add(V::load(x([2, j, k]))),
                    2 => V::load(x([2, j, k])).sub(V::load(x([1, j, k]))),
                    _ => V::load(x([1, j, k])).sub(V::load(x([3, j, k]))),
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

/// Where the voxels of a tile lie in a block.
pub(super) struct Place {
    /// The first, of a tile inside the volume.
    inside: Option<usize>,
    /// Each, of a tile that reaches beyond it; [`BEYOND`] where there is nothing.
    each: [usize; POINTS],
}

/// Of a voxel beyond the volume.
const BEYOND: usize = usize::MAX;
/// What is there.
#[repr(align(64))]
struct Zeros([f32; LANES]);
static ZEROS: Zeros = Zeros([0.0; LANES]);

impl Place {
    /// Nowhere yet.
    pub(super) fn new() -> Self {
        Self { inside: None, each: [BEYOND; POINTS] }
    }
}

impl Tiles {
    /// Finds the tile at position `at` (in tiles).
    #[inline(always)]
    pub(super) fn find(&self, at: [usize; 3], place: &mut Place) {
        let (row, slab) = (self.size[2] * LANES, self.size[1] * self.size[2] * LANES);
        // Twice the tile's position is its first voxel, counted from the padding's start.
        let mut inside = true;
        for a in 0..3 {
            inside &= 2 * at[a] >= self.padding[a] && 2 * at[a] + 4 <= self.size[a] + self.padding[a];
        }
        if inside {
            let [i, j, k] = [2 * at[0] - self.padding[0], 2 * at[1] - self.padding[1], 2 * at[2] - self.padding[2]];
            place.inside = Some(i * slab + j * row + k * LANES);
            return;
        }
        place.inside = None;
        // Along each axis where the four are, if they are there.
        let mut along = [[BEYOND; 4]; 3];
        for (axis, step) in [slab, row, LANES].into_iter().enumerate() {
            for n in 0..4 {
                let voxel = (2 * at[axis] + n).wrapping_sub(self.padding[axis]);
                if voxel < self.size[axis] {
                    along[axis][n] = voxel * step;
                }
            }
        }
        for i in 0..4 {
            for j in 0..4 {
                for k in 0..4 {
                    let [a, b, c] = [along[0][i], along[1][j], along[2][k]];
                    let here = a != BEYOND && b != BEYOND && c != BEYOND;
                    place.each[(i * 4 + j) * 4 + k] = if here { a + b + c } else { BEYOND };
                }
            }
        }
    }

    /// Transforms `count` tiles in a row along `k`, from `at` on, to the sixteen points whose index along `i` is `E`. Two of
    /// four columns of a tile are the next one's too: along `i` and `j` each is transformed once.
    ///
    /// # Safety
    ///
    /// `x` is a block of a volume of this size; `v` has room for 16 points `step` apart of tiles `of_tile` apart.
    #[inline(always)]
    pub(super) unsafe fn transform_row<V: Lanes, const E: usize>(
        &self,
        x: *const f32,
        (at, count): ([usize; 3], usize),
        v: *mut f32,
        (of_tile, step): (usize, usize),
    ) {
        let (row, slab) = (self.size[2] * LANES, self.size[1] * self.size[2] * LANES);
        let pair = ENDS[E];
        let along = |axis: usize, n: usize| (2 * at[axis] + n).wrapping_sub(self.padding[axis]);
        let mut rows = [[None; 4]; 2];
        let mut inside = true;
        for a in 0..2 {
            for j in 0..4 {
                let [i, j_at] = [along(0, pair[a]), along(1, j)];
                if i < self.size[0] && j_at < self.size[1] {
                    rows[a][j] = Some(i * slab + j_at * row);
                } else {
                    inside = false;
                }
            }
        }
        let columns = Columns { x, rows, size: self.size[2] };
        // SAFETY: rows lie in the block, and so do the columns that are read.
        unsafe {
            if inside {
                columns.transform::<V, E, true>((along(2, 0), count), v, (of_tile, step));
            } else {
                columns.transform::<V, E, false>((along(2, 0), count), v, (of_tile, step));
            }
        }
    }

    /// Transforms a tile to the sixteen points whose index along `i` is `E`; beyond the volume there are zeros.
    ///
    /// # Safety
    ///
    /// `x` is a block of a volume of this size, the place was found here; `v` has room for 16 points `step` apart.
    #[inline(always)]
    pub(super) unsafe fn transform_slice<V: Lanes, const E: usize>(
        &self,
        x: *const f32,
        place: &Place,
        v: *mut f32,
        step: usize,
    ) {
        let (row, slab) = (self.size[2] * LANES, self.size[1] * self.size[2] * LANES);
        // SAFETY: a tile inside the volume is read where it is, any other where its voxels were found, or from zeros.
        unsafe {
            if let Some(start) = place.inside {
                let x = x.add(start);
                transform_slice::<V, E>(|[i, j, k]| x.add(i * slab + j * row + k * LANES), v, step);
            } else {
                let zeros = ZEROS.0.as_ptr();
                let each = &place.each;
                transform_slice::<V, E>(
                    |[i, j, k]| {
                        let at = each[(i * 4 + j) * 4 + k];
                        if at == BEYOND { zeros } else { x.add(at) }
                    },
                    v,
                    step,
                );
            }
        }
    }
}

/// The two voxels along `i` that each slice is made of.
const ENDS: [[usize; 2]; 4] = [[0, 2], [1, 2], [2, 1], [1, 3]];

/// Columns along `i` and `j` of tiles in a row, of one slice.
struct Columns {
    x: *const f32,
    /// Where the rows begin of the two voxels along `i` that the slice is made of, and of the four along `j`; none beyond
    /// the volume.
    rows: [[Option<usize>; 4]; 2],
    /// Voxels of a row.
    size: usize,
}

impl Columns {
    /// The four points of a column; zeros beyond the volume.
    ///
    /// # Safety
    ///
    /// Rows lie in the volume; `INSIDE`: all are there.
    #[inline(always)]
    unsafe fn points<V: Lanes, const E: usize, const INSIDE: bool>(&self, column: usize) -> [V; 4] {
        // SAFETY: as the function's.
        unsafe {
            let zero = V::splat(0.0);
            let mut d = [zero; 4];
            if column >= self.size {
                return d;
            }
            let x = self.x.add(column * LANES);
            for j in 0..4 {
                let mut ends = [zero; 2];
                for a in 0..2 {
                    match self.rows[a][j] {
                        Some(row) => ends[a] = V::load(x.add(row)),
                        None if INSIDE => std::hint::unreachable_unchecked(),
                        None => {}
                    }
                }
                d[j] = if E == 1 { ends[0].add(ends[1]) } else { ends[0].sub(ends[1]) };
            }
            input_points(d)
        }
    }

    /// Tiles in a row, the first of which begins at a column.
    ///
    /// # Safety
    ///
    /// As [`Self::points`], and [`Tiles::transform_row`].
    #[inline(always)]
    unsafe fn transform<V: Lanes, const E: usize, const INSIDE: bool>(
        &self,
        (first, count): (usize, usize),
        v: *mut f32,
        (of_tile, step): (usize, usize),
    ) {
        // SAFETY: as the function's.
        unsafe {
            let mut a = self.points::<V, E, INSIDE>(first);
            let mut b = self.points::<V, E, INSIDE>(first.wrapping_add(1));
            for tile in 0..count {
                let next = first.wrapping_add(2 * tile + 2);
                let c = self.points::<V, E, INSIDE>(next);
                let d = self.points::<V, E, INSIDE>(next.wrapping_add(1));
                let v = v.add(tile * of_tile);
                for e in 0..4 {
                    for (q, value) in input_points([a[e], b[e], c[e], d[e]]).into_iter().enumerate() {
                        value.store(v.add((e * 4 + q) * step));
                    }
                }
                (a, b) = (c, d);
            }
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
    (ahead, lines): (*const f32, usize),
) {
    // SAFETY: as the function's.
    unsafe {
        let mut sum = [[V::splat(0.0); T]; B];
        for c in 0..channels {
            if c < lines {
                prefetch(ahead.wrapping_add(c * LANES));
            }
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
    ahead: [(*const f32, usize); 2],
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
                        multiply::<V, $t, B>(v.add(row * channels), channels, u, m.add(row * 2 * LANES), ahead[usize::from(row > 0)]);
                    },)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13);
        row += rows;
    }
}

/// The four values along `j` and `k` that a slice gives; point `p` is read at `m + p * step`.
///
/// # Safety
///
/// `m` holds 16 points.
#[inline(always)]
unsafe fn finish_slice<V: Lanes>(m: *const f32, step: usize) -> [V; 4] {
    // SAFETY: as the function's.
    unsafe {
        let zero = V::splat(0.0);
        let mut r = [[zero; 4]; 2];
        for k in 0..4 {
            let mut column = [zero; 4];
            for j in 0..4 {
                column[j] = V::load(m.add((j * 4 + k) * step));
            }
            let c = output_points(column);
            r[0][k] = c[0];
            r[1][k] = c[1];
        }
        let ([a, b], [c, d]) = (output_points(r[0]), output_points(r[1]));
        [a, b, c, d]
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
    fn position(&self, tile: usize) -> [usize; 3] {
        let (tile, [_, j, k]) = (self.first + tile, self.tiles);
        [tile / (j * k), tile / k % j, tile % k]
    }

    /// The points of slice `E`, of `count` tiles from `first` on.
    #[inline(always)]
    unsafe fn transform_input<V: Lanes, const E: usize>(&mut self, first: usize, count: usize) {
        let input = self.conv.input;
        let channels = input.blocks() * LANES;
        let tiles = Tiles { size: input.size, padding: self.conv.window.padding };
        let mut tile = 0;
        while tile < count {
            let at = self.position(first + tile);
            let in_row = (self.tiles[2] - at[2]).min(count - tile);
            for block in 0..input.blocks() {
                // SAFETY: blocks lie within the sample, points within the scratch of `scratch_len`.
                unsafe {
                    let x = self.x.as_ptr().add(block * input.voxels() * LANES);
                    let v = self.v.as_mut_ptr().add(tile * channels + block * LANES);
                    tiles.transform_row::<V, E>(x, (at, in_row), v, (channels, point_step(channels)));
                }
            }
            tile += in_row;
        }
    }

    /// What `count` tiles from `first` on of a slice will be transformed from, in shares that are asked for while each of its
    /// points is multiplied: where a share begins, and its cache lines.
    #[inline(always)]
    fn share(&self, slice: usize, (first, count): (usize, usize), share: usize) -> (*const f32, usize) {
        let (input, padding) = (self.conv.input, self.conv.window.padding);
        let blocks = input.blocks();
        let (regions, shares) = (2 * blocks, 2 * SLICE);
        if regions > shares || count == 0 {
            return (std::ptr::null(), 0);
        }
        // One plane of a block is a region: its rows lie one behind the other.
        let of_region = shares / regions;
        let (region, part) = (share / of_region, share % of_region);
        if region >= regions {
            return (std::ptr::null(), 0);
        }
        let ([i, j, _], [end_i, end_j, _]) = (self.position(first), self.position(first + count - 1));
        let along = |axis: usize, n: usize| n.saturating_sub(padding[axis]).min(input.size[axis]);
        let (from, to) = (along(1, 2 * j), along(1, if end_i == i { 2 * end_j + 4 } else { usize::MAX }));
        let plane = along(0, 2 * i + ENDS[slice][region % 2]).min(input.size[0] - 1);
        let lines = (to - from) * input.size[2];
        let (start, end) = (lines * part / of_region, lines * (part + 1) / of_region);
        let row = ((region / 2 * input.size[0] + plane) * input.size[1] + from) * input.size[2];
        (self.x.as_ptr().wrapping_add((row + start) * LANES), end - start)
    }

    /// Products of slice `E` of `count` tiles from `first` on with `B` blocks of output channels, added to their sums.
    #[inline(always)]
    unsafe fn products<V: Lanes, const E: usize, const B: usize>(&mut self, first: usize, count: usize, block: usize) {
        // What is transformed next; a slice of the same voxels as the one before has them at hand.
        let length = self.count.div_ceil(self.count.div_ceil(TILES));
        let ended = first + count == self.count;
        let slice = if ended { E + 1 } else { E };
        let first_next = if ended { 0 } else { first + count };
        let next = (first_next, length.min(self.count - first_next));
        let asks = block == self.blocks[0] && slice < 4 && slice != 2;
        let (input, output) = (self.conv.input, self.conv.output);
        let channels = input.blocks() * LANES;
        let step = point_step(2 * LANES);
        // SAFETY: `forward` has checked the size of the weights; scratch is of `scratch_len`.
        unsafe {
            for point in 0..SLICE {
                let ahead = if asks {
                    [0, 1].map(|n| self.share(slice, next, 2 * point + n))
                } else {
                    [(std::ptr::null(), 0); 2]
                };
                let u = self.weights.as_ptr().add(((E * SLICE + point) * output.blocks() + block) * channels * LANES);
                let v = self.v.as_ptr().add(point * point_step(channels));
                multiply_rows::<V, B>(count, v, channels, u, self.m.as_mut_ptr().add(point * step), ahead);
            }
            for b in 0..B {
                let start = (block + b - self.blocks[0]) * self.count + first;
                for tile in 0..count {
                    let values = finish_slice::<V>(self.m.as_ptr().add(tile * 2 * LANES + b * LANES), step);
                    let sums = self.sums.as_mut_ptr().add((start + tile) * 8 * LANES);
                    for (n, value) in values.into_iter().enumerate() {
                        let [one, two] = [sums.add(n * LANES), sums.add((4 + n) * LANES)];
                        match E {
                            0 => value.store(one),
                            1 => {
                                V::load(one).add(value).store(one);
                                value.store(two);
                            }
                            2 => {
                                V::load(one).add(value).store(one);
                                V::load(two).sub(value).store(two);
                            }
                            _ => V::load(two).sub(value).store(two),
                        }
                    }
                }
            }
        }
    }

    /// One slice of all tiles.
    #[inline(always)]
    unsafe fn slice<V: Lanes, const E: usize>(&mut self) {
        let length = self.count.div_ceil(self.count.div_ceil(TILES));
        let mut first = 0;
        while first < self.count {
            let count = length.min(self.count - first);
            // SAFETY: tiles and blocks are those of the task; the caller vouches for the instructions.
            unsafe {
                self.transform_input::<V, E>(first, count);
                let [mut block, end] = self.blocks;
                while block < end {
                    if V::BLOCKS == 2 && block + 1 < end {
                        self.products::<V, E, 2>(first, count, block);
                        block += 2;
                    } else {
                        self.products::<V, E, 1>(first, count, block);
                        block += 1;
                    }
                }
            }
            first += count;
        }
    }

    /// From sums to outputs.
    #[inline(always)]
    unsafe fn finish<V: Lanes>(&mut self) {
        let output = self.conv.output;
        let all = self.tiles.iter().product::<usize>();
        // SAFETY: `forward` has checked the size of the bias; sums are those of the task.
        unsafe {
            let zero = V::splat(0.0);
            for block in self.blocks[0]..self.blocks[1] {
                let bias = V::load(self.bias.as_ptr().add(block * LANES));
                for tile in 0..self.count {
                    let sums = self.sums.as_ptr().add(((block - self.blocks[0]) * self.count + tile) * 8 * LANES);
                    let mut values = [zero; 8];
                    for (n, value) in values.iter_mut().enumerate() {
                        *value = V::load(sums.add(n * LANES));
                    }
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
                    let [i, j, k] = self.position(tile);
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
        let [v, m, sums] = parts(self.conv);
        assert!(self.v.len() == v && self.m.len() == m && self.sums.len() == sums);
        assert!((self.blocks[1] - self.blocks[0]) * self.count * 8 * LANES <= sums);
        // SAFETY: scratch has its size by the assertions; the caller vouches for the instructions.
        unsafe {
            self.slice::<V, 0>();
            self.slice::<V, 1>();
            self.slice::<V, 2>();
            self.slice::<V, 3>();
            self.finish::<V>();
        }
    }
}
