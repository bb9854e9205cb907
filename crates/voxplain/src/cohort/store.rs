//! One `.npy` file of equally shaped items, written in any order and read one by one.

use crate::{Error, Result};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Bytes of the header that [`Store`] writes: the smallest multiple of 64 that holds any shape.
const HEADER: usize = 128;

/// An array `[N, i, j, k]` in a file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: Mutex<File>,
    descr: String,
    shape: [usize; 3],
    item_bytes: usize,
}

impl Store {
    /// Begins an array of zeros in place of what was there.
    pub(super) fn create(path: &Path, descr: &str, count: usize, shape: [usize; 3]) -> Result<Self> {
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(true).open(path).map_err(Error::io(path))?;
        file.write_all(&header(descr, count, shape)).map_err(Error::io(path))?;
        let item_bytes = shape.iter().product::<usize>() * width(descr);
        file.set_len((HEADER + count * item_bytes) as u64).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), descr: descr.to_owned(), shape, item_bytes })
    }

    /// Opens an array to go on writing; refused like [`Store::open`].
    pub(super) fn open_to_write(path: &Path, descr: &str, count: usize, shape: [usize; 3]) -> Result<Self> {
        Self::open_with(OpenOptions::new().read(true).write(true), path, descr, count, shape)
    }

    /// Opens an array to read; refused when it is not of that type and shape.
    pub(super) fn open(path: &Path, descr: &str, count: usize, shape: [usize; 3]) -> Result<Self> {
        Self::open_with(OpenOptions::new().read(true), path, descr, count, shape)
    }

    fn open_with(options: &OpenOptions, path: &Path, descr: &str, count: usize, shape: [usize; 3]) -> Result<Self> {
        let mut file = options.open(path).map_err(Error::io(path))?;
        let item_bytes = shape.iter().product::<usize>() * width(descr);
        let mut found = [0; HEADER];
        let expected = (HEADER + count * item_bytes) as u64;
        let bytes = file.metadata().map_err(Error::io(path))?.len();
        if file.read_exact(&mut found).is_err() || found[..] != header(descr, count, shape)[..] || bytes != expected {
            let what = format!("this is not the `{descr}` array of {count} x {shape:?} that cohort.json speaks of");
            return Err(Error::file(path, what, "prepare the cohort again with --force"));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), descr: descr.to_owned(), shape, item_bytes })
    }

    /// Copies some items, in that order, into a new array.
    pub(super) fn keep(&self, path: &Path, items: &[usize]) -> Result<()> {
        let kept = Self::create(path, &self.descr, items.len(), self.shape)?;
        items.iter().enumerate().try_for_each(|(place, &n)| kept.put(place, &self.get(n)?))
    }

    /// Writes item `n`.
    pub(super) fn put(&self, n: usize, bytes: &[u8]) -> Result<()> {
        debug_assert_eq!(bytes.len(), self.item_bytes);
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start((HEADER + n * self.item_bytes) as u64)).map_err(Error::io(&self.path))?;
        file.write_all(bytes).map_err(Error::io(&self.path))
    }

    /// Reads item `n`.
    pub(super) fn get(&self, n: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.item_bytes];
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start((HEADER + n * self.item_bytes) as u64)).map_err(Error::io(&self.path))?;
        file.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        Ok(bytes)
    }
}

/// Bytes of one value.
fn width(descr: &str) -> usize {
    if descr == "<f4" { 4 } else { 1 }
}

/// The header of a `.npy` file (format 1.0) of [`HEADER`] bytes.
fn header(descr: &str, count: usize, [i, j, k]: [usize; 3]) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count}, {i}, {j}, {k}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(dict.bytes());
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}
