//! [`prepare`]: from images to a cohort.

#![allow(clippy::cast_possible_truncation, reason = "values are stored as f32; numbers of voxels are small")]

mod image;
pub(crate) mod intensity;
mod mask;
mod matching;
mod plan;
mod source;

use image::prepare_beside;
pub use image::{Prepared, prepare_image};
pub use mask::MaskRule;

use crate::{
    Error, Progress, Result,
    cohort::{Begun, Cohort, Normalize, Placement, Subject, Writer},
};
use plan::{Input, Item, Plan};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use voxplain_core::Remedy;
use voxplain_volume::{Grid, Sizes, npy};

/// What to prepare, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Options {
    /// Labels and covariates; without it `participants.tsv` in the source, if there is one.
    pub participants: Option<PathBuf>,
    /// The column of that table with the ids; without it `participant_id`.
    pub id_column: Option<String>,
    /// The column of paths when the source is a table (relative to the table); without it `path`.
    pub path_column: Option<String>,
    /// Only images whose path below the source contains this, or matches it where it has a `*`.
    pub include: Option<String>,
    /// Where the brain is.
    pub mask: MaskRule,
    /// Shape of the grid; without it 58 x 70 x 58. Tensors keep their own.
    pub shape: Option<[usize; 3]>,
    /// Spacing of the grid in mm; without it 3.
    pub spacing: Option<[f64; 3]>,
    /// Where the grid lies.
    pub space: Space,
    /// A skull-stripped template that each brain is turned to; the grid then lies on its middle.
    pub align: Option<PathBuf>,
    /// Whether brains keep their size when they are turned to the template.
    pub sizes: Sizes,
    /// Intensities.
    pub normalize: Normalize,
    /// Go on without images that have no row, rows that have no image, and subjects that cannot be prepared.
    #[serde(skip)]
    pub keep_going: bool,
    /// Start over, replacing a cohort that is there.
    #[serde(skip)]
    pub force: bool,
}

/// Where the grid of the prepared volumes lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// On the centre of gravity of each subject's brain mask.
    #[default]
    Mask,
    /// The images are in one template space: one grid for all, on the middle of the first image's field of view.
    Template,
    /// One grid for all, its voxel `(0, 0, 0)` there (mm).
    Origin([f64; 3]),
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The cohort; none when subjects failed and it was not asked to keep going.
    #[serde(skip)]
    pub cohort: Option<Cohort>,
    /// How many subjects are prepared.
    pub prepared: usize,
    /// How many of these were prepared by an earlier, interrupted command.
    pub resumed: usize,
    /// Subjects that could not be prepared.
    pub failed: Vec<Failure>,
    /// Images without a row, left out.
    pub without_row: Vec<PathBuf>,
    /// Rows without an image, left out.
    pub without_image: Vec<String>,
    /// What was odd, by subject.
    pub findings: Vec<(String, String)>,
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

/// Prepares every image of a source for the cohort directory `out`.
///
/// Subjects are prepared in parallel, one per thread at a time, and stored in the order of the table (of their paths
/// where there is none). A subject that cannot be prepared is skipped and named; the cohort then appears only with
/// [`Options::keep_going`], but what is prepared is kept for the next call. The result depends on no order and no
/// number of threads.
pub fn prepare(source: &Path, out: &Path, options: &Options, progress: &dyn Progress) -> Result<Summary> {
    let plan = Plan::new(source, options)?;
    let without_image = plan.without_image.iter().map(|id| format!("no image for {id}"));
    let without_row = plan.without_row.iter().map(|path| format!("no row for {}", path.display()));
    without_image.chain(without_row).for_each(|left| progress.warn(&format!("{left}: left out")));
    let mut summary = Summary {
        cohort: None,
        prepared: 0,
        resumed: 0,
        failed: Vec::new(),
        without_row: plan.without_row.clone(),
        without_image: plan.without_image.clone(),
        findings: Vec::new(),
    };
    let begun = Writer::begin(out, &plan.made_by, plan.preparation.shape, plan.items.len(), options.force)?;
    let writer = match begun {
        Begun::Complete(cohort) => {
            summary.prepared = cohort.subjects.len();
            summary.resumed = summary.prepared;
            summary.findings = findings(&cohort.subjects);
            summary.cohort = Some(*cohort);
            return Ok(summary);
        }
        Begun::Open(writer) => writer,
    };
    progress.begin("preparing", plan.items.len());
    let outcomes: Vec<(bool, Result<Subject>)> = plan
        .items
        .par_iter()
        .enumerate()
        .map(|(n, item)| {
            let outcome = match writer.done(n) {
                Some(subject) => (true, Ok(subject)),
                None if progress.interrupted() => return (false, Err(Error::Interrupted)),
                None => (false, one(n, item, &plan, &writer)),
            };
            match &outcome.1 {
                Ok(subject) if !outcome.0 => {
                    subject.findings.iter().for_each(|f| progress.warn(&format!("subject {}: {f}", item.id)));
                }
                Err(e) => progress.warn(&format!("subject {} is skipped: {e}", item.id)),
                Ok(_) => {}
            }
            progress.advance(1, &item.id);
            outcome
        })
        .collect();
    progress.end();
    progress.go_on()?;
    let mut ready = Vec::new();
    for (item, (resumed, outcome)) in plan.items.iter().zip(outcomes) {
        summary.resumed += usize::from(resumed);
        match outcome {
            Ok(subject) => ready.push(subject),
            Err(e) => {
                summary.failed.push(Failure { subject: item.id.clone(), what: e.to_string(), remedy: e.remedy() });
            }
        }
    }
    summary.prepared = ready.len();
    summary.findings = findings(&ready);
    if summary.failed.is_empty() || options.keep_going {
        summary.cohort = Some(writer.finish(&plan.preparation, &plan.participants)?);
    }
    Ok(summary)
}

fn findings(subjects: &[Subject]) -> Vec<(String, String)> {
    subjects.iter().flat_map(|s| s.findings.iter().map(|f| (s.id.clone(), f.clone()))).collect()
}

/// Prepares and stores one subject.
fn one(n: usize, item: &Item, plan: &Plan, writer: &Writer) -> Result<Subject> {
    let (source, native, prepared) = match &item.input {
        Input::Image { path, mask } => {
            let mask = mask.as_ref().map_err(|(what, hint)| Error::Subject {
                subject: item.id.clone(),
                what: what.clone(),
                remedy: hint.clone().into(),
            })?;
            let prepared = prepare_beside(path, mask.as_deref(), &plan.preparation, plan.template.as_ref())?;
            (Some(path.clone()), Some(prepared.native), prepared)
        }
        Input::Tensor(at) => (None, None, tensor(*at, plan)?),
    };
    let subject = Subject {
        source: source.map(|p| std::path::absolute(&p).unwrap_or(p)),
        native,
        alignment: prepared.alignment,
        brain_volume: prepared.brain_volume,
        findings: prepared.findings,
        ..Subject::new(item.id.as_str(), &prepared.volume, &prepared.mask)
    };
    writer.put(n, &subject, &prepared.volume, &prepared.mask)?;
    Ok(subject)
}

/// Item `n` of the tensors: on its grid already.
fn tensor(n: usize, plan: &Plan) -> Result<Prepared> {
    let Some(reader) = &plan.tensors else { return Err(Error::request("there are no tensors", "report this")) };
    let grid: Grid = match plan.preparation.placement {
        Placement::Fixed(grid) => grid,
        Placement::MaskCentre => return Err(Error::request("tensors need a fixed grid", "report this")),
    };
    image::prepare_tensor(reader.read_item(n)?, grid, plan.mask.as_ref(), plan.preparation.normalize)
        .map_err(|what| Error::file(&plan.source, format!("item {n}: {what}"), "check the array and its mask"))
}

/// The tensors of a plan: `[N, i, j, k]`.
type Tensors = npy::Reader;
