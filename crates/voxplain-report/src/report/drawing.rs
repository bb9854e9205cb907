//! The figures of a run.

use super::{
    Placed,
    page::{Grid, Method, Page},
};
use crate::{
    Progress, Result,
    attribution::METHODS,
    figure::{
        Cell, Colours, Cuts, Display, Exhibit, Gallery, Layer, Mosaic, Plot, Receiver, Reliability, Scale, Threshold,
        matrix, receiver, reliability,
    },
    group::{GroupSummary, Level, MethodSummary, SimilarityRow},
    run::{Metrics, Prediction, Run},
    stats::{Calibration, Interval, Top},
};
use std::path::Path;
use voxplain_volume::{Border, Mask, ReadOptions, Volume, read};

/// Percentile of |value| that ends the range of colours. Our choice: a few voxels then do not darken all others.
pub(super) const PERCENTILE: f64 = 99.5;
/// Cuts of each axis in a mosaic across the page.
const CUTS: usize = 7;
/// Bytes of mosaics in the page, so that it stays below 10 MB with the pictures and volumes of subjects.
const MOST_BYTES: usize = 2_600_000;
/// Per cent of the brain that contours hold, and of how many methods: as many as there are colours of lines.
const STRONGEST: f64 = 5.0;
const MOST_CONTOURS: usize = 6;
/// Which come first where there are more: those of Kan et al. 2020, then one of each further kind.
const CONTOURED: [&str; 6] =
    ["meaningful-perturbation", "grad-cam", "guided-backprop", "hires-cam", "integrated-gradients", "occlusion"];
/// Standard deviation by which |values| are smoothed for contours, mm: gradients change from voxel to voxel.
const SMOOTHED: f64 = 4.0;
/// Width of figures across the page and in a column, mm.
const PAGE: f64 = 180.0;
const COLUMN: f64 = 86.0;

pub(super) fn accuracy(page: &mut Page, run: &Run, metrics: &Metrics, predictions: &[Prediction]) -> Result<()> {
    if let (2, Some(positive)) = (metrics.classes.len(), metrics.classes.iter().position(|c| *c == metrics.positive)) {
        let (mut receivers, mut reliabilities) = (Vec::new(), Vec::new());
        for classifier in &metrics.classifiers {
            let own = classifier.classifier == metrics.classifiers[0].classifier;
            let said = if own {
                predictions.to_vec()
            } else {
                match run.comparator_predictions(&classifier.classifier) {
                    Ok(said) => said,
                    Err(_) => continue,
                }
            };
            let auc = classifier
                .classification
                .auc
                .as_ref()
                .map_or(String::new(), |a| format!(", AUC {}", super::page::estimate(a)));
            let scores: Vec<(f64, bool)> =
                said.iter().map(|p| (p.probabilities[positive], p.truth == metrics.positive)).collect();
            if let Some(calibration) = Calibration::of(&scores, Calibration::usual_bins(scores.len())) {
                let words = format!("{}, calibration error {:.3}", classifier.classifier, calibration.expected_error);
                reliabilities.push(Reliability { words, calibration });
            }
            receivers.push(Receiver { words: format!("{}{auc}", classifier.classifier), scores });
        }
        let figure = receiver(&receivers, &metrics.positive, run.manifest.seed, COLUMN);
        page.charts.push(Placed::new("roc", figure, "Probabilities of the folds' models are pooled."));
        if !reliabilities.is_empty() {
            let figure = reliability(&reliabilities, &metrics.positive, COLUMN);
            let caption = "Calibration error: mean over subjects of |observed share \u{2212} mean predicted probability| of \
                           their bin (expected calibration error, Naeini et al. 2015). It is above 0 by chance too.";
            page.charts.push(Placed::new("calibration", figure, caption));
        }
    }
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
        let note = "Held-out subjects; per cent of each true class.";
        let title = format!("Confusion, {}", first.classifier);
        let figure = matrix(&title, &metrics.classes, &cells, Some(["truth", "said"]), note, 70.0);
        page.charts.push(Placed::new("confusion", figure, ""));
    }
    Ok(())
}

fn volume(path: &Path) -> Result<Volume> {
    Ok(read(path, &ReadOptions::default())?.volume)
}

/// Group maps of every method over the mean brain, and the agreement of methods.
pub(super) fn groups(page: &mut Page, run: &Run, summary: &GroupSummary, progress: &dyn Progress) -> Result<()> {
    let folder = run.path.join("group");
    let mask: Mask = volume(&folder.join("brain_mask.nii.gz"))?.map(|&v| v > 0.5);
    let layer = Layer::new(volume(&folder.join("mean_brain.nii.gz"))?, &mask)?;
    page.space.clone_from(&summary.space);
    progress.begin("mosaics", summary.methods.len());
    let mut means_of_all = Vec::new();
    for method in &summary.methods {
        progress.go_on()?;
        let means: Vec<_> =
            summary.maps.iter().filter(|m| m.method == method.method && m.statistic == "mean").collect();
        let mut figures = Vec::new();
        let mut rows = None;
        for group in summary.groups.iter().filter(|g| !g.name.contains("outcome-")) {
            let Some(file) = means.iter().find(|m| m.group == group.name) else { continue };
            let map = volume(&folder.join(&file.file))?;
            // The cuts of all subjects' map serve all groups, so that they can be compared.
            let rows = rows.get_or_insert_with(|| layer.cuts(&map, CUTS, 6.0)).clone();
            let figure = Mosaic {
                title: format!("{}: mean map, {} (n = {})", method.method, group.title, file.subjects),
                units: method.units.clone(),
                layer: &layer,
                map: &map,
                scale: Scale::percentile(&layer, &map, PERCENTILE),
                rows,
                width: PAGE,
                space: format!("Coordinates: {}.", summary.space),
            }
            .draw()?;
            let word = method.method.replace('-', "");
            figures.push(Placed::new(format!("{}_stat-mean_desc-{word}_mosaic", group.name), figure, ""));
            if group.name == "group-all" {
                means_of_all.push((method.method.clone(), method.units.clone(), map));
            }
        }
        page.methods.push(Method {
            name: method.method.clone(),
            facts: facts(method),
            warnings: warnings(method),
            figures,
        });
        progress.advance(1, &method.method);
    }
    progress.end();
    let n = summary.groups.first().map_or(0, |g| g.subjects.len());
    let of = format!("Mean maps of all subjects (n = {n})");
    page.side_by_side = side_by_side(&of, &layer, means_of_all, &summary.space)?;
    keep_small(&page.side_by_side, &mut page.methods);
    agreement(page, summary);
    Ok(())
}

/// Leaves out figures of methods that there is no room for: after all methods side by side, the first figure of every method
/// (for a run that of all subjects) stays first, then the second, and so on.
pub(super) fn keep_small(first: &[Placed], methods: &mut [Method]) {
    let mut bytes: usize = first.iter().map(|f| f.svg.len()).sum();
    for nth in 0..methods.iter().map(|m| m.figures.len()).max().unwrap_or(0) {
        for placed in methods.iter_mut().filter_map(|m| m.figures.get_mut(nth)) {
            bytes += placed.svg.len();
            if bytes > MOST_BYTES {
                placed.leave_out();
            }
        }
    }
}

/// Methods side by side (name, units and map of each, over one brain) in the order in which voxplain lists them: all maps at
/// the same cuts, and where each is strongest in one picture. Nothing for fewer than two.
pub(super) fn side_by_side(
    of: &str,
    layer: &Layer,
    mut maps: Vec<(String, String, Volume)>,
    space: &str,
) -> Result<Vec<Placed>> {
    if maps.len() < 2 {
        return Ok(Vec::new());
    }
    let place = |name: &str| METHODS.iter().position(|m| m.name == name).unwrap_or(METHODS.len());
    maps.sort_by(|a, b| place(&a.0).cmp(&place(&b.0)).then_with(|| a.0.cmp(&b.0)));
    let exhibits: Vec<Exhibit<'_>> = maps
        .iter()
        .map(|(name, units, map)| Exhibit {
            name: name.clone(),
            units: units.clone(),
            map,
            scale: Scale::percentile(layer, map, PERCENTILE),
        })
        .collect();
    let at = Gallery::focus(layer, &exhibits);
    let title = format!("{of} by all methods");
    let space = format!("Coordinates: {space}.");
    let gallery = Gallery { title, layer, exhibits: &exhibits, at, width: PAGE, space }.draw()?;
    let caption = "Cut in the middle of the largest part where the maps together are strongest. The range of colours ends at \
                   the 99.5th percentile of |value| in the brain.";
    Ok(vec![Placed::new("method-gallery", gallery, caption), contours(of, layer, &exhibits, at)?])
}

/// The outlines of where each method is strongest, over one brain.
fn contours(of: &str, layer: &Layer, exhibits: &[Exhibit<'_>], at: [f64; 3]) -> Result<Placed> {
    // Values from 1 on: the top part of the brain; for a map that is 0 in most of the brain, its largest value.
    let over_level = |exhibit: &&Exhibit<'_>| {
        let size = layer.covered(&layer.covered(exhibit.map).map(|v| v.abs()).smooth(SMOOTHED, Border::Zero));
        let level = Scale::percentile(layer, &size, 100.0 - STRONGEST).most;
        #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
        let scaled = size.map(|v| if level > 0.0 { (f64::from(*v) / level) as f32 } else { 0.0 });
        (exhibit.name.clone(), scaled)
    };
    // The controls are no methods, and there are colours for so many.
    let control = |e: &&Exhibit<'_>| METHODS.iter().any(|m| m.name == e.name && m.summary.starts_with("control"));
    let mut methods: Vec<&Exhibit<'_>> = exhibits.iter().filter(|e| !control(e)).collect();
    methods.sort_by_key(|e| CONTOURED.iter().position(|name| *name == e.name).unwrap_or(CONTOURED.len()));
    let drawn: Vec<_> = methods.iter().take(MOST_CONTOURS).map(over_level).collect();
    let brain = layer.grey(255.0);
    let (figure, _) = Plot {
        map: &brain.map(|_| 0.0),
        background: Some(&brain),
        contours: &drawn,
        display: Display::Ortho,
        cuts: Cuts::At(at.to_vec()),
        threshold: Threshold::Value(1.0),
        vmax: None,
        colours: Colours::OrangeBlue,
        annotate: true,
        draw_cross: false,
        black_bg: false,
        title: format!("{of}: where each method is strongest"),
        units: String::new(),
        width: 130.0,
    }
    .draw()?;
    let left_out = match exhibits.len() - drawn.len() {
        0 => String::new(),
        n => format!(" {n} methods or controls are not drawn, for want of colours."),
    };
    let caption = format!(
        "Outlines of the {STRONGEST} % of the brain with the largest |value|, smoothed by a Gaussian of {SMOOTHED} mm (standard \
         deviation) so that single voxels have none, at the cuts above.{left_out}"
    );
    Ok(Placed::new("method-contours", figure, caption))
}

fn facts(method: &MethodSummary) -> Vec<[String; 2]> {
    let mut facts = vec![
        ["Explained".into(), method.target.clone()],
        ["Maps".into(), format!("{} subjects", method.subjects)],
        ["A value is".into(), method.units.clone()],
        ["Its sign".into(), method.sign.clone()],
        ["Options".into(), options(&method.parameters)],
    ];
    if let Some([applied, all]) = method.rules_applied {
        facts.push(["Rule applied".into(), format!("to {applied} of {all} ReLUs")]);
    }
    if let Some(compat) = &method.compat {
        facts.push(["Reproduces".into(), format!("the code of {compat}")]);
    }
    facts
}

/// `layer = features.10, rectify = false`.
pub(super) fn options(parameters: &serde_json::Value) -> String {
    match parameters {
        serde_json::Value::Object(map) if map.is_empty() => "none".into(),
        serde_json::Value::Object(map) => {
            let one = |(key, value): (&String, &serde_json::Value)| match value {
                serde_json::Value::String(text) => format!("{key} = {text}"),
                other => format!("{key} = {other}"),
            };
            map.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        serde_json::Value::Null => "none".into(),
        other => other.to_string(),
    }
}

fn warnings(method: &MethodSummary) -> Vec<String> {
    let mut all: Vec<String> =
        method.warnings.iter().map(|(w, n)| format!("{w} ({n} of {} maps)", method.subjects)).collect();
    if method.in_sample > 0 {
        all.push(format!("{} maps come from a model that was trained on the subject.", method.in_sample));
    }
    all
}

fn agreement(page: &mut Page, summary: &GroupSummary) {
    let methods: Vec<String> = summary.methods.iter().map(|m| m.method.clone()).collect();
    if methods.len() < 2 || summary.similarity.is_empty() {
        return;
    }
    let n = summary.groups.first().map_or(0, |g| g.subjects.len());
    let rows = |level: Level| summary.similarity.iter().filter(move |r| r.level == level && r.group == "group-all");
    for (stem, title, measure, percent, what) in [
        ("similarity-spearman", "Agreement: Spearman's correlation", "spearman", None, "Inside the brain"),
        (
            "similarity-dice",
            "Agreement: overlap of the top 5 %",
            "dice",
            Some(5.0),
            "Dice's coefficient of the 5 % of the brain with largest |value|, corrected for chance (0: chance, 1: same)",
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
        let note = format!("{what}; mean over {n} subjects with 95 % interval over subjects.");
        page.agreement.push(Placed::new(stem, matrix(title, &methods, &cells, None, &note, COLUMN), ""));
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
    let mut table = Grid {
        head: ["Methods", "Measure", "Subjects: mean [95 % interval]", "corrected for chance", "Group mean maps", "corrected"]
            .map(str::to_owned)
            .to_vec(),
        rows: Vec::new(),
        note: "n/a: a map with too few voxels off zero (above zero) has no such top part. All rows, also by class: group/similarity.tsv.".into(),
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
    page.agreement_table = Some(table);
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
