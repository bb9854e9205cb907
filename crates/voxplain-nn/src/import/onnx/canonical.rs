//! [`Canonical`]: the operators of a file as operations on volumes and features, in one form whatever exporter wrote them.
//!
//! Values lie as the engine has them, `[C, i, j, k]` or `[F]`. What only moves axes about (transposing, reshaping,
//! axes of length one) is no operation: a [`View`] says which axis of a value each axis of the file's tensor is.

use super::function::{self, Samples};
use crate::{Activation, Op, Tensor};
use std::collections::BTreeMap;

/// Longest chain of functions that is followed back.
const CHAIN: usize = 12;

/// The axes of a tensor of the file: which axis of a value each is, none where it has length one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) node: usize,
    pub(super) axes: Vec<Option<usize>>,
}

/// What the last operator makes of the scores; it is taken off, because explanations start at the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Nothing: the file gives the scores.
    Scores,
    /// Probabilities of all classes together.
    Softmax,
    /// Their logarithm.
    LogSoftmax,
    /// A probability of each output by itself.
    Sigmoid,
}

/// A part of something that is recognised as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A function of single values that is no activation; the operator that gives it.
    Function(String),
    /// The mean over channels.
    Mean,
    /// The input less its mean over channels.
    Centred,
    /// The square of that.
    Squared,
    /// The mean of that over channels.
    Variance,
    /// That with a number added to it.
    Shifted(f32),
    /// The square root of that.
    Deviation(f32),
    /// What comes after the scores.
    Head(Head),
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Input,
    Op(Box<Op>),
    Step(Step),
}

/// A value.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) inputs: Vec<usize>,
    /// `[C, i, j, k]` or `[F]`.
    pub(super) shape: Vec<usize>,
    pub(super) name: String,
    /// Values that it is a function of, single value by single value, the nearest first.
    chain: Vec<(usize, Samples)>,
}

/// Values, each from those before it.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    pub(super) values: Vec<Value>,
    /// Values flattened.
    flat: BTreeMap<usize, usize>,
}

impl Canonical {
    pub(super) fn new(input: [usize; 4]) -> Self {
        let input = Value {
            kind: Kind::Input,
            inputs: Vec::new(),
            shape: input.to_vec(),
            name: "input".into(),
            chain: Vec::new(),
        };
        Self { values: vec![input], flat: BTreeMap::new() }
    }

    /// The length of each axis of a tensor.
    pub(super) fn dims(&self, view: &View) -> Vec<usize> {
        let shape = &self.values[view.node].shape;
        view.axes.iter().map(|axis| axis.map_or(1, |axis| shape[axis])).collect()
    }

    /// Channels or features.
    pub(super) fn channels(&self, node: usize) -> usize {
        self.values[node].shape[0]
    }

    /// The operation that gives a value.
    pub(super) fn op(&self, node: usize) -> Option<&Op> {
        match &self.values[node].kind {
            Kind::Op(op) => Some(op),
            Kind::Input | Kind::Step(_) => None,
        }
    }

    pub(super) fn step(&self, node: usize) -> Option<&Step> {
        match &self.values[node].kind {
            Kind::Step(step) => Some(step),
            Kind::Input | Kind::Op(_) => None,
        }
    }

    /// Adds an operation.
    pub(super) fn add(&mut self, name: &str, op: impl Into<Op>, inputs: &[usize]) -> Result<usize, String> {
        let op = op.into();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&input| self.values[input].shape.as_slice()).collect();
        let shape = op.output_shape(&shapes)?;
        Ok(self.push(name, Kind::Op(Box::new(op)), inputs, shape))
    }

    /// Adds a step, which has the shape of its input unless one is given.
    pub(super) fn add_step(&mut self, name: &str, step: Step, input: usize, shape: Option<Vec<usize>>) -> usize {
        let shape = shape.unwrap_or_else(|| self.values[input].shape.clone());
        self.push(name, Kind::Step(step), &[input], shape)
    }

    fn push(&mut self, name: &str, kind: Kind, inputs: &[usize], shape: Vec<usize>) -> usize {
        self.values.push(Value { kind, inputs: inputs.to_vec(), shape, name: name.to_owned(), chain: Vec::new() });
        self.values.len() - 1
    }

    /// A value as features: itself, or flattened.
    pub(super) fn flatten(&mut self, node: usize) -> Result<usize, String> {
        if self.values[node].shape.len() == 1 {
            return Ok(node);
        }
        if let Some(&flat) = self.flat.get(&node) {
            return Ok(flat);
        }
        let name = format!("{}.flatten", self.values[node].name);
        let flat = self.add(&name, Op::Flatten, &[node])?;
        self.flat.insert(node, flat);
        Ok(flat)
    }

    /// The functions that a value is of itself and of values before it.
    fn functions(&self, node: usize) -> impl Iterator<Item = (usize, Samples)> + '_ {
        std::iter::once((node, function::identity())).chain(self.values[node].chain.iter().cloned())
    }

    /// What an operator that works value by value is a function of: of each value that all its inputs are functions of, the
    /// function. Inputs that are constants are given as such.
    pub(super) fn chain(
        &self,
        inputs: &[Result<usize, f64>],
        function: impl Fn(&[f64]) -> Option<f64>,
    ) -> Vec<(usize, Samples)> {
        let Some(first) = inputs.iter().find_map(|input| input.as_ref().ok()) else { return Vec::new() };
        let of = |base: usize| {
            let samples: Option<Vec<Samples>> = inputs
                .iter()
                .map(|input| match input {
                    Ok(node) => self.functions(*node).find(|(of, _)| *of == base).map(|(_, samples)| samples),
                    Err(value) => Some(function::constant(*value)),
                })
                .collect();
            let samples = samples?;
            function::compose(&samples.iter().collect::<Vec<_>>(), &function).map(|samples| (base, samples))
        };
        self.functions(*first).take(CHAIN).filter_map(|(base, _)| of(base)).collect()
    }

    /// Notes what a value is a function of.
    pub(super) fn set_chain(&mut self, node: usize, chain: Vec<(usize, Samples)>) {
        if self.values[node].chain.is_empty() {
            self.values[node].chain = chain;
        }
    }

    /// An activation of a value: the one that is there already, or a new one.
    pub(super) fn activation(&mut self, name: &str, of: Activation, input: usize) -> Result<usize, String> {
        let op = Op::from(of);
        let there = (input + 1..self.values.len())
            .find(|&node| self.values[node].inputs == [input] && self.op(node) == Some(&op));
        there.map_or_else(|| self.add(name, op, &[input]), Ok)
    }

    /// `scale * x + shift`, channel by channel. It becomes part of what gives `x` where that takes it without a change of
    /// what it is: as the bias of a layer that has none, or as scale and shift of a normalisation.
    pub(super) fn affine(&mut self, name: &str, input: usize, scale: &[f32], shift: &[f32]) -> Result<usize, String> {
        if scale.iter().all(|&s| s == 1.0) && shift.iter().all(|&t| t == 0.0) {
            return Ok(input);
        }
        if let Some(op) = self.op(input).and_then(|op| joined(op, scale, shift)) {
            let (inputs, shape) = (self.values[input].inputs.clone(), self.values[input].shape.clone());
            let name = self.values[input].name.clone();
            return Ok(self.push(&name, Kind::Op(Box::new(op)), &inputs, shape));
        }
        self.add(name, fixed_norm(scale, shift), &[input])
    }
}

/// The operation with scale and shift taken in, where it has a place for them.
fn joined(op: &Op, scale: &[f32], shift: &[f32]) -> Option<Op> {
    let only_shift = scale.iter().all(|&s| s == 1.0);
    match op {
        Op::Conv3d(conv) if only_shift && !conv.has_bias => {
            let mut conv = conv.clone();
            conv.has_bias = true;
            conv.bias = Some(Tensor::new([shift.len()], shift.to_vec()));
            Some(conv.into())
        }
        Op::Linear(linear) if only_shift && linear.bias.data().iter().all(|&b| b == 0.0) => {
            let mut linear = linear.clone();
            linear.bias = Tensor::new([shift.len()], shift.to_vec());
            Some(linear.into())
        }
        Op::SampleNorm(norm) => {
            let mut norm = norm.clone();
            let both = norm.weight.data_mut().iter_mut().zip(norm.bias.data_mut());
            for ((weight, bias), (&s, &t)) in both.zip(scale.iter().zip(shift)) {
                (*weight, *bias) = (*weight * s, *bias * s + t);
            }
            Some(norm.into())
        }
        Op::BatchNorm(norm) if is_fixed(norm) => {
            let old = norm.scale_and_shift();
            #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
            let (scale, shift): (Vec<f32>, Vec<f32>) = old
                .zip(scale.iter().zip(shift))
                .map(|((a, b), (&s, &t))| ((a * f64::from(s)) as f32, (b * f64::from(s) + f64::from(t)) as f32))
                .unzip();
            Some(fixed_norm(&scale, &shift).into())
        }
        _ => None,
    }
}

/// The epsilon of a map that no network normalises by: beside 1 it is nothing.
const NONE: f32 = 1e-30;

/// A map of scale and shift by channel.
fn fixed_norm(scale: &[f32], shift: &[f32]) -> crate::BatchNorm {
    let channels = scale.len();
    crate::BatchNorm {
        weight: Tensor::new([channels], scale.to_vec()),
        bias: Tensor::new([channels], shift.to_vec()),
        running_mean: Tensor::zeros([channels]),
        running_var: Tensor::full([channels], 1.0),
        epsilon: NONE,
        ..crate::BatchNorm::new(channels)
    }
}

/// Whether it is such a map, and no normalisation of the network.
fn is_fixed(norm: &crate::BatchNorm) -> bool {
    norm.epsilon.to_bits() == NONE.to_bits()
}
