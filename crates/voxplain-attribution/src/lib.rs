//! What drove the decision, voxel by voxel: [`Attribution`], and the methods that make one.
//!
//! A method takes [`Case`]s (one person's volume each, and what is asked about it) and an [`Explainer`] (the network,
//! its engine and compiled plans) and gives one signed, un-normalised map per case, with the score it explains
//! and the [`Record`] of how it was made. One method is one file here, a struct of its options that implements
//! [`Method`], and one line in [`METHODS`].
//!
//! # Conventions
//!
//! * Maps are float32 on the grid of the volume they explain, in C order `[i][j][k]`; never rescaled, never clipped,
//!   never NaN. Positive means evidence for the explained score; each record says it in words, with the units.
//! * Networks are taken as logits: a final log-softmax is left off, and scores on other scales start the walk back from
//!   their own gradient at the logits (see [`Objective`]).
//! * The same case gives the same bytes in any order, batch or number of threads.

mod baseline;
mod brain;
mod cam;
mod compat;
mod control;
mod donors;
mod explainer;
mod familiar;
mod gradient;
mod options;
mod perturbation;
mod plans;
mod record;
mod regions;
mod relevance;
mod separable;
mod shapley;
mod target;

pub use baseline::infill::Infill;
pub use baseline::reference::Reference;
pub use cam::Layer;
pub use cam::ablation_cam::AblationCam;
pub use cam::grad_cam::GradCam;
pub use cam::grad_cam_plus_plus::{Denominator, GradCamPlusPlus};
pub use cam::guided_grad_cam::GuidedGradCam;
pub use cam::hires_cam::HiresCam;
pub use cam::layer_cam::LayerCam;
pub use cam::plain_cam::Cam;
pub use cam::score_cam::ScoreCam;
pub use cam::xgrad_cam::XGradCam;
pub use control::{InputMagnitude, Random, Sobel};
pub use donors::{Donor, Donors, Person, VolumeSource};
pub use explainer::{Case, Explainer, Walk};
pub use gradient::deconvnet::Deconvnet;
pub use gradient::gradient_shap::GradientShap;
pub use gradient::guided_backprop::GuidedBackprop;
pub use gradient::input_x_gradient::InputXGradient;
pub use gradient::integrated_gradients::IntegratedGradients;
pub use gradient::saliency::Saliency;
pub use gradient::smoothgrad::{Mode, SmoothGrad};
pub use options::{Compat, choose};
pub use perturbation::extremal_perturbation::{Areas, ExtremalPerturbation};
pub use perturbation::meaningful_perturbation::{Aim, Game, MeaningfulPerturbation, Perturbation, Terms};
pub use perturbation::occlusion::Occlusion;
pub use perturbation::region_occlusion::RegionOcclusion;
pub use perturbation::rise::Rise;
pub use record::{Attribution, Cost, Passes, Record};
pub use regions::{AtlasName, Regions};
pub use relevance::deeplift::DeepLift;
pub use relevance::lrp::{Composite, Lrp};
pub use separable::{AxisMap, Separable};
pub use shapley::kernel_shap::KernelShap;
pub use shapley::shapley_sampling::ShapleySampling;
pub use target::{Objective, Score, Target, predicted};

pub use baseline::harmonic::Harmonic;

use baseline::infill::Filling;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use voxplain_core::{Error, Result};

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

/// A method of attribution: its options, and what it does with them.
pub trait Method: Clone + Debug + Default + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Its name, `grad-cam`.
    const NAME: &'static str;
    /// What it shows, in a line.
    const SUMMARY: &'static str;

    /// How many cases to give it at once.
    const BATCH: usize = 4;

    /// Whether it needs the regions of an atlas ([`Case::regions`]).
    const BY_REGION: bool = false;

    /// What it explains unless told otherwise.
    fn target(&self) -> Target {
        Target::Predicted
    }

    /// Refuses, in words, a network or context that the method cannot work with.
    fn suits(&self, _explainer: &Explainer, _score: Score) -> Result<()> {
        Ok(())
    }

    /// One attribution per case, in their order. The cases have the network's shape and finite values.
    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>>;
}

/// A method with its options chosen: [`Method`] without its type.
pub trait Explain: Debug + Send + Sync {
    /// [`Method::NAME`].
    fn name(&self) -> &'static str;
    /// [`Method::BATCH`].
    fn batch(&self) -> usize;
    /// [`Method::BY_REGION`].
    fn by_region(&self) -> bool;
    /// Every option, as JSON.
    fn parameters(&self) -> serde_json::Value;
    /// [`Method::target`].
    fn target(&self) -> Target;
    /// [`Method::suits`].
    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()>;
    /// [`Method::explain`], after [`Method::suits`] and a check of the cases' shapes.
    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>>;
}

impl<M: Method> Explain for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn batch(&self) -> usize {
        M::BATCH
    }

    fn by_region(&self) -> bool {
        M::BY_REGION
    }

    fn parameters(&self) -> serde_json::Value {
        options::parameters(self)
    }

    fn target(&self) -> Target {
        Method::target(self)
    }

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        Method::suits(self, explainer, score)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        for case in cases {
            explainer.check(case)?;
            Method::suits(self, explainer, case.score)?;
        }
        Method::explain(self, explainer, cases)
    }
}

/// A line of [`METHODS`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// [`Method::NAME`].
    pub name: &'static str,
    /// [`Method::SUMMARY`].
    pub summary: &'static str,
    /// [`Method::BY_REGION`].
    pub by_region: bool,
    /// Its options with their default values, as JSON.
    pub defaults: fn() -> serde_json::Value,
    build: fn(serde_json::Value) -> serde_json::Result<Box<dyn Explain>>,
}

impl Entry {
    /// The line of a method.
    pub const fn of<M: Method>() -> Self {
        Self {
            name: M::NAME,
            summary: M::SUMMARY,
            by_region: M::BY_REGION,
            defaults: || options::parameters(&M::default()),
            build: |options| Ok(Box::new(serde_json::from_value::<M>(options)?)),
        }
    }
}
