//! [`Moments`]: mean and variance of maps that come one after another, with the errors of both.

/// Sums of maps that come one after another, of which mean, variance and their standard errors follow. What is kept is
/// four values per voxel, however many maps there are.
///
/// Powers are of the difference from the first map, so that little is lost where maps hardly differ.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    count: usize,
    first: Vec<f64>,
    /// Sums of the first four powers, voxel by voxel.
    sums: Vec<[f64; 4]>,
}

impl Moments {
    /// Of maps with that many voxels.
    pub(crate) fn new(voxels: usize) -> Self {
        Self { count: 0, first: vec![0.0; voxels], sums: vec![[0.0; 4]; voxels] }
    }

    /// One more map.
    pub(crate) fn add(&mut self, map: impl Iterator<Item = f64>) {
        if self.count == 0 {
            self.first.iter_mut().zip(map).for_each(|(first, v)| *first = v);
        } else {
            for ((sums, v), first) in self.sums.iter_mut().zip(map).zip(&self.first) {
                let d = v - first;
                let square = d * d;
                sums[0] += d;
                sums[1] += square;
                sums[2] += square * d;
                sums[3] += square * square;
            }
        }
        self.count += 1;
    }

    /// The mean of each voxel.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let n = self.count as f64;
        self.first.iter().zip(&self.sums).map(|(first, sums)| first + sums[0] / n).collect()
    }

    /// The unbiased variance of each voxel (divided by `n - 1`; 0 for a single map).
    pub(crate) fn variance(&self) -> Vec<f64> {
        let n = self.count as f64;
        let of = |sums: &[f64; 4]| ((sums[1] - sums[0] * sums[0] / n) / (n - 1.0).max(1.0)).max(0.0);
        self.sums.iter().map(of).collect()
    }

    /// The squared standard error of each mean: variance over `n`.
    pub(crate) fn error_of_mean(&self) -> impl Iterator<Item = f64> {
        let n = self.count as f64;
        self.variance().into_iter().map(move |v| v / n)
    }

    /// The squared standard error of each variance, `(m4 - m2^2 (n - 3) / (n - 1)) / n` with the central moments
    /// `m2` (the variance) and `m4` (Kendall and Stuart 1977, volume 1, chapter 10).
    pub(crate) fn error_of_variance(&self) -> impl Iterator<Item = f64> {
        let n = self.count as f64;
        let variance = self.variance();
        let of = move |(sums, variance): (&[f64; 4], f64)| {
            let [a, b, c, d] = sums.map(|s| s / n);
            let fourth = d - 4.0 * a * c + 6.0 * a * a * b - 3.0 * a.powi(4);
            ((fourth - variance * variance * (n - 3.0) / (n - 1.0).max(1.0)) / n).max(0.0)
        };
        self.sums.iter().zip(variance).map(of).collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::random::Seed;

    #[test]
    fn moments_by_hand() {
        // Voxel 0: 1, 2, 6: mean 3, variance 7. Voxel 1: 5, 5, 5.
        let mut moments = Moments::new(2);
        for v in [1.0, 2.0, 6.0] {
            moments.add([v, 5.0].into_iter());
        }
        assert_eq!(moments.mean(), [3.0, 5.0]);
        assert_eq!(moments.variance(), [7.0, 0.0]);
        let error: Vec<_> = moments.error_of_mean().collect();
        assert!((error[0] - 7.0 / 3.0).abs() < 1e-12 && error[1] == 0.0);
        // Central fourth moment (16 + 1 + 81) / 3, and n = 3.
        let error: Vec<_> = moments.error_of_variance().collect();
        assert!((error[0] - 98.0 / 9.0).abs() < 1e-12 && error[1] == 0.0, "{error:?}");
    }

    /// The errors are the spread over many repetitions.
    #[test]
    fn errors_are_the_spread_of_repetitions() {
        let (repetitions, n) = (2000, 100);
        let mut random = Seed::new(5).random();
        let mut moments = Moments::new(repetitions);
        for _ in 0..n {
            let draws: Vec<f64> = (0..repetitions).map(|_| 100.0 + random.normal() + random.uniform()).collect();
            moments.add(draws.into_iter());
        }
        let spread = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / repetitions as f64;
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / repetitions as f64
        };
        let average = |errors: &mut dyn Iterator<Item = f64>| errors.sum::<f64>() / repetitions as f64;
        let (of_mean, of_variance) = (spread(&moments.mean()), spread(&moments.variance()));
        assert!((average(&mut moments.error_of_mean()) / of_mean - 1.0).abs() < 0.1);
        assert!((average(&mut moments.error_of_variance()) / of_variance - 1.0).abs() < 0.15);
    }
}
