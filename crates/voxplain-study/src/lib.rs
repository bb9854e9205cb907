//! A study from images to explanations: cohorts, training, maps, and what they are worth.
//!
//! Five types carry a study. A [`Cohort`](cohort::Cohort) has the prepared volumes of its subjects. A [`Model`](model::Model) is a
//! network with what it expects of its input and whom it was trained on. A [`Run`](run::Run) is the directory of a training: the models
//! of all folds, and everything that is made with them. A [`Record`](voxplain_attribution::Record) says how a map was made. An
//! [`Atlas`](atlas::Atlas) names the regions of a brain.
//!
//! ```
//! use voxplain_core::Silent;
//! use voxplain_study::{cohort::Cohort, simulate::{SimulateOptions, simulate}};
//!
//! # fn main() -> voxplain_core::Result<()> {
//! let folder = tempfile::tempdir().expect("a folder");
//! let path = folder.path().join("cohort");
//! let options = SimulateOptions { subjects: 2, shape: [20, 24, 20], spacing: 8.0, ..SimulateOptions::default() };
//! simulate(&path, &options, false, &Silent)?;
//!
//! let cohort = Cohort::open(&path)?;
//! assert_eq!(cohort.volume(0)?.shape(), [20, 24, 20]);
//! assert_eq!(cohort.column("label")?, [Some("control"), Some("case")]);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! A module imports only what stands above it here, so that each can be read by itself.
//!
//! | module | what it is |
//! |---|---|
//! | [`setting`] | options that remedies name |
//! | [`shard`] | a part of work that several processes share |
//! | [`cohort`], [`atlas`], [`map`], [`folds`] | subjects and volumes; regions; files of maps; who is held out when |
//! | [`alike`] | who of a cohort may be one person, by the pattern of the brain |
//! | [`model`], [`comparators`] | networks in files; the classifiers that a network is compared with |
//! | [`morphometry`], [`imbalance`], [`matched`] | tables of measurements of people; what goes with a label beside the images; people who are alike in it |
//! | [`prepare`], [`simulate`] | two ways to make a cohort |
//! | [`derivative`] | a dataset of BIDS derivatives, as a BIDS App writes it |
//! | [`run`] | the directory of a training, its layout, and which models made what |
//! | [`train`], [`explain`] | fill a run with models and maps |
//! | [`predict`] | what models say of people whom they were not trained on |
//! | [`confounds`] | how much of what a run tells each confound explains |
//! | [`group`], [`regions`], [`evaluation`] | read the maps of a run |
//! | [`compare`] | tests maps or volumes voxel by voxel |
//! | [`status`] | what there is in a run or a cohort, and what comes next |
//! | [`merge`] | puts together what several processes made of a run or a cohort |
//! | [`leftover`] | what can be taken away from them |
//! | [`doctor`] | whether all works on this machine |

pub mod alike;
pub mod atlas;
pub mod cohort;
pub mod comparators;
pub mod compare;
pub mod confounds;
mod covariate;
pub mod derivative;
pub mod doctor;
pub mod evaluation;
pub mod explain;
mod folder;
pub mod folds;
pub mod group;
pub mod imbalance;
pub mod leftover;
mod listed;
pub mod map;
pub mod matched;
pub mod merge;
pub mod model;
pub mod morphometry;
pub mod predict;
pub mod prepare;
mod recode;
pub mod regions;
pub mod run;
pub mod sample;
mod scratch;
pub mod setting;
pub mod shard;
pub mod simulate;
mod spelling;
pub mod status;
pub mod train;
