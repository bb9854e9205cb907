//! Backward passes layer by layer: layer-wise relevance propagation and DeepLIFT, on any network.
//!
//! A gradient needs of each operation how its output changes; relevance needs what each input contributed to it,
//! with weights that differ from the network's own (their positive part, their square, ...). [`Layerwise`]
//! therefore runs every operation by itself: a network of that operation alone, with the weights a rule asks for,
//! whose forward pass gives the sums of contributions and whose backward pass hands something to the inputs. These are
//! compiled once and kept.
//!
//! Batch normalisation is folded into the layer in front of it first. Samples are taken one by one, so that the
//! result does not depend on the batch.

mod argmax;
mod deeplift;
mod lrp;
mod rule;
mod softmax;

pub use deeplift::Multipliers;
pub use lrp::{Relevance, Step};
pub use rule::{Composite, InputPart, Rule, Share, Term, WeightPart};

use crate::ops::weightless;
use crate::{
    BatchNorm, Conv3d, ConvTranspose3d, Engine, Error, Network, NodeId, Op, OpClass, Pad3d, Plan, PlanOptions, Purpose,
    Result, Rules, Tensor,
};
use std::collections::BTreeMap;

/// A network whose operations are run one by one, with the plans that have been compiled for it.
#[derive(Debug)]
pub struct Layerwise {
    engine: Engine,
    network: Network,
    shapes: Vec<Vec<usize>>,
    /// Batch normalisations of the network, and how many of them were folded.
    norms: (usize, usize),
    /// Of the whole network, with every node's value kept.
    values: Plan,
    /// Of each operation, by its node and by what is taken of its weights.
    layers: BTreeMap<(usize, WeightPart), Plan>,
    /// Bytes that all plans may take together.
    limit: Option<usize>,
}

/// What every node holds, for one sample.
type Values = Vec<Vec<f32>>;

impl Layerwise {
    /// Prepares a network that gives logits; refused where a log-softmax is left in it.
    pub fn new(engine: &Engine, network: &Network) -> Result<Self> {
        if let Some(node) = network.nodes().iter().find(|node| node.op == Op::LogSoftmax) {
            return Err(Error::Shape {
                node: node.name.clone(),
                what: "found a log-softmax, expected logits: relevance is of a score before softmax".into(),
            });
        }
        let norms = |network: &Network| network.nodes().iter().filter(|n| matches!(n.op, Op::BatchNorm(_))).count();
        let all = norms(network);
        let network = network.with_folded_norms()?;
        let keep = (0..network.nodes().len()).map(NodeId).collect();
        let values = engine.plan(&network, &PlanOptions { purpose: Purpose::Infer, batch: 1, keep })?;
        Ok(Self {
            engine: engine.clone(),
            shapes: network.shapes(),
            norms: (all, all - norms(&network)),
            network,
            values,
            layers: BTreeMap::new(),
            limit: None,
        })
    }

    /// Bounds the memory of its plans, in bytes: those of single operations then make room for each other.
    #[must_use]
    pub fn with_memory_limit(self, limit: Option<usize>) -> Self {
        Self { limit, ..self }
    }

    /// How many convolutions and linear layers there are.
    pub fn layers(&self) -> usize {
        self.network.nodes().iter().filter(|node| node.op.class() == OpClass::Layer).count()
    }

    /// How many operations there are that are not linear.
    pub fn nonlinear(&self) -> usize {
        self.network.nodes().iter().filter(|node| is_nonlinear(&node.op)).count()
    }

    /// The network with its batch normalisations folded.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// How many batch normalisations there were, and how many of them could be folded into the layer in front.
    pub const fn norms(&self) -> (usize, usize) {
        self.norms
    }

    /// Bytes of the plans compiled so far.
    pub fn memory_bytes(&self) -> usize {
        self.values.memory_bytes() + self.layers.values().map(Plan::memory_bytes).sum::<usize>()
    }

    /// Number of values of one sample of the input, and of the output.
    fn sizes(&self) -> (usize, usize) {
        (self.network.input_shape().iter().product(), self.network.outputs())
    }

    /// Number of samples, where input and output hold as many of them.
    fn samples(&self, input: &[f32], output: &[f32]) -> Result<usize> {
        let (of_input, of_output) = self.sizes();
        let samples = input.len() / of_input;
        if samples == 0 || input.len() != samples * of_input || output.len() != samples * of_output {
            return Err(Error::Request(format!(
                "found {} values of input and {} of output, expected as many samples of {:?} and of {of_output}",
                input.len(),
                output.len(),
                self.network.input_shape()
            )));
        }
        Ok(samples)
    }

    /// What every node holds for one sample.
    fn forward(&mut self, input: &[f32]) -> Result<Values> {
        let tape = self.values.forward(input)?;
        (0..self.shapes.len()).map(|node| Ok(tape.value(NodeId(node))?.data().to_vec())).collect()
    }

    /// The plan of one operation by itself, without its bias, and with other weights.
    fn layer(&mut self, node: usize, weight: WeightPart) -> Result<&mut Plan> {
        if !self.layers.contains_key(&(node, weight)) {
            let of = &self.network.nodes()[node];
            let network = alone(&of.name, without_bias(&of.op, weight), &self.shapes[of.inputs[0].0])?;
            let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: Vec::new() };
            if let Some(limit) = self.limit {
                let needed = self.engine.memory(&network, &options)?.total();
                if self.memory_bytes() + needed > limit {
                    self.layers.clear();
                }
                let needed = self.memory_bytes() + needed;
                if needed > limit {
                    return Err(Error::Request(format!(
                        "walking layer by layer needs {:.1} MB of memory at node {}, and {:.1} MB are allowed",
                        needed as f64 / 1e6,
                        of.name,
                        limit as f64 / 1e6
                    )));
                }
            }
            let plan = self.engine.plan(&network, &options)?;
            self.layers.insert((node, weight), plan);
        }
        self.layers.get_mut(&(node, weight)).ok_or_else(|| Error::Request("a layer's plan went missing".into()))
    }

    /// What an operation makes of an input, without its bias.
    fn apply(&mut self, node: usize, weight: WeightPart, input: &[f32]) -> Result<Vec<f32>> {
        Ok(self.layer(node, weight)?.forward(input)?.output().to_vec())
    }

    /// What an operation hands to its input of `reaching`, by the gradient at `input` (which a linear operation
    /// does not depend on).
    fn pull(&mut self, node: usize, weight: WeightPart, input: &[f32], reaching: &[f32]) -> Result<Vec<f32>> {
        let mut tape = self.layer(node, weight)?.forward(input)?;
        Ok(tape.backward(reaching, &Rules::GRADIENT)?.input.to_vec())
    }

    /// The bias of every output value of a linear operation; nothing where it has none.
    fn bias(&self, node: usize) -> Option<Vec<f64>> {
        let per_channel: Vec<f64> = match &self.network.nodes()[node].op {
            Op::Conv3d(Conv3d { bias, .. }) | Op::ConvTranspose3d(ConvTranspose3d { bias, .. }) => {
                bias.as_ref()?.data().iter().map(|&b| f64::from(b)).collect()
            }
            Op::Linear(linear) => linear.bias.data().iter().map(|&b| f64::from(b)).collect(),
            Op::BatchNorm(norm) => norm.scale_and_shift().map(|(_, shift)| shift).collect(),
            Op::Pad3d(pad) if pad.value != 0.0 => return Some(around(pad, &self.shapes[node])),
            Op::SampleNorm(_) | Op::Prelu(_) | weightless!() => return None,
        };
        let cells: usize = self.shapes[node][1..].iter().product();
        Some(per_channel.into_iter().flat_map(|b| std::iter::repeat_n(b, cells)).collect())
    }
}

/// Whether an operation is not linear: an activation, max-pooling, a softmax. (A log-softmax is refused from the start.)
fn is_nonlinear(op: &Op) -> bool {
    match op.class() {
        OpClass::Activation(_)
        | OpClass::Prelu(_)
        | OpClass::SampleNorm(_)
        | OpClass::Product
        | OpClass::MaxPool(_)
        | OpClass::Softmax
        | OpClass::LogSoftmax => true,
        OpClass::Input | OpClass::Layer | OpClass::Affine | OpClass::Identity | OpClass::Sum | OpClass::Concat => false,
    }
}

/// The operation without its bias, and with what is taken of its weights.
fn without_bias(op: &Op, weight: WeightPart) -> Op {
    let taken = |tensor: &Tensor| {
        let of = |w: f32| match weight {
            WeightPart::Value => w,
            WeightPart::Positive => w.max(0.0),
            WeightPart::Negative => w.min(0.0),
            WeightPart::One => 1.0,
            WeightPart::Square => w * w,
        };
        Tensor::new(tensor.shape(), tensor.data().iter().map(|&w| of(w)).collect())
    };
    match op {
        Op::Conv3d(conv) => {
            let mut conv = conv.clone().without_bias();
            conv.weight = taken(&conv.weight);
            conv.into()
        }
        Op::ConvTranspose3d(conv) => {
            let mut conv = conv.clone().without_bias();
            conv.weight = taken(&conv.weight);
            conv.into()
        }
        Op::Linear(linear) => {
            let mut linear = linear.clone();
            linear.weight = taken(&linear.weight);
            linear.bias = Tensor::default();
            linear.into()
        }
        Op::BatchNorm(norm) => {
            let zeros = Tensor::zeros([norm.channels]);
            BatchNorm { bias: zeros.clone(), running_mean: zeros, ..norm.clone() }.into()
        }
        Op::Pad3d(pad) if pad.value != 0.0 => Op::Pad3d(Pad3d { value: 0.0, ..*pad }),
        Op::SampleNorm(_) | Op::Prelu(_) | weightless!() => op.clone(),
    }
}

/// What a padding adds to each value of its output: its value around, 0 inside.
fn around(pad: &Pad3d, shape: &[usize]) -> Vec<f64> {
    let [_, i, j, k] = [shape[0], shape[1], shape[2], shape[3]];
    let inside = |axis: usize, at: usize| (pad.before[axis]..shape[axis + 1] - pad.after[axis]).contains(&at);
    let of = |at: usize| {
        let within = inside(0, at / (j * k) % i) && inside(1, at / k % j) && inside(2, at % k);
        if within { 0.0 } else { f64::from(pad.value) }
    };
    (0..shape.iter().product()).map(of).collect()
}

/// A network of one operation.
fn alone(name: &str, op: Op, input: &[usize]) -> Result<Network> {
    let mut network = match *input {
        [c, i, j, k] => Network::new([c, i, j, k]),
        _ => {
            let mut network = Network::new([input.iter().product(), 1, 1, 1]);
            network.then("features", Op::Flatten)?;
            network
        }
    };
    // A node of its own name may be called as those that come with the network.
    network.then(&format!("{name} alone"), op)?;
    Ok(network)
}

/// For each of `values` values the sum over those that it stands for: all voxels of its channel, or itself.
fn over_voxels(values: usize, all: Vec<f32>) -> Vec<f32> {
    if all.len() == values {
        return all;
    }
    #[expect(clippy::cast_possible_truncation, reason = "values are float32, sums are not")]
    all.chunks_exact(all.len() / values)
        .map(|channel| channel.iter().map(|&v| f64::from(v)).sum::<f64>() as f32)
        .collect()
}

/// Adds `part` to what has reached a node.
fn add(reached: &mut Option<Vec<f32>>, part: Vec<f32>) {
    match reached {
        None => *reached = Some(part),
        Some(sum) => sum.iter_mut().zip(part).for_each(|(s, p)| *s += p),
    }
}
