//! [`MatchedArms`]: what a run tells over people of its two classes who are alike in covariates.

use super::{Arm, Study};
use crate::{
    imbalance::Learnt,
    listed::{and, counted, listed},
    matched::{Balance, MIN_PAIRS, MatchOn, Matchable},
};
use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result, random::Seed};
use voxplain_stats::{FoldPrediction, MATCHES, MatchedAreas, Matching, RESAMPLES};

/// The arms over people who were matched, without training again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchedArms {
    /// Names of the two classes: differences are of the second less the first.
    pub classes: Vec<String>,
    /// The covariates, in words.
    pub on: Vec<String>,
    /// How far apart the two of a pair may be in a number, in standard deviations.
    pub caliper: f64,
    /// Held-out people, or images.
    pub people: usize,
    /// Pairs of a match: the mean, the fewest and the most over random orders of matching.
    pub pairs: f64,
    /// The fewest.
    pub fewest: usize,
    /// The most.
    pub most: usize,
    /// Random orders.
    pub matches: usize,
    /// Resamples of people behind each interval.
    pub resamples: usize,
    /// Ids of those who lack a value in one of the columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_value: Vec<String>,
    /// Ids of further images of people, of whom another image is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_images: Vec<String>,
    /// Ids of those to whom nobody of the other class is alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_alike: Vec<String>,
    /// How far the classes differ, before and after.
    pub balance: Vec<Balance>,
    /// A row for each arm that there is over all people; its difference and its share are to that arm over all.
    pub arms: Vec<Arm>,
}

/// Who is alike whom among the held-out.
pub(super) struct Matched {
    of: Matchable,
    /// The held-out, by position among the people of the run.
    held_out: Vec<usize>,
    there: Vec<usize>,
    matching: Matching,
    seed: Seed,
}

impl Matched {
    /// Matches the held-out people of a study.
    ///
    /// # Errors
    /// They cannot be matched on these columns, or too few are alike.
    pub(super) fn of(study: &Study<'_>, classes: &[String], asked: &MatchOn, held_out: Vec<usize>) -> Result<Self> {
        let label = (study.run.manifest.label.as_str(), Learnt::Classes(&study.labels, classes));
        let of = Matchable::of(&study.cohort, &study.members, label, asked, &study.run.manifest.missing())?;
        let (there, matching) = of.matching(&held_out);
        let seed = Seed::new(study.run.manifest.seed).child("matched");
        let found = Self { of, held_out, there, matching, seed };
        let sizes = found.areas(study).matches().iter().map(Vec::len).collect::<Vec<_>>();
        let mean = sizes.iter().sum::<usize>() as f64 / sizes.len().max(1) as f64;
        if mean < MIN_PAIRS as f64 {
            let second = found.there.iter().filter(|&&n| study.labels[n] == 1).count();
            let least = second.min(found.there.len() - second);
            let alike = (0..found.there.len()).filter(|&at| found.matching.has_alike(at)).count();
            return Err(Error::request(
                format!(
                    "of {} held-out, {} can be matched on {} and {alike} have somebody of the other class who is alike (within {} standard deviations): that \
                     makes {mean:.1} pairs in the mean, fewer than the {MIN_PAIRS} that something is said of",
                    found.held_out.len(),
                    found.there.len(),
                    found.of.on(),
                    found.of.caliper()
                ),
                found.of.more_pairs(least),
            ));
        }
        Ok(found)
    }

    /// The held-out and who of them are matched, as positions among the held-out.
    fn areas(&self, study: &Study<'_>) -> MatchedAreas<'_> {
        let all = self.of.names();
        let names: Vec<&str> = self.held_out.iter().map(|&n| all[n]).collect();
        let groups: Option<Vec<usize>> =
            study.groups.as_ref().map(|groups| self.held_out.iter().map(|&n| groups[n]).collect());
        let place = |n: &usize| self.held_out.binary_search(n).ok();
        let candidates: Vec<usize> = self.there.iter().filter_map(place).collect();
        MatchedAreas::new(&self.matching, &candidates, &names, groups.as_deref(), self.seed)
    }

    /// The arms over matched people: `said` has the name of the model and of the arm, and what was said of each held-out.
    pub(super) fn arms(&self, study: &Study<'_>, said: &[(String, String, Vec<FoldPrediction>)]) -> MatchedArms {
        let areas = self.areas(study);
        let second: Vec<bool> = self.held_out.iter().map(|&n| self.of.second()[n]).collect();
        let mut arms = Vec::new();
        for (model, arm, said) in said {
            // The area is that of the second class, which is that of the first with the first's probability.
            let scores: Vec<f64> = said.iter().map(|p| p.probabilities[1]).collect();
            if let Some(found) = areas.of(&scores, &second) {
                let shown = found.area.ends().is_some();
                // A share of what is not shown to be there says nothing.
                let above = study.area(said).is_some_and(|all| all.ends().is_some_and(|(low, _)| low > 0.5));
                arms.push(Arm {
                    trained_otherwise: Vec::new(),
                    shuffled: None,
                    model: model.clone(),
                    arm: arm.clone(),
                    subjects: said.len(),
                    area: found.area,
                    difference: Some(found.difference),
                    explained: found.explained.filter(|_| above && shown),
                });
            }
        }
        let matches = areas.matches();
        let sizes: Vec<usize> = matches.iter().map(Vec::len).collect();
        let in_run: Vec<Vec<[usize; 2]>> =
            matches.iter().map(|pairs| pairs.iter().map(|pair| pair.map(|at| self.held_out[at])).collect()).collect();
        let names = self.of.names();
        let without_alike = (0..self.there.len())
            .filter(|&at| !self.matching.has_alike(at))
            .map(|at| names[self.there[at]].to_owned())
            .collect();
        MatchedArms {
            classes: study.run.manifest.task.classes().to_vec(),
            on: self.of.covariates().to_vec(),
            caliper: self.of.caliper(),
            people: self.held_out.len(),
            pairs: sizes.iter().sum::<usize>() as f64 / sizes.len().max(1) as f64,
            fewest: sizes.iter().copied().min().unwrap_or(0),
            most: sizes.iter().copied().max().unwrap_or(0),
            matches: MATCHES,
            resamples: RESAMPLES,
            without_value: self.of.without_value(&self.held_out),
            further_images: self.of.further(&self.held_out),
            without_alike,
            balance: self.of.balance(&self.there, &in_run),
            arms,
        }
    }
}

impl MatchedArms {
    /// Whether the classes differ in no covariate by more than a quarter of a standard deviation after matching (Stuart 2010, `Statistical Science`
    /// 25:1).
    pub fn are_alike(&self) -> bool {
        self.balance.iter().all(|balance| balance.after.is_none_or(|after| after.abs() <= 0.25))
    }

    /// Who was matched, in a sentence.
    pub fn about(&self, noun: &str) -> String {
        let Self { fewest, most, matches, .. } = self;
        let pairs = if fewest == most {
            format!("{most} pairs in each of {matches} random orders")
        } else {
            format!("{:.1} pairs in the mean of {matches} random orders ({fewest} to {most})", self.pairs)
        };
        let balance: Vec<String> = self.balance.iter().map(Balance::in_words).collect();
        let mut left = Vec::new();
        let mut leave = |ids: &[String], what: &str| {
            if !ids.is_empty() {
                left.push(format!("{} {what} ({})", counted(ids.len(), noun), listed(ids, 4)));
            }
        };
        leave(&self.without_alike, "to whom nobody of the other class is alike");
        leave(&self.without_value, "without a value");
        leave(&self.further_images, "of people of whom another image is taken");
        let left = if left.is_empty() { String::new() } else { format!(" Never in a pair: {}.", and(&left)) };
        format!(
            "Matched on {} within {} standard deviations: of {}, {pairs}. Standardised differences of means, of {} less {}: {}.{left}",
            and(&self.on),
            self.caliper,
            counted(self.people, noun),
            self.classes[1],
            self.classes[0],
            balance.join("; ")
        ) + if self.are_alike() {
            ""
        } else {
            " They still differ by more than 0.25: what is said over matched people is not free of it, and a smaller caliper is needed."
        }
    }
}
