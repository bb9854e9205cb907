//! Convolutions of 7 x 7 x 7 of one channel, with a step of one or two, by nested F(2, 3): 1000 products for 2 x 2 x 2
//! outputs instead of 2744.
//!
//! Along one axis the seven taps are two groups of three and one of one. With a step of one these are taps 0 to 2, 3 to 5 and
//! 6; with a step of two, whose taps meet every other voxel, 0 2 4, 1 3 5 and 6. A group of three gives two outputs by the four
//! products of F(2, 3) ([`super::winograd`]); the single tap gives its two by a product each, which go where nothing else
//! but that output comes from: to the first of the four and to the last. All groups are added up before the output's
//! transform:
//!
//! ```text
//! m0 = (d0 - d2) g0  +  (d3 - d5) g3  +  d6 g6          y0 = m0 + m1 + m2
//! m1 = (d1 + d2) (g0 + g1 + g2) / 2  +  ...
//! m2 = (d2 - d1) (g0 - g1 + g2) / 2  +  ...
//! m3 = (d1 - d3) g2  +  (d4 - d6) g5  -  d7 g6          y1 = m1 - m2 - m3
//! ```
//!
//! These ten products along each axis are the terms: 0 to 2 belong to `m0`, 3 and 4 to `m1`, 5 and 6 to `m2`, 7 to 9 to
//! `m3`. Of one channel what is transformed is one number for each term and tile, sixteen tiles in a register; the products are
//! of such numbers and sixteen output channels. Points along `k` are added up in registers.
//!
//! It rounds no worse than the plain sum, as F(2, 3) does.

use super::buffer::{Shared, parallel};
use super::lanes::{Kernel, Lanes, dispatch};
use super::scratch::Cpu;
use super::shape::{Conv, LANES, Layout};
use super::winograd::{input_points, output_points};

/// Taps along an axis.
const TAPS: usize = 7;
/// Products along an axis for two outputs.
const TERMS: usize = 10;
/// First term of each of the four points, and one past the last.
const STARTS: [usize; 5] = [0, 3, 5, 7, 10];
/// Products of a tile and an output channel.
const PRODUCTS: usize = TERMS * TERMS * TERMS;
/// Most tiles of a register tile.
const ROWS: usize = 7;
/// Most tiles of a task.
const TILES: usize = 4 * ROWS;
/// Tiles in whole registers.
const WIDTH: usize = 32;
/// Voxels of one phase along `k`: those of all tiles, and up to three beyond.
const PHASE: usize = 40;

/// Whether it can take this convolution.
pub(crate) fn fits(conv: &Conv) -> bool {
    let window = &conv.window;
    conv.input.layout == Layout::Planar
        && conv.input.channels == 1
        && window.kernel == [TAPS; 3]
        && window.dilation == [1; 3]
        && (window.stride == [1; 3] || window.stride == [2; 3])
}

/// Floats of transformed weights.
pub(crate) fn packed_len(conv: &Conv) -> usize {
    conv.output.blocks() * PRODUCTS * LANES
}

/// Voxels along an axis that a tile reads.
fn reach(stride: usize) -> usize {
    TAPS + stride
}

/// Floats of a row of voxels in its phases: voxel `2 stride t + p` lies at `t` of phase `p`.
fn row(stride: usize) -> usize {
    2 * stride * PHASE
}

/// Floats of voxels, of voxels transformed along `j` and along `i` and `j`, of terms, and of sums.
fn parts(stride: usize) -> [usize; 5] {
    let (reach, row) = (reach(stride), row(stride));
    [reach * reach * row, reach * TERMS * row, row, PRODUCTS * WIDTH, 32 * TILES * LANES]
}

/// Floats of scratch per thread.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    parts(conv.window.stride[0]).iter().sum()
}

/// First tap of the two groups of three.
fn offsets(stride: usize) -> [usize; 2] {
    if stride == 1 { [0, 3] } else { [0, 1] }
}

/// Ten terms along an axis of seven taps.
fn terms(taps: [f32; TAPS], stride: usize) -> [f32; TERMS] {
    let mut terms = [0.0; TERMS];
    for (group, first) in offsets(stride).into_iter().enumerate() {
        let [a, b, c] = [0, 1, 2].map(|tap| taps[first + tap * stride]);
        let points = [a, 0.5 * (a + c + b), 0.5 * (a + c - b), c];
        for (point, value) in points.into_iter().enumerate() {
            terms[STARTS[point] + group] = value;
        }
    }
    terms[2] = taps[6];
    terms[9] = taps[6];
    terms
}

/// Transforms weights `[out][343]`, each output channel times its scale, to `[out / 16][1000][16]`.
pub(crate) fn pack(conv: &Conv, weights: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
    let stride = conv.window.stride[0];
    let of_channel = TAPS * TAPS * TAPS;
    assert_eq!(weights.len(), conv.output.channels * of_channel);
    assert_eq!(packed.len(), packed_len(conv));
    let shared = Shared::new(packed);
    parallel(conv.output.blocks(), |block| {
        // SAFETY: every task has its own block.
        let packed = unsafe { shared.piece(block * PRODUCTS * LANES, PRODUCTS * LANES) };
        packed.fill(0.0);
        let channels = weights.chunks_exact(of_channel).enumerate().skip(block * LANES).take(LANES);
        for (lane, (channel, weights)) in channels.enumerate() {
            let factor = scale.map_or(1.0, |scale| scale[channel]);
            // Along `k`, then `j`, then `i`.
            let mut along_k = [[0f32; TERMS]; TAPS * TAPS];
            for (to, taps) in along_k.iter_mut().zip(weights.chunks_exact(TAPS)) {
                *to = terms(std::array::from_fn(|tap| factor * taps[tap]), stride);
            }
            let mut along_j = [[[0f32; TERMS]; TERMS]; TAPS];
            for (i, to) in along_j.iter_mut().enumerate() {
                for c in 0..TERMS {
                    let of_column = terms(std::array::from_fn(|j| along_k[i * TAPS + j][c]), stride);
                    to.iter_mut().zip(of_column).for_each(|(to, value)| to[c] = value);
                }
            }
            for b in 0..TERMS {
                for c in 0..TERMS {
                    let of_column = terms(std::array::from_fn(|i| along_j[i][b][c]), stride);
                    for (a, value) in of_column.into_iter().enumerate() {
                        packed[((a * TERMS + b) * TERMS + c) * LANES + lane] = value;
                    }
                }
            }
        }
    });
}

/// Convolves a batch; `bias` is `[out padded to 16]`. Negative values are cut off if asked for.
pub(crate) fn forward(
    cpu: Cpu<'_>,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    (weights, bias): (&[f32], &[f32]),
    relu: bool,
    out: &mut [f32],
) {
    assert!(fits(conv));
    let (input, output, stride) = (conv.input, conv.output, conv.window.stride[0]);
    assert!(x.len() >= batch * input.len() && out.len() >= batch * output.len());
    assert_eq!(weights.len(), packed_len(conv));
    assert_eq!(bias.len(), output.blocks() * LANES);
    let tiles = output.size.map(|size| size.div_ceil(2));
    let length = tiles[2].div_ceil(tiles[2].div_ceil(TILES));
    let chunks = tiles[2].div_ceil(length);
    let shared = Shared::new(out);
    parallel(batch * tiles[0] * tiles[1] * chunks, |task| {
        let (first, j) = (task % chunks * length, task / chunks % tiles[1]);
        let (i, sample) = (task / chunks / tiles[1] % tiles[0], task / chunks / tiles[1] / tiles[0]);
        let count = length.min(tiles[2] - first);
        let x = &x[sample * input.len()..][..input.voxels()];
        cpu.scratch.lend(scratch_len(conv), |scratch| {
            let [voxels, along_j, both, terms, _] = parts(stride);
            let (voxels, scratch) = scratch.split_at_mut(voxels);
            let (along_j, scratch) = scratch.split_at_mut(along_j);
            let (both, scratch) = scratch.split_at_mut(both);
            let (terms, sums) = scratch.split_at_mut(terms);
            let start = sample * output.len();
            let at = [i, j, first];
            let row = Row { conv, x, at, count, weights, bias, relu, voxels, along_j, both, terms, sums, start };
            dispatch(cpu.isa, Tiles { row, out: &shared });
        });
    });
}

/// Some tiles along `k`.
struct Row<'a> {
    conv: &'a Conv,
    /// The sample.
    x: &'a [f32],
    /// The first tile.
    at: [usize; 3],
    count: usize,
    weights: &'a [f32],
    bias: &'a [f32],
    relu: bool,
    /// `[i][j][phase][t]`.
    voxels: &'a mut [f32],
    /// `[i][term][phase][t]`.
    along_j: &'a mut [f32],
    /// `[phase][t]`.
    both: &'a mut [f32],
    /// `[term][term][term][tile]`.
    terms: &'a mut [f32],
    /// `[i][j]` points by the two outputs along `k`, `[tile][16]`.
    sums: &'a mut [f32],
    /// Where the sample begins in the output.
    start: usize,
}

struct Tiles<'a> {
    row: Row<'a>,
    out: &'a Shared<'a, f32>,
}

impl Row<'_> {
    /// Takes the voxels that the tiles see, in `P` phases; beyond the volume there are zeros.
    #[inline(always)]
    fn gather<const P: usize>(&mut self) {
        let (window, size) = (self.conv.window, self.conv.input.size);
        let stride = window.stride[0];
        assert!(P == 2 * stride);
        let (reach, row) = (reach(stride), P * PHASE);
        let first = self.at.map(|tile| tile * P);
        let length = P * (self.count - 1) + reach;
        // Of the voxels along `k` those that exist.
        let from = window.padding[2].saturating_sub(first[2]).min(length);
        let to = (size[2] + window.padding[2]).saturating_sub(first[2]).min(length);
        let mut line = [0f32; 4 * PHASE];
        for i in 0..reach {
            let at_i = (first[0] + i).checked_sub(window.padding[0]).filter(|&at| at < size[0]);
            for j in 0..reach {
                let at_j = (first[1] + j).checked_sub(window.padding[1]).filter(|&at| at < size[1]);
                let voxels = &mut self.voxels[(i * reach + j) * row..][..row];
                let (Some(at_i), Some(at_j), true) = (at_i, at_j, from < to) else {
                    voxels.fill(0.0);
                    continue;
                };
                let x = &self.x[(at_i * size[1] + at_j) * size[2] + first[2] + from - window.padding[2]..][..to - from];
                line[from..to].copy_from_slice(x);
                for (t, values) in line[..row].chunks_exact(P).enumerate() {
                    for (phase, value) in values.iter().enumerate() {
                        voxels[phase * PHASE + t] = *value;
                    }
                }
            }
        }
    }

    /// From voxels to terms.
    #[inline(always)]
    unsafe fn transform<V: Lanes>(&mut self) {
        let stride = self.conv.window.stride[0];
        let (reach, row) = (reach(stride), row(stride));
        let [voxels, along_j, both, terms, _] = parts(stride);
        assert!(self.voxels.len() == voxels && self.along_j.len() == along_j);
        assert!(self.both.len() == both && self.terms.len() == terms);
        // SAFETY: `axis` reads `reach` rows of a step apart and writes ten; all lie within the parts, whose lengths are asserted. Of
        // a phase, `WIDTH` values are read from up to 3 on, which is less than `PHASE`. The caller vouches for the
        // instructions.
        unsafe {
            for i in 0..reach {
                let from = self.voxels.as_ptr().add(i * reach * row);
                let to = self.along_j.as_mut_ptr().add(i * TERMS * row);
                for at in (0..row).step_by(LANES) {
                    let values = axis::<V>(stride, |n| from.add(n * row + at));
                    for (term, value) in values.into_iter().enumerate() {
                        value.store(to.add(term * row + at));
                    }
                }
            }
            for b in 0..TERMS {
                let from = self.along_j.as_ptr().add(b * row);
                for a in 0..TERMS {
                    let both = self.both.as_mut_ptr();
                    for at in (0..row).step_by(LANES) {
                        one::<V>(stride, a, |n| from.add(n * TERMS * row + at)).store(both.add(at));
                    }
                    let both = self.both.as_ptr();
                    let to = self.terms.as_mut_ptr().add((a * TERMS + b) * TERMS * WIDTH);
                    for at in (0..WIDTH).step_by(LANES) {
                        let values = axis::<V>(stride, |n| both.add(n % (2 * stride) * PHASE + n / (2 * stride) + at));
                        for (term, value) in values.into_iter().enumerate() {
                            value.store(to.add(term * WIDTH + at));
                        }
                    }
                }
            }
        }
    }

    /// Sums of products of `T` tiles from `tile` on with a block of output channels, at a point of `i` and `j` and all
    /// along `k`; then the transform along `k`.
    ///
    /// # Safety
    ///
    /// The tiles lie within [`TILES`]; the block is there.
    #[inline(always)]
    unsafe fn multiply<V: Lanes, const T: usize>(&mut self, block: usize, [i, j]: [usize; 2], tile: usize) {
        // SAFETY: terms and weights are of 1000 products, sums of 32 times `TILES` registers; the caller vouches for the rest.
        unsafe {
            let terms = self.terms.as_ptr().add(tile);
            let weights = self.weights.as_ptr().add(block * PRODUCTS * LANES);
            let mut sums = [[V::splat(0.0); T]; 4];
            for k in 0..4 {
                let mut sum = [V::splat(0.0); T];
                for a in STARTS[i]..STARTS[i + 1] {
                    for b in STARTS[j]..STARTS[j + 1] {
                        for c in STARTS[k]..STARTS[k + 1] {
                            let product = (a * TERMS + b) * TERMS + c;
                            let (v, w) = (terms.add(product * WIDTH), V::load(weights.add(product * LANES)));
                            for t in 0..T {
                                sum[t] = V::splat(*v.add(t)).mul_add(w, sum[t]);
                            }
                        }
                    }
                }
                sums[k] = sum;
            }
            for t in 0..T {
                let outputs = output_points([sums[0][t], sums[1][t], sums[2][t], sums[3][t]]);
                for (side, output) in outputs.into_iter().enumerate() {
                    let at = ((i * 4 + j) * 2 + side) * TILES + tile + t;
                    output.store(self.sums.as_mut_ptr().add(at * LANES));
                }
            }
        }
    }

    /// The products of a block of output channels.
    #[inline(always)]
    unsafe fn products<V: Lanes>(&mut self, block: usize) {
        let most = V::ROWS.min(ROWS);
        let size = self.count.div_ceil(self.count.div_ceil(most));
        for i in 0..4 {
            for j in 0..4 {
                let mut tile = 0;
                while tile < self.count {
                    let rows = size.min(self.count - tile);
                    macro_rules! sizes {
                        ($($t:literal)*) => {
                            match rows {
                                // SAFETY: the tiles are counted.
                                $($t if $t <= V::ROWS => unsafe { self.multiply::<V, $t>(block, [i, j], tile) },)*
                                _ => unreachable!("a tile of {rows} rows"),
                            }
                        };
                    }
                    sizes!(1 2 3 4 5 6 7);
                    tile += rows;
                }
            }
        }
    }
}

/// The voxel whose rows make a term: for groups of three by `B^T d`.
///
/// # Safety
///
/// `at` gives a place for every voxel within reach.
#[inline(always)]
unsafe fn axis<V: Lanes>(stride: usize, at: impl Fn(usize) -> *const f32) -> [V; TERMS] {
    // SAFETY: as the function's.
    unsafe {
        let zero = V::splat(0.0);
        let mut terms = [zero; TERMS];
        for (group, first) in offsets(stride).into_iter().enumerate() {
            let mut d = [zero; 4];
            for n in 0..4 {
                d[n] = V::load(at(first + n * stride));
            }
            let points = input_points(d);
            for point in 0..4 {
                terms[STARTS[point] + group] = points[point];
            }
        }
        terms[2] = V::load(at(6));
        terms[9] = zero.sub(V::load(at(6 + stride)));
        terms
    }
}

/// One of them.
///
/// # Safety
///
/// As [`axis`].
#[inline(always)]
unsafe fn one<V: Lanes>(stride: usize, term: usize, at: impl Fn(usize) -> *const f32) -> V {
    // SAFETY: as the function's.
    unsafe {
        if term == 2 {
            return V::load(at(6));
        }
        if term == 9 {
            return V::splat(0.0).sub(V::load(at(6 + stride)));
        }
        let point = STARTS.iter().rposition(|&start| start <= term).unwrap_or(0);
        let first = offsets(stride)[term - STARTS[point]];
        let [a, b] = [[0, 2], [1, 2], [2, 1], [1, 3]][point].map(|n| at(first + n * stride));
        let (a, b) = (V::load(a), V::load(b));
        if point == 1 { a.add(b) } else { a.sub(b) }
    }
}

impl Kernel for Tiles<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { mut row, out } = self;
        let size = row.conv.output.size;
        if row.conv.window.stride[0] == 1 {
            row.gather::<2>();
        } else {
            row.gather::<4>();
        }
        // SAFETY: the caller vouches for the instructions; blocks are those of the output, whose weights and bias `forward` has
        // checked, and every tile has its own place in the output, which no other task writes.
        unsafe {
            row.transform::<V>();
            let zero = V::splat(0.0);
            for block in 0..row.conv.output.blocks() {
                row.products::<V>(block);
                let bias = V::load(row.bias.as_ptr().add(block * LANES));
                for tile in 0..row.count {
                    for side in 0..2 {
                        let k = 2 * (row.at[2] + tile) + side;
                        if k >= size[2] {
                            continue;
                        }
                        let sums = row.sums.as_ptr().add((side * TILES + tile) * LANES);
                        let mut lines = [[zero; 2]; 4];
                        for j in 0..4 {
                            let mut column = [zero; 4];
                            for i in 0..4 {
                                column[i] = V::load(sums.add((i * 4 + j) * 2 * TILES * LANES));
                            }
                            lines[j] = output_points(column);
                        }
                        for a in 0..2 {
                            let values = output_points([lines[0][a], lines[1][a], lines[2][a], lines[3][a]]);
                            for b in 0..2 {
                                let [i, j] = [2 * row.at[0] + a, 2 * row.at[1] + b];
                                if i < size[0] && j < size[1] {
                                    let voxel = ((block * size[0] + i) * size[1] + j) * size[2] + k;
                                    let value = values[b].add(bias);
                                    let value = if row.relu { zero.max(value) } else { value };
                                    value.store(out.piece(row.start + voxel * LANES, LANES).as_mut_ptr());
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
