//! The kernels of the CPU engine. See each file; the drawing of data flow follows with the fused blocks.
#![allow(unsafe_code, reason = "the one place where it is allowed: every block says why it is sound")]

mod buffer;
pub(crate) mod direct;
pub(crate) mod elementwise;
mod lanes;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod rearrange;
mod shape;

pub(crate) use buffer::Buffer;
pub(crate) use lanes::Isa;
pub(crate) use shape::{Conv, LANES, Layout, Volume, Window};
