//! Every operation has an answer wherever one is asked for: its shape, its tensors and gradients, the reference, the
//! engine for every purpose, its receptive field, relevance and multipliers, the loss, files.

use super::*;
use crate::import::safetensors;
use crate::reference::{self, Mode};
use crate::relevance::{Composite, Layerwise};
use crate::{
    AdamOptions, CrossEntropy, Engine, EngineOptions, Network, NodeId, Optimizer, OptimizerKind, PlanOptions, Purpose,
    Rules,
};

/// An example of each operation, beside the pattern that it stands for. The compiler refuses this list where an
/// operation is missing.
macro_rules! examples {
    ($($pattern:pat => $example:expr),* $(,)?) => {
        fn examples() -> Vec<Op> {
            vec![$($example),*]
        }

        const fn _complete(op: &Op) {
            match op {
                $($pattern => {}),*
            }
        }
    };
}

/// Shape of the input.
const INPUT: [usize; 4] = [2, 4, 5, 3];

examples! {
    Op::Input { .. } => Op::Input { shape: INPUT },
    Op::Conv3d(_) => Conv3d::new(2, 3, [3, 2, 1]).with_stride([1, 2, 1]).with_padding([1, 0, 0]).into(),
    Op::ConvTranspose3d(_) => ConvTranspose3d::new(2, 3, [3, 2, 1])
        .with_stride([2, 1, 1])
        .with_padding([1, 0, 0])
        .with_output_padding([1, 0, 0])
        .into(),
    Op::BatchNorm(_) => BatchNorm::new(2).into(),
    Op::SampleNorm(_) => SampleNorm::new(2, NormOver::Groups(2)).into(),
    Op::Prelu(_) => Prelu::new(2).into(),
    Op::Relu => Op::Relu,
    Op::LeakyRelu { .. } => Op::LeakyRelu { slope: 0.25 },
    Op::Elu => Op::Elu,
    Op::Gelu => Op::Gelu,
    Op::Sigmoid => Op::Sigmoid,
    Op::Tanh => Op::Tanh,
    Op::GeluTanh => Op::GeluTanh,
    Op::ScaledElu { .. } => Op::ScaledElu { alpha: 1.5, scale: 1.25 },
    Op::Silu => Op::Silu,
    Op::Mish => Op::Mish,
    Op::Softplus => Op::Softplus,
    Op::HardSigmoid { .. } => Op::HardSigmoid { slope: 0.5, offset: 0.25 },
    Op::HardSwish => Op::HardSwish,
    Op::Clip { .. } => Op::Clip { low: -0.5, high: f32::INFINITY },
    Op::MaxPool3d(_) => Op::MaxPool3d(Pool3d::new([2; 3]).with_stride([1, 2, 1])),
    Op::AvgPool3d(_) => Op::AvgPool3d(Pool3d::new([3; 3]).with_stride([1; 3]).with_padding([1; 3])),
    Op::Pad3d(_) => Op::Pad3d(Pad3d { before: [1, 0, 2], after: [0, 1, 1], value: 0.5 }),
    Op::Resize3d(_) => Op::Resize3d(Resize3d::linear([6, 5, 7])),
    Op::GlobalAvgPool => Op::GlobalAvgPool,
    Op::Flatten => Op::Flatten,
    Op::Linear(_) => Linear::new(120, 5).into(),
    Op::Dropout { .. } => Op::Dropout { p: 0.5 },
    Op::Add => Op::Add,
    Op::Multiply => Op::Multiply,
    Op::Concat => Op::Concat,
    Op::Softmax => Op::Softmax,
    Op::LogSoftmax => Op::LogSoftmax,
}

/// A network with one operation in it, and its node: a branch beside it where it joins two, flat features before it
/// where it takes these, and a head of two outputs after it.
fn network_of(op: &Op) -> (Network, NodeId) {
    let mut net = Network::new(INPUT);
    let node = match op {
        Op::Input { .. } => NodeId(0),
        Op::Linear(_) | Op::Softmax | Op::LogSoftmax => {
            net.then("features", Op::Flatten).unwrap();
            net.then("op", op.clone()).unwrap()
        }
        Op::Add | Op::Multiply | Op::Concat => {
            let branch = net.then("branch", Conv3d::new(2, 2, [1; 3])).unwrap();
            net.add("op", op.clone(), &[NodeId(0), branch]).unwrap()
        }
        Op::Conv3d(_)
        | Op::ConvTranspose3d(_)
        | Op::Resize3d(_)
        | activations!()
        | Op::BatchNorm(_)
        | Op::SampleNorm(_)
        | Op::Prelu(_)
        | Op::Pad3d(_)
        | Op::MaxPool3d(_)
        | Op::AvgPool3d(_)
        | Op::GlobalAvgPool
        | Op::Flatten
        | Op::Dropout { .. } => net.then("op", op.clone()).unwrap(),
    };
    if net.shape(node).unwrap().len() == 4 {
        net.then("flat", Op::Flatten).unwrap();
    }
    let features = net.outputs();
    net.then("head", Linear::new(features, 2)).unwrap();
    net.initialize(7);
    // Statistics and scales unlike the initial ones.
    let state = net.state().into_iter().map(|parameter| {
        let mut tensor = parameter.tensor.clone();
        if parameter.name.starts_with("op.running") || parameter.name.starts_with("op.weight") {
            tensor.data_mut().iter_mut().enumerate().for_each(|(n, value)| *value += 0.125 * (n % 5) as f32);
        }
        (parameter.name, tensor)
    });
    let state = state.collect();
    net.load_state(state).unwrap();
    (net, node)
}

/// Values without ties, so that every maximum is at one place.
fn values(count: usize, start: usize) -> Vec<f32> {
    (start..start + count).map(|n| ((n * 7919) % 1009) as f32 / 504.0 - 1.0).collect()
}

#[track_caller]
fn close(op: &Op, what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{op:?}, {what}");
    let most = expected.iter().fold(1e-3f64, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() <= 1e-4 * most, "{op:?}, {what}: {found}, expected {expected}");
    }
}

fn engine() -> Engine {
    Engine::new(EngineOptions { threads: Some(2), instruction_set: None }).unwrap()
}

#[test]
fn every_operation_has_a_shape_and_tensors_that_come_back_from_files() {
    for op in examples() {
        let (net, node) = network_of(&op);
        let shape = net.shape(node).unwrap();
        let tape = reference::forward(&net, &values(120, 0), Mode::Evaluate).unwrap();
        assert_eq!(tape.value(node).unwrap().len(), shape.iter().product::<usize>(), "{op:?}");

        let mut back: Network = serde_json::from_str(&serde_json::to_string(&net).unwrap()).unwrap();
        let state = net.state();
        let bytes = safetensors::encode(state.iter().map(|p| (p.name.as_str(), p.tensor)), &Default::default());
        back.load_state(safetensors::decode(&bytes).unwrap().0).unwrap();
        assert_eq!(back, net, "{op:?}");
        assert!(net.state().iter().all(|p| p.tensor.data().iter().all(|v| v.is_finite())), "{op:?}");
        assert!(op.same_geometry(&op.without_weights()), "{op:?}");
        assert!(examples().iter().filter(|other| op.same_geometry(other)).count() == 1, "{op:?}");
    }
}

#[test]
fn every_operation_is_run_by_the_engine_as_by_the_reference() {
    let engine = engine();
    let (x, output_gradient) = (values(2 * 120, 3), [1.0, -0.5, 0.25, 2.0]);
    for op in examples() {
        let (net, node) = network_of(&op);
        let plan = |purpose| engine.plan(&net, &PlanOptions { purpose, batch: 2, keep: vec![node] }).unwrap();
        let expected = reference::forward(&net, &x, Mode::Evaluate).unwrap();
        for purpose in [Purpose::Infer, Purpose::InputGradient] {
            let mut plan = plan(purpose);
            let mut tape = plan.forward(&x).unwrap();
            close(&op, "output", tape.output(), expected.output());
            close(&op, "value", tape.value(node).unwrap().data(), expected.value(node).unwrap());
            if purpose == Purpose::Infer {
                continue;
            }
            for rules in [Rules::GRADIENT, Rules::GUIDED, Rules::DECONVOLUTION] {
                let found = tape.backward(&output_gradient, &rules).unwrap();
                let expected = expected.backward(&output_gradient, &rules).unwrap();
                assert_eq!(found.applied, expected.applied, "{op:?}");
                close(&op, "input gradient", found.input, expected.input());
                close(&op, "gradient", tape.gradient(node).unwrap().data(), expected.at(node).unwrap());
            }
        }

        let mode = Mode::Train { seed: 4, step: 2 };
        let expected = reference::forward(&net, &x, mode).unwrap();
        let mut plan = plan(Purpose::Train);
        plan.set_dropout(4, 2);
        let mut tape = plan.forward(&x).unwrap();
        close(&op, "output in training", tape.output(), expected.output());
        tape.backward(&output_gradient, &Rules::GRADIENT).unwrap();
        let gradients = tape.weight_gradients().unwrap().to_vec();
        let expected_gradients = expected.backward(&output_gradient, &Rules::GRADIENT).unwrap().parameters;
        assert_eq!((gradients.len(), expected_gradients.len()), (net.parameters().len(), net.parameters().len()));
        for ((parameter, found), expected) in net.parameters().iter().zip(&gradients).zip(&expected_gradients) {
            assert_eq!(found.len(), parameter.tensor.len(), "{op:?}");
            close(&op, &format!("gradient of {}", parameter.name), found, expected);
        }

        // An optimiser takes a step of every tensor, statistics move, and the plan takes both.
        let mut moved = net.clone();
        Optimizer::new(OptimizerKind::Adam(AdamOptions::default())).step(&mut moved, &gradients, 0.1).unwrap();
        plan.update_running_statistics(&mut moved).unwrap();
        plan.update_weights(&moved).unwrap();
        for (after, before) in moved.parameters().iter().zip(net.parameters()) {
            assert_ne!(after.tensor, before.tensor, "{op:?}: {} has not moved", after.name);
        }
        let statistics = |net: &Network| {
            net.state().into_iter().filter(|p| p.name.contains("running")).map(|p| p.tensor.clone()).collect::<Vec<_>>()
        };
        for (after, expected) in statistics(&moved).iter().zip(statistics(&expected.with_running_statistics())) {
            let expected: Vec<f64> = expected.data().iter().map(|&v| f64::from(v)).collect();
            close(&op, "running statistics", after.data(), &expected);
        }
    }
}

/// Three times the input gives three times the value, or another one.
#[test]
fn every_operation_says_whether_it_scales_with_its_input() {
    let unbiased = Conv3d::new(2, 3, [2; 3]).without_bias().into();
    for op in examples().into_iter().chain([unbiased]) {
        let (mut net, node) = network_of(&op);
        let state = net.state().into_iter().map(|p| {
            let zero = p.name == "branch.bias";
            (p.name.clone(), if zero { Tensor::zeros(p.tensor.shape()) } else { p.tensor.clone() })
        });
        let state = state.collect();
        net.load_state(state).unwrap();
        let value = |x: &[f32]| reference::forward(&net, x, Mode::Evaluate).unwrap().value(node).unwrap().to_vec();
        let x = values(120, 3);
        let (once, thrice) = (value(&x), value(&x.iter().map(|x| 3.0 * x).collect::<Vec<_>>()));
        let scales = once.iter().zip(thrice).all(|(a, b)| (3.0 * a - b).abs() < 1e-5 * b.abs().max(1e-2));
        assert_eq!(op.is_homogeneous(), scales, "{op:?}");
    }
}

#[test]
fn sums_of_products_are_counted() {
    // 3 channels of 3 * 3 * 3 values, each of 2 * 3 * 2 * 1 products; 5 values of 120.
    let conv = Op::from(Conv3d::new(2, 3, [3, 2, 1]));
    assert_eq!([conv.multiply_adds(&[3, 3, 3, 3]), Op::from(Linear::new(120, 5)).multiply_adds(&[5])], [1944, 1200]);
    assert!(examples().iter().all(|op| (op.multiply_adds(&[4]) > 0) == (op.class() == OpClass::Layer)));
}

/// Where its cells are in the input, or that they are in no one place.
#[test]
fn every_operation_has_a_receptive_field_or_says_that_it_has_none() {
    for op in examples() {
        let (net, node) = network_of(&op);
        let shape = net.shape(node).unwrap();
        match net.receptive_field(node) {
            // Its cells are around the volume as well.
            Ok(field) if matches!(op, Op::Pad3d(_)) => assert_eq!(field.offset, [-1.0, 0.0, -2.0]),
            // Between the voxels, as a kernel of two is not in the middle of any.
            Ok(field) if matches!(op, Op::ConvTranspose3d(_)) => {
                assert_eq!((field.stride, field.offset), ([0.5, 1.0, 1.0], [0.0, -0.5, 0.0]));
                assert_eq!(field.size, [2, 2, 1]);
            }
            // Smaller boxes begin before the middle of the first voxel: 4 of them in 6, 5 in 5 and 3 in 7.
            Ok(field) if matches!(op, Op::Resize3d(_)) => {
                let first = |voxels: f64, cells: f64| (voxels / cells - 1.0) / 2.0;
                assert_eq!(field.offset, [first(4.0, 6.0), 0.0, first(3.0, 7.0)]);
                assert_eq!(field.stride, [4.0 / 6.0, 1.0, 3.0 / 7.0]);
            }
            Ok(field) => {
                assert_eq!(shape.len(), 4, "{op:?}");
                for axis in 0..3 {
                    let last = field.offset[axis] + field.stride[axis] * (shape[axis + 1] - 1) as f64;
                    assert!(field.offset[axis] >= 0.0 && last <= (INPUT[axis + 1] - 1) as f64, "{op:?}: {field:?}");
                }
            }
            Err(error) => {
                assert_eq!(shape.len(), 1, "{op:?}");
                let error = error.to_string();
                assert!(error.contains("no volume; ask for a node before it"), "{op:?}: {error}");
            }
        }
    }
}

/// Relevance and multipliers reach the input, and multipliers sum up to the difference of the outputs; or the network
/// is refused.
#[test]
fn every_operation_hands_relevance_back_or_is_refused() {
    let engine = engine();
    let (x, x0) = (values(120, 3), values(120, 500));
    for op in examples() {
        let (net, _) = network_of(&op);
        let mut layerwise = match Layerwise::new(&engine, &net) {
            Ok(layerwise) => layerwise,
            Err(error) => {
                assert_eq!(op.class(), OpClass::LogSoftmax);
                assert!(error.to_string().contains("expected logits"), "{error}");
                continue;
            }
        };
        for composite in [Composite::EPSILON_PLUS, Composite::EPSILON_PLUS_FLAT] {
            let relevance = layerwise.relevance(&x, &[1.0, 0.0], &composite).unwrap();
            assert!(relevance.input.iter().all(|r| r.is_finite()) && relevance.input.iter().any(|&r| r != 0.0));
        }
        if matches!(op, Op::SampleNorm(_)) {
            let error = layerwise.multipliers(&x, &x0, &[1.0, -2.0]).unwrap_err().to_string();
            assert!(error.contains("DeepLIFT has no rule for that"), "{error}");
            continue;
        }
        let found = layerwise.multipliers(&x, &x0, &[1.0, -2.0]).unwrap();
        assert_eq!(found.applied, layerwise.nonlinear(), "{op:?}");
        let contributions = found.input.iter().zip(x.iter().zip(&x0));
        let sum: f64 = contributions.map(|(m, (x, x0))| f64::from(*m) * (f64::from(*x) - f64::from(*x0))).sum();
        let score = |y: &[f32]| f64::from(y[0]) - 2.0 * f64::from(y[1]);
        let difference = score(&found.output) - score(&found.baseline);
        assert!((sum - difference).abs() < 1e-4 * difference.abs().max(1.0), "{op:?}: {sum}, expected {difference}");
    }
}

#[test]
fn every_operation_says_what_the_outputs_after_it_are() {
    for op in examples() {
        let (mut net, _) = network_of(&op);
        // A head of two outputs comes last: logits, whatever came before.
        assert!(!CrossEntropy::of(&net).log_probabilities, "{op:?}");
        if net.then("last", op.clone()).is_ok() {
            assert_eq!(CrossEntropy::of(&net).log_probabilities, op == Op::LogSoftmax, "{op:?}");
        }
    }
}
