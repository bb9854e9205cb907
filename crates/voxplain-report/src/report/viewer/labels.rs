//! [`Atlases`]: labels of regions and what they are called, from the records of the run's region tables.

use super::index::{AtlasRegions, Region};
use crate::report::element::Warning;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain_core::Result;
use voxplain_study::{
    atlas::{Atlas, Hemisphere, MapName},
    regions::{RegionOptions, RegionRecord},
    run::Run,
};
use voxplain_volume::{Grid, Labels};

/// The atlases that regions of a run were read off in.
#[derive(Debug, Default)]
pub(in crate::report) struct Atlases {
    atlases: Vec<NamedAtlas>,
}

#[derive(Debug)]
struct NamedAtlas {
    name: String,
    survey: RegionOptions,
    /// The atlas of all subjects, where there is one.
    shared: Option<Atlas>,
    /// Its labels on the last grid asked for.
    placed: Option<(Grid, Labels)>,
    regions: BTreeMap<u32, Region>,
    /// Why some subject has no labels, if so.
    lacking: Option<Warning>,
}

impl Atlases {
    /// Opens the atlases of region tables, by their records. What cannot be opened is left out with a warning.
    pub(in crate::report) fn new(run: &Run, tables: &[PathBuf], warnings: &mut Vec<Warning>) -> Self {
        let mut opened = Self::default();
        for table in tables {
            let name = table.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match NamedAtlas::open(name.clone(), run, table) {
                Ok(Some(named)) => opened.atlases.push(named),
                Ok(None) => {}
                Err(error) => {
                    let what = format!("The viewer does not name the regions of {name}");
                    warnings.push(Warning::left_out(&what, &error));
                }
            }
        }
        opened
    }

    /// The labels of every atlas on a subject's grid. An atlas without labels for the subject has none there.
    pub(super) fn on(&mut self, subject: &str, grid: &Grid) -> Vec<Option<Labels>> {
        self.atlases
            .iter_mut()
            .map(|atlas| match atlas.on(subject, grid) {
                Ok(labels) => labels,
                Err(error) => {
                    let what = format!("The viewer has no regions of {} for {subject}, at least", atlas.name);
                    atlas.lacking.get_or_insert_with(|| Warning::left_out(&what, &error));
                    None
                }
            })
            .collect()
    }

    /// Which labels could not be placed, a sentence an atlas.
    pub(super) fn lacking(&self) -> Vec<Warning> {
        self.atlases.iter().filter_map(|a| a.lacking.clone()).collect()
    }

    /// Number of atlases.
    pub(super) const fn len(&self) -> usize {
        self.atlases.len()
    }

    /// What the atlases and their regions are called, as far as it is known.
    pub(super) fn index(&self) -> Vec<AtlasRegions> {
        self.atlases.iter().map(|a| AtlasRegions { name: a.name.clone(), regions: a.regions.clone() }).collect()
    }
}

impl NamedAtlas {
    /// Nothing where the table has no record.
    fn open(name: String, run: &Run, table: &Path) -> Result<Option<Self>> {
        let Some(record) = RegionRecord::read(table)? else { return Ok(None) };
        let survey = record.options(table, &run.path)?;
        let mut named = Self { name, survey, shared: None, placed: None, regions: BTreeMap::new(), lacking: None };
        if !named.survey.atlas.contains("{id}") {
            let atlas = named.atlas(Path::new(&named.survey.atlas))?;
            named.learn(&atlas);
            named.shared = Some(atlas);
        }
        Ok(Some(named))
    }

    fn atlas(&self, image: &Path) -> Result<Atlas> {
        Atlas::open(image, &self.survey.labels, self.survey.allow_mismatch)
    }

    /// Takes the names of an atlas's regions; the side is added where the name does not say it.
    fn learn(&mut self, atlas: &Atlas) {
        for id in atlas.ids() {
            let name = atlas.name(id);
            let side = match (Hemisphere::from_name(&name), atlas.side(id).0) {
                (Ok(None), Some(side @ (Hemisphere::Left | Hemisphere::Right))) => format!(" ({side})"),
                _ => String::new(),
            };
            self.regions.entry(id).or_insert_with(|| Region { words: format!("{}{side}", name.replace('_', " ")) });
        }
    }

    /// The labels on a grid; `None` where every subject has labels of its own and this one has none.
    fn on(&mut self, subject: &str, grid: &Grid) -> Result<Option<Labels>> {
        if let Some((_, labels)) = self.placed.as_ref().filter(|(placed, _)| self.shared.is_some() && placed == grid) {
            return Ok(Some(labels.clone()));
        }
        let labels = if let Some(atlas) = &self.shared {
            named_only(atlas, atlas.on_grid(grid)?)
        } else {
            let map = MapName { subject: Some(subject.to_owned()), ..MapName::default() };
            let image = self.survey.image(&map, Path::new(subject))?;
            if !Path::new(&image).is_file() {
                return Ok(None);
            }
            let atlas = self.atlas(Path::new(&image))?;
            self.learn(&atlas);
            named_only(&atlas, atlas.on_grid(grid)?)
        };
        self.placed = Some((*grid, labels.clone()));
        Ok(Some(labels))
    }
}

/// Labels that stand for a region; others become background.
fn named_only(atlas: &Atlas, labels: Labels) -> Labels {
    labels.map(|id| if atlas.table.nameless.contains(id) { 0 } else { *id })
}

/// Counts, voxel by voxel, which label subjects have there.
#[derive(Debug)]
pub(super) struct Vote {
    counts: Vec<Vec<(u32, u32)>>,
}

impl Vote {
    pub(super) fn new(grid: &Grid) -> Self {
        Self { counts: vec![Vec::new(); grid.len()] }
    }

    pub(super) fn count(&mut self, labels: &Labels) {
        for (counts, &id) in self.counts.iter_mut().zip(labels.data()) {
            match counts.iter_mut().find(|(known, _)| *known == id) {
                Some((_, n)) => *n += 1,
                None => counts.push((id, 1)),
            }
        }
    }

    /// The label that most have; of equally many the smallest.
    pub(super) fn labels(&self, grid: &Grid) -> Result<Labels> {
        let most = |counts: &Vec<(u32, u32)>| {
            counts.iter().copied().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))).map_or(0, |(id, _)| id)
        };
        Ok(Labels::new(*grid, self.counts.iter().map(most).collect())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::Affine;

    #[test]
    fn the_label_of_most_wins() {
        let grid = Grid::new([3, 1, 1], Affine::IDENTITY).unwrap();
        let mut vote = Vote::new(&grid);
        for labels in [[1, 7, 0], [2, 7, 4], [2, 3, 0]] {
            vote.count(&Labels::new(grid, labels.to_vec()).unwrap());
        }
        assert_eq!(vote.labels(&grid).unwrap().data(), [2, 7, 0]);
        vote.count(&Labels::new(grid, vec![1, 3, 4]).unwrap());
        assert_eq!(vote.labels(&grid).unwrap().data(), [1, 3, 0], "of equally many the smallest");
    }
}
