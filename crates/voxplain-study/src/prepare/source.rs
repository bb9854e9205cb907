//! [`Source`]: where images come from: a BIDS dataset, a `SUBJECTS_DIR`, a folder, a table of paths, or an array of prepared volumes.

use super::{freesurfer, matching::few};
use crate::cohort::LeftOut;
use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result};
use voxplain_volume::image_stem;

/// What lies at the path of a source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// `sub-*/[ses-*/]anat/*_T1w.nii[.gz]`; where labels are named (`01`), of these people alone.
    Bids(PathBuf, Option<Vec<String>>),
    /// A `SUBJECTS_DIR` of FreeSurfer: `<id>/mri/brain.mgz`.
    FreeSurfer(PathBuf),
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
        let known = "give a BIDS dataset, a SUBJECTS_DIR, a folder of images, a table (.csv, .tsv) with a column of paths, or tensors (.npy)";
        if path.is_dir() {
            for folder in folders(path)?.iter().filter(|f| name(f).starts_with("sub-")) {
                if has_anat(folder)? {
                    return Ok(Self::Bids(path.to_owned(), None));
                }
            }
            if freesurfer::is_subjects_dir(path)? {
                return Ok(Self::FreeSurfer(path.to_owned()));
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

    /// The same, of the people with these labels alone.
    ///
    /// # Errors
    /// It is no BIDS dataset, or has nobody of such a label.
    pub(super) fn of_labels(self, labels: Option<&[String]>) -> Result<Self> {
        let Some(labels) = labels else { return Ok(self) };
        let Self::Bids(root, _) = self else {
            return Err(Error::file(
                self.path(),
                "people are named by their labels, and this is no BIDS dataset: no folder sub-* in it has a folder anat",
                "give the folder that holds sub-01, sub-02 and so on",
            ));
        };
        let unknown: Vec<&String> = labels.iter().filter(|label| !root.join(format!("sub-{label}")).is_dir()).collect();
        if !unknown.is_empty() {
            let there = folders(&root)?;
            let there = few(there.iter().map(|folder| name(folder)).filter(|name| name.starts_with("sub-")));
            let what = format!("it has no {}", few(unknown.iter().map(|label| format!("sub-{label}"))));
            return Err(Error::file(root, what, format!("there are {there}")));
        }
        Ok(Self::Bids(root, Some(labels.to_vec())))
    }

    /// The folder or file itself.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Bids(path, _)
            | Self::FreeSurfer(path)
            | Self::Folder(path)
            | Self::Table(path)
            | Self::Tensors(path) => path,
        }
    }

    /// The folder that the images lie in.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Bids(path, _) | Self::FreeSurfer(path) | Self::Folder(path) => path,
            Self::Table(path) | Self::Tensors(path) => path.parent().unwrap_or_else(|| Path::new("")),
        }
    }

    /// All image files of a folder, or those of a BIDS dataset with a suffix (any, where it is empty), by path; `.hdr`/`.img` pairs
    /// count once. And what could not be looked at, and who has none.
    pub(super) fn images(&self, suffix: &str) -> Result<FoundImages> {
        let (mut odd, mut lacking) = (Vec::new(), Vec::new());
        let mut found = match self {
            Self::Bids(root, labels) => {
                let mut found = Vec::new();
                let ending = if suffix.is_empty() { String::new() } else { format!("_{suffix}") };
                let top = Listing::of(root)?;
                let is_asked_for = |folder: &PathBuf| {
                    let label = name(folder).strip_prefix("sub-");
                    label.is_some_and(|label| labels.as_ref().is_none_or(|of| of.iter().any(|one| one == label)))
                };
                let of_nobody = |left: &LeftOut| left.what.ends_with(".tsv");
                let is_of_them = |left: &LeftOut| labels.is_none() || is_asked_for(&PathBuf::from(&left.what));
                odd.extend(top.odd.into_iter().filter(|left| !of_nobody(left) && is_of_them(left)));
                for subject in top.folders.into_iter().filter(is_asked_for) {
                    let Some(inside) = or_odd(&subject, &mut odd) else { continue };
                    let sessions = inside.folders.into_iter().filter(|f| name(f).starts_with("ses-"));
                    let (of_others, known) = (found.len(), odd.len());
                    let (mut places, mut others) = (0, Vec::new());
                    for place in std::iter::once(subject.clone()).chain(sessions) {
                        let anat = place.join("anat");
                        if is_there(&anat) || anat.is_dir() {
                            places += 1;
                            let is_of_it = |f: &PathBuf| stem(f).is_some_and(|s| s.ends_with(&ending));
                            let files = or_odd(&anat, &mut odd).unwrap_or_default().files;
                            let (images, rest): (Vec<_>, Vec<_>) = files.into_iter().partition(is_of_it);
                            let is_own = |f: &PathBuf| name(f).split('_').next() == Some(name(&subject));
                            let (own, strange): (Vec<_>, Vec<_>) = images.into_iter().partition(is_own);
                            found.extend(own);
                            odd.extend(strange.into_iter().map(|f| {
                                let why =
                                    format!("its name is that of another person than its folder, {}", name(&subject));
                                LeftOut::new(f.display().to_string(), why)
                            }));
                            others.extend(rest.into_iter().filter(|f| stem(f).is_some() || is_foreign(f)));
                        }
                    }
                    if found.len() == of_others && odd.len() == known {
                        lacking.push(LeftOut::new(subject.display().to_string(), why_lacking(places, &others)));
                    }
                }
                found
            }
            Self::Folder(root) => {
                let (images, rest): (Vec<_>, Vec<_>) =
                    walk(root, &mut odd)?.into_iter().partition(|f| stem(f).is_some());
                lacking = foreign(&rest);
                images
            }
            Self::FreeSurfer(_) | Self::Table(_) | Self::Tensors(_) => Vec::new(),
        };
        pairs_once(&mut found);
        found.sort();
        Ok(FoundImages { images: found, odd, lacking })
    }
}

/// All image files of a folder and of those below it, by path, whatever they show; `.hdr`/`.img` pairs count once. And what could not be
/// looked at, or is of a format that is not read.
///
/// # Errors
/// The folder cannot be read.
pub fn images_below(folder: &Path) -> Result<(Vec<PathBuf>, Vec<LeftOut>)> {
    let mut odd = Vec::new();
    let (mut images, rest): (Vec<_>, Vec<_>) = walk(folder, &mut odd)?.into_iter().partition(|f| stem(f).is_some());
    odd.extend(foreign(&rest));
    pairs_once(&mut images);
    Ok((images, odd))
}

/// What [`Source::images`] finds.
#[derive(Debug, Default)]
pub(super) struct FoundImages {
    pub(super) images: Vec<PathBuf>,
    /// What could not be looked at, or contradicts itself.
    pub(super) odd: Vec<LeftOut>,
    /// Folders of people without an image, and images in formats that are not read.
    pub(super) lacking: Vec<LeftOut>,
}

/// Why the folder of a person gives no image: how many folders `anat` it has, and the images there.
fn why_lacking(places: usize, others: &[PathBuf]) -> String {
    match (places, others.is_empty()) {
        (0, _) => "no folder anat in it".to_owned(),
        (_, true) => "no image in its anat".to_owned(),
        _ => {
            format!("no image in its anat is named ..._T1w.nii[.gz]; there is {}", few(others.iter().map(|f| name(f))))
        }
    }
}

/// Endings of images that are not read; those of DICOM are slices.
const FOREIGN: [&str; 12] =
    [".nii.bz2", ".nii.xz", ".nii.zip", ".nii.zst", ".nrrd", ".nhdr", ".mnc", ".mha", ".mhd", ".dcm", ".ima", ".dicom"];

fn is_foreign(path: &Path) -> bool {
    !name(path).starts_with('.') && ends(path, &FOREIGN)
}

/// Images in formats that are not read; of DICOM, the folders.
fn foreign(files: &[PathBuf]) -> Vec<LeftOut> {
    let of = |f: &PathBuf| {
        let is_slice = ends(f, &FOREIGN[9..]);
        let what = if is_slice { f.parent().unwrap_or(f) } else { f };
        let why = if is_slice {
            "DICOM is not read: make NIfTI of it (dcm2niix)"
        } else {
            "this format is not read: make .nii or .nii.gz of it"
        };
        (what.display().to_string(), why)
    };
    let found: BTreeSet<(String, &str)> = files.iter().filter(|f| is_foreign(f)).map(of).collect();
    found.into_iter().map(|(what, why)| LeftOut::new(what, why)).collect()
}

/// Of `.hdr`/`.img` pairs, leaves the header.
pub(super) fn pairs_once(files: &mut Vec<PathBuf>) {
    let headers: Vec<PathBuf> = files.iter().filter(|f| ends(f, &[".hdr", ".hdr.gz"])).cloned().collect();
    let has_header = |f: &Path| headers.iter().any(|h| h.parent() == f.parent() && stem(h) == stem(f));
    files.retain(|f| !(ends(f, &[".img", ".img.gz"]) && has_header(f)));
}

/// What lies in a folder; `None`, and a note, where that cannot be looked at. What is odd in it is noted too.
fn or_odd(folder: &Path, odd: &mut Vec<LeftOut>) -> Option<Listing> {
    match Listing::of(folder) {
        Ok(mut inside) => {
            odd.append(&mut inside.odd);
            Some(inside)
        }
        Err(e) => {
            odd.push(LeftOut::new(folder.display().to_string(), format!("the folder cannot be read ({})", cause(&e))));
            None
        }
    }
}

/// The name of an image file without its ending; `None` when it is not named like an image.
pub(super) fn stem(path: &Path) -> Option<&str> {
    Some(name(path)).filter(|name| !name.starts_with('.')).and_then(image_stem)
}

/// What an image is called after: its name without ending; in the folder of a FreeSurfer subject (`bert/mri/brain.mgz`), the name of
/// that folder.
pub(super) fn called(path: &Path) -> &str {
    freesurfer::subject(path).or_else(|| stem(path)).unwrap_or_else(|| name(path))
}

/// The absolute path; that of the working directory for an empty path (the parent of a bare file name).
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).map_err(Error::io(path))
}

/// All files below a folder, folders that are linked in included. Each real folder once, wherever links lead; one that holds
/// the folder itself is not entered. What cannot be looked at is noted in `odd`.
pub(super) fn walk(root: &Path, odd: &mut Vec<LeftOut>) -> Result<Vec<PathBuf>> {
    let real = |folder: &Path| folder.canonicalize().map_err(Error::io(folder));
    let top = real(root)?;
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    let (mut ahead, mut links) = (vec![root.to_owned()], Vec::new());
    // Folders before links, so that a file is known by its own path.
    while let Some(folder) = ahead.pop().or_else(|| links.pop()) {
        let place = real(&folder)?;
        if (place != top && top.starts_with(&place)) || !seen.insert(place) {
            continue;
        }
        let inside = match Listing::of(&folder) {
            Ok(inside) => inside,
            Err(e) if folder != root => {
                odd.push(LeftOut::new(
                    folder.display().to_string(),
                    format!("the folder cannot be read ({})", cause(&e)),
                ));
                continue;
            }
            Err(e) => return Err(e),
        };
        odd.extend(inside.odd);
        found.extend(inside.files);
        let (linked, own): (Vec<_>, Vec<_>) = inside.folders.into_iter().rev().partition(|f| f.is_symlink());
        ahead.extend(own);
        links.extend(linked);
    }
    found.sort();
    Ok(found)
}

/// What the system said, without the path.
fn cause(error: &Error) -> String {
    match error {
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// What lies in a folder, in the order of names; what begins with a dot is left aside.
#[derive(Default)]
struct Listing {
    /// Files, and links named like images that lead nowhere: whoever reads them says so.
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// What cannot be looked at, and why.
    odd: Vec<LeftOut>,
}

impl Listing {
    fn of(folder: &Path) -> Result<Self> {
        let mut paths = fs::read_dir(folder)
            .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>())
            .map_err(Error::io(folder))?;
        paths.sort();
        let mut listing = Self::default();
        for path in paths {
            let Some(text) = path.file_name().and_then(|n| n.to_str()) else {
                // Whatever else it is, an image or a folder of images may be meant.
                let lossy = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if path.is_dir() || image_stem(&lossy).is_some() {
                    listing.odd.push(LeftOut::new(path.display().to_string(), "the name is not UTF-8 (rename it)"));
                }
                continue;
            };
            if text.starts_with('.') {
                continue;
            }
            match fs::metadata(&path) {
                Ok(is) if is.is_dir() => {
                    let is_empty = || fs::read_dir(&path).is_ok_and(|mut inside| inside.next().is_none());
                    if image_stem(text).is_some() && is_empty() {
                        let why = "it is named like an image, and is an empty folder";
                        listing.odd.push(LeftOut::new(path.display().to_string(), why));
                    } else {
                        listing.folders.push(path);
                    }
                }
                Ok(is) if is.is_file() => listing.files.push(path),
                Ok(_) if image_stem(text).is_some() => {
                    let why = "it is named like an image, and is a pipe or a device";
                    listing.odd.push(LeftOut::new(path.display().to_string(), why));
                }
                Ok(_) => {}
                Err(_) if path.is_symlink() && image_stem(text).is_some() => listing.files.push(path),
                Err(_) if path.is_symlink() && text.contains('.') => {}
                Err(_) if path.is_symlink() => {
                    listing
                        .odd
                        .push(LeftOut::new(path.display().to_string(), "the link leads to nothing that is here"));
                }
                Err(e) => {
                    listing.odd.push(LeftOut::new(path.display().to_string(), format!("it cannot be read ({e})")));
                }
            }
        }
        Ok(listing)
    }
}

/// Refuses a file whose content is not here: a link that leads nowhere, or the placeholder of git-annex or Git LFS.
pub(crate) fn fetched(path: &Path) -> Result<()> {
    let remedy = || format!("fetch it: `datalad get {}` (or `git annex get`), or copy the file itself", path.display());
    if path.is_symlink() && !path.exists() {
        let target = fs::read_link(path).map_err(Error::io(path))?;
        let annex = target.components().any(|c| c.as_os_str() == "annex");
        let what = format!("is a link to {}, which is not here", target.display());
        return Err(match annex {
            true => Error::file(path, format!("{what}: its content was not fetched (git-annex)"), remedy()),
            false => Error::file(path, what, "copy the file itself, or mend the link"),
        });
    }
    let mut start = [0; 64];
    // Whether it can be read at all is said by whoever reads it.
    let read = voxplain_core::input::open(path).and_then(|mut f| f.read(&mut start)).unwrap_or(0);
    let start = &start[..read];
    if start.starts_with(b"/annex/objects/") {
        return Err(Error::file(path, "is a placeholder: its content was not fetched (git-annex)", remedy()));
    }
    if start.starts_with(b"version https://git-lfs") {
        let what = "is a placeholder: its content was not fetched (Git LFS)";
        return Err(Error::file(path, what, format!("fetch it: `git lfs pull --include {}`", path.display())));
    }
    Ok(())
}

/// Whether a file is there, or a link that says where it should be.
pub(super) fn is_there(path: &Path) -> bool {
    path.is_file() || path.is_symlink()
}

/// The files of a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(Listing::of(folder)?.files)
}

pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(Listing::of(folder)?.folders)
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
    use crate::prepare::tree::tree;

    fn found(files: &[&str]) -> (Source, Vec<String>) {
        let dir = tree(files);
        let source = Source::of(dir.path()).unwrap();
        let images = source.images("T1w").unwrap().images;
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
        assert!(matches!(source, Source::Bids(..)));
        assert_eq!(images, ["sub-01/anat/sub-01_T1w.nii", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"]);
    }

    #[test]
    fn a_folder_takes_images_by_name_and_pairs_once() {
        let (source, images) =
            found(&["b/x.mgz", "a.NII.GZ", "notes.txt", "c/p.hdr", "c/p.img", "q.img", ".hidden.nii", "sub-1.nii"]);
        assert!(matches!(source, Source::Folder(_)));
        assert_eq!(images, ["a.NII.GZ", "b/x.mgz", "c/p.hdr", "q.img", "sub-1.nii"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_go_round_or_nowhere_and_names_that_are_no_text() {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};
        let dir = tree(["a/one.nii", "b/two.nii"]);
        let at = |p: &str| dir.path().join(p);
        symlink(dir.path(), at("a/round")).unwrap();
        symlink("..", at("a/up")).unwrap();
        symlink(at("b"), at("a/b-again")).unwrap();
        symlink(".git/annex/objects/x/MD5-1.nii", at("a/three.nii")).unwrap();
        symlink("/nowhere", at("sub-04")).unwrap();
        fs::write(at("b").join(std::ffi::OsStr::from_bytes(b"f\xfcnf.nii")), "").unwrap();
        let FoundImages { images, odd, .. } = Source::Folder(dir.path().to_owned()).images("T1w").unwrap();
        let relative: Vec<_> = images.iter().map(|p| p.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(relative, ["a/one.nii", "a/three.nii", "b/two.nii"]);
        let mut why: Vec<&str> = odd.iter().map(|l| l.why.as_str()).collect();
        why.sort_unstable();
        assert_eq!(why, ["the link leads to nothing that is here", "the name is not UTF-8 (rename it)"]);
        let error = fetched(&at("a/three.nii")).unwrap_err();
        assert!(error.to_string().contains("not fetched (git-annex)"), "{error}");
        assert!(error.remedy().unwrap().to_string().contains("datalad get"));
        fs::write(at("b/four.nii"), "/annex/objects/MD5-2.nii\n").unwrap();
        assert!(fetched(&at("b/four.nii")).unwrap_err().to_string().contains("placeholder"));
        assert!(fetched(&at("b/two.nii")).is_ok() && fetched(&at("b/missing.nii")).is_ok());
    }

    #[test]
    fn whose_images_are_not_read_is_named() {
        let dir = tree([
            "sub-01/anat/sub-01_T1w.nii",
            "sub-02/anat/sub-02_MPRAGE.nii",
            "sub-03/func/sub-03_task-rest_bold.nii",
            "sub-04/anat/sub-05_T1w.nii",
            "sub-06/anat/sub-06_T1w.json",
        ]);
        let found = Source::of(dir.path()).unwrap().images("T1w").unwrap();
        let lacking: Vec<_> = found.lacking.iter().map(|l| (name(Path::new(&l.what)), l.why.as_str())).collect();
        assert_eq!(
            lacking,
            [
                ("sub-02", "no image in its anat is named ..._T1w.nii[.gz]; there is sub-02_MPRAGE.nii"),
                ("sub-03", "no folder anat in it"),
                ("sub-06", "no image in its anat"),
            ]
        );
        assert_eq!(found.odd[0].why, "its name is that of another person than its folder, sub-04");
        assert_eq!(found.images.len(), 1);
        let dir = tree(["a.nii", "b.nii.bz2", "c/1.dcm", "c/2.dcm"]);
        fs::create_dir(dir.path().join("d.nii")).unwrap();
        let found = Source::of(dir.path()).unwrap().images("T1w").unwrap();
        let lacking: Vec<_> = found.lacking.iter().map(|l| name(Path::new(&l.what))).collect();
        assert_eq!((lacking, found.odd.len()), (vec!["b.nii.bz2", "c"], 1));
    }

    #[test]
    fn other_things_are_refused() {
        let dir = tree(["a.docx", "t.tsv", "x.npy.gz"]);
        assert!(Source::of(&dir.path().join("a.docx")).is_err());
        assert!(Source::of(&dir.path().join("missing")).is_err());
        assert!(matches!(Source::of(&dir.path().join("t.tsv")).unwrap(), Source::Table(_)));
        assert!(matches!(Source::of(&dir.path().join("x.npy.gz")).unwrap(), Source::Tensors(_)));
    }
}
