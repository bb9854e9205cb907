//! Networks on volumes: the graph, its operations, shapes and weights, the walk back with rules,
//! optimisers, and the CPU engine that runs them. Knows nothing of brains.
//!
//! # Conventions
//!
//! * Volumes are `[N, C, i, j, k]` in C order, float32.
//! * A [`Network`] is a list of named nodes in topological order; it holds its weights.
//! * An [`Engine`] compiles a network for one purpose and at most one batch size into a [`Plan`];
//!   a forward pass leaves a [`Tape`], on which gradients and relevances are walked back by [`Rules`].

mod cpu;
mod error;
mod graph;
pub mod loss;
mod op;
mod optimizer;
mod plan;
pub use voxplain_core::random;
mod receptive;
pub mod reference;
pub mod relevance;
mod rules;
mod schedule;
mod shape;
mod tensor;
pub mod weights;

pub use error::{Error, Result};
pub use graph::{Network, Node, NodeId, Parameter};
pub use loss::CrossEntropy;
pub use op::{BatchNorm, Conv3d, Linear, Op, Pool3d};
pub use optimizer::{AdamOptions, Method, Optimizer, OptimizerState};
pub use plan::{Engine, EngineOptions, InstructionSet, MemoryUse, Plan, PlanOptions, Purpose, Tape};
pub use receptive::ReceptiveField;
pub use rules::{Backward, ReluRule, Rules, RulesApplied};
pub use schedule::Schedule;
pub use tensor::Tensor;
