//! The verbs, one file each: flags, one call into the library, the result in words. None knows another.

pub(crate) mod bench;
pub(crate) mod bids_app;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod confounds;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod group;
pub(crate) mod import;
pub(crate) mod inspect;
#[cfg(not(all(feature = "report", feature = "serve")))]
pub(crate) mod lacking;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod permute;
pub(crate) mod plan;
#[cfg(feature = "report")]
pub(crate) mod plot;
pub(crate) mod predict;
pub(crate) mod prepare;
pub(crate) mod regions;
#[cfg(feature = "report")]
pub(crate) mod report;
pub(crate) mod run;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod train;
