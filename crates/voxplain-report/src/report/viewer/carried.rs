//! [`Viewer`]: what the viewer shows, with its volumes, and its part of the page.

use super::index::{Encoded, GREYS, Index, View};
use crate::figure::ARMS;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{borrow::Cow, collections::BTreeMap};
use voxplain_core::{Error, Result, visible};
use voxplain_study::run::PageLayout;

/// Bytes of a page.
pub(in crate::report) const MAX_PAGE_BYTES: usize = 9_700_000;

/// The library: `NiiVue` as published, gzipped.
const LIBRARY: &[u8] = include_bytes!("../../../third-party/niivue/niivue.umd.js.gz");
/// Its licence, and those of what it bundles.
pub(in crate::report) const NOTICES: &str = include_str!("../../../third-party/niivue/NOTICES.txt");

/// What the page's viewer shows.
#[derive(Debug, Default)]
pub(in crate::report) struct Viewer {
    pub(super) index: Index,
    /// Compact volumes ([`compact`]) and labels, each content once; maps by the mask of their scene's brain.
    volumes: Vec<Vec<u8>>,
    known: BTreeMap<[u8; 32], usize>,
}

/// What the viewer adds to the page.
#[derive(Debug)]
pub(in crate::report) struct Payload {
    /// Scripts, for the end of the page's body.
    pub(in crate::report) html: String,
    /// Name and content of files for a folder beside the page.
    pub(in crate::report) files: Vec<(String, String)>,
}

/// JSON with its hidden characters shown as the page shows them, with a backslash that JSON takes for one.
pub(super) fn shown(json: String) -> String {
    let hidden = |c: char| match visible(c.encode_utf8(&mut [0; 4])) {
        Cow::Owned(shown) => format!("\\{shown}"),
        Cow::Borrowed(plain) => plain.to_owned(),
    };
    if visible(&json) == json { json } else { json.chars().map(hidden).collect() }
}

impl Viewer {
    /// A viewer of scenes that have no volumes yet.
    pub(super) fn new(index: Index) -> Self {
        Self { index, ..Self::default() }
    }

    fn put(&mut self, bytes: Vec<u8>) -> usize {
        let hash = *blake3::hash(&bytes).as_bytes();
        *self.known.entry(hash).or_insert_with(|| {
            self.volumes.push(bytes);
            self.volumes.len() - 1
        })
    }

    pub(super) fn add(&mut self, scene: Encoded) {
        let Encoded { caption, brain, maps, labels } = scene;
        let brain = self.put(brain);
        let maps = maps.into_iter().map(|map| map.placed(|volume| self.put(volume), None)).collect();
        let labels = labels.into_iter().map(|l| l.map(|l| self.put(l))).collect();
        self.index.scenes.push(caption.scene(Some(View { brain, maps, labels }), None));
    }

    /// Shows a method first, where a scene has it.
    pub(in crate::report) fn open_with(&mut self, method: &str) {
        method.clone_into(&mut self.index.first);
    }

    /// Whether there is nothing to see.
    pub(in crate::report) fn is_empty(&self) -> bool {
        self.index.scenes.is_empty()
    }

    /// Whether regions have names in it.
    pub(in crate::report) fn has_atlases(&self) -> bool {
        !self.index.atlases.is_empty()
    }

    /// A hash of all that it shows.
    pub(in crate::report) fn hash(&self) -> Result<blake3::Hash> {
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
        Ok(shown(json.replace('<', "\\u003c")))
    }

    /// Scripts for the end of the page, of at most about `room` bytes, and files named `<folder>/<n>.js` for the scenes
    /// that do not fit. All ids begin with `report`; `nonce` is that of the page's content security policy.
    pub(in crate::report) fn payload(
        mut self,
        report: &str,
        nonce: &str,
        room: usize,
        folder: &str,
    ) -> Result<Payload> {
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
            let Some(view) = &scene.view else { continue };
            let mut own: Vec<usize> = view.volumes().filter(|v| !inside[*v]).collect();
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
                let name = PageLayout::volume_name(n);
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
