//! [`Entities`]: what the name of a BIDS file says, `sub-01_ses-2_T1w`.

use crate::setting::{ACQ, INCLUDE, REC, RUN, SESSION, SPACE};
use serde::Serialize;
use std::collections::BTreeMap;
use voxplain_core::Setting;

/// Entities that tell images of one person apart.
const KNOWN: &[&str] =
    &["ses", "acq", "ce", "rec", "run", "echo", "inv", "part", "space", "cohort", "res", "den", "label"];

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

    /// The value of an entity.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    /// Whether a companion with these entities can be that of an image: every entity of either but `desc`, and but those
    /// that the user's suffix says, is the same in both.
    pub(super) fn agree(&self, companion: &Self, suffix: &Self) -> bool {
        let theirs = |e: &Self| -> BTreeMap<&'a str, &'a str> {
            e.0.iter().filter(|(key, _)| **key != "desc").map(|(k, v)| (*k, *v)).collect()
        };
        let (image, mut companion) = (theirs(self), theirs(companion));
        // What the suffix says alone is the companion's own.
        companion.retain(|key, _| image.contains_key(key) || suffix.get(key).is_none());
        image == companion
    }
}

/// Which images are taken, by an entity of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntityFilter {
    /// The entity, `ses`.
    pub entity: String,
    /// The values that are taken; none: images without this entity.
    pub values: Vec<String>,
}

impl EntityFilter {
    /// From `2`, `1,2` or `none`.
    pub fn new(entity: &str, values: &str) -> Self {
        let prefix = format!("{entity}-");
        let value = |v: &str| v.trim().trim_start_matches(&prefix).to_owned();
        let values = if values == "none" { Vec::new() } else { values.split(',').map(value).collect() };
        Self { entity: entity.to_owned(), values }
    }

    /// Whether an image of that name (without its ending) is taken. Zeros before a number do not count.
    pub(super) fn takes(&self, stem: &str) -> bool {
        let bare = |v: &str| match v.trim_start_matches('0') {
            number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => number.to_owned(),
            _ => v.to_owned(),
        };
        match Entities::pairs(stem).get(&self.entity) {
            None => self.values.is_empty(),
            Some(value) => self.values.iter().any(|v| bare(v) == bare(value)),
        }
    }
}

/// The setting that chooses among images of these names (without endings): that of an entity that they differ in.
pub(super) fn choosing(stems: &[&str]) -> Setting {
    let differ = |key: &str| {
        let mut values = stems.iter().map(|s| Entities::pairs(s).get(key));
        let first = values.next();
        values.any(|v| Some(v) != first)
    };
    let known = [("ses", SESSION), ("run", RUN), ("space", SPACE), ("rec", REC), ("acq", ACQ)];
    known.into_iter().find(|(key, _)| differ(key)).map_or(INCLUDE, |(_, setting)| setting)
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
    fn filters_and_what_chooses() {
        let takes = |e: &str, v: &str, stem: &str| EntityFilter::new(e, v).takes(stem);
        assert!(takes("ses", "2", "sub-1_ses-02_T1w") && takes("ses", "ses-1,2", "sub-1_ses-2_T1w"));
        assert!(!takes("run", "1", "sub-1_T1w") && takes("rec", "none", "sub-1_T1w"));
        assert!(!takes("rec", "none", "sub-1_rec-norm_T1w"));
        assert_eq!(choosing(&["sub-1_run-1_T1w", "sub-1_run-2_T1w"]), RUN);
        assert_eq!(choosing(&["sub-1_T1w", "sub-1_space-MNI_T1w"]), SPACE);
        assert_eq!(choosing(&["a_x", "a_y"]), INCLUDE);
    }
}
