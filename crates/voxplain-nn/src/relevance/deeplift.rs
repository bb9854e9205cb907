//! DeepLIFT by the rescale rule: the walk.

use super::winner::{give, winners_of_both};
use super::{Layerwise, Weight, add};
use crate::reference::activation;
use crate::{Activation, OpClass, Result};

/// What a walk gives, `[n, ...]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Multipliers {
    /// Multiplier of each value of the input, `[n, C, i, j, k]`: times its difference from the reference it is the
    /// contribution.
    pub input: Vec<f32>,
    /// Outputs for the input.
    pub output: Vec<f32>,
    /// Outputs for the reference.
    pub reference: Vec<f32>,
    /// Operations in the network that are not linear, and that the rescale or cross-maximum rule was applied to.
    pub applied: usize,
}

/// Differences below this are none: the derivative takes the place of the ratio.
const NONE: f64 = 1e-10;

impl Layerwise {
    /// Multipliers of the differences from a reference (Shrikumar et al. 2017, arXiv 1704.02685, sections 3.1 to
    /// 3.5): `seed` (`[n, outputs]`) are those of the outputs, 1 for the explained class. Summed over the
    /// input, multiplier times difference is what `seed` makes of the difference of the outputs.
    ///
    /// Linear operations hand on their weights; an activation hands on `(y - y0) / (x - x0)`, its derivative where
    /// the inputs differ by less than 1e-10. Max-pooling, which the paper leaves open, shares by the rule that
    /// Captum defines: with `m = max(y, y0)`, the window's winner for the input gets `m - y0` and the winner for
    /// the reference `y - m`, divided by the difference of the inputs there. The winner of one wins the other too
    /// where it is as large as any there, up to 1e-5 of the largest value of all, which may be round-off: a reference
    /// that is the same everywhere, such as a network makes of zeros, has no winner of its own. (Captum 0.9.0 leaves the rule out where a pool directly follows an
    /// activation, and takes the gradient: its contributions then sum up for references that are the same
    /// everywhere alone, where the two agree.) `reference` holds as many samples as `input`.
    pub fn multipliers(&mut self, input: &[f32], reference: &[f32], seed: &[f32]) -> Result<Multipliers> {
        self.samples(input, seed)?;
        self.samples(reference, seed)?;
        let (of_input, of_output) = self.sizes();
        let mut all = Multipliers::default();
        let pairs = input.chunks_exact(of_input).zip(reference.chunks_exact(of_input));
        for ((input, reference), seed) in pairs.zip(seed.chunks_exact(of_output)) {
            self.multipliers_of_one(input, reference, seed, &mut all)?;
        }
        Ok(all)
    }

    fn multipliers_of_one(
        &mut self,
        input: &[f32],
        reference: &[f32],
        seed: &[f32],
        all: &mut Multipliers,
    ) -> Result<()> {
        let (x, x0) = (self.forward(input)?, self.forward(reference)?);
        let mut reached: Vec<Option<Vec<f32>>> = vec![None; x.len()];
        if let Some(last) = reached.last_mut() {
            *last = Some(seed.to_vec());
        }
        all.applied = 0;
        for node in (1..x.len()).rev() {
            let Some(m) = reached[node].take() else { continue };
            let of = self.network.nodes()[node].clone();
            let first = of.inputs[0].0;
            let (from, from0) = (&x[first], &x0[first]);
            match of.op.class() {
                OpClass::Layer | OpClass::Affine => {
                    let part = self.pull(node, Weight::Value, from, &m)?;
                    add(&mut reached[first], part);
                }
                OpClass::MaxPool(pool) => {
                    all.applied += 1;
                    let wins = winners_of_both(pool, &self.shapes[first], from, from0);
                    add(&mut reached[first], cross_maximum(&wins, (from, from0), (&x[node], &x0[node]), &m));
                }
                OpClass::Sum => of.inputs.iter().for_each(|input| add(&mut reached[input.0], m.clone())),
                OpClass::Concat => {
                    let mut rest = m.as_slice();
                    for input in &of.inputs {
                        let (own, others) = rest.split_at(x[input.0].len());
                        add(&mut reached[input.0], own.to_vec());
                        rest = others;
                    }
                }
                OpClass::Identity => add(&mut reached[first], m),
                OpClass::Activation(activation) => {
                    all.applied += 1;
                    let one = |((&x, &x0), m)| m * rescale(activation, x, x0);
                    let part = from.iter().zip(from0).zip(m).map(one).collect();
                    add(&mut reached[first], part);
                }
                // The input comes before all others; networks with a log-softmax are refused.
                OpClass::Input | OpClass::LogSoftmax => unreachable!("{} has no rule", of.name),
            }
        }
        all.input.extend(reached[0].take().unwrap_or_else(|| vec![0.0; input.len()]));
        all.output.extend(x.last().into_iter().flatten());
        all.reference.extend(x0.last().into_iter().flatten());
        Ok(())
    }
}

/// What max-pooling hands to its input, given the winners for the input and for the reference.
fn cross_maximum(
    [winners, of_reference]: &[Vec<usize>; 2],
    (x, x0): (&[f32], &[f32]),
    (y, y0): (&[f32], &[f32]),
    m: &[f32],
) -> Vec<f32> {
    let most = |n: usize| y[n].max(y0[n]);
    let of_winner = give(winners, (0..y.len()).map(|n| m[n] * (most(n) - y0[n])), x.len());
    let of_reference = give(of_reference, (0..y.len()).map(|n| m[n] * (y[n] - most(n))), x.len());
    let gradient = give(winners, m.iter().copied(), x.len());
    let one = |n: usize| {
        let difference = x[n] - x0[n];
        if f64::from(difference.abs()) < NONE { gradient[n] } else { (of_winner[n] + of_reference[n]) / difference }
    };
    (0..x.len()).map(one).collect()
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
