//! Displacement fields: [`Waves`], smooth and random for every subject, and [`Growth`], which changes the volume of
//! regions by given factors.

use super::anatomy;
use rayon::prelude::*;
use std::f64::consts::PI;
use voxplain_core::random::Seed;

/// Lattice on which growth is computed: the template's box in cells of 2 mm.
const CELL: usize = 2;
const CELLS: [usize; 3] = [anatomy::SHAPE[0] / CELL, anatomy::SHAPE[1] / CELL, anatomy::SHAPE[2] / CELL];

/// A sum of sine waves: a smooth random displacement in mm, the same in distribution at every position and in every
/// direction.
#[derive(Clone, Debug)]
pub(super) struct Waves {
    /// Wave vector (radians per mm), phase, amplitude (mm) along each axis.
    waves: Vec<([f64; 3], f64, [f64; 3])>,
}

impl Waves {
    /// `count` waves of the given length (mm) whose sum has the standard deviation `sd` (mm) along each axis.
    pub(super) fn new(seed: Seed, count: usize, length: [f64; 2], sd: f64) -> Self {
        let mut random = seed.random();
        let amplitude = sd * (2.0 / count as f64).sqrt();
        let waves = (0..count)
            .map(|_| {
                let direction: [f64; 3] = std::array::from_fn(|_| random.normal());
                let norm = direction.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-9);
                let k = 2.0 * PI / random.range(length[0], length[1]);
                let phase = random.range(0.0, 2.0 * PI);
                (direction.map(|v| v / norm * k), phase, std::array::from_fn(|_| amplitude * random.normal()))
            })
            .collect();
        Self { waves }
    }

    /// The displacement at a position in mm.
    pub(super) fn at(&self, p: [f64; 3]) -> [f64; 3] {
        let mut sum = [0.0; 3];
        for (k, phase, amplitude) in &self.waves {
            let s = (k[0] * p[0] + k[1] * p[1] + k[2] * p[2] + phase).sin();
            for (sum, amplitude) in sum.iter_mut().zip(amplitude) {
                *sum += amplitude * s;
            }
        }
        sum
    }
}

/// A displacement field on the 2 mm lattice: the position of a point of the changed brain in the unchanged one, minus the
/// position itself (a pull-back).
#[derive(Clone, Debug)]
pub(super) struct Growth {
    displacement: Vec<[f32; 3]>,
    /// Corners (mm) of the box outside of which nothing moves.
    moves: [[f64; 3]; 2],
}

impl Growth {
    /// The displacement that multiplies the volume of each region by its factor, and the factors that were reached.
    ///
    /// It is found in small steps. The velocity of a step has a constant divergence in the region, as it is after the
    /// steps before, and the opposite divergence in the white matter, cortex and fluid around it. It is the gradient of
    /// the solution of Poisson's equation with no flow through the box, faded out some 20 mm away, so that the rest of the
    /// brain does not move at all. To follow a velocity in small steps folds nothing. After each step the volume is
    /// measured and the next step adjusted, until the volume is right to 0.2 %.
    pub(super) fn new(labels: &[u8], changes: &[(u8, f64)]) -> (Self, Vec<f64>) {
        let regions: Vec<Vec<f64>> = changes.iter().map(|(region, _)| share(labels, |l| l == *region)).collect();
        let named: Vec<u8> = changes.iter().map(|(region, _)| *region).collect();
        let soft = share(labels, |l| l != 0 && !named.contains(&l) && gives_way(l));
        let before: Vec<f64> = regions.iter().map(|s| s.iter().sum::<f64>()).collect();
        let mut growth = Self::new_within(vec![[0.0; 3]; CELLS.iter().product()]);
        let mut gain = vec![1.0; changes.len()];
        let mut reached = vec![1.0; changes.len()];
        for _ in 0..40 {
            let left: Vec<f64> = changes.iter().zip(&reached).map(|((_, want), r)| (want / r).ln()).collect();
            if left.iter().all(|l| l.abs() < 0.002) {
                break;
            }
            let soft_now = growth.pulled(&soft);
            let mut divergence = vec![0.0; soft.len()];
            let mut near = vec![0.0; soft.len()];
            let asked: Vec<f64> = left.iter().map(|l| l.clamp(-0.15, 0.15)).collect();
            for ((region, asked), gain) in regions.iter().zip(&asked).zip(&gain) {
                let (source, around) = source(&growth.pulled(region), &soft_now);
                divergence.iter_mut().zip(&source).for_each(|(d, s)| *d += asked * gain * s);
                near.iter_mut().zip(&around).for_each(|(n, a)| *n += a);
            }
            let mut velocity = velocity(divergence);
            for (v, near) in velocity.iter_mut().zip(&near) {
                let t = (near / 0.02).min(1.0);
                let fade = (t * t * (3.0 - 2.0 * t)) as f32;
                v.iter_mut().for_each(|v| *v *= fade);
            }
            growth = growth.after(&velocity);
            for (n, region) in regions.iter().enumerate() {
                let now = growth.pulled(region).iter().sum::<f64>() / before[n];
                let step = (now / reached[n]).ln();
                if asked[n].abs() > 1e-3 && step / asked[n] > 0.1 {
                    gain[n] *= (asked[n] / step).clamp(0.5, 2.0);
                }
                reached[n] = now;
            }
        }
        (growth, reached)
    }

    /// This displacement, followed by that of a velocity in one unit of time.
    fn after(&self, velocity: &[[f32; 3]]) -> Self {
        const STEPS: usize = 3;
        let displacement = (0..velocity.len())
            .into_par_iter()
            .map(|n| {
                let start = centre(n);
                let mut p = start;
                for _ in 0..STEPS {
                    // Midpoint rule, backwards.
                    let v = interpolate(velocity, p);
                    let v = interpolate(velocity, std::array::from_fn(|a| p[a] - v[a] / (2 * STEPS) as f64));
                    p = std::array::from_fn(|a| p[a] - v[a] / STEPS as f64);
                }
                let q = self.at(p);
                std::array::from_fn(|a| (q[a] - start[a]) as f32)
            })
            .collect();
        Self::new_within(displacement)
    }

    fn new_within(displacement: Vec<[f32; 3]>) -> Self {
        let mut moves = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
        for (n, _) in displacement.iter().enumerate().filter(|(_, d)| **d != [0.0; 3]) {
            let p = centre(n);
            for a in 0..3 {
                moves[0][a] = moves[0][a].min(p[a] - CELL as f64);
                moves[1][a] = moves[1][a].max(p[a] + CELL as f64);
            }
        }
        Self { displacement, moves }
    }

    /// Position (mm) in the unchanged brain of a point (mm) of the changed one.
    pub(super) fn at(&self, p: [f64; 3]) -> [f64; 3] {
        if (0..3).any(|a| p[a] < self.moves[0][a] || p[a] > self.moves[1][a]) {
            return p;
        }
        let d = interpolate(&self.displacement, p);
        std::array::from_fn(|a| p[a] + d[a])
    }

    /// The fractions of the cells after the change.
    fn pulled(&self, share: &[f64]) -> Vec<f64> {
        (0..share.len()).into_par_iter().map(|n| interpolate_one(share, self.at(centre(n)))).collect()
    }
}

/// Whether tissue gives way when a region beside it changes: cortex, white matter, cerebellum and fluid do, nuclei and
/// ventricles do not.
fn gives_way(label: u8) -> bool {
    label == anatomy::FLUID || (label <= 12) || (27..=30).contains(&label) || label == 37
}

/// The fraction of each cell that has such labels.
fn share(labels: &[u8], is: impl Fn(u8) -> bool + Sync) -> Vec<f64> {
    let count = (CELL * CELL * CELL) as f64;
    (0..CELLS.iter().product::<usize>())
        .into_par_iter()
        .map(|n| {
            let [i, j, k] = cell(n);
            let inside = (0..CELL * CELL * CELL)
                .filter(|c| is(labels[anatomy::at(CELL * i + c / 4, CELL * j + c / 2 % 2, CELL * k + c % 2)]))
                .count();
            inside as f64 / count
        })
        .collect()
}

/// A divergence that is 1 in the region and sums to 0 with the tissue around it; and the blurred region, which says how
/// near each cell is.
fn source(region: &[f64], soft: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut near = region.to_vec();
    for axis in 0..3 {
        near = blur(&near, axis, 7.5 / CELL as f64);
    }
    let weight: Vec<f64> = (0..near.len()).map(|n| near[n].min(0.2) * soft[n] * (1.0 - region[n])).collect();
    let total: f64 = weight.iter().sum();
    let inside: f64 = region.iter().sum();
    let ratio = if total > 0.0 { inside / total } else { 0.0 };
    (region.iter().zip(&weight).map(|(r, w)| r - ratio * w).collect(), near)
}

/// Gaussian along one axis, standard deviation in cells, zeros outside.
fn blur(values: &[f64], axis: usize, sd: f64) -> Vec<f64> {
    let reach = (3.0 * sd).ceil() as usize;
    let kernel: Vec<f64> = (0..=2 * reach).map(|n| (-0.5 * ((n as f64 - reach as f64) / sd).powi(2)).exp()).collect();
    let total: f64 = kernel.iter().sum();
    along(values, axis, |line, out| {
        for (n, out) in out.iter_mut().enumerate() {
            let from = n.saturating_sub(reach);
            let to = (n + reach + 1).min(line.len());
            *out = (from..to).map(|m| line[m] * kernel[m + reach - n]).sum::<f64>() / total;
        }
    })
}

/// Gradient of the solution of Poisson's equation with these sources (per mm), no flow through the box, in mm.
fn velocity(mut divergence: Vec<f64>) -> Vec<[f32; 3]> {
    let mean = divergence.iter().sum::<f64>() / divergence.len() as f64;
    divergence.iter_mut().for_each(|d| *d -= mean);
    let mut waves = divergence;
    let matrices = CELLS.map(cosines);
    for (axis, matrix) in matrices.iter().enumerate() {
        waves = along(&waves, axis, |line, out| cosine(matrix, line, out, false));
    }
    let h2 = (CELL * CELL) as f64;
    let eigen: [Vec<f64>; 3] = std::array::from_fn(|a| {
        (0..CELLS[a]).map(|k| 2.0 * ((PI * k as f64 / CELLS[a] as f64).cos() - 1.0) / h2).collect()
    });
    for (n, w) in waves.iter_mut().enumerate() {
        let [i, j, k] = cell(n);
        let e = eigen[0][i] + eigen[1][j] + eigen[2][k];
        *w = if n == 0 { 0.0 } else { *w / e };
    }
    for (axis, matrix) in matrices.iter().enumerate() {
        waves = along(&waves, axis, |line, out| cosine(matrix, line, out, true));
    }
    let slopes: [Vec<f64>; 3] = std::array::from_fn(|axis| {
        along(&waves, axis, |line, out| {
            for (n, out) in out.iter_mut().enumerate() {
                let (a, b) = (n.saturating_sub(1), (n + 1).min(line.len() - 1));
                *out = (line[b] - line[a]) / (2 * CELL) as f64;
            }
        })
    });
    (0..waves.len()).map(|n| std::array::from_fn(|a| slopes[a][n] as f32)).collect()
}

/// The matrix of the cosine transform (type II, orthonormal) of `n` values, row after row.
fn cosines(n: usize) -> Vec<f64> {
    let scale = |k: usize| (if k == 0 { 1.0 } else { 2.0 } / n as f64).sqrt();
    let entry = |k: usize, m: usize| scale(k) * (PI * ((2 * m + 1) * k) as f64 / (2 * n) as f64).cos();
    (0..n * n).map(|at| entry(at / n, at % n)).collect()
}

/// Transform of a line by a matrix of [`cosines`], or its inverse.
fn cosine(matrix: &[f64], line: &[f64], out: &mut [f64], inverse: bool) {
    let n = line.len();
    if inverse {
        out.fill(0.0);
        for (row, v) in matrix.chunks_exact(n).zip(line) {
            out.iter_mut().zip(row).for_each(|(out, c)| *out += v * c);
        }
    } else {
        for (out, row) in out.iter_mut().zip(matrix.chunks_exact(n)) {
            // Eight sums side by side.
            let mut sums = [0.0; 8];
            for (row, line) in row.chunks(8).zip(line.chunks(8)) {
                sums.iter_mut().zip(row.iter().zip(line)).for_each(|(s, (c, v))| *s += c * v);
            }
            *out = sums.iter().sum();
        }
    }
}

/// Does something to every line of cells along one axis.
fn along(values: &[f64], axis: usize, f: impl Fn(&[f64], &mut [f64]) + Sync) -> Vec<f64> {
    let step: usize = CELLS[axis + 1..].iter().product();
    let length = CELLS[axis];
    let lines: Vec<Vec<f64>> = (0..values.len() / length)
        .into_par_iter()
        .map(|line| {
            let start = line / step * step * length + line % step;
            let input: Vec<f64> = (0..length).map(|n| values[start + n * step]).collect();
            let mut out = vec![0.0; length];
            f(&input, &mut out);
            out
        })
        .collect();
    let mut result = vec![0.0; values.len()];
    for (line, out) in lines.iter().enumerate() {
        let start = line / step * step * length + line % step;
        for (n, v) in out.iter().enumerate() {
            result[start + n * step] = *v;
        }
    }
    result
}

/// `(i, j, k)` of a cell.
const fn cell(n: usize) -> [usize; 3] {
    [n / (CELLS[1] * CELLS[2]), n / CELLS[2] % CELLS[1], n % CELLS[2]]
}

/// World position of a cell's centre.
fn centre(n: usize) -> [f64; 3] {
    let c = cell(n);
    std::array::from_fn(|a| anatomy::ORIGIN[a] - 0.5 + (c[a] as f64 + 0.5) * CELL as f64)
}

/// The eight cells around a position with their weights; positions outside count as on the edge.
fn around(p: [f64; 3]) -> [(usize, f64); 8] {
    let q: [f64; 3] = std::array::from_fn(|a| {
        ((p[a] - anatomy::ORIGIN[a] + 0.5) / CELL as f64 - 0.5).clamp(0.0, (CELLS[a] - 1) as f64)
    });
    let low: [usize; 3] = std::array::from_fn(|a| (q[a] as usize).min(CELLS[a] - 2));
    std::array::from_fn(|c| {
        let bit: [usize; 3] = std::array::from_fn(|a| c >> a & 1);
        let weight = (0..3)
            .map(|a| {
                let t = q[a] - low[a] as f64;
                if bit[a] == 1 { t } else { 1.0 - t }
            })
            .product();
        (((low[0] + bit[0]) * CELLS[1] + low[1] + bit[1]) * CELLS[2] + low[2] + bit[2], weight)
    })
}

/// A field between its cells.
fn interpolate(field: &[[f32; 3]], p: [f64; 3]) -> [f64; 3] {
    let corners = around(p);
    std::array::from_fn(|a| corners.iter().map(|(n, w)| w * f64::from(field[*n][a])).sum())
}

/// Values between their cells.
fn interpolate_one(values: &[f64], p: [f64; 3]) -> f64 {
    around(p).iter().map(|(n, w)| w * values[*n]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_transform_undoes_itself_and_matches_a_case_by_hand() {
        let line = [3.0, -1.0, 4.0, 1.5, -9.0];
        let (mut there, mut back) = ([0.0; 5], [0.0; 5]);
        cosine(&cosines(5), &line, &mut there, false);
        cosine(&cosines(5), &there, &mut back, true);
        assert!(line.iter().zip(back).all(|(a, b)| (a - b).abs() < 1e-12), "{back:?}");
        let mut two = [0.0; 2];
        cosine(&cosines(2), &[1.0, 3.0], &mut two, false);
        // (1 + 3) / sqrt 2 and (1 - 3) cos(pi / 4).
        assert!((two[0] - 4.0 / 2f64.sqrt()).abs() < 1e-12 && (two[1] + 2.0 * 0.5f64.sqrt()).abs() < 1e-12, "{two:?}");
    }

    #[test]
    fn a_region_grows_as_asked_and_what_is_far_stays() {
        let template = anatomy::Template::mean();
        let count = |l: u8| template.labels.iter().filter(|m| **m == l).count() as f64;
        let (grows, shrinks) = (13, 24);
        let (growth, reached) = Growth::new(&template.labels, &[(grows, 1.8), (shrinks, 0.7)]);
        assert!((reached[0] / 1.8 - 1.0).abs() < 0.003 && (reached[1] / 0.7 - 1.0).abs() < 0.003, "{reached:?}");
        // Measured again, at 1 mm, by counting voxels of the changed brain.
        let mut after = [0usize; 256];
        let mut furthest = 0f64;
        for n in 0..template.labels.len() {
            let v = [
                n / (anatomy::SHAPE[1] * anatomy::SHAPE[2]),
                n / anatomy::SHAPE[2] % anatomy::SHAPE[1],
                n % anatomy::SHAPE[2],
            ];
            let p: [f64; 3] = std::array::from_fn(|a| anatomy::ORIGIN[a] + v[a] as f64);
            let q = growth.at(p);
            let at: [usize; 3] = std::array::from_fn(|a| {
                (q[a] - anatomy::ORIGIN[a]).round().clamp(0.0, anatomy::SHAPE[a] as f64 - 1.0) as usize
            });
            after[usize::from(template.labels[anatomy::at(at[0], at[1], at[2])])] += 1;
            if p[0] > 0.0 && p[1] > 60.0 {
                furthest = (0..3).map(|a| (q[a] - p[a]).abs()).fold(furthest, f64::max);
            }
        }
        assert!(furthest == 0.0, "{furthest}");
        for (region, want) in [(grows, 1.8), (shrinks, 0.7), (14, 1.0), (17, 1.0), (30, 1.0)] {
            let ratio = after[usize::from(region)] as f64 / count(region);
            assert!((ratio / want - 1.0).abs() < 0.04, "region {region}: {ratio} for {want}");
        }
    }

    #[test]
    fn the_velocity_diverges_as_asked() {
        // Of a wide Gaussian source: the divergence of the velocity (by differences) is the source.
        let centre_cell = [40.0, 50.0, 42.0];
        let s: Vec<f64> = (0..CELLS.iter().product::<usize>())
            .map(|n| {
                let c = cell(n);
                let r2: f64 = (0..3).map(|a| (c[a] as f64 - centre_cell[a]).powi(2)).sum();
                (-r2 / 50.0).exp()
            })
            .collect();
        let mean = s.iter().sum::<f64>() / s.len() as f64;
        let v = velocity(s.clone());
        let n = (40 * CELLS[1] + 50) * CELLS[2] + 42;
        let steps = [CELLS[1] * CELLS[2], CELLS[2], 1];
        let divergence: f64 =
            (0..3).map(|a| f64::from(v[n + steps[a]][a] - v[n - steps[a]][a]) / (2 * CELL) as f64).sum();
        assert!((divergence - (s[n] - mean)).abs() < 0.03, "{divergence} for {}", s[n] - mean);
    }
}
