//! What drove the decision of a 3D network, voxel by voxel.
//!
//! * An [`Explainer`] is a network ready to be explained: its engine and compiled plans and, where methods need them, the
//!   [`TrainingSubjects`].
//! * A [`Case`] is one input and what is asked about it: which output ([`Target`]), on which scale ([`Score`]).
//! * A [`Method`] is a struct of its options, such as [`GuidedBackprop`]. [`METHODS`] lists all; [`choose`] makes them by name.
//! * An [`Attribution`] is what comes out: a signed, un-normalised map on the grid of the input, with the [`Record`] of how it
//!   was made.
//!
//! ```
//! use voxplain_attribution::{Case, Explainer, GuidedBackprop};
//! use voxplain_nn::{Conv3d, Engine, EngineOptions, Linear, Network, Op};
//! use voxplain_volume::{Affine, Grid, Volume};
//!
//! // A small network with random weights, for volumes of 8 x 9 x 7 voxels and two classes.
//! let mut network = Network::new([1, 8, 9, 7]);
//! network.then("conv", Conv3d::new(1, 4, [3; 3]))?;
//! network.then("relu", Op::Relu)?;
//! network.then("pool", Op::GlobalAvgPool)?;
//! network.then("linear", Linear::new(4, 2))?;
//! network.initialize(0);
//!
//! let grid = Grid::new([8, 9, 7], Affine::from_spacing_origin([3.0; 3], [0.0; 3]))?;
//! let head = Volume::from_fn(grid, |[i, j, k]| (i + 2 * j + 3 * k) as f32);
//!
//! let engine = Engine::new(EngineOptions::default())?;
//! let classes = ["female".to_owned(), "male".to_owned()];
//! let mut explainer = Explainer::new(&engine, &network, &classes, "hash of the model file".into())?;
//! let attribution = explainer.explain(&GuidedBackprop::default(), &[Case::new("sub-01", &head)])?.remove(0);
//!
//! let sum: f32 = attribution.map.data().iter().sum();
//! assert!(sum.is_finite());
//! assert_eq!(attribution.map.grid(), head.grid());
//! println!("{}: {sum} {}", attribution.record.target, attribution.record.units);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conventions
//!
//! * Maps are float32 on the grid of the volume they explain, in C order `[i][j][k]`; never rescaled, never clipped,
//!   never NaN. Positive means evidence for the explained score; each record says it in words, with the units.
//! * Networks are taken as logits: a final log-softmax is left off, and for scores on other scales a backward pass starts
//!   from their own gradient at the logits (see [`Objective`]).
//! * The same case gives the same bytes in any order, batch or number of threads.
//!
//! # Inside
//!
//! Methods lie in folders by family: `gradient`, `cam` (class activation maps), `relevance`, `perturbation`, `shapley`,
//! `control`, and `compat` for older behaviour. They import the files beside this one (`explainer`, `record`, `baseline`,
//! `probe`, ...) and, where one method is made of another, each other; nothing of what they import imports them. `registry`
//! and `options` stand above them. To add a method, write its file, name it in its family's `mod.rs`, and add a line to
//! [`METHODS`].

#![warn(clippy::wildcard_enum_match_arm)] // a new operation must be answered for wherever operations are told apart

mod baseline;
mod cam;
mod case;
pub mod citation;
mod coalition;
mod compat;
mod control;
mod explainer;
mod facts;
mod gradient;
mod layer;
mod method;
mod ood_distance;
mod options;
mod perturbation;
mod plans;
mod probe;
mod record;
mod regions;
mod registry;
mod relevance;
mod schema;
mod separable;
pub mod setting;
mod shapley;
mod target;
mod task;
mod training_subjects;
mod unseen;

pub use baseline::{Baseline, BaselineOptions, Filling, Harmonic};
pub use cam::*;
pub use case::Case;
pub use control::*;
pub use explainer::{BackwardPass, Explainer};
pub use facts::{Control, Family, Reading, RuleTarget};
pub use gradient::*;
pub use layer::Layer;
pub use method::{AnyMethod, Method};
pub use options::choose;
pub use perturbation::*;
pub use record::{Attribution, ChannelMap, ChannelRecord, Cost, MaskName, Passes, Prepared, Record, TemplateName};
pub use regions::{AtlasName, Regions};
pub use registry::{Compat, Entry, METHODS, method_named};
pub use relevance::*;
pub use schema::{OptionKind, OptionSchema, Unit};
pub use separable::{AxisMap, Separable};
pub use shapley::*;
pub use target::{Objective, Score, Target};
pub use task::{Quantity, Task};
pub use training_subjects::{DrawnSubject, TrainingSubject, TrainingSubjects, VolumeSource};
pub use unseen::{Unseen, UnseenEdge};
