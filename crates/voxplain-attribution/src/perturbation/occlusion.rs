//! [`Occlusion`]: what the score loses where a box of the image is covered.

use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::probe::Probe;
use crate::record::{Attribution, Passes};
use crate::schema::{OptionSchema, Unit};
use crate::target::Score;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::{Error, Result};
use voxplain_volume::Grid;

/// Occlusion (Zeiler and Fergus 2014, arXiv 1311.2901, section 4.2), in three dimensions.
///
/// A box of `window` mm is covered by the baseline and moved over the brain in steps of `stride` mm. The map at a voxel is
/// `S(x) - S(x with the box covered)`, averaged over the boxes that cover the voxel: positive where covering lowers the score.
///
/// Boxes that hold no voxel of the brain, and boxes whose covering changes no value, are not sent through the network and
/// count as 0. Lengths are rounded to whole voxels, at least one. The lattice of boxes is centred on the volume, so that
/// left and right are treated alike; where it overhangs, it does by as much at either end, and boxes are cut at the faces.
/// (Captum starts at voxel 0 and overhangs at the far end; the two are the same where the boxes fit.)
///
/// Cost: one pass forward for each box that touches the brain, some thousands by default; a dozen volumes in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Occlusion {
    /// Length of the box along each axis, in mm.
    pub window: f64,
    /// From one box to the next along each axis, in mm; no more than `window`.
    pub stride: f64,
    /// What covers.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
}

impl Default for Occlusion {
    fn default() -> Self {
        Self { window: 16.0, stride: 8.0, baseline: Baseline::Blur, blur: 10.0 }
    }
}

impl Method for Occlusion {
    const NAME: &'static str = "occlusion";
    const SUMMARY: &'static str = "what the score loses where a moving box is covered (Zeiler 2014)";
    const FAMILY: Family = Family::Perturbation;
    const CITATION: Option<Citation> = Some(citation::ZEILER_2014);
    const CONTOUR: Option<u8> = Some(6);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::number("window", Unit::Millimetre, 0.0, f64::MAX, "length of the box along each axis"),
        OptionSchema::number(
            "stride",
            Unit::Millimetre,
            0.0,
            f64::MAX,
            "from one box to the next, no more than window",
        ),
        OptionSchema::baseline("what covers"),
        OptionSchema::BLUR,
    ];
    const BATCH: usize = 1;
    const BASELINES: &'static [Baseline] = Baseline::FOR_HOLES;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        BaselineOptions::new(Self::NAME, self.baseline, self.blur).check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl Occlusion {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let axes = self.axes(case.image.grid())?;
        let mut probe = Probe::new(explainer, case, self.target())?;
        let baseline = BaselineOptions::new(Self::NAME, self.baseline, self.blur);
        let mut filling = baseline.filling(explainer, case, &probe.objective)?;
        let (image, (brain, brain_is)) = (case.values(), case.brain());

        // Boxes that hold brain and whose covering changes something.
        let mut copy = image.to_vec();
        let (mut boxes, mut outside, mut unchanged) = (Vec::new(), 0, 0);
        for corner in corners(&axes) {
            let voxels = voxels(case.image.grid(), corner);
            if !voxels.iter().any(|&n| brain.data()[n]) {
                outside += 1;
                continue;
            }
            filling.fill(&mut copy, &voxels);
            let mut changed = false;
            for (copy, image) in copy.chunks_mut(case.voxels()).zip(image.chunks(case.voxels())) {
                changed |= voxels.iter().any(|&n| copy[n] != image[n]);
                voxels.iter().for_each(|&n| copy[n] = image[n]);
            }
            if changed {
                boxes.push(corner);
            } else {
                unchanged += 1;
            }
        }

        let scores = probe.scores(explainer, boxes.len(), |n, copy| {
            filling.fill(copy, &voxels(case.image.grid(), boxes[n]));
        })?;
        let score = probe.score();
        let mut sums = vec![0.0; case.voxels()];
        for (&corner, occluded) in boxes.iter().zip(&scores) {
            voxels(case.image.grid(), corner).iter().for_each(|&n| sums[n] += score - occluded);
        }
        let covering = axes.each_ref().map(|axis| axis.covering());
        let map = sums.iter().enumerate().map(|(n, sum)| {
            let at = case.image.grid().voxel(n);
            #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
            let mean = (sum / (0..3).map(|a| covering[a][at[a]] as f64).product::<f64>()) as f32;
            mean
        });
        let map = map.collect();

        let ood_distance = probe.ood_distance(explainer)?;
        let mut record = self.record(explainer, case, &probe.objective, &probe.logits);
        record.units = format!("{}, lost where a box is covered; mean over the boxes that cover a voxel", case.score);
        record.sign = "positive: covering this lowers the explained score".into();
        record.passes = Passes { forward: probe.passes, backward: 0 };
        let drops = || scores.iter().map(|s| score - s);
        record.measured = json!({
            "WindowVoxels": axes.each_ref().map(|a| a.window),
            "StrideVoxels": axes.each_ref().map(|a| a.stride),
            "Boxes": boxes.len(), "BoxesOutsideTheBrain": outside, "BoxesThatChangeNothing": unchanged, "DistanceFromTraining": ood_distance, "BrainIs": brain_is,
            "LargestDrop": drops().fold(0.0, f64::max), "LargestRise": -drops().fold(0.0, f64::min),
        });
        Attribution::new(case, map, record)
    }

    fn axes(&self, grid: &Grid) -> Result<[Axis; 3]> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if !positive(self.window) || !positive(self.stride) || self.stride > self.window {
            return Err(Error::request(
                format!(
                    "occlusion.window={} and occlusion.stride={}: expected lengths in mm, more than 0, the stride no longer than the window",
                    self.window, self.stride
                ),
                "with a longer stride some voxels would never be covered; leave both out to take the defaults",
            ));
        }
        let spacing = grid.spacing();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut at the length of the axis")]
        let voxels = |mm: f64, a: usize| (mm / spacing[a]).round().clamp(1.0, grid.shape[a] as f64) as usize;
        Ok(std::array::from_fn(|a| {
            let window = voxels(self.window, a);
            Axis { length: grid.shape[a], window, stride: voxels(self.stride, a).min(window) }
        }))
    }
}

/// Boxes along one axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    length: usize,
    window: usize,
    stride: usize,
}

impl Axis {
    /// First and one past the last voxel of each box.
    fn spans(&self) -> Vec<[usize; 2]> {
        let Self { length, window, stride } = *self;
        let steps = (length - window).div_ceil(stride);
        let before = (steps * stride + window - length) / 2;
        (0..=steps).map(|n| [(n * stride).saturating_sub(before), (n * stride + window - before).min(length)]).collect()
    }

    /// How many boxes cover each voxel.
    fn covering(&self) -> Vec<usize> {
        let spans = self.spans();
        (0..self.length).map(|v| spans.iter().filter(|s| (s[0]..s[1]).contains(&v)).count()).collect()
    }
}

/// All boxes, each by its spans along the axes.
fn corners(axes: &[Axis; 3]) -> impl Iterator<Item = [[usize; 2]; 3]> {
    let [i, j, k] = axes.each_ref().map(Axis::spans);
    let pairs = i.into_iter().flat_map(move |i| j.clone().into_iter().map(move |j| [i, j]));
    pairs.flat_map(move |[i, j]| k.clone().into_iter().map(move |k| [i, j, k]))
}

/// The voxels of a box.
fn voxels(grid: &Grid, [i, j, k]: [[usize; 2]; 3]) -> Vec<usize> {
    let mut voxels = Vec::with_capacity((i[1] - i[0]) * (j[1] - j[0]) * (k[1] - k[0]));
    for a in i[0]..i[1] {
        for b in j[0]..j[1] {
            voxels.extend((k[0]..k[1]).map(|c| grid.index(a, b, c)));
        }
    }
    voxels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_by_hand() {
        // Fits: Captum's own. Overhangs by 3: one voxel before, two behind.
        assert_eq!(Axis { length: 9, window: 3, stride: 2 }.spans(), [[0, 3], [2, 5], [4, 7], [6, 9]]);
        assert_eq!(Axis { length: 7, window: 4, stride: 3 }.spans(), [[0, 4], [3, 7]]);
        assert_eq!(Axis { length: 8, window: 4, stride: 3 }.spans(), [[0, 3], [2, 6], [5, 8]]);
        assert_eq!(Axis { length: 5, window: 5, stride: 5 }.spans(), [[0, 5]]);
        assert_eq!(Axis { length: 8, window: 4, stride: 3 }.covering(), [1, 1, 2, 1, 1, 2, 1, 1]);
    }

    proptest! {
        #[test]
        fn every_voxel_is_covered_and_no_box_is_empty(length in 1usize..40, window in 1usize..40, stride in 1usize..40) {
            let window = window.min(length);
            let axis = Axis { length, window, stride: stride.min(window) };
            prop_assert!(axis.covering().iter().all(|&n| n > 0));
            prop_assert!(axis.spans().iter().all(|s| s[0] < s[1] && s[1] <= length && s[1] - s[0] <= window));
            // Cut alike at either end, but for one voxel.
            let (first, last) = (axis.spans()[0], *axis.spans().last().unwrap());
            prop_assert!((first[1] - first[0]).abs_diff(last[1] - last[0]) <= 1);
        }
    }
}
