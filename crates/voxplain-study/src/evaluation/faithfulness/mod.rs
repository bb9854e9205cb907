//! Faithfulness: does the network change its mind when the voxels that a map calls relevant are replaced?
//!
//! Deletion and insertion curves (Petsiuk, Das, Saenko 2018, arXiv 1806.07421). A map orders the voxels of the brain. In
//! [`Metric::Deletion`] they are replaced in this order, an equal share of the brain in each step, by a [`Substrate`]. If the map names
//! what the network uses, the probability of the explained class falls at once. In [`Metric::Insertion`] all voxels are replaced first
//! and put back in this order. The probability should then rise at once. A curve is summarised by its area ([`auc`]). The area is
//! compared with that of a random order that is as smooth as the map, for the same image and network.
//!
//! Differences from the paper: voxels go in blocks of at least 4 mm instead of rows of pixels, 1 % of the brain in each step. Both
//! metrics use both substrates, since the replacement must not decide which map is better; the paper uses black for one and a blurred
//! image for the other. Areas are not read by themselves but as differences from the random order, paired by subject.

mod curve;
mod order;
mod results;
mod surrogate;

pub use curve::{Trace, auc};
pub use order::{Blocks, Ranking};
pub use results::{MapCurves, MethodCurves, Summary, Verdict};

use crate::listed::{counted, does, have};
use crate::{
    cohort::Cohort,
    map::{read_image, read_record},
    run::{HeldOut, Run, digest},
    setting::{METHOD, SUBJECTS},
    shard::Shard,
};
use serde::{Deserialize, Serialize};
use surrogate::Smoothness;
use voxplain_attribution::{Baseline, Case, Explainer};
use voxplain_core::{Action, Claim, Error, Progress, Result, random::Seed, remedy, seal};
use voxplain_nn::Engine;
use voxplain_volume::Volume;

/// Whether voxels are replaced or put back, in the order of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// They are replaced: the lower the area, the better the map.
    Deletion,
    /// They are put back into an image without a brain: the higher the area, the better the map.
    Insertion,
}

impl Metric {
    /// `deletion`, `insertion`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Insertion => "insertion",
        }
    }

    /// How an area is better.
    pub const fn better(self) -> &'static str {
        match self {
            Self::Deletion => "lower",
            Self::Insertion => "higher",
        }
    }
}

/// What replaces the voxels. No replacement is neutral: trust a result only where both agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Substrate {
    /// The image smoothed by a Gaussian over the whole grid: detail goes, large structures stay.
    Blur,
    /// What surrounds the hole, continued as smoothly as can be (Laplace's equation); without any brain, what surrounds the brain.
    Harmonic,
}

impl Substrate {
    /// `blur`, `harmonic`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::Harmonic => "harmonic",
        }
    }
}

impl From<Substrate> for Baseline {
    fn from(substrate: Substrate) -> Self {
        match substrate {
            Substrate::Blur => Self::Blur,
            Substrate::Harmonic => Self::Harmonic,
        }
    }
}

/// How curves are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Steps from all of the brain to none of it.
    pub steps: usize,
    /// What stands where voxels are missing.
    pub substrates: Vec<Substrate>,
    /// What of the map says which voxels come first.
    pub ranking: Ranking,
    /// Least width of a block, in mm.
    pub block: f64,
    /// Standard deviation of the Gaussian of [`Substrate::Blur`], in mm.
    pub blur: f64,
    /// Where the random orders start; a subject's is the same noise for every method, made as smooth as each method's map.
    pub seed: Seed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            steps: 100,
            substrates: vec![Substrate::Blur, Substrate::Harmonic],
            ranking: Ranking::ByMethod,
            block: 4.0,
            blur: 10.0,
            seed: Seed::new(0),
        }
    }
}

/// Which maps of a run are evaluated, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Deletion, insertion, or both.
    pub metrics: Vec<Metric>,
    /// The methods; by default all that the run has maps of.
    pub methods: Option<Vec<String>>,
    /// Ids of the subjects; by default all that were held out.
    pub subjects: Option<Vec<String>>,
    /// How curves are made.
    pub settings: Settings,
    /// Upper bound on the memory of the compiled network, in bytes.
    pub memory: Option<usize>,
    /// Curves are made again even where current ones are there.
    pub force: bool,
}

/// The curves of one map, for each metric and substrate. A voxel is replaced, and put back, in all channels at once; the case's mask is the brain, `class` the class that the map explains.
///
/// Costs `2 (steps + 1)` passes forward for each metric and substrate. Blocks that tie in the map, as where it is 0, come in the
/// order of the control: where a map says nothing it does as the control does, and a constant map is no better or
/// worse than it, to the bit.
///
/// # Errors
/// Settings that cannot be; a map that is not on the case's grid; a network that overflows.
pub fn curves(
    explainer: &mut Explainer,
    case: &Case<'_>,
    (map, class): (&Volume, usize),
    metrics: &[Metric],
    settings: &Settings,
) -> Result<(Blocks, Vec<Trace>)> {
    settings.check()?;
    explainer.check(case)?;
    let (brain, _) = case.brain();
    let blocks = Blocks::new(&brain, settings.block)?;
    let values = blocks.values(map, &brain, settings.ranking)?;
    let control = Smoothness::of(&blocks, &values).field(&blocks, settings.seed.child(case.id));
    let order = blocks.order(&values, &control);
    let random = blocks.order(&control, &control);
    let traces = curve::traces(explainer, case, class, [&order, &random], metrics, settings)?;
    Ok((blocks, traces))
}

/// The curves of every map of a run, by the model of the fold in which the subject was held out, which the map explains. Writes
/// `evaluation/deletion.tsv` and `insertion.tsv` (one row a map and substrate), `deletion.json` and `insertion.json` (what is
/// returned), and the curves of each map to `evaluation/sub-<id>/sub-<id>_desc-<method>_<metric>.json`; those that are there
/// already are not made again.
///
/// # Errors
/// Where a map is missing or does not belong to the fold's model; where the run predicts a value; where the work was interrupted.
pub fn evaluate(engine: &Engine, run: &Run, options: &Options, progress: &dyn Progress) -> Result<Vec<Summary>> {
    options.settings.check()?;
    run.refuse_value("deletion and insertion curves are of the probability of a class")?;
    let cohort = run.cohort()?;
    run.warn_of_changed_labels(&cohort, progress);
    let maps = run.maps()?;
    let methods = maps.chosen(options.methods.as_deref(), progress);
    if methods.is_empty() {
        return Err(maps.none("guided-backprop,hires-cam"));
    }
    let everyone = run.held_out(&cohort)?;
    let ids = everyone.iter().map(|person| cohort.subjects[person.subject].id.as_str()).collect();
    maps.warn_of_others(&ids, &methods, progress);
    let people = held_out(run, &cohort, options)?;
    all_there(run, &cohort, &methods, &people)?;
    let _claim = run.claim("evaluate", progress)?;
    let (files, models) = (run.layout().evaluation(), run.models()?);
    let (all, _) = curves_of(engine, run, &cohort, (&methods, &people), options, progress)?;
    std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;
    let heads = cohort.people(&people.iter().map(|person| person.subject).collect::<Vec<_>>())?;
    options
        .metrics
        .iter()
        .map(|&metric| {
            let of: Vec<&MapCurves> = all.iter().filter(|c| c.metric == metric).collect();
            let mut summary = Summary::of(metric, &methods, &of, &options.settings, &models, heads);
            summary.whole_heads = cohort.preparation.whole_heads().map(str::to_owned);
            summary.channels = several(&cohort);
            for curves in &of {
                let record = read_record(&run.layout().map(&curves.subject, &curves.method).path())?;
                summary.made_from.add(&curves.subject, &curves.method, digest(&record));
            }
            results::table(&of).write_tsv(&files.table(metric.word()))?;
            let curves = of.iter().map(|of| files.curves(&of.subject, &of.method, metric.word()));
            let made = curves.chain([files.table(metric.word())]);
            seal::vouch(&files.summary(metric.word()), &summary, made)?;
            Ok(summary)
        })
        .collect()
}

/// What a shard of curves came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ShardOfCurves {
    /// Subjects of the shard.
    pub subjects: usize,
    /// Curves of their maps that are there now, one for each metric.
    pub curves: usize,
    /// Those of them that were made now.
    pub now: usize,
}

/// Makes the curves of the subjects of a shard, of all who were asked for sorted by id, and nothing that is of all: [`evaluate`] with the same
/// options then finds them made. Others may do other shards at the same time.
///
/// # Errors
/// Those of [`evaluate`].
pub fn evaluate_shard(
    engine: &Engine,
    run: &Run,
    options: &Options,
    shard: Shard,
    progress: &dyn Progress,
) -> Result<ShardOfCurves> {
    options.settings.check()?;
    run.refuse_value("deletion and insertion curves are of the probability of a class")?;
    let cohort = run.cohort()?;
    let maps = run.maps()?;
    let methods = maps.chosen(options.methods.as_deref(), progress);
    if methods.is_empty() {
        return Err(maps.none("guided-backprop,hires-cam"));
    }
    let all = held_out(run, &cohort, options)?;
    let ids: Vec<&str> = all.iter().map(|person| cohort.subjects[person.subject].id.as_str()).collect();
    let own = shard.positions(&ids);
    let mut names: Vec<&str> = own.iter().map(|&n| ids[n]).collect();
    names.sort_unstable();
    progress.note(&shard.describe(&names, ids.len(), cohort.noun()));
    let people: Vec<HeldOut> = own.iter().map(|&n| all[n].clone()).collect();
    all_there(run, &cohort, &methods, &people)?;
    let (number, of) = (shard.number(), shard.of());
    let doing = format!("evaluate, shard {shard}");
    let _claim = Claim::take_part(&run.path, &format!("evaluate-{number}-of-{of}"), &doing, progress)?;
    let (curves, now) = curves_of(engine, run, &cohort, (&methods, &people), options, progress)?;
    Ok(ShardOfCurves { subjects: people.len(), curves: curves.len(), now })
}

/// The curves of the maps of these people, made where they are not there, and how many were made.
fn curves_of(
    engine: &Engine,
    run: &Run,
    cohort: &Cohort,
    (methods, people): (&[String], &[HeldOut]),
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Vec<MapCurves>, usize)> {
    let files = run.layout().evaluation();
    let mut now = 0;
    let mut all = Vec::with_capacity(people.len() * methods.len());
    let mut explainer: Option<(usize, Explainer)> = None;
    progress.begin("deletion and insertion", people.len() * methods.len());
    for person in people {
        let id = &cohort.subjects[person.subject].id;
        if explainer.as_ref().is_none_or(|(fold, _)| *fold != person.fold) {
            let model = run.model(person.fold)?;
            explainer = Some((person.fold, model.explainer(engine)?.with_memory_limit(options.memory)));
        }
        let Some((_, explainer)) = explainer.as_mut() else { continue };
        let mut loaded = None;
        for method in methods {
            progress.go_on()?;
            let ranking = options.settings.ranking.for_method(method);
            let settings = Settings { ranking, ..options.settings.clone() };
            let begun = MapCurves {
                whole_heads: cohort.preparation.whole_heads().map(str::to_owned),
                channels: several(cohort),
                ..MapCurves::begin(run, &cohort.subjects[person.subject], method, explainer, &settings)?
            };
            let mut wanted = Vec::new();
            for &metric in &options.metrics {
                let there = begun.made_before(&files.curves(id, method, metric.word()), metric)?;
                match there.filter(|_| !options.force) {
                    Some(there) => all.push(there),
                    None => wanted.push(metric),
                }
            }
            if !wanted.is_empty() {
                if loaded.is_none() {
                    loaded = Some((cohort.channels(person.subject)?, cohort.mask(person.subject)?));
                }
                let Some(([image, others @ ..], mask)) = loaded.as_ref().map(|(all, mask)| (all.as_slice(), mask))
                else {
                    continue;
                };
                let case = Case { mask: Some(mask), others, ..Case::new(id, image) };
                for made in begun.make(explainer, &case, &read_map(run, id, method)?, &wanted)? {
                    let place = files.curves(id, method, made.metric.word());
                    if let Some(folder) = place.parent() {
                        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
                    }
                    seal::write(&place, &made)?;
                    all.push(made);
                    now += 1;
                }
            }
            progress.advance(1, &format!("{id}, {method}"));
        }
    }
    progress.end();
    Ok((all, now))
}

/// Names of the channels of a cohort, where there are several.
fn several(cohort: &Cohort) -> Vec<String> {
    let names = &cohort.preparation.channels;
    if names.len() > 1 { names.clone() } else { Vec::new() }
}

fn read_map(run: &Run, id: &str, method: &str) -> Result<Volume> {
    Ok(read_image(&run.layout().map(id, method).path())?.to_ras())
}

/// The held-out subjects that were asked for, fold by fold.
fn held_out(run: &Run, cohort: &Cohort, options: &Options) -> Result<Vec<HeldOut>> {
    let mut people = run.held_out(cohort)?;
    people.sort_by_key(|p| (p.fold, p.subject));
    let Some(ids) = &options.subjects else { return Ok(people) };
    let wanted: Vec<Option<usize>> = ids.iter().map(|id| cohort.find(id)).collect();
    let known = |number: &Option<usize>| people.iter().any(|p| Some(p.subject) == *number);
    if let Some((id, _)) = ids.iter().zip(&wanted).find(|(_, number)| !known(number)) {
        let some: Vec<_> = people.iter().take(5).map(|p| cohort.subjects[p.subject].id.as_str()).collect();
        return Err(Error::request(
            format!("no subject {id:?} was held out in {}", run.path.display()),
            format!(
                "{} {}: {}, ...",
                counted(people.len(), "subject"),
                does(people.len(), "was", "were"),
                some.join(", ")
            ),
        ));
    }
    people.retain(|p| wanted.contains(&Some(p.subject)));
    Ok(people)
}

/// Refuses a run with fewer maps than were asked for: before the work, not at its end.
fn all_there(run: &Run, cohort: &Cohort, methods: &[String], people: &[HeldOut]) -> Result<()> {
    let explain = |methods: &str| Action::new("explain").on(&run.path).with(METHOD, methods);
    for method in methods {
        let missing: Vec<&str> = people
            .iter()
            .map(|p| cohort.subjects[p.subject].id.as_str())
            .filter(|id| !run.layout().map(id, method).path().is_file())
            .collect();
        if let Some(first) = missing.first() {
            return Err(Error::file(
                run.layout().map(first, method).path(),
                format!(
                    "{} of {} {} no map of {method}",
                    missing.len(),
                    counted(people.len(), "subject"),
                    have(missing.len())
                ),
                remedy!["make them: ", explain(method), "; or say whom to take with ", SUBJECTS],
            ));
        }
    }
    Ok(())
}
