//! Convolutions in groups of channels, tap by tap: sixteen channels at once where each sees one (depthwise), else one channel
//! after the other.

use super::shape::{Conv, LANES};
use rayon::prelude::*;

/// A convolution in groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grouped {
    /// Its extents; input and output lie in blocks.
    pub(crate) conv: Conv,
    /// Channels of the input that each channel of the output sees.
    pub(crate) seen: usize,
    /// Channels of the output of a group.
    pub(crate) of_group: usize,
}

impl Grouped {
    /// Whether each channel sees one, that of its own number.
    fn is_depthwise(&self) -> bool {
        self.seen == 1 && self.of_group == 1
    }

    fn taps(&self) -> usize {
        self.conv.window.taps()
    }

    /// Floats of packed weights: by block, tap and channel seen, sixteen channels of the output side by side.
    pub(crate) fn packed_len(&self) -> usize {
        self.conv.output.blocks() * self.taps() * self.seen * LANES
    }

    /// Where a weight lies, of channel `out`, channel `seen` and a tap.
    fn place(&self, out: usize, seen: usize, tap: usize) -> usize {
        ((out / LANES * self.taps() + tap) * self.seen + seen) * LANES + out % LANES
    }

    /// Weights `[out][seen][taps]` as the kernels want them.
    pub(crate) fn pack(&self, weight: &[f32], packed: &mut [f32]) {
        let taps = self.taps();
        for (row, weight) in weight.chunks_exact(taps).enumerate() {
            for (tap, weight) in weight.iter().enumerate() {
                packed[self.place(row / self.seen, row % self.seen, tap)] = *weight;
            }
        }
    }

    /// Taps with a voxel of the input inside the volume, for an output voxel.
    fn taps_at(&self, at: [usize; 3]) -> impl Iterator<Item = (usize, usize)> {
        let (window, size) = (self.conv.window, self.conv.input.size);
        let inside = move |axis: usize, tap: usize| {
            let place = at[axis] * window.stride[axis] + tap * window.dilation[axis];
            place.checked_sub(window.padding[axis]).filter(|&place| place < size[axis])
        };
        let [ki, kj, kk] = window.kernel;
        (0..ki).filter_map(move |ti| Some((ti, inside(0, ti)?))).flat_map(move |(ti, i)| {
            (0..kj).filter_map(move |tj| Some((tj, inside(1, tj)?))).flat_map(move |(tj, j)| {
                (0..kk).filter_map(move |tk| {
                    let k = inside(2, tk)?;
                    Some(((ti * kj + tj) * kk + tk, (i * size[1] + j) * size[2] + k))
                })
            })
        })
    }

    /// Taps with the voxel of the output that they lead to, for an input voxel.
    fn taps_to(&self, at: [usize; 3]) -> impl Iterator<Item = (usize, usize)> {
        let (window, size) = (self.conv.window, self.conv.output.size);
        let leads = move |axis: usize, tap: usize| {
            let place = (at[axis] + window.padding[axis]).checked_sub(tap * window.dilation[axis])?;
            let whole = place.is_multiple_of(window.stride[axis]);
            Some(place / window.stride[axis]).filter(|&place| whole && place < size[axis])
        };
        let [ki, kj, kk] = window.kernel;
        (0..ki).filter_map(move |ti| Some((ti, leads(0, ti)?))).flat_map(move |(ti, i)| {
            (0..kj).filter_map(move |tj| Some((tj, leads(1, tj)?))).flat_map(move |(tj, j)| {
                (0..kk).filter_map(move |tk| {
                    let k = leads(2, tk)?;
                    Some(((ti * kj + tj) * kk + tk, (i * size[1] + j) * size[2] + k))
                })
            })
        })
    }

    /// The convolution of a batch.
    pub(crate) fn forward(&self, batch: usize, x: &[f32], weights: &[f32], bias: &[f32], out: &mut [f32]) {
        let (input, output) = (&self.conv.input, &self.conv.output);
        let plane = output.size[1] * output.size[2] * LANES;
        out[..batch * output.len()].par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
            let (z, block) = (task % output.size[0], task / output.size[0] % output.blocks());
            let x = &x[task / output.size[0] / output.blocks() * input.len()..][..input.len()];
            let weights = &weights[block * self.taps() * self.seen * LANES..][..self.taps() * self.seen * LANES];
            for (voxel, out) in out.chunks_exact_mut(LANES).enumerate() {
                let at = [z, voxel / output.size[2], voxel % output.size[2]];
                out.copy_from_slice(&bias[block * LANES..][..LANES]);
                for (tap, from) in self.taps_at(at) {
                    if self.is_depthwise() {
                        let x = &x[(block * input.voxels() + from) * LANES..][..LANES];
                        for ((o, x), w) in out.iter_mut().zip(x).zip(&weights[tap * LANES..][..LANES]) {
                            *o += w * x;
                        }
                        continue;
                    }
                    for (lane, o) in out.iter_mut().enumerate().take(output.channels - block * LANES) {
                        let first = (block * LANES + lane) / self.of_group * self.seen;
                        for seen in 0..self.seen {
                            let channel = first + seen;
                            let x = x[(channel / LANES * input.voxels() + from) * LANES + channel % LANES];
                            *o += weights[(tap * self.seen + seen) * LANES + lane] * x;
                        }
                    }
                }
            }
        });
    }

    /// The gradient of the input.
    pub(crate) fn backward(&self, batch: usize, gradient: &[f32], weights: &[f32], out: &mut [f32]) {
        let (input, output) = (&self.conv.input, &self.conv.output);
        let plane = input.size[1] * input.size[2] * LANES;
        out[..batch * input.len()].par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
            let (z, block) = (task % input.size[0], task / input.size[0] % input.blocks());
            let gradient = &gradient[task / input.size[0] / input.blocks() * output.len()..][..output.len()];
            for (voxel, out) in out.chunks_exact_mut(LANES).enumerate() {
                let at = [z, voxel / input.size[2], voxel % input.size[2]];
                out.fill(0.0);
                for (tap, to) in self.taps_to(at) {
                    if self.is_depthwise() {
                        let g = &gradient[(block * output.voxels() + to) * LANES..][..LANES];
                        let weights = &weights[(block * self.taps() + tap) * LANES..][..LANES];
                        for ((o, g), w) in out.iter_mut().zip(g).zip(weights) {
                            *o += w * g;
                        }
                        continue;
                    }
                    for (lane, o) in out.iter_mut().enumerate().take(input.channels - block * LANES) {
                        let channel = block * LANES + lane;
                        let (group, seen) = (channel / self.seen, channel % self.seen);
                        for of in group * self.of_group..(group + 1) * self.of_group {
                            let g = gradient[(of / LANES * output.voxels() + to) * LANES + of % LANES];
                            *o += weights[self.place(of, seen, tap)] * g;
                        }
                    }
                }
            }
        });
    }

    /// Gradients of the weights `[out][seen][taps]`, and of the bias.
    #[allow(clippy::cast_possible_truncation, reason = "gradients are f32, sums are not")]
    pub(crate) fn weight_gradient(
        &self,
        batch: usize,
        x: &[f32],
        gradient: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let (input, output, taps) = (&self.conv.input, &self.conv.output, self.taps());
        let of_output = |sample: usize, out: usize, voxel: usize| {
            gradient[sample * output.len() + (out / LANES * output.voxels() + voxel) * LANES + out % LANES]
        };
        weight.par_chunks_exact_mut(taps).enumerate().for_each(|(row, weight)| {
            let out = row / self.seen;
            let channel = out / self.of_group * self.seen + row % self.seen;
            weight.fill(0.0);
            for sample in 0..batch {
                let x = &x[sample * input.len() + channel / LANES * input.voxels() * LANES..];
                for voxel in 0..output.voxels() {
                    let g = of_output(sample, out, voxel);
                    let [_, j, k] = output.size;
                    for (tap, from) in self.taps_at([voxel / (j * k), voxel / k % j, voxel % k]) {
                        weight[tap] += g * x[from * LANES + channel % LANES];
                    }
                }
            }
        });
        for (out, bias) in bias.into_iter().flatten().enumerate() {
            let sums = (0..batch * output.voxels())
                .map(|n| f64::from(of_output(n / output.voxels(), out, n % output.voxels())));
            *bias = sums.sum::<f64>() as f32;
        }
    }
}
