//! Networks as graphs of operations.

mod fold;
mod network;
mod reach;
mod receptive_field;
mod subgraph;

pub use network::{Network, Node, NodeId, Parameter};
pub use reach::Reach;
pub use receptive_field::ReceptiveField;
