//! INTERIM CONTRACT (owner: cohort): [`Cohort`], people with labels, covariates and prepared volumes.

use crate::{Result, table::Table};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_volume::{Grid, Mask, Volume};

/// How intensities are brought to one scale, inside the brain mask; voxels outside are 0 afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// As they are.
    None,
    /// `(x - median) / IQR` inside the mask.
    #[default]
    Robust,
    /// `(x - mean) / standard deviation` inside the mask.
    Zscore,
}

/// How images became volumes of a cohort; a model carries it so that new images are prepared alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// Shape of the grid.
    pub shape: [usize; 3],
    /// Spacing of the grid in mm.
    pub spacing: [f64; 3],
    /// Intensities.
    pub normalize: Normalize,
    /// Where the grid was placed: on each subject's mask centre (grids then differ by a shift), or one fixed grid.
    pub placement: Placement,
}

/// Where the grid of a prepared volume lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// On the centre of each subject's brain mask.
    MaskCentre,
    /// One grid for all, in template space.
    Fixed(Grid),
}

/// One person of a cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The id, without `sub-`.
    pub id: String,
    /// Where the prepared volume lies in the subject's own world.
    pub grid: Grid,
    /// The image it was prepared from, if it was.
    pub source: Option<PathBuf>,
    /// The source's own grid, in the file's axis order, to map back to.
    pub native: Option<Grid>,
    /// Volume of the brain mask in mm³, measured on the source where there is one.
    pub brain_volume: f64,
    /// BLAKE3 of the prepared volume's values: identifies the subject in model files.
    pub hash: String,
}

/// People with labels, covariates and prepared volumes, in a directory:
/// `cohort.json`, `participants.tsv`, `volumes.npy` and `masks.npy` (`[N, i, j, k]`, RAS+ axes).
#[derive(Clone, Debug)]
pub struct Cohort {
    /// The directory.
    pub path: PathBuf,
    /// The people, in the order of `volumes.npy`.
    pub subjects: Vec<Subject>,
    /// How their volumes were made.
    pub preparation: Preparation,
    /// Labels and covariates; row `n` is subject `n`. The id column is `participant_id`.
    pub participants: Table,
}

impl Cohort {
    /// Opens a cohort directory; checks that its files agree.
    pub fn open(_path: &Path) -> Result<Self> {
        todo!()
    }

    /// Reads one subject's prepared volume (RAS+).
    pub fn volume(&self, _subject: usize) -> Result<Volume> {
        todo!()
    }

    /// Reads one subject's brain mask on the same grid.
    pub fn mask(&self, _subject: usize) -> Result<Mask> {
        todo!()
    }

    /// The cells of a column, in the order of the subjects; the error lists the columns there are.
    pub fn column(&self, _name: &str) -> Result<Vec<Option<&str>>> {
        todo!()
    }

    /// Where a subject of that id stands.
    pub fn find(&self, id: &str) -> Option<usize> {
        let id = id.strip_prefix("sub-").unwrap_or(id);
        self.subjects.iter().position(|s| s.id == id)
    }

    /// One grid that stands for all, for group maps: the fixed grid, or that of the first subject.
    pub fn grid(&self) -> Grid {
        match self.preparation.placement {
            Placement::Fixed(grid) => grid,
            Placement::MaskCentre => self.subjects[0].grid,
        }
    }
}
