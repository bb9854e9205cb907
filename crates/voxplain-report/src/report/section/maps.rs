//! Maps of methods over a brain: each by itself, and all side by side.

use crate::{
    figure::{ColourRange, Colours, Cuts, Display, Gallery, GalleryPanel, Mosaic, Plot, Threshold, Underlay},
    report::element::{NotSeen, PAGE, PERCENTILE, Placed, read_map},
};
use serde::Serialize;
use voxplain_attribution::{METHODS, RuleTarget, method_named};
use voxplain_core::plural::{counted, does};
use voxplain_core::{Progress, Result};
use voxplain_study::{
    group::{Group, GroupSummary, MethodSummary},
    run::{Run, figure_name},
};
use voxplain_volume::{Border, MaskOptions, Volume, read_mask};

/// Maps of all methods.
#[derive(Clone, Debug)]
pub(in crate::report) struct Maps {
    /// All methods at the same cuts.
    pub(in crate::report) side_by_side: Vec<Placed>,
    pub(in crate::report) methods: Vec<MethodMaps>,
}

/// A method with its figures.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct MethodMaps {
    pub(in crate::report) name: String,
    /// Term and description.
    pub(in crate::report) facts: Vec<[String; 2]>,
    pub(in crate::report) warnings: Vec<String>,
    pub(in crate::report) figures: Vec<Placed>,
}

/// Cuts of each axis in a mosaic across the page.
const CUTS: usize = 7;
/// Bytes of mosaics in the page, so that it stays below 10 MB with the pictures and volumes of subjects.
const MAX_BYTES: usize = 2_600_000;
/// Per cent of the brain that contours hold, and of how many methods: as many as there are colours of lines.
const STRONGEST: f64 = 5.0;
pub(in crate::report) const MAX_CONTOURS: usize = 6;
/// Standard deviation by which |values| are smoothed for contours, mm: gradients change from voxel to voxel.
pub(in crate::report) const SMOOTHED: f64 = 4.0;

/// Group maps of every method over the mean brain.
pub(in crate::report) fn of_groups(
    run: &Run,
    summary: &GroupSummary,
    not_seen: Option<&NotSeen>,
    progress: &dyn Progress,
) -> Result<Maps> {
    let files = run.layout().group();
    let brain = read_map(&files.mean_brain())?;
    let mask = read_mask(&files.brain_mask(), &MaskOptions::anywhere())?.on(brain.grid())?;
    let underlay = NotSeen::hatch(not_seen, Underlay::new(brain, &mask)?)?;
    progress.begin("mosaics", summary.methods.len());
    let (mut methods, mut means_of_all) = (Vec::new(), Vec::new());
    for method in &summary.methods {
        progress.go_on()?;
        let means: Vec<_> =
            summary.maps.iter().filter(|m| m.method == method.method && m.statistic == "mean").collect();
        let mut figures = Vec::new();
        let mut rows = None;
        for group in summary.groups.iter().filter(|g| !g.name.contains("outcome-")) {
            let Some(file) = means.iter().find(|m| m.group == group.name) else { continue };
            let map = read_map(&files.map(&file.file))?;
            // The cuts of all subjects' map serve all groups, so that they can be compared.
            let rows = rows.get_or_insert_with(|| underlay.cuts(&map, CUTS, 6.0)).clone();
            let figure = Mosaic {
                title: format!("{}: mean map, {} (n = {})", method.method, group.title, people_of(group)),
                units: method.units.clone(),
                underlay: &underlay,
                map: &map,
                range: ColourRange::percentile(&underlay, &map, PERCENTILE),
                rows,
                width: PAGE,
                space: format!("Coordinates: {}.", summary.space),
            }
            .draw()?;
            figures.push(Placed::new(figure_name::group_mosaic(&group.name, &method.method), figure, ""));
            if group.name == "group-all" {
                means_of_all.push((method.method.clone(), method.units.clone(), map));
            }
        }
        methods.push(MethodMaps {
            name: method.method.clone(),
            facts: facts(method),
            warnings: warnings(method),
            figures,
        });
        progress.advance(1, &method.method);
    }
    progress.end();
    let n = summary.groups.first().map_or_else(|| "0".to_owned(), people_of);
    let of = format!("Mean maps of all {}s (n = {n})", summary.noun());
    let side_by_side = side_by_side(&of, &underlay, means_of_all, &summary.space)?;
    keep_small(&side_by_side, &mut methods);
    Ok(Maps { side_by_side, methods })
}

/// Leaves out figures of methods that there is no room for: after all methods side by side, the first figure of every method
/// (for a run that of all subjects) stays first, then the others of a method after the other. These, one for each class, are
/// shown together or not at all: one class beside a gap would be read by itself.
pub(in crate::report) fn keep_small(first: &[Placed], methods: &mut [MethodMaps]) {
    let mut bytes: usize = first.iter().map(|f| f.svg.len()).sum();
    let mut keep = |figures: &mut [Placed]| {
        bytes += figures.iter().map(|f| f.svg.len()).sum::<usize>();
        if bytes > MAX_BYTES {
            figures.iter_mut().for_each(Placed::leave_out);
        }
    };
    for method in methods.iter_mut() {
        let end = method.figures.len().min(1);
        keep(&mut method.figures[..end]);
    }
    for method in methods.iter_mut().filter(|method| method.figures.len() > 1) {
        keep(&mut method.figures[1..]);
    }
}

/// Methods side by side (name, units and map of each, over one brain) in the order in which voxplain lists them: all maps at
/// the same cuts, and where each is strongest in one picture. Nothing for fewer than two.
pub(in crate::report) fn side_by_side(
    of: &str,
    underlay: &Underlay,
    mut maps: Vec<(String, String, Volume)>,
    space: &str,
) -> Result<Vec<Placed>> {
    if maps.len() < 2 {
        return Ok(Vec::new());
    }
    let place = |name: &str| METHODS.iter().position(|m| m.name == name).unwrap_or(METHODS.len());
    maps.sort_by(|a, b| place(&a.0).cmp(&place(&b.0)).then_with(|| a.0.cmp(&b.0)));
    let panels: Vec<GalleryPanel<'_>> = maps
        .iter()
        .map(|(name, units, map)| GalleryPanel {
            name: name.clone(),
            units: units.clone(),
            map,
            range: ColourRange::percentile(underlay, map, PERCENTILE),
        })
        .collect();
    let at = Gallery::focus(underlay, &panels);
    let title = format!("{of} by all methods");
    let space = format!("Coordinates: {space}.");
    let gallery = Gallery { title, underlay, panels: &panels, at, width: PAGE, space }.draw()?;
    let caption = "Cut in the middle of the largest part where the maps together are strongest. The range of colours ends at \
                   the 99.5th percentile of |value| in the mask.";
    let mut placed = vec![Placed::new(figure_name::METHOD_GALLERY, gallery, caption)];
    placed.extend(contours(of, underlay, &panels, at)?);
    Ok(placed)
}

/// The |value| of a map over the level that `percent` of the brain reach, smoothed by [`SMOOTHED`]: values from 1 on are the strongest
/// part of the brain; for a map that is 0 in most of the brain, its largest value.
pub(in crate::report) fn over_level(underlay: &Underlay, map: &Volume, percent: f64) -> Volume {
    let size = underlay.covered(&underlay.covered(map).map(|v| v.abs()).smooth(SMOOTHED, Border::Zero));
    let level = ColourRange::percentile(underlay, &size, 100.0 - percent).max;
    #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
    size.map(|v| if level > 0.0 { (f64::from(*v) / level) as f32 } else { 0.0 })
}

/// The outlines of where each method is strongest, over one brain. None where all maps are 0 in the brain.
fn contours(of: &str, underlay: &Underlay, panels: &[GalleryPanel<'_>], at: [f64; 3]) -> Result<Option<Placed>> {
    let over_level = |panel: &&GalleryPanel<'_>| (panel.name.clone(), over_level(underlay, panel.map, STRONGEST));
    // The controls are no methods, and there are colours for so many.
    let control = |e: &&GalleryPanel<'_>| method_named(&e.name).is_some_and(|m| m.control.is_some());
    // A map of zeros has no strongest part.
    let zero = panels.iter().filter(|e| !control(e) && e.range.max <= 0.0).count();
    let mut methods: Vec<&GalleryPanel<'_>> = panels.iter().filter(|e| !control(e) && e.range.max > 0.0).collect();
    methods.sort_by_key(|e| method_named(&e.name).and_then(|m| m.contour).unwrap_or(u8::MAX));
    let drawn: Vec<_> = methods.iter().take(MAX_CONTOURS).map(over_level).collect();
    if drawn.is_empty() {
        return Ok(None);
    }
    let brain = underlay.grey(255.0);
    let (figure, _) = Plot {
        map: &brain.map(|_| 0.0),
        mask: None,
        background: Some(&brain),
        contours: &drawn,
        display: Display::Ortho,
        cuts: Cuts::At(at.to_vec()),
        threshold: Threshold::Value(1.0),
        vmax: None,
        colours: Colours::OrangeBlue,
        annotate: true,
        draw_cross: false,
        colour_bar: true,
        black_bg: false,
        title: format!("{of}: where each method is strongest"),
        units: String::new(),
        width: 130.0,
    }
    .draw()?;
    let mut left_out = match panels.len() - drawn.len() - zero {
        0 => String::new(),
        n => format!(" {n} methods or controls are not drawn, for want of colours."),
    };
    if zero > 0 {
        left_out.push_str(&format!(
            " {zero} without an outline {} 0 in the whole mask.",
            if zero == 1 { "is" } else { "are" }
        ));
    }
    let caption = format!(
        "Outlines of the {STRONGEST} % of the mask with the largest |value|, smoothed by a Gaussian of {SMOOTHED} mm (standard \
         deviation) so that single voxels have none, at the cuts above.{left_out}"
    );
    Ok(Some(Placed::new(figure_name::METHOD_CONTOURS, figure, caption)))
}

/// `26`, or `26 scans of 13 people`.
fn people_of(group: &Group) -> String {
    let heads = group.headcount();
    heads.people.map_or_else(|| heads.scans.to_string(), |_| heads.to_string())
}

fn facts(method: &MethodSummary) -> Vec<[String; 2]> {
    let mut facts = vec![
        ["Explained".into(), method.target.clone()],
        ["Maps".into(), counted(method.subjects, "subject")],
        ["A value is".into(), method.units.clone()],
        ["Its sign".into(), method.sign.clone()],
        ["Options".into(), options(&method.parameters)],
    ];
    if let Some(counts) = method.rules_applied {
        facts.push(["Rule applied".into(), format!("to {}", rule_applied(&method.method, counts))]);
    }
    if let Some(scale) = &method.scale {
        let ratio =
            scale.ratio.map(|r| format!(" (largest model over smallest: {r:.1} as they were)")).unwrap_or_default();
        facts.push(["Group maps".into(), format!("{}{ratio}", scale.scale.words())]);
    }
    if let Some(compat) = &method.compat {
        facts.push(["Reproduces".into(), format!("the code of {compat}")]);
    }
    facts
}

/// To how many of what a method's rule was applied: `3 of 3 ReLUs`.
pub(in crate::report) fn rule_applied(method: &str, [applied, all]: [usize; 2]) -> String {
    let of = method_named(method).and_then(|m| m.rule).map_or("operations", RuleTarget::words);
    format!("{applied} of {all} {of}")
}

/// `layer = features.10, rectify = false`.
pub(in crate::report) fn options(parameters: &serde_json::Value) -> String {
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
    let mut all: Vec<String> = method
        .warnings
        .iter()
        .map(|(w, n)| format!("{w} ({n} of {} {})", method.subjects, if method.subjects == 1 { "map" } else { "maps" }))
        .collect();
    if method.in_sample > 0 {
        all.push(format!(
            "{} {} from a model that was trained on the subject.",
            counted(method.in_sample, "map"),
            does(method.in_sample, "comes", "come")
        ));
    }
    all
}
