//! [`OpClass`]: what an operation is to those that look through a network.

use super::{Activation, Pool3d, Prelu, SampleNorm};

/// What an operation is to those that look through a network: relevance rules, counts of layers, methods.
///
/// Outside training. Match it without a wildcard: a new class then asks every reader what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OpClass<'a> {
    /// The volume that the network is given.
    Input,
    /// A weighted sum whose weights are trained: a convolution, transposed or not, or a fully connected layer.
    Layer,
    /// Another affine map: batch normalisation by running statistics, means over windows or channels, padding,
    /// interpolation.
    Affine,
    /// A function of single values that is not linear.
    Activation(Activation),
    /// The largest value of each window.
    MaxPool(&'a Pool3d),
    /// A ReLU with a trained slope below zero for each channel.
    Prelu(&'a Prelu),
    /// Normalisation by a sample's own statistics.
    SampleNorm(&'a SampleNorm),
    /// The same values: flatten, dropout.
    Identity,
    /// The sum of its two inputs, of which the second may have one value for each channel.
    Sum,
    /// The product of its two inputs, of which the second may have one value for each channel.
    Product,
    /// Its inputs side by side along the channel axis.
    Concat,
    /// The softmax, of which each value depends on all of the input.
    Softmax,
    /// The logarithm of the softmax.
    LogSoftmax,
}
