//! Laws of the methods that take parts out, on networks small enough to know the answer.

use crate::support::{SHAPE, engine, grid, mrinet, volume};
use std::collections::BTreeMap;
use voxplain_attribution::{Attribution, Case, Explainer, METHODS, Regions, Target, TrainingSubjects, choose};
use voxplain_nn::{Linear, Network, Op, Tensor};
use voxplain_volume::{Labels, Mask, Volume};

fn explainer_of(network: &Network) -> Explainer {
    let classes: Vec<_> = (0..network.outputs()).map(|c| format!("c{c}")).collect();
    Explainer::new(&engine(2), network, &classes, "test".into()).unwrap()
}

fn one(network: &Network, method: &str, settings: &[&str], case: &Case<'_>) -> Attribution {
    let settings: Vec<_> = settings.iter().map(|s| format!("{method}.{s}")).collect();
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let method = choose(&[method], &settings, None).unwrap().remove(0);
    method.explain(&mut explainer_of(network), std::slice::from_ref(case)).unwrap().remove(0)
}

/// Three classes: class 0 always 0.25, class 1 the sum of weight times voxel and 0.5, class 2 minus twice that sum.
fn linear(weight: impl Fn([usize; 3]) -> f32) -> Network {
    let grid = grid(SHAPE);
    let of = |n| weight(grid.voxel(n));
    let mut weights = vec![0.0; grid.len()];
    weights.extend((0..grid.len()).map(of));
    weights.extend((0..grid.len()).map(|n| -2.0 * of(n)));
    let mut net = Network::new([1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    net.then("flat", Op::Flatten).unwrap();
    let mut last = Linear::new(grid.len(), 3);
    last.weight = Tensor::new([3, grid.len()], weights);
    last.bias = Tensor::new([3], vec![0.25, 0.5, 0.0]);
    net.then("linear", last).unwrap();
    net
}

/// Rises and falls, positive and negative, in steps that float32 holds exactly.
fn weight([i, j, k]: [usize; 3]) -> f32 {
    ((i * 5 + j * 3 + k * 7) % 9) as f32 / 8.0 - 0.5
}

const CLASS_1: Option<Target> = Some(Target::Class(1));

#[test]
fn occlusion_of_ones_by_zero_one_voxel_at_a_time_is_the_weights() {
    let image = Volume::filled(grid(SHAPE), 1.0);
    let case = Case { target: CLASS_1, ..Case::new("a", &image) };
    let map = one(&linear(weight), "occlusion", &["window=3", "stride=3", "baseline=zero"], &case);
    for (n, v) in map.map.data().iter().enumerate() {
        assert!((v - weight(grid(SHAPE).voxel(n))).abs() < 1e-4);
    }
    assert_eq!(map.record.passes.forward, 505);
    let difference = Case { target: Some(Target::Difference(2, 1)), ..case };
    let map = one(&linear(weight), "occlusion", &["window=3", "stride=3", "baseline=zero"], &difference);
    for (n, v) in map.map.data().iter().enumerate() {
        assert!((v + 3.0 * weight(grid(SHAPE).voxel(n))).abs() < 1e-4);
    }
}

#[test]
fn occlusion_is_the_mean_over_the_boxes_that_cover_a_voxel() {
    // Boxes of 4 every 3: along 8 voxels they are -1..3, 2..6, 5..9; along 9 -0..4, 3..7, 6..10; along 7 0..4, 3..7.
    let spans = [vec![0..3, 2..6, 5..8], vec![0..4, 3..7, 6..9], vec![0..4, 3..7]];
    let image = volume(SHAPE, 0);
    let brain = Mask::filled(grid(SHAPE), true);
    let case = Case { target: CLASS_1, mask: Some(&brain), ..Case::new("a", &image) };
    let map = one(&linear(weight), "occlusion", &["window=12", "stride=9", "baseline=image-mean"], &case);
    let mean = image.data().iter().map(|&v| f64::from(v)).sum::<f64>() / image.data().len() as f64;
    let lost = |at: [usize; 3]| f64::from(weight(at)) * (f64::from(image.at(at[0], at[1], at[2])) - mean);
    for n in 0..image.data().len() {
        let at = grid(SHAPE).voxel(n);
        let (mut sum, mut count) = (0.0, 0.0);
        for i in spans[0].iter().filter(|s| s.contains(&at[0])) {
            for j in spans[1].iter().filter(|s| s.contains(&at[1])) {
                for k in spans[2].iter().filter(|s| s.contains(&at[2])) {
                    count += 1.0;
                    for a in i.clone() {
                        for b in j.clone() {
                            sum += k.clone().map(|c| lost([a, b, c])).sum::<f64>();
                        }
                    }
                }
            }
        }
        assert!((f64::from(map.map.data()[n]) - sum / count).abs() < 1e-3, "{at:?}");
    }
}

#[test]
fn boxes_that_change_nothing_are_not_sent_through_the_network() {
    let image = Volume::from_fn(grid(SHAPE), |[i, j, k]| f32::from(u8::from(i < 2 && j < 3 && k < 2)));
    let case = Case { target: CLASS_1, ..Case::new("a", &image) };
    let record = one(&linear(weight), "occlusion", &["window=3", "stride=3", "baseline=zero"], &case).record;
    assert_eq!((record.passes.forward, record.measured["Boxes"].as_u64()), (13, Some(12)));
    // A mask of the whole volume: boxes of zeros are in it, and change nothing.
    let brain = Mask::filled(grid(SHAPE), true);
    let whole = Case { mask: Some(&brain), ..case };
    let again = one(&linear(weight), "occlusion", &["window=3", "stride=3", "baseline=zero"], &whole).record;
    assert_eq!(again.passes, record.passes);
    assert_eq!(again.measured["BoxesThatChangeNothing"].as_u64(), Some(504 - 12));
    assert_eq!(again.measured["BoxesOutsideTheBrain"].as_u64(), Some(0));
}

#[test]
fn harmonic_filling_of_a_linear_image_changes_nothing_inside() {
    let image = Volume::from_fn(grid(SHAPE), |[i, j, k]| 1.0 + i as f32 + 2.0 * j as f32 + 0.5 * k as f32);
    let case = Case { target: CLASS_1, ..Case::new("a", &image) };
    let map = one(&linear(weight), "occlusion", &["window=3", "stride=3", "baseline=harmonic"], &case).map;
    let blurred = one(&linear(weight), "occlusion", &["window=3", "stride=3", "baseline=blur"], &case).map;
    for n in 0..image.data().len() {
        let at = grid(SHAPE).voxel(n);
        if (0..3).all(|a| at[a] > 0 && at[a] + 1 < SHAPE[a]) {
            assert!(map.data()[n].abs() < 1e-3, "{at:?} {}", map.data()[n]);
        }
    }
    assert!(map.data()[0].abs() > 0.1, "at a corner the neighbours do not tell");
    assert!(blurred.data().iter().any(|v| v.abs() > 0.1));
}

/// Boxes of 2 x 3 x 3 voxels that belong to so many regions by turns, and to none (0).
fn labels(shape: [usize; 3], players: u32) -> Labels {
    Labels::from_fn(grid(shape), |[i, j, k]| (i / 2 + 2 * (j / 3) + 3 * (k / 3)) as u32 % (players + 1))
}

fn regions(shape: [usize; 3], players: u32) -> Regions {
    let labels = labels(shape, players);
    let names = (1..=players).map(|id| (id, (format!("region {id}"), None))).collect();
    Regions::new(labels, names, "boxes".into())
}

fn column(map: &Attribution, name: &str) -> Vec<f64> {
    map.record.measured["Regions"].as_array().unwrap().iter().map(|r| r[name].as_f64().unwrap()).collect()
}

/// Each region's voxels by its place in the record; the last is what no region covers.
fn members(players: u32, shape: [usize; 3]) -> Vec<Vec<usize>> {
    let labels = labels(shape, players);
    let of = |id: u32| (0..labels.data().len()).filter(|&n| labels.data()[n] == id).collect();
    (1..=players).chain([0]).map(of).collect()
}

#[test]
fn regions_of_a_linear_network_are_worth_their_sums_by_every_method() {
    let image = volume(SHAPE, 1);
    let brain = Mask::filled(grid(SHAPE), true);
    let regions = regions(SHAPE, 5);
    let net = linear(weight);
    for target in [Target::Class(1), Target::Difference(2, 0)] {
        let times = if target == Target::Class(1) { 1.0 } else { -2.0 };
        let case = Case { target: Some(target), mask: Some(&brain), regions: Some(&regions), ..Case::new("a", &image) };
        let mean = image.data().iter().map(|&v| f64::from(v)).sum::<f64>() / image.data().len() as f64;
        let worth = |n: usize| times * f64::from(weight(grid(SHAPE).voxel(n))) * (f64::from(image.data()[n]) - mean);
        let expected: Vec<f64> = members(5, SHAPE).iter().map(|m| m.iter().map(|&n| worth(n)).sum()).collect();
        for (method, name, settings) in [
            ("region-occlusion", "LostWithout", &["baseline=image-mean"][..]),
            ("region-occlusion", "GainedAlone", &["baseline=image-mean"]),
            ("kernel-shap", "Value", &["baseline=image-mean"]),
            ("kernel-shap", "Value", &["baseline=image-mean", "samples=30"]),
            ("shapley-sampling", "Value", &["baseline=image-mean", "permutations=4"]),
        ] {
            let map = one(&net, method, settings, &case);
            for (value, expected) in column(&map, name).iter().zip(&expected) {
                assert!((value - expected).abs() < 1e-3, "{method} {settings:?}: {value} {expected}");
            }
            if name == "Value" {
                assert!(column(&map, "StandardError").iter().all(|&e| e < 1e-3), "{method}");
            }
            // The map has each region's value at its voxels; a Shapley value is shared out among them.
            let painted = column(&map, if name == "Value" { "Value" } else { "LostWithout" });
            for (members, value) in members(5, SHAPE).iter().zip(painted) {
                let value = if name == "Value" { value / members.len() as f64 } else { value };
                assert!(members.iter().all(|&n| (f64::from(map.map.data()[n]) - value).abs() < 1e-6));
            }
        }
    }
}

const SMALL: [usize; 3] = [16, 18, 15];

fn convolutional() -> Network {
    let mut net = mrinet([24, 25, 24], 4, 2);
    net.initialize(3);
    net
}

/// Scores of an image with only these parts, the others 0.
fn worths(net: &Network, image: &Volume, parts: &[Vec<usize>], target: Target) -> Vec<f64> {
    let mut explainer = explainer_of(net);
    let method = choose(&["saliency"], &[], None).unwrap().remove(0);
    (0..1usize << parts.len())
        .map(|set| {
            let mut shown = image.clone();
            for (_, part) in parts.iter().enumerate().filter(|(p, _)| set >> p & 1 == 0) {
                part.iter().for_each(|&n| shown.data_mut()[n] = 0.0);
            }
            let case = Case { target: Some(target), ..Case::new("a", &shown) };
            method.explain(&mut explainer, &[case]).unwrap()[0].record.score
        })
        .collect()
}

/// The definition: mean gain over all coalitions of the others, each by `|T|! (M - |T| - 1)! / M!`.
fn shapley(worths: &[f64], players: usize) -> Vec<f64> {
    let factorial = |n: usize| (1..=n).map(|x| x as f64).product::<f64>();
    let value = |player: usize| {
        let others = (0..worths.len()).filter(|set| set >> player & 1 == 0);
        others
            .map(|set| {
                let t = set.count_ones() as usize;
                let weight = factorial(t) * factorial(players - t - 1) / factorial(players);
                weight * (worths[set | 1 << player] - worths[set])
            })
            .sum()
    };
    (0..players).map(value).collect()
}

#[test]
fn shapley_values_are_those_of_all_coalitions() {
    let shape = [24, 25, 24];
    let net = convolutional();
    let image = volume(shape, 2);
    let regions = regions(shape, 7);
    let case = Case { target: CLASS_1, regions: Some(&regions), ..Case::new("a", &image) };
    let parts = members(7, shape);
    let worths = worths(&net, &image, &parts, Target::Class(1));
    let exact = shapley(&worths, 8);
    let whole = worths[255] - worths[0];
    println!("exact {exact:?}");
    let kernel = one(&net, "kernel-shap", &["baseline=zero"], &case);
    assert_eq!(kernel.record.measured["Exact"].as_bool(), Some(true));
    for (value, exact) in column(&kernel, "Value").iter().zip(&exact) {
        assert!((value - exact).abs() < 1e-5, "{value} {exact}");
    }
    for (method, settings) in [
        ("kernel-shap", &["baseline=zero", "samples=250"][..]),
        ("shapley-sampling", &["baseline=zero", "permutations=200"]),
    ] {
        let map = one(&net, method, settings, &case);
        let (values, errors) = (column(&map, "Value"), column(&map, "StandardError"));
        println!("{method} {values:?} {errors:?}");
        for ((value, error), exact) in values.iter().zip(&errors).zip(&exact) {
            assert!((value - exact).abs() < 5.0 * error + 1e-6, "{method}: {value} {error} {exact}");
        }
        // An error as large as the values would let anything pass.
        let largest = exact.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(errors.iter().all(|&e| e > 0.0 && e < 0.3 * largest), "{method}: {errors:?}");
        assert!((values.iter().sum::<f64>() - whole).abs() < 1e-5, "{method}");
        assert!(map.record.measured["SumResidual"].as_f64().unwrap().abs() < 1e-5);
    }
}

#[test]
fn who_changes_nothing_is_worth_nothing_and_names_do_not_matter() {
    let shape = [24, 25, 24];
    let net = convolutional();
    let parts = members(4, shape);
    // The third region is black already.
    let mut image = volume(shape, 3);
    parts[2].iter().for_each(|&n| image.data_mut()[n] = 0.0);
    let brain = Mask::filled(grid(shape), true);
    let plain = regions(shape, 4);
    let case = Case { target: CLASS_1, mask: Some(&brain), regions: Some(&plain), ..Case::new("a", &image) };
    // The first and the fourth change their numbers.
    let labels = labels(shape, 4);
    let names: BTreeMap<_, _> = (1..=4).map(|id| (id, (format!("{id}"), None))).collect();
    let turned = Regions::new(labels.map(|&l| [0, 4, 2, 3, 1][l as usize]), names, "turned".into());
    for (method, settings) in [
        ("kernel-shap", &["baseline=zero"][..]),
        ("shapley-sampling", &["baseline=zero", "permutations=20"]),
        ("region-occlusion", &["baseline=zero"]),
    ] {
        let map = one(&net, method, settings, &case);
        assert!(parts[2].iter().all(|&n| map.map.data()[n].abs() < 1e-6), "{method}");
        let again = one(&net, method, settings, &Case { regions: Some(&turned), ..case });
        if method != "shapley-sampling" {
            let apart = map.map.data().iter().zip(again.map.data()).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(apart < 1e-5, "{method}: {apart}");
        }
    }
}

#[test]
fn methods_by_region_say_what_they_miss() {
    let image = volume(SHAPE, 0);
    let net = linear(weight);
    let run = |settings: &[&str], method: &str, case: &Case<'_>| {
        // By the schema of the option, or by the method itself.
        choose(&[method], settings, None)
            .and_then(|methods| methods[0].explain(&mut explainer_of(&net), std::slice::from_ref(case)))
            .unwrap_err()
    };
    let case = Case::new("0042", &image);
    for entry in METHODS.iter().filter(|m| m.by_region) {
        let error = run(&[], entry.name, &case);
        assert!(
            error.to_string().contains(entry.name) && error.remedy().unwrap().to_string().contains("atlas"),
            "{error}"
        );
        let other = regions(SMALL, 3);
        let error = run(&[], entry.name, &Case { regions: Some(&other), ..case });
        assert!(error.to_string().contains("0042") && error.to_string().contains("[16, 18, 15]"), "{error}");
        // All of the brain where no region is.
        let none = regions(SHAPE, 5);
        let brain =
            Mask::from_fn(grid(SHAPE), |at| members(5, SHAPE)[5].contains(&grid(SHAPE).index(at[0], at[1], at[2])));
        let error = run(&[], entry.name, &Case { regions: Some(&none), mask: Some(&brain), ..case });
        assert!(error.to_string().contains("no region"), "{error}");
    }
    let regions = regions(SHAPE, 5);
    let case = Case { regions: Some(&regions), ..case };
    for (method, setting) in [
        ("occlusion", "occlusion.stride=17mm"),
        ("occlusion", "occlusion.window=0"),
        ("occlusion", "occlusion.blur=0"),
        ("rise", "rise.masks=3"),
        ("rise", "rise.cells=0"),
        ("rise", "rise.probability=1"),
        ("rise", "rise.baseline=harmonic"),
        ("extremal-perturbation", "extremal-perturbation.sigma=4"),
        ("extremal-perturbation", "extremal-perturbation.levels=1"),
        ("extremal-perturbation", "extremal-perturbation.iterations=0"),
        ("kernel-shap", "kernel-shap.samples=8"),
        ("shapley-sampling", "shapley-sampling.permutations=5"),
    ] {
        let error = run(&[setting], method, &case);
        assert!(error.remedy().is_some(), "{setting}: {error}");
    }
    assert!(choose(&["extremal-perturbation"], &["extremal-perturbation.areas=0,5"], None).is_err());
    assert!(choose(&["occlusion"], &["occlusion.baseline=grey"], None).unwrap_err().to_string().contains("harmonic"));
}

#[test]
fn rise_is_its_expectation_on_a_linear_network() {
    // Shown M x + (1 - M) b, the score is a sum of w (x - b) M, so that the expected map at a voxel is the sum over voxels of
    // w (x - b) times the covariance of their masks over p (1 - p): the weights of the cells that both share, over all shifts.
    let image = volume(SHAPE, 1);
    let brain = Mask::filled(grid(SHAPE), true);
    let case = Case { target: CLASS_1, mask: Some(&brain), ..Case::new("a", &image) };
    let mean = image.data().iter().map(|&v| f64::from(v)).sum::<f64>() / image.data().len() as f64;
    let cells = 2;
    let share = |a: usize, u: usize, v: usize| -> f64 {
        let pitch = SHAPE[a].div_ceil(cells);
        let weights = |at: usize, shift: usize| {
            let x = (((at + shift) as f64 + 0.5) / pitch as f64 - 0.5).clamp(0.0, cells as f64);
            let mut of = vec![0.0; cells + 2];
            of[x.floor() as usize] = 1.0 - x.fract();
            of[x.floor() as usize + 1] += x.fract();
            of
        };
        let one = |shift| weights(u, shift).iter().zip(weights(v, shift)).map(|(a, b)| a * b).sum::<f64>();
        (0..pitch).map(one).sum::<f64>() / pitch as f64
    };
    let tables: Vec<Vec<Vec<f64>>> =
        (0..3).map(|a| (0..SHAPE[a]).map(|u| (0..SHAPE[a]).map(|v| share(a, u, v)).collect()).collect()).collect();
    let expected: Vec<f64> = (0..image.data().len())
        .map(|n| {
            let u = grid(SHAPE).voxel(n);
            (0..image.data().len())
                .map(|m| {
                    let v = grid(SHAPE).voxel(m);
                    let together: f64 = (0..3).map(|a| tables[a][u[a]][v[a]]).product();
                    together * f64::from(weight(v)) * (f64::from(image.data()[m]) - mean)
                })
                .sum()
        })
        .collect();
    for settings in [&["cells=2", "masks=4000"][..], &["cells=2", "masks=4000", "probability=0.3"]] {
        let map = one(&linear(weight), "rise", settings, &case);
        let m = &map.record.measured;
        println!("{m}");
        let largest = m["LargestStandardError"].as_f64().unwrap();
        let spread = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(largest < 0.2 * spread, "{largest} {spread}");
        let squared = map.map.data().iter().zip(&expected).map(|(v, e)| (f64::from(*v) - e).powi(2));
        let error = (squared.sum::<f64>() / 504.0).sqrt();
        let median = m["MedianStandardError"].as_f64().unwrap();
        assert!(error < 2.5 * median, "{error} {median}");
        for (n, (v, e)) in map.map.data().iter().zip(&expected).enumerate() {
            assert!((f64::from(*v) - e).abs() < 5.0 * largest, "{:?}: {v} {e}", grid(SHAPE).voxel(n));
        }
    }
}

#[test]
fn sampling_depends_on_seed_and_subject_alone() {
    let image = volume(SHAPE, 1);
    let net = linear(weight);
    let regions = regions(SHAPE, 5);
    let case = Case { target: CLASS_1, regions: Some(&regions), ..Case::new("a", &image) };
    let map = |seed: &str, case: &Case<'_>| one(&net, "rise", &["masks=8", seed], case).map;
    assert_eq!(map("seed=1", &case), map("seed=1", &case));
    assert_ne!(map("seed=1", &case), map("seed=2", &case));
    assert_ne!(map("seed=1", &case), map("seed=1", &Case { id: "b", ..case }));
}

#[test]
fn extremal_perturbation_finds_the_corner_and_its_mask_is_the_one_evaluated() {
    // 36 of 504 voxels have nearly all of the score.
    let net = linear(|[i, j, k]| if i < 3 && j < 4 && k < 3 { 1.0 } else { 0.001 });
    let image = volume(SHAPE, 1);
    let brain = Mask::filled(grid(SHAPE), true);
    let case = Case { target: CLASS_1, mask: Some(&brain), ..Case::new("a", &image) };
    for game in ["preserve", "delete", "hybrid"] {
        let game_setting = format!("game={game}");
        let settings = ["areas=4,9", "step=3", "sigma=4.5", "baseline=zero", "objective=score", &game_setting];
        let map = one(&net, "extremal-perturbation", &settings, &case);
        let m = &map.record.measured;
        println!("{game}: {m}");
        let data = map.map.data();
        assert!(data.iter().all(|v| (0.0..=1.0).contains(v)));
        let inside = |n: usize| (0..3).all(|a| grid(SHAPE).voxel(n)[a] < [3, 4, 3][a]);
        let mean = |want: bool| {
            let all: Vec<f32> = (0..data.len()).filter(|&n| inside(n) == want).map(|n| data[n]).collect();
            all.iter().sum::<f32>() / all.len() as f32
        };
        assert!(mean(true) > 8.0 * mean(false), "{game}: {} inside, {} outside", mean(true), mean(false));
        let area = m["AreaOfMask"].as_f64().unwrap();
        assert!((area - m["Area"].as_f64().unwrap()).abs() < 0.03, "{game}: {area}");
        let score_of = |keeps: bool| {
            let shown = Volume::from_fn(grid(SHAPE), |[i, j, k]| {
                let n = grid(SHAPE).index(i, j, k);
                image.data()[n] * if keeps { data[n] } else { 1.0 - data[n] }
            });
            one(&net, "saliency", &[], &Case { image: &shown, ..case }).record.score
        };
        let sides: &[bool] = match game {
            "preserve" => &[true],
            "delete" => &[false],
            _ => &[true, false],
        };
        for (side, after) in sides.iter().zip(m["ScoresAfter"].as_array().unwrap()) {
            assert!((score_of(*side) - after.as_f64().unwrap()).abs() < 1e-3, "{game}");
        }
    }
}

#[test]
fn the_area_of_an_extremal_mask_counts_outside_the_brain_too() {
    // The score lies at the edge of the brain, and bumps there reach beyond it.
    let net = linear(|[i, _, k]| if i == 3 && k < 4 { 1.0 } else { 0.001 });
    let image = volume(SHAPE, 1);
    let brain = Mask::from_fn(grid(SHAPE), |[i, ..]| i < 4);
    let case = Case { target: CLASS_1, mask: Some(&brain), ..Case::new("a", &image) };
    let settings = ["areas=25", "step=3", "sigma=4.5", "baseline=zero", "objective=score"];
    let map = one(&net, "extremal-perturbation", &settings, &case);
    let m = &map.record.measured;
    println!("{m}");
    let number = |key: &str| m[key].as_f64().unwrap();
    let voxels = brain.data().iter().filter(|b| **b).count() as f64;
    for (key, inside) in [("AreaInBrain", true), ("AreaOutside", false)] {
        let there = map.map.data().iter().zip(brain.data()).filter(|(_, b)| **b == inside);
        let sum: f64 = there.map(|(m, _)| f64::from(*m)).sum();
        assert!(number(key) > 0.01 && (number(key) - sum / voxels).abs() < 1e-6, "{key}: {}", number(key));
    }
    assert!((number("AreaInBrain") + number("AreaOutside") - number("AreaOfMask")).abs() < 1e-9);
    assert!((number("AreaOfMask") - 0.25).abs() < 0.06, "{}", number("AreaOfMask"));
}

#[test]
fn the_cohort_stands_in_and_says_how_strange_the_images_were() {
    let net = convolutional();
    let shape = [24, 25, 24];
    let people: Vec<_> = (0..8).map(|n| volume(shape, 10 + n)).collect();
    let image = volume(shape, 2);
    let regions = regions(shape, 4);
    let case = Case { target: CLASS_1, regions: Some(&regions), ..Case::new("a", &image) };
    let methods = ["occlusion", "region-occlusion", "rise", "kernel-shap", "shapley-sampling"];
    for name in methods.iter().chain(&["meaningful-perturbation", "extremal-perturbation"]) {
        let settings = [
            format!("{name}.baseline=cohort-mean"),
            "occlusion.stride=16".into(),
            "rise.masks=20".into(),
            "meaningful-perturbation.iterations=5".into(),
            "extremal-perturbation.iterations=5".into(),
            "shapley-sampling.permutations=4".into(),
        ];
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let method = choose(&[*name], &settings, None).unwrap().remove(0);
        let error = method.explain(&mut explainer_of(&net), &[case]).unwrap_err();
        assert!(error.to_string().contains("people that the model was trained on"), "{name}: {error}");
        let listed = people.iter().enumerate().map(|(n, v)| (format!("p{n}"), n % 2, [v.clone()]));
        let mut explainer = explainer_of(&net).with_training_subjects(TrainingSubjects::of_volumes(listed, 2));
        let map = method.explain(&mut explainer, &[case]).unwrap().remove(0);
        let distance = &map.record.measured["DistanceFromTraining"];
        println!("{name}: {distance}");
        let [own, shown, others] = ["OfImage", "OfShown", "OfPeople"].map(|k| &distance[k]);
        assert!(own.as_f64().unwrap() > 0.0 && shown["Median"].as_f64().unwrap() > 0.0, "{distance}");
        assert_eq!(others["Count"].as_u64(), Some(8));
    }
    // On a linear network one voxel at a time: its weight times its difference from the mean of the people.
    let people: Vec<_> = (0..4).map(|n| volume(SHAPE, 10 + n)).collect();
    let listed = people.iter().enumerate().map(|(n, v)| (format!("p{n}"), n % 2, [v.clone()]));
    let mut explainer = explainer_of(&linear(weight)).with_training_subjects(TrainingSubjects::of_volumes(listed, 3));
    let image = volume(SHAPE, 1);
    let settings = ["occlusion.window=3", "occlusion.stride=3", "occlusion.baseline=cohort-mean"];
    let method = choose(&["occlusion"], &settings, None).unwrap().remove(0);
    let map =
        method.explain(&mut explainer, &[Case { target: CLASS_1, ..Case::new("a", &image) }]).unwrap().remove(0).map;
    for (n, v) in map.data().iter().enumerate() {
        let mean = people.iter().map(|p| p.data()[n]).sum::<f32>() / 4.0;
        let expected = weight(grid(SHAPE).voxel(n)) * (image.data()[n] - mean);
        assert!((v - expected).abs() < 1e-3, "{n}: {v} {expected}");
    }
}
