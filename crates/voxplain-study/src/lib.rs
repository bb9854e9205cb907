//! A study from images to explanations.
//!
//! The parts, in the order data flows: [`cohort`] (people and their prepared volumes), [`prepare`] and [`simulate`]
//! (which make cohorts), [`model`], [`folds`], [`train`], [`comparators`], [`explain`], [`evaluation`], [`group`], [`regions`]
//! in an [`atlas`]; [`run`] is the directory that holds what they make, [`map`] names the files of maps; [`doctor`] looks
//! whether all works on a machine.

pub mod atlas;
pub mod cohort;
pub mod comparators;
pub mod doctor;
pub mod evaluation;
pub mod explain;
pub mod folds;
pub mod group;
pub mod map;
pub mod model;
pub mod prepare;
pub mod regions;
pub mod run;
pub mod setting;
pub mod simulate;
pub mod train;
