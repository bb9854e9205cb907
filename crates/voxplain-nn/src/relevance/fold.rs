//! Batch normalisation folded into the layer in front of it.

use crate::{BatchNorm, Network, NodeId, Op, Result, Tensor};

/// What an evaluated batch normalisation multiplies each channel with, and adds: `y = scale x + shift` by its
/// running statistics.
pub(super) fn scale_and_shift(norm: &BatchNorm) -> Vec<(f64, f64)> {
    let of = |channel: usize| {
        let at = |tensor: &Tensor| f64::from(tensor.data()[channel]);
        let scale = at(&norm.weight) / (at(&norm.running_var) + f64::from(norm.epsilon)).sqrt();
        (scale, at(&norm.bias) - at(&norm.running_mean) * scale)
    };
    (0..norm.channels).map(of).collect()
}

/// The same network with batch normalisations folded until none is left to fold ([`fold_once`]).
pub(super) fn folded(network: &Network) -> Result<Network> {
    let mut network = network.clone();
    loop {
        let next = fold_once(&network)?;
        if next.nodes().len() == network.nodes().len() {
            return Ok(network);
        }
        network = next;
    }
}

/// The same network with every batch normalisation that alone follows a convolution or linear layer folded into it:
/// `w' = w s`, `b' = b s + t`, with `y = s x + t` what the normalisation does outside training (Montavon et al.
/// 2019). Other batch normalisations stay. A layer keeps its name.
#[expect(clippy::cast_possible_truncation, reason = "weights are float32")]
fn fold_once(network: &Network) -> Result<Network> {
    let nodes = network.nodes();
    let mut consumers = vec![0; nodes.len()];
    nodes.iter().flat_map(|node| &node.inputs).for_each(|input| consumers[input.0] += 1);
    let mut new = Network::new(network.input_shape());
    let mut place = vec![NodeId(0); nodes.len()];
    let mut merged = vec![false; nodes.len()];
    for n in 1..nodes.len() {
        if merged[n] {
            continue;
        }
        let mut op = nodes[n].op.clone();
        let inputs: Vec<NodeId> = nodes[n].inputs.iter().map(|input| place[input.0]).collect();
        let follows = nodes.iter().enumerate().find_map(|(m, node)| match &node.op {
            Op::BatchNorm(norm) if node.inputs[0].0 == n && consumers[n] == 1 => Some((m, norm)),
            _ => None,
        });
        if let Some((m, norm)) = follows {
            let by = scale_and_shift(norm);
            let (weight, bias) = match &mut op {
                Op::Conv3d(conv) => {
                    conv.has_bias = true;
                    let outputs = conv.output;
                    (&mut conv.weight, conv.bias.get_or_insert_with(|| Tensor::zeros([outputs])))
                }
                Op::Linear(linear) => (&mut linear.weight, &mut linear.bias),
                _ => {
                    place[n] = new.add(&nodes[n].name, op, &inputs)?;
                    continue;
                }
            };
            let row = weight.len() / by.len();
            for ((row, bias), (scale, shift)) in weight.data_mut().chunks_mut(row).zip(bias.data_mut()).zip(by) {
                row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
                *bias = (f64::from(*bias) * scale + shift) as f32;
            }
            merged[m] = true;
            place[n] = new.add(&nodes[n].name, op, &inputs)?;
            place[m] = place[n];
        } else {
            place[n] = new.add(&nodes[n].name, op, &inputs)?;
        }
    }
    Ok(new)
}
