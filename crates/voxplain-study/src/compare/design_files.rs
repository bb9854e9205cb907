//! Designs and contrasts in the files of FSL: `design.mat`, `design.con`, `design.fts`, as `Text2Vest` and the GUI `Glm` write them.

use super::formula::{Built, DesignTerm, Tested};
use crate::{
    cohort::Cohort,
    listed::{counted, listed},
    setting::{CONTRASTS, DESIGN, F_TESTS, TEST},
};
use std::path::Path;
use voxplain_core::{Error, Result, remedy};
use voxplain_stats::{
    inference::{Contrast, Design},
    significant,
};

/// A matrix in a file, with the names of its rows where it has some.
#[derive(Clone, Debug, PartialEq)]
struct Matrix {
    rows: Vec<Vec<f64>>,
    names: Vec<Option<String>>,
}

/// Reads a matrix: numbers, a row a line, below a head of lines with `/` (`/NumWaves`, `/ContrastName1`, `/Matrix`), or without one.
fn matrix(path: &Path) -> Result<Matrix> {
    let wrong =
        |what: String| Error::file(path, what, "write it anew with FSL's Text2Vest or Glm: numbers, a row a line");
    let text = voxplain_core::input::read_to_string(path).map_err(Error::io(path))?;
    let (mut rows, mut named, mut waves, mut points) = (Vec::<Vec<f64>>::new(), Vec::new(), None, None);
    for (at, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()) {
        if let Some(head) = line.strip_prefix('/') {
            let (key, value) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
            let value = value.trim();
            let count = || value.parse::<usize>().map_err(|_| wrong(format!("line {}: /{key} is {value:?}", at + 1)));
            match key {
                "NumWaves" => waves = Some(count()?),
                "NumPoints" | "NumContrasts" => points = Some(count()?),
                _ => {
                    if let Some(n) = key.strip_prefix("ContrastName").and_then(|n| n.parse::<usize>().ok()) {
                        named.push((n, value.trim_matches('"').to_owned()));
                    }
                }
            }
            continue;
        }
        let numbers: std::result::Result<Vec<f64>, &str> = line
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .map(|word| word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or(word))
            .collect();
        let row = numbers.map_err(|word| wrong(format!("line {} holds {word:?}, which is no number", at + 1)))?;
        let width = waves.or_else(|| rows.first().map(Vec::len)).unwrap_or(row.len());
        if row.len() != width {
            return Err(wrong(format!(
                "line {} holds {}, and the others, or its head, {width}",
                at + 1,
                counted(row.len(), "number")
            )));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(wrong("holds no row of numbers".into()));
    }
    if let Some(points) = points.filter(|points| *points != rows.len()) {
        return Err(wrong(format!("its head says {}, and it holds {}", counted(points, "row"), rows.len())));
    }
    let name = |row: usize| named.iter().find(|(n, _)| *n == row + 1).map(|(_, name)| name.clone());
    let names = (0..rows.len()).map(name).collect();
    Ok(Matrix { rows, names })
}

/// Whether a design is the name of a file.
pub(super) fn is_file(design: &str) -> bool {
    let path = Path::new(design);
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("mat"))
}

/// The design in a file: a row for each subject of the cohort's `participants.tsv`, in its order. Nothing is added, no intercept either.
pub(super) fn built(path: &Path, cohort: &Cohort, subjects: &[usize]) -> Result<Built> {
    let found = matrix(path)?;
    if found.rows.len() != cohort.subjects.len() {
        return Err(Error::file(
            path,
            format!(
                "holds {}, and the cohort has {}",
                counted(found.rows.len(), "row"),
                counted(cohort.subjects.len(), "subject")
            ),
            "give a row for each line of the cohort's participants.tsv, in its order: files of FSL name nobody",
        ));
    }
    let width = found.rows[0].len();
    let column = |c: usize| (format!("EV{}", c + 1), subjects.iter().map(|n| found.rows[*n][c]).collect());
    let rows = subjects.iter().map(|n| cohort.subjects[*n].id.clone()).collect();
    let design = Design::new((0..width).map(column).collect())
        .map(|design| design.with_rows(rows))
        .map_err(|e| Error::file(path, e.to_string(), e.remedy().unwrap_or_else(|| remedy!["change ", DESIGN])))?;
    let terms = design
        .names()
        .iter()
        .enumerate()
        .map(|(c, name)| DesignTerm {
            term: name.clone(),
            columns: vec![name.clone()],
            levels: Vec::new(),
            mean: None,
            is: Some(format!("column {} of {}", c + 1, file_name(path))),
        })
        .collect();
    Ok(Built { design, subjects: subjects.to_vec(), terms, left_out: Vec::new(), doubts: Vec::new() })
}

/// The contrast that is tested: a t contrast of `contrasts` by its number or name, or an F test of `f_tests` as `F1`, `F2`; the only one where there
/// is one.
pub(super) fn tested(
    built: &Built,
    contrasts: Option<&Path>,
    f_tests: Option<&Path>,
    test: Option<&str>,
) -> Result<Tested> {
    let Some(path) = contrasts else {
        return Err(Error::request(
            "a design in a file needs its contrasts",
            remedy!["give the file of contrasts (design.con) with ", CONTRASTS],
        ));
    };
    let cons = matrix(path)?;
    let width = built.design.names().len();
    if cons.rows[0].len() != width {
        return Err(Error::file(
            path,
            format!("has {} a contrast, and the design has {width} columns", counted(cons.rows[0].len(), "weight")),
            remedy!["give the contrasts of this design with ", CONTRASTS],
        ));
    }
    let fts = f_tests.map(matrix).transpose()?;
    if let Some((fts, path)) = fts.as_ref().zip(f_tests).filter(|(fts, _)| fts.rows[0].len() != cons.rows.len()) {
        return Err(Error::file(
            path,
            format!("has {} a test, and there are {} contrasts", counted(fts.rows[0].len(), "number"), cons.rows.len()),
            remedy!["give the F tests of these contrasts with ", F_TESTS],
        ));
    }
    let named =
        |n: usize| cons.names[n].clone().filter(|name| !name.is_empty()).unwrap_or_else(|| format!("C{}", n + 1));
    let mut there: Vec<String> = (0..cons.rows.len()).map(|n| format!("{} ({})", n + 1, named(n))).collect();
    there.extend((0..fts.as_ref().map_or(0, |fts| fts.rows.len())).map(|n| format!("F{}", n + 1)));
    let choose = |what: String| {
        Error::file(
            path,
            format!("{what}: there {} {}", if there.len() == 1 { "is" } else { "are" }, listed(&there, 12)),
            remedy!["name one by its number with ", TEST],
        )
    };
    let wanted = match test.map(str::trim) {
        Some(wanted) => wanted.to_owned(),
        None if there.len() == 1 => "1".into(),
        None => return Err(choose("several contrasts, and one is tested at a time".into())),
    };
    let of_f = wanted.strip_prefix(['F', 'f']).and_then(|n| n.parse::<usize>().ok());
    if let (Some(n), Some(fts)) = (of_f, &fts) {
        let row =
            n.checked_sub(1).and_then(|n| fts.rows.get(n)).ok_or_else(|| choose(format!("there is no F test {n}")))?;
        let of: Vec<usize> = (0..row.len()).filter(|c| row[*c] != 0.0).collect();
        let rows: Vec<Vec<f64>> = of.iter().map(|c| cons.rows[*c].clone()).collect();
        if rows.is_empty() {
            return Err(choose(format!("F test {n} is of no contrast")));
        }
        let names: Vec<String> = of.iter().map(|c| named(*c)).collect();
        let words = format!("any of the contrasts {}", listed(&names, 12));
        return Ok(of_contrast(format!("F{n}"), Contrast::f(format!("F{n}"), rows), words));
    }
    let by_number = wanted.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < cons.rows.len());
    let by_name = (0..cons.rows.len()).find(|n| named(*n) == wanted);
    let n = by_number.or(by_name).ok_or_else(|| choose(format!("there is no contrast {wanted}")))?;
    let weights: Vec<String> = cons.rows[n].iter().map(|w| significant(*w, 4)).collect();
    let words = format!("above 0: the contrast {} (weights {}) is above 0", named(n), weights.join(" "));
    Ok(of_contrast(named(n), Contrast::t(named(n), cons.rows[n].clone()), words))
}

fn of_contrast(name: String, contrast: Contrast, words: String) -> Tested {
    let term =
        DesignTerm { term: name, columns: Vec::new(), levels: Vec::new(), mean: None, is: Some("a contrast".into()) };
    Tested { contrast, term, words }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let path = folder.path().join("design.con");
            std::fs::write(&path, text).unwrap();
            matrix(&path)
        };
        let whole = read(
            "/ContrastName1\t\"men > women\"\n/ContrastName2 age\n/NumWaves\t3\n/NumContrasts 2\n/PPheights 1 1\n\n/Matrix\n1.0e+00 -1 0\n0 0 1\n",
        )
        .unwrap();
        assert_eq!(whole.rows, [[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(whole.names, [Some("men > women".to_owned()), Some("age".to_owned())]);
        assert_eq!(read("1 0\n1 1\n").unwrap().rows, [[1.0, 0.0], [1.0, 1.0]]);
        let refused = |text: &str| read(text).unwrap_err().to_string();
        assert!(
            refused("/NumWaves 2\n/Matrix\n1 2 3\n").contains("line 3 holds 3 numbers, and the others, or its head, 2")
        );
        assert!(refused("1 2\n1 x\n").contains("line 2 holds \"x\""));
        assert!(refused("/NumPoints 3\n1\n2\n").contains("its head says 3 rows, and it holds 2"));
        assert!(refused("/Matrix\n").contains("no row"));
        assert!(refused("1 NaN\n").contains("NaN"));
    }
}
