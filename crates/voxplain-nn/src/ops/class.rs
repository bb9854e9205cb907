//! [`OpClass`]: what an operation is to those that look through a network.

use super::{Activation, Pool3d};

/// What an operation is to those that look through a network: relevance rules, counts of layers, methods.
///
/// Outside training. Match it without a wildcard: a new class then asks every reader what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OpClass<'a> {
    /// The volume that the network is given.
    Input,
    /// A weighted sum whose weights are trained: a convolution or a fully connected layer.
    Layer,
    /// Another affine map: batch normalisation by running statistics, means over windows or channels.
    Affine,
    /// A function of single values that is not linear.
    Activation(Activation),
    /// The largest value of each window.
    MaxPool(&'a Pool3d),
    /// The same values: flatten, dropout.
    Identity,
    /// The sum of its inputs.
    Sum,
    /// Its inputs side by side along the channel axis.
    Concat,
    /// The logarithm of the softmax.
    LogSoftmax,
}
