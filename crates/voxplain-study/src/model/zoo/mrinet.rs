//! [`mrinet`]: the network of Kan et al. 2020.

use super::InputShape;
use crate::setting::GRID;
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d};

/// The network of Kan et al. 2020 (arXiv 2006.15969): three blocks of convolution (3 x 3 x 3, without padding),
/// batch normalisation, ReLU and max-pooling by 2; then dropout 0.5 and one linear layer. The blocks have `width`,
/// `2 width` and `4 width` channels. It takes `[channels, i, j, k]` and gives one logit per class, or one value. In the paper, `width` is 32
/// and the input 58 x 70 x 58.
///
/// Names of nodes are those of the published `best_model_all_grad`: `features.0` ... `features.10`,
/// `classifier.0` (max-pool), `classifier.1` (flatten), `classifier.2` (dropout), `classifier.3` (linear).
/// Weights are all zero until [`Network::initialize`].
///
/// # Errors
/// A width that is not from 1 to 256, no output, or a shape below [`min_shape`].
pub fn mrinet(input: impl Into<InputShape>, width: usize, outputs: usize) -> Result<Network> {
    let input = input.into();
    let shape = input.voxels;
    if width == 0 || width > 256 {
        return Err(Error::request(format!("a network of width {width}"), "give a width from 1 to 256, such as 8"));
    }
    if outputs == 0 {
        return Err(Error::request("a network without an output", "give an output for each class, or one for a value"));
    }
    let min = min_shape();
    if (0..3).any(|a| shape[a] < min[a]) {
        let [i, j, k] = min;
        return Err(Error::request(
            format!("mrinet cannot take volumes of {shape:?}: the least it can take is {i} x {j} x {k}"),
            remedy![format!("prepare the cohort on a grid of at least {i}x{j}x{k} ("), GRID, ")"],
        ));
    }
    let mut net = input.network();
    let mut position = 0;
    let mut channels = input.channels;
    for stage in 0..3 {
        let out = width << stage;
        let pool = Op::MaxPool3d(Pool3d::new([2; 3]));
        let ops = [Conv3d::new(channels, out, [3; 3]).into(), BatchNorm::new(out).into(), Op::Relu];
        for op in ops {
            net.then(&format!("features.{position}"), op)?;
            position += 1;
        }
        let name = if stage < 2 { format!("features.{position}") } else { "classifier.0".into() };
        net.then(&name, pool)?;
        position += 1;
        channels = out;
    }
    net.then("classifier.1", Op::Flatten)?;
    net.then("classifier.2", Op::Dropout { p: 0.5 })?;
    let features = net.outputs();
    net.then("classifier.3", Linear::new(features, outputs))?;
    Ok(net)
}

/// The shape next to `shape` of which [`mrinet`] sees every voxel, each on all its ways: no pool leaves a rest. Of two that are
/// as near, the larger.
pub fn whole_shape(shape: [usize; 3]) -> [usize; 3] {
    let min = min_shape();
    let whole = |n: usize, axis: usize| {
        let mut shape = min;
        shape[axis] = n;
        mrinet(shape, 1, 2).is_ok_and(|net| {
            let reach = net.input_reach();
            reach.blind() + reach.partial() == 0
        })
    };
    std::array::from_fn(|axis| {
        let n = shape[axis].max(min[axis]);
        (0..n).flat_map(|by| [n + by, n - by]).find(|&n| n >= min[axis] && whole(n, axis)).unwrap_or(n)
    })
}

/// The smallest shape that [`mrinet`] can take: each block turns `n` voxels into `(n - 2) / 2`, and one must be left.
pub fn min_shape() -> [usize; 3] {
    let mut n = 1;
    for _ in 0..3 {
        n = 2 * n + 2;
    }
    [n; 3]
}
