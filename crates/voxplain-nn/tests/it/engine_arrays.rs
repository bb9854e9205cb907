//! The fast engine against what PyTorch and Captum gave for the published checkpoints: outputs, maps, class activation
//! maps, and three steps of training.

use crate::support::{
    checkpoint::{grad_net, log_net},
    npy,
    witness::witness,
};
use voxplain_nn::{
    AdamOptions, CrossEntropy, Engine, EngineOptions, NodeId, Optimizer, OptimizerKind, PlanOptions, Purpose, Rules,
};

const VOXELS: usize = 58 * 70 * 58;

fn array(name: &str) -> Option<Vec<f64>> {
    Some(npy::read(&witness(&format!("reference/arrays/{name}.npy"))?).1)
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn engine() -> Engine {
    Engine::new(EngineOptions { threads: Some(2), instruction_set: None }).unwrap()
}

fn options(purpose: Purpose, batch: usize, keep: Vec<NodeId>) -> PlanOptions {
    PlanOptions { purpose, batch, keep }
}

/// Relative L2 distance and correlation.
fn agreement(ours: &[f32], theirs: &[f64]) -> (f64, f64) {
    assert_eq!(ours.len(), theirs.len());
    let n = ours.len() as f64;
    let (mut a, mut b) = (0.0, 0.0);
    for (x, y) in ours.iter().zip(theirs) {
        a += f64::from(*x) / n;
        b += y / n;
    }
    let (mut off, mut size, mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y) in ours.iter().map(|x| f64::from(*x)).zip(theirs) {
        off += (x - y).powi(2);
        size += y * y;
        xy += (x - a) * (y - b);
        xx += (x - a).powi(2);
        yy += (y - b).powi(2);
    }
    ((off / size).sqrt(), xy / (xx * yy).sqrt())
}

fn largest_difference(ours: &[f32], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max)
}

#[test]
fn outputs_of_both_checkpoints_agree() {
    for (net, expected) in [(grad_net(), "grad_logits"), (log_net(), "logprob_outputs")] {
        let (Some(net), Some(expected), Some(x)) = (net, array(expected), array("inputs")) else { return };
        for purpose in [Purpose::Infer, Purpose::InputGradient] {
            let mut plan = engine().plan(&net, &options(purpose, 3, vec![])).unwrap();
            let tape = plan.forward(&narrow(&x)).unwrap();
            let off = largest_difference(tape.output(), &expected);
            println!("{purpose:?}: largest difference of outputs {off:.2e}");
            assert!(off < 1e-4);
        }
    }
}

#[test]
fn maps_agree() {
    let (Some(net), Some(x)) = (grad_net(), array("inputs")) else { return };
    let last_relu = net.node("features.10").unwrap();
    // Fused throughout, and with the last ReLU kept for class activation maps.
    for keep in [vec![], vec![last_relu]] {
        let mut plan = engine().plan(&net, &options(Purpose::InputGradient, 3, keep.clone())).unwrap();
        let mut tape = plan.forward(&narrow(&x)).unwrap();
        let seed = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        for (name, rules) in [
            ("saliency_signed", Rules::GRADIENT),
            ("guided_backprop", Rules::GUIDED),
            ("deconvnet", Rules::DECONVOLUTION),
        ] {
            let back = tape.backward(&seed, &rules).unwrap();
            assert_eq!(back.applied.relu_total, 3);
            assert_eq!(back.applied.relu, if rules == Rules::GRADIENT { 0 } else { 3 });
            let expected = array(name).unwrap();
            for sample in 0..3 {
                let of_sample = sample * VOXELS..(sample + 1) * VOXELS;
                let (off, correlation) = agreement(&back.input[of_sample.clone()], &expected[of_sample]);
                println!("{name} {sample}: relative L2 {off:.2e}, correlation {correlation:.9}");
                assert!(off < 2e-2 && correlation > 0.999, "{name} {sample}");
            }
        }
        for class in 0..2 {
            if keep.is_empty() {
                continue;
            }
            let seed: Vec<f32> = (0..6).map(|at| if at % 2 == class { 1.0 } else { 0.0 }).collect();
            tape.backward(&seed, &Rules::GRADIENT).unwrap();
            let (value, gradient) = (tape.value(last_relu).unwrap(), tape.gradient(last_relu).unwrap());
            assert_eq!(value.shape(), [3, 128, 11, 14, 11]);
            let voxels = 11 * 14 * 11;
            let (mut hires, mut grad_cam) = (vec![0.0; 3 * voxels], vec![0.0; 3 * voxels]);
            for (channel, (a, g)) in
                value.data().chunks_exact(voxels).zip(gradient.data().chunks_exact(voxels)).enumerate()
            {
                let weight = g.iter().sum::<f32>() / voxels as f32;
                for (at, (a, g)) in a.iter().zip(g).enumerate() {
                    hires[channel / 128 * voxels + at] += a * g;
                    grad_cam[channel / 128 * voxels + at] += a * weight;
                }
            }
            for (name, map) in [("hirescam", hires), ("gradcam", grad_cam)] {
                let expected = array(&format!("{name}_native_class{class}")).unwrap();
                let (off, correlation) = agreement(&map, &expected);
                println!("{name} of class {class}: relative L2 {off:.2e}, correlation {correlation:.9}");
                assert!(off < 1e-3);
            }
        }
    }
}

/// Three steps of Adam: batch statistics, dropout off, four volumes. The conv biases in front of a batch
/// normalisation have no gradient but round-off, which Adam turns into steps: they are left out.
#[test]
fn three_steps_of_training_agree() {
    let (Some(mut net), Some(losses), Some(cohort), Some(labels)) = (
        grad_net(),
        array("train_losses"),
        witness("data/cohort_ixi/tensors_mni3mm_u8.npy.gz"),
        witness("data/cohort_ixi/labels_male.npy"),
    ) else {
        return;
    };
    // The checkpoints were trained on intensities about five times those of the bytes.
    let x: Vec<f32> = npy::read_gz_u8(&cohort, 4 * VOXELS).into_iter().map(|x| f32::from(x) * 5.0).collect();
    let labels: Vec<usize> = npy::read(&labels).1[..4].iter().map(|&label| usize::from(label == 1.0)).collect();
    let adam = AdamOptions { weight_decay: 1e-5, ..AdamOptions::default() };
    let mut optimizer = Optimizer::new(OptimizerKind::Adam(adam));
    let mut plan = engine().plan(&net, &options(Purpose::Train, 4, vec![])).unwrap();
    let without_gradient = ["features.0.bias", "features.4.bias", "features.8.bias"];
    for (step, loss) in losses.iter().enumerate() {
        plan.update_weights(&net).unwrap();
        let mut tape = plan.forward(&x).unwrap();
        let mut seed = vec![0.0; 8];
        let found = CrossEntropy::default().evaluate(tape.output(), &labels, &mut seed).unwrap();
        println!("step {step}: loss {found:.7}, expected {loss:.7}");
        assert!((found - loss).abs() < 1e-4 * loss.abs().max(1.0));
        tape.backward(&seed, &Rules::GRADIENT).unwrap();
        let gradients = tape.weight_gradients().unwrap();
        for (parameter, gradient) in net.parameters().iter().zip(gradients) {
            if step > 0 || without_gradient.contains(&parameter.name.as_str()) {
                continue;
            }
            let (off, _) = agreement(gradient, &array(&format!("train_grad0_{}", parameter.name)).unwrap());
            println!("gradient of {}: relative L2 {off:.2e}", parameter.name);
            assert!(off < 1e-3, "{}", parameter.name);
        }
        optimizer.step(&mut net, gradients, 3e-4).unwrap();
        plan.update_running_statistics(&mut net).unwrap();
    }
    for parameter in net.state() {
        if without_gradient.contains(&parameter.name.as_str()) {
            continue;
        }
        let (off, _) = agreement(parameter.tensor.data(), &array(&format!("train_after3_{}", parameter.name)).unwrap());
        println!("{} after three steps: relative L2 {off:.2e}", parameter.name);
        assert!(off < 1e-3, "{}", parameter.name);
    }
    let mut plan = engine().plan(&net, &options(Purpose::Infer, 4, vec![])).unwrap();
    let off = largest_difference(plan.forward(&x).unwrap().output(), &array("train_after3_eval_logits").unwrap());
    println!("outputs after three steps: largest difference {off:.2e}");
    assert!(off < 5e-3);
}
