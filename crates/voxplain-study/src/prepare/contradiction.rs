//! [`contradiction`]: what in the path of a mask says that it is of another image.

use super::{
    entities::Entities,
    source::{absolute, called, name},
    visit::Visit,
};
use std::path::{Component, Path};
use voxplain_volume::image_stem;

/// Words by which names and folders say which kind of image a file is of, kind by kind: suffixes and data types of BIDS, and what else
/// people call them.
const KINDS: [&[&str]; 16] = [
    T1,
    &["t2", "t2w", "t2wi", "t2tse"],
    &["flair", "t2flair"],
    &["pd", "pdw", "pdwi", "pdt2"],
    &["t2star", "t2starw", "t2starmap", "swi"],
    &["func", "bold", "fmri", "rsfmri", "sbref", "cbv", "rest", "resting"],
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
];

/// An image that says nothing is taken for one of these.
const T1: &[&str] = &["t1", "t1w", "t1wi", "mprage", "mp2rage", "unit1", "spgr", "fspgr", "bravo"];

/// Words by which masks say that they hold something else than the brain: lesions, the head and what is on it, tissues, parts.
const CONTENTS: [&str; 66] = [
    "lesion",
    "lesions",
    "tumor",
    "tumors",
    "tumour",
    "tumours",
    "wmh",
    "stroke",
    "infarct",
    "edema",
    "oedema",
    "hematoma",
    "hemorrhage",
    "cmb",
    "plaque",
    "plaques",
    "gtv",
    "ctv",
    "head",
    "scalp",
    "skull",
    "bone",
    "neck",
    "face",
    "eye",
    "eyes",
    "wm",
    "gm",
    "csf",
    "dgm",
    "cgm",
    "sgm",
    "whitematter",
    "greymatter",
    "graymatter",
    "white matter",
    "grey matter",
    "gray matter",
    "ribbon",
    "aribbon",
    "cortex",
    "ventricle",
    "ventricles",
    "vessel",
    "vessels",
    "hippocampus",
    "hippocampi",
    "amygdala",
    "thalamus",
    "thalami",
    "caudate",
    "putamen",
    "pallidum",
    "striatum",
    "insula",
    "precuneus",
    "cerebellum",
    "brainstem",
    "midbrain",
    "pons",
    "medulla",
    "roi",
    "rois",
    "vent",
    "subcortex",
    "basalganglia",
];

/// Words that folders have for other reasons: patients of Parkinson's disease or stroke, controls, people at rest.
const GROUPS: [&str; 5] = ["pd", "ct", "stroke", "rest", "resting"];

/// Words that say of the one behind them that it is not meant, or what something was made from.
const NOT: [&str; 12] =
    ["no", "non", "not", "without", "wo", "minus", "from", "strip", "stripped", "remove", "removed", "exclude"];

/// Words that say that what stands before them is taken away.
const FREE: [&str; 13] = [
    "free",
    "strip",
    "stripped",
    "stripping",
    "stripper",
    "removed",
    "removal",
    "extracted",
    "filled",
    "filling",
    "inpainted",
    "excluded",
    "off",
];

/// Words in the names of templates, whose mask may be that of any kind of image.
const TEMPLATES: [&str; 6] = ["mni", "tpl", "template", "icbm", "avg152", "atlas"];

/// Why a mask cannot be that of an image, by what its name and its folders say: another person, session or kind of image, or something
/// else than the brain. Nothing where they do not say so. Folders that both lie in say nothing; nor does what the user says of masks
/// (`said`).
pub(super) fn contradiction(image: &Path, mask: &Path, said: &str) -> Option<String> {
    let [image, mask] = [image, mask].map(whole);
    let folders = own_folders(&image, &mask);
    of_another(&image, &mask, &folders)
        .or_else(|| of_another_visit(&image, &mask, &folders, said))
        .or_else(|| of_another_kind(&image, &mask, &folders, said))
        .or_else(|| of_something_else(&image, &mask, &folders, said))
        .or_else(|| {
            let beside = beside_its_own(&image, &mask)?;
            // What the user says of masks is no reason against one; beside another reason it is the stronger.
            Some(match of_another_kind(&image, &mask, &folders, "") {
                Some(kind) => format!("{kind}, and {beside}"),
                None => beside,
            })
        })
}

/// What speaks against a mask that the user gave for an image, or a table: [`contradiction`], but for what lies beside the mask. The
/// mask of a template may be that of any kind of image.
pub(crate) fn doubt(image: &Path, mask: &Path) -> Option<String> {
    let [image, mask] = [image, mask].map(whole);
    let folders = own_folders(&image, &mask);
    let low = name(&mask).to_lowercase();
    let is_template = TEMPLATES.iter().any(|word| low.contains(word));
    of_another(&image, &mask, &folders)
        .or_else(|| of_another_visit(&image, &mask, &folders, ""))
        .or_else(|| of_another_kind(&image, &mask, &folders, "").filter(|_| !is_template))
        .or_else(|| of_something_else(&image, &mask, &folders, ""))
}

/// What names and folders say of two images of one person that cannot both be so: another person or session, in words (`it is of sub-2, not of
/// sub-1`); zeros before a number do not count.
pub(crate) fn of_others(one: &Path, other: &Path, keys: &[&str]) -> Option<String> {
    let [one, other] = [one, other].map(whole);
    let (ours, theirs) = (Entities::of_path(&one), Entities::of_path(&other));
    keys.iter().find_map(|key| {
        let (own, value) = (ours.get(key)?, theirs.get(key)?);
        (!Entities::alike(own, value)).then(|| format!("it is of {key}-{value}, not of {key}-{own}"))
    })
}

/// An absolute path; one that cannot be made so is taken as it is.
fn whole(path: &Path) -> std::path::PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
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
        let own = ours.get(key).filter(|own| differ(own, value))?;
        let in_name = Entities::pairs(called(mask)).get(key) == Some(value);
        let what = if in_name { "its name says" } else { "its folder says" };
        Some(format!("{what} that it is of {key}-{value}, not of {key}-{own}"))
    })
}

/// An image of the same name beside it, in another folder: the same id at another site, another visit. A mask that has the name of its image
/// itself, in a folder of masks, is no such image.
fn beside_its_own(image: &Path, mask: &Path) -> Option<String> {
    let (folder, called) = (mask.parent()?, image.file_name()?);
    let twin = folder.join(called);
    (image.parent() != Some(folder) && twin != mask && twin.is_file())
        .then(|| format!("it lies beside another image of that name, {}", twin.display()))
}

/// Another visit, where image and mask both speak of one on the same scale.
fn of_another_visit(image: &Path, mask: &Path, folders: &[&str], said: &str) -> Option<String> {
    let is_said = |visit: &Visit| Visit::all(said).iter().any(|own| own.compares(visit) && own.same(visit));
    let of_name =
        |path: &Path| -> Vec<Visit> { Visit::all(called(path)).into_iter().filter(|v| !v.is_kind()).collect() };
    // Of folders dates are those of the work, and one letter with a number stands for itself alone.
    let of_folder = |folder: &str, alone: bool| -> Vec<Visit> {
        let visits = Visit::all(folder).into_iter().filter(|v| !v.is_kind() && !v.is_date());
        visits.filter(|v| !v.is_short() || (alone && v.word == folder)).collect()
    };
    let theirs_own = own_folders(mask, image);
    let around = image.parent().into_iter().flat_map(|folder| folder.iter().rev()).filter_map(|part| part.to_str());
    let ours = std::iter::once(of_name(image)).chain(around.map(|part| of_folder(part, theirs_own.contains(&part))));
    let ours: Vec<Vec<Visit>> = ours.collect();
    let other = |theirs: &[Visit]| {
        theirs.iter().filter(|visit| !is_said(visit)).find_map(|visit| {
            let own = ours.iter().find(|visits| visits.iter().any(|own| own.compares(visit)))?;
            let of_one = || own.iter().filter(|own| own.compares(visit));
            let is_ours = theirs.iter().any(|visit| of_one().any(|own| own.compares(visit) && own.same(visit)));
            (!is_ours).then(|| of_one().next().map(|own| (visit.word.clone(), own.word.clone())))?
        })
    };
    if let Some((theirs, ours)) = other(&of_name(mask)) {
        return Some(format!("its name says that it is of {theirs}, not of {ours}"));
    }
    let named = of_name(mask);
    folders.iter().rev().find_map(|folder| {
        let mut visits = of_folder(folder, true);
        visits.retain(|visit| !named.iter().any(|own| own.compares(visit)));
        other(&visits).map(|(_, ours)| format!("it lies in the folder {folder}, and the image is of {ours}"))
    })
}

/// Something else than the brain: a lesion, the head, a tissue, a part.
fn of_something_else(image: &Path, mask: &Path, folders: &[&str], said: &str) -> Option<String> {
    let stem = image_stem(name(mask)).unwrap_or_else(|| name(mask));
    let known: Vec<String> = all_words(said).iter().map(|word| word.to_lowercase()).collect();
    let theirs = Entities::pairs(stem);
    for key in ["label", "tissue"] {
        let Some(value) = theirs.get(key) else { continue };
        let low = value.to_lowercase();
        let is_brain = !CONTENTS.contains(&low.as_str()) && low.contains("brain");
        let is_of_image = Entities::pairs(called(image)).get(key) == Some(value);
        if !is_brain && !is_of_image && !known.contains(&low) {
            return Some(format!("its name says that it is of {key}-{value}"));
        }
    }
    // What the image is called by, be it an id or a group of people, says nothing about its mask.
    let all = |parts: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        parts.flat_map(all_words).map(|word| plain(&word)).collect()
    };
    let other = |text: &str, of_image: &[String]| {
        let is_other = |word: &String| {
            is_content(word) && !of_image.contains(&plain(word)) && !known.contains(&word.to_lowercase())
        };
        telling(text, &FREE).into_iter().rfind(is_other)
    };
    let words = words(stem);
    let is_mask = |word: &&String| !["mask", "masks"].contains(&word.to_lowercase().as_str());
    let last = words.iter().rev().find(is_mask).map(|word| word.to_lowercase());
    if last.is_some_and(|last| ["brain", "brainmask", "wholebrain"].contains(&last.as_str())) {
        return None;
    }
    if let Some(word) = other(stem, &all(&mut std::iter::once(called(image)))) {
        return Some(format!("its name says that it is of {word}"));
    }
    let of_path = all(&mut image.iter().filter_map(|part| part.to_str()));
    folders.iter().rev().find_map(|folder| {
        let word = other(folder, &of_path).filter(|word| !GROUPS.contains(&plain(word).as_str()));
        word.map(|_| format!("it lies in the folder {folder}"))
    })
}

/// Another kind of image.
fn of_another_kind(image: &Path, mask: &Path, folders: &[&str], said: &str) -> Option<String> {
    let of_words = |text: &str| telling(text, &[]).iter().filter_map(|word| kind(word)).collect::<Vec<usize>>();
    let of_folder = |text: &str| {
        let words = telling(text, &[]).into_iter().filter(|word| !GROUPS.contains(&plain(word).as_str()));
        words.filter_map(|word| kind(&word)).collect::<Vec<usize>>()
    };
    // The name speaks first, then the folders from the inside out.
    let around = image.parent().into_iter().flat_map(|folder| folder.iter().rev()).filter_map(|part| part.to_str());
    let says = std::iter::once(of_words(called(image))).chain(around.map(of_folder)).find(|kinds| !kinds.is_empty());
    let ours = says.unwrap_or_else(|| vec![0]);
    let known: Vec<usize> = words(said).iter().filter_map(|word| kind(word)).collect();
    let named = |text: &str| -> Vec<(usize, String)> {
        let kinds = telling(text, &[]).into_iter().filter_map(|word| Some((kind(&word)?, word)));
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

/// The word by which the name of an image says that it is of another kind than `expected`, which has such a word itself (`T1w`). Words
/// that people use for patients say nothing of an image.
pub(crate) fn names_another_kind(image: &Path, expected: &str) -> Option<String> {
    let expected = words(expected).iter().find_map(|word| kind(word))?;
    let said = kinds_of(image);
    let first = said.first()?;
    said.iter().all(|(kind, _)| *kind != expected).then(|| first.1.clone())
}

/// The kinds of images that the name of one speaks of, each with its word.
pub(super) fn kinds_of(image: &Path) -> Vec<(usize, String)> {
    let words = telling(called(image), &[]).into_iter().filter(|word| !GROUPS.contains(&plain(word).as_str()));
    words.filter_map(|word| Some((kind(&word)?, word))).collect()
}

/// Whether two words are of one kind of image.
pub(super) fn is_of_kind(word: &str, other: &str) -> bool {
    kind(word).is_some_and(|own| kind(other) == Some(own))
}

/// The words of a name, without its entities but `desc`.
fn words(text: &str) -> Vec<String> {
    let parts = text.split('_').filter_map(|part| match part.strip_prefix("desc-") {
        Some(described) => Some(described),
        None => (!Entities::is_entity(part)).then_some(part),
    });
    let words = parts.flat_map(|part| part.split(['-', '.', ' ', '+']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The words of a text, entities included.
fn all_words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The words of a name that are meant: those that [`NOT`] stands before are not, nor are those that one of `free` stands behind.
/// `white` and `matter` are one word.
fn telling(text: &str, free: &[&str]) -> Vec<String> {
    let words = words(text);
    let is = |n: Option<usize>, list: &[&str]| {
        n.and_then(|n| words.get(n)).is_some_and(|word| list.contains(&word.to_lowercase().as_str()))
    };
    let mut told = Vec::with_capacity(words.len());
    for (n, word) in words.iter().enumerate() {
        if is(n.checked_sub(1), &NOT) || is(Some(n + 1), free) {
            continue;
        }
        let is_matter = is(Some(n), &["white", "grey", "gray"]) && is(Some(n + 1), &["matter"]);
        told.push(if is_matter { format!("{word} matter") } else { word.clone() });
    }
    told
}

/// Whether a word says that a mask holds something else than the brain. A `headmask` is one that was made of a head.
fn is_content(word: &str) -> bool {
    let low = word.to_lowercase();
    low != "headmask" && [low.as_str(), plain(word).as_str()].iter().any(|word| CONTENTS.contains(word))
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
        assert_eq!(
            of(image, "sub-1/ses-2/anat/sub-1_mask.nii").unwrap(),
            "its folder says that it is of ses-2, not of ses-1"
        );
        assert_eq!(of(image, "m/ses-01/sub-1_mask.nii"), None);
        let image = "sub-1/ses-1/anat/sub-1_ses-1_T1w.nii";
        let named = "it is named ses-1 and lies in ses-2";
        assert_eq!(of(image, "sub-1/ses-2/anat/sub-1_ses-1_mask.nii").unwrap(), named);
        assert_eq!(of(image, "m/sub-2/sub-1_ses-1_mask.nii").unwrap(), "it is named sub-1 and lies in sub-2");
        assert_eq!(
            of("sub-1/T1.nii", "sub-2/T1_mask.nii").unwrap(),
            "its folder says that it is of sub-2, not of sub-1"
        );
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

    #[test]
    fn visits_of_one_scale_that_differ() {
        for (image, mask, why) in [
            ("i/P1_V1_T1.nii", "m/P1_V2_mask.nii", "its name says that it is of V2, not of V1"),
            ("i/P1_baseline_T1.nii", "m/P1_followup_mask.nii", "its name says that it is of followup, not of baseline"),
            ("i/P1_visit1_T1.nii", "m/visit2/P1_mask.nii", "it lies in the folder visit2, and the image is of visit1"),
            ("i/visit1/P1_T1.nii", "m/P1_visit2_mask.nii", "its name says that it is of visit2, not of visit1"),
            ("i/P1_m00_T1.nii", "m/P1_m12_mask.nii", "its name says that it is of m12, not of m00"),
            ("i/P1_bl_T1.nii", "m/M12/P1_mask.nii", "it lies in the folder M12, and the image is of bl"),
            (
                "i/sub-1_ses-1_T1w.nii",
                "m/session2/sub-1_mask.nii",
                "it lies in the folder session2, and the image is of ses-1",
            ),
            ("i/P1_20200101_T1.nii", "m/P1_20210505_mask.nii", "its name says that it is of 20210505, not of 20200101"),
            (
                "i/sub-1_visit-1_T1w.nii",
                "m/sub-1_visit-2_mask.nii",
                "its name says that it is of visit-2, not of visit-1",
            ),
        ] {
            assert_eq!(of(image, mask).as_deref(), Some(why), "{mask}");
        }
        for (image, mask) in [
            ("i/P1_V1_T1.nii", "m/P1_V01_mask.nii"),
            ("i/P1_V1_T1.nii", "m/P1_V1_hdbet_v2_mask.nii"),
            ("i/P1_V1_T1.nii", "m/P1_synthstrip_v2_mask.nii"),
            ("i/P1_V1_T1.nii", "m/P1_ses-2_mask.nii"),
            ("i/P1_T1.nii", "m/P1_V2_mask.nii"),
            ("i/P1_20200101_T1.nii", "masks_20240101/P1_mask.nii"),
            ("i_v1/P1_T1.nii", "m_v2/P1_mask.nii"),
            ("i/P1_bl_T1.nii", "m/P1_m00_mask.nii"),
        ] {
            assert_eq!(of(image, mask), None, "{image} {mask}");
        }
        let at = |file: &str| Path::new("d").join(file);
        let said = contradiction(&at("P1_V1_T1.nii"), &at("P1_V2_mask.nii"), "_V2_mask.nii");
        assert_eq!(said, None);
    }

    #[test]
    fn masks_of_something_else_than_the_brain() {
        for (mask, word) in [
            ("sub-1_T1w_lesion_mask.nii", "lesion"),
            ("sub-1_label-lesion_mask.nii", "label-lesion"),
            ("sub-1_label-WM_mask.nii", "label-WM"),
            ("sub-1_label-L_mask.nii", "label-L"),
            ("sub-1_tissue-GM_mask.nii", "tissue-GM"),
            ("sub-1_desc-CSF_mask.nii", "CSF"),
            ("sub-1_WM_mask.nii", "WM"),
            ("sub-1_brain_tumor_mask.nii", "tumor"),
            ("sub-1_white-matter_mask.nii", "white matter"),
            ("sub-1_stroke_mask.nii", "stroke"),
            ("sub-1_ROI_mask.nii", "ROI"),
            ("sub-1_eyes_mask.nii", "eyes"),
            ("sub-1_hippocampus_mask.nii", "hippocampus"),
            ("sub-1_rest_mask.nii", "rest"),
            ("sub-1_skull_mask.nii", "skull"),
            ("sub-1_headmask_lesionmask.nii", "lesionmask"),
        ] {
            let why = format!("its name says that it is of {word}");
            assert_eq!(of("i/sub-1_T1w.nii", &format!("m/{mask}")), Some(why), "{mask}");
        }
        assert_eq!(of("i/sub-1_T1w.nii", "m/lesions/sub-1_mask.nii").as_deref(), Some("it lies in the folder lesions"));
        for mask in [
            "no_head/sub-1_mask.nii",
            "without_skull/sub-1_mask.nii",
            "skull-strip/sub-1_mask.nii",
            "skullstripped/sub-1_mask.nii",
            "lesion-free/sub-1_mask.nii",
            "from_T2/sub-1_mask.nii",
            "sub-1_headmask.nii",
            "sub-1_T1w_skull_stripped_mask.nii",
            "sub-1_T1w_lesion_filled_brain_mask.nii",
            "sub-1_label-brain_mask.nii",
            "stroke/sub-1_mask.nii",
            "lesions/sub-1_brain_mask.nii",
        ] {
            assert_eq!(of("i/sub-1_T1w.nii", &format!("m/{mask}")), None, "{mask}");
        }
        // Ids and groups of people that both have.
        assert_eq!(of("i/tumor/WM_1_T1.nii", "m/tumor/WM_1_mask.nii"), None);
        assert!(of("lesion/i/sub-1_T1w.nii", "lesion/m/sub-1_lesion_mask.nii").is_some());
        let at = |file: &str| Path::new("d").join(file);
        for said in ["_label-WM_mask.nii", "*WM*"] {
            assert_eq!(contradiction(&at("sub-1_T1w.nii"), &at("sub-1_label-WM_mask.nii"), said), None);
        }
    }

    #[test]
    fn what_the_user_gave_is_doubted_in_words() {
        let doubt = |image: &str, mask: &str| doubt(Path::new(image), Path::new(mask));
        let other = "its name says that it is of sub-06, not of sub-05";
        assert_eq!(doubt("sub-05_T1w.nii", "x/sub-06_mask.nii").as_deref(), Some(other));
        assert_eq!(doubt("sub-05_T1w.nii", "dwi/sub-05_mask.nii").as_deref(), Some("it lies in the folder dwi"));
        assert_eq!(doubt("sub-05_FLAIR.nii", "MNI152_T1_brain_mask.nii"), None);
        assert_eq!(doubt("sub-05_T1w.nii", "any.nii"), None);
    }
}
