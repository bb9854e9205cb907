//! Whether methods agree.

use crate::{
    figure::{Cell, matrix},
    report::element::{COLUMN, Placed, TextTable},
};
use voxplain_core::plural::counted;
use voxplain_stats::{Interval, Top};
use voxplain_study::{
    group::{GroupSummary, Level, SimilarityRow},
    run::figure_name,
};

/// The section of the page.
#[derive(Clone, Debug)]
pub(in crate::report) struct Agreement {
    pub(in crate::report) figures: Vec<Placed>,
    /// All measures.
    pub(in crate::report) table: TextTable,
}

/// Figures and table; nothing where there are no two methods to compare.
pub(in crate::report) fn of_groups(summary: &GroupSummary) -> Option<Agreement> {
    let methods: Vec<String> = summary.methods.iter().map(|m| m.method.clone()).collect();
    if methods.len() < 2 || summary.similarity.is_empty() {
        return None;
    }
    let mut figures = Vec::new();
    let n = summary.groups.first().map_or(0, |g| g.subjects.len());
    let rows = |level: Level| summary.similarity.iter().filter(move |r| r.level == level && r.group == "group-all");
    for (stem, title, measure, percent, what) in [
        (figure_name::SIMILARITY_SPEARMAN, "Agreement: Spearman's correlation", "spearman", None, "Inside the mask"),
        (
            figure_name::SIMILARITY_DICE,
            "Agreement: overlap of the top 5 %",
            "dice",
            Some(5.0),
            "Dice's coefficient of the 5 % of the mask with largest |value|, corrected for chance (0: chance, 1: same)",
        ),
    ] {
        let of = |a: &str, b: &str| {
            rows(Level::Subjects)
                .find(|r| {
                    ((r.a == a && r.b == b) || (r.a == b && r.b == a))
                        && r.measure == measure
                        && r.percent == percent
                        && r.top != Some(Top::Positive)
                })
                .and_then(|r| r.corrected.or(r.value))
        };
        let cells = methods
            .iter()
            .map(|a| methods.iter().map(|b| if a == b { same() } else { cell(of(a, b)) }).collect())
            .collect::<Vec<Vec<Cell>>>();
        let note =
            format!("{what}; mean over {}, with 95 % interval by model where there is one.", counted(n, "subject"));
        figures.push(Placed::new(stem, matrix(title, &methods, &cells, None, &note, COLUMN), ""));
    }
    let words = |i: Option<Interval>| {
        i.map_or_else(
            || "n/a".to_owned(),
            |i| match (i.low, i.high) {
                (Some(l), Some(h)) => format!("{:.2} [{l:.2}, {h:.2}]", i.mean),
                _ => format!("{:.2}", i.mean),
            },
        )
    };
    let mut table = TextTable {
        head: [
            "Methods",
            "Measure",
            "Subjects: mean [95 % interval]",
            "corrected for chance",
            "Group mean maps",
            "corrected",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: Vec::new(),
        note: format!(
            "n/a: a map with too few voxels off zero (above zero) has no such top part. All rows, also by class: group/similarity.tsv. {}",
            summary.about_intervals().unwrap_or_default()
        ),
    };
    for row in rows(Level::Subjects) {
        let same = |r: &&SimilarityRow| {
            (&r.a, &r.b, &r.measure, r.percent, r.top) == (&row.a, &row.b, &row.measure, row.percent, row.top)
        };
        let mean = rows(Level::GroupMean).find(same);
        let top = match row.top {
            Some(Top::Absolute) => " by |value|",
            Some(Top::Positive) => " by value above 0",
            None => "",
        };
        let measure = row.percent.map_or_else(|| row.measure.clone(), |p| format!("{} of top {p} %{top}", row.measure));
        let corrected = |i: Option<Interval>| if row.percent.is_some() { words(i) } else { "\u{2013}".into() };
        table.rows.push(vec![
            format!("{} and {}", row.a, row.b),
            measure,
            words(row.value),
            corrected(row.corrected),
            words(mean.and_then(|m| m.value)),
            corrected(mean.and_then(|m| m.corrected)),
        ]);
    }
    Some(Agreement { figures, table })
}

fn same() -> Cell {
    Cell { shade: None, words: "\u{2013}".into(), below: String::new() }
}

fn cell(value: Option<Interval>) -> Cell {
    let minus = |x: f64| match format!("{x:.2}").as_str() {
        "-0.00" => "0.00".to_owned(),
        text => text.replace('-', "\u{2212}"),
    };
    match value {
        None => Cell { shade: None, words: "n/a".into(), below: String::new() },
        Some(i) => Cell {
            shade: Some(i.mean),
            words: minus(i.mean),
            below: match (i.low, i.high) {
                (Some(l), Some(h)) => format!("[{}, {}]", minus(l), minus(h)),
                _ => String::new(),
            },
        },
    }
}
