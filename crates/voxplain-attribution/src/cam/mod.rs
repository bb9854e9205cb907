//! [`Layer`], where a class activation map lives, and what the methods of that family share.

pub(crate) mod ablation_cam;
pub(crate) mod grad_cam;
pub(crate) mod grad_cam_plus_plus;
pub(crate) mod guided_grad_cam;
pub(crate) mod hires_cam;
pub(crate) mod layer_cam;
pub(crate) mod plain_cam;
pub(crate) mod score_cam;
pub(crate) mod xgrad_cam;

use crate::gradient::integrated_gradients::float32;
use crate::{Attribution, AxisMap, Case, Explainer, Method, Record, Score, Separable};
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
    /// The node of that name, which must hold volumes. `last` is the last activation that does, right before the head.
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

    /// Every activation that holds volumes, from the input on; refused where there is none.
    pub fn activations(network: &Network) -> Result<Vec<Self>> {
        let activation =
            |op: &Op| matches!(op, Op::Relu | Op::LeakyRelu { .. } | Op::Elu | Op::Gelu | Op::Sigmoid | Op::Tanh);
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

/// How a class activation map is made of a layer's cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe<'a> {
    /// Name of the layer, `last`, or `all`.
    pub(crate) layer: &'a str,
    /// Cut off what is negative.
    pub(crate) rectify: bool,
    /// Stretch the map to the input's size, as in 2020, where the cells' centres belong.
    pub(crate) stretch: bool,
}

/// Refuses a network that has no such layer.
pub(crate) fn suits(explainer: &Explainer, layer: &str) -> Result<()> {
    layers(explainer, layer).map(|_| ())
}

/// Makes a class activation map of each case: `combine` turns activations and gradients `[K, cells]` into one value
/// per cell, and `finish` completes the record.
pub(crate) fn explain<M: Method>(
    method: &M,
    recipe: &Recipe<'_>,
    (explainer, cases): (&mut Explainer, &[Case<'_>]),
    combine: impl Fn(&[f32], &[f32], &mut [f64]),
    finish: impl Fn(&Head, &mut Record),
) -> Result<Vec<Attribution>> {
    let layers = layers(explainer, recipe.layer)?;
    let nodes: Vec<NodeId> = layers.iter().map(|layer| layer.node).collect();
    let walk = explainer.walk(cases, method.target(), &Rules::GRADIENT, &nodes)?;
    let map = |n: usize, l: usize| {
        let (values, gradients) = &walk.kept[l];
        let size: usize = layers[l].shape.iter().product();
        let part = n * size..(n + 1) * size;
        let mut map = vec![0.0; layers[l].cells().iter().product()];
        combine(&values.data()[part.clone()], &gradients.data()[part], &mut map);
        map
    };
    let head = Head::of(explainer.network(), &layers[layers.len() - 1]);
    let mut maps = Vec::with_capacity(cases.len());
    for (n, case) in cases.iter().enumerate() {
        let mut record = explainer.record(method, case, &walk.objectives[n], &walk.logits[n]);
        if let (Some(bias), Score::Logit) = (&head.bias, case.score) {
            let objective = &walk.objectives[n];
            let bias = f64::from(bias[objective.class]) - objective.minus.map_or(0.0, |m| f64::from(bias[m]));
            record.measured["ScoreMinusBias"] = json!(record.score - bias);
        }
        let of_layers: Vec<Vec<f64>> = (0..layers.len()).map(|l| map(n, l)).collect();
        let finish = |record: &mut Record| finish(&head, record);
        maps.push(attribution_of_layers(case, &layers, of_layers, record, recipe, finish)?);
    }
    Ok(maps)
}

/// The layers of that name, `last` or `all`.
pub(crate) fn layers(explainer: &Explainer, name: &str) -> Result<Vec<Layer>> {
    match name {
        "all" => Layer::activations(explainer.network()),
        name => Ok(vec![Layer::find(explainer.network(), name)?]),
    }
}

/// Logits of a case, and its value at each of the layers, `[K, cells]`. One pass forward for each.
pub(crate) fn activations(
    explainer: &mut Explainer,
    case: &Case<'_>,
    layers: &[Layer],
) -> Result<(Vec<f32>, Vec<Vec<f32>>)> {
    let seen: Result<Vec<_>> = layers.iter().map(|layer| explainer.activations(case, layer)).collect();
    let (mut logits, activations): (Vec<Vec<f32>>, Vec<_>) = seen?.into_iter().unzip();
    Ok((logits.remove(0), activations))
}

/// The attribution of the last of several layers, given the map of each; where all were asked for, with each layer's map.
pub(crate) fn attribution_of_layers(
    case: &Case<'_>,
    layers: &[Layer],
    mut maps: Vec<Vec<f64>>,
    record: Record,
    recipe: &Recipe<'_>,
    finish: impl Fn(&mut Record),
) -> Result<Attribution> {
    let last = layers.len() - 1;
    let mut attribution = attribution(case, &layers[last], maps[last].clone(), record, recipe, finish)?;
    if recipe.layer == "all" {
        for (layer, map) in layers.iter().zip(&mut maps) {
            if recipe.rectify {
                map.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            let upsampled = upsample(layer, case, &float32(map), recipe.stretch);
            attribution.of_layers.push((layer.name.clone(), Volume::new(*case.image.grid(), upsampled)?));
            attribution.record.layers.push(layer.name.clone());
        }
    }
    Ok(attribution)
}

/// The attribution that a map of a layer's cells makes, with its record completed: first what all class activation
/// maps say, then what `finish` adds.
pub(crate) fn attribution(
    case: &Case<'_>,
    layer: &Layer,
    mut map: Vec<f64>,
    mut record: Record,
    recipe: &Recipe<'_>,
    finish: impl Fn(&mut Record),
) -> Result<Attribution> {
    record.units = format!("{} per cell of {}", case.score, layer.name);
    record.sign = if recipe.rectify {
        "never negative: evidence for the explained score".into()
    } else {
        "positive: evidence for the explained score; negative: against it".into()
    };
    record.measured["Layer"] = json!(layer.name);
    record.measured["LayerShape"] = json!(layer.shape);
    record.measured["Stride"] = json!(layer.stride);
    record.measured["Offset"] = json!(layer.offset);
    record.measured["Sum"] = json!(map.iter().sum::<f64>());
    finish(&mut record);
    if recipe.rectify {
        rectified(&mut map, &mut record);
    }
    let map = float32(&map);
    let upsampled = upsample(layer, case, &map, recipe.stretch);
    let mut attribution = Attribution::new(case, upsampled, record)?;
    attribution.native_resolution = Some(Volume::new(layer.grid(case.image.grid())?, map)?);
    Ok(attribution)
}

/// A map of a layer's cells on the grid of the input.
pub(crate) fn upsample(layer: &Layer, case: &Case<'_>, map: &[f32], stretch: bool) -> Vec<f32> {
    let shape = case.image.shape();
    let mut upsampled = vec![0.0; case.voxels()];
    if stretch { layer.stretching(shape) } else { layer.upsampling(shape) }.apply(map, &mut upsampled);
    upsampled
}

/// Warns of a method that has one weight per channel on a network that has one per position.
pub(crate) fn warn_of_flattening(method: &str, head: &Head, record: &mut Record) {
    if head.flattened {
        record.warnings.push(format!(
            "The network flattens its last volumes into a linear layer, so every position has weights of its own, \
             which {method} averages away: its map can be unrelated to the evidence, or of the wrong sign. \
             hires-cam is exact for this network."
        ));
    }
}

/// Cuts off what is negative, and says in words when nothing is left.
pub(crate) fn rectified(map: &mut [f64], record: &mut Record) {
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
