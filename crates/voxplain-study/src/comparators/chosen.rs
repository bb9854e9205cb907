//! What a model chose for itself inside the training part of each fold.

use serde::{Deserialize, Serialize};

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// How much the loss counts beside the squares of the weights, which are on volumes or columns that are scaled so that the mean squared
    /// distance of the training part from its mean is 1: the inverse of the penalty, as in scikit-learn.
    C,
    /// The penalty on the squares of the weights, in units of the mean squared distance of the training part from its mean.
    #[serde(rename = "penalty")]
    Penalty,
    /// The number of trees of gradient boosting.
    #[serde(rename = "trees")]
    Trees,
}

impl Choice {
    fn word(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Penalty => "penalty",
            Self::Trees => "trees",
        }
    }
}

/// What was chosen inside the training part of each fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// What it is.
    pub what: Choice,
    /// The least and the most that is tried.
    pub tried: [f64; 2],
    /// In the order of the folds: one number, or one for each class where each has a model of its own. None where the training part had too
    /// few people (or groups) to choose by, so that 1 was taken.
    pub folds: Vec<Vec<f64>>,
}

impl Chosen {
    /// Folds whose training part was too small to choose by.
    pub fn untuned(&self) -> usize {
        self.folds.iter().filter(|fold| fold.is_empty()).count()
    }

    /// In words, with what a reader has to know to judge it: where the choice ends at what is tried.
    pub fn in_words(&self) -> String {
        let all: Vec<f64> = self.folds.iter().flatten().copied().collect();
        let [least, most] = [f64::min, f64::max].map(|f| all.iter().copied().reduce(f));
        let (Some(least), Some(most)) = (least, most) else {
            return format!("{} was not chosen in any fold", self.what.word());
        };
        let range = if least == most { number(least) } else { format!("{} to {}", number(least), number(most)) };
        let over = match self.folds.len() {
            1 => "",
            _ if least == most && self.untuned() == 0 => " in every fold",
            _ => " over the folds",
        };
        let ends = [(self.tried[0], "least"), (self.tried[1], "most")].into_iter().filter_map(|(end, which)| {
            let count = self.folds.iter().filter(|fold| fold.iter().any(|&value| is(value, end))).count();
            (count > 0).then(|| match (count == self.folds.len(), self.folds.len()) {
                (true, _) if least == most => format!("the {which} that is tried"),
                (true, _) => format!("in every fold the {which} that is tried"),
                (false, of) => format!("in {count} of {of} folds the {which} that is tried"),
            })
        });
        // No tree at all is a choice of its own, and no end that a longer search would move.
        let ends: Vec<String> = ends.filter(|_| self.what != Choice::Trees || is(most, self.tried[1])).collect();
        let ends = if ends.is_empty() { String::new() } else { format!("; {}", ends.join(", ")) };
        format!("{}: {range}{over}{ends}", self.what.word())
    }
}

/// Whether they are the same of a grid.
fn is(value: f64, other: f64) -> bool {
    (value - other).abs() <= 1e-9 * other.abs()
}

/// A number of a grid: a power of ten, its root, or a count.
fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value}")
    } else {
        format!("{value:.2e}").parse::<f64>().map_or_else(|_| value.to_string(), |v| v.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_where_the_search_ended() {
        let chosen = |folds: &[f64]| Chosen {
            what: Choice::C,
            tried: [1e-4, 1e4],
            folds: folds.iter().map(|&c| if c.is_nan() { Vec::new() } else { vec![c] }).collect(),
        };
        assert_eq!(chosen(&[0.1, 1.0, 10.0]).in_words(), "C: 0.1 to 10 over the folds");
        assert_eq!(
            chosen(&[1e-4, 1.0, 1e4]).in_words(),
            "C: 0.0001 to 10000 over the folds; in 1 of 3 folds the least that is tried, in 1 of 3 folds the most that is tried"
        );
        assert_eq!(chosen(&[1e-4, 1e-4]).in_words(), "C: 0.0001 in every fold; the least that is tried");
        assert_eq!(chosen(&[1e4]).in_words(), "C: 10000; the most that is tried");
        assert_eq!(chosen(&[f64::NAN, 1.0]).in_words(), "C: 1 over the folds");
        assert_eq!(
            (chosen(&[f64::NAN]).in_words().as_str(), chosen(&[f64::NAN]).untuned()),
            ("C was not chosen in any fold", 1)
        );
        let trees = |folds: &[f64]| Chosen { what: Choice::Trees, tried: [0.0, 300.0], ..chosen(folds) };
        assert_eq!(trees(&[0.0, 12.0]).in_words(), "trees: 0 to 12 over the folds");
        assert_eq!(
            trees(&[5.0, 300.0]).in_words(),
            "trees: 5 to 300 over the folds; in 1 of 2 folds the most that is tried"
        );
        assert_eq!(number(10f64.powf(-3.5)), "0.000316");
        assert_eq!(number(10f64.powf(0.5)), "3.16");
    }
}
