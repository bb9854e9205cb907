//! Batch normalisation (Ioffe and Szegedy 2015), as PyTorch does it.

use crate::BatchNorm;

/// What each channel is normalised by.
#[derive(Debug)]
pub(super) struct Statistics {
    mean: Vec<f64>,
    /// Biased: what the values are divided by.
    variance: Vec<f64>,
    /// `1 / sqrt(variance + epsilon)`.
    scale: Vec<f64>,
    /// Values per channel that they were computed from; none for running statistics.
    count: Option<usize>,
}

/// Calls `visit` with the channel and the range of values of every channel of every sample.
fn channels(channels: usize, len: usize, batch: usize, mut visit: impl FnMut(usize, std::ops::Range<usize>)) {
    let voxels = len / batch / channels;
    for at in 0..batch * channels {
        visit(at % channels, at * voxels..(at + 1) * voxels);
    }
}

impl Statistics {
    fn new(norm: &BatchNorm, mean: Vec<f64>, variance: Vec<f64>, count: Option<usize>) -> Self {
        let scale = variance.iter().map(|variance| 1.0 / (variance + f64::from(norm.epsilon)).sqrt()).collect();
        Self { mean, variance, scale, count }
    }

    /// The running ones.
    pub(super) fn running(norm: &BatchNorm) -> Self {
        let double = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        Self::new(norm, double(norm.running_mean.data()), double(norm.running_var.data()), None)
    }

    /// Those of a batch.
    pub(super) fn of(norm: &BatchNorm, x: &[f64], batch: usize) -> Result<Self, String> {
        let count = x.len() / norm.channels;
        if count < 2 {
            return Err("found one value per channel in training, expected more to take a variance of".into());
        }
        let mut mean = vec![0.0; norm.channels];
        channels(norm.channels, x.len(), batch, |channel, range| {
            mean[channel] += x[range].iter().sum::<f64>() / count as f64;
        });
        let mut variance = vec![0.0; norm.channels];
        channels(norm.channels, x.len(), batch, |channel, range| {
            variance[channel] += x[range].iter().map(|x| (x - mean[channel]).powi(2)).sum::<f64>() / count as f64;
        });
        Ok(Self::new(norm, mean, variance, Some(count)))
    }

    /// Moves running statistics towards these.
    #[expect(clippy::cast_possible_truncation, reason = "statistics are stored as f32")]
    pub(super) fn update(&self, norm: &mut BatchNorm) {
        let Some(count) = self.count else { return };
        let momentum = f64::from(norm.momentum);
        let toward = |running: &mut [f32], batch: &[f64], factor: f64| {
            for (running, batch) in running.iter_mut().zip(batch) {
                *running = ((1.0 - momentum) * f64::from(*running) + momentum * factor * batch) as f32;
            }
        };
        toward(norm.running_mean.data_mut(), &self.mean, 1.0);
        toward(norm.running_var.data_mut(), &self.variance, count as f64 / (count - 1) as f64);
    }
}

pub(super) fn forward(norm: &BatchNorm, by: &Statistics, x: &[f64], batch: usize) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    channels(norm.channels, x.len(), batch, |channel, range| {
        let (weight, bias) = (f64::from(norm.weight.data()[channel]), f64::from(norm.bias.data()[channel]));
        for at in range {
            y[at] = weight * (x[at] - by.mean[channel]) * by.scale[channel] + bias;
        }
    });
    y
}

/// What reaches the input: through the statistics too where they are the batch's.
pub(super) fn backward(norm: &BatchNorm, by: &Statistics, x: &[f64], r: &[f64], batch: usize) -> Vec<f64> {
    let parts = weight_gradients(by, x, r, batch);
    let mut gradient = vec![0.0; x.len()];
    channels(norm.channels, x.len(), batch, |channel, range| {
        let weight = f64::from(norm.weight.data()[channel]);
        for at in range {
            let normal = (x[at] - by.mean[channel]) * by.scale[channel];
            let through_statistics =
                by.count.map_or(0.0, |count| (parts[1][channel] + normal * parts[0][channel]) / count as f64);
            gradient[at] = weight * by.scale[channel] * (r[at] - through_statistics);
        }
    });
    gradient
}

/// Gradients of the scale and the shift.
pub(super) fn weight_gradients(by: &Statistics, x: &[f64], r: &[f64], batch: usize) -> Vec<Vec<f64>> {
    let (mut weight, mut bias) = (vec![0.0; by.mean.len()], vec![0.0; by.mean.len()]);
    channels(by.mean.len(), x.len(), batch, |channel, range| {
        for at in range {
            weight[channel] += r[at] * (x[at] - by.mean[channel]) * by.scale[channel];
            bias[channel] += r[at];
        }
    });
    vec![weight, bias]
}
