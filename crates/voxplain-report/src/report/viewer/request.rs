//! A viewer whose scenes are asked for one by one: the names they go by, and what is answered.

use super::{
    carried::{Viewer, shown},
    index::{AtlasRegions, Encoded, Index, MapValues, View},
    scenes::Scenes,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::collections::BTreeMap;
use voxplain_core::{Error, Result};

/// The name of a scene on a server.
pub(in crate::report) fn scene_name(n: usize) -> String {
    format!("scenes/{n}.js")
}

/// The name of a map on a server.
pub(in crate::report) fn map_name(scene: usize, n: usize) -> String {
    format!("maps/{scene}-{n}.nii.gz")
}

/// More than a scene has volumes, so that those of scenes made apart have numbers of their own.
const MAX_VOLUMES: usize = 1000;

/// The script that gives a page its n-th scene; nothing where there is none.
pub(in crate::report) fn scene_script(scenes: &Scenes, n: usize, report: &str) -> Result<Option<String>> {
    /// What the page's script reads.
    #[derive(Serialize)]
    struct Given {
        #[serde(flatten)]
        view: View,
        methods: BTreeMap<String, MapValues>,
        atlases: Vec<AtlasRegions>,
    }
    let Some((Encoded { brain, maps, labels, .. }, methods)) = scenes.one(n)? else { return Ok(None) };
    let mut volumes = BTreeMap::new();
    let mut put = |bytes: Vec<u8>| {
        let at = n * MAX_VOLUMES + volumes.len();
        volumes.insert(at, STANDARD.encode(bytes));
        at
    };
    let view = View {
        brain: put(brain),
        maps: maps.into_iter().enumerate().map(|(m, map)| map.placed(&mut put, Some(map_name(n, m)))).collect(),
        labels: labels.into_iter().map(|l| l.map(&mut put)).collect(),
    };
    let given = Given { view, methods, atlases: scenes.atlases() };
    let scene = BTreeMap::from([(n, given)]);
    let text = |what: serde_json::Result<String>| {
        what.map_err(|e| Error::request(format!("a scene cannot be written: {e}"), "this is a fault of voxplain"))
    };
    Ok(Some(format!(
        "Object.assign(((window.voxplainVolumes??={{}})[\"{report}\"]??={{}}),{});\n\
         Object.assign(((window.voxplainScenes??={{}})[\"{report}\"]??={{}}),{});\n",
        text(serde_json::to_string(&volumes))?,
        shown(text(serde_json::to_string(&scene))?)
    )))
}

/// A viewer without volumes: every scene says where it is to be had.
pub(in crate::report) fn on_request(scenes: &Scenes) -> Viewer {
    let all = scenes.captions().enumerate().map(|(n, caption)| caption.scene(None, Some(scene_name(n)))).collect();
    let index = Index {
        scenes: all,
        methods: scenes.methods_of_groups(),
        atlases: scenes.atlases(),
        served: true,
        ..Index::default()
    };
    Viewer::new(index)
}
