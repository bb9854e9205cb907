//! [`balance`]: folds that are alike in covariates too, such as age and site.

use super::{Split, SplitScheme};
use std::collections::BTreeMap;

/// Times that all pairs are gone through, at most.
const ROUNDS: usize = 50;

/// Exchanges subjects (or whole groups) between the parts of a division until no exchange makes the parts more alike in their covariates.
///
/// `covariates` has, for each of them, the category of each subject. What is made small is the sum over covariates of Pearson's chi-square
/// of its categories over the parts, `sum (count - expected)² / expected`. Only subjects of one class are exchanged, and groups that have
/// as many subjects of each class, so that the balance of classes, the sizes of the parts, and groups stay as they are. The result follows
/// from the order of the subjects alone.
pub fn balance(
    splits: &[Split],
    labels: &[usize],
    groups: Option<&[usize]>,
    covariates: &[Vec<usize>],
    scheme: SplitScheme,
) -> Vec<Split> {
    let mut parts = Parts::of(splits, labels, groups, covariates, scheme);
    for _ in 0..ROUNDS {
        if !parts.exchange_all() {
            break;
        }
    }
    let held_out = splits.len();
    let part_of = parts.part_of(labels.len());
    (0..held_out)
        .map(|fold| {
            let (test, train) = (0..labels.len()).partition(|&n| part_of[n] == fold);
            Split { train, test }
        })
        .collect()
}

/// Units, the part that each is in, and how often each category is in each part.
struct Parts {
    units: Vec<Unit>,
    place: Vec<usize>,
    /// By covariate, part and category.
    counts: Vec<Vec<Vec<f64>>>,
    /// By covariate and category.
    sizes: Vec<Vec<f64>>,
    shares: Vec<f64>,
}

/// A subject, or a group.
struct Unit {
    members: Vec<usize>,
    /// How many of each class: units of one kind are exchanged.
    kind: BTreeMap<usize, usize>,
    /// By covariate: category and how many.
    of: Vec<BTreeMap<usize, f64>>,
}

impl Parts {
    fn of(
        splits: &[Split],
        labels: &[usize],
        groups: Option<&[usize]>,
        covariates: &[Vec<usize>],
        scheme: SplitScheme,
    ) -> Self {
        let shares = match scheme {
            SplitScheme::Folds(k) => vec![1.0 / k as f64; k],
            SplitScheme::Holdout(share) => vec![share, 1.0 - share],
        };
        let mut part = vec![shares.len() - 1; labels.len()];
        for (fold, split) in splits.iter().enumerate() {
            split.test.iter().for_each(|&n| part[n] = fold);
        }
        let mut by_group = BTreeMap::<usize, Vec<usize>>::new();
        for n in 0..labels.len() {
            by_group.entry(groups.map_or(n, |groups| groups[n])).or_default().push(n);
        }
        let units: Vec<Unit> = by_group
            .into_values()
            .map(|members| {
                let mut kind = BTreeMap::new();
                members.iter().for_each(|&n| *kind.entry(labels[n]).or_default() += 1);
                let of = covariates.iter().map(|of| {
                    let mut counts = BTreeMap::new();
                    members.iter().for_each(|&n| *counts.entry(of[n]).or_default() += 1.0);
                    counts
                });
                Unit { kind, of: of.collect(), members }
            })
            .collect();
        let place: Vec<usize> = units.iter().map(|unit| part[unit.members[0]]).collect();
        let categories = |of: &[usize]| of.iter().max().map_or(0, |m| m + 1);
        let mut sizes: Vec<Vec<f64>> = covariates.iter().map(|of| vec![0.0; categories(of)]).collect();
        let mut counts: Vec<Vec<Vec<f64>>> =
            covariates.iter().map(|of| vec![vec![0.0; categories(of)]; shares.len()]).collect();
        for (c, of) in covariates.iter().enumerate() {
            for (n, &category) in of.iter().enumerate() {
                sizes[c][category] += 1.0;
                counts[c][part[n]][category] += 1.0;
            }
        }
        Self { units, place, counts, sizes, shares }
    }

    /// Goes through all pairs once; whether any was exchanged.
    fn exchange_all(&mut self) -> bool {
        let mut better = false;
        for u in 0..self.units.len() {
            for v in u + 1..self.units.len() {
                if self.place[u] != self.place[v] && self.units[u].kind == self.units[v].kind && self.gain(u, v) > 1e-9
                {
                    self.exchange(u, v);
                    better = true;
                }
            }
        }
        better
    }

    /// By how much the sum falls where two units change places. Of `sum count² / (size * share)`, which is chi-square and a constant.
    fn gain(&self, u: usize, v: usize) -> f64 {
        let (from, to) = (self.place[u], self.place[v]);
        let mut gain = 0.0;
        for (c, (of_u, of_v)) in self.units[u].of.iter().zip(&self.units[v].of).enumerate() {
            let more = |category: &usize| {
                of_v.get(category).copied().unwrap_or(0.0) - of_u.get(category).copied().unwrap_or(0.0)
            };
            // Each category once.
            let others = of_v.keys().filter(|category| !of_u.contains_key(category));
            for category in of_u.keys().chain(others) {
                let d = more(category);
                let (here, there) = (self.counts[c][from][*category], self.counts[c][to][*category]);
                let size = self.sizes[c][*category];
                gain -= ((here + d).powi(2) - here * here) / (size * self.shares[from]);
                gain -= ((there - d).powi(2) - there * there) / (size * self.shares[to]);
            }
        }
        gain
    }

    fn exchange(&mut self, u: usize, v: usize) {
        let (from, to) = (self.place[u], self.place[v]);
        for (unit, away, towards) in [(u, from, to), (v, to, from)] {
            for (c, of) in self.units[unit].of.iter().enumerate() {
                for (&category, n) in of {
                    self.counts[c][away][category] -= n;
                    self.counts[c][towards][category] += n;
                }
            }
        }
        (self.place[u], self.place[v]) = (to, from);
    }

    fn part_of(&self, subjects: usize) -> Vec<usize> {
        let mut part = vec![0; subjects];
        for (unit, &place) in self.units.iter().zip(&self.place) {
            unit.members.iter().for_each(|&n| part[n] = place);
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::super::splits;
    use super::*;
    use proptest::prelude::*;
    use voxplain_core::random::Seed;

    fn scheme() -> impl Strategy<Value = SplitScheme> {
        prop_oneof![(2usize..6).prop_map(SplitScheme::Folds), (0.1f64..0.9).prop_map(SplitScheme::Holdout)]
    }

    /// Chi-square of each covariate over the parts, from its definition.
    fn chi_square(splits: &[Split], covariates: &[Vec<usize>], scheme: SplitScheme) -> f64 {
        let mut parts: Vec<(f64, Vec<usize>)> = Vec::new();
        for split in splits {
            let share = match scheme {
                SplitScheme::Folds(k) => 1.0 / k as f64,
                SplitScheme::Holdout(share) => share,
            };
            parts.push((share, split.test.clone()));
        }
        if let SplitScheme::Holdout(share) = scheme {
            parts.push((1.0 - share, splits[0].train.clone()));
        }
        let mut sum = 0.0;
        for of in covariates {
            for category in 0..=*of.iter().max().unwrap() {
                let size = of.iter().filter(|c| **c == category).count() as f64;
                for (share, members) in parts.iter().filter(|_| size > 0.0) {
                    let count = members.iter().filter(|&&n| of[n] == category).count() as f64;
                    sum += (count - size * share).powi(2) / (size * share);
                }
            }
        }
        sum
    }

    /// Of each part, the sorted classes and the groups.
    fn classes(splits: &[Split], labels: &[usize]) -> Vec<Vec<usize>> {
        let of = |split: &Split| {
            let mut of: Vec<usize> = split.test.iter().map(|&n| labels[n]).collect();
            of.sort_unstable();
            of
        };
        splits.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn classes_sizes_and_groups_stay_and_no_exchange_is_left(
            people in prop::collection::vec((0usize..2, 0usize..3, 0usize..4, 0usize..12), 8..50),
            scheme in scheme(), grouped: bool, seed: u64,
        ) {
            let labels: Vec<usize> = people.iter().map(|p| p.0).collect();
            let covariates = vec![people.iter().map(|p| p.1).collect::<Vec<_>>(), people.iter().map(|p| p.2).collect()];
            let groups: Vec<usize> = people.iter().map(|p| p.3).collect();
            let groups = grouped.then_some(groups.as_slice());
            let before = splits(&labels, groups, scheme, Seed::new(seed)).unwrap();
            let after = balance(&before, &labels, groups, &covariates, scheme);
            prop_assert_eq!(classes(&before, &labels), classes(&after, &labels));
            let sum = chi_square(&after, &covariates, scheme);
            prop_assert!(sum <= chi_square(&before, &covariates, scheme) + 1e-9);
            for split in &after {
                let mut all = [split.train.clone(), split.test.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
                if let Some(groups) = groups {
                    prop_assert!(split.test.iter().all(|&t| split.train.iter().all(|&n| groups[n] != groups[t])));
                }
            }
            // The slow way: any exchange of two single subjects of one class, and the sum anew.
            if groups.is_none() {
                for a in 0..labels.len() {
                    for b in (0..a).filter(|&b| labels[a] == labels[b]) {
                        let swap = |n: &usize| if *n == a { b } else if *n == b { a } else { *n };
                        let other = after.iter().map(|s| Split {
                            train: s.train.iter().map(swap).collect(), test: s.test.iter().map(swap).collect(),
                        });
                        let other = chi_square(&other.collect::<Vec<_>>(), &covariates, scheme);
                        prop_assert!(other >= sum - 1e-6, "{a} and {b}: {other} after {sum}");
                    }
                }
            }
        }
    }

    #[test]
    fn folds_by_hand() {
        // Four of a class at two sites, in two folds: by class alone chance may put a site into each.
        let (labels, site) = (vec![0; 4], vec![0, 0, 1, 1]);
        let divided = [Split { train: vec![2, 3], test: vec![0, 1] }, Split { train: vec![0, 1], test: vec![2, 3] }];
        let scheme = SplitScheme::Folds(2);
        assert!((chi_square(&divided, std::slice::from_ref(&site), scheme) - 4.0).abs() < 1e-12);
        let balanced = balance(&divided, &labels, None, std::slice::from_ref(&site), scheme);
        assert_eq!(chi_square(&balanced, std::slice::from_ref(&site), scheme), 0.0);
        assert_eq!(balanced[0].test, [1, 2]);
        // Groups of one site each cannot be balanced where they are two.
        let groups = [0, 0, 1, 1];
        assert_eq!(balance(&divided, &labels, Some(&groups), std::slice::from_ref(&site), scheme), divided);
    }
}
