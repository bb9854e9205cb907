//! How long kernels, blocks and the paper's network take, on every instruction set of the machine.
//!
//! `cargo bench -p voxplain-nn` runs all, `cargo bench -p voxplain-nn -- block` those whose name holds the word,
//! and `-- --save-baseline before`, then `-- --baseline before`, compare two states of the code.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxplain_core::random::Seed;
use voxplain_nn::{
    BatchNorm, Conv3d, Engine, EngineOptions, InstructionSet, Linear, Network, Op, Plan, PlanOptions, Pool3d, Purpose,
    Rules,
};

/// The paper's volume.
const SIZE: [usize; 3] = [58, 70, 58];
/// Input and output channels of its convolutions, and the size of their inputs.
const LAYERS: [(usize, usize, [usize; 3]); 3] = [(1, 32, SIZE), (32, 64, [28, 34, 28]), (64, 128, [13, 16, 13])];
const ALL: [Purpose; 3] = [Purpose::Infer, Purpose::InputGradient, Purpose::Train];

fn engines() -> impl Iterator<Item = Engine> {
    [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Portable]
        .into_iter()
        .filter_map(|set| Engine::new(EngineOptions { threads: None, instruction_set: Some(set) }).ok())
}

fn values(len: usize) -> Vec<f32> {
    let mut random = Seed::new(1).random();
    #[allow(clippy::cast_possible_truncation, reason = "volumes are f32")]
    let draw = |_| random.normal() as f32;
    (0..len).map(draw).collect()
}

/// Ends in the mean of each channel, so that what comes before is what is measured.
fn headed(mut net: Network) -> Network {
    net.then("mean", Op::GlobalAvgPool).unwrap();
    let features = net.outputs();
    net.then("linear", Linear::new(features, 2)).unwrap();
    net.initialize(0);
    net
}

fn one(input: usize, size: [usize; 3], op: Op) -> Network {
    let mut net = Network::new([input, size[0], size[1], size[2]]);
    net.then("op", op).unwrap();
    headed(net)
}

fn block(net: &mut Network, name: &str, input: usize, output: usize) {
    net.then(&format!("{name}.conv"), Conv3d::new(input, output, [3; 3])).unwrap();
    net.then(&format!("{name}.norm"), BatchNorm::new(output)).unwrap();
    net.then(&format!("{name}.relu"), Op::Relu).unwrap();
    net.then(&format!("{name}.pool"), Op::MaxPool3d(Pool3d::new([2; 3]).with_stride([2; 3]))).unwrap();
}

fn paper() -> Network {
    let mut net = Network::new([1, SIZE[0], SIZE[1], SIZE[2]]);
    for (layer, (input, output, _)) in LAYERS.into_iter().enumerate() {
        block(&mut net, &layer.to_string(), input, output);
    }
    net.then("flat", Op::Flatten).unwrap();
    let features = net.outputs();
    net.then("linear", Linear::new(features, 2)).unwrap();
    net.initialize(0);
    net
}

/// Forward, and back where there is a way back.
fn pass(plan: &mut Plan, x: &[f32], seed: &[f32], purpose: Purpose) {
    let mut tape = plan.forward(x).unwrap();
    if purpose != Purpose::Infer {
        tape.backward(seed, &Rules::GRADIENT).unwrap();
    }
}

fn measure(criterion: &mut Criterion, group: &str, name: &str, net: &Network, batch: usize, purposes: &[Purpose]) {
    let mut group = criterion.benchmark_group(group);
    group.sample_size(20).throughput(Throughput::Elements(batch as u64));
    let x = values(batch * net.input_shape().iter().product::<usize>());
    let seed = [0.5, -0.5].repeat(batch);
    for engine in engines() {
        for &purpose in purposes {
            let mut plan = engine.plan(net, &PlanOptions { purpose, batch, keep: vec![] }).unwrap();
            let id = BenchmarkId::new(format!("{name}/{purpose:?}"), format!("{:?}", engine.instruction_set()));
            group.bench_function(id, |bencher| bencher.iter(|| pass(&mut plan, &x, &seed, purpose)));
        }
    }
    group.finish();
}

/// One operation at a time.
fn kernels(criterion: &mut Criterion) {
    let conv = |input, output, kernel| Conv3d::new(input, output, [kernel; 3]);
    let inner = [28, 34, 28];
    let cases: [(&str, usize, [usize; 3], Op); 8] = [
        ("first 3x3x3", 1, SIZE, conv(1, 32, 3).into()),
        ("winograd 3x3x3", 32, inner, conv(32, 64, 3).into()),
        ("direct 5x5x5", 16, inner, conv(16, 16, 5).into()),
        ("direct 3x3x3 stride 2", 32, inner, conv(32, 64, 3).with_stride([2; 3]).into()),
        ("pointwise 1x1x1", 32, inner, conv(32, 64, 1).into()),
        ("batch norm", 32, inner, BatchNorm::new(32).into()),
        ("max pool 3x3x3", 32, inner, Op::MaxPool3d(Pool3d::new([3; 3]).with_stride([2; 3]))),
        ("relu", 32, inner, Op::Relu),
    ];
    for (name, input, size, op) in cases {
        measure(criterion, "kernel", name, &one(input, size, op), 1, &ALL);
    }
}

/// Convolution, normalisation, ReLU and pool of each layer of the paper's network.
fn blocks(criterion: &mut Criterion) {
    for (layer, (input, output, size)) in LAYERS.into_iter().enumerate() {
        let mut net = Network::new([input, size[0], size[1], size[2]]);
        block(&mut net, "block", input, output);
        measure(criterion, "block", &format!("layer {}", layer + 1), &headed(net), 2, &ALL);
    }
}

fn network(criterion: &mut Criterion) {
    measure(criterion, "network", "batch 1", &paper(), 1, &ALL[..2]);
    measure(criterion, "network", "batch 8", &paper(), 8, &ALL);
}

criterion_group!(benches, kernels, blocks, network);
criterion_main!(benches);
