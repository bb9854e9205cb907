//! [`Infill`]: what stands where a part of an image was taken out, the baseline of methods that take parts out.

use super::Case;
use super::harmonic::Harmonic;
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
    /// What surrounds the hole, continued as smoothly as can be: see [`Harmonic`].
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
    /// Makes it ready for a case; `blur` is the standard deviation of the Gaussian in mm.
    pub(super) fn prepare(self, case: &Case<'_>, blur: f64) -> Result<Filling> {
        Ok(match self {
            Self::Harmonic => Filling::Harmonic(Harmonic::new(case.image.shape(), case.image.grid().spacing())),
            _ => Filling::Volume(self.volume(case, blur)?.into_data()),
        })
    }

    /// The whole image replaced, for methods whose masks have no edge. Harmonic filling needs one: refused.
    pub(super) fn volume(self, case: &Case<'_>, blur: f64) -> Result<Volume> {
        Ok(match self {
            Self::Zero => Volume::filled(*case.image.grid(), 0.0),
            Self::Mean => Volume::filled(*case.image.grid(), mean(case)),
            Self::Blur if blur > 0.0 => case.image.smooth(blur, Border::Renormalize),
            Self::Blur => {
                return Err(Error::request(
                    format!("a blur of {blur} mm leaves the image as it is"),
                    "give a blur of more than 0 mm, or another baseline",
                ));
            }
            Self::Harmonic => {
                return Err(Error::request(
                    "harmonic filling needs holes with an edge, and this method's masks are soft",
                    "take the baseline zero, mean or blur",
                ));
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
