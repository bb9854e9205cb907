//! Methods that share out a score layer by layer.

pub(crate) mod deeplift;
pub(crate) mod lrp;
