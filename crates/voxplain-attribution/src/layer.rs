//! [`Layer`]: a node of a network that holds volumes, where a class activation map lives.

use crate::separable::{AxisMap, Separable};
use std::collections::BTreeSet;
use voxplain_core::{Error, Result};
use voxplain_nn::{Network, NodeId, Op, OpClass};
use voxplain_volume::{Affine, Grid};

/// A node of a network that holds volumes, and where its cells lie in the input.
///
/// The centre of cell `c` is at input voxel `offset + stride * c` along each axis, which follows from the
/// kernels, strides and padding on the way there. Upsampling to the input's size without the offset would move the
/// map: for the paper's network by up to 6.4 voxels.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The node.
    pub node: NodeId,
    /// Its name, `features.10`.
    pub name: String,
    /// `[channels, i, j, k]`.
    pub shape: [usize; 4],
    /// Input voxels from one cell to the next, along each axis.
    pub stride: [f64; 3],
    /// Input voxel of the centre of the first cell, along each axis.
    pub offset: [f64; 3],
}

impl Layer {
    /// The node of that name, which must hold volumes. `last` is the last activation that holds more than one cell, right before the head;
    /// where a branch goes around it, as in blocks with a residual, the last value on the same cells that all branches have met in.
    ///
    /// # Errors
    /// There is no such node, it does not hold volumes, or where its cells lie in the input cannot be told.
    pub fn find(network: &Network, name: &str) -> Result<Self> {
        let shapes = network.shapes();
        let volume = |n: usize| <[usize; 4]>::try_from(shapes[n].as_slice()).ok();
        if name == "last" {
            let mut all = Self::activations(network)?;
            let last = all.iter().rposition(|layer| layer.cells() != [1; 3]).unwrap_or(all.len() - 1);
            return Self::met(network, all.swap_remove(last));
        }
        let node = network.node(name).map_err(|_| {
            Error::request(
                format!("the network has no layer {name}"),
                format!(
                    "the layers that hold volumes are {}; `last` is the last of them before the head",
                    Self::known(network)
                ),
            )
        })?;
        let name = network.nodes()[node.0].name.clone();
        let shape = volume(node.0).ok_or_else(|| {
            Error::request(
                format!("layer {name} has shape {:?}, which is no volume", shapes[node.0]),
                format!("the layers that hold volumes are {}", Self::known(network)),
            )
        })?;
        let field = network.receptive_field(node)?;
        Ok(Self { node, name, shape, stride: field.stride, offset: field.offset })
    }

    /// Every activation that holds volumes, from the input on.
    ///
    /// # Errors
    /// There is none.
    pub fn activations(network: &Network) -> Result<Vec<Self>> {
        let activation = |op: &Op| matches!(op.class(), OpClass::Activation(_));
        let (nodes, shapes) = (network.nodes(), network.shapes());
        let found = nodes.iter().zip(&shapes).filter(|(node, shape)| activation(&node.op) && shape.len() == 4);
        let layers = found.map(|(node, _)| Self::find(network, &node.name)).collect::<Result<Vec<_>>>()?;
        if layers.is_empty() {
            return Err(Error::request(
                "no layer to map: the network has no activation that holds volumes",
                format!("name a layer; those that hold volumes are {}", Self::known(network)),
            ));
        }
        Ok(layers)
    }

    /// The layer itself where all ways from input to output lead through it, else the last behind it that they lead through, on the same cells,
    /// where there is one.
    fn met(network: &Network, layer: Self) -> Result<Self> {
        let (nodes, shapes) = (network.nodes(), network.shapes());
        // What the output is made of. Nodes stand behind their inputs.
        let mut used = BTreeSet::from([network.output().0]);
        for n in (0..=network.output().0).rev() {
            if used.contains(&n) {
                used.extend(nodes[n].inputs.iter().map(|input| input.0));
            }
        }
        // All ways have met in a node where none leads from before it to behind it.
        let is_met =
            |at: usize| used.iter().filter(|n| **n > at).all(|n| nodes[*n].inputs.iter().all(|input| input.0 >= at));
        if is_met(layer.node.0) {
            return Ok(layer);
        }
        let on_same = |n: &usize| shapes[*n].len() == 4 && shapes[*n][1..] == layer.shape[1..] && is_met(*n);
        match used.range(layer.node.0..).copied().rfind(on_same) {
            Some(n) => Self::find(network, &nodes[n].name),
            None => Ok(layer),
        }
    }

    fn known(network: &Network) -> String {
        let shapes = network.shapes();
        let names: Vec<_> =
            network.nodes().iter().zip(&shapes).filter(|(_, s)| s.len() == 4).map(|(n, _)| n.name.as_str()).collect();
        names.join(", ")
    }

    /// Number of cells along each axis.
    pub fn cells(&self) -> [usize; 3] {
        [self.shape[1], self.shape[2], self.shape[3]]
    }

    /// The grid of the layer's cells, for an input on `grid`.
    ///
    /// # Errors
    /// Not for a layer that was found in a network: strides are more than 0.
    pub fn grid(&self, grid: &Grid) -> Result<Grid> {
        let affine = grid.affine * Affine::from_spacing_origin(self.stride, self.offset);
        Ok(Grid::new(self.cells(), affine)?)
    }

    /// Trilinear upsampling to the input's `shape` as if the cells filled it, wherever they lie: what
    /// `interpolate(size)` does.
    pub(crate) fn stretching(&self, shape: [usize; 3]) -> Separable {
        let cells = self.cells();
        Separable::new(&std::array::from_fn(|a| {
            let scale = cells[a] as f64 / shape[a] as f64;
            AxisMap::interpolate(cells[a], shape[a], |n| (n as f64 + 0.5) * scale - 0.5)
        }))
    }

    /// Trilinear upsampling to the input's `shape` at the true centres of the cells; beyond the outermost centres
    /// the value of the nearest cell.
    pub fn upsampling(&self, shape: [usize; 3]) -> Separable {
        let cells = self.cells();
        Separable::new(&std::array::from_fn(|a| {
            AxisMap::interpolate(cells[a], shape[a], |n| (n as f64 - self.offset[a]) / self.stride[a])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_nn::{Conv3d, Linear, Pool3d};

    /// A block whose activation `act` lies in a branch or not; behind it `ending`.
    fn last(in_branch: bool, ending: impl Fn(&mut Network, NodeId)) -> String {
        let mut net = Network::new([1, 6, 6, 6]);
        let trunk = net.then("stem", Conv3d::new(1, 3, [3; 3]).with_padding([1; 3])).unwrap();
        net.then("conv", Conv3d::new(3, 3, [3; 3]).with_padding([1; 3])).unwrap();
        let act = net.then("act", Op::Relu).unwrap();
        let conv = net.then("conv2", Conv3d::new(3, 3, [1; 3])).unwrap();
        if in_branch {
            net.add("sum", Op::Add, &[trunk, conv]).unwrap();
        }
        ending(&mut net, act);
        net.then("flat", Op::Flatten).unwrap();
        net.then("linear", Linear::new(net.outputs(), 2)).unwrap();
        Layer::find(&net, "last").unwrap().name
    }

    #[test]
    fn the_last_layer_is_one_that_all_branches_have_met_in() {
        let then = |name: &'static str, op: Op| {
            move |net: &mut Network, _: NodeId| {
                net.then(name, op.clone()).unwrap();
            }
        };
        let average = then("average", Op::AvgPool3d(Pool3d::new([6; 3])));
        assert_eq!(last(false, &average), "act");
        assert_eq!(last(true, &average), "sum");
        // A pool behind the sum has other cells.
        assert_eq!(last(true, then("pool", Op::MaxPool3d(Pool3d::new([2; 3])))), "sum");
        // An activation of one cell behind the average is no map.
        let gate = |net: &mut Network, _| {
            net.then("average", Op::AvgPool3d(Pool3d::new([6; 3]))).unwrap();
            net.then("gate", Op::Relu).unwrap();
        };
        assert_eq!(last(true, gate), "sum");
        // An activation behind the sum is what it was.
        assert_eq!(last(true, then("relu", Op::Relu)), "relu");
        // Branches that meet beyond the layer's cells alone: the activation stays.
        let around = |net: &mut Network, act| {
            let pooled = net.add("pool", Op::MaxPool3d(Pool3d::new([2; 3])), &[act]).unwrap();
            let other = net.add("pool2", Op::MaxPool3d(Pool3d::new([2; 3])), &[NodeId(2)]).unwrap();
            net.add("sum2", Op::Add, &[pooled, other]).unwrap();
        };
        assert_eq!(last(false, around), "act");
    }
}
