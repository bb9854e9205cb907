//! Networks on volumes: the graph, its operations, shapes and weights, the walk back with rules,
//! optimisers, and the CPU engine that runs them. Knows nothing of brains.
//!
//! # Conventions
//!
//! * Volumes are `[N, C, i, j, k]` in C order, float32.
//! * A [`Network`] is a list of named nodes in topological order; it holds its weights.
//! * An [`Engine`] compiles a network for one purpose and at most one batch size into a [`Plan`];
//!   a forward pass leaves a [`Tape`], on which gradients and relevances are walked back by [`Rules`].

#![warn(clippy::wildcard_enum_match_arm)] // a new operation must be answered for wherever operations are told apart

pub mod adam;
mod cpu;
mod engine;
mod error;
mod graph;
pub mod import;
pub mod loss;
mod ops;
mod optimizer;
pub mod reference;
pub mod relevance;
mod schedule;
mod tensor;

pub use adam::AdamOptions;
pub use engine::{
    Backward, Engine, EngineOptions, InstructionSet, MemoryUse, Plan, PlanOptions, Purpose, ReluRule, Rules,
    RulesApplied, Tape,
};
pub use error::{Error, Result};
pub use graph::{Network, Node, NodeId, Parameter, ReceptiveField};
pub use loss::CrossEntropy;
pub use ops::{Activation, BatchNorm, Conv3d, Linear, Op, OpClass, Pool3d};
pub use optimizer::{Optimizer, OptimizerKind, OptimizerState};
pub use schedule::Schedule;
pub use tensor::Tensor;
