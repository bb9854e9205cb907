//! Guided backpropagation as of 2020.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, Reading, RuleTarget};
use crate::gradient::guided_backprop;
use crate::method::Method;
use crate::record::Attribution;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_nn::Rules;

/// Divided by its largest value, and what is negative cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GuidedBackprop2020 {}

impl Method for GuidedBackprop2020 {
    const NAME: &'static str = "guided-backprop";
    const SUMMARY: &'static str = "as in 2020: divided by the largest value, negative values cut off";
    const FAMILY: Family = Family::Gradient;
    const READING: Reading = Reading::Sensitivity;
    const CITATION: Option<Citation> = Some(citation::SPRINGENBERG_2015);
    const CONTOUR: Option<u8> = Some(3);
    const RULE: Option<RuleTarget> = Some(RuleTarget::Relus);

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let pass = explainer.backward(cases, self.target(), &Rules::GUIDED, &[])?;
        let rules = guided_backprop::applied(Self::NAME, pass.applied)?;
        let warnings = guided_backprop::warnings(explainer.network());
        self.attributions(explainer, cases, &pass, |_, reached, record| {
            let largest = reached.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            record.units = "share of the largest value, 0 to 1".into();
            record.sign = "never negative: negative values were cut off".into();
            record.rules_applied = Some(rules);
            record.measured = json!({ "Maximum": largest });
            record.warnings.extend(warnings.iter().cloned());
            if largest <= 0.0 {
                record.warnings.push("Nothing positive reached the input, so nothing is left of the map.".into());
                return Ok(vec![0.0; reached.len()]);
            }
            Ok(reached.iter().map(|&r| (r / largest).max(0.0)).collect())
        })
    }
}
