//! The fast engine against the double-precision reference: random graphs, windows and shapes, on every instruction
//! set the machine has, and the same bits for any number of threads.
//!
//! Tolerance: single precision with Winograd transforms agrees with double precision to within 2e-4 of a value's
//! largest magnitude (measured: 1e-5 and less); weight gradients are sums over batch and volume and get 1e-3.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails, and narrows what it compares"
)]

use proptest::prelude::*;
use voxplain_nn::random::Seed;
use voxplain_nn::reference::{self, Mode};
use voxplain_nn::{
    BatchNorm, Conv3d, Engine, EngineOptions, InstructionSet, Linear, Network, NodeId, Op, PlanOptions, Pool3d,
    Purpose, Rules, Tensor,
};

/// Engines for every instruction set of this machine.
fn engines(threads: usize) -> Vec<Engine> {
    [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]
        .into_iter()
        .filter_map(|set| Engine::new(EngineOptions { threads: Some(threads), instruction_set: Some(set) }).ok())
        .collect()
}

fn values(seed: Seed, len: usize) -> Vec<f32> {
    let mut random = seed.random();
    (0..len).map(|_| random.normal() as f32).collect()
}

/// A convolution with weights of about unit gain.
fn conv(seed: Seed, input: usize, output: usize, window: [[usize; 3]; 4], bias: bool) -> Op {
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
    })
}

fn norm(seed: Seed, channels: usize) -> Op {
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
    Pool3d { kernel, stride, padding }
}

/// A network that follows from a seed: up to `depth` operations with branches, then a head.
fn random_network(seed: u64, depth: usize) -> Network {
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
                let kinds = [Op::Relu, Op::LeakyRelu { slope: 0.1 }, Op::Elu, Op::Gelu, Op::Sigmoid, Op::Tanh];
                net.then(&name, kinds[seed.child("act").random().below(6)].clone()).unwrap();
            }
            9 => {
                let w = window(3, 3, 1);
                let padding = [0, 1, 2].map(|axis| w[2][axis].min(w[0][axis] / 2));
                let fits = (0..3).all(|axis| w[0][axis] <= size[axis] + 2 * padding[axis]);
                let pool = pool(if fits { w[0] } else { [1; 3] }, w[1], if fits { padding } else { [0; 3] });
                let max = seed.child("max").random().chance(0.5);
                net.then(&name, if max { Op::MaxPool3d(pool) } else { Op::AvgPool3d(pool) }).unwrap();
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

/// Largest difference, relative to the largest magnitude (at least `floor`).
fn distance(found: &[f32], expected: &[f64], floor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(floor, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs()).fold(0.0, f64::max) / scale
}

/// Whether the gradient jumps within single precision of this input: a value at a ReLU's zero, or two equals in a
/// max-pool's window. Which side is right is then a matter of rounding.
fn jumps(net: &Network, x: &[f32], r: &[f32], mode: Mode, rules: &Rules, off: f64) -> bool {
    let gradients = |x: &[f64]| {
        let back = reference::forward(net, x, mode).unwrap().backward(r, rules).unwrap();
        [back.input().to_vec(), back.parameters.concat()].concat()
    };
    let exact = gradients(&x.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
    let scale = exact.iter().fold(1e-6, |m: f64, v| m.max(v.abs()));
    (0..6).any(|trial| {
        let mut random = Seed::new(trial).random();
        let moved: Vec<f64> = x.iter().map(|v| f64::from(*v) + 1e-5 * random.normal()).collect();
        let most = gradients(&moved).iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        most / scale > 0.1 * off
    })
}

/// Runs one network in every way and compares.
fn check(net: &Network, batch: usize, seed: u64, keep: &[NodeId]) {
    let len: usize = net.input_shape().iter().product();
    let x = values(Seed::new(seed).child("x"), batch * len);
    let r = values(Seed::new(seed).child("r"), batch * net.outputs());
    let evaluate = reference::forward(net, &x, Mode::Evaluate).unwrap();
    for engine in engines(1) {
        let what = engine.instruction_set();
        let mut plan = engine.plan(net, &PlanOptions { purpose: Purpose::Infer, batch, keep: keep.to_vec() }).unwrap();
        let tape = plan.forward(&x).unwrap();
        let off = distance(tape.output(), evaluate.output(), 1e-3);
        assert!(off < 2e-4, "{what:?} infer: {off}");
        for node in keep {
            let off = distance(tape.value(*node).unwrap().data(), evaluate.value(*node).unwrap(), 1e-3);
            assert!(off < 2e-4, "{what:?} infer, value of {}: {off}", net.nodes()[node.0].name);
        }
        let mut plan =
            engine.plan(net, &PlanOptions { purpose: Purpose::InputGradient, batch, keep: keep.to_vec() }).unwrap();
        let mut tape = plan.forward(&x).unwrap();
        let off = distance(tape.output(), evaluate.output(), 1e-3);
        assert!(off < 2e-4, "{what:?} forward: {off}");
        for rules in [Rules::GRADIENT, Rules::GUIDED, Rules::DECONVOLUTION] {
            let expected = evaluate.backward(&r, &rules).unwrap();
            let found = tape.backward(&r, &rules).unwrap();
            assert_eq!(found.applied, expected.applied);
            let off = distance(found.input, expected.input(), 1e-6);
            if off > 2e-4 && jumps(net, &x, &r, Mode::Evaluate, &rules, off) {
                return;
            }
            assert!(off < 2e-4, "{what:?} {rules:?}: {off}");
            for node in keep {
                let off = distance(tape.gradient(*node).unwrap().data(), expected.at(*node).unwrap(), 1e-6);
                assert!(off < 2e-4, "{what:?} {rules:?} gradient at {}: {off}", net.nodes()[node.0].name);
            }
        }
        let Ok(train) = reference::forward(net, &x, Mode::Train { seed: 9, step: 4 }) else {
            continue;
        };
        let mut plan = engine.plan(net, &PlanOptions { purpose: Purpose::Train, batch, keep: keep.to_vec() }).unwrap();
        plan.set_dropout(9, 4);
        let mut tape = plan.forward(&x).unwrap();
        let off = distance(tape.output(), train.output(), 1e-3);
        assert!(off < 1e-3, "{what:?} train: {off}");
        let expected = train.backward(&r, &Rules::GRADIENT).unwrap();
        tape.backward(&r, &Rules::GRADIENT).unwrap();
        let names: Vec<String> = net.parameters().iter().map(|p| p.name.clone()).collect();
        let largest = expected.parameters.iter().flatten().fold(1e-6, |m: f64, v| m.max(v.abs()));
        for ((name, found), expected) in names.iter().zip(tape.weight_gradients().unwrap()).zip(&expected.parameters) {
            // Biases in front of a batch-norm have no gradient but round-off: the floor is that of the network.
            let off = distance(found, expected, 1e-2 * largest);
            if off > 1e-3 && jumps(net, &x, &r, Mode::Train { seed: 9, step: 4 }, &Rules::GRADIENT, off) {
                return;
            }
            assert!(off < 1e-3, "{what:?} gradient of {name}: {off}");
        }
        for node in keep {
            let off = distance(tape.value(*node).unwrap().data(), train.value(*node).unwrap(), 1e-3);
            assert!(off < 1e-3, "{what:?} train, value of {}: {off}", net.nodes()[node.0].name);
        }
        let mut moved = net.clone();
        plan.update_running_statistics(&mut moved).unwrap();
        let expected = train.with_running_statistics();
        for (found, expected) in moved.state().iter().zip(expected.state()) {
            let expected_values: Vec<f64> = expected.tensor.data().iter().map(|v| f64::from(*v)).collect();
            let off = distance(found.tensor.data(), &expected_values, 1e-2);
            assert!(off < 1e-3, "{what:?} {}: {off}", found.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_give_what_the_reference_gives(seed in 0u64..1_000_000, depth in 1usize..6, batch in 1usize..4) {
        let net = random_network(seed, depth);
        let nodes = net.nodes().len();
        let keep = [NodeId(seed as usize % nodes), NodeId(seed as usize / 7 % nodes)];
        check(&net, batch, seed, &keep);
        check(&net, batch, seed, &[]);
    }
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

#[test]
fn bits_do_not_depend_on_threads_or_on_the_run() {
    let net = small_paper_net();
    let batch = 3;
    let x = values(Seed::new(1), batch * 20 * 23 * 26);
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
                let mut plan = engine.plan(&net, &PlanOptions { purpose, batch, keep: vec![] }).unwrap();
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
