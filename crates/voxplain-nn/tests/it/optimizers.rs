//! Optimisers take the steps that PyTorch takes (`fixtures/generate.py`).

use voxplain_nn::{Conv3d, Network, Op, Optimizer, OptimizerKind};

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
