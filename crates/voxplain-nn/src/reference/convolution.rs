//! Convolutions and fully connected layers.

use crate::{Conv3d, Linear};
use rayon::prelude::*;
use std::ops::Range;

/// Sizes of one convolution.
struct Sizes {
    /// `(i, j, k)` of the input.
    input: [usize; 3],
    /// `(i, j, k)` of the output.
    output: [usize; 3],
}

impl Sizes {
    fn of(conv: &Conv3d, shape: &[usize]) -> Self {
        let input = [shape[1], shape[2], shape[3]];
        let output = std::array::from_fn(|axis| {
            let span = conv.dilation[axis] * (conv.kernel[axis] - 1) + 1;
            (input[axis] + 2 * conv.padding[axis] - span) / conv.stride[axis] + 1
        });
        Self { input, output }
    }
}

/// The outputs along one axis that a kernel tap feeds from inside the volume, and the input of the first of them.
fn reach(conv: &Conv3d, sizes: &Sizes, axis: usize, tap: usize) -> (Range<usize>, usize) {
    let (stride, offset, padding) = (conv.stride[axis], tap * conv.dilation[axis], conv.padding[axis]);
    // Output o takes input o * stride + offset - padding.
    let first = padding.saturating_sub(offset).div_ceil(stride);
    let end = (sizes.input[axis] + padding).saturating_sub(offset).div_ceil(stride).min(sizes.output[axis]);
    (first..end.max(first), (first * stride + offset).saturating_sub(padding))
}

/// Calls `visit` with every kernel tap (its position in the kernel) and pair of rows along `k`: where the outputs
/// start, where their inputs start, and how many outputs there are. Inputs are `stride[2]` apart.
fn rows(conv: &Conv3d, sizes: &Sizes, mut visit: impl FnMut(usize, usize, usize, usize)) {
    let [ki, kj, kk] = conv.kernel;
    for tap in 0..ki * kj * kk {
        let (i, from_i) = reach(conv, sizes, 0, tap / (kj * kk));
        let (j, from_j) = reach(conv, sizes, 1, tap / kk % kj);
        let (k, from_k) = reach(conv, sizes, 2, tap % kk);
        if k.is_empty() {
            continue;
        }
        for oi in i.clone() {
            let xi = from_i + (oi - i.start) * conv.stride[0];
            for oj in j.clone() {
                let xj = from_j + (oj - j.start) * conv.stride[1];
                let out = (oi * sizes.output[1] + oj) * sizes.output[2] + k.start;
                let input = (xi * sizes.input[1] + xj) * sizes.input[2] + from_k;
                visit(tap, out, input, k.len());
            }
        }
    }
}

pub(super) fn forward(conv: &Conv3d, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let sizes = Sizes::of(conv, shape);
    let (voxels, outputs): (usize, usize) = (sizes.input.iter().product(), sizes.output.iter().product());
    let taps: usize = conv.kernel.iter().product();
    let batch = x.len() / (conv.input * voxels);
    let mut y = vec![0.0; batch * conv.output * outputs];
    y.par_chunks_exact_mut(outputs).enumerate().for_each(|(at, y)| {
        let (sample, out) = (at / conv.output, at % conv.output);
        y.fill(conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias.data()[out])));
        for seen in 0..conv.seen() {
            let channel = conv.first_seen(out) + seen;
            let x = &x[(sample * conv.input + channel) * voxels..][..voxels];
            let weight = &conv.weight.data()[(out * conv.seen() + seen) * taps..][..taps];
            rows(conv, &sizes, |tap, to, from, length| {
                let weight = f64::from(weight[tap]);
                let inputs = x[from..].iter().step_by(conv.stride[2]);
                if conv.stride[2] == 1 {
                    // The same, in a form that the compiler turns into vector instructions.
                    y[to..to + length].iter_mut().zip(&x[from..from + length]).for_each(|(y, x)| *y += weight * x);
                } else {
                    y[to..to + length].iter_mut().zip(inputs).for_each(|(y, x)| *y += weight * x);
                }
            });
        }
    });
    y
}

/// What reaches the input.
pub(super) fn backward(conv: &Conv3d, shape: &[usize], r: &[f64]) -> Vec<f64> {
    let sizes = Sizes::of(conv, shape);
    let (voxels, outputs): (usize, usize) = (sizes.input.iter().product(), sizes.output.iter().product());
    let taps: usize = conv.kernel.iter().product();
    let batch = r.len() / (conv.output * outputs);
    let mut gradient = vec![0.0; batch * conv.input * voxels];
    gradient.par_chunks_exact_mut(voxels).enumerate().for_each(|(at, gradient)| {
        let (sample, channel) = (at / conv.input, at % conv.input);
        let of_group = conv.output / conv.groups;
        let (group, seen) = (channel / conv.seen(), channel % conv.seen());
        for out in group * of_group..(group + 1) * of_group {
            let r = &r[(sample * conv.output + out) * outputs..][..outputs];
            let weight = &conv.weight.data()[(out * conv.seen() + seen) * taps..][..taps];
            rows(conv, &sizes, |tap, to, from, length| {
                let weight = f64::from(weight[tap]);
                let r = &r[to..to + length];
                if conv.stride[2] == 1 {
                    gradient[from..from + length].iter_mut().zip(r).for_each(|(g, r)| *g += weight * r);
                } else {
                    gradient[from..].iter_mut().step_by(conv.stride[2]).zip(r).for_each(|(g, r)| *g += weight * r);
                }
            });
        }
    });
    gradient
}

/// Gradients of the weight and, if there is one, the bias.
pub(super) fn weight_gradients(conv: &Conv3d, shape: &[usize], x: &[f64], r: &[f64]) -> Vec<Vec<f64>> {
    let sizes = Sizes::of(conv, shape);
    let (voxels, outputs): (usize, usize) = (sizes.input.iter().product(), sizes.output.iter().product());
    let taps: usize = conv.kernel.iter().product();
    let batch = r.len() / (conv.output * outputs);
    let mut weight = vec![0.0; conv.output * conv.seen() * taps];
    weight.par_chunks_exact_mut(taps).enumerate().for_each(|(at, weight)| {
        let (out, channel) = (at / conv.seen(), conv.first_seen(at / conv.seen()) + at % conv.seen());
        for sample in 0..batch {
            let x = &x[(sample * conv.input + channel) * voxels..][..voxels];
            let r = &r[(sample * conv.output + out) * outputs..][..outputs];
            rows(conv, &sizes, |tap, to, from, length| {
                let inputs = x[from..].iter().step_by(conv.stride[2]);
                weight[tap] += r[to..to + length].iter().zip(inputs).map(|(r, x)| r * x).sum::<f64>();
            });
        }
    });
    let mut gradients = vec![weight];
    if conv.bias.is_some() {
        let mut bias = vec![0.0; conv.output];
        for (at, r) in r.chunks_exact(outputs).enumerate() {
            bias[at % conv.output] += r.iter().sum::<f64>();
        }
        gradients.push(bias);
    }
    gradients
}

pub(super) fn linear(linear: &Linear, x: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for x in x.chunks_exact(linear.input) {
        for (weight, bias) in linear.weight.data().chunks_exact(linear.input).zip(linear.bias.data()) {
            y.push(f64::from(*bias) + weight.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>());
        }
    }
    y
}

pub(super) fn linear_backward(linear: &Linear, r: &[f64]) -> Vec<f64> {
    let mut gradient = Vec::new();
    for r in r.chunks_exact(linear.output) {
        let mut row = vec![0.0; linear.input];
        for (weight, r) in linear.weight.data().chunks_exact(linear.input).zip(r) {
            row.iter_mut().zip(weight).for_each(|(g, &w)| *g += f64::from(w) * r);
        }
        gradient.extend(row);
    }
    gradient
}

pub(super) fn linear_weight_gradients(linear: &Linear, x: &[f64], r: &[f64]) -> Vec<Vec<f64>> {
    let mut weight = vec![0.0; linear.output * linear.input];
    let mut bias = vec![0.0; linear.output];
    for (x, r) in x.chunks_exact(linear.input).zip(r.chunks_exact(linear.output)) {
        for (out, r) in r.iter().enumerate() {
            bias[out] += r;
            weight[out * linear.input..][..linear.input].iter_mut().zip(x).for_each(|(w, x)| *w += r * x);
        }
    }
    vec![weight, bias]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use proptest::prelude::*;

    /// The definition, one output at a time.
    fn by_definition(conv: &Conv3d, shape: &[usize], x: &[f64]) -> Vec<f64> {
        let sizes = Sizes::of(conv, shape);
        let mut y = Vec::new();
        for out in 0..conv.output {
            for o in 0..sizes.output.iter().product::<usize>() {
                let at =
                    [o / sizes.output[2] / sizes.output[1], o / sizes.output[2] % sizes.output[1], o % sizes.output[2]];
                let mut sum = conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias.data()[out]));
                for channel in 0..conv.input {
                    for tap in 0..conv.kernel.iter().product::<usize>() {
                        let [_, kj, kk] = conv.kernel;
                        let taps = [tap / kk / kj, tap / kk % kj, tap % kk];
                        let position: Option<Vec<usize>> = (0..3)
                            .map(|axis| {
                                (at[axis] * conv.stride[axis] + taps[axis] * conv.dilation[axis])
                                    .checked_sub(conv.padding[axis])
                                    .filter(|&position| position < sizes.input[axis])
                            })
                            .collect();
                        if let Some(p) = position {
                            let flat = ((channel * shape[1] + p[0]) * shape[2] + p[1]) * shape[3] + p[2];
                            let weight = (out * conv.input + channel) * conv.kernel.iter().product::<usize>() + tap;
                            sum += f64::from(conv.weight.data()[weight]) * x[flat];
                        }
                    }
                }
                y.push(sum);
            }
        }
        y
    }

    proptest! {
        #[test]
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        fn rows_give_the_definition(
            size in [1usize..7, 1usize..7, 1usize..7], kernel in [1usize..4, 1usize..4, 1usize..4],
            stride in [1usize..4, 1usize..4, 1usize..4], padding in [0usize..3, 0usize..3, 0usize..3],
            dilation in [1usize..3, 1usize..3, 1usize..3], seed: u64,
        ) {
            let mut conv = Conv3d::new(2, 2, kernel).with_stride(stride).with_padding(padding).with_dilation(dilation);
            prop_assume!((0..3).all(|a| size[a] + 2 * padding[a] > dilation[a] * (kernel[a] - 1)));
            let mut random = voxplain_core::random::Random::new(seed);
            let mut draw = |n: usize| (0..n).map(|_| random.uniform() as f32 - 0.5).collect::<Vec<_>>();
            let taps: usize = kernel.iter().product();
            conv.weight = Tensor::new([2, 2, kernel[0], kernel[1], kernel[2]], draw(4 * taps));
            conv.bias = Some(Tensor::new([2], draw(2)));
            let shape = [2, size[0], size[1], size[2]];
            let x: Vec<f64> = draw(shape.iter().product()).into_iter().map(f64::from).collect();
            let (fast, slow) = (forward(&conv, &shape, &x), by_definition(&conv, &shape, &x));
            prop_assert_eq!(fast.len(), slow.len());
            for (a, b) in fast.iter().zip(&slow) {
                prop_assert!((a - b).abs() < 1e-12);
            }
        }
    }
}
