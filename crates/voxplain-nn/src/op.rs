//! [`Op`]: what a node computes.

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
    /// Batch normalisation over the channel axis.
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu {
        /// Slope below zero.
        slope: f32,
    },
    /// Exponential linear unit, alpha 1.
    Elu,
    /// Gaussian error linear unit, by the error function.
    Gelu,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Largest value of each window; the first of equals in C order. Padding never wins.
    MaxPool3d(Pool3d),
    /// Mean of each window; padding counts as zeros, as PyTorch's default.
    AvgPool3d(Pool3d),
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
    /// Sum of two inputs of the same shape.
    Add,
    /// Concatenation along the channel axis.
    Concat,
    /// Logarithm of the softmax on `[F]`.
    LogSoftmax,
}

/// Weights and geometry of a convolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv3d {
    /// `[out, in, ki, kj, kk]`.
    #[serde(skip)]
    pub weight: Tensor,
    /// `[out]`.
    #[serde(skip)]
    pub bias: Option<Tensor>,
    /// Whether there is a bias (kept beside it so that a graph without weights is complete).
    pub has_bias: bool,
    /// Channels in.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Size of the kernel along `(i, j, k)`.
    pub kernel: [usize; 3],
    /// Step along `(i, j, k)`.
    pub stride: [usize; 3],
    /// Zeros added on both sides.
    pub padding: [usize; 3],
    /// Distance between kernel taps.
    pub dilation: [usize; 3],
}

/// Parameters and statistics of a batch normalisation; all `[C]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Scale (PyTorch's `weight`).
    #[serde(skip)]
    pub weight: Tensor,
    /// Shift (PyTorch's `bias`).
    #[serde(skip)]
    pub bias: Tensor,
    /// Mean used outside training.
    #[serde(skip)]
    pub running_mean: Tensor,
    /// Variance used outside training.
    #[serde(skip)]
    pub running_var: Tensor,
    /// Added to the variance; 1e-5 in PyTorch.
    pub epsilon: f32,
    /// Share of the batch's statistics in each update of the running ones; 0.1 in PyTorch.
    pub momentum: f32,
}

/// Weights of a fully connected layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// `[out, in]`.
    #[serde(skip)]
    pub weight: Tensor,
    /// `[out]`.
    #[serde(skip)]
    pub bias: Tensor,
    /// Features in.
    pub input: usize,
    /// Features out.
    pub output: usize,
}

/// Geometry of a pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool3d {
    /// Size of the window along `(i, j, k)`.
    pub kernel: [usize; 3],
    /// Step along `(i, j, k)`.
    pub stride: [usize; 3],
    /// Padding on both sides.
    pub padding: [usize; 3],
}

impl Conv3d {
    /// A convolution with a bias, stride 1, no padding and no dilation; its weights come from
    /// [`crate::Network::initialize`] or a file.
    pub fn new(input: usize, output: usize, kernel: [usize; 3]) -> Self {
        Self {
            weight: Tensor::default(),
            bias: None,
            has_bias: true,
            input,
            output,
            kernel,
            stride: [1; 3],
            padding: [0; 3],
            dilation: [1; 3],
        }
    }

    /// The same with another step along `(i, j, k)`.
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// The same with zeros added on both sides.
    pub fn with_padding(self, padding: [usize; 3]) -> Self {
        Self { padding, ..self }
    }

    /// The same with another distance between kernel taps.
    pub fn with_dilation(self, dilation: [usize; 3]) -> Self {
        Self { dilation, ..self }
    }

    /// The same without a bias, as before a batch normalisation.
    pub fn without_bias(self) -> Self {
        Self { bias: None, has_bias: false, ..self }
    }
}

impl BatchNorm {
    /// Epsilon 1e-5 and momentum 0.1 as in PyTorch; scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            weight: Tensor::default(),
            bias: Tensor::default(),
            running_mean: Tensor::default(),
            running_var: Tensor::default(),
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }
}

impl Linear {
    /// A fully connected layer; its weights come from [`crate::Network::initialize`] or a file.
    pub fn new(input: usize, output: usize) -> Self {
        Self { weight: Tensor::default(), bias: Tensor::default(), input, output }
    }
}

impl Pool3d {
    /// Windows that touch and do not overlap: the stride is the kernel, as PyTorch's default.
    pub fn new(kernel: [usize; 3]) -> Self {
        Self { kernel, stride: kernel, padding: [0; 3] }
    }

    /// The same with another step.
    pub fn with_stride(self, stride: [usize; 3]) -> Self {
        Self { stride, ..self }
    }

    /// The same with padding on both sides.
    pub fn with_padding(self, padding: [usize; 3]) -> Self {
        Self { padding, ..self }
    }
}

impl From<Conv3d> for Op {
    fn from(conv: Conv3d) -> Self {
        Self::Conv3d(conv)
    }
}

impl From<BatchNorm> for Op {
    fn from(norm: BatchNorm) -> Self {
        Self::BatchNorm(norm)
    }
}

impl From<Linear> for Op {
    fn from(linear: Linear) -> Self {
        Self::Linear(linear)
    }
}

/// A tensor that an operation holds.
pub(crate) struct Slot<T> {
    /// The last part of its name: `weight`.
    pub(crate) name: &'static str,
    /// The shape it must have.
    pub(crate) shape: Vec<usize>,
    /// Whether an optimiser changes it (running statistics are not trained).
    pub(crate) trained: bool,
    /// What it holds before it is drawn or read.
    pub(crate) start: f32,
    /// The tensor.
    pub(crate) tensor: T,
}

impl<T> Slot<T> {
    fn new(name: &'static str, shape: &[usize], tensor: T) -> Self {
        Self { name, shape: shape.to_vec(), trained: true, start: 0.0, tensor }
    }

    fn starting_at(self, start: f32) -> Self {
        Self { start, ..self }
    }

    fn untrained(self) -> Self {
        Self { trained: false, ..self }
    }
}

/// The tensors of an operation, in PyTorch's order; once for shared and once for exclusive references.
macro_rules! slots {
    ($op:expr, $as_option:ident, $($mutable:tt)?) => {{
        match $op {
            Op::Conv3d(conv) => {
                let [i, j, k] = conv.kernel;
                let mut slots =
                    vec![Slot::new("weight", &[conv.output, conv.input, i, j, k], &$($mutable)? conv.weight)];
                slots.extend(conv.bias.$as_option().map(|bias| Slot::new("bias", &[conv.output], bias)));
                slots
            }
            Op::BatchNorm(norm) => vec![
                Slot::new("weight", &[norm.channels], &$($mutable)? norm.weight).starting_at(1.0),
                Slot::new("bias", &[norm.channels], &$($mutable)? norm.bias),
                Slot::new("running_mean", &[norm.channels], &$($mutable)? norm.running_mean).untrained(),
                Slot::new("running_var", &[norm.channels], &$($mutable)? norm.running_var).starting_at(1.0).untrained(),
            ],
            Op::Linear(linear) => vec![
                Slot::new("weight", &[linear.output, linear.input], &$($mutable)? linear.weight),
                Slot::new("bias", &[linear.output], &$($mutable)? linear.bias),
            ],
            _ => Vec::new(),
        }
    }};
}

impl Op {
    /// The tensors it holds.
    pub(crate) fn slots(&self) -> Vec<Slot<&Tensor>> {
        slots!(self, as_ref,)
    }

    /// The tensors it holds, to change.
    pub(crate) fn slots_mut(&mut self) -> Vec<Slot<&mut Tensor>> {
        slots!(self, as_mut, mut)
    }
}
