//! [`TrainingFeatures`]: the out-of-distribution distance, how far images lie from those that a network was trained on.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use serde_json::{Value, json};
use voxplain_nn::NodeId;

/// Share of the covariance that is replaced by its mean variance in every direction.
const SHRINKAGE: f64 = 0.1;

/// The features of training subjects: the values that the network's last linear layer takes.
///
/// The distance of an image is that of Mahalanobis, `d^2 = (f - mean)^T C^-1 (f - mean)`, divided by the number of features, with
/// `C = (1 - a) S + a (trace S / p) I`, `a = 0.1` (Ledoit and Wolf 2004 with a fixed share; Lee et al. 2018 use it for images unlike those of
/// training, with a covariance that is pooled over classes). There are far more features than subjects, so everything is
/// expressed by inner products of subjects' features: with `X` the centred features of `n` subjects, `b = (1 - a) / (n - 1)` and
/// `r = a trace S / p`, `d^2 = (|v|^2 - (X v)^T (X X^T + r / b I)^-1 X v) / r`.
///
/// The distance of a subject is taken from all the others, so that an image can be compared with subjects whom the distance does
/// not know either.
#[derive(Clone, Debug)]
pub(crate) struct TrainingFeatures {
    /// The node whose value is taken.
    pub(crate) node: NodeId,
    /// [`voxplain_core::hash_values`] of each subject's volume.
    hashes: Vec<String>,
    features: Vec<Vec<f32>>,
    /// Inner products of the features.
    products: DMatrix<f64>,
}

/// Some of the subjects, and what distances from them need.
pub(crate) struct Group<'a> {
    of: &'a TrainingFeatures,
    members: Vec<usize>,
    /// Mean product of each member with all, and the mean of these.
    means: Vec<f64>,
    mean: f64,
    ridge: f64,
    factor: Cholesky<f64, Dyn>,
}

/// Number, median and largest.
fn summary(values: &mut [f64]) -> Value {
    values.sort_by(f64::total_cmp);
    json!({ "Count": values.len(), "Median": values.get(values.len() / 2), "Largest": values.last() })
}

impl TrainingFeatures {
    /// Features of subjects, given the node whose value they are and the hash of each subject's volume.
    pub(crate) fn new(node: NodeId, hashes: Vec<String>, features: Vec<Vec<f32>>) -> Self {
        let products = DMatrix::from_fn(features.len(), features.len(), |a, b| dot(&features[a], &features[b]));
        Self { node, hashes, features, products }
    }

    /// The subjects but for the one whose volume has this hash; none where they are too few or all alike.
    pub(crate) fn without(&self, hash: &str) -> Option<Group<'_>> {
        Group::new(self, (0..self.hashes.len()).filter(|&n| self.hashes[n] != hash).collect())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

impl<'a> Group<'a> {
    /// None with fewer than three members, or where they are all alike.
    fn new(of: &'a TrainingFeatures, members: Vec<usize>) -> Option<Self> {
        let n = members.len() as f64;
        let features = of.features.first()?.len() as f64;
        let product = |a: usize, b: usize| of.products[(members[a], members[b])];
        let means: Vec<f64> =
            (0..members.len()).map(|a| (0..members.len()).map(|b| product(a, b)).sum::<f64>() / n).collect();
        let mean = means.iter().sum::<f64>() / n;
        let mut centred =
            DMatrix::from_fn(members.len(), members.len(), |a, b| product(a, b) - means[a] - means[b] + mean);
        let ridge = SHRINKAGE * centred.trace() / (n - 1.0) / features;
        if members.len() < 3 || ridge.is_nan() || ridge <= 1e-12 * mean.abs() / features {
            return None;
        }
        for a in 0..members.len() {
            centred[(a, a)] += ridge * (n - 1.0) / (1.0 - SHRINKAGE);
        }
        Some(Self { of, means, mean, ridge, factor: centred.cholesky()?, members })
    }

    /// The distance of features, from their product with each member and with themselves.
    fn by_products(&self, with: &[f64], own: f64) -> f64 {
        let mean = with.iter().sum::<f64>() / with.len() as f64;
        let size = own - 2.0 * mean + self.mean;
        let along =
            DVector::from_iterator(with.len(), with.iter().zip(&self.means).map(|(w, m)| w - mean - m + self.mean));
        let explained = along.dot(&self.factor.solve(&along));
        let features = self.of.features[0].len() as f64;
        ((size - explained).max(0.0) / self.ridge / features).sqrt()
    }

    /// The distance of an image by its features.
    pub(crate) fn distance(&self, features: &[f32]) -> f64 {
        let with: Vec<f64> = self.members.iter().map(|&n| dot(&self.of.features[n], features)).collect();
        self.by_products(&with, dot(features, features))
    }

    /// Distances as a record holds them, beside those of the subjects themselves.
    pub(crate) fn record(&self, of_image: f64, mut of_shown: Vec<f64>) -> Value {
        json!({
            "Distance": "Mahalanobis, per feature, in the input of the last linear layer, from people of the training set",
            "OfImage": of_image,
            "OfShown": summary(&mut of_shown),
            "OfPeople": summary(&mut self.among_themselves()),
        })
    }

    /// The distance of each member from the others.
    fn among_themselves(&self) -> Vec<f64> {
        let one = |&subject: &usize| {
            let others: Vec<usize> = self.members.iter().copied().filter(|&n| n != subject).collect();
            let with: Vec<f64> = others.iter().map(|&n| self.of.products[(n, subject)]).collect();
            Some(Group::new(self.of, others)?.by_products(&with, self.of.products[(subject, subject)]))
        };
        self.members.iter().filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::random::Seed;

    /// Features of normal numbers with variances 9, 1, 1, ...; the mean is 5.
    fn people(count: usize, features: usize) -> TrainingFeatures {
        let mut random = Seed::new(4).random();
        let mut value = |n: usize| 5.0 + random.normal() * if n == 0 { 3.0 } else { 1.0 };
        #[allow(clippy::cast_possible_truncation, reason = "small numbers")]
        let all: Vec<Vec<f32>> = (0..count).map(|_| (0..features).map(|n| value(n) as f32).collect()).collect();
        let hashes = (0..count).map(|n| n.to_string()).collect();
        TrainingFeatures::new(NodeId(0), hashes, all)
    }

    /// The definition, with the covariance itself.
    fn slow(training: &TrainingFeatures, members: &[usize], features: &[f32]) -> f64 {
        let (n, p) = (members.len(), features.len());
        let x = DMatrix::from_fn(n, p, |a, b| f64::from(training.features[members[a]][b]));
        let mean = x.row_mean();
        let centred = DMatrix::from_fn(n, p, |a, b| x[(a, b)] - mean[b]);
        let s = centred.transpose() * &centred / (n as f64 - 1.0);
        let c = &s * (1.0 - SHRINKAGE) + DMatrix::identity(p, p) * (SHRINKAGE * s.trace() / p as f64);
        let v = DVector::from_fn(p, |b, _| f64::from(features[b]) - mean[b]);
        (v.dot(&c.lu().solve(&v).unwrap()) / p as f64).sqrt()
    }

    #[test]
    fn inner_products_give_the_distance_by_the_covariance() {
        for (count, features) in [(30, 4), (12, 25)] {
            let training = people(count, features);
            let group = Group::new(&training, (0..count).collect()).unwrap();
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let stranger: Vec<f32> = (0..features).map(|n| 4.0 + (n % 5) as f32).collect();
            let all: Vec<usize> = (0..count).collect();
            assert!((group.distance(&stranger) - slow(&training, &all, &stranger)).abs() < 1e-6);
            let themselves = group.among_themselves();
            let others: Vec<usize> = (1..count).collect();
            assert!((themselves[0] - slow(&training, &others, &training.features[0])).abs() < 1e-6);
            assert_eq!(themselves.len(), count);
        }
    }

    #[test]
    fn a_step_counts_by_the_spread_along_it() {
        let training = people(200, 3);
        let group = Group::new(&training, (0..200).collect()).unwrap();
        let [wide, narrow] = [[11.0, 5.0, 5.0], [5.0, 11.0, 5.0]].map(|f| group.distance(&f));
        assert!(wide > 1.0 && narrow > 2.0 * wide, "{wide} {narrow}");
        assert!(group.distance(&[5.0; 3]) < 0.2);
    }

    #[test]
    fn people_who_are_all_alike_or_too_few_tell_nothing() {
        let mut training = people(5, 3);
        assert!(Group::new(&training, vec![0, 1]).is_none());
        training.features.iter_mut().for_each(|f| f.fill(2.0));
        training.products.fill(12.0);
        assert!(Group::new(&training, (0..5).collect()).is_none());
    }
}
