//! Maps beside those of Captum and Zennit on two tiny networks (`fixtures/generate.py`): rules, baselines other
//! than zero, branches, and layers of the input's own size.

use crate::support::engine;
use serde_json::Value;
use voxplain_attribution::{Case, Explainer, Target, TrainingSubjects, choose};
use voxplain_nn::relevance::{Composite, Layerwise, Rule};
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d, Tensor};
use voxplain_volume::{Affine, Grid, Volume};

const SHAPE: [usize; 3] = [4, 5, 4];

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/attribution.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn volume(values: &Value) -> Volume {
    Volume::new(Grid::new(SHAPE, Affine::IDENTITY).unwrap(), numbers(values)).unwrap()
}

/// The networks of the generator, by the names they have there.
fn network(name: &str, of: &Value) -> Network {
    let [i, j, k] = SHAPE;
    let mut net = Network::new([1, i, j, k]);
    let padded = |input, output, n: usize| Conv3d::new(input, output, [n; 3]).with_padding([n / 2; 3]);
    if name == "residual" {
        net.then("stem", padded(1, 3, 3)).unwrap();
        net.then("norm", BatchNorm::new(3)).unwrap();
        let trunk = net.then("relu0", Op::Relu).unwrap();
        net.then("conv1", padded(3, 3, 3)).unwrap();
        net.then("relu1", Op::Relu).unwrap();
        net.then("conv2", padded(3, 3, 1)).unwrap();
        let branch = net.then("elu", Op::Elu).unwrap();
        net.add("sum", Op::Add, &[trunk, branch]).unwrap();
        net.then("pool", Op::MaxPool3d(Pool3d::new([2, 1, 2]).with_stride([2; 3]))).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        net.then("linear", Linear::new(36, 3)).unwrap();
    } else {
        net.then("0", padded(1, 3, 3)).unwrap();
        net.then("1", BatchNorm::new(3)).unwrap();
        net.then("2", Op::Relu).unwrap();
        net.then("3", Conv3d::new(3, 4, [2; 3])).unwrap();
        net.then("4", Op::Relu).unwrap();
        net.then("5", Op::AvgPool3d(Pool3d::new([1, 2, 1]))).unwrap();
        net.then("6", Op::Flatten).unwrap();
        net.then("7", Linear::new(72, 2)).unwrap();
    }
    let state = of["state"].as_object().unwrap().iter().map(|(name, tensor)| {
        let shape: Vec<usize> =
            tensor["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        (name.clone(), Tensor::new(shape, numbers(&tensor["values"])))
    });
    net.load_state(state.collect()).unwrap();
    net
}

/// Relative L2 distance below that of six digits and single precision.
fn same(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let square = |v: f32| f64::from(v).powi(2);
    let off: f64 = ours.iter().zip(theirs).map(|(&a, &b)| square(a - b)).sum();
    let size: f64 = theirs.iter().map(|&b| square(b)).sum();
    assert!(off.sqrt() < 5e-5 * size.sqrt(), "{what}: relative L2 {:.2e}", (off / size).sqrt());
}

#[test]
fn methods_are_those_of_captum() {
    let fixture = fixture();
    let (image, baseline) = (volume(&fixture["input"]), volume(&fixture["baseline"]));
    for name in ["residual", "chain"] {
        let of = &fixture["networks"][name];
        let target = of["target"].as_u64().unwrap() as usize;
        let layer = of["layer"].as_str().unwrap();
        let net = network(name, of);
        let classes: Vec<String> = (0..net.outputs()).map(|c| c.to_string()).collect();
        // The baseline is the only person that the network was trained on.
        let subjects = TrainingSubjects::of_volumes([("baseline".into(), 0, [baseline.clone()])], classes.len());
        let mut explainer =
            Explainer::new(&engine(2), &net, &classes, "test".into()).unwrap().with_training_subjects(subjects);
        let case = Case { target: Some(Target::Class(target)), ..Case::new("a", &image) };
        for (method, settings) in [
            ("integrated-gradients", vec!["steps=16".to_owned(), "baseline=cohort-mean".into()]),
            ("deeplift", vec!["baseline=cohort-mean".into()]),
            ("guided-backprop", vec![]),
            ("guided-grad-cam", vec![format!("layer={layer}")]),
            ("grad-cam", vec![format!("layer={layer}")]),
            ("hires-cam", vec![format!("layer={layer}")]),
        ] {
            let settings: Vec<String> = settings.iter().map(|s| format!("{method}.{s}")).collect();
            let map = choose(&[method.to_owned()], &settings, None).unwrap()[0]
                .explain(&mut explainer, &[case])
                .unwrap()
                .remove(0);
            let logits: Vec<f32> = map.record.logits.iter().map(|&z| z as f32).collect();
            same("logits", &logits, &numbers(&of["logits"]));
            same(&format!("{name} {method}"), map.map.data(), &numbers(&of["maps"][method]));
        }
    }
}

#[test]
fn rules_of_relevance_are_those_of_zennit() {
    let fixture = fixture();
    let of = &fixture["networks"]["chain"];
    let [low, high] = ["low", "high"].map(|bound| fixture[bound].as_f64().unwrap());
    let mut layerwise = Layerwise::new(&engine(2), &network("chain", of)).unwrap();
    let input = numbers(&fixture["input"]);
    let target = of["target"].as_u64().unwrap() as usize;
    let mut start = numbers(&of["logits"]);
    start.iter_mut().enumerate().filter(|(class, _)| *class != target).for_each(|(_, z)| *z = 0.0);
    let all = |rule| Composite { first: None, convolution: rule, dense: Rule::EPSILON };
    let first = |rule| Composite { first: Some(rule), ..all(Rule::ZPlus) };
    for (name, composite) in [
        ("epsilon", all(Rule::Epsilon { epsilon: 0.25 })),
        ("gamma", all(Rule::Gamma { gamma: 0.25 })),
        ("z-plus", all(Rule::ZPlus)),
        ("alpha2-beta1", all(Rule::AlphaBeta { alpha: 2.0, beta: 1.0 })),
        ("flat", first(Rule::Flat)),
        ("w-square", first(Rule::WSquare)),
        ("z-box", first(Rule::ZBox { low, high })),
    ] {
        let relevance = layerwise.relevance(&input, &start, &composite).unwrap();
        same(name, &relevance.input, &numbers(&of["maps"][format!("lrp {name}")]));
    }
}
