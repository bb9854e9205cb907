//! DeepLIFT by the rescale rule: the backward pass.

use super::argmax::{argmax_of_both, scatter};
use super::softmax::mean_slope;
use super::{Layerwise, WeightPart, add, over_voxels};
use crate::reference::activation;
use crate::{Activation, Error, OpClass, Result};

/// What a backward pass of multipliers gives, `[n, ...]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Multipliers {
    /// Multiplier of each value of the input, `[n, C, i, j, k]`: times its difference from the baseline it is the
    /// contribution.
    pub input: Vec<f32>,
    /// Outputs for the input.
    pub output: Vec<f32>,
    /// Outputs for the baseline.
    pub baseline: Vec<f32>,
    /// Operations in the network that are not linear, and that the rescale or cross-maximum rule was applied to.
    pub applied: usize,
}

/// Differences below this are none: the derivative takes the place of the ratio.
const NONE: f64 = 1e-10;

impl Layerwise {
    /// Multipliers of the differences from a baseline, the paper's reference (Shrikumar et al. 2017, arXiv 1704.02685,
    /// sections 3.1 to 3.5). Those of the outputs are given (`[n, outputs]`), 1 for the explained class. Summed over the
    /// input, multiplier times difference is the same sum over the outputs. `baseline` holds as many samples as
    /// `input`.
    ///
    /// Linear operations hand on their weights. An activation hands on `(y - y0) / (x - x0)`, its derivative where
    /// the inputs differ by less than 1e-10. Max-pooling, which the paper leaves open, shares by the rule that
    /// Captum defines: with `m = max(y, y0)`, the place of the window's largest value for the input gets `m - y0` and
    /// that for the baseline `y - m`, divided by the difference of the inputs there. The place of one is that of the
    /// other too where the value there is as large as any, up to 1e-5 of the largest value of all, which may be
    /// round-off: a baseline that is the same everywhere, such as a network makes of zeros, has no place of its own.
    /// (Captum 0.9.0 leaves the rule out where a pool directly follows an activation, and takes the gradient: its
    /// contributions then sum up for baselines that are the same everywhere alone, where the two agree.)
    ///
    /// A product hands the change of each factor times the mean of the other's values for input and baseline. A softmax, which is a
    /// function of many values, hands its mean slope over the straight way from the baseline, which is what the two rules before are for
    /// functions of one and two.
    ///
    /// # Errors
    /// The sizes do not fit, the memory allowed is too small, or the network normalises by a sample's own statistics, which there
    /// is no rule for.
    pub fn multipliers(&mut self, input: &[f32], baseline: &[f32], of_outputs: &[f32]) -> Result<Multipliers> {
        self.samples(input, of_outputs)?;
        self.samples(baseline, of_outputs)?;
        let (of_input, of_output) = self.sizes();
        let mut all = Multipliers::default();
        let pairs = input.chunks_exact(of_input).zip(baseline.chunks_exact(of_input));
        for ((input, baseline), of_outputs) in pairs.zip(of_outputs.chunks_exact(of_output)) {
            self.multipliers_of_one(input, baseline, of_outputs, &mut all)?;
        }
        Ok(all)
    }

    fn multipliers_of_one(
        &mut self,
        input: &[f32],
        baseline: &[f32],
        of_outputs: &[f32],
        all: &mut Multipliers,
    ) -> Result<()> {
        let (x, x0) = (self.forward(input)?, self.forward(baseline)?);
        let mut reached: Vec<Option<Vec<f32>>> = vec![None; x.len()];
        if let Some(last) = reached.last_mut() {
            *last = Some(of_outputs.to_vec());
        }
        all.applied = 0;
        for node in (1..x.len()).rev() {
            let Some(m) = reached[node].take() else { continue };
            let of = self.network.nodes()[node].clone();
            let first = of.inputs[0].0;
            let (from, from0) = (&x[first], &x0[first]);
            match of.op.class() {
                OpClass::Layer | OpClass::Affine => {
                    let part = self.pull(node, WeightPart::Value, from, &m)?;
                    add(&mut reached[first], part);
                }
                OpClass::MaxPool(pool) => {
                    all.applied += 1;
                    let places = argmax_of_both(pool, &self.shapes[first], from, from0);
                    add(&mut reached[first], cross_maximum(&places, (from, from0), (&x[node], &x0[node]), &m));
                }
                OpClass::Sum => {
                    let second = of.inputs[1].0;
                    add(&mut reached[second], over_voxels(x[second].len(), m.clone()));
                    add(&mut reached[first], m);
                }
                OpClass::Concat => {
                    let mut rest = m.as_slice();
                    for input in &of.inputs {
                        let (own, others) = rest.split_at(x[input.0].len());
                        add(&mut reached[input.0], own.to_vec());
                        rest = others;
                    }
                }
                OpClass::Product => {
                    all.applied += 1;
                    let second = of.inputs[1].0;
                    let parts = product((from, from0), (&x[second], &x0[second]), &m);
                    for (input, part) in [first, second].into_iter().zip(parts) {
                        add(&mut reached[input], part);
                    }
                }
                OpClass::Prelu(prelu) => {
                    all.applied += 1;
                    let voxels: usize = self.shapes[node][1..].iter().product();
                    let one = |(at, m): (usize, f32)| {
                        m * rescale(prelu.of_channel(at / voxels % prelu.channels), from[at], from0[at])
                    };
                    let part = m.into_iter().enumerate().map(one).collect();
                    add(&mut reached[first], part);
                }
                OpClass::SampleNorm(_) => {
                    return Err(Error::Request(format!(
                        "node {} normalises by a sample's own statistics, and DeepLIFT has no rule for that",
                        of.name
                    )));
                }
                OpClass::Identity => add(&mut reached[first], m),
                OpClass::Activation(activation) => {
                    all.applied += 1;
                    let one = |((&x, &x0), m)| m * rescale(activation, x, x0);
                    let part = from.iter().zip(from0).zip(m).map(one).collect();
                    add(&mut reached[first], part);
                }
                OpClass::Softmax => {
                    all.applied += 1;
                    let part = mean_slope((from, from0), &m);
                    add(&mut reached[first], part);
                }
                // The input comes before all others; networks with a log-softmax are refused.
                OpClass::Input | OpClass::LogSoftmax => unreachable!("{} has no rule", of.name),
            }
        }
        all.input.extend(reached[0].take().unwrap_or_else(|| vec![0.0; input.len()]));
        all.output.extend(x.last().into_iter().flatten());
        all.baseline.extend(x0.last().into_iter().flatten());
        Ok(())
    }
}

/// What max-pooling hands to its input, given where the largest values are for the input and for the baseline.
fn cross_maximum(
    [places, places0]: &[Vec<usize>; 2],
    (x, x0): (&[f32], &[f32]),
    (y, y0): (&[f32], &[f32]),
    m: &[f32],
) -> Vec<f32> {
    let most = |n: usize| y[n].max(y0[n]);
    let of_input = scatter(places, (0..y.len()).map(|n| m[n] * (most(n) - y0[n])), x.len());
    let of_baseline = scatter(places0, (0..y.len()).map(|n| m[n] * (y[n] - most(n))), x.len());
    let gradient = scatter(places, m.iter().copied(), x.len());
    let one = |n: usize| {
        let difference = x[n] - x0[n];
        if f64::from(difference.abs()) < NONE { gradient[n] } else { (of_input[n] + of_baseline[n]) / difference }
    };
    (0..x.len()).map(one).collect()
}

/// What a product hands to its factors: the change of each, times the mean of the other's two values, is the change of the
/// product to the last digit. The second factor may have one value for each channel of the first.
fn product((a, a0): (&[f32], &[f32]), (b, b0): (&[f32], &[f32]), m: &[f32]) -> [Vec<f32>; 2] {
    let voxels = a.len() / b.len();
    let of_first = m.iter().enumerate().map(|(at, m)| m * (b[at / voxels] + b0[at / voxels]) / 2.0).collect();
    let mut of_second = vec![0.0; b.len()];
    m.iter().enumerate().for_each(|(at, m)| of_second[at / voxels] += m * (a[at] + a0[at]) / 2.0);
    [of_first, of_second]
}

/// The multiplier of an activation.
#[expect(clippy::cast_possible_truncation, reason = "multipliers are float32")]
fn rescale(of: Activation, x: f32, x0: f32) -> f32 {
    let (x, x0) = (f64::from(x), f64::from(x0));
    let y = activation::forward(of, x);
    if (x - x0).abs() < NONE {
        activation::backward(of, &crate::Rules::GRADIENT, x, y, 1.0) as f32
    } else {
        ((y - activation::forward(of, x0)) / (x - x0)) as f32
    }
}
