//! A mask on another grid: by the share of each new voxel that it fills.

use super::resample::voxel_to_voxel;
use crate::{Grid, Mask, Volume};
use rayon::prelude::*;

/// Shares this close to a half are a tie: positions in files are rounded to `f32`, which is 1e-5 mm at 100 mm, and quaternions turn that
/// into a few times as much.
const TIE: f64 = 1e-4;

/// Probes along each axis of a voxel that is turned against the mask's axes: odd, so that they cannot be halves.
const PROBES: usize = 9;

impl Volume<bool> {
    /// The share of each voxel of `grid` that the mask fills, 0 to 1. A voxel is a box; outside its own grid the mask is empty.
    ///
    /// Where the axes of both grids run along each other it is exact: the overlaps of the boxes. Else it is the share of
    /// 9 x 9 x 9 probes in the box, each in its nearest voxel.
    pub fn shares(&self, grid: &Grid) -> Volume<f32> {
        let Some(matrix) = voxel_to_voxel(self.grid(), grid) else { return Volume::filled(*grid, 0.0) };
        let rows = matrix.rows();
        let straight = (0..3).all(|a| (0..3).all(|b| a == b || rows[a][b] == 0.0));
        if straight {
            let overlaps: [Vec<Overlap>; 3] = std::array::from_fn(|a| {
                (0..grid.shape[a])
                    .map(|n| Overlap::new(rows[a][3] + n as f64 * rows[a][a], rows[a][a], self.shape()[a]))
                    .collect()
            });
            return self.each(grid, |[i, j, k]| {
                let (along_i, along_j, along_k) = (&overlaps[0][i], &overlaps[1][j], &overlaps[2][k]);
                let mut sum = 0.0;
                for (i, wi) in along_i.parts() {
                    for (j, wj) in along_j.parts() {
                        let row = self.grid().index(i, j, 0);
                        let filled = along_k.parts().filter(|(k, _)| self.data()[row + k]).map(|(_, wk)| wk);
                        sum += wi * wj * filled.sum::<f64>();
                    }
                }
                sum
            });
        }
        let reach = rows.map(|row| 0.5 * (row[0].abs() + row[1].abs() + row[2].abs()));
        let probes: Vec<[f64; 3]> = (0..PROBES.pow(3))
            .map(|n| {
                let part = [n / (PROBES * PROBES), n / PROBES % PROBES, n % PROBES];
                matrix.apply_linear(part.map(|p| (p as f64 + 0.5) / PROBES as f64 - 0.5))
            })
            .collect();
        self.each(grid, |voxel| {
            let x = matrix.apply(voxel.map(|v| v as f64));
            if let Some(same) = self.uniform(x, reach) {
                return f64::from(u8::from(same));
            }
            let filled = probes
                .iter()
                .filter(|o| self.nearest([x[0] + o[0], x[1] + o[1], x[2] + o[2]]).is_some_and(|n| self.data()[n]));
            filled.count() as f64 / probes.len() as f64
        })
    }

    /// The mask on another grid: the voxels of which it fills more than half ([`Volume::shares`]).
    ///
    /// Of voxels that are filled to exactly a half, those whose indices have an even sum belong. Taking all of them, or none,
    /// would make every mask larger or smaller on some grids than on others: where a border runs along voxels' edges and the new voxels
    /// are twice as large, every voxel at the border is such a tie. Half of them, spread like the fields of a chess-board, keep the
    /// volume and move the border to no side.
    #[must_use]
    pub fn resample_mask(&self, grid: &Grid) -> Mask {
        let shares = self.shares(grid);
        Volume::from_fn(*grid, |[i, j, k]| {
            let above = f64::from(shares.at(i, j, k)) - 0.5;
            if above.abs() <= TIE { (i + j + k) % 2 == 0 } else { above > 0.0 }
        })
    }

    /// A value for every voxel of a grid, plane by plane on all threads.
    fn each(&self, grid: &Grid, share: impl Fn([usize; 3]) -> f64 + Sync) -> Volume<f32> {
        let mut data = vec![0.0; grid.len()];
        data.par_chunks_mut(grid.shape[1] * grid.shape[2]).enumerate().for_each(|(i, plane)| {
            for (n, out) in plane.iter_mut().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "a share is kept as f32")]
                let value = share([i, n / grid.shape[2], n % grid.shape[2]]) as f32;
                *out = value;
            }
        });
        Volume::from_parts(*grid, data)
    }

    /// The value of all voxels that a box around `x` (in voxels of this mask) can touch, where it is one.
    fn uniform(&self, x: [f64; 3], reach: [f64; 3]) -> Option<bool> {
        let shape = self.shape();
        let (mut low, mut high) = ([0; 3], [0; 3]);
        for a in 0..3 {
            let (from, to) = ((x[a] - reach[a]).round(), (x[a] + reach[a]).round());
            let last = shape[a] as f64 - 1.0;
            if to < 0.0 || from > last {
                return Some(false);
            }
            if from < 0.0 || to > last {
                return None;
            }
            (low[a], high[a]) = (super::resample::whole(from), super::resample::whole(to));
        }
        let first = self.at(low[0], low[1], low[2]);
        let same = (low[0]..=high[0]).all(|i| {
            (low[1]..=high[1]).all(|j| {
                let row = self.grid().index(i, j, 0);
                self.data()[row + low[2]..=row + high[2]].iter().all(|m| *m == first)
            })
        });
        same.then_some(first)
    }
}

/// The voxels of one axis that a box overlaps, with the share of the box that lies in each.
#[derive(Clone, Debug)]
struct Overlap {
    first: usize,
    shares: Vec<f64>,
}

impl Overlap {
    /// Of a box of that width about `centre` (in voxels) among `length` voxels.
    fn new(centre: f64, width: f64, length: usize) -> Self {
        let (from, to) = (centre - width.abs() / 2.0 + 0.5, centre + width.abs() / 2.0 + 0.5);
        // Voxel `n` reaches from `n` to `n + 1` here.
        let first = super::resample::whole(from.floor().clamp(0.0, length as f64));
        let end = super::resample::whole(to.ceil().clamp(0.0, length as f64));
        let share = |n: usize| ((to.min(n as f64 + 1.0) - from.max(n as f64)) / width.abs()).max(0.0);
        Self { first, shares: (first..end).map(share).collect() }
    }

    fn parts(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.shares.iter().enumerate().map(|(n, share)| (self.first + n, *share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;

    fn grid(shape: usize, spacing: f64, origin: [f64; 3]) -> Grid {
        Grid::new([shape; 3], Affine::from_spacing_origin([spacing; 3], origin)).unwrap()
    }

    fn volume(mask: &Mask) -> f64 {
        mask.count() as f64 * mask.grid().voxel_volume()
    }

    #[test]
    fn a_tie_that_rounding_moved_is_one() {
        // Voxels of 1 mm, to 2 mm: the last plane of the mask is half of a voxel.
        let mask = Mask::from_fn(grid(40, 1.0, [0.0; 3]), |[i, ..]| (4..33).contains(&i));
        for off in [0.0, 4e-5, -4e-5] {
            let coarse = mask.resample_mask(&grid(20, 2.0, [0.5 + off, 0.5, 0.5]));
            assert!((volume(&coarse) / volume(&mask) - 1.0).abs() < 1e-9, "{off}");
        }
    }

    #[test]
    fn by_hand() {
        // Along one axis: voxels of 1 mm, in at 1 and 2; boxes of 1.5 mm from -0.5, 1, 2.5 (borders of voxels at -0.5, 0.5, ...).
        let line = Grid::new([4, 1, 1], Affine::IDENTITY).unwrap();
        let mask = Mask::new(line, vec![false, true, true, false]).unwrap();
        let wide = Grid::new([3, 1, 1], Affine::from_spacing_origin([1.5, 1.0, 1.0], [0.25, 0.0, 0.0])).unwrap();
        let shares = mask.shares(&wide);
        for (found, expected) in shares.data().iter().zip([0.5 / 1.5, 1.0, 0.0]) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{:?}", shares.data());
        }
        // Boxes of 2 mm that hold half of the mask each: one of two ties belongs.
        let ties = Grid::new([2, 1, 1], Affine::from_spacing_origin([2.0, 1.0, 1.0], [0.5, 0.0, 0.0])).unwrap();
        assert_eq!(mask.shares(&ties).data(), [0.5, 0.5]);
        assert_eq!(mask.resample_mask(&ties).data(), [true, false]);
        // The same grid, and one read from its other end.
        assert_eq!(mask.resample_mask(&line).data(), mask.data());
        let back = Affine::from_rows([[-1.0, 0.0, 0.0, 3.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
        assert_eq!(mask.resample_mask(&Grid::new([4, 1, 1], back).unwrap()).data(), mask.data());
    }

    #[test]
    fn a_half_space_along_the_edges_of_voxels_keeps_its_volume() {
        let fine = grid(48, 1.0, [0.0; 3]);
        for axis in 0..3 {
            for keep_low in [true, false] {
                for border in 20..26 {
                    let mask = Volume::from_fn(fine, |v| (v[axis] < border) == keep_low);
                    for (size, factor) in [(24, 2.0), (12, 4.0)] {
                        let coarse = grid(size, factor, [(factor - 1.0) / 2.0; 3]);
                        let found = volume(&mask.resample_mask(&coarse));
                        let tie = border % 2 == 1 && factor == 2.0 || border % 4 == 2 && factor == 4.0;
                        if tie {
                            // Exactly: every second voxel of the plane of ties, each half filled.
                            assert!((found - volume(&mask)).abs() < 1e-6, "axis {axis}, border {border}: {found}");
                        } else {
                            // Rounded to whole planes, up as often as down.
                            assert!((found - volume(&mask)).abs() < 0.5 * factor * 48.0 * 48.0, "{found}");
                        }
                    }
                }
            }
        }
    }

    /// How many voxels of this spacing lie in 100 mm.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number above 0")]
    fn cells(spacing: f64) -> usize {
        (100.0 / spacing) as usize
    }

    /// Mean ratio of the volumes of balls at many places, straight or turned.
    fn balls(fine: f64, spacing: f64, turn: f64) -> f64 {
        let held = grid(cells(fine), fine, [-50.0 + fine / 2.0; 3]);
        let (s, c) = turn.sin_cos();
        let mut ratio = 0.0;
        let count = 12;
        for n in 0..count {
            // At places that no grid shares.
            let spread = |by: f64| (f64::from(n) * by).fract();
            let radius = 34.0 + 8.0 * spread(0.618);
            let centre = [0.754, 0.569, 0.428].map(|by| 4.0 * spread(by));
            let ball = Volume::from_fn(held, |v| {
                let p = held.affine.apply(v.map(|x| x as f64));
                (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>() < radius * radius
            });
            let start = -50.0 + spacing / 2.0;
            let rows = [
                [c * spacing, -s * spacing, 0.0, c * start - s * start],
                [s * spacing, c * spacing, 0.0, s * start + c * start],
                [0.0, 0.0, spacing, start],
            ];
            let coarse = Grid::new([cells(spacing); 3], Affine::from_rows(rows)).unwrap();
            ratio += volume(&ball.resample_mask(&coarse)) / volume(&ball) / f64::from(count);
        }
        ratio
    }

    #[test]
    fn balls_keep_their_volume_on_every_grid() {
        for (fine, spacing) in [(1.0, 2.0), (1.0, 3.0), (2.0, 3.0), (2.0, 4.0), (2.0, 1.0)] {
            for turn in [0.0, 0.2] {
                let ratio = balls(fine, spacing, turn);
                // A box whose middle lies on a convex border is filled to less than a half: the border of a ball moves in by
                // spacing² / (12 radius).
                let expected = 1.0 - 3.0 * spacing * spacing / (12.0 * 38.0 * 38.0);
                assert!((ratio - expected).abs() < 0.003, "{fine} to {spacing} mm, turned by {turn}: {ratio}");
            }
        }
    }

    #[test]
    fn probes_find_what_overlaps_do() {
        let fine = grid(24, 1.0, [0.0; 3]);
        let mask = Volume::from_fn(fine, |[i, j, k]| (i * 7 + j * 5 + k * 3) % 11 < 5);
        let straight = grid(7, 2.6, [1.1, 2.0, 0.4]);
        // The same boxes, turned by so little that it does not count.
        let mut rows = *straight.affine.rows();
        rows[0][1] = 1e-7;
        let turned = Grid::new(straight.shape, Affine::from_rows(rows)).unwrap();
        for (a, b) in mask.shares(&straight).data().iter().zip(mask.shares(&turned).data()) {
            assert!((a - b).abs() < 0.12, "{a} {b}");
        }
        let mean = |v: &Volume<f32>| v.data().iter().map(|v| f64::from(*v)).sum::<f64>() / v.data().len() as f64;
        assert!((mean(&mask.shares(&straight)) - mean(&mask.shares(&turned))).abs() < 0.01);
    }
}
