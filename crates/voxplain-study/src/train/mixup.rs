//! [`Mixup`]: the subjects of a batch mixed in pairs (Zhang et al. 2018, arXiv 1710.09412).

use voxplain_core::random::Random;

/// How the subjects of a batch are mixed: each image is `share` of its own subject and the rest of a partner, and so is the truth.
#[derive(Clone, Debug)]
pub(super) struct Mixup {
    /// Share of the subject itself, the same in the whole batch.
    pub(super) share: f64,
    /// The partner of each subject of the batch: the batch in another order, in which somebody may be their own.
    pub(super) partners: Vec<usize>,
}

impl Mixup {
    /// Draws the share from the beta distribution with both parameters `alpha`, and the partners among `members`.
    pub(super) fn draw(alpha: f64, members: &[usize], random: &mut Random) -> Self {
        let share = beta(alpha, random);
        let partners = random.permutation(members.len()).into_iter().map(|n| members[n]).collect();
        Self { share, partners }
    }

    /// Mixes the values of the partner into those of the subject.
    #[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
    pub(super) fn mix(&self, own: &mut [f32], partner: &[f32]) {
        let (share, rest) = (self.share as f32, (1.0 - self.share) as f32);
        for (own, partner) in own.iter_mut().zip(partner) {
            *own = share * *own + rest * partner;
        }
    }
}

/// A number of the beta distribution with both parameters `alpha`, which is not far above 1 (Jöhnk 1964, by logarithms as numpy has it, so
/// that powers of small numbers do not vanish).
fn beta(alpha: f64, random: &mut Random) -> f64 {
    loop {
        // Uniform on (0, 1].
        let mut power = || (1.0 - random.uniform()).ln() / alpha;
        let (x, y) = (power(), power());
        if x.exp() + y.exp() <= 1.0 {
            let most = x.max(y);
            let sum = most + ((x - most).exp() + (y - most).exp()).ln();
            return (x - sum).exp();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean 1/2 and variance 1 / (4 (2 alpha + 1)).
    #[test]
    fn shares_have_the_moments_of_the_distribution() {
        for alpha in [0.01, 0.2, 1.0, 4.0] {
            let mut random = Random::new(5);
            let n = 20_000;
            let drawn: Vec<f64> = (0..n).map(|_| beta(alpha, &mut random)).collect();
            assert!(drawn.iter().all(|x| (0.0..=1.0).contains(x)));
            let mean = drawn.iter().sum::<f64>() / f64::from(n);
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 5.0 * (expected / f64::from(n)).sqrt(), "{alpha}: {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "{alpha}: {variance} {expected}");
        }
    }

    #[test]
    fn a_batch_is_mixed_with_itself_in_another_order() {
        let mixup = Mixup::draw(1.0, &[7, 3, 9], &mut Random::new(2));
        let mut partners = mixup.partners.clone();
        partners.sort_unstable();
        assert_eq!(partners, [3, 7, 9]);
        let mixup = Mixup { share: 0.75, partners };
        let mut own = [4.0, 0.0];
        mixup.mix(&mut own, &[0.0, 8.0]);
        assert_eq!(own, [3.0, 2.0]);
    }
}
