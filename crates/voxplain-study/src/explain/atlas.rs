//! [`PlacedAtlas`]: an atlas on the grids of the inputs, for methods that work by region.

use super::ExplainOptions;
use crate::atlas::Atlas;
use std::path::PathBuf;
use std::sync::Arc;
use voxplain_attribution::Regions;
use voxplain_core::{Progress, Result};
use voxplain_volume::{Grid, Level};

/// The files of an atlas. Labels are looked up by the affines of both images: the atlas must lie in the world (mm) of the grid that
/// the model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtlasFiles {
    /// The label image.
    pub image: PathBuf,
    /// The table of its labels.
    pub labels: PathBuf,
    /// A table that does not match the image is a warning instead of an error.
    pub allow_mismatch: bool,
}

/// An atlas, and its regions on the last grid that was asked for: most inputs share one.
#[derive(Debug)]
pub(super) struct PlacedAtlas {
    atlas: Atlas,
    last: Option<(Grid, Arc<Regions>)>,
}

impl PlacedAtlas {
    /// Reads the atlas, where there is one and a method needs its regions.
    pub(super) fn open(options: &ExplainOptions, progress: &dyn Progress) -> Result<Option<Self>> {
        let wanted = options.methods.iter().any(|m| m.by_region());
        let Some(files) = options.atlas.as_ref().filter(|_| wanted) else { return Ok(None) };
        let atlas = Atlas::open(&files.image, &files.labels, files.allow_mismatch)?;
        for finding in atlas.findings.iter().filter(|f| f.level >= Level::Warning) {
            progress.warn(&format!("{}: {}; {}", files.image.display(), finding.what, finding.remedy));
        }
        Ok(Some(Self { atlas, last: None }))
    }

    /// The regions on a grid.
    pub(super) fn on_grid(&mut self, grid: &Grid) -> Result<Arc<Regions>> {
        if let Some((_, regions)) = self.last.as_ref().filter(|(last, _)| last == grid) {
            return Ok(Arc::clone(regions));
        }
        let regions = Arc::new(self.atlas.regions(grid)?);
        self.last = Some((*grid, Arc::clone(&regions)));
        Ok(regions)
    }
}
