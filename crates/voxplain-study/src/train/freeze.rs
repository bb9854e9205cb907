//! [`Frozen`]: parts of a network that are not trained.

use crate::{listed::listed, setting::FREEZE};
use std::collections::BTreeSet;
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::{Conv3d, Network, NodeId, Op, Tensor};

/// Prefixes that are listed.
const LISTED: usize = 30;

/// The network as it is kept, and the one that is trained in its stead: in that, each frozen batch normalisation is what it does outside
/// training, a scale and a shift of each channel by its running statistics, as a convolution of 1 x 1 x 1 channel by channel.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    network: Network,
    training: Network,
    /// Names of the frozen batch normalisations.
    norms: BTreeSet<String>,
    /// Which parameters of the network in training do not change.
    parameters: Vec<bool>,
}

/// Whether a node is of the part of that name: it is called so, or so and a dot and more.
fn is_in(node: &str, part: &str) -> bool {
    node.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn node_of(parameter: &str) -> &str {
    parameter.rsplit_once('.').map_or(parameter, |(node, _)| node)
}

/// Refuses parts that a network does not have, all of it, and its last layer.
pub(super) fn check(parts: &[String], network: &Network) -> Result<()> {
    let parameters = network.parameters();
    let nodes: Vec<&str> = parameters.iter().map(|p| node_of(&p.name)).collect();
    for part in parts {
        if !nodes.iter().any(|node| is_in(node, part)) {
            // Each name and what it begins with, as far as two dots; not what the last layer is in, which is refused below.
            let last = nodes.last().copied().unwrap_or_default();
            let all: BTreeSet<String> = nodes
                .iter()
                .flat_map(|node| {
                    let words: Vec<&str> = node.split('.').collect();
                    (1..=words.len().min(2)).map(move |n| words[..n].join("."))
                })
                .filter(|part| !is_in(last, part))
                .collect();
            return Err(Error::request(
                format!("no part of the network is called {part}"),
                remedy!["give ", FREEZE, format!(" a name of these: {}", listed(all.iter(), LISTED))],
            ));
        }
    }
    let last = nodes.last().copied().unwrap_or_default();
    if let Some(part) = parts.iter().find(|part| is_in(last, part)) {
        return Err(Error::request(
            format!("the last layer, {last}, is in the part {part} that is not to be trained"),
            remedy!["leave it to learn: name what comes before it with ", FREEZE],
        ));
    }
    Ok(())
}

impl Frozen {
    /// The parts of these names of a network, whose weights are those to keep. `None` where none is named.
    ///
    /// # Errors
    /// See [`check`].
    pub(super) fn of(parts: &[String], network: &Network) -> Result<Option<Self>> {
        if parts.is_empty() {
            return Ok(None);
        }
        check(parts, network)?;
        let frozen = |node: &str| parts.iter().any(|part| is_in(node, part));
        let nodes = network.nodes();
        let mut training = Network::new(network.input_shape());
        let mut norms = BTreeSet::new();
        let mut place = vec![NodeId(0); nodes.len()];
        for (n, node) in nodes.iter().enumerate().skip(1) {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|input| place[input.0]).collect();
            let op = match &node.op {
                Op::BatchNorm(norm) if frozen(&node.name) => {
                    norms.insert(node.name.clone());
                    Op::Conv3d(Conv3d::new(norm.channels, norm.channels, [1; 3]).with_groups(norm.channels))
                }
                op => op.clone(),
            };
            place[n] = training.add(&node.name, op, &inputs)?;
        }
        let mut state = Vec::new();
        for node in nodes {
            let Op::BatchNorm(norm) = &node.op else { continue };
            if norms.contains(&node.name) {
                #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
                let (scale, shift): (Vec<f32>, Vec<f32>) =
                    norm.scale_and_shift().map(|(scale, shift)| (scale as f32, shift as f32)).unzip();
                state.push((format!("{}.weight", node.name), Tensor::new([scale.len(), 1, 1, 1, 1], scale)));
                state.push((format!("{}.bias", node.name), Tensor::new([shift.len()], shift)));
            }
        }
        let others = network.state();
        let others = others.iter().filter(|p| !norms.contains(node_of(&p.name)));
        state.extend(others.map(|p| (p.name.clone(), p.tensor.clone())));
        training.load_state(state)?;
        let parameters = training.parameters().iter().map(|p| frozen(node_of(&p.name))).collect();
        Ok(Some(Self { network: network.clone(), training, norms, parameters }))
    }

    /// The network that is trained.
    pub(super) fn training(&self) -> &Network {
        &self.training
    }

    /// Which of its parameters do not change.
    pub(super) fn parameters(&self) -> &[bool] {
        &self.parameters
    }

    /// The network as it is kept, with the weights of the one in training.
    pub(super) fn kept(&self, trained: &Network) -> Result<Network> {
        let mut kept = self.network.clone();
        let (trained, before) = (trained.state(), self.network.state());
        let state = before.iter().map(|p| {
            let of_training = trained.iter().find(|t| t.name == p.name && !self.norms.contains(node_of(&p.name)));
            (p.name.clone(), of_training.map_or_else(|| p.tensor.clone(), |t| t.tensor.clone()))
        });
        let state = state.collect();
        kept.load_state(state)?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NetworkKind;
    use voxplain_nn::{Engine, EngineOptions, PlanOptions, Purpose};

    fn network() -> Network {
        let mut net = NetworkKind::Resnet10.network([32; 3], 2, 2).unwrap();
        NetworkKind::Resnet10.initialize(&mut net, 5);
        // Statistics of some data.
        let before = net.clone();
        let before = before.state();
        let state = before.iter().enumerate().map(|(n, p)| {
            let values = match p.name.rsplit_once('.').unwrap().1 {
                "running_mean" => vec![0.1 * (n % 5) as f32 - 0.2; p.tensor.len()],
                "running_var" => vec![0.5 + 0.1 * (n % 7) as f32; p.tensor.len()],
                _ => p.tensor.data().to_vec(),
            };
            (p.name.clone(), Tensor::new(p.tensor.shape().to_vec(), values))
        });
        let state = state.collect();
        net.load_state(state).unwrap();
        net
    }

    fn parts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_part_is_named_up_to_a_dot() {
        let net = network();
        let frozen = Frozen::of(&parts(&["conv1", "bn1", "layer1"]), &net).unwrap().unwrap();
        let names: Vec<(String, bool)> = frozen
            .training()
            .parameters()
            .iter()
            .map(|p| p.name.clone())
            .zip(frozen.parameters().iter().copied())
            .collect();
        for (name, is) in &names {
            let expected = ["conv1.", "bn1.", "layer1."].iter().any(|part| name.starts_with(part));
            assert_eq!(*is, expected, "{name}");
        }
        assert!(Frozen::of(&[], &net).unwrap().is_none());
        let error = Frozen::of(&parts(&["layer"]), &net).unwrap_err();
        assert_eq!(error.to_string(), "no part of the network is called layer");
        let remedy = error.remedy().unwrap().to_string();
        assert!(remedy.contains("layer1, layer1.0") && !remedy.contains("fc"), "{remedy}");
        assert!(Frozen::of(&parts(&["layer1", "fc"]), &net).unwrap_err().to_string().contains("the last layer, fc"));
    }

    /// In training it does what the network does outside: all is frozen but the last layer, so that a training plan of it gives the
    /// outputs of an inference plan of the network. And what is kept is the network again.
    #[test]
    fn frozen_norms_use_their_running_statistics() {
        let net = network();
        let frozen =
            Frozen::of(&parts(&["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]), &net).unwrap().unwrap();
        assert_eq!(frozen.kept(frozen.training()).unwrap(), net);
        assert!(!frozen.training().nodes().iter().any(|node| matches!(node.op, Op::BatchNorm(_))));
        let engine = Engine::new(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
        let volume: Vec<f32> = (0..2 * 32 * 32 * 32).map(|n| ((n * 7 % 31) as f32 - 15.0) / 10.0).collect();
        let outputs = |network: &Network, purpose: Purpose| {
            let mut plan = engine.plan(network, &PlanOptions { purpose, batch: 2, keep: Vec::new() }).unwrap();
            plan.forward(&volume).unwrap().output().to_vec()
        };
        let (trained, inferred) = (outputs(frozen.training(), Purpose::Train), outputs(&net, Purpose::Infer));
        for (a, b) in trained.iter().zip(&inferred) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{trained:?} {inferred:?}");
        }
    }
}
