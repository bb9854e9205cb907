//! [`Harmonic`]: holes filled by the smoothest continuation of what surrounds them.

/// Fills holes in a volume by the solution of Laplace's equation with the values around the hole as its boundary.
///
/// With neighbours at distance `h_a` along axis `a`, every voxel `u` of the hole satisfies
/// `sum over neighbours (x_u - x_v) / h_a^2 = 0`; beyond the volume's faces there is no neighbour (no flux). Values stay between the least and
/// the greatest around the hole. Solved by conjugate gradients with the diagonal as preconditioner (Shewchuk 1994), in float64, to
/// a residual of 1e-8 of the first one.
#[derive(Clone, Debug)]
pub struct Harmonic {
    shape: [usize; 3],
    /// `1 / h_a^2`, as shares of their mean.
    weights: [f64; 3],
    /// Which unknown a voxel is.
    place: Vec<u32>,
}

/// Marks voxels outside the hole.
const KNOWN: u32 = u32::MAX;

/// Neighbours of an unknown: others of the hole with their weights, up to six.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    others: [(u32, f64); 6],
    count: usize,
    diagonal: f64,
}

impl Harmonic {
    /// For volumes of this shape with this distance of voxels, in any unit.
    pub fn new(shape: [usize; 3], spacing: [f64; 3]) -> Self {
        let inverse = spacing.map(|h| 1.0 / (h * h));
        let mean = inverse.iter().sum::<f64>() / 3.0;
        Self { shape, weights: inverse.map(|w| w / mean), place: vec![KNOWN; shape.iter().product()] }
    }

    /// Voxels of a volume.
    pub(crate) const fn voxels(&self) -> usize {
        self.place.len()
    }

    /// Replaces the values at the voxels of `hole`, each named once. A hole that is the whole volume has no boundary: it is filled with
    /// the volume's mean.
    #[expect(clippy::cast_possible_truncation, reason = "volumes are float32")]
    pub fn fill(&mut self, values: &mut [f32], hole: &[usize]) {
        if hole.len() == values.len() {
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            values.fill(mean as f32);
            return;
        }
        let system = self.system(values, hole);
        let start = vec![f64::midpoint(system.lowest, system.highest); hole.len()];
        self.put(values, hole, &system, |size| size * 1e-16, start);
    }

    /// [`Harmonic::fill`] of a hole that holds a guess already, as when it has grown or shrunk a little since it was filled:
    /// ends when the difference of a voxel from the mean of its neighbours is below `enough` of the range of values
    /// around the hole, in the root mean square over the hole.
    pub fn refill(&mut self, values: &mut [f32], hole: &[usize], enough: f64) {
        if hole.len() == values.len() {
            return self.fill(values, hole);
        }
        let system = self.system(values, hole);
        let start = hole.iter().map(|&n| f64::from(values[n]).clamp(system.lowest, system.highest)).collect();
        let mismatch = enough * (system.highest - system.lowest);
        let bound = mismatch * mismatch * system.rows.iter().map(|row| row.diagonal).sum::<f64>();
        self.put(values, hole, &system, |size| bound.max(size * 1e-16), start);
    }

    /// The equations of a hole.
    #[expect(clippy::cast_possible_truncation, reason = "volumes have far fewer than 2^32 voxels")]
    fn system(&mut self, values: &[f32], hole: &[usize]) -> System {
        for (unknown, &voxel) in hole.iter().enumerate() {
            self.place[voxel] = unknown as u32;
        }
        let (mut rows, mut right) = (Vec::with_capacity(hole.len()), Vec::with_capacity(hole.len()));
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        for &voxel in hole {
            let (mut row, mut known) = (Row::default(), 0.0);
            self.neighbours(voxel, |neighbour, weight| {
                row.diagonal += weight;
                let place = self.place[neighbour];
                if place == KNOWN {
                    let value = f64::from(values[neighbour]);
                    known += weight * value;
                    (lowest, highest) = (lowest.min(value), highest.max(value));
                } else {
                    row.others[row.count] = (place, weight);
                    row.count += 1;
                }
            });
            rows.push(row);
            right.push(known);
        }
        System { rows, right, lowest, highest }
    }

    /// Solves the equations and writes the solution.
    #[expect(clippy::cast_possible_truncation, reason = "volumes are float32")]
    fn put(
        &mut self,
        values: &mut [f32],
        hole: &[usize],
        system: &System,
        enough: impl Fn(f64) -> f64,
        start: Vec<f64>,
    ) {
        let solution = solve(&system.rows, &system.right, enough, start);
        for (&voxel, x) in hole.iter().zip(solution) {
            self.place[voxel] = KNOWN;
            values[voxel] = x.clamp(system.lowest, system.highest) as f32;
        }
    }

    fn neighbours(&self, voxel: usize, mut each: impl FnMut(usize, f64)) {
        let [_, nj, nk] = self.shape;
        let at = [voxel / (nj * nk), voxel / nk % nj, voxel % nk];
        for (axis, stride) in [nj * nk, nk, 1].into_iter().enumerate() {
            if at[axis] > 0 {
                each(voxel - stride, self.weights[axis]);
            }
            if at[axis] + 1 < self.shape[axis] {
                each(voxel + stride, self.weights[axis]);
            }
        }
    }
}

/// The equations of a hole, and the range of values around it.
struct System {
    rows: Vec<Row>,
    right: Vec<f64>,
    lowest: f64,
    highest: f64,
}

/// Solves `diagonal x - sum of others = right` from a guess, until the sum of `residual^2 / diagonal` is no more than `enough` says
/// when it is given what that is at first.
fn solve(rows: &[Row], right: &[f64], enough: impl Fn(f64) -> f64, mut x: Vec<f64>) -> Vec<f64> {
    let apply = |x: &[f64], out: &mut [f64]| {
        for ((o, row), &own) in out.iter_mut().zip(rows).zip(x) {
            let others: f64 = row.others[..row.count].iter().map(|&(at, w)| w * x[at as usize]).sum();
            *o = row.diagonal * own - others;
        }
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let count = rows.len();
    let mut image = vec![0.0; count];
    apply(&x, &mut image);
    let mut residual: Vec<f64> = right.iter().zip(&image).map(|(b, a)| b - a).collect();
    let scaled = |residual: &[f64], out: &mut [f64]| {
        out.iter_mut().zip(residual).zip(rows).for_each(|((o, r), row)| *o = r / row.diagonal);
    };
    let mut preconditioned = vec![0.0; count];
    scaled(&residual, &mut preconditioned);
    let mut direction = preconditioned.clone();
    let mut size = dot(&residual, &preconditioned);
    let enough = enough(size);
    // In exact arithmetic as many steps as unknowns are enough; far fewer are taken.
    for _ in 0..2 * count {
        if size <= enough || size == 0.0 {
            break;
        }
        apply(&direction, &mut image);
        let step = size / dot(&direction, &image);
        x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
        residual.iter_mut().zip(&image).for_each(|(r, a)| *r -= step * a);
        scaled(&residual, &mut preconditioned);
        let next = dot(&residual, &preconditioned);
        let turn = next / size;
        direction.iter_mut().zip(&preconditioned).for_each(|(d, p)| *d = p + turn * *d);
        size = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, DVector};
    use proptest::prelude::*;

    #[test]
    fn a_line_is_filled_by_a_straight_line() {
        let mut values = [1.0, 9.0, 9.0, 9.0, 5.0];
        Harmonic::new([1, 1, 5], [3.0; 3]).fill(&mut values, &[1, 2, 3]);
        for (v, expected) in values.iter().zip([1.0, 2.0, 3.0, 4.0, 5.0]) {
            assert!((v - expected).abs() < 1e-6, "{values:?}");
        }
        // At a face there is no flux: the nearest value goes on.
        let mut values = [7.0, 9.0, 2.0];
        Harmonic::new([1, 1, 3], [3.0; 3]).fill(&mut values, &[0, 1]);
        assert_eq!(values, [2.0; 3]);
    }

    #[test]
    fn a_hole_without_boundary_is_filled_with_the_mean() {
        let mut values = [1.0, 2.0, 6.0, 3.0];
        Harmonic::new([1, 2, 2], [1.0; 3]).fill(&mut values, &[0, 1, 2, 3]);
        assert_eq!(values, [3.0; 4]);
    }

    #[test]
    fn a_linear_volume_is_restored() {
        let shape = [7, 8, 9];
        let linear = |n: usize| (n / 72) as f32 * 2.0 - (n / 9 % 8) as f32 + 0.5 * (n % 9) as f32;
        let mut values: Vec<f32> = (0..504).map(linear).collect();
        let inner =
            |n: &usize| (1..6).contains(&(n / 72)) && (1..7).contains(&(n / 9 % 8)) && (1..8).contains(&(n % 9));
        let hole: Vec<usize> = (0..504).filter(inner).collect();
        hole.iter().for_each(|&n| values[n] = -100.0);
        Harmonic::new(shape, [1.0, 2.0, 0.7]).fill(&mut values, &hole);
        for (n, v) in values.iter().enumerate() {
            assert!((v - linear(n)).abs() < 1e-4, "{n}: {v}");
        }
    }

    #[test]
    fn a_hole_that_grows_is_filled_as_from_scratch() {
        let shape = [9, 8, 7];
        let image: Vec<f32> = (0..504).map(|n| ((n * 37) % 101) as f32 / 10.0 - 3.0).collect();
        // In a scattered order, until only the first voxel is left.
        let mut order: Vec<usize> = (1..504).collect();
        order.sort_by_key(|n| (n * 7919) % 97);
        let (mut harmonic, mut grown) = (Harmonic::new(shape, [1.0, 2.0, 0.7]), image.clone());
        for end in [0, 10, 60, 200, 400, 503, 300, 20] {
            // What is no longer in the hole is restored, as when it shrinks.
            order[end..].iter().for_each(|&n| grown[n] = image[n]);
            harmonic.refill(&mut grown, &order[..end], 1e-5);
            let mut fresh = image.clone();
            harmonic.fill(&mut fresh, &order[..end]);
            for (n, (a, b)) in grown.iter().zip(&fresh).enumerate() {
                assert!((a - b).abs() < 2e-3, "{end}, voxel {n}: {a} {b}");
            }
        }
        let mut whole = image.clone();
        harmonic.refill(&mut whole, &(0..504).collect::<Vec<_>>(), 1e-5);
        assert!(whole.iter().all(|v| *v == whole[0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn is_the_dense_solution_and_keeps_the_range(
            shape in prop::array::uniform3(1usize..6), spacing in prop::array::uniform3(0.5f64..4.0),
            seed in 0usize..1000, share in 1usize..10
        ) {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|n| ((n * 37 + seed * 11) % 101) as f32 / 10.0 - 3.0).collect();
            let mut hole: Vec<usize> = (0..count).filter(|n| (n * 7919 + seed * 31) % 10 < share).collect();
            if hole.len() == count {
                hole.pop();
            }
            let (mut matrix, mut right) =
                (DMatrix::<f64>::zeros(hole.len(), hole.len()), DVector::<f64>::zeros(hole.len()));
            let at = |n: usize| [n / (shape[1] * shape[2]), n / shape[2] % shape[1], n % shape[2]];
            for (r, &u) in hole.iter().enumerate() {
                for (v, &value) in values.iter().enumerate() {
                    let apart: Vec<usize> = (0..3).map(|a| at(u)[a].abs_diff(at(v)[a])).collect();
                    if apart.iter().sum::<usize>() != 1 {
                        continue;
                    }
                    let axis = apart.iter().position(|&d| d == 1).unwrap();
                    let weight = 1.0 / (spacing[axis] * spacing[axis]);
                    matrix[(r, r)] += weight;
                    match hole.iter().position(|&h| h == v) {
                        Some(c) => matrix[(r, c)] -= weight,
                        None => right[r] += weight * f64::from(value),
                    }
                }
            }
            let mut filled = values.clone();
            Harmonic::new(shape, spacing).fill(&mut filled, &hole);
            let expected = if hole.is_empty() { right } else { matrix.lu().solve(&right).unwrap() };
            for (&n, x) in hole.iter().zip(expected.iter()) {
                prop_assert!((f64::from(filled[n]) - x).abs() < 1e-4, "{n}: {} {x}", filled[n]);
            }
            for n in (0..count).filter(|n| !hole.contains(n)) {
                prop_assert_eq!(filled[n], values[n]);
            }
        }
    }
}
