//! [`Layer`]: a node of a network that holds volumes, where a class activation map lives.

use crate::separable::{AxisMap, Separable};
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
    /// The node of that name, which must hold volumes. `last` is the last activation that does, right before the head.
    ///
    /// # Errors
    /// There is no such node, it does not hold volumes, or where its cells lie in the input cannot be told.
    pub fn find(network: &Network, name: &str) -> Result<Self> {
        let shapes = network.shapes();
        let volume = |n: usize| <[usize; 4]>::try_from(shapes[n].as_slice()).ok();
        if name == "last" {
            return Self::activations(network)?.pop().ok_or_else(|| Error::request("no layer to map", "name a layer"));
        }
        let node = network.node(name)?;
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
