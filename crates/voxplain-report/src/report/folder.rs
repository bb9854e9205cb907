//! [`of_folder`]: the page of a folder of maps, as `voxplain explain --out` writes it.

use super::{
    Placed,
    drawing::{self, PERCENTILE, options},
    page::{Method, Page},
    people::file_name,
    viewer,
};
use crate::{
    Error, Progress, Result,
    attribution::Record,
    figure::{Layer, Mosaic, Scale},
    map::{maps_below, read_record},
};
use std::path::{Path, PathBuf};
use voxplain_volume::{Mask, ReadOptions, Volume, read};

/// Maps drawn; the rest is named.
const MOST_MAPS: usize = 32;

/// The page of a folder of maps.
pub(super) fn of_folder(directory: &Path, progress: &dyn Progress) -> Result<Page> {
    let files = maps_below(directory)?;
    if files.is_empty() {
        return Err(Error::file(
            directory,
            "holds neither a run (manifest.json) nor maps (*_attribution.nii.gz)",
            "make maps with voxplain explain MODEL --input IMAGE... --method ... --out DIR",
        ));
    }
    let mut page = Page::new("Maps of single images".into());
    page.facts = vec![["Folder".into(), directory.display().to_string()], ["Maps".into(), files.len().to_string()]];
    page.space = "the map's own world".into();
    if files.len() > MOST_MAPS {
        page.warnings.push(format!("The first {MOST_MAPS} of {} maps are drawn, to keep the page small.", files.len()));
    }
    progress.begin("maps", files.len().min(MOST_MAPS));
    let mut seen = Vec::new();
    for file in files.iter().take(MOST_MAPS) {
        progress.go_on()?;
        let (method, map) = one(file)?;
        page.methods.push(method);
        seen.push(map);
        progress.advance(1, &file_name(file));
    }
    progress.end();
    page.side_by_side = side_by_side(&files)?;
    drawing::keep_small(&page.side_by_side, &mut page.methods);
    page.viewer = viewer::of_folder(seen)?;
    Ok(page)
}

/// All maps of the first image that has more than one, side by side.
fn side_by_side(files: &[PathBuf]) -> Result<Vec<Placed>> {
    let image = |file: &Path| {
        let name = file_name(file);
        name.split_once("_desc-").map(|(stem, _)| file.with_file_name(stem))
    };
    let mut images: Vec<PathBuf> = files.iter().filter_map(|f| image(f)).collect();
    images.sort();
    let Some(chosen) = images.windows(2).find(|w| w[0] == w[1]).map(|w| w[0].clone()) else { return Ok(Vec::new()) };
    let (mut layer, mut maps, mut of) = (None, Vec::new(), String::new());
    for file in files.iter().filter(|f| image(f).as_ref() == Some(&chosen)) {
        let (record, map) = map_of(file)?;
        let layer = match &layer {
            Some(layer) => layer,
            None => {
                of = format!("Maps of {}", record.subject);
                &*layer.insert((*map.grid(), under(file, &map)?.0))
            }
        };
        // Maps of the same image on another grid are drawn by themselves, above.
        if layer.0.same_space(map.grid(), 0.1) {
            maps.push((record.method, record.units, map));
        }
    }
    layer.map_or(Ok(Vec::new()), |(_, layer)| drawing::side_by_side(&of, &layer, maps, "mm in the map's world"))
}

/// A map and its sidecar.
fn map_of(file: &Path) -> Result<(Record, Volume)> {
    let record = read_record(file)?;
    let map = read(file, &ReadOptions::default())?.volume.to_ras();
    if let Some(value) = map.data().iter().find(|v| !v.is_finite()) {
        return Err(Error::file(
            file,
            format!("holds the value {value}"),
            "make the map again: a map holds numbers only",
        ));
    }
    Ok((record, map))
}

/// What a map is drawn over, and what that is.
fn under(file: &Path, map: &Volume) -> Result<(Layer, &'static str)> {
    Ok(match input(file, map)? {
        Some(layer) => (layer, "The image as the model took it."),
        // Nothing says what was explained: the map is drawn over even grey where its grid is.
        None => (
            Layer::new(Volume::filled(*map.grid(), 0.0), &Mask::filled(*map.grid(), true))?,
            "Grey is the field of view; the image itself is not there.",
        ),
    })
}

fn one(file: &Path) -> Result<(Method, (Record, Volume, Layer))> {
    let (record, map) = map_of(file)?;
    let (layer, under) = under(file, &map)?;
    let figure = Mosaic {
        title: format!("{}: {}", record.method, record.subject),
        units: record.units.clone(),
        layer: &layer,
        map: &map,
        scale: Scale::percentile(&layer, &map, PERCENTILE),
        rows: layer.cuts(&map, 7, 6.0),
        width: 180.0,
        space: format!("Coordinates: mm in the map's world. {under}"),
    }
    .draw()?;
    let name = file_name(file);
    let stem = name.trim_end_matches(".gz").trim_end_matches(".nii").replace("_attribution", "_mosaic");
    let method = Method {
        name: format!("{}, {}", record.method, record.subject),
        facts: facts(&record),
        warnings: record.warnings.clone(),
        figures: vec![Placed::new(stem, figure, "")],
    };
    Ok((method, (record, map, layer)))
}

/// The image that a map explains, where `voxplain explain` left it beside the map, and its brain: the mask that it left
/// there, or all voxels other than 0.
fn input(map_file: &Path, map: &Volume) -> Result<Option<Layer>> {
    let name = file_name(map_file);
    let Some((stem, _)) = name.rsplit_once("_desc-") else { return Ok(None) };
    let beside = |ending: &str| map_file.with_file_name(format!("{stem}_desc-{ending}.nii.gz"));
    let [image, mask] = ["input_image", "brain_mask"].map(beside);
    if !image.is_file() {
        return Ok(None);
    }
    let volume = read(&image, &ReadOptions::default())?.volume.to_ras();
    if !volume.grid().same_space(map.grid(), 0.1) {
        return Ok(None);
    }
    let inside = if mask.is_file() {
        read(&mask, &ReadOptions::default())?.volume.to_ras().map(|v| *v > 0.5)
    } else {
        volume.map(|v| *v != 0.0)
    };
    Ok(Some(Layer::new(volume, &inside)?))
}

fn facts(record: &Record) -> Vec<[String; 2]> {
    let logits: Vec<String> = record
        .classes
        .iter()
        .zip(&record.logits)
        .map(|(class, z)| format!("{class} {z:.3}").replace('-', "\u{2212}"))
        .collect();
    let seen = match record.in_sample {
        Some(false) => "the model never saw this subject",
        Some(true) => "the model was trained on this subject (in sample)",
        None => "not known",
    };
    vec![
        ["Explained".into(), format!("{} = {:.4}", record.target, record.score)],
        ["Logits".into(), logits.join(", ")],
        ["A value is".into(), record.units.clone()],
        ["Its sign".into(), record.sign.clone()],
        ["Options".into(), options(&record.parameters)],
        ["In sample".into(), seen.into()],
        ["Model".into(), record.model.clone()],
    ]
}
