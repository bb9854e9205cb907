//! The reference implementation against what PyTorch and Captum gave for the published checkpoints.

use crate::support::{
    checkpoint::{grad_net, log_net},
    npy,
    witness::witness,
};
use voxplain_nn::reference::{Mode, Tape, forward};
use voxplain_nn::{CrossEntropy, Network, Rules};

fn array(name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
    Some(npy::read(&witness(&format!("reference/arrays/{name}.npy"))?))
}

/// Relative L2 distance and correlation.
fn agreement(ours: &[f64], theirs: &[f64]) -> (f64, f64) {
    assert_eq!(ours.len(), theirs.len());
    let n = ours.len() as f64;
    let (a, b) = (ours.iter().sum::<f64>() / n, theirs.iter().sum::<f64>() / n);
    let sum = |term: &dyn Fn(f64, f64) -> f64| ours.iter().zip(theirs).map(|(&x, &y)| term(x, y)).sum::<f64>();
    let distance = (sum(&|x, y| (x - y).powi(2)) / sum(&|_, y| y * y)).sqrt();
    let covariance = sum(&|x, y| (x - a) * (y - b));
    let variances = sum(&|x, _| (x - a).powi(2)) * sum(&|_, y| (y - b).powi(2));
    (distance, covariance / variances.sqrt())
}

fn largest_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// The first volume, walked back from class 1.
fn first_volume(net: &Network) -> Option<Tape<'_>> {
    let (shape, inputs) = array("inputs")?;
    assert_eq!(shape, [3, 1, 58, 70, 58]);
    Some(forward(net, &inputs[..58 * 70 * 58], Mode::Evaluate).unwrap())
}

#[test]
fn maps_of_the_first_volume_agree() {
    let Some(net) = grad_net() else { return };
    let Some(tape) = first_volume(&net) else { return };
    let (_, logits) = array("grad_logits").unwrap();
    let difference = largest_difference(tape.output(), &logits[..2]);
    println!("logits: largest difference {difference:.2e}");
    assert!(difference < 1e-4);

    let features = net.node("features.10").unwrap();
    for (name, rules) in
        [("saliency_signed", Rules::GRADIENT), ("guided_backprop", Rules::GUIDED), ("deconvnet", Rules::DECONVOLUTION)]
    {
        let back = tape.backward(&[0.0, 1.0], &rules).unwrap();
        let (_, map) = array(name).unwrap();
        let (distance, correlation) = agreement(back.input(), &map[..back.input().len()]);
        println!("{name}: relative L2 {distance:.2e}, correlation {correlation:.9}");
        assert!(distance < 2e-2 && correlation > 0.999, "{name}");
        if rules == Rules::GRADIENT {
            // HiRes-CAM: the sum over channels of value times gradient at the last ReLU.
            let (_, native) = array("hirescam_native_class1").unwrap();
            let voxels = 11 * 14 * 11;
            let mut cam = vec![0.0; voxels];
            for (at, (a, g)) in tape.value(features).unwrap().iter().zip(back.at(features).unwrap()).enumerate() {
                cam[at % voxels] += a * g;
            }
            let (distance, correlation) = agreement(&cam, &native[..voxels]);
            println!("hires-cam: relative L2 {distance:.2e}, correlation {correlation:.9}");
            assert!(distance < 1e-3);
        }
    }
}

#[test]
fn log_probabilities_of_the_other_checkpoint_agree() {
    let Some(net) = log_net() else { return };
    let Some(tape) = first_volume(&net) else { return };
    let (_, expected) = array("logprob_outputs").unwrap();
    let difference = largest_difference(tape.output(), &expected[..2]);
    println!("log-probabilities: largest difference {difference:.2e}");
    assert!(difference < 1e-4);
    let logits = net.without_log_softmax();
    assert_eq!(logits.nodes().len(), net.nodes().len() - 1);
}

/// Loss and gradients of the first training step: batch statistics, dropout off, four volumes.
///
/// The conv biases in front of a batch normalisation have no gradient but for round-off.
#[test]
fn gradients_of_the_first_training_step_agree() {
    let Some(net) = grad_net() else { return };
    let (Some(cohort), Some(labels)) =
        (witness("data/cohort_ixi/tensors_mni3mm_u8.npy.gz"), witness("data/cohort_ixi/labels_male.npy"))
    else {
        return;
    };
    // The checkpoints were trained on intensities about five times those of the bytes.
    let volumes: Vec<f32> =
        npy::read_gz_u8(&cohort, 4 * 58 * 70 * 58).into_iter().map(|x| f32::from(x) * 5.0).collect();
    let labels: Vec<usize> = npy::read(&labels).1[..4].iter().map(|&label| usize::from(label == 1.0)).collect();

    let tape = forward(&net, &volumes, Mode::Train { seed: 0, step: 0 }).unwrap();
    let outputs: Vec<f32> = tape.output().iter().map(|&y| y as f32).collect();
    let mut seed = vec![0.0; outputs.len()];
    let loss = CrossEntropy::of(&net).evaluate(&outputs, &labels, &mut seed).unwrap();
    let (_, losses) = array("train_losses").unwrap();
    println!("loss: {loss} {}", losses[0]);
    assert!((loss - losses[0]).abs() < 1e-5 * losses[0].abs());

    let back = tape.backward(&seed, &Rules::GRADIENT).unwrap();
    let scale: f64 = back.parameters.iter().flatten().map(|g| g.abs()).fold(0.0, f64::max);
    let mut compared = 0;
    for (parameter, gradient) in net.parameters().iter().zip(&back.parameters) {
        if ["features.0.bias", "features.4.bias", "features.8.bias"].contains(&parameter.name.as_str()) {
            assert!(gradient.iter().all(|g| g.abs() < 1e-9 * scale), "{}", parameter.name);
            continue;
        }
        let (shape, expected) = array(&format!("train_grad0_{}", parameter.name)).unwrap();
        assert_eq!(shape, parameter.tensor.shape());
        let (distance, _) = agreement(gradient, &expected);
        println!("{}: relative L2 {distance:.2e}", parameter.name);
        assert!(distance < 1e-3, "{}", parameter.name);
        compared += 1;
    }
    assert_eq!(compared, 11);
}
