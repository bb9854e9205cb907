//! [`MaskRule`]: which file is the brain mask of an image.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where brain masks come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskRule {
    /// Nothing is said: in the column of masks of a table of paths, where it has one, else as [`MaskRule::Nonzero`].
    #[default]
    Unstated,
    /// Where the image itself is not 0: for skull-stripped images.
    Nonzero,
    /// A file per subject, named as the image with this ending.
    Suffix(String),
    /// One file for all: for images in template space.
    File(PathBuf),
    /// A folder of masks, and, where a pattern is given, those alone whose path below it matches (`*` stands for anything). A
    /// mask is found by the BIDS entities in its name and in those of its folders, or by the id.
    Folder(PathBuf, Option<String>),
}

impl MaskRule {
    /// Whether masks are given, and not where the image itself is not 0.
    pub(super) fn gives_masks(&self) -> bool {
        !matches!(self, Self::Unstated | Self::Nonzero)
    }
}

/// As [`MaskRule::from_str`] reads it; nothing where nothing is said.
impl fmt::Display for MaskRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstated => Ok(()),
            Self::Nonzero => f.write_str("nonzero"),
            Self::Suffix(suffix) => f.write_str(suffix),
            Self::File(path) | Self::Folder(path, None) => write!(f, "{}", path.display()),
            Self::Folder(folder, Some(pattern)) => write!(f, "{}", folder.join(pattern).display()),
        }
    }
}

impl FromStr for MaskRule {
    type Err = String;

    /// `nonzero`, the path of a file or folder that is there, a folder with a pattern (`masks/*_brain.nii.gz`), or a suffix.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("expected a suffix such as _mask.nii.gz, a file, a folder, or nonzero".into())
        } else if text == "nonzero" {
            Ok(Self::Nonzero)
        } else if Path::new(text).is_file() {
            Ok(Self::File(text.into()))
        } else if Path::new(text).is_dir() {
            Ok(Self::Folder(text.into(), None))
        } else if let Some(star) = text.find('*') {
            let folder = text[..star].rfind('/').map_or("", |at| &text[..=at]);
            let place = if folder.is_empty() { Path::new(".") } else { Path::new(folder) };
            match place.is_dir() && text.contains('/') {
                true => Ok(Self::Folder(place.into(), Some(text[folder.len()..].into()))),
                false => Err(format!("{text}: expected a folder before the pattern, as in masks/*_brain.nii.gz")),
            }
        } else if text.contains(['/', '\\']) {
            Err(format!("there is no file or folder {text}"))
        } else {
            Ok(Self::Suffix(text.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_typed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mask.nii");
        std::fs::write(&file, "").unwrap();
        assert_eq!(file.to_str().unwrap().parse(), Ok(MaskRule::File(file.clone())));
        assert_eq!("_mask.nii".parse(), Ok(MaskRule::Suffix("_mask.nii".into())));
        let folder = dir.path().to_str().unwrap();
        assert_eq!(folder.parse(), Ok(MaskRule::Folder(folder.into(), None)));
        let pattern = Some("*/x_*.nii".to_owned());
        assert_eq!(format!("{folder}/*/x_*.nii").parse(), Ok(MaskRule::Folder(format!("{folder}/").into(), pattern)));
        assert!(format!("{folder}/none/*.nii").parse::<MaskRule>().is_err() && "*.nii".parse::<MaskRule>().is_err());
        assert_eq!("nonzero".parse(), Ok(MaskRule::Nonzero));
        for text in ["nonzero", "_mask.nii", folder, file.to_str().unwrap(), &format!("{folder}/*/x_*.nii")] {
            assert_eq!(text.parse::<MaskRule>().unwrap().to_string(), text);
        }
        assert!("no/such/mask.nii".parse::<MaskRule>().is_err());
    }
}
