//! [`Trace`]: the probability of the explained class while voxels are replaced or put back in an order.

use super::{Metric, Settings, Substrate};
use crate::setting::SUBSTRATE;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use voxplain_attribution::{BaselineOptions, Case, Explainer, Filling, Objective, Score};
use voxplain_core::{Action, Error, Result, remedy};

/// How near a harmonic filling comes to Laplace's equation from one step to the next, as a share of the range of values
/// around the hole: [`Harmonic::refill`](voxplain_attribution::Harmonic::refill). Our choice: the filling is then within about a thousandth of that range, which no network should mind.
const ENOUGH: f64 = 1e-4;

/// The curve of one map and that of its random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Whether voxels were replaced or put back.
    pub metric: Metric,
    /// What replaced them.
    pub substrate: Substrate,
    /// Probability of the explained class after each step: `steps + 1` values, the first before the first step.
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

/// Number of voxels that are replaced (or put back) after step `step` of `steps`: rounded to the nearest, halves up.
pub(super) const fn count_after(step: usize, steps: usize, voxels: usize) -> usize {
    (2 * step * voxels + steps) / (2 * steps)
}

/// An image of which a part is replaced.
#[derive(Clone, Debug)]
struct PartialImage<'a> {
    metric: Metric,
    /// `[channels][i][j][k]`.
    image: &'a [f32],
    /// Voxels of one channel.
    voxels: usize,
    order: &'a [usize],
    filling: Filling,
    /// The values with the part replaced.
    now: Vec<f32>,
    /// Number of voxels of the order that are done.
    done: usize,
}

impl<'a> PartialImage<'a> {
    fn new(metric: Metric, (image, voxels): (&'a [f32], usize), order: &'a [usize], filling: Filling) -> Self {
        let mut partial = Self { metric, image, voxels, order, filling, now: image.to_vec(), done: 0 };
        if metric == Metric::Insertion {
            partial.replace_all();
        }
        partial
    }

    /// Replaces all voxels of the order.
    fn replace_all(&mut self) {
        self.now.copy_from_slice(self.image);
        self.filling.fill(&mut self.now, &sorted(self.order));
    }

    /// Goes on until the first `count` voxels of the order are done; no fewer than before.
    fn advance(&mut self, count: usize) {
        let step = &self.order[self.done..count];
        let voxels = self.voxels;
        self.done = count;
        if step.is_empty() {
            return;
        }
        match (self.metric, &mut self.filling) {
            (Metric::Deletion, filling @ Filling::Values { .. }) => filling.fill(&mut self.now, step),
            // From the image anew, so that it ends where insertion begins, to the bit.
            (Metric::Deletion, Filling::Harmonic(_)) if count == self.order.len() => self.replace_all(),
            (Metric::Deletion, Filling::Harmonic(harmonic)) => {
                let hole = sorted(&self.order[..count]);
                self.now.chunks_exact_mut(voxels).for_each(|channel| harmonic.refill(channel, &hole, ENOUGH));
            }
            (Metric::Insertion, filling) => {
                for (now, image) in self.now.chunks_exact_mut(voxels).zip(self.image.chunks_exact(voxels)) {
                    step.iter().for_each(|&n| now[n] = image[n]);
                }
                if let Filling::Harmonic(harmonic) = filling {
                    let hole = sorted(&self.order[count..]);
                    self.now.chunks_exact_mut(voxels).for_each(|channel| harmonic.refill(channel, &hole, ENOUGH));
                }
            }
        }
    }
}

/// Voxels in the order of memory: a hole is then filled to the same bits whatever order made it.
fn sorted(hole: &[usize]) -> Vec<usize> {
    let mut hole = hole.to_vec();
    hole.sort_unstable();
    hole
}

/// The curves of an order and of its control, for all metrics and substrates. All advance step by step together, so that the network
/// gets many volumes in a batch.
///
/// # Errors
/// The network overflows.
pub(super) fn traces(
    explainer: &mut Explainer,
    case: &Case<'_>,
    class: usize,
    [order, random]: [&[usize]; 2],
    metrics: &[Metric],
    settings: &Settings,
) -> Result<Vec<Trace>> {
    let engine = explainer.engine().clone();
    let (whole, voxels) = (case.values(), case.image.data().len());
    let objective = Objective { class, minus: None, score: Score::Prob };
    let filling = |substrate: Substrate| {
        let baseline = BaselineOptions::new("a curve", substrate.into(), settings.blur);
        engine.thread_pool().install(|| baseline.filling(explainer, case, &objective))
    };
    let fillings: Vec<Filling> = settings.substrates.iter().copied().map(filling).collect::<Result<_>>()?;
    let mut images = Vec::new();
    let mut traces = Vec::new();
    for &metric in metrics {
        for (&substrate, filling) in settings.substrates.iter().zip(&fillings) {
            images.push(PartialImage::new(metric, (&whole, voxels), order, filling.clone()));
            images.push(PartialImage::new(metric, (&whole, voxels), random, filling.clone()));
            traces.push(Trace { metric, substrate, curve: Vec::new(), random: Vec::new() });
        }
    }
    for step in 0..=settings.steps {
        let count = count_after(step, settings.steps, order.len());
        engine.thread_pool().install(|| images.par_iter_mut().for_each(|image| image.advance(count)));
        let scores = explainer.scores(images.len(), &objective, |n, volume| volume.copy_from_slice(&images[n].now))?;
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
    /// Checks the settings.
    ///
    /// # Errors
    /// No step, no substrate, or a blur that is not above 0 mm.
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
            prop_assert_eq!((count_after(0, steps, voxels), count_after(steps, steps, voxels)), (0, voxels));
            for step in 1..=steps {
                let size = count_after(step, steps, voxels) - count_after(step - 1, steps, voxels);
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
