//! [`people`]: signs that several images are of one person, where no column says whose they are.

use super::{matching::few, sessions::person_of, visit::Visit};
use crate::{
    cohort::{SESSION_ID, is_missing},
    listed::{counted, have},
    setting::PERSON_COLUMN,
    spelling::plain,
};
use std::collections::{BTreeMap, BTreeSet};
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

/// What is to be known, and what to do about it.
pub(super) type Advice = (String, Remedy);

/// Says which column, or which ids, look as if several of the images were of one person: ids and rows of a table of these columns.
pub(super) fn people(columns: &[String], rows: &[(&str, &[Option<String>])]) -> Option<Advice> {
    by_column(columns, rows).or_else(|| by_ids(rows))
}

/// A column that is called like one of people, and the ids of each of its values that stands in several rows, where the ids do not tell
/// whose the images are; of the first such column.
fn column_of_people<'a>(
    columns: &'a [String],
    rows: &[(&'a str, &'a [Option<String>])],
) -> Option<(&'a str, BTreeMap<&'a str, Vec<&'a str>>)> {
    let named = |column: &usize| {
        let name: String = plain(&columns[*column]).chars().filter(|c| c.is_alphanumeric()).collect();
        columns[*column] != SESSION_ID && COLUMNS.contains(&name.as_str())
    };
    (0..columns.len()).filter(named).find_map(|column| {
        let mut of = BTreeMap::<&str, Vec<&str>>::new();
        let cells = rows.iter().filter_map(|(id, row)| Some((*id, row[column].as_deref()?)));
        cells.filter(|(_, cell)| !is_missing(cell, &[])).for_each(|(id, cell)| of.entry(cell).or_default().push(id));
        let people = of.len();
        of.retain(|_, ids| ids.len() > 1);
        // Where the ids tell whose the images are, those of one person need no column.
        of.retain(|_, ids| ids.iter().any(|id| person_of(id) != person_of(ids[0]) || person_of(id) == *id));
        // One value for all is no person's.
        (people > 1 && !of.is_empty()).then_some((columns[column].as_str(), of))
    })
}

fn by_column(columns: &[String], rows: &[(&str, &[Option<String>])]) -> Option<Advice> {
    let (name, of) = column_of_people(columns, rows)?;
    let what = format!(
        "the column `{name}` has one value in several rows ({}), and nothing is said to tell whose image a row is, so each is taken \
         for another person",
        few(of.iter().map(|(value, ids)| format!("{value}: {}", few(ids))))
    );
    let remedy = remedy![
        "if the column tells, name it with ",
        PERSON_COLUMN.to(name),
        "; else one person stands on both sides of a split"
    ];
    Some((what, remedy))
}

fn by_ids(rows: &[(&str, &[Option<String>])]) -> Option<Advice> {
    let of = visits_of(rows.iter().map(|(id, _)| *id));
    (!of.is_empty()).then(|| {
        let what = format!(
            "the ids of {} look like several visits of one person ({}), and each is taken for another person",
            counted(of.iter().map(Vec::len).sum(), "image"),
            few(of.iter().map(few))
        );
        let remedy = remedy![
            "if they are, add a column that says whose image a row is and name it with ",
            PERSON_COLUMN,
            "; else one person stands on both sides of a split"
        ];
        (what, remedy)
    })
}

/// Says which rows have no person in the column of people and look, by their ids or by another column, as if they were images of one person
/// with other rows; `people` has the person of each row.
pub(super) fn unnamed(
    columns: &[String],
    rows: &[(&str, &[Option<String>])],
    people: &[Option<&str>],
    column: &str,
) -> Option<Advice> {
    let without: Vec<&str> =
        rows.iter().zip(people).filter(|(_, person)| person.is_none()).map(|((id, _), _)| *id).collect();
    let others: Vec<String> =
        columns.iter().map(|name| if name == column { String::new() } else { name.clone() }).collect();
    let of_column = column_of_people(&others, rows).map(|(_, of)| of.into_values().collect::<Vec<_>>());
    let mut of = visits_of(rows.iter().map(|(id, _)| *id));
    of.extend(of_column.into_iter().flatten().filter(|ids| ids.iter().all(|id| person_of(id) == *id)));
    of.retain(|ids| ids.iter().any(|id| without.contains(id)));
    let mut named = BTreeSet::new();
    of.retain(|ids| named.insert(ids.clone()));
    (!of.is_empty()).then(|| {
        let what = format!(
            "{} {} no `{column}`, and each is taken for another person; by their ids or by another column these look like \
             images of one: {}",
            counted(without.len(), "row"),
            have(without.len()),
            few(of.iter().map(|ids| format!("({})", few(ids))))
        );
        let remedy = format!("fill in the column `{column}`; else one person stands on both sides of a split");
        (what, remedy.into())
    })
}

/// The ids that look like several visits of one person, of each such person.
fn visits_of<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut of = BTreeMap::<String, Vec<(&str, Option<Visit>)>>::new();
    for id in ids.filter(|id| person_of(id) == *id) {
        let (person, visit) = match without_visit(id) {
            Some((person, visit)) => (person, Some(visit)),
            // `P01` beside `P01_followup`.
            None => (id, None),
        };
        of.entry(person.to_lowercase()).or_default().push((id, visit));
    }
    of.retain(|person, ids| {
        let mut visits = ids.iter().filter_map(|(_, visit)| visit.as_ref()).peekable();
        // What may be a year may be the number of a person too: `SITE-2001`.
        let are_years = visits.clone().all(Visit::is_year);
        let is_number = are_years && (ids.len() > MOST_YEARS || !person.contains(|c: char| c.is_ascii_digit()));
        ids.len() > 1 && visits.peek().is_some() && !is_number
    });
    of.into_values().map(|ids| ids.into_iter().map(|(id, _)| id).collect()).collect()
}

/// Of how many years images of one person may be. Our choice.
const MOST_YEARS: usize = 5;

/// What an id says beside a visit, and the visit: `P01` of `P01_V1`, of `P01-bl`, of `P01_V1_T1w` and of `V1_P01`.
fn without_visit(id: &str) -> Option<(&str, Visit)> {
    let parts = id.match_indices(['_', '-', '.', ' ']).map(|(at, _)| at);
    let behind = parts.filter(|at| *at > 0).find_map(|at| Some((&id[..at], Visit::first(&id[at + 1..])?.0)));
    behind.or_else(|| {
        let (visit, rest) = Visit::first(id)?;
        // `D1_02` and `T1_02` may be sites or arms.
        let is_plain = !visit.is_short() || visit.word.to_lowercase().starts_with('v') || visit.word.len() > 2;
        (is_plain && !rest.is_empty()).then_some((rest, visit))
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
        for [one, two] in [
            ["P01_V1", "P01_V2"],
            ["S01_bl", "S01_m12"],
            ["x-ses-1", "x-ses-2"],
            ["p01_v1_T1w", "P01_V2_T1w"],
            ["P01", "P01_followup"],
            ["P01-2019", "P01-2021"],
            ["P01_20190101", "P01_20210505"],
            ["V1_P01", "V2_P01"],
            ["m00_P01", "m12_P01"],
            ["pre-P01", "post-P01"],
        ] {
            let words = said("sex", &[(one, "F"), (two, "F"), ("P02_V1", "M")]).unwrap();
            assert!(words.contains("ids of 2 images") && words.contains(two), "{words}");
        }
        for [one, two] in [
            ["IXI013-HH-1212", "IXI013-HH-1213"],
            ["A_1", "A_2"],
            ["s01_T1w", "s02_T1w"],
            ["SITE-2001", "SITE-2002"],
            ["D1_02", "D2_02"],
        ] {
            assert_eq!(said("sex", &[(one, "F"), (two, "M")]), None, "{one}");
        }
    }

    #[test]
    fn rows_without_a_person_that_look_like_one() {
        let unnamed = |rows: &[(&str, &str, Option<&str>)]| {
            let cells: Vec<Vec<Option<String>>> =
                rows.iter().map(|(_, who, _)| vec![Some((*who).to_owned())]).collect();
            let people: Vec<Option<&str>> = rows.iter().map(|(_, _, person)| *person).collect();
            let rows: Vec<_> = rows.iter().zip(&cells).map(|((id, ..), cells)| (*id, cells.as_slice())).collect();
            unnamed(&["who".to_owned()], &rows, &people, "person").map(|(what, remedy)| format!("{what}; {remedy}"))
        };
        let words = unnamed(&[("P1_V1", "a", None), ("P1_V2", "b", Some("x")), ("P2_V1", "c", Some("y"))]).unwrap();
        assert!(words.starts_with("1 row has no `person`") && words.contains("(P1_V1, P1_V2); fill in"), "{words}");
        let words = unnamed(&[("a", "X1", None), ("b", "X1", Some("x")), ("c", "X2", None)]).unwrap();
        assert!(words.starts_with("2 rows have no `person`") && words.contains("images of one: (a, b)"), "{words}");
        assert_eq!(unnamed(&[("a", "X1", None), ("b", "X2", Some("x"))]), None);
        assert_eq!(unnamed(&[("P1_V1", "a", Some("x")), ("P1_V2", "b", Some("x")), ("c", "e", None)]), None);
    }
}
