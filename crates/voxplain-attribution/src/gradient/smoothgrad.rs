//! [`SmoothGrad`]: another method's map, over noisy copies of the input.

use super::guided_backprop::{FOR_RELUS, GuidedBackprop, KNOWN_FAILURE};
use super::{Deconvnet, InputXGradient, IntegratedGradients, Saliency};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Family, Reading, RuleTarget};
use crate::gradient::moments::Moments;
use crate::method::{AnyMethod, Method};
use crate::record::{Attribution, Passes, float32};
use crate::relevance::{DeepLift, Lrp};
use crate::schema::{OptionSchema, Unit};
use crate::target::{Score, Target};
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::{Action, Error, Result, random::Seed, remedy};
use voxplain_volume::{Volume, quantiles};

/// SmoothGrad (Smilkov et al. 2017, arXiv 1706.03825): the mean of maps over copies of the input with Gaussian
/// noise. SmoothGrad-squared (Hooker et al. 2019, arXiv 1806.10758) is the mean of the squares, VarGrad (Adebayo et
/// al. 2018, arXiv 1810.03307) the variance.
///
/// It wraps any method of the gradient family, with that method's default options. The noise has a standard
/// deviation of `noise` times the range of the image, taken from the 1st to the 99th percentile in the brain (the
/// mask given, else voxels other than 0), where the paper takes largest less smallest value of the image, which in
/// MRI is one vessel. It falls on every voxel, as in the paper. The variance is the unbiased one (divided by
/// `n - 1`; Captum divides by `n`). Every copy is explained for the class of the image itself. The record holds the
/// standard error, of the mean or of the variance.
///
/// Random numbers depend on the seed, the subject's id and the copy's number alone. Cost: `samples` times that of
/// the method. Memory: a few copies and five values per voxel in float64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SmoothGrad {
    /// The method whose maps are taken.
    pub of: String,
    /// What is taken of them.
    pub mode: Mode,
    /// Noisy copies.
    pub samples: usize,
    /// Standard deviation of the noise, as a share of the image's range.
    pub noise: f64,
    /// Where the random numbers start.
    pub seed: Seed,
}

/// What is taken of the maps of the copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Their mean.
    #[default]
    Mean,
    /// The mean of their squares.
    Squared,
    /// Their variance.
    Variance,
}

/// The methods it wraps: those that make a map of gradients, or of multipliers or relevances propagated back like them.
const WRAPPED: [Wrapped; 7] = [
    wrapped::<Saliency>(),
    wrapped::<InputXGradient>(),
    wrapped::<GuidedBackprop>(),
    wrapped::<Deconvnet>(),
    wrapped::<IntegratedGradients>(),
    wrapped::<DeepLift>(),
    wrapped::<Lrp>(),
];

/// The name of a method, and what makes it with its default options.
type Wrapped = (&'static str, fn() -> Box<dyn AnyMethod>);

const fn wrapped<M: Method>() -> Wrapped {
    (M::NAME, || Box::new(M::default()))
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { of: "saliency".into(), mode: Mode::Mean, samples: 50, noise: 0.1, seed: Seed::new(0) }
    }
}

impl SmoothGrad {
    fn wrapped(&self) -> Result<Box<dyn AnyMethod>> {
        match WRAPPED.iter().find(|(name, _)| *name == self.of) {
            Some((_, method)) => Ok(method()),
            None => Err(Error::request(
                format!("smoothgrad.of={}: there is no such method of the gradient family", self.of),
                format!("it is one of {}", WRAPPED.map(|(name, _)| name).join(", ")),
            )),
        }
    }
}

impl Method for SmoothGrad {
    const NAME: &'static str = "smoothgrad";
    const SUMMARY: &'static str = "mean, mean square or variance of a gradient map over noisy copies (Smilkov 2017)";
    const FAMILY: Family = Family::Gradient;
    const READING: Reading = Reading::Sensitivity;
    const CITATION: Option<Citation> = Some(citation::SMILKOV_2017);
    const RULE: Option<RuleTarget> = Some(RuleTarget::Relus);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::text("of", "the method whose maps are taken"),
        OptionSchema::choice("mode", &["mean", "squared", "variance"], "what is taken of the maps"),
        OptionSchema::whole("samples", 1, u64::MAX, "noisy copies"),
        OptionSchema::number(
            "noise",
            Unit::None,
            0.0,
            f64::MAX,
            "standard deviation of the noise, as a share of the image's range",
        ),
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        let least = if self.mode == Mode::Variance { 2 } else { 1 };
        if self.samples < least {
            return Err(Error::request(
                format!("smoothgrad.samples={}: expected at least {least}", self.samples),
                "50 is the default",
            ));
        }
        if self.noise.is_nan() || self.noise <= 0.0 {
            return Err(Error::request(
                format!("smoothgrad.noise={}: expected a share above 0", self.noise),
                "0.1 is the default",
            ));
        }
        self.wrapped()?.suits(explainer, score)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl SmoothGrad {
    #[expect(clippy::cast_possible_truncation, reason = "networks take float32")]
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let method = self.wrapped()?;
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(method.target(), &logits)?;
        let target = match objective.minus {
            None => Target::Class(objective.class),
            Some(minus) => Target::Difference(objective.class, minus),
        };
        let range = range(case);
        if range <= 0.0 {
            return Err(case.refuse(
                "smoothgrad: the image is the same almost everywhere in its mask, so its noise has no scale",
                remedy!["look at the image's intensities with ", Action::new("inspect")],
            ));
        }
        let random = self.seed.child(Self::NAME).child(case.id);
        let noisy = |n: usize| {
            let mut random = random.index(n as u64).random();
            let mut noisy = |channel: &Volume| channel.map(|&x| x + (self.noise * range * random.normal()) as f32);
            (noisy(case.image), case.others.iter().map(noisy).collect())
        };
        let mut moments = Moments::new(case.values().len());
        let mut passes = Passes { forward: 1, backward: 0 };
        let mut example = None;
        for first in (0..self.samples).step_by(method.batch()) {
            let copies: Vec<(Volume, Vec<Volume>)> =
                (first..self.samples.min(first + method.batch())).map(noisy).collect();
            let cases: Vec<Case<'_>> =
                copies.iter().map(|(image, others)| Case { image, others, target: Some(target), ..*case }).collect();
            for copy in method.explain(explainer, &cases)? {
                let square = self.mode == Mode::Squared;
                moments.add(copy.values().map(f64::from).map(|v| if square { v * v } else { v }));
                passes.forward += copy.record.passes.forward;
                passes.backward += copy.record.passes.backward;
                example.get_or_insert(copy.record);
            }
        }
        let mut record = self.record(explainer, case, &objective, &logits);
        if let Some(example) = example {
            record.units = match self.mode {
                Mode::Mean => example.units,
                Mode::Squared | Mode::Variance => format!("square of {}", example.units),
            };
            record.sign = match self.mode {
                Mode::Mean => format!("{}; the mean over noisy copies of the image", example.sign),
                Mode::Squared => "never negative: how large the map is on noisy copies of the image".into(),
                Mode::Variance => "never negative: how much the map changes between noisy copies of the image".into(),
            };
            record.rules_applied = example.rules_applied;
            let known_failure = example.warnings.into_iter().filter(|w| w == KNOWN_FAILURE || w.starts_with(FOR_RELUS));
            record.warnings.extend(known_failure);
        }
        record.passes = passes;
        record.measured["NoiseStandardDeviation"] = (self.noise * range).into();
        let map = if self.mode == Mode::Variance {
            let variance = moments.variance();
            record.sampled(&variance, moments.error_of_variance());
            variance
        } else {
            let mean = moments.mean();
            record.sampled(&mean, moments.error_of_mean());
            mean
        };
        Attribution::new(case, float32(&map), record)
    }
}

/// From the 1st to the 99th percentile in the brain.
fn range(case: &Case<'_>) -> f64 {
    let (brain, voxels) = (case.mask, case.voxels());
    let inside = |(n, v): (usize, f32)| brain.map_or(v != 0.0, |mask| mask.data()[n % voxels]).then_some(v);
    let mut values: Vec<f32> = case.values().iter().copied().enumerate().filter_map(inside).collect();
    let [low, high] = quantiles(&mut values, [0.01, 0.99]);
    if values.is_empty() { 0.0 } else { high - low }
}
