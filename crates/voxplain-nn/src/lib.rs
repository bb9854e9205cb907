//! 3D convolutional networks: graphs of operations, run forwards and backwards on the CPU, trained, and looked through
//! by relevance rules. Knows nothing of brains.
//!
//! * [`Network`]: named operations ([`Op`]) in topological order, with their weights. [`import`] reads weights that others
//!   trained.
//! * [`Engine`]: compiles a network for one purpose and at most one batch size into a [`Plan`]. A forward pass of it leaves
//!   a [`Tape`], and backward passes over that give gradients by [`Rules`].
//! * [`relevance::Layerwise`]: layer-wise relevance propagation and DeepLIFT.
//! * [`Optimizer`], with [`CrossEntropy`], [`ValueLoss`], [`SoftLabels`], [`Schedule`] and [`WeightAverage`]: training.
//! * [`mod@reference`]: every operation in the slow and obvious way, which all else is tested against.
//!
//! ```
//! use voxplain_nn::{Conv3d, Engine, EngineOptions, Linear, Network, Op, PlanOptions, Purpose, Rules};
//!
//! // A convolution, a ReLU, the mean of each channel, two classes.
//! let mut network = Network::new([1, 8, 8, 8]);
//! network.then("conv", Conv3d::new(1, 4, [3; 3]))?;
//! let relu = network.then("relu", Op::Relu)?;
//! network.then("mean", Op::GlobalAvgPool)?;
//! network.then("linear", Linear::new(4, 2))?;
//! network.initialize(1);
//!
//! let engine = Engine::new(EngineOptions::default())?;
//! let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: vec![relu] };
//! let mut plan = engine.plan(&network, &options)?;
//! let volume: Vec<f32> = (0..512).map(|n| (n % 7) as f32 - 3.0).collect();
//! let mut tape = plan.forward(&volume)?;
//! let logit = tape.output()[1];
//! assert_eq!(tape.value(relu)?.shape(), [1, 4, 6, 6, 6]);
//!
//! // The gradient of the second class's logit at every voxel: a step along it raises the logit.
//! let gradient = tape.backward(&[0.0, 1.0], &Rules::GRADIENT)?.input;
//! let moved: Vec<f32> = volume.iter().zip(gradient).map(|(x, g)| x + g).collect();
//! assert!(plan.forward(&moved)?.output()[1] > logit);
//! # Ok::<(), voxplain_nn::Error>(())
//! ```
//!
//! # Conventions
//!
//! * Values are float32, `[N, C, i, j, k]` in C order: `N` samples of `C` channels, voxels `(i, j, k)`.
//! * Weights have PyTorch's layouts and names.
//! * Results have the same bits on any number of threads, and do not depend on the other samples of a batch (in training,
//!   batch normalisation makes them).

#![warn(clippy::wildcard_enum_match_arm)] // a new operation must be answered for wherever operations are told apart

pub mod adam;
mod average;
mod cpu;
mod engine;
mod error;
pub mod export;
mod graph;
pub mod import;
pub mod loss;
mod ops;
mod optimizer;
pub mod reference;
pub mod relevance;
mod schedule;
mod soft_labels;
mod tensor;

pub use adam::AdamOptions;
pub use average::WeightAverage;
pub use engine::{
    Backward, Engine, EngineOptions, InstructionSet, MemoryUse, Plan, PlanOptions, Purpose, ReluRule, Rules,
    RulesApplied, Tape,
};
pub use error::{Error, Result};
pub use graph::{Initialisation, Network, Node, NodeId, Parameter, Reach, ReceptiveField};
pub use loss::{CrossEntropy, ValueLoss};
pub use ops::{
    Activation, Alignment, BatchNorm, Conv3d, ConvTranspose3d, Interpolation, Linear, NormOver, Op, OpClass, Pad3d,
    Pool3d, Prelu, Resize3d, SampleNorm,
};
pub use optimizer::{Optimizer, OptimizerKind, OptimizerState};
pub use schedule::Schedule;
pub use soft_labels::SoftLabels;
pub use tensor::Tensor;
