//! Deletion and insertion curves beside those of scipy and torch, on a tiny network.

use serde_json::Value;
use voxplain_attribution::{Case, Explainer};
use voxplain_nn::{BatchNorm, Conv3d, Engine, EngineOptions, Linear, Network, Op, Pool3d, Tensor};
use voxplain_study::evaluation::faithfulness::{Metric, Settings, Substrate, curves};
use voxplain_volume::{Affine, Grid, Mask, Volume};

const SHAPE: [usize; 3] = [4, 5, 4];

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn volume(values: &Value) -> Volume {
    Volume::new(Grid::new(SHAPE, Affine::IDENTITY).unwrap(), numbers(values)).unwrap()
}

/// The network of the generator.
fn network(state: &Value) -> Network {
    let [i, j, k] = SHAPE;
    let mut net = Network::new([1, i, j, k]);
    net.then("0", Conv3d::new(1, 3, [3; 3]).with_padding([1; 3])).unwrap();
    net.then("1", BatchNorm::new(3)).unwrap();
    net.then("2", Op::Relu).unwrap();
    net.then("3", Conv3d::new(3, 4, [2; 3])).unwrap();
    net.then("4", Op::Relu).unwrap();
    net.then("5", Op::AvgPool3d(Pool3d::new([1, 2, 1]))).unwrap();
    net.then("6", Op::Flatten).unwrap();
    net.then("7", Linear::new(72, 2)).unwrap();
    let state = state.as_object().unwrap().iter().map(|(name, tensor)| {
        let shape: Vec<usize> =
            tensor["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        (name.clone(), Tensor::new(shape, numbers(&tensor["values"])))
    });
    net.load_state(state.collect()).unwrap();
    net
}

/// Made by `fixtures/faithfulness.py` from the definition, with scipy's blur and a direct solution of Laplace's equation.
#[test]
fn deletion_and_insertion_are_those_of_scipy() {
    let of: Value = serde_json::from_str(include_str!("fixtures/chain.json")).unwrap();
    let curves_there: Value = serde_json::from_str(include_str!("fixtures/faithfulness.json")).unwrap();
    let target = of["target"].as_u64().unwrap() as usize;
    let image = volume(&of["input"]);
    let brain = Mask::new(*image.grid(), (0..image.data().len()).map(|n| (n * 7 + 3) % 5 != 0).collect()).unwrap();
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let classes = ["0".to_owned(), "1".to_owned()];
    let mut explainer = Explainer::new(&engine, &network(&of["state"]), &classes, "test".into()).unwrap();
    let case = Case { mask: Some(&brain), ..Case::new("a", &image) };
    let number = |name: &str| curves_there[name].as_f64().unwrap();
    let settings = Settings {
        steps: number("steps") as usize,
        block: number("block"),
        blur: number("blur"),
        ..Settings::default()
    };
    for (method, expected) in curves_there["maps"].as_object().unwrap() {
        let map = volume(&of["maps"][method]);
        let metrics = [Metric::Deletion, Metric::Insertion];
        let (blocks, traces) = curves(&mut explainer, &case, (&map, target), &metrics, &settings).unwrap();
        assert_eq!((blocks.size, traces.len()), ([2; 3], 4));
        for trace in traces {
            let expected = &expected[trace.substrate.word()][trace.metric.word()];
            // A harmonic filling is within a thousandth of the range of values, which is 2 here; weights are below 1/2.
            let tolerance = if trace.substrate == Substrate::Blur { 2e-6 } else { 5e-4 };
            for (step, (a, b)) in trace.curve.iter().zip(expected["curve"].as_array().unwrap()).enumerate() {
                let b = b.as_f64().unwrap();
                assert!((a - b).abs() < tolerance, "{method} {:?} {:?} {step}: {a} {b}", trace.metric, trace.substrate);
            }
            assert!((trace.auc() - expected["auc"].as_f64().unwrap()).abs() < tolerance);
        }
    }
}
