//! The scenes of a folder of maps of single images.

use super::{
    carried::Viewer,
    index::{Caption, Encoded, MapValues},
};
use crate::figure::Underlay;
use voxplain_attribution::Record;
use voxplain_core::Result;
use voxplain_volume::Volume;

/// Maps of single images: those with one subject (and one grid) are one scene.
pub(in crate::report) fn of_folder(maps: Vec<(Record, Volume, Underlay)>) -> Result<Viewer> {
    let mut viewer = Viewer::default();
    struct One {
        subject: String,
        underlay: Underlay,
        maps: Vec<(String, Volume)>,
        about: String,
    }
    let mut scenes: Vec<One> = Vec::new();
    for (record, map, underlay) in maps {
        viewer.index.methods.entry(record.method.clone()).or_insert_with(|| MapValues::of(&record));
        let known = scenes.iter_mut().find(|scene| {
            scene.subject == record.subject
                && scene.maps[0].1.grid() == map.grid()
                && !scene.maps.iter().any(|(method, _)| *method == record.method)
        });
        match known {
            Some(scene) => scene.maps.push((record.method, map)),
            None => {
                let about = format!("Explained: {} = {:.4}.", record.target, record.score).replace('-', "\u{2212}");
                scenes.push(One { subject: record.subject, underlay, maps: vec![(record.method, map)], about });
            }
        }
    }
    for (n, One { subject, underlay, maps, about }) in scenes.into_iter().enumerate() {
        let caption = Caption {
            key: format!("image-{n}"),
            title: subject,
            about,
            group: false,
            space: "mm in the world of the map's grid".into(),
        };
        viewer.add(Encoded::new(caption, &underlay, &maps, &[])?);
    }
    Ok(viewer)
}
