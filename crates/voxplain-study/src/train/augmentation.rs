//! [`Augmentation`]: random changes of the training volumes, so that a small cohort is not learnt by heart.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use voxplain_core::{Error, Result, random::Random};

/// Random changes of each training volume, drawn anew in every epoch. Left and right are exchanged on request only:
/// the hemispheres differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Augmentation {
    /// Largest shift in voxels, along each axis and in both directions. Voxels that come from outside are 0.
    pub shift: usize,
    /// Largest relative change of the intensities: 0.1 multiplies them by a factor from 0.9 to 1.1.
    pub intensity: f64,
    /// Whether a volume is mirrored left to right (the first axis, RAS+) with probability 0.5.
    pub flip_left_right: bool,
}

impl Augmentation {
    /// No augmentation.
    pub const NONE: Self = Self { shift: 0, intensity: 0.0, flip_left_right: false };
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
        Ok(())
    }

    /// Copies a volume of `shape` (C order) into `to`, changed at random.
    pub(super) fn apply(&self, from: &[f32], shape: [usize; 3], to: &mut [f32], random: &mut Random) {
        // Drawn whether used or not, so that one kind of change does not alter the draws of another.
        let moves: [isize; 3] = std::array::from_fn(|_| {
            let drawn = random.below(2 * self.shift + 1);
            drawn.cast_signed() - self.shift.cast_signed()
        });
        #[expect(clippy::cast_possible_truncation, reason = "intensities are f32")]
        let gain = random.range(1.0 - self.intensity, 1.0 + self.intensity) as f32;
        let flip = random.chance(0.5) && self.flip_left_right;
        let [ni, nj, nk] = shape;
        // Where index `n` of the result comes from, if from inside.
        let source = |n: usize, by: isize, length: usize| n.checked_add_signed(-by).filter(|&s| s < length);
        to.fill(0.0);
        for i in 0..ni {
            let Some(si) = source(i, moves[0], ni) else { continue };
            let si = if flip { ni - 1 - si } else { si };
            for j in 0..nj {
                let Some(sj) = source(j, moves[1], nj) else { continue };
                let row = &from[(si * nj + sj) * nk..][..nk];
                let out = &mut to[(i * nj + j) * nk..][..nk];
                for (k, value) in out.iter_mut().enumerate() {
                    if let Some(sk) = source(k, moves[2], nk) {
                        *value = row[sk] * gain;
                    }
                }
            }
        }
    }
}

impl Default for Augmentation {
    /// The usual shift and change of intensity, no mirroring.
    fn default() -> Self {
        Self { shift: Self::SHIFT, intensity: Self::INTENSITY, flip_left_right: false }
    }
}

impl fmt::Display for Augmentation {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shift, intensity, flip_left_right } = *self;
        let parts = [
            (shift > 0).then(|| format!("shift={shift}")),
            (intensity > 0.0).then(|| format!("intensity={intensity}")),
            flip_left_right.then(|| "flip-left-right".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Augmentation {
    type Err = String;

    /// `none`, or a list of `shift`, `intensity`, `flip-left-right`; `shift=3` and `intensity=0.2` say how much.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut augment = Self::NONE;
        for part in text.split(',').map(str::trim).filter(|p| *p != "none") {
            let (kind, value) = part.split_once('=').map_or((part, None), |(k, v)| (k, Some(v)));
            let number = |value: &str| value.parse::<f64>().map_err(|_| format!("`{value}` in `{part}` is no number"));
            match (kind, value) {
                ("shift", None) => augment.shift = Self::SHIFT,
                ("shift", Some(v)) => augment.shift = v.parse().map_err(|_| format!("`{v}` is no number of voxels"))?,
                ("intensity", None) => augment.intensity = Self::INTENSITY,
                ("intensity", Some(v)) => augment.intensity = number(v)?,
                ("flip-left-right", None) => augment.flip_left_right = true,
                _ => return Err(format!("`{part}` is unknown; there are: none, shift, intensity, flip-left-right")),
            }
        }
        Ok(augment)
    }
}

#[cfg(test)]
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
