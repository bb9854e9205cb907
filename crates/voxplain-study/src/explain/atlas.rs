//! [`PlacedAtlas`]: an atlas on the grids of the inputs, for methods that work by region.

use super::ExplainOptions;
use crate::atlas::Atlas;
use std::path::PathBuf;
use std::sync::Arc;
use voxplain_attribution::Regions;
use voxplain_core::{Error, Progress, Result};
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
    files: AtlasFiles,
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
        let absolute = |path: &PathBuf| std::path::absolute(path).map_err(Error::io(path));
        let files = AtlasFiles { image: absolute(&files.image)?, labels: absolute(&files.labels)?, ..files.clone() };
        Ok(Some(Self { atlas, files, last: None }))
    }

    /// The regions on a grid.
    pub(super) fn on_grid(&mut self, grid: &Grid) -> Result<Arc<Regions>> {
        if let Some((_, regions)) = self.last.as_ref().filter(|(last, _)| last == grid) {
            return Ok(Arc::clone(regions));
        }
        let mut regions = self.atlas.regions(grid)?;
        // Where they are found from any folder.
        regions.atlas.image = self.files.image.display().to_string();
        regions.atlas.labels = Some(self.files.labels.display().to_string());
        let regions = Arc::new(regions);
        self.last = Some((*grid, Arc::clone(&regions)));
        Ok(regions)
    }
}
