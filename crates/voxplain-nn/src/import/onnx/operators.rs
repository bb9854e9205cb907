//! Each operator of ONNX as operations of [`Canonical`], from the first to the last of a file.

use super::array::{Array, aligned, axis};
use super::canonical::{Canonical, Head, Step, View};
use super::fold::{self, Budget};
use super::function;
use super::name;
use super::proto::{Graph, Node};
use crate::{Activation, BatchNorm, Conv3d, Linear, NormOver, Op, Pad3d, Pool3d, Prelu, SampleNorm, Tensor};
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
        let mut trouble = |reason| {
            let (operator, label) = (full_name(node), node.label().to_owned());
            self.troubles.push(Trouble { operator, label, reason });
        };
        if CONTROL.contains(&node.operator.as_str()) {
            trouble(Some(
                "it runs another graph, which may differ from image to image; export without control flow".into(),
            ));
            return refused;
        }
        if !known_operator(node) {
            trouble(None);
            return refused;
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            match self.meanings.get(name.as_str()) {
                _ if name.is_empty() => inputs.push(None),
                Some(Meaning::Refused) => return refused,
                Some(meaning) => inputs.push(Some(meaning.clone())),
                None => {
                    trouble(Some(format!("it takes {name}, which nothing before it gives")));
                    return refused;
                }
            }
        }
        // Second outputs (the places of maxima, the mask of a dropout) are refused where somebody takes them.
        match self.meaning(node, &inputs) {
            Ok(meaning) => std::iter::once(meaning).chain(refused.into_iter().skip(1)).collect(),
            Err(reason) => {
                let (operator, label) = (full_name(node), node.label().to_owned());
                self.troubles.push(Trouble { operator, label, reason: Some(reason) });
                refused
            }
        }
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
                let rest: usize = self.canonical.values[view.node].shape[1..].iter().product();
                if rest != 1 || self.canonical.dims(&view)[at] != self.canonical.channels(view.node) {
                    return Err("it is not over the classes of a row of scores".into());
                }
                let head = if node.operator == "Softmax" { Head::Softmax } else { Head::LogSoftmax };
                let node = self.canonical.add_step(&of.name, Step::Head(head), view.node, None);
                Ok(Meaning::Value(View { node, ..view }))
            }
            operator if FUNCTIONS.contains(&operator) => self.function(&of),
            _ => Err("it cuts, repeats or reorders values of the network, which the engine does not".into()),
        }
    }

    /// The length of each axis of the first input.
    fn shape_of(&self, of: &Operator<'_>) -> Result<Vec<usize>, String> {
        match of.first()? {
            Meaning::Known(array) => Ok(array.shape.clone()),
            Meaning::Value(view) => Ok(self.canonical.dims(&view)),
            Meaning::Reshaped { shape, .. } => Ok(shape),
            Meaning::Refused => Err("its input was refused".into()),
        }
    }

    /// The first input in another shape: the same value where only axes of length one differ; flattened; or waiting for what
    /// comes next.
    fn reshape(&mut self, of: &Operator<'_>, shape: &[usize]) -> Result<Meaning, String> {
        let view = match of.first()? {
            Meaning::Value(view) | Meaning::Reshaped { view, .. } => view,
            Meaning::Known(_) | Meaning::Refused => return Err("its input is no value of the network".into()),
        };
        let own: Vec<usize> = view
            .axes
            .iter()
            .copied()
            .flatten()
            .filter(|&axis| self.canonical.values[view.node].shape[axis] != 1)
            .collect();
        let lengths: Vec<usize> = own.iter().map(|&axis| self.canonical.values[view.node].shape[axis]).collect();
        let wanted: Vec<usize> = shape.iter().copied().filter(|&length| length != 1).collect();
        if lengths == wanted {
            let mut own = own.into_iter();
            let mut axes: Vec<Option<usize>> =
                shape.iter().map(|&length| if length == 1 { None } else { own.next() }).collect();
            // A single channel is the second axis, as everywhere.
            if !axes.contains(&Some(0)) && axes.len() > 1 && axes[1].is_none() {
                axes[1] = Some(0);
            }
            return Ok(Meaning::Value(View { node: view.node, axes }));
        }
        let ordered = own.is_sorted();
        if let ([_], true) = (wanted.as_slice(), ordered) {
            let node = self.canonical.flatten(view.node)?;
            let axes = shape.iter().map(|&length| (length != 1).then_some(0)).collect();
            return Ok(Meaning::Value(View { node, axes }));
        }
        if !ordered {
            return Err(format!("it brings a value whose axes were exchanged to the shape {shape:?}"));
        }
        Ok(Meaning::Reshaped { view, shape: shape.to_vec() })
    }

    /// A volume `[1, C, i, j, k]` in the order of the engine, or features as `[1, F, 1, 1, 1]`.
    fn volume(&self, view: &View) -> Result<usize, String> {
        let (dims, shape) = (self.canonical.dims(view), &self.canonical.values[view.node].shape);
        let mut wanted = vec![1; 5];
        wanted[1..=shape.len()].copy_from_slice(shape);
        let long: Vec<usize> = view.axes.iter().copied().flatten().filter(|&axis| shape[axis] != 1).collect();
        if dims != wanted || !long.is_sorted() {
            let what = if dims.len() == 4 { "images of two axes" } else { "another order of axes" };
            return Err(format!("it works on a value of shape {dims:?} ({what}), expected volumes [1, C, i, j, k]"));
        }
        Ok(view.node)
    }

    fn is_flat(&self, node: usize) -> bool {
        self.canonical.values[node].shape.len() == 1
    }

    /// The axes of a volume or of features of rank five.
    fn volume_view(&self, node: usize) -> View {
        let own = if self.is_flat(node) { 1 } else { 4 };
        View { node, axes: (0..5).map(|at| (1..=own).contains(&at).then(|| at - 1)).collect() }
    }

    fn convolution(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let weight = of.known(1)?.ok_or("its weights are not constant")?;
        let bias = of.known(2)?;
        let &[outputs, per_group, ki, kj, kk] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected those of a 3D convolution", weight.shape));
        };
        let kernel = [ki, kj, kk];
        let mut node = self.volume(&of.value(0)?)?;
        let groups = usize::try_from(of.node.int("group", 1)?).ok().filter(|&groups| groups > 0);
        let groups = groups.ok_or("it has no groups of channels")?;
        let inputs = per_group.checked_mul(groups).ok_or("it has too many channels")?;
        let stride = three(of.node.ints("strides")?, 1)?;
        let dilation = three(of.node.ints("dilations")?, 1)?;
        let window = Window { kernel, stride, dilation };
        let bias = bias.map(|bias| bias.tensor(&[outputs])).transpose()?;
        if self.is_flat(node) {
            if kernel != [1; 3] || of.paddings(&window, [1; 3])? != [[0; 2]; 3] {
                return Err("it slides a window over single values".into());
            }
            if groups > outputs || !outputs.is_multiple_of(groups) {
                return Err(format!("it has {groups} groups of {outputs} channels"));
            }
            let mut full = Tensor::zeros([outputs, inputs]);
            let rows = full.data_mut().chunks_exact_mut(inputs).zip(weight.real()?.chunks_exact(per_group));
            for (out, (row, own)) in rows.enumerate() {
                row[out / (outputs / groups) * per_group..][..per_group].copy_from_slice(own);
            }
            let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs]));
            let linear = Linear { weight: full, bias, ..Linear::new(inputs, outputs) };
            node = self.canonical.add(&of.name, linear, &[node])?;
            return Ok(Meaning::Value(self.volume_view(node)));
        }
        let shape = &self.canonical.values[node].shape;
        let paddings = of.paddings(&window, [shape[1], shape[2], shape[3]])?;
        let mut padding = paddings.map(|[before, _]| before);
        if paddings.iter().any(|[before, after]| before != after) {
            let pad = Pad3d::new(padding, paddings.map(|[_, after]| after));
            node = self.canonical.add(&format!("{}.pad", of.name), Op::Pad3d(pad), &[node])?;
            padding = [0; 3];
        }
        let conv = Conv3d::new(inputs, outputs, kernel).with_stride(stride).with_padding(padding);
        let conv = Conv3d {
            weight: weight.tensor(&[outputs, per_group, ki, kj, kk])?,
            has_bias: bias.is_some(),
            bias,
            ..conv.with_dilation(dilation).with_groups(groups)
        };
        node = self.canonical.add(&of.name, conv, &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }

    fn gemm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let (alpha, beta) = (of.node.float("alpha", 1.0)?, of.node.float("beta", 1.0)?);
        if of.node.int("transA", 0)? != 0 {
            return Err("it takes its input transposed".into());
        }
        let weight = of.known(1)?.ok_or("it multiplies two values of the network")?;
        let view = of.value(0)?;
        let &[rows, columns] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected a matrix", weight.shape));
        };
        let transposed = of.node.int("transB", 0)? != 0;
        let weight = if transposed { weight.as_ref().clone() } else { fold::transpose(&weight, &[1, 0]) };
        let (outputs, inputs) = if transposed { (rows, columns) } else { (columns, rows) };
        let mut bias = vec![0.0; outputs];
        if let Some(given) = of.known(2)? {
            let values = given.real()?;
            let fits = values.len() == outputs || values.len() == 1;
            if !fits || given.shape.iter().rev().skip(1).any(|&length| length != 1) {
                return Err(format!("its bias has the shape {:?}, expected {outputs} values", given.shape));
            }
            bias.iter_mut().enumerate().for_each(|(n, bias)| *bias = beta * values[n % values.len()]);
        } else if of.inputs.len() > 2 && of.inputs[2].is_some() {
            return Err("its bias is no constant".into());
        }
        let dims = self.canonical.dims(&view);
        if dims.len() != 2 || dims[0] != 1 || dims[1] != inputs {
            return Err(format!("it takes a value of shape {dims:?}, expected [1, {inputs}]"));
        }
        let mut weight = weight.tensor(&[outputs, inputs])?;
        weight.data_mut().iter_mut().for_each(|w| *w *= alpha);
        let linear = Linear { weight, bias: Tensor::new([outputs], bias), ..Linear::new(inputs, outputs) };
        let node = self.canonical.flatten(view.node)?;
        let node = self.canonical.add(&of.name, linear, &[node])?;
        Ok(Meaning::Value(View { node, axes: vec![None, Some(0)] }))
    }

    /// A matrix at the channels of each voxel, or at features.
    fn matmul(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let Some(weight) = of.known(1)? else {
            return Err("it multiplies two values of the network, as attention does; transformers are not taken".into());
        };
        let view = of.value(0)?;
        let &[inputs, outputs] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected a matrix", weight.shape));
        };
        let dims = self.canonical.dims(&view);
        let shape = self.canonical.values[view.node].shape.clone();
        let last_is_channels =
            view.axes.last().is_some_and(|axis| *axis == Some(0) || (axis.is_none() && shape[0] == 1));
        if dims.last() != Some(&inputs) || !last_is_channels {
            return Err(format!(
                "it takes the last axis of a value of shape {dims:?}, expected {inputs} channels there"
            ));
        }
        let weight = fold::transpose(&weight, &[1, 0]);
        let mut axes = view.axes.clone();
        axes.pop();
        axes.push(Some(0));
        let node = if shape.len() == 1 {
            let linear = Linear {
                weight: weight.tensor(&[outputs, inputs])?,
                bias: Tensor::zeros([outputs]),
                ..Linear::new(inputs, outputs)
            };
            self.canonical.add(&of.name, linear, &[view.node])?
        } else {
            let weight = of_shape(&weight, &[outputs, inputs, 1, 1, 1])?;
            let conv = Conv3d { weight, ..Conv3d::new(inputs, outputs, [1; 3]).without_bias() };
            self.canonical.add(&of.name, conv, &[view.node])?
        };
        Ok(Meaning::Value(View { node, axes }))
    }

    fn batch_norm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        if of.node.int("training_mode", 0)? != 0 {
            return Err("it takes the statistics of the batch; export after model.eval()".into());
        }
        let view = of.value(0)?;
        self.channels_second(&view)?;
        let channels = self.canonical.channels(view.node);
        let given = |n: usize| of.known(n)?.ok_or("its statistics are not constant")?.tensor(&[channels]);
        let norm = BatchNorm {
            weight: given(1)?,
            bias: given(2)?,
            running_mean: given(3)?,
            running_var: given(4)?,
            epsilon: of.node.float("epsilon", 1e-5)?,
            // ONNX counts the share that stays, PyTorch the share that is new.
            momentum: (1.0 - of.node.float("momentum", 0.9)?).clamp(0.0, 1.0),
            ..BatchNorm::new(channels)
        };
        if let Some(variance) = norm.running_var.data().iter().find(|variance| **variance < 0.0) {
            return Err(format!("it has the variance {variance}, expected none below 0"));
        }
        self.norms += 1;
        let node = self.canonical.add(&of.name, norm, &[view.node])?;
        Ok(Meaning::Value(View { node, ..view }))
    }

    /// Refuses a value whose second axis is not that of its channels.
    fn channels_second(&self, view: &View) -> Result<(), String> {
        let channels = self.canonical.channels(view.node);
        match view.axes.get(1) {
            Some(Some(0)) => Ok(()),
            Some(None) if channels == 1 => Ok(()),
            _ => Err(format!("it takes a value of shape {:?}, expected channels second", self.canonical.dims(view))),
        }
    }

    fn pool(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let max = of.node.operator == "MaxPool";
        let mut node = self.volume(&of.value(0)?)?;
        let kernel = of.node.ints("kernel_shape")?.ok_or("its window is missing")?;
        let kernel = three(Some(kernel), 1)?;
        let stride = three(of.node.ints("strides")?, 1)?;
        let dilation = three(of.node.ints("dilations")?, 1)?;
        if self.is_flat(node) {
            if kernel != [1; 3] {
                return Err("it slides a window over single values".into());
            }
            return Ok(Meaning::Value(self.volume_view(node)));
        }
        let shape = &self.canonical.values[node].shape;
        let size = [shape[1], shape[2], shape[3]];
        let window = Window { kernel, stride, dilation };
        let paddings = of.paddings(&window, size)?;
        let [padding, end] = [0, 1].map(|side| paddings.map(|of| of[side]));
        if !max && kernel == size && padding == [0; 3] && end == [0; 3] && dilation == [1; 3] {
            node = self.canonical.add(&of.name, Op::GlobalAvgPool, &[node])?;
            return Ok(Meaning::Value(self.volume_view(node)));
        }
        let mut pool = Pool3d {
            padding_end: (end != padding).then_some(end),
            dilation,
            ceil: of.node.int("ceil_mode", 0)? != 0,
            ..Pool3d::new(kernel).with_stride(stride).with_padding(padding)
        };
        // What changes nothing is left out.
        let floor = Pool3d { ceil: false, ..pool };
        if pool.ceil && floor.positions(size).is_ok_and(|positions| pool.positions(size) == Ok(positions)) {
            pool = floor;
        }
        let counts = of.node.int("count_include_pad", 0)? != 0 || (padding == [0; 3] && end == [0; 3]);
        pool.inside = !max && !counts;
        node = self.canonical.add(&of.name, if max { Op::MaxPool3d(pool) } else { Op::AvgPool3d(pool) }, &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }

    /// The mean or the largest value over axes.
    fn reduce(
        &mut self,
        of: &Operator<'_>,
        view: &View,
        over: &BTreeSet<usize>,
        keep: bool,
        max: bool,
    ) -> Result<Meaning, String> {
        let shape = self.canonical.values[view.node].shape.clone();
        let long = |axis: &usize| shape[*axis] != 1;
        let own: BTreeSet<usize> = over.iter().filter_map(|&at| view.axes[at]).filter(long).collect();
        let axes = |node_axes: &dyn Fn(usize) -> Option<usize>| -> Vec<Option<usize>> {
            let axes = view.axes.iter().enumerate().filter(|(at, _)| keep || !over.contains(at));
            axes.map(|(at, axis)| if over.contains(&at) { None } else { axis.and_then(node_axes) }).collect()
        };
        if own.is_empty() {
            return Ok(Meaning::Value(View { node: view.node, axes: axes(&Some) }));
        }
        if own.contains(&0) {
            if own.len() > 1 || max {
                return Err("it is over channels and voxels together".into());
            }
            return self.mean_over_channels(of, view, axes(&Some));
        }
        let rest = (1..4).filter(|axis| !own.contains(axis)).any(|axis| long(&axis));
        let mut node = view.node;
        if !rest && !max {
            node = self.canonical.add(&of.name, Op::GlobalAvgPool, &[node])?;
            return Ok(Meaning::Value(View { node, axes: axes(&|axis| (axis == 0).then_some(0)) }));
        }
        // A maximum along one axis after the other, the last first: of equals it is the first in C order, as at once.
        let steps: Vec<[usize; 3]> = if max {
            let along = |axis: usize| std::array::from_fn(|at| if at + 1 == axis { shape[axis] } else { 1 });
            own.iter().rev().map(|&axis| along(axis)).collect()
        } else {
            vec![std::array::from_fn(|at| if own.contains(&(at + 1)) { shape[at + 1] } else { 1 })]
        };
        for (n, kernel) in steps.iter().enumerate() {
            let pool = Pool3d::new(*kernel);
            let name = if n == 0 { of.name.clone() } else { format!("{}.{n}", of.name) };
            node = self.canonical.add(&name, if max { Op::MaxPool3d(pool) } else { Op::AvgPool3d(pool) }, &[node])?;
        }
        Ok(Meaning::Value(View { node, axes: axes(&Some) }))
    }

    /// The mean over channels: a part of a normalisation.
    fn mean_over_channels(
        &mut self,
        of: &Operator<'_>,
        view: &View,
        axes: Vec<Option<usize>>,
    ) -> Result<Meaning, String> {
        let mut shape = self.canonical.values[view.node].shape.clone();
        shape[0] = 1;
        let step = if self.canonical.step(view.node) == Some(&Step::Squared) { Step::Variance } else { Step::Mean };
        let node = self.canonical.add_step(&of.name, step, view.node, Some(shape));
        Ok(Meaning::Value(View { node, axes }))
    }

    fn concat(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let views = (0..of.inputs.len()).map(|n| of.value(n)).collect::<Result<Vec<_>, _>>()?;
        let first = &views[0];
        let at = axis(of.node.int("axis", 0)?, first.axes.len())?;
        let channels_at = |view: &View| {
            view.axes.len() == first.axes.len()
                && (view.axes[at] == Some(0) || (view.axes[at].is_none() && self.canonical.channels(view.node) == 1))
        };
        if !views.iter().all(channels_at) {
            return Err("it joins values along another axis than channels".into());
        }
        let mut axes = first.axes.clone();
        axes[at] = Some(0);
        let fits =
            |view: &View| (0..axes.len()).all(|n| n == at || view.axes[n] == axes[n] || self.both_one(view, first, n));
        if !views.iter().all(fits) {
            return Err("it joins values whose axes are not in one order".into());
        }
        let nodes: Vec<usize> = views.iter().map(|view| view.node).collect();
        let nodes = if nodes.iter().any(|&node| self.is_flat(node)) {
            nodes.into_iter().map(|node| self.canonical.flatten(node)).collect::<Result<_, _>>()?
        } else {
            nodes
        };
        let node = if nodes.len() == 1 { nodes[0] } else { self.canonical.add(&of.name, Op::Concat, &nodes)? };
        Ok(Meaning::Value(View { node, axes }))
    }

    fn both_one(&self, a: &View, b: &View, at: usize) -> bool {
        [a, b].iter().all(|view| self.canonical.dims(view)[at] == 1)
    }

    /// Two values brought to one rank, axis by axis; refused where these are not the same or of length one.
    fn align(&self, a: &View, b: &View) -> Result<Vec<[Option<usize>; 2]>, String> {
        let rank = a.axes.len().max(b.axes.len());
        let of = |view: &View, at: usize| (at + view.axes.len()).checked_sub(rank).and_then(|own| view.axes[own]);
        let length =
            |view: &View, axis: Option<usize>| axis.map_or(1, |axis| self.canonical.values[view.node].shape[axis]);
        (0..rank)
            .map(|at| {
                let pair = [of(a, at), of(b, at)];
                let (one, other) = (length(a, pair[0]) == 1, length(b, pair[1]) == 1);
                if pair[0] == pair[1] || one || other {
                    Ok(pair)
                } else {
                    let (a, b) = (self.canonical.dims(a), self.canonical.dims(b));
                    Err(format!("it joins values of shapes {a:?} and {b:?} whose axes are not in one order"))
                }
            })
            .collect()
    }

    /// Whether two values have the same shape and their axes in the same order.
    fn alike(&self, a: &View, b: &View) -> bool {
        self.canonical.values[a.node].shape == self.canonical.values[b.node].shape
            && self.canonical.dims(a) == self.canonical.dims(b)
            && self.align(a, b).is_ok_and(|pairs| {
                let long = |axis: Option<usize>| axis.filter(|&axis| self.canonical.values[a.node].shape[axis] != 1);
                pairs.iter().all(|[a, b]| long(*a) == long(*b))
            })
    }

    fn sum(&mut self, of: &Operator<'_>, a: &View, b: &View) -> Result<View, String> {
        if !self.alike(a, b) {
            let (a, b) = (self.canonical.dims(a), self.canonical.dims(b));
            return Err(format!("it adds values of shapes {a:?} and {b:?}, expected the same"));
        }
        let node = self.canonical.add(&of.name, Op::Add, &[a.node, b.node])?;
        Ok(View { node, ..a.clone() })
    }

    /// An operator that works value by value.
    fn function(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let mut views = Vec::new();
        let mut inputs = Vec::new();
        for n in 0..of.inputs.len() {
            match &of.inputs[n] {
                Some(Meaning::Known(array)) => inputs.push(array.single().map(Err)),
                Some(Meaning::Value(view)) => {
                    inputs.push(Some(Ok(view.node)));
                    views.push(view.clone());
                }
                Some(Meaning::Reshaped { shape, .. }) => {
                    return Err(format!(
                        "it works on a value in the shape {shape:?}, which is none of volumes or features"
                    ));
                }
                // A bound that is left out bounds nothing.
                None if of.node.operator == "Clip" => {
                    inputs.push(Some(Err(if n == 1 { f64::NEG_INFINITY } else { f64::INFINITY })));
                }
                Some(Meaning::Refused) | None => return Err(format!("its input {n} is missing")),
            }
        }
        let first = views.first().cloned().ok_or("it takes no value of the network")?;
        let mut chain = Vec::new();
        if views.iter().all(|view| self.alike(view, &first))
            && let Some(inputs) = inputs.iter().copied().collect::<Option<Vec<_>>>()
        {
            chain = self.canonical.chain(&inputs, |values| fold::function(of.node, values));
            for (base, samples) in &chain {
                let node = if function::is_identity(samples) {
                    *base
                } else if let Some(activation) = function::activation(samples) {
                    self.canonical.activation(&of.name, activation, *base)?
                } else {
                    continue;
                };
                if node != *base {
                    self.canonical.set_chain(node, chain.clone());
                }
                return Ok(Meaning::Value(View { node, ..first }));
            }
        }
        let view = match self.arithmetic(of, &views) {
            Ok(view) => view,
            Err(_) if !chain.is_empty() => {
                let step = Step::Function(of.node.operator.clone());
                View { node: self.canonical.add_step(&of.name, step, first.node, None), ..first }
            }
            Err(reason) => return Err(reason),
        };
        self.canonical.set_chain(view.node, chain);
        Ok(Meaning::Value(view))
    }

    /// Sums and products of values and constants, and the parts of a normalisation over channels.
    fn arithmetic(&mut self, of: &Operator<'_>, views: &[View]) -> Result<View, String> {
        let operator = of.node.operator.as_str();
        match (operator, views) {
            ("Add", [a, b]) => self.sum(of, a, b),
            ("Sub", [a, b])
                if self.canonical.step(b.node) == Some(&Step::Mean)
                    && self.canonical.values[b.node].inputs == [a.node] =>
            {
                self.align(a, b)?;
                Ok(View { node: self.canonical.add_step(&of.name, Step::Centred, a.node, None), ..a.clone() })
            }
            ("Sub", [a, b]) => {
                let channels = self.canonical.channels(b.node);
                let name = format!("{}.negative", of.name);
                let node = self.canonical.affine(&name, b.node, &vec![-1.0; channels], &vec![0.0; channels])?;
                self.sum(of, a, &View { node, ..b.clone() })
            }
            ("Mul", [a, b]) if a.node == b.node && self.canonical.step(a.node) == Some(&Step::Centred) => {
                Ok(View { node: self.canonical.add_step(&of.name, Step::Squared, a.node, None), ..a.clone() })
            }
            ("Mul", [a, b]) => self.product(of, a, b),
            ("Pow", [a]) if self.canonical.step(a.node) == Some(&Step::Centred) && self.number(of, 1)? == [2.0] => {
                Ok(View { node: self.canonical.add_step(&of.name, Step::Squared, a.node, None), ..a.clone() })
            }
            ("Add", [a]) if self.canonical.step(a.node) == Some(&Step::Variance) => {
                let constant = of.constant().and_then(|array| array.single()).ok_or("it adds more than one number")?;
                #[expect(clippy::cast_possible_truncation, reason = "an epsilon is single precision")]
                let step = Step::Shifted(constant as f32);
                Ok(View { node: self.canonical.add_step(&of.name, step, a.node, None), ..a.clone() })
            }
            ("Sqrt", [a]) => match self.canonical.step(a.node) {
                Some(&Step::Shifted(epsilon)) => Ok(View {
                    node: self.canonical.add_step(&of.name, Step::Deviation(epsilon), a.node, None),
                    ..a.clone()
                }),
                _ => Err("it is no activation of the engine".into()),
            },
            ("Div", [a, b]) => self.normalised(of, a, b),
            ("Add" | "Sub" | "Mul" | "Div" | "Neg", [a]) => self.affine(of, a),
            ("PRelu", [a]) => self.prelu(of, a),
            _ => Err(match views.len() {
                1 => "it is no activation that the engine has, nor a part of one".into(),
                _ => "it joins values of the network by something else than a sum or a product".into(),
            }),
        }
    }

    fn number(&self, of: &Operator<'_>, n: usize) -> Result<Vec<f64>, String> {
        let array = of.known(n)?.ok_or("its exponent is no constant")?;
        Ok((0..array.len()).map(|at| array.at(at)).collect())
    }

    /// The product of two values of one shape, or of one with a factor for each of its channels.
    fn product(&mut self, of: &Operator<'_>, a: &View, b: &View) -> Result<View, String> {
        if self.alike(a, b) {
            let node = self.canonical.add(&of.name, Op::Multiply, &[a.node, b.node])?;
            return Ok(View { node, ..a.clone() });
        }
        let values = |view: &View| self.canonical.values[view.node].shape.iter().product::<usize>();
        let (signal, gate) = if values(a) >= values(b) { (a, b) } else { (b, a) };
        let pairs = self.align(signal, gate)?;
        let channels = self.canonical.channels(signal.node);
        let by_channel = self.canonical.channels(gate.node) == channels
            && values(gate) == channels
            && pairs.iter().all(|[of_signal, of_gate]| *of_signal != Some(0) || *of_gate == Some(0) || channels == 1);
        if !by_channel {
            let [a, b] = [a, b].map(|view| self.canonical.dims(view));
            return Err(format!(
                "it multiplies values of shapes {a:?} and {b:?}, expected one shape or a factor by channel"
            ));
        }
        let factor = self.canonical.flatten(gate.node)?;
        let node = self.canonical.add(&of.name, Op::Multiply, &[signal.node, factor])?;
        Ok(View { node, axes: pairs.into_iter().map(|[of_signal, _]| of_signal).collect() })
    }

    /// The quotient that ends a normalisation over channels.
    fn normalised(&mut self, of: &Operator<'_>, a: &View, b: &View) -> Result<View, String> {
        let before = |node: usize| self.canonical.values[node].inputs.first().copied();
        if let (Some(Step::Centred), Some(&Step::Deviation(epsilon))) =
            (self.canonical.step(a.node), self.canonical.step(b.node))
        {
            // Shifted, the variance, the squares, and what is squared.
            let squared = before(b.node).and_then(before).and_then(before).and_then(before);
            if let (true, Some(input)) = (squared == Some(a.node), before(a.node)) {
                let norm =
                    SampleNorm { epsilon, ..SampleNorm::new(self.canonical.channels(input), NormOver::Channels) };
                return Ok(View { node: self.canonical.add(&of.name, whole(norm), &[input])?, ..a.clone() });
            }
        }
        Err("it divides one value of the network by another".into())
    }

    fn prelu(&mut self, of: &Operator<'_>, view: &View) -> Result<View, String> {
        let constant = of.constant().ok_or("its slopes are no constant")?;
        let slopes = self.per_channel(&constant, view)?;
        let channels = slopes.len();
        let node = match slopes.first() {
            Some(&slope) if slopes.iter().all(|&other| other == slope) => {
                self.canonical.activation(&of.name, Activation::LeakyRelu { slope }, view.node)?
            }
            _ => {
                let prelu = Prelu { weight: Tensor::new([channels], slopes), ..Prelu::new(channels) };
                self.canonical.add(&of.name, prelu, &[view.node])?
            }
        };
        Ok(View { node, ..view.clone() })
    }

    /// Normalisation of each channel over its voxels; or of groups of channels, which are channels of another shape then.
    fn instance_norm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let (node, shape) = match of.first()? {
            Meaning::Value(view) => match self.canonical.op(view.node) {
                // One group: flattened on the way.
                Some(Op::Flatten) => (self.canonical.values[view.node].inputs[0], Some(self.canonical.dims(&view))),
                _ => (self.volume(&view)?, None),
            },
            Meaning::Reshaped { view, shape } => (self.volume(&view)?, Some(shape)),
            Meaning::Known(_) | Meaning::Refused => return Err("its input is no value of the network".into()),
        };
        let channels = self.canonical.channels(node);
        let groups = shape.as_ref().map_or(channels, |shape| shape.get(1).copied().unwrap_or(0));
        if groups == 0 || !channels.is_multiple_of(groups) || shape.as_ref().is_some_and(|shape| shape[0] != 1) {
            return Err(format!("it takes a value in the shape {shape:?}, expected [1, groups, the rest]"));
        }
        let node = self.group_norm(of, node, groups, groups)?;
        let view = self.volume_view(node);
        Ok(shape.map_or_else(|| Meaning::Value(view.clone()), |shape| Meaning::Reshaped { view: view.clone(), shape }))
    }

    /// Normalisation of groups of channels, with `given` scales and shifts.
    fn group_norm(&mut self, of: &Operator<'_>, node: usize, groups: usize, given: usize) -> Result<usize, String> {
        let channels = self.canonical.channels(node);
        let values = |n: usize| -> Result<Tensor, String> {
            let values = of.known(n)?.ok_or("its scale or shift is no constant")?.tensor(&[given])?;
            let spread = values.data().iter().flat_map(|&value| std::iter::repeat_n(value, channels / given)).collect();
            Ok(Tensor::new([channels], spread))
        };
        let norm = SampleNorm {
            weight: values(1)?,
            bias: values(2)?,
            epsilon: of.node.float("epsilon", 1e-5)?,
            ..SampleNorm::new(channels, NormOver::Groups(groups))
        };
        self.canonical.add(&of.name, norm, &[node])
    }

    fn layer_norm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let view = of.value(0)?;
        let from = axis(of.node.int("axis", -1)?, view.axes.len())?;
        let shape = &self.canonical.values[view.node].shape;
        let over: BTreeSet<usize> =
            view.axes[from..].iter().copied().flatten().filter(|&axis| shape[axis] != 1).collect();
        let all: BTreeSet<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        let over = match () {
            () if over == [0].into() => NormOver::Channels,
            () if over == all => NormOver::Groups(1),
            () => return Err(format!("it is over axes from {from} on of {:?}", self.canonical.dims(&view))),
        };
        let channels = self.canonical.channels(view.node);
        let scale = of.known(1)?.ok_or("its scale is no constant")?;
        let scale = self.per_channel(&scale, &view)?;
        let shift = of.known(2)?.map(|shift| self.per_channel(&shift, &view)).transpose()?;
        let norm = SampleNorm {
            weight: Tensor::new([channels], scale),
            bias: shift.map_or_else(|| Tensor::zeros([channels]), |shift| Tensor::new([channels], shift)),
            epsilon: of.node.float("epsilon", 1e-5)?,
            ..SampleNorm::new(channels, over)
        };
        let node = self.canonical.add(&of.name, norm, &[view.node])?;
        Ok(Meaning::Value(View { node, ..view }))
    }

    fn pad(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let mode = of.node.text("mode", "constant")?;
        if mode != "constant" {
            return Err(format!("it pads by {mode}, expected a constant"));
        }
        let pads = of.known(1)?.ok_or("its paddings are no constant")?;
        let value = match of.known(2)? {
            Some(value) => value.single().ok_or("it pads with more than one value")?,
            None if of.inputs.get(2).is_some_and(Option::is_some) => {
                return Err("it pads with a value of the network".into());
            }
            None => 0.0,
        };
        let view = of.value(0)?;
        let rank = view.axes.len();
        let axes: Vec<usize> = match of.known(3)? {
            Some(axes) => axes.whole()?.iter().map(|&of| axis(of, rank)).collect::<Result<_, _>>()?,
            None => (0..rank).collect(),
        };
        let pads = pads.whole()?;
        if pads.len() != 2 * axes.len() {
            return Err(format!("it has {} paddings for {} axes", pads.len(), axes.len()));
        }
        let mut sides = vec![[0; 2]; rank];
        for (n, &at) in axes.iter().enumerate() {
            sides[at] = [pads[n], pads[n + axes.len()]];
        }
        if sides.iter().flatten().all(|&side| side == 0) {
            return Ok(Meaning::Value(view));
        }
        let node = self.volume(&view)?;
        if self.is_flat(node) || sides[..2].iter().flatten().any(|&side| side != 0) {
            return Err("it pads other axes than those of the volume".into());
        }
        let length = |side: i64| usize::try_from(side).map_err(|_| "it cuts the volume");
        let mut pad = Pad3d::new([0; 3], [0; 3]);
        for (at, [before, after]) in sides[2..].iter().enumerate() {
            (pad.before[at], pad.after[at]) = (length(*before)?, length(*after)?);
        }
        #[expect(clippy::cast_possible_truncation, reason = "values are single precision")]
        let value = value as f32;
        let node = self.canonical.add(&of.name, Op::Pad3d(Pad3d { value, ..pad }), &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }

    /// A value with constants added to it or multiplied with it, channel by channel.
    fn affine(&mut self, of: &Operator<'_>, view: &View) -> Result<View, String> {
        let channels = self.canonical.channels(view.node);
        let constant = match of.constant() {
            Some(constant) => self.per_channel(&constant, view)?,
            None => vec![0.0; channels],
        };
        let first_is_constant = matches!(of.inputs.first(), Some(Some(Meaning::Known(_))));
        let (one, zero) = (vec![1.0; channels], vec![0.0; channels]);
        let negative = |values: &[f32]| values.iter().map(|value| -value).collect::<Vec<_>>();
        let (scale, shift) = match of.node.operator.as_str() {
            "Add" => (one, constant),
            "Sub" if first_is_constant => (negative(&one), constant),
            "Sub" => (one, negative(&constant)),
            "Neg" => (negative(&one), zero),
            "Mul" => (constant, zero),
            _ if first_is_constant => return Err("it divides a constant by a value of the network".into()),
            _ if constant.contains(&0.0) => return Err("it divides by 0".into()),
            _ => (constant.iter().map(|value| 1.0 / value).collect(), zero),
        };
        let node = self.canonical.affine(&of.name, view.node, &scale, &shift)?;
        Ok(View { node, ..view.clone() })
    }

    /// The value of a constant at each channel of a value beside it; refused where it differs from voxel to voxel.
    fn per_channel(&self, array: &Array, view: &View) -> Result<Vec<f32>, String> {
        let (dims, channels) = (self.canonical.dims(view), self.canonical.channels(view.node));
        let values = array.real()?;
        let extra = array.shape.len().saturating_sub(dims.len());
        if array.shape[..extra].iter().any(|&length| length != 1) {
            return Err(format!("its constant has the shape {:?} beside a value of {dims:?}", array.shape));
        }
        let own = &array.shape[extra..];
        let mut varies = false;
        let mut strides = vec![0; dims.len()];
        let mut stride = 1;
        for at in (0..dims.len()).rev() {
            let length = aligned(own, dims.len(), at);
            if length != 1 && length != dims[at] {
                return Err(format!("its constant has the shape {:?} beside a value of {dims:?}", array.shape));
            }
            varies |= length != 1 && view.axes[at] != Some(0);
            strides[at] = if length == 1 { 0 } else { stride };
            stride *= length;
        }
        let step = (0..dims.len()).find(|&at| view.axes[at] == Some(0)).map_or(0, |at| strides[at]);
        let found: Vec<f32> = (0..channels).map(|channel| values[channel * step]).collect();
        if varies {
            let channel_of = |place: usize| (place / step.max(1)) % channels;
            if values
                .iter()
                .enumerate()
                .any(|(place, &value)| value != found[if step == 0 { 0 } else { channel_of(place) }])
            {
                return Err(format!(
                    "its constant has the shape {:?} of a value of the network and differs from voxel to voxel. TorchScript \
                     leaves such constants where the network takes values out of the graph (`.data`, `.detach()`), as \
                     MONAI's ResNet with shortcut_type='A' does: the values of the example image are then part of the \
                     file, and every other image gets wrong results. Export a network without that (shortcut_type='B')",
                    array.shape
                ));
            }
        }
        Ok(found)
    }
}

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

/// A normalisation with its weights as they begin.
fn whole(mut norm: SampleNorm) -> SampleNorm {
    norm.weight = Tensor::full([norm.channels], 1.0);
    norm.bias = Tensor::zeros([norm.channels]);
    norm
}

/// The same values in another shape.
fn of_shape(array: &Array, shape: &[usize]) -> Result<Tensor, String> {
    let values = array.real()?;
    if shape.iter().product::<usize>() != values.len() {
        return Err(format!("its weights have the shape {:?}, expected {shape:?}", array.shape));
    }
    Ok(Tensor::new(shape, values.to_vec()))
}

/// Three numbers along `(i, j, k)`.
fn three(values: Option<&[i64]>, default: usize) -> Result<[usize; 3], String> {
    let Some(values) = values else { return Ok([default; 3]) };
    let lengths = fold::lengths(values)?;
    <[usize; 3]>::try_from(lengths)
        .map_err(|found| format!("found {} numbers for a window, expected three", found.len()))
}

/// The window of a convolution or pool.
struct Window {
    kernel: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
}

/// One operator with what it takes.
struct Operator<'a> {
    node: &'a Node,
    inputs: &'a [Option<Meaning>],
    /// The name of what it gives in the network.
    name: String,
}

impl Operator<'_> {
    fn first(&self) -> Result<Meaning, String> {
        self.inputs.first().cloned().flatten().ok_or_else(|| "its input is missing".into())
    }

    /// A value of the network that it takes.
    fn value(&self, n: usize) -> Result<View, String> {
        match self.inputs.get(n) {
            Some(Some(Meaning::Value(view))) => Ok(view.clone()),
            Some(Some(Meaning::Reshaped { shape, .. })) => {
                Err(format!("it takes a value in the shape {shape:?}, which is none of volumes or features"))
            }
            Some(Some(Meaning::Known(_))) => Err("it takes a constant where a value of the network is expected".into()),
            Some(Some(Meaning::Refused) | None) | None => Err(format!("its input {n} is missing")),
        }
    }

    /// A constant that it takes; none where it is left out.
    fn known(&self, n: usize) -> Result<Option<Rc<Array>>, String> {
        match self.inputs.get(n) {
            Some(Some(Meaning::Known(array))) => Ok(Some(array.clone())),
            Some(Some(_)) | Some(None) | None => Ok(None),
        }
    }

    /// The constant among its inputs.
    fn constant(&self) -> Option<Rc<Array>> {
        self.inputs.iter().find_map(|input| match input {
            Some(Meaning::Known(array)) => Some(array.clone()),
            _ => None,
        })
    }

    /// Axes, which are an attribute in older versions and an input in newer ones.
    fn axes(&self, since: i64, opset: i64) -> Result<Option<Vec<i64>>, String> {
        if opset < since {
            return Ok(self.node.ints("axes")?.map(<[i64]>::to_vec));
        }
        match self.known(1)? {
            Some(array) => Ok(Some(array.whole()?.to_vec())),
            None if self.inputs.get(1).is_some_and(Option::is_some) => Err("its axes are no constant".into()),
            None => Ok(None),
        }
    }

    /// Zeros before and after along each axis of a volume of a size.
    fn paddings(&self, window: &Window, size: [usize; 3]) -> Result<[[usize; 2]; 3], String> {
        let Window { kernel, stride, dilation } = window;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err("it has a window, steps or dilations of 0".into());
        }
        match self.node.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => {
                let Some(pads) = self.node.ints("pads")? else { return Ok([[0; 2]; 3]) };
                let pads = <[usize; 6]>::try_from(fold::lengths(pads)?).map_err(|_| "it has no six paddings")?;
                Ok(std::array::from_fn(|axis| [pads[axis], pads[axis + 3]]))
            }
            "VALID" => Ok([[0; 2]; 3]),
            same @ ("SAME_UPPER" | "SAME_LOWER") => Ok(std::array::from_fn(|axis| {
                let span = (kernel[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1);
                let steps = size[axis].div_ceil(stride[axis]) - 1;
                let total = steps.saturating_mul(stride[axis]).saturating_add(span).saturating_sub(size[axis]);
                let (less, more) = (total / 2, total - total / 2);
                if same == "SAME_UPPER" { [less, more] } else { [more, less] }
            })),
            other => Err(format!("it has the padding {other}, which is none of ONNX")),
        }
    }
}
