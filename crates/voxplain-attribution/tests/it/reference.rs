//! Maps beside those of Captum and of the code published in 2020, on real volumes and the published checkpoints.

use crate::support::{mrinet, witness};
use std::sync::LazyLock;
use voxplain_attribution::{Attribution, Case, Compat, Explainer, Target, choose};
use voxplain_nn::{Engine, EngineOptions, import::pytorch};
use voxplain_volume::{Affine, Grid, Volume, npy};

const SHAPE: [usize; 3] = [58, 70, 58];

/// The published network with logits, ready to explain; nothing where the test data is missing.
fn explainer() -> Option<Explainer> {
    let checkpoint = witness("reference/best_model_all_grad")?;
    let mut network = mrinet(SHAPE, 32, 2);
    let state = pytorch::read(&checkpoint).unwrap();
    let state = state.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect();
    network.load_state(state).unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let classes = ["female".to_owned(), "male".to_owned()];
    Some(Explainer::new(&engine, &network, &classes, "test".into()).unwrap())
}

fn array(name: &str) -> Vec<f32> {
    npy::read(witness(&format!("reference/arrays/{name}.npy")).unwrap()).unwrap().data
}

fn grid() -> Grid {
    Grid::new(SHAPE, Affine::from_spacing_origin([3.0; 3], [-84.0, -123.0, -72.0])).unwrap()
}

/// The first volumes of the test cohort, in the range that the checkpoints were trained on.
static VOLUMES: LazyLock<Vec<Volume>> = LazyLock::new(|| {
    let values = array("inputs");
    values.chunks(grid().len()).map(|v| Volume::new(grid(), v.to_vec()).unwrap()).collect()
});

fn explain(
    method: &str,
    settings: &[&str],
    class: usize,
    compat: Option<Compat>,
    n: usize,
) -> Option<Vec<Attribution>> {
    let mut explainer = explainer()?;
    let method = choose(&[method], settings, compat).unwrap().remove(0);
    let cases: Vec<_> = VOLUMES[..n]
        .iter()
        .map(|volume| Case { target: Some(Target::Class(class)), ..Case::new("ixi", volume) })
        .collect();
    Some(method.explain(&mut explainer, &cases).unwrap())
}

/// Pearson correlation and relative L2 distance.
fn agreement(ours: &[f32], theirs: &[f32]) -> (f64, f64) {
    assert_eq!(ours.len(), theirs.len());
    let (n, f) = (ours.len() as f64, |v: f32| f64::from(v));
    let mean = |x: &[f32]| x.iter().map(|&v| f(v)).sum::<f64>() / n;
    let (a, b) = (mean(ours), mean(theirs));
    let sum = |g: &dyn Fn(f64, f64) -> f64| ours.iter().zip(theirs).map(|(&x, &y)| g(f(x), f(y))).sum::<f64>();
    let covariance = sum(&|x, y| (x - a) * (y - b));
    let correlation = covariance / (sum(&|x, _| (x - a).powi(2)) * sum(&|_, y| (y - b).powi(2))).sqrt();
    let distance = (sum(&|x, y| (x - y).powi(2)) / sum(&|_, y| y * y)).sqrt();
    (correlation, distance)
}

fn compare(what: &str, ours: &[Vec<f32>], theirs: &[f32], correlation: f64, distance: f64) {
    for (n, (ours, theirs)) in ours.iter().zip(theirs.chunks(ours[0].len())).enumerate() {
        let (r, d) = agreement(ours, theirs);
        println!("{what} {n}: r {r:.6}, relative L2 {d:.2e}");
        assert!(r > correlation && d < distance, "{what} {n}: r {r}, relative L2 {d}");
    }
}

fn maps(all: &[Attribution]) -> Vec<Vec<f32>> {
    all.iter().map(|a| a.map.data().to_vec()).collect()
}

fn native(all: &[Attribution]) -> Vec<Vec<f32>> {
    all.iter().map(|a| a.native_resolution.as_ref().unwrap().data().to_vec()).collect()
}

#[test]
fn gradients_are_those_of_captum() {
    for (method, file, rules) in [
        ("saliency", "saliency_signed", None),
        ("input-x-gradient", "input_x_gradient", None),
        ("guided-backprop", "guided_backprop", Some([3, 3])),
        ("deconvnet", "deconvnet", Some([3, 3])),
    ] {
        let Some(all) = explain(method, &[], 1, None, 3) else { return };
        compare(method, &maps(&all), &array(file), 0.999, 2e-2);
        let logits = array("grad_logits");
        for (n, attribution) in all.iter().enumerate() {
            assert_eq!(attribution.record.rules_applied, rules);
            assert!((attribution.record.score - f64::from(logits[2 * n + 1])).abs() < 1e-4);
        }
    }
}

#[test]
fn integrated_gradients_are_those_of_captum() {
    let Some(all) = explain("integrated-gradients", &[], 1, None, 3) else { return };
    compare("integrated-gradients", &maps(&all), &array("integrated_gradients_64_zero"), 0.999, 2e-2);
    let deltas = array("integrated_gradients_64_zero_delta");
    for (n, attribution) in all.iter().enumerate() {
        let measured = &attribution.record.measured;
        println!("{measured} captum: {}", deltas[n]);
        // The same quadrature has the same error, within the noise of sums of 235 480 float32 products.
        let residual = measured["Residual"].as_f64().unwrap();
        let size = measured["Expected"].as_f64().unwrap().abs();
        assert!((residual - f64::from(deltas[n])).abs() < 2e-2 * size.max(1.0), "{residual} {}", deltas[n]);
    }
}

#[test]
fn deeplift_is_that_of_captum_and_complete() {
    let Some(all) = explain("deeplift", &[], 1, None, 3) else { return };
    compare("deeplift", &maps(&all), &array("deeplift_zero"), 0.999, 2e-2);
    let deltas = array("deeplift_zero_delta");
    for (n, attribution) in all.iter().enumerate() {
        let measured = &attribution.record.measured;
        println!("{measured} captum: {}", deltas[n]);
        assert!(measured["RelativeResidual"].as_f64().unwrap().abs() < 1e-4, "{measured}");
        // Three ReLUs and three max-pools.
        assert_eq!(attribution.record.rules_applied, Some([6, 6]));
    }
}

#[test]
fn lrp_is_that_of_zennit() {
    for (composite, file) in [("epsilon-plus-flat", "lrp_epsilon_plus_flat"), ("epsilon-plus", "lrp_epsilon_plus")] {
        let setting = format!("lrp.composite={composite}");
        let Some(all) = explain("lrp", &[setting.as_str()], 1, None, 3) else { return };
        // Zennit's walk starts from 1 at the class, ours from its logit.
        let from_one: Vec<Vec<f32>> = all
            .iter()
            .map(|a| a.map.data().iter().map(|&v| (f64::from(v) / a.record.score) as f32).collect())
            .collect();
        compare(composite, &from_one, &array(file), 0.999, 2e-2);
        for attribution in &all {
            println!("{}", attribution.record.measured);
            assert_eq!(attribution.record.rules_applied, Some([4, 4]));
            assert_eq!(attribution.record.measured["NormsFolded"], serde_json::json!([3, 3]));
        }
    }
}

#[test]
fn class_activation_maps_are_those_of_captum() {
    for class in [0, 1] {
        let Some(all) = explain("grad-cam", &[], class, None, 3) else { return };
        compare("grad-cam", &native(&all), &array(&format!("gradcam_native_class{class}")), 0.999, 1e-3);
        assert!(all.iter().all(|a| a.record.warnings.iter().any(|w| w.contains("flattens"))));
        let all = explain("hires-cam", &[], class, None, 3).unwrap();
        compare("hires-cam", &native(&all), &array(&format!("hirescam_native_class{class}")), 0.999, 1e-3);
        for attribution in &all {
            let measured = &attribution.record.measured;
            let residual = measured["Residual"].as_f64().unwrap();
            let score = measured["ScoreMinusBias"].as_f64().unwrap();
            assert!(residual.abs() < 1e-4 * score.abs().max(1.0), "{measured}");
            // Cells lie 4 voxels apart, the first 8.5 voxels in.
            let affine = attribution.native_resolution.as_ref().unwrap().grid().affine;
            assert_eq!(affine, Affine::from_spacing_origin([12.0; 3], [-58.5, -97.5, -46.5]));
        }
    }
}

#[test]
fn grad_cam_of_2020() {
    let Some(all) = explain("grad-cam", &[], 1, Some(Compat::Y2020), 3) else { return };
    compare("grad-cam 2020", &maps(&all), &array("gradcam_relu_upsampled_naive_class1"), 0.999, 1e-3);
}

#[test]
fn guided_backprop_of_2020() {
    let Some(all) = explain("guided-backprop", &[], 1, Some(Compat::Y2020), 3) else { return };
    let mut theirs = array("guided_backprop");
    for map in theirs.chunks_mut(grid().len()) {
        let most = map.iter().copied().fold(0.0, f32::max);
        map.iter_mut().for_each(|v| *v = (*v / most).max(0.0));
    }
    compare("guided-backprop 2020", &maps(&all), &theirs, 0.999, 2e-2);
}

/// The published network with log-softmax, whose convolution `hidden1.0` is what `features.0` is in the other checkpoint.
fn explainer_2020() -> Option<Explainer> {
    let checkpoint = witness("reference/best_model_all")?;
    let name = |name: &str| {
        let Some(rest) = name.strip_prefix("hidden") else { return name.replace("linear", "classifier.3") };
        let (block, rest) = rest.split_once('.').unwrap();
        let (part, rest) = rest.split_once('.').unwrap();
        let position = 4 * (block.parse::<usize>().unwrap() - 1) + part.parse::<usize>().unwrap();
        format!("features.{position}.{rest}")
    };
    let state = pytorch::read(&checkpoint).unwrap().into_iter().filter(|(n, _)| !n.ends_with("num_batches_tracked"));
    let mut network = mrinet(SHAPE, 32, 2);
    network.load_state(state.map(|(n, tensor)| (name(&n), tensor)).collect()).unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let classes = ["female".to_owned(), "male".to_owned()];
    Some(Explainer::new(&engine, &network, &classes, "test".into()).unwrap())
}

/// Captum's window of 10 voxels in steps of 6 fits the volume exactly, so that its lattice from voxel 0 is our centred one. It covers
/// every window, those outside the brain too, where covering 0 by 0 changes nothing.
#[test]
fn occlusion_is_captums() {
    let settings = ["occlusion.window=30mm", "occlusion.stride=18mm", "occlusion.baseline=zero"];
    let Some(map) = explain("occlusion", &settings, 1, None, 1) else { return };
    let m = &map[0].record.measured;
    assert_eq!(m["WindowVoxels"], serde_json::json!([10, 10, 10]));
    let count = |key: &str| m[key].as_u64().unwrap();
    assert_eq!(count("Boxes") + count("BoxesOutsideTheBrain") + count("BoxesThatChangeNothing"), 9 * 11 * 9);
    assert_eq!(map[0].record.passes.forward as u64, 1 + count("Boxes"));
    compare("occlusion", &maps(&map), &array("occlusion_w10_s6_zero"), 0.9999, 1e-3);
}

fn meaningful_perturbation_of_2020(settings: &[&str], n: usize) -> Option<Attribution> {
    let mut explainer = explainer_2020()?;
    let settings: Vec<_> = settings.iter().map(|s| format!("meaningful-perturbation.{s}")).collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let method = choose(&["meaningful-perturbation"], &settings, Some(Compat::Y2020)).unwrap().remove(0);
    let began = std::time::Instant::now();
    let map = method.explain(&mut explainer, &[Case::new("ixi", &VOLUMES[n])]).unwrap().remove(0);
    println!("{:.1} s: {}", began.elapsed().as_secs_f64(), map.record.measured);
    let predicted = array("meaningful_perturbation_pred")[n];
    assert_eq!(map.record.class as f32, predicted);
    Some(map)
}

/// Of the first volume the 2020 search finds nothing (its mask ends at 3e-6 everywhere), which correlation cannot judge; it is
/// compared on the second.
#[test]
fn meaningful_perturbation_of_2020_without_jitter() {
    let Some(map) = meaningful_perturbation_of_2020(&["iterations=100", "copies=1", "jitter=0"], 1) else { return };
    let theirs = array("meaningful_perturbation_indl2020_100it_rep1_nojitter");
    compare("meaningful-perturbation 2020", &maps(&[map]), &theirs[grid().len()..], 0.98, 0.2);
}

#[test]
#[ignore = "a minute; `cargo test -- --ignored`"]
fn meaningful_perturbation_of_2020_with_its_random_numbers() {
    let Some(map) = meaningful_perturbation_of_2020(&["iterations=60"], 0) else { return };
    let theirs = array("meaningful_perturbation_indl2020_60it_rep10_seed0");
    compare("meaningful-perturbation 2020, seed 0", &maps(&[map]), &theirs, 0.98, 0.2);
}
