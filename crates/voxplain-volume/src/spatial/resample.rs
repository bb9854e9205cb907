//! Values of a volume on another grid.

use crate::{Affine, Border, Grid, Volume};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How values between voxel centres are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The nearest voxel. A voxel fills its box: a point up to half a voxel beyond the outer centres is inside.
    Nearest,
    /// Trilinear, between voxel centres; a point beyond the outer centres is outside, as in
    /// `scipy.ndimage` with `mode="constant"` and in nilearn.
    Linear,
    /// Cubic convolution with a = -1/2 (Keys 1981; Catmull-Rom): exact at voxel centres and for quadratics, may
    /// overshoot at edges. Inside as for `Linear`; beyond the outer centres the edge value goes on.
    Cubic,
}

/// Points this far (in voxels) beyond the outer centres still count as on them: affines in files are
/// rounded to `f32`, and a border that lies on the grid should not be lost to that.
const EDGE: f64 = 1e-4;

/// Full width at half maximum of a Gaussian, in standard deviations.
const FWHM: f64 = 2.354_820_045_030_949_3;

impl Volume<f32> {
    /// Values at the voxel centres of `grid`; `outside` where `grid` leaves this volume.
    ///
    /// Nothing is smoothed: for a coarser grid see [`Volume::resample_antialiased`]. A NaN spreads to what is
    /// interpolated from it.
    pub fn resample(&self, grid: &Grid, interpolation: Interpolation, outside: f32) -> Self {
        match interpolation {
            Interpolation::Nearest => {
                let data = self.data();
                Self::sample(self.grid(), grid, outside, |x| self.nearest(x).map(|n| data[n]))
            }
            Interpolation::Linear => {
                match voxel_to_voxel(self.grid(), grid).and_then(|m| Crossing::all(&m, self, grid)) {
                    Some(crossings) => self.linear_along_axes(&crossings, grid, outside),
                    None => Self::sample(self.grid(), grid, outside, |x| self.linear(x)),
                }
            }
            Interpolation::Cubic => Self::sample(self.grid(), grid, outside, |x| self.cubic(x)),
        }
    }

    /// [`Volume::resample`] after a Gaussian that takes away what a coarser grid cannot hold.
    ///
    /// Along each of this volume's axes, with `r` the new spacing in old voxels, the Gaussian has
    /// FWHM = `sqrt(r² - 1)` old voxels, so that a point spread as wide as the old voxel becomes one
    /// as wide as the new voxel (widths add in squares): `sigma = sqrt(r² - 1) / 2.3548`. Axes that do not get coarser
    /// are left as they are. For a turned grid `r` is the length of the axis' row of the voxel-to-voxel matrix.
    /// At the border the kernel is cut off and renormalised.
    pub fn resample_antialiased(&self, grid: &Grid, interpolation: Interpolation, outside: f32) -> Self {
        let Some(matrix) = voxel_to_voxel(self.grid(), grid) else { return Self::filled(*grid, outside) };
        let sigma = matrix.rows().map(|row| {
            let squared = row[0] * row[0] + row[1] * row[1] + row[2] * row[2];
            (squared - 1.0 - 1e-6).max(0.0).sqrt() / FWHM
        });
        if sigma == [0.0; 3] {
            return self.resample(grid, interpolation, outside);
        }
        self.smooth_voxels(sigma, Border::Renormalize).resample(grid, interpolation, outside)
    }

    pub(crate) fn linear(&self, x: [f64; 3]) -> Option<f32> {
        let shape = self.shape();
        let mut low = [0; 3];
        let mut part = [0.0f32; 3];
        for a in 0..3 {
            let last = shape[a] as f64 - 1.0;
            if !(x[a] >= -EDGE && x[a] <= last + EDGE) {
                return None;
            }
            let clamped = x[a].clamp(0.0, last);
            low[a] = whole(clamped);
            part[a] = narrow(clamped - low[a] as f64);
        }
        // At the last centre the upper neighbour has no weight; the step of zero keeps it inside the array.
        let step = |a: usize, stride: usize| if low[a] + 1 < shape[a] { stride } else { 0 };
        let (di, dj, dk) = (step(0, shape[1] * shape[2]), step(1, shape[2]), step(2, 1));
        let n = self.grid().index(low[0], low[1], low[2]);
        let d = self.data();
        let along_k = |n: usize| mix(d[n], d[n + dk], part[2]);
        let along_jk = |n: usize| mix(along_k(n), along_k(n + dj), part[1]);
        Some(mix(along_jk(n), along_jk(n + di), part[0]))
    }

    /// [`Volume::linear`] for a grid whose axes run along this volume's: where a voxel falls along an axis does not depend
    /// on the others, so that it is worked out once per axis.
    fn linear_along_axes(
        &self,
        [along_i, along_j, along_k]: &[Vec<Option<Crossing>>; 3],
        grid: &Grid,
        outside: f32,
    ) -> Self {
        let [_, nj, nk] = self.shape();
        let (plane, columns) = (grid.shape[1] * grid.shape[2], grid.shape[2]);
        let mut data = vec![outside; grid.len()];
        let d = self.data();
        data.par_chunks_mut(plane).zip(along_i).for_each(|(out, i)| {
            let Some(i) = i else { return };
            // A row of this volume, mixed along i and j, from which the row of the grid is taken.
            let mut row = vec![0.0f32; nk];
            for (out, j) in out.chunks_exact_mut(columns).zip(along_j) {
                let Some(j) = j else { continue };
                let line = |i: usize, j: usize| &d[(i * nj + j) * nk..][..nk];
                let near = line(i.low, j.low).iter().zip(line(i.low, j.high));
                let far = line(i.high, j.low).iter().zip(line(i.high, j.high));
                for (row, ((a, b), (c, d))) in row.iter_mut().zip(near.zip(far)) {
                    *row = mix(mix(*a, *b, j.part), mix(*c, *d, j.part), i.part);
                }
                for (out, k) in out.iter_mut().zip(along_k) {
                    if let Some(k) = k {
                        *out = mix(row[k.low], row[k.high], k.part);
                    }
                }
            }
        });
        Self::from_parts(*grid, data)
    }

    fn cubic(&self, x: [f64; 3]) -> Option<f32> {
        let shape = self.shape();
        let mut at = [[0usize; 4]; 3];
        let mut weight = [[0.0f64; 4]; 3];
        for a in 0..3 {
            let last = shape[a] as f64 - 1.0;
            if !(x[a] >= -EDGE && x[a] <= last + EDGE) {
                return None;
            }
            let clamped = x[a].clamp(0.0, last);
            let low = whole(clamped);
            let t = clamped - low as f64;
            weight[a] = [
                ((-0.5 * t + 1.0) * t - 0.5) * t,
                (1.5 * t - 2.5) * t * t + 1.0,
                ((-1.5 * t + 2.0) * t + 0.5) * t,
                (0.5 * t - 0.5) * t * t,
            ];
            at[a] = std::array::from_fn(|n| (low + n).saturating_sub(1).min(shape[a] - 1));
        }
        let d = self.data();
        let mut sum = 0.0;
        for (&i, wi) in at[0].iter().zip(weight[0]) {
            for (&j, wj) in at[1].iter().zip(weight[1]) {
                let row = self.grid().index(i, j, 0);
                let along_k: f64 = at[2].iter().zip(weight[2]).map(|(&k, wk)| wk * f64::from(d[row + k])).sum();
                sum += wi * wj * along_k;
            }
        }
        Some(narrow(sum))
    }
}

/// Between two values.
fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Where a voxel falls along one axis: the centres on both sides, and how far it is from the lower one.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    low: usize,
    high: usize,
    part: f32,
}

impl Crossing {
    /// Of position `x` among `length` centres; nothing where it lies outside.
    fn at(x: f64, length: usize) -> Option<Self> {
        let last = length as f64 - 1.0;
        if !(x >= -EDGE && x <= last + EDGE) {
            return None;
        }
        let clamped = x.clamp(0.0, last);
        let low = whole(clamped);
        Some(Self { low, high: (low + 1).min(length - 1), part: narrow(clamped - low as f64) })
    }

    /// Of all voxels of `to`, axis by axis; nothing where the axes do not run along those of `from`.
    fn all(matrix: &Affine, from: &Volume<f32>, to: &Grid) -> Option<[Vec<Option<Self>>; 3]> {
        let rows = matrix.rows();
        let straight = (0..3).all(|a| (0..3).all(|b| a == b || rows[a][b] == 0.0));
        straight.then(|| {
            std::array::from_fn(|a| {
                (0..to.shape[a]).map(|n| Self::at(rows[a][3] + n as f64 * rows[a][a], from.shape()[a])).collect()
            })
        })
    }
}

impl<T: Copy + Ord + Send + Sync> Volume<T> {
    /// Labels on another grid, by majority vote: a voxel of `grid` takes the label that fills most of it. For a mask see
    /// [`Volume::resample_mask`], which treats ties evenly.
    ///
    /// Each new voxel is probed at the centres of `n x n x n` equal parts, `n` per axis the new spacing in
    /// old voxels rounded up (at most 8), each part by its nearest voxel; a grid that is not coarser is
    /// probed once, which is nearest neighbour. `outside` counts like a label. Of labels that fill
    /// equally much, the smallest wins, so that the result depends on no order.
    pub fn resample_majority(&self, grid: &Grid, outside: T) -> Self {
        let Some(matrix) = voxel_to_voxel(self.grid(), grid) else { return Self::filled(*grid, outside) };
        let parts: [usize; 3] = std::array::from_fn(|c| {
            let length = matrix.rows().iter().map(|row| row[c] * row[c]).sum::<f64>().sqrt();
            whole((length - 1e-4).ceil().clamp(1.0, 8.0))
        });
        let offsets: Vec<[f64; 3]> = (0..parts.iter().product())
            .map(|n: usize| {
                let part = [n / (parts[1] * parts[2]), n / parts[2] % parts[1], n % parts[2]];
                let inside: [f64; 3] = std::array::from_fn(|a| (part[a] as f64 + 0.5) / parts[a] as f64 - 0.5);
                matrix.apply_linear(inside)
            })
            .collect();
        let data = self.data();
        let look = |x: [f64; 3]| self.nearest(x).map_or(outside, |n| data[n]);
        Self::sample(self.grid(), grid, outside, |x| {
            let probe = |o: &[f64; 3]| look([x[0] + o[0], x[1] + o[1], x[2] + o[2]]);
            let first = probe(&offsets[0]);
            if offsets[1..].iter().all(|o| probe(o) == first) {
                return Some(first);
            }
            let mut found: Vec<T> = offsets.iter().map(probe).collect();
            found.sort_unstable();
            let mut best = (0, first);
            for run in found.chunk_by(|a, b| a == b) {
                if run.len() > best.0 {
                    best = (run.len(), run[0]);
                }
            }
            Some(best.1)
        })
    }
}

impl<T: Copy + Send + Sync> Volume<T> {
    /// Position of the voxel whose box holds the point `x` (in voxels of this volume).
    pub(super) fn nearest(&self, x: [f64; 3]) -> Option<usize> {
        let mut at = [0; 3];
        for a in 0..3 {
            let n = self.shape()[a];
            if !(x[a] >= -0.5 - EDGE && x[a] <= n as f64 - 0.5 + EDGE) {
                return None;
            }
            at[a] = whole((x[a] + 0.5).max(0.0)).min(n - 1);
        }
        Some(self.grid().index(at[0], at[1], at[2]))
    }

    /// Runs `value` at the position (in voxels of `from`) of every voxel centre of `to`.
    fn sample(from: &Grid, to: &Grid, outside: T, value: impl Fn([f64; 3]) -> Option<T> + Sync) -> Self {
        let mut data = vec![outside; to.len()];
        let Some(matrix) = voxel_to_voxel(from, to) else { return Self::from_parts(*to, data) };
        let step = matrix.apply_linear([0.0, 0.0, 1.0]);
        data.par_chunks_mut(to.shape[2] * to.shape[1]).enumerate().for_each(|(i, plane)| {
            for (j, row) in plane.chunks_mut(to.shape[2]).enumerate() {
                let start = matrix.apply([i as f64, j as f64, 0.0]);
                for (k, out) in row.iter_mut().enumerate() {
                    let k = k as f64;
                    let x = [start[0] + k * step[0], start[1] + k * step[1], start[2] + k * step[2]];
                    if let Some(v) = value(x) {
                        *out = v;
                    }
                }
            }
        });
        Self::from_parts(*to, data)
    }
}

/// Voxel index of `to` to voxel index of `from`, entries within rounding of a whole number made whole so that grids
/// that share their centres are met exactly.
pub(super) fn voxel_to_voxel(from: &Grid, to: &Grid) -> Option<Affine> {
    let matrix = from.affine.inverse()? * to.affine;
    let clean = |v: f64| if (v - v.round()).abs() < 1e-9 * (1.0 + v.abs()) { v.round() } else { v };
    Some(Affine::from_rows(matrix.rows().map(|r| r.map(clean))))
}

/// The whole part of a number that is known to be an index.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "callers pass indices of an array")]
pub(super) fn whole(x: f64) -> usize {
    x as usize
}

#[expect(clippy::cast_possible_truncation, reason = "values are kept as f32")]
fn narrow(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(shape: [usize; 3], spacing: f64, origin: f64) -> Grid {
        Grid::new(shape, Affine::from_spacing_origin([spacing; 3], [origin; 3])).unwrap()
    }

    #[test]
    fn linear_by_hand() {
        let v = Volume::new(Grid::new([1, 1, 3], Affine::IDENTITY).unwrap(), vec![0.0, 10.0, 30.0]).unwrap();
        let fine = Grid::new([1, 1, 7], Affine::from_spacing_origin([1.0, 1.0, 0.5], [0.0, 0.0, -0.5])).unwrap();
        let out = v.resample(&fine, Interpolation::Linear, -1.0);
        assert_eq!(out.data(), [-1.0, 0.0, 5.0, 10.0, 20.0, 30.0, -1.0]);
        let out = v.resample(&fine, Interpolation::Nearest, -1.0);
        assert_eq!(out.data(), [0.0, 0.0, 10.0, 10.0, 30.0, 30.0, 30.0]);
    }

    #[test]
    fn cubic_by_hand() {
        // Keys' weights half way: (-1, 9, 9, -1) / 16.
        let v = Volume::new(grid([1, 1, 4], 1.0, 0.0), vec![16.0, 0.0, 32.0, 16.0]).unwrap();
        let at = Grid::new([1, 1, 1], Affine::from_spacing_origin([1.0; 3], [0.0, 0.0, 1.5])).unwrap();
        assert_eq!(v.resample(&at, Interpolation::Cubic, 0.0).data(), [(-16.0 + 9.0 * 32.0 - 16.0) / 16.0]);
    }

    #[test]
    fn majority_by_hand() {
        // A voxel of 2 mm over two of label 7, one of 3, five of background: background wins, nearest would not know.
        let v = Volume::new(grid([2, 2, 2], 1.0, 0.0), vec![7u32, 7, 3, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(v.resample_majority(&grid([1, 1, 1], 2.0, 0.5), 0).data(), [0]);
        let v = Volume::new(grid([2, 2, 2], 1.0, 0.0), vec![7u32, 7, 7, 0, 0, 3, 3, 3]).unwrap();
        assert_eq!(v.resample_majority(&grid([1, 1, 1], 2.0, 0.5), 0).data(), [3], "equal shares: the smaller label");
        let mask = v.map(|&l| l > 0);
        assert_eq!(mask.resample_majority(&grid([1, 1, 1], 2.0, 0.5), false).data(), [true]);
    }

    #[test]
    fn antialiasing_keeps_constants_and_suppresses_stripes() {
        let stripes = Volume::from_fn(grid([24, 24, 24], 1.0, 0.0), |[i, _, _]| if i % 2 == 0 { 1.0 } else { -1.0 });
        // Far enough from the border that no kernel is cut off.
        let coarse = grid([4, 4, 4], 3.0, 6.0);
        let swing = |v: &Volume| v.data().iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(swing(&stripes.resample(&coarse, Interpolation::Linear, 0.0)) > 0.99);
        assert!(swing(&stripes.resample_antialiased(&coarse, Interpolation::Linear, 0.0)) < 0.01);
        let flat = Volume::filled(grid([24, 24, 24], 1.0, 0.0), 5.0f32);
        let out = flat.resample_antialiased(&coarse, Interpolation::Linear, 0.0);
        assert!(out.data().iter().all(|v| (v - 5.0).abs() < 1e-5));
    }

    #[test]
    fn nothing_happens_on_the_same_grid() {
        let v = Volume::from_fn(grid([5, 6, 7], 1.3, -4.1), |[i, j, k]| (i * 42 + j * 7 + k) as f32);
        for how in [Interpolation::Nearest, Interpolation::Linear, Interpolation::Cubic] {
            assert_eq!(v.resample(v.grid(), how, f32::NAN), v);
            assert_eq!(v.resample_antialiased(v.grid(), how, f32::NAN), v);
        }
        let labels = v.map(|&x| x as u32);
        assert_eq!(labels.resample_majority(v.grid(), 0), labels);
    }

    fn turned() -> impl Strategy<Value = Affine> {
        prop::array::uniform3(prop::array::uniform4(-1.5f64..1.5))
            .prop_map(Affine::from_rows)
            .prop_filter("invertible", |a| a.determinant().abs() > 0.3)
    }

    proptest! {
        // A field that is linear in the world is met exactly by linear and cubic interpolation, on any grids.
        #[test]
        fn linear_fields_are_kept(from in turned(), to in turned(), slope in prop::array::uniform3(-2.0f64..2.0)) {
            let field = |p: [f64; 3]| 3.0 + slope[0] * p[0] + slope[1] * p[1] + slope[2] * p[2];
            let g = Grid::new([9, 8, 7], from).unwrap();
            let v = Volume::from_fn(g, |v| field(from.apply(v.map(|x| x as f64))) as f32);
            let target = Grid::new([6, 6, 6], to).unwrap();
            let back = from.inverse().unwrap();
            for how in [Interpolation::Linear, Interpolation::Cubic] {
                let out = v.resample(&target, how, f32::NAN);
                for (n, &value) in out.data().iter().enumerate() {
                    let world = to.apply(target.voxel(n).map(|x| x as f64));
                    let x = back.apply(world);
                    let inside = (0..3).all(|a| x[a] >= 0.0 && x[a] <= g.shape[a] as f64 - 1.0);
                    let deep = (0..3).all(|a| x[a] >= 1.0 && x[a] <= g.shape[a] as f64 - 2.0);
                    if deep || inside && how == Interpolation::Linear {
                        prop_assert!((f64::from(value) - field(world)).abs() < 1e-4, "{value} {}", field(world));
                    }
                    let outside = (0..3).any(|a| x[a] < -1e-3 || x[a] > g.shape[a] as f64 - 0.999);
                    prop_assert!(!outside || value.is_nan());
                }
            }
        }

        #[test]
        fn threads_do_not_matter(to in turned()) {
            let v = Volume::from_fn(grid([9, 8, 7], 1.0, 0.0), |[i, j, k]| ((i * 31 + j * 17 + k * 7) % 11) as f32);
            let target = Grid::new([6, 6, 6], to).unwrap();
            let run = |n| {
                rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap()
                    .install(|| v.resample_antialiased(&target, Interpolation::Cubic, 0.5))
            };
            prop_assert_eq!(run(1), run(3));
        }
    }
}
