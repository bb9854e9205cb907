//! [`MeaningfulPerturbation`]: the region whose blurring changes the score most for its size.

mod mask;
mod mask_search;

pub use mask_search::{LossTerms, MaskSearch};

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
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::random::Seed;
use voxplain_core::{Error, Result};

/// Meaningful Perturbation (Fong and Vedaldi 2017, arXiv 1704.03296), in three dimensions.
///
/// A mask `m` on a coarse lattice is upsampled and smoothed to `M m` on the input grid, and the network is shown
/// `(M m) x + (1 - M m) b`, where `b` is the baseline, by default the image blurred. The mask is found by Adam as the minimum of
///
/// ```text
/// what is left of the way of S  +  l1 * area  +  tv * sum over axes of mean |difference of neighbouring cells|^beta
/// ```
///
/// Three criteria can be chosen (the option `game`). `delete` looks for the smallest region whose blurring brings the score down to that of `b`;
/// `preserve` for the smallest that upholds the score of `x` when all else is blurred; `hybrid` for one that does both, by the mean
/// of the two. The area is that of what is blurred, or kept. The map is `1 - M m`, or `M m` for
/// `preserve`: positive where it matters, exactly the mask that the network was shown, of the best iterate.
///
/// Where this differs from the paper and its code, and why:
///
/// * `S` is by default the log-odds of the explained class, `z_c - log sum_others exp z`: a probability has no gradient where the
///   network is sure. [`OptimizedScore::Score`] takes the score that was asked for.
/// * The way of the score is measured in shares of the distance from image to baseline, `max(|S(x) - S(b)|, 1)`: weights of the
///   other terms then mean the same for every network. At its goal (`S(b)` to delete, `S(x)` to preserve) the term is 0 and has no
///   slope: a score below that of the fully blurred image is worth no area. Where `S(b) >= S(x)`, there is nothing
///   to fall to, the goal of deletion is one such distance below `S(x)`, and the record warns.
/// * With a `budget`, area within it is free and what is beyond costs `l1 * (area / budget - 1)`: the best region of at most that
///   size, in place of a price per size.
/// * The area is the sum of the mask over all voxels in volumes of the brain ([`Case::brain`]), in place of a sum over cells: it means
///   the same on any grid, and what lies beside the brain, where the blurred image differs too, costs as much as what lies
///   in it. TV is a mean, over the coarse lattice. Each term is recorded.
/// * The smoothing is a true Gaussian in mm that keeps constants constant up to the border; so is the blur of `b`, over the
///   whole grid: blurring within the mask would keep the outline of the brain, and the size of the brain could never be deleted.
/// * Jitter moves image, baseline and mask together, by as much to either side, edges continued; the first copy stays. One batch
///   holds all copies. The best iterate is chosen by the objective of the copy that stays, which is the same function
///   at every iteration, and the search ends when that stops improving.
///
/// Cost: `iterations * copies` passes forward and back, twice as many for `hybrid`. Random numbers depend on the seed, the subject's id and the iteration
/// alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MeaningfulPerturbation {
    /// Iterations at most. The paper has 300; here the learning rate falls to a tenth along a cosine.
    pub iterations: usize,
    /// Jittered copies in each iteration, the one that stays included.
    pub copies: usize,
    /// Largest shift of a copy along each axis, in voxels, to either side.
    pub jitter: usize,
    /// What is looked for: the region that deletes, that preserves, or that does both.
    pub game: RegionCriterion,
    /// The score that is to change.
    pub objective: OptimizedScore,
    /// Adam's learning rate at the start.
    pub learning_rate: f64,
    /// Weight of the area.
    pub l1: f64,
    /// Area that is free, in volumes of the brain; 0 for none.
    pub budget: f64,
    /// Weight of the total variation.
    pub tv: f64,
    /// Power of the total variation.
    pub beta: f64,
    /// Distance of the mask's cells, in mm.
    pub spacing: f64,
    /// Standard deviation of the Gaussian that smooths the mask, in mm.
    pub smooth: f64,
    /// What takes the place of what is masked; a harmonic one would need edges.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian that makes the baseline `blur`, in mm.
    pub blur: f64,
    /// Iterations without improvement after which the search ends; 0 for never.
    pub patience: usize,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for MeaningfulPerturbation {
    fn default() -> Self {
        Self {
            iterations: 200,
            copies: 4,
            jitter: 2,
            game: RegionCriterion::Delete,
            objective: OptimizedScore::LogOdds,
            learning_rate: 0.1,
            l1: 1.0,
            budget: 0.0,
            tv: 1.0,
            beta: 3.0,
            spacing: 12.0,
            smooth: 6.0,
            baseline: Baseline::Blur,
            blur: 10.0,
            patience: 40,
            seed: Seed::new(0),
        }
    }
}

impl MeaningfulPerturbation {
    /// What an area costs, and its derivative.
    fn price(&self, area: f64) -> (f64, f64) {
        if self.budget == 0.0 {
            (self.l1 * area, self.l1)
        } else if area <= self.budget {
            (0.0, 0.0)
        } else {
            (self.l1 * (area / self.budget - 1.0), self.l1 / self.budget)
        }
    }

    fn check(&self) -> Result<()> {
        let positive = [
            ("iterations", self.iterations as f64),
            ("copies", self.copies as f64),
            ("learning-rate", self.learning_rate),
            ("spacing", self.spacing),
            ("smooth", self.smooth),
            ("blur", self.blur),
        ];
        let wrong = |name: &str, value: f64, expected: &str| {
            Err(Error::request(
                format!("meaningful-perturbation.{name}={value}: expected {expected}"),
                "leave it out to take the default",
            ))
        };
        if let Some((name, value)) = positive.into_iter().find(|(_, v)| v.is_nan() || *v <= 0.0) {
            return wrong(name, value, "more than 0");
        }
        if let Some((name, value)) =
            [("l1", self.l1), ("tv", self.tv)].into_iter().find(|(_, v)| v.is_nan() || *v < 0.0)
        {
            return wrong(name, value, "0 or more");
        }
        if !(0.0..1.0).contains(&self.budget) {
            return wrong("budget", self.budget, "a share of the brain, from 0 (none) to below 1");
        }
        if self.beta.is_nan() || self.beta < 1.0 {
            return wrong("beta", self.beta, "1 or more");
        }
        Ok(())
    }
}

impl Method for MeaningfulPerturbation {
    const NAME: &'static str = "meaningful-perturbation";
    const SUMMARY: &'static str = "the region whose blurring changes the score most for its size (Fong 2017)";
    const FAMILY: Family = Family::Perturbation;
    const CITATION: Option<Citation> = Some(citation::FONG_2017);
    const CONTOUR: Option<u8> = Some(1);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::whole("iterations", 1, u64::MAX, "iterations at most"),
        OptionSchema::whole("copies", 1, u64::MAX, "jittered copies in each iteration"),
        OptionSchema::whole("jitter", 0, u64::MAX, "largest shift of a copy along each axis, in voxels"),
        OptionSchema::choice(
            "game",
            &["delete", "preserve", "hybrid"],
            "what is looked for: the region that deletes the score, that preserves it, or that does both",
        ),
        OptionSchema::choice("objective", &["log-odds", "score"], "the score that is to change"),
        OptionSchema::number("learning-rate", Unit::None, 0.0, f64::MAX, "Adam's learning rate at the start"),
        OptionSchema::number("l1", Unit::None, 0.0, f64::MAX, "weight of the area"),
        OptionSchema::number(
            "budget",
            Unit::None,
            0.0,
            f64::MAX,
            "area that is free, in volumes of the brain; 0 for none",
        ),
        OptionSchema::number("tv", Unit::None, 0.0, f64::MAX, "weight of the total variation"),
        OptionSchema::number("beta", Unit::None, 0.0, f64::MAX, "power of the total variation"),
        OptionSchema::number("spacing", Unit::Millimetre, 0.0, f64::MAX, "distance of the mask's cells"),
        OptionSchema::number(
            "smooth",
            Unit::Millimetre,
            0.0,
            f64::MAX,
            "standard deviation of the Gaussian that smooths the mask",
        ),
        OptionSchema::baseline("what takes the place of what is masked"),
        OptionSchema::BLUR,
        OptionSchema::whole(
            "patience",
            0,
            u64::MAX,
            "iterations without improvement after which the search ends; 0 for never",
        ),
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;
    const BASELINES: &'static [Baseline] = Baseline::FOR_SOFT_MASKS;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.check()?;
        BaselineOptions::new(Self::NAME, self.baseline, self.blur).check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let one = |case: &Case<'_>| {
            let mut search = MaskSearch::new(self, explainer, case)?;
            while !search.done() {
                search.step(explainer)?;
            }
            search.finish(explainer)
        };
        cases.iter().map(one).collect()
    }
}
