//! Normalisation by a sample's own statistics: sums by channel and block, then one pass; or sums by voxel over blocks, then one
//! pass.

use super::buffer::Buffer;
use super::shape::{LANES, Volume};
use crate::{NormOver, SampleNorm};
use rayon::prelude::*;

/// A normalisation, with what it measures of a batch.
#[derive(Debug)]
pub(crate) struct Normalisation {
    over: NormOver,
    epsilon: f64,
    volume: Volume,
    /// Scale and shift as weights, per channel padded to 16.
    weight: Buffer,
    bias: Buffer,
    /// By sample and channel (of groups) or by sample and voxel (of channels): mean and `1 / sqrt(variance + epsilon)`.
    moments: Vec<[f64; 2]>,
    /// In the same places, what the backward pass takes away: means of the gradient, and of the gradient along the values.
    taken: Vec<[f64; 2]>,
    /// By sample and channel: two sums over its voxels.
    sums: Vec<[f64; 2]>,
}

impl Normalisation {
    /// Room for a batch.
    pub(crate) fn new(spec: &SampleNorm, volume: &Volume, batch: usize) -> Self {
        let padded = volume.blocks() * LANES;
        let places = match spec.over {
            NormOver::Groups(_) => padded,
            NormOver::Channels => volume.voxels(),
        };
        Self {
            over: spec.over,
            epsilon: f64::from(spec.epsilon),
            volume: *volume,
            weight: Buffer::zeros(padded),
            bias: Buffer::zeros(padded),
            moments: vec![[0.0; 2]; batch * places],
            taken: vec![[0.0; 2]; batch * places],
            sums: vec![[0.0; 2]; batch * padded],
        }
    }

    /// Takes the weights.
    pub(crate) fn take(&mut self, spec: &SampleNorm) {
        self.weight[..spec.channels].copy_from_slice(spec.weight.data());
        self.bias[..spec.channels].copy_from_slice(spec.bias.data());
    }

    /// Bytes of what it measures.
    pub(crate) fn measured_len(&self) -> usize {
        (self.moments.len() + self.taken.len() + self.sums.len()) * size_of::<[f64; 2]>()
    }

    /// Floats of its weights.
    pub(crate) fn weights_len(&self) -> usize {
        self.weight.len() + self.bias.len()
    }

    /// Two sums over the voxels of each channel: of what `of` gives for a place of the batch and a channel of a sample.
    fn sum_channels(&mut self, batch: usize, of: impl Fn(usize, usize) -> [f64; 2] + Sync + Send) {
        let voxels = self.volume.voxels();
        let padded = self.volume.blocks() * LANES;
        self.sums[..batch * padded].par_chunks_exact_mut(LANES).enumerate().for_each(|(block, sums)| {
            sums.fill([0.0; 2]);
            for voxel in 0..voxels {
                let start = (block * voxels + voxel) * LANES;
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let [a, b] = of(start + lane, block * LANES + lane);
                    sum[0] += a;
                    sum[1] += b;
                }
            }
        });
    }

    /// Sums of the channels of each group, times a weight of each channel, given to all of its channels by `finish`.
    fn join_groups(
        (sums, groups, channels): (&[[f64; 2]], usize, usize),
        weight: impl Fn(usize) -> f64,
        count: f64,
        finish: impl Fn([f64; 2]) -> [f64; 2],
        into: &mut [[f64; 2]],
    ) {
        let of_group = channels / groups;
        let padded = channels.next_multiple_of(LANES);
        for (sums, into) in sums.chunks_exact(padded).zip(into.chunks_exact_mut(padded)) {
            for group in 0..groups {
                let range = group * of_group..(group + 1) * of_group;
                let mut joined = [0.0; 2];
                for channel in range.clone() {
                    joined[0] += weight(channel) * sums[channel][0];
                    joined[1] += weight(channel) * sums[channel][1];
                }
                into[range].fill(finish(joined.map(|sum| sum / (count * of_group as f64))));
            }
        }
    }

    /// What is kept for the value at a place of a batch.
    fn place(over: NormOver, volume: &Volume, at: usize) -> usize {
        let (block, voxel) = (at / LANES / volume.voxels(), at / LANES % volume.voxels());
        match over {
            NormOver::Groups(_) => block * LANES + at % LANES,
            NormOver::Channels => block / volume.blocks() * volume.voxels() + voxel,
        }
    }

    /// Two sums over the channels of each voxel.
    fn sum_voxels(
        volume: &Volume,
        batch: usize,
        of: impl Fn(usize, usize) -> [f64; 2] + Sync + Send,
        into: &mut [[f64; 2]],
    ) {
        let (voxels, blocks, channels) = (volume.voxels(), volume.blocks(), volume.channels);
        into[..batch * voxels].par_chunks_mut(256).enumerate().for_each(|(part, into)| {
            for (n, into) in into.iter_mut().enumerate() {
                let (sample, voxel) = ((part * 256 + n) / voxels, (part * 256 + n) % voxels);
                *into = [0.0; 2];
                for channel in 0..channels {
                    let block = sample * blocks + channel / LANES;
                    let [a, b] = of((block * voxels + voxel) * LANES + channel % LANES, channel);
                    into[0] += a;
                    into[1] += b;
                }
            }
        });
    }

    /// What is kept of samples from `first` on.
    fn kept(&self, first: usize, batch: usize) -> std::ops::Range<usize> {
        let places = match self.over {
            NormOver::Groups(_) => self.volume.blocks() * LANES,
            NormOver::Channels => self.volume.voxels(),
        };
        first * places..(first + batch) * places
    }

    /// Samples from `first` on, normalised.
    #[allow(clippy::cast_possible_truncation, reason = "values are f32, statistics are not")]
    pub(crate) fn forward(&mut self, (first, batch): (usize, usize), x: &[f32], out: &mut [f32]) {
        let kept = self.kept(first, batch);
        let (volume, epsilon) = (self.volume, self.epsilon);
        let padded = volume.blocks() * LANES;
        // From the mean and the mean square, in double precision.
        let moments = |[mean, square]: [f64; 2]| [mean, 1.0 / ((square - mean * mean).max(0.0) + epsilon).sqrt()];
        let powers = |at: usize, _: usize| [f64::from(x[at]), f64::from(x[at]) * f64::from(x[at])];
        match self.over {
            NormOver::Groups(groups) => {
                self.sum_channels(batch, powers);
                let sums = (&self.sums[..batch * padded], groups, volume.channels);
                Self::join_groups(sums, |_| 1.0, volume.voxels() as f64, moments, &mut self.moments[kept.clone()]);
            }
            NormOver::Channels => {
                Self::sum_voxels(&volume, batch, powers, &mut self.moments[kept.clone()]);
                let all = self.moments[kept.clone()].iter_mut();
                all.for_each(|sums| *sums = moments(sums.map(|sum| sum / volume.channels as f64)));
            }
        }
        let moments = &self.moments[kept];
        let of_block = volume.voxels() * LANES;
        out[..batch * volume.len()].par_chunks_exact_mut(of_block).enumerate().for_each(|(block, out)| {
            let first = block % volume.blocks() * LANES;
            for (n, out) in out.iter_mut().enumerate() {
                let at = block * of_block + n;
                let channel = first + n % LANES;
                let [mean, inverse] = moments[Self::place(self.over, &volume, at)];
                let normal = (f64::from(x[at]) - mean) * inverse;
                *out = (normal * f64::from(self.weight[channel]) + f64::from(self.bias[channel])) as f32;
            }
        });
    }

    /// The gradient of the input, after a forward pass of the same samples.
    #[allow(clippy::cast_possible_truncation, reason = "values are f32, statistics are not")]
    pub(crate) fn backward(&mut self, (first, batch): (usize, usize), x: &[f32], gradient: &[f32], out: &mut [f32]) {
        let volume = self.volume;
        let kept = self.kept(first, batch);
        match self.over {
            NormOver::Groups(groups) => {
                self.sum_along((first, batch), x, gradient);
                let sums = (&self.sums[..batch * volume.blocks() * LANES], groups, volume.channels);
                let weight = |channel: usize| f64::from(self.weight[channel]);
                Self::join_groups(sums, weight, volume.voxels() as f64, |means| means, &mut self.taken);
            }
            NormOver::Channels => {
                let moments = &self.moments[kept.clone()];
                let of = |at: usize, channel: usize| {
                    let [mean, inverse] = moments[Self::place(self.over, &volume, at)];
                    let g = f64::from(gradient[at]) * f64::from(self.weight[channel]);
                    [g, g * (f64::from(x[at]) - mean) * inverse]
                };
                let mut taken = std::mem::take(&mut self.taken);
                Self::sum_voxels(&volume, batch, of, &mut taken);
                taken[..batch * volume.voxels()].iter_mut().flatten().for_each(|sum| *sum /= volume.channels as f64);
                self.taken = taken;
            }
        }
        let moments = &self.moments[kept];
        let of_block = volume.voxels() * LANES;
        out[..batch * volume.len()].par_chunks_exact_mut(of_block).enumerate().for_each(|(block, out)| {
            let first = block % volume.blocks() * LANES;
            for (n, out) in out.iter_mut().enumerate() {
                let at = block * of_block + n;
                let place = Self::place(self.over, &volume, at);
                let ([mean, inverse], [sum, along]) = (moments[place], self.taken[place]);
                let g = f64::from(gradient[at]) * f64::from(self.weight[first + n % LANES]);
                let normal = (f64::from(x[at]) - mean) * inverse;
                // Channels that fill up a block have no statistics.
                let is_one = first + n % LANES < volume.channels;
                *out = if is_one { (inverse * (g - sum - normal * along)) as f32 } else { 0.0 };
            }
        });
    }

    /// For each channel of each sample, the sum of the gradient, and of the gradient along the normalised values.
    fn sum_along(&mut self, (first, batch): (usize, usize), x: &[f32], gradient: &[f32]) {
        let kept = self.kept(first, batch);
        let (over, volume) = (self.over, self.volume);
        let moments = std::mem::take(&mut self.moments);
        let of_samples = &moments[kept];
        self.sum_channels(batch, |at, _| {
            let [mean, inverse] = of_samples[Self::place(over, &volume, at)];
            let g = f64::from(gradient[at]);
            [g, g * (f64::from(x[at]) - mean) * inverse]
        });
        self.moments = moments;
    }

    /// Gradients of scale and shift, after a forward pass of the whole batch.
    #[allow(clippy::cast_possible_truncation, reason = "gradients are f32, sums are not")]
    pub(crate) fn weight_gradients(
        &mut self,
        batch: usize,
        (x, gradient): (&[f32], &[f32]),
        (scale, shift): (&mut [f32], &mut [f32]),
    ) {
        self.sum_along((0, batch), x, gradient);
        let padded = self.volume.blocks() * LANES;
        let sum = |channel: usize, which: usize| -> f32 {
            (0..batch).map(|sample| self.sums[sample * padded + channel][which]).sum::<f64>() as f32
        };
        scale.iter_mut().enumerate().for_each(|(channel, scale)| *scale = sum(channel, 1));
        shift.iter_mut().enumerate().for_each(|(channel, shift)| *shift = sum(channel, 0));
    }
}
