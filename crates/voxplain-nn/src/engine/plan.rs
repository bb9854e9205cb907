//! [`Plan`]: a network compiled for one purpose.

use super::{DropoutSeed, Engine, Executable, MemoryUse, Tape};
use crate::{Error, Network, Node, NodeId, Op, Result};

/// What a plan is for: it decides what is fused and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Outputs only. Batch-norm by running statistics, dropout off.
    Infer,
    /// Outputs, and their gradient at the input. Batch-norm by running statistics, dropout off.
    InputGradient,
    /// Outputs, and weight gradients. Batch statistics, dropout on.
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

impl PlanOptions {
    /// Refuses what no backend could do.
    pub(super) fn check(&self, network: &Network) -> Result<()> {
        let nodes = network.nodes().len();
        if self.batch == 0 {
            return Err(Error::Request("a plan for a batch of 0; it must be at least 1".into()));
        }
        if nodes < 2 {
            return Err(Error::Request("a network without operations cannot be run".into()));
        }
        if let Some(node) = self.keep.iter().find(|node| node.0 >= nodes) {
            return Err(Error::Request(format!("node {} to keep does not exist; the network has {nodes}", node.0)));
        }
        Ok(())
    }
}

/// A network compiled for one purpose and at most one batch size, with all memory it will need.
#[derive(Debug)]
pub struct Plan {
    engine: Engine,
    pub(super) purpose: Purpose,
    batch: usize,
    pub(super) keep: Vec<NodeId>,
    /// The network's nodes, without weights.
    pub(super) nodes: Vec<Node>,
    /// Shape of one sample at every node.
    pub(super) shapes: Vec<Vec<usize>>,
    /// ReLUs that the output depends on, and all.
    pub(super) relus: [usize; 2],
    pub(super) executable: Box<dyn Executable>,
    dropout: DropoutSeed,
    /// Samples of the last forward pass.
    pub(super) samples: usize,
    /// Whether a backward pass has followed it.
    pub(super) backward_done: bool,
}

impl Plan {
    pub(super) fn new(engine: &Engine, network: &Network, options: &PlanOptions) -> Result<Self> {
        options.check(network)?;
        let executable = engine.threads.install(|| engine.backend.compile(network, options))?;
        let bare =
            |node: &Node| Node { name: node.name.clone(), op: node.op.without_weights(), inputs: node.inputs.clone() };
        let reached = network.ancestors(network.output());
        let relus = |counts: &dyn Fn(usize) -> bool| {
            network.nodes().iter().enumerate().filter(|(n, node)| node.op == Op::Relu && counts(*n)).count()
        };
        Ok(Self {
            engine: engine.clone(),
            purpose: options.purpose,
            batch: options.batch,
            keep: options.keep.clone(),
            nodes: network.nodes().iter().map(bare).collect(),
            shapes: network.shapes(),
            relus: [relus(&|n| reached[n]), relus(&|_| true)],
            executable,
            dropout: DropoutSeed::default(),
            samples: 0,
            backward_done: false,
        })
    }

    /// Which dropout masks the next forward passes draw: they depend on seed, step, sample and unit alone.
    pub fn set_dropout(&mut self, seed: u64, step: u64) {
        self.dropout = DropoutSeed { seed, step };
    }

    /// The largest batch it takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// What it holds in memory, all of it allocated when it was made.
    pub fn memory(&self) -> MemoryUse {
        self.executable.memory()
    }

    /// Bytes that it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory().total()
    }

    /// Values of one sample at a node.
    pub(super) fn values_of(&self, node: usize) -> usize {
        self.shapes[node].iter().product()
    }

    /// Values of one sample of the output.
    pub(super) fn outputs(&self) -> usize {
        self.values_of(self.nodes.len() - 1)
    }

    /// Runs on the engine's threads.
    pub(super) fn on_threads<R: Send>(&mut self, work: impl FnOnce(&mut dyn Executable) -> R + Send) -> R {
        let Self { engine, executable, .. } = self;
        engine.threads.install(|| work(executable.as_mut()))
    }

    /// Takes the network's present weights; call it after each optimiser step.
    ///
    /// # Errors
    /// The network is not the one that was compiled: it differs in more than its weights.
    pub fn update_weights(&mut self, network: &Network) -> Result<()> {
        self.check_same(network)?;
        self.on_threads(|executable| executable.update_weights(network))
    }

    /// After a forward pass in training: moves the network's running statistics towards the batch's, by momentum,
    /// the variance unbiased, as PyTorch does.
    ///
    /// # Errors
    /// The plan is not for training, or the network is not the one that was compiled.
    pub fn update_running_statistics(&self, network: &mut Network) -> Result<()> {
        if self.purpose != Purpose::Train {
            return Err(Error::Request("running statistics are measured by plans for training only".into()));
        }
        self.check_same(network)?;
        self.executable.update_running_statistics(network);
        Ok(())
    }

    fn check_same(&self, network: &Network) -> Result<()> {
        if network.nodes().len() != self.nodes.len() || network.shape_list() != self.shapes {
            return Err(Error::Request("the network is not the one this plan was made for".into()));
        }
        let other = |(node, own): &(&Node, &Node)| node.inputs != own.inputs || !node.op.same_geometry(&own.op);
        match network.nodes().iter().zip(&self.nodes).find(other) {
            Some((node, _)) => {
                Err(Error::Request(format!("node {} is not what it was when the plan was made", node.name)))
            }
            None => Ok(()),
        }
    }

    /// Runs the network on `[n, C, i, j, k]`, `n` at most the plan's batch.
    ///
    /// # Errors
    /// The input is no whole number of samples, or too many; or a batch normalisation in training gets one value per
    /// channel.
    pub fn forward(&mut self, input: &[f32]) -> Result<Tape<'_>> {
        let of_sample = self.values_of(0);
        let samples = input.len() / of_sample;
        if input.is_empty() || !input.len().is_multiple_of(of_sample) || samples > self.batch {
            return Err(Error::Request(format!(
                "found an input of {} values, expected 1 to {} samples of {:?}",
                input.len(),
                self.batch,
                self.shapes[0]
            )));
        }
        if self.purpose == Purpose::Train {
            self.check_normalisations(samples)?;
        }
        self.samples = samples;
        self.backward_done = false;
        let dropout = self.dropout;
        self.on_threads(|executable| executable.forward(input, samples, dropout));
        Ok(Tape { plan: self })
    }

    /// In training, a batch normalisation needs more than one value per channel.
    fn check_normalisations(&self, samples: usize) -> Result<()> {
        for (node, shape) in self.nodes.iter().zip(&self.shapes) {
            if matches!(node.op, Op::BatchNorm(_)) && samples * shape[1..].iter().product::<usize>() < 2 {
                return Err(Error::Shape {
                    node: node.name.clone(),
                    what: "found 1 value per channel in the batch, expected at least 2 to normalise by".into(),
                });
            }
        }
        Ok(())
    }
}
