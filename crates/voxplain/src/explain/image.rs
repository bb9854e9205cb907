//! Volumes as a model takes them: of a cohort's subject, or of a file.

use super::Images;
use crate::cohort::{self, Cohort, Normalize, Placement};
use crate::model::Card;
use crate::{Error, Result, prepare::intensity};
use std::path::{Path, PathBuf};
use voxplain_volume::{Affine, Grid, Mask, ReadOptions, Volume, read};

/// Where the brain of an image is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskFrom {
    /// In this file, for every image.
    File(PathBuf),
}

/// A volume as the model takes it, and how to bring a map of it back.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) image: Volume,
    pub(super) mask: Option<Mask>,
    /// BLAKE3 of the volume's values.
    pub(super) hash: String,
    /// The grid, in the file's axis order, of an image that was prepared: maps are resampled to it.
    pub(super) native: Option<Grid>,
    /// The grid of an image that needed its axes turned only: maps are turned back.
    pub(super) turn: Option<Grid>,
    /// The NIfTI code of the space.
    pub(super) form_code: i16,
}

/// A subject of a cohort.
pub(super) fn of_subject(cohort: &Cohort, number: usize) -> Result<Loaded> {
    let subject = &cohort.subjects[number];
    Ok(Loaded {
        image: cohort.volume(number)?,
        mask: Some(cohort.mask(number)?),
        hash: subject.hash.clone(),
        native: subject.native,
        turn: None,
        form_code: 0,
    })
}

/// An image file: taken as it is where it lies on the model's grid, else prepared as the model says.
pub(super) fn load(file: &Path, images: &Images, card: &Card) -> Result<Loaded> {
    let image = read(file, &ReadOptions::default())?;
    let native = *image.volume.grid();
    let form_code = image.form_codes[1].max(image.form_codes[0]);
    let mut volume = image.volume.to_ras();
    if let Some(n) = volume.data().iter().position(|v| !v.is_finite()) {
        return Err(Error::file(
            file,
            format!("holds the value {} at voxel {:?} (in RAS order)", volume.data()[n], volume.grid().voxel(n)),
            "repair the image first; voxplain inspect says more",
        ));
    }
    let normalize = images.normalize.unwrap_or(card.preparation.normalize);
    if !on_grid(volume.grid(), card) {
        return Err(Error::file(file, "not on the model's grid", "not built yet"));
    }
    let mask = match &images.mask {
        None => None,
        Some(MaskFrom::File(path)) => Some(read_mask(path, volume.grid())?),
    };
    if normalize != Normalize::None {
        let nonzero = || volume.map(|&v| v != 0.0);
        let inside = mask.clone().unwrap_or_else(nonzero);
        intensity::normalize(&mut volume, &inside, normalize)
            .map_err(|what| Error::file(file, what, "give a brain mask with --mask, or --normalize none"))?;
    }
    let turn = (native != *volume.grid()).then_some(native);
    Ok(Loaded { hash: cohort::hash(&volume), image: volume, mask, native: None, turn, form_code })
}

/// Whether an image in RAS order lies on the grid that a model takes.
fn on_grid(grid: &Grid, card: &Card) -> bool {
    let preparation = &card.preparation;
    if card.grid_unknown || grid.shape != preparation.shape {
        return grid.shape == preparation.shape;
    }
    match preparation.placement {
        Placement::Fixed(fixed) => grid.same_space(&fixed, 0.01),
        // The grid moves with each subject; its axes and spacing do not.
        Placement::MaskCentre => {
            let aligned = Affine::from_spacing_origin(preparation.spacing, grid.affine.origin());
            grid.same_space(&Grid { shape: grid.shape, affine: aligned }, 0.01)
        }
    }
}

/// A mask on the grid of an image.
fn read_mask(path: &Path, grid: &Grid) -> Result<Mask> {
    let mask = read(path, &ReadOptions::default())?.volume.to_ras();
    if !mask.grid().same_space(grid, 0.01) {
        return Err(Error::file(
            path,
            format!("the mask ({:?}) does not lie on the grid of the image ({:?})", mask.shape(), grid.shape),
            "give the mask that belongs to the image",
        ));
    }
    Ok(mask.map(|&v| v != 0.0))
}
