//! [`resnet`]: residual networks in three dimensions.

use super::InputShape;
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, NodeId, Op, Pool3d, Result};

/// What a residual block computes beside its shortcut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResnetBlock {
    /// Two convolutions of 3 x 3 x 3.
    Basic,
    /// Convolutions of 1, 3 and 1 voxels; the last has four times the channels.
    Bottleneck,
}

impl ResnetBlock {
    /// Channels that a block gives for each of its own.
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }

    /// The kernels of its convolutions.
    fn kernels(self) -> &'static [usize] {
        match self {
            Self::Basic => &[3, 3],
            Self::Bottleneck => &[1, 3, 1],
        }
    }

    /// Which of them takes the step of the stage.
    fn strided(self) -> usize {
        match self {
            Self::Basic => 0,
            Self::Bottleneck => 1,
        }
    }
}

/// The residual network of He et al. 2016 (arXiv 1512.03385) with kernels of three dimensions, as MONAI has it: a convolution
/// of 7 x 7 x 7 with step 1, batch normalisation, ReLU, max-pooling 3 by 2; four stages of residual blocks of `width`, 2, 4 and
/// 8 times `width` channels, the last three with step 2; the mean of each channel and one linear layer. A shortcut
/// whose shape changes is a 1 x 1 x 1 convolution and batch normalisation (shortcut B). In the paper, `width` is 64.
///
/// It takes `[channels, i, j, k]` and gives one logit per class. `blocks` are the blocks of each stage. Names of nodes are MONAI's:
/// `conv1`, `bn1`, `layer1.0.conv1` ... `layer4.1.bn2`, `fc`.
///
/// # Errors
/// None but those of a graph that does not fit together.
pub fn resnet(
    input: impl Into<InputShape>,
    block: ResnetBlock,
    blocks: [usize; 4],
    width: usize,
    classes: usize,
) -> Result<Network> {
    let input = input.into();
    let mut net = input.network();
    net.then("conv1", Conv3d::new(input.channels, width, [7; 3]).with_padding([3; 3]).without_bias())?;
    net.then("bn1", BatchNorm::new(width))?;
    net.then("relu", Op::Relu)?;
    let mut last = net.then("maxpool", Op::MaxPool3d(Pool3d::new([3; 3]).with_stride([2; 3]).with_padding([1; 3])))?;
    let mut channels = width;
    for (stage, count) in blocks.into_iter().enumerate() {
        let planes = width << stage;
        for n in 0..count {
            let stride = if stage > 0 && n == 0 { 2 } else { 1 };
            let name = format!("layer{}.{n}", stage + 1);
            last = residual(&mut net, &name, block, (last, channels, planes), stride)?;
            channels = planes * block.expansion();
        }
    }
    net.then("avgpool", Op::GlobalAvgPool)?;
    net.then("fc", Linear::new(channels, classes))?;
    Ok(net)
}

/// A block on the node `input` of so many `channels`; gives its last node.
fn residual(
    net: &mut Network,
    name: &str,
    block: ResnetBlock,
    (input, channels, planes): (NodeId, usize, usize),
    stride: usize,
) -> Result<NodeId> {
    let (kernels, out) = (block.kernels(), planes * block.expansion());
    let (mut last, mut before) = (input, channels);
    for (n, &kernel) in kernels.iter().enumerate() {
        let after = if n + 1 == kernels.len() { out } else { planes };
        let step = if n == block.strided() { stride } else { 1 };
        let conv = Conv3d::new(before, after, [kernel; 3]).with_stride([step; 3]).with_padding([kernel / 2; 3]);
        last = net.add(&format!("{name}.conv{}", n + 1), conv.without_bias(), &[last])?;
        last = net.add(&format!("{name}.bn{}", n + 1), BatchNorm::new(after), &[last])?;
        if n + 1 < kernels.len() {
            last = net.add(&format!("{name}.relu{}", n + 1), Op::Relu, &[last])?;
        }
        before = after;
    }
    let shortcut = if stride == 1 && channels == out {
        input
    } else {
        // With a bias, which the batch normalisation makes idle: MONAI's is there too, and is in its files.
        let conv = Conv3d::new(channels, out, [1; 3]).with_stride([stride; 3]);
        let conv = net.add(&format!("{name}.downsample.0"), conv, &[input])?;
        net.add(&format!("{name}.downsample.1"), BatchNorm::new(out), &[conv])?
    };
    let sum = net.add(&format!("{name}.sum"), Op::Add, &[last, shortcut])?;
    net.add(&format!("{name}.relu"), Op::Relu, &[sum])
}
