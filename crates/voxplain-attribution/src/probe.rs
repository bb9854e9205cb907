//! [`Probe`]: the scores of many altered copies of one image.

use crate::case::Case;
use crate::explainer::Explainer;
use crate::target::{Objective, Target};
use serde_json::Value;
use voxplain_core::{Action, Remedy, Result, remedy};
use voxplain_nn::Purpose;

/// Volumes that go through the network together where memory allows; what is held of all those that are asked about.
const TOGETHER: usize = 8;

/// Altered copies whose distance from training is measured: so many, evenly taken.
const MEASURED: usize = 16;

/// Asks the network for the explained score of altered copies of a case's image.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    /// The case.
    pub(crate) case: Case<'a>,
    /// What is explained.
    pub(crate) objective: Objective,
    /// Outputs of the network for the image itself.
    pub(crate) logits: Vec<f32>,
    /// Volumes sent through the network so far, the image included.
    pub(crate) passes: usize,
    batch: Vec<f32>,
    /// Copies kept to be measured.
    some: Vec<Vec<f32>>,
}

impl<'a> Probe<'a> {
    /// Asks about the image itself.
    pub(crate) fn new(explainer: &mut Explainer, case: &Case<'a>, default: Target) -> Result<Self> {
        let logits = explainer.logits(std::slice::from_ref(case))?.remove(0);
        let objective = case.objective(default, &logits)?;
        Ok(Self { case: *case, objective, logits, passes: 1, batch: Vec::new(), some: Vec::new() })
    }

    /// The score of the image itself.
    pub(crate) fn score(&self) -> f64 {
        self.objective.value(&self.logits)
    }

    /// The scores of `count` copies; `alter` is given the number of each and the image to change in place.
    pub(crate) fn scores(
        &mut self,
        explainer: &mut Explainer,
        count: usize,
        mut alter: impl FnMut(usize, &mut [f32]),
    ) -> Result<Vec<f64>> {
        let image = &*self.case.values();
        let classes = explainer.network().outputs();
        let mut scores = Vec::with_capacity(count);
        let batch = explainer.batch(Purpose::Infer, count.clamp(1, TOGETHER), &[])?;
        self.batch.resize(batch * image.len(), 0.0);
        for first in (0..count).step_by(batch) {
            let together = batch.min(count - first);
            let copies = &mut self.batch[..together * image.len()];
            for (n, copy) in copies.chunks_exact_mut(image.len()).enumerate() {
                copy.copy_from_slice(image);
                alter(first + n, copy);
                let measured = MEASURED.min(count);
                if (0..measured).any(|m| m * count / measured == first + n) {
                    self.some.push(copy.to_vec());
                }
            }
            let tape = explainer.plan(Purpose::Infer, batch, &[])?.forward(copies)?;
            for logits in tape.output().chunks_exact(classes) {
                let score = self.objective.value(logits);
                if !score.is_finite() {
                    return Err(self
                        .case
                        .refuse(format!("an altered copy of the image has the score {score}"), altered_overflow()));
                }
                scores.push(score);
            }
        }
        self.passes += count;
        Ok(scores)
    }

    /// How far the copies were from what the network was trained on, for a record
    /// ([`TrainingFeatures`](crate::ood_distance::TrainingFeatures)).
    pub(crate) fn ood_distance(&self, explainer: &mut Explainer) -> Result<Value> {
        let shown: Vec<&[f32]> = self.some.iter().map(Vec::as_slice).collect();
        explainer.ood_distance(&self.case, &shown)
    }
}

/// What to do where the network's output for an altered image is not finite.
pub(crate) fn altered_overflow() -> Remedy {
    remedy!["the network overflowed on it; take another baseline, or look at the image with ", Action::new("inspect")]
}
