//! [`Augmentation`]: random changes of the training volumes, so that a small cohort is not learnt by heart.

mod intensity;
mod warp;

use crate::{cohort::Preparation, setting::AUGMENT};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};
use voxplain_core::{
    Error, Result,
    random::{Random, Seed},
    remedy,
};
use warp::Warp;

/// Random changes of each training volume, drawn anew in every epoch. Left and right are exchanged on request only:
/// the hemispheres differ. What lies outside the mask is 0 before and after.
///
/// The words, and the usual strengths of what has a probability, are `TorchIO`'s (Pérez-García et al. 2021); the usual probability of each, a
/// half, is our choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Augmentation {
    /// Largest shift in voxels, along each axis and in both directions. Voxels that come from outside are 0.
    pub shift: usize,
    /// Largest relative change of the intensities: 0.1 multiplies them by a factor from 0.9 to 1.1.
    pub intensity: f64,
    /// Whether a volume is mirrored left to right (the first axis, RAS+) with probability 0.5.
    pub flip_left_right: bool,
    /// Turned, scaled and shifted about the centre of the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affine: Option<AffineChange>,
    /// Bent by cubic B-splines of 7 x 7 x 7 control points, of which the outer two layers stay; displacements of the others are up to
    /// that many mm along each axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Change>,
    /// Multiplied by a smooth field: the exponential of a polynomial of third order with coefficients up to that size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<Change>,
    /// Intensities, from the least to the largest of the mask, raised to a power whose logarithm is up to that size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<Change>,
    /// Blurred by a Gaussian of up to that many mm (standard deviation) along each axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<Change>,
    /// Normal noise of up to that share of the standard deviation of the intensities in the mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Change>,
}

/// A change that happens to a volume with a probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// How large it is at most.
    pub size: f64,
    /// How often it happens, up to 1.
    pub probability: f64,
}

/// Turning, scaling and shifting, with a probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffineChange {
    /// Largest angle about each axis, in degrees.
    pub degrees: f64,
    /// Largest relative change of the size along each axis: 0.1 scales from 0.9 to 1.1.
    pub scale: f64,
    /// Largest shift along each axis, in mm.
    pub shift: f64,
    /// How often it happens, up to 1.
    pub probability: f64,
}

/// A grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Voxels along each axis.
    pub(super) shape: [usize; 3],
    /// Their size in mm.
    pub(super) spacing: [f64; 3],
}

/// Memory that is used again for every volume.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    warped: Vec<f32>,
    warped_inside: Vec<bool>,
    inside: Vec<bool>,
    blurred: [Vec<f32>; 3],
}

/// The kinds of change that are there beside shift, intensity and flip: their name, `TorchIO`'s usual size, the largest that is taken, and
/// what the size is.
const KINDS: [(&str, f64, f64, &str); 5] = [
    ("elastic", 7.5, 50.0, "mm"),
    ("bias", 0.5, 2.0, "coefficients"),
    ("gamma", 0.3, 2.0, "logarithm of the power"),
    ("blur", 2.0, 20.0, "mm"),
    ("noise", 0.25, 2.0, "standard deviations"),
];

impl AffineChange {
    /// The usual one: `TorchIO`'s.
    pub const USUAL: Self = Self { degrees: 10.0, scale: 0.1, shift: 0.0, probability: Change::PROBABILITY };
}

impl Change {
    /// How often a change usually happens. Our choice.
    pub const PROBABILITY: f64 = 0.5;
}

impl Augmentation {
    /// No augmentation.
    pub const NONE: Self = Self {
        shift: 0,
        intensity: 0.0,
        flip_left_right: false,
        affine: None,
        elastic: None,
        bias: None,
        gamma: None,
        blur: None,
        noise: None,
    };
    /// The usual shift, 2 voxels: about what is uncertain in the placement of a brain on a 3 mm grid. Our choice.
    pub const SHIFT: usize = 2;
    /// The usual change of intensity, a tenth. Our choice.
    pub const INTENSITY: f64 = 0.1;

    pub(super) fn check(&self) -> Result<()> {
        if self.shift > 16 || !(0.0..1.0).contains(&self.intensity) {
            return Err(Error::request(
                format!("augmentation by {} voxels and {} of the intensity", self.shift, self.intensity),
                "shift by at most 16 voxels, vary intensities by less than 1",
            ));
        }
        let odds = |p: f64| p > 0.0 && p <= 1.0;
        if let Some(a) = self.affine {
            let nothing = a.degrees == 0.0 && a.scale == 0.0 && a.shift == 0.0;
            let fits =
                (0.0..=180.0).contains(&a.degrees) && (0.0..0.9).contains(&a.scale) && (0.0..=100.0).contains(&a.shift);
            if nothing || !fits || !odds(a.probability) {
                return Err(Error::request(
                    format!("augmentation {}", written(&[a.degrees, a.scale, a.shift], "affine", a.probability)),
                    "turn by up to 180 degrees, scale by less than 0.9, shift by up to 100 mm, not all of them 0, with a probability above 0 and \
                     up to 1",
                ));
            }
        }
        for ((name, usual, most, unit), change) in KINDS.into_iter().zip(self.changes()) {
            if let Some(c) = change.filter(|c| !(c.size > 0.0 && c.size <= most && odds(c.probability))) {
                return Err(Error::request(
                    format!("augmentation {}", written(&[c.size], name, c.probability)),
                    format!(
                        "give a size above 0 and up to {most} ({unit}), such as {usual}, and a probability above 0 and up to 1"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Refuses what a cohort is too small for.
    pub(super) fn check_on(&self, preparation: &Preparation) -> Result<()> {
        let place = Place { shape: preparation.shape, spacing: preparation.spacing };
        // Displacements of cubic B-splines by less than 0.4 cells never fold (Choi and Lee 2000).
        let most = 0.4 * warp::cell(place);
        match self.elastic.filter(|elastic| elastic.size > most) {
            None => Ok(()),
            Some(elastic) => Err(Error::request(
                format!("displacements of up to {} mm could fold the volumes of this cohort", elastic.size),
                remedy!["give at most ", AUGMENT.to(format!("elastic={}", (10.0 * most).floor() / 10.0))],
            )),
        }
    }

    /// The changes of [`KINDS`], in their order.
    fn changes(&self) -> [Option<Change>; 5] {
        [self.elastic, self.bias, self.gamma, self.blur, self.noise]
    }

    /// Whether it takes the mask of a volume to change it.
    pub(super) fn needs_mask(&self) -> bool {
        self.affine.is_some() || self.changes().iter().any(Option::is_some)
    }

    /// Copies a volume (C order) into `to`, changed at random. `inside` is its mask, which is looked at where [`Augmentation::needs_mask`].
    pub(super) fn vary(
        &self,
        (from, inside): (&[f32], &[bool]),
        place: Place,
        to: &mut [f32],
        (seed, scratch): (Seed, &mut Scratch),
    ) {
        if !self.needs_mask() {
            self.apply(from, place.shape, to, &mut seed.random());
            return;
        }
        let Scratch { warped, warped_inside, inside: moved, blurred } = scratch;
        let (mut from, mut inside) = (from, inside);
        if let Some(warp) = Warp::draw(self.affine, self.elastic, seed) {
            warped.resize(from.len(), 0.0);
            warped_inside.resize(from.len(), false);
            warp.resample((from, inside), place, (warped, warped_inside));
            (from, inside) = (warped, warped_inside);
        }
        let moves = self.apply(from, place.shape, to, &mut seed.random());
        moved.resize(to.len(), false);
        moves.carry(inside, place.shape, moved, |inside| inside);
        intensity::bias(self.bias, place, to, moved, seed.child("bias"));
        intensity::gamma(self.gamma, to, moved, seed.child("gamma"));
        intensity::blur(self.blur, place, (to, moved), blurred, seed.child("blur"));
        intensity::noise(self.noise, to, moved, seed.child("noise"));
    }

    /// Copies a volume of `shape` (C order) into `to`, shifted, flipped and scaled at random. Gives how it was moved.
    fn apply(&self, from: &[f32], shape: [usize; 3], to: &mut [f32], random: &mut Random) -> Moves {
        // Drawn whether used or not, so that one kind of change does not alter the draws of another.
        let moves: [isize; 3] = std::array::from_fn(|_| {
            let drawn = random.below(2 * self.shift + 1);
            drawn.cast_signed() - self.shift.cast_signed()
        });
        #[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
        let gain = random.range(1.0 - self.intensity, 1.0 + self.intensity) as f32;
        let flip = random.chance(0.5) && self.flip_left_right;
        let moves = Moves { by: moves, flip };
        moves.carry(from, shape, to, |value| value * gain);
        moves
    }
}

/// Whole voxels, and left and right.
#[derive(Clone, Copy, Debug)]
struct Moves {
    by: [isize; 3],
    flip: bool,
}

impl Moves {
    /// Carries values to where they go, changed; what comes from outside is 0.
    fn carry<T: Copy + Default>(self, from: &[T], shape: [usize; 3], to: &mut [T], change: impl Fn(T) -> T) {
        let Self { by: moves, flip } = self;
        let [ni, nj, nk] = shape;
        // Where index `n` of the result comes from, if from inside.
        let source = |n: usize, by: isize, length: usize| n.checked_add_signed(-by).filter(|&s| s < length);
        to.fill(T::default());
        for i in 0..ni {
            let Some(si) = source(i, moves[0], ni) else { continue };
            let si = if flip { ni - 1 - si } else { si };
            for j in 0..nj {
                let Some(sj) = source(j, moves[1], nj) else { continue };
                let row = &from[(si * nj + sj) * nk..][..nk];
                let out = &mut to[(i * nj + j) * nk..][..nk];
                for (k, value) in out.iter_mut().enumerate() {
                    if let Some(sk) = source(k, moves[2], nk) {
                        *value = change(row[sk]);
                    }
                }
            }
        }
    }
}

impl Default for Augmentation {
    /// The usual shift and change of intensity, no mirroring.
    fn default() -> Self {
        Self { shift: Self::SHIFT, intensity: Self::INTENSITY, ..Self::NONE }
    }
}

impl fmt::Display for Augmentation {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shift, intensity, flip_left_right, affine, .. } = *self;
        let mut parts = vec![
            (shift > 0).then(|| format!("shift={shift}")),
            (intensity > 0.0).then(|| format!("intensity={intensity}")),
            flip_left_right.then(|| "flip-left-right".to_owned()),
            affine.map(|a| written(&[a.degrees, a.scale, a.shift], "affine", a.probability)),
        ];
        let changes = KINDS.iter().zip(self.changes());
        parts.extend(changes.map(|((name, ..), change)| change.map(|c| written(&[c.size], name, c.probability))));
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

/// `blur=2@0.5`, `affine=10:0.1:0@0.5`.
fn written(sizes: &[f64], name: &str, probability: f64) -> String {
    let sizes: Vec<String> = sizes.iter().map(f64::to_string).collect();
    format!("{name}={}@{probability}", sizes.join(":"))
}

impl FromStr for Augmentation {
    type Err = String;

    /// `none`, or a list of `shift`, `intensity`, `flip-left-right`, `affine`, `elastic`, `bias`, `gamma`, `blur`, `noise`; `shift=3` and
    /// `intensity=0.2` say how much, `blur=2@0.3` also how often, `affine=10:0.1:5` has degrees, scale and mm.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut augment = Self::NONE;
        if text.trim() == "none" {
            return Ok(augment);
        }
        let mut seen = BTreeSet::new();
        for part in text.split(',').map(str::trim) {
            let (kind, value) = part.split_once('=').map_or((part, None), |(k, v)| (k, Some(v)));
            let known = part.split(['=', '@']).next().unwrap_or_default();
            if known == "none" {
                return Err(format!("`none` stands beside others in `{text}`: give it alone, or leave it out"));
            }
            if !seen.insert(known) {
                return Err(format!("`{known}` is given twice: give it once"));
            }
            if known == "affine" || KINDS.iter().any(|(name, ..)| *name == known) {
                augment.read(known, part)?;
                continue;
            }
            let number = |value: &str| value.parse::<f64>().map_err(|_| format!("`{value}` in `{part}` is no number"));
            match (kind, value) {
                ("shift", None) => augment.shift = Self::SHIFT,
                ("shift", Some(v)) => augment.shift = v.parse().map_err(|_| format!("`{v}` is no number of voxels"))?,
                ("intensity", None) => augment.intensity = Self::INTENSITY,
                ("intensity", Some(v)) => augment.intensity = number(v)?,
                ("flip-left-right", None) => augment.flip_left_right = true,
                _ if known == "shift" || known == "intensity" || known == "flip-left-right" => {
                    return Err(format!(
                        "`{part}` is not understood: shift=2 and intensity=0.1 take a number and no probability, flip-left-right neither"
                    ));
                }
                _ => {
                    return Err(format!(
                        "`{part}` is unknown; there are: none, shift, intensity, flip-left-right, affine, elastic, bias, gamma, blur, noise"
                    ));
                }
            }
        }
        Ok(augment)
    }
}

impl Augmentation {
    /// Takes a part of a list in that is about a kind with a probability.
    fn read(&mut self, kind: &str, part: &str) -> Result<(), String> {
        let number = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` in `{part}` is no number"));
        let (size, probability) = match part.split_once('@') {
            None => (part, Change::PROBABILITY),
            Some((size, probability)) => (size, number(probability)?),
        };
        let sizes = size.split_once('=').map(|(_, sizes)| sizes.split(':').map(number).collect::<Result<Vec<_>, _>>());
        let sizes = sizes.transpose()?;
        if kind == "affine" {
            let usual = AffineChange::USUAL;
            let [degrees, scale, shift] = match sizes.as_deref() {
                None => [usual.degrees, usual.scale, usual.shift],
                Some([degrees, scale, shift]) => [*degrees, *scale, *shift],
                Some(_) => {
                    return Err(format!(
                        "`{part}` is to have three numbers, degrees, scale and mm, as in affine=10:0.1:0"
                    ));
                }
            };
            self.affine = Some(AffineChange { degrees, scale, shift, probability });
            return Ok(());
        }
        let size = match (sizes.as_deref(), KINDS.iter().find(|(name, ..)| *name == kind)) {
            (Some([size]), _) => *size,
            (None, Some((_, usual, ..))) => *usual,
            _ => return Err(format!("`{part}` has too many numbers: give one, as in {kind}=1")),
        };
        let change = Some(Change { size, probability });
        match kind {
            "elastic" => self.elastic = change,
            "bias" => self.bias = change,
            "gamma" => self.gamma = change,
            "blur" => self.blur = change,
            _ => self.noise = change,
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
mod tests {
    use super::*;

    #[test]
    fn lists_are_understood() {
        assert_eq!("none".parse(), Ok(Augmentation::NONE));
        assert_eq!("shift,intensity".parse(), Ok(Augmentation::default()));
        assert_eq!(
            "shift=1, intensity=0.2".parse(),
            Ok(Augmentation { shift: 1, intensity: 0.2, ..Augmentation::NONE })
        );
        for text in ["none", "shift=1", "shift=3,intensity=0.25,flip-left-right"] {
            assert_eq!(text.parse::<Augmentation>().unwrap().to_string(), text);
        }
        assert!("flip".parse::<Augmentation>().unwrap_err().contains("flip-left-right"));
        assert!("shift=x".parse::<Augmentation>().is_err());
        let every = "shift=1,affine=12:0.2:3@0.25,elastic=7.5@0.5,bias=0.5@1,gamma=0.3@0.1,blur=2@0.5,noise=0.25@0.75";
        assert_eq!(every.parse::<Augmentation>().unwrap().to_string(), every);
        let usual: Augmentation = "affine=5:0:0,elastic,noise@0.2".parse().unwrap();
        assert_eq!(usual.to_string(), "affine=5:0:0@0.5,elastic=7.5@0.5,noise=0.25@0.2");
        for (text, part) in [("shift,shift=2", "`shift` is given twice"), ("none,shift", "`none` stands beside")] {
            assert!(text.parse::<Augmentation>().unwrap_err().contains(part), "{text}");
        }
        assert_eq!("affine".parse::<Augmentation>().unwrap().affine, Some(AffineChange::USUAL));
        for (text, part) in [
            ("blur=1:2", "too many"),
            ("affine=1:2:3:4", "three numbers"),
            ("affine=90", "three numbers"),
            ("gamma=x", "`x` in"),
            ("gamma@y", "`y` in"),
        ] {
            assert!(text.parse::<Augmentation>().unwrap_err().contains(part), "{text}");
        }
        for text in [
            "blur=0",
            "blur=2@0",
            "noise@1.5",
            "affine=0:0:0",
            "affine=10:0.95:0",
            "gamma=NaN",
            "elastic=-1",
            "affine@-0.5",
        ] {
            assert!(text.parse::<Augmentation>().unwrap().check().is_err(), "{text}");
        }
        assert!(usual.check().is_ok());
    }

    /// Whatever is drawn: outside the mask, which moves with the brain, all is 0, values are numbers, and the same seed gives the same.
    #[test]
    fn outside_the_brain_the_baseline_stays() {
        let place = Place { shape: [12, 14, 10], spacing: [8.0, 8.0, 8.0] };
        let voxel = |n: usize| [n / 140, n / 10 % 14, n % 10];
        let inside: Vec<bool> =
            (0..1680).map(|n| voxel(n).iter().zip(place.shape).all(|(x, n)| (3..n - 3).contains(x))).collect();
        let mut random = Random::new(1);
        let from: Vec<f32> =
            inside.iter().map(|inside| if *inside { 5.0 + random.normal() as f32 } else { 0.0 }).collect();
        let augment: Augmentation =
            "shift=1,flip-left-right,affine=15:0.1:4@0.9,elastic@0.9,bias=0.2@0.9,gamma@0.9,blur=6@0.9,noise@0.9"
                .parse()
                .unwrap();
        let mut scratch = Scratch::default();
        let mut changed = 0;
        for n in 0..40 {
            let seed = Seed::new(7).index(n);
            let (mut to, mut again) = (vec![9.0; 1680], vec![3.0; 1680]);
            augment.vary((&from, &inside), place, &mut to, (seed, &mut scratch));
            augment.vary((&from, &inside), place, &mut again, (seed, &mut Scratch::default()));
            assert!(to == again && to.iter().all(|v| v.is_finite()));
            augment.vary((&from, &inside), place, &mut again, (seed, &mut scratch));
            assert!(to.iter().zip(&scratch.inside).all(|(v, inside)| *inside || *v == 0.0), "{n}");
            // The brain keeps about its size.
            let size = scratch.inside.iter().filter(|inside| **inside).count();
            let before = inside.iter().filter(|inside| **inside).count();
            assert!((before / 2..2 * before).contains(&size), "{n}: {before} {size}");
            changed += usize::from(to != from);
        }
        assert_eq!(changed, 40);
        // A kind that never happens changes no draw of the others.
        let (mut with, mut without) = (vec![0.0; 1680], vec![0.0; 1680]);
        let rare: Augmentation = "shift,intensity,noise@1e-12".parse().unwrap();
        rare.vary((&from, &inside), place, &mut with, (Seed::new(3), &mut scratch));
        Augmentation::default().vary((&from, &inside), place, &mut without, (Seed::new(3), &mut scratch));
        assert_eq!(with, without);
    }

    #[test]
    fn shifts_are_centred_and_whole() {
        // One bright voxel in the middle of 5 x 5 x 5 goes everywhere within one voxel, evenly in both directions.
        let mut from = vec![0.0; 125];
        from[62] = 1.0;
        let augment = Augmentation { shift: 1, ..Augmentation::NONE };
        let mut random = Random::new(3);
        let mut seen = [0usize; 125];
        let mut to = vec![9.0; 125];
        for _ in 0..2700 {
            augment.apply(&from, [5; 3], &mut to, &mut random);
            assert_eq!(to.iter().filter(|&&v| v != 0.0).count(), 1);
            seen[to.iter().position(|&v| v == 1.0).unwrap()] += 1;
        }
        let near = |n: usize| [n / 25, n / 5 % 5, n % 5].iter().all(|x| (1..=3).contains(x));
        for (n, seen) in seen.into_iter().enumerate() {
            assert_eq!((51..170).contains(&seen), near(n), "{n}: {seen}");
        }
    }

    #[test]
    fn nothing_changes_nothing_and_mirrors_mirror_the_first_axis() {
        let from: Vec<f32> = (0u8..24).map(f32::from).collect();
        let mut to = vec![0.0; 24];
        for seed in 0..20 {
            Augmentation::NONE.apply(&from, [2, 3, 4], &mut to, &mut Random::new(seed));
            assert_eq!(to, from);
        }
        let flip = Augmentation { flip_left_right: true, ..Augmentation::NONE };
        let mirrored: Vec<f32> = [&from[12..], &from[..12]].concat();
        let mut flips = 0;
        for seed in 0..100 {
            flip.apply(&from, [2, 3, 4], &mut to, &mut Random::new(seed));
            assert!(to == from || to == mirrored);
            flips += usize::from(to == mirrored);
        }
        assert!((30..70).contains(&flips), "{flips}");
    }
}
