//! Which subjects a model is trained on and which are held out: [`Split`].

use crate::setting::{FOLDS, HOLDOUT};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::{Error, Result, random::Seed, remedy};

/// How subjects are held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitScheme {
    /// Cross-validation in this many folds: every subject is held out once.
    Folds(usize),
    /// A single hold-out of this share of the subjects.
    Holdout(f64),
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
/// apportionment of Sainte-Laguë: the size of each part, and of each class in it, is within one of its share. What is
/// left open is random and follows from `seed`.
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
    for unit in units {
        let cost = |part: usize| {
            let mut of_unit = vec![0.0; classes];
            for &n in &unit {
                of_unit[labels[n]] += 1.0;
            }
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
        for &n in &unit {
            counts[best][labels[n]] += 1.0;
            part_of[n] = best;
        }
    }
    part_of
}

/// Refuses splits that cannot be trained on or evaluated.
///
/// # Errors
/// A class has fewer subjects (or groups) than there are folds, a training set has fewer than 2 subjects of a class,
/// or a fold holds no subject out.
pub fn check(
    splits: &[Split],
    labels: &[usize],
    groups: Option<&[usize]>,
    classes: &[String],
    scheme: SplitScheme,
) -> Result<()> {
    let needed = match scheme {
        SplitScheme::Folds(k) => k,
        SplitScheme::Holdout(_) => 2,
    };
    for (c, class) in classes.iter().enumerate() {
        let members: Vec<usize> = (0..labels.len()).filter(|&n| labels[n] == c).collect();
        let units = groups.map_or(members.len(), |g| members.iter().map(|&n| g[n]).collect::<BTreeSet<_>>().len());
        if units < needed {
            let of = if groups.is_some() { "groups with" } else { "subjects of" };
            return Err(Error::request(
                format!("there are {units} {of} class {class}, fewer than the {needed} that are needed"),
                match scheme {
                    SplitScheme::Folds(_) if units >= 2 => remedy!["use ", FOLDS.to(units), " or fewer"],
                    _ => format!("leave class {class} out, or add subjects").into(),
                },
            ));
        }
    }
    for (fold, split) in splits.iter().enumerate() {
        if split.test.is_empty() {
            return Err(Error::request(
                format!("fold {fold} holds nobody out"),
                "the groups are too few or too large: use fewer folds",
            ));
        }
        for (c, class) in classes.iter().enumerate() {
            let n = split.train.iter().filter(|&&n| labels[n] == c).count();
            if n < 2 {
                return Err(Error::request(
                    format!("fold {fold} trains on {n} subjects of class {class}, fewer than 2"),
                    "use more subjects, or other folds",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            check(&splits, &labels, None, &classes, scheme)
        };
        assert!(of(SplitScheme::Folds(3)).is_ok());
        let error = of(SplitScheme::Folds(4)).unwrap_err();
        assert!(error.to_string().contains("3 subjects of class patient"), "{error}");
        assert_eq!(error.remedy().unwrap().to_string(), "use `folds` = 3 or fewer");
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
        let error = check(&splits, &labels, Some(&groups), &classes, SplitScheme::Folds(2)).unwrap_err();
        assert!(error.to_string().contains("1 groups with class patient"), "{error}");
    }
}
