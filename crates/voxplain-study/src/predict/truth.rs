//! [`Truth`]: what the table of the people says that is true, in the words of the models.

use super::{People, PredictOptions, people::Person};
use crate::{
    cohort::is_missing,
    listed::listed,
    model::{Card, Task},
    setting::{LABEL, MISSING, RENAME},
    spelling::number,
};
use std::collections::BTreeMap;
use voxplain_core::{Error, Result, lookalike::look, plural::counted, remedy};

/// The true class or value of each person, where the table says it.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    /// The column.
    pub(super) column: String,
    /// Class by its position, or 0; and the value. `None` where the table says nothing.
    pub(super) of: Vec<Option<Told>>,
}

/// What the table says of one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Told {
    Class(usize),
    Value(f64),
}

impl Truth {
    /// Of these people. `None` where there is no table, or it has no such column and none was asked for.
    pub(super) fn of(
        people: &People<'_>,
        persons: &[Person],
        card: &Card,
        options: &PredictOptions,
    ) -> Result<Option<Self>> {
        let People::Cohort(cohort) = people else {
            return match options.label {
                None => Ok(None),
                Some(_) => Err(Error::request(
                    "a column of true answers is named, and images have no table",
                    remedy!["leave out ", LABEL, ", or prepare a cohort"],
                )),
            };
        };
        let column = options.label.as_deref().unwrap_or(&card.label);
        let is_there = cohort.participants.columns.iter().any(|c| c == column);
        if options.label.is_none() && (card.label_unknown() || !is_there) {
            return Ok(None);
        }
        let cells = cohort.column(column)?;
        let mut unknown = BTreeMap::<&str, Vec<&str>>::new();
        let mut of = Vec::with_capacity(persons.len());
        for person in persons {
            let cell = cells[person.number].map(str::trim).filter(|cell| !is_missing(cell, &options.missing));
            let Some(cell) = cell else {
                of.push(None);
                continue;
            };
            let renamed = options.rename.iter().find(|(from, _)| from == cell).map_or(cell, |(_, to)| to.as_str());
            let told = match &card.task {
                Task::Classes { classes } => classes.iter().position(|class| class == renamed).map(Told::Class),
                Task::Value { .. } => number(renamed).map(Told::Value),
            };
            if told.is_none() {
                unknown.entry(cell).or_default().push(&person.id);
            }
            of.push(told);
        }
        if !unknown.is_empty() {
            let words = unknown.iter().map(|(word, ids)| format!("`{word}` ({})", counted(ids.len(), "row")));
            let words = listed(words.collect::<Vec<_>>().iter().map(String::as_str), 8);
            let first = unknown.keys().next().copied().unwrap_or_default();
            return Err(match &card.task {
                Task::Classes { classes } => Error::file(
                    cohort.layout().participants(),
                    format!(
                        "the column {column} has words that are no class of the model, which knows {}: {words}",
                        classes.join(", ")
                    ),
                    remedy![
                        "say which class each is with ",
                        RENAME.to(format!("{first}={}", classes[0])),
                        ", or that it stands for none with ",
                        MISSING.to(first)
                    ],
                ),
                Task::Value { .. } => Error::file(
                    cohort.layout().participants(),
                    format!("the column {column} has words that are no numbers: {words}"),
                    remedy!["mend them, or say that they stand for no value with ", MISSING.to(first)],
                ),
            });
        }
        if let Some((from, _)) =
            options.rename.iter().find(|(from, _)| !cells.iter().flatten().any(|cell| cell.trim() == from))
        {
            return Err(Error::request(
                format!("no cell of the column {column} holds `{from}`"),
                remedy!["check ", RENAME],
            ));
        }
        Ok(Some(Self { column: column.to_owned(), of }))
    }

    /// The truth of a person, as the models call it.
    pub(super) fn word(&self, n: usize, task: &Task) -> Option<String> {
        Some(match self.of[n]? {
            Told::Class(class) => task.classes()[class].clone(),
            Told::Value(value) => value.to_string(),
        })
    }
}

/// Why nothing can be said about how good the answers are.
pub(super) fn why_untested(
    people: &People<'_>,
    truth: Option<&Truth>,
    card: &Card,
    options: &PredictOptions,
) -> String {
    match (people, truth) {
        (People::Images(_), _) => {
            "Images have no table, so that nothing is said about how good these answers are.".to_owned()
        }
        (People::Cohort(_), None) if options.label.is_none() && card.label_unknown() => {
            "The model was imported and does not say which column it was trained on, and none was named, so that nothing is said about how good these \
             answers are."
                .to_owned()
        }
        (People::Cohort(cohort), None) => {
            let column = options.label.as_ref().unwrap_or(&card.label);
            let alike = cohort.participants.columns.iter().find(|other| look(other) == look(column));
            let alike = alike.map_or_else(String::new, |other| format!(" (but {other}, which can be named)"));
            format!(
                "The table has no column {column}{alike}, so that nothing is said about how good these answers are."
            )
        }
        (People::Cohort(_), Some(truth)) => format!(
            "Nobody who was not trained on has a value in the column {}, so that nothing is said about how good these answers are.",
            truth.column
        ),
    }
}
