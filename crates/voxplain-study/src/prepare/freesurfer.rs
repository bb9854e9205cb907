//! A `SUBJECTS_DIR` of FreeSurfer as a source: `<id>/mri/brain.mgz`, where the folder's name is the id.

use super::{
    matching::few,
    source::{files, folders, is_there, name},
};
use crate::listed::{counted, have};
use crate::{
    cohort::LeftOut,
    setting::{IMAGE, INCLUDE, KEEP_GOING, MASK},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Remedy, Result, remedy};
use voxplain_volume::{MaskFile, MaskOptions, read_mask_by_either};

/// The image that is taken of each subject: skull-stripped, intensities corrected.
pub(super) const BRAIN: &str = "brain.mgz";

/// What the images of the longitudinal stream are called: `<session>.long.<base>`.
const LONGITUDINAL: &str = ".long.";

/// The images of a `SUBJECTS_DIR`, and the folders that are left out beside them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) images: Vec<PathBuf>,
    /// Folders with images that are not taken.
    pub(super) left_out: Vec<LeftOut>,
    /// Folders without the image.
    pub(super) lacking: Vec<LeftOut>,
}

/// Whether a folder is a `SUBJECTS_DIR`: one of its folders has a folder `mri` that holds `.mgz` files.
///
/// # Errors
/// It cannot be read, or is the folder of one subject.
pub(super) fn is_subjects_dir(root: &Path) -> Result<bool> {
    if holds_mgz(&root.join("mri")) && ["surf", "scripts", "stats"].iter().any(|part| root.join(part).is_dir()) {
        let what = "is the folder of one FreeSurfer subject";
        return Err(Error::file(root, what, "give the folder above it (SUBJECTS_DIR), which holds the subjects"));
    }
    Ok(folders(root)?.iter().any(|folder| holds_mgz(&folder.join("mri"))))
}

/// Whether there is such a folder, and an `.mgz` in it.
fn holds_mgz(folder: &Path) -> bool {
    folder.is_dir() && files(folder).is_ok_and(|files| files.iter().any(|f| is_mgz(f)))
}

fn is_mgz(path: &Path) -> bool {
    name(path).to_ascii_lowercase().ends_with(".mgz")
}

/// The subject's folder that an image of FreeSurfer lies in, by name: `bert` for `bert/mri/T1.mgz`.
pub(crate) fn subject(image: &Path) -> Option<&str> {
    let mri = image.parent().filter(|folder| name(folder) == "mri" && is_mgz(image))?;
    mri.parent().map(name).filter(|name| !name.is_empty())
}

/// The name of the image that is taken: what the user says, or what a pattern of paths ends in, else [`BRAIN`].
pub(super) fn image_name<'a>(wanted: Option<&'a str>, include: Option<&'a str>) -> &'a str {
    let of_pattern =
        include.and_then(|pattern| pattern.rsplit(['/', '*']).next()).filter(|name| name.ends_with(".mgz"));
    wanted.or(of_pattern).unwrap_or(BRAIN)
}

/// The image `called` of every subject. Templates of FreeSurfer, averages of the longitudinal stream (`base-tps` names their
/// sessions) and, unless `include` has the word `long`, its images are left out: they show people who are there already.
///
/// # Errors
/// Subjects without that image, unless one goes on without them.
pub(super) fn images(root: &Path, called: &str, include: Option<&str>, keep_going: bool) -> Result<Found> {
    // As the images are called, or as one says it.
    let wants_long =
        include.is_some_and(|pattern| pattern.split(|c: char| !c.is_alphanumeric()).any(|word| word == "long"));
    let (mut found, mut lacking, mut others) = (Found::default(), Vec::new(), Vec::new());
    for folder in folders(root)? {
        let mri = folder.join("mri");
        let begun = ["mri", "surf", "scripts"].iter().filter(|part| folder.join(part).is_dir()).count();
        let why = match name(&folder) {
            id if is_template(id) => Some("a template of FreeSurfer"),
            id if id.contains(LONGITUDINAL) && !wants_long => {
                Some("an image of the longitudinal stream (the same scan again)")
            }
            _ if is_there(&folder.join("base-tps")) || folder.join("base-tps").is_dir() => {
                Some("an average of several scans of one person (base of the longitudinal stream)")
            }
            _ => None,
        };
        let image = mri.join(called);
        if let Some(why) = why {
            if begun > 0 {
                found.left_out.push(LeftOut::new(folder.display().to_string(), why));
            }
        } else if is_there(&image) {
            found.images.push(image);
        } else if mri.is_dir() || begun > 1 {
            let there = files(&mri).unwrap_or_default();
            let there: Vec<&str> = there.iter().filter(|f| is_mgz(f)).map(|f| name(f)).collect();
            lacking.push((folder, there.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        } else {
            others.push(LeftOut::new(folder.display().to_string(), "there is no folder mri in it"));
        }
    }
    if !lacking.is_empty() && (!keep_going || found.images.is_empty()) {
        return Err(without_image(root, called, &lacking, found.images.len()));
    }
    found.lacking = lacking
        .iter()
        .map(|(folder, _)| LeftOut::new(folder.display().to_string(), format!("there is no mri/{called}")))
        .chain(others)
        .collect();
    Ok(found)
}

/// Whether a folder is one of those that FreeSurfer itself puts into a `SUBJECTS_DIR`: `fsaverage`, `fsaverage5`, `fsaverage_sym`,
/// `lh.EC_average`. A person may be called `lh.s03`.
fn is_template(folder: &str) -> bool {
    let known = ["cvs_avg35", "cvs_avg35_inMNI152", "V1_average", "lh.EC_average", "rh.EC_average", "EC_average"];
    let of_average = |rest: &str| rest == "_sym" || rest.chars().all(|c| c.is_ascii_digit());
    known.contains(&folder) || folder.strip_prefix("fsaverage").is_some_and(of_average)
}

/// Why the row of an id has no image, in words: what was looked for, and where.
pub(super) fn why_without(root: &Path, called: &str, id: &str, folders: &[PathBuf]) -> String {
    let is_its =
        |folder: &&PathBuf| super::matching::row_id(&folder.join("mri").join(called), &[id.to_owned()]).is_some();
    match folders.iter().find(is_its) {
        Some(folder) if folder.join("mri").is_dir() => {
            format!("the row has no image: mri/{called} is not in its folder in {}", root.display())
        }
        Some(_) => format!("the row has no image: there is no folder mri in its folder in {}", root.display()),
        None => format!("the row has no image: there is no folder of its name in {}", root.display()),
    }
}

/// Says which subjects have no such image, and which images they have.
fn without_image(root: &Path, called: &str, lacking: &[(PathBuf, Vec<String>)], others: usize) -> Error {
    if others == 0 {
        let mut has = BTreeMap::<&str, usize>::new();
        lacking.iter().flat_map(|(_, there)| there).for_each(|name| *has.entry(name).or_default() += 1);
        let has = match has.len() {
            0 => "nothing".to_owned(),
            _ => few(has.iter().map(|(name, count)| format!("{name} ({count})"))),
        };
        let what =
            format!("none of its {} has mri/{called}; in their mri there is {has}", counted(lacking.len(), "subject"));
        return Error::file(root, what, remedy!["say which image to take with ", IMAGE, ", or finish recon-all"]);
    }
    let word = |(folder, there): &(PathBuf, Vec<String>)| match there.as_slice() {
        [] => format!("{} (its mri is empty or not there)", name(folder)),
        there => format!("{} (in its mri: {})", name(folder), few(there)),
    };
    let what = format!(
        "{} of {} {} no mri/{called}: {}",
        lacking.len(),
        counted(lacking.len() + others, "subject"),
        have(lacking.len()),
        few(lacking.iter().map(word))
    );
    // What all of them have beside masks and labels would do.
    let known = ["brain.mgz", "norm.mgz", "T1.mgz", "orig.mgz", "orig_nu.mgz"];
    let other = known.into_iter().find(|image| lacking.iter().all(|(_, there)| there.iter().any(|t| t == image)));
    let choose: Remedy = match other {
        Some(image) => remedy!["choose an image that all have with ", IMAGE.to(image), ", finish recon-all"],
        None => remedy!["finish recon-all, choose another image with ", IMAGE],
    };
    let rest = remedy![", leave some out with ", KEEP_GOING, ", or choose with ", INCLUDE];
    Error::file(root, what, Remedy::new(choose.parts().iter().chain(rest.parts()).cloned()))
}

/// The mask in the folder of an image of FreeSurfer, by its name (`brainmask.mgz`).
///
/// # Errors
/// It is not there: those that are.
pub(super) fn mask_beside(image: &Path, id: &str, called: &str) -> Result<PathBuf> {
    let mask = image.with_file_name(called);
    if is_there(&mask) {
        return Ok(mask);
    }
    let folder = image.parent().unwrap_or_else(|| Path::new(""));
    let there = files(folder)?;
    let there: Vec<&str> = there.iter().map(|f| name(f)).filter(|f| f.contains("mask")).collect();
    let there = if there.is_empty() { "no mask".to_owned() } else { few(there) };
    let what = format!("there is no {called} in {}; there is {there}", folder.display());
    Err(Error::subject(id, what, remedy!["give the name of the mask in mri with ", MASK]))
}

/// Whether a file is named like those of FreeSurfer that hold the image inside the brain, and not 0 and 1.
pub(super) fn holds_the_brain(mask: &Path) -> bool {
    let name = name(mask);
    ["brainmask.mgz", "brainmask.auto.mgz"].iter().any(|n| name.ends_with(n))
        || (subject(mask).is_some() && [BRAIN, "brain.finalsurfs.mgz"].contains(&name))
}

/// Reads a mask. FreeSurfer's `brainmask.mgz` is the image inside the brain; where no threshold is stated, values above 1 belong:
/// outside is 0, and 1 is what `mri_mask -keep_mask_deletion_edits` knows as a voxel that was erased by hand.
pub(crate) fn read_brain_mask(path: &Path, options: &MaskOptions) -> voxplain_volume::Result<MaskFile> {
    let above_1 = MaskOptions { threshold: Some(1.0), ..*options };
    let first = (options.threshold.is_none() && holds_the_brain(path)).then_some(&above_1);
    read_mask_by_either(path, first, options)
}

/// That a mask was read by the rule for FreeSurfer's images inside the brain, in words; `None` where it was not.
pub(crate) fn above_1(mask: &MaskFile, options: &MaskOptions) -> Option<String> {
    let by_rule = options.threshold.is_none() && holds_the_brain(mask.path()) && mask.threshold == 1.0;
    by_rule.then(|| rule(name(mask.path())))
}

/// The rule for a file of this name, in words.
fn rule(called: &str) -> String {
    format!(
        "the mask {called} of FreeSurfer holds the image inside the brain: voxels above 1 are taken (0 is outside, 1 was erased by hand)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tree::tree;

    #[test]
    fn subjects_are_folders_with_mri() {
        let dir = tree([
            "bert/mri/brain.mgz",
            "bert/mri/T1.mgz",
            "sub-01_ses-1/mri/brain.mgz",
            "sub-01_ses-1.long.sub-01/mri/brain.mgz",
            "sub-01/mri/brain.mgz",
            "sub-01/base-tps",
            "fsaverage/mri/brain.mgz",
            "lh.EC_average/mri/brain.mgz",
            "rh.EC_average/mri/brain.mgz",
            "logs/x.txt",
            "lh.s03/mri/brain.mgz",
            "fsaverage5/surf/lh.white",
        ]);
        assert!(is_subjects_dir(dir.path()).unwrap());
        let names = |found: &Found| found.images.iter().map(|p| subject(p).unwrap().to_owned()).collect::<Vec<_>>();
        let found = images(dir.path(), BRAIN, None, false).unwrap();
        assert_eq!(names(&found), ["bert", "lh.s03", "sub-01_ses-1"]);
        assert_eq!(
            found.lacking,
            [LeftOut::new(dir.path().join("logs").display().to_string(), "there is no folder mri in it")]
        );
        assert_eq!(found.left_out.len(), 6, "{:?}", found.left_out);
        for pattern in [".long.", "long", "*long*"] {
            let long = images(dir.path(), BRAIN, Some(pattern), false).unwrap();
            assert_eq!(names(&long), ["bert", "lh.s03", "sub-01_ses-1", "sub-01_ses-1.long.sub-01"]);
        }
        assert_eq!(images(dir.path(), BRAIN, Some("oblong"), false).unwrap().images.len(), 3);
        let error = images(dir.path(), "T1.mgz", None, false).unwrap_err();
        assert!(error.to_string().contains(
            "2 of 3 subjects have no mri/T1.mgz: lh.s03 (in its mri: brain.mgz), sub-01_ses-1 (in its mri: brain.mgz)"
        ));
        assert!(error.remedy().unwrap().to_string().contains("`image` = brain.mgz"), "{error:?}");
        let found = images(dir.path(), "T1.mgz", None, true).unwrap();
        assert_eq!((found.images.len(), found.left_out.len(), found.lacking.len()), (1, 6, 3));
        let error = images(dir.path(), "T2.mgz", None, true).unwrap_err();
        let what = error.to_string();
        assert!(
            what.contains("none of its 3 subjects has mri/T2.mgz; in their mri there is T1.mgz (1), brain.mgz (3)"),
            "{what}"
        );
        assert!(error.remedy().unwrap().to_string().contains("`image`"), "{error:?}");
        let error = mask_beside(&found.images[0], "bert", "brainmask.mgz").unwrap_err().to_string();
        assert!(error.contains("there is no brainmask.mgz in") && error.ends_with("there is no mask"), "{error}");
    }

    #[test]
    fn what_is_no_subjects_dir() {
        assert!(!is_subjects_dir(tree(["a/mri/x.nii", "mri/y.mgz"]).path()).unwrap());
        let error = is_subjects_dir(tree(["mri/brain.mgz", "surf/lh.white"]).path()).unwrap_err();
        assert!(error.to_string().contains("one FreeSurfer subject"), "{error}");
        assert_eq!(subject(Path::new("bert/mri/T1.mgz")), Some("bert"));
        assert_eq!(subject(Path::new("bert/x/T1.mgz")), None);
        assert_eq!(subject(Path::new("mri/T1.mgz")), None);
        assert_eq!(image_name(None, Some("bert/mri/T1.mgz")), "T1.mgz");
        assert_eq!(
            [image_name(None, Some("sub-1")), image_name(Some("norm.mgz"), Some("T1.mgz"))],
            [BRAIN, "norm.mgz"]
        );
        assert!(holds_the_brain(Path::new("m/bert_brainmask.mgz")) && !holds_the_brain(Path::new("m/brain.mgz")));
    }
}
