//! [`Hemisphere`]: which side of the brain a region is on, and where that is known from.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A side of the brain, the subject's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hemisphere {
    /// The subject's left: negative x in RAS+ mm.
    Left,
    /// The subject's right.
    Right,
    /// On both sides, or across the midline.
    Both,
}

impl fmt::Display for Hemisphere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Both => "both",
        })
    }
}

/// Where the side of a region is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SideSource {
    /// The table: the region's name or a column.
    Table,
    /// The position of the region's voxels.
    Geometry,
    /// It is not known.
    Unknown,
}

impl fmt::Display for SideSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Geometry => "geometry",
            Self::Unknown => "n/a",
        })
    }
}

impl Hemisphere {
    /// The side that a region's name says: a word `left`, `lh`, `L` (`right`, `rh`, `R`) set off by anything that is
    /// neither letter nor digit, as in `SFG_L_7_1`, `ctx-lh-insula`, `Left-Amygdala`, `Tapetum_R`, `7Networks_LH_Vis_1`.
    /// Whole words count before single letters. `None` where there is no such word.
    ///
    /// # Errors
    /// The name says both.
    pub fn from_name(name: &str) -> Result<Option<Self>, String> {
        let words: Vec<String> =
            name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
        for (left, right) in [(&["left", "lh"][..], &["right", "rh"][..]), (&["l"], &["r"])] {
            let says = |side: &[&str]| words.iter().any(|w| side.contains(&w.as_str()));
            match (says(left), says(right)) {
                (true, true) => return Err(format!("{name:?} says left and right")),
                (true, false) => return Ok(Some(Self::Left)),
                (false, true) => return Ok(Some(Self::Right)),
                (false, false) => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_known_atlases() {
        for (name, side) in [
            ("SFG_L_7_1", Some(Hemisphere::Left)),
            ("Tha_R_8_8", Some(Hemisphere::Right)),
            ("ctx-lh-insula", Some(Hemisphere::Left)),
            ("Right-Lateral-Ventricle", Some(Hemisphere::Right)),
            ("Tapetum_R", Some(Hemisphere::Right)),
            ("Tapatum left", Some(Hemisphere::Left)),
            ("7Networks_LH_Vis_1", Some(Hemisphere::Left)),
            ("right_accumbens_area", Some(Hemisphere::Right)),
            ("L_Cerebelum_9", Some(Hemisphere::Left)),
            ("TAP-L", Some(Hemisphere::Left)),
            ("Lateral_sulcus_posterior_ramus", None),
            ("Rectus", None),
            ("brain_stem", None),
            ("WM_left_R_inferior", Some(Hemisphere::Left)),
        ] {
            assert_eq!(Hemisphere::from_name(name), Ok(side), "{name}");
        }
        assert!(Hemisphere::from_name("left_or_right").is_err());
        assert!(Hemisphere::from_name("L-R").is_err());
    }
}
