//! Between layouts: blocks and planes, padding, channels joined and split. Moves values, computes nothing.

use super::buffer::parallel;
use super::shape::{Conv, LANES, Layout, Volume};
use rayon::prelude::*;

/// One sample of any layout as `[C][i][j][k]` or `[F]`.
pub(crate) fn to_plain(volume: &Volume, sample: &[f32], plain: &mut [f32]) {
    assert_eq!(plain.len(), volume.values());
    if volume.layout != Layout::Blocked {
        plain.copy_from_slice(&sample[..plain.len()]);
        return;
    }
    let voxels = volume.voxels();
    for (block, channels) in plain.chunks_mut(LANES * voxels).enumerate() {
        let of_block = &sample[block * voxels * LANES..][..voxels * LANES];
        for (voxel, lanes) in of_block.chunks_exact(LANES).enumerate() {
            for (channel, value) in channels.chunks_exact_mut(voxels).zip(lanes) {
                channel[voxel] = *value;
            }
        }
    }
}

/// One sample of `[C][i][j][k]` or `[F]` in its layout; what the layout adds is zero.
pub(crate) fn from_plain(volume: &Volume, plain: &[f32], sample: &mut [f32]) {
    assert_eq!(plain.len(), volume.values());
    let sample = &mut sample[..volume.len()];
    if volume.layout != Layout::Blocked {
        sample[..plain.len()].copy_from_slice(plain);
        sample[plain.len()..].fill(0.0);
        return;
    }
    let voxels = volume.voxels();
    for (block, of_block) in sample.chunks_exact_mut(voxels * LANES).enumerate() {
        let channels = &plain[block * LANES * voxels..];
        let channels = &channels[..channels.len().min(LANES * voxels)];
        for (voxel, lanes) in of_block.chunks_exact_mut(LANES).enumerate() {
            lanes.fill(0.0);
            for (lane, channel) in lanes.iter_mut().zip(channels.chunks_exact(voxels)) {
                *lane = channel[voxel];
            }
        }
    }
}

/// A batch in blocks with a value around it, more on one side than on the other.
pub(crate) fn surround(
    (from, to): (&Volume, &Volume),
    before: [usize; 3],
    value: f32,
    batch: usize,
    x: &[f32],
    out: &mut [f32],
) {
    let row = from.size[2] * LANES;
    let of_block = to.voxels() * LANES;
    out[..batch * to.len()].par_chunks_exact_mut(of_block).enumerate().for_each(|(block, out)| {
        out.fill(value);
        let x = &x[block * from.voxels() * LANES..][..from.voxels() * LANES];
        for (index, x) in x.chunks_exact(row).enumerate() {
            let (i, j) = (index / from.size[1], index % from.size[1]);
            let at = ((i + before[0]) * to.size[1] + j + before[1]) * to.size[2] + before[2];
            out[at * LANES..][..row].copy_from_slice(x);
        }
    });
}

/// What reaches the inside of that.
pub(crate) fn cut((from, to): (&Volume, &Volume), before: [usize; 3], batch: usize, gradient: &[f32], out: &mut [f32]) {
    let row = from.size[2] * LANES;
    out[..batch * from.len()].par_chunks_exact_mut(row).enumerate().for_each(|(index, out)| {
        let (block, i, j) =
            (index / (from.size[0] * from.size[1]), index / from.size[1] % from.size[0], index % from.size[1]);
        let at = ((block * to.size[0] + i + before[0]) * to.size[1] + j + before[1]) * to.size[2] + before[2];
        out.copy_from_slice(&gradient[at * LANES..][..row]);
    });
}

/// A batch with zeros around it.
pub(crate) fn pad(volume: &Volume, padding: [usize; 3], batch: usize, x: &[f32], padded: &mut [f32]) {
    let (to, unit) = (volume.padded(padding), volume.unit());
    let (row, slab) = (to.size[2] * unit, to.size[1] * to.size[2] * unit);
    padded[..batch * to.len()].par_chunks_exact_mut(to.len()).zip(x.par_chunks_exact(volume.len())).for_each(
        |(to_sample, x)| {
            to_sample.fill(0.0);
            let rows = x[..volume.planes() * volume.voxels() * unit].chunks_exact(volume.size[2] * unit);
            for (index, from) in rows.enumerate() {
                let (j, i, plane) = (
                    index % volume.size[1],
                    index / volume.size[1] % volume.size[0],
                    index / volume.size[1] / volume.size[0],
                );
                let at =
                    plane * to.size[0] * slab + (i + padding[0]) * slab + (j + padding[1]) * row + padding[2] * unit;
                to_sample[at..at + from.len()].copy_from_slice(from);
            }
        },
    );
}

/// The gradient of a convolution's output where [`Conv::backward`] reads it: its positions a stride apart, shifted by
/// the padding, zeros elsewhere.
pub(crate) fn spread(conv: &Conv, batch: usize, gradient: &[f32], out: &mut [f32]) {
    let (from, to, window) = (conv.output, conv.backward().input, conv.window);
    // Where position `p` of the gradient goes along an axis, if anywhere.
    let place = |axis: usize, p: usize| {
        let reach = window.dilation[axis] * (window.kernel[axis] - 1);
        (p * window.stride[axis] + reach).checked_sub(window.padding[axis]).filter(|at| *at < to.size[axis])
    };
    let (row, slab) = (to.size[2] * LANES, to.size[1] * to.size[2] * LANES);
    out[..batch * to.len()].par_chunks_exact_mut(to.voxels() * LANES).enumerate().for_each(|(index, out)| {
        out.fill(0.0);
        let g = &gradient[index * from.voxels() * LANES..][..from.voxels() * LANES];
        for i in 0..from.size[0] {
            let Some(to_i) = place(0, i) else { continue };
            for j in 0..from.size[1] {
                let Some(to_j) = place(1, j) else { continue };
                for k in 0..from.size[2] {
                    let Some(to_k) = place(2, k) else { continue };
                    let at = to_i * slab + to_j * row + to_k * LANES;
                    let voxel = (i * from.size[1] + j) * from.size[2] + k;
                    out[at..at + LANES].copy_from_slice(&g[voxel * LANES..][..LANES]);
                }
            }
        }
    });
}

/// Changes the layout of a batch; values and their order as users count them stay.
pub(crate) fn convert(from: &Volume, to: &Volume, batch: usize, x: &[f32], out: &mut [f32]) {
    assert_eq!(from.values(), to.values());
    let (x, out) = (&x[..batch * from.len()], &mut out[..batch * to.len()]);
    match (from.layout, to.layout) {
        (Layout::Blocked, Layout::Blocked) => copy(x, out),
        (Layout::Planar | Layout::Flat, Layout::Blocked) => out
            .par_chunks_exact_mut(to.len())
            .zip(x.par_chunks_exact(from.len()))
            .for_each(|(out, x)| from_plain(to, &x[..from.values()], out)),
        (_, Layout::Planar | Layout::Flat) => {
            out.par_chunks_exact_mut(to.len()).zip(x.par_chunks_exact(from.len())).for_each(|(out, x)| {
                let (values, rest) = out.split_at_mut(from.values());
                to_plain(from, x, values);
                rest.fill(0.0);
            });
        }
    }
}

/// Copies `count` channels of a batch, from channel `first` of one volume to channel `at` of another.
pub(crate) fn copy_channels(
    from: (&Volume, &[f32], usize),
    to: (&Volume, &mut [f32], usize),
    count: usize,
    batch: usize,
) {
    let ((from, x, first), (to, out, at)) = (from, to);
    assert_eq!(from.size, to.size);
    let voxels = from.voxels();
    // Whole blocks lie together on both sides; what is left over is taken channel by channel.
    let together = from.layout == Layout::Blocked
        && to.layout == Layout::Blocked
        && first.is_multiple_of(LANES)
        && at.is_multiple_of(LANES);
    let whole = if together { count / LANES * LANES } else { 0 };
    if whole > 0 {
        let row = from.size[2] * from.size[1] * LANES;
        let (len, of_sample) = (whole / LANES * voxels * LANES, to.len());
        let x_start = |sample: usize| sample * from.len() + first * voxels;
        let shared = super::buffer::Shared::new(&mut out[..batch * of_sample]);
        parallel(batch * len / row, |task| {
            let (sample, plane) = (task / (len / row), task % (len / row));
            // SAFETY: planes do not overlap.
            let out = unsafe { shared.piece(sample * of_sample + at * voxels + plane * row, row) };
            out.copy_from_slice(&x[x_start(sample) + plane * row..][..row]);
        });
    }
    let place = |volume: &Volume, channel: usize| match volume.layout {
        Layout::Planar => (channel * voxels, 1),
        Layout::Blocked | Layout::Flat => ((channel / LANES * voxels) * LANES + channel % LANES, LANES),
    };
    for sample in 0..batch {
        let (x, out) = (&x[sample * from.len()..][..from.len()], &mut out[sample * to.len()..][..to.len()]);
        for channel in whole..count {
            let ((a, a_step), (b, b_step)) = (place(from, first + channel), place(to, at + channel));
            for voxel in 0..voxels {
                out[b + voxel * b_step] = x[a + voxel * a_step];
            }
        }
    }
}

/// Copies a slice on all threads.
pub(crate) fn copy(from: &[f32], to: &mut [f32]) {
    const PART: usize = 1 << 16;
    assert_eq!(from.len(), to.len());
    if to.len() <= PART {
        to.copy_from_slice(from);
    } else {
        to.par_chunks_mut(PART).zip(from.par_chunks(PART)).for_each(|(to, from)| to.copy_from_slice(from));
    }
}

/// Fills a slice on all threads.
pub(crate) fn fill(out: &mut [f32], value: f32) {
    const PART: usize = 1 << 16;
    if out.len() <= PART {
        out.fill(value);
    } else {
        out.par_chunks_mut(PART).for_each(|part| part.fill(value));
    }
}

/// Runs `work` on every sample's slice of a batch.
pub(crate) fn samples(volume: &Volume, batch: usize, out: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let shared = super::buffer::Shared::new(&mut out[..batch * volume.len()]);
    parallel(batch, |sample| {
        // SAFETY: samples do not overlap.
        work(sample, unsafe { shared.piece(sample * volume.len(), volume.len()) });
    });
}
