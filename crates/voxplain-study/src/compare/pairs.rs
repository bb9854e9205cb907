//! Images that are compared with each other: two scans of a person, twins.

use super::{
    CompareOptions,
    formula::{Built, Tested},
};
use crate::{
    cohort::{Cohort, is_missing},
    listed::{counted, does, listed},
    setting::{KEEP_GOING, PAIRED, TEST},
};
use std::collections::BTreeMap;
use voxplain_core::{Error, Result, remedy};

/// Subjects (by position in the cohort) whose value of a column others have too, and the ids of those who are alone, with the reason.
///
/// # Errors
/// No such column; subjects without a value or alone, unless they are to be left out; nobody who is not alone.
#[expect(clippy::type_complexity, reason = "who stays, and who is left out and why")]
pub(super) fn members(
    cohort: &Cohort,
    subjects: &[usize],
    column: &str,
    options: &CompareOptions,
) -> Result<(Vec<usize>, Vec<(String, String)>)> {
    let table = cohort.layout().participants();
    let cells = cohort.column(column).map_err(|e| {
        Error::file(&table, e.to_string(), remedy!["name the column of those who belong together with ", PAIRED])
    })?;
    let of = |n: usize| cells[n].filter(|cell| !is_missing(cell, &options.missing));
    let mut counts = BTreeMap::<&str, usize>::new();
    subjects.iter().filter_map(|&n| of(n)).for_each(|value| *counts.entry(value).or_default() += 1);
    let why = |n: usize| match of(n) {
        None => Some(format!("no value of {column}")),
        Some(value) if counts[value] < 2 => Some(format!("nobody else has {column} {value}")),
        Some(_) => None,
    };
    let kept: Vec<usize> = subjects.iter().copied().filter(|&n| why(n).is_none()).collect();
    let alone: Vec<(String, String)> =
        subjects.iter().filter_map(|&n| Some((cohort.subjects[n].id.clone(), why(n)?))).collect();
    if kept.is_empty() {
        return Err(Error::file(
            table,
            format!(
                "column {column} has another value for each of {}: there are no pairs",
                counted(subjects.len(), "subject")
            ),
            remedy!["name the column of those who belong together with ", PAIRED],
        ));
    }
    if !alone.is_empty() && !options.keep_going {
        let shown = listed(alone.iter().map(|(id, why)| format!("{id} ({why})")), 8);
        return Err(Error::file(
            table,
            format!(
                "{} of {} {} no partner by column {column}: {shown}",
                alone.len(),
                counted(subjects.len(), "subject"),
                does(alone.len(), "has", "have")
            ),
            remedy!["leave them out with ", KEEP_GOING],
        ));
    }
    Ok((kept, alone))
}

/// Refuses a term that is one and the same for all who belong together.
pub(super) fn refuse_constant(built: &Built, tested: &Tested, column: &str, cohort: &Cohort) -> Result<()> {
    let names = built.design.names();
    let matrix = built.design.matrix();
    let cells = cohort.column(column)?;
    let columns: Vec<usize> =
        tested.term.columns.iter().filter_map(|name| names.iter().position(|n| n == name)).collect();
    let mut first = BTreeMap::<&str, usize>::new();
    for (row, &subject) in built.subjects.iter().enumerate() {
        let Some(value) = cells[subject] else { continue };
        let before = *first.entry(value).or_insert(row);
        if columns.iter().any(|&c| (matrix[(row, c)] - matrix[(before, c)]).abs() > 0.0) {
            return Ok(());
        }
    }
    Err(Error::request(
        format!("{} does not differ between any two who share their {column}", tested.term.term),
        remedy!["name what differs within pairs, such as the session, with ", TEST, ", or leave out ", PAIRED],
    ))
}
