//! Shuffles that several processes share, a shard each: every process keeps what it counted in a file of its own in the folder of the comparison,
//! and [`merge_comparison`] puts them together.
//!
//! Shuffle `u`, counted from 0, belongs to shard `1 + u mod N` ([`Shard`]). `shards.json` has what is of all shards: what is compared, and how. The
//! first process that comes writes it, the others compare it with what they were asked.

use super::{
    CompareOptions, CompareSummary, Part, compare_part, of_cohort, of_run,
    place::{Place, SHARDS, name_of_shard},
};
use crate::{
    cohort::Cohort,
    listed::counted,
    run::Run,
    setting::{COHORT, OUT, SHARD},
    shard::Shard,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Error, Progress, Remedy, Result, hash_values, remedy, seal};
use voxplain_stats::inference::{Counts, Fit, Permutation, Rows};

/// What is compared, by its whole path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// Maps of a run; where its cohort is looked for, if somebody said so.
    Run {
        path: PathBuf,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        cohort: Option<PathBuf>,
    },
    /// Volumes of a cohort.
    Cohort { path: PathBuf },
}

/// `shards.json`: what is of all shards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shared {
    /// Version of voxplain that the first was made by.
    version: String,
    /// How many shards there are.
    shards: usize,
    /// What decides the result, as a hash ([`super::key`]).
    key: String,
    /// Number of shuffles, without the data as they are.
    shuffles: usize,
    source: Source,
    /// Where paths in the options are relative to.
    folder: PathBuf,
    /// As the first shard was asked.
    options: CompareOptions,
}

/// `shard-2-of-8.json`: what a shard has counted.
#[derive(Serialize, Deserialize)]
struct Counted {
    key: String,
    /// Its number, and of how many.
    shard: [usize; 2],
    /// BLAKE3 of the statistic of the data as they are, voxel by voxel.
    observed: String,
    counts: Counts,
}

/// What there is of a shard of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedShard {
    /// Its number, from 1.
    pub shard: usize,
    /// How many shards there are.
    pub of: usize,
    /// Number of its shuffles that are counted; of all where the comparison is done.
    pub permutations: usize,
    /// Number of these that were counted now.
    pub now: usize,
    /// The numbers of shards that are not done yet.
    pub missing: Vec<usize>,
    /// Whether the whole comparison is there.
    pub compared: bool,
    /// The folder of the comparison.
    pub folder: PathBuf,
}

/// An analysis at work: its values, and what was found in the data as they are.
pub(super) struct Work<'a> {
    pub(super) analysis: &'a Permutation,
    pub(super) rows: &'a dyn Rows,
    pub(super) fit: &'a Fit,
    pub(super) enhanced: Option<&'a [f32]>,
    /// Memory that maps of shuffles may take.
    pub(super) bytes: usize,
}

/// What to do about a file of a shard that is damaged, or of something else.
fn again() -> Remedy {
    remedy!["remove the file: its permutations are then counted again"]
}

fn begin_again() -> Remedy {
    remedy!["remove it, and begin again with the first shard"]
}

impl ComparedShard {
    /// A shard of a comparison that is there.
    pub(super) fn of_whole(shard: Shard, summary: &CompareSummary, folder: &Path) -> Self {
        Self {
            shard: shard.number(),
            of: shard.of(),
            permutations: shard.units(summary.permutations).count(),
            now: 0,
            missing: Vec::new(),
            compared: true,
            folder: folder.to_owned(),
        }
    }
}

impl Source {
    pub(super) fn of_run(run: &Run) -> Self {
        Self::Run { path: absolute(&run.path), cohort: run.named_cohort().map(absolute) }
    }

    pub(super) fn of_cohort(cohort: &Cohort) -> Self {
        Self::Cohort { path: absolute(&cohort.path) }
    }
}

/// A path that does not hang on the working directory, with its links as they are.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Shared {
    /// What shards of a comparison share.
    pub(super) fn of(shard: Shard, place: &Place, source: Source, options: &CompareOptions, shuffles: usize) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            shards: shard.of(),
            key: place.key.clone(),
            shuffles,
            source,
            folder: absolute(Path::new(".")),
            options: CompareOptions { force: false, ..options.clone() },
        }
    }

    /// What was written by the first shard; `None` where none has begun.
    pub(super) fn read(place: &Place) -> Result<Option<Self>> {
        let path = place.file(SHARDS);
        if !path.is_file() {
            return Ok(None);
        }
        seal::read(&path, begin_again()).map(Some)
    }

    /// Writes it, or compares it with what the first shard wrote.
    pub(super) fn share(&self, place: &Place) -> Result<()> {
        let path = place.file(SHARDS);
        std::fs::create_dir_all(place.folder()).map_err(Error::io(place.folder()))?;
        if !path.is_file() && seal::create(&path, self)? {
            return Ok(());
        }
        let found: Self = seal::read(&path, begin_again())?;
        found.check(place)?;
        if found.shards != self.shards {
            let what = format!("was begun in {}, and this is one of {}", counted(found.shards, "shard"), self.shards);
            let remedy = remedy![format!("go on with {} shards, or remove the folder and begin again", found.shards)];
            return Err(Error::file(place.folder(), what, remedy));
        }
        Ok(())
    }

    /// Refuses shards of another comparison than this one.
    pub(super) fn check(&self, place: &Place) -> Result<()> {
        if self.key == place.key {
            return Ok(());
        }
        let ours = env!("CARGO_PKG_VERSION");
        let what = if self.version == ours {
            "holds shards of a comparison that was begun with other options or of other data".to_owned()
        } else {
            format!("holds shards that were counted by version {}, and this is {ours}", self.version)
        };
        let remedy = remedy![
            "give every shard the same options, choose another folder with ",
            OUT,
            ", or remove this one and begin again"
        ];
        Err(Error::file(place.folder(), what, remedy))
    }

    fn all(&self) -> Result<Vec<Shard>> {
        (1..=self.shards).map(|number| Shard::new(number, self.shards)).collect()
    }

    /// The shards that are not done.
    pub(super) fn missing(&self, place: &Place) -> Result<Vec<Shard>> {
        let mut missing = Vec::new();
        for shard in self.all()? {
            let units = shard.units(self.shuffles).count();
            let there = Counted::read(place, shard)?.map_or(0, |of| of.counts.done);
            if there < units {
                missing.push(shard);
            }
        }
        Ok(missing)
    }

    /// Refuses to put together what is not all there, and says how it is made.
    pub(super) fn refuse_missing(&self, place: &Place) -> Result<()> {
        let missing = self.missing(place)?;
        let Some(first) = missing.first() else { return Ok(()) };
        let what = Shard::missing_in_words(&missing);
        let step = self.step(place).with(SHARD, first);
        let others = if missing.len() > 1 { ", and the others alike" } else { "" };
        Err(Error::file(place.folder(), what, remedy!["count what is missing: ", step, others]))
    }

    /// The step that was asked for, but for the shard.
    fn step(&self, place: &Place) -> Action {
        let (path, cohort) = match &self.source {
            Source::Run { path, cohort } => (path, cohort.as_ref()),
            Source::Cohort { path } => (path, None),
        };
        let mut step = Action::new("compare").on(path);
        step.settings = self.options().settings();
        if self.options.out.is_some() {
            step = step.with(OUT, place.folder().display());
        }
        cohort.into_iter().fold(step, |step, cohort| step.with(COHORT, cohort.display()))
    }

    /// The options with whole paths.
    fn options(&self) -> CompareOptions {
        let path = |path: &PathBuf| self.folder.join(path);
        let options = &self.options;
        let design = self.folder.join(&options.design);
        CompareOptions {
            design: if design.is_file() { design.display().to_string() } else { options.design.clone() },
            contrasts: options.contrasts.as_ref().map(path),
            f_tests: options.f_tests.as_ref().map(path),
            mask: options.mask.as_ref().map(path),
            atlas: options.atlas.as_ref().map(|(image, labels)| (path(image), path(labels))),
            ..options.clone()
        }
    }

    /// How the design was written.
    pub(super) fn design(&self) -> &str {
        &self.options.design
    }
}

impl Counted {
    fn file(place: &Place, shard: Shard) -> PathBuf {
        place.file(&name_of_shard(shard))
    }

    /// What a shard has counted of this comparison; `None` where it has begun with nothing, or with another.
    fn read(place: &Place, shard: Shard) -> Result<Option<Self>> {
        let file = Self::file(place, shard);
        if !file.is_file() {
            return Ok(None);
        }
        let found: Self = seal::read(&file, again())?;
        if found.shard != [shard.number(), shard.of()] {
            let [number, of] = found.shard;
            let what = format!("holds what shard {number} of {of} has counted: it is a copy under another name");
            return Err(Error::file(&file, what, again()));
        }
        Ok((found.key == place.key).then_some(found))
    }
}

/// What there is of a shard, where it is done: nothing needs to be read then.
pub(super) fn done(place: &Place, shared: &Shared, shard: Shard) -> Result<Option<ComparedShard>> {
    let missing = shared.missing(place)?;
    Ok((!missing.contains(&shard)).then(|| shared.of_shard(place, shard, 0, &missing)))
}

impl Shared {
    fn of_shard(&self, place: &Place, shard: Shard, now: usize, missing: &[Shard]) -> ComparedShard {
        ComparedShard {
            shard: shard.number(),
            of: shard.of(),
            permutations: shard.units(self.shuffles).count(),
            now,
            missing: missing.iter().map(|shard| shard.number()).collect(),
            compared: false,
            folder: place.folder().to_owned(),
        }
    }
}

/// Counts what is not counted yet of a shard.
pub(super) fn count(
    place: &Place,
    shared: &Shared,
    shard: Shard,
    work: &Work<'_>,
    progress: &dyn Progress,
) -> Result<ComparedShard> {
    let now = go_on(place, shard, work, progress)?;
    Ok(shared.of_shard(place, shard, now, &shared.missing(place)?))
}

/// Counts the rest of a shard, and says how many that were. What is counted when it is interrupted is kept.
fn go_on(place: &Place, shard: Shard, work: &Work<'_>, progress: &dyn Progress) -> Result<usize> {
    let units: Vec<usize> = shard.units(work.analysis.shuffles.len()).collect();
    let observed = hash_values(&work.fit.statistic);
    let mut counts = match Counted::read(place, shard)? {
        Some(before) => before.of(place, shard, &observed)?,
        None => Counts::default(),
    };
    let before = counts.done;
    let of = (work.fit, work.enhanced);
    let ran = work.analysis.count(&units, work.rows, of, &mut counts, work.bytes, progress);
    let now = counts.done - before;
    if now > 0 {
        let counted = Counted { key: place.key.clone(), shard: [shard.number(), shard.of()], observed, counts };
        seal::write(&Counted::file(place, shard), &counted)?;
    }
    ran.map(|()| now)
}

impl Counted {
    /// The counts, where they are of the data that there are.
    fn of(self, place: &Place, shard: Shard, observed: &str) -> Result<Counts> {
        if self.observed == observed {
            return Ok(self.counts);
        }
        let what = "was counted of other values than there are now: images or maps were changed since, or another machine computes otherwise";
        Err(Error::file(Self::file(place, shard), what, again()))
    }
}

/// All that was counted, after what is missing was counted.
pub(super) fn together(place: &Place, shared: &Shared, work: &Work<'_>, progress: &dyn Progress) -> Result<Counts> {
    let shuffles = work.analysis.shuffles.len();
    let observed = hash_values(&work.fit.statistic);
    let mut parts = Vec::new();
    let missing = shared.missing(place)?;
    let before = shared.shards - missing.len();
    if before > 0 {
        progress.note(&format!("{before} of {} were counted before", counted(shared.shards, "shard")));
    }
    for shard in shared.all()? {
        let units: Vec<usize> = shard.units(shuffles).collect();
        if units.is_empty() {
            continue;
        }
        if missing.contains(&shard) {
            go_on(place, shard, work, progress)?;
        }
        if let Some(counted) = Counted::read(place, shard)? {
            parts.push((units, counted.of(place, shard, &observed)?));
        }
    }
    Counts::together(&parts).map_err(|e| {
        Error::file(place.folder(), e.to_string(), remedy!["remove the files of its shards, and count them again"])
    })
}

/// Whether shards of a comparison were begun in this folder, and not put together yet.
pub fn is_compared_in_shards(folder: &Path) -> bool {
    folder.join(SHARDS).is_file()
}

/// Puts together what shards of a comparison have counted, in the folder of the comparison: checks that all are there and were made alike, writes
/// maps, tables and summary, and takes the shards away. The files are the same, byte for byte, as if one process had compared.
///
/// # Errors
/// A shard is missing, and the error says how it is made; shards of other data, options or versions; those of
/// [`compare_run`](super::compare_run) and [`compare_cohort`](super::compare_cohort).
pub fn merge_comparison(folder: &Path, progress: &dyn Progress) -> Result<CompareSummary> {
    let path = folder.join(SHARDS);
    let shared: Shared = seal::read(&path, begin_again())?;
    let options = shared.options();
    let part = Part::Merge { folder, shared: &shared };
    let material = match &shared.source {
        Source::Run { path, cohort } => of_run(&Run::open(path)?.with_cohort(cohort.as_deref()), &options, progress)?,
        Source::Cohort { path } => of_cohort(Cohort::open(path)?, &options)?,
    };
    compare_part(&material, &options, part, progress)?.into_whole()
}
