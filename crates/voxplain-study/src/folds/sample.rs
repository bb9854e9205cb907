//! [`Sample`]: the subjects that are to be divided, what forbids a division, and which other one would do.

use super::{Split, SplitScheme, splits};
use crate::{
    listed::{counted, listed},
    setting::{FOLDS, GROUP, HOLDOUT, KEEP_GOING, LABEL, MISSING},
};
use std::collections::BTreeSet;
use voxplain_core::{Error, Phrase, Remedy, Result, random::Seed, remedy};

/// Numbers of folds, at most, and shares of a hold-out that are tried in search of one that works.
const MOST_FOLDS: usize = 10;
const SHARES: [f64; 7] = [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];
/// Names that are listed.
const NAMED: usize = 12;

/// The subjects that are to be divided.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The class of each.
    pub labels: &'a [usize],
    /// Names of the classes.
    pub classes: &'a [String],
    /// Who stays on one side of every split.
    pub units: Option<Units<'a>>,
    /// What decides by chance.
    pub seed: Seed,
    /// Words that stand for no value already.
    pub missing: &'a [String],
}

/// Groups that no split divides.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    /// The group of each subject.
    pub of: &'a [usize],
    /// Names of the groups.
    pub names: &'a [String],
    /// What they are called: groups, people.
    pub noun: &'a str,
}

/// What forbids a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A class is of fewer subjects or groups than are needed.
    Few { class: usize },
    /// A fold holds nobody out.
    Empty { fold: usize },
    /// A fold trains on fewer than two images of a class.
    Untrained { fold: usize, class: usize, images: usize },
}

impl Fault {
    fn class(self) -> Option<usize> {
        match self {
            Self::Few { class } | Self::Untrained { class, .. } => Some(class),
            Self::Empty { .. } => None,
        }
    }
}

impl Sample<'_> {
    /// Refuses splits that cannot be trained on or evaluated.
    ///
    /// # Errors
    /// A class has fewer subjects (or groups) than there are folds, a training set has fewer than 2 images of a class,
    /// or a fold holds nobody out.
    pub fn check(&self, splits: &[Split], scheme: SplitScheme) -> Result<()> {
        let faults = self.faults(splits, scheme);
        let Some(first) = faults.first() else { return Ok(()) };
        let subjects = counted(self.labels.len(), "subject");
        let what = match (*first, scheme) {
            (Fault::Few { .. }, _) => self.too_few(&faults, scheme),
            (Fault::Empty { .. }, SplitScheme::Holdout(share)) => {
                format!("a hold-out of {share} holds nobody out of {subjects}")
            }
            (Fault::Empty { fold }, SplitScheme::Folds(_)) => format!("fold {fold} holds nobody out"),
            (Fault::Untrained { fold, class, images }, _) => {
                let class = &self.classes[class];
                format!("fold {fold} trains on {} of class {class}, fewer than 2", counted(images, "image"))
            }
        };
        Err(Error::request(what, self.remedy(&faults, scheme)))
    }

    /// What forbids these splits; classes that are too small alone, where there are any.
    fn faults(&self, splits: &[Split], scheme: SplitScheme) -> Vec<Fault> {
        let classes = 0..self.classes.len();
        let needed = needed(scheme);
        let few: Vec<Fault> =
            classes.clone().filter(|&c| self.units_of(c).len() < needed).map(|class| Fault::Few { class }).collect();
        if !few.is_empty() {
            return few;
        }
        let of_fold = |(fold, split): (usize, &Split)| {
            let images = |class: usize| split.train.iter().filter(|&&n| self.labels[n] == class).count();
            let untrained = classes.clone().map(move |class| (class, images(class))).filter(|(_, images)| *images < 2);
            let untrained = untrained.map(move |(class, images)| Fault::Untrained { fold, class, images });
            split.test.is_empty().then_some(Fault::Empty { fold }).into_iter().chain(untrained).collect::<Vec<_>>()
        };
        splits.iter().enumerate().flat_map(of_fold).collect()
    }

    /// The groups that have a class, or the subjects.
    fn units_of(&self, class: usize) -> BTreeSet<usize> {
        let members = (0..self.labels.len()).filter(|&n| self.labels[n] == class);
        members.map(|n| self.units.map_or(n, |units| units.of[n])).collect()
    }

    /// Which classes are too small for what is needed.
    fn too_few(&self, faults: &[Fault], scheme: SplitScheme) -> String {
        let classes: Vec<usize> = faults.iter().filter_map(|fault| fault.class()).collect();
        let needed = needed(scheme);
        if let Some(units) = self.units.filter(|units| units.noun == "groups" && classes.len() == self.classes.len())
            && classes.iter().all(|&class| self.units_of(class).len() == 1)
        {
            let group = |class: usize| units.names[self.units_of(class).into_iter().next().unwrap_or_default()].clone();
            let each = classes.iter().map(|&class| format!("{} in {}", self.classes[class], group(class)));
            return format!(
                "every class lies in one group alone ({}), and a group stays on one side of every fold, so that whole classes would",
                listed(each, NAMED)
            );
        }
        let noun = self.units.map(|units| units.noun);
        let of = |count: usize| match (noun, count) {
            (None, 1) => "1 subject of".to_owned(),
            (None, n) => format!("{n} subjects of"),
            (Some("people"), 1) => "1 person with".to_owned(),
            (Some("groups"), 1) => "1 group with".to_owned(),
            (Some(noun), n) => format!("{n} {noun} with"),
        };
        let each = classes.iter().map(|&class| (self.units_of(class).len(), &self.classes[class]));
        let first = each.clone().next().map_or(0, |(count, _)| count);
        let each = each.map(|(count, class)| format!("{} class {class}", of(count)));
        format!(
            "there {} {}, fewer than the {needed} that are needed{}",
            if first == 1 { "is" } else { "are" },
            listed(each, NAMED),
            if classes.len() > 1 { " of each" } else { "" }
        )
    }

    /// What would do: another number of folds or share, else other classes or groups. What is named has been tried.
    fn remedy(&self, faults: &[Fault], scheme: SplitScheme) -> Remedy {
        if let Some(other) = self.nearest(scheme) {
            return match (other, scheme) {
                (SplitScheme::Folds(folds), SplitScheme::Folds(asked)) => {
                    let fewer = folds > 2 && folds < asked && (2..folds).all(|k| self.allows(SplitScheme::Folds(k)));
                    remedy!["use ", FOLDS.to(folds), if fewer { " or fewer" } else { "" }]
                }
                (SplitScheme::Holdout(share), SplitScheme::Holdout(asked)) => {
                    let size = if share > asked { "larger" } else { "smaller" };
                    remedy![format!("hold a {size} share out: "), HOLDOUT.to(share)]
                }
                (SplitScheme::Folds(folds), _) => remedy!["use ", FOLDS.to(folds)],
                (SplitScheme::Holdout(share), _) => remedy!["use ", HOLDOUT.to(share)],
            };
        }
        let hopeless: Vec<usize> = (0..self.classes.len()).filter(|&class| self.is_hopeless(class, scheme)).collect();
        let faulted: BTreeSet<usize> = faults.iter().filter_map(|fault| fault.class()).collect();
        let out = if hopeless.is_empty() { faulted.iter().copied().collect() } else { hopeless };
        let names: Vec<&str> = out.iter().map(|&class| self.classes[class].as_str()).collect();
        let noun = if names.len() == 1 { "class" } else { "classes" };
        let of = listed(names.iter().copied(), NAMED);
        let mut parts: Vec<Phrase> = Vec::new();
        let mut say = |more: Remedy| parts.extend(more.parts().iter().cloned());
        if self.units.is_some_and(|units| units.noun == "groups") {
            say(remedy!["name other groups with ", GROUP, " (or none), "]);
        }
        let rest = self.classes.len() - names.len();
        if rest < 2 || names.is_empty() {
            let small: Vec<usize> = if faulted.is_empty() { out } else { faulted.into_iter().collect() };
            let of = listed(small.iter().map(|&class| &self.classes[class]), NAMED);
            let who = match small.len() {
                0 => String::new(),
                1 => format!(" of class {of}"),
                _ => format!(" of classes {of}"),
            };
            say(remedy![format!("add subjects{who}, or name another label with "), LABEL]);
            return Remedy::new(parts);
        }
        if faults.iter().any(|fault| matches!(fault, Fault::Untrained { .. }))
            || out.iter().any(|&c| self.units_of(c).len() > 1)
        {
            let what = if matches!(scheme, SplitScheme::Folds(_)) { "number of folds" } else { "share" };
            say(remedy![format!("no {what} works: ")]);
        }
        if names.iter().any(|name| name.contains(',')) {
            say(remedy![
                format!(
                    "leave {noun} {of} out: write n/a for it in the table (a name with a comma cannot be given), and use "
                ),
                KEEP_GOING,
                ", or add subjects"
            ]);
            return Remedy::new(parts);
        }
        let words: Vec<&str> = self.missing.iter().map(String::as_str).chain(names.iter().copied()).collect();
        say(remedy![format!("leave {noun} {of} out with "), MISSING.to(words.join(",")), " and ", KEEP_GOING]);
        match self.without(&out, |rest| (!rest.allows(scheme)).then(|| rest.nearest(scheme)).flatten()) {
            Some(SplitScheme::Folds(folds)) => say(remedy![" and ", FOLDS.to(folds)]),
            Some(SplitScheme::Holdout(share)) => say(remedy![" and ", HOLDOUT.to(share)]),
            None => {}
        }
        say(remedy![", or add subjects"]);
        Remedy::new(parts)
    }

    /// The division nearest to one that is asked for, that nothing forbids and that holds somebody of each class out.
    fn nearest(&self, asked: SplitScheme) -> Option<SplitScheme> {
        let mut schemes: Vec<SplitScheme> = match asked {
            SplitScheme::Folds(k) => {
                (2..k.min(MOST_FOLDS + 1)).rev().chain(k + 1..=MOST_FOLDS).map(SplitScheme::Folds).collect()
            }
            SplitScheme::Holdout(_) => SHARES.map(SplitScheme::Holdout).to_vec(),
        };
        if let SplitScheme::Holdout(share) = asked {
            let far = |scheme: &SplitScheme| match scheme {
                SplitScheme::Holdout(other) => (other - share).abs(),
                SplitScheme::Folds(_) => f64::INFINITY,
            };
            schemes.sort_by(|a, b| far(a).total_cmp(&far(b)));
        }
        schemes.into_iter().find(|&scheme| scheme != asked && self.allows(scheme))
    }

    /// Whether nothing forbids a division, and somebody of each class is held out.
    fn allows(&self, scheme: SplitScheme) -> bool {
        (0..self.classes.len()).all(|class| self.units_of(class).len() >= needed(scheme))
            && self.divided(scheme).is_some_and(|splits| {
                self.faults(&splits, scheme).is_empty() && (0..self.classes.len()).all(|c| self.holds_out(&splits, c))
            })
    }

    /// Whether no number of folds, or no share, is right for a class.
    fn is_hopeless(&self, class: usize, asked: SplitScheme) -> bool {
        let schemes = match asked {
            SplitScheme::Folds(_) => (2..=MOST_FOLDS).map(SplitScheme::Folds).collect::<Vec<_>>(),
            SplitScheme::Holdout(_) => SHARES.map(SplitScheme::Holdout).to_vec(),
        };
        schemes.into_iter().all(|scheme| {
            let trained = |splits: &[Split]| {
                let images = |split: &Split| split.train.iter().filter(|&&n| self.labels[n] == class).count();
                splits.iter().all(|split| images(split) >= 2) && self.holds_out(splits, class)
            };
            self.units_of(class).len() < needed(scheme) || !self.divided(scheme).is_some_and(|splits| trained(&splits))
        })
    }

    fn holds_out(&self, splits: &[Split], class: usize) -> bool {
        splits.iter().any(|split| split.test.iter().any(|&n| self.labels[n] == class))
    }

    fn divided(&self, scheme: SplitScheme) -> Option<Vec<Split>> {
        splits(self.labels, self.units.map(|units| units.of), scheme, self.seed).ok()
    }

    /// What is found in the sample without some of the classes.
    fn without<R>(&self, out: &[usize], find: impl FnOnce(&Sample<'_>) -> R) -> R {
        let stay: Vec<usize> = (0..self.classes.len()).filter(|class| !out.contains(class)).collect();
        let place = |n: &usize| stay.iter().position(|class| *class == self.labels[*n]);
        let members: Vec<usize> = (0..self.labels.len()).filter(|n| place(n).is_some()).collect();
        let labels: Vec<usize> = members.iter().filter_map(place).collect();
        let classes: Vec<String> = stay.iter().map(|&class| self.classes[class].clone()).collect();
        let of: Vec<usize> = members.iter().filter_map(|&n| Some(self.units?.of[n])).collect();
        let units = self.units.map(|units| Units { of: &of, ..units });
        find(&Sample { labels: &labels, classes: &classes, units, ..*self })
    }
}

/// How many subjects or groups each class must have.
fn needed(scheme: SplitScheme) -> usize {
    match scheme {
        SplitScheme::Folds(k) => k,
        SplitScheme::Holdout(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of these classes (one letter a subject) and what to do.
    fn refused(letters: &str, groups: Option<&str>, scheme: SplitScheme, missing: &[&str]) -> Option<(String, String)> {
        let names = |of: &str| of.chars().collect::<BTreeSet<_>>().into_iter().map(String::from).collect::<Vec<_>>();
        let positions = |of: &str| {
            let names = names(of);
            of.chars().map(|c| names.iter().position(|name| *name == c.to_string()).unwrap()).collect::<Vec<_>>()
        };
        let (classes, labels) = (names(letters), positions(letters));
        let (group_names, of) = (names(groups.unwrap_or_default()), positions(groups.unwrap_or_default()));
        let missing: Vec<String> = missing.iter().map(|word| (*word).to_owned()).collect();
        let sample = Sample {
            labels: &labels,
            classes: &classes,
            units: groups.map(|_| Units { of: &of, names: &group_names, noun: "groups" }),
            seed: Seed::new(0),
            missing: &missing,
        };
        let splits = splits(&labels, groups.map(|_| of.as_slice()), scheme, sample.seed).unwrap();
        let error = sample.check(&splits, scheme).err()?;
        Some((error.to_string(), error.remedy().unwrap().to_string()))
    }

    fn hint(letters: &str, folds: usize, missing: &[&str]) -> String {
        refused(letters, None, SplitScheme::Folds(folds), missing).unwrap().1
    }

    #[test]
    fn hints_do_not_lead_in_a_circle() {
        // Three of a class: two folds train on one of them, three on two.
        assert_eq!(hint("aaaaaabbb", 4, &[]), "use `folds` = 3");
        let (what, remedy) = refused("aaaaaabbb", None, SplitScheme::Folds(2), &[]).unwrap();
        assert!(what.ends_with("trains on 1 image of class b, fewer than 2"), "{what}");
        assert_eq!(remedy, "use `folds` = 3");
        assert_eq!(hint("aaaaaabbbbb", 10, &[]), "use `folds` = 5 or fewer");
        // Two of a class: none will do.
        let out = "no number of folds works: leave class c out with `missing` = c and `keep-going`, or add subjects";
        for folds in [2, 3] {
            assert_eq!(hint("aaaaabbbbbcc", folds, &[]), out);
        }
        assert_eq!(hint("aaaaaaaaaabb", 2, &[]), "add subjects of class b, or name another label with `label`");
        // What was left out already stays out, and all that must be are named at once.
        let (what, remedy) = refused("aaaaabbbbbcd", None, SplitScheme::Folds(2), &["999"]).unwrap();
        assert!(what.starts_with("there is 1 subject of class c, 1 subject of class d, fewer than the 2"), "{what}");
        assert_eq!(remedy, "leave classes c, d out with `missing` = 999,c,d and `keep-going`, or add subjects");
        // Without them the folds that were asked for would be too many.
        let both = "leave class c out with `missing` = c and `keep-going` and `folds` = 5, or add subjects";
        assert_eq!(hint("aaaaabbbbbc", 9, &[]), both);
    }

    #[test]
    fn hints_of_a_holdout_are_of_its_share() {
        let (what, remedy) = refused("aaabbb", None, SplitScheme::Holdout(0.05), &[]).unwrap();
        assert_eq!(what, "a hold-out of 0.05 holds nobody out of 6 subjects");
        assert!(remedy.starts_with("hold a larger share out: `holdout` = 0."), "{remedy}");
        let share: f64 = remedy.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(refused("aaabbb", None, SplitScheme::Holdout(share), &[]), None);
        // No share holds one of two out and trains on two.
        let (_, remedy) = refused("aabb", None, SplitScheme::Holdout(0.1), &[]).unwrap();
        assert_eq!(remedy, "add subjects of classes a, b, or name another label with `label`");
    }

    #[test]
    fn classes_of_one_group_each_and_names_with_commas() {
        let (what, remedy) = refused("pqrspqrs", Some("AABBAABB"), SplitScheme::Folds(2), &[]).unwrap();
        assert!(what.starts_with("every class lies in one group alone (p in A, q in A, r in B, s in B)"), "{what}");
        assert!(remedy.starts_with("name other groups with `group` (or none), "), "{remedy}");
        let remedy = hint("aaaaabbbbb,", 2, &[]);
        assert!(remedy.contains("write n/a for it in the table (a name with a comma cannot be given)"), "{remedy}");
        assert!(!remedy.contains("`missing`"), "{remedy}");
    }
}
