//! [`Source`]: where images come from: a BIDS dataset, a folder, a table of paths, or an array of prepared volumes.

use std::{
    fs,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result};
use voxplain_volume::image_stem;

/// What lies at the path of a source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// `sub-*/[ses-*/]anat/*_T1w.nii[.gz]`.
    Bids(PathBuf),
    /// Any folder of images.
    Folder(PathBuf),
    /// A CSV or TSV file with a column of paths.
    Table(PathBuf),
    /// `.npy` or `.npy.gz`, `[N, i, j, k]`.
    Tensors(PathBuf),
}

impl Source {
    /// The kind of source that lies at a path.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let known =
            "give a BIDS dataset, a folder of images, a table (.csv, .tsv) with a column of paths, or tensors (.npy)";
        if path.is_dir() {
            for folder in folders(path)?.iter().filter(|f| name(f).starts_with("sub-")) {
                if has_anat(folder)? {
                    return Ok(Self::Bids(path.to_owned()));
                }
            }
            return Ok(Self::Folder(path.to_owned()));
        }
        if !path.exists() {
            return Err(Error::file(path, "there is no such file or folder", known));
        }
        let file = name(path).to_ascii_lowercase();
        if file.ends_with(".npy") || file.ends_with(".npy.gz") {
            Ok(Self::Tensors(path.to_owned()))
        } else if [".csv", ".tsv", ".txt"].iter().any(|e| file.ends_with(e)) {
            Ok(Self::Table(path.to_owned()))
        } else {
            Err(Error::file(path, "this is no source of images", known))
        }
    }

    /// The folder that the images lie in.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Bids(path) | Self::Folder(path) => path,
            Self::Table(path) | Self::Tensors(path) => path.parent().unwrap_or_else(|| Path::new("")),
        }
    }

    /// All image files of a dataset or folder, by path; `.hdr`/`.img` pairs count once.
    pub(super) fn images(&self) -> Result<Vec<PathBuf>> {
        let mut found = match self {
            Self::Bids(root) => {
                let mut found = Vec::new();
                for subject in folders(root)?.into_iter().filter(|f| name(f).starts_with("sub-")) {
                    let sessions = folders(&subject)?.into_iter().filter(|f| name(f).starts_with("ses-"));
                    for place in std::iter::once(subject.clone()).chain(sessions) {
                        let anat = place.join("anat");
                        if anat.is_dir() {
                            let is_t1 = |f: &PathBuf| stem(f).is_some_and(|s| s.ends_with("_T1w"));
                            found.extend(files(&anat)?.into_iter().filter(is_t1));
                        }
                    }
                }
                found
            }
            Self::Folder(root) => {
                let mut found = Vec::new();
                walk(root, 0, &mut found)?;
                found.into_iter().filter(|f| stem(f).is_some()).collect()
            }
            Self::Table(_) | Self::Tensors(_) => Vec::new(),
        };
        let headers: Vec<PathBuf> = found.iter().filter(|f| ends(f, &[".hdr", ".hdr.gz"])).cloned().collect();
        let has_header = |f: &Path| headers.iter().any(|h| h.parent() == f.parent() && stem(h) == stem(f));
        found.retain(|f| !(ends(f, &[".img", ".img.gz"]) && has_header(f)));
        found.sort();
        Ok(found)
    }
}

/// The name of an image file without its ending; `None` when it is not named like an image.
pub(super) fn stem(path: &Path) -> Option<&str> {
    Some(name(path)).filter(|name| !name.starts_with('.')).and_then(image_stem)
}

/// The absolute path; that of the working directory for an empty path (the parent of a bare file name).
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).map_err(Error::io(path))
}

/// All files below a folder, folders that are linked in included.
pub(super) fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    // Deeper than any dataset, shallow enough for a link that leads back to where it lies.
    if depth > 12 {
        return Ok(());
    }
    found.extend(files(folder)?);
    folders(folder)?.iter().try_for_each(|f| walk(f, depth + 1, found))
}

/// The files of a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, Path::is_file)
}

pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, Path::is_dir)
}

fn entries(folder: &Path, is: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>())
        .map_err(Error::io(folder))?;
    found.retain(|p| !name(p).starts_with('.') && is(p));
    found.sort();
    Ok(found)
}

/// The last part of a path; empty where it is not Unicode.
pub(super) fn name(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
}

fn ends(path: &Path, endings: &[&str]) -> bool {
    let name = name(path).to_ascii_lowercase();
    endings.iter().any(|e| name.ends_with(e))
}

/// Whether a subject's folder holds anatomical images as BIDS has them: `anat`, or `ses-*/anat`.
fn has_anat(subject: &Path) -> Result<bool> {
    let is_session = |s: &PathBuf| name(s).starts_with("ses-") && s.join("anat").is_dir();
    Ok(subject.join("anat").is_dir() || folders(subject)?.iter().any(is_session))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn found(files: &[&str]) -> (Source, Vec<String>) {
        let dir = tree(files);
        let source = Source::of(dir.path()).unwrap();
        let images = source.images().unwrap();
        let relative = |p: &PathBuf| p.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/");
        let images = images.iter().map(relative).collect();
        (source, images)
    }

    #[test]
    fn bids_takes_t1w_of_every_session() {
        let (source, images) = found(&[
            "participants.tsv",
            "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
            "sub-01/anat/sub-01_T1w.nii",
            "sub-01/anat/sub-01_T1w.json",
            "sub-01/anat/sub-01_T2w.nii.gz",
            "sub-01/func/sub-01_task-rest_bold.nii.gz",
            "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
        ]);
        assert!(matches!(source, Source::Bids(_)));
        assert_eq!(images, ["sub-01/anat/sub-01_T1w.nii", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"]);
    }

    #[test]
    fn a_folder_takes_images_by_name_and_pairs_once() {
        let (source, images) =
            found(&["b/x.mgz", "a.NII.GZ", "notes.txt", "c/p.hdr", "c/p.img", "q.img", ".hidden.nii", "sub-1.nii"]);
        assert!(matches!(source, Source::Folder(_)));
        assert_eq!(images, ["a.NII.GZ", "b/x.mgz", "c/p.hdr", "q.img", "sub-1.nii"]);
    }

    #[test]
    fn other_things_are_refused() {
        let dir = tree(&["a.docx", "t.tsv", "x.npy.gz"]);
        assert!(Source::of(&dir.path().join("a.docx")).is_err());
        assert!(Source::of(&dir.path().join("missing")).is_err());
        assert!(matches!(Source::of(&dir.path().join("t.tsv")).unwrap(), Source::Table(_)));
        assert!(matches!(Source::of(&dir.path().join("x.npy.gz")).unwrap(), Source::Tensors(_)));
    }
}
