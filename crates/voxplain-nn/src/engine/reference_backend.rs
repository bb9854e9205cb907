//! A second backend, made of the scalar reference: slow, and there to show in tests that the engine needs nothing of
//! the CPU's own.

use super::{Backend, DropoutSeed, Executable, InstructionSet, MemoryUse, PlanOptions, Purpose, Rules};
use crate::reference::{Gradients, Mode, Tape, run};
use crate::{Network, NodeId, Result};
use std::borrow::Cow;

/// Runs networks by [`crate::reference`].
#[derive(Debug)]
pub(crate) struct ReferenceBackend;

/// A network as it is, with the last passes over it.
#[derive(Debug)]
struct ReferencePlan {
    network: Network,
    purpose: Purpose,
    memory: MemoryUse,
    passes: Option<(Tape<'static>, Option<Gradients>)>,
    output: Vec<f32>,
    input_gradient: Vec<f32>,
    weight_gradients: Vec<Vec<f32>>,
}

#[expect(clippy::cast_possible_truncation, reason = "the engine hands out f32")]
fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

impl Backend for ReferenceBackend {
    fn instruction_set(&self) -> InstructionSet {
        InstructionSet::Portable
    }

    fn multiply_add(&self, rounds: usize) -> f64 {
        let sum = (0..rounds).fold(0.0f64, |sum, _| sum.mul_add(0.999, 0.001));
        if std::hint::black_box(sum).is_finite() { 2.0 * rounds as f64 } else { 0.0 }
    }

    fn memory(&self, network: &Network, options: &PlanOptions) -> Result<MemoryUse> {
        let double = size_of::<f64>();
        let values: usize = network.shapes().iter().map(|shape| shape.iter().product::<usize>()).sum();
        let weights: usize = network.state().iter().map(|parameter| parameter.tensor.len()).sum();
        Ok(MemoryUse { values: 2 * options.batch * values * double, weights: weights * double, ..MemoryUse::default() })
    }

    fn compile(&self, network: &Network, options: &PlanOptions) -> Result<Box<dyn Executable>> {
        Ok(Box::new(ReferencePlan {
            network: network.clone(),
            purpose: options.purpose,
            memory: self.memory(network, options)?,
            passes: None,
            output: Vec::new(),
            input_gradient: Vec::new(),
            weight_gradients: Vec::new(),
        }))
    }
}

impl Executable for ReferencePlan {
    fn memory(&self) -> MemoryUse {
        self.memory
    }

    fn update_weights(&mut self, network: &Network) -> Result<()> {
        self.network = network.clone();
        Ok(())
    }

    fn update_running_statistics(&self, network: &mut Network) {
        let (tape, _) = self.passes.as_ref().expect("a pass in training came before");
        *network = tape.with_running_statistics();
    }

    fn forward(&mut self, input: &[f32], _samples: usize, dropout: DropoutSeed) {
        let mode = match self.purpose {
            Purpose::Infer | Purpose::InputGradient => Mode::Evaluate,
            Purpose::Train => Mode::Train { seed: dropout.seed, step: dropout.step },
        };
        let tape = run(Cow::Owned(self.network.clone()), input, mode).expect("the engine has checked the input");
        self.output = narrow(tape.output());
        self.passes = Some((tape, None));
    }

    fn output(&self) -> &[f32] {
        &self.output
    }

    fn value(&self, node: NodeId, into: &mut [f32]) {
        let (tape, _) = self.passes.as_ref().expect("a forward pass came before");
        into.copy_from_slice(&narrow(tape.value(node).expect("the node exists")));
    }

    fn backward(&mut self, output_gradient: &[f32], rules: &Rules) {
        let (tape, gradients) = self.passes.as_mut().expect("a forward pass came before");
        let found = tape.backward(output_gradient, rules).expect("the engine has checked the output gradient");
        match self.purpose {
            Purpose::Infer => {}
            Purpose::InputGradient => self.input_gradient = narrow(found.input()),
            Purpose::Train => self.weight_gradients = found.parameters.iter().map(|values| narrow(values)).collect(),
        }
        *gradients = Some(found);
    }

    fn input_gradient(&self) -> &[f32] {
        &self.input_gradient
    }

    fn weight_gradients(&self) -> &[Vec<f32>] {
        &self.weight_gradients
    }

    fn gradient(&self, node: NodeId, into: &mut [f32]) {
        let gradients = self.passes.as_ref().and_then(|(_, gradients)| gradients.as_ref());
        let gradients = gradients.expect("a backward pass came before");
        into.copy_from_slice(&narrow(gradients.at(node).expect("the node exists")));
    }
}
