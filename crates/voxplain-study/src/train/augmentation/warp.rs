//! [`Warp`]: where each voxel of a volume that is turned, scaled, shifted and bent at random comes from.

use super::{AffineChange, Change, Place};
use voxplain_core::random::Seed;

/// Cells of the grid of control points along each axis; there are three points more.
const CELLS: usize = 4;
const POINTS: usize = CELLS + 3;

/// The displacement (mm) of each control point, `[axis][i][j][k]`.
type Points = [[[[f64; POINTS]; POINTS]; POINTS]; 3];

/// A map from the voxels of the result to those that they come from: an affine map about the centre of the grid, before which each
/// place is displaced by cubic B-splines.
#[derive(Clone, Debug)]
pub(super) struct Warp {
    /// From an offset to the centre (mm) to the offset that it comes from, and what is added.
    matrix: [[f64; 3]; 3],
    shift: [f64; 3],
    /// None where nothing is bent.
    points: Option<Box<Points>>,
}

impl Warp {
    /// One that changes nothing.
    const NONE: Self =
        Self { matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], shift: [0.0; 3], points: None };

    /// Draws the changes that happen; `None` where none does.
    pub(super) fn draw(affine: Option<AffineChange>, elastic: Option<Change>, seed: Seed) -> Option<Self> {
        let mut warp = Self::NONE;
        let mut any = false;
        if let Some(change) = affine {
            let mut random = seed.child("affine").random();
            if random.chance(change.probability) {
                let mut each = |most: f64| -> [f64; 3] { std::array::from_fn(|_| random.range(-most, most)) };
                let (angles, scales, shift) = (each(change.degrees), each(change.scale), each(change.shift));
                warp = Self::affine(angles, scales.map(|s| 1.0 + s), shift);
                any = true;
            }
        }
        if let Some(change) = elastic {
            let mut random = seed.child("elastic").random();
            if random.chance(change.probability) {
                let mut points = Box::new([[[[0.0; POINTS]; POINTS]; POINTS]; 3]);
                // Two layers at each side stay (TorchIO's locked borders): the sides are displaced by a sixth of the size at most.
                for i in 2..POINTS - 2 {
                    for j in 2..POINTS - 2 {
                        for k in 2..POINTS - 2 {
                            points.iter_mut().for_each(|of| of[i][j][k] = random.range(-change.size, change.size));
                        }
                    }
                }
                warp.points = Some(points);
                any = true;
            }
        }
        any.then_some(warp)
    }

    /// The volume scaled along the axes, then turned about them (i first, k last; degrees), then shifted (mm).
    pub(super) fn affine(angles: [f64; 3], scales: [f64; 3], shift: [f64; 3]) -> Self {
        let [a, b, c] = angles.map(f64::to_radians);
        let about_i = [[1.0, 0.0, 0.0], [0.0, a.cos(), -a.sin()], [0.0, a.sin(), a.cos()]];
        let about_j = [[b.cos(), 0.0, b.sin()], [0.0, 1.0, 0.0], [-b.sin(), 0.0, b.cos()]];
        let about_k = [[c.cos(), -c.sin(), 0.0], [c.sin(), c.cos(), 0.0], [0.0, 0.0, 1.0]];
        let turned = product(about_k, product(about_j, about_i));
        // Where a place comes from: what was done last is undone first. The inverse of a rotation is its transpose.
        let matrix: [[f64; 3]; 3] =
            std::array::from_fn(|row| std::array::from_fn(|column| turned[column][row] / scales[row]));
        let shift = std::array::from_fn(|row| -(0..3).map(|n| matrix[row][n] * shift[n]).sum::<f64>());
        Self { matrix, shift, points: None }
    }

    /// Calls `take` with the number of each voxel in C order and the place that it comes from, in voxels.
    pub(super) fn each_voxel(&self, place: Place, mut take: impl FnMut(usize, [f64; 3])) {
        let Place { shape, spacing } = place;
        let centre = shape.map(|n| (n as f64 - 1.0) / 2.0);
        let taps = shape.map(|n| (0..n).map(|at| tap(at, n)).collect::<Vec<_>>());
        let mut at = 0;
        for i in 0..shape[0] {
            // The control points of a plane, of a row: one axis after another, so that a voxel sums over four.
            let plane = self.points.as_ref().map(|points| {
                let (first, weights) = taps[0][i];
                let sum = |axis: usize, j: usize, k: usize| -> f64 {
                    (0..4).map(|n| weights[n] * points[axis][first + n][j][k]).sum()
                };
                array3(|axis| array(|j| array(|k| sum(axis, j, k))))
            });
            for j in 0..shape[1] {
                let row = plane.as_ref().map(|plane| {
                    let (first, weights) = taps[1][j];
                    array3(|axis| array(|k| (0..4).map(|n| weights[n] * plane[axis][first + n][k]).sum::<f64>()))
                });
                for (k, &(first, weights)) in taps[2].iter().enumerate() {
                    let mut offset: [f64; 3] =
                        std::array::from_fn(|axis| spacing[axis] * ([i, j, k][axis] as f64 - centre[axis]));
                    if let Some(row) = &row {
                        for (axis, offset) in offset.iter_mut().enumerate() {
                            *offset += (0..4).map(|n| weights[n] * row[axis][first + n]).sum::<f64>();
                        }
                    }
                    let from = std::array::from_fn(|axis| {
                        let along: f64 = (0..3).map(|n| self.matrix[axis][n] * offset[n]).sum();
                        (along + self.shift[axis]) / spacing[axis] + centre[axis]
                    });
                    take(at, from);
                    at += 1;
                }
            }
        }
    }

    /// The volume and its mask after the change: a voxel is inside where the nearest of those that it comes from is, and then has the
    /// mean of the up to eight around that are inside, by their nearness. Outside it is 0.
    #[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
    pub(super) fn resample(
        &self,
        (from, inside): (&[f32], &[bool]),
        place: Place,
        (to, to_inside): (&mut [f32], &mut [bool]),
    ) {
        let [ni, nj, nk] = place.shape;
        self.each_voxel(place, |at, source| {
            (to[at], to_inside[at]) = (0.0, false);
            let within = |x: f64, n: usize| x > -0.5 && x < n as f64 - 0.5;
            if !(within(source[0], ni) && within(source[1], nj) && within(source[2], nk)) {
                return;
            }
            let floor = source.map(f64::floor);
            let part: [f64; 3] = std::array::from_fn(|axis| source[axis] - floor[axis]);
            let (mut sum, mut total, mut nearest) = (0.0, 0.0, false);
            for corner in 0..8usize {
                let up = [corner >> 2 & 1, corner >> 1 & 1, corner & 1];
                let Some([i, j, k]) = index(floor, up, place.shape) else { continue };
                let n = (i * nj + j) * nk + k;
                if !inside[n] {
                    continue;
                }
                let weight: f64 =
                    (0..3).map(|axis| if up[axis] == 1 { part[axis] } else { 1.0 - part[axis] }).product();
                nearest |= (0..3).all(|axis| (part[axis] >= 0.5) == (up[axis] == 1));
                sum += weight * f64::from(from[n]);
                total += weight;
            }
            if nearest {
                (to[at], to_inside[at]) = ((sum / total) as f32, true);
            }
        });
    }
}

/// The voxel beside a place, where there is one.
fn index(floor: [f64; 3], up: [usize; 3], shape: [usize; 3]) -> Option<[usize; 3]> {
    let mut of = [0; 3];
    for axis in 0..3 {
        let at = floor[axis] + up[axis] as f64;
        if at < 0.0 || at >= shape[axis] as f64 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number inside the shape")]
        let at = at as usize;
        of[axis] = at;
    }
    Some(of)
}

/// The first of the four control points that a voxel hangs on, along an axis of `n`, and their weights.
fn tap(at: usize, n: usize) -> (usize, [f64; 4]) {
    let cells = CELLS * at;
    let last = n.max(2) - 1;
    let first = (cells / last).min(CELLS - 1);
    let u = cells as f64 / last as f64 - first as f64;
    let weights = [
        (1.0 - u).powi(3),
        3.0 * u.powi(3) - 6.0 * u * u + 4.0,
        -3.0 * u.powi(3) + 3.0 * u * u + 3.0 * u + 1.0,
        u.powi(3),
    ];
    (first, weights.map(|w| w / 6.0))
}

/// The size of a cell of control points (mm) along its shortest axis.
pub(super) fn cell(place: Place) -> f64 {
    let length = |axis: usize| place.spacing[axis] * (place.shape[axis].max(2) - 1) as f64 / CELLS as f64;
    (0..3).map(length).fold(f64::INFINITY, f64::min)
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|row| std::array::from_fn(|column| (0..3).map(|n| a[row][n] * b[n][column]).sum()))
}

fn array<T>(of: impl Fn(usize) -> T) -> [T; POINTS] {
    std::array::from_fn(of)
}

fn array3<T>(of: impl Fn(usize) -> T) -> [T; 3] {
    std::array::from_fn(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { shape: [5, 7, 6], spacing: [2.0, 1.0, 1.5] };

    fn sources(warp: &Warp, place: Place) -> Vec<[f64; 3]> {
        let mut all = Vec::new();
        warp.each_voxel(place, |_, from| all.push(from));
        all
    }

    /// A quarter turn about k takes +i to +j: what comes to the front side was at the right. A phantom with one marked side keeps it when turned
    /// about i by half, and no affine change exchanges sides as a mirror does.
    #[test]
    fn turns_go_the_right_way() {
        let place = Place { shape: [5; 3], spacing: [2.0; 3] };
        let mut from = vec![0.0; 125];
        // Right: the largest i, in the middle of j and k.
        from[4 * 25 + 2 * 5 + 2] = 1.0;
        let inside = vec![true; 125];
        let turned = |angles: [f64; 3]| {
            let (mut to, mut mask) = (vec![9.0; 125], vec![false; 125]);
            Warp::affine(angles, [1.0; 3], [0.0; 3]).resample((&from, &inside), place, (&mut to, &mut mask));
            to.iter().position(|v| *v > 0.99).map(|n| [n / 25, n / 5 % 5, n % 5])
        };
        assert_eq!(turned([0.0, 0.0, 90.0]), Some([2, 4, 2]));
        assert_eq!(turned([0.0, 90.0, 0.0]), Some([2, 2, 0]));
        assert_eq!(turned([180.0, 0.0, 0.0]), Some([4, 2, 2]));
        assert_eq!(turned([0.0; 3]), Some([4, 2, 2]));
    }

    /// Twice as large, a place comes from half its offset; shifted by 3 mm along k of 1.5 mm voxels, from two voxels before.
    #[test]
    fn scales_and_shifts_by_hand() {
        let found = sources(&Warp::affine([0.0; 3], [2.0, 1.0, 1.0], [0.0; 3]), PLACE);
        assert_eq!(found[0], [1.0, 0.0, 0.0]);
        let found = sources(&Warp::affine([0.0; 3], [1.0; 3], [0.0, 0.0, 3.0]), PLACE);
        assert!((found[0][2] + 2.0).abs() < 1e-12 && found[0][..2] == [0.0, 0.0]);
    }

    /// The displacement of a voxel is the sum of all control points by cubic B-splines; at the sides it is a sixth at most.
    #[test]
    fn bends_are_splines() {
        let warp = Warp::draw(None, Some(Change { size: 3.0, probability: 1.0 }), Seed::new(4)).unwrap();
        let points = warp.points.as_ref().unwrap();
        let spline = |x: f64| match x.abs() {
            x if x < 1.0 => 2.0 / 3.0 - x * x + x.powi(3) / 2.0,
            x if x < 2.0 => (2.0 - x).powi(3) / 6.0,
            _ => 0.0,
        };
        let [ni, nj, nk] = PLACE.shape;
        for (n, from) in sources(&warp, PLACE).into_iter().enumerate() {
            let voxel = [n / (nj * nk), n / nk % nj, n % nk];
            // Control point `p` lies at cell `p - 1`.
            let weight = |axis: usize, p: usize| {
                spline(voxel[axis] as f64 * 4.0 / (PLACE.shape[axis] - 1) as f64 - (p as f64 - 1.0))
            };
            for axis in 0..3 {
                let mut expected = 0.0;
                for i in 0..POINTS {
                    for j in 0..POINTS {
                        for k in 0..POINTS {
                            expected += points[axis][i][j][k] * weight(0, i) * weight(1, j) * weight(2, k);
                        }
                    }
                }
                let found = (from[axis] - voxel[axis] as f64) * PLACE.spacing[axis];
                assert!((found - expected).abs() < 1e-9, "{voxel:?} {axis}: {found} {expected}");
                assert!(found.abs() < 3.0);
                let side = voxel[0] % (ni - 1) == 0 || voxel[1] % (nj - 1) == 0 || voxel[2] % (nk - 1) == 0;
                assert!(!side || found.abs() <= 3.0 / 6.0 + 1e-12);
            }
        }
    }

    /// Half a voxel to the side, values are means of neighbours inside; what is outside adds nothing and stays 0.
    #[test]
    fn values_from_outside_do_not_come_in() {
        let place = Place { shape: [1, 1, 4], spacing: [1.0; 3] };
        let (from, inside) = ([9.0, 2.0, 4.0, 0.0], [false, true, true, false]);
        let (mut to, mut mask) = (vec![7.0; 4], vec![true; 4]);
        Warp::affine([0.0; 3], [1.0; 3], [0.0, 0.0, 0.4]).resample((&from, &inside), place, (&mut to, &mut mask));
        // They come from -0.4, 0.6, 1.6 and 2.6.
        assert_eq!(mask, [false, true, true, false]);
        assert!(to[0] == 0.0 && to[3] == 0.0 && to[1] == 2.0 && (to[2] - 3.2).abs() < 1e-6, "{to:?}");
    }
}
