//! [`SoftLabels`]: a number that is learnt as a distribution over bins.

use crate::{Error, Linear, Network, Op, Result, Tensor, reference::activation::erf};
use serde::{Deserialize, Serialize};
use voxplain_core::{log_sum_exp, softmax};

/// Values as distributions over bins of one width (Peng et al. 2021, doi 10.1016/j.media.2020.101871, with the code at
/// github.com/ha-ha-ha-han/UKBiobank_deep_pretrain).
///
/// A network gives a logit for each bin, and its softmax `p` is the distribution that it predicts. The true one of a value `v`,
/// [`SoftLabels::masses`], is the normal distribution about `v` with a standard deviation of one bin, integrated over each bin; what lies
/// beyond the outer bins is not added to them. The loss is the Kullback-Leibler divergence of `p` from it, `sum_k y_k (ln y_k - ln p_k)`,
/// and the predicted value the expectation `sum_k p_k c_k` over the centres of the bins: it lies between the first and the last
/// centre, whatever the input.
///
/// ```
/// use voxplain_nn::SoftLabels;
/// let bins = SoftLabels::new(42.0, 1.0, 40).unwrap();
/// assert_eq!((bins.centre(0), bins.range()), (42.5, [42.0, 82.0]));
/// assert!((bins.expectation(&[0.0; 40]) - 62.0).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoftLabels {
    /// Where the first bin begins.
    first: f64,
    width: f64,
    bins: usize,
}

impl SoftLabels {
    /// Standard deviation of the true distribution, in bins: that of the paper.
    pub const DEVIATION: f64 = 1.0;

    /// So many bins, one after another; the first begins at `first`.
    ///
    /// # Errors
    /// A width that is not above 0 or too small for the numbers around it; fewer than two bins or more than 65536.
    pub fn new(first: f64, width: f64, bins: usize) -> Result<Self> {
        let labels = Self { first, width, bins };
        let end = labels.range()[1];
        if !(first.is_finite() && end.is_finite() && width > 1e-12 * first.abs().max(end.abs())) {
            return Err(Error::Request(format!(
                "soft labels: found bins of {width} from {first} on, expected finite ones that differ"
            )));
        }
        if !(2..=65536).contains(&bins) {
            return Err(Error::Request(format!("soft labels: found {bins} bins, expected 2 to 65536")));
        }
        Ok(labels)
    }

    /// The width of a bin.
    pub const fn width(&self) -> f64 {
        self.width
    }

    /// How many bins there are.
    pub const fn bins(&self) -> usize {
        self.bins
    }

    /// Where the first bin begins and the last one ends.
    pub fn range(&self) -> [f64; 2] {
        [self.edge(0), self.edge(self.bins)]
    }

    fn edge(&self, bin: usize) -> f64 {
        self.first + bin as f64 * self.width
    }

    /// The centre of a bin.
    pub fn centre(&self, bin: usize) -> f64 {
        self.first + (bin as f64 + 0.5) * self.width
    }

    /// How much of the true distribution of a value lies in each bin.
    pub fn masses(&self, value: f64) -> Vec<f64> {
        let below = |bin: usize| {
            let deviations = (self.edge(bin) - value) / (Self::DEVIATION * self.width);
            f64::midpoint(1.0, erf(deviations * std::f64::consts::FRAC_1_SQRT_2))
        };
        (0..self.bins).map(|bin| below(bin + 1) - below(bin)).collect()
    }

    /// The value that logits, one for each bin, predict.
    pub fn expectation(&self, logits: &[f32]) -> f64 {
        softmax(logits).iter().enumerate().map(|(bin, p)| p * self.centre(bin)).sum()
    }

    /// The mean loss of logits `[n, bins]` against values `[n]`; `gradient` (`[n, bins]`) receives its gradient with respect to the
    /// logits. Sums are taken in double precision.
    ///
    /// # Errors
    /// Not as many logits as values times bins, or none; a value that is not finite.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
    pub fn evaluate(&self, logits: &[f32], values: &[f64], gradient: &mut [f32]) -> Result<f64> {
        if values.is_empty() || logits.len() != values.len() * self.bins || gradient.len() != logits.len() {
            return Err(Error::Request(format!(
                "loss: found {} outputs and {} gradients for {} values, expected {} of each value",
                logits.len(),
                gradient.len(),
                values.len(),
                self.bins
            )));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::Request(format!("loss: found the value {value}, expected a number")));
        }
        let n = values.len() as f64;
        let mut loss = 0.0;
        let rows = logits.chunks_exact(self.bins).zip(gradient.chunks_exact_mut(self.bins));
        for ((row, gradient), &value) in rows.zip(values) {
            let masses = self.masses(value);
            let all: f64 = masses.iter().sum();
            let normalizer = log_sum_exp(row);
            for ((gradient, &logit), &mass) in gradient.iter_mut().zip(row).zip(&masses) {
                let log = f64::from(logit) - normalizer;
                if mass > 0.0 {
                    loss += mass * (mass.ln() - log) / n;
                }
                *gradient = ((all * log.exp() - mass) / n) as f32;
            }
        }
        Ok(loss)
    }

    /// A network that gives a logit for each bin, made one that gives the value: followed by a softmax and a linear layer whose weights
    /// are the centres of the bins.
    ///
    /// # Errors
    /// The network does not give as many outputs, or has nodes called `softmax` or `expectation`.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub fn answering(&self, mut network: Network) -> Result<Network> {
        if network.outputs() != self.bins {
            let outputs = network.outputs();
            return Err(Error::Request(format!(
                "soft labels: the network gives {outputs} outputs, expected {}",
                self.bins
            )));
        }
        network.then("softmax", Op::Softmax)?;
        let mut mean = Linear::new(self.bins, 1);
        mean.weight = Tensor::new([1, self.bins], (0..self.bins).map(|bin| self.centre(bin) as f32).collect());
        mean.bias = Tensor::zeros([1]);
        network.then("expectation", mean)?;
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, Mode};
    use proptest::prelude::*;

    /// Two bins, 0 to 1 and 1 to 2. Of a normal distribution about 1, the mass within one deviation on either side is 0.341345; with
    /// logits 0 and ln 3, p is 1/4 and 3/4, and the value 0.5 / 4 + 1.5 * 3 / 4 = 1.25.
    #[test]
    fn two_bins_by_hand() {
        let labels = SoftLabels::new(0.0, 1.0, 2).unwrap();
        let (mass, logits) = (0.341_344_746_068_543, [0.0, 3f32.ln()]);
        assert!(labels.masses(1.0).iter().all(|m| (m - mass).abs() < 1e-12), "{:?}", labels.masses(1.0));
        assert!((labels.expectation(&logits) - 1.25).abs() < 1e-7);
        let mut gradient = [0.0; 2];
        let loss = labels.evaluate(&logits, &[1.0], &mut gradient).unwrap();
        let expected = mass * (mass.ln() - 0.25f64.ln()) + mass * (mass.ln() - 0.75f64.ln());
        assert!((loss - expected).abs() < 1e-7, "{loss} {expected}");
        let slopes = [2.0 * mass / 4.0 - mass, 6.0 * mass / 4.0 - mass];
        assert!(gradient.iter().zip(slopes).all(|(g, s)| (f64::from(*g) - s).abs() < 1e-7), "{gradient:?}");
        // In bins of another width about another value it is the same.
        let wide = SoftLabels::new(-40.0, 10.0, 2).unwrap();
        assert!((wide.evaluate(&logits, &[-30.0], &mut gradient).unwrap() - loss).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_bins_is_refused() {
        for (first, width, bins) in
            [(0.0, 0.0, 5), (0.0, -1.0, 5), (f64::NAN, 1.0, 5), (0.0, f64::INFINITY, 5), (0.0, 1.0, 1), (1e15, 1.0, 5)]
        {
            assert!(SoftLabels::new(first, width, bins).is_err(), "{first} {width} {bins}");
        }
        let labels = SoftLabels::new(0.0, 1.0, 3).unwrap();
        let refused = |logits: &[f32], values: &[f64]| {
            labels.evaluate(logits, values, &mut vec![0.0; logits.len()]).unwrap_err().to_string()
        };
        assert!(refused(&[], &[]).contains("expected 3 of each value"));
        assert!(refused(&[0.0; 4], &[1.0]).contains("found 4 outputs"));
        assert!(refused(&[0.0; 3], &[f64::NAN]).contains("NaN"));
        let mut net = Network::new([1, 1, 1, 2]);
        net.then("flat", Op::Flatten).unwrap();
        assert!(labels.answering(net).unwrap_err().to_string().contains("gives 2 outputs, expected 3"));
    }

    fn network(bins: usize) -> Network {
        let mut net = Network::new([1, 2, 2, 2]);
        net.then("flat", Op::Flatten).unwrap();
        net.then("head", Linear::new(8, bins)).unwrap();
        net.initialize(3);
        net
    }

    /// The network that answers gives the expectation of the logits of the one before.
    #[test]
    fn the_network_that_answers_gives_the_value() {
        let labels = SoftLabels::new(17.0, 2.0, 34).unwrap();
        let (logits, x) = (network(34), [0.5, -1.0, 3.0, 8.0, 0.25, -4.0, 2.0, 1.0]);
        let of = |net: &Network| reference::forward(net, &x, Mode::Evaluate).unwrap().output().to_vec();
        let answer = of(&labels.answering(logits.clone()).unwrap());
        #[expect(clippy::cast_possible_truncation, reason = "logits are f32")]
        let row: Vec<f32> = of(&logits).iter().map(|&z| z as f32).collect();
        assert!((answer[0] - labels.expectation(&row)).abs() < 1e-4, "{answer:?}");
    }

    proptest! {
        /// What is predicted lies between the outer centres; the masses of a value inside sum to 1; and the gradient, which sums to 0, is
        /// the slope.
        #[test]
        fn laws(
            logits in proptest::collection::vec(-30f32..30.0, 24), first in -50f64..50.0, width in 0.1f64..10.0, at in 0f64..1.0,
        ) {
            let labels = SoftLabels::new(first, width, 12).unwrap();
            let [low, high] = labels.range();
            for row in logits.chunks_exact(12) {
                let value = labels.expectation(row);
                prop_assert!(labels.centre(0) - 1e-9 <= value && value <= labels.centre(11) + 1e-9);
                prop_assert!(low < value && value < high);
            }
            let inner = low + 5.0 * width + at * 2.0 * width;
            prop_assert!((labels.masses(inner).iter().sum::<f64>() - 1.0).abs() < 1e-6);
            let values = [inner, low + at * (high - low)];
            let mut gradient = [0.0; 24];
            let loss = labels.evaluate(&logits, &values, &mut gradient).unwrap();
            prop_assert!(loss.is_finite());
            for row in gradient.chunks_exact(12) {
                prop_assert!(row.iter().map(|&g| f64::from(g)).sum::<f64>().abs() < 1e-6);
            }
            for n in [0, 5, 11, 12, 23] {
                let moved = |step: f32| {
                    let mut moved = logits.clone();
                    moved[n] += step;
                    let step = f64::from(moved[n]) - f64::from(logits[n]);
                    (labels.evaluate(&moved, &values, &mut [0.0; 24]).unwrap(), step)
                };
                let ((above, up), (below, down)) = (moved(1e-2), moved(-1e-2));
                let slope = (above - below) / (up - down);
                prop_assert!((slope - f64::from(gradient[n])).abs() < 1e-4, "{slope} {}", gradient[n]);
            }
        }

        /// Of a value whose distribution lies inside, the loss is never below 0, and 0 where the distribution is the one predicted.
        #[test]
        fn the_loss_is_a_divergence(logits in proptest::collection::vec(-9f32..9.0, 20), at in 8f64..12.0) {
            let labels = SoftLabels::new(0.0, 1.0, 20).unwrap();
            prop_assert!(labels.evaluate(&logits, &[at], &mut [0.0; 20]).unwrap() > -1e-9);
            #[expect(clippy::cast_possible_truncation, reason = "logits are f32")]
            let same: Vec<f32> = labels.masses(at).iter().map(|m| m.max(1e-30).ln() as f32).collect();
            prop_assert!(labels.evaluate(&same, &[at], &mut [0.0; 20]).unwrap().abs() < 1e-6);
            prop_assert!((labels.expectation(&same) - at).abs() < 1e-5);
        }
    }
}
