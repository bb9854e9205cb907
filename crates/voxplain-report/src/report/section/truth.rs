//! Where the classes of a cohort are known to differ, and how much of the maps lies there.

use super::maps::{MAX_CONTOURS, SMOOTHED, over_level};
use crate::{
    figure::{ColourRange, Colours, Cuts, Display, ForestRow, Plot, Threshold, Underlay, forest_plot},
    report::element::{COLUMN, Placed, TextTable, Warning, read_map},
};
use serde::Serialize;
use voxplain_attribution::method_named;
use voxplain_core::{Result, plural::counted};
use voxplain_stats::{Interval, significant};
use voxplain_study::{
    cohort::Cohort,
    evaluation::{
        Relevance,
        truth::{Compared, MethodLocalisation, planted, read_found, regions_of},
    },
    group::GroupSummary,
    run::{Run, figure_name},
};
use voxplain_volume::{Mask, MaskOptions, Volume, read_mask};

/// The section of the page.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::report) struct Truth {
    sentences: Vec<String>,
    pub(in crate::report) figures: Vec<Placed>,
    table: Option<TextTable>,
    /// What the maps were compared with, where they were.
    #[serde(skip)]
    pub(in crate::report) found: Option<Vec<MethodLocalisation>>,
}

/// Regions named.
const REGIONS: usize = 6;
/// Cuts in a row where there are no maps to compare with.
const WIDTH: f64 = 130.0;

/// `None` for a run whose cohort knows no truth and whose maps were compared with none.
pub(in crate::report) fn of_run(
    run: &Run,
    cohort: Option<&Cohort>,
    groups: Option<&GroupSummary>,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Truth>> {
    let found = read_found(run).unwrap_or_else(|error| {
        warnings.push(Warning::left_out("How much of the maps lies in the truth is left out", &error));
        None
    });
    let compared = found.as_ref().and_then(|found| found[0].compared.clone());
    let given = compared.as_ref().filter(|of| of.truth.is_some());
    let mut truth = Truth::default();
    let mask = match (cohort, given) {
        (None, _) => None,
        (Some(cohort), Some(given)) => {
            let mask = given.read(cohort)?;
            truth.sentences.push(about_given(given, mask.as_ref()));
            mask
        }
        // The truth of a simulation says where the classes differ, and nothing of other columns.
        (Some(_), None) if found.is_none() && run.manifest.label != "label" => None,
        (Some(cohort), None) => {
            let mask = planted(cohort)?;
            if let Some(mask) = &mask {
                truth.sentences.push(about_planted(cohort, mask)?);
            }
            mask
        }
    };
    if mask.is_none() && found.is_none() {
        return Ok(None);
    }
    if let (Some(cohort), Some(mask)) = (cohort, &mask) {
        truth.figures.extend(place(run, cohort, groups, mask)?);
    }
    if let Some(found) = &found {
        truth.figures.extend(enrichment(found));
        truth.table = Some(table(found));
    }
    truth.found = found;
    Ok(Some(truth))
}

/// `The truth has 312 voxels (20.0 cm³)`.
fn size(mask: &Mask) -> String {
    let voxels = mask.count();
    let volume = voxels as f64 * mask.grid().voxel_volume() / 1000.0;
    format!("{} ({} cm³)", counted(voxels, "voxel"), significant(volume, 3))
}

fn about_planted(cohort: &Cohort, mask: &Mask) -> Result<String> {
    let mut s = format!(
        "The cohort is simulated, and its classes were made to differ in {}: in the regions that were changed, as they lie in either \
         class, and where their mean brains differ for it.",
        size(mask)
    );
    let regions = regions_of(cohort, mask)?;
    if !regions.is_empty() {
        let share = |n: usize| significant(100.0 * n as f64 / mask.count().max(1) as f64, 2);
        let named = regions.iter().take(REGIONS).map(|(name, n)| {
            format!("{} ({} %)", name.as_deref().map_or("no region".to_owned(), |n| n.replace('-', " ")), share(*n))
        });
        let rest: usize = regions.iter().skip(REGIONS).map(|(_, n)| n).sum();
        let others = regions.len().saturating_sub(REGIONS);
        let more =
            if others == 0 { String::new() } else { format!(" and {} ({} %)", counted(others, "other"), share(rest)) };
        s.push_str(&format!(
            " By the atlas of the simulation they lie in {}{more}.",
            named.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(s)
}

fn about_given(given: &Compared, mask: Option<&Mask>) -> String {
    let file = given.truth.as_ref().map_or_else(String::new, |path| path.display().to_string());
    match mask {
        Some(mask) => format!("Maps were compared with the mask {file}, which has {} on their grid.", size(mask)),
        None => format!(
            "Maps were compared with the mask {file}. That file is not there any more, or holds something else now, so that it is not drawn."
        ),
    }
}

/// Where the truth lies, with outlines of as much of the brain where each method's mean map is strongest.
fn place(run: &Run, cohort: &Cohort, groups: Option<&GroupSummary>, truth: &Mask) -> Result<Option<Placed>> {
    let files = run.layout().group();
    let mean = groups.filter(|_| files.mean_brain().is_file());
    let (underlay, over) = if mean.is_some() {
        let brain = read_map(&files.mean_brain())?;
        let mask = read_mask(&files.brain_mask(), &MaskOptions::anywhere())?.on(brain.grid())?;
        (Underlay::new(brain, &mask)?, "the mean brain".to_owned())
    } else {
        (Underlay::new(cohort.volume(0)?, &cohort.mask(0)?)?, format!("the brain of {}", cohort.subjects[0].id))
    };
    let shown = truth.map(|inside| f32::from(u8::from(*inside)));
    let brain = underlay.grey(255.0);
    let inside = brain.data().iter().zip(truth.data()).filter(|(b, t)| **b > 0.0 && **t).count();
    let of = brain.data().iter().filter(|b| **b > 0.0).count();
    if !brain.grid().same_space(truth.grid(), 0.01) || inside == 0 {
        return Ok(None);
    }
    let share = 100.0 * inside as f64 / of as f64;
    let mut outlines: Vec<(u8, String, Volume)> = Vec::new();
    for method in mean.iter().flat_map(|groups| &groups.methods) {
        let entry = method_named(&method.method);
        let of_all = |m: &&voxplain_study::group::GroupMap| {
            m.method == method.method && m.group == "group-all" && m.statistic == "mean"
        };
        let file = mean.and_then(|groups| groups.maps.iter().find(of_all));
        let (Some(file), false) = (file, entry.is_some_and(|e| e.control.is_some())) else { continue };
        let map = read_map(&files.map(&file.file))?;
        if ColourRange::percentile(&underlay, &map, 100.0).max > 0.0 {
            let order = entry.and_then(|m| m.contour).unwrap_or(u8::MAX);
            outlines.push((order, method.method.clone(), over_level(&underlay, &map, share)));
        }
    }
    outlines.sort_by_key(|(order, ..)| *order);
    let left_out = outlines.len().saturating_sub(MAX_CONTOURS);
    let contours: Vec<(String, Volume)> =
        outlines.into_iter().take(MAX_CONTOURS).map(|(_, name, map)| (name, map)).collect();
    let (figure, _) = Plot {
        map: &shown,
        mask: None,
        background: Some(&brain),
        contours: &contours,
        display: Display::Ortho,
        cuts: Cuts::Auto,
        threshold: Threshold::Value(1.0),
        vmax: Some(1.0),
        colours: Colours::OrangeBlue,
        annotate: true,
        draw_cross: false,
        colour_bar: false,
        black_bg: false,
        title: "Where the classes differ".into(),
        units: String::new(),
        width: WIDTH,
    }
    .draw()?;
    let mut caption = format!("The truth (orange) over {over}, which it takes {} % of.", significant(share, 2));
    if !contours.is_empty() {
        caption.push_str(&format!(
            " Lines: as much of the brain, where the mean map of all subjects by a method is strongest (|value|, smoothed by a Gaussian of \
             {SMOOTHED} mm). A good map of the difference fills the orange; a network that uses only part of the difference need not."
        ));
    }
    if left_out > 0 {
        caption.push_str(&format!(" {} not drawn, for want of colours.", counted(left_out, "method")));
    }
    Ok(Some(Placed::new(figure_name::TRUTH, figure, caption)))
}

/// The share of relevance in the truth over that of a map that knows nothing.
fn enrichment(found: &[MethodLocalisation]) -> Option<Placed> {
    let rows: Vec<ForestRow> = found
        .iter()
        .filter(|row| row.class.is_none())
        .filter_map(|row| Some(ForestRow { name: row.method.clone(), side: String::new(), value: row.enrichment? }))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let note = "Share of the relevance that lies in the truth over the share of the brain that is truth; 1 is chance. Means over all held-out \
                subjects, with 95 % intervals by model, where there are any.";
    let figure = forest_plot("Relevance in the truth", &rows, "times chance", 1.0, note, COLUMN);
    Some(Placed::new(figure_name::TRUTH_ENRICHMENT, figure, ""))
}

fn table(found: &[MethodLocalisation]) -> TextTable {
    let number = |i: Option<Interval>, scale: f64, digits: usize| {
        let show = |v: f64| format!("{:.digits$}", scale * v);
        i.map_or_else(
            || "n/a".to_owned(),
            |i| match i.ends() {
                Some((low, high)) => format!("{} [{}, {}]", show(i.mean), show(low), show(high)),
                None => show(i.mean),
            },
        )
    };
    let row = |row: &MethodLocalisation| {
        vec![
            row.method.clone(),
            row.class.clone().unwrap_or_else(|| "all".to_owned()),
            row.maps.to_string(),
            number(row.mass, 100.0, 1),
            number(row.enrichment, 1.0, 2),
            number(Some(row.precision), 100.0, 1),
            number(Some(row.auc), 1.0, 3),
            row.hits.map_or_else(|| "n/a".to_owned(), |h| format!("{:.0} %", 100.0 * h)),
        ]
    };
    let all: Vec<Interval> = found.iter().flat_map(|row| [row.mass, row.enrichment, Some(row.auc)]).flatten().collect();
    let about = Interval::explain(&all).map_or_else(String::new, |about| format!(" {about}"));
    let empty: usize = found.iter().filter(|row| row.class.is_none()).map(|row| row.empty).sum();
    let empty = if empty == 0 { String::new() } else { format!(" {} 0 everywhere.", are(empty)) };
    let part = match found[0].compared.as_ref().map(|of| of.relevance) {
        Some(Relevance::Absolute) => " Relevance is |value|.",
        Some(Relevance::Positive) => " Relevance is what is above 0.",
        None => " An older version compared them, and did not record with which mask and by which part of the maps.",
    };
    TextTable {
        head: [
            "Method",
            "True class",
            "Maps",
            "% of relevance inside",
            "Times chance",
            "% of the top inside",
            "AUC (chance 0.5)",
            "Peak inside",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: found.iter().map(row).collect(),
        note: format!(
            "Means over held-out subjects, inside each one's mask, of which the truth takes {} %: chance.{part} Top: as many voxels as the truth \
             has. AUC: how often a voxel of the truth is more relevant than another one. Peak: the most relevant voxel. Maps of people without \
             the change have little to find there.{empty}{about} All maps: evaluation/localisation.tsv.",
            significant(100.0 * found[0].chance.mean, 2)
        ),
    }
}

/// `1 map is`, `3 maps are`.
fn are(maps: usize) -> String {
    format!("{} {}", counted(maps, "map"), if maps == 1 { "is" } else { "are" })
}
