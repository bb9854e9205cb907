//! [`Slot`]: one tensor of an operation, with all that others need to know of it.

use crate::Tensor;

/// The most axes that a weight has: `[out, in, ki, kj, kk]`.
const MAX_RANK: usize = 5;

/// A tensor that an operation holds.
///
/// Each family of operations lists its slots once, by [`slots!`]. Weights, initial values, optimisers, files of
/// weights and plans all go by that list.
pub(crate) struct Slot<T> {
    /// The last part of its name: `weight`.
    pub(crate) name: &'static str,
    /// Whether training changes it. Running statistics are not trained.
    pub(crate) trained: bool,
    /// What it holds before it is read from a file or trained.
    pub(crate) start: Start,
    /// The tensor.
    pub(crate) tensor: T,
    axes: [usize; MAX_RANK],
    rank: usize,
}

/// The initial values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// The same value everywhere.
    Constant(f32),
    /// Drawn by [`crate::Network::initialize`], uniformly within `1 / sqrt(fan_in)` of 0; until then 0.
    Uniform {
        /// Inputs that each output sums over.
        fan_in: usize,
    },
}

impl Start {
    /// The value before anything is drawn.
    pub(crate) const fn value(self) -> f32 {
        match self {
            Self::Constant(value) => value,
            Self::Uniform { .. } => 0.0,
        }
    }
}

/// Makes room for the bias that an operation says it has; refuses one that it says it has not.
pub(super) fn complete_bias(bias: &mut Option<Tensor>, has_bias: bool) -> Result<(), String> {
    match (&bias, has_bias) {
        (Some(_), false) => Err("found a bias, expected none (has_bias is false)".into()),
        (None, true) => {
            *bias = Some(Tensor::default());
            Ok(())
        }
        (Some(_), true) | (None, false) => Ok(()),
    }
}

impl<T> Slot<T> {
    /// A trained tensor of a shape.
    pub(super) fn new<const RANK: usize>(name: &'static str, shape: [usize; RANK], start: Start, tensor: T) -> Self {
        let mut axes = [0; MAX_RANK];
        axes[..RANK].copy_from_slice(&shape);
        Self { name, trained: true, start, tensor, axes, rank: RANK }
    }

    /// The same, but never trained.
    pub(super) fn untrained(self) -> Self {
        Self { trained: false, ..self }
    }

    /// The shape that it must have.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.axes[..self.rank]
    }
}

/// Writes `slots` and `slots_mut` of an operation from one list of its tensors. Both call `visit` with each of them
/// in PyTorch's order, and allocate nothing.
macro_rules! slots {
    ($type:ident $fields:tt, $visit:ident => $list:block) => {
        impl $type {
            pub(super) fn slots<'a>(&'a self, $visit: &mut dyn FnMut(Slot<&'a Tensor>)) {
                let $type $fields = self;
                $list
            }

            pub(super) fn slots_mut<'a>(&'a mut self, $visit: &mut dyn FnMut(Slot<&'a mut Tensor>)) {
                let $type $fields = self;
                $list
            }
        }
    };
}
pub(super) use slots;
