//! [`WeightAverage`]: the moving average of the weights of a network in training.

use crate::{Error, Network, Result};

/// An exponential moving average of the weights and running statistics of a network, step by step. Its network is often better than the
/// last one of the training (Polyak and Juditsky 1992).
///
/// After step `n`, counted from 1, it is `decay` times what it was and `1 - decay` times the weights, but with `1 - 1 / n` where that is
/// less than the decay: the plain mean of the first steps, without a share of weights that nothing was learnt in (Tarvainen and Valpola 2017).
#[derive(Clone, Debug, PartialEq)]
pub struct WeightAverage {
    decay: f64,
    network: Network,
    steps: u64,
}

impl WeightAverage {
    /// Of no step yet; `network` gives the graph.
    pub fn new(decay: f64, network: Network) -> Self {
        Self { decay, network, steps: 0 }
    }

    /// One that goes on after so many steps from an average.
    pub fn restore(decay: f64, network: Network, steps: u64) -> Self {
        Self { decay, network, steps }
    }

    /// The network of averaged weights; as it was given before the first step.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Steps averaged over.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes the weights of a step in. Allocates nothing.
    ///
    /// # Errors
    /// The network is another one.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub fn update(&mut self, network: &Network) -> Result<()> {
        let decay = self.decay.min(1.0 - 1.0 / (self.steps + 1) as f64);
        let take = (1.0 - decay) as f32;
        let same = self.network.visit_pairs_mut(network, |ours, theirs| {
            for (ours, &theirs) in ours.data_mut().iter_mut().zip(theirs.data()) {
                // The first step is taken over as it is.
                *ours = if take == 1.0 { theirs } else { *ours + take * (theirs - *ours) };
            }
        });
        if !same {
            return Err(Error::Request("average of weights: the network is another one".into()));
        }
        self.steps += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv3d, Op, Tensor};

    fn network(width: usize) -> Network {
        let mut net = Network::new([1, 3, 3, 3]);
        net.then("conv", Conv3d::new(1, width, [2; 3])).unwrap();
        net.then("norm", BatchNorm::new(width)).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        net
    }

    /// By hand, decay 3/4: the first two steps are averaged plainly, the third and fourth are a third and a quarter, then a quarter each. Running
    /// statistics go the same way.
    #[test]
    fn the_first_steps_are_averaged_plainly() {
        let mut net = network(1);
        let mut average = WeightAverage::new(0.75, net.clone());
        let mut found = Vec::new();
        for weight in [4.0, 8.0, 0.0, 8.0, 13.0] {
            let filled =
                |p: &crate::Parameter<'_>| Tensor::new(p.tensor.shape().to_vec(), vec![weight; p.tensor.len()]);
            let state = net.state().iter().map(|p| (p.name.clone(), filled(p))).collect();
            net.load_state(state).unwrap();
            average.update(&net).unwrap();
            let values: Vec<f32> = average.network().state().iter().flat_map(|p| p.tensor.data().to_vec()).collect();
            assert!(values.iter().all(|v| (v - values[0]).abs() < 1e-6), "{values:?}");
            found.push(values[0]);
        }
        for (found, expected) in found.iter().zip([4.0, 6.0, 4.0, 5.0, 7.0]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert_eq!(average.steps(), 5);
        assert!(average.update(&network(2)).is_err());
    }
}
