//! [`Manifest`]: from what a run was made, and with which options.

use super::CohortPlace;
use crate::{
    alike::{self, Copies},
    cohort::Cohort,
    folds::TestSet,
    model::Task,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use voxplain_core::plural::{counted, does};
use voxplain_nn::SoftLabels;

/// From what a run was made, and with which options: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of voxplain that made it.
    pub version: String,
    /// Where the cohort lies.
    #[serde(flatten)]
    pub cohort: CohortPlace,
    /// BLAKE3 over the hashes of the cohort's subjects: this says which cohort it is, wherever it lies.
    pub cohort_hash: String,
    /// The column of the participants table that was learned.
    pub label: String,
    /// What was learned: classes, in the order of the outputs of the network, or a value.
    #[serde(flatten)]
    pub task: Task,
    /// Number of folds (1 for a hold-out).
    pub folds: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The options of training, as JSON.
    pub options: serde_json::Value,
    /// The test set, whose subjects are in no fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<HeldForTest>,
    /// The subjects of the cohort that nothing was learned of, by the column that has no value for them. Older versions left it away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, Vec<String>>,
    /// The bins of each fold, where a value was learnt by soft labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub soft_labels: Vec<SoftLabels>,
    /// Who on both sides of a split may be one person, before training. Older versions did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_duplicates: Option<NearDuplicates>,
}

/// What was found in search of people who may be one, on both sides of a split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicates {
    /// What was to be done about them.
    pub asked: Copies,
    /// People (or scans) who were looked at: those in folds and in the test set.
    pub people: usize,
    /// The likeness from which on two may be one; absent where none could be compared, or none were to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The pairs above it that were trained on all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<AlikePair>,
    /// The most alike of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AlikePair>,
    /// Ids of those whose image has no pattern to compare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// Two people who are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlikePair {
    /// The id of the one.
    pub one: String,
    /// The id of the other.
    pub other: String,
    /// The correlation of what is their own in their images, from -1 to 1.
    pub likeness: f64,
    /// Whether one is the mirror image of the other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirrored: bool,
    /// The channel in which they are, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

impl AlikePair {
    /// A pair by names; `channels` are those of the images.
    pub(crate) fn of(pair: &alike::Pair, id: &dyn Fn(usize) -> String, channels: &[String]) -> Self {
        Self {
            one: id(pair.one),
            other: id(pair.other),
            likeness: pair.likeness,
            mirrored: pair.mirrored,
            channel: channels.get(pair.channel).filter(|_| channels.len() > 1).cloned(),
        }
    }
}

/// `a and b (likeness 0.98, mirrored)`.
impl fmt::Display for AlikePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} (likeness {:.2}", self.one, self.other, self.likeness)?;
        if self.mirrored {
            f.write_str(", mirrored")?;
        }
        if let Some(channel) = &self.channel {
            write!(f, ", in {channel}")?;
        }
        f.write_str(")")
    }
}

/// A test set, and who is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldForTest {
    /// What they have in common.
    #[serde(flatten)]
    pub set: TestSet,
    /// Their ids.
    pub subjects: Vec<String>,
    /// When a run that this one replaced was asked about the same test set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked_before: Vec<String>,
}

impl Manifest {
    /// Who of the cohort was left out and why, in sentences; `noun` is what one of its rows is, `subject` or `scan`. `None` where nobody was.
    pub fn about_left_out(&self, noun: &str) -> Option<String> {
        let sentence = |(column, ids): (&String, &Vec<String>)| {
            let (one, was) = (counted(ids.len(), noun), does(ids.len(), "was", "were"));
            format!("{one} without a value in the column {column} {was} left out: {}.", ids.join(", "))
        };
        let sentences: Vec<String> = self.left_out.iter().map(sentence).collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }

    /// Whether a subject is in the test set.
    pub fn is_kept_for_test(&self, id: &str) -> bool {
        self.test.as_ref().is_some_and(|test| test.subjects.iter().any(|other| other == id))
    }

    /// Words that stand for no value in the table of people, beside the usual ones.
    pub fn missing(&self) -> Vec<String> {
        let words = self.options.get("missing").and_then(|words| words.as_array());
        words.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }
}

/// BLAKE3 over the hashes of the subjects of a cohort, in their order.
pub fn cohort_hash(cohort: &Cohort) -> String {
    let mut hasher = blake3::Hasher::new();
    for subject in &cohort.subjects {
        hasher.update(subject.hash.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
