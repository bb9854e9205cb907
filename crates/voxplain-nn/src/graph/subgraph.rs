//! The subgraph of a network from one of its nodes to the output.

use super::{Network, NodeId};
use crate::{Error, Result};

impl Network {
    /// The subgraph from a node that holds volumes `[C, i, j, k]` to the output: a network that takes this node's
    /// value and gives the same output.
    ///
    /// # Errors
    /// The node holds no volumes, or the output depends on the input by other ways than through the node (a layer
    /// inside a branch).
    pub fn subgraph_from(&self, node: NodeId) -> Result<Self> {
        let refuse = |what: String| Error::Shape { node: self.nodes[node.0].name.clone(), what };
        let shape = <[usize; 4]>::try_from(self.shape(node)?)
            .map_err(|_| refuse(format!("found shape {:?}, expected volumes [C, i, j, k]", self.shapes[node.0])))?;
        let needed = self.ancestors_as_far_as(self.output(), Some(node));
        if let Some(other) = (0..node.0).find(|&n| needed[n]) {
            return Err(refuse(format!(
                "the output does not depend on it alone: another way leads from {} around it",
                self.nodes[other].name
            )));
        }
        let mut part = Self::new(shape);
        part.nodes[0].name = self.nodes[node.0].name.clone();
        let mut place = vec![NodeId(0); self.nodes.len()];
        for n in (node.0 + 1..self.nodes.len()).filter(|&n| needed[n]) {
            let from = &self.nodes[n];
            let inputs: Vec<NodeId> = from.inputs.iter().map(|input| place[input.0]).collect();
            place[n] = part.add(&from.name, from.op.clone(), &inputs)?;
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Mode, forward};
    use crate::{Conv3d, Linear, Op};

    /// A convolution, a residual block, and a head.
    fn residual() -> Network {
        let mut net = Network::new([2, 3, 4, 3]);
        let stem = net.then("stem", Conv3d::new(2, 3, [3; 3]).with_padding([1; 3])).unwrap();
        let inner = net.then("inner", Conv3d::new(3, 3, [1; 3])).unwrap();
        let relu = net.add("relu", Op::Relu, &[inner]).unwrap();
        net.add("sum", Op::Add, &[stem, relu]).unwrap();
        net.then("pool", Op::GlobalAvgPool).unwrap();
        net.then("linear", Linear::new(3, 4)).unwrap();
        net.initialize(5);
        net
    }

    #[test]
    fn the_subgraph_from_a_node_gives_the_output() {
        let net = residual();
        let input: Vec<f32> = (0..144).map(|n| (n * 37 % 17) as f32 / 9.0 - 1.0).collect();
        let tape = forward(&net, &input, Mode::Evaluate).unwrap();
        for name in ["input", "stem", "sum"] {
            let node = net.node(name).unwrap();
            let part = net.subgraph_from(node).unwrap();
            let again = forward(&part, tape.value(node).unwrap(), Mode::Evaluate).unwrap();
            assert_eq!(again.output(), tape.output(), "{name}");
            assert_eq!(part.input_shape().as_slice(), net.shape(node).unwrap());
        }
    }

    #[test]
    fn what_other_ways_lead_around_is_refused() {
        let net = residual();
        let error = net.subgraph_from(net.node("relu").unwrap()).unwrap_err().to_string();
        assert_eq!(error, "node relu: the output does not depend on it alone: another way leads from input around it");
        assert!(net.subgraph_from(net.node("pool").unwrap()).unwrap_err().to_string().contains("expected volumes"));
    }
}
