//! [`Grouping`]: who stays on one side of every split.

use crate::{
    cohort::{Cohort, PERSON, Persons},
    listed::listed,
    setting::GROUP,
};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::{Error, Result, remedy};

/// The groups that no split divides: those of a column that was asked for, else people where some have several images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grouping {
    /// The column.
    pub(super) column: String,
    /// The group of each subject, by position in [`Grouping::names`].
    pub(super) of: Vec<usize>,
    /// Names of the groups, sorted.
    pub(super) names: Vec<String>,
}

impl Grouping {
    /// The groups that were asked for, of these subjects (by position in the cohort), else people.
    ///
    /// # Errors
    /// The groups divide a person.
    pub(super) fn of(
        cohort: &Cohort,
        subjects: &[usize],
        asked: Option<Self>,
        persons: Option<&Persons>,
    ) -> Result<Option<Self>> {
        let by_person = |p: &Persons| Self { column: PERSON.into(), of: p.of.clone(), names: p.names.clone() };
        match (&asked, persons) {
            (None, _) => return Ok(persons.map(by_person)),
            (Some(grouping), Some(persons)) => grouping.check(cohort, subjects, persons)?,
            (Some(_), None) => {}
        }
        Ok(asked)
    }

    /// Refuses groups that divide a person.
    fn check(&self, cohort: &Cohort, subjects: &[usize], persons: &Persons) -> Result<()> {
        let mut first = BTreeMap::<usize, usize>::new();
        for (at, &person) in persons.of.iter().enumerate() {
            let before = *first.entry(person).or_insert(at);
            if self.of[before] != self.of[at] {
                let name = |at: usize| (&self.names[self.of[at]], &cohort.subjects[subjects[at]].id);
                let ((one, id), (other, other_id)) = (name(before), name(at));
                let what = format!(
                    "column {} divides person {}: {id} is in group {one}, {other_id} in group {other}",
                    self.column, persons.names[person]
                );
                return Err(Error::request(
                    what,
                    remedy![
                        "give all images of a person one group, or leave out ",
                        GROUP,
                        ": images of one person stay together anyway"
                    ],
                ));
            }
        }
        Ok(())
    }

    /// What a group is called, in the plural.
    pub(super) fn noun(&self) -> &'static str {
        if self.column == PERSON { "people" } else { "groups" }
    }
}

/// Says who changes the class from one image to the next, in a column of labels.
pub(super) fn who_change(persons: &Persons, labels: &[usize], column: &str) -> Option<String> {
    let who = changing(persons, labels);
    let names = listed(who.iter().map(|&person| &persons.names[person]), 8);
    match who.len() {
        0 => None,
        1 => Some(format!("1 person has images of more than one class of column {column}: {names}")),
        n => Some(format!("{n} people have images of more than one class of column {column}: {names}")),
    }
}

/// Number of people whose images are of more than one class.
pub(super) fn of_several_classes(persons: &Persons, labels: &[usize]) -> usize {
    changing(persons, labels).len()
}

/// The people whose images are of more than one class, by position.
fn changing(persons: &Persons, labels: &[usize]) -> BTreeSet<usize> {
    let mut first = BTreeMap::<usize, usize>::new();
    let changes =
        persons.of.iter().zip(labels).filter(|(person, label)| *first.entry(**person).or_insert(**label) != **label);
    changes.map(|(person, _)| *person).collect()
}
