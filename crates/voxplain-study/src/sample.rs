//! What work takes on this machine, measured on a small part of it, so that the time and memory of the whole can be said before it begins.
//!
//! Everything is the real work: an image is prepared, a network is trained on as many brains as a batch has, a person is explained. What is timed
//! does not hang on what the images show, nor on what a network has learnt, so that brains are simulated on the grid that is asked for, and the
//! network that explains has learnt from these.

use crate::{
    cohort::Cohort,
    explain::{ExplainOptions, Inputs, explain},
    folds::SplitScheme,
    model::Model,
    prepare::{PrepareOptions, Site, one_image},
    run::{Epoch, Run},
    simulate::{SimulateOptions, simulate},
    train::{Copies, Folds, TrainOptions, TrainingObserver, train_folds},
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use voxplain_core::{Error, Result, Silent, memory};
use voxplain_nn::{Engine, PlanOptions, Purpose};

/// An image of a source, prepared.
#[derive(Debug)]
pub struct SampledImage {
    /// How many there are to prepare.
    pub images: usize,
    /// How long it took to look at the source: its table and who is where.
    pub listing: f64,
    /// How long the image took, seconds.
    pub seconds: f64,
    /// By how much the memory of this process grew for it, bytes; `None` where the system does not say.
    pub bytes: Option<u64>,
    /// A cohort of this one image.
    pub cohort: Cohort,
}

/// Steps of a training.
#[derive(Debug)]
pub struct SampledTraining {
    /// How long a batch took, with its augmentation, seconds: the longest of those that were timed.
    pub step: f64,
    /// How many were timed.
    pub timed: usize,
    /// Images of a batch.
    pub batch: usize,
    /// What the network holds for a batch, bytes, as it is compiled.
    pub bytes: u64,
    /// The run that was made for it, with a network of its first fold.
    pub run: Run,
}

/// A map of one person.
#[derive(Clone, Debug)]
pub struct SampledMap {
    /// The method.
    pub method: String,
    /// How long it took, with reading and writing, seconds; or why it could not be made.
    pub seconds: std::result::Result<f64, String>,
}

/// Prepares the first image of a source into a cohort in `folder`.
///
/// # Errors
/// Those of [`prepare`](crate::prepare::prepare); the image cannot be prepared.
pub fn sample_image(sites: &[Site], options: &PrepareOptions, folder: &Path) -> Result<SampledImage> {
    let before = memory::peak();
    let mut sample = one_image(sites, options, &folder.join("image"), &Silent)?;
    sample.bytes = memory::peak().zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(sample)
}

/// Epochs of one batch each that are timed, after one that is not.
const TIMED: usize = 3;

/// Trains a network on simulated brains on a grid of this shape: some batches by these options.
///
/// # Errors
/// Those of [`train`](crate::train::train()), of the network and of what does not hang on people.
pub fn sample_training(
    (shape, spacing): ([usize; 3], f64),
    options: &TrainOptions,
    folder: &Path,
    engine: &Engine,
) -> Result<SampledTraining> {
    let batch = options.batch.max(2);
    // Two folds, each of which trains on one batch of both classes.
    let simulated = SimulateOptions { subjects: (2 * batch).max(4), shape, spacing, ..SimulateOptions::default() };
    let cohort = simulate(&folder.join("brains"), &simulated, false, &Silent)?;
    let plain = TrainOptions::default();
    let options = TrainOptions {
        label: "label".into(),
        task: None,
        unit: None,
        loss: None,
        missing: Vec::new(),
        positive: None,
        init: None,
        split: SplitScheme::Folds(2),
        group: None,
        stratify: plain.stratify.clone(),
        matched: plain.matched.clone(),
        test: None,
        near_duplicates: Copies::Off,
        covariates: plain.covariates.clone(),
        region_volumes: None,
        epochs: TIMED + 1,
        warmup: None,
        early_stop: None,
        ..options.clone()
    };
    let clock = Clock(Mutex::new(Vec::new()));
    let out = folder.join("run");
    let run = train_folds(&cohort, &options, &Folds::Numbered(vec![0]), &out, engine, &Silent, &clock)?.run;
    let times = clock.0.lock().unwrap_or_else(PoisonError::into_inner);
    let steps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let network = run.model(0)?.model.network;
    let plan = PlanOptions { purpose: Purpose::Train, batch, keep: Vec::new() };
    Ok(SampledTraining {
        step: steps.iter().copied().fold(0.0, f64::max),
        timed: steps.len(),
        batch,
        bytes: engine.memory(&network, &plan)?.total() as u64,
        run,
    })
}

/// When epochs ended.
struct Clock(Mutex<Vec<Instant>>);

impl TrainingObserver for Clock {
    fn epoch(&self, _: usize, _: &Epoch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    }
}

/// Explains the first person of a cohort by each method, by the network of a [`SampledTraining`].
///
/// # Errors
/// The cohort is empty or does not fit the network. That a method cannot work is said of it.
pub fn sample_maps(
    run: &Run,
    cohort: &Cohort,
    options: ExplainOptions,
    folder: &Path,
    engine: &Engine,
) -> Result<Vec<SampledMap>> {
    let mut model = run.model(0)?.model;
    // It explains whoever there is, and has seen nobody of them.
    model.card.preparation = cohort.preparation.clone();
    model.card.trained_on = BTreeSet::new();
    let Some(first) = cohort.subjects.first() else {
        return Err(Error::file(&cohort.path, "has nobody in it", "prepare somebody"));
    };
    let ExplainOptions { methods, atlas, score, compat, no_native, memory, .. } = options;
    let mut maps = Vec::with_capacity(methods.len());
    for method in methods {
        let name = method.name().to_owned();
        let options = ExplainOptions {
            methods: vec![method],
            atlas: atlas.clone(),
            score,
            compat,
            no_native,
            memory,
            out: Some(folder.join("maps")),
            subjects: Some(vec![first.id.clone()]),
            in_sample: true,
            force: true,
            ..ExplainOptions::default()
        };
        maps.push(SampledMap { method: name, seconds: one_map(&model, cohort, &options, engine) });
    }
    Ok(maps)
}

/// How long one map takes.
fn one_map(
    model: &Model,
    cohort: &Cohort,
    options: &ExplainOptions,
    engine: &Engine,
) -> std::result::Result<f64, String> {
    let began = Instant::now();
    let made = explain(engine, Inputs::Cohort(model, cohort), options, &Silent).map_err(|e| e.to_string())?;
    match (made.maps.len(), made.failures.first()) {
        (1.., _) => Ok(began.elapsed().as_secs_f64()),
        (0, Some(failure)) => Err(failure.error.clone()),
        (0, None) => Err("no map was made".to_owned()),
    }
}
