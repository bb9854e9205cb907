//! [`Case`]: one input and what is asked about it.

use crate::regions::Regions;
use crate::target::{Objective, Score, Target};
use std::borrow::Cow;
use voxplain_core::{Action, Error, Remedy, Result, remedy};
use voxplain_volume::{Mask, Volume};

/// One input and what is asked about it.
///
/// ```
/// use voxplain_attribution::{Case, Target};
/// use voxplain_volume::{Affine, Grid, Volume};
///
/// let head = Volume::filled(Grid::new([4, 5, 6], Affine::IDENTITY)?, 1.0);
/// let case = Case { target: Some(Target::Class(1)), ..Case::new("sub-01", &head) };
/// assert_eq!(case.values().len(), 4 * 5 * 6);
/// # Ok::<(), voxplain_volume::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The subject's id, for messages and random numbers.
    pub id: &'a str,
    /// The volume as the network takes it, `[i, j, k]`; the first channel, for a network of several.
    pub image: &'a Volume,
    /// The other channels, on the same grid.
    pub others: &'a [Volume],
    /// Where the brain is, on the same grid.
    pub mask: Option<&'a Mask>,
    /// The regions of an atlas, on the same grid; needed by methods that explain by region.
    pub regions: Option<&'a Regions>,
    /// The true class, counted from 0.
    pub label: Option<usize>,
    /// Which output is explained; the method's own choice where nothing is said.
    pub target: Option<Target>,
    /// On which scale.
    pub score: Score,
    /// Whether the model was trained on this subject, where that is known.
    pub in_sample: Option<bool>,
}

impl<'a> Case<'a> {
    /// A volume of one channel, to be explained by the defaults: the predicted class, as a logit.
    pub const fn new(id: &'a str, image: &'a Volume) -> Self {
        Self {
            id,
            image,
            others: &[],
            mask: None,
            regions: None,
            label: None,
            target: None,
            score: Score::Logit,
            in_sample: None,
        }
    }

    /// Every channel, in the order that the network takes them.
    pub fn channels(&self) -> impl Iterator<Item = &'a Volume> {
        std::iter::once(self.image).chain(self.others)
    }

    /// The values of all channels, `[channels][i][j][k]`.
    pub fn values(&self) -> Cow<'a, [f32]> {
        match self.others {
            [] => Cow::Borrowed(self.image.data()),
            _ => Cow::Owned(self.channels().flat_map(Volume::data).copied().collect()),
        }
    }

    /// What is made of each channel, one after another, as [`Case::values`] has them.
    pub(crate) fn each_channel(&self, made: impl Fn(&Volume) -> Vec<f32>) -> Vec<f32> {
        self.channels().flat_map(made).collect()
    }

    /// Voxels of the grid: values of one channel.
    pub(crate) fn voxels(&self) -> usize {
        self.image.data().len()
    }

    /// BLAKE3 of the values.
    pub(crate) fn hash(&self) -> String {
        voxplain_core::hash_values(&self.values())
    }

    /// The voxels that count as brain, and what they are in words, as a mask may hold a whole head: the mask given, else the voxels other than 0 in any channel, else all.
    pub fn brain(&self) -> (Mask, &'static str) {
        if let Some(mask) = self.mask.filter(|mask| mask.data().contains(&true)) {
            return (mask.clone(), "the mask");
        }
        let mut inside = self.image.map(|&v| v != 0.0);
        for channel in self.others {
            inside.data_mut().iter_mut().zip(channel.data()).for_each(|(inside, &v)| *inside |= v != 0.0);
        }
        if inside.data().contains(&true) {
            (inside, "the voxels other than 0")
        } else {
            (self.image.map(|_| true), "all voxels")
        }
    }

    /// The score that is explained, given the network's outputs for this case. Where the case has no target of its own, it is
    /// `default`.
    ///
    /// # Errors
    /// An output is not finite, the target names a class that the network does not have, or the true class is asked for and
    /// not known.
    pub fn objective(&self, default: Target, logits: &[f32]) -> Result<Objective> {
        if let Some(z) = logits.iter().find(|z| !z.is_finite()) {
            return Err(self.refuse(format!("the network's output is {z}"), overflow()));
        }
        Objective::new(self.target.unwrap_or(default), self.score, logits, self.label)
            .map_err(|e| if let Error::Request { what, remedy } = e { self.refuse(what, remedy) } else { e })
    }

    /// An error about this case.
    pub fn refuse(&self, what: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::subject(self.id, what, remedy)
    }
}

/// What to do where a network's output is not finite.
pub(crate) fn overflow() -> Remedy {
    remedy!["the network overflowed on this input; look at the image's intensities with ", Action::new("inspect")]
}
