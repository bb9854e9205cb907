//! The endings that image files have in their names. Files are recognised by content; names say which files to look at.

use std::path::{Path, PathBuf};

/// The endings of image files in lower case, the longest first where one ends in another.
pub const IMAGE_ENDINGS: [&str; 9] =
    [".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img", ".mgh.gz", ".mgh", ".mgz"];

/// The name of an image file without its ending (in upper or lower case); `None` where it is not named like an image.
///
/// ```
/// use voxplain_volume::image_stem;
/// assert_eq!(image_stem("sub-01_v1.2_T1w.nii.gz"), Some("sub-01_v1.2_T1w"));
/// assert_eq!(image_stem("BRAIN.MGZ"), Some("BRAIN"));
/// assert_eq!(image_stem("participants.tsv"), None);
/// ```
pub fn image_stem(name: &str) -> Option<&str> {
    split(name).map(|(stem, _)| stem)
}

fn split(name: &str) -> Option<(&str, &'static str)> {
    IMAGE_ENDINGS.into_iter().find_map(|ending| {
        let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        (!stem.is_empty() && end.eq_ignore_ascii_case(ending)).then_some((stem, ending))
    })
}

/// A path without the ending of its file, from which the other file of a pair is found.
pub(super) struct Stem {
    pub(super) path: PathBuf,
    ending: &'static str,
}

impl Stem {
    pub(super) fn of(path: &Path) -> Self {
        let name = path.file_name().and_then(|n| n.to_str());
        match name.and_then(split) {
            Some((stem, ending)) => Self { path: path.with_file_name(stem), ending },
            // Named like something else: what is behind the last dot is taken as its ending.
            None => Self { path: path.with_extension(""), ending: "" },
        }
    }

    /// Whether the file has this ending (`.img`), gzipped or not.
    pub(super) fn is(&self, ending: &str) -> bool {
        self.ending.trim_end_matches(".gz") == ending
    }

    /// The other file of a pair, by its ending (`.hdr`), gzipped or not.
    pub(super) fn beside(&self, ending: &str) -> Option<PathBuf> {
        let upper = ending.to_ascii_uppercase();
        let endings = [ending.to_owned(), format!("{ending}.gz"), upper.clone(), format!("{upper}.gz")];
        let named = |ending| {
            let mut name = self.path.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        endings.into_iter().map(named).find(|p| p.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_endings_come_before_those_they_end_in() {
        for (n, ending) in IMAGE_ENDINGS.iter().enumerate() {
            assert!(IMAGE_ENDINGS[n + 1..].iter().all(|later| !later.ends_with(ending)), "{ending}");
            assert_eq!(image_stem(&format!("a.b{ending}")), Some("a.b"));
            assert_eq!(image_stem(ending), None, "a name is not an ending alone");
        }
        assert_eq!((image_stem("é.nii"), image_stem("éé"), image_stem("")), (Some("é"), None, None));
    }

    #[test]
    fn pairs_are_found_by_their_stem() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.1.IMG.gz"), b"").unwrap();
        let stem = Stem::of(&at("a.1.hdr"));
        assert!(stem.is(".hdr") && !stem.is(".img"));
        assert_eq!((stem.beside(".img"), stem.beside(".hdr")), (Some(at("a.1.IMG.gz")), None));
        std::fs::write(at("a.1.IMG"), b"").unwrap();
        assert_eq!(stem.beside(".img"), Some(at("a.1.IMG")));
        assert!(Stem::of(&at("a.1.IMG.gz")).is(".img"));
    }
}
