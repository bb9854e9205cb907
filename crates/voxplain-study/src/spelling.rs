//! Names that are spelled in several ways and may mean one thing: ids ([`plain`]), values of a column ([`value`]), and how two of them
//! differ ([`difference`]).

use crate::cohort::{PERSON, SESSION_ID, is_missing};
use std::collections::BTreeMap;
use voxplain_core::{
    Table,
    lookalike::{is_mark, look, spelled, uncased},
};

/// A name without what people spell in different ways: case, letters that look the same, the `sub-` of BIDS, the `.0` of
/// spreadsheets, zeros before a number, and which signs stand between its parts. `sub-A_01` and `a-1` become `a-1`.
pub(crate) fn plain(name: &str) -> String {
    let name = look(name);
    let name = name.strip_prefix("sub-").unwrap_or(&name);
    let name = name.strip_suffix(".0").unwrap_or(name);
    let parts = name.split(|c: char| !c.is_alphanumeric() && !is_mark(c)).filter(|part| !part.is_empty());
    parts.map(without_zeros).collect::<Vec<_>>().join("-")
}

/// A value without what people spell in different ways: case, letters that look the same, zeros before a number, how a number is
/// written, signs and spaces between words. A sign between digits tells numbers apart (`1-12` and `11-2`) and stays.
pub(crate) fn value(value: &str) -> String {
    let value = look(value);
    if let Some(number) = number(&value) {
        return (number + 0.0).to_string();
    }
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_sign = |c: char| c.is_whitespace() || ['-', '_', '.'].contains(&c);
    let (mut all, mut before) = (String::new(), ' ');
    for part in value.split_inclusive(is_sign) {
        let word = part.trim_end_matches(is_sign);
        if !word.is_empty() {
            let digits = is_digit(all.chars().last()) && is_digit(word.chars().next());
            if digits {
                all.push('-');
            }
            // `v1.05` is not `v1.5`.
            all += &if digits && before == '.' { word.to_owned() } else { without_zeros(word) };
        }
        before = part.chars().last().unwrap_or(' ');
    }
    all
}

/// An id without `sub-`, as [`value`] has values: `s01`, `S1` and `s_1` become `s1`.
pub(crate) fn id(id: &str) -> String {
    let id = look(id);
    value(id.strip_prefix("sub-").unwrap_or(&id))
}

/// A finite number.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether a cell that is no [`number`] is one in the spelling of another country: `3,5`, `1.234,5`, `1,234.5`, `1 234`, `1'234.5`.
pub(crate) fn is_foreign_number(text: &str) -> bool {
    let plain: String = text.trim().chars().filter(|c| !c.is_whitespace() && !['\'', '\u{2019}'].contains(c)).collect();
    let other = match (plain.rfind(','), plain.rfind('.')) {
        (Some(comma), Some(point)) if comma < point => plain.replace(',', ""),
        (Some(_), _) => plain.replace('.', "").replacen(',', ".", 1),
        (None, _) => plain,
    };
    number(text).is_none() && other.chars().any(|c| c.is_ascii_digit()) && number(&other).is_some()
}

/// A word without zeros before its numbers.
fn without_zeros(word: &str) -> String {
    let (mut all, mut in_number) = (String::new(), false);
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        let leads = c == '0' && !in_number && chars.peek().is_some_and(char::is_ascii_digit);
        if !leads {
            in_number = c.is_ascii_digit();
            all.push(c);
        }
    }
    all
}

/// Sets of different names that are the same by a key.
pub(crate) fn alike_by<'a>(names: impl IntoIterator<Item = &'a str>, key: fn(&str) -> String) -> Vec<Vec<&'a str>> {
    let mut of = BTreeMap::<String, Vec<&str>>::new();
    for name in names {
        let alike = of.entry(key(name)).or_default();
        if !alike.contains(&name) {
            alike.push(name);
        }
    }
    of.into_values().filter(|names| names.len() > 1).collect()
}

/// The first two names that differ and are the same when they are [`plain`].
pub(crate) fn alike<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut seen = BTreeMap::<String, &str>::new();
    // Names of signs alone have nothing that could be plain.
    let key = |name| Some(plain(name)).filter(|plain| !plain.is_empty()).unwrap_or_else(|| look(name));
    names.into_iter().find_map(|name| match seen.insert(key(name), name) {
        Some(other) if other != name => Some((other, name)),
        _ => None,
    })
}

/// Values that are one by [`value`], each set of them in words with their numbers: `` `M` (2) and `m` (1) ``.
pub(crate) fn several(counts: &BTreeMap<&str, usize>) -> Vec<String> {
    let mut alike = BTreeMap::<String, Vec<&str>>::new();
    counts.keys().for_each(|name| alike.entry(value(name)).or_default().push(name));
    let word = |values: &Vec<&str>| {
        let each = spelled(values).into_iter().zip(values).map(|(shown, v)| format!("{shown} ({})", counts[v]));
        each.collect::<Vec<_>>().join(" and ")
    };
    alike
        .iter()
        .filter(|(plain, values)| values.len() > 1 && !plain.is_empty())
        .map(|(_, values)| word(values))
        .collect()
}

/// Columns of a table of which some values seem to be one in several spellings, each with a sentence about them. Columns of numbers
/// are left out, and columns of ids and comments: of more than [`WORDS`] values and more than half as many as cells, or of another in
/// each cell.
pub(crate) fn columns(table: &Table, missing: &[String]) -> Vec<(String, String)> {
    let of_column = |(at, column): (usize, &String)| {
        let mut counts = BTreeMap::<&str, usize>::new();
        let cells = table.cells(at).flatten().filter(|cell| !is_missing(cell, missing));
        cells.for_each(|cell| *counts.entry(cell).or_default() += 1);
        let filled = counts.values().sum::<usize>();
        let other = counts.len() > WORDS.max(filled / 2) || counts.len() == filled;
        let apart = ["participant_id", PERSON, SESSION_ID].contains(&column.as_str());
        if other || apart || counts.keys().all(|c| number(c).is_some()) {
            return None;
        }
        let several = several(&counts);
        let what = || format!("column {column} seems to spell one value in several ways: {}", several.join("; "));
        (!several.is_empty()).then(|| (column.clone(), what()))
    };
    table.columns.iter().enumerate().filter_map(of_column).collect()
}

/// Values that a column of words may have, however few its cells are.
const WORDS: usize = 20;

/// By what alone two names differ that are nearly the same.
pub(crate) fn difference(one: &str, other: &str) -> &'static str {
    if uncased(one) == uncased(other) {
        "case alone"
    } else if look(one) == look(other) {
        "characters that look the same"
    } else if without_zeros(one) == without_zeros(other) {
        "zeros alone"
    } else {
        "zeros, a decimal point, case or signs between alone"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_alike() {
        for (one, other) in [
            ("01", "1"),
            ("sub-A_01", "a-1"),
            ("S1.0", "s1"),
            ("00", "0"),
            ("London North", "london-north"),
            ("fam1", "FAM01"),
            ("Zoé", "Zoe\u{301}"),
            ("S1", "\u{405}1\u{200b}"),
        ] {
            assert_eq!(plain(one), plain(other), "{one} {other}");
        }
        for (one, other) in
            [("s1-01", "s10-1"), ("10", "1"), ("a0b", "ab"), ("1", "0"), ("0a", "a"), ("Müller", "Muller")]
        {
            assert_ne!(plain(one), plain(other), "{one} {other}");
        }
        assert_eq!(alike(["a", "b", "a"]), None);
        assert_eq!(alike(["a", "b", "A"]), Some(("a", "A")));
        assert_eq!(alike(["+", "*"]), None);
    }

    #[test]
    fn values_and_ids() {
        for (one, other) in [
            ("0", "-0.0"),
            ("999", "999.0"),
            ("fam1", "FAM_01"),
            ("site 1-2", "Site 01_2"),
            ("a\u{a0}b", "A  b"),
            ("−9", "-9.0"),
        ] {
            assert_eq!(value(one), value(other), "{one} {other}");
        }
        for (one, other) in [("1-12", "11-2"), ("v1.5", "v1.05"), ("10", "1"), ("a1", "a10"), ("é", "e")] {
            assert_ne!(value(one), value(other), "{one} {other}");
        }
        for name in ["s1", "s01", "S1", "s_1", "sub-s1", "sub-s-01"] {
            assert_eq!(id(name), "s1");
        }
        assert_ne!(id("s1-01"), id("s10-1"));
    }

    #[test]
    fn numbers_of_other_countries() {
        for cell in ["3,5", "-3,5", "1.234,5", "1,234.5", "1 234", "1\u{a0}234,5", "1'234.5", "1,234"] {
            assert!(is_foreign_number(cell), "{cell}");
        }
        for cell in ["3.5", "4", "1e5", "big", "1,2,3", "2024.01.05", "05/01/24", "12-34", "a,b", "nan", "", ","] {
            assert!(!is_foreign_number(cell), "{cell}");
        }
    }

    #[test]
    fn how_names_differ() {
        assert_eq!(difference("s05", "S05"), "case alone");
        assert_eq!(difference("s5", "s05"), "zeros alone");
        assert_eq!(difference("M", "М"), "characters that look the same");
        assert_eq!(difference("K", "\u{212a}"), "characters that look the same");
        assert!(difference("s_5", "S05").starts_with("zeros, a decimal point"));
    }
}
