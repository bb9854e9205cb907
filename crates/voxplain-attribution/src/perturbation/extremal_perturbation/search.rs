//! [`Search`]: the masks of one case, area by area.

use super::ExtremalPerturbation;
use super::smooth_max::SmoothMax;
use crate::baseline::{Baseline, BaselineOptions, blurred};
use crate::case::Case;
use crate::explainer::Explainer;
use crate::method::Method;
use crate::perturbation::hinge_loss::HingeLoss;
use crate::perturbation::{RegionCriterion, shift};
use crate::probe::altered_overflow;
use crate::record::{Attribution, Passes};
use crate::target::Objective;
use serde::Serialize;
use serde_json::json;
use voxplain_core::Result;
use voxplain_nn::{AdamOptions, Optimizer, OptimizerKind, Purpose, Rules};
use voxplain_volume::Mask;

/// What `lambda` grows by over a search.
const GROWTH: f64 = 16.0;

/// A side of the mask that the network is shown, and what that is to do to the score.
#[derive(Clone, Copy, Debug)]
struct View {
    /// Whether the image is kept where the mask is 1, not where it is 0.
    keeps: bool,
    loss: HingeLoss,
    /// 1 where the score is to fall, -1 where it is to rise.
    sign: f64,
}

/// The search for the masks of one case.
#[derive(Debug)]
pub(super) struct Search<'a> {
    options: ExtremalPerturbation,
    case: Case<'a>,
    objective: Objective,
    /// Of the image and of the baseline.
    logits: [Vec<f32>; 2],
    views: Vec<View>,
    brain: Mask,
    brain_is: &'static str,
    bumps: SmoothMax,
    /// From the baseline to the image: what a mask of 0 shows, and so on to what a mask of 1 shows.
    pyramid: Vec<Vec<f32>>,
    passes: Passes,
}

/// What was found for one area.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    /// Share of the brain that was asked for.
    area: f64,
    /// Sum of the mask, as a share of the brain's voxels: in the brain, and outside it, where bumps reach beyond its edge.
    area_of_mask: f64,
    area_in_brain: f64,
    area_outside: f64,
    /// The score that the mask is to change, for each view.
    #[serde(rename = "Aim")]
    optimized: Vec<f64>,
    /// What is left of the way to the threshold; the mean over views.
    left: f64,
    #[serde(skip)]
    mask: Vec<f32>,
    #[serde(skip)]
    logits: Vec<Vec<f32>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(options: &ExtremalPerturbation, explainer: &mut Explainer, case: &Case<'a>) -> Result<Self> {
        let image = case.values();
        let views = if options.game == RegionCriterion::Hybrid { 2 } else { 1 };
        let of_image = explainer.plan(Purpose::InputGradient, views, &[])?.forward(&image)?.output().to_vec();
        let objective = case.objective(options.target(), &of_image)?;
        let baseline = BaselineOptions::new(ExtremalPerturbation::NAME, options.baseline, options.blur);
        let mut pyramid = vec![baseline.image(explainer, case, &objective)?.to_vec()];
        if options.baseline == Baseline::Blur {
            // Evenly between the strongest blur and none.
            let share = |level: usize| 1.0 - level as f64 / (options.levels - 1) as f64;
            let level = |n| case.each_channel(|channel| blurred(channel, options.blur * share(n)));
            pyramid.extend((1..options.levels - 1).map(level));
        }
        pyramid.push(image.to_vec());
        let of_baseline = explainer.plan(Purpose::InputGradient, views, &[])?.forward(&pyramid[0])?.output().to_vec();
        let [before, base] = [&of_image, &of_baseline].map(|z| options.objective.value(&objective, z));
        let uphold = View { keeps: true, loss: HingeLoss::uphold(before, base), sign: -1.0 };
        let fall = View { keeps: false, loss: HingeLoss::fall(before, base), sign: 1.0 };
        let views = match options.game {
            RegionCriterion::Preserve => vec![uphold],
            RegionCriterion::Delete => vec![fall],
            RegionCriterion::Hybrid => vec![uphold, fall],
        };
        let (brain, brain_is) = case.brain();
        Ok(Self {
            bumps: SmoothMax::new(case.image.grid(), &brain, options.step, options.sigma),
            options: options.clone(),
            case: *case,
            objective,
            logits: [of_image, of_baseline],
            views,
            brain,
            brain_is,
            pyramid,
            passes: Passes { forward: 2, backward: 0 },
        })
    }

    /// Searches area by area until one reaches its threshold, and writes the record.
    pub(super) fn run(mut self, explainer: &mut Explainer) -> Result<Attribution> {
        let mut found: Vec<Found> = Vec::new();
        let areas: Vec<f64> = self.options.areas.shares().collect();
        for area in areas {
            found.push(self.one(explainer, area)?);
            if found.last().is_some_and(|f| f.left == 0.0) {
                break;
            }
        }
        // The first of equals: the smallest.
        let best = found
            .iter()
            .min_by(|a, b| a.left.total_cmp(&b.left))
            .ok_or_else(|| self.case.refuse("extremal-perturbation: no area was tried", "give areas, as in 1,2,5"))?;
        let reached = best.left == 0.0;
        let mut shown = vec![vec![0.0; self.pyramid[0].len()]; self.views.len()];
        for (view, shown) in self.views.iter().zip(&mut shown) {
            show(&self.pyramid, &best.mask, view.keeps, shown);
        }
        let shown: Vec<&[f32]> = shown.iter().map(Vec::as_slice).collect();
        let ood_distance = explainer.ood_distance(&self.case, &shown)?;

        let mut record = self.options.record(explainer, &self.case, &self.objective, &self.logits[0]);
        (record.units, record.sign) = match self.options.game {
            RegionCriterion::Preserve => (
                "share of each voxel that is kept, 0 to 1".into(),
                "positive: keeping this upholds the explained score; never negative".into(),
            ),
            RegionCriterion::Delete => (
                "share of each voxel that is taken out, 0 to 1".into(),
                "positive: taking this out lowers the explained score; never negative".into(),
            ),
            RegionCriterion::Hybrid => (
                "share of each voxel that is kept in one image and taken out in the other, 0 to 1".into(),
                "positive: keeping this upholds the explained score, taking it out lowers it; never negative".into(),
            ),
        };
        record.passes = self.passes;
        let optimized = |z: &[f32]| self.options.objective.value(&self.objective, z);
        record.measured = json!({
            "ScoreBefore": self.objective.value(&self.logits[0]),
            "ScoreOfBaseline": self.objective.value(&self.logits[1]),
            "ScoresAfter": best.logits.iter().map(|z| self.objective.value(z)).collect::<Vec<_>>(),
            "Aim": self.options.objective.describe(&self.objective, &self.logits[0]),
            "AimBefore": optimized(&self.logits[0]), "AimOfBaseline": optimized(&self.logits[1]),
            "Goals": self.views.iter().map(|view| view.loss.threshold).collect::<Vec<_>>(),
            "AimScale": self.views[0].loss.scale,
            "Area": best.area, "AreaOfMask": best.area_of_mask, "AreaInBrain": best.area_in_brain,
            "AreaOutside": best.area_outside, "AreaIsShareOf": self.brain_is,
            "DistanceFromTraining": ood_distance,
            "Reached": reached, "Areas": found,
        });
        if !reached {
            record.warnings.push(format!(
                "No area reached its goal: shown is the mask that was searched with an area of {:.2} % of {} (it covers {:.2} %), which \
                 leaves {:.0} % of the way.",
                100.0 * best.area,
                self.brain_is,
                100.0 * best.area_of_mask,
                100.0 * best.left
            ));
        }
        if optimized(&self.logits[1]) >= optimized(&self.logits[0]) {
            record.warnings.push(
                "The baseline scores no less than the image itself: any mask upholds the score, and nothing need be taken out.".into(),
            );
        }
        let mask = best.mask.clone();
        Attribution::new(&self.case, mask, record)
    }

    /// The mask of one area.
    fn one(&mut self, explainer: &mut Explainer, area: f64) -> Result<Found> {
        let engine = explainer.engine().clone();
        let (options, shape) = (&self.options, self.case.image.shape());
        let (voxels, values) = (self.case.voxels(), self.pyramid[0].len());
        let classes = explainer.network().outputs();
        let inside = self.brain.data().iter().filter(|&&inside| inside).count();
        let random = options.seed.child(ExtremalPerturbation::NAME).child(self.case.id);
        let random = random.child(&format!("{area}"));
        let mut weights: Vec<f32> = self.bumps.free.iter().map(|&free| if free { 0.5 } else { 0.0 }).collect();
        let mut adam = Optimizer::new(OptimizerKind::Adam(AdamOptions::default()));
        let [mut mask, mut total, mut at_mask] = std::array::from_fn(|_| vec![0.0; voxels]);
        let [mut shown, mut reached] = std::array::from_fn(|_| vec![0.0; values]);
        let mut gradient = vec![0.0; self.bumps.len()];
        let mut batch = vec![0.0; self.views.len() * values];
        let mut output_gradients = vec![0.0; self.views.len() * classes];
        let mut order: Vec<usize> = (0..voxels).filter(|&n| self.bumps.touched[n]).collect();
        for iteration in 0..=options.iterations {
            self.bumps.apply(&engine, &weights, &mut mask, &mut total);
            let last = iteration == options.iterations;
            let mut random = random.index(iteration as u64).random();
            let jitter = if last { 0 } else { options.jitter };
            let by = std::array::from_fn(|_| random.below(2 * jitter + 1).cast_signed() - jitter.cast_signed());
            for (view, copy) in self.views.iter().zip(batch.chunks_exact_mut(values)) {
                show(&self.pyramid, &mask, view.keeps, &mut shown);
                shift::copy(&shown, shape, by, copy);
            }
            let plan = explainer.plan(Purpose::InputGradient, self.views.len(), &[])?;
            let mut tape = plan.forward(&batch)?;
            self.passes.forward += self.views.len();
            if last {
                let logits: Vec<Vec<f32>> = tape.output().chunks_exact(classes).map(<[f32]>::to_vec).collect();
                return self.found(area, inside, mask, logits);
            }
            for ((view, output_gradient), logits) in self
                .views
                .iter()
                .zip(output_gradients.chunks_exact_mut(classes))
                .zip(tape.output().chunks_exact(classes))
            {
                let weight = view.sign / (view.loss.scale * self.views.len() as f64);
                options.objective.output_gradient(&self.objective, logits, weight, output_gradient);
            }
            let back = tape.backward(&output_gradients, &Rules::GRADIENT)?;
            self.passes.backward += self.views.len();
            at_mask.fill(0.0);
            for (view, copy) in self.views.iter().zip(back.input.chunks_exact(values)) {
                reached.fill(0.0);
                shift::collect(copy, shape, by, &mut reached);
                pull(&self.pyramid, &mask, view.keeps, &reached, &mut at_mask);
            }
            let lambda = options.area_weight * GROWTH.powf(iteration as f64 / options.iterations as f64);
            press(&mask, &mut order, (area, inside), lambda, &mut at_mask);
            self.bumps.adjoint(&engine, (&weights, &mask, &total), &at_mask, &mut gradient);
            adam.step_values(&mut weights, &gradient, options.learning_rate)?;
            weights
                .iter_mut()
                .zip(&self.bumps.free)
                .for_each(|(w, &free)| *w = if free { w.clamp(0.0, 1.0) } else { 0.0 });
        }
        unreachable!("the last round returns")
    }

    fn found(&self, area: f64, inside: usize, mask: Vec<f32>, logits: Vec<Vec<f32>>) -> Result<Found> {
        let optimized: Vec<f64> = logits.iter().map(|z| self.options.objective.value(&self.objective, z)).collect();
        if let Some(bad) = optimized.iter().find(|a| !a.is_finite()) {
            return Err(self
                .case
                .refuse(format!("extremal-perturbation: the masked image has the score {bad}"), altered_overflow()));
        }
        let left =
            self.views.iter().zip(&optimized).map(|(v, &a)| v.loss.value(a)).sum::<f64>() / optimized.len() as f64;
        let area_where = |brain: bool| {
            let there = mask.iter().zip(self.brain.data()).filter(|(_, inside)| **inside == brain);
            there.map(|(&m, _)| f64::from(m)).sum::<f64>() / inside as f64
        };
        let (area_in_brain, area_outside) = (area_where(true), area_where(false));
        let area_of_mask = area_in_brain + area_outside;
        Ok(Found { area, area_of_mask, area_in_brain, area_outside, optimized, left, mask, logits })
    }
}

/// Where a value of the mask lies in the pyramid: a level and the share of the next one. `keeps` says whether a mask of 1 is the image.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a level of a few")]
fn level(levels: usize, mask: f32, keeps: bool) -> (usize, f32) {
    let keep = if keeps { mask } else { 1.0 - mask };
    let at = keep.clamp(0.0, 1.0) * (levels - 1) as f32;
    let low = (at as usize).min(levels - 2);
    (low, at - low as f32)
}

/// `Phi(x, m)`: linear between the levels of the pyramid, with one mask for all channels.
fn show(pyramid: &[Vec<f32>], mask: &[f32], keeps: bool, shown: &mut [f32]) {
    for (n, (shown, &mask)) in shown.iter_mut().zip(mask.iter().cycle()).enumerate() {
        let (low, share) = level(pyramid.len(), mask, keeps);
        *shown = pyramid[low][n] + share * (pyramid[low + 1][n] - pyramid[low][n]);
    }
}

/// Adds to `at_mask` what the gradient `reached` at the shown image is at the mask.
fn pull(pyramid: &[Vec<f32>], mask: &[f32], keeps: bool, reached: &[f32], at_mask: &mut [f32]) {
    let levels = (pyramid.len() - 1) as f32 * if keeps { 1.0 } else { -1.0 };
    for channel in (0..reached.len()).step_by(mask.len()) {
        for (n, (at_mask, &mask)) in (channel..).zip(at_mask.iter_mut().zip(mask)) {
            let (low, _) = level(pyramid.len(), mask, keeps);
            *at_mask += reached[n] * levels * (pyramid[low + 1][n] - pyramid[low][n]);
        }
    }
}

/// Adds the gradient of `lambda * sum of (sort(m) - r)^2 / brain`, `brain` voxels being all of it: as many of the largest values as the
/// share `area` of the brain has voxels are pressed to 1, the others to 0. `order` holds the voxels that count, in whatever
/// order.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count; gradients are float32"
)]
fn press(mask: &[f32], order: &mut [usize], (area, brain): (f64, usize), lambda: f64, at_mask: &mut [f32]) {
    let top = ((area * brain as f64).round() as usize).clamp(1, order.len());
    // Equal values are told apart by their place, so that the same voxels are taken whatever the order was.
    let rank = |a: &usize, b: &usize| mask[*b].total_cmp(&mask[*a]).then(a.cmp(b));
    order.select_nth_unstable_by(top - 1, rank);
    let slope = (2.0 * lambda / brain as f64) as f32;
    for (n, &voxel) in order.iter().enumerate() {
        at_mask[voxel] += slope * if n < top { mask[voxel] - 1.0 } else { mask[voxel] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pyramid_by_hand() {
        let pyramid = vec![vec![0.0; 3], vec![2.0; 3], vec![6.0; 3]];
        let mut shown = vec![0.0; 3];
        show(&pyramid, &[0.25, 0.75, 1.0], true, &mut shown);
        assert_eq!(shown, [1.0, 4.0, 6.0]);
        show(&pyramid, &[0.25, 0.75, 1.0], false, &mut shown);
        assert_eq!(shown, [4.0, 1.0, 0.0]);
        // Its slope, times what reached it.
        let mut at_mask = vec![1.0; 3];
        pull(&pyramid, &[0.25, 0.75, 1.0], true, &[1.0, 2.0, 1.0], &mut at_mask);
        assert_eq!(at_mask, [5.0, 17.0, 9.0]);
        pull(&pyramid, &[0.25, 0.75, 1.0], false, &[1.0, 2.0, 1.0], &mut at_mask);
        assert_eq!(at_mask, [-3.0, 9.0, 5.0]);
    }

    #[test]
    fn the_area_presses_the_largest_up_and_the_others_down() {
        let mask = [0.5, 0.9, 0.1, 0.9, 0.7];
        let mut at_mask = vec![0.0; 5];
        // No bump reaches the last voxel. Of a brain of four, two to 1, by 2 * lambda / 4 = 1 times the distance.
        press(&mask, &mut [2, 0, 3, 1], (0.5, 4), 2.0, &mut at_mask);
        for (got, expected) in at_mask.iter().zip([0.5, -0.1, 0.1, -0.1, 0.0]) {
            assert!((got - expected).abs() < 1e-6, "{at_mask:?}");
        }
        // Ties go by place.
        let mut at_mask = vec![0.0; 5];
        press(&mask, &mut [3, 2, 1, 0], (0.25, 4), 2.0, &mut at_mask);
        assert!(at_mask[1] < 0.0 && at_mask[3] > 0.0);
        // Half of a brain of two is one voxel, wherever the mask is large; those outside are pressed down like any other.
        let mut at_mask = vec![0.0; 5];
        press(&mask, &mut [0, 1, 2, 3, 4], (0.5, 2), 1.0, &mut at_mask);
        for (got, expected) in at_mask.iter().zip([0.5, -0.1, 0.1, 0.9, 0.7]) {
            assert!((got - expected).abs() < 1e-6, "{at_mask:?}");
        }
    }
}
