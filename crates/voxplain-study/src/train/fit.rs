//! [`Fit`]: the training of the network of one fold.

use super::{
    ahead::{Inputs, read_ahead},
    augmentation::{Augmentation, Place, Scratch},
    checkpoint::Checkpoint,
    dataset::Dataset,
    freeze::Frozen,
    initial::InitialWeights,
    loss::{LossKind, Objective},
    mixup::Mixup,
    observer::TrainingObserver,
    options::{ScheduleKind, TrainOptions},
    predictions::{self, predict},
    value::{self, Standard},
};
use crate::{
    folds::{self, Sample, SplitScheme, Units},
    model::NetworkKind,
    run::{Epoch, FoldLayout},
    setting::{EARLY_STOP, LR, NORMALIZE},
};
use std::ops::Range;
use voxplain_core::{Action, Error, Progress, Result, argmax, atomic_file, memory, random::Seed, remedy};
use voxplain_nn::{
    CrossEntropy, Engine, Network, Optimizer, Plan, PlanOptions, Purpose, Rules, Schedule, SoftLabels, Tensor,
    WeightAverage,
};
use voxplain_stats::significant;

/// Share of the training subjects that early stopping sets aside for validation. Our choice.
const VALIDATION: f64 = 0.15;

/// What the training of one fold needs.
pub(super) struct Fit<'a> {
    pub(super) fold: usize,
    /// Positions of the training subjects in the dataset.
    pub(super) train: &'a [usize],
    pub(super) dataset: &'a Dataset<'a>,
    /// The bins of soft labels, where a value is learnt by them.
    pub(super) bins: Option<SoftLabels>,
    pub(super) options: &'a TrainOptions,
    /// Weights that training starts from, where they are not drawn.
    pub(super) initial: Option<&'a InitialWeights>,
    pub(super) engine: &'a Engine,
    pub(super) seed: Seed,
    /// Where the learning curve and the checkpoint go.
    pub(super) files: &'a FoldLayout,
}

/// What is made smaller: the cross-entropy of classes, or the loss of values.
enum Loss<'a> {
    Classes(CrossEntropy, &'a [usize]),
    Value(Objective, &'a [f64]),
}

impl Loss<'_> {
    /// The share of a part of a batch in the mean over the batch.
    fn share(&self, part: &[usize], batch: &[usize]) -> f64 {
        match self {
            Self::Classes(loss, labels) => {
                let total = |of: &[usize]| loss.total(&of.iter().map(|&n| labels[n]).collect::<Vec<_>>());
                total(part) / total(batch)
            }
            Self::Value(..) => part.len() as f64 / batch.len() as f64,
        }
    }

    /// What a part of a batch adds to the loss of the batch; `gradient` receives its gradient. A part whose classes have weight 0 adds
    /// nothing.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
    fn part(&self, outputs: &[f32], part: &[usize], batch: &[usize], gradient: &mut [f32]) -> Result<f64> {
        let share = self.share(part, batch);
        gradient.fill(0.0);
        if share <= 0.0 {
            return Ok(0.0);
        }
        let value = share * self.evaluate(outputs, part, gradient)?;
        gradient.iter_mut().for_each(|g| *g = (f64::from(*g) * share) as f32);
        Ok(value)
    }

    /// The same where the subjects are mixed with partners: of classes the two losses are mixed, which is the loss of the mixed truth;
    /// of values the two values are.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
    fn mixed_part(
        &self,
        outputs: &[f32],
        (part, partners): (&[usize], &[usize]),
        (batch, mixup): (&[usize], &Mixup),
        gradient: &mut [f32],
    ) -> Result<f64> {
        if let Self::Value(objective, _) = self {
            let targets: Vec<f64> = part.iter().zip(partners).filter_map(|pair| self.mixed(pair, mixup)).collect();
            let share = self.share(part, batch);
            let value = share * objective.evaluate(outputs, &targets, gradient)?;
            gradient.iter_mut().for_each(|g| *g = (f64::from(*g) * share) as f32);
            return Ok(value);
        }
        let mut others = vec![0.0; gradient.len()];
        let own = self.part(outputs, part, batch, gradient)?;
        // The partners of a batch are the batch in another order: their weights have the same sum.
        let other = self.part(outputs, partners, batch, &mut others)?;
        let (share, rest) = (mixup.share, 1.0 - mixup.share);
        for (own, other) in gradient.iter_mut().zip(&others) {
            *own = (share * f64::from(*own) + rest * f64::from(*other)) as f32;
        }
        Ok(share * own + rest * other)
    }

    /// What the network is to give for a mixed subject.
    fn mixed(&self, (&own, &partner): (&usize, &usize), mixup: &Mixup) -> Option<f64> {
        let Self::Value(objective, values) = self else { return None };
        let of = |n: usize| objective.target(values[n]);
        Some(mixup.share * of(own) + (1.0 - mixup.share) * of(partner))
    }

    /// [`Loss::judge`] where the subjects are mixed with partners.
    fn judge_mixed(&self, outputs: &[f32], part: &[usize], partners: &[usize], mixup: &Mixup, sums: &mut Sums) {
        match self {
            Self::Classes(..) => {
                let mut of = |subjects: &[usize], share: f64| {
                    let mut own = Sums::default();
                    self.judge(outputs, subjects, &mut own);
                    sums.correct += share * own.correct;
                };
                of(part, mixup.share);
                of(partners, 1.0 - mixup.share);
            }
            Self::Value(objective, _) => {
                let targets = part.iter().zip(partners).filter_map(|pair| self.mixed(pair, mixup));
                sums.error += objective.errors(outputs, targets);
            }
        }
    }

    /// The loss of the outputs for these subjects, and its gradient.
    fn evaluate(&self, outputs: &[f32], subjects: &[usize], gradient: &mut [f32]) -> Result<f64> {
        Ok(match self {
            Self::Classes(loss, labels) => {
                let labels: Vec<usize> = subjects.iter().map(|&n| labels[n]).collect();
                loss.evaluate(outputs, &labels, gradient)?
            }
            Self::Value(objective, values) => {
                let targets: Vec<f64> = subjects.iter().map(|&n| objective.target(values[n])).collect();
                objective.evaluate(outputs, &targets, gradient)?
            }
        })
    }

    /// Adds up how well the outputs for these subjects do: those told right, or the sizes of errors in the unit of the value.
    fn judge(&self, outputs: &[f32], subjects: &[usize], sums: &mut Sums) {
        match self {
            Self::Classes(_, labels) => {
                let rows = outputs.chunks_exact(outputs.len() / subjects.len());
                sums.correct += rows.zip(subjects).filter(|(row, n)| argmax(*row) == labels[**n]).count() as f64;
            }
            Self::Value(objective, values) => {
                sums.error += objective.errors(outputs, subjects.iter().map(|&n| objective.target(values[n])));
            }
        }
    }
}

/// What stays the same in every batch of an epoch.
struct Pass<'a> {
    /// Number of the epoch, from 0.
    epoch: usize,
    loss: Loss<'a>,
    schedule: Schedule,
    /// Where the augmentation of each subject starts in this epoch.
    augmentation: Seed,
    /// Where the mixing of each batch starts in this epoch.
    mixup: Seed,
}

/// Sums over the subjects of an epoch.
#[derive(Default)]
struct Sums {
    loss: f64,
    /// Those told right; of mixed subjects the shares of truths that are told.
    correct: f64,
    /// Sizes of the errors of values.
    error: f64,
    /// Learning rate of the last step.
    learning_rate: f64,
}

/// The subjects of one step of the optimiser.
struct Step {
    members: Vec<usize>,
    mixup: Option<Mixup>,
    /// What of them goes through the network at once.
    parts: Vec<Range<usize>>,
}

/// Memory that is used again for every input.
#[derive(Default)]
struct Buffers {
    /// The volume that another one is mixed with.
    partner: Vec<f32>,
    augmentation: Scratch,
}

/// A network that was trained.
pub(super) struct Fitted {
    pub(super) network: Network,
    /// Number of epochs that it was trained for.
    pub(super) epochs: usize,
    /// How values were learnt; the network answers in their own unit.
    pub(super) objective: Option<Objective>,
}

impl Fit<'_> {
    /// Trains from the last checkpoint, if there is one, to the end.
    pub(super) fn run(&self, progress: &dyn Progress, observer: &dyn TrainingObserver) -> Result<Fitted> {
        let (train, validation) = self.set_aside()?;
        let objective = self.objective(&train)?;
        let kind = NetworkKind::named(&self.options.model)?;
        let outputs = self.bins.map_or(self.dataset.task().outputs(), |bins| bins.bins());
        let mut network = kind.network(self.dataset.input_shape(), self.options.width(), outputs)?;
        kind.initialize(&mut network, self.seed.child("weights").value());
        if let Some(Objective::Error(..)) = objective {
            // A bias of 0 is the mean of the values trained on.
            let [_, bias] = last_layer(&mut network)?;
            bias.data_mut().fill(0.0);
        }
        self.initial.map_or(Ok(()), |initial| initial.give(&mut network))?;
        let frozen = Frozen::of(&self.options.freeze, &network)?;
        if let Some(frozen) = &frozen {
            network = frozen.training().clone();
        }
        let (method, ema) = (self.options.optimizer(), self.options.ema);
        let found = Checkpoint::read(&self.files.checkpoint(), &network, &method, ema)?;
        let mut state = found.unwrap_or_else(|| Checkpoint {
            average: ema.map(|decay| WeightAverage::new(decay, network.clone())),
            network,
            optimizer: Optimizer::new(method),
            history: Vec::new(),
            best: None,
        });
        let unchanged = frozen.as_ref().map_or_else(Vec::new, |frozen| frozen.parameters().to_vec());
        state.optimizer = state.optimizer.with_max_norm(self.options.clip_norm).with_frozen(unchanged);
        let batches = batches(train.len(), self.options.batch);
        let largest = batches.iter().map(Range::len).max().unwrap_or(0);
        let mut plan = self.plan(&state.network, largest, progress)?;

        progress.begin(&format!("fold {}", self.fold), self.options.epochs);
        if !state.history.is_empty() {
            progress.advance(state.history.len(), "going on where it stopped");
        }
        state.history.iter().for_each(|epoch| observer.epoch(self.fold, epoch));
        let mut work = || -> Result<()> {
            while state.history.len() < self.options.epochs && !self.is_stopped(&state) {
                let epoch = self.epoch(&mut state, &mut plan, (&train, objective), &batches, progress)?;
                let epoch = self.validate(&mut state, epoch, &validation, objective)?;
                observer.epoch(self.fold, &epoch);
                progress.advance(1, &describe(&epoch));
            }
            Ok(())
        };
        let done = work();
        progress.end();
        done?;
        let epochs = state.history.len();
        let (mut network, epochs) = match state.best {
            Some((epoch, network)) => (network, epoch),
            None => (state.judged().clone(), epochs),
        };
        if let Some(frozen) = &frozen {
            network = frozen.kept(&network)?;
        }
        match objective {
            Some(Objective::Error(_, standard)) => answer_in_unit(&mut network, standard)?,
            Some(Objective::SoftLabels(bins)) => network = bins.answering(network)?,
            None => {}
        }
        Ok(Fitted { network, epochs, objective })
    }

    /// How values are learnt, where values are: standardised by those trained on, or in bins.
    fn objective(&self, train: &[usize]) -> Result<Option<Objective>> {
        let Some(values) = self.dataset.values_of(train) else { return Ok(None) };
        let loss = match (self.options.loss.unwrap_or_default(), self.bins) {
            (LossKind::SoftLabels { .. }, Some(bins)) => return Ok(Some(Objective::SoftLabels(bins))),
            (LossKind::SoftLabels { .. }, None) => {
                return Err(Error::request(format!("fold {} has no bins for soft labels", self.fold), "report this"));
            }
            (LossKind::Error(loss), _) => loss,
        };
        let same = || {
            Error::request(
                format!("all {} people that fold {} trains on have one value", train.len(), self.fold),
                "use more subjects, or no early stopping",
            )
        };
        let standard = Standard::of(&values).ok_or_else(same)?;
        Ok(Some(Objective::Error(loss, standard)))
    }

    /// The plan for a batch, or for the largest part of it that fits in memory.
    fn plan(&self, network: &Network, batch: usize, progress: &dyn Progress) -> Result<Plan> {
        let options = |batch| PlanOptions { purpose: Purpose::Train, batch, keep: Vec::new() };
        let free = || self.options.memory.or_else(memory::available);
        let limit = free().map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let fits = self.engine.batch_within(network, &options(batch), limit).map_err(|e| {
            Error::request(e.to_string(), "allow more memory, use a machine with more, or prepare a coarser grid")
        })?;
        if fits < batch {
            progress.warn(&format!(
                "a batch of {batch} needs {}; of {:.1} MB that can be had it goes through in parts of at most {fits}, \
                 and batch normalisation measures each part by itself",
                self.engine.memory(network, &options(batch))?,
                limit as f64 / 1e6
            ));
        }
        Ok(self.engine.plan(network, &options(fits))?)
    }

    /// The subjects to train on and, for early stopping, those set aside for validation: split like the folds.
    fn set_aside(&self) -> Result<(Vec<usize>, Vec<usize>)> {
        if self.options.early_stop.is_none() {
            return Ok((self.train.to_vec(), Vec::new()));
        }
        let labels: Vec<_> = match &self.dataset.values {
            None => self.train.iter().map(|&n| self.dataset.labels[n]).collect(),
            // Bins so large that each gives somebody.
            Some(values) => {
                let of: Vec<f64> = self.train.iter().map(|&n| values.of[n]).collect();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of subjects")]
                let bins = (of.len() as f64 * VALIDATION).floor() as usize;
                value::bins(&of, bins.clamp(1, 10)).0
            }
        };
        let groups: Option<Vec<_>> = self.dataset.groups().map(|g| self.train.iter().map(|&n| g[n]).collect());
        let scheme = SplitScheme::Holdout(VALIDATION);
        let seed = self.seed.child("set-aside");
        let splits = folds::splits(&labels, groups.as_deref(), scheme, seed)?;
        let whole = self.dataset.sample(self.options);
        let units = groups.as_deref().zip(whole.units).map(|(of, units)| Units { of, ..units });
        Sample { labels: &labels, units, seed, ..whole }.check(&splits, scheme).map_err(|error| {
            let what = format!("no subjects can be set aside for early stopping: {error}");
            match &self.dataset.grouping {
                // They are set aside as a whole.
                Some(grouping) => {
                    let together =
                        format!(", or with more groups of column {}: each is set aside as a whole", grouping.column);
                    Error::request(what, remedy!["train without ", EARLY_STOP, together])
                }
                None => Error::request(what, remedy!["train without ", EARLY_STOP, ", or add subjects"]),
            }
        })?;
        let of = |part: &[usize]| part.iter().map(|&n| self.train[n]).collect();
        Ok((of(&splits[0].train), of(&splits[0].test)))
    }

    /// Whether early stopping ends the training.
    fn is_stopped(&self, state: &Checkpoint) -> bool {
        match (self.options.early_stop, &state.best) {
            (Some(patience), Some((best, _))) => state.history.len() >= best + patience,
            _ => false,
        }
    }

    /// How the learning rate goes on from step to step, with so many steps in an epoch.
    fn schedule(&self, steps: usize) -> Schedule {
        let warmup = self.options.warmup.unwrap_or(0);
        let left = ((self.options.epochs - warmup) * steps) as u64;
        let after = match self.options.schedule {
            ScheduleKind::Constant => Schedule::Constant,
            ScheduleKind::Cosine => Schedule::Cosine { epochs: left, last: 0.0 },
        };
        if warmup == 0 {
            return after;
        }
        Schedule::Warmup { epochs: (warmup * steps) as u64, then: Box::new(after) }
    }

    /// One pass over the subjects to train on.
    fn epoch(
        &self,
        state: &mut Checkpoint,
        plan: &mut Plan,
        (train, objective): (&[usize], Option<Objective>),
        batches: &[Range<usize>],
        progress: &dyn Progress,
    ) -> Result<Epoch> {
        let number = state.history.len();
        let order = self.seed.child("order").index(number as u64).random().permutation(train.len());
        let pass = Pass {
            epoch: number,
            loss: self.loss(&state.network, train, objective),
            schedule: self.schedule(batches.len()),
            augmentation: self.seed.child("augmentation").index(number as u64),
            mixup: self.seed.child("mixup").index(number as u64),
        };
        let mut sums = Sums { learning_rate: self.options.learning_rate, ..Sums::default() };
        let steps: Vec<Step> = batches
            .iter()
            .enumerate()
            .map(|(number, batch)| {
                let members: Vec<usize> = order[batch.clone()].iter().map(|&n| train[n]).collect();
                let draw = |alpha| Mixup::draw(alpha, &members, &mut pass.mixup.index(number as u64).random());
                let mixup = self.options.mixup.map(draw);
                Step { parts: self::batches(members.len(), plan.batch()), members, mixup }
            })
            .collect();
        let parts: Vec<(&Step, &Range<usize>)> =
            steps.iter().flat_map(|step| step.parts.iter().map(move |part| (step, part))).collect();
        let mut buffers = Buffers::default();
        let fill = |number: usize, input: &mut Vec<f32>| self.fill(&pass, parts[number], input, &mut buffers);
        let mut gradients = Vec::new();
        progress.begin(&format!("epoch {}", number + 1), batches.len());
        let done = read_ahead(parts.len(), fill, |inputs| {
            for step in &steps {
                progress.go_on()?;
                let loss = self.step(&pass, state, plan, (step, inputs), &mut sums, &mut gradients)?;
                progress.advance(1, &format!("loss {loss:.3}"));
            }
            Ok(())
        });
        progress.end();
        done?;
        let n = train.len() as f64;
        Ok(Epoch {
            epoch: number + 1,
            learning_rate: sums.learning_rate,
            loss: sums.loss / n,
            accuracy: objective.is_none().then(|| sums.correct / n),
            error: objective.is_some().then(|| sums.error / n),
            validation_loss: None,
            validation_accuracy: None,
            validation_error: None,
        })
    }

    /// The loss, with class weights where classes are balanced.
    fn loss(&self, network: &Network, train: &[usize], objective: Option<Objective>) -> Loss<'_> {
        if let Some((objective, values)) = objective.zip(self.dataset.values.as_ref()) {
            return Loss::Value(objective, &values.of);
        }
        let smoothing = self.options.label_smoothing.unwrap_or(0.0);
        let loss = CrossEntropy { smoothing, ..CrossEntropy::of(network) };
        if !self.options.balanced {
            return Loss::Classes(loss, &self.dataset.labels);
        }
        let labels: Vec<usize> = train.iter().map(|&n| self.dataset.labels[n]).collect();
        Loss::Classes(loss.balanced(&labels, self.dataset.classes.len()), &self.dataset.labels)
    }

    /// Writes the input of a part of a batch, one subject after another.
    fn fill(
        &self,
        pass: &Pass<'_>,
        (step, part): (&Step, &Range<usize>),
        input: &mut Vec<f32>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let [channels, shape @ ..] = self.dataset.input_shape();
        let place = Place { shape, spacing: self.dataset.cohort.preparation.spacing };
        let values = channels * shape.iter().product::<usize>();
        input.resize(part.len() * values, 0.0);
        let Buffers { partner, augmentation: scratch } = buffers;
        let mut volume = |n: usize, to: &mut [f32]| {
            let augment = &self.options.augment;
            let seed = pass.augmentation.index(n as u64);
            if augment.needs_mask() {
                self.dataset.with_mask(n, |from, mask| vary(augment, (from, mask), place, to, (seed, scratch)))
            } else {
                self.dataset.with(n, |from| vary(augment, (from, &[]), place, to, (seed, scratch)))
            }
        };
        for (at, to) in part.clone().zip(input.chunks_exact_mut(values)) {
            volume(step.members[at], to)?;
            if let Some(mixup) = &step.mixup {
                partner.resize(values, 0.0);
                volume(mixup.partners[at], partner)?;
                mixup.mix(to, partner);
            }
        }
        Ok(())
    }

    /// One step of the optimiser on the subjects of a batch. Gives the loss of the batch. A batch that is larger than
    /// the plan goes through in parts, whose gradients are summed.
    fn step(
        &self,
        pass: &Pass<'_>,
        state: &mut Checkpoint,
        plan: &mut Plan,
        (Step { members, mixup, parts }, inputs): (&Step, &Inputs),
        sums: &mut Sums,
        summed: &mut Vec<Vec<f32>>,
    ) -> Result<f64> {
        let outputs = state.network.outputs();
        let step = state.optimizer.steps();
        let rate = pass.schedule.rate(self.options.learning_rate, step);
        let mut value = 0.0;
        for (number, part) in parts.iter().enumerate() {
            plan.set_dropout(self.dropout(number).value(), step);
            let of_part = &members[part.clone()];
            let mut gradient = vec![0.0; part.len() * outputs];
            let mut tape = inputs.next(|input| Ok(plan.forward(input)?))?;
            match mixup {
                None => {
                    value += pass.loss.part(tape.output(), of_part, members, &mut gradient)?;
                    pass.loss.judge(tape.output(), of_part, sums);
                }
                Some(mixup) => {
                    let partners = &mixup.partners[part.clone()];
                    let (pair, whole) = ((of_part, partners), (members.as_slice(), mixup));
                    value += pass.loss.mixed_part(tape.output(), pair, whole, &mut gradient)?;
                    pass.loss.judge_mixed(tape.output(), of_part, partners, mixup, sums);
                }
            }
            tape.backward(&gradient, &Rules::GRADIENT)?;
            let gradients = tape.weight_gradients()?;
            if parts.len() == 1 {
                state.optimizer.step(&mut state.network, gradients, rate)?;
            } else {
                add(summed, gradients, number == 0);
                if number + 1 == parts.len() {
                    state.optimizer.step(&mut state.network, summed, rate)?;
                }
            }
            plan.update_running_statistics(&mut state.network)?;
        }
        if !value.is_finite() {
            let what = format!("the loss is {value} in fold {}, epoch {}", self.fold, pass.epoch + 1);
            return Err(match self.extreme(members)? {
                Some((id, found)) => Error::subject(
                    id,
                    format!("{what}, and {found}"),
                    remedy![
                        "look at its image with `",
                        Action::new("inspect"),
                        "`, mend it and prepare the cohort again"
                    ],
                ),
                None => Error::request(
                    what,
                    remedy!["use a lower ", LR, ", or a cohort prepared with ", NORMALIZE.to("robust")],
                ),
            });
        }
        sums.loss += value * members.len() as f64;
        sums.learning_rate = rate;
        if let Some(average) = &mut state.average {
            average.update(&state.network)?;
        }
        plan.update_weights(&state.network)?;
        Ok(value)
    }

    /// The subject of a batch whose largest value is more than ten times the middle one of all, in words.
    fn extreme(&self, members: &[usize]) -> Result<Option<(&str, String)>> {
        let mut largest = Vec::new();
        for &n in members {
            let size = self.dataset.with(n, |values| values.iter().fold(0.0f32, |a, v| a.max(v.abs())))?;
            largest.push((size, n));
        }
        largest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (Some(&(size, n)), Some(&(middle, _))) = (largest.last(), largest.get(largest.len() / 2)) else {
            return Ok(None);
        };
        // Of one subject, or of two, the middle one is the largest itself.
        let middle = if largest.len() < 3 { largest[0].0 } else { middle };
        Ok((size > 10.0 * middle || size > 1e6).then(|| {
            (
                self.dataset.id(n),
                format!("its prepared volume goes to {size}, where others of its batch end at {middle}"),
            )
        }))
    }

    /// Where the dropout masks of a part of a batch start.
    fn dropout(&self, part: usize) -> Seed {
        let seed = self.seed.child("dropout");
        if part == 0 { seed } else { seed.index(part as u64) }
    }

    /// Ends an epoch: validates the network where subjects are set aside, keeps the best one, writes learning curve and
    /// checkpoint. Gives the epoch with its validation loss.
    fn validate(
        &self,
        state: &mut Checkpoint,
        mut epoch: Epoch,
        validation: &[usize],
        objective: Option<Objective>,
    ) -> Result<Epoch> {
        if !validation.is_empty() {
            let loss = match objective {
                Some(objective) => self.validate_values(state.judged(), &mut epoch, validation, objective)?,
                None => self.validate_classes(state.judged(), &mut epoch, validation)?,
            };
            epoch.validation_loss = Some(loss);
            let least = state.history.iter().filter_map(|e| e.validation_loss).fold(f64::INFINITY, f64::min);
            if loss < least {
                state.best = Some((epoch.epoch, state.judged().clone()));
            }
        }
        state.history.push(epoch.clone());
        let path = self.files.history();
        let mut lines = String::new();
        for epoch in &state.history {
            let line = serde_json::to_string(epoch)
                .map_err(|e| Error::file(&path, format!("epoch {}: no JSON: {e}", epoch.epoch), "report this"))?;
            lines.push_str(&line);
            lines.push('\n');
        }
        atomic_file::write(&path, lines.as_bytes())?;
        state.write(&self.files.checkpoint())?;
        Ok(epoch)
    }

    /// Loss of the network on the subjects set aside; notes the share told right.
    fn validate_classes(&self, network: &Network, epoch: &mut Epoch, validation: &[usize]) -> Result<f64> {
        let probabilities = predict(network, validation, self.dataset, self.options.batch, self.engine)?;
        let labels = validation.iter().map(|&n| self.dataset.labels[n]);
        // A probability that rounds to 0 would make the loss infinite.
        let losses = probabilities.iter().zip(labels.clone()).map(|(p, l)| -p[l].max(1e-300).ln());
        let loss = losses.sum::<f64>() / validation.len() as f64;
        let correct = probabilities.iter().zip(labels).filter(|(p, l)| argmax(*p) == *l).count();
        epoch.validation_accuracy = Some(correct as f64 / validation.len() as f64);
        Ok(loss)
    }

    /// The same of values; notes the mean absolute error.
    fn validate_values(
        &self,
        network: &Network,
        epoch: &mut Epoch,
        validation: &[usize],
        objective: Objective,
    ) -> Result<f64> {
        let outputs = predictions::outputs(network, validation, self.dataset, self.options.batch, self.engine)?;
        let outputs: Vec<f32> = outputs.concat();
        let loss = self.loss(network, validation, Some(objective));
        let mut sums = Sums::default();
        loss.judge(&outputs, validation, &mut sums);
        epoch.validation_error = Some(sums.error / validation.len() as f64);
        loss.evaluate(&outputs, validation, &mut vec![0.0; outputs.len()])
    }
}

/// Weight and bias of the last layer.
fn last_layer(network: &mut Network) -> Result<[&mut Tensor; 2]> {
    let names: Vec<String> = network.parameters().iter().rev().take(2).map(|p| p.name.clone()).collect();
    let node = names.first().and_then(|name| name.strip_suffix(".bias"));
    if node.is_none() || names.get(1).and_then(|name| name.strip_suffix(".weight")) != node {
        return Err(Error::request("the last layer of the network has no weight and bias", "report this"));
    }
    let mut all = network.parameters_mut();
    match (all.pop(), all.pop()) {
        (Some(bias), Some(weight)) => Ok([weight, bias]),
        _ => Err(Error::request("the network has no layer", "report this")),
    }
}

/// Folds the scale of the values into the last layer of a network that was trained on standardised values: it then answers in
/// their own unit.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn answer_in_unit(network: &mut Network, standard: Standard) -> Result<()> {
    let [weight, bias] = last_layer(network)?;
    weight.data_mut().iter_mut().for_each(|w| *w = (f64::from(*w) * standard.scale) as f32);
    bias.data_mut().iter_mut().for_each(|b| *b = (f64::from(*b) * standard.scale + standard.mean) as f32);
    Ok(())
}

/// Consecutive ranges over `n`, as few as hold at most `batch` each, whose lengths differ by at most one: a last
/// batch of one (possible for `batch` 2 alone) would leave batch normalisation to the voxels of one subject.
fn batches(n: usize, batch: usize) -> Vec<Range<usize>> {
    let count = n.div_ceil(batch).max(1);
    (0..count).map(|b| b * n / count..(b + 1) * n / count).collect()
}

/// Adds gradients to their sums, or replaces the sums by them where they are the `first`.
fn add(sums: &mut Vec<Vec<f32>>, gradients: &[Vec<f32>], first: bool) {
    if first {
        sums.resize(gradients.len(), Vec::new());
        sums.iter_mut().zip(gradients).for_each(|(sum, gradient)| sum.clone_from(gradient));
        return;
    }
    for (sum, gradient) in sums.iter_mut().zip(gradients) {
        sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g);
    }
}

/// An epoch in a few words, for progress.
fn describe(epoch: &Epoch) -> String {
    let mut text = format!("loss {:.3}", epoch.loss);
    if let Some(accuracy) = epoch.accuracy {
        text.push_str(&format!(", accuracy {accuracy:.2}"));
    }
    if let Some(error) = epoch.error {
        text.push_str(&format!(", error {}", significant(error, 3)));
    }
    if let Some(validation) = epoch.validation_loss {
        text.push_str(&format!(", set aside {validation:.3}"));
    }
    text
}

/// Copies the channels of a subject, volumes one after another, into `to`, changed at random. The draws are the same for every channel: they
/// are images of one brain, and stay on each other.
pub(super) fn vary(
    augment: &Augmentation,
    (from, mask): (&[f32], &[bool]),
    place: Place,
    to: &mut [f32],
    (seed, scratch): (Seed, &mut Scratch),
) {
    let voxels = place.shape.iter().product();
    for (from, to) in from.chunks_exact(voxels).zip(to.chunks_exact_mut(voxels)) {
        augment.vary((from, mask), place, to, (seed, scratch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_nn::ValueLoss;

    #[test]
    fn batches_are_even_and_never_single() {
        assert_eq!(batches(9, 4), [0..3, 3..6, 6..9]);
        assert_eq!(batches(8, 4), [0..4, 4..8]);
        for n in 2..60 {
            for batch in 2..20 {
                let all = batches(n, batch);
                assert_eq!((all[0].start, all[all.len() - 1].end), (0, n));
                assert!(all.windows(2).all(|w| w[0].end == w[1].start));
                assert!(all.iter().all(|b| b.len() <= batch && (b.len() >= 2 || batch == 2)), "{n} {batch}");
            }
        }
    }

    /// By hand: logits 0 and ln 2, so that p = 1/3, 2/3; a quarter of the truth is the partner's. In two parts it is the same.
    #[test]
    fn mixed_truths_have_the_mixed_loss() {
        let labels = [0, 1];
        let mixup = Mixup { share: 0.75, partners: vec![1, 0] };
        let loss = Loss::Classes(CrossEntropy::default(), &labels);
        let outputs = [0.0, 2f32.ln(), 0.0, 2f32.ln()];
        let mut gradient = [0.0; 4];
        let whole = loss.mixed_part(&outputs, (&[0, 1], &[1, 0]), (&[0, 1], &mixup), &mut gradient).unwrap();
        let (of_0, of_1) = (3f64.ln(), 1.5f64.ln());
        let expected = f64::midpoint(0.75 * of_0 + 0.25 * of_1, 0.25 * of_0 + 0.75 * of_1);
        assert!((whole - expected).abs() < 1e-6, "{whole} {expected}");
        let hand = [1.0 / 3.0 - 0.75, 2.0 / 3.0 - 0.25, 1.0 / 3.0 - 0.25, 2.0 / 3.0 - 0.75];
        assert!(gradient.iter().zip(hand).all(|(g, h)| (f64::from(*g) - h / 2.0).abs() < 1e-6), "{gradient:?}");
        let mut sums = Sums::default();
        loss.judge_mixed(&outputs, &[0, 1], &[1, 0], &mixup, &mut sums);
        assert!((sums.correct - 1.0).abs() < 1e-12);
        let mut parts = 0.0;
        for (n, partner) in [(0, 1), (1, 0)] {
            let mut of_part = [0.0; 2];
            parts += loss.mixed_part(&outputs[..2], (&[n], &[partner]), (&[0, 1], &mixup), &mut of_part).unwrap();
            assert!(of_part.iter().zip(&gradient[2 * n..]).all(|(a, b)| (a - b).abs() < 1e-6));
        }
        assert!((parts - whole).abs() < 1e-6);
        // Values: standardised they are -1 and 1, mixed -0.5 and 0.5.
        let (values, standard) = ([10.0, 30.0], Standard { mean: 20.0, scale: 10.0 });
        let loss = Loss::Value(Objective::Error(ValueLoss::Mse, standard), &values);
        let mut gradient = [0.0; 2];
        let found = loss.mixed_part(&[0.0, 0.5], (&[0, 1], &[1, 0]), (&[0, 1], &mixup), &mut gradient).unwrap();
        assert!((found - 0.125).abs() < 1e-12 && gradient == [0.5, 0.0], "{found} {gradient:?}");
        let mut sums = Sums::default();
        loss.judge_mixed(&[0.0, 0.5], &[0, 1], &[1, 0], &mixup, &mut sums);
        assert!((sums.error - 5.0).abs() < 1e-12);
    }

    #[test]
    fn gradients_are_summed_over_parts() {
        let mut sums = Vec::new();
        add(&mut sums, &[vec![1.0, 2.0], vec![3.0]], true);
        add(&mut sums, &[vec![0.5, -2.0], vec![1.0]], false);
        assert_eq!(sums, [vec![1.5, 0.0], vec![4.0]]);
        add(&mut sums, &[vec![7.0, 7.0], vec![7.0]], true);
        assert_eq!(sums, [vec![7.0, 7.0], vec![7.0]]);
    }
}
