//! [`GradientShap`]: gradients at random places between the input and people that the model was trained on.

use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::gradient::moments::Moments;
use crate::method::Method;
use crate::record::{Attribution, Passes, float32};
use crate::schema::{OptionSchema, Unit};
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::random::Seed;
use voxplain_core::{Error, Result};
use voxplain_nn::Rules;

/// GradientSHAP, or expected gradients (Lundberg and Lee 2017, arXiv 1705.07874; Erion et al. 2021, arXiv
/// 1906.10670): the mean over training subjects `b`, places `t` uniform on `[0, 1]` and noise `e` of
/// `(x - b) * dS/dx (b + t (x + e - b))`.
///
/// Subjects are drawn from those that the model was trained on, the classes in turn, and each is used as often as the
/// others (within one), so that the map sums to `S(x)` less the mean score of these subjects, but for chance and noise:
/// the record holds that residual, and the standard error. Captum takes 5 samples; 100 with 20 subjects are the
/// default here. Random numbers depend on the seed, the subject's id and the sample's number alone; the draw of subjects on
/// the seed.
///
/// Cost: `samples` passes forward and back, and one more forward for each drawn subject and the input. Memory: a batch of
/// samples, the drawn subjects, and five values per voxel in float64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradientShap {
    /// Samples in all.
    pub samples: usize,
    /// Training subjects to compare with.
    pub donors: usize,
    /// Standard deviation of the noise, in units of the input's intensity.
    pub noise: f64,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for GradientShap {
    fn default() -> Self {
        Self { samples: 100, donors: 20, noise: 0.0, seed: Seed::new(0) }
    }
}

impl Method for GradientShap {
    const NAME: &'static str = "gradient-shap";
    const SUMMARY: &'static str =
        "gradients between the input and people trained on: sums to the change of score (Lundberg 2017)";
    const FAMILY: Family = Family::Gradient;
    const CITATION: Option<Citation> = Some(citation::LUNDBERG_2017);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::whole("samples", 1, u64::MAX, "samples in all"),
        OptionSchema::whole("donors", 1, u64::MAX, "training subjects to compare with"),
        OptionSchema::number(
            "noise",
            Unit::None,
            0.0,
            f64::MAX,
            "standard deviation of the noise, in units of the input",
        ),
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        let wrong = |what: String| Err(Error::request(what, "leave it out to take the default"));
        if self.samples == 0 || self.donors == 0 {
            let Self { samples, donors, .. } = self;
            return wrong(format!(
                "gradient-shap of {samples} samples and {donors} donors: expected at least 1 of each"
            ));
        }
        if self.noise.is_nan() || self.noise < 0.0 {
            return wrong(format!("gradient-shap.noise={}: expected 0 or more", self.noise));
        }
        explainer.require_training_subjects(Self::NAME)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl GradientShap {
    #[expect(clippy::cast_possible_truncation, reason = "networks take float32")]
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let x = &*case.values();
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(Method::target(self), &logits)?;
        let mut subjects = explainer.training_subjects(Self::NAME)?.draw(self.donors, self.seed, case)?;
        subjects.truncate(self.samples);
        let of = |sample: usize| &*subjects[sample % subjects.len()].values;
        let random = self.seed.child(Self::NAME).child(case.id);
        let mut moments = Moments::new(x.len());
        let point = |n: usize, out: &mut [f32]| {
            let mut random = random.index(n as u64).random();
            let t = random.uniform() as f32;
            for ((o, &x), &b) in out.iter_mut().zip(x).zip(of(n)) {
                let noise = if self.noise > 0.0 { (self.noise * random.normal()) as f32 } else { 0.0 };
                *o = b + t * (x + noise - b);
            }
        };
        explainer.gradients(self.samples, (&objective, &Rules::GRADIENT), point, |n, _, gradient| {
            let of_voxel = |((&g, &x), &b): ((&f32, &f32), &f32)| f64::from(g) * (f64::from(x) - f64::from(b));
            moments.add(gradient.iter().zip(x).zip(of(n)).map(of_voxel));
        })?;
        let map = moments.mean();
        let scores = explainer.scores(subjects.len(), &objective, |n, out| out.copy_from_slice(of(n)))?;
        // Each subject counts as often as it was used.
        let uses = |subject: usize| (self.samples - subject).div_ceil(subjects.len()) as f64;
        let of_subjects = scores.iter().enumerate().map(|(n, s)| s * uses(n)).sum::<f64>() / self.samples as f64;

        let mut record = self.record(explainer, case, &objective, &logits);
        record.units = case.score.to_string();
        record.sign = format!(
            "positive: evidence for the explained score, against {} people that the model was trained on",
            subjects.len()
        );
        record.measured["ScoreOfDonors"] = of_subjects.into();
        record.measured["Donors"] = subjects.len().into();
        record.complete(map.iter().sum(), record.score - of_subjects, 0.05);
        record.sampled(&map, moments.error_of_mean());
        record.passes = Passes { forward: self.samples + subjects.len() + 1, backward: self.samples };
        Attribution::new(case, float32(&map), record)
    }
}
