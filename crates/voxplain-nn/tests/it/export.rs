//! Networks as ONNX files: what comes back computes the same. `fixtures/exported.py` asks onnxruntime too, of the files
//! that these tests leave in the folder `VOXPLAIN_EXPORTS`, where it is set.

use crate::engine_reference::{random_network, values};
use proptest::prelude::*;
use voxplain_core::random::Seed;
use voxplain_nn::reference::{self, Mode};
use voxplain_nn::{
    Alignment, Conv3d, ConvTranspose3d, Interpolation, Linear, Network, NormOver, Op, Pool3d, Prelu, Resize3d,
    SampleNorm, SoftLabels, export, import,
};

fn outputs(network: &Network, x: &[f32]) -> Vec<f64> {
    reference::forward(network, x, Mode::Evaluate).unwrap().output().to_vec()
}

/// Writes it, reads it again, and compares the outputs for one input.
fn comes_back(name: &str, network: &Network) {
    let x = values(Seed::new(7), network.input_shape().iter().product());
    let bytes = export::onnx::encode(network, &[("classes", "a, b, c".into())]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    std::fs::write(&file, &bytes).unwrap();
    let expected = outputs(network, &x);
    if let Some(keep) = std::env::var_os("VOXPLAIN_EXPORTS") {
        let keep = std::path::Path::new(&keep);
        std::fs::write(keep.join(format!("{name}.onnx")), &bytes).unwrap();
        let pair = serde_json::json!({"shape": network.input_shape(), "x": x, "y": expected});
        std::fs::write(keep.join(format!("{name}.json")), pair.to_string()).unwrap();
    }
    let imported = import::onnx::read(&file, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (found, expected) = (outputs(&imported.network, &x), outputs(&network.without_log_softmax(), &x));
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(1e-3f64, |most, y| most.max(y.abs()));
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-5 * largest, "{name}: {found:?}, expected {expected:?}");
    }
}

proptest! {
    // A third of the graphs has such an axis.
    #![proptest_config(ProptestConfig { max_global_rejects: 1 << 16, ..ProptestConfig::default() })]
    #[test]
    fn random_graphs_come_back(seed in 0u64..1_000_000, depth in 1usize..6) {
        let network = random_network(seed, depth);
        // An axis of one voxel or channel is the same as none where axes are told apart by their lengths alone.
        prop_assume!(network.shapes().iter().all(|shape| shape.len() == 1 || !shape.contains(&1)));
        comes_back(&format!("random-{seed}-{depth}"), &network);
    }
}

/// A softmax inside a network, with the expectation after it.
#[test]
fn soft_labels_come_back() {
    let mut network = Network::new([2, 5, 4, 3]);
    network.then("conv", Conv3d::new(2, 12, [3; 3])).unwrap();
    network.then("mean", Op::GlobalAvgPool).unwrap();
    network.initialize(4);
    comes_back("soft-labels", &SoftLabels::new(20.0, 5.0, 12).unwrap().answering(network).unwrap());
}

/// Each operation by itself between a convolution and a linear layer, those too that random graphs draw rarely.
#[test]
fn every_operation_comes_back() {
    let ceil =
        |inside: bool| Pool3d { ceil: true, inside, ..Pool3d::new([3; 3]).with_stride([2; 3]).with_padding([1; 3]) };
    let ends = |inside: bool| Pool3d {
        padding_end: Some([0, 1, 1]),
        inside,
        ..Pool3d::new([3; 3]).with_stride([2; 3]).with_padding([1, 0, 1])
    };
    let nearest =
        |interpolation, alignment| Op::Resize3d(Resize3d { interpolation, alignment, ..Resize3d::nearest([9, 4, 3]) });
    let transposed = ConvTranspose3d::new(6, 4, [3; 3]).with_stride([2; 3]).with_padding([1; 3]);
    let operations: Vec<(&str, Op)> = vec![
        ("max-ceil", Op::MaxPool3d(ceil(false))),
        ("mean-ceil", Op::AvgPool3d(ceil(false))),
        ("mean-ceil-inside", Op::AvgPool3d(ceil(true))),
        ("max-ends", Op::MaxPool3d(ends(false))),
        ("mean-ends", Op::AvgPool3d(ends(false))),
        ("mean-ends-inside", Op::AvgPool3d(ends(true))),
        ("max-dilated", Op::MaxPool3d(Pool3d { dilation: [2; 3], ..Pool3d::new([2; 3]).with_stride([1; 3]) })),
        ("group-norm", SampleNorm::new(6, NormOver::Groups(2)).into()),
        ("instance-norm", SampleNorm::new(6, NormOver::Groups(6)).into()),
        ("layer-norm", SampleNorm::new(6, NormOver::Channels).into()),
        ("prelu", Prelu::new(6).into()),
        ("grouped", Conv3d::new(6, 12, [3; 3]).with_groups(3).with_dilation([2; 3]).into()),
        ("transposed", transposed.clone().with_output_padding([1, 0, 1]).into()),
        ("transposed-cut", transposed.with_output_padding([0, -1, 0]).into()),
        ("linear", Op::Resize3d(Resize3d::linear([9, 4, 3]))),
        ("corners", Op::Resize3d(Resize3d { alignment: Alignment::Corners, ..Resize3d::linear([9, 4, 3]) })),
        ("nearest", Op::Resize3d(Resize3d::nearest([14, 4, 3]))),
        ("nearest-exact", nearest(Interpolation::NearestBefore, Alignment::Centres)),
        ("nearest-behind", nearest(Interpolation::NearestBehind, Alignment::CentresOrFirst)),
        ("behind", nearest(Interpolation::Behind, Alignment::Starts)),
        ("clip-below", Op::Clip { low: -0.2, high: f32::INFINITY }),
        ("clip-above", Op::Clip { low: f32::NEG_INFINITY, high: 0.3 }),
    ];
    for (n, (name, op)) in operations.into_iter().enumerate() {
        let mut network = Network::new([2, 7, 8, 6]);
        network.then("first", Conv3d::new(2, 6, [1; 3])).unwrap();
        network.then(name, op).unwrap();
        let volume = network.output();
        let mean = network.add("mean", Op::GlobalAvgPool, &[volume]).unwrap();
        let gated = network.add("gated", Op::Multiply, &[volume, mean]).unwrap();
        network.add("shifted", Op::Add, &[gated, mean]).unwrap();
        network.then("flat", Op::Flatten).unwrap();
        let features = network.outputs();
        network.then("scores", Linear::new(features, 3)).unwrap();
        network.initialize(n as u64);
        let weights = network.state().into_iter().map(|parameter| {
            let drawn = values(Seed::new(n as u64).child(&parameter.name), parameter.tensor.len());
            (parameter.name.clone(), voxplain_nn::Tensor::new(parameter.tensor.shape(), drawn))
        });
        let weights = weights.collect();
        network.load_state(weights).unwrap();
        comes_back(name, &network);
    }
}

#[test]
fn means_over_dilated_windows_are_refused_by_name() {
    let mut network = Network::new([1, 6, 6, 6]);
    network
        .then("pool", Op::AvgPool3d(Pool3d { dilation: [2; 3], ..Pool3d::new([2; 3]).with_stride([1; 3]) }))
        .unwrap();
    let error = export::onnx::encode(&network, &[]).unwrap_err().to_string();
    assert!(error.contains("pool") && error.contains("dilation of [2, 2, 2]"), "{error}");
}
