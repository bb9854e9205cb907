//! [`Grid`]: a shape with an affine.

use crate::{Affine, Error};
use serde::{Deserialize, Serialize};

/// A regular lattice of voxels in the world: a shape and the [`Affine`] of its indices.
///
/// Axis order is `(i, j, k)` as NIfTI counts it. In memory every array on a grid is in C order,
/// `[i][j][k]`, so `k` runs fastest; see [`Grid::index`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Number of voxels along `(i, j, k)`.
    pub shape: [usize; 3],
    /// Voxel index to RAS+ mm.
    pub affine: Affine,
}

impl Grid {
    /// A grid, refused when an axis is empty or the affine is singular or not finite.
    pub fn new(shape: [usize; 3], affine: Affine) -> Result<Self, Error> {
        if shape.contains(&0) {
            return Err(Error::Grid(format!("shape {shape:?} has an empty axis")));
        }
        if shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).is_none() {
            return Err(Error::Grid(format!("shape {shape:?} is too large")));
        }
        if affine.inverse().is_none() {
            return Err(Error::Grid(format!("affine {:?} cannot be inverted", affine.rows())));
        }
        Ok(Self { shape, affine })
    }

    /// Number of voxels.
    #[expect(clippy::len_without_is_empty, reason = "a grid is never empty")]
    pub const fn len(&self) -> usize {
        self.shape[0] * self.shape[1] * self.shape[2]
    }

    /// Position of voxel `(i, j, k)` in an array on this grid.
    pub const fn index(&self, i: usize, j: usize, k: usize) -> usize {
        (i * self.shape[1] + j) * self.shape[2] + k
    }

    /// Voxel `(i, j, k)` of a position in an array on this grid: the inverse of [`Grid::index`].
    pub const fn voxel(&self, index: usize) -> [usize; 3] {
        let (plane, k) = (index / self.shape[2], index % self.shape[2]);
        [plane / self.shape[1], plane % self.shape[1], k]
    }

    /// Distance in mm between neighbouring voxels along each array axis.
    pub fn spacing(&self) -> [f64; 3] {
        self.affine.spacing()
    }

    /// Volume of one voxel in mm³.
    pub fn voxel_volume(&self) -> f64 {
        self.affine.determinant().abs()
    }

    /// World position (mm) of the middle of the field of view.
    pub fn center(&self) -> [f64; 3] {
        self.affine.apply(self.shape.map(|n| (n as f64 - 1.0) / 2.0))
    }

    /// Same shape, and corners that coincide within `tolerance_mm`.
    pub fn same_space(&self, other: &Self, tolerance_mm: f64) -> bool {
        self.shape == other.shape
            && corner_distances(self.shape, &self.affine, &other.affine).iter().all(|d| *d <= tolerance_mm)
    }

    /// World positions (mm) of the centres of the eight outermost voxels.
    pub(crate) fn corners(&self) -> [[f64; 3]; 8] {
        corners(self.shape, &self.affine)
    }
}

fn corners(shape: [usize; 3], affine: &Affine) -> [[f64; 3]; 8] {
    let at = |n: usize, a: usize| if n >> a & 1 == 1 { shape[a] as f64 - 1.0 } else { 0.0 };
    std::array::from_fn(|n| affine.apply(std::array::from_fn(|a| at(n, a))))
}

/// How far apart (mm) two affines place each of the eight corners of one array.
pub(crate) fn corner_distances(shape: [usize; 3], a: &Affine, b: &Affine) -> [f64; 8] {
    let (a, b) = (corners(shape, a), corners(shape, b));
    std::array::from_fn(|n| (0..3).map(|r| (a[n][r] - b[n][r]).powi(2)).sum::<f64>().sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_voxel_undo_each_other() {
        let g = Grid::new([3, 4, 5], Affine::IDENTITY).unwrap();
        for n in 0..g.len() {
            let [i, j, k] = g.voxel(n);
            assert_eq!(g.index(i, j, k), n);
        }
        assert_eq!(g.index(1, 2, 3), 33);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Grid::new([0, 1, 1], Affine::IDENTITY).is_err());
        assert!(Grid::new([1, 1, 1], Affine::from_spacing_origin([0.0, 1.0, 1.0], [0.0; 3])).is_err());
        assert!(Grid::new([usize::MAX, 2, 1], Affine::IDENTITY).is_err());
    }
}
