//! [`Alignment`]: where a brain lies, seen from a template.

use crate::{Affine, Border, Error, Grid, Interpolation, Result, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What of the fitted transform is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizes {
    /// Rotation and translation alone: a small brain stays small.
    #[default]
    Keep,
    /// Also the three scales: brains come out as long, wide and high as the template.
    Remove,
}

/// How a brain was brought to a template.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// From the image's own world (mm) to the template's (mm).
    pub to_template: Affine,
    /// Correlation of the two brains where the template's is, after the fit with scales: 1 is perfect. Below about
    /// 0.85 something is wrong (not skull-stripped, another contrast, lengths in other units). A mirrored brain is not among what it
    /// shows: hemispheres are so alike that it correlates as well.
    pub correlation: f64,
    /// By how many degrees the brain was turned, against the orientation that its header gives. Heads in a scanner are askew by 30 or
    /// less; about 90 or 180 are a header that is wrong.
    #[serde(default)]
    pub angle: f64,
    /// Template's size over this brain's, along the template's x, y and z.
    pub scales: [f64; 3],
}

/// Distance in mm between the points that are compared, coarse to fine.
const LEVELS: [f64; 2] = [8.0, 5.0];

/// Correlation from which on the header's orientation is believed. Our choice, between brains that lie right (0.91 and above on IXI) and
/// brains left upside down (0.80 and below).
const FITS: f64 = 0.9;

/// Distance in mm between the points at which other starts are compared, and how many of them are followed to the end.
const START: f64 = 12.0;
const FOLLOWED: usize = 3;

/// Spacing in mm at which the brains are held for comparison.
const HELD_AT: f64 = 4.0;

/// First step of the search: radians for rotations, mm for shifts, logarithms for scales.
const STEPS: [f64; 9] = [0.12, 0.12, 0.12, 6.0, 6.0, 6.0, 0.08, 0.08, 0.08];

/// Finds where a skull-stripped brain lies, seen from a skull-stripped template of the same contrast.
///
/// Nine numbers (rotation, translation, three scales along the template's axes) are fitted to the largest correlation
/// of intensities at points 8, then 5 mm apart in and around the template's brain, by a pattern search (Hooke & Jeeves
/// 1961) with the centres of mass on each other. It starts from the headers' orientation; where that ends
/// below a correlation of 0.9 (an upside-down brain comes to 0.8), the 23 others that a wrong header can make of it (quarter turns about
/// the axes) are tried on points 12 mm apart, the three best of them are followed to the end, and the best of all is taken. The scales are fitted so that
/// a small brain is not turned to make up for its size; [`Sizes::Keep`] then leaves them out. Both volumes are to be 0
/// outside the brain. Nothing is mirrored: left stays left.
///
/// # Errors
/// A brain without a positive voxel.
pub fn align(brain: &Volume, template: &Volume, sizes: Sizes) -> Result<Alignment> {
    let moving = held(brain)?;
    let fixed = held(template)?;
    let (from, to) = (centre(&fixed)?, centre(&moving)?);
    let world_to_voxel =
        moving.grid().affine.inverse().ok_or_else(|| Error::Grid("an affine that cannot be inverted".into()))?;

    let search = |points: &[Point], turn: &Affine, start: [f64; 9], shrink: f64, halvings: usize| {
        let place = |p: &[f64; 9]| world_to_voxel * transform(p, turn, from, to, Sizes::Remove);
        pattern_search(start, STEPS.map(|s| s * shrink), halvings, |p| correlate(points, &moving, place(p)))
    };
    let to_the_end = |turn: &Affine, mut place: [f64; 9]| {
        let mut score = 0.0;
        for (level, distance) in LEVELS.into_iter().enumerate() {
            let shrink = 0.5f64.powi(i32::try_from(2 * level).unwrap_or(0));
            (place, score) = search(&points(&fixed, distance), turn, place, shrink, 7);
        }
        (place, score)
    };
    let mut turn = Affine::IDENTITY;
    let (mut best, mut correlation) = to_the_end(&turn, [0.0; 9]);
    if correlation < FITS {
        let sparse = points(&fixed, START);
        let others = quarter_turns().into_iter().skip(1);
        let mut starts: Vec<(Affine, [f64; 9], f64)> = others
            .map(|turn| {
                let (found, score) = search(&sparse, &turn, [0.0; 9], 2.0, 3);
                (turn, found, score)
            })
            .collect();
        starts.sort_by(|a, b| b.2.total_cmp(&a.2));
        for (other, place, _) in starts.into_iter().take(FOLLOWED) {
            let (place, score) = to_the_end(&other, place);
            if score > correlation {
                (turn, best, correlation) = (other, place, score);
            }
        }
    }
    let rotation =
        transform(&[best[0], best[1], best[2], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &turn, [0.0; 3], [0.0; 3], Sizes::Keep);
    let trace = (0..3).map(|a| rotation.rows()[a][a]).sum::<f64>();
    let angle = ((trace - 1.0) / 2.0).clamp(-1.0, 1.0).acos().to_degrees();
    let to_template = transform(&best, &turn, from, to, sizes)
        .inverse()
        .ok_or_else(|| Error::Grid("the fitted transform cannot be inverted".into()))?;
    // The scales multiply template coordinates on the way to the brain; their inverses say how much larger the template is.
    Ok(Alignment { to_template, correlation, angle, scales: [6, 7, 8].map(|n| (-best[n]).exp()) })
}

/// A volume at 4 mm, smoothed accordingly: what is compared.
fn held(volume: &Volume) -> Result<Volume> {
    let grid = volume.grid();
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for c in grid.corners() {
        for a in 0..3 {
            low[a] = low[a].min(c[a]);
            high[a] = high[a].max(c[a]);
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number of voxels")]
    let shape = std::array::from_fn(|a| ((high[a] - low[a]) / HELD_AT).ceil().clamp(1.0, 1000.0) as usize + 1);
    let coarse = Grid::new(shape, Affine::from_spacing_origin([HELD_AT; 3], low))?;
    let smoothed = volume.resample_antialiased(&coarse, Interpolation::Linear, 0.0);
    // One voxel more of blur makes the correlation a smooth function of the nine numbers.
    Ok(smoothed.smooth(HELD_AT * 0.75, Border::Zero))
}

/// Centre of mass (mm) of the positive values.
fn centre(volume: &Volume) -> Result<[f64; 3]> {
    let (mut sum, mut weight) = ([0.0; 3], 0.0);
    for (n, &v) in volume.data().iter().enumerate() {
        if v > 0.0 {
            let mm = volume.grid().affine.apply(volume.grid().voxel(n).map(|i| i as f64));
            for a in 0..3 {
                sum[a] += mm[a] * f64::from(v);
            }
            weight += f64::from(v);
        }
    }
    if weight > 0.0 {
        Ok(sum.map(|s| s / weight))
    } else {
        Err(Error::Grid("a brain without a positive voxel cannot be aligned".into()))
    }
}

/// A point (mm) in or near the template's brain, and the template's value there.
struct Point {
    mm: [f64; 3],
    value: f64,
}

/// Points on a lattice where the template, blurred, is above a twentieth of its maximum.
fn points(fixed: &Volume, distance: f64) -> Vec<Point> {
    let extent = fixed.shape().map(|n| (n as f64 - 1.0) * HELD_AT);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number of points")]
    let counts = extent.map(|e| (e / distance).floor() as usize + 1);
    let near = fixed.smooth(HELD_AT * 1.5, Border::Zero);
    let least = f64::from(near.data().iter().copied().fold(0.0, f32::max)) * 0.05;
    let mut points = Vec::new();
    for i in 0..counts[0] {
        for j in 0..counts[1] {
            for k in 0..counts[2] {
                let voxel = [i, j, k].map(|n| n as f64 * distance / HELD_AT);
                if let (Some(value), Some(around)) = (fixed.linear(voxel), near.linear(voxel))
                    && f64::from(around) > least
                {
                    points.push(Point { mm: fixed.grid().affine.apply(voxel), value: f64::from(value) });
                }
            }
        }
    }
    points
}

/// The 24 rotations that take axes to axes, no turn first.
fn quarter_turns() -> Vec<Affine> {
    let mut turns = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8 {
            let mut rows = [[0.0; 4]; 3];
            for a in 0..3 {
                rows[a][order[a]] = if signs >> a & 1 == 1 { -1.0 } else { 1.0 };
            }
            let turn = Affine::from_rows(rows);
            // The others mirror.
            if turn.determinant() > 0.0 {
                turns.push(turn);
            }
        }
    }
    turns
}

/// Template mm to image mm: scales, then rotation about x, y, z (in that order of matrices) and a quarter turn, about the centres.
fn transform(p: &[f64; 9], turn: &Affine, from: [f64; 3], to: [f64; 3], sizes: Sizes) -> Affine {
    let [(sx, cx), (sy, cy), (sz, cz)] = [p[0], p[1], p[2]].map(f64::sin_cos);
    let x = Affine::from_rows([[1.0, 0.0, 0.0, 0.0], [0.0, cx, -sx, 0.0], [0.0, sx, cx, 0.0]]);
    let y = Affine::from_rows([[cy, 0.0, sy, 0.0], [0.0, 1.0, 0.0, 0.0], [-sy, 0.0, cy, 0.0]]);
    let z = Affine::from_rows([[cz, -sz, 0.0, 0.0], [sz, cz, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    let scale = match sizes {
        Sizes::Keep => [1.0; 3],
        Sizes::Remove => [p[6].exp(), p[7].exp(), p[8].exp()],
    };
    let shift = |v: [f64; 3]| Affine::from_spacing_origin([1.0; 3], v);
    let back = shift([to[0] + p[3], to[1] + p[4], to[2] + p[5]]);
    back * *turn * x * y * z * Affine::from_spacing_origin(scale, [0.0; 3]) * shift(from.map(|v| -v))
}

/// Pearson's correlation of the template's values with the image's at the points they are sent to; 0 outside the image.
fn correlate(points: &[Point], moving: &Volume, to_voxel: Affine) -> f64 {
    // Fixed chunks, added in their order: the same sum on any number of threads.
    let parts: Vec<[f64; 5]> = points
        .par_chunks(1024)
        .map(|chunk| {
            chunk.iter().fold([0.0; 5], |s, p| {
                let v = moving.linear(to_voxel.apply(p.mm)).map_or(0.0, f64::from);
                [s[0] + v, s[1] + p.value, s[2] + v * v, s[3] + p.value * p.value, s[4] + v * p.value]
            })
        })
        .collect();
    let n = points.len() as f64;
    let [v, t, vv, tt, vt] = parts.iter().fold([0.0; 5], |a, b| std::array::from_fn(|i| a[i] + b[i])).map(|s| s / n);
    let spread = (vv - v * v) * (tt - t * t);
    if spread > 0.0 { (vt - v * t) / spread.sqrt() } else { 0.0 }
}

/// Largest score found by stepping along each axis and along the last successful move; steps halve where none helps.
fn pattern_search(
    start: [f64; 9],
    mut steps: [f64; 9],
    halvings: usize,
    score: impl Fn(&[f64; 9]) -> f64,
) -> ([f64; 9], f64) {
    let mut best = (start, score(&start));
    for _ in 0..halvings {
        // Bounded: a score that keeps rising by rounding alone must not go on for ever.
        for _ in 0..40 {
            let before = best;
            for axis in 0..9 {
                for sign in [1.0, -1.0] {
                    let mut trial = best.0;
                    trial[axis] += sign * steps[axis];
                    let s = score(&trial);
                    if s > best.1 + 1e-9 {
                        best = (trial, s);
                        break;
                    }
                }
            }
            if best.1 <= before.1 {
                break;
            }
            let onward = std::array::from_fn(|a| 2.0 * best.0[a] - before.0[a]);
            let s = score(&onward);
            if s > best.1 {
                best = (onward, s);
            }
        }
        steps = steps.map(|s| s * 0.5);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head of blobs, no two alike, 0 outside an ellipsoid.
    fn head(place: Affine) -> Volume {
        let grid = Grid::new([50, 60, 48], Affine::from_spacing_origin([4.0; 3], [-98.0, -118.0, -94.0])).unwrap();
        let back = place.inverse().unwrap();
        let blobs = [
            ([30.0, 20.0, 10.0], 1.0),
            ([-28.0, 25.0, -20.0], 0.7),
            ([-20.0, -50.0, 25.0], 0.9),
            ([15.0, -40.0, -30.0], 0.5),
        ];
        Volume::from_fn(grid, |v| {
            let p = back.apply(grid.affine.apply(v.map(|n| n as f64)));
            let r = (p[0] / 68.0).powi(2) + (p[1] / 85.0).powi(2) + (p[2] / 62.0).powi(2);
            // A soft edge, as a brain has at this resolution.
            let inside = 1.0 / (1.0 + ((r - 1.0) * 12.0).exp());
            if inside < 0.01 {
                return 0.0;
            }
            let bumps: f64 = blobs
                .iter()
                .map(|(c, h)| h * (-(0..3).map(|a| (p[a] - c[a]).powi(2)).sum::<f64>() / 400.0).exp())
                .sum();
            #[expect(clippy::cast_possible_truncation, reason = "a voxel value")]
            let value = (inside * (0.3 + 2.0 * bumps)) as f32;
            value
        })
    }

    fn placed(p: &[f64; 9]) -> Affine {
        transform(p, &Affine::IDENTITY, [0.0; 3], [0.0; 3], Sizes::Remove)
    }

    #[test]
    fn any_wrong_header_is_turned_back() {
        let turns = quarter_turns();
        assert_eq!((turns.len(), turns[0]), (24, Affine::IDENTITY));
        let template = head(Affine::IDENTITY);
        for (n, turn) in turns.into_iter().enumerate().step_by(5) {
            let place = turn * placed(&[0.1, -0.08, 0.12, 5.0, -4.0, 6.0, 0.0, 0.0, 0.0]);
            let found = align(&head(place), &template, Sizes::Keep).unwrap();
            assert!(found.correlation > 0.97, "turn {n}: {found:?}");
            for corner in [[50.0, 0.0, 0.0], [0.0, -60.0, 0.0], [0.0, 0.0, 45.0]] {
                let back = found.to_template.apply(place.apply(corner));
                let error = (0..3).map(|a| (back[a] - corner[a]).powi(2)).sum::<f64>().sqrt();
                assert!(error < 3.0, "turn {n}: {error} mm at {corner:?}");
            }
            assert!(if n == 0 { found.angle < 15.0 } else { found.angle > 70.0 }, "turn {n}: {}", found.angle);
        }
    }

    #[test]
    fn finds_the_way_back() {
        let truth = [0.15, -0.1, 0.2, 9.0, -12.0, 6.0, 0.0, 0.0, 0.0];
        let (template, moved) = (head(Affine::IDENTITY), head(placed(&truth)));
        let found = align(&moved, &template, Sizes::Keep).unwrap();
        assert!(found.correlation > 0.99, "{found:?}");
        for corner in [[60.0, 0.0, 0.0], [-60.0, 0.0, 0.0], [0.0, 80.0, 0.0], [0.0, -80.0, 0.0], [0.0, 0.0, 55.0]] {
            let back = found.to_template.apply(placed(&truth).apply(corner));
            let error = (0..3).map(|a| (back[a] - corner[a]).powi(2)).sum::<f64>().sqrt();
            assert!(error < 1.0, "{error} mm at {corner:?}");
        }
        assert!(found.to_template.determinant() > 0.0, "mirrored");
    }

    #[test]
    fn keeps_or_removes_size_as_asked() {
        let small = [0.05, 0.0, -0.1, 4.0, 2.0, -3.0, -0.1, -0.15, -0.05];
        let (template, moved) = (head(Affine::IDENTITY), head(placed(&small)));
        let kept = align(&moved, &template, Sizes::Keep).unwrap();
        assert!((kept.to_template.determinant() - 1.0).abs() < 1e-9);
        let removed = align(&moved, &template, Sizes::Remove).unwrap();
        for (found, log) in removed.scales.iter().zip(&small[6..]) {
            assert!((found - (-log).exp()).abs() < 0.02, "{:?}", removed.scales);
        }
        assert!((removed.to_template.determinant() - 0.3f64.exp()).abs() < 0.05);
    }

    #[test]
    fn an_empty_brain_is_refused() {
        let empty = head(Affine::IDENTITY).map(|_| 0.0);
        assert!(align(&empty, &head(Affine::IDENTITY), Sizes::Keep).is_err());
    }
}
