//! [`Smoothness`]: how a map's neighbours resemble each other, and random fields that do so alike.

use super::Blocks;
use voxplain_core::random::Seed;
use voxplain_stats::ranks;
use voxplain_volume::{Affine, Border, Grid, Volume};

/// Standard deviations of the fields that are added up, in widths of a block (the geometric mean of its three axes).
/// Our choice: noise, and powers of two up to a third of a brain.
const SIGMAS: [f64; 6] = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0];
/// Distance in mm up to which the map's autocorrelation is looked at. Our choice: beyond it a brain holds few independent pairs.
const REACH: f64 = 50.0;

/// The autocorrelation of a map over its blocks, as a sum of Gaussian ones.
///
/// A control must be as smooth as the map: rough orders punch many small holes, smooth ones few large ones, and these
/// differ in what they do to a network whatever lies in them. As an order is the same for all
/// rising functions of a map, it is the autocorrelation of its ranks that is matched, carried over to a Gaussian field by
/// `r = 2 sin(pi r_s / 6)` (Pearson 1907), at distances up to 50 mm along the three axes. It is fitted by least squares, weighted by the
/// number of pairs, with the autocorrelations of white noise and of noise smoothed by Gaussians of half a block to eight blocks;
/// their shares are not negative and sum to 1. The fit is the same in all directions, and has no negative lobes. Of a map that is smooth
/// over more than a tenth of a brain too few independent parts are seen: on average its control's autocorrelation is lower, by up to 0.1
/// for a Gaussian of four blocks; up to two blocks they agree. The idea of
/// matching surrogates to a map by distance is that of Burt et al. 2020 (`BrainSMASH`), who match variograms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Smoothness {
    /// Share of the variance of each of [`SIGMAS`].
    shares: [f64; SIGMAS.len()],
}

/// Pairs of blocks at one distance along one axis.
#[derive(Clone, Copy, Debug)]
struct Pairs {
    axis: usize,
    lag: usize,
    correlation: f64,
    count: usize,
}

impl Smoothness {
    /// Of the values of blocks. Of a map that does not vary nothing can be said; noise is its control.
    pub(super) fn of(blocks: &Blocks, values: &[f64]) -> Self {
        let pairs = correlogram(blocks, values);
        Self { shares: fit(blocks, &pairs) }
    }

    /// A random value for each block: independent fields, each of variance 1 before it is given its share.
    pub(super) fn field(&self, blocks: &Blocks, seed: Seed) -> Vec<f64> {
        let mut values = vec![0.0; blocks.blocks.len()];
        for (n, (&sigma, &share)) in SIGMAS.iter().zip(&self.shares).enumerate().filter(|(_, (_, share))| **share > 0.0)
        {
            let kernels = kernels(blocks, sigma);
            // Wide enough that no kernel is cut off over a block.
            let margin: [usize; 3] = std::array::from_fn(|a| kernels[a].len() / 2);
            let shape: [usize; 3] = std::array::from_fn(|a| blocks.shape[a] + 2 * margin[a]);
            let grid = Grid { shape, affine: Affine::IDENTITY };
            let mut random = seed.index(n as u64).random();
            #[expect(clippy::cast_possible_truncation, reason = "volumes are float32")]
            let noise = Volume::from_fn(grid, |_| random.normal() as f32);
            let smooth = noise.smooth_voxels(sigmas(blocks, sigma), Border::Renormalize);
            let deviation: f64 = kernels.iter().map(|k| k.iter().map(|w| w * w).sum::<f64>().sqrt()).product();
            for (value, (place, _)) in values.iter_mut().zip(&blocks.blocks) {
                let [i, j, k] = at(blocks, *place);
                let voxel = smooth.at(i + margin[0], j + margin[1], k + margin[2]);
                *value += share.sqrt() * f64::from(voxel) / deviation;
            }
        }
        values
    }
}

fn at(blocks: &Blocks, place: usize) -> [usize; 3] {
    let [_, nj, nk] = blocks.shape;
    [place / (nj * nk), place / nk % nj, place % nk]
}

/// A standard deviation in blocks along each axis.
fn sigmas(blocks: &Blocks, sigma: f64) -> [f64; 3] {
    let mean = blocks.width.iter().product::<f64>().cbrt();
    blocks.width.map(|w| sigma * mean / w)
}

/// The kernel along each axis, as [`Volume::smooth_voxels`] has it inside a volume; sums to 1.
fn kernels(blocks: &Blocks, sigma: f64) -> [Vec<f64>; 3] {
    sigmas(blocks, sigma).map(|s| {
        if s < 0.1 {
            return vec![1.0];
        }
        #[expect(clippy::cast_possible_truncation, reason = "a few blocks")]
        let reach = (4.0 * s).ceil() as i32;
        let weights: Vec<f64> = (-reach..=reach).map(|x| (-0.5 * (f64::from(x) / s).powi(2)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / sum).collect()
    })
}

/// The autocorrelation of smoothed noise at a lag along one axis.
fn autocorrelation(kernel: &[f64], lag: usize) -> f64 {
    let product = |lag: usize| kernel.iter().zip(kernel.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>();
    product(lag) / product(0)
}

/// Autocorrelation of the ranks of blocks at every lag along every axis up to [`REACH`], as of Gaussian values; nothing for values
/// that do not vary.
#[expect(clippy::cast_possible_truncation, reason = "ranks are of float32, and lags are small")]
fn correlogram(blocks: &Blocks, values: &[f64]) -> Vec<Pairs> {
    let ranks = ranks(&values.iter().map(|&v| v as f32).collect::<Vec<_>>());
    let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
    let variance = ranks.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / ranks.len() as f64;
    if variance <= 0.0 {
        return Vec::new();
    }
    let mut centred = vec![None; blocks.shape.iter().product()];
    for ((place, _), rank) in blocks.blocks.iter().zip(&ranks) {
        centred[*place] = Some(rank - mean);
    }
    let strides = [blocks.shape[1] * blocks.shape[2], blocks.shape[2], 1];
    let mut all = Vec::new();
    for axis in 0..3 {
        #[expect(clippy::cast_sign_loss, reason = "a width is above 0")]
        let most = ((REACH / blocks.width[axis]) as usize).min(blocks.shape[axis] - 1);
        for lag in 1..=most {
            let (mut sum, mut count) = (0.0, 0);
            for (place, _) in
                blocks.blocks.iter().filter(|(place, _)| at(blocks, *place)[axis] + lag < blocks.shape[axis])
            {
                if let (Some(a), Some(b)) = (centred[*place], centred[place + lag * strides[axis]]) {
                    sum += a * b;
                    count += 1;
                }
            }
            if count > 0 {
                let spearman = (sum / f64::from(count) / variance).clamp(-1.0, 1.0);
                let correlation = 2.0 * (std::f64::consts::PI * spearman / 6.0).sin();
                all.push(Pairs { axis, lag, correlation, count: count as usize });
            }
        }
    }
    all
}

/// Shares of the variance: least squares on the simplex, by moving variance from one field to another for as long as that helps.
///
/// What a field of autocorrelation `rho` shows over one brain, where its own mean is taken off, is `(rho - m) / (1 - m)`, with `m` the
/// mean of `rho` over all pairs of blocks; so that is what is fitted, and the shares found are those of what is seen.
fn fit(blocks: &Blocks, pairs: &[Pairs]) -> [f64; SIGMAS.len()] {
    let mut seen = [0.0; SIGMAS.len()];
    seen[0] = 1.0;
    if pairs.is_empty() {
        return seen;
    }
    let means = SIGMAS.map(|sigma| mean_autocorrelation(blocks, &kernels(blocks, sigma)));
    let models: [Vec<f64>; SIGMAS.len()] = std::array::from_fn(|n| {
        let kernels = kernels(blocks, SIGMAS[n]);
        pairs.iter().map(|p| (autocorrelation(&kernels[p.axis], p.lag) - means[n]) / (1.0 - means[n])).collect()
    });
    // A brain narrower than a field sees nothing of it.
    let usable: Vec<usize> = (0..SIGMAS.len()).filter(|&n| n == 0 || means[n] < 0.9).collect();
    let mut rest: Vec<f64> = pairs.iter().zip(&models[0]).map(|(p, model)| p.correlation - model).collect();
    for _ in 0..1000 {
        let mut moved = 0.0f64;
        for &to in &usable {
            for &from in usable.iter().take_while(|&&from| from < to) {
                let difference: Vec<f64> = models[to].iter().zip(&models[from]).map(|(a, b)| a - b).collect();
                let weighted = |a: &[f64], b: &[f64]| -> f64 {
                    pairs.iter().zip(a).zip(b).map(|((p, a), b)| p.count as f64 * a * b).sum()
                };
                let size = weighted(&difference, &difference);
                if size <= 0.0 {
                    continue;
                }
                let step = (weighted(&rest, &difference) / size).clamp(-seen[to], seen[from]);
                seen[to] += step;
                seen[from] -= step;
                rest.iter_mut().zip(&difference).for_each(|(r, d)| *r -= step * d);
                moved = moved.max(step.abs());
            }
        }
        if moved < 1e-9 {
            break;
        }
    }
    let shares: [f64; SIGMAS.len()] =
        std::array::from_fn(|n| if seen[n] > 0.0 { seen[n] / (1.0 - means[n]) } else { 0.0 });
    let total: f64 = shares.iter().sum();
    shares.map(|s| s / total)
}

/// The mean of a field's autocorrelation over all pairs of blocks, each with itself, too.
fn mean_autocorrelation(blocks: &Blocks, kernels: &[Vec<f64>; 3]) -> f64 {
    let mut values = vec![0.0; blocks.shape.iter().product()];
    blocks.blocks.iter().for_each(|(place, _)| values[*place] = 1.0);
    let strides = [blocks.shape[1] * blocks.shape[2], blocks.shape[2], 1];
    for axis in 0..3 {
        let (length, stride) = (blocks.shape[axis], strides[axis]);
        let weights: Vec<f64> = (0..length).map(|lag| autocorrelation(&kernels[axis], lag)).collect();
        let one = |n: usize| {
            let place = n / stride % length;
            let first = n - place * stride;
            (0..length).map(|other| weights[place.abs_diff(other)] * values[first + other * stride]).sum()
        };
        values = (0..values.len()).map(one).collect();
    }
    let count = blocks.blocks.len() as f64;
    blocks.blocks.iter().map(|(place, _)| values[*place]).sum::<f64>() / (count * count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use voxplain_volume::Mask;

    /// A ball of 3 mm voxels in blocks of two by two by two.
    fn ball(n: usize) -> Blocks {
        let grid = Grid::new([n; 3], Affine::from_spacing_origin([3.0; 3], [0.0; 3])).unwrap();
        let middle = (n as f64 - 1.0) / 2.0;
        let mask = Mask::from_fn(grid, |v| {
            v.iter().map(|&x| (x as f64 - middle).powi(2)).sum::<f64>() < (n as f64 / 2.0).powi(2)
        });
        Blocks::new(&mask, 4.0).unwrap()
    }

    fn only(n: usize) -> Smoothness {
        let mut shares = [0.0; SIGMAS.len()];
        shares[n] = 1.0;
        Smoothness { shares }
    }

    #[test]
    fn autocorrelation_by_hand() {
        assert_eq!((autocorrelation(&[1.0], 0), autocorrelation(&[1.0], 1)), (1.0, 0.0));
        // (1 2 1): 1 + 4 + 1 = 6 at 0, 2 + 2 = 4 at 1, 1 at 2.
        let kernel = [0.25, 0.5, 0.25];
        assert!((autocorrelation(&kernel, 1) - 4.0 / 6.0).abs() < 1e-15);
        assert!((autocorrelation(&kernel, 2) - 1.0 / 6.0).abs() < 1e-15);
        assert_eq!(autocorrelation(&kernel, 3), 0.0);
        // Of a wide Gaussian it is exp(-h^2 / 4 sigma^2).
        let blocks = ball(8);
        let kernel = &kernels(&blocks, 4.0)[0];
        assert!((autocorrelation(kernel, 3) - (-9.0f64 / 64.0).exp()).abs() < 1e-3);
    }

    #[test]
    fn a_line_has_the_correlation_of_its_neighbours() {
        // Ranks 1 2 3 4 about 2.5: pairs at one step give (1.5 * .5 - .5 * .5 + .5 * 1.5) / 3, over a variance of 1.25.
        let grid = Grid::new([1, 1, 4], Affine::from_spacing_origin([10.0; 3], [0.0; 3])).unwrap();
        let blocks = Blocks::new(&Mask::filled(grid, true), 10.0).unwrap();
        let pairs = correlogram(&blocks, &[-7.0, 1.0, 1.5, 100.0]);
        assert_eq!(
            pairs.iter().map(|p| (p.axis, p.lag, p.count)).collect::<Vec<_>>(),
            [(2, 1, 3), (2, 2, 2), (2, 3, 1)]
        );
        let spearman = 1.25 / 3.0 / 1.25;
        assert!((pairs[0].correlation - 2.0 * (std::f64::consts::PI * spearman / 6.0).sin()).abs() < 1e-12);
    }

    #[test]
    fn the_mean_autocorrelation_by_the_definition() {
        let blocks = ball(14);
        for sigma in SIGMAS {
            let kernels = kernels(&blocks, sigma);
            let mut sum = 0.0;
            for (a, _) in &blocks.blocks {
                for (b, _) in &blocks.blocks {
                    let (a, b) = (at(&blocks, *a), at(&blocks, *b));
                    sum +=
                        (0..3).map(|axis| autocorrelation(&kernels[axis], a[axis].abs_diff(b[axis]))).product::<f64>();
                }
            }
            let slow = sum / (blocks.blocks.len() as f64).powi(2);
            assert!((mean_autocorrelation(&blocks, &kernels) - slow).abs() < 1e-9, "{sigma}");
        }
    }

    /// Over maps that are rising functions of a field, as heavy in their tails as maps are, the mean autocorrelation of the controls is
    /// that of the maps, as far as so many of them tell.
    #[test]
    fn controls_are_as_smooth_as_their_maps() {
        const MAPS: u64 = 40;
        let blocks = ball(36);
        for (n, sigma) in SIGMAS.into_iter().enumerate().take(5) {
            // The difference at each lag, pair by pair of map and control.
            let mut differences: Vec<Vec<f64>> = Vec::new();
            for seed in 0..MAPS {
                let field = only(n).field(&blocks, Seed::new(seed));
                let map: Vec<f64> = field.iter().map(|v| v.powi(3) + 0.1 * v).collect();
                let found = Smoothness::of(&blocks, &map);
                assert!(
                    (found.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && found.shares.iter().all(|&s| s >= 0.0)
                );
                let control = found.field(&blocks, Seed::new(1000 + seed));
                let pairs = correlogram(&blocks, &map).into_iter().zip(correlogram(&blocks, &control));
                differences
                    .push(pairs.filter(|(p, _)| p.lag <= 4).map(|(a, b)| b.correlation - a.correlation).collect());
            }
            for lag in 0..differences[0].len() {
                let of: Vec<f64> = differences.iter().map(|d| d[lag]).collect();
                let mean = of.iter().sum::<f64>() / of.len() as f64;
                let variance = of.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64;
                let error = (variance / of.len() as f64).sqrt();
                // As the head of [`Smoothness`] says of wide ones.
                let bias = if sigma < 4.0 { 0.03 } else { 0.1 };
                assert!(mean.abs() < bias + 3.0 * error, "sigma {sigma}, lag {}: {mean} of {error}", lag % 4 + 1);
                assert!(error < 0.05, "too few maps to tell");
            }
        }
    }

    #[test]
    fn fields_have_variance_one_everywhere() {
        let blocks = ball(12);
        // Wider ones need larger margins, and time.
        for n in 0..4 {
            let fields: Vec<Vec<f64>> = (0..400).map(|s| only(n).field(&blocks, Seed::new(s))).collect();
            // A corner and the middle: 400 squares of normal numbers have a mean of 1 with a standard error of 0.07.
            for block in [0, blocks.blocks.len() / 2] {
                let variance = fields.iter().map(|f| f[block] * f[block]).sum::<f64>() / 400.0;
                assert!((variance - 1.0).abs() < 0.3, "{n}: {variance}");
            }
        }
    }

    #[test]
    fn a_map_that_does_not_vary_has_noise_for_a_control() {
        let blocks = ball(8);
        let count = blocks.blocks.len();
        assert_eq!(Smoothness::of(&blocks, &vec![0.3; count]), only(0));
        let field = only(0).field(&blocks, Seed::new(1));
        assert!(field.iter().all(|v| v.is_finite()) && field.windows(2).any(|w| w[0] != w[1]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// No other shares fit better: none that lies a little to the side of those found.
        #[test]
        fn the_fit_is_the_least_squares(seed in 0u64..1000, mix in prop::array::uniform4(0.0f64..1.0)) {
            let blocks = ball(14);
            let total: f64 = mix.iter().sum::<f64>() + 1e-3;
            let mut shares = [0.0; SIGMAS.len()];
            shares[0] = 1e-3 / total;
            shares[1..5].iter_mut().zip(mix).for_each(|(s, m)| *s = m / total);
            let values = Smoothness { shares }.field(&blocks, Seed::new(seed));
            let pairs = correlogram(&blocks, &values);
            let found = fit(&blocks, &pairs);
            let means = SIGMAS.map(|sigma| mean_autocorrelation(&blocks, &kernels(&blocks, sigma)));
            // What is seen of a sum of fields, of which each has its mean taken off.
            let loss = |shares: &[f64; SIGMAS.len()]| -> f64 {
                let sum = |of: &dyn Fn(usize) -> f64| (0..SIGMAS.len()).map(|n| shares[n] * of(n)).sum::<f64>();
                pairs.iter().map(|p| {
                    let rho = |n: usize| autocorrelation(&kernels(&blocks, SIGMAS[n])[p.axis], p.lag);
                    let model = sum(&|n| rho(n) - means[n]) / sum(&|n| 1.0 - means[n]);
                    p.count as f64 * (p.correlation - model).powi(2)
                }).sum()
            };
            let best = loss(&found);
            let usable = |n: usize| n == 0 || means[n] < 0.9;
            for to in (0..SIGMAS.len()).filter(|&n| usable(n)) {
                for from in 0..SIGMAS.len() {
                    let step = found[from].min(1e-3);
                    let mut other = found;
                    other[from] -= step;
                    other[to] += step;
                    prop_assert!(loss(&other) >= best - 1e-6 * (1.0 + best), "{found:?} {from} {to}");
                }
            }
        }
    }
}
