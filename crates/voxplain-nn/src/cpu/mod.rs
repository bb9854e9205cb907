//! The kernels of the CPU engine. See each file; the drawing of data flow follows with the fused blocks.
#![allow(unsafe_code, reason = "the one place where it is allowed: every block says why it is sound")]

mod buffer;
pub(crate) mod direct;
pub(crate) mod elementwise;
pub(crate) mod first;
mod lanes;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod norm_pool;
pub(crate) mod pool;
pub(crate) mod rearrange;
mod scratch;
mod shape;
pub(crate) mod sparse;
pub(crate) mod winograd;
pub(crate) mod winograd_gradient;

pub(crate) use buffer::Buffer;
pub(crate) use lanes::Isa;
pub(crate) use scratch::Scratch;
pub(crate) use shape::{Conv, LANES, Layout, Volume, Window};
