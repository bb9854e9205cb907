//! [`Morphometry`]: a table of measurements of people, such as volumes and thickness of regions.

use crate::{
    cohort::{bare, is_missing},
    comparators::Features,
    listed::{counted, have, listed},
    recode::on_a_line,
    setting::REGION_VOLUMES,
    spelling::{is_foreign_number, number},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result, Table, lookalike::look, remedy};

/// What columns of ids are called, without case and signs.
const ID_COLUMNS: [&str; 10] = [
    "participantid",
    "subjectid",
    "subid",
    "subject",
    "subjects",
    "participant",
    "id",
    "measurevolume",
    "measurethickness",
    "eid",
];

/// Names of columns that are no measurements of a brain, without case and signs.
const NO_MEASUREMENTS: [&str; 22] = [
    "age",
    "ageyears",
    "ageatscan",
    "sex",
    "gender",
    "male",
    "female",
    "site",
    "sitenum",
    "siteid",
    "scanner",
    "scannerid",
    "batch",
    "education",
    "educationyears",
    "iq",
    "handedness",
    "height",
    "weight",
    "bmi",
    "session",
    "visit",
];
/// Why such a column is not taken.
const BY_NAME: &str = "by its name no measurement of the brain";
/// Columns that are named among those that are taken.
const NAMED: usize = 12;

/// Whether a column is by its name no measurement of a brain.
pub(crate) fn is_no_measurement(column: &str) -> bool {
    let plain: String = column.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    NO_MEASUREMENTS.contains(&plain.as_str())
}

/// What a column of row numbers is called, without case and signs: `Unnamed: 0` of pandas, the column without a name of R.
const INDEX_COLUMNS: [&str; 9] = ["index", "idx", "row", "rows", "rowid", "rowname", "rownames", "rownumber", "rownum"];

/// Rows from which on a column that counts them is no measurement.
const COUNTED: usize = 5;

/// A table with a row for each person and a column for each measurement.
#[derive(Clone, Debug)]
pub struct Morphometry {
    /// Where it was read from.
    pub path: PathBuf,
    /// The table.
    pub table: Table,
    /// The column of ids, by position.
    pub id_column: usize,
    /// Whether that column is called as columns of ids usually are; else it is the first one.
    pub named: bool,
}

/// The measurements of some people.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measurements {
    path: PathBuf,
    people: usize,
    /// By their names, with a cell for each of the people.
    pub(crate) columns: Vec<(String, Vec<Option<f64>>)>,
    /// Columns that are none, with the reason.
    left_out: Vec<(String, &'static str)>,
}

impl Morphometry {
    /// Reads a table (CSV or TSV). The column of ids is one of a usual name (`participant_id`, `subject`, `sub_id`), else the first one.
    ///
    /// # Errors
    /// The file is no table, or has no row.
    pub fn read(path: &Path) -> Result<Self> {
        let table = Table::read(path)?;
        if table.rows.is_empty() {
            return Err(Error::file(path, "the table has no rows", "give a table with a row for each person"));
        }
        let plain = |name: &str| look(name).chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        let named = |wanted: &&str| table.columns.iter().position(|column| plain(column) == **wanted);
        let id_column = ID_COLUMNS.iter().find_map(named);
        Ok(Self { path: path.to_owned(), table, id_column: id_column.unwrap_or(0), named: id_column.is_some() })
    }

    /// The name of the column of ids.
    pub fn id_column(&self) -> &str {
        &self.table.columns[self.id_column]
    }

    /// The volumes of regions of these people, each of whom has one row. Columns that by their names measure no brain are not taken.
    ///
    /// # Errors
    /// Somebody has no row, or several; no column is of numbers; a number is below 0, as no volume is.
    pub(crate) fn volumes_of_people(&self, ids: &[&str]) -> Result<Measurements> {
        let by_name: Vec<&str> = self
            .table
            .columns
            .iter()
            .enumerate()
            .filter(|(at, name)| *at != self.id_column && is_no_measurement(name))
            .map(|(_, name)| name.as_str())
            .collect();
        let mut found = self.of_people(ids, &by_name)?;
        for (name, cells) in &found.columns {
            if let Some((n, v)) = cells.iter().enumerate().find_map(|(n, v)| v.filter(|v| *v < 0.0).map(|v| (n, v))) {
                return Err(Error::file(
                    &self.path,
                    format!("column {name} holds {v} for {}, and no volume is below 0", self.like_own(ids[n])),
                    "give volumes as they were measured (a scale that was fitted to everybody knows the held-out), or remove the column",
                ));
            }
        }
        found.left_out.extend(by_name.into_iter().map(|name| (name.to_owned(), BY_NAME)));
        Ok(found)
    }

    /// An id in the manner of the table's own: with the `sub-` of BIDS where those have it.
    fn like_own(&self, id: &str) -> String {
        let has_sub = self.table.cells(self.id_column).flatten().any(|cell| cell.starts_with("sub-"));
        if has_sub { format!("sub-{}", bare(id)) } else { bare(id).to_owned() }
    }

    /// Which column is taken for ids, in a sentence.
    ///
    /// # Errors
    /// No column is called as columns of ids usually are, and the first one has numbers, or one value in several rows: it may be a
    /// measurement, and who is who would be a guess.
    pub(crate) fn whose(&self) -> Result<String> {
        let column = self.id_column();
        if self.named {
            return Ok(format!("ids are those of the column {column}"));
        }
        let cells: Vec<&str> = self.table.cells(0).map(Option::unwrap_or_default).collect();
        let different: BTreeSet<&str> = cells.iter().copied().collect();
        let why = if cells.iter().any(|cell| number(cell).is_some()) {
            "holds numbers, which may be a measurement"
        } else if different.len() < cells.len() {
            "has one value in several rows"
        } else {
            return Ok(format!("ids are those of the first column, {column}: a word for each row"));
        };
        Err(Error::file(
            &self.path,
            format!(
                "no column is called as columns of ids are (participant_id, subject, sub_id), and the first, {column}, {why}"
            ),
            "call the column that says whose each row is participant_id",
        ))
    }

    /// Whether a column counts the rows: whole numbers without a gap, in any order, or all different under the name of an index.
    fn counts_rows(&self, at: usize) -> bool {
        let mut numbers: Vec<f64> = self.table.cells(at).filter_map(|cell| cell.and_then(number)).collect();
        let rows = self.table.rows.len();
        if rows < COUNTED || numbers.len() < rows || numbers.iter().any(|v| v.fract() != 0.0) {
            return false;
        }
        numbers.sort_by(f64::total_cmp);
        let name = &self.table.columns[at];
        let plain: String = look(name).chars().filter(|c| c.is_alphanumeric()).collect();
        let by_name = INDEX_COLUMNS.contains(&plain.as_str()) || plain.starts_with("unnamed");
        // From 0 or 1: a year, or a scanner's count of its scans, begins elsewhere.
        let by_one = numbers[0] <= 1.0 && numbers[0] >= 0.0;
        let steps = || numbers.windows(2).map(|pair| pair[1] - pair[0]);
        (by_one && steps().all(|step| step == 1.0)) || (by_name && steps().all(|step| step >= 1.0))
    }

    /// The row at this position in words, with its id.
    fn row_in_words(&self, row: usize) -> String {
        let id = self.table.rows[row][self.id_column].as_deref().unwrap_or("no id");
        format!("row {} ({})", row + 1, bare(id))
    }

    /// The measurements of these people, each of whom has one row; `apart` are columns that are not looked at.
    ///
    /// # Errors
    /// Somebody has no row, or several; no column is of numbers.
    fn of_people(&self, ids: &[&str], apart: &[&str]) -> Result<Measurements> {
        let mut rows = BTreeMap::<&str, Vec<usize>>::new();
        for (n, cell) in self.table.cells(self.id_column).enumerate() {
            rows.entry(bare(cell.unwrap_or_default())).or_default().push(n);
        }
        let found: Vec<&[usize]> = ids.iter().map(|id| rows.get(bare(id)).map_or(&[][..], Vec::as_slice)).collect();
        let without: Vec<String> =
            ids.iter().zip(&found).filter(|(_, rows)| rows.is_empty()).map(|(id, _)| self.like_own(id)).collect();
        let column = self.id_column();
        if !without.is_empty() {
            let what = format!(
                "{} of {} {} no row by the column {column}: {}; the table has {}",
                without.len(),
                counted(ids.len(), "subject"),
                have(without.len()),
                listed(&without, 8),
                listed(rows.keys().map(|id| self.like_own(id)), 4)
            );
            return Err(Error::file(
                &self.path,
                what,
                remedy!["add their rows, empty where there is no value, or leave out ", REGION_VOLUMES],
            ));
        }
        let several: Vec<String> =
            ids.iter().zip(&found).filter(|(_, rows)| rows.len() > 1).map(|(id, _)| self.like_own(id)).collect();
        if !several.is_empty() {
            let what = format!(
                "{} {} several rows by the column {column}: {}",
                counted(several.len(), "subject"),
                have(several.len()),
                listed(&several, 8)
            );
            return Err(Error::file(&self.path, what, "keep one row for each"));
        }
        let rows: Vec<usize> = found.iter().map(|rows| rows[0]).collect();
        self.measured(&rows, apart, &[])
    }

    /// The measurements of these rows; `apart` are columns that are not looked at, `missing` words that stand for no value beside the usual
    /// ones. A column is one where its values are numbers, of which two differ.
    pub(crate) fn measured(&self, rows: &[usize], apart: &[&str], missing: &[String]) -> Result<Measurements> {
        let mut found =
            Measurements { path: self.path.clone(), people: rows.len(), columns: Vec::new(), left_out: Vec::new() };
        for (at, name) in self.table.columns.iter().enumerate() {
            if at == self.id_column || apart.contains(&name.as_str()) {
                continue;
            }
            let cell = |&n: &usize| self.table.rows[n][at].as_deref().filter(|c| !is_missing(c, missing));
            let cells: Vec<Option<&str>> = rows.iter().map(cell).collect();
            let filled: Vec<&str> = cells.iter().flatten().copied().collect();
            let numbers: Vec<f64> = filled.iter().filter_map(|c| number(c)).collect();
            let words =
                || rows.iter().zip(&cells).filter_map(|(&row, c)| c.filter(|c| number(c).is_none()).map(|c| (row, c)));
            let why = if filled.is_empty() {
                "empty"
            } else if let Some((row, word)) = words().next() {
                if words().all(|(_, cell)| is_foreign_number(cell)) {
                    return Err(Error::file(
                        &self.path,
                        format!(
                            "column {name} holds `{word}` in {}, which may be read in two ways",
                            self.row_in_words(row)
                        ),
                        "write numbers with a point and nothing between thousands, as in 1234.5",
                    ));
                }
                if 2 * numbers.len() > filled.len() {
                    return Err(Error::file(
                        &self.path,
                        format!("column {name} holds `{word}` among numbers, in {}", self.row_in_words(row)),
                        "write a number, leave the cell empty, or remove the column",
                    ));
                }
                "words"
            } else if self.counts_rows(at) {
                "numbers of rows"
            } else if numbers.iter().all(|v| v.to_bits() == numbers[0].to_bits()) {
                "one value for all"
            } else {
                found.columns.push((name.clone(), cells.iter().map(|c| c.and_then(number)).collect()));
                continue;
            };
            found.left_out.push((name.clone(), why));
        }
        if found.columns.is_empty() {
            let what = format!("no column holds numbers that differ; the table has: {}", self.table.columns.join(", "));
            return Err(Error::file(&self.path, what, "give a table with columns of measurements"));
        }
        Ok(found)
    }
}

impl Measurements {
    /// Refuses columns that are the label by other names: whose value, of few, says the class, or that lie on a line with the value.
    pub(crate) fn refuse_label(&self, labels: &[&str], values: Option<&[f64]>, names: &[Option<&str>]) -> Result<()> {
        let gives_away = |(name, cells): &&(String, Vec<Option<f64>>)| {
            if names.contains(&Some(name.as_str())) {
                return true;
            }
            if let Some(values) = values {
                return on_a_line(cells, values);
            }
            let pairs = || cells.iter().zip(labels).filter_map(|(cell, label)| cell.map(|c| (c.to_bits(), *label)));
            let of: BTreeMap<u64, &str> = pairs().collect();
            let both: BTreeSet<(u64, &str)> = pairs().collect();
            // Each of few values is of one class.
            both.len() == of.len() && of.len() <= 20 && 2 * of.len() <= cells.len()
        };
        let giving: Vec<&str> = self.columns.iter().filter(gives_away).map(|(name, _)| name.as_str()).collect();
        if giving.is_empty() {
            return Ok(());
        }
        let what = format!(
            "{} the label away: {}",
            if giving.len() == 1 { "a column gives" } else { "columns give" },
            listed(&giving, 8)
        );
        Err(Error::file(&self.path, what, "remove what is no measurement of the brain from the table"))
    }

    /// What is taken and what is not, in a sentence.
    pub(crate) fn describe(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let of = |why: &str| self.left_out.iter().filter(|(_, w)| *w == why).map(|(name, _)| name).collect::<Vec<_>>();
        let left = ["words", "one value for all", "empty", BY_NAME, "numbers of rows"]
            .iter()
            .filter(|why| !of(why).is_empty())
            .map(|why| format!("{} ({why})", listed(of(why), 6)))
            .collect::<Vec<_>>();
        let left = if left.is_empty() { String::new() } else { format!("; not taken: {}", left.join(", ")) };
        format!(
            "{name}: {} of {}: {}{left}",
            counted(self.columns.len(), "column"),
            counted(self.people, "subject"),
            listed(self.columns.iter().map(|(name, _)| name), NAMED)
        )
    }

    /// Columns that are not taken, each with the reason.
    pub(crate) fn left_out(&self) -> &[(String, &'static str)] {
        &self.left_out
    }

    /// The columns for a model.
    pub(crate) fn features(&self) -> Features {
        Features::of_numbers(self.columns.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> (tempfile::TempDir, Result<Morphometry>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let table = Morphometry::read(&path);
        (folder, table)
    }

    #[test]
    fn rows_of_people() {
        let (_folder, table) =
            table("site,sub_id,left,right,sex,same,none\nA,sub-b,2,3.5,M,1,\nA,a,1,,F,1,n/a\nB,c,4,1,F,1,\n");
        let table = table.unwrap();
        assert_eq!(table.id_column(), "sub_id");
        let found = table.volumes_of_people(&["a", "b", "sub-c"]).unwrap();
        assert_eq!(
            found.columns,
            [
                ("left".to_owned(), vec![Some(1.0), Some(2.0), Some(4.0)]),
                ("right".to_owned(), vec![None, Some(3.5), Some(1.0)])
            ]
        );
        assert_eq!(
            found.describe(),
            "t.csv: 2 columns of 3 subjects: left, right; not taken: same (one value for all), none (empty), site, sex (by its name no measurement of the brain)"
        );
        let error = table.volumes_of_people(&["a", "x"]).unwrap_err().to_string();
        // As the table writes ids.
        assert!(
            error
                .ends_with("1 of 2 subjects has no row by the column sub_id: sub-x; the table has sub-a, sub-b, sub-c"),
            "{error}"
        );
    }

    #[test]
    fn odd_tables() {
        let error = |text: &str| {
            let (_folder, table) = table(text);
            let found = table.and_then(|t| t.volumes_of_people(&["a", "b"]));
            found.unwrap_err().to_string().split(": ").skip(1).collect::<Vec<_>>().join(": ")
        };
        assert_eq!(error("id,v\n"), "the table has no rows");
        assert_eq!(error("id,v\na,1\na,2\nb,3\n"), "1 subject has several rows by the column id: a");
        assert_eq!(error("id,v\na,x\nb,y\n"), "no column holds numbers that differ; the table has: id, v");
        assert!(error("id,v\na,1\nb,2\nc\n").starts_with("line 4 has 1 cells"));
        assert_eq!(error("id,v,z\na,1,0.5\nb,2,-0.5\n"), "column z holds -0.5 for b, and no volume is below 0");
        assert_eq!(error("id,age\na,31\nb,42\n"), "no column holds numbers that differ; the table has: id, age");
    }

    /// Numbers with a decimal comma, alone or beside whole numbers, are no words; dates are.
    #[test]
    fn decimal_commas_are_refused() {
        let of = |cells: [&str; 4]| {
            let rows: Vec<String> = cells.iter().enumerate().map(|(n, c)| format!("p{n};{c};{n}.5")).collect();
            let (_folder, table) = table(&format!("id;v;w\n{}\n", rows.join("\n")));
            let table = table.unwrap();
            table.measured(&[0, 1, 2, 3], &[], &[]).map_err(|e| e.to_string())
        };
        for cells in [["3,5", "4", "5", "6"], ["3,5", "4,5", "5,25", "6"], ["1.234,5", "4", "5", "6"]] {
            let error = of(cells).unwrap_err();
            let what = format!("column v holds `{}` in row 1 (p0), which may be read in two ways", cells[0]);
            assert!(error.ends_with(&what), "{error}");
        }
        let error = of(["3", "4", "big", "6"]).unwrap_err();
        assert!(error.ends_with("column v holds `big` among numbers, in row 3 (p2)"), "{error}");
        assert_eq!(
            of(["2024-01-05", "2024-02-05", "2024-03-05", "2024-04-05"]).unwrap().left_out,
            [("v".to_owned(), "words")]
        );
    }

    /// Numbers of rows are no measurement, in whatever order; whole numbers with gaps are, unless they are called an index.
    #[test]
    fn rows_are_not_measured() {
        let (_folder, table) = table(
            "id,Unnamed: 0,index,nth,volume,year\na,9,0,3,7,2001\nb,7,1,1,9,2002\nc,5,2,2,8,2003\nd,3,3,5,12,2004\ne,1,4,4,5,2005\n",
        );
        let found = table.unwrap().measured(&[0, 1, 2, 4], &[], &[]).unwrap();
        let names: Vec<&str> = found.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["volume", "year"]);
        assert!(
            found.describe().ends_with("; not taken: Unnamed: 0, index, nth (numbers of rows)"),
            "{}",
            found.describe()
        );
    }

    /// Who is who is not guessed from a column that may be a measurement.
    #[test]
    fn ids_are_not_guessed() {
        let whose = |text: &str| {
            let (_folder, table) = table(text);
            table.unwrap().whose().map_err(|e| e.to_string())
        };
        assert_eq!(whose("v,sub_id\n1,a\n2,b\n").unwrap(), "ids are those of the column sub_id");
        assert_eq!(
            whose("lh.aparc.thickness,v\nbert,2\nernie,3\n").unwrap(),
            "ids are those of the first column, lh.aparc.thickness: a word for each row"
        );
        assert!(
            whose("v,w\n2.5,1\n3.5,2\n")
                .unwrap_err()
                .ends_with("and the first, v, holds numbers, which may be a measurement")
        );
        assert!(whose("sex,v\nM,1\nM,2\n").unwrap_err().ends_with("and the first, sex, has one value in several rows"));
        assert!(whose("sex,v\nM,1\n,2\n,3\n").unwrap_err().contains("the first, sex, has one value"));
    }

    /// Columns that are the label by other names are refused, measurements that go with it are not.
    #[test]
    fn the_label_is_no_measurement() {
        let (_folder, table) = table("id,male,v,age\na,1,3.1,30\nb,0,2.5,40\nc,1,3.3,50\nd,0,2.6,61\n");
        let found = table.unwrap().of_people(&["a", "b", "c", "d"], &[]).unwrap();
        let error = found.refuse_label(&["M", "F", "M", "F"], None, &[]).unwrap_err().to_string();
        assert!(error.ends_with("a column gives the label away: male"), "{error}");
        let error = found.refuse_label(&[""; 4], Some(&[60.0, 80.0, 100.0, 122.0]), &[]).unwrap_err().to_string();
        assert!(error.ends_with("a column gives the label away: age"), "{error}");
        assert!(found.refuse_label(&[""; 4], Some(&[60.0, 80.0, 100.0, 120.0]), &[]).is_ok());
    }
}
