//! [`prepare`]: from images to a cohort. [`prepare_image`] does the same with one image.

#![allow(clippy::cast_possible_truncation, reason = "values are stored as f32; numbers of voxels are small")]

pub(crate) mod channels;
mod choice;
mod contradiction;
mod entities;
mod freesurfer;
mod image;
pub(crate) mod intensity;
mod level;
mod like;
mod mask;
mod mask_finder;
mod mask_folder;
mod mask_hint;
mod masks;
mod matching;
mod merge;
mod options;
mod pattern;
mod plan;
mod prepared;
mod repeated;
mod reuse;
mod sessions;
mod shards;
mod source;
#[cfg(test)]
mod tree;
mod units;
mod visit;

pub(crate) use contradiction::{doubt, names_another_kind, of_others};
pub use entities::EntityFilter;
pub(crate) use freesurfer::{above_1, read_brain_mask, subject as freesurfer_subject};
pub(crate) use image::STRIPPED;
pub use image::{MIN_CORRELATION, Prepared, prepare_channels, prepare_image};
pub(crate) use level::ParticipantLevel;
pub use mask::MaskRule;
pub(crate) use mask_finder::MaskFinder;
pub(crate) use masks::mask_name;
pub(crate) use matching::id_of;
pub use merge::Site;
pub use options::{PrepareOptions, Space};
pub(crate) use sessions::person_of;
pub(crate) use shards::one_image;
pub use shards::{PreparedShard, is_shared, merge_shards, prepare_shard};
pub(crate) use source::fetched;
pub use source::images_below;
pub use units::{GatherOptions, Unit, Units, gather_units, prepare_unit, units};

use crate::cohort::{Begun, Cohort, Inclusion, LeftOut, Placement, Preparation, Subject, Writer};
use crate::model::{min_shape, mrinet, whole_shape};
use crate::setting::{EXCLUDE, GRID, MODEL, PERSON_COLUMN};
use image::prepare_with;
use masks::{Masks, mask_name_at};
pub(crate) use plan::grid_on_template;
use plan::{Input, Item, Plan};
use rayon::prelude::*;
use reuse::Reuse;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};
use voxplain_attribution::Unseen;
use voxplain_core::{Error, Progress, Remedy, Result, Table, hash_file, remedy};
use voxplain_volume::{Grid, Volume};

/// The result of a preparation.
#[derive(Debug, Serialize)]
pub struct PrepareSummary {
    /// The cohort; `None` where subjects failed and [`PrepareOptions::keep_going`] is off.
    #[serde(skip)]
    pub cohort: Option<Cohort>,
    /// Number of prepared subjects.
    pub prepared: usize,
    /// Number of these that an earlier call prepared, before it was interrupted.
    pub resumed: usize,
    /// Subjects that could not be prepared.
    pub failed: Vec<Failure>,
    /// Images without a row, left out.
    pub without_row: Vec<PathBuf>,
    /// Ids of rows without an image, left out.
    pub without_image: Vec<String>,
    /// What was found, what was used, what was left out and why.
    pub inclusion: Inclusion,
    /// Findings: the id of a subject, and what is unusual about its image or mask.
    pub findings: Vec<(String, String)>,
    /// What the network that is trained by default cannot see of the grid; absent where it sees all.
    pub lost_on_the_grid: Option<LostOnTheGrid>,
}

/// What a network cannot see of a grid, and the nearest grid without loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostOnTheGrid {
    /// A sentence without a point.
    pub what: String,
    /// The nearest grid without loss. Whoever shows it chooses the words.
    #[serde(skip)]
    pub remedy: Remedy,
}

/// Why a subject could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The id.
    pub subject: String,
    /// What went wrong.
    pub what: String,
    /// What to do about it. Whoever shows it chooses the words.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

/// Prepares every image of a source and writes the cohort directory `out`.
///
/// The source is a BIDS dataset (or derivatives such as fMRIPrep's), a `SUBJECTS_DIR` of FreeSurfer, a folder of images, a table
/// with a column of paths, or an array of volumes (`.npy`).
/// Subjects are prepared in parallel, one per thread at a time, and stored in the order of the table (of their paths
/// where there is none). A subject that cannot be prepared is skipped and named; the cohort then appears only with
/// [`PrepareOptions::keep_going`], but what is prepared is kept for the next call. The result does not depend on the
/// number of threads.
///
/// # Errors
/// The source or the table cannot be used, images and rows do not belong together one to one, or the directory holds
/// something else.
pub fn prepare(source: &Path, out: &Path, options: &PrepareOptions, progress: &dyn Progress) -> Result<PrepareSummary> {
    prepare_sites(&[Site { path: source.to_owned(), ..Site::default() }], out, options, progress)
}

/// Prepares the images of several sources into one cohort, as [`prepare`] does those of one. Its table has a column `site` (`source`
/// where a table has a column `site` of its own); columns of the tables are united, and what one does not say is `n/a`.
///
/// # Errors
/// As for [`prepare`]; the names of sources are nearly the same, an id or a file is in two of them, or one is an array of volumes.
pub fn prepare_sites(
    sites: &[Site],
    out: &Path,
    options: &PrepareOptions,
    progress: &dyn Progress,
) -> Result<PrepareSummary> {
    let plan = planned(sites, out, options)?;
    // Who is left out, and why, ends the work: it is in the summary.
    plan.notes.iter().for_each(|note| progress.warn(note));
    plan.advice.iter().for_each(|(note, remedy)| progress.advise(note, remedy));
    let mut summary = PrepareSummary {
        cohort: None,
        prepared: 0,
        resumed: 0,
        failed: Vec::new(),
        without_row: plan.without_row.clone(),
        without_image: plan.without_image.clone(),
        findings: Vec::new(),
        lost_on_the_grid: lost_on_the_grid(&plan.preparation)?,
        inclusion: plan.inclusion.clone(),
    };
    check_first(&plan, options)?;
    let begun = Writer::begin(out, &plan.made_by, plan.stored(), plan.items.len(), options.force, progress)?;
    let writer = match begun {
        Begun::Complete(cohort) => {
            summary.prepared = cohort.subjects.len();
            summary.resumed = summary.prepared;
            summary.findings = findings(&cohort.subjects);
            if let Some(inclusion) = &cohort.inclusion {
                summary.inclusion = inclusion.clone();
            }
            summary.cohort = Some(*cohort);
            return Ok(summary);
        }
        Begun::Open(writer) => writer,
    };
    let all: Vec<usize> = (0..plan.items.len()).collect();
    let (outcomes, masks) = work(&plan, &all, &writer, progress)?;
    let mut ready = Vec::new();
    for (n, (item, (resumed, outcome))) in plan.items.iter().zip(outcomes).enumerate() {
        summary.resumed += usize::from(resumed);
        match outcome {
            Ok(subject) => ready.push(subject),
            Err(e) => {
                left_out_of_source(&mut summary.inclusion, &plan.source_of, n);
                summary.failed.push(failure(item, e, &masks));
            }
        }
    }
    masks.rules().iter().for_each(|rule| progress.warn(rule));
    if let Some(stripped) = stripped(&ready) {
        progress.warn(&stripped);
    }
    if let Some((same, remedy)) = same_images(&ready) {
        progress.advise(&same, &remedy);
    }
    summary.prepared = ready.len();
    summary.findings = findings(&ready);
    summary.inclusion.used = ready.len();
    summary.inclusion.left_out.extend(summary.failed.iter().map(|f| LeftOut::new(f.subject.as_str(), f.what.as_str())));
    if summary.failed.is_empty() || (options.keep_going && !ready.is_empty()) {
        summary.cohort =
            Some(writer.finish_with(&plan.preparation, &plan.participants, Some(summary.inclusion.clone()))?);
    } else {
        // So that advice can be followed at once, with other options.
        writer.end_with_failures()?;
    }
    Ok(summary)
}

/// The table of people that [`prepare_sites`] would write, a row for each image, as it is known before an image is read; so that what comes
/// after can be checked at once.
///
/// # Errors
/// Those of [`prepare_sites`] that show before an image is read: no source, tables that do not fit the images, no masks.
pub fn table_of_people(sites: &[Site], options: &PrepareOptions) -> Result<Table> {
    Ok(Plan::new(sites, options)?.participants)
}

/// What is to be done, with the cohort that people are taken over from.
fn planned(sites: &[Site], out: &Path, options: &PrepareOptions) -> Result<Plan> {
    let mut plan = Plan::new(sites, options)?;
    plan.reuse = options.reuse.as_deref().map(|path| Reuse::new(path, out, &plan)).transpose()?;
    Ok(plan)
}

/// Looks at the first image, where there are no masks. Of whole heads there are mostly as many as images: said once, and before anything is
/// written that other options would find.
fn check_first(plan: &Plan, options: &PrepareOptions) -> Result<()> {
    match plan.items.first() {
        Some(Item { input: Input::Image { path, mask: Ok(None), .. }, .. }) if !options.whole_head => {
            image::check_unmasked(path)
        }
        _ => Ok(()),
    }
}

/// Of each item whether it was there already, and the subject or why there is none.
type Outcomes = Vec<(bool, Result<Subject>)>;

/// Prepares these items of a plan, those of them that a writer has not yet, in parallel: item `which[k]` comes to place `k` of the writer. For
/// each whether it was there already, and the subject or why there is none.
///
/// # Errors
/// It was interrupted, or the machine is to blame: what is prepared is kept.
fn work(plan: &Plan, which: &[usize], writer: &Writer, progress: &dyn Progress) -> Result<(Outcomes, Masks)> {
    progress.begin("preparing", which.len());
    let masks = Masks::default();
    // Set where the machine is to blame: the next subject would meet the same.
    let stopped = AtomicBool::new(false);
    let mut outcomes: Outcomes = which
        .par_iter()
        .enumerate()
        .map(|(place, &n)| {
            let item = &plan.items[n];
            let outcome = match writer.done(place) {
                Some(subject) => (true, Ok(subject)),
                None if progress.interrupted() || stopped.load(Ordering::Relaxed) => {
                    return (false, Err(Error::Interrupted));
                }
                None => (false, one((place, item), plan, writer, &masks)),
            };
            if outcome.1.as_ref().is_err_and(Error::is_of_machine) {
                stopped.store(true, Ordering::Relaxed);
            }
            match &outcome.1 {
                Ok(subject) if !outcome.0 => {
                    let of_one = |f: &&String| *f != STRIPPED;
                    subject
                        .findings
                        .iter()
                        .filter(of_one)
                        .for_each(|f| progress.warn(&format!("subject {}: {f}", item.id)));
                }
                // Who fails is told at the end, with what to do about it.
                _ => {}
            }
            progress.advance(1, &item.id);
            outcome
        })
        .collect();
    progress.end();
    progress.go_on()?;
    // What is prepared is kept; nobody is named for what is nobody's.
    if let Some(at) = outcomes.iter().position(|(_, outcome)| outcome.as_ref().is_err_and(Error::is_of_machine)) {
        outcomes.swap_remove(at).1?;
    }
    if let Some(reuse) = &plan.reuse {
        progress.note(&reuse.in_words(which.len()));
    }
    if plan.reuse.is_some() || outcomes.iter().any(|(resumed, _)| *resumed) {
        masks.unread();
    }
    Ok((outcomes, masks))
}

/// Counts item `n`, who could not be prepared, as left out of its source.
fn left_out_of_source(inclusion: &mut Inclusion, source_of: &[usize], n: usize) {
    if let Some(of) = source_of.get(n).and_then(|source| inclusion.sources.get_mut(*source)) {
        (of.used, of.left_out) = (of.used.saturating_sub(1), of.left_out + 1);
    }
}

/// Why an item could not be prepared.
fn failure(item: &Item, e: Error, masks: &Masks) -> Failure {
    let remedy = masks.fitting(e.remedy());
    // Whoever shows it names the subject.
    let what = match e {
        Error::Subject { subject, what, .. } if subject == item.id => what,
        e => e.to_string(),
    };
    Failure { subject: item.id.clone(), what, remedy }
}

/// What the paper's network would not see on the grid of a preparation, and the nearest grid of which it sees all,
/// or that the grid is too small for it.
fn lost_on_the_grid(preparation: &Preparation) -> Result<Option<LostOnTheGrid>> {
    let Ok(network) = mrinet(preparation.shape, 1, 2) else {
        let ([i, j, k], [wi, wj, wk]) = (preparation.shape, min_shape());
        let what =
            format!("this grid of {i} x {j} x {k} is too small for the network mrinet, which is trained by default");
        let remedy =
            remedy![format!("it takes {wi}x{wj}x{wk} and more ("), GRID, "); or train another network with ", MODEL];
        return Ok(Some(LostOnTheGrid { what, remedy }));
    };
    let grid = preparation.any_grid()?;
    Ok(Unseen::of(&network.input_reach(), Some(&grid), None).map(|unseen| {
        let [i, j, k] = preparation.shape;
        let [wi, wj, wk] = whole_shape(preparation.shape);
        let what = format!("on this grid of {i} x {j} x {k} the network mrinet {unseen}");
        let remedy = remedy![format!("it sees all of {wi}x{wj}x{wk} ("), GRID, "), the nearest grid without loss"];
        LostOnTheGrid { what, remedy }
    }))
}

fn findings(subjects: &[Subject]) -> Vec<(String, String)> {
    subjects.iter().flat_map(|s| s.findings.iter().map(|f| (s.id.clone(), f.clone()))).collect()
}

/// That some, or all, of the images taken as whole heads are none.
fn stripped(subjects: &[Subject]) -> Option<String> {
    let is_stripped = |s: &&Subject| s.findings.iter().any(|f| f == STRIPPED);
    let ids: Vec<&str> = subjects.iter().filter(is_stripped).map(|s| s.id.as_str()).collect();
    let one = "no more than a brain has (skull-stripped, or a small head), and is taken as a whole head all the same";
    let several =
        "no more than brains have (skull-stripped, or small heads), and are taken as whole heads all the same";
    Some(match (ids.len(), subjects.len()) {
        (0, _) => return None,
        (1, 1) => format!("the image holds {one}"),
        (1, all) => format!("1 of {all} images ({}) holds {one}", ids[0]),
        (n, all) if n == all => format!("all {n} images hold {several}"),
        (n, all) => format!("{n} of {all} images ({}) hold {several}", matching::few(&ids)),
    })
}

/// Which images stand for several people: those whose files are the same byte by byte, under whatever mask and in whatever channel, and
/// those that give the same volume.
fn same_images(subjects: &[Subject]) -> Option<(String, Remedy)> {
    let (mut files, mut volumes) = (BTreeMap::<&str, Vec<String>>::new(), BTreeMap::<&str, Vec<String>>::new());
    for subject in subjects {
        for (channel, hash, file) in subject.each_image() {
            let name = channel.map_or_else(|| subject.id.clone(), |channel| format!("{channel} of {}", subject.id));
            file.into_iter().for_each(|file| files.entry(file).or_default().push(name.clone()));
            volumes.entry(hash).or_default().push(name);
        }
    }
    let of = |images: BTreeMap<&str, Vec<String>>| -> BTreeSet<String> {
        images.into_values().filter(|names| names.len() > 1).map(|names| names.join(" and ")).collect()
    };
    let files = of(files);
    let volumes: BTreeSet<String> = of(volumes).difference(&files).cloned().collect();
    let said = |what: &str, same: &BTreeSet<String>| {
        (!same.is_empty()).then(|| format!("{what} stands for several subjects: {}", matching::few(same)))
    };
    let what =
        [said("one image file (the same bytes)", &files), said("one volume, the same to the last bit,", &volumes)];
    let what: Vec<String> = what.into_iter().flatten().collect();
    let remedy = remedy![
        "give each subject its own image (mend the table or the files), leave all but one out with ",
        EXCLUDE,
        ", or, where they are one person, say so in a column of people (",
        PERSON_COLUMN,
        "); a training with them on both sides of a split is refused"
    ];
    (!what.is_empty()).then(|| (what.join("; "), remedy))
}

/// Prepares and stores one subject.
fn one((n, item): (usize, &Item), plan: &Plan, writer: &Writer, masks: &Masks) -> Result<Subject> {
    let mut sources: Vec<&Path> = Vec::new();
    let (source, native, mask, prepared) = match &item.input {
        Input::Image { path, mask, others } => {
            let mask = mask.as_ref().map_err(|(what, remedy)| Error::subject(&item.id, what, remedy.clone()))?;
            fetched(path)?;
            mask.as_deref().map(fetched).transpose()?;
            for (other, channel) in others.iter().zip(plan.preparation.channels.iter().skip(1)) {
                channels::refuse_missing(other, channel)?;
            }
            sources.extend(std::iter::once(path).chain(others).map(PathBuf::as_path));
            if let Some(reuse) = &plan.reuse
                && let Some((mut subject, volumes, in_brain)) = reuse.subject(item, &sources, mask.as_deref())?
            {
                subject.source = Some(source::absolute(path)?);
                for (channel, source) in subject.channels.iter_mut().zip(&sources) {
                    channel.source = Some(source::absolute(source)?);
                }
                writer.put(n, &subject, &volumes, &in_brain)?;
                return Ok(subject);
            }
            let read = mask.as_deref().map(|file| masks.read(file, &plan.mask_options)).transpose()?;
            let name = mask.as_deref().zip(read.as_ref()).map(|(file, mask)| mask_name(file, mask)).transpose()?;
            let prepared = prepare_with(&sources, read.as_ref(), &plan.preparation, plan.template.as_ref())?;
            (Some(source::absolute(path)?), Some(prepared.native), name, prepared)
        }
        Input::Tensor(at) => (None, None, None, tensor(*at, plan)?),
    };
    let mut volumes: Vec<Volume> = std::iter::once(prepared.volume).chain(prepared.others).collect();
    plan.dtype.round(&item.id, &mut volumes)?;
    let mut subject = Subject::of_channels(item.id.as_str(), &plan.preparation.channels, &volumes, &prepared.mask);
    for (channel, source) in subject.channels.iter_mut().zip(&sources) {
        channel.source = Some(source::absolute(source)?);
        channel.source_hash = Some(hash_file(source)?);
    }
    let source_hash = match (sources.as_slice(), subject.channels.as_slice()) {
        ([file], []) => Some(hash_file(file)?),
        _ => None,
    };
    let subject = Subject {
        source,
        source_hash,
        native,
        alignment: prepared.alignment,
        mask_volume: prepared.mask_volume,
        mask,
        findings: prepared.findings,
        ..subject
    };
    writer.put(n, &subject, &volumes, &prepared.mask)?;
    Ok(subject)
}

/// Item `n` of an array of volumes: on its grid already.
fn tensor(n: usize, plan: &Plan) -> Result<Prepared> {
    let Some(reader) = &plan.tensors else { return Err(Error::request("there are no tensors", "report this")) };
    let grid: Grid = match plan.preparation.placement {
        Placement::Fixed(grid) => grid,
        Placement::MaskCentre => return Err(Error::request("tensors need a fixed grid", "report this")),
    };
    image::prepare_tensor(reader.read_item(n)?, grid, plan.mask.as_ref(), &plan.preparation)
        .map_err(|(what, remedy)| Error::file(&plan.source, format!("item {n}: {what}"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::{Affine, Mask};

    #[test]
    fn images_that_stand_for_several_people_are_named_with_their_channels() {
        let grid = Grid::new([2, 1, 1], Affine::IDENTITY).unwrap();
        let mask = Mask::filled(grid, true);
        let names = ["T1w".to_owned(), "FLAIR".to_owned()];
        let subject = |id: &str, files: [(&str, f32); 2]| {
            let volumes = files.map(|(_, value)| Volume::filled(grid, value));
            let mut subject = Subject::of_channels(id, &names, &volumes, &mask);
            for (channel, (file, _)) in subject.channels.iter_mut().zip(files) {
                channel.source_hash = Some(file.to_owned());
            }
            subject
        };
        let apart = [subject("1", [("a", 1.0), ("b", 2.0)]), subject("2", [("c", 3.0), ("d", 4.0)])];
        assert!(same_images(&apart).is_none());
        // Another mask gives other values of one file; other files may give one volume.
        let all = [
            subject("1", [("a", 1.0), ("b", 2.0)]),
            subject("2", [("c", 3.0), ("a", 4.0)]),
            subject("3", [("e", 5.0), ("f", 4.0)]),
        ];
        let (what, remedy) = same_images(&all).unwrap();
        assert_eq!(
            what,
            "one image file (the same bytes) stands for several subjects: T1w of 1 and FLAIR of 2; one volume, the same to the last bit, stands \
             for several subjects: FLAIR of 2 and FLAIR of 3"
        );
        assert!(remedy.names(EXCLUDE) && remedy.names(PERSON_COLUMN));
        // What is the same in both is said once.
        let twice = [subject("1", [("a", 1.0), ("b", 2.0)]), subject("2", [("a", 1.0), ("d", 4.0)])];
        assert!(same_images(&twice).unwrap().0.ends_with("subjects: T1w of 1 and T1w of 2"));
    }
}
