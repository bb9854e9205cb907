//! [`Viewer`]: the volumes of a page, to be looked at from all sides in the browser.
//!
//! The page carries `NiiVue` (`third-party/niivue`), an index of scenes (a brain with the maps of every method and the
//! labels of every atlas) and the volumes in base64, each a few ten kB ([`compact`]). Scenes that would make the page larger than
//! [`MOST_PAGE_BYTES`] go to files beside it, which the page loads when they are chosen. From a server every scene is such a
//! file, made when it is asked for.

mod names;
mod scenes;

pub(super) use names::Names;
pub(super) use scenes::{Scenes, of_folder};

use crate::{
    Error, Result,
    figure::{ARMS, Layer, Scale},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::collections::BTreeMap;
use voxplain_volume::{Labels, Volume, compact, compact_labels};

/// Bytes of a page.
pub(super) const MOST_PAGE_BYTES: usize = 9_700_000;
/// Steps from 0 to the end of the range of colours in which maps are kept: about what eyes tell apart on a colour map.
const STEPS: f64 = 50.0;
/// Grey values of the brain.
const GREYS: f32 = 63.0;
/// Percentile of |value| in the brain that ends the range of colours, as in the figures.
const PERCENTILE: f64 = super::drawing::PERCENTILE;

/// The library: `NiiVue` as published, gzipped.
const LIBRARY: &[u8] = include_bytes!("../../../third-party/niivue/niivue.umd.js.gz");
/// Its licence, and those of what it bundles.
pub(super) const NOTICES: &str = include_str!("../../../third-party/niivue/NOTICES.txt");

/// What the page's viewer shows.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    index: Index,
    /// Compact volumes ([`compact`]) and labels, each content once; maps by the mask of their scene's brain.
    volumes: Vec<Vec<u8>>,
    known: BTreeMap<[u8; 32], usize>,
}

/// What the page's script reads.
#[derive(Debug, Default, Serialize)]
struct Index {
    scenes: Vec<Scene>,
    methods: BTreeMap<String, Method>,
    atlases: Vec<AtlasNames>,
    colours: serde_json::Value,
    /// Largest value of a brain.
    greys: f32,
    /// Whether a server gives the scenes.
    served: bool,
}

/// One brain to look at.
#[derive(Debug, Serialize)]
struct Scene {
    /// `group-all`, `label-male`, `sub-01`.
    key: String,
    title: String,
    about: String,
    group: bool,
    /// What the coordinates are.
    space: String,
    /// What there is to see; from a server it comes with the volumes.
    #[serde(flatten)]
    sight: Option<Sight>,
    /// The file that holds the volumes, where the page does not.
    file: Option<String>,
}

/// What a scene shows.
#[derive(Debug, Serialize)]
struct Sight {
    /// Where the crosshair begins, mm: the largest |value| of the first map.
    start: [f64; 3],
    /// Position among the volumes.
    brain: usize,
    maps: Vec<Map>,
    /// For every atlas the position of its labels among the volumes, where it has some for this brain.
    labels: Vec<Option<usize>>,
}

impl Sight {
    fn volumes(&self) -> impl Iterator<Item = usize> {
        let maps = self.maps.iter().map(|m| m.volume);
        std::iter::once(self.brain).chain(maps).chain(self.labels.iter().copied().flatten())
    }
}

/// One map of a scene.
#[derive(Debug, Serialize)]
struct Map {
    method: String,
    volume: usize,
    /// The value at the end of the range of colours.
    most: f64,
    /// Part of |relevance| that lies outside the brain, where the viewer shows nothing.
    outside: f64,
    /// Where a server gives the map itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// What the values of a method are.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Method {
    pub(super) units: String,
    pub(super) sign: String,
}

/// Names of the labels of an atlas.
#[derive(Clone, Debug, Default, Serialize)]
struct AtlasNames {
    name: String,
    regions: BTreeMap<u32, Region>,
}

#[derive(Clone, Debug, Serialize)]
struct Region {
    words: String,
}

/// What is said of a scene.
#[derive(Clone, Debug, Default)]
struct Words {
    key: String,
    title: String,
    about: String,
    group: bool,
    space: String,
}

/// A scene with its volumes, not yet in a viewer.
#[derive(Debug)]
struct Encoded {
    words: Words,
    start: [f64; 3],
    brain: Vec<u8>,
    /// Method, volume, end of the range of colours, part outside.
    maps: Vec<(String, Vec<u8>, f64, f64)>,
    labels: Vec<Option<Vec<u8>>>,
}

/// What the viewer adds to the page.
#[derive(Debug)]
pub(super) struct Payload {
    /// Scripts, for the end of the page's body.
    pub(super) html: String,
    /// Name and content of files for a folder beside the page.
    pub(super) files: Vec<(String, String)>,
}

impl Words {
    fn scene(self, sight: Option<Sight>, file: Option<String>) -> Scene {
        let Self { key, title, about, group, space } = self;
        Scene { key, title, about, group, space, sight, file }
    }
}

/// The name of a scene on a server.
pub(super) fn scene_name(n: usize) -> String {
    format!("scenes/{n}.js")
}

/// The name of a map on a server.
pub(super) fn map_name(scene: usize, n: usize) -> String {
    format!("maps/{scene}-{n}.nii.gz")
}

/// More than a scene has volumes, so that those of scenes made apart have numbers of their own.
const MOST_OF_ONE: usize = 1000;

/// The script that gives a page its n-th scene; nothing where there is none.
pub(super) fn scene_script(scenes: &Scenes, n: usize, report: &str) -> Result<Option<String>> {
    /// What the page's script reads.
    #[derive(Serialize)]
    struct Given {
        #[serde(flatten)]
        sight: Sight,
        methods: BTreeMap<String, Method>,
        atlases: Vec<AtlasNames>,
    }
    let Some((Encoded { start, brain, maps, labels, .. }, methods)) = scenes.one(n)? else { return Ok(None) };
    let mut volumes = BTreeMap::new();
    let mut put = |bytes: Vec<u8>| {
        let at = n * MOST_OF_ONE + volumes.len();
        volumes.insert(at, STANDARD.encode(bytes));
        at
    };
    let sight = Sight {
        start,
        brain: put(brain),
        maps: maps
            .into_iter()
            .enumerate()
            .map(|(m, (method, volume, most, outside))| Map {
                method,
                volume: put(volume),
                most,
                outside,
                file: Some(map_name(n, m)),
            })
            .collect(),
        labels: labels.into_iter().map(|l| l.map(&mut put)).collect(),
    };
    let given = Given { sight, methods, atlases: scenes.atlases() };
    let scene = BTreeMap::from([(n, given)]);
    let text = |what: serde_json::Result<String>| {
        what.map_err(|e| Error::request(format!("a scene cannot be written: {e}"), "this is a fault of voxplain"))
    };
    Ok(Some(format!(
        "Object.assign(((window.voxplainVolumes??={{}})[\"{report}\"]??={{}}),{});\n\
         Object.assign(((window.voxplainScenes??={{}})[\"{report}\"]??={{}}),{});\n",
        text(serde_json::to_string(&volumes))?,
        text(serde_json::to_string(&scene))?
    )))
}

impl Encoded {
    fn new(words: Words, layer: &Layer, maps: &[(String, Volume)], labels: &[Option<Labels>]) -> Result<Self> {
        let grey = layer.grey(GREYS);
        let inside = grey.map(|&v| v > 0.0);
        let mut start = None;
        let mut encoded = Vec::with_capacity(maps.len());
        for (method, map) in maps {
            let scale = Scale::percentile(layer, map, PERCENTILE);
            let shown = layer.covered(map);
            start.get_or_insert_with(|| peak(&shown));
            let step = if scale.most > 0.0 { scale.most / STEPS } else { 1.0 };
            encoded.push((method.clone(), compact(&shown, step, Some(&inside))?, scale.most, layer.outside(map)));
        }
        let labels = labels
            .iter()
            .map(|l| l.as_ref().map(compact_labels).transpose().map_err(Into::into))
            .collect::<Result<_>>()?;
        let start = start.unwrap_or([0.0; 3]);
        Ok(Self { words, start, brain: compact(&grey, 1.0, None)?, maps: encoded, labels })
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

impl Viewer {
    fn put(&mut self, bytes: Vec<u8>) -> usize {
        let hash = *blake3::hash(&bytes).as_bytes();
        *self.known.entry(hash).or_insert_with(|| {
            self.volumes.push(bytes);
            self.volumes.len() - 1
        })
    }

    fn add(&mut self, scene: Encoded) {
        let Encoded { words, start, brain, maps, labels } = scene;
        let brain = self.put(brain);
        let maps = maps
            .into_iter()
            .map(|(method, volume, most, outside)| Map { method, volume: self.put(volume), most, outside, file: None })
            .collect();
        let labels = labels.into_iter().map(|l| l.map(|l| self.put(l))).collect();
        self.index.scenes.push(words.scene(Some(Sight { start, brain, maps, labels }), None));
    }

    /// A viewer without volumes: every scene says where it is to be had.
    pub(super) fn on_request(scenes: &Scenes) -> Self {
        let all = scenes.words().enumerate().map(|(n, words)| words.scene(None, Some(scene_name(n)))).collect();
        let index = Index {
            scenes: all,
            methods: scenes.methods_of_groups(),
            atlases: scenes.atlases(),
            served: true,
            ..Index::default()
        };
        Self { index, ..Self::default() }
    }

    /// Whether there is nothing to see.
    pub(super) fn is_empty(&self) -> bool {
        self.index.scenes.is_empty()
    }

    /// Whether regions have names in it.
    pub(super) fn has_atlases(&self) -> bool {
        !self.index.atlases.is_empty()
    }

    /// A hash of all that it shows.
    pub(super) fn hash(&self) -> Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.json()?.as_bytes());
        for volume in &self.volumes {
            hasher.update(blake3::hash(volume).as_bytes());
        }
        Ok(hasher.finalize())
    }

    fn json(&self) -> Result<String> {
        let json = serde_json::to_string(&self.index).map_err(|e| {
            Error::request(format!("the viewer's index cannot be written: {e}"), "this is a fault of voxplain")
        })?;
        // Inside a script element only `<` could end it or open a comment.
        Ok(json.replace('<', "\\u003c"))
    }

    /// Scripts for the end of the page, of at most about `room` bytes, and files named `<folder>/<n>.js` for the scenes
    /// that do not fit. All ids begin with `report`; `nonce` is that of the page's content security policy.
    pub(super) fn payload(mut self, report: &str, nonce: &str, room: usize, folder: &str) -> Result<Payload> {
        self.index.colours = colours();
        self.index.greys = GREYS;
        let library = STANDARD.encode(LIBRARY);
        let script = include_str!("../templates/viewer.js");
        let mut left = room.saturating_sub(library.len() + script.len() + self.json()?.len() + 1000);
        let texts: Vec<String> = self.volumes.iter().map(|v| STANDARD.encode(v)).collect();
        let mut inside = vec![false; texts.len()];
        let mut files = Vec::new();
        let mut full = false;
        for (n, scene) in self.index.scenes.iter_mut().enumerate() {
            let Some(sight) = &scene.sight else { continue };
            let mut own: Vec<usize> = sight.volumes().filter(|v| !inside[*v]).collect();
            own.sort_unstable();
            own.dedup();
            let bytes: usize = own.iter().map(|v| texts[*v].len() + 80).sum();
            // The first scene stays in whatever it takes, so that the page alone always shows something.
            full = full || (n > 0 && bytes > left);
            if full {
                let volumes: BTreeMap<usize, &str> = own.iter().map(|v| (*v, texts[*v].as_str())).collect();
                let volumes = serde_json::to_string(&volumes).map_err(|e| {
                    Error::request(format!("volumes cannot be written: {e}"), "this is a fault of voxplain")
                })?;
                let name = format!("{n}.js");
                files.push((
                    name.clone(),
                    format!("Object.assign(((window.voxplainVolumes??={{}})[\"{report}\"]??={{}}),{volumes});\n"),
                ));
                scene.file = Some(format!("{folder}/{name}"));
                continue;
            }
            left = left.saturating_sub(bytes);
            own.into_iter().for_each(|v| inside[v] = true);
        }
        let mut html = format!("<script type=\"application/json\" id=\"{report}-index\">{}</script>\n", self.json()?);
        for (n, text) in texts.iter().enumerate().filter(|(n, _)| inside[*n]) {
            html.push_str(&format!("<script type=\"text/plain\" id=\"{report}-volume-{n}\">{text}</script>\n"));
        }
        html.push_str(&format!("<script type=\"text/plain\" id=\"{report}-library\">{library}</script>\n"));
        html.push_str(&format!("<script nonce=\"{nonce}\" data-report=\"{report}\">\n{script}</script>\n"));
        Ok(Payload { html, files })
    }
}

/// Colour maps: stops outwards from 0, below and above it.
fn colours() -> serde_json::Value {
    let [below, above] = ARMS;
    serde_json::json!({
        "figures": { "title": "orange and blue", "below": below, "above": above },
        "cold-hot": {
            "title": "hot and cold",
            "below": [[0, 40, 120], [0, 90, 255], [120, 255, 255]],
            "above": [[110, 0, 0], [255, 70, 0], [255, 255, 90]],
        },
        "size": {
            "title": "|value| alone (viridis)",
            "below": [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]],
            "above": [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]],
        },
    })
}
