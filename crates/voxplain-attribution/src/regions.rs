//! [`Regions`]: the regions of an atlas, as methods that explain by region take them.

use crate::setting::{ATLAS, LABELS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use voxplain_core::{Error, remedy};
use voxplain_volume::{Hemisphere, Labels};

/// The regions of an atlas on the grid of a case.
#[derive(Clone, Debug)]
pub struct Regions {
    pub(crate) labels: Labels,
    pub(crate) names: BTreeMap<u32, (String, Option<Hemisphere>)>,
    /// Which atlas it is.
    pub atlas: AtlasName,
}

/// Which atlas a map was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AtlasName {
    /// The label image.
    pub image: String,
    /// The table of its labels, where it was one; absent in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// BLAKE3 of the labels on the map's grid, with their names.
    pub hash: String,
}

impl Regions {
    /// Labels with the names and sides of those that are regions; other labels count as unlabelled.
    pub fn new(labels: Labels, names: BTreeMap<u32, (String, Option<Hemisphere>)>, image: String) -> Self {
        let mut hasher = blake3::Hasher::new();
        labels.data().iter().for_each(|label| {
            hasher.update(&label.to_le_bytes());
        });
        for (id, (name, _)) in &names {
            hasher.update(&id.to_le_bytes());
            hasher.update(name.as_bytes());
        }
        let atlas = AtlasName { image, labels: None, hash: hasher.finalize().to_hex().to_string() };
        Self { labels, names, atlas }
    }

    /// The error of a method by region that is given none.
    pub fn missing(method: &str) -> Error {
        Error::request(
            format!("{method} needs the regions of an atlas, and none is given"),
            remedy!["give a label image and its table: ", ATLAS.to("FILE"), " ", LABELS.to("FILE")],
        )
    }
}
