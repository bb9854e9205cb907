//! [`Formula`]: a design in words, `label + age + log(mask_volume)`.

use crate::{
    cohort::{Cohort, is_missing},
    covariate::stands_apart,
    listed::listed,
    setting::{DESIGN, KEEP_GOING, TEST},
    spelling::{number, several},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use voxplain_core::{
    Error, Result,
    plural::{counted, does},
    remedy,
};
use voxplain_stats::inference::{Contrast, Design};

/// Names of the volume of each subject's mask, in ml, where the table has no column of that name.
pub(super) const MASK_VOLUME: [&str; 2] = ["mask_volume", "brain_volume"];

/// What is done with a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// A number where all values are numbers and more than two differ; else a factor.
    AsItIs,
    /// A factor, whatever its values.
    Factor,
    /// The natural logarithm.
    Log,
}

/// A term of a design: a column of the table and what is done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The column.
    pub column: String,
    /// What is done with it.
    pub is: Use,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is {
            Use::AsItIs => f.write_str(&self.column),
            Use::Factor => write!(f, "factor({})", self.column),
            Use::Log => write!(f, "log({})", self.column),
        }
    }
}

/// A design in words: terms with `+` between them; an intercept is always among them, and may be written `1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    /// The terms without the intercept.
    pub terms: Vec<Term>,
}

impl Formula {
    /// Reads a formula. A name of a column that holds other signs than letters, digits, `_`, `.` and `-` stands in backticks or quotes.
    ///
    /// # Errors
    /// Operators other than `+`, functions that are not known, a term twice.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String, help: &'static str| {
            Error::request(
                format!("the design `{text}`: {what}"),
                remedy![help, "; a design is written ", DESIGN.to("label + age + log(mask_volume)")],
            )
        };
        let mut terms: Vec<Term> = Vec::new();
        for part in split(text).map_err(|what| wrong(what.into(), "close it"))? {
            let part = part.trim();
            if part == "1" {
                continue;
            }
            let unquoted = |name: &str| {
                let name = name.trim();
                let inside = |quote: char| name.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
                inside('`').or_else(|| inside('"')).or_else(|| inside('\'')).map(str::to_owned)
            };
            let plain = |name: &str| -> Result<String> {
                if let Some(name) = unquoted(name) {
                    return Ok(name);
                }
                let name = name.trim();
                if name.is_empty() {
                    return Err(wrong("a term is empty".into(), "write a column on both sides of each +"));
                }
                if let Some(sign) =
                    name.chars().find(|c| matches!(c, '*' | ':' | '^' | '|' | '~' | '/' | '(' | ')' | '%'))
                {
                    return Err(wrong(
                        format!("`{sign}` in `{name}` is not understood"),
                        "interactions and powers are columns to be added to participants.tsv, made of columns less their means (else a term is tested where the other is 0); put a name that holds such a sign in backticks",
                    ));
                }
                Ok(name.to_owned())
            };
            let call = part.strip_suffix(')').and_then(|rest| rest.split_once('('));
            let term = match call.filter(|_| unquoted(part).is_none()) {
                Some(("log", inside)) => Term { column: plain(inside)?, is: Use::Log },
                Some(("factor" | "C", inside)) => Term { column: plain(inside)?, is: Use::Factor },
                Some((other, _)) => {
                    return Err(wrong(
                        format!("there is no function `{other}`"),
                        "use log() or factor(), or a column with the values",
                    ));
                }
                None => Term { column: plain(part)?, is: Use::AsItIs },
            };
            if term.column == "0" || term.column == "-1" {
                return Err(wrong("the intercept cannot be left out".into(), "leave out this term"));
            }
            if terms.iter().any(|other| other.column == term.column && other.is == term.is) {
                return Err(wrong(format!("`{term}` stands there twice"), "leave one out"));
            }
            terms.push(term);
        }
        Ok(Self { terms })
    }
}

/// The parts between `+` signs that are not within quotes.
fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let (mut parts, mut quote) = (vec![String::new()], None);
    for c in text.chars() {
        match quote {
            None if c == '+' => parts.push(String::new()),
            None => {
                quote = matches!(c, '`' | '"' | '\'').then_some(c);
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
            Some(open) => {
                quote = (c != open).then_some(open);
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    if quote.is_some() { Err("a quote is not closed") } else { Ok(parts) }
}

/// A term as it stands in the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesignTerm {
    /// The term, as it is written.
    pub term: String,
    /// The columns of the design that it has.
    pub columns: Vec<String>,
    /// The levels of a factor, the one that the others are compared with first, and how many subjects have each; empty for a number.
    pub levels: Vec<(String, usize)>,
    /// What was taken from a number so that its mean is 0: its mean (of the logarithm for `log`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mean: Option<f64>,
    /// What the values are, where they are not a column of the table.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub is: Option<String>,
}

/// A design with the subjects that are in it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The matrix.
    pub design: Design,
    /// Positions in the cohort, a row each.
    pub subjects: Vec<usize>,
    /// The terms, the intercept first.
    pub terms: Vec<DesignTerm>,
    /// Subjects that are left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Values that may stand for none, and numbers far from the others, a sentence for each term.
    pub doubts: Vec<String>,
}

impl Formula {
    /// The design of these subjects of a cohort. Numbers are centred; the first level of a factor is that which the others are
    /// compared with: `last` comes last, where it is a level of its column.
    ///
    /// # Errors
    /// Columns that are not there; subjects without a value, unless they are to be left out; a column of one value; terms that
    /// cannot be told apart.
    pub fn build(
        &self,
        cohort: &Cohort,
        subjects: &[usize],
        missing: &[String],
        last: Option<(&str, &str)>,
        keep_going: bool,
    ) -> Result<Built> {
        let mut cells: Vec<Vec<Option<String>>> = Vec::new();
        let mut notes: Vec<Option<String>> = Vec::new();
        for term in &self.terms {
            if cohort.participants.columns.iter().all(|c| *c != term.column) && MASK_VOLUME.contains(&&*term.column) {
                let volume = |n: &usize| -> Result<Option<String>> {
                    let mask = cohort.mask(*n)?;
                    Ok(Some((mask.count() as f64 * mask.grid().voxel_volume() / 1000.0).to_string()))
                };
                cells.push(subjects.iter().map(volume).collect::<Result<_>>()?);
                notes.push(Some("the volume of each subject's mask, ml".into()));
                continue;
            }
            let column = cohort.column(&term.column).map_err(|e| {
                let table = cohort.layout().participants();
                Error::file(table, e.to_string(), e.remedy().unwrap_or_else(|| remedy!["name a column with ", DESIGN]))
            })?;
            cells.push(
                subjects.iter().map(|n| column[*n].filter(|c| !is_missing(c, missing)).map(str::to_owned)).collect(),
            );
            notes.push(None);
        }
        let id = |n: usize| cohort.subjects[n].id.clone();
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        for (row, &subject) in subjects.iter().enumerate() {
            // With the word that stands for none: -9 among numbers.
            let lacks: Vec<String> = (self.terms.iter().zip(&cells))
                .filter(|(_, cells)| cells[row].is_none())
                .map(|(term, _)| {
                    let column = cohort.participants.columns.iter().position(|c| *c == term.column);
                    let word = column.and_then(|c| cohort.participants.rows[subject][c].as_deref());
                    word.map_or_else(|| term.column.clone(), |word| format!("{} ({word})", term.column))
                })
                .collect();
            if lacks.is_empty() {
                kept.push(row);
            } else {
                left_out.push((id(subject), format!("no value of {}", lacks.join(", "))));
            }
        }
        if !left_out.is_empty() && !keep_going {
            let shown = listed(left_out.iter().map(|(id, why)| format!("{id} ({why})")), 12);
            return Err(Error::file(
                cohort.layout().participants(),
                format!(
                    "{} of {} subjects have no value of a term of the design: {shown}",
                    left_out.len(),
                    subjects.len()
                ),
                remedy![
                    "fill it in, leave the term out of ",
                    DESIGN,
                    ", or leave these subjects out with ",
                    KEEP_GOING
                ],
            ));
        }
        if kept.is_empty() {
            return Err(Error::file(
                cohort.layout().participants(),
                format!(
                    "none of {} subjects has a value of every term of the design `{}`",
                    subjects.len(),
                    self.words()
                ),
                remedy!["leave the term that nobody has out of ", DESIGN],
            ));
        }
        let mut doubts = Vec::new();
        let mut columns = vec![("intercept".to_owned(), vec![1.0; kept.len()])];
        let mut terms = vec![DesignTerm {
            term: "1".into(),
            columns: vec!["intercept".into()],
            levels: Vec::new(),
            mean: None,
            is: None,
        }];
        for ((term, cells), is) in self.terms.iter().zip(&cells).zip(notes) {
            let values: Vec<&str> = kept.iter().filter_map(|row| cells[*row].as_deref()).collect();
            doubts.extend(stands_apart(&term.column, &values, term.is != Use::Factor));
            let (of, levels, mean) = self.columns_of(cohort, term, &values, last)?;
            let single: Vec<&str> =
                levels.iter().filter(|(_, count)| *count == 1).map(|(level, _)| level.as_str()).collect();
            if !single.is_empty() {
                doubts.push(format!(
                    "of column {} {} {} one subject alone ({}): what is said of such a group is said of that person",
                    term.column,
                    counted(single.len(), "group"),
                    does(single.len(), "has", "have"),
                    listed(&single, 4)
                ));
            }
            terms.push(DesignTerm {
                term: term.to_string(),
                columns: of.iter().map(|(name, _)| name.clone()).collect(),
                levels,
                mean,
                is,
            });
            columns.extend(of);
        }
        let row_names = kept.iter().map(|row| id(subjects[*row])).collect();
        let design = Design::new(columns).map(|design| design.with_rows(row_names)).map_err(|e| {
            let remedy = e.remedy().unwrap_or_else(|| remedy!["change ", DESIGN]);
            Error::request(format!("the design `{}`: {e}", self.words()), remedy)
        })?;
        Ok(Built { design, subjects: kept.iter().map(|row| subjects[*row]).collect(), terms, left_out, doubts })
    }

    /// As it is written, without the intercept where there are other terms.
    pub fn words(&self) -> String {
        if self.terms.is_empty() {
            return "1".into();
        }
        self.terms.iter().map(Term::to_string).collect::<Vec<_>>().join(" + ")
    }

    #[expect(clippy::type_complexity, reason = "columns, levels, mean")]
    fn columns_of(
        &self,
        cohort: &Cohort,
        term: &Term,
        values: &[&str],
        last: Option<(&str, &str)>,
    ) -> Result<(Vec<(String, Vec<f64>)>, Vec<(String, usize)>, Option<f64>)> {
        let table = || cohort.layout().participants();
        let different: BTreeSet<&str> = values.iter().copied().collect();
        let numbers: Option<Vec<f64>> = values.iter().map(|v| number(v)).collect();
        let distinct = numbers.as_ref().map(|n| n.iter().map(|v| v.to_bits()).collect::<BTreeSet<_>>().len());
        let as_number = match term.is {
            Use::Log => true,
            Use::Factor => false,
            Use::AsItIs => distinct.is_some_and(|n| n > 2),
        };
        if different.len() < 2 {
            let what = format!(
                "column {} is {} for all {} subjects of the design",
                term.column,
                listed(&different, 1),
                values.len()
            );
            return Err(Error::file(table(), what, remedy!["leave it out of ", DESIGN]));
        }
        if as_number {
            let Some(mut numbers) = numbers else {
                let odd: Vec<&&str> = different.iter().filter(|v| number(v).is_none()).collect();
                let what = format!(
                    "column {} holds {}, which is no number, and cannot have a logarithm",
                    term.column,
                    listed(odd, 6)
                );
                return Err(Error::file(table(), what, remedy!["write numbers, or name another term with ", DESIGN]));
            };
            if term.is == Use::Log {
                if let Some(low) = numbers.iter().find(|v| **v <= 0.0) {
                    let what = format!("column {} holds {low}, which has no logarithm", term.column);
                    return Err(Error::file(table(), what, remedy!["use the column as it is in ", DESIGN]));
                }
                numbers.iter_mut().for_each(|v| *v = v.ln());
            }
            let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
            let centred = numbers.iter().map(|v| v - mean).collect();
            return Ok((vec![(term.to_string(), centred)], Vec::new(), Some(mean)));
        }
        let comma = different.iter().find(|v| number(v).is_none() && number(&v.replacen(',', ".", 1)).is_some());
        if let Some(comma) = comma.filter(|_| term.is == Use::AsItIs) {
            let what = format!("column {} holds numbers with a decimal comma ({comma})", term.column);
            return Err(Error::file(
                table(),
                what,
                remedy![
                    "write numbers with a point, or say that these are names of groups with ",
                    DESIGN.to(format!("factor({})", term.column))
                ],
            ));
        }
        let mut counts = BTreeMap::<&str, usize>::new();
        values.iter().for_each(|v| *counts.entry(v).or_default() += 1);
        let alike = several(&counts);
        if !alike.is_empty() {
            let what = format!("column {} seems to spell one group in several ways: {}", term.column, alike.join("; "));
            return Err(Error::file(
                table(),
                what,
                remedy!["spell each group in one way, or name another column with ", DESIGN],
            ));
        }
        // A few words among numbers are no groups.
        let words: Vec<&&str> = different.iter().filter(|v| number(v).is_none()).collect();
        if term.is == Use::AsItIs && different.len() > 5 && 2 * words.len() < different.len() && !words.is_empty() {
            let what = format!("column {} holds numbers, but for {}", term.column, listed(words, 6));
            return Err(Error::file(
                table(),
                what,
                remedy![
                    "write these as numbers too, with a point, or say that they are groups with ",
                    DESIGN.to(format!("factor({})", term.column))
                ],
            ));
        }
        // Numbers as numbers: 2 before 10.
        let mut levels: Vec<&str> = different.into_iter().collect();
        levels.sort_by(|a, b| match (number(a), number(b)) {
            (Some(x), Some(y)) => x.total_cmp(&y),
            _ => a.cmp(b),
        });
        if let Some((column, level)) = last.filter(|(column, _)| *column == term.column) {
            levels.sort_by_key(|l| *l == level);
            debug_assert_eq!(column, term.column);
        }
        if levels.len() > 20 && levels.len() * 2 > values.len() {
            let what = format!(
                "column {} holds {} different words for {} subjects ({})",
                term.column,
                levels.len(),
                values.len(),
                listed(&levels, 4)
            );
            return Err(Error::file(table(), what, remedy!["name a column of numbers or of few groups with ", DESIGN]));
        }
        let count = |level: &str| values.iter().filter(|v| **v == level).count();
        let counted = levels.iter().map(|l| ((*l).to_owned(), count(l))).collect();
        let column = |level: &&str| {
            let of = values.iter().map(|v| f64::from(u8::from(v == level))).collect();
            (format!("{}[{level}]", term.column), of)
        };
        Ok((levels[1..].iter().map(column).collect(), counted, None))
    }
}

/// What is tested, and in which words.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The contrast.
    pub contrast: Contrast,
    /// The term.
    pub term: DesignTerm,
    /// What an effect above 0 means.
    pub words: String,
}

impl Built {
    /// The contrast of a term: the difference of the two levels of a factor, the slope of a number, F of all differences of more levels;
    /// the mean for the intercept, `1`. The first term where none is named.
    ///
    /// # Errors
    /// There is no such term.
    pub fn tested(&self, test: Option<&str>) -> Result<Tested> {
        let term = match test.map(str::trim) {
            None => self.terms.get(1).unwrap_or(&self.terms[0]),
            Some(name) => {
                let name = if name == "intercept" { "1" } else { name };
                let named = |t: &&DesignTerm| t.term == name || t.columns.iter().any(|c| c == name);
                self.terms.iter().find(named).ok_or_else(|| {
                    let parts = |t: &DesignTerm| match t.columns.as_slice() {
                        [one] if *one == t.term => vec![t.term.clone()],
                        [_] => vec![t.term.clone()],
                        several => std::iter::once(t.term.clone()).chain(several.iter().cloned()).collect(),
                    };
                    let there: Vec<String> = self.terms.iter().flat_map(parts).collect();
                    Error::request(
                        format!("the design has no term `{name}`: it has {}", listed(&there, 12)),
                        remedy!["name one of them with ", TEST, ", or add it to ", DESIGN],
                    )
                })?
            }
        };
        let names = self.design.names();
        let weights =
            |column: &String| -> Vec<f64> { names.iter().map(|n| f64::from(u8::from(n == column))).collect() };
        // One column of a factor of several levels, where it is named.
        let column = test.and_then(|name| term.columns.iter().find(|column| *column == name.trim()));
        let columns: Vec<&String> = column.map_or_else(|| term.columns.iter().collect(), |column| vec![column]);
        let mut rows: Vec<Vec<f64>> = columns.iter().map(|column| weights(column)).collect();
        let others: Vec<&str> =
            self.terms.iter().filter(|t| t.term != term.term && t.term != "1").map(|t| t.term.as_str()).collect();
        let held = if others.is_empty() { String::new() } else { format!(", {} held constant", others.join(", ")) };
        let of_mean = term.term == "1";
        if of_mean {
            // The mean over all subjects: numbers are centred, and groups count by their shares.
            let matrix = self.design.matrix();
            rows = vec![(0..names.len()).map(|column| matrix.column(column).mean()).collect()];
        }
        let words = match (term.levels.as_slice(), column) {
            _ if of_mean && others.is_empty() => "above 0: the mean is above 0".to_owned(),
            _ if of_mean => format!(
                "above 0: the mean over all subjects is above 0, the differences by {} taken out of the noise",
                others.join(", ")
            ),
            ([], _) => format!("above 0: larger where {} is larger{held}", term.term),
            ([(first, _), (second, _)], _) => format!("above 0: larger for {second} than for {first}{held}"),
            ([(first, _), ..], Some(column)) => format!("above 0: larger for {column} than for {first}{held}"),
            (levels, None) => format!("any difference between the {} levels of {}{held}", levels.len(), term.term),
        };
        let name = column.unwrap_or(&term.term);
        let contrast = match rows.len() {
            1 => Contrast::t(name, rows.into_iter().next().unwrap_or_default()),
            _ => Contrast::f(name, rows),
        };
        // Of two levels among several there are no sizes of two groups alone.
        let term = match column.filter(|_| term.levels.len() > 2) {
            Some(column) => DesignTerm { term: column.clone(), levels: Vec::new(), ..term.clone() },
            None => term.clone(),
        };
        Ok(Tested { contrast, term, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_read_or_refused() {
        let terms =
            |text: &str| -> Vec<String> { Formula::parse(text).unwrap().terms.iter().map(Term::to_string).collect() };
        assert_eq!(terms("label + age+log( mask_volume )"), ["label", "age", "log(mask_volume)"]);
        assert_eq!(terms("1 + factor(site) + `a + b`"), ["factor(site)", "a + b"]);
        assert!(terms("1").is_empty());
        let refused = |text: &str| Formula::parse(text).unwrap_err().to_string();
        assert!(refused("label * age").contains("`*` in `label * age` is not understood"));
        assert!(refused("label + ").contains("a term is empty"));
        assert!(refused("exp(age)").contains("no function `exp`"));
        assert!(refused("age + age").contains("`age` stands there twice"));
        assert!(refused("age + `b").contains("a quote is not closed"));
        assert!(refused("label + 0").contains("the intercept cannot be left out"));
        // Age and its logarithm are two terms.
        assert_eq!(terms("age + log(age)").len(), 2);
    }

    #[test]
    fn words_that_are_no_groups_are_refused_and_odd_numbers_named() {
        use crate::cohort::{Normalize, Placement, Preparation, Subject};
        use voxplain_core::Table;
        use voxplain_volume::{Affine, Grid, Mask, Volume};
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new([2, 2, 2], Affine::IDENTITY).unwrap();
        let people: Vec<_> = (0..12)
            .map(|n| {
                let (volume, mask) = (Volume::filled(grid, n as f32), Mask::filled(grid, true));
                (Subject::new(format!("s{n}"), &volume, &mask), volume, mask)
            })
            .collect();
        let preparation = Preparation {
            template: None,
            whole_head: false,
            channels: Vec::new(),
            shape: [2; 3],
            spacing: [1.0; 3],
            normalize: Normalize::None,
            placement: Placement::MaskCentre,
        };
        let cell = |text: String| Some(text);
        let rows = (0..12)
            .map(|n| {
                let age = if n == 3 { "999".to_owned() } else { (20 + n).to_string() };
                let site = ["site A", "site a", "site B"][n % 3].to_owned();
                vec![cell(age), cell(site), cell(format!("{},5", 20 + n % 3)), cell(["a", "b", "c"][n % 3].to_owned())]
            })
            .collect();
        let participants = Table { columns: ["age", "site", "comma", "three"].map(String::from).to_vec(), rows };
        let cohort = Cohort::write(&folder.path().join("c"), &preparation, &participants, &people).unwrap();
        let all: Vec<usize> = (0..12).collect();
        let built = |text: &str| Formula::parse(text).unwrap().build(&cohort, &all, &[], None, false);
        let doubts = built("age").unwrap().doubts;
        assert!(doubts.len() == 1 && doubts[0].contains("`999`"), "{doubts:?}");
        assert!(built("three").unwrap().doubts.is_empty());
        assert!(
            built("site").unwrap_err().to_string().contains("one group in several ways: `site A` (4) and `site a` (4)")
        );
        assert!(built("comma").unwrap_err().to_string().contains("decimal comma (20,5)"));
        let error = built("three").unwrap().tested(Some("three[z]")).unwrap_err().to_string();
        assert!(error.contains("it has 1, three, three[b], three[c]"), "{error}");
    }
}
