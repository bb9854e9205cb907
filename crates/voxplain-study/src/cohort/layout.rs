//! [`CohortLayout`]: where everything of a cohort lies.

use crate::shard::Shard;
use std::path::{Path, PathBuf};

/// The files of a cohort's directory. Every path in a cohort is made here.
#[derive(Clone, Copy, Debug)]
pub struct CohortLayout<'a> {
    root: &'a Path,
}

impl<'a> CohortLayout<'a> {
    /// The files of a cohort in this directory, whether it is there or not.
    pub const fn at(root: &'a Path) -> Self {
        Self { root }
    }

    /// `cohort.json`: the subjects, their grids and how they were prepared. It makes a directory a cohort.
    pub fn document(self) -> PathBuf {
        self.root.join("cohort.json")
    }

    /// `participants.tsv`: labels and covariates, a row a subject.
    pub fn participants(self) -> PathBuf {
        self.root.join("participants.tsv")
    }

    /// `volumes.npy`: prepared volumes, `[N, i, j, k]`, float32.
    pub fn volumes(self) -> PathBuf {
        self.root.join("volumes.npy")
    }

    /// `masks.npy`: brain masks, `[N, i, j, k]`, uint8.
    pub fn masks(self) -> PathBuf {
        self.root.join("masks.npy")
    }

    /// `truth.nii.gz`, of a simulated cohort: 1 where the classes differ.
    pub fn truth(self) -> PathBuf {
        self.root.join("truth.nii.gz")
    }

    /// `atlas.nii.gz`, of a simulated cohort: the regions of the mean anatomy.
    pub fn atlas(self) -> PathBuf {
        self.root.join("atlas.nii.gz")
    }

    /// `atlas.tsv`, of a simulated cohort: the names of its regions.
    pub fn atlas_labels(self) -> PathBuf {
        self.root.join("atlas.tsv")
    }

    /// `<cohort>.partial`, beside the directory: where a cohort is built until it is whole.
    pub fn partial(self) -> PathBuf {
        let mut name = self.root.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        self.root.with_file_name(name)
    }

    /// `<cohort>.shards`, beside the directory: what several processes prepare, until it is merged.
    pub fn shards(self) -> PathBuf {
        let mut name = self.root.file_name().unwrap_or_default().to_owned();
        name.push(".shards");
        self.root.with_file_name(name)
    }

    /// `<cohort>.shards/plan.json`: what all shards share.
    pub(crate) fn shared_plan(self) -> PathBuf {
        self.shards().join("plan.json")
    }

    /// `<cohort>.shards/<number>-of-<all>`: the cohort of a shard.
    pub(crate) fn shard(self, shard: Shard) -> PathBuf {
        self.shards().join(format!("{}-of-{}", shard.number(), shard.of()))
    }

    /// `<cohort>.shards/<number>-of-<all>.json`: that nobody of a shard could be prepared, and why.
    pub(crate) fn failed_shard(self, shard: Shard) -> PathBuf {
        self.shards().join(format!("{}-of-{}.json", shard.number(), shard.of()))
    }

    /// `plan.json`, while it is built: the command and options that make it.
    pub(crate) fn plan(self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// `done`, while it is built: a folder with a mark for each subject whose data are written.
    pub(crate) fn marks(self) -> PathBuf {
        self.root.join("done")
    }

    /// `done/<n>.json`: the subject in place `n`.
    pub(super) fn mark(self, n: usize) -> PathBuf {
        self.marks().join(format!("{n}.json"))
    }

    /// Every file of a finished cohort, and the plan, which goes last when one is finished.
    pub(super) fn files(self) -> [PathBuf; 8] {
        [
            self.plan(),
            self.document(),
            self.participants(),
            self.volumes(),
            self.masks(),
            self.truth(),
            self.atlas(),
            self.atlas_labels(),
        ]
    }
}
