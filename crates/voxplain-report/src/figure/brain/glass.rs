//! Projections of a whole volume onto a plane: the glass brain.

use super::slice::{Extent, Plane, whole};
use voxplain_volume::{Affine, Grid, Interpolation, Volume};

/// A lattice of `step` mm with RAS+ axes over a box.
pub(in crate::figure) fn lattice(extent: &Extent, step: f64) -> Option<Grid> {
    let count = |axis: usize| whole(((extent[axis][1] - extent[axis][0]) / step).round()) + 1;
    let origin = [0, 1, 2].map(|a| extent[a][0]);
    Grid::new([count(0), count(1), count(2)], Affine::from_spacing_origin([step; 3], origin)).ok()
}

/// The value furthest from 0 along each line through a volume on a [`lattice`], with its sign (of opposite values that
/// are equally far the first); row by row from the top, as [`Plane`] is seen. Its width comes with it.
pub(in crate::figure) fn projection(volume: &Volume, plane: Plane) -> (Vec<f32>, usize) {
    let [right, up] = plane.across();
    let shape = volume.shape();
    let (width, height, depth) = (shape[right], shape[up], shape[plane.axis()]);
    let mut picture = Vec::with_capacity(width * height);
    for row in 0..height {
        for column in 0..width {
            let mut max = 0.0f32;
            for n in 0..depth {
                let mut v = [0; 3];
                v[right] = column;
                v[up] = height - 1 - row;
                v[plane.axis()] = n;
                let value = volume.at(v[0], v[1], v[2]);
                if value.abs() > max.abs() {
                    max = value;
                }
            }
            picture.push(max);
        }
    }
    (picture, width)
}

/// A volume on a lattice.
pub(in crate::figure) fn onto(volume: &Volume, lattice: &Grid) -> Volume {
    volume.resample(lattice, Interpolation::Linear, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_keeps_its_sign_and_its_side() {
        // 2 x 3 x 2 voxels of 1 mm: -5 at left, back, bottom; 3 above it; 1 at right, front, top.
        let grid = Grid::new([2, 3, 2], Affine::IDENTITY).unwrap();
        let mut map = Volume::filled(grid, 0.0f32);
        for (v, value) in [([0, 0, 0], -5.0), ([0, 0, 1], 3.0), ([1, 2, 1], 1.0)] {
            map.data_mut()[grid.index(v[0], v[1], v[2])] = value;
        }
        // From above, nose up: front row first; left in the first column.
        assert_eq!(projection(&map, Plane::Axial), (vec![0.0, 1.0, 0.0, 0.0, -5.0, 0.0], 2));
        // From behind: top row first.
        assert_eq!(projection(&map, Plane::Coronal), (vec![3.0, 1.0, -5.0, 0.0], 2));
        // From the right, nose to the right.
        assert_eq!(projection(&map, Plane::Sagittal), (vec![3.0, 0.0, 1.0, -5.0, 0.0, 0.0], 3));
    }
}
