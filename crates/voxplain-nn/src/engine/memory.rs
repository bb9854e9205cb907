//! [`MemoryUse`]: what a plan holds.

/// Bytes that a plan holds, by what they are for. All but weights and scratch grow with the batch, in proportion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MemoryUse {
    /// Values and their gradients, laid out so that those that are not needed at the same time share their place.
    pub values: usize,
    /// Where the largest value of each window of a pool is.
    #[serde(rename = "winners")]
    pub argmax: usize,
    /// The network's weights, arranged for the kernels.
    pub weights: usize,
    /// Gradients that are handed out: of the weights, or of the input.
    pub gradients: usize,
    /// What kernels work in, over all threads.
    pub scratch: usize,
}

impl MemoryUse {
    /// All of it.
    pub const fn total(&self) -> usize {
        self.values + self.argmax + self.weights + self.gradients + self.scratch
    }
}

/// `37.2 MB: values 20.1, pool winners 3.0, weights 5.0, gradients 1.1, scratch 8.0`.
impl std::fmt::Display for MemoryUse {
    #[expect(clippy::cast_precision_loss, reason = "megabytes with one decimal")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: usize| bytes as f64 / 1e6;
        write!(
            f,
            "{:.1} MB: values {:.1}, pool winners {:.1}, weights {:.1}, gradients {:.1}, scratch {:.1}",
            mb(self.total()),
            mb(self.values),
            mb(self.argmax),
            mb(self.weights),
            mb(self.gradients),
            mb(self.scratch)
        )
    }
}
