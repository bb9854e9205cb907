//! The atlas for methods by region, on the grids of those who are explained.

use super::ExplainOptions;
use crate::atlas::Atlas;
use std::path::PathBuf;
use std::sync::Arc;
use voxplain_attribution::Regions;
use voxplain_core::{Progress, Result};
use voxplain_volume::{Grid, Level};

/// The files of an atlas. Its labels are looked up where a volume's voxels are, by the affines of both: the atlas lies in the
/// world of the grid that the model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtlasFiles {
    /// The label image.
    pub image: PathBuf,
    /// The table of its labels.
    pub labels: PathBuf,
    /// Go on when image and table do not match.
    pub allow_mismatch: bool,
}

/// An atlas, and its regions on the last grid that was asked for: most people share one.
#[derive(Debug)]
pub(super) struct Placed {
    atlas: Atlas,
    last: Option<(Grid, Arc<Regions>)>,
}

impl Placed {
    /// Reads the atlas if there is one and a method takes its regions.
    pub(super) fn open(options: &ExplainOptions, progress: &dyn Progress) -> Result<Option<Self>> {
        let wanted = options.methods.iter().any(|m| m.by_region());
        let Some(files) = options.atlas.as_ref().filter(|_| wanted) else { return Ok(None) };
        let atlas = Atlas::open(&files.image, &files.labels, files.allow_mismatch)?;
        for finding in atlas.findings.iter().filter(|f| f.level >= Level::Warning) {
            progress.warn(&format!("{}: {}; {}", files.image.display(), finding.what, finding.remedy));
        }
        Ok(Some(Self { atlas, last: None }))
    }

    /// Its regions on a grid.
    pub(super) fn on_grid(&mut self, grid: &Grid) -> Result<Arc<Regions>> {
        if let Some((_, regions)) = self.last.as_ref().filter(|(last, _)| last == grid) {
            return Ok(Arc::clone(regions));
        }
        let regions = Arc::new(self.atlas.regions(grid)?);
        self.last = Some((*grid, Arc::clone(&regions)));
        Ok(regions)
    }
}
