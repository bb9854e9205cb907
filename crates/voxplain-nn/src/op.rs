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
