//! The backward pass through a pooled block, in evaluation: pool, ReLU and convolution (batch-norm folded) at once.
//!
//! At most one position in eight of the convolution's output carries gradient, and none where the ReLU lets nothing
//! through, so only those are taken: each adds its gradient times the 27 taps to the input's. Slabs of pooled planes
//! that do not touch each other run at once: first the even ones, then the odd, so that every voxel sums in one order.

use super::buffer::{Shared, parallel};
use super::elementwise::passes;
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::rearrange::fill;
use super::shape::{Conv, LANES, Layout, Volume};
use crate::ReluRule;

/// Slabs of a sample.
const SLABS: usize = 4;

/// Whether the block can take its backward pass here.
pub(crate) fn fits(conv: &Conv) -> bool {
    let window = &conv.window;
    window.kernel == [3; 3] && window.is_dense() && window.padding == [0; 3] && conv.output.size.iter().all(|&s| s >= 2)
}

/// Floats of packed weights.
pub(crate) fn packed_len(conv: &Conv) -> usize {
    match conv.input.layout {
        Layout::Planar => conv.input.channels * conv.output.channels * 8 * 64,
        Layout::Blocked | Layout::Flat => conv.input.blocks() * conv.output.channels * 27 * LANES,
    }
}

/// Weights `[out][in][27]` as `[in / 16][out][27][16]`. For planes: what a gradient at each of the eight positions of
/// a pooling window adds to the 4 x 4 x 4 voxels under it, `[in][out][8][64]`.
pub(crate) fn pack(conv: &Conv, weights: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
    let (input, output) = (conv.input, conv.output);
    assert_eq!(weights.len(), input.channels * output.channels * 27);
    assert_eq!(packed.len(), packed_len(conv));
    packed.fill(0.0);
    for (o, of_out) in weights.chunks_exact(input.channels * 27).enumerate() {
        let factor = scale.map_or(1.0, |s| s[o]);
        for (i, of_in) in of_out.chunks_exact(27).enumerate() {
            for (tap, w) in of_in.iter().enumerate() {
                let w = w * factor;
                if input.layout == Layout::Planar {
                    for position in 0..8 {
                        let [a, b, c] =
                            [position / 4 + tap / 9, position / 2 % 2 + tap / 3 % 3, position % 2 + tap % 3];
                        packed[((i * output.channels + o) * 8 + position) * 64 + (a * 4 + b) * 4 + c] = w;
                    }
                } else {
                    packed[((i / LANES * output.channels + o) * 27 + tap) * LANES + i % LANES] = w;
                }
            }
        }
    }
}

/// What the forward pass left, and what reaches it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooled<'a> {
    /// Gradient of the pooled output.
    pub(crate) gradient: &'a [f32],
    /// The pooled output.
    pub(crate) y: &'a [f32],
    /// Which of the eight is largest.
    pub(crate) taps: &'a [u8],
}

/// Gradient of the input of a pooled block, for a batch.
pub(crate) fn backward(
    isa: Isa,
    conv: &Conv,
    batch: usize,
    pooled: Pooled<'_>,
    weights: &[f32],
    rule: ReluRule,
    out: &mut [f32],
) {
    assert!(fits(conv));
    assert_eq!(weights.len(), packed_len(conv));
    for axis in 0..3 {
        assert_eq!(conv.input.size[axis], conv.output.size[axis] + 2);
    }
    let size = conv.output.size.map(|s| s / 2);
    let of_sample = size.iter().product::<usize>() * conv.output.blocks() * LANES;
    assert!([pooled.gradient.len(), pooled.y.len(), pooled.taps.len()].iter().all(|&len| len >= batch * of_sample));
    let input = conv.input;
    let out = &mut out[..batch * input.len()];
    fill(out, 0.0);
    let of_plane = input.voxels() * input.unit();
    let shared = Shared::new(out);
    let slabs = SLABS.min(size[0]);
    for parity in 0..2 {
        let count = (slabs + 1 - parity) / 2;
        parallel(batch * input.planes() * count, |task| {
            let (slab, plane, sample) =
                (2 * (task % count) + parity, task / count % input.planes(), task / count / input.planes());
            let (from, to) = (size[0] * slab / slabs, size[0] * (slab + 1) / slabs);
            let row = input.size[1] * input.size[2] * input.unit();
            // SAFETY: a slab of pooled planes `from..to` reaches the input's planes `2 from..2 to + 2`; between slabs
            // of the same parity lies one of at least a pooled plane, that is two of the input's.
            let out = unsafe {
                shared.piece(sample * input.len() + plane * of_plane + 2 * from * row, (2 * (to - from) + 2) * row)
            };
            let at = sample * of_sample;
            let pooled = Pooled {
                gradient: &pooled.gradient[at..at + of_sample],
                y: &pooled.y[at..at + of_sample],
                taps: &pooled.taps[at..at + of_sample],
            };
            let weights = &weights[plane * (weights.len() / input.planes())..][..weights.len() / input.planes()];
            let slab = Slab { conv, size, planes: [from, to], pooled, weights, rule, out };
            if input.layout == Layout::Planar {
                dispatch(isa, Planar(slab));
            } else {
                dispatch(isa, Blocked(slab));
            }
        });
    }
}

/// Pooled planes `planes[0]..planes[1]` of one sample, backwards to one plane or block of the input.
struct Slab<'a> {
    conv: &'a Conv,
    size: [usize; 3],
    planes: [usize; 2],
    pooled: Pooled<'a>,
    weights: &'a [f32],
    rule: ReluRule,
    /// From the input's plane `2 * planes[0]` on.
    out: &'a mut [f32],
}

impl Slab<'_> {
    /// The channels of one pooled voxel of a block that let something through, as bits.
    #[inline(always)]
    unsafe fn open<V: Lanes>(&self, at: usize) -> u32 {
        // SAFETY: the slice is sixteen floats; the caller vouches for the instructions.
        unsafe {
            let g = V::load(self.pooled.gradient[at..at + LANES].as_ptr());
            let y = V::load(self.pooled.y[at..at + LANES].as_ptr());
            let zero = V::splat(0.0);
            let some = V::bits(g.greater(zero)) | V::bits(zero.greater(g));
            V::bits(passes::<V>(self.rule, y, g)) & some
        }
    }
}

/// Into one plane of a planar input.
struct Planar<'a>(Slab<'a>);

impl Kernel for Planar<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let slab = self.0;
        let [_, pj, pk] = slab.size;
        let (output, input) = (slab.conv.output, slab.conv.input);
        let voxels = slab.size.iter().product::<usize>();
        assert_eq!(slab.weights.len(), output.channels * 8 * 64);
        for z in slab.planes[0]..slab.planes[1] {
            for y in 0..pj {
                for x in 0..pk {
                    // SAFETY: `backward` has checked the lengths of what was pooled, and `pack` made 8 patterns of 64 for
                    // each output channel, of which only those that are there are open; the caller vouches for the
                    // instructions.
                    unsafe {
                        let mut sum = [V::splat(0.0); 4];
                        for block in 0..output.blocks() {
                            let at = (block * voxels + (z * pj + y) * pk + x) * LANES;
                            let mut open = slab.open::<V>(at) & lanes_of(&output, block);
                            while open != 0 {
                                let lane = open.trailing_zeros() as usize;
                                open &= open - 1;
                                let g = V::splat(*slab.pooled.gradient.get_unchecked(at + lane));
                                let tap = usize::from(*slab.pooled.taps.get_unchecked(at + lane)) % 8;
                                let pattern = slab.weights.as_ptr().add(((block * LANES + lane) * 8 + tap) * 64);
                                for i in 0..4 {
                                    sum[i] = V::load(pattern.add(i * LANES)).mul_add(g, sum[i]);
                                }
                            }
                        }
                        for (i, sum) in sum.into_iter().enumerate() {
                            let mut window = [0f32; LANES];
                            sum.store(window.as_mut_ptr());
                            for j in 0..4 {
                                let start = ((2 * (z - slab.planes[0]) + i) * input.size[1] + 2 * y + j)
                                    * input.size[2]
                                    + 2 * x;
                                let row = &mut slab.out[start..start + 4];
                                for k in 0..4 {
                                    row[k] += window[j * 4 + k];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The lanes of a block that hold channels, as bits.
#[inline(always)]
fn lanes_of(volume: &Volume, block: usize) -> u32 {
    let count = LANES.min(volume.channels - block * LANES);
    (1 << count) - 1
}

/// Into one block of a blocked input.
struct Blocked<'a>(Slab<'a>);

/// Most pooled voxels of a row that are gathered at a time.
const GATHERED: usize = 64;

impl Kernel for Blocked<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let slab = self.0;
        let [_, pj, pk] = slab.size;
        let (output, input) = (slab.conv.output, slab.conv.input);
        let voxels = slab.size.iter().product::<usize>();
        let (row, plane) = (input.size[2] * LANES, input.size[1] * input.size[2] * LANES);
        let mut open = [0u32; GATHERED];
        for z in slab.planes[0]..slab.planes[1] {
            for y in 0..pj {
                for first in (0..pk).step_by(GATHERED) {
                    let count = GATHERED.min(pk - first);
                    for block in 0..output.blocks() {
                        let base = (block * voxels + (z * pj + y) * pk + first) * LANES;
                        let mut any = 0;
                        for (x, open) in open[..count].iter_mut().enumerate() {
                            // SAFETY: the caller vouches for the instructions.
                            *open = unsafe { slab.open::<V>(base + x * LANES) } & lanes_of(&output, block);
                            any |= *open;
                        }
                        while any != 0 {
                            let lane = any.trailing_zeros() as usize;
                            any &= any - 1;
                            let channel = block * LANES + lane;
                            // SAFETY: `pack` made 27 taps for each output channel; a position of a pooling window
                            // and its taps lie within four planes, rows and voxels of the window's corner, which
                            // `backward` has given room for, and `check` below holds them to it.
                            unsafe {
                                let mut taps = [V::splat(0.0); 27];
                                let w = slab.weights[channel * 27 * LANES..][..27 * LANES].as_ptr();
                                for (tap, to) in taps.iter_mut().enumerate() {
                                    *to = V::load(w.add(tap * LANES));
                                }
                                for (x, open) in open[..count].iter().enumerate() {
                                    if open & (1 << lane) == 0 {
                                        continue;
                                    }
                                    let at = base + x * LANES + lane;
                                    let g = V::splat(slab.pooled.gradient[at]);
                                    let tap = usize::from(slab.pooled.taps[at]);
                                    let start = (2 * (z - slab.planes[0]) + tap / 4) * plane
                                        + (2 * y + tap / 2 % 2) * row
                                        + (2 * (first + x) + tap % 2) * LANES;
                                    let check = start + 2 * plane + 2 * row + 3 * LANES;
                                    assert!(check <= slab.out.len());
                                    let to = slab.out.as_mut_ptr().add(start);
                                    for i in 0..3 {
                                        for j in 0..3 {
                                            for k in 0..3 {
                                                let to = to.add(i * plane + j * row + k * LANES);
                                                taps[i * 9 + j * 3 + k].mul_add(g, V::load(to)).store(to);
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
