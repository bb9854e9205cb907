//! [`CohortStatus`], [`UnfinishedCohort`]: a cohort, finished or being built.

use super::{
    Damaged, Lack,
    size::{Size, sizes},
};
use crate::{
    cohort::{Cohort, CohortLayout, count_marks, plan_of},
    setting::{LABEL, OUT},
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Claim, Occupied, Progress, Result};
use voxplain_volume::npy;

/// What there is in a finished cohort.
#[derive(Clone, Debug, Serialize)]
pub struct CohortStatus {
    /// The directory.
    pub path: PathBuf,
    /// Who is at work there.
    pub at_work: Occupied,
    /// The command that made it: `prepare`, `simulate`.
    pub made_by: Option<String>,
    /// Images in it.
    pub subjects: usize,
    /// Number of people whose images they are; `null` where every image is of another one, or where it is not known.
    pub people: Option<usize>,
    /// What was found and is not in it; `null` where nothing was noted.
    pub left_out: Option<usize>,
    /// Why, a line for each reason.
    pub reasons: Vec<String>,
    /// Shape of the grid, in voxels.
    pub shape: [usize; 3],
    /// Its spacing, in mm.
    pub spacing: [f64; 3],
    /// Names of the channels, where they are named.
    pub channels: Vec<String>,
    /// Columns of the table of people, without that of ids.
    pub columns: Vec<String>,
    /// The cohort that is being built in its place.
    pub replaced_by: Option<Box<UnfinishedCohort>>,
    /// Volumes and masks that are not those that were prepared; none where they were not read.
    pub damaged: Vec<Damaged>,
    /// Whether all volumes and masks were read.
    pub all_read: bool,
    /// What its files take.
    pub sizes: Vec<Size>,
    #[serde(skip)]
    pub(super) lacks: Vec<Lack>,
}

impl CohortStatus {
    /// What there is in the cohort of a directory. With `check` every volume and mask is read and compared with its hash.
    ///
    /// # Errors
    /// It is none, or its documents are damaged.
    pub fn of(path: &Path, check: Option<&dyn Progress>) -> Result<Self> {
        let cohort = Cohort::open(path)?;
        let damaged = check.map_or_else(|| Ok(Vec::new()), |progress| damaged(&cohort, progress))?;
        let columns: Vec<String> =
            cohort.participants.columns.iter().filter(|column| *column != "participant_id").cloned().collect();
        let everyone: Vec<usize> = (0..cohort.subjects.len()).collect();
        // Where names of people are in doubt, `train` says so; here they are not counted.
        let people = cohort.headcount(&everyone).ok().and_then(|heads| heads.people);
        // Of simulated cohorts, and of most tables that are made for one question.
        let label = columns.iter().find(|column| *column == "label").map_or("COLUMN", String::as_str);
        let train = Action::new("train").on(path).with(LABEL, label).with(OUT, "RUN");
        Ok(Self {
            path: path.to_owned(),
            at_work: Claim::look(path)?,
            made_by: cohort.made_by["command"].as_str().map(str::to_owned),
            subjects: cohort.subjects.len(),
            people,
            left_out: cohort.inclusion.as_ref().map(|of| of.left_out.len()),
            reasons: cohort.inclusion.as_ref().map(crate::cohort::Inclusion::reasons).unwrap_or_default(),
            shape: cohort.preparation.shape,
            spacing: cohort.preparation.spacing,
            channels: cohort.preparation.channels.clone(),
            columns,
            replaced_by: UnfinishedCohort::at(&CohortLayout::at(path).partial())?.map(Box::new),
            // What would be trained on is to be whole.
            lacks: if damaged.is_empty() { vec![Lack::new("a run trained on it", train)] } else { Vec::new() },
            damaged,
            all_read: check.is_some(),
            sizes: sizes(path, str::to_owned)?,
        })
    }
}

/// The volumes and masks that are not those that were prepared.
fn damaged(cohort: &Cohort, progress: &dyn Progress) -> Result<Vec<Damaged>> {
    let mut all = Vec::new();
    progress.begin("volumes", cohort.subjects.len());
    let read = cohort.subjects.iter().enumerate().try_for_each(|(n, subject)| {
        progress.go_on()?;
        for read in [cohort.values(n).map(|_| ()), cohort.mask(n).map(|_| ())] {
            match read {
                Err(error) if error.is_of_machine() => return Err(error),
                Err(error) => all.push(Damaged::of(&error)),
                Ok(()) => {}
            }
        }
        progress.advance(1, &subject.id);
        Ok(())
    });
    progress.end();
    read.map(|()| all)
}

/// A cohort that is being built, or was begun.
#[derive(Clone, Debug, Serialize)]
pub struct UnfinishedCohort {
    /// The folder where it is built.
    pub path: PathBuf,
    /// Who is at work there.
    pub at_work: Occupied,
    /// What it was begun with: `command`, and its options; `null` where that was not written, or is damaged.
    pub begun_with: Option<serde_json::Value>,
    /// Subjects that are prepared.
    pub prepared: usize,
    /// Subjects that were to be; `null` where that is not written yet.
    pub planned: Option<usize>,
    /// Shape of the grid, in voxels.
    pub shape: Option<[usize; 3]>,
    /// What its files take.
    pub sizes: Vec<Size>,
}

impl UnfinishedCohort {
    /// By the name that the cohort is to have, or that of the folder where it is built; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        if let Some(found) = Self::at(path)? {
            return Ok(Some(found));
        }
        if path.file_name().is_none() { Ok(None) } else { Self::at(&CohortLayout::at(path).partial()) }
    }

    /// That which is built in a folder.
    fn at(folder: &Path) -> Result<Option<Self>> {
        let Some(begun_with) = plan_of(folder)? else { return Ok(None) };
        let layout = CohortLayout::at(folder);
        // Its header is written first; one that cannot be read says nothing yet.
        let shape = npy::Reader::open(layout.volumes()).ok().map(|array| array.shape().to_vec());
        let axes = shape.as_deref().and_then(|shape| shape.get(shape.len().saturating_sub(3)..)?.try_into().ok());
        Ok(Some(Self {
            path: folder.to_owned(),
            at_work: Claim::look(folder)?,
            begun_with,
            prepared: count_marks(folder)?,
            planned: shape.and_then(|shape| shape.first().copied()),
            shape: axes,
            sizes: sizes(folder, str::to_owned)?,
        }))
    }

    /// The command that began it, where that is known: `prepare`, `simulate`.
    pub fn command(&self) -> Option<&str> {
        self.begun_with.as_ref()?["command"].as_str()
    }
}
