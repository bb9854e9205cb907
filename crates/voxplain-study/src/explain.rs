//! Maps of many inputs: [`explain`] chooses the model for each input, runs the methods in batches, and writes each map as soon as it
//! is made.
//!
//! A subject of a run is explained by the model of the fold in which it was held out. A subject that the model was trained on is
//! explained only if that is asked for, and the record then says so. Only a few volumes are in memory at a time. A map is not made
//! again if its record says that it comes from the same volume, model and options.

mod again;
mod atlas;
mod inputs;
pub(crate) mod load;
mod options;
mod output;
mod summary;

pub use again::steps_again;
pub use atlas::AtlasFiles;
pub use options::{ExplainOptions, Images, Inputs};
pub use summary::{ExplainSummary, Failure, MapSummary, Skipped};

use crate::{
    map::{MapFiles, PreparedFiles, Variant, read_image, read_record},
    model::Model,
    run::{FoldModel, Run},
    setting::IN_SAMPLE,
};
use atlas::PlacedAtlas;
use inputs::{Input, ModelInputs};
use load::LoadedVolume;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use voxplain_attribution::{
    AnyMethod, Attribution, Case, ChannelMap, ChannelRecord, Cost, Explainer, Regions, Score, Target, Unseen,
};
use voxplain_core::{Error, Fault, Progress, Result, Silent, remedy};
use voxplain_nn::Engine;
use voxplain_volume::{ReadOptions, read};

/// Inputs that are in memory at a time.
const AT_A_TIME: usize = 4;

/// Explains all inputs by all methods and writes maps and records. A map that cannot be made is named in the result, and the
/// others are made all the same.
///
/// # Errors
/// Nothing can be explained as asked: an unknown subject or class, no place for the maps, a cohort that does not fit the model, a
/// method that cannot work here (unless [`ExplainOptions::where_possible`]).
pub fn explain(
    engine: &Engine,
    inputs: Inputs<'_>,
    options: &ExplainOptions,
    progress: &dyn Progress,
) -> Result<ExplainSummary> {
    let mut atlas = PlacedAtlas::open(options, progress)?;
    let place = match (&inputs, &options.out) {
        (_, Some(out)) => Some(out.clone()),
        (Inputs::Run(run), None) => Some(run.path.clone()),
        _ => None,
    };
    let inputs::Plan { models, left_out } = inputs::plan(inputs, options, progress)?;
    let claim = |place: PathBuf| match options.shard {
        None => Run::claim_around(&place, "explain", progress),
        Some(shard) => {
            let (number, of) = (shard.number(), shard.of());
            let part = format!("explain-{number}-of-{of}");
            Run::claim_part_around(&place, &part, &format!("explain, shard {shard}"), progress)
        }
    };
    let _claim = match place.map(claim).transpose() {
        // Nobody writes there, and what is there may be all that is asked for; a map that is not says so itself.
        Err(e) if matches!(e.fault(), Some(Fault::ReadOnly | Fault::NotPermitted)) => None,
        other => other?.flatten(),
    };
    let count: usize = models.iter().map(|of_model| of_model.inputs.len()).sum();
    let mut summary = ExplainSummary { left_out, ..ExplainSummary::default() };
    progress.begin("explain", count * options.methods.len());
    let result = models
        .iter()
        .try_for_each(|of_model| explain_by_model(engine, of_model, options, &mut atlas, progress, &mut summary));
    progress.end();
    result.map(|()| summary)
}

/// Refuses what [`explain`] would refuse whoever is explained: an atlas that cannot be read, a method that lacks one, and, where the model is known,
/// a method that cannot work with it or a class that it does not have.
///
/// # Errors
/// What is refused; the model cannot be planned on the engine.
pub fn check(engine: &Engine, model: Option<&Model>, options: &ExplainOptions) -> Result<()> {
    let atlas = PlacedAtlas::open(options, &Silent)?;
    let Some(model) = model else {
        let lacks =
            options.methods.iter().find(|method| method.by_region() && atlas.is_none() && !options.where_possible);
        return lacks.map_or(Ok(()), |method| Err(Regions::missing(method.name())));
    };
    let explainer = FoldModel { model: model.clone(), hash: model.hash() }.explainer(engine)?;
    suitable(&explainer, options, atlas.is_some(), &Silent, &mut ExplainSummary::default())?;
    options.target.as_deref().map(|text| Target::parse_for(text, &model.card.task)).transpose()?;
    Ok(())
}

/// Explains the inputs of one model.
fn explain_by_model(
    engine: &Engine,
    of_model: &ModelInputs<'_>,
    options: &ExplainOptions,
    atlas: &mut Option<PlacedAtlas>,
    progress: &dyn Progress,
    summary: &mut ExplainSummary,
) -> Result<()> {
    if of_model.inputs.is_empty() || summary.interrupted {
        return Ok(());
    }
    let fold = of_model.model.get()?;
    let model = &fold.model;
    let explainer = fold.explainer(engine)?.with_memory_limit(options.memory);
    let mut explainer = of_model.with_training_subjects(explainer, model);
    let methods = suitable(&explainer, options, atlas.is_some(), progress, summary)?;
    progress.advance((options.methods.len() - methods.len()) * of_model.inputs.len(), "left out");
    let score = options.score.of_task(&model.card.task)?;
    let target = options.target.as_deref().map(|text| Target::parse_for(text, &model.card.task)).transpose()?;
    for inputs in of_model.inputs.chunks(AT_A_TIME) {
        let load = |input| {
            let mut loaded = of_model.load(input, model)?;
            loaded.native = loaded.native.filter(|_| !options.no_native);
            of_model.model.refuse_test_set(input, &loaded, model)?;
            let in_sample = in_sample(input, &loaded, model, options)?;
            Ok((loaded, in_sample))
        };
        let loaded: Vec<Result<_>> = engine.thread_pool().install(|| inputs.par_iter().map(load).collect());
        let mut ready = Vec::with_capacity(inputs.len());
        for (input, loaded) in inputs.iter().zip(loaded) {
            match loaded {
                Ok((loaded, in_sample)) => {
                    // Of a cohort it is said of all at once, before.
                    if in_sample == Some(true) && input.file.is_some() {
                        progress.warn(&format!("IN SAMPLE: the model was trained on {}; the record says so", input.id));
                    }
                    let imported = model.card.imported_words();
                    ready.push(Ready {
                        input,
                        loaded,
                        in_sample,
                        regions: None,
                        imported,
                        image_written: OnceLock::new(),
                        mask_is_whole: OnceLock::new(),
                    });
                }
                Err(e) if e.is_of_machine() => return Err(e),
                Err(e) => {
                    summary.fail(&input.id, None, &e, progress);
                    progress.advance(methods.len(), &input.id);
                }
            }
        }
        for &method in &methods {
            if let Some(atlas) = atlas.as_mut().filter(|_| method.by_region()) {
                for ready in &mut ready {
                    match atlas.on_grid(ready.loaded.image.grid()) {
                        Ok(regions) => ready.regions = Some(regions),
                        Err(e) if e.is_of_machine() => return Err(e),
                        Err(e) => {
                            summary.fail(&ready.input.id, Some(method.name()), &e, progress);
                            progress.advance(1, &ready.input.id);
                        }
                    }
                }
            }
            let mut wanted = Vec::with_capacity(ready.len());
            for ready in ready.iter().filter(|ready| !method.by_region() || ready.regions.is_some()) {
                let case = ready.case(target, score);
                match current_map(options, method, &explainer, ready, &case) {
                    Some(map) => {
                        summary.maps.push(map);
                        progress.advance(1, &ready.input.id);
                    }
                    None => wanted.push((ready, case)),
                }
            }
            for batch in wanted.chunks(method.batch()) {
                if progress.interrupted() {
                    summary.interrupted = true;
                    return Ok(());
                }
                let began = Instant::now();
                explainer.measure_memory();
                let cases: Vec<Case<'_>> = batch.iter().map(|(_, case)| *case).collect();
                let results = attribute(method, &mut explainer, &cases);
                let seconds = began.elapsed().as_secs_f64() / batch.len() as f64;
                let (memory_bytes, memory_limit) = explainer.memory();
                let cost = Cost { seconds, memory_bytes, memory_limit };
                let write = |((ready, _), result): (&(&Ready<'_>, _), Result<Attribution>)| {
                    let mut attribution = result?;
                    let halves = model.card.halves(attribution.record.requested);
                    attribution.record.warnings.extend(halves);
                    write_map(options, ready, attribution, cost)
                };
                let written: Vec<_> =
                    engine.thread_pool().install(|| batch.par_iter().zip(results).map(write).collect());
                for ((ready, _), result) in batch.iter().zip(written) {
                    match result {
                        Ok(map) => summary.maps.push(map),
                        // The next map would meet it too, and no subject is to blame.
                        Err(e) if e.is_of_machine() => return Err(e),
                        Err(e) => summary.fail(&ready.input.id, Some(method.name()), &e, progress),
                    }
                    progress.advance(1, &ready.input.id);
                }
            }
        }
    }
    Ok(())
}

/// The methods that can work with this network and these inputs. The others are errors, or left out where that was asked for.
fn suitable<'a>(
    explainer: &Explainer,
    options: &'a ExplainOptions,
    has_regions: bool,
    progress: &dyn Progress,
    summary: &mut ExplainSummary,
) -> Result<Vec<&'a dyn AnyMethod>> {
    let mut methods = Vec::with_capacity(options.methods.len());
    for method in options.methods.iter().map(AsRef::as_ref) {
        let by_region = if method.by_region() && !has_regions { Err(Regions::missing(method.name())) } else { Ok(()) };
        match by_region.and_then(|()| method.suits(explainer, options.score.of_task(explainer.task())?)) {
            Ok(()) => methods.push(method),
            Err(why) if options.where_possible => {
                let skipped = Skipped { method: method.name().into(), why: why.to_string() };
                // Once, although every model of a run says so.
                if !summary.skipped.contains(&skipped) {
                    progress.warn(&format!("left out: {why}"));
                    summary.skipped.push(skipped);
                }
            }
            Err(why) => return Err(why),
        }
    }
    Ok(methods)
}

/// An input whose volume is in memory.
struct Ready<'a> {
    input: &'a Input,
    loaded: LoadedVolume,
    in_sample: Option<bool>,
    regions: Option<Arc<Regions>>,
    /// That the model was imported, in a sentence.
    imported: Option<String>,
    /// Set once the volume is written beside its maps.
    image_written: OnceLock<()>,
    /// Whether the mask beside the maps, where there is one, is that of the volume.
    mask_is_whole: OnceLock<bool>,
}

impl Ready<'_> {
    /// Whether the mask beside the maps of a run is that of the volume, or is not there.
    fn mask_is_whole(&self, options: &ExplainOptions, files: &MapFiles) -> bool {
        *self.mask_is_whole.get_or_init(|| {
            let (file, Some(mask)) = (files.input_mask(), &self.loaded.mask) else { return true };
            if options.out.is_some() || !file.is_file() {
                return true;
            }
            read(&file, &ReadOptions::default()).is_ok_and(|found| {
                let found = found.volume.to_ras();
                found.grid().shape == mask.grid().shape
                    && found.data().iter().zip(mask.data()).all(|(value, inside)| (*value > 0.5) == *inside)
            })
        })
    }

    fn case(&self, target: Option<Target>, score: Score) -> Case<'_> {
        Case {
            id: &self.input.id,
            image: &self.loaded.image,
            others: &self.loaded.others,
            mask: self.loaded.mask.as_ref(),
            regions: self.regions.as_deref(),
            // Of a value there is no class; the number of class 0 stands for everyone who has one.
            label: self.input.label.filter(|_| score != Score::Value),
            target,
            score,
            in_sample: self.in_sample,
        }
    }
}

/// Attributions of all cases in one call. If the call fails, each case has a call of its own, so that the others get their maps.
fn attribute(method: &dyn AnyMethod, explainer: &mut Explainer, cases: &[Case<'_>]) -> Vec<Result<Attribution>> {
    match method.explain(explainer, cases) {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(e) if cases.len() == 1 => vec![Err(e)],
        Err(_) => cases.iter().flat_map(|case| attribute(method, explainer, std::slice::from_ref(case))).collect(),
    }
}

/// Whether the model was trained on this input; an error unless that was asked for.
fn in_sample(input: &Input, loaded: &LoadedVolume, model: &Model, options: &ExplainOptions) -> Result<Option<bool>> {
    let itself = model.has_seen_any(loaded.marks());
    let seen = itself || input.person_is_known(model);
    if seen && !options.in_sample {
        let on = if itself { "this subject" } else { "another image of this person" };
        return Err(Error::Subject {
            subject: input.id.clone(),
            what: format!(
                "the model was trained on {on}, so a map would not show what the model does with people it has not seen"
            ),
            remedy: remedy![
                "use a model of another fold, or ",
                IN_SAMPLE,
                " to explain it all the same (each record then says so)"
            ],
        });
    }
    // The volume of an image that is prepared anew may differ in its last bits from the one trained on, and an imported model
    // lists no subjects: then it is not known.
    let known = !model.card.trained_on.is_empty() && input.file.is_none();
    Ok(if seen { Some(true) } else { known.then_some(false) })
}

/// The map of this case that is there already, if it comes from the same volume, model and options.
fn current_map(
    options: &ExplainOptions,
    method: &dyn AnyMethod,
    explainer: &Explainer,
    ready: &Ready<'_>,
    case: &Case<'_>,
) -> Option<MapSummary> {
    if options.force {
        return None;
    }
    let files = ready.input.files(method.name());
    // Without a record that can be understood the map is made again.
    let record = read_record(&files.path()).ok()?;
    let same = record.method == method.name()
        && record.parameters == method.parameters()
        && record.requested == (case.target.unwrap_or_else(|| method.target()), case.score)
        && record.compat == options.compat.map(|c| c.to_string())
        && record.atlas.as_ref().map(|atlas| atlas.hash.clone())
            == case.regions.filter(|_| method.by_region()).map(|regions| regions.atlas.hash.clone())
        && record.model == explainer.model()
        && record.input == ready.loaded.hash
        && record.mask == ready.loaded.mask_name
        && record.whole_heads.as_deref() == ready.loaded.whole_heads
        && record.channels.as_ref().map_or(&[][..], |of| &of.names) == ready.loaded.channels
        && record.truth == case.label
        && record.in_sample == case.in_sample
        && record.version == env!("CARGO_PKG_VERSION");
    let native_space = ready.loaded.native.map(|_| files.image(Variant::NativeSpace));
    let there = files.path().is_file()
        && native_space.as_ref().is_none_or(|p| p.is_file())
        && record.layers.iter().all(|layer| files.image(Variant::Layer(layer)).is_file())
        && record.channels.iter().filter(|of| of.map == ChannelMap::Sum).flat_map(|of| &of.names).all(|name| {
            files.image(Variant::Channel(name)).is_file()
                && (native_space.is_none() || files.image(Variant::ChannelInNativeSpace(name)).is_file())
        });
    // An image that is not the one of its record is made again.
    let own_resolution = Some(files.image(Variant::NativeResolution)).filter(|p| p.is_file());
    let whole = || {
        // Of older versions the record does not say what was written beside the map.
        let known = [Some(files.path()), native_space.clone(), own_resolution.clone()].into_iter().flatten();
        known.chain(files.beside(&record)).all(|image| read_record(&image).is_ok() && read_image(&image).is_ok())
    };
    (same && there && whole() && ready.mask_is_whole(options, &files)).then(|| MapSummary {
        map: files.path(),
        native_space,
        native_resolution: own_resolution.clone(),
        reused: true,
        ..MapSummary::new(&record)
    })
}

/// Writes a map with its record, and once for all methods the mask, and the volume that is explained, where no cohort holds it and
/// it is not there as a BIDS derivative.
fn write_map(
    options: &ExplainOptions,
    ready: &Ready<'_>,
    mut attribution: Attribution,
    cost: Cost,
) -> Result<MapSummary> {
    let findings = ready.loaded.findings.iter().map(|what| format!("The image: {what}."));
    attribution.record.warnings.extend(findings);
    let unseen = attribution.record.unseen.as_ref().and_then(Unseen::warning);
    attribution.record.warnings.extend(unseen);
    attribution.record.zero = Some(ready.loaded.zero.to_owned());
    attribution.record.prepared = Some(ready.loaded.prepared.clone());
    attribution.record.mask.clone_from(&ready.loaded.mask_name);
    attribution.record.whole_heads = ready.loaded.whole_heads.map(str::to_owned);
    attribution.record.imported.clone_from(&ready.imported);
    if ready.loaded.channels.len() > 1 {
        let map = if attribution.of_channels.is_empty() { ChannelMap::Together } else { ChannelMap::Sum };
        attribution.record.channels = Some(ChannelRecord::new(&ready.loaded.channels, map));
    }
    attribution.record.compat = options.compat.map(|c| c.to_string());
    attribution.record.cost = Some(cost);
    let files = ready.input.files(&attribution.record.method);
    let written = output::write(&files, &attribution, &ready.loaded)?;
    if ready.image_written.set(()).is_ok() {
        match options.out {
            Some(_) if PreparedFiles::beside(&files).is_some() => {}
            Some(_) => output::write_input(&files, &ready.loaded)?,
            // Within a run the cohort has the volume; the mask is for those who work with its maps elsewhere.
            None => output::write_mask(&files, &ready.loaded)?,
        }
    }
    Ok(MapSummary {
        map: files.path(),
        native_space: written.native_space,
        native_resolution: written.native_resolution,
        seconds: cost.seconds,
        ..MapSummary::new(&attribution.record)
    })
}

/// The name of an image file without its folder and without `.nii.gz`, `.nii`, `.mgz` and so on.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    voxplain_volume::image_stem(&name).unwrap_or(&name).to_owned()
}
