//! [`Infill`]: what stands where a part of an image was taken out, the baseline of methods that take parts out.

use crate::baseline::harmonic::Harmonic;
use crate::{Case, Explainer};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use voxplain_volume::{Border, Mask, Volume};

/// What stands where a part of an image was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Infill {
    /// 0, whatever that is on the image's scale: black for intensities as they are, the median brain after robust normalisation.
    Zero,
    /// The mean of the image over its brain ([`Case::brain`]).
    Mean,
    /// The image smoothed by a Gaussian, over the whole grid: blurring within the brain would keep its outline.
    #[default]
    Blur,
    /// The mean of the people that the network was trained on, voxel by voxel.
    CohortMean,
    /// What surrounds the hole, continued as smoothly as can be (Laplace's equation).
    Harmonic,
}

/// An [`Infill`] made ready for one image.
#[derive(Clone, Debug)]
pub(crate) enum Filling {
    /// The same whatever the hole is: values of all channels, and how many voxels each has.
    Values(Vec<f32>, usize),
    /// Made for each hole.
    Harmonic(Harmonic),
}

impl Infill {
    /// Refuses, for a method, what cannot be had here: people, or a blur that does nothing.
    pub(crate) fn suits(self, explainer: &Explainer, method: &str, blur: f64) -> Result<()> {
        match self {
            Self::CohortMean => explainer.require_donors(&format!("{method} with baseline cohort-mean")),
            Self::Blur if !(blur.is_finite() && blur > 0.0) => Err(Error::request(
                format!("{method}.blur={blur}: expected more than 0"),
                "leave it out to take the default",
            )),
            _ => Ok(()),
        }
    }

    /// [`Infill::suits`] for methods whose masks have no edge: harmonic filling needs one.
    pub(crate) fn suits_soft(self, explainer: &Explainer, method: &str, blur: f64) -> Result<()> {
        if self == Self::Harmonic {
            return Err(Error::request(
                format!(
                    "{method}.baseline=harmonic: harmonic filling needs holes with an edge, and this method's masks are soft"
                ),
                "take zero, mean, blur or cohort-mean",
            ));
        }
        self.suits(explainer, method, blur)
    }

    /// Makes it ready for a case; `blur` is the standard deviation of the Gaussian in mm.
    pub(crate) fn prepare(self, explainer: &mut Explainer, case: &Case<'_>, blur: f64) -> Result<Filling> {
        Ok(match self {
            Self::Harmonic => Filling::Harmonic(Harmonic::new(case.image.shape(), case.image.grid().spacing())),
            _ => Filling::Values(self.whole(explainer, case, blur)?, case.voxels()),
        })
    }

    /// The whole image replaced, every channel by itself. A harmonic filling of all of it has no edge to start from and is its
    /// mean.
    pub(crate) fn whole(self, explainer: &mut Explainer, case: &Case<'_>, blur: f64) -> Result<Vec<f32>> {
        Ok(match self {
            Self::Zero => vec![0.0; case.values().len()],
            Self::Mean | Self::Harmonic => {
                let (brain, _) = case.brain();
                case.each_channel(|channel| vec![mean(channel, &brain); case.voxels()])
            }
            Self::Blur => case.each_channel(|channel| channel.smooth(blur, Border::Renormalize).into_data()),
            Self::CohortMean => {
                let classes: Vec<usize> = (0..explainer.network().outputs()).collect();
                explainer.donors("the baseline cohort-mean")?.mean(&classes, case)?
            }
        })
    }
}

/// The mean of a channel over the brain.
#[expect(clippy::cast_possible_truncation, reason = "intensities are float32")]
fn mean(channel: &Volume, brain: &Mask) -> f32 {
    let inside = || channel.data().iter().zip(brain.data()).filter(|(_, b)| **b).map(|(&v, _)| f64::from(v));
    (inside().sum::<f64>() / inside().count() as f64) as f32
}

impl Filling {
    /// Replaces the voxels of `hole`, each named once, in every channel of a copy of the image.
    pub(crate) fn fill(&mut self, image: &mut [f32], hole: &[usize]) {
        match self {
            Self::Values(values, voxels) => {
                for (image, values) in image.chunks_mut(*voxels).zip(values.chunks(*voxels)) {
                    hole.iter().for_each(|&n| image[n] = values[n]);
                }
            }
            Self::Harmonic(harmonic) => {
                image.chunks_mut(harmonic.voxels()).for_each(|channel| harmonic.fill(channel, hole));
            }
        }
    }
}
