//! What holds for a method whatever the network: completeness, invariance, equivariance, and definitions written
//! out slowly.

use crate::support::*;
use serde_json::Value;
use voxplain_attribution::{Attribution, Case, METHODS, Objective, Score, Target, choose};
use voxplain_core::random::Seed;
use voxplain_nn::reference::{self, Mode};
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, NodeId, Op, PlanOptions, Pool3d, Purpose, Rules, Tensor};
use voxplain_volume::{Border, Mask, Volume, quantiles};

const CLASS: Target = Target::Class(1);

fn number(attribution: &Attribution, key: &str) -> f64 {
    attribution.record.measured[key].as_f64().unwrap_or_else(|| panic!("{key}: {}", attribution.record.measured))
}

fn sum(volume: &Volume) -> f64 {
    volume.data().iter().map(|&v| f64::from(v)).sum()
}

/// With three classes, a residual block and smooth activations beside ReLUs.
fn residual(classes: usize) -> Network {
    let [i, j, k] = SHAPE;
    let mut net = Network::new([1, i, j, k]);
    net.then("stem", Conv3d::new(1, 5, [3; 3]).with_padding([1; 3])).unwrap();
    net.then("norm0", BatchNorm::new(5)).unwrap();
    let trunk = net.then("relu0", Op::Relu).unwrap();
    net.then("conv1", Conv3d::new(5, 5, [3; 3]).with_padding([1; 3])).unwrap();
    net.then("tanh", Op::Tanh).unwrap();
    let branch = net.then("conv2", Conv3d::new(5, 5, [3, 1, 3]).with_padding([1, 0, 1])).unwrap();
    net.add("sum", Op::Add, &[trunk, branch]).unwrap();
    net.then("norm1", BatchNorm::new(5)).unwrap();
    net.then("relu1", Op::Relu).unwrap();
    net.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
    net.then("flat", Op::Flatten).unwrap();
    let features = net.outputs();
    net.then("linear", Linear::new(features, classes)).unwrap();
    net.initialize(17);
    net
}

/// Convolution, ReLU, global average, linear: where the class activation map exists.
fn averaging(padding: usize) -> Network {
    let [i, j, k] = SHAPE;
    let mut net = Network::new([1, i, j, k]);
    net.then("conv", Conv3d::new(1, 6, [3; 3]).with_padding([padding; 3])).unwrap();
    net.then("relu", Op::Relu).unwrap();
    net.then("average", Op::GlobalAvgPool).unwrap();
    net.then("drop", Op::Dropout { p: 0.5 }).unwrap();
    net.then("linear", Linear::new(6, 2)).unwrap();
    net.initialize(23);
    net
}

fn case(image: &Volume) -> Case<'_> {
    Case { target: Some(CLASS), ..Case::new("a", image) }
}

fn explain(net: &Network, method: &str, settings: &[&str], case: &Case<'_>) -> Attribution {
    all_of(&mut with_training_subjects(net, 2), method, settings, std::slice::from_ref(case)).remove(0)
}

#[test]
fn maps_that_share_out_a_difference_sum_to_it() {
    let image = volume(SHAPE, 3);
    for net in [residual(2), averaging(1)] {
        for baseline in ["zero", "blur", "cohort-mean", "opposite", "expected"] {
            for (method, tolerance) in [("integrated-gradients", 2e-2), ("deeplift", 1e-4)] {
                // ReLUs have kinks along the way, which 256 points resolve well enough.
                let settings = [format!("{method}.baseline={baseline}"), "integrated-gradients.steps=256".into()];
                let map = explain(&net, method, &settings.each_ref().map(String::as_str), &case(&image));
                let (residual, size) = (number(&map, "Residual"), number(&map, "Expected").abs());
                assert!(residual.abs() < tolerance * size.max(0.02), "{method} {baseline}: {}", map.record.measured);
                assert!((sum(&map.map) - number(&map, "Sum")).abs() < 1e-4 * size.max(1.0));
                let expected = map.record.score - number(&map, "ScoreOfBaseline");
                assert!((expected - number(&map, "Expected")).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn baselines_are_what_they_are_called() {
    // On a linear network the map is (x - b) * w, so the baseline can be read off it.
    let net = linear(|_| 2.0);
    let image = volume(SHAPE, 3);
    let trained_on = |n: usize| volume(SHAPE, 10 + n);
    let mean = |of: &[usize]| -> Vec<f32> {
        let all: Vec<Volume> = of.iter().map(|&n| trained_on(n)).collect();
        (0..image.data().len())
            .map(|v| (all.iter().map(|d| f64::from(d.data()[v])).sum::<f64>() / of.len() as f64) as f32)
            .collect()
    };
    let blurred = image.smooth(6.0, Border::Renormalize).into_data();
    // Class 1 is explained: the opposite is class 0, subjects 0, 2 and 4.
    let baselines = [
        ("zero", vec![0.0; image.data().len()]),
        ("blur", blurred),
        ("cohort-mean", mean(&[0, 1, 2, 3, 4, 5])),
        ("opposite", mean(&[0, 2, 4])),
        ("expected", mean(&[0, 1, 2, 3, 4, 5])),
    ];
    for method in ["integrated-gradients", "deeplift"] {
        for (name, baseline) in &baselines {
            let settings = [format!("{method}.baseline={name}"), format!("{method}.blur=6mm")];
            let map = explain(&net, method, &settings.each_ref().map(String::as_str), &case(&image));
            let by_hand: Vec<f32> = image.data().iter().zip(baseline).map(|(x, b)| 2.0 * (x - b)).collect();
            assert!(distance(map.map.data(), &by_hand) < 1e-5, "{method} {name}");
        }
        // A difference of classes is explained against the class that is subtracted: here class 1.
        let settings = [format!("{method}.baseline=opposite")];
        let turned = Case { target: Some(Target::Difference(0, 1)), ..case(&image) };
        let map = explain(&net, method, &settings.each_ref().map(String::as_str), &turned);
        let by_hand: Vec<f32> = image.data().iter().zip(mean(&[1, 3, 5])).map(|(x, b)| -2.0 * (x - b)).collect();
        assert!(distance(map.map.data(), &by_hand) < 1e-5);
    }
    // Someone who was trained on is no baseline of their own.
    let own = trained_on(2);
    let map = explain(&net, "integrated-gradients", &["integrated-gradients.baseline=opposite"], &case(&own));
    let by_hand: Vec<f32> = own.data().iter().zip(mean(&[0, 4])).map(|(x, b)| 2.0 * (x - b)).collect();
    assert!(distance(map.map.data(), &by_hand) < 1e-5);
}

#[test]
fn integrated_gradients_are_the_integral() {
    // In double precision, by 400 midpoints.
    let net = residual(3);
    let image = volume(SHAPE, 4);
    let map = explain(&net, "integrated-gradients", &["integrated-gradients.steps=96"], &case(&image));
    let mut slow = vec![0.0; image.data().len()];
    for step in 0..400 {
        let t = (f64::from(step) + 0.5) / 400.0;
        let point: Vec<f64> = image.data().iter().map(|&x| t * f64::from(x)).collect();
        let tape = reference::forward(&net, &point, Mode::Evaluate).unwrap();
        let back = tape.backward(&[0.0, 1.0, 0.0], &Rules::GRADIENT).unwrap();
        slow.iter_mut().zip(back.input()).for_each(|(s, g)| *s += g / 400.0);
    }
    let slow: Vec<f32> = slow.iter().zip(image.data()).map(|(g, &x)| (g * f64::from(x)) as f32).collect();
    assert!(distance(map.map.data(), &slow) < 1e-2, "{}", distance(map.map.data(), &slow));
}

#[test]
fn integrated_gradients_are_those_of_the_function_not_of_the_graph() {
    let [i, j, k] = SHAPE;
    let image = volume(SHAPE, 5);
    let mut plain = Network::new([1, i, j, k]);
    plain.then("conv", Conv3d::new(1, 4, [3; 3])).unwrap();
    plain.then("relu", Op::Relu).unwrap();
    plain.then("flat", Op::Flatten).unwrap();
    let features = plain.outputs();
    plain.then("linear", Linear::new(features, 2)).unwrap();
    plain.initialize(7);
    let tensor = |name: &str| plain.state().into_iter().find(|p| p.name == name).unwrap().tensor.clone();
    let scaled = |t: &Tensor, by: f32| Tensor::new(t.shape(), t.data().iter().map(|v| v * by).collect());
    // The convolution in two halves that are added, a batch normalisation that doubles, and a linear layer that
    // halves.
    let mut other = Network::new([1, i, j, k]);
    let mut half = Conv3d::new(1, 4, [3; 3]);
    half.weight = scaled(&tensor("conv.weight"), 0.5);
    half.bias = Some(scaled(&tensor("conv.bias"), 0.5));
    let a = other.then("a", half.clone()).unwrap();
    let b = other.add("b", half, &[NodeId(0)]).unwrap();
    other.add("sum", Op::Add, &[a, b]).unwrap();
    let mut norm = BatchNorm::new(4);
    norm.epsilon = 1e-12;
    norm.weight = Tensor::full([4], 2.0);
    other.then("norm", norm).unwrap();
    other.then("relu", Op::Relu).unwrap();
    other.then("flat", Op::Flatten).unwrap();
    let mut last = Linear::new(features, 2);
    last.weight = scaled(&tensor("linear.weight"), 0.5);
    last.bias = tensor("linear.bias");
    other.then("linear", last).unwrap();
    let [of_plain, of_other] = [&plain, &other].map(|net| explain(net, "integrated-gradients", &[], &case(&image)));
    assert!((of_plain.record.score - of_other.record.score).abs() < 1e-5);
    // Points of the quadrature that fall on a kink may be told apart by round-off: hence no bits.
    assert!(distance(of_plain.map.data(), of_other.map.data()) < 1e-2);
}

#[test]
fn a_shifted_input_has_a_shifted_map() {
    let net = averaging(1);
    // A block far from the edges, and the same block one voxel on.
    let block = |shift: usize| {
        Volume::from_fn(grid(SHAPE), |[i, j, k]| {
            let inside = (2 + shift..5 + shift).contains(&i) && (3..6).contains(&j) && (2..5).contains(&k);
            if inside { 1.0 + (i - shift) as f32 * 0.3 - j as f32 * 0.2 + k as f32 * 0.1 } else { 0.0 }
        })
    };
    let (here, there) = (block(0), block(1));
    for method in [
        "saliency",
        "input-x-gradient",
        "integrated-gradients",
        "deeplift",
        "lrp",
        "guided-backprop",
        "grad-cam",
        "hires-cam",
        "layer-cam",
        "ablation-cam",
        "cam",
    ] {
        // The flat rule shares with padding what it does not share elsewhere.
        let settings = ["lrp.composite=epsilon-plus"];
        let [a, b] = [&here, &there].map(|image| explain(&net, method, &settings, &case(image)));
        // Voxels whose whole neighbourhood stays inside.
        for i in 1..SHAPE[0] - 2 {
            for j in 1..SHAPE[1] - 1 {
                for k in 1..SHAPE[2] - 1 {
                    let (was, is) = (a.map.at(i, j, k), b.map.at(i + 1, j, k));
                    assert!((was - is).abs() < 1e-5 * was.abs().max(1e-2), "{method}: {was} {is}");
                }
            }
        }
        assert!((a.record.score - b.record.score).abs() < 1e-6);
    }
}

#[test]
fn every_method_explains_a_residual_network_of_three_classes() {
    let net = residual(3);
    let image = volume(SHAPE, 6);
    let regions = octants(SHAPE);
    for entry in METHODS {
        let method = choose(&[entry.name], &SHORT, None).unwrap().remove(0);
        let mut explainer = with_training_subjects(&net, 2);
        if let Err(why) = method.suits(&explainer, Score::Logit) {
            assert_eq!(entry.name, "cam", "{why}");
            continue;
        }
        for (target, class) in [(Target::Class(2), 2), (Target::Difference(0, 2), 0)] {
            let case = Case { target: Some(target), regions: Some(&regions), ..case(&image) };
            let map = method.explain(&mut explainer, &[case]).unwrap().remove(0);
            assert_eq!(map.record.class, class, "{}", entry.name);
            assert!(map.map.data().iter().all(|v| v.is_finite()));
            assert!(!map.record.measured.to_string().contains("NaN"));
        }
    }
}

#[test]
fn relevance_is_accounted_for() {
    let shape = [24, 30, 26];
    let net = paper(shape);
    let image = volume(shape, 2);
    for composite in ["epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1", "epsilon-gamma-box"] {
        let setting = format!("lrp.composite={composite}");
        let map = explain(&net, "lrp", &[setting.as_str()], &case(&image));
        assert_eq!(map.record.rules_applied, Some([4, 4]), "{composite}");
        assert_eq!(map.record.measured["NormsFolded"], serde_json::json!([3, 3]));
        let parts = number(&map, "Sum") + number(&map, "TakenByBiases") + number(&map, "Lost");
        assert!((parts - map.record.score).abs() < 1e-6 * map.record.score.abs().max(1.0));
        if composite != "epsilon-alpha2-beta1" {
            assert!(number(&map, "Lost").abs() < 0.01 * map.record.score.abs(), "{composite}: {}", map.record.measured);
        }
    }
    // A linear network has one layer, by epsilon: x * w, and the bias keeps its part.
    let net = linear(|[i, ..]| i as f32 * 0.1 - 0.3);
    let image = volume(SHAPE, 1);
    let map = explain(&net, "lrp", &["lrp.composite=epsilon-plus"], &case(&image));
    let by_hand = explain(&net, "input-x-gradient", &[], &case(&image));
    assert!(distance(map.map.data(), by_hand.map.data()) < 1e-4);
    assert!((number(&map, "TakenByBiases") - 0.5).abs() < 1e-4);
}

#[test]
fn bounds_of_the_box_come_from_where_they_are_said_to() {
    let net = residual(2);
    let image = volume(SHAPE, 2);
    let of = |bounds: &str| {
        let settings = ["lrp.composite=epsilon-gamma-box".to_owned(), format!("lrp.bounds={bounds}")];
        explain(&net, "lrp", &settings.each_ref().map(String::as_str), &case(&image)).map
    };
    let range = |volumes: &[Volume]| {
        let all = || volumes.iter().flat_map(|v| v.data());
        format!("{},{}", all().fold(f32::INFINITY, |l, &v| l.min(v)), all().fold(f32::NEG_INFINITY, |h, &v| h.max(v)))
    };
    assert_eq!(of("image"), of(&range(std::slice::from_ref(&image))));
    let everyone: Vec<Volume> = (0..6).map(|n| volume(SHAPE, 10 + n)).chain([image.clone()]).collect();
    assert_eq!(of("cohort"), of(&range(&everyone)));
    assert_ne!(of("0,50"), of("image"));
}

#[test]
fn class_activation_maps_by_their_definitions() {
    let net = averaging(1);
    let image = volume(SHAPE, 7);
    let tape = reference::forward(&net, image.data(), Mode::Evaluate).unwrap();
    let layer = net.node("relu").unwrap();
    let activations = tape.value(layer).unwrap();
    let cells = image.data().len();
    let state = net.state();
    let tensor = |name: &str| state.iter().find(|p| p.name == name).unwrap().tensor.data().to_vec();
    let (weight, bias) = (tensor("linear.weight"), tensor("linear.bias"));
    let weighted = |w: &[f64]| -> Vec<f32> {
        (0..cells).map(|u| (0..6).map(|k| w[k] * activations[k * cells + u]).sum::<f64>() as f32).collect()
    };
    let of_class: Vec<f64> = weight[6..].iter().map(|&w| f64::from(w)).collect();
    let check = |method: &str, settings: &[&str], slow: &[f32]| {
        let map = explain(&net, method, settings, &case(&image));
        let off = distance(map.native_resolution.as_ref().unwrap().data(), slow);
        assert!(off < 1e-5, "{method} {settings:?}: {off}");
        // Cells lie on voxels here, so that the map is the same on the input's grid.
        assert!(distance(map.map.data(), slow) < 1e-5);
        map
    };
    let cam = check("cam", &[], &weighted(&of_class));
    let without_bias = cam.record.score - f64::from(bias[1]);
    assert!((number(&cam, "Mean") - without_bias).abs() < 1e-6 && number(&cam, "Residual").abs() < 1e-6);
    // The gradient is w / Z at every cell: Grad-CAM is CAM over Z, and ablation takes w times the mean of the channel.
    let z = cells as f64;
    check("grad-cam", &[], &weighted(&of_class.iter().map(|w| w / z).collect::<Vec<_>>()));
    let mean = |k: usize| activations[k * cells..(k + 1) * cells].iter().sum::<f64>() / z;
    check("ablation-cam", &[], &weighted(&(0..6).map(|k| of_class[k] * mean(k)).collect::<Vec<_>>()));
    check("xgrad-cam", &[], &weighted(&of_class.iter().map(|w| w / z).collect::<Vec<_>>()));
    check("layer-cam", &[], &weighted(&of_class.iter().map(|w| w.max(0.0) / z).collect::<Vec<_>>()));
    // Behind a global average both versions of Grad-CAM++ are the same.
    let both = ["paper", "monai"].map(|d| {
        let setting = format!("grad-cam-plus-plus.denominator={d}");
        explain(&net, "grad-cam-plus-plus", &[setting.as_str()], &case(&image)).map
    });
    assert!(distance(both[0].data(), both[1].data()) < 1e-4);
    // Score-CAM: each channel scaled to [0, 1] and multiplied with the image.
    let scores: Vec<f64> = (0..6)
        .map(|k| {
            let a = &activations[k * cells..(k + 1) * cells];
            let (low, high) = a.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
            let seen: Vec<f64> =
                a.iter().zip(image.data()).map(|(a, &x)| (a - low) / (high - low) * f64::from(x)).collect();
            reference::forward(&net, &seen, Mode::Evaluate).unwrap().output()[1]
        })
        .collect();
    let total: f64 = scores.iter().map(|s| s.exp()).sum();
    check("score-cam", &[], &weighted(&scores.iter().map(|s| s.exp() / total).collect::<Vec<_>>()));
    // Where positions are flattened there is no such map.
    let refused = choose(&["cam"], &[] as &[&str], None).unwrap()[0]
        .suits(&with_training_subjects(&residual(2), 1), Score::Logit);
    let refused = refused.unwrap_err();
    assert!(
        refused.to_string().contains("flattened") && refused.remedy().unwrap().to_string().contains("hires-cam"),
        "{refused}"
    );
}

#[test]
fn a_layer_that_others_lead_around_cannot_be_ablated() {
    let method = choose(&["ablation-cam"], &["ablation-cam.layer=tanh"], None).unwrap().remove(0);
    let refused = method.suits(&with_training_subjects(&residual(2), 1), Score::Logit).unwrap_err();
    assert!(refused.to_string().contains("another way leads"), "{refused}");
    // A sweep takes the layers that can be.
    let sweep = explain(&residual(2), "ablation-cam", &["ablation-cam.layer=all"], &case(&volume(SHAPE, 1)));
    assert_eq!(sweep.record.layers, ["relu0", "relu1"]);
}

#[test]
fn a_sweep_holds_the_map_of_every_layer_and_fusion_the_largest() {
    let shape = [24, 30, 26];
    let net = paper(shape);
    let image = volume(shape, 2);
    let layers = ["features.2", "features.6", "features.10"];
    for method in ["grad-cam", "hires-cam", "grad-cam-plus-plus", "xgrad-cam", "layer-cam", "score-cam", "ablation-cam"]
    {
        let sweep = explain(&net, method, &[&format!("{method}.layer=all")], &case(&image));
        assert_eq!(sweep.record.layers, layers);
        for (name, map) in &sweep.of_layers {
            let alone = explain(&net, method, &[&format!("{method}.layer={name}")], &case(&image));
            assert!(distance(map.data(), alone.map.data()) < 1e-4, "{method} {name}");
        }
        assert!(distance(sweep.map.data(), sweep.of_layers[2].1.data()) < 1e-6);
        let settings = [format!("{method}.layer=all"), format!("{method}.rectify=true")];
        let rectified = explain(&net, method, &settings.each_ref().map(String::as_str), &case(&image));
        assert!(rectified.of_layers.iter().all(|(_, map)| map.data().iter().all(|&v| v >= 0.0)));
    }
    let fused = explain(&net, "layer-cam", &["layer-cam.layer=features.6,features.10"], &case(&image));
    let [shallow, deep] = ["features.6", "features.10"].map(|name| {
        let settings = [format!("layer-cam.layer={name}"), "layer-cam.rectify=true".into()];
        explain(&net, "layer-cam", &settings.each_ref().map(String::as_str), &case(&image))
    });
    // The largest voxel is that of a cell's centre at most; the maximum is taken over cells.
    let most = |a: &Attribution| a.native_resolution.as_ref().unwrap().data().iter().copied().fold(0.0, f32::max);
    let (of_shallow, of_deep) = (most(&shallow), most(&deep));
    for (n, &v) in fused.map.data().iter().enumerate() {
        let deep = deep.map.data()[n] / of_deep;
        assert!(v >= deep - 1e-5, "{v} {deep}");
        // Upsampling after tanh, as tanh of what was upsampled, only where cells are equal; tanh(2x) <= 2x bounds it.
        assert!(v <= deep.max(2.0 * shallow.map.data()[n] / of_shallow) + 1e-5);
    }
}

#[test]
fn smoothgrad_is_the_mean_of_noisy_maps() {
    let net = residual(2);
    let image = volume(SHAPE, 8);
    let mask = Mask::from_fn(grid(SHAPE), |[i, ..]| i > 2);
    let case = Case { mask: Some(&mask), ..case(&image) };
    let mut inside: Vec<f32> = image.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(&v, _)| v).collect();
    let [low, high] = quantiles(&mut inside, [0.01, 0.99]);
    let copies: Vec<Volume> = (0..5)
        .map(|n| {
            let mut random = Seed::new(9).child("smoothgrad").child("a").index(n).random();
            image.map(|&x| x + (0.2 * (high - low) * random.normal()) as f32)
        })
        .collect();
    for of in ["saliency", "input-x-gradient", "guided-backprop", "integrated-gradients", "lrp", "deeplift"] {
        let maps: Vec<Volume> =
            copies.iter().map(|copy| explain(&net, of, &[], &Case { image: copy, ..case }).map).collect();
        let over = |f: &dyn Fn(&[f64]) -> f64| -> Vec<f32> {
            let voxel = |v: usize| maps.iter().map(|m| f64::from(m.data()[v])).collect::<Vec<_>>();
            (0..image.data().len()).map(|v| f(&voxel(v)) as f32).collect()
        };
        let mean = |v: &[f64]| v.iter().sum::<f64>() / 5.0;
        let variance = |v: &[f64]| v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / 4.0;
        let slow = [
            ("mean", over(&mean)),
            ("squared", over(&|v| mean(&v.iter().map(|x| x * x).collect::<Vec<_>>()))),
            ("variance", over(&variance)),
        ];
        for (mode, slow) in slow {
            let settings = [format!("smoothgrad.of={of}"), format!("smoothgrad.mode={mode}")];
            let [a, b] = settings.each_ref().map(String::as_str);
            let settings = [a, b, "smoothgrad.samples=5", "smoothgrad.noise=0.2", "smoothgrad.seed=9"];
            let map = explain(&net, "smoothgrad", &settings, &case);
            assert!(distance(map.map.data(), &slow) < 1e-5, "{of} {mode}");
            assert!(number(&map, "StandardError") > 0.0);
            if mode == "mean" {
                let errors = over(&|v| variance(v) / 5.0);
                let error = (errors.iter().map(|&e| f64::from(e)).sum::<f64>() / errors.len() as f64).sqrt();
                assert!((number(&map, "StandardError") / error - 1.0).abs() < 1e-4);
            }
        }
    }
    // The gradient of a linear network does not change.
    let map = explain(&linear(|_| 3.0), "smoothgrad", &["smoothgrad.mode=variance"], &case);
    assert!(map.map.data().iter().all(|&v| v == 0.0));
    let wrong = choose(&["smoothgrad"], &["smoothgrad.of=occlusion"], None).unwrap().remove(0);
    assert!(
        wrong
            .suits(&with_training_subjects(&net, 1), Score::Logit)
            .unwrap_err()
            .remedy()
            .unwrap()
            .to_string()
            .contains("saliency")
    );
}

#[test]
fn gradient_shap_of_a_linear_network_is_exact() {
    let net = linear(|[_, j, _]| j as f32 - 3.0);
    let image = volume(SHAPE, 9);
    // 12 samples of 6 subjects: each twice.
    let map = explain(&net, "gradient-shap", &["gradient-shap.samples=12"], &case(&image));
    let mean = explain(&net, "integrated-gradients", &["integrated-gradients.baseline=cohort-mean"], &case(&image));
    assert!(distance(map.map.data(), mean.map.data()) < 1e-5);
    assert!(number(&map, "RelativeResidual").abs() < 1e-4, "{}", map.record.measured);
    assert_eq!(number(&map, "Donors"), 6.0);
    // 7 samples: one subject counts twice, and the residual knows.
    let map = explain(&net, "gradient-shap", &["gradient-shap.samples=7"], &case(&image));
    assert!(number(&map, "RelativeResidual").abs() < 1e-4, "{}", map.record.measured);
    // On a network that is not linear the residual is chance, and none on average: within four standard errors of 0.
    let net = residual(2);
    let residuals: Vec<f64> = (0..10)
        .map(|seed| {
            let settings = ["gradient-shap.samples=120".to_owned(), format!("gradient-shap.seed={seed}")];
            let map = explain(&net, "gradient-shap", &settings.each_ref().map(String::as_str), &case(&image));
            number(&map, "Residual")
        })
        .collect();
    let mean = residuals.iter().sum::<f64>() / 10.0;
    let error = (residuals.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 9.0 / 10.0).sqrt();
    assert!(error > 0.0 && mean.abs() < 4.0 * error, "{residuals:?}");
    let map = explain(&net, "gradient-shap", &["gradient-shap.samples=400"], &case(&image));
    let more = explain(&net, "gradient-shap", &["gradient-shap.samples=1600"], &case(&image));
    let ratio = number(&map, "StandardError") / number(&more, "StandardError");
    assert!((1.7..2.3).contains(&ratio), "four times the samples, half the error: {ratio}");
    let noisy = explain(&net, "gradient-shap", &["gradient-shap.noise=0.3"], &case(&image));
    assert_ne!(noisy.map, explain(&net, "gradient-shap", &[], &case(&image)).map);
}

#[test]
fn guided_grad_cam_is_the_product() {
    let shape = [24, 30, 26];
    let net = paper(shape);
    let image = volume(shape, 2);
    let mut shown = false;
    for class in [0, 1] {
        let case = Case { target: Some(Target::Class(class)), ..case(&image) };
        let cam = explain(&net, "grad-cam", &["grad-cam.rectify=true", "grad-cam.layer=features.6"], &case);
        let guided = explain(&net, "guided-backprop", &[], &case);
        let product: Vec<f32> = cam.map.data().iter().zip(guided.map.data()).map(|(a, b)| a * b).collect();
        let map = explain(&net, "guided-grad-cam", &["guided-grad-cam.layer=features.6"], &case);
        assert!(distance(map.map.data(), &product) < 1e-5);
        assert_eq!(map.record.rules_applied, Some([3, 3]));
        shown |= product.iter().any(|&v| v != 0.0);
    }
    assert!(shown, "of one class at least there is something to see");
}

#[test]
fn controls_know_nothing_of_the_network() {
    let (image, other) = (volume(SHAPE, 1), volume(SHAPE, 2));
    let controls: Vec<_> = METHODS.iter().filter(|entry| entry.control.is_some()).map(|entry| entry.name).collect();
    assert!(controls.len() >= 3, "{controls:?}");
    for method in controls {
        let [a, b] = [residual(2), averaging(0)].map(|net| explain(&net, method, &[], &case(&image)));
        assert_eq!(a.map, b.map, "{method}");
        assert!(a.record.warnings[0].starts_with("A control"));
    }
    let random = |id, image, settings: &[&str]| {
        let case = Case { target: Some(CLASS), ..Case::new(id, image) };
        explain(&residual(2), "random", settings, &case).map
    };
    assert_eq!(random("a", &image, &[]), random("a", &other, &[]), "nor of the image");
    assert_ne!(random("a", &image, &[]), random("b", &image, &[]));
    assert_ne!(random("a", &image, &[]), random("a", &image, &["random.seed=1"]));
    let magnitude = explain(&residual(2), "input-magnitude", &[], &case(&image));
    assert!(magnitude.map.data().iter().zip(image.data()).all(|(m, x)| *m == x.abs()));
}

#[test]
fn a_limit_of_memory_changes_no_map() {
    let shape = [24, 30, 26];
    let net = paper(shape);
    let volumes: Vec<Volume> = (0..3).map(|n| volume(shape, n)).collect();
    let cases: Vec<_> = volumes.iter().map(case).collect();
    let short = ["smoothgrad.samples=6", "gradient-shap.samples=9", "integrated-gradients.steps=9"];
    // Enough for one volume, not for two.
    let layer = net.node("features.10").unwrap();
    let bytes = |batch| {
        let options = PlanOptions { purpose: Purpose::InputGradient, batch, keep: vec![layer] };
        engine(2).memory(&net, &options).unwrap().total()
    };
    let limit = bytes(1);
    assert!(bytes(2) > limit);
    for name in
        ["saliency", "integrated-gradients", "smoothgrad", "gradient-shap", "score-cam", "ablation-cam", "hires-cam"]
    {
        let free = all_of(&mut with_training_subjects(&net, 2), name, &short, &cases);
        let mut limited = with_training_subjects(&net, 2).with_memory_limit(Some(limit));
        let maps = all_of(&mut limited, name, &short, &cases);
        for (a, b) in free.iter().zip(&maps) {
            assert_eq!(a.map, b.map, "{name}");
        }
        let error = choose(&[name], &short, None).unwrap()[0]
            .explain(&mut with_training_subjects(&net, 2).with_memory_limit(Some(1 << 10)), &cases)
            .unwrap_err();
        assert!(error.remedy().unwrap().to_string().contains("memory"), "{name}: {error}");
    }
}

#[test]
fn what_is_missing_is_said_by_name() {
    let net = residual(2);
    let image = volume(SHAPE, 1);
    for (method, settings) in [
        ("gradient-shap", &[][..]),
        ("integrated-gradients", &["integrated-gradients.baseline=cohort-mean"]),
        ("integrated-gradients", &["integrated-gradients.baseline=expected"]),
        ("deeplift", &["deeplift.baseline=opposite"]),
        ("lrp", &["lrp.composite=epsilon-gamma-box"]),
    ] {
        let method_of = choose(&[method], settings, None).unwrap().remove(0);
        let mut explainer = explainer_of(&net, 1).without_training_subjects("only images were given", "give a cohort");
        let error = method_of.explain(&mut explainer, &[case(&image)]).unwrap_err();
        assert!(
            error.to_string().starts_with(method) && error.to_string().contains("only images were given"),
            "{error}"
        );
        assert_eq!(error.remedy().unwrap().to_string(), "give a cohort");
    }
    for method in ["lrp", "deeplift"] {
        let probability = Case { score: Score::Prob, ..case(&image) };
        let error = choose(&[method], &[] as &[&str], None).unwrap()[0]
            .explain(&mut with_training_subjects(&net, 1), &[probability])
            .unwrap_err();
        assert!(error.to_string().contains("probability"), "{error}");
    }
    for setting in [
        "integrated-gradients.steps=0",
        "integrated-gradients.blur=0",
        "smoothgrad.samples=0",
        "smoothgrad.noise=0",
        "gradient-shap.samples=0",
        "gradient-shap.noise=-1",
        "layer-cam.gamma=0",
        "lrp.bounds=3,1",
        "random.smooth=-1mm",
        "deeplift.donors=0",
    ] {
        let method = setting.split_once('.').unwrap().0;
        let more = match setting {
            "integrated-gradients.blur=0" => "integrated-gradients.baseline=blur",
            "deeplift.donors=0" => "deeplift.baseline=expected",
            _ => setting,
        };
        // By the schema of the option, or by the method itself.
        let error = choose(&[method], &[setting, more], None)
            .and_then(|methods| methods[0].suits(&with_training_subjects(&net, 1), Score::Logit))
            .unwrap_err();
        assert!(error.remedy().is_some(), "{setting}: {error}");
    }
}

#[test]
fn probabilities_are_integrated_as_probabilities() {
    let net = residual(2);
    let image = volume(SHAPE, 2);
    let case = Case { score: Score::Prob, ..case(&image) };
    let map = explain(&net, "integrated-gradients", &[], &case);
    let of = |logits: &[f64]| {
        let logits: Vec<f32> = logits.iter().map(|&z| z as f32).collect();
        Objective { class: 1, minus: None, score: Score::Prob }.value(&logits)
    };
    let at_zero = reference::forward(&net, &vec![0.0f32; image.data().len()], Mode::Evaluate).unwrap();
    let change = of(&map.record.logits) - of(at_zero.output());
    assert!((sum(&map.map) - change).abs() < 0.03 * change.abs(), "{} {change}", sum(&map.map));
    assert_eq!(map.record.units, "probability");
    assert!(matches!(map.record.measured["RelativeResidual"], Value::Number(_)));
}
