//! Batch normalisation by the batch's statistics, ReLU and max-pool at once, both ways; of pools of 2 x 2 x 2 by kernels of
//! their own.

use super::buffer::{Shared, parallel};
use super::lanes::{Isa, Kernel, Lanes, dispatch};
use super::norm::{Backward, Moments};
use super::shape::{LANES, Volume, Window};
use super::sparse::Pooled;
use super::winograd::pool_eight;

/// Scales below which sums are taken from the normalisation's input, not from its pooled output.
const SMALL: f32 = 0.01;

/// A pool: its window, and what it leaves of a volume.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooling {
    /// Of up to 256 taps, without gaps.
    pub(crate) window: Window,
    /// The pooled volume.
    pub(crate) output: Volume,
}

impl Pooling {
    /// Of 2 x 2 x 2, whatever is left over left out.
    pub(crate) fn by_two(volume: &Volume) -> Self {
        let window = Window { kernel: [2; 3], stride: [2; 3], padding: [0; 3], dilation: [1; 3] };
        Self { window, output: Volume { size: volume.size.map(|s| s / 2), ..*volume } }
    }

    /// Whether the kernels of their own take it.
    fn is_by_two(&self, volume: &Volume) -> bool {
        let by_two = Self::by_two(volume);
        self.window == by_two.window && self.output.size == by_two.output.size
    }
}

/// `pool(relu(scale * x + shift))`, and which tap is largest (any when the ReLU cut all off).
pub(crate) fn forward(
    isa: Isa,
    (volume, pooling): (&Volume, &Pooling),
    batch: usize,
    x: &[f32],
    (scale, shift): (&[f32], &[f32]),
    (out, taps): (&mut [f32], &mut [u8]),
) {
    if !pooling.is_by_two(volume) {
        let shape = (volume, &pooling.output);
        super::pool::max_of_affine(isa, &pooling.window, shape, batch, x, (scale, shift), (out, taps));
        return;
    }
    let size = pooling.output.size;
    let (row, of_block) = (size[1] * size[2] * LANES, volume.voxels() * LANES);
    let all = batch * volume.blocks() * size[0];
    assert!(out.len() >= all * row && taps.len() >= all * row && x.len() >= batch * volume.len());
    let (out, taps) = (Shared::new(out), Shared::new(taps));
    parallel(all, |task| {
        let (block, z) = (task / size[0], task % size[0]);
        let lanes = block % volume.blocks() * LANES;
        // SAFETY: every task has its own plane.
        let (out, taps) = unsafe { (out.piece(task * row, row), taps.piece(task * row, row)) };
        let x = &x[block * of_block..][..of_block];
        dispatch(
            isa,
            Pool { volume, size, z, x, scale: &scale[lanes..][..LANES], shift: &shift[lanes..][..LANES], out, taps },
        );
    });
}

struct Pool<'a> {
    volume: &'a Volume,
    size: [usize; 3],
    z: usize,
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    out: &'a mut [f32],
    taps: &'a mut [u8],
}

impl Kernel for Pool<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let [_, h, w] = self.volume.size;
        // SAFETY: `x` is a block of the volume, whose size is at least twice the pooled one; `out` and `taps` are a
        // plane of it; the caller vouches for the instructions.
        unsafe {
            let (scale, shift, zero) = (V::load(self.scale.as_ptr()), V::load(self.shift.as_ptr()), V::splat(0.0));
            for y in 0..self.size[1] {
                for k in 0..self.size[2] {
                    let mut values = [zero; 8];
                    for (index, value) in values.iter_mut().enumerate() {
                        let at = ((2 * self.z + index / 4) * h + 2 * y + index / 2 % 2) * w + 2 * k + index % 2;
                        *value = V::load(self.x.as_ptr().add(at * LANES)).mul_add(scale, shift);
                    }
                    let (max, which) = pool_eight(values, zero);
                    let to = (y * self.size[2] + k) * LANES;
                    max.store(self.out.as_mut_ptr().add(to));
                    which.store_bytes(self.taps.as_mut_ptr().add(to));
                }
            }
        }
    }
}

/// Where the largest value of a window is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argmax {
    /// Of the batch.
    pub(crate) sample: usize,
    /// Channel.
    pub(crate) channel: usize,
    /// Voxel of the normalisation's input.
    pub(crate) at: [usize; 3],
}

impl Argmax {
    /// Offset in a batch of blocked volumes.
    pub(crate) fn offset(&self, volume: &Volume) -> usize {
        let [i, j, k] = self.at;
        let block = self.sample * volume.blocks() + self.channel / LANES;
        (((block * volume.size[0] + i) * volume.size[1] + j) * volume.size[2] + k) * LANES + self.channel % LANES
    }
}

/// Gradients of scale (`weight`) and shift, over `[channels]`. The normalisation's input is asked for, by its offset
/// in `volume`'s blocks, only for channels whose weight is so small that it hides it.
#[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
pub(crate) fn weight_gradients(
    isa: Isa,
    (volume, pooling, batch): (&Volume, &Pooling, usize),
    passed: Pooled<'_>,
    input: &dyn Fn(Argmax) -> f64,
    moments: &mut Moments,
    (weight, bias): (&[f32], &[f32]),
    (scale, shift): (&mut [f32], &mut [f32]),
) {
    let size = pooling.output.size;
    let plane = size[1] * size[2] * LANES;
    let (blocks, of_channel) = (volume.blocks(), batch * size[0]);
    let shared = Shared::new(&mut moments.parts_mut()[..blocks * of_channel]);
    parallel(blocks * of_channel, |task| {
        let (block, sample, z) = (task / of_channel, task % of_channel / size[0], task % size[0]);
        let at = ((sample * blocks + block) * size[0] + z) * plane;
        // SAFETY: every task has its own sums.
        let sums = unsafe { shared.piece(task, 1) };
        sums[0] = dispatch(isa, Sums { y: &passed.y[at..at + plane], gradient: &passed.gradient[at..at + plane] });
    });
    for (channel, (scale, shift)) in scale.iter_mut().zip(shift).enumerate() {
        let (block, lane) = (channel / LANES, channel % LANES);
        let (mut sum, mut products) = (0f64, 0f64);
        for part in &moments.parts()[block * of_channel..][..of_channel] {
            sum += f64::from(part[0][lane]);
            products += f64::from(part[1][lane]);
        }
        *shift = sum as f32;
        // The pooled output is `weight * x^ + bias` where anything passes; a small weight hides `x^`.
        *scale = if weight[channel].abs() >= SMALL * bias[channel].abs().max(1.0) {
            ((products - f64::from(bias[channel]) * sum) / f64::from(weight[channel])) as f32
        } else {
            slow_scale((volume, pooling, batch), passed, input, moments, channel)
        };
    }
}

/// The gradient of one channel's scale, from the normalisation's input where each window's largest was.
#[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
fn slow_scale(
    (volume, pooling, batch): (&Volume, &Pooling, usize),
    passed: Pooled<'_>,
    input: &dyn Fn(Argmax) -> f64,
    moments: &Moments,
    channel: usize,
) -> f32 {
    let Pooling { window, output } = pooling;
    let (size, [_, kj, kk]) = (output.size, window.kernel);
    let (voxels, blocks) = (size.iter().product::<usize>(), volume.blocks());
    let (block, lane) = (channel / LANES, channel % LANES);
    let mut sum = 0f64;
    for sample in 0..batch {
        let from = (sample * blocks + block) * voxels;
        for voxel in 0..voxels {
            let at = (from + voxel) * LANES + lane;
            if passed.y[at] > 0.0 {
                let tap = usize::from(passed.taps[at]);
                let tap = [tap / (kj * kk), tap / kk % kj, tap % kk];
                let window_at = [voxel / (size[1] * size[2]), voxel / size[2] % size[1], voxel % size[2]];
                let [i, j, k] = std::array::from_fn(|axis| {
                    window_at[axis] * window.stride[axis] + tap[axis] - window.padding[axis]
                });
                let x = input(Argmax { sample, channel, at: [i, j, k] });
                sum += f64::from(passed.gradient[at]) * (x - f64::from(moments.mean[channel]));
            }
        }
    }
    (sum * f64::from(moments.inverse[channel])) as f32
}

/// Sums of `g` and of `g y` where `y` is positive.
struct Sums<'a> {
    y: &'a [f32],
    gradient: &'a [f32],
}

impl Kernel for Sums<'_> {
    type Output = [[f32; LANES]; 2];
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> Self::Output {
        let mut out = [[0f32; LANES]; 2];
        // SAFETY: chunks are sixteen floats; the caller vouches for the instructions.
        unsafe {
            let zero = V::splat(0.0);
            let (mut sum, mut products) = (zero, zero);
            for (y, g) in self.y.chunks_exact(LANES).zip(self.gradient.chunks_exact(LANES)) {
                let y = V::load(y.as_ptr());
                let g = V::select(y.greater(zero), V::load(g.as_ptr()), zero);
                sum = sum.add(g);
                products = g.mul_add(y, products);
            }
            sum.store(out[0].as_mut_ptr());
            products.store(out[1].as_mut_ptr());
        }
        out
    }
}

/// Gradient of the normalisation's input `x`; without it, it is taken from where the gradient goes.
pub(crate) fn backward(
    isa: Isa,
    (volume, pooling): (&Volume, &Pooling),
    batch: usize,
    (x, passed): (Option<&[f32]>, Pooled<'_>),
    factors: &Backward,
    out: &mut [f32],
) {
    if !pooling.is_by_two(volume) {
        let shape = (volume, &pooling.output);
        super::pool::max_backward_normed(isa, &pooling.window, shape, batch, (x, passed), factors, out);
        return;
    }
    let size = pooling.output.size;
    let of_pooled = size.iter().product::<usize>() * LANES;
    let plane = volume.size[1] * volume.size[2] * LANES;
    let depth = volume.size[0];
    assert!(out.len() >= batch * volume.len() && x.is_none_or(|x| x.len() >= batch * volume.len()));
    let out = Shared::new(out);
    parallel(batch * volume.blocks() * depth, |task| {
        let (block, z) = (task / depth, task % depth);
        // SAFETY: every task has its own plane.
        let out = unsafe { out.piece(task * plane, plane) };
        let at = block * of_pooled;
        let passed = Pooled {
            y: &passed.y[at..at + of_pooled],
            taps: &passed.taps[at..at + of_pooled],
            gradient: &passed.gradient[at..at + of_pooled],
        };
        let x = x.map(|x| &x[task * plane..][..plane]);
        dispatch(isa, Plane { volume, size, z, lanes: block % volume.blocks() * LANES, x, passed, factors, out });
    });
}

struct Plane<'a> {
    volume: &'a Volume,
    size: [usize; 3],
    z: usize,
    lanes: usize,
    x: Option<&'a [f32]>,
    passed: Pooled<'a>,
    factors: &'a Backward,
    out: &'a mut [f32],
}

impl Kernel for Plane<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let [_, h, w] = self.volume.size;
        let [pi, pj, pk] = self.size;
        let of = |v: &[f32]| v[self.lanes..self.lanes + LANES].as_ptr();
        let out = self.out.as_mut_ptr();
        // Each value is read before the gradient takes its place.
        let x = self.x.map_or(out.cast_const(), <[f32]>::as_ptr);
        // SAFETY: `x` and `out` are planes of the volume, the pooled arrays a block of it; the caller vouches for the
        // instructions.
        unsafe {
            let (gain, slope) = (V::load(of(&self.factors.gain)), V::load(of(&self.factors.slope)));
            let (offset, zero) = (V::load(of(&self.factors.offset)), V::splat(0.0));
            let inside = self.z / 2 < pi;
            for y in 0..h {
                let row = y * w * LANES;
                let (x, out) = (x.add(row), out.add(row));
                let pooled = if inside && y / 2 < pj { pk } else { 0 };
                let tap = u8::try_from(self.z % 2 * 4 + y % 2 * 2).unwrap_or_default();
                for k in 0..pooled {
                    let at = ((self.z / 2 * pj + y / 2) * pk + k) * LANES;
                    let open = V::load(self.passed.y.as_ptr().add(at)).greater(zero);
                    let g = V::load(self.passed.gradient.as_ptr().add(at)).mul(gain);
                    let taps = self.passed.taps.as_ptr().add(at);
                    for side in 0..2u8 {
                        let here = V::both(open, V::bytes_equal(taps, tap + side));
                        let to = (2 * k + usize::from(side)) * LANES;
                        let rest = V::load(x.add(to)).mul_add(slope, offset);
                        V::select(here, rest.add(g), rest).store(out.add(to));
                    }
                }
                for k in 2 * pooled..w {
                    V::load(x.add(k * LANES)).mul_add(slope, offset).store(out.add(k * LANES));
                }
            }
        }
    }
}
