//! Taking a network's weights into a plan.

use super::CpuPlan;
use super::step::{Before, ConvAlgorithm, ConvBackward, Work};
use crate::cpu::kernels::{direct, linear, nested, sparse, strided, winograd};
use crate::{BatchNorm, Error, Network, Op, Result};

/// Scale and shift that running statistics amount to, per channel.
#[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
fn scale_and_shift(norm: &BatchNorm) -> (Vec<f32>, Vec<f32>) {
    norm.scale_and_shift().map(|(scale, shift)| (scale as f32, shift as f32)).unzip()
}

impl CpuPlan {
    /// Takes a network's weights, arranged for the kernels.
    pub(super) fn take_weights(&mut self, network: &Network) -> Result<()> {
        let isa = self.isa;
        let nodes = network.nodes();
        let other = |index: usize| {
            Error::Request(format!("node {} is not what it was when the plan was made", nodes[index].name))
        };
        let take = |node: usize, scale: &mut [f32], shift: &mut [f32]| {
            let Op::BatchNorm(norm) = &nodes[node].op else { return Err(other(node)) };
            let (a, b) = scale_and_shift(norm);
            scale[..a.len()].copy_from_slice(&a);
            shift[..b.len()].copy_from_slice(&b);
            Ok(())
        };
        for step in &mut self.steps {
            match &mut step.work {
                Work::Conv(work) => {
                    if let Some(before) = &mut work.before {
                        take(before.node, &mut before.scale, &mut before.shift)?;
                    }
                    let Op::Conv3d(spec) = &nodes[work.node].op else { return Err(other(work.node)) };
                    let folded = match work.norm.map(|index| (index, &nodes[index].op)) {
                        None => None,
                        Some((_, Op::BatchNorm(norm))) => Some(scale_and_shift(norm)),
                        Some((index, _)) => return Err(other(index)),
                    };
                    let conv = work.conv.on_padded();
                    let scale = folded.as_ref().map(|(scale, _)| scale.as_slice());
                    if spec.weight.len() != conv.output.channels * conv.input.channels * conv.window.taps() {
                        return Err(other(work.node));
                    }
                    let weight = spec.weight.data();
                    match work.algorithm {
                        ConvAlgorithm::Direct | ConvAlgorithm::Pointwise => {
                            direct::pack(&conv, weight, scale, &mut work.weights);
                        }
                        ConvAlgorithm::Nested => nested::pack(&work.conv, weight, scale, &mut work.weights),
                        ConvAlgorithm::Winograd => {
                            winograd::pack(isa, &work.conv, weight, scale, false, &mut work.weights);
                        }
                    }
                    match &mut work.backward {
                        Some((ConvBackward::Narrow, packed)) => {
                            strided::pack_narrow(&work.conv, weight, scale, packed);
                        }
                        Some((ConvBackward::Direct | ConvBackward::Pointwise | ConvBackward::Strided, packed)) => {
                            direct::pack_backward(&work.conv, weight, scale, packed);
                        }
                        Some((ConvBackward::Winograd, packed)) => {
                            winograd::pack(isa, &winograd::backward(&work.conv), weight, scale, true, packed);
                        }
                        Some((ConvBackward::Sparse, packed)) => sparse::pack(&work.conv, weight, scale, packed),
                        None => {}
                    }
                    for (channel, bias) in work.bias.iter_mut().take(conv.output.channels).enumerate() {
                        let own = spec.bias.as_ref().map_or(0.0, |b| b.data()[channel]);
                        *bias = folded.as_ref().map_or(own, |(scale, shift)| own * scale[channel] + shift[channel]);
                    }
                }
                Work::Affine { node, scale, shift, .. }
                | Work::AvgPool { before: Some(Before { node, scale, shift, .. }), .. } => take(*node, scale, shift)?,
                Work::BatchNorm(work) => {
                    let Op::BatchNorm(norm) = &nodes[work.node].op else { return Err(other(work.node)) };
                    work.weight.copy_from_slice(norm.weight.data());
                    work.bias.copy_from_slice(norm.bias.data());
                }
                Work::FirstBlock(work) => {
                    let (Op::Conv3d(conv), Op::BatchNorm(norm)) =
                        (&nodes[work.conv_node].op, &nodes[work.norm.node].op)
                    else {
                        return Err(other(work.conv_node));
                    };
                    if conv.weight.len() != work.kernel.len() || conv.has_bias == work.offset.is_empty() {
                        return Err(other(work.conv_node));
                    }
                    work.kernel.copy_from_slice(conv.weight.data());
                    if let Some(bias) = &conv.bias {
                        work.offset.copy_from_slice(bias.data());
                    }
                    work.norm.weight.copy_from_slice(norm.weight.data());
                    work.norm.bias.copy_from_slice(norm.bias.data());
                }
                Work::Grouped(work) => {
                    let Op::Conv3d(spec) = &nodes[work.node].op else { return Err(other(work.node)) };
                    let grouped = &work.grouped;
                    if spec.weight.len() != grouped.conv.output.channels * grouped.seen * grouped.conv.window.taps() {
                        return Err(other(work.node));
                    }
                    grouped.pack(spec.weight.data(), &mut work.weights);
                    if let Some(bias) = &spec.bias {
                        work.bias[..bias.len()].copy_from_slice(bias.data());
                    }
                }
                Work::Transposed(work) => {
                    let Op::ConvTranspose3d(spec) = &nodes[work.node].op else { return Err(other(work.node)) };
                    let conv = &work.conv;
                    if spec.weight.len() != conv.output.channels * spec.of_group() * conv.window.taps() {
                        return Err(other(work.node));
                    }
                    let weight = spec.weight.data();
                    match &work.grouped {
                        Some(grouped) => grouped.pack(weight, &mut work.weights),
                        None => {
                            direct::pack_backward(conv, weight, None, &mut work.weights);
                            if !work.backward.is_empty() {
                                direct::pack(&conv.on_padded(), weight, None, &mut work.backward);
                            }
                        }
                    }
                    if let Some(bias) = &spec.bias {
                        work.bias[..bias.len()].copy_from_slice(bias.data());
                    }
                }
                Work::SampleNorm(work) => {
                    let Op::SampleNorm(spec) = &nodes[work.node].op else { return Err(other(work.node)) };
                    work.norm.take(spec);
                }
                Work::Prelu { node, slope, .. } => {
                    let Op::Prelu(spec) = &nodes[*node].op else { return Err(other(*node)) };
                    slope[..spec.channels].copy_from_slice(spec.weight.data());
                }
                Work::Linear(work) => {
                    let Op::Linear(spec) = &nodes[work.node].op else { return Err(other(work.node)) };
                    linear::pack(&work.sizes, spec.weight.data(), &mut work.weights);
                    work.bias.copy_from_slice(spec.bias.data());
                }
                Work::Activation(_)
                | Work::Pad(_)
                | Work::Resize(_)
                | Work::Multiply
                | Work::MaxPool { .. }
                | Work::AvgPool { before: None, .. }
                | Work::GlobalAvgPool
                | Work::Convert
                | Work::Dropout { .. }
                | Work::Add { .. }
                | Work::Concat(_)
                | Work::Softmax
                | Work::LogSoftmax => {}
            }
        }
        Ok(())
    }

    /// After a forward pass in training: moves the network's running statistics towards the batch's (by momentum,
    /// unbiased variance, as PyTorch).
    #[allow(clippy::cast_precision_loss, reason = "counts are small beside 2^24")]
    pub(super) fn move_running_statistics(&self, network: &mut Network) {
        for step in &self.steps {
            let (work, voxels) = match &step.work {
                Work::BatchNorm(work) => (&**work, self.values[step.inputs[0]].volume.voxels()),
                Work::FirstBlock(work) => (&work.norm, work.conv.output.voxels()),
                Work::Conv(_)
                | Work::Grouped(_)
                | Work::Transposed(_)
                | Work::SampleNorm(_)
                | Work::Prelu { .. }
                | Work::Pad(_)
                | Work::Resize(_)
                | Work::Multiply
                | Work::Affine { .. }
                | Work::Activation(_)
                | Work::MaxPool { .. }
                | Work::AvgPool { .. }
                | Work::GlobalAvgPool
                | Work::Convert
                | Work::Linear(_)
                | Work::Dropout { .. }
                | Work::Add { .. }
                | Work::Concat(_)
                | Work::Softmax
                | Work::LogSoftmax => continue,
            };
            let Op::BatchNorm(norm) = network.op_mut(crate::NodeId(work.node)) else { continue };
            let count = (self.samples * voxels) as f32;
            let unbiased = count / (count - 1.0).max(1.0);
            let momentum = norm.momentum;
            for (running, batch) in norm.running_mean.data_mut().iter_mut().zip(&work.moments.mean) {
                *running += momentum * (batch - *running);
            }
            for (running, batch) in norm.running_var.data_mut().iter_mut().zip(&work.moments.variance) {
                *running += momentum * (batch * unbiased - *running);
            }
        }
    }
}
