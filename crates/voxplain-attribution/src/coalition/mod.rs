//! [`CoalitionGame`]: the regions of an atlas as players, the explained score as what a coalition of them is worth.

mod partition;

use crate::baseline::{BaselineOptions, Filling};
use crate::case::Case;
use crate::explainer::Explainer;
use crate::method::Method;
use crate::probe::Probe;
use crate::record::{Passes, Record};
use crate::target::Target;
use partition::Partition;
use serde_json::{Value, json};
use voxplain_core::Result;

/// The coalition game of one case.
///
/// Its players are the regions of an atlas that have a voxel in the case's brain, and the brain that no region covers. Its
/// value function gives each coalition `T` of players `v(T)`: the explained score of the image in which all players but those
/// of `T` are replaced by the baseline (Lundberg and Lee 2017, arXiv 1705.07874; Covert et al. 2021, arXiv 2011.14878).
#[derive(Debug)]
pub(crate) struct CoalitionGame<'a> {
    partition: Partition,
    filling: Filling,
    probe: Probe<'a>,
}

impl<'a> CoalitionGame<'a> {
    /// The game of a case. A case without a target is explained as `default` says.
    pub(crate) fn new(
        explainer: &mut Explainer,
        case: &Case<'a>,
        baseline: &BaselineOptions<'_>,
        default: Target,
    ) -> Result<Self> {
        let partition = Partition::of(case, baseline.method)?;
        let probe = Probe::new(explainer, case, default)?;
        let filling = baseline.filling(explainer, case, &probe.objective)?;
        Ok(Self { partition, filling, probe })
    }

    /// The case.
    pub(crate) const fn case(&self) -> &Case<'a> {
        &self.probe.case
    }

    /// How many players there are.
    pub(crate) fn players(&self) -> usize {
        self.partition.parts.len()
    }

    /// The value of the grand coalition, of all players: the score of the image itself.
    pub(crate) fn grand(&self) -> f64 {
        self.probe.score()
    }

    /// The value function at `count` coalitions, one pass forward for each; `join` is given the number of each and says who
    /// is in, of players who are all out at first.
    pub(crate) fn values(
        &mut self,
        explainer: &mut Explainer,
        count: usize,
        mut join: impl FnMut(usize, &mut [bool]),
    ) -> Result<Vec<f64>> {
        let Self { partition, filling, probe } = self;
        let mut present = vec![false; partition.parts.len()];
        probe.scores(explainer, count, |n, image| {
            present.fill(false);
            join(n, &mut present);
            partition.keep(&present, filling, image);
        })
    }

    /// The record of a method's map so far: all but units and sign. `empty` is the value of the empty coalition, `own` what the
    /// method itself measured, `columns` are numbers of each player.
    pub(crate) fn record<M: Method>(
        &self,
        method: &M,
        explainer: &mut Explainer,
        empty: f64,
        own: Value,
        columns: &[(&str, &[f64])],
    ) -> Result<Record> {
        let Self { partition, probe, .. } = self;
        let ood_distance = probe.ood_distance(explainer)?;
        let mut record = method.record(explainer, &probe.case, &probe.objective, &probe.logits);
        record.passes = Passes { forward: probe.passes, backward: 0 };
        record.measured["ScoreWithoutBrain"] = json!(empty);
        for (key, value) in own.as_object().into_iter().flatten() {
            record.measured[key] = value.clone();
        }
        record.measured["DistanceFromTraining"] = ood_distance;
        record.measured["BrainIs"] = json!(partition.brain_is);
        record.measured["RegionsWithoutVoxel"] = json!(partition.absent);
        record.measured["Regions"] = partition.table(columns);
        record.warnings.extend(partition.warnings.iter().cloned());
        Ok(record)
    }

    /// A map that has each player's value at all of its voxels, and 0 outside the brain.
    pub(crate) fn paint(&self, values: &[f64]) -> Vec<f32> {
        self.partition.paint(values, self.case().voxels())
    }

    /// A map that shares each player's value out evenly among its voxels, and has 0 outside the brain: it sums to the sum of
    /// the values.
    pub(crate) fn share_out(&self, values: &[f64]) -> Vec<f32> {
        self.partition.share_out(values, self.case().voxels())
    }
}
