//! Deletion and insertion: by hand, by their definition with the reference executor, by their laws, and over a whole run.

use crate::support::{SHAPE, brain, engine, explainer_of, grid, linear, small_run, volume};
use voxplain_attribution::Case;
use voxplain_core::{Silent, Table};
use voxplain_nn::{Conv3d, Linear, Network, Op, Pool3d, reference};
use voxplain_study::evaluation::faithfulness::{
    MapCurves, Metric, Options, Ranking, Settings, Substrate, Summary, Trace, curves, evaluate,
};
use voxplain_volume::{Border, Mask, Volume};

const BOTH: [Metric; 2] = [Metric::Deletion, Metric::Insertion];

/// Blocks of one voxel, blur alone.
fn plain(steps: usize) -> Settings {
    Settings { steps, substrates: vec![Substrate::Blur], block: 1.0, ..Settings::default() }
}

/// Convolution, ReLU, pool, linear layer; of random weights.
fn small() -> Network {
    let mut network = Network::new([1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    network.then("conv", Conv3d::new(1, 4, [3; 3]).with_padding([1; 3])).unwrap();
    network.then("relu", Op::Relu).unwrap();
    network.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
    network.then("flat", Op::Flatten).unwrap();
    network.then("linear", Linear::new(4 * 4 * 4 * 3, 2)).unwrap();
    network.initialize(3);
    network
}

fn traces(network: &Network, map: &Volume, settings: &Settings) -> Vec<Trace> {
    let (image, brain) = (volume(SHAPE, 3), brain());
    let case = Case { mask: Some(&brain), ..Case::new("a", &image) };
    curves(&mut explainer_of(network, 2), &case, (map, 1), &BOTH, settings).unwrap().1
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (n, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() < tolerance, "{n}: {a} {b}");
    }
}

/// With a linear network and the substrate `s`, taking voxel `n` out costs `w_n (x_n - s_n)`: the curve is known, and no order beats that
/// of falling cost.
#[test]
fn a_linear_network_by_hand() {
    let weight = |[i, j, k]: [usize; 3]| 0.004 * ((i * 5 + j * 3 + k * 7) % 9) as f32 - 0.016;
    let network = linear(weight);
    let (image, brain) = (volume(SHAPE, 3), brain());
    let substrate = image.smooth(10.0, Border::Renormalize);
    let cost =
        Volume::from_fn(grid(SHAPE), |v| weight(v) * (image.at(v[0], v[1], v[2]) - substrate.at(v[0], v[1], v[2])));
    let mut order: Vec<usize> = (0..cost.data().len()).filter(|&n| brain.data()[n]).collect();
    order.sort_by(|&a, &b| cost.data()[b].total_cmp(&cost.data()[a]));
    let steps = 20;
    let score = |x: &Volume| -> f64 {
        0.25 + x.data().iter().enumerate().map(|(n, v)| f64::from(weight(x.grid().voxel(n)) * v)).sum::<f64>()
    };
    let taken = |step: usize| -> f64 {
        let count = (step as f64 * order.len() as f64 / steps as f64 + 0.5).floor() as usize;
        order[..count].iter().map(|&n| f64::from(cost.data()[n])).sum()
    };
    let all = taken(steps);
    let deletion: Vec<f64> = (0..=steps).map(|s| logistic(score(&image) - taken(s))).collect();
    let insertion: Vec<f64> = (0..=steps).map(|s| logistic(score(&image) - all + taken(s))).collect();
    let found = traces(&network, &cost, &plain(steps));
    assert_eq!((found[0].metric, found[1].metric), (Metric::Deletion, Metric::Insertion));
    close(&found[0].curve, &deletion, 2e-5);
    close(&found[1].curve, &insertion, 2e-5);
    for step in 0..=steps {
        assert!(found[0].curve[step] <= found[0].random[step] + 1e-5, "no order takes out more");
        assert!(found[1].curve[step] >= found[1].random[step] - 1e-5, "no order puts back more");
    }
    // Orders that go by the weight or by the value alone are not as good.
    for other in [cost.map(|v| v.abs()), image.clone(), Volume::from_fn(grid(SHAPE), weight)] {
        let other = traces(&network, &other, &plain(steps));
        assert!(other[0].auc() > found[0].auc() + 1e-3 && other[1].auc() < found[1].auc() - 1e-3);
    }
}

/// Gauss-Seidel until nothing moves.
fn laplace(image: &Volume, hole: &[usize]) -> Volume {
    let (mut values, shape) = (image.data().iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), image.shape());
    let strides = [shape[1] * shape[2], shape[2], 1];
    for _ in 0..3000 {
        for &n in hole {
            let at = image.grid().voxel(n);
            let (mut sum, mut count) = (0.0, 0.0);
            for axis in 0..3 {
                if at[axis] > 0 {
                    sum += values[n - strides[axis]];
                    count += 1.0;
                }
                if at[axis] + 1 < shape[axis] {
                    sum += values[n + strides[axis]];
                    count += 1.0;
                }
            }
            values[n] = sum / count;
        }
    }
    Volume::new(*image.grid(), values.into_iter().map(|v| v as f32).collect()).unwrap()
}

/// The definition, one volume after another: blocks of 2 x 2 x 2 by their mean, steps by rounding, the network by the scalar reference.
#[test]
fn a_network_by_the_definition() {
    let network = small();
    let (image, brain) = (volume(SHAPE, 3), brain());
    // Of either sign, and so that no two blocks tie.
    let map = Volume::from_fn(grid(SHAPE), |[i, j, k]| (((i * 63 + j * 7 + k) * 137 % 504) as f32).sqrt() - 14.0);
    let steps = 7;
    let settings = Settings { steps, ..Settings::default() };
    let voxels: Vec<usize> = (0..map.data().len()).filter(|&n| brain.data()[n]).collect();
    let block = |n: usize| map.grid().voxel(n).map(|x| x / 2);
    for ranking in [Ranking::Signed, Ranking::Absolute] {
        let of = |n: usize| {
            let value = f64::from(map.data()[n]);
            if ranking == Ranking::Absolute { value.abs() } else { value }
        };
        let mean = |n: usize| {
            let of: Vec<f64> = voxels.iter().filter(|&&m| block(m) == block(n)).map(|&m| of(m)).collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        let found = traces(&network, &map, &Settings { ranking, ..settings.clone() });
        assert_eq!(found.len(), 4);
        for trace in found {
            for step in 0..=steps {
                let count = (step as f64 * voxels.len() as f64 / steps as f64 + 0.5).floor() as usize;
                let mut order: Vec<(f64, [usize; 3], usize)> =
                    voxels.iter().map(|&n| (-mean(n), block(n), n)).collect();
                order.sort_by(|a, b| a.partial_cmp(b).unwrap());
                let (taken, left) = order.split_at(count);
                let hole: Vec<usize> =
                    if trace.metric == Metric::Deletion { taken } else { left }.iter().map(|v| v.2).collect();
                let filled = match trace.substrate {
                    Substrate::Harmonic => laplace(&image, &hole),
                    Substrate::Blur => {
                        let blurred = image.smooth(10.0, Border::Renormalize);
                        let mut values = image.data().to_vec();
                        hole.iter().for_each(|&n| values[n] = blurred.data()[n]);
                        Volume::new(*image.grid(), values).unwrap()
                    }
                };
                let tape = reference::forward(&network, filled.data(), reference::Mode::Evaluate).unwrap();
                let z = tape.output();
                let expected = logistic(z[1] - z[0]);
                let tolerance = if trace.substrate == Substrate::Blur { 2e-5 } else { 1e-3 };
                assert!(
                    (trace.curve[step] - expected).abs() < tolerance,
                    "{:?} {:?} {step}: {} {expected}",
                    trace.metric,
                    trace.substrate,
                    trace.curve[step]
                );
            }
        }
    }
}

#[test]
fn ends_are_the_image_and_the_substrate_and_orders_mirror() {
    let network = small();
    // No two voxels tie, and 378 voxels are 6 steps of 63.
    let map = Volume::from_fn(grid(SHAPE), |[i, j, k]| ((i * 63 + j * 7 + k) * 137 % 504) as f32 - 250.0);
    let voxels = brain().data().iter().filter(|b| **b).count();
    assert_eq!(voxels % 6, 0, "{voxels}");
    let settings = Settings { substrates: vec![Substrate::Blur, Substrate::Harmonic], ..plain(6) };
    let (there, back) = (traces(&network, &map, &settings), traces(&network, &map.map(|v| -v), &settings));
    let image = volume(SHAPE, 3);
    let case = Case::new("a", &image);
    let logits = explainer_of(&network, 1).logits(&[case]).unwrap().remove(0);
    let score = logistic(f64::from(logits[1]) - f64::from(logits[0]));
    for substrate in 0..2 {
        let (deletion, insertion) = (&there[substrate], &there[2 + substrate]);
        assert!((deletion.curve[0] - score).abs() < 1e-9 && (insertion.curve[6] - score).abs() < 1e-9);
        assert_eq!(deletion.curve[6], insertion.curve[0], "all of it replaced");
        assert_eq!((deletion.random[0], deletion.random[6]), (deletion.curve[0], deletion.curve[6]));
        // What is taken out first in one order is put back last in the other.
        let mut mirrored = back[2 + substrate].curve.clone();
        mirrored.reverse();
        close(&deletion.curve, &mirrored, if substrate == 0 { 1e-12 } else { 1e-3 });
    }
    let scaled = traces(&network, &map.map(|v| 1e-6 * v), &settings);
    assert_eq!(scaled, there, "the size of a map does not matter");
}

#[test]
fn a_map_that_says_nothing_is_its_control() {
    let network = small();
    let settings = Settings { steps: 9, ..Settings::default() };
    for constant in [0.0, -0.0, 0.3] {
        for trace in traces(&network, &Volume::filled(grid(SHAPE), constant), &settings) {
            assert_eq!(trace.curve, trace.random);
            assert!(trace.curve.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }
    // Half of it zero: the other half comes first, and the rest as in the control, so that both end alike.
    let map = Volume::from_fn(grid(SHAPE), |[i, ..]| if i < 4 { 1.0 + i as f32 } else { 0.0 });
    let half = traces(&network, &map, &plain(9));
    assert!(half.iter().all(|t| t.curve != t.random && t.curve[9] == t.random[9]));
}

#[test]
fn odd_brains_and_settings() {
    let network = small();
    let image = volume(SHAPE, 3);
    let map = image.map(|v| v.sin());
    let mut explainer = explainer_of(&network, 1);
    let mut of = |mask: &Mask, map: &Volume, settings: &Settings| {
        curves(&mut explainer, &Case { mask: Some(mask), ..Case::new("a", &image) }, (map, 1), &BOTH, settings)
    };
    // One voxel, with more steps than voxels; all voxels, so that no boundary is left.
    let one = Mask::from_fn(grid(SHAPE), |v| v == [4, 4, 4]);
    let all = Mask::filled(grid(SHAPE), true);
    for mask in [&one, &all] {
        let (blocks, traces) = of(mask, &map, &Settings { steps: 5, ..Settings::default() }).unwrap();
        assert_eq!(blocks.voxels(), mask.data().iter().filter(|b| **b).count());
        assert!(traces.iter().flat_map(|t| t.curve.iter().chain(&t.random)).all(|p| (0.0..=1.0).contains(p)));
        assert!(traces.iter().all(|t| t.curve.len() == 6));
        assert_eq!(traces[1].curve[5], traces[3].curve[0]);
    }
    let ok = Settings::default();
    let mut error = |map: &Volume, settings: Settings| of(&all, map, &settings).unwrap_err().to_string();
    assert!(error(&map, Settings { steps: 0, ..ok.clone() }).contains("0 steps"));
    assert!(error(&map, Settings { substrates: vec![], ..ok.clone() }).contains("no substrate"));
    assert!(error(&map, Settings { blur: f64::NAN, ..ok.clone() }).contains("NaN mm"));
    assert!(error(&map, Settings { block: 0.0, ..ok.clone() }).contains("0 mm"));
    assert!(error(&map.map(|_| f32::NAN), ok.clone()).contains("not numbers"));
    assert!(error(&Volume::filled(grid([2, 2, 2]), 0.0), ok).contains("[2, 2, 2]"));
}

#[test]
fn the_same_bits_for_any_batch_and_number_of_threads() {
    let network = small();
    let (image, brain) = (volume(SHAPE, 3), brain());
    let map = image.map(|v| v.cos());
    let case = Case { mask: Some(&brain), ..Case::new("a", &image) };
    let settings = Settings { steps: 6, ..Settings::default() };
    let of = |threads, memory, metrics: &[Metric]| {
        let mut explainer = explainer_of(&network, threads).with_memory_limit(memory);
        curves(&mut explainer, &case, (&map, 1), metrics, &settings).unwrap().1
    };
    let all = of(1, None, &BOTH);
    assert_eq!(of(3, None, &BOTH), all);
    assert_eq!(of(2, None, &[Metric::Insertion]), all[2..]);
    let one = {
        let plan = voxplain_nn::PlanOptions { purpose: voxplain_nn::Purpose::Infer, batch: 1, keep: Vec::new() };
        engine(2).memory(&network, &plan).unwrap().total()
    };
    assert_eq!(of(2, Some(one + one / 2), &BOTH), all, "one volume at a time");
}

#[test]
fn a_run_is_measured_whole_and_not_twice() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let options = Options {
        metrics: BOTH.to_vec(),
        settings: Settings { steps: 5, ..Settings::default() },
        ..Options::default()
    };
    let measured = |options: &Options| evaluate(&engine(2), &run, options, &Silent);
    let found = measured(&options).unwrap();
    assert_eq!(found.iter().map(|s| s.found.len()).collect::<Vec<_>>(), [4, 4], "two methods, two substrates");
    let evaluation = run.path.join("evaluation");
    for (metric, summary) in BOTH.iter().zip(&found) {
        assert_eq!(Summary::read(&run, *metric).unwrap().as_ref(), Some(summary));
        let table = Table::read(&evaluation.join(format!("{}.tsv", metric.word()))).unwrap();
        assert_eq!(table.rows.len(), 8);
        let column = |name| table.column(name).unwrap();
        let number = |row: &[Option<String>], name| row[column(name)].as_deref().unwrap().parse::<f64>().unwrap();
        for row in &table.rows {
            let (id, method) = (row[0].as_deref().unwrap(), row[1].as_deref().unwrap());
            let file =
                evaluation.join(format!("sub-{id}/sub-{id}_desc-{}_{}.json", method.replace('-', ""), metric.word()));
            let kept: MapCurves = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let of = |t: &&Trace| Some(t.substrate.word()) == row[2].as_deref();
            let trace = kept.traces.iter().find(of).unwrap();
            // Written with six digits.
            assert!((number(row, "auc") - trace.auc()).abs() < 1e-5);
            assert!((number(row, "difference") - (trace.auc() - trace.random_auc())).abs() < 1e-5);
            assert_eq!(kept.block_voxels, [2; 3]);
        }
        for found in &summary.found {
            let of: Vec<f64> = table
                .rows
                .iter()
                .filter(|r| r[1].as_ref() == Some(&found.method) && r[2].as_deref() == Some(found.substrate.word()))
                .map(|r| number(r, "difference"))
                .collect();
            assert!((of.iter().sum::<f64>() / of.len() as f64 - found.difference.mean).abs() < 1e-5);
            assert_eq!((found.maps, found.curve.len(), found.random_curve.len()), (2, 6, 6));
        }
    }
    // What is there is taken as it is: a curve that was changed stays changed, unless it is to be made again.
    let file = evaluation.join("sub-p2/sub-p2_desc-saliency_deletion.json");
    let text = std::fs::read(&file).unwrap();
    let mut changed: MapCurves = serde_json::from_slice(&text).unwrap();
    changed.traces[0].curve[2] = 0.123;
    std::fs::write(&file, serde_json::to_vec(&changed).unwrap()).unwrap();
    assert_ne!(measured(&options).unwrap(), found);
    assert_eq!(measured(&Options { force: true, ..options.clone() }).unwrap(), found);
    assert_eq!(std::fs::read(&file).unwrap(), text, "the same bytes");
    // Other settings are another measurement; other subjects are not.
    std::fs::write(&file, serde_json::to_vec(&changed).unwrap()).unwrap();
    let other = Options { settings: Settings { steps: 4, ..options.settings.clone() }, ..options.clone() };
    assert_eq!(measured(&other).unwrap()[0].found[0].curve.len(), 5);
    let one =
        Options { subjects: Some(vec!["sub-p3".into()]), methods: Some(vec!["saliency".into()]), ..options.clone() };
    let one = measured(&one).unwrap();
    assert_eq!((one[0].found.len(), one[0].found[0].maps, one[0].found[0].difference.low), (2, 1, None));
}

#[test]
fn what_cannot_be_measured_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let options = Options { metrics: vec![Metric::Deletion], settings: plain(3), ..Options::default() };
    let error = |options: Options| {
        let error = evaluate(&engine(1), &run, &options, &Silent).unwrap_err();
        format!("{error} {}", error.remedy().unwrap())
    };
    let stranger = error(Options { subjects: Some(vec!["p0".into()]), ..options.clone() });
    assert!(stranger.contains("\"p0\" was held out") && stranger.contains("p2, p3"), "{stranger}");
    let lacking = error(Options { methods: Some(vec!["lrp".into()]), ..options.clone() });
    assert!(lacking.contains("2 of 2 subjects have no map of lrp") && lacking.contains("`method` = lrp"), "{lacking}");
    // A map that was made by another model.
    let sidecar = run.path.join("sub-p3/sub-p3_desc-saliency_attribution.json");
    let text = std::fs::read_to_string(&sidecar).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["Model"] = "another".into();
    record.as_object_mut().unwrap().remove("Checksum");
    std::fs::write(&sidecar, record.to_string()).unwrap();
    let foreign = error(options.clone());
    assert!(
        foreign.contains("another model") && foreign.contains("`force`") && foreign.contains("sub-p3"),
        "{foreign}"
    );
    std::fs::remove_dir_all(run.path.join("sub-p2")).unwrap();
    std::fs::remove_dir_all(run.path.join("sub-p3")).unwrap();
    assert!(error(options).contains("no maps yet"));
}
