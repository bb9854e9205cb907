//! [`Design`]: a row for each subject; [`Contrast`]: what is asked of its coefficients.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result};

/// A design matrix: a row for each subject, a column for each term.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    names: Vec<String>,
    /// What each row is called in messages.
    rows: Vec<String>,
    matrix: DMatrix<f64>,
}

impl Design {
    /// Of columns with their names.
    ///
    /// # Errors
    /// Columns of different lengths, or none; values that are not finite; columns that are sums of others; no degree of freedom left.
    pub fn new(columns: Vec<(String, Vec<f64>)>) -> Result<Self> {
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        let wrong = |what: String, remedy: &'static str| Err(Error::request(what, remedy));
        if rows == 0 || columns.iter().any(|(_, column)| column.len() != rows) {
            return wrong(
                "a design without rows, or with columns of different lengths".into(),
                "give a row for each subject",
            );
        }
        for (name, column) in &columns {
            if let Some(n) = column.iter().position(|v| !v.is_finite()) {
                return wrong(
                    format!("column {name} of the design holds {} in row {}", column[n], n + 1),
                    "give finite numbers",
                );
            }
            if let Some(n) = column.iter().position(|v| v.abs() > 1e100) {
                return wrong(
                    format!("column {name} of the design holds {:e} in row {}, which is too large", column[n], n + 1),
                    "give the values in another unit",
                );
            }
            if column.iter().all(|v| *v == 0.0) {
                return wrong(format!("column {name} of the design is 0 for every subject"), "leave it out");
            }
        }
        if let Some(redundant) = redundant(&columns) {
            let name = &columns[redundant].0;
            let before: Vec<&str> = columns[..redundant].iter().map(|(other, _)| other.as_str()).collect();
            let what = format!("column {name} of the design is a sum of the columns before it: {}", before.join(", "));
            return wrong(what, "leave one of them out: their effects cannot be told apart");
        }
        let (names, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        if rows <= names.len() {
            let what = format!(
                "{} terms ({}) for {rows} subjects leave nothing to estimate the noise by",
                names.len(),
                names.join(", ")
            );
            return wrong(what, "use fewer terms, or more subjects");
        }
        let matrix = DMatrix::from_fn(rows, columns.len(), |r, c| columns[c][r]);
        Ok(Self { names, rows: (1..=rows).map(|n| format!("of row {n}")).collect(), matrix })
    }

    /// Whether a column is a sum of others, so that [`new`](Self::new) refuses it. Columns are of one length.
    pub fn is_redundant(columns: &[(String, Vec<f64>)]) -> bool {
        redundant(columns).is_some()
    }

    /// The same design, with a name for each row, by which messages call its subject.
    #[must_use]
    pub fn with_rows(self, rows: Vec<String>) -> Self {
        Self { rows, ..self }
    }

    /// What the rows are called.
    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    /// What a row is called.
    pub(super) fn row(&self, number: usize) -> &str {
        self.rows.get(number).map_or("", String::as_str)
    }

    /// The name of each column.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The matrix: subjects by columns.
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.matrix
    }

    /// How much more a coefficient varies than it would if its column went with no other: the variance inflation factor of each column,
    /// 1 / (1 - R²) of the column by the others. Absent of a column of one value, and of all where no column has one value (no intercept).
    pub fn inflation(&self) -> Vec<Option<f64>> {
        let centred: Vec<Option<nalgebra::DVector<f64>>> = self
            .matrix
            .column_iter()
            .map(|column| {
                let rest = column.add_scalar(-column.mean());
                let norm = rest.norm();
                (norm > 1e-12 * column.norm()).then(|| rest / norm)
            })
            .collect();
        let varying: Vec<&nalgebra::DVector<f64>> = centred.iter().flatten().collect();
        let count = varying.len();
        if count == centred.len() {
            return vec![None; count];
        }
        let correlations = DMatrix::from_fn(count, count, |a, b| varying[a].dot(varying[b]));
        let Some(inverse) = correlations.try_inverse() else { return vec![None; centred.len()] };
        let mut at = 0;
        let each = |column: &Option<nalgebra::DVector<f64>>| {
            column.as_ref().map(|_| {
                at += 1;
                inverse[(at - 1, at - 1)]
            })
        };
        centred.iter().map(each).collect()
    }

    /// Number of subjects.
    pub fn subjects(&self) -> usize {
        self.matrix.nrows()
    }
}

/// The position of a column that those before it give, by the Gram-Schmidt process on columns of length 1.
fn redundant(columns: &[(String, Vec<f64>)]) -> Option<usize> {
    let mut basis: Vec<nalgebra::DVector<f64>> = Vec::new();
    columns.iter().position(|(_, column)| {
        let mut rest = nalgebra::DVector::from_column_slice(column).normalize();
        // Twice, so that round-off of the first time is taken out too.
        for _ in 0..2 {
            for q in &basis {
                rest -= q * q.dot(&rest);
            }
        }
        let left = rest.norm();
        if left < 1e-7 {
            return true;
        }
        basis.push(rest / left);
        false
    })
}

/// What is asked of the coefficients of a design: one combination of them (t) or several at once (F).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// What it is called.
    pub name: String,
    /// The weights of the columns; a row for t, several for F.
    pub rows: Vec<Vec<f64>>,
}

impl Contrast {
    /// One combination of the coefficients.
    pub fn t(name: impl Into<String>, weights: Vec<f64>) -> Self {
        Self { name: name.into(), rows: vec![weights] }
    }

    /// Several at once.
    pub fn f(name: impl Into<String>, rows: Vec<Vec<f64>>) -> Self {
        Self { name: name.into(), rows }
    }

    /// The weights as a matrix, a row for each combination.
    ///
    /// # Errors
    /// Another number of weights than the design has columns, weights that are not finite, rows of zeros or that follow from others.
    pub(super) fn matrix(&self, design: &Design) -> Result<DMatrix<f64>> {
        let columns = design.names.len();
        let wrong = |what: String| {
            Err(Error::request(
                format!("contrast {}: {what}", self.name),
                "write one weight for each column of the design",
            ))
        };
        if self.rows.is_empty() || self.rows.iter().any(|row| row.len() != columns) {
            let lengths: Vec<String> = self.rows.iter().map(|row| row.len().to_string()).collect();
            return wrong(format!(
                "{} weights for the {columns} columns {}",
                lengths.join(" and "),
                design.names.join(", ")
            ));
        }
        if self.rows.iter().flatten().any(|weight| !weight.is_finite()) {
            return wrong("a weight is no finite number".into());
        }
        let rows = DMatrix::from_fn(self.rows.len(), columns, |r, c| self.rows[r][c]);
        if rows.clone().svd(false, false).rank(1e-9) < self.rows.len() {
            return wrong("a row is 0, or follows from the others".into());
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns that correlate at 0.8 inflate each other by 1 / (1 - 0.64); one that goes with neither is not inflated.
    #[test]
    fn inflation_by_hand() {
        let columns = |intercept: bool| {
            let one = ("one".to_owned(), vec![1.0; 4]);
            let a = ("a".to_owned(), vec![1.0, 1.0, -1.0, -1.0]);
            let b = ("b".to_owned(), vec![1.4, 0.2, -0.2, -1.4]);
            (if intercept { vec![one] } else { Vec::new() }).into_iter().chain([a, b]).collect::<Vec<_>>()
        };
        let found = Design::new(columns(true)).unwrap().inflation();
        assert_eq!(found[0], None);
        for inflation in &found[1..] {
            assert!((inflation.unwrap() - 1.0 / (1.0 - 0.64)).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(Design::new(columns(false)).unwrap().inflation(), [None, None]);
        let apart = [vec![1.0; 4], vec![1.0, 1.0, -1.0, -1.0], vec![1.0, -1.0, 1.0, -1.0]];
        let apart = apart.into_iter().enumerate().map(|(n, column)| (n.to_string(), column)).collect();
        assert_eq!(Design::new(apart).unwrap().inflation()[1..], [Some(1.0), Some(1.0)]);
    }

    fn column(name: &str, values: &[f64]) -> (String, Vec<f64>) {
        (name.into(), values.to_vec())
    }

    #[test]
    fn designs_that_say_nothing_are_refused() {
        let text = |columns: Vec<(String, Vec<f64>)>| Design::new(columns).unwrap_err().to_string();
        let one = column("one", &[1.0; 5]);
        let (m, f) = (column("m", &[1.0, 1.0, 0.0, 0.0, 0.0]), column("f", &[0.0, 0.0, 1.0, 1.0, 1.0]));
        assert!(text(vec![one.clone(), m.clone(), f.clone()]).contains("column f of the design is a sum"));
        assert!(Design::new(vec![m.clone(), f]).is_ok());
        // Of another size: ages in days and in years.
        let age = column("age", &[20.0, 31.0, 42.0, 50.0, 77.0]);
        let days = column("days", &age.1.iter().map(|v| v * 365.25).collect::<Vec<_>>());
        assert!(text(vec![one.clone(), age.clone(), days]).contains("column days"));
        assert!(text(vec![one.clone(), column("nil", &[0.0; 5])]).contains("column nil"));
        assert!(text(vec![one.clone(), column("nan", &[1.0, f64::NAN, 0.0, 0.0, 2.0])]).contains("holds NaN in row 2"));
        let many = (0..5).map(|n| column(&n.to_string(), &[0, 1, 2, 3, 4].map(|i| f64::from(i == n)))).collect();
        assert!(text(many).contains("5 terms (0, 1, 2, 3, 4) for 5 subjects"));
        assert!(text(vec![one, column("short", &[1.0])]).contains("different lengths"));
    }

    #[test]
    fn contrasts_are_checked() {
        let design = Design::new(vec![column("one", &[1.0; 5]), column("age", &[1.0, 2.0, 3.0, 4.0, 6.0])]).unwrap();
        let text = |contrast: Contrast| contrast.matrix(&design).unwrap_err().to_string();
        assert!(text(Contrast::t("age", vec![1.0])).contains("contrast age: 1 weights for the 2 columns one, age"));
        assert!(text(Contrast::t("age", vec![0.0, 0.0])).contains("a row is 0"));
        assert!(text(Contrast::f("age", vec![vec![0.0, 1.0], vec![0.0, 2.0]])).contains("follows from the others"));
        assert!(Contrast::f("all", vec![vec![0.0, 1.0], vec![1.0, 0.0]]).matrix(&design).is_ok());
    }
}
