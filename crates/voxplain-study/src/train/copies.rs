//! [`look`]: who is so like another on the other side of a split that they may be one person, looked for before anything is trained.

use super::{dataset::Dataset, options::TrainOptions};
use crate::{
    alike::{self, Brains, Copies, alike},
    cohort::PERSON,
    folds::Split,
    listed::{counted, does, listed},
    run::{AlikePair, NearDuplicates, Run},
    setting::{GROUP, NEAR_DUPLICATES},
};
use voxplain_core::{Error, Progress, Result, remedy, seal};
use voxplain_nn::Engine;

/// Names that are listed.
const LISTED: usize = 12;

/// On which side of which split everybody is.
pub(super) struct Sides {
    /// The splits in which each is held out.
    held_out: Vec<Vec<usize>>,
    /// Who is trained on in each split.
    trained: Vec<Vec<bool>>,
    /// People in folds; those of the test set come behind them.
    in_folds: usize,
}

impl Sides {
    pub(super) fn of(splits: &[Split], in_folds: usize) -> Self {
        let mut held_out = vec![Vec::new(); in_folds];
        let mut trained = vec![vec![false; in_folds]; splits.len()];
        for (fold, split) in splits.iter().enumerate() {
            split.test.iter().for_each(|&n| held_out[n].push(fold));
            split.train.iter().for_each(|&n| trained[fold][n] = true);
        }
        Self { held_out, trained, in_folds }
    }

    /// Whether one is trained on where the other is held out, or is in the test set.
    pub(super) fn divide(&self, one: usize, other: usize) -> bool {
        match (one < self.in_folds, other < self.in_folds) {
            (true, true) => {
                let known = |held: usize, n: usize| self.held_out[held].iter().any(|&fold| self.trained[fold][n]);
                known(one, other) || known(other, one)
            }
            (false, false) => false,
            _ => true,
        }
    }
}

/// Looks for people on both sides of a split, or in the test set and in a fold, who are so alike that they may be one.
///
/// # Errors
/// There are some, and they are not to be trained on; a volume cannot be read.
pub(super) fn look(
    dataset: &Dataset<'_>,
    splits: &[Split],
    options: &TrainOptions,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<NearDuplicates> {
    let cohort = dataset.cohort;
    let mut record = NearDuplicates { asked: options.near_duplicates, ..NearDuplicates::default() };
    if options.near_duplicates == Copies::Off {
        return Ok(record);
    }
    let people: Vec<usize> = dataset.subjects.iter().chain(&dataset.test).copied().collect();
    let sides = Sides::of(splits, dataset.len());
    let read = |n: usize| Ok((cohort.values(people[n])?, cohort.mask(people[n])?.into_data()));
    let [channels, shape @ ..] = cohort.preparation.input_shape();
    let brains = Brains {
        count: people.len(),
        channels,
        shape,
        spacing: cohort.preparation.spacing,
        read: &read,
        at_stake: &|one, other| sides.divide(one, other),
    };
    let found = alike(&brains, engine, progress)?;
    let id = |n: usize| cohort.subjects[people[n]].id.clone();
    let pair = |pair: &alike::Pair| AlikePair::of(pair, &id, &cohort.preparation.channels);
    record.limit = (!found.compared.is_empty()).then_some(found.limit);
    record.people = people.len();
    record.pairs = found.pairs().iter().map(pair).collect();
    record.next = found.next().map(pair);
    record.without = found.without.iter().map(|&n| id(n)).collect();
    say(&record, options, cohort.noun(), progress)?;
    Ok(record)
}

/// Refuses or names pairs, and says who could not be compared.
fn say(record: &NearDuplicates, options: &TrainOptions, noun: &str, progress: &dyn Progress) -> Result<()> {
    if !record.without.is_empty() && record.without.len() < record.people {
        progress.note(&format!(
            "{} of {} not compared with others in search of copies, since there is no pattern inside the mask: {}",
            counted(record.without.len(), noun),
            does(record.without.len(), "was", "were"),
            listed(&record.without, LISTED)
        ));
    }
    let Some(limit) = record.limit else {
        progress.note("copies of an image under two names were not looked for but by their hashes: too few brains here have a pattern of \
                       their own inside the mask");
        return Ok(());
    };
    // A hundredth more changes nothing that is worth a word here; the record has it.
    if limit >= 1.0 {
        progress.warn("brains of this cohort are so alike that copies of an image under two names cannot be told from other people, but by \
                       their hashes");
    } else if limit > alike::LIMIT + 0.05 {
        progress.note(&format!(
            "brains of this cohort are alike in general: of copies only those above a likeness of {limit:.2} are told from other people, \
             instead of {:.2}",
            alike::LIMIT
        ));
    }
    if record.pairs.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} {} so alike that they may be one person, and would be on both sides of a split: {}{}",
        counted(record.pairs.len(), "pair"),
        does(record.pairs.len(), "is", "are"),
        listed(&record.pairs, LISTED),
        record.next.as_ref().map_or_else(String::new, |next| format!("; the most alike of the others: {next}"))
    );
    if options.near_duplicates == Copies::Warn {
        progress.warn(&what);
        return Ok(());
    }
    Err(Error::request(
        what,
        remedy![
            format!(
                "look at both: of a copy keep one; scans of one person get the same name in a column {PERSON}, twins the same group ("
            ),
            GROUP,
            "); if they are different people, go on with ",
            NEAR_DUPLICATES.to(Copies::Warn)
        ],
    ))
}

/// Writes what was found into the run.
pub(super) fn record(run: &mut Run, found: NearDuplicates) -> Result<()> {
    if run.manifest.near_duplicates.as_ref() != Some(&found) {
        run.manifest.near_duplicates = Some(found);
        seal::write(&run.layout().manifest(), &run.manifest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_both_sides() {
        let splits = [Split { train: vec![2, 3], test: vec![0, 1] }, Split { train: vec![0, 1], test: vec![2, 3] }];
        let sides = Sides::of(&splits, 4);
        let divided = |a, b| (sides.divide(a, b), sides.divide(b, a));
        assert_eq!((divided(0, 1), divided(0, 2), divided(3, 1)), ((false, false), (true, true), (true, true)));
        // 4 and 5 are the test set.
        assert_eq!((divided(4, 5), divided(4, 0)), ((false, false), (true, true)));
        // Of a hold-out, whoever is held out is not trained on at all.
        let sides = Sides::of(&[Split { train: vec![1, 2], test: vec![0] }], 3);
        assert_eq!((sides.divide(1, 2), sides.divide(0, 1), sides.divide(2, 0)), (false, true, true));
    }
}
