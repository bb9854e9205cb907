//! Small random networks: every operation, in any order that fits.

use voxplain_core::random::Random;
use voxplain_nn::{
    Alignment, BatchNorm, Conv3d, ConvTranspose3d, Interpolation, Linear, Network, NodeId, NormOver, Op, Pad3d, Pool3d,
    Prelu, Resize3d, SampleNorm,
};

/// A random network for small volumes, with weights that are odd multiples of 2^-9 (so that small steps from
/// them are exact, and no bias alone puts a ReLU at its kink), and statistics unlike the initial ones. It ends in two classes.
pub(crate) fn random_net(random: &mut Random) -> Network {
    draw(random, false)
}

/// The same with every operation: more activations, groups of channels, other windows, normalisation by a sample's own
/// statistics, products. Of [`random_net`] the definitions beside relevance and reach are written out, and its seeds that once fell
/// stay what they were.
pub(crate) fn wide_net(random: &mut Random) -> Network {
    draw(random, true)
}

fn draw(random: &mut Random, wide: bool) -> Network {
    let mut three =
        |low: usize, high: usize| -> [usize; 3] { std::array::from_fn(|_| low + random.below(high - low + 1)) };
    let [i, j, k] = three(3, 7);
    let channels = three(1, 3)[0];
    let mut net = Network::new([channels, i, j, k]);
    for number in 0..2 + random.below(6) {
        let mut three =
            |low: usize, high: usize| -> [usize; 3] { std::array::from_fn(|_| low + random.below(high - low + 1)) };
        let (kernel, stride, padding, dilation) = (three(1, 3), three(1, 2), three(0, 1), three(1, 2));
        let shape = net.shape(net.output()).unwrap().to_vec();
        let name = format!("layer.{number}");
        let conv = Conv3d::new(shape[0], 1 + random.below(4), kernel).with_padding(padding);
        let conv = if random.chance(0.5) { conv.with_stride(stride) } else { conv };
        let conv = if random.chance(0.3) { conv.with_dilation(dilation) } else { conv };
        let conv = if random.chance(0.3) { conv.without_bias() } else { conv };
        let conv = if wide && random.chance(0.3) {
            Conv3d { output: shape[0] * (1 + random.below(2)), ..conv }.with_groups(shape[0])
        } else {
            conv
        };
        let half = kernel.map(|kernel| kernel / 2);
        let pool = Pool3d::new(kernel).with_stride(stride);
        let pool = if random.chance(0.5) { pool.with_padding(half) } else { pool };
        let windows = |random: &mut Random| Pool3d {
            dilation: if random.chance(0.3) { dilation } else { [1; 3] },
            padding_end: random.chance(0.2).then(|| half.map(|half| half.min(1))),
            ceil: random.chance(0.3),
            inside: random.chance(0.5),
            ..pool
        };
        let pool = if wide { windows(random) } else { pool };
        let sides = [padding, dilation.map(|n| n - 1)];
        let op = match random.below(if wide { 24 } else { 16 }) {
            0..4 => conv.into(),
            4 | 5 => BatchNorm::new(shape[0]).into(),
            6 | 7 => Op::Relu,
            8 => Op::MaxPool3d(pool),
            9 => Op::AvgPool3d(pool),
            10 => Op::LeakyRelu { slope: 0.25 },
            11 => {
                let kinds = [
                    Op::Elu,
                    Op::Gelu,
                    Op::Sigmoid,
                    Op::Tanh,
                    Op::GeluTanh,
                    Op::ScaledElu { alpha: 1.5, scale: 1.25 },
                    Op::Silu,
                    Op::Mish,
                    Op::Softplus,
                    Op::HardSigmoid { slope: 0.3, offset: 0.4 },
                    Op::HardSwish,
                    Op::Clip { low: -0.7, high: 0.9 },
                ];
                kinds[random.below(if wide { kinds.len() } else { 4 })].clone()
            }
            12 => Op::Dropout { p: 0.4 },
            16 => Op::Pad3d(Pad3d { value: 0.125, ..Pad3d::new(sides[0], sides[1]) }),
            17 => Prelu::new(shape[0]).into(),
            18 => SampleNorm::new(shape[0], NormOver::Groups(if random.chance(0.5) { 1 } else { shape[0] })).into(),
            19 if random.chance(0.3) => SampleNorm::new(shape[0], NormOver::Channels).into(),
            19 => {
                let (trunk, gate) = (net.output(), if random.chance(0.5) { Op::GlobalAvgPool } else { Op::Sigmoid });
                let gate = net.then(&format!("{name}.gate"), gate).unwrap();
                net.add(&name, Op::Multiply, &[trunk, gate]).unwrap();
                continue;
            }
            20 | 21 => larger(random, &shape, [kernel, stride, padding, dilation]),
            22 => resized(random, &shape),
            23 => {
                let trunk = net.output();
                let shift = net.then(&format!("{name}.shift"), Op::GlobalAvgPool);
                shift.and_then(|shift| net.add(&name, Op::Add, &[trunk, shift])).unwrap();
                continue;
            }
            13 | 14 => {
                let branch = net.then(&format!("{name}.branch"), Op::Tanh).unwrap();
                let trunk = NodeId(branch.0 - 1);
                let join = if random.chance(0.5) { Op::Add } else { Op::Concat };
                net.add(&name, join, &[trunk, branch]).unwrap();
                continue;
            }
            _ => conv.into(),
        };
        // What does not fit is left out.
        let _ = net.then(&name, op);
    }
    let flatten = if random.chance(0.3) { Op::GlobalAvgPool } else { Op::Flatten };
    net.then("flat", flatten).unwrap();
    let features = net.outputs();
    net.then("head", Linear::new(features, 2)).unwrap();
    if random.chance(0.3) {
        net.then("log_softmax", Op::LogSoftmax).unwrap();
    }
    let state = net
        .state()
        .into_iter()
        .map(|parameter| {
            let mut tensor = parameter.tensor.clone();
            let low = if parameter.name.ends_with("running_var") { 0.5 } else { -0.5 };
            tensor.data_mut().fill_with(|| (((random.range(low, low + 1.0) * 256.0).floor() + 0.5) / 256.0) as f32);
            (parameter.name, tensor)
        })
        .collect();
    net.load_state(state).unwrap();
    net
}

/// A transposed convolution of a volume of a shape; some in groups, some whose end loses more than their start.
fn larger(random: &mut Random, shape: &[usize], window: [[usize; 3]; 4]) -> Op {
    let [kernel, stride, padding, dilation] = window;
    let groups = if random.chance(0.3) { shape[0] } else { 1 };
    let conv = ConvTranspose3d::new(shape[0], groups * (1 + random.below(3)), kernel)
        .with_stride(stride)
        .with_padding(padding)
        .with_groups(groups)
        .with_output_padding(std::array::from_fn(|axis| {
            let more = random.below(3);
            if more == 2 { -1 } else { isize::from(more == 1 && stride[axis] > 1) }
        }));
    let conv = if random.chance(0.3) { conv.with_dilation(dilation) } else { conv };
    if random.chance(0.3) { conv.without_bias().into() } else { conv.into() }
}

/// A volume of a shape on another grid.
fn resized(random: &mut Random, shape: &[usize]) -> Op {
    let size = std::array::from_fn(|axis| 1 + random.below(2 * shape[axis + 1]));
    let interpolations = [
        Interpolation::Before,
        Interpolation::Behind,
        Interpolation::NearestBefore,
        Interpolation::NearestBehind,
        Interpolation::Linear,
        Interpolation::Linear,
    ];
    let alignments = [Alignment::Centres, Alignment::CentresOrFirst, Alignment::Corners, Alignment::Starts];
    let scale = random.chance(0.2).then(|| std::array::from_fn(|_| random.range(0.5, 2.0)));
    Op::Resize3d(Resize3d {
        size,
        interpolation: interpolations[random.below(interpolations.len())],
        alignment: alignments[random.below(alignments.len())],
        scale,
    })
}
