//! [`RegionOcclusion`]: what the score loses where a region of an atlas is taken out.

use crate::Result;
use crate::perturbation::probe::Probe;
use crate::{Attribution, Case, Explainer, Infill, Method, Passes, Regions, Score};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Occlusion by regions of an atlas (Rieke et al. 2018, arXiv 1808.02874, "brain area occlusion").
///
/// Each region in turn, and the brain that no region covers, is replaced by the baseline. The map has
/// `S(x) - S(x without the region)` at every voxel of the region: positive where taking it out lowers the score. The value is the
/// region's, not the voxel's: a large region is not worth more for having more voxels, and the values do not add up to anything.
/// The table in the record also has what the region does alone, `S(x with only the region) - S(x without brain)`.
///
/// The paper puts 0 in the place of the region; that is `baseline=zero`. Regions are cut at the brain's edge.
/// Cost: two passes forward for each region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegionOcclusion {
    /// What takes the place of a region.
    pub baseline: Infill,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
}

impl Default for RegionOcclusion {
    fn default() -> Self {
        Self { baseline: Infill::Blur, blur: 10.0 }
    }
}

impl Method for RegionOcclusion {
    const NAME: &'static str = "region-occlusion";
    const SUMMARY: &'static str = "what the score loses without each region of an atlas (Rieke 2018)";
    const BATCH: usize = 1;
    const BY_REGION: bool = true;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.baseline.suits(explainer, Self::NAME, self.blur)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl RegionOcclusion {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let parts = Regions::of(case, Self::NAME)?;
        let mut filling = self.baseline.prepare(explainer, case, self.blur)?;
        let mut probe = Probe::new(explainer, case, self.target())?;
        let count = parts.parts.len();
        // First all but one, then only one, last none.
        let scores = probe.scores(explainer, 2 * count + 1, |n, copy| {
            let present: Vec<bool> =
                (0..count).map(|part| if n < count { part != n } else { part + count == n }).collect();
            parts.keep(&present, &mut filling, copy);
        })?;
        let empty = scores[2 * count];
        let lost: Vec<f64> = scores[..count].iter().map(|s| probe.score() - s).collect();
        let alone: Vec<f64> = scores[count..2 * count].iter().map(|s| s - empty).collect();

        let familiarity = probe.familiarity(explainer)?;
        let mut record = explainer.record(self, case, &probe.objective, &probe.logits);
        record.units = format!("{} lost without the region, at every voxel of the region", case.score);
        record.sign = "positive: taking the region out lowers the explained score".into();
        record.passes = Passes { forward: probe.passes, backward: 0 };
        record.measured = json!({
            "ScoreWithoutBrain": empty, "DistanceFromTraining": familiarity, "BrainIs": parts.brain_is, "RegionsWithoutVoxel": parts.absent,
            "Regions": parts.table(&[("LostWithout", &lost), ("GainedAlone", &alone)]),
        });
        record.warnings.extend(parts.warnings.iter().cloned());
        Attribution::new(case, parts.paint(&lost, case.voxels()), record)
    }
}
