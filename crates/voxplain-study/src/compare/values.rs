//! What is compared: maps of a run or volumes of a cohort, at the voxels of a mask.

use crate::{
    cohort::Cohort,
    group::{Scale, ScaleRecord, map_size, read_map},
    scratch::{OnDisk, Scratch},
};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Progress, Result};
use voxplain_stats::inference::{InMemory, Rows};
use voxplain_volume::{Border, Grid, Mask, Volume};

/// The images of subjects.
#[derive(Debug)]
pub(super) struct Images<'a> {
    pub(super) cohort: &'a Cohort,
    /// Positions in the cohort.
    pub(super) subjects: &'a [usize],
    /// The map of each, and the model that made it; the prepared volumes where none.
    pub(super) maps: Option<(&'a [PathBuf], &'a [String], Scale)>,
    /// Full width at half maximum of the smoothing, mm; 0 for none.
    pub(super) smooth: f64,
}

/// Where values are kept, and at which voxels.
pub(super) struct Values {
    pub(super) rows: Box<dyn Rows>,
    /// Voxels that are compared.
    pub(super) mask: Mask,
    /// Voxels of the mask that are left out because they hold one value for all subjects.
    pub(super) constant: usize,
    pub(super) scale: Option<ScaleRecord>,
}

impl Images<'_> {
    /// The voxels that the masks of at least half of the subjects hold.
    pub(super) fn majority(&self, grid: &Grid) -> Result<Mask> {
        let mut votes = vec![0usize; grid.len()];
        for &subject in self.subjects {
            let mask = self.cohort.mask(subject)?;
            votes.iter_mut().zip(mask.data()).for_each(|(votes, inside)| *votes += usize::from(*inside));
        }
        Ok(Mask::new(*grid, votes.into_iter().map(|v| 2 * v >= self.subjects.len()).collect())?)
    }

    /// Id of a subject.
    pub(super) fn id(&self, n: usize) -> &str {
        &self.cohort.subjects[self.subjects[n]].id
    }

    /// What each subject's image is multiplied by, so that maps of all models have one size; and that in a record.
    ///
    /// # Errors
    /// Maps that cannot be read.
    pub(super) fn factors(&self, progress: &dyn Progress) -> Result<(Vec<f64>, Option<ScaleRecord>)> {
        let Some((maps, models, how)) = self.maps else { return Ok((vec![1.0; self.subjects.len()], None)) };
        let mut sizes = Vec::with_capacity(maps.len());
        for ((map, model), &subject) in maps.iter().zip(models).zip(self.subjects) {
            progress.go_on()?;
            sizes.push((map_size(self.cohort, subject, &read_map(self.cohort, subject, map)?)?, model.as_str()));
        }
        let (factors, record) = how.factors(&sizes);
        Ok((factors, Some(record)))
    }

    /// A value of a subject's image, where it is a number.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn checked(&self, n: usize, value: f32) -> Result<f32> {
        if value.is_finite() {
            return Ok(value);
        }
        Err(Error::subject(
            self.id(n),
            format!("the value {value} stands in the image inside the mask"),
            "look at the image; prepare it or make the map again",
        ))
    }

    /// One subject's image, smoothed, times a factor.
    pub(super) fn image(&self, n: usize, factor: f64) -> Result<Volume> {
        let mut image = match self.maps {
            Some((maps, ..)) => read_map(self.cohort, self.subjects[n], &maps[n])?,
            None => self.cohort.volume(self.subjects[n])?,
        };
        if self.smooth > 0.0 {
            image = image.smooth(self.smooth / (8.0 * std::f64::consts::LN_2).sqrt(), Border::Zero);
        }
        #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
        image.data_mut().iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
        Ok(image)
    }

    /// Reads all values: into memory where they take at most so many bytes, else into a file at `scratch`.
    ///
    /// # Errors
    /// Images that cannot be read; no voxel that varies; the file cannot be written.
    pub(super) fn gather(&self, mask: &Mask, bytes: u64, scratch: &Path, progress: &dyn Progress) -> Result<Values> {
        let n = self.subjects.len();
        progress.begin("reading", 2 * n);
        let (factors, scale) = self.factors(progress)?;
        // Which voxels vary, before any is kept.
        let inside: Vec<usize> = (0..mask.data().len()).filter(|at| mask.data()[*at]).collect();
        let (mut low, mut high) = (vec![f32::INFINITY; inside.len()], vec![f32::NEG_INFINITY; inside.len()]);
        for (subject, factor) in factors.iter().enumerate() {
            progress.go_on()?;
            let image = self.image(subject, *factor)?;
            for ((at, low), high) in inside.iter().zip(&mut low).zip(&mut high) {
                let value = self.checked(subject, image.data()[*at])?;
                (*low, *high) = (low.min(value), high.max(value));
            }
            progress.advance(1, self.id(subject));
        }
        let varies: Vec<usize> =
            inside.iter().zip(low.iter().zip(&high)).filter(|(_, (low, high))| low < high).map(|(at, _)| *at).collect();
        if varies.is_empty() {
            return Err(Error::request(
                format!("all {} voxels of the mask hold one value for all {n} subjects", inside.len()),
                "look at the images: there is nothing to compare",
            ));
        }
        let constant = inside.len() - varies.len();
        let mut kept = vec![false; mask.data().len()];
        varies.iter().for_each(|at| kept[*at] = true);
        let mask = Mask::new(*mask.grid(), kept)?;
        let in_memory = (4 * n * varies.len()) as u64 <= bytes;
        let mut values = Vec::with_capacity(if in_memory { n * varies.len() } else { varies.len() });
        let mut file = if in_memory { None } else { Some(Scratch::create(scratch)?) };
        for (subject, factor) in factors.iter().enumerate() {
            progress.go_on()?;
            let image = self.image(subject, *factor)?;
            if file.is_some() {
                values.clear();
            }
            values.extend(varies.iter().map(|at| image.data()[*at]));
            if let Some(file) = &mut file {
                file.append(&values)?;
            }
            progress.advance(1, self.id(subject));
        }
        progress.end();
        let rows: Box<dyn Rows> = match file {
            None => Box::new(InMemory::new(n, values)?),
            Some(scratch) => Box::new(OnDisk::new(scratch, n, varies.len())),
        };
        Ok(Values { rows, mask, constant, scale })
    }
}
