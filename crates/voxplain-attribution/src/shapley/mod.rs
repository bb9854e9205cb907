//! Shapley values of an atlas's regions.

mod kernel_shap;
mod shapley_sampling;

pub use kernel_shap::KernelShap;
pub use shapley_sampling::ShapleySampling;

use crate::coalition::CoalitionGame;
use crate::explainer::Explainer;
use crate::method::Method;
use crate::record::Attribution;
use serde_json::{Value, json};
use voxplain_core::Result;

/// The attribution of a game's Shapley values with their standard errors; `empty` is the value of the empty coalition, `own`
/// what the method itself measured.
fn attribution<M: Method>(
    method: &M,
    explainer: &mut Explainer,
    game: &CoalitionGame<'_>,
    (values, errors): (&[f64], &[f64]),
    empty: f64,
    own: Value,
) -> Result<Attribution> {
    let sum: f64 = values.iter().sum();
    let mut measured = json!({ "Sum": sum, "SumResidual": sum - (game.grand() - empty) });
    for (key, value) in own.as_object().into_iter().flatten() {
        measured[key] = value.clone();
    }
    measured["LargestStandardError"] = json!(errors.iter().copied().fold(0.0, f64::max));
    let columns = [("Value", values), ("StandardError", errors)];
    let mut record = game.record(method, explainer, empty, measured, &columns)?;
    record.units =
        format!("{} per voxel: the region's Shapley value, shared out evenly among its voxels", game.case().score);
    record.sign = "positive: the region raises the explained score, on average over what else is there".into();
    Attribution::new(game.case(), game.share_out(values), record)
}
