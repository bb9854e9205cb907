//! [`MaskFolder`]: brain masks in a folder of their own.

use super::{
    contradiction::contradiction,
    entities::Entities,
    mask_finder::OtherSites,
    matching::few,
    pattern::matches,
    source::{called, pairs_once, walk},
};
use crate::{
    cohort::bare,
    listed::does,
    setting::{MASK, MASK_COLUMN},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result, remedy};
use voxplain_volume::image_stem;

/// The brain masks of a folder, and the images that they can be of.
///
/// Names decide. A mask belongs to a person by `sub-` in its name or in that of a folder above it; else its name, or that of such a
/// folder, begins with the person's id (of several ids with the longest) and goes on with something that is neither letter nor digit.
/// Of the masks of a person one that says another session, run, space, ... than the image is never taken.
#[derive(Debug)]
pub(super) struct MaskFolder {
    root: PathBuf,
    /// The same folder without links.
    real: PathBuf,
    pattern: Option<String>,
    /// Masks, below `root`.
    masks: Vec<PathBuf>,
    /// Files beside them that are not named like masks, as masks are there.
    others: Vec<PathBuf>,
    /// Whether the images lie in the folder too, so that only names tell them from masks.
    mixed: bool,
    /// All images, chosen or not, and their ids.
    images: Vec<(PathBuf, String)>,
}

impl MaskFolder {
    /// The masks below `root` (those whose path below it matches a pattern) for the images below `source`. Of several sources each
    /// has those in the folder of its name, where there is one, and none of those of the others.
    pub(super) fn new(whole: &Path, pattern: Option<&str>, source: Option<&Path>, sites: &OtherSites) -> Result<Self> {
        let own = sites.own.as_ref().map(|name| whole.join(name)).filter(|folder| folder.is_dir());
        let root = own.as_deref().unwrap_or(whole);
        let elsewhere: Vec<PathBuf> = match own {
            Some(_) => Vec::new(),
            None => sites.names.iter().map(|name| whole.join(name)).filter(|folder| folder.is_dir()).collect(),
        };
        let real = root.canonicalize().map_err(Error::io(root))?;
        let mixed = source.and_then(|source| source.canonicalize().ok()).is_some_and(|s| s.starts_with(&real));
        let below = |p: &Path, root: &Path| p.strip_prefix(root).unwrap_or(p).to_string_lossy().replace('\\', "/");
        let fits = |p: &Path, pattern: &str| [root, whole].iter().any(|root| matches(pattern, &below(p, root)));
        // What cannot be looked at there and is a mask is missed where its image asks for it.
        let found = walk(root, &mut Vec::new())?.into_iter().filter(|p| super::source::stem(p).is_some());
        let found = found.filter(|p| !elsewhere.iter().any(|other| p.starts_with(other)));
        let mut found: Vec<PathBuf> = found.filter(|p| pattern.is_none_or(|pattern| fits(p, pattern))).collect();
        pairs_once(&mut found);
        let (named, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| is_named_mask(p));
        let (masks, others) = match pattern {
            None if mixed || !named.is_empty() => (named, rest),
            _ => (named.into_iter().chain(rest).collect(), Vec::new()),
        };
        if masks.is_empty() {
            let what = match pattern {
                Some(pattern) => format!("no image in this folder matches `{pattern}`"),
                None if !elsewhere.is_empty() => format!(
                    "the masks in it are those of other sources ({}), and it has no folder {}",
                    few(elsewhere.iter().map(|other| other.display())),
                    sites.own.as_deref().unwrap_or_default()
                ),
                None if mixed => "holds the images, and no file in it is named like a mask".into(),
                None => "there is no image in this folder, and so no mask".into(),
            };
            let remedy =
                remedy!["give the folder of the brain masks, or their names in it as FOLDER/*ENDING, with ", MASK];
            return Err(Error::file(root, what, remedy));
        }
        let pattern = pattern.map(str::to_owned);
        Ok(Self { root: root.to_owned(), real, pattern, masks, others, mixed, images: Vec::new() })
    }

    /// Tells it the images that there are, so that it sees which of them a mask belongs to.
    pub(super) fn know(&mut self, images: impl Iterator<Item = (PathBuf, String)>) {
        self.images.extend(images);
    }

    /// Whether a file is no image of the source since it is, or may be, a mask.
    pub(super) fn holds(&self, path: &Path) -> bool {
        let Some(folder) = path.parent().and_then(|folder| folder.canonicalize().ok()) else { return false };
        if !folder.starts_with(&self.real) {
            return false;
        }
        match self.pattern {
            None => !self.mixed || is_named_mask(path),
            Some(_) => !self.mixed || self.masks.iter().any(|mask| same_file(mask, path)),
        }
    }

    /// The mask of an image of the subject `id`.
    pub(super) fn find(&self, image: &Path, id: &str) -> Result<PathBuf> {
        let ours = Entities::of_path(image);
        let theirs: Vec<(&PathBuf, Entities<'_>)> = self
            .of_person(image, id, &ours)
            .into_iter()
            .filter(|mask| !same_file(mask, image))
            .map(|mask| {
                let entities = Entities::of_path(mask.strip_prefix(&self.root).unwrap_or(mask));
                (mask, entities.in_space_of(image))
            })
            .collect();
        let may_be = |mask: &Path| contradiction(image, mask, self.said()).is_none();
        let mut fit: Vec<_> =
            theirs.iter().filter(|(mask, entities)| ours.can_have(entities) && may_be(mask)).collect();
        // What says the same goes before what says less; the mask of the brain before those of its parts.
        prefer(&mut fit, |(_, entities)| ours.same(entities));
        prefer(&mut fit, |(mask, entities)| is_of_brain(mask, entities));
        match fit.as_slice() {
            [(mask, entities)] => {
                self.refuse_rivals(image, id, &ours, mask, entities)?;
                Ok((*mask).clone())
            }
            [] => Err(self.none(image, id, &theirs.iter().map(|(mask, _)| *mask).collect::<Vec<_>>())),
            several => {
                let names = few(several.iter().map(|(mask, _)| mask.display()));
                let what = format!("{} files of {} can be its mask: {names}", several.len(), self.root.display());
                let remedy = remedy![
                    "say how the masks are called in the folder, ",
                    MASK.to(format!("{}/*ENDING", self.root.display())),
                    ", or give a table of paths with ",
                    MASK_COLUMN
                ];
                Err(Error::subject(id, what, remedy))
            }
        }
    }

    /// What the user says of the names of masks.
    fn said(&self) -> &str {
        self.pattern.as_deref().unwrap_or_default()
    }

    /// The masks of a person.
    fn of_person(&self, image: &Path, id: &str, ours: &Entities<'_>) -> Vec<&PathBuf> {
        let sub = ours.get("sub").unwrap_or(id);
        // Ids first; then names of images as a whole, and without their last part (`a_T1` and `a_mask`).
        let whole = bare(called(image));
        let head = |name: &str| {
            let (head, last) = name.rsplit_once('_')?;
            Entities::known(last).is_empty().then(|| head.to_owned())
        };
        let tiers: [(Option<String>, BTreeSet<String>); 3] = [
            (Some(id.to_owned()), self.images.iter().map(|(_, id)| id.clone()).collect()),
            (Some(whole.to_owned()), self.images.iter().map(|(p, _)| bare(called(p)).to_owned()).collect()),
            (head(whole), self.images.iter().filter_map(|(p, _)| head(bare(called(p)))).collect()),
        ];
        for (key, known) in &tiers {
            let Some(key) = key else { continue };
            let is_ours = |mask: &&PathBuf| {
                let below = mask.strip_prefix(&self.root).unwrap_or(mask);
                match Entities::of_path(below).get("sub") {
                    Some(other) => other == sub,
                    None => owner(below, key, known) == Some(key),
                }
            };
            let found: Vec<&PathBuf> = self.masks.iter().filter(is_ours).collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    /// Refuses a mask that does not say which of several images of a person it is of.
    fn refuse_rivals(
        &self,
        image: &Path,
        id: &str,
        ours: &Entities<'_>,
        mask: &Path,
        entities: &Entities<'_>,
    ) -> Result<()> {
        if ours.same(entities) {
            return Ok(());
        }
        let person = ours.get("sub").unwrap_or(id);
        let rivals: Vec<_> = self
            .images
            .iter()
            .filter(|(other, other_id)| {
                let theirs = Entities::of_path(other);
                other != image
                    && (other_id == id || theirs.get("sub") == Some(person))
                    && theirs.can_have(entities)
                    && !theirs.same(ours)
            })
            .map(|(other, _)| other.display())
            .collect();
        if rivals.is_empty() {
            return Ok(());
        }
        let what = format!(
            "the mask {} does not say whether it is that of {} or of {}",
            mask.display(),
            image.display(),
            few(rivals)
        );
        let remedy = remedy![
            "name masks by the entities of their images (ses, run, ...), or give a table of paths with ",
            MASK_COLUMN
        ];
        Err(Error::subject(id, what, remedy))
    }

    fn none(&self, image: &Path, id: &str, differ: &[&PathBuf]) -> Error {
        let near = if differ.is_empty() {
            let beside: Vec<_> =
                self.others.iter().filter(|p| owner(p, id, &BTreeSet::from([id.to_owned()])).is_some()).collect();
            match beside.as_slice() {
                [] if self.masks.len() == 1 => "the only one there is not this subject's".to_owned(),
                [] => format!("none of the {} there is this subject's", self.masks.len()),
                beside => format!(
                    "{} {} there, but not named like the {}",
                    few(beside.iter().map(|p| p.display())),
                    does(beside.len(), "is", "are"),
                    match self.masks.len() {
                        1 => "one mask".to_owned(),
                        n => format!("{n} masks"),
                    }
                ),
            }
        } else {
            let why = |p: &&PathBuf| match contradiction(image, p, self.said()) {
                Some(why) => format!("{} ({why})", p.display()),
                None => p.display().to_string(),
            };
            format!("these are of the subject and differ from it in an entity: {}", few(differ.iter().map(why)))
        };
        let what = format!("there is no mask for {} in {}: {near}", image.display(), self.root.display());
        let remedy = remedy![
            "check ",
            MASK,
            "; the name of a mask, or of a folder above it, begins with the id of its image and says no other session, visit, run, space or \
             kind of image, nor something else than the brain; \
             masks that are called otherwise stand in a table of paths with ",
            MASK_COLUMN
        ];
        Error::subject(id, what, remedy)
    }
}

/// Keeps those of a kind, where there are some.
fn prefer<T>(items: &mut Vec<T>, is: impl Fn(&T) -> bool) {
    if items.iter().any(&is) {
        items.retain(is);
    }
}

/// The id of `known` that a path says its file is of: by its name, else by the names of its folders from the inside out.
fn owner<'a>(path: &Path, own: &'a str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let names = path.iter().rev().filter_map(|part| part.to_str()).map(|name| bare(image_stem(name).unwrap_or(name)));
    let all = || known.iter().map(String::as_str).chain([own]);
    let begins =
        |name: &str, id: &str| name.strip_prefix(id).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    names.into_iter().find_map(|name| all().filter(|id| begins(name, id)).max_by_key(|id| id.len()))
}

fn same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether a file is called a mask.
pub(super) fn is_named_mask(path: &Path) -> bool {
    super::source::name(path).to_lowercase().contains("mask")
}

/// Whether a mask is said to be that of the whole brain.
pub(super) fn is_of_brain(mask: &Path, entities: &Entities<'_>) -> bool {
    let name: String =
        super::source::name(mask).to_lowercase().chars().filter(|c| !['_', '-', '.', ' '].contains(c)).collect();
    ["desc", "label"].iter().any(|key| entities.get(key) == Some("brain")) || name.contains("brainmask")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tree::tree;

    /// The mask of the last image (of subject `id`) below `masks`, of the images and masks there are.
    fn find(masks: &[&str], images: &[(&str, &str)], pattern: Option<&str>) -> Result<String> {
        let dir = tree(masks.iter().chain(images.iter().map(|(image, _)| image)));
        let at = |file: &str| dir.path().join(file);
        let mut folder = MaskFolder::new(&at("m"), pattern, Some(&at("t1")), &OtherSites::default())?;
        folder.know(images.iter().map(|(image, id)| (at(image), (*id).to_owned())));
        let (image, id) = images.last().unwrap();
        let found = folder.find(&at(image), id)?;
        Ok(found.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/"))
    }

    fn error(masks: &[&str], images: &[(&str, &str)]) -> String {
        find(masks, images, None).unwrap_err().to_string()
    }

    #[test]
    fn names_and_folders_say_whose_mask_it_is() {
        let bids = [("t1/sub-1_ses-1_T1w.nii", "1"), ("t1/sub-1_ses-2_T1w.nii", "1")];
        for mask in ["m/sub-1_ses-2_mask.nii", "m/sub-1/ses-2/brain_mask.nii.gz", "m/sub-1_ses-02_desc-x_mask.nii"] {
            assert_eq!(find(&[mask, "m/sub-1_ses-1_mask.nii", "m/sub-2_ses-2_mask.nii"], &bids, None).unwrap(), mask);
        }
        // One of another session, run or space, or of a person whose id begins alike, is none.
        for mask in ["m/sub-1_ses-1_mask.nii", "m/sub-1/ses-1/mask.nii", "m/sub-12_ses-2_mask.nii"] {
            assert!(error(&[mask], &bids).contains("there is no mask for"), "{mask}");
        }
        assert!(error(&["m/sub-1_space-MNI_mask.nii"], &bids[..1]).contains("differ from it in an entity"));
        assert!(error(&["m/sub-1_mask.nii"], &[("t1/sub-1_space-MNI_T1w.nii", "1")]).contains("differ from it"));
        // The space of an image that names none is its own.
        let own = "m/sub-1_space-T1w_desc-brain_mask.nii";
        assert_eq!(find(&[own], &[("t1/sub-1_T1w.nii", "1")], None).unwrap(), own);
        assert!(error(&[own], &[("t1/sub-1_T2w.nii", "1")]).contains("differ from it"));
        assert!(error(&["m/sub-1_space-T1w_task-x_mask.nii"], &[("t1/sub-1_T1w.nii", "1")]).contains("differ from it"));
        assert!(error(&["m/sub-1_task-rest_desc-brain_mask.nii"], &[("t1/sub-1_T1w.nii", "1")]).contains("differ"));
        // One that says less is that of the only image, and of none where there are two.
        assert_eq!(find(&["m/sub-1_mask.nii"], &bids[..1], None).unwrap(), "m/sub-1_mask.nii");
        assert!(error(&["m/sub-1_mask.nii"], &bids).contains("does not say whether it is that of"));
    }

    #[test]
    fn ids_find_masks_without_entities() {
        let images = [("t1/IXI1_T1.nii", "IXI1"), ("t1/IXI1-b_T1.nii", "IXI1-b"), ("t1/IXI12_T1.nii", "IXI12")];
        let masks = ["m/IXI1_x.nii", "m/IXI1-b_x.nii", "m/IXI12.nii"];
        for (n, mask) in masks.iter().enumerate() {
            let mut all = images.to_vec();
            all.swap(n, 2);
            assert_eq!(find(&masks, &all, None).unwrap(), *mask);
        }
        // Without the other ids the longest is not known.
        assert!(error(&masks, &images[..1]).contains("2 files of"));
        // The folder of a person says it too.
        assert_eq!(find(&["m/IXI12/mask.nii", "m/IXI1/mask.nii"], &images, None).unwrap(), "m/IXI12/mask.nii");
        // A folder of masks that are called as their images are.
        for [one, other] in [["01.nii.gz", "02.nii.gz"], ["sub-01.nii", "sub-02.nii"], ["a_T1.nii", "b_T1.nii"]] {
            let [of_one, of_other] = [one, other].map(|name| format!("m/{name}"));
            let [own, next] = [one, other].map(|name| format!("t1/{name}"));
            let id = |name: &str| name.split('.').next().unwrap().trim_start_matches("sub-").to_owned();
            let images = [(next.as_str(), id(other)), (own.as_str(), id(one))];
            let images: Vec<(&str, &str)> = images.iter().map(|(image, id)| (*image, id.as_str())).collect();
            assert_eq!(find(&[&of_one, &of_other], &images, None).unwrap(), of_one);
        }
        // An id that is the name of the image: the masks begin as it does but for its last part.
        assert_eq!(find(&["m/a_mask.nii", "m/b_mask.nii"], &[("t1/a_T1.nii", "a_T1")], None).unwrap(), "m/a_mask.nii");
        assert!(find(&["m/a_ses-1_mask.nii"], &[("t1/a_ses-2_T1.nii", "a")], None).is_err());
    }

    #[test]
    fn what_is_no_mask_by_its_name_is_none_beside_those_that_are() {
        let image = [("t1/a_T1.nii", "a")];
        let both = ["m/a_brain.nii", "m/a_brain_mask.nii"];
        assert_eq!(find(&both, &image, None).unwrap(), both[1]);
        assert_eq!(find(&["m/a/brain.mgz", "m/a/brainmask.mgz"], &image, None).unwrap(), "m/a/brainmask.mgz");
        assert!(error(&["m/a_brain.nii", "m/b_brain_mask.nii"], &image).contains("is there, but not named like"));
        assert_eq!(find(&["m/a_brain.nii", "m/a_seg.nii"], &image, Some("*_seg.nii")).unwrap(), "m/a_seg.nii");
        let error = error(&["m/a_left_mask.nii", "m/a_right_mask.nii"], &image);
        assert!(error.contains("2 files of") && error.contains("a_left_mask.nii"), "{error}");
        assert_eq!(find(&["m/a_mask.hdr", "m/a_mask.img"], &image, None).unwrap(), "m/a_mask.hdr");
        let desc = ["m/sub-1_desc-ribbon_mask.nii", "m/sub-1_desc-brain_mask.nii"];
        assert_eq!(find(&desc, &[("t1/sub-1_T1w.nii", "1")], None).unwrap(), desc[1]);
    }
}
