//! The CPU backend: networks compiled to steps ([`plan`]), which call [`kernels`].

pub(crate) mod kernels;
mod plan;

use crate::engine::{Backend, Executable};
use crate::{InstructionSet, MemoryUse, Network, PlanOptions, Result};
use kernels::Isa;
use plan::CpuPlan;

/// Runs networks on the CPU.
#[derive(Debug)]
pub(crate) struct CpuBackend {
    isa: Isa,
    threads: usize,
}

impl CpuBackend {
    /// With these instructions, else those that `VOXPLAIN_ISA` names, else the best there are; for a pool of so many
    /// threads.
    pub(crate) fn new(instruction_set: Option<InstructionSet>, threads: usize) -> Result<Self> {
        Ok(Self { isa: Isa::choose(instruction_set)?, threads })
    }
}

impl Backend for CpuBackend {
    fn instruction_set(&self) -> InstructionSet {
        self.isa.set()
    }

    fn multiply_add(&self, rounds: usize) -> f64 {
        kernels::peak::multiply_add(self.isa, rounds)
    }

    fn memory(&self, network: &Network, options: &PlanOptions) -> Result<MemoryUse> {
        CpuPlan::estimate(self, network, options)
    }

    fn compile(&self, network: &Network, options: &PlanOptions) -> Result<Box<dyn Executable>> {
        Ok(Box::new(CpuPlan::compile(self, network, options)?))
    }
}
