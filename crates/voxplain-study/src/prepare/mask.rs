//! [`MaskRule`]: which file is the brain mask of an image.

use super::{
    matching::few,
    source::{Source, absolute, files, folders, is_there, name, stem, walk},
};
use crate::setting::MASK;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};
use voxplain_core::{Error, Result, remedy};

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

    /// The mask of an image: `<stem><suffix>`, `<stem without its last _part><suffix>` or `<id><suffix>`, beside
    /// the image, else anywhere below the source, else in the folders beside the image's.
    pub(super) fn find(&self, image: &Path, id: &str) -> Result<PathBuf> {
        let stem = stem(image).unwrap_or_else(|| name(image));
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
    fn what_the_user_typed() {
        let dir = dir(&["mask.nii"]);
        let file = dir.path().join("mask.nii");
        assert_eq!(file.to_str().unwrap().parse(), Ok(MaskRule::File(file.clone())));
        assert_eq!("_mask.nii".parse(), Ok(MaskRule::Suffix("_mask.nii".into())));
        assert_eq!("nonzero".parse(), Ok(MaskRule::Nonzero));
        assert!("no/such/mask.nii".parse::<MaskRule>().is_err());
    }
}
