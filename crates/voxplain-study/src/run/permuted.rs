//! [`PermutationTest`]: what a classifier reaches when labels are dealt out at random.

use super::Run;
use crate::folder::name_of;
use crate::setting::{CLASSIFIER, FORCE};
use crate::train::PermuteOptions;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use voxplain_core::{Action, Error, Result, remedy, seal};

/// A number that is tested, of the labels as they are and of each permutation of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermutedNumber {
    /// `AUC`, `macro AUC`, `balanced accuracy`, `mean absolute error`, `correlation`.
    pub name: String,
    /// Whether a smaller one is better.
    pub smaller_is_better: bool,
    /// Out of fold, by the labels as they are.
    pub observed: f64,
    /// The same of each permutation, in the order in which they were drawn.
    pub permuted: Vec<f64>,
    /// The share of all arrangements, the labels as they are among them, that reach what was observed.
    pub p: f64,
}

impl PermutedNumber {
    /// The 2.5th and the 97.5th percentile of the permutations, between order statistics as numpy's `percentile` takes them; what was observed
    /// where there are none.
    pub fn middle(&self) -> [f64; 2] {
        let mut sorted = self.permuted.clone();
        sorted.sort_by(f64::total_cmp);
        [0.025, 0.975].map(|share| {
            let Some(last) = sorted.len().checked_sub(1) else { return self.observed };
            let at = share * last as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
            let below = at.floor() as usize;
            let above = (below + 1).min(last);
            sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
        })
    }

    /// How many permutations reach what was observed.
    pub fn reached(&self) -> usize {
        let tie = 1e-9 * self.observed.abs();
        let reaches = |value: &&f64| {
            if self.smaller_is_better { **value <= self.observed + tie } else { **value >= self.observed - tie }
        };
        self.permuted.iter().filter(reaches).count()
    }
}

/// `permutations/<classifier>.json`: the test whether labels and images hang together, by training anew on labels that are dealt out
/// at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermutationTest {
    /// Version of voxplain.
    pub version: String,
    /// What the result hangs on, as a hash: options, volumes, labels.
    pub key: String,
    /// `cnn`, or the name of a comparator.
    pub classifier: String,
    /// BLAKE3 of the run's models when the test was made.
    pub models: Vec<String>,
    /// The column of labels.
    pub label: String,
    /// Number of permutations that are counted.
    pub permutations: usize,
    /// Whether these are all that differ.
    pub all: bool,
    /// How many arrangements of the labels differ, the one that there is among them.
    pub possible: f64,
    /// The least p that could occur, whatever the data.
    pub least_p: f64,
    /// How labels were permuted, in words.
    pub exchange: String,
    /// Where chance came from.
    pub seed: u64,
    /// What was asked; not known of files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<PermuteOptions>,
    /// The numbers; the first is the one that the sentences are about.
    pub numbers: Vec<PermutedNumber>,
    /// The result in sentences.
    pub summary: Vec<String>,
}

/// The permutation tests of a run, by name.
#[derive(Debug, Default)]
pub struct PermutationTests {
    /// Those by the models that the run has now.
    pub current: Vec<PermutationTest>,
    /// Files of those that other models were tested by.
    pub stale: Vec<PathBuf>,
    /// What cannot be read, and why.
    pub damaged: Vec<Error>,
}

impl Run {
    /// The permutation tests that there are.
    ///
    /// # Errors
    /// A folder that cannot be read; a model that is damaged; a fault of the machine.
    pub fn permutation_tests(&self) -> Result<PermutationTests> {
        let folder = self.layout().permutations();
        let mut found = PermutationTests::default();
        if !folder.is_dir() {
            return Ok(found);
        }
        let mut files = crate::folder::entries(&folder)?;
        files.retain(|file| self.layout().is_permutation_test(file));
        let now = self.models()?.all();
        for file in files {
            let classifier = name_of(&file).trim_end_matches(".json").to_owned();
            let again = Action::new("permute").on(&self.path).with(CLASSIFIER, classifier).switch(FORCE);
            match seal::read::<PermutationTest>(&file, remedy!["test again: ", again]) {
                Ok(test) if test.models == now => found.current.push(test),
                Ok(_) => found.stale.push(file),
                Err(error) if error.is_of_machine() => return Err(error),
                Err(error) => found.damaged.push(error),
            }
        }
        Ok(found)
    }
}
