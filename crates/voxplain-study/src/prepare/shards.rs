//! [`prepare_shard`] and [`merge_shards`]: a cohort that several processes prepare, a share of the people each.
//!
//! Each shard is a cohort of its own in `<cohort>.shards`, built as any cohort is; `plan.json` beside them has what is of all of them: the
//! table, who is where, who was left out before any image was read. Merging copies the volumes, and needs nothing of the source.

use super::{
    Failure, PrepareSummary, Site, failure, findings, left_out_of_source, lost_on_the_grid, options::PrepareOptions,
    plan::Plan, planned, same_images, stripped, work,
};
use crate::{
    cohort::{
        Begun, Cohort, CohortLayout, Inclusion, LeftOut, Preparation, Stored, Subject, VolumeType, Writer,
        made_otherwise,
    },
    listed::counted,
    sample::SampledImage,
    setting::{OUT, SHARD},
    shard::Shard,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use voxplain_core::{Action, Error, Progress, Result, Table, atomic_file, remedy, seal};

/// What is of all shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shared {
    /// How many shards there are.
    shards: usize,
    /// Command, options and a hash of what the cohort is made from.
    made_by: Value,
    preparation: Preparation,
    dtype: VolumeType,
    /// Ids of all who are to be prepared, in the order of the cohort.
    ids: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    /// What was found, before any image was read.
    inclusion: Inclusion,
    source_of: Vec<usize>,
    without_row: Vec<PathBuf>,
    without_image: Vec<String>,
}

/// What a shard of a preparation came to.
#[derive(Debug, Serialize)]
pub struct PreparedShard {
    /// Its number, from 1.
    pub shard: usize,
    /// How many shards there are.
    pub of: usize,
    /// Number of prepared subjects.
    pub prepared: usize,
    /// Number of these that an earlier call prepared.
    pub resumed: usize,
    /// Subjects that could not be prepared.
    pub failed: Vec<Failure>,
    /// Findings: the id of a subject, and what is unusual about its image or mask.
    pub findings: Vec<(String, String)>,
    /// Whether the shard is done: failures leave it open unless [`PrepareOptions::keep_going`] is on.
    pub done: bool,
    /// The numbers of shards that are not done yet.
    pub missing: Vec<usize>,
}

impl PreparedShard {
    /// One of which nothing is done yet.
    fn of(shard: Shard) -> Self {
        Self {
            shard: shard.number(),
            of: shard.of(),
            prepared: 0,
            resumed: 0,
            failed: Vec::new(),
            findings: Vec::new(),
            done: false,
            missing: Vec::new(),
        }
    }
}

impl Shared {
    fn of(plan: &Plan, shards: usize) -> Self {
        let Table { columns, rows } = plan.participants.clone();
        Self {
            shards,
            made_by: plan.made_by.clone(),
            preparation: plan.preparation.clone(),
            dtype: plan.dtype,
            ids: plan.items.iter().map(|item| item.id.clone()).collect(),
            columns,
            rows,
            inclusion: plan.inclusion.clone(),
            source_of: plan.source_of.clone(),
            without_row: plan.without_row.clone(),
            without_image: plan.without_image.clone(),
        }
    }

    /// The places in the cohort of those who belong to a shard.
    fn places(&self, shard: Shard) -> Vec<usize> {
        shard.positions(&self.ids.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// What the cohort of a shard is made by.
    fn made_by(&self, shard: Shard) -> Value {
        let mut made_by = self.made_by.clone();
        made_by["shard"] = shard.to_string().into();
        made_by
    }

    fn participants(&self, places: impl IntoIterator<Item = usize>) -> Table {
        Table { columns: self.columns.clone(), rows: places.into_iter().map(|n| self.rows[n].clone()).collect() }
    }

    fn all(&self) -> Result<Vec<Shard>> {
        (1..=self.shards).map(|number| Shard::new(number, self.shards)).collect()
    }

    /// The shards that are not done.
    fn missing(&self, layout: CohortLayout<'_>) -> Result<Vec<Shard>> {
        let is_done = |shard: &Shard| {
            let cohort = layout.shard(*shard);
            CohortLayout::at(&cohort).document().is_file()
                || layout.failed_shard(*shard).is_file()
                || self.places(*shard).is_empty()
        };
        Ok(self.all()?.into_iter().filter(|shard| !is_done(shard)).collect())
    }
}

/// Whether shards of a cohort were begun, and not merged yet.
pub fn is_shared(cohort: &Path) -> bool {
    CohortLayout::at(cohort).shared_plan().is_file()
}

/// Prepares the people of a shard, of all sorted by id, for the cohort `out`. Several processes, on machines that share the directory, may
/// do so at the same time, each with a shard of its own; [`merge_shards`] makes the cohort of them. A shard that was interrupted goes on.
///
/// # Errors
/// Those of [`prepare_sites`](super::prepare_sites); shards were begun with other options, from other files or in another number.
pub fn prepare_shard(
    sites: &[Site],
    out: &Path,
    options: &PrepareOptions,
    shard: Shard,
    progress: &dyn Progress,
) -> Result<PreparedShard> {
    let plan = planned(sites, out, options)?;
    plan.notes.iter().for_each(|note| progress.warn(note));
    plan.advice.iter().for_each(|(note, remedy)| progress.advise(note, remedy));
    let shared = Shared::of(&plan, shard.of());
    let which = shared.places(shard);
    let ids: Vec<&str> = which.iter().map(|&n| plan.items[n].id.as_str()).collect();
    progress.note(&shard.describe(&ids, plan.items.len(), "image"));
    let mut made = PreparedShard::of(shard);
    let layout = CohortLayout::at(out);
    if layout.document().is_file() {
        let cohort = Cohort::open(out)?;
        if cohort.made_by != shared.made_by {
            let what = format!("there is already a cohort, {}", made_otherwise(&cohort.made_by, &shared.made_by));
            return Err(Error::file(out, what, remedy!["choose another ", OUT, ", or remove it"]));
        }
        progress.note(&format!("{} is there, and whole: there is nothing to do", out.display()));
        return Ok(PreparedShard { done: true, prepared: which.len(), resumed: which.len(), ..made });
    }
    super::check_first(&plan, options)?;
    share(layout, &shared)?;
    if !which.is_empty() {
        fill(&plan, (&shared, shard, &which), layout, options, &mut made, progress)?;
    }
    let missing = shared.missing(layout)?;
    made.done = !missing.contains(&shard);
    made.missing = missing.into_iter().map(Shard::number).collect();
    Ok(made)
}

/// Prepares the first image of a source, of all sorted by id, into a cohort of its own for `out`, with the clock in hand.
pub(crate) fn one_image(
    sites: &[Site],
    options: &PrepareOptions,
    out: &Path,
    progress: &dyn Progress,
) -> Result<SampledImage> {
    let began = Instant::now();
    let plan = Plan::new(sites, options)?;
    let listing = began.elapsed().as_secs_f64();
    let shard = Shard::new(1, plan.items.len().max(1))?;
    let shared = Shared::of(&plan, shard.of());
    let layout = CohortLayout::at(out);
    share(layout, &shared)?;
    let mut made = PreparedShard::of(shard);
    let began = Instant::now();
    fill(&plan, (&shared, shard, &shared.places(shard)), layout, options, &mut made, progress)?;
    let seconds = began.elapsed().as_secs_f64();
    if let Some(Failure { subject, what, .. }) = made.failed.first() {
        return Err(Error::subject(subject, what, "mend it, or leave it out"));
    }
    let cohort = Cohort::open(&layout.shard(shard))?;
    Ok(SampledImage { images: plan.items.len(), listing, seconds, bytes: None, cohort })
}

/// Writes what is of all shards, or compares it with what the first of them wrote.
fn share(layout: CohortLayout<'_>, shared: &Shared) -> Result<()> {
    let path = layout.shared_plan();
    fs::create_dir_all(layout.shards()).map_err(Error::io(layout.shards()))?;
    if path.is_file() || !seal::create(&path, shared)? {
        let found: Shared = read_plan(&path)?;
        if found.shards != shared.shards {
            let what = format!("was begun in {}, and this is one of {}", counted(found.shards, "shard"), shared.shards);
            return Err(Error::file(
                layout.shards(),
                what,
                remedy![format!("go on with {} shards, or remove the folder and begin again", found.shards)],
            ));
        }
        if found != *shared {
            return Err(Error::file(
                layout.shards(),
                format!("was begun by a shard of a cohort that is {}", made_otherwise(&found.made_by, &shared.made_by)),
                remedy!["give every shard the same options and files, or remove the folder and begin again"],
            ));
        }
    }
    Ok(())
}

fn read_plan(path: &Path) -> Result<Shared> {
    seal::read(path, "remove the folder and prepare the shards again")
}

/// Prepares those of a shard who are not prepared yet.
fn fill(
    plan: &Plan,
    (shared, shard, which): (&Shared, Shard, &[usize]),
    layout: CohortLayout<'_>,
    options: &PrepareOptions,
    made: &mut PreparedShard,
    progress: &dyn Progress,
) -> Result<()> {
    let (path, made_by) = (layout.shard(shard), shared.made_by(shard));
    let begun = Writer::begin(&path, &made_by, plan.stored(), which.len(), false, progress)?;
    let writer = match begun {
        Begun::Complete(cohort) => {
            made.prepared = cohort.subjects.len();
            made.resumed = made.prepared;
            made.findings = findings(&cohort.subjects);
            return Ok(());
        }
        Begun::Open(writer) => writer,
    };
    let (outcomes, masks) = work(plan, which, &writer, progress)?;
    let mut ready: Vec<Subject> = Vec::new();
    for (&n, (resumed, outcome)) in which.iter().zip(outcomes) {
        made.resumed += usize::from(resumed);
        match outcome {
            Ok(subject) => ready.push(subject),
            Err(e) => made.failed.push(failure(&plan.items[n], e, &masks)),
        }
    }
    masks.rules().iter().for_each(|rule| progress.warn(rule));
    made.prepared = ready.len();
    made.findings = findings(&ready);
    if !made.failed.is_empty() && !options.keep_going {
        return writer.end_with_failures();
    }
    let left_out: Vec<LeftOut> =
        made.failed.iter().map(|f| LeftOut::new(f.subject.as_str(), f.what.as_str())).collect();
    if ready.is_empty() {
        writer.end_with_failures()?;
        return seal::write(
            &layout.failed_shard(shard),
            &serde_json::json!({ "made_by": made_by, "left_out": left_out }),
        );
    }
    let (images, used) = (which.len(), ready.len());
    let inclusion = Inclusion { images, rows: None, used, left_out, sources: Vec::new() };
    writer.finish_with(&plan.preparation, &shared.participants(which.iter().copied()), Some(inclusion))?;
    // What an earlier call could prepare nobody of.
    match fs::remove_file(layout.failed_shard(shard)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(layout.failed_shard(shard))(e)),
        _ => Ok(()),
    }
}

/// What a shard has: its cohort, and who was left out of it.
struct Part {
    cohort: Option<Cohort>,
    left_out: Vec<LeftOut>,
}

impl Part {
    fn read(shared: &Shared, shard: Shard, layout: CohortLayout<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Failed {
            made_by: Value,
            left_out: Vec<LeftOut>,
        }
        let path = layout.shard(shard);
        let again = || remedy!["remove it and prepare this shard again, with ", SHARD.to(shard)];
        let part = if shared.places(shard).is_empty() {
            return Ok(Self { cohort: None, left_out: Vec::new() });
        } else if CohortLayout::at(&path).document().is_file() {
            let cohort = Cohort::open(&path)?;
            if cohort.made_by != shared.made_by(shard) || cohort.preparation != shared.preparation {
                let what = "was made with other options, from other files or for other shards than the rest";
                return Err(Error::file(&path, what, again()));
            }
            let left_out = cohort.inclusion.clone().map(|inclusion| inclusion.left_out).unwrap_or_default();
            Self { cohort: Some(cohort), left_out }
        } else {
            let file = layout.failed_shard(shard);
            let failed: Failed = seal::read(&file, again())?;
            if failed.made_by != shared.made_by(shard) {
                let what = "was made with other options, from other files or for other shards than the rest";
                return Err(Error::file(&file, what, again()));
            }
            Self { cohort: None, left_out: failed.left_out }
        };
        let known = |id: &str| {
            part.cohort.iter().flat_map(|cohort| &cohort.subjects).any(|subject| subject.id == id)
                || part.left_out.iter().any(|left| left.what == id)
        };
        let places = shared.places(shard);
        match places.iter().find(|&&n| !known(&shared.ids[n])) {
            None => Ok(part),
            Some(&n) => Err(Error::file(&path, format!("does not have {}, who belongs to it", shared.ids[n]), again())),
        }
    }
}

/// Makes the cohort `out` of its shards ([`prepare_shard`]): checks that all are there and were made alike, puts all people in their order, looks for
/// images that stand for several people, and takes the shards away. The cohort is the same, byte for byte, as one that
/// [`prepare_sites`](super::prepare_sites) made alone.
///
/// # Errors
/// A shard is missing, or was made otherwise than the others; another process is at work there; a file that cannot be written.
pub fn merge_shards(out: &Path, progress: &dyn Progress) -> Result<PrepareSummary> {
    let layout = CohortLayout::at(out);
    let shared = read_plan(&layout.shared_plan())?;
    let is_there = layout.document().is_file() && Cohort::open(out)?.made_by == shared.made_by;
    let missing = if is_there { Vec::new() } else { shared.missing(layout)? };
    if !missing.is_empty() {
        return Err(Error::file(
            layout.shards(),
            Shard::missing_in_words(&missing),
            remedy![
                "prepare them, by the command of the others (",
                Action::new("prepare"),
                ") with ",
                SHARD.to(missing[0])
            ],
        ));
    }
    let mut summary = PrepareSummary {
        cohort: None,
        prepared: 0,
        resumed: 0,
        failed: Vec::new(),
        without_row: shared.without_row.clone(),
        without_image: shared.without_image.clone(),
        findings: Vec::new(),
        lost_on_the_grid: lost_on_the_grid(&shared.preparation)?,
        inclusion: shared.inclusion.clone(),
    };
    let stored = Stored { shape: shared.preparation.input_shape(), dtype: shared.dtype };
    let cohort = match Writer::begin(out, &shared.made_by, stored, shared.ids.len(), false, progress)? {
        Begun::Complete(cohort) => *cohort,
        Begun::Open(writer) => put_together(*writer, &shared, layout, &mut summary, progress)?,
    };
    if let Some(inclusion) = &cohort.inclusion {
        summary.inclusion = inclusion.clone();
    }
    summary.prepared = cohort.subjects.len();
    summary.findings = findings(&cohort.subjects);
    summary.cohort = Some(cohort);
    clear(layout, &shared, progress)?;
    Ok(summary)
}

/// What to do about a shard that is not as it was written.
fn damaged(error: Error, folder: &Path, shard: Shard) -> Error {
    if error.is_of_machine() {
        return error;
    }
    let remove =
        format!("remove {} and prepare this shard again, by the command of the others with ", folder.display());
    Error::file(folder, error.to_string(), remedy![remove, SHARD.to(shard)])
}

/// Copies everybody to their place.
fn put_together(
    writer: Writer,
    shared: &Shared,
    layout: CohortLayout<'_>,
    summary: &mut PrepareSummary,
    progress: &dyn Progress,
) -> Result<Cohort> {
    let mut left_out: Vec<(usize, LeftOut)> = Vec::new();
    let mut ready: Vec<(usize, Subject)> = Vec::new();
    progress.begin("merging", shared.ids.len());
    let mut copy = || -> Result<()> {
        for shard in shared.all()? {
            let part = Part::read(shared, shard, layout)?;
            let places = shared.places(shard);
            let mut stored = part.cohort.iter().flat_map(|cohort| &cohort.subjects).enumerate().peekable();
            for n in places {
                progress.go_on()?;
                let id = &shared.ids[n];
                match (stored.next_if(|(_, subject)| subject.id == *id), &part.cohort) {
                    (Some((at, subject)), Some(cohort)) => {
                        if writer.done(n).is_none_or(|done| done != *subject) {
                            let read = || Ok::<_, Error>((cohort.channels(at)?, cohort.mask(at)?));
                            let (volumes, mask) = read().map_err(|e| damaged(e, &cohort.path, shard))?;
                            writer.put(n, subject, &volumes, &mask)?;
                        }
                        ready.push((n, subject.clone()));
                    }
                    _ => left_out
                        .extend(part.left_out.iter().find(|left| left.what == *id).map(|left| (n, left.clone()))),
                }
                progress.advance(1, id);
            }
        }
        Ok(())
    };
    let copied = copy();
    progress.end();
    copied?;
    // In the order of the cohort, as one process finds them.
    ready.sort_by_key(|(n, _)| *n);
    left_out.sort_by_key(|(n, _)| *n);
    let ready: Vec<Subject> = ready.into_iter().map(|(_, subject)| subject).collect();
    if let Some(stripped) = stripped(&ready) {
        progress.warn(&stripped);
    }
    if let Some((same, remedy)) = same_images(&ready) {
        progress.advise(&same, &remedy);
    }
    summary.inclusion.used = ready.len();
    for (n, left) in left_out {
        left_out_of_source(&mut summary.inclusion, &shared.source_of, n);
        summary.failed.push(Failure { subject: left.what.clone(), what: left.why.clone(), remedy: None });
        summary.inclusion.left_out.push(left);
    }
    let participants = shared.participants(0..shared.ids.len());
    writer.finish_with(&shared.preparation, &participants, Some(summary.inclusion.clone()))
}

/// Takes the shards away. What voxplain did not make stays, and is named.
fn clear(layout: CohortLayout<'_>, shared: &Shared, progress: &dyn Progress) -> Result<()> {
    let mut left = Vec::new();
    for shard in shared.all()? {
        let path = layout.shard(shard);
        if path.is_dir() {
            left.extend(crate::cohort::remove(&path)?);
        }
        remove(&layout.failed_shard(shard))?;
    }
    atomic_file::sweep(&layout.shards())?;
    // Last: until then it is known what the rest is.
    remove(&layout.shared_plan())?;
    if left.is_empty() && fs::remove_dir(layout.shards()).is_ok() {
        return Ok(());
    }
    progress
        .warn(&format!("{}: left as it is, since voxplain did not make all that is in it", layout.shards().display()));
    Ok(())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(file)(e)),
        _ => Ok(()),
    }
}
