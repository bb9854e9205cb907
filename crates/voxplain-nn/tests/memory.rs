//! A step allocates nothing after the first, memory is as planned and grows in proportion to the batch. (A binary of its
//! own: its allocator counts what is allocated by all tests of a binary.)

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "it/support/paper_net.rs"]
mod paper_net;

use paper_net::paper_net;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use voxplain_core::random::Seed;
use voxplain_nn::{
    AdamOptions, CrossEntropy, Engine, EngineOptions, Network, Optimizer, OptimizerKind, PlanOptions, Purpose, Rules,
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
        for branches in [false, true] {
            let mut net = paper_net(branches);
            let (x, seed) = (values(&net, 4), [1.0, -1.0].repeat(4));
            for purpose in [Purpose::Infer, Purpose::InputGradient] {
                let mut plan = engine.plan(&net, &options(purpose, 4)).unwrap();
                let count = allocations(&engine, 5, || {
                    let mut tape = plan.forward(&x).unwrap();
                    if purpose == Purpose::InputGradient {
                        tape.backward(&seed, &Rules::GUIDED).unwrap();
                    }
                });
                assert_eq!(count, 0, "{purpose:?} on {threads} threads, branches: {branches}");
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
            assert_eq!(count, 0, "training on {threads} threads, branches: {branches}");
        }
    }

    let engine = engine(2);
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
