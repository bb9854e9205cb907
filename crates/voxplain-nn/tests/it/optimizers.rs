//! Optimisers take the steps that PyTorch takes (`fixtures/generate.py`).

use voxplain_nn::{
    Conv3d, CrossEntropy, Network, Op, Optimizer, OptimizerKind, Schedule, SoftLabels, Tensor, WeightAverage,
};

fn floats(value: &serde_json::Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

#[test]
fn steps_are_those_of_pytorch() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../fixtures/optimizers.json")).unwrap();
    let gradients: Vec<Vec<f32>> = fixture["gradients"].as_array().unwrap().iter().map(floats).collect();
    let cases = fixture["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 6);
    for (name, case) in cases {
        let method: OptimizerKind = serde_json::from_value(case["method"].clone()).unwrap();
        let rate = case["rate"].as_f64().unwrap();
        let mut optimizer = Optimizer::new(method.clone());
        let mut weights = floats(&fixture["start"]);
        for (step, gradient) in gradients.iter().enumerate() {
            // In the middle it is stored and restored, which changes nothing.
            let json = serde_json::to_string(&optimizer.state()).unwrap();
            optimizer = Optimizer::restore(method.clone(), serde_json::from_str(&json).unwrap()).unwrap();
            optimizer.step_values(&mut weights, gradient, rate).unwrap();
            for (weight, expected) in weights.iter().zip(floats(&case["steps"][step])) {
                assert!(
                    (weight - expected).abs() <= 4e-7 * (1.0 + expected.abs()),
                    "{name} step {step}: {weight} {expected}"
                );
            }
        }
        assert_eq!(optimizer.steps(), 5);
    }
}

fn recipe() -> serde_json::Value {
    serde_json::from_str(include_str!("../fixtures/recipe.json")).unwrap()
}

/// Gradients whose norm is above 0.5 are scaled down, others are not; in one array and in a network.
#[test]
fn clipped_steps_are_those_of_pytorch() {
    let fixture = recipe();
    let max_norm = fixture["max_norm"].as_f64();
    for (name, case) in fixture["clipped"].as_object().unwrap() {
        let method: OptimizerKind = serde_json::from_value(case["method"].clone()).unwrap();
        let mut optimizer = Optimizer::new(method.clone()).with_max_norm(max_norm);
        let mut weights = floats(&fixture["start"]);
        for (step, gradient) in fixture["gradients"].as_array().unwrap().iter().enumerate() {
            optimizer.step_values(&mut weights, &floats(gradient), case["rate"].as_f64().unwrap()).unwrap();
            for (weight, expected) in weights.iter().zip(floats(&case["steps"][step])) {
                assert!(
                    (weight - expected).abs() <= 1e-6 * (1.0 + expected.abs()),
                    "{name} {step}: {weight} {expected}"
                );
            }
        }
    }
    // Of a network the norm is over all parameters: 3-4-5, so that a limit of 1 is a fifth.
    let mut net = Network::new([1, 1, 1, 1]);
    net.then("conv", Conv3d::new(1, 1, [1; 3])).unwrap();
    let before = [net.parameters()[0].tensor.data()[0], net.parameters()[1].tensor.data()[0]];
    let sgd = OptimizerKind::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let step = |optimizer: Optimizer| {
        let mut moved = net.clone();
        let mut optimizer = optimizer;
        optimizer.step(&mut moved, &[vec![3.0], vec![4.0]], 1.0).unwrap();
        [0, 1].map(|n| before[n] - moved.parameters()[n].tensor.data()[0])
    };
    let near = |found: [f32; 2], expected: [f32; 2]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(step(Optimizer::new(sgd.clone()).with_max_norm(Some(1.0))), [0.6, 0.8]));
    assert!(near(step(Optimizer::new(sgd.clone()).with_max_norm(Some(6.0))), [3.0, 4.0]));
    // What is frozen does not move and does not count.
    let frozen = Optimizer::new(sgd.clone()).with_max_norm(Some(1.0)).with_frozen(vec![true, false]);
    assert!(near(step(frozen), [0.0, 1.0]));
    let wrong = Optimizer::new(sgd).with_frozen(vec![true]).step(&mut net.clone(), &[vec![3.0], vec![4.0]], 1.0);
    assert!(wrong.unwrap_err().to_string().contains("there are 2"));
}

#[test]
fn warm_up_is_that_of_pytorch() {
    let schedule = Schedule::Warmup { epochs: 3, then: Box::new(Schedule::Cosine { epochs: 5, last: 0.0 }) };
    for (step, rate) in recipe()["rates"].as_array().unwrap().iter().enumerate() {
        assert!((schedule.rate(0.4, step as u64) - rate.as_f64().unwrap()).abs() < 1e-12, "{step}: {rate}");
    }
}

#[test]
fn averages_of_weights_are_those_of_pytorch() {
    let mut net = Network::new([1, 2, 2, 2]);
    net.then("conv", Conv3d::new(1, 1, [2; 3])).unwrap();
    let mut average = WeightAverage::new(0.7, net.clone());
    for (step, expected) in recipe()["average"].as_array().unwrap().iter().enumerate() {
        for (n, tensor) in net.parameters_mut().into_iter().enumerate() {
            *tensor = Tensor::new(tensor.shape().to_vec(), vec![(-1.5f32).powi(step as i32) + n as f32; tensor.len()]);
        }
        average.update(&net).unwrap();
        for (parameter, expected) in average.network().parameters().iter().zip(floats(expected)) {
            let found = parameter.tensor.data()[0];
            assert!((found - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{step}: {found} {expected}");
        }
    }
}

#[test]
fn smoothed_losses_are_those_of_pytorch() {
    let fixture = &recipe()["losses"];
    let labels: Vec<usize> = floats(&fixture["labels"]).iter().map(|l| *l as usize).collect();
    for case in fixture["cases"].as_array().unwrap() {
        let loss = CrossEntropy {
            weights: case["weighted"].as_bool().unwrap().then(|| floats(&fixture["weights"])),
            log_probabilities: case["logs"].as_bool().unwrap(),
            smoothing: case["smoothing"].as_f64().unwrap(),
        };
        let mut gradient = [0.0; 12];
        let value = loss.evaluate(&floats(&case["outputs"]), &labels, &mut gradient).unwrap();
        assert!((value - case["loss"].as_f64().unwrap()).abs() < 1e-6, "{case}: {value}");
        for (found, expected) in gradient.iter().zip(floats(&case["gradient"])) {
            assert!((found - expected).abs() < 1e-6, "{case}: {gradient:?}");
        }
    }
}

#[test]
fn soft_labels_are_those_of_scipy_and_pytorch() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../fixtures/soft_labels.json")).unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let numbers =
            |key: &str| -> Vec<f64> { case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
        let bins = usize::try_from(case["bins"].as_u64().unwrap()).unwrap();
        let labels = SoftLabels::new(number("first"), number("width"), bins).unwrap();
        let (values, logits) = (numbers("values"), floats(&case["logits"]));
        let masses: Vec<f64> = values.iter().flat_map(|&value| labels.masses(value)).collect();
        assert!(masses.iter().zip(numbers("masses")).all(|(a, b)| (a - b).abs() < 1e-13), "{masses:?}");
        let mut gradient = vec![0.0; logits.len()];
        let loss = labels.evaluate(&logits, &values, &mut gradient).unwrap();
        assert!((loss - number("loss")).abs() < 1e-6 * number("loss"), "{loss} {}", number("loss"));
        for (found, expected) in gradient.iter().zip(numbers("gradient")) {
            assert!((f64::from(*found) - expected).abs() < 1e-7, "{found} {expected}");
        }
        for (row, expected) in logits.chunks_exact(bins).zip(numbers("expectations")) {
            assert!((labels.expectation(row) - expected).abs() < 1e-5, "{expected}");
        }
    }
}

#[test]
fn a_network_takes_a_step_and_refuses_what_does_not_fit() {
    let mut net = Network::new([1, 2, 2, 2]);
    net.then("conv", Conv3d::new(1, 2, [2; 3])).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    net.initialize(1);
    let before: Vec<Vec<f32>> = net.parameters().iter().map(|parameter| parameter.tensor.data().to_vec()).collect();
    let gradients = [vec![1.0; 16], vec![-2.0; 2]];
    let mut optimizer = Optimizer::new(OptimizerKind::Sgd { momentum: 0.5, nesterov: false, weight_decay: 0.0 });
    optimizer.step(&mut net, &gradients, 0.25).unwrap();
    for (index, parameter) in net.parameters().iter().enumerate() {
        for (after, before) in parameter.tensor.data().iter().zip(&before[index]) {
            assert_eq!(*after, before - 0.25 * gradients[index][0]);
        }
    }
    assert!(optimizer.step(&mut net, &gradients[..1], 0.1).is_err());
    assert!(optimizer.step(&mut net, &[vec![0.0; 16], vec![0.0; 3]], 0.1).is_err());
    assert!(optimizer.step_values(&mut [0.0; 2], &[0.0; 2], 0.1).unwrap_err().to_string().contains("another network"));
    assert_eq!(optimizer.steps(), 1, "a refused step is no step");
}
