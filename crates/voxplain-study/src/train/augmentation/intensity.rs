//! Changes of the intensities inside a mask. What is outside stays as it is.

use super::{Change, Place};
use voxplain_core::random::{Random, Seed};

/// Order of the polynomial of a bias field (`TorchIO`'s default).
const ORDER: usize = 3;

/// Gaussian kernels end after so many standard deviations (scipy's default).
const TRUNCATE: f64 = 4.0;

/// The seed of a change, where it happens.
fn happens(change: Option<Change>, seed: Seed) -> Option<(f64, Random)> {
    let change = change?;
    let mut random = seed.random();
    random.chance(change.probability).then_some((change.size, random))
}

/// The least and the largest value inside; `None` where nothing is, or all is one value.
fn ends(values: &[f32], inside: &[bool]) -> Option<(f32, f32)> {
    let of = || values.iter().zip(inside).filter(|(_, inside)| **inside).map(|(v, _)| *v);
    let (low, high) = of().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    (low < high).then_some((low, high))
}

fn each_inside(values: &mut [f32], inside: &[bool], mut change: impl FnMut(usize, f32) -> f32) {
    for (n, (value, _)) in values.iter_mut().zip(inside).enumerate().filter(|(_, (_, inside))| **inside) {
        *value = change(n, *value);
    }
}

/// A smooth field of factors, the exponential of a polynomial of order 3 with coefficients up to that size, places counted from -1 to 1
/// along each axis. It multiplies how far a value is above the least one inside.
#[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
pub(super) fn bias(change: Option<Change>, place: Place, values: &mut [f32], inside: &[bool], seed: Seed) {
    let Some((size, mut random)) = happens(change, seed) else { return };
    let Some((low, _)) = ends(values, inside) else { return };
    // Of x^i y^j z^k; of higher order there are none.
    let mut coefficients = [[[0.0; ORDER + 1]; ORDER + 1]; ORDER + 1];
    for (i, plane) in coefficients.iter_mut().enumerate() {
        for (j, row) in plane.iter_mut().enumerate().take(ORDER + 1 - i) {
            row.iter_mut().take(ORDER + 1 - i - j).for_each(|c| *c = random.range(-size, size));
        }
    }
    let [_, nj, nk] = place.shape;
    let along = |at: usize, n: usize| if n > 1 { 2.0 * at as f64 / (n - 1) as f64 - 1.0 } else { 0.0 };
    // The polynomial of a row of voxels, made anew where the row changes.
    let (mut row, mut of_row) = (usize::MAX, [0.0; ORDER + 1]);
    each_inside(values, inside, |n, value| {
        if n / nk != row {
            row = n / nk;
            let (x, y) = (along(row / nj, place.shape[0]), along(row % nj, nj));
            of_row = std::array::from_fn(|k| {
                let term = |i: usize, j: usize| coefficients[i][j][k] * x.powi(i as i32) * y.powi(j as i32);
                (0..=ORDER).flat_map(|i| (0..=ORDER).map(move |j| (i, j))).map(|(i, j)| term(i, j)).sum()
            });
        }
        let z = along(n % nk, nk);
        let exponent = of_row.iter().rev().fold(0.0, |sum, c| sum * z + c);
        (f64::from(low) + exponent.exp() * f64::from(value - low)) as f32
    });
}

/// A power, the exponential of a number up to that size, of the values inside brought to 0 to 1.
pub(super) fn gamma(change: Option<Change>, values: &mut [f32], inside: &[bool], seed: Seed) {
    let Some((size, mut random)) = happens(change, seed) else { return };
    let Some((low, high)) = ends(values, inside) else { return };
    #[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
    let power = random.range(-size, size).exp() as f32;
    each_inside(values, inside, |_, value| low + (high - low) * ((value - low) / (high - low)).powf(power));
}

/// A Gaussian blur whose standard deviation along each axis is up to that many mm. Voxels inside are blurred with each other alone.
#[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
pub(super) fn blur(
    change: Option<Change>,
    place: Place,
    (values, inside): (&mut [f32], &[bool]),
    scratch: &mut [Vec<f32>; 3],
    seed: Seed,
) {
    let Some((size, mut random)) = happens(change, seed) else { return };
    let [sums, weights, line] = scratch;
    sums.clear();
    sums.extend(values.iter().zip(inside).map(|(v, inside)| if *inside { *v } else { 0.0 }));
    weights.clear();
    weights.extend(inside.iter().map(|inside| f32::from(u8::from(*inside))));
    for axis in 0..3 {
        let deviation = random.range(0.0, size) / place.spacing[axis];
        let kernel = kernel(deviation);
        if kernel.len() > 1 {
            along(axis, place.shape, sums, &kernel, line);
            along(axis, place.shape, weights, &kernel, line);
        }
    }
    // The voxel itself has a weight, so that there is something to divide by.
    each_inside(values, inside, |n, _| (f64::from(sums[n]) / f64::from(weights[n])) as f32);
}

/// Half of a Gaussian kernel, from its middle, with a sum of 1 over both halves; the deviation is in voxels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some voxels; weights are f32")]
fn kernel(deviation: f64) -> Vec<f32> {
    let reach = (TRUNCATE * deviation).round() as usize;
    let weight = |n: usize| if n == 0 { 1.0 } else { (-0.5 * (n as f64 / deviation).powi(2)).exp() };
    let total = 2.0 * (1..=reach).map(weight).sum::<f64>() + 1.0;
    (0..=reach).map(|n| (weight(n) / total) as f32).collect()
}

/// Convolves along an axis with a symmetric kernel; beyond the ends there is nothing.
fn along(axis: usize, shape: [usize; 3], values: &mut [f32], kernel: &[f32], line: &mut Vec<f32>) {
    let step: usize = shape[axis + 1..].iter().product();
    let n = shape[axis];
    for start in (0..values.len()).filter(|start| (start / step).is_multiple_of(n)) {
        line.clear();
        line.extend((0..n).map(|at| values[start + at * step]));
        for at in 0..n {
            let mut sum = kernel[0] * line[at];
            for (off, weight) in kernel.iter().enumerate().skip(1) {
                let below = at.checked_sub(off).map_or(0.0, |below| line[below]);
                let above = line.get(at + off).copied().unwrap_or(0.0);
                sum += weight * (below + above);
            }
            values[start + at * step] = sum;
        }
    }
}

/// Independent normal noise, whose standard deviation is up to that share of the standard deviation of the values inside.
#[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
pub(super) fn noise(change: Option<Change>, values: &mut [f32], inside: &[bool], seed: Seed) {
    let Some((size, mut random)) = happens(change, seed) else { return };
    let of = || values.iter().zip(inside).filter(|(_, inside)| **inside).map(|(v, _)| f64::from(*v));
    let n = of().count().max(1) as f64;
    let mean = of().sum::<f64>() / n;
    let spread = (of().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let deviation = random.range(0.0, size) * spread;
    each_inside(values, inside, |_, value| (f64::from(value) + deviation * random.normal()) as f32);
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
mod tests {
    use super::*;

    const PLACE: Place = Place { shape: [6, 5, 7], spacing: [2.0, 1.0, 1.0] };

    fn always(size: f64) -> Option<Change> {
        Some(Change { size, probability: 1.0 })
    }

    /// A volume with a mask that leaves out the first plane and single voxels; outside are marks that nothing may touch.
    fn volume() -> (Vec<f32>, Vec<bool>) {
        let mut random = Random::new(8);
        let inside: Vec<bool> = (0..210).map(|n| n >= 35 && n % 11 != 0).collect();
        let values = inside.iter().map(|inside| if *inside { random.normal() as f32 } else { 77.0 }).collect();
        (values, inside)
    }

    fn outside_stays(values: &[f32], inside: &[bool]) {
        assert!(values.iter().zip(inside).all(|(v, inside)| *inside || *v == 77.0));
        assert!(values.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn gamma_keeps_ends_and_order() {
        let (from, inside) = volume();
        let mut to = from.clone();
        gamma(always(0.5), &mut to, &inside, Seed::new(1));
        outside_stays(&to, &inside);
        let (low, high) = ends(&from, &inside).unwrap();
        assert_eq!(ends(&to, &inside).unwrap().0, low);
        assert!((ends(&to, &inside).unwrap().1 - high).abs() < 1e-5);
        // One power for all: the logarithms of values brought to 0 to 1 are in one ratio.
        let log = |v: f32| f64::from((v - low) / (high - low)).ln();
        let ratios: Vec<f64> = (0..210)
            .filter(|&n| inside[n] && (low + 0.5..high - 0.5).contains(&from[n]))
            .map(|n| log(to[n]) / log(from[n]))
            .collect();
        assert!(ratios.iter().all(|r| (r - ratios[0]).abs() < 1e-3) && (ratios[0] - 1.0).abs() > 1e-3, "{ratios:?}");
        assert!((-0.5..0.5).contains(&ratios[0].ln()));
    }

    /// Factors are the exponential of a polynomial of third order: along a row, fourth differences of their logarithms vanish.
    #[test]
    fn bias_fields_are_smooth() {
        let (mut from, inside) = volume();
        from.iter_mut().zip(&inside).filter(|(_, inside)| **inside).for_each(|(v, _)| *v = v.abs() + 1.0);
        let least = ends(&from, &inside).unwrap().0;
        let mut to = from.clone();
        bias(always(0.5), PLACE, &mut to, &inside, Seed::new(1));
        outside_stays(&to, &inside);
        let log = |n: usize| f64::from((to[n] - least) / (from[n] - least)).ln();
        let mut rows = 0;
        for start in (35..210).step_by(7) {
            for first in start..start + 3 {
                let of: Vec<usize> = (first..first + 5).collect();
                if of.iter().all(|&n| inside[n] && from[n] > least + 0.01) {
                    let d: f64 = of.iter().zip([1.0, -4.0, 6.0, -4.0, 1.0]).map(|(&n, w)| w * log(n)).sum();
                    assert!(d.abs() < 1e-3, "{d}");
                    rows += 1;
                }
            }
        }
        assert!(rows > 5);
    }

    /// By the definition, in three dimensions at once; a volume of one value stays.
    #[test]
    fn blurs_are_means_of_what_is_inside() {
        let (from, inside) = volume();
        let mut to = from.clone();
        let mut scratch = std::array::from_fn(|_| Vec::new());
        blur(always(1.5), PLACE, (&mut to, &inside), &mut scratch, Seed::new(3));
        outside_stays(&to, &inside);
        let mut random = Seed::new(3).random();
        assert!(random.chance(1.0));
        let kernels: Vec<Vec<f32>> = (0..3).map(|axis| kernel(random.range(0.0, 1.5) / PLACE.spacing[axis])).collect();
        assert!(kernels.iter().any(|k| k.len() > 2));
        let voxel = |n: usize| [n / 35, n / 7 % 5, n % 7];
        for n in (0..210).filter(|&n| inside[n]) {
            let (mut sum, mut total) = (0.0, 0.0);
            for m in (0..210).filter(|&m| inside[m]) {
                let weight = |axis: usize| {
                    kernels[axis].get(voxel(n)[axis].abs_diff(voxel(m)[axis])).map_or(0.0, |w| f64::from(*w))
                };
                let weight: f64 = (0..3).map(weight).product();
                sum += weight * f64::from(from[m]);
                total += weight;
            }
            assert!((f64::from(to[n]) - sum / total).abs() < 1e-5, "{n}");
        }
        let mut even: Vec<f32> = inside.iter().map(|inside| if *inside { 3.0 } else { 77.0 }).collect();
        blur(always(1.5), PLACE, (&mut even, &inside), &mut scratch, Seed::new(3));
        assert!(even.iter().zip(&inside).all(|(v, inside)| !inside || (v - 3.0).abs() < 1e-5));
    }

    #[test]
    fn noise_has_its_share_of_the_spread() {
        let inside = vec![true; 40_000];
        let from: Vec<f32> = (0..40_000).map(|n| if n % 2 == 0 { 5.0 } else { -5.0 }).collect();
        let mut to = from.clone();
        noise(always(0.3), &mut to, &inside, Seed::new(6));
        let mut random = Seed::new(6).random();
        assert!(random.chance(1.0));
        let expected = 5.0 * random.range(0.0, 0.3);
        let square = from.iter().zip(&to).map(|(a, b)| f64::from(b - a).powi(2)).sum::<f64>() / 40_000.0;
        assert!((square.sqrt() / expected - 1.0).abs() < 0.03, "{} {expected}", square.sqrt());
    }

    /// Nothing inside, or one value: there is nothing to change, and no number becomes none.
    #[test]
    fn empty_masks_and_even_volumes_stay() {
        for (values, inside) in [(vec![2.0f32; 210], vec![false; 210]), (vec![2.0; 210], vec![true; 210])] {
            let mut to = values.clone();
            gamma(always(0.5), &mut to, &inside, Seed::new(1));
            bias(always(0.5), PLACE, &mut to, &inside, Seed::new(1));
            blur(always(1.0), PLACE, (&mut to, &inside), &mut std::array::from_fn(|_| Vec::new()), Seed::new(1));
            noise(always(0.5), &mut to, &inside, Seed::new(1));
            assert!(to.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
