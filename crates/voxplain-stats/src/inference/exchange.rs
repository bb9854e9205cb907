//! [`Exchange`]: which subjects may be exchanged under the null hypothesis, and how.

use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result};

/// What is done to the residuals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shuffling {
    /// They are permuted: errors are exchangeable. For differences and regressions.
    #[default]
    Permute,
    /// Signs are flipped: errors are symmetric about 0. For a mean of one sample.
    Flip,
    /// Both: errors are exchangeable and symmetric.
    Both,
}

/// Within what subjects may be exchanged (Winkler 2015, `NeuroImage` 123:253).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "block")]
pub enum Blocks {
    /// All are free.
    #[default]
    None,
    /// Each subject stays in its block: sites, the networks that made the maps, the two scans of a person.
    Within(Vec<usize>),
    /// Blocks stay together, and those of one size change places as a whole: families, people with several scans whose group is what
    /// is tested. Signs are those of a block.
    Whole(Vec<usize>),
}

/// How subjects are exchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What is done.
    pub shuffling: Shuffling,
    /// Within what.
    pub blocks: Blocks,
}

impl Exchange {
    /// The subjects (by position) of each unit that moves as one, unit by unit, and for each set of units that may change places with
    /// each other, which they are.
    ///
    /// # Errors
    /// Blocks of another number of subjects.
    pub(super) fn units(&self, subjects: usize) -> Result<Units> {
        let of = match &self.blocks {
            Blocks::None => None,
            Blocks::Within(of) | Blocks::Whole(of) => Some(of),
        };
        if let Some(of) = of.filter(|of| of.len() != subjects) {
            return Err(Error::request(
                format!("blocks of {} subjects for a design of {subjects}", of.len()),
                "give a block for each subject",
            ));
        }
        let singles = || (0..subjects).map(|n| vec![n]).collect();
        let grouped = |keys: &dyn Fn(usize) -> usize, count: usize| {
            let mut sets = std::collections::BTreeMap::<usize, Vec<usize>>::new();
            (0..count).for_each(|unit| sets.entry(keys(unit)).or_default().push(unit));
            sets.into_values().collect()
        };
        Ok(match &self.blocks {
            Blocks::None => Units { members: singles(), sets: vec![(0..subjects).collect()] },
            Blocks::Within(of) => Units { members: singles(), sets: grouped(&|n| of[n], subjects) },
            Blocks::Whole(of) => {
                let members: Vec<Vec<usize>> = grouped(&|n| of[n], subjects);
                let sets = grouped(&|unit| members[unit].len(), members.len());
                Units { members, sets }
            }
        })
    }
}

/// What moves as one, and what may change places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Units {
    /// The subjects of each unit, ascending.
    pub(super) members: Vec<Vec<usize>>,
    /// Units that may change places with each other.
    pub(super) sets: Vec<Vec<usize>>,
}
