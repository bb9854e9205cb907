//! A network as an ONNX file (opset 17), which onnxruntime, PyTorch's `onnx` tools and others run.
//!
//! Parameters keep the names they have here (`features.0.weight`), and every operation's output is called as its node. The
//! number of samples is left open. What ONNX has no operator for in this opset is written out in several (GELU, group
//! normalisation, Mish). Dropout is left away: a file is for use, not for training.

mod graph;
mod protobuf;

use crate::ops::{Alignment, ConvTranspose3d, Interpolation, NormOver, Pool3d, Resize3d, SampleNorm};
use crate::{Error, Network, Op, Result, Tensor};
use graph::{Attribute, Graph, whole};
use protobuf::Message;

/// Version of ONNX's operators: the first with layer normalisation.
const OPSET: i64 = 17;
/// Version of the file format that belongs to it.
const IR_VERSION: i64 = 8;

/// The bytes of a file. Its output is that of the network, logits where the network ends in them. `about` are words for the
/// reader (`metadata_props`), by name.
///
/// # Errors
/// A mean over dilated windows, which these operators do not have.
pub fn encode(network: &Network, about: &[(&str, String)]) -> Result<Vec<u8>> {
    let mut writer = Writer { graph: Graph::default(), values: Vec::new() };
    let shapes = network.shape_list();
    for (node, shape) in network.nodes().iter().zip(shapes) {
        let inputs: Vec<(String, &[usize])> =
            node.inputs.iter().map(|input| (writer.values[input.0].clone(), shapes[input.0].as_slice())).collect();
        let value = writer
            .operation(&node.name, &node.op, &inputs, shape)
            .map_err(|what| Error::Shape { node: node.name.clone(), what })?;
        writer.values.push(value);
    }
    let Writer { mut graph, values } = writer;
    let (first, last) = (&values[0], &values[values.len() - 1]);
    // An output has a name of its own: the last node may be one that is left away.
    let output = graph.node("Identity", &[last], "scores", &[]);
    let graph = graph.finish([(first, &shapes[0]), (&output, &shapes[shapes.len() - 1])]);

    let mut model = Message::default();
    model.int(1, IR_VERSION);
    model.text(2, "voxplain");
    model.text(3, env!("CARGO_PKG_VERSION"));
    model.message(7, &graph);
    let mut operators = Message::default();
    operators.text(1, "");
    operators.int(2, OPSET);
    model.message(8, &operators);
    for (name, value) in about {
        let mut entry = Message::default();
        entry.text(1, name);
        entry.text(2, value);
        model.message(14, &entry);
    }
    Ok(model.into_bytes())
}

/// A graph, and what its nodes so far are called.
struct Writer {
    graph: Graph,
    /// By node, the name of its output.
    values: Vec<String>,
}

impl Writer {
    /// Adds an operation of a network; returns the name of its output.
    fn operation(
        &mut self,
        name: &str,
        op: &Op,
        inputs: &[(String, &[usize])],
        shape: &[usize],
    ) -> Result<String, String> {
        let graph = &mut self.graph;
        let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
        let x = names.first().copied().unwrap_or_default();
        let one = |graph: &mut Graph, operator: &str, attributes: &[(&str, Attribute<'_>)]| {
            graph.node(operator, &[x], name, attributes)
        };
        let part = |what: &str| format!("{name}/{what}");
        let scalar = |graph: &mut Graph, what: &str, value: f32| graph.floats(&format!("{name}/{what}"), &[], &[value]);
        Ok(match op {
            Op::Input { .. } => graph.name(name),
            Op::Conv3d(conv) => {
                let of = operands(graph, name, x, (&conv.weight, conv.bias.as_ref()));
                graph.node(
                    "Conv",
                    &strings(&of),
                    name,
                    &[
                        ("kernel_shape", ints(conv.kernel)),
                        ("strides", ints(conv.stride)),
                        ("pads", pads(conv.padding, conv.padding)),
                        ("dilations", ints(conv.dilation)),
                        ("group", Attribute::Int(whole(conv.groups))),
                    ],
                )
            }
            Op::ConvTranspose3d(conv) => conv_transpose(graph, name, x, conv),
            Op::BatchNorm(norm) => {
                let mut of = vec![x.to_owned()];
                for (called, tensor) in [
                    ("weight", &norm.weight),
                    ("bias", &norm.bias),
                    ("running_mean", &norm.running_mean),
                    ("running_var", &norm.running_var),
                ] {
                    of.push(graph.floats(&format!("{name}.{called}"), tensor.shape(), tensor.data()));
                }
                let epsilon = [("epsilon", Attribute::Float(norm.epsilon))];
                graph.node("BatchNormalization", &strings(&of), name, &epsilon)
            }
            Op::SampleNorm(norm) => sample_norm(graph, name, x, norm, shape),
            Op::Relu => one(graph, "Relu", &[]),
            Op::LeakyRelu { slope } => one(graph, "LeakyRelu", &[("alpha", Attribute::Float(*slope))]),
            Op::Prelu(prelu) => {
                let slope = graph.floats(&format!("{name}.weight"), &by_channel(shape), prelu.weight.data());
                graph.node("PRelu", &[x, &slope], name, &[])
            }
            Op::Elu => one(graph, "Elu", &[("alpha", Attribute::Float(1.0))]),
            Op::Gelu => {
                // x / 2 (1 + erf(x / sqrt(2))).
                let root = scalar(graph, "root", std::f32::consts::SQRT_2);
                let scaled = graph.node("Div", &[x, &root], &part("scaled"), &[]);
                let erf = graph.node("Erf", &[&scaled], &part("erf"), &[]);
                half_of_one_and(graph, name, x, &erf)
            }
            Op::GeluTanh => {
                // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
                let square = graph.node("Mul", &[x, x], &part("square"), &[]);
                let cube = graph.node("Mul", &[&square, x], &part("cube"), &[]);
                let factor = scalar(graph, "factor", 0.044_715);
                let small = graph.node("Mul", &[&cube, &factor], &part("small"), &[]);
                let sum = graph.node("Add", &[x, &small], &part("sum"), &[]);
                let scale = scalar(graph, "scale", (2.0 / std::f32::consts::PI).sqrt());
                let scaled = graph.node("Mul", &[&sum, &scale], &part("scaled"), &[]);
                let tanh = graph.node("Tanh", &[&scaled], &part("tanh"), &[]);
                half_of_one_and(graph, name, x, &tanh)
            }
            Op::Sigmoid => one(graph, "Sigmoid", &[]),
            Op::Tanh => one(graph, "Tanh", &[]),
            Op::ScaledElu { alpha, scale } => {
                one(graph, "Selu", &[("alpha", Attribute::Float(*alpha)), ("gamma", Attribute::Float(*scale))])
            }
            Op::Silu => {
                let sigmoid = graph.node("Sigmoid", &[x], &part("sigmoid"), &[]);
                graph.node("Mul", &[x, &sigmoid], name, &[])
            }
            Op::Mish => {
                let softplus = graph.node("Softplus", &[x], &part("softplus"), &[]);
                let tanh = graph.node("Tanh", &[&softplus], &part("tanh"), &[]);
                graph.node("Mul", &[x, &tanh], name, &[])
            }
            Op::Softplus => one(graph, "Softplus", &[]),
            Op::HardSigmoid { slope, offset } => {
                one(graph, "HardSigmoid", &[("alpha", Attribute::Float(*slope)), ("beta", Attribute::Float(*offset))])
            }
            Op::HardSwish => one(graph, "HardSwish", &[]),
            Op::Clip { low, high } => {
                let mut bound = |what: &str, value: f32| {
                    if value.is_finite() {
                        graph.floats(&format!("{name}/{what}"), &[], &[value])
                    } else {
                        String::new()
                    }
                };
                let (low, high) = (bound("low", *low), bound("high", *high));
                graph.node("Clip", &[x, &low, &high], name, &[])
            }
            Op::MaxPool3d(pool) => {
                let from = space(inputs[0].1)?;
                let end = end(pool, from)?;
                one(
                    graph,
                    "MaxPool",
                    &[
                        ("kernel_shape", ints(pool.kernel)),
                        ("strides", ints(pool.stride)),
                        ("pads", pads(pool.padding, end)),
                        ("dilations", ints(pool.dilation)),
                    ],
                )
            }
            Op::AvgPool3d(pool) => mean_pool(graph, name, x, pool, space(inputs[0].1)?)?,
            Op::Pad3d(padding) => pad(graph, name, x, (padding.before, padding.after), padding.value),
            Op::Resize3d(resize) => self::resize(graph, name, x, resize, shape),
            Op::GlobalAvgPool => {
                let mean = graph.node("GlobalAveragePool", &[x], &part("mean"), &[]);
                graph.node("Flatten", &[&mean], name, &[("axis", Attribute::Int(1))])
            }
            Op::Flatten => one(graph, "Flatten", &[("axis", Attribute::Int(1))]),
            Op::Linear(linear) => {
                let weight = graph.floats(&format!("{name}.weight"), linear.weight.shape(), linear.weight.data());
                let bias = graph.floats(&format!("{name}.bias"), linear.bias.shape(), linear.bias.data());
                graph.node("Gemm", &[x, &weight, &bias], name, &[("transB", Attribute::Int(1))])
            }
            // Nothing outside training.
            Op::Dropout { .. } => x.to_owned(),
            Op::Add | Op::Multiply => {
                let operator = if matches!(op, Op::Add) { "Add" } else { "Mul" };
                let (first, second) = (inputs[0].1, inputs[1].1);
                let second = if first == second {
                    names[1].to_owned()
                } else {
                    let axes = graph.ints(&part("axes"), &[0, whole(second[0]), 1, 1, 1]);
                    graph.node("Reshape", &[names[1], &axes], &part("by-channel"), &[])
                };
                graph.node(operator, &[x, &second], name, &[])
            }
            Op::Concat => graph.node("Concat", &names, name, &[("axis", Attribute::Int(1))]),
            Op::Softmax => one(graph, "Softmax", &[("axis", Attribute::Int(1))]),
            Op::LogSoftmax => one(graph, "LogSoftmax", &[("axis", Attribute::Int(1))]),
        })
    }
}

fn strings(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn ints(lengths: [usize; 3]) -> Attribute<'static> {
    Attribute::Ints(lengths.map(whole).to_vec())
}

fn pads(before: [usize; 3], after: [usize; 3]) -> Attribute<'static> {
    Attribute::Ints(before.into_iter().chain(after).map(whole).collect())
}

/// The shape of a constant with a value for each channel of values of this shape.
fn by_channel(shape: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().map(|(axis, &length)| if axis == 0 { length } else { 1 }).collect()
}

fn space(shape: &[usize]) -> Result<[usize; 3], String> {
    shape
        .get(1..)
        .and_then(|space| space.try_into().ok())
        .ok_or_else(|| format!("found shape {shape:?}, expected a volume"))
}

/// Padding at the end with which windows are as many as the pool has, without ONNX's own rounding up.
fn end(pool: &Pool3d, from: [usize; 3]) -> Result<[usize; 3], String> {
    let positions = pool.positions(from)?;
    Ok(std::array::from_fn(|axis| {
        let span = (pool.kernel[axis] - 1) * pool.dilation[axis] + 1;
        let reach = (positions[axis] - 1) * pool.stride[axis] + span;
        reach.saturating_sub(from[axis] + pool.padding[axis])
    }))
}

/// A mean counts the padding that was asked for, and never what rounding up adds: where it does count, the padding is an
/// operator of its own.
fn mean_pool(graph: &mut Graph, name: &str, x: &str, pool: &Pool3d, from: [usize; 3]) -> Result<String, String> {
    if pool.dilation != [1; 3] {
        return Err(format!(
            "found a mean over windows with a dilation of {:?}, which ONNX has from opset 19 on",
            pool.dilation
        ));
    }
    let reach = end(pool, from)?;
    let counted = !pool.inside && (pool.padding, pool.end()) != ([0; 3], [0; 3]);
    let (x, before, after) = if counted {
        let padded = pad(graph, &format!("{name}/padded"), x, (pool.padding, pool.end()), 0.0);
        (padded, [0; 3], std::array::from_fn(|axis| reach[axis].saturating_sub(pool.end()[axis])))
    } else {
        (x.to_owned(), pool.padding, reach)
    };
    Ok(graph.node(
        "AveragePool",
        &[&x],
        name,
        &[("kernel_shape", ints(pool.kernel)), ("strides", ints(pool.stride)), ("pads", pads(before, after))],
    ))
}

fn pad(graph: &mut Graph, name: &str, x: &str, (before, after): ([usize; 3], [usize; 3]), value: f32) -> String {
    let side = |lengths: [usize; 3]| [0, 0].into_iter().chain(lengths.map(whole));
    let widths: Vec<i64> = side(before).chain(side(after)).collect();
    let widths = graph.ints(&format!("{name}/widths"), &widths);
    let value = graph.floats(&format!("{name}/value"), &[], &[value]);
    graph.node("Pad", &[x, &widths, &value], name, &[])
}

/// `x / 2 (1 + y)`.
fn half_of_one_and(graph: &mut Graph, name: &str, x: &str, y: &str) -> String {
    let one = graph.floats(&format!("{name}/one"), &[], &[1.0]);
    let sum = graph.node("Add", &[y, &one], &format!("{name}/one-and"), &[]);
    let product = graph.node("Mul", &[x, &sum], &format!("{name}/product"), &[]);
    let half = graph.floats(&format!("{name}/half"), &[], &[0.5]);
    graph.node("Mul", &[&product, &half], name, &[])
}

/// What a convolution takes: its input, its weight and, where there is one, its bias.
fn operands(graph: &mut Graph, name: &str, x: &str, (weight, bias): (&Tensor, Option<&Tensor>)) -> Vec<String> {
    let mut of = vec![x.to_owned(), graph.floats(&format!("{name}.weight"), weight.shape(), weight.data())];
    of.extend(bias.map(|bias| graph.floats(&format!("{name}.bias"), bias.shape(), bias.data())));
    of
}

fn conv_transpose(graph: &mut Graph, name: &str, x: &str, conv: &ConvTranspose3d) -> String {
    let of = operands(graph, name, x, (&conv.weight, conv.bias.as_ref()));
    // An output that is cut is padding at the end.
    let cut = std::array::from_fn(|axis| conv.padding[axis] + conv.output_padding[axis].min(0).unsigned_abs());
    let added = conv.output_padding.map(|length| length.max(0).unsigned_abs());
    graph.node(
        "ConvTranspose",
        &strings(&of),
        name,
        &[
            ("kernel_shape", ints(conv.kernel)),
            ("strides", ints(conv.stride)),
            ("pads", pads(conv.padding, cut)),
            ("output_padding", ints(added)),
            ("dilations", ints(conv.dilation)),
            ("group", Attribute::Int(whole(conv.groups))),
        ],
    )
}

/// Of instances and of layers by their own operators; of groups by instances of reshaped values.
fn sample_norm(graph: &mut Graph, name: &str, x: &str, norm: &SampleNorm, shape: &[usize]) -> String {
    let part = |what: &str| format!("{name}/{what}");
    let epsilon = || [("epsilon", Attribute::Float(norm.epsilon))];
    match norm.over {
        NormOver::Groups(groups) if groups == norm.channels && shape.len() > 1 => {
            let weight = graph.floats(&format!("{name}.weight"), norm.weight.shape(), norm.weight.data());
            let bias = graph.floats(&format!("{name}.bias"), norm.bias.shape(), norm.bias.data());
            graph.node("InstanceNormalization", &[x, &weight, &bias], name, &epsilon())
        }
        NormOver::Groups(groups) => {
            let axes = graph.ints(&part("groups"), &[0, whole(groups), -1]);
            let grouped = graph.node("Reshape", &[x, &axes], &part("grouped"), &[]);
            let ones = graph.floats(&part("ones"), &[groups], &vec![1.0; groups]);
            let zeros = graph.floats(&part("zeros"), &[groups], &vec![0.0; groups]);
            let normed = graph.node("InstanceNormalization", &[&grouped, &ones, &zeros], &part("normed"), &epsilon());
            let axes: Vec<i64> = std::iter::once(0).chain(shape.iter().map(|&length| whole(length))).collect();
            let axes = graph.ints(&part("shape"), &axes);
            let back = graph.node("Reshape", &[&normed, &axes], &part("back"), &[]);
            let weight = graph.floats(&format!("{name}.weight"), &by_channel(shape), norm.weight.data());
            let bias = graph.floats(&format!("{name}.bias"), &by_channel(shape), norm.bias.data());
            let scaled = graph.node("Mul", &[&back, &weight], &part("scaled"), &[]);
            graph.node("Add", &[&scaled, &bias], name, &[])
        }
        NormOver::Channels => {
            let weight = graph.floats(&format!("{name}.weight"), norm.weight.shape(), norm.weight.data());
            let bias = graph.floats(&format!("{name}.bias"), norm.bias.shape(), norm.bias.data());
            let attributes = || [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(norm.epsilon))];
            if shape.len() == 1 {
                return graph.node("LayerNormalization", &[x, &weight, &bias], name, &attributes());
            }
            let turn = |order: [i64; 5]| [("perm", Attribute::Ints(order.to_vec()))];
            let last = graph.node("Transpose", &[x], &part("channels-last"), &turn([0, 2, 3, 4, 1]));
            let normed = graph.node("LayerNormalization", &[&last, &weight, &bias], &part("normed"), &attributes());
            graph.node("Transpose", &[&normed], name, &turn([0, 4, 1, 2, 3]))
        }
    }
}

fn resize(graph: &mut Graph, name: &str, x: &str, resize: &Resize3d, shape: &[usize]) -> String {
    let part = |what: &str| format!("{name}/{what}");
    let (mode, nearest) = match resize.interpolation {
        Interpolation::Before => ("nearest", "floor"),
        Interpolation::Behind => ("nearest", "ceil"),
        Interpolation::NearestBefore => ("nearest", "round_prefer_floor"),
        Interpolation::NearestBehind => ("nearest", "round_prefer_ceil"),
        Interpolation::Linear => ("linear", "floor"),
    };
    let places = match resize.alignment {
        Alignment::Centres => "half_pixel",
        Alignment::CentresOrFirst => "pytorch_half_pixel",
        Alignment::Corners => "align_corners",
        Alignment::Starts => "asymmetric",
    };
    let attributes = [
        ("mode", Attribute::Text(mode)),
        ("nearest_mode", Attribute::Text(nearest)),
        ("coordinate_transformation_mode", Attribute::Text(places)),
    ];
    if let Some(scale) = resize.scale {
        #[expect(clippy::cast_possible_truncation, reason = "ONNX has scales of this precision")]
        let scales: Vec<f32> = [1.0, 1.0].into_iter().chain(scale.map(|scale| scale as f32)).collect();
        let scales = graph.floats(&part("scales"), &[5], &scales);
        return graph.node("Resize", &[x, "", &scales], name, &attributes);
    }
    // Sizes hold the number of samples too, which is not known before.
    let all = graph.node("Shape", &[x], &part("shape"), &[]);
    let (start, stop) = (graph.ints(&part("start"), &[0]), graph.ints(&part("stop"), &[1]));
    let samples = graph.node("Slice", &[&all, &start, &stop], &part("samples"), &[]);
    let rest: Vec<i64> = shape.iter().map(|&length| whole(length)).collect();
    let rest = graph.ints(&part("rest"), &rest);
    let sizes = graph.node("Concat", &[&samples, &rest], &part("sizes"), &[("axis", Attribute::Int(0))]);
    graph.node("Resize", &[x, "", "", &sizes], name, &attributes)
}
