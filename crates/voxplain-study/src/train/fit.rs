//! [`Fit`]: the training of one fold's network.

use super::{Holding, Rate, TrainOptions, TrainingObserver, checkpoint::Checkpoint, data::Data, folds};
use crate::{Error, Progress, Result, atomic_file, memory, model::mrinet, run::Epoch};
use std::path::Path;
use voxplain_core::argmax;
use voxplain_nn::{
    AdamOptions, CrossEntropy, Engine, Method, Network, Optimizer, Plan, PlanOptions, Purpose, Rules, Schedule,
    random::Seed,
};

/// Share of the training part that early stopping sets aside. Our choice.
const ASIDE: f64 = 0.15;

/// What the training of one fold needs.
pub(super) struct Fit<'a> {
    pub(super) fold: usize,
    /// Positions of those trained on.
    pub(super) train: &'a [usize],
    pub(super) data: &'a Data<'a>,
    pub(super) options: &'a TrainOptions,
    pub(super) engine: &'a Engine,
    pub(super) seed: Seed,
    /// Where the learning curve and the checkpoint go.
    pub(super) folder: &'a Path,
}

impl Fit<'_> {
    /// Trains from where the fold stands to its end. Gives the network and the number of epochs it was trained for.
    pub(super) fn run(&self, progress: &dyn Progress, observer: &dyn TrainingObserver) -> Result<(Network, usize)> {
        let (learn, aside) = self.set_aside()?;
        let mut network = mrinet(self.data.shape(), self.options.width, self.data.classes.len())?;
        network.initialize(self.seed.child("weights").value());
        let method = Method::Adam(AdamOptions {
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            weight_decay: self.options.weight_decay as f32,
            ..AdamOptions::default()
        });
        let mut state = Checkpoint::read(self.folder, &network, &method)?.unwrap_or_else(|| Checkpoint {
            network,
            optimizer: Optimizer::new(method),
            history: Vec::new(),
            best: None,
        });
        let batches = batches(learn.len(), self.options.batch);
        let most = batches.iter().map(std::ops::Range::len).max().unwrap_or(0);
        let mut plan = self.plan(&state.network, most, progress)?;

        progress.begin(&format!("fold {}", self.fold), self.options.epochs);
        if !state.history.is_empty() {
            progress.advance(state.history.len(), "going on where it stopped");
        }
        state.history.iter().for_each(|epoch| observer.epoch(self.fold, epoch));
        let mut work = || -> Result<()> {
            while state.history.len() < self.options.epochs && !self.stopped(&state.history, &state) {
                let epoch = self.epoch(&mut state, &mut plan, &learn, &batches, progress)?;
                self.after_epoch(&mut state, epoch, &aside)?;
                state.history.last().into_iter().for_each(|epoch| observer.epoch(self.fold, epoch));
                progress.advance(1, &state.history.last().map(describe).unwrap_or_default());
            }
            Ok(())
        };
        let done = work();
        progress.end();
        done?;
        let epochs = state.history.len();
        Ok(match state.best {
            Some((epoch, network)) => (network, epoch),
            None => (state.network, epochs),
        })
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

    /// Those learnt from and, for early stopping, those set aside: dealt like the folds.
    fn set_aside(&self) -> Result<(Vec<usize>, Vec<usize>)> {
        if self.options.early_stop.is_none() {
            return Ok((self.train.to_vec(), Vec::new()));
        }
        let labels: Vec<_> = self.train.iter().map(|&n| self.data.labels[n]).collect();
        let groups: Option<Vec<_>> = self.data.groups.as_ref().map(|g| self.train.iter().map(|&n| g[n]).collect());
        let holding = Holding::Holdout(ASIDE);
        let splits = folds::splits(&labels, groups.as_deref(), holding, self.seed.child("set-aside"))?;
        folds::check(&splits, &labels, groups.as_deref(), &self.data.classes, holding)?;
        let of = |part: &[usize]| part.iter().map(|&n| self.train[n]).collect();
        Ok((of(&splits[0].train), of(&splits[0].test)))
    }

    fn stopped(&self, history: &[Epoch], state: &Checkpoint) -> bool {
        match (self.options.early_stop, &state.best) {
            (Some(patience), Some((best, _))) => history.len() >= best + patience,
            _ => false,
        }
    }

    /// One pass over those learnt from.
    fn epoch(
        &self,
        state: &mut Checkpoint,
        plan: &mut Plan,
        learn: &[usize],
        batches: &[std::ops::Range<usize>],
        progress: &dyn Progress,
    ) -> Result<Epoch> {
        let number = state.history.len();
        let order = self.seed.child("order").index(number as u64).random().permutation(learn.len());
        let variations = self.seed.child("augmentation").index(number as u64);
        let shape = self.data.shape();
        let voxels: usize = shape.iter().product();
        let classes = self.data.classes.len();
        let mut loss = CrossEntropy::of(&state.network);
        if self.options.balanced {
            let labels: Vec<usize> = learn.iter().map(|&n| self.data.labels[n]).collect();
            loss = loss.balanced(&labels, classes);
        }
        let schedule = match self.options.schedule {
            Rate::Constant => Schedule::Constant,
            Rate::Cosine => Schedule::Cosine { epochs: (self.options.epochs * batches.len()) as u64, last: 0.0 },
        };
        let (mut total, mut right, mut rate) = (0.0, 0, self.options.learning_rate);
        let mut input = Vec::new();
        let mut sums: Vec<Vec<f32>> = Vec::new();
        progress.begin(&format!("epoch {}", number + 1), batches.len());
        let mut all = || -> Result<()> {
            for batch in batches {
                progress.go_on()?;
                let members: Vec<usize> = order[batch.clone()].iter().map(|&n| learn[n]).collect();
                let labels: Vec<usize> = members.iter().map(|&n| self.data.labels[n]).collect();
                let step = state.optimizer.steps();
                rate = schedule.rate(self.options.learning_rate, step);
                let parts = self::batches(members.len(), plan.batch());
                let mut value = 0.0;
                for (number, part) in parts.iter().enumerate() {
                    input.resize(part.len() * voxels, 0.0);
                    for (&n, to) in members[part.clone()].iter().zip(input.chunks_exact_mut(voxels)) {
                        let mut random = variations.index(n as u64).random();
                        self.data.with(n, |from| self.options.augment.apply(from, shape, to, &mut random))?;
                    }
                    plan.set_dropout(self.dropout(number).value(), step);
                    let labels_of = &labels[part.clone()];
                    let share = loss.total(labels_of) / loss.total(&labels);
                    let mut gradient = vec![0.0; part.len() * classes];
                    let mut tape = plan.forward(&input)?;
                    // A part of people whose classes weigh nothing adds nothing.
                    if share > 0.0 {
                        value += share * loss.evaluate(tape.output(), labels_of, &mut gradient)?;
                        #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
                        gradient.iter_mut().for_each(|g| *g = (f64::from(*g) * share) as f32);
                    }
                    let rows = tape.output().chunks_exact(classes);
                    right += rows.zip(labels_of).filter(|(o, l)| argmax(o) == **l).count();
                    tape.backward(&gradient, &Rules::GRADIENT)?;
                    let gradients = tape.weight_gradients()?;
                    if parts.len() == 1 {
                        state.optimizer.step(&mut state.network, gradients, rate)?;
                    } else {
                        add(&mut sums, gradients, number == 0);
                        if number + 1 == parts.len() {
                            state.optimizer.step(&mut state.network, &sums, rate)?;
                        }
                    }
                    plan.update_running_statistics(&mut state.network)?;
                }
                if !value.is_finite() {
                    return Err(Error::request(
                        format!("the loss is {value} in fold {}, epoch {}", self.fold, number + 1),
                        "use a lower --lr, or a cohort prepared with --normalize robust",
                    ));
                }
                total += value * members.len() as f64;
                plan.update_weights(&state.network)?;
                progress.advance(1, &format!("loss {value:.3}"));
            }
            Ok(())
        };
        let done = all();
        progress.end();
        done?;
        let n = learn.len() as f64;
        Ok(Epoch {
            epoch: number + 1,
            learning_rate: rate,
            loss: total / n,
            accuracy: right as f64 / n,
            validation_loss: None,
            validation_accuracy: None,
        })
    }

    /// Where the dropout masks of a part of a batch start.
    fn dropout(&self, part: usize) -> Seed {
        let seed = self.seed.child("dropout");
        if part == 0 { seed } else { seed.index(part as u64) }
    }

    /// Judges those set aside, keeps the best, writes learning curve and checkpoint.
    fn after_epoch(&self, state: &mut Checkpoint, mut epoch: Epoch, aside: &[usize]) -> Result<()> {
        if !aside.is_empty() {
            let said = infer(&state.network, aside, self.data, self.options.batch, self.engine)?;
            let labels = aside.iter().map(|&n| self.data.labels[n]);
            // A probability that rounds to 0 would make the loss infinite.
            let losses = said.iter().zip(labels.clone()).map(|(p, l)| -p[l].max(1e-300).ln());
            let loss = losses.sum::<f64>() / aside.len() as f64;
            let right = said.iter().zip(labels).filter(|(p, l)| argmax(p) == *l).count();
            epoch.validation_loss = Some(loss);
            epoch.validation_accuracy = Some(right as f64 / aside.len() as f64);
            let least = state.history.iter().filter_map(|e| e.validation_loss).fold(f64::INFINITY, f64::min);
            if loss < least {
                state.best = Some((epoch.epoch, state.network.clone()));
            }
        }
        state.history.push(epoch);
        let mut lines = String::new();
        for epoch in &state.history {
            lines.push_str(&serde_json::to_value(epoch).unwrap_or_default().to_string());
            lines.push('\n');
        }
        atomic_file::write(&self.folder.join("history.jsonl"), lines.as_bytes())?;
        state.write(self.folder)
    }
}

/// Probabilities that a network gives each of some people, in double precision from its outputs.
pub(super) fn infer(
    network: &Network,
    people: &[usize],
    data: &Data<'_>,
    batch: usize,
    engine: &Engine,
) -> Result<Vec<Vec<f64>>> {
    let voxels: usize = data.shape().iter().product();
    let options = PlanOptions { purpose: Purpose::Infer, batch: batch.min(people.len()), keep: Vec::new() };
    let mut plan = engine.plan(network, &options)?;
    let mut all = Vec::with_capacity(people.len());
    let mut input = Vec::new();
    for members in people.chunks(options.batch) {
        input.resize(members.len() * voxels, 0.0);
        for (&n, to) in members.iter().zip(input.chunks_exact_mut(voxels)) {
            data.with(n, |from| to.copy_from_slice(from))?;
        }
        let tape = plan.forward(&input)?;
        for (row, &n) in tape.output().chunks_exact(data.classes.len()).zip(members) {
            if row.iter().any(|v| !v.is_finite()) {
                return Err(Error::Subject {
                    subject: data.cohort.subjects[data.subjects[n]].id.clone(),
                    what: format!("the network's outputs are {row:?}"),
                    remedy: "train again with a lower --lr".into(),
                });
            }
            let normalizer = voxplain_nn::loss::log_sum_exp(row);
            all.push(row.iter().map(|&v| (f64::from(v) - normalizer).exp()).collect());
        }
    }
    Ok(all)
}

/// Consecutive ranges over `n`, as few as hold at most `batch` each, whose lengths differ by at most one: a last
/// batch of one (possible for `batch` 2 alone) would leave batch normalisation to the voxels of one subject.
fn batches(n: usize, batch: usize) -> Vec<std::ops::Range<usize>> {
    let count = n.div_ceil(batch).max(1);
    (0..count).map(|b| b * n / count..(b + 1) * n / count).collect()
}

/// Adds gradients to their sums, or begins anew with them.
pub(super) fn add(sums: &mut Vec<Vec<f32>>, gradients: &[Vec<f32>], anew: bool) {
    if anew {
        sums.resize(gradients.len(), Vec::new());
        sums.iter_mut().zip(gradients).for_each(|(sum, gradient)| sum.clone_from(gradient));
        return;
    }
    for (sum, gradient) in sums.iter_mut().zip(gradients) {
        sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g);
    }
}

fn describe(epoch: &Epoch) -> String {
    let mut text = format!("loss {:.3}, accuracy {:.2}", epoch.loss, epoch.accuracy);
    if let Some(validation) = epoch.validation_loss {
        text.push_str(&format!(", set aside {validation:.3}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
