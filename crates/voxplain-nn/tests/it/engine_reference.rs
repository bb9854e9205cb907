//! The fast engine against the double-precision reference: random graphs, windows and shapes, on every instruction
//! set the machine has, and the same bits for any number of threads.
//!
//! Tolerance: single precision with Winograd transforms agrees with double precision to within 2e-4 of a value's
//! largest magnitude (measured: 1e-5 and less); weight gradients are sums over batch and volume and get 1e-3. A value that
//! is further off must be no further than rounding moves it in this very network (`support/rounding.rs`).

use crate::support::rounding;
use proptest::prelude::*;
use voxplain_core::random::{Random, Seed};
use voxplain_nn::reference::{self, Mode};
use voxplain_nn::{
    Alignment, BatchNorm, Conv3d, ConvTranspose3d, Engine, EngineOptions, InstructionSet, Interpolation, Linear,
    Network, NodeId, NormOver, Op, Pad3d, PlanOptions, Pool3d, Prelu, Purpose, Resize3d, Rules, SampleNorm, Tensor,
};

/// Engines for every instruction set of this machine.
fn engines(threads: usize) -> Vec<Engine> {
    [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]
        .into_iter()
        .filter_map(|set| Engine::new(EngineOptions { threads: Some(threads), instruction_set: Some(set) }).ok())
        .collect()
}

pub(crate) fn values(seed: Seed, len: usize) -> Vec<f32> {
    let mut random = seed.random();
    (0..len).map(|_| random.normal() as f32).collect()
}

/// A convolution with weights of about unit gain.
pub(crate) fn conv(seed: Seed, input: usize, output: usize, window: [[usize; 3]; 4], bias: bool) -> Op {
    let [kernel, stride, padding, dilation] = window;
    let taps: usize = kernel.iter().product();
    let gain = (1.0 / (input * taps) as f32).sqrt();
    let weight = values(seed.child("weight"), output * input * taps).iter().map(|w| w * gain).collect();
    let [a, b, c] = kernel;
    Op::Conv3d(Conv3d {
        weight: Tensor::new([output, input, a, b, c], weight),
        bias: bias.then(|| Tensor::new([output], values(seed.child("bias"), output))),
        has_bias: bias,
        input,
        output,
        kernel,
        stride,
        padding,
        dilation,
        groups: 1,
    })
}

pub(crate) fn norm(seed: Seed, channels: usize) -> Op {
    let positive = |name: &str| values(seed.child(name), channels).iter().map(|v| 0.5 + v.abs()).collect::<Vec<_>>();
    Op::BatchNorm(BatchNorm {
        channels,
        weight: Tensor::new([channels], values(seed.child("scale"), channels)),
        bias: Tensor::new([channels], values(seed.child("shift"), channels)),
        running_mean: Tensor::new([channels], values(seed.child("mean"), channels)),
        running_var: Tensor::new([channels], positive("variance")),
        epsilon: 1e-5,
        momentum: 0.1,
    })
}

fn linear(seed: Seed, input: usize, output: usize) -> Op {
    let gain = (1.0 / input as f32).sqrt();
    Op::Linear(Linear {
        weight: Tensor::new(
            [output, input],
            values(seed.child("weight"), output * input).iter().map(|w| w * gain).collect(),
        ),
        bias: Tensor::new([output], values(seed.child("bias"), output)),
        input,
        output,
    })
}

fn pool(kernel: [usize; 3], stride: [usize; 3], padding: [usize; 3]) -> Pool3d {
    Pool3d::new(kernel).with_stride(stride).with_padding(padding)
}

/// A network that follows from a seed: up to `depth` operations with branches, then a head.
pub(crate) fn random_network(seed: u64, depth: usize) -> Network {
    let seed = Seed::new(seed);
    let mut random = seed.child("graph").random();
    let channels = [1, 1, 2, 3, 5, 17][random.below(6)];
    let mut size = || 5 + random.below(8);
    let mut net = Network::new([channels, size(), size(), size()]);
    let mut random = seed.child("operations").random();
    for step in 0..depth {
        let shape = net.shape(net.output()).unwrap().to_vec();
        let (c, size) = (shape[0], [shape[1], shape[2], shape[3]]);
        let seed = seed.index(step as u64);
        let name = format!("op.{step}");
        let mut window = |most: usize, strides: usize, dilations: usize| {
            let mut w = [[1; 3]; 4];
            for axis in 0..3 {
                w[2][axis] = random.below(2);
                w[0][axis] = 1 + random.below(most.min(size[axis] + 2 * w[2][axis]));
                w[1][axis] = 1 + random.below(strides);
                let room = size[axis] + 2 * w[2][axis] - 1;
                w[3][axis] = if w[0][axis] == 1 { 1 } else { 1 + random.below(dilations.min(room / (w[0][axis] - 1))) };
            }
            w
        };
        match seed.child("kind").random().below(14) {
            0..=2 => {
                let out = [1, 4, 16, 20, 33][seed.child("out").random().below(5)];
                net.then(&name, conv(seed, c, out, window(7, 2, 2), step % 2 == 0)).unwrap();
            }
            // The blocks that are fused, and that Winograd's transforms take.
            3..=6 if size.iter().all(|&s| s >= 4) => {
                let out = [16, 20, 32, 48][seed.child("out").random().below(4)];
                let padding = [seed.child("padding").random().below(2); 3];
                net.then(&name, conv(seed, c, out, [[3; 3], [1; 3], padding, [1; 3]], step % 2 == 1)).unwrap();
                let mut parts = seed.child("parts").random();
                if parts.chance(0.7) {
                    net.then(&format!("{name}.norm"), norm(seed, out)).unwrap();
                }
                if parts.chance(0.8) {
                    net.then(&format!("{name}.relu"), Op::Relu).unwrap();
                }
                if parts.chance(0.7) {
                    net.then(&format!("{name}.pool"), Op::MaxPool3d(pool([2; 3], [2; 3], [0; 3]))).unwrap();
                }
            }
            7 => {
                net.then(&name, norm(seed, c)).unwrap();
            }
            8 => {
                let kinds = [
                    Op::Relu,
                    Op::LeakyRelu { slope: 0.1 },
                    Op::Elu,
                    Op::Gelu,
                    Op::GeluTanh,
                    Op::Sigmoid,
                    Op::Tanh,
                    Op::ScaledElu { alpha: 1.673, scale: 1.051 },
                    Op::Silu,
                    Op::Mish,
                    Op::Softplus,
                    Op::HardSigmoid { slope: 0.2, offset: 0.5 },
                    Op::HardSwish,
                    Op::Clip { low: 0.0, high: 6.0 },
                ];
                net.then(&name, kinds[seed.child("act").random().below(kinds.len())].clone()).unwrap();
            }
            9 => {
                let w = window(3, 3, 1);
                let padding = [0, 1, 2].map(|axis| w[2][axis].min(w[0][axis] / 2));
                let fits = (0..3).all(|axis| w[0][axis] <= size[axis] + 2 * padding[axis]);
                let pool = pool(if fits { w[0] } else { [1; 3] }, w[1], if fits { padding } else { [0; 3] });
                let max = seed.child("max").random().chance(0.5);
                net.then(&name, if max { Op::MaxPool3d(pool) } else { Op::AvgPool3d(pool) }).unwrap();
            }
            // Not the draw above, which was 10.
            10 if seed.child("others").random().chance(0.7) => {
                let mut of = seed.child("other").random();
                let groups = if of.chance(0.5) { c } else { 1 };
                let op = match of.below(9) {
                    0 => SampleNorm::new(c, NormOver::Groups(groups)).into(),
                    1 => SampleNorm::new(c, NormOver::Channels).into(),
                    2 => Prelu::new(c).into(),
                    3 => Op::Pad3d(Pad3d { value: 0.5, ..Pad3d::new([1, 0, 2], [0, 1, 0]) }),
                    4 => {
                        let window = window(3, 2, 2);
                        let fits = (0..3).all(|a| (window[0][a] - 1) * window[3][a] < size[a]);
                        let [kernel, stride, padding, dilation] =
                            if fits { window } else { [[1; 3], [1; 3], [0; 3], [1; 3]] };
                        let conv =
                            Conv3d::new(c, c * (1 + of.below(2)), kernel).with_stride(stride).with_padding(padding);
                        conv.with_dilation(dilation).with_groups(if of.chance(0.7) { c } else { 1 }).into()
                    }
                    5 | 6 => {
                        let [kernel, stride, padding, dilation] = window(3, 2, 2);
                        let groups = if of.chance(0.3) { c } else { 1 };
                        let more = [0, 1, 2].map(|axis: usize| if stride[axis] > 1 { of.below(2) as isize } else { 0 });
                        let more = if of.chance(0.3) { [0, -1, 0] } else { more };
                        let conv = ConvTranspose3d::new(c, groups * (1 + of.below(3)), kernel)
                            .with_stride(stride)
                            .with_padding(padding)
                            .with_output_padding(more)
                            .with_dilation(dilation)
                            .with_groups(groups);
                        if of.chance(0.3) { conv.without_bias().into() } else { conv.into() }
                    }
                    7 => {
                        let size = [0, 1, 2].map(|axis: usize| 1 + of.below(2 * size[axis]));
                        let resize = if of.chance(0.7) { Resize3d::linear(size) } else { Resize3d::nearest(size) };
                        let corners = resize.interpolation == Interpolation::Linear && of.chance(0.5);
                        Op::Resize3d(if corners {
                            Resize3d { alignment: Alignment::Corners, ..resize }
                        } else {
                            resize
                        })
                    }
                    _ => {
                        let kernel = [0, 1, 2].map(|axis: usize| 3.min(size[axis]));
                        let inside = of.chance(0.5);
                        let ceil = Pool3d { ceil: true, inside, ..Pool3d::new(kernel).with_stride([2; 3]) };
                        if of.chance(0.5) { Op::MaxPool3d(ceil) } else { Op::AvgPool3d(ceil) }
                    }
                };
                let number = net.state().len();
                // A transposed convolution may leave nothing of a small volume.
                if net.then(&name, op).is_err() {
                    continue;
                }
                let weights = net.state().into_iter().enumerate().map(|(n, p)| {
                    let (shape, len) = (p.tensor.shape(), p.tensor.len());
                    let is_new = n >= number;
                    let drawn = || Tensor::new(shape, values(seed.child(&p.name), len));
                    (p.name.clone(), if is_new { drawn() } else { p.tensor.clone() })
                });
                let weights = weights.collect();
                net.load_state(weights).unwrap();
                if seed.child("shift").random().chance(0.3) {
                    let shifted = net.output();
                    let shift = net.add(&format!("{name}.all"), Op::GlobalAvgPool, &[shifted]).unwrap();
                    net.add(&format!("{name}.sum"), Op::Add, &[shifted, shift]).unwrap();
                }
                if seed.child("gate").random().chance(0.4) {
                    let gated = net.output();
                    let gate = net.add(&format!("{name}.mean"), Op::GlobalAvgPool, &[gated]).unwrap();
                    let gate = net.add(&format!("{name}.gate"), Op::Sigmoid, &[gate]).unwrap();
                    net.add(&format!("{name}.product"), Op::Multiply, &[gated, gate]).unwrap();
                }
            }
            10 => {
                net.then(&name, Op::Dropout { p: 0.3 }).unwrap();
            }
            11 | 12 => {
                // A branch of the same shape, and back together.
                let from = net.output();
                let branch = net
                    .add(&format!("{name}.branch"), conv(seed, c, c, [[3; 3], [1; 3], [1; 3], [1; 3]], true), &[from])
                    .unwrap();
                let join = if step % 2 == 0 || c > 20 { Op::Add } else { Op::Concat };
                net.add(&name, join, &[branch, from]).unwrap();
            }
            _ => {
                net.then(&name, Op::Relu).unwrap();
            }
        }
    }
    if random.chance(0.5) {
        net.then("mean", Op::GlobalAvgPool).unwrap();
    } else {
        net.then("flat", Op::Flatten).unwrap();
    }
    let features = net.outputs();
    if random.chance(0.5) {
        net.then("drop", Op::Dropout { p: 0.5 }).unwrap();
    }
    net.then("linear", linear(seed, features, 3)).unwrap();
    if random.chance(0.5) {
        net.then("log-softmax", Op::LogSoftmax).unwrap();
    }
    net
}

/// Something that engine and reference both compute.
struct Answer {
    what: String,
    values: Vec<f64>,
    /// How far the engine may be off, before it is asked what rounding can do to this network.
    tolerance: f64,
}

impl Answer {
    /// With a tolerance that is a share of the largest magnitude (at least `floor`).
    fn new(what: String, values: &[f64], share: f64, floor: f64) -> Self {
        let scale = values.iter().fold(floor, |m, v| m.max(v.abs()));
        Self { what, values: values.to_vec(), tolerance: share * scale }
    }
}

const RULES: [Rules; 3] = [Rules::GRADIENT, Rules::GUIDED, Rules::DECONVOLUTION];

/// What the reference says of the evaluated network: the output, values of `keep`; then by each rule the gradient of the
/// input, and at `keep`.
fn evaluated(net: &Network, x: &[f64], r: &[f32], keep: &[NodeId]) -> Vec<Answer> {
    let tape = reference::forward(net, x, Mode::Evaluate).unwrap();
    let name = |node: &NodeId| &net.nodes()[node.0].name;
    let mut all = vec![Answer::new("output".into(), tape.output(), 2e-4, 1e-3)];
    all.extend(keep.iter().map(|n| Answer::new(format!("value of {}", name(n)), tape.value(*n).unwrap(), 2e-4, 1e-3)));
    for rules in RULES {
        let back = tape.backward(r, &rules).unwrap();
        all.push(Answer::new(format!("{rules:?}"), back.input(), 2e-4, 1e-6));
        let at = |n: &NodeId| Answer::new(format!("{rules:?} at {}", name(n)), back.at(*n).unwrap(), 2e-4, 1e-6);
        all.extend(keep.iter().map(at));
    }
    all
}

const TRAIN: Mode = Mode::Train { seed: 9, step: 4 };

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// What rounding in batch normalisation adds to any value of the gradient, at each channel of each node.
///
/// The gradient that reaches its input is `gain (g - mean g - x^ mean(g x^))`, `gain = weight / sd`, of terms that cancel:
/// summed over a channel nothing is left, and nothing at all where a channel has two values. No disturbed network
/// has another gradient there, but rounding leaves something: the engine computes `gain g + slope x + offset`. With
/// `u = 2^-24` and `most` the largest `|g|`, the first is rounded by `u gain most`, `slope x` and `offset` by up to
/// `u gain most |x| / sd`, and `mean g`, summed by planes in single precision, by `sqrt(plane) u most`; four standard
/// deviations are allowed. What is there already grows with the gradient: three times `gain` in a normalisation, by the
/// root of the sum of squares of weights in a layer (they are drawn with random signs).
fn norm_rounding(net: &Network, tape: &reference::Tape<'_>, back: &reference::Gradients) -> Vec<Vec<f64>> {
    let shapes = net.shapes();
    let mut all: Vec<Vec<f64>> = shapes.iter().map(|shape| vec![0.0; shape[0]]).collect();
    for (n, node) in net.nodes().iter().enumerate().skip(1).rev() {
        let (noise, from) = (all[n].clone(), node.inputs[0]);
        // The values of a channel, of all samples.
        let channel = |v: &[f64], c: usize| -> Vec<f64> {
            let cells: usize = shapes[n][1..].iter().product();
            v.chunks(cells).skip(c).step_by(noise.len()).flatten().copied().collect()
        };
        let passed: Vec<f64> = match &node.op {
            Op::BatchNorm(norm) => {
                let plane = shapes[n].get(2..).map_or(1, |plane| plane.iter().product::<usize>()) as f64;
                let of = |c: usize| {
                    let (x, g) = (channel(tape.value(from).unwrap(), c), channel(back.at(NodeId(n)).unwrap(), c));
                    let mean = x.iter().sum::<f64>() / x.len() as f64;
                    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
                    let sd = (variance + f64::from(norm.epsilon)).sqrt();
                    let terms = 1.0 + plane.sqrt() + 2.0 * largest(&x) / sd;
                    let gain = f64::from(norm.weight.data()[c].abs()) / sd;
                    gain * (3.0 * noise[c] + 4.0 * 2f64.powi(-24) * terms * largest(&g))
                };
                (0..norm.channels).map(of).collect()
            }
            // All weights at once where not every channel sees every other, or where channels come the other way round.
            Op::Conv3d(Conv3d { weight, input, groups: 2.., .. })
            | Op::ConvTranspose3d(ConvTranspose3d { weight, input, .. }) => {
                let squares: f64 = weight.data().iter().map(|w| f64::from(*w).powi(2)).sum();
                vec![largest(&noise) * squares.sqrt(); *input]
            }
            Op::Conv3d(Conv3d { weight, input, .. }) | Op::Linear(Linear { weight, input, .. }) => {
                let mut squares = vec![0.0; *input];
                let taps = weight.len() / noise.len() / input;
                for (at, w) in weight.data().iter().enumerate() {
                    squares[at / taps % input] += (f64::from(*w) * noise[at / taps / input]).powi(2);
                }
                squares.into_iter().map(f64::sqrt).collect()
            }
            Op::MaxPool3d(pool) | Op::AvgPool3d(pool) => {
                // Windows that a value lies in.
                let windows: usize = (0..3).map(|a| pool.kernel[a].div_ceil(pool.stride[a])).product();
                noise.iter().map(|e| e * windows as f64).collect()
            }
            Op::Dropout { p } => noise.iter().map(|e| e / f64::from(1.0 - p)).collect(),
            Op::Flatten => noise.chunks(noise.len() / shapes[from.0][0]).map(largest).collect(),
            Op::Relu => {
                let y = tape.value(NodeId(n)).unwrap();
                (0..noise.len()).map(|c| if largest(&channel(y, c)) > 0.0 { noise[c] } else { 0.0 }).collect()
            }
            // The second has one value for all voxels of a channel.
            Op::Add | Op::Multiply if shapes[node.inputs[1].0].len() != shapes[n].len() => {
                let cells: usize = shapes[n][1..].iter().product();
                noise.iter().map(|e| e * 2.0 * cells as f64).collect()
            }
            Op::Add | Op::Concat | Op::GlobalAvgPool => noise,
            // Slopes of 1.13 at most; of a softmax less; of its logarithm, 1 and as much again through the sum.
            _ => noise.iter().map(|e| e * 2.0).collect(),
        };
        let mut rest = passed.as_slice();
        for input in &node.inputs {
            let sums = &mut all[input.0];
            sums.iter_mut().zip(rest).for_each(|(sum, part)| *sum += part);
            rest = if node.op == Op::Concat { &rest[sums.len()..] } else { rest };
        }
    }
    all
}

/// What the reference says of a step of training: the output, gradients of the parameters, values of `keep`, and the
/// network's state. Nothing where the network cannot be trained on so few values.
fn trained(net: &Network, x: &[f64], r: &[f32], keep: &[NodeId]) -> Option<Vec<Answer>> {
    let tape = reference::forward(net, x, TRAIN).ok()?;
    let mut all = vec![Answer::new("trained output".into(), tape.output(), 1e-3, 1e-3)];
    let back = tape.backward(r, &Rules::GRADIENT).unwrap();
    let noise = norm_rounding(net, &tape, &back);
    let most = back.parameters.iter().map(|g| largest(g)).fold(1e-6, f64::max);
    let mut gradients = back.parameters.iter();
    for (n, node) in net.nodes().iter().enumerate() {
        let own = |name: &str| name.rsplit_once('.').is_some_and(|(node_name, _)| node_name == node.name);
        let parameters = net.parameters().iter().filter(|parameter| own(&parameter.name)).count();
        if parameters == 0 {
            continue;
        }
        // A gradient sums over the batch and its volume the gradient here, times what it is multiplied with.
        let count = tape.value(NodeId(n)).unwrap().len() / net.shapes()[n][0];
        let factor = match &node.op {
            Op::BatchNorm(_) => (count as f64).sqrt(),
            _ => largest(tape.value(node.inputs[0]).unwrap()),
        };
        for (gradient, factor) in gradients.by_ref().take(parameters).zip([factor, 1.0]) {
            // Biases in front of a batch-norm have no gradient but round-off: the floor is that of the network.
            let mut answer = Answer::new(format!("a gradient of {}", node.name), gradient, 1e-3, 1e-2 * most);
            answer.tolerance += largest(&noise[n]) * count as f64 * factor;
            all.push(answer);
        }
    }
    for node in keep {
        let what = format!("trained value of {}", net.nodes()[node.0].name);
        all.push(Answer::new(what, tape.value(*node).unwrap(), 1e-3, 1e-3));
    }
    for after in tape.with_running_statistics().state() {
        let values: Vec<f64> = after.tensor.data().iter().map(|v| f64::from(*v)).collect();
        all.push(Answer::new(format!("{} after a step", after.name), &values, 1e-3, 1e-2));
    }
    Some(all)
}

/// Runs one network in every way and compares.
pub(crate) fn check(net: &Network, batch: usize, seed: u64, keep: &[NodeId]) {
    let len: usize = net.input_shape().iter().product();
    let x = values(Seed::new(seed).child("x"), batch * len);
    let r = values(Seed::new(seed).child("r"), batch * net.outputs());
    let exact: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
    let (evaluate, train) = (evaluated(net, &exact, &r, keep), trained(net, &exact, &r, keep));
    let applied = {
        let tape = reference::forward(net, &x, Mode::Evaluate).unwrap();
        RULES.map(|rules| tape.backward(&r, &rules).unwrap().applied)
    };
    for engine in engines(1) {
        let isa = engine.instruction_set();
        let plan = |purpose| engine.plan(net, &PlanOptions { purpose, batch, keep: keep.to_vec() }).unwrap();
        let compare = |found: Vec<Vec<f32>>, expected: &[Answer], purpose: Purpose| {
            for (n, (found, answer)) in found.iter().zip(expected).enumerate() {
                let again = |net: &Network, x: &[f64], _: &mut Random| {
                    let all = if purpose == Purpose::Train {
                        trained(net, x, &r, keep).unwrap()
                    } else {
                        evaluated(net, x, &r, keep)
                    };
                    all[n].values.clone()
                };
                let off = rounding::beyond((found, &answer.values, answer.tolerance), (net, &x, batch), again);
                assert_eq!(off, None, "{isa:?} {purpose:?}: {}", answer.what);
            }
        };
        for purpose in [Purpose::Infer, Purpose::InputGradient] {
            let mut plan = plan(purpose);
            let mut tape = plan.forward(&x).unwrap();
            let mut found = vec![tape.output().to_vec()];
            found.extend(keep.iter().map(|n| tape.value(*n).unwrap().data().to_vec()));
            if purpose == Purpose::InputGradient {
                for (rules, applied) in RULES.into_iter().zip(applied) {
                    let back = tape.backward(&r, &rules).unwrap();
                    assert_eq!(back.applied, applied);
                    found.push(back.input.to_vec());
                    found.extend(keep.iter().map(|n| tape.gradient(*n).unwrap().data().to_vec()));
                }
                assert_eq!(found.len(), evaluate.len());
            }
            compare(found, &evaluate, purpose);
        }
        let Some(train) = &train else { continue };
        let mut plan = plan(Purpose::Train);
        plan.set_dropout(9, 4);
        let mut tape = plan.forward(&x).unwrap();
        let mut found = vec![tape.output().to_vec()];
        tape.backward(&r, &Rules::GRADIENT).unwrap();
        found.extend(tape.weight_gradients().unwrap().iter().map(|g| g.to_vec()));
        found.extend(keep.iter().map(|n| tape.value(*n).unwrap().data().to_vec()));
        let mut moved = net.clone();
        plan.update_running_statistics(&mut moved).unwrap();
        found.extend(moved.state().iter().map(|after| after.tensor.data().to_vec()));
        assert_eq!(found.len(), train.len());
        compare(found, train, Purpose::Train);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_give_what_the_reference_gives(seed in 0u64..1_000_000, depth in 1usize..6, batch in 1usize..4) {
        check_random(seed, depth, batch);
    }
}

fn check_random(seed: u64, depth: usize, batch: usize) {
    let net = random_network(seed, depth);
    let nodes = net.nodes().len();
    let keep = [NodeId(seed as usize % nodes), NodeId(seed as usize / 7 % nodes)];
    check(&net, batch, seed, &keep);
    check(&net, batch, seed, &[]);
}

#[test]
fn random_graphs_that_once_fell() {
    // A ReLU cuts off all but values of 1e-3, sums of 612 terms that cancel: rounding is 5e-4 of what is left.
    check_random(797_992, 4, 1);
    // Gradients behind a batch normalisation that are 0 but for rounding: of a shift that the next normalisation takes
    // out again, where its input's mean is 81 times its deviation; of a normalisation of two values; of three in a row;
    // and of a channel that is 0 everywhere.
    check_random(313_095, 3, 1);
    check_random(626_522, 4, 1);
    check_random(478_327, 3, 3);
    check_random(202_394, 5, 1);
    // The portable kernels' gradient.
    (1..4).for_each(|batch| check_random(189_220, 1, batch));
}

/// The paper's network with few channels and a small volume.
fn small_paper_net() -> Network {
    let mut net = Network::new([1, 20, 23, 26]);
    let mut channels = 1;
    for (layer, out) in [16, 32, 48].into_iter().enumerate() {
        let seed = Seed::new(5).index(layer as u64);
        net.then(&format!("conv{layer}"), conv(seed, channels, out, [[3; 3], [1; 3], [0; 3], [1; 3]], true)).unwrap();
        net.then(&format!("norm{layer}"), norm(seed, out)).unwrap();
        net.then(&format!("relu{layer}"), Op::Relu).unwrap();
        if layer < 2 {
            net.then(&format!("pool{layer}"), Op::MaxPool3d(pool([2; 3], [2; 3], [0; 3]))).unwrap();
        }
        channels = out;
    }
    net.then("flat", Op::Flatten).unwrap();
    net.then("drop", Op::Dropout { p: 0.5 }).unwrap();
    let features = net.outputs();
    net.then("linear", linear(Seed::new(8), features, 2)).unwrap();
    net
}

#[test]
fn the_papers_network_gives_what_the_reference_gives() {
    let net = small_paper_net();
    check(&net, 2, 3, &[]);
    check(&net, 1, 4, &[net.node("relu2").unwrap(), net.node("relu0").unwrap()]);
    check(&net, 1, 4, &[net.node("norm1").unwrap(), net.node("conv0").unwrap(), net.node("pool1").unwrap()]);
}

/// What the networks of others are made of and the random ones are not: pools in front of the ReLU, stems of seven taps, sums
/// behind a normalisation, all channels joined so far, pools that overlap or take more taps than a byte counts.
fn blocks_of_others(stem: usize) -> Network {
    let mut net = Network::new([1, 21, 18, 23]);
    let seed = Seed::new(7);
    let same = [[3; 3], [1; 3], [1; 3], [1; 3]];
    match stem {
        0 => net.then("stem", conv(seed, 1, 16, same, true)),
        stride => net.then("stem", conv(seed, 1, 35, [[7; 3], [stride; 3], [3; 3], [1; 3]], false)),
    }
    .unwrap();
    let channels = net.shape(net.output()).unwrap()[0];
    net.then("stem.norm", norm(seed, channels)).unwrap();
    if stem == 0 {
        net.then("stem.pool", Op::MaxPool3d(pool([2; 3], [2; 3], [0; 3]))).unwrap();
        net.then("stem.relu", Op::Relu).unwrap();
    } else {
        net.then("stem.relu", Op::Relu).unwrap();
        net.then("stem.pool", Op::MaxPool3d(pool([3; 3], [2; 3], [1; 3]))).unwrap();
    }
    net.then("next", conv(seed.child("next"), channels, 32, same, false)).unwrap();
    net.then("next.norm", norm(seed.child("next"), 32)).unwrap();
    if stem == 0 {
        net.then("next.pool", Op::MaxPool3d(pool([2; 3], [2; 3], [0; 3]))).unwrap();
    }
    let trunk = net.then("next.relu", Op::Relu).unwrap();
    // A residual block.
    net.then("residual", conv(seed.child("residual"), 32, 32, same, false)).unwrap();
    let branch = net.then("residual.norm", norm(seed.child("residual"), 32)).unwrap();
    net.add("sum", Op::Add, &[branch, trunk]).unwrap();
    let trunk = net.then("sum.relu", Op::Relu).unwrap();
    // Dense layers, of whole blocks of channels and not.
    let mut trunk = (trunk, 32);
    for added in [16, 5, 20] {
        let seed = seed.child("dense").index(added);
        let added = usize::try_from(added).unwrap();
        net.add(&format!("dense{added}.norm"), norm(seed, trunk.1), &[trunk.0]).unwrap();
        net.then(&format!("dense{added}.relu"), Op::Relu).unwrap();
        net.then(&format!("dense{added}.narrow"), conv(seed, trunk.1, 24, [[1; 3], [1; 3], [0; 3], [1; 3]], false))
            .unwrap();
        let more = net.then(&format!("dense{added}"), conv(seed.child("wide"), 24, added, same, true)).unwrap();
        trunk = (net.add(&format!("joined{added}"), Op::Concat, &[trunk.0, more]).unwrap(), trunk.1 + added);
    }
    net.then("last.norm", norm(seed.child("last"), trunk.1)).unwrap();
    net.then("last.relu", Op::Relu).unwrap();
    if stem == 1 {
        let large = Pool3d::new([7; 3]).with_stride([2; 3]).with_padding([2; 3]);
        net.then("large", Op::MaxPool3d(large)).unwrap();
    }
    net.then("mean", Op::GlobalAvgPool).unwrap();
    net.then("linear", linear(seed, trunk.1, 2)).unwrap();
    net
}

#[test]
fn blocks_of_other_networks_give_what_the_reference_gives() {
    for stem in 0..3 {
        let net = blocks_of_others(stem);
        check(&net, 2, 3, &[]);
        let keep = ["stem", "stem.norm", "next.relu", "sum", "joined5"].map(|name| net.node(name).unwrap());
        check(&net, 1, 4, &keep[stem..stem + 3]);
    }
}

#[test]
fn strides_and_what_undoes_them_give_what_the_reference_gives() {
    check(&up_and_down(), 2, 3, &[NodeId(1), NodeId(5)]);
}

#[test]
fn bits_do_not_depend_on_threads_or_on_the_run() {
    bits_of(&small_paper_net());
    bits_of(&up_and_down());
    (0..3).for_each(|stem| bits_of(&blocks_of_others(stem)));
}

/// Strides, and what undoes them.
fn up_and_down() -> Network {
    let mut net = Network::new([1, 20, 23, 26]);
    net.then("stem", Conv3d::new(1, 20, [7; 3]).with_stride([2; 3]).with_padding([3; 3])).unwrap();
    net.then("down", Conv3d::new(20, 33, [3; 3]).with_stride([2, 2, 3]).with_padding([1; 3])).unwrap();
    net.then("norm", SampleNorm::new(33, NormOver::Groups(33))).unwrap();
    net.then("relu", Op::Relu).unwrap();
    let up = ConvTranspose3d::new(33, 18, [3; 3]).with_stride([2; 3]).with_padding([1; 3]);
    net.then("up", up.with_output_padding([1, 0, 1])).unwrap();
    net.then("grouped", ConvTranspose3d::new(18, 18, [2; 3]).with_groups(9)).unwrap();
    let trunk = net.then("resized", Op::Resize3d(Resize3d::linear([7, 9, 5]))).unwrap();
    let mean = net.then("mean", Op::GlobalAvgPool).unwrap();
    net.add("shifted", Op::Add, &[trunk, mean]).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    let features = net.outputs();
    net.then("head", Linear::new(features, 2)).unwrap();
    net.initialize(5);
    net
}

fn bits_of(net: &Network) {
    let batch = 3;
    let x = values(Seed::new(1), batch * net.input_shape().iter().product::<usize>());
    let r = values(Seed::new(2), batch * 2);
    for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
        let mut first: Option<Vec<Vec<u32>>> = None;
        for threads in [1, 2, 3, 7, 2] {
            let Ok(engine) = Engine::new(EngineOptions { threads: Some(threads), instruction_set: Some(set) }) else {
                continue;
            };
            let mut all = Vec::new();
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
            for purpose in [Purpose::Infer, Purpose::InputGradient, Purpose::Train] {
                let mut plan = engine.plan(net, &PlanOptions { purpose, batch, keep: vec![] }).unwrap();
                let mut tape = plan.forward(&x).unwrap();
                all.push(bits(tape.output()));
                if purpose != Purpose::Infer {
                    all.push(bits(tape.backward(&r, &Rules::GRADIENT).unwrap().input));
                }
                if purpose == Purpose::Train {
                    all.extend(tape.weight_gradients().unwrap().iter().map(|g| bits(g)));
                }
            }
            match &first {
                None => first = Some(all),
                Some(first) => assert!(*first == all, "{set:?} with {threads} threads"),
            }
        }
    }
}

#[test]
fn a_sample_does_not_depend_on_its_neighbours() {
    let net = small_paper_net();
    let len = 20 * 23 * 26;
    let x = values(Seed::new(1), 5 * len);
    let r = values(Seed::new(2), 5 * 2);
    let engine = Engine::new(EngineOptions { threads: Some(2), instruction_set: None }).unwrap();
    let options = |batch| PlanOptions { purpose: Purpose::InputGradient, batch, keep: vec![] };
    let mut all = engine.plan(&net, &options(5)).unwrap();
    let mut tape = all.forward(&x).unwrap();
    let outputs = tape.output().to_vec();
    let maps = tape.backward(&r, &Rules::GUIDED).unwrap().input.to_vec();
    let mut one = engine.plan(&net, &options(1)).unwrap();
    for sample in 0..5 {
        let mut tape = one.forward(&x[sample * len..][..len]).unwrap();
        assert_eq!(tape.output(), &outputs[sample * 2..][..2]);
        let map = tape.backward(&r[sample * 2..][..2], &Rules::GUIDED).unwrap();
        assert_eq!(map.input, &maps[sample * len..][..len]);
    }
}

#[test]
fn a_normalisation_that_hides_its_input_has_the_right_gradient() {
    // Scales of (nearly) zero: what the pool lets out no longer tells what came in.
    let mut net = small_paper_net();
    let names: Vec<String> = net.parameters().iter().map(|p| p.name.clone()).collect();
    let mut random = Seed::new(11).random();
    for (name, tensor) in names.iter().zip(net.parameters_mut()) {
        for (channel, value) in tensor.data_mut().iter_mut().enumerate().filter(|(channel, _)| channel % 3 == 0) {
            match name.as_str() {
                "norm0.weight" | "norm1.weight" => *value = [0.0, 1e-3, -2e-3][channel / 3 % 3],
                "norm0.bias" | "norm1.bias" => *value = 0.5 + random.normal().abs() as f32,
                _ => {}
            }
        }
    }
    check(&net, 2, 5, &[]);
}
