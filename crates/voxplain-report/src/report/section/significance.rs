//! What was tested: maps voxel by voxel and in regions (`compare/*`), and classifiers on permuted labels (`permutations/*`).

use crate::{
    figure::{Colours, Cuts, Display, ForestRow, Plot, Threshold, forest_plot, permutations},
    report::{
        element::{COLUMN, PAGE, Placed, Warning, file_name, read_map},
        viewer::TestedMaps,
    },
};
use serde::Serialize;
use voxplain_core::{Result, plural::counted};
use voxplain_stats::{Interval, LEVEL, p_in_words, significant};
use voxplain_study::{
    compare::{CompareSummary, RegionMeasure, RegionTest, RegionTests, comparisons},
    run::{PermutationTests, Run, figure_name},
};
use voxplain_volume::Volume;

/// A comparison.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Comparison {
    title: String,
    sentences: Vec<String>,
    pub(in crate::report) figures: Vec<Placed>,
    head: Vec<String>,
    rows: Vec<Line>,
    note: String,
    /// What its scene in the viewer is known by.
    scene: String,
}

/// A row of a table; `mm` leads to a place in the viewer.
#[derive(Clone, Debug, Serialize)]
struct Line {
    mm: Option<String>,
    cells: Vec<String>,
}

/// A permutation test of a classifier.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Permuted {
    title: String,
    sentences: Vec<String>,
    pub(in crate::report) figure: Option<Placed>,
}

/// Rows of a table, and regions of a figure; the rest stands in files.
const SHOWN: usize = 24;
/// Cuts in a row.
const CUTS: usize = 7;
/// The comparisons of a run whose maps are those that it has now. Statistics are drawn over the mean brain, where there is one on their grid.
pub(in crate::report) fn of_maps(run: &Run, warnings: &mut Vec<Warning>) -> Result<(Vec<Comparison>, Vec<TestedMaps>)> {
    let mean = run.layout().group().mean_brain();
    let brain = if mean.is_file() { Some(read_map(&mean)?) } else { None };
    let (mut all, mut scenes) = (Vec::new(), Vec::new());
    for (folder, found) in comparisons(run)? {
        let made = found.and_then(|summary| Ok((voxels_or_regions(&folder, &summary, brain.as_ref())?, summary)));
        match made {
            Ok((comparison, summary)) => {
                scenes.extend(TestedMaps::new(&folder, &summary));
                all.push(comparison);
            }
            Err(error) => warnings.push(Warning::left_out("A comparison is left out", &error)),
        }
    }
    Ok((all, scenes))
}

fn voxels_or_regions(folder: &std::path::Path, summary: &CompareSummary, brain: Option<&Volume>) -> Result<Comparison> {
    let tested = if summary.tested == "1" { "the mean".to_owned() } else { summary.tested.clone() };
    let of = summary.method.as_deref().unwrap_or("volumes");
    let in_regions =
        summary.regions.as_ref().map_or_else(String::new, |r| format!(", {} ({})", r.measure.words(), r.atlas));
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut comparison = Comparison {
        // Beside another one of the same term, by the folder's name.
        title: if folder_name == summary.name {
            format!("{of}: {tested}{in_regions}")
        } else {
            format!("{of}: {tested}{in_regions} ({folder_name})")
        },
        sentences: summary.summary.clone(),
        figures: Vec::new(),
        head: Vec::new(),
        rows: Vec::new(),
        note: String::new(),
        scene: TestedMaps::key(&folder_name),
    };
    match &summary.regions {
        Some(regions) => in_regions_of(&mut comparison, (summary, &folder_name), regions),
        None => at_voxels(&mut comparison, (folder, &folder_name), summary, brain)?,
    }
    Ok(comparison)
}

/// The statistic at every voxel with an outline of what is significant, and the clusters.
fn at_voxels(
    to: &mut Comparison,
    (folder, name): (&std::path::Path, &str),
    summary: &CompareSummary,
    brain: Option<&Volume>,
) -> Result<()> {
    let is_f = summary.statistic.starts_with('F');
    let stat = if is_f { "fstat1" } else { "tstat1" };
    let map = read_map(&folder.join(format!("{}_{stat}.nii.gz", summary.name)))?;
    let corrected = read_map(&folder.join(format!("{}_tfce_corrp_{stat}.nii.gz", summary.name)))?;
    let significant_part = corrected.map(|v| if f64::from(*v) > 1.0 - LEVEL { 1.0f32 } else { 0.0 });
    let any = significant_part.data().iter().any(|v| *v > 0.0);
    let outline = if any { vec![("p < 0.05, corrected".to_owned(), significant_part)] } else { Vec::new() };
    let peak = summary.clusters.first().and_then(|cluster| cluster.peaks.first()).map(|peak| peak.at.to_vec());
    let background = brain.filter(|brain| brain.grid().same_space(map.grid(), 1e-3));
    let letter = if is_f { "F" } else { "Student's t" };
    let plot = |display, cuts, width| Plot {
        map: &map,
        mask: None,
        background,
        contours: &outline,
        display,
        cuts,
        threshold: Threshold::None,
        vmax: None,
        colours: Colours::OrangeBlue,
        annotate: true,
        draw_cross: false,
        colour_bar: true,
        black_bg: false,
        title: to.title.clone(),
        units: summary.statistic.clone(),
        width,
    };
    let caption = format!(
        "{letter} at every voxel that was tested, without a threshold ({}). {}",
        summary.effect,
        if any {
            "Inside the line p is below 0.05, family-wise corrected, after threshold-free cluster enhancement."
        } else {
            "No voxel has a p below 0.05, family-wise corrected, after threshold-free cluster enhancement."
        }
    );
    let mut figures = Vec::new();
    let (row, _) = plot(Display::Z, Cuts::Count(CUTS), PAGE).draw()?;
    figures.push(Placed::new(figure_name::comparison(name, "cuts"), row, caption));
    if let Some(at) = peak {
        let (three, _) = plot(Display::Ortho, Cuts::At(at), COLUMN).draw()?;
        let caption = "The same at the peak of the first cluster.";
        figures.push(Placed::new(figure_name::comparison(name, "peak"), three, caption));
    }
    to.figures = figures;
    if summary.clusters.is_empty() {
        return Ok(());
    }
    let head = ["x, y, z (mm)", "Cluster", "Side of 0", "Voxels", "mm³", "p", letter, "Regions"];
    to.head = head.map(str::to_owned).to_vec();
    for cluster in summary.clusters.iter().take(SHOWN) {
        for (n, peak) in cluster.peaks.iter().enumerate() {
            let first = |text: String| if n == 0 { text } else { String::new() };
            let at = peak.at.map(|v| significant(v, 4)).join(", ");
            to.rows.push(Line {
                mm: Some(peak.at.map(|v| v.to_string()).join(",")),
                cells: vec![
                    at,
                    first(format!("{} {}", cluster.of, cluster.number)),
                    first(if cluster.below { "below" } else { "above" }.to_owned()),
                    first(cluster.voxels.to_string()),
                    first(significant(cluster.volume, 4)),
                    first(significant(cluster.p, 2)),
                    significant(peak.statistic, 3),
                    first(cluster.regions_in_words(4)),
                ],
            });
        }
    }
    to.note = format!(
        "Clusters of voxels with a corrected p below 0.05 (tfce) or beyond the threshold that was asked for, up to {SHOWN}, each with its \
         peaks at least 8 mm apart. p: the least of the cluster, or that of its extent. Coordinates are {}. All: compare/{}/clusters.tsv.",
        summary.space, name
    );
    Ok(())
}

/// The effect in each region with its interval.
fn in_regions_of(to: &mut Comparison, (summary, name): (&CompareSummary, &str), regions: &RegionTests) {
    let mut least: Vec<&RegionTest> = regions.tests.iter().collect();
    least.sort_by(|a, b| a.p_fwe.total_cmp(&b.p_fwe).then(b.statistic.abs().total_cmp(&a.statistic.abs())));
    least.truncate(SHOWN);
    let star = |test: &RegionTest| if test.p_fwe < LEVEL { "* " } else { "" };
    let rows: Vec<ForestRow> = least
        .iter()
        .filter_map(|test| {
            let [low, high] = test.ends.map_or([None; 2], |ends| ends.map(Some));
            let value = Interval { mean: test.effect?, low, high, n: summary.subjects.len(), ..Interval::default() };
            let side = test.side.map_or_else(String::new, |side| match side.to_string().as_str() {
                "left" => "L".into(),
                "right" => "R".into(),
                _ => String::new(),
            });
            let side = if test.other.is_some() { String::new() } else { side };
            Some(ForestRow { name: format!("{}{}", star(test), test.name), side, value })
        })
        .collect();
    let shown = if regions.tests.len() > SHOWN {
        format!("The {SHOWN} of {} with the least p.", counted(regions.tests.len(), "region"))
    } else {
        format!("All {}.", counted(regions.tests.len(), "region"))
    };
    if !rows.is_empty() {
        let note = format!(
            "{shown} * p < 0.05, corrected for all regions (family-wise). {} {}",
            capital(&summary.effect),
            regions.interval
        );
        let axis = match regions.measure {
            RegionMeasure::Mean => "effect on the mean of a region",
            RegionMeasure::Absolute => "effect on the mean size in a region",
            RegionMeasure::Asymmetry => "left less right",
        };
        let figure = forest_plot(&to.title, &rows, axis, 0.0, &note, COLUMN);
        to.figures = vec![Placed::new(figure_name::comparison(name, "regions"), figure, "")];
    }
    let head = ["Region", "Side", "Voxels", "Effect", "Statistic", "Size", "p", "p corrected", "FDR"];
    to.head = head.map(str::to_owned).to_vec();
    to.rows = least
        .iter()
        .map(|test| {
            let interval = |value: Option<f64>, ends: Option<[f64; 2]>| match (value, ends) {
                (Some(value), Some([low, high])) => {
                    format!("{} [{}, {}]", significant(value, 3), significant(low, 3), significant(high, 3))
                }
                (Some(value), None) => significant(value, 3),
                (None, _) => "n/a".into(),
            };
            let side = match (test.other, test.side) {
                (Some(_), _) => "left less right".into(),
                (None, Some(side)) => side.to_string(),
                (None, None) => String::new(),
            };
            Line {
                mm: None,
                cells: vec![
                    test.name.clone(),
                    side,
                    test.voxels.to_string(),
                    interval(test.effect, test.ends),
                    significant(test.statistic, 3),
                    interval(test.size.map(|s| s.value), test.size.map(|s| [s.low, s.high])),
                    significant(test.p, 2),
                    significant(test.p_fwe, 2),
                    significant(test.fdr, 2),
                ],
            }
        })
        .collect();
    to.note = format!(
        "{shown} Size: Hedges' g of two groups, or the partial correlation, with its 95 % interval. All: compare/{}/regions.tsv.",
        name
    );
}

/// The permutation tests of a run's classifiers.
pub(in crate::report) fn of_classifiers(run: &Run, warnings: &mut Vec<Warning>) -> Result<Vec<Permuted>> {
    let PermutationTests { current: tests, stale, damaged } = run.permutation_tests()?;
    warnings.extend(damaged.iter().map(|error| Warning::left_out("A permutation test is left out", error)));
    for file in stale {
        let what = format!("{} is of other models than those that the run has now", file_name(&file));
        warnings.push(Warning::new(format!("A permutation test is left out: {what}"), "make it again".into()));
    }
    let one = |test: &voxplain_study::run::PermutationTest| {
        let figure = test.numbers.first().map(|number| {
            let note = format!(
                "{}: {} on permuted labels, {}. {}.",
                test.classifier,
                counted(test.permutations, "training"),
                test.exchange,
                p_in_words(number.p)
            );
            let title = format!("Permutation test, {}", test.classifier);
            let drawn = permutations(&title, &number.name, (number.observed, &number.permuted), &note, COLUMN);
            Placed::new(figure_name::permutations(&test.classifier), drawn, "")
        });
        Permuted { title: test.classifier.clone(), sentences: test.summary.clone(), figure }
    };
    Ok(tests.iter().map(one).collect())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect());
    if first.is_empty() || first.ends_with('.') { first } else { format!("{first}.") }
}

#[cfg(test)]
mod tests;
