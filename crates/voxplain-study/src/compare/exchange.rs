//! Whom shuffles exchange with whom, and why.

use super::{BlockKind, Built, CompareOptions, Material, models};
use crate::{
    cohort::{Cohort, Persons},
    listed::counted,
    setting::{BLOCKS, WITHIN},
};
use voxplain_core::{Error, Result, remedy};
use voxplain_stats::inference::{Blocks, Exchange, Model, Shuffling};

/// Refuses repeated scans without blocks, and blocks by which scans of one person would be exchanged with those of others.
pub(super) fn refuse_divided(
    cohort: &Cohort,
    built: &Built,
    persons: &Persons,
    options: &CompareOptions,
) -> Result<()> {
    let Some(column) = options.paired.as_ref().or(options.blocks.as_ref()) else {
        return Err(Error::file(
            cohort.layout().participants(),
            format!(
                "{} are of {} people, and scans of one person cannot be exchanged with those of others",
                counted(built.subjects.len(), "image"),
                persons.names.len()
            ),
            remedy![
                "name the column of people with ",
                BLOCKS,
                " and say how they are exchanged with ",
                WITHIN,
                ", or compare one scan of each"
            ],
        ));
    };
    let cells = cohort.column(column)?;
    let block = |n: usize| cells[built.subjects[n]].unwrap_or_default();
    let pairs = (0..persons.of.len()).flat_map(|a| (a + 1..persons.of.len()).map(move |b| (a, b)));
    let wrong = pairs.into_iter().find(|&(a, b)| {
        let (one_person, one_block) = (persons.of[a] == persons.of[b], block(a) == block(b));
        match options.block_kind {
            // Whoever shares a block is exchanged: scans of one person alone may be.
            BlockKind::Within => one_block && !one_person,
            BlockKind::Whole => one_person && !one_block,
        }
    });
    let Some((a, b)) = wrong else { return Ok(()) };
    let id = |n: usize| cohort.subjects[built.subjects[n]].id.as_str();
    let what = match options.block_kind {
        BlockKind::Within => format!(
            "some people have several scans, and by column {column} {} and {}, which are of two people, would be exchanged",
            id(a),
            id(b)
        ),
        BlockKind::Whole => format!(
            "{} and {} are of one person and in two blocks of column {column}, which are exchanged as a whole",
            id(a),
            id(b)
        ),
    };
    Err(Error::file(
        cohort.layout().participants(),
        what,
        remedy!["name the column of people with ", BLOCKS, ", or compare one scan of each person"],
    ))
}

/// How subjects are exchanged, and why in words.
pub(super) fn exchange(
    material: &Material,
    options: &CompareOptions,
    built: &Built,
    model: &Model,
    models: Option<&[String]>,
) -> Result<(Exchange, String)> {
    // Where the other terms do not take the mean away, it is among what is tested, and to permute would leave it as it is.
    let of_mean = !model.explains_mean();
    let shuffling = if of_mean { Shuffling::Flip } else { Shuffling::Permute };
    let numbered = |names: &[&str]| -> Vec<usize> {
        let mut seen: Vec<&str> = Vec::new();
        names
            .iter()
            .map(|name| {
                seen.iter().position(|s| s == name).unwrap_or_else(|| {
                    seen.push(name);
                    seen.len() - 1
                })
            })
            .collect()
    };
    let done = if of_mean { "signs are flipped" } else { "subjects are permuted" };
    if let Some(column) = options.paired.as_ref().or(options.blocks.as_ref()) {
        let cells = material.cohort.column(column).map_err(|e| {
            Error::file(material.cohort.layout().participants(), e.to_string(), remedy!["name a column with ", BLOCKS])
        })?;
        let mut names = Vec::new();
        for &subject in &built.subjects {
            let Some(name) = cells[subject].filter(|cell| !crate::cohort::is_missing(cell, &options.missing)) else {
                return Err(Error::subject(
                    &material.cohort.subjects[subject].id,
                    format!("no value of column {column}, by which subjects are exchanged"),
                    remedy!["fill it in in participants.tsv, or name another column with ", BLOCKS],
                ));
            };
            names.push(name);
        }
        let of = numbered(&names);
        let (blocks, how) = match options.block_kind {
            BlockKind::Within => (Blocks::Within(of), format!("{done} within the values of {column}")),
            BlockKind::Whole => (Blocks::Whole(of), format!("{done} as whole blocks of {column}")),
        };
        return Ok((Exchange { shuffling, blocks }, how));
    }
    let by: Option<Vec<&str>> = models.map(|models| models.iter().map(String::as_str).collect());
    match by.map(|by| numbered(&by)).filter(|of| of.iter().any(|n| *n > 0)) {
        // Each subject's sign is its own, but the maps of a model share what it learnt: they flip together.
        Some(of) if of_mean => Ok((
            Exchange { shuffling, blocks: Blocks::Whole(of) },
            "signs are flipped for all maps of a model at once, since these are alike".into(),
        )),
        Some(of) => {
            let held = if models::are_held(built) { ", and these are held constant" } else { "" };
            Ok((
                Exchange { shuffling, blocks: Blocks::Within(of) },
                format!(
                    "subjects are permuted within the models that made their maps{held}, since maps of one model are alike"
                ),
            ))
        }
        None => Ok((Exchange { shuffling, blocks: Blocks::None }, format!("{done} freely"))),
    }
}
