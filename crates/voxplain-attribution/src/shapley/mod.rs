//! Shapley values of an atlas's regions.

pub(crate) mod kernel_shap;
pub(crate) mod shapley_sampling;
