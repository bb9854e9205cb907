//! What the steps of a configuration take, measured on this machine.

use super::estimate::{Estimate, Images, Maps, Training};
use crate::session::Session;
use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain::{
    Cohort, Engine, EngineOptions, ExplainOptions, PrepareOptions, Run, SimulateOptions, SplitScheme, TrainOptions,
    cohort::CohortLayout,
    memory,
    prepare::Site,
    sample::{sample_image, sample_maps, sample_training},
};

/// What a step asks for, as far as it can be measured.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Images, and the cohort that is made of them.
    Prepare(Vec<Site>, PathBuf, Box<PrepareOptions>),
    /// A cohort that is simulated.
    Simulate(PathBuf, SimulateOptions),
    /// A cohort, and the run that learns from it.
    Train(PathBuf, PathBuf, Box<TrainOptions>),
    /// A run whose people are explained.
    Explain(PathBuf, Box<ExplainOptions>),
    /// Something else.
    Other,
}

/// A cohort that there will be.
struct People {
    count: usize,
    shape: [usize; 3],
    spacing: f64,
    channels: usize,
    /// The cohort, or one of some of its people; none where it is simulated.
    cohort: Option<Cohort>,
}

/// A run that there will be.
struct Planned {
    /// That of a sample.
    run: Run,
    /// People who are held out in one of its folds.
    held_out: usize,
    cohort: PathBuf,
}

/// Measures steps, in their order.
pub(crate) struct Measure<'a> {
    session: &'a Session,
    engine: Engine,
    cpus: u16,
    work: Work,
    cohorts: BTreeMap<PathBuf, People>,
    runs: BTreeMap<PathBuf, Planned>,
}

/// A folder that goes with what is in it.
struct Work(PathBuf);

impl Drop for Work {
    fn drop(&mut self) {
        // It lies where the system itself takes things away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl<'a> Measure<'a> {
    /// Measures with as many threads as a task will have, where this machine has them.
    pub(crate) fn new(session: &'a Session, cpus: u16) -> anyhow::Result<Self> {
        let here = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = usize::from(cpus).min(here);
        if threads < usize::from(cpus) {
            session.say(&format!("measured with {threads} threads, as this machine has, in place of {cpus}"));
        }
        let engine = Engine::new(EngineOptions { threads: Some(threads), ..EngineOptions::default() })?;
        let work = Work(std::env::temp_dir().join(format!("voxplain-plan-{}", std::process::id())));
        std::fs::create_dir_all(&work.0).map_err(voxplain::Error::io(&work.0))?;
        Ok(Self { session, engine, cpus, work, cohorts: BTreeMap::new(), runs: BTreeMap::new() })
    }

    /// What a task of a step takes that falls into so many tasks. That it cannot be measured is said in place of it.
    pub(crate) fn step(&mut self, name: &str, asked: Asked, shards: usize) -> anyhow::Result<Estimate> {
        self.session.progress().go_on()?;
        let folder = self.work.0.join(name);
        std::fs::create_dir_all(&folder).map_err(voxplain::Error::io(&folder))?;
        let measured = match asked {
            Asked::Prepare(sites, out, options) => self.images(&sites, out, &options, &folder, shards),
            Asked::Simulate(out, options) => {
                let SimulateOptions { subjects: count, shape, spacing, .. } = options;
                self.cohorts.insert(out, People { count, shape, spacing, channels: 1, cohort: None });
                return Ok(Estimate::default());
            }
            Asked::Train(cohort, out, options) => self.training(cohort, out, &options, &folder, shards),
            Asked::Explain(run, options) => self.maps(&run, *options, &folder, shards),
            Asked::Other => return Ok(Estimate::default()),
        };
        Ok(measured.unwrap_or_else(|why| {
            let why = format!("{why:#}");
            self.session.progress().warn(&format!("{name}: time and memory were not measured: {why}"));
            Estimate::none(why)
        }))
    }

    fn images(
        &mut self,
        sites: &[Site],
        out: PathBuf,
        options: &PrepareOptions,
        folder: &Path,
        shards: usize,
    ) -> anyhow::Result<Estimate> {
        if CohortLayout::at(&out).document().is_file() {
            anyhow::bail!("{} is there already", out.display());
        }
        self.session.say("measuring: one image is prepared");
        let sample = sample_image(sites, options, folder)?;
        let (images, listing, seconds, bytes) = (sample.images, sample.listing, sample.seconds, sample.bytes);
        self.cohorts.insert(out, People::of(sample.cohort, images));
        Ok(Estimate::of_images(&Images { images, listing, seconds, bytes }, shards, self.cpus))
    }

    fn training(
        &mut self,
        cohort: PathBuf,
        out: PathBuf,
        options: &TrainOptions,
        folder: &Path,
        shards: usize,
    ) -> anyhow::Result<Estimate> {
        if cohort.is_file() {
            anyhow::bail!("a table is learnt in moments");
        }
        if !self.cohorts.contains_key(&cohort) {
            if !CohortLayout::at(&cohort).document().is_file() {
                anyhow::bail!("{} is not there, and no step before that could be measured makes it", cohort.display());
            }
            let there = Cohort::open(&cohort)?;
            let count = there.subjects.len();
            self.cohorts.insert(cohort.clone(), People::of(there, count));
        }
        let people = self.cohorts.get(&cohort).context("no cohort")?;
        if people.channels > 1 {
            anyhow::bail!("each person has several images, and brains are simulated with one");
        }
        self.session.say(&format!("measuring: some batches of {} on simulated brains", options.model));
        let sample = sample_training((people.shape, people.spacing), options, folder, &self.engine)?;
        let (folds, held_out) = match options.split {
            SplitScheme::Folds(folds) => (folds, 1.0 / folds.max(1) as f64),
            SplitScheme::Holdout(share) => (1, share),
        };
        let estimate = Training {
            people: people.count,
            folds,
            held_out,
            epochs: options.epochs,
            early_stop: options.early_stop.is_some(),
            batch: sample.batch,
            step: sample.step,
            timed: sample.timed,
            bytes: sample.bytes,
            volume: 4 * people.shape.iter().product::<usize>() as u64,
        };
        let all = if folds == 1 { held_out } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of people")]
        let held_out = (people.count as f64 * all).ceil() as usize;
        self.runs.insert(out, Planned { run: sample.run, held_out, cohort });
        Ok(Estimate::of_training(&estimate, shards))
    }

    fn maps(&self, run: &Path, options: ExplainOptions, folder: &Path, shards: usize) -> anyhow::Result<Estimate> {
        let Some(planned) = self.runs.get(run) else {
            anyhow::bail!("no training before, that could be measured, makes {}", run.display());
        };
        let people = options.subjects.as_ref().map_or(planned.held_out, Vec::len);
        let simulated = planned.run.cohort()?;
        let cohort = self.cohorts.get(&planned.cohort).and_then(|people| people.cohort.as_ref()).unwrap_or(&simulated);
        self.session.say("measuring: a map by each method");
        let maps = sample_maps(&planned.run, cohort, options, folder, &self.engine)?;
        let methods = maps.into_iter().map(|map| (map.method, map.seconds)).collect();
        Ok(Estimate::of_maps(&Maps { people, methods, bytes: memory::peak() }, shards))
    }
}

impl People {
    fn of(cohort: Cohort, count: usize) -> Self {
        let of = &cohort.preparation;
        Self {
            count,
            shape: of.shape,
            spacing: of.spacing.into_iter().fold(f64::INFINITY, f64::min),
            channels: of.channel_count(),
            cohort: Some(cohort),
        }
    }
}
