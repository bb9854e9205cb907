//! [`Head`]: what lies between a layer and the logits.

use crate::layer::Layer;
use voxplain_nn::{Network, Op, OpClass};

/// What lies between a layer and the logits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    /// Whether positions are flattened into one linear layer, so that every position has weights of its own.
    pub(crate) flattened: bool,
    /// The bias of the linear layer at the end, where all else on the way scales with its input: then gradient times
    /// activation sums to the logit without this bias.
    pub(crate) bias: Option<Vec<f32>>,
}

impl Head {
    pub(crate) fn of(network: &Network, layer: &Layer) -> Self {
        let (nodes, shapes) = (network.nodes(), network.shapes());
        let mut head = Self { flattened: false, bias: None };
        let mut scales = true;
        let mut at = network.output();
        while at != layer.node {
            let node = &nodes[at.0];
            // Branches: the layer is not the only way from input to output.
            let [input] = node.inputs[..] else {
                scales = false;
                break;
            };
            if let (Op::Linear(linear), true) = (&node.op, at == network.output()) {
                head.bias = Some(linear.bias.data().to_vec());
            } else {
                scales &= node.op.is_homogeneous();
            }
            let [from, to] = [input, at].map(|node| &shapes[node.0]);
            head.flattened |= node.op.class() == OpClass::Identity && to.len() < from.len() && from[1..] != [1; 3];
            at = input;
        }
        if !scales {
            head.bias = None;
        }
        head
    }
}
