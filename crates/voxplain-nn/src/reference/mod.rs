//! A slow and obvious implementation of every operation, forwards and backwards: the witness for the fast engine.
//!
//! Nothing is fused, folded or reused; everything is in double precision, and the value and gradient of every node
//! are kept. One volume of the paper's network takes seconds and half a gigabyte. Tests and doubts are what it is for.
//!
//! ```
//! use voxplain_nn::reference::{Mode, forward};
//! use voxplain_nn::{Network, Op, Rules};
//!
//! let mut net = Network::new([1, 1, 1, 3]);
//! let relu = net.then("relu", Op::Relu)?;
//! net.then("flat", Op::Flatten)?;
//! let tape = forward(&net, &[-1.0f32, 0.5, 2.0], Mode::Evaluate)?;
//! assert_eq!(tape.value(relu)?, [0.0, 0.5, 2.0]);
//! let back = tape.backward(&[1.0f32, -1.0, 1.0], &Rules::GUIDED)?;
//! assert_eq!(back.input(), [0.0, 0.0, 1.0]);
//! assert_eq!((back.applied.relu, back.applied.relu_total), (1, 1));
//! # Ok::<(), voxplain_nn::Error>(())
//! ```

pub(crate) mod activation;
mod convolution;
mod normalisation;
pub(crate) mod pooling;
mod resize;
pub(crate) mod sample_norm;
mod transposed;

use crate::ops::{activations, weightless};
use crate::{Activation, Error, Network, NodeId, Op, Pad3d, ReluRule, Result, Rules, RulesApplied};
use normalisation::Statistics;
use std::borrow::Cow;
use voxplain_core::random::dropout_mask;

/// How batch-norm and dropout behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Running statistics, no dropout.
    Evaluate,
    /// Statistics of the batch; dropout masks by [`dropout_mask`].
    Train {
        /// Seed of the dropout masks.
        seed: u64,
        /// Step of the training, for the dropout masks.
        step: u64,
    },
}

/// One forward pass, with the value of every node.
#[derive(Debug)]
pub struct Tape<'n> {
    network: Cow<'n, Network>,
    mode: Mode,
    batch: usize,
    values: Vec<Vec<f64>>,
    /// What each batch normalisation divided by.
    statistics: Vec<Option<Statistics>>,
}

/// What a backward pass gives: something for every node and parameter.
#[derive(Debug)]
pub struct Gradients {
    nodes: Vec<Vec<f64>>,
    /// Gradients of [`Network::parameters`], in their order, summed over the batch; empty unless the pass was by
    /// [`Rules::GRADIENT`], as other rules say nothing of weights.
    pub parameters: Vec<Vec<f64>>,
    /// What was applied where.
    pub applied: RulesApplied,
}

impl Gradients {
    /// What reached the input, `[n, C, i, j, k]`.
    pub fn input(&self) -> &[f64] {
        &self.nodes[0]
    }

    /// What reached a node's output, `[n, ...]`.
    pub fn at(&self, node: NodeId) -> Result<&[f64]> {
        self.nodes.get(node.0).map(Vec::as_slice).ok_or_else(|| missing(node, self.nodes.len()))
    }
}

fn missing(node: NodeId, nodes: usize) -> Error {
    Error::Request(format!("node {} does not exist; the network has {nodes}", node.0))
}

/// Runs a network on `[n, C, i, j, k]`, in C order.
///
/// # Errors
/// The input is no whole number of samples; or a batch normalisation in training gets one value per channel.
pub fn forward<'n, T: Copy + Into<f64>>(network: &'n Network, input: &[T], mode: Mode) -> Result<Tape<'n>> {
    run(Cow::Borrowed(network), input, mode)
}

/// The same for a network that the tape may keep.
pub(crate) fn run<'n, T: Copy + Into<f64>>(network: Cow<'n, Network>, input: &[T], mode: Mode) -> Result<Tape<'n>> {
    let sample: usize = network.input_shape().iter().product();
    if input.is_empty() || sample == 0 || !input.len().is_multiple_of(sample) {
        return Err(Error::Request(format!(
            "found {} values, expected a whole number of volumes of {:?}",
            input.len(),
            network.input_shape()
        )));
    }
    let nodes = network.nodes().len();
    let mut tape = Tape { network, mode, batch: input.len() / sample, values: Vec::new(), statistics: Vec::new() };
    for index in 0..nodes {
        let node = &tape.network.nodes()[index];
        let inputs: Vec<&[f64]> = node.inputs.iter().map(|input| tape.values[input.0].as_slice()).collect();
        let statistics = match &node.op {
            Op::BatchNorm(norm) => Some(match mode {
                Mode::Evaluate => Statistics::running(norm),
                Mode::Train { .. } => Statistics::of(norm, inputs[0], tape.batch)
                    .map_err(|what| Error::Shape { node: node.name.clone(), what })?,
            }),
            Op::Conv3d(_)
            | Op::ConvTranspose3d(_)
            | Op::SampleNorm(_)
            | Op::Prelu(_)
            | Op::Linear(_)
            | weightless!() => None,
        };
        let value = if index == 0 {
            input.iter().map(|&x| x.into()).collect()
        } else {
            tape.apply(index, &node.op, &inputs, statistics.as_ref())
        };
        tape.values.push(value);
        tape.statistics.push(statistics);
    }
    Ok(tape)
}

impl Tape<'_> {
    /// Number of samples.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Value of the last node, `[n, classes]`.
    pub fn output(&self) -> &[f64] {
        &self.values[self.network.output().0]
    }

    /// Value of a node, `[n, ...]` in C order.
    pub fn value(&self, node: NodeId) -> Result<&[f64]> {
        self.values.get(node.0).map(Vec::as_slice).ok_or_else(|| missing(node, self.values.len()))
    }

    /// Shape of one sample of what goes into a node.
    fn shape_into(&self, node: usize, input: usize) -> &[usize] {
        let input = self.network.nodes()[node].inputs[input];
        self.network.shape(input).expect("a network's nodes take nodes that exist")
    }

    /// The same, and that of its own output.
    fn shapes_of(&self, node: usize) -> [&[usize]; 2] {
        let own = self.network.shape(NodeId(node)).expect("a network's nodes exist");
        [self.shape_into(node, 0), own]
    }

    fn apply(&self, index: usize, op: &Op, inputs: &[&[f64]], statistics: Option<&Statistics>) -> Vec<f64> {
        let Some(&x) = inputs.first() else { return Vec::new() };
        let each = |of: Activation| x.iter().map(|&x| activation::forward(of, x)).collect();
        match op {
            Op::Input { .. } => Vec::new(),
            Op::Conv3d(conv) => convolution::forward(conv, self.shape_into(index, 0), x),
            Op::ConvTranspose3d(conv) => transposed::forward(conv, self.shapes_of(index), x),
            Op::BatchNorm(norm) => {
                normalisation::forward(norm, statistics.expect("computed for each batch-norm"), x, self.batch)
            }
            Op::SampleNorm(norm) => sample_norm::forward(norm, self.shape_into(index, 0), x),
            Op::Prelu(prelu) => {
                let shape = self.shape_into(index, 0);
                let of = |at: usize| prelu.of_channel(at / shape[1..].iter().product::<usize>() % prelu.channels);
                x.iter().enumerate().map(|(at, &x)| activation::forward(of(at), x)).collect()
            }
            Op::Pad3d(pad) => padded(pad, self.shape_into(index, 0), x),
            Op::Resize3d(resize) => resize::forward(resize, self.shape_into(index, 0), x),
            Op::Multiply => {
                let factor = inputs[1];
                let voxels = x.len() / factor.len();
                x.iter().enumerate().map(|(at, x)| x * factor[at / voxels]).collect()
            }
            Op::MaxPool3d(pool) => pooling::max(pool, self.shape_into(index, 0), x),
            Op::AvgPool3d(pool) => pooling::mean(pool, self.shape_into(index, 0), x),
            Op::GlobalAvgPool => {
                let voxels: usize = self.shape_into(index, 0)[1..].iter().product();
                x.chunks_exact(voxels).map(|channel| channel.iter().sum::<f64>() / voxels as f64).collect()
            }
            Op::Linear(linear) => convolution::linear(linear, x),
            Op::Dropout { .. } => x.iter().zip(self.dropout(index)).map(|(x, scale)| x * scale).collect(),
            Op::Add => {
                let voxels = x.len() / inputs[1].len();
                x.iter().enumerate().map(|(at, x)| x + inputs[1][at / voxels]).collect()
            }
            Op::Concat => (0..self.batch)
                .flat_map(|sample| inputs.iter().flat_map(move |part| of_sample(part, sample, self.batch)))
                .copied()
                .collect(),
            Op::Softmax => x.chunks_exact(x.len() / self.batch).flat_map(activation::softmax).collect(),
            Op::LogSoftmax => x.chunks_exact(x.len() / self.batch).flat_map(activation::log_softmax).collect(),
            Op::Flatten => x.to_vec(),
            activations!() => op.activation().map_or_else(Vec::new, each),
        }
    }

    /// What a dropout multiplies each value with.
    fn dropout(&self, index: usize) -> Vec<f64> {
        let (Op::Dropout { p }, Mode::Train { seed, step }) = (&self.network.nodes()[index].op, self.mode) else {
            return vec![1.0; self.values[self.network.nodes()[index].inputs[0].0].len()];
        };
        let mut mask = vec![0.0; self.shape_into(index, 0).iter().product()];
        let mut all = Vec::with_capacity(mask.len() * self.batch);
        for sample in 0..self.batch {
            dropout_mask(seed, step, index, sample, *p, &mut mask);
            all.extend(mask.iter().map(|&scale| f64::from(scale)));
        }
        all
    }

    /// Backward pass from the gradient of the outputs (`[n, classes]`) to every node, by `rules`.
    ///
    /// # Errors
    /// The output gradient has another size than the output.
    pub fn backward<T: Copy + Into<f64>>(&self, output_gradient: &[T], rules: &Rules) -> Result<Gradients> {
        let output = self.network.output().0;
        if output_gradient.len() != self.values[output].len() {
            return Err(Error::Request(format!(
                "found an output gradient of {} values, expected {}",
                output_gradient.len(),
                self.values[output].len()
            )));
        }
        let mut nodes: Vec<Vec<f64>> = self.values.iter().map(|value| vec![0.0; value.len()]).collect();
        nodes[output] = output_gradient.iter().map(|&r| r.into()).collect();
        let with_parameters = *rules == Rules::GRADIENT;
        let mut parameters = Vec::new();
        let mut applied = RulesApplied::default();
        let reached = self.network.ancestors(self.network.output());
        for (index, node) in self.network.nodes().iter().enumerate().rev() {
            let r = std::mem::take(&mut nodes[index]);
            if node.op == Op::Relu {
                applied.relu_total += 1;
                applied.relu += usize::from(reached[index] && rules.relu != ReluRule::Gradient);
            }
            for (position, gradient) in self.pull(index, &r, rules).into_iter().enumerate() {
                for (sum, part) in nodes[node.inputs[position].0].iter_mut().zip(gradient) {
                    *sum += part;
                }
            }
            if with_parameters {
                // Reversed, as the nodes are; put right at the end.
                parameters.extend(self.weight_gradients(index, &r).into_iter().rev());
            }
            nodes[index] = r;
        }
        parameters.reverse();
        Ok(Gradients { nodes, parameters, applied })
    }

    /// What a node hands to each of its inputs.
    fn pull(&self, index: usize, r: &[f64], rules: &Rules) -> Vec<Vec<f64>> {
        let node = &self.network.nodes()[index];
        let Some(first) = node.inputs.first() else {
            return Vec::new();
        };
        let (x, y) = (&self.values[first.0], &self.values[index]);
        let each = |of| (0..r.len()).map(|at| activation::backward(of, rules, x[at], y[at], r[at])).collect();
        let to_input = match &node.op {
            Op::Input { .. } => return Vec::new(),
            Op::Conv3d(conv) => convolution::backward(conv, self.shape_into(index, 0), r),
            Op::ConvTranspose3d(conv) => transposed::backward(conv, self.shapes_of(index), r),
            Op::BatchNorm(norm) => {
                let statistics = self.statistics[index].as_ref().expect("computed for each batch-norm");
                normalisation::backward(norm, statistics, x, r, self.batch)
            }
            Op::SampleNorm(norm) => sample_norm::backward(norm, self.shape_into(index, 0), x, r),
            Op::Prelu(prelu) => {
                let voxels: usize = self.shape_into(index, 0)[1..].iter().product();
                let of = |at: usize| prelu.of_channel(at / voxels % prelu.channels);
                let one = |at: usize| activation::backward(of(at), &Rules::GRADIENT, x[at], y[at], r[at]);
                (0..r.len()).map(one).collect()
            }
            Op::Pad3d(pad) => cut(pad, self.shape_into(index, 0), r),
            Op::Resize3d(resize) => resize::backward(resize, self.shape_into(index, 0), r),
            Op::Multiply => {
                let factor = &self.values[node.inputs[1].0];
                let voxels = x.len() / factor.len();
                let to_first = r.iter().enumerate().map(|(at, r)| r * factor[at / voxels]).collect();
                let mut to_second = vec![0.0; factor.len()];
                r.iter().zip(x).enumerate().for_each(|(at, (r, x))| to_second[at / voxels] += r * x);
                return vec![to_first, to_second];
            }
            Op::MaxPool3d(pool) => pooling::max_backward(pool, self.shape_into(index, 0), x, r),
            Op::AvgPool3d(pool) => pooling::mean_backward(pool, self.shape_into(index, 0), r, x.len()),
            Op::GlobalAvgPool => {
                let voxels: usize = self.shape_into(index, 0)[1..].iter().product();
                r.iter().flat_map(|&r| std::iter::repeat_n(r / voxels as f64, voxels)).collect()
            }
            Op::Linear(linear) => convolution::linear_backward(linear, r),
            Op::Dropout { .. } => r.iter().zip(self.dropout(index)).map(|(r, scale)| r * scale).collect(),
            Op::Add => {
                let values = self.values[node.inputs[1].0].len();
                let to_second = r.chunks_exact(r.len() / values).map(|channel| channel.iter().sum()).collect();
                return vec![r.to_vec(), to_second];
            }
            Op::Concat => return self.split(index, r),
            Op::Softmax | Op::LogSoftmax => {
                let classes = y.len() / self.batch;
                let rows = y.chunks_exact(classes).zip(r.chunks_exact(classes));
                let logarithm = node.op == Op::LogSoftmax;
                let backward = if logarithm { activation::log_softmax_backward } else { activation::softmax_backward };
                rows.flat_map(|(y, r)| backward(y, r)).collect()
            }
            Op::Flatten => r.to_vec(),
            activations!() => node.op.activation().map_or_else(Vec::new, each),
        };
        vec![to_input]
    }

    /// The parts of what reaches a concatenation, one for each input.
    fn split(&self, index: usize, r: &[f64]) -> Vec<Vec<f64>> {
        let lengths: Vec<usize> =
            (0..self.network.nodes()[index].inputs.len()).map(|i| self.shape_into(index, i).iter().product()).collect();
        let mut parts = vec![Vec::new(); lengths.len()];
        for sample in 0..self.batch {
            let mut rest = of_sample(r, sample, self.batch);
            for (part, &length) in parts.iter_mut().zip(&lengths) {
                let (own, others) = rest.split_at(length);
                part.extend_from_slice(own);
                rest = others;
            }
        }
        parts
    }

    /// Gradients of a node's parameters.
    fn weight_gradients(&self, index: usize, r: &[f64]) -> Vec<Vec<f64>> {
        let node = &self.network.nodes()[index];
        let x = || &self.values[node.inputs[0].0];
        match &node.op {
            Op::Conv3d(conv) => convolution::weight_gradients(conv, self.shape_into(index, 0), x(), r),
            Op::ConvTranspose3d(conv) => transposed::weight_gradients(conv, self.shapes_of(index), x(), r),
            Op::BatchNorm(_) => {
                let statistics = self.statistics[index].as_ref().expect("computed for each batch-norm");
                normalisation::weight_gradients(statistics, x(), r, self.batch)
            }
            Op::SampleNorm(norm) => sample_norm::weight_gradients(norm, self.shape_into(index, 0), x(), r),
            Op::Prelu(prelu) => {
                let voxels: usize = self.shape_into(index, 0)[1..].iter().product();
                let mut weight = vec![0.0; prelu.channels];
                for (at, (x, r)) in x().iter().zip(r).enumerate() {
                    weight[at / voxels % prelu.channels] += r * x.min(0.0);
                }
                vec![weight]
            }
            Op::Linear(linear) => convolution::linear_weight_gradients(linear, x(), r),
            weightless!() => Vec::new(),
        }
    }

    /// After a pass in [`Mode::Train`]: the network with its running statistics moved towards the batch's, by
    /// momentum, the variance unbiased, as PyTorch does.
    pub fn with_running_statistics(&self) -> Network {
        let mut network = self.network.as_ref().clone();
        for (index, statistics) in self.statistics.iter().enumerate() {
            if let (Op::BatchNorm(norm), Some(statistics)) = (network.op_mut(NodeId(index)), statistics) {
                statistics.update(norm);
            }
        }
        network
    }
}

/// Calls `visit` with each place of the values of a volume, and where it lies with the padding around it.
fn inside(pad: &Pad3d, shape: &[usize], len: usize, mut visit: impl FnMut(usize, usize)) {
    let [i, j, k] = [shape[1], shape[2], shape[3]];
    let to = std::array::from_fn::<_, 3, _>(|axis| pad.before[axis] + shape[axis + 1] + pad.after[axis]);
    for at in 0..len {
        let (channel, i, j, k) = (at / (i * j * k), at / (j * k) % i, at / k % j, at % k);
        let row = (channel * to[0] + i + pad.before[0]) * to[1] + j + pad.before[1];
        visit(at, row * to[2] + k + pad.before[2]);
    }
}

/// A volume with a padding around it.
fn padded(pad: &Pad3d, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let voxels: usize = shape[1..].iter().product();
    let to: usize = (0..3).map(|axis| pad.before[axis] + shape[axis + 1] + pad.after[axis]).product();
    let mut y = vec![f64::from(pad.value); x.len() / voxels * to];
    inside(pad, shape, x.len(), |at, place| y[place] = x[at]);
    y
}

/// What reaches the volume inside a padding.
fn cut(pad: &Pad3d, shape: &[usize], r: &[f64]) -> Vec<f64> {
    let voxels: usize = shape[1..].iter().product();
    let to: usize = (0..3).map(|axis| pad.before[axis] + shape[axis + 1] + pad.after[axis]).product();
    let mut gradient = vec![0.0; r.len() / to * voxels];
    let len = gradient.len();
    inside(pad, shape, len, |at, place| gradient[at] = r[place]);
    gradient
}

/// The values of one sample.
fn of_sample(values: &[f64], sample: usize, batch: usize) -> &[f64] {
    let length = values.len() / batch;
    &values[sample * length..(sample + 1) * length]
}
