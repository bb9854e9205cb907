//! [`masks_beside`]: the masks that lie beside an image that was given without one.

use super::{
    contradiction::contradiction,
    entities::Entities,
    freesurfer,
    mask_folder::{is_named_mask, is_of_brain},
    source::{files, name, stem},
};
use crate::setting::{MASK, WHOLE_HEAD};
use std::path::Path;
use voxplain_core::{Remedy, remedy};
use voxplain_volume::image_stem;

/// What to do about an image without a mask, where its mask lies beside it; the ending is the same for those of other people.
pub(super) fn masks_beside(image: &Path) -> Option<Remedy> {
    let ending = ending(image)?;
    Some(remedy![
        "masks lie beside these images: ",
        MASK.to(ending),
        "; to work on whole heads as they are, prepare them with ",
        WHOLE_HEAD
    ])
}

/// How the names of masks end: `_desc-brain_mask.nii.gz`; that of the whole brain before others.
fn ending(image: &Path) -> Option<String> {
    // What lies there and cannot be read is no advice.
    let masks: Vec<_> = files(image.parent()?).ok()?.into_iter().collect();
    let masks: Vec<_> =
        masks.into_iter().filter(|f| f != image && is_named_mask(f) && contradiction(image, f, "").is_none()).collect();
    let endings = masks.iter().filter_map(|mask| {
        let ending = if freesurfer::subject(image).is_some() { name(mask).to_owned() } else { behind(image, mask)? };
        Some((!is_of_brain(mask, &Entities::of_path(mask)), ending))
    });
    endings.min().map(|(_, ending)| ending)
}

/// What stands behind the part of a name that an image and its mask have in common, where all else of the image's name is free.
fn behind(image: &Path, mask: &Path) -> Option<String> {
    let (ours, theirs) = (stem(image)?, image_stem(name(mask))?);
    let common = match (Entities::of(ours), Entities::of(theirs)) {
        (Some(image), Some(mask)) => {
            if !image.same(&mask) || image.get("sub") != mask.get("sub") {
                return None;
            }
            let parts = ours.split('_').zip(theirs.split('_')).take_while(|(a, b)| a == b);
            parts.map(|(part, _)| part.len() + 1).sum::<usize>().checked_sub(1)?
        }
        _ => {
            let head =
                ours.rsplit_once('_').map(|(head, _)| head).filter(|h| Entities::known(h) == Entities::known(ours));
            [Some(ours), head].into_iter().flatten().find(|own| theirs.starts_with(own))?.len()
        }
    };
    let rest = &name(mask)[common..];
    (!rest.starts_with(char::is_alphanumeric) && rest.to_lowercase().contains("mask")).then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tree::tree;

    fn of(files: &[&str]) -> Option<String> {
        let dir = tree(files);
        ending(&dir.path().join(files[0]))
    }

    #[test]
    fn the_ending_of_masks_beside() {
        let image = "sub-1_space-MNI_res-2_desc-preproc_T1w.nii.gz";
        let own = "sub-1_desc-brain_mask.nii.gz";
        let mni = "sub-1_space-MNI_res-2_desc-brain_mask.nii.gz";
        let ribbon = "sub-1_space-MNI_res-2_desc-aribbon_mask.nii.gz";
        assert_eq!(of(&[image, own, mni, ribbon]).as_deref(), Some("_desc-brain_mask.nii.gz"));
        assert_eq!(of(&["sub-1_desc-preproc_T1w.nii.gz", own, mni]).as_deref(), Some("_desc-brain_mask.nii.gz"));
        assert_eq!(of(&[image, own]), None);
        assert_eq!(of(&["a_T1.nii", "a_T1_mask.nii", "b_mask.nii"]).as_deref(), Some("_mask.nii"));
        assert_eq!(of(&["a_T1.nii", "a_brainmask.nii.gz"]).as_deref(), Some("_brainmask.nii.gz"));
        assert_eq!(of(&["a_T1.nii", "ab_mask.nii", "b_mask.nii"]), None);
        assert_eq!(of(&["x/mri/T1.mgz", "x/mri/brainmask.mgz", "x/mri/wm.mgz"]).as_deref(), Some("brainmask.mgz"));
    }
}
