//! [`people`]: signs that several images are of one person, where no column says whose they are.

use super::{matching::few, sessions::person_of};
use crate::{
    cohort::{SESSION_ID, is_missing},
    listed::counted,
    setting::PERSON_COLUMN,
    spelling::plain,
};
use std::collections::BTreeMap;
use voxplain_core::{Remedy, remedy};

/// What columns are called that say whose image a row is, without signs and case.
const COLUMNS: [&str; 22] = [
    "subject",
    "subjectid",
    "subjid",
    "subj",
    "sub",
    "subid",
    "patient",
    "patientid",
    "participant",
    "participantid",
    "personid",
    "individual",
    "individualid",
    "pid",
    "ptid",
    "rid",
    "caseid",
    "case",
    "pseudonym",
    "volunteer",
    "proband",
    "who",
];

/// Words that name a visit by themselves.
const VISITS: [&str; 10] = ["bl", "baseline", "fu", "followup", "pre", "post", "sc", "screening", "test", "retest"];

/// Words that name a visit with a number behind them.
const NUMBERED: [&str; 20] = [
    "v",
    "visit",
    "t",
    "tp",
    "time",
    "timepoint",
    "ses",
    "session",
    "scan",
    "m",
    "mo",
    "month",
    "y",
    "year",
    "w",
    "week",
    "d",
    "day",
    "fu",
    "rep",
];

/// What is to be known, and what to do about it.
pub(super) type Advice = (String, Remedy);

/// Says which column, or which ids, look as if several of the images were of one person: ids and rows of a table of these columns.
pub(super) fn people(columns: &[String], rows: &[(&str, &[Option<String>])]) -> Option<Advice> {
    by_column(columns, rows).or_else(|| by_ids(rows))
}

fn by_column(columns: &[String], rows: &[(&str, &[Option<String>])]) -> Option<Advice> {
    let named = |column: &&usize| {
        let name: String = plain(&columns[**column]).chars().filter(|c| c.is_alphanumeric()).collect();
        columns[**column] != SESSION_ID && COLUMNS.contains(&name.as_str())
    };
    (0..columns.len()).collect::<Vec<_>>().iter().filter(named).find_map(|&column| {
        let mut of = BTreeMap::<&str, Vec<&str>>::new();
        let cells = rows.iter().filter_map(|(id, row)| Some((*id, row[column].as_deref()?)));
        cells.filter(|(_, cell)| !is_missing(cell, &[])).for_each(|(id, cell)| of.entry(cell).or_default().push(id));
        let people = of.len();
        of.retain(|_, ids| ids.len() > 1);
        // Where the ids tell whose the images are, those of one person need no column.
        of.retain(|_, ids| ids.iter().any(|id| person_of(id) != person_of(ids[0]) || person_of(id) == *id));
        // One value for all is no person's.
        (people > 1 && !of.is_empty()).then(|| {
            let name = &columns[column];
            let what = format!(
                "the column `{name}` has one value in several rows ({}), and nothing is said to tell whose image a row is, so each is taken \
                 for another person",
                few(of.iter().map(|(value, ids)| format!("{value}: {}", few(ids))))
            );
            let remedy = remedy![
                "if the column tells, name it with ",
                PERSON_COLUMN.to(name.as_str()),
                "; else one person stands on both sides of a split"
            ];
            (what, remedy)
        })
    })
}

fn by_ids(rows: &[(&str, &[Option<String>])]) -> Option<Advice> {
    let mut of = BTreeMap::<String, Vec<&str>>::new();
    for (id, _) in rows {
        if let Some(person) = before_visit(id).filter(|_| person_of(id) == *id) {
            of.entry(person.to_lowercase()).or_default().push(id);
        }
    }
    of.retain(|_, ids| ids.len() > 1);
    (!of.is_empty()).then(|| {
        let what = format!(
            "the ids of {} look like several visits of one person ({}), and each is taken for another person",
            counted(of.values().map(Vec::len).sum(), "image"),
            few(of.values().map(few))
        );
        let remedy = remedy![
            "if they are, add a column that says whose image a row is and name it with ",
            PERSON_COLUMN,
            "; else one person stands on both sides of a split"
        ];
        (what, remedy)
    })
}

/// What stands before the visit in an id: `P01` of `P01_V1`, of `P01-bl` and of `P01_V1_T1w`.
fn before_visit(id: &str) -> Option<&str> {
    let parts = id.match_indices(['_', '-', '.', ' ']).map(|(at, _)| at);
    parts.filter(|at| *at > 0).find_map(|at| {
        let word = id[at + 1..].split(['_', '.', ' ']).next()?.to_lowercase();
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
        let is_numbered = word.len() > letters.len() && word.len() < letters.len() + 4;
        let is_visit = VISITS.contains(&word.as_str()) || (is_numbered && NUMBERED.contains(&letters));
        is_visit.then(|| &id[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(column: &str, rows: &[(&str, &str)]) -> Option<String> {
        let cells: Vec<Vec<Option<String>>> = rows.iter().map(|(_, cell)| vec![Some((*cell).to_owned())]).collect();
        let rows: Vec<_> = rows.iter().zip(&cells).map(|((id, _), cells)| (*id, cells.as_slice())).collect();
        people(&[column.to_owned()], &rows).map(|(what, remedy)| format!("{what}; {remedy}"))
    }

    #[test]
    fn columns_and_ids_that_look_like_people_are_named() {
        let rows = [("a", "P1"), ("b", "P1"), ("c", "P2")];
        let words = said("Subject_ID", &rows).unwrap();
        assert!(words.contains("`Subject_ID` has one value in several rows (P1: a, b)"), "{words}");
        assert!(words.contains("`person-column` = Subject_ID"), "{words}");
        assert_eq!(said("scanner", &rows), None);
        assert_eq!(said("subject", &[("1_ses-1", "1"), ("1_ses-2", "1"), ("2_ses-1", "2")]), None);
        assert!(said("subject", &[("1_ses-1", "1"), ("3_ses-1", "1"), ("2_ses-1", "2")]).is_some());
        assert_eq!(said("subject", &[("a", "P1"), ("b", "P2")]), None);
        for [one, two] in
            [["P01_V1", "P01_V2"], ["S01_bl", "S01_m12"], ["x-ses-1", "x-ses-2"], ["p01_v1_T1w", "P01_V2_T1w"]]
        {
            let words = said("sex", &[(one, "F"), (two, "F"), ("P02_V1", "M")]).unwrap();
            assert!(words.contains("ids of 2 images") && words.contains(two), "{words}");
        }
        for [one, two] in [["IXI013-HH-1212", "IXI013-HH-1213"], ["A_1", "A_2"], ["s01_T1w", "s02_T1w"]] {
            assert_eq!(said("sex", &[(one, "F"), (two, "M")]), None);
        }
    }
}
