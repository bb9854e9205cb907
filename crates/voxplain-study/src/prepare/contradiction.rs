//! [`contradiction`]: what in the path of a mask says that it is of another image.

use super::{
    entities::Entities,
    source::{absolute, called, name},
};
use std::path::{Component, Path};
use voxplain_volume::image_stem;

/// Words by which names and folders say which kind of image a file is of, kind by kind: suffixes and data types of BIDS, and what else
/// people call them.
const KINDS: [&[&str]; 18] = [
    T1,
    &["t2", "t2w", "t2wi", "t2tse"],
    &["flair", "t2flair"],
    &["pd", "pdw", "pdwi", "pdt2"],
    &["t2star", "t2starw", "t2starmap", "swi"],
    &["func", "bold", "fmri", "rsfmri", "sbref", "cbv"],
    &["dwi", "dti", "diffusion", "b0", "nodif"],
    &["fmap", "fieldmap", "phasediff", "magnitude", "magnitude1", "magnitude2", "epi"],
    &["perf", "asl", "pcasl", "m0scan"],
    &["pet"],
    &["ct"],
    &["t1ce", "t1c", "t1gd", "t1post"],
    &["inplanet1", "inplanet2"],
    &["angio", "tof", "mra"],
    &["meg", "eeg", "ieeg", "mrs"],
    &["t1map", "t2map", "r1map", "r2map", "pdmap", "mtr", "mtsat", "mtw"],
    &["lesion", "lesions", "tumor", "tumour", "wmh"],
    &["head", "scalp", "skull"],
];

/// An image that says nothing is taken for one of these.
const T1: &[&str] = &["t1", "t1w", "t1wi", "mprage", "mp2rage", "unit1", "spgr", "fspgr", "bravo"];

/// Words that folders have for other reasons: patients of Parkinson's disease, controls.
const GROUPS: [&str; 2] = ["pd", "ct"];

/// Why a mask cannot be that of an image, by what its name and its folders say: another person, session or kind of image. Nothing where
/// they do not say so. Folders that both lie in say nothing; nor does what the user says of masks (`said`).
pub(super) fn contradiction(image: &Path, mask: &Path, said: &str) -> Option<String> {
    // A path that cannot be made absolute is compared as it is.
    let [image, mask] = [image, mask].map(|path| absolute(path).unwrap_or_else(|_| path.to_owned()));
    let folders = own_folders(&image, &mask);
    of_another(&image, &mask, &folders)
        .or_else(|| of_another_kind(&image, &mask, &folders, said))
        .or_else(|| beside_its_own(&image, &mask))
}

/// The folders of a mask that its image does not lie in, from the outside in.
fn own_folders<'a>(image: &Path, mask: &'a Path) -> Vec<&'a str> {
    let mut ours = image.parent().into_iter().flat_map(Path::components);
    let theirs = mask.parent().into_iter().flat_map(Path::components);
    let own = theirs.skip_while(|part| ours.next() == Some(*part));
    own.filter_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None }).collect()
}

/// Another person or session.
fn of_another(image: &Path, mask: &Path, folders: &[&str]) -> Option<String> {
    let (ours, theirs) = (Entities::of_path(image), Entities::of_path(mask));
    ["sub", "ses"].into_iter().find_map(|key| {
        let says = |folder: &&&str| Entities::pairs(folder).get(key).is_some();
        let folder = folders.iter().rev().find(says);
        let value = theirs.get(key)?;
        let differ = |a: &str, b: &str| if key == "sub" { a != b } else { !Entities::alike(a, b) };
        if let Some(folder) = folder.filter(|f| Entities::pairs(f).get(key).is_some_and(|other| differ(other, value))) {
            return Some(format!("it is named {key}-{value} and lies in {folder}"));
        }
        ours.get(key).filter(|own| differ(own, value)).map(|own| format!("it is of {key}-{value}, not of {key}-{own}"))
    })
}

/// An image of the same name beside it, in another folder: the same id at another site, another visit.
fn beside_its_own(image: &Path, mask: &Path) -> Option<String> {
    let (folder, called) = (mask.parent()?, image.file_name()?);
    let twin = folder.join(called);
    (image.parent() != Some(folder) && twin.is_file())
        .then(|| format!("it lies beside another image of that name, {}", twin.display()))
}

/// Another kind of image.
fn of_another_kind(image: &Path, mask: &Path, folders: &[&str], said: &str) -> Option<String> {
    let of_words = |text: &str| words(text).iter().filter_map(|word| kind(word)).collect::<Vec<usize>>();
    let of_folder = |text: &str| {
        let words = words(text).into_iter().filter(|word| !GROUPS.contains(&plain(word).as_str()));
        words.filter_map(|word| kind(&word)).collect::<Vec<usize>>()
    };
    // The name speaks first, then the folders from the inside out.
    let around = image.parent().into_iter().flat_map(|folder| folder.iter().rev()).filter_map(|part| part.to_str());
    let says = std::iter::once(of_words(called(image))).chain(around.map(of_folder)).find(|kinds| !kinds.is_empty());
    let ours = says.unwrap_or_else(|| vec![0]);
    let known: Vec<usize> = words(said).iter().filter_map(|word| kind(word)).collect();
    let named = |text: &str| -> Vec<(usize, String)> {
        let kinds = words(text).into_iter().filter_map(|word| Some((kind(&word)?, word)));
        kinds.filter(|(kind, _)| !known.contains(kind)).collect()
    };
    let differs = |found: &[(usize, String)]| {
        let first = found.first()?;
        (!found.iter().any(|(kind, _)| ours.contains(kind))).then(|| first.1.clone())
    };
    let by_name = named(image_stem(name(mask)).unwrap_or_else(|| name(mask)));
    if !by_name.is_empty() {
        return differs(&by_name).map(|word| format!("its name says that it is of {word}"));
    }
    folders.iter().rev().find_map(|folder| {
        let mut found = named(folder);
        found.retain(|(_, word)| !GROUPS.contains(&plain(word).as_str()));
        differs(&found).map(|_| format!("it lies in the folder {folder}"))
    })
}

/// The word by which the name of an image says that it is of another kind than `expected`, itself such a word (`T1w`). Words that people
/// use for patients, and what a mask may be of, say nothing of an image.
pub(crate) fn names_another_kind(image: &Path, expected: &str) -> Option<String> {
    let expected = kind(expected)?;
    let of_masks = [MASKED[0], MASKED[1]].map(kind);
    let mut said = words(called(image)).into_iter().filter_map(|word| {
        let kind = kind(&word)?;
        (!GROUPS.contains(&plain(&word).as_str()) && !of_masks.contains(&Some(kind))).then_some((kind, word))
    });
    let first = said.next()?;
    (first.0 != expected && said.all(|(kind, _)| kind != expected)).then_some(first.1)
}

/// A word of each kind that tells what is inside a mask.
const MASKED: [&str; 2] = ["lesion", "head"];

/// The words of a name, without its entities but `desc`.
fn words(text: &str) -> Vec<String> {
    let parts = text.split('_').filter_map(|part| match part.strip_prefix("desc-") {
        Some(described) => Some(described),
        None => (!Entities::is_entity(part)).then_some(part),
    });
    let words = parts.flat_map(|part| part.split(['-', '.', ' ', '+']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A word in small letters, without what it says about the mask itself.
fn plain(word: &str) -> String {
    let word = word.to_lowercase();
    let rest = ["brainmask", "brain", "mask", "bet"].into_iter().find_map(|end| word.strip_suffix(end));
    rest.filter(|rest| !rest.is_empty()).map_or_else(|| word.clone(), str::to_owned)
}

/// Which of [`KINDS`] a word is of.
fn kind(word: &str) -> Option<usize> {
    let word = plain(word);
    KINDS.iter().position(|words| words.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(image: &str, mask: &str) -> Option<String> {
        contradiction(&Path::new("d").join(image), &Path::new("d").join(mask), "_mask.nii")
    }

    #[test]
    fn folders_speak_as_names_do() {
        let image = "sub-1/ses-1/anat/sub-1_T1w.nii";
        assert_eq!(of(image, "sub-1/ses-2/anat/sub-1_mask.nii").unwrap(), "it is of ses-2, not of ses-1");
        assert_eq!(of(image, "m/ses-01/sub-1_mask.nii"), None);
        let image = "sub-1/ses-1/anat/sub-1_ses-1_T1w.nii";
        let named = "it is named ses-1 and lies in ses-2";
        assert_eq!(of(image, "sub-1/ses-2/anat/sub-1_ses-1_mask.nii").unwrap(), named);
        assert_eq!(of(image, "m/sub-2/sub-1_ses-1_mask.nii").unwrap(), "it is named sub-1 and lies in sub-2");
        assert_eq!(of("sub-1/T1.nii", "sub-2/T1_mask.nii").unwrap(), "it is of sub-2, not of sub-1");
        // What lies above both says nothing about either.
        assert_eq!(of("sub-9/sub-1_T1w.nii", "sub-9/sub-1_mask.nii"), None);
    }

    #[test]
    fn images_are_of_the_kind_that_their_name_says() {
        for (name, word) in [
            ("sub-1_FLAIR.nii.gz", Some("FLAIR")),
            ("sub-1_ses-2_desc-preproc_T2w.nii", Some("T2w")),
            ("sub-1_T1w.nii.gz", None),
            ("sub-1_space-FLAIR_T1w.nii", None),
            ("a_mprage.nii", None),
            ("a.nii", None),
            ("PD_017.nii", None),
            ("sub-1_head.nii", None),
            ("sub-1_FLAIR_to_T1w.nii", None),
        ] {
            assert_eq!(names_another_kind(Path::new(name), "T1w").as_deref(), word, "{name}");
        }
        assert_eq!(names_another_kind(Path::new("sub-1_T1w.nii"), "FLAIR").as_deref(), Some("T1w"));
        assert_eq!(names_another_kind(Path::new("sub-1_T1w.nii"), "path"), None);
    }

    #[test]
    fn kinds_of_images_by_name_and_folder() {
        let t1 = "sub-1/anat/sub-1_T1w.nii";
        for (mask, word) in [
            ("sub-1/anat/sub-1_T2w_brainmask.nii", "its name says that it is of T2w"),
            ("sub-1/anat/sub-1_FLAIR_mask.nii", "its name says that it is of FLAIR"),
            ("sub-1/dwi/sub-1_mask.nii", "it lies in the folder dwi"),
            ("sub-1/T2/sub-1_mask.nii", "it lies in the folder T2"),
            ("m/sub-1_T2-mask.nii", "its name says that it is of T2"),
            ("m/t2brain_masks/sub-1_mask.nii", "it lies in the folder t2brain_masks"),
        ] {
            assert_eq!(of(t1, mask).as_deref(), Some(word), "{mask}");
        }
        for mask in
            ["sub-1/anat/sub-1_T1w_mask.nii", "m/sub-1_space-T2w_mask.nii", "m/PD/sub-1_mask.nii", "m/sub-1_mask.nii"]
        {
            assert_eq!(of(t1, mask), None, "{mask}");
        }
        // The name of the dataset says nothing about an image that says it itself.
        assert!(of("dwi/sub-1/anat/sub-1_T1w.nii", "dwi/sub-1/dwi/sub-1_mask.nii").is_some());
        assert_eq!(of("sub-1/anat/sub-1_T2w.nii", "sub-1/anat/sub-1_T2w_mask.nii"), None);
        assert_eq!(of("a_mprage.nii", "a_T1_mask.nii"), None);
        assert!(of("a.nii", "a_T2_mask.nii").is_some() && of("T2/a.nii", "m/a_T2_mask.nii").is_none());
        // Whoever says T2w means it.
        let mask = Path::new("d/sub-1/anat/sub-1_T2w_mask.nii");
        assert_eq!(contradiction(&Path::new("d").join(t1), mask, "_T2w_mask.nii"), None);
    }
}
