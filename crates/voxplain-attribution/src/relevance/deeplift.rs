//! [`DeepLift`]: differences from a reference, shared out layer by layer.

use crate::Result;
use crate::baseline::reference::Making;
use crate::gradient::integrated_gradients::float32;
use crate::relevance::lrp::logits_only;
use crate::{Attribution, Case, Explainer, Method, Passes, Reference, Score};
use serde::{Deserialize, Serialize};
use voxplain_core::random::Seed;

/// DeepLIFT by the rescale rule (Shrikumar et al. 2017, arXiv 1704.02685): the difference of the score from that of
/// a reference is walked back with multipliers, the ratio of what comes out of an operation to what goes in, both
/// as differences from the reference. The map is `(x - x0) * multiplier`.
///
/// The rules are those of [`voxplain_nn::relevance::Layerwise::multipliers`]; max-pooling, which the paper leaves
/// open, is shared by the rule that Captum defines. Logits only (the paper's section 3.6 says why). The map sums to
/// the difference of the logits (their equation 1), within 1e-4 of it on the networks tested; the record holds the
/// residual, and a warning goes with it above 1e-3. With the baseline `expected` the map is the mean over several
/// references.
///
/// Cost: two passes forward and one back, layer by layer, for each reference. Memory: every node's value for the
/// input and one reference, and a plan for each layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeepLift {
    /// What the input is compared with.
    pub baseline: Reference,
    /// Standard deviation of the blurred baseline, in mm.
    pub blur: f64,
    /// People of the `expected` baseline.
    pub donors: usize,
    /// Where the draw of people starts.
    pub seed: Seed,
}

impl Default for DeepLift {
    fn default() -> Self {
        Self { baseline: Reference::Zero, blur: 10.0, donors: 8, seed: Seed::new(0) }
    }
}

impl DeepLift {
    const fn making(&self) -> Making<'static> {
        let Self { baseline, blur, donors, seed } = *self;
        Making { method: Self::NAME, baseline, blur, donors, seed }
    }
}

impl Method for DeepLift {
    const NAME: &'static str = "deeplift";
    const SUMMARY: &'static str = "difference from a reference, shared out layer by layer: sums to it (Shrikumar 2017)";

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        logits_only(Self::NAME, score)?;
        self.making().suits(explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl DeepLift {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let x = &*case.values();
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(Method::target(self), &logits)?;
        let baselines = self.making().of(explainer, case, &objective)?;
        let mut seed = vec![0.0; logits.len()];
        objective.seed(&logits, &mut seed);
        let (mut map, mut of_baseline, mut applied) = (vec![0.0; x.len()], 0.0, 0);
        let share = 1.0 / baselines.len() as f64;
        for b in &baselines {
            let walked = explainer.layerwise()?.multipliers(x, b, &seed)?;
            for (((m, &multiplier), &x), &b) in map.iter_mut().zip(&walked.input).zip(x).zip(b.iter()) {
                *m += share * (f64::from(x) - f64::from(b)) * f64::from(multiplier);
            }
            of_baseline += share * objective.value(&walked.reference);
            applied = walked.applied;
        }
        let mut record = explainer.record(self, case, &objective, &logits);
        record.units = case.score.to_string();
        record.sign =
            format!("positive: evidence for the explained score, against {}", self.making().describe(baselines.len()));
        record.rules_applied = Some([applied, explainer.layerwise()?.nonlinear()]);
        record.measured["ScoreOfBaseline"] = of_baseline.into();
        record.measured["Baselines"] = baselines.len().into();
        record.complete(map.iter().sum(), record.score - of_baseline, 1e-3);
        record.passes = Passes { forward: 2 * baselines.len() + 1, backward: baselines.len() };
        Attribution::new(case, float32(&map), record)
    }
}
