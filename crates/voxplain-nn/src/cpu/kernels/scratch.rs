//! Memory that a kernel works in, one piece per thread.

use super::{Buffer, Isa};
use std::sync::{Mutex, PoisonError};

/// What a kernel runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu<'a> {
    /// Its instructions.
    pub(crate) isa: Isa,
    /// Memory to work in.
    pub(crate) scratch: &'a Scratch,
}

/// One buffer per thread of an engine. Kernels hold one only while they compute, never while they wait.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<Mutex<Buffer>>);

impl Scratch {
    /// For so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| Mutex::default()).collect())
    }

    /// Makes room for `len` floats on every thread.
    pub(crate) fn reserve(&mut self, len: usize) {
        for buffer in &mut self.0 {
            let buffer = buffer.get_mut().unwrap_or_else(PoisonError::into_inner);
            if buffer.len() < len {
                *buffer = Buffer::zeros(len);
            }
        }
    }

    /// Lends `len` floats, of any values, to work on this thread.
    pub(crate) fn lend<R>(&self, len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        let mut buffer = self.0[thread].lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut buffer[..len])
    }

    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.0.len()
    }
}
