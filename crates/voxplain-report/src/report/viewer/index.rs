//! What the viewer's script reads: scenes, each a brain with maps and labels.

use crate::{
    figure::{ColourRange, Underlay},
    report::element::PERCENTILE,
};
use serde::Serialize;
use std::collections::BTreeMap;
use voxplain_attribution::Record;
use voxplain_core::Result;
use voxplain_volume::{Labels, Volume, compact, compact_labels};

/// Steps from 0 to the end of the range of colours in which maps are kept: about what eyes tell apart on a colour map.
pub(super) const STEPS: f64 = 50.0;
/// Grey values of the brain.
pub(super) const GREYS: f32 = 63.0;

/// What the page's script reads.
#[derive(Debug, Default, Serialize)]
pub(super) struct Index {
    pub(super) scenes: Vec<Scene>,
    pub(super) methods: BTreeMap<String, MapValues>,
    pub(super) atlases: Vec<AtlasRegions>,
    pub(super) colours: serde_json::Value,
    /// Largest value of a brain.
    pub(super) greys: f32,
    /// Whether a server gives the scenes.
    pub(super) served: bool,
    /// The method that is shown first, where a scene has it.
    pub(super) first: String,
}

/// One brain to look at.
#[derive(Debug, Serialize)]
pub(super) struct Scene {
    /// `group-all`, `label-male`, `sub-01`.
    pub(super) key: String,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) group: bool,
    /// What the coordinates are.
    pub(super) space: String,
    /// What there is to see; from a server it comes with the volumes.
    #[serde(flatten)]
    pub(super) view: Option<View>,
    /// The file that holds the volumes, where the page does not.
    pub(super) file: Option<String>,
}

/// What a scene shows.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// Position among the volumes.
    pub(super) brain: usize,
    pub(super) maps: Vec<Map>,
    /// For every atlas the position of its labels among the volumes, where it has some for this brain.
    pub(super) labels: Vec<Option<usize>>,
}

impl View {
    pub(super) fn volumes(&self) -> impl Iterator<Item = usize> {
        let maps = self.maps.iter().map(|m| m.volume);
        std::iter::once(self.brain).chain(maps).chain(self.labels.iter().copied().flatten())
    }
}

/// One map of a scene.
#[derive(Debug, Serialize)]
pub(super) struct Map {
    pub(super) method: String,
    pub(super) volume: usize,
    /// Where the crosshair begins, mm: the largest |value|.
    pub(super) start: [f64; 3],
    /// The value at the end of the range of colours.
    pub(super) most: f64,
    /// Part of |relevance| that lies outside the brain, where the viewer shows nothing.
    pub(super) outside: f64,
    /// Where a server gives the map itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
}

/// What the values of a method are.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct MapValues {
    pub(super) units: String,
    pub(super) sign: String,
}

impl MapValues {
    /// As the record of a map says.
    pub(super) fn of(record: &Record) -> Self {
        Self { units: record.units.clone(), sign: record.sign.clone() }
    }
}

/// Names of the labels of an atlas.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct AtlasRegions {
    pub(super) name: String,
    pub(super) regions: BTreeMap<u32, Region>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Region {
    pub(super) words: String,
}

/// What is said of a scene.
#[derive(Clone, Debug, Default)]
pub(super) struct Caption {
    pub(super) key: String,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) group: bool,
    pub(super) space: String,
}

/// A scene with its volumes, not yet in a viewer.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) caption: Caption,
    pub(super) brain: Vec<u8>,
    pub(super) maps: Vec<EncodedMap>,
    pub(super) labels: Vec<Option<Vec<u8>>>,
}

/// A map with its volume, not yet in a viewer.
#[derive(Debug)]
pub(super) struct EncodedMap {
    method: String,
    volume: Vec<u8>,
    start: [f64; 3],
    most: f64,
    outside: f64,
}

impl EncodedMap {
    /// As the script reads it, with its volume put where `put` says; `file` is where a server gives the map itself.
    pub(super) fn placed(self, put: impl FnOnce(Vec<u8>) -> usize, file: Option<String>) -> Map {
        let Self { method, volume, start, most, outside } = self;
        Map { method, volume: put(volume), start, most, outside, file }
    }
}

impl Caption {
    pub(super) fn scene(self, view: Option<View>, file: Option<String>) -> Scene {
        let Self { key, title, about, group, space } = self;
        Scene { key, title, about, group, space, view, file }
    }
}

impl Encoded {
    pub(super) fn new(
        caption: Caption,
        underlay: &Underlay,
        maps: &[(String, Volume)],
        labels: &[Option<Labels>],
    ) -> Result<Self> {
        let grey = underlay.grey(GREYS);
        let inside = grey.map(|&v| v > 0.0);
        let mut encoded = Vec::with_capacity(maps.len());
        for (method, map) in maps {
            let range = ColourRange::percentile(underlay, map, PERCENTILE);
            let shown = underlay.covered(map);
            let step = if range.max > 0.0 { range.max / STEPS } else { 1.0 };
            encoded.push(EncodedMap {
                method: method.clone(),
                volume: compact(&shown, step, Some(&inside))?,
                start: peak(&shown),
                most: range.max,
                outside: underlay.outside(map),
            });
        }
        let labels = labels
            .iter()
            .map(|l| l.as_ref().map(compact_labels).transpose().map_err(Into::into))
            .collect::<Result<_>>()?;
        Ok(Self { caption, brain: compact(&grey, 1.0, None)?, maps: encoded, labels })
    }
}

/// Where the largest |value| is, mm; the middle of the grid for a map of zeros.
fn peak(map: &Volume) -> [f64; 3] {
    let most = map.data().iter().enumerate().fold(
        (0, 0.0f32),
        |(at, most), (n, v)| {
            if v.abs() > most { (n, v.abs()) } else { (at, most) }
        },
    );
    let grid = map.grid();
    if most.1 > 0.0 { grid.affine.apply(grid.voxel(most.0).map(|v| v as f64)) } else { grid.center() }
}
