//! The seam between the engine and a machine: [`Backend`] compiles networks, [`Executable`] runs them.
//!
//! The engine checks every request first. A backend is asked only for what fits: buffers have the sizes that are
//! stated here, nodes exist, and a backward pass follows a forward pass of a plan that allows it. Calls are made on the
//! engine's threads. One call is a whole pass over a batch, so that going through a trait object costs nothing.

use super::{InstructionSet, MemoryUse, PlanOptions, Rules};
use crate::{Network, NodeId, Result};
use std::fmt::Debug;

/// A kind of machine that networks run on.
pub(crate) trait Backend: Debug + Send + Sync {
    /// Instructions it uses.
    fn instruction_set(&self) -> InstructionSet;

    /// Multiplies and adds on the calling thread alone, `rounds` times some dozens of lanes, and gives how many
    /// floating-point operations that were.
    fn multiply_add(&self, rounds: usize) -> f64;

    /// What [`Backend::compile`] would hold in memory.
    fn memory(&self, network: &Network, options: &PlanOptions) -> Result<MemoryUse>;

    /// Compiles a network; its weights are copied.
    fn compile(&self, network: &Network, options: &PlanOptions) -> Result<Box<dyn Executable>>;
}

/// Which dropout masks a pass in training draws: [`voxplain_core::random::dropout_mask`] by both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DropoutSeed {
    /// Seed of the training.
    pub(crate) seed: u64,
    /// Step of the training.
    pub(crate) step: u64,
}

/// A network compiled by a [`Backend`] for one purpose, with the memory that it needs.
pub(crate) trait Executable: Debug + Send + Sync {
    /// What it holds in memory.
    fn memory(&self) -> MemoryUse;

    /// Takes the weights of a network of the same geometry.
    fn update_weights(&mut self, network: &Network) -> Result<()>;

    /// Moves a network's running statistics towards those of the last pass in training, as PyTorch does: by momentum,
    /// the variance unbiased. The network has the same geometry.
    fn update_running_statistics(&self, network: &mut Network);

    /// Runs `samples` samples `[samples, C, i, j, k]` forwards.
    fn forward(&mut self, input: &[f32], samples: usize, dropout: DropoutSeed);

    /// Outputs of the last forward pass, `[samples, outputs]`.
    fn output(&self) -> &[f32];

    /// The value of a kept node in the last forward pass, into `[samples, ...]` in C order.
    fn value(&self, node: NodeId, into: &mut [f32]);

    /// Runs the last forward pass backwards from the gradient of its outputs, `[samples, outputs]`.
    fn backward(&mut self, output_gradient: &[f32], rules: &Rules);

    /// What the backward pass gave at the input, `[samples, C, i, j, k]`; empty where the purpose is not that.
    fn input_gradient(&self) -> &[f32];

    /// What the backward pass gave for each of [`Network::parameters`]; empty where the purpose is not that.
    fn weight_gradients(&self) -> &[Vec<f32>];

    /// What reached a kept node in the last backward pass, into `[samples, ...]` in C order; 0 where nothing did.
    fn gradient(&self, node: NodeId, into: &mut [f32]);
}
