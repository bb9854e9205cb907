//! [`Trace`]: one order of voxels played through, taken out of the image or put back into it.

use super::{Metric, Settings, Substrate};
use crate::setting::SUBSTRATE;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use voxplain_attribution::{BaselineOptions, Case, Explainer, Filling, Objective, Score};
use voxplain_core::{Action, Error, Result, remedy};

/// How near a harmonic filling comes to Laplace's equation from one step to the next, as a share of the range of values
/// around the hole: [`Harmonic::refill`](voxplain_attribution::Harmonic::refill). Our choice: the filling is then within about a thousandth of that range, which no network should mind.
const ENOUGH: f64 = 1e-4;

/// One map's order and its control, played through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What was done with the voxels.
    pub metric: Metric,
    /// What stood where they were missing.
    pub substrate: Substrate,
    /// Probability of the explained class after each step, from none of the brain to all of it: steps + 1 values.
    pub curve: Vec<f64>,
    /// The same for the random order.
    pub random: Vec<f64>,
}

impl Trace {
    /// Area under the map's curve.
    pub fn auc(&self) -> f64 {
        auc(&self.curve)
    }

    /// Area under the random order's curve.
    pub fn random_auc(&self) -> f64 {
        auc(&self.random)
    }
}

/// The area under a curve of values at equal steps from 0 to 1, by the trapezoid rule: `(sum p - p_0 / 2 - p_n / 2) / n`
/// (Petsiuk et al. 2018). Panics for fewer than two values.
pub fn auc(curve: &[f64]) -> f64 {
    let steps = curve.len() - 1;
    (curve.iter().sum::<f64>() - curve[0] / 2.0 - curve[steps] / 2.0) / steps as f64
}

/// Voxels that are through after a step of so many: rounded to the nearest, halves up.
pub(super) const fn through(step: usize, steps: usize, voxels: usize) -> usize {
    (2 * step * voxels + steps) / (2 * steps)
}

/// An image on its way, as far as it has come.
#[derive(Clone, Debug)]
struct Fading<'a> {
    metric: Metric,
    image: &'a [f32],
    order: &'a [usize],
    filling: Filling,
    now: Vec<f32>,
    through: usize,
}

impl<'a> Fading<'a> {
    fn new(metric: Metric, image: &'a [f32], order: &'a [usize], filling: Filling) -> Self {
        let mut fading = Self { metric, image, order, filling, now: image.to_vec(), through: 0 };
        if metric == Metric::Insertion {
            fading.empty();
        }
        fading
    }

    /// All of the brain is missing.
    fn empty(&mut self) {
        self.now.copy_from_slice(self.image);
        self.filling.fill(&mut self.now, &sorted(self.order));
    }

    /// The first `count` voxels of the order are through; no fewer than before.
    fn to(&mut self, count: usize) {
        let step = &self.order[self.through..count];
        self.through = count;
        if step.is_empty() {
            return;
        }
        match (self.metric, &mut self.filling) {
            (Metric::Deletion, filling @ Filling::Values { .. }) => filling.fill(&mut self.now, step),
            // From the image anew, so that it ends where insertion begins, to the bit.
            (Metric::Deletion, Filling::Harmonic(_)) if count == self.order.len() => self.empty(),
            (Metric::Deletion, Filling::Harmonic(harmonic)) => {
                harmonic.refill(&mut self.now, &sorted(&self.order[..count]), ENOUGH);
            }
            (Metric::Insertion, filling) => {
                step.iter().for_each(|&n| self.now[n] = self.image[n]);
                if let Filling::Harmonic(harmonic) = filling {
                    harmonic.refill(&mut self.now, &sorted(&self.order[count..]), ENOUGH);
                }
            }
        }
    }
}

/// By place: neighbours are then near each other in memory, and a hole is filled to the same bits whatever order made it.
fn sorted(hole: &[usize]) -> Vec<usize> {
    let mut hole = hole.to_vec();
    hole.sort_unstable();
    hole
}

/// Plays an order and its control through, for each of the metrics and substrates; all go side by side, so that the network
/// is given many volumes at once.
///
/// # Errors
/// The network overflows.
pub(super) fn play(
    explainer: &mut Explainer,
    case: &Case<'_>,
    class: usize,
    [order, random]: [&[usize]; 2],
    metrics: &[Metric],
    settings: &Settings,
) -> Result<Vec<Trace>> {
    let engine = explainer.engine().clone();
    let image = case.image.data();
    let objective = Objective { class, minus: None, score: Score::Prob };
    let filling = |substrate: Substrate| {
        let baseline = BaselineOptions::new("a curve", substrate.into(), settings.blur);
        engine.thread_pool().install(|| baseline.filling(explainer, case, &objective))
    };
    let fillings: Vec<Filling> = settings.substrates.iter().copied().map(filling).collect::<Result<_>>()?;
    let mut fadings = Vec::new();
    let mut traces = Vec::new();
    for &metric in metrics {
        for (&substrate, filling) in settings.substrates.iter().zip(&fillings) {
            fadings.push(Fading::new(metric, image, order, filling.clone()));
            fadings.push(Fading::new(metric, image, random, filling.clone()));
            traces.push(Trace { metric, substrate, curve: Vec::new(), random: Vec::new() });
        }
    }
    for step in 0..=settings.steps {
        let count = through(step, settings.steps, order.len());
        engine.thread_pool().install(|| fadings.par_iter_mut().for_each(|fading| fading.to(count)));
        let scores =
            explainer.scores(fadings.len(), &objective, |n, volume| volume.copy_from_slice(&fadings[n].now))?;
        if let Some(score) = scores.iter().find(|s| !s.is_finite()) {
            return Err(case.refuse(
                format!("with a part of the brain replaced, the network gives a probability of {score}"),
                remedy![
                    "the network overflowed; take another ",
                    SUBSTRATE,
                    ", or look at the image with ",
                    Action::new("inspect")
                ],
            ));
        }
        for (trace, score) in traces.iter_mut().zip(scores.chunks_exact(2)) {
            trace.curve.push(score[0]);
            trace.random.push(score[1]);
        }
    }
    Ok(traces)
}

impl Settings {
    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// No step, no substrate, a blur that does nothing.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String, hint: &str| Err(Error::request(what, hint));
        if self.steps == 0 {
            return wrong("0 steps".into(), "a curve needs at least 1; 100 is the default");
        }
        if self.substrates.is_empty() {
            return wrong("no substrate".into(), "take blur, harmonic or both");
        }
        if !(self.blur.is_finite() && self.blur > 0.0) {
            return wrong(format!("a blur of {} mm", self.blur), "give a standard deviation above 0 mm");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn area_by_hand() {
        // (1/2 + 0.5 + 0) / 2, the triangle below a falling line, and what never changes.
        assert_eq!(auc(&[1.0, 0.5, 0.0]), 0.5);
        assert_eq!(auc(&[1.0, 0.0]), 0.5);
        assert_eq!(auc(&[0.7; 5]), 0.7);
        // Trapezia of 0.25: (1 + .8) / 2 + (.8 + .2) / 2 + (.2 + .2) / 2 + (.2 + .4) / 2 = 1.9.
        assert!((auc(&[1.0, 0.8, 0.2, 0.2, 0.4]) - 0.25 * 1.9).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn steps_sum_to_the_brain_and_differ_by_one_voxel_at_most(steps in 1usize..200, voxels in 1usize..5000) {
            prop_assert_eq!((through(0, steps, voxels), through(steps, steps, voxels)), (0, voxels));
            for step in 1..=steps {
                let size = through(step, steps, voxels) - through(step - 1, steps, voxels);
                prop_assert!(size == voxels / steps || size == voxels.div_ceil(steps));
            }
        }

        #[test]
        fn the_area_of_a_falling_curve_lies_between_its_rectangles(mut curve in prop::collection::vec(0.0f64..1.0, 2..50)) {
            curve.sort_by(|a, b| b.total_cmp(a));
            let (area, steps) = (auc(&curve), (curve.len() - 1) as f64);
            let (lower, upper) = (curve[1..].iter().sum::<f64>() / steps, curve[..curve.len() - 1].iter().sum::<f64>() / steps);
            prop_assert!(lower - 1e-12 <= area && area <= upper + 1e-12);
            curve.reverse();
            prop_assert!((auc(&curve) - area).abs() < 1e-12, "the same from behind");
        }
    }
}
