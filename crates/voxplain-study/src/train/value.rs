//! The values of a label column: numbers that are predicted as such; and whether a column holds classes or values.

use super::{classes::MAX_CLASSES, dataset::list, options::TrainOptions};
use crate::{
    cohort::{Cohort, is_missing},
    model::Quantity,
    setting::{KEEP_GOING, LABEL, MISSING, TASK},
    spelling::number,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};
use voxplain_core::{Error, Remedy, Result, lookalike::look, plural::counted, remedy};
use voxplain_stats::significant;

/// Whether a network is to predict a class or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One of several classes.
    Class,
    /// A number.
    Value,
}

/// `class`, `value`.
impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Class => "class",
            Self::Value => "value",
        })
    }
}

/// The values that are predicted.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// What they are.
    pub(super) quantity: Quantity,
    /// The value of each subject.
    pub(super) of: Vec<f64>,
}

/// Mean and standard deviation of the values that are trained on. Networks are trained to give `(value - mean) / scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Standard {
    pub(super) mean: f64,
    pub(super) scale: f64,
}

impl Standard {
    /// Of these values; the scale divides by their number. `None` where they are all the same.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let scale = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        (scale > 1e-9 * mean.abs()).then_some(Self { mean, scale })
    }

    /// A value on the scale of training.
    pub(super) fn standardised(self, value: f64) -> f64 {
        (value - self.mean) / self.scale
    }
}

/// What a column holds, by its cells: a value where it is numeric with many values.
pub(super) fn kind(cells: &[&str]) -> TaskKind {
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| number(cell)).collect();
    let different = numbers.iter().map(|n| n.to_bits()).collect::<BTreeSet<_>>().len();
    let many = different > MAX_CLASSES || (different > 5 && 2 * different > numbers.len());
    // A few words among numbers are no classes: they are said when the numbers are read.
    if many && 2 * numbers.len() > cells.len() { TaskKind::Value } else { TaskKind::Class }
}

/// That a value is learnt, in a sentence, where the column makes it so or it was asked for.
pub(super) fn announced(cohort: &Cohort, options: &TrainOptions) -> Option<String> {
    let column = cohort.column(&options.label).ok()?;
    let cells: Vec<&str> = column.into_iter().flatten().filter(|c| !is_missing(c, &options.missing)).collect();
    if options.task.unwrap_or_else(|| kind(&cells)) != TaskKind::Value {
        return None;
    }
    let mut numbers: Vec<f64> = cells.iter().filter_map(|cell| number(cell)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    let (first, last) = (numbers.first()?, numbers.last()?);
    let unit = options.unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"));
    Some(format!(
        "column {} is learnt as a value: a number, with {} from {} to {}{unit}",
        options.label,
        counted(numbers.len(), "different one"),
        significant(*first, 6),
        significant(*last, 6)
    ))
}

/// That whole numbers are learnt as classes though they may be a value, with how to say that, where it was not asked for.
pub(super) fn doubted(cohort: &Cohort, options: &TrainOptions) -> Option<(String, Remedy)> {
    let column = cohort.column(&options.label).ok()?;
    let cells: Vec<&str> = column.into_iter().flatten().filter(|c| !is_missing(c, &options.missing)).collect();
    let numbers: Option<BTreeSet<u64>> = cells.iter().map(|cell| Some(number(cell)?.to_bits())).collect();
    let different = numbers?.len();
    // Fractions are refused as classes.
    let whole = cells.iter().filter_map(|cell| number(cell)).all(|v| v.fract() == 0.0);
    if options.task.is_some() || different < 5 || !whole || kind(&cells) != TaskKind::Class {
        return None;
    }
    let what =
        format!("column {} holds numbers, and its {different} different ones are learnt as classes", options.label);
    Some((what, remedy!["to learn it as a value, say ", TASK.to("value")]))
}

/// The numbers of a column; `ids` are the subjects of its cells.
///
/// # Errors
/// Cells that are no numbers, or all the same number.
pub(super) fn of(cells: &[&str], ids: &[&str], column: &str) -> Result<Vec<f64>> {
    let wrong: Vec<usize> = (0..cells.len()).filter(|&n| number(cells[n]).is_none()).collect();
    if !wrong.is_empty() {
        let named: Vec<String> = wrong.iter().map(|&n| format!("{} ({})", ids[n], cells[n])).collect();
        let comma = wrong.iter().any(|&n| number(&cells[n].replacen(',', ".", 1)).is_some());
        let what = format!(
            "column {column} is to be learnt as a value, but for {} of {} subjects it holds no number: {}",
            wrong.len(),
            cells.len(),
            list(&named)
        );
        let remedy = if comma {
            "write numbers with a point in participants.tsv, as in 34.5".into()
        } else if wrong.iter().all(|&n| number(&look(cells[n])).is_some()) {
            "write signs and digits in plain characters (ASCII): -5 with a hyphen".into()
        } else if wrong.iter().all(|&n| bare_number(cells[n]).is_some()) {
            let (cell, bare) = (cells[wrong[0]], bare_number(cells[wrong[0]]).unwrap_or_default());
            format!("write the numbers alone in participants.tsv: {bare} for {cell}").into()
        } else if wrong.len() == cells.len() {
            remedy!["name a column of numbers with ", LABEL, ", or learn classes with ", TASK.to("class")]
        } else {
            remedy![
                "mend these cells, or name the words that stand for no value with ",
                MISSING,
                " and leave those subjects out with ",
                KEEP_GOING
            ]
        };
        return Err(Error::request(what, remedy));
    }
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| number(cell)).collect();
    let size = numbers.iter().fold(0.0f64, |most, n| most.max(n.abs()));
    if size > 1e12 {
        let n = (0..numbers.len()).find(|&n| numbers[n].abs() > 1e12).unwrap_or(0);
        return Err(Error::subject(
            ids[n],
            format!("column {column} holds {}, which is too large to be learnt", cells[n]),
            "give the values in another unit",
        ));
    }
    if Standard::of(&numbers).is_none() {
        let what = match numbers.first() {
            None => format!("column {column} has no value"),
            Some(only) if numbers.iter().all(|n| n == only) => {
                format!("column {column} has one value for all {} subjects: {only}", numbers.len())
            }
            Some(_) => {
                let [low, high] = [f64::min, f64::max].map(|f| numbers.iter().copied().reduce(f).unwrap_or(0.0));
                format!(
                    "the values of column {column} differ by less than a billionth of their size: from {low:e} to {high:e}"
                )
            }
        };
        return Err(Error::request(what, remedy!["name a column of numbers that differ with ", LABEL]));
    }
    Ok(numbers)
}

/// The number that a cell is but for what is written around it: `52.5` of `52.5 y`, `'52.5` and `30 years`.
pub(super) fn bare_number(cell: &str) -> Option<&str> {
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
    let bare = cell.trim().trim_matches(|c: char| !is_of_number(c)).trim_end_matches(['.', '-', '+']);
    number(bare).map(|_| bare)
}

/// The bin of each value, of `bins` that hold as many, and what each holds: `20 to 34.5`. Equal values are in one bin; a bin
/// that nobody is in is left out.
pub(super) fn bins(values: &[f64], bins: usize) -> (Vec<usize>, Vec<String>) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = values.len();
    let rough = |v: f64| {
        let (less, not_more) = (sorted.partition_point(|&w| w < v), sorted.partition_point(|&w| w <= v));
        (less + not_more) * bins / (2 * n)
    };
    let used: BTreeSet<usize> = values.iter().map(|&v| rough(v)).collect();
    let numbers: Vec<usize> = used.into_iter().collect();
    let of: Vec<usize> = values.iter().map(|&v| numbers.iter().position(|&b| b == rough(v)).unwrap_or(0)).collect();
    let name = |bin: usize| {
        let mut inside = sorted.iter().filter(|&&v| rough(v) == numbers[bin]);
        let first = inside.next().copied().unwrap_or(f64::NAN);
        let last = inside.next_back().copied().unwrap_or(first);
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    };
    let names = (0..numbers.len()).map(name).collect();
    (of, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_many_values_are_values() {
        let ages: Vec<String> = (20..60).map(|n| n.to_string()).collect();
        let mut ages: Vec<&str> = ages.iter().map(String::as_str).collect();
        assert_eq!(kind(&ages), TaskKind::Value);
        ages.push("old");
        assert_eq!(kind(&ages), TaskKind::Value);
        let error = of(&ages, &ages, "age").unwrap_err();
        assert!(error.to_string().ends_with("for 1 of 41 subjects it holds no number: old (old)"), "{error}");
        assert_eq!(kind(&["0", "1", "2", "0", "1", "2"]), TaskKind::Class);
        assert_eq!(kind(&["0", "0.5", "1", "0.5"]), TaskKind::Class);
        assert_eq!(kind(&["F", "M", "F"]), TaskKind::Class);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let error = |cells: &[&str]| of(cells, cells, "age").unwrap_err();
        assert!(error(&["34,5", "20"]).remedy().unwrap().to_string().contains("with a point"));
        assert!(error(&["52.5 y", "30"]).remedy().unwrap().to_string().contains("52.5 for 52.5 y"));
        assert!(error(&["\u{2212}5", "30"]).remedy().unwrap().to_string().contains("plain characters"));
        assert!(error(&["50", "50.00000001"]).to_string().contains("differ by less than a billionth"));
        assert!(error(&["F", "M"]).to_string().contains("2 of 2 subjects"));
        assert!(error(&["40", "40.0"]).to_string().contains("one value for all 2 subjects: 40"));
        assert!(error(&["inf", "1"]).to_string().contains("inf (inf)"));
        assert_eq!(of(&["1", "-2.5"], &["a", "b"], "x").unwrap(), [1.0, -2.5]);
    }

    #[test]
    fn bins_hold_as_many() {
        let (of, names) = bins(&[5.0, 1.0, 3.0, 2.0, 4.0, 6.0], 3);
        assert_eq!(of, [2, 0, 1, 0, 1, 2]);
        assert_eq!(names, ["1 to 2", "3 to 4", "5 to 6"]);
        let (of, names) = bins(&[1.0, 1.0, 1.0, 1.0, 7.0], 5);
        assert_eq!((of.as_slice(), names.len()), (&[0, 0, 0, 0, 1][..], 2));
        assert_eq!(names, ["1", "7"]);
    }

    #[test]
    fn standard_by_hand() {
        let standard = Standard::of(&[1.0, 3.0]).unwrap();
        assert_eq!((standard.mean, standard.scale, standard.standardised(4.0)), (2.0, 1.0, 2.0));
        assert_eq!(Standard::of(&[40.0, 40.0]), None);
    }
}
