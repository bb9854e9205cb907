//! [`Op`]: what a node computes. A family of operations is a file: its parameters, its shape rule, its numbers.
//!
//! What an operation means elsewhere is matched without a wildcard, so that the compiler asks for it when one is added:
//! [`crate::ReceptiveField`], [`crate::reference`], [`crate::relevance`], the engine's compiler.

mod activation;
mod class;
mod combine;
mod convolution;
mod identity;
mod linear;
mod normalisation;
mod padding;
mod pooling;
mod prelu;
mod resize;
mod sample_norm;
mod shape;
mod slot;
#[cfg(test)]
mod tests;
mod transposed;

pub use activation::Activation;
pub use class::OpClass;
pub use convolution::Conv3d;
pub use linear::Linear;
pub use normalisation::BatchNorm;
pub use padding::Pad3d;
pub use pooling::Pool3d;
pub use prelu::Prelu;
pub(crate) use resize::Taken;
pub use resize::{Alignment, Interpolation, Resize3d};
pub use sample_norm::{NormOver, SampleNorm};
pub(crate) use shape::count;
pub(crate) use slot::{Slot, Start};
pub use transposed::ConvTranspose3d;

use crate::Tensor;
use serde::{Deserialize, Serialize};

/// What a node computes from its inputs.
///
/// Shapes are those of one sample: `[C, i, j, k]` for volumes, `[F]` after [`Op::Flatten`].
/// Weights have PyTorch's layouts and names, so that state dictionaries fit as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Op {
    /// The volume that the network is given, `[C, i, j, k]`. The first node, and only the first.
    Input {
        /// Shape of one sample.
        shape: [usize; 4],
    },
    /// Cross-correlation, as every framework's convolution.
    Conv3d(Conv3d),
    /// What a convolution hands back: each value spread out by the kernel.
    ConvTranspose3d(ConvTranspose3d),
    /// Batch normalisation over the channel axis.
    BatchNorm(BatchNorm),
    /// Normalisation by a sample's own statistics: of groups of channels, of instances, of layers.
    SampleNorm(SampleNorm),
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu {
        /// Slope below zero.
        slope: f32,
    },
    /// `x` where positive, else `weight * x`, with a trained weight for each channel.
    Prelu(Prelu),
    /// Exponential linear unit, alpha 1.
    Elu,
    /// Gaussian error linear unit, by the error function.
    Gelu,
    /// Gaussian error linear unit, by the hyperbolic tangent.
    GeluTanh,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Exponential linear unit with an alpha and a scale, as SELU.
    ScaledElu {
        /// What it goes to far below zero, divided by `-scale`.
        alpha: f32,
        /// Slope above zero.
        scale: f32,
    },
    /// `x` times its logistic function.
    Silu,
    /// `x` times the hyperbolic tangent of its softplus.
    Mish,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `slope * x + offset`, cut off below 0 and above 1.
    HardSigmoid {
        /// Slope between the two ends.
        slope: f32,
        /// Value at zero.
        offset: f32,
    },
    /// `x` times its hard sigmoid of slope 1/6 and offset 1/2.
    HardSwish,
    /// `x` cut off below `low` and above `high`.
    Clip {
        /// The least value; none where nothing is cut off below.
        #[serde(with = "shape::bound::low")]
        low: f32,
        /// The largest value; none where nothing is cut off above.
        #[serde(with = "shape::bound::high")]
        high: f32,
    },
    /// Largest value of each window; the first of equals in C order. Padding never counts.
    MaxPool3d(Pool3d),
    /// Mean of each window; padding counts as zeros, as PyTorch's default, unless [`Pool3d::inside`].
    AvgPool3d(Pool3d),
    /// A value around the volume.
    Pad3d(Pad3d),
    /// The volume on another grid.
    Resize3d(Resize3d),
    /// Mean over all voxels: `[C, i, j, k]` to `[C]`.
    GlobalAvgPool,
    /// `[C, i, j, k]` to `[C * i * j * k]`, in C order.
    Flatten,
    /// `W x + b` on `[F]`.
    Linear(Linear),
    /// Zeroes a share of the values in training and scales the rest by `1 / (1 - p)`; nothing otherwise.
    Dropout {
        /// Probability of a zero.
        p: f32,
    },
    /// Sum of two inputs: of the same shape, or the second with one value for each channel of the first.
    Add,
    /// Product of two inputs: of the same shape, or the second with one value for each channel of the first.
    Multiply,
    /// Concatenation along the channel axis.
    Concat,
    /// Softmax on `[F]`: shares that are positive and sum to 1.
    Softmax,
    /// Logarithm of the softmax on `[F]`.
    LogSoftmax,
}

impl From<Conv3d> for Op {
    fn from(conv: Conv3d) -> Self {
        Self::Conv3d(conv)
    }
}

impl From<ConvTranspose3d> for Op {
    fn from(conv: ConvTranspose3d) -> Self {
        Self::ConvTranspose3d(conv)
    }
}

impl From<BatchNorm> for Op {
    fn from(norm: BatchNorm) -> Self {
        Self::BatchNorm(norm)
    }
}

impl From<SampleNorm> for Op {
    fn from(norm: SampleNorm) -> Self {
        Self::SampleNorm(norm)
    }
}

impl From<Prelu> for Op {
    fn from(prelu: Prelu) -> Self {
        Self::Prelu(prelu)
    }
}

impl From<Linear> for Op {
    fn from(linear: Linear) -> Self {
        Self::Linear(linear)
    }
}

impl From<Activation> for Op {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Relu => Self::Relu,
            Activation::LeakyRelu { slope } => Self::LeakyRelu { slope },
            Activation::Elu => Self::Elu,
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::ScaledElu { alpha, scale } => Self::ScaledElu { alpha, scale },
            Activation::Silu => Self::Silu,
            Activation::Mish => Self::Mish,
            Activation::Softplus => Self::Softplus,
            Activation::HardSigmoid { slope, offset } => Self::HardSigmoid { slope, offset },
            Activation::HardSwish => Self::HardSwish,
            Activation::Clip { low, high } => Self::Clip { low, high },
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Tanh => Self::Tanh,
        }
    }
}

/// Every [`Activation`] as an operation, as a pattern.
macro_rules! activations {
    () => {
        $crate::Op::Relu
            | $crate::Op::LeakyRelu { .. }
            | $crate::Op::Elu
            | $crate::Op::Gelu
            | $crate::Op::GeluTanh
            | $crate::Op::Sigmoid
            | $crate::Op::Tanh
            | $crate::Op::ScaledElu { .. }
            | $crate::Op::Silu
            | $crate::Op::Mish
            | $crate::Op::Softplus
            | $crate::Op::HardSigmoid { .. }
            | $crate::Op::HardSwish
            | $crate::Op::Clip { .. }
    };
}
pub(crate) use activations;

/// Every operation that holds no tensors, as a pattern.
macro_rules! weightless {
    () => {
        $crate::Op::Input { .. }
            | $crate::ops::activations!()
            | $crate::Op::MaxPool3d(_)
            | $crate::Op::AvgPool3d(_)
            | $crate::Op::Pad3d(_)
            | $crate::Op::Resize3d(_)
            | $crate::Op::GlobalAvgPool
            | $crate::Op::Flatten
            | $crate::Op::Dropout { .. }
            | $crate::Op::Add
            | $crate::Op::Multiply
            | $crate::Op::Concat
            | $crate::Op::Softmax
            | $crate::Op::LogSoftmax
    };
}
pub(crate) use weightless;

impl Op {
    /// What it is to those that look through a network.
    pub const fn class(&self) -> OpClass<'_> {
        match self {
            Self::Input { .. } => OpClass::Input,
            Self::Conv3d(_) | Self::ConvTranspose3d(_) | Self::Linear(_) => OpClass::Layer,
            Self::BatchNorm(_) | Self::AvgPool3d(_) | Self::Pad3d(_) | Self::Resize3d(_) | Self::GlobalAvgPool => {
                OpClass::Affine
            }
            Self::SampleNorm(norm) => OpClass::SampleNorm(norm),
            Self::Prelu(prelu) => OpClass::Prelu(prelu),
            Self::Relu => OpClass::Activation(Activation::Relu),
            &Self::LeakyRelu { slope } => OpClass::Activation(Activation::LeakyRelu { slope }),
            Self::Elu => OpClass::Activation(Activation::Elu),
            Self::Gelu => OpClass::Activation(Activation::Gelu),
            Self::GeluTanh => OpClass::Activation(Activation::GeluTanh),
            Self::Sigmoid => OpClass::Activation(Activation::Sigmoid),
            Self::Tanh => OpClass::Activation(Activation::Tanh),
            &Self::ScaledElu { alpha, scale } => OpClass::Activation(Activation::ScaledElu { alpha, scale }),
            Self::Silu => OpClass::Activation(Activation::Silu),
            Self::Mish => OpClass::Activation(Activation::Mish),
            Self::Softplus => OpClass::Activation(Activation::Softplus),
            &Self::HardSigmoid { slope, offset } => OpClass::Activation(Activation::HardSigmoid { slope, offset }),
            Self::HardSwish => OpClass::Activation(Activation::HardSwish),
            &Self::Clip { low, high } => OpClass::Activation(Activation::Clip { low, high }),
            Self::MaxPool3d(pool) => OpClass::MaxPool(pool),
            Self::Flatten | Self::Dropout { .. } => OpClass::Identity,
            Self::Add => OpClass::Sum,
            Self::Multiply => OpClass::Product,
            Self::Concat => OpClass::Concat,
            Self::Softmax => OpClass::Softmax,
            Self::LogSoftmax => OpClass::LogSoftmax,
        }
    }

    /// The activation that it is, if it is one.
    pub(crate) const fn activation(&self) -> Option<Activation> {
        if let OpClass::Activation(activation) = self.class() { Some(activation) } else { None }
    }

    /// Whether it scales with its input outside training: `f(a x) = a f(x)` for every `a > 0` (homogeneous of degree one).
    pub fn is_homogeneous(&self) -> bool {
        match self {
            Self::Input { .. }
            | Self::Relu
            | Self::LeakyRelu { .. }
            | Self::Prelu(_)
            | Self::MaxPool3d(_)
            | Self::AvgPool3d(_)
            | Self::Resize3d(_)
            | Self::GlobalAvgPool
            | Self::Flatten
            | Self::Dropout { .. }
            | Self::Add
            | Self::Concat => true,
            Self::Conv3d(conv) => !conv.has_bias,
            Self::ConvTranspose3d(conv) => !conv.has_bias,
            Self::Pad3d(pad) => pad.value == 0.0,
            // Both ends at 0 or at none.
            Self::Clip { low, high } => [low, high].iter().all(|bound| **bound == 0.0 || bound.is_infinite()),
            Self::BatchNorm(_)
            | Self::SampleNorm(_)
            | Self::Multiply
            | Self::Linear(_)
            | Self::Elu
            | Self::Gelu
            | Self::GeluTanh
            | Self::Sigmoid
            | Self::Tanh
            | Self::ScaledElu { .. }
            | Self::Silu
            | Self::Mish
            | Self::Softplus
            | Self::HardSigmoid { .. }
            | Self::HardSwish
            | Self::Softmax
            | Self::LogSoftmax => false,
        }
    }

    /// Multiplications and additions of its weighted sums, for one sample whose output has this shape: those of
    /// convolutions and fully connected layers. What other operations compute is little beside it and counts as 0.
    pub fn multiply_adds(&self, output: &[usize]) -> usize {
        let terms = match self {
            Self::Conv3d(conv) => conv.seen() * conv.kernel.iter().product::<usize>(),
            // Of the taps of a value of the output, one in a stride meets a value of the input.
            Self::ConvTranspose3d(conv) => {
                let taps: usize = conv.kernel.iter().zip(conv.stride).map(|(k, s)| k.div_ceil(s)).product();
                conv.input / conv.groups.max(1) * taps
            }
            Self::Linear(linear) => linear.input,
            Self::BatchNorm(_) | Self::SampleNorm(_) | Self::Prelu(_) | weightless!() => 0,
        };
        2 * terms * output.iter().product::<usize>()
    }

    /// Shape of one sample of the output for those of the inputs; the error says what was found and expected.
    pub(crate) fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let (arity, expected) = match self.class() {
            OpClass::Input => (0..=0, "none"),
            OpClass::Sum | OpClass::Product => (2..=2, "2"),
            OpClass::Concat => (2..=usize::MAX, "2 or more"),
            OpClass::Layer
            | OpClass::Affine
            | OpClass::Activation(_)
            | OpClass::MaxPool(_)
            | OpClass::Prelu(_)
            | OpClass::SampleNorm(_)
            | OpClass::Identity
            | OpClass::Softmax
            | OpClass::LogSoftmax => (1..=1, "1"),
        };
        if !arity.contains(&inputs.len()) {
            return Err(format!("found {} inputs, expected {expected}", inputs.len()));
        }
        let shape = match self {
            Self::Input { shape } => shape.to_vec(),
            Self::Conv3d(conv) => conv.output_shape(inputs[0])?,
            Self::ConvTranspose3d(conv) => conv.output_shape(inputs[0])?,
            Self::BatchNorm(norm) => norm.output_shape(inputs[0])?,
            activations!() => match self.activation() {
                Some(activation) => activation.output_shape(inputs[0])?,
                None => inputs[0].to_vec(),
            },
            Self::SampleNorm(norm) => norm.output_shape(inputs[0])?,
            Self::Prelu(prelu) => prelu.output_shape(inputs[0])?,
            Self::MaxPool3d(pool) => pool.max_output_shape(inputs[0])?,
            Self::AvgPool3d(pool) => pool.output_shape(inputs[0])?,
            Self::Pad3d(pad) => pad.output_shape(inputs[0])?,
            Self::Resize3d(resize) => resize.output_shape(inputs[0])?,
            Self::GlobalAvgPool => pooling::global_output_shape(inputs[0])?,
            Self::Flatten => identity::flatten_output_shape(inputs[0])?,
            Self::Linear(linear) => linear.output_shape(inputs[0])?,
            Self::Dropout { p } => identity::dropout_output_shape(*p, inputs[0])?,
            Self::Add | Self::Multiply => combine::pair_output_shape(inputs)?,
            Self::Concat => combine::concat_output_shape(inputs)?,
            Self::Softmax | Self::LogSoftmax => linear::softmax_output_shape(inputs[0])?,
        };
        count(&shape)?;
        Ok(shape)
    }

    /// Calls `visit` with each tensor that it holds, in PyTorch's order. Allocates nothing.
    pub(crate) fn slots<'a>(&'a self, visit: &mut dyn FnMut(Slot<&'a Tensor>)) {
        match self {
            Self::Conv3d(conv) => conv.slots(visit),
            Self::ConvTranspose3d(conv) => conv.slots(visit),
            Self::BatchNorm(norm) => norm.slots(visit),
            Self::SampleNorm(norm) => norm.slots(visit),
            Self::Prelu(prelu) => prelu.slots(visit),
            Self::Linear(linear) => linear.slots(visit),
            weightless!() => {}
        }
    }

    /// The same, to change them in place.
    pub(crate) fn slots_mut<'a>(&'a mut self, visit: &mut dyn FnMut(Slot<&'a mut Tensor>)) {
        match self {
            Self::Conv3d(conv) => conv.slots_mut(visit),
            Self::ConvTranspose3d(conv) => conv.slots_mut(visit),
            Self::BatchNorm(norm) => norm.slots_mut(visit),
            Self::SampleNorm(norm) => norm.slots_mut(visit),
            Self::Prelu(prelu) => prelu.slots_mut(visit),
            Self::Linear(linear) => linear.slots_mut(visit),
            weightless!() => {}
        }
    }

    /// Makes room for the weights that it comes without; refuses what contradicts itself.
    pub(crate) fn complete(&mut self) -> Result<(), String> {
        match self {
            Self::Conv3d(conv) => conv.complete(),
            Self::ConvTranspose3d(conv) => conv.complete(),
            Self::BatchNorm(_) | Self::SampleNorm(_) | Self::Prelu(_) | Self::Linear(_) | weightless!() => Ok(()),
        }
    }

    /// The same without its tensors, which are left empty.
    pub(crate) fn without_weights(&self) -> Self {
        let mut op = self.clone();
        op.slots_mut(&mut |slot| *slot.tensor = Tensor::default());
        op
    }

    /// Whether both are the same operation with the same numbers, whatever their weights.
    pub(crate) fn same_geometry(&self, other: &Self) -> bool {
        match self {
            Self::Conv3d(this) => matches!(other, Self::Conv3d(other) if this.same_geometry(other)),
            Self::ConvTranspose3d(this) => {
                matches!(other, Self::ConvTranspose3d(other) if this.same_geometry(other))
            }
            Self::BatchNorm(this) => matches!(other, Self::BatchNorm(other) if this.same_geometry(other)),
            Self::SampleNorm(this) => matches!(other, Self::SampleNorm(other) if this.same_geometry(other)),
            Self::Prelu(this) => matches!(other, Self::Prelu(other) if this.channels == other.channels),
            Self::Linear(this) => matches!(other, Self::Linear(other) if this.same_geometry(other)),
            weightless!() => self == other,
        }
    }
}
