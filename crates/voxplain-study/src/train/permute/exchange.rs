//! Whose labels may be exchanged, and the permutations that come of it.

use super::PermuteOptions;
use crate::{
    cohort::is_missing,
    compare::BlockKind,
    setting::{BLOCKS, WITHIN},
    train::{dataset::Dataset, options::TrainOptions, persons::Grouping},
};
use std::collections::BTreeMap;
use voxplain_core::{Error, Result, random::Seed, remedy};
use voxplain_stats::inference::{Blocks, Design, Exchange, Shuffle, Shuffles, Shuffling};

/// How labels may be exchanged, and that in words.
pub(super) fn exchange(
    dataset: &Dataset<'_>,
    trained: &TrainOptions,
    options: &PermuteOptions,
) -> Result<(Exchange, String)> {
    let blocks = match (&options.blocks, &dataset.grouping) {
        (Some(column), Some(grouping)) => {
            return Err(Error::request(
                format!(
                    "labels of those who share {} stay together in this run, and are to be permuted within {column} too",
                    grouping.column
                ),
                remedy!["leave out ", BLOCKS],
            ));
        }
        (Some(column), None) => {
            let cells = dataset.cohort.column(column)?;
            let mut names = Vec::new();
            for (position, &n) in dataset.subjects.iter().enumerate() {
                let Some(name) = cells[n].filter(|cell| !is_missing(cell, &trained.missing)) else {
                    return Err(Error::subject(
                        dataset.id(position),
                        format!("no value of column {column}, within which labels are permuted"),
                        remedy!["fill it in in participants.tsv, or name another column with ", BLOCKS],
                    ));
                };
                names.push(name);
            }
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let of = names.iter().map(|name| sorted.binary_search(name).unwrap_or_default()).collect();
            match options.block_kind {
                Some(BlockKind::Whole) => {
                    (Blocks::Whole(of), format!("between those who share {column} as a whole, of one number of images"))
                }
                Some(BlockKind::Within) | None => (Blocks::Within(of), format!("within the values of {column}")),
            }
        }
        (None, Some(grouping)) => {
            let noun = grouping.noun();
            match options.block_kind.unwrap_or_else(|| usual(dataset, grouping)) {
                BlockKind::Whole => {
                    let words = format!("between {noun} of one size (column {})", grouping.column);
                    (Blocks::Whole(grouping.of.clone()), words)
                }
                BlockKind::Within => {
                    (Blocks::Within(grouping.of.clone()), format!("within {noun} (column {})", grouping.column))
                }
            }
        }
        (None, None) if options.block_kind.is_some() => {
            return Err(Error::request(
                "labels are to be permuted by blocks, and neither a column nor groups of the run say which they are",
                remedy!["name a column with ", BLOCKS, ", or leave out ", WITHIN],
            ));
        }
        (None, None) => (Blocks::None, "freely".to_owned()),
    };
    let (blocks, words) = blocks;
    Ok((Exchange { shuffling: Shuffling::Permute, blocks }, format!("labels are permuted {words}")))
}

/// The permutations, and the least p that can come of them.
pub(super) fn shuffles(
    dataset: &Dataset<'_>,
    exchange: &Exchange,
    options: &PermuteOptions,
) -> Result<(Shuffles, f64)> {
    let of: Vec<f64> = match &dataset.values {
        Some(values) => values.of.clone(),
        None => dataset.labels.iter().map(|&label| label as f64).collect(),
    };
    let design = Design::new(vec![("intercept".into(), vec![1.0; of.len()]), ("label".into(), of)])?;
    let seed = Seed::new(options.seed).child("permuted labels");
    let shuffles = Shuffles::new(&design, exchange, options.permutations, seed).map_err(|_| {
        let column = options.blocks.as_ref().or(dataset.grouping.as_ref().map(|grouping| &grouping.column));
        let within = match (&exchange.blocks, column) {
            (Blocks::Within(_), Some(column)) => format!(" within the values of column {column}"),
            (Blocks::Whole(_), Some(column)) => format!(" between whole blocks of column {column}"),
            _ => String::new(),
        };
        Error::request(
            format!("labels cannot be exchanged{within} in a way that changes them"),
            remedy!["choose other ", BLOCKS, ", or another ", WITHIN],
        )
    })?;
    // Two classes of one size can change their names, which no classifier minds.
    let renamed = |shuffle: &Shuffle| {
        dataset.values.is_none()
            && dataset.classes.len() == 2
            && shuffle.order.iter().enumerate().all(|(n, &from)| dataset.labels[n] != dataset.labels[from])
    };
    let same =
        1 + if shuffles.are_all() { (0..shuffles.len()).filter(|n| renamed(&shuffles.get(*n))).count() } else { 0 };
    let least = same as f64 / (shuffles.len() + 1) as f64;
    Ok((shuffles, least))
}

/// Within groups where each group of several has several labels, such as sites or twins; else as a whole.
fn usual(dataset: &Dataset<'_>, grouping: &Grouping) -> BlockKind {
    // By the bits of a value, or by the class.
    let label = |n: usize| match &dataset.values {
        Some(values) => values.of[n].to_bits(),
        None => dataset.labels[n] as u64,
    };
    let mut groups = BTreeMap::<usize, Vec<u64>>::new();
    grouping.of.iter().enumerate().for_each(|(n, group)| groups.entry(*group).or_default().push(label(n)));
    let several: Vec<&Vec<u64>> = groups.values().filter(|labels| labels.len() > 1).collect();
    let differ = |labels: &&Vec<u64>| labels.iter().any(|label| *label != labels[0]);
    if !several.is_empty() && several.iter().all(differ) { BlockKind::Within } else { BlockKind::Whole }
}
