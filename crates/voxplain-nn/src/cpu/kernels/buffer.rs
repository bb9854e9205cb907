//! Memory for kernels: aligned to cache lines, and shared out among threads in disjoint pieces.

use rayon::prelude::*;
use std::marker::PhantomData;

/// Floats in a cache line: a channel block of one voxel.
const LINE: usize = 16;

/// Floats that begin on a cache line, zeros when made; the system hands out their memory when they are first written.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    data: Vec<f32>,
    /// Where the first cache line begins.
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let data = vec![0.0; len + LINE - 1];
        let start = data.as_ptr().align_offset(LINE * size_of::<f32>());
        // Memory that cannot be aligned is used as it is: kernels need no alignment, they are faster with it.
        Self { data, start: if start < LINE { start } else { 0 }, len }
    }

    /// Number of floats.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

/// A slice that several threads write to, each its own pieces.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out pieces only through `piece`, whose callers vouch that pieces do not overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Shares out a slice.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), life: PhantomData }
    }

    /// A piece of it; panics beyond the end.
    ///
    /// # Safety
    ///
    /// No piece that overlaps it is alive at the same time.
    #[allow(clippy::mut_from_ref, reason = "the caller vouches that pieces do not overlap")]
    pub(crate) unsafe fn piece(&self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len), "piece {start}+{len} of {}", self.len);
        // SAFETY: within the slice by the assertion, unique by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

/// Runs tasks `0..count` on the pool's threads, in any order. What a task does must not depend on the others.
pub(crate) fn parallel(count: usize, task: impl Fn(usize) + Sync + Send) {
    if count == 1 {
        task(0);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}
