//! What an engine promises, whatever runs its networks: the same assertions through the CPU backend and through one
//! made of the scalar reference.

use super::reference_backend::ReferenceBackend;
use super::*;
use crate::{BatchNorm, Conv3d, CrossEntropy, Linear, NodeId, Op, Pool3d, Tensor};

/// The engines that are tested, by name.
fn engines() -> [(&'static str, Engine); 2] {
    let cpu = Engine::new(EngineOptions { threads: Some(2), instruction_set: None }).unwrap();
    let reference = Engine { backend: Arc::new(ReferenceBackend), ..cpu.clone() };
    [("cpu", cpu), ("reference", reference)]
}

fn options(purpose: Purpose, batch: usize, keep: &[NodeId]) -> PlanOptions {
    PlanOptions { purpose, batch, keep: keep.to_vec() }
}

/// A network that can be worked out by hand: `y = [w relu(x), -relu(x)]` for one voxel, with `w` = 2.
fn by_hand() -> Network {
    let mut net = Network::new([1, 1, 1, 1]);
    net.then("relu", Op::Relu).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    let weight = Tensor::new([2, 1], vec![2.0, -1.0]);
    net.then("linear", Linear { weight, bias: Tensor::zeros([2]), input: 1, output: 2 }).unwrap();
    net
}

/// A convolution, normalised, with a way around it, a pool, dropout, a node that the output does not depend on.
fn branched() -> Network {
    let mut net = Network::new([2, 5, 6, 4]);
    let stem = net.then("stem", Conv3d::new(2, 3, [3; 3]).with_padding([1; 3])).unwrap();
    net.then("norm", BatchNorm::new(3)).unwrap();
    let relu = net.then("relu", Op::Relu).unwrap();
    net.then("unused", Op::Relu).unwrap();
    net.add("sum", Op::Add, &[stem, relu]).unwrap();
    net.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    net.then("drop", Op::Dropout { p: 0.5 }).unwrap();
    let features = net.outputs();
    net.then("linear", Linear::new(features, 2)).unwrap();
    net.initialize(3);
    net
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|n| ((n * 7919 + 13) % 101) as f32 / 50.0 - 1.0).collect()
}

#[track_caller]
fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let most = expected.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-4 * most, "{what}: {found}, expected {expected}");
    }
}

#[test]
fn values_and_gradients_are_those_by_hand() {
    for (name, engine) in engines() {
        let net = by_hand();
        let relu = net.node("relu").unwrap();
        let mut plan = engine.plan(&net, &options(Purpose::InputGradient, 3, &[relu])).unwrap();
        let mut tape = plan.forward(&[1.5, -2.0]).unwrap();
        assert_eq!((tape.batch(), tape.output()), (2, &[3.0, -1.5, 0.0, 0.0][..]), "{name}");
        assert_eq!(tape.value(relu).unwrap(), Tensor::new([2, 1, 1, 1, 1], vec![1.5, 0.0]), "{name}");
        let output_gradient = [1.0, 0.0, 0.0, 1.0];
        for (rules, input, ruled) in
            [(Rules::GRADIENT, [2.0, 0.0], 0), (Rules::GUIDED, [2.0, 0.0], 1), (Rules::DECONVOLUTION, [2.0, 0.0], 1)]
        {
            let back = tape.backward(&output_gradient, &rules).unwrap();
            assert_eq!(back.input, input, "{name} {rules:?}");
            assert_eq!(back.applied, RulesApplied { relu: ruled, relu_total: 1 }, "{name} {rules:?}");
            assert_eq!(tape.gradient(relu).unwrap().data(), [2.0, -1.0], "{name} {rules:?}");
        }
        // Deconvolution lets what is positive through where the value was not.
        assert_eq!(tape.backward(&[0.0, 0.0, 1.0, 0.0], &Rules::DECONVOLUTION).unwrap().input, [0.0, 2.0], "{name}");
        assert_eq!(tape.backward(&[0.0, 1.0, 0.0, 0.0], &Rules::GUIDED).unwrap().input, [0.0, 0.0], "{name}");
        assert_eq!(tape.backward(&[0.0, 1.0, 0.0, 0.0], &Rules::GRADIENT).unwrap().input, [-1.0, 0.0], "{name}");
    }
}

#[test]
fn weight_gradients_are_those_by_hand() {
    for (name, engine) in engines() {
        let net = by_hand();
        let mut plan = engine.plan(&net, &options(Purpose::Train, 2, &[])).unwrap();
        let mut tape = plan.forward(&[1.5, -2.0]).unwrap();
        let back = tape.backward(&[1.0, 0.5, 4.0, 0.25], &Rules::GRADIENT).unwrap();
        assert!(back.input.is_empty(), "{name}");
        assert_eq!(tape.weight_gradients().unwrap(), [vec![1.5, 0.75], vec![5.0, 0.75]], "{name}");
    }
}

/// Every kind of pass over a network with branches, in parts of a batch; both backends say the same.
#[test]
fn backends_agree_on_every_purpose() {
    backends_agree(&branched(), ["input", "norm", "unused", "pool", "linear"], 3);
}

/// Few voxels: `.ci/run` has Miri look at every access.
#[test]
fn backends_agree_on_a_network_for_miri() {
    let mut net = Network::new([1, 2, 2, 2]);
    let stem = net.then("stem", Conv3d::new(1, 2, [3; 3]).with_padding([1; 3])).unwrap();
    net.then("norm", BatchNorm::new(2)).unwrap();
    let relu = net.then("relu", Op::Relu).unwrap();
    net.then("unused", Op::Relu).unwrap();
    net.add("sum", Op::Add, &[stem, relu]).unwrap();
    net.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    net.then("linear", Linear::new(2, 2)).unwrap();
    net.initialize(3);
    backends_agree(&net, ["input", "norm", "unused", "pool", "linear"], 2);
}

fn backends_agree(net: &Network, keep: [&str; 5], batch: usize) {
    let keep: Vec<NodeId> = keep.map(|name| net.node(name).unwrap()).to_vec();
    let inputs: usize = net.input_shape().iter().product();
    let (x, output_gradient) = (values(batch * inputs), values(batch * 2));
    let run = |engine: &Engine| {
        let mut all: Vec<(String, Vec<f32>)> = Vec::new();
        for purpose in [Purpose::Infer, Purpose::InputGradient, Purpose::Train] {
            let mut plan = engine.plan(net, &options(purpose, batch + 1, &keep)).unwrap();
            plan.set_dropout(5, 6);
            let mut tape = plan.forward(&x).unwrap();
            let mut note = |what: &str, values: &[f32]| all.push((format!("{purpose:?} {what}"), values.to_vec()));
            note("output", tape.output());
            for &node in &keep {
                note(&format!("value of {}", net.nodes()[node.0].name), tape.value(node).unwrap().data());
            }
            if purpose == Purpose::Infer {
                continue;
            }
            let back = tape.backward(&output_gradient, &Rules::GRADIENT).unwrap();
            assert_eq!(back.applied, RulesApplied { relu: 0, relu_total: 2 });
            note("input gradient", back.input);
            if purpose == Purpose::InputGradient {
                // One ReLU is not on the way to the output.
                let back = tape.backward(&output_gradient, &Rules::GUIDED).unwrap();
                assert_eq!(back.applied, RulesApplied { relu: 1, relu_total: 2 });
                note("guided", back.input);
                for &node in &keep {
                    note(&format!("gradient at {}", net.nodes()[node.0].name), tape.gradient(node).unwrap().data());
                }
            } else {
                for (parameter, gradient) in net.parameters().iter().zip(tape.weight_gradients().unwrap()) {
                    note(&format!("gradient of {}", parameter.name), gradient);
                }
                let mut moved = net.clone();
                plan.update_running_statistics(&mut moved).unwrap();
                for parameter in moved.state() {
                    note(&parameter.name, parameter.tensor.data());
                }
            }
        }
        all
    };
    let [(_, cpu), (_, reference)] = engines();
    let (cpu, reference) = (run(&cpu), run(&reference));
    assert_eq!(cpu.len(), reference.len());
    for ((what, found), (_, expected)) in cpu.iter().zip(&reference) {
        // In front of a batch normalisation a bias has no gradient but round-off.
        if !what.ends_with("gradient of stem.bias") {
            close(what, found, expected);
        }
    }
}

#[test]
fn training_goes_downhill_and_plans_take_the_new_weights() {
    for (name, engine) in engines() {
        let mut net = branched();
        let mut plan = engine.plan(&net, &options(Purpose::Train, 4, &[])).unwrap();
        let mut infer = engine.plan(&net, &options(Purpose::Infer, 4, &[])).unwrap();
        let (x, labels) = (values(4 * 240), [0, 1, 1, 0]);
        let (loss, mut gradient) = (CrossEntropy::of(&net), [0.0; 8]);
        let mut losses = Vec::new();
        for _ in 0..6 {
            let mut tape = plan.forward(&x).unwrap();
            losses.push(loss.evaluate(tape.output(), &labels, &mut gradient).unwrap());
            tape.backward(&gradient, &Rules::GRADIENT).unwrap();
            for (tensor, gradient) in net.parameters_mut().into_iter().zip(tape.weight_gradients().unwrap()) {
                tensor.data_mut().iter_mut().zip(gradient).for_each(|(weight, g)| *weight -= 0.02 * g);
            }
            plan.update_weights(&net).unwrap();
        }
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{name}: {losses:?}");
        let before = infer.forward(&x).unwrap().output().to_vec();
        infer.update_weights(&net).unwrap();
        let after = infer.forward(&x).unwrap().output().to_vec();
        assert_ne!(before, after, "{name}");
        let mut fresh = engine.plan(&net, &options(Purpose::Infer, 4, &[])).unwrap();
        assert_eq!(fresh.forward(&x).unwrap().output(), after, "{name}");
    }
}

#[test]
fn dropout_follows_seed_and_step() {
    for (name, engine) in engines() {
        let mut plan = engine.plan(&branched(), &options(Purpose::Train, 2, &[])).unwrap();
        let x = values(2 * 240);
        let mut output = |seed, step| {
            plan.set_dropout(seed, step);
            plan.forward(&x).unwrap().output().to_vec()
        };
        let first = output(1, 1);
        assert_ne!(output(1, 2), first, "{name}");
        assert_ne!(output(2, 1), first, "{name}");
        assert_eq!(output(1, 1), first, "{name}");
    }
}

#[test]
fn a_sample_does_not_depend_on_its_neighbours() {
    for (name, engine) in engines() {
        let mut plan = engine.plan(&branched(), &options(Purpose::InputGradient, 3, &[])).unwrap();
        let x = values(3 * 240);
        let mut tape = plan.forward(&x).unwrap();
        let outputs = tape.output().to_vec();
        let maps = tape.backward(&[1.0, 0.0].repeat(3), &Rules::GRADIENT).unwrap().input.to_vec();
        for n in 0..3 {
            let mut tape = plan.forward(&x[n * 240..][..240]).unwrap();
            assert_eq!(tape.output(), &outputs[n * 2..][..2], "{name}");
            assert_eq!(tape.backward(&[1.0, 0.0], &Rules::GRADIENT).unwrap().input, &maps[n * 240..][..240], "{name}");
        }
    }
}

#[test]
fn memory_is_known_before_and_batches_fit_in_it() {
    for (name, engine) in engines() {
        let net = branched();
        for purpose in [Purpose::Infer, Purpose::InputGradient, Purpose::Train] {
            let total = |batch| engine.memory(&net, &options(purpose, batch, &[])).unwrap().total();
            let plan = engine.plan(&net, &options(purpose, 5, &[])).unwrap();
            assert_eq!((plan.batch(), plan.memory_bytes()), (5, total(5)), "{name} {purpose:?}");
            let fits = engine.batch_within(&net, &options(purpose, 9, &[]), total(4)).unwrap();
            // Volumes that go through one after the other leave nothing behind where nothing is recorded.
            let grows = total(9) > total(4);
            assert!(fits >= 4 && (fits < 9 || !grows) && total(fits) <= total(4), "{name} {purpose:?}: {fits}");
            assert!(grows || purpose == Purpose::Infer, "{name} {purpose:?}");
            let refused = engine.batch_within(&net, &options(purpose, 9, &[]), 10).unwrap_err().to_string();
            assert!(refused.contains("one volume needs"), "{name}: {refused}");
        }
        assert!(engine.multiply_add(1000) > 1000.0, "{name}");
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    for (name, engine) in engines() {
        let net = branched();
        let refused = |plan: Result<Plan>, what: &str| {
            let error = plan.unwrap_err().to_string();
            assert!(error.contains(what), "{name}: {error}");
        };
        refused(engine.plan(&net, &options(Purpose::Infer, 0, &[])), "a batch of 0");
        refused(engine.plan(&net, &options(Purpose::Infer, 1, &[NodeId(99)])), "node 99 to keep does not exist");
        refused(engine.plan(&Network::new([1; 4]), &options(Purpose::Infer, 1, &[])), "without operations");

        let mut plan = engine.plan(&net, &options(Purpose::Infer, 2, &[NodeId(1)])).unwrap();
        for count in [0, 239, 241, 3 * 240] {
            assert!(plan.forward(&values(count)).unwrap_err().to_string().contains("1 to 2 samples"), "{name}");
        }
        let mut tape = plan.forward(&values(240)).unwrap();
        assert!(tape.backward(&[0.0; 2], &Rules::GRADIENT).unwrap_err().to_string().contains("inference"), "{name}");
        assert!(tape.gradient(NodeId(1)).unwrap_err().to_string().contains("no backward pass"), "{name}");
        let error = tape.value(NodeId(2)).unwrap_err().to_string();
        assert_eq!(error, "kept node: norm is unknown; there are: stem", "{name}");
        assert!(tape.weight_gradients().is_err(), "{name}");
        assert!(plan.update_running_statistics(&mut net.clone()).unwrap_err().to_string().contains("for training"));

        let mut plan = engine.plan(&net, &options(Purpose::Train, 2, &[])).unwrap();
        let mut tape = plan.forward(&values(240)).unwrap();
        assert!(tape.weight_gradients().is_err(), "{name}");
        let error = tape.backward(&[0.0; 4], &Rules::GRADIENT).unwrap_err().to_string();
        assert_eq!(error, "found an output gradient of 4 values, expected 2 (1 samples of 2)", "{name}");
        tape.backward(&[0.0; 2], &Rules::GRADIENT).unwrap();
        assert!(tape.backward(&[0.0; 2], &Rules::GRADIENT).is_err(), "{name}");
        let error = tape.value(NodeId(0)).unwrap_err().to_string();
        assert!(error.contains("none (PlanOptions::keep is empty)"), "{name}: {error}");
    }
}

/// Weights of another network are refused, even where all shapes are the same.
#[test]
fn plans_take_weights_of_their_own_network_alone() {
    for (name, engine) in engines() {
        let mut plan = engine.plan(&by_hand(), &options(Purpose::Infer, 1, &[])).unwrap();
        assert!(plan.update_weights(&branched()).unwrap_err().to_string().contains("not the one"), "{name}");
        let mut other = Network::new([1, 1, 1, 1]);
        other.then("tanh", Op::Tanh).unwrap();
        other.then("flat", Op::Flatten).unwrap();
        other.then("linear", Linear::new(1, 2)).unwrap();
        let error = plan.update_weights(&other).unwrap_err().to_string();
        assert_eq!(error, "node tanh is not what it was when the plan was made", "{name}");
    }
}

#[test]
fn a_normalisation_in_training_needs_two_values() {
    for (name, engine) in engines() {
        let mut net = Network::new([2, 1, 1, 1]);
        net.then("norm", BatchNorm::new(2)).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        let mut plan = engine.plan(&net, &options(Purpose::Train, 2, &[])).unwrap();
        let error = plan.forward(&values(2)).unwrap_err().to_string();
        assert!(error.starts_with("node norm: found 1 value per channel"), "{name}: {error}");
        assert!(plan.forward(&values(4)).is_ok(), "{name}");
    }
}
