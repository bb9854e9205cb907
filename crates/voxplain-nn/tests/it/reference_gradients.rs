//! The gradients of the reference implementation are the slopes of its values.

use crate::support::random_net::{random_net, wide_net};
use proptest::prelude::*;
use voxplain_core::random::Random;
use voxplain_nn::reference::{Mode, forward};
use voxplain_nn::{Network, Rules};

/// The output, weighed by the seed.
fn scalar(net: &Network, input: &[f64], mode: Mode, seed: &[f64]) -> f64 {
    forward(net, input, mode).unwrap().output().iter().zip(seed).map(|(y, seed)| y * seed).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gradients_are_slopes(number: u64, training: bool) {
        let mut random = Random::new(number);
        let net = wide_net(&mut random);
        let mode = if training { Mode::Train { seed: number, step: 3 } } else { Mode::Evaluate };
        let batch = 3;
        let count = batch * net.input_shape().iter().product::<usize>();
        let x: Vec<f64> = (0..count).map(|_| random.normal()).collect();
        let seed: Vec<f64> = (0..batch * net.outputs()).map(|_| random.normal()).collect();
        let back = forward(&net, &x, mode).unwrap().backward(&seed, &Rules::GRADIENT).unwrap();

        // Large enough for double precision, and small enough that a ReLU or a maximum hardly ever changes between
        // the two sides. Where one does, the slopes of the sides differ, and there is no gradient to compare with.
        let step = 2f64.powi(-22);
        let here = scalar(&net, &x, mode, &seed);
        let agrees = |above: f64, below: f64, terms: &[f64]| {
            let size = 1.0 + terms.iter().map(|term| term.abs()).sum::<f64>();
            let kink = ((above - here) - (here - below)).abs() / step > 1e-5 * size;
            let slope = (above - below) / (2.0 * step);
            kink || (slope - terms.iter().sum::<f64>()).abs() <= 1e-5 * size
        };

        // Along a random direction of the input.
        let direction: Vec<f64> = (0..count).map(|_| random.range(-1.0, 1.0)).collect();
        let moved = |sign: f64| {
            let x: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + sign * step * d).collect();
            scalar(&net, &x, mode, &seed)
        };
        let terms: Vec<f64> = back.input().iter().zip(&direction).map(|(g, d)| g * d).collect();
        prop_assert!(agrees(moved(1.0), moved(-1.0), &terms), "input");

        // Along a random direction of each parameter.
        let names: Vec<String> = net.parameters().into_iter().map(|parameter| parameter.name).collect();
        prop_assert_eq!(names.len(), back.parameters.len());
        for (index, gradient) in back.parameters.iter().enumerate() {
            let direction: Vec<f64> = gradient.iter().map(|_| if random.chance(0.5) { 1.0 } else { -1.0 }).collect();
            let moved = |sign: f64| {
                let mut net = net.clone();
                for (w, d) in net.parameters_mut()[index].data_mut().iter_mut().zip(&direction) {
                    let before = *w;
                    *w += (sign * step * d) as f32;
                    assert_eq!(f64::from(*w) - f64::from(before), sign * step * d, "the step is exact");
                }
                scalar(&net, &x, mode, &seed)
            };
            let terms: Vec<f64> = gradient.iter().zip(&direction).map(|(g, d)| g * d).collect();
            prop_assert!(agrees(moved(1.0), moved(-1.0), &terms), "{}", names[index]);
        }
    }

    /// Guided backpropagation never lets through what deconvolution holds back.
    #[test]
    fn rules_are_counted_and_leave_the_values_alone(number: u64) {
        let mut random = Random::new(number);
        let net = random_net(&mut random);
        let count = net.input_shape().iter().product::<usize>();
        let x: Vec<f64> = (0..count).map(|_| random.normal()).collect();
        let tape = forward(&net, &x, Mode::Evaluate).unwrap();
        let relus = net.nodes().iter().filter(|node| matches!(node.op, voxplain_nn::Op::Relu)).count();
        for (rules, expected) in [(Rules::GRADIENT, 0), (Rules::GUIDED, relus), (Rules::DECONVOLUTION, relus)] {
            let back = tape.backward(&vec![1.0; net.outputs()], &rules).unwrap();
            prop_assert_eq!(back.applied.relu, expected);
            prop_assert_eq!(back.applied.relu_total, relus);
            prop_assert_eq!(back.parameters.is_empty(), rules != Rules::GRADIENT);
        }
    }
}

#[test]
fn running_statistics_move_by_momentum() {
    use voxplain_nn::{BatchNorm, Op};
    let mut net = Network::new([1, 1, 1, 2]);
    let norm = net.then("norm", BatchNorm::new(1)).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    // Mean 4, biased variance 5, unbiased 20 / 3.
    let tape = forward(&net, &[1.0, 3.0, 5.0, 7.0], Mode::Train { seed: 0, step: 0 }).unwrap();
    let normal = 1.0 / (5.0f64 + f64::from(1e-5f32)).sqrt();
    assert!((tape.value(norm).unwrap()[0] + 3.0 * normal).abs() < 1e-12);
    let after = tape.with_running_statistics();
    let state = after.state();
    assert!((state[2].tensor.data()[0] - 0.4).abs() < 1e-6);
    assert!((state[3].tensor.data()[0] - (0.9 + 0.1 * 20.0 / 3.0)).abs() < 1e-6);
}
