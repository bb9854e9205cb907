//! [`Imbalance`]: what goes with the label before any image is looked at.

use crate::{
    cohort::{Cohort, PERSON, SESSION_ID, is_missing},
    listed::{and, counted, listed},
    spelling::number,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::{Result, plural::does, random::Seed};
use voxplain_stats::{Association, EffectKind, Variable, holm, p_in_words};

/// Random permutations of a column.
const PERMUTATIONS: usize = 9999;
/// A column of words with more values than this is one of ids or comments, unless several people share each.
const WORDS: usize = 20;
/// Columns that are named in a sentence.
const NAMED: usize = 3;
/// What the volume of masks is called among columns.
pub const MASK_VOLUME: &str = "mask volume";

/// How the label goes with the columns of the table of people and with the volume of the masks: `imbalance.json`.
///
/// People are counted, not images: of somebody with several the first. The p of a column is by permutation of people, who are taken to be
/// independent, and is corrected for the number of columns (Holm 1979).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imbalance {
    /// The column that is learnt.
    pub label: String,
    /// People.
    pub people: usize,
    /// Whether images of people who have more were left out.
    pub first_images: bool,
    /// Permutations of each column.
    pub permutations: usize,
    /// Of each column that can be tested, the strongest by p first.
    pub columns: Vec<Associated>,
    /// Columns that cannot be tested, and why.
    pub not_tested: Vec<(String, String)>,
}

/// A column beside the label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Associated {
    /// The column.
    pub column: String,
    /// People with a value.
    pub people: usize,
    /// The effect.
    #[serde(flatten)]
    pub association: Association,
    /// The p corrected for the number of columns.
    pub corrected_p: f64,
    /// Of a number beside two classes the class with the larger mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub larger_in: Option<String>,
}

/// What is learnt.
#[derive(Clone, Copy, Debug)]
pub enum Learnt<'a> {
    /// The class of each subject, and the names of the classes.
    Classes(&'a [usize], &'a [String]),
    /// The value of each subject.
    Values(&'a [f64]),
}

impl Imbalance {
    /// Of the subjects at these positions of a cohort. `missing` are words that stand for no value, beside the usual ones.
    ///
    /// # Errors
    /// The people of the cohort cannot be told.
    pub fn of(
        cohort: &Cohort,
        subjects: &[usize],
        (label, learnt): (&str, Learnt<'_>),
        missing: &[String],
        seed: u64,
    ) -> Result<Self> {
        let persons = cohort.persons_but(subjects, missing)?;
        let mut seen = BTreeSet::new();
        let first = |at: &usize| persons.as_ref().is_none_or(|persons| seen.insert(persons.of[*at]));
        let taken: Vec<usize> = (0..subjects.len()).filter(first).collect();
        let volumes: Vec<Option<f64>> = subjects.iter().map(|&n| Some(cohort.subjects[n].mask_volume)).collect();
        let mut columns: Vec<(String, Result<Column, String>)> =
            vec![(MASK_VOLUME.into(), Ok(Column::Numbers(volumes)))];
        for (at, name) in cohort.participants.columns.iter().enumerate() {
            if ["participant_id", PERSON, SESSION_ID, label].contains(&name.as_str()) {
                continue;
            }
            let cells: Vec<Option<&str>> = cohort.participants.cells(at).collect();
            let cells: Vec<Option<&str>> =
                subjects.iter().map(|&n| cells[n].filter(|c| !is_missing(c, missing))).collect();
            columns.push((name.clone(), Column::of(&cells, &taken)));
        }
        Ok(Self::among(columns, (&taken, subjects.len()), (label, learnt), seed))
    }

    /// Of columns of a table, by their names, with the cells of all its rows, `None` where there is no value; of people with several rows `first`
    /// has the position of one.
    pub(crate) fn of_table(
        columns: &[(&str, Vec<Option<&str>>)],
        first: &[usize],
        (label, learnt): (&str, Learnt<'_>),
        seed: u64,
    ) -> Self {
        let rows = columns.first().map_or(first.len(), |(_, cells)| cells.len());
        let columns = columns.iter().map(|(name, cells)| ((*name).to_owned(), Column::of(cells, first))).collect();
        Self::among(columns, (first, rows), (label, learnt), seed)
    }

    /// Of these columns and of the people at the positions `taken`, of so many rows.
    fn among(
        columns: Vec<(String, Result<Column, String>)>,
        (taken, rows): (&[usize], usize),
        (label, learnt): (&str, Learnt<'_>),
        seed: u64,
    ) -> Self {
        let seed = Seed::new(seed).child("imbalance");
        let of = |(name, column): (String, Result<Column, String>)| match column {
            Err(why) => Err((name, why)),
            Ok(column) => column
                .beside(taken, learnt, seed.child(&name))
                .map(|(people, association, larger_in)| Associated {
                    column: name.clone(),
                    people,
                    association,
                    corrected_p: association.p,
                    larger_in,
                })
                .ok_or((name, "too few values, or none that differ".into())),
        };
        let (mut found, mut not_tested) = (Vec::new(), Vec::new());
        for one in columns.into_par_iter().map(of).collect::<Vec<_>>() {
            match one {
                Ok(of) => found.push(of),
                Err(why) => not_tested.push(why),
            }
        }
        let corrected = holm(&found.iter().map(|of| of.association.p).collect::<Vec<_>>());
        found.iter_mut().zip(corrected).for_each(|(of, p)| of.corrected_p = p);
        // Of one p the larger effect, of one kind, first; the order of the table is kept where both are the same.
        found.sort_by(|a, b| {
            let size = |of: &Associated| of.association.value.abs();
            a.corrected_p.total_cmp(&b.corrected_p).then(size(b).total_cmp(&size(a)))
        });
        Self {
            label: label.to_owned(),
            people: taken.len(),
            first_images: taken.len() < rows,
            permutations: PERMUTATIONS,
            columns: found,
            not_tested,
        }
    }

    /// Columns that go with the label beyond chance.
    pub fn shown(&self) -> impl Iterator<Item = &Associated> {
        self.columns.iter().filter(|of| of.corrected_p < 0.05)
    }

    /// What was found, in a sentence; `file` is where the rest stands.
    pub fn sentence(&self, file: &str) -> String {
        self.said_of("image", "A network", file)
    }

    /// [`Imbalance::sentence`] of a training on a table.
    pub(crate) fn sentence_of_table(&self, file: &str) -> String {
        self.said_of("row", "Models", file)
    }

    /// Of people with several such things, and of who may learn what goes with the label.
    fn said_of(&self, thing: &str, who: &str, file: &str) -> String {
        let label = &self.label;
        let heads = match self.people {
            1 => "1 person".to_owned(),
            n => format!("{n} people"),
        };
        let heads = if self.first_images { format!("{heads}, of each the first {thing}") } else { heads };
        let looks = match self.columns.len() {
            1 => "1 column".to_owned(),
            n => format!("{n} columns"),
        };
        let not = match self.not_tested.len() {
            0 => String::new(),
            n => format!("; {} could not be tested", counted(n, "column")),
        };
        let shown: Vec<&Associated> = self.shown().collect();
        let any_interval =
            shown.iter().take(NAMED).chain(self.columns.first().iter()).any(|of| of.association.low.is_some());
        let but = if any_interval { ", intervals not" } else { "" };
        let how = format!("{heads}; {looks} tested by permutation, p corrected by Holm{but}{not}");
        let Some(first) = self.columns.first() else {
            return format!("whether anything goes with {label} cannot be tested ({heads}{not})");
        };
        if shown.is_empty() {
            return format!(
                "before training: no column is shown to go with {label} ({how}); the nearest is {}. That none is shown does not mean that there \
                 is none",
                first.in_words()
            );
        }
        let named: Vec<String> = shown.iter().take(NAMED).map(|of| of.in_words()).collect();
        let more = match shown.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!("; {n} more in {file}"),
        };
        format!(
            "before training: {label} goes with {}{more} ({how}). {who} may learn {} in place of what is asked",
            and(&named),
            does(shown.len(), "this", "these")
        )
    }
}

impl Associated {
    /// `age (g 0.52, 0.13 to 0.91; larger in M; p = 0.012)`.
    pub fn in_words(&self) -> String {
        let a = &self.association;
        let ends = match (a.low, a.high) {
            (Some(low), Some(high)) => format!(", {low:.2} to {high:.2}"),
            _ => String::new(),
        };
        let larger = self.larger_in.as_ref().map_or_else(String::new, |class| format!("; larger in {class}"));
        let size = if a.kind == EffectKind::HedgesG { a.value.abs() } else { a.value };
        let ends = match (a.low, a.high) {
            // Said of the class in which it is larger.
            (Some(low), Some(high)) if a.kind == EffectKind::HedgesG && a.value < 0.0 => {
                format!(", {:.2} to {:.2}", -high, -low)
            }
            _ => ends,
        };
        format!("{} ({} {size:.2}{ends}{larger}; {})", self.column, a.kind.symbol(), p_in_words(self.corrected_p))
    }
}

/// A column of the table.
enum Column {
    Numbers(Vec<Option<f64>>),
    Words(Vec<Option<usize>>),
}

impl Column {
    /// From its cells; `taken` are those that count. Why it is none, where it cannot be tested.
    fn of(cells: &[Option<&str>], taken: &[usize]) -> Result<Self, String> {
        let filled: Vec<&str> = taken.iter().filter_map(|&n| cells[n]).map(str::trim).collect();
        let mut of = BTreeMap::<&str, usize>::new();
        filled.iter().for_each(|cell| {
            let next = of.len();
            of.entry(cell).or_insert(next);
        });
        let numbers = filled.iter().filter(|cell| number(cell).is_some()).count();
        match of.len() {
            0 => return Err("no value".into()),
            1 => return Err("one value for all".into()),
            _ => {}
        }
        if numbers == filled.len() && of.len() > 2 {
            return Ok(Self::Numbers(cells.iter().map(|cell| cell.and_then(number)).collect()));
        }
        if 2 * numbers > filled.len() && of.len() > 5 {
            let words: BTreeSet<&str> = filled.iter().copied().filter(|cell| number(cell).is_none()).collect();
            return Err(format!("words among numbers: {}", listed(words, 4)));
        }
        if of.len() > WORDS || 2 * of.len() > filled.len() {
            return Err(format!("{} different values of {}, as ids or comments have", of.len(), filled.len()));
        }
        Ok(Self::Words(cells.iter().map(|cell| cell.and_then(|c| of.get(c.trim()).copied())).collect()))
    }

    /// People with a value, the association with the label, and the class of two in which a number is larger.
    fn beside(&self, taken: &[usize], learnt: Learnt<'_>, seed: Seed) -> Option<(usize, Association, Option<String>)> {
        let has = |n: &usize| match self {
            Self::Numbers(cells) => cells[*n].is_some(),
            Self::Words(cells) => cells[*n].is_some(),
        };
        let people: Vec<usize> = taken.iter().copied().filter(has).collect();
        let numbers: Vec<f64>;
        let words: Vec<usize>;
        let own = match self {
            Self::Numbers(cells) => {
                numbers = people.iter().filter_map(|&n| cells[n]).collect();
                Variable::Numbers(&numbers)
            }
            Self::Words(cells) => {
                words = people.iter().filter_map(|&n| cells[n]).collect();
                Variable::Classes(&words)
            }
        };
        let classes: Vec<usize>;
        let values: Vec<f64>;
        let label = match learnt {
            Learnt::Classes(of, _) => {
                classes = people.iter().map(|&n| of[n]).collect();
                Variable::Classes(&classes)
            }
            Learnt::Values(of) => {
                values = people.iter().map(|&n| of[n]).collect();
                Variable::Numbers(&values)
            }
        };
        let found = Association::of(own, label, PERMUTATIONS, seed)?;
        let larger_in = match (learnt, found.kind, self) {
            (Learnt::Classes(of, names), EffectKind::HedgesG, Self::Numbers(_)) => {
                // Those of two classes who have a value.
                let there: BTreeSet<usize> = people.iter().map(|&n| of[n]).collect();
                let class = if found.value >= 0.0 { there.last() } else { there.first() };
                class.map(|&class| names[class].clone())
            }
            _ => None,
        };
        Some((people.len(), found, larger_in))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&'static str]) -> Result<Column, String> {
        let cells: Vec<Option<&str>> = cells.iter().map(|c| Some(*c).filter(|c| !c.is_empty())).collect();
        Column::of(&cells, &(0..cells.len()).collect::<Vec<_>>())
    }

    #[test]
    fn what_can_be_tested() {
        let why = |cells: &[&'static str]| column(cells).err();
        assert_eq!(why(&["", ""]).unwrap(), "no value");
        assert_eq!(why(&["a", "a", ""]).unwrap(), "one value for all");
        assert_eq!(why(&["a", "b", "c"]).unwrap(), "3 different values of 3, as ids or comments have");
        assert_eq!(why(&["1", "2", "3", "4", "5", "old"]).unwrap(), "words among numbers: old");
        assert!(matches!(column(&["1", "2", "3", ""]), Ok(Column::Numbers(_))));
        // Two numbers are two classes.
        assert!(matches!(column(&["0", "1", "0", "1"]), Ok(Column::Words(_))));
    }

    /// The sign is said by the class, and the ends are turned with it.
    #[test]
    fn larger_in_a_class() {
        let cells = ["1", "2", "3", "4", "5", "6"];
        let labels = [1, 1, 1, 0, 0, 0];
        let names = ["F".to_owned(), "M".to_owned()];
        let taken: Vec<usize> = (0..6).collect();
        let (people, association, larger_in) =
            column(&cells).unwrap().beside(&taken, Learnt::Classes(&labels, &names), Seed::new(0)).unwrap();
        assert_eq!((people, larger_in.as_deref()), (6, Some("F")));
        let of = Associated { column: "x".into(), people, association, corrected_p: 0.1, larger_in };
        // Means 2 and 5, variance 1: g = 0.8 * 3, half an interval sqrt(6/9 + 5.76/12) * 1.96.
        assert_eq!(of.in_words(), "x (g 2.40, 0.30 to 4.50; larger in F; p = 0.10)");
        // A value beside words is their share of its variance; two words are two groups.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.5];
        let words = column(&["a", "a", "b", "b", "c", "c"]).unwrap();
        let (_, association, none) = words.beside(&taken, Learnt::Values(&values), Seed::new(0)).unwrap();
        assert!(association.kind == EffectKind::EtaSquared && none.is_none());
    }
}
