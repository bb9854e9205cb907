//! Explaining many people: which model explains whom, one map after another, written as they come.
//!
//! A subject of a run is explained by the fold model that never saw it; a subject that a model was trained on is
//! explained by it only when that is asked for, and each record says so. Work streams: a few volumes are in memory at a time. A map
//! whose record says that it was made from the same values, model and options is not made again.

mod atlas;
mod image;
mod inputs;
mod output;

pub use atlas::AtlasFiles;
pub use image::MaskFrom;

use crate::cohort::{Cohort, Normalize};
use crate::{
    map::{MapFiles, Variant, read_record},
    model::Model,
    run::Run,
    setting::IN_SAMPLE,
};
use atlas::Placed;
use image::Loaded;
use inputs::{Group, Person};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use voxplain_attribution::{AnyMethod, Attribution, Case, Compat, Cost, Explainer, Record, Regions, Score, Target};
use voxplain_core::{Error, Progress, Remedy, Result, remedy};
use voxplain_nn::Engine;

/// What is explained, and by which model.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// The subjects of a run, each by the fold model that never saw it.
    Run(&'a Run),
    /// The subjects of a cohort, by one model.
    Cohort(&'a Model, &'a Cohort),
    /// Images, by one model.
    Images(&'a Model, &'a Images),
}

/// Images to be explained that belong to no cohort.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Where the brain is; voxels other than 0 where nothing is said.
    pub mask: Option<MaskFrom>,
    /// The value above which a voxel of a mask is in the brain; where nothing is said, each must be a mask beyond doubt
    /// ([`read_mask`](voxplain_volume::read_mask)).
    pub mask_threshold: Option<f64>,
    /// How intensities are normalised; as the model says where nothing is said.
    pub normalize: Option<Normalize>,
}

/// What to explain, and how.
#[derive(Debug, Default)]
pub struct ExplainOptions {
    /// The methods.
    pub methods: Vec<Box<dyn AnyMethod>>,
    /// Leave methods out, with a warning, that cannot work with the network or in this context (as `all` asks for) instead of
    /// refusing.
    pub where_possible: bool,
    /// The target as typed ([`Target::parse`]); each method's own choice where nothing is said.
    pub target: Option<String>,
    /// The scale.
    pub score: Score,
    /// An older behaviour that the methods reproduce; for the records.
    pub compat: Option<Compat>,
    /// The atlas for methods by region.
    pub atlas: Option<AtlasFiles>,
    /// Where maps go: `OUT/sub-<id>/` for subjects, `OUT` for images; the run itself where nothing is said.
    pub out: Option<PathBuf>,
    /// Ids of the subjects to explain; all where nothing is said.
    pub subjects: Option<Vec<String>>,
    /// Explain subjects by models that were trained on them, too.
    pub in_sample: bool,
    /// Make maps again that are there already.
    pub force: bool,
    /// Bytes that the compiled plans of the network may take together; no limit where nothing is said.
    pub memory: Option<usize>,
}

/// What was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExplainSummary {
    /// The maps, subject by subject.
    pub maps: Vec<MapSummary>,
    /// What could not be made.
    pub failures: Vec<Failure>,
    /// Subjects that no model can explain out of sample, and that were left out for it.
    pub left_out: Vec<String>,
    /// Methods that could not work here and were left out.
    pub skipped: Vec<Skipped>,
    /// Whether the work was stopped before its end.
    pub interrupted: bool,
}

/// A method that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The method.
    pub method: String,
    /// Why it cannot work here.
    pub why: String,
}

/// A map that is there.
#[derive(Clone, Debug, Serialize)]
pub struct MapSummary {
    /// The subject's id, or the stem of the image's file name.
    pub subject: String,
    /// The method.
    pub method: String,
    /// What was explained, in words.
    pub target: String,
    /// Its value.
    pub score: f64,
    /// The map, on the model's grid.
    pub map: PathBuf,
    /// The map in the space of the image it was prepared from.
    pub native_space: Option<PathBuf>,
    /// The map at its own resolution.
    pub native_resolution: Option<PathBuf>,
    /// Whether the model was trained on the subject.
    pub in_sample: Option<bool>,
    /// Whether it was there already.
    pub reused: bool,
    /// How long it took, without reading and writing; a share of the batch it was made in.
    pub seconds: f64,
    /// Words of warning.
    pub warnings: Vec<String>,
}

/// A map that could not be made.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The subject's id, or the file.
    pub subject: String,
    /// The method; none where the subject could not be read.
    pub method: Option<String>,
    /// What went wrong.
    pub error: String,
    /// What to do about it. Whoever shows it chooses the words.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

/// Volumes that are in memory, and go through the network, at a time.
const AT_A_TIME: usize = 4;

/// Explains, and writes maps and records as they come. What fails is named in the result; the rest goes on.
///
/// # Errors
/// Where nothing can be explained as asked: an unknown subject or class, a place that is missing, a cohort that does not
/// fit the model.
pub fn explain(
    engine: &Engine,
    inputs: Inputs<'_>,
    options: &ExplainOptions,
    progress: &dyn Progress,
) -> Result<ExplainSummary> {
    let mut regions = Placed::open(options, progress)?;
    let inputs::Plan { groups, left_out } = inputs::plan(inputs, options, progress)?;
    let count: usize = groups.iter().map(|g| g.people.len()).sum();
    let mut done = ExplainSummary { left_out, ..ExplainSummary::default() };
    progress.begin("explain", count * options.methods.len());
    let result =
        groups.iter().try_for_each(|group| explain_group(engine, group, options, &mut regions, progress, &mut done));
    progress.end();
    result.map(|()| done)
}

/// Explains the people of one model.
fn explain_group(
    engine: &Engine,
    group: &Group<'_>,
    options: &ExplainOptions,
    regions: &mut Option<Placed>,
    progress: &dyn Progress,
    done: &mut ExplainSummary,
) -> Result<()> {
    if group.people.is_empty() || done.interrupted {
        return Ok(());
    }
    let fold = group.model.get()?;
    let model = &fold.model;
    let mut explainer = group.people_of(fold.explainer(engine)?.with_memory_limit(options.memory), model);
    let methods = suitable(&explainer, options, regions.is_some(), progress, done)?;
    progress.advance((options.methods.len() - methods.len()) * group.people.len(), "left out");
    let target = options.target.as_deref().map(|text| Target::parse(text, &model.card.classes)).transpose()?;
    for people in group.people.chunks(AT_A_TIME) {
        let load = |person| {
            let loaded = group.load(person, model)?;
            let seen = in_sample(person, &loaded, model, options)?;
            Ok((loaded, seen))
        };
        let loaded: Vec<Result<_>> = engine.thread_pool().install(|| people.par_iter().map(load).collect());
        let mut ready = Vec::with_capacity(people.len());
        for (person, loaded) in people.iter().zip(loaded) {
            match loaded {
                Ok((loaded, seen)) => {
                    ready.push(Ready { person, loaded, seen, regions: None, beside: OnceLock::new() });
                }
                Err(e) => {
                    done.fail(&person.id, None, &e, progress);
                    progress.advance(methods.len(), &person.id);
                }
            }
        }
        for &method in &methods {
            if let Some(atlas) = regions.as_mut().filter(|_| method.by_region()) {
                for ready in &mut ready {
                    match atlas.on_grid(ready.loaded.image.grid()) {
                        Ok(regions) => ready.regions = Some(regions),
                        Err(e) => {
                            done.fail(&ready.person.id, Some(method.name()), &e, progress);
                            progress.advance(1, &ready.person.id);
                        }
                    }
                }
            }
            let mut wanted = Vec::with_capacity(ready.len());
            for ready in ready.iter().filter(|ready| !method.by_region() || ready.regions.is_some()) {
                let case = ready.case(target, options.score);
                match made_before(options, method, &explainer, ready, &case) {
                    Some(made) => {
                        done.maps.push(made);
                        progress.advance(1, &ready.person.id);
                    }
                    None => wanted.push((ready, case)),
                }
            }
            for part in wanted.chunks(method.batch()) {
                if progress.interrupted() {
                    done.interrupted = true;
                    return Ok(());
                }
                let began = Instant::now();
                explainer.measure_memory();
                let cases: Vec<Case<'_>> = part.iter().map(|(_, case)| *case).collect();
                let results = each(method, &mut explainer, &cases);
                let seconds = began.elapsed().as_secs_f64() / part.len() as f64;
                let (memory_bytes, memory_limit) = explainer.memory();
                let cost = Cost { seconds, memory_bytes, memory_limit };
                let write = |((ready, _), result): (&(&Ready<'_>, _), Result<Attribution>)| {
                    write_one(options, ready, result?, cost)
                };
                let written: Vec<_> =
                    engine.thread_pool().install(|| part.par_iter().zip(results).map(write).collect());
                for ((ready, _), result) in part.iter().zip(written) {
                    match result {
                        Ok(made) => done.maps.push(made),
                        Err(e) => done.fail(&ready.person.id, Some(method.name()), &e, progress),
                    }
                    progress.advance(1, &ready.person.id);
                }
            }
        }
    }
    Ok(())
}

/// The methods that can work with this network in this context. The others are refused, or left out where that was asked for.
fn suitable<'a>(
    explainer: &Explainer,
    options: &'a ExplainOptions,
    has_regions: bool,
    progress: &dyn Progress,
    done: &mut ExplainSummary,
) -> Result<Vec<&'a dyn AnyMethod>> {
    let mut methods = Vec::with_capacity(options.methods.len());
    for method in options.methods.iter().map(AsRef::as_ref) {
        let by_region = if method.by_region() && !has_regions { Err(Regions::missing(method.name())) } else { Ok(()) };
        match by_region.and_then(|()| method.suits(explainer, options.score)) {
            Ok(()) => methods.push(method),
            Err(why) if options.where_possible => {
                let skipped = Skipped { method: method.name().into(), why: why.to_string() };
                // Once, although every model of a run says so.
                if !done.skipped.contains(&skipped) {
                    progress.warn(&format!("left out: {why}"));
                    done.skipped.push(skipped);
                }
            }
            Err(why) => return Err(why),
        }
    }
    Ok(methods)
}

/// A person whose volume is in memory.
struct Ready<'a> {
    person: &'a Person,
    loaded: Loaded,
    seen: Option<bool>,
    regions: Option<Arc<Regions>>,
    /// Set once the volume lies beside its maps.
    beside: OnceLock<()>,
}

impl Ready<'_> {
    fn case(&self, target: Option<Target>, score: Score) -> Case<'_> {
        Case {
            id: &self.person.id,
            image: &self.loaded.image,
            others: &[],
            mask: self.loaded.mask.as_ref(),
            regions: self.regions.as_deref(),
            label: self.person.label,
            target,
            score,
            in_sample: self.seen,
        }
    }
}

/// All cases at once; where one fails, one by one, so that the others get their maps.
fn each(method: &dyn AnyMethod, explainer: &mut Explainer, cases: &[Case<'_>]) -> Vec<Result<Attribution>> {
    match method.explain(explainer, cases) {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(e) if cases.len() == 1 => vec![Err(e)],
        Err(_) => cases.iter().flat_map(|case| each(method, explainer, std::slice::from_ref(case))).collect(),
    }
}

/// Whether the model was trained on this person; refused unless that was asked for.
fn in_sample(person: &Person, loaded: &Loaded, model: &Model, options: &ExplainOptions) -> Result<Option<bool>> {
    let seen = model.has_seen(&loaded.hash);
    if seen && !options.in_sample {
        return Err(Error::Subject {
            subject: person.id.clone(),
            what: "the model was trained on this subject, so a map would not show what the model does with people it has not seen"
                .into(),
            remedy: remedy![
                "use a model of another fold, or ",
                IN_SAMPLE,
                " to explain it all the same (each record then says so)"
            ],
        });
    }
    // An image prepared anew may differ in its last bits from the one trained on; and an imported model lists nobody.
    let known = !model.card.trained_on.is_empty() && person.file.is_none();
    Ok(if seen { Some(true) } else { known.then_some(false) })
}

/// The map of this case that is there already, if it was made from the same values, model and options.
fn made_before(
    options: &ExplainOptions,
    method: &dyn AnyMethod,
    explainer: &Explainer,
    ready: &Ready<'_>,
    case: &Case<'_>,
) -> Option<MapSummary> {
    if options.force {
        return None;
    }
    let files = ready.person.files(method.name());
    // A record that is not there or cannot be understood is no reason to keep its map.
    let record = read_record(&files.path()).ok()?;
    let same = record.method == method.name()
        && record.parameters == method.parameters()
        && record.requested == (case.target.unwrap_or_else(|| method.target()), case.score)
        && record.compat == options.compat.map(|c| c.to_string())
        && record.atlas.as_ref().map(|atlas| atlas.hash.clone())
            == case.regions.filter(|_| method.by_region()).map(|regions| regions.atlas.hash.clone())
        && record.model == explainer.model()
        && record.input == ready.loaded.hash
        && record.truth == case.label
        && record.in_sample == case.in_sample
        && record.version == env!("CARGO_PKG_VERSION");
    let native_space = ready.loaded.native.map(|_| files.image(Variant::NativeSpace));
    let there = files.path().is_file()
        && native_space.as_ref().is_none_or(|p| p.is_file())
        && record.layers.iter().all(|layer| files.image(Variant::Layer(layer)).is_file());
    (same && there).then(|| MapSummary {
        map: files.path(),
        native_space,
        native_resolution: Some(files.image(Variant::NativeResolution)).filter(|p| p.is_file()),
        reused: true,
        ..MapSummary::new(&record)
    })
}

fn write_one(
    options: &ExplainOptions,
    ready: &Ready<'_>,
    mut attribution: Attribution,
    cost: Cost,
) -> Result<MapSummary> {
    let findings = ready.loaded.findings.iter().map(|what| format!("The image: {what}."));
    attribution.record.warnings.extend(findings);
    attribution.record.zero = Some(ready.loaded.zero.to_owned());
    attribution.record.compat = options.compat.map(|c| c.to_string());
    attribution.record.cost = Some(cost);
    let files = ready.person.files(&attribution.record.method);
    let written = output::write(&files, &attribution, &ready.loaded)?;
    // Within a run the cohort has it; elsewhere once is enough for all methods.
    if options.out.is_some() && ready.beside.set(()).is_ok() {
        output::write_input(&files, &ready.loaded)?;
    }
    Ok(MapSummary {
        map: files.path(),
        native_space: written.native_space,
        native_resolution: written.native_resolution,
        seconds: cost.seconds,
        ..MapSummary::new(&attribution.record)
    })
}

impl ExplainSummary {
    fn fail(&mut self, subject: &str, method: Option<&str>, error: &Error, progress: &dyn Progress) {
        progress.warn(&error.to_string());
        self.failures.push(Failure {
            subject: subject.to_owned(),
            method: method.map(str::to_owned),
            error: error.to_string(),
            remedy: error.remedy(),
        });
    }
}

impl MapSummary {
    fn new(record: &Record) -> Self {
        Self {
            subject: record.subject.clone(),
            method: record.method.clone(),
            target: record.target.clone(),
            score: record.score,
            map: PathBuf::new(),
            native_space: None,
            native_resolution: None,
            in_sample: record.in_sample,
            reused: false,
            seconds: 0.0,
            warnings: record.warnings.clone(),
        }
    }
}

impl Person {
    fn files(&self, method: &str) -> MapFiles {
        MapFiles::new(&self.folder, &self.stem, method)
    }
}

/// A file's name without its folder and without `.nii.gz`, `.nii`, `.mgz` and so on.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    voxplain_volume::image_stem(&name).unwrap_or(&name).to_owned()
}
