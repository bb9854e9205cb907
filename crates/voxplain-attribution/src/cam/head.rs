//! [`Head`]: what lies between a layer and the logits.

use crate::layer::Layer;
use voxplain_nn::{Network, Op};

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
            match &node.op {
                Op::Linear(linear) if at == network.output() => head.bias = Some(linear.bias.data().to_vec()),
                Op::Flatten => head.flattened |= shapes[node.inputs[0].0][1..].iter().product::<usize>() > 1,
                Op::MaxPool3d(_)
                | Op::AvgPool3d(_)
                | Op::GlobalAvgPool
                | Op::Dropout { .. }
                | Op::Relu
                | Op::LeakyRelu { .. } => {}
                _ => scales = false,
            }
            match node.inputs[..] {
                [input] => at = input,
                // Branches: the layer is not the only way from input to output.
                _ => {
                    scales = false;
                    break;
                }
            }
        }
        if !scales {
            head.bias = None;
        }
        head
    }
}
