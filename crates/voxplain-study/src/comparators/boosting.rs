//! [`boosting_features`], [`boosting_values`]: gradient boosting of shallow trees on columns of a table.
//!
//! Friedman 2001 (Annals of Statistics 29:1189), algorithms 5 and 6 and least squares: stage by stage a tree is fitted to what is left to be
//! said of the training part, its leaves take a step of Newton's method, and a share of that ([`SHRINKAGE`]) is added. It is scikit-learn's
//! `GradientBoostingClassifier` and `GradientBoostingRegressor`. Nothing is drawn at random but the inner
//! folds, over which the number of stages is chosen.

use super::{
    ClassificationTask, Features, TunedValues, ValueTask,
    chosen::{Choice, Chosen},
    tree::{Shape, Sorted, Targets, Tree},
    tuned::{OfFold, Tuned, inner_folds, inner_splits, of_folds},
};
use crate::folds::Split;
use nalgebra::DMatrix;
use rayon::prelude::*;
use voxplain_core::{Progress, Result, random::Seed, softmax};
use voxplain_stats::ValuePrediction;

/// The share of each tree that is added.
const SHRINKAGE: f64 = 0.1;

/// The trees: our choice, for some hundred people and as many columns.
const SHAPE: Shape = Shape { depth: 3, least: 5 };

/// Stages that are tried, at most.
pub(crate) const MOST_STAGES: usize = 300;

/// Stages without a lower loss after which no more are tried.
const PATIENCE: usize = 50;

/// What more stages must gain: in mean log loss, or as a share of the variance of the values.
const GAIN: f64 = 1e-4;

/// What is known of a training part.
#[derive(Clone, Debug)]
enum Truth {
    /// The class of each row, and how many there are.
    Classes(Vec<usize>, usize),
    /// The value of each row.
    Values(Vec<f64>),
}

impl Truth {
    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes(of, count) => Self::Classes(rows.iter().map(|&n| of[n]).collect(), *count),
            Self::Values(of) => Self::Values(rows.iter().map(|&n| of[n]).collect()),
        }
    }

    /// Scores of a row: of two classes the log odds of the second, of more a logit for each, of values the value.
    fn sets(&self) -> usize {
        match self {
            Self::Classes(_, count) if *count > 2 => *count,
            _ => 1,
        }
    }

    /// What is said before any tree: the (weighted) share of each class as a logit, or the mean.
    fn start(&self, weights: &[f64]) -> Vec<f64> {
        let all: f64 = weights.iter().sum();
        match self {
            Self::Values(of) => vec![of.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / all],
            Self::Classes(of, count) => {
                let share = |class: usize| {
                    let of_class = of.iter().zip(weights).filter(|(c, _)| **c == class);
                    (of_class.map(|(_, w)| w).sum::<f64>() / all).max(f64::EPSILON).ln()
                };
                if *count > 2 { (0..*count).map(share).collect() } else { vec![share(1) - share(0)] }
            }
        }
    }

    /// What is left to be said of a row by each set of scores, and the curvature of the loss.
    fn left(&self, row: usize, scores: &[f64]) -> Vec<(f64, f64)> {
        match self {
            Self::Values(of) => vec![(of[row] - scores[0], 1.0)],
            Self::Classes(of, count) => {
                let said = probabilities(scores);
                let is = |class: usize| f64::from(u8::from(of[row] == class));
                let one = |class: usize| (is(class) - said[class], said[class] * (1.0 - said[class]));
                if *count > 2 { (0..*count).map(one).collect() } else { vec![one(1)] }
            }
        }
    }

    /// The loss of what is said of a row: log loss, or the squared error.
    fn loss(&self, row: usize, scores: &[f64]) -> f64 {
        match self {
            Self::Values(of) => (of[row] - scores[0]).powi(2),
            Self::Classes(of, _) => -probabilities(scores)[of[row]].max(1e-300).ln(),
        }
    }

    /// Of a leaf's step: that of more than two classes is shared between them (Friedman 2001, equation 34).
    fn share(&self) -> f64 {
        let sets = self.sets() as f64;
        if sets > 1.0 { (sets - 1.0) / sets } else { 1.0 }
    }
}

/// The probability of each class from the scores of a row.
fn probabilities(scores: &[f64]) -> Vec<f64> {
    match scores {
        [of_second] => softmax(&[0.0, *of_second]),
        all => softmax(all),
    }
}

/// Trees on a training part as they grow, and what they say of it and of others.
#[derive(Debug)]
struct Growing {
    shape: Shape,
    shrinkage: f64,
    sorted: Sorted,
    truth: Truth,
    weights: Vec<f64>,
    /// Scores of each row of the training part.
    own: Vec<Vec<f64>>,
    others: DMatrix<f64>,
    /// Scores of each of the others.
    said: Vec<Vec<f64>>,
}

impl Growing {
    fn new(train: &DMatrix<f64>, truth: Truth, weights: Vec<f64>, others: DMatrix<f64>) -> Self {
        let start = truth.start(&weights);
        Self {
            shape: SHAPE,
            shrinkage: SHRINKAGE,
            sorted: Sorted::new(train),
            own: vec![start.clone(); train.nrows()],
            said: vec![start; others.nrows()],
            truth,
            weights,
            others,
        }
    }

    /// One more stage: a tree for each set of scores.
    fn grow(&mut self) {
        let left: Vec<Vec<(f64, f64)>> =
            self.own.iter().enumerate().map(|(row, scores)| self.truth.left(row, scores)).collect();
        let step = self.shrinkage * self.truth.share();
        for set in 0..self.truth.sets() {
            let (left, curvature): (Vec<f64>, Vec<f64>) = left.iter().map(|of| of[set]).unzip();
            let targets = Targets { left: &left, curvature: &curvature, weights: &self.weights };
            let (tree, leaves) = Tree::fit(&self.sorted, targets, self.shape);
            for (scores, leaf) in self.own.iter_mut().zip(leaves) {
                scores[set] += step * tree.leaf(leaf);
            }
            for (row, scores) in self.said.iter_mut().enumerate() {
                scores[set] += step * tree.leaf(tree.find(&self.others, row));
            }
        }
    }
}

/// How many stages have the least loss over the inner folds; more of them for a gain alone. None without inner folds.
fn stages(
    (rows, truth, weights): (&DMatrix<f64>, &Truth, &[f64]),
    inner: &[Split],
    progress: &dyn Progress,
) -> Result<Option<usize>> {
    if inner.is_empty() {
        return Ok(None);
    }
    // Weights of a part are those of the whole: a class counts as much in every part.
    let select = |of: &[usize]| of.iter().map(|&n| weights[n]).collect::<Vec<f64>>();
    let part = |part: &Split| {
        let train = rows.select_rows(&part.train);
        Growing::new(&train, truth.select(&part.train), select(&part.train), rows.select_rows(&part.test))
    };
    let mut all: Vec<Growing> = inner.par_iter().map(part).collect();
    let loss = |all: &[Growing]| -> f64 {
        let of = |(of, part): (&Growing, &Split)| {
            let each = part.test.iter().zip(&of.said).map(|(&n, scores)| weights[n] * truth.loss(n, scores));
            each.sum::<f64>()
        };
        all.iter().zip(inner).map(of).sum()
    };
    let start = truth.start(weights);
    let gain = match truth {
        Truth::Classes(of, _) => GAIN * of.len() as f64,
        Truth::Values(of) => GAIN * (0..of.len()).map(|n| truth.loss(n, &start)).sum::<f64>(),
    };
    let (mut best, mut least) = (0, loss(&all));
    for stage in 1..=MOST_STAGES {
        progress.go_on()?;
        all.par_iter_mut().for_each(Growing::grow);
        let now = loss(&all);
        if now < least - gain {
            (best, least) = (stage, now);
        }
        if stage - best >= PATIENCE {
            break;
        }
    }
    Ok(Some(best))
}

/// What is chosen, and the ends of what is tried.
const STAGES: (Choice, [f64; 2]) = (Choice::Trees, [0.0, MOST_STAGES as f64]);

/// The scores of the held-out rows after as many stages as the inner folds allow, and how many these are; `None` without inner folds.
fn fitted(
    [train, test]: [DMatrix<f64>; 2],
    (truth, weights): (Truth, Vec<f64>),
    inner: &[Split],
    progress: &dyn Progress,
) -> Result<Option<(Vec<Vec<f64>>, usize)>> {
    let Some(count) = stages((&train, &truth, &weights), inner, progress)? else { return Ok(None) };
    let mut all = Growing::new(&train, truth, weights, test);
    for _ in 0..count {
        progress.go_on()?;
        all.grow();
    }
    Ok(Some((all.said, count)))
}

/// Gradient boosting with logistic loss on columns of a table. The number of stages of a fold is the one of the least log loss in the inner
/// folds of its training part, which are those of [`logistic_features`](super::logistic_features); where the data allow no inner folds,
/// there is none: `None`.
///
/// # Errors
/// Interrupted.
pub fn boosting_features(
    features: &Features,
    task: &ClassificationTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Option<Tuned>> {
    let found = of_folds(task, "gradient boosting", STAGES, progress, |fold, split| {
        let (train, test) = features.rows(&split.train, &split.test);
        let labels: Vec<usize> = split.train.iter().map(|&n| task.labels[n]).collect();
        let weights = task.sample_weights(&labels);
        let inner = inner_folds(task, (fold, split), seed)?;
        let truth = Truth::Classes(labels, task.classes);
        let found = fitted([train, test], (truth, weights), &inner, progress)?;
        let chosen = found.iter().map(|(_, count)| *count as f64).collect();
        let nothing = || vec![vec![1.0 / task.classes as f64; task.classes]; split.test.len()];
        let said = found.map_or_else(nothing, |(all, _)| all.iter().map(|scores| probabilities(scores)).collect());
        Ok(OfFold { said, chosen, linear: None })
    })?;
    Ok((found.chosen.untuned() == 0).then_some(found))
}

/// Gradient boosting with squared loss on columns of a table; the number of stages is chosen by the squared error in five inner folds in
/// which groups stay whole. `None` where a training part has fewer than two people (or groups).
///
/// # Errors
/// Interrupted.
pub fn boosting_values(
    features: &Features,
    task: &ValueTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Option<TunedValues>> {
    progress.begin("gradient boosting", task.splits.len());
    let each = |(fold, split): (usize, &Split)| -> Result<Option<(Vec<ValuePrediction>, usize)>> {
        progress.go_on()?;
        let (train, test) = features.rows(&split.train, &split.test);
        let groups = task.groups.map(|groups| split.train.iter().map(|&n| groups[n]).collect::<Vec<_>>());
        // All are of one class: folds are drawn at random.
        let inner = inner_splits(&vec![0; split.train.len()], groups.as_deref(), 1, (fold, seed))?;
        let truth = Truth::Values(split.train.iter().map(|&n| task.values[n]).collect());
        let found = fitted([train, test], (truth, vec![1.0; split.train.len()]), &inner, progress)?;
        progress.advance(1, "");
        let of = |(&n, scores): (&usize, Vec<f64>)| task.prediction(n, fold, scores[0]);
        Ok(found.map(|(said, count)| (split.test.iter().zip(said).map(of).collect(), count)))
    };
    let found = task.splits.par_iter().enumerate().map(each).collect::<Result<Option<Vec<_>>>>();
    progress.end();
    let (what, tried) = STAGES;
    Ok(found?.map(|found| {
        let folds = found.iter().map(|(_, count)| vec![*count as f64]).collect();
        let predictions = found.into_iter().flat_map(|(said, _)| said).collect();
        TunedValues { predictions, chosen: Chosen { what, tried, folds }, linear: Vec::new() }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folds::{SplitScheme, splits};
    use voxplain_core::Silent;
    use voxplain_stats::Classification;

    fn stumps(x: &[f64], truth: Truth, shrinkage: f64) -> Growing {
        let rows = DMatrix::from_column_slice(x.len(), 1, x);
        let new = Growing::new(&rows, truth, vec![1.0; x.len()], rows.clone());
        Growing { shape: Shape { depth: 1, least: 1 }, shrinkage, ..new }
    }

    /// Of 1, 2, 3, 4 the last two are of the second class. At a probability of a half, a leaf has 2 times 0.5 left and a curvature of 2
    /// times 0.25, which is a step of 2; the next one is 2 (1 - p) / (2 p (1 - p)) = 1 / p with p = 1 / (1 + e^-2).
    #[test]
    fn stumps_of_classes_by_hand() {
        let mut all = stumps(&[1.0, 2.0, 3.0, 4.0], Truth::Classes(vec![0, 0, 1, 1], 2), 1.0);
        all.grow();
        assert_eq!(all.said, [[-2.0], [-2.0], [2.0], [2.0]]);
        all.grow();
        assert!((all.said[3][0] - (2.0 + 1.0 + (-2.0f64).exp())).abs() < 1e-12 && all.said == all.own, "{all:?}");
    }

    /// The mean is 4; a half of -2.5 and 2.5 is added.
    #[test]
    fn a_stump_of_values_by_hand() {
        let mut all = stumps(&[1.0, 2.0, 3.0, 4.0], Truth::Values(vec![1.0, 2.0, 5.0, 8.0]), 0.5);
        all.grow();
        assert_eq!(all.said, [[2.75], [2.75], [5.25], [5.25]]);
    }

    /// Of three classes each of the first stumps has, of the class, 1 left and a curvature of 2/9 each row, times 2/3.
    #[test]
    fn a_stump_of_three_classes_by_hand() {
        let mut all = stumps(&[1.0, 2.0, 3.0], Truth::Classes(vec![0, 1, 2], 3), 1.0);
        all.grow();
        // The first class against the others: 2/3 left of one row; -1/3 of each of two.
        let third = (1.0f64 / 3.0).ln();
        assert!((all.said[0][0] - (third + 2.0 / 3.0 * 3.0)).abs() < 1e-12, "{:?}", all.said);
        assert!((all.said[1][0] - (third - 2.0 / 3.0 * 1.5)).abs() < 1e-12, "{:?}", all.said);
    }

    fn table(effect: f64, seed: u64) -> (Vec<usize>, Features) {
        let mut random = Seed::new(seed).random();
        let labels: Vec<usize> = (0..80).map(|n| n % 2).collect();
        let column = |f: usize, random: &mut voxplain_core::random::Random| {
            let one = |&label: &usize| {
                let shift = if f == 0 { effect * label as f64 } else { 0.0 };
                (random.uniform() > 0.05).then(|| random.normal() + shift)
            };
            (format!("c{f}"), labels.iter().map(one).collect())
        };
        let columns = (0..6).map(|f| column(f, &mut random)).collect();
        (labels, Features::of_numbers(columns))
    }

    fn area(labels: &[usize], features: &Features, threads: usize) -> (Classification, Tuned) {
        let splits = splits(labels, None, SplitScheme::Folds(5), Seed::new(1)).unwrap();
        let task = ClassificationTask { labels, groups: None, classes: 2, splits: &splits, balanced: true };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| boosting_features(features, &task, Seed::new(2), &Silent)).unwrap().unwrap();
        (Classification::of(&found.predictions, 2, 1).unwrap(), found)
    }

    /// A signal is found; where there is none, 0.5 lies in the interval; and threads change no bit.
    #[test]
    fn a_signal_is_found_and_noise_is_not() {
        let (labels, features) = table(3.0, 3);
        let (found, said) = area(&labels, &features, 1);
        assert!(found.auc.unwrap().value > 0.9);
        assert_eq!(area(&labels, &features, 3).1, said);
        for seed in 0..4 {
            let (labels, features) = table(0.0, seed);
            let (low, high) = area(&labels, &features, 2).0.auc.unwrap().ends().unwrap();
            assert!(low < 0.5 && 0.5 < high, "{seed}: {low} {high}");
        }
    }

    /// Nobody's own label, or value, reaches what is said of them.
    #[test]
    fn a_label_does_not_reach_its_own_prediction() {
        let (mut labels, features) = table(1.0, 5);
        let splits = splits(&labels, None, SplitScheme::Folds(4), Seed::new(1)).unwrap();
        let said = |labels: &[usize]| {
            let task = ClassificationTask { labels, groups: None, classes: 2, splits: &splits, balanced: false };
            let found = boosting_features(&features, &task, Seed::new(2), &Silent).unwrap().unwrap();
            found.predictions.into_iter().find(|p| p.subject == 7).unwrap().probabilities
        };
        let before = said(&labels);
        labels[7] = 1 - labels[7];
        assert_eq!(said(&labels), before);
    }

    #[test]
    fn too_few_for_inner_folds() {
        let (labels, features) = table(1.0, 5);
        let splits = [Split { train: (0..6).collect(), test: vec![6, 7] }];
        // Of the first six one is of the second class alone.
        let labels: Vec<usize> = labels.iter().enumerate().map(|(n, l)| if n < 5 { 0 } else { *l }).collect();
        let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
        assert!(boosting_features(&features, &task, Seed::new(0), &Silent).unwrap().is_none());
        let values = vec![3.0; 80];
        let groups = vec![0; 80];
        let one = ValueTask { values: &values, groups: Some(&groups), splits: &splits };
        assert!(boosting_values(&features, &one, Seed::new(0), &Silent).unwrap().is_none());
        // Values that are all the same are said so.
        let all = ValueTask { groups: None, ..one };
        let found = boosting_values(&features, &all, Seed::new(0), &Silent).unwrap().unwrap();
        assert!(found.predictions.iter().all(|p| p.predicted == 3.0));
    }
}
