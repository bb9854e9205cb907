//! [`MaskRule`]: which file is the brain mask of an image.

use super::{
    entities::Entities,
    matching::few,
    source::{Source, absolute, files, folders, is_there, name, stem, walk},
};
use crate::setting::MASK;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    str::FromStr,
};
use voxplain_core::{Error, Result, remedy};
use voxplain_volume::image_stem;

/// Where brain masks come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskRule {
    /// Where the image itself is not 0: for skull-stripped images.
    #[default]
    Nonzero,
    /// A file per subject, named as the image with this ending.
    Suffix(String),
    /// One file for all: for images in template space.
    File(PathBuf),
}

impl FromStr for MaskRule {
    type Err = String;

    /// `nonzero`, the path of a file that is there, or a suffix.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("expected a suffix such as _mask.nii.gz, a file, or nonzero".into())
        } else if text == "nonzero" {
            Ok(Self::Nonzero)
        } else if Path::new(text).is_file() {
            Ok(Self::File(text.into()))
        } else if text.contains(['/', '\\']) {
            Err(format!("there is no file {text}"))
        } else {
            Ok(Self::Suffix(text.into()))
        }
    }
}

/// Finds the masks of images by a suffix of their names.
#[derive(Debug)]
pub(super) struct MaskFinder<'a> {
    suffix: &'a str,
    /// Every file below the source that ends in the suffix, by name.
    below: BTreeMap<String, Vec<PathBuf>>,
}

impl<'a> MaskFinder<'a> {
    pub(super) fn new(suffix: &'a str, source: &Source) -> Result<Self> {
        // What cannot be looked at is told with the images.
        let all = match source {
            Source::Bids(root) | Source::Folder(root) => walk(root, &mut Vec::new())?,
            Source::Table(_) | Source::Tensors(_) => Vec::new(),
        };
        let mut below: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in all {
            if name(&path).ends_with(suffix) {
                below.entry(name(&path).to_owned()).or_default().push(path);
            }
        }
        Ok(Self { suffix, below })
    }

    /// Whether a file is named like a mask and so is no image.
    pub(super) fn is_mask(&self, path: &Path) -> bool {
        name(path).ends_with(self.suffix)
    }

    /// The mask of an image with a BIDS name: of the files that end in the suffix, the one that agrees with it in every entity
    /// but `desc`; beside it, else anywhere below the source or in the folders beside the image's.
    fn of_bids(&self, image: &Path, stem: &str, entities: &Entities<'_>, id: &str) -> Result<PathBuf> {
        let folder = image.parent().unwrap_or_else(|| Path::new(""));
        let exact = folder.join(format!("{stem}{}", self.suffix));
        if is_there(&exact) {
            return Ok(exact);
        }
        let suffix = image_stem(self.suffix).unwrap_or(self.suffix);
        let own = Entities::pairs(suffix);
        let agrees = |p: &PathBuf| {
            let theirs = super::source::stem(p).and_then(Entities::of);
            theirs.is_some_and(|theirs| entities.agree(&theirs, &own))
        };
        let mut all: Vec<PathBuf> = files(folder)?.into_iter().filter(|p| self.is_mask(p)).collect();
        let mut found: Vec<PathBuf> = all.iter().filter(|p| agrees(p)).cloned().collect();
        if found.is_empty() {
            all.extend(self.below.values().flatten().cloned());
            if let Some(parent) = absolute(folder)?.parent() {
                for beside in folders(parent)? {
                    all.extend(files(&beside)?.into_iter().filter(|p| self.is_mask(p)));
                }
            }
            let mut seen = BTreeSet::new();
            all.retain(|p| seen.insert(p.canonicalize().unwrap_or_else(|_| p.clone())));
            found = all.iter().filter(|p| agrees(p)).cloned().collect();
        }
        if found.is_empty() {
            // Names without entities, by the id alone, where the image has no other entity.
            let plain = [format!("{id}{}", self.suffix)];
            let only = Entities::pairs(stem) == Entities::pairs(&format!("sub-{id}"));
            found = all.iter().filter(|p| only && plain.contains(&name(p).to_owned())).cloned().collect();
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => {
                let same = |p: &&PathBuf| {
                    let theirs = super::source::stem(p).and_then(Entities::of);
                    theirs.is_some_and(|theirs| theirs.get("sub") == entities.get("sub"))
                };
                let near: Vec<&str> = all.iter().filter(same).map(|p| name(p)).collect();
                let near = match near.len() {
                    0 => format!("of {} files that end in {} none is this subject's", all.len(), self.suffix),
                    _ => format!("these differ from it in an entity: {}", few(near)),
                };
                let what = format!("there is no mask for {}: {near}", image.display());
                let remedy =
                    remedy!["check ", MASK, "; a mask has every entity of its image (ses, run, space, ...) but desc"];
                Err(Error::subject(id, what, remedy))
            }
            several => {
                let all = few(several.iter().map(|p| p.display().to_string()));
                let what = format!("there are {} masks for it: {all}", several.len());
                Err(Error::subject(id, what, remedy!["give a longer suffix with ", MASK, ", or keep one of them"]))
            }
        }
    }

    /// The mask of an image: `<stem><suffix>`, `<stem without its last _part><suffix>` or `<id><suffix>`, beside
    /// the image, else anywhere below the source, else in the folders beside the image's.
    pub(super) fn find(&self, image: &Path, id: &str) -> Result<PathBuf> {
        let stem = stem(image).unwrap_or_else(|| name(image));
        if let Some(entities) = Entities::of(stem) {
            return self.of_bids(image, stem, &entities, id);
        }
        let mut names = vec![format!("{stem}{}", self.suffix)];
        if let Some((head, _)) = stem.rsplit_once('_') {
            names.push(format!("{head}{}", self.suffix));
        }
        names.extend([format!("sub-{id}{}", self.suffix), format!("{id}{}", self.suffix)]);
        let folder = image.parent().unwrap_or_else(|| Path::new(""));
        if let Some(found) = names.iter().map(|n| folder.join(n)).find(|p| is_there(p)) {
            return Ok(found);
        }
        for wanted in &names {
            match self.below.get(wanted).map(Vec::as_slice) {
                Some([one]) => return Ok(one.clone()),
                Some(several) => {
                    let all = few(several.iter().map(|p| p.display().to_string()));
                    let what = format!("there are {} masks for it: {all}", several.len());
                    return Err(Error::subject(id, what, "keep one of them, or give a longer suffix"));
                }
                None => {}
            }
        }
        let beside = match absolute(folder)?.parent() {
            Some(parent) => folders(parent)?,
            None => Vec::new(),
        };
        for wanted in &names {
            let found: Vec<PathBuf> = beside.iter().map(|f| f.join(wanted)).filter(|p| is_there(p)).collect();
            match found.as_slice() {
                [] => {}
                [one] => return Ok(one.clone()),
                several => {
                    let all = few(several.iter().map(|p| p.display().to_string()));
                    return Err(Error::subject(
                        id,
                        format!("there are {} masks for it: {all}", several.len()),
                        "keep one of them",
                    ));
                }
            }
        }
        let near = files(folder)?.iter().filter(|f| self.is_mask(f)).count();
        let what = format!(
            "there is no mask {} for {} ({near} files beside it end in {})",
            names.join(" or "),
            image.display(),
            self.suffix
        );
        Err(Error::subject(id, what, remedy!["check ", MASK, "; without it, images must be skull-stripped"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    fn find(files: &[&str], source: &str, image: &str, suffix: &str) -> Result<String> {
        let dir = dir(files);
        let source = Source::Folder(dir.path().join(source));
        let found = MaskFinder::new(suffix, &source)?.find(&dir.path().join(image), "a")?;
        Ok(found.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/"))
    }

    #[test]
    fn by_name_beside_below_and_in_the_next_folder() {
        let suffix = "_mask.nii.gz";
        let image = "t1/a_T1.nii.gz";
        assert_eq!(
            find(&["t1/a_T1_mask.nii.gz", "t1/a_mask.nii.gz"], "t1", image, suffix).unwrap(),
            "t1/a_T1_mask.nii.gz"
        );
        assert_eq!(find(&["t1/a_mask.nii.gz"], "t1", image, suffix).unwrap(), "t1/a_mask.nii.gz");
        assert_eq!(find(&["t1/x/y/a_mask.nii.gz"], "t1", image, suffix).unwrap(), "t1/x/y/a_mask.nii.gz");
        assert_eq!(find(&["m/a_T1_mask.nii.gz", image], "t1", image, suffix).unwrap(), "m/a_T1_mask.nii.gz");
        let error = find(&["t1/x/a_mask.nii.gz", "t1/y/a_mask.nii.gz"], "t1", image, suffix).unwrap_err();
        assert!(error.to_string().starts_with("subject a: there are 2 masks"), "{error}");
        let error = find(&[image], "t1", image, suffix).unwrap_err();
        assert!(error.to_string().contains("a_T1_mask.nii.gz or a_mask.nii.gz"), "{error}");
    }

    #[test]
    fn by_entities_and_never_one_that_disagrees() {
        let suffix = "_desc-brain_mask.nii.gz";
        let all = ["d/sub-a/anat/sub-a_desc-brain_mask.nii.gz", "d/sub-a/anat/sub-a_space-MNI_desc-brain_mask.nii.gz"];
        let mni = "d/sub-a/anat/sub-a_space-MNI_desc-preproc_T1w.nii.gz";
        assert_eq!(find(&all, "d", mni, suffix).unwrap(), all[1]);
        assert_eq!(find(&all, "d", "d/sub-a/anat/sub-a_desc-preproc_T1w.nii.gz", suffix).unwrap(), all[0]);
        let error = find(&all[..1], "d", mni, suffix).unwrap_err().to_string();
        assert!(error.contains("differ from it in an entity: sub-a_desc-brain_mask.nii.gz"), "{error}");
        let later = "d/derivatives/x/sub-a/ses-2/anat/sub-a_ses-2_desc-brain_mask.nii.gz";
        let image = "d/sub-a/ses-2/anat/sub-a_ses-2_T1w.nii.gz";
        let first = "d/derivatives/x/sub-a/ses-1/anat/sub-a_ses-1_desc-brain_mask.nii.gz";
        assert_eq!(find(&[later, first, image], "d", image, suffix).unwrap(), later);
        assert!(find(&[first, image], "d", image, suffix).is_err());
    }

    #[test]
    fn what_the_user_typed() {
        let dir = dir(&["mask.nii"]);
        let file = dir.path().join("mask.nii");
        assert_eq!(file.to_str().unwrap().parse(), Ok(MaskRule::File(file.clone())));
        assert_eq!("_mask.nii".parse(), Ok(MaskRule::Suffix("_mask.nii".into())));
        assert_eq!("nonzero".parse(), Ok(MaskRule::Nonzero));
        assert!("no/such/mask.nii".parse::<MaskRule>().is_err());
    }
}
