//! [`look`]: what of a table tells the label by itself, named before anything is trained: empty cells, and single columns.

use super::{ClassTruth, Truth, rows::Rows};
use crate::{
    listed::{counted, does, listed},
    train::options::TrainOptions,
};
use rayon::prelude::*;
use std::{cmp::Reverse, collections::BTreeMap};
use voxplain_core::{Error, Progress, Result, random::Seed};
use voxplain_stats::{
    Association, LEVEL, Variable, holm, p_in_words, pearson, roc::area_under_curve, significant, two_sided_p,
};

/// Random permutations of a pattern of empty cells.
const PERMUTATIONS: usize = 9999;
/// Patterns that are tested one by one, at most: those with the most empty cells.
const TESTED: usize = 100;
/// The area under the curve (or the size of a correlation) from which on a column tells the label by itself.
const ALONE: f64 = 0.99;
/// The same of a column that is ahead of all others by at least [`AHEAD`].
const NEARLY: f64 = 0.9;
/// See [`NEARLY`].
const AHEAD: f64 = 0.1;
/// Names that are listed.
const LISTED: usize = 6;

/// Says which columns, and whose empty cells, go with the label. People are counted, by their first row.
///
/// # Errors
/// Empty cells (or filled ones) stand in one class alone, and more often than chance: who has one would be told by that.
pub(super) fn look(rows: &Rows, options: &TrainOptions, progress: &dyn Progress) -> Result<()> {
    let people = rows.first();
    empty_cells(rows, &people, options, progress)?;
    if let Some(what) = columns(rows, &people, options) {
        progress.warn(&what);
    }
    Ok(())
}

/// Whether the cells of some columns are empty, person by person.
struct Pattern {
    columns: Vec<String>,
    empty: Vec<bool>,
    p: f64,
}

/// The patterns of empty cells that differ between people, with that of whether any cell is empty.
fn patterns(rows: &Rows, people: &[usize]) -> Vec<Pattern> {
    let mut of = BTreeMap::<Vec<bool>, Vec<String>>::new();
    let mut any = vec![false; people.len()];
    for (name, cells) in &rows.measured.columns {
        let empty: Vec<bool> = people.iter().map(|&row| cells[row].is_none()).collect();
        any.iter_mut().zip(&empty).for_each(|(any, empty)| *any |= empty);
        of.entry(empty).or_default().push(name.clone());
    }
    of.entry(any).or_insert_with(|| vec!["any column".to_owned()]);
    let cells = |empty: &[bool]| empty.iter().filter(|e| **e).count();
    let mut all: Vec<Pattern> = of
        .into_iter()
        .filter(|(empty, _)| (1..people.len()).contains(&cells(empty)))
        .map(|(empty, columns)| Pattern { columns, empty, p: 1.0 })
        .collect();
    // Whether any cell is empty comes first, for no pattern has more empty cells.
    all.sort_by_key(|pattern| Reverse(cells(&pattern.empty)));
    all.truncate(TESTED);
    all
}

/// Tests whether cells are empty in one class rather than another, by permutation of people, corrected by Holm.
fn empty_cells(rows: &Rows, people: &[usize], options: &TrainOptions, progress: &dyn Progress) -> Result<()> {
    let mut all = patterns(rows, people);
    let seed = Seed::new(options.seed).child("empty cells");
    let labels: Vec<usize> = people.iter().map(|&row| rows.labels[row]).collect();
    let values: Option<Vec<f64>> = rows.values.as_ref().map(|of| people.iter().map(|&row| of[row]).collect());
    let label = values.as_ref().map_or(Variable::Classes(&labels), |values| Variable::Numbers(values));
    all.par_iter_mut().for_each(|pattern| {
        let empty: Vec<usize> = pattern.empty.iter().map(|e| usize::from(*e)).collect();
        let found = Association::of(Variable::Classes(&empty), label, PERMUTATIONS, seed.child(&pattern.columns[0]));
        pattern.p = found.map_or(1.0, |found| found.p);
    });
    let corrected = holm(&all.iter().map(|pattern| pattern.p).collect::<Vec<_>>());
    all.iter_mut().zip(corrected).for_each(|(pattern, p)| pattern.p = p);
    let tested = all.len();
    all.retain(|pattern| pattern.p < LEVEL);
    all.sort_by(|a, b| a.p.total_cmp(&b.p));
    if all.is_empty() {
        return Ok(());
    }
    let how = format!("{} of empty cells tested by permutation, corrected by Holm", counted(tested, "pattern"));
    if let Truth::Classes(truth) = rows.truth() {
        let alone = |pattern: &&Pattern| in_one_class(pattern, &labels);
        let giving: Vec<&Pattern> = all.iter().filter(alone).collect();
        if !giving.is_empty() {
            let each = giving.iter().map(|pattern| pattern.of_classes(&labels, truth));
            return Err(Error::request(
                format!(
                    "empty cells give the label away, since they are in one class alone: {} ({how})",
                    listed(each, LISTED)
                ),
                "fill them in, take these columns out of the table, or take out who has no value there",
            ));
        }
    }
    let each = all.iter().map(|pattern| match rows.truth() {
        Truth::Classes(truth) => pattern.of_classes(&labels, truth),
        Truth::Values(_) => pattern.of_values(values.as_deref().unwrap_or_default()),
    });
    progress.warn(&format!(
        "whether a cell is empty goes with {}: {} ({how}). Models may learn who was measured in place of what was",
        options.label,
        listed(each, LISTED)
    ));
    Ok(())
}

/// Whether all empty cells, or all filled ones, are of one class.
fn in_one_class(pattern: &Pattern, labels: &[usize]) -> bool {
    [true, false].into_iter().any(|side| {
        let mut of = pattern.empty.iter().zip(labels).filter(|(empty, _)| **empty == side).map(|(_, label)| label);
        let first = of.next();
        of.all(|label| Some(label) == first)
    })
}

impl Pattern {
    fn name(&self) -> String {
        listed(&self.columns, 3)
    }

    /// `left (empty in class a for 12 of 40, in class b for 0 of 40; p < 0.001)`.
    fn of_classes(&self, labels: &[usize], truth: ClassTruth<'_>) -> String {
        let of = |(class, name): (usize, &String)| {
            let all = || self.empty.iter().zip(labels).filter(move |(_, label)| **label == class);
            format!("in class {name} for {} of {}", all().filter(|(empty, _)| **empty).count(), all().count())
        };
        let each: Vec<String> = truth.names.iter().enumerate().map(of).collect();
        format!("{} (empty {}; {})", self.name(), each.join(", "), p_in_words(self.p))
    }

    /// `left (mean 40 where it is empty, 51 elsewhere; p < 0.001)`.
    fn of_values(&self, values: &[f64]) -> String {
        let mean = |side: bool| {
            let of: Vec<f64> = self.empty.iter().zip(values).filter(|(e, _)| **e == side).map(|(_, v)| *v).collect();
            significant(of.iter().sum::<f64>() / of.len().max(1) as f64, 3)
        };
        format!(
            "{} (mean {} where it is empty, {} elsewhere; {})",
            self.name(),
            mean(true),
            mean(false),
            p_in_words(self.p)
        )
    }
}

/// How far a column by itself tells the label: the area under the curve (at least 0.5) or the size of the correlation, and the chance of as
/// much.
struct Telling<'a> {
    column: &'a str,
    /// Of more than two classes the one that it tells from the rest.
    class: Option<usize>,
    size: f64,
    p: f64,
}

/// Which columns tell the label by themselves, in a sentence.
fn columns(rows: &Rows, people: &[usize], options: &TrainOptions) -> Option<String> {
    let columns = &rows.measured.columns;
    let mut all: Vec<Telling<'_>> = columns
        .par_iter()
        .filter_map(|(name, cells)| match rows.truth() {
            Truth::Classes(truth) => of_classes(name, cells, people, truth),
            Truth::Values(values) => of_values(name, cells, people, values),
        })
        .collect();
    all.sort_by(|a, b| b.size.total_cmp(&a.size));
    let tests = columns.len() * if rows.values.is_none() && rows.classes.len() > 2 { rows.classes.len() } else { 1 };
    let sure = |of: &Telling<'_>| of.p * tests as f64 <= LEVEL;
    // Those ahead of a gap, if the last of them is good by itself.
    let gap = (1..all.len()).filter(|&n| all[n - 1].size >= NEARLY).find(|&n| all[n - 1].size - all[n].size >= AHEAD);
    let count = all.iter().take_while(|of| of.size >= ALONE).count().max(gap.unwrap_or(0));
    let found: Vec<&Telling<'_>> = all[..count].iter().filter(|of| sure(of)).collect();
    if found.is_empty() {
        return None;
    }
    let measure = if rows.values.is_some() { "r" } else { "AUC" };
    let say = |of: &&Telling<'_>| {
        let class = of.class.map_or_else(String::new, |class| format!(" of {} against the rest", rows.classes[class]));
        format!("{} ({measure}{class} {:.3})", of.column, of.size)
    };
    let next = all.get(count).map_or_else(String::new, |of| format!("; the next has {:.2}", of.size));
    Some(format!(
        "{} {} {} by {}: {}{next}. If {} no measurement of the brain (a score, a diagnosis, what is known for one class alone), the result will be about \
         {}: take {} out of the table",
        counted(found.len(), "column"),
        does(found.len(), "tells", "tell"),
        options.label,
        does(found.len(), "itself", "themselves"),
        listed(found.iter().map(say), LISTED),
        does(found.len(), "it is", "they are"),
        does(found.len(), "it", "them"),
        does(found.len(), "it", "them")
    ))
}

/// The largest area of a class against the rest, whichever side is the larger.
fn of_classes<'a>(
    column: &'a str,
    cells: &[Option<f64>],
    people: &[usize],
    truth: ClassTruth<'_>,
) -> Option<Telling<'a>> {
    let one = |class: usize| {
        let side = |is: bool| -> Vec<f64> {
            people.iter().filter(|&&n| (truth.labels[n] == class) == is).filter_map(|&n| cells[n]).collect()
        };
        let (of_class, rest) = (side(true), side(false));
        let area = area_under_curve(&of_class, &rest)?;
        let size = area.max(1.0 - area);
        // Mann and Whitney's, by its normal approximation without ties, which is none too small for few people.
        let (a, b) = (of_class.len() as f64, rest.len() as f64);
        let z = (size - 0.5) * (12.0 * a * b / (a + b + 1.0)).sqrt();
        Some(Telling {
            column,
            class: (truth.names.len() > 2).then_some(class),
            size,
            p: two_sided_p(z, f64::from(u16::MAX)),
        })
    };
    let classes = if truth.names.len() > 2 { 0..truth.names.len() } else { 1..2 };
    classes.filter_map(one).max_by(|a, b| a.size.total_cmp(&b.size))
}

/// The size of the correlation with a value.
fn of_values<'a>(column: &'a str, cells: &[Option<f64>], people: &[usize], values: &[f64]) -> Option<Telling<'a>> {
    #[expect(clippy::cast_possible_truncation, reason = "a correlation of three digits")]
    let (x, y): (Vec<f32>, Vec<f32>) =
        people.iter().filter_map(|&n| cells[n].map(|c| (c as f32, values[n] as f32))).unzip();
    let size = pearson(&x, &y).ok().flatten()?.abs();
    let freedom = x.len() as f64 - 2.0;
    if freedom < 1.0 {
        return None;
    }
    let t = size * (freedom / (1.0 - size * size).max(1e-12)).sqrt();
    Some(Telling { column, class: None, size, p: two_sided_p(t, freedom) })
}
