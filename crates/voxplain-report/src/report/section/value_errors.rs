//! How near a value is predicted on people that no model saw.

use super::accuracy::Accuracy;
use crate::{
    figure::{bland_altman, value_scatter},
    report::element::{COLUMN, Placed, TextTable},
};
use voxplain_stats::{Estimate, Regression, significant};
use voxplain_study::run::{PredictedValue, ValueMetrics, figure_name};

fn estimate(e: &Estimate) -> String {
    let number = |v: f64| significant(v, 3).replace('-', "\u{2212}");
    match e.ends() {
        Some((low, high)) => format!("{} [{}, {}]", number(e.value), number(low), number(high)),
        None => number(e.value),
    }
}

/// From the metrics of a run and the predictions of its networks.
pub(in crate::report) fn of_run(metrics: &ValueMetrics, predictions: &[PredictedValue]) -> Accuracy {
    let or = |e: &Option<Estimate>| e.as_ref().map_or_else(|| "n/a".into(), estimate);
    let row = |name: String, r: &Regression| {
        vec![
            name,
            estimate(&r.mae),
            estimate(&r.rmse),
            or(&r.r2),
            or(&r.r),
            estimate(&r.mean_error),
            or(&r.error_slope),
        ]
    };
    let mut rows: Vec<Vec<String>> =
        metrics.predictors.iter().map(|p| row(format!("{}: {}", p.predictor, p.description), &p.regression)).collect();
    if let Some(correction) = &metrics.correction {
        let name = "cnn, corrected for its bias by the line of the other folds (not the result)";
        rows.push(row(name.into(), &correction.corrected));
    }
    let head =
        ["Predictor", "Mean absolute error", "Root mean square error", "R\u{b2}", "r", "Mean error", "Slope of error"];
    let interval = metrics.predictors.first().map_or("", |p| p.regression.mae.interval.as_str());
    let heads = metrics.people.map_or_else(String::new, |_| format!("{}. ", metrics.headcount()));
    let note = match interval.strip_prefix("none: ") {
        Some(why) => format!("{heads}Without intervals: {}.", metrics.said_of_groups(why)),
        None => format!("{heads}With 95 % intervals over {}.", metrics.independent()),
    };
    let note = format!("{note} Errors are predicted less true {}.", metrics.value);
    let compared = metrics.comparisons.iter().map(|c| {
        let plus = if c.mae_difference.value > 0.0 { "+" } else { "" };
        format!("{} less {}: mean absolute error {plus}{}", c.of, c.with, estimate(&c.mae_difference))
    });
    let points: Vec<[f64; 2]> = predictions.iter().map(|p| [p.truth, p.predicted]).collect();
    let name = metrics.value.to_string();
    let charts = vec![
        Placed::new(figure_name::SCATTER, value_scatter(&points, &name, COLUMN), ""),
        Placed::new(figure_name::BLAND_ALTMAN, bland_altman(&points, &name, COLUMN), ""),
    ];
    Accuracy {
        table: TextTable { head: head.map(str::to_owned).to_vec(), rows, note },
        classes: None,
        groups: groups(metrics),
        comparisons: compared.collect(),
        charts,
    }
}

/// The network group by group.
fn groups(metrics: &ValueMetrics) -> Option<TextTable> {
    let head =
        ["Group", if metrics.people.is_some() { "Scans" } else { "Subjects" }, "Mean absolute error", "Mean error"];
    let row = |g: &voxplain_study::run::GroupErrors| {
        let heads = g.people.map_or_else(|| g.subjects.to_string(), |_| g.headcount().to_string());
        vec![g.group.clone(), heads, significant(g.mae, 3), significant(g.mean_error, 3).replace('-', "\u{2212}")]
    };
    (!metrics.groups.is_empty()).then(|| TextTable {
        head: head.map(str::to_owned).to_vec(),
        rows: metrics.groups.iter().map(row).collect(),
        note: "The network, group by group.".into(),
    })
}
