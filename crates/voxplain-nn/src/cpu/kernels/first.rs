//! The first block of a network: a convolution of few channels as planes, fused with ReLU and 2 x 2 x 2 max-pool.
//!
//! A task computes one plane of the pooled output, row by row: the four rows of the convolution under a pooled row go
//! to a buffer that stays in the first-level cache, from which the largest of each window is taken.

use super::buffer::{Shared, parallel};
use super::direct::{Steps, packed_len, tile};
use super::lanes::{Kernel, Lanes, dispatch};
use super::scratch::Cpu;
use super::shape::{Conv, LANES, Layout};
use super::winograd::pool_eight;

/// Whether the convolution can be fused with its pool here.
pub(crate) fn fits(conv: &Conv) -> bool {
    conv.input.layout == Layout::Planar && conv.window.padding == [0; 3] && conv.output.size.iter().all(|&s| s >= 2)
}

/// Extents of the pooled output.
pub(crate) fn pooled(conv: &Conv) -> [usize; 3] {
    conv.output.size.map(|s| s / 2)
}

/// Floats of scratch per thread: four rows of two blocks.
pub(crate) fn scratch_len(conv: &Conv) -> usize {
    4 * 2 * pooled(conv)[2] * 2 * LANES
}

/// Convolves, adds the bias, cuts off below zero and pools a batch; `taps` says which of the eight is largest, 0 to 7 in C
/// order, and 0 when all were cut off.
pub(crate) fn forward(
    cpu: Cpu<'_>,
    conv: &Conv,
    batch: usize,
    x: &[f32],
    (weights, bias): (&[f32], &[f32]),
    taps: Option<&mut [u8]>,

    out: &mut [f32],
) {
    assert!(fits(conv));
    let (input, blocks) = (conv.input, conv.output.blocks());
    for axis in 0..3 {
        let w = &conv.window;
        assert!(
            (conv.output.size[axis] - 1) * w.stride[axis] + (w.kernel[axis] - 1) * w.dilation[axis] < input.size[axis]
        );
    }
    assert!(x.len() >= batch * input.len());
    assert_eq!(weights.len(), packed_len(conv));
    assert_eq!(bias.len(), blocks * LANES);
    let size = pooled(conv);
    let plane = size[1] * size[2] * LANES;
    let (out, taps) = (Shared::new(out), taps.map(Shared::new));
    let pairs = blocks.div_ceil(2);
    parallel(batch * pairs * size[0], |task| {
        let (z, pair, sample) = (task % size[0], task / size[0] % pairs, task / size[0] / pairs);
        let x = &x[sample * input.len()..][..input.len()];
        cpu.scratch.lend(scratch_len(conv), |rows| {
            let first = pair * 2;
            let count = (blocks - first).min(2);
            let start = [first, first + count - 1].map(|block| ((sample * blocks + block) * size[0] + z) * plane);
            dispatch(
                cpu.isa,
                Plane { conv, x, weights, bias, size, z, first, count, start, rows, out: &out, taps: taps.as_ref() },
            );
        });
    });
}

struct Plane<'a> {
    conv: &'a Conv,
    x: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    size: [usize; 3],
    z: usize,
    first: usize,
    count: usize,
    /// Where the plane of each block starts in `out`.
    start: [usize; 2],
    rows: &'a mut [f32],
    out: &'a Shared<'a, f32>,
    taps: Option<&'a Shared<'a, u8>>,
}

impl Plane<'_> {
    #[inline(always)]
    unsafe fn blocks<V: Lanes, const B: usize>(&mut self, offset: usize) {
        let (conv, size) = (self.conv, self.size);
        let steps = Steps::of(conv);
        let stride = conv.window.stride;
        let (row, slab) = (conv.input.size[2], conv.input.size[1] * conv.input.size[2]);
        let length = 2 * size[2];
        let most = V::ROWS.min(14);
        let part = length.div_ceil(length.div_ceil(most));
        // SAFETY: `forward` has checked that windows stay within the input and the sizes of weights and bias; rows
        // hold four rows of `B` blocks; each task has its own planes of the output.
        unsafe {
            let w = self.weights.as_ptr().add((self.first + offset) * steps.weights);
            let zero = [V::splat(0.0); B];
            for y in 0..size[1] {
                for r in 0..4 {
                    let (i, j) = (2 * self.z + r / 2, 2 * y + r % 2);
                    let x = self.x.as_ptr().add(i * stride[0] * slab + j * stride[1] * row);
                    let to = self.rows.as_mut_ptr().add(r * length * B * LANES);
                    let mut k = 0;
                    while k < length {
                        let count = part.min(length - k);
                        macro_rules! sizes {
                            ($($t:literal)*) => {
                                match count {
                                    $($t if $t <= V::ROWS => {
                                        let sum = tile::<V, $t, B, 1>(&steps, x.add(k * steps.position), w, zero);
                                        for t in 0..$t {
                                            for b in 0..B {
                                                sum[b][t].store(to.add(((k + t) * B + b) * LANES));
                                            }
                                        }
                                    })*
                                    _ => unreachable!("a tile of {count} positions"),
                                }
                            };
                        }
                        sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
                        k += count;
                    }
                }
                for b in 0..B {
                    let bias = V::load(self.bias.as_ptr().add((self.first + offset + b) * LANES));
                    let at = self.start[offset + b] + y * size[2] * LANES;
                    let out = self.out.piece(at, size[2] * LANES).as_mut_ptr();
                    let taps = self.taps.map(|taps| taps.piece(at, size[2] * LANES).as_mut_ptr());
                    let from = self.rows.as_ptr().add(b * LANES);
                    for k in 0..size[2] {
                        let mut values = [bias; 8];
                        for (index, value) in values.iter_mut().enumerate() {
                            *value = V::load(from.add(((index / 2) * length + 2 * k + index % 2) * B * LANES));
                        }
                        let (max, which) = pool_eight(values, bias);
                        max.store(out.add(k * LANES));
                        if let Some(taps) = taps {
                            which.store_bytes(taps.add(k * LANES));
                        }
                    }
                }
            }
        }
    }
}

impl Kernel for Plane<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            if V::BLOCKS == 2 && self.count == 2 {
                self.blocks::<V, 2>(0);
            } else {
                for b in 0..self.count {
                    self.blocks::<V, 1>(b);
                }
            }
        }
    }
}
