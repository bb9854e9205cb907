//! Deletion and insertion curves of a run, as its evaluation left them.

use crate::{
    figure::{DeletionCurve, DeletionPanel, deletion_curves},
    report::element::{PAGE, Placed, TextTable, Warning},
};
use serde::Serialize;
use voxplain_stats::Interval;
use voxplain_study::{
    evaluation::faithfulness::{Metric, Summary},
    run::{Run, figure_name},
};

/// The section of the page.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Faithfulness {
    words: String,
    pub(in crate::report) figure: Placed,
    table: TextTable,
    #[serde(skip)]
    pub(in crate::report) summaries: Vec<Summary>,
}

/// `None` where nothing was measured.
pub(in crate::report) fn of_run(run: &Run, organ: &str, warnings: &mut Vec<Warning>) -> Option<Faithfulness> {
    let mut summaries = Vec::new();
    for metric in [Metric::Deletion, Metric::Insertion] {
        match Summary::read(run, metric) {
            Ok(summary) => summaries.extend(summary.filter(|s| !s.found.is_empty())),
            Err(error) => {
                warnings.push(Warning::left_out(&format!("The curves of {} are left out", metric.word()), &error));
            }
        }
    }
    let first = summaries.first()?;
    let maps = summaries.iter().flat_map(|s| &s.found).map(|f| f.maps).max().unwrap_or(0);
    let words = format!(
        "The {organ}'s voxels are taken out (deletion) or put back (insertion) in the order of a map: {}, in blocks of {} \
         voxels, {} steps. A faithful map makes the probability of the explained class fall fast, or rise fast. Random orders \
         are as smooth as the map they stand beside; {maps} subjects, none of whom the models saw.",
        first.ranking(),
        first.block_voxels.map(|n| n.to_string()).join(" × "),
        first.settings.steps,
    );
    let note =
        "Means over subjects with pointwise 95 % intervals by model, where there are any. Dashed: random orders.";
    let figure = deletion_curves(&panels(&summaries), "Deletion and insertion", note, PAGE);
    let table = table(&summaries);
    Some(Faithfulness { words, figure: Placed::new(figure_name::DELETION_INSERTION, figure, ""), table, summaries })
}

/// One a substrate and metric: deletion to the left, insertion to the right.
fn panels(summaries: &[Summary]) -> Vec<DeletionPanel> {
    let mut substrates = Vec::new();
    for found in summaries.iter().flat_map(|s| &s.found) {
        if !substrates.contains(&found.substrate) {
            substrates.push(found.substrate);
        }
    }
    let mut panels = Vec::new();
    for substrate in substrates {
        for summary in summaries {
            let of = summary.found.iter().filter(|f| f.substrate == substrate);
            let (name, axis) = match summary.metric {
                Metric::Deletion => ("Deletion", "replaced, %"),
                Metric::Insertion => ("Insertion", "put back, %"),
            };
            panels.push(DeletionPanel {
                title: format!("{name}, {} ({} is better)", substrate.word(), summary.better),
                axis: axis.into(),
                methods: of
                    .map(|f| DeletionCurve {
                        method: f.method.clone(),
                        curve: f.curve.clone(),
                        random: f.random_curve.clone(),
                        difference: f.difference,
                    })
                    .collect(),
            });
        }
    }
    panels
}

fn table(summaries: &[Summary]) -> TextTable {
    let head = [
        "Method",
        "Order",
        "Metric",
        "Substrate",
        "AUC",
        "AUC, random order",
        "Difference",
        "Better in",
        "ICC",
        "Verdict",
    ];
    let mut rows = Vec::new();
    for summary in summaries {
        for found in &summary.found {
            rows.push(vec![
                found.method.clone(),
                found.ranking.word().to_owned(),
                summary.metric.word().to_owned(),
                found.substrate.word().to_owned(),
                interval(&found.auc, false),
                interval(&found.random, false),
                interval(&found.difference, true),
                format!("{:.0} %", 100.0 * found.wins),
                found
                    .difference
                    .intraclass
                    .map_or_else(|| "n/a".to_owned(), |icc| format!("{icc:.2}").replace('-', "\u{2212}")),
                found.verdict.words().to_owned(),
            ]);
        }
    }
    let about: Vec<String> = summaries.iter().map(Summary::about_intervals).collect();
    let about = if about.iter().all(|a| *a == about[0]) { about[..1].join("") } else { about.join(" ") };
    let channels = summaries.iter().find_map(Summary::about_channels).map(|s| format!("{s} ")).unwrap_or_default();
    let note = format!(
        "{channels}Area under the probability of the explained class, means over subjects with 95 % intervals; the difference is \
                paired by subject. Deletion: lower is better; insertion: higher is better. All maps: evaluation/deletion.tsv, \
                evaluation/insertion.tsv. ICC: intraclass correlation of the differences by model. {about}"
    );
    TextTable { head: head.map(str::to_owned).to_vec(), rows, note }
}

fn interval(i: &Interval, sign: bool) -> String {
    let number = |v: f64| if sign { format!("{v:+.3}") } else { format!("{v:.3}") };
    let text = match (i.low, i.high) {
        // A line may end before the interval, not in it.
        (Some(low), Some(high)) => format!("{} [{},\u{a0}{}]", number(i.mean), number(low), number(high)),
        _ => number(i.mean),
    };
    text.replace('-', "\u{2212}")
}
