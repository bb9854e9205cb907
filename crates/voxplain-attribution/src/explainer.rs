//! [`Explainer`], a network ready to be explained, and [`BackwardPass`], what a pass forward and back gives.

use crate::case::Case;
use crate::ood_distance::TrainingFeatures;
use crate::plans::{Part, Plans};
use crate::target::{Objective, Target};
use crate::task::Task;
use crate::training_subjects::TrainingSubjects;
use crate::unseen::{BlindVoxels, Unseen};
use serde_json::{Value, json};
use std::sync::OnceLock;
use voxplain_core::{Action, Error, Remedy, Result, remedy};
use voxplain_nn::relevance::Layerwise;
use voxplain_nn::{Engine, Network, NodeId, Op, Plan, PlanOptions, Purpose, Rules, RulesApplied, Tensor};
use voxplain_volume::Volume;

/// A network ready to be explained: it keeps the plans it has compiled, so that many cases cost one compilation,
/// and the training subjects of the network, where a method may need them.
///
/// [`Explainer::explain`] runs a method. The other functions are what methods are made of: passes through the network
/// forward ([`Explainer::logits`], [`Explainer::scores`]) and back ([`Explainer::backward`], [`Explainer::gradients`]).
#[derive(Debug)]
pub struct Explainer {
    engine: Engine,
    network: Network,
    task: Task,
    model: String,
    plans: Plans,
    layerwise: Option<Layerwise>,
    /// Whether it was asked for since [`Explainer::measure_memory`].
    layerwise_used: bool,
    /// Why there are none and what to do about it, otherwise.
    training_subjects: Result<TrainingSubjects, (String, Remedy)>,
    /// Which voxels cannot reach the output, once it has been asked for.
    blind: OnceLock<BlindVoxels>,
    /// Features of these subjects, or why there are none, once they have been asked for.
    training_features: Option<Result<TrainingFeatures, String>>,
}

/// Volumes that methods which send many through the network send at once, where memory allows.
const AT_ONCE: usize = 8;

/// Training subjects whose features stand for those of all, evenly taken from their list.
const MAX_FEATURE_SUBJECTS: usize = 100;

/// What a pass through the network, forward and back, gives for some cases.
#[derive(Clone, Debug)]
pub struct BackwardPass {
    /// Outputs of the network: for each case one value per class.
    pub logits: Vec<Vec<f32>>,
    /// For each case the score whose gradient was propagated back.
    pub objectives: Vec<Objective>,
    /// What reached the input, `[cases][channels][i][j][k]`: the gradient of the score, or what the rules made of it.
    pub input: Vec<f32>,
    /// For each node that was asked for its value and the gradient there, both `[cases, ...]`.
    pub kept: Vec<(Tensor, Tensor)>,
    /// How many operations followed the rules.
    pub applied: RulesApplied,
}

impl Explainer {
    /// Makes a network ready whose classes have these names, in the order of its outputs; `model` is the hash that
    /// records name it by. A log-softmax at the end is left off, so that outputs are logits.
    ///
    /// # Errors
    /// None yet.
    pub fn new(engine: &Engine, network: &Network, classes: &[String], model: String) -> Result<Self> {
        Self::of_task(engine, network, Task::classes_named(classes), model)
    }

    /// [`Explainer::new`] for a network of any task.
    ///
    /// # Errors
    /// None yet.
    pub fn of_task(engine: &Engine, network: &Network, task: Task, model: String) -> Result<Self> {
        let network = network.without_log_softmax();
        Ok(Self {
            engine: engine.clone(),
            network,
            task,
            model,
            plans: Plans::default(),
            layerwise: None,
            layerwise_used: false,
            blind: OnceLock::new(),
            training_features: None,
            training_subjects: Err((
                "nobody was given".into(),
                "explain the subjects of a run, or of the cohort that the model was trained on".into(),
            )),
        })
    }

    /// Gives it the subjects that the network was trained on.
    #[must_use]
    pub fn with_training_subjects(self, subjects: TrainingSubjects) -> Self {
        Self { training_subjects: Ok(subjects), training_features: None, ..self }
    }

    /// Says why there are no training subjects, and what to do about it.
    #[must_use]
    pub fn without_training_subjects(self, why: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self { training_subjects: Err((why.into(), remedy.into())), training_features: None, ..self }
    }

    /// Bounds the memory of compiled plans, in bytes: methods then send fewer volumes through the network at once.
    #[must_use]
    pub fn with_memory_limit(mut self, limit: Option<usize>) -> Self {
        self.plans.limit = limit;
        self
    }

    /// The subjects that the network was trained on.
    ///
    /// # Errors
    /// There are none; the error is in the name of `method`.
    pub fn training_subjects(&mut self, method: &str) -> Result<&mut TrainingSubjects> {
        self.training_subjects.as_mut().map_err(|missing| no_training_subjects(method, missing))
    }

    /// Refuses `method` where there are no training subjects.
    ///
    /// # Errors
    /// There are none.
    pub fn require_training_subjects(&self, method: &str) -> Result<()> {
        self.training_subjects.as_ref().map(|_| ()).map_err(|missing| no_training_subjects(method, missing))
    }

    /// The network, which returns logits.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// What the network cannot see of the field of view of a case, by the mask that was given for its brain.
    pub fn unseen(&self, case: &Case<'_>) -> Option<Unseen> {
        let blind = self.blind.get_or_init(|| BlindVoxels::of(&self.network.input_reach()));
        blind.unseen(Some(case.image.grid()), case.mask)
    }

    /// What the network predicts.
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// Names of the classes; none where a value is predicted.
    pub fn classes(&self) -> &[String] {
        self.task.classes()
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
    ///
    /// # Errors
    /// Another shape or number of channels than the network's, channels or a mask on other grids, NaN or infinite values.
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
                remedy!["an image with NaN or infinite values cannot be explained; see ", Action::new("inspect")],
            )),
        }
    }

    /// The plan for a purpose that takes at least `batch` samples, compiled when it is first asked for. Values of the nodes
    /// in `keep` can be read off its tape.
    ///
    /// # Errors
    /// The engine cannot run the network.
    pub fn plan(&mut self, purpose: Purpose, batch: usize, keep: &[NodeId]) -> Result<&mut Plan> {
        if self.plans.limit.is_some() {
            self.layerwise = None;
        }
        self.plans.get(&self.engine, Part::whole(&self.network), &PlanOptions { purpose, batch, keep: keep.to_vec() })
    }

    /// How many samples, `max` at most, a plan can take within the memory limit.
    ///
    /// # Errors
    /// Not even one fits.
    pub fn batch(&mut self, purpose: Purpose, max: usize, keep: &[NodeId]) -> Result<usize> {
        self.plans.batch(
            &self.engine,
            Part::whole(&self.network),
            &PlanOptions { purpose, batch: max, keep: keep.to_vec() },
        )
    }

    /// The network for backward passes layer by layer (LRP, DeepLIFT); compiled when it is first asked for. Where memory is
    /// limited, other plans make room for it, and it for them.
    ///
    /// # Errors
    /// The engine cannot run the network.
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

    /// Sends the cases through the network and propagates the gradient of their scores back by `rules`; values and
    /// gradients of the nodes in `keep` come along. A case without a target is explained as `default` says.
    ///
    /// # Errors
    /// A target cannot be explained, or the network cannot be run.
    pub fn backward(
        &mut self,
        cases: &[Case<'_>],
        default: Target,
        rules: &Rules,
        keep: &[NodeId],
    ) -> Result<BackwardPass> {
        let classes = self.network.outputs();
        let at_once = self.batch(Purpose::InputGradient, cases.len(), keep)?;
        let mut pass = BackwardPass {
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
            let mut output_gradient = vec![0.0; cases.len() * classes];
            for ((case, logits), gradient) in cases.iter().zip(&logits).zip(output_gradient.chunks_mut(classes)) {
                let objective = case.objective(default, logits)?;
                objective.output_gradient(logits, gradient);
                pass.objectives.push(objective);
            }
            let back = tape.backward(&output_gradient, rules)?;
            pass.input.extend_from_slice(back.input);
            pass.applied = back.applied;
            for ((value, gradient), &node) in kept.iter_mut().zip(keep) {
                value.extend_from_slice(tape.value(node)?.data());
                gradient.extend_from_slice(tape.gradient(node)?.data());
            }
            pass.logits.extend(logits);
        }
        for ((value, gradient), &node) in kept.into_iter().zip(keep) {
            let shape = [&[cases.len()], self.network.shape(node)?].concat();
            pass.kept.push((Tensor::new(shape.clone(), value), Tensor::new(shape, gradient)));
        }
        Ok(pass)
    }

    /// Outputs of the network for the cases: for each one value per class.
    ///
    /// # Errors
    /// The network cannot be run.
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

    /// Outputs of the network for a case, and the value of a node, `[channels][cells]` where it holds volumes.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn activations(&mut self, case: &Case<'_>, node: NodeId) -> Result<(Vec<f32>, Vec<f32>)> {
        let tape = self.plan(Purpose::Infer, 1, &[node])?.forward(&case.values())?;
        Ok((tape.output().to_vec(), tape.value(node)?.data().to_vec()))
    }

    /// Sends `count` volumes through the network, a batch at a time, and propagates the objective's gradient back from
    /// each by `rules`. `volume` writes the `n`-th, `[channels][i][j][k]`; `take` is given its number, its score and what
    /// reached the input. Volumes come in order; no more than a batch is in memory.
    ///
    /// # Errors
    /// The network cannot be run.
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
        let mut output_gradients = vec![0.0; at_once * classes];
        for first in (0..count).step_by(at_once.max(1)) {
            let samples = at_once.min(count - first);
            inputs.chunks_mut(voxels).take(samples).enumerate().for_each(|(n, input)| volume(first + n, input));
            let mut tape = plan.forward(&inputs[..samples * voxels])?;
            let mut scores = Vec::with_capacity(samples);
            for (logits, gradient) in tape.output().chunks(classes).zip(output_gradients.chunks_mut(classes)) {
                objective.output_gradient(logits, gradient);
                scores.push(objective.value(logits));
            }
            let back = tape.backward(&output_gradients[..samples * classes], rules)?;
            for (n, (score, gradient)) in scores.into_iter().zip(back.input.chunks(voxels)).enumerate() {
                take(first + n, score, gradient);
            }
        }
        Ok(())
    }

    /// The objective's value on `count` volumes, a batch at a time; `volume` writes the `n`-th, `[channels][i][j][k]`.
    ///
    /// # Errors
    /// The network cannot be run.
    pub fn scores(
        &mut self,
        count: usize,
        objective: &Objective,
        volume: impl FnMut(usize, &mut [f32]),
    ) -> Result<Vec<f64>> {
        self.scores_from(NodeId(0), count, objective, volume)
    }

    /// The objective's value for `count` values of a node, a batch at a time; `value` writes the `n`-th. Only the part of
    /// the network after the node is run ([`Network::subgraph_from`]).
    ///
    /// # Errors
    /// The output does not depend on the node alone, or the network cannot be run.
    pub fn scores_from(
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
        let subgraph = if node == NodeId(0) { None } else { Some(self.network.subgraph_from(node)?) };
        let part = Part { start: node, network: subgraph.as_ref().unwrap_or(&self.network) };
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

    /// How far the images `shown` (`[channels][i][j][k]` each) lie from the training subjects, beside the case's own image and
    /// the subjects themselves, for a record; null with the reason where it cannot be known.
    pub(crate) fn ood_distance(&mut self, case: &Case<'_>, shown: &[&[f32]]) -> Result<Value> {
        let features = match self.training_features.take() {
            Some(features) => features,
            None => self.find_training_features()?,
        };
        let value = match &features {
            Ok(features) => self.measure_ood_distance(features, case, shown),
            Err(why) => Ok(json!({ "Distance": null, "Why": why })),
        };
        self.training_features = Some(features);
        value
    }

    fn measure_ood_distance(
        &mut self,
        training: &TrainingFeatures,
        case: &Case<'_>,
        shown: &[&[f32]],
    ) -> Result<Value> {
        let Some(group) = training.without(&case.hash()) else {
            let why = "too few people, or their features do not vary";
            return Ok(json!({ "Distance": null, "Why": why }));
        };
        let of_image = group.distance(&self.features(training.node, &case.values())?);
        let mut of_shown = Vec::with_capacity(shown.len());
        for image in shown {
            of_shown.push(group.distance(&self.features(training.node, image)?));
        }
        Ok(group.record(of_image, of_shown))
    }

    /// The features of the training subjects: what the last linear layer takes. Why there are none, otherwise.
    fn find_training_features(&mut self) -> Result<Result<TrainingFeatures, String>> {
        let nodes = self.network.nodes();
        let mut last = &nodes[self.network.output().0];
        // The expectation of a softmax has no trained weights: what gives the softmax its input is the last layer.
        if let (Op::Linear(_), Some(softmax)) = (&last.op, last.inputs.first())
            && nodes[softmax.0].op == Op::Softmax
        {
            last = &nodes[nodes[softmax.0].inputs[0].0];
        }
        let node = match (&last.op, last.inputs.first()) {
            (Op::Linear(_), Some(node)) => *node,
            _ => return Ok(Err("the network does not end in a linear layer".into())),
        };
        let method = "the distance from training";
        if let Err(why) = self.require_training_subjects(method) {
            return Ok(Err(why.to_string()));
        }
        let count = self.training_subjects(method)?.len();
        let taken = count.min(MAX_FEATURE_SUBJECTS);
        let (mut hashes, mut features) = (Vec::new(), Vec::new());
        for number in (0..taken).map(|n| n * count / taken) {
            let values = self.training_subjects(method)?.values(number)?;
            hashes.push(voxplain_core::hash_values(&values));
            features.push(self.features(node, &values)?);
        }
        Ok(Ok(TrainingFeatures::new(node, hashes, features)))
    }

    /// The value of a node for an image.
    fn features(&mut self, node: NodeId, image: &[f32]) -> Result<Vec<f32>> {
        Ok(self.plan(Purpose::Infer, 1, &[node])?.forward(image)?.value(node)?.data().to_vec())
    }
}

/// The values of the cases, one after another.
fn inputs(cases: &[Case<'_>]) -> Vec<f32> {
    cases.iter().flat_map(Case::channels).flat_map(Volume::data).copied().collect()
}

fn no_training_subjects(method: &str, (why, remedy): &(String, Remedy)) -> Error {
    Error::request(format!("{method} needs people that the model was trained on: {why}"), remedy.clone())
}
