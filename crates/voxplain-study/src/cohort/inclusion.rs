//! [`Inclusion`]: what was found when a cohort was prepared, and who is not in it, and why.

use crate::listed::{counted, listed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From what was found to who is in the cohort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// Images that were found (or items of an array).
    pub images: usize,
    /// Rows of the table of labels; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Subjects of the cohort.
    pub used: usize,
    /// Who and what is not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// The same source by source, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<OfSource>,
}

/// What was found in one of several sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfSource {
    /// Its name, as in the column of sources.
    pub site: String,
    /// Images that were found in it.
    pub images: usize,
    /// Rows of its table; absent where it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Its subjects in the cohort.
    pub used: usize,
    /// Its images, rows and subjects that are not in it.
    pub left_out: usize,
}

/// An image, a row or a subject that is not in the cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The path of an image or folder, or the id of a row or subject.
    pub what: String,
    /// Why, in words.
    pub why: String,
}

impl LeftOut {
    /// Something that is left out.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

impl Inclusion {
    /// The count in a sentence, then a line for each reason.
    pub fn lines(&self) -> Vec<String> {
        self.lines_without(&|_| false)
    }

    /// The same, but for the reasons of those that are told elsewhere.
    pub fn lines_without(&self, told: &dyn Fn(&str) -> bool) -> Vec<String> {
        let line = |images: usize, rows: Option<usize>, used: usize, left_out: usize| {
            let rows = rows.map_or_else(String::new, |n| format!(" and {}", counted(n, "row")));
            let left = if left_out == 0 { "nothing left out".to_owned() } else { format!("{left_out} left out") };
            format!("found {}{rows}; {used} used, {left}", counted(images, "image"))
        };
        let mut lines = vec![line(self.images, self.rows, self.used, self.left_out.len())];
        let of = self.sources.iter().map(|s| format!("  {}: {}", s.site, line(s.images, s.rows, s.used, s.left_out)));
        lines.extend(of);
        lines.extend(self.reasons_without(told).into_iter().map(|line| format!("  {line}")));
        lines
    }

    /// A line for each reason: how many, why, and the first of them.
    pub fn reasons(&self) -> Vec<String> {
        self.reasons_without(&|_| false)
    }

    fn reasons_without(&self, told: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut of = BTreeMap::<&str, Vec<&str>>::new();
        self.left_out.iter().filter(|l| !told(&l.what)).for_each(|l| of.entry(&l.why).or_default().push(&l.what));
        of.into_iter()
            .map(|(why, whats)| format!("{} left out, {why}: {}", whats.len(), listed(&whats, SHOWN)))
            .collect()
    }
}

/// Those of one reason that are named.
const SHOWN: usize = 5;
