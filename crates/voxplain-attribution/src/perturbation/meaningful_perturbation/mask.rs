//! The coarse mask: its lattice over the input grid, its area, its total variation and Adam's steps.

use super::MeaningfulPerturbation;
use crate::separable::{AxisMap, Separable};
use voxplain_nn::adam::{AdamOptions, AdamStep};
use voxplain_volume::{Grid, Mask};

/// A mask on a coarse lattice, one weight in `[0, 1]` per cell, and how it reaches the input grid.
#[derive(Clone, Debug)]
pub(super) struct CoarseMask {
    /// One value per cell.
    pub(super) cells: Vec<f32>,
    /// Upsampling and smoothing in one.
    pub(super) to_grid: Separable,
    /// What each cell adds to the sum of the mask over the grid, in volumes of the brain.
    pub(super) area: Vec<f32>,
    /// What each cell adds to the mean of the mask over the brain.
    inside: Vec<f32>,
    /// Adam's means of the gradient and of its square.
    moments: [Vec<f32>; 2],
    steps: u64,
}

/// Distance of voxels along each axis, in units of `mm`.
fn in_voxels(grid: &Grid, mm: f64) -> [f64; 3] {
    grid.spacing().map(|s| mm / s)
}

/// The cells along an axis of `length` voxels, `step` voxels apart, and the voxel of the first: centred, covering all.
fn lattice(length: usize, step: f64) -> (usize, f64) {
    let extent = (length - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let cells = (extent / step).ceil() as usize + 1;
    (cells, (extent - (cells - 1) as f64 * step) / 2.0)
}

impl CoarseMask {
    /// A mask of ones over a grid.
    pub(super) fn new(options: &MeaningfulPerturbation, grid: &Grid, brain: &Mask) -> Self {
        let (step, sigma) = (in_voxels(grid, options.spacing), in_voxels(grid, options.smooth));
        let axes = std::array::from_fn(|a| {
            let (cells, first) = lattice(grid.shape[a], step[a]);
            let up = AxisMap::interpolate(cells, grid.shape[a], |n| (n as f64 - first) / step[a]);
            up.then(&AxisMap::gaussian(grid.shape[a], sigma[a]))
        });
        let mut to_grid = Separable::new(&axes);
        let count = to_grid.input_shape().iter().product();
        let brain: Vec<f32> = brain.data().iter().map(|&b| f32::from(u8::from(b))).collect();
        let voxels = brain.iter().sum::<f32>();
        let mut shares = |of: &[f32]| {
            let mut share = vec![0.0; count];
            to_grid.adjoint(of, &mut share);
            share.iter_mut().for_each(|a| *a /= voxels);
            share
        };
        let area = shares(&vec![1.0; grid.len()]);
        let inside = shares(&brain);
        Self { cells: vec![1.0; count], to_grid, area, inside, moments: [vec![0.0; count], vec![0.0; count]], steps: 0 }
    }

    /// `sum over axes of mean |difference of neighbours|^beta`; adds `weight` times its
    /// gradient to `gradient`.
    pub(super) fn total_variation(&self, beta: f64, weight: f64, gradient: &mut [f32]) -> f64 {
        let shape = self.to_grid.input_shape();
        let strides = [shape[1] * shape[2], shape[2], 1];
        let mut sum = 0.0;
        for axis in 0..3 {
            let pairs = self.cells.len() / shape[axis] * (shape[axis] - 1);
            let mut total = 0.0;
            for n in 0..self.cells.len() {
                if n / strides[axis] % shape[axis] + 1 == shape[axis] {
                    continue;
                }
                let next = n + strides[axis];
                let difference = f64::from(self.cells[next]) - f64::from(self.cells[n]);
                total += difference.abs().powf(beta);
                #[expect(clippy::cast_possible_truncation, reason = "gradients are float32")]
                let slope =
                    (weight * beta * difference.abs().powf(beta - 1.0) * difference.signum() / pairs as f64) as f32;
                if difference != 0.0 {
                    gradient[next] += slope;
                    gradient[n] -= slope;
                }
            }
            sum += if pairs == 0 { 0.0 } else { total / pairs as f64 };
        }
        sum
    }

    /// One step of Adam, in double precision, then back into `[0, 1]`.
    #[expect(clippy::cast_possible_truncation, reason = "cells are float32")]
    pub(super) fn step(&mut self, gradient: &[f32], rate: f64) {
        self.steps += 1;
        let adam = AdamStep::<f64>::new(&AdamOptions::default(), self.steps, rate);
        let [mean, square] = &mut self.moments;
        for ((cell, &g), (mean, square)) in self.cells.iter_mut().zip(gradient).zip(mean.iter_mut().zip(square)) {
            let moved = adam.advance(f64::from(*cell), f64::from(g), mean, square, None);
            *cell = moved.clamp(0.0, 1.0) as f32;
        }
    }

    /// What the mask keeps and what it takes out, over the whole grid, in volumes of the brain.
    pub(super) fn kept_and_taken(&self) -> [f64; 2] {
        let sum = |of: fn(f64) -> f64| {
            self.cells.iter().zip(&self.area).map(|(&c, &a)| of(f64::from(c)) * f64::from(a)).sum()
        };
        [sum(|c| c), sum(|c| 1.0 - c)]
    }

    /// The mean of the mask over the brain.
    pub(super) fn mean_inside(&self) -> f64 {
        self.cells.iter().zip(&self.inside).map(|(&c, &a)| f64::from(c) * f64::from(a)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::Affine;

    fn mask() -> CoarseMask {
        let grid = Grid::new([9, 13, 6], Affine::from_spacing_origin([3.0, 2.0, 4.0], [0.0; 3])).unwrap();
        let brain = Mask::from_fn(grid, |[i, j, _]| i < 3 && j > 4);
        CoarseMask::new(&MeaningfulPerturbation::default(), &grid, &brain)
    }

    #[test]
    fn lattices_are_centred_and_cover_the_axis() {
        for (length, step) in [(58, 4.0), (70, 4.0), (1, 4.0), (9, 2.5)] {
            let (cells, first) = lattice(length, step);
            let last = first + (cells - 1) as f64 * step;
            assert!(first <= 0.0 && last >= (length - 1) as f64, "{length} {step}");
            assert!((first + last - (length - 1) as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn ones_are_ones_on_the_grid_and_take_nothing_out() {
        let mut mask = mask();
        let mut grid = vec![0.0; 9 * 13 * 6];
        let cells = mask.cells.clone();
        mask.to_grid.apply(&cells, &mut grid);
        assert!(grid.iter().all(|v| (v - 1.0).abs() < 1e-5));
        assert!((mask.mean_inside() - 1.0).abs() < 1e-5);
        let brain = (3 * 8 * 6) as f64;
        let [kept, taken] = mask.kept_and_taken();
        assert!((kept - grid.len() as f64 / brain).abs() < 1e-4 && taken == 0.0, "{kept} {taken}");
    }

    #[test]
    fn areas_are_sums_over_the_grid_and_the_brain() {
        let mut mask = mask();
        mask.cells.iter_mut().enumerate().for_each(|(n, c)| *c = (n % 7) as f32 / 7.0);
        let mut grid = vec![0.0; 9 * 13 * 6];
        let cells = mask.cells.clone();
        mask.to_grid.apply(&cells, &mut grid);
        let inside = |n: usize| n / (13 * 6) < 3 && n / 6 % 13 > 4;
        let values: Vec<f64> = (0..grid.len()).filter(|&n| inside(n)).map(|n| f64::from(grid[n])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((mask.mean_inside() - mean).abs() < 1e-6);
        let [kept, taken] = mask.kept_and_taken();
        let of = |value: fn(f64) -> f64| grid.iter().map(|&m| value(f64::from(m))).sum::<f64>() / values.len() as f64;
        assert!((kept - of(|m| m)).abs() < 1e-5 && (taken - of(|m| 1.0 - m)).abs() < 1e-5, "{kept} {taken}");
    }

    #[test]
    fn total_variation_and_its_gradient() {
        let mut mask = mask();
        mask.cells.iter_mut().enumerate().for_each(|(n, c)| *c = (n * 31 % 17) as f32 / 16.0);
        let mut gradient = vec![0.0; mask.cells.len()];
        let value = |mask: &CoarseMask| mask.total_variation(3.0, 0.0, &mut vec![0.0; mask.cells.len()]);
        assert!((mask.total_variation(3.0, 2.0, &mut gradient) - value(&mask)).abs() < 1e-12);
        for n in [0, 3, mask.cells.len() - 1] {
            let numeric = [1.0f32, -1.0].map(|sign| {
                let mut moved = mask.clone();
                moved.cells[n] += sign / 256.0;
                f64::from(sign) * value(&moved)
            });
            let numeric = (numeric[0] + numeric[1]) * 128.0;
            assert!((2.0 * numeric - f64::from(gradient[n])).abs() < 1e-3, "{n}: {numeric} {}", gradient[n]);
        }
    }
}
