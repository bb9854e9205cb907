//! [`prepare_image`]: one image, masked, on its grid, normalised.

use super::{channels, intensity, mask_hint::masks_beside};
use crate::{
    cohort::{Placement, Preparation, Template},
    setting::{CHANNEL, MASK, WHOLE_HEAD},
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
    /// Normalised intensities on the grid (axes RAS+), 0 outside the mask; of several channels the first.
    pub volume: Volume,
    /// The other channels, on the same grid.
    pub others: Vec<Volume>,
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
    prepare_channels(&[path], mask, preparation)
}

/// [`prepare_image`] of several channels, a file for each in the order of the preparation. Mask, alignment and grid are those of the
/// first. Every other is taken as it lies in the world by its own header: it must be registered to the first. Each is resampled and
/// normalised by itself, inside the mask of the first.
///
/// # Errors
/// Those of [`prepare_image`]; another number of files than of channels; a channel that does not cover the brain.
pub fn prepare_channels(paths: &[&Path], mask: Option<&MaskFile>, preparation: &Preparation) -> Result<Prepared> {
    let template = preparation.template.as_ref().map(Template::read).transpose()?;
    prepare_with(paths, mask, preparation, template.as_ref())
}

/// [`prepare_channels`] with the template already read.
pub(super) fn prepare_with(
    paths: &[&Path],
    mask: Option<&MaskFile>,
    preparation: &Preparation,
    template: Option<&Volume>,
) -> Result<Prepared> {
    let [path, others @ ..] = paths else {
        return Err(Error::request("there is no image to prepare", "give one"));
    };
    if paths.len() != preparation.channel_count() {
        return Err(Error::file(
            path,
            format!(
                "{} {} given, expected one for each channel: {}",
                counted(paths.len(), "image"),
                does(paths.len(), "is", "are"),
                preparation.channels.join(", ")
            ),
            "give an image for each, in this order",
        ));
    }
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
    let to_template = alignment.map(|a| a.to_template);
    let others = others.iter().zip(preparation.channels.iter().skip(1)).map(|(path, name)| {
        let mut odd = Vec::new();
        let volume = other_channel(path, (&brain, to_template), &mask, preparation, &mut odd)
            .map_err(|(what, remedy)| Error::file(path, format!("the {name}: {what}"), remedy))?;
        findings.extend(odd.into_iter().map(|what| format!("{name}: {what}")));
        Ok(volume)
    });
    let others = others.collect::<Result<Vec<_>>>()?;
    intensity::normalize(&mut volume, &mask, preparation.normalize).map_err(|what| match own {
        Some(own) => {
            let what = format!("{what} (the mask is {}, {})", own.path().display(), counted(own.mask.count(), "voxel"));
            Error::file(path, what, remedy!["check the image and its mask (`", Action::new("inspect"), "`)"])
        }
        None => Error::file(path, what, remedy!["check the image (`", Action::new("inspect").on(path), "`)"]),
    })?;
    // Two channels of one image: a link or a name that leads to the wrong file.
    let all: Vec<&Volume> = std::iter::once(&volume).chain(&others).collect();
    for (n, other) in all.iter().enumerate() {
        if let Some(same) = all[..n].iter().position(|earlier| earlier.data() == other.data()) {
            let [one, two] = [same, n].map(|n| preparation.channels[n].as_str());
            let what = format!("its {two} shows the very same values as its {one}");
            return Err(Error::file(paths[n], what, remedy!["give the image of each channel (", CHANNEL, ")"]));
        }
    }
    Ok(Prepared { volume, others, mask, native, alignment, mask_volume, findings })
}

/// Share of the brain that another channel may lack, as the neck end of a field of view; what it lacks is told and set to 0. Our choice.
const MAY_LACK: f64 = 0.02;

/// Share of the brain in which another channel may be 0, its background, without a word. Our choice.
const MAY_BE_ZERO: f64 = 0.05;

/// Another channel on the grid of `mask`, normalised inside it. `brain` is the mask of the first channel on its own lattice, moved into
/// the template where there is one.
fn other_channel(
    path: &Path,
    (brain, to_template): (&Mask, Option<Affine>),
    mask: &Mask,
    preparation: &Preparation,
    findings: &mut Vec<String>,
) -> Result<Volume, (String, Remedy)> {
    let inspect = || remedy!["check the file (`", Action::new("inspect").on(path), "`)"];
    let failed = |e: Error| (e.to_string(), e.remedy().unwrap_or_else(inspect));
    let image = voxplain_volume::read(path, &ReadOptions { ras: true, ..ReadOptions::default() })
        .map_err(|e| failed(e.into()))?;
    if let Some(bad) = image.findings.iter().find(|f| f.level == Level::Error) {
        return Err((bad.what.clone(), inspect()));
    }
    let told = |f: &&Finding| f.level >= Level::Warning && f.id != "non-finite";
    findings.extend(image.findings.iter().filter(told).map(|f| f.what.clone()));
    let head = match to_template {
        Some(to_template) => moved(image.volume, to_template).map_err(failed)?,
        None => image.volume,
    };
    let lacks = share_outside(brain, head.grid());
    if lacks > MAY_LACK {
        let what = format!(
            "{:.0} % of the brain, by the mask of the first channel, lie outside its field of view, by the headers of both",
            100.0 * lacks
        );
        return Err((what, channels::remedy()));
    }
    if lacks > 0.0 {
        findings.push(format!("{:.2} % of the brain lie outside its field of view, and are 0", 100.0 * lacks));
    }
    let own = brain.resample_mask(head.grid());
    if own.count() == 0 {
        return Err(("none of its voxels lies in the brain".into(), inspect()));
    }
    let inside = || head.data().iter().zip(own.data()).filter(|(_, inside)| **inside).map(|(value, _)| *value);
    let bad = inside().filter(|v| !v.is_finite()).count();
    if bad > 0 {
        let are = does(bad, "is", "are");
        let what = format!("{} in the brain mask {are} NaN or infinite", counted(bad, "voxel"));
        return Err((what, "repair the image, or leave those voxels out of the mask".into()));
    }
    let zero = inside().filter(|v| *v == 0.0).count() as f64 / own.count() as f64;
    if zero > MAY_BE_ZERO {
        findings.push(format!(
            "it is 0 in {:.0} % of the brain mask of the first channel: look whether the two lie on each other",
            100.0 * zero
        ));
    }
    let mut volume = resample_inside(&head, &own, mask);
    intensity::normalize(&mut volume, mask, preparation.normalize).map_err(|what| (what, inspect()))?;
    Ok(volume)
}

/// The share of a brain that lies outside a grid: beyond the outer faces of its voxels.
fn share_outside(brain: &Mask, grid: &Grid) -> f64 {
    let Some(inverse) = grid.affine.inverse() else { return 1.0 };
    let to_grid = inverse * brain.grid().affine;
    let is_outside = |n: usize| {
        let at = to_grid.apply(brain.grid().voxel(n).map(|v| v as f64));
        // Half a voxel, and what rounding in headers leaves.
        (0..3).any(|a| at[a] < -0.501 || at[a] > grid.shape[a] as f64 - 0.499)
    };
    let inside = brain.data().iter().enumerate().filter(|(_, m)| **m);
    let (mut outside, mut all) = (0usize, 0usize);
    inside.for_each(|(n, _)| {
        all += 1;
        outside += usize::from(is_outside(n));
    });
    outside as f64 / all.max(1) as f64
}

/// The values of a channel inside a mask: `R(I M) / R(M)` as for the first channel, with `M` the brain on the channel's own voxels. Where
/// none of these reaches, as at the rim under thick slices, they are `R(I)`.
fn resample_inside(head: &Volume, own: &Mask, mask: &Mask) -> Volume {
    let grid = mask.grid();
    let (near, brain) = crop(head, own, grid);
    let (sum, weight) = weighted(&near, &brain, grid);
    let is_thin = |n: usize| mask.data()[n] && weight.data()[n] <= THIN;
    let plain = (0..grid.len()).any(is_thin).then(|| {
        let head = head.map(|v| if v.is_finite() { *v } else { 0.0 });
        head.resample_antialiased(grid, Interpolation::Linear, 0.0)
    });
    let value = |n: usize| match &plain {
        _ if !mask.data()[n] => 0.0,
        Some(plain) if is_thin(n) => plain.data()[n],
        _ => sum.data()[n] / weight.data()[n],
    };
    Volume::from_fn(*grid, |[i, j, k]| value(grid.index(i, j, k)))
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
    Ok(Prepared { volume, others: Vec::new(), mask, native: grid, alignment: None, mask_volume, findings })
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
    let (sum, weight) = weighted(&head, &brain, grid);
    let mask = brain.resample_mask(grid);
    // Where most of a voxel is brain its weight is about a half or more; one that is thin in the middle is left out.
    let mask = Volume::from_fn(*grid, |[i, j, k]| mask.at(i, j, k) && weight.at(i, j, k) > THIN);
    let volume =
        Volume::from_fn(*grid, |[i, j, k]| if mask.at(i, j, k) { sum.at(i, j, k) / weight.at(i, j, k) } else { 0.0 });
    (volume, mask)
}

/// Weight of the brain below which a voxel is taken for one without.
const THIN: f32 = 0.05;

/// `R(I M)` and `R(M)` on a grid, with `I` the image, `M` the mask and `R` anti-aliased linear resampling.
fn weighted(head: &Volume, brain: &Mask, grid: &Grid) -> (Volume, Volume) {
    let inside = Volume::from_fn(*head.grid(), |[i, j, k]| if brain.at(i, j, k) { head.at(i, j, k) } else { 0.0 });
    let weight = brain.map(|m| f32::from(u8::from(*m)));
    let sum = inside.resample_antialiased(grid, Interpolation::Linear, 0.0);
    (sum, weight.resample_antialiased(grid, Interpolation::Linear, 0.0))
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
        assert_eq!(apart_from(0.8497, 0.85), "0.8497");
        assert_eq!([apart_from(0.7, 0.85), apart_from(0.849_96, 0.85)], ["0.70", "0.84996"].map(String::from));
    }
}
