//! `voxplain bench`.

use crate::{
    argument,
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::time::{Duration, Instant};
use voxplain::attribution::{Case, Explainer, MaskSearch, MeaningfulPerturbation};
use voxplain::model::NetworkKind;
use voxplain::nn::{
    AdamOptions, CrossEntropy, Engine, InstructionSet, MemoryUse, Network, Optimizer, OptimizerKind, PlanOptions,
    Purpose, Rules,
};
use voxplain::random::Seed;
use voxplain::volume::{Affine, Grid, Volume};

/// Rounds of a repeat of [`Workload::Peak`]: some milliseconds.
const PEAK_ROUNDS: usize = 1_000_000;

/// How long each repeat took, and what the plan held.
type Times = (Vec<Duration>, Option<MemoryUse>);

/// Measure how fast the engine is on this machine.
///
/// Weights and inputs are random, by seed; nothing is read. Two repeats are made before the clock starts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain bench --workload infer
  voxplain bench --workload input-gradient --batch 8 --threads 2 --json
  voxplain bench --workload train --model resnet18 --grid 96x112x96 --batch 4")]
pub(crate) struct Bench {
    /// What to do over and over.
    #[arg(long, value_enum)]
    workload: Workload,
    /// The network.
    #[arg(long, default_value = NetworkKind::Mrinet.name(), value_parser = NetworkKind::ALL.map(NetworkKind::name))]
    model: String,
    /// Volumes at a time (`perturbation`: jittered copies of one volume).
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// How often; the median is reported.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Size of the volumes.
    #[arg(long, value_name = "IxJxK", default_value = "58x70x58", value_parser = argument::shape)]
    grid: [usize; 3],
    /// Where the random numbers start.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

/// What to do over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Workload {
    /// Logits of a batch.
    Infer,
    /// Logits of a batch, and the gradient of one class at the input.
    InputGradient,
    /// One step of training: forward by batch statistics, weight gradients, Adam.
    Train,
    /// One iteration of Meaningful Perturbation on one volume, with so many jittered copies as a batch.
    Perturbation,
    /// Multiplications and additions in registers alone: the most the machine can do, whatever the network.
    Peak,
}

/// The result.
#[derive(Debug, Serialize)]
struct Measured<'a> {
    workload: Workload,
    model: &'a str,
    batch: usize,
    threads: usize,
    repeats: usize,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    /// Multiplications and additions of convolutions and linear layers as they are written out, forwards and back,
    /// by the median time.
    gflops: f64,
    /// Most memory the process has held; none where the system does not say.
    peak_rss_mb: Option<f64>,
    /// Size of the volumes.
    grid: [usize; 3],
    /// Instructions that were used.
    instructions: InstructionSet,
    /// Bytes that the compiled network holds, by what they are for; none where there is none.
    plan: Option<MemoryUse>,
}

impl Bench {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let engine = session.engine()?;
        let kind = NetworkKind::named(&self.model)?;
        // As published.
        let width = if kind == NetworkKind::Mrinet { 32 } else { kind.width() };
        let mut network = kind.network(self.grid, width, 2)?;
        kind.initialize(&mut network, self.seed);
        let [forward, to_input, to_weights] = operations(&network);
        let batch = f64::from(self.batch);
        let ((mut times, plan), operations) = match self.workload {
            Workload::Infer => (self.passes(&engine, &network, Purpose::Infer)?, batch * forward),
            Workload::InputGradient => {
                (self.passes(&engine, &network, Purpose::InputGradient)?, batch * (forward + to_input))
            }
            Workload::Train => {
                let once = forward + to_input + to_weights - first_layer(&network);
                (self.train(&engine, &mut network)?, batch * once)
            }
            Workload::Perturbation => (self.perturbation(&engine, &network)?, batch * (forward + to_input)),
            Workload::Peak => {
                let mut done = 0.0;
                let times = self.timed(|| {
                    done = engine.multiply_add(PEAK_ROUNDS);
                    Ok(())
                })?;
                ((times, None), done)
            }
        };
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let middle = times.len() / 2;
        let median =
            if times.len() % 2 == 1 { ms(times[middle]) } else { (ms(times[middle - 1]) + ms(times[middle])) / 2.0 };
        let measured = Measured {
            workload: self.workload,
            model: &self.model,
            batch: usize::from(self.batch),
            threads: engine.thread_pool().threads(),
            repeats: times.len(),
            median_ms: median,
            min_ms: ms(times[0]),
            max_ms: ms(times[times.len() - 1]),
            gflops: operations / median / 1e6,
            peak_rss_mb: voxplain::memory::peak().map(|bytes| bytes as f64 / f64::from(1 << 20)),
            grid: self.grid,
            instructions: engine.instruction_set(),
            plan,
        };
        let mut text = format!(
            "{} of {} on {}x{}x{}, batch {}, {} threads, {}: median {:.2} ms, fastest {:.2}, slowest {:.2} (of {}); {:.0} GFLOP/s{}",
            name(self.workload),
            self.model,
            self.grid[0],
            self.grid[1],
            self.grid[2],
            measured.batch,
            measured.threads,
            match measured.instructions {
                InstructionSet::Avx512 => "AVX-512",
                InstructionSet::Avx2 => "AVX2",
                InstructionSet::Portable => "portable instructions",
            },
            measured.median_ms,
            measured.min_ms,
            measured.max_ms,
            measured.repeats,
            measured.gflops,
            measured.peak_rss_mb.map_or_else(String::new, |mb| format!("; at most {mb:.0} MB of memory")),
        );
        if let Some(plan) = plan {
            text.push_str(&format!("\nplan: {plan}"));
        }
        session.result(&measured, &text)?;
        Ok(Outcome::Done)
    }

    /// Values of volumes.
    #[expect(clippy::cast_possible_truncation, reason = "volumes are f32")]
    fn values(&self, count: usize) -> Vec<f32> {
        let mut random = Seed::new(self.seed).child("input").random();
        (0..count * self.grid.iter().product::<usize>()).map(|_| random.normal() as f32).collect()
    }

    fn timed(&self, mut step: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<Duration>> {
        for _ in 0..2 {
            step()?;
        }
        let time = |_| {
            let start = Instant::now();
            step()?;
            Ok(start.elapsed())
        };
        (0..self.repeats).map(time).collect()
    }

    fn passes(&self, engine: &Engine, network: &Network, purpose: Purpose) -> anyhow::Result<Times> {
        let batch = usize::from(self.batch);
        let mut plan = engine.plan(network, &PlanOptions { purpose, batch, keep: vec![] })?;
        let (x, seed) = (self.values(batch), [0.0, 1.0].repeat(batch));
        let memory = plan.memory();
        let times = self.timed(|| {
            let mut tape = plan.forward(&x)?;
            if purpose == Purpose::InputGradient {
                tape.backward(&seed, &Rules::GRADIENT)?;
            }
            Ok(())
        })?;
        Ok((times, Some(memory)))
    }

    fn train(&self, engine: &Engine, network: &mut Network) -> anyhow::Result<Times> {
        let batch = usize::from(self.batch);
        let mut plan = engine.plan(network, &PlanOptions { purpose: Purpose::Train, batch, keep: vec![] })?;
        let (x, mut seed) = (self.values(batch), vec![0.0; 2 * batch]);
        let labels: Vec<usize> = (0..batch).map(|sample| sample % 2).collect();
        let loss = CrossEntropy::of(network);
        let mut optimizer = Optimizer::new(OptimizerKind::Adam(AdamOptions::default()));
        let mut step = 0;
        let memory = plan.memory();
        let times = self.timed(|| {
            plan.set_dropout(self.seed, step);
            step += 1;
            let mut tape = plan.forward(&x)?;
            loss.evaluate(tape.output(), &labels, &mut seed)?;
            tape.backward(&seed, &Rules::GRADIENT)?;
            optimizer.step(network, tape.weight_gradients()?, 3e-4)?;
            plan.update_running_statistics(network)?;
            plan.update_weights(network)?;
            Ok(())
        })?;
        Ok((times, Some(memory)))
    }

    fn perturbation(&self, engine: &Engine, network: &Network) -> anyhow::Result<Times> {
        let grid = Grid::new(self.grid, Affine::from_spacing_origin([3.0; 3], [0.0; 3]))?;
        let volume = Volume::new(grid, self.values(1))?;
        let classes = ["a".to_owned(), "b".to_owned()];
        let mut explainer = Explainer::new(engine, network, &classes, "random".into())?;
        let options = MeaningfulPerturbation {
            copies: usize::from(self.batch),
            iterations: usize::MAX,
            patience: 0,
            ..MeaningfulPerturbation::default()
        };
        let mut search = MaskSearch::new(&options, &mut explainer, &Case::new("random", &volume))?;
        let memory = explainer.plan(Purpose::InputGradient, options.copies, &[])?.memory();
        let times = self.timed(|| {
            search.step(&mut explainer)?;
            Ok(())
        })?;
        Ok((times, Some(memory)))
    }
}

/// A value as it is typed.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Multiplications and additions for one volume: forward, back to the input, back to the weights.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn operations(network: &Network) -> [f64; 3] {
    let count: usize =
        network.nodes().iter().zip(network.shapes()).map(|(node, shape)| node.op.multiply_adds(&shape)).sum();
    [count as f64; 3]
}

/// Those of the first layer, whose input needs no gradient in training.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn first_layer(network: &Network) -> f64 {
    let mut counts = network.nodes().iter().zip(network.shapes()).map(|(node, shape)| node.op.multiply_adds(&shape));
    counts.find(|count| *count > 0).unwrap_or(0) as f64
}
