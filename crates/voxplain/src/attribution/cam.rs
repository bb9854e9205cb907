//! [`Layer`], where a class activation map lives, and what the methods of that family share.

use super::{Attribution, AxisMap, Case, Explainer, Method, Record, Score, Separable};
use crate::{Error, Result};
use serde_json::json;
use voxplain_nn::{Network, NodeId, Op, Rules};
use voxplain_volume::{Affine, Grid, Volume};

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
    /// The node of that name, which must hold volumes; `last` is the last activation that does, right before the head.
    pub fn find(network: &Network, name: &str) -> Result<Self> {
        let shapes = network.shapes();
        let volume = |n: usize| <[usize; 4]>::try_from(shapes[n].as_slice()).ok();
        let node = if name == "last" {
            let activation =
                |op: &Op| matches!(op, Op::Relu | Op::LeakyRelu { .. } | Op::Elu | Op::Gelu | Op::Sigmoid | Op::Tanh);
            let nodes = network.nodes();
            let found = nodes.iter().enumerate().rposition(|(n, node)| activation(&node.op) && volume(n).is_some());
            let found = found.ok_or_else(|| {
                Error::request(
                    "no layer to map: the network has no activation that holds volumes",
                    format!("name a layer; those that hold volumes are {}", Self::known(network)),
                )
            })?;
            NodeId(found)
        } else {
            network.node(name)?
        };
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
    pub fn grid(&self, grid: &Grid) -> Result<Grid> {
        let affine = grid.affine * Affine::from_spacing_origin(self.stride, self.offset);
        Ok(Grid::new(self.cells(), affine)?)
    }

    /// Trilinear upsampling to the input's `shape` as if the cells filled it, wherever they lie: what `interpolate(size)` does.
    pub(super) fn stretching(&self, shape: [usize; 3]) -> Separable {
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

/// What lies between a layer and the logits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    /// Whether positions are flattened into one linear layer, so that every position has weights of its own.
    pub(super) flattened: bool,
    /// The bias of the linear layer at the end, where all else on the way scales with its input: then gradient times
    /// activation sums to the logit without this bias.
    pub(super) bias: Option<Vec<f32>>,
}

impl Head {
    pub(super) fn of(network: &Network, layer: &Layer) -> Self {
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

/// How a class activation map is made of a layer's cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe<'a> {
    /// Name of the layer, or `last`.
    pub(super) layer: &'a str,
    /// Cut off what is negative.
    pub(super) rectify: bool,
    /// Stretch the map to the input's size, as in 2020, where the cells' centres belong.
    pub(super) stretch: bool,
}

/// Makes a class activation map of each case: `combine` turns activations and gradients `[K, cells]` into one value per
/// cell, and `finish` completes the record.
pub(super) fn explain<M: Method>(
    method: &M,
    &Recipe { layer, rectify, stretch }: &Recipe<'_>,
    (explainer, cases): (&mut Explainer, &[Case<'_>]),
    combine: impl Fn(&[f32], &[f32], &mut [f64]),
    finish: impl Fn(&Head, &mut Record),
) -> Result<Vec<Attribution>> {
    let layer = Layer::find(explainer.network(), layer)?;
    let head = Head::of(explainer.network(), &layer);
    let walk = explainer.walk(cases, method.target(), &Rules::GRADIENT, &[layer.node])?;
    let (values, gradients) = &walk.kept[0];
    let size: usize = layer.shape.iter().product();
    let cells: usize = layer.cells().iter().product();
    let shape = cases[0].image.shape();
    let mut upsampling = if stretch { layer.stretching(shape) } else { layer.upsampling(shape) };
    let mut maps = Vec::with_capacity(cases.len());
    for (n, case) in cases.iter().enumerate() {
        let part = n * size..(n + 1) * size;
        let mut map = vec![0.0; cells];
        combine(&values.data()[part.clone()], &gradients.data()[part], &mut map);
        let (objective, logits) = (walk.objectives[n], &walk.logits[n]);
        let mut record = explainer.record(method, case, &objective, logits);
        record.units = format!("{} per cell of {}", case.score, layer.name);
        record.sign = if rectify {
            "never negative: evidence for the explained score".into()
        } else {
            "positive: evidence for the explained score; negative: against it".into()
        };
        let sum: f64 = map.iter().sum();
        record.measured = json!({
            "Layer": layer.name, "LayerShape": layer.shape, "Stride": layer.stride, "Offset": layer.offset, "Sum": sum,
        });
        if let (Some(bias), Score::Logit) = (&head.bias, case.score) {
            let bias = f64::from(bias[objective.class]) - objective.minus.map_or(0.0, |m| f64::from(bias[m]));
            record.measured["ScoreMinusBias"] = json!(record.score - bias);
        }
        finish(&head, &mut record);
        if rectify {
            rectified(&mut map, &mut record);
        }
        #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
        let map: Vec<f32> = map.into_iter().map(|v| v as f32).collect();
        let mut upsampled = vec![0.0; case.image.data().len()];
        upsampling.apply(&map, &mut upsampled);
        let mut attribution = Attribution::new(case, upsampled, record)?;
        attribution.native_resolution = Some(Volume::new(layer.grid(case.image.grid())?, map)?);
        maps.push(attribution);
    }
    Ok(maps)
}

/// Cuts off what is negative, and says in words when nothing is left.
pub(super) fn rectified(map: &mut [f64], record: &mut Record) {
    let (least, most) = map.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), &v| (l.min(v), m.max(v)));
    record.measured["Minimum"] = json!(least);
    record.measured["Maximum"] = json!(most);
    if most <= 0.0 {
        record.warnings.push(format!(
            "The rectified map is empty: every cell of it was negative or zero before (from {least:.4e} to {most:.4e}), \
             which means no evidence for the explained score. Look at the signed map (rectify=false)."
        ));
    }
    map.iter_mut().for_each(|v| *v = v.max(0.0));
}
