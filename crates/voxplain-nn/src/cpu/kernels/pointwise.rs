//! Convolution of 1 x 1 x 1 with a step of one: products of matrices, `[position][in]` by `[in][out]`.
//!
//! A register tile's positions are brought together once for all output channels, blocks of input channels one behind the
//! other, and what stands in front of the convolution (a normalisation's affine map, a ReLU) is done on the way. Where
//! they lie in a volume, blocks are so far apart that they fall on the same sets of the cache.

use super::buffer::{Shared, parallel};
use super::direct::packed_len;
use super::lanes::{Kernel, Lanes, dispatch, prefetch};
use super::scratch::Cpu;
use super::shape::{Conv, LANES, Layout};

/// Most positions of a register tile.
const ROWS: usize = 14;
/// Most register tiles of a task.
const TILES: usize = 8;

/// An affine map of each channel, padded to 16, and whether a ReLU follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<'a> {
    /// Factors.
    pub(crate) scale: &'a [f32],
    /// What is added.
    pub(crate) shift: &'a [f32],
    /// Whether values are cut off below zero.
    pub(crate) relu: bool,
}

/// Whether it can take this convolution.
pub(crate) fn fits(conv: &Conv) -> bool {
    let window = &conv.window;
    conv.input.layout == Layout::Blocked
        && window.kernel == [1; 3]
        && window.stride == [1; 3]
        && window.padding == [0; 3]
}

/// Floats of scratch per thread.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    ROWS * conv.input.blocks() * LANES
}

/// Convolves a batch, weights as [`super::direct::pack`] packs them, `bias` per channel padded to 16; of each value what
/// `before` makes of it, and negative outputs cut off if asked for.
pub(crate) fn forward(
    cpu: Cpu<'_>,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    (weights, bias): (&[f32], &[f32]),
    (before, relu): (Option<Affine<'_>>, bool),
    out: &mut [f32],
) {
    let (input, output) = (conv.input, conv.output);
    assert!(fits(conv) && input.size == output.size);
    assert!(x.len() >= batch * input.len() && out.len() >= batch * output.len());
    assert_eq!(weights.len(), packed_len(conv));
    assert_eq!(bias.len(), output.blocks() * LANES);
    if let Some(before) = &before {
        assert!(before.scale.len() == input.blocks() * LANES && before.shift.len() == input.blocks() * LANES);
    }
    let (voxels, threads) = (input.voxels(), rayon::current_num_threads());
    // Enough tasks for all threads; how positions and channels are shared out does not change values.
    let tiles = voxels.div_ceil(ROWS);
    let mut length = (batch * tiles / (16 * threads)).clamp(1, TILES).min(tiles);
    length = voxels.div_ceil(tiles.div_ceil(length));
    let tasks = batch * voxels.div_ceil(length);
    let mut of_task = output.blocks();
    while tasks * output.blocks().div_ceil(of_task) < 2 * threads && of_task > 2 {
        of_task = of_task.div_ceil(2).next_multiple_of(2);
    }
    let groups = output.blocks().div_ceil(of_task);
    let (of_sample, out) = (voxels.div_ceil(length), Shared::new(out));
    parallel(tasks * groups, |task| {
        let (sample, first, group) = (task / groups / of_sample, task / groups % of_sample * length, task % groups);
        let (x, start) = (&x[sample * input.len()..][..input.len()], sample * output.len());
        let blocks = [group * of_task, output.blocks().min((group + 1) * of_task)];
        cpu.scratch.lend(scratch_len(conv), |packed| {
            let positions = [first, voxels.min(first + length)];
            let work = Chunk { conv, x, weights, bias, before, relu, positions, blocks, start, packed, out: &out };
            dispatch(cpu.isa, work);
        });
    });
}

/// Some positions of one sample, and some blocks of output channels.
struct Chunk<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    before: Option<Affine<'a>>,
    relu: bool,
    /// The first, and one past the last.
    positions: [usize; 2],
    /// The first, and one past the last.
    blocks: [usize; 2],
    /// Where the sample starts in `out`.
    start: usize,
    packed: &'a mut [f32],
    out: &'a Shared<'a, f32>,
}

impl Chunk<'_> {
    /// Brings `count` positions from `first` on together, `[in / 16][position][16]`.
    ///
    /// # Safety
    ///
    /// They lie in the sample; the machine has the instructions of `V`.
    #[inline(always)]
    unsafe fn pack<V: Lanes>(&mut self, first: usize, count: usize) {
        let voxels = self.conv.input.voxels();
        // SAFETY: `forward` has checked the sizes of sample, factors and scratch.
        unsafe {
            let zero = V::splat(0.0);
            for block in 0..self.conv.input.blocks() {
                let x = self.x.as_ptr().add((block * voxels + first) * LANES);
                let to = self.packed.as_mut_ptr().add(block * count * LANES);
                let Some(Affine { scale, shift, relu }) = self.before else {
                    for t in 0..count {
                        V::load(x.add(t * LANES)).store(to.add(t * LANES));
                    }
                    continue;
                };
                let (scale, shift) =
                    (V::load(scale.as_ptr().add(block * LANES)), V::load(shift.as_ptr().add(block * LANES)));
                if relu {
                    for t in 0..count {
                        zero.max(V::load(x.add(t * LANES)).mul_add(scale, shift)).store(to.add(t * LANES));
                    }
                } else {
                    for t in 0..count {
                        V::load(x.add(t * LANES)).mul_add(scale, shift).store(to.add(t * LANES));
                    }
                }
            }
        }
    }

    /// `T` positions from `first` on, which are packed, of `B` blocks of output channels. Meanwhile, with `ASK`, as many
    /// positions behind them are asked for, which are packed next: a few at a time, lest they hold up the products.
    ///
    /// # Safety
    ///
    /// They lie in the sample, and the blocks in the output; the machine has the instructions of `V`.
    #[inline(always)]
    unsafe fn multiply<V: Lanes, const T: usize, const B: usize, const ASK: bool>(&self, first: usize, block: usize) {
        let (planes, voxels) = (self.conv.input.blocks(), self.conv.output.voxels());
        let of_block = planes * LANES * LANES;
        // SAFETY: `forward` has checked the sizes of weights, bias and output; no other task has these positions of these
        // blocks.
        unsafe {
            let mut sums = [[V::splat(0.0); T]; B];
            for b in 0..B {
                sums[b] = [V::load(self.bias.as_ptr().add((block + b) * LANES)); T];
            }
            let (mut x, mut w) = (self.packed.as_ptr(), self.weights.as_ptr().add(block * of_block));
            let mut next = self.x.as_ptr().wrapping_add((first + T) * LANES);
            for _ in 0..planes {
                for c in 0..LANES {
                    if ASK && c < T {
                        prefetch(next.wrapping_add(c * LANES));
                    }
                    let mut weights = [V::splat(0.0); B];
                    for b in 0..B {
                        weights[b] = V::load(w.add(b * of_block));
                    }
                    w = w.add(LANES);
                    for t in 0..T {
                        let value = V::splat(*x.add(t * LANES + c));
                        for b in 0..B {
                            sums[b][t] = value.mul_add(weights[b], sums[b][t]);
                        }
                    }
                }
                x = x.add(T * LANES);
                next = next.wrapping_add(voxels * LANES);
            }
            let zero = V::splat(0.0);
            for b in 0..B {
                let at = self.start + ((block + b) * voxels + first) * LANES;
                let out = self.out.piece(at, T * LANES).as_mut_ptr();
                for t in 0..T {
                    let value = if self.relu { zero.max(sums[b][t]) } else { sums[b][t] };
                    value.store(out.add(t * LANES));
                }
            }
        }
    }
}

impl Kernel for Chunk<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let [mut first, end] = self.positions;
        let most = V::ROWS.min(ROWS);
        let length = (end - first).div_ceil((end - first).div_ceil(most));
        while first < end {
            let count = length.min(end - first);
            macro_rules! sizes {
                ($($t:literal)*) => {
                    match count {
                        // SAFETY: positions and blocks are those of the task; the caller vouches for the instructions.
                        $($t if $t <= V::ROWS => unsafe {
                            self.pack::<V>(first, count);
                            let [mut block, end] = self.blocks;
                            if V::BLOCKS == 2 {
                                while block + 1 < end {
                                    if block == self.blocks[0] {
                                        self.multiply::<V, $t, 2, true>(first, block);
                                    } else {
                                        self.multiply::<V, $t, 2, false>(first, block);
                                    }
                                    block += 2;
                                }
                            }
                            while block < end {
                                self.multiply::<V, $t, 1, false>(first, block);
                                block += 1;
                            }
                        },)*
                        _ => unreachable!("a tile of {count} positions"),
                    }
                };
            }
            sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
            first += count;
        }
    }
}
