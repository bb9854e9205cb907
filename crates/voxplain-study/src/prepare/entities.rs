//! [`Entities`]: what the name of a BIDS file says, `sub-01_ses-2_T1w`.

use super::{contradiction::is_of_kind, source::called};
use crate::{
    listed::{counted, have},
    setting::{ACQ, INCLUDE, REC, RUN, SESSION, SPACE},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Phrase, Remedy, Setting};

/// Entities that tell images of one person apart.
const KNOWN: &[&str] =
    &["ses", "acq", "ce", "rec", "run", "echo", "inv", "part", "space", "cohort", "res", "den", "label"];

/// Entities of which the image of a whole head at rest has none: a mask that says one is that of another image.
const OF_OTHERS: &[&str] =
    &["space", "task", "dir", "echo", "inv", "part", "flip", "mt", "hemi", "chunk", "from", "to", "mode", "tracer"];

/// Spaces that are an image's own.
const OWN_SPACES: [&str; 3] = ["orig", "native", "individual"];

/// The pairs of a BIDS name, `ses-2` being `ses` and `2`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entities<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Entities<'a> {
    /// The pairs of a name without its ending; `None` where it does not begin with `sub-`.
    pub(super) fn of(stem: &'a str) -> Option<Self> {
        stem.starts_with("sub-").then(|| Self::pairs(stem))
    }

    /// The pairs that stand in a part of a name.
    pub(super) fn pairs(text: &'a str) -> Self {
        Self(text.split('_').filter_map(|part| part.split_once('-')).collect())
    }

    /// The pairs in a name of any kind whose keys are those of BIDS for one image among several of a person.
    pub(super) fn known(stem: &'a str) -> Self {
        let mut pairs = Self::pairs(stem);
        pairs.0.retain(|key, _| KNOWN.contains(key));
        pairs
    }

    /// What a path says: `sub` and `ses` by its folders (`sub-1/ses-2`), and the pairs of its name, which go before. Of a name that
    /// is none of BIDS those are taken whose keys are known.
    pub(super) fn of_path(path: &'a Path) -> Self {
        let mut pairs = BTreeMap::new();
        for folder in path.parent().into_iter().flat_map(Path::iter).filter_map(|part| part.to_str()) {
            let of_folder = Self::pairs(folder).0;
            pairs.extend(of_folder.into_iter().filter(|(key, _)| ["sub", "ses"].contains(key)));
        }
        let name = called(path);
        pairs.extend(Self::of(name).unwrap_or_else(|| Self::known(name)).0);
        Self(pairs)
    }

    /// Whether a mask of the same person can be that of this image: what both say is the same, and what one says alone is nothing that
    /// makes it another image or another space. `desc` and `label` say what a file is, not of what.
    pub(super) fn can_have(&self, mask: &Self) -> bool {
        let differ = self.whose().any(|(key, value)| mask.get(key).is_some_and(|other| plain(other) != plain(value)));
        let alone = mask.whose().any(|(key, _)| self.get(key).is_none() && OF_OTHERS.contains(&key));
        !differ && !alone && (self.get("space").is_none() || mask.get("space").is_some())
    }

    /// What a mask says of what it is of, without its space where that is the image's own: `space-T1w` for a T1-weighted image that names
    /// none.
    pub(super) fn in_space_of(mut self, image: &Path) -> Self {
        let suffix = called(image).rsplit(['_', '-']).next().unwrap_or_default();
        let is_own = |space: &str| OWN_SPACES.contains(&space) || is_of_kind(space, suffix);
        if Entities::of_path(image).get("space").is_none() && self.get("space").is_some_and(is_own) {
            self.0.remove("space");
        }
        self
    }

    /// Whether two files of a person say the same about what they are of.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.whose().map(|(key, v)| (key, plain(v))).eq(other.whose().map(|(key, v)| (key, plain(v))))
    }

    /// The pairs that say of which image of a person a file is.
    fn whose(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(key, value)| (*key, *value)).filter(|(key, _)| !["sub", "desc", "label"].contains(key))
    }

    /// Whether two values of an entity are the same but for zeros before a number.
    pub(super) fn alike(one: &str, other: &str) -> bool {
        plain(one) == plain(other)
    }

    /// Whether a part of a name is an entity of BIDS with its value.
    pub(super) fn is_entity(part: &str) -> bool {
        let known = |key: &str| KNOWN.contains(&key) || OF_OTHERS.contains(&key) || ["sub", "desc"].contains(&key);
        part.split_once('-').is_some_and(|(key, _)| known(key))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of an entity.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    /// Whether a companion with these entities can be that of an image: every entity of either but `desc`, and but those
    /// that the user's suffix says, is the same in both.
    pub(super) fn agree(&self, companion: &Self, suffix: &Self) -> bool {
        let theirs = |e: &Self| -> BTreeMap<&'a str, &'a str> {
            // Zeros before the number of a session or a run do not count.
            let value =
                |key: &str, value: &'a str| if ["ses", "run", "echo"].contains(&key) { plain(value) } else { value };
            e.0.iter().filter(|(key, _)| **key != "desc").map(|(k, v)| (*k, value(k, v))).collect()
        };
        let (image, mut companion) = (theirs(self), theirs(companion));
        // What the suffix says alone is the companion's own.
        companion.retain(|key, _| image.contains_key(key) || suffix.get(key).is_none());
        image == companion
    }
}

/// Which images are taken, by an entity of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityFilter {
    /// The entity, `ses`.
    pub entity: String,
    /// The values that are taken, `none` for images without this entity; nothing: images without it alone.
    pub values: Vec<String>,
}

impl EntityFilter {
    /// From `2`, `1,2`, `none` or `1,none`.
    pub fn new(entity: &str, values: &str) -> Self {
        let prefix = format!("{entity}-");
        let value = |v: &str| v.trim().trim_start_matches(&prefix).to_owned();
        let mut values: Vec<String> = values.split(',').map(value).collect();
        if values.iter().all(|value| is_none(value)) {
            values.clear();
        }
        Self { entity: entity.to_owned(), values }
    }

    /// Whether an image at that path is taken. Zeros before a number do not count.
    pub(super) fn takes(&self, path: &Path) -> bool {
        match Entities::of_path(path).get(&self.entity) {
            None => self.takes_without(),
            Some(value) => self.named().any(|v| plain(v) == plain(value)),
        }
    }

    /// Whether images without the entity are taken.
    pub(super) fn takes_without(&self) -> bool {
        self.values.is_empty() || self.values.iter().any(|value| is_none(value))
    }

    /// The values that images with the entity are taken by.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str).filter(|value| !is_none(value))
    }

    /// The setting that it is given by.
    pub(super) fn setting(&self) -> Setting {
        CHOOSING.iter().find(|(key, _)| *key == self.entity).map_or(INCLUDE, |(_, setting)| *setting)
    }
}

/// As [`EntityFilter::new`] reads it: `1,none`.
impl std::fmt::Display for EntityFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.values.is_empty() { f.write_str(NONE) } else { f.write_str(&self.values.join(",")) }
    }
}

/// Whether a value that is asked for means that there is none.
fn is_none(value: &str) -> bool {
    value.eq_ignore_ascii_case(NONE)
}

/// A value of an entity without zeros before a number.
fn plain(value: &str) -> &str {
    match value.trim_start_matches('0') {
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => value,
    }
}

/// Entities that images are chosen by.
const CHOOSING: [(&str, Setting); 5] = [("ses", SESSION), ("run", RUN), ("space", SPACE), ("rec", REC), ("acq", ACQ)];

/// The setting that chooses among these images, with each value that would do: `--run 1 or --run 2`. Values are joined (`1,none`) so
/// that none of all subjects (`of`) is left without an image, where that leaves none with two; else it is said how many are. Nothing
/// where the images differ in no entity that images are chosen by.
pub(super) fn choices<'a>(images: &[&'a PathBuf], of: impl Iterator<Item = &'a [&'a PathBuf]>) -> Option<Vec<Phrase>> {
    let entities = |images: &[&'a PathBuf]| images.iter().map(|i| Entities::of_path(i)).collect::<Vec<_>>();
    let (key, setting, values) = values(&entities(images))?;
    let of: Vec<BTreeSet<&str>> =
        of.map(|images| entities(images).iter().map(|image| plain(image.get(key).unwrap_or(NONE))).collect()).collect();
    let mut phrases = Vec::new();
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            phrases.push(" or ".into());
        }
        let (all, without) = joined(plain(value), &of);
        let only = all.len() == 1;
        phrases.push(setting.to(if only { (*value).to_owned() } else { all.join(",") }));
        if setting == SPACE && *value == NONE && only {
            phrases.push(" (each in its own space)".into());
        }
        if key == "ses" && all.len() > 1 {
            // Visits by other names may be other visits.
            let each = all.iter().map(|value| {
                let count = of.iter().filter(|of| of.contains(value)).count();
                let name = if *value == NONE { "no session".to_owned() } else { format!("ses-{value}") };
                format!("{name} of {}", counted(count, "subject"))
            });
            let each = each.collect::<Vec<_>>().join(", ");
            phrases.push(format!(" (which takes {each}: right only where these are one visit)").into());
        }
        if without > 0 {
            phrases.push(
                format!(" (which leaves out {} that {} none of it)", counted(without, "subject"), have(without)).into(),
            );
        }
    }
    Some(phrases)
}

/// The error of a source with what it would choose by widened to the images of other sources, where it would leave them none: `1,none`
/// where those have no session.
pub(super) fn for_others(error: Error, others: &[Vec<PathBuf>]) -> Error {
    let widened = |key: &str, value: &str| {
        let filter = EntityFilter::new(key, value);
        let mut all = vec![value.to_owned()];
        for images in others.iter().filter(|images| !images.is_empty() && !images.iter().any(|i| filter.takes(i))) {
            let values: BTreeSet<&str> =
                images.iter().map(|i| Entities::of_path(i).get(key).map_or(NONE, plain)).collect();
            // Of several values none is better than another.
            if let Some(only) = values.first().filter(|_| values.len() == 1)
                && !all.iter().any(|value| value == only)
            {
                all.push((*only).to_owned());
            }
        }
        all.join(",")
    };
    match error {
        Error::Request { what, remedy } => {
            let phrase = |phrase: &Phrase| match phrase {
                Phrase::Setting(setting, Some(value)) => match CHOOSING.iter().find(|(_, own)| own == setting) {
                    Some((key, _)) => setting.to(widened(key, value)),
                    None => phrase.clone(),
                },
                _ => phrase.clone(),
            };
            Error::Request { what, remedy: Remedy::new(remedy.parts().iter().map(phrase)) }
        }
        other => other,
    }
}

/// A value with others, so that as many subjects as can be have an image and none has two by them; and how many have none. `of` holds
/// the values of each subject's images.
fn joined<'a>(value: &'a str, of: &[BTreeSet<&'a str>]) -> (Vec<&'a str>, usize) {
    let mut all = vec![value];
    let chosen = |all: &[&str], of: &BTreeSet<&str>| all.iter().filter(|value| of.contains(**value)).count();
    let others: BTreeSet<&str> = of.iter().flatten().copied().collect();
    // `none` last.
    let (none, others): (Vec<&str>, Vec<&str>) = others.into_iter().partition(|value| *value == NONE);
    for other in others.into_iter().chain(none) {
        let more = [all.as_slice(), &[other]].concat();
        let helps = of.iter().any(|of| chosen(&all, of) == 0 && of.contains(other));
        if helps && of.iter().all(|of| chosen(&more, of) < 2) {
            all = more;
        }
    }
    let without = of.iter().filter(|of| chosen(&all, of) == 0).count();
    (all, without)
}

/// How images without an entity are asked for.
const NONE: &str = "none";

/// An entity that images differ in, its setting, and the values it has.
fn values<'a>(images: &[Entities<'a>]) -> Option<(&'static str, Setting, Vec<&'a str>)> {
    CHOOSING.into_iter().find_map(|(key, setting)| {
        let mut values: Vec<&str> = images.iter().map(|image| image.get(key).unwrap_or(NONE)).collect();
        values.sort_unstable();
        values.dedup();
        (values.len() > 1).then_some((key, setting, values))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_agree_in_every_entity_but_their_description() {
        let agree = |image: &str, mask: &str, suffix: &str| {
            Entities::of(image).unwrap().agree(&Entities::of(mask).unwrap(), &Entities::pairs(suffix))
        };
        let suffix = "_desc-brain_mask";
        assert!(agree("sub-1_ses-2_T1w", "sub-1_ses-2_desc-brain_mask", suffix));
        assert!(!agree("sub-1_ses-2_T1w", "sub-1_ses-1_desc-brain_mask", suffix));
        assert!(!agree("sub-1_ses-2_T1w", "sub-1_desc-brain_mask", suffix));
        let image = "sub-1_space-MNI_desc-preproc_T1w";
        assert!(agree(image, "sub-1_space-MNI_desc-brain_mask", suffix));
        assert!(!agree(image, "sub-1_desc-brain_mask", suffix));
        assert!(!agree("sub-1_T1w", "sub-1_space-MNI_desc-brain_mask", suffix));
        assert!(agree("sub-1_T1w", "sub-1_space-T1w_desc-brain_mask", "_space-T1w_desc-brain_mask"));
        assert!(!agree("sub-1_space-A_T1w", "sub-1_space-B_mask", "_space-B_mask"));
        assert!(Entities::of("IXI1_T1").is_none());
    }

    #[test]
    fn what_chooses_in_one_source_leaves_the_others_their_images() {
        let hint = |others: &[&[&str]]| {
            let others: Vec<Vec<PathBuf>> = others.iter().map(|i| i.iter().map(PathBuf::from).collect()).collect();
            let remedy = voxplain_core::remedy!["choose with ", SESSION.to("1"), " or ", SESSION.to("2,none")];
            for_others(Error::request("two images", remedy), &others).remedy().unwrap().to_string()
        };
        assert_eq!(hint(&[&["sub-B1_T1w.nii"]]), "choose with `session` = 1,none or `session` = 2,none");
        assert_eq!(hint(&[&["sub-B1_ses-02_T1w.nii"]]), "choose with `session` = 1,2 or `session` = 2,none");
        let several = ["sub-B1_ses-3_T1w.nii", "sub-B1_ses-4_T1w.nii"];
        assert_eq!(hint(&[&several]), "choose with `session` = 1 or `session` = 2,none");
        assert_eq!(
            hint(&[&["sub-B1_ses-1_T1w.nii", "sub-B2_ses-2_T1w.nii"]]),
            "choose with `session` = 1 or `session` = 2,none"
        );
    }

    #[test]
    fn filters_and_what_chooses() {
        let takes = |e: &str, v: &str, path: &str| EntityFilter::new(e, v).takes(Path::new(path));
        assert!(takes("ses", "2", "sub-1_ses-02_T1w") && takes("ses", "ses-1,2", "sub-1_ses-2_T1w"));
        assert!(!takes("run", "1", "sub-1_T1w") && takes("rec", "none", "sub-1_T1w"));
        assert!(!takes("rec", "none", "sub-1_rec-norm_T1w"));
        for list in ["1,none", "none, 1", "run-01,None"] {
            assert!(takes("run", list, "sub-1_run-1_T1w") && takes("run", list, "sub-1_T1w"), "{list}");
            assert!(!takes("run", list, "sub-1_run-2_T1w") && !takes("run", list, "sub-1_run-none_T1w"), "{list}");
        }
        assert!(takes("ses", "2", "sub-1/ses-2/anat/T1.nii") && !takes("ses", "2", "sub-1/ses-1/T1.nii"));
        assert!(takes("ses", "2", "sub-1_ses-2/mri/brain.mgz"));
        let choices = |of: &[&[&str]]| {
            let paths: Vec<Vec<PathBuf>> = of.iter().map(|images| images.iter().map(PathBuf::from).collect()).collect();
            let of: Vec<Vec<&PathBuf>> = paths.iter().map(|images| images.iter().collect()).collect();
            let phrases = choices(&of[0], of.iter().map(Vec::as_slice));
            phrases.map(|phrases| Remedy::new(phrases).to_string())
        };
        assert!(choices(&[&["a_x.nii", "a_y.nii"]]).is_none());
        let sessions = ["sub-1/ses-1/anat/x.nii", "sub-1/ses-2/anat/x.nii"];
        assert!(choices(&[&sessions]).unwrap().starts_with("`session` = 1 or"));
        // Those who have no run stay, and who has none of a value is counted.
        let runs = ["sub-1_run-1_T1w.nii", "sub-1_run-02_T1w.nii"];
        let words = choices(&[&runs, &["sub-2_T1w.nii"]]).unwrap();
        assert_eq!(words, "`run` = 2,none or `run` = 1,none");
        let words = choices(&[&sessions, &["sub-2_ses-2_T1w.nii"]]).unwrap();
        assert_eq!(words, "`session` = 1 (which leaves out 1 subject that has none of it) or `session` = 2");
        // Other names of sessions may be other visits.
        let (first, last) = (["sub-1_ses-a_T1w.nii", "sub-1_ses-b_T1w.nii"], "sub-2_ses-m0_T1w.nii");
        let words = choices(&[&first, &[last]]).unwrap();
        let mixed = "(which takes ses-b of 1 subject, ses-m0 of 1 subject: right only where these are one visit)";
        assert!(words.ends_with(&format!("or `session` = b,m0 {mixed}")), "{words}");
        let words = choices(&[&["sub-1_T1w.nii", "sub-1_space-MNI_T1w.nii"]]).unwrap();
        assert_eq!(words, "`image-space` = MNI or `image-space` = none (each in its own space)");
    }
}
