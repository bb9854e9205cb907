//! [`Subject`]: one subject of a cohort.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use voxplain_attribution::MaskName;
use voxplain_volume::{Alignment, Grid, Mask, Volume};

/// One subject of a cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The id, without `sub-`.
    pub id: String,
    /// Grid of the prepared volume: in the world of the source image, or of the template (see [`Subject::alignment`]).
    pub grid: Grid,
    /// The image that the volume was prepared from, if any.
    pub source: Option<PathBuf>,
    /// Grid of the source image, in the axis order of its file: maps are resampled to it.
    pub native: Option<Grid>,
    /// How the brain was aligned to the template, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Alignment>,
    /// Volume of the mask in mm³, measured on the source image where there is one. Whether it is that of a brain is not
    /// said: masks may hold more or less.
    #[serde(alias = "brain_volume")]
    pub mask_volume: f64,
    /// The file that the mask was read from, where there is one. Absent too in cohorts of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskName>,
    /// BLAKE3 of the values of the prepared volume. Model files know their training subjects by it.
    pub hash: String,
    /// Warnings about the image or its mask, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl Subject {
    /// A subject whose volume was not prepared from a file. The volume of its mask is counted.
    pub fn new(id: impl Into<String>, volume: &Volume, mask: &Mask) -> Self {
        let inside = mask.data().iter().filter(|&&m| m).count();
        Self {
            id: id.into(),
            grid: *volume.grid(),
            source: None,
            native: None,
            alignment: None,
            mask_volume: inside as f64 * mask.grid().voxel_volume(),
            mask: None,
            hash: hash(volume),
            findings: Vec::new(),
        }
    }
}

/// BLAKE3 of the values of a volume as little-endian float32, in hexadecimal.
pub fn hash(volume: &Volume) -> String {
    voxplain_core::hash_values(volume.data())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_of_the_mask_is_read_by_its_old_name() {
        let grid = Grid::new([2, 1, 1], voxplain_volume::Affine::IDENTITY).unwrap();
        let subject = Subject::new("a", &Volume::filled(grid, 1.0), &Mask::filled(grid, true));
        let new = serde_json::to_value(&subject).unwrap();
        assert_eq!(new["mask_volume"], 2.0);
        let mut old = new.clone();
        let volume = old.as_object_mut().unwrap().remove("mask_volume").unwrap();
        old["brain_volume"] = volume;
        assert_eq!(serde_json::from_value::<Subject>(old).unwrap().mask_volume, 2.0);
    }
}
