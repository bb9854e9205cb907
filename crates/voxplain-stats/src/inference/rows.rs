//! [`Rows`]: the values of all subjects at all voxels, wherever they are kept.

use voxplain_core::{Error, Result};

/// The values of subjects at the voxels of a mask: a row for each subject.
pub trait Rows: Sync {
    /// Number of subjects.
    fn subjects(&self) -> usize;

    /// Number of voxels.
    fn voxels(&self) -> usize;

    /// Copies the values of all subjects at some voxels that follow each other, from the first on: subject by subject, as many voxels
    /// each as fit.
    ///
    /// # Errors
    /// They cannot be read.
    fn read(&self, first: usize, into: &mut [f32]) -> Result<()>;
}

/// Rows in memory, subject by subject.
#[derive(Clone, Debug, PartialEq)]
pub struct InMemory {
    subjects: usize,
    values: Vec<f32>,
}

impl InMemory {
    /// Takes the values of so many subjects, one subject after the other.
    ///
    /// # Errors
    /// The values cannot be divided evenly, or there are none.
    pub fn new(subjects: usize, values: Vec<f32>) -> Result<Self> {
        if subjects == 0 || values.is_empty() || !values.len().is_multiple_of(subjects) {
            return Err(Error::request(
                format!("{} values are not those of {subjects} subjects", values.len()),
                "give one value for each subject and voxel",
            ));
        }
        Ok(Self { subjects, values })
    }
}

impl Rows for InMemory {
    fn subjects(&self) -> usize {
        self.subjects
    }

    fn voxels(&self) -> usize {
        self.values.len() / self.subjects
    }

    fn read(&self, first: usize, into: &mut [f32]) -> Result<()> {
        let (all, count) = (self.voxels(), into.len() / self.subjects);
        for (subject, into) in into.chunks_exact_mut(count).enumerate() {
            into.copy_from_slice(&self.values[subject * all + first..][..count]);
        }
        Ok(())
    }
}
