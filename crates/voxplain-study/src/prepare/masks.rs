//! [`Masks`]: what the masks of a cohort have in common, so that advice about one fits the others.

use super::freesurfer::{above_1, read_brain_mask};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Mutex, PoisonError},
};
use voxplain_attribution::MaskName;
use voxplain_core::{Error, Remedy, hash_file, remedy};
use voxplain_volume::{MaskFile, MaskOptions, Result, setting::MASK_THRESHOLD};

/// Which file a mask is, and how it was read.
pub(crate) fn mask_name(file: &Path, mask: &MaskFile) -> voxplain_core::Result<MaskName> {
    Ok(MaskName {
        file: mask_name_at(file)?,
        hash: hash_file(file)?,
        threshold: mask.threshold,
        volume: mask.volume() / 1000.0,
    })
}

/// Where a mask lies, as results name it.
pub(super) fn mask_name_at(file: &Path) -> voxplain_core::Result<String> {
    Ok(std::path::absolute(file).map_err(Error::io(file))?.to_string_lossy().into_owned())
}

/// The masks that were read, by several threads at a time.
#[derive(Debug, Default)]
pub(super) struct Masks(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The highest value outside any of them, and the lowest inside any; empty before the first.
    bounds: Option<[f64; 2]>,
    /// Whether there are masks of which that is not known.
    unclear: bool,
    /// Thresholds that were advised for masks that were refused.
    advised: BTreeSet<String>,
    /// How masks of FreeSurfer were read, and how many.
    rules: BTreeMap<String, usize>,
}

impl Masks {
    /// Reads a mask, and remembers what there is to know about it.
    pub(super) fn read(&self, file: &Path, options: &MaskOptions) -> Result<MaskFile> {
        let read = read_brain_mask(file, options);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &read {
            Ok(mask) => {
                match (mask.bounds(), seen.bounds) {
                    (Some([low, high]), Some([lowest, highest])) => {
                        seen.bounds = Some([low.max(lowest), high.min(highest)]);
                    }
                    (Some(bounds), None) => seen.bounds = Some(bounds),
                    (None, _) => seen.unclear = true,
                }
                if let Some(rule) = above_1(mask, options) {
                    *seen.rules.entry(rule).or_default() += 1;
                }
            }
            Err(e) => seen.advised.extend(e.remedy().and_then(|r| r.value(MASK_THRESHOLD).map(str::to_owned))),
        }
        read
    }

    /// Says that there are masks that an earlier call took.
    pub(super) fn unread(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unclear = true;
    }

    /// How masks of FreeSurfer were read, in sentences.
    pub(super) fn rules(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.rules
            .iter()
            .map(|(rule, count)| if *count > 1 { format!("{rule}; so are {count} masks") } else { rule.clone() })
            .collect()
    }

    /// Advice about a mask that fits the others: a threshold holds for all, so it is not advised where it would change masks that were
    /// taken, or where another mask needs another one.
    pub(super) fn fitting(&self, remedy: Option<Remedy>) -> Option<Remedy> {
        let remedy = remedy?;
        let Some(threshold) = remedy.value(MASK_THRESHOLD).and_then(|value| value.parse::<f64>().ok()) else {
            return Some(remedy);
        };
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = !seen.unclear && seen.bounds.is_none_or(|[low, high]| low <= threshold && threshold < high);
        if seen.advised.len() > 1 {
            return Some("make each of these masks one of 0 and 1; no threshold fits all of them".into());
        }
        if is_same {
            return Some(remedy);
        }
        Some(remedy![
            format!("make this one a mask of 0 and 1 (1 above {threshold}), or leave it out; a threshold for all ("),
            MASK_THRESHOLD,
            ") could change the others"
        ])
    }
}
