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
    in_rows(&volume.resample(picture, Interpolation::Linear, outside))
}

/// Values of a volume in a picture, found in this way; row by row from the top, 0 beyond the volume.
pub(in crate::figure) fn sampled(volume: &Volume, picture: &Grid, how: Interpolation) -> Vec<f32> {
    in_rows(&volume.resample(picture, how, 0.0))
}

fn in_rows(values: &Volume) -> Vec<f32> {
    let [width, height, _] = values.shape();
    (0..height).flat_map(|row| (0..width).map(move |column| (column, row))).map(|(i, j)| values.at(i, j, 0)).collect()
}

/// The box of the outermost voxel centres: between them a volume is drawn.
pub(in crate::figure) fn field_of_view(grid: &Grid) -> Extent {
    let mut field: Option<Extent> = None;
    for corner in 0..8usize {
        let at =
            grid.affine.apply([0, 1, 2].map(|a| if corner >> a & 1 == 1 { grid.shape[a] as f64 - 1.0 } else { 0.0 }));
        let e = field.get_or_insert_with(|| at.map(|x| [x, x]));
        for (e, x) in e.iter_mut().zip(at) {
            *e = [e[0].min(x), e[1].max(x)];
        }
    }
    field.unwrap_or_default()
}

/// Up to `count` cuts along each of the three axes where relevance is: at evenly spaced quantiles of the distribution of
/// |value| over the axis (for 5: 10, 30, ... 90 %), through centres of voxels, then at least `apart` mm from each other,
/// with the middle one left where it is. Only voxels where `within` is above 0 count, and no cut leaves the box around them:
/// where that is narrow, cuts are nearer to each other, and no more than it has planes of voxels. For a map that is 0 in all
/// of them, `within` itself counts; where `within` is empty, the cut is in the middle of the grid. Both lie on one grid.
pub fn cuts(map: &Volume, within: &Volume, count: usize, apart: f64) -> [Vec<Cut>; 3] {
    let grid = map.grid();
    let middle = grid.center();
    let brain = extent(within, |v| *v > 0.0).unwrap_or_else(|| middle.map(|x| [x, x]));
    let inside = |(n, v): &(usize, &f32)| within.data()[*n] > 0.0 && **v != 0.0 && v.is_finite();
    let zero = !map.data().iter().enumerate().any(|v| inside(&v));
    let source = if zero { within } else { map };
    let finest = grid.spacing().into_iter().fold(f64::INFINITY, f64::min);
    [Plane::Axial, Plane::Coronal, Plane::Sagittal].map(|plane| {
        let axis = plane.axis();
        let mut weights: Vec<(f64, f64)> = source
            .data()
            .iter()
            .enumerate()
            .filter(|v| inside(v))
            .map(|(n, v)| (grid.affine.apply(grid.voxel(n).map(|v| v as f64))[axis], f64::from(v.abs())))
            .collect();
        weights.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = weights.iter().map(|w| w.1).sum();
        let planes = whole(((brain[axis][1] - brain[axis][0]) / finest + 1e-6).floor()) + 1;
        let count = count.min(planes);
        let mut places = Vec::with_capacity(count);
        let (mut sum, mut at) = (0.0, 0);
        for n in 0..count {
            let wanted = total * (n as f64 + 0.5) / count as f64;
            while at + 1 < weights.len() && sum + weights[at].1 < wanted {
                sum += weights[at].1;
                at += 1;
            }
            places.push(weights.get(at).map_or(middle[axis], |w| w.0));
        }
        spread(&mut places, apart, brain[axis]);
        places.into_iter().map(|at| Cut { plane, at: tidy(at) }).collect()
    })
}

/// Where a map says most: the voxel of the largest connected part of the values from a quantile of |value| (over values
/// other than 0) on that is nearest to the part's middle, weighted by |value|. The middle itself may lie beside a bent part,
/// or between voxels. The middle of the grid for a map of zeros.
pub(in crate::figure) fn focus(map: &Volume, quantile: f64) -> [f64; 3] {
    let mut sizes: Vec<f32> = map.data().iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
    let grid = map.grid();
    if sizes.is_empty() {
        return grid.center().map(tidy);
    }
    let [level] = quantiles(&mut sizes, [quantile]);
    let part = map.map(|v| f64::from(v.abs()) >= level && *v != 0.0).largest_component(Connectivity::Corners);
    let voxels = || {
        let inside = map.data().iter().zip(part.data()).enumerate().filter(|(_, (_, inside))| **inside);
        inside.map(|(n, (v, _))| (grid.affine.apply(grid.voxel(n).map(|x| x as f64)), f64::from(v.abs())))
    };
    let (mut sum, mut weight) = ([0.0; 3], 0.0);
    for (at, size) in voxels() {
        (0..3).for_each(|a| sum[a] += size * at[a]);
        weight += size;
    }
    let middle = sum.map(|s| s / weight);
    let distance = |at: &[f64; 3]| at.iter().zip(middle).map(|(x, m)| (x - m).powi(2)).sum::<f64>();
    let nearest = voxels().map(|(at, _)| at).min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.unwrap_or(middle).map(tidy)
}

/// A place in mm without what arithmetic leaves behind its sixth decimal.
fn tidy(at: f64) -> f64 {
    (at * 1e6).round() / 1e6 + 0.0
}

/// Moves ascending places apart to at least `apart`, or as far as there is room for between two ends. What was moved is set
/// at tenths of a mm. One stays where the middle one was; where the ends push it away, the nearest is put there.
fn spread(places: &mut [f64], apart: f64, [low, high]: [f64; 2]) {
    let Some(last) = places.len().checked_sub(1).filter(|last| *last > 0) else { return };
    let apart = apart.min((high - low) / last as f64);
    let before = places.to_vec();
    let middle = last / 2;
    for n in middle + 1..=last {
        places[n] = places[n].max(places[n - 1] + apart);
    }
    for n in (0..middle).rev() {
        places[n] = places[n].min(places[n + 1] - apart);
    }
    // Back between the ends: first all from the upper one down, then from the lower one up.
    places[last] = places[last].min(high);
    for n in (0..last).rev() {
        places[n] = places[n].min(places[n + 1] - apart);
    }
    places[0] = places[0].max(low);
    for n in 1..=last {
        places[n] = places[n].max(places[n - 1] + apart);
    }
    for (place, _) in places.iter_mut().zip(&before).filter(|(place, before)| *place != *before) {
        *place = ((*place * 10.0).round() / 10.0).clamp(low, high.max(low));
    }
    // Relevance may lie in one plane of voxels alone: one cut goes through it whatever the others do.
    let kept = before[middle];
    if let Some(nearest) = places.iter_mut().min_by(|a, b| (**a - kept).abs().total_cmp(&(**b - kept).abs())) {
        *nearest = kept;
    }
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
        // Without a map, `within` alone says where: one plane of voxels along y and x.
        assert_eq!((z, at(&y), at(&x)), (axial, vec![-14.0], vec![10.0]));
        // What lies outside does not count: with the upper half alone the cuts rise.
        let upper = Volume::from_fn(grid, |[_, _, k]| if k >= 5 { 1.0 } else { 0.0 });
        assert_eq!(at(&cuts(&map, &upper, 5, 1.0)[0]), [2.0, 6.0, 10.0, 14.0, 18.0]);
        assert_eq!(cuts(&zero, &zero, 3, 1.0)[0], [Cut { plane: Plane::Axial, at: 0.0 }]);
    }

    /// Voxels of 0.7 mm whose centres are at no whole mm: the cut goes through the only voxel, not beside it.
    #[test]
    fn a_single_fine_voxel_is_met() {
        let grid = Grid::new([21, 21, 21], Affine::from_spacing_origin([0.7; 3], [-6.9, 3.2, 0.45])).unwrap();
        let peak = [5, 17, 11];
        let map = Volume::from_fn(grid, |v| if v == peak { -2.0 } else { 0.0 });
        let at = grid.affine.apply(peak.map(|v| v as f64));
        let all = Volume::filled(grid, 1.0);
        for count in 1..9 {
            for along in cuts(&map, &all, count, 2.0) {
                let axis = along[0].plane.axis();
                assert!(along.iter().any(|c| (c.at - at[axis]).abs() < 1e-6), "{count}: {along:?} and {}", at[axis]);
            }
        }
        let found = focus(&map, 0.8);
        assert!((0..3).all(|a| (found[a] - at[a]).abs() < 1e-6), "{found:?} and {at:?}");
        // A ring about the middle of the grid: the focus is on it.
        let ring = Volume::from_fn(grid, |[i, j, k]| {
            let away = (i as f64 - 10.0).hypot(j as f64 - 10.0);
            if k == 10 && (7.5..9.0).contains(&away) { 1.0 } else { 0.0 }
        });
        let found = focus(&ring, 0.8);
        let inverse = grid.affine.inverse().unwrap();
        let [i, j, k] = inverse.apply(found).map(|x| whole(x.round()));
        assert_eq!(ring.at(i, j, k), 1.0);
    }

    /// A brain from 10 to 20 mm: seven cuts 6 mm apart have no room in it, and none leaves it.
    #[test]
    fn no_cut_leaves_the_brain() {
        let grid = Grid::new([41, 41, 41], Affine::from_spacing_origin([1.0; 3], [-10.0; 3])).unwrap();
        let brain = Volume::from_fn(grid, |v| if v.iter().all(|x| (20..=30).contains(x)) { 1.0 } else { 0.0 });
        for map in [brain.clone(), Volume::from_fn(grid, |v| if v == [30; 3] { 1.0 } else { 0.0 })] {
            for (count, expected) in [(1, 1), (7, 7), (20, 11)] {
                for along in cuts(&map, &brain, count, 6.0) {
                    assert_eq!(along.len(), expected);
                    assert!(along.iter().all(|c| (10.0..=20.0).contains(&c.at)), "{along:?}");
                    assert!(along.windows(2).all(|w| w[0].at < w[1].at), "{along:?}");
                }
            }
        }
        // By hand: 5 mm apart from 0 to 20, with one where the middle one was.
        let mut places = [18.0, 18.0, 18.0];
        spread(&mut places, 5.0, [0.0, 20.0]);
        assert_eq!(places, [10.0, 15.0, 18.0]);
        let mut places = [3.0, 3.0, 9.0];
        spread(&mut places, 3.0, [0.0, 20.0]);
        assert_eq!(places, [0.0, 3.0, 9.0]);
        let mut places = [1.0, 1.0, 1.0, 1.0];
        spread(&mut places, 6.0, [0.0, 9.0]);
        assert_eq!(places, [1.0, 3.0, 6.0, 9.0]);
    }
}
