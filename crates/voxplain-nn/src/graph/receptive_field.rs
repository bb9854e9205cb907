//! [`ReceptiveField`]: where the cells of a feature map sit in the input.

use super::{Network, Node, NodeId};
use crate::ops::activations;
use crate::{ConvTranspose3d, Error, Interpolation, Op, Resize3d, Result};

/// Where the cells of a feature map sit in the input: along each axis the centre of cell `c` is at voxel
/// `offset + stride * c`, and the cell sees `size` voxels around it.
///
/// The voxel affine of the map is that of the input times `[diag(stride) | offset]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceptiveField {
    /// Input voxels from one cell to the next, along `(i, j, k)`; below 1 where volumes were made larger.
    pub stride: [f64; 3],
    /// Position of cell 0 in input voxels; a half where a window of even length has its centre between two voxels.
    pub offset: [f64; 3],
    /// Input voxels that a cell depends on, padding included.
    pub size: [usize; 3],
}

impl ReceptiveField {
    /// That of the input itself.
    const INPUT: Self = Self { stride: [1.0; 3], offset: [0.0; 3], size: [1; 3] };

    /// That of what slides a window over this one.
    fn slide(self, kernel: [usize; 3], stride: [usize; 3], padding: [usize; 3], dilation: [usize; 3]) -> Self {
        let mut out = self;
        for axis in 0..3 {
            let span = (dilation[axis] * (kernel[axis] - 1)) as f64;
            out.offset[axis] += (span / 2.0 - padding[axis] as f64) * self.stride[axis];
            out.stride[axis] *= stride[axis] as f64;
            out.size[axis] += voxels(span * self.stride[axis]);
        }
        out
    }

    /// That of what spreads each cell out by a kernel: cell `o` is fed by cells around `(o + p - d (k - 1) / 2) / s`.
    fn spread(self, conv: &ConvTranspose3d) -> Self {
        let mut out = self;
        for axis in 0..3 {
            let span = (conv.dilation[axis] * (conv.kernel[axis] - 1)) as f64;
            let stride = conv.stride[axis] as f64;
            out.offset[axis] += (conv.padding[axis] as f64 - span / 2.0) / stride * self.stride[axis];
            out.stride[axis] /= stride;
            out.size[axis] += voxels((span / stride).floor() * self.stride[axis]);
        }
        out
    }

    /// That of the same volume on another grid.
    fn resize(self, resize: &Resize3d, from: [usize; 3]) -> Self {
        let (step, first) = resize.cells(from);
        let mut out = self;
        for axis in 0..3 {
            out.offset[axis] += first[axis] * self.stride[axis];
            out.stride[axis] *= step[axis];
            if resize.interpolation == Interpolation::Linear {
                out.size[axis] += voxels(self.stride[axis]);
            }
        }
        out
    }
}

/// A reach in voxels: whole, but where cells lie closer than voxels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of voxels")]
fn voxels(reach: f64) -> usize {
    reach.ceil() as usize
}

impl Network {
    /// Where the cells of a node's feature map sit in the input: `s = prod s_l`,
    /// `o = sum_l (d_l (k_l - 1) / 2 - p_l) prod_{m<l} s_m` over the layers before it; a transposed convolution counts as
    /// the inverse of the convolution.
    ///
    /// Refused for a node whose value is no volume, and where branches that meet disagree on stride or offset, as
    /// their cells then have no one place.
    pub fn receptive_field(&self, node: NodeId) -> Result<ReceptiveField> {
        self.shape(node)?;
        let mut fields: Vec<Result<ReceptiveField, String>> = Vec::new();
        for node in &self.nodes()[..=node.0] {
            let shapes = node.inputs.iter().map(|input| self.shape(*input)).collect::<Result<Vec<_>>>()?;
            let field = receptive_field_of(node, &shapes, &fields);
            fields.push(field);
        }
        fields.swap_remove(node.0).map_err(|what| Error::Shape { node: self.nodes()[node.0].name.clone(), what })
    }
}

/// That of a node, from the shapes of its inputs and the fields of the nodes before it.
fn receptive_field_of(
    node: &Node,
    shapes: &[&[usize]],
    fields: &[Result<ReceptiveField, String>],
) -> Result<ReceptiveField, String> {
    let first = || fields[node.inputs[0].0].clone();
    match &node.op {
        Op::Input { .. } => Ok(ReceptiveField::INPUT),
        Op::Conv3d(conv) => Ok(first()?.slide(conv.kernel, conv.stride, conv.padding, conv.dilation)),
        Op::ConvTranspose3d(conv) => Ok(first()?.spread(conv)),
        Op::Resize3d(resize) => match *shapes[0] {
            [_, i, j, k] => Ok(first()?.resize(resize, [i, j, k])),
            _ => first(),
        },
        Op::MaxPool3d(pool) | Op::AvgPool3d(pool) => {
            Ok(first()?.slide(pool.kernel, pool.stride, pool.padding, pool.dilation))
        }
        Op::Pad3d(pad) => Ok(first()?.slide([1; 3], [1; 3], pad.before, [1; 3])),
        // Statistics of a sample see all of it; the cells are where they were, and so are those that a factor is for.
        Op::SampleNorm(_) | Op::Prelu(_) | Op::Multiply => first(),
        activations!() | Op::BatchNorm(_) | Op::Dropout { .. } => first(),
        // A value by channel has no place.
        Op::Add if shapes[0] != shapes[1] => first(),
        Op::Add | Op::Concat => {
            node.inputs[1..].iter().try_fold(first()?, |field, input| join(&node.name, field, fields[input.0].clone()?))
        }
        Op::GlobalAvgPool | Op::Flatten | Op::Linear(_) | Op::Softmax | Op::LogSoftmax => {
            first()?;
            Err(format!("the value of {} is no volume; ask for a node before it", node.name))
        }
    }
}

/// That of cells which depend on the cells of two branches.
fn join(node: &str, field: ReceptiveField, other: ReceptiveField) -> Result<ReceptiveField, String> {
    if (other.stride, other.offset) != (field.stride, field.offset) {
        return Err(format!(
            "the branches that meet in {node} have cells at {:?} + {:?} c and {:?} + {:?} c, expected them in the same \
             place",
            field.offset, field.stride, other.offset, other.stride
        ));
    }
    let size = std::array::from_fn(|axis| field.size[axis].max(other.size[axis]));
    Ok(ReceptiveField { size, ..field })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv3d, Linear, Pool3d};

    /// Convolution 3, pool 2, convolution 3, pool 2, convolution 3: by hand, the offset is
    /// 1 + 0.5 + 1 * 2 + 0.5 * 2 + 1 * 4 and the size 1 + 2 + 1 + 2 * 2 + 1 * 2 + 2 * 4.
    #[test]
    fn the_papers_last_features_are_where_they_are_by_hand() {
        let mut net = Network::new([1, 58, 70, 58]);
        for (block, (channels, width)) in [(1, 2), (2, 2), (2, 2)].into_iter().enumerate() {
            net.then(&format!("conv{block}"), Conv3d::new(channels, width, [3; 3])).unwrap();
            net.then(&format!("relu{block}"), Op::Relu).unwrap();
            net.then(&format!("pool{block}"), Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
        }
        let field = net.receptive_field(net.node("relu2").unwrap()).unwrap();
        assert_eq!(field, ReceptiveField { stride: [4.0; 3], offset: [8.5; 3], size: [18; 3] });
        assert_eq!(net.receptive_field(NodeId(0)).unwrap(), ReceptiveField::INPUT);
        net.then("flat", Op::Flatten).unwrap();
        let head = net.then("head", Linear::new(2 * 5 * 7 * 5, 2)).unwrap();
        let error = net.receptive_field(head).unwrap_err().to_string();
        assert!(error.contains("flat is no volume") || error.contains("head is no volume"), "{error}");
        assert!(net.receptive_field(NodeId(99)).is_err());
    }

    /// A 3-wide window of stride 2 with padding 1 stays where it is; dilation 2 reaches twice as far.
    #[test]
    fn padding_stride_and_dilation_count_along_each_axis() {
        let mut net = Network::new([1, 9, 9, 9]);
        let conv = Conv3d::new(1, 1, [3, 3, 1]).with_stride([2, 1, 1]).with_padding([1, 0, 0]);
        net.then("a", conv).unwrap();
        let b = net.then("b", Conv3d::new(1, 1, [3, 2, 2]).with_dilation([2, 1, 1])).unwrap();
        let field = net.receptive_field(b).unwrap();
        assert_eq!(field.stride, [2.0, 1.0, 1.0]);
        assert_eq!(field.offset, [4.0, 1.5, 0.5]);
        assert_eq!(field.size, [11, 4, 2]);
    }

    #[test]
    fn branches_must_meet_in_the_same_place() {
        let mut net = Network::new([1, 6, 6, 6]);
        let wide = net.add("wide", Conv3d::new(1, 1, [3; 3]).with_padding([1; 3]), &[NodeId(0)]).unwrap();
        let sum = net.add("sum", Op::Add, &[NodeId(0), wide]).unwrap();
        assert_eq!(net.receptive_field(sum).unwrap().size, [3; 3]);
        // Every second voxel, and the mean of every two: as many cells, half a voxel apart.
        let mut halve =
            |name, kernel| net.add(name, Conv3d::new(1, 1, kernel).with_stride([2; 3]), &[NodeId(0)]).unwrap();
        let (shifted, other) = (halve("shifted", [1; 3]), halve("other", [1, 1, 2]));
        let met = net.add("met", Op::Concat, &[shifted, other]).unwrap();
        let error = net.receptive_field(met).unwrap_err().to_string();
        assert!(error.contains("expected them in the same place"), "{error}");
    }
}
