//! [`Texture`]: the fine pattern of a brain, whatever its intensities.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are bounded, and shapes small")]

use voxplain_volume::{Affine, Border, Grid, Volume};

/// Voxels of about this size (mm) are compared; finer ones are averaged.
const SPACING: f64 = 3.0;
/// Standard deviations (mm) of the band that is kept: finer is noise, coarser is the field of the coil and the shape of the head.
const BAND: [f64; 2] = [2.0, 6.5];
/// Standard deviation (mm) of the surroundings whose contrast a place is divided by.
const CONTRAST: f64 = 12.0;
/// The contrast of a brain, as a share, that is added to that of a place, so that noise in flat places stays small.
const FLOOR: f32 = 0.15;
/// Contrast, as a share of the largest value, below which a brain is flat.
const FLAT: f32 = 1e-4;
/// Voxels (of the size compared) that a brain must have at least.
const FEWEST: usize = 1500;
/// Steps to one unit of contrast, and the value outside of the brain.
const STEPS: f32 = 32.0;
const OUTSIDE: i8 = i8::MIN;

/// The grid on which brains are compared: that of the cohort, in blocks of whole voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blocks {
    /// Voxels in a block, along each axis.
    of: [usize; 3],
    /// Voxels of the cohort's grid.
    fine: [usize; 3],
    /// Blocks.
    pub(super) shape: [usize; 3],
    /// Of a block, in mm.
    pub(super) spacing: [f64; 3],
}

impl Blocks {
    pub(super) fn of(fine: [usize; 3], spacing: [f64; 3]) -> Self {
        let of: [usize; 3] =
            std::array::from_fn(|a| ((SPACING / spacing[a]).round() as usize).clamp(1, fine[a].max(1)));
        let shape = std::array::from_fn(|a| fine[a].div_ceil(of[a]));
        Self { of, fine, shape, spacing: std::array::from_fn(|a| spacing[a] * of[a] as f64) }
    }

    fn grid(&self) -> Option<Grid> {
        Grid::new(self.shape, Affine::from_spacing_origin(self.spacing, [0.0; 3])).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The means of blocks over the voxels inside, and which blocks are at least half inside.
    fn reduce(&self, values: &[f32], mask: &[bool]) -> (Vec<f32>, Vec<bool>) {
        let (mut sum, mut count) = (vec![0f32; self.len()], vec![0u32; self.len()]);
        let mut at = 0;
        for i in 0..self.fine[0] {
            for j in 0..self.fine[1] {
                let row = ((i / self.of[0]) * self.shape[1] + j / self.of[1]) * self.shape[2];
                for k in 0..self.fine[2] {
                    if mask[at] {
                        sum[row + k / self.of[2]] += values[at];
                        count[row + k / self.of[2]] += 1;
                    }
                    at += 1;
                }
            }
        }
        let whole = self.of.iter().product::<usize>() as u32;
        let inside: Vec<bool> = count.iter().map(|&n| 2 * n >= whole).collect();
        let mean = sum.iter().zip(&count).map(|(s, &n)| if 2 * n >= whole { s / n as f32 } else { 0.0 });
        (mean.collect(), inside)
    }
}

/// What is left of a brain when intensities, their units, the field of the coil and noise are taken away: how much each place differs
/// from its surroundings, in units of the contrast there. 0 is as the surroundings.
#[derive(Clone, Debug)]
pub(super) struct Texture {
    /// The first block of the box around the brain.
    pub(super) low: [usize; 3],
    /// Shape of the box.
    pub(super) shape: [usize; 3],
    /// Blocks inside the brain.
    pub(super) inside: usize,
    values: Vec<i8>,
}

impl Texture {
    /// Of the values of a volume inside its mask, both in C order. `None` of a brain that is flat, or of too few blocks.
    pub(super) fn of(values: &[f32], mask: &[bool], blocks: &Blocks) -> Option<Self> {
        let (mean, inside) = blocks.reduce(values, mask);
        if inside.iter().filter(|m| **m).count() < FEWEST {
            return None;
        }
        let grid = blocks.grid()?;
        let volume = |data: Vec<f32>| Volume::new(grid, data).ok();
        let weight = volume(inside.iter().map(|&m| f32::from(u8::from(m))).collect())?;
        // The mean of what is inside, weighted by distance, at every block inside.
        let around = |of: &Volume, sigma: f64| -> Vec<f32> {
            let (sum, share) = (of.smooth(sigma, Border::Zero), weight.smooth(sigma, Border::Zero));
            let ratio = |n: usize| sum.data()[n] / share.data()[n].max(1e-3);
            (0..inside.len()).map(|n| if inside[n] { ratio(n) } else { 0.0 }).collect()
        };
        let mean = volume(mean)?;
        // No more than a voxel is far enough for a difference on coarse grids.
        let coarsest = blocks.spacing.iter().copied().fold(0.0, f64::max);
        let (fine, coarse) = (around(&mean, BAND[0]), around(&mean, BAND[1].max(1.2 * coarsest)));
        let mut band: Vec<f32> = fine.iter().zip(&coarse).map(|(a, b)| a - b).collect();
        let squares = volume(band.iter().map(|v| v * v).collect())?;
        let count = inside.iter().filter(|m| **m).count() as f32;
        let contrast = (squares.data().iter().sum::<f32>() / count).sqrt();
        let largest = mean.data().iter().fold(0f32, |m, v| m.max(v.abs()));
        // Also where a value is no number, or overflows.
        if !(contrast.is_finite() && contrast > FLAT * largest) {
            return None;
        }
        let near = around(&squares, CONTRAST.max(2.0 * coarsest));
        band.iter_mut().zip(near).for_each(|(v, near)| *v /= near.max(0.0).sqrt() + FLOOR * contrast);
        Some(Self::boxed(&band, &inside, blocks.shape))
    }

    fn boxed(band: &[f32], inside: &[bool], [ni, nj, nk]: [usize; 3]) -> Self {
        let (mut low, mut high) = ([ni, nj, nk], [0; 3]);
        for n in (0..inside.len()).filter(|&n| inside[n]) {
            let at = [n / (nj * nk), n / nk % nj, n % nk];
            low = std::array::from_fn(|a| low[a].min(at[a]));
            high = std::array::from_fn(|a| high[a].max(at[a] + 1));
        }
        let shape: [usize; 3] = std::array::from_fn(|a| high[a] - low[a]);
        let mut values = Vec::with_capacity(shape.iter().product());
        for i in low[0]..high[0] {
            for j in low[1]..high[1] {
                for k in low[2]..high[2] {
                    let n = (i * nj + j) * nk + k;
                    let step = (band[n] * STEPS).round().clamp(-127.0, 127.0);
                    values.push(if inside[n] { step as i8 } else { OUTSIDE });
                }
            }
        }
        Self { low, shape, inside: inside.iter().filter(|m| **m).count(), values }
    }

    /// The values at blocks `from..` along the last axis, of the row `(i, j)`; all in blocks of the whole grid. Must lie in the box.
    pub(super) fn row(&self, [i, j, k]: [usize; 3], count: usize) -> &[i8] {
        let start = ((i - self.low[0]) * self.shape[1] + j - self.low[1]) * self.shape[2] + k - self.low[2];
        &self.values[start..start + count]
    }

    /// On the whole grid: the values, 0 outside.
    pub(super) fn spread(&self, blocks: &Blocks) -> Vec<f32> {
        let mut all = vec![0f32; blocks.len()];
        self.each(blocks, |n, value| all[n] = value);
        all
    }

    /// Calls `work` with every block inside, by its position in the whole grid, and its value.
    pub(super) fn each(&self, blocks: &Blocks, mut work: impl FnMut(usize, f32)) {
        let mut values = self.values.iter();
        for i in 0..self.shape[0] {
            for j in 0..self.shape[1] {
                let row = ((i + self.low[0]) * blocks.shape[1] + j + self.low[1]) * blocks.shape[2] + self.low[2];
                for (k, &value) in values.by_ref().take(self.shape[2]).enumerate() {
                    if let Some(value) = value_of(value) {
                        work(row + k, value);
                    }
                }
            }
        }
    }
}

/// The value that is kept in a byte; `None` outside the brain.
pub(super) fn value_of(byte: i8) -> Option<f32> {
    (byte != OUTSIDE).then(|| f32::from(byte) / STEPS)
}
