//! [`MaskSearch`]: the search for a mask, one iteration at a time.

use super::MeaningfulPerturbation;
use super::mask::CoarseMask;
use crate::baseline::BaselineOptions;
use crate::case::{Case, overflow};
use crate::explainer::Explainer;
use crate::method::Method;
use crate::perturbation::hinge_loss::HingeLoss;
use crate::perturbation::{RegionCriterion, shift};
use crate::record::{Attribution, Passes};
use crate::target::{Objective, Score};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use voxplain_core::Result;
use voxplain_core::random::Seed;
use voxplain_nn::{Plan, Purpose, Rules};

/// The terms of the loss at one iterate, on the copy that stays; without units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LossTerms {
    /// What is left of the way of the score: 1 at the start, 0 at the threshold; the mean of the two for `hybrid`.
    pub score: f64,
    /// `l1 * area`, or `l1 * (area / budget - 1)` where that is more than 0.
    pub area: f64,
    /// `tv * total variation`.
    pub variation: f64,
}

impl LossTerms {
    /// What is minimised.
    pub fn sum(&self) -> f64 {
        self.score + self.area + self.variation
    }
}

/// A search for the mask of one case, for those who want to look at it as it goes: [`MeaningfulPerturbation`] runs it to its
/// end. [`MaskSearch::step`] is one iteration; no volume is allocated in it.
#[derive(Debug)]
pub struct MaskSearch<'a> {
    options: MeaningfulPerturbation,
    case: Case<'a>,
    objective: Objective,
    logits: [Vec<f32>; 2],
    /// For each view of the mask that the network is shown: what it is to do.
    views: Vec<(View, HingeLoss)>,
    brain: &'static str,
    mask: CoarseMask,
    baseline: Arc<[f32]>,
    /// Image minus baseline.
    difference: Vec<f32>,
    /// The mask on the grid, what the network is shown of it, and what reaches it on the way back.
    grid_mask: Vec<f32>,
    shown: Vec<f32>,
    reached: Vec<f32>,
    /// Gradient at the mask on the grid: the channels have one mask.
    at_mask: Vec<f32>,
    /// One image per view and copy.
    batch: Vec<f32>,
    shifts: Vec<[isize; 3]>,
    output_gradients: Vec<f32>,
    /// Gradient at the cells: all of it, and the score's part.
    gradient: Vec<f32>,
    from_score: Vec<f32>,
    random: Seed,
    iteration: usize,
    best: Option<Best>,
    passes: Passes,
}

/// A side of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// `(M m) x + (1 - M m) b`.
    Mask,
    /// `(1 - M m) x + (M m) b`.
    Complement,
}

impl View {
    /// What the network is shown of a mask, from the baseline and the image's difference from it.
    fn show(self, mask: &[f32], difference: &[f32], baseline: &[f32], shown: &mut [f32]) {
        let voxels = mask.len();
        let channels = difference.chunks_exact(voxels).zip(baseline.chunks_exact(voxels));
        for (shown, (difference, baseline)) in shown.chunks_exact_mut(voxels).zip(channels) {
            let shown = shown.iter_mut().zip(mask.iter().zip(difference).zip(baseline));
            match self {
                Self::Mask => shown.for_each(|(s, ((m, d), b))| *s = m * d + b),
                Self::Complement => shown.for_each(|(s, ((m, d), b))| *s = (1.0 - m) * d + b),
            }
        }
    }
}

/// The best iterate so far.
#[derive(Clone, Debug)]
struct Best {
    iteration: usize,
    cells: Vec<f32>,
    terms: LossTerms,
    /// Of the copy that stays, for each view.
    logits: Vec<Vec<f32>>,
}

impl<'a> MaskSearch<'a> {
    /// Starts a search with a mask of ones: nothing blurred.
    ///
    /// # Errors
    /// Options that make no sense, a case that the network cannot take, a target that cannot be explained.
    pub fn new(options: &MeaningfulPerturbation, explainer: &mut Explainer, case: &Case<'a>) -> Result<Self> {
        options.check()?;
        explainer.check(case)?;
        let grid = *case.image.grid();
        let image = &*case.values();
        let (brain, brain_is) = case.brain();
        let classes = explainer.network().outputs();
        let of_image = plan(explainer, options)?.forward(image)?.output().to_vec();
        let objective = case.objective(options.target(), &of_image)?;
        let baseline = BaselineOptions::new(MeaningfulPerturbation::NAME, options.baseline, options.blur);
        let baseline = baseline.image(explainer, case, &objective)?;
        let of_baseline = plan(explainer, options)?.forward(&baseline)?.output().to_vec();
        let logits = [of_image, of_baseline];
        let optimized = |logits: &[f32]| options.objective.value(&objective, logits);
        let [of_image, of_baseline] = [optimized(&logits[0]), optimized(&logits[1])];
        let fall = HingeLoss::fall(of_image, of_baseline);
        let uphold = HingeLoss::uphold(of_image, of_baseline);
        let views = match options.game {
            RegionCriterion::Delete => vec![(View::Mask, fall)],
            RegionCriterion::Preserve => vec![(View::Mask, uphold)],
            RegionCriterion::Hybrid => vec![(View::Mask, fall), (View::Complement, uphold)],
        };
        let volumes = views.len() * options.copies;
        let mask = CoarseMask::new(options, &grid, &brain);
        Ok(Self {
            case: *case,
            objective,
            logits,
            views,
            brain: brain_is,
            difference: image.iter().zip(&*baseline).map(|(x, b)| x - b).collect(),
            baseline,
            grid_mask: vec![0.0; case.voxels()],
            at_mask: vec![0.0; case.voxels()],
            shown: vec![0.0; image.len()],
            reached: vec![0.0; image.len()],
            batch: vec![0.0; volumes * image.len()],
            shifts: vec![[0; 3]; options.copies],
            output_gradients: vec![0.0; volumes * classes],
            gradient: vec![0.0; mask.cells.len()],
            from_score: vec![0.0; mask.cells.len()],
            mask,
            random: options.seed.child(MeaningfulPerturbation::NAME).child(case.id),
            iteration: 0,
            best: None,
            passes: Passes { forward: 2, backward: 0 },
            options: options.clone(),
        })
    }

    /// Whether all iterations are done, or the objective has stopped improving.
    pub fn done(&self) -> bool {
        self.iteration >= self.options.iterations || self.on_plateau()
    }

    fn on_plateau(&self) -> bool {
        let since = self.best.as_ref().map_or(0, |best| self.iteration - 1 - best.iteration);
        self.options.patience > 0 && since >= self.options.patience
    }

    /// One iteration: evaluates the mask on all copies and moves it. Returns the loss of the mask that was evaluated.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn step(&mut self, explainer: &mut Explainer) -> Result<LossTerms> {
        let Self { options, case, mask, .. } = self;
        let shape = case.image.shape();
        let values = self.baseline.len();

        mask.to_grid.apply(&mask.cells, &mut self.grid_mask);
        draw_shifts(self.random.index(self.iteration as u64), options.jitter, &mut self.shifts);
        for (&(view, _), copies) in self.views.iter().zip(self.batch.chunks_exact_mut(options.copies * values)) {
            view.show(&self.grid_mask, &self.difference, &self.baseline, &mut self.shown);
            for (copy, &by) in copies.chunks_exact_mut(values).zip(&self.shifts) {
                shift::copy(&self.shown, shape, by, copy);
            }
        }

        let mut tape = plan(explainer, options)?.forward(&self.batch)?;
        let classes = self.output_gradients.len() / (self.views.len() * options.copies);
        let mut score = 0.0;
        let of_view = tape.output().chunks_exact(options.copies * classes);
        for ((&(_, loss), gradients), outputs) in
            self.views.iter().zip(self.output_gradients.chunks_exact_mut(options.copies * classes)).zip(of_view)
        {
            let score_of = |logits: &[f32]| options.objective.value(&self.objective, logits);
            score += loss.value(score_of(&outputs[..classes])) / self.views.len() as f64;
            for (gradient, logits) in gradients.chunks_exact_mut(classes).zip(outputs.chunks_exact(classes)) {
                let weight = loss.slope(score_of(logits)) / (self.views.len() * options.copies) as f64;
                options.objective.output_gradient(&self.objective, logits, weight, gradient);
            }
        }
        let improves =
            |terms: &LossTerms, best: &Option<Best>| best.as_ref().is_none_or(|b| terms.sum() < b.terms.sum());

        // What does not depend on the backward pass: the area and the variation of the mask, with their gradients.
        let (area, slope) = options.price(options.game.area(mask.kept_and_taken()));
        #[expect(clippy::cast_possible_truncation, reason = "gradients are float32")]
        let slope = (if options.game.maps_what_is_kept() { slope } else { -slope }) as f32;
        let gradient = &mut self.gradient;
        gradient.iter_mut().zip(&mask.area).for_each(|(g, a)| *g = slope * a);
        let variation = options.tv * mask.total_variation(options.beta, options.tv, gradient);
        let terms = LossTerms { score, area, variation };
        if terms.sum().is_finite() && improves(&terms, &self.best) {
            let stays = || tape.output().chunks_exact(classes).step_by(options.copies);
            let best = self.best.get_or_insert_with(|| Best {
                iteration: 0,
                cells: mask.cells.clone(),
                terms,
                logits: stays().map(<[f32]>::to_vec).collect(),
            });
            (best.iteration, best.terms) = (self.iteration, terms);
            best.cells.copy_from_slice(&mask.cells);
            best.logits.iter_mut().zip(stays()).for_each(|(best, now)| best.copy_from_slice(now));
        }

        let back = tape.backward(&self.output_gradients, &Rules::GRADIENT)?;
        self.reached.fill(0.0);
        for (&(view, _), copies) in self.views.iter().zip(back.input.chunks_exact(options.copies * values)) {
            if view == View::Complement {
                // What the mask gains its complement loses: this view is subtracted.
                self.reached.iter_mut().for_each(|r| *r = -*r);
            }
            for (copy, &by) in copies.chunks_exact(values).zip(&self.shifts) {
                shift::collect(copy, shape, by, &mut self.reached);
            }
            if view == View::Complement {
                self.reached.iter_mut().for_each(|r| *r = -*r);
            }
        }
        self.at_mask.fill(0.0);
        let channels =
            self.reached.chunks_exact(self.at_mask.len()).zip(self.difference.chunks_exact(self.at_mask.len()));
        for (reached, difference) in channels {
            self.at_mask.iter_mut().zip(reached.iter().zip(difference)).for_each(|(m, (r, d))| *m += r * d);
        }
        mask.to_grid.adjoint(&self.at_mask, &mut self.from_score);
        gradient.iter_mut().zip(&self.from_score).for_each(|(g, s)| *g += *s);
        mask.step(gradient, cosine(options.learning_rate, self.iteration, options.iterations));

        self.iteration += 1;
        self.passes.forward += self.views.len() * options.copies;
        self.passes.backward += self.views.len() * options.copies;
        Ok(terms)
    }

    /// The map of the best iterate, as the network was shown it, with its record.
    ///
    /// # Errors
    /// The loss was never a finite number.
    pub fn finish(mut self, explainer: &mut Explainer) -> Result<Attribution> {
        let stopped = if self.on_plateau() { "plateau" } else { "iterations" };
        let Some(best) = self.best.take() else {
            return Err(self
                .case
                .refuse("meaningful-perturbation: the objective was never a finite number", overflow()));
        };
        self.mask.cells.copy_from_slice(&best.cells);
        self.mask.to_grid.apply(&best.cells, &mut self.grid_mask);
        let criterion = self.options.game;
        // Upsampling ones and zeros rounds to some 1e-7 beside them: that is no extent.
        let whole = |e: f32| if e < 1e-6 { 0.0 } else { e.min(1.0) };
        let map: Vec<f32> =
            self.grid_mask.iter().map(|&m| whole(if criterion.maps_what_is_kept() { m } else { 1.0 - m })).collect();

        let mut shown = vec![vec![0.0; self.baseline.len()]; self.views.len()];
        for (&(view, _), shown) in self.views.iter().zip(&mut shown) {
            view.show(&self.grid_mask, &self.difference, &self.baseline, shown);
        }
        let shown: Vec<&[f32]> = shown.iter().map(Vec::as_slice).collect();
        let ood_distance = explainer.ood_distance(&self.case, &shown)?;
        let mut record = self.options.record(explainer, &self.case, &self.objective, &self.logits[0]);
        let area = criterion.area(self.mask.kept_and_taken());
        let mean = self.mask.mean_inside();
        let area_in_brain = criterion.area([mean, 1.0 - mean]);
        let [score_before, score_baseline] = self.logits.each_ref().map(|z| self.objective.value(z));
        let score_after = self.objective.value(&best.logits[0]);
        let optimized = |z: &[f32]| self.options.objective.value(&self.objective, z);
        // Of a value there is no probability.
        let probability = |z: &[f32]| {
            let of = Objective { score: Score::Prob, minus: None, ..self.objective };
            (self.objective.score != Score::Value).then(|| of.value(z))
        };
        (record.units, record.sign) = match criterion {
            RegionCriterion::Delete => (
                "share of each voxel that is taken out, 0 to 1".into(),
                "positive: taking this out lowers the explained score; never negative".into(),
            ),
            RegionCriterion::Preserve => (
                "share of each voxel that is kept, 0 to 1".into(),
                "positive: keeping this upholds the explained score; never negative".into(),
            ),
            RegionCriterion::Hybrid => (
                "share of each voxel that is taken out in one image and kept in the other, 0 to 1".into(),
                "positive: taking this out lowers the explained score, keeping it upholds it; never negative".into(),
            ),
        };
        record.passes = self.passes;
        record.measured = json!({
            "ScoreBefore": score_before, "ScoreAfter": score_after, "ScoreOfBaseline": score_baseline,
            "ProbabilityBefore": probability(&self.logits[0]), "ProbabilityAfter": probability(&best.logits[0]),
            "ProbabilityOfBaseline": probability(&self.logits[1]),
            "Aim": self.options.objective.describe(&self.objective, &best.logits[0]),
            "AimBefore": optimized(&self.logits[0]), "AimAfter": optimized(&best.logits[0]), "AimOfBaseline": optimized(&self.logits[1]),
            "Goal": self.views[0].1.threshold, "AimScale": self.views[0].1.scale,
            "Area": area, "AreaInBrain": area_in_brain, "AreaIsShareOf": self.brain,
            "Terms": best.terms,
            "MaskCells": self.mask.to_grid.input_shape(),
            "DistanceFromTraining": ood_distance,
            "Iterations": self.iteration, "BestIteration": best.iteration, "Stopped": stopped,
        });
        if let [_, (_, loss)] = self.views[..] {
            record.measured["AimOfComplementAfter"] = json!(optimized(&best.logits[1]));
            record.measured["GoalOfComplement"] = json!(loss.threshold);
        }
        let moved = score_after - score_before;
        let deletes = criterion != RegionCriterion::Preserve;
        if deletes && optimized(&self.logits[1]) >= optimized(&self.logits[0]) {
            record.warnings.push(
                "The baseline scores no less than the image itself, so there was no score of its to fall to: see Goal."
                    .into(),
            );
        }
        if deletes && moved >= 0.0 {
            record.warnings.push(format!("No region was found that lowers the score when it is taken out ({score_before:.4} before, {score_after:.4} after)."));
        }
        if area_in_brain > 0.5 {
            record.warnings.push(format!(
                "What was found takes {:.0} % of {}: it localises little.",
                100.0 * area_in_brain,
                self.brain
            ));
        }
        Attribution::new(&self.case, map, record)
    }
}

/// The compiled network for all copies.
fn plan<'e>(explainer: &'e mut Explainer, options: &MeaningfulPerturbation) -> Result<&'e mut Plan> {
    explainer.plan(Purpose::InputGradient, options.game.views() * options.copies, &[])
}

/// The copy that stays, then copies moved by up to `max` voxels along each axis, to either side.
fn draw_shifts(seed: Seed, max: usize, shifts: &mut [[isize; 3]]) {
    let mut random = seed.random();
    let mut draw = || random.below(2 * max + 1).cast_signed() - max.cast_signed();
    shifts[1..].fill_with(|| [draw(), draw(), draw()]);
}

/// Falls from `rate` to a tenth of it along half a cosine.
fn cosine(rate: f64, iteration: usize, iterations: usize) -> f64 {
    let part = iteration as f64 / iterations as f64;
    rate * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * part).cos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_to_a_tenth() {
        assert!((cosine(0.1, 0, 200) - 0.1).abs() < 1e-12);
        assert!((cosine(0.1, 100, 200) - 0.055).abs() < 1e-12);
        assert!((cosine(0.1, 200, 200) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn shifts_reach_both_sides_and_the_first_copy_stays() {
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..100 {
            let mut shifts = [[9; 3]; 4];
            shifts[0] = [0; 3];
            draw_shifts(Seed::new(1).index(n), 2, &mut shifts);
            assert_eq!(shifts[0], [0; 3]);
            seen.extend(shifts[1..].iter().flatten().copied());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
    }
}
