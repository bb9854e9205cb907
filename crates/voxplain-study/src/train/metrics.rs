//! Metrics of the network and of the comparators, in numbers and in words.

use super::{dataset::Dataset, options::TrainOptions};
use crate::{
    comparators::{BRAIN_VOLUME, LINEAR_VOXELS},
    folds::SplitScheme,
    run::{ClassifierMetrics, Metrics},
};
use voxplain_core::random::Seed;
use voxplain_stats::{Classification, Comparison, Estimate, FoldPrediction, Resampling};

/// Name of the network among the classifiers.
pub(super) const CNN: &str = "cnn";

/// A classifier and what it predicts.
#[derive(Debug)]
pub(super) struct Classifier {
    /// `cnn`, `brain-volume`, `linear-voxels`.
    pub(super) name: &'static str,
    /// What it is, in words.
    pub(super) description: String,
    /// One for each held-out subject, in the order of the subjects.
    pub(super) predictions: Vec<FoldPrediction>,
}

impl Classifier {
    /// A classifier of that name; sorts the predictions by subject.
    pub(super) fn new(name: &'static str, description: String, mut predictions: Vec<FoldPrediction>) -> Self {
        predictions.sort_by_key(|p| p.subject);
        Self { name, description, predictions }
    }
}

/// The network in words.
pub(super) fn describe_network(options: &TrainOptions) -> String {
    format!("{} of width {}, {} epochs at most", options.model, options.width, options.epochs)
}

/// Metrics of classifiers on the same subjects. The first, the network, is compared with each of the others.
pub(super) fn metrics(
    classifiers: &[Classifier],
    dataset: &Dataset<'_>,
    positive: usize,
    options: &TrainOptions,
) -> Metrics {
    let classes = dataset.classes.len();
    let resampling = Resampling::seeded(Seed::new(options.seed).child("intervals").value());
    let of_classifiers: Vec<ClassifierMetrics> = classifiers
        .iter()
        .filter_map(|c| {
            Some(ClassifierMetrics {
                classifier: c.name.to_owned(),
                description: c.description.clone(),
                classification: Classification::of(&c.predictions, classes, positive, &resampling)?,
            })
        })
        .collect();
    let comparisons: Vec<Comparison> = classifiers[1..]
        .iter()
        .filter_map(|other| {
            let one = (classifiers[0].name, classifiers[0].predictions.as_slice());
            let other = (other.name, other.predictions.as_slice());
            Comparison::of(one, other, (classes, positive), &resampling)
        })
        .collect();
    let mut metrics = Metrics {
        classes: dataset.classes.clone(),
        positive: dataset.classes[positive].clone(),
        method: format!(
            "{}. Numbers pool what each subject was said by a model that never saw it; 95 % intervals are over {}, \
             each number says how. Differences: paired bootstrap of {} resamples.",
            match options.split {
                SplitScheme::Folds(k) => format!("{k}-fold cross-validation, stratified by class"),
                SplitScheme::Holdout(share) => format!("{} % held out once, stratified by class", percent(share)),
            },
            options.group.as_ref().map_or_else(|| "subjects".to_owned(), |g| format!("groups ({g})")),
            resampling.resamples,
        ),
        classifiers: of_classifiers,
        comparisons,
        summary: Vec::new(),
    };
    metrics.summary = summary(&metrics);
    metrics
}

/// The result in words.
fn summary(metrics: &Metrics) -> Vec<String> {
    let Some(cnn) = metrics.of(CNN) else { return Vec::new() };
    let mut first = format!(
        "The CNN tells {} apart in {} of {} held-out subjects: accuracy {}",
        metrics.classes.join(" and "),
        (0..metrics.classes.len()).map(|c| cnn.confusion[c][c]).sum::<usize>(),
        cnn.subjects,
        text(&cnn.accuracy),
    );
    if let Some(auc) = &cnn.auc {
        first.push_str(&format!(", AUC {}", text(auc)));
    }
    let mut lines = vec![first + "."];
    for comparison in &metrics.comparisons {
        let Some(other) = metrics.of(&comparison.with) else { continue };
        let name = match comparison.with.as_str() {
            BRAIN_VOLUME => "brain volume alone",
            LINEAR_VOXELS => "a linear model on the voxels",
            other => other,
        };
        // By AUC where there is one: it does not depend on a threshold.
        let (what, of_cnn, of_other, difference) = match (&cnn.auc, &other.auc, &comparison.auc_difference) {
            (Some(a), Some(b), Some(d)) => ("AUC", a.value, b.value, d),
            _ => ("accuracy", cnn.accuracy.value, other.accuracy.value, &comparison.accuracy_difference),
        };
        let result = if difference.value <= 0.0 {
            format!("The CNN does not beat {name}")
        } else if difference.low <= 0.0 {
            format!("The CNN is ahead of {name}, but by no more than chance could do")
        } else {
            format!("The CNN beats {name}")
        };
        lines.push(format!("{result}: {what} {of_cnn:.2} against {of_other:.2}, difference {}.", signed(difference)));
    }
    lines
}

/// `0.85 (0.77 to 0.91)`.
fn text(e: &Estimate) -> String {
    format!("{:.2} ({:.2} to {:.2})", e.value, e.low, e.high)
}

fn signed(e: &Estimate) -> String {
    format!("{:+.2} ({:+.2} to {:+.2})", e.value, e.low, e.high)
}

fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, low, high, interval: "bootstrap".into() }
    }

    fn words(difference: Estimate) -> String {
        let prediction = |truth: usize, p: f64| FoldPrediction::new(0, 0, truth, None, vec![1.0 - p, p]);
        let predictions = [prediction(0, 0.2), prediction(1, 0.7), prediction(0, 0.6), prediction(1, 0.9)];
        let classification = Classification::of(&predictions, 2, 1, &Resampling::seeded(0)).unwrap();
        let of = |name: &str| ClassifierMetrics {
            classifier: name.into(),
            description: String::new(),
            classification: classification.clone(),
        };
        let metrics = Metrics {
            classes: vec!["F".into(), "M".into()],
            positive: "M".into(),
            method: String::new(),
            classifiers: vec![of(CNN), of(BRAIN_VOLUME)],
            comparisons: vec![Comparison {
                of: CNN.into(),
                with: BRAIN_VOLUME.into(),
                auc_difference: Some(difference),
                accuracy_difference: estimate(0.0, 0.0, 0.0),
                corrected_t: None,
            }],
            summary: Vec::new(),
        };
        let lines = summary(&metrics);
        assert!(
            lines[0].starts_with("The CNN tells F and M apart in 3 of 4 held-out subjects: accuracy 0.75 ("),
            "{lines:?}"
        );
        lines[1].clone()
    }

    #[test]
    fn the_words_follow_the_interval() {
        assert!(words(estimate(-0.02, -0.1, 0.05)).starts_with("The CNN does not beat brain volume alone: AUC "));
        assert!(words(estimate(0.0, 0.0, 0.0)).starts_with("The CNN does not beat brain volume alone"));
        assert!(words(estimate(0.03, -0.02, 0.1)).starts_with("The CNN is ahead of brain volume alone, but"));
        let beats = words(estimate(0.1, 0.02, 0.2));
        assert!(beats.starts_with("The CNN beats brain volume alone") && beats.ends_with("+0.10 (+0.02 to +0.20)."));
    }
}
