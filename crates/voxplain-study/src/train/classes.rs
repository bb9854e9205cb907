//! The classes of a label column, as people spell them; and what is one value of a column in two spellings.

use crate::setting::{LABEL, MISSING};
use std::{cmp::Ordering, collections::BTreeMap};
use voxplain_core::{Error, Result, remedy};

/// A column of more values than this is taken for a measurement, not for classes.
const MAX_CLASSES: usize = 20;

/// The classes of a column, sorted (as numbers where they all are).
///
/// # Errors
/// One class in several spellings, numbers that are no classes, fewer than two values or too many.
pub(super) fn of(cells: &[&str], column: &str) -> Result<Vec<String>> {
    let mut counts = BTreeMap::<&str, usize>::new();
    cells.iter().for_each(|cell| *counts.entry(cell).or_default() += 1);
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
        if many || numbers.iter().any(|v| v.fract() != 0.0) {
            let what = format!(
                "column {column} holds numbers, not classes: {} different ones from {} to {}",
                classes.len(),
                classes[0],
                classes[classes.len() - 1]
            );
            let remedy = remedy![
                "add a column of groups to the table (such as younger and older) and name it with ",
                LABEL,
                "; numbers cannot be learnt as such yet"
            ];
            return Err(Error::request(what, remedy));
        }
    }
    if classes.len() < 2 || classes.len() > MAX_CLASSES {
        let what =
            format!("column {column} has {} different values: {}", classes.len(), super::dataset::list(&classes));
        return Err(Error::request(what, remedy![LABEL, format!(" takes a column of 2 to {MAX_CLASSES} classes")]));
    }
    Ok(classes)
}

/// Refuses values that differ by case, by spaces and signs between words, or by how a number is written alone. `noun` is what
/// a value of the column stands for.
pub(super) fn one_spelling_each(counts: &BTreeMap<&str, usize>, column: &str, noun: &str) -> Result<()> {
    let mut alike = BTreeMap::<String, Vec<&str>>::new();
    counts.keys().for_each(|value| alike.entry(plain(value)).or_default().push(value));
    let several: Vec<String> = alike
        .iter()
        .filter(|(plain, values)| values.len() > 1 && !plain.is_empty())
        .map(|(_, values)| values.iter().map(|v| format!("`{v}` ({})", counts[v])).collect::<Vec<_>>().join(" and "))
        .collect();
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

/// A value without what people spell in different ways. A sign between digits tells numbers apart (`1-12` and `11-2`) and stays.
fn plain(value: &str) -> String {
    if let Some(number) = value.parse::<f64>().ok().filter(|n| n.is_finite()) {
        return (number + 0.0).to_string();
    }
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let words = value.split(|c: char| c.is_whitespace() || ['-', '_', '.'].contains(&c)).filter(|w| !w.is_empty());
    words.fold(String::new(), |mut all, word| {
        if is_digit(all.chars().last()) && is_digit(word.chars().next()) {
            all.push('-');
        }
        all + &word.to_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(cells: &[&str]) -> String {
        of(cells, "x").unwrap_err().to_string()
    }

    #[test]
    fn one_class_one_spelling() {
        assert_eq!(of(&["M", "F", "M"], "sex").unwrap(), ["F", "M"]);
        assert_eq!(of(&["10", "2", "10", "2"], "x").unwrap(), ["2", "10"]);
        assert_eq!(
            error(&["M", "F", "m", "M"]),
            "column x seems to spell one class in several ways: `M` (2) and `m` (1)"
        );
        assert!(error(&["0", "0.0", "1"]).contains("`0` (1) and `0.0` (1)"));
        assert!(error(&["mild-AD", "mild AD", "no"]).contains("`mild AD` (1) and `mild-AD` (1)"));
        assert!(of(&["1-12", "11-2", "112"], "x").is_ok());
        assert!(error(&["site 1-2", "Site 1_2", "b"]).contains("`Site 1_2` (1) and `site 1-2` (1)"));
    }

    #[test]
    fn numbers_are_no_classes() {
        let ages: Vec<String> = (20..60).map(|n| n.to_string()).collect();
        let ages: Vec<&str> = ages.iter().map(String::as_str).collect();
        assert_eq!(error(&ages), "column x holds numbers, not classes: 40 different ones from 20 to 59");
        assert!(error(&["1.5", "2.5", "3.25", "1.5", "2.5", "3.25"]).contains("numbers, not classes"));
        assert!(of(&["0", "1", "2", "0", "1", "2"], "x").is_ok() && of(&["1", "2"], "x").is_ok());
        assert!(error(&["a", "a"]).contains("has 1 different values: a"));
    }
}
