//! Small random networks: every operation, in any order that fits.

use voxplain_core::random::Random;
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, NodeId, Op, Pool3d};

/// A random network for small volumes, with weights that are odd multiples of 2^-9 (so that small steps from
/// them are exact, and no bias alone puts a ReLU at its kink), and statistics unlike the initial ones. It ends in two classes.
pub(crate) fn random_net(random: &mut Random) -> Network {
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
        let half = kernel.map(|kernel| kernel / 2);
        let pool = Pool3d::new(kernel).with_stride(stride);
        let pool = if random.chance(0.5) { pool.with_padding(half) } else { pool };
        let op = match random.below(16) {
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
                    Op::GeluTanh,
                    Op::Sigmoid,
                    Op::Tanh,
                    Op::ScaledElu { alpha: 1.5, scale: 1.25 },
                    Op::Silu,
                    Op::Mish,
                    Op::Softplus,
                    Op::HardSigmoid { slope: 0.3, offset: 0.4 },
                    Op::HardSwish,
                    Op::Clip { low: -0.7, high: 0.9 },
                ];
                kinds[random.below(kinds.len())].clone()
            }
            12 => Op::Dropout { p: 0.4 },
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
