//! [`Network`]: named operations in topological order, with their weights.

use super::Initialisation;
use crate::ops::{Slot, Start, count};
use crate::{Error, Op, Result, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use voxplain_core::random::Seed;

/// More weights than any network for volumes has (1 GiB): a graph from a file cannot ask for all memory.
const MAX_WEIGHTS: usize = 1 << 28;

/// Position of a node in its [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

/// One operation of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// A unique name, `features.0`; parameters are called `<name>.weight` and so on.
    pub name: String,
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
    /// The nodes whose values it takes; all earlier in the list.
    pub inputs: Vec<NodeId>,
}

/// A named tensor of a network.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// `<node>.weight`, `<node>.bias`, and in [`Network::state`] `<node>.running_mean`, `<node>.running_var`.
    pub name: String,
    /// Its values.
    pub tensor: &'a Tensor,
}

/// Named operations in topological order, the last of which is the output.
///
/// Always whole: every node's inputs come before it, its shape is known and its weights have their sizes.
/// Serialised, it is the graph without the weights ([`Network::state`] has these); read back, weights are as
/// [`Network::add`] leaves them, until [`Network::load_state`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Graph")]
pub struct Network {
    pub(super) nodes: Vec<Node>,
    /// Shape of one sample at every node.
    #[serde(skip)]
    pub(super) shapes: Vec<Vec<usize>>,
    /// Number of weights so far.
    #[serde(skip)]
    weights: usize,
}

/// A network as it is written: not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Graph {
    nodes: Vec<Node>,
}

impl TryFrom<Graph> for Network {
    type Error = Error;

    fn try_from(graph: Graph) -> Result<Self> {
        let mut nodes = graph.nodes.into_iter();
        let first = nodes.next().ok_or_else(|| Error::Request("a network without nodes".into()))?;
        let Op::Input { shape } = first.op else {
            return Err(Error::Shape {
                node: first.name,
                what: "found an operation, expected the input as the first node".into(),
            });
        };
        count(&shape).map_err(|what| Error::Shape { node: first.name.clone(), what })?;
        let mut network = Self::new(shape);
        network.nodes[0].name = first.name;
        for node in nodes {
            network.add(&node.name, node.op, &node.inputs)?;
        }
        Ok(network)
    }
}

impl Network {
    /// A network that takes volumes of `[C, i, j, k]` and, so far, returns them. The input node is called `input`.
    pub fn new(input: [usize; 4]) -> Self {
        Self {
            nodes: vec![Node { name: "input".into(), op: Op::Input { shape: input }, inputs: Vec::new() }],
            shapes: vec![input.to_vec()],
            weights: 0,
        }
    }

    /// Adds an operation at the end; refused when its name is taken, its inputs do not exist, or shapes do not fit.
    ///
    /// Weights that the operation comes without are 0, and 1 for the scale and running variance of a batch
    /// normalisation: [`Network::initialize`] draws them, [`Network::load_state`] sets them.
    pub fn add(&mut self, name: &str, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId> {
        let refuse = |what: String| Error::Shape { node: name.to_owned(), what };
        let mut op = op.into();
        if name.is_empty() {
            return Err(refuse("the name is empty".into()));
        }
        if self.nodes.iter().any(|node| node.name == name) {
            return Err(refuse("the name is taken; every node needs its own".into()));
        }
        if matches!(op, Op::Input { .. }) {
            return Err(refuse("a network has one input, its first node".into()));
        }
        let count_nodes = self.nodes.len();
        let shapes = inputs
            .iter()
            .map(|input| {
                self.shapes
                    .get(input.0)
                    .map(Vec::as_slice)
                    .ok_or_else(|| refuse(format!("input {} is not one of the {count_nodes} nodes before it", input.0)))
            })
            .collect::<Result<Vec<_>>>()?;
        for shape in &shapes {
            count(shape).map_err(refuse)?;
        }
        let shape = op.output_shape(&shapes).map_err(refuse)?;
        self.weights = prepare_weights(&mut op, self.weights).map_err(refuse)?;
        self.nodes.push(Node { name: name.to_owned(), op, inputs: inputs.to_vec() });
        self.shapes.push(shape);
        Ok(self.output())
    }

    /// Adds an operation on what was added last.
    pub fn then(&mut self, name: &str, op: impl Into<Op>) -> Result<NodeId> {
        self.add(name, op, &[self.output()])
    }

    /// The nodes, in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The operation of a node, to change its weights (not its geometry).
    pub(crate) fn op_mut(&mut self, node: NodeId) -> &mut Op {
        &mut self.nodes[node.0].op
    }

    /// The node of that name; the error lists the names there are.
    pub fn node(&self, name: &str) -> Result<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId).ok_or_else(|| Error::Unknown {
            what: "node",
            name: name.to_owned(),
            known: self.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The last node.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() - 1)
    }

    /// Shape of one sample of the input, `[C, i, j, k]`.
    pub fn input_shape(&self) -> [usize; 4] {
        let shape = &self.shapes[0];
        [shape[0], shape[1], shape[2], shape[3]]
    }

    /// Shape of one sample at every node, in order: `[C, i, j, k]` or `[F]`.
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        self.shapes.clone()
    }

    /// The same without a copy.
    pub(crate) fn shape_list(&self) -> &[Vec<usize>] {
        &self.shapes
    }

    /// Shape of one sample at a node.
    pub fn shape(&self, node: NodeId) -> Result<&[usize]> {
        self.shapes.get(node.0).map(Vec::as_slice).ok_or_else(|| {
            Error::Request(format!("node {} does not exist; the network has {}", node.0, self.nodes.len()))
        })
    }

    /// Number of values that the output gives per sample (the classes).
    pub fn outputs(&self) -> usize {
        self.shapes[self.output().0].iter().product()
    }

    /// The same network without a final [`Op::LogSoftmax`]: one that returns logits.
    pub fn without_log_softmax(&self) -> Self {
        let mut network = self.clone();
        while let Some(Node { op: Op::LogSoftmax, inputs, .. }) = network.nodes.last() {
            // What comes between the logits and their softmax is used by neither.
            let keep = inputs[0].0 + 1;
            network.nodes.truncate(keep);
            network.shapes.truncate(keep);
        }
        network.weights = network.state().iter().map(|parameter| parameter.tensor.len()).sum();
        network
    }

    /// Trainable tensors, in a fixed order that [`crate::Tape::weight_gradients`] shares: node by node, weight
    /// before bias.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        self.named(true)
    }

    /// The same tensors, in the same order, to change in place.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor> {
        let mut parameters = Vec::new();
        self.visit_parameters_mut(|tensor| parameters.push(tensor));
        parameters
    }

    /// Calls `visit` with the same tensors in the same order; allocates nothing.
    pub(crate) fn visit_parameters<'a>(&'a self, mut visit: impl FnMut(&'a Tensor)) {
        for node in &self.nodes {
            node.op.slots(&mut |slot| {
                if slot.trained {
                    visit(slot.tensor);
                }
            });
        }
    }

    /// Calls `visit` with the same tensors in the same order, to change in place; allocates nothing.
    pub(crate) fn visit_parameters_mut<'a>(&'a mut self, mut visit: impl FnMut(&'a mut Tensor)) {
        for node in &mut self.nodes {
            node.op.slots_mut(&mut |slot| {
                if slot.trained {
                    visit(slot.tensor);
                }
            });
        }
    }

    /// Calls `visit` with each parameter and each running statistic and that of another network in the same place, in the order of
    /// [`Network::state`]; allocates nothing. `false` where the other has tensors of other shapes: what was visited till then fits.
    pub(crate) fn visit_pairs_mut(&mut self, other: &Self, mut visit: impl FnMut(&mut Tensor, &Tensor)) -> bool {
        let mut same = self.nodes.len() == other.nodes.len();
        for (node, theirs) in self.nodes.iter_mut().zip(&other.nodes) {
            // No operation holds more.
            let mut held = [None; 8];
            let mut count = 0;
            theirs.op.slots(&mut |slot| {
                if let Some(place) = held.get_mut(count) {
                    *place = Some(slot.tensor);
                }
                count += 1;
            });
            let mut at = 0;
            node.op.slots_mut(&mut |slot| {
                match held.get(at).copied().flatten() {
                    Some(tensor) if tensor.shape() == slot.tensor.shape() => visit(slot.tensor, tensor),
                    _ => same = false,
                }
                at += 1;
            });
            same &= at == count;
        }
        same
    }

    /// All tensors by name as PyTorch's `state_dict` has them: parameters and running statistics.
    pub fn state(&self) -> Vec<Parameter<'_>> {
        self.named(false)
    }

    fn named(&self, only_trained: bool) -> Vec<Parameter<'_>> {
        let mut parameters = Vec::new();
        for node in &self.nodes {
            node.op.slots(&mut |slot| {
                if slot.trained || !only_trained {
                    parameters.push(Parameter { name: format!("{}.{}", node.name, slot.name), tensor: slot.tensor });
                }
            });
        }
        parameters
    }

    /// Sets tensors by name; refused, with nothing changed, when one is missing, unknown, given twice or of another
    /// shape. PyTorch's `num_batches_tracked` is ignored.
    pub fn load_state(&mut self, state: Vec<(String, Tensor)>) -> Result<()> {
        let mut given: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, tensor) in state {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            if given.contains_key(&name) {
                return Err(Error::Request(format!("weights: {name} is there twice")));
            }
            given.insert(name, tensor);
        }
        let wanted = self.state();
        for parameter in &wanted {
            let Some(tensor) = given.get(&parameter.name) else {
                return Err(Error::Unknown {
                    what: "weights: a tensor of the network is missing",
                    name: parameter.name.clone(),
                    known: given.keys().cloned().collect::<Vec<_>>().join(", "),
                });
            };
            if tensor.shape() != parameter.tensor.shape() {
                return Err(Error::Shape {
                    node: parameter.name.clone(),
                    what: format!("found weights of {:?}, expected {:?}", tensor.shape(), parameter.tensor.shape()),
                });
            }
        }
        if let Some(name) = given.keys().find(|name| wanted.iter().all(|parameter| parameter.name != **name)) {
            return Err(Error::Unknown {
                what: "weights: a tensor that the network does not have",
                name: name.clone(),
                known: wanted.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>().join(", "),
            });
        }
        for node in &mut self.nodes {
            node.op.slots_mut(&mut |slot| {
                if let Some(tensor) = given.remove(&format!("{}.{}", node.name, slot.name)) {
                    *slot.tensor = tensor;
                }
            });
        }
        Ok(())
    }

    /// Draws all weights anew as PyTorch's defaults do, by seed: [`Initialisation::PyTorch`]. A tensor's values depend on the
    /// seed and its name alone.
    pub fn initialize(&mut self, seed: u64) {
        self.initialize_as(Initialisation::PyTorch, seed);
    }

    /// Draws all weights anew by seed. Batch normalisation is 1 and 0, its running mean 0 and variance 1. A tensor's values
    /// depend on the seed and its name alone.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "weights are f32")]
    pub fn initialize_as(&mut self, how: Initialisation, seed: u64) {
        for node in &mut self.nodes {
            let convolves = matches!(node.op, Op::Conv3d(_) | Op::ConvTranspose3d(_));
            node.op.slots_mut(&mut |slot| match slot.start {
                Start::Uniform { fan_in } => {
                    let mut random = Seed::new(seed).child(&format!("{}.{}", node.name, slot.name)).random();
                    match how.deviation(convolves, slot.shape(), fan_in) {
                        Some(0.0) => slot.tensor.data_mut().fill(0.0),
                        Some(deviation) => slot.tensor.data_mut().fill_with(|| (random.normal() * deviation) as f32),
                        None => {
                            let bound = 1.0 / (fan_in as f64).sqrt();
                            slot.tensor.data_mut().fill_with(|| random.range(-bound, bound) as f32);
                        }
                    }
                }
                Start::Constant(value) => slot.tensor.data_mut().fill(value),
            });
        }
    }

    /// Which nodes the value of `node` depends on, itself among them.
    pub(crate) fn ancestors(&self, node: NodeId) -> Vec<bool> {
        self.ancestors_as_far_as(node, None)
    }

    /// The same, without looking further than the value of `end`.
    pub(super) fn ancestors_as_far_as(&self, node: NodeId, end: Option<NodeId>) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        needed[node.0] = true;
        for n in (0..=node.0).rev().filter(|&n| end != Some(NodeId(n))) {
            if needed[n] {
                self.nodes[n].inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        needed
    }
}

/// Gives an operation the weights it comes without, and checks those it has. Returns the number of weights so far.
fn prepare_weights(op: &mut Op, mut total: usize) -> Result<usize, String> {
    op.complete()?;
    let mut checked = Ok(());
    op.slots(&mut |slot| {
        if checked.is_ok() {
            checked = check_slot(&slot, &mut total);
        }
    });
    checked?;
    op.slots_mut(&mut |slot| {
        if slot.tensor.is_empty() {
            let start = Tensor::full(slot.shape(), slot.start.value());
            *slot.tensor = start;
        }
    });
    Ok(total)
}

fn check_slot(slot: &Slot<&Tensor>, total: &mut usize) -> Result<(), String> {
    *total += count(slot.shape()).map_err(|what| format!("{}: {what}", slot.name))?;
    if *total > MAX_WEIGHTS {
        return Err(format!("{} brings the network to over {MAX_WEIGHTS} weights", slot.name));
    }
    if !slot.tensor.is_empty() && slot.tensor.shape() != slot.shape() {
        return Err(format!("found {} of {:?}, expected {:?}", slot.name, slot.tensor.shape(), slot.shape()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv3d, Linear, Pool3d};
    use proptest::prelude::*;

    /// The network of Kan et al. 2020, narrow.
    fn paper() -> Network {
        let mut net = Network::new([1, 58, 70, 58]);
        let mut channels = 1;
        for (block, (at, width)) in [(0, 2), (4, 4), (8, 8)].into_iter().enumerate() {
            net.then(&format!("features.{at}"), Conv3d::new(channels, width, [3; 3])).unwrap();
            net.then(&format!("features.{}", at + 1), BatchNorm::new(width)).unwrap();
            net.then(&format!("features.{}", at + 2), Op::Relu).unwrap();
            let pool = if block < 2 { format!("features.{}", at + 3) } else { "classifier.0".into() };
            net.then(&pool, Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
            channels = width;
        }
        net.then("classifier.1", Op::Flatten).unwrap();
        net.then("classifier.2", Op::Dropout { p: 0.5 }).unwrap();
        net.then("classifier.3", Linear::new(1400, 2)).unwrap();
        net
    }

    #[test]
    fn shapes_are_those_of_the_paper() {
        let net = paper();
        let shapes = net.shapes();
        assert_eq!(shapes[net.node("features.0").unwrap().0], [2, 56, 68, 56]);
        assert_eq!(shapes[net.node("features.10").unwrap().0], [8, 11, 14, 11]);
        assert_eq!(shapes[net.node("classifier.0").unwrap().0], [8, 5, 7, 5]);
        assert_eq!(net.outputs(), 2);
        assert_eq!(net.input_shape(), [1, 58, 70, 58]);
        let names: Vec<_> = net.state().into_iter().map(|parameter| parameter.name).collect();
        assert_eq!(names[..3], ["features.0.weight", "features.0.bias", "features.1.weight"]);
        assert_eq!(names.len(), 3 * 6 + 2);
        assert_eq!(net.parameters().len(), 3 * 4 + 2);
    }

    #[test]
    fn errors_name_the_node_what_was_found_and_what_was_expected() {
        let mut net = Network::new([2, 5, 5, 5]);
        let error = net.then("stem", Conv3d::new(3, 4, [3; 3])).unwrap_err();
        assert_eq!(error.to_string(), "node stem: found 2 channels, expected 3");
        let error = net.then("pool", Op::MaxPool3d(Pool3d::new([6; 3]))).unwrap_err().to_string();
        assert!(error.starts_with("node pool: found a volume of [5, 5, 5], expected one at least as large"), "{error}");
        let error = net.then("head", Linear::new(4, 2)).unwrap_err().to_string();
        assert!(error.contains("found shape [2, 5, 5, 5], expected [F]"), "{error}");
        assert!(net.add("sum", Op::Add, &[NodeId(0)]).unwrap_err().to_string().contains("found 1 inputs, expected 2"));
        assert!(net.add("late", Op::Relu, &[NodeId(4)]).is_err());
        assert!(net.then("input", Op::Relu).unwrap_err().to_string().contains("taken"));
        assert!(net.node("nope").unwrap_err().to_string().contains("there are: input"));
        assert_eq!(net.nodes().len(), 1, "a refused node leaves no trace");
    }

    #[test]
    fn a_graph_comes_back_without_weights_and_takes_them() {
        let mut net = paper();
        net.initialize(4);
        let json = serde_json::to_string(&net).unwrap();
        assert!(json.len() < 4000, "weights are not in the graph");
        let mut back: Network = serde_json::from_str(&json).unwrap();
        assert_ne!(back, net);
        let state: Vec<_> = net.state().into_iter().map(|p| (p.name, p.tensor.clone())).collect();
        let mut more = state.clone();
        more.push(("features.1.num_batches_tracked".into(), Tensor::new([], vec![3.0])));
        back.load_state(more).unwrap();
        assert_eq!(back, net);

        let error = back.load_state(state[1..].to_vec()).unwrap_err().to_string();
        assert!(error.contains("missing: features.0.weight"), "{error}");
        let mut wrong = state.clone();
        wrong[1].1 = Tensor::zeros([3]);
        let error = back.load_state(wrong).unwrap_err().to_string();
        assert_eq!(error, "node features.0.bias: found weights of [3], expected [2]");
        let mut unknown = state;
        unknown.push(("extra".into(), Tensor::zeros([1])));
        assert!(back.load_state(unknown).is_err());
        assert_eq!(back, net, "a refused state changes nothing");
    }

    #[test]
    fn initial_weights_are_uniform_within_the_fan_in() {
        let mut net = paper();
        net.initialize(1);
        let parameters = net.parameters();
        let weight = parameters.iter().find(|p| p.name == "features.8.weight").unwrap().tensor;
        let bound = 1.0 / (4.0f64 * 27.0).sqrt();
        let square: f64 = weight.data().iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / weight.len() as f64;
        assert!(weight.data().iter().all(|&w| f64::from(w).abs() <= bound));
        // The variance of a uniform distribution on +-b is b^2 / 3.
        assert!((square / (bound * bound / 3.0) - 1.0).abs() < 0.1);
        let mut again = paper();
        again.initialize(1);
        assert_eq!(again, net);
        again.initialize(2);
        assert_ne!(again, net);
    }

    #[test]
    fn the_softmax_comes_off_with_what_hangs_beside_it() {
        let mut net = paper();
        let logits = net.output();
        let plain = net.clone();
        net.then("unused", Op::Relu).unwrap();
        net.add("log_softmax", Op::LogSoftmax, &[logits]).unwrap();
        assert_eq!(net.without_log_softmax(), plain);
        assert_eq!(plain.without_log_softmax(), plain);
    }

    #[test]
    fn graphs_that_ask_for_too_much_are_refused() {
        let reject = |json: &str| serde_json::from_str::<Network>(json).unwrap_err().to_string();
        let input = r#"{"name":"input","op":"input","shape":[1,9,9,9],"inputs":[]}"#;
        assert!(reject(r#"{"nodes":[]}"#).contains("without nodes"));
        let huge = r#"{"name":"input","op":"input","shape":[1,4294967296,4294967296,9],"inputs":[]}"#;
        assert!(reject(&format!(r#"{{"nodes":[{huge}]}}"#)).contains("too large"));
        let conv = r#"{"name":"c","op":"conv3d","has_bias":true,"input":1,"output":1000000000000,"kernel":[1,1,1],
            "stride":[1,1,1],"padding":[0,0,0],"dilation":[1,1,1],"inputs":[0]}"#;
        assert!(reject(&format!(r#"{{"nodes":[{input},{conv}]}}"#)).starts_with("node c:"));
        let ahead = r#"{"name":"a","op":"relu","inputs":[1]}"#;
        assert!(reject(&format!(r#"{{"nodes":[{input},{ahead}]}}"#)).contains("input 1 is not one of the 1"));
        let stray = r#"{"name":"c","op":"conv3d","has_bias":true,"input":1,"output":2,"kernel":[1,1,1],
            "stride":[0,1,1],"padding":[18446744073709551615,0,0],"dilation":[1,1,1],"inputs":[0]}"#;
        assert!(reject(&format!(r#"{{"nodes":[{input},{stray}]}}"#)).starts_with("node c:"));
    }

    proptest! {
        /// Whatever a file says, reading the graph gives a network or an error.
        #[test]
        fn no_graph_panics(at in 0usize..3000, with in proptest::collection::vec(any::<u8>(), 1..6)) {
            let mut json = serde_json::to_vec(&paper()).unwrap();
            let at = at % json.len();
            let end = (at + with.len()).min(json.len());
            json.splice(at..end, with);
            let _ = serde_json::from_slice::<Network>(&json);
        }

        /// Any numbers in place of the sizes.
        #[test]
        fn no_size_panics(
            sizes in proptest::collection::vec(prop_oneof![0usize..5, Just(usize::MAX), any::<usize>()], 20)
        ) {
            let three = |at: usize| [sizes[at], sizes[at + 1], sizes[at + 2]];
            let mut net = Network::new([1, 4, 4, 4]);
            let _ = net.then("c", Conv3d::new(1, sizes[0], three(1)).with_stride(three(4)).with_padding(three(7))
                .with_dilation(three(10)));
            let pool = Pool3d::new(three(4)).with_stride(three(1)).with_padding(three(13));
            let _ = net.then("p", Op::MaxPool3d(pool));
            let _ = net.then("f", Op::Flatten);
            let _ = net.then("l", Linear::new(sizes[16], sizes[17]));
        }
    }
}
