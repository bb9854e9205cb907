//! [`sfcn`]: the network of Peng et al. 2021.

use super::InputShape;
use voxplain_nn::{BatchNorm, Conv3d, Network, Op, Pool3d, Result};

/// The simple fully convolutional network of Peng et al. 2021 (doi 10.1016/j.media.2020.101871): five blocks of convolution
/// (3 x 3 x 3, padding 1), batch normalisation, max-pooling by 2 and ReLU, of `width`, 2, 4, 8 and 8 times `width` channels; a
/// block of 1 x 1 x 1 convolution with twice `width` channels; then the mean of each channel, dropout 0.5 and a
/// 1 x 1 x 1 convolution to the classes. In the paper, `width` is 32 and the input 160 x 192 x 160.
///
/// It takes `[channels, i, j, k]`, each length from 32, and gives one logit per class. The mean is over all positions, which is the
/// paper's window of 5 x 6 x 5 at the paper's size. The paper's softmax over age bins is left to the loss.
///
/// Names of nodes are those of the published code (github.com/ha-ha-ha-han/UKBiobank_deep_pretrain):
/// `feature_extractor.conv_0.0` ... `feature_extractor.conv_5.2`, `classifier.conv_6`.
///
/// # Errors
/// A volume that the five pools leave nothing of.
pub fn sfcn(input: impl Into<InputShape>, width: usize, classes: usize) -> Result<Network> {
    let input = input.into();
    let mut net = input.network();
    let mut channels = input.channels;
    for (block, times) in [1, 2, 4, 8, 8].into_iter().enumerate() {
        let out = width * times;
        let ops = [
            Conv3d::new(channels, out, [3; 3]).with_padding([1; 3]).into(),
            BatchNorm::new(out).into(),
            Op::MaxPool3d(Pool3d::new([2; 3])),
            Op::Relu,
        ];
        for (n, op) in ops.into_iter().enumerate() {
            net.then(&format!("feature_extractor.conv_{block}.{n}"), op)?;
        }
        channels = out;
    }
    let out = width * 2;
    let ops = [Conv3d::new(channels, out, [1; 3]).into(), BatchNorm::new(out).into(), Op::Relu];
    for (n, op) in ops.into_iter().enumerate() {
        net.then(&format!("feature_extractor.conv_5.{n}"), op)?;
    }
    let left = input.voxels.map(|n| n >> 5);
    net.then("classifier.average_pool", Op::AvgPool3d(Pool3d::new(left)))?;
    net.then("classifier.dropout", Op::Dropout { p: 0.5 })?;
    net.then("classifier.conv_6", Conv3d::new(out, classes, [1; 3]))?;
    net.then("classifier.flatten", Op::Flatten)?;
    Ok(net)
}
