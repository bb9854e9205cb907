//! Laws of the methods of attribution, on networks small enough to know the answer.

use crate::support::*;
use voxplain_attribution::{AxisMap, Case, METHODS, Score, Separable, Target, choose};
use voxplain_nn::{Conv3d, Linear, Network, Op, Pool3d, Tensor};
use voxplain_volume::{Mask, Volume};

#[test]
fn the_gradient_of_a_linear_network_is_its_weights() {
    let weight = |[i, j, k]: [usize; 3]| i as f32 - 2.0 * j as f32 + 0.5 * k as f32;
    let net = linear(weight);
    let image = volume(SHAPE, 0);
    let case = Case { target: Some(Target::Class(1)), ..Case::new("a", &image) };
    let map = one(&net, "saliency", &[], &case);
    assert_eq!(map.map, Volume::from_fn(grid(SHAPE), weight));
    let map = one(&net, "input-x-gradient", &[], &case);
    let sum = map.record.measured["Sum"].as_f64().unwrap();
    assert!((sum - (map.record.score - 0.5)).abs() < 1e-3, "{sum} {}", map.record.score);
    let absolute = one(&net, "saliency", &["saliency.absolute=true"], &case);
    assert!(absolute.map.data().iter().all(|&v| v >= 0.0) && absolute.record.sign.starts_with("never negative"));
    // Class 0 has no weights: the difference is class 1 with its sign turned, and class 0 alone is zero, in words.
    let turned = Case { target: Some(Target::Difference(0, 1)), ..case };
    assert_eq!(one(&net, "saliency", &[], &turned).map, Volume::from_fn(grid(SHAPE), |v| -weight(v)));
    let none = one(&net, "saliency", &[], &Case { target: Some(Target::Class(0)), ..case });
    assert!(none.record.warnings.iter().any(|w| w.contains("zero everywhere")));
}

#[test]
fn probabilities_scale_the_gradient() {
    // At p = softmax of the logits, dp_1/dx = p (1 - p) (w_1 - w_0).
    let net = linear(|[i, ..]| if i == 0 { 0.01 } else { 0.0 });
    let image = volume(SHAPE, 1);
    let case = Case { target: Some(Target::Class(1)), score: Score::Prob, ..Case::new("a", &image) };
    let map = one(&net, "saliency", &[], &case);
    let p = map.record.score;
    let logit = map.record.logits[1] - map.record.logits[0];
    assert!((p - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
    assert!((f64::from(map.map.at(0, 0, 0)) - 0.01 * p * (1.0 - p)).abs() < 1e-7);
    assert_eq!(map.record.target, "class 1 (male), probability");
}

#[test]
fn what_a_method_cannot_do_is_refused() {
    let net = linear(|_| 1.0);
    let image = volume(SHAPE, 0);
    let explain = |method: &str, settings: &[&str], case: &Case<'_>| {
        choose(&[method], settings, None)
            .and_then(|m| m[0].explain(&mut explainer_of(&net, 1), std::slice::from_ref(case)))
            .unwrap_err()
    };
    let case = Case::new("0042", &image);
    assert!(explain("guided-backprop", &[], &case).to_string().contains("0 of 0 ReLUs"));
    assert!(explain("grad-cam", &[], &case).remedy().unwrap().to_string().contains("input"));
    assert!(explain("grad-cam", &["grad-cam.layer=flat"], &case).to_string().contains("no volume"));
    assert!(explain("grad-cam", &["grad-cam.layer=nowhere"], &case).to_string().contains("nowhere"));
    assert!(explain("saliency", &[], &Case { target: Some(Target::True), ..case }).to_string().contains("0042"));
    let mut broken = image.clone();
    broken.data_mut()[200] = f32::NAN;
    let error = explain("saliency", &[], &Case::new("0042", &broken)).to_string();
    assert!(error.contains("0042") && error.contains("NaN"), "{error}");
    let error = explain("saliency", &[], &Case::new("0042", &volume([8, 9, 8], 0))).to_string();
    assert!(error.contains("[8, 9, 8]") && error.contains("[8, 9, 7]"), "{error}");
}

#[test]
fn hires_cam_sums_to_the_logit_without_bias() {
    let shape = [24, 30, 26];
    let net = paper(shape);
    let image = volume(shape, 2);
    for target in [Target::Class(0), Target::Class(1), Target::Difference(1, 0)] {
        let case = Case { target: Some(target), ..Case::new("a", &image) };
        let map = one(&net, "hires-cam", &[], &case);
        let m = &map.record.measured;
        assert!(m["Residual"].as_f64().unwrap().abs() < 1e-5, "{m}");
        let sum: f64 = map.native_resolution.unwrap().data().iter().map(|&v| f64::from(v)).sum();
        let bias = net.parameters().last().unwrap().tensor.data().to_vec();
        let bias = match target {
            Target::Class(c) => f64::from(bias[c]),
            _ => f64::from(bias[1]) - f64::from(bias[0]),
        };
        assert!((sum - (map.record.score - bias)).abs() < 1e-5, "{sum} {}", map.record.score);
    }
    // The identity is not claimed where it does not hold.
    let case = Case { score: Score::Prob, ..Case::new("a", &image) };
    assert!(one(&net, "hires-cam", &[], &case).record.measured.get("Residual").is_none());
}

/// One channel: the image itself, rectified and pooled by 2; class 1 is the mean of it, class 0 minus that.
fn mean_net(shape: [usize; 3]) -> Network {
    let mut net = Network::new([1, shape[0], shape[1], shape[2]]);
    let mut conv = Conv3d::new(1, 1, [3; 3]);
    let mut weight = vec![0.0; 27];
    weight[13] = 1.0;
    conv.weight = Tensor::new([1, 1, 3, 3, 3], weight);
    conv.bias = Some(Tensor::new([1], vec![0.0]));
    net.then("conv", conv).unwrap();
    net.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
    net.then("relu", Op::Relu).unwrap();
    net.then("mean", Op::GlobalAvgPool).unwrap();
    let mut last = Linear::new(1, 2);
    last.weight = Tensor::new([2, 1], vec![-1.0, 1.0]);
    last.bias = Tensor::new([2], vec![0.0; 2]);
    net.then("linear", last).unwrap();
    net
}

#[test]
fn class_activation_maps_lie_where_the_evidence_is() {
    let shape = [18, 22, 20];
    let net = mean_net(shape);
    // The 2^3 block that one pooled cell sees: cell (2, 7, 4) has voxels 5 to 6, 15 to 16, 9 to 10.
    let block = Volume::from_fn(grid(shape), |[i, j, k]| {
        f32::from(u8::from((5..7).contains(&i) && (15..17).contains(&j) && (9..11).contains(&k)))
    });
    for method in ["grad-cam", "hires-cam"] {
        let case = Case { target: Some(Target::Class(1)), ..Case::new("a", &block) };
        let map = one(&net, method, &[], &case);
        let own = map.native_resolution.as_ref().unwrap();
        assert_eq!(own.shape(), [8, 10, 9]);
        // Its centre is 5.5, 15.5, 9.5: first cell at 1.5, two voxels apart.
        let center = own.grid().affine.apply([2.0, 7.0, 4.0]);
        assert_eq!(center, grid(shape).affine.apply([5.5, 15.5, 9.5]));
        let peak = (0..map.map.data().len()).max_by(|&a, &b| map.map.data()[a].total_cmp(&map.map.data()[b])).unwrap();
        assert!(block.data()[peak] == 1.0, "{method}: {:?}", grid(shape).voxel(peak));
        // The mean over cells of dS/dA is 1/720 per cell, so a cell of 1 has 1/720 of the logit.
        assert!((own.at(2, 7, 4) - 1.0 / 720.0).abs() < 1e-8);
        assert!((map.record.score - 1.0 / 720.0).abs() < 1e-8);
        // Evidence against class 0 only: the rectified map is empty, in words, and no NaN.
        let settings = [format!("{method}.rectify=true")];
        let settings = settings.each_ref().map(String::as_str);
        let against = one(&net, method, &settings, &Case { target: Some(Target::Class(0)), ..case });
        assert!(against.map.data().iter().all(|&v| v == 0.0));
        assert!(against.record.warnings[0].contains("empty"), "{:?}", against.record.warnings);
    }
}

#[test]
fn the_same_bytes_in_any_batch_order_and_number_of_threads() {
    let shape = [24, 25, 23];
    let net = paper(shape);
    let volumes: Vec<_> = (0..3).map(|n| volume(shape, n)).collect();
    let regions = octants(shape);
    let case = |(id, v)| Case { regions: Some(&regions), ..Case::new(id, v) };
    let cases: Vec<_> = ["a", "b", "c"].into_iter().zip(&volumes).map(case).collect();
    for entry in METHODS {
        // Those that this network's head does not suit have tests of their own.
        if choose(&[entry.name], &SHORT, None).unwrap()[0]
            .suits(&with_training_subjects(&net, 1), Score::Logit)
            .is_err()
        {
            assert_eq!(entry.name, "cam");
            continue;
        }
        let mut explainer = with_training_subjects(&net, 1);
        let together = all_of(&mut explainer, entry.name, &SHORT, &cases);
        let mut explainer = with_training_subjects(&net, 3);
        for (case, expected) in cases.iter().zip(&together).rev() {
            let alone = all_of(&mut explainer, entry.name, &SHORT, std::slice::from_ref(case)).remove(0);
            assert_eq!(alone.map, expected.map, "{}: {}", entry.name, case.id);
            assert_eq!(alone.record, expected.record, "{}: {}", entry.name, case.id);
            assert!(!alone.record.units.is_empty() && !alone.record.sign.is_empty());
        }
        // Where no cell of Grad-CAM is positive, guided Grad-CAM has nothing to show.
        assert!(
            entry.name == "guided-grad-cam" || together.iter().any(|a| a.map.data().iter().any(|&v| v != 0.0)),
            "{}",
            entry.name
        );
    }
}

/// Logit 1 looks at the mean of one corner and, weakly, at the rest.
fn corner() -> Network {
    linear(|[i, j, k]| if i < 3 && j < 4 && k < 3 { 1.0 } else { 0.001 })
}

/// A checkerboard: blurring it changes every voxel.
fn checkerboard() -> Volume {
    Volume::from_fn(grid(SHAPE), |[i, j, k]| if i < 4 && j < 5 && k < 4 { 3.0 } else { 0.5 + ((i + j + k) % 2) as f32 })
}

#[test]
fn meaningful_perturbation_finds_the_corner_and_its_mask_is_the_one_evaluated() {
    let net = corner();
    let image = checkerboard();
    let mask = Mask::filled(grid(SHAPE), true);
    let case = Case { target: Some(Target::Class(1)), mask: Some(&mask), ..Case::new("a", &image) };
    let settings = ["spacing=6", "smooth=3", "blur=9", "iterations=80", "l1=1"];
    for game in ["delete", "preserve", "hybrid"] {
        let mut settings: Vec<_> = settings.iter().map(|s| format!("meaningful-perturbation.{s}")).collect();
        settings.push(format!("meaningful-perturbation.game={game}"));
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let map = one(&net, "meaningful-perturbation", &settings, &case);
        let m = &map.record.measured;
        println!("{game}: {m}");
        let data = map.map.data();
        assert!(data.iter().all(|v| (0.0..=1.0).contains(v)));
        let inside = |n: usize| (0..3).all(|a| grid(SHAPE).voxel(n)[a] < [3, 4, 3][a]);
        let mean = |want: bool| {
            let all: Vec<f32> = (0..data.len()).filter(|&n| inside(n) == want).map(|n| data[n]).collect();
            all.iter().sum::<f32>() / all.len() as f32
        };
        assert!(mean(true) > 4.0 * mean(false), "{game}: {} inside, {} outside", mean(true), mean(false));
        // Shown to the network again, the exported mask gives the recorded score.
        let baseline = blurred(&image);
        let score_of = |keeps: bool| {
            let shown = Volume::from_fn(grid(SHAPE), |[i, j, k]| {
                let n = grid(SHAPE).index(i, j, k);
                let keep = if keeps { data[n] } else { 1.0 - data[n] };
                keep * image.data()[n] + (1.0 - keep) * baseline[n]
            });
            one(&net, "saliency", &[], &Case { image: &shown, ..case }).record.score
        };
        let again = score_of(game == "preserve");
        let after = m["ScoreAfter"].as_f64().unwrap();
        assert!((again - after).abs() < 1e-3 * after.abs().max(1.0), "{game}: {again} {after}");
        let before = m["ScoreBefore"].as_f64().unwrap();
        assert!((before - map.record.score).abs() < 1e-9);
        if game != "preserve" {
            assert!(after < before);
        }
        // Class 0 has the logit 0.25 always, so that the log-odds of class 1 are its logit less that.
        if game == "hybrid" {
            let complement = m["AimOfComplementAfter"].as_f64().unwrap() + 0.25;
            assert!((score_of(true) - complement).abs() < 1e-3 * complement.abs(), "{complement}");
            assert!(complement > after, "what the mask holds scores more than what is left");
        }
    }
}

/// As `blur=9` of Meaningful Perturbation blurs: 3 voxels.
fn blurred(image: &Volume) -> Vec<f32> {
    let mut blurred = vec![0.0; image.data().len()];
    Separable::new(&SHAPE.map(|n| AxisMap::gaussian(n, 3.0))).apply(image.data(), &mut blurred);
    blurred
}

/// Blurring any voxel of the first half lowers the score of class 1, blurring one of the other half raises it, by 4/5 as much.
fn for_and_against(image: &Volume) -> Network {
    let baseline = blurred(image);
    linear(|[i, j, k]| {
        let n = grid(SHAPE).index(i, j, k);
        (image.data()[n] - baseline[n]).signum() * if i < 4 { 1.0 } else { -0.8 }
    })
}

#[test]
fn a_score_below_that_of_the_baseline_is_worth_no_area() {
    let image = checkerboard();
    let net = for_and_against(&image);
    let mask = Mask::filled(grid(SHAPE), true);
    let case = Case { target: Some(Target::Class(1)), mask: Some(&mask), ..Case::new("a", &image) };
    let settings = ["spacing=6", "smooth=3", "blur=9", "iterations=120", "l1=0.1"];
    let settings: Vec<_> = settings.iter().map(|s| format!("meaningful-perturbation.{s}")).collect();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let m = one(&net, "meaningful-perturbation", &settings, &case).record.measured;
    let number = |key: &str| m[key].as_f64().unwrap();
    assert!((number("Goal") - number("AimOfBaseline")).abs() < 1e-9 && number("Goal") < number("AimBefore"), "{m}");
    // The half that speaks for the class would take the score far below; the goal needs a part of it.
    assert!((number("AimAfter") - number("Goal")).abs() < 0.1 * number("AimScale"), "{m}");
    assert!(number("Area") < 0.35, "{m}");
}

#[test]
fn area_within_the_budget_is_free_and_more_is_dear() {
    let net = corner();
    let image = checkerboard();
    let mask = Mask::filled(grid(SHAPE), true);
    let case = Case { target: Some(Target::Class(1)), mask: Some(&mask), ..Case::new("a", &image) };
    let area = |budget: &str| {
        let settings = ["spacing=6", "smooth=3", "blur=9", "iterations=120", "l1=10", "tv=0", budget];
        let settings: Vec<_> = settings.iter().map(|s| format!("meaningful-perturbation.{s}")).collect();
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let record = one(&net, "meaningful-perturbation", &settings, &case).record;
        let m = &record.measured;
        (m["Area"].as_f64().unwrap(), m["AimAfter"].as_f64().unwrap())
    };
    let areas = ["budget=0.02", "budget=0.05"].map(area);
    println!("{areas:?}");
    for ((area, _), budget) in areas.iter().zip([0.02, 0.05]) {
        assert!(*area < 1.2 * budget && *area > 0.5 * budget, "{areas:?}");
    }
    assert!(areas[1].1 < areas[0].1, "a larger budget lowers the score further: {areas:?}");
}

#[test]
fn meaningful_perturbation_refuses_nonsense() {
    let net = corner();
    let image = checkerboard();
    for setting in ["iterations=0", "copies=0", "spacing=0", "beta=0.5", "l1=-1", "smooth=0mm", "budget=1"] {
        let setting = format!("meaningful-perturbation.{setting}");
        // By the schema of the option, or by the method itself.
        let error = choose(&["meaningful-perturbation"], &[setting.as_str()], None)
            .and_then(|methods| methods[0].explain(&mut explainer_of(&net, 1), &[Case::new("a", &image)]))
            .unwrap_err();
        assert!(error.to_string().contains("expected"), "{setting}: {error}");
    }
}
