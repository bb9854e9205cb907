//! [`ExtremalPerturbation`]: the region of a given size that alone upholds the score best.

mod areas;
mod search;
mod smooth_max;

pub use areas::Areas;

use super::{OptimizedScore, RegionCriterion};
use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::Attribution;
use crate::schema::{OptionSchema, Unit};
use crate::target::Score;
use search::Search;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::random::Seed;
use voxplain_core::{Error, Result};

/// Extremal perturbation (Fong, Patrick and Vedaldi 2019, arXiv 1910.08485), in three dimensions.
///
/// For each of the `areas`, smallest first, a mask `m` is sought that is as large as that share of the brain and makes the most of
/// it: the network is shown the image where `m` is 1 and the baseline where it is 0 (`preserve`), the other way round (`delete`),
/// or both (`hybrid`, the paper's "dual"), and
///
/// ```text
/// E = -+ S(Phi(x, m)) / D + lambda * sum of (sort(m) - r)^2 / (voxels of the brain)
/// ```
///
/// is minimised, where `r` is 1 for as many of the largest values as the share `area` of the brain has voxels, and 0 for all others. What the
/// mask shows outside the brain, where bumps reach beyond its edge, counts like what it shows inside: the record holds both
/// (`AreaInBrain`, `AreaOutside`, and `AreaOfMask`, their sum, as shares of the brain). The mask is a smooth
/// maximum of bumps on a lattice (`SmoothMax`): it has no holes and no thin parts. With the baseline `blur` a value of the mask between 0 and 1
/// picks a level of a pyramid of blurred images, linear between levels, as in the paper; other baselines are blended.
/// The search ends at the smallest area that reaches the score of the image (`preserve`) or of the baseline (`delete`), the
/// goal of [`MeaningfulPerturbation`](crate::MeaningfulPerturbation); its mask, as the network was shown it, is the map. Where none does, it is the mask
/// that comes nearest, and the record warns.
///
/// Where this differs from the paper and its code, and why:
///
/// * `S` is by default the log-odds of the explained class, and `D = max(|S(x) - S(b)|, 1)`, so that `lambda` means the same for every
///   network: as for Meaningful Perturbation.
/// * `lambda` grows 16-fold over the search, as in the code (300 * 1.0035^t over 800 steps), whatever the number of steps. It
///   starts at 15, which stands to a score of 1 as the code's 300 does to a logit of 20.
/// * Adam in place of gradient descent with momentum, as the slope of a weight falls with the number of places, which is greater in
///   three dimensions; 200 steps in place of 800.
/// * The jitter moves the masked image by up to 2 voxels along each axis. The code flips every second image left to right: the
///   hemispheres of a brain are not exchangeable.
/// * Lengths are in mm, areas are shares of the volume of the brain ([`Case::brain`]), not of the image.
///
/// Cost: `iterations` passes forward and back for each area up to the one that is found, twice as many for `hybrid`, and for the
/// mask itself as long again with 32 channels, up to three times as long with 8; a dozen volumes in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtremalPerturbation {
    /// Sizes of the mask, in percent of the brain.
    pub areas: Areas,
    /// What is looked for: the region that preserves, that deletes, or that does both.
    pub game: RegionCriterion,
    /// The score that is to change.
    pub objective: OptimizedScore,
    /// Steps for each area.
    pub iterations: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// `lambda` at the start.
    pub area_weight: f64,
    /// From one bump to the next, in mm.
    pub step: f64,
    /// Width of a bump, in mm: 1 up to half of it, 0.61 at it.
    pub sigma: f64,
    /// Largest shift of the masked image along each axis, in voxels, to either side.
    pub jitter: usize,
    /// What stands where the mask is 0.
    pub baseline: Baseline,
    /// Standard deviation of the strongest Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
    /// Images in the pyramid of the baseline `blur`, the image itself included.
    pub levels: usize,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for ExtremalPerturbation {
    fn default() -> Self {
        Self {
            areas: Areas::new(vec![1.0, 2.0, 5.0, 10.0, 20.0]).unwrap_or_else(|_| unreachable!("all are percents")),
            game: RegionCriterion::Preserve,
            objective: OptimizedScore::LogOdds,
            iterations: 200,
            learning_rate: 0.05,
            area_weight: 15.0,
            step: 8.0,
            sigma: 16.0,
            jitter: 2,
            baseline: Baseline::Blur,
            blur: 10.0,
            levels: 8,
            seed: Seed::new(0),
        }
    }
}

impl Method for ExtremalPerturbation {
    const NAME: &'static str = "extremal-perturbation";
    const SUMMARY: &'static str = "the region of a given size that upholds the score best (Fong 2019)";
    const FAMILY: Family = Family::Perturbation;
    const CITATION: Option<Citation> = Some(citation::FONG_2019);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::text("areas", "sizes of the mask, in and around the brain, in percent of the brain, by comma"),
        OptionSchema::choice(
            "game",
            &["delete", "preserve", "hybrid"],
            "what is looked for: the region that deletes the score, that preserves it, or that does both",
        ),
        OptionSchema::choice("objective", &["log-odds", "score"], "the score that is to change"),
        OptionSchema::whole("iterations", 1, u64::MAX, "steps for each area"),
        OptionSchema::number("learning-rate", Unit::None, 0.0, f64::MAX, "Adam's learning rate"),
        OptionSchema::number("area-weight", Unit::None, 0.0, f64::MAX, "weight of the area at the start"),
        OptionSchema::number("step", Unit::Millimetre, 0.0, f64::MAX, "from one bump of the mask to the next"),
        OptionSchema::number("sigma", Unit::Millimetre, 0.0, f64::MAX, "width of a bump"),
        OptionSchema::whole("jitter", 0, u64::MAX, "largest shift of the masked image along each axis, in voxels"),
        OptionSchema::baseline("what stands where the mask is 0"),
        OptionSchema::BLUR,
        OptionSchema::whole("levels", 1, u64::MAX, "images in the pyramid of the baseline blur"),
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;
    const BASELINES: &'static [Baseline] = Baseline::FOR_SOFT_MASKS;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.check()?;
        BaselineOptions::new(Self::NAME, self.baseline, self.blur).check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| Search::new(self, explainer, case)?.run(explainer)).collect()
    }
}

impl ExtremalPerturbation {
    fn check(&self) -> Result<()> {
        let positive = [
            ("iterations", self.iterations as f64),
            ("learning-rate", self.learning_rate),
            ("area-weight", self.area_weight),
            ("step", self.step),
            ("sigma", self.sigma),
        ];
        let wrong = |name: &str, value: f64, expected: &str| {
            Err(Error::request(
                format!("extremal-perturbation.{name}={value}: expected {expected}"),
                "leave it out to take the default",
            ))
        };
        if let Some((name, value)) = positive.into_iter().find(|(_, v)| !(v.is_finite() && *v > 0.0)) {
            return wrong(name, value, "more than 0");
        }
        if self.levels < 2 {
            return wrong("levels", self.levels as f64, "at least 2, the image and its blur");
        }
        // A bump that ends before the next begins would leave voxels that no mask can reach.
        if self.sigma < self.step {
            return wrong("sigma", self.sigma, "no less than the step of the lattice");
        }
        Ok(())
    }
}
