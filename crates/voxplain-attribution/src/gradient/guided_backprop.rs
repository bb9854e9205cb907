//! [`GuidedBackprop`]: the gradient that only positive evidence reaches.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, Reading, RuleTarget};
use crate::method::Method;
use crate::record::Attribution;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::{Error, Result};
use voxplain_nn::{Activation, Network, Op, OpClass, Rules, RulesApplied};

/// Guided backpropagation (Springenberg et al. 2014, arXiv 1412.6806, section 3.4): on the way back a ReLU lets through
/// what is positive, where its own output was positive.
///
/// Signed, as it reaches the input. The paper's figures and the 2020 code clip it and divide it by its maximum;
/// nothing of that is done here. One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuidedBackprop {}

/// Why a map by guided rules says less about the network than it seems to.
pub(crate) const KNOWN_FAILURE: &str = "Maps of this method hardly change when the network's weights are randomised (Adebayo et al. 2018, \
     arXiv 1810.03292; Sixt et al. 2020, arXiv 1912.09818): they show edges of the input at least as much as what the \
     network learned. Compare with a map of another method before drawing a conclusion.";

impl Method for GuidedBackprop {
    const NAME: &'static str = "guided-backprop";
    const SUMMARY: &'static str = "gradient that only positive evidence passes at each ReLU (Springenberg 2014)";
    const FAMILY: Family = Family::Gradient;
    const READING: Reading = Reading::Sensitivity;
    const CITATION: Option<Citation> = Some(citation::SPRINGENBERG_2015);
    const CONTOUR: Option<u8> = Some(3);
    const RULE: Option<RuleTarget> = Some(RuleTarget::Relus);

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        suits(Self::NAME, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let pass = explainer.backward(cases, self.target(), &Rules::GUIDED, &[])?;
        let rules = applied(Self::NAME, pass.applied)?;
        let warnings = warnings(explainer.network());
        self.attributions(explainer, cases, &pass, |case, reached, record| {
            record.units = format!("{} per unit of input intensity, by the guided rule", case.score);
            record.sign = "positive: a higher intensity here strengthens evidence for the explained score".into();
            record.rules_applied = Some(rules);
            record.warnings.extend(warnings.iter().cloned());
            Ok(reached.to_vec())
        })
    }
}

/// Refuses a network without ReLUs: a map by another rule for them would be the plain gradient.
pub(crate) fn suits(method: &str, explainer: &Explainer) -> Result<()> {
    let relu_total = explainer.network().nodes().iter().filter(|node| node.op == Op::Relu).count();
    applied(method, RulesApplied { relu: relu_total, relu_total }).map(|_| ())
}

/// How the sentence on other activations begins.
pub(crate) const FOR_RELUS: &str = "The rule is for ReLUs;";

/// What is to be known of a map by these rules: [`KNOWN_FAILURE`], and that other activations have no such rule.
pub(crate) fn warnings(network: &Network) -> Vec<String> {
    let is_other = |op: &Op| {
        matches!(op.class(), OpClass::Prelu(_))
            || matches!(op.class(), OpClass::Activation(activation) if activation != Activation::Relu)
    };
    let others = network.nodes().iter().filter(|node| is_other(&node.op)).count();
    let of_others = (others > 0).then(|| {
        format!(
            "{FOR_RELUS} {} passed the plain gradient.",
            if others == 1 {
                "1 activation of another kind".to_owned()
            } else {
                format!("{others} activations of other kinds")
            }
        )
    });
    std::iter::once(KNOWN_FAILURE.to_owned()).chain(of_others).collect()
}

/// How many ReLUs followed the rule, of all; refused when none did, as the map would then be the plain gradient.
pub(crate) fn applied(method: &str, applied: RulesApplied) -> Result<[usize; 2]> {
    match applied {
        RulesApplied { relu: 0, relu_total, .. } => Err(Error::request(
            format!(
                "{method}: its rule was applied to 0 of {relu_total} ReLUs, so the map would be the plain gradient"
            ),
            "use saliency for a network without ReLUs",
        )),
        RulesApplied { relu, relu_total, .. } => Ok([relu, relu_total]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_nn::Conv3d;

    #[test]
    fn activations_that_have_no_such_rule_are_counted() {
        let mut network = Network::new([1, 4, 4, 4]);
        network.then("conv", Conv3d::new(1, 1, [3; 3])).unwrap();
        network.then("relu", Op::Relu).unwrap();
        assert_eq!(warnings(&network), [KNOWN_FAILURE]);
        network.then("silu", Op::Silu).unwrap();
        assert_eq!(
            warnings(&network)[1],
            "The rule is for ReLUs; 1 activation of another kind passed the plain gradient."
        );
    }
}
