//! Layer-wise relevance propagation: the backward pass.

use super::argmax::{argmax_of_windows, scatter};
use super::softmax::by_tangent;
use super::{Composite, InputPart, Layerwise, Rule, Share, add, over_voxels};
use crate::ops::weightless;
use crate::reference::sample_norm;
use crate::{Activation, Op, OpClass, Result, SampleNorm};

/// Relative error of a sum in single precision, through the transforms of a fast convolution.
const ROUND_OFF: f64 = 1e-6;

/// What a backward pass of relevance gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relevance {
    /// Relevance of the input, `[n, C, i, j, k]`.
    pub input: Vec<f32>,
    /// Of each sample, what happened at the operations that a rule was applied to, from the output on.
    pub steps: Vec<Vec<Step>>,
}

/// What happened to the relevance at one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The node's name.
    pub node: String,
    /// The rule it followed.
    pub rule: Rule,
    /// Whether it is a convolution or linear layer, of those that a composite names.
    pub layer: bool,
    /// The relevance that reached its output.
    pub reached: f64,
    /// What of it was handed to its inputs.
    pub handed: f64,
    /// What of it the bias took. The rest was lost to the stabiliser, or where nothing contributed.
    pub bias: f64,
}

impl Layerwise {
    /// Hands relevance back from the output to the input: `start` (`[n, outputs]`) is the relevance of the outputs,
    /// that of the explained class its logit and that of the others 0.
    pub fn relevance(&mut self, input: &[f32], start: &[f32], composite: &Composite) -> Result<Relevance> {
        self.samples(input, start)?;
        let (of_input, of_output) = self.sizes();
        let mut all = Relevance::default();
        for (input, start) in input.chunks_exact(of_input).zip(start.chunks_exact(of_output)) {
            let (map, steps) = self.relevance_of_one(input, start, composite)?;
            all.input.extend(map);
            all.steps.push(steps);
        }
        Ok(all)
    }

    fn relevance_of_one(
        &mut self,
        input: &[f32],
        start: &[f32],
        composite: &Composite,
    ) -> Result<(Vec<f32>, Vec<Step>)> {
        let values = self.forward(input)?;
        let rules = self.rules(composite);
        let mut reached: Vec<Option<Vec<f32>>> = vec![None; values.len()];
        let mut steps = Vec::new();
        if let Some(last) = reached.last_mut() {
            *last = Some(start.to_vec());
        }
        for node in (1..values.len()).rev() {
            let Some(r) = reached[node].take() else { continue };
            let of = self.network.nodes()[node].clone();
            let first = of.inputs[0].0;
            match of.op.class() {
                OpClass::Layer | OpClass::Affine => {
                    let layer = rules[node];
                    let rule = layer.unwrap_or(Rule::EPSILON);
                    let mut step =
                        Step { node: of.name, rule, layer: layer.is_some(), reached: sum(&r), handed: 0.0, bias: 0.0 };
                    let part = self.hand(node, &rule, &values[first], &r, &mut step.bias)?;
                    step.handed = sum(&part);
                    steps.push(step);
                    add(&mut reached[first], part);
                }
                OpClass::MaxPool(pool) => {
                    let places = argmax_of_windows(pool, &self.shapes[first], &values[first]);
                    add(&mut reached[first], scatter(&places, r.into_iter(), values[first].len()));
                }
                OpClass::Sum => {
                    let second = of.inputs[1].0;
                    let (parts, step) = share_sum(&of.name, &values[first], &values[second], &r);
                    steps.push(step);
                    for (input, part) in [first, second].into_iter().zip(parts) {
                        add(&mut reached[input], part);
                    }
                }
                OpClass::Product => {
                    let second = of.inputs[1].0;
                    for (input, part) in [first, second].into_iter().zip(self.share_product(node, &values, &r)) {
                        add(&mut reached[input], part);
                    }
                }
                OpClass::SampleNorm(norm) => {
                    let (part, step) =
                        share_norm(&of.name, norm, &self.shapes[node], (&values[first], &values[node]), &r);
                    steps.push(step);
                    add(&mut reached[first], part);
                }
                OpClass::Concat => {
                    let mut rest = r.as_slice();
                    for input in &of.inputs {
                        let (own, others) = rest.split_at(values[input.0].len());
                        add(&mut reached[input.0], own.to_vec());
                        rest = others;
                    }
                }
                OpClass::Activation(_) | OpClass::Prelu(_) | OpClass::Identity => add(&mut reached[first], r),
                OpClass::Softmax => {
                    let part = by_tangent(&values[first], &values[node], &r);
                    let (reached_it, handed) = (sum(&r), sum(&part));
                    // The constant of the tangent is its bias.
                    let bias = reached_it - handed;
                    let rule = Rule::EPSILON;
                    steps.push(Step { node: of.name, rule, layer: false, reached: reached_it, handed, bias });
                    add(&mut reached[first], part);
                }
                // The input comes before all others; networks with a log-softmax are refused.
                OpClass::Input | OpClass::LogSoftmax => unreachable!("{} has no rule", of.name),
            }
        }
        let map = reached[0].take().unwrap_or_else(|| vec![0.0; values[0].len()]);
        Ok((map, steps))
    }

    /// The rule of each convolution and linear layer.
    fn rules(&self, composite: &Composite) -> Vec<Option<Rule>> {
        let nodes = self.network.nodes();
        // Whether a layer lies in front, or at the node.
        let mut after_layer = vec![false; nodes.len()];
        let mut rules = vec![None; nodes.len()];
        for (n, node) in nodes.iter().enumerate() {
            after_layer[n] = node.inputs.iter().any(|input| after_layer[input.0]);
            let own = match node.op {
                Op::Conv3d(_) | Op::ConvTranspose3d(_) => composite.convolution,
                Op::Linear(_) => composite.dense,
                Op::BatchNorm(_) | Op::SampleNorm(_) | Op::Prelu(_) | weightless!() => continue,
            };
            rules[n] = Some(if after_layer[n] { own } else { composite.first.unwrap_or(own) });
            after_layer[n] = true;
        }
        rules
    }

    /// Relevance of a product handed to its two factors. A gate gets none, what it lets through gets all (Arras et al. 2017,
    /// arXiv 1706.07206): a gate is a factor by channel, or the one of the two that a bounded activation gives. Of two factors
    /// of the same kind, each gets half (Achtibat et al. 2024, arXiv 2402.05602).
    fn share_product(&self, node: usize, values: &[Vec<f32>], r: &[f32]) -> [Vec<f32>; 2] {
        let nodes = self.network.nodes();
        let [first, second] = [nodes[node].inputs[0].0, nodes[node].inputs[1].0];
        let bounded = |of: usize| {
            let bounded = |activation| match activation {
                Activation::Sigmoid | Activation::HardSigmoid { .. } | Activation::Tanh => true,
                Activation::Clip { low, high } => low.is_finite() && high.is_finite(),
                Activation::Relu
                | Activation::LeakyRelu { .. }
                | Activation::Elu
                | Activation::Gelu
                | Activation::GeluTanh
                | Activation::ScaledElu { .. }
                | Activation::Silu
                | Activation::Mish
                | Activation::Softplus
                | Activation::HardSwish => false,
            };
            nodes[of].op.activation().is_some_and(bounded)
        };
        let by_channel = values[first].len() != values[second].len();
        let share = match (by_channel || bounded(second), !by_channel && bounded(first)) {
            (true, false) => [1.0, 0.0],
            (false, true) => [0.0, 1.0],
            (true, true) | (false, false) => [0.5, 0.5],
        };
        let to_first = r.iter().map(|r| share[0] * r).collect();
        let mut to_second = vec![0.0; values[second].len()];
        let voxels = r.len() / to_second.len();
        r.iter().enumerate().for_each(|(at, r)| to_second[at / voxels] += share[1] * r);
        [to_first, to_second]
    }

    /// What a linear operation hands to its input, by a rule; adds what its bias takes.
    #[expect(clippy::cast_possible_truncation, reason = "relevance is float32")]
    fn hand(&mut self, node: usize, rule: &Rule, input: &[f32], reached: &[f32], taken: &mut f64) -> Result<Vec<f32>> {
        let bias = self.bias(node);
        let mut handed = vec![0.0f64; input.len()];
        for Share { of, terms, bias: [plus, minus], epsilon } in rule.shares() {
            // A term whose inputs are all 0 contributes nothing (negative parts after a ReLU).
            let terms: Vec<_> = terms
                .into_iter()
                .map(|term| (term, input.iter().map(|&a| part(term.input, a)).collect::<Vec<f32>>()))
                .filter(|(_, a)| a.iter().any(|&a| a != 0.0))
                .collect();
            let of_bias = |j: usize| bias.as_ref().map_or(0.0, |b| plus * b[j].max(0.0) + minus * b[j].min(0.0));
            let mut z = vec![0.0; reached.len()];
            for (term, a) in &terms {
                let sums = self.apply(node, term.weight, a)?;
                z.iter_mut().zip(sums).for_each(|(z, s)| *z += term.factor * f64::from(s));
            }
            z.iter_mut().enumerate().for_each(|(j, z)| *z += of_bias(j));
            // What is no more than the round-off of the largest sum is a sum of nothing: divided by it, round-off
            // would count.
            let none = ROUND_OFF * z.iter().fold(0.0f64, |most, z| most.max(z.abs()));
            let mut ratios = vec![0.0f32; reached.len()];
            for (j, &z) in z.iter().enumerate().filter(|(_, z)| z.abs() > none) {
                let ratio = of * f64::from(reached[j]) / (z + if z < 0.0 { -epsilon } else { epsilon });
                *taken += ratio * of_bias(j);
                ratios[j] = ratio as f32;
            }
            for (term, a) in &terms {
                let reaching = self.pull(node, term.weight, a, &ratios)?;
                for ((h, &a), c) in handed.iter_mut().zip(a).zip(reaching) {
                    *h += term.factor * f64::from(a) * f64::from(c);
                }
            }
        }
        Ok(handed.into_iter().map(|h| h as f32).collect())
    }
}

/// What a term takes of an input.
#[expect(clippy::cast_possible_truncation, reason = "inputs are float32")]
fn part(taken: InputPart, a: f32) -> f32 {
    match taken {
        InputPart::Value => a,
        InputPart::Positive => a.max(0.0),
        InputPart::Negative => a.min(0.0),
        InputPart::Constant(c) => c as f32,
    }
}

/// Relevance of a sum handed to its two parts by [`Rule::EPSILON`], and what happened. The second part may have one value for
/// each channel of the first.
#[expect(clippy::cast_possible_truncation, reason = "relevance is float32")]
fn share_sum(node: &str, a: &[f32], b: &[f32], r: &[f32]) -> ([Vec<f32>; 2], Step) {
    let Share { epsilon, .. } = Rule::EPSILON.shares().remove(0);
    let voxels = a.len() / b.len();
    let (mut of_first, mut of_second) = (Vec::with_capacity(r.len()), Vec::with_capacity(r.len()));
    for (at, (&a, &r)) in a.iter().zip(r).enumerate() {
        let (a, b) = (f64::from(a), f64::from(b[at / voxels]));
        let z = a + b;
        let ratio = f64::from(r) / (z + if z < 0.0 { -epsilon } else { epsilon });
        of_first.push((a * ratio) as f32);
        of_second.push((b * ratio) as f32);
    }
    let parts = [of_first, over_voxels(b.len(), of_second)];
    let handed = sum(&parts[0]) + sum(&parts[1]);
    let step = Step { node: node.into(), rule: Rule::EPSILON, layer: false, reached: sum(r), handed, bias: 0.0 };
    (parts, step)
}

/// Relevance of a normalisation by a sample's own statistics handed to its input by [`Rule::EPSILON`], with its deviation held
/// fast, and what happened.
#[expect(clippy::cast_possible_truncation, reason = "relevance is float32")]
fn share_norm(node: &str, norm: &SampleNorm, shape: &[usize], (x, y): (&[f32], &[f32]), r: &[f32]) -> (Vec<f32>, Step) {
    let Share { epsilon, .. } = Rule::EPSILON.shares().remove(0);
    let none = ROUND_OFF * y.iter().fold(0.0f64, |most, y| most.max(f64::from(y.abs())));
    let ratio = |(&z, &r): (&f32, &f32)| {
        let z = f64::from(z);
        if z.abs() <= none { 0.0 } else { f64::from(r) / (z + if z < 0.0 { -epsilon } else { epsilon }) }
    };
    let ratios: Vec<f64> = y.iter().zip(r).map(ratio).collect();
    let voxels: usize = shape[1..].iter().product();
    let of_bias = |(at, ratio): (usize, &f64)| ratio * f64::from(norm.bias.data()[at / voxels % norm.channels]);
    let bias = ratios.iter().enumerate().map(of_bias).sum();
    let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let handed = sample_norm::hand_back(norm, shape, &x, &ratios);
    let all = handed.iter().sum();
    let step = Step { node: node.into(), rule: Rule::EPSILON, layer: false, reached: sum(r), handed: all, bias };
    (handed.into_iter().map(|h| h as f32).collect(), step)
}

fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum()
}
