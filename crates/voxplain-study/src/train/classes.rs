//! The classes of a label column, as people spell them; and what is one value of a column in two spellings.

use super::value::bare_number;
use crate::{
    setting::{LABEL, MISSING, TASK},
    spelling::{number, several, value},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};
use voxplain_core::{Error, Result, remedy, visible};

/// A column of more values than this is taken for a measurement, not for classes.
pub(super) const MAX_CLASSES: usize = 20;

/// The classes of a column, sorted (as numbers where they all are). `others` are columns that could be a label too; numbers that
/// look like measurements are classes only where that was `asked` for.
///
/// # Errors
/// One class in several spellings, numbers that are no classes, fewer than two values or too many.
pub(super) fn of(cells: &[&str], column: &str, others: &[String], asked: bool) -> Result<Vec<String>> {
    let mut counts = BTreeMap::<&str, usize>::new();
    cells.iter().for_each(|cell| *counts.entry(cell).or_default() += 1);
    let such_as = match others {
        [] => String::new(),
        others => format!(", such as {}", super::dataset::list(others)),
    };
    let other = || remedy!["name a column of 2 to ", MAX_CLASSES.to_string(), " classes with ", LABEL, such_as.clone()];
    // Nobody shares a class with anybody: said before any two of them are called alike.
    let words = cells.iter().filter(|cell| number(cell).is_none()).count();
    let point = |cell: &str| number(cell).or_else(|| number(&cell.replacen(',', ".", 1)));
    if words > 1 && counts.len() > 2 && cells.iter().all(|cell| point(cell).is_some()) {
        let with_comma = cells.iter().find(|cell| number(cell).is_none()).unwrap_or(&"");
        let three = |cell: &&&str| cell.split_once(',').is_some_and(|(_, rest)| rest.trim().len() == 3);
        if cells.iter().filter(|cell| cell.contains(',')).all(|cell| three(&cell)) {
            let what = format!(
                "column {column} holds {with_comma}: whether the comma divides thousands or fractions is not said"
            );
            let plain = with_comma.replacen(',', "", 1);
            let point = with_comma.replacen(',', ".", 1);
            return Err(Error::request(
                what,
                format!("write {plain} or {point} in participants.tsv: they are then learnt as a value"),
            ));
        }
        let what = format!("column {column} holds numbers with a decimal comma ({with_comma})");
        let remedy = "write numbers with a point in participants.tsv, as in 34.5: they are then learnt as a value";
        return Err(Error::request(what, remedy));
    }
    if words > 1 && counts.len() > 5 && cells.iter().all(|cell| number(cell).is_some() || bare_number(cell).is_some()) {
        let cell = cells.iter().find(|cell| number(cell).is_none()).unwrap_or(&"");
        let bare = bare_number(cell).unwrap_or_default();
        // Letters before a number are ids: s01.
        if !cell.trim_start().starts_with(|c: char| c.is_alphabetic()) {
            let what = format!("column {column} holds numbers with something behind them ({cell})");
            let remedy = format!(
                "write the numbers alone in participants.tsv, {bare} for {cell}: they are then learnt as a value"
            );
            return Err(Error::request(what, remedy));
        }
    }
    let meant = counts.keys().map(|cell| value(cell)).collect::<BTreeSet<_>>().len();
    let (of, all) = (counts.len(), cells.len());
    if all > 5 && of == all && words > 0 {
        let what = format!("column {column} has another value for each of the {all} subjects, as ids have");
        return Err(Error::request(what, other()));
    }
    // As many values as that have several of one subject each, which no fold can hold out and train on. Numbers have their own words.
    if meant > 5 && 2 * meant > all && 2 * words > all {
        let what = format!("column {column} has {of} different values for {all} subjects, as ids or comments have");
        return Err(Error::request(what, other()));
    }
    one_spelling_each(&counts, column, "class")?;
    let mut classes: Vec<String> = counts.keys().map(|c| (*c).to_owned()).collect();
    classes.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        _ => a.cmp(b),
    });
    let numbers: Option<Vec<f64>> = classes.iter().map(|c| c.parse::<f64>().ok().filter(|v| v.is_finite())).collect();
    if let Some(numbers) = numbers.filter(|n| n.len() > 2) {
        let many = numbers.len() > MAX_CLASSES || (numbers.len() > 5 && 2 * numbers.len() > cells.len());
        if !asked && (many || numbers.iter().any(|v| v.fract() != 0.0)) {
            let what = format!(
                "column {column} holds numbers, not classes: {} different ones from {} to {}",
                classes.len(),
                classes[0],
                classes[classes.len() - 1]
            );
            let remedy = remedy![
                "say which of both they are: ",
                TASK.to("value"),
                " learns the number, ",
                TASK.to("class"),
                " takes each number for a class"
            ];
            return Err(Error::request(what, remedy));
        }
    }
    if classes.len() < 2 || classes.len() > MAX_CLASSES {
        let what = match classes.as_slice() {
            [] => format!("column {column} has no value"),
            [only] => format!("column {column} has one value for all {} subjects: {only}", cells.len()),
            many => format!("column {column} has {} different values: {}", many.len(), super::dataset::list(many)),
        };
        return Err(Error::request(what, other()));
    }
    if let Some(long) = classes.iter().find(|class| class.len() > MAX_CLASS) {
        let what = format!(
            "the class `{long}` of column {column} has {} bytes, and the names of its files more than file systems take",
            long.len()
        );
        return Err(Error::request(what, format!("give classes names of up to {MAX_CLASS} bytes in participants.tsv")));
    }
    Ok(classes)
}

/// Longest name of a class in bytes. File systems take names of 255; maps of groups are called `label-<class>_outcome-incorrect_stat-..._desc-<method>_...`.
const MAX_CLASS: usize = 128;

/// That names of classes have characters that nobody sees, in a sentence; `None` where all are seen.
pub(super) fn about_hidden(classes: &[String], column: &str) -> Option<String> {
    let hidden: Vec<String> =
        classes.iter().filter(|class| visible(class) != **class).map(|class| format!("`{}`", visible(class))).collect();
    let does = if hidden.len() == 1 { "a class has" } else { "classes have" };
    (!hidden.is_empty()).then(|| {
        format!("in column {column} {does} characters that are not seen, written out here: {}", hidden.join(", "))
    })
}

/// Refuses values that differ by case, by letters that look the same, by zeros before a number, by spaces and signs between words,
/// or by how a number is written alone. `noun` is what a value of the column stands for.
pub(super) fn one_spelling_each(counts: &BTreeMap<&str, usize>, column: &str, noun: &str) -> Result<()> {
    let several = several(counts);
    if several.is_empty() {
        return Ok(());
    }
    let what = format!("column {column} seems to spell one {noun} in several ways: {}", several.join("; "));
    let remedy = remedy![
        format!("spell each {noun} in one way in participants.tsv; what stands for no value is named with "),
        MISSING
    ];
    Err(Error::request(what, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(cells: &[&str]) -> String {
        of(cells, "x", &[], false).unwrap_err().to_string()
    }

    #[test]
    fn one_class_one_spelling() {
        assert_eq!(of(&["M", "F", "M"], "sex", &[], false).unwrap(), ["F", "M"]);
        assert_eq!(of(&["10", "2", "10", "2"], "x", &[], false).unwrap(), ["2", "10"]);
        assert_eq!(
            error(&["M", "F", "m", "M"]),
            "column x seems to spell one class in several ways: `M` (2) and `m` (1)"
        );
        assert!(error(&["0", "0.0", "1"]).contains("`0` (1) and `0.0` (1)"));
        assert!(error(&["mild-AD", "mild AD", "no"]).contains("`mild AD` (1) and `mild-AD` (1)"));
        assert!(of(&["1-12", "11-2", "112"], "x", &[], false).is_ok());
        assert!(error(&["site 1-2", "Site 1_2", "b"]).contains("`Site 1_2` (1) and `site 1-2` (1)"));
        assert!(error(&["fam1", "fam01", "FAM1"]).contains("`FAM1` (1) and `fam01` (1) and `fam1` (1)"));
    }

    /// Ids are no classes, and columns that would do are named.
    #[test]
    fn ids_are_no_classes() {
        let error = of(&["s1", "s01", "s2", "s3", "s4", "s5"], "participant_id", &["sex".into(), "site".into()], false)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "column participant_id has another value for each of the 6 subjects, as ids have"
        );
        assert_eq!(
            error.remedy().unwrap().to_string(),
            "name a column of 2 to 20 classes with `label`, such as sex, site"
        );
        assert!(of(&["a", "b"], "x", &[], false).is_ok());
        // Numbers that are not written as such.
        let said = |cells: &[&str]| {
            let error = of(cells, "x", &[], false).unwrap_err();
            format!("{error}; {}", error.remedy().unwrap())
        };
        assert!(said(&["20,5", "31,25", "40,1"]).contains("a decimal comma (20,5); write numbers with a point"));
        let thousands = said(&["1,400", "1,410", "1,420"]);
        assert!(thousands.contains("thousands or fractions is not said; write 1400 or 1.400"), "{thousands}");
        let years = said(&["20 years", "21 years", "22 years", "23 years", "24 years", "25 years"]);
        assert!(years.contains("write the numbers alone in participants.tsv, 20 for 20 years"), "{years}");
        // Eleven for twelve.
        let nearly = ["s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09", "s10", "s11", "s11"];
        let error = of(&nearly, "x", &[], false).unwrap_err().to_string();
        assert_eq!(error, "column x has 11 different values for 12 subjects, as ids or comments have");
        let numbers: Vec<&str> = nearly.iter().map(|id| &id[1..]).collect();
        let error = of(&numbers, "x", &[], false).unwrap_err().to_string();
        assert!(error.starts_with("column x holds numbers, not classes: 11 different ones"), "{error}");
        // A few classes in several spellings are not ids.
        let spelled = ["M", "m", "M.", "F", "f", "F."];
        assert!(
            of(&[&spelled[..], &["M"]].concat(), "x", &[], false).unwrap_err().to_string().contains("in several ways")
        );
    }

    #[test]
    fn names_that_no_file_can_have_and_names_with_what_is_not_seen() {
        let (most, long) = ("a".repeat(128), "\u{e9}".repeat(65));
        assert!(of(&[&most, "b"], "x", &[], false).is_ok());
        assert!(
            error(&[&long, "b"])
                .ends_with("of column x has 130 bytes, and the names of its files more than file systems take")
        );
        let said = |classes: &[&str]| about_hidden(&classes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>(), "x");
        assert_eq!(said(&["a b", "\u{e9}", "\u{10d}"]), None);
        let words = "in column x a class has characters that are not seen, written out here: `a\\u{200b}`";
        assert_eq!(said(&["a\u{200b}", "b"]).unwrap(), words);
        assert!(said(&["\u{1b}[1m", "\u{202e}b"]).unwrap().contains("classes have"));
    }

    /// What looks the same is shown by its code points.
    #[test]
    fn classes_that_look_the_same() {
        assert!(error(&["M", "\u{41c}", "F"]).ends_with("`M` (1) and `\u{41c}` with Cyrillic U+041C (1)"));
        assert!(error(&["M", "M\u{200b}", "F"]).ends_with("`M` (1) and `M` with invisible U+200B (1)"));
        let accents = error(&["d\u{e9}prim\u{e9}", "de\u{301}prime\u{301}", "t"]);
        assert!(accents.contains("with combining U+0301 (1) and `d\u{e9}prim\u{e9}` with U+00E9 (1)"), "{accents}");
        assert!(error(&["mild AD", "mild\u{a0}AD", "no"]).ends_with("with space U+00A0 (1)"));
    }

    #[test]
    fn numbers_are_no_classes() {
        let ages: Vec<String> = (20..60).map(|n| n.to_string()).collect();
        let ages: Vec<&str> = ages.iter().map(String::as_str).collect();
        assert_eq!(error(&ages), "column x holds numbers, not classes: 40 different ones from 20 to 59");
        assert!(error(&["1.5", "2.5", "3.25", "1.5", "2.5", "3.25"]).contains("numbers, not classes"));
        assert!(
            of(&["0", "1", "2", "0", "1", "2"], "x", &[], false).is_ok() && of(&["1", "2"], "x", &[], false).is_ok()
        );
        assert!(error(&["a", "a"]).contains("has one value for all 2 subjects: a"));
    }
}
