//! [`IntegratedGradients`]: the gradient along the way from a baseline to the input.

use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::gradient::quadrature::gauss_legendre;
use crate::method::Method;
use crate::record::{Attribution, Passes, float32};
use crate::schema::OptionSchema;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::random::Seed;
use voxplain_core::{Error, Result};
use voxplain_nn::Rules;

/// Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365, equation 1):
/// `(x - b) * integral over t in [0, 1] of dS/dx (b + t (x - b))`, voxel by voxel.
///
/// The map sums to `S(x) - S(b)` (their proposition 1) but for the error of the quadrature, which the record holds
/// ([`crate::Record::measured`]); above 5 % of the difference a warning goes with it. The paper takes a sum of 20
/// to 300 equal steps; here it is Gauss-Legendre quadrature, which needs fewer. The baseline decides what the map
/// means: zeros ask what makes this image differ from nothing, the mean of the opposite class what makes it differ
/// from that class. With `expected` the map is the mean over several baselines (Erion et al. 2021, arXiv
/// 1906.10670), each with its own path. Sums are in float64 and in the order of the points.
///
/// Cost: `steps` passes forward and back for each baseline, one more forward for each and the input. Memory: a
/// batch of points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntegratedGradients {
    /// Points of the quadrature.
    pub steps: usize,
    /// What the input is compared with.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
    /// Training subjects of the baseline `expected`.
    pub donors: usize,
    /// Where the draw of these starts.
    pub seed: Seed,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 64, baseline: Baseline::Zero, blur: 10.0, donors: 8, seed: Seed::new(0) }
    }
}

impl IntegratedGradients {
    const fn baseline(&self) -> BaselineOptions<'static> {
        let Self { baseline, blur, donors, seed, .. } = *self;
        BaselineOptions { method: Self::NAME, baseline, blur, subjects: donors, seed }
    }
}

impl Method for IntegratedGradients {
    const NAME: &'static str = "integrated-gradients";
    const SUMMARY: &'static str =
        "gradient along the way from a baseline: sums to the change of score (Sundararajan 2017)";
    const FAMILY: Family = Family::Gradient;
    const CITATION: Option<Citation> = Some(citation::SUNDARARAJAN_2017);
    const CONTOUR: Option<u8> = Some(5);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::whole("steps", 1, u64::MAX, "points of the quadrature"),
        OptionSchema::baseline("what the input is compared with"),
        OptionSchema::BLUR,
        OptionSchema::DONORS,
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;
    const BASELINES: &'static [Baseline] = Baseline::FOR_DIFFERENCES;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        if self.steps == 0 {
            return Err(Error::request("integrated-gradients.steps=0: expected at least 1", "64 is the default"));
        }
        self.baseline().check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl IntegratedGradients {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let x = &*case.values();
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(Method::target(self), &logits)?;
        let baselines = self.baseline().images(explainer, case, &objective)?;
        let rule = gauss_legendre(self.steps);
        let mut map = vec![0.0; x.len()];
        for b in &baselines {
            let mut mean = vec![0.0; x.len()];
            #[expect(clippy::cast_possible_truncation, reason = "networks take float32")]
            let point = |n: usize, out: &mut [f32]| {
                let t = rule[n].0 as f32;
                out.iter_mut().zip(x).zip(b.iter()).for_each(|((o, x), b)| *o = b + t * (x - b));
            };
            explainer.gradients(self.steps, (&objective, &Rules::GRADIENT), point, |n, _, gradient| {
                mean.iter_mut().zip(gradient).for_each(|(m, &g)| *m += rule[n].1 * f64::from(g));
            })?;
            for (((m, g), &x), &b) in map.iter_mut().zip(&mean).zip(x).zip(b.iter()) {
                *m += g * (f64::from(x) - f64::from(b)) / baselines.len() as f64;
            }
        }
        let scores = explainer.scores(baselines.len(), &objective, |n, out| out.copy_from_slice(&baselines[n]))?;
        let of_baseline = scores.iter().sum::<f64>() / scores.len() as f64;

        let mut record = self.record(explainer, case, &objective, &logits);
        record.units = case.score.to_string();
        record.sign =
            format!("positive: evidence for the explained score, against {}", self.baseline().describe(scores.len()));
        record.measured["ScoreOfBaseline"] = of_baseline.into();
        record.measured["Baselines"] = baselines.len().into();
        record.complete(map.iter().sum(), record.score - of_baseline, 0.05);
        record.passes =
            Passes { forward: (self.steps + 1) * baselines.len() + 1, backward: self.steps * baselines.len() };
        Attribution::new(case, float32(&map), record)
    }
}
