//! [`Features`]: columns of a table as numbers, learnt from the training part of each fold alone.

use crate::{
    cohort::is_missing,
    spelling::{is_foreign_number, number},
};
use nalgebra::{DMatrix, DVector};
use std::collections::BTreeSet;
use voxplain_core::{Error, Result};

/// The cells of a column, one for each subject; `None` where it has no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    /// Measurements.
    Numbers(Vec<Option<f64>>),
    /// Words, or numbers that stand for classes.
    Words(Vec<Option<String>>),
}

/// A column by its name.
#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    cells: Cells,
}

/// Columns of a table that a linear model is fitted to.
///
/// A column is a measurement where all of its values are numbers and more than two differ, else it holds classes; `factor(name)` makes
/// classes of numbers. In a fold, measurements are standardised by the mean and the standard deviation (of n) of the training part, where a
/// cell without a value has the mean; classes become a column of 0 and 1 for each class that the training part has, where a class that it does
/// not have, and a cell without a value, are 0 in all of them. Where the training part has cells without a value, one more column of 0
/// and 1 says which.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    columns: Vec<Column>,
}

/// The column of `factor(column)` or `C(column)`, and of a name alone; whether its values are classes by request.
pub(crate) fn named(term: &str) -> (&str, bool) {
    let inside = |of: &str| term.trim().strip_prefix(of).and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    match inside("factor(").or_else(|| inside("C(")) {
        Some(name) => (name, true),
        None => (term.trim(), false),
    }
}

impl Features {
    /// Columns by what they are called (`age`, `factor(site)`), each with the cells of the subjects of the task in their order, and how many of
    /// these are the run's own, the first ones: what a column holds is told by them alone. `missing` are words that stand for no value, beside
    /// the usual ones.
    ///
    /// # Errors
    /// A column without a value, of one value, or of another word for each subject; a word among the numbers of the others.
    pub fn of(terms: &[(String, Vec<Option<&str>>)], own: usize, missing: &[String]) -> Result<Self> {
        let mut columns = Vec::new();
        for (term, cells) in terms {
            let (name, factor) = named(term);
            let cells: Vec<Option<&str>> =
                cells.iter().map(|cell| cell.map(str::trim).filter(|c| !is_missing(c, missing))).collect();
            let filled: Vec<&str> = cells[..own].iter().flatten().copied().collect();
            let different: BTreeSet<&str> = filled.iter().copied().collect();
            if different.len() < 2 {
                let what = match different.first() {
                    None => format!("column {name} has no value for any of the {own}"),
                    Some(only) => format!("column {name} has one value for all: {only}"),
                };
                return Err(Error::request(what, "leave it out: it can tell nobody from another"));
            }
            let numbers = !factor && different.len() > 2 && filled.iter().all(|cell| number(cell).is_some());
            if numbers {
                if let Some(word) = cells[own..].iter().flatten().find(|cell| number(cell).is_none()) {
                    return Err(Error::request(
                        format!("column {name} is of numbers in the run and holds `{word}` here"),
                        "write numbers, or leave the cell empty",
                    ));
                }
                let cells = cells.iter().map(|cell| cell.and_then(number)).collect();
                columns.push(Column { name: name.to_owned(), cells: Cells::Numbers(cells) });
                continue;
            }
            let words = || filled.iter().filter(|cell| number(cell).is_none());
            if let Some(word) = words().next()
                && !factor
                && words().all(|cell| is_foreign_number(cell))
            {
                return Err(Error::request(
                    format!("column {name} holds `{word}`, which may be read in two ways"),
                    "write numbers with a point and nothing between thousands, as in 1234.5",
                ));
            }
            if filled.len() > 5 && 2 * different.len() > filled.len() {
                let mixed = filled.iter().find(|cell| number(cell).is_none()).filter(|_| !factor);
                let what = match mixed {
                    Some(word) if filled.iter().any(|cell| number(cell).is_some()) => {
                        format!("column {name} holds `{word}` among numbers")
                    }
                    _ => format!(
                        "column {name} has {} different values for {} subjects, as ids or comments have",
                        different.len(),
                        filled.len()
                    ),
                };
                return Err(Error::request(what, "name columns of numbers, or of classes that several subjects share"));
            }
            let cells = cells.iter().map(|cell| cell.map(str::to_owned)).collect();
            columns.push(Column { name: name.to_owned(), cells: Cells::Words(cells) });
        }
        Ok(Self { columns })
    }

    /// Of columns of numbers, as those of a table of volumes.
    pub(crate) fn of_numbers(columns: Vec<(String, Vec<Option<f64>>)>) -> Self {
        let column = |(name, cells)| Column { name, cells: Cells::Numbers(cells) };
        Self { columns: columns.into_iter().map(column).collect() }
    }

    /// What each column is, in words: `age (a number), site (3 classes; 2 without a value)`.
    pub(crate) fn describe(&self) -> String {
        let of = |column: &Column| {
            let (kind, empty) = match &column.cells {
                Cells::Numbers(cells) => ("a number".to_owned(), cells.iter().filter(|c| c.is_none()).count()),
                Cells::Words(cells) => {
                    let classes = cells.iter().flatten().collect::<BTreeSet<_>>().len();
                    (format!("{classes} classes"), cells.iter().filter(|c| c.is_none()).count())
                }
            };
            let empty = if empty > 0 { format!("; {empty} without a value") } else { String::new() };
            format!("{} ({kind}{empty})", column.name)
        };
        self.columns.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    /// Each column by its name, with the cells of all subjects.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, &Cells)> {
        self.columns.iter().map(|column| (column.name.as_str(), &column.cells))
    }

    /// Number of columns of the table.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether any cell has no value.
    pub(crate) fn has_gaps(&self) -> bool {
        self.columns.iter().any(|column| match &column.cells {
            Cells::Numbers(cells) => cells.iter().any(Option::is_none),
            Cells::Words(cells) => cells.iter().any(Option::is_none),
        })
    }

    /// These columns and others, of the same subjects.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// The same columns, where subject `n` has the cells of subject `from[n]`.
    pub(crate) fn taken(&self, from: &[usize]) -> Self {
        fn of<T: Clone>(cells: &[T], from: &[usize]) -> Vec<T> {
            from.iter().map(|&n| cells[n].clone()).collect()
        }
        let column = |column: &Column| Column {
            name: column.name.clone(),
            cells: match &column.cells {
                Cells::Numbers(cells) => Cells::Numbers(of(cells, from)),
                Cells::Words(cells) => Cells::Words(of(cells, from)),
            },
        };
        Self { columns: self.columns.iter().map(column).collect() }
    }

    /// Held-out subjects with a class in some column that nobody of the training part has.
    pub(crate) fn unseen(&self, train: &[usize], test: &[usize]) -> usize {
        let is_unseen = |subject: usize| {
            self.columns.iter().any(|column| match &column.cells {
                Cells::Numbers(_) => false,
                Cells::Words(cells) => cells[subject].is_some() && train.iter().all(|&n| cells[n] != cells[subject]),
            })
        };
        test.iter().filter(|&&n| is_unseen(n)).count()
    }

    /// A row for each subject of `train` and of `of`, by what `train` has.
    pub(crate) fn rows(&self, train: &[usize], of: &[usize]) -> (DMatrix<f64>, DMatrix<f64>) {
        let mut values: Vec<[DVector<f64>; 2]> = Vec::new();
        for column in &self.columns {
            let mut push = |value: &dyn Fn(usize) -> f64| {
                values.push([train, of].map(|part| DVector::from_iterator(part.len(), part.iter().map(|&n| value(n)))));
            };
            match &column.cells {
                Cells::Numbers(cells) => {
                    let known: Vec<f64> = train.iter().filter_map(|&n| cells[n]).collect();
                    let count = known.len().max(1) as f64;
                    let mean = known.iter().sum::<f64>() / count;
                    let deviation = (known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
                    let scale = if deviation > 1e-12 * mean.abs() { deviation } else { f64::INFINITY };
                    push(&|n| cells[n].map_or(0.0, |v| (v - mean) / scale));
                    if known.len() < train.len() {
                        push(&|n| f64::from(u8::from(cells[n].is_none())));
                    }
                }
                Cells::Words(cells) => {
                    let classes: BTreeSet<&String> = train.iter().filter_map(|&n| cells[n].as_ref()).collect();
                    for class in classes {
                        push(&|n| f64::from(u8::from(cells[n].as_ref() == Some(class))));
                    }
                    if train.iter().any(|&n| cells[n].is_none()) {
                        push(&|n| f64::from(u8::from(cells[n].is_none())));
                    }
                }
            }
        }
        let matrix = |part: usize, rows: usize| DMatrix::from_fn(rows, values.len(), |n, f| values[f][part][n]);
        (matrix(0, train.len()), matrix(1, of.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(terms: &[(&str, &[&'static str])]) -> Result<Features> {
        let terms: Vec<(String, Vec<Option<&str>>)> = terms
            .iter()
            .map(|(name, cells)| {
                ((*name).to_owned(), cells.iter().map(|c| Some(*c).filter(|c| !c.is_empty())).collect())
            })
            .collect();
        let own = terms[0].1.len();
        Features::of(&terms, own, &[])
    }

    /// Mean 2 and standard deviation sqrt(2/3) of 1, 2, 3; the cell without a value has the mean, and a column of its own.
    #[test]
    fn rows_by_hand() {
        let table = of(&[("age", &["1", "2", "3", "", "5"]), ("site", &["A", "B", "A", "B", "C"])]).unwrap();
        let (train, test) = table.rows(&[0, 1, 2], &[3, 4]);
        let sd = (2.0f64 / 3.0).sqrt();
        let expected = [[-1.0 / sd, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0 / sd, 1.0, 0.0]];
        assert!((0..3).all(|n| (0..3).all(|f| (train[(n, f)] - expected[n][f]).abs() < 1e-12)), "{train}");
        // Nobody trained on has no age or site C.
        assert_eq!(test.row(0).iter().copied().collect::<Vec<_>>(), [0.0, 0.0, 1.0]);
        assert!((test[(1, 0)] - 3.0 / sd).abs() < 1e-12 && test[(1, 1)] == 0.0 && test[(1, 2)] == 0.0);
        assert_eq!(table.unseen(&[0, 1, 2], &[3, 4]), 1);
        let (train, _) = table.rows(&[0, 1, 3], &[4]);
        assert_eq!(train.ncols(), 4, "age, without age, A, B");
        assert_eq!(train.column(1).iter().copied().collect::<Vec<_>>(), [0.0, 0.0, 1.0]);
        assert_eq!(table.describe(), "age (a number; 1 without a value), site (3 classes)");
    }

    #[test]
    fn what_a_column_is() {
        assert_eq!(of(&[("x", &["0", "1", "0", "1"])]).unwrap().describe(), "x (2 classes)");
        assert_eq!(of(&[("factor(x)", &["1", "2", "3", "1", "2", "3"])]).unwrap().describe(), "x (3 classes)");
        let error = |cells: &[&'static str]| of(&[("x", cells)]).unwrap_err().to_string();
        assert_eq!(error(&["", "", ""]), "column x has no value for any of the 3");
        assert_eq!(error(&["a", "a", ""]), "column x has one value for all: a");
        assert_eq!(
            error(&["a", "b", "c", "d", "e", "f"]),
            "column x has 6 different values for 6 subjects, as ids or comments have"
        );
        assert_eq!(error(&["1", "2", "3", "4", "5", "six"]), "column x holds `six` among numbers");
        assert_eq!(error(&["1,5", "2", "3", "2"]), "column x holds `1,5`, which may be read in two ways");
        // A measurement here that is a word there.
        let terms = [("age".to_owned(), vec![Some("1"), Some("2"), Some("3"), Some("old")])];
        let error = Features::of(&terms, 3, &[]).unwrap_err().to_string();
        assert_eq!(error, "column age is of numbers in the run and holds `old` here");
    }

    /// What a fold learns does not depend on who is held out.
    #[test]
    fn the_training_part_does_not_know_the_others() {
        let table =
            |last: &'static str| of(&[("age", &["1", "2", "4", last]), ("site", &["A", "B", "A", "B"])]).unwrap();
        assert_eq!(table("7").rows(&[0, 1, 2], &[3]).0, table("900").rows(&[0, 1, 2], &[3]).0);
    }
}
