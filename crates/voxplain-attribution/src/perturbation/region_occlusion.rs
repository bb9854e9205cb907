//! [`RegionOcclusion`]: what the score loses where a region of an atlas is taken out.

use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::coalition::CoalitionGame;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::Attribution;
use crate::schema::OptionSchema;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::Result;

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
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
}

impl Default for RegionOcclusion {
    fn default() -> Self {
        Self { baseline: Baseline::Blur, blur: 10.0 }
    }
}

impl Method for RegionOcclusion {
    const NAME: &'static str = "region-occlusion";
    const SUMMARY: &'static str = "what the score loses without each region of an atlas (Rieke 2018)";
    const FAMILY: Family = Family::Perturbation;
    const CITATION: Option<Citation> = Some(citation::RIEKE_2018);
    const OPTIONS: &'static [OptionSchema] =
        &[OptionSchema::baseline("what takes the place of a region"), OptionSchema::BLUR];
    const BATCH: usize = 1;
    const BY_REGION: bool = true;
    const BASELINES: &'static [Baseline] = Baseline::FOR_HOLES;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        BaselineOptions::new(Self::NAME, self.baseline, self.blur).check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl RegionOcclusion {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let baseline = BaselineOptions::new(Self::NAME, self.baseline, self.blur);
        let mut game = CoalitionGame::new(explainer, case, &baseline, self.target())?;
        let count = game.players();
        // First all but one, then only one, last none.
        let scores = game.values(explainer, 2 * count + 1, |n, present| {
            if n < count {
                present.fill(true);
                present[n] = false;
            } else if n < 2 * count {
                present[n - count] = true;
            }
        })?;
        let empty = scores[2 * count];
        let lost: Vec<f64> = scores[..count].iter().map(|s| game.grand() - s).collect();
        let alone: Vec<f64> = scores[count..2 * count].iter().map(|s| s - empty).collect();
        let columns = [("LostWithout", &lost[..]), ("GainedAlone", &alone)];
        let mut record = game.record(self, explainer, empty, json!({}), &columns)?;
        record.units = format!("{} lost without the region, at every voxel of the region", case.score);
        record.sign = "positive: taking the region out lowers the explained score".into();
        Attribution::new(case, game.paint(&lost), record)
    }
}
