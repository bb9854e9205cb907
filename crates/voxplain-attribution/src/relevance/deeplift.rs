//! [`DeepLift`]: differences from a reference, shared out layer by layer.

use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, RuleTarget};
use crate::method::Method;
use crate::record::{Attribution, Passes, float32};
use crate::relevance::lrp::logits_only;
use crate::schema::OptionSchema;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::random::Seed;
use voxplain_core::{Citation, Error, Result};
use voxplain_nn::{Node, OpClass};

/// DeepLIFT by the rescale rule (Shrikumar et al. 2017, arXiv 1704.02685): the difference of the score from that of
/// a reference is propagated back with multipliers, the ratio of what comes out of an operation to what goes in, both
/// as differences from the reference. The map is `(x - x0) * multiplier`.
///
/// The rules are those of [`voxplain_nn::relevance::Layerwise::multipliers`]; max-pooling, which the paper leaves
/// open, is shared by the rule that Captum defines. Logits only (the paper's section 3.6 says why). The map sums to
/// the difference of the logits (their equation 1), within 1e-4 of it on the networks tested; the record holds the
/// residual, and a warning goes with it above 1e-3 (and above what single precision leaves where large parts cancel). With the baseline `expected` the map is the mean over several
/// references.
///
/// Cost: two passes forward and one back, layer by layer, for each reference. Memory: every node's value for the
/// input and one reference, and a plan for each layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeepLift {
    /// What the input is compared with.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
    /// Training subjects of the baseline `expected`.
    pub donors: usize,
    /// Where the draw of these starts.
    pub seed: Seed,
}

impl Default for DeepLift {
    fn default() -> Self {
        Self { baseline: Baseline::Zero, blur: 10.0, donors: 8, seed: Seed::new(0) }
    }
}

impl DeepLift {
    const fn baseline(&self) -> BaselineOptions<'static> {
        let Self { baseline, blur, donors, seed } = *self;
        BaselineOptions { method: Self::NAME, baseline, blur, subjects: donors, seed }
    }
}

impl Method for DeepLift {
    const NAME: &'static str = "deeplift";
    const SUMMARY: &'static str = "difference from a reference, shared out layer by layer: sums to it (Shrikumar 2017)";
    const FAMILY: Family = Family::Relevance;
    const CITATION: Option<Citation> = Some(citation::SHRIKUMAR_2017);
    const RULE: Option<RuleTarget> = Some(RuleTarget::NonLinearities);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::baseline("what the input is compared with"),
        OptionSchema::BLUR,
        OptionSchema::DONORS,
        OptionSchema::SEED,
    ];
    const BASELINES: &'static [Baseline] = Baseline::FOR_DIFFERENCES;

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        logits_only(Self::NAME, score)?;
        let own = |node: &&Node| matches!(node.op.class(), OpClass::SampleNorm(_));
        if let Some(node) = explainer.network().nodes().iter().find(own) {
            return Err(Error::request(
                format!(
                    "{} has no rule for the normalisation {}, which is by each image's own statistics",
                    Self::NAME,
                    node.name
                ),
                "use lrp, which has one, or integrated-gradients, which needs none",
            ));
        }
        self.baseline().check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

/// What single precision leaves of the sum of a map, as a share of the sum of its sizes.
const ROUNDING: f64 = 1e-6;

impl DeepLift {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let x = &*case.values();
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(Method::target(self), &logits)?;
        let baselines = self.baseline().images(explainer, case, &objective)?;
        let mut output_gradient = vec![0.0; logits.len()];
        objective.output_gradient(&logits, &mut output_gradient);
        let (mut map, mut of_baseline, mut applied) = (vec![0.0; x.len()], 0.0, 0);
        let share = 1.0 / baselines.len() as f64;
        for b in &baselines {
            let pass = explainer.layerwise()?.multipliers(x, b, &output_gradient)?;
            for (((m, &multiplier), &x), &b) in map.iter_mut().zip(&pass.input).zip(x).zip(b.iter()) {
                *m += share * (f64::from(x) - f64::from(b)) * f64::from(multiplier);
            }
            of_baseline += share * objective.value(&pass.baseline);
            applied = pass.applied;
        }
        let mut record = self.record(explainer, case, &objective, &logits);
        record.units = case.score.to_string();
        record.sign = format!(
            "positive: evidence for the explained score, against {}",
            self.baseline().describe(baselines.len())
        );
        record.rules_applied = Some([applied, explainer.layerwise()?.nonlinear()]);
        record.measured["ScoreOfBaseline"] = of_baseline.into();
        record.measured["Baselines"] = baselines.len().into();
        let (sum, expected) = (map.iter().sum(), record.score - of_baseline);
        // Where parts that speak for and against the score nearly cancel, the rounding of the parts is much of what is left.
        let rounding =
            ROUNDING * map.iter().map(|v| v.abs()).sum::<f64>() / f64::max(expected.abs(), f64::MIN_POSITIVE);
        record.complete(sum, expected, rounding.max(1e-3));
        record.passes = Passes { forward: 2 * baselines.len() + 1, backward: baselines.len() };
        Attribution::new(case, float32(&map), record)
    }
}
