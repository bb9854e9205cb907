//! [`METHODS`], every method there is, and [`Compat`], those that reproduce an older behaviour.

use crate::baseline::Baseline;
use crate::cam::*;
use crate::compat;
use crate::control::*;
use crate::facts::{Control, Family, Reading, RuleTarget};
use crate::gradient::*;
use crate::method::{AnyMethod, Method, parameters};
use crate::perturbation::*;
use crate::relevance::*;
use crate::schema::OptionSchema;
use crate::shapley::*;
use serde::Serialize;
use std::fmt;
use voxplain_core::Citation;

/// Every method there is.
pub const METHODS: &[Entry] = &[
    Entry::of::<Saliency>(),
    Entry::of::<InputXGradient>(),
    Entry::of::<IntegratedGradients>(),
    Entry::of::<SmoothGrad>(),
    Entry::of::<GuidedBackprop>(),
    Entry::of::<Deconvnet>(),
    Entry::of::<GuidedGradCam>(),
    Entry::of::<GradientShap>(),
    Entry::of::<DeepLift>(),
    Entry::of::<Lrp>(),
    Entry::of::<GradCam>(),
    Entry::of::<HiresCam>(),
    Entry::of::<GradCamPlusPlus>(),
    Entry::of::<XGradCam>(),
    Entry::of::<LayerCam>(),
    Entry::of::<ScoreCam>(),
    Entry::of::<AblationCam>(),
    Entry::of::<Cam>(),
    Entry::of::<Occlusion>(),
    Entry::of::<RegionOcclusion>(),
    Entry::of::<Rise>(),
    Entry::of::<MeaningfulPerturbation>(),
    Entry::of::<ExtremalPerturbation>(),
    Entry::of::<KernelShap>(),
    Entry::of::<ShapleySampling>(),
    Entry::of::<Sobel>(),
    Entry::of::<InputMagnitude>(),
    Entry::of::<Random>(),
];

/// A line of [`METHODS`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// [`Method::NAME`].
    pub name: &'static str,
    /// [`Method::SUMMARY`].
    pub summary: &'static str,
    /// [`Method::BY_REGION`].
    pub by_region: bool,
    /// [`Method::BASELINES`].
    pub baselines: &'static [Baseline],
    /// [`Method::FAMILY`].
    pub family: Family,
    /// [`Method::CITATION`].
    pub citation: Option<Citation>,
    /// [`Method::CONTROL`].
    pub control: Option<Control>,
    /// [`Method::READING`].
    pub reading: Reading,
    /// [`Method::RULE`].
    pub rule: Option<RuleTarget>,
    /// [`Method::CONTOUR`].
    pub contour: Option<u8>,
    /// [`Method::OPTIONS`].
    pub options: &'static [OptionSchema],
    /// Its options with their default values, as JSON.
    pub defaults: fn() -> serde_json::Value,
    /// The method with these options; those that are left out have their default values.
    pub(crate) build: fn(serde_json::Value) -> serde_json::Result<Box<dyn AnyMethod>>,
}

impl Entry {
    /// The line of a method.
    pub const fn of<M: Method>() -> Self {
        Self {
            name: M::NAME,
            summary: M::SUMMARY,
            by_region: M::BY_REGION,
            baselines: M::BASELINES,
            family: M::FAMILY,
            citation: M::CITATION,
            control: M::CONTROL,
            reading: M::READING,
            rule: M::RULE,
            contour: M::CONTOUR,
            options: M::OPTIONS,
            defaults: || parameters(&M::default()),
            build: |options| Ok(Box::new(serde_json::from_value::<M>(options)?)),
        }
    }
}

/// The method of that name in [`METHODS`].
pub fn method_named(name: &str) -> Option<&'static Entry> {
    METHODS.iter().find(|entry| entry.name == name)
}

/// An older behaviour to reproduce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Compat {
    /// That of the code published with Kan et al. 2020 (arXiv 2006.15969).
    #[serde(rename = "2020")]
    Y2020,
}

impl Compat {
    /// The methods whose older behaviour is known.
    pub const fn methods(self) -> &'static [Entry] {
        match self {
            Self::Y2020 => METHODS_2020,
        }
    }
}

/// `2020`.
impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Y2020 => f.write_str("2020"),
        }
    }
}

/// The methods of 2020, under the names of those that correct them.
const METHODS_2020: &[Entry] = &[
    Entry::of::<compat::grad_cam::GradCam2020>(),
    Entry::of::<compat::guided_backprop::GuidedBackprop2020>(),
    Entry::of::<compat::meaningful_perturbation::MeaningfulPerturbation2020>(),
];
