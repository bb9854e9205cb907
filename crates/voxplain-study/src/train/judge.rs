//! How the network and the simple classifiers did, in numbers and in words.

use super::{Holding, TrainOptions, data::Data};
use crate::{
    baseline::{BRAIN_VOLUME, LINEAR_VOXELS, Said},
    run::{Judgement, Metrics},
    stats::{Classification, Comparison, Estimate, FoldPrediction, Resampling},
};
use voxplain_core::argmax;
use voxplain_nn::random::Seed;

/// Name of the network among the classifiers.
pub(super) const CNN: &str = "cnn";

pub(super) fn describe_network(options: &TrainOptions) -> String {
    format!("{} of width {}, {} epochs at most", options.model, options.width, options.epochs)
}

/// What was said beside what is.
pub(super) fn fold_predictions(said: &[Said], data: &Data<'_>) -> Vec<FoldPrediction> {
    let prediction = |s: &Said| FoldPrediction {
        subject: s.subject,
        fold: s.fold,
        truth: data.labels[s.subject],
        predicted: argmax(&s.probabilities),
        probabilities: s.probabilities.clone(),
        group: data.groups.as_ref().map(|g| g[s.subject]),
    };
    said.iter().map(prediction).collect()
}

/// Judges classifiers (name, description, what they said, in the order of the subjects) on the same subjects; the
/// first is compared with each other one.
pub(super) fn metrics(
    all: &[(String, String, Vec<Said>)],
    data: &Data<'_>,
    positive: usize,
    options: &TrainOptions,
) -> Metrics {
    let classes = data.classes.len();
    let resampling = Resampling::seeded(Seed::new(options.seed).child("intervals").value());
    let predictions: Vec<Vec<FoldPrediction>> = all.iter().map(|(_, _, said)| fold_predictions(said, data)).collect();
    let judgements: Vec<Judgement> = all
        .iter()
        .zip(&predictions)
        .filter_map(|((classifier, description, _), predictions)| {
            Some(Judgement {
                classifier: classifier.clone(),
                description: description.clone(),
                classification: Classification::of(predictions, classes, positive, &resampling)?,
            })
        })
        .collect();
    let comparisons: Vec<Comparison> = (1..all.len())
        .filter_map(|n| {
            let (one, other) = ((all[0].0.as_str(), &predictions[0][..]), (all[n].0.as_str(), &predictions[n][..]));
            Comparison::of(one, other, (classes, positive), &resampling)
        })
        .collect();
    let mut metrics = Metrics {
        classes: data.classes.clone(),
        positive: data.classes[positive].clone(),
        method: format!(
            "{}. Numbers pool what each subject was said by a model that never saw it; 95 % intervals are over {}, \
             each number says how. Differences: paired bootstrap of {} resamples.",
            match options.holding {
                Holding::Folds(k) => format!("{k}-fold cross-validation, stratified by class"),
                Holding::Holdout(share) => format!("{} % held out once, stratified by class", percent(share)),
            },
            options.group.as_ref().map_or_else(|| "subjects".to_owned(), |g| format!("groups ({g})")),
            resampling.resamples,
        ),
        judgements,
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
        say(&cnn.accuracy),
    );
    if let Some(auc) = &cnn.auc {
        first.push_str(&format!(", AUC {}", say(auc)));
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
        let verdict = if difference.value <= 0.0 {
            format!("The CNN does not beat {name}")
        } else if difference.low <= 0.0 {
            format!("The CNN is ahead of {name}, but by no more than chance could do")
        } else {
            format!("The CNN beats {name}")
        };
        lines.push(format!(
            "{verdict}: {what} {of_cnn:.2} against {of_other:.2}, difference {}.",
            say_signed(difference)
        ));
    }
    lines
}

/// `0.85 (0.77 to 0.91)`.
fn say(e: &Estimate) -> String {
    format!("{:.2} ({:.2} to {:.2})", e.value, e.low, e.high)
}

fn say_signed(e: &Estimate) -> String {
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
        let prediction = |truth: usize, p: f64| FoldPrediction {
            subject: 0,
            truth,
            predicted: usize::from(p > 0.5),
            probabilities: vec![1.0 - p, p],
            fold: 0,
            group: None,
        };
        let predictions = [prediction(0, 0.2), prediction(1, 0.7), prediction(0, 0.6), prediction(1, 0.9)];
        let classification = Classification::of(&predictions, 2, 1, &Resampling::seeded(0)).unwrap();
        let judgement = |name: &str| Judgement {
            classifier: name.into(),
            description: String::new(),
            classification: classification.clone(),
        };
        let metrics = Metrics {
            classes: vec!["F".into(), "M".into()],
            positive: "M".into(),
            method: String::new(),
            judgements: vec![judgement(CNN), judgement(BRAIN_VOLUME)],
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
