//! What is compared: maps of a run or volumes of a cohort, at the voxels of a mask.

use crate::{
    cohort::Cohort,
    group::{Scale, ScaleRecord, map_size, read_map},
};
use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};
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
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                file.file.write_all(&bytes).map_err(Error::io(&file.path))?;
            }
            progress.advance(1, self.id(subject));
        }
        progress.end();
        let rows: Box<dyn Rows> = match file {
            None => Box::new(InMemory::new(n, values)?),
            Some(scratch) => Box::new(OnDisk { scratch, subjects: n, voxels: varies.len() }),
        };
        Ok(Values { rows, mask, constant, scale })
    }
}

/// A file that is removed when it is no longer needed.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn create(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        Ok(Self { file: file.map_err(Error::io(path))?, path: path.to_owned() })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left would be written over the next time.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Rows in a file, subject by subject, float32, little-endian.
#[derive(Debug)]
struct OnDisk {
    scratch: Scratch,
    subjects: usize,
    voxels: usize,
}

impl OnDisk {
    fn read_at(&self, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_exact_at(&self.scratch.file, bytes, at);
        #[cfg(windows)]
        {
            let mut done = 0;
            while done < bytes.len() {
                let n =
                    std::os::windows::fs::FileExt::seek_read(&self.scratch.file, &mut bytes[done..], at + done as u64)?;
                if n == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                done += n;
            }
            Ok(())
        }
    }
}

impl Rows for OnDisk {
    fn subjects(&self) -> usize {
        self.subjects
    }

    fn voxels(&self) -> usize {
        self.voxels
    }

    fn read(&self, first: usize, into: &mut [f32]) -> Result<()> {
        let count = into.len() / self.subjects;
        let mut bytes = vec![0; 4 * count];
        for (subject, row) in into.chunks_exact_mut(count).enumerate() {
            self.read_at(&mut bytes, 4 * (subject * self.voxels + first) as u64)
                .map_err(Error::io(&self.scratch.path))?;
            for (value, bytes) in row.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_a_file_are_those_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values");
        let values: Vec<f32> = (0..5 * 37).map(|n| n as f32 * 0.5).collect();
        let mut scratch = Scratch::create(&path).unwrap();
        scratch.file.write_all(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()).unwrap();
        let disk = OnDisk { scratch, subjects: 5, voxels: 37 };
        let memory = InMemory::new(5, values).unwrap();
        for (first, count) in [(0, 37), (30, 7), (5, 11)] {
            let (mut a, mut b) = (vec![0.0; 5 * count], vec![1.0; 5 * count]);
            disk.read(first, &mut a).unwrap();
            memory.read(first, &mut b).unwrap();
            assert_eq!(a, b);
        }
        assert!(disk.read(36, &mut [0.0; 10]).is_err());
        drop(disk);
        assert!(!path.exists());
    }
}
