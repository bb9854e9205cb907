//! Linear classifiers whose penalty is chosen inside the training part of each fold.

use super::{
    ClassificationTask, Features, Gram, centred,
    chosen::{Choice, Chosen},
    penalised::Problem,
    span::Span,
    svm::{Dual, Platt},
};
use crate::folds::{Split, SplitScheme, splits};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use std::collections::BTreeSet;
use voxplain_core::{Error, Progress, Result, random::Seed};
use voxplain_stats::FoldPrediction;

/// Penalties that are tried, as powers of ten: of volumes or columns that are scaled so that the mean squared distance of the training
/// part from its mean is 1, `C` is 1 through these.
const POWERS: [i32; 9] = [4, 3, 2, 1, 0, -1, -2, -3, -4];

/// Those of them that are tried for a support vector machine: below, weights of few people are so small that nothing but its intercept
/// is left.
const SVM_POWERS: [i32; 7] = [2, 1, 0, -1, -2, -3, -4];

/// What is chosen of logistic regression and of a support vector machine, and the ends of what is tried.
const LOGISTIC: (Choice, [f64; 2]) = (Choice::C, [1e-4, 1e4]);
const MACHINE: (Choice, [f64; 2]) = (Choice::C, [1e-2, 1e4]);

/// What a smaller penalty must gain in mean log loss.
const GAIN: f64 = 1e-4;

/// What the step is called.
const TUNED: &str = "baselines with a tuned penalty";

/// Inner folds, where there are as many people (or groups) of each class.
const INNER_FOLDS: usize = 5;

/// What a tuned classifier says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// One for each held-out subject.
    pub predictions: Vec<FoldPrediction>,
    /// What was chosen in each fold; where the training part had too few people (or groups) of a class for inner folds, `C` was 1.
    pub chosen: Chosen,
    /// Of two classes the model of each fold as sums of its training volumes.
    pub linear: Vec<LinearFold>,
}

/// A linear model of one fold: both of its maps are sums of the volumes (or rows) that it was trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearFold {
    /// What each volume counts in the weights: the decision value of others is the inner product with that sum, plus an intercept.
    pub weights: Vec<f64>,
    /// What each volume counts in the activation pattern: the covariance of a voxel with the decision value over the training part, divided
    /// by the variance of the decision value (Haufe et al. 2014, equation 6, of one component).
    pub pattern: Vec<f64>,
    /// The standard deviation of the decision value over the training part.
    pub spread: f64,
}

impl LinearFold {
    /// From what each volume counts in the weights, and the decision values of the training part.
    pub(super) fn of(weights: Vec<f64>, decided: &[f64]) -> Self {
        let mean = decided.iter().sum::<f64>() / decided.len().max(1) as f64;
        let squares: f64 = decided.iter().map(|s| (s - mean).powi(2)).sum();
        // A model that says the same of all has no pattern.
        let scale = if squares > 1e-24 { 1.0 / squares } else { 0.0 };
        let spread = (squares / decided.len().max(1) as f64).sqrt();
        Self { weights, pattern: decided.iter().map(|s| (s - mean) * scale).collect(), spread }
    }
}

/// Logistic regression with an L2 penalty on the prepared volumes, from their inner products. The penalty of a fold is the one of the
/// least log loss in five stratified inner folds of its training part, in which groups stay whole; of equals the largest.
///
/// # Errors
/// Interrupted.
pub fn logistic_voxels(
    gram: &Gram,
    task: &ClassificationTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Tuned> {
    if !gram.is_exact() {
        return of_folds(task, TUNED, LOGISTIC, progress, |fold, split| {
            let span = gram.span(split);
            logistic([&span.train, &span.test], Some(&span), task, (fold, split), seed)
        });
    }
    // Volumes turned into few coordinates: distances and inner products stay, so that the fit is that of the voxels.
    let all = gram.embedding();
    of_folds(task, TUNED, LOGISTIC, progress, |fold, split| {
        let rows = |of: &[usize]| all.select_rows(of);
        logistic([&rows(&split.train), &rows(&split.test)], None, task, (fold, split), seed)
    })
}

/// The same on columns of a table.
///
/// # Errors
/// Interrupted.
pub fn logistic_features(
    features: &Features,
    task: &ClassificationTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Tuned> {
    of_folds(task, TUNED, LOGISTIC, progress, |fold, split| {
        let (train, test) = features.rows(&split.train, &split.test);
        logistic([&train, &test], None, task, (fold, split), seed)
    })
}

/// Logistic regression on what is left of the volumes when the columns of a table are regressed out voxel by voxel: the least-squares
/// fit of each training part, with an intercept, is subtracted from it and from those who are held out.
///
/// # Errors
/// Interrupted; a fit that cannot be found.
pub fn logistic_of_gram(
    gram: &Gram,
    features: &Features,
    task: &ClassificationTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Tuned> {
    of_folds(task, TUNED, LOGISTIC, progress, |fold, split| {
        let (train, test) = features.rows(&split.train, &split.test);
        let too_large =
            || Error::request("the covariates cannot be regressed out: their values are too large", "scale them");
        if !gram.is_exact() {
            let [own, others] = gram.span(split).residuals(&train, &test).ok_or_else(too_large)?;
            return logistic([&own, &others], None, task, (fold, split), seed);
        }
        let [of_train, of_test] = gram.residuals((&split.train, &split.test), (&train, &test)).ok_or_else(too_large)?;
        let eigen = SymmetricEigen::new(of_train);
        let largest = eigen.eigenvalues.max().max(0.0);
        let kept: Vec<usize> = (0..split.train.len()).filter(|&c| eigen.eigenvalues[c] > largest * 1e-10).collect();
        let root = |c: usize| eigen.eigenvalues[kept[c]].sqrt();
        let products = of_test * &eigen.eigenvectors;
        let own = DMatrix::from_fn(split.train.len(), kept.len(), |n, c| eigen.eigenvectors[(n, kept[c])] * root(c));
        let others = DMatrix::from_fn(split.test.len(), kept.len(), |n, c| products[(n, kept[c])] / root(c));
        logistic([&own, &others], None, task, (fold, split), seed)
    })
}

/// A linear support vector machine on the prepared volumes, from their inner products; of more than two classes one for each class against
/// the rest. Probabilities are those of Platt 1999, fitted to the decision values of the inner folds (as those of [`logistic_voxels`]),
/// over which `C` is chosen too: by the least log loss. Of more than two classes they are divided by their sum. A fold without inner folds
/// has no probability: `None`. So has one of which not all products are held ([`Gram::is_exact`]): its dual takes them all, and a time that
/// grows with their number and more.
///
/// # Errors
/// Interrupted.
pub fn svm_voxels(
    gram: &Gram,
    task: &ClassificationTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Option<Tuned>> {
    if !gram.is_exact() {
        return Ok(None);
    }
    let found = of_folds(task, TUNED, MACHINE, progress, |fold, split| {
        let products = [gram.centred(&split.train, &split.train), gram.centred(&split.train, &split.test)];
        support_vectors(products, task, (fold, split), seed)
    })?;
    Ok((found.chosen.untuned() == 0).then_some(found))
}

/// The same on columns of a table.
///
/// # Errors
/// Interrupted.
pub fn svm_features(
    features: &Features,
    task: &ClassificationTask<'_>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Option<Tuned>> {
    let found = of_folds(task, TUNED, MACHINE, progress, |fold, split| {
        let (train, test) = features.rows(&split.train, &split.test);
        let [train, test] = centred(&train, &test);
        support_vectors([&train * train.transpose(), test * train.transpose()], task, (fold, split), seed)
    })?;
    Ok((found.chosen.untuned() == 0).then_some(found))
}

/// What is found of a fold.
pub(super) struct OfFold {
    /// Probabilities of the held-out subjects.
    pub(super) said: Vec<Vec<f64>>,
    /// The penalty (of each class that has a model of its own), or the number of stages; nothing where it was not chosen.
    pub(super) chosen: Vec<f64>,
    /// The model; of two classes.
    pub(super) linear: Option<LinearFold>,
}

/// The predictions of all folds, which are fitted beside each other.
pub(super) fn of_folds(
    task: &ClassificationTask<'_>,
    step: &str,
    (what, tried): (Choice, [f64; 2]),
    progress: &dyn Progress,
    fit: impl Fn(usize, &Split) -> Result<OfFold> + Send + Sync,
) -> Result<Tuned> {
    progress.begin(step, task.splits.len());
    let each = |(fold, split): (usize, &Split)| {
        progress.go_on()?;
        let found = fit(fold, split)?;
        progress.advance(1, "");
        Ok(found)
    };
    let found = task.splits.par_iter().enumerate().map(each).collect::<Result<Vec<OfFold>>>();
    progress.end();
    let mut all =
        Tuned { predictions: Vec::new(), chosen: Chosen { what, tried, folds: Vec::new() }, linear: Vec::new() };
    for (fold, (split, OfFold { said, chosen, linear })) in task.splits.iter().zip(found?).enumerate() {
        all.chosen.folds.push(chosen);
        all.linear.extend(linear);
        all.predictions
            .extend(split.test.iter().zip(said).map(|(&subject, said)| task.prediction(subject, fold, said)));
    }
    Ok(all)
}

/// Inner folds of the training part of a fold, by position in it: whole groups, every class in each training part. None where a class has
/// fewer than two people, or groups.
pub(super) fn inner_folds(
    task: &ClassificationTask<'_>,
    (fold, split): (usize, &Split),
    seed: Seed,
) -> Result<Vec<Split>> {
    let labels: Vec<usize> = split.train.iter().map(|&n| task.labels[n]).collect();
    let groups = task.groups.map(|groups| split.train.iter().map(|&n| groups[n]).collect::<Vec<_>>());
    inner_splits(&labels, groups.as_deref(), task.classes, (fold, seed))
}

/// The same of the labels and groups of a training part.
pub(super) fn inner_splits(
    labels: &[usize],
    groups: Option<&[usize]>,
    classes: usize,
    (fold, seed): (usize, Seed),
) -> Result<Vec<Split>> {
    let units = |class: usize| {
        let of_class = (0..labels.len()).filter(|&n| labels[n] == class);
        of_class.map(|n| groups.map_or(n, |groups| groups[n])).collect::<BTreeSet<_>>().len()
    };
    let count = (0..classes).map(units).min().unwrap_or(0).min(INNER_FOLDS);
    if count < 2 {
        return Ok(Vec::new());
    }
    let seed = seed.child("inner").index(fold as u64);
    let mut found = splits(labels, groups, SplitScheme::Folds(count), seed)?;
    let has_all = |of: &[usize]| of.iter().map(|&n| labels[n]).collect::<BTreeSet<_>>().len() == classes;
    found.retain(|inner| !inner.test.is_empty() && has_all(&inner.train));
    Ok(found)
}

/// Logistic regression of one fold, on rows of its training part and of the held-out; `span` is what the rows are coordinates in, if they are.
fn logistic(
    [train, test]: [&DMatrix<f64>; 2],
    span: Option<&Span>,
    task: &ClassificationTask<'_>,
    (fold, split): (usize, &Split),
    seed: Seed,
) -> Result<OfFold> {
    let [mut train, mut test] = centred(train, test);
    let unit = train.norm_squared() / train.nrows() as f64;
    if unit > 0.0 {
        train /= unit.sqrt();
        test /= unit.sqrt();
    }
    let labels: Vec<usize> = split.train.iter().map(|&n| task.labels[n]).collect();
    let weights = task.sample_weights(&labels);
    let inner = inner_folds(task, (fold, split), seed)?;
    let mut losses = [0.0; POWERS.len()];
    for part in &inner {
        let of = |of: &[usize]| of.iter().map(|&n| labels[n]).collect::<Vec<_>>();
        let inner_labels = of(&part.train);
        let inner_weights = task.sample_weights(&inner_labels);
        let problem = Problem::new(&train.select_rows(&part.train), &inner_labels, &inner_weights, task.classes);
        let rows = train.select_rows(&part.test);
        let mut before = None;
        for (loss, power) in losses.iter_mut().zip(POWERS) {
            let fit = problem.fit(10f64.powi(power), before.as_ref());
            let said = fit.probabilities(&rows, task.classes);
            let surprise = said.iter().zip(&part.test).map(|(p, &n)| -weights[n] * p[labels[n]].max(1e-300).ln());
            *loss += surprise.sum::<f64>();
            before = Some(fit);
        }
    }
    let power = if inner.is_empty() { 0 } else { POWERS[least(&losses, labels.len() as f64)] };
    let penalty = 10f64.powi(power);
    let fit = Problem::new(&train, &labels, &weights, task.classes).fit(penalty, None);
    let linear = (task.classes == 2).then(|| {
        let said = fit.probabilities(&train, 2);
        // At the optimum the weights are the sum of the volumes times what is left to be said of each, divided by the penalty.
        let left =
            |(n, p): (usize, &Vec<f64>)| weights[n] * (labels[n] as f64 - p[1]) / penalty / unit.max(f64::MIN_POSITIVE);
        let counts = match span {
            Some(span) => span.counts(&(fit.direction() / unit.max(f64::MIN_POSITIVE).sqrt())),
            None => said.iter().enumerate().map(left).collect(),
        };
        let logits: Vec<f64> = said.iter().map(|p| p[1].max(1e-300).ln() - p[0].max(1e-300).ln()).collect();
        LinearFold::of(counts, &logits)
    });
    let chosen = if inner.is_empty() { Vec::new() } else { vec![10f64.powi(-power)] };
    Ok(OfFold { said: fit.probabilities(&test, task.classes), chosen, linear })
}

/// The support vector machines of one fold, from inner products of the training part, and of the held-out with it.
fn support_vectors(
    [train, test]: [DMatrix<f64>; 2],
    task: &ClassificationTask<'_>,
    (fold, split): (usize, &Split),
    seed: Seed,
) -> Result<OfFold> {
    let unit = train.trace() / train.nrows() as f64;
    let scale = if unit > 0.0 { unit } else { 1.0 };
    let (train, test) = (train / scale, test / scale);
    let labels: Vec<usize> = split.train.iter().map(|&n| task.labels[n]).collect();
    let weights = task.sample_weights(&labels);
    let inner = inner_folds(task, (fold, split), seed)?;
    if inner.is_empty() {
        let said = vec![vec![1.0 / task.classes as f64; task.classes]; split.test.len()];
        return Ok(OfFold { said, chosen: Vec::new(), linear: None });
    }
    let of_class = |class: usize| {
        let sides: Vec<f64> = labels.iter().map(|&l| if l == class { 1.0 } else { -1.0 }).collect();
        // Decision values of those whom an inner fold holds out, for each C.
        let mut held: Vec<usize> = Vec::new();
        let mut decided = vec![Vec::new(); SVM_POWERS.len()];
        for part in &inner {
            let products = train.select_rows(&part.train).select_columns(&part.train);
            let others = train.select_rows(&part.test).select_columns(&part.train);
            let inner_labels: Vec<usize> = part.train.iter().map(|&n| labels[n]).collect();
            let inner_weights = task.sample_weights(&inner_labels);
            let inner_sides: Vec<f64> = part.train.iter().map(|&n| sides[n]).collect();
            let mut dual = Dual::new(&products, &inner_sides);
            held.extend(&part.test);
            for (decided, power) in decided.iter_mut().zip(SVM_POWERS) {
                let bounds: Vec<f64> = inner_weights.iter().map(|w| w * 10f64.powi(-power)).collect();
                decided.extend(dual.solve(&bounds).decide(&others));
            }
        }
        let of_held = |of: &[f64]| held.iter().map(|&n| of[n]).collect::<Vec<_>>();
        let (held_sides, held_weights) = (of_held(&sides), of_held(&weights));
        let fits: Vec<(Platt, f64)> =
            decided.iter().map(|values| Platt::fit(values, &held_sides, &held_weights)).collect();
        let best = least(&fits.iter().map(|(_, loss)| *loss).collect::<Vec<_>>(), 1.0);
        let bounds: Vec<f64> = weights.iter().map(|w| w * 10f64.powi(-SVM_POWERS[best])).collect();
        let svm = Dual::new(&train, &sides).solve(&bounds);
        let said: Vec<f64> = svm.decide(&test).into_iter().map(|value| fits[best].0.probability(value)).collect();
        let weights = svm.coefficients.iter().map(|a| a / scale).collect();
        (said, LinearFold::of(weights, &svm.decide(&train)), 10f64.powi(-SVM_POWERS[best]))
    };
    if task.classes == 2 {
        let (said, linear, c) = of_class(1);
        let said = said.into_iter().map(|p| vec![1.0 - p, p]).collect();
        return Ok(OfFold { said, chosen: vec![c], linear: Some(linear) });
    }
    let (of, chosen): (Vec<Vec<f64>>, Vec<f64>) = (0..task.classes).map(of_class).map(|(said, _, c)| (said, c)).unzip();
    let shared = |n: usize| {
        let sum: f64 = of.iter().map(|of| of[n]).sum();
        of.iter().map(|of| if sum > 0.0 { of[n] / sum } else { 1.0 / task.classes as f64 }).collect()
    };
    Ok(OfFold { said: (0..split.test.len()).map(shared).collect(), chosen, linear: None })
}

/// Where the least is, going to a smaller penalty for a gain of more than `GAIN` alone: what differs by rounding is no choice.
fn least(of: &[f64], count: f64) -> usize {
    (1..of.len()).fold(0, |best, n| if of[n] < of[best] - GAIN * count { n } else { best })
}
