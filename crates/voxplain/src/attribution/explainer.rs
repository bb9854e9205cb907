//! [`Explainer`], a network ready to be explained, and [`Case`], one input and what is asked about it.

use super::{Attribution, Method, Objective, Passes, Record, Score, Target, options};
use crate::{Error, Result, cohort, model::Model};
use voxplain_nn::{Engine, Network, NodeId, Plan, PlanOptions, Purpose, Rules, RulesApplied, Tensor};
use voxplain_volume::{Mask, Volume};

/// One input and what is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The subject's id, for messages and random numbers.
    pub id: &'a str,
    /// The volume as the network takes it.
    pub image: &'a Volume,
    /// Where the brain is, on the same grid.
    pub mask: Option<&'a Mask>,
    /// The true class.
    pub label: Option<usize>,
    /// What to explain; the method's own choice where nothing is said.
    pub target: Option<Target>,
    /// On which scale.
    pub score: Score,
    /// Whether the model was trained on this subject, where that is known.
    pub in_sample: Option<bool>,
}

impl<'a> Case<'a> {
    /// A volume, to be explained by the defaults.
    pub const fn new(id: &'a str, image: &'a Volume) -> Self {
        Self { id, image, mask: None, label: None, target: None, score: Score::Logit, in_sample: None }
    }

    /// An error about this case.
    pub fn refuse(&self, what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Subject { subject: self.id.to_owned(), what: what.into(), hint: hint.into() }
    }
}

/// A network ready to be explained: it keeps the plans it has compiled, so that many cases cost one compilation.
#[derive(Debug)]
pub struct Explainer {
    engine: Engine,
    network: Network,
    classes: Vec<String>,
    model: String,
    plans: Vec<(PlanOptions, Plan)>,
}

/// What a walk through the network and back gives; everything `[n, ...]` over the cases.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Outputs of the network.
    pub logits: Vec<Vec<f32>>,
    /// What was walked back from.
    pub objectives: Vec<Objective>,
    /// What reached the input, voxels of one case after another.
    pub input: Vec<f32>,
    /// Value and gradient of each node that was asked for.
    pub kept: Vec<(Tensor, Tensor)>,
    /// What was applied where.
    pub applied: RulesApplied,
}

impl Explainer {
    /// Makes a model ready.
    pub fn new(engine: &Engine, model: &Model) -> Result<Self> {
        Self::from_network(engine, &model.network, &model.card.classes, model.hash())
    }

    /// Makes a network ready whose classes have these names; `model` is the hash that records name it by.
    pub fn from_network(engine: &Engine, network: &Network, classes: &[String], model: String) -> Result<Self> {
        let network = network.without_log_softmax();
        if network.input_shape()[0] != 1 {
            return Err(Error::request(
                format!("the network takes {} channels", network.input_shape()[0]),
                "networks on one volume (one channel) can be explained",
            ));
        }
        Ok(Self { engine: engine.clone(), network, classes: classes.to_vec(), model, plans: Vec::new() })
    }

    /// The network, which returns logits.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// BLAKE3 of the model file.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What runs the network.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Refuses a case that the network cannot take, or whose values are not all finite.
    pub fn check(&self, case: &Case<'_>) -> Result<()> {
        let [_, expected @ ..] = self.network.input_shape();
        if case.image.shape() != expected {
            return Err(case.refuse(
                format!(
                    "found a volume of {:?}, expected {expected:?}, which is what the network takes",
                    case.image.shape()
                ),
                "prepare the image on the grid that the model was trained on",
            ));
        }
        if let Some(mask) = case.mask.filter(|mask| mask.shape() != expected) {
            return Err(case.refuse(
                format!("found a mask of {:?} for a volume of {expected:?}", mask.shape()),
                "the mask must lie on the grid of the image",
            ));
        }
        match case.image.data().iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(n) => Err(case.refuse(
                format!("found the value {} at voxel {:?}", case.image.data()[n], case.image.grid().voxel(n)),
                "an image with NaN or infinite values cannot be explained; see voxplain inspect",
            )),
        }
    }

    /// The plan for a purpose that takes at least `batch` samples, compiled when it is first asked for.
    pub fn plan(&mut self, purpose: Purpose, batch: usize, keep: &[NodeId]) -> Result<&mut Plan> {
        let fits = |o: &PlanOptions| o.purpose == purpose && o.keep == keep;
        let position = match self.plans.iter().position(|(o, _)| fits(o) && o.batch >= batch) {
            Some(position) => position,
            None => {
                // A smaller plan would never be used again.
                self.plans.retain(|(o, _)| !fits(o));
                let options = PlanOptions { purpose, batch, keep: keep.to_vec() };
                let plan = self.engine.plan(&self.network, &options)?;
                self.plans.push((options, plan));
                self.plans.len() - 1
            }
        };
        Ok(&mut self.plans[position].1)
    }

    /// Sends the cases through the network and walks their scores back by `rules`; values and gradients of the nodes
    /// in `keep` come along. A case without a target is explained as `default` says.
    pub fn walk(&mut self, cases: &[Case<'_>], default: Target, rules: &Rules, keep: &[NodeId]) -> Result<Walk> {
        let inputs: Vec<f32> = cases.iter().flat_map(|case| case.image.data()).copied().collect();
        let classes = self.network.outputs();
        let mut tape = self.plan(Purpose::InputGradient, cases.len(), keep)?.forward(&inputs)?;
        let logits: Vec<Vec<f32>> = tape.output().chunks(classes).map(<[f32]>::to_vec).collect();
        let mut seed = vec![0.0; cases.len() * classes];
        let mut objectives = Vec::with_capacity(cases.len());
        for ((case, logits), seed) in cases.iter().zip(&logits).zip(seed.chunks_mut(classes)) {
            let objective = case.objective(default, logits)?;
            objective.seed(logits, seed);
            objectives.push(objective);
        }
        let back = tape.backward(&seed, rules)?;
        let (input, applied) = (back.input.to_vec(), back.applied);
        let kept = keep.iter().map(|&node| Ok((tape.value(node)?, tape.gradient(node)?))).collect::<Result<_>>()?;
        Ok(Walk { logits, objectives, input, kept, applied })
    }

    /// One attribution per case from a walk: `map` turns what reached the input into a map and completes the record.
    pub fn each<M: Method>(
        &self,
        method: &M,
        cases: &[Case<'_>],
        walk: &Walk,
        map: impl Fn(&Case<'_>, &[f32], &mut Record) -> Result<Vec<f32>>,
    ) -> Result<Vec<Attribution>> {
        let voxels = walk.input.len() / cases.len();
        let one = |(n, case): (usize, &Case<'_>)| {
            let mut record = self.record(method, case, &walk.objectives[n], &walk.logits[n]);
            let map = map(case, &walk.input[n * voxels..(n + 1) * voxels], &mut record)?;
            Attribution::new(case, map, record)
        };
        cases.iter().enumerate().map(one).collect()
    }

    /// The record of a case so far: all but units, sign and what the method measured.
    pub fn record<M: Method>(&self, method: &M, case: &Case<'_>, objective: &Objective, logits: &[f32]) -> Record {
        Record {
            method: M::NAME.into(),
            subject: case.id.into(),
            target: objective.describe(&self.classes),
            class: objective.class,
            score: objective.value(logits),
            classes: self.classes.clone(),
            logits: logits.iter().map(|&z| f64::from(z)).collect(),
            truth: case.label,
            units: String::new(),
            sign: String::new(),
            parameters: options::parameters(method),
            rules_applied: None,
            measured: serde_json::json!({}),
            passes: Passes { forward: 1, backward: 1 },
            requested: (case.target.unwrap_or_else(|| method.target()), case.score),
            compat: None,
            model: self.model.clone(),
            input: cohort::hash(case.image),
            in_sample: case.in_sample,
            warnings: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

impl Case<'_> {
    /// What is explained, given the logits; refused by name.
    pub fn objective(&self, default: Target, logits: &[f32]) -> Result<Objective> {
        if let Some(z) = logits.iter().find(|z| !z.is_finite()) {
            return Err(self.refuse(
                format!("the network's output is {z}"),
                "the network overflowed on this input; look at the image's intensities with voxplain inspect",
            ));
        }
        Objective::new(self.target.unwrap_or(default), self.score, logits, self.label).map_err(|e| match e {
            Error::Request { what, hint } => self.refuse(what, hint),
            other => other,
        })
    }
}
