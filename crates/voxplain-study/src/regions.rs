//! [`measure_regions`]: the region table of many map files.

use crate::{
    atlas::{Atlas, MapName, RegionTable},
    cohort::Cohort,
    map::{self, maps_below},
    run::Run,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_attribution::Record;
use voxplain_core::{Error, Progress, Result, atomic_file};
use voxplain_volume::{Finding, Grid, Labels, Mask, ReadOptions, read};

/// Which atlas, and how strictly it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionOptions {
    /// The label image. `{id}` in its path stands for the subject's id: every subject then has labels of its own.
    pub atlas: String,
    /// The table of its labels.
    pub labels: PathBuf,
    /// Brain mask on the maps' grid; `{id}` as above. Where nothing is said, that of a run's cohort.
    pub mask: Option<String>,
    /// Go on when image and table do not match.
    pub allow_mismatch: bool,
}

/// Measures every map file in every region, and the group of them.
///
/// A directory among `maps` stands for all maps in it: every `*_attribution.nii` or `.nii.gz` below it, sorted by
/// name, except group maps, those in native space (`_space-native`) or resolution (`_res-native`), and those of single
/// layers (`_layer-`). Subject and method are taken from a map's sidecar and, without one, from its name
/// (`sub-<id>_..._desc-<method>_...`). The brains of a run's subjects are those of its cohort, unless a mask is given.
///
/// # Errors
/// [`Atlas::open`], [`RegionTable::measure`], files that cannot be read, no map at all.
pub fn measure_regions(maps: &[PathBuf], what: &RegionOptions, progress: &dyn Progress) -> Result<RegionTable> {
    let mut files = Vec::new();
    let mut cohorts = Vec::new();
    for path in maps {
        if path.is_dir() {
            // A run knows the brains of its people.
            cohorts.extend(Run::open(path).and_then(|run| run.cohort()).ok().filter(|_| what.mask.is_none()));
            let found = maps_below(path)?;
            if found.is_empty() {
                return Err(Error::file(
                    path,
                    "holds no map (*_attribution.nii.gz)",
                    "make maps with `voxplain explain`",
                ));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let mut table = RegionTable::default();
    let mut atlas: Option<(String, Atlas)> = None;
    // Maps of one grid share the labels on it.
    let mut placed: Option<(Grid, Labels)> = None;
    progress.begin("regions", files.len());
    let done = files.iter().try_for_each(|file| {
        progress.go_on()?;
        let name = name_of(file);
        let image = what.image(&name, file)?;
        let atlas = match &mut atlas {
            Some((path, atlas)) if *path == image => atlas,
            slot => {
                placed = None;
                &mut slot.insert((image.clone(), Atlas::open(Path::new(&image), &what.labels, what.allow_mismatch)?)).1
            }
        };
        let map = read(file, &ReadOptions::default())?.volume;
        let mask = match &what.mask {
            Some(pattern) => Some(read_mask(&fill(pattern, &name, file)?)?),
            None => brain_of(&cohorts, &name, map.grid())?,
        };
        let labels = match &placed {
            Some((grid, labels)) if grid == map.grid() => labels,
            _ => &placed.insert((*map.grid(), atlas.on_grid(map.grid())?)).1,
        };
        table.measure_on(&name, &map, (atlas, labels), mask.as_ref())?;
        progress.advance(1, &name.map);
        Ok(())
    });
    progress.end();
    done.map(|()| {
        table.summarise();
        table
    })
}

/// The brain of a map's subject, where one of the cohorts holds it on the map's grid.
fn brain_of(cohorts: &[Cohort], name: &MapName, grid: &Grid) -> Result<Option<Mask>> {
    for cohort in cohorts {
        let subject = cohort.subjects.iter().position(|s| Some(&s.id) == name.subject.as_ref());
        if let Some(mask) = subject.map(|n| cohort.mask(n)).transpose()?
            && mask.grid().same_space(grid, 1e-3)
        {
            return Ok(Some(mask));
        }
    }
    Ok(None)
}

/// What is written beside a region table, `<table>.json`: how it was made and what to know about it.
#[derive(Clone, Debug, Serialize)]
pub struct RegionRecord<'a> {
    /// The atlas and how it was taken.
    pub survey: &'a RegionOptions,
    /// What the reader should know.
    pub findings: &'a [Finding],
    /// What the columns hold.
    pub columns: &'static str,
    /// Version of voxplain.
    pub version: &'static str,
}

/// The words of [`RegionRecord::columns`].
const COLUMNS: &str = "rows with n > 1 are means over maps with 95 % t intervals (_low, _high); sum, mean: of the map's \
values in the region; share_positive, share_negative: part of the map's positive (negative) relevance that lies there; \
enrichment: part of |relevance| over part of voxels (1: chance); density_per_mm3: sum over volume; peak: value furthest from \
0 and its voxel's centre in RAS+ mm; hemisphere_from: table (name or column) or geometry (position of the labels)";

impl RegionTable {
    /// Writes the table as TSV, and `<path without .tsv>.json` beside it, with absolute paths: who reads it need not be in
    /// the same working directory.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn write(&self, path: &Path, survey: &RegionOptions) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        self.to_table().write_tsv(path)?;
        let survey = &survey.absolute()?;
        let record =
            RegionRecord { survey, findings: &self.findings, columns: COLUMNS, version: env!("CARGO_PKG_VERSION") };
        atomic_file::write_json(&path.with_extension("json"), &record)
    }
}

/// The map's name, subject and method, from its sidecar and its file name.
fn name_of(file: &Path) -> MapName {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entity = |key: &str| name.split('_').find_map(|part| part.strip_prefix(key)).map(str::to_owned);
    let sidecar = map::record_path(file);
    let record: Option<Record> = std::fs::read(sidecar).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let method = record.map(|r| r.method).or_else(|| entity("desc-"));
    MapName { subject: entity("sub-"), method, map: name }
}

impl RegionOptions {
    /// The same with absolute paths.
    fn absolute(&self) -> Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io(path));
        let pattern = |path: &String| Ok::<_, Error>(absolute(Path::new(path))?.to_string_lossy().into_owned());
        Ok(Self {
            atlas: pattern(&self.atlas)?,
            labels: absolute(&self.labels)?,
            mask: self.mask.as_ref().map(pattern).transpose()?,
            allow_mismatch: self.allow_mismatch,
        })
    }

    /// The same with each relative path that is not there from the working directory, but is from `folder`, taken from
    /// there: records of older versions hold paths as they were typed.
    pub fn found_from(self, folder: &Path) -> Self {
        let there = |path: &Path| {
            // Of a pattern, the folders above the subject's id.
            let fixed = path.ancestors().find(|p| !p.to_string_lossy().contains("{id}")).unwrap_or(path);
            fixed == Path::new("") || fixed.exists()
        };
        let find = |path: &Path| {
            let below = folder.join(path);
            if there(path) || !there(&below) { path.to_owned() } else { below }
        };
        let pattern = |path: String| find(Path::new(&path)).to_string_lossy().into_owned();
        Self {
            atlas: pattern(self.atlas),
            labels: find(&self.labels),
            mask: self.mask.map(pattern),
            allow_mismatch: self.allow_mismatch,
        }
    }

    /// The label image for a map's subject.
    pub fn image(&self, name: &MapName, file: &Path) -> Result<String> {
        fill(&self.atlas, name, file)
    }
}

fn fill(pattern: &str, name: &MapName, file: &Path) -> Result<String> {
    if !pattern.contains("{id}") {
        return Ok(pattern.to_owned());
    }
    let id = name.subject.as_ref().ok_or_else(|| {
        Error::file(file, "has no subject in its name (sub-<id>_...)", "without one, give an atlas path without {id}")
    })?;
    Ok(pattern.replace("{id}", id))
}

fn read_mask(path: &str) -> Result<Mask> {
    Ok(read(Path::new(path), &ReadOptions::default())?.volume.map(|&x| x != 0.0 && x.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(atlas: &str, labels: &str) -> RegionOptions {
        RegionOptions { atlas: atlas.into(), labels: labels.into(), mask: None, allow_mismatch: false }
    }

    #[test]
    fn records_hold_paths_that_mean_the_same_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        let what =
            RegionOptions { mask: Some("masks/{id}.nii.gz".into()), ..survey("atlases/a.nii.gz", "atlases/a.tsv") };
        let table = folder.path().join("regions/a.tsv");
        RegionTable::default().write(&table, &what).unwrap();
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(table.with_extension("json")).unwrap()).unwrap();
        let here = std::env::current_dir().unwrap();
        for (key, path) in [("atlas", "atlases/a.nii.gz"), ("labels", "atlases/a.tsv"), ("mask", "masks/{id}.nii.gz")] {
            assert_eq!(record["survey"][key], here.join(path).to_str().unwrap());
        }
    }

    #[test]
    fn paths_as_typed_are_looked_for_below_a_folder_too() {
        let folder = tempfile::tempdir().unwrap();
        let below = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
        std::fs::create_dir(below("atlas-of-a-test")).unwrap();
        std::fs::write(below("atlas-of-a-test/a.tsv"), "").unwrap();
        let found = survey("atlas-of-a-test/{id}/a.nii.gz", "atlas-of-a-test/a.tsv").found_from(folder.path());
        assert_eq!(found, survey(&below("atlas-of-a-test/{id}/a.nii.gz"), &below("atlas-of-a-test/a.tsv")));
        // What is there as it is, what is absolute, and what is nowhere, stay.
        for path in ["Cargo.toml", "/no/such/folder/a.nii.gz", "no-such-folder/a.nii.gz"] {
            let what = survey(path, path);
            assert_eq!(what.clone().found_from(folder.path()), what);
        }
    }
}
