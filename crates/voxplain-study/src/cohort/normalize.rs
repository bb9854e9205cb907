//! [`Normalize`]: how intensities of different scanners are brought to one scale.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How intensities are brought to one scale, inside the brain mask; voxels outside are 0 afterwards.
///
/// Images of T1-weighted MRI have no unit: the same brain is brighter or darker on the next scanner. `robust` and `zscore`
/// move the zero into the brain, so that typical tissue and the air around it get the same value; the others only scale, so that
/// air is 0 and every tissue is above it. What 0 is matters to every method that puts 0 in place of a part ([`Normalize::zero`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalize {
    /// As they are.
    None,
    /// `(x - median) / IQR` inside the mask.
    #[default]
    Robust,
    /// `(x - mean) / standard deviation` inside the mask.
    Zscore,
    /// `x / median` inside the mask: the median of the brain becomes 1.
    BrainMedian,
    /// `x / w`, with `w` the intensity of white matter in the mask, which becomes 1. `w` is the median of the flattest
    /// quarter of the brighter half of the mask: in T1-weighted images white matter is bright, and it is the only bright
    /// tissue that fills whole neighbourhoods.
    WhiteMatter,
}

impl Normalize {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::None, Self::Robust, Self::Zscore, Self::BrainMedian, Self::WhiteMatter];

    /// Its name as an option's value, `brain-median`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Robust => "robust",
            Self::Zscore => "zscore",
            Self::BrainMedian => "brain-median",
            Self::WhiteMatter => "white-matter",
        }
    }

    /// How it scales, in words that follow "intensities were".
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "left as they are",
            Self::Robust => "scaled by median and interquartile range inside the mask",
            Self::Zscore => "scaled by mean and standard deviation inside the mask",
            Self::BrainMedian => "divided by their median inside the mask",
            Self::WhiteMatter => {
                "divided by that of white matter (the median of the flattest quarter of the brighter half of the mask)"
            }
        }
    }

    /// What the value 0 of a prepared voxel is: what a baseline of 0 puts in place of a part of the image.
    pub const fn zero(self) -> &'static str {
        match self {
            Self::None => {
                "0 on the image's own scale (no signal, as in air, where the image is as the scanner made it)"
            }
            Self::Robust => "the median intensity in the subject's own mask, the same value as outside it",
            Self::Zscore => "the mean intensity in the subject's own mask, the same value as outside it",
            Self::BrainMedian | Self::WhiteMatter => "no signal, as in air, the same value as outside the mask",
        }
    }
}

/// Its name, `brain-median`.
impl fmt::Display for Normalize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written_down() {
        for how in Normalize::ALL {
            assert_eq!(serde_json::to_value(how).unwrap(), how.name());
        }
    }
}
