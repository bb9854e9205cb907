//! [`GuidedGradCam`]: guided backpropagation where Grad-CAM is positive.

use super::activation_map::{self, Placement};
use super::grad_cam;
use super::head::Head;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, Reading, RuleTarget};
use crate::gradient::guided_backprop;
use crate::layer::Layer;
use crate::method::Method;
use crate::record::{Attribution, Passes, float32};
use crate::schema::OptionSchema;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_nn::Rules;

/// Guided Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391, section 3.2): the map of guided backpropagation times
/// the rectified map of Grad-CAM, upsampled.
///
/// Upsampled trilinearly at the true centres of the layer's cells (the paper resizes bilinearly, Captum takes the
/// nearest cell). Signed as guided backpropagation is; it inherits what is known against both. Two passes forward
/// and back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuidedGradCam {
    /// Name of the layer of Grad-CAM; `last` is the last activation that holds volumes.
    pub layer: String,
}

impl Default for GuidedGradCam {
    fn default() -> Self {
        Self { layer: "last".into() }
    }
}

impl Method for GuidedGradCam {
    const NAME: &'static str = "guided-grad-cam";
    const SUMMARY: &'static str = "guided backpropagation where Grad-CAM is positive (Selvaraju 2017)";
    const FAMILY: Family = Family::Cam;
    const READING: Reading = Reading::Sensitivity;
    const CITATION: Option<Citation> = Some(citation::SELVARAJU_2017);
    const RULE: Option<RuleTarget> = Some(RuleTarget::Relus);
    const OPTIONS: &'static [OptionSchema] = &[OptionSchema::LAYER];

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        Layer::find(explainer.network(), &self.layer)?;
        guided_backprop::suits(Self::NAME, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let layer = Layer::find(explainer.network(), &self.layer)?;
        let plain = explainer.backward(cases, Method::target(self), &Rules::GRADIENT, &[layer.node])?;
        let guided = explainer.backward(cases, Method::target(self), &Rules::GUIDED, &[])?;
        let rules = guided_backprop::applied(Self::NAME, guided.applied)?;
        let head = Head::of(explainer.network(), &layer);
        let mut maps = Vec::with_capacity(cases.len());
        for (n, case) in cases.iter().enumerate() {
            let mut cells = activation_map::combined(&plain, n, (0, &layer), grad_cam::combine);
            let mut record = self.record(explainer, case, &guided.objectives[n], &guided.logits[n]);
            activation_map::warn_of_flattening("Grad-CAM", &head, &mut record);
            activation_map::rectified(&mut cells, &mut record);
            let upsampled = activation_map::upsample(&layer, case, &float32(&cells), Placement::Centres);
            let values = guided.input.len() / cases.len();
            let reached = guided.input[n * values..][..values].chunks(upsampled.len());
            let map = reached.flat_map(|of| upsampled.iter().zip(of).map(|(c, g)| c * g)).collect();
            record.measured["Layer"] = layer.name.clone().into();
            record.units = format!(
                "{} per unit of input intensity by the guided rule, times {} per cell of {}",
                case.score, case.score, layer.name
            );
            record.sign = "positive: a higher intensity here strengthens evidence for the explained score".into();
            record.rules_applied = Some(rules);
            record.passes = Passes { forward: 2, backward: 2 };
            record.warnings.extend(guided_backprop::warnings(explainer.network()));
            maps.push(Attribution::new(case, map, record)?);
        }
        Ok(maps)
    }
}
