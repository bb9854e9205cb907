//! [`Contents`]: whether an image shows a brain, a whole head, or something that cannot be told.

use crate::{Connectivity, Finding, Grid, Level, Mask, Volume, quantiles};
use std::collections::BTreeMap;

/// Volumes (ml) between which the brain of an adult lies, with room on both sides: below, it is a part, a small child or
/// an animal; above, it is more than a brain. Healthy adults have 950 to 1900 ml.
pub const BRAIN_ML: [f64; 2] = [700.0, 2200.0];

/// Whether a volume in mm³ can be that of an adult's brain.
pub fn is_brain_volume(mm3: f64) -> bool {
    (BRAIN_ML[0]..=BRAIN_ML[1]).contains(&(mm3 / 1000.0))
}

/// What an image shows, judged by its size alone: what stands out from the background, and how much differs from it at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// What it is.
    pub kind: ContentsKind,
    /// The values of the background: what the sides of the image mostly are. Empty where they are mostly NaN, or no value
    /// is common.
    pub background: Vec<f32>,
    /// Volume of all voxels that are not background, in mm³.
    pub differing: f64,
    /// Volume of the largest part that stands out from the background by a tenth of the image's range, its holes filled, mm³.
    pub object: f64,
    /// The largest area, in mm², over which it touches a side of the image.
    pub cut: f64,
    /// How far it reaches along the axis of the image along which it reaches least, in mm.
    pub thickness: f64,
}

/// What an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentsKind {
    /// As much as a brain, on a background of one value.
    Brain,
    /// Something larger than any brain stands out: a head with its skull.
    WholeHead,
    /// No part larger than a brain stands out, but more than a brain differs from the background, or no value is common there: noise,
    /// what resampling leaves, or a head in parts.
    NoBackground,
    /// Less than the brain of an adult: a part, a child, an animal, or other lengths than mm.
    Small,
    /// No more than a brain, but it goes on beyond the sides of the image.
    Cut,
    /// No more than a brain, but flat: some slices of a head or brain.
    Slab,
}

/// Share of the sides that the background's value takes, at least.
const COMMON: f64 = 0.3;
/// Share of the sides from which on a second value is background too (the filling of a resampled image, say), where it lies in
/// flat areas.
const SECOND: f64 = 0.05;
/// Share of the neighbours of a value that are the same in a flat area. Quantised noise stays far below.
const FLAT: f64 = 0.9;
/// From which area on contents are cut where they touch a side, as a share of their volume to the power of 2/3. The middle
/// plane of a ball has 1.2, a brain in its bounding box touches over 0.15 and less.
const TOUCHED: f64 = 0.3;

/// How far contents reach along each axis at least, as a multiple of the cube root of their volume: a ball has 1.24, a brain about 1.1, the
/// middle 40 mm of a head 0.4. Our choice.
const FLAT_BRAIN: f64 = 0.75;

/// Share of the distances from the background, those above a tenth of the brightest, that the lesser side has at least in an image
/// with signs.
const SIGNED: f64 = 0.02;
/// Share of equal neighbours from which on whole numbers are labels. Quantised intensities of 8 bits have about 0.1.
const UNIFORM: f64 = 0.4;
/// Share of one value, in what is not background, from which on an image is a mask. Intensities cut at a percentile have 0.01.
const ONE_VALUE: f64 = 0.3;
/// About how many voxels are looked at for one value.
const SAMPLE: usize = 200_000;

/// What to know about the volume (mm³) of a mask that is to be a brain's; `None` where it can be that of an adult.
pub fn odd_brain_volume(mm3: f64) -> Option<String> {
    let of = if mm3 > 1000.0 * BRAIN_ML[1] { "more" } else { "less" };
    (!is_brain_volume(mm3)).then(|| {
        format!(
            "the mask holds {:.0} ml, {of} than the brain of an adult (which has {} to {} ml)",
            mm3 / 1000.0,
            BRAIN_ML[0],
            BRAIN_ML[1]
        )
    })
}

/// Volume (ml) up to which what is more than a brain need not be a head: a brain with parts of the skull, or one whose voxel
/// sizes are wrong. The smallest head of IXI has 3170 ml.
const PERHAPS_HEAD_ML: f64 = 3000.0;

impl Contents {
    /// Judges an image. NaN is background, and so are infinite values: they show nothing.
    pub fn of(image: &Volume) -> Self {
        let sides = Sides::of(image);
        let background = sides.background();
        let ml = |voxels: usize| voxels as f64 * image.grid().voxel_volume();
        let differs = differing(image, &background);
        let thickness = thickness(&differs);
        let differing = ml(differs.count());
        let cut = sides.touched(&differs, image.grid());
        let middle = background.first().copied().unwrap_or_else(|| sides.median());
        let object = ml(standing_out(image, &background, middle).count());
        let [least, most] = BRAIN_ML.map(|v| 1000.0 * v);
        let kind = if object > most {
            ContentsKind::WholeHead
        } else if differing > most || (background.is_empty() && sides.finite > 0) {
            ContentsKind::NoBackground
        } else if cut > TOUCHED * differing.powf(2.0 / 3.0) {
            ContentsKind::Cut
        } else if thickness < FLAT_BRAIN * differing.cbrt() {
            ContentsKind::Slab
        } else if differing < least {
            ContentsKind::Small
        } else {
            ContentsKind::Brain
        };
        Self { kind, background, differing, object, cut, thickness }
    }

    /// The voxels that are no background. Where the background is 0, every finite voxel that is not 0; where it has
    /// another value, that value belongs wherever it does not reach the border of the image.
    pub fn inside(&self, image: &Volume) -> Mask {
        differing(image, &self.background)
    }

    /// Whether the values can be those of a T1-weighted image, so that it can be asked whether it shows a brain or a head. Others are
    /// told by what they hold:
    ///
    /// * values on both sides of the background: attribution maps, differences, volumes whose mean tissue is 0;
    /// * one value in most of what is not background: masks, soft masks, maps of probability;
    /// * whole numbers in small uniform areas: segmentations and atlases.
    ///
    /// A map without a sign cannot be told from an image by its values.
    pub fn has_intensities(&self, image: &Volume) -> bool {
        let middle = self.background.first().copied().unwrap_or_else(|| Sides::of(image).median());
        let is_background = |v: f32| !v.is_finite() || self.background.contains(&v);
        let offs = || image.data().iter().filter(|v| !is_background(**v)).map(|v| f64::from(*v) - f64::from(middle));
        #[expect(clippy::cast_possible_truncation, reason = "values are f32")]
        let mut sizes: Vec<f32> = offs().map(|off| off.abs() as f32).collect();
        let [bright] = quantiles(&mut sizes, [0.995]);
        // Noise and ripple are on both sides of the air.
        let far = || offs().filter(|off| off.abs() > 0.1 * bright);
        let (above, below) =
            (far().filter(|off| *off > 0.0).sum::<f64>(), -far().filter(|off| *off < 0.0).sum::<f64>());
        if above.min(below) > SIGNED * (above + below) {
            return false;
        }
        // Air of few whole numbers is no label.
        let stands_out = |v: f32| !is_background(v) && (f64::from(v) - f64::from(middle)).abs() > 0.1 * bright;
        let (mut pairs, mut equal, mut whole) = (0usize, 0usize, true);
        for row in image.data().chunks(image.shape()[2]) {
            whole &= row.iter().all(|v| !v.is_finite() || v.fract() == 0.0);
            let neighbours = row.iter().zip(&row[1..]).filter(|(a, b)| stands_out(**a) && stands_out(**b));
            neighbours.for_each(|(a, b)| {
                pairs += 1;
                equal += usize::from(a == b);
            });
        }
        if whole && equal as f64 > UNIFORM * pairs as f64 {
            return false;
        }
        // The longest run of equal values among some that are evenly taken.
        let step = (image.data().len() / SAMPLE).max(1);
        let mut some: Vec<f32> = image.data().iter().step_by(step).copied().filter(|v| stands_out(*v)).collect();
        some.sort_by(f32::total_cmp);
        let longest = some.chunk_by(|a, b| a == b).map(<[f32]>::len).max().unwrap_or(0);
        (longest as f64) < ONE_VALUE * some.len() as f64
    }

    /// In words, what is to be known about it; `None` for a brain.
    pub fn words(&self) -> Option<String> {
        let litres = |mm3: f64| format!("{:.2} l", mm3 / 1e6);
        let adult = format!("the brain of an adult has {:.1} to {:.1} l", BRAIN_ML[0] / 1e3, BRAIN_ML[1] / 1e3);
        Some(match self.kind {
            ContentsKind::Brain => return None,
            ContentsKind::WholeHead if self.is_little_more() => format!(
                "holds more than a brain: {} stand out from the background; {adult}: a brain with parts of the skull, a small \
                 head, or voxel sizes that are too large?",
                litres(self.object)
            ),
            ContentsKind::WholeHead => {
                format!("looks like a whole head: {} stand out from the background; {adult}", litres(self.object))
            }
            ContentsKind::NoBackground if !self.background.is_empty() => format!(
                "holds more than a brain, though the largest part that stands out has {} alone: {} differ from the background, which is \
                 {} at the sides; {adult}: a head, or noise around a brain?",
                litres(self.object),
                litres(self.differing),
                self.background.iter().map(|v| (v + 0.0).to_string()).collect::<Vec<_>>().join(" and ")
            ),
            ContentsKind::NoBackground => format!(
                "has no background of one value, so that where the brain is cannot be told: {} differ from it, {} stand out",
                litres(self.differing),
                litres(self.object)
            ),
            ContentsKind::Small => format!(
                "holds {} that are not background; {adult}: a part, a child, an animal, or lengths that are not in mm?",
                litres(self.differing)
            ),
            ContentsKind::Cut => format!(
                "is cut off: what is not background touches a side over {:.0} cm², and may be more than a brain",
                self.cut / 100.0
            ),
            ContentsKind::Slab => format!(
                "is flat: what is not background reaches over {:.0} mm alone along one axis, which is less than a whole brain does: some \
                 slices of a head or of a brain?",
                self.thickness
            ),
        })
    }

    /// Whether it cannot be told from the image alone where the brain is, or that it shows nothing else: a mask is needed.
    pub fn needs_mask(&self) -> bool {
        match self.kind {
            ContentsKind::Brain | ContentsKind::Small => false,
            ContentsKind::WholeHead | ContentsKind::NoBackground | ContentsKind::Cut | ContentsKind::Slab => true,
        }
    }

    /// Whether what stands out is more than a brain, and less than any head of an adult.
    pub fn is_little_more(&self) -> bool {
        self.kind == ContentsKind::WholeHead && self.object <= 1000.0 * PERHAPS_HEAD_ML
    }

    /// The words as a finding.
    pub fn finding(&self) -> Option<Finding> {
        let (id, remedy) = match self.kind {
            ContentsKind::Brain => return None,
            ContentsKind::WholeHead if self.is_little_more() => (
                "more-than-a-brain",
                "check the voxel sizes; to work on the brain alone, give a brain mask with it, or strip the rest of the skull",
            ),
            ContentsKind::WholeHead => {
                ("whole-head", "to work on the brain, give a brain mask with it, or strip the skull")
            }
            ContentsKind::NoBackground if !self.background.is_empty() => (
                "more-than-a-brain",
                "to work on the brain, give a brain mask with it, or strip what is around the brain",
            ),
            ContentsKind::NoBackground => ("no-background", "give a brain mask with it"),
            ContentsKind::Small => ("small-contents", "none if it is meant to be so; otherwise check the voxel sizes"),
            ContentsKind::Cut => (
                "cut-contents",
                "look for an image of all of the brain; to work on the part that it shows, give a brain mask with it",
            ),
            ContentsKind::Slab => {
                ("flat-contents", "look for the other slices; to work on those that it has, give a brain mask with it")
            }
        };
        self.words().map(|what| Finding::new(id, Level::Note, what, remedy))
    }
}

/// How far a mask reaches along the axis along which it reaches least, in mm.
fn thickness(mask: &Mask) -> f64 {
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (n, _) in mask.data().iter().enumerate().filter(|(_, inside)| **inside) {
        let voxel = mask.grid().voxel(n);
        for a in 0..3 {
            (low[a], high[a]) = (low[a].min(voxel[a]), high[a].max(voxel[a] + 1));
        }
    }
    let spacing = mask.grid().spacing();
    (0..3).map(|a| high[a].saturating_sub(low[a]) as f64 * spacing[a]).fold(f64::INFINITY, f64::min)
}

/// Where an image differs from its background.
fn differing(image: &Volume, background: &[f32]) -> Mask {
    if matches!(background, [] | [0.0]) {
        return image.map(|v| *v != 0.0 && v.is_finite());
    }
    let other = image.map(|v| !background.contains(v) && v.is_finite()).fill_holes();
    Mask::from_fn(*image.grid(), |[i, j, k]| other.at(i, j, k) && image.at(i, j, k).is_finite())
}

/// The largest part that differs from the background by more than a tenth of what the 99.5th percentile does: air is
/// darker than that, and so are ripple and noise.
fn standing_out(image: &Volume, background: &[f32], middle: f32) -> Mask {
    let off = |v: &f32| if background.contains(v) { 0.0 } else { (v - middle).abs() };
    let mut all: Vec<f32> = image.data().iter().map(off).filter(|v| v.is_finite()).collect();
    let [bright] = quantiles(&mut all, [0.995]);
    image
        .map(|v| {
            let off = f64::from(off(v));
            off.is_finite() && off > 0.1 * bright
        })
        .largest_component(Connectivity::Faces)
        .fill_holes()
}

/// The six sides of an image.
struct Sides {
    /// Rows of voxels on each side, as positions in the array.
    rows: [Vec<Vec<usize>>; 6],
    /// For each finite value: how often it is there, how often it has a neighbour behind it in its row, and how often that is
    /// the same.
    values: BTreeMap<u32, [usize; 3]>,
    finite: usize,
    sorted: Vec<f32>,
}

impl Sides {
    fn of(image: &Volume) -> Self {
        let shape = image.shape();
        let at = |v: [usize; 3]| (v[0] * shape[1] + v[1]) * shape[2] + v[2];
        let side = |n: usize| {
            let (axis, end) = (n / 2, n % 2);
            let [a, b] = [[1, 2], [0, 2], [0, 1]][axis];
            let row = |i: usize| {
                let voxel = |j: usize| {
                    let mut voxel = [0; 3];
                    voxel[axis] = if end == 0 { 0 } else { shape[axis] - 1 };
                    (voxel[a], voxel[b]) = (i, j);
                    at(voxel)
                };
                (0..shape[b]).map(voxel).collect()
            };
            (0..shape[a]).map(row).collect::<Vec<Vec<usize>>>()
        };
        let rows: [_; 6] = std::array::from_fn(side);
        let mut values = BTreeMap::<u32, [usize; 3]>::new();
        let mut sorted = Vec::new();
        let data = image.data();
        for row in rows.iter().flatten() {
            for (n, &at) in row.iter().enumerate().filter(|(_, at)| data[**at].is_finite()) {
                // So that -0 is 0.
                let seen = values.entry((data[at] + 0.0).to_bits()).or_default();
                sorted.push(data[at]);
                seen[0] += 1;
                if let Some(&next) = row.get(n + 1) {
                    seen[1] += 1;
                    seen[2] += usize::from(data[next] == data[at]);
                }
            }
        }
        sorted.sort_by(f32::total_cmp);
        Self { rows, values, finite: sorted.len(), sorted }
    }

    fn median(&self) -> f32 {
        self.sorted.get(self.sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The commonest value, and a second one that lies in flat areas.
    fn background(&self) -> Vec<f32> {
        let mut all: Vec<(&u32, &[usize; 3])> = self.values.iter().collect();
        all.sort_by_key(|(_, seen)| std::cmp::Reverse(seen[0]));
        let share = |seen: &[usize; 3]| seen[0] as f64 / self.finite as f64;
        let Some((first, _)) = all.first().filter(|(_, seen)| share(seen) >= COMMON) else { return Vec::new() };
        let mut found = vec![f32::from_bits(**first)];
        let second = all.get(1).filter(|(_, seen)| share(seen) >= SECOND && seen[2] as f64 >= FLAT * seen[1] as f64);
        found.extend(second.map(|(value, _)| f32::from_bits(**value)));
        found
    }

    /// The largest area of a side that a mask takes, in mm².
    fn touched(&self, mask: &Mask, grid: &Grid) -> f64 {
        let spacing = grid.spacing();
        let area = |(n, side): (usize, &Vec<Vec<usize>>)| {
            let touched = side.iter().flatten().filter(|&&at| mask.data()[at]).count();
            touched as f64 * grid.voxel_volume() / spacing[n / 2]
        };
        self.rows.iter().enumerate().map(area).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;

    /// An ellipsoid of so many ml in a field of view of 240 mm, and what is around it; values from 300 to 900 inside.
    fn scene(ml: f64, spacing: f64, air: impl Fn([usize; 3]) -> f32) -> Volume {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        let n = (240.0 / spacing) as usize;
        let grid = Grid::new([n; 3], Affine::from_spacing_origin([spacing; 3], [0.0; 3])).unwrap();
        let radius = (ml * 1000.0 * 3.0 / (4.0 * std::f64::consts::PI)).cbrt();
        Volume::from_fn(grid, |voxel| {
            let at = voxel.map(|v| (v as f64 + 0.5) * spacing - 120.0);
            let off = (at[0].powi(2) + at[1].powi(2) + at[2].powi(2)).sqrt();
            if off < radius { 300.0 + ((voxel[0] * 7 + voxel[1] * 3 + voxel[2] * 11) % 601) as f32 } else { air(voxel) }
        })
    }

    /// A noise of whole numbers 0 to 9, mostly small, the same at every call.
    fn noise([i, j, k]: [usize; 3]) -> f32 {
        let mut x = ((i * 73_856_093) ^ (j * 19_349_663) ^ (k * 83_492_791)) as u64;
        x ^= x >> 13;
        x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((x >> 40) % 10) as f32
    }

    #[test]
    fn by_size_whatever_the_background() {
        use ContentsKind::{Brain, NoBackground, Small, WholeHead};
        let ripple = |v: [usize; 3]| 1e-4 * noise(v) - 3e-4;
        let cases: [(&str, Volume, ContentsKind); 12] = [
            ("stripped", scene(1300.0, 3.0, |_| 0.0), Brain),
            ("stripped, on -1024", scene(1300.0, 3.0, |_| -1024.0), Brain),
            ("stripped, on a value that the brain has too", scene(1300.0, 3.0, |_| 400.0), Brain),
            ("stripped, on NaN", scene(1300.0, 3.0, |_| f32::NAN), Brain),
            (
                "stripped, filled up with 0 beside 100",
                scene(1300.0, 3.0, |[i, ..]| if i < 6 { 0.0 } else { 100.0 }),
                Brain,
            ),
            ("stripped, on ripple", scene(1300.0, 3.0, ripple), NoBackground),
            ("head, air 0", scene(3500.0, 3.0, |_| 0.0), WholeHead),
            ("head, air noise", scene(3500.0, 3.0, noise), WholeHead),
            ("head, air noise in fractions", scene(3500.0, 3.0, |v| noise(v) + 1e-3 * v[0] as f32), WholeHead),
            ("a mouse", scene(0.4, 2.0, |_| 0.0), Small),
            ("a small child's brain", scene(500.0, 3.0, |_| 0.0), Small),
            ("nothing", scene(0.0, 4.0, |_| 0.0), Small),
        ];
        for (name, volume, kind) in cases {
            let contents = Contents::of(&volume);
            assert_eq!(contents.kind, kind, "{name}: {contents:?}");
            assert_eq!(contents.words().is_none(), kind == Brain);
            if kind == Brain {
                let ml = contents.inside(&volume).count() as f64 * volume.grid().voxel_volume() / 1000.0;
                assert!((ml - 1300.0).abs() < 20.0, "{name}: {ml}");
            }
        }
    }

    #[test]
    fn a_little_more_than_a_brain_is_not_called_a_head() {
        let found = |ml: f64| Contents::of(&scene(ml, 3.0, |_| 0.0)).finding().unwrap();
        let more = found(2600.0);
        assert_eq!(more.id, "more-than-a-brain");
        assert!(
            more.what.contains("holds more than a brain: 2.6") && more.what.contains("voxel sizes"),
            "{}",
            more.what
        );
        assert_eq!(found(3500.0).id, "whole-head");
        assert_eq!(odd_brain_volume(1.3e6), None);
        let words = [0.348e6, 3.834e6].map(|mm3| odd_brain_volume(mm3).unwrap());
        assert!(words[0].starts_with("the mask holds 348 ml, less than the brain of an adult"), "{}", words[0]);
        assert!(words[1].starts_with("the mask holds 3834 ml, more than"), "{}", words[1]);
    }

    #[test]
    fn only_intensities_are_judged() {
        let head = scene(3500.0, 3.0, noise);
        let brain = scene(1300.0, 3.0, |_| 0.0);
        let (low, high) = (300.0, 900.0);
        let map = |f: &dyn Fn(f32) -> f32| head.map(|v| f(*v));
        let inside = |v: f32| v >= low;
        let cases: [(&str, Volume, bool); 14] = [
            ("a head", head.clone(), true),
            ("a head in 8 bits", map(&|v| (v / high * 255.0).round()), true),
            ("a head from 0 to 1", map(&|v| v / high), true),
            ("a z-scored head", map(&|v| (v - 100.0) / 150.0), true),
            ("a head, cut at a percentile", map(&|v| v.min(890.0)), true),
            ("a stripped brain", brain.clone(), true),
            ("a stripped brain on -1024", scene(1300.0, 3.0, |_| -1024.0), true),
            ("a signed map", map(&|v| if inside(v) { v - 550.0 } else { 0.0 }), false),
            ("a map of little evidence against", map(&|v| if inside(v) { v - 400.0 } else { 0.0 }), false),
            ("noise as far as 40 around the air", map(&|v| if inside(v) { v } else { 8.0 * v }), true),
            ("a mask", map(&|v| f32::from(u8::from(inside(v)))), false),
            ("a mask of 1 and 2", map(&|v| if inside(v) { 2.0 } else { 1.0 }), false),
            ("a soft mask", map(&|v| if inside(v) { (v / 500.0).min(1.0) } else { 0.0 }), false),
            (
                "labels of a coarse grid",
                Volume::from_fn(*brain.grid(), |[i, j, k]| {
                    if brain.at(i, j, k) > 0.0 { (1 + i / 3 + 20 * (j / 3) + 400 * (k / 3)) as f32 } else { 0.0 }
                }),
                false,
            ),
        ];
        for (name, volume, intensities) in cases {
            let contents = Contents::of(&volume);
            assert_eq!(contents.has_intensities(&volume), intensities, "{name}: {contents:?}");
        }
    }

    #[test]
    fn a_slab_in_a_whole_field_of_view_is_no_brain() {
        let head = scene(3500.0, 3.0, |_| 0.0);
        let slab = |from: usize, to: usize| {
            Volume::from_fn(*head.grid(), |[i, j, k]| if (from..to).contains(&k) { head.at(i, j, k) } else { 0.0 })
        };
        for (from, to, mm) in [(32, 46, 42.0), (30, 50, 60.0)] {
            let contents = Contents::of(&slab(from, to));
            assert_eq!((contents.kind, contents.thickness), (ContentsKind::Slab, mm), "{contents:?}");
            let what = contents.finding().unwrap().what;
            assert!(what.contains(&format!("over {mm:.0} mm alone along one axis")), "{what}");
        }
    }

    #[test]
    fn infinite_values_are_no_contents() {
        for air in [f32::NEG_INFINITY, f32::INFINITY] {
            let contents = Contents::of(&scene(1300.0, 3.0, |_| air));
            assert_eq!(contents.kind, ContentsKind::Brain, "{contents:?}");
            assert!((contents.differing / 1000.0 - 1300.0).abs() < 20.0);
            let image = scene(1300.0, 3.0, |_| air);
            assert_eq!(contents.inside(&image), image.map(|v| v.is_finite()), "nor are they inside");
        }
    }

    #[test]
    fn a_common_background_is_not_denied() {
        // A brain and, apart from it, a shell of as much again, as a skull behind dark fluid is.
        let image = scene(1300.0, 3.0, |[i, j, k]| {
            let off =
                [i, j, k].map(|v| (v as f64 + 0.5).mul_add(3.0, -120.0)).iter().map(|v| v * v).sum::<f64>().sqrt();
            let open = k > 20;
            if (76.0..92.0).contains(&off) && open { 900.0 } else { 0.0 }
        });
        let contents = Contents::of(&image);
        assert_eq!((contents.kind, &contents.background[..]), (ContentsKind::NoBackground, &[0.0][..]), "{contents:?}");
        let finding = contents.finding().unwrap();
        assert_eq!(finding.id, "more-than-a-brain");
        assert!(!finding.what.contains("no background"), "{}", finding.what);
        assert!(finding.what.contains("differ from the background, which is 0 at the sides"), "{}", finding.what);
    }

    #[test]
    fn slices_of_a_head_need_a_mask_however_few_they_are() {
        let head = scene(3500.0, 3.0, |_| 0.0);
        for (slices, padded) in [(16, false), (16, true), (4, false), (4, true)] {
            let (shape, from) = if padded { ([80; 3], 0) } else { ([80, 80, slices], 32) };
            let grid = Grid::new(shape, head.grid().affine).unwrap();
            let slab = Volume::from_fn(grid, |[i, j, k]| {
                if (32..32 + slices).contains(&(k + from)) { head.at(i, j, k + from) } else { 0.0 }
            });
            let contents = Contents::of(&slab);
            assert!(contents.needs_mask(), "{slices} {padded}: {contents:?}");
        }
        assert!(!Contents::of(&scene(1300.0, 3.0, |_| 0.0)).needs_mask());
        assert!(!Contents::of(&scene(500.0, 3.0, |_| 0.0)).needs_mask(), "a small child");
    }

    #[test]
    fn what_goes_on_beyond_the_image_is_cut() {
        let all = scene(1300.0, 3.0, |_| 0.0);
        // From below its middle on, 170 ml short of all.
        let grid = Grid::new([80, 80, 50], all.grid().affine).unwrap();
        let slab = Volume::from_fn(grid, |[i, j, k]| all.at(i, j, k + 30));
        let contents = Contents::of(&slab);
        assert_eq!(contents.kind, ContentsKind::Cut, "{contents:?}");
        assert!(contents.words().unwrap().contains("is cut off"));
    }
}
