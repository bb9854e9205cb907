//! [`MaskRule`]: which file is the brain mask of an image.

use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

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
        assert_eq!("nonzero".parse(), Ok(MaskRule::Nonzero));
        assert!("no/such/mask.nii".parse::<MaskRule>().is_err());
    }
}
