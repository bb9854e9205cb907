//! [`Reuse`]: people who are taken over from another cohort as they are, so that a cohort can grow without being prepared anew.

use super::{Item, mask_name_at, plan::Plan};
use crate::{
    cohort::{Cohort, Subject},
    setting::{OUT, REUSE},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};
use voxplain_core::{
    Error, Result, hash_file,
    plural::{counted, does},
    remedy,
};
use voxplain_volume::{Mask, Volume};

/// A cohort that was prepared in the same way. Whoever is in it under the same id, from images and a mask of the same bytes, comes out as if
/// prepared anew.
#[derive(Debug)]
pub(super) struct Reuse {
    cohort: Cohort,
    of: BTreeMap<String, usize>,
    taken: AtomicUsize,
    damaged: AtomicUsize,
}

impl Reuse {
    /// # Errors
    /// It is no cohort, was prepared in another way, or is the one that is to be made.
    pub(super) fn new(path: &Path, out: &Path, plan: &Plan) -> Result<Self> {
        let absolute =
            |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).map_err(Error::io(path));
        if absolute(path)? == absolute(out)? {
            let what = "a cohort cannot be made from itself";
            return Err(Error::file(
                path,
                what,
                remedy!["choose another ", OUT, ", and remove the old one afterwards"],
            ));
        }
        let cohort = Cohort::open(path)?;
        let threshold = |made_by: &serde_json::Value| made_by["options"]["mask_threshold"].clone();
        let (old, new) = (&cohort.preparation, &plan.preparation);
        let differs = [
            (cohort.made_by["command"] != "prepare", "where its volumes come from"),
            (old.shape != new.shape || old.spacing != new.spacing, "the grid"),
            (old.placement != new.placement, "where the grid lies"),
            (old.template != new.template, "the template"),
            (old.normalize != new.normalize, "the intensities"),
            (old.whole_head != new.whole_head, "brains or whole heads"),
            (old.channels != new.channels, "the channels"),
            (cohort.dtype != plan.dtype, "the precision of the values"),
            (threshold(&cohort.made_by) != threshold(&plan.made_by), "the threshold of masks"),
            (cohort.version != env!("CARGO_PKG_VERSION"), "the version of voxplain"),
        ];
        let differs: Vec<&str> = differs.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect();
        if !differs.is_empty() {
            let what = format!("it was prepared in another way ({})", differs.join(", "));
            return Err(Error::file(path, what, remedy!["give the same options, or leave ", REUSE, " out"]));
        }
        let of = cohort.subjects.iter().enumerate().map(|(n, subject)| (subject.id.clone(), n)).collect();
        Ok(Self { cohort, of, taken: AtomicUsize::new(0), damaged: AtomicUsize::new(0) })
    }

    /// The subject of an item with its volumes and mask, if it is there, its files have the bytes that they had, and what was prepared is as it
    /// was written.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn subject(
        &self,
        item: &Item,
        sources: &[&Path],
        mask: Option<&Path>,
    ) -> Result<Option<(Subject, Vec<Volume>, Mask)>> {
        let Some(&n) = self.of.get(&item.id) else { return Ok(None) };
        let old = &self.cohort.subjects[n];
        let hashes: Vec<Option<&str>> = match old.channels.as_slice() {
            [] => vec![old.source_hash.as_deref()],
            channels => channels.iter().map(|channel| channel.source_hash.as_deref()).collect(),
        };
        if hashes.len() != sources.len() || old.mask.is_some() != mask.is_some() {
            return Ok(None);
        }
        for (file, hash) in sources.iter().zip(hashes) {
            if hash != Some(hash_file(file)?.as_str()) {
                return Ok(None);
            }
        }
        let mut subject = old.clone();
        if let (Some(name), Some(file)) = (&mut subject.mask, mask) {
            if name.hash != hash_file(file)? {
                return Ok(None);
            }
            // The same bytes may lie elsewhere now.
            name.file = mask_name_at(file)?;
        }
        let there = self.cohort.channels(n).and_then(|volumes| Ok((volumes, self.cohort.mask(n)?)));
        let (volumes, in_brain) = match there {
            Err(error) if !error.is_of_machine() => {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                return Ok(None);
            }
            there => there?,
        };
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Some((subject, volumes, in_brain)))
    }

    /// How many were taken over, in words.
    pub(super) fn in_words(&self, of: usize) -> String {
        let taken = self.taken.load(Ordering::Relaxed);
        let mut said =
            format!("of {}, {taken} taken over as they are in {}", counted(of, "subject"), self.cohort.path.display());
        match self.damaged.load(Ordering::Relaxed) {
            0 => {}
            n => {
                let damaged = (does(n, "is", "are"), does(n, "was", "were"));
                said.push_str(&format!("; {n} more {} damaged there and {} prepared anew", damaged.0, damaged.1));
            }
        }
        said
    }
}
