//! [`Network::output_range`]: between what the outputs of a network stay, whatever its input.

use super::{Network, Node};
use crate::Op;

/// The least and the largest value that something can have.
type Range = [f64; 2];

const ANY: Range = [f64::NEG_INFINITY, f64::INFINITY];

impl Network {
    /// Between what the values of the output stay, whatever the input and by its weights outside training: found operation by operation,
    /// so that a value outside is impossible and one inside need not be reached. `[0, 1]` for a network that ends in
    /// probabilities, infinite for scores.
    pub fn output_range(&self) -> [f64; 2] {
        self.range_where(&|_| false)
    }

    /// The same, as if what weighs more than two values could be anything: between what the functions at the end hold the output.
    /// Infinite for scores that are weighed from bounded features.
    pub fn range_of_end(&self) -> [f64; 2] {
        self.range_where(&|op| {
            let weighs = matches!(op, Op::Linear(linear) if linear.input > 2);
            weighs || matches!(op, Op::Conv3d(conv) if conv.input > 2 || conv.kernel != [1; 3])
        })
    }

    fn range_where(&self, is_free: &dyn Fn(&Op) -> bool) -> Range {
        let mut ranges: Vec<Range> = Vec::new();
        for node in self.nodes() {
            let of: Vec<Range> = node.inputs.iter().map(|input| ranges[input.0]).collect();
            ranges.push(if is_free(&node.op) { ANY } else { range(node, &of) });
        }
        ranges.pop().unwrap_or(ANY)
    }
}

fn range(node: &Node, of: &[Range]) -> Range {
    let [low, high] = of.first().copied().unwrap_or(ANY);
    // Of functions that never fall.
    let rising = |f: &dyn Fn(f64) -> f64| [f(low), f(high)];
    let hull = |ranges: &[Range]| {
        ranges.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], [l, h]| [low.min(*l), high.max(*h)])
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match &node.op {
        Op::Relu => rising(&|x| x.max(0.0)),
        Op::Sigmoid => rising(&sigmoid),
        Op::Tanh => rising(&f64::tanh),
        Op::Softplus => rising(&|x| if x > 30.0 { x } else { x.exp().ln_1p() }),
        Op::HardSigmoid { slope, offset } if *slope >= 0.0 => {
            rising(&|x| (times(f64::from(*slope), x) + f64::from(*offset)).clamp(0.0, 1.0))
        }
        Op::HardSigmoid { .. } => [0.0, 1.0],
        Op::Clip { low, high } => rising(&|x| x.clamp(f64::from(*low), f64::from(*high))),
        Op::Elu => rising(&|x| if x > 0.0 { x } else { x.exp_m1() }),
        Op::LeakyRelu { slope } if *slope >= 0.0 => rising(&|x| if x > 0.0 { x } else { times(f64::from(*slope), x) }),
        Op::Softmax => [0.0, 1.0],
        Op::LogSoftmax => [f64::NEG_INFINITY, 0.0],
        Op::MaxPool3d(_) | Op::GlobalAvgPool | Op::Flatten | Op::Dropout { .. } => [low, high],
        // Zeros of the padding may be among the values.
        Op::AvgPool3d(_) | Op::Resize3d(_) => hull(&[[low, high], [0.0, 0.0]]),
        Op::Concat => hull(of),
        Op::Add => of.iter().fold([0.0, 0.0], |[low, high], [l, h]| [low + l, high + h]),
        Op::Multiply => {
            let [other_low, other_high] = of.get(1).copied().unwrap_or(ANY);
            let ends = [(low, other_low), (low, other_high), (high, other_low), (high, other_high)];
            let ends = ends.map(|(a, b)| times(a, b));
            [ends.iter().copied().fold(f64::INFINITY, f64::min), ends.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
        }
        Op::BatchNorm(norm) => hull(
            &norm
                .scale_and_shift()
                .map(|(scale, shift)| {
                    let ends = [times(scale, low) + shift, times(scale, high) + shift];
                    [ends[0].min(ends[1]), ends[0].max(ends[1])]
                })
                .collect::<Vec<_>>(),
        ),
        Op::Linear(linear) => hull(
            &(linear.weight.data().chunks_exact(linear.input.max(1)).zip(linear.bias.data()))
                .map(|(weights, bias)| weighted(weights, f64::from(*bias), [low, high]))
                .collect::<Vec<_>>(),
        ),
        Op::Conv3d(conv) => {
            // Where padding is, a value may be 0.
            let seen = if conv.padding == [0; 3] { [low, high] } else { hull(&[[low, high], [0.0, 0.0]]) };
            let each = conv.weight.data().len() / conv.output.max(1);
            let bias = |n: usize| conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias.data()[n]));
            let outputs = conv.weight.data().chunks_exact(each.max(1)).enumerate();
            hull(&outputs.map(|(n, weights)| weighted(weights, bias(n), seen)).collect::<Vec<_>>())
        }
        Op::Input { .. }
        | Op::LeakyRelu { .. }
        | Op::ConvTranspose3d(_)
        | Op::SampleNorm(_)
        | Op::Prelu(_)
        | Op::Gelu
        | Op::GeluTanh
        | Op::ScaledElu { .. }
        | Op::Silu
        | Op::Mish
        | Op::HardSwish
        | Op::Pad3d(_) => ANY,
    }
}

/// A product in which nothing times infinity is nothing.
fn times(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

fn weighted(weights: &[f32], bias: f64, [low, high]: Range) -> Range {
    weights.iter().fold([bias, bias], |[least, most], weight| {
        let ends = [low, high].map(|end| times(f64::from(*weight), end));
        [least + ends[0].min(ends[1]), most + ends[0].max(ends[1])]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Linear, Tensor};

    fn scores() -> Network {
        let mut network = Network::new([1, 2, 2, 2]);
        network.then("flat", Op::Flatten).unwrap();
        let weight = Tensor::new([1, 8], vec![0.5; 8]);
        let linear = Linear { weight, bias: Tensor::zeros([1]), ..Linear::new(8, 1) };
        network.then("score", linear).unwrap();
        network
    }

    fn line(weight: &[f32], bias: &[f32]) -> Linear {
        let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
        Linear {
            weight: Tensor::new([outputs, inputs], weight.to_vec()),
            bias: Tensor::new([outputs], bias.to_vec()),
            ..Linear::new(inputs, outputs)
        }
    }

    #[test]
    fn probabilities_are_told_from_scores() {
        let mut network = scores();
        assert_eq!(network.output_range(), ANY);
        network.then("p", Op::Sigmoid).unwrap();
        // 1 - p and p.
        network.then("both", line(&[-1.0, 1.0], &[1.0, 0.0])).unwrap();
        assert_eq!(network.output_range(), [0.0, 1.0]);
        // (1 + tanh) / 2.
        let mut network = scores();
        network.then("t", Op::Tanh).unwrap();
        network.then("half", line(&[0.5], &[0.5])).unwrap();
        assert_eq!(network.output_range(), [0.0, 1.0]);
        // -softplus(-z).
        let mut network = scores();
        network.then("minus", line(&[-1.0], &[0.0])).unwrap();
        network.then("soft", Op::Softplus).unwrap();
        network.then("log", line(&[-1.0], &[0.0])).unwrap();
        assert_eq!(network.output_range(), [f64::NEG_INFINITY, 0.0]);
        // Features between -1 and 1 and what is weighed from them are scores, within wider bounds.
        let mut network = scores();
        network.then("t", Op::Tanh).unwrap();
        network.then("w", line(&[3.0], &[0.5])).unwrap();
        assert_eq!(network.output_range(), [-2.5, 3.5]);
        // In percent: between 0 and 100 by its end. Weighed from eight features: anything.
        let mut network = scores();
        network.then("p", Op::Sigmoid).unwrap();
        network.then("percent", line(&[100.0], &[0.0])).unwrap();
        assert_eq!(network.range_of_end(), [0.0, 100.0]);
        let mut network = Network::new([1, 2, 2, 2]);
        network.then("t", Op::Tanh).unwrap();
        network.then("flat", Op::Flatten).unwrap();
        network.then("score", line(&[1.0; 8], &[0.0])).unwrap();
        assert_eq!((network.output_range(), network.range_of_end()), ([-8.0, 8.0], ANY));
    }
}
