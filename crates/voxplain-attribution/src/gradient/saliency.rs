//! [`Saliency`]: the gradient of the score.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, Reading};
use crate::method::Method;
use crate::record::Attribution;
use crate::schema::OptionSchema;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_nn::Rules;

/// `dS/dx`, signed (Simonyan et al. 2014, arXiv 1312.6034, section 3).
///
/// The paper shows the absolute value: that is [`Saliency::absolute`], which loses the direction.
/// One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Saliency {
    /// The size of the gradient without its sign, as in the paper.
    pub absolute: bool,
}

impl Method for Saliency {
    const NAME: &'static str = "saliency";
    const SUMMARY: &'static str = "gradient of the score with respect to the input (Simonyan 2014)";
    const FAMILY: Family = Family::Gradient;
    const READING: Reading = Reading::Sensitivity;
    const CITATION: Option<Citation> = Some(citation::SIMONYAN_2014);
    const OPTIONS: &'static [OptionSchema] =
        &[OptionSchema::switch("absolute", "the size of the gradient without its sign, as in the paper")];

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let pass = explainer.backward(cases, self.target(), &Rules::GRADIENT, &[])?;
        self.attributions(explainer, cases, &pass, |case, gradient, record| {
            record.units = format!("{} per unit of input intensity", case.score);
            record.sign = if self.absolute {
                "never negative: how fast the explained score changes, in either direction".into()
            } else {
                "positive: a higher intensity here raises the explained score".into()
            };
            Ok(gradient.iter().map(|&g| if self.absolute { g.abs() } else { g }).collect())
        })
    }
}
