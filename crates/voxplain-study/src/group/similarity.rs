//! Similarity of the maps of two methods, subject by subject and on the group means.

use super::{Group, Member, read_map};
use crate::cohort::Cohort;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use voxplain_core::{Progress, Result, Table};
use voxplain_stats::{Interval, Overlap, PERCENTS, Top, cell, overlap, pearson, spearman};

/// Which maps were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The maps of each subject inside its brain mask; then the mean over subjects.
    Subjects,
    /// The group mean maps inside the brain mask of the group.
    GroupMean,
}

/// Similarity of two methods by one measure, with 95 % intervals by model ([`Interval::by_model`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimilarityRow {
    /// Which maps were compared.
    pub level: Level,
    /// Name of the group.
    pub group: String,
    /// The first method.
    pub a: String,
    /// The second method.
    pub b: String,
    /// `spearman`, `pearson` or `dice`.
    pub measure: String,
    /// For Dice: which part of the brain is compared, the most relevant voxels in per cent.
    pub percent: Option<f64>,
    /// For Dice: by what voxels are the most relevant.
    pub top: Option<Top>,
    /// The measure; `None` where it is defined for no subject.
    pub value: Option<Interval>,
    /// For Dice: corrected for chance (0: chance, 1: the same voxels).
    pub corrected: Option<Interval>,
    /// Number of subjects for whom it is not defined (a constant map, or too few voxels other than 0).
    pub undefined: usize,
}

/// One measure of one pair of maps, with and without correction for chance.
type Value = Option<(f64, Option<f64>)>;

/// All measures in their fixed order: Spearman, Pearson, then Dice by sign and per cent.
fn measures() -> impl Iterator<Item = (&'static str, Option<f64>, Option<Top>)> {
    let dice =
        [Top::Absolute, Top::Positive].into_iter().flat_map(|top| PERCENTS.map(|p| ("dice", Some(p), Some(top))));
    [("spearman", None, None), ("pearson", None, None)].into_iter().chain(dice)
}

fn measure(a: &[f32], b: &[f32]) -> Result<Vec<Value>> {
    measures()
        .map(|(name, percent, top)| match (name, percent, top) {
            ("spearman", ..) => Ok(spearman(a, b)?.map(|r| (r, None))),
            (_, Some(percent), Some(top)) => {
                Ok(overlap(a, b, percent, top)?.map(|Overlap { dice, corrected }| (dice, Some(corrected))))
            }
            _ => Ok(pearson(a, b)?.map(|r| (r, None))),
        })
        .collect()
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)))
}

pub(super) fn compare(
    cohort: &Cohort,
    members: &[Member],
    methods: &[String],
    groups: &[Group],
    means: &BTreeMap<(String, String), Vec<f32>>,
    progress: &dyn Progress,
) -> Result<Vec<SimilarityRow>> {
    if methods.len() < 2 {
        return Ok(Vec::new());
    }
    progress.begin("similarity", members.len());
    // Per subject, per pair, per measure.
    let values = members
        .par_iter()
        .map(|member| {
            progress.go_on()?;
            let mask = cohort.mask(member.index)?;
            let maps = member
                .maps
                .iter()
                .map(|file| Ok(super::inside(&read_map(cohort, member.index, file)?, &mask)))
                .collect::<Result<Vec<_>>>()?;
            let found = pairs(maps.len()).map(|(a, b)| measure(&maps[a], &maps[b])).collect::<Result<Vec<_>>>();
            progress.advance(1, &member.id);
            found
        })
        .collect::<Result<Vec<Vec<Vec<Value>>>>>();
    progress.end();
    let values = values?;

    let persons = cohort.persons(&members.iter().map(|member| member.index).collect::<Vec<_>>())?;
    let person = |n: usize| persons.as_ref().map_or(n, |persons| persons.of[n]);
    let mut rows = Vec::new();
    for group in groups.iter().filter(|g| !g.name.contains("outcome-")) {
        let of = group.positions(members.iter().map(|member| member.id.as_str()));
        for (pair, (a, b)) in pairs(methods.len()).enumerate() {
            for (m, (name, percent, top)) in measures().enumerate() {
                let found = of.iter().filter(|&&n| values[n][pair][m].is_some()).count();
                let by_model = |pick: fn(&(f64, Option<f64>)) -> Option<f64>| {
                    let model = |n: usize| members[n].model.as_deref();
                    Interval::of_maps(
                        of.iter().filter_map(|&n| Some((pick(&values[n][pair][m]?)?, model(n), person(n)))),
                    )
                };
                // A correlation, or a Dice coefficient, which is never below 0.
                let least = if name == "dice" { 0.0 } else { -1.0 };
                rows.push(SimilarityRow {
                    level: Level::Subjects,
                    group: group.name.clone(),
                    a: methods[a].clone(),
                    b: methods[b].clone(),
                    measure: name.into(),
                    percent,
                    top,
                    value: by_model(|v| Some(v.0)).map(|i| i.within(least, 1.0)),
                    corrected: by_model(|v| v.1).map(|i| i.within(f64::NEG_INFINITY, 1.0)),
                    undefined: of.len() - found,
                });
            }
        }
        for (a, b) in pairs(methods.len()) {
            let map = |n: usize| means.get(&(group.name.clone(), methods[n].clone()));
            let (Some(x), Some(y)) = (map(a), map(b)) else { continue };
            for ((name, percent, top), value) in measures().zip(measure(x, y)?) {
                rows.push(SimilarityRow {
                    level: Level::GroupMean,
                    group: group.name.clone(),
                    a: methods[a].clone(),
                    b: methods[b].clone(),
                    measure: name.into(),
                    percent,
                    top,
                    value: value.and_then(|v| Interval::of(&[v.0])),
                    corrected: value.and_then(|v| Interval::of(&[v.1?])),
                    undefined: usize::from(value.is_none()),
                });
            }
        }
    }
    Ok(rows)
}

pub(super) fn write_tsv(path: &Path, rows: &[SimilarityRow]) -> Result<()> {
    let columns = [
        "level",
        "group",
        "method_a",
        "method_b",
        "measure",
        "top_percent",
        "top_by",
        "n",
        "undefined",
        "value",
        "low",
        "high",
        "corrected",
        "corrected_low",
        "corrected_high",
        "models",
        "intraclass",
    ];
    let text = |r: &SimilarityRow| {
        let interval = |i: Option<Interval>| {
            [i.map(|i| cell(i.mean)), i.and_then(|i| i.low).map(cell), i.and_then(|i| i.high).map(cell)]
        };
        let level = match r.level {
            Level::Subjects => "subjects",
            Level::GroupMean => "group-mean",
        };
        let top = r.top.map(|t| match t {
            Top::Absolute => "absolute",
            Top::Positive => "positive",
        });
        let mut row = vec![
            Some(level.to_owned()),
            Some(r.group.clone()),
            Some(r.a.clone()),
            Some(r.b.clone()),
            Some(r.measure.clone()),
            r.percent.map(cell),
            top.map(str::to_owned),
            Some(r.value.map_or(0, |v| v.n).to_string()),
            Some(r.undefined.to_string()),
        ];
        row.extend(interval(r.value));
        row.extend(interval(r.corrected));
        row.push(r.value.and_then(|i| i.models).map(|n| n.to_string()));
        row.push(r.value.and_then(|i| i.intraclass).map(cell));
        row
    };
    let table = Table { columns: columns.map(str::to_owned).to_vec(), rows: rows.iter().map(text).collect() };
    table.write_tsv(path)
}
