//! What a comparison writes: maps, tables, and the summary.

use super::{
    Built, CompareOptions, DESIGN_TABLE, DesignTerm, Tail, Tested,
    clusters::{self, ClusterRow},
    models,
    place::Place,
    regional::{self, Places, RegionTest, RegionTests},
};
use crate::{
    atlas::Atlas,
    cohort::Cohort,
    group::{ScaleRecord, write_volume},
    listed::{capital, counted, does},
    map::record_path,
    run::MadeFrom,
};
use serde::{Deserialize, Serialize};
use voxplain_core::{Result, Table, seal};
use voxplain_stats::{
    LEVEL,
    inference::{
        Cluster, Clusters, Counts, EffectSize, Family, Fit, Neighbours, ParetoTail, Permutation, Rows, Tfce,
        false_discovery_rate, hedges_g, partial_r,
    },
    p_in_words, significant, student_t,
};
use voxplain_volume::{Labels, Mask, Volume};

/// What is written of a comparison.
pub(super) struct Results<'a> {
    pub(super) options: &'a CompareOptions,
    /// The design as it was written.
    pub(super) design: &'a str,
    pub(super) cohort: &'a Cohort,
    pub(super) built: &'a Built,
    pub(super) tested: &'a Tested,
    pub(super) method: Option<&'a str>,
    pub(super) models: Option<&'a [String]>,
    pub(super) made_from: &'a MadeFrom,
    pub(super) targets: Option<&'a str>,
    pub(super) analysis: &'a Permutation,
    pub(super) exchange_words: &'a str,
    pub(super) fit: &'a Fit,
    /// Student's t by one variance for all, of which effect sizes are made.
    pub(super) plain_t: &'a [f32],
    pub(super) enhanced: &'a [f32],
    pub(super) counts: &'a Counts,
    pub(super) mask: &'a Mask,
    pub(super) constant: usize,
    pub(super) scale: Option<ScaleRecord>,
    pub(super) space: &'a str,
    pub(super) labels: Option<(&'a Atlas, &'a Labels)>,
    /// The regions that stand in the place of voxels, and their values.
    pub(super) regions: Option<(&'a Places, &'a dyn Rows)>,
    pub(super) is_f: bool,
    pub(super) name: &'a str,
}

/// What was found by one way of correcting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// `tfce`, `voxel`, `voxel-fdr`, `cluster-extent`, `cluster-mass`; of regions `region`, `region-fdr`.
    pub by: String,
    /// Voxels (clusters) with a corrected p below 0.05.
    pub below_005: usize,
    /// The least corrected p.
    pub least: f64,
    /// What is reached by chance in 5 % of the shuffles; for rates of false discoveries none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub critical: Option<f64>,
}

/// A map that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareFile {
    /// Its name in the folder.
    pub file: String,
    /// What it holds.
    pub what: String,
}

/// `summary.json` of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareSummary {
    /// Version of voxplain.
    pub version: String,
    /// What the results hang on, as a hash: options, data, design.
    pub key: String,
    /// How the files begin.
    pub name: String,
    /// The result in sentences.
    pub summary: Vec<String>,
    /// The design in words.
    pub design: String,
    /// Its terms.
    pub terms: Vec<DesignTerm>,
    /// The term that is tested.
    pub tested: String,
    /// What an effect above 0 means.
    pub effect: String,
    /// Ids, in the order of the design's rows.
    pub subjects: Vec<String>,
    /// Who was left out, and why.
    pub left_out: Vec<(String, String)>,
    /// The method whose maps were compared; absent for volumes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<String>,
    /// BLAKE3 of the models that made the maps, each once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub models: Vec<String>,
    /// The maps, by their records.
    #[serde(skip_serializing_if = "MadeFrom::is_empty", default)]
    pub made_from: MadeFrom,
    /// How the maps were scaled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scale: Option<ScaleRecord>,
    /// Full width at half maximum of the smoothing, mm.
    pub smooth: f64,
    /// `t` or `F`, and degrees of freedom.
    pub statistic: String,
    /// Degrees of freedom of the errors.
    pub freedom: usize,
    /// Whether each subject has a variance of its own.
    pub robust: bool,
    /// Which side of 0 is tested.
    pub tail: Tail,
    /// How subjects were exchanged.
    pub exchange: String,
    /// Shuffles that were counted beside the data as they are.
    pub permutations: usize,
    /// Whether these are all that differ.
    pub all_permutations: bool,
    /// Subjects whom no shuffle moves, since nobody is in what they may be exchanged within.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub never_moved: usize,
    /// The least p that could occur, whatever the data.
    pub least_p: f64,
    /// How many differ.
    pub possible: f64,
    /// Where chance came from.
    pub seed: u64,
    /// Powers of the enhancement.
    pub tfce: Tfce,
    /// Which voxels touch.
    pub neighbours: Neighbours,
    /// Size of the statistic from which on voxels form clusters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<f64>,
    /// Voxels (regions) that were tested.
    pub voxels: usize,
    /// Voxels of the mask that were not: one value for all subjects.
    pub constant: usize,
    /// In which space coordinates are.
    pub space: String,
    /// What was found, by each way of correcting.
    pub found: Vec<Found>,
    /// Tails that corrected p-values come from, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tails: Vec<FittedTail>,
    /// The clusters.
    pub clusters: Vec<ClusterRow>,
    /// The regions, where these were compared in place of voxels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub regions: Option<RegionTests>,
    /// The maps.
    pub files: Vec<CompareFile>,
    /// What was asked, with files by their whole paths, and without what changes no result; not known of files of older versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub options: Option<CompareOptions>,
}

/// The tail that corrected p-values of a family come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTail {
    /// As in [`Found::by`].
    pub by: String,
    /// The tail; absent where none fits, so that p-values are those of the shuffles.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tail: Option<ParetoTail>,
}

/// From which p on a tail is no better than the shuffles themselves (Winkler 2016).
const OF_SHUFFLES: f64 = 0.1;

/// Corrected p-values of sizes: shares of shuffles and, where a tail was asked for and fits, below a tenth by it.
fn corrected(of: &Results<'_>, (by, family): (&str, Family), sizes: &[f32], tails: &mut Vec<FittedTail>) -> Vec<f64> {
    let mut p = of.counts.corrected(family, sizes.iter().copied());
    if !of.options.pareto_tail || of.analysis.shuffles.are_all() {
        return p;
    }
    let tail = of.counts.tail(family);
    if let Some(tail) = tail {
        for (p, size) in p.iter_mut().zip(sizes).filter(|(p, _)| **p < OF_SHUFFLES) {
            *p = tail.p(f64::from(*size)).map_or(*p, |by_tail| by_tail.min(OF_SHUFFLES));
        }
    }
    tails.push(FittedTail { by: by.to_owned(), tail });
    p
}

/// What is to be known of tails, where they were asked for.
fn about_tails(summary: &CompareSummary) -> Option<String> {
    if summary.tails.is_empty() {
        return None;
    }
    let (fitted, none): (Vec<&FittedTail>, Vec<&FittedTail>) = summary.tails.iter().partition(|of| of.tail.is_some());
    let mut lines = Vec::new();
    let each = fitted.iter().filter_map(|of| of.tail.map(|tail| format!("{} of {} ({})", tail.beyond, tail.of, of.by)));
    let each: Vec<String> = each.collect();
    if !each.is_empty() {
        lines.push(format!(
            "Corrected p-values below 0.1 come from a generalised Pareto distribution of the largest values of the shuffles, fitted to {}: an \
             approximation, beyond what so many shuffles show by themselves. None is given below a hundredth of one shuffle.",
            each.join(", ")
        ));
    }
    if !none.is_empty() {
        let names: Vec<&str> = none.iter().map(|of| of.by.as_str()).collect();
        lines.push(format!(
            "No tail could be fitted for {}: these p-values are shares of the shuffles.",
            names.join(", ")
        ));
    }
    Some(lines.join(" "))
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why fewer are found by the rate of false discoveries than by family-wise correction, where shuffles are too few for it.
fn about_rate(summary: &CompareSummary) -> Option<String> {
    let of = |suffix: &str| {
        summary.found.iter().find(|found| found.by == format!("voxel{suffix}") || found.by == format!("region{suffix}"))
    };
    let (rate, family) = (of("-fdr")?, of("")?);
    (!summary.all_permutations && rate.below_005 < family.below_005).then(|| {
        format!(
            "The false discovery rate (least {}) comes of the p of each {} by itself, of which {} show none below {}{}: more may be found with \
             more shuffles.",
            significant(rate.least, 2),
            if summary.regions.is_some() { "region" } else { "voxel" },
            counted(summary.permutations, "shuffle"),
            significant(1.0 / (summary.permutations + 1) as f64, 2),
            if summary.tails.is_empty() { "" } else { ", and to which no tail is fitted" }
        )
    })
}

/// What was found in regions: a table and the summary.
fn write_regions(place: &Place, of: &Results<'_>, (places, rows): (&Places, &dyn Rows)) -> Result<CompareSummary> {
    let counts = of.counts;
    let mut tails = Vec::new();
    let p_fwe = corrected(of, ("region", Family::Voxel), &of.sizes(&of.fit.statistic), &mut tails);
    let p = counts.uncorrected(Family::Voxel);
    let fdr = false_discovery_rate(&p);
    let sign = if of.options.tail == Tail::Less { -1.0 } else { 1.0 };
    let effect_sizes = effect_sizes(of).map(|(.., sizes)| sizes);
    let (intervals, about) = about_intervals(of);
    let quantile = student_t(0.975, of.analysis.model.freedom() as f64);
    let means = means_by_level(of, places, rows)?;
    let tests = places.all.iter().enumerate().map(|(n, region)| {
        let effect = (!of.is_f).then(|| sign * f64::from(of.fit.effect[n]));
        let half = quantile * f64::from(of.fit.error[n]);
        let means = means.iter().map(|of| of[n]).collect::<Vec<f64>>();
        RegionTest {
            id: region.id,
            other: region.other.map(|(id, _)| id),
            name: region.name.clone(),
            side: region.side,
            voxels: region.voxels + region.other.map_or(0, |(_, voxels)| voxels),
            gain: match means.as_slice() {
                [first, second] if *first > 0.0 && *second > 0.0 => Some(second / first),
                _ => None,
            },
            means,
            effect,
            ends: effect.filter(|_| intervals).map(|effect| [effect - half, effect + half]),
            statistic: sign * f64::from(of.fit.statistic[n]),
            size: effect_sizes.as_ref().map(|sizes| sizes[n]),
            p: p[n],
            p_fwe: p_fwe[n],
            fdr: fdr[n],
        }
    });
    let regions = RegionTests {
        atlas: of.labels.map_or_else(String::new, |(atlas, _)| {
            atlas.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        }),
        measure: places.measure,
        levels: of.tested.term.levels.iter().map(|(level, _)| level.clone()).collect(),
        tests: tests.collect(),
        not_tested: places.not_tested.clone(),
        interval: about,
    };
    let found =
        vec![Found::of("region", &p_fwe, counts.critical(Family::Voxel, LEVEL)), Found::of("region-fdr", &fdr, None)];
    let mut summary = of.summary(place, found, Vec::new(), Vec::new());
    summary.regions = Some(regions);
    summary.tails = tails;
    summary.summary = sentences(&summary, of);
    if let Some(regions) = &summary.regions {
        regional::write(&place.file("regions.tsv"), regions)?;
    }
    finish(place, of, summary)
}

/// Whether the intervals of effects are told, and what they are.
fn about_intervals(of: &Results<'_>) -> (bool, String) {
    let several = of.models.is_some_and(|models| models.iter().any(|model| *model != models[0]));
    if of.is_f {
        return (false, "F is of several effects at once, and none has an interval.".into());
    }
    if of.options.robust {
        return (
            true,
            "Intervals are 95 %, each region by itself, by the standard error of each subject's own variance (HC3)."
                .into(),
        );
    }
    if of.tested.term.term == "1" && several {
        return (
            false,
            "A mean of maps has no interval here: maps by one model are alike, and the linear model takes subjects for independent."
                .into(),
        );
    }
    let mut about =
        "Intervals are 95 %, each region by itself, by Student's t of the linear model: over subjects whose errors are independent and \
         normal."
            .to_owned();
    if of.models.is_some() {
        about.push_str(" They are about other people whose maps these networks make.");
        if several && !models::are_held(of.built) {
            about.push_str(
                " Maps by one model are alike, which the intervals do not know and the permutations do: an interval may hold 0 where p is small.",
            );
        }
    }
    (true, about)
}

/// The mean of each region over the subjects of each level of the factor that is tested; else over all.
fn means_by_level(of: &Results<'_>, places: &Places, rows: &dyn Rows) -> Result<Vec<Vec<f64>>> {
    let (subjects, regions) = (rows.subjects(), places.all.len());
    let mut values = vec![0.0f32; subjects * regions];
    rows.read(0, &mut values)?;
    let mean = |members: &[usize]| -> Vec<f64> {
        let sum = |region: usize| members.iter().map(|n| f64::from(values[n * regions + region])).sum::<f64>();
        (0..regions).map(|region| sum(region) / members.len() as f64).collect()
    };
    let levels = &of.tested.term.levels;
    if levels.is_empty() {
        return Ok(vec![mean(&(0..subjects).collect::<Vec<_>>())]);
    }
    // The column of a level is 1 for those who have it; who has none of the others has the first.
    let names = of.built.design.names();
    let columns: Vec<Option<usize>> =
        of.tested.term.columns.iter().map(|column| names.iter().position(|name| name == column)).collect();
    let matrix = of.built.design.matrix();
    let level = |n: usize| columns.iter().position(|c| c.is_some_and(|c| matrix[(n, c)] > 0.5)).map_or(0, |at| at + 1);
    Ok((0..levels.len()).map(|l| mean(&(0..subjects).filter(|n| level(*n) == l).collect::<Vec<_>>())).collect())
}

/// Writes the design and the summary, which makes the results whole.
fn finish(place: &Place, of: &Results<'_>, summary: CompareSummary) -> Result<CompareSummary> {
    design_table(of).write_tsv(&place.file(DESIGN_TABLE))?;
    let maps = summary.files.iter().flat_map(|file| [file.file.clone(), file.file.replace(".nii.gz", ".json")]);
    let tables = ["clusters.tsv", DESIGN_TABLE, "regions.tsv"].map(str::to_owned);
    let made = maps.chain(tables).map(|name| place.file(&name)).filter(|file| file.is_file());
    seal::vouch(&place.summary(), &summary, made)?;
    place.clear_rests()?;
    Ok(summary)
}

#[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
pub(super) fn write(place: &Place, of: &Results<'_>) -> Result<CompareSummary> {
    if let Some(regions) = of.regions {
        return write_regions(place, of, regions);
    }
    let (counts, lattice) = (of.counts, &of.analysis.lattice);
    let grid = *of.mask.grid();
    let mut tails = Vec::new();
    let voxel_p = corrected(of, ("voxel", Family::Voxel), &of.sizes(&of.fit.statistic), &mut tails);
    let tfce_p = corrected(of, ("tfce", Family::Tfce), &of.sizes(of.enhanced), &mut tails);
    let (voxel_u, tfce_u) = (counts.uncorrected(Family::Voxel), counts.uncorrected(Family::Tfce));
    let fdr = false_discovery_rate(&voxel_u);
    let stat = if of.is_f { "fstat1" } else { "tstat1" };
    // Less than 0 was turned round to be tested; maps have the sign that the effect has.
    let sign = if of.options.tail == Tail::Less { -1.0 } else { 1.0 };
    let signed = |values: &[f32]| values.iter().map(|v| sign * v).collect::<Vec<f32>>();
    let one_less = |p: &[f64]| p.iter().map(|p| (1.0 - p) as f32).collect::<Vec<f32>>();
    let letter = if of.is_f { "F" } else { "Student's t" };
    let mut maps: Vec<(String, String, Vec<f32>)> = vec![
        (stat.into(), letter.into(), signed(&of.fit.statistic)),
        (format!("tfce_{stat}"), "threshold-free cluster enhancement of the statistic".into(), signed(of.enhanced)),
        (
            format!("tfce_corrp_{stat}"),
            "1 - p of the enhanced statistic, family-wise corrected".into(),
            one_less(&tfce_p),
        ),
        (format!("tfce_p_{stat}"), "1 - p of the enhanced statistic, each voxel by itself".into(), one_less(&tfce_u)),
        (format!("vox_corrp_{stat}"), "1 - p of the statistic, family-wise corrected".into(), one_less(&voxel_p)),
        (format!("vox_p_{stat}"), "1 - p of the statistic, each voxel by itself".into(), one_less(&voxel_u)),
        (format!("vox_fdrp_{stat}"), "1 - false discovery rate (Benjamini and Hochberg)".into(), one_less(&fdr)),
    ];
    if !of.is_f {
        maps.push(("cope1".into(), "the effect, in the units of the values".into(), signed(&of.fit.effect)));
        maps.push(("stderr1".into(), "the standard error of the effect".into(), of.fit.error.clone()));
        if let Some((name, words, sizes)) = effect_sizes(of) {
            let each = |pick: fn(&EffectSize) -> f64| sizes.iter().map(|s| pick(s) as f32).collect::<Vec<f32>>();
            maps.push((format!("{name}1"), words.into(), each(|s| s.value)));
            maps.push((format!("{name}low1"), format!("{words}: lower end of the 95 % interval"), each(|s| s.low)));
            maps.push((format!("{name}high1"), format!("{words}: upper end of the 95 % interval"), each(|s| s.high)));
        }
    }
    let mut found = vec![
        Found::of("tfce", &tfce_p, counts.critical(Family::Tfce, LEVEL)),
        Found::of("voxel", &voxel_p, counts.critical(Family::Voxel, LEVEL)),
        Found::of("voxel-fdr", &fdr, None),
    ];
    let mut rows = Vec::new();
    // Significant voxels, with the sign of their statistic.
    let significant_map: Vec<f32> =
        of.fit.statistic.iter().zip(&tfce_p).map(|(v, p)| if *p < LEVEL { *v } else { 0.0 }).collect();
    let by_tfce = Clusters::of(lattice, &significant_map, f32::MIN_POSITIVE);
    for (n, cluster) in by_tfce.list.iter().enumerate() {
        let p = cluster.voxels.iter().map(|v| tfce_p[*v]).fold(1.0, f64::min);
        rows.push(ClusterRow::of((n + 1, "tfce"), cluster, (lattice, &grid), &of.fit.statistic, (p, None), of.labels));
    }
    if let Some(threshold) = of.analysis.threshold {
        let counted = Clusters::of(lattice, &of.analysis.counted(&of.fit.statistic), threshold);
        let sizes = |size: fn(&Cluster) -> f32| counted.list.iter().map(size).collect::<Vec<f32>>();
        let extents = sizes(|c| c.extent() as f32);
        let masses = sizes(|c| c.mass as f32);
        let extent = corrected(of, ("cluster-extent", Family::Extent), &extents, &mut tails);
        let mass = corrected(of, ("cluster-mass", Family::Mass), &masses, &mut tails);
        let (mut by_extent, mut by_mass) = (vec![0.0f32; lattice.len()], vec![0.0f32; lattice.len()]);
        for (n, cluster) in counted.list.iter().enumerate() {
            for voxel in &cluster.voxels {
                by_extent[*voxel] = (1.0 - extent[n]) as f32;
                by_mass[*voxel] = (1.0 - mass[n]) as f32;
            }
            let p = (extent[n], Some(mass[n]));
            rows.push(ClusterRow::of((n + 1, "threshold"), cluster, (lattice, &grid), &of.fit.statistic, p, of.labels));
        }
        maps.push((
            format!("clustere_corrp_{stat}"),
            "1 - p of the extent of each cluster, family-wise corrected".into(),
            by_extent,
        ));
        maps.push((
            format!("clusterm_corrp_{stat}"),
            "1 - p of the mass of each cluster, family-wise corrected".into(),
            by_mass,
        ));
        found.push(Found::of("cluster-extent", &extent, counts.critical(Family::Extent, LEVEL)));
        found.push(Found::of("cluster-mass", &mass, counts.critical(Family::Mass, LEVEL)));
    }
    // Where below 0 was tested, what was turned round is turned back.
    if sign < 0.0 {
        for row in &mut rows {
            row.below = !row.below;
            row.peaks.iter_mut().for_each(|peak| peak.statistic = -peak.statistic);
        }
    }
    let files: Vec<CompareFile> = maps
        .iter()
        .map(|(suffix, what, _)| CompareFile { file: format!("{}_{suffix}.nii.gz", of.name), what: what.clone() })
        .collect();
    let mut summary = of.summary(place, found, rows, files);
    summary.tails = tails;
    summary.summary = sentences(&summary, of);
    for ((_, what, values), file) in maps.iter().zip(&summary.files) {
        let path = place.file(&file.file);
        let mut whole = vec![0.0f32; grid.len()];
        lattice.voxels().iter().zip(values).for_each(|(at, value)| whole[*at] = *value);
        write_volume(&path, &Volume::new(grid, whole)?)?;
        let record = serde_json::json!({
            "What": what,
            "Tested": summary.tested,
            "Effect": summary.effect,
            "Design": summary.design,
            "Statistic": summary.statistic,
            "Tail": summary.tail,
            "Permutations": summary.permutations,
            "Exchange": summary.exchange,
            "Subjects": summary.subjects.len(),
            "Method": summary.method,
            "Space": summary.space,
            "Outside": "0 outside the voxels that were tested",
            "Version": summary.version,
        });
        seal::write(&record_path(&path), &record)?;
    }
    clusters::write(&place.file("clusters.tsv"), &summary.clusters)?;
    finish(place, of, summary)
}

/// Hedges' g for a difference of two groups, the partial correlation for a number; in the direction that maps have.
fn effect_sizes(of: &Results<'_>) -> Option<(&'static str, &'static str, Vec<EffectSize>)> {
    // F has no direction, and neither a mean nor a difference within pairs has the size of two groups.
    if of.is_f || of.options.paired.is_some() || !of.analysis.model.explains_mean() {
        return None;
    }
    let freedom = of.analysis.model.freedom() as f64;
    let sign = if of.options.tail == Tail::Less { -1.0 } else { 1.0 };
    let t = || of.plain_t.iter().map(|t| f64::from(*t) * sign);
    match of.tested.term.levels.as_slice() {
        [(_, a), (_, b)] => {
            Some(("hedgesg", "Hedges' g of the difference", t().map(|t| hedges_g(t, freedom, [*b, *a])).collect()))
        }
        [] if of.tested.term.term != "1" => {
            Some(("partialr", "partial correlation", t().map(|t| partial_r(t, freedom)).collect()))
        }
        _ => None,
    }
}

fn design_table(of: &Results<'_>) -> Table {
    let mut columns = vec!["participant_id".to_owned()];
    columns.extend(of.built.design.names().iter().cloned());
    let matrix = of.built.design.matrix();
    let rows = of.built.subjects.iter().enumerate().map(|(row, subject)| {
        let mut cells = vec![Some(of.cohort.subjects[*subject].id.clone())];
        cells.extend(matrix.row(row).iter().map(|v| Some(significant(*v, 9))));
        cells
    });
    Table { columns, rows: rows.collect() }
}

impl Found {
    fn of(by: &str, p: &[f64], critical: Option<f32>) -> Self {
        Self {
            by: by.to_owned(),
            below_005: p.iter().filter(|p| **p < LEVEL).count(),
            least: p.iter().copied().fold(1.0, f64::min),
            critical: critical.map(f64::from),
        }
    }
}

impl Results<'_> {
    /// What is compared with the largest of shuffles.
    fn sizes(&self, values: &[f32]) -> Vec<f32> {
        self.analysis.counted(values).iter().map(|v| self.analysis.size(*v)).collect()
    }

    fn summary(
        &self,
        place: &Place,
        found: Vec<Found>,
        clusters: Vec<ClusterRow>,
        files: Vec<CompareFile>,
    ) -> CompareSummary {
        let mut models = self.models.unwrap_or_default().to_vec();
        models.sort();
        models.dedup();
        let (rank, freedom) = (self.analysis.model.rank(), self.analysis.model.freedom());
        CompareSummary {
            version: env!("CARGO_PKG_VERSION").into(),
            key: place.key.clone(),
            name: self.name.into(),
            summary: Vec::new(),
            design: self.design.to_owned(),
            terms: self.built.terms.clone(),
            tested: self.tested.term.term.clone(),
            effect: self.tested.words.clone(),
            subjects: self.built.subjects.iter().map(|n| self.cohort.subjects[*n].id.clone()).collect(),
            left_out: self.built.left_out.clone(),
            method: self.method.map(str::to_owned),
            models,
            made_from: self.made_from.clone(),
            scale: self.scale.clone(),
            smooth: self.options.smooth,
            statistic: if self.is_f { format!("F({rank}, {freedom})") } else { format!("t({freedom})") },
            freedom,
            robust: self.options.robust,
            tail: self.options.tail,
            exchange: self.exchange_words.into(),
            permutations: self.counts.done,
            all_permutations: self.analysis.shuffles.are_all(),
            never_moved: self.analysis.shuffles.fixed(),
            least_p: self.analysis.least_p(),
            possible: self.analysis.shuffles.possible(),
            seed: self.options.seed,
            tfce: self.options.tfce,
            neighbours: self.options.neighbours,
            cluster: self.options.cluster,
            voxels: self.analysis.lattice.len(),
            constant: self.constant,
            space: self.space.into(),
            found,
            tails: Vec::new(),
            clusters,
            regions: None,
            files,
            options: Some(self.options.recorded()),
        }
    }
}

/// The result in sentences, each true for what was done.
fn sentences(summary: &CompareSummary, of: &Results<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let what =
        summary.method.as_ref().map_or_else(|| "prepared volumes".to_owned(), |method| format!("maps by {method}"));
    let side = match (of.is_f, summary.tail) {
        (true, _) => "",
        (false, Tail::Two) => ", two-sided",
        (false, Tail::Greater) => ", above 0 alone",
        (false, Tail::Less) => ", below 0 alone",
    };
    let mean = if summary.tested == "1" { "the mean".to_owned() } else { summary.tested.clone() };
    let what = match &summary.regions {
        Some(regions) => format!("{}, {}", what, regions.measure.words()),
        None => what,
    };
    lines.push(format!(
        "{} of {}, design {}: {mean} is tested by {}{side} ({}).",
        capital(&what),
        counted(summary.subjects.len(), "subject"),
        summary.design,
        summary.statistic,
        summary.effect,
    ));
    let least_possible = summary.least_p;
    let tfce = &summary.found[0];
    let unit = if summary.regions.is_some() { "region" } else { "voxel" };
    let corrected = match &summary.regions {
        Some(_) => format!("corrected for {} (family-wise)", counted(summary.voxels, unit)),
        None => {
            format!("corrected for {} voxels (family-wise) after threshold-free cluster enhancement", summary.voxels)
        }
    };
    lines.push(if least_possible >= LEVEL {
        let why = if summary.all_permutations {
            let n = summary.permutations + 1;
            // By both sides, or by the exchange of two groups of one size, several are as good as the data.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
            let same = (least_possible * n as f64).round() as usize;
            let alike = if same > 1 { format!(", of which {same} give the same sizes") } else { String::new() };
            format!("{} {} possible{alike}", counted(n, "arrangement"), does(n, "is", "are"))
        } else {
            format!("{} asked for, and more are possible", counted(summary.permutations, "shuffle"))
        };
        format!("Nothing can be shown: {why}, so that no p below {} can occur.", significant(least_possible, 2))
    } else if let (Some(regions), 1..) = (&summary.regions, tfce.below_005) {
        let mut least: Vec<&RegionTest> = regions.tests.iter().filter(|test| test.p_fwe < LEVEL).collect();
        least.sort_by(|a, b| a.p_fwe.total_cmp(&b.p_fwe).then(b.statistic.abs().total_cmp(&a.statistic.abs())));
        format!(
            "{} {} significant at p < 0.05, {corrected} (least {}): {}.",
            counted(tfce.below_005, unit),
            does(tfce.below_005, "is", "are"),
            p_in_words(tfce.least),
            crate::listed::listed(least.iter().map(|test| &test.name), 6)
        )
    } else if tfce.below_005 > 0 {
        let clusters = summary.clusters.iter().filter(|c| c.of == "tfce").count();
        format!(
            "{} in {} {} significant at p < 0.05, {corrected} (least {}).",
            counted(tfce.below_005, "voxel"),
            counted(clusters, "cluster"),
            does(tfce.below_005, "is", "are"),
            p_in_words(tfce.least)
        )
    } else {
        format!("No {unit} is significant at p < 0.05, {corrected} (least {}).", p_in_words(tfce.least))
    });
    let shuffles = if summary.all_permutations {
        format!("all {} arrangements that differ", summary.permutations + 1)
    } else {
        format!("{} drawn at random, seed {}", counted(summary.permutations, "shuffle"), summary.seed)
    };
    lines.push(format!("For p-values {}: {shuffles}.", summary.exchange));
    if summary.never_moved > 0 {
        lines.push(format!(
            "{} of {} {} exchanged with nobody, since no other block is of the size of theirs, or nobody else is in it: the test rests on the others.",
            counted(summary.never_moved, "subject"),
            summary.subjects.len(),
            does(summary.never_moved, "is", "are")
        ));
    }
    lines.extend(about_tails(summary));
    lines.extend(about_rate(summary));
    if of.options.pareto_tail && summary.all_permutations {
        lines.push("All arrangements are counted, so that p-values are exact and no tail was fitted.".into());
    }
    if summary.constant > 0 {
        lines.push(format!(
            "{} of the mask {} one value for all subjects and {} not tested.",
            counted(summary.constant, "voxel"),
            does(summary.constant, "holds", "hold"),
            does(summary.constant, "was", "were")
        ));
    }
    if let Some(regions) = summary.regions.as_ref().filter(|regions| !regions.not_tested.is_empty()) {
        lines.push(format!(
            "{} of the atlas {} not tested: {}.",
            counted(regions.not_tested.len(), "region"),
            does(regions.not_tested.len(), "is", "are"),
            crate::listed::listed(&regions.not_tested, 6)
        ));
    }
    lines.extend(summary.regions.as_ref().map(|regions| regions.interval.clone()));
    if !summary.left_out.is_empty() {
        lines.push(left_out_words(&summary.left_out));
    }
    lines.extend(of.targets.map(str::to_owned));
    if summary.method.is_some() {
        lines.push(
            "It is about maps of these networks: networks trained anew may differ, and a difference of maps is not one of brains.".into(),
        );
    }
    if let Some(heads) = of.cohort.preparation.whole_heads() {
        lines.push(heads.to_owned());
    }
    lines
}

fn left_out_words(left_out: &[(String, String)]) -> String {
    let n = left_out.len();
    let shown = crate::listed::listed(left_out.iter().map(|(id, why)| format!("{id} ({why})")), 8);
    format!("{} {} left out: {shown}.", counted(n, "subject"), does(n, "is", "are"))
}
