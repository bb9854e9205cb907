//! [`ExplainSummary`]: which maps were made, and which were not and why.

use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use voxplain_attribution::{ChannelMap, ChannelRecord, Record};
use voxplain_core::{Error, Progress, Remedy};

/// The result of explaining many inputs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExplainSummary {
    /// The maps, input by input.
    pub maps: Vec<MapSummary>,
    /// Maps that could not be made.
    pub failures: Vec<Failure>,
    /// Ids of subjects that were left out because every model was trained on them.
    pub left_out: Vec<String>,
    /// Methods that were left out because they cannot work with the network or the inputs.
    pub skipped: Vec<Skipped>,
    /// Whether the work was interrupted.
    pub interrupted: bool,
}

/// A method that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The method.
    pub method: String,
    /// Why it cannot work here.
    pub why: String,
}

/// A map that was made, or that was there already and is current.
#[derive(Clone, Debug, Serialize)]
pub struct MapSummary {
    /// The subject's id, or the stem of the image's file name.
    pub subject: String,
    /// The method.
    pub method: String,
    /// The explained score, in words: `class 1 (male), logit`.
    pub target: String,
    /// Its value for this input.
    pub score: f64,
    /// File of the map on the model's grid.
    pub map: PathBuf,
    /// File of the map in the space of the source image, where there is one.
    pub native_space: Option<PathBuf>,
    /// File of a class activation map at the resolution of its layer.
    pub native_resolution: Option<PathBuf>,
    /// Whether the model was trained on this subject, where that is known.
    pub in_sample: Option<bool>,
    /// Whether the map was there already.
    pub reused: bool,
    /// Seconds to make the map, without reading and writing: an equal share of its batch.
    pub seconds: f64,
    /// That the image was taken as a whole head, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_heads: Option<String>,
    /// That the network was imported, and whether it was compared with its own framework, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// The channels of the input and what the map says of each, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<ChannelRecord>,
    /// Warnings of the method and about the image.
    pub warnings: Vec<String>,
}

/// A map that could not be made.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The subject's id, or the stem of the image's file name.
    pub subject: String,
    /// The method; `None` where the input could not be read at all.
    pub method: Option<String>,
    /// What went wrong.
    pub error: String,
    /// What to do about it. The front end chooses the words.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

impl ExplainSummary {
    /// That images were taken as whole heads, in a sentence; `None` where none was.
    pub fn whole_heads(&self) -> Option<&str> {
        self.maps.iter().find_map(|map| map.whole_heads.as_deref())
    }

    /// That the network was imported, and whether it was compared with its own framework, in a sentence.
    pub fn imported(&self) -> Option<&str> {
        self.maps.iter().find_map(|map| map.imported.as_deref())
    }

    /// Which methods made a map for each channel and which one for all, in a sentence; `None` where there is one channel.
    pub fn about_channels(&self) -> Option<String> {
        let names = self.maps.iter().find_map(|map| map.channels.as_ref())?.names.join(", ");
        let methods = |wanted: ChannelMap| {
            let of = self.maps.iter().filter(|map| map.channels.as_ref().is_some_and(|of| of.map == wanted));
            of.map(|map| map.method.as_str()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
        };
        let (each, all) = (methods(ChannelMap::Sum), methods(ChannelMap::Together));
        let each = (!each.is_empty()).then(|| format!("a map of each, and their sum, by {each}"));
        let all = (!all.is_empty()).then(|| format!("one map of all together by {all}"));
        let said: Vec<String> = each.into_iter().chain(all).collect();
        Some(format!("Channels {names}: {}.", said.join("; ")))
    }

    pub(super) fn fail(&mut self, subject: &str, method: Option<&str>, error: &Error, progress: &dyn Progress) {
        progress.warn(&error.to_string());
        self.failures.push(Failure {
            subject: subject.to_owned(),
            method: method.map(str::to_owned),
            error: error.to_string(),
            remedy: error.remedy(),
        });
    }
}

impl MapSummary {
    /// From the record of a map; without files and seconds.
    pub(super) fn new(record: &Record) -> Self {
        Self {
            subject: record.subject.clone(),
            method: record.method.clone(),
            target: record.target.clone(),
            score: record.score,
            map: PathBuf::new(),
            native_space: None,
            native_resolution: None,
            in_sample: record.in_sample,
            reused: false,
            seconds: 0.0,
            whole_heads: record.whole_heads.clone(),
            imported: record.imported.clone(),
            channels: record.channels.clone(),
            warnings: record.warnings.clone(),
        }
    }
}
