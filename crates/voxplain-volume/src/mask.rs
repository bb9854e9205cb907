//! [`read_mask`]: the one way in which files become masks, and what it refuses.
//!
//! A file that is taken for a mask and is none changes every number behind it without a word: voxels of 0.0001 that
//! resampling left, a mask that holds the outside, one that is 1 and 2 in place of 0 and 1. So a file is taken only where
//! what belongs is beyond doubt, or where the reader says from which value on a voxel belongs.

use crate::grid::corner_distances;
use crate::setting::MASK_THRESHOLD;
use crate::{
    Connectivity, Contents, ContentsKind, Error, Finding, Grid, Level, Mask, Orientation, ReadOptions, Result, Volume,
    quantiles, read,
};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use voxplain_core::{Remedy, plural::does, remedy};

/// How a file is read as a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaskOptions {
    /// A voxel belongs where its value is above this. Without it the file must hold 0 and one other value, or the
    /// labels of a segmentation.
    pub threshold: Option<f64>,
    /// How much of the field of view may belong.
    pub extent: MaskExtent,
}

impl MaskOptions {
    /// For the mask of a brain, with a threshold where one is stated.
    pub fn brain(threshold: Option<f64>) -> Self {
        Self { threshold, extent: MaskExtent::Brain }
    }

    /// For a region that may lie anywhere, and for masks that voxplain wrote.
    pub fn anywhere() -> Self {
        Self { threshold: None, extent: MaskExtent::Anywhere }
    }
}

/// How much of its field of view a mask may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaskExtent {
    /// As a brain does: it leaves something out, it is no box, and it thins out towards the borders of the image.
    #[default]
    Brain,
    /// Any part, all of it too: for masks of regions, and for those that voxplain wrote.
    Anywhere,
}

/// What a file that is read as a mask holds.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskContent {
    /// Number of voxels.
    pub voxels: usize,
    /// Different values from small to large, each with its number of voxels. Values that the rounding of files tells
    /// apart count as one. Empty where there are more than [`MAX_LEVELS`].
    pub levels: Vec<(f64, usize)>,
    /// Smallest and largest value that is a number; NaN where there is none.
    pub range: [f64; 2],
    /// Voxels whose value is between: further than a hundredth of the largest value from 0 and from the largest.
    pub between: usize,
    /// Voxels that are not a number.
    pub nan: usize,
    /// Voxels that are infinite.
    pub infinite: usize,
}

/// Different values that are told one by one: more than any segmentation has labels.
pub const MAX_LEVELS: usize = 10_000;

/// Values this close to each other are one, relative to the larger (for values near 0, to 1 or the largest of all): what
/// slopes and values in float32 explain, and nothing else.
const ROUNDING: f64 = 1e-5;

/// Values this close to 0 or to the largest (relative to it) are near them.
const NEAR: f64 = 0.01;

/// Share of the field of view from which on a value is no edge between two others. Edges smoothed over 6 to 10 mm have 0.005.
const COMMON: f64 = 0.02;

/// Share of the field of view that a mask takes at least where its threshold is advised. Our choice: a brain takes 0.05 of a field of
/// view of 300 mm.
const LEAST: f64 = 0.005;

/// How far a number that is advised may be from the middle that it stands for, as a share of what is between outside and inside.
const SHORT: f64 = 0.005;

/// How wide each of two heaps of values is at most (from the tenth to the ninetieth percentile), as a share of what is between them. Our
/// choice: noise on a mask is narrower, and intensities of tissues are wider.
const HEAP: f64 = 0.3;

/// Share of a mask that may lie within it and be no part of it. Our choice: a mask without the ventricles stays below it.
const HOLLOW: f64 = 0.15;

/// Share of the largest cross-section of a mask that may end at one plane. Our choice: a sphere of ten voxels has 0.2 there.
const FLAT: f64 = 0.35;

/// Share of a mask that may lie outside its largest piece. Our choice: all masks of IXI stay below it.
const SCATTERED: f64 = 0.01;

/// A mask as it was read from a file.
#[derive(Clone, Debug)]
pub struct MaskFile {
    /// Which voxels belong, turned to RAS+.
    pub mask: Mask,
    /// The file's own grid, in its axis order.
    pub native: Grid,
    /// What the file holds.
    pub content: MaskContent,
    /// What is odd about the file, and what to do about it.
    pub findings: Vec<Finding>,
    /// The value above which voxels were taken: the one that was stated, or one between the values of the file.
    pub threshold: f64,
    path: PathBuf,
}

/// Reads a mask.
///
/// | the file holds | taken |
/// |---|---|
/// | 0 and one value above it (1, 255, ...) | yes: what is not 0 belongs |
/// | labels of a segmentation: whole numbers from 0, in regions | yes, with a finding: what is not 0 belongs |
/// | NaN beside 0, or beside one other value | yes, with a warning: NaN is outside |
/// | fractions, negative values, intensities | with [`MaskOptions::threshold`] alone |
/// | two values of which none is 0 | with [`MaskOptions::threshold`] alone |
/// | infinite values, one value everywhere, a threshold that is no number | no |
/// | more at the borders of the image than inside (an inverted mask), a filled box | with [`MaskExtent::Anywhere`] alone |
///
/// # Errors
/// A file that [`read`] refuses, and what the table says: what was found, and what to do about it.
pub fn read_mask(path: &Path, options: &MaskOptions) -> Result<MaskFile> {
    read_mask_by_either(path, None, options)
}

/// Reads a mask by `first` where it can be, else by `options`. The file is read once.
///
/// # Errors
/// Those of [`read_mask`] by `options`.
pub fn read_mask_by_either(path: &Path, first: Option<&MaskOptions>, options: &MaskOptions) -> Result<MaskFile> {
    let image = read(path, &ReadOptions { ras: true, ..ReadOptions::default() })?;
    let content = MaskContent::of(&image.volume);
    let by = |options: &MaskOptions| {
        let mut findings = image.findings.clone();
        let threshold = cut(&image.volume, &content, options, &mut findings)?;
        let mask = image.volume.map(|v| f64::from(*v) > threshold);
        reach(&mask, options.extent).map_err(|(what, remedy)| match options.threshold {
            Some(stated) => {
                let remedy = remedy![format!("{remedy}; or choose another "), MASK_THRESHOLD, ", or none"];
                (format!("{what} (taken is what is above {stated}; it holds {content})"), remedy)
            }
            None => (what, remedy),
        })?;
        findings.extend(scattered(&mask, options.extent));
        findings.extend(hollow(&mask, options.extent));
        Ok((mask, threshold, findings))
    };
    match first.and_then(|first| by(first).ok()).map_or_else(|| by(options), Ok) {
        Ok((mask, threshold, findings)) => {
            Ok(MaskFile { mask, native: image.native, content, findings, threshold, path: path.to_owned() })
        }
        Err((what, remedy)) => Err(Error::file(path, what, remedy)),
    }
}

/// What is wrong, and what to do about it.
type Refusal = (String, Remedy);

/// The value above which a voxel belongs.
fn cut(
    volume: &Volume,
    content: &MaskContent,
    options: &MaskOptions,
    findings: &mut Vec<Finding>,
) -> Result<f64, Refusal> {
    let again = || "find out where they come from, and make the mask again".into();
    let mut find = |id, level, what: String, remedy: &str| findings.push(Finding::new(id, level, what, remedy));
    let [low, high] = content.range;
    if content.infinite > 0 {
        let are = does(content.infinite, "is", "are");
        return Err((format!("is no mask: {} of its values {are} infinite", content.infinite), again()));
    }
    if let Some(threshold) = options.threshold.filter(|t| !t.is_finite()) {
        let what = format!("a mask cannot be cut at {threshold}, which is no value that a voxel is above or below");
        return Err((what, remedy!["give a number with ", MASK_THRESHOLD, ", or leave it out"]));
    }
    if content.nan == content.voxels {
        return Err(("is no mask: all its values are NaN".into(), again()));
    }
    if low == 0.0 && high == 0.0 && content.nan > 0 {
        let what = format!(
            "is no mask: it is 0 or NaN and nothing else (NaN in {}), and NaN is no value that is inside",
            content.share(content.nan)
        );
        return Err((
            what,
            "where NaN stands for the brain, write 1 there; otherwise get or make the mask again".into(),
        ));
    }
    if low == 0.0 && high == 0.0 {
        return Err((
            "the mask is empty: it holds 0 alone".into(),
            "check the file; a mask is not 0 in the brain".into(),
        ));
    }
    if content.nan > 0 {
        let (are, they) = (does(content.nan, "is", "are"), does(content.nan, "it is", "they are"));
        let what = format!("{} of the mask {are} NaN; {they} taken as outside", content.share(content.nan));
        find("mask-nan", Level::Warning, what, "replace them by 0 if that is right");
    }
    if let Some(threshold) = options.threshold {
        if high <= threshold {
            let what = format!("no value of the mask is above {threshold}: it holds {content}");
            return Err((what, remedy!["choose another ", MASK_THRESHOLD]));
        }
        return Ok(threshold);
    }
    let state = |at: f64| advise(volume, content, Some(at));
    let soft = || advise(volume, content, None);
    let is_whole = |v: f64| v == v.round();
    let levels: Vec<f64> = content.levels.iter().map(|l| l.0).collect();
    match levels[..] {
        [value] if value > 0.0 && (content.nan > 0 || options.extent == MaskExtent::Anywhere) => return Ok(value / 2.0),
        [value] => return Err((format!("is no mask: it is {value} everywhere, so that nothing is outside"), again())),
        [0.0, value] if value > 0.0 => {
            if value != 1.0 {
                find("mask-coded", Level::Note, format!("the mask is {value} inside"), "none: what is not 0 belongs");
            }
            return Ok(value / 2.0);
        }
        [a, b] => {
            let what = format!(
                "is no mask of 0 and another value: it holds {content}, and nothing says which of them is inside"
            );
            return Err((what, state(f64::midpoint(a, b))));
        }
        _ => {}
    }
    // Labels on a background that is not 0.
    #[expect(clippy::cast_possible_truncation, reason = "values are f32")]
    let is_labels = || {
        let levels: Vec<(f64, usize)> = content.levels.iter().map(|l| (l.0 - low, l.1)).collect();
        is_segmentation(&volume.map(|v| (f64::from(*v) - low) as f32), &levels)
    };
    // Between what most voxels outside and most inside have, where that is known better than by the largest value.
    let half = if levels.is_empty() { two_clusters(volume).unwrap_or(high / 2.0) } else { high / 2.0 };
    if content.between == 0 && low >= -NEAR * high {
        let what = format!(
            "is no mask of two values: it holds values near 0 and near {}, off them by up to {:.0e}, as resampling leaves \
             them",
            level(high),
            ripple(volume, level(high))
        );
        return Err((what, state(half)));
    }
    if !levels.is_empty() && levels.iter().all(|v| is_whole(*v)) && low >= 0.0 {
        if low > 0.0 {
            let what = format!("is no mask: no voxel is 0, it holds {content}");
            return Err((what, if is_labels() { state(f64::midpoint(low, levels[1])) } else { soft() }));
        }
        if is_segmentation(volume, &content.levels) {
            let what = format!("the mask is a segmentation of {} labels; all that are not 0 belong", levels.len() - 1);
            find("mask-labels", Level::Note, what, "none if all labels lie in the brain");
            return Ok(0.5);
        }
        let what = format!(
            "is no mask: it holds whole numbers that make no regions ({content}), as intensities or soft edges do"
        );
        return Err((what, state(half)));
    }
    if low < 0.0 {
        // Whole numbers from a negative one on may be labels beside a background.
        let labels = levels.len() > 2 && levels.iter().all(|v| is_whole(*v)) && is_labels();
        let remedy = if labels { state(f64::midpoint(low, levels[1])) } else { soft() };
        return Err((format!("is no mask: it holds values below 0 ({content})"), remedy));
    }
    let what = format!("is no mask of two values: it holds {content}, as soft edges, probabilities or intensities do");
    Err((what, soft()))
}

/// What to do about a file that is no mask beyond doubt: to state `at` as the threshold (without it, the middle between what is
/// outside and the largest value) where what is above it can be a brain; of an image, its background. Where no threshold does, what
/// to make of the file.
fn advise(volume: &Volume, content: &MaskContent, at: Option<f64>) -> Remedy {
    let is_outside = |outside: f64, at: f64| {
        let mask = volume.map(|v| f64::from(*v) > at);
        outside <= at && mask.count() as f64 >= LEAST * content.voxels as f64 && reach(&mask, MaskExtent::Brain).is_ok()
    };
    let contents = Contents::of(volume);
    // Where no value is common at the sides, the lowest is taken for the outside.
    let [low, high] = content.range;
    let outside = contents.background.first().map_or(low, |v| f64::from(*v));
    // A few values above all others are not the inside.
    let inner = mostly_below(volume, outside);
    let clusters = two_clusters(volume);
    if clusters.is_none() && has_little_near(volume, outside, inner) && contents.has_intensities(volume) {
        let is_brain =
            matches!(contents.kind, ContentsKind::Brain | ContentsKind::Small | ContentsKind::Cut | ContentsKind::Slab);
        return match contents.background[..] {
            [air] if is_brain && is_outside(f64::from(air), f64::from(air)) => remedy![
                "it looks like an image, not like a mask: make the brain mask from it; if it is skull-stripped, all that is above its \
                 background can be taken with ",
                MASK_THRESHOLD.to(air)
            ],
            _ => "it looks like an image, not like a mask: make the brain mask from it, and give that".into(),
        };
    }
    let fits = |at: f64, high: f64| {
        // A middle that many voxels have is a third value, and no edge between two.
        let is_on_it = |v: &&f32| (f64::from(**v) - at).abs() <= NEAR * (high - low);
        let is_edge = || volume.data().iter().filter(is_on_it).count() as f64 <= COMMON * content.voxels as f64;
        let is_middle = (at - f64::midpoint(outside, high)).abs() <= SHORT * (high - outside);
        // Of two heaps of values the lower may reach above the one that most voxels have.
        let outside = if clusters.is_some() { outside.min(at) } else { outside };
        (!is_middle || is_edge()) && is_outside(outside, at)
    };
    let middle = at.unwrap_or(clusters.unwrap_or(f64::midpoint(outside, high)));
    let middles = [(middle, high), (f64::midpoint(outside, inner), inner)];
    let short = middles.map(|(at, high)| (short(at, high - outside), high));
    if let Some((at, _)) = short.into_iter().chain(middles).find(|(at, high)| fits(*at, *high)) {
        remedy!["make a mask of 0 and 1, or say above which value a voxel belongs with ", MASK_THRESHOLD.to(at)]
    } else {
        // So that -0 is 0.
        let outside = outside + 0.0;
        let stands =
            format!("make a mask of it that is 1 in the brain and 0 outside; at its sides it is mostly {outside}");
        stands.into()
    }
}

/// The shortest number near a value, of values that are `span` apart.
fn short(value: f64, span: f64) -> f64 {
    let written = |digits: usize| format!("{value:.digits$e}").parse::<f64>().ok();
    (0..6).filter_map(written).find(|v| (v - value).abs() <= SHORT * span).unwrap_or(value)
}

/// The middle between two values that voxels heap up around, some below it and some above, as in a mask with noise or ripple on it; none
/// where values are spread, as those of an image are.
fn two_clusters(volume: &Volume) -> Option<f64> {
    let mut values: Vec<f32> = volume.data().iter().copied().filter(|v| v.is_finite()).collect();
    let [low, high] = quantiles(&mut values, [0.001, 0.999]);
    let mut middle = f64::midpoint(low, high);
    // From the middle of all to that between the two, as in k-means.
    for _ in 0..4 {
        let (mut below, mut above): (Vec<f32>, Vec<f32>) =
            values.iter().copied().partition(|v| f64::from(*v) <= middle);
        let least = LEAST * values.len() as f64;
        if (below.len() as f64) < least || (above.len() as f64) < least {
            return None;
        }
        let [low, outside, up] = quantiles(&mut below, [0.1, 0.5, 0.9]);
        let [down, inside, high] = quantiles(&mut above, [0.1, 0.5, 0.9]);
        if (up - low).max(high - down) > HEAP * (inside - outside) {
            return None;
        }
        middle = f64::midpoint(outside, inside);
    }
    Some(middle)
}

/// The value that 99 % of those above the outside's do not exceed.
fn mostly_below(volume: &Volume, outside: f64) -> f64 {
    let mut above: Vec<f32> =
        volume.data().iter().copied().filter(|v| v.is_finite() && f64::from(*v) > outside).collect();
    let [inner] = quantiles(&mut above, [0.99]);
    inner
}

/// Whether few of the values that are not near the outside's are near `high` or above, as in images. The inside of a mask is there, also
/// where its edges are soft.
fn has_little_near(volume: &Volume, outside: f64, high: f64) -> bool {
    let share = |v: &f32| (f64::from(*v) - outside) / (high - outside);
    let count = |from: f64| volume.data().iter().filter(|v| v.is_finite() && share(v) > from).count();
    count(1.0 - NEAR) as f64 <= 0.1 * count(NEAR) as f64
}

/// The whole number that a value is nearest to, where it is near one; else the value.
fn level(value: f64) -> f64 {
    if value.round() != 0.0 && (value - value.round()).abs() <= NEAR * value.abs() { value.round() } else { value }
}

/// How far values are from 0 and from `high`, whichever is nearer, at most.
fn ripple(volume: &Volume, high: f64) -> f64 {
    let off = |v: &f32| f64::from(v.abs()).min((f64::from(*v) - high).abs());
    volume.data().iter().filter(|v| v.is_finite()).map(off).fold(0.0, f64::max)
}

/// Labels come in regions, and which lies beside which is no matter of their size. Whole numbers that are intensities
/// hardly ever have an equal neighbour; a soft edge in few steps goes up and down step by step.
///
/// Of the atlases and segmentations that this was measured on (2 to 6 mm, 3 to 246 labels), 93 % or more of the voxels
/// have a neighbour of their label across a face, and up to 70 % of the contacts of two labels are between labels within
/// a quarter of the list. Of brain masks blurred or resampled in steps of 1 to 255, it was either up to 57 % or 86 % and
/// more. The most frequent label is left out: in a soft mask, it is the inside.
fn is_segmentation(volume: &Volume, levels: &[(f64, usize)]) -> bool {
    let labels = levels.len() - 1;
    let highest = levels[labels].0;
    // Two or three labels have few contacts to judge by. Half of 255 is no second label, 2 beside 1 is.
    let step = highest / labels as f64;
    if labels <= 3 && step > 1.5 && (1..labels).all(|n| (levels[n].0 - n as f64 * step).abs() <= 0.5) {
        return false;
    }
    let most = levels[1..].iter().max_by_key(|l| l.1).map_or(0.0, |l| l.0);
    let rank = |v: f32| levels.partition_point(|l| l.0 < f64::from(v).round());
    let ([ni, nj, nk], data) = (volume.shape(), volume.data());
    let (mut voxels, mut alike, mut contacts, mut near) = (0usize, 0usize, 0usize, 0usize);
    for (n, &value) in data.iter().enumerate() {
        let [i, j, k] = volume.grid().voxel(n);
        let before = [(i > 0, nj * nk), (j > 0, nk), (k > 0, 1)];
        let after = [(i + 1 < ni, nj * nk), (j + 1 < nj, nk), (k + 1 < nk, 1)];
        for (_, step) in after.into_iter().filter(|(there, _)| *there) {
            if data[n + step] != value {
                contacts += 1;
                near += usize::from(rank(value).abs_diff(rank(data[n + step])) <= (labels / 4).max(1));
            }
        }
        if value != 0.0 && f64::from(value).round() != most {
            voxels += 1;
            let equal_before = before.into_iter().any(|(there, step)| there && data[n - step] == value);
            alike +=
                usize::from(equal_before || after.into_iter().any(|(there, step)| there && data[n + step] == value));
        }
    }
    let in_regions = alike as f64 >= 0.8 * voxels as f64;
    let in_steps = labels > 3 && near as f64 > 0.85 * contacts as f64;
    in_regions && !in_steps
}

/// A finding about a mask of many pieces: voxels scattered around a brain move its centre and change its volume.
fn scattered(mask: &Mask, extent: MaskExtent) -> Option<Finding> {
    if extent == MaskExtent::Anywhere {
        return None;
    }
    let (_, sizes) = mask.components(Connectivity::Corners);
    let all: usize = sizes.iter().sum();
    let beside = 1.0 - *sizes.first()? as f64 / all as f64;
    (beside > SCATTERED).then(|| {
        let what = format!(
            "the mask is in {} pieces that do not touch; {:.1} % of it lie outside the largest",
            sizes.len(),
            100.0 * beside
        );
        Finding::new("mask-pieces", Level::Warning, what, "look at it; of a mask of the brain, keep the largest piece")
    })
}

/// A finding about a mask that lies around something that is no part of it: one that is inverted within the head, or a part of the brain.
fn hollow(mask: &Mask, extent: MaskExtent) -> Option<Finding> {
    if extent == MaskExtent::Anywhere {
        return None;
    }
    let (grid, data) = (mask.grid(), mask.data());
    // Whether a voxel lies between voxels of the mask along the axes so far.
    let mut within: Vec<bool> = vec![true; data.len()];
    for axis in 0..3 {
        let step = [grid.shape[1] * grid.shape[2], grid.shape[2], 1][axis];
        for first in (0..data.len()).filter(|n| grid.voxel(*n)[axis] == 0) {
            let line = || (0..grid.shape[axis]).map(|n| first + n * step);
            let ends = line().find(|n| data[*n]).zip(line().rev().find(|n| data[*n]));
            line().for_each(|n| within[n] &= ends.is_some_and(|(low, high)| low < n && n < high));
        }
    }
    let empty = within.iter().zip(data).filter(|(within, inside)| **within && !**inside).count();
    let share = empty as f64 / mask.count() as f64;
    (share > HOLLOW).then(|| {
        let what = format!(
            "the mask is hollow: what it surrounds on all sides and leaves out has {:.0} % of its own volume, as where a mask is inverted \
             within the head, or holds the grey matter alone",
            100.0 * share
        );
        Finding::new("mask-hollow", Level::Warning, what, "look at it; a mask of the brain has no large holes")
    })
}

/// A finding about a mask (axes RAS+) that ends in a plane within the image, as a mask does that was cut.
fn cut_flat(mask: &Mask) -> Option<Finding> {
    const SIDES: [[&str; 2]; 3] = [["left", "right"], ["back", "front"], ["lower", "upper"]];
    let shape = mask.shape();
    let mut planes: [Vec<usize>; 3] = shape.map(|n| vec![0; n]);
    for (n, _) in mask.data().iter().enumerate().filter(|(_, inside)| **inside) {
        let voxel = mask.grid().voxel(n);
        (0..3).for_each(|a| planes[a][voxel[a]] += 1);
    }
    (0..3).find_map(|axis| {
        let planes = &planes[axis];
        let largest = planes.iter().copied().max()? as f64;
        let ends = [planes.iter().position(|n| *n > 0)?, planes.iter().rposition(|n| *n > 0)?];
        (0..2).find_map(|side| {
            let plane = ends[side];
            let is_border = plane == [0, shape[axis] - 1][side];
            let share = planes[plane] as f64 / largest;
            (!is_border && share > FLAT).then(|| {
                let what = format!(
                    "the mask ends in a plane at its {} side, with {:.0} % of its largest cross-section, and the image goes on there: it \
                     was cut, or holds a part of the brain",
                    SIDES[axis][side],
                    100.0 * share
                );
                Finding::new("mask-cut", Level::Warning, what, "look at it; give a mask of the whole brain")
            })
        })
    })
}

/// Refuses a mask that takes what no brain takes.
fn reach(mask: &Mask, extent: MaskExtent) -> Result<(), Refusal> {
    if extent == MaskExtent::Anywhere {
        return Ok(());
    }
    let (shape, voxels) = (mask.shape(), mask.data().len());
    let (mut inside, mut border, mut outermost) = (0usize, 0usize, 0usize);
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (n, &belongs) in mask.data().iter().enumerate() {
        let voxel = mask.grid().voxel(n);
        let is_outermost = (0..3).any(|a| voxel[a] == 0 || voxel[a] + 1 == shape[a]);
        outermost += usize::from(is_outermost);
        if belongs {
            inside += 1;
            border += usize::from(is_outermost);
            for a in 0..3 {
                low[a] = low[a].min(voxel[a]);
                high[a] = high[a].max(voxel[a]);
            }
        }
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    if inside == voxels {
        let what = "is no mask: all of its field of view is inside";
        return Err((what.into(), "make a mask of the brain from the image".into()));
    }
    let at_border = share(border, outermost);
    if outermost < voxels && at_border > 0.5 && at_border > share(inside - border, voxels - outermost) {
        let what = format!(
            "is no mask of a brain but inverted: inside are {:.0} % of the field of view, and {:.0} % of its outermost voxels",
            100.0 * share(inside, voxels),
            100.0 * at_border
        );
        return Err((what, "invert it: what is not 0 is to be the brain".into()));
    }
    let around: usize = (0..3).map(|a| high[a] + 1 - low[a]).product();
    if share(inside, around) > 0.9 && share(around, voxels) > 0.5 {
        let what = format!(
            "is no mask of a brain: inside is a box of {:.0} % of the field of view",
            100.0 * share(around, voxels)
        );
        return Err((what, "make a mask of the brain from the image".into()));
    }
    Ok(())
}

impl MaskContent {
    fn of(volume: &Volume) -> Self {
        let data = volume.data();
        let (mut nan, mut infinite, mut between) = (0, 0, 0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for &v in data {
            nan += usize::from(v.is_nan());
            infinite += usize::from(v.is_infinite());
            if v.is_finite() {
                (low, high) = (low.min(f64::from(v)), high.max(f64::from(v)));
            }
        }
        for v in data.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)) {
            between += usize::from(v > NEAR * high && v < (1.0 - NEAR) * high);
        }
        let range = if low <= high { [low, high] } else { [f64::NAN; 2] };
        let levels = levels(data, range[1]).unwrap_or_default();
        Self { voxels: data.len(), levels, range, between, nan, infinite }
    }

    /// A number of voxels, and as a share of the field of view.
    fn share(&self, voxels: usize) -> String {
        let part = 100.0 * voxels as f64 / self.voxels as f64;
        let digits = if part == 0.0 || part >= 0.1 { 1 } else { 3 };
        format!("{voxels} {} ({part:.digits$} %)", if voxels == 1 { "voxel" } else { "voxels" })
    }
}

/// Different values and how often each is there, from small to large; nothing for too many.
fn levels(data: &[f32], largest: f64) -> Option<Vec<(f64, usize)>> {
    let mut found: BTreeMap<u32, usize> = BTreeMap::new();
    // Masks are runs of equal values.
    for run in data.chunk_by(|a, b| a == b).filter(|run| run[0].is_finite()) {
        // 0 and -0 are one.
        *found.entry((run[0] + 0.0).to_bits()).or_insert(0) += run.len();
        if found.len() > MAX_LEVELS {
            return None;
        }
    }
    let mut found: Vec<(f64, usize)> = found.into_iter().map(|(v, n)| (f64::from(f32::from_bits(v)), n)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let close = |a: f64, b: f64| (a - b).abs() <= ROUNDING * a.abs().max(b.abs()).max(largest.min(1.0));
    let mut levels: Vec<(f64, usize)> = Vec::new();
    for (value, count) in found {
        match levels.last_mut() {
            Some(last) if close(last.0, value) => last.1 += count,
            // The whole number that it stands for, where it is one but for rounding.
            _ => levels.push((if close(value, value.round()) { value.round() + 0.0 } else { value }, count)),
        }
    }
    Some(levels)
}

impl fmt::Display for MaskContent {
    /// `0 in 81.2 % of the field of view, 1 in 18.8 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |n: usize| format!("{:.1} %", 100.0 * n as f64 / self.voxels as f64);
        let [low, high] = self.range;
        if (1..=4).contains(&self.levels.len()) {
            for (n, (value, count)) in self.levels.iter().enumerate() {
                let (comma, of) = if n == 0 { ("", " of the field of view") } else { (", ", "") };
                write!(f, "{comma}{value} in {}{of}", part(*count))?;
            }
        } else {
            match self.levels.len() {
                0 => write!(f, "more than {MAX_LEVELS}")?,
                n => write!(f, "{n}")?,
            }
            write!(
                f,
                " values from {low:.4} to {high:.4}, {} of the field of view between 0 and the largest",
                part(self.between)
            )?;
        }
        if self.nan > 0 { write!(f, ", NaN in {}", part(self.nan)) } else { Ok(()) }
    }
}

impl MaskFile {
    /// The highest value outside and the lowest inside; `None` where there are too many values to tell.
    pub fn bounds(&self) -> Option<[f64; 2]> {
        let levels = || self.content.levels.iter().map(|(v, _)| *v);
        let low = levels().filter(|v| *v <= self.threshold).fold(f64::NEG_INFINITY, f64::max);
        let high = levels().filter(|v| *v > self.threshold).fold(f64::INFINITY, f64::min);
        (!self.content.levels.is_empty()).then_some([low, high])
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Volume of the mask in mm³.
    pub fn volume(&self) -> f64 {
        self.mask.count() as f64 * self.mask.grid().voxel_volume()
    }

    /// Those findings about the mask that a result should be seen with.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.id.starts_with("mask-") && f.level >= Level::Warning)
    }

    /// The mask on `grid`, which must have the file's voxels, in any order of the axes.
    ///
    /// # Errors
    /// Another shape, or voxels further apart than a hundredth of their size.
    pub fn on(&self, grid: &Grid) -> Result<Mask> {
        self.mask.reorient_like(grid).map_err(|_| {
            let expected = grid.reoriented(Orientation::RAS);
            let found = self.mask.grid();
            let what =
                format!("the mask ({:?}) does not lie on the grid of the image ({:?})", found.shape, expected.shape);
            let what = if found.shape == expected.shape {
                format!("{what}: their corners are up to {:.1} mm apart", apart(found, &expected))
            } else {
                what
            };
            Error::file(&self.path, what, "give the mask that belongs to the image")
        })
    }

    /// The mask on the grid of an image (RAS+): as it is where it has the image's voxels, else brought there by both
    /// affines (a voxel belongs when most of it does), with a finding.
    ///
    /// # Errors
    /// A mask of the image's shape that lies half a voxel or more beside it: it was made from another image, or its header
    /// was lost on the way. A mask of which less than half lies in the image; this error names the file of the image.
    pub fn onto(&self, grid: &Grid, image: &Path) -> Result<(Mask, Vec<Finding>)> {
        let own = &self.mask;
        let smallest = grid.spacing().into_iter().fold(f64::INFINITY, f64::min);
        if own.grid().same_space(grid, 0.01 * smallest) {
            let there = Volume::from_parts(*grid, own.data().to_vec());
            let findings = cut_flat(&there).into_iter().collect();
            return Ok((there, findings));
        }
        let there = own.resample_mask(grid);
        let share = share_within(own, grid);
        let file = self.path.display();
        if share < 0.5 {
            return Err(Error::file(
                image,
                format!(
                    "only {:.0} % of the mask {file} lie in the image: they are not in the same space (image centre \
                     {:.0?} mm, mask centre {:.0?} mm)",
                    100.0 * share,
                    grid.center(),
                    own.grid().center()
                ),
                "give the mask made from this very image, or one in its space",
            ));
        }
        let away = apart(own.grid(), grid);
        if own.shape() == grid.shape && away >= 0.5 * smallest {
            return Err(Error::file(
                &self.path,
                format!(
                    "the mask has the shape of the image, {:?}, but another affine: their corners are up to {away:.1} mm apart",
                    grid.shape
                ),
                "give the mask made from this very image; where it is, copy the geometry of the image to it",
            ));
        }
        let mut findings = vec![Finding::new(
            "mask-other-grid",
            Level::Warning,
            format!(
                "the mask lies on another grid than the image ({} of {} mm): it was brought to the image's by its affine",
                own.shape().map(|n| n.to_string()).join(" x "),
                own.grid().spacing().map(|s| format!("{s:.2}")).join(" x ")
            ),
            "none if both are of one space; a mask made from this very image is surer",
        )];
        findings.extend(cut_flat(&there));
        if share < 0.98 {
            findings.push(Finding::new(
                "mask-outside-image",
                Level::Warning,
                format!("{:.0} % of the mask {file} lie outside the image", 100.0 * (1.0 - share)),
                "give the mask made from this very image",
            ));
        }
        Ok((there, findings))
    }
}

/// The share of a mask's voxels whose centre lies in the field of view of a grid; 0 where the grid has no inverse.
fn share_within(mask: &Mask, grid: &Grid) -> f64 {
    let Some(inverse) = grid.affine.inverse() else { return 0.0 };
    let inside = |at: [f64; 3]| {
        let voxel = inverse.apply(at);
        (0..3).all(|a| voxel[a] >= -0.5 && voxel[a] <= grid.shape[a] as f64 - 0.5)
    };
    let voxels = || mask.data().iter().enumerate().filter(|(_, inside)| **inside).map(|(n, _)| n);
    let within = voxels().filter(|n| inside(mask.grid().affine.apply(mask.grid().voxel(*n).map(|v| v as f64))));
    within.count() as f64 / voxels().count().max(1) as f64
}

/// How far (mm) the corners of two grids of one shape are apart, at most.
fn apart(a: &Grid, b: &Grid) -> f64 {
    corner_distances(a.shape, &a.affine, &b.affine).into_iter().fold(0.0, f64::max)
}
