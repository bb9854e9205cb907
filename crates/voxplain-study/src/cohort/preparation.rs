//! [`Preparation`]: how images became the volumes of a cohort.

use super::normalize::Normalize;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_attribution::{Prepared, TemplateName};
use voxplain_core::{Error, Result, hash_file};
use voxplain_volume::{Affine, Grid, ReadOptions, Sizes, Volume};

/// How images became the volumes of a cohort. A model file keeps it, so that new images are prepared in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// Shape of the grid.
    pub shape: [usize; 3],
    /// Spacing of the grid in mm.
    pub spacing: [f64; 3],
    /// How intensities were normalised.
    pub normalize: Normalize,
    /// Where the grid was placed.
    pub placement: Placement,
    /// The template that each brain was aligned to before it was resampled to the grid, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Whether images were taken without a brain mask whatever they show: all that is not background was prepared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_head: bool,
    /// Names of the channels, the images that there are of each subject, in the order that a network takes them: `T1w`, `FLAIR`.
    /// None are named where there is one image of each and nothing was said about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
}

/// The centres of the first and the last voxel, in mm.
fn ends(grid: &Grid) -> [[f64; 3]; 2] {
    [[0.0; 3], grid.shape.map(|n| n as f64 - 1.0)].map(|voxel| grid.affine.apply(voxel))
}

impl Preparation {
    /// What stands beside every result of images that were taken as whole heads, in a sentence; `None` for brains.
    pub fn whole_heads(&self) -> Option<&'static str> {
        self.whole_head.then_some(
            "No brain mask was used: the images were taken as whole heads, so that whatever they show of skull, face and neck can tell \
             the classes apart as well as the brain.",
        )
    }

    /// Where the heads of its volumes lie, in words that follow "heads": `turned to the template mni.nii.gz, each keeping its size`.
    pub fn place(&self) -> String {
        let centre = if self.whole_head { "what is not background" } else { "each brain mask" };
        match (&self.template, self.placement) {
            (Some(template), _) => {
                let sizes = match template.sizes {
                    Sizes::Keep => "each keeping its size",
                    Sizes::Remove => "and scaled to its size",
                };
                format!("turned to the template {}, {sizes}", template.name())
            }
            (None, Placement::MaskCentre) => format!("that lie as in the scanner, centred on {centre}"),
            (None, Placement::Fixed(_)) => "that lie as in their files, on one grid for all".to_owned(),
        }
    }

    /// What the record of a map says of a volume that was prepared so from these images. Paths are made absolute where the system
    /// knows the folder that they start from.
    pub(crate) fn record(&self, images: &[&Path], to_template: Option<Affine>) -> Prepared {
        let name =
            |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
        Prepared {
            images: images.iter().map(|path| name(path)).collect(),
            normalize: self.normalize.to_string(),
            placed: match (&self.template, self.placement) {
                // Simulated heads, and arrays that others prepared, lie in no file that is known.
                (None, Placement::Fixed(_)) if images.is_empty() => "heads on one grid for all".to_owned(),
                _ => format!("heads {}", self.place()),
            },
            template: self
                .template
                .as_ref()
                .map(|template| TemplateName { file: name(&template.path), hash: template.hash.clone() }),
            to_template,
        }
    }

    /// Where its one grid lies, in words; none where the grid follows each head.
    pub fn extent(&self) -> Option<String> {
        let Placement::Fixed(grid) = self.placement else { return None };
        let [first, last] =
            ends(&grid).map(|at| at.map(|mm| ((mm * 10.0).round() / 10.0 + 0.0).to_string()).join(", "));
        Some(format!("the centres of its first and last voxel lie at ({first}) and ({last}) mm"))
    }

    /// Whether its one grid does not hold the point (0, 0, 0), which lies inside the brain in the spaces of templates and near the
    /// middle of the magnet in that of a scanner.
    pub(crate) fn is_off_centre(&self) -> bool {
        let Placement::Fixed(grid) = self.placement else { return false };
        let [first, last] = ends(&grid);
        (0..3).any(|axis| first[axis] > 0.0 || last[axis] < 0.0)
    }

    /// Why its images are no images as a model takes them, by where heads lie, in a sentence: aligned there and not here, or otherwise.
    /// Whether two fixed grids are one is another question.
    pub(crate) fn lies_unlike(&self, model: &Self) -> Option<String> {
        let kind = |of: &Self| {
            let template = of.template.as_ref().map(|template| (template.hash.clone(), template.sizes));
            (template.is_none() && of.placement == Placement::MaskCentre, template)
        };
        if kind(self) == kind(model) {
            return None;
        }
        let [ours, theirs] = [self, model].map(|of| of.template.as_ref());
        // Two files of one name.
        let others = ours.zip(theirs).is_some_and(|(a, b)| a.hash != b.hash && a.name() == b.name());
        let another = if others { " (another file of that name)" } else { "" };
        Some(format!(
            "prepared from heads {}; the model takes heads {}{another}: what it says of heads that lie otherwise is not known",
            self.place(),
            model.place()
        ))
    }

    /// What a mask holds, in a word for sentences: `brain`, or `head` where images were taken without brain masks.
    pub const fn organ(&self) -> &'static str {
        if self.whole_head { "head" } else { "brain" }
    }

    /// What the volume of a mask is called: `mask volume`, or `head volume` where images were taken without brain masks.
    pub const fn volume_name(&self) -> &'static str {
        if self.whole_head { "head volume" } else { "mask volume" }
    }

    /// Number of channels: images of each subject.
    pub fn channel_count(&self) -> usize {
        self.channels.len().max(1)
    }

    /// Shape of a subject's volumes as a network takes them, `[channels, i, j, k]`.
    pub fn input_shape(&self) -> [usize; 4] {
        let [i, j, k] = self.shape;
        [self.channel_count(), i, j, k]
    }

    /// A grid of this kind: the fixed one, or one whose first voxel is at the origin of the world.
    ///
    /// # Errors
    /// The shape or the spacing is none.
    pub fn any_grid(&self) -> Result<Grid> {
        match self.placement {
            Placement::Fixed(grid) => Ok(grid),
            Placement::MaskCentre => Ok(Grid::new(self.shape, Affine::from_spacing_origin(self.spacing, [0.0; 3]))?),
        }
    }
}

/// Whether images can be brought to voxels of this size, in mm: from 0.1 to 50 along each axis.
pub(crate) fn usable_spacing(spacing: [f64; 3]) -> bool {
    spacing.iter().all(|length| (0.1..=50.0).contains(length))
}

/// A skull-stripped template that brains are aligned to ([`voxplain_volume::align`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// Absolute path of the file.
    pub path: PathBuf,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// Whether the alignment keeps the size of a brain.
    pub sizes: Sizes,
}

impl Template {
    /// A template file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(path: &Path, sizes: Sizes) -> Result<Self> {
        Ok(Self { path: std::path::absolute(path).map_err(Error::io(path))?, hash: hash_file(path)?, sizes })
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Reads the template, RAS+ axes.
    ///
    /// # Errors
    /// It cannot be read, or is no longer the same file.
    pub fn read(&self) -> Result<Volume> {
        if Self::new(&self.path, self.sizes)?.hash != self.hash {
            return Err(Error::file(
                &self.path,
                "not the template that the brains were turned to",
                "put the first one back, or prepare the cohort again",
            ));
        }
        Ok(voxplain_volume::read(&self.path, &ReadOptions::default())?.volume.to_ras())
    }
}

/// Where the grid of a prepared volume lies in the world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Centred on the brain mask of each subject: the grids of two subjects differ by a shift.
    MaskCentre,
    /// One grid for all subjects, in template space.
    Fixed(Grid),
}
