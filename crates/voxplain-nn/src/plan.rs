//! INTERIM CONTRACT (owner: nn-engine): [`Engine`], [`Plan`], [`Tape`].

use crate::{Backward, Network, NodeId, Result, Rules, Tensor};

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
    /// `avx512`) sets it where this does not.
    pub instruction_set: Option<InstructionSet>,
}

/// Runs networks on the CPU. Cheap to clone; clones share threads.
#[derive(Clone, Debug)]
pub struct Engine {}

/// What a plan is for: it decides what is fused and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Outputs only. Batch-norm by running statistics, dropout off.
    Infer,
    /// Outputs, and the walk back to the input. Batch-norm by running statistics, dropout off.
    InputGradient,
    /// Outputs, weight gradients. Batch statistics, dropout on.
    Train,
}

/// What to compile a network for.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// What the plan is for.
    pub purpose: Purpose,
    /// The largest batch it will see.
    pub batch: usize,
    /// Nodes whose values and gradients will be asked for ([`Tape::value`], [`Tape::gradient`]); never fused away.
    pub keep: Vec<NodeId>,
}

/// A network compiled for one shape and purpose, with all memory it will need.
#[derive(Debug)]
pub struct Plan {}

/// One recorded forward pass.
#[derive(Debug)]
pub struct Tape<'a> {
    _plan: &'a mut Plan,
}

impl Engine {
    /// An engine with its own threads.
    pub fn new(_options: EngineOptions) -> Result<Self> {
        todo!()
    }

    /// Compiles a network; its weights are copied in.
    pub fn plan(&self, _network: &Network, _options: &PlanOptions) -> Result<Plan> {
        todo!()
    }

    /// Runs work on this engine's threads (so that rayon inside uses them).
    pub fn install<R: Send>(&self, _work: impl FnOnce() -> R + Send) -> R {
        todo!()
    }
}

impl Plan {
    /// Takes the network's present weights; call it after each optimiser step.
    pub fn update_weights(&mut self, _network: &Network) -> Result<()> {
        todo!()
    }

    /// Which dropout masks the next forward passes draw: they depend on seed, step, sample and unit alone.
    pub fn set_dropout(&mut self, _seed: u64, _step: u64) {
        todo!()
    }

    /// Runs the network on `[n, C, i, j, k]`, `n` at most the plan's batch.
    pub fn forward(&mut self, _input: &[f32]) -> Result<Tape<'_>> {
        todo!()
    }

    /// After a forward pass in training: moves the network's running statistics towards the batch's (by momentum,
    /// unbiased variance, as PyTorch).
    pub fn update_running_statistics(&self, _network: &mut Network) -> Result<()> {
        todo!()
    }
}

impl Tape<'_> {
    /// Number of samples.
    pub fn batch(&self) -> usize {
        todo!()
    }

    /// Output of the last node, `[n, classes]`.
    pub fn output(&self) -> &[f32] {
        todo!()
    }

    /// Value of a kept node, `[n, ...]` in C order.
    pub fn value(&self, _node: NodeId) -> Result<Tensor> {
        todo!()
    }

    /// Walks `seed` (`[n, classes]`) back to the input by `rules`. For [`Purpose::Train`] it gives weight gradients
    /// instead of the input's (whose slice is then empty).
    pub fn backward(&mut self, _seed: &[f32], _rules: &Rules) -> Result<Backward<'_>> {
        todo!()
    }

    /// What reached a kept node's output in the last walk back, `[n, ...]` in C order.
    pub fn gradient(&self, _node: NodeId) -> Result<Tensor> {
        todo!()
    }

    /// Gradients of [`Network::parameters`], in their order, summed over the batch as the seed weighs it.
    pub fn weight_gradients(&self) -> Result<Vec<&[f32]>> {
        todo!()
    }
}
