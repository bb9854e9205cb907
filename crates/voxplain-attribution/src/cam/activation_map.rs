//! What class activation maps share: from activations and gradients at a layer to a map on the grid of the input.

use super::head::Head;
use super::options::CamOptions;
use crate::case::Case;
use crate::explainer::{BackwardPass, Explainer};
use crate::layer::Layer;
use crate::method::Method;
use crate::record::{Attribution, Record, float32};
use crate::target::Score;
use serde_json::json;
use voxplain_core::Result;
use voxplain_nn::{NodeId, Rules};
use voxplain_volume::Volume;

/// How a class activation map is placed on the grid of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Interpolated between the true centres of the layer's cells.
    Centres,
    /// Stretched to the input's size, wherever the cells' centres lie, as in 2020.
    Stretched,
}

/// Makes a class activation map of each case: `combine` turns activations and gradients `[K, cells]` into one value
/// per cell, and `finish` completes the record.
pub(crate) fn explain<M: Method>(
    method: &M,
    options: (&CamOptions, Placement),
    (explainer, cases): (&mut Explainer, &[Case<'_>]),
    combine: impl Fn(&[f32], &[f32], &mut [f64]),
    finish: impl Fn(&Head, &mut Record),
) -> Result<Vec<Attribution>> {
    let layers = options.0.layers(explainer)?;
    let nodes: Vec<NodeId> = layers.iter().map(|layer| layer.node).collect();
    let pass = explainer.backward(cases, method.target(), &Rules::GRADIENT, &nodes)?;
    let head = Head::of(explainer.network(), &layers[layers.len() - 1]);
    let mut maps = Vec::with_capacity(cases.len());
    for (n, case) in cases.iter().enumerate() {
        let mut record = method.record(explainer, case, &pass.objectives[n], &pass.logits[n]);
        if let (Some(bias), Score::Logit | Score::Value) = (&head.bias, case.score) {
            let objective = &pass.objectives[n];
            let bias = f64::from(bias[objective.class]) - objective.minus.map_or(0.0, |m| f64::from(bias[m]));
            record.measured["ScoreMinusBias"] = json!(record.score - bias);
        }
        let of_layers = layers.iter().enumerate().map(|layer| combined(&pass, n, layer, &combine)).collect();
        let finish = |record: &mut Record| finish(&head, record);
        maps.push(attribution_of_layers(case, &layers, of_layers, record, options, finish)?);
    }
    Ok(maps)
}

/// What `combine` makes of a layer's activations and gradients, `[K, cells]`, for the `n`-th case of a pass that kept this layer
/// as its `l`-th node: one value per cell.
pub(crate) fn combined(
    pass: &BackwardPass,
    n: usize,
    (l, layer): (usize, &Layer),
    combine: impl Fn(&[f32], &[f32], &mut [f64]),
) -> Vec<f64> {
    let (values, gradients) = &pass.kept[l];
    let size: usize = layer.shape.iter().product();
    let part = n * size..(n + 1) * size;
    let mut map = vec![0.0; layer.cells().iter().product()];
    combine(&values.data()[part.clone()], &gradients.data()[part], &mut map);
    map
}

/// Logits of a case, and its value at each of the layers, `[K, cells]`. One pass forward for each.
pub(crate) fn activations(
    explainer: &mut Explainer,
    case: &Case<'_>,
    layers: &[Layer],
) -> Result<(Vec<f32>, Vec<Vec<f32>>)> {
    let seen: Result<Vec<_>> = layers.iter().map(|layer| explainer.activations(case, layer.node)).collect();
    let (mut logits, activations): (Vec<Vec<f32>>, Vec<_>) = seen?.into_iter().unzip();
    Ok((logits.remove(0), activations))
}

/// The attribution of the last of several layers, given the map of each; where all were asked for, with each layer's map.
pub(crate) fn attribution_of_layers(
    case: &Case<'_>,
    layers: &[Layer],
    mut maps: Vec<Vec<f64>>,
    record: Record,
    (options, placement): (&CamOptions, Placement),
    finish: impl Fn(&mut Record),
) -> Result<Attribution> {
    let last = layers.len() - 1;
    let mut attribution =
        attribution(case, &layers[last], maps[last].clone(), record, (options.rectify, placement), finish)?;
    if options.sweeps() {
        for (layer, map) in layers.iter().zip(&mut maps) {
            if options.rectify {
                map.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            let upsampled = upsample(layer, case, &float32(map), placement);
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
    (rectify, placement): (bool, Placement),
    finish: impl Fn(&mut Record),
) -> Result<Attribution> {
    record.units = format!("{} per cell of {}", case.score, layer.name);
    record.sign = if rectify {
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
    if rectify {
        rectified(&mut map, &mut record);
    }
    let map = float32(&map);
    let upsampled = upsample(layer, case, &map, placement);
    let mut attribution = Attribution::new(case, upsampled, record)?;
    attribution.native_resolution = Some(Volume::new(layer.grid(case.image.grid())?, map)?);
    Ok(attribution)
}

/// A map of a layer's cells on the grid of the input.
pub(crate) fn upsample(layer: &Layer, case: &Case<'_>, map: &[f32], placement: Placement) -> Vec<f32> {
    let shape = case.image.shape();
    let mut upsampled = vec![0.0; case.voxels()];
    let mut upsampling = match placement {
        Placement::Centres => layer.upsampling(shape),
        Placement::Stretched => layer.stretching(shape),
    };
    upsampling.apply(map, &mut upsampled);
    upsampled
}

/// Warns of a method that has one weight per channel on a network that has one per position.
pub(crate) fn warn_of_flattening(method: &str, head: &Head, record: &mut Record) {
    if head.flattened {
        record.warnings.push(format!(
            "The network flattens its last volumes into a linear layer, so every position has weights of its own, \
             which {method} averages away: its map can be unrelated to the evidence, or of the wrong sign. {}",
            // Its sum is the score less the bias where all else behind the layer scales with its input.
            if head.bias.is_some() {
                "hires-cam is exact for this network."
            } else {
                "hires-cam weighs every position by its own gradient."
            }
        ));
    }
}

/// Cuts off what is negative, and says in words when nothing is left.
pub(crate) fn rectified(map: &mut [f64], record: &mut Record) {
    let (lowest, highest) = map.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), &v| (l.min(v), m.max(v)));
    record.measured["Minimum"] = json!(lowest);
    record.measured["Maximum"] = json!(highest);
    if highest <= 0.0 {
        record.warnings.push(format!(
            "The rectified map is empty: every cell of it was negative or zero before (from {lowest:.4e} to {highest:.4e}), \
             which means no evidence for the explained score. Look at the signed map (rectify=false)."
        ));
    }
    map.iter_mut().for_each(|v| *v = v.max(0.0));
}
