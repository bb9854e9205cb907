//! Channels joined without copying: random graphs of concatenations within concatenations give what the reference gives, and
//! the same bits whether parts lie in the whole (a sample at a time) or are copied (several at once, on more threads).

use crate::engine_reference::{check, conv, norm, values};
use proptest::prelude::*;
use voxplain_core::random::{Random, Seed};
use voxplain_nn::{Engine, EngineOptions, Linear, Network, NodeId, Op, PlanOptions, Pool3d, Purpose, Rules};

/// A network of joins that follows from a seed: of parts of any number of channels, of what was joined before, of one value
/// twice, of the input, of operations without weights; values that are used once more elsewhere.
fn joins(seed: u64) -> Network {
    let seed = Seed::new(seed).child("joins");
    let mut random = seed.random();
    let channels = [1, 3, 16, 32][random.below(4)];
    let mut net = Network::new([channels, 3 + random.below(4), 4, 3 + random.below(5)]);
    let same = |kernel: usize| [[kernel; 3], [1; 3], [kernel / 2; 3], [1; 3]];
    let mut all = vec![NodeId(0)];
    for step in 0..2 + random.below(7) {
        let (name, seed) = (format!("op.{step}"), seed.index(step as u64));
        // The newest values most of all, as in a dense block.
        let pick = |random: &mut Random| {
            let newest = all.len().min(1 + random.below(4));
            all[all.len() - 1 - random.below(newest)]
        };
        let from = pick(&mut random);
        let of = net.shape(from).unwrap()[0];
        let added = match random.below(8) {
            0..=3 => {
                let mut parts = vec![pick(&mut random), pick(&mut random)];
                while random.chance(0.4) {
                    parts.push(pick(&mut random));
                }
                // All that was joined before, and more: as networks do that join everything anew.
                if random.chance(0.3)
                    && let Some(before) = net.nodes().iter().rev().find(|node| node.op == Op::Concat)
                {
                    parts = [before.inputs.clone(), vec![from]].concat();
                }
                let total: usize = parts.iter().map(|part| net.shape(*part).unwrap()[0]).sum();
                if total > 200 {
                    continue;
                }
                net.add(&name, Op::Concat, &parts).unwrap()
            }
            4 => net.add(&name, norm(seed, of), &[from]).unwrap(),
            5 => net.add(&name, [Op::Relu, Op::Sigmoid][random.below(2)].clone(), &[from]).unwrap(),
            _ => {
                let out = [16, 16, 32, 5, 20][random.below(5)];
                let (from, of) = if random.chance(0.5) {
                    net.add(&format!("{name}.norm"), norm(seed, of), &[from]).unwrap();
                    (net.then(&format!("{name}.relu"), Op::Relu).unwrap(), of)
                } else {
                    (from, of)
                };
                let kernel = [1, 3][random.below(2)];
                let added = net.add(&name, conv(seed, of, out, same(kernel), random.chance(0.5)), &[from]).unwrap();
                if random.chance(0.3) { net.then(&format!("{name}.after"), Op::Relu).unwrap() } else { added }
            }
        };
        all.push(added);
    }
    // What was joined last is the end, or one that was joined earlier as well.
    let (last, before) = (all[all.len() - 1], all[random.below(all.len())]);
    let [a, b] = [last, before].map(|node| net.shape(node).unwrap()[0]);
    net.add("end", Op::Concat, &[last, before]).unwrap();
    if random.chance(0.4) {
        net.then("end.norm", norm(seed.child("end"), a + b)).unwrap();
        net.then("end.relu", Op::Relu).unwrap();
        net.then("end.conv", conv(seed.child("end.conv"), a + b, 20, same(1), true)).unwrap();
        net.then("end.pool", Op::AvgPool3d(Pool3d::new([2; 3]))).unwrap();
    }
    net.then("mean", Op::GlobalAvgPool).unwrap();
    let features = net.outputs();
    net.then("head", Linear::new(features, 2)).unwrap();
    let head = ["head.weight", "head.bias"];
    let state = net.state().into_iter().map(|parameter| {
        let mut tensor = parameter.tensor.clone();
        if head.contains(&parameter.name.as_str()) {
            tensor.data_mut().copy_from_slice(&values(seed.child(&parameter.name), parameter.tensor.len()));
        }
        (parameter.name, tensor)
    });
    let state = state.collect();
    net.load_state(state).unwrap();
    net
}

/// Outputs, gradients of the input and gradients of weights, as bits.
fn bits(net: &Network, threads: usize, batch: usize, keep: &[NodeId]) -> Vec<Vec<u32>> {
    let engine = Engine::new(EngineOptions { threads: Some(threads), instruction_set: None }).unwrap();
    let x = values(Seed::new(1), batch * net.input_shape().iter().product::<usize>());
    let r = values(Seed::new(2), batch * net.outputs());
    let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
    let mut all = Vec::new();
    for purpose in [Purpose::Infer, Purpose::InputGradient, Purpose::Train] {
        let mut plan = engine.plan(net, &PlanOptions { purpose, batch, keep: keep.to_vec() }).unwrap();
        let mut tape = plan.forward(&x).unwrap();
        all.push(bits(tape.output()));
        if purpose != Purpose::Infer {
            all.push(bits(tape.backward(&r, &Rules::GUIDED).unwrap().input));
            all.extend(keep.iter().map(|node| bits(tape.gradient(*node).unwrap().data())));
        }
        all.extend(keep.iter().map(|node| bits(tape.value(*node).unwrap().data())));
        if purpose == Purpose::Train {
            all.extend(tape.weight_gradients().unwrap().iter().map(|g| bits(g)));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn joined_channels_are_those_of_the_reference(seed in 0u64..1_000_000, batch in 1usize..3) {
        let net = joins(seed);
        let nodes = net.nodes().len();
        check(&net, batch, seed, &[]);
        check(&net, batch, seed, &[NodeId(seed as usize % nodes), NodeId(seed as usize / 7 % nodes)]);
    }

    #[test]
    fn joined_or_copied_channels_have_the_same_bits(seed in 0u64..1_000_000, kept in 0usize..1000) {
        let net = joins(seed);
        let keep = [NodeId(kept % net.nodes().len())];
        for keep in [&keep[..], &[]] {
            // Of nine threads three samples go through the network together, of one thread one.
            assert!(bits(&net, 1, 3, keep) == bits(&net, 9, 3, keep), "{keep:?}");
        }
    }
}
