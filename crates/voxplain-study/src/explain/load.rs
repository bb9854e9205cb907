//! [`LoadedVolume`]: a volume as the model takes it, from a cohort or an image file.

use super::Images;
use crate::cohort::{self, Cohort, Normalize, Placement, Preparation};
use crate::model::Card;
use crate::prepare::{MaskFinder, Prepared, fetched, id_of, intensity, prepare_image, read_brain_mask};
use crate::setting::{MASK, NORMALIZE};
use std::path::Path;
use voxplain_core::{Action, Error, Result, remedy};
use voxplain_volume::{Affine, Grid, Level, Mask, MaskFile, MaskOptions, ReadOptions, Volume, read};

/// A volume as the model takes it, RAS+ axes, and how a map is brought back to the space of the image.
#[derive(Clone, Debug)]
pub(super) struct LoadedVolume {
    pub(super) image: Volume,
    pub(super) mask: Option<Mask>,
    /// BLAKE3 of the volume's values.
    pub(super) hash: String,
    /// Grid of the source image in the axis order of its file, where the volume was prepared from one: maps are resampled to it.
    pub(super) native: Option<Grid>,
    /// World of the source image to world of the volume, where they differ (a brain that was aligned to a template).
    pub(super) to_template: Option<Affine>,
    /// Grid of an image that was only reoriented to RAS+: maps are reoriented back.
    pub(super) turn: Option<Grid>,
    /// NIfTI code of the space (qform and sform code).
    pub(super) form_code: i16,
    /// What the value 0 is.
    pub(super) zero: &'static str,
    /// Warnings about the image, in words.
    pub(super) findings: Vec<String>,
}

/// The volume of subject `number` of a cohort.
pub(super) fn of_subject(cohort: &Cohort, number: usize) -> Result<LoadedVolume> {
    let subject = &cohort.subjects[number];
    Ok(LoadedVolume {
        image: cohort.volume(number)?,
        mask: Some(cohort.mask(number)?),
        hash: subject.hash.clone(),
        native: subject.native,
        to_template: subject.alignment.map(|a| a.to_template),
        turn: None,
        form_code: 0,
        zero: cohort.preparation.normalize.zero(),
        findings: subject.findings.clone(),
    })
}

/// The volume of an image file. An image on the grid of the model is taken as it is; another one is prepared as the training
/// volumes were.
pub(super) fn of_image(file: &Path, images: &Images, masks: &MaskFinder, card: &Card) -> Result<LoadedVolume> {
    fetched(file)?;
    let image = read(file, &ReadOptions::default())?;
    let native = *image.volume.grid();
    let form_code = image.form_codes[1].max(image.form_codes[0]);
    let mut volume = image.volume.to_ras();
    let options = MaskOptions::brain(images.mask_threshold);
    let mask_file = masks.find(file, &id_of(file))?;
    mask_file.as_deref().map(fetched).transpose()?;
    let mask = mask_file.map(|mask| read_brain_mask(&mask, &options)).transpose()?;
    let normalize = images.normalize.unwrap_or(card.preparation.normalize);
    if !on_grid(volume.grid(), card) {
        if card.grid_unknown {
            return Err(Error::file(
                file,
                format!("is {:?} (in RAS order), the model takes {:?}", volume.shape(), card.preparation.shape),
                "where this model's grid lies is not known, so the image cannot be prepared for it here: bring it to that shape first",
            ));
        }
        let preparation = Preparation { normalize, ..card.preparation.clone() };
        let Prepared { volume, mask, native, alignment, findings, .. } =
            prepare_image(file, mask.as_ref(), &preparation)?;
        let (hash, mask) = (cohort::hash(&volume), Some(mask));
        let to_template = alignment.map(|a| a.to_template);
        return Ok(LoadedVolume {
            hash,
            image: volume,
            mask,
            native: Some(native),
            to_template,
            turn: None,
            form_code,
            zero: normalize.zero(),
            findings,
        });
    }
    if let Some(n) = volume.data().iter().position(|v| !v.is_finite()) {
        return Err(Error::file(
            file,
            format!("holds the value {} at voxel {:?} (in RAS order)", volume.data()[n], volume.grid().voxel(n)),
            remedy!["repair the image first; ", Action::new("inspect"), " says more"],
        ));
    }
    let brain = mask.as_ref().map(|mask| mask.on(volume.grid())).transpose()?;
    if normalize != Normalize::None {
        let nonzero = || volume.map(|&v| v != 0.0);
        let inside = brain.clone().unwrap_or_else(nonzero);
        intensity::normalize(&mut volume, &inside, normalize).map_err(|what| {
            Error::file(file, what, remedy!["give a brain mask with ", MASK, ", or ", NORMALIZE.to("none")])
        })?;
    }
    let turn = (native != *volume.grid()).then_some(native);
    let odd = image.findings.iter().filter(|f| f.level >= Level::Warning);
    let odd = odd.chain(mask.iter().flat_map(MaskFile::warnings));
    let findings = odd.map(|f| f.what.clone()).collect();
    let hash = cohort::hash(&volume);
    let zero = normalize.zero();
    Ok(LoadedVolume {
        hash,
        image: volume,
        mask: brain,
        native: None,
        to_template: None,
        turn,
        form_code,
        zero,
        findings,
    })
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
