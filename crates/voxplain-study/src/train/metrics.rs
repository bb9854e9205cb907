//! Metrics of a model and of what it is compared with, in numbers and in words.

use super::{
    dataset::Dataset,
    options::TrainOptions,
    persons::of_several_classes,
    tabular::{BOOSTING_TABLE, SVM_TABLE},
};
use crate::{
    cohort::PERSON,
    comparators::{
        COVARIATES, Chosen, LINEAR_VOXELS, LOGISTIC_VOXELS, MAJORITY_CLASS, MASK_VOLUME, REGION_VOLUMES, SVM_VOXELS,
        VOLUME_RANK,
    },
    folds::SplitScheme,
    listed::{and, capital, counted},
    run::{Chance, ChanceVerdict, ClassifierMetrics, GroupMetrics, Metrics},
};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_stats::{Classification, Comparison, Estimate, FoldPrediction, fold_scores, p_in_words, spearman};

/// Name of the network among the classifiers.
pub(crate) const CNN: &str = "cnn";

/// The model that metrics are about, the first of the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    /// The name of its row: `cnn`.
    pub(crate) name: &'static str,
    /// What sentences call it: `the CNN`.
    pub(crate) called: &'static str,
    /// Whether it is known that it was not trained on those whom it is judged by.
    pub(crate) held_out: bool,
}

impl First {
    /// The network.
    pub(crate) const CNN: Self = Self { name: CNN, called: "the CNN", held_out: true };

    /// How those are called whom it is judged by: `held-out `, where they are.
    pub(super) fn judged_by(self) -> &'static str {
        if self.held_out { "held-out " } else { "" }
    }

    /// What is to be known of them, behind the first number.
    pub(super) fn doubt(self) -> &'static str {
        if self.held_out { "" } else { " (whether it was trained on them is not known)" }
    }
}

/// A classifier and what it predicts.
#[derive(Debug)]
pub(crate) struct Classifier {
    /// `cnn`, `mask-volume`, `linear-voxels`.
    pub(crate) name: &'static str,
    /// What it is, in words.
    pub(crate) description: String,
    /// One for each held-out subject, in the order of the subjects.
    pub(crate) predictions: Vec<FoldPrediction>,
    /// What it chose inside the training parts.
    pub(crate) chosen: Option<Chosen>,
}

impl Classifier {
    /// A classifier of that name; sorts the predictions by subject.
    pub(crate) fn new(name: &'static str, description: String, mut predictions: Vec<FoldPrediction>) -> Self {
        predictions.sort_by_key(|p| p.subject);
        Self { name, description, predictions, chosen: None }
    }

    /// The same of one that chose something inside the training parts.
    pub(crate) fn tuned(
        name: &'static str,
        description: String,
        predictions: Vec<FoldPrediction>,
        chosen: Chosen,
    ) -> Self {
        Self { chosen: Some(chosen), ..Self::new(name, description, predictions) }
    }
}

/// The network in words.
pub(super) fn describe_network(options: &TrainOptions) -> String {
    format!("{} of width {}, {} epochs at most", options.model, options.width(), options.epochs)
}

/// Metrics of classifiers on the same subjects, of which the first is compared with each of the others. `people` is how many the subjects are
/// of, where people have several, and `grouped_by` the column of those whom no split divides. How the numbers were found, and the sentences
/// about them, are added by those who know.
pub(crate) fn compared(
    classifiers: &[Classifier],
    classes: &[String],
    positive: usize,
    (people, grouped_by): (Option<usize>, Option<String>),
) -> Metrics {
    let of_classifiers: Vec<ClassifierMetrics> = classifiers
        .iter()
        .filter_map(|c| {
            Some(ClassifierMetrics {
                classifier: c.name.to_owned(),
                description: c.description.clone(),
                chosen: c.chosen.clone(),
                classification: Classification::of(&c.predictions, classes.len(), positive)?,
            })
        })
        .collect();
    let comparisons: Vec<Comparison> = classifiers[1..]
        .iter()
        .filter_map(|other| {
            let one = (classifiers[0].name, classifiers[0].predictions.as_slice());
            let other = (other.name, other.predictions.as_slice());
            Comparison::of(one, other, (classes.len(), positive))
        })
        .collect();
    Metrics {
        classes: classes.to_vec(),
        positive: classes[positive].clone(),
        method: String::new(),
        people,
        grouped_by,
        rows: false,
        models: Vec::new(),
        chance: of_classifiers.first().map(|first| chance(&first.classification, classes)),
        volume_correlation: None,
        groups: Vec::new(),
        classifiers: of_classifiers,
        comparisons,
        summary: Vec::new(),
    }
}

/// Metrics of the network and of the comparators.
pub(super) fn metrics(
    classifiers: &[Classifier],
    dataset: &Dataset<'_>,
    positive: usize,
    options: &TrainOptions,
) -> Metrics {
    let network = &classifiers[0].predictions;
    let people = dataset.persons.as_ref().map(|_| people_of(network.iter().map(|p| p.subject), dataset));
    let grouped_by = dataset.grouping.as_ref().map(|grouping| grouping.column.clone());
    let mut metrics = compared(classifiers, &dataset.classes, positive, (people, grouped_by));
    metrics.volume_correlation =
        volume_correlation(network.iter().map(|p| (p.probabilities[positive], dataset.mask_volume(p.subject))));
    metrics.groups = groups(network, dataset, positive);
    metrics.method = method(&metrics, dataset, options);
    metrics.summary = summary(&metrics, First::CNN, Some(dataset.cohort.preparation.volume_name()));
    if let Some(alike) = pairs_alike(network, &metrics.classes, First::CNN) {
        metrics.summary.insert(1.min(metrics.summary.len()), alike);
    }
    metrics.summary.extend(dataset.cohort.caveats());
    metrics
}

/// How many people the images of these subjects are of.
pub(super) fn people_of(subjects: impl Iterator<Item = usize>, dataset: &Dataset<'_>) -> usize {
    let person = |subject: usize| dataset.persons.as_ref().map_or(subject, |persons| persons.of[subject]);
    subjects.map(person).collect::<BTreeSet<_>>().len()
}

/// What the numbers are, in sentences.
fn method(metrics: &Metrics, dataset: &Dataset<'_>, options: &TrainOptions) -> String {
    let scheme = match options.split {
        SplitScheme::Folds(k) => format!("{k}-fold cross-validation, stratified by class"),
        SplitScheme::Holdout(share) => format!("{} % held out once, stratified by class", percent(share)),
    };
    let (noun, independent) = (metrics.noun(), metrics.independent());
    // Where there are none, it is said why in their place.
    let none = metrics.classifiers.first().is_some_and(|c| c.classification.accuracy.interval.starts_with("none: "));
    let intervals = match none {
        true => String::new(),
        false => format!("; 95 % intervals are over {independent}, each number says how"),
    };
    let Some(persons) = &dataset.persons else {
        return format!(
            "{scheme}. Numbers pool what each {noun} was said by a model that never saw it{intervals}. \
             Differences are paired by {noun}."
        );
    };
    let changed = match of_several_classes(persons, &dataset.labels) {
        0 => String::new(),
        1 => " One person has images of more than one class.".to_owned(),
        n => format!(" {n} people have images of more than one class."),
    };
    format!(
        "{scheme}; {} held out, and no person on both sides of a split.{changed} Numbers pool what each scan was said by a \
         model that never saw the person{intervals}. Differences are paired by scan.",
        metrics.headcount()
    )
}

/// A model beside always saying the largest class.
fn chance(of: &Classification, classes: &[String]) -> Chance {
    let sizes: Vec<usize> = of.confusion.iter().map(|row| row.iter().sum()).collect();
    // The first of equals.
    let largest = (1..sizes.len()).fold(0, |best, c| if sizes[c] > sizes[best] { c } else { best });
    let accuracy = sizes[largest] as f64 / of.subjects as f64;
    let orders = of.area().map(Estimate::ends);
    let verdict = match (orders, of.accuracy.ends()) {
        (Some(Some(_)), _) if too_few(of).is_some() => ChanceVerdict::NotShown,
        (Some(Some((low, _))), Some((least, _))) if low > 0.5 && least > accuracy => ChanceVerdict::Better,
        (Some(Some((low, _))), _) if low > 0.5 => ChanceVerdict::OrderAlone,
        (Some(Some((_, high))), _) if high < 0.5 => ChanceVerdict::Worse,
        (Some(Some(_)), _) => ChanceVerdict::NotShown,
        // A class is missing among the held-out: there is no order to judge.
        (None, Some((least, _))) if least > accuracy => ChanceVerdict::Better,
        (None, Some(_)) => ChanceVerdict::NotShown,
        (Some(None), _) | (None, None) => ChanceVerdict::Unknown,
    };
    Chance { majority: classes[largest].clone(), accuracy, verdict }
}

/// Of fewer people of three classes or more the interval of the mean AUC is no evidence: it is made for many.
const FEWEST_OF_SEVERAL: usize = 10;

/// The sizes of classes of which even an order without a fault could be chance, or of which an interval says too little, so that none is
/// evidence; and why.
fn too_few(of: &Classification) -> Option<(Vec<usize>, &'static str)> {
    let sizes: Vec<usize> = of.confusion.iter().map(|row| row.iter().sum()).collect();
    let people: usize = sizes.iter().sum();
    if sizes.iter().all(|n| *n > 0) && least_p(&sizes) > 0.05 {
        return Some((sizes, "even an order without a fault could be chance"));
    }
    (sizes.len() > 2 && people < FEWEST_OF_SEVERAL)
        .then_some((sizes, "the interval of a mean over classes holds only roughly"))
}

/// The least two-sided p that a test by permutation of the classes can give for classes of these sizes (of two, that of Mann and
/// Whitney): the share of the orders without a fault, and of their opposite, among all ways to give the subjects these classes.
fn least_p(sizes: &[usize]) -> f64 {
    let mut before = 0;
    let mut ways = 1.0;
    for &size in sizes {
        ways *= (1..=size).map(|n| (before + n) as f64 / n as f64).product::<f64>();
        before += size;
    }
    (2.0 / ways).min(1.0)
}

/// Spearman's correlation of what the network says of subjects with the volumes of their masks.
pub(crate) fn volume_correlation(pairs: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "only the order counts")]
    let (said, volumes): (Vec<f32>, Vec<f32>) = pairs.map(|(said, volume)| (said as f32, volume as f32)).unzip();
    spearman(&said, &volumes).ok().flatten().filter(|r| r.is_finite())
}

/// The network group by group.
fn groups(network: &[FoldPrediction], dataset: &Dataset<'_>, positive: usize) -> Vec<GroupMetrics> {
    let mut of = BTreeMap::<usize, Vec<FoldPrediction>>::new();
    for prediction in network {
        if let Some(group) = prediction.group {
            // One fold, so that the numbers are those of all.
            of.entry(group).or_default().push(FoldPrediction { fold: 0, ..prediction.clone() });
        }
    }
    // The few scans of a person say nothing by themselves.
    let Some(grouping) = dataset.grouping.as_ref().filter(|grouping| grouping.column != PERSON) else {
        return Vec::new();
    };
    if of.len() > GroupMetrics::MAX {
        return Vec::new();
    }
    let row = |(group, predictions): (usize, Vec<FoldPrediction>)| {
        let score = fold_scores(&predictions, dataset.classes.len(), positive).pop()?;
        let people = dataset.persons.as_ref().map(|_| people_of(predictions.iter().map(|p| p.subject), dataset));
        let group = grouping.names[group].clone();
        Some(GroupMetrics { group, subjects: score.subjects, people, accuracy: score.accuracy, auc: score.auc })
    };
    of.into_iter().filter_map(row).collect()
}

/// The result in words: first whether it is better than guessing. `volume` is what the volume of masks is called, where there are images.
pub(crate) fn summary(metrics: &Metrics, first: First, volume: Option<&str>) -> Vec<String> {
    let Some(own) = metrics.of(first.name) else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(chance) = &metrics.chance {
        lines.push(beside_guessing(metrics, own, chance, first));
    }
    let (named, images) = (volume.unwrap_or("mask volume"), volume.is_some());
    for comparison in &metrics.comparisons {
        let Some(other) = metrics.of(&comparison.with) else { continue };
        let name = match comparison.with.as_str() {
            // The first sentence is about it.
            MAJORITY_CLASS => continue,
            MASK_VOLUME => &format!("{named} alone"),
            VOLUME_RANK => &format!("{named} without a fit"),
            LINEAR_VOXELS => "a linear model on the voxels",
            LOGISTIC_VOXELS => "logistic regression on the voxels with a chosen penalty",
            SVM_VOXELS => "a support vector machine on the voxels",
            SVM_TABLE => "a support vector machine on the same columns",
            BOOSTING_TABLE => "gradient boosting on the same columns",
            COVARIATES if images => "the covariates without an image",
            COVARIATES => "the covariates alone",
            REGION_VOLUMES => "the volumes of regions",
            other => other,
        };
        lines.push(beside((first, own), (name, other), comparison, &metrics.independent()));
    }
    lines.extend(against_the_rest(metrics, own, first));
    if metrics.classes.len() > 2 && images {
        lines.push(format!(
            "Mask volume without a fit ({VOLUME_RANK}) is one order of all {}s, by which two classes can be told apart: of {} it is left out.",
            metrics.noun(),
            metrics.classes.len()
        ));
    }
    if let Some(r) = metrics.volume_correlation {
        lines.push(format!(
            "Rank correlation of {}'s probability of {} with {named}, over {}s: {r:.2}.",
            first.called,
            metrics.positive,
            metrics.noun()
        ));
    }
    lines.iter().map(|line| metrics.said_of_groups(line)).collect()
}

/// Each of more than two classes, in words.
fn against_the_rest(metrics: &Metrics, own: &Classification, first: First) -> Option<String> {
    let rest = own.one_versus_rest.as_ref()?;
    let noun = metrics.noun();
    let of_class = |(class, auc): (usize, &Estimate)| {
        let size: usize = own.confusion[class].iter().sum();
        let ends = auc.ends().map_or_else(String::new, |(low, high)| format!(" ({low:.2} to {high:.2})"));
        format!("{} {:.2}{ends}, {}", metrics.classes[class], auc.value, counted(size, noun))
    };
    let all: Vec<String> = rest.auc.iter().enumerate().map(of_class).collect();
    Some(format!(
        "AUC of {} for each class against the rest: {}. The macro AUC is their mean.",
        first.called,
        all.join("; ")
    ))
}

/// ` (of 12 people)`, where images are of people who have several.
pub(super) fn of_people(people: Option<usize>) -> String {
    match people {
        None => String::new(),
        Some(1) => " (of 1 person)".to_owned(),
        Some(people) => format!(" (of {people} people)"),
    }
}

/// Of more than two classes, which pairs are not shown to be told apart, by the AUC among the subjects of both; `None` where all are.
/// The mean over classes can be far above 0.5 where two of them look alike.
pub(crate) fn pairs_alike(said: &[FoldPrediction], classes: &[String], first: First) -> Option<String> {
    if classes.len() < 3 {
        return None;
    }
    let mut alike = Vec::new();
    for (one, other) in (0..classes.len()).flat_map(|a| (a + 1..classes.len()).map(move |b| (a, b))) {
        let of_both = said.iter().filter(|p| p.truth == one || p.truth == other).map(|p| {
            let [a, b] = [one, other].map(|class| p.probabilities[class]);
            let share = if a + b > 0.0 { b / (a + b) } else { 0.5 };
            FoldPrediction {
                truth: usize::from(p.truth == other),
                predicted: usize::from(share > 0.5),
                probabilities: vec![1.0 - share, share],
                ..p.clone()
            }
        });
        let Some(found) = Classification::of(&of_both.collect::<Vec<_>>(), 2, 1) else { continue };
        let Some(auc) = &found.auc else { continue };
        let few = too_few(&found).map_or("", |_| ", so few that an order without a fault could be chance");
        if !few.is_empty() || auc.ends().is_none_or(|(low, _)| low <= 0.5) {
            alike.push(format!("{} from {} (AUC {}{few})", classes[other], classes[one], text(auc)));
        }
    }
    let pairs = classes.len() * (classes.len() - 1) / 2;
    let called = first.called;
    (!alike.is_empty())
        .then(|| format!("Of {pairs} pairs of classes, it is not shown that {called} tells {}.", and(&alike)))
}

/// The first sentence.
fn beside_guessing(metrics: &Metrics, own: &Classification, chance: &Chance, first: First) -> String {
    let model = capital(first.called);
    let classes = and(&metrics.classes);
    let right: usize = (0..metrics.classes.len()).map(|c| own.confusion[c][c]).sum();
    let noun = metrics.noun();
    let few = too_few(own).map_or_else(String::new, |(sizes, why)| format!(" (with {} {noun}s, {why})", and(&sizes)));
    let says = match chance.verdict {
        ChanceVerdict::Better => format!("{model} tells {classes} apart better than guessing"),
        ChanceVerdict::OrderAlone => format!(
            "{model} orders {noun}s of {classes} better than guessing, but its answers are not shown to be right more often than always saying {}",
            chance.majority
        ),
        ChanceVerdict::NotShown => format!("{model} is not shown to tell {classes} apart better than guessing{few}"),
        ChanceVerdict::Worse => format!("{model} tells {classes} apart worse than guessing"),
        ChanceVerdict::Unknown => {
            format!(
                "Whether {} tells {classes} apart better than guessing cannot be said, for lack of an interval",
                first.called
            )
        }
    };
    let auc = match own.area() {
        Some(auc) => format!("{} {}, where guessing has 0.5; ", own.area_name(), text(auc)),
        None => String::new(),
    };
    format!(
        "{says}: {auc}{right} of {} {}{noun}s{} right{}, accuracy {}, where always saying {} has {:.2}.",
        own.subjects,
        first.judged_by(),
        of_people(metrics.people),
        first.doubt(),
        text(&own.accuracy),
        chance.majority,
        chance.accuracy,
    )
}

/// The first model beside a comparator. "Beats" takes two witnesses: the interval of the difference `over` subjects (people, groups) and
/// the corrected resampled t-test over folds.
fn beside(
    (first, own): (First, &Classification),
    (name, other): (&str, &Classification),
    comparison: &Comparison,
    over: &str,
) -> String {
    let model = capital(first.called);
    // By AUC where there is one: it does not depend on a threshold.
    let (what, of_own, of_other, difference) = match (own.area(), other.area(), comparison.area_difference()) {
        (Some(a), Some(b), Some(d)) => (own.area_name(), a.value, b.value, d),
        _ => ("accuracy", own.accuracy.value, other.accuracy.value, &comparison.accuracy_difference),
    };
    let t_test = comparison
        .corrected_p
        .map(|p| format!("corrected resampled t-test of the folds' accuracies {}", p_in_words(p)));
    let ahead = comparison.corrected_t.is_some_and(|t| t > 0.0);
    let shown = own.area().and_then(Estimate::ends).is_some_and(|(low, _)| low > 0.5);
    let below_guessing = other.area().is_some_and(|area| area.value < 0.5) && own.area().is_some() && !shown;
    let result = match (difference.ends(), comparison.corrected_p) {
        _ if difference.value <= 0.0 => format!("{model} does not beat {name}"),
        (None, _) => format!("{model} is ahead of {name}, but without an interval that is no evidence"),
        (Some((low, _)), Some(p)) if low <= 0.0 && p < 0.05 && ahead => format!(
            "{model} is ahead of {name} by the folds, but not by the interval over {over}, so that it is not shown to beat it"
        ),
        (Some((low, _)), _) if low <= 0.0 => {
            format!("{model} is ahead of {name}, but by no more than chance could do")
        }
        // To be ahead of what does worse than a coin is nothing, where the model itself is not shown to do better than one.
        (Some(_), _) if below_guessing => format!(
            "{model} is ahead of {name}, which does worse than guessing here, and is not shown to be better than guessing itself: no evidence"
        ),
        (Some(_), None) => {
            format!("{model} is ahead of {name} by the interval over {over} alone: the folds allow no second test")
        }
        (Some(_), Some(p)) if p < 0.05 && ahead => format!("{model} beats {name}"),
        (Some(_), Some(_)) => format!(
            "{model} is ahead of {name} by the interval over {over}, but not by the folds, so that it is not shown to beat it"
        ),
    };
    let t_test = t_test.map_or_else(String::new, |t| format!("; {t}"));
    format!("{result}: {what} {of_own:.2} against {of_other:.2}, difference {}{t_test}.", signed(difference))
}

/// `0.85 (0.77 to 0.91)`, or `0.85 (no interval: 2 groups are too few, at least 10 are needed)`.
pub(crate) fn text(e: &Estimate) -> String {
    match e.ends() {
        Some((low, high)) => format!("{:.2} ({low:.2} to {high:.2})", e.value),
        None => format!("{:.2} ({})", e.value, e.interval.replacen("none", "no interval", 1)),
    }
}

fn signed(e: &Estimate) -> String {
    match e.ends() {
        Some((low, high)) => format!("{:+.2} ({low:+.2} to {high:+.2})", e.value),
        None => format!("{:+.2} ({})", e.value, e.interval.replacen("none", "no interval", 1)),
    }
}

pub(super) fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of three and three, one order in twenty is without a fault, and another is so the other way round.
    #[test]
    fn few_people_cannot_be_told_from_chance() {
        assert!(
            (least_p(&[3, 3]) - 0.1).abs() < 1e-12
                && (least_p(&[4, 4]) - 2.0 / 70.0).abs() < 1e-12
                && least_p(&[1, 0]) == 1.0
        );
        let of = |each: usize| {
            let one = |n: usize| {
                FoldPrediction::new(n, 0, n % 2, None, if n % 2 == 1 { vec![0.1, 0.9] } else { vec![0.9, 0.1] })
            };
            Classification::of(&(0..2 * each).map(one).collect::<Vec<_>>(), 2, 1).unwrap()
        };
        let classes = ["F".to_owned(), "M".to_owned()];
        assert_eq!(chance(&of(3), &classes).verdict, ChanceVerdict::NotShown);
        assert_eq!(chance(&of(10), &classes).verdict, ChanceVerdict::Better);
    }

    /// One person of each of three classes can be ordered in six ways; two of each in 90.
    #[test]
    fn few_people_of_several_classes_cannot_be_told_from_chance() {
        assert!((least_p(&[1, 1, 1]) - 1.0 / 3.0).abs() < 1e-12 && (least_p(&[2, 2, 2]) - 2.0 / 90.0).abs() < 1e-12);
        let one = |n: usize| {
            let p = |c: usize| if c == n % 3 { 0.8 } else { 0.1 };
            FoldPrediction::new(n, 0, n % 3, None, vec![p(0), p(1), p(2)])
        };
        let of = |people: usize| Classification::of(&(0..people).map(one).collect::<Vec<_>>(), 3, 2).unwrap();
        let classes = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(chance(&of(3), &classes).verdict, ChanceVerdict::NotShown);
        assert_eq!(chance(&of(30), &classes).verdict, ChanceVerdict::Better);
    }

    fn estimate(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, low: Some(low), high: Some(high), interval: "mover".into() }
    }

    fn none(value: f64) -> Estimate {
        Estimate { value, low: None, high: None, interval: "none: 2 groups are too few, at least 10 are needed".into() }
    }

    /// Four subjects, three of them right.
    fn four() -> Classification {
        let prediction = |truth: usize, p: f64| FoldPrediction::new(0, 0, truth, None, vec![1.0 - p, p]);
        let predictions = [prediction(0, 0.2), prediction(1, 0.7), prediction(0, 0.6), prediction(1, 0.9)];
        Classification::of(&predictions, 2, 1).unwrap()
    }

    fn words(difference: Estimate, t: Option<(f64, f64)>) -> String {
        let comparison = Comparison {
            of: CNN.into(),
            with: MASK_VOLUME.into(),
            auc_difference: Some(difference),
            macro_auc_difference: None,
            accuracy_difference: estimate(0.0, 0.0, 0.0),
            corrected_t: t.map(|t| t.0),
            corrected_p: t.map(|t| t.1),
        };
        beside((First::CNN, &four()), ("mask volume alone", &four()), &comparison, "subjects")
    }

    #[test]
    fn to_beat_takes_two_witnesses() {
        let sure = Some((3.0, 0.01));
        let cases = [
            (estimate(-0.02, -0.1, 0.05), sure, "The CNN does not beat mask volume alone: AUC "),
            (estimate(0.0, 0.0, 0.0), sure, "The CNN does not beat mask volume alone"),
            (estimate(0.03, -0.02, 0.1), Some((1.6, 0.15)), "The CNN is ahead of mask volume alone, but by no more"),
            (
                estimate(0.03, -0.02, 0.1),
                sure,
                "The CNN is ahead of mask volume alone by the folds, but not by the interval over subjects",
            ),
            (
                estimate(0.04, 0.004, 0.08),
                Some((1.6, 0.15)),
                "The CNN is ahead of mask volume alone by the interval over subjects, but not by the folds",
            ),
            (
                estimate(0.04, 0.004, 0.08),
                Some((-3.0, 0.01)),
                "The CNN is ahead of mask volume alone by the interval over subjects, but not",
            ),
            (
                estimate(0.04, 0.004, 0.08),
                None,
                "The CNN is ahead of mask volume alone by the interval over subjects alone",
            ),
            (none(0.13), sure, "The CNN is ahead of mask volume alone, but without an interval"),
            (estimate(0.1, 0.02, 0.2), sure, "The CNN beats mask volume alone"),
        ];
        for (difference, t, start) in cases {
            let text = words(difference, t);
            assert!(text.starts_with(start), "{text}");
        }
        let beats = words(estimate(0.1, 0.02, 0.2), sure);
        assert!(
            beats.ends_with(
                "difference +0.10 (+0.02 to +0.20); corrected resampled t-test of the folds' accuracies p = 0.010."
            ),
            "{beats}"
        );
        assert!(words(none(0.13), None).contains("+0.13 (no interval: 2 groups are too few, at least 10 are needed)"));
    }

    #[test]
    fn the_first_sentence_is_about_guessing() {
        let classes = ["F".to_owned(), "M".to_owned()];
        let first = |auc: Estimate, accuracy: Estimate, sizes: [usize; 2]| {
            let mut c = four();
            c.confusion = vec![vec![sizes[0], 0], vec![0, sizes[1]]];
            c.subjects = sizes[0] + sizes[1];
            (c.auc, c.accuracy) = (Some(auc), accuracy);
            let chance = chance(&c, &classes);
            let metrics = Metrics {
                classes: classes.to_vec(),
                positive: "M".into(),
                models: Vec::new(),
                method: String::new(),
                people: None,
                grouped_by: None,
                rows: false,
                classifiers: Vec::new(),
                comparisons: Vec::new(),
                chance: Some(chance.clone()),
                volume_correlation: None,
                groups: Vec::new(),
                summary: Vec::new(),
            };
            (beside_guessing(&metrics, &c, &chance, First::CNN), chance)
        };
        // Depression in ds002748: 17 of 26 right where always saying one class has 19.
        let (text, chance) = first(estimate(0.39, 0.19, 0.62), estimate(0.65, 0.46, 0.81), [7, 19]);
        assert!(
            text.starts_with(
                "The CNN is not shown to tell F and M apart better than guessing: AUC 0.39 (0.19 to 0.62)"
            ),
            "{text}"
        );
        assert!(text.ends_with("accuracy 0.65 (0.46 to 0.81), where always saying M has 0.73."), "{text}");
        assert_eq!((chance.majority.as_str(), chance.verdict), ("M", ChanceVerdict::NotShown));
        let verdict = |auc, accuracy, sizes| first(auc, accuracy, sizes).1.verdict;
        assert_eq!(verdict(estimate(0.9, 0.8, 0.95), estimate(0.8, 0.7, 0.9), [50, 50]), ChanceVerdict::Better);
        assert_eq!(verdict(estimate(0.9, 0.8, 0.95), estimate(0.85, 0.8, 0.9), [10, 90]), ChanceVerdict::OrderAlone);
        assert_eq!(verdict(estimate(0.2, 0.1, 0.3), estimate(0.3, 0.2, 0.4), [50, 50]), ChanceVerdict::Worse);
        assert_eq!(verdict(none(0.9), none(0.9), [50, 50]), ChanceVerdict::Unknown);
    }
}
