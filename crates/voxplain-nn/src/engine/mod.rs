//! [`Engine`], [`Plan`], [`Tape`]: networks compiled for one purpose, and run forwards and backwards.
//!
//! What runs them is a backend, which nobody outside sees: the CPU's kernels, and in tests the scalar reference.

mod backend;
mod memory;
mod plan;
#[cfg(test)]
mod reference_backend;
mod rules;
mod tape;
#[cfg(test)]
mod tests;

pub(crate) use backend::{Backend, DropoutSeed, Executable};
pub use memory::MemoryUse;
pub use plan::{Plan, PlanOptions, Purpose};
pub use rules::{Backward, ReluRule, Rules, RulesApplied};
pub use tape::Tape;

use crate::cpu::CpuBackend;
use crate::{Error, Network, Result};
use std::sync::Arc;
use voxplain_core::ThreadPool;

/// Which instructions the CPU engine uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstructionSet {
    /// Whatever Rust's target has: runs anywhere.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 (F, BW, VL, DQ).
    Avx512,
}

/// How an engine runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Number of threads; all cores when `None`. Results do not depend on it.
    pub threads: Option<usize>,
    /// Instructions to use; the best the machine has when `None`. `VOXPLAIN_ISA` (`portable`, `avx2`,
    /// `avx512`) sets it where this does not. Instructions that the machine lacks are refused.
    pub instruction_set: Option<InstructionSet>,
}

/// Runs networks. Cheap to clone; clones share threads.
#[derive(Clone, Debug)]
pub struct Engine {
    threads: ThreadPool,
    backend: Arc<dyn Backend>,
}

impl Engine {
    /// An engine on the CPU with its own threads.
    ///
    /// # Errors
    /// The threads cannot be started, or the machine lacks the instructions.
    pub fn new(options: EngineOptions) -> Result<Self> {
        let threads = ThreadPool::new(options.threads).map_err(|error| Error::Request(error.to_string()))?;
        Self::on(&threads, options.instruction_set)
    }

    /// An engine on the CPU that shares threads with other work; instructions as in [`EngineOptions`].
    ///
    /// # Errors
    /// The machine lacks the instructions.
    pub fn on(threads: &ThreadPool, instruction_set: Option<InstructionSet>) -> Result<Self> {
        let backend = Arc::new(CpuBackend::new(instruction_set, threads.threads())?);
        Ok(Self { threads: threads.clone(), backend })
    }

    /// Compiles a network; its weights are copied in.
    ///
    /// # Errors
    /// The batch is 0, the network has no operations, or a node to keep does not exist.
    pub fn plan(&self, network: &Network, options: &PlanOptions) -> Result<Plan> {
        Plan::new(self, network, options)
    }

    /// What a plan would hold in memory, without making it.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn memory(&self, network: &Network, options: &PlanOptions) -> Result<MemoryUse> {
        options.check(network)?;
        self.threads.install(|| self.backend.memory(network, options))
    }

    /// The largest batch up to that of `options` whose plan holds at most `bytes`.
    ///
    /// # Errors
    /// Not even one sample fits; or as [`Engine::plan`].
    pub fn batch_within(&self, network: &Network, options: &PlanOptions, bytes: usize) -> Result<usize> {
        let total = |batch| {
            let options = PlanOptions { batch, keep: options.keep.clone(), purpose: options.purpose };
            Ok(self.memory(network, &options)?.total())
        };
        let (one, all) = (total(1)?, total(options.batch)?);
        if one > bytes {
            return Err(Error::Request(format!(
                "one volume needs {:.1} MB of memory, and {:.1} MB are allowed",
                one as f64 / 1e6,
                bytes as f64 / 1e6
            )));
        }
        if all <= bytes {
            return Ok(options.batch);
        }
        // More samples never take less.
        let (mut fits, mut too_many) = (1, options.batch);
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            if total(middle)? <= bytes { fits = middle } else { too_many = middle }
        }
        Ok(fits)
    }

    /// The threads that it runs on.
    pub const fn thread_pool(&self) -> &ThreadPool {
        &self.threads
    }

    /// All threads multiply and add in registers, `rounds` times some dozens of lanes: gives how many floating-point
    /// operations that were. By the time it takes, that is the most this machine can do with these instructions.
    pub fn multiply_add(&self, rounds: usize) -> f64 {
        self.threads.on_each(|| self.backend.multiply_add(rounds)).into_iter().sum()
    }

    /// Instructions it uses.
    pub fn instruction_set(&self) -> InstructionSet {
        self.backend.instruction_set()
    }
}
