//! [`Network`]: named operations in topological order, with their weights.

use crate::{Op, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Position of a node in its [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

/// One operation of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// A unique name, `features.0`; parameters are called `<name>.weight` and so on.
    pub name: String,
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
    /// The nodes whose values it takes; all earlier in the list.
    pub inputs: Vec<NodeId>,
}

/// A trainable tensor of a network, by name.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// `<node>.weight` or `<node>.bias`.
    pub name: String,
    /// Its values.
    pub tensor: &'a Tensor,
}

/// Named operations in topological order, the last of which is the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    nodes: Vec<Node>,
}

// INTERIM CONTRACT (owner: nn-core).
impl Network {
    /// A network that takes volumes of `[C, i, j, k]` and, so far, returns them. The input node is called `input`.
    pub fn new(_input: [usize; 4]) -> Self {
        todo!()
    }

    /// Adds an operation at the end; refused when its name is taken, its inputs do not exist or shapes do not fit.
    pub fn add(&mut self, _name: &str, _op: Op, _inputs: &[NodeId]) -> Result<NodeId> {
        todo!()
    }

    /// Adds an operation on what was added last.
    pub fn then(&mut self, _name: &str, _op: Op) -> Result<NodeId> {
        todo!()
    }

    /// The nodes, in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that name; the error lists the names there are.
    pub fn node(&self, _name: &str) -> Result<NodeId> {
        todo!()
    }

    /// The last node.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() - 1)
    }

    /// Shape of one sample of the input, `[C, i, j, k]`.
    pub fn input_shape(&self) -> [usize; 4] {
        todo!()
    }

    /// Shape of one sample at every node, in order.
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        todo!()
    }

    /// Number of values that the output gives per sample (the classes).
    pub fn outputs(&self) -> usize {
        todo!()
    }

    /// The same network without a final [`Op::LogSoftmax`]: one that returns logits.
    pub fn without_log_softmax(&self) -> Self {
        todo!()
    }

    /// Trainable tensors, in a fixed order that [`crate::Tape::weight_gradients`] shares.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        todo!()
    }

    /// The same tensors, in the same order, to change in place.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor> {
        todo!()
    }

    /// All tensors by name as PyTorch's `state_dict` has them: parameters and running statistics.
    pub fn state(&self) -> Vec<Parameter<'_>> {
        todo!()
    }

    /// Sets tensors by name; refused when one is missing, unknown or of another shape.
    pub fn load_state(&mut self, _state: Vec<(String, Tensor)>) -> Result<()> {
        todo!()
    }

    /// Draws all weights anew as PyTorch's defaults do (Kaiming uniform, a = sqrt 5; batch-norm 1 and 0), by seed.
    pub fn initialize(&mut self, _seed: u64) {
        todo!()
    }
}
