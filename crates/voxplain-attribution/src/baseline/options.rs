//! [`BaselineOptions`]: a kind of baseline with what it takes to make it.

use super::{Baseline, Filling, Harmonic};
use crate::case::Case;
use crate::explainer::Explainer;
use crate::target::Objective;
use std::sync::Arc;
use voxplain_core::{Error, Result, random::Seed};
use voxplain_volume::{Border, Mask, Volume};

/// A baseline with what it takes to make it, in the name of a method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaselineOptions<'a> {
    /// The method, for messages.
    pub method: &'a str,
    /// The kind.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of [`Baseline::Blur`], in mm.
    pub blur: f64,
    /// How many training subjects [`Baseline::Expected`] takes.
    pub subjects: usize,
    /// Where the draw of these starts.
    pub seed: Seed,
}

impl<'a> BaselineOptions<'a> {
    /// A baseline that is not drawn from the training subjects; `blur` in mm.
    pub const fn new(method: &'a str, baseline: Baseline, blur: f64) -> Self {
        Self { method, baseline, blur, subjects: 1, seed: Seed::new(0) }
    }

    /// Refuses what the method does not take (it takes those `taken`), and what cannot be made here or anywhere.
    ///
    /// # Errors
    /// Another baseline than those, a blur that does nothing, no training subjects where they are needed.
    pub fn check(&self, taken: &[Baseline], explainer: &Explainer) -> Result<()> {
        let Self { method, baseline, blur, subjects, .. } = *self;
        if !taken.contains(&baseline) {
            return Err(Baseline::refused(method, baseline.name(), taken));
        }
        let wrong = |what: String| Err(Error::request(what, "leave it out to take the default"));
        match baseline {
            Baseline::Blur if !(blur.is_finite() && blur > 0.0) => {
                wrong(format!("{method}.blur={blur}: expected more than 0"))
            }
            Baseline::Expected if subjects == 0 => wrong(format!("{method}.donors=0: expected at least 1")),
            Baseline::Opposite if explainer.task().value().is_some() => Err(Error::request(
                format!("{method} with baseline {baseline}: the network predicts a value, which has no other class"),
                "take another baseline, such as cohort-mean or expected",
            )),
            Baseline::CohortMean | Baseline::Opposite | Baseline::Expected => {
                explainer.require_training_subjects(&format!("{method} with baseline {baseline}"))
            }
            Baseline::Zero | Baseline::ImageMean | Baseline::Blur | Baseline::Harmonic => Ok(()),
        }
    }

    /// The whole image replaced, every channel by itself, `[channels][i][j][k]`: one image, or several for
    /// [`Baseline::Expected`]. A harmonic filling of all of the image has nothing around it to continue: it is the mean of the
    /// image.
    ///
    /// # Errors
    /// Training subjects are needed and there are none, or their volumes cannot be read.
    pub fn images(&self, explainer: &mut Explainer, case: &Case<'_>, objective: &Objective) -> Result<Vec<Arc<[f32]>>> {
        let classes = explainer.network().outputs();
        Ok(match self.baseline {
            Baseline::Zero => vec![vec![0.0; case.values().len()].into()],
            Baseline::ImageMean | Baseline::Harmonic => {
                let (brain, _) = case.brain();
                vec![case.each_channel(|channel| vec![mean(channel, &brain); case.voxels()]).into()]
            }
            Baseline::Blur => vec![case.each_channel(|channel| blurred(channel, self.blur)).into()],
            Baseline::CohortMean => {
                let all: Vec<usize> = (0..classes).collect();
                vec![explainer.training_subjects(self.method)?.mean(&all, case)?.into()]
            }
            Baseline::Opposite => {
                let others: Vec<usize> = match objective.minus {
                    Some(minus) => vec![minus],
                    None => (0..classes).filter(|&c| c != objective.class).collect(),
                };
                vec![explainer.training_subjects(self.method)?.mean(&others, case)?.into()]
            }
            Baseline::Expected => {
                let drawn = explainer.training_subjects(self.method)?.draw(self.subjects, self.seed, case)?;
                drawn.into_iter().map(|subject| subject.values).collect()
            }
        })
    }

    /// [`BaselineOptions::images`] for a baseline that is one image; the first of several.
    ///
    /// # Errors
    /// Those of [`BaselineOptions::images`].
    pub fn image(&self, explainer: &mut Explainer, case: &Case<'_>, objective: &Objective) -> Result<Arc<[f32]>> {
        Ok(self.images(explainer, case, objective)?.swap_remove(0))
    }

    /// The baseline made ready to fill holes in the image of a case.
    ///
    /// # Errors
    /// Those of [`BaselineOptions::images`].
    pub fn filling(&self, explainer: &mut Explainer, case: &Case<'_>, objective: &Objective) -> Result<Filling> {
        Ok(match self.baseline {
            Baseline::Harmonic => {
                Filling::Harmonic(Box::new(Harmonic::new(case.image.shape(), case.image.grid().spacing())))
            }
            Baseline::Zero
            | Baseline::ImageMean
            | Baseline::Blur
            | Baseline::CohortMean
            | Baseline::Opposite
            | Baseline::Expected => {
                Filling::Values { values: self.image(explainer, case, objective)?, voxels: case.voxels() }
            }
        })
    }

    /// The baseline in words; `count` is the number of images that it was.
    pub fn describe(&self, count: usize) -> String {
        match self.baseline {
            Baseline::Zero => "zeros".into(),
            Baseline::ImageMean => "the mean of the image over its mask".into(),
            Baseline::Blur => format!("the image blurred by {} mm", self.blur),
            Baseline::CohortMean => "the mean of the people that the model was trained on".into(),
            Baseline::Opposite => "the mean of the people of the opposite class that the model was trained on".into(),
            Baseline::Expected => format!("{count} people that the model was trained on, averaged over"),
            Baseline::Harmonic => "what surrounds the hole".into(),
        }
    }
}

/// A channel smoothed by a Gaussian of `mm` over the whole grid.
pub(crate) fn blurred(channel: &Volume, mm: f64) -> Vec<f32> {
    channel.smooth(mm, Border::Renormalize).into_data()
}

/// The mean of a channel over the brain.
#[expect(clippy::cast_possible_truncation, reason = "intensities are float32")]
fn mean(channel: &Volume, brain: &Mask) -> f32 {
    let inside = || channel.data().iter().zip(brain.data()).filter(|(_, b)| **b).map(|(&v, _)| f64::from(v));
    (inside().sum::<f64>() / inside().count() as f64) as f32
}
