//! [`read_mask`]: the one way in which files become masks.

use crate::{Error, Finding, Grid, Level, Mask, ReadOptions, Result, Volume, read};
use std::path::{Path, PathBuf};

/// A mask as it was read from a file.
#[derive(Clone, Debug)]
pub struct MaskFile {
    /// Which voxels belong, turned to RAS+.
    pub mask: Mask,
    /// The file's own grid, in its axis order.
    pub native: Grid,
    /// What is odd about the file, and what to do about it.
    pub findings: Vec<Finding>,
    path: PathBuf,
}

/// Reads a mask: a voxel belongs where its value is a number other than 0. NaN is outside, which is a finding.
///
/// # Errors
/// A file that [`read`] refuses; infinite values; nothing but 0.
pub fn read_mask(path: &Path) -> Result<MaskFile> {
    let image = read(path, &ReadOptions { ras: true, ..ReadOptions::default() })?;
    let count = |is: fn(&f32) -> bool| image.volume.data().iter().filter(|v| is(v)).count();
    let (nan, infinite) = (count(|v| v.is_nan()), count(|v| v.is_infinite()));
    if infinite > 0 {
        return Err(Error::file(
            path,
            format!("is no mask: {infinite} of its values are infinite"),
            "find out where they come from, and make the mask again",
        ));
    }
    let mut findings = image.findings;
    if nan > 0 {
        findings.push(Finding::new(
            "mask-nan",
            Level::Warning,
            format!("{nan} values of the mask are NaN; they are taken as outside"),
            "replace them by 0 if that is right",
        ));
    }
    let mask = image.volume.map(|v| *v != 0.0 && !v.is_nan());
    if mask.count() == 0 {
        return Err(Error::file(path, "the mask is empty", "check the file; a mask is not 0 in the brain"));
    }
    Ok(MaskFile { mask, native: image.native, findings, path: path.to_owned() })
}

impl MaskFile {
    /// Those of its findings that a result should be seen with.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.id.starts_with("mask-") && f.level >= Level::Warning)
    }

    /// The mask on `grid`, which must have the file's voxels (in any order of the axes, centres within a hundredth of
    /// a voxel).
    ///
    /// # Errors
    /// Another grid: its shape and where it lies, beside those that were expected.
    pub fn on(&self, grid: &Grid) -> Result<Mask> {
        self.mask.reorient_like(grid).map_err(|_| {
            Error::file(
                &self.path,
                format!(
                    "the mask ({:?}) does not lie on the grid of the image ({:?})",
                    self.mask.shape(),
                    grid.reoriented(crate::Orientation::RAS).shape
                ),
                "give the mask that belongs to the image",
            )
        })
    }

    /// The mask on the grid of an image: as it is where it has the image's voxels, else brought there by both affines
    /// (a voxel belongs when most of it does).
    ///
    /// # Errors
    /// Less than half of the mask lies in the image. The error names the file of the image.
    pub fn onto(&self, grid: &Grid, image: &Path) -> Result<(Mask, Vec<Finding>)> {
        let own = &self.mask;
        let smallest = grid.spacing().into_iter().fold(f64::INFINITY, f64::min);
        if own.grid().same_space(grid, 0.01 * smallest) {
            return Ok((Volume::from_parts(*grid, own.data().to_vec()), Vec::new()));
        }
        let ratio = own.grid().voxel_volume() / grid.voxel_volume();
        let there = own.resample_majority(grid, false);
        let share = there.count() as f64 / (own.count() as f64 * ratio);
        let file = self.path.display();
        if share < 0.5 {
            return Err(Error::file(
                image,
                format!(
                    "only {:.0} % of the mask {file} lie in the image: they are not in the same space (image centre \
                     {:.0?} mm, mask centre {:.0?} mm)",
                    100.0 * share,
                    grid.center(),
                    own.grid().center()
                ),
                "give the mask made from this very image, or one in its space",
            ));
        }
        let mut findings = Vec::new();
        if share < 0.98 {
            findings.push(Finding::new(
                "mask-outside-image",
                Level::Warning,
                format!("{:.0} % of the mask {file} lie outside the image", 100.0 * (1.0 - share)),
                "give the mask made from this very image",
            ));
        }
        Ok((there, findings))
    }
}
