//! [`Attribution`], a map, and [`Record`], how it was made.

use crate::baseline;
use crate::case::{Case, overflow};
use crate::regions::AtlasName;
use crate::target::{Score, Target};
use crate::task::Quantity;
use crate::unseen::Unseen;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use voxplain_core::{Error, Result};
use voxplain_volume::{Affine, Volume};

/// A signed, un-normalised map with the score it explains and the record of how it was made.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// The map on the input grid; for a method that tells the channels of an input apart, their sum.
    pub map: Volume,
    /// Such a method's map of each channel, where there are several.
    pub of_channels: Vec<Volume>,
    /// For class activation maps: the map at its own resolution, with its own affine.
    pub native_resolution: Option<Volume>,
    /// For a sweep over layers: the map of each, upsampled to the input grid, by the layer's name.
    pub of_layers: Vec<(String, Volume)>,
    /// How it was made.
    pub record: Record,
}

/// How a map was made: what its sidecar holds.
///
/// A record that was written with an old name of an option is read with the new one, and a warning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", remote = "Self")]
pub struct Record {
    /// `grad-cam`, ...
    pub method: String,
    /// The subject's id, or the stem of the image's file name.
    pub subject: String,
    /// What was explained, in words: `class 1 (male), logit`.
    pub target: String,
    /// Position of the explained class.
    pub class: usize,
    /// Value of the explained score on this input.
    pub score: f64,
    /// Names of the classes; none where a value is predicted.
    pub classes: Vec<String>,
    /// The value that is predicted, where the network predicts one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// All logits of this input.
    pub logits: Vec<f64>,
    /// The true class, where it is known.
    pub truth: Option<usize>,
    /// What a value of the map is, `logit per unit of input intensity`.
    pub units: String,
    /// What its sign means.
    pub sign: String,
    /// Every option of the method.
    pub parameters: serde_json::Value,
    /// Operations of its kind that the method's rule was applied to, of all: `[3, 3]` (ReLUs for guided
    /// backpropagation, convolutions and linear layers for LRP); absent for methods without a rule.
    pub rules_applied: Option<[usize; 2]>,
    /// What the method measured about itself. Where they exist they are called `Sum` (of the map), `Expected` (what
    /// it should sum to), `Residual` (the first less the second), `RelativeResidual` (that over the second's size;
    /// null where that is 0), `StandardError` (root mean square over voxels, of a sampled map) and
    /// `RelativeStandardError` (that over the map's root mean square).
    pub measured: serde_json::Value,
    /// Volumes sent through the network to make the map.
    pub passes: Passes,
    /// What it took to make the map here; not a property of the map.
    pub cost: Option<Cost>,
    /// Layers of a sweep, each with a map of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// The images that were written beside the map, each with a record of its own: in other spaces, of layers and channels. Not known of records of
    /// older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What was asked for: the target before it was resolved, and the scale.
    pub requested: (Target, Score),
    /// `2020` where the behaviour of the code published with Kan et al. 2020 was asked for.
    pub compat: Option<String>,
    /// The atlas whose regions were taken, for methods by region.
    #[serde(default)]
    pub atlas: Option<AtlasName>,
    /// BLAKE3 of the model file.
    pub model: String,
    /// BLAKE3 of the values of the explained volume.
    pub input: String,
    /// How the volume was made of images, where that is known. Older versions left it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Prepared>,
    /// The file of the mask, where the volume was made from an image with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskName>,
    /// That the images were taken as whole heads, in a sentence; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_heads: Option<String>,
    /// That the network was imported, and whether it was compared with its own framework, in a sentence; absent where it was trained here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// The channels of the input and what the map says of each, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<ChannelRecord>,
    /// What the value 0 is on the scale of the explained volume, where that is known: what the baseline `zero` puts in place of a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero: Option<String>,
    /// False when the model never saw the subject; `None` when that cannot be known.
    pub in_sample: Option<bool>,
    /// What the network cannot see of the field of view, whatever its weights; absent where it sees all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
    /// Words of warning, for the reader of the map.
    pub warnings: Vec<String>,
    /// Version of voxplain.
    pub version: String,
    /// BLAKE3 of the values of the image, where the record is that of a file. Older versions left it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_hash: Option<String>,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Self::deserialize(deserializer)?;
        if let Some(warning) = baseline::rename_in(&record.method, &mut record.parameters) {
            record.warnings.push(warning);
        }
        Ok(record)
    }
}

/// How an explained volume was made of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Prepared {
    /// Absolute paths of the images, in the order of the channels; empty where the volume came from no file.
    pub images: Vec<String>,
    /// How intensities were normalised: `robust`, `none`.
    pub normalize: String,
    /// Where the head lies in the volume, in words.
    pub placed: String,
    /// The template that the brain was turned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateName>,
    /// From the world of the image (mm) to that of the volume (mm), where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_template: Option<Affine>,
}

/// Which template a brain was turned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateName {
    /// Its absolute path.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub hash: String,
}

/// Which file said where the brain is, and how it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MaskName {
    /// Its absolute path.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// The value above which voxels were taken.
    pub threshold: f64,
    /// Volume in ml of what was taken.
    pub volume: f64,
}

/// The channels of an input, and what a map says of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChannelRecord {
    /// Their names, in the order that the network takes them.
    pub names: Vec<String>,
    /// What the map is of.
    pub map: ChannelMap,
    /// The same in a sentence, with what is done to the channels.
    pub note: String,
}

/// What a map of an input of several channels is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelMap {
    /// The sum of a map for each channel; these are beside it.
    Sum,
    /// All channels together: the method does not tell them apart.
    Together,
    /// One channel, by its place among the names.
    Channel(usize),
}

impl ChannelRecord {
    /// For a map that is, or is not, the sum of one for each channel.
    pub fn new(names: &[String], map: ChannelMap) -> Self {
        let all = names.join(", ");
        let of = match map {
            ChannelMap::Sum => format!("The map is the sum of a map for each channel ({all}), which are beside it."),
            ChannelMap::Together => {
                format!("One map for all channels ({all}): the method does not tell the channels of the input apart.")
            }
            ChannelMap::Channel(n) => {
                format!("The map of one channel, {}; the map of all ({all}) is the sum of one for each.", names[n])
            }
        };
        let note = format!("{of} Where a part of the image is replaced, it is replaced in all channels at once.");
        Self { names: names.to_vec(), map, note }
    }
}

/// Volumes sent through a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Passes {
    /// Forwards.
    pub forward: usize,
    /// Back to the input.
    pub backward: usize,
}

/// What it took to make a map, on one machine on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cost {
    /// Seconds, without reading and writing; a share of the batch it was made in.
    pub seconds: f64,
    /// Bytes of the compiled plans that were used: values, gradients, weights and scratch.
    pub memory_bytes: usize,
    /// Bytes that they were allowed together.
    pub memory_limit: Option<usize>,
}

impl Record {
    /// Writes down how far a map's sum is from what it should be; warns where that is more than the share `tolerance` of it.
    pub fn complete(&mut self, sum: f64, expected: f64, tolerance: f64) {
        let residual = sum - expected;
        let relative = (expected != 0.0).then(|| residual / expected.abs());
        self.measured["Sum"] = sum.into();
        self.measured["Expected"] = expected.into();
        self.measured["Residual"] = residual.into();
        self.measured["RelativeResidual"] = relative.into();
        if residual.abs() > tolerance * expected.abs() {
            self.warnings.push(format!(
                "The map sums to {sum:.4e} where {expected:.4e} was to be shared out: a residual of more than {} %.",
                tolerance * 100.0
            ));
        }
    }

    /// Writes down the standard error of a sampled map, given the squared standard error of each voxel.
    pub fn sampled(&mut self, map: &[f64], squared_error: impl Iterator<Item = f64>) {
        let root_mean = |sum: f64| (sum / map.len() as f64).sqrt();
        let error = root_mean(squared_error.sum());
        let size = root_mean(map.iter().map(|v| v * v).sum());
        self.measured["StandardError"] = error.into();
        self.measured["RelativeStandardError"] = (size != 0.0).then(|| error / size).into();
    }
}

impl Attribution {
    /// A map with its record: one value per voxel, `[i][j][k]`, or one per channel and voxel, `[channels][i][j][k]`. A map
    /// of zeros gets a warning.
    ///
    /// # Errors
    /// A value is not finite.
    pub fn new(case: &Case<'_>, map: Vec<f32>, mut record: Record) -> Result<Self> {
        let voxels = case.voxels();
        if let Some(n) = map.iter().position(|v| !v.is_finite()) {
            return Err(Error::Subject {
                subject: case.id.to_owned(),
                what: format!(
                    "{}: the map has the value {} at voxel {:?}",
                    record.method,
                    map[n],
                    case.image.grid().voxel(n % voxels)
                ),
                remedy: overflow(),
            });
        }
        if map.iter().all(|&v| v == 0.0) {
            record
                .warnings
                .push("The map is zero everywhere: by this method nothing in the input moves the score.".into());
        }
        let grid = *case.image.grid();
        let channels = map.len() / voxels;
        let (map, of_channels) = if channels > 1 {
            record.units = format!("{}; the sum over {channels} channels", record.units);
            #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
            let sum = |n: usize| map.iter().skip(n).step_by(voxels).map(|&v| f64::from(v)).sum::<f64>() as f32;
            let of_channels: Result<Vec<Volume>> =
                map.chunks(voxels).map(|channel| Ok(Volume::new(grid, channel.to_vec())?)).collect();
            (Volume::new(grid, (0..voxels).map(sum).collect())?, of_channels?)
        } else {
            (Volume::new(grid, map)?, Vec::new())
        };
        Ok(Self { map, of_channels, native_resolution: None, of_layers: Vec::new(), record })
    }

    /// The map's values as the method made them: of each channel where it tells them apart.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> {
        let of_channels = self.of_channels.iter().flat_map(Volume::data);
        let whole = if self.of_channels.is_empty() { self.map.data() } else { &[] };
        whole.iter().chain(of_channels).copied()
    }
}

/// Values as maps hold them.
#[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
pub(crate) fn float32(map: &[f64]) -> Vec<f32> {
    map.iter().map(|&v| v as f32).collect()
}
