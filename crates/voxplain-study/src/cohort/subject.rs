//! [`Subject`]: one subject of a cohort.

use super::checked::hash_of_mask;
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
    /// BLAKE3 of the values of the prepared volume, of all channels one after another. Model files know their training subjects by it.
    pub hash: String,
    /// BLAKE3 of the mask on the grid of the prepared volume, a byte a voxel, 1 inside. Absent in cohorts of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_hash: Option<String>,
    /// BLAKE3 of the bytes of the file at [`Subject::source`]; of several channels each has its own. Absent too in cohorts of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hash: Option<String>,
    /// The channels in their order, the first included, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelImage>,
    /// Warnings about the image or its mask, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// One channel of a subject: which image it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelImage {
    /// Its name, `FLAIR`.
    pub name: String,
    /// The image that it was prepared from, if any.
    pub source: Option<PathBuf>,
    /// BLAKE3 of the values of its prepared volume.
    pub hash: String,
    /// BLAKE3 of the bytes of the file that it was prepared from. Absent too in cohorts of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hash: Option<String>,
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
            mask_hash: Some(hash_of_mask(mask.data().iter().map(|&inside| f32::from(u8::from(inside))))),
            source_hash: None,
            channels: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// [`Subject::new`] of several channels, `volumes`, with the name of each.
    ///
    /// # Panics
    /// There is no volume.
    pub fn of_channels(id: impl Into<String>, names: &[String], volumes: &[Volume], mask: &Mask) -> Self {
        let subject = Self::new(id, &volumes[0], mask);
        if volumes.len() < 2 {
            return subject;
        }
        let channel = |(name, volume): (&String, &Volume)| ChannelImage {
            name: name.clone(),
            source: None,
            hash: hash(volume),
            source_hash: None,
        };
        Self { hash: hash_all(volumes), channels: names.iter().zip(volumes).map(channel).collect(), ..subject }
    }

    /// What each image is known again by, of each channel or of the one there is: BLAKE3 of its prepared values, and of the bytes of its
    /// file, which is one and the same under another mask.
    pub(crate) fn images(&self) -> impl Iterator<Item = &str> {
        self.each_image().flat_map(|(_, hash, file)| std::iter::once(hash).chain(file))
    }

    /// What a model that was trained on this subject knows it by: BLAKE3 of its prepared values, and of the bytes of its files.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.hash.as_str()).chain(self.each_image().filter_map(|(.., file)| file))
    }

    /// Each image: its channel, where there are several, the hash of its prepared values, and that of its file.
    pub(crate) fn each_image(&self) -> impl Iterator<Item = (Option<&str>, &str, Option<&str>)> {
        let one = (None, self.hash.as_str(), self.source_hash.as_deref());
        let channels = self.channels.iter().map(|c| (Some(c.name.as_str()), c.hash.as_str(), c.source_hash.as_deref()));
        self.channels.is_empty().then_some(one).into_iter().chain(channels)
    }
}

/// BLAKE3 of the values of a volume as little-endian float32, in hexadecimal.
pub fn hash(volume: &Volume) -> String {
    voxplain_core::hash_values(volume.data())
}

/// [`hash`] of the values of all channels, one after another.
pub(crate) fn hash_all(channels: &[Volume]) -> String {
    voxplain_core::hash_values(&values(channels))
}

/// The values of all channels, one after another.
pub(crate) fn values(channels: &[Volume]) -> Vec<f32> {
    channels.iter().flat_map(Volume::data).copied().collect()
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

    #[test]
    fn an_image_is_known_again_by_its_file_under_another_mask() {
        let grid = Grid::new([2, 1, 1], voxplain_volume::Affine::IDENTITY).unwrap();
        let volumes = [1.0, 2.0].map(|v| Volume::filled(grid, v));
        let mask = Mask::filled(grid, true);
        let mut one = Subject::new("a", &volumes[0], &mask);
        assert_eq!(one.images().collect::<Vec<_>>(), [hash(&volumes[0])]);
        one.source_hash = Some("file".into());
        let both = Subject::of_channels("b", &["T1w".into(), "FLAIR".into()], &volumes, &mask);
        let mut other = both.clone();
        other.channels[1].source_hash = Some("file".into());
        assert_eq!(one.images().collect::<Vec<_>>(), [hash(&volumes[0]).as_str(), "file"]);
        assert_eq!(other.images().collect::<Vec<_>>(), [&hash(&volumes[0]), &hash(&volumes[1]), "file"]);
        // The name of the volume that models know is as it was, and older cohorts have no hash of files.
        assert_eq!((one.hash.as_str(), &other.hash), (hash(&volumes[0]).as_str(), &both.hash));
        let text = serde_json::to_string(&both).unwrap();
        assert!(!text.contains("source_hash"));
        assert_eq!(serde_json::from_str::<Subject>(&text).unwrap(), both);
    }
}
