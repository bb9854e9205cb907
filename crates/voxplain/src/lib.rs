//! What did the 3D network see in the brain?
//!
//! voxplain trains 3D convolutional classifiers on T1-weighted MRI and shows, voxel by voxel and in the space of each
//! subject's own image, which parts of it they used, with evidence of how far each map can be trusted.
//!
//! ```
//! use voxplain::{Engine, EngineOptions, ExplainOptions, Inputs, Silent, SimulateOptions, SplitScheme, TrainOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let at = |name: &str| folder.path().join(name);
//! let brains = SimulateOptions { subjects: 8, shape: [30, 36, 30], spacing: 6.0, ..Default::default() };
//! let cohort = voxplain::simulate(&at("cohort"), &brains, false, &Silent)?;
//!
//! let folds = SplitScheme::Folds(2);
//! let options = TrainOptions { label: "label".into(), split: folds, width: Some(2), epochs: 2, ..Default::default() };
//! let engine = Engine::new(EngineOptions::default())?;
//! let run = voxplain::train(&cohort, &options, &at("run"), false, &engine, &Silent, &Silent)?.run;
//!
//! let options = ExplainOptions { methods: voxplain::choose(&["hires-cam"], &[], None)?, ..Default::default() };
//! let maps = voxplain::explain(&engine, Inputs::Run(&run), &options, &Silent)?.maps;
//! assert!(maps.len() == 8 && maps.iter().all(|map| map.map.is_file()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Eight brains are simulated, four of them with larger ventricles; a network is trained in each of two folds; each
//! subject is explained by the network that was not trained on it; a map and the record of how it was made are written
//! for each. With images in place of the simulation, `prepare` makes the cohort.
//!
//! # What is where
//!
//! At the root are the steps of a study and the types that they take and give: what the example above needs, and what a
//! program that looks at the results needs. Everything else is in a module.
//!
//! | step | function | takes | gives |
//! |---|---|---|---|
//! | prepare images | [`prepare()`] | [`PrepareOptions`] | [`Cohort`] |
//! | or simulate them | [`simulate()`] | [`SimulateOptions`] | [`Cohort`] |
//! | train | [`train()`] | [`TrainOptions`] | [`Run`], its [`Model`]s |
//! | or import a network | [`import()`](model::import) | a checkpoint | [`Model`] |
//! | explain | [`explain()`] | [`Inputs`], [`ExplainOptions`] | maps, a [`Record`] of each |
//! | report | [`report`] | [`Run`] | a page |
//!
//! | module | holds |
//! |---|---|
//! | [`volume`] | images, affines, grids, masks; reading and writing of NIfTI, MGH, Analyze and npy files |
//! | [`nn`] | networks, the engine that runs them, optimisers, losses |
//! | [`attribution`] | the methods, for use from Rust without a cohort: [`Explainer`], [`Case`], [`Attribution`] |
//! | [`stats`] | accuracy, AUC and their intervals; similarity of maps |
//! | [`cohort`], [`folds`], [`comparators`], [`run`] | the input of training (cohort, folds), the simple classifiers for comparison, and the output directory (run) |
//! | [`map`], [`evaluation`], [`group`], [`atlas`], [`regions`] | files of maps, and what can be done with maps |
//! | [`imbalance`], [`matched`], [`confounds`], [`morphometry`] | what goes with the label beside the images, people who are alike in it, how much of a result it explains; tables of measurements of people |
//! | [`figure`], [`report`] (with the feature `report`, on by default) | pictures and the page |
//! | [`status`], [`leftover`] | what there is in a run or a cohort, and what comes next; what can be taken away |
//! | [`sample`], [`doctor`] | what work takes on this machine, and a self-test of it |
//!
//! Nothing is printed: long work tells a [`Progress`] how far it is ([`Silent`] ignores it), and an [`Error`] says what was
//! found, where, and what to do about it.

pub use voxplain_attribution as attribution;
pub use voxplain_nn as nn;
#[cfg(feature = "report")]
pub use voxplain_report::{figure, report};
pub use voxplain_stats as stats;
pub use voxplain_study::{
    atlas, cohort, comparators, compare, confounds, derivative, doctor, evaluation, explain, folds, group, imbalance,
    leftover, map, matched, merge, model, morphometry, predict, prepare, regions, run, sample, shard, simulate, status,
    train,
};
pub use voxplain_volume as volume;

pub use voxplain_attribution::{Attribution, Case, Explainer, METHODS, Record, choose};
pub use voxplain_core::{
    Action, Allotted, Claim, Error, Fault, Occupied, Progress, Remedy, Result, Setting, Silent, Table, ThreadPool,
    Vocabulary, atomic_file, input, memory, plural, random, visible, visible_json,
};
pub use voxplain_nn::{Engine, EngineOptions, Network};
pub use voxplain_study::{
    cohort::Cohort,
    explain::{ExplainOptions, ExplainSummary, Inputs, explain},
    folds::SplitScheme,
    model::Model,
    prepare::{PrepareOptions, PrepareSummary, prepare},
    run::Run,
    simulate::{SimulateOptions, simulate},
    train::{TrainOptions, Training, TrainingObserver, train},
};
pub use voxplain_volume::{Grid, Mask, Volume};

/// Every [`Setting`] that a [`Remedy`] may name: a front end has a word for each.
pub fn settings() -> impl Iterator<Item = Setting> {
    let parts: &[&[Setting]] = &[
        voxplain_volume::setting::ALL,
        voxplain_attribution::setting::ALL,
        voxplain_study::setting::ALL,
        #[cfg(feature = "report")]
        voxplain_report::setting::ALL,
    ];
    parts.iter().flat_map(|settings| settings.iter().copied())
}
