//! Planes through a volume, in world millimetres.

use voxplain_volume::{Affine, Connectivity, Grid, Interpolation, Volume, quantiles};

/// Which way a plane cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// At a z, seen from above with the nose up: the subject's left is left (neurological convention).
    Axial,
    /// At a y, seen from behind: the subject's left is left.
    Coronal,
    /// At an x, seen from the right with the nose to the right.
    Sagittal,
}

/// A plane at a place, in mm along its axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Which way.
    pub plane: Plane,
    /// Where.
    pub at: f64,
}

impl Plane {
    /// The world axis that it cuts: 0 for x, 1 for y, 2 for z.
    pub const fn axis(self) -> usize {
        match self {
            Self::Axial => 2,
            Self::Coronal => 1,
            Self::Sagittal => 0,
        }
    }

    /// The world axes that run to the right and up in the picture.
    pub(in crate::figure) const fn across(self) -> [usize; 2] {
        match self {
            Self::Axial => [0, 1],
            Self::Coronal => [0, 2],
            Self::Sagittal => [1, 2],
        }
    }
}

/// A box in the world: lowest and highest mm along each axis.
pub(in crate::figure) type Extent = [[f64; 2]; 3];

/// The box around the voxels where `there` holds; `None` if there is none.
pub(in crate::figure) fn extent<T>(volume: &Volume<T>, there: impl Fn(&T) -> bool) -> Option<Extent> {
    let grid = volume.grid();
    let mut extent: Option<Extent> = None;
    for (n, value) in volume.data().iter().enumerate() {
        if there(value) {
            let at = grid.affine.apply(grid.voxel(n).map(|v| v as f64));
            let e = extent.get_or_insert_with(|| at.map(|x| [x, x]));
            for (e, x) in e.iter_mut().zip(at) {
                *e = [e[0].min(x), e[1].max(x)];
            }
        }
    }
    extent
}

/// A whole number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(in crate::figure) fn whole(x: f64) -> usize {
    x.clamp(0.0, 1e6) as usize
}

/// The grid of a picture of a plane: `i` to the right, `j` down, `k` alone; `step` mm a pixel, over the extent.
pub(in crate::figure) fn picture(cut: Cut, extent: &Extent, step: f64) -> Option<Grid> {
    let [right, up] = cut.plane.across();
    let pixels = |axis: usize| whole(((extent[axis][1] - extent[axis][0]) / step).round()) + 1;
    let mut rows = [[0.0; 4]; 3];
    rows[right][0] = step;
    rows[right][3] = extent[right][0];
    rows[up][1] = -step;
    rows[up][3] = extent[up][1];
    rows[cut.plane.axis()][2] = 1.0;
    rows[cut.plane.axis()][3] = cut.at;
    Grid::new([pixels(right), pixels(up), 1], Affine::from_rows(rows)).ok()
}

/// Values of a volume in a picture, between voxels linearly; row by row from the top, `outside` beyond the volume.
pub(in crate::figure) fn sample(volume: &Volume, picture: &Grid, outside: f32) -> Vec<f32> {
    let values = volume.resample(picture, Interpolation::Linear, outside);
    let [width, height, _] = picture.shape;
    (0..height).flat_map(|row| (0..width).map(move |column| (column, row))).map(|(i, j)| values.at(i, j, 0)).collect()
}

/// `count` cuts along each of the three axes where relevance is: at evenly spaced quantiles of the distribution of
/// |value| over the axis (for 5: 10, 30, ... 90 %), in whole mm, at least `apart` mm from each other. Only voxels where
/// `within` is above 0 count; for a map that is 0 in all of them, `within` itself does. Both lie on one grid.
pub fn cuts(map: &Volume, within: &Volume, count: usize, apart: f64) -> [Vec<Cut>; 3] {
    let grid = map.grid();
    let inside = |(n, v): &(usize, &f32)| within.data()[*n] > 0.0 && **v != 0.0 && v.is_finite();
    let zero = !map.data().iter().enumerate().any(|v| inside(&v));
    let source = if zero { within } else { map };
    [Plane::Axial, Plane::Coronal, Plane::Sagittal].map(|plane| {
        let mut weights: Vec<(f64, f64)> = source
            .data()
            .iter()
            .enumerate()
            .filter(|v| inside(v))
            .map(|(n, v)| (grid.affine.apply(grid.voxel(n).map(|v| v as f64))[plane.axis()], f64::from(v.abs())))
            .collect();
        weights.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = weights.iter().map(|w| w.1).sum();
        let mut places = Vec::with_capacity(count);
        let (mut sum, mut at) = (0.0, 0);
        for n in 0..count {
            let wanted = total * (n as f64 + 0.5) / count as f64;
            while at + 1 < weights.len() && sum + weights[at].1 < wanted {
                sum += weights[at].1;
                at += 1;
            }
            places.push(weights.get(at).map_or(0.0, |w| w.0.round()));
        }
        spread(&mut places, apart);
        places.into_iter().map(|at| Cut { plane, at }).collect()
    })
}

/// Where a map says most: the middle, weighted by |value|, of the largest connected part of the values from a quantile of
/// |value| (over values other than 0) on; whole mm. The middle of the grid for a map of zeros.
pub(in crate::figure) fn focus(map: &Volume, quantile: f64) -> [f64; 3] {
    let mut sizes: Vec<f32> = map.data().iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
    let grid = map.grid();
    if sizes.is_empty() {
        return grid.center().map(f64::round);
    }
    let [level] = quantiles(&mut sizes, [quantile]);
    let part = map.map(|v| f64::from(v.abs()) >= level && *v != 0.0).largest_component(Connectivity::Corners);
    let (mut sum, mut weight) = ([0.0; 3], 0.0);
    for (n, (v, _)) in map.data().iter().zip(part.data()).enumerate().filter(|(_, (_, inside))| **inside) {
        let at = grid.affine.apply(grid.voxel(n).map(|x| x as f64));
        let size = f64::from(v.abs());
        (0..3).for_each(|a| sum[a] += size * at[a]);
        weight += size;
    }
    sum.map(|s| (s / weight).round() + 0.0)
}

/// Moves ascending places apart to at least `apart`, about their middle.
fn spread(places: &mut [f64], apart: f64) {
    let middle = places.iter().sum::<f64>() / places.len().max(1) as f64;
    for n in 1..places.len() {
        places[n] = places[n].max(places[n - 1] + apart);
    }
    let moved = places.iter().sum::<f64>() / places.len().max(1) as f64;
    let back = (moved - middle).round();
    places.iter_mut().for_each(|p| *p -= back);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_go_where_relevance_is() {
        let grid = Grid::new([10, 10, 10], Affine::from_spacing_origin([4.0; 3], [-18.0; 3])).unwrap();
        // All relevance at x = 10 mm, y = -14 mm, z from -18 to 18 evenly.
        let map = Volume::from_fn(grid, |[i, j, _]| if i == 7 && j == 1 { -1.0 } else { 0.0 });
        let all = Volume::filled(grid, 1.0);
        let [axial, coronal, sagittal] = cuts(&map, &all, 5, 1.0);
        let at = |c: &[Cut]| c.iter().map(|c| c.at).collect::<Vec<_>>();
        // Ten slices: quantiles 10, 30 ... % fall into slices 0 (or 1), 2, 4, 6, 8.
        assert_eq!(at(&axial), [-18.0, -10.0, -2.0, 6.0, 14.0]);
        assert_eq!(at(&coronal), [-16.0, -15.0, -14.0, -13.0, -12.0]);
        assert_eq!(at(&sagittal), [8.0, 9.0, 10.0, 11.0, 12.0]);
        let zero = Volume::filled(grid, 0.0);
        let [z, y, x] = cuts(&zero, &map.map(|v| v.abs()), 5, 1.0);
        assert_eq!([z, y, x], [axial.clone(), coronal, sagittal]);
        // What lies outside does not count: with the upper half alone the cuts rise.
        let upper = Volume::from_fn(grid, |[_, _, k]| if k >= 5 { 1.0 } else { 0.0 });
        assert_eq!(at(&cuts(&map, &upper, 5, 1.0)[0]), [2.0, 6.0, 10.0, 14.0, 18.0]);
        assert_eq!(cuts(&zero, &zero, 1, 1.0)[0][0].at, 0.0);
    }
}
