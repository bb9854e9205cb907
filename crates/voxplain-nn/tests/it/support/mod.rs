//! What several tests need.

pub(crate) mod checkpoint;
pub(crate) mod npy;
pub(crate) mod random_net;
pub(crate) mod rounding;
pub(crate) mod witness;
