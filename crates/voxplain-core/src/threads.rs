//! [`ThreadPool`]: threads that share out work.

use crate::{Error, Result};
use std::sync::Arc;

/// Threads that share out work. A clone is the same threads.
///
/// Parallel parts of the library run on the threads of the pool that they are called in; outside of any pool, on one
/// thread per core. Results never depend on the number of threads.
///
/// ```
/// let pool = voxplain_core::ThreadPool::new(Some(2))?;
/// assert_eq!(pool.threads(), 2);
/// assert_eq!(pool.install(|| 6 * 7), 42);
/// # Ok::<(), voxplain_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ThreadPool(Arc<rayon::ThreadPool>);

impl ThreadPool {
    /// Starts so many threads, or one per core.
    ///
    /// # Errors
    /// The number is 0, or the system starts no more threads.
    pub fn new(threads: Option<usize>) -> Result<Self> {
        if threads == Some(0) {
            return Err(Error::request("0 threads; at least 1 is needed", "ask for 1 or more"));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .thread_name(|index| format!("voxplain-{index}"))
            .build()
            .map_err(|error| Error::request(format!("threads could not be started: {error}"), "ask for fewer"))?;
        Ok(Self(Arc::new(pool)))
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Does work on these threads: its parallel parts use them.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }

    /// Does the same work on every thread at the same time, and gives what each found.
    pub fn on_each<R: Send>(&self, work: impl Fn() -> R + Sync) -> Vec<R> {
        self.0.broadcast(|_| work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_does_its_part() {
        let pool = ThreadPool::new(Some(3)).unwrap();
        let mut threads = pool.on_each(rayon::current_thread_index);
        threads.sort_unstable();
        assert_eq!(threads, [Some(0), Some(1), Some(2)]);
        assert_eq!(pool.clone().install(rayon::current_num_threads), 3);
        assert!(ThreadPool::new(Some(0)).unwrap_err().to_string().contains("at least 1"));
    }
}
