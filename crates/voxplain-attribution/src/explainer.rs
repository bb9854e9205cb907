//! [`Explainer`], a network ready to be explained, and [`Case`], one input and what is asked about it.

use crate::familiar::Familiar;
use crate::plans::{Part, Plans};
use crate::{Attribution, Donors, Layer, Method, Objective, Passes, Record, Regions, Score, Target, options};
use std::borrow::Cow;
use voxplain_core::{Error, Remedy, Result};
use voxplain_nn::relevance::Layerwise;
use voxplain_nn::{Engine, Network, NodeId, Plan, PlanOptions, Purpose, Rules, RulesApplied, Tensor};
use voxplain_volume::{Mask, Volume};

/// One input and what is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The subject's id, for messages and random numbers.
    pub id: &'a str,
    /// The volume as the network takes it; the first channel, for a network of several.
    pub image: &'a Volume,
    /// The other channels, on the same grid.
    pub others: &'a [Volume],
    /// Where the brain is, on the same grid.
    pub mask: Option<&'a Mask>,
    /// The regions of an atlas, on the same grid.
    pub regions: Option<&'a Regions>,
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
        Self {
            id,
            image,
            others: &[],
            mask: None,
            regions: None,
            label: None,
            target: None,
            score: Score::Logit,
            in_sample: None,
        }
    }

    /// Every channel, in the order that the network takes them.
    pub fn channels(&self) -> impl Iterator<Item = &'a Volume> {
        std::iter::once(self.image).chain(self.others)
    }

    /// The values of all channels, `[channels][i][j][k]`.
    pub fn values(&self) -> Cow<'a, [f32]> {
        match self.others {
            [] => Cow::Borrowed(self.image.data()),
            _ => Cow::Owned(self.channels().flat_map(Volume::data).copied().collect()),
        }
    }

    /// What is made of each channel, one after another, as [`Case::values`] has them.
    pub(crate) fn each_channel(&self, made: impl Fn(&Volume) -> Vec<f32>) -> Vec<f32> {
        self.channels().flat_map(made).collect()
    }

    /// Voxels of the grid: values of one channel.
    pub(crate) fn voxels(&self) -> usize {
        self.image.data().len()
    }

    /// BLAKE3 of the values.
    pub(crate) fn hash(&self) -> String {
        voxplain_core::hash_values(&self.values())
    }

    /// An error about this case.
    pub fn refuse(&self, what: impl Into<String>, remedy: impl Into<Remedy>) -> Error {
        Error::subject(self.id, what, remedy)
    }
}

/// A network ready to be explained: it keeps the plans it has compiled, so that many cases cost one compilation,
/// and the people that the network was trained on, where a method may need them.
#[derive(Debug)]
pub struct Explainer {
    engine: Engine,
    network: Network,
    classes: Vec<String>,
    model: String,
    plans: Plans,
    layerwise: Option<Layerwise>,
    /// Whether it was asked for since [`Explainer::measure_memory`].
    layerwise_used: bool,
    donors: Result<Donors, (String, String)>,
    /// Features of these people, or why there are none, once they have been asked for.
    pub(crate) familiar: Option<Result<Familiar, String>>,
}

/// Volumes that methods which send many through the network send at once, where memory allows.
const AT_ONCE: usize = 8;

/// What a walk through the network and back gives; everything `[n, ...]` over the cases.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Outputs of the network.
    pub logits: Vec<Vec<f32>>,
    /// What was walked back from.
    pub objectives: Vec<Objective>,
    /// What reached the input, the values of one case after another.
    pub input: Vec<f32>,
    /// Value and gradient of each node that was asked for.
    pub kept: Vec<(Tensor, Tensor)>,
    /// What was applied where.
    pub applied: RulesApplied,
}

impl Explainer {
    /// Makes a network ready whose classes have these names; `model` is the hash that records name it by.
    pub fn new(engine: &Engine, network: &Network, classes: &[String], model: String) -> Result<Self> {
        let network = network.without_log_softmax();
        Ok(Self {
            engine: engine.clone(),
            network,
            classes: classes.to_vec(),
            model,
            plans: Plans::default(),
            layerwise: None,
            layerwise_used: false,
            familiar: None,
            donors: Err((
                "nobody was given".into(),
                "explain the subjects of a run, or of the cohort that the model was trained on".into(),
            )),
        })
    }

    /// Gives it the people that the network was trained on.
    #[must_use]
    pub fn with_donors(self, donors: Donors) -> Self {
        Self { donors: Ok(donors), familiar: None, ..self }
    }

    /// Says why there is nobody that the network was trained on, and what to do about it.
    #[must_use]
    pub fn without_donors(self, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { donors: Err((why.into(), hint.into())), familiar: None, ..self }
    }

    /// Bounds the memory of compiled plans, in bytes: methods then send fewer volumes through the network at once.
    #[must_use]
    pub fn with_memory_limit(mut self, limit: Option<usize>) -> Self {
        self.plans.limit = limit;
        self
    }

    /// The people that the network was trained on; refused for `method` where there is nobody.
    pub fn donors(&mut self, method: &str) -> Result<&mut Donors> {
        self.donors.as_mut().map_err(|missing| no_donors(method, missing))
    }

    /// Refuses `method` where there is nobody that the network was trained on.
    pub fn require_donors(&self, method: &str) -> Result<()> {
        self.donors.as_ref().map(|_| ()).map_err(|missing| no_donors(method, missing))
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
        let [channels, expected @ ..] = self.network.input_shape();
        if let Some(channel) = case.channels().find(|channel| channel.shape() != expected) {
            return Err(case.refuse(
                format!(
                    "found a volume of {:?}, expected {expected:?}, which is what the network takes",
                    channel.shape()
                ),
                "prepare the image on the grid that the model was trained on",
            ));
        }
        if case.others.len() + 1 != channels {
            return Err(case.refuse(
                format!("found {} channel(s), expected {channels}, as the network takes", case.others.len() + 1),
                "give one volume for each channel that the model was trained on, in that order",
            ));
        }
        if !case.others.iter().all(|channel| channel.grid().same_space(case.image.grid(), 0.01)) {
            return Err(
                case.refuse("its channels do not lie on one grid", "bring all of them to the grid of the first")
            );
        }
        if let Some(mask) = case.mask.filter(|mask| mask.shape() != expected) {
            return Err(case.refuse(
                format!("found a mask of {:?} for a volume of {expected:?}", mask.shape()),
                "the mask must lie on the grid of the image",
            ));
        }
        let values = case.values();
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(n) => Err(case.refuse(
                format!("found the value {} at voxel {:?}", values[n], case.image.grid().voxel(n % case.voxels())),
                "an image with NaN or infinite values cannot be explained; see voxplain inspect",
            )),
        }
    }

    /// The plan for a purpose that takes at least `batch` samples, compiled when it is first asked for.
    pub fn plan(&mut self, purpose: Purpose, batch: usize, keep: &[NodeId]) -> Result<&mut Plan> {
        if self.plans.limit.is_some() {
            self.layerwise = None;
        }
        self.plans.get(&self.engine, Part::whole(&self.network), &PlanOptions { purpose, batch, keep: keep.to_vec() })
    }

    /// How many samples, `most` at most, a plan can take within the memory limit; refused where not even one fits.
    pub fn batch(&mut self, purpose: Purpose, most: usize, keep: &[NodeId]) -> Result<usize> {
        self.plans.batch(
            &self.engine,
            Part::whole(&self.network),
            &PlanOptions { purpose, batch: most, keep: keep.to_vec() },
        )
    }

    /// The network, to be walked back layer by layer; compiled when it is first asked for. Where memory is limited,
    /// other plans make room for it, and it for them.
    pub fn layerwise(&mut self) -> Result<&mut Layerwise> {
        if self.plans.limit.is_some() {
            self.plans.clear();
        }
        self.layerwise_used = true;
        let limit = self.plans.limit;
        match &mut self.layerwise {
            Some(layerwise) => Ok(layerwise),
            none => Ok(none.insert(Layerwise::new(&self.engine, &self.network)?.with_memory_limit(limit))),
        }
    }

    /// Begins to measure the memory of what is made next.
    pub fn measure_memory(&mut self) {
        self.plans.begin();
        self.layerwise_used = false;
    }

    /// Bytes of the plans used since [`Explainer::measure_memory`], and the limit.
    pub fn memory(&self) -> (usize, Option<usize>) {
        let layerwise = self.layerwise.as_ref().filter(|_| self.layerwise_used);
        (self.plans.used() + layerwise.map_or(0, Layerwise::memory_bytes), self.plans.limit)
    }

    /// Sends the cases through the network and walks their scores back by `rules`; values and gradients of the nodes
    /// in `keep` come along. A case without a target is explained as `default` says.
    pub fn walk(&mut self, cases: &[Case<'_>], default: Target, rules: &Rules, keep: &[NodeId]) -> Result<Walk> {
        let classes = self.network.outputs();
        let at_once = self.batch(Purpose::InputGradient, cases.len(), keep)?;
        let mut walk = Walk {
            logits: Vec::new(),
            objectives: Vec::new(),
            input: Vec::new(),
            kept: Vec::new(),
            applied: RulesApplied::default(),
        };
        let mut kept: Vec<(Vec<f32>, Vec<f32>)> = vec![Default::default(); keep.len()];
        for cases in cases.chunks(at_once.max(1)) {
            let inputs = inputs(cases);
            let mut tape = self.plan(Purpose::InputGradient, at_once, keep)?.forward(&inputs)?;
            let logits: Vec<Vec<f32>> = tape.output().chunks(classes).map(<[f32]>::to_vec).collect();
            let mut seed = vec![0.0; cases.len() * classes];
            for ((case, logits), seed) in cases.iter().zip(&logits).zip(seed.chunks_mut(classes)) {
                let objective = case.objective(default, logits)?;
                objective.seed(logits, seed);
                walk.objectives.push(objective);
            }
            let back = tape.backward(&seed, rules)?;
            walk.input.extend_from_slice(back.input);
            walk.applied = back.applied;
            for ((value, gradient), &node) in kept.iter_mut().zip(keep) {
                value.extend_from_slice(tape.value(node)?.data());
                gradient.extend_from_slice(tape.gradient(node)?.data());
            }
            walk.logits.extend(logits);
        }
        for ((value, gradient), &node) in kept.into_iter().zip(keep) {
            let shape = [&[cases.len()], self.network.shape(node)?].concat();
            walk.kept.push((Tensor::new(shape.clone(), value), Tensor::new(shape, gradient)));
        }
        Ok(walk)
    }

    /// Logits of the cases, without a walk back.
    pub fn logits(&mut self, cases: &[Case<'_>]) -> Result<Vec<Vec<f32>>> {
        let classes = self.network.outputs();
        let at_once = self.batch(Purpose::Infer, cases.len(), &[])?;
        let mut logits = Vec::with_capacity(cases.len());
        for cases in cases.chunks(at_once.max(1)) {
            let inputs = inputs(cases);
            let tape = self.plan(Purpose::Infer, at_once, &[])?.forward(&inputs)?;
            logits.extend(tape.output().chunks(classes).map(<[f32]>::to_vec));
        }
        Ok(logits)
    }

    /// Logits of a case, and its value at a layer, `[K, cells]`.
    pub fn activations(&mut self, case: &Case<'_>, layer: &Layer) -> Result<(Vec<f32>, Vec<f32>)> {
        let tape = self.plan(Purpose::Infer, 1, &[layer.node])?;
        let tape = tape.forward(&case.values())?;
        Ok((tape.output().to_vec(), tape.value(layer.node)?.data().to_vec()))
    }

    /// Sends `count` volumes through the network, a batch at a time, and walks the objective back from each by
    /// `rules`. `volume` writes the `n`-th; `take` is given its number, its score and what reached the input.
    /// Volumes come in order; no more than a batch is in memory.
    pub fn gradients(
        &mut self,
        count: usize,
        (objective, rules): (&Objective, &Rules),
        mut volume: impl FnMut(usize, &mut [f32]),
        mut take: impl FnMut(usize, f64, &[f32]),
    ) -> Result<()> {
        let (voxels, classes) = (self.network.input_shape().iter().product::<usize>(), self.network.outputs());
        let at_once = self.batch(Purpose::InputGradient, count.min(AT_ONCE), &[])?;
        let plan = self.plan(Purpose::InputGradient, at_once, &[])?;
        let mut inputs = vec![0.0; at_once * voxels];
        let mut seeds = vec![0.0; at_once * classes];
        for first in (0..count).step_by(at_once.max(1)) {
            let samples = at_once.min(count - first);
            inputs.chunks_mut(voxels).take(samples).enumerate().for_each(|(n, input)| volume(first + n, input));
            let mut tape = plan.forward(&inputs[..samples * voxels])?;
            let mut scores = Vec::with_capacity(samples);
            for (logits, seed) in tape.output().chunks(classes).zip(seeds.chunks_mut(classes)) {
                objective.seed(logits, seed);
                scores.push(objective.value(logits));
            }
            let back = tape.backward(&seeds[..samples * classes], rules)?;
            for (n, (score, gradient)) in scores.into_iter().zip(back.input.chunks(voxels)).enumerate() {
                take(first + n, score, gradient);
            }
        }
        Ok(())
    }

    /// The objective's value on `count` volumes, a batch at a time; `volume` writes the `n`-th.
    pub fn scores(
        &mut self,
        count: usize,
        objective: &Objective,
        volume: impl FnMut(usize, &mut [f32]),
    ) -> Result<Vec<f64>> {
        self.scores_behind(NodeId(0), count, objective, volume)
    }

    /// The objective's value for `count` values of a node, a batch at a time; `value` writes the `n`-th. Refused
    /// where the output does not depend on the node alone ([`Network::behind`]).
    pub fn scores_behind(
        &mut self,
        node: NodeId,
        count: usize,
        objective: &Objective,
        mut value: impl FnMut(usize, &mut [f32]),
    ) -> Result<Vec<f64>> {
        let mut scores = Vec::with_capacity(count);
        if count == 0 {
            return Ok(scores);
        }
        let (values, classes) = (self.network.shape(node)?.iter().product::<usize>(), self.network.outputs());
        let behind = if node == NodeId(0) { None } else { Some(self.network.subgraph_from(node)?) };
        let part = Part { start: node, network: behind.as_ref().unwrap_or(&self.network) };
        let options = |batch| PlanOptions { purpose: Purpose::Infer, batch, keep: Vec::new() };
        let at_once = self.plans.batch(&self.engine, part, &options(count.min(AT_ONCE)))?;
        if self.plans.limit.is_some() {
            self.layerwise = None;
        }
        let plan = self.plans.get(&self.engine, part, &options(at_once))?;
        let mut inputs = vec![0.0; at_once * values];
        for first in (0..count).step_by(at_once) {
            let samples = at_once.min(count - first);
            inputs.chunks_mut(values).take(samples).enumerate().for_each(|(n, input)| value(first + n, input));
            let tape = plan.forward(&inputs[..samples * values])?;
            scores.extend(tape.output().chunks(classes).map(|logits| objective.value(logits)));
        }
        Ok(scores)
    }

    /// One attribution per case from a walk: `map` turns what reached the input into a map and completes the record.
    pub fn each<M: Method>(
        &self,
        method: &M,
        cases: &[Case<'_>],
        walk: &Walk,
        map: impl Fn(&Case<'_>, &[f32], &mut Record) -> Result<Vec<f32>>,
    ) -> Result<Vec<Attribution>> {
        let values = walk.input.len() / cases.len();
        let one = |(n, case): (usize, &Case<'_>)| {
            let mut record = self.record(method, case, &walk.objectives[n], &walk.logits[n]);
            let map = map(case, &walk.input[n * values..(n + 1) * values], &mut record)?;
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
            atlas: case.regions.filter(|_| M::BY_REGION).map(|regions| regions.atlas.clone()),
            model: self.model.clone(),
            input: case.hash(),
            in_sample: case.in_sample,
            cost: None,
            layers: Vec::new(),
            warnings: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// The values of the cases, one after another.
fn inputs(cases: &[Case<'_>]) -> Vec<f32> {
    cases.iter().flat_map(Case::channels).flat_map(Volume::data).copied().collect()
}

fn no_donors(method: &str, (why, hint): &(String, String)) -> Error {
    Error::request(format!("{method} needs people that the model was trained on: {why}"), hint.clone())
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
            Error::Request { what, remedy } => self.refuse(what, remedy),
            other => other,
        })
    }
}
