//! [`Deconvnet`]: what a deconvolutional network makes of the score.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, Reading, RuleTarget};
use crate::gradient::guided_backprop;
use crate::method::Method;
use crate::record::Attribution;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_nn::Rules;

/// Deconvolution (Zeiler and Fergus 2013, arXiv 1311.2901, section 2.1): on the way back a ReLU lets through what is
/// positive, wherever its own output was.
///
/// Signed, as it reaches the input. One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Deconvnet {}

impl Method for Deconvnet {
    const NAME: &'static str = "deconvnet";
    const SUMMARY: &'static str = "what positive evidence makes of the input, whatever the ReLUs did (Zeiler 2013)";
    const FAMILY: Family = Family::Gradient;
    const READING: Reading = Reading::Sensitivity;
    const CITATION: Option<Citation> = Some(citation::ZEILER_2014);
    const RULE: Option<RuleTarget> = Some(RuleTarget::Relus);

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        guided_backprop::suits(Self::NAME, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let pass = explainer.backward(cases, self.target(), &Rules::DECONVOLUTION, &[])?;
        let rules = guided_backprop::applied(Self::NAME, pass.applied)?;
        let warnings = guided_backprop::warnings(explainer.network());
        self.attributions(explainer, cases, &pass, |case, reached, record| {
            record.units = format!("{} per unit of input intensity, by the deconvolution rule", case.score);
            record.sign = "positive: a higher intensity here strengthens evidence for the explained score".into();
            record.rules_applied = Some(rules);
            record.warnings.extend(warnings.iter().cloned());
            Ok(reached.to_vec())
        })
    }
}
