//! Methods that share out a score layer by layer.

mod deeplift;
mod lrp;

pub use deeplift::DeepLift;
pub use lrp::{Composite, Lrp};
