//! From canonical operations to a [`Network`] that ends in scores.

use super::canonical::{Canonical, Head, Kind, Step, View};
use crate::ops::weightless;
use crate::{Network, NodeId, Op};
use std::collections::BTreeSet;

/// The network of what `output` depends on, without what comes after the scores; and what that is. Scores of single voxels stay
/// a volume.
pub(super) fn lower(mut canonical: Canonical, output: &View) -> Result<(Network, Head), String> {
    let (scores, head) = scores(&canonical, output.node);
    let shape = canonical.values[scores].shape.clone();
    let is_image = shape[1..].iter().any(|&length| length != 1);
    let long = output.axes.iter().copied().flatten().filter(|&axis| shape.get(axis).is_some_and(|&length| length != 1));
    if is_image && !long.is_sorted() {
        return Err(format!(
            "its output has the shape {:?} in another order of axes, expected [1, C, i, j, k]",
            canonical.dims(output)
        ));
    }
    if scores == 0 {
        return Err("its output is its input".into());
    }
    let last = if is_image { scores } else { canonical.flatten(scores)? };
    let needed = before(&canonical, &[last]);
    if !needed[0] {
        return Err("its output does not depend on its input".into());
    }
    let is_softmax = |n: usize| canonical.step(n) == Some(&Step::Head(Head::Softmax));
    let weighed: Vec<bool> = (0..needed.len()).map(|n| is_softmax(n) && is_weighed(&canonical, &needed, n)).collect();
    let left = left_over(&canonical, &[last], |n| weighed[n]);
    if !left.is_empty() {
        return Err(left.join("; "));
    }
    let [c, i, j, k] =
        <[usize; 4]>::try_from(canonical.values[0].shape.clone()).map_err(|_| "its input is no volume")?;
    let mut network = Network::new([c, i, j, k]);
    let mut place = vec![NodeId(0); canonical.values.len()];
    let mut names: BTreeSet<String> = ["input".to_owned()].into();
    for (n, value) in canonical.values.into_iter().enumerate().skip(1).filter(|(n, _)| needed[*n]) {
        let op = match value.kind {
            Kind::Op(op) => *op,
            Kind::Step(_) if weighed[n] => Op::Softmax,
            Kind::Step(step) => return Err(unfinished(&step, &value.name)),
            Kind::Input => continue,
        };
        let name = free(&mut names, &value.name);
        let inputs: Vec<NodeId> = value.inputs.iter().map(|&input| place[input]).collect();
        place[n] = network.add(&name, op, &inputs).map_err(|error| error.to_string())?;
    }
    Ok((network, head))
}

/// Whether each value is one of some, or something that they are made of.
fn before(canonical: &Canonical, roots: &[usize]) -> Vec<bool> {
    let mut needed = vec![false; canonical.values.len()];
    roots.iter().for_each(|&root| needed[root] = true);
    for n in (1..needed.len()).rev() {
        if needed[n] {
            canonical.values[n].inputs.iter().for_each(|&input| needed[input] = true);
        }
    }
    needed
}

/// What became no operation of all that some values are made of, each in words, but for those that are known.
pub(super) fn left_over(canonical: &Canonical, roots: &[usize], known: impl Fn(usize) -> bool) -> Vec<String> {
    let needed = before(canonical, roots);
    let all = canonical.values.iter().enumerate().filter(|(n, _)| needed[*n] && !known(*n));
    all.filter_map(|(_, value)| match &value.kind {
        Kind::Step(step) => Some(unfinished(step, &value.name)),
        Kind::Op(_) | Kind::Input => None,
    })
    .collect()
}

/// Whether features, and all that is made of them, go into a fully connected layer next: an expectation over what a softmax gives is one.
fn is_weighed(canonical: &Canonical, needed: &[bool], node: usize) -> bool {
    let users = || (0..needed.len()).filter(|&n| needed[n] && canonical.values[n].inputs.contains(&node));
    let weighs = |user: usize| match canonical.op(user) {
        Some(Op::Linear(linear)) => linear.input > 2,
        Some(Op::Flatten | Op::Dropout { .. }) => is_weighed(canonical, needed, user),
        Some(_) | None => false,
    };
    canonical.values[node].shape.len() == 1 && users().next().is_some() && users().all(weighs)
}

/// The scores that an output is made of: what comes before a softmax or a sigmoid at the end.
pub(super) fn scores(canonical: &Canonical, output: usize) -> (usize, Head) {
    let (mut node, mut head) = (output, Head::Scores);
    // A logarithm of the probabilities after their softmax, and the like: the first of them counts.
    loop {
        let value = &canonical.values[node];
        head = match &value.kind {
            // A softmax of a softmax is none that can be taken off: its scores are probabilities.
            Kind::Step(Step::Head(Head::Softmax)) if head == Head::Softmax => return (node, head),
            Kind::Step(Step::Head(of)) => *of,
            Kind::Op(op) if **op == Op::Sigmoid && head == Head::Scores => Head::Sigmoid,
            // Flattened after it.
            Kind::Op(op) if **op == Op::Flatten && ends(canonical, value.inputs[0]) => head,
            Kind::Input | Kind::Op(_) | Kind::Step(_) => return (node, head),
        };
        node = value.inputs[0];
    }
}

fn ends(canonical: &Canonical, node: usize) -> bool {
    matches!(canonical.step(node), Some(Step::Head(_))) || canonical.op(node) == Some(&Op::Sigmoid)
}

/// Why a part of something is left over.
fn unfinished(step: &Step, name: &str) -> String {
    match step {
        Step::Function(operator) => {
            format!("{name}: the operator {operator} is part of no activation that the engine has")
        }
        Step::Head(Head::Softmax | Head::LogSoftmax | Head::Sigmoid | Head::Scores) => {
            format!(
                "{name}: a softmax inside the network, as in attention, which the engine has only between features and a layer that weighs them; \
                 one at the very end is taken off, so that, where only a clamp, a logarithm or another scale stands behind this one, export up \
                 to the layer before it"
            )
        }
        Step::Mean | Step::Centred | Step::Squared | Step::Variance | Step::Shifted(_) | Step::Deviation(_) => {
            format!("{name}: a mean over channels that belongs to no normalisation")
        }
    }
}

/// A name that no other node has.
fn free(names: &mut BTreeSet<String>, name: &str) -> String {
    let mut free = name.to_owned();
    let mut number = 1;
    while !names.insert(free.clone()) {
        number += 1;
        free = format!("{name}_{number}");
    }
    free
}

/// Whether a network has weights that a single score could be split by; see [`super::two_classes`].
pub(super) fn last_layer(network: &Network) -> Option<&crate::Linear> {
    match &network.nodes().last()?.op {
        Op::Linear(linear) => Some(linear),
        Op::Conv3d(_)
        | Op::ConvTranspose3d(_)
        | Op::BatchNorm(_)
        | Op::SampleNorm(_)
        | Op::Prelu(_)
        | weightless!() => None,
    }
}
