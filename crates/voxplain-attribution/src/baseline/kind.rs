//! [`Baseline`]: the kinds of baselines, one list for all methods.

use serde::{Deserialize, Serialize};
use std::fmt;
use voxplain_core::Error;

/// What stands in place of the image, or of a part of it, where a method asks what the network makes of less.
///
/// Papers also call it the reference (DeepLIFT) or what is filled in. No choice is neutral: a map tells what distinguishes
/// the image from its baseline. Each method says in [`Method::BASELINES`](crate::Method::BASELINES) which it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// 0, whatever that is on the image's scale: black for intensities as they are or only scaled, the median or mean of the brain
    /// after robust or z-scored normalisation. The record says which, where it is known ([`Record::zero`](crate::Record::zero)).
    Zero,
    /// The mean of the image over its brain ([`Case::brain`](crate::Case::brain)), the same in all voxels.
    ImageMean,
    /// The image smoothed by a Gaussian of some mm, over the whole grid: smoothing within the brain would keep its outline.
    Blur,
    /// The mean of the training subjects, voxel by voxel.
    CohortMean,
    /// The mean of the training subjects of another class than the explained one (the class whose score is subtracted, for a
    /// difference; all others, where there are more than two classes).
    Opposite,
    /// Each of several training subjects in turn; the map is the mean over them (expected gradients, Erion et al. 2021, arXiv
    /// 1906.10670).
    Expected,
    /// What surrounds a hole, continued as smoothly as can be ([`Harmonic`](crate::Harmonic)).
    Harmonic,
}

impl Baseline {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Zero, Self::ImageMean, Self::Blur, Self::CohortMean, Self::Opposite, Self::Expected, Self::Harmonic];

    /// Those that can fill a hole: for methods that take parts out.
    pub const FOR_HOLES: &[Self] = &[Self::Zero, Self::ImageMean, Self::Blur, Self::CohortMean, Self::Harmonic];

    /// Those that can be blended with the image: for methods whose masks are soft. Harmonic filling would need an edge.
    pub const FOR_SOFT_MASKS: &[Self] = &[Self::Zero, Self::ImageMean, Self::Blur, Self::CohortMean];

    /// Those for methods that share out the difference of the score from that of the baseline.
    pub const FOR_DIFFERENCES: &[Self] = &[Self::Zero, Self::Blur, Self::CohortMean, Self::Opposite, Self::Expected];

    /// Its name as an option's value, `cohort-mean`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::ImageMean => "image-mean",
            Self::Blur => "blur",
            Self::CohortMean => "cohort-mean",
            Self::Opposite => "opposite",
            Self::Expected => "expected",
            Self::Harmonic => "harmonic",
        }
    }

    /// The error of a method that is given a baseline it does not take.
    pub(crate) fn refused(method: &str, name: &str, taken: &[Self]) -> Error {
        let names: Vec<_> = taken.iter().map(|baseline| baseline.name()).collect();
        let (last, others) = names.split_last().unwrap_or((&"none", &[]));
        let list = if others.is_empty() { (*last).to_owned() } else { format!("{} or {last}", others.join(", ")) };
        Error::request(
            format!("{method}.baseline={name}: {method} takes {list}"),
            "take one of these, or leave it out to take the default",
        )
    }
}

/// Its name, `cohort-mean`.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written_down() {
        for baseline in Baseline::ALL {
            assert_eq!(serde_json::to_value(baseline).unwrap(), baseline.name());
        }
    }

    #[test]
    fn a_refusal_names_what_is_taken() {
        let refused = |taken| Baseline::refused("rise", "harmonic", taken).to_string();
        assert_eq!(refused(&[Baseline::Zero]), "rise.baseline=harmonic: rise takes zero");
        assert!(refused(&[Baseline::Zero, Baseline::Blur, Baseline::ImageMean]).ends_with("zero, blur or image-mean"));
    }
}
