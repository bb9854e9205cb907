//! [`matched`]: the people whom each fold is trained on, matched on covariates.

use super::{dataset::Dataset, options::TrainOptions};
use crate::{
    folds::Split,
    listed::{and, counted, does},
    matched::{Balance, MIN_PAIRS, MatchOn, Matchable},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use voxplain_core::{Error, Result, random::Seed};

/// Random orders of matching, of which the one with the most pairs is trained on.
const ORDERS: usize = 200;

/// Whom the folds of a run were trained on, where these people were matched: `matching.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedOnMatched {
    /// The covariates, in words.
    pub on: Vec<String>,
    /// How far apart the two of a pair may be in a number, in standard deviations of the training part.
    pub caliper: f64,
    /// Names of the two classes, as pairs have them.
    pub classes: Vec<String>,
    /// Fold by fold.
    pub folds: Vec<MatchedFold>,
}

/// The training part of a fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchedFold {
    /// The fold.
    pub fold: usize,
    /// People of its training part before.
    pub before: usize,
    /// Ids of those who are trained on: one of each class.
    pub pairs: Vec<[String; 2]>,
    /// Ids of those who were left out because they have no value in one of the columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_value: Vec<String>,
    /// Ids of images that were left out because another one of the person may be taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_images: Vec<String>,
    /// How far the classes differ, before and after.
    pub balance: Vec<Balance>,
}

/// The splits with the training part of each matched, where that is asked for, and who that is. Who is held out stays.
///
/// # Errors
/// The columns cannot be matched on ([`Matchable::of`]), or a fold has too few pairs.
pub(super) fn matched(
    dataset: &Dataset<'_>,
    splits: Vec<Split>,
    options: &TrainOptions,
) -> Result<(Vec<Split>, Option<TrainedOnMatched>)> {
    let asked = MatchOn { columns: options.matched.clone(), caliper: options.caliper };
    asked.check()?;
    if asked.columns.is_empty() {
        return Ok((splits, None));
    }
    let learnt = (options.label.as_str(), dataset.learnt());
    let of = Matchable::of(dataset.cohort, &dataset.subjects, learnt, &asked, &options.missing)?;
    let seed = Seed::new(options.seed).child("matching");
    let names = of.names();
    let (mut kept, mut folds) = (Vec::new(), Vec::new());
    for (fold, split) in splits.into_iter().enumerate() {
        let (there, matching) = of.matching(&split.train);
        let all: Vec<usize> = (0..there.len()).collect();
        let pairs = matching.most_pairs(&all, ORDERS, seed.index(fold as u64));
        let pairs: Vec<[usize; 2]> = pairs.iter().map(|pair| pair.map(|at| there[at])).collect();
        if pairs.len() < MIN_PAIRS {
            let of_class = [0, 1].map(|class| there.iter().filter(|&&n| dataset.labels[n] == class).count());
            let each = [0, 1].map(|class| format!("{} of {}", of_class[class], dataset.classes[class]));
            let least = of_class[0].min(of_class[1]);
            return Err(Error::request(
                format!(
                    "fold {fold} has {} of people alike in {} (within {} standard deviations), among {}: fewer than the {MIN_PAIRS} that are trained on",
                    counted(pairs.len(), "pair"),
                    of.on(),
                    of.caliper(),
                    each.join(" and ")
                ),
                of.more_pairs(least),
            ));
        }
        let mut train: Vec<usize> = pairs.iter().flatten().copied().collect();
        train.sort_unstable();
        folds.push(MatchedFold {
            fold,
            before: split.train.len(),
            pairs: pairs.iter().map(|pair| pair.map(|n| names[n].to_owned())).collect(),
            without_value: of.without_value(&split.train),
            further_images: of.further(&split.train),
            balance: of.balance(&there, &[pairs]),
        });
        kept.push(Split { train, test: split.test });
    }
    let record = TrainedOnMatched {
        on: of.covariates().to_vec(),
        caliper: of.caliper(),
        classes: dataset.classes.clone(),
        folds,
    };
    Ok((kept, Some(record)))
}

impl TrainedOnMatched {
    /// What was done, in a sentence; `file` is where the rest stands.
    pub fn sentence(&self, file: &str) -> String {
        let range = |of: &dyn Fn(&MatchedFold) -> usize| {
            let (least, most) =
                self.folds.iter().map(of).fold((usize::MAX, 0), |(least, most), n| (least.min(n), most.max(n)));
            if least == most { most.to_string() } else { format!("{least} to {most}") }
        };
        let most = |of: fn(&Balance) -> Option<f64>| {
            let sizes = self.folds.iter().flat_map(|fold| &fold.balance).filter_map(of);
            sizes.map(f64::abs).fold(None, |most: Option<f64>, size| Some(most.map_or(size, |most| most.max(size))))
        };
        let balance = match (most(|b| b.before), most(|b| b.after)) {
            (Some(before), Some(after)) => {
                format!("; the largest standardised difference of means is {before:.2} before, {after:.2} after")
            }
            _ => String::new(),
        };
        let without: BTreeSet<&String> = self.folds.iter().flat_map(|fold| &fold.without_value).collect();
        let without = match without.len() {
            0 => String::new(),
            n => format!("; {} without a value {} not trained on", counted(n, "subject"), does(n, "is", "are")),
        };
        format!(
            "matched on {} (within {} standard deviations): each fold trains on {} of {} of its training part, pairs of {} and {}{balance}{without}. Who \
             is held out stays; who is trained on is in {file}",
            and(&self.on),
            self.caliper,
            range(&|fold| 2 * fold.pairs.len()),
            range(&|fold| fold.before),
            self.classes[0],
            self.classes[1]
        )
    }
}
