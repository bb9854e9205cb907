//! Volumes on other grids: each voxel of the output from up to eight of the input, sixteen channels at once.

use super::shape::{LANES, Volume};
use crate::Resize3d;
use rayon::prelude::*;

/// What is taken along one axis, both ways.
#[derive(Debug)]
struct Axis {
    /// For each cell of the output two cells of the input, and how much of each.
    taken: Vec<[(usize, f32); 2]>,
    /// Where in `given` the cells of the output begin that take each cell of the input.
    starts: Vec<usize>,
    /// Cells of the output, and how much they take.
    given: Vec<(usize, f32)>,
}

impl Axis {
    #[expect(clippy::cast_possible_truncation, reason = "the engine's numbers are f32")]
    fn new(resize: &Resize3d, axis: usize, from: usize) -> Self {
        let taken: Vec<[(usize, f32); 2]> =
            resize.taken(axis, from).map(|of| [0, 1].map(|n| (of.at[n], of.weight[n] as f32))).collect();
        let (mut starts, mut given) = (vec![0], Vec::new());
        for cell in 0..from {
            for (out, pair) in taken.iter().enumerate() {
                given.extend(pair.iter().filter(|(at, w)| *at == cell && *w != 0.0).map(|&(_, w)| (out, w)));
            }
            starts.push(given.len());
        }
        Self { taken, starts, given }
    }

    /// The cells of the output that take a cell.
    fn given(&self, cell: usize) -> &[(usize, f32)] {
        &self.given[self.starts[cell]..self.starts[cell + 1]]
    }
}

/// A volume on another grid, with all that is taken worked out.
#[derive(Debug)]
pub(crate) struct Resampling {
    axes: [Axis; 3],
    from: Volume,
    to: Volume,
}

impl Resampling {
    pub(crate) fn new(resize: &Resize3d, from: Volume, to: Volume) -> Self {
        Self { axes: std::array::from_fn(|axis| Axis::new(resize, axis, from.size[axis])), from, to }
    }

    /// The volumes of a batch, in blocks.
    pub(crate) fn forward(&self, batch: usize, x: &[f32], out: &mut [f32]) {
        let (from, to, [along_i, along_j, along_k]) = (&self.from, &self.to, &self.axes);
        let plane = to.size[1] * to.size[2] * LANES;
        out[..batch * to.len()].par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
            let (block, i) = (task / to.size[0], task % to.size[0]);
            let x = &x[block * from.voxels() * LANES..][..from.voxels() * LANES];
            for (row, out) in out.chunks_exact_mut(to.size[2] * LANES).enumerate() {
                for (out, of_k) in out.chunks_exact_mut(LANES).zip(&along_k.taken) {
                    let mut sums = [0f32; LANES];
                    for (i, of_i) in &along_i.taken[i] {
                        for (j, of_j) in &along_j.taken[row] {
                            for (k, of_k) in of_k {
                                let weight = of_i * of_j * of_k;
                                if weight == 0.0 {
                                    continue;
                                }
                                let x = &x[((i * from.size[1] + j) * from.size[2] + k) * LANES..][..LANES];
                                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
                            }
                        }
                    }
                    out.copy_from_slice(&sums);
                }
            }
        });
    }

    /// What reaches the input.
    pub(crate) fn backward(&self, batch: usize, gradient: &[f32], out: &mut [f32]) {
        let (from, to, [along_i, along_j, along_k]) = (&self.from, &self.to, &self.axes);
        let plane = from.size[1] * from.size[2] * LANES;
        out[..batch * from.len()].par_chunks_exact_mut(plane).enumerate().for_each(|(task, out)| {
            let (block, i) = (task / from.size[0], task % from.size[0]);
            let g = &gradient[block * to.voxels() * LANES..][..to.voxels() * LANES];
            for (voxel, out) in out.chunks_exact_mut(LANES).enumerate() {
                let mut sums = [0f32; LANES];
                for (i, of_i) in along_i.given(i) {
                    for (j, of_j) in along_j.given(voxel / from.size[2]) {
                        for (k, of_k) in along_k.given(voxel % from.size[2]) {
                            let weight = of_i * of_j * of_k;
                            let g = &g[((i * to.size[1] + j) * to.size[2] + k) * LANES..][..LANES];
                            sums.iter_mut().zip(g).for_each(|(sum, g)| *sum += weight * g);
                        }
                    }
                }
                out.copy_from_slice(&sums);
            }
        });
    }
}
