//! Which subjects a model is trained on and which are held out: [`Split`].

mod covariates;
mod sample;

pub use covariates::balance;
pub use sample::{Sample, Units};

use crate::setting::HOLDOUT;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};
use voxplain_core::{Error, Result, random::Seed, remedy};

/// How subjects are divided into those that are trained on and those held out, in folds for example.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitScheme {
    /// Cross-validation in this many folds: every subject is held out once.
    Folds(usize),
    /// A single hold-out of this share of the subjects.
    Holdout(f64),
}

/// A test set: the subjects with one value in a column of the table. They are in no fold, and asked about once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestSet {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: String,
}

/// `site = B`.
impl fmt::Display for TestSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.column, self.value)
    }
}

impl FromStr for TestSet {
    type Err = String;

    /// `site=B`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=').map(|(column, value)| (column.trim(), value.trim())) {
            Some((column, value)) if !column.is_empty() && !value.is_empty() => {
                Ok(Self { column: column.to_owned(), value: value.to_owned() })
            }
            _ => Err("write a column and its value, as in site=B".into()),
        }
    }
}

/// Positions of subjects, in ascending order. No subject is in both lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Subjects to train on.
    pub train: Vec<usize>,
    /// Held-out subjects.
    pub test: Vec<usize>,
}

/// Divides subjects into folds, stratified by class, one [`Split`] for each fold that is held out.
///
/// `labels` is the class of each subject. `groups` is the group of each subject (a family, say): a group is never
/// divided. Each unit (a subject or a group, the largest first) goes to the part where it least raises
/// `sum over classes and parts of count² / (class size² * share of the part)`. For single subjects this is the
/// apportionment of Sainte-Laguë: the size of each part, and of each class in it, is within one of its share. Groups are then moved
/// to other parts and exchanged between parts as long as that lowers the sum. What is left open is random and follows from `seed`;
/// what groups do not allow, [`uneven`] says.
///
/// # Errors
/// Fewer than 2 folds, or a hold-out that is not between 0 and 1.
pub fn splits(labels: &[usize], groups: Option<&[usize]>, scheme: SplitScheme, seed: Seed) -> Result<Vec<Split>> {
    let shares = match scheme {
        SplitScheme::Folds(k) if k >= 2 => vec![1.0 / k as f64; k],
        SplitScheme::Folds(k) => {
            return Err(Error::request(format!("{k} folds"), remedy!["ask for at least 2 folds, or use ", HOLDOUT]));
        }
        SplitScheme::Holdout(share) if share > 0.0 && share < 1.0 => vec![share, 1.0 - share],
        SplitScheme::Holdout(share) => {
            return Err(Error::request(
                format!("a hold-out of {share}"),
                "the hold-out is a share between 0 and 1, such as 0.2",
            ));
        }
    };
    let parts = assign(labels, groups, &shares, seed);
    let held_out = match scheme {
        SplitScheme::Folds(k) => k,
        SplitScheme::Holdout(_) => 1,
    };
    Ok((0..held_out)
        .map(|fold| {
            let (test, train) = (0..labels.len()).partition(|&n| parts[n] == fold);
            Split { train, test }
        })
        .collect())
}

/// The part that each subject goes to.
fn assign(labels: &[usize], groups: Option<&[usize]>, shares: &[f64], seed: Seed) -> Vec<usize> {
    let classes = labels.iter().max().map_or(0, |m| m + 1);
    let mut units: Vec<Vec<usize>> = match groups {
        None => (0..labels.len()).map(|n| vec![n]).collect(),
        Some(groups) => {
            let mut by_group = BTreeMap::<usize, Vec<usize>>::new();
            for (n, &g) in groups.iter().enumerate() {
                by_group.entry(g).or_default().push(n);
            }
            by_group.into_values().collect()
        }
    };
    seed.child("folds").random().shuffle(&mut units);
    // Stable: chance orders units of one size and class.
    units.sort_by_key(|unit| (std::cmp::Reverse(unit.len()), labels[unit[0]]));

    let mut size = vec![0.0; classes];
    for &label in labels {
        size[label] += 1.0;
    }
    let mut counts = vec![vec![0.0; classes]; shares.len()];
    let mut part_of = vec![0; labels.len()];
    let of_units: Vec<Vec<f64>> = units
        .iter()
        .map(|unit| {
            let mut of_unit = vec![0.0; classes];
            unit.iter().for_each(|&n| of_unit[labels[n]] += 1.0);
            of_unit
        })
        .collect();
    let mut places = Vec::with_capacity(units.len());
    for of_unit in &of_units {
        let cost = |part: usize| {
            let raised: f64 = (0..classes)
                .filter(|&c| of_unit[c] > 0.0)
                .map(|c| of_unit[c] * (2.0 * counts[part][c] + of_unit[c]) / (size[c] * size[c]))
                .sum();
            let filled = counts[part].iter().sum::<f64>();
            (raised / shares[part], filled / shares[part])
        };
        let best = (0..shares.len())
            .min_by(|&a, &b| {
                let (a, b) = (cost(a), cost(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            })
            .unwrap_or(0);
        add(&mut counts[best], of_unit, 1.0);
        places.push(best);
    }
    if groups.is_some() {
        exchange(&of_units, &mut places, &mut counts, &size, shares);
    }
    for (unit, place) in units.iter().zip(places) {
        unit.iter().for_each(|&n| part_of[n] = place);
    }
    part_of
}

fn add(counts: &mut [f64], of_unit: &[f64], times: f64) {
    counts.iter_mut().zip(of_unit).for_each(|(count, n)| *count += times * n);
}

/// Moves units to other parts, and exchanges two, while that lowers the sum that [`splits`] names.
fn exchange(of_units: &[Vec<f64>], places: &mut [usize], counts: &mut [Vec<f64>], size: &[f64], shares: &[f64]) {
    let cost = |counts: &[f64], part: usize| -> f64 {
        let terms = counts.iter().zip(size).filter(|(_, size)| **size > 0.0);
        terms.map(|(n, size)| n * n / (size * size)).sum::<f64>() / shares[part]
    };
    // Each step lowers the sum by more than rounding, and there are finitely many sums; the bound is for time alone.
    for _ in 0..50 {
        let mut better = false;
        for u in 0..of_units.len() {
            // To another part alone (`None`), or against each later unit.
            let partners = (0..shares.len()).map(|part| (part, None)).collect::<Vec<_>>();
            let partners = partners.into_iter().chain((u + 1..of_units.len()).map(|v| (0, Some(v))));
            for (part, partner) in partners {
                let from = places[u];
                let to = partner.map_or(part, |v| places[v]);
                if from == to {
                    continue;
                }
                let before = cost(&counts[from], from) + cost(&counts[to], to);
                let (mut left, mut entered) = (counts[from].clone(), counts[to].clone());
                add(&mut left, &of_units[u], -1.0);
                add(&mut entered, &of_units[u], 1.0);
                if let Some(v) = partner {
                    add(&mut left, &of_units[v], 1.0);
                    add(&mut entered, &of_units[v], -1.0);
                }
                if cost(&left, from) + cost(&entered, to) < before - 1e-9 {
                    (counts[from], counts[to]) = (left, entered);
                    places[u] = to;
                    if let Some(v) = partner {
                        places[v] = from;
                    }
                    better = true;
                }
            }
        }
        if !better {
            break;
        }
    }
}

/// What groups (`noun`: groups, people) do not allow, in a sentence (`stratum`: class, or value): held-out parts in which a class is far from its share, by more than half of it (and more than
/// one subject). Nothing where all are near.
pub fn uneven(splits: &[Split], labels: &[usize], (stratum, classes): (&str, &[String]), noun: &str) -> Option<String> {
    let mut worst: Vec<String> = Vec::new();
    for (fold, split) in splits.iter().enumerate() {
        for (c, class) in classes.iter().enumerate() {
            let of = |members: &[usize]| members.iter().filter(|&&n| labels[n] == c).count() as f64;
            let all = of(&split.train) + of(&split.test);
            let share = all * split.test.len() as f64 / labels.len().max(1) as f64;
            let held = of(&split.test);
            if (held - share).abs() > (0.5 * share).max(1.0) {
                worst.push(format!(
                    "fold {fold} holds out {held} of {stratum} {class} where {share:.1} would be its share"
                ));
            }
        }
    }
    let more = worst.len().saturating_sub(4);
    worst.truncate(4);
    if more > 0 {
        worst.push(format!("{more} more"));
    }
    (!worst.is_empty())
        .then(|| format!("{noun} cannot be divided, so that folds are not balanced by {stratum}: {}", worst.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn scheme() -> impl Strategy<Value = SplitScheme> {
        prop_oneof![(2usize..8).prop_map(SplitScheme::Folds), (0.05f64..0.95).prop_map(SplitScheme::Holdout)]
    }

    fn count(of: &[usize], labels: &[usize], class: usize) -> usize {
        of.iter().filter(|&&n| labels[n] == class).count()
    }

    proptest! {
        #[test]
        fn everyone_is_held_out_once_and_never_trained_on_then(
            labels in prop::collection::vec(0usize..3, 1..120), k in 2usize..8, seed: u64,
        ) {
            let splits = splits(&labels, None, SplitScheme::Folds(k), Seed::new(seed)).unwrap();
            let mut held = vec![0; labels.len()];
            for split in &splits {
                split.test.iter().for_each(|&n| held[n] += 1);
                let mut all = [split.train.clone(), split.test.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            }
            prop_assert!(held.iter().all(|&h| h == 1));
        }

        #[test]
        fn classes_and_sizes_are_even(
            labels in prop::collection::vec(0usize..3, 1..120), k in 2usize..8, seed: u64,
        ) {
            let splits = splits(&labels, None, SplitScheme::Folds(k), Seed::new(seed)).unwrap();
            for class in 0..3 {
                let counts: Vec<_> = splits.iter().map(|s| count(&s.test, &labels, class)).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            }
            let sizes: Vec<_> = splits.iter().map(|s| s.test.len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }

        #[test]
        fn a_holdout_has_its_share_of_each_class(
            labels in prop::collection::vec(0usize..3, 1..120), share in 0.05f64..0.95, seed: u64,
        ) {
            let splits = splits(&labels, None, SplitScheme::Holdout(share), Seed::new(seed)).unwrap();
            prop_assert_eq!(splits.len(), 1);
            for class in 0..3 {
                let of = labels.iter().filter(|&&l| l == class).count() as f64;
                let held = count(&splits[0].test, &labels, class) as f64;
                prop_assert!((held - share * of).abs() <= 1.0, "{held} of {of} at {share}");
            }
        }

        #[test]
        fn groups_stay_whole(
            people in prop::collection::vec((0usize..2, 0usize..25), 1..120), scheme in scheme(), seed: u64,
        ) {
            let (labels, groups): (Vec<_>, Vec<_>) = people.into_iter().unzip();
            let splits = splits(&labels, Some(&groups), scheme, Seed::new(seed)).unwrap();
            for split in &splits {
                prop_assert_eq!(split.train.len() + split.test.len(), labels.len());
                for &t in &split.test {
                    prop_assert!(split.train.iter().all(|&n| groups[n] != groups[t]));
                }
            }
        }
    }

    #[test]
    fn families_of_two_keep_the_classes_even() {
        // 30 families of a man and a woman, 20 of two women: 5 folds of 10 families can be exactly alike.
        let (mut labels, mut groups) = (Vec::new(), Vec::new());
        for family in 0..50 {
            labels.extend([0, usize::from(family < 30)]);
            groups.extend([family, family]);
        }
        for split in splits(&labels, Some(&groups), SplitScheme::Folds(5), Seed::new(3)).unwrap() {
            assert_eq!((count(&split.test, &labels, 0), count(&split.test, &labels, 1)), (14, 6));
        }
    }

    /// The sum that folds keep small, from its definition.
    fn sum(parts: &[usize], labels: &[usize], shares: &[f64]) -> f64 {
        let count = |part: Option<usize>, class: usize| {
            let of = labels.iter().zip(parts).filter(|(l, p)| **l == class && part.is_none_or(|part| **p == part));
            of.count() as f64
        };
        let term = |part: usize, class: usize| (count(Some(part), class) / count(None, class)).powi(2) / shares[part];
        let classes: BTreeSet<usize> = labels.iter().copied().collect();
        classes.into_iter().map(|class| (0..shares.len()).map(|part| term(part, class)).sum::<f64>()).sum()
    }

    #[test]
    fn groups_are_balanced_as_well_as_any_assignment_does_it() {
        // Sites of 3, 3, 2, 2, 2 patients: one after another they would come to 7 and 5.
        let groups = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4];
        let parts = assign(&[0; 12], Some(&groups), &[0.5, 0.5], Seed::new(1));
        assert_eq!(parts.iter().filter(|p| **p == 0).count(), 6);
        // Every assignment of up to eight groups of both classes to two and three folds, counted out.
        let mut random = Seed::new(7).random();
        let (mut ours, mut least) = (0.0, 0.0);
        for case in 0..60 {
            let (count, folds) = (4 + case % 5, 2 + case % 2);
            let (mut labels, mut groups) = (vec![0, 1], vec![0, 0]);
            for group in 0..count {
                for class in 0..2 {
                    for _ in 0..random.below(7) {
                        labels.push(class);
                        groups.push(group);
                    }
                }
            }
            let shares = vec![1.0 / folds as f64; folds];
            let found = sum(&assign(&labels, Some(&groups), &shares, Seed::new(case as u64)), &labels, &shares);
            let best = (0..folds.pow(u32::try_from(count).unwrap()))
                .map(|code| {
                    let part = |g: usize| code / folds.pow(u32::try_from(g).unwrap()) % folds;
                    let of: Vec<usize> = groups.iter().map(|&g| part(g)).collect();
                    sum(&of, &labels, &shares)
                })
                .fold(f64::INFINITY, f64::min);
            // Steps of one or two groups do not always end at the best.
            assert!(found >= best - 1e-9 && found <= 1.15 * best, "case {case}: {found}, best {best}");
            ours += found;
            least += best;
        }
        assert!(ours <= 1.01 * least, "{ours} {least}");
    }

    #[test]
    fn what_groups_do_not_allow_is_said() {
        let classes = ["control".to_owned(), "patient".to_owned()];
        let labels = [vec![0; 10], vec![1; 10], vec![0, 1, 0, 1]].concat();
        let even = splits(&labels, None, SplitScheme::Folds(2), Seed::new(0)).unwrap();
        assert_eq!(uneven(&even, &labels, ("class", &classes), "groups"), None);
        // A site of one class.
        let one = Split { test: (0..10).collect(), train: (10..24).collect() };
        let said = uneven(&[one], &labels, ("class", &classes), "groups").unwrap();
        assert!(said.contains("fold 0 holds out 10 of class control where 5.0 would be its share"), "{said}");
    }

    #[test]
    fn a_seed_decides() {
        let labels: Vec<usize> = (0..40).map(|n| n % 2).collect();
        let of = |seed| splits(&labels, None, SplitScheme::Folds(4), Seed::new(seed)).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn what_cannot_be_is_refused_with_numbers() {
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1];
        let classes = ["control".to_owned(), "patient".to_owned()];
        let of = |scheme| -> Result<()> {
            let splits = splits(&labels, None, scheme, Seed::new(0))?;
            let (units, seed, missing) = (None, Seed::new(0), &[][..]);
            Sample { labels: &labels, classes: &classes, units, seed, missing }.check(&splits, scheme)
        };
        assert!(of(SplitScheme::Folds(3)).is_ok());
        let error = of(SplitScheme::Folds(4)).unwrap_err();
        assert!(error.to_string().contains("3 subjects of class patient"), "{error}");
        assert_eq!(error.remedy().unwrap().to_string(), "use `folds` = 3");
        for scheme in [
            SplitScheme::Folds(1),
            SplitScheme::Holdout(0.0),
            SplitScheme::Holdout(1.0),
            SplitScheme::Holdout(f64::NAN),
        ] {
            assert!(of(scheme).is_err());
        }
        let groups = [0, 1, 2, 3, 4, 5, 6, 6, 6];
        let splits = splits(&labels, Some(&groups), SplitScheme::Folds(2), Seed::new(0)).unwrap();
        let names: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        let units = Some(Units { of: &groups, names: &names, noun: "groups" });
        let sample = Sample { labels: &labels, classes: &classes, units, seed: Seed::new(0), missing: &[] };
        let error = sample.check(&splits, SplitScheme::Folds(2)).unwrap_err();
        assert!(error.to_string().contains("there is 1 group with class patient"), "{error}");
    }
}
