//! What an ONNX file says, as it says it (<https://onnx.ai/onnx/repo-docs/IR.html>): nodes, constants, inputs, outputs.

use super::array::{Array, Data};
use super::external::External;
use super::protobuf::{Fields, Wire};
use crate::import::{MAX_VALUES, Number};
use std::collections::BTreeMap;
use std::rc::Rc;

/// More nodes than any network of layers has.
const MAX_NODES: usize = 20_000;
/// More axes than any tensor of a network has.
const MAX_RANK: usize = 16;

/// A file.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Who wrote it, `pytorch`.
    pub(super) producer: String,
    /// The version of the operators of ONNX itself.
    pub(super) opset: Option<i64>,
    pub(super) graph: Graph,
    /// What else is written down, by name.
    pub(super) metadata: BTreeMap<String, String>,
}

/// The graph of a file.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// Constants by name: weights, mostly.
    pub(super) initializers: BTreeMap<String, Rc<Array>>,
    pub(super) inputs: Vec<Input>,
    /// Names of its outputs.
    pub(super) outputs: Vec<String>,
}

/// One operator.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) operator: String,
    /// Names of what it takes; empty where an optional input is left out.
    pub(super) inputs: Vec<String>,
    /// Names of what it gives; empty where an optional output is left out.
    pub(super) outputs: Vec<String>,
    pub(super) attributes: BTreeMap<String, Attribute>,
}

/// A parameter of an operator.
#[derive(Debug)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Tensor(Rc<Array>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    /// Of another kind: a graph, texts, a sparse tensor.
    Other,
}

/// What a graph is given.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) name: String,
    /// Length of each axis, none where the file leaves it open; nothing where it says nothing of the shape.
    pub(super) shape: Option<Vec<Option<usize>>>,
}

impl Node {
    /// A whole number, or a default.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(format!("{name} is no whole number")),
        }
    }

    /// A number, or a default.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, String> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(format!("{name} is no number")),
        }
    }

    /// A text, or a default.
    pub(super) fn text<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, String> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Text(value)) => Ok(value),
            Some(_) => Err(format!("{name} is no text")),
        }
    }

    /// Whole numbers, where they are given.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&[i64]>, String> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(format!("{name} is no list of whole numbers")),
        }
    }

    /// Its name for errors: its own, or that of what it gives.
    pub(super) fn label(&self) -> &str {
        if self.name.is_empty() { self.outputs.first().map_or("", String::as_str) } else { &self.name }
    }
}

/// Whether bytes are whole fields of a message, with a graph among them, as a model is.
pub(super) fn is_model(bytes: &[u8]) -> bool {
    let graph = Fields::new(bytes).try_fold(false, |graph, field| field.map(|(number, _)| graph || number == 7));
    graph.unwrap_or(false)
}

/// Reads the bytes of a file.
pub(super) fn decode(bytes: &[u8], external: &mut External) -> Result<Model, String> {
    let mut model = Model::default();
    let mut graphs = 0;
    for field in Fields::new(bytes) {
        match field? {
            (2, value) => model.producer = value.text()?,
            (7, value) => {
                graphs += 1;
                model.graph = graph(value.bytes()?, external)?;
            }
            (8, value) => {
                let (domain, version) = opset(value.bytes()?)?;
                if domain.is_empty() || domain == "ai.onnx" {
                    model.opset = Some(version);
                }
            }
            (14, value) => {
                let (mut name, mut text) = (String::new(), String::new());
                for field in Fields::new(value.bytes()?) {
                    match field? {
                        (1, value) => name = String::from_utf8_lossy(value.bytes()?).into_owned(),
                        (2, value) => text = String::from_utf8_lossy(value.bytes()?).into_owned(),
                        _ => {}
                    }
                }
                model.metadata.insert(name, text);
            }
            _ => {}
        }
    }
    match graphs {
        1 => Ok(model),
        0 => Err("found no graph, expected an ONNX model".into()),
        _ => Err(format!("found {graphs} graphs, expected one")),
    }
}

fn opset(message: &[u8]) -> Result<(String, i64), String> {
    let (mut domain, mut version) = (String::new(), 0);
    for field in Fields::new(message) {
        match field? {
            (1, value) => domain = value.text()?,
            (2, value) => version = value.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn graph(message: &[u8], external: &mut External) -> Result<Graph, String> {
    let mut graph = Graph::default();
    let mut values = 0;
    for field in Fields::new(message) {
        match field? {
            (1, value) => graph.nodes.push(node(value.bytes()?, external, &mut values)?),
            (5, value) => {
                let (name, array) = tensor(value.bytes()?, external, &mut values)?;
                if graph.initializers.insert(name.clone(), Rc::new(array)).is_some() {
                    return Err(format!("the constant {name} is there twice"));
                }
            }
            (11, value) => graph.inputs.push(input(value.bytes()?)?),
            (12, value) => graph.outputs.push(input(value.bytes()?)?.name),
            (15, _) => return Err("found sparse constants, which are not read".into()),
            _ => {}
        }
        if graph.nodes.len() > MAX_NODES {
            return Err(format!("found more than {MAX_NODES} operators, expected a network of layers"));
        }
    }
    Ok(graph)
}

fn node(message: &[u8], external: &mut External, values: &mut usize) -> Result<Node, String> {
    let mut node = Node::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => node.inputs.push(value.text()?),
            (2, value) => node.outputs.push(value.text()?),
            (3, value) => node.name = value.text()?,
            (4, value) => node.operator = value.text()?,
            (5, value) => {
                let (name, attribute) = attribute(value.bytes()?, external, values)?;
                node.attributes.insert(name, attribute);
            }
            (7, value) => node.domain = value.text()?,
            _ => {}
        }
    }
    Ok(node)
}

fn attribute(message: &[u8], external: &mut External, values: &mut usize) -> Result<(String, Attribute), String> {
    let mut name = String::new();
    let mut kind = None;
    let (mut float, mut int, mut text, mut array) = (None, None, None, None);
    let (mut floats, mut ints) = (Vec::new(), Vec::new());
    for field in Fields::new(message) {
        match field? {
            (1, value) => name = value.text()?,
            (2, value) => float = Some(value.float()?),
            (3, value) => int = Some(value.int()?),
            // Text of other languages than Python may be no UTF-8; no operator that is read has such.
            (4, value) => text = Some(String::from_utf8_lossy(value.bytes()?).into_owned()),
            (5, value) => array = Some(tensor(value.bytes()?, external, values)?.1),
            (7, value) => value.floats(&mut floats)?,
            (8, value) => value.ints(&mut ints)?,
            (20, value) => kind = Some(value.int()?),
            _ => {}
        }
    }
    let attribute = match (kind, float, int, text, array) {
        (Some(1), float, ..) => Attribute::Float(float.unwrap_or(0.0)),
        (Some(2), _, int, ..) => Attribute::Int(int.unwrap_or(0)),
        (Some(3), _, _, text, _) => Attribute::Text(text.unwrap_or_default()),
        (Some(4) | None, _, _, _, Some(array)) => Attribute::Tensor(Rc::new(array)),
        (Some(6), ..) => Attribute::Floats(floats),
        (Some(7), ..) => Attribute::Ints(ints),
        // Files of the first years say no kind.
        (None, Some(float), ..) => Attribute::Float(float),
        (None, _, Some(int), ..) => Attribute::Int(int),
        (None, _, _, Some(text), _) => Attribute::Text(text),
        (None, ..) if !floats.is_empty() => Attribute::Floats(floats),
        (None, ..) if !ints.is_empty() => Attribute::Ints(ints),
        _ => Attribute::Other,
    };
    Ok((name, attribute))
}

fn input(message: &[u8]) -> Result<Input, String> {
    let mut input = Input::default();
    for field in Fields::new(message) {
        match field? {
            (1, value) => input.name = value.text()?,
            (2, value) => {
                for field in Fields::new(value.bytes()?) {
                    if let (1, value) = field? {
                        input.shape = tensor_type(value.bytes()?)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(input)
}

fn tensor_type(message: &[u8]) -> Result<Option<Vec<Option<usize>>>, String> {
    let mut shape = None;
    for field in Fields::new(message) {
        if let (2, value) = field? {
            let mut axes = Vec::new();
            for field in Fields::new(value.bytes()?) {
                if let (1, value) = field? {
                    axes.push(dimension(value.bytes()?)?);
                }
            }
            shape = Some(axes);
        }
    }
    Ok(shape)
}

/// The length of an axis; none where it is a name, or not a length at all, as exporters write for axes left open.
fn dimension(message: &[u8]) -> Result<Option<usize>, String> {
    let mut length = None;
    for field in Fields::new(message) {
        if let (1, value) = field? {
            length = usize::try_from(value.int()?).ok().filter(|&length| length > 0);
        }
    }
    Ok(length)
}

/// A tensor and its name. `values` counts the values of all tensors of the file.
fn tensor(message: &[u8], external: &mut External, values: &mut usize) -> Result<(String, Array), String> {
    let mut name = String::new();
    let (mut shape, mut kind, mut raw) = (Vec::new(), 0, None);
    let (mut floats, mut ints, mut doubles) = (Vec::new(), Vec::new(), Vec::new());
    let (mut outside, mut place) = (false, BTreeMap::new());
    for field in Fields::new(message) {
        let (number, value) = field?;
        match number {
            1 => value.ints(&mut shape)?,
            2 => kind = value.int()?,
            4 => value.floats(&mut floats)?,
            5 | 7 | 11 => value.ints(&mut ints)?,
            8 => name = value.text()?,
            9 => raw = Some(value.bytes()?),
            10 => value.doubles(&mut doubles)?,
            13 => {
                let (key, text) = entry(value)?;
                place.insert(key, text);
            }
            14 => outside = value.int()? == 1,
            _ => {}
        }
    }
    let refuse = |what: String| format!("the constant {name}: {what}");
    if shape.len() > MAX_RANK {
        return Err(refuse(format!("found {} axes, expected at most {MAX_RANK}", shape.len())));
    }
    let shape = shape.iter().map(|&length| usize::try_from(length)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| refuse("found an axis of a negative length".into()))?;
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let count = count.filter(|&count| values.checked_add(count).is_some_and(|all| all <= MAX_VALUES));
    let count =
        count.ok_or_else(|| refuse(format!("of shape {shape:?} brings the file to over {MAX_VALUES} values")))?;
    *values += count;
    let data = if outside {
        let number = number(kind).map_err(refuse)?;
        let bytes = external.read(&place, count * number.size()).map_err(refuse)?;
        read(number, &bytes)
    } else if let Some(raw) = raw {
        let number = number(kind).map_err(refuse)?;
        if raw.len() != count * number.size() {
            return Err(refuse(format!("found {} bytes, expected {} for {shape:?}", raw.len(), count * number.size())));
        }
        read(number, raw)
    } else {
        listed(kind, floats, ints, doubles).map_err(refuse)?
    };
    let array = Array { shape, data };
    if array.len() != count {
        return Err(refuse(format!("found {} values for a shape of {:?}", array.len(), array.shape)));
    }
    Ok((name, array))
}

fn entry(value: Wire<'_>) -> Result<(String, String), String> {
    let (mut key, mut text) = (String::new(), String::new());
    for field in Fields::new(value.bytes()?) {
        match field? {
            (1, value) => key = value.text()?,
            (2, value) => text = value.text()?,
            _ => {}
        }
    }
    Ok((key, text))
}

/// The type of number of that code of ONNX.
fn number(kind: i64) -> Result<Number, String> {
    Ok(match kind {
        1 => Number::F32,
        2 => Number::U8,
        3 => Number::I8,
        5 => Number::I16,
        6 => Number::I32,
        7 => Number::I64,
        9 => Number::Bool,
        10 => Number::F16,
        11 => Number::F64,
        16 => Number::Bf16,
        other => return Err(format!("found numbers of ONNX's type {other}, which is not read")),
    })
}

/// Numbers from bytes.
fn read(number: Number, bytes: &[u8]) -> Data {
    let chunks = bytes.chunks_exact(number.size());
    match number {
        Number::F64 | Number::F32 | Number::F16 | Number::Bf16 => {
            Data::Float(chunks.map(|bytes| number.read(bytes)).collect())
        }
        Number::I64 | Number::I32 | Number::I16 | Number::I8 | Number::U8 | Number::Bool => {
            Data::Int(chunks.map(|bytes| number.read_whole(bytes)).collect())
        }
    }
}

/// Numbers that are listed one by one, in the field that belongs to their type.
#[expect(clippy::cast_possible_truncation, reason = "weights are single precision; halves are 16 bits of an integer")]
#[expect(clippy::cast_sign_loss, reason = "bits of a number")]
fn listed(kind: i64, floats: Vec<f32>, ints: Vec<i64>, doubles: Vec<f64>) -> Result<Data, String> {
    Ok(match number(kind)? {
        Number::F32 => Data::Float(floats),
        Number::F64 => Data::Float(doubles.into_iter().map(|value| value as f32).collect()),
        half @ (Number::F16 | Number::Bf16) => {
            Data::Float(ints.into_iter().map(|bits| half.read(&(bits as u16).to_le_bytes())).collect())
        }
        Number::I64 | Number::I32 | Number::I16 | Number::I8 | Number::U8 | Number::Bool => Data::Int(ints),
    })
}
