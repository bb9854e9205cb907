//! [`Rise`]: the score of the image seen through random masks, and which voxels it goes with.

use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::probe::Probe;
use crate::record::{Attribution, Passes};
use crate::schema::{OptionSchema, Unit};
use crate::separable::{AxisMap, Separable};
use crate::target::Score;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::random::Seed;
use voxplain_core::{Error, Result};

/// RISE (Petsiuk et al. 2018, arXiv 1806.07421), in three dimensions.
///
/// A mask is a coarse lattice of cells that are 1 with probability `p` and else 0, interpolated to the volume and shifted at
/// random: `cells + 1` cells along each axis, `C = ceil(length / cells)` voxels apart, shifted by 0 to `C - 1` voxels. The network is shown
/// `M x + (1 - M) b`, and the map is
///
/// ```text
/// 1 / (N p (1 - p)) * sum_n (S_n - mean S) (M_n - p)
/// ```
///
/// at each voxel: for a voxel at the middle of a cell, what the score gains where the cell is shown rather than covered.
///
/// Where this differs from the paper: its `1 / (N p) sum S_n M_n` has the mean score in every voxel, which only centring
/// takes away; masks come in antithetic pairs (where one cell is shown in the first it is covered in the second, and with `p = 1/2` the
/// second is `1 - M`), which takes most of the noise of the mean score away; the baseline is the mean of the brain, not 0, which is no
/// neutral value after normalisation; interpolation takes the nearest value beyond the outer cells.
///
/// The standard error of each voxel is that of the mean over pairs; the record has its median and largest value over the brain, and how
/// many voxels of the brain stand out from 0 by more than two of them.
///
/// Cost: `masks` passes forward. The paper takes 4000 to 8000 masks; with the default
/// half of the brain of a real head stands out from 0 by two standard errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rise {
    /// Masks; an even number of at least 4.
    pub masks: usize,
    /// Cells along each axis that the volume is as long as.
    pub cells: usize,
    /// Probability that a cell is shown.
    pub probability: f64,
    /// What covers; a harmonic one would need edges.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for Rise {
    fn default() -> Self {
        Self { masks: 2000, cells: 8, probability: 0.5, baseline: Baseline::ImageMean, blur: 10.0, seed: Seed::new(0) }
    }
}

impl Method for Rise {
    const NAME: &'static str = "rise";
    const SUMMARY: &'static str = "how the score goes with what random masks show of each voxel (Petsiuk 2018)";
    const FAMILY: Family = Family::Perturbation;
    const CITATION: Option<Citation> = Some(citation::PETSIUK_2018);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::whole("masks", 4, u64::MAX, "masks; an even number"),
        OptionSchema::whole("cells", 1, u64::MAX, "cells along each axis"),
        OptionSchema::number("probability", Unit::None, 0.0, 1.0, "probability that a cell is shown"),
        OptionSchema::baseline("what covers"),
        OptionSchema::BLUR,
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;
    const BASELINES: &'static [Baseline] = Baseline::FOR_SOFT_MASKS;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.check()?;
        BaselineOptions::new(Self::NAME, self.baseline, self.blur).check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl Rise {
    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::request(what, "leave it out to take the default"));
        if self.masks < 4 || !self.masks.is_multiple_of(2) {
            return wrong(format!("rise.masks={}: expected an even number of at least 4", self.masks));
        }
        if self.cells == 0 {
            return wrong("rise.cells=0: expected at least 1".into());
        }
        if !(self.probability > 0.0 && self.probability < 1.0) {
            return wrong(format!("rise.probability={}: expected more than 0 and less than 1", self.probability));
        }
        Ok(())
    }

    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let mut probe = Probe::new(explainer, case, self.target())?;
        let baseline = BaselineOptions::new(Self::NAME, self.baseline, self.blur);
        let baseline = baseline.image(explainer, case, &probe.objective)?;
        let masks =
            Masks { options: self, shape: case.image.shape(), seed: self.seed.child(Self::NAME).child(case.id) };
        let voxels = case.voxels();
        let mut mask = vec![0.0; voxels];
        let scores = probe.scores(explainer, self.masks, |n, copy| {
            masks.write(n, &mut mask);
            blend(&mask, &baseline, copy);
        })?;

        // Masks are drawn again rather than kept: that is cheaper than a pass and needs no memory.
        let n = scores.len() as f64;
        let center = scores.iter().sum::<f64>() / n;
        let (mut sums, mut squares) = (vec![0.0f64; voxels], vec![0.0f64; voxels]);
        let mut other = vec![0.0; voxels];
        let p = self.probability;
        for (pair, scores) in scores.chunks_exact(2).enumerate() {
            masks.write(2 * pair, &mut mask);
            masks.write(2 * pair + 1, &mut other);
            let [a, b] = [scores[0] - center, scores[1] - center];
            let seen = mask.iter().zip(&other);
            for ((sum, square), (&m, &o)) in sums.iter_mut().zip(&mut squares).zip(seen) {
                let share = (a * (f64::from(m) - p) + b * (f64::from(o) - p)) / 2.0;
                *sum += share;
                *square += share * share;
            }
        }
        let pairs = n / 2.0;
        let scale = 1.0 / (p * (1.0 - p));
        #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
        let map: Vec<f32> = sums.iter().map(|sum| (scale * sum / pairs) as f32).collect();
        let error = |(sum, square): (&f64, &f64)| {
            let variance = (square / pairs - (sum / pairs).powi(2)).max(0.0) * pairs / (pairs - 1.0);
            scale * (variance / pairs).sqrt()
        };
        let errors: Vec<f64> = sums.iter().zip(&squares).map(error).collect();

        let (brain, brain_is) = case.brain();
        let inside: Vec<usize> = (0..voxels).filter(|&n| brain.data()[n]).collect();
        let mut in_brain: Vec<f64> = inside.iter().map(|&n| errors[n]).collect();
        in_brain.sort_by(f64::total_cmp);
        let clear = inside.iter().filter(|&&n| f64::from(map[n].abs()) > 2.0 * errors[n]).count();
        let clear = clear as f64 / inside.len() as f64;

        let ood_distance = probe.ood_distance(explainer)?;
        let mut record = self.record(explainer, case, &probe.objective, &probe.logits);
        record.units = format!("{}: gained where a cell about the voxel is shown rather than covered", case.score);
        record.sign = "positive: showing this raises the explained score".into();
        record.passes = Passes { forward: probe.passes, backward: 0 };
        let spread = (scores.iter().map(|s| (s - center).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        record.measured = json!({
            "MeanScore": center, "StandardDeviationOfScores": spread,
            "MedianStandardError": in_brain[in_brain.len() / 2], "LargestStandardError": in_brain[in_brain.len() - 1],
            "ShareBeyondTwoStandardErrors": clear, "DistanceFromTraining": ood_distance, "BrainIs": brain_is,
        });
        if clear < 0.1 {
            record.warnings.push(format!(
                "Only {:.0} % of {brain_is} stands out from 0 by two standard errors (5 % would by chance): give more masks (rise.masks).",
                100.0 * clear
            ));
        }
        Attribution::new(case, map, record)
    }
}

/// `M x + (1 - M) b`, in place of `x`, in every channel.
fn blend(mask: &[f32], baseline: &[f32], image: &mut [f32]) {
    for (image, baseline) in image.chunks_mut(mask.len()).zip(baseline.chunks(mask.len())) {
        image.iter_mut().zip(baseline).zip(mask).for_each(|((x, b), m)| *x = m * *x + (1.0 - m) * b);
    }
}

/// The masks of one case, each a function of its number.
#[derive(Clone, Copy, Debug)]
struct Masks<'a> {
    options: &'a Rise,
    shape: [usize; 3],
    seed: Seed,
}

impl Masks<'_> {
    /// Voxels from one cell to the next, along each axis.
    fn pitch(&self) -> [usize; 3] {
        self.shape.map(|n| n.div_ceil(self.options.cells))
    }

    /// Writes a mask; those of odd number are antithetic to the one before.
    fn write(&self, number: usize, mask: &mut [f32]) {
        let mut random = self.seed.index(number as u64 / 2).random();
        let shift = self.pitch().map(|pitch| random.below(pitch));
        let count = (self.options.cells + 1).pow(3);
        let cells: Vec<f32> = (0..count)
            .map(|_| {
                let draw = random.uniform();
                let draw = if number.is_multiple_of(2) { draw } else { 1.0 - draw };
                f32::from(u8::from(draw < self.options.probability))
            })
            .collect();
        self.interpolation(shift).apply(&cells, mask);
    }

    /// From the cells to the volume, shifted.
    fn interpolation(&self, shift: [usize; 3]) -> Separable {
        let pitch = self.pitch();
        Separable::new(&std::array::from_fn(|a| {
            AxisMap::interpolate(self.options.cells + 1, self.shape[a], |v| {
                ((v + shift[a]) as f64 + 0.5) / pitch[a] as f64 - 0.5
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(options: &Rise) -> Masks<'_> {
        Masks { options, shape: [6, 7, 5], seed: Seed::new(3) }
    }

    #[test]
    fn masks_have_their_mean_and_pairs_complete_each_other() {
        let options = Rise { cells: 2, ..Rise::default() };
        let masks = masks(&options);
        let (mut first, mut second) = (vec![0.0; 210], vec![0.0; 210]);
        let mut mean = vec![0.0; 210];
        for pair in 0..400 {
            masks.write(2 * pair, &mut first);
            masks.write(2 * pair + 1, &mut second);
            assert!(
                first.iter().zip(&second).all(|(a, b)| (a + b - 1.0).abs() < 1e-6 && (-1e-6..1.000_001).contains(a))
            );
            mean.iter_mut().zip(&first).for_each(|(m, v)| *m += f64::from(*v) / 400.0);
        }
        // A voxel's mask has a standard deviation of at most 1/2.
        assert!(mean.iter().all(|m| (m - 0.5).abs() < 5.0 * 0.5 / 20.0), "{mean:?}");
        let options = Rise { probability: 0.2, ..options };
        let masks = Masks { options: &options, ..masks };
        let mut sum = 0.0;
        for n in 0..400 {
            masks.write(n, &mut first);
            sum += f64::from(first.iter().sum::<f32>()) / 210.0 / 400.0;
        }
        assert!((sum - 0.2).abs() < 0.02, "{sum}");
    }

    #[test]
    fn every_shift_lies_within_the_cells() {
        // With as many shifts as voxels between cells, the centre of every voxel is at most half a cell outside the outer centres.
        for (length, cells) in [(58, 8), (70, 8), (7, 2), (1, 3), (5, 9)] {
            let pitch = usize::div_ceil(length, cells);
            for shift in 0..pitch {
                let at = |v: usize| ((v + shift) as f64 + 0.5) / pitch as f64 - 0.5;
                assert!(at(0) >= -0.5 && at(length - 1) <= cells as f64 + 0.5, "{length} {cells} {shift}");
            }
        }
    }
}
