//! [`RegionCriterion`]: what makes a region the one that a mask is sought for.

use serde::{Deserialize, Serialize};

/// What makes a region the one that is sought: what the score does without it, or with it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionCriterion {
    /// The smallest region whose blurring lowers the score to that of the baseline (the deletion game of Fong and Vedaldi 2017).
    #[default]
    Delete,
    /// The smallest region that upholds the score when all else is blurred (their preservation game).
    Preserve,
    /// The smallest region that does both.
    Hybrid,
}

impl RegionCriterion {
    /// Whether the map is what the mask keeps, not what it blurs.
    pub(crate) const fn maps_what_is_kept(self) -> bool {
        matches!(self, Self::Preserve)
    }

    /// The area of a mask, of what it keeps and what it takes out.
    pub(crate) const fn area(self, [kept, taken]: [f64; 2]) -> f64 {
        if self.maps_what_is_kept() { kept } else { taken }
    }

    /// How many images are made of each mask.
    pub(crate) const fn views(self) -> usize {
        if matches!(self, Self::Hybrid) { 2 } else { 1 }
    }
}
