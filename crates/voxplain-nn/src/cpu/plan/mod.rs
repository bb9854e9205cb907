//! [`CpuPlan`]: a network as a list of steps, with the memory that they need.
//!
//! [`compile`] makes steps of nodes and fuses them, [`joining`] finds values that are written where they are joined,
//! [`memory`] lays out values, [`weights`] arranges the network's weights for the kernels, and [`run`] runs the steps on
//! groups of samples.

mod compile;
mod joining;
mod memory;
mod run;
mod step;
mod weights;

use super::kernels::{Isa, Scratch, rearrange};
use crate::engine::{DropoutSeed, Executable};
use crate::{MemoryUse, Network, NodeId, Purpose, Result, Rules};
use memory::{Memory, RegionId};

/// A network compiled for the CPU.
#[derive(Debug)]
pub(crate) struct CpuPlan {
    isa: Isa,
    purpose: Purpose,
    /// Most samples.
    batch: usize,
    /// Samples that go through the network together.
    group: usize,
    /// Values of a sample of the input.
    input: usize,
    /// Values of a sample of the output.
    outputs: usize,
    /// The last node.
    last: usize,
    values: Vec<compile::Value>,
    steps: Vec<step::Step>,
    memory: Memory,
    memory_use: MemoryUse,
    scratch: Scratch,
    /// Where the gradient of the outputs is written.
    output_gradient: Option<RegionId>,
    /// Gradients that nothing reaches.
    unreached: Vec<RegionId>,
    output: Vec<f32>,
    input_gradient: Vec<f32>,
    /// Of each parameter.
    gradients: Vec<Vec<f32>>,
    dropout: DropoutSeed,
    /// Samples of the last forward pass.
    samples: usize,
}

impl CpuPlan {
    /// Groups of samples that go through the network together.
    fn groups(&self) -> impl Iterator<Item = run::Group> + use<> {
        let (samples, group) = (self.samples, self.group);
        (0..samples).step_by(group).map(move |first| run::Group { first, count: group.min(samples - first) })
    }

    /// Samples of the last pass that a region holds, in C order.
    fn read(&self, node: NodeId, region: Option<RegionId>, into: &mut [f32]) {
        let volume = self.values[node.0].volume;
        let region = region.expect("a kept node has memory for its value and its gradient");
        for group in self.groups() {
            let all = self.memory.read(region, group.first, group.count);
            let plain = into.chunks_exact_mut(volume.values()).skip(group.first);
            for (plain, sample) in plain.zip(all.chunks_exact(volume.len())) {
                rearrange::to_plain(&volume, sample, plain);
            }
        }
    }
}

impl Executable for CpuPlan {
    fn memory(&self) -> MemoryUse {
        self.memory_use
    }

    fn update_weights(&mut self, network: &Network) -> Result<()> {
        self.take_weights(network)
    }

    fn update_running_statistics(&self, network: &mut Network) {
        self.move_running_statistics(network);
    }

    fn forward(&mut self, input: &[f32], samples: usize, dropout: DropoutSeed) {
        self.samples = samples;
        self.dropout = dropout;
        for group in self.groups() {
            self.run_forward(group, &input[group.first * self.input..]);
        }
    }

    fn output(&self) -> &[f32] {
        &self.output[..self.samples * self.outputs]
    }

    fn value(&self, node: NodeId, into: &mut [f32]) {
        self.read(node, self.values[node.0].region, into);
    }

    fn backward(&mut self, output_gradient: &[f32], rules: &Rules) {
        for group in self.groups() {
            self.run_backward(group, &output_gradient[group.first * self.outputs..], rules);
        }
    }

    fn input_gradient(&self) -> &[f32] {
        match self.purpose {
            Purpose::InputGradient => &self.input_gradient[..self.samples * self.input],
            Purpose::Infer | Purpose::Train => &[],
        }
    }

    fn weight_gradients(&self) -> &[Vec<f32>] {
        &self.gradients
    }

    fn gradient(&self, node: NodeId, into: &mut [f32]) {
        self.read(node, self.values[node.0].gradient, into);
    }
}
