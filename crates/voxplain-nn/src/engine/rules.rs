//! [`Rules`]: what each operation does in a backward pass.

use serde::{Deserialize, Serialize};

/// What a ReLU lets through in a backward pass. `y` is its output, `r` what reaches that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReluRule {
    /// The gradient: `r` where `y > 0`.
    #[default]
    Gradient,
    /// Guided backpropagation (Springenberg 2015): `r` where `y > 0` and `r > 0`.
    Guided,
    /// Deconvolution (Zeiler 2014): `r` where `r > 0`.
    Deconvolution,
}

/// What each operation does in a backward pass; the plain gradient by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rules {
    /// What ReLUs do.
    pub relu: ReluRule,
}

impl Rules {
    /// The plain gradient.
    pub const GRADIENT: Self = Self { relu: ReluRule::Gradient };
    /// Guided backpropagation.
    pub const GUIDED: Self = Self { relu: ReluRule::Guided };
    /// Deconvolution.
    pub const DECONVOLUTION: Self = Self { relu: ReluRule::Deconvolution };
}

/// How many operations a rule other than the gradient was applied to, of how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesApplied {
    /// ReLUs that followed [`Rules::relu`].
    pub relu: usize,
    /// ReLUs in the network.
    pub relu_total: usize,
}

/// What a backward pass gives.
#[derive(Debug)]
pub struct Backward<'a> {
    /// Gradient or relevance at the input, `[N, C, i, j, k]`.
    pub input: &'a [f32],
    /// What was applied where.
    pub applied: RulesApplied,
}
