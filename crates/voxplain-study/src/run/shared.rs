//! [`Run::shared_images`]: images that stand on both sides of a split.

use super::Run;
use crate::cohort::Cohort;
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::Result;

impl Run {
    /// Pairs of subjects with one and the same image, or prepared volume, of any channel, of whom one was trained on where the other was
    /// held out, or one is in the test set and the other in a fold; by id. `cohort` must be the run's own. Training refuses them.
    ///
    /// # Errors
    /// A fold has not begun, or its file is damaged; another cohort.
    pub fn shared_images(&self, cohort: &Cohort) -> Result<BTreeSet<(String, String)>> {
        self.check_cohort(cohort)?;
        let mut of = BTreeMap::<&str, BTreeSet<usize>>::new();
        for (n, subject) in cohort.subjects.iter().enumerate() {
            subject.images().for_each(|hash| _ = of.entry(hash).or_default().insert(n));
        }
        let several: Vec<&BTreeSet<usize>> = of.values().filter(|who| who.len() > 1).collect();
        let id = |n: usize| cohort.subjects[n].id.as_str();
        let mut pairs = BTreeSet::new();
        let mut add =
            |one: usize, other: usize| pairs.insert((id(one.min(other)).to_owned(), id(one.max(other)).to_owned()));
        for fold in 0..self.manifest.folds {
            let split = self.split(fold)?;
            let (trained, held): (BTreeSet<usize>, BTreeSet<usize>) =
                (split.train.into_iter().collect(), split.test.into_iter().collect());
            for who in &several {
                for &one in who.iter().filter(|n| trained.contains(n)) {
                    let others = who.iter().filter(|&&n| held.contains(&n) || self.manifest.is_kept_for_test(id(n)));
                    others.for_each(|&other| _ = add(one, other));
                }
            }
        }
        Ok(pairs)
    }
}
