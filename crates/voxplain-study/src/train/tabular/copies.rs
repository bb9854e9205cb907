//! [`look`]: rows of two people that are nearly the same, on both sides of a split.

use super::rows::Rows;
use crate::{
    alike::Copies,
    folds::Split,
    listed::{counted, does, listed},
    setting::{GROUP, NEAR_DUPLICATES},
    train::{copies::Sides, options::TrainOptions},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use voxplain_core::{Error, Progress, Result, remedy};

/// Fewer columns than this may well be the same for two people.
const FEWEST_COLUMNS: usize = 3;
/// Rows of which so many neighbours are looked at.
const NEIGHBOURS: usize = 10;
/// The neighbour whose distance is the usual one: of a row that stands in the table as many times, the next ones are other people.
const USUAL: usize = 5;
/// Columns from which on what is the same of a moved or scaled row is taken away.
const SHIFTED: usize = 5;
/// Rows nearer than this share of the usual distance may be one, however many columns there are. `docs/confounds.md` has what copies give.
const MOST: f64 = 0.3;
/// How many pairs of different people may be so near by chance, in a table without copies.
const BY_CHANCE: f64 = 0.01;
/// Names that are listed.
const LISTED: usize = 12;

/// What was found, in the record of a training on a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableCopies {
    /// What was to be done about them.
    pub asked: Copies,
    /// From which share of the usual distance of neighbours down two rows may be one; absent where they were not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The pairs below it that were trained on all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<NearRows>,
    /// The nearest pair of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NearRows>,
    /// Rows with fewer than half of their cells filled, which were not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// Two rows that are near each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearRows {
    /// The id of the one.
    pub one: String,
    /// The id of the other.
    pub other: String,
    /// Their distance as a share of the usual distance of neighbours in the table.
    pub distance: f64,
}

/// `a and b (0.02)`.
impl fmt::Display for NearRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distance = match self.distance {
            0.0 => "the same".to_owned(),
            d if d < 0.01 => "below 0.01".to_owned(),
            d => format!("{d:.2}"),
        };
        write!(f, "{} and {} ({distance})", self.one, self.other)
    }
}

/// A row's neighbours among those whom a split may divide from it, the nearest first.
type Neighbours = Vec<(f64, usize)>;

/// Looks for rows of different people that are nearly the same and would be on both sides of a split; says which rows of one person are the
/// same.
///
/// # Errors
/// There are some, and they are not to be trained on.
pub(super) fn look(
    rows: &Rows,
    splits: &[Split],
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<TableCopies> {
    let mut record = TableCopies { asked: options.near_duplicates, ..TableCopies::default() };
    if options.near_duplicates == Copies::Off {
        return Ok(record);
    }
    let columns = &rows.measured.columns;
    if columns.len() < FEWEST_COLUMNS {
        progress.note(&format!(
            "rows that are copies of each other were not looked for: {} may well be the same for two people",
            counted(columns.len(), "number")
        ));
        return Ok(record);
    }
    let sides = Sides::of(splits, rows.ids.len());
    say_twice(rows, &sides, progress);
    let filled = |row: usize| 2 * columns.iter().filter(|(_, cells)| cells[row].is_some()).count() >= columns.len();
    let (compared, without): (Vec<usize>, Vec<usize>) = (0..rows.ids.len()).partition(|&row| filled(row));
    record.without = without.iter().map(|&row| rows.ids[row].clone()).collect();
    if !without.is_empty() {
        progress.note(&format!(
            "{} with fewer than half of the cells filled {} not compared with others in search of copies: {}",
            counted(without.len(), "row"),
            does(without.len(), "was", "were"),
            listed(&record.without, LISTED)
        ));
    }
    let profiles = profiles(columns, &compared);
    progress.go_on()?;
    let found: Vec<Neighbours> =
        (0..compared.len()).into_par_iter().map(|at| neighbours(&profiles, &compared, at, &sides)).collect();
    let (usual, limit) = usual_and_limit(&found, columns.len());
    record.limit = Some(limit);
    if usual == 0.0 {
        progress.warn(
            "rows of this table are so alike that copies of a row under two ids cannot be told from other people",
        );
        return Ok(TableCopies { limit: None, ..record });
    }
    let pair = |&(one, other, distance): &(usize, usize, f64)| NearRows {
        one: rows.ids[one].clone(),
        other: rows.ids[other].clone(),
        distance: if usual > 0.0 { distance / usual } else { 0.0 },
    };
    let mut of_pairs = BTreeMap::<(usize, usize), f64>::new();
    for (at, of) in found.iter().enumerate() {
        for &(distance, other) in of {
            of_pairs.insert((compared[at].min(other), compared[at].max(other)), distance);
        }
    }
    let mut pairs: Vec<(usize, usize, f64)> = of_pairs.into_iter().map(|((one, other), d)| (one, other, d)).collect();
    pairs.sort_by(|a, b| a.2.total_cmp(&b.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    let near = pairs.partition_point(|pair| pair.2 <= limit * usual);
    record.pairs = pairs[..near].iter().map(pair).collect();
    record.next = pairs.get(near).map(pair).filter(|next| next.distance.is_finite());
    say(&record, progress)?;
    Ok(record)
}

/// Refuses or names pairs.
fn say(record: &TableCopies, progress: &dyn Progress) -> Result<()> {
    if record.pairs.is_empty() {
        return Ok(());
    }
    let next = record.next.as_ref().map_or_else(String::new, |next| format!("; the nearest of the others: {next}"));
    let what = format!(
        "{} of rows {} so alike that they may be of one person, and would be on both sides of a split: {}{next}. The number is their distance, where 1 \
         is usual between a row and its nearest",
        counted(record.pairs.len(), "pair"),
        does(record.pairs.len(), "is", "are"),
        listed(&record.pairs, LISTED)
    );
    if record.asked == Copies::Warn {
        progress.warn(&what);
        return Ok(());
    }
    Err(Error::request(
        what,
        remedy![
            "look at both: of a copy keep one row; rows of one person get one id, relatives one group (",
            GROUP,
            "); if they are different people, go on with ",
            NEAR_DUPLICATES.to(Copies::Warn)
        ],
    ))
}

/// Says which rows are the same number by number though no split divides them, of one person or of two: they leak nothing, but each counts.
fn say_twice(rows: &Rows, sides: &Sides, progress: &dyn Progress) {
    let mut first = BTreeMap::<Vec<Option<u64>>, usize>::new();
    let mut twice = Vec::new();
    for row in 0..rows.ids.len() {
        let key: Vec<Option<u64>> =
            rows.measured.columns.iter().map(|(_, cells)| cells[row].map(f64::to_bits)).collect();
        if key.iter().all(Option::is_none) {
            continue;
        }
        let before = *first.entry(key).or_insert(row);
        let (one, other) = (&rows.ids[before], &rows.ids[row]);
        if before != row && !sides.divide(before, row) {
            twice.push(if one == other { other.clone() } else { format!("{one} and {other}") });
        }
    }
    if !twice.is_empty() {
        progress.warn(&format!(
            "{} the measurements of another row on the same side of every split, number by number, and {} twice in all results: {}",
            if twice.len() == 1 { "1 row has".to_owned() } else { format!("{} rows have", twice.len()) },
            does(twice.len(), "counts", "count"),
            listed(&twice, LISTED)
        ));
    }
}

/// A row for each person: standardised columns, cells without a value at the mean; of enough columns without the part that a constant
/// added to all cells, or a factor, would change.
fn profiles(columns: &[(String, Vec<Option<f64>>)], people: &[usize]) -> Vec<Vec<f64>> {
    let of = |(_, cells): &(String, Vec<Option<f64>>)| -> Option<(f64, f64, Vec<f64>)> {
        let known: Vec<f64> = people.iter().filter_map(|&row| cells[row]).collect();
        let count = known.len().max(1) as f64;
        let mean = known.iter().sum::<f64>() / count;
        let deviation = (known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        let scaled = || people.iter().map(|&row| cells[row].map_or(0.0, |v| (v - mean) / deviation)).collect();
        (deviation > 1e-12 * mean.abs() && deviation > 0.0).then(|| (mean, deviation, scaled()))
    };
    let scaled: Vec<(f64, f64, Vec<f64>)> = columns.iter().filter_map(of).collect();
    let mut all: Vec<Vec<f64>> =
        (0..people.len()).map(|n| scaled.iter().map(|(_, _, cells)| cells[n]).collect()).collect();
    if scaled.len() < SHIFTED {
        return all;
    }
    let unit = |mut v: Vec<f64>| {
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x = if norm > 0.0 { *x / norm } else { 0.0 });
        v
    };
    let along = |v: &[f64], of: &[f64]| v.iter().zip(of).map(|(a, b)| a * b).sum::<f64>();
    let take = |from: &mut [f64], direction: &[f64]| {
        let by = along(direction, from);
        from.iter_mut().zip(direction).for_each(|(x, d)| *x -= by * d);
    };
    let shift = unit(scaled.iter().map(|(_, deviation, _)| 1.0 / deviation).collect());
    let mut factor: Vec<f64> = scaled.iter().map(|(mean, deviation, _)| mean / deviation).collect();
    take(&mut factor, &shift);
    let factor = unit(factor);
    for row in &mut all {
        take(row, &shift);
        take(row, &factor);
    }
    all
}

/// The nearest rows of those that a split divides from this one.
fn neighbours(profiles: &[Vec<f64>], people: &[usize], at: usize, sides: &Sides) -> Neighbours {
    let mut found: Neighbours = Vec::with_capacity(NEIGHBOURS + 1);
    for (other, profile) in profiles.iter().enumerate() {
        if other == at || !sides.divide(people[at], people[other]) {
            continue;
        }
        let squares: f64 = profile.iter().zip(&profiles[at]).map(|(a, b)| (a - b) * (a - b)).sum();
        let place = found.partition_point(|(distance, _)| *distance <= squares);
        if place < NEIGHBOURS {
            found.insert(place, (squares, people[other]));
            found.truncate(NEIGHBOURS);
        }
    }
    found.iter().map(|(squares, other)| (squares.sqrt(), *other)).collect()
}

/// The usual distance of neighbours, and the share of it from which down two rows may be one.
///
/// In `p` dimensions, the share of people who have somebody within `c` of the distance of their fifth neighbour is about `5 c^p`. `p` is
/// estimated from how the distances of neighbours rise (Levina and Bickel 2005), so that columns that go together do not count twice, and
/// `c` is chosen so that in a table without copies [`BY_CHANCE`] pairs are expected, at most [`MOST`]. With too few rows to tell, rows that
/// are the same alone are found.
fn usual_and_limit(found: &[Neighbours], columns: usize) -> (f64, f64) {
    let median = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        of.get(of.len() / 2).copied()
    };
    let all = || found.iter().filter(|of| of.len() == NEIGHBOURS);
    let usual = median(all().map(|of| of[USUAL - 1].0).collect());
    let rise = median(
        all().filter(|of| of[USUAL - 1].0 > 0.0).map(|of| (of[NEIGHBOURS - 1].0 / of[USUAL - 1].0).ln()).collect(),
    );
    let (Some(usual), Some(rise)) = (usual, rise) else {
        // Distances as they are, so that they can be told from 0.
        let any = median(found.iter().filter_map(|of| of.last()).map(|of| of.0).collect()).unwrap_or(0.0);
        return (any, 0.0);
    };
    let expected: f64 = (USUAL..NEIGHBOURS).map(|k| 1.0 / k as f64).sum();
    let dimensions = (expected / rise.max(1e-9)).clamp(1.0, columns as f64);
    let by_chance = BY_CHANCE / (USUAL as f64 * found.len() as f64);
    (usual, by_chance.powf(1.0 / dimensions).min(MOST))
}
