//! Batch normalisations folded into the layers in front of them.

use super::{Network, NodeId};
use crate::ops::weightless;
use crate::{BatchNorm, ConvTranspose3d, Op, Result, Tensor};

impl Network {
    /// The same network with batch normalisations folded until none is left to fold ([`fold_once`]).
    pub(crate) fn with_folded_norms(&self) -> Result<Self> {
        let mut network = self.clone();
        loop {
            let next = fold_once(&network)?;
            if next.nodes().len() == network.nodes().len() {
                return Ok(network);
            }
            network = next;
        }
    }
}

/// The same network with every batch normalisation that alone follows a convolution or linear layer folded into it.
/// Other batch normalisations stay. A layer keeps its name.
fn fold_once(network: &Network) -> Result<Network> {
    let nodes = network.nodes();
    let mut consumers = vec![0; nodes.len()];
    nodes.iter().flat_map(|node| &node.inputs).for_each(|input| consumers[input.0] += 1);
    let mut new = Network::new(network.input_shape());
    new.nodes[0].name.clone_from(&nodes[0].name);
    let mut place = vec![NodeId(0); nodes.len()];
    let mut merged = vec![false; nodes.len()];
    for n in 1..nodes.len() {
        if merged[n] {
            continue;
        }
        let mut op = nodes[n].op.clone();
        let inputs: Vec<NodeId> = nodes[n].inputs.iter().map(|input| place[input.0]).collect();
        let norm = nodes.iter().enumerate().find_map(|(m, node)| {
            let Op::BatchNorm(norm) = &node.op else { return None };
            (node.inputs == [NodeId(n)] && consumers[n] == 1).then_some((m, norm))
        });
        let folded = norm.filter(|(_, norm)| fold(norm, &mut op));
        place[n] = new.add(&nodes[n].name, op, &inputs)?;
        if let Some((m, _)) = folded {
            (merged[m], place[m]) = (true, place[n]);
        }
    }
    Ok(new)
}

/// Folds a batch normalisation into an operation, if that has weights to take it: `w' = w s`, `b' = b s + t`, with
/// `y = s x + t` what the normalisation does outside training (Montavon et al. 2019).
#[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
fn fold(norm: &BatchNorm, op: &mut Op) -> bool {
    let (weight, bias) = match op {
        Op::Conv3d(conv) => {
            conv.has_bias = true;
            let outputs = conv.output;
            (&mut conv.weight, conv.bias.get_or_insert_with(|| Tensor::zeros([outputs])))
        }
        Op::Linear(linear) => (&mut linear.weight, &mut linear.bias),
        // Its weights have the channels of the output second.
        Op::ConvTranspose3d(conv) => return fold_transposed(norm, conv),
        Op::BatchNorm(_) | Op::SampleNorm(_) | Op::Prelu(_) | weightless!() => return false,
    };
    let row = weight.len() / norm.channels;
    let rows = weight.data_mut().chunks_mut(row).zip(bias.data_mut());
    for ((row, bias), (scale, shift)) in rows.zip(norm.scale_and_shift()) {
        row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        *bias = (f64::from(*bias) * scale + shift) as f32;
    }
    true
}

/// The same for a transposed convolution, whose weights are `[in][out / groups]`.
#[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
fn fold_transposed(norm: &BatchNorm, conv: &mut ConvTranspose3d) -> bool {
    let (inputs, of_group) = (conv.input / conv.groups, conv.of_group());
    let maps: Vec<(f64, f64)> = norm.scale_and_shift().collect();
    let taps: usize = conv.kernel.iter().product();
    for (at, kernel) in conv.weight.data_mut().chunks_mut(taps).enumerate() {
        let (scale, _) = maps[at / of_group / inputs * of_group + at % of_group];
        kernel.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
    }
    conv.has_bias = true;
    let outputs = conv.output;
    let bias = conv.bias.get_or_insert_with(|| Tensor::zeros([outputs]));
    for (bias, (scale, shift)) in bias.data_mut().iter_mut().zip(maps) {
        *bias = (f64::from(*bias) * scale + shift) as f32;
    }
    true
}
