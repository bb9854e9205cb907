//! [`Scene`]: what a plot is drawn from, after everything was looked at that would leave its picture empty or wrong.

use super::{Plot, Threshold};
use crate::{
    figure::brain::{Extent, extent, field_of_view},
    setting::{BACKGROUND, CONTOUR, THRESHOLD, VMAX},
};
use std::{borrow::Cow, collections::BTreeSet};
use voxplain_core::{Action, Error, Remedy, Result, remedy};
use voxplain_stats::significant;
use voxplain_volume::{Connectivity, Grid, Mask, Volume, quantiles};

/// Volumes without NaN, the range of values, and the box of the world that is drawn.
pub(super) struct Scene<'a> {
    pub(super) map: Cow<'a, Volume>,
    pub(super) background: Option<Cow<'a, Volume>>,
    pub(super) contours: Vec<Contour<'a>>,
    /// From which |value| on the map is shown.
    pub(super) threshold: f64,
    /// The value at the end of the range of colours; 0 for a map of zeros.
    pub(super) max: f64,
    /// The map's largest |value|.
    pub(super) largest: f64,
    /// The box that panels show: of the background's values other than 0, or of the map.
    pub(super) extent: Extent,
    /// The boxes of the outermost voxel centres of map and background together: beyond it nothing can be drawn.
    pub(super) field: Extent,
    /// The part of the map's |value| outside the mask, where there is one.
    pub(super) outside_mask: Option<f64>,
    /// What a reader of the picture should know.
    pub(super) notes: Vec<String>,
}

/// An outline that is drawn on top.
pub(super) struct Contour<'a> {
    pub(super) name: &'a str,
    pub(super) map: Cow<'a, Volume>,
    /// The |value| that it runs along.
    pub(super) level: f64,
    /// Whether it goes around the voxels that reach the level, rather than along the level between them.
    pub(super) by_voxels: bool,
}

/// A part of a map that is not drawn, from which on it is said.
const UNDRAWN: f64 = 0.005;
/// A part of a background without a map over it, from which on it is said.
const UNCOVERED: f64 = 0.01;
/// A range of colours so many times the largest |value| shows hardly anything.
const PALE: f64 = 20.0;

impl<'a> Scene<'a> {
    pub(super) fn new(plot: &Plot<'a>) -> Result<Self> {
        let mut notes = Vec::new();
        let contours = plot.contours.iter().map(|(name, map)| (name.as_str(), map));
        let others = plot.background.map(|b| ("the background", b)).into_iter().chain(contours);
        for (name, volume) in std::iter::once(("the map", plot.map)).chain(others) {
            refuse_no_body(name, volume.grid())?;
        }
        let mut map = numbers("the map", plot.map, &mut notes)?;
        let outside_mask = plot.mask.map(|mask| masked(map.to_mut(), mask)).transpose()?;
        let background = plot.background.map(|b| numbers("the background", b, &mut notes)).transpose()?;
        let background = background.map(|b| clean(&b).map_or(b, Cow::Owned));
        let largest = map.data().iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        let threshold = level(plot.threshold, &map)?;
        if largest > 0.0 && threshold > largest {
            return Err(Error::request(
                format!(
                    "nothing of the map would be drawn: its largest |value| is {}, below the threshold {}",
                    significant(largest, 4),
                    significant(threshold, 4)
                ),
                remedy!["give a smaller ", THRESHOLD, ", or a percentile such as 95%"],
            ));
        }
        let max = range(plot.vmax, largest, threshold, &mut notes)?;
        if largest == 0.0 {
            notes.push("the map is 0 everywhere: nothing of it is drawn".into());
        }
        let content = background.as_deref().and_then(|b| extent(b, |v| *v != 0.0));
        if background.is_some() && content.is_none() {
            notes.push("the background is 0 everywhere: the map is drawn without it".into());
        }
        let field = field_of_view(map.grid());
        let mut scene = Self {
            extent: content.unwrap_or(field),
            field,
            map,
            background,
            contours: Vec::new(),
            threshold,
            max,
            largest,
            outside_mask,
            notes,
        };
        scene.over_the_background()?;
        for (name, map) in plot.contours {
            let contour = scene.contour(name, map, plot.threshold)?;
            scene.contours.push(contour);
        }
        Ok(scene)
    }

    /// Whether a value of the map is shown.
    pub(super) fn is_shown(&self, value: f64) -> bool {
        value != 0.0 && value.abs() >= self.threshold
    }

    /// The map with what is not drawn set to 0, and where its voxels are drawn at all.
    pub(super) fn drawn(&self) -> (Volume, Volume) {
        let grid = *self.map.grid();
        let margin = slack(&grid);
        let within = Volume::from_fn(grid, |v| {
            let inside = holds(&self.extent, grid.affine.apply(v.map(|x| x as f64)), margin);
            f32::from(u8::from(inside))
        });
        let mut shown = self.map.clone().into_owned();
        for (v, within) in shown.data_mut().iter_mut().zip(within.data()) {
            if *within == 0.0 || !self.is_shown(f64::from(*v)) {
                *v = 0.0;
            }
        }
        (shown, within)
    }

    /// Values `from 0.02 on`, where there is a threshold.
    pub(super) fn where_shown(&self) -> String {
        if self.threshold > 0.0 { format!(" from {} on", significant(self.threshold, 4)) } else { String::new() }
    }

    /// Looks whether map and background lie in one place.
    fn over_the_background(&mut self) -> Result<()> {
        let Some(background) = &self.background else { return Ok(()) };
        let (map, under) = (self.field, field_of_view(background.grid()));
        let apart = |what: &str, here: &Extent, there: &Extent| {
            Error::request(
                format!("{what}: the map is at {}, the background at {}", in_words(here), in_words(there)),
                remedy!["give an image of the map's space as ", BACKGROUND],
            )
        };
        if (0..3).any(|a| map[a][0] > under[a][1] || under[a][0] > map[a][1]) {
            return Err(apart("the fields of view of map and background do not meet", &map, &under));
        }
        self.field = [0, 1, 2].map(|a| [map[a][0].min(under[a][0]), map[a][1].max(under[a][1])]);

        // How much of what the map shows lies beyond the background, and beyond what is drawn of it.
        let inverse = background.grid().affine.inverse();
        let shape = background.shape();
        let seen_by_background = |at: [f64; 3]| {
            let Some(voxel) = inverse.map(|m| m.apply(at)) else { return false };
            (0..3).all(|a| voxel[a] >= -0.5 && voxel[a] <= shape[a] as f64 - 0.5)
        };
        let margin = slack(self.map.grid());
        let (mut voxels, mut beyond, mut size, mut undrawn) = (0usize, 0usize, 0.0f64, 0.0f64);
        for (n, v) in self.map.data().iter().enumerate().filter(|(_, v)| self.is_shown(f64::from(**v))) {
            let at = self.map.grid().affine.apply(self.map.grid().voxel(n).map(|x| x as f64));
            let value = f64::from(v.abs());
            voxels += 1;
            size += value;
            beyond += usize::from(!seen_by_background(at));
            undrawn += if holds(&self.extent, at, margin) { 0.0 } else { value };
        }
        let from = self.where_shown();
        if voxels > 0 && undrawn >= size {
            let shown = extent(&self.map, |v| self.is_shown(f64::from(*v))).unwrap_or(map);
            let what = format!("nothing of the map would be drawn, since its values{from} lie beside the background");
            return Err(apart(&what, &shown, &self.extent));
        }
        if beyond > 0 {
            self.notes.push(format!(
                "{} of the map's values{from} lie outside the background's field of view ({}) and are not drawn",
                percent(beyond as f64 / voxels as f64),
                in_words(&under)
            ));
        } else if size > 0.0 && undrawn / size >= UNDRAWN {
            self.notes.push(format!(
                "{} of the map's |value|{from} lies outside the box around the background ({}) and is not drawn",
                percent(undrawn / size),
                in_words(&self.extent)
            ));
        }

        let inverse = self.map.grid().affine.inverse();
        let shape = self.map.shape();
        let (mut content, mut bare) = (0usize, 0usize);
        for (n, _) in background.data().iter().enumerate().filter(|(_, v)| **v != 0.0) {
            let at = background.grid().affine.apply(background.grid().voxel(n).map(|x| x as f64));
            let voxel = inverse.map_or(at, |m| m.apply(at));
            content += 1;
            bare += usize::from(!(0..3).all(|a| voxel[a] >= -0.5 && voxel[a] <= shape[a] as f64 - 0.5));
        }
        if content > 0 && bare as f64 / content as f64 >= UNCOVERED {
            self.notes.push(format!(
                "{} of the background lies outside the map's field of view ({}): what the map would be there is not known",
                percent(bare as f64 / content as f64),
                in_words(&map)
            ));
        }
        Ok(())
    }

    /// An outline, with the |value| that it runs along: of a mask half of its value, otherwise the threshold.
    fn contour(&mut self, name: &'a str, map: &'a Volume, threshold: Threshold) -> Result<Contour<'a>> {
        let map = numbers(name, map, &mut self.notes)?;
        let largest = map.data().iter().fold(0.0f32, |m, v| if v.abs() > m.abs() { *v } else { m });
        let most = f64::from(largest.abs());
        if largest == 0.0 {
            return Err(Error::request(
                format!("{name} is 0 everywhere, so that it has no outline"),
                remedy!["leave it out of ", CONTOUR],
            ));
        }
        let is_mask = map.data().iter().all(|v| *v == 0.0 || *v == largest);
        let asked = if is_mask { 0.0 } else { level(threshold, &map)? };
        if asked > most {
            return Err(Error::request(
                format!(
                    "{name} has no outline at the threshold {}: its largest |value| is {}",
                    significant(asked, 4),
                    significant(most, 4)
                ),
                remedy!["give a smaller ", THRESHOLD, ", or a percentile such as 95%"],
            ));
        }
        let level = if asked > 0.0 { asked } else { 0.5 * most };
        if !is_mask && asked == 0.0 && map.data().iter().all(|v| *v >= 0.0 && v.fract() == 0.0) {
            self.notes.push(format!(
                "{name} holds whole numbers, as the regions of an atlas: its outline is that of all values from {} on, half of \
                 the largest; for one region give a mask of it",
                significant(level, 4)
            ));
        }
        let margin = slack(map.grid());
        let (mut all, mut outside) = (0usize, 0usize);
        for (n, _) in map.data().iter().enumerate().filter(|(_, v)| f64::from(v.abs()) >= level) {
            let at = map.grid().affine.apply(map.grid().voxel(n).map(|x| x as f64));
            all += 1;
            outside += usize::from(!holds(&self.extent, at, margin));
        }
        if outside == all {
            let of = extent(&map, |v| f64::from(v.abs()) >= level).unwrap_or_else(|| field_of_view(map.grid()));
            return Err(Error::request(
                format!(
                    "the outline of {name} lies beside what is drawn: at {}, where the picture shows {}",
                    in_words(&of),
                    in_words(&self.extent)
                ),
                remedy!["give an image of the map's space as ", CONTOUR],
            ));
        }
        if outside as f64 / all as f64 >= UNDRAWN {
            self.notes.push(format!(
                "{} of what {name} outlines lies outside the picture ({})",
                percent(outside as f64 / all as f64),
                in_words(&self.extent)
            ));
        }
        Ok(Contour { name, map, level, by_voxels: asked > 0.0 })
    }
}

/// The |value| from which on a map is shown.
fn level(threshold: Threshold, map: &Volume) -> Result<f64> {
    let bad = |what: String| Error::request(what, "give a |value|, or a percentile from 0 to 100 such as 95%");
    match threshold {
        Threshold::None => Ok(0.0),
        Threshold::Value(v) if v >= 0.0 && v.is_finite() => Ok(v),
        Threshold::Value(v) => Err(bad(format!("a map cannot be shown from |value| {v} on"))),
        Threshold::Percentile(p) if (0.0..=100.0).contains(&p) => {
            let mut sizes: Vec<f32> = map.data().iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
            let [at] = quantiles(&mut sizes, [p / 100.0]);
            Ok(if at.is_finite() { at } else { 0.0 })
        }
        Threshold::Percentile(p) => Err(bad(format!("there is no {p}th percentile"))),
    }
}

/// The value at the end of the range of colours.
fn range(asked: Option<f64>, largest: f64, threshold: f64, notes: &mut Vec<String>) -> Result<f64> {
    let remedy = || -> Remedy { remedy!["give a ", VMAX, " above 0 and not below the threshold, or none"] };
    let Some(max) = asked else { return Ok(largest) };
    if !(max > 0.0 && max.is_finite()) {
        return Err(Error::request(format!("the range of colours cannot end at {max}"), remedy()));
    }
    if max < threshold {
        let (max, threshold) = (significant(max, 4), significant(threshold, 4));
        let what = format!("the range of colours would end at {max}, below the threshold {threshold}");
        return Err(Error::request(what, remedy()));
    }
    if largest > 0.0 && max > PALE * largest {
        let (max, largest) = (significant(max, 4), significant(largest, 4));
        notes.push(format!(
            "colours end at {max}, far above the map's largest |value|, {largest}: hardly anything of it can be seen"
        ));
    }
    Ok(max)
}

/// Sets a map to 0 outside a mask on its grid, and says which part of its |value| lay there.
fn masked(map: &mut Volume, mask: &Mask) -> Result<f64> {
    if map.shape() != mask.shape() {
        let what = format!("the mask has the shape {:?}, the map {:?}", mask.shape(), map.shape());
        return Err(Error::request(what, "give a mask in the space of the map"));
    }
    let (mut all, mut outside) = (0.0, 0.0);
    for (value, inside) in map.data_mut().iter_mut().zip(mask.data()) {
        let size = f64::from(value.abs());
        all += size;
        if !inside {
            outside += size;
            *value = 0.0;
        }
    }
    if all > 0.0 && outside >= all {
        return Err(Error::request(
            "nothing of the map would be drawn: all its values other than 0 lie outside the mask",
            "give a mask that holds some of them",
        ));
    }
    Ok(if all > 0.0 { outside / all } else { 0.0 })
}

/// Intensities below this part of the bright ones (their 99.5th percentile) are those of air, with noise or the ringing of an
/// interpolation.
const AIR: f64 = 0.03;
/// Values below 0 of an image of intensities that rings are at most this part of the bright ones.
const RINGING: f64 = 0.1;
/// The least part of the voxels of the largest body that a speck does not reach.
const SPECK: f64 = 0.01;
/// Whole numbers of so few values are labels of regions, or steps of grey, of which none is air by its size.
const LABELS: usize = 256;

/// A background without specks on its ground, where its ground is 0: without bodies of voxels that are small beside the largest one,
/// and, of an image of intensities, without what is as dark as air and not enclosed by brighter voxels. `None` where nothing is taken away.
fn clean(background: &Volume) -> Option<Volume> {
    let ground = background.data().iter().filter(|v| **v == 0.0).count();
    let mut values: Vec<f32> = background.data().iter().copied().filter(|v| *v != 0.0).collect();
    // Without voxels of 0 there is no ground that specks would be seen on.
    if ground == 0 || values.is_empty() {
        return None;
    }
    let whole = values.iter().all(|v| v.fract() == 0.0);
    let mut steps = BTreeSet::new();
    let few =
        whole && values.iter().all(|v| steps.insert(v.to_bits()) || steps.len() <= LABELS) && steps.len() <= LABELS;
    let [least, bright] = quantiles(&mut values, [0.005, 0.995]);
    let of_intensities = least > -RINGING * bright && !few;
    let from = if of_intensities { AIR * bright } else { 0.0 };
    let body = background.map(|v| if of_intensities { f64::from(*v) > from } else { *v != 0.0 });
    let (labels, sizes) = body.components(Connectivity::Faces);
    let largest = sizes.iter().copied().max()?;
    let small = |label: u32| {
        let size = (label as usize).checked_sub(1).and_then(|n| sizes.get(n)).copied();
        size.is_some_and(|size| (size as f64) < SPECK * largest as f64)
    };
    let mut kept = body;
    for (inside, label) in kept.data_mut().iter_mut().zip(labels.data()) {
        *inside = *inside && !small(*label);
    }
    let kept = kept.fill_holes();
    let mut cleaned = background.clone();
    let mut changed = false;
    for (value, inside) in cleaned.data_mut().iter_mut().zip(kept.data()) {
        changed |= !inside && *value != 0.0;
        *value = if *inside { *value } else { 0.0 };
    }
    changed.then_some(cleaned)
}

/// Longest side of a field of view that is drawn, mm.
const LONGEST: f64 = 5000.0;

/// Refuses a grid that no body has: pixels are counted in mm, and memory by pixels.
fn refuse_no_body(name: &str, grid: &Grid) -> Result<()> {
    let longest = field_of_view(grid).iter().map(|[low, high]| high - low).fold(0.0, f64::max);
    if longest <= LONGEST {
        return Ok(());
    }
    let ([i, j, k], [x, y, z]) = (grid.shape, grid.spacing());
    Err(Error::request(
        format!(
            "{name} lies on a grid of {i} x {j} x {k} voxels of {x:.3e} x {y:.3e} x {z:.3e} mm, which spans {longest:.1e} mm: up to {LONGEST} mm are drawn"
        ),
        remedy!["look at its header with `", Action::new("inspect"), "`, and give it the size of its voxels in mm"],
    ))
}

/// A volume with 0 in place of NaN, which is said once. Infinite values are refused: nothing says how large they are.
fn numbers<'a>(name: &str, volume: &'a Volume, notes: &mut Vec<String>) -> Result<Cow<'a, Volume>> {
    let infinite = volume.data().iter().filter(|v| v.is_infinite()).count();
    if let Some(first) = volume.data().iter().position(|v| v.is_infinite()) {
        let [i, j, k] = volume.grid().voxel(first);
        let (many, are) = if infinite == 1 { ("value", "at") } else { ("values", "the first at") };
        return Err(Error::request(
            format!("{name} holds {infinite} infinite {many}, {are} voxel {i},{j},{k} (counted from 0)"),
            "replace them by finite numbers, or by NaN, which is drawn as background",
        ));
    }
    let (missing, all) = (volume.data().iter().filter(|v| v.is_nan()).count(), volume.data().len());
    if missing == all {
        return Err(Error::request(
            format!("{name} holds no number: all its values are NaN"),
            "give an image of numbers",
        ));
    }
    if missing == 0 {
        return Ok(Cow::Borrowed(volume));
    }
    let are = if missing == 1 { "is" } else { "are" };
    notes.push(format!("{missing} of {all} values of {name} {are} NaN and {are} taken as 0"));
    Ok(Cow::Owned(volume.map(|v| if v.is_nan() { 0.0 } else { *v })))
}

/// How far beyond a box a voxel still counts as in it: half of its size, mm.
fn slack(grid: &Grid) -> f64 {
    grid.spacing().into_iter().fold(0.0, f64::max) / 2.0 + 1e-6
}

fn holds(extent: &Extent, at: [f64; 3], margin: f64) -> bool {
    (0..3).all(|a| at[a] >= extent[a][0] - margin && at[a] <= extent[a][1] + margin)
}

/// `x -78 to 78, y -112 to 76, z -50 to 85 mm`.
fn in_words(extent: &Extent) -> String {
    let one = |a: usize| {
        let [low, high] = extent[a].map(|x| significant((x * 10.0).round() / 10.0, 6));
        format!("{} {low} to {high}", ["x", "y", "z"][a])
    };
    format!("{}, {}, {} mm", one(0), one(1), one(2))
}

pub(super) fn percent(share: f64) -> String {
    match share {
        ..0.001 => "less than 0.1 %".to_owned(),
        0.999..1.0 => "more than 99.9 %".to_owned(),
        _ => format!("{} %", significant(100.0 * share, 3)),
    }
}
