//! [`Lrp`]: layer-wise relevance propagation.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, RuleTarget};
use crate::method::Method;
use crate::record::{Attribution, Passes};
use crate::schema::OptionSchema;
use crate::setting::{SCORE, TARGET};
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::relevance;
use voxplain_volume::Volume;

/// Layer-wise relevance propagation (Bach et al. 2015, PLoS ONE 10, e0130140; Montavon et al. 2019, LNCS 11700,
/// chapter 10): the logit is handed back layer by layer, to each input in proportion to what it contributed, until
/// it lies on the voxels.
///
/// The rules and composites are those of [`voxplain_nn::relevance`], where each is defined. Batch normalisation is
/// folded into the layer in front of it. The backward pass starts from the explained logit (both, with their signs, for a
/// difference of classes); other scores are refused, as the softmax is no layer that shares anything out.
///
/// The map sums to the logit less what biases took and what was lost to stabilisers or where nothing contributed;
/// the record holds all three, and how many convolutions and linear layers a rule was applied to.
///
/// Cost: one pass forward, and for each layer one to three passes forward and back through that layer alone.
/// Memory: every node's value for one volume, and a plan for each layer and rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lrp {
    /// Which layer follows which rule.
    pub composite: Composite,
    /// The least and largest value of an input, for the box rule: `cohort` takes those of the subjects that the model
    /// was trained on, `image` those of the image, and two numbers (`0,255`) are taken as they are.
    pub bounds: String,
}

/// Which layer follows which rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composite {
    /// Z-plus for convolutions, epsilon for linear layers.
    EpsilonPlus,
    /// The same, and flat for the first layer.
    #[default]
    EpsilonPlusFlat,
    /// Alpha 2 and beta 1 for convolutions, epsilon for linear layers.
    #[serde(rename = "epsilon-alpha2-beta1")]
    EpsilonAlpha2Beta1,
    /// Gamma 0.25 for convolutions, epsilon for linear layers, and the box rule for the first layer.
    EpsilonGammaBox,
}

/// Where the bounds of the inputs come from.
enum Bounds {
    Cohort,
    Image,
    Given(f64, f64),
}

impl Default for Lrp {
    fn default() -> Self {
        Self { composite: Composite::EpsilonPlusFlat, bounds: "cohort".into() }
    }
}

impl Lrp {
    fn bounds(&self) -> Result<Bounds> {
        let numbers = || {
            let (low, high) = self.bounds.split_once(',')?;
            let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
            Some((number(low)?, number(high)?)).filter(|(low, high)| low < high)
        };
        match (self.bounds.as_str(), numbers()) {
            ("cohort", _) => Ok(Bounds::Cohort),
            ("image", _) => Ok(Bounds::Image),
            (_, Some((low, high))) => Ok(Bounds::Given(low, high)),
            (text, None) => Err(Error::request(
                format!("lrp.bounds={text}: found neither cohort nor image nor two numbers in ascending order"),
                "write lrp.bounds=cohort, lrp.bounds=image, or such as lrp.bounds=0,255",
            )),
        }
    }

    /// The composite for a case.
    fn rules(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<relevance::Composite> {
        Ok(match self.composite {
            Composite::EpsilonPlus => relevance::Composite::EPSILON_PLUS,
            Composite::EpsilonPlusFlat => relevance::Composite::EPSILON_PLUS_FLAT,
            Composite::EpsilonAlpha2Beta1 => relevance::Composite::EPSILON_ALPHA2_BETA1,
            Composite::EpsilonGammaBox => {
                let of_image = || {
                    let values = case.channels().flat_map(Volume::data).map(|&v| f64::from(v));
                    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
                };
                let (low, high) = match self.bounds()? {
                    Bounds::Given(low, high) => (low, high),
                    Bounds::Image => of_image(),
                    Bounds::Cohort => {
                        let (low, high) = explainer.training_subjects(Self::NAME)?.range(case)?;
                        // The case may reach further than those trained on.
                        let own = of_image();
                        (low.min(own.0), high.max(own.1))
                    }
                };
                relevance::Composite::epsilon_gamma_box(low, high)
            }
        })
    }
}

impl Method for Lrp {
    const NAME: &'static str = "lrp";
    const SUMMARY: &'static str = "the logit handed back layer by layer to what contributed to it (Bach 2015)";
    const FAMILY: Family = Family::Relevance;
    const CITATION: Option<Citation> = Some(citation::BACH_2015);
    const RULE: Option<RuleTarget> = Some(RuleTarget::ConvolutionsAndLinear);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::choice(
            "composite",
            &["epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1", "epsilon-gamma-box"],
            "which layer follows which rule",
        ),
        OptionSchema::text(
            "bounds",
            "least and largest value of an input, for the box rule: cohort, image or two numbers by comma",
        ),
    ];

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        logits_only(Self::NAME, score)?;
        match (self.composite, self.bounds()?) {
            (Composite::EpsilonGammaBox, Bounds::Cohort) => explainer.require_training_subjects(
                "lrp with bounds of the cohort (lrp.bounds=image and lrp.bounds=LOW,HIGH need nobody)",
            ),
            _ => Ok(()),
        }
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl Lrp {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(Method::target(self), &logits)?;
        let rules = self.rules(explainer, case)?;
        let mut start = vec![0.0; logits.len()];
        objective.output_gradient(&logits, &mut start);
        start.iter_mut().zip(&logits).for_each(|(s, z)| *s *= z);
        let layerwise = explainer.layerwise()?;
        let relevance = layerwise.relevance(&case.values(), &start, &rules)?;
        let (norms, folded) = layerwise.norms();
        let layers = layerwise.layers();

        let steps = &relevance.steps[0];
        let sum: f64 = relevance.input.iter().map(|&v| f64::from(v)).sum();
        let bias: f64 = steps.iter().map(|step| step.bias).sum();
        let mut record = self.record(explainer, case, &objective, &logits);
        record.units = case.score.to_string();
        record.sign = "positive: spoke for the explained score; negative: against it".into();
        record.rules_applied = Some([steps.iter().filter(|step| step.layer).count(), layers]);
        record.measured["NormsFolded"] = vec![folded, norms].into();
        record.measured["TakenByBiases"] = bias.into();
        record.measured["Lost"] = (record.score - sum - bias).into();
        // Biases take their part by definition; only what vanished without one is a fault.
        record.complete(sum, record.score, f64::INFINITY);
        let (lost, size) = ((record.score - sum - bias).abs(), record.score.abs());
        if lost > 0.05 * size {
            record.warnings.push(format!(
                "{lost:.3e} of a relevance of {size:.3e} was lost where nothing contributed or to the stabilisers."
            ));
        }
        if bias.abs() > 0.5 * size {
            record.warnings.push(format!(
                "Biases took {bias:.3e} of a relevance of {:.3e}: much of the score is on no voxel of this map.",
                record.score
            ));
        }
        record.passes = Passes { forward: 2, backward: 1 };
        let mut attribution = Attribution::new(case, relevance.input, record)?;
        if self.composite == Composite::EpsilonPlusFlat {
            // The flat rule hands the same to every channel, whatever its weights: maps of channels would say nothing about them.
            attribution.of_channels.clear();
        }
        Ok(attribution)
    }
}

/// Refuses scores other than logits.
pub(crate) fn logits_only(method: &str, score: Score) -> Result<()> {
    match score {
        Score::Logit | Score::Value => Ok(()),
        Score::LogProb | Score::Prob => Err(Error::request(
            format!("{method} shares out logits, and cannot share out a {score}"),
            remedy!["leave ", SCORE, " out; ", TARGET.to("diff:A,B"), " explains one class against another"],
        )),
    }
}
