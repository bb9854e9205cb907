//! [`Familiar`]: how far images lie from those that a network was trained on, in the features that its head sees.

use crate::Result;
use crate::{Case, Explainer};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use serde_json::{Value, json};
use voxplain_nn::{NodeId, Op, Purpose};

/// People that stand for all whom the network was trained on, evenly taken from their list.
const PEOPLE: usize = 100;

/// Share of the covariance that is replaced by its mean variance in every direction.
const SHRINKAGE: f64 = 0.1;

/// The features of people that a network was trained on: the values that its last linear layer takes.
///
/// The distance of an image is that of Mahalanobis, `d^2 = (f - mean)^T C^-1 (f - mean)`, divided by the number of features, with
/// `C = (1 - a) S + a (trace S / p) I`, `a = 0.1` (Ledoit and Wolf 2004 with a fixed share; Lee et al. 2018 use it for images unlike those of
/// training, with a covariance that is pooled over classes). There are far more features than people, so everything is
/// expressed by inner products of people's features: with `X` the centred features of `n` people, `b = (1 - a) / (n - 1)` and
/// `r = a trace S / p`, `d^2 = (|v|^2 - (X v)^T (X X^T + r / b I)^-1 X v) / r`.
///
/// The distance of a person is taken from all the others, so that an image can be compared with people whom the distance does not
/// know either.
#[derive(Clone, Debug)]
pub(crate) struct Familiar {
    /// The node whose value is taken.
    node: NodeId,
    /// [`voxplain_core::hash_values`] of each person's volume.
    hashes: Vec<String>,
    features: Vec<Vec<f32>>,
    /// Inner products of the features.
    products: DMatrix<f64>,
}

/// Some of the people, and what distances from them need.
struct Group<'a> {
    of: &'a Familiar,
    members: Vec<usize>,
    /// Mean product of each member with all, and the mean of these.
    means: Vec<f64>,
    mean: f64,
    ridge: f64,
    factor: Cholesky<f64, Dyn>,
}

impl Explainer {
    /// How far images of a case lie from people that the network was trained on, beside the case's own image and the people themselves, for a record;
    /// null with the reason where it cannot be known.
    pub(crate) fn familiarity(&mut self, case: &Case<'_>, shown: &[&[f32]]) -> Result<Value> {
        let familiar = match self.familiar.take() {
            Some(familiar) => familiar,
            None => Familiar::of(self)?,
        };
        let value = match &familiar {
            Ok(familiar) => familiar.measure(self, case, shown),
            Err(why) => Ok(json!({ "Distance": null, "Why": why })),
        };
        self.familiar = Some(familiar);
        value
    }
}

/// Number, median and largest.
fn summary(values: &mut [f64]) -> Value {
    values.sort_by(f64::total_cmp);
    json!({ "Count": values.len(), "Median": values.get(values.len() / 2), "Largest": values.last() })
}

fn features(explainer: &mut Explainer, node: NodeId, image: &[f32]) -> Result<Vec<f32>> {
    Ok(explainer.plan(Purpose::Infer, 1, &[node])?.forward(image)?.value(node)?.data().to_vec())
}

impl Familiar {
    /// The features of the people that an explainer knows; why there are none, otherwise.
    fn of(explainer: &mut Explainer) -> Result<Result<Self, String>> {
        let nodes = explainer.network().nodes();
        let last = &nodes[explainer.network().output().0];
        let node = match (&last.op, last.inputs.first()) {
            (Op::Linear(_), Some(node)) => *node,
            _ => return Ok(Err("the network does not end in a linear layer".into())),
        };
        let method = "the distance from training";
        if let Err(why) = explainer.require_donors(method) {
            return Ok(Err(why.to_string()));
        }
        let count = explainer.donors(method)?.len();
        let chosen: Vec<usize> = (0..count.min(PEOPLE)).map(|n| n * count / count.min(PEOPLE)).collect();
        let (mut hashes, mut all) = (Vec::new(), Vec::new());
        for number in chosen {
            let values = explainer.donors(method)?.values(number)?;
            hashes.push(voxplain_core::hash_values(&values));
            all.push(features(explainer, node, &values)?);
        }
        let products = DMatrix::from_fn(all.len(), all.len(), |a, b| dot(&all[a], &all[b]));
        Ok(Ok(Self { node, hashes, features: all, products }))
    }
}

impl Familiar {
    fn measure(&self, explainer: &mut Explainer, case: &Case<'_>, shown: &[&[f32]]) -> Result<Value> {
        let own = case.hash();
        let members = (0..self.hashes.len()).filter(|&n| self.hashes[n] != own).collect();
        let Some(group) = Group::new(self, members) else {
            let why = "too few people, or their features do not vary";
            return Ok(json!({ "Distance": null, "Why": why }));
        };
        let of_image = group.distance(&features(explainer, self.node, &case.values())?);
        let mut of_shown = Vec::with_capacity(shown.len());
        for image in shown {
            of_shown.push(group.distance(&features(explainer, self.node, image)?));
        }
        Ok(json!({
            "Distance": "Mahalanobis, per feature, in the input of the last linear layer, from people of the training set",
            "OfImage": of_image,
            "OfShown": summary(&mut of_shown),
            "OfPeople": summary(&mut group.among_themselves()),
        }))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

impl<'a> Group<'a> {
    /// None with fewer than three members, or where they are all alike.
    fn new(of: &'a Familiar, members: Vec<usize>) -> Option<Self> {
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

    fn distance(&self, features: &[f32]) -> f64 {
        let with: Vec<f64> = self.members.iter().map(|&n| dot(&self.of.features[n], features)).collect();
        self.by_products(&with, dot(features, features))
    }

    /// The distance of each member from the others.
    fn among_themselves(&self) -> Vec<f64> {
        let one = |&person: &usize| {
            let others: Vec<usize> = self.members.iter().copied().filter(|&n| n != person).collect();
            let with: Vec<f64> = others.iter().map(|&n| self.of.products[(n, person)]).collect();
            Some(Group::new(self.of, others)?.by_products(&with, self.of.products[(person, person)]))
        };
        self.members.iter().filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::random::Seed;

    /// Features of normal numbers with variances 9, 1, 1, ...; the mean is 5.
    fn people(count: usize, features: usize) -> Familiar {
        let mut random = Seed::new(4).random();
        let mut value = |n: usize| 5.0 + random.normal() * if n == 0 { 3.0 } else { 1.0 };
        #[allow(clippy::cast_possible_truncation, reason = "small numbers")]
        let all: Vec<Vec<f32>> = (0..count).map(|_| (0..features).map(|n| value(n) as f32).collect()).collect();
        let products = DMatrix::from_fn(count, count, |a, b| dot(&all[a], &all[b]));
        let hashes = (0..count).map(|n| n.to_string()).collect();
        Familiar { node: NodeId(0), hashes, features: all, products }
    }

    /// The definition, with the covariance itself.
    fn slow(familiar: &Familiar, members: &[usize], features: &[f32]) -> f64 {
        let (n, p) = (members.len(), features.len());
        let x = DMatrix::from_fn(n, p, |a, b| f64::from(familiar.features[members[a]][b]));
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
            let familiar = people(count, features);
            let group = Group::new(&familiar, (0..count).collect()).unwrap();
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let stranger: Vec<f32> = (0..features).map(|n| 4.0 + (n % 5) as f32).collect();
            let all: Vec<usize> = (0..count).collect();
            assert!((group.distance(&stranger) - slow(&familiar, &all, &stranger)).abs() < 1e-6);
            let themselves = group.among_themselves();
            let others: Vec<usize> = (1..count).collect();
            assert!((themselves[0] - slow(&familiar, &others, &familiar.features[0])).abs() < 1e-6);
            assert_eq!(themselves.len(), count);
        }
    }

    #[test]
    fn a_step_counts_by_the_spread_along_it() {
        let familiar = people(200, 3);
        let group = Group::new(&familiar, (0..200).collect()).unwrap();
        let [wide, narrow] = [[11.0, 5.0, 5.0], [5.0, 11.0, 5.0]].map(|f| group.distance(&f));
        assert!(wide > 1.0 && narrow > 2.0 * wide, "{wide} {narrow}");
        assert!(group.distance(&[5.0; 3]) < 0.2);
    }

    #[test]
    fn people_who_are_all_alike_or_too_few_tell_nothing() {
        let mut familiar = people(5, 3);
        assert!(Group::new(&familiar, vec![0, 1]).is_none());
        familiar.features.iter_mut().for_each(|f| f.fill(2.0));
        familiar.products.fill(12.0);
        assert!(Group::new(&familiar, (0..5).collect()).is_none());
    }
}
