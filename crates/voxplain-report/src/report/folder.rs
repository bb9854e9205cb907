//! The page of a folder of maps of single images.

use super::{
    element::{PAGE, PERCENTILE, Placed, Warning, file_name, read_map},
    page::Page,
    section::maps::{self, MethodMaps, options},
    viewer,
};
use crate::figure::{ColourRange, Mosaic, Underlay};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_attribution::{Record, Unseen};
use voxplain_core::{Action, Error, Progress, Result, remedy};
use voxplain_study::{
    map::{PreparedFiles, files_of, maps_below, read_record},
    run::figure_name,
    setting::{INPUT, METHOD, OUT},
};
use voxplain_volume::{Grid, Mask, MaskOptions, ReadOptions, Volume, read, read_mask};

/// Maps drawn; the rest is named.
const MAX_MAPS: usize = 32;

/// The page of a folder of maps.
pub(super) fn page(directory: &Path, progress: &dyn Progress) -> Result<Page> {
    let files = maps_below(directory)?;
    if files.is_empty() && directory.join("table.json").is_file() {
        return Err(Error::file(
            directory,
            "is a training on a table (table.json), which has no volumes to show and no page",
            "read metrics.json and predictions.tsv in it; `train` printed what they say",
        ));
    }
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
        let what = format!("The first {MAX_MAPS} of {} maps are drawn, to keep the page small.", files.len());
        page.warnings.push(what.into());
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
    page.warnings.extend(several_models(&seen));
    page.side_by_side = side_by_side(&files)?;
    maps::keep_small(&page.side_by_side, &mut page.methods);
    let first: Vec<String> = seen.first().map_or_else(Vec::new, |(first, ..)| {
        seen.iter().filter(|(r, ..)| r.subject == first.subject).map(|(r, ..)| r.method.clone()).collect()
    });
    page.viewer = viewer::of_folder(seen)?;
    if let Some(opening) = viewer::Opening::of(&first, &[]) {
        page.viewer.open_with(&opening.method);
    }
    Ok(page)
}

/// Whose maps come from different models: they do not explain the same thing.
fn several_models(maps: &[(Record, Volume, Underlay)]) -> Vec<Warning> {
    let mut models: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (record, ..) in maps {
        models.entry(&record.subject).or_default().insert(&record.model);
    }
    let several = models.iter().filter(|(_, models)| models.len() > 1);
    let words = |(subject, models): (&&str, &BTreeSet<&str>)| {
        format!("The maps of {subject} come from {} models: they do not explain one network.", models.len()).into()
    };
    several.map(words).collect()
}

/// All maps of the first image that has more than one, side by side.
fn side_by_side(files: &[PathBuf]) -> Result<Vec<Placed>> {
    let image = |file: &Path| files_of(file).map(|files| files.input_image());
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
                &*underlay.insert((*map.grid(), hatched(under(file, &map)?.0, &record, &map)?))
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

/// The brain with the planes hatched that the network cannot see, where the map lies on the network's own grid.
fn hatched(underlay: Underlay, record: &Record, map: &Volume) -> Result<Underlay> {
    match record.unseen.as_ref().and_then(|unseen| unseen_planes(unseen, map.grid())) {
        Some(planes) => underlay.with_unseen(&planes),
        None => Ok(underlay),
    }
}

/// The planes at the edges of a grid (RAS+) that a network cannot see. None where these are not all that it cannot see: then
/// the grid is another than the network's, as of a map in an image's own space, or it has blind voxels between others.
fn unseen_planes(unseen: &Unseen, grid: &Grid) -> Option<Mask> {
    let mut seen = grid.shape.map(|n| [0, n]);
    for edge in &unseen.edges {
        let (axis, last) = match edge.side? {
            'R' => (0, true),
            'L' => (0, false),
            'A' => (1, true),
            'P' => (1, false),
            'S' => (2, true),
            _ => (2, false),
        };
        let [from, to] = &mut seen[axis];
        if last { *to = to.checked_sub(edge.planes)? } else { *from += edge.planes }
    }
    let left: usize = seen.iter().map(|[from, to]| to.saturating_sub(*from)).product();
    let share = 1.0 - left as f64 / grid.len() as f64;
    let inside = |v: [usize; 3]| (0..3).all(|a| (seen[a][0]..seen[a][1]).contains(&v[a]));
    ((share - unseen.share).abs() < 1e-9 && share > 0.0).then(|| Mask::from_fn(*grid, |v| !inside(v)))
}

fn one(file: &Path) -> Result<(MethodMaps, (Record, Volume, Underlay))> {
    let (record, map) = map_of(file)?;
    let (underlay, under) = under(file, &map)?;
    let underlay = hatched(underlay, &record, &map)?;
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
    let stem = figure_name::map_mosaic(file);
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
    let Some(files) = files_of(map_file) else { return Ok(None) };
    let own = Some((files.input_image(), files.input_mask())).filter(|(image, _)| image.is_file());
    let Some((image, mask)) = own.or_else(|| PreparedFiles::beside(&files)) else { return Ok(None) };
    let volume = read(&image, &ReadOptions::default())?.volume.to_ras();
    if !volume.grid().same_space(map.grid(), 0.1) {
        return Ok(None);
    }
    let inside = if mask.is_file() {
        read_mask(&mask, &MaskOptions::anywhere())?.on(volume.grid())?
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
    let mut facts = vec![
        ["Explained".into(), format!("{} = {:.4}", record.target, record.score)],
        ["Logits".into(), logits.join(", ")],
        ["A value is".into(), record.units.clone()],
        ["Its sign".into(), record.sign.clone()],
        ["Options".into(), options(&record.parameters)],
        ["In sample".into(), seen.into()],
        ["Model".into(), record.model.clone()],
    ];
    facts.extend(record.imported.iter().map(|words| ["Imported".into(), words.clone()]));
    let unseen = record.unseen.as_ref().filter(|unseen| unseen.share > 0.0);
    facts.extend(unseen.map(|unseen| ["Not seen".into(), format!("the network {unseen}")]));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_attribution::UnseenEdge;
    use voxplain_volume::Affine;

    /// 58 x 70 x 58 voxels of which the last four planes to the right and to the top are not seen, on the network's grid and on one
    /// that is not its own.
    #[test]
    fn planes_are_hatched_on_the_networks_grid_alone() {
        let edge = |axis, side| UnseenEdge { axis, last: true, planes: 4, side: Some(side), mm: Some(12.0) };
        let share = 1.0 - (54.0 * 70.0 * 54.0) / (58.0 * 70.0 * 58.0);
        let unseen = Unseen {
            of_heads: false,
            share,
            partial_share: 0.0,
            share_of_mask: None,
            share_among_seen: 0.0,
            edges: vec![edge(0, 'R'), edge(2, 'S')],
        };
        let grid = |shape| Grid::new(shape, Affine::from_spacing_origin([3.0; 3], [0.0; 3])).unwrap();
        let planes = unseen_planes(&unseen, &grid([58, 70, 58])).unwrap();
        assert!(planes.at(54, 0, 0) && planes.at(0, 0, 54) && !planes.at(53, 69, 53));
        assert_eq!(planes.data().iter().filter(|v| **v).count(), 58 * 70 * 58 - 54 * 70 * 54);
        assert_eq!(unseen_planes(&unseen, &grid([91, 109, 91])), None);
        let nowhere = Unseen { edges: vec![UnseenEdge { side: None, ..edge(0, 'R') }], ..unseen };
        assert_eq!(unseen_planes(&nowhere, &grid([58, 70, 58])), None);
    }
}
