//! Meaningful Perturbation as of 2020.

use super::mersenne_twister::MersenneTwister;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::{Attribution, Passes};
use crate::separable::{AxisMap, Separable};
use crate::setting::COMPAT;
use crate::target::{Objective, Score};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::{AdamOptions, Optimizer, OptimizerKind, Purpose, Rules};

/// The search of the 2020 code: probability with a hinge at 0.05, a mask of every fourth voxel, a "Gaussian" of five voxels with
/// zeros beyond the border, jitter to one side under a mask that stays, weights of the regularisation that rise over the first
/// fifth of the iterations, Adam with AMSGrad whose rate falls to a tenth every 30 iterations. The best mask after iteration 50
/// is upsampled without the smoothing it was evaluated with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MeaningfulPerturbation2020 {
    /// Iterations (`max_iter`).
    iterations: usize,
    /// Jittered copies (`rep`).
    copies: usize,
    /// Number of shifts in voxels to draw from, to one side, 0 among them (`jit`); 0 and 1 are no jitter.
    jitter: u32,
    /// Rate at the start (`lr`).
    learning_rate: f64,
    /// Weight of the mean of what is blurred (`l1_coef`).
    l1: f64,
    /// Weight of the total variation (`tv_coef`).
    tv: f64,
    /// Its power (`tv_beta`).
    beta: i32,
    /// Seed of NumPy's generator, set anew for each subject.
    seed: u32,
}

impl Default for MeaningfulPerturbation2020 {
    fn default() -> Self {
        Self { iterations: 300, copies: 10, jitter: 5, learning_rate: 0.3, l1: 3.0, tv: 1.0, beta: 7, seed: 0 }
    }
}

/// Voxels per cell of the mask.
const CELL: usize = 4;
/// Standard deviation of both "Gaussians", in voxels.
const SIGMA: f64 = 10.0;
/// Where the hinge lets go.
const HINGE: f64 = 0.05;
/// The last iteration whose mask is not considered.
const WARM: usize = 50;

impl Method for MeaningfulPerturbation2020 {
    const NAME: &'static str = "meaningful-perturbation";
    const SUMMARY: &'static str = "as in 2020: hinged probability, five-voxel blur, one-sided jitter";
    const FAMILY: Family = Family::Perturbation;
    const CITATION: Option<Citation> = Some(citation::FONG_2017);
    const CONTOUR: Option<u8> = Some(1);
    const BATCH: usize = 1;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        if let Some(value) = explainer.task().value() {
            return Err(Error::request(
                format!(
                    "the code of 2020 lowers the probability of a class, and this network predicts a value, {value}"
                ),
                remedy!["leave ", COMPAT, " out"],
            ));
        }
        match explainer.network().input_shape()[0] {
            1 => Ok(()),
            channels => Err(Error::request(
                format!("the code of 2020 took one volume, and this network takes {channels} channels"),
                remedy!["leave ", COMPAT, " out"],
            )),
        }
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        if self.iterations <= WARM + 1 || self.copies == 0 || self.beta < 1 {
            return Err(Error::request(
                format!(
                    "meaningful-perturbation of 2020 with {} iterations, {} copies and beta {}: its best mask is \
                         chosen among those after iteration {WARM}, from at least one copy",
                    self.iterations, self.copies, self.beta
                ),
                "set iterations to at least 52, copies and beta to at least 1",
            ));
        }
        cases.iter().map(|case| self.search(explainer, case)).collect()
    }
}

/// A copy of the image: moved by its jitter, and the same blurred.
struct Copy {
    shift: [usize; 3],
    image: Vec<f32>,
    blurred: Vec<f32>,
    blur: Separable,
}

struct Best {
    iteration: usize,
    loss: f64,
    prediction: f64,
    cells: Vec<f32>,
}

impl MeaningfulPerturbation2020 {
    #[expect(clippy::cast_possible_truncation, reason = "everything is float32, as in PyTorch")]
    fn search(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let shape = case.image.shape();
        let voxels = case.image.data().len();
        let classes = explainer.network().outputs();
        let cells = shape.map(|n| (n / CELL).max(1));
        let stretch = |a: usize| {
            AxisMap::interpolate(cells[a], shape[a], move |n| {
                (n as f64 + 0.5) * cells[a] as f64 / shape[a] as f64 - 0.5
            })
        };
        let blur = |a: usize| five_voxels(shape[a]);
        let mut evaluated = Separable::new(&std::array::from_fn(|a| stretch(a).then(&blur(a))));
        let image_blur = Separable::new(&std::array::from_fn(blur));

        let logits = {
            let plan = explainer.plan(Purpose::InputGradient, self.copies, &[])?;
            plan.forward(case.image.data())?.output().to_vec()
        };
        let objective = case.objective(self.target(), &logits)?;
        let probability = Objective { score: Score::Prob, minus: None, ..objective };

        let mut random = MersenneTwister::new(self.seed);
        let new = || Copy {
            shift: [usize::MAX; 3],
            image: vec![0.0; voxels],
            blurred: vec![0.0; voxels],
            blur: image_blur.clone(),
        };
        let mut copies: Vec<Copy> = std::iter::repeat_with(new).take(self.copies).collect();
        let options = AdamOptions { betas: [0.9, 0.99], amsgrad: true, ..AdamOptions::default() };
        let mut adam = Optimizer::new(OptimizerKind::Adam(options));
        let mut mask = vec![1.0f32; cells.iter().product()];
        let mut up = vec![0.0f32; voxels];
        let mut batch = vec![0.0f32; voxels * self.copies];
        let mut output_gradients = vec![0.0f32; classes * self.copies];
        let mut reached = vec![0.0f32; voxels];
        let mut gradient = vec![0.0f32; mask.len()];
        let mut best: Option<Best> = None;
        let ramp = (self.iterations / 5).max(1);

        for iteration in 0..self.iterations {
            evaluated.apply(&mask, &mut up);
            for copy in &mut copies {
                // `usize::MAX` marks a copy that was never made.
                let drawn = std::array::from_fn(|_| random.below(self.jitter) as usize);
                if drawn == copy.shift {
                    continue;
                }
                copy.shift = drawn;
                copy.image.clear();
            }
            explainer.engine().thread_pool().install(|| {
                copies.par_iter_mut().zip(batch.par_chunks_exact_mut(voxels)).for_each(|(copy, shown)| {
                    copy.make(case.image.data(), shape);
                    let both = copy.image.iter().zip(&copy.blurred);
                    for ((s, m), (x, b)) in shown.iter_mut().zip(&up).zip(both) {
                        *s = x * m + b * (1.0 - m);
                    }
                });
            });
            let plan = explainer.plan(Purpose::InputGradient, self.copies, &[])?;
            let mut tape = plan.forward(&batch)?;
            let mut prediction = 0.0;
            for (gradient, logits) in
                output_gradients.chunks_exact_mut(classes).zip(tape.output().chunks_exact(classes))
            {
                let p = probability.value(logits);
                prediction += (p - HINGE).max(0.0) / self.copies as f64;
                probability.output_gradient(logits, gradient);
                let slope = if p > HINGE { 1.0 / self.copies as f32 } else { 0.0 };
                gradient.iter_mut().for_each(|g| *g *= slope);
            }
            let back = tape.backward(&output_gradients, &Rules::GRADIENT)?;
            reached.fill(0.0);
            for (copy, g) in copies.iter().zip(back.input.chunks_exact(voxels)) {
                for ((r, g), (x, b)) in reached.iter_mut().zip(g).zip(copy.image.iter().zip(&copy.blurred)) {
                    *r += g * (x - b);
                }
            }
            let weight = if iteration > ramp { 1.0 } else { iteration as f64 / ramp as f64 };
            let variation = variation(&up, shape, self.beta, weight * self.tv, &mut reached);
            let extent = mask.iter().map(|&m| f64::from(1.0 - m)).sum::<f64>() / mask.len() as f64;
            let loss = prediction + weight * (self.l1 * extent + self.tv * variation);
            if iteration > WARM && best.as_ref().is_none_or(|b| loss <= b.loss) {
                best = Some(Best { iteration, loss, prediction, cells: mask.clone() });
            }
            evaluated.adjoint(&reached, &mut gradient);
            // The slope of |1 - m| is 0 at m = 1, in PyTorch.
            let slope = (weight * self.l1 / mask.len() as f64) as f32;
            gradient.iter_mut().zip(&mask).filter(|(_, m)| **m < 1.0).for_each(|(g, _)| *g -= slope);
            let steps = i32::try_from(iteration / 30).unwrap_or(i32::MAX);
            adam.step_values(&mut mask, &gradient, self.learning_rate * 0.1f64.powi(steps))?;
            mask.iter_mut().for_each(|cell| *cell = cell.clamp(0.0, 1.0));
        }
        let best = best.ok_or_else(|| {
            case.refuse(
                "meaningful-perturbation: the loss was never a finite number",
                "look at the image's intensities",
            )
        })?;

        let removed: Vec<f32> = best.cells.iter().map(|m| 1.0 - m).collect();
        let mut map = vec![0.0; voxels];
        Separable::new(&std::array::from_fn(stretch)).apply(&removed, &mut map);
        let mut record = self.record(explainer, case, &objective, &logits);
        record.units = "share that is blurred away, 0 to 1, without the smoothing it was evaluated with".into();
        record.sign = "positive: blurring this lowers the probability; never negative".into();
        let passes = self.iterations * self.copies;
        record.passes = Passes { forward: passes + 1, backward: passes };
        record.measured = json!({
            "ProbabilityBefore": probability.value(&logits), "Loss": best.loss, "PredictionLoss": best.prediction,
            "BestIteration": best.iteration, "Iterations": self.iterations,
            "MeanExtent": removed.iter().map(|&m| f64::from(m)).sum::<f64>() / removed.len() as f64,
        });
        record.warnings.push(
            "As in 2020: the mask is moved against the image by half the jitter, its blur is a box of five voxels that \
             darkens the border, and what is exported is not what the network was shown."
                .into(),
        );
        Attribution::new(case, map, record)
    }
}

impl Copy {
    /// Makes the copy of its shift: `copy(v) = image(v + shift)`, zero beyond the end.
    fn make(&mut self, image: &[f32], shape: [usize; 3]) {
        if !self.image.is_empty() {
            return;
        }
        self.image.resize(image.len(), 0.0);
        let [di, dj, dk] = self.shift;
        for i in di..shape[0] {
            for j in dj..shape[1] {
                let from = (i * shape[1] + j) * shape[2];
                let to = ((i - di) * shape[1] + j - dj) * shape[2];
                if dk < shape[2] {
                    self.image[to..to + shape[2] - dk].copy_from_slice(&image[from + dk..from + shape[2]]);
                }
            }
        }
        self.blur.apply(&self.image, &mut self.blurred);
    }
}

/// `scipy.ndimage.gaussian_filter` of an impulse in five voxels, reflected at their ends, used as a kernel with zeros beyond
/// the border. The impulse is one voxel off the middle, and at this width the result is all but flat.
fn five_voxels(length: usize) -> AxisMap {
    let radius = 4 * 10;
    let weight = |d: i32| (-0.5 * (f64::from(d) / SIGMA).powi(2)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    let mut kernel = [0.0; 5];
    for (n, k) in (0..5).zip(&mut kernel) {
        for d in -radius..=radius {
            let folded = (n + d).rem_euclid(10);
            let place = if folded < 5 { folded } else { 9 - folded };
            if place == 3 {
                *k += weight(d) / sum;
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "distances are -2 to 2")]
    AxisMap::kernel(length, 2.0, |distance| kernel[(distance + 2.0) as usize], false)
}

/// `sum over axes of mean |difference of neighbours|^beta`, and `weight` times its gradient added.
fn variation(up: &[f32], shape: [usize; 3], beta: i32, weight: f64, gradient: &mut [f32]) -> f64 {
    let strides = [shape[1] * shape[2], shape[2], 1];
    let mut sum = 0.0;
    for axis in 0..3 {
        let (length, stride) = (shape[axis], strides[axis]);
        let pairs = up.len() / length * (length - 1);
        if pairs == 0 {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, reason = "gradients are float32")]
        let slope = (weight * f64::from(beta) / pairs as f64) as f32;
        let mut total = 0.0;
        // Slabs along the axis: each next to the one before it, value by value.
        for slab in 0..up.len() / (length * stride) {
            let first = slab * length * stride;
            for n in first..first + (length - 1) * stride {
                let difference = up[n + stride] - up[n];
                if difference == 0.0 {
                    continue;
                }
                let power = difference.abs().powi(beta - 1);
                total += f64::from(power * difference.abs());
                let push = slope * power * difference.signum();
                gradient[n + stride] += push;
                gradient[n] -= push;
            }
        }
        sum += total / pairs as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `gaussian_filter(impulse at 3 of 5, sigma=10)` of `SciPy` 1.17.1.
    #[test]
    fn kernel_of_scipy() {
        let map = five_voxels(9);
        let mut image = vec![0.0f32; 9];
        image[4] = 1.0;
        let mut out = vec![0.0; 9];
        let one = || AxisMap::interpolate(1, 1, |_| 0.0);
        Separable::new(&[one(), one(), map]).apply(&image, &mut out);
        // The place `4 - d` of the output sees the impulse through tap `2 + d`.
        for (tap, k) in KERNEL.iter().enumerate() {
            assert!((f64::from(out[6 - tap]) - k).abs() < 1e-6, "{tap}: {out:?}");
        }
        assert!(out[..2].iter().chain(&out[7..]).all(|&v| v == 0.0));
    }

    const KERNEL: [f64; 5] = [
        0.200_002_110_469_505_2,
        0.200_000_605_058_963_3,
        0.199_997_375_438_048_32,
        0.200_005_346_194_447_2,
        0.199_994_562_839_035_88,
    ];
}
