//! What a plan does, one step per operation or fused group of operations.

use super::memory::RegionId;
use crate::cpu::kernels::{
    Buffer, Conv, Volume, Window, grouped::Grouped, linear::Sizes, norm, norm_pool::Pooling, patches, pointwise,
    pool::Means, pool::Winners, resize::Resampling, sample_norm::Normalisation, strided,
};
use crate::{Activation, Pad3d};
use std::ops::Range;

/// Index of a value: that of the node whose output it is, or beyond the nodes.
pub(crate) type ValueId = usize;

/// One step forward, and back.
#[derive(Debug)]
pub(crate) struct Step {
    /// What it reads.
    pub(crate) inputs: Vec<ValueId>,
    /// What it writes.
    pub(crate) output: ValueId,
    /// What it does.
    pub(crate) work: Work,
    /// Where the gradient of each input goes.
    pub(crate) sinks: Vec<Option<Sink>>,
    /// Whether anything reaches it in the backward pass.
    pub(crate) reached: bool,
    /// The step whose output is computed once more before this one runs backwards.
    pub(crate) again: Option<usize>,
}

/// Where a gradient goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sink {
    /// The gradient of the value.
    pub(crate) region: RegionId,
    /// Where to compute it first when the region holds what came by other ways already.
    pub(crate) beside: Option<RegionId>,
    /// Whether it lies there already: a slice of the gradient of what it is joined to.
    pub(crate) joined: bool,
}

/// Some inputs in a row of a step that joins channels, and where they are copied to.
#[derive(Debug)]
pub(crate) struct Run {
    /// Which inputs.
    pub(crate) inputs: Range<usize>,
    /// Their channels of the output.
    pub(crate) into: RegionId,
    /// How these lie.
    pub(crate) volume: Volume,
}

impl Sink {
    /// Where to write.
    pub(crate) fn target(&self) -> RegionId {
        self.beside.unwrap_or(self.region)
    }
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Work {
    /// A convolution, with what is fused into it.
    Conv(Box<ConvWork>),
    /// Batch normalisation by running statistics.
    Affine {
        /// The node.
        node: usize,
        /// Per channel padded to 16.
        scale: Buffer,
        /// Per channel padded to 16.
        shift: Buffer,
        /// Whether a ReLU is fused.
        relu: bool,
    },
    /// Batch normalisation by the batch's statistics.
    BatchNorm(Box<NormWork>),
    /// The first block of a network in training: convolution, batch normalisation, ReLU and max-pool at once.
    FirstBlock(Box<FirstBlock>),
    /// An activation.
    Activation(Activation),
    /// Max-pooling.
    MaxPool {
        /// The window.
        window: Window,
        /// Which tap is largest, over the whole batch; empty where there is no backward pass.
        taps: Winners,
    },
    /// A convolution in groups of channels.
    Grouped(Box<GroupedWork>),
    /// A transposed convolution.
    Transposed(Box<TransposedWork>),
    /// A volume on another grid.
    Resize(Box<Resampling>),
    /// Normalisation by a sample's own statistics.
    SampleNorm(Box<SampleNormWork>),
    /// A ReLU with a slope for each channel.
    Prelu {
        /// The node.
        node: usize,
        /// Slope of each channel padded to 16.
        slope: Buffer,
        /// Position of the slope's gradient.
        gradient: usize,
    },
    /// A value around a volume.
    Pad(Pad3d),
    /// Product of two.
    Multiply,
    /// Mean-pooling.
    AvgPool {
        /// How.
        means: Means,
        /// What each value goes through first.
        before: Option<Before>,
    },
    /// Mean over all voxels.
    GlobalAvgPool,
    /// Another layout of the same values: flatten, dropout outside training.
    Convert,
    /// A fully connected layer.
    Linear(Box<LinearWork>),
    /// Dropout in training.
    Dropout {
        /// The node, which its mask depends on.
        node: usize,
        /// Probability of a zero.
        p: f32,
        /// Room for the mask of a batch, in the layout of the values.
        mask: RegionId,
    },
    /// Sum of two.
    Add {
        /// Whether a ReLU is fused.
        relu: bool,
        /// Then, the gradient that passed it.
        masked: Option<RegionId>,
    },
    /// Channels joined: inputs that do not lie in the output already are copied there.
    Concat(Vec<Run>),
    /// Softmax.
    Softmax,
    /// Log-softmax.
    LogSoftmax,
}

impl Work {
    /// Whether it has weights that training changes.
    pub(crate) fn has_weights(&self) -> bool {
        match self {
            Self::Conv(_)
            | Self::Grouped(_)
            | Self::Transposed(_)
            | Self::BatchNorm(_)
            | Self::SampleNorm(_)
            | Self::Prelu { .. }
            | Self::FirstBlock(_)
            | Self::Linear(_) => true,
            Self::Affine { .. }
            | Self::Pad(_)
            | Self::Resize(_)
            | Self::Multiply
            | Self::Activation(_)
            | Self::MaxPool { .. }
            | Self::AvgPool { .. }
            | Self::GlobalAvgPool
            | Self::Convert
            | Self::Dropout { .. }
            | Self::Add { .. }
            | Self::Concat(_)
            | Self::Softmax
            | Self::LogSoftmax => false,
        }
    }

    /// Bytes of statistics of each sample of a batch, which lie beside its values.
    pub(crate) fn statistics(&self) -> usize {
        if let Self::SampleNorm(work) = self { work.norm.measured_len() } else { 0 }
    }

    /// Bytes that say which value of each pooling window is largest, and floats of packed weights.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let bytes = |taps: &Option<Vec<u8>>| taps.as_ref().map_or(0, Vec::len);
        match self {
            Self::Conv(conv) => {
                let back = conv.backward.as_ref().map_or(0, |(_, weights)| weights.len());
                (bytes(&conv.pool), conv.weights.len() + back)
            }
            Self::BatchNorm(norm) => (norm.winners(), 0),
            Self::FirstBlock(block) => (block.norm.winners(), block.weights.len() + block.kernel.len()),
            Self::MaxPool { taps, .. } => (taps.bytes(), 0),
            Self::Linear(linear) => (0, linear.weights.len()),
            Self::Grouped(grouped) => (0, grouped.weights.len()),
            Self::Transposed(work) => (0, work.weights.len() + work.backward.len()),
            Self::SampleNorm(norm) => (0, norm.norm.weights_len()),
            Self::Prelu { slope, .. } => (0, slope.len()),
            Self::Affine { .. }
            | Self::Pad(_)
            | Self::Resize(_)
            | Self::Multiply
            | Self::Activation(_)
            | Self::AvgPool { .. }
            | Self::GlobalAvgPool
            | Self::Convert
            | Self::Dropout { .. }
            | Self::Add { .. }
            | Self::Concat(_)
            | Self::Softmax
            | Self::LogSoftmax => (0, 0),
        }
    }
}

/// A batch normalisation by running statistics, done where its output is read.
#[derive(Debug)]
pub(crate) struct Before {
    /// The node.
    pub(crate) node: usize,
    /// Per channel padded to 16.
    pub(crate) scale: Buffer,
    /// Per channel padded to 16.
    pub(crate) shift: Buffer,
    /// Whether a ReLU follows.
    pub(crate) relu: bool,
}

impl Before {
    /// As kernels take it.
    pub(crate) fn affine(&self) -> pointwise::Affine<'_> {
        pointwise::Affine { scale: &self.scale, shift: &self.shift, relu: self.relu }
    }
}

/// A convolution, with a batch normalisation folded into its weights and a ReLU at its end.
#[derive(Debug)]
pub(crate) struct ConvWork {
    /// The node.
    pub(crate) node: usize,
    /// What each value goes through first.
    pub(crate) before: Option<Before>,
    /// The batch normalisation that is folded in.
    pub(crate) norm: Option<usize>,
    /// Whether a ReLU is fused.
    pub(crate) relu: bool,
    /// Extents.
    pub(crate) conv: Conv,
    /// Packed weights.
    pub(crate) weights: Buffer,
    /// Bias per output channel padded to 16.
    pub(crate) bias: Buffer,
    /// How it is computed.
    pub(crate) algorithm: ConvAlgorithm,
    /// Whether a 2 x 2 x 2 max-pool is fused as well; then which of the eight is largest, over the whole batch (empty
    /// where there is no backward pass).
    pub(crate) pool: Option<Vec<u8>>,
    /// How the gradient gets to the input, and packed weights for that.
    pub(crate) backward: Option<(ConvBackward, Buffer)>,
    /// A bias for the backward pass.
    pub(crate) zeros: Buffer,
    /// The padded input, if there is padding.
    pub(crate) padded: Option<RegionId>,
    /// The gradient that passed the ReLU.
    pub(crate) masked: Option<RegionId>,
    /// The gradient with zeros around it for the backward pass.
    pub(crate) spread: Option<RegionId>,
    /// Training.
    pub(crate) train: Option<ConvTrain>,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConvAlgorithm {
    /// Tap by tap.
    Direct,
    /// One tap.
    Pointwise,
    /// Seven taps of one channel by Winograd's transforms of groups of three.
    Nested,
    /// By Winograd's transforms.
    Winograd,
}

/// How the backward pass of a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConvBackward {
    /// Tap by tap, over the gradient with zeros around it.
    Direct,
    /// One tap, over the gradient as it lies.
    Pointwise,
    /// The same of the taps alone that a stride lets meet.
    Strided,
    /// To few channels that lie as planes.
    Narrow,
    /// By Winograd's transforms.
    Winograd,
    /// From the few positions that a pool and a ReLU leave.
    Sparse,
}

/// What weight gradients of a convolution need.
#[derive(Debug)]
pub(crate) struct ConvTrain {
    /// Position of the weight's gradient; the bias's is the next.
    pub(crate) gradient: usize,
    /// Whether there is a bias that has a gradient: in front of a batch normalisation it is zero.
    pub(crate) bias: bool,
    /// The padded input, once more.
    pub(crate) padded: Option<RegionId>,
    /// Partial sums.
    pub(crate) scratch: Option<RegionId>,
}

/// A batch normalisation in training.
#[derive(Debug)]
pub(crate) struct NormWork {
    /// The node.
    pub(crate) node: usize,
    /// Scale and shift as weights, per channel.
    pub(crate) weight: Vec<f32>,
    /// Shift.
    pub(crate) bias: Vec<f32>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
    /// Whether a ReLU is fused.
    pub(crate) relu: bool,
    /// Whether a max-pool is fused as well; then which of its taps is largest.
    pub(crate) pool: Option<(Pooling, Vec<u8>)>,
    /// Of the last batch.
    pub(crate) moments: norm::Moments,
    /// As an affine map, per channel padded to 16.
    pub(crate) scale: Buffer,
    /// The rest of it.
    pub(crate) shift: Buffer,
    /// Factors of the backward pass.
    pub(crate) backward: norm::Backward,
    /// Position of the scale's gradient; the shift's is the next.
    pub(crate) gradient: usize,
}

impl NormWork {
    /// Bytes that say which tap is largest.
    fn winners(&self) -> usize {
        self.pool.as_ref().map_or(0, |(_, taps)| taps.len())
    }
}

/// The first block in training: [`crate::cpu::kernels::patches`] gives all that is not its pooled output.
#[derive(Debug)]
pub(crate) struct FirstBlock {
    /// The convolution's node.
    pub(crate) conv_node: usize,
    /// Its extents.
    pub(crate) conv: Conv,
    /// Its weights, `[out][27]`.
    pub(crate) kernel: Vec<f32>,
    /// Its bias, zeros where there is none.
    pub(crate) offset: Vec<f32>,
    /// The weights with the normalisation folded in, packed.
    pub(crate) weights: Buffer,
    /// And what is added.
    pub(crate) bias: Buffer,
    /// Sums over the batch's patches.
    pub(crate) patches: patches::Patches,
    /// The normalisation; its pool is there.
    pub(crate) norm: NormWork,
    /// Position of the convolution's weight gradient.
    pub(crate) gradient: usize,
    /// Room for sums.
    pub(crate) sums: Option<RegionId>,
}

/// A convolution in groups of channels.
#[derive(Debug)]
pub(crate) struct GroupedWork {
    /// The node.
    pub(crate) node: usize,
    /// Extents and groups.
    pub(crate) grouped: Grouped,
    /// Packed weights.
    pub(crate) weights: Buffer,
    /// Bias per output channel padded to 16.
    pub(crate) bias: Buffer,
    /// Whether the network has a bias.
    pub(crate) has_bias: bool,
    /// Position of the weight's gradient; the bias's is the next.
    pub(crate) gradient: usize,
}

/// A transposed convolution: the backward pass of a convolution as the forward pass, and the other way round.
#[derive(Debug)]
pub(crate) struct TransposedWork {
    /// The node.
    pub(crate) node: usize,
    /// That convolution: from what this one gives to what it takes.
    pub(crate) conv: Conv,
    /// How it is computed where there are groups, or where its last windows reach beyond the output.
    pub(crate) grouped: Option<Grouped>,
    /// Packed weights, of both passes where there are groups.
    pub(crate) weights: Buffer,
    /// Packed weights of the backward pass; empty where there is none.
    pub(crate) backward: Buffer,
    /// Bias per output channel padded to 16.
    pub(crate) bias: Buffer,
    /// A bias for the backward pass.
    pub(crate) zeros: Buffer,
    /// The input with zeros around it.
    pub(crate) spread: Option<RegionId>,
    /// The gradient of the output with what was cut off as zeros around it.
    pub(crate) padded: Option<RegionId>,
    /// Partial sums of the weights' gradient.
    pub(crate) scratch: Option<RegionId>,
    /// Whether the network has a bias.
    pub(crate) has_bias: bool,
    /// Position of the weight's gradient; the bias's is the next.
    pub(crate) gradient: usize,
}

impl TransposedWork {
    /// Whether taps are left out by a stride.
    pub(crate) fn is_strided(&self) -> bool {
        self.conv.window.stride != [1; 3]
    }

    /// Its input with zeros around it.
    pub(crate) fn spread_input(&self) -> Volume {
        if self.is_strided() { strided::surrounded(&self.conv) } else { self.conv.backward().input }
    }
}

/// Normalisation by a sample's own statistics.
#[derive(Debug)]
pub(crate) struct SampleNormWork {
    /// The node.
    pub(crate) node: usize,
    /// The normalisation.
    pub(crate) norm: Normalisation,
    /// Position of the scale's gradient; the shift's is the next.
    pub(crate) gradient: usize,
}

/// A fully connected layer.
#[derive(Debug)]
pub(crate) struct LinearWork {
    /// The node.
    pub(crate) node: usize,
    /// Features.
    pub(crate) sizes: Sizes,
    /// Rows padded to 16.
    pub(crate) weights: Buffer,
    /// Bias.
    pub(crate) bias: Vec<f32>,
    /// Position of the weight's gradient; the bias's is the next.
    pub(crate) gradient: usize,
}
