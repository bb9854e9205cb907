//! [`Infill`]: what stands where a part of an image was taken out, the baseline of methods that take parts out.

use super::harmonic::Harmonic;
use super::{Case, Explainer};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use voxplain_volume::{Border, Volume};

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
pub(super) enum Filling {
    /// The same whatever the hole is.
    Volume(Vec<f32>),
    /// Made for each hole.
    Harmonic(Harmonic),
}

impl Infill {
    /// Refuses, for a method, what cannot be had here: people, or a blur that does nothing.
    pub(super) fn suits(self, explainer: &Explainer, method: &str, blur: f64) -> Result<()> {
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
    pub(super) fn suits_soft(self, explainer: &Explainer, method: &str, blur: f64) -> Result<()> {
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
    pub(super) fn prepare(self, explainer: &mut Explainer, case: &Case<'_>, blur: f64) -> Result<Filling> {
        Ok(match self {
            Self::Harmonic => Filling::Harmonic(Harmonic::new(case.image.shape(), case.image.grid().spacing())),
            _ => Filling::Volume(self.volume(explainer, case, blur)?.into_data()),
        })
    }

    /// The whole image replaced. A harmonic filling of all of it has no edge to start from and is its mean.
    pub(super) fn volume(self, explainer: &mut Explainer, case: &Case<'_>, blur: f64) -> Result<Volume> {
        let grid = *case.image.grid();
        Ok(match self {
            Self::Zero => Volume::filled(grid, 0.0),
            Self::Mean | Self::Harmonic => Volume::filled(grid, mean(case)),
            Self::Blur => case.image.smooth(blur, Border::Renormalize),
            Self::CohortMean => {
                let classes: Vec<usize> = (0..explainer.network().outputs()).collect();
                Volume::new(grid, explainer.donors("the baseline cohort-mean")?.mean(&classes, case)?)?
            }
        })
    }
}

/// The mean of the image over its brain.
#[expect(clippy::cast_possible_truncation, reason = "intensities are float32")]
fn mean(case: &Case<'_>) -> f32 {
    let (brain, _) = case.brain();
    let inside = || case.image.data().iter().zip(brain.data()).filter(|(_, b)| **b).map(|(&v, _)| f64::from(v));
    (inside().sum::<f64>() / inside().count() as f64) as f32
}

impl Filling {
    /// Replaces the voxels of `hole`, each named once, in a copy of the image.
    pub(super) fn fill(&mut self, image: &mut [f32], hole: &[usize]) {
        match self {
            Self::Volume(volume) => hole.iter().for_each(|&n| image[n] = volume[n]),
            Self::Harmonic(harmonic) => harmonic.fill(image, hole),
        }
    }
}
