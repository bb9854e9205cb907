//! Networks of other frameworks, in ONNX: what PyTorch's two exporters write (`torch.onnx.export` with `dynamo=True` or not),
//! opsets 11 to 20, weights inside the file or in files beside it.
//!
//! The protocol buffer becomes nodes and constants (`proto`), constants are computed (`fold`), operators become operations
//! on volumes and features, whatever exporter wrote them (`operators`, `canonical`, `function`), and these a [`Network`]
//! (`lower`) that ends in scores: a softmax or sigmoid at the end is taken off and named ([`Head`]). What cannot be taken is
//! refused with the reason, all of it at once. Nothing in a file is run, and whatever a file holds, the outcome is a network
//! or an error.

mod array;
mod canonical;
mod external;
mod fold;
mod function;
mod lower;
mod name;
mod operators;
mod proto;
mod protobuf;
#[cfg(test)]
mod tests;

pub use canonical::Head;

use super::{io, refused};
use crate::{Network, Op, Result, Tensor};
use external::External;
use operators::{Reader, Trouble};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The oldest and the newest opset whose operators are read.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=20;
/// Most reasons that an error lists.
const REASONS: usize = 12;

/// Why a file cannot be taken, and what to do about it.
#[derive(Debug)]
struct Refusal {
    what: String,
    remedy: &'static str,
}

impl Refusal {
    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), remedy }
    }

    /// Of operators, and of what they are given.
    fn of_operators(what: String) -> Self {
        Self::new(
            what,
            "replace what is named, or leave it out, and export the network again; the operators that are taken are in the table \
             of the page \"Your own network\"",
        )
    }

    /// Of bytes that are no model.
    fn of_bytes(what: String) -> Self {
        Self::new(what, "copy the file again if it was cut short, or export the network again with torch.onnx.export")
    }

    /// Of an input that is no volume.
    fn of_input(what: String) -> Self {
        Self::new(
            what,
            "export a 3D network, with one image [1, C, i, j, k] as example: torch.onnx.export(model, (x[:1],), ...)",
        )
    }
}

/// A network from a file, and what the file says about it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network. It gives scores, before any softmax.
    pub network: Network,
    /// What the file makes of the scores.
    pub head: Head,
    /// Who wrote the file, `pytorch`.
    pub producer: String,
    /// The version of ONNX's operators.
    pub opset: i64,
    /// Operators of the file that the output depends on.
    pub operators: usize,
    /// What else is written into it, by name (`metadata_props`).
    pub metadata: BTreeMap<String, String>,
    /// The files that it was read from: the one that was named, and those beside it.
    pub files: Vec<PathBuf>,
    /// Batch normalisations that the file has. Exporters fold those that follow a convolution into it: rules that treat
    /// convolution and normalisation apart then see one layer.
    pub batch_norms: usize,
}

/// Reads a file. `grid` is the shape of its input along `(i, j, k)` where the file leaves it open; where it says it, both must
/// be the same.
///
/// # Errors
/// The file cannot be read, is no ONNX model, has more than one input or output or a batch other than 1, or holds operators
/// that have no counterpart, which are all listed.
pub fn read(path: &Path, grid: Option<[usize; 3]>) -> Result<Imported> {
    let bytes = voxplain_core::input::read(path).map_err(io(path))?;
    if !proto::is_model(&bytes) {
        let what = "is not an ONNX file, or a part of one";
        return Err(refused(
            path,
            what,
            "give the file that torch.onnx.export wrote; copy it again if it was cut short",
        ));
    }
    let mut external = External::beside(path);
    let read = decode(&bytes, &mut external, grid);
    let files = std::iter::once(path.to_owned()).chain(std::mem::take(&mut external.files)).collect();
    read.map(|imported| Imported { files, ..imported }).map_err(|what| match &external.missing {
        Some(name) => refused(
            path,
            what.what,
            &format!(
                "put {name} beside the file, in its folder (a link of git-annex or datalad is filled by `git annex get`), or export again \
                 with external_data=False"
            ),
        ),
        None if external.outside => refused(
            path,
            what.what,
            "put the file of the values itself beside this one, in its folder, and no link (`git annex unlock`, `cp -L`), or export again \
             with external_data=False",
        ),
        None => refused(path, what.what, what.remedy),
    })
}

fn decode(bytes: &[u8], external: &mut External, grid: Option<[usize; 3]>) -> Result<Imported, Refusal> {
    let model = proto::decode(bytes, external).map_err(Refusal::of_bytes)?;
    let opset = model
        .opset
        .ok_or_else(|| Refusal::of_bytes("found no version of ONNX's operators, expected an ONNX model".into()))?;
    if !OPSETS.contains(&opset) {
        let (first, last) = OPSETS.into_inner();
        return Err(Refusal::new(
            format!("found opset {opset}, expected {first} to {last}"),
            "export the network again with opset_version=17 of torch.onnx.export",
        ));
    }
    let graph = &model.graph;
    // Older files list constants among the inputs.
    let mut inputs = graph.inputs.iter().filter(|input| !graph.initializers.contains_key(&input.name));
    let input = inputs.next().ok_or_else(|| Refusal::of_input("found no input, expected one volume".into()))?;
    let others: Vec<&str> = inputs.map(|input| input.name.as_str()).collect();
    if !others.is_empty() {
        return Err(Refusal::new(
            format!("found inputs {} and {}, expected one volume", input.name, others.join(", ")),
            "export a module whose forward takes the image alone and gives the network the rest as constants",
        ));
    }
    let [output] = graph.outputs.as_slice() else {
        return Err(Refusal::new(
            format!("found outputs {}, expected one: that of the scores", graph.outputs.join(", ")),
            "export a module whose forward returns the scores alone",
        ));
    };
    let shape = input_shape(input, grid)?;
    let reader = Reader::read(graph, opset, (&input.name, shape), output).map_err(Refusal::of_operators)?;
    if !reader.troubles.is_empty() {
        let last = reader.output(output).ok().flatten().map(|view| lower::scores(&reader.canonical, view.node).0);
        let roots: Vec<usize> = reader.taken.iter().copied().chain(last).collect();
        let left = lower::left_over(&reader.canonical, &roots, |n| reader.stand_ins.contains(&n));
        let reasons: Vec<String> = std::iter::once(list(&reader.troubles)).chain(left).take(REASONS).collect();
        return Err(Refusal::of_operators(reasons.join("; ")));
    }
    let view = reader.output(output).map_err(Refusal::of_operators)?;
    let view = view.ok_or_else(|| Refusal::of_operators("its output was refused".into()))?;
    let (operators, batch_norms) = (reader.operators, reader.norms);
    let (network, head) = lower::lower(reader.canonical, &view).map_err(Refusal::of_operators)?;
    let (producer, metadata) = (model.producer, model.metadata);
    Ok(Imported { network, head, producer, opset, operators, metadata, files: Vec::new(), batch_norms })
}

/// The shape of one sample of the input, `[C, i, j, k]`.
fn input_shape(input: &proto::Input, grid: Option<[usize; 3]>) -> Result<[usize; 4], Refusal> {
    let axes = input.shape.as_ref();
    let axes = axes.ok_or_else(|| Refusal::of_input(format!("its input {} has no shape", input.name)))?;
    let five = || {
        Refusal::of_input(format!("its input has {} axes, expected five: batch, channels and (i, j, k)", axes.len()))
    };
    let &[batch, channels, ref space @ ..] = axes.as_slice() else {
        return Err(five());
    };
    let space = <[Option<usize>; 3]>::try_from(space).map_err(|_| five())?;
    if let Some(batch) = batch.filter(|&batch| batch != 1) {
        return Err(Refusal::of_input(format!(
            "the batch size {batch} is baked in: its operators take that many images together"
        )));
    }
    let mut shape = [channels.unwrap_or(1), 1, 1, 1];
    for axis in 0..3 {
        shape[axis + 1] = match (space[axis], grid.map(|grid| grid[axis])) {
            (Some(length), Some(wanted)) if length != wanted => {
                let found: Vec<String> = space.iter().map(|n| n.map_or("?".into(), |n| n.to_string())).collect();
                return Err(Refusal::new(
                    format!("its input is {}, and the grid that was asked for is {}", found.join(" x "), times(grid)),
                    "ask for none: the file says it",
                ));
            }
            (Some(length), _) | (None, Some(length)) => length,
            (None, None) => {
                let what = "the file leaves the shape of its input open; say its grid";
                return Err(Refusal::new(what, "read it with the shape that the network was trained on"));
            }
        };
    }
    crate::ops::count(&shape).map_err(Refusal::of_input)?;
    Ok(shape)
}

fn times(grid: Option<[usize; 3]>) -> String {
    grid.into_iter().flatten().map(|n| n.to_string()).collect::<Vec<_>>().join(" x ")
}

/// Everything that was refused: operators without a counterpart with their number, then the reasons of the others.
fn list(troubles: &[Trouble]) -> String {
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    let mut reasons: Vec<(String, &str, usize)> = Vec::new();
    for trouble in troubles {
        match &trouble.reason {
            None => *unknown.entry(&trouble.operator).or_default() += 1,
            Some(reason) => {
                let what = format!("{}: {reason}", trouble.operator);
                match reasons.iter_mut().find(|(known, ..)| *known == what) {
                    Some((_, _, count)) => *count += 1,
                    None => reasons.push((what, &trouble.label, 1)),
                }
            }
        }
    }
    let times = |count: usize| if count == 1 { String::new() } else { format!(" ({count} times)") };
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|(name, &count)| format!("{name}{}", times(count))).collect();
        parts.push(format!("it holds operators that have no counterpart here: {}", names.join(", ")));
    }
    let left = reasons.len().saturating_sub(REASONS);
    parts.extend(
        reasons.into_iter().take(REASONS).map(|(what, label, count)| format!("at {label}, {what}{}", times(count))),
    );
    if left > 0 {
        parts.push(format!("and {left} more"));
    }
    parts.join("; ")
}

/// The same network with two scores for its one, `-z / 2` and `z / 2`: their softmax is the sigmoid of `z` for the second class,
/// and what speaks for one class speaks against the other.
///
/// # Errors
/// The network gives more than one score.
pub fn two_classes(network: &Network) -> Result<Network> {
    let halves =
        |values: &[f32]| values.iter().map(|v| -v / 2.0).chain(values.iter().map(|v| v / 2.0)).collect::<Vec<_>>();
    if network.outputs() != 1 {
        return Err(crate::Error::Request(format!("found {} scores, expected one to make two of", network.outputs())));
    }
    let mut split = crate::Linear::new(1, 2);
    split.weight = Tensor::new([2, 1], vec![-0.5, 0.5]);
    let Some(last) = lower::last_layer(network) else {
        let mut network = network.clone();
        let name =
            ["classes", "two_classes"].into_iter().find(|name| network.node(name).is_err()).unwrap_or("of_two_classes");
        network.then(name, split)?;
        return Ok(network);
    };
    let mut two = Network::new(network.input_shape());
    for node in &network.nodes()[1..] {
        let is_last = std::ptr::eq(node, &network.nodes()[network.output().0]);
        let op = if is_last {
            let mut linear = crate::Linear::new(last.input, 2);
            linear.weight = Tensor::new([2, last.input], halves(last.weight.data()));
            linear.bias = Tensor::new([2], halves(last.bias.data()));
            Op::Linear(linear)
        } else {
            node.op.clone()
        };
        two.add(&node.name, op, &node.inputs)?;
    }
    Ok(two)
}
