//! [`densenet`]: densely connected networks in three dimensions.

use super::InputShape;
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, NodeId, Op, Pool3d, Result};

/// Channels between the two convolutions of a layer, for each that it adds.
const BOTTLENECK: usize = 4;

/// The densely connected network of Huang et al. 2017 (arXiv 1608.06993) with kernels of three dimensions, as MONAI has it: a
/// convolution of 7 x 7 x 7 with step 2, batch normalisation, ReLU, max-pooling 3 by 2; blocks of so many `layers`, each of
/// which adds `growth` channels to all before it; between blocks a transition to half the channels and half the size; the
/// mean of each channel and one linear layer. The first convolution has `2 growth` channels. In the paper, `growth` is 32.
///
/// It takes `[channels, i, j, k]` and gives one logit per class. Names of nodes are MONAI's: `features.conv0`,
/// `features.denseblock1.denselayer1.layers.norm1` ... `features.norm5`, `class_layers.out`.
///
/// # Errors
/// A volume that the transitions leave nothing of.
pub fn densenet(input: impl Into<InputShape>, layers: &[usize], growth: usize, classes: usize) -> Result<Network> {
    let input = input.into();
    let width = 2 * growth;
    let mut net = input.network();
    let first = Conv3d::new(input.channels, width, [7; 3]);
    net.then("features.conv0", first.with_stride([2; 3]).with_padding([3; 3]).without_bias())?;
    net.then("features.norm0", BatchNorm::new(width))?;
    net.then("features.relu0", Op::Relu)?;
    let pool = Op::MaxPool3d(Pool3d::new([3; 3]).with_stride([2; 3]).with_padding([1; 3]));
    let mut last = net.then("features.pool0", pool)?;
    let mut channels = width;
    for (block, &count) in layers.iter().enumerate() {
        for n in 0..count {
            let name = format!("features.denseblock{}.denselayer{}", block + 1, n + 1);
            last = layer(&mut net, &name, (last, channels), growth)?;
            channels += growth;
        }
        if block + 1 < layers.len() {
            let name = format!("features.transition{}", block + 1);
            net.then(&format!("{name}.norm"), BatchNorm::new(channels))?;
            net.then(&format!("{name}.relu"), Op::Relu)?;
            net.then(&format!("{name}.conv"), Conv3d::new(channels, channels / 2, [1; 3]).without_bias())?;
            last = net.then(&format!("{name}.pool"), Op::AvgPool3d(Pool3d::new([2; 3])))?;
            channels /= 2;
        }
    }
    net.then("features.norm5", BatchNorm::new(channels))?;
    net.then("class_layers.relu", Op::Relu)?;
    net.then("class_layers.pool", Op::GlobalAvgPool)?;
    net.then("class_layers.out", Linear::new(channels, classes))?;
    Ok(net)
}

/// A layer on the node `input` of so many `channels`: what it adds comes behind them.
fn layer(net: &mut Network, name: &str, (input, channels): (NodeId, usize), growth: usize) -> Result<NodeId> {
    let between = BOTTLENECK * growth;
    net.add(&format!("{name}.layers.norm1"), BatchNorm::new(channels), &[input])?;
    net.then(&format!("{name}.layers.relu1"), Op::Relu)?;
    net.then(&format!("{name}.layers.conv1"), Conv3d::new(channels, between, [1; 3]).without_bias())?;
    net.then(&format!("{name}.layers.norm2"), BatchNorm::new(between))?;
    net.then(&format!("{name}.layers.relu2"), Op::Relu)?;
    let conv = Conv3d::new(between, growth, [3; 3]).with_padding([1; 3]).without_bias();
    let added = net.then(&format!("{name}.layers.conv2"), conv)?;
    net.add(&format!("{name}.concat"), Op::Concat, &[input, added])
}
