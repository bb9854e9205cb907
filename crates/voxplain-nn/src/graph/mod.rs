//! Networks as graphs of operations.

mod fold;
mod initialisation;
mod network;
mod range;
mod reach;
mod receptive_field;
mod subgraph;

pub use initialisation::Initialisation;
pub use network::{Network, Node, NodeId, Parameter};
pub use reach::Reach;
pub use receptive_field::ReceptiveField;
