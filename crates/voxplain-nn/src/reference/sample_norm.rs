//! Normalisation by a sample's own statistics.

use crate::SampleNorm;

/// Calls `visit` with the places in all values of each set that is normalised together, its mean, and
/// `1 / sqrt(variance + epsilon)`.
fn sets(norm: &SampleNorm, shape: &[usize], x: &[f64], mut visit: impl FnMut(&[usize], f64, f64)) {
    let length: usize = shape.iter().product();
    for (sample, of_sample) in x.chunks_exact(length).enumerate() {
        norm.sets(shape, |set| {
            let count = set.len() as f64;
            let mean = set.iter().map(|&at| of_sample[at]).sum::<f64>() / count;
            let variance = set.iter().map(|&at| (of_sample[at] - mean).powi(2)).sum::<f64>() / count;
            let places: Vec<usize> = set.iter().map(|at| sample * length + at).collect();
            visit(&places, mean, 1.0 / (variance + f64::from(norm.epsilon)).sqrt());
        });
    }
}

/// The channel of a place.
fn channel(norm: &SampleNorm, shape: &[usize], at: usize) -> usize {
    at / shape[1..].iter().product::<usize>() % norm.channels
}

pub(super) fn forward(norm: &SampleNorm, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    sets(norm, shape, x, |set, mean, inverse| {
        for &at in set {
            let channel = channel(norm, shape, at);
            let (weight, bias) = (norm.weight.data()[channel], norm.bias.data()[channel]);
            y[at] = f64::from(weight) * (x[at] - mean) * inverse + f64::from(bias);
        }
    });
    y
}

/// What reaches the input, through the statistics too.
pub(super) fn backward(norm: &SampleNorm, shape: &[usize], x: &[f64], r: &[f64]) -> Vec<f64> {
    let mut gradient = vec![0.0; x.len()];
    sets(norm, shape, x, |set, mean, inverse| {
        let reaching = |at: usize| f64::from(norm.weight.data()[channel(norm, shape, at)]) * r[at];
        let normal = |at: usize| (x[at] - mean) * inverse;
        let count = set.len() as f64;
        let sum = set.iter().map(|&at| reaching(at)).sum::<f64>() / count;
        let along = set.iter().map(|&at| reaching(at) * normal(at)).sum::<f64>() / count;
        for &at in set {
            gradient[at] = inverse * (reaching(at) - sum - normal(at) * along);
        }
    });
    gradient
}

/// Gradients of scale and shift.
pub(super) fn weight_gradients(norm: &SampleNorm, shape: &[usize], x: &[f64], r: &[f64]) -> Vec<Vec<f64>> {
    let (mut weight, mut bias) = (vec![0.0; norm.channels], vec![0.0; norm.channels]);
    sets(norm, shape, x, |set, mean, inverse| {
        for &at in set {
            weight[channel(norm, shape, at)] += r[at] * (x[at] - mean) * inverse;
            bias[channel(norm, shape, at)] += r[at];
        }
    });
    vec![weight, bias]
}

/// What a set hands back of relevance, by the rule of [`crate::relevance::Rule::EPSILON`], with its deviation held fast (Ali et
/// al. 2022, arXiv 2202.07304): a linear map of the centred values then. `ratios` are those of relevance to outputs.
pub(crate) fn hand_back(norm: &SampleNorm, shape: &[usize], x: &[f64], ratios: &[f64]) -> Vec<f64> {
    let mut handed = vec![0.0; x.len()];
    sets(norm, shape, x, |set, _, inverse| {
        let weighted = |at: usize| f64::from(norm.weight.data()[channel(norm, shape, at)]) * inverse * ratios[at];
        let mean = set.iter().map(|&at| weighted(at)).sum::<f64>() / set.len() as f64;
        for &at in set {
            handed[at] = x[at] * (weighted(at) - mean);
        }
    });
    handed
}
