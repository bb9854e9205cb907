#![expect(clippy::cast_possible_truncation, reason = "weights and volumes are f32")]

use super::*;
use std::collections::BTreeMap;
use voxplain_nn::{Engine, EngineOptions, PlanOptions, Purpose, Tensor};

fn network(kind: NetworkKind, n: usize, width: usize) -> Network {
    kind.network([n, n + 2, n], width, 2).unwrap()
}

/// Numbers of trained values of the published code for one channel and two classes (tests/it/fixtures/zoo.py; MONAI 1.6.1).
#[test]
fn sizes_are_those_of_the_published_code() {
    let expected = BTreeMap::from([
        ("resnet10", 14_357_442),
        ("resnet18", 33_161_922),
        ("resnet50", 46_163_010),
        ("densenet121", 11_244_674),
        ("sfcn", 2_950_466),
        ("conv5-fc3", 6_351_572),
    ]);
    for kind in NetworkKind::ALL {
        let net = network(kind, 96, if kind == NetworkKind::Mrinet { 32 } else { kind.width() });
        let values: usize = net.parameters().iter().map(|p| p.tensor.data().len()).sum();
        // Kan et al. 2020: 27 and 32 + 64 + 128 channels; 10 x 12 x 10 cells are left of 96 x 98 x 96.
        let paper = 27 * (32 + 32 * 64 + 64 * 128) + 3 * (32 + 64 + 128) + 2 * 128 * 10 * 10 * 10 + 2;
        assert_eq!(values, expected.get(kind.name()).copied().unwrap_or(paper), "{}", kind.name());
    }
}

/// A tensor of a state dictionary by formula, of its name and its shape.
fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let per_output = shape[1..].iter().product::<usize>().max(1) as f64;
    let value = |n: usize| {
        let s = (0.1 * (n as f64).powf(1.5) + name.len() as f64).sin();
        match name.rsplit_once('.').unwrap().1 {
            "weight" if shape.len() > 1 => 2.0 * s / per_output.sqrt(),
            "running_var" => 1.0 + 0.5 * s * s,
            "weight" => 1.0 + 0.2 * s,
            _ => 0.1 * s,
        }
    };
    let data = (0..shape.iter().product()).map(|n| value(n) as f32).collect();
    Tensor::new(shape.to_vec(), data)
}

/// The same weights, by formula, in the published code (MONAI 1.6.1 and the SFCN, PyTorch 2.15, in double precision) give these
/// logits of a volume by formula (tests/it/fixtures/zoo.py): layers, their order and names, steps and shortcuts are the same.
#[test]
fn logits_are_those_of_the_published_code() {
    let expected = [
        (NetworkKind::Resnet10, 4, [-0.653432204, 0.0572187826]),
        (NetworkKind::Resnet18, 4, [-0.499728373, 0.305904583]),
        (NetworkKind::Resnet50, 4, [1.45696458, -1.68981795]),
        (NetworkKind::Densenet121, 4, [-0.214580453, 0.176086531]),
        (NetworkKind::Conv5Fc3, 4, [0.282985212, 0.231425294]),
        (NetworkKind::Sfcn, 4, [-1.50963167, 0.851308771]),
    ];
    let shape = [64, 70, 66];
    let volume: Vec<f32> =
        (0..shape.iter().product()).map(|n: usize| (0.01 * (n as f64).powf(1.2)).sin() as f32).collect();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    for (kind, width, logits) in expected {
        let mut net = kind.network(shape, width, 2).unwrap();
        let state: Vec<_> = net.state().iter().map(|p| (p.name.clone(), tensor(&p.name, p.tensor.shape()))).collect();
        net.load_state(state).unwrap();
        let options = PlanOptions { purpose: Purpose::Infer, batch: 1, keep: Vec::new() };
        let mut plan = engine.plan(&net, &options).unwrap();
        let found = plan.forward(&volume).unwrap().output().to_vec();
        for (found, expected) in found.iter().zip(logits) {
            assert!((f64::from(*found) - expected).abs() < 2e-5, "{}: {found} for {expected}", kind.name());
        }
    }
}

/// Too small a volume is refused with the network's name and a larger grid, and every shape that is taken ends in the classes.
#[test]
fn every_network_takes_or_refuses_a_grid() {
    for kind in NetworkKind::ALL {
        for n in [1, 8, 16, 21, 31, 32, 33, 48] {
            match kind.network([n; 3], 2, 3) {
                Ok(net) => assert_eq!(net.outputs(), 3, "{}", kind.name()),
                Err(e) => {
                    assert!(e.to_string().starts_with(kind.name()) && n < 32, "{} {n}: {e}", kind.name());
                    let hint = e.remedy().unwrap().to_string();
                    let least = hint.split_whitespace().find_map(|word| word.parse::<usize>().ok());
                    if kind == NetworkKind::Mrinet {
                        continue;
                    }
                    let least = least.unwrap();
                    assert!(n < least && kind.network([least; 3], 2, 3).is_ok(), "{} {hint}", kind.name());
                    assert!(kind.network([least, least, least - 1], 2, 3).is_err(), "{} {hint}", kind.name());
                }
            }
        }
        assert_eq!(NetworkKind::named(kind.name()).unwrap(), kind);
        assert!(kind.network([64; 3], 4, 0).is_err());
        assert!(kind.network([64; 3], 0, 2).is_err());
    }
    assert!(NetworkKind::Densenet121.network([64; 3], 3, 2).unwrap_err().to_string().contains("width 3"));
    assert!(NetworkKind::named("vgg").unwrap_err().remedy().is_some());
}

/// Weights are drawn by seed alone, with the deviations of the published code.
#[test]
fn weights_are_drawn_as_published() {
    for kind in NetworkKind::ALL {
        let mut net = kind.network([48; 3], 2, 2).unwrap();
        kind.initialize(&mut net, 3);
        let again = {
            let mut again = kind.network([48; 3], 2, 2).unwrap();
            kind.initialize(&mut again, 3);
            again
        };
        assert_eq!(net, again, "the seed decides");
        let spread = |name: &str| {
            let state = net.state();
            let tensor = state.iter().find(|p| p.name == name).unwrap().tensor.data();
            (tensor.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / tensor.len() as f64).sqrt()
        };
        let (name, deviation) = match kind {
            // Kaiming uniform with a = sqrt 5 has a deviation of 1 / sqrt(3 fan in).
            NetworkKind::Mrinet => ("classifier.3.weight", (1.0 / (3.0 * 512.0f64)).sqrt()),
            NetworkKind::Conv5Fc3 => ("fc.2.weight", (1.0 / (3.0 * 256.0f64)).sqrt()),
            NetworkKind::Sfcn => ("feature_extractor.conv_3.0.weight", (1.0 / (3.0 * 216.0f64)).sqrt()),
            NetworkKind::Resnet10 | NetworkKind::Resnet18 => ("layer3.0.conv2.weight", (2.0 / 216.0f64).sqrt()),
            NetworkKind::Resnet50 => ("layer4.0.conv2.weight", (2.0 / 432.0f64).sqrt()),
            NetworkKind::Densenet121 => ("features.conv0.weight", (2.0 / 343.0f64).sqrt()),
        };
        assert!((spread(name) / deviation - 1.0).abs() < 0.1, "{}: {name}", kind.name());
    }
}
