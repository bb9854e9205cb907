//! A step allocates nothing after the first, memory is as planned and grows in proportion to the batch. (A binary of its
//! own: its allocator counts what is allocated by all tests of a binary.)

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "it/support/paper_net.rs"]
mod paper_net;

use paper_net::paper_net;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use voxplain_core::random::Seed;
use voxplain_nn::{
    AdamOptions, BatchNorm, Conv3d, ConvTranspose3d, CrossEntropy, Engine, EngineOptions, Linear, Network, NormOver,
    Op, Optimizer, OptimizerKind, Pad3d, PlanOptions, Pool3d, Prelu, Purpose, Resize3d, Rules, SampleNorm,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn engine(threads: usize) -> Engine {
    Engine::new(EngineOptions { threads: Some(threads), instruction_set: None }).unwrap()
}

fn values(net: &Network, batch: usize) -> Vec<f32> {
    let mut random = Seed::new(3).random();
    #[allow(clippy::cast_possible_truncation, reason = "volumes are f32")]
    let draw = |_| random.normal() as f32;
    (0..batch * net.input_shape().iter().product::<usize>()).map(draw).collect()
}

const fn options(purpose: Purpose, batch: usize) -> PlanOptions {
    PlanOptions { purpose, batch, keep: vec![] }
}

/// What networks of others are made of.
fn of_others() -> Network {
    let mut net = Network::new([3, 7, 6, 8]);
    net.then("depthwise", Conv3d::new(3, 6, [3; 3]).with_padding([1; 3]).with_groups(3)).unwrap();
    net.then("instance", SampleNorm::new(6, NormOver::Groups(6))).unwrap();
    net.then("prelu", Prelu::new(6)).unwrap();
    net.then("pad", Op::Pad3d(Pad3d::new([1, 0, 0], [0, 1, 0]))).unwrap();
    net.then("layer", SampleNorm::new(6, NormOver::Channels)).unwrap();
    net.then("silu", Op::Silu).unwrap();
    net.then("max", Op::MaxPool3d(Pool3d { ceil: true, ..Pool3d::new([3; 3]) })).unwrap();
    net.then("mean", Op::AvgPool3d(Pool3d { ceil: true, inside: true, ..Pool3d::new([2; 3]) })).unwrap();
    net.then("up", ConvTranspose3d::new(6, 5, [3; 3]).with_stride([2; 3]).with_padding([1; 3])).unwrap();
    let grouped = ConvTranspose3d::new(5, 10, [2; 3]).with_stride([2, 1, 1]).with_groups(5);
    net.then("up_grouped", grouped).unwrap();
    let trunk = net.then("resized", Op::Resize3d(Resize3d::linear([4, 3, 5]))).unwrap();
    let mean = net.then("all", Op::GlobalAvgPool).unwrap();
    let trunk = net.add("shifted", Op::Add, &[trunk, mean]).unwrap();
    let gate = net.add("gate", Op::Sigmoid, &[mean]).unwrap();
    net.add("gated", Op::Multiply, &[trunk, gate]).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    let features = net.outputs();
    net.then("head", Linear::new(features, 2)).unwrap();
    net.initialize(11);
    net
}

/// A stem of seven taps, dense layers and a residual block.
fn dense() -> Network {
    let mut net = Network::new([1, 17, 16, 18]);
    net.then("stem", Conv3d::new(1, 16, [7; 3]).with_stride([2; 3]).with_padding([3; 3]).without_bias()).unwrap();
    net.then("stem.norm", BatchNorm::new(16)).unwrap();
    net.then("stem.relu", Op::Relu).unwrap();
    let stem =
        net.then("stem.pool", Op::MaxPool3d(Pool3d::new([3; 3]).with_stride([2; 3]).with_padding([1; 3]))).unwrap();
    net.then("norm", BatchNorm::new(16)).unwrap();
    net.then("relu", Op::Relu).unwrap();
    let more = net.then("more", Conv3d::new(16, 16, [3; 3]).with_padding([1; 3])).unwrap();
    let joined = net.add("joined", Op::Concat, &[stem, more]).unwrap();
    net.then("next.norm", BatchNorm::new(32)).unwrap();
    net.then("next.relu", Op::Relu).unwrap();
    net.then("next.narrow", Conv3d::new(32, 16, [1; 3])).unwrap();
    let more = net.then("next", Conv3d::new(16, 20, [3; 3]).with_padding([1; 3])).unwrap();
    net.add("joined.next", Op::Concat, &[joined, more]).unwrap();
    net.then("transition.norm", BatchNorm::new(52)).unwrap();
    net.then("transition.relu", Op::Relu).unwrap();
    net.then("narrow", Conv3d::new(52, 16, [1; 3])).unwrap();
    let trunk = net.then("transition.pool", Op::AvgPool3d(Pool3d::new([2; 3]))).unwrap();
    let branch = net.then("branch", BatchNorm::new(16)).unwrap();
    net.add("sum", Op::Add, &[branch, trunk]).unwrap();
    net.then("sum.relu", Op::Relu).unwrap();
    net.then("mean", Op::GlobalAvgPool).unwrap();
    net.then("head", Linear::new(16, 2)).unwrap();
    net.initialize(11);
    net
}

/// Allocations of `steps` calls of `step` after two to warm up, from within the engine's threads: entering them from
/// outside queues a job, which now and then needs memory of its own.
fn allocations(engine: &Engine, steps: usize, mut step: impl FnMut() + Send) -> usize {
    engine.thread_pool().install(|| {
        step();
        step();
        let region = Region::new(ALLOCATOR);
        (0..steps).for_each(|_| step());
        let change = region.change();
        change.allocations + change.reallocations
    })
}

/// One test, so that no other thread allocates meanwhile.
#[test]
fn a_step_allocates_nothing_and_memory_is_as_planned() {
    for threads in [1, 2, 3] {
        let engine = engine(threads);
        for (which, mut net) in
            [("paper", paper_net(false)), ("branches", paper_net(true)), ("others", of_others()), ("dense", dense())]
        {
            let (x, seed) = (values(&net, 4), [1.0, -1.0].repeat(4));
            for purpose in [Purpose::Infer, Purpose::InputGradient] {
                let mut plan = engine.plan(&net, &options(purpose, 4)).unwrap();
                let count = allocations(&engine, 5, || {
                    let mut tape = plan.forward(&x).unwrap();
                    if purpose == Purpose::InputGradient {
                        tape.backward(&seed, &Rules::GUIDED).unwrap();
                    }
                });
                assert_eq!(count, 0, "{purpose:?} on {threads} threads, {which}");
            }
            let mut plan = engine.plan(&net, &options(Purpose::Train, 4)).unwrap();
            let mut optimizer = Optimizer::new(OptimizerKind::Adam(AdamOptions::default()));
            let (loss, mut gradient) = (CrossEntropy::of(&net), vec![0.0; 8]);
            let count = allocations(&engine, 5, || {
                plan.set_dropout(1, optimizer.steps());
                let mut tape = plan.forward(&x).unwrap();
                loss.evaluate(tape.output(), &[0, 1, 0, 1], &mut gradient).unwrap();
                tape.backward(&gradient, &Rules::GRADIENT).unwrap();
                optimizer.step(&mut net, tape.weight_gradients().unwrap(), 1e-3).unwrap();
                plan.update_running_statistics(&mut net).unwrap();
                plan.update_weights(&net).unwrap();
            });
            assert_eq!(count, 0, "training on {threads} threads, {which}");
        }
    }

    let engine = engine(2);
    for (net, purpose) in [paper_net(false), of_others(), dense()]
        .iter()
        .flat_map(|net| [Purpose::Infer, Purpose::InputGradient, Purpose::Train].map(|purpose| (net, purpose)))
    {
        // What is planned is what is allocated, but for names, steps and other small things.
        let planned = engine.memory(net, &options(purpose, 6)).unwrap();
        let region = Region::new(ALLOCATOR);
        let plan = engine.plan(net, &options(purpose, 6)).unwrap();
        let change = region.change();
        let held = change.bytes_allocated - change.bytes_deallocated;
        assert_eq!(plan.memory(), planned);
        assert!(held >= planned.total(), "{purpose:?}: {held} bytes held, {planned}");
    }
    let net = paper_net(false);
    for purpose in [Purpose::Infer, Purpose::InputGradient, Purpose::Train] {
        // What is planned is what is allocated, but for names, steps and other small things.
        let planned = engine.memory(&net, &options(purpose, 6)).unwrap();
        let region = Region::new(ALLOCATOR);
        let plan = engine.plan(&net, &options(purpose, 6)).unwrap();
        let change = region.change();
        let held = change.bytes_allocated - change.bytes_deallocated;
        assert_eq!(plan.memory(), planned);
        assert!(held >= planned.total(), "{purpose:?}: {held} bytes held, {planned}");
        assert!(held < planned.total() + 700_000, "{purpose:?}: {held} bytes held, {planned}");
        // As many samples more take as much more, but for sums over the batch that share the place of values.
        let total = |batch| engine.memory(&net, &options(purpose, batch)).unwrap().total();
        let [first, then] = [total(24) - total(16), total(32) - total(24)];
        assert!(first.abs_diff(then) * 50 <= then, "{purpose:?}: {first} bytes, then {then}");
    }

    // The largest batch within a limit is the largest.
    let asked = options(Purpose::Train, 16);
    let total = |batch| engine.memory(&net, &options(Purpose::Train, batch)).unwrap().total();
    let fits = engine.batch_within(&net, &asked, total(5) + 100).unwrap();
    assert!(total(fits) <= total(5) + 100 && total(fits + 1) > total(5) + 100, "{fits}");
    assert_eq!(engine.batch_within(&net, &asked, usize::MAX).unwrap(), 16);
    let refused = engine.batch_within(&net, &asked, 1000).unwrap_err().to_string();
    assert!(refused.contains("one volume needs"), "{refused}");
}
