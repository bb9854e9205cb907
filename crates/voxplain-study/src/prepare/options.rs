//! [`PrepareOptions`]: how a cohort is prepared.

use super::{entities::EntityFilter, mask::MaskRule, pattern::matches, units::Unit};
use crate::cohort::{Normalize, VolumeType};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain_volume::Sizes;

/// How a cohort is prepared from images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrepareOptions {
    /// The table of labels and covariates; `participants.tsv` in the source, if there is one, when `None`.
    pub participants: Option<PathBuf>,
    /// The column of that table that holds the ids; `participant_id` when `None`.
    pub id_column: Option<String>,
    /// Only these people of a BIDS dataset, by the labels of their folders (`01` of `sub-01`): nothing of others is
    /// looked at, nor of other sessions where some are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Labels and covariates are for later: no table is read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_table: bool,
    /// Every session of a person is a row of its own; otherwise several images of one person are refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub each_session: bool,
    /// The column of the table that says whose image a row is; `person` when `None`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_column: Option<String>,
    /// Put the name of its source before each id, where there are several sources.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub site_in_id: bool,
    /// Where the source is a table: the column of paths, relative to the table; `path` when `None`.
    pub path_column: Option<String>,
    /// Several images of each person, in the order in which a network takes them: suffixes of BIDS (`T1w`, `FLAIR`), or columns of
    /// paths. The first has the mask, and is aligned. Without names there is one image of each, `T1w` in a BIDS dataset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Take only images whose path below the source contains this text, or matches it where it has a `*`.
    pub include: Option<String>,
    /// Leave out images whose path below the source contains this text, or matches it where it has a `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// Take only images whose names say so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<EntityFilter>,
    /// Where the source is a `SUBJECTS_DIR` of FreeSurfer: which image of each subject's `mri` is taken; `brain.mgz` when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where the brain is.
    pub mask: MaskRule,
    /// Where the source is a table: the column of the paths of masks, relative to the table; `mask` when `None`, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_column: Option<String>,
    /// The value above which a voxel of a mask is in the brain; when `None`, each must be a mask beyond doubt
    /// ([`read_mask`](voxplain_volume::read_mask)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_threshold: Option<f64>,
    /// Take images without brain masks though they show whole heads; every result that stands on them says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub whole_head: bool,
    /// Shape of the grid, `[i, j, k]` in voxels; 58 x 70 x 58 when `None`. An array of volumes keeps its own.
    pub shape: Option<[usize; 3]>,
    /// Spacing of the grid along each axis, in mm; 3 when `None`.
    pub spacing: Option<[f64; 3]>,
    /// Where the grid lies.
    pub space: Space,
    /// A skull-stripped template that each brain is aligned to; the grid is then centred on the template.
    pub align: Option<PathBuf>,
    /// Whether brains keep their size when they are aligned to the template.
    pub sizes: Sizes,
    /// How intensities are normalised.
    pub normalize: Normalize,
    /// In which precision the volumes are kept.
    #[serde(skip_serializing_if = "VolumeType::is_default")]
    pub dtype: VolumeType,
    /// Images that are taken whatever the choice of others, by their paths below the source: of each of these units this one and no other.
    #[serde(skip)]
    pub taken: BTreeMap<Unit, PathBuf>,
    /// A cohort from which people are taken over who were prepared from the same files in the same way. The result is the same without.
    #[serde(skip)]
    pub reuse: Option<PathBuf>,
    /// Leave out images that have no row, rows that have no image, and subjects that cannot be prepared.
    #[serde(skip)]
    pub keep_going: bool,
    /// Start over and replace a cohort that is there.
    #[serde(skip)]
    pub force: bool,
}

impl PrepareOptions {
    /// Shape and spacing of the grid.
    pub(super) fn grid(&self) -> ([usize; 3], [f64; 3]) {
        (self.shape.unwrap_or([58, 70, 58]), self.spacing.unwrap_or([3.0; 3]))
    }

    /// How images are prepared, and not which: what goes without saying is said, and where a template lies is left out, which is known by
    /// its hash. The space of the images is no choice among several, but where the brain is.
    pub(super) fn manner(&self) -> Self {
        let (shape, spacing) = self.grid();
        Self {
            include: None,
            exclude: None,
            entities: self.entities.iter().filter(|filter| filter.entity == "space").cloned().collect(),
            shape: Some(shape),
            spacing: Some(spacing),
            // A template says where its grid lies.
            space: if self.align.is_some() { Space::Mask } else { self.space },
            align: None,
            ..self.clone()
        }
    }

    /// Whether only some of the images of a source are asked for.
    pub(super) fn chooses(&self) -> bool {
        self.include.is_some() || self.exclude.is_some() || !self.entities.is_empty() || self.labels.is_some()
    }

    /// Whether an image is asked for, by its path below the source.
    pub(super) fn takes(&self, below: &Path) -> bool {
        if let Some(image) = self.taken.get(&Unit::of_image(below)) {
            return image == below && self.entities.iter().all(|filter| filter.entity != "ses" || filter.takes(below));
        }
        let path = below.to_string_lossy().replace('\\', "/");
        self.include.as_ref().is_none_or(|pattern| matches(pattern, &path))
            && !self.exclude.as_ref().is_some_and(|pattern| matches(pattern, &path))
            && self.entities.iter().all(|filter| filter.takes(below))
    }
}

/// Where the grid of the prepared volumes lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// Centred on the centre of gravity of the brain mask of each subject.
    #[default]
    Mask,
    /// The images are in one template space: one grid for all, centred on the field of view of the first image.
    Template,
    /// One grid for all, with the centre of voxel `(0, 0, 0)` at this world position (RAS+, mm).
    Origin([f64; 3]),
}
