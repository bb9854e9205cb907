//! How well the classes are told apart on people that no model saw.

use crate::{
    figure::{Cell, Reliability, RocCurve, matrix, reliability, roc_curves},
    report::element::{COLUMN, Placed, TextTable, Warning},
};
use voxplain_stats::{Calibration, Estimate};
use voxplain_study::comparators::{MAJORITY_CLASS, VOLUME_RANK};
use voxplain_study::run::{Metrics, Prediction, Run, figure_name};

/// The section of the page.
#[derive(Clone, Debug)]
pub(in crate::report) struct Accuracy {
    pub(in crate::report) table: TextTable,
    /// The network group by group, where there are few groups.
    pub(in crate::report) groups: Option<TextTable>,
    /// The network class by class, where there are more than two.
    pub(in crate::report) classes: Option<TextTable>,
    /// Classifier against classifier, a sentence each.
    pub(in crate::report) comparisons: Vec<String>,
    pub(in crate::report) charts: Vec<Placed>,
}

/// `0.87 [0.79, 0.92]`, or the number alone where it has no interval.
fn estimate(e: &Estimate) -> String {
    match e.ends() {
        Some((low, high)) => format!("{:.2} [{low:.2}, {high:.2}]", e.value),
        None => format!("{:.2}", e.value),
    }
}

/// From the metrics of a run and the predictions of its networks.
pub(in crate::report) fn of_run(
    run: &Run,
    metrics: &Metrics,
    predictions: &[Prediction],
    warnings: &mut Vec<Warning>,
) -> Accuracy {
    let or = |e: &Option<Estimate>| e.as_ref().map_or_else(|| "n/a".into(), estimate);
    let two = metrics.classes.len() == 2;
    let rest = metrics.classifiers.iter().any(|c| c.classification.one_versus_rest.is_some());
    let areas: &[&str] = match (two, rest) {
        (true, _) => &["AUC"],
        (false, true) => &["Macro AUC", "AUC over pairs"],
        // Runs of older versions.
        (false, false) => &["AUC over pairs"],
    };
    let mut head: Vec<String> = ["Classifier"].iter().chain(areas).map(|&word| word.to_owned()).collect();
    head.extend(["Accuracy", "Balanced accuracy"].map(str::to_owned));
    if two {
        head.extend([format!("Sensitivity ({})", metrics.positive), "Specificity".into()]);
    }
    head.push("Brier score".into());
    let rows = metrics.classifiers.iter().map(|j| {
        let c = &j.classification;
        let mut row = vec![format!("{}: {}", j.classifier, j.description)];
        if rest {
            row.push(or(&c.one_versus_rest.as_ref().map(|rest| rest.macro_auc.clone())));
        }
        row.extend([or(&c.auc), estimate(&c.accuracy), estimate(&c.balanced_accuracy)]);
        if two {
            row.extend([or(&c.sensitivity), or(&c.specificity)]);
        }
        row.push(estimate(&c.brier));
        row
    });
    let table = TextTable { head, rows: rows.collect(), note: note(metrics, run.manifest.options["group"].as_str()) };
    let compared = metrics.comparisons.iter().map(|c| {
        let name = if c.macro_auc_difference.is_some() { "macro AUC" } else { "AUC" };
        let auc = c.area_difference().map_or(String::new(), |d| format!("{name} {}, ", difference(d)));
        format!("{} less {}: {auc}accuracy {}", c.of, c.with, difference(&c.accuracy_difference))
    });
    Accuracy {
        table,
        groups: groups(metrics),
        classes: classes(metrics),
        comparisons: compared.collect(),
        charts: charts(run, metrics, predictions, warnings),
    }
}

fn difference(e: &Estimate) -> String {
    let text = match e.ends() {
        Some((low, high)) => format!("{:+.2} [{low:+.2}, {high:+.2}]", e.value),
        None => format!("{:+.2}", e.value),
    };
    text.replace('-', "\u{2212}")
}

/// What the intervals of a table are over. Runs of older versions say it in their options alone.
fn note(metrics: &Metrics, group: Option<&str>) -> String {
    let interval = metrics.classifiers.first().map_or("", |c| c.classification.accuracy.interval.as_str());
    let heads = metrics.people.map_or_else(String::new, |_| format!("{}. ", metrics.headcount()));
    let macro_auc = if metrics.classifiers.iter().any(|c| c.classification.one_versus_rest.is_some()) {
        " Macro AUC: mean over the classes of the AUC of each against all others. AUC over pairs: mean over all pairs of classes (Hand \
         and Till 2001)."
    } else {
        ""
    };
    let intervals = match (interval.strip_prefix("none: "), group.filter(|_| metrics.grouped_by.is_none())) {
        (Some(why), _) => format!("Without intervals: {}.", metrics.said_of_groups(why)),
        (None, Some(group)) => format!("With 95 % intervals over groups ({group})."),
        (None, None) => format!("With 95 % intervals over {}.", metrics.independent()),
    };
    format!("{heads}{intervals}{macro_auc}")
}

/// The network class by class, where there are more than two.
fn classes(metrics: &Metrics) -> Option<TextTable> {
    let cnn = &metrics.classifiers.first()?.classification;
    let rest = cnn.one_versus_rest.as_ref()?;
    let row = |(class, auc): (usize, &Estimate)| {
        let size: usize = cnn.confusion[class].iter().sum();
        let recall = cnn.recall[class].as_ref().map_or_else(|| "n/a".to_owned(), estimate);
        vec![metrics.classes[class].clone(), size.to_string(), estimate(auc), recall]
    };
    Some(TextTable {
        head: [
            "Class",
            if metrics.people.is_some() { "Scans" } else { "Subjects" },
            "AUC against the rest",
            "Told right",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rest.auc.iter().enumerate().map(row).collect(),
        note: "The network, class by class; told right: the share of the class.".into(),
    })
}

/// The network group by group.
fn groups(metrics: &Metrics) -> Option<TextTable> {
    (!metrics.groups.is_empty()).then(|| TextTable {
        head: [
            "Group",
            if metrics.people.is_some() { "Scans" } else { "Subjects" },
            "Accuracy",
            if metrics.classes.len() > 2 { "AUC over pairs" } else { "AUC" },
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: metrics
            .groups
            .iter()
            .map(|g| {
                let auc = g.auc.map_or_else(|| "n/a".to_owned(), |a| format!("{a:.2}"));
                let heads = g.people.map_or_else(|| g.subjects.to_string(), |_| g.headcount().to_string());
                vec![g.group.clone(), heads, format!("{:.2}", g.accuracy), auc]
            })
            .collect(),
        note: "The network, group by group.".into(),
    })
}

/// Of more than two classes the ROC curve of each against all others, by what the network said.
fn curves_against_the_rest(run: &Run, metrics: &Metrics, predictions: &[Prediction]) -> Option<Placed> {
    let rest = metrics.classifiers.first()?.classification.one_versus_rest.as_ref()?;
    let curve = |(class, auc): (usize, &Estimate)| RocCurve {
        words: format!("{}, AUC {}", metrics.classes[class], estimate(auc)),
        scores: predictions.iter().map(|p| (p.probabilities[class], p.truth == metrics.classes[class])).collect(),
    };
    let curves: Vec<RocCurve> = rest.auc.iter().enumerate().map(curve).collect();
    let figure = roc_curves(&curves, "each class against the rest", run.manifest.seed, COLUMN);
    let alone = if metrics.grouped_by.is_some() { " takes every image as independent, and" } else { "" };
    let caption = format!(
        "Of the network. Probabilities of the folds' models are pooled. The band{alone} is that of the first class, {}.",
        metrics.classes[0]
    );
    Some(Placed::new(figure_name::ROC, figure, caption))
}

/// Of two classes the ROC and calibration curves of every classifier; the confusion of the network.
fn charts(run: &Run, metrics: &Metrics, predictions: &[Prediction], warnings: &mut Vec<Warning>) -> Vec<Placed> {
    let mut charts = Vec::new();
    if let (2, Some(positive)) = (metrics.classes.len(), metrics.classes.iter().position(|c| *c == metrics.positive)) {
        let (mut curves, mut reliabilities) = (Vec::new(), Vec::new());
        // A guess has no curve.
        for classifier in metrics.classifiers.iter().filter(|c| c.classifier != MAJORITY_CLASS) {
            let own = classifier.classifier == metrics.classifiers[0].classifier;
            let said = if own {
                predictions.to_vec()
            } else {
                match run.comparator_predictions(&classifier.classifier) {
                    Ok(said) => said,
                    Err(error) => {
                        let what = format!("{} is left out of the figures", classifier.classifier);
                        warnings.push(Warning::left_out(&what, &error));
                        continue;
                    }
                }
            };
            let auc =
                classifier.classification.auc.as_ref().map_or(String::new(), |a| format!(", AUC {}", estimate(a)));
            let scores: Vec<(f64, bool)> =
                said.iter().map(|p| (p.probabilities[positive], p.truth == metrics.positive)).collect();
            // A rank orders subjects, and is no probability.
            let calibration = Calibration::of(&scores, Calibration::usual_bins(scores.len()));
            if let Some(calibration) = calibration.filter(|_| classifier.classifier != VOLUME_RANK) {
                let words = format!("{}, calibration error {:.3}", classifier.classifier, calibration.expected_error);
                reliabilities.push(Reliability { words, calibration });
            }
            curves.push(RocCurve { words: format!("{}{auc}", classifier.classifier), scores });
        }
        let figure = roc_curves(&curves, &metrics.positive, run.manifest.seed, COLUMN);
        let alone = if metrics.grouped_by.is_some() { " The band takes every image as independent." } else { "" };
        let caption = format!("Probabilities of the folds' models are pooled.{alone}");
        charts.push(Placed::new(figure_name::ROC, figure, &caption));
        if !reliabilities.is_empty() {
            let figure = reliability(&reliabilities, &metrics.positive, COLUMN);
            let caption = "Calibration error: mean over subjects of |observed share \u{2212} mean predicted probability| of \
                           their bin (expected calibration error, Naeini et al. 2015). It is above 0 by chance too.";
            charts.push(Placed::new(figure_name::CALIBRATION, figure, caption));
        }
    }
    charts.extend(curves_against_the_rest(run, metrics, predictions));
    if let Some(first) = metrics.classifiers.first() {
        let cells: Vec<Vec<Cell>> = first
            .classification
            .confusion
            .iter()
            .map(|row| {
                let total = row.iter().sum::<usize>();
                let share = |n: usize| if total > 0 { n as f64 / total as f64 } else { 0.0 };
                row.iter()
                    .map(|&n| Cell {
                        shade: Some(share(n)),
                        words: n.to_string(),
                        below: format!("{:.0} %", 100.0 * share(n)),
                    })
                    .collect()
            })
            .collect();
        let note = format!("Held-out {}s; per cent of each true class.", metrics.noun());
        let title = format!("Confusion, {}", first.classifier);
        let figure = matrix(&title, &metrics.classes, &cells, Some(["truth", "said"]), &note, 70.0);
        charts.push(Placed::new(figure_name::CONFUSION, figure, ""));
    }
    charts
}
