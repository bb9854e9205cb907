//! [`NotSeen`]: the part of the field of view that cannot change what the networks of a run say.

use crate::figure::Underlay;
use voxplain_attribution::Unseen;
use voxplain_core::Result;
use voxplain_study::{cohort::Cohort, run::Run};
use voxplain_volume::Mask;

/// Which voxels, and what they are to the reader.
#[derive(Clone, Debug)]
pub(in crate::report) struct NotSeen {
    blind: Mask,
    /// Shares and edges; of the brain where the cohort is there.
    unseen: Unseen,
}

impl NotSeen {
    /// Of a run: the networks of its folds are one graph, so that any of them answers. None where they see every voxel, or
    /// where no model is there.
    pub(in crate::report) fn of_run(run: &Run, cohort: Option<&Cohort>) -> Result<Option<Self>> {
        let there = |fold: &usize| run.layout().fold(*fold).model().is_file();
        let Some(fold) = (0..run.manifest.folds).find(there) else { return Ok(None) };
        let model = run.model(fold)?.model;
        let Some(blind) = model.blind_voxels()? else { return Ok(None) };
        let unseen = match cohort.filter(|cohort| cohort.preparation.shape == blind.shape()) {
            Some(cohort) => cohort.unseen(&model.network, &(0..cohort.subjects.len()).collect::<Vec<_>>())?,
            None => model.unseen()?,
        };
        Ok(unseen.map(|unseen| Self { blind, unseen }))
    }

    /// Whether some of them may lie in a brain.
    pub(in crate::report) fn in_brains(&self) -> bool {
        self.unseen.share_of_mask != Some(0.0)
    }

    /// A brain with these voxels hatched.
    pub(in crate::report) fn hatch(not_seen: Option<&Self>, underlay: Underlay) -> Result<Underlay> {
        match not_seen {
            Some(not_seen) => underlay.with_unseen(&not_seen.blind),
            None => Ok(underlay),
        }
    }

    /// For the head of the page: `the network cannot see ...`.
    pub(in crate::report) fn fact(&self) -> String {
        let hatched = if self.in_brains() { "; hatched in the figures of maps" } else { "" };
        format!("the network {}{hatched}", self.unseen)
    }

    /// For the methods section: how many voxels, where, and how much of the brain.
    pub(in crate::report) fn sentence(&self) -> String {
        let (blind, all) = (self.blind.data().iter().filter(|v| **v).count(), self.blind.data().len());
        let brain = match self.unseen.share_of_mask {
            Some(0.0) => "none of them lies in a brain mask".to_owned(),
            Some(_) => "figures of maps hatch those in the mask".to_owned(),
            None => "figures of maps hatch those in the mask, where there are any".to_owned(),
        };
        format!(
            "Whatever its weights, {blind} of the {all} voxels of the field of view cannot change the output of the network, since no \
             window of its layers reaches them: it {}; {brain}.",
            self.unseen
        )
    }
}
