//! [`prepare_image`]: one image, masked, on its grid, normalised.

use super::{intensity, mask_hint::masks_beside};
use crate::{
    cohort::{Placement, Preparation, Template},
    setting::{MASK, WHOLE_HEAD},
};
use std::path::Path;
use voxplain_core::{
    Action, Error, Remedy, Result,
    plural::{counted, does},
    remedy,
};
use voxplain_volume::{
    Affine, Alignment, Contents, ContentsKind, Finding, Grid, Interpolation, Level, Mask, MaskFile, MaskOptions,
    ReadOptions, Sizes, Volume, read_mask,
};

/// An image, prepared as a [`Preparation`] says.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Normalised intensities on the grid (axes RAS+), 0 outside the mask.
    pub volume: Volume,
    /// The brain mask on the same grid.
    pub mask: Mask,
    /// The grid of the image itself, in the axis order of the file.
    pub native: Grid,
    /// The alignment of the brain to the template, where there is a template.
    pub alignment: Option<Alignment>,
    /// Volume of the mask in mm³, measured on the grid of the mask file.
    pub mask_volume: f64,
    /// Findings: what is unusual about the image or its mask, in words.
    pub findings: Vec<String>,
}

/// Reads one image and prepares it.
///
/// * **Brain mask.** The brain is `mask`, as [`read_mask`](voxplain_volume::read_mask) gives it. Without a mask it is
///   where the image itself is not background ([`Contents::inside`]; for skull-stripped images): whole heads, and
///   what may be some slices of one, are refused unless the preparation is one of whole heads. A mask on another grid is resampled to the
///   grid of the image by its affine.
/// * **Grid.** Its axes are those of the world (RAS+). With [`Placement::MaskCentre`] it is centred on the centre of
///   gravity of the mask: a few stray voxels, or more or less of the neck, hardly move this point; they would move the
///   centre of a bounding box. With [`Placement::Fixed`] it is the given grid.
/// * **Resampling.** Values are `R(I M) / R(M)`, with `I` the image, `M` the mask and `R` anti-aliased linear resampling.
///   So brain voxels take nothing from outside the brain and are not darkened by it, and a whole head with a mask gives
///   the same as the skull-stripped head. A voxel of the grid is in the brain when more than half of it is, and of those
///   that are to exactly a half every second ([`Volume::resample_mask`](voxplain_volume::Volume::resample_mask)).
/// * **Template.** With a template, the brain is first aligned to it (rotation, translation and, on request, size), and
///   the grid lies in the world of the template.
/// * **Intensities** are normalised inside the mask and 0 outside.
///
/// # Errors
/// A file cannot be read, the mask is empty or not in the space of the image, intensities are not finite or constant, or
/// the brain does not fit the template.
pub fn prepare_image(path: &Path, mask: Option<&MaskFile>, preparation: &Preparation) -> Result<Prepared> {
    let template = preparation.template.as_ref().map(Template::read).transpose()?;
    prepare_with(path, mask, preparation, template.as_ref())
}

/// [`prepare_image`] with the template already read.
pub(super) fn prepare_with(
    path: &Path,
    mask: Option<&MaskFile>,
    preparation: &Preparation,
    template: Option<&Volume>,
) -> Result<Prepared> {
    let image = voxplain_volume::read(path, &ReadOptions { ras: true, ..ReadOptions::default() })?;
    if let Some(bad) = image.findings.iter().find(|f| f.level == Level::Error) {
        return Err(Error::file(path, bad.what.as_str(), bad.remedy.clone()));
    }
    // Without a mask it is said below what becomes of values that are no numbers.
    let told = |f: &&Finding| f.level >= Level::Warning && (mask.is_some() || f.id != "non-finite");
    let mut findings: Vec<String> = image.findings.iter().filter(told).map(|f| f.what.clone()).collect();
    let (native, head) = (image.native, image.volume);
    let (brain, mask_volume) = match mask {
        Some(own) => {
            let (brain, odd) = own.onto(head.grid(), path)?;
            findings.extend(own.warnings().chain(&odd).map(|f| f.what.clone()));
            (brain, volume_of(&own.mask))
        }
        None => {
            let refused = |(what, remedy)| Error::file(path, what, masks_beside(path).unwrap_or(remedy));
            let brain = unmasked(&head, preparation.whole_head, &mut findings).map_err(refused)?;
            let volume = volume_of(&brain);
            (brain, volume)
        }
    };
    if mask_volume == 0.0 {
        let what = match mask {
            Some(own) => format!("nothing of the mask {} lies in the image", own.path().display()),
            None => "nothing in the image differs from its background".into(),
        };
        return Err(Error::file(path, what, remedy!["check the file (`", Action::new("inspect").on(path), "`)"]));
    }
    let bad = head.data().iter().zip(brain.data()).filter(|(v, m)| **m && !v.is_finite()).count();
    if bad > 0 {
        let are = does(bad, "is", "are");
        let what = format!("{} in the brain mask {are} NaN or infinite", counted(bad, "voxel"));
        return Err(Error::file(path, what, "repair the image, or leave those voxels out of the mask"));
    }
    let sizes = preparation.template.as_ref().map_or(Sizes::Keep, |t| t.sizes);
    let alignment = template.map(|t| align_to(t, &head, &brain, sizes, path, &mut findings)).transpose()?;
    let (head, brain) = match alignment {
        Some(found) => (moved(head, found.to_template)?, moved(brain, found.to_template)?),
        None => (head, brain),
    };
    let grid = place(&brain, preparation)?;
    if let Some(cut) = cut_off(&brain, &grid, preparation) {
        findings.push(cut);
    }
    let own = mask;
    let (mut volume, mask) = resample(&head, &brain, &grid);
    intensity::normalize(&mut volume, &mask, preparation.normalize).map_err(|what| match own {
        Some(own) => {
            let what = format!("{what} (the mask is {}, {})", own.path().display(), counted(own.mask.count(), "voxel"));
            Error::file(path, what, remedy!["check the image and its mask (`", Action::new("inspect"), "`)"])
        }
        None => Error::file(path, what, remedy!["check the image (`", Action::new("inspect").on(path), "`)"]),
    })?;
    Ok(Prepared { volume, mask, native, alignment, mask_volume, findings })
}

/// Correlation with the template below which an alignment is refused. Our choice: the 107 brains of IXI come to 0.91 and above; brains that
/// stay upside down come to 0.72 to 0.80.
pub const MIN_CORRELATION: f64 = 0.85;

/// Correlation with the template below which an alignment is a finding.
const POOR: f64 = 0.9;

/// Degrees from which on a brain was not askew in the scanner, but its header wrong. Our choice: half of a quarter turn.
const WRONG_HEADER: f64 = 45.0;

/// Aligns a brain to the template. A poor alignment is a finding, a very poor one an error.
fn align_to(
    template: &Volume,
    head: &Volume,
    brain: &Mask,
    sizes: Sizes,
    path: &Path,
    findings: &mut Vec<String>,
) -> Result<Alignment> {
    let stripped = Volume::from_fn(*head.grid(), |[i, j, k]| if brain.at(i, j, k) { head.at(i, j, k) } else { 0.0 });
    let alignment = voxplain_volume::align(&stripped, template, sizes)?;
    let found = |bound: f64| {
        let value = apart_from(alignment.correlation, bound);
        format!("after alignment the brain correlates with the template at {value}")
    };
    if alignment.correlation < MIN_CORRELATION {
        let remedy = remedy![
            "check brain mask, contrast and orientation (`",
            Action::new("inspect"),
            "`); brain and template are to be skull-stripped"
        ];
        let what = format!("{}, which is less than {MIN_CORRELATION}: it was not found in it", found(MIN_CORRELATION));
        return Err(Error::file(path, what, remedy));
    }
    if alignment.angle > WRONG_HEADER {
        findings.push(format!(
            "the header's orientation is wrong: to lie as the template, the brain was turned by {:.0} degrees; whether it is also \
             mirrored cannot be seen, so check where its right side is",
            alignment.angle
        ));
    }
    if alignment.correlation < POOR {
        findings.push(format!("{}, which is little: look at it", found(POOR)));
    }
    let [least, most] = [f64::min, f64::max].map(|f| alignment.scales.into_iter().fold(alignment.scales[0], f));
    if least < SCALES[0] || most > SCALES[1] || most / least > UNLIKE {
        findings.push(format!(
            "to be as long, wide and high as the template, the brain is to be scaled by {}, and brains are not so unlike: are its voxel \
             sizes right, and is all of it in the mask?",
            alignment.scales.map(|s| format!("{s:.2}")).join(" x ")
        ));
    }
    Ok(alignment)
}

/// Scales from which on a brain has no likely size: those of IXI to the MNI template are between 0.95 and 1.25. Our choice.
const SCALES: [f64; 2] = [0.75, 1.4];

/// Largest ratio of two scales of one brain. Our choice.
const UNLIKE: f64 = 1.3;

/// A value with as many digits as tell it from a bound; at least two.
fn apart_from(value: f64, bound: f64) -> String {
    let digits = (2..8).find(|&n| format!("{value:.n$}") != format!("{bound:.n$}")).unwrap_or(8);
    format!("{value:.digits$}")
}

/// The same values, moved in the world by an affine.
fn moved<T>(volume: Volume<T>, to: Affine) -> Result<Volume<T>> {
    let grid = Grid::new(volume.shape(), to * volume.grid().affine)?;
    Ok(Volume::new(grid, volume.into_data())?)
}

/// Prepares values that are on their grid already. The error says in words what is wrong, and what to do about it.
pub(super) fn prepare_tensor(
    values: Vec<f32>,
    grid: Grid,
    mask: Option<&Mask>,
    preparation: &Preparation,
) -> Result<Prepared, (String, Remedy)> {
    let check = |what: String| (what, "check the array and its mask".into());
    let mut volume = Volume::new(grid, values).map_err(|e| check(e.to_string()))?;
    let mut findings = Vec::new();
    let mask = match mask {
        Some(mask) => mask.clone(),
        None => unmasked(&volume, preparation.whole_head, &mut findings)?,
    };
    let mask_volume = volume_of(&mask);
    intensity::normalize(&mut volume, &mask, preparation.normalize).map_err(check)?;
    Ok(Prepared { volume, mask, native: grid, alignment: None, mask_volume, findings })
}

/// A mask in template space on the grid.
pub(super) fn template_mask(path: &Path, options: &MaskOptions, grid: &Grid) -> Result<Mask> {
    let mask = read_mask(path, options)?.mask.resample_mask(grid);
    if mask.count() == 0 {
        return Err(Error::file(path, "nothing of the mask lies on the grid", "give a mask in the space of the grid"));
    }
    Ok(mask)
}

/// Volume of a mask in mm³.
fn volume_of(mask: &Mask) -> f64 {
    mask.count() as f64 * mask.grid().voxel_volume()
}

/// Where an image that has no mask is not background. What shows more than a brain, or nothing that can be told from its
/// background, is refused unless whole heads were asked for.
fn unmasked(head: &Volume, whole_heads: bool, findings: &mut Vec<String>) -> Result<Mask, (String, Remedy)> {
    let [nan, infinite] =
        [f32::is_nan as fn(f32) -> bool, f32::is_infinite].map(|is| head.data().iter().filter(|v| is(**v)).count());
    for (count, kind) in [(nan, "NaN"), (infinite, "infinite")].into_iter().filter(|(count, _)| *count > 0) {
        let (are, they) = (does(count, "is", "are"), does(count, "it is", "they are"));
        findings.push(format!("{} {are} {kind}; {they} taken as outside the brain", counted(count, "voxel")));
    }
    let contents = Contents::of(head);
    let inside = contents.inside(head);
    if inside.count() == 0 {
        // Said where all that is empty is said.
        return Ok(inside);
    }
    let other: Vec<String> = contents.background.iter().filter(|v| **v != 0.0).map(f32::to_string).collect();
    if !other.is_empty() {
        findings.push(format!(
            "the background is {}, not 0 alone; the image is taken where it differs from it",
            other.join(" and ")
        ));
    }
    match (contents.kind, contents.words()) {
        (_, Some(what)) if contents.needs_mask() && !whole_heads => {
            Err((format!("there is no brain mask, and the image {what}"), no_mask(&contents)))
        }
        (ContentsKind::WholeHead, _) => Ok(inside),
        (ContentsKind::Brain, _) if whole_heads => {
            findings.push(STRIPPED.into());
            Ok(inside)
        }
        (_, words) => {
            findings.extend(words);
            Ok(inside)
        }
    }
}

/// Refuses an image that cannot be prepared without a mask; one that cannot be read is left to its own error.
pub(super) fn check_unmasked(path: &Path) -> Result<()> {
    let Ok(image) = voxplain_volume::read(path, &ReadOptions::default()) else { return Ok(()) };
    if image.findings.iter().any(|f| f.level == Level::Error) {
        return Ok(());
    }
    let refused = |(what, remedy)| Error::file(path, what, masks_beside(path).unwrap_or(remedy));
    unmasked(&image.volume, false, &mut Vec::new()).map(drop).map_err(refused)
}

/// The finding about an image that is to be taken as a whole head and may be none.
pub(crate) const STRIPPED: &str = "holds no more than a brain has: a skull-stripped brain, or a small head";

/// What to do about an image that needs a mask.
fn no_mask(contents: &Contents) -> Remedy {
    if matches!(contents.kind, ContentsKind::Cut | ContentsKind::Slab) {
        return remedy![
            "give its brain mask with ",
            MASK,
            ", or an image of all of the brain; to work on images as they are, like whole heads, prepare them with ",
            WHOLE_HEAD
        ];
    }
    if contents.is_little_more() {
        return remedy![
            "check the voxel sizes; where they are right, give its brain mask with ",
            MASK,
            ", or strip the rest of the skull; to work on images as they are, prepare them with ",
            WHOLE_HEAD
        ];
    }
    remedy![
        "give its brain mask with ",
        MASK,
        ", or strip the skull first; to work on whole heads as they are, prepare them with ",
        WHOLE_HEAD
    ]
}

/// The grid that a brain is resampled to.
fn place(brain: &Mask, preparation: &Preparation) -> Result<Grid> {
    match preparation.placement {
        Placement::Fixed(grid) => Ok(grid),
        Placement::MaskCentre => {
            let mut sum = [0.0; 3];
            for (n, _) in brain.data().iter().enumerate().filter(|(_, m)| **m) {
                let voxel = brain.grid().voxel(n);
                (0..3).for_each(|a| sum[a] += voxel[a] as f64);
            }
            let centre = brain.grid().affine.apply(sum.map(|s| s / brain.count() as f64));
            Ok(centred(preparation.shape, preparation.spacing, centre)?)
        }
    }
}

/// A grid with the axes of the world, centred on a point (mm).
pub(crate) fn centred(shape: [usize; 3], spacing: [f64; 3], centre: [f64; 3]) -> voxplain_volume::Result<Grid> {
    let origin = std::array::from_fn(|a| centre[a] - (shape[a] as f64 - 1.0) / 2.0 * spacing[a]);
    Grid::new(shape, Affine::from_spacing_origin(spacing, origin))
}

/// A finding about the share of the mask outside the grid, with the shape of a grid that would hold it.
fn cut_off(brain: &Mask, grid: &Grid, preparation: &Preparation) -> Option<String> {
    let to_grid = grid.affine.inverse()? * brain.grid().affine;
    let middle = grid.shape.map(|n| (n as f64 - 1.0) / 2.0);
    let (mut cut, mut reach) = (0usize, [0f64; 3]);
    for (n, _) in brain.data().iter().enumerate().filter(|(_, m)| **m) {
        let at = to_grid.apply(brain.grid().voxel(n).map(|v| v as f64));
        let off: [f64; 3] = std::array::from_fn(|a| (at[a] - middle[a]).abs());
        cut += usize::from((0..3).any(|a| off[a] > middle[a] + 0.5));
        (0..3).for_each(|a| reach[a] = reach[a].max(off[a]));
    }
    if cut == 0 {
        return None;
    }
    let share = 100.0 * cut as f64 / brain.count() as f64;
    let share = if share < 0.01 { "less than 0.01 %".to_owned() } else { format!("{share:.2} %") };
    let need: [usize; 3] = std::array::from_fn(|a| {
        let needed = (2.0 * reach[a]).ceil() as usize + 2;
        needed.max(preparation.shape[a])
    });
    Some(format!("{share} of the mask lie outside the grid; one of {}x{}x{} would hold it", need[0], need[1], need[2]))
}

/// Image and mask resampled to the grid, as [`prepare_image`] says.
fn resample(head: &Volume, brain: &Mask, grid: &Grid) -> (Volume, Mask) {
    let (head, brain) = crop(head, brain, grid);
    let inside = Volume::from_fn(*head.grid(), |[i, j, k]| if brain.at(i, j, k) { head.at(i, j, k) } else { 0.0 });
    let weight = brain.map(|m| f32::from(u8::from(*m)));
    let sum = inside.resample_antialiased(grid, Interpolation::Linear, 0.0);
    let weight = weight.resample_antialiased(grid, Interpolation::Linear, 0.0);
    let mask = brain.resample_mask(grid);
    // Where most of a voxel is brain its weight is about a half or more; one that is thin in the middle is left out.
    let mask = Volume::from_fn(*grid, |[i, j, k]| mask.at(i, j, k) && weight.at(i, j, k) > 0.05);
    let volume =
        Volume::from_fn(*grid, |[i, j, k]| if mask.at(i, j, k) { sum.at(i, j, k) / weight.at(i, j, k) } else { 0.0 });
    (volume, mask)
}

/// Image and mask, cropped to the brain and the margin that resampling needs: there is less to smooth.
fn crop(head: &Volume, brain: &Mask, grid: &Grid) -> (Volume, Mask) {
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (n, _) in brain.data().iter().enumerate().filter(|(_, m)| **m) {
        let voxel = brain.grid().voxel(n);
        for a in 0..3 {
            low[a] = low[a].min(voxel[a]);
            high[a] = high[a].max(voxel[a]);
        }
    }
    let coarsest = grid.spacing().into_iter().fold(0.0, f64::max);
    let spacing = brain.grid().spacing();
    let margin: [usize; 3] = std::array::from_fn(|a| (2.0 * coarsest / spacing[a]).ceil() as usize + 2);
    let from: [usize; 3] = std::array::from_fn(|a| low[a].saturating_sub(margin[a]));
    let to: [usize; 3] = std::array::from_fn(|a| (high[a] + margin[a] + 1).min(brain.shape()[a]));
    let affine = brain.grid().affine;
    let origin = affine.apply(from.map(|v| v as f64));
    let rows = std::array::from_fn(|r| {
        let mut row = affine.rows()[r];
        row[3] = origin[r];
        row
    });
    let part = Grid { shape: std::array::from_fn(|a| to[a] - from[a]), affine: Affine::from_rows(rows) };
    let head = Volume::from_fn(part, |[i, j, k]| head.at(from[0] + i, from[1] + j, from[2] + k));
    let brain = Volume::from_fn(part, |[i, j, k]| brain.at(from[0] + i, from[1] + j, from[2] + k));
    (head, brain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_tell_a_value_from_its_bound() {
        assert_eq!(apart_from(0.8497, 0.85), "0.850");
        assert_eq!([apart_from(0.7, 0.85), apart_from(0.849_96, 0.85)], ["0.70", "0.84996"].map(String::from));
    }
}
