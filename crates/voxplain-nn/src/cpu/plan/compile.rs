//! From a network to steps, values and memory.

use super::joining::{self, Places};
use super::memory::{Memory, RegionId};
use super::step::{
    Before, ConvAlgorithm, ConvBackward, ConvTrain, ConvWork, FirstBlock, GroupedWork, LinearWork, NormWork, Run,
    SampleNormWork, Sink, Step, TransposedWork, ValueId, Work,
};
use super::{CpuPlan, DropoutSeed};
use crate::cpu::CpuBackend;
use crate::cpu::kernels::{
    Buffer, Conv, LANES, Layout, Scratch, Volume, Window, direct, first, grouped::Grouped, linear::Sizes, nested, norm,
    norm_pool::Pooling, patches, pointwise, pool::Means, pool::Winners, resize::Resampling, sample_norm::Normalisation,
    sparse, strided, winograd, winograd_gradient,
};
use crate::ops::activations;
use crate::{Activation, BatchNorm, Conv3d, MemoryUse, Network, Node, Op, PlanOptions, Pool3d, Purpose, Result};
use std::collections::BTreeMap;

/// Most channels of a network's input that convolutions take as planes; more are brought into blocks.
const PLANAR_CHANNELS: usize = 4;

/// A value: where it lies and where its gradient does.
#[derive(Debug)]
pub(crate) struct Value {
    /// Layout and extents.
    pub(crate) volume: Volume,
    /// Memory; none when it is fused away.
    pub(crate) region: Option<RegionId>,
    /// Where the backward pass finds it, when it is computed once more for that.
    pub(crate) again: Option<RegionId>,
    /// Memory of its gradient, if one is wanted.
    pub(crate) gradient: Option<RegionId>,
    /// Whether it was asked to be kept.
    pub(crate) kept: bool,
}

/// The state of a compilation.
struct Compiler<'a> {
    network: &'a Network,
    purpose: Purpose,
    batch: usize,
    values: Vec<Value>,
    steps: Vec<Step>,
    /// Consumers of each node.
    consumers: Vec<Vec<usize>>,
    /// Position of each node's first gradient among the network's parameters.
    parameters: Vec<usize>,
    memory: Memory,
    /// Floats of scratch that each thread needs.
    scratch: usize,
    /// The input in blocks.
    blocked: Option<ValueId>,
    /// For nodes that do a normalisation in front of them themselves: it, and what it reads.
    before: BTreeMap<usize, (Before, ValueId)>,
}

/// A network compiled, without the memory of its values.
pub(super) struct Draft {
    values: Vec<Value>,
    steps: Vec<Step>,
    memory: Memory,
    scratch: Scratch,
    /// Floats of scratch of each thread.
    scratch_len: usize,
    /// Floats of each slot of the memory.
    slots: Vec<usize>,
    first_gradients: FirstGradients,
    group: usize,
}

impl Draft {
    fn new(backend: &CpuBackend, network: &Network, options: &PlanOptions) -> Result<Self> {
        let nodes = network.nodes();
        let mut consumers = vec![Vec::new(); nodes.len()];
        let mut parameters = Vec::with_capacity(nodes.len());
        let mut count = 0;
        for (index, node) in nodes.iter().enumerate() {
            for input in &node.inputs {
                consumers[input.0].push(index);
            }
            parameters.push(count);
            node.op.slots(&mut |slot| count += usize::from(slot.trained));
        }
        let shapes = network.shapes();
        let values = shapes.iter().enumerate().map(|(index, shape)| Value {
            volume: volume(shape, if index == 0 { Layout::Planar } else { Layout::Blocked }),
            region: None,
            again: None,
            gradient: None,
            kept: options.keep.iter().any(|node| node.0 == index),
        });
        let group = match options.purpose {
            Purpose::Train => options.batch,
            // Enough samples at once to keep all threads busy; results do not depend on it.
            Purpose::Infer | Purpose::InputGradient => options.batch.min(backend.threads.div_ceil(4)),
        };
        let mut compiler = Compiler {
            network,
            purpose: options.purpose,
            batch: options.batch,
            values: values.collect(),
            steps: Vec::new(),
            consumers,
            parameters,
            memory: Memory::default(),
            scratch: 0,
            blocked: None,
            before: BTreeMap::new(),
        };
        compiler.steps()?;
        let first_gradients = compiler.lay_out(group);
        let Compiler { values, steps, mut memory, scratch: scratch_len, .. } = compiler;
        let slots = memory.assign(group, options.batch);
        Ok(Self {
            values,
            steps,
            memory,
            scratch: Scratch::new(backend.threads),
            scratch_len,
            slots,
            first_gradients,
            group,
        })
    }

    /// What it will take.
    fn memory_use(&self, network: &Network, options: &PlanOptions) -> MemoryUse {
        let floats = size_of::<f32>();
        let mut values = self.slots.iter().sum::<usize>() * floats;
        let [mut argmax, mut weights] = [0; 2];
        for step in &self.steps {
            let (of_argmax, of_weights) = step.work.memory();
            values += step.work.statistics();
            argmax += of_argmax;
            weights += of_weights * floats;
        }
        let train = options.purpose == Purpose::Train;
        let parameters: usize = if train { network.parameters().iter().map(|p| p.tensor.len()).sum() } else { 0 };
        let input = if options.purpose == Purpose::InputGradient { network.input_shape().iter().product() } else { 0 };
        MemoryUse {
            values,
            argmax,
            weights,
            gradients: (parameters + options.batch * input) * floats,
            scratch: self.scratch.threads() * self.scratch_len * floats,
        }
    }
}

impl CpuPlan {
    /// What a plan would take, without making it.
    pub(in crate::cpu) fn estimate(
        backend: &CpuBackend,
        network: &Network,
        options: &PlanOptions,
    ) -> Result<MemoryUse> {
        Ok(Draft::new(backend, network, options)?.memory_use(network, options))
    }

    /// Compiles a network.
    pub(in crate::cpu) fn compile(backend: &CpuBackend, network: &Network, options: &PlanOptions) -> Result<Self> {
        let draft = Draft::new(backend, network, options)?;
        let memory_use = draft.memory_use(network, options);
        let Draft { values, steps, mut memory, mut scratch, scratch_len, slots, first_gradients, group } = draft;
        memory.allocate(&slots);
        scratch.reserve(scratch_len);
        let sizes: Vec<usize> = network.parameters().iter().map(|p| p.tensor.len()).collect();
        let train = options.purpose == Purpose::Train;
        let input = network.shapes()[0].iter().product::<usize>();
        let mut plan = Self {
            isa: backend.isa,
            purpose: options.purpose,
            batch: options.batch,
            group,
            input,
            outputs: network.outputs(),
            last: network.output().0,
            output: vec![0.0; options.batch * network.outputs()],
            input_gradient: if options.purpose == Purpose::InputGradient {
                vec![0.0; options.batch * input]
            } else {
                Vec::new()
            },
            gradients: if train { sizes.iter().map(|len| vec![0.0; *len]).collect() } else { Vec::new() },
            output_gradient: first_gradients.output,
            unreached: first_gradients.unreached,
            samples: 0,
            values,
            steps,
            memory,
            memory_use,
            scratch,
            dropout: DropoutSeed::default(),
        };
        plan.take_weights(network)?;
        Ok(plan)
    }
}

/// Gradients that a backward pass begins with.
#[derive(Default)]
struct FirstGradients {
    /// Where the output gradient is written.
    output: Option<RegionId>,
    /// Gradients that nothing reaches.
    unreached: Vec<RegionId>,
}

fn volume(shape: &[usize], layout: Layout) -> Volume {
    match *shape {
        [channels, i, j, k] => Volume { layout, channels, size: [i, j, k] },
        _ => Volume { layout: Layout::Flat, channels: shape.iter().product(), size: [1; 3] },
    }
}

/// Whether it is the max-pool that blocks are fused with.
fn pools_pairs(op: &Op) -> bool {
    matches!(op, Op::MaxPool3d(pool) if *pool == Pool3d::new([2; 3]))
}

/// Whether it is a max-pool that normalisations in training are fused with.
fn pools(op: &Op) -> bool {
    let Op::MaxPool3d(pool) = op else { return false };
    let plain = Pool3d::new(pool.kernel).with_stride(pool.stride).with_padding(pool.padding);
    *pool == plain && pool.kernel.iter().product::<usize>() <= 256
}

fn conv_window(conv: &Conv3d) -> Window {
    Window { kernel: conv.kernel, stride: conv.stride, padding: conv.padding, dilation: conv.dilation }
}

fn pool_window(pool: &Pool3d) -> Window {
    Window { kernel: pool.kernel, stride: pool.stride, padding: pool.padding, dilation: pool.dilation }
}

impl Compiler<'_> {
    fn node(&self, index: usize) -> &Node {
        &self.network.nodes()[index]
    }

    /// The only consumer of a node that may be fused into what makes it.
    fn follower(&self, index: usize) -> Option<usize> {
        match self.consumers[index][..] {
            [next] if !self.values[index].kept && index + 1 < self.network.nodes().len() => Some(next),
            _ => None,
        }
    }

    /// The value that a step reads for a node: the input in blocks where it must be.
    fn source(&mut self, node: usize, planar: bool) -> ValueId {
        let from = self.values[node].volume;
        if node != 0 || planar {
            return node;
        }
        if let Some(blocked) = self.blocked {
            return blocked;
        }
        let blocked = self.value(Volume { layout: Layout::Blocked, ..from });
        self.blocked = Some(blocked);
        self.push(vec![0], blocked, Work::Convert);
        blocked
    }

    /// A value that is no node's.
    fn value(&mut self, volume: Volume) -> ValueId {
        self.values.push(Value { volume, region: None, again: None, gradient: None, kept: false });
        self.values.len() - 1
    }

    /// A mean-pool that alone follows a convolution of one tap. Both are linear, and each mean is of as many values: the
    /// pool may come first, and leaves less to convolve.
    fn pooled_first(&self, index: usize, conv: &Conv) -> Option<(usize, Means)> {
        let next = self.follower(index)?;
        let Op::AvgPool3d(pool) = &self.node(next).op else { return None };
        let window = pool_window(pool);
        let even = pool.divides_evenly() && window.padding == [0; 3];
        let less = 2 * self.values[next].volume.voxels() <= conv.input.voxels();
        (pointwise::fits(conv) && even && less).then_some((next, Means { window, pool: None }))
    }

    /// The node that does what a normalisation for inference does (with a ReLU or not) itself, where it alone reads the
    /// `output` of that.
    fn does_it_itself(&self, output: usize) -> Option<usize> {
        let next = self.follower(output).filter(|_| self.purpose == Purpose::Infer)?;
        let Op::Conv3d(spec) = &self.node(next).op else { return None };
        let [input, output] = [output, next].map(|v| self.values[v].volume);
        let fits = spec.groups == 1 && pointwise::fits(&Conv { input, output, window: conv_window(spec) });
        fits.then_some(next)
    }

    /// The pool and the ReLU that follow a node in this order, and nothing else does.
    fn pool_then_relu(&self, index: usize) -> Option<[usize; 2]> {
        let pool = self.follower(index).filter(|n| pools_pairs(&self.node(*n).op))?;
        let relu = self.follower(pool).filter(|n| self.node(*n).op == Op::Relu)?;
        Some([pool, relu])
    }

    fn reserve(&mut self, scratch: usize) {
        self.scratch = self.scratch.max(scratch);
    }

    fn push(&mut self, inputs: Vec<ValueId>, output: ValueId, work: Work) {
        let sinks = vec![None; inputs.len()];
        self.steps.push(Step { inputs, output, work, sinks, reached: false, again: None });
    }

    /// One step per group of operations.
    fn steps(&mut self) -> Result<()> {
        let mut done = vec![false; self.network.nodes().len()];
        let train = self.purpose == Purpose::Train;
        for index in 1..self.network.nodes().len() {
            if done[index] {
                continue;
            }
            let network = self.network;
            let node = &network.nodes()[index];
            let is_conv = matches!(&node.op, Op::Conv3d(conv) if conv.groups == 1);
            let planar = is_conv && self.values[0].volume.channels <= PLANAR_CHANNELS;
            let mut inputs: Vec<ValueId> = node.inputs.iter().map(|input| self.source(input.0, planar)).collect();
            let mut before = None;
            if let Some((norm, input)) = self.before.remove(&index) {
                (before, inputs[0]) = (Some(norm), input);
            }
            let from = self.values[inputs[0]].volume;
            let mut output = index;
            let work = match &node.op {
                Op::Input { .. } => continue,
                Op::Conv3d(spec) if spec.groups > 1 => {
                    let window = conv_window(spec);
                    let conv = Conv { input: from, output: self.values[index].volume, window };
                    let grouped = Grouped { conv, seen: spec.seen(), of_group: spec.output / spec.groups };
                    Work::Grouped(Box::new(GroupedWork {
                        node: index,
                        grouped,
                        weights: Buffer::zeros(grouped.packed_len()),
                        bias: Buffer::zeros(conv.output.blocks() * LANES),
                        has_bias: spec.has_bias,
                        gradient: self.parameters[index],
                    }))
                }
                Op::Conv3d(spec) => {
                    let window = conv_window(spec);
                    let mut conv = Conv { input: from, output: self.values[index].volume, window };
                    if let Some((pool, means)) = self.pooled_first(index, &conv) {
                        let size = self.values[pool].volume.size;
                        let pooled = self.value(Volume { size, ..from });
                        self.push(inputs, pooled, Work::AvgPool { means, before: before.take() });
                        (inputs, output, done[pool]) = (vec![pooled], pool, true);
                        conv = Conv { input: self.values[pooled].volume, output: self.values[pool].volume, window };
                    }
                    if let Some((block, last)) = self.first_block(index, inputs[0], &conv, spec.has_bias) {
                        done[index..=last].fill(true);
                        self.push(inputs, last, Work::FirstBlock(Box::new(block)));
                        continue;
                    }
                    let mut norm = None;
                    let mut relu = false;
                    if !train {
                        if let Some(next) =
                            self.follower(output).filter(|n| matches!(self.node(*n).op, Op::BatchNorm(_)))
                        {
                            (norm, output, done[next]) = (Some(next), next, true);
                        }
                        if let Some(next) = self.follower(output).filter(|n| self.node(*n).op == Op::Relu) {
                            (relu, output, done[next]) = (true, next, true);
                        }
                    }
                    let algorithm = if winograd::fits(&conv) {
                        ConvAlgorithm::Winograd
                    } else if nested::fits(&conv) {
                        ConvAlgorithm::Nested
                    } else if pointwise::fits(&conv) {
                        ConvAlgorithm::Pointwise
                    } else {
                        ConvAlgorithm::Direct
                    };
                    let mut pool = None;
                    let differentiates = self.purpose != Purpose::Infer;
                    let can_pool = (algorithm == ConvAlgorithm::Winograd && conv.output.size.iter().all(|&s| s >= 2))
                        || (algorithm == ConvAlgorithm::Direct && first::fits(&conv.on_padded()));
                    if relu
                        && can_pool
                        && (!differentiates || sparse::fits(&conv))
                        && let Some(next) = self.follower(output).filter(|n| pools_pairs(&self.node(*n).op))
                    {
                        (output, done[next]) = (next, true);
                        pool = Some(if differentiates {
                            vec![0; self.batch * self.values[next].volume.len()]
                        } else {
                            Vec::new()
                        });
                    } else if can_pool
                        && !differentiates
                        && !relu
                        && let Some([of_pool, of_relu]) = self.pool_then_relu(output)
                    {
                        // The largest of what is cut off below zero is the largest, cut off.
                        (done[of_pool], done[of_relu], output) = (true, true, of_relu);
                        (relu, pool) = (true, Some(Vec::new()));
                    }

                    match algorithm {
                        ConvAlgorithm::Winograd => self.reserve(winograd::scratch_len(&conv)),
                        ConvAlgorithm::Nested => self.reserve(nested::scratch_len(&conv)),
                        ConvAlgorithm::Pointwise => self.reserve(pointwise::scratch_len(&conv)),
                        ConvAlgorithm::Direct if pool.is_some() => self.reserve(first::scratch_len(&conv)),
                        ConvAlgorithm::Direct => {}
                    }
                    let train = train.then(|| ConvTrain {
                        gradient: self.parameters[index],
                        bias: spec.has_bias
                            && !self.follower(index).is_some_and(|n| matches!(self.node(n).op, Op::BatchNorm(_))),
                        padded: None,
                        scratch: None,
                    });
                    let weights = Buffer::zeros(match algorithm {
                        ConvAlgorithm::Direct | ConvAlgorithm::Pointwise => direct::packed_len(&conv.on_padded()),
                        ConvAlgorithm::Nested => nested::packed_len(&conv),
                        ConvAlgorithm::Winograd => winograd::packed_len(&conv),
                    });
                    let bias = Buffer::zeros(conv.output.blocks() * LANES);
                    Work::Conv(Box::new(ConvWork {
                        node: index,
                        before,
                        norm,
                        relu,
                        conv,
                        algorithm,
                        pool,
                        weights,
                        bias,
                        backward: None,
                        zeros: Buffer::default(),
                        padded: None,
                        masked: None,
                        spread: None,
                        train,
                    }))
                }
                Op::ConvTranspose3d(spec) => {
                    let window = Window {
                        kernel: spec.kernel,
                        stride: spec.stride,
                        padding: spec.padding,
                        dilation: spec.dilation,
                    };
                    let to = self.values[index].volume;
                    let conv = Conv { input: to, output: from, window };
                    let beyond = spec.output_padding.iter().any(|&more| more < 0);
                    let grouped = (spec.groups > 1 || beyond).then(|| Grouped {
                        conv,
                        seen: spec.of_group(),
                        of_group: spec.input / spec.groups,
                    });
                    let len = match &grouped {
                        Some(grouped) => grouped.packed_len(),
                        None => direct::packed_len(&conv.backward()),
                    };
                    Work::Transposed(Box::new(TransposedWork {
                        node: index,
                        conv,
                        grouped,
                        weights: Buffer::zeros(len),
                        backward: Buffer::default(),
                        bias: Buffer::zeros(to.blocks() * LANES),
                        zeros: Buffer::zeros(from.blocks() * LANES),
                        spread: None,
                        padded: None,
                        scratch: None,
                        has_bias: spec.has_bias,
                        gradient: self.parameters[index],
                    }))
                }
                Op::BatchNorm(spec) => {
                    if train {
                        let relu = self.follower(index).filter(|n| self.node(*n).op == Op::Relu);
                        // Sums over planes have room for those of the input.
                        let fits =
                            |n: &usize| pools(&self.node(*n).op) && self.values[*n].volume.size[0] <= from.size[0];
                        let next = relu.and_then(|relu| self.follower(relu)).filter(fits);
                        let mut pool = None;
                        // In either order: what is largest passes when it is above zero.
                        let in_order = relu.zip(next).map(|(relu, next)| [relu, next, next]);
                        let reversed = || self.pool_then_relu(index).map(|[pool, relu]| [pool, relu, pool]);
                        if let Some([first, last, pooled]) = in_order.or_else(reversed) {
                            (done[first], done[last], output) = (true, true, last);
                            if let Op::MaxPool3d(spec) = &self.node(pooled).op {
                                let to = self.values[pooled].volume;
                                let pooling = Pooling { window: pool_window(spec), output: to };
                                pool = Some((pooling, vec![0; self.batch * to.len()]));
                            }
                        } else if let Some(relu) = relu {
                            (done[relu], output) = (true, relu);
                        }
                        let mut norm = self.norm_work(index, spec, &from, pool);
                        norm.relu = output != index;
                        Work::BatchNorm(Box::new(norm))
                    } else {
                        let padded = from.blocks() * LANES;
                        let relu = self.follower(index).filter(|n| self.node(*n).op == Op::Relu);
                        if let Some(relu) = relu {
                            (done[relu], output) = (true, relu);
                        }
                        let [scale, shift] = [0; 2].map(|_| Buffer::zeros(padded));
                        if let Some(next) = self.does_it_itself(output) {
                            let norm = Before { node: index, scale, shift, relu: relu.is_some() };
                            self.before.insert(next, (norm, inputs[0]));
                            continue;
                        }
                        Work::Affine { node: index, scale, shift, relu: relu.is_some() }
                    }
                }
                Op::SampleNorm(spec) => Work::SampleNorm(Box::new(SampleNormWork {
                    node: index,
                    norm: Normalisation::new(spec, &from, self.batch),
                    gradient: self.parameters[index],
                })),
                Op::Prelu(_) => Work::Prelu {
                    node: index,
                    slope: Buffer::zeros(from.blocks() * LANES),
                    gradient: self.parameters[index],
                },
                Op::Pad3d(pad) => Work::Pad(*pad),
                Op::Resize3d(resize) => {
                    Work::Resize(Box::new(Resampling::new(resize, from, self.values[index].volume)))
                }
                Op::Multiply => Work::Multiply,
                Op::MaxPool3d(pool) => {
                    let window = pool_window(pool);
                    let asked = self.purpose != Purpose::Infer;
                    let len = if asked { self.batch * self.values[index].volume.len() } else { 0 };
                    Work::MaxPool { window, taps: Winners::new(&window, len) }
                }
                Op::AvgPool3d(pool) => {
                    let means = Means { window: pool_window(pool), pool: (!pool.divides_evenly()).then_some(*pool) };
                    Work::AvgPool { means, before: None }
                }
                Op::GlobalAvgPool => Work::GlobalAvgPool,
                Op::Flatten => Work::Convert,
                Op::Linear(spec) => {
                    let sizes = Sizes { input: spec.input, output: spec.output };
                    Work::Linear(Box::new(LinearWork {
                        node: index,
                        sizes,
                        weights: Buffer::zeros(sizes.row() * sizes.output),
                        bias: vec![0.0; sizes.output],
                        gradient: self.parameters[index],
                    }))
                }
                &Op::Dropout { p } if train => {
                    if from.layout == Layout::Blocked {
                        self.reserve(from.values());
                    }
                    // The region's life is set with the others'.
                    let mask = self.memory.request(from.len(), false, (0, 0));
                    Work::Dropout { node: index, p, mask }
                }
                Op::Dropout { .. } => Work::Convert,
                Op::Add => {
                    let relu = self.follower(index).filter(|n| self.node(*n).op == Op::Relu);
                    if let Some(relu) = relu {
                        (done[relu], output) = (true, relu);
                    }
                    Work::Add { relu: relu.is_some(), masked: None }
                }
                Op::Concat => Work::Concat(Vec::new()),
                Op::Softmax => Work::Softmax,
                Op::LogSoftmax => Work::LogSoftmax,
                activations!() => node.op.activation().map_or(Work::Convert, Work::Activation),
            };
            self.push(inputs, output, work);
        }
        Ok(())
    }

    /// A normalisation of `from` in training.
    fn norm_work(&self, node: usize, spec: &BatchNorm, from: &Volume, pool: Option<(Pooling, Vec<u8>)>) -> NormWork {
        let padded = from.blocks() * LANES;
        NormWork {
            node,
            weight: vec![0.0; spec.channels],
            bias: vec![0.0; spec.channels],
            epsilon: spec.epsilon,
            pool,
            relu: true,
            moments: norm::Moments::new(from, self.batch),
            scale: Buffer::zeros(padded),
            shift: Buffer::zeros(padded),
            backward: norm::Backward::new(from),
            gradient: self.parameters[node],
        }
    }

    /// In training, the first block of the network when it begins at `index`: a convolution of the input with a
    /// normalisation, a ReLU and a max-pool that nothing else looks into; and its last node.
    fn first_block(
        &mut self,
        index: usize,
        input: ValueId,
        conv: &Conv,
        has_bias: bool,
    ) -> Option<(FirstBlock, usize)> {
        let starts = self.purpose == Purpose::Train && input == 0 && !self.values[0].kept && patches::fits(conv);
        if !starts {
            return None;
        }
        let norm = self.follower(index)?;
        let Op::BatchNorm(spec) = &self.network.nodes()[norm].op else { return None };
        let relu = self.follower(norm).filter(|&n| self.node(n).op == Op::Relu)?;
        let last = self.follower(relu).filter(|&n| pools_pairs(&self.node(n).op))?;
        if last != index + 3 {
            return None;
        }
        self.reserve(patches::scratch_len(conv));
        self.reserve(first::scratch_len(conv));
        let taps = vec![0; self.batch * self.values[last].volume.len()];
        let channels = conv.output.channels;
        let block = FirstBlock {
            conv_node: index,
            conv: *conv,
            kernel: vec![0.0; channels * patches::TAPS],
            offset: vec![0.0; if has_bias { channels } else { 0 }],
            weights: Buffer::zeros(direct::packed_len(conv)),
            bias: Buffer::zeros(conv.output.blocks() * LANES),
            patches: patches::Patches::default(),
            norm: self.norm_work(norm, spec, &conv.output, Some((Pooling::by_two(&conv.output), taps))),
            gradient: self.parameters[index],
            sums: None,
        };
        Some((block, last))
    }

    /// Decides which values and gradients live when, and lays them out.
    ///
    /// Moments: the input comes at 0, step `s` of `S` runs at `s + 1`, the output gradient comes at `S + 1`, and step
    /// `s` runs backwards at `2 S + 1 - s`.
    fn lay_out(&mut self, group: usize) -> FirstGradients {
        let count = self.steps.len();
        let (backward_at, end) = (count + 1, 2 * count + 2);
        let back = |step: usize| 2 * count + 1 - step;
        let differentiates = self.purpose != Purpose::Infer;
        let train = self.purpose == Purpose::Train;
        let whole_batch = group == self.batch;
        // Values: from their step to their last use; to the end when recorded.
        let mut born = vec![None; self.values.len()];
        let mut last = vec![0; self.values.len()];
        born[0] = Some(0);
        let mut recorded = vec![false; self.values.len()];
        for (s, step) in self.steps.iter().enumerate() {
            born[step.output] = Some(s + 1);
            last[step.output] = last[step.output].max(s + 1);
            for &input in &step.inputs {
                last[input] = last[input].max(s + 1);
            }
            if !differentiates {
                continue;
            }
            match &step.work {
                Work::Conv(conv) => {
                    recorded[step.inputs[0]] |= train;
                    recorded[step.output] |= conv.relu;
                }
                Work::BatchNorm(norm) => {
                    recorded[step.inputs[0]] = true;
                    recorded[step.output] |= norm.relu;
                }
                Work::FirstBlock(_) => {
                    recorded[step.inputs[0]] = true;
                    recorded[step.output] = true;
                }
                Work::Linear(_) | Work::Grouped(_) | Work::Transposed(_) => recorded[step.inputs[0]] |= train,
                Work::SampleNorm(_) | Work::Prelu { .. } => recorded[step.inputs[0]] = true,
                Work::Multiply => step.inputs.iter().for_each(|&input| recorded[input] = true),
                Work::Activation(Activation::Relu) | Work::Softmax | Work::LogSoftmax => {
                    recorded[step.output] = true;
                }
                Work::Activation(_) => recorded[step.inputs[0]] = true,
                Work::Affine { relu, .. } | Work::Add { relu, .. } => recorded[step.output] |= *relu,
                Work::Pad(_)
                | Work::Resize(_)
                | Work::MaxPool { .. }
                | Work::AvgPool { .. }
                | Work::GlobalAvgPool
                | Work::Convert
                | Work::Dropout { .. }
                | Work::Concat(_) => {}
            }
        }
        let last_node = self.network.nodes().len() - 1;
        last[last_node] = last[last_node].max(backward_at);
        for v in self.made_again() {
            recorded[v] = false;
        }
        let stays: Vec<bool> = (0..self.values.len()).map(|v| recorded[v] || self.values[v].kept).collect();
        let lives = |v: usize| {
            let born = born[v]?;
            let whole = stays[v] && !whole_batch;
            Some((if whole { 0 } else { born }, if stays[v] { end } else { last[v] }))
        };
        // Of several samples at once the parts of a whole would not lie side by side.
        let places = if group == 1 {
            Places::find(&self.steps, &self.values, |part, whole| stays[part] == stays[whole])
        } else {
            Places::none(self.values.len())
        };
        let mut roots = vec![None; self.values.len()];
        for v in 0..self.values.len() {
            let (root, _) = places.root(v);
            roots[root] = match (roots[root], lives(v)) {
                (Some((from, until)), Some(life)) => Some((life.0.min(from), life.1.max(until))),
                (one, other) => one.or(other),
            };
        }
        for v in 0..self.values.len() {
            if places.root(v) == (v, 0)
                && let Some(life) = roots[v]
            {
                let whole = stays[v] && !whole_batch;
                self.values[v].region = Some(self.memory.request(self.values[v].volume.len(), whole, life));
            }
        }
        for v in 0..self.values.len() {
            let (root, channel) = places.root(v);
            if root != v
                && let Some(of) = self.values[root].region
            {
                let volume = self.values[v].volume;
                self.values[v].region = Some(self.memory.part(of, channel * volume.voxels(), volume.len()));
            }
        }
        for s in 0..count {
            let step = &self.steps[s];
            if !matches!(step.work, Work::Concat(_)) {
                continue;
            }
            let Some(of) = self.values[step.output].region else { continue };
            let whole = self.values[step.output].volume;
            let mut copied = Vec::new();
            for (inputs, channel) in places.runs(step, &self.values) {
                let parts = step.inputs[inputs.clone()].iter();
                let channels = parts.map(|&part| self.values[part].volume.channels).sum();
                let volume = Volume { channels, ..whole };
                let all = channels == whole.channels;
                let into = if all { of } else { self.memory.part(of, channel * whole.voxels(), volume.len()) };
                copied.push(Run { inputs, into, volume });
            }
            self.steps[s].work = Work::Concat(copied);
        }
        for s in 0..count {
            let life = (s + 1, s + 1);
            match &mut self.steps[s].work {
                Work::Conv(conv) if conv.algorithm == ConvAlgorithm::Direct && conv.conv.window.padding != [0; 3] => {
                    let len = conv.conv.on_padded().input.len();
                    conv.padded = Some(self.memory.request(len, false, life));
                }
                Work::Transposed(work) if work.grouped.is_none() => {
                    let spread = work.spread_input();
                    work.spread = Some(self.memory.request(spread.len(), false, life));
                }
                Work::Dropout { mask, .. } => self.memory.extend(*mask, end),
                Work::Conv(_)
                | Work::Grouped(_)
                | Work::Transposed(_)
                | Work::SampleNorm(_)
                | Work::Prelu { .. }
                | Work::Pad(_)
                | Work::Resize(_)
                | Work::Multiply
                | Work::Affine { .. }
                | Work::BatchNorm(_)
                | Work::FirstBlock(_)
                | Work::Activation(_)
                | Work::MaxPool { .. }
                | Work::AvgPool { .. }
                | Work::GlobalAvgPool
                | Work::Convert
                | Work::Linear(_)
                | Work::Add { .. }
                | Work::Concat(_)
                | Work::Softmax
                | Work::LogSoftmax => {}
            }
        }
        let mut first_gradients = FirstGradients::default();
        if differentiates {
            first_gradients = self.lay_out_gradients(&back, backward_at, end, group);
        }
        first_gradients
    }

    /// In training, values that are computed once more in the backward pass rather than kept: what a batch normalisation
    /// gives to convolutions alone (and means of it), one pass over its input.
    fn made_again(&self) -> Vec<ValueId> {
        if self.purpose != Purpose::Train {
            return Vec::new();
        }
        let last = self.network.nodes().len() - 1;
        let cheap = |step: &Step| matches!(&step.work, Work::BatchNorm(norm) if norm.pool.is_none());
        let only_convolutions = |v: ValueId| {
            let mut takers = self.steps.iter().filter(|step| step.inputs.contains(&v)).peekable();
            takers.peek().is_some() && takers.all(|step| matches!(step.work, Work::Conv(_) | Work::AvgPool { .. }))
        };
        let outputs = self.steps.iter().filter(|step| cheap(step)).map(|step| step.output);
        outputs.filter(|&v| v != last && !self.values[v].kept && only_convolutions(v)).collect()
    }

    /// Gradients: from their first contribution to the step that takes them.
    fn lay_out_gradients(
        &mut self,
        back: &dyn Fn(usize) -> usize,
        backward_at: usize,
        end: usize,
        group: usize,
    ) -> FirstGradients {
        let whole_batch = group == self.batch;
        let count = self.steps.len();
        let train = self.purpose == Purpose::Train;
        // Which values need one: all on the way to the input, or to a weight.
        let mut needs: Vec<bool> = self.values.iter().map(|value| !train || value.kept).collect();
        for step in &self.steps {
            needs[step.output] |= step.work.has_weights() || step.inputs.iter().any(|&input| needs[input]);
        }
        let last_node = self.network.nodes().len() - 1;
        // The step that computes each value that is computed once more.
        let made_again = self.made_again();
        let maker = |v: ValueId| self.steps.iter().position(|step| step.output == v);
        let mut makers: Vec<Option<usize>> = vec![None; self.values.len()];
        made_again.into_iter().for_each(|v| makers[v] = maker(v));
        // What only one step takes, of a convolution, and nobody else looks at.
        let mut takers = vec![0; self.values.len()];
        self.steps.iter().flat_map(|step| &step.inputs).for_each(|&input| takers[input] += 1);
        let alone: Vec<bool> = (0..self.values.len())
            .map(|v| takers[v] == 1 && !self.values[v].kept && v != self.network.nodes().len() - 1)
            .collect();
        let mut convolved = vec![false; self.values.len()];
        for step in &self.steps {
            convolved[step.output] = matches!(step.work, Work::Conv(_));
        }
        let overwrites =
            |work: &Work, input: ValueId| matches!(work, Work::BatchNorm(_)) && alone[input] && convolved[input];
        let request = |memory: &mut Memory, value: &mut Value, from: usize, until: usize| {
            let whole = value.kept && !whole_batch;
            let life = (if whole { backward_at } else { from }, if value.kept { end } else { until });
            let region = memory.request(value.volume.len(), whole, life);
            value.gradient = Some(region);
            region
        };
        let output_gradient = request(&mut self.memory, &mut self.values[last_node], backward_at, backward_at);
        for s in (0..count).rev() {
            let at = back(s);
            let step = &mut self.steps[s];
            let Some(gradient) = self.values[step.output].gradient else { continue };
            step.reached = true;
            self.memory.extend(gradient, at);
            if let Some(maker) = makers[step.inputs[0]].take() {
                let value = &mut self.values[step.inputs[0]];
                value.again = Some(self.memory.request(value.volume.len(), false, (at, back(maker))));
                step.again = Some(maker);
            }
            let mut channel = 0;
            for (index, &input) in step.inputs.iter().enumerate() {
                let volume = self.values[input].volume;
                let first = channel;
                channel += volume.channels;
                if !needs[input] {
                    continue;
                }
                // A normalisation is the only one that looks at what a convolution gave: the gradient takes its place.
                if overwrites(&step.work, input)
                    && let Some(region) = self.values[input].region
                {
                    self.memory.extend(region, at);
                    self.values[input].gradient = Some(region);
                    step.sinks[index] = Some(Sink { region, beside: None, joined: false });
                    continue;
                }
                // A slice of the gradient of the whole, unless one of the two is to be looked at afterwards.
                if matches!(step.work, Work::Concat(_))
                    && group == 1
                    && self.values[input].gradient.is_none()
                    && !self.values[input].kept
                    && !self.values[step.output].kept
                    && joining::fits(&volume, &self.values[step.output].volume, first)
                {
                    let region = self.memory.part(gradient, first * volume.voxels(), volume.len());
                    self.values[input].gradient = Some(region);
                    step.sinks[index] = Some(Sink { region, beside: None, joined: true });
                    continue;
                }
                step.sinks[index] = Some(match self.values[input].gradient {
                    None => {
                        let region = request(&mut self.memory, &mut self.values[input], at, at);
                        Sink { region, beside: None, joined: false }
                    }
                    Some(region) => {
                        self.memory.extend(region, at);
                        Sink { region, beside: Some(self.memory.request(volume.len(), false, (at, at))), joined: false }
                    }
                });
            }
            if let Work::Add { relu: true, masked } = &mut step.work {
                *masked = Some(self.memory.request(self.values[step.output].volume.len(), false, (at, at)));
            }
            if let Work::FirstBlock(work) = &mut step.work {
                let len = patches::correlation_len(&work.conv);
                work.sums = Some(self.memory.request(len.div_ceil(self.batch), false, (at, at)));
            }
            if let Work::Transposed(work) = &mut step.work
                && work.grouped.is_none()
            {
                let mut scratch = |len: usize| Some(self.memory.request(len, false, (at, at)));
                let conv = work.conv.on_padded();
                if work.conv.window.padding != [0; 3] {
                    work.padded = scratch(conv.input.len());
                }
                if step.sinks[0].is_some() {
                    work.backward = Buffer::zeros(direct::packed_len(&conv));
                }
                if train {
                    work.scratch = scratch(direct::gradient_scratch(&conv, self.batch).div_ceil(self.batch));
                }
            }
            if let Work::Conv(work) = &mut step.work {
                let mut scratch = |len: usize| Some(self.memory.request(len, false, (at, at)));
                if work.relu && work.pool.is_none() {
                    work.masked = scratch(work.conv.output.len());
                }
                if step.sinks[0].is_some() {
                    let backward = work.conv.backward();
                    work.zeros = Buffer::zeros(backward.output.blocks() * LANES);
                    let (backward, len) = if work.pool.is_some() {
                        (ConvBackward::Sparse, sparse::packed_len(&work.conv))
                    } else if work.algorithm == ConvAlgorithm::Winograd {
                        let backward = winograd::backward(&work.conv);
                        self.scratch = self.scratch.max(winograd::scratch_len(&backward));
                        (ConvBackward::Winograd, winograd::packed_len(&backward))
                    } else if work.algorithm == ConvAlgorithm::Pointwise {
                        self.scratch = self.scratch.max(pointwise::scratch_len(&backward));
                        (ConvBackward::Pointwise, direct::packed_len(&backward))
                    } else {
                        let (way, surrounded, len) = match work.conv.input.layout {
                            Layout::Planar => {
                                (ConvBackward::Narrow, strided::surrounded(&work.conv), strided::narrow_len(&work.conv))
                            }
                            Layout::Blocked | Layout::Flat if work.conv.window.stride != [1; 3] => {
                                let len = direct::packed_len(&backward);
                                (ConvBackward::Strided, strided::surrounded(&work.conv), len)
                            }
                            Layout::Blocked | Layout::Flat => {
                                (ConvBackward::Direct, backward.input, direct::packed_len(&backward))
                            }
                        };
                        work.spread = scratch(surrounded.len());
                        (way, len)
                    };
                    work.backward = Some((backward, Buffer::zeros(len)));
                }
                if let Some(train) = &mut work.train {
                    let len = if work.algorithm == ConvAlgorithm::Winograd {
                        self.scratch = self.scratch.max(winograd_gradient::scratch_len(&work.conv));
                        winograd_gradient::sums_len(&work.conv, self.batch)
                    } else {
                        if work.conv.window.padding != [0; 3] {
                            train.padded = scratch(work.conv.on_padded().input.len());
                        }
                        direct::gradient_scratch(&work.conv.on_padded(), self.batch)
                    };
                    // Not a value per sample; the region of a whole batch is as large as it must be.
                    train.scratch = scratch(len.div_ceil(self.batch));
                }
            }
        }
        // A kept node that the output does not depend on has a gradient of zero; so has such an input.
        let mut unreached = Vec::new();
        for (index, value) in self.values.iter_mut().enumerate() {
            if value.gradient.is_none() && (value.kept || index == 0) && needs[index] {
                unreached.push(request(&mut self.memory, value, backward_at, end));
            }
        }
        // The input's gradient is handed out at the end of the backward pass.
        if let Some(region) = self.values[0].gradient {
            self.memory.extend(region, end);
        }
        FirstGradients { output: Some(output_gradient), unreached }
    }
}
