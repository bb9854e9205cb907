//! [`Group`]: subjects whose maps are combined.

use crate::{
    cohort::{Cohort, Headcount},
    model::Quantity,
    run::{Outcome, PredictedValue, Prediction},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use voxplain_core::Result;
use voxplain_stats::significant;

/// Subjects whose maps are combined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// For file names: `group-all`, `label-male`, `outcome-tp`, `label-male_outcome-correct`.
    pub name: String,
    /// In words: `all subjects`, `true class male`, `true positive: male, taken for male`.
    pub title: String,
    /// Ids, in the order of the predictions.
    pub subjects: Vec<String>,
    /// Number of people whose images these are; absent where every image is of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
}

impl Group {
    /// Positions of its subjects among these ids.
    pub(super) fn positions<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let own: BTreeSet<&str> = self.subjects.iter().map(String::as_str).collect();
        ids.enumerate().filter(|(_, id)| own.contains(id)).map(|(n, _)| n).collect()
    }

    /// How many images of how many people these are.
    pub fn headcount(&self) -> Headcount {
        Headcount { scans: self.subjects.len(), people: self.people, rows: false }
    }

    /// Counts the people, where a cohort says that some have several images.
    ///
    /// # Errors
    /// It is not known whose images these are.
    pub(super) fn count_people(&mut self, cohort: &Cohort, any_has_several: bool) -> Result<()> {
        let numbers: Vec<usize> = self.subjects.iter().filter_map(|id| cohort.find(id)).collect();
        // Where people of the whole have several images, a part is of scans too, even if each is of another person.
        self.people = match cohort.persons(&numbers)? {
            Some(persons) => Some(persons.names.len()),
            None => any_has_several.then_some(numbers.len()),
        };
        Ok(())
    }
}

/// The groups with members among `ids`: all subjects, each true class, each outcome. For two classes the outcomes are true and false
/// positives and negatives, where `positive` is the positive class (by default the last). For more classes they are correct and
/// incorrect within each true class.
pub fn groups(predictions: &[Prediction], ids: &[&str], classes: &[String], positive: Option<&str>) -> Vec<Group> {
    let there: Vec<&Prediction> = predictions.iter().filter(|p| ids.contains(&p.participant_id.as_str())).collect();
    let mut groups = Vec::new();
    let mut add = |name: String, title: String, belongs: &dyn Fn(&Prediction) -> bool| {
        let subjects: Vec<String> = there.iter().filter(|p| belongs(p)).map(|p| p.participant_id.clone()).collect();
        if !subjects.is_empty() {
            groups.push(Group { name, title, subjects, people: None });
        }
    };
    add("group-all".into(), "all subjects".into(), &|_| true);
    let words = entities(classes);
    for (class, word) in classes.iter().zip(&words) {
        add(format!("label-{word}"), format!("true class {class}"), &|p| p.truth == *class);
    }
    if let [first, second] = classes {
        let positive = positive.unwrap_or(second);
        let negative = if positive == first { second } else { first };
        for (outcome, truth, said, word) in [
            (Outcome::TruePositive, positive, positive, "true positive"),
            (Outcome::TrueNegative, negative.as_str(), negative.as_str(), "true negative"),
            (Outcome::FalsePositive, negative.as_str(), positive, "false positive"),
            (Outcome::FalseNegative, positive, negative.as_str(), "false negative"),
        ] {
            add(format!("outcome-{}", outcome.word()), format!("{word}: {truth}, taken for {said}"), &|p| {
                Outcome::of(p, classes, Some(positive)) == outcome
            });
        }
    } else {
        for (class, word) in classes.iter().zip(&words) {
            for (outcome, said) in [(Outcome::Correct, "told right"), (Outcome::Incorrect, "taken for another class")] {
                add(format!("label-{word}_outcome-{}", outcome.word()), format!("{class}, {said}"), &|p| {
                    p.truth == *class && Outcome::of(p, classes, positive) == outcome
                });
            }
        }
    }
    groups
}

/// The groups of a run that predicts a value: all subjects, the thirds of the true value (`label-low`, `label-middle`,
/// `label-high`), and those of whom too much or too little was said (`outcome-over`, `outcome-under`).
///
/// Thirds are of all predictions, so that they do not depend on who has maps; equal values are in one third.
pub fn value_groups(value: &Quantity, predictions: &[PredictedValue], ids: &[&str]) -> Vec<Group> {
    let mut sorted: Vec<f64> = predictions.iter().map(|p| p.truth).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let third = |p: &PredictedValue| {
        let less = sorted.partition_point(|&v| v < p.truth);
        let not_more = sorted.partition_point(|&v| v <= p.truth);
        3 * (less + not_more) / (2 * n + 1)
    };
    let mut groups = Vec::new();
    let mut add = |name: &str, title: String, belongs: &dyn Fn(&PredictedValue) -> bool| {
        let is_there = |p: &&PredictedValue| ids.contains(&p.participant_id.as_str()) && belongs(p);
        let subjects: Vec<String> = predictions.iter().filter(is_there).map(|p| p.participant_id.clone()).collect();
        if !subjects.is_empty() {
            groups.push(Group { name: name.to_owned(), title, subjects, people: None });
        }
    };
    add("group-all", "all subjects".into(), &|_| true);
    for (n, (name, word)) in
        [("label-low", "lowest"), ("label-middle", "middle"), ("label-high", "highest")].into_iter().enumerate()
    {
        let of: Vec<f64> = predictions.iter().filter(|p| third(p) == n).map(|p| p.truth).collect();
        let (low, high) = of.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let range = format!("{} to {}{}", significant(low, 4), significant(high, 4), value.suffix());
        add(name, format!("{word} third of true {}: {range}", value.name), &|p| third(p) == n);
    }
    add("outcome-over", format!("{} predicted too high", value.name), &|p| p.error() > 0.0);
    add("outcome-under", format!("{} predicted too low", value.name), &|p| p.error() < 0.0);
    groups
}

/// Class names as BIDS entities: letters and digits alone; names that would then be the same get their position.
fn entities(classes: &[String]) -> Vec<String> {
    let plain: Vec<String> =
        classes.iter().map(|c| c.chars().filter(char::is_ascii_alphanumeric).collect::<String>()).collect();
    plain
        .iter()
        .enumerate()
        .map(|(n, word)| {
            let twice = plain.iter().filter(|w| w.eq_ignore_ascii_case(word)).count() > 1;
            if word.is_empty() || twice { format!("{word}{n}") } else { word.clone() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven people of 20 to 80: thirds of 2, 3 and 2, by hand; of two who are 40, both are in one.
    #[test]
    fn thirds_and_signs() {
        let of = |(n, (truth, predicted)): (usize, (f64, f64))| PredictedValue {
            participant_id: format!("s{n}"),
            fold: 0,
            truth,
            predicted,
        };
        let said = [(80.0, 70.0), (20.0, 25.0), (30.0, 30.0), (40.0, 41.0), (40.0, 39.0), (60.0, 61.0), (70.0, 69.0)];
        let predictions: Vec<_> = said.into_iter().enumerate().map(of).collect();
        let ids = ["s0", "s1", "s2", "s3", "s4", "s6"];
        let age = Quantity { name: "age".into(), unit: Some("years".into()) };
        let found = value_groups(&age, &predictions, &ids);
        let of = |name: &str| found.iter().find(|g| g.name == name).unwrap();
        assert_eq!(found.len(), 6);
        assert_eq!(of("label-low").subjects, ["s1", "s2"]);
        assert_eq!(of("label-low").title, "lowest third of true age: 20 to 30 years");
        assert_eq!(of("label-middle").subjects, ["s3", "s4"]);
        assert_eq!(of("label-high").subjects, ["s0", "s6"]);
        assert_eq!(of("outcome-over").subjects, ["s1", "s3"]);
        assert_eq!(of("outcome-under").subjects, ["s0", "s4", "s6"]);
    }

    fn prediction(id: &str, truth: &str, predicted: &str) -> Prediction {
        Prediction {
            participant_id: id.into(),
            fold: 0,
            truth: truth.into(),
            predicted: predicted.into(),
            probabilities: vec![],
        }
    }

    #[test]
    fn everyone_is_where_they_belong() {
        let people = [
            prediction("a", "F", "F"),
            prediction("b", "F", "M"),
            prediction("c", "M", "F"),
            prediction("d", "M", "M"),
            prediction("e", "M", "M"),
            prediction("out", "M", "M"),
        ];
        let classes = ["F".to_owned(), "M".to_owned()];
        let of = |positive| {
            groups(&people, &["a", "b", "c", "d", "e"], &classes, positive)
                .into_iter()
                .map(|g| format!("{} {}", g.name, g.subjects.concat()))
                .collect::<Vec<_>>()
        };
        let all = ["group-all abcde", "label-F ab", "label-M cde"];
        assert_eq!(of(None), [&all[..], &["outcome-tp de", "outcome-tn a", "outcome-fp b", "outcome-fn c"]].concat());
        assert_eq!(
            of(Some("F")),
            [&all[..], &["outcome-tp a", "outcome-tn de", "outcome-fp c", "outcome-fn b"]].concat()
        );
        let three = ["A b".to_owned(), "a-b".to_owned(), "??".to_owned()];
        let people = [prediction("a", "A b", "A b"), prediction("b", "a-b", "??"), prediction("c", "??", "??")];
        let names: Vec<_> = groups(&people, &["a", "b", "c"], &three, None).into_iter().map(|g| g.name).collect();
        assert_eq!(
            names,
            [
                "group-all",
                "label-Ab0",
                "label-ab1",
                "label-2",
                "label-Ab0_outcome-correct",
                "label-ab1_outcome-incorrect",
                "label-2_outcome-correct"
            ]
        );
    }
}
