//! Networks that PyTorch's exporters wrote, against what PyTorch computes.

use crate::support::{npy, witness::witness};
use std::path::{Path, PathBuf};
use voxplain_nn::import::onnx::{self, Head, Imported};
use voxplain_nn::{Engine, EngineOptions, Network, Op, PlanOptions, Purpose, Rules};

/// The three exports of a family.
const EXPORTS: [&str; 3] = ["dynamo", "torchscript", "torchscript.opset13"];

fn import(family: &str, export: &str) -> Option<Imported> {
    let path = witness(&format!("reference/onnx/{family}.{export}.onnx"))?;
    Some(onnx::read(&path, None).unwrap_or_else(|error| panic!("{error}")))
}

/// Outputs, and the gradient of the target by the input, of each input by itself.
fn agrees(family: &str) {
    let engine = Engine::new(EngineOptions { threads: Some(2), instruction_set: None }).unwrap();
    for export in EXPORTS {
        let Some(imported) = import(family, export) else { return };
        let arrays = npy::read_npz(&witness(&format!("reference/onnx/{family}.npz")).unwrap());
        let [(_, x), (shape, y), (_, g), (_, target)] = ["x", "y", "g", "target"].map(|name| arrays[name].clone());
        let (inputs, outputs, target) = (x.len() / 2, shape[1], target[0] as usize);
        let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: Vec::new() };
        let mut plan = engine.plan(&imported.network, &options).unwrap();
        for sample in 0..2 {
            let x: Vec<f32> = x[sample * inputs..][..inputs].iter().map(|&x| x as f32).collect();
            let mut tape = plan.forward(&x).unwrap();
            let scores: Vec<f64> = tape.output().iter().map(|&y| f64::from(y)).collect();
            let expected = &y[sample * outputs..][..outputs];
            let largest = expected.iter().fold(0.0f64, |most, y| most.max(y.abs()));
            // What the file says after its head, and the gradient of the target through that.
            let (found, start) = after(imported.head, &scores, target);
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest;
            let gradient = tape.backward(&start, &Rules::GRADIENT).unwrap().input;
            let g = &g[sample * inputs..][..inputs];
            let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
            let distance =
                norm(&mut gradient.iter().zip(g).map(|(&a, b)| f64::from(a) - b)) / norm(&mut g.iter().copied());
            println!("{family}.{export} {sample}: outputs {off:.1e}, gradient {distance:.1e}");
            assert!(off < 1e-5, "{family}.{export}: {found:?}, expected {expected:?}");
            if distance > 1e-4 {
                // Windows whose two largest values are the same up to rounding: which of them gets the gradient is chance, here
                // and in PyTorch.
                let ties = ties(&engine, &imported.network, &x);
                println!("{family}.{export} {sample}: {ties} windows tie");
                assert!(
                    ties > 0 && distance < 0.1,
                    "{family}.{export}: gradient off by {distance}, {ties} windows tie"
                );
            }
        }
    }
}

/// How many windows of max-pools have two largest values that differ by less than rounding makes of them.
fn ties(engine: &Engine, net: &Network, x: &[f32]) -> usize {
    let pools = net.nodes().iter().filter_map(|node| match &node.op {
        Op::MaxPool3d(pool) => Some((*pool, node.inputs[0])),
        _ => None,
    });
    let pools: Vec<_> = pools.collect();
    let keep = pools.iter().map(|(_, input)| *input).collect();
    let mut plan = engine.plan(net, &PlanOptions { purpose: Purpose::Infer, batch: 1, keep }).unwrap();
    let tape = plan.forward(x).unwrap();
    let mut ties = 0;
    for (pool, input) in pools {
        let value = tape.value(input).unwrap();
        let [c, i, j, k] = <[usize; 4]>::try_from(&value.shape()[1..]).unwrap();
        let starts = |axis: usize, length: usize| (0..=length - pool.kernel[axis]).step_by(pool.stride[axis]);
        for (channel, ai) in (0..c).flat_map(|channel| starts(0, i).map(move |ai| (channel, ai))) {
            for (aj, ak) in starts(1, j).flat_map(|aj| starts(2, k).map(move |ak| (aj, ak))) {
                let mut window: Vec<f32> = Vec::new();
                for di in 0..pool.kernel[0] {
                    for dj in 0..pool.kernel[1] {
                        let row = ((channel * i + ai + di) * j + aj + dj) * k + ak;
                        window.extend(&value.data()[row..row + pool.kernel[2]]);
                    }
                }
                window.sort_by(f32::total_cmp);
                ties += usize::from(matches!(window[..], [.., a, b] if b - a <= 1e-6 * b.abs() && b != 0.0));
            }
        }
    }
    ties
}

/// Outputs from scores, and the gradient of one of them by the scores.
fn after(head: Head, scores: &[f64], target: usize) -> (Vec<f64>, Vec<f32>) {
    let one = |n: usize| f64::from(u8::from(n == target));
    match head {
        Head::Scores => (scores.to_vec(), (0..scores.len()).map(|n| one(n) as f32).collect()),
        Head::LogSoftmax => {
            let sum = scores.iter().map(|s| s.exp()).sum::<f64>().ln();
            let found: Vec<f64> = scores.iter().map(|s| s - sum).collect();
            let start = (0..scores.len()).map(|n| (one(n) - found[n].exp()) as f32).collect();
            (found, start)
        }
        head => panic!("no file of these ends in {head:?}"),
    }
}

macro_rules! families {
    ($($test:ident $family:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            agrees($family);
        })*
    };
}

families! {
    densenet_agrees "densenet",
    resnet_of_basic_blocks_agrees "resnet-basic",
    resnet_of_bottlenecks_agrees "resnet-bottleneck",
    se_resnet_agrees "se-resnet",
    efficientnet_agrees "efficientnet",
    sfcn_agrees "sfcn",
    clinicadl_agrees "clinicadl",
    vgg_agrees "vgg-ceil",
    alexnet_agrees "alexnet",
    convnext_agrees "convnext",
    meshnet_agrees "meshnet",
    nnunet_encoder_agrees "nnunet-encoder",
    activations_agree "activations",
    regression_agrees "regression",
}

/// Networks of `tests/fixtures/generate_onnx.py`, whose outputs are images: outputs, and the gradient along a direction of
/// all of them. Where PyTorch in single precision is further off than 1e-5 and 1e-4, the engine may be four times as far as it.
fn images_agree(folder: &Path, name: &str) {
    let arrays = npy::read_npz(&folder.join(format!("{name}.npz")));
    let [(_, x), (shape, y), (_, r), (_, g)] = ["x", "y", "r", "g"].map(|name| arrays[name].clone());
    let noise = &arrays["noise"].1;
    let limits = [(4.0 * noise[0]).max(1e-5), (4.0 * noise[1]).max(1e-4)];
    let samples = shape[0];
    let (inputs, outputs) = (x.len() / samples, y.len() / samples);
    for export in ["dynamo", "torchscript"] {
        let Imported { network, head, .. } =
            onnx::read(&folder.join(format!("{name}.{export}.onnx")), None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(network.shape(network.output()).unwrap(), &shape[1..], "{name}.{export}");
        for threads in [1, 2] {
            let engine = Engine::new(EngineOptions { threads: Some(threads), instruction_set: None }).unwrap();
            let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: Vec::new() };
            let mut plan = engine.plan(&network, &options).unwrap();
            for sample in 0..samples {
                let x: Vec<f32> = x[sample * inputs..][..inputs].iter().map(|&x| x as f32).collect();
                let mut tape = plan.forward(&x).unwrap();
                let scores: Vec<f64> = tape.output().iter().map(|&y| f64::from(y)).collect();
                // A softmax over the channels of each voxel, and what it hands back.
                let (found, start) = match head {
                    Head::Scores => (scores, r.clone()),
                    Head::Softmax => by_voxel_softmax(&scores, &r, shape[1]),
                    head => panic!("no file of these ends in {head:?}"),
                };
                let y = &y[sample * outputs..][..outputs];
                let largest = y.iter().fold(0.0f64, |most, y| most.max(y.abs()));
                let off = found.iter().zip(y).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest;
                let start: Vec<f32> = start.iter().map(|&r| r as f32).collect();
                let gradient = tape.backward(&start, &Rules::GRADIENT).unwrap().input;
                let g = &g[sample * inputs..][..inputs];
                let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
                let distance =
                    norm(&mut gradient.iter().zip(g).map(|(&a, b)| f64::from(a) - b)) / norm(&mut g.iter().copied());
                println!("{name}.{export} {sample}: outputs {off:.1e}, gradient {distance:.1e}");
                assert!(off < limits[0] && distance < limits[1], "{name}.{export} {sample}: {off:.1e}, {distance:.1e}");
            }
        }
    }
}

fn by_voxel_softmax(scores: &[f64], r: &[f64], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let voxels = scores.len() / channels;
    let sums: Vec<f64> = (0..voxels).map(|v| scores.iter().skip(v).step_by(voxels).map(|s| s.exp()).sum()).collect();
    let p: Vec<f64> = scores.iter().enumerate().map(|(at, s)| s.exp() / sums[at % voxels]).collect();
    let along = |v: usize| (0..channels).map(|c| p[c * voxels + v] * r[c * voxels + v]).sum::<f64>();
    let means: Vec<f64> = (0..voxels).map(along).collect();
    let start = p.iter().zip(r).enumerate().map(|(at, (p, r))| p * (r - means[at % voxels])).collect();
    (p, start)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx")
}

#[test]
fn a_small_linknet_agrees() {
    images_agree(&fixtures(), "linknet");
}

#[test]
fn transposed_convolutions_and_resizing_agree() {
    images_agree(&fixtures(), "decoder");
    images_agree(&fixtures(), "decoder-pooled");
}

/// The two networks of deepbet on a head, where `VOXPLAIN_DEEPBET` names the folder that the script wrote.
#[test]
fn the_linknets_of_deepbet_agree() {
    let Some(folder) = std::env::var_os("VOXPLAIN_DEEPBET").map(PathBuf::from) else {
        eprintln!("skipped: set VOXPLAIN_DEEPBET to what tests/fixtures/generate_onnx.py deepbet writes");
        return;
    };
    images_agree(&folder, "bbox");
    images_agree(&folder, "brain");
}

/// TorchScript made constants of what the example image gave in the shortcuts.
#[test]
fn baked_activations_are_refused_with_the_reason() {
    for export in ["torchscript", "torchscript.opset13"] {
        let Some(path) = witness(&format!("reference/onnx/resnet-shortcut-a.{export}.onnx")) else { return };
        let error = onnx::read(&path, None).unwrap_err().to_string();
        assert!(error.contains("its constant has the shape [1, 16, 10, 12, 10] of a value of the network"), "{error}");
        assert!(error.contains("shortcut_type='A'"), "{error}");
    }
}
