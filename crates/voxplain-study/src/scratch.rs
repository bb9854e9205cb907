//! [`Scratch`]: values of many subjects in a file while memory does not hold them.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result};
use voxplain_stats::inference::Rows;

/// A file that is removed when it is no longer needed.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    /// Begins the file; what a killed process left there is written over.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        Ok(Self { file: file.map_err(Error::io(path))?, path: path.to_owned() })
    }

    /// Writes values behind those that there are, float32, little-endian.
    ///
    /// # Errors
    /// The disk is full, say.
    pub(crate) fn append(&mut self, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(Error::io(&self.path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left would be written over the next time.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Rows in a file, subject by subject.
#[derive(Debug)]
pub(crate) struct OnDisk {
    scratch: Scratch,
    subjects: usize,
    voxels: usize,
}

impl OnDisk {
    /// The file that the values of so many subjects were appended to.
    pub(crate) fn new(scratch: Scratch, subjects: usize, voxels: usize) -> Self {
        Self { scratch, subjects, voxels }
    }

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
    use voxplain_stats::inference::InMemory;

    #[test]
    fn rows_in_a_file_are_those_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values");
        let values: Vec<f32> = (0..5 * 37).map(|n| n as f32 * 0.5).collect();
        let mut scratch = Scratch::create(&path).unwrap();
        scratch.append(&values).unwrap();
        let disk = OnDisk::new(scratch, 5, 37);
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
