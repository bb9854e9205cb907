//! [`MaskFinder`]: which file is the brain mask of an image.

use super::{
    contradiction::contradiction,
    entities::Entities,
    freesurfer,
    mask::MaskRule,
    mask_folder::MaskFolder,
    matching::few,
    source::{absolute, files, folders, is_there, name, stem, walk},
};
use crate::setting::MASK;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Phrase, Remedy, Result, remedy};
use voxplain_volume::image_stem;

/// What one of several sources knows of the others.
#[derive(Clone, Debug, Default)]
pub(super) struct OtherSites {
    /// The name of this source; nothing where it is the only one.
    pub(super) own: Option<String>,
    /// The names of the others.
    pub(super) names: Vec<String>,
    /// Where their images are.
    pub(super) roots: Vec<PathBuf>,
}

/// Finds the masks of images. Names decide, and no mask is taken whose name contradicts that of the image.
#[derive(Debug)]
pub(crate) struct MaskFinder {
    rule: MaskRule,
    /// Every file below the source that ends in the suffix.
    below: Vec<PathBuf>,
    /// The folder of masks, where there is one.
    folder: Option<MaskFolder>,
    /// Where the images of other sources are, and with them their masks.
    elsewhere: Vec<PathBuf>,
}

impl MaskFinder {
    /// For the images below `root`; without it, for images that are known one by one.
    pub(crate) fn new(rule: &MaskRule, root: Option<&Path>) -> Result<Self> {
        Self::of_site(rule, root, &OtherSites::default())
    }

    /// For the images of one of several sources.
    pub(super) fn of_site(rule: &MaskRule, root: Option<&Path>, sites: &OtherSites) -> Result<Self> {
        let below = match (rule, root) {
            // What cannot be looked at is told with the images.
            (MaskRule::Suffix(suffix), Some(root)) => {
                walk(root, &mut Vec::new())?.into_iter().filter(|p| name(p).ends_with(suffix)).collect()
            }
            _ => Vec::new(),
        };
        let folder = match rule {
            MaskRule::Folder(folder, pattern) => Some(MaskFolder::new(folder, pattern.as_deref(), root, sites)?),
            _ => None,
        };
        // A source within another one has what lies in it.
        let own = root.and_then(|root| root.canonicalize().ok());
        let others = sites.roots.iter().filter_map(|other| other.canonicalize().ok());
        let elsewhere = others.filter(|other| own.as_ref().is_some_and(|own| !own.starts_with(other))).collect();
        Ok(Self { rule: rule.clone(), below, folder, elsewhere })
    }

    /// Tells it all images and their ids: what a mask is of is known by what else it could be of.
    pub(crate) fn know(&mut self, images: impl Iterator<Item = (PathBuf, String)>) {
        if let Some(folder) = &mut self.folder {
            folder.know(images);
        }
    }

    /// Whether a file is a mask by its name, and so is no image.
    pub(super) fn is_mask(&self, path: &Path) -> bool {
        match &self.rule {
            MaskRule::Unstated | MaskRule::Nonzero => false,
            MaskRule::Folder(..) => self.folder.as_ref().is_some_and(|folder| folder.holds(path)),
            MaskRule::Suffix(suffix) => name(path).ends_with(suffix),
            MaskRule::File(file) => path == file,
        }
    }

    /// The mask file of an image of the subject `id`; `None` where the mask is where the image is not 0.
    pub(crate) fn find(&self, image: &Path, id: &str) -> Result<Option<PathBuf>> {
        match &self.rule {
            MaskRule::Unstated | MaskRule::Nonzero => Ok(None),
            MaskRule::Folder(..) => self.folder.as_ref().map(|folder| folder.find(image, id)).transpose(),
            MaskRule::File(file) => Ok(Some(file.clone())),
            MaskRule::Suffix(suffix) if freesurfer::subject(image).is_some() => {
                freesurfer::mask_beside(image, id, suffix).map(Some)
            }
            MaskRule::Suffix(suffix) => {
                let stem = stem(image).unwrap_or_else(|| name(image));
                match Entities::of(stem) {
                    Some(entities) => self.of_bids(suffix, image, stem, &entities, id),
                    None => self.by_name(suffix, image, stem, id),
                }
                .map(Some)
            }
        }
    }

    /// The mask of an image with a BIDS name: of the files that end in the suffix, the one that agrees with it in every entity
    /// but `desc`; beside it, else anywhere below the source or in the folders beside the image's.
    fn of_bids(&self, suffix: &str, image: &Path, stem: &str, entities: &Entities<'_>, id: &str) -> Result<PathBuf> {
        let folder = image.parent().unwrap_or_else(|| Path::new(""));
        let exact = folder.join(format!("{stem}{suffix}"));
        if is_there(&exact) {
            return Ok(exact);
        }
        let own = Entities::pairs(image_stem(suffix).unwrap_or(suffix));
        let of_image = absolute(image)?;
        let ours = Entities::of_path(&of_image);
        let agrees = |p: &PathBuf| {
            let Ok(place) = absolute(p) else { return false };
            Entities::of(super::source::stem(p).unwrap_or_default()).is_some()
                && ours.agree(&Entities::of_path(&place), &own)
                && self.may_be(image, p, suffix)
        };
        let in_own_space = |p: &PathBuf| {
            let Ok(place) = absolute(p) else { return false };
            Entities::of(super::source::stem(p).unwrap_or_default()).is_some()
                && ours.agree(&Entities::of_path(&place).in_space_of(image), &own)
                && self.may_be(image, p, suffix)
        };
        let mut all: Vec<PathBuf> = files(folder)?.into_iter().filter(|p| self.is_mask(p)).collect();
        let mut found: Vec<PathBuf> = all.iter().filter(|p| agrees(p)).cloned().collect();
        if found.is_empty() {
            all.extend(self.below.iter().cloned());
            for beside in beside(folder)? {
                // Whatever lies there and cannot be read is no part of the data.
                let there = files(&beside).unwrap_or_default().into_iter();
                all.extend(there.filter(|p| self.is_mask(p) && self.is_here(p)));
            }
            let mut seen = BTreeSet::new();
            all.retain(|p| seen.insert(p.canonicalize().unwrap_or_else(|_| p.clone())));
            found = all.iter().filter(|p| agrees(p)).cloned().collect();
        }
        if found.is_empty() {
            found = all.iter().filter(|p| in_own_space(p)).cloned().collect();
        }
        if found.is_empty() {
            // Names without entities, by the id alone, where the image has no other entity.
            let plain = format!("{id}{suffix}");
            let only = Entities::pairs(stem) == Entities::pairs(&format!("sub-{id}"));
            found = all.iter().filter(|p| only && name(p) == plain && self.may_be(image, p, suffix)).cloned().collect();
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => {
                let same = |p: &&PathBuf| {
                    let theirs = super::source::stem(p).and_then(Entities::of);
                    theirs.is_some_and(|theirs| theirs.get("sub") == entities.get("sub"))
                };
                let why = |p: &PathBuf| match contradiction(image, p, suffix) {
                    Some(why) => format!("{} ({why})", name(p)),
                    None => name(p).to_owned(),
                };
                let near: Vec<String> = all.iter().filter(same).map(why).collect();
                let near = match near.len() {
                    0 => format!("of {} files that end in {suffix} none is this subject's", all.len()),
                    _ => format!("these differ from it in an entity: {}", few(near)),
                };
                let what = format!("there is no mask for {}: {near}", image.display());
                let remedy = remedy![
                    "check ",
                    MASK,
                    "; a mask has every entity of its image (ses, run, space, ...) but desc, in its name and its folders, and is of \
                     no other kind of image"
                ];
                Err(Error::subject(id, what, remedy))
            }
            several => Err(too_many(id, several, suffix)),
        }
    }

    /// The mask of an image with another name: `<stem><suffix>`, `<stem without its last _part><suffix>` or `<id><suffix>`,
    /// beside the image, else anywhere below the source, else in the folders beside the image's. What is left out of the
    /// image's name must be no entity of BIDS.
    fn by_name(&self, suffix: &str, image: &Path, stem: &str, id: &str) -> Result<PathBuf> {
        let mut names = vec![format!("{stem}{suffix}")];
        let head = stem.rsplit_once('_').map(|(head, _)| head.to_owned());
        let shorter = head.into_iter().chain([format!("sub-{id}"), id.to_owned()]);
        let own = Entities::known(stem);
        for shorter in shorter.filter(|s| Entities::known(s) == own).map(|s| format!("{s}{suffix}")) {
            if !names.contains(&shorter) {
                names.push(shorter);
            }
        }
        let folder = image.parent().unwrap_or_else(|| Path::new(""));
        if let Some(found) = names.iter().map(|n| folder.join(n)).find(|p| is_there(p)) {
            return Ok(found);
        }
        let beside = beside(folder)?;
        let is_of = |p: &PathBuf| contradiction(image, p, suffix);
        let mut below: Vec<Vec<PathBuf>> =
            names.iter().map(|n| self.below.iter().filter(|p| name(p) == n).cloned().collect()).collect();
        let there = |p: &PathBuf| is_there(p) && self.is_here(p);
        let mut next: Vec<Vec<PathBuf>> =
            names.iter().map(|n| beside.iter().map(|f| f.join(n)).filter(there).collect()).collect();
        let others: Vec<String> = below
            .iter_mut()
            .chain(&mut next)
            .flat_map(|found| found.extract_if(.., |p| is_of(p).is_some()))
            .filter_map(|p| Some(format!("{} ({})", p.display(), is_of(&p)?)))
            .collect();
        if let Some(found) = below.into_iter().chain(next).find(|found| !found.is_empty()) {
            return match found.as_slice() {
                [one] => Ok(one.clone()),
                several => Err(too_many(id, several, suffix)),
            };
        }
        let near = match others.as_slice() {
            [] => {
                let near = files(folder)?.iter().filter(|f| self.is_mask(f)).count();
                format!("{near} files beside it end in {suffix}")
            }
            others => format!("of another image are {}", few(others)),
        };
        let what = format!("there is no mask {} for {} ({near})", names.join(" or "), image.display());
        Err(Error::subject(id, what, remedy!["check ", MASK, "; without it, images must be skull-stripped"]))
    }

    /// Whether nothing in the path of a mask says that it is of another image, and it is of no other source.
    fn may_be(&self, image: &Path, mask: &Path, suffix: &str) -> bool {
        contradiction(image, mask, suffix).is_none() && self.is_here(mask)
    }

    /// Whether a file lies in no other source.
    fn is_here(&self, mask: &Path) -> bool {
        self.elsewhere.is_empty()
            || mask.canonicalize().is_ok_and(|mask| !self.elsewhere.iter().any(|other| mask.starts_with(other)))
    }
}

/// The folders that lie beside an image's.
fn beside(folder: &Path) -> Result<Vec<PathBuf>> {
    absolute(folder)?.parent().map_or_else(|| Ok(Vec::new()), folders)
}

fn too_many(id: &str, several: &[PathBuf], suffix: &str) -> Error {
    let all = few(several.iter().map(|p| p.display().to_string()));
    let what = format!("there are {} masks for it: {all}", several.len());
    let names: BTreeSet<&str> = several.iter().map(|p| name(p)).collect();
    if names.len() == several.len() {
        return Error::subject(id, what, remedy!["give a longer suffix with ", MASK, ", or keep one of them"]);
    }
    // Names that are the same cannot choose; the folders below the one that all lie in can.
    let parts: Vec<Vec<_>> = several.iter().map(|p| p.components().collect()).collect();
    let shared = (0..).take_while(|&n| parts.iter().all(|p| p.get(n).is_some() && p.get(n) == parts[0].get(n))).count();
    let folders: BTreeSet<PathBuf> =
        parts.iter().map(|p| p[..(shared + 1).min(p.len() - 1)].iter().collect()).collect();
    if folders.len() < several.len() {
        return Error::subject(id, what, "keep one of them, or move the others elsewhere");
    }
    let choose = folders.iter().enumerate().flat_map(|(n, folder)| {
        let folder = folder.display();
        let place =
            if suffix.to_lowercase().contains("mask") { folder.to_string() } else { format!("{folder}/*{suffix}") };
        let or = (n > 0).then(|| Phrase::from(" or "));
        or.into_iter().chain([MASK.to(place)])
    });
    let phrases = std::iter::once("choose the folder with ".into()).chain(choose);
    Error::subject(id, what, Remedy::new(phrases))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tree::tree;

    fn find(files: &[&str], source: Option<&str>, image: &str, suffix: &str) -> Result<String> {
        let dir = tree(files.iter().chain([&image]));
        let root = source.map(|source| dir.path().join(source));
        let finder = MaskFinder::new(&MaskRule::Suffix(suffix.into()), root.as_deref())?;
        let found = finder.find(&dir.path().join(image), "a")?.unwrap();
        Ok(found.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/"))
    }

    #[test]
    fn by_name_beside_below_and_in_the_next_folder() {
        let suffix = "_mask.nii.gz";
        let image = "t1/a_T1.nii.gz";
        let below = Some("t1");
        assert_eq!(
            find(&["t1/a_T1_mask.nii.gz", "t1/a_mask.nii.gz"], below, image, suffix).unwrap(),
            "t1/a_T1_mask.nii.gz"
        );
        assert_eq!(find(&["t1/a_mask.nii.gz"], below, image, suffix).unwrap(), "t1/a_mask.nii.gz");
        assert_eq!(find(&["t1/a_mask.nii.gz"], None, image, suffix).unwrap(), "t1/a_mask.nii.gz");
        assert_eq!(find(&["t1/x/y/a_mask.nii.gz"], below, image, suffix).unwrap(), "t1/x/y/a_mask.nii.gz");
        assert_eq!(find(&["m/a_T1_mask.nii.gz"], below, image, suffix).unwrap(), "m/a_T1_mask.nii.gz");
        let error = find(&["t1/x/a_mask.nii.gz", "t1/y/a_mask.nii.gz"], below, image, suffix).unwrap_err();
        assert!(error.to_string().starts_with("subject a: there are 2 masks"), "{error}");
        let remedy = error.remedy().unwrap().to_string();
        assert!(remedy.starts_with("choose the folder with `mask` = ") && remedy.ends_with("y"), "{remedy}");
        let error = find(&[], below, image, suffix).unwrap_err();
        assert!(error.to_string().contains("a_T1_mask.nii.gz or a_mask.nii.gz or sub-a_mask.nii.gz for"), "{error}");
        // Nor does a name that is not of BIDS hide that the mask is of another session or run.
        let error = find(&["t1/a_mask.nii.gz"], below, "t1/a_ses-2_T1.nii.gz", suffix).unwrap_err().to_string();
        assert!(error.contains("a_ses-2_T1_mask.nii.gz or a_ses-2_mask.nii.gz for"), "{error}");
        assert!(find(&["t1/a_mask.nii.gz"], below, "t1/a_run-2.nii.gz", suffix).is_err());
    }

    #[test]
    fn by_entities_and_never_one_that_disagrees() {
        let suffix = "_desc-brain_mask.nii.gz";
        let all = ["d/sub-a/anat/sub-a_desc-brain_mask.nii.gz", "d/sub-a/anat/sub-a_space-MNI_desc-brain_mask.nii.gz"];
        let mni = "d/sub-a/anat/sub-a_space-MNI_desc-preproc_T1w.nii.gz";
        for source in [Some("d"), None] {
            assert_eq!(find(&all, source, mni, suffix).unwrap(), all[1]);
            assert_eq!(find(&all, source, "d/sub-a/anat/sub-a_desc-preproc_T1w.nii.gz", suffix).unwrap(), all[0]);
            let error = find(&all[..1], source, mni, suffix).unwrap_err().to_string();
            assert!(error.contains("differ from it in an entity: sub-a_desc-brain_mask.nii.gz"), "{error}");
            let own = "d/sub-a/anat/sub-a_space-T1w_desc-brain_mask.nii.gz";
            assert_eq!(find(&[own], source, "d/sub-a/anat/sub-a_T1w.nii.gz", suffix).unwrap(), own);
            assert_eq!(find(&[own, all[0]], source, "d/sub-a/anat/sub-a_T1w.nii.gz", suffix).unwrap(), all[0]);
            // The name alone, without its last part, is that of another run's mask.
            let run = "d/sub-a/anat/sub-a_run-2.nii";
            assert!(find(&["d/sub-a/anat/sub-a_mask.nii.gz"], source, run, "_mask.nii.gz").is_err());
        }
        let later = "d/derivatives/x/sub-a/ses-2/anat/sub-a_ses-2_desc-brain_mask.nii.gz";
        let image = "d/sub-a/ses-2/anat/sub-a_ses-2_T1w.nii.gz";
        let first = "d/derivatives/x/sub-a/ses-1/anat/sub-a_ses-1_desc-brain_mask.nii.gz";
        assert_eq!(find(&[later, first], Some("d"), image, suffix).unwrap(), later);
        assert!(find(&[first], Some("d"), image, suffix).is_err());
    }
}
