//! [`MatchOn`]: the columns on which people of two classes are matched, and what matching did to them.

use crate::{
    cohort::Cohort,
    comparators::{Cells, Features, named},
    imbalance::{self, Learnt},
    listed::and,
    recode::refuse_recode,
    setting::{CALIPER, MATCH},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::{Error, Remedy, Result, remedy};
use voxplain_stats::{Candidate, Matching, standardised_difference};

/// What the volume of the masks is called among the columns to match on.
pub const MASK_VOLUME: &str = "mask_volume";
/// How far apart the two of a pair may be in a number, in standard deviations, where nothing else is asked for (Cochran and Rubin 1973).
pub const CALIPER_DEFAULT: f64 = 0.2;
/// The fewest pairs that something is said of, or trained on.
pub const MIN_PAIRS: usize = 10;

/// On what people are matched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchOn {
    /// Columns of the table of people (`age`, `factor(site)`), and [`MASK_VOLUME`].
    pub columns: Vec<String>,
    /// How far apart the two of a pair may be in a number, in standard deviations; [`CALIPER_DEFAULT`] where it is not given.
    pub caliper: Option<f64>,
}

/// How far the classes differ in a covariate, before and after matching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// The covariate, in words.
    pub covariate: String,
    /// Standardised mean difference of all who can be matched, of the second class less the first; absent of words, which are the same in
    /// every pair, and of a number that differs within no class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// The same of the matched, by the standard deviation of all; over several matches the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
}

impl MatchOn {
    /// The caliper.
    pub fn caliper(&self) -> f64 {
        self.caliper.unwrap_or(CALIPER_DEFAULT)
    }

    /// Refuses a caliper that is none, or that nothing is matched by.
    ///
    /// # Errors
    /// It is not above 0, or there are no columns.
    pub(crate) fn check(&self) -> Result<()> {
        match self.caliper {
            Some(caliper) if !(caliper > 0.0 && caliper <= CALIPER_MOST) => Err(Error::request(
                format!("a caliper of {caliper} standard deviations"),
                remedy!["give one above 0 and up to 10 with ", CALIPER, ", such as ", CALIPER.to(CALIPER_DEFAULT)],
            )),
            Some(_) if self.columns.is_empty() => Err(Error::request(
                "a caliper is given, and nobody is matched",
                remedy!["say on what with ", MATCH, ", such as ", MATCH.to(MASK_VOLUME), ", or leave out ", CALIPER],
            )),
            _ => Ok(()),
        }
    }
}

/// The largest caliper.
const CALIPER_MOST: f64 = 10.0;

/// People of two classes with the covariates on which they are matched, by their position.
#[derive(Clone, Debug)]
pub(crate) struct Matchable {
    caliper: f64,
    /// The covariates, as they are called in sentences.
    on: Vec<String>,
    numbers: Vec<(String, Vec<Option<f64>>)>,
    words: Vec<(String, Vec<Option<String>>)>,
    second: Vec<bool>,
    names: Vec<String>,
    /// Those who can be matched: with all values, and of a person with several images the first.
    candidates: Vec<usize>,
    without_value: Vec<usize>,
    further: Vec<usize>,
}

impl Matchable {
    /// What gives more pairs where these are fewer than [`MIN_PAIRS`], and `least` people of the smaller class can be matched.
    pub(crate) fn more_pairs(&self, least: usize) -> Remedy {
        let wider = 2.0 * self.caliper;
        if least < MIN_PAIRS {
            return remedy![format!("use a cohort of more people: no more than {least} pairs can be made of these")];
        }
        if self.numbers.is_empty() || wider > CALIPER_MOST {
            return remedy!["match on fewer columns with ", MATCH, ", or use a cohort of more people"];
        }
        remedy![
            "match on fewer columns with ",
            MATCH,
            ", let pairs differ more with ",
            CALIPER.to(wider),
            ", or use a cohort of more people"
        ]
    }

    /// The subjects at these positions of a cohort. `missing` are words that stand for no value, beside the usual ones.
    ///
    /// # Errors
    /// What is learnt are not two classes; a column that is not there, is named twice, is the label or tells nobody apart.
    pub(crate) fn of(
        cohort: &Cohort,
        subjects: &[usize],
        (label, learnt): (&str, Learnt<'_>),
        asked: &MatchOn,
        missing: &[String],
    ) -> Result<Self> {
        asked.check()?;
        let Learnt::Classes(labels, [_, _]) = learnt else {
            let what = match learnt {
                Learnt::Classes(_, classes) => format!("{label} has {} classes", classes.len()),
                Learnt::Values(_) => format!("{label} is learnt as a value"),
            };
            return Err(Error::request(
                format!("{what}, and people of two classes are matched"),
                remedy!["leave out ", MATCH],
            ));
        };
        let leave = || remedy!["name other columns with ", MATCH];
        let (mut numbers, mut words, mut on) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for term in &asked.columns {
            let (name, _) = named(term);
            if !seen.insert(name) {
                return Err(Error::request(format!("the column {name} is named twice"), leave()));
            }
            if name == label {
                return Err(Error::request(format!("the column {name} is the label itself"), leave()));
            }
            if name == MASK_VOLUME {
                if cohort.participants.columns.iter().any(|column| column == MASK_VOLUME) {
                    return Err(Error::file(
                        cohort.layout().participants(),
                        format!(
                            "has a column {MASK_VOLUME}, which is also what the volume of the masks is called among columns to match on"
                        ),
                        "give the column another name",
                    ));
                }
                on.push(imbalance::MASK_VOLUME.to_owned());
                let of = subjects.iter().map(|&n| Some(cohort.subjects[n].mask_volume).filter(|v| v.is_finite()));
                numbers.push((imbalance::MASK_VOLUME.to_owned(), of.collect()));
                continue;
            }
            let column = cohort.column(name)?;
            let cells: Vec<Option<&str>> = subjects.iter().map(|&n| column[n]).collect();
            let features = Features::of(&[(term.clone(), cells.clone())], subjects.len(), missing)?;
            let filled: Vec<Option<&str>> =
                cells.iter().map(|cell| cell.filter(|c| !crate::cohort::is_missing(c, missing))).collect();
            refuse_recode(
                (name, &filled),
                (label, learnt),
                remedy!["leave it out of ", MATCH, ": no two people of two classes are alike in it"],
            )?;
            on.push(name.to_owned());
            for (name, cells) in features.columns() {
                match cells {
                    Cells::Numbers(of) => numbers.push((name.to_owned(), of.clone())),
                    Cells::Words(of) => words.push((name.to_owned(), of.clone())),
                }
            }
        }
        let persons = cohort.persons_but(subjects, missing)?;
        let mut known = BTreeSet::new();
        let (mut candidates, mut without_value, mut further) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..subjects.len() {
            let has_all =
                numbers.iter().all(|(_, of)| of[at].is_some()) && words.iter().all(|(_, of)| of[at].is_some());
            if !has_all {
                without_value.push(at);
            } else if persons.as_ref().is_some_and(|persons| !known.insert(persons.of[at])) {
                further.push(at);
            } else {
                candidates.push(at);
            }
        }
        Ok(Self {
            caliper: asked.caliper(),
            on,
            numbers,
            words,
            second: labels.iter().map(|&label| label == 1).collect(),
            names: subjects.iter().map(|&n| cohort.written_id(n).to_owned()).collect(),
            candidates,
            without_value,
            further,
        })
    }

    /// The covariates in words: `mask volume and age`.
    pub(crate) fn on(&self) -> String {
        and(&self.on)
    }

    /// The covariates, one by one.
    pub(crate) fn covariates(&self) -> &[String] {
        &self.on
    }

    pub(crate) fn caliper(&self) -> f64 {
        self.caliper
    }

    /// Whether each is of the second class.
    pub(crate) fn second(&self) -> &[bool] {
        &self.second
    }

    /// Ids.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Ids of those who lack a value, among these.
    pub(crate) fn without_value(&self, part: &[usize]) -> Vec<String> {
        self.among(&self.without_value, part)
    }

    /// Ids of further images of people, among these.
    pub(crate) fn further(&self, part: &[usize]) -> Vec<String> {
        self.among(&self.further, part)
    }

    fn among(&self, of: &[usize], part: &[usize]) -> Vec<String> {
        let part: BTreeSet<usize> = part.iter().copied().collect();
        of.iter().filter(|n| part.contains(n)).map(|&n| self.names[n].clone()).collect()
    }

    /// Those of a part who can be matched, in the order of rows, and who of them is alike whom. Standard deviations are those of the part: nothing
    /// is known of the others.
    pub(crate) fn matching(&self, part: &[usize]) -> (Vec<usize>, Matching) {
        let part: BTreeSet<usize> = part.iter().copied().collect();
        let there: Vec<usize> = self.candidates.iter().copied().filter(|n| part.contains(n)).collect();
        let people: Vec<Candidate<'_>> = there
            .iter()
            .map(|&n| Candidate {
                name: &self.names[n],
                second: self.second[n],
                numbers: self.numbers.iter().filter_map(|(_, of)| of[n]).collect(),
                words: self.words.iter().filter_map(|(_, of)| of[n].as_deref()).collect(),
            })
            .collect();
        let matching = Matching::of(&people, self.caliper);
        (there, matching)
    }

    /// How far the classes differ in each covariate among `before`, and in the mean over these matches of them.
    pub(crate) fn balance(&self, before: &[usize], matches: &[Vec<[usize; 2]>]) -> Vec<Balance> {
        let second: Vec<bool> = before.iter().map(|&n| self.second[n]).collect();
        let all: Vec<usize> = (0..before.len()).collect();
        let places: BTreeMap<usize, usize> = before.iter().enumerate().map(|(at, &n)| (n, at)).collect();
        let place = |n: &usize| places.get(n).copied();
        let taken: Vec<Vec<usize>> =
            matches.iter().map(|pairs| pairs.iter().flatten().filter_map(place).collect()).collect();
        let numbers = self.numbers.iter().map(|(name, of)| {
            let values: Vec<f64> = before.iter().filter_map(|&n| of[n]).collect();
            let each: Option<Vec<f64>> =
                taken.iter().map(|taken| standardised_difference(&values, &second, taken)).collect();
            let mean = |of: Vec<f64>| of.iter().sum::<f64>() / of.len().max(1) as f64;
            Balance {
                covariate: name.clone(),
                before: standardised_difference(&values, &second, &all),
                after: each.map(mean),
            }
        });
        let words = self.words.iter().map(|(name, _)| Balance { covariate: name.clone(), before: None, after: None });
        numbers.chain(words).collect()
    }
}

impl Balance {
    /// `mask volume 1.46 before and 0.03 after`; of words, that they are the same.
    pub(crate) fn in_words(&self) -> String {
        match (self.before, self.after) {
            (Some(before), Some(after)) => {
                format!("{} {before:.2} before and {after:.2} after", self.covariate)
            }
            _ => format!("{} the same in every pair", self.covariate),
        }
    }
}
