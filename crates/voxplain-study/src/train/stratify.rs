//! [`Covariates`]: columns by which folds are balanced beside the label.

use super::{
    dataset::{Dataset, list},
    options::TrainOptions,
    value::{self, TaskKind},
};
use crate::{
    cohort::is_missing,
    folds::{Split, balance},
    listed::counted,
    setting::{MISSING, STRATIFY},
    spelling::number,
};
use std::collections::BTreeSet;
use voxplain_core::{Error, Result, remedy};
use voxplain_stats::significant;

/// Into how many bins a numeric covariate is put, each of as many subjects.
const BINS: usize = 5;
/// What subjects without a value are called.
const NOTHING: &str = "no value";

/// One column.
struct Covariate {
    column: String,
    /// The category of each subject, by position in the names.
    of: Vec<usize>,
    names: Vec<String>,
    /// The numbers of those who have one, where the column is numeric.
    numbers: Option<Vec<Option<f64>>>,
}

/// The splits, balanced by the columns that are asked for, and what balance that gave, in sentences.
///
/// # Errors
/// There is no such column, or folds cannot be balanced by it.
pub(super) fn balanced(
    dataset: &Dataset<'_>,
    splits: Vec<Split>,
    options: &TrainOptions,
) -> Result<(Vec<Split>, Vec<String>)> {
    if options.stratify.is_empty() {
        return Ok((splits, Vec::new()));
    }
    let covariates =
        options.stratify.iter().map(|column| Covariate::of(dataset, column, options)).collect::<Result<Vec<_>>>()?;
    let categories: Vec<Vec<usize>> = covariates.iter().map(|covariate| covariate.of.clone()).collect();
    let splits = balance(&splits, &dataset.labels, dataset.groups(), &categories, options.split);
    let said = covariates.iter().map(|covariate| covariate.achieved(&splits)).collect();
    Ok((splits, said))
}

impl Covariate {
    fn of(dataset: &Dataset<'_>, column: &str, options: &TrainOptions) -> Result<Self> {
        let name_another = || remedy!["name other columns with ", STRATIFY, ", or leave it out"];
        if column == options.label {
            let what = format!("folds are balanced by the label, {column}, anyway");
            return Err(Error::request(what, name_another()));
        }
        if options.group.as_deref() == Some(column) {
            let what = format!("folds cannot be balanced by column {column}, whose groups each stay in one of them");
            return Err(Error::request(what, name_another()));
        }
        if options.stratify.iter().filter(|other| *other == column).count() > 1 {
            return Err(Error::request(format!("column {column} is named twice"), name_another()));
        }
        let written = dataset.cohort.column(column)?;
        let cells: Vec<Option<&str>> = dataset
            .subjects
            .iter()
            .map(|&n| written[n].map(str::trim).filter(|cell| !is_missing(cell, &options.missing)))
            .collect();
        let values: BTreeSet<&str> = cells.iter().flatten().copied().collect();
        if values.len() + usize::from(cells.contains(&None)) < 2 {
            let what = match values.first() {
                Some(only) => {
                    format!("column {column} has one value, {only}, for everybody: there is nothing to balance")
                }
                None => format!("column {column} has no value for anybody: there is nothing to balance"),
            };
            return Err(Error::request(what, name_another()));
        }
        let there: Vec<&str> = cells.iter().flatten().copied().collect();
        dataset.refuse_recode((column, &cells), options, STRATIFY)?;
        let numeric = value::kind(&there) == TaskKind::Value;
        let (of, mut names, numbers) = if numeric {
            let odd: Vec<String> =
                there.iter().filter(|cell| number(cell).is_none()).map(|c| (*c).to_owned()).collect();
            if !odd.is_empty() {
                let what = format!("column {column} holds numbers, and words among them: {}", list(&odd));
                return Err(Error::request(
                    what,
                    remedy!["mend these cells, or say which words stand for no value with ", MISSING],
                ));
            }
            let numbers: Vec<f64> = there.iter().filter_map(|cell| number(cell)).collect();
            let (bins, names) = value::bins(&numbers, BINS);
            let mut bins = bins.into_iter();
            let of: Vec<Option<usize>> = cells.iter().map(|cell| cell.and_then(|_| bins.next())).collect();
            (of, names, Some(cells.iter().map(|cell| cell.and_then(number)).collect()))
        } else {
            if 2 * values.len() > there.len() {
                let what = format!(
                    "column {column} has {} for {}: nearly everybody has another one, and folds cannot be balanced by it",
                    counted(values.len(), "word"),
                    counted(there.len(), dataset.cohort.noun())
                );
                return Err(Error::request(what, name_another()));
            }
            let names: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
            let of = cells.iter().map(|cell| cell.and_then(|cell| names.iter().position(|name| name == cell)));
            (of.collect(), names, None)
        };
        let nothing = names.len();
        if of.contains(&None) {
            names.push(NOTHING.to_owned());
        }
        let of = of.into_iter().map(|category| category.unwrap_or(nothing)).collect();
        Ok(Self { column: column.to_owned(), of, names, numbers })
    }

    /// How alike the held-out parts are, in a sentence.
    fn achieved(&self, splits: &[Split]) -> String {
        let mut worst: Option<(f64, String)> = None;
        for (fold, split) in splits.iter().enumerate() {
            for (category, name) in self.names.iter().enumerate() {
                let of = |members: &[usize]| members.iter().filter(|&&n| self.of[n] == category).count() as f64;
                let held = of(&split.test);
                let all = held + of(&split.train);
                let share = all * split.test.len() as f64 / self.of.len().max(1) as f64;
                let away = (held - share).abs();
                if worst.as_ref().is_none_or(|(most, _)| away > *most) {
                    let what = format!("fold {fold} holds out {held} of {name} where {share:.1} would be its share");
                    worst = Some((away, what));
                }
            }
        }
        let most = worst.map_or_else(String::new, |(_, what)| format!("; furthest from it, {what}"));
        let nothing = self.of.iter().filter(|&&category| self.names[category] == NOTHING).count();
        let without =
            if nothing > 0 { format!(", and {nothing} without a value a part of their own") } else { String::new() };
        let how = match &self.numbers {
            Some(_) => format!("{} bins of as many people each{without}", self.names.len() - usize::from(nothing > 0)),
            None => format!("{} values{without}", self.names.len() - usize::from(nothing > 0)),
        };
        let means = self.numbers.as_ref().map(|numbers| {
            let mean = |members: &[usize]| {
                let of: Vec<f64> = members.iter().filter_map(|&n| numbers[n]).collect();
                (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
            };
            let each: Vec<f64> = splits.iter().filter_map(|split| mean(&split.test)).collect();
            let (low, high) = each.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            let shown = |v| significant(v, 4);
            match (each.len(), mean(&(0..self.of.len()).collect::<Vec<_>>())) {
                (0, _) | (_, None) => String::new(),
                (1, Some(all)) => format!("; mean of those held out {}, of all {}", shown(low), shown(all)),
                (_, Some(all)) => {
                    format!("; means of the held-out parts {} to {}, of all {}", shown(low), shown(high), shown(all))
                }
            }
        });
        format!("folds are balanced by {} ({how}){}{most}", self.column, means.unwrap_or_default())
    }
}
