//! [`SmoothMax`]: masks without holes and thin parts, as smooth maxima of bumps on a lattice.

use rayon::prelude::*;
use voxplain_nn::Engine;
use voxplain_volume::{Grid, Mask};

/// How steeply the largest bump wins over the others.
const TEMPERATURE: f32 = 20.0;

/// Beyond so many widths a bump (0.135 of its height there) is cut off: the smooth maximum would give it no weight.
const REACH: f64 = 1.5;

/// A mask `m(u) = sum_i v_i e^(T v_i) / sum_i e^(T v_i)` with `v_i = k(|u - u_i| / sigma) p_i` and `k(z) = exp(-2 max(z - 1/2, 0)^2)`: at each
/// voxel the smooth maximum of the bumps around it (Fong et al. 2019, equation 9 and section 3.2), `T = 20`.
///
/// The places `u_i` are a lattice of whole voxels that covers the grid and what bumps reach beyond it. Only places in the brain, or less than a
/// step from it, can have a weight: others show little of it.
#[derive(Clone, Debug)]
pub(super) struct SmoothMax {
    shape: [usize; 3],
    /// Voxels from one place to the next.
    step: [usize; 3],
    /// Shape of the lattice.
    places: [usize; 3],
    /// For each voxel's position between places: places around it, as offsets in the lattice from the place before it, with their
    /// bumps.
    around: Vec<Vec<(isize, f32)>>,
    /// Lattice places before the grid's first voxel.
    margin: [usize; 3],
    /// Places whose weight may change.
    pub(super) free: Vec<bool>,
    /// Voxels that the bump of a free place reaches; the mask is 0 at the others.
    pub(super) touched: Vec<bool>,
}

impl SmoothMax {
    /// Bumps of width `sigma` on a lattice of `step`, both in mm.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts, and bumps in float32")]
    pub(super) fn new(grid: &Grid, brain: &Mask, step: f64, sigma: f64) -> Self {
        let spacing = grid.spacing();
        let step: [usize; 3] = std::array::from_fn(|a| ((step / spacing[a]).round() as usize).clamp(1, grid.shape[a]));
        let margin: [usize; 3] = std::array::from_fn(|a| (REACH * sigma / spacing[a] / step[a] as f64).ceil() as usize);
        let places: [usize; 3] = std::array::from_fn(|a| (grid.shape[a] - 1) / step[a] + 2 + 2 * margin[a]);
        let strides = [(places[1] * places[2]).cast_signed(), places[2].cast_signed(), 1];
        let phases = step.iter().product();
        let around = (0..phases)
            .map(|phase: usize| {
                let phase = [phase / (step[1] * step[2]), phase / step[2] % step[1], phase % step[2]];
                let axis = |a: usize| {
                    let reach = margin[a].cast_signed();
                    (-reach..=reach + 1).map(move |n| {
                        let mm = (n as f64 * step[a] as f64 - phase[a] as f64) * spacing[a];
                        (n * strides[a], mm * mm)
                    })
                };
                let mut near = Vec::new();
                for (i, x) in axis(0) {
                    for (j, y) in axis(1) {
                        for (k, z) in axis(2) {
                            let distance = (x + y + z).sqrt() / sigma;
                            if distance <= REACH {
                                near.push((i + j + k, (-2.0 * (distance - 0.5).max(0.0).powi(2)).exp() as f32));
                            }
                        }
                    }
                }
                near
            })
            .collect();
        let mut bumps = Self { shape: grid.shape, step, places, around, margin, free: Vec::new(), touched: Vec::new() };
        // A place has its weight where brain is at it or less than a step away along every axis.
        let mut free = vec![false; places.iter().product::<usize>() + LANES];
        for voxel in (0..grid.len()).filter(|&n| brain.data()[n]) {
            let (origin, _) = bumps.neighbours(voxel);
            let at = grid.voxel(voxel);
            for corner in 0..8 {
                let further = |a: usize| corner >> a & 1 == 1;
                if (0..3).all(|a| !further(a) || !at[a].is_multiple_of(step[a])) {
                    let offset = (0..3).filter(|&a| further(a)).map(|a| strides[a]).sum();
                    free[origin.saturating_add_signed(offset)] = true;
                }
            }
        }
        let touches = |voxel: usize| {
            let (origin, around) = bumps.neighbours(voxel);
            around.iter().any(|&(offset, _)| free[origin.saturating_add_signed(offset)])
        };
        bumps.touched = (0..grid.len()).map(touches).collect();
        bumps.free = free;
        bumps
    }

    /// Number of places.
    pub(super) const fn len(&self) -> usize {
        self.free.len()
    }

    /// The place before a voxel, and the places around it from there.
    fn neighbours(&self, voxel: usize) -> (usize, &[(isize, f32)]) {
        let [_, nj, nk] = self.shape;
        let at = [voxel / (nj * nk), voxel / nk % nj, voxel % nk];
        let place: [usize; 3] = std::array::from_fn(|a| at[a] / self.step[a] + self.margin[a]);
        let phase: [usize; 3] = std::array::from_fn(|a| at[a] % self.step[a]);
        let origin = (place[0] * self.places[1] + place[1]) * self.places[2] + place[2];
        (origin, &self.around[(phase[0] * self.step[1] + phase[1]) * self.step[2] + phase[2]])
    }

    /// The mask of these weights, one for each place; `total` takes the sum of exponentials at each voxel, which
    /// [`SmoothMax::adjoint`] needs.
    pub(super) fn apply(&self, engine: &Engine, weights: &[f32], mask: &mut [f32], total: &mut [f32]) {
        let plane = self.shape[1] * self.shape[2];
        let of_plane = |(i, (mask, total)): (usize, (&mut [f32], &mut [f32]))| {
            self.rows(i, |row| {
                let (sum, above) = row.sums(weights);
                for n in 0..row.count {
                    let voxel = row.voxel + n * self.step[2];
                    (mask[voxel], total[voxel]) = (above[n] / sum[n], sum[n]);
                }
            });
        };
        // Where no bump reaches.
        mask.fill(0.0);
        engine
            .thread_pool()
            .install(|| mask.par_chunks_mut(plane).zip(total.par_chunks_mut(plane)).enumerate().for_each(of_plane));
    }

    /// The gradient at the weights of what has the gradient `at_mask` at the mask: `mask` and `total` are those of the weights.
    pub(super) fn adjoint(
        &self,
        engine: &Engine,
        (weights, mask, total): (&[f32], &[f32], &[f32]),
        at_mask: &[f32],
        gradient: &mut [f32],
    ) {
        // Planes of voxels are summed apart and then in their order, whatever the number of threads.
        let plane = self.shape[1] * self.shape[2];
        let of_planes = |planes: std::ops::Range<usize>| {
            let mut part = vec![0.0f32; self.len()];
            for i in planes {
                self.rows(i, |row| {
                    let (mut pull, mut least) = ([0.0f32; LANES], [0.0f32; LANES]);
                    for n in 0..row.count {
                        let voxel = i * plane + row.voxel + n * self.step[2];
                        pull[n] = at_mask[voxel] / total[voxel];
                        least[n] = 1.0 - TEMPERATURE * mask[voxel];
                    }
                    row.pull_at_places(weights, &pull, &least, &mut part);
                });
            }
            part
        };
        let starts: Vec<usize> = (0..self.shape[0]).step_by(8).collect();
        let parts: Vec<Vec<f32>> = engine
            .thread_pool()
            .install(|| starts.par_iter().map(|&start| of_planes(start..(start + 8).min(self.shape[0]))).collect());
        gradient.fill(0.0);
        for part in parts {
            gradient.iter_mut().zip(part).for_each(|(g, p)| *g += p);
        }
        gradient.iter_mut().zip(&self.free).filter(|(_, free)| !**free).for_each(|(g, _)| *g = 0.0);
    }

    /// Every row of a plane of voxels of which the mask may not be 0.
    fn rows(&self, i: usize, mut row: impl FnMut(&Row<'_>)) {
        let [_, nj, nk] = self.shape;
        for j in 0..nj {
            for phase in 0..self.step[2] {
                for first in (phase..nk).step_by(LANES * self.step[2]) {
                    let count = (nk - first).div_ceil(self.step[2]).min(LANES);
                    let voxel = j * nk + first;
                    let touched = |n: usize| self.touched[(i * nj + j) * nk + first + n * self.step[2]];
                    if (0..count).any(touched) {
                        let (origin, around) = self.neighbours((i * nj + j) * nk + first);
                        row(&Row { voxel, count, origin, around });
                    }
                }
            }
        }
    }
}

/// Voxels of one plane, a step of the lattice apart along the last axis: places around them are as far from one as from the next, and
/// lie one after another.
struct Row<'a> {
    /// The first voxel, in its plane.
    voxel: usize,
    /// How many there are, [`LANES`] at most.
    count: usize,
    /// The place before the first, and the places around it from there with their bumps.
    origin: usize,
    around: &'a [(isize, f32)],
}

// Functions of their own: merged into their callers these loops are no longer turned into vector instructions.
impl Row<'_> {
    /// The sum of exponentials at each voxel, and that of the bumps times their exponentials.
    #[inline(never)]
    fn sums(&self, weights: &[f32]) -> ([f32; LANES], [f32; LANES]) {
        let (mut sum, mut above) = ([0.0f32; LANES], [0.0f32; LANES]);
        for &(offset, bump) in self.around {
            let weights = lanes(weights, self.origin.saturating_add_signed(offset));
            // Most places are empty: e^0 needs no exponential.
            if weights == [0.0; LANES] {
                sum.iter_mut().for_each(|sum| *sum += 1.0);
                continue;
            }
            for n in 0..LANES {
                let value = bump * weights[n];
                let power = exp(TEMPERATURE * value);
                sum[n] += power;
                above[n] += value * power;
            }
        }
        (sum, above)
    }

    /// Adds to the gradient at the places around what the voxels pull at them, `pull * e^(T v) * bump * (1 - T m + T v)`, where `least`
    /// is `1 - T m`. Beyond the row's end nothing pulls.
    #[inline(never)]
    fn pull_at_places(&self, weights: &[f32], pull: &[f32; LANES], least: &[f32; LANES], gradient: &mut [f32]) {
        for &(offset, bump) in self.around {
            let place = self.origin.saturating_add_signed(offset);
            let weights = lanes(weights, place);
            let mut at_places = lanes(gradient, place);
            if weights == [0.0; LANES] {
                for n in 0..LANES {
                    at_places[n] += pull[n] * bump * least[n];
                }
            } else {
                for n in 0..LANES {
                    let power = TEMPERATURE * (bump * weights[n]);
                    at_places[n] += pull[n] * bump * exp(power) * (least[n] + power);
                }
            }
            gradient[place..place + LANES].copy_from_slice(&at_places);
        }
    }
}

/// Voxels that are worked on together: whole vectors, so that nothing is left over to be done one by one. The lattice has as many
/// places more than it needs, for the last row to read.
const LANES: usize = 8;

fn lanes(values: &[f32], start: usize) -> [f32; LANES] {
    let mut taken = [0.0; LANES];
    taken.copy_from_slice(&values[start..start + LANES]);
    taken
}

/// `e^x` for `x` from 0 to 80, to 2e-7 of it: `2^n e^r` with `|r| <= ln 2 / 2` and Taylor's series to the sixth power. A row of them is
/// done by vector instructions, which calls of the library's function are not.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let whole = x * std::f32::consts::LOG2_E + ROUND;
    let n = whole - ROUND;
    // ln 2 in two parts, the first exact in few bits.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let series =
        1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
    series * f32::from_bits((whole.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use voxplain_nn::EngineOptions;
    use voxplain_volume::Affine;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
        Grid::new(shape, Affine::from_spacing_origin(spacing, [0.0; 3])).unwrap()
    }

    fn engine() -> Engine {
        Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap()
    }

    /// The definition: for each voxel, all places of the lattice that lie within reach.
    fn slow(bumps: &SmoothMax, spacing: [f64; 3], sigma: f64, weights: &[f32]) -> Vec<f64> {
        let at = |n: usize, shape: [usize; 3]| [n / (shape[1] * shape[2]), n / shape[2] % shape[1], n % shape[2]];
        (0..bumps.shape.iter().product())
            .map(|voxel: usize| {
                let voxel = at(voxel, bumps.shape);
                let (mut above, mut sum) = (0.0, 0.0);
                for (n, &weight) in weights.iter().enumerate() {
                    let place = at(n, bumps.places);
                    let squared: f64 = (0..3)
                        .map(|a| {
                            let at = (place[a] as f64 - bumps.margin[a] as f64) * bumps.step[a] as f64;
                            ((at - voxel[a] as f64) * spacing[a]).powi(2)
                        })
                        .sum();
                    let z = squared.sqrt() / sigma;
                    if z <= REACH {
                        let value = (-2.0 * (z - 0.5).max(0.0).powi(2)).exp() * f64::from(weight);
                        above += value * (20.0 * value).exp();
                        sum += (20.0 * value).exp();
                    }
                }
                above / sum
            })
            .collect()
    }

    /// How far the mask may be from its definition, relative to it. With `u = 2^-24`, a bump, its product with the weight
    /// and the power `20 v` are each rounded by `u`: `60 u` of an exponential for `v` up to 1, and [`exp`] adds 3e-7. A sum
    /// of `n` terms, none below 0, is off by at most `(n - 1) u` of itself (Higham 2002, section 4.2), and comes near it
    /// where the same few terms repeat: each is then rounded the same way. So it is for both sums of the quotient; the
    /// terms of the upper one and the quotient are rounded by `4 u` more.
    fn allowed(terms: usize) -> f64 {
        let u = 2f64.powi(-24);
        2.0 * (60.0 * u + 3e-7 + (terms - 1) as f64 * u) + 4.0 * u
    }

    fn check(shape: [usize; 3], spacing: [f64; 3], seed: usize) {
        let grid = grid(shape, spacing);
        let brain = Mask::filled(grid, true);
        let bumps = SmoothMax::new(&grid, &brain, 7.0, 9.0);
        let weight = |n: usize| if bumps.free[n] { ((n * 37 + seed) % 11) as f32 / 10.0 } else { 0.0 };
        let weights: Vec<f32> = (0..bumps.len()).map(weight).collect();
        let (mut mask, mut total) = (vec![0.0; grid.len()], vec![0.0; grid.len()]);
        bumps.apply(&engine(), &weights, &mut mask, &mut total);
        let terms = bumps.around.iter().map(Vec::len).max().unwrap();
        for (fast, slow) in mask.iter().zip(slow(&bumps, spacing, 9.0, &weights)) {
            assert!((f64::from(*fast) - slow).abs() <= allowed(terms) * slow, "{fast} {slow}");
        }
    }

    #[test]
    fn many_equal_terms_are_rounded_the_same_way() {
        // Hundreds of places around each voxel, in columns alike: off by 1.4e-5.
        check([4, 1, 1], [2.376_981_107_218_387, 2.0, 2.0], 456);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn fast_equals_slow(
            shape in prop::array::uniform3(1usize..9), spacing in prop::array::uniform3(2.0f64..4.0), seed in 0usize..1000
        ) {
            check(shape, spacing, seed);
        }
    }

    #[test]
    fn powers_are_those_of_e() {
        for n in 0..=80_000 {
            let x = n as f32 / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}");
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn the_adjoint_is_the_derivative() {
        let grid = grid([9, 7, 8], [3.0, 2.0, 4.0]);
        let brain = Mask::from_fn(grid, |[i, ..]| i < 6);
        let bumps = SmoothMax::new(&grid, &brain, 8.0, 10.0);
        assert!(bumps.free.iter().any(|f| *f) && !bumps.free.iter().all(|f| *f));
        assert!(bumps.touched.iter().any(|t| *t));
        let engine = engine();
        let weight = |n: usize| if bumps.free[n] { ((n * 37) % 11) as f32 / 12.0 } else { 0.0 };
        let mut weights: Vec<f32> = (0..bumps.len()).map(weight).collect();
        let pull: Vec<f32> = (0..grid.len()).map(|n| ((n * 53) % 13) as f32 / 6.0 - 1.0).collect();
        let (mut mask, mut total) = (vec![0.0; grid.len()], vec![0.0; grid.len()]);
        let value = |weights: &[f32]| -> f64 {
            slow(&bumps, grid.spacing(), 10.0, weights).iter().zip(&pull).map(|(m, p)| m * f64::from(*p)).sum()
        };
        bumps.apply(&engine, &weights, &mut mask, &mut total);
        let mut gradient = vec![0.0; bumps.len()];
        bumps.adjoint(&engine, (&weights, &mask, &total), &pull, &mut gradient);
        let free: Vec<usize> = (0..bumps.len()).filter(|&n| bumps.free[n]).collect();
        for &n in free.iter().step_by(free.len() / 25) {
            let kept = weights[n];
            weights[n] = kept + 1.0 / 256.0;
            let up = value(&weights);
            weights[n] = kept - 1.0 / 256.0;
            let numeric = (up - value(&weights)) * 128.0;
            weights[n] = kept;
            assert!(
                (numeric - f64::from(gradient[n])).abs() < 2e-2 * numeric.abs().max(0.1),
                "{n}: {numeric} {}",
                gradient[n]
            );
        }
    }

    #[test]
    fn places_are_free_in_the_brain_and_around_it_and_nowhere_else() {
        // A lattice of 3 voxels, a brain of one voxel: at a place it frees that alone, between places those around it.
        let grid = grid([10, 10, 10], [3.0; 3]);
        let count = |at: [usize; 3]| {
            let bumps = SmoothMax::new(&grid, &Mask::from_fn(grid, |v| v == at), 9.0, 12.0);
            bumps.free.iter().filter(|f| **f).count()
        };
        assert_eq!([count([3, 3, 6]), count([4, 3, 6]), count([4, 5, 6]), count([4, 5, 7])], [1, 2, 4, 8]);
        // What no bump reaches stays 0.
        let bumps = SmoothMax::new(&grid, &Mask::from_fn(grid, |v| v == [0, 0, 0]), 9.0, 12.0);
        assert!(bumps.touched[0] && bumps.touched[5] && !bumps.touched[999]);
    }

    #[test]
    fn one_bump_by_hand() {
        // A single place of weight 1 with the mask's own voxel on it: the bump is 1 there, and e^20 outweighs the empty places.
        let grid = grid([13, 13, 13], [3.0; 3]);
        let bumps = SmoothMax::new(&grid, &Mask::filled(grid, true), 9.0, 12.0);
        let mut weights = vec![0.0; bumps.len()];
        let (origin, _) = bumps.neighbours(grid.index(6, 6, 6));
        weights[origin] = 1.0;
        let (mut mask, mut total) = (vec![0.0; grid.len()], vec![0.0; grid.len()]);
        bumps.apply(&engine(), &weights, &mut mask, &mut total);
        assert!((mask[grid.index(6, 6, 6)] - 1.0).abs() < 1e-5);
        // Two voxels (half a width) away it is still 1; at the far corner it is 0.
        assert!((mask[grid.index(6, 8, 6)] - 1.0).abs() < 1e-5);
        assert_eq!(mask[0], 0.0);
    }
}
