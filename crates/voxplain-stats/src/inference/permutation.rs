//! [`Permutation`]: how large statistics are when nothing is there, by shuffling.

use super::{
    cluster::Clusters,
    correction::{TIE, p_of_maximum},
    lattice::Lattice,
    model::{Fit, Model, Shuffled},
    rows::Rows,
    shuffle::{Shuffle, Shuffles},
    tail::ParetoTail,
    tfce::{Tfce, TfceScratch},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Progress, Result, random::Seed};

/// Which side of 0 counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Both, by the size of the statistic.
    #[default]
    Two,
    /// What is above 0 alone; the only one of F.
    Above,
}

/// Over what the largest statistic is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Voxels, by their statistic.
    Voxel,
    /// Voxels, by threshold-free cluster enhancement.
    Tfce,
    /// Clusters, by their extent.
    Extent,
    /// Clusters, by their mass.
    Mass,
}

/// An analysis: a model at every voxel of a mask, and what is counted under its shuffles.
#[derive(Clone, Debug)]
pub struct Permutation {
    /// What is fitted.
    pub model: Model,
    /// The shuffles.
    pub shuffles: Shuffles,
    /// The voxels.
    pub lattice: Lattice,
    /// Which side counts.
    pub sides: Sides,
    /// The enhancement, where it is wanted.
    pub tfce: Option<Tfce>,
    /// From which size of the statistic on voxels form clusters, where these are wanted.
    pub threshold: Option<f32>,
}

/// What was counted. It can be kept in a file and gone on with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Shuffles that are counted, without the data as they are.
    pub done: usize,
    /// How many of them had a statistic at least as large, voxel by voxel.
    pub voxel: Vec<u32>,
    /// The same, enhanced.
    pub tfce: Vec<u32>,
    /// The largest statistic of the data as they are and of each shuffle.
    pub largest: Vec<f32>,
    /// The largest when enhanced.
    pub largest_tfce: Vec<f32>,
    /// The largest extent of a cluster, in voxels.
    pub largest_extent: Vec<f32>,
    /// The largest mass of one.
    pub largest_mass: Vec<f32>,
}

/// A list of counts.
type List<T> = fn(&Counts) -> &[T];

/// Voxels that one thread computes at a time: their residuals stay in its cache.
const BLOCK: usize = 128;
/// Shuffles at a time, at most.
const BATCH: usize = 128;

impl Permutation {
    /// Fits the data as they are: statistic, effect and standard error at each voxel, and the enhanced statistic.
    ///
    /// # Errors
    /// The rows cannot be read, or are not those of the model and the mask.
    pub fn observe(&self, rows: &dyn Rows) -> Result<(Fit, Option<Vec<f32>>)> {
        if rows.subjects() != self.model.subjects() || rows.voxels() != self.lattice.len() {
            return Err(Error::request(
                format!(
                    "{} subjects with {} voxels each do not fit a design of {} subjects and a mask of {} voxels",
                    rows.subjects(),
                    rows.voxels(),
                    self.model.subjects(),
                    self.lattice.len()
                ),
                "give the rows of the design's subjects at the mask's voxels",
            ));
        }
        let identity = self.model.shuffled(&Shuffle::identity(rows.subjects()));
        let starts: Vec<usize> = (0..rows.voxels()).step_by(BLOCK).collect();
        let blocks = starts.into_par_iter().map(|first| {
            let count = BLOCK.min(rows.voxels() - first);
            let mut values = vec![0.0; rows.subjects() * count];
            rows.read(first, &mut values)?;
            Ok(self.model.block(&values, count).fit_all(&identity))
        });
        let mut whole = Fit::default();
        for fit in blocks.collect::<Result<Vec<Fit>>>()? {
            whole.statistic.extend(fit.statistic);
            whole.effect.extend(fit.effect);
            whole.error.extend(fit.error);
        }
        let enhanced = self.tfce.map(|tfce| {
            let mut enhanced = vec![0.0; whole.statistic.len()];
            let map = self.counted(&whole.statistic);
            tfce.enhance(&self.lattice, &map, &mut TfceScratch::new(&self.lattice), &mut enhanced);
            enhanced
        });
        Ok((whole, enhanced))
    }

    /// The least p that can occur, whatever the data: the share of the shuffles, the data as they are among them, that leave the size of
    /// every statistic as it is. Of a two-sided test these are two where all signs are flipped, or two groups of one size exchanged.
    /// Where not all shuffles are taken, it is one of them.
    ///
    /// Found by their statistics at voxels of random values, which agree by chance with probability 0.
    pub fn least_p(&self) -> f64 {
        const VOXELS: usize = 4;
        let all = (self.shuffles.len() + 1) as f64;
        if !self.shuffles.are_all() {
            return 1.0 / all;
        }
        let subjects = self.model.subjects();
        let mut random = Seed::new(1).random();
        #[expect(clippy::cast_possible_truncation, reason = "any values do")]
        let values: Vec<f32> = (0..subjects * VOXELS).map(|_| random.normal() as f32).collect();
        let mut block = self.model.block(&values, VOXELS);
        let mut observed = [0.0f32; VOXELS];
        block.fit(&self.model.shuffled(&Shuffle::identity(subjects)), &mut observed);
        let mut same = 1usize;
        for n in 0..self.shuffles.len() {
            let mut map = [0.0f32; VOXELS];
            block.fit(&self.model.shuffled(&self.shuffles.get(n)), &mut map);
            let is_same = |(a, b): (&f32, &f32)| (self.size(*a) - self.size(*b)).abs() <= 1e-4 * (1.0 + b.abs());
            same += usize::from(map.iter().zip(&observed).all(is_same));
        }
        same as f64 / all
    }

    /// A map without the side that does not count.
    pub fn counted(&self, map: &[f32]) -> Vec<f32> {
        let mut map = map.to_vec();
        self.drop_uncounted(&mut map);
        map
    }

    fn drop_uncounted(&self, map: &mut [f32]) {
        if self.sides == Sides::Above {
            map.iter_mut().for_each(|v| *v = v.max(0.0));
        }
    }

    /// What is compared of a value: its size, or itself where one side counts.
    pub fn size(&self, value: f32) -> f32 {
        match self.sides {
            Sides::Two => value.abs(),
            Sides::Above => value,
        }
    }

    /// Whether a shuffle's value is at least as large as that of the data.
    fn reaches(&self, shuffled: f32, observed: f32) -> bool {
        let observed = self.size(observed);
        self.size(shuffled) >= observed - TIE * observed.abs()
    }

    /// Counts all shuffles that are not counted yet: [`Permutation::count`] of every number.
    ///
    /// # Errors
    /// Those of [`Permutation::count`].
    pub fn run(
        &self,
        rows: &dyn Rows,
        observed: (&Fit, Option<&[f32]>),
        counts: &mut Counts,
        bytes: usize,
        progress: &dyn Progress,
    ) -> Result<()> {
        let all: Vec<usize> = (0..self.shuffles.len()).collect();
        self.count(&all, rows, observed, counts, bytes, progress)
    }

    /// Counts the shuffles of these numbers, in this order, of which the first [`Counts::done`] are counted already. Where it is interrupted,
    /// `counts` holds those that are done, and it can be called again. Maps of several shuffles are held at once, in at most so many bytes (of
    /// one shuffle at least). What several calls counted of numbers of their own is put together by [`Counts::together`].
    ///
    /// # Errors
    /// Rows cannot be read; it is interrupted.
    pub fn count(
        &self,
        numbers: &[usize],
        rows: &dyn Rows,
        (fit, enhanced): (&Fit, Option<&[f32]>),
        counts: &mut Counts,
        bytes: usize,
        progress: &dyn Progress,
    ) -> Result<()> {
        let voxels = rows.voxels();
        if counts.largest.is_empty() {
            *counts = self.begin(fit, enhanced);
        }
        let batch = (bytes / (8 * voxels)).clamp(1, BATCH);
        let mut maps = vec![0.0f32; batch * voxels];
        let mut raised = vec![0.0f32; if self.tfce.is_some() { batch * voxels } else { 0 }];
        progress.begin("shuffles", numbers.len().saturating_sub(counts.done));
        while counts.done < numbers.len() {
            progress.go_on()?;
            let now = batch.min(numbers.len() - counts.done);
            let shuffled: Vec<Shuffled> = (numbers[counts.done..][..now].iter())
                .map(|&number| self.model.shuffled(&self.shuffles.get(number)))
                .collect();
            let maps = &mut maps[..now * voxels];
            // Block by block: within each, shuffle by shuffle. What is counted waits until the whole batch is done.
            let reached = (maps.par_chunks_mut(now * BLOCK).zip(fit.statistic.par_chunks(BLOCK)).enumerate())
                .map(|(number, (maps, observed))| {
                    let count = observed.len();
                    let mut values = vec![0.0; rows.subjects() * count];
                    rows.read(number * BLOCK, &mut values)?;
                    let mut block = self.model.block(&values, count);
                    let mut reached = vec![0u32; count];
                    for (shuffled, map) in shuffled.iter().zip(maps.chunks_exact_mut(count)) {
                        block.fit(shuffled, map);
                        for ((reached, value), observed) in reached.iter_mut().zip(&*map).zip(observed) {
                            *reached += u32::from(self.reaches(*value, *observed));
                        }
                    }
                    Ok(reached)
                })
                .collect::<Result<Vec<Vec<u32>>>>()?;
            let maps = &*maps;
            let raised = &mut raised[..if self.tfce.is_some() { now * voxels } else { 0 }];
            let mut rows_of_raised: Vec<&mut [f32]> = if raised.is_empty() {
                (0..now).map(|_| Default::default()).collect()
            } else {
                raised.chunks_exact_mut(voxels).collect()
            };
            let largest: Vec<[f32; 4]> = (rows_of_raised.par_iter_mut().enumerate())
                .map_init(
                    || (vec![0.0f32; voxels], self.tfce.map(|_| TfceScratch::new(&self.lattice))),
                    |(map, work), (n, raised)| {
                        gather(maps, n, now, map);
                        self.largest(map, raised, work.as_mut())
                    },
                )
                .collect();
            if let Some(observed) = enhanced {
                let raised = &*raised;
                counts.tfce.par_iter_mut().zip(observed).enumerate().for_each(|(voxel, (count, observed))| {
                    let reach = (0..now).filter(|n| self.reaches(raised[n * voxels + voxel], *observed));
                    *count += u32::try_from(reach.count()).unwrap_or(u32::MAX);
                });
            }
            counts.voxel.iter_mut().zip(reached.iter().flatten()).for_each(|(count, reached)| *count += reached);
            for [voxel, tfce, extent, mass] in largest {
                counts.add(self, [voxel, tfce, extent, mass]);
            }
            counts.done += now;
            progress.advance(now, "");
        }
        progress.end();
        Ok(())
    }

    /// Nothing shuffled yet: the data as they are.
    fn begin(&self, fit: &Fit, enhanced: Option<&[f32]>) -> Counts {
        let voxels = fit.statistic.len();
        let mut counts = Counts {
            voxel: vec![0; voxels],
            tfce: vec![0; if enhanced.is_some() { voxels } else { 0 }],
            ..Counts::default()
        };
        let mut map = fit.statistic.clone();
        let mut raised = vec![0.0; if enhanced.is_some() { voxels } else { 0 }];
        let mut work = self.tfce.map(|_| TfceScratch::new(&self.lattice));
        let largest = self.largest(&mut map, &mut raised, work.as_mut());
        counts.add(self, largest);
        counts
    }

    /// The largest statistic of a map, enhanced, and the largest extent and mass of its clusters.
    fn largest(&self, map: &mut [f32], raised: &mut [f32], work: Option<&mut TfceScratch>) -> [f32; 4] {
        let most = |map: &[f32]| map.iter().map(|v| self.size(*v)).fold(0.0f32, f32::max);
        let mut largest = [most(map), 0.0, 0.0, 0.0];
        self.drop_uncounted(map);
        if let Some((tfce, work)) = self.tfce.zip(work) {
            tfce.enhance(&self.lattice, map, work, raised);
            largest[1] = most(raised);
        }
        if let Some(threshold) = self.threshold {
            [largest[2], largest[3]] = Clusters::largest(&self.lattice, map, threshold);
        }
        largest
    }
}

/// The map of one shuffle out of blocks, each of which holds all shuffles.
fn gather(blocks: &[f32], shuffle: usize, shuffles: usize, map: &mut [f32]) {
    for (block, map) in blocks.chunks(shuffles * BLOCK).zip(map.chunks_mut(BLOCK)) {
        map.copy_from_slice(&block[shuffle * map.len()..][..map.len()]);
    }
}

impl Counts {
    /// What was counted of all shuffles, from 0, out of parts: each the numbers of its shuffles, and what was counted of them in that order. The
    /// same as if they had been counted at once: the largest of each shuffle takes its place, and the voxels' counts are added.
    ///
    /// # Errors
    /// Numbers that are missing or come twice; parts that are not done, or were counted of other data.
    pub fn together(parts: &[(Vec<usize>, Self)]) -> Result<Self> {
        let wrong =
            |what: &str| Error::request(format!("parts of a count {what}"), "count them again, of the same data");
        let Some((_, first)) = parts.first() else { return Err(wrong("are missing: there is none")) };
        let all = parts.iter().map(|(numbers, _)| numbers.len()).sum();
        let mut seen = vec![false; all];
        for &number in parts.iter().flat_map(|(numbers, _)| numbers) {
            if seen.get(number).is_none_or(|seen| *seen) {
                return Err(wrong("overlap, or leave shuffles out"));
            }
            seen[number] = true;
        }
        let mut whole = Self { done: all, ..Self::default() };
        let sums: [(List<u32>, &mut Vec<u32>); 2] =
            [(|of| &of.voxel, &mut whole.voxel), (|of| &of.tfce, &mut whole.tfce)];
        for (of, sum) in sums {
            *sum = vec![0; of(first).len()];
            for (_, part) in parts {
                if of(part).len() != sum.len() {
                    return Err(wrong("are of other voxels than each other"));
                }
                sum.iter_mut().zip(of(part)).for_each(|(sum, count)| *sum += count);
            }
        }
        let most: [(List<f32>, &mut Vec<f32>); 4] = [
            (|of| &of.largest, &mut whole.largest),
            (|of| &of.largest_tfce, &mut whole.largest_tfce),
            (|of| &of.largest_extent, &mut whole.largest_extent),
            (|of| &of.largest_mass, &mut whole.largest_mass),
        ];
        for (of, most) in most {
            let Some(observed) = of(first).first() else {
                if parts.iter().any(|(_, part)| !of(part).is_empty()) {
                    return Err(wrong("hold other statistics than each other"));
                }
                continue;
            };
            *most = vec![*observed; all + 1];
            for (numbers, part) in parts {
                if part.done != numbers.len() || of(part).len() != numbers.len() + 1 {
                    return Err(wrong("are not done"));
                }
                if of(part)[0].to_bits() != observed.to_bits() {
                    return Err(wrong("are of other data than each other"));
                }
                numbers.iter().zip(&of(part)[1..]).for_each(|(number, value)| most[number + 1] = *value);
            }
        }
        Ok(whole)
    }

    fn add(&mut self, of: &Permutation, [voxel, tfce, extent, mass]: [f32; 4]) {
        self.largest.push(voxel);
        if of.tfce.is_some() {
            self.largest_tfce.push(tfce);
        }
        if of.threshold.is_some() {
            self.largest_extent.push(extent);
            self.largest_mass.push(mass);
        }
    }

    /// The p-value of each voxel by itself: the share of shuffles, the data as they are among them, that reach its statistic.
    pub fn uncorrected(&self, family: Family) -> Vec<f64> {
        let counts = match family {
            Family::Voxel => &self.voxel,
            Family::Tfce => &self.tfce,
            Family::Extent | Family::Mass => return Vec::new(),
        };
        counts.iter().map(|count| f64::from(count + 1) / (self.done + 1) as f64).collect()
    }

    /// The largest of each shuffle, ascending.
    pub fn sorted(&self, family: Family) -> Vec<f32> {
        let mut sorted = match family {
            Family::Voxel => self.largest.clone(),
            Family::Tfce => self.largest_tfce.clone(),
            Family::Extent => self.largest_extent.clone(),
            Family::Mass => self.largest_mass.clone(),
        };
        sorted.sort_by(f32::total_cmp);
        sorted
    }

    /// The p-values of these sizes, corrected for the family: the share of shuffles whose largest is at least as large.
    pub fn corrected(&self, family: Family, sizes: impl IntoIterator<Item = f32>) -> Vec<f64> {
        let sorted = self.sorted(family);
        sizes.into_iter().map(|size| p_of_maximum(&sorted, size).max(1.0 / (self.done + 1) as f64)).collect()
    }

    /// The tail of the largest of each shuffle, without the data as they are. `None` where no tail fits, or all shuffles are too few.
    pub fn tail(&self, family: Family) -> Option<ParetoTail> {
        let largest = match family {
            Family::Voxel => &self.largest,
            Family::Tfce => &self.largest_tfce,
            Family::Extent => &self.largest_extent,
            Family::Mass => &self.largest_mass,
        };
        ParetoTail::fit(largest.get(1..)?)
    }

    /// The size that is reached by chance in this share of shuffles: what is larger has a corrected p below it.
    pub fn critical(&self, family: Family, level: f64) -> Option<f32> {
        let sorted = self.sorted(family);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let beyond = (level * sorted.len() as f64).floor() as usize;
        sorted.get(sorted.len().checked_sub(beyond + 1)?).copied()
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
mod tests;
