//! [`InputXGradient`]: the input times the gradient of the score.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::Attribution;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_nn::Rules;

/// `x * dS/dx`, voxel by voxel (Shrikumar et al. 2016, arXiv 1605.01713).
///
/// To first order the share of each voxel in the change of the score from an input of zeros, so it means something where
/// zero means "nothing there". After z-scoring zero is the mean intensity. One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct InputXGradient {}

impl Method for InputXGradient {
    const NAME: &'static str = "input-x-gradient";
    const SUMMARY: &'static str = "input times gradient, the share of each voxel to first order (Shrikumar 2016)";
    const FAMILY: Family = Family::Gradient;
    const CITATION: Option<Citation> = Some(citation::SHRIKUMAR_2017);

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let pass = explainer.backward(cases, self.target(), &Rules::GRADIENT, &[])?;
        self.attributions(explainer, cases, &pass, |case, gradient, record| {
            record.units = case.score.to_string();
            record.sign = "positive: evidence for the explained score, against an intensity of zero".into();
            let map: Vec<f32> = gradient.iter().zip(case.values().iter()).map(|(g, x)| g * x).collect();
            record.measured = serde_json::json!({ "Sum": map.iter().map(|&v| f64::from(v)).sum::<f64>() });
            Ok(map)
        })
    }
}
