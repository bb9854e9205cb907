//! [`LoadedVolume`]: a volume as the model takes it, from a cohort or an image file.

use super::Images;
use crate::cohort::{self, Cohort, Normalize, Placement, Preparation};
use crate::model::Card;
use crate::prepare::{
    MaskFinder, MaskRule, Prepared, STRIPPED, above_1, channels, doubt, fetched, id_of, intensity, mask_name,
    names_another_kind, of_others, prepare_channels, read_brain_mask,
};
use crate::setting::{CHANNEL, INPUT, MASK, MASK_COLUMN, NORMALIZE, WHOLE_HEAD};
use std::path::{Path, PathBuf};
use voxplain_attribution::MaskName;
use voxplain_core::{Action, Error, Progress, Result, hash_file, remedy};
use voxplain_volume::{
    Affine, Contents, ContentsKind, Grid, Level, Mask, MaskFile, MaskOptions, ReadOptions, Volume, odd_brain_volume,
    read,
};

/// A volume as the model takes it, RAS+ axes, and how a map is brought back to the space of the image.
#[derive(Clone, Debug)]
pub(crate) struct LoadedVolume {
    /// The volume; of several channels the first.
    pub(crate) image: Volume,
    /// The other channels.
    pub(crate) others: Vec<Volume>,
    /// Names of all channels, where there are several.
    pub(crate) channels: Vec<String>,
    pub(crate) mask: Option<Mask>,
    /// BLAKE3 of the values, of all channels one after another.
    pub(crate) hash: String,
    /// BLAKE3 of the bytes of its files.
    pub(crate) files: Vec<String>,
    /// Grid of the source image in the axis order of its file, where the volume was prepared from one: maps are resampled to it.
    pub(crate) native: Option<Grid>,
    /// World of the source image to world of the volume, where they differ (a brain that was aligned to a template).
    pub(crate) to_template: Option<Affine>,
    /// Grid of an image that was only reoriented to RAS+: maps are reoriented back.
    pub(crate) turn: Option<Grid>,
    /// NIfTI code of the space (qform and sform code).
    pub(crate) form_code: i16,
    /// What the value 0 is.
    pub(crate) zero: &'static str,
    /// How it was made of images.
    pub(crate) prepared: voxplain_attribution::Prepared,
    /// The file of the mask, where the image has one.
    pub(crate) mask_name: Option<MaskName>,
    /// That the image was taken as a whole head, in a sentence.
    pub(crate) whole_heads: Option<&'static str>,
    /// Warnings about the image, in words.
    pub(crate) findings: Vec<String>,
}

/// The volume of subject `number` of a cohort.
pub(crate) fn of_subject(cohort: &Cohort, number: usize, card: &Card) -> Result<LoadedVolume> {
    let subject = &cohort.subjects[number];
    let mut findings = subject.findings.clone();
    if !card.grid_unknown && cohort.preparation.whole_head != card.preparation.whole_head {
        findings.push(if card.preparation.whole_head { unlike_heads(card).into() } else { unlike_brains(card).into() });
    }
    findings.extend(unlike_place(&cohort.preparation, card));
    let mut volumes = cohort.channels(number)?;
    let sources: Vec<&Path> = match subject.channels.as_slice() {
        [] => subject.source.as_deref().into_iter().collect(),
        channels => channels.iter().filter_map(|channel| channel.source.as_deref()).collect(),
    };
    let to_template = subject.alignment.map(|a| a.to_template);
    let others = volumes.split_off(1);
    Ok(LoadedVolume {
        image: volumes.remove(0),
        others,
        channels: named(&cohort.preparation),
        mask: Some(cohort.mask(number)?),
        hash: subject.hash.clone(),
        files: subject.marks().skip(1).map(str::to_owned).collect(),
        native: subject.native,
        to_template,
        turn: None,
        form_code: 0,
        zero: cohort.preparation.normalize.zero(),
        prepared: cohort.preparation.record(&sources, to_template),
        mask_name: subject.mask.clone(),
        whole_heads: cohort.preparation.whole_heads(),
        findings,
    })
}

impl LoadedVolume {
    /// What a model that was trained on it knows it by.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.hash.as_str()).chain(self.files.iter().map(String::as_str))
    }
}

/// The volume of an image file, prepared as the training volumes were: of a file that was trained on it is the same to the bit, so that
/// it is known again. Taken as they lie are images for a model whose grid is not known, and images without a mask that lie on the fixed
/// grid of a model that does not scale intensities: volumes that another pipeline prepared.
pub(crate) fn of_image(file: &Path, images: &Images, masks: &MaskFinder, card: &Card) -> Result<LoadedVolume> {
    fetched(file)?;
    let image = read(file, &ReadOptions::default())?;
    let native = *image.volume.grid();
    let form_code = image.form_codes[1].max(image.form_codes[0]);
    let mut volume = image.volume.to_ras();
    let others = other_files(file, images, card)?;
    let other_kind = other_kind(file, card)?;
    let all_files = std::iter::once(file).chain(others.iter().map(PathBuf::as_path));
    let files = all_files.map(hash_file).collect::<Result<Vec<_>>>()?;
    let options = MaskOptions::brain(images.mask_threshold);
    let mask_file = masks.find(file, &id_of(file)).map_err(without_table)?;
    mask_file.as_deref().map(fetched).transpose()?;
    let mask = mask_file.as_deref().map(|mask| read_brain_mask(mask, &options)).transpose()?;
    let mask_name = mask_file.as_deref().zip(mask.as_ref()).map(|(file, mask)| mask_name(file, mask)).transpose()?;
    let mut about = about_mask(mask.as_ref(), &options, card);
    about.extend(other_kind);
    if let (false, Some(not_asked)) = (card.grid_unknown, card.place_not_asked()) {
        about.push(format!("prepared from heads {}; {not_asked}", card.preparation.place()));
    }
    // Whoever gives a file means it; what its name says against that is told.
    if let (MaskRule::File(_), Some(mask)) = (&images.mask, &mask_file)
        && let Some(why) = doubt(file, mask)
    {
        about.push(format!("the mask {} may be that of another image: {why}", mask.display()));
    }
    let whole_heads = card.preparation.whole_heads().filter(|_| mask.is_none());
    let normalize = images.normalize.unwrap_or(card.preparation.normalize);
    if !card.grid_unknown && normalize != card.preparation.normalize {
        about.push(format!(
            "its intensities were normalised by `{normalize}`, as was asked for, and the model takes `{}`: what it gives for them is not what it \
             would give for the image",
            card.preparation.normalize
        ));
    }
    if card.grid_unknown && volume.shape() != card.preparation.shape {
        return Err(Error::file(
            file,
            format!("is {:?} (in RAS order), the model takes {:?}", volume.shape(), card.preparation.shape),
            "where this model's grid lies is not known, so the image cannot be prepared for it here: bring it to that shape first",
        ));
    }
    let as_it_lies = card.grid_unknown
        || (mask.is_none() && normalize == Normalize::None && on_fixed_grid(volume.grid(), &card.preparation));
    if !as_it_lies && card.training["from_arrays"] == true {
        return Err(Error::file(
            file,
            "the model was trained on arrays that were prepared elsewhere, so that it is not known how an image becomes one",
            "prepare it as those were, put it into an array, and make a cohort of that",
        ));
    }
    if !as_it_lies {
        let preparation = Preparation { normalize, ..card.preparation.clone() };
        let all: Vec<&Path> = std::iter::once(file).chain(others.iter().map(PathBuf::as_path)).collect();
        let Prepared { volume, others, mask, native, alignment, findings, .. } =
            prepare_channels(&all, mask.as_ref(), &preparation).map_err(|error| for_a_model(error, card))?;
        let is_stripped = |what: &String| what == STRIPPED;
        about.extend(
            findings
                .into_iter()
                .map(|what| if is_stripped(&what) { format!("{what}; {}", unlike_heads(card)) } else { what }),
        );
        let (hash, mask) = (hash(&volume, &others), Some(mask));
        let to_template = alignment.map(|a| a.to_template);
        return Ok(LoadedVolume {
            hash,
            files,
            image: volume,
            others,
            channels: named(&card.preparation),
            mask,
            native: Some(native),
            to_template,
            turn: None,
            form_code,
            zero: normalize.zero(),
            // Where there is a mask, it is what the head was centred on.
            prepared: Preparation { whole_head: whole_heads.is_some(), ..preparation }.record(&all, to_template),
            mask_name,
            whole_heads,
            findings: about,
        });
    }
    refuse_what_is_not_finite(file, &volume)?;
    let mut other_volumes = Vec::with_capacity(others.len());
    for other in &others {
        fetched(other)?;
        let channel = read(other, &ReadOptions::default())?.volume.to_ras();
        if channel.shape() != volume.shape() || !channel.grid().same_space(volume.grid(), 0.01) {
            return Err(Error::file(
                other,
                format!("does not lie on the grid of {}, which is taken as it is", file.display()),
                "bring both to one grid",
            ));
        }
        refuse_what_is_not_finite(other, &channel)?;
        other_volumes.push(channel);
    }
    let brain = mask.as_ref().map(|mask| mask.on(volume.grid())).transpose()?;
    if normalize != Normalize::None {
        let nonzero = || volume.map(|&v| v != 0.0);
        let inside = brain.clone().unwrap_or_else(nonzero);
        let files = std::iter::once(file).chain(others.iter().map(PathBuf::as_path));
        for (file, volume) in files.zip(std::iter::once(&mut volume).chain(&mut other_volumes)) {
            intensity::normalize(volume, &inside, normalize).map_err(|what| {
                Error::file(file, what, remedy!["give a brain mask with ", MASK, ", or ", NORMALIZE.to("none")])
            })?;
        }
    }
    if brain.is_none() && !card.grid_unknown {
        about.extend(unlike_the_model(&volume, card));
    }
    let turn = (native != *volume.grid()).then_some(native);
    let taken: Vec<&Path> = std::iter::once(file).chain(others.iter().map(PathBuf::as_path)).collect();
    let odd = image.findings.iter().filter(|f| f.level >= Level::Warning);
    let odd = odd.chain(mask.iter().flat_map(MaskFile::warnings));
    about.extend(odd.map(|f| f.what.clone()));
    let hash = hash(&volume, &other_volumes);
    let zero = normalize.zero();
    Ok(LoadedVolume {
        hash,
        files,
        image: volume,
        others: other_volumes,
        channels: named(&card.preparation),
        mask: brain,
        native: None,
        to_template: None,
        turn,
        form_code,
        zero,
        prepared: voxplain_attribution::Prepared {
            placed: "as the image lies, not resampled".into(),
            template: None,
            ..Preparation { normalize, ..card.preparation.clone() }.record(&taken, None)
        },
        mask_name,
        whole_heads,
        findings: about,
    })
}

/// Refuses a cohort that was prepared in another way than the model's.
pub(crate) fn fits(card: &Card, cohort: &Cohort, progress: &dyn Progress) -> Result<()> {
    let (ours, theirs) = (&card.preparation, &cohort.preparation);
    if let Some(what) = card.refuse_other_channels(cohort)? {
        progress.warn(&what);
    }
    let refuse = |what: String| {
        Err(Error::file(
            &cohort.path,
            what,
            remedy!["prepare the cohort as the model's own was, or give the images with ", INPUT],
        ))
    };
    if ours.shape != theirs.shape {
        return refuse(format!("its volumes are {:?}, the model takes {:?}", theirs.shape, ours.shape));
    }
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * b.abs();
    if !card.grid_unknown && ours.spacing.iter().zip(theirs.spacing).any(|(&a, b)| !close(a, b)) {
        let mm = |spacing: [f64; 3]| spacing.map(|mm| mm.to_string()).join(" x ");
        return refuse(format!("its voxels are {} mm, the model takes {} mm", mm(theirs.spacing), mm(ours.spacing)));
    }
    if ours.normalize != theirs.normalize {
        let what =
            format!("its intensities were normalised by `{}`, the model takes `{}`", theirs.normalize, ours.normalize);
        if !card.grid_unknown {
            return refuse(what);
        }
        progress.warn(&format!("{}: {what}", cohort.path.display()));
    }
    if !card.grid_unknown && ours.whole_head != theirs.whole_head {
        let has = if theirs.whole_head { "whole heads" } else { "brains inside masks" };
        let unlike = if ours.whole_head { unlike_heads(card) } else { unlike_brains(card) };
        progress.warn(&format!("{}: the cohort has {has}; {unlike}", cohort.path.display()));
    }
    if let Some(what) = unlike_place(theirs, card) {
        progress.warn(&format!("{}: {what}", cohort.path.display()));
    }
    if let (Placement::Fixed(a), Placement::Fixed(b), false) = (ours.placement, theirs.placement, card.grid_unknown)
        && !a.same_space(&b, 0.01)
    {
        return refuse("its grid lies elsewhere than the one that the model takes".into());
    }
    Ok(())
}

/// Names of the channels, where there are several.
fn named(preparation: &Preparation) -> Vec<String> {
    if preparation.channels.len() > 1 { preparation.channels.clone() } else { Vec::new() }
}

/// BLAKE3 of the values of all channels.
fn hash(image: &Volume, others: &[Volume]) -> String {
    match others {
        [] => cohort::hash(image),
        _ => cohort::hash_all(&std::iter::once(image).chain(others).cloned().collect::<Vec<_>>()),
    }
}

/// The files of the channels behind the first: those that were said, else those beside the image with the same name in BIDS.
fn other_files(file: &Path, images: &Images, card: &Card) -> Result<Vec<PathBuf>> {
    let channels = &card.preparation.channels;
    let mut names: Vec<&String> = images.channels.iter().map(|(name, _)| name).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::file(
            file,
            format!("the channel {} is given twice", pair[0]),
            remedy!["give each once with ", CHANNEL],
        ));
    }
    let unknown = images.channels.iter().find(|(name, _)| !channels.iter().skip(1).any(|channel| channel == name));
    if let Some((name, path)) = unknown {
        let what = match channels.as_slice() {
            [first, ..] if first == name => {
                format!("is given as {name}, the first channel of the model, which {} is", file.display())
            }
            [_, _, ..] => format!("is given as {name}, and the model takes {}", channels.join(", ")),
            _ => format!("is given as another image ({name}) of the same person, and the model takes one of each"),
        };
        return Err(Error::file(path, what, remedy!["give the images that the model takes (", CHANNEL, ")"]));
    }
    // A path that cannot be resolved is compared as it is; reading it says what is wrong.
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut given = vec![(channels.first().map_or(channels::T1W, String::as_str), resolved(file))];
    for (name, path) in &images.channels {
        let path = resolved(path);
        if let Some((other, _)) = given.iter().find(|(_, other)| *other == path) {
            return Err(Error::file(
                path,
                format!("is given as {other} and as {name}"),
                remedy!["give the image of each with ", INPUT, " and ", CHANNEL],
            ));
        }
        given.push((name, path));
    }
    for (name, path) in &images.channels {
        refuse_another(file, name, path)?;
    }
    let find = |name: &String| match images.channels.iter().find(|(channel, _)| channel == name) {
        Some((_, path)) => Ok(path.clone()),
        None => channels::beside(file, name).map_err(|why| {
            let what =
                format!("the model takes {} of each person, and there is no {name}: {why}", channels.join(" and "));
            Error::file(file, what, remedy!["give its file, ", CHANNEL.to(format!("{name}=FILE"))])
        }),
    };
    channels.iter().skip(1).map(find).collect()
}

/// Refuses the file of a channel that is, by its name or its folders, of another person or session than the image, or of another kind
/// than its channel.
fn refuse_another(file: &Path, name: &str, path: &Path) -> Result<()> {
    if let Some(why) = of_others(file, path, &["sub", "ses"]) {
        let what = format!("is given as the {name} of {}, and {why}", file.display());
        let remedy = remedy![
            "give the images of one person and session with ",
            INPUT,
            " and ",
            CHANNEL,
            "; if these are, name both so"
        ];
        return Err(Error::file(path, what, remedy));
    }
    match names_another_kind(path, name) {
        Some(word) => {
            let what = format!("is given as {name}, and its name says that it is of {word}");
            let remedy = remedy![
                format!("give the {name} of the person with "),
                CHANNEL.to(format!("{name}=FILE")),
                "; if it is one, name it so"
            ];
            Err(Error::file(path, what, remedy))
        }
        None => Ok(()),
    }
}

/// Refuses an image whose name says that it is of another kind than the first channel, where the channels of the model have names; else
/// it is said, of a model that was trained here: nothing but names tells what it was trained on.
fn other_kind(file: &Path, card: &Card) -> Result<Option<String>> {
    let named = card.preparation.channels.first();
    let first = named.map_or(channels::T1W, String::as_str);
    let Some(word) = names_another_kind(file, first) else { return Ok(None) };
    if named.is_some() {
        let what = format!("its name says that it is of {word}, and the model takes {first}");
        let others: Vec<&str> = card.preparation.channels.iter().skip(1).map(String::as_str).collect();
        let remedy = match others.as_slice() {
            [] => remedy!["give the ", first, " of the person with ", INPUT, "; if it is one, name it so"],
            _ => remedy![
                "give the ",
                first,
                " of the person with ",
                INPUT,
                format!(", and {} with ", others.join(" and ")),
                CHANNEL
            ],
        };
        return Err(Error::file(file, what, remedy));
    }
    let is_said = !card.imported() && !card.grid_unknown;
    Ok(is_said.then(|| {
        format!("its name says that it is of {word}; nothing says that the model was trained on such images, and not on {first}")
    }))
}

fn refuse_what_is_not_finite(file: &Path, volume: &Volume) -> Result<()> {
    let Some(n) = volume.data().iter().position(|v| !v.is_finite()) else { return Ok(()) };
    Err(Error::file(
        file,
        format!("holds the value {} at voxel {:?} (in RAS order)", volume.data()[n], volume.grid().voxel(n)),
        remedy!["repair the image first; ", Action::new("inspect"), " says more"],
    ))
}

/// Why what is no whole head is none for a model of whole heads.
fn unlike_heads(card: &Card) -> &'static str {
    if card.imported() {
        "the model takes whole heads, and it is not known whether it was trained on brains inside masks as well"
    } else {
        "the model was trained on whole heads, without masks, and never saw an image of a brain inside a mask"
    }
}

/// Why a whole head is none for other models.
fn unlike_brains(card: &Card) -> &'static str {
    if card.imported() {
        "it is not known whether the model was trained on whole heads or on brains inside masks"
    } else {
        "the model was trained on brains inside masks, and never saw a whole head"
    }
}

/// Why the heads of a cohort lie otherwise than those that a model takes, or that it is not known.
fn unlike_place(theirs: &Preparation, card: &Card) -> Option<String> {
    if card.grid_unknown {
        return None;
    }
    match card.place_not_asked() {
        Some(not_asked) => Some(format!("prepared from heads {}; {not_asked}", theirs.place())),
        None => theirs.lies_unlike(&card.preparation),
    }
}

/// What is to be known about the mask of an image: a volume that no brain has, how FreeSurfer's was read, and that the model knows
/// no masks.
fn about_mask(mask: Option<&MaskFile>, options: &MaskOptions, card: &Card) -> Vec<String> {
    let Some(mask) = mask else { return Vec::new() };
    let mut about: Vec<String> = odd_brain_volume(mask.volume()).into_iter().collect();
    about.extend(above_1(mask, options));
    if card.preparation.whole_head {
        about.push(unlike_heads(card).into());
    }
    about
}

/// What an image on the grid of the model shows, where that is not what the model was trained on.
fn unlike_the_model(volume: &Volume, card: &Card) -> Option<String> {
    let contents = Contents::of(volume);
    match (contents.kind, card.preparation.whole_head) {
        (ContentsKind::WholeHead | ContentsKind::NoBackground, false) => {
            Some(format!("there is no mask, and the image {}; {}", contents.words()?, unlike_brains(card)))
        }
        (ContentsKind::Cut | ContentsKind::Slab, false) => {
            Some(format!("there is no mask, and the image {}", contents.words()?))
        }
        (ContentsKind::Brain, true) => Some(format!("{STRIPPED}; {}", unlike_heads(card))),
        _ => None,
    }
}

/// Of images that are given one by one, no table says where their masks are.
fn without_table(error: Error) -> Error {
    match error {
        Error::Subject { subject, what, remedy } if remedy.names(MASK_COLUMN) => Error::Subject {
            subject,
            what,
            remedy: remedy![
                "check ",
                MASK,
                "; the name of a mask, or of a folder above it, begins with the name of its image; or give the file itself"
            ],
        },
        other => other,
    }
}

/// What to do about an image that cannot be prepared for a model: how the model was prepared is given.
fn for_a_model(error: Error, card: &Card) -> Error {
    match error {
        Error::File { path, what, remedy } if remedy.names(WHOLE_HEAD) => {
            let mask = remedy.value(MASK).map_or_else(|| MASK.into(), |beside| MASK.to(beside));
            let why = if card.imported() {
                "the model takes brains inside masks, as far as was said when it was imported"
            } else {
                "the model was trained on brains"
            };
            let remedy = remedy!["give its brain mask with ", mask, ", or strip the skull first: ", why];
            Error::file(path, what, remedy)
        }
        other => other,
    }
}

/// Whether an image in RAS order lies on the one grid of a model, where that does not move with each subject.
fn on_fixed_grid(grid: &Grid, preparation: &Preparation) -> bool {
    matches!(preparation.placement, Placement::Fixed(fixed) if grid.same_space(&fixed, 0.01))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_channel_that_is_of_another_person_session_or_kind_is_refused() {
        let refused = |file: &str, path: &str| {
            refuse_another(Path::new(file), "FLAIR", Path::new(path)).err().map(|e| e.to_string())
        };
        let image = "sub-05_ses-1_T1w.nii";
        let of_another =
            "sub-06_ses-1_FLAIR.nii: is given as the FLAIR of sub-05_ses-1_T1w.nii, and it is of sub-06, not of sub-05";
        assert_eq!(refused(image, "sub-06_ses-1_FLAIR.nii").as_deref(), Some(of_another));
        assert!(refused(image, "sub-05_ses-2_FLAIR.nii").unwrap().ends_with("it is of ses-2, not of ses-1"));
        assert!(refused(image, "sub-05/ses-2/FLAIR.nii").is_some());
        let kind = "sub-05_T2w.nii: is given as FLAIR, and its name says that it is of T2w";
        assert_eq!(refused(image, "sub-05_T2w.nii").as_deref(), Some(kind));
        for path in ["sub-05_ses-01_FLAIR.nii", "sub-05_FLAIR.nii", "any.nii", "sub-5_ses-1_T2_FLAIR.nii"] {
            assert_eq!(refused(image, path), None, "{path}");
        }
    }
}
