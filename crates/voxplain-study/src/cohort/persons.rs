//! [`Persons`]: whose image each subject of a cohort is, where people were scanned more than once.
//!
//! A row of a cohort is one image. The column [`PERSON`] of its table says whose; where a value stands in more than one row, the rows
//! are scans and not people.

use super::{Cohort, bare, is_missing};
use crate::{listed::listed, prepare::person_of, spelling::alike};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use voxplain_core::{
    Error, Result, Table,
    lookalike::{look, spelled},
};

/// The column of a cohort's table that says whose image a row is.
pub const PERSON: &str = "person";

/// The column of a cohort's table that says of which session an image is: `ses-1`.
pub const SESSION_ID: &str = "session_id";

/// Whose images the subjects of a cohort are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persons {
    /// The person of each subject, by position in [`Persons::names`].
    pub of: Vec<usize>,
    /// The people, sorted.
    pub names: Vec<String>,
}

/// Number of images (or of rows of a table of measurements), and of the people that they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headcount {
    /// Images.
    pub scans: usize,
    /// People; `None` where every image is of another one.
    pub people: Option<usize>,
    /// Whether they are rows of a table, and no images.
    pub rows: bool,
}

/// The column of people of a table: `person`, else the one that differs from it by case or by what is not seen alone.
pub(crate) fn person_column(table: &Table) -> Option<usize> {
    let position = |is: &dyn Fn(&str) -> bool| table.columns.iter().position(|column| is(column));
    position(&|c| c == PERSON).or_else(|| position(&|c| look(c) == PERSON))
}

/// The person that a cell names, without `sub-`; `None` for words that stand for no value.
pub(crate) fn person_in<'a>(cell: Option<&'a str>, missing: &[String]) -> Option<&'a str> {
    cell.filter(|cell| !is_missing(cell, missing)).map(bare).filter(|person| !is_missing(person, missing))
}

/// Says which two names of people seem to be of one.
pub(crate) fn two_spellings<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (one, other) = alike(names)?;
    Some(format!("column {PERSON} seems to spell one person in two ways: {}", spelled(&[one, other]).join(" and ")))
}

impl Cohort {
    /// Whose images those of these subjects (by position) are; `None` where no person occurs twice among them.
    ///
    /// # Errors
    /// Some occur twice and it is not said who others are, or one person seems to be spelled in two ways.
    pub fn persons(&self, subjects: &[usize]) -> Result<Option<Persons>> {
        self.persons_but(subjects, &self.missing)
    }

    /// The same, where these words stand for nobody.
    pub(crate) fn persons_but(&self, subjects: &[usize], missing: &[String]) -> Result<Option<Persons>> {
        let Some(column) = person_column(&self.participants) else { return Ok(None) };
        let cell = |n: usize| person_in(self.participants.rows[n][column].as_deref(), missing);
        let table = self.layout().participants();
        let names: BTreeSet<&str> = subjects.iter().filter_map(|&n| cell(n)).collect();
        if let Some(what) = two_spellings(names.iter().copied()) {
            return Err(Error::file(table, what, "write the same person in the same way, and others in another way"));
        }
        let unknown: Vec<String> = subjects
            .iter()
            .filter(|&&n| cell(n).is_none())
            .map(|&n| match self.participants.rows[n][column].as_deref().filter(|word| !word.is_empty()) {
                Some(word) => format!("{} ({word})", self.subjects[n].id),
                None => self.subjects[n].id.clone(),
            })
            .collect();
        // Sessions of one id are of one person, whoever that is.
        let by_id = |n: usize| person_of(&self.subjects[n].id);
        let mut ids = BTreeSet::new();
        let shared: BTreeSet<&str> = subjects.iter().map(|&n| by_id(n)).filter(|id| !ids.insert(*id)).collect();
        let is_shared = subjects.iter().any(|&n| cell(n).is_none() && shared.contains(by_id(n)));
        if names.len() + unknown.len() == subjects.len() && !is_shared {
            return Ok(None);
        }
        if !unknown.is_empty() {
            let what = format!(
                "some people have several images, and column {PERSON} does not say whose {} others are: {}",
                unknown.len(),
                listed(&unknown, 12)
            );
            return Err(Error::file(table, what, "fill it in: images of one person must be known as such"));
        }
        let numbers: BTreeMap<&str, usize> = names.iter().enumerate().map(|(n, name)| (*name, n)).collect();
        Ok(Some(Persons {
            of: subjects.iter().filter_map(|&n| numbers.get(cell(n)?).copied()).collect(),
            names: names.into_iter().map(str::to_owned).collect(),
        }))
    }

    /// How many people these subjects (by position) are.
    ///
    /// # Errors
    /// Those of [`Cohort::persons`].
    pub fn people(&self, subjects: &[usize]) -> Result<usize> {
        Ok(self.persons(subjects)?.map_or(subjects.len(), |persons| persons.of.iter().collect::<BTreeSet<_>>().len()))
    }

    /// Other subjects (by position) that are images of the same person as this one, by the column of people.
    pub fn others_of_person(&self, subject: usize) -> impl Iterator<Item = usize> + '_ {
        let column = person_column(&self.participants);
        let person = move |n: usize| person_in(self.participants.rows.get(n)?[column?].as_deref(), &self.missing);
        let own = person(subject);
        (0..self.subjects.len()).filter(move |&n| n != subject && own.is_some() && person(n) == own)
    }

    /// What a row is called: a `scan` where people have several, or may have, else a `subject`.
    pub fn noun(&self) -> &'static str {
        let column = person_column(&self.participants);
        let mut seen = BTreeSet::new();
        let people = |at| self.participants.cells(at).filter_map(|cell| person_in(cell, &self.missing));
        let twice = column.is_some_and(|at| people(at).any(|person| !seen.insert(person)));
        if twice { "scan" } else { "subject" }
    }

    /// How many images of how many people these subjects (by position) are.
    ///
    /// # Errors
    /// It is not known who they are ([`Cohort::persons`]).
    pub fn headcount(&self, subjects: &[usize]) -> Result<Headcount> {
        let people = self.persons(subjects)?.map(|persons| persons.names.len());
        Ok(Headcount { scans: subjects.len(), people, rows: false })
    }
}

impl Headcount {
    /// What one of them is called: a `scan` (of a table a `row`) where people have several, else a `subject`.
    pub fn noun(&self) -> &'static str {
        match (self.people, self.rows) {
            (None, _) => "subject",
            (Some(_), false) => "scan",
            (Some(_), true) => "row",
        }
    }
}

/// `26 scans of 13 people`, or `26 subjects`.
impl fmt::Display for Headcount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        write!(f, "{} {}{}", self.scans, self.noun(), plural(self.scans))?;
        match self.people {
            None => Ok(()),
            Some(1) => write!(f, " of 1 person"),
            Some(people) => write!(f, " of {people} people"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::{Normalize, Placement, Preparation, Subject};
    use voxplain_volume::{Affine, Grid, Volume};

    /// A cohort with these cells in its column of people.
    fn cohort(folder: &std::path::Path, people: &[&str]) -> Cohort {
        let ids: Vec<String> = (0..people.len()).map(|n| n.to_string()).collect();
        cohort_of(folder, &ids.iter().map(String::as_str).collect::<Vec<_>>(), people)
    }

    /// The same, with ids.
    fn cohort_of(folder: &std::path::Path, ids: &[&str], people: &[&str]) -> Cohort {
        let shape = [2, 2, 2];
        let grid = Grid::new(shape, Affine::from_spacing_origin([1.0; 3], [0.0; 3])).unwrap();
        let subjects: Vec<_> = (0..people.len())
            .map(|n| {
                let (volume, mask) = (Volume::from_fn(grid, |_| n as f32), Volume::from_fn(grid, |_| true));
                (Subject::new(ids[n], &volume, &mask), volume, mask)
            })
            .collect();
        let cell = |p: &&str| vec![Some((*p).to_owned()).filter(|p| !p.is_empty())];
        let table = Table { columns: vec![PERSON.into()], rows: people.iter().map(cell).collect() };
        let preparation = Preparation {
            shape,
            spacing: [1.0; 3],
            normalize: Normalize::None,
            placement: Placement::MaskCentre,
            template: None,
            whole_head: false,
            channels: Vec::new(),
        };
        Cohort::write(&folder.join("c"), &preparation, &table, &subjects).unwrap()
    }

    #[test]
    fn people_are_told_from_scans() {
        let dir = tempfile::tempdir().unwrap();
        let of = |people: &[&str]| {
            let cohort = cohort(dir.path(), people);
            cohort.persons(&(0..people.len()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["a", "b", ""]).unwrap(), None);
        let persons = of(&["b", "sub-a", "b"]).unwrap().unwrap();
        assert_eq!((persons.of, persons.names), (vec![1, 0, 1], vec!["a".to_owned(), "b".to_owned()]));
        assert!(of(&["a", "a", ""]).unwrap_err().to_string().contains("does not say whose 1 others are: 2"));
        assert!(of(&["01", "1", "2"]).unwrap_err().to_string().contains("`01` and `1`"));
        // Words for nothing are nobody: those who are known occur once, and nobody is spelled in two ways.
        for nothing in ["unknown", "-9", "?", "Missing", "not available", "sub-unknown"] {
            assert_eq!(of(&["a", "b", nothing, nothing, "."]).unwrap(), None, "{nothing}");
            let error = of(&["a", "a", nothing, nothing]).unwrap_err().to_string();
            assert!(error.contains(&format!("whose 2 others are: 2 ({nothing}), 3 ({nothing})")), "{error}");
        }
        let coded = cohort(dir.path(), &["a", "b", "999", "999.0"]);
        assert!(coded.persons(&[0, 1, 2, 3]).is_err());
        assert_eq!(coded.persons_but(&[0, 1, 2, 3], &["999".into()]).unwrap(), None);
        let coded = coded.with_missing(vec!["999".into()]);
        assert_eq!((coded.persons(&[0, 1, 2, 3]).unwrap(), coded.noun()), (None, "subject"));
        assert_eq!(coded.others_of_person(2).count(), 0);
        let repeated = cohort(dir.path(), &["a", "a", "999", "999"]);
        assert!(
            repeated.persons_but(&[0, 1, 2, 3], &["999".into()]).unwrap_err().to_string().contains("whose 2 others")
        );
        // Two sessions of one id are of one person, even where nobody says of whom.
        let sessions = cohort_of(dir.path(), &["01_ses-1", "01_ses-2", "02"], &["?", "", "b"]);
        assert!(
            sessions
                .persons(&[0, 1, 2])
                .unwrap_err()
                .to_string()
                .contains("whose 2 others are: 01_ses-1 (?), 01_ses-2")
        );
        assert_eq!(sessions.persons(&[0, 2]).unwrap(), None);
        // Those who are asked for count, and nobody else.
        let cohort = cohort(dir.path(), &["a", "a", "b", ""]);
        assert_eq!(cohort.others_of_person(1).collect::<Vec<_>>(), [0]);
        assert_eq!(cohort.others_of_person(3).count(), 0);
        assert_eq!(cohort.headcount(&[0, 2]).unwrap().to_string(), "2 subjects");
        assert_eq!(cohort.headcount(&[0, 1]).unwrap().to_string(), "2 scans of 1 person");
        assert_eq!(cohort.headcount(&[0, 1, 2]).unwrap().to_string(), "3 scans of 2 people");
    }
}
