//! [`conv5_fc3`]: the network of `ClinicaDL`.

use super::InputShape;
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pad3d, Pool3d, Result};

/// Units of the two hidden linear layers.
const HIDDEN: [usize; 2] = [1300, 50];

/// `Conv5_FC3` of `ClinicaDL` (Wen et al. 2020, doi 10.1016/j.media.2020.101694): five blocks of convolution (3 x 3 x 3, padding 1), batch
/// normalisation, ReLU and max-pooling by 2, of `width`, 2, 4, 8 and 16 times `width` channels; then dropout 0.5 and linear layers of 1300
/// and 50 units and of the outputs, ReLU between. Before a pool, an axis of odd length has a plane of zeros put at its start. As published,
/// `width` is 8.
///
/// It takes `[channels, i, j, k]` of any size and gives one logit per class. Names of nodes are those of the published code: `convolutions.0`,
/// `convolutions.1`, ... `fc.2`, `fc.4`, `fc.6`; the padding of a pool is `convolutions.3.pad`.
///
/// # Errors
/// A volume without voxels.
pub fn conv5_fc3(input: impl Into<InputShape>, width: usize, classes: usize) -> Result<Network> {
    let input = input.into();
    let mut net = input.network();
    let (mut channels, mut left) = (input.channels, input.voxels);
    for block in 0..5 {
        let out = width << block;
        let name = |n: usize| format!("convolutions.{}", 4 * block + n);
        net.then(&name(0), Conv3d::new(channels, out, [3; 3]).with_padding([1; 3]))?;
        net.then(&name(1), BatchNorm::new(out))?;
        net.then(&name(2), Op::Relu)?;
        let odd = left.map(|n| n % 2);
        if odd != [0; 3] {
            net.then(&format!("{}.pad", name(3)), Op::Pad3d(Pad3d::new(odd, [0; 3])))?;
        }
        net.then(&name(3), Op::MaxPool3d(Pool3d::new([2; 3])))?;
        (channels, left) = (out, left.map(|n| n.div_ceil(2)));
    }
    net.then("fc.0", Op::Flatten)?;
    net.then("fc.1", Op::Dropout { p: 0.5 })?;
    net.then("fc.2", Linear::new(channels * left.iter().product::<usize>(), HIDDEN[0]))?;
    net.then("fc.3", Op::Relu)?;
    net.then("fc.4", Linear::new(HIDDEN[0], HIDDEN[1]))?;
    net.then("fc.5", Op::Relu)?;
    net.then("fc.6", Linear::new(HIDDEN[1], classes))?;
    Ok(net)
}
