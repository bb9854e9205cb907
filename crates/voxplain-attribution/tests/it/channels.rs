//! Networks that take several volumes of a person at once.

use crate::support::*;
use voxplain_attribution::{Attribution, Case, Control, Explainer, METHODS, Score, Target, TrainingSubjects, choose};
use voxplain_nn::reference::{self, Mode};
use voxplain_nn::{Conv3d, Linear, Network, Op, Pool3d, Rules, Tensor};
use voxplain_volume::Volume;

/// A convolution of as many channels as it has weights, a residual block, and a head that flattens or averages. All but the
/// stem's weights is the same whatever they are.
fn network(stem: &Tensor, averages: bool) -> Network {
    let shaped = |channels: usize| {
        let [i, j, k] = SHAPE;
        let mut net = Network::new([channels, i, j, k]);
        net.then("stem", Conv3d::new(channels, 5, [3; 3]).with_padding([1; 3])).unwrap();
        let trunk = net.then("relu0", Op::Relu).unwrap();
        let branch = net.then("conv", Conv3d::new(5, 5, [3; 3]).with_padding([1; 3])).unwrap();
        net.add("sum", Op::Add, &[trunk, branch]).unwrap();
        net.then("relu1", Op::Relu).unwrap();
        if averages {
            net.then("average", Op::GlobalAvgPool).unwrap();
        } else {
            net.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
            net.then("flat", Op::Flatten).unwrap();
        }
        let features = net.outputs();
        net.then("linear", Linear::new(features, 2)).unwrap();
        net
    };
    let mut plain = shaped(1);
    plain.initialize(11);
    let weights = |name: &str, tensor: &Tensor| if name == "stem.weight" { stem.clone() } else { tensor.clone() };
    let state = plain.state().iter().map(|p| (p.name.clone(), weights(&p.name, p.tensor))).collect();
    let mut net = shaped(stem.shape()[1]);
    net.load_state(state).unwrap();
    net
}

/// Weights of a stem: `[5, channels, 3, 3, 3]`, each channel these shares of one set of weights.
fn stem(shares: &[f32]) -> Tensor {
    let one = |out: usize, tap: usize| ((out * 27 + tap) as f32 * 1.7).sin() * 0.3;
    let weights = (0..5).flat_map(|out| shares.iter().flat_map(move |s| (0..27).map(move |tap| s * one(out, tap))));
    Tensor::new([5, shares.len(), 3, 3, 3], weights.collect())
}

fn explainer(net: &Network, channels: usize) -> Explainer {
    let subject = |n: usize| (format!("subject{n}"), n % 2, vec![volume(SHAPE, 10 + n); channels]);
    explainer_of(net, 2).with_training_subjects(TrainingSubjects::of_volumes((0..6).map(subject), 2))
}

#[test]
fn a_volume_in_two_channels_that_share_its_weights_is_explained_as_the_volume() {
    let image = volume(SHAPE, 3);
    let regions = octants(SHAPE);
    let alone = Case { target: Some(Target::Class(1)), regions: Some(&regions), ..Case::new("a", &image) };
    let others = [image.clone()];
    let twice = Case { others: &others, ..alone };
    let mut settings = SHORT.to_vec();
    // Few steps: a search that goes on makes much of the last bit.
    settings.extend(["meaningful-perturbation.iterations=4", "extremal-perturbation.iterations=3"]);
    for entry in METHODS {
        let averages = entry.name == "cam";
        let (one, two) = (network(&stem(&[1.0]), averages), network(&stem(&[0.75, 0.25]), averages));
        let of = |net: &Network, channels, case| -> Attribution {
            all_of(&mut explainer(net, channels), entry.name, &settings, &[case]).remove(0)
        };
        let (one, two) = (of(&one, 1, alone), of(&two, 2, twice));
        assert!((one.record.score - two.record.score).abs() < 1e-5, "{}", entry.name);
        assert!(one.of_channels.is_empty());
        let by_channel: Vec<&[f32]> = two.of_channels.iter().map(Volume::data).collect();
        let scaled = |by: f32| one.map.data().iter().map(|v| v * by).collect::<Vec<_>>();
        let (sum, of_first) = match entry.name {
            // Each channel has noise of its own.
            "smoothgrad" => (None, None),
            // What the image alone says is said twice.
            _ if matches!(entry.control, Some(Control::Edges | Control::Input)) => (Some(2.0), Some(1.0)),
            "saliency"
            | "input-x-gradient"
            | "integrated-gradients"
            | "deeplift"
            | "guided-backprop"
            | "deconvnet"
            | "gradient-shap"
            | "guided-grad-cam" => (Some(1.0), Some(0.75)),
            // The flat rule of the first layer knows no weights, and makes one map for all channels.
            "lrp" => (Some(1.0), None),
            _ => (Some(1.0), None),
        };
        if let Some(sum) = sum {
            let off = distance(two.map.data(), &scaled(sum));
            assert!(off < 1e-3, "{}: {off}", entry.name);
        }
        if let Some(share) = of_first {
            assert_eq!(by_channel.len(), 2, "{}", entry.name);
            assert!(distance(by_channel[0], &scaled(share)) < 1e-3, "{}", entry.name);
            assert!(two.record.units.ends_with("the sum over 2 channels"), "{}", two.record.units);
        } else {
            assert_eq!(by_channel.len(), if entry.name == "smoothgrad" { 2 } else { 0 }, "{}", entry.name);
        }
    }
}

#[test]
fn the_gradient_is_that_of_each_channel() {
    let net = network(&stem(&[1.0, -0.6, 0.3]), false);
    let volumes: Vec<Volume> = (1..4).map(|n| volume(SHAPE, n)).collect();
    let case = Case { target: Some(Target::Class(0)), others: &volumes[1..], ..Case::new("a", &volumes[0]) };
    let values: Vec<f32> = volumes.iter().flat_map(|v| v.data().to_vec()).collect();
    let slow = reference::forward(&net, &values, Mode::Evaluate).unwrap();
    let slow = slow.backward(&[1.0, 0.0], &Rules::GRADIENT).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "compared with float32")]
    let gradient: Vec<f32> = slow.input().iter().map(|&g| g as f32).collect();
    // With another case beside it in the batch.
    let other = Case { id: "b", others: &volumes[..2], image: &volumes[2], ..case };
    let maps = all_of(&mut explainer_of(&net, 2), "saliency", &[], &[other, case]);
    for (channel, slow) in maps[1].of_channels.iter().zip(gradient.chunks(volumes[0].data().len())) {
        assert!(distance(channel.data(), slow) < 1e-5);
    }
    assert_eq!(maps[1].of_channels.len(), 3);
    let sum = |n: usize| maps[1].of_channels.iter().map(|c| f64::from(c.data()[n])).sum::<f64>();
    assert!((0..volumes[0].data().len()).all(|n| (f64::from(maps[1].map.data()[n]) - sum(n)).abs() < 1e-6));
}

#[test]
fn what_is_taken_out_is_taken_out_of_every_channel() {
    let net = network(&stem(&[1.0, -0.6]), false);
    let (first, second) = (volume(SHAPE, 1), volume(SHAPE, 5));
    let others = [second.clone()];
    let case = Case { target: Some(Target::Class(0)), others: &others, ..Case::new("a", &first) };
    let score = |keep: &dyn Fn(usize) -> f32| {
        let altered = |v: &Volume| {
            let mut v = v.clone();
            v.data_mut().iter_mut().enumerate().for_each(|(n, x)| *x *= keep(n));
            v
        };
        let (image, others) = (altered(&first), [altered(&second)]);
        let case = Case { image: &image, others: &others, ..case };
        all_of(&mut explainer_of(&net, 2), "saliency", &[], &[case]).remove(0).record.score
    };
    let of = |method: &str, settings: &[&str]| {
        all_of(&mut explainer_of(&net, 2), method, settings, std::slice::from_ref(&case)).remove(0)
    };
    // One voxel at a time, at a few places.
    let voxelwise = ["occlusion.window=3", "occlusion.stride=3", "occlusion.baseline=zero"];
    let map = of("occlusion", &voxelwise);
    let whole = score(&|_| 1.0);
    for n in [0, 17, 200, 503] {
        let lost = whole - score(&|v| f32::from(u8::from(v != n)));
        assert!((f64::from(map.map.data()[n]) - lost).abs() < 1e-5, "{n}");
    }
    // The masks of the two searches are those that were shown.
    for (method, keeps) in [("meaningful-perturbation", false), ("extremal-perturbation", true)] {
        let settings: Vec<String> = ["iterations=8", "baseline=zero"].iter().map(|s| format!("{method}.{s}")).collect();
        let map = of(method, &settings.iter().map(String::as_str).collect::<Vec<_>>());
        let m = &map.record.measured;
        let after = m["ScoreAfter"].as_f64().or_else(|| m["ScoresAfter"][0].as_f64()).unwrap();
        let data = map.map.data();
        assert!(data.iter().any(|&v| v > 0.05), "{method}");
        let shown = score(&|n| if keeps { data[n] } else { 1.0 - data[n] });
        assert!((shown - after).abs() < 1e-4 * whole.abs().max(1.0), "{method}: {shown} {after}");
    }
    // So are RISE's, and the regions: without all of them nothing is left.
    let regions = octants(SHAPE);
    let by_region = Case { regions: Some(&regions), ..case };
    let settings = ["region-occlusion.baseline=zero"];
    let map = all_of(&mut explainer_of(&net, 2), "region-occlusion", &settings, &[by_region]).remove(0);
    assert!((map.record.measured["ScoreWithoutBrain"].as_f64().unwrap() - score(&|_| 0.0)).abs() < 1e-5);
    assert!(of("rise", &["rise.masks=20", "rise.baseline=zero"]).map.data().iter().any(|&v| v != 0.0));
}

#[test]
fn channels_that_do_not_fit_are_refused() {
    let net = network(&stem(&[1.0, -0.6]), false);
    let image = volume(SHAPE, 1);
    let refuse = |others: &[Volume]| {
        let case = Case { others, ..Case::new("sub-7", &image) };
        let method = choose(&["saliency"], &[] as &[&str], None).unwrap().remove(0);
        method.explain(&mut explainer_of(&net, 1), &[case]).unwrap_err().to_string()
    };
    assert!(refuse(&[]).contains("found 1 channel(s), expected 2"), "{}", refuse(&[]));
    assert!(refuse(&[image.clone(), image.clone()]).contains("found 3 channel(s), expected 2"));
    assert!(refuse(&[volume([8, 9, 6], 1)]).contains("[8, 9, 6]"));
    let mut broken = image.clone();
    broken.data_mut()[10] = f32::NAN;
    let said = refuse(&[broken]);
    assert!(said.contains("NaN") && said.contains("[0, 1, 3]"), "{said}");
    // The code of 2020 had one channel.
    let compat = choose(&["meaningful-perturbation"], &[] as &[&str], Some(voxplain_attribution::Compat::Y2020));
    let why = compat.unwrap()[0].suits(&explainer_of(&net, 1), Score::Logit).unwrap_err();
    assert!(why.to_string().contains("2 channels"), "{why}");
}
