//! [`Target`] and [`Score`]: which output is explained, and on which scale; [`Objective`], both for one input.

use crate::setting::{SCORE, TARGET};
use crate::task::Task;
use serde::{Deserialize, Serialize};
use std::fmt;
use voxplain_core::{Error, Result, argmax, log_sum_exp, remedy};

/// Which output is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The class that the network predicts.
    #[default]
    Predicted,
    /// The subject's true class.
    True,
    /// That class.
    Class(usize),
    /// The first class's score minus the second's.
    Difference(usize, usize),
}

/// On which scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The network's output before softmax.
    #[default]
    Logit,
    /// Logarithm of the softmax.
    LogProb,
    /// The softmax.
    Prob,
    /// The number that a network of values predicts, in its own unit.
    Value,
}

impl Target {
    /// Reads `predicted`, `true`, `class:K` or `diff:A,B`. A class is given by its name or, where no class is
    /// called so, by its position from 0.
    ///
    /// # Errors
    /// Anything else, or a class that is not among `classes`.
    pub fn parse(text: &str, classes: &[String]) -> Result<Self> {
        let class = |name: &str| {
            let name = name.trim();
            let position = classes.iter().position(|c| c == name);
            position.or_else(|| name.parse().ok().filter(|&k| k < classes.len())).ok_or_else(|| {
                let known: Vec<_> = classes.iter().enumerate().map(|(k, c)| format!("{k} ({c})")).collect();
                Error::request(
                    format!("target {text}: there is no class {name:?}"),
                    format!("the classes of this model are {}", known.join(", ")),
                )
            })
        };
        match text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest))) {
            ("predicted", None) => Ok(Self::Predicted),
            ("true", None) => Ok(Self::True),
            ("class", Some(name)) => Ok(Self::Class(class(name)?)),
            ("diff", Some(pair)) if pair.contains(',') => {
                let (a, b) = pair.split_once(',').unwrap_or((pair, ""));
                let (a, b) = (class(a)?, class(b)?);
                if a == b {
                    return Err(Error::request(
                        format!("target {text}: the two classes are the same, so their difference is 0 everywhere"),
                        "name two classes, as in diff:1,0",
                    ));
                }
                Ok(Self::Difference(a, b))
            }
            _ => Err(Error::request(
                format!("target {text:?} is not understood"),
                "write predicted, true, class:K or diff:A,B, where K, A and B are class names or positions from 0",
            )),
        }
    }
}

impl Target {
    /// [`Target::parse`] for a network of this task. Of a value there is one target, `value`, which `predicted` means too.
    ///
    /// # Errors
    /// Those of [`Target::parse`]; a class of a value, or the value of classes.
    pub fn parse_for(text: &str, task: &Task) -> Result<Self> {
        match (task, text.trim()) {
            (Task::Value { .. }, "predicted" | "value") => Ok(Self::Predicted),
            (Task::Value { value }, _) => Err(Error::request(
                format!("target {text}: the network predicts a value, {value}, and no classes"),
                remedy!["leave ", TARGET, " out: the predicted value is explained"],
            )),
            (Task::Classes { .. }, "value") => Err(Error::request(
                format!("target value: the network predicts classes ({task}), and no value"),
                "write predicted, true, class:K or diff:A,B, where K, A and B are class names or positions from 0",
            )),
            (Task::Classes { classes }, _) => Self::parse(text, classes),
        }
    }

    /// As [`Target::parse`] reads it for a model of these classes: by their names, since a class may be called `1` and stand elsewhere.
    pub fn named(self, classes: &[String]) -> String {
        let name = |k: usize| match classes.get(k) {
            Some(name) if !name.contains(',') && name.trim() == name => name.clone(),
            _ => k.to_string(),
        };
        match self {
            Self::Predicted | Self::True => self.to_string(),
            Self::Class(k) => format!("class:{}", name(k)),
            Self::Difference(a, b) => format!("diff:{},{}", name(a), name(b)),
        }
    }
}

impl Score {
    /// For flags and records: `log-prob`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::LogProb => "log-prob",
            Self::Prob => "prob",
            Self::Value => "value",
        }
    }

    /// The scale on which a network of this task is explained: where it predicts a value there is one only, and a logit means it.
    ///
    /// # Errors
    /// A probability of a value, or the value of classes, was asked for.
    pub fn of_task(self, task: &Task) -> Result<Self> {
        match (task, self) {
            (Task::Value { .. }, Self::Logit | Self::Value) => Ok(Self::Value),
            (Task::Value { value }, Self::LogProb | Self::Prob) => Err(Error::request(
                format!("the network predicts a value, {value}, which has no {self}"),
                remedy!["leave ", SCORE, " out: the value itself is explained"],
            )),
            (Task::Classes { .. }, Self::Value) => Err(Error::request(
                format!("the network predicts classes ({task}), and no value"),
                remedy!["leave ", SCORE, " out, or give logit, log-prob or prob"],
            )),
            (Task::Classes { .. }, Self::Logit | Self::LogProb | Self::Prob) => Ok(self),
        }
    }
}

/// As [`Target::parse`] reads it, classes by position.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Predicted => f.write_str("predicted"),
            Self::True => f.write_str("true"),
            Self::Class(k) => write!(f, "class:{k}"),
            Self::Difference(a, b) => write!(f, "diff:{a},{b}"),
        }
    }
}

/// `logit`, `log-probability`, `probability`, `value`.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logit => "logit",
            Self::LogProb => "log-probability",
            Self::Prob => "probability",
            Self::Value => "value",
        })
    }
}

/// The scalar that is explained for one input: a class's score, or one class's score minus another's.
///
/// With logits `z` and softmax `p`, the score `s_c` of a class is `z_c`, `log p_c` or `p_c` by [`Score`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objective {
    /// The explained class.
    pub class: usize,
    /// The class whose score is subtracted.
    pub minus: Option<usize>,
    /// The scale.
    pub score: Score,
}

impl Objective {
    /// What a target means for an input with these logits and, where it is known, that true class.
    ///
    /// # Errors
    /// The true class is asked for and not known, or the network has no such output.
    pub fn new(target: Target, score: Score, logits: &[f32], label: Option<usize>) -> Result<Self> {
        let (class, minus) = match target {
            Target::Predicted => (argmax(logits), None),
            Target::True => (
                label.ok_or_else(|| {
                    Error::request(
                        "the true class is not known, so it cannot be explained",
                        remedy!["use ", TARGET.to("predicted"), " or ", TARGET.to("class:K")],
                    )
                })?,
                None,
            ),
            Target::Class(class) => (class, None),
            Target::Difference(a, b) => (a, Some(b)),
        };
        match [Some(class), minus].into_iter().flatten().find(|&c| c >= logits.len()) {
            Some(c) => Err(Error::request(
                format!("class {c} was asked for, but the network has {} outputs", logits.len()),
                "classes are counted from 0",
            )),
            None => Ok(Self { class, minus, score }),
        }
    }

    /// Its value at these logits.
    pub fn value(&self, logits: &[f32]) -> f64 {
        let of = |c: usize| match self.score {
            Score::Logit | Score::Value => f64::from(logits[c]),
            Score::LogProb => f64::from(logits[c]) - log_sum_exp(logits),
            Score::Prob => (f64::from(logits[c]) - log_sum_exp(logits)).exp(),
        };
        of(self.class) - self.minus.map_or(0.0, of)
    }

    /// Writes its gradient with respect to the logits, one value per class: what a backward pass starts from.
    ///
    /// `e_c` for a logit, `e_c - p` for a log-probability, `p_c (e_c - p)` for a probability; differences subtract.
    #[expect(clippy::cast_possible_truncation, reason = "a backward pass takes float32")]
    pub fn output_gradient(&self, logits: &[f32], gradient: &mut [f32]) {
        let total = log_sum_exp(logits);
        let p = |c: usize| (f64::from(logits[c]) - total).exp();
        for (k, g) in gradient.iter_mut().enumerate() {
            let of = |c: usize| {
                let hit = f64::from(u8::from(c == k));
                match self.score {
                    Score::Logit | Score::Value => hit,
                    Score::LogProb => hit - p(k),
                    Score::Prob => p(c) * (hit - p(k)),
                }
            };
            *g = (of(self.class) - self.minus.map_or(0.0, of)) as f32;
        }
    }

    /// [`Objective::describe`] for a network of this task; of a value it is `age (years)`.
    pub fn describe_for(&self, task: &Task) -> String {
        match task {
            Task::Classes { classes } => self.describe(classes),
            Task::Value { value } => value.to_string(),
        }
    }

    /// `class 1 (male), logit`, or `class 1 (male) minus class 0 (female), logit`.
    pub fn describe(&self, classes: &[String]) -> String {
        let class = |c: usize| match classes.get(c) {
            Some(name) => format!("class {c} ({name})"),
            None => format!("class {c}"),
        };
        match self.minus {
            None => format!("{}, {}", class(self.class), self.score),
            Some(minus) => format!("{} minus {}, {}", class(self.class), class(minus), self.score),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 3] = [0.5, -1.25, 2.0];

    #[test]
    fn a_target_by_name_is_read_back() {
        for classes in [["2", "1"], ["a", "b"], ["x,y", "z"]] {
            let classes = classes.map(String::from);
            for target in
                [Target::Predicted, Target::True, Target::Class(1), Target::Class(0), Target::Difference(1, 0)]
            {
                assert_eq!(Target::parse(&target.named(&classes), &classes).unwrap(), target);
            }
        }
    }

    #[test]
    fn targets_are_read_by_name_and_position() {
        let classes = ["female".to_owned(), "male".to_owned(), "0".to_owned()];
        let parse = |t| Target::parse(t, &classes);
        assert_eq!(parse("predicted").unwrap(), Target::Predicted);
        assert_eq!(parse("class:male").unwrap(), Target::Class(1));
        assert_eq!(parse("class:1").unwrap(), Target::Class(1));
        assert_eq!(parse("class:0").unwrap(), Target::Class(2), "a name wins over a position");
        assert_eq!(parse("diff:male,female").unwrap(), Target::Difference(1, 0));
        for bad in ["class:7", "class", "diff:1", "diff:1,1", "diff:1,9", "first", "predicted:1", ""] {
            let error = parse(bad).unwrap_err();
            assert!(error.remedy().is_some(), "{bad}: {error}");
        }
        assert_eq!(
            Target::parse(&Target::Difference(1, 0).to_string(), &classes[..2]).unwrap(),
            Target::Difference(1, 0)
        );
    }

    #[test]
    fn probability_by_hand() {
        // p = 1/4, 3/4 for logits 0 and ln 3.
        let logits = [0.0, 3f32.ln()];
        let prob = Objective { class: 1, minus: None, score: Score::Prob };
        assert!((prob.value(&logits) - 0.75).abs() < 1e-7);
        let mut gradient = [0.0; 2];
        prob.output_gradient(&logits, &mut gradient);
        assert!((gradient[0] + 0.1875).abs() < 1e-7 && (gradient[1] - 0.1875).abs() < 1e-7, "{gradient:?}");
        let difference = Objective { minus: Some(0), ..prob };
        assert!((difference.value(&logits) - 0.5).abs() < 1e-7);
        assert_eq!(difference.describe(&["f".into(), "m".into()]), "class 1 (m) minus class 0 (f), probability");
    }

    #[test]
    fn output_gradients_are_the_derivative() {
        for score in [Score::Logit, Score::LogProb, Score::Prob] {
            for minus in [None, Some(0)] {
                let objective = Objective { class: 2, minus, score };
                let mut gradient = [0.0; 3];
                objective.output_gradient(&LOGITS, &mut gradient);
                for k in 0..3 {
                    let step = |h: f32| {
                        let mut z = LOGITS;
                        z[k] += h;
                        objective.value(&z)
                    };
                    // 1/64 is exact, so that only the curvature is left of the error.
                    let h = 1.0 / 64.0;
                    let numeric = (step(h) - step(-h)) / (2.0 * f64::from(h));
                    assert!(
                        (numeric - f64::from(gradient[k])).abs() < 1e-4,
                        "{objective:?} {k}: {numeric} {}",
                        gradient[k]
                    );
                }
            }
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let logits = [-3.0e4, 4.0e4];
        for score in [Score::Logit, Score::LogProb, Score::Prob] {
            let objective = Objective { class: 0, minus: None, score };
            let mut gradient = [0.0; 2];
            objective.output_gradient(&logits, &mut gradient);
            assert!(objective.value(&logits).is_finite() && gradient.iter().all(|g| g.is_finite()));
        }
    }

    #[test]
    fn what_cannot_be_explained_is_refused() {
        assert!(Objective::new(Target::True, Score::Logit, &LOGITS, None).is_err());
        assert!(Objective::new(Target::Class(3), Score::Logit, &LOGITS, None).is_err());
        assert_eq!(Objective::new(Target::True, Score::Logit, &LOGITS, Some(1)).unwrap().class, 1);
        assert_eq!(Objective::new(Target::Predicted, Score::Logit, &LOGITS, None).unwrap().class, 2);
    }
}
