//! The page of a folder of maps of single images.

use super::{
    element::{PAGE, PERCENTILE, Placed, file_name, read_map},
    page::Page,
    section::maps::{self, MethodMaps, options},
    viewer,
};
use crate::figure::{ColourRange, Mosaic, Underlay};
use std::path::{Path, PathBuf};
use voxplain_attribution::Record;
use voxplain_core::{Action, Error, Progress, Result, remedy};
use voxplain_study::{
    map::{maps_below, read_record},
    setting::{INPUT, METHOD, OUT},
};
use voxplain_volume::{Mask, ReadOptions, Volume, image_stem, read};

/// Maps drawn; the rest is named.
const MAX_MAPS: usize = 32;

/// The page of a folder of maps.
pub(super) fn page(directory: &Path, progress: &dyn Progress) -> Result<Page> {
    let files = maps_below(directory)?;
    if files.is_empty() {
        let explain = Action::new("explain").on("MODEL").with(INPUT, "IMAGE...").with(METHOD, "...").with(OUT, "DIR");
        return Err(Error::file(
            directory,
            "holds neither a run (manifest.json) nor maps (*_attribution.nii.gz)",
            remedy!["make maps with ", explain],
        ));
    }
    let mut page = Page::new("Maps of single images".into());
    page.facts = vec![["Folder".into(), directory.display().to_string()], ["Maps".into(), files.len().to_string()]];
    page.space = "the map's own world".into();
    if files.len() > MAX_MAPS {
        page.warnings.push(format!("The first {MAX_MAPS} of {} maps are drawn, to keep the page small.", files.len()));
    }
    progress.begin("maps", files.len().min(MAX_MAPS));
    let mut seen = Vec::new();
    for file in files.iter().take(MAX_MAPS) {
        progress.go_on()?;
        let (method, map) = one(file)?;
        page.methods.push(method);
        seen.push(map);
        progress.advance(1, &file_name(file));
    }
    progress.end();
    page.side_by_side = side_by_side(&files)?;
    maps::keep_small(&page.side_by_side, &mut page.methods);
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
    let (mut underlay, mut maps, mut of) = (None, Vec::new(), String::new());
    for file in files.iter().filter(|f| image(f).as_ref() == Some(&chosen)) {
        let (record, map) = map_of(file)?;
        let underlay = match &underlay {
            Some(underlay) => underlay,
            None => {
                of = format!("Maps of {}", record.subject);
                &*underlay.insert((*map.grid(), under(file, &map)?.0))
            }
        };
        // Maps of the same image on another grid are drawn by themselves, above.
        if underlay.0.same_space(map.grid(), 0.1) {
            maps.push((record.method, record.units, map));
        }
    }
    underlay.map_or(Ok(Vec::new()), |(_, underlay)| maps::side_by_side(&of, &underlay, maps, "mm in the map's world"))
}

/// A map and its sidecar.
fn map_of(file: &Path) -> Result<(Record, Volume)> {
    let record = read_record(file)?;
    Ok((record, read_map(file)?))
}

/// What a map is drawn over, and what that is.
fn under(file: &Path, map: &Volume) -> Result<(Underlay, &'static str)> {
    Ok(match input(file, map)? {
        Some(underlay) => (underlay, "The image as the model took it."),
        // Nothing says what was explained: the map is drawn over even grey where its grid is.
        None => (
            Underlay::new(Volume::filled(*map.grid(), 0.0), &Mask::filled(*map.grid(), true))?,
            "Grey is the field of view; the image itself is not there.",
        ),
    })
}

fn one(file: &Path) -> Result<(MethodMaps, (Record, Volume, Underlay))> {
    let (record, map) = map_of(file)?;
    let (underlay, under) = under(file, &map)?;
    let figure = Mosaic {
        title: format!("{}: {}", record.method, record.subject),
        units: record.units.clone(),
        underlay: &underlay,
        map: &map,
        range: ColourRange::percentile(&underlay, &map, PERCENTILE),
        rows: underlay.cuts(&map, 7, 6.0),
        width: PAGE,
        space: format!("Coordinates: mm in the map's world. {under}"),
    }
    .draw()?;
    let name = file_name(file);
    let stem = image_stem(&name).unwrap_or(&name).replace("_attribution", "_mosaic");
    let method = MethodMaps {
        name: format!("{}, {}", record.method, record.subject),
        facts: facts(&record),
        warnings: record.warnings.clone(),
        figures: vec![Placed::new(stem, figure, "")],
    };
    Ok((method, (record, map, underlay)))
}

/// The image that a map explains, where explaining left it beside the map, and its brain: the mask that it left
/// there, or all voxels other than 0.
fn input(map_file: &Path, map: &Volume) -> Result<Option<Underlay>> {
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
    Ok(Some(Underlay::new(volume, &inside)?))
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
