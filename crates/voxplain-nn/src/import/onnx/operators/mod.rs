//! Each operator of ONNX as operations of [`Canonical`], from the first to the last of a file.

mod dense;
mod elementwise;
mod normalisation;
mod operator;
mod shapes;
mod windows;

use super::array::{Array, aligned, axis};
use super::canonical::{Canonical, Head, Step, View};
use super::fold::{self, Budget};
use super::name;
use super::proto::{Graph, Node};
use operator::Operator;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a name of the file stands for.
#[derive(Clone, Debug)]
enum Meaning {
    /// Numbers that are known.
    Known(Rc<Array>),
    /// A value of the network.
    Value(View),
    /// A value in a shape that is none of volumes or features, until what comes next says what it is for.
    Reshaped { view: View, shape: Vec<usize> },
    /// What an operator that was refused would have given.
    Refused,
}

/// An operator that was refused.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) operator: String,
    pub(super) label: String,
    /// Why; none where there is no operation for it.
    pub(super) reason: Option<String>,
}

/// A file being read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) canonical: Canonical,
    meanings: BTreeMap<&'a str, Meaning>,
    opset: i64,
    budget: Budget,
    pub(super) troubles: Vec<Trouble>,
    /// Values that operators which were refused take.
    pub(super) taken: Vec<usize>,
    /// Names of numbers that are made of the shapes of what was refused.
    of_shapes: BTreeSet<&'a str>,
    /// Values that stand for those of such operators.
    pub(super) stand_ins: BTreeSet<usize>,
    /// Batch normalisations that the file has.
    pub(super) norms: usize,
    /// Operators that the output depends on.
    pub(super) operators: usize,
}

/// Operators that run other graphs.
const CONTROL: &[&str] = &["If", "Loop", "Scan"];

/// Functions of single values: as activations, as parts of them, or between constants.
const FUNCTIONS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Ceil",
    "Celu",
    "Clip",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pow",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
    "Where",
];

/// Operators that a value of the network may go through.
const OTHERS: &[&str] = &[
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dropout",
    "Expand",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Pad",
    "Identity",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "ReduceMax",
    "ReduceMean",
    "Reshape",
    "Resize",
    "Shape",
    "Size",
    "Softmax",
    "Squeeze",
    "Sum",
    "Transpose",
    "Unsqueeze",
];

fn known_operator(node: &Node) -> bool {
    let operator = node.operator.as_str();
    (node.domain.is_empty() || node.domain == "ai.onnx")
        && (FUNCTIONS.contains(&operator) || OTHERS.contains(&operator) || fold::OPERATORS.contains(&operator))
}

impl<'a> Reader<'a> {
    /// Reads the operators that `output` depends on; `input` is of the given shape.
    pub(super) fn read(
        graph: &'a Graph,
        opset: i64,
        input: (&'a str, [usize; 4]),
        output: &str,
    ) -> Result<Self, String> {
        let (input, shape) = input;
        let values = graph.initializers.values().map(|array| array.len()).sum();
        let mut reader = Self {
            canonical: Canonical::new(shape),
            meanings: BTreeMap::new(),
            opset,
            budget: Budget::for_file(values),
            troubles: Vec::new(),
            taken: Vec::new(),
            of_shapes: BTreeSet::new(),
            stand_ins: BTreeSet::new(),
            norms: 0,
            operators: 0,
        };
        for (name, array) in &graph.initializers {
            reader.meanings.insert(name, Meaning::Known(array.clone()));
        }
        let axes = vec![None, Some(0), Some(1), Some(2), Some(3)];
        reader.meanings.insert(input, Meaning::Value(View { node: 0, axes }));
        let needed = needed(graph, output)?;
        for (node, _) in graph.nodes.iter().zip(needed).filter(|(_, needed)| *needed) {
            reader.operators += 1;
            let meanings = reader.node(node);
            for (name, meaning) in node.outputs.iter().zip(meanings) {
                if !name.is_empty() && reader.meanings.insert(name, meaning).is_some() {
                    return Err(format!("the value {name} is given twice"));
                }
            }
        }
        Ok(reader)
    }

    /// What the output is: a value of the network, with its axes; nothing where it was refused.
    pub(super) fn output(&self, name: &str) -> Result<Option<View>, String> {
        match self.meanings.get(name) {
            Some(Meaning::Value(view)) => Ok(Some(view.clone())),
            Some(Meaning::Refused) => Ok(None),
            Some(Meaning::Reshaped { shape, .. }) => {
                Err(format!("its output has the shape {shape:?}, expected one row of scores"))
            }
            Some(Meaning::Known(_)) => Err("its output is a constant: it does not depend on its input".into()),
            None => Err(format!("its output {name} is given by no operator")),
        }
    }

    /// What an operator gives, one for each of its outputs.
    fn node(&mut self, node: &'a Node) -> Vec<Meaning> {
        let refused = vec![Meaning::Refused; node.outputs.len()];
        if CONTROL.contains(&node.operator.as_str()) {
            let why = "it runs another graph, which may differ from image to image; export without control flow";
            self.refuse(node, Some(why.into()));
            return refused;
        }
        if !known_operator(node) {
            self.refuse(node, None);
            return self.stand_in(node).into_iter().chain(refused.into_iter().skip(1)).collect();
        }
        if let Some(refused) = self.after_refused(node) {
            return refused;
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            match self.meanings.get(name.as_str()) {
                _ if name.is_empty() => inputs.push(None),
                Some(Meaning::Refused) => return refused,
                Some(meaning) => inputs.push(Some(meaning.clone())),
                None => {
                    self.refuse(node, Some(format!("it takes {name}, which nothing before it gives")));
                    return refused;
                }
            }
        }
        // Second outputs (the places of maxima, the mask of a dropout) are refused where somebody takes them.
        match self.meaning(node, &inputs) {
            Ok(meaning) => std::iter::once(meaning).chain(refused.into_iter().skip(1)).collect(),
            Err(reason) => {
                self.refuse(node, Some(reason));
                self.stand_in(node).into_iter().chain(refused.into_iter().skip(1)).collect()
            }
        }
    }

    /// What an operator gives that takes what was refused; none where it takes nothing of the kind. What no value can go through is said of
    /// one that was refused before as well, but not of numbers made of its shape.
    fn after_refused(&mut self, node: &'a Node) -> Option<Vec<Meaning>> {
        let operator = node.operator.as_str();
        let is = |name: &&String, what: fn(&Meaning) -> bool| self.meanings.get(name.as_str()).is_some_and(what);
        let refused: Vec<&String> =
            node.inputs.iter().filter(|name| is(name, |of| matches!(of, Meaning::Refused))).collect();
        if refused.is_empty() {
            return None;
        }
        let of_shape = |name: &&String| self.of_shapes.contains(name.as_str());
        let has_value =
            node.inputs.iter().any(|name| is(&name, |of| matches!(of, Meaning::Value(_) | Meaning::Reshaped { .. })));
        if matches!(operator, "Shape" | "Size") || refused.iter().all(of_shape) && !has_value {
            self.of_shapes.extend(node.outputs.iter().map(String::as_str));
        } else if !refused.iter().all(of_shape) && !FUNCTIONS.contains(&operator) && !OTHERS.contains(&operator) {
            self.refuse(node, Some(never(operator)));
        } else {
            self.note_taken(node);
        }
        Some(vec![Meaning::Refused; node.outputs.len()])
    }

    /// Notes that an operator is not taken, and what it would have been given.
    fn refuse(&mut self, node: &Node, reason: Option<String>) {
        let (operator, label) = (full_name(node), node.label().to_owned());
        self.troubles.push(Trouble { operator, label, reason });
        self.note_taken(node);
    }

    /// Notes the values of the network that an operator takes which gives none.
    fn note_taken(&mut self, node: &Node) {
        let given = node.inputs.iter().filter_map(|name| match self.meanings.get(name.as_str()) {
            Some(Meaning::Value(view) | Meaning::Reshaped { view, .. }) => Some(view.node),
            _ => None,
        });
        self.taken.extend(given);
    }

    /// What stands for the first output of an operator that was refused, so that what comes after it is looked at as well: a value of the
    /// shape that it has, where that is known.
    fn stand_in(&mut self, node: &Node) -> Option<Meaning> {
        node.outputs.first()?;
        let operator = node.operator.as_str();
        let views = node.inputs.iter().filter_map(|name| match self.meanings.get(name.as_str()) {
            Some(Meaning::Value(view)) => Some(view),
            _ => None,
        });
        let size = |view: &&View| self.canonical.dims(view).iter().product::<usize>();
        let largest = views.max_by_key(size).cloned();
        let (Some(view), true) = (largest, FUNCTIONS.contains(&operator) || OF_ONE_SHAPE.contains(&operator)) else {
            return Some(Meaning::Refused);
        };
        let step = Step::Function(node.operator.clone());
        let place = self.canonical.add_step(&name::of(node), step, view.node, None);
        self.stand_ins.insert(place);
        Some(Meaning::Value(View { node: place, ..view }))
    }

    fn meaning(&mut self, node: &Node, inputs: &[Option<Meaning>]) -> Result<Meaning, String> {
        let known = |input: &Option<Meaning>| match input {
            None => Some(None),
            Some(Meaning::Known(array)) => Some(Some(array.clone())),
            Some(_) => None,
        };
        if let Some(known) = inputs.iter().map(known).collect::<Option<Vec<_>>>() {
            return match fold::fold(node, &known, self.opset, &mut self.budget)? {
                Some(array) => Ok(Meaning::Known(array)),
                None => Err("all that it takes is constant, and it is not computed".into()),
            };
        }
        let of = Operator { node, inputs, name: name::of(node) };
        match node.operator.as_str() {
            "Shape" => Ok(Meaning::Known(Rc::new(fold::shape_of(node, &self.shape_of(&of)?)?))),
            "Size" => {
                let count = i64::try_from(self.shape_of(&of)?.iter().product::<usize>()).map_err(|e| e.to_string())?;
                Ok(Meaning::Known(Rc::new(Array::ints(Vec::new(), vec![count]))))
            }
            "Identity" => of.first(),
            "Dropout" => match of.known(2)?.and_then(|array| array.single()) {
                Some(training) if training != 0.0 => Err("it drops values at random; export after model.eval()".into()),
                _ => of.first(),
            },
            "Cast" if !matches!(node.int("to", 1)?, 1 | 10 | 11 | 16) => {
                Err("it turns values of the network to whole numbers, which have no gradient".into())
            }
            "Cast" | "CastLike" => of.first(),
            "Reshape" => {
                let wanted = of.known(1)?.ok_or("its shape is missing")?;
                let shape = self.shape_of(&of)?;
                let shape = fold::reshaped(&shape, wanted.whole()?, node.int("allowzero", 0)? != 0)?;
                self.reshape(&of, &shape)
            }
            "Flatten" => {
                let shape = self.shape_of(&of)?;
                let at = fold::flatten_axis(node, shape.len())?;
                self.reshape(&of, &[shape[..at].iter().product(), shape[at..].iter().product()])
            }
            "Squeeze" => {
                let shape = fold::squeezed(&self.shape_of(&of)?, of.axes(13, self.opset)?.as_deref())?;
                self.reshape(&of, &shape)
            }
            "Unsqueeze" => {
                let axes = of.axes(13, self.opset)?.ok_or("its axes are missing")?;
                let shape = fold::unsqueezed(&self.shape_of(&of)?, &axes)?;
                self.reshape(&of, &shape)
            }
            "Expand" => {
                let wanted = fold::lengths(of.known(1)?.ok_or("its shape is missing")?.whole()?)?;
                let shape = self.shape_of(&of)?;
                let rank = shape.len().max(wanted.len());
                let all = (0..rank).map(|at| (aligned(&shape, rank, at), aligned(&wanted, rank, at)));
                if all.clone().any(|(own, wanted)| wanted != 1 && own != wanted) {
                    return Err("it repeats values of the network".into());
                }
                let shape: Vec<usize> = all.map(|(own, _)| own).collect();
                self.reshape(&of, &shape)
            }
            "Transpose" => {
                let view = of.value(0)?;
                let order = fold::permutation(node, view.axes.len())?;
                Ok(Meaning::Value(View { axes: order.iter().map(|&axis| view.axes[axis]).collect(), ..view }))
            }
            "Conv" => self.convolution(&of),
            "ConvTranspose" => self.transposed(&of),
            "Resize" => self.resize(&of),
            "Gemm" => self.gemm(&of),
            "MatMul" => self.matmul(&of),
            "BatchNormalization" => self.batch_norm(&of),
            "MaxPool" | "AveragePool" => self.pool(&of),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let view = of.value(0)?;
                let over: BTreeSet<usize> = (2..view.axes.len()).collect();
                self.reduce(&of, &view, &over, true, node.operator == "GlobalMaxPool")
            }
            "ReduceMean" | "ReduceMax" => {
                let view = of.value(0)?;
                let rank = view.axes.len();
                let axes = of.axes(18, self.opset)?.filter(|axes| !axes.is_empty());
                let over: BTreeSet<usize> = match axes {
                    Some(axes) => axes.iter().map(|&of| axis(of, rank)).collect::<Result<_, _>>()?,
                    None if node.int("noop_with_empty_axes", 0)? != 0 => BTreeSet::new(),
                    None => (0..rank).collect(),
                };
                self.reduce(&of, &view, &over, node.int("keepdims", 1)? != 0, node.operator == "ReduceMax")
            }
            "InstanceNormalization" => self.instance_norm(&of),
            "LayerNormalization" => self.layer_norm(&of),
            "GroupNormalization" => {
                let node = self.volume(&of.value(0)?)?;
                let groups = usize::try_from(of.node.int("num_groups", 0)?).map_err(|_| "it has no groups")?;
                // Since opset 21 by channel; which of the two it is, the number of scales says as well.
                let given = of.known(1)?.map_or(0, |scale| scale.len());
                let channels = self.canonical.channels(node);
                if groups == 0 || given == 0 || !channels.is_multiple_of(groups) || !channels.is_multiple_of(given) {
                    return Err(format!("it has {groups} groups and {given} scales for {channels} channels"));
                }
                let node = self.group_norm(&of, node, groups, given)?;
                Ok(Meaning::Value(self.volume_view(node)))
            }
            "Pad" => self.pad(&of),
            "Concat" => self.concat(&of),
            "Sum" => {
                let mut sum = of.value(0)?;
                for n in 1..inputs.len() {
                    sum = self.sum(&of, &sum, &of.value(n)?)?;
                }
                Ok(Meaning::Value(sum))
            }
            "Softmax" | "LogSoftmax" => {
                let view = of.value(0)?;
                let default = if self.opset < 13 { 1 } else { -1 };
                let at = axis(node.int("axis", default)?, view.axes.len())?;
                let (dims, channels) = (self.canonical.dims(&view), self.canonical.channels(view.node));
                // A single row of scores has no other axis; an image has its channels. Before opset 13 all axes behind the
                // one that is named belong to it.
                let alone = dims.iter().enumerate().all(|(n, &length)| n == at || length == 1);
                let behind: usize = dims[at + 1..].iter().product();
                let of_channels = view.axes[at] == Some(0) && (self.opset >= 13 || behind == 1);
                if dims[at] != channels || !(alone || of_channels) {
                    return Err(format!(
                        "it is over axis {at} of a value of shape {dims:?}, and not over the classes, as in attention; \
                         transformers are not taken"
                    ));
                }
                let head = if node.operator == "Softmax" { Head::Softmax } else { Head::LogSoftmax };
                let node = self.canonical.add_step(&of.name, Step::Head(head), view.node, None);
                Ok(Meaning::Value(View { node, ..view }))
            }
            operator if FUNCTIONS.contains(&operator) => self.function(&of),
            operator => Err(never(operator)),
        }
    }
}

/// Why an operator that is computed between constants is not taken of values of the network.
fn never(operator: &str) -> String {
    match operator {
        "ReduceSum" => "it sums values of the network over axes; of such, means and maxima over the voxels are taken: write the sum as a mean times \
                        the number of values",
        "ReduceProd" => "it multiplies values of the network over axes; of such, means and maxima over the voxels are taken",
        "Range" | "ConstantOfShape" => "it makes a tensor by values of the network, which differs from image to image",
        _ => "it cuts, repeats or reorders values of the network, which the engine does not",
    }
    .to_owned()
}

/// Operators without a counterpart that leave the shape of a value as it is.
const OF_ONE_SHAPE: &[&str] = &[
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "CumSum", "Hardmax", "LRN", "Shrink", "Sin",
    "Sinh", "Tan",
];

/// Whether each operator is one that the output depends on.
fn needed(graph: &Graph, output: &str) -> Result<Vec<bool>, String> {
    let mut wanted: BTreeSet<&str> = [output].into();
    let mut needed = vec![false; graph.nodes.len()];
    // Files list operators after what they take.
    for (node, needed) in graph.nodes.iter().zip(&mut needed).rev() {
        if node.outputs.iter().any(|name| !name.is_empty() && wanted.contains(name.as_str())) {
            *needed = true;
            wanted.extend(node.inputs.iter().map(String::as_str));
        }
    }
    if needed.contains(&true) { Ok(needed) } else { Err(format!("its output {output} is given by no operator")) }
}

/// The name of an operator with its domain.
fn full_name(node: &Node) -> String {
    if node.domain.is_empty() || node.domain == "ai.onnx" {
        node.operator.clone()
    } else {
        format!("{}.{}", node.domain, node.operator)
    }
}
