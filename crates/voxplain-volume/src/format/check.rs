//! What is odd about an image, and what to do about it.

use super::header::Header;
use crate::{Finding, Grid, Level, Volume};
use rayon::prelude::*;
use voxplain_core::plural::{counted, does};

/// Oddities of the geometry and of the header's other claims.
pub(super) fn of_header(header: &Header, grid: &Grid) -> Vec<Finding> {
    let mut out = header.findings.clone();
    let mut add = |id, level, what: String, remedy: &str| out.push(Finding::new(id, level, what, remedy));
    let (shape, spacing) = (grid.shape, grid.spacing());
    let extent: [f64; 3] = std::array::from_fn(|a| shape[a] as f64 * spacing[a]);
    // Three digits, so that no length is said to be 0.
    let mm = |v: [f64; 3]| format!("{} mm", v.map(length).join(" x "));
    if matches!(header.unit, "m" | "um") {
        add(
            "unit",
            Level::Warning,
            format!("the header gives lengths in {}; they are taken as mm, as most tools do", header.unit),
            "check the voxel sizes, then set the unit to mm (or scale the affine)",
        );
    }
    if extent.iter().any(|&e| e > 600.0) || spacing.iter().any(|&s| !(0.05..=20.0).contains(&s)) {
        // A head and more in the unit that the numbers would be.
        let fits = |factor: f64| extent.iter().all(|&e| (60.0..=600.0).contains(&(e * factor)));
        let unit = if fits(1000.0) {
            " (in metres it would be)"
        } else if fits(0.001) {
            " (in micrometres it would be)"
        } else {
            ""
        };
        add(
            "implausible-size",
            Level::Error,
            format!("the image covers {} with voxels of {}, which is no human head{unit}", mm(extent), mm(spacing)),
            "are the lengths in mm? correct the affine in the header",
        );
    } else if extent.iter().any(|&e| e < 100.0) {
        add(
            "small-field-of-view",
            Level::Warning,
            format!("the image covers {}; an adult brain needs about 140 x 180 x 130 mm", mm(extent)),
            "none if it is meant to be a part; otherwise check the voxel sizes",
        );
    }
    let (small, large) = spacing.iter().fold((f64::INFINITY, 0.0f64), |(a, b), &s| (a.min(s), b.max(s)));
    if large > 2.01 * small {
        add(
            "anisotropic",
            Level::Warning,
            format!("voxels of {} differ more than twofold between axes", mm(spacing)),
            "detail across the thick slices is missing: prefer a 3D acquisition",
        );
    }
    // Of a size of 0 it is said already.
    let has_zero = header.findings.iter().any(|f| f.id == super::nifti::ZERO_SIZE);
    if header.affine_from == "sform"
        && !has_zero
        && (0..3).any(|a| (spacing[a] / header.voxel_sizes[a] - 1.0).abs() > 0.01)
    {
        add(
            "voxel-sizes-disagree",
            Level::Warning,
            format!(
                "the voxel sizes are {} by the sform but {} by pixdim; the sform is used",
                mm(spacing),
                mm(header.voxel_sizes)
            ),
            "tools that go by pixdim see another size: find out which is right and correct the other",
        );
    }
    geometry(header, grid, &mut out);
    let mut add = |id, level, what: String, remedy: &str| out.push(Finding::new(id, level, what, remedy));
    if header.volumes() > 1 {
        add(
            "several-volumes",
            Level::Warning,
            format!("the file holds {} volumes; one of them was taken", header.volumes()),
            "extract the one you want; commands that expect a single image refuse this file",
        );
    }
    let intent = match header.intent {
        0 | 1001 => None,
        1002 => Some("the header says that values are labels".to_owned()),
        code @ 2..=24 => Some(format!("the header says that values are a statistic (intent code {code})")),
        code => Some(format!("the header gives the intent code {code}")),
    };
    if let Some(what) = intent {
        add("intent", Level::Note, what, "make sure that it is what you take it for: image, mask or atlas");
    }
    out
}

/// A length in mm with one decimal, a short one with three digits.
fn length(mm: f64) -> String {
    if mm >= 0.1 || mm == 0.0 {
        return format!("{mm:.1}");
    }
    let mut digits = 3;
    while digits < 12 && mm.abs() < 10f64.powi(1 - digits) {
        digits += 1;
    }
    let text = format!("{mm:.0$}", digits.unsigned_abs() as usize);
    text.trim_end_matches('0').to_owned()
}

fn geometry(header: &Header, grid: &Grid, out: &mut Vec<Finding>) {
    let mut add = |id, level, what: String, remedy: &str| out.push(Finding::new(id, level, what, remedy));
    let (shape, spacing) = (grid.shape, grid.spacing());
    let rows = grid.affine.rows();
    if let Some(inverse) = grid.affine.inverse().filter(|_| !header.findings.iter().any(|f| f.id == "no-spatial-code"))
    {
        let origin = inverse.origin();
        let at_corner = (0..3).all(|a| origin[a].abs() < 0.51 || (origin[a] - (shape[a] as f64 - 1.0)).abs() < 0.51);
        if at_corner && shape.iter().all(|&n| n > 1) {
            add(
                "zero-origin",
                Level::Warning,
                format!(
                    "world (0, 0, 0) lies in a corner of the image (voxel {:.0}, {:.0}, {:.0}): its true place was probably \
                         never set",
                    origin[0].abs(),
                    origin[1].abs(),
                    origin[2].abs()
                ),
                "do not overlay it on other images by coordinates: register it, or get a copy with its template's affine",
            );
        } else if (0..3).any(|a| origin[a] < -0.5 || origin[a] > shape[a] as f64 - 0.5) {
            add(
                "origin-outside",
                Level::Note,
                "world (0, 0, 0) lies outside the image".into(),
                "none if the image is a part of a head, or the table was moved; in template space it would be wrong",
            );
        }
    }
    if grid.affine.determinant() < 0.0 {
        add(
            "left-handed",
            Level::Note,
            format!("axes are stored as {}, a mirror image of world space", grid.orientation()),
            "none: the affine says so, and arrays are turned to RAS on reading; tools that ignore it swap left and right",
        );
    }
    let cosine = |a: usize, b: usize| (0..3).map(|r| rows[r][a] * rows[r][b]).sum::<f64>() / (spacing[a] * spacing[b]);
    let skew = [(0, 1), (0, 2), (1, 2)].into_iter().map(|(a, b)| cosine(a, b).abs()).fold(0.0, f64::max);
    if skew > 1e-3 {
        add(
            "sheared",
            Level::Note,
            format!(
                "axes are off the right angle by {:.1} degrees (a tilted gantry, or an affine registration)",
                skew.asin().to_degrees()
            ),
            "none: the affine is kept; it cannot be written as a qform",
        );
    }
    let orientation = grid.orientation();
    let tilt = (0..3)
        .map(|a| (rows[orientation.world_axis(a)][a].abs() / spacing[a]).clamp(0.0, 1.0).acos().to_degrees())
        .fold(0.0, f64::max);
    if tilt > 0.5 {
        let level = if tilt > 30.0 { Level::Warning } else { Level::Note };
        add(
            "oblique",
            level,
            format!("the axes are turned by up to {tilt:.1} degrees against left-right, back-front, down-up"),
            "none: resampling to an upright grid removes it; turning to RAS alone keeps it",
        );
    }
}

/// Oddities of the values.
pub(super) fn of_values(header: &Header, volume: &Volume) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut add = |id, level, what: String, remedy: &str| out.push(Finding::new(id, level, what, remedy));
    let row = volume.shape()[2];
    // What a corner holds is background, whatever its value.
    let corner = volume.data()[0];
    let seen = volume.data().par_chunks(row * 64).map(|part| Seen::of(part, row, corner)).collect::<Vec<_>>();
    let seen = seen.into_iter().fold(Seen::default(), Seen::and);
    if seen.nan + seen.infinite > 0 {
        let all = volume.data().len();
        let kinds: Vec<String> = [(seen.nan, "NaN"), (seen.infinite, "infinite")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {} {kind}", does(count, "is", "are")))
            .collect();
        let what = format!("of {} {}", counted(all, "value"), kinds.join(" and "));
        if seen.nan + seen.infinite == all {
            let what = format!("there is nothing in the image: {what}");
            add("non-finite", Level::Error, what, "get or make it again");
        } else {
            let remedy = "find out where they come from; if they only fill the background, replace them by 0";
            add("non-finite", Level::Warning, what, remedy);
        }
    }
    if seen.min > seen.max {
        return out;
    }
    if seen.min == seen.max {
        let id = if seen.min == 0.0 { "all-zero" } else { "constant" };
        let numbers = if seen.nan + seen.infinite > 0 { " that are numbers" } else { "" };
        let what = format!("all values{numbers} are {}", seen.min);
        add(id, Level::Error, what, "the image is empty: get or make it again");
        return out;
    }
    if let Some(what) = nearly_constant(volume) {
        let remedy = "none if it is a mask or map of so few voxels; otherwise get or make it again";
        add("nearly-constant", Level::Warning, what, remedy);
    }
    let beyond = 16_777_216.0;
    if !header.stored.is_float() && header.stored.size() >= 4 && (seen.max >= beyond || seen.min <= -beyond) {
        add(
            "rounded",
            Level::Warning,
            format!("{} values up to {} are rounded to float32", header.stored, seen.max),
            "harmless for intensities; labels are read exactly by the commands that read labels",
        );
    }
    // Labels come in regions: most neighbours are equal. Noise leaves few equal ones in an intensity image.
    let regions = seen.whole && seen.neighbours > 0 && seen.equal as f64 > 0.7 * seen.neighbours as f64;
    if let Some(what) = extremes(volume, seen.max.max(-seen.min)).filter(|_| !regions) {
        add(
            "extreme-values",
            Level::Warning,
            what,
            "look at these voxels: spikes of the reconstruction or a damaged file; set them to what surrounds them, as they upset \
             every mean and every network",
        );
    }
    if seen.whole {
        if seen.min == 0.0 && seen.values == [Some(seen.max), None] {
            add(
                "looks-like-mask",
                Level::Note,
                format!("values are 0 and {}", seen.max),
                "use it as a mask, not as an image of intensities",
            );
        } else if regions {
            let float = if header.stored.is_float() { ", stored as floats" } else { "" };
            add(
                if header.stored.is_float() { "float-labels" } else { "looks-like-labels" },
                Level::Note,
                format!("values are whole numbers up to {} in uniform regions{float}", seen.max),
                "use it as an atlas or segmentation, not as an image of intensities",
            );
        }
    }
    out
}

/// How many times the 99.9 % quantile a value is that no tissue, vessel or fat can have. Our choice: in T1-weighted heads the brightest
/// voxel is two to four times this quantile.
const EXTREME: f32 = 10.0;

/// One voxel in so many may differ from all others in an image that is as good as constant. Our choice.
const FEW: usize = 10_000;

/// That nearly all finite values are one, in words.
fn nearly_constant(volume: &Volume) -> Option<String> {
    let data = volume.data();
    // The commonest of five voxels, of which few are odd.
    let some = [0, 1, 2, 3, 4].map(|n| data[n * (data.len() - 1) / 4]);
    let common = some.into_iter().max_by_key(|v| some.iter().filter(|other| *other == v).count())?;
    let differing = data.iter().filter(|v| v.is_finite() && **v != common).take(data.len() / FEW + 2).count();
    let finite = || data.iter().filter(|v| v.is_finite()).count();
    (common.is_finite() && differing > 0 && differing <= (finite() / FEW).max(1))
        .then(|| format!("all but {differing} of {} values are {common}", finite()))
}

/// Values far beyond all others, in words. `largest` is the largest size of a finite value.
fn extremes(volume: &Volume, largest: f32) -> Option<String> {
    let sizes = |step: usize| -> Vec<f32> {
        let values = volume.data().iter().step_by(step).map(|v| v.abs());
        values.filter(|v| *v > 0.0 && v.is_finite()).collect()
    };
    let quantile = |mut sizes: Vec<f32>| -> Option<f32> {
        let at = sizes.len().checked_sub(1)? * 999 / 1000;
        Some(*sizes.select_nth_unstable_by(at, f32::total_cmp).1)
    };
    // Nearly always a part of the values tells that all is well.
    if largest <= 0.5 * EXTREME * quantile(sizes(61))? {
        return None;
    }
    let common = quantile(sizes(1))?;
    let far = |v: &f32| v.is_finite() && v.abs() > EXTREME * common;
    let first = volume.data().iter().position(far)?;
    let count = volume.data().iter().filter(|v| far(v)).count();
    let [i, j, k] = volume.grid().voxel(first);
    Some(format!(
        "{count} {} more than ten times the 99.9 % quantile of the values other than 0 ({common}): {} at voxel {i}, {j}, {k} (axes \
         {}){}",
        if count == 1 { "value is" } else { "values are" },
        volume.data()[first],
        volume.grid().orientation(),
        if count == 1 { "" } else { " and others" }
    ))
}

/// What one pass over the values finds.
struct Seen {
    nan: usize,
    infinite: usize,
    min: f32,
    max: f32,
    /// Whether all finite values are whole numbers.
    whole: bool,
    /// Up to two different values other than 0.
    values: [Option<f32>; 2],
    /// Pairs of neighbours along `k` that are neither 0 nor the background, and how many of them are equal.
    neighbours: usize,
    equal: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            nan: 0,
            infinite: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            whole: true,
            values: [None; 2],
            neighbours: 0,
            equal: 0,
        }
    }
}

/// Whether a value is a whole number, or not a number that could be one.
#[expect(clippy::cast_possible_truncation, reason = "beyond 2^23 an f32 has no fraction")]
fn is_whole(v: f32) -> bool {
    v.is_nan() | (v.abs() >= 8_388_608.0) | (v as i32 as f32 == v)
}

impl Seen {
    fn of(values: &[f32], row: usize, background: f32) -> Self {
        let mut seen = Self::default();
        // Lane by lane, so that several values are taken at once.
        const LANES: usize = 8;
        let (mut min, mut max, mut odd) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES], [0u32; LANES]);
        let chunks = values.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for l in 0..LANES {
                let finite = chunk[l].abs() < f32::INFINITY;
                odd[l] += u32::from(!finite);
                min[l] = if finite && chunk[l] < min[l] { chunk[l] } else { min[l] };
                max[l] = if finite && chunk[l] > max[l] { chunk[l] } else { max[l] };
            }
        }
        let finite = |v: &&f32| v.is_finite();
        seen.min = min.iter().chain(rest.iter().filter(finite)).copied().fold(f32::INFINITY, f32::min);
        seen.max = max.iter().chain(rest.iter().filter(finite)).copied().fold(f32::NEG_INFINITY, f32::max);
        if odd != [0; LANES] || rest.iter().any(|v| !v.is_finite()) {
            seen.nan = values.iter().filter(|v| v.is_nan()).count();
            seen.infinite = values.iter().filter(|v| v.is_infinite()).count();
        }
        seen.whole = values.chunks(1024).all(|part| part.iter().fold(true, |all, &v| all & is_whole(v)));
        // What follows is asked of whole numbers only.
        if seen.whole {
            values.chunks(row).for_each(|line| seen.look_at_neighbours(line, background));
        }
        seen
    }

    fn look_at_neighbours(&mut self, line: &[f32], background: f32) {
        let something = |v: f32| v != 0.0 && v.abs() < f32::INFINITY;
        let inside = |v: f32| something(v) & (v != background);
        let (mut neighbours, mut equal) = (0u32, 0u32);
        for (&a, &b) in line.iter().zip(&line[1..]) {
            let both = inside(a) & inside(b);
            neighbours += u32::from(both);
            equal += u32::from(both & (a == b));
        }
        self.neighbours += neighbours as usize;
        self.equal += equal as usize;
        // The first value other than 0, and the first other than both.
        for _ in 0..2 {
            if self.values[1].is_none()
                && let Some(&v) = line.iter().find(|&&v| something(v) && self.values[0] != Some(v))
            {
                self.note(v);
            }
        }
    }

    fn note(&mut self, v: f32) {
        match self.values {
            [None, _] => self.values[0] = Some(v),
            [Some(a), None] if a != v => self.values[1] = Some(v),
            _ => {}
        }
    }

    fn and(mut self, other: Self) -> Self {
        for v in other.values.into_iter().flatten() {
            self.note(v);
        }
        Self {
            nan: self.nan + other.nan,
            infinite: self.infinite + other.infinite,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            whole: self.whole && other.whole,
            values: self.values,
            neighbours: self.neighbours + other.neighbours,
            equal: self.equal + other.equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;

    #[test]
    fn one_voxel_makes_no_image() {
        let grid = Grid::new([30; 3], Affine::from_spacing_origin([6.0; 3], [0.0; 3])).unwrap();
        let with = |background: f32, odd: usize, step: usize| {
            let mut volume = Volume::from_fn(grid, |_| background);
            (0..odd).for_each(|n| volume.data_mut()[n * step] = 7.0 + n as f32);
            nearly_constant(&volume)
        };
        for background in [0.0, 5.0, -1.0] {
            assert_eq!(with(background, 1, 1).unwrap(), format!("all but 1 of 27000 values are {background}"));
            assert_eq!(with(background, 2, 13_500).unwrap(), format!("all but 2 of 27000 values are {background}"));
            assert_eq!(with(background, 3, 1), None);
            assert_eq!(with(background, 0, 1), None);
        }
        let mut volume = Volume::from_fn(grid, |[i, ..]| if i < 4 { f32::NAN } else { 2.0 });
        volume.data_mut()[20_000] = 3.0;
        assert_eq!(nearly_constant(&volume).unwrap(), "all but 1 of 23400 values are 2");
    }
}
