//! Networks as graphs of operations.

mod fold;
mod network;
mod receptive_field;
mod subgraph;

pub use network::{Network, Node, NodeId, Parameter};
pub use receptive_field::ReceptiveField;
