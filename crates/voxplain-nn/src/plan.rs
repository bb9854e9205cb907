//! [`Engine`], [`Plan`], [`Tape`]: networks compiled for one purpose, run forward and walked back.
//!
//! ```no_run
//! # fn main() -> voxplain_nn::Result<()> {
//! # let network = voxplain_nn::Network::new([1, 58, 70, 58]);
//! # let volume = vec![0.0; 58 * 70 * 58];
//! use voxplain_nn::{Engine, EngineOptions, PlanOptions, Purpose, Rules};
//! let engine = Engine::new(EngineOptions::default())?;
//! let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: vec![] };
//! let mut plan = engine.plan(&network, &options)?;
//! let mut tape = plan.forward(&volume)?;
//! let map = tape.backward(&[0.0, 1.0], &Rules::GUIDED)?;
//! assert_eq!(map.input.len(), volume.len());
//! # Ok(())
//! # }
//! ```

mod compile;
mod memory;
mod run;
mod step;
mod weights;

use crate::cpu::{Isa, Scratch, rearrange};
use crate::{Backward, Error, Network, NodeId, Result, Rules, RulesApplied, Tensor};
use std::sync::Arc;

/// Which instructions the CPU engine uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstructionSet {
    /// Whatever Rust's target has: runs anywhere.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 (F, BW, VL, DQ).
    Avx512,
}

/// How an engine runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Number of threads; all cores when `None`. Results do not depend on it.
    pub threads: Option<usize>,
    /// Instructions to use; the best the machine has when `None`. `VOXPLAIN_ISA` (`portable`, `avx2`,
    /// `avx512`) sets it where this does not. Instructions that the machine lacks are refused.
    pub instruction_set: Option<InstructionSet>,
}

/// Runs networks on the CPU. Cheap to clone; clones share threads.
#[derive(Clone, Debug)]
pub struct Engine {
    pool: Arc<rayon::ThreadPool>,
    isa: Isa,
}

/// What a plan is for: it decides what is fused and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Outputs only. Batch-norm by running statistics, dropout off.
    Infer,
    /// Outputs, and the walk back to the input. Batch-norm by running statistics, dropout off.
    InputGradient,
    /// Outputs, weight gradients. Batch statistics, dropout on.
    Train,
}

/// What to compile a network for.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// What the plan is for.
    pub purpose: Purpose,
    /// The largest batch it will see.
    pub batch: usize,
    /// Nodes whose values and gradients will be asked for ([`Tape::value`], [`Tape::gradient`]); never fused away.
    pub keep: Vec<NodeId>,
}

/// A network compiled for one shape and purpose, with all memory it will need.
#[derive(Debug)]
pub struct Plan {
    engine: Engine,
    purpose: Purpose,
    /// Most samples.
    batch: usize,
    /// Samples that go through the network together.
    group: usize,
    /// Values of a sample of the input.
    input: usize,
    /// Values of a sample of the output.
    outputs: usize,
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    /// Number of ReLUs.
    relus: usize,
    values: Vec<compile::Value>,
    steps: Vec<step::Step>,
    memory: memory::Memory,
    memory_use: MemoryUse,
    scratch: Scratch,
    seed: Option<memory::RegionId>,
    unreached: Vec<memory::RegionId>,
    output: Vec<f32>,
    input_gradient: Vec<f32>,
    /// Of each parameter.
    gradients: Vec<Vec<f32>>,
    dropout: (u64, u64),
    /// Samples of the last forward pass.
    samples: usize,
    /// Whether the last forward pass has been walked back.
    walked: bool,
}

/// Bytes that a plan holds, by what they are for. All but weights and scratch grow with the batch, in proportion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MemoryUse {
    /// Values and their gradients, laid out so that those that are not needed at the same time share their place.
    pub values: usize,
    /// Which value won in each window of a pool.
    pub winners: usize,
    /// The network's weights, arranged for the kernels.
    pub weights: usize,
    /// Gradients that are handed out: of the weights, or of the input.
    pub gradients: usize,
    /// What kernels work in, over all threads.
    pub scratch: usize,
}

impl MemoryUse {
    /// All of it.
    pub const fn total(&self) -> usize {
        self.values + self.winners + self.weights + self.gradients + self.scratch
    }
}

/// `37.2 MB: values 20.1, pool winners 3.0, weights 5.0, gradients 1.1, scratch 8.0`.
impl std::fmt::Display for MemoryUse {
    #[expect(clippy::cast_precision_loss, reason = "megabytes with one decimal")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: usize| bytes as f64 / 1e6;
        write!(
            f,
            "{:.1} MB: values {:.1}, pool winners {:.1}, weights {:.1}, gradients {:.1}, scratch {:.1}",
            mb(self.total()),
            mb(self.values),
            mb(self.winners),
            mb(self.weights),
            mb(self.gradients),
            mb(self.scratch)
        )
    }
}

/// One recorded forward pass.
#[derive(Debug)]
pub struct Tape<'a> {
    plan: &'a mut Plan,
}

impl Engine {
    /// An engine with its own threads.
    pub fn new(options: EngineOptions) -> Result<Self> {
        let isa = Isa::choose(options.instruction_set)?;
        if options.threads == Some(0) {
            return Err(Error::Request("0 threads; at least 1 is needed".into()));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads.unwrap_or(0))
            .thread_name(|index| format!("voxplain-{index}"))
            .build()
            .map_err(|error| Error::Request(format!("threads could not be started: {error}")))?;
        Ok(Self { pool: Arc::new(pool), isa })
    }

    /// Compiles a network; its weights are copied in.
    pub fn plan(&self, network: &Network, options: &PlanOptions) -> Result<Plan> {
        self.install(|| Plan::compile(self, network, options))
    }

    /// What a plan would hold in memory, without making it.
    pub fn memory(&self, network: &Network, options: &PlanOptions) -> Result<MemoryUse> {
        self.install(|| Plan::estimate(self, network, options))
    }

    /// The largest batch up to that of `options` whose plan holds at most `bytes`; an error where not even one sample
    /// fits.
    pub fn batch_within(&self, network: &Network, options: &PlanOptions, bytes: usize) -> Result<usize> {
        let total = |batch| {
            let options = PlanOptions { batch, keep: options.keep.clone(), purpose: options.purpose };
            Ok(self.memory(network, &options)?.total())
        };
        let (one, all) = (total(1)?, total(options.batch)?);
        if one > bytes {
            return Err(Error::Request(format!(
                "one volume needs {:.1} MB of memory, and {:.1} MB are allowed",
                one as f64 / 1e6,
                bytes as f64 / 1e6
            )));
        }
        if all <= bytes {
            return Ok(options.batch);
        }
        // More samples never take less.
        let (mut fits, mut too_many) = (1, options.batch);
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            if total(middle)? <= bytes { fits = middle } else { too_many = middle }
        }
        Ok(fits)
    }

    /// Runs work on this engine's threads (so that rayon inside uses them).
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// All threads multiply and add in registers, `rounds` times some dozens of lanes: gives how many floating-point
    /// operations that were. By the time it takes, that is the most this machine can do with these instructions.
    pub fn multiply_add(&self, rounds: usize) -> f64 {
        self.pool.broadcast(|_| crate::cpu::peak::multiply_add(self.isa, rounds)).into_iter().sum()
    }

    /// Instructions it uses.
    pub fn instruction_set(&self) -> InstructionSet {
        self.isa.set()
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }
}

impl Plan {
    /// Which dropout masks the next forward passes draw: they depend on seed, step, sample and unit alone.
    pub fn set_dropout(&mut self, seed: u64, step: u64) {
        self.dropout = (seed, step);
    }

    /// The largest batch it takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// What it holds in memory, all of it allocated when it was made.
    pub fn memory(&self) -> MemoryUse {
        self.memory_use
    }

    /// Bytes that it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory_use.total()
    }

    /// Groups of samples that go through the network together.
    fn groups(&self) -> impl Iterator<Item = run::Group> + use<> {
        let (samples, group) = (self.samples, self.group);
        (0..samples).step_by(group).map(move |first| run::Group { first, count: group.min(samples - first) })
    }

    /// Runs the network on `[n, C, i, j, k]`, `n` at most the plan's batch.
    pub fn forward(&mut self, input: &[f32]) -> Result<Tape<'_>> {
        let samples = input.len() / self.input;
        if input.is_empty() || !input.len().is_multiple_of(self.input) || samples > self.batch {
            return Err(Error::Request(format!(
                "found an input of {} values, expected 1 to {} samples of {:?}",
                input.len(),
                self.batch,
                self.shapes[0]
            )));
        }
        for step in &self.steps {
            if let step::Work::BatchNorm(work) = &step.work
                && samples * self.values[step.inputs[0]].volume.voxels() < 2
            {
                return Err(Error::Shape {
                    node: self.names[work.node].clone(),
                    what: "found 1 value per channel in the batch, expected at least 2 to normalise by".into(),
                });
            }
        }

        self.samples = samples;
        self.walked = false;
        let pool = Arc::clone(&self.engine.pool);
        pool.install(|| {
            for group in self.groups() {
                self.run_forward(group, &input[group.first * self.input..]);
            }
        });
        Ok(Tape { plan: self })
    }
}

impl Tape<'_> {
    /// Number of samples.
    #[allow(
        clippy::misnamed_getters,
        reason = "the plan's batch is the most it takes; the tape's is what it was given"
    )]
    pub fn batch(&self) -> usize {
        self.plan.samples
    }

    /// Output of the last node, `[n, classes]`.
    pub fn output(&self) -> &[f32] {
        &self.plan.output[..self.plan.samples * self.plan.outputs]
    }

    /// Value of a kept node, `[n, ...]` in C order.
    pub fn value(&self, node: NodeId) -> Result<Tensor> {
        self.kept(node, |value| value.region)
    }

    /// Walks `seed` (`[n, classes]`) back to the input by `rules`. For [`Purpose::Train`] it gives weight gradients
    /// instead of the input's (whose slice is then empty), and a tape can be walked back once.
    pub fn backward(&mut self, seed: &[f32], rules: &Rules) -> Result<Backward<'_>> {
        let plan = &mut *self.plan;
        if plan.purpose == Purpose::Infer {
            return Err(Error::Request(
                "a plan for inference keeps nothing to walk back on; plan for the input gradient".into(),
            ));
        }
        if plan.purpose == Purpose::Train && plan.walked {
            return Err(Error::Request("this training pass has been walked back already; run it forward again".into()));
        }
        if seed.len() != plan.samples * plan.outputs {
            return Err(Error::Request(format!(
                "found a seed of {} values, expected {} ({} samples of {})",
                seed.len(),
                plan.samples * plan.outputs,
                plan.samples,
                plan.outputs
            )));
        }
        plan.walked = true;
        let pool = Arc::clone(&plan.engine.pool);
        pool.install(|| {
            for group in plan.groups() {
                plan.run_backward(group, &seed[group.first * plan.outputs..], rules);
            }
        });
        let applied = RulesApplied { relu: run::relus_ruled(&plan.steps, rules), relu_total: plan.relus };
        let input = match plan.purpose {
            Purpose::InputGradient => &plan.input_gradient[..plan.samples * plan.input],
            _ => &[],
        };
        Ok(Backward { input, applied })
    }

    /// What reached a kept node's output in the last walk back, `[n, ...]` in C order.
    pub fn gradient(&self, node: NodeId) -> Result<Tensor> {
        if !self.plan.walked {
            return Err(Error::Request("nothing has been walked back on this tape yet".into()));
        }
        self.kept(node, |value| value.gradient)
    }

    fn kept(&self, node: NodeId, region: impl Fn(&compile::Value) -> Option<memory::RegionId>) -> Result<Tensor> {
        let plan = &*self.plan;
        let name = |index: usize| plan.names.get(index).cloned().unwrap_or_else(|| index.to_string());
        let value = plan.values.get(node.0).filter(|value| value.kept && node.0 < plan.names.len());
        let Some((value, region)) = value.and_then(|value| Some((value, region(value)?))) else {
            let kept = (0..plan.names.len()).filter(|&index| plan.values[index].kept).map(name).collect::<Vec<_>>();
            return Err(Error::Unknown {
                what: "kept node",
                name: name(node.0),
                known: if kept.is_empty() { "none (PlanOptions::keep is empty)".into() } else { kept.join(", ") },
            });
        };
        let mut tensor = Tensor::zeros([&[plan.samples], plan.shapes[node.0].as_slice()].concat());
        let len = value.volume.len();
        let all = plan.memory.read(region, 0, plan.samples);
        for (plain, sample) in tensor.data_mut().chunks_exact_mut(value.volume.values()).zip(all.chunks_exact(len)) {
            rearrange::to_plain(&value.volume, sample, plain);
        }
        Ok(tensor)
    }

    /// Gradients of [`Network::parameters`], in their order, summed over the batch as the seed weighs it.
    pub fn weight_gradients(&self) -> Result<&[Vec<f32>]> {
        if self.plan.purpose != Purpose::Train || !self.plan.walked {
            return Err(Error::Request("weight gradients need a plan for training and a walk back".into()));
        }
        Ok(&self.plan.gradients)
    }
}
