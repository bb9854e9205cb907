//! What is to be known about the preparation of a cohort by whoever reads a result that stands on it.

use super::Cohort;
use crate::listed::listed;
use crate::spelling::{self, alike_by};
use std::collections::BTreeMap;
use voxplain_core::lookalike::spelled;
use voxplain_volume::{BRAIN_ML, is_brain_volume};

/// Subjects that are named one by one.
const NAMED: usize = 3;

impl Cohort {
    /// Sentences about the preparation that belong beside every result: what [`Cohort::findings_in_words`] says, and how many
    /// were left out.
    pub fn caveats(&self) -> Vec<String> {
        let mut sentences = self.findings_in_words();
        if let Some(inclusion) = self.inclusion.as_ref().filter(|i| !i.left_out.is_empty()) {
            sentences.push(format!(
                "When the cohort was prepared, {} of the images, rows and subjects found were left out (cohort.json says which, and why).",
                inclusion.left_out.len()
            ));
        }
        sentences
    }

    /// That there were no brain masks, that masks are too small or too large for brains, what was found in whose image, and whose
    /// ids are nearly the same.
    pub fn findings_in_words(&self) -> Vec<String> {
        let count = self.subjects.len();
        // Where people have several images but it is not clear who, `train` says so.
        let noun = self.headcount(&(0..count).collect::<Vec<_>>()).map_or("image", |heads| heads.noun());
        let mut sentences = Vec::new();
        if let Some(heads) = self.preparation.whole_heads() {
            sentences.push(heads.to_owned());
        } else {
            let odd: Vec<String> = self
                .subjects
                .iter()
                .filter(|s| !is_brain_volume(s.mask_volume))
                .map(|s| format!("{} ({:.0} ml)", s.id, s.mask_volume / 1000.0))
                .collect();
            if !odd.is_empty() {
                sentences.push(format!(
                    "The masks of {} of {count} {noun}s hold less than {} or more than {} ml, as the brain of no adult \
                     does: {}.",
                    odd.len(),
                    BRAIN_ML[0],
                    BRAIN_ML[1],
                    some(&odd)
                ));
            }
        }
        // What is said of several is said once.
        let mut of = BTreeMap::<&str, Vec<&str>>::new();
        for subject in &self.subjects {
            subject.findings.iter().for_each(|what| of.entry(what).or_default().push(&subject.id));
        }
        let (shared, own): (Vec<_>, Vec<_>) = of.into_iter().partition(|(_, ids)| ids.len() > 1);
        let mut found: Vec<String> =
            shared.iter().map(|(what, ids)| format!("{what} ({}: {})", ids.len(), listed(ids, NAMED))).collect();
        let is_own = |what: &&String| own.iter().any(|(other, _)| other == what);
        found.extend(self.subjects.iter().filter_map(|subject| {
            let own: Vec<&str> = subject.findings.iter().filter(is_own).map(String::as_str).collect();
            (!own.is_empty()).then(|| format!("{}: {}", subject.id, own.join("; ")))
        }));
        let about = self.subjects.iter().filter(|s| !s.findings.is_empty()).count();
        if about > 0 {
            sentences.push(format!(
                "The preparation has findings about {about} of {count} {noun}s (all are in cohort.json): {}.",
                some(&found)
            ));
        }
        let near: Vec<String> = alike_by(self.subjects.iter().map(|s| s.id.as_str()), spelling::id)
            .iter()
            .map(|ids| spelled(ids).join(" and "))
            .collect();
        if !near.is_empty() {
            sentences.push(format!(
                "Ids that differ by zeros, signs or characters that look the same alone are taken for different people: {}.",
                some(&near)
            ));
        }
        sentences
    }
}

/// The first of a list, and how many more there are.
fn some(items: &[String]) -> String {
    let shown = items[..items.len().min(NAMED)].join(" | ");
    match items.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} | and {more} more"),
    }
}
