//! [`Perturbation`]: the search for a mask, one iteration at a time.

use super::super::{Attribution, Case, Explainer, Method, Objective, Passes};
use super::mask::{CoarseMask, gaussian};
use super::{Aim, Game, MeaningfulPerturbation, shift};
use crate::Result;
use serde::Serialize;
use serde_json::json;
use voxplain_nn::{Plan, Purpose, Rules, random::Seed};
use voxplain_volume::{Mask, Volume};

/// The terms of the objective at one iterate, on the copy that stays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Terms {
    /// `+- S / D`.
    pub score: f64,
    /// `l1 * area`.
    pub area: f64,
    /// `tv * total variation`.
    pub variation: f64,
}

impl Terms {
    /// What is minimised.
    pub fn sum(&self) -> f64 {
        self.score + self.area + self.variation
    }
}

/// A search for the mask of one case. [`Perturbation::step`] is one iteration; nothing is allocated in it.
#[derive(Debug)]
pub struct Perturbation<'a> {
    options: MeaningfulPerturbation,
    case: Case<'a>,
    objective: Objective,
    logits: [Vec<f32>; 2],
    scale: f64,
    brain: &'static str,
    mask: CoarseMask,
    baseline: Vec<f32>,
    /// Image minus baseline.
    difference: Vec<f32>,
    /// The mask on the grid, what the network is shown of it, and what reaches it on the way back.
    grid_mask: Vec<f32>,
    shown: Vec<f32>,
    reached: Vec<f32>,
    /// One volume per copy.
    batch: Vec<f32>,
    shifts: Vec<[isize; 3]>,
    seeds: Vec<f32>,
    /// Gradient at the cells: all of it, and the score's part.
    gradient: Vec<f32>,
    from_score: Vec<f32>,
    random: Seed,
    iteration: usize,
    best: Option<Best>,
    passes: Passes,
}

/// The best iterate so far.
#[derive(Clone, Debug)]
struct Best {
    iteration: usize,
    cells: Vec<f32>,
    terms: Terms,
    logits: Vec<f32>,
}

impl<'a> Perturbation<'a> {
    /// Starts a search with a mask of ones: nothing blurred.
    pub fn new(options: &MeaningfulPerturbation, explainer: &mut Explainer, case: &Case<'a>) -> Result<Self> {
        options.check()?;
        explainer.check(case)?;
        let grid = *case.image.grid();
        let image = case.image.data();
        let (brain, brain_is) = brain(case);
        let mut baseline = vec![0.0; image.len()];
        gaussian(&grid, options.blur).apply(image, &mut baseline);
        let classes = explainer.network().outputs();
        let plan = plan(explainer, options)?;
        let logits = [image, baseline.as_slice()].map(|volume| plan.forward(volume).map(|tape| tape.output().to_vec()));
        let [of_image, of_baseline] = logits;
        let logits = [of_image?, of_baseline?];
        let objective = case.objective(options.target(), &logits[0])?;
        let aim = |logits: &[f32]| aim(options.objective, &objective, logits);
        let scale = (aim(&logits[0]) - aim(&logits[1])).abs().max(1.0);
        let mask = CoarseMask::new(options, &grid, &brain);
        Ok(Self {
            case: *case,
            objective,
            logits,
            scale,
            brain: brain_is,
            difference: image.iter().zip(&baseline).map(|(x, b)| x - b).collect(),
            baseline,
            grid_mask: vec![0.0; image.len()],
            shown: vec![0.0; image.len()],
            reached: vec![0.0; image.len()],
            batch: vec![0.0; options.copies * image.len()],
            shifts: vec![[0; 3]; options.copies],
            seeds: vec![0.0; options.copies * classes],
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

    /// One iteration: evaluates the mask on all copies and moves it. Returns the terms of the mask that was evaluated.
    pub fn step(&mut self, explainer: &mut Explainer) -> Result<Terms> {
        let Self { options, case, mask, .. } = self;
        let shape = case.image.shape();
        let voxels = case.image.data().len();
        let sign = if options.game == Game::Delete { 1.0 } else { -1.0 };

        mask.to_grid.apply(&mask.cells, &mut self.grid_mask);
        let blended = self.grid_mask.iter().zip(&self.difference).zip(&self.baseline);
        self.shown.iter_mut().zip(blended).for_each(|(s, ((m, d), b))| *s = m * d + b);
        draw_shifts(self.random.index(self.iteration as u64), options.jitter, &mut self.shifts);
        for (copy, &by) in self.batch.chunks_exact_mut(voxels).zip(&self.shifts) {
            shift::copy(&self.shown, shape, by, copy);
        }

        let mut tape = plan(explainer, options)?.forward(&self.batch)?;
        let classes = self.seeds.len() / options.copies;
        let weight = sign / (self.scale * options.copies as f64);
        for (seed, logits) in self.seeds.chunks_exact_mut(classes).zip(tape.output().chunks_exact(classes)) {
            aim_seed(options.objective, &self.objective, logits, weight, seed);
        }
        let stays = &tape.output()[..classes];
        let score = sign * aim(options.objective, &self.objective, stays) / self.scale;
        let improves = |terms: &Terms, best: &Option<Best>| best.as_ref().is_none_or(|b| terms.sum() < b.terms.sum());

        // What does not depend on the walk back: the area and the variation of the mask, with their gradients.
        let area = if options.game == Game::Delete { 1.0 - mask.mean() } else { mask.mean() };
        #[expect(clippy::cast_possible_truncation, reason = "gradients are float32")]
        let slope = (-sign * options.l1) as f32;
        let gradient = &mut self.gradient;
        gradient.iter_mut().zip(&mask.area).for_each(|(g, a)| *g = slope * a);
        let variation = options.tv * mask.total_variation(options.beta, options.tv, gradient);
        let terms = Terms { score, area: options.l1 * area, variation };
        if terms.sum().is_finite() && improves(&terms, &self.best) {
            let best = self.best.get_or_insert_with(|| Best {
                iteration: 0,
                cells: mask.cells.clone(),
                terms,
                logits: stays.to_vec(),
            });
            (best.iteration, best.terms) = (self.iteration, terms);
            best.cells.copy_from_slice(&mask.cells);
            best.logits.copy_from_slice(stays);
        }

        let back = tape.backward(&self.seeds, &Rules::GRADIENT)?;
        self.reached.fill(0.0);
        for (copy, &by) in back.input.chunks_exact(voxels).zip(&self.shifts) {
            shift::collect(copy, shape, by, &mut self.reached);
        }
        self.reached.iter_mut().zip(&self.difference).for_each(|(r, d)| *r *= d);
        mask.to_grid.adjoint(&self.reached, &mut self.from_score);
        gradient.iter_mut().zip(&self.from_score).for_each(|(g, s)| *g += *s);
        mask.step(gradient, cosine(options.learning_rate, self.iteration, options.iterations));

        self.iteration += 1;
        self.passes.forward += options.copies;
        self.passes.backward += options.copies;
        Ok(terms)
    }

    /// The map of the best iterate, as the network was shown it, with its record.
    pub fn finish(mut self, explainer: &Explainer) -> Result<Attribution> {
        let stopped = if self.on_plateau() { "plateau" } else { "iterations" };
        let Some(best) = self.best.take() else {
            return Err(self.case.refuse(
                "meaningful-perturbation: the objective was never a finite number",
                "the network overflowed on this input; look at the image's intensities with voxplain inspect",
            ));
        };
        self.mask.cells.copy_from_slice(&best.cells);
        self.mask.to_grid.apply(&best.cells, &mut self.grid_mask);
        let delete = self.options.game == Game::Delete;
        // Upsampling ones and zeros rounds to some 1e-7 beside them: that is no extent.
        let extent = |m: f32| if delete { 1.0 - m } else { m };
        let whole = |e: f32| if e < 1e-6 { 0.0 } else { e.min(1.0) };
        let map: Vec<f32> = self.grid_mask.iter().map(|&m| whole(extent(m))).collect();

        let mut record = explainer.record(&self.options, &self.case, &self.objective, &self.logits[0]);
        let area = if delete { 1.0 - self.mask.mean() } else { self.mask.mean() };
        let [score_before, score_baseline] = self.logits.each_ref().map(|z| self.objective.value(z));
        let score_after = self.objective.value(&best.logits);
        let aim = |z: &[f32]| aim(self.options.objective, &self.objective, z);
        let probability =
            |z: &[f32]| Objective { score: super::super::Score::Prob, minus: None, ..self.objective }.value(z);
        record.units = match self.options.game {
            Game::Delete => "share of each voxel that is blurred away, 0 to 1".into(),
            Game::Preserve => "share of each voxel that is kept, 0 to 1".into(),
        };
        record.sign = match self.options.game {
            Game::Delete => "positive: blurring this lowers the explained score; never negative".into(),
            Game::Preserve => "positive: keeping this upholds the explained score; never negative".into(),
        };
        record.passes = self.passes;
        record.measured = json!({
            "ScoreBefore": score_before, "ScoreAfter": score_after, "ScoreOfBaseline": score_baseline,
            "ProbabilityBefore": probability(&self.logits[0]), "ProbabilityAfter": probability(&best.logits),
            "ProbabilityOfBaseline": probability(&self.logits[1]),
            "Aim": match self.options.objective {
                Aim::LogOdds if self.objective.minus.is_none() => "log-odds of the explained class",
                _ => "the explained score",
            },
            "AimBefore": aim(&self.logits[0]), "AimAfter": aim(&best.logits), "AimOfBaseline": aim(&self.logits[1]),
            "AimScale": self.scale,
            "Area": area, "AreaIsShareOf": self.brain,
            "Terms": best.terms,
            "MaskCells": self.mask.to_grid.input_shape(),
            "Iterations": self.iteration, "BestIteration": best.iteration, "Stopped": stopped,
        });
        let moved = score_after - score_before;
        if delete && moved >= 0.0 {
            record.warnings.push(format!("No region was found whose blurring lowers the score ({score_before:.4} before, {score_after:.4} after)."));
        }
        if area > 0.5 {
            record.warnings.push(format!("The mask covers {:.0} % of the brain: it localises little.", 100.0 * area));
        }
        Attribution::new(&self.case, map, record)
    }
}

/// The compiled network for all copies.
fn plan<'e>(explainer: &'e mut Explainer, options: &MeaningfulPerturbation) -> Result<&'e mut Plan> {
    explainer.plan(Purpose::InputGradient, options.copies, &[])
}

/// The voxels whose area counts, and what they are.
fn brain(case: &Case<'_>) -> (Mask, &'static str) {
    let given = case.mask.filter(|mask| mask.data().contains(&true)).map(|mask| (mask.clone(), "the brain mask"));
    given.unwrap_or_else(|| {
        let inside = case.image.map(|&v| v != 0.0);
        if inside.data().contains(&true) {
            (inside, "voxels other than 0")
        } else {
            (everywhere(case.image), "all voxels")
        }
    })
}

fn everywhere(image: &Volume) -> Mask {
    image.map(|_| true)
}

/// The copy that stays, then copies moved by up to `most` voxels along each axis, to either side.
fn draw_shifts(seed: Seed, most: usize, shifts: &mut [[isize; 3]]) {
    let mut random = seed.random();
    let mut draw = || random.below(2 * most + 1).cast_signed() - most.cast_signed();
    shifts[1..].fill_with(|| [draw(), draw(), draw()]);
}

/// Falls from `rate` to a tenth of it along half a cosine.
fn cosine(rate: f64, iteration: usize, iterations: usize) -> f64 {
    let part = iteration as f64 / iterations as f64;
    rate * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * part).cos()))
}

/// Log-odds of a class: `z_c - log sum of exp z over the others`.
fn log_odds(class: usize, logits: &[f32]) -> f64 {
    f64::from(logits[class]) - others(class, logits)
}

fn others(class: usize, logits: &[f32]) -> f64 {
    let rest = || logits.iter().enumerate().filter(move |(k, _)| *k != class).map(|(_, &z)| f64::from(z));
    let most = rest().fold(f64::NEG_INFINITY, f64::max);
    most + rest().map(|z| (z - most).exp()).sum::<f64>().ln()
}

/// The value of what the mask is to change.
fn aim(aim: Aim, objective: &Objective, logits: &[f32]) -> f64 {
    match aim {
        Aim::LogOdds if objective.minus.is_none() && logits.len() > 1 => log_odds(objective.class, logits),
        _ => objective.value(logits),
    }
}

/// `weight` times its gradient at the logits.
#[expect(clippy::cast_possible_truncation, reason = "the walk back takes float32")]
fn aim_seed(aim: Aim, objective: &Objective, logits: &[f32], weight: f64, seed: &mut [f32]) {
    match aim {
        Aim::LogOdds if objective.minus.is_none() && logits.len() > 1 => {
            let total = others(objective.class, logits);
            for (k, s) in seed.iter_mut().enumerate() {
                let slope = if k == objective.class { 1.0 } else { -(f64::from(logits[k]) - total).exp() };
                *s = (weight * slope) as f32;
            }
        }
        _ => {
            objective.seed(logits, seed);
            seed.iter_mut().for_each(|s| *s = (weight * f64::from(*s)) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Score;

    #[test]
    fn log_odds_by_hand_and_by_difference() {
        // Against two others of logit 0: p = e^z / (e^z + 2).
        let logits = [3.0f32, 0.0, 0.0];
        assert!((log_odds(0, &logits) - (3.0 - 2f64.ln())).abs() < 1e-12);
        let objective = Objective { class: 0, minus: None, score: Score::Logit };
        let mut seed = [0.0; 3];
        aim_seed(Aim::LogOdds, &objective, &logits, 2.0, &mut seed);
        assert_eq!(seed, [2.0, -1.0, -1.0]);
    }

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
